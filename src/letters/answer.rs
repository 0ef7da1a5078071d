//! Answers about the letters of one topic: by failure, as a list, one by one.
//!
//! What the index knows of all letters decides which are meant; only these are read again. A list is bounded
//! in bytes; [`Index::each`] hands out letters one after another for work that takes any number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::{
    Decision, FailuresAnswer, FailuresRequest, LetterRow, LettersAnswer, LettersRequest, RedriveNote, Target,
};
use super::outcome::{Outcome, Redriven};
use super::read;
use super::select::{self, Pick, Wanted};
use super::topic::Topic;
use crate::broker::Name;
use crate::context::Sink;
use crate::dlq::formats;
use crate::event::{Position, Record};
use crate::filter::{Matcher, Selection};
use crate::ledger::Disposition;
use crate::ledger::row::Earlier;
use crate::text::{Fault, Timestamp};

/// Bytes of records that one list holds at most.
const MOST_BYTES: usize = 256 << 20;

/// What the ledger says of letters, by partition and offset.
type Notes = HashMap<(i32, i64), (Option<RedriveNote>, Vec<Decision>)>;

/// How a walk over letters went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Letters that fit, read or not.
    pub total: u64,
    /// Letters handed out.
    pub given: u64,
    /// Letters that retention deleted between choosing and reading.
    pub gone: u64,
    /// Letters that would fit, but are closed, where only open ones were asked for without looking at content.
    pub closed: u64,
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
    /// Whether the whole topic had been read, and all that fit was handed out.
    pub complete: bool,
}

/// How a survey of letters went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Letters handed out.
    pub given: u64,
    /// Letters that fit but for their state, by state.
    pub others: BTreeMap<&'static str, u64>,
    /// Letters that retention deleted between choosing and reading.
    pub gone: u64,
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
    /// Whether the whole topic had been read, and all that fit was handed out.
    pub complete: bool,
}

/// Whether records must be read to know if they are meant.
fn by_content(selection: &Selection) -> bool {
    selection.contains.is_some() || selection.filter.is_some()
}

impl Index {
    /// Letters grouped by failure.
    pub async fn failures(
        &self,
        request: &FailuresRequest,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<FailuresAnswer, Fault> {
        let matcher = self.matcher(&request.selection)?;
        let topic = self.fresh(&request.topic, sink, cancel).await?;
        let now = self.cx().clock.now();
        if by_content(&request.selection) {
            let picks = picks(&topic, &request.selection, None, request.state).0;
            let mut found: HashSet<(i32, i64)> = HashSet::new();
            self.matching(&topic, &picks, &matcher, sink, cancel, &mut |record, _| {
                found.insert((record.at.partition, record.at.offset));
                ControlFlow::Continue(())
            })
            .await?;
            let state = topic.lock();
            return Ok(FailuresAnswer {
                topic: Arc::clone(&topic.name),
                scanned: state.fold.letters() as u64,
                complete: state.complete(),
                failures: state.fold.failures(now, |p, e| found.contains(&(p, e.offset))),
                filter_errors: matcher.errors(),
            });
        }
        let state = topic.lock();
        let wanted = Wanted::new(&state.fold, &request.selection, None, request.state);
        Ok(FailuresAnswer {
            topic: Arc::clone(&topic.name),
            scanned: state.fold.letters() as u64,
            complete: state.complete(),
            failures: state.fold.failures(now, |p, e| wanted.fits(p, e)),
            filter_errors: 0,
        })
    }

    /// Letters, decoded, by time. Of more than the limit the newest are given, or with an explicit beginning the
    /// first from there.
    pub async fn letters(
        &self,
        request: &LettersRequest,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<LettersAnswer, Fault> {
        let selection = &request.selection;
        let matcher = self.matcher(selection)?;
        let topic = self.fresh(&request.topic, sink, cancel).await?;
        let (mut picks, whole) = picks(&topic, selection, request.failure.as_deref(), request.state);
        let limit = selection.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let earliest = selection.from.is_some();
        let order = |p: &Pick| (p.time, p.partition, p.offset);
        let mut total = picks.len() as u64;
        let content = by_content(selection);
        if !content && picks.len() > limit {
            picks.sort_unstable_by_key(order);
            cut(&mut picks, limit, earliest);
            picks.sort_unstable_by_key(|p| (p.partition, p.offset));
        }
        let chosen = picks.len();
        let mut found: Vec<(Pick, Record)> = Vec::new();
        let (mut bytes, mut hits, mut over) = (0_usize, 0_u64, false);
        self.matching(&topic, &picks, &matcher, sink, cancel, &mut |record, pick| {
            hits += 1;
            bytes += record.size();
            found.push((*pick, record));
            if found.len() / 2 > limit.max(100) {
                found.sort_unstable_by_key(|(p, _)| order(p));
                cut(&mut found, limit, earliest);
                bytes = found.iter().map(|(_, r)| r.size()).sum();
            }
            over = bytes > MOST_BYTES;
            if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        found.sort_unstable_by_key(|(p, _)| order(p));
        cut(&mut found, limit, earliest);
        if content {
            total = hits;
        } else if !over {
            // What retention deleted between choosing and reading is not there any more.
            total = total.saturating_sub((chosen as u64).saturating_sub(hits));
        }
        let complete = whole && !over && found.len() as u64 == total;
        let picks: Vec<Pick> = found.iter().map(|(pick, _)| *pick).collect();
        let mut notes = self.notes(&topic, &picks).await;
        let rows = found.into_iter().map(|(pick, record)| self.row(record, pick, &mut notes));
        let mut letters: Vec<LetterRow> = rows.collect();
        self.settle(&mut letters, cancel).await;
        Ok(LettersAnswer {
            topic: Arc::clone(&topic.name),
            letters,
            total,
            complete,
            filter_errors: matcher.errors(),
        })
    }

    /// Hands out the letters of a request one after another, by partition and offset; its limit counts. With `only`
    /// (partition and offset) none but these. The outcome of redriven ones is not asked for ([`Self::outcomes`] does).
    pub async fn each(
        &self,
        request: &LettersRequest,
        only: Option<&HashSet<(i32, i64)>>,
        sink: &dyn Sink,
        cancel: &CancellationToken,
        take: &mut (dyn FnMut(LetterRow) -> ControlFlow<()> + Send),
    ) -> Result<Walk, Fault> {
        let selection = &request.selection;
        let matcher = self.matcher(selection)?;
        let topic = self.fresh(&request.topic, sink, cancel).await?;
        let (mut picks, whole) = picks(&topic, selection, request.failure.as_deref(), None);
        picks.retain(|p| only.is_none_or(|only| only.contains(&(p.partition, p.offset))));
        let all = picks.len();
        picks.retain(|p| request.state.is_none_or(|wanted| select::is_state(p.state, wanted)));
        let closed = if request.state.is_some_and(Disposition::is_pending) { all - picks.len() } else { 0 };
        let limit = selection.limit.unwrap_or(u64::MAX);
        let mut notes = self.notes(&topic, &picks).await;
        let mut walk = Walk { total: picks.len() as u64, closed: closed as u64, ..Walk::default() };
        let mut stopped = limit == 0;
        if !stopped {
            self.matching(&topic, &picks, &matcher, sink, cancel, &mut |record, pick| {
                walk.given += 1;
                let flow = take(self.row(record, *pick, &mut notes));
                stopped = flow.is_break() || walk.given >= limit;
                if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        }
        walk.filter_errors = matcher.errors();
        if by_content(selection) {
            walk.total = walk.given;
            walk.complete = whole && !stopped;
        } else {
            walk.gone = if stopped { 0 } else { walk.total - walk.given };
            walk.complete = whole && walk.given + walk.gone == walk.total;
        }
        Ok(walk)
    }

    /// Hands out those letters of a request whose state `takes` says, by partition and offset, and counts the others
    /// by state; the limit counts letters given. Refuses where a state is not known.
    pub async fn survey(
        &self,
        request: &LettersRequest,
        only: Option<&HashSet<(i32, i64)>>,
        takes: &(dyn Fn(Disposition) -> bool + Send + Sync),
        sink: &dyn Sink,
        cancel: &CancellationToken,
        take: &mut (dyn FnMut(LetterRow) -> ControlFlow<()> + Send),
    ) -> Result<Survey, Fault> {
        let selection = &request.selection;
        let matcher = self.matcher(selection)?;
        let topic = self.fresh(&request.topic, sink, cancel).await?;
        let (mut picks, whole) = picks(&topic, selection, request.failure.as_deref(), request.state);
        picks.retain(|p| only.is_none_or(|only| only.contains(&(p.partition, p.offset))));
        if picks.iter().any(|p| p.state.is_none()) {
            return Err(self.unknown_state());
        }
        let state = |pick: &Pick| pick.state.unwrap_or_default();
        let mut survey = Survey::default();
        let content = by_content(selection);
        if !content {
            picks.retain(|p| {
                takes(state(p)) || {
                    *survey.others.entry(state(p).as_str()).or_default() += 1;
                    false
                }
            });
        }
        let limit = selection.limit.unwrap_or(u64::MAX);
        let mut notes = Notes::new();
        let mut stopped = limit == 0;
        if !stopped {
            self.matching(&topic, &picks, &matcher, sink, cancel, &mut |record, pick| {
                if !takes(state(pick)) {
                    *survey.others.entry(state(pick).as_str()).or_default() += 1;
                    return ControlFlow::Continue(());
                }
                survey.given += 1;
                stopped = take(self.row(record, *pick, &mut notes)).is_break() || survey.given >= limit;
                if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        }
        survey.filter_errors = matcher.errors();
        if !content && !stopped {
            survey.gone = picks.len() as u64 - survey.given;
        }
        survey.complete = whole && (!stopped || (!content && survey.given == picks.len() as u64));
        Ok(survey)
    }

    /// Why the state of letters is not known.
    pub fn unknown_state(&self) -> Fault {
        self.ledger_fault().unwrap_or_else(|| {
            Fault::refused("ledger_lost", "the state of the letters is not known")
                .why("the ledger was not read yet, or the broker has no topic ids")
                .hint("try again")
        })
    }

    /// One letter; `None` where none lies at the position.
    pub async fn letter(
        &self,
        at: &Position,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Option<LetterRow>, Fault> {
        let topic = self.fresh(&at.topic, sink, cancel).await?;
        let pick = {
            let state = topic.lock();
            let entry = state.fold.entry(at.partition, at.offset).copied();
            let twin = entry.is_some_and(|e| state.fold.has_twin(&e));
            entry.map(|e| Pick { time: 0, partition: at.partition, offset: at.offset, state: e.state, twin })
        };
        let Some(pick) = pick else { return Ok(None) };
        let mut found = None;
        read::at(self.cx(), &topic.name, &[(at.partition, at.offset)], sink, cancel, &mut |record| {
            found = Some(record);
            ControlFlow::Break(())
        })
        .await?;
        let Some(record) = found else { return Ok(None) };
        let mut notes = self.notes(&topic, &[pick]).await;
        let mut rows = vec![self.row(record, pick, &mut notes)];
        self.settle(&mut rows, cancel).await;
        Ok(rows.pop())
    }

    /// The content tests of a selection; a wrong expression is told before anything is read.
    fn matcher(&self, selection: &Selection) -> Result<Matcher, Fault> {
        Ok(Matcher::compile(selection, &self.cx().profile.dead_letters)?.with(&self.cx().profile.decoding))
    }

    /// The topic, with what is new read.
    pub(super) async fn fresh(
        &self,
        name: &Name,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Arc<Topic>, Fault> {
        self.refresh(Some(std::slice::from_ref(name)), sink, cancel).await?;
        let topic = self.topics().into_iter().find(|t| t.name == *name);
        match topic {
            Some(topic) => Ok(topic),
            None => Err(self.cx().unknown_topic(name).await),
        }
    }

    /// Reads the picks (by partition and offset) and hands out those whose content fits, too.
    async fn matching(
        &self,
        topic: &Topic,
        picks: &[Pick],
        matcher: &Matcher,
        sink: &dyn Sink,
        cancel: &CancellationToken,
        take: &mut (dyn FnMut(Record, &Pick) -> ControlFlow<()> + Send),
    ) -> Result<(), Fault> {
        let positions: Vec<(i32, i64)> = picks.iter().map(|p| (p.partition, p.offset)).collect();
        read::at(self.cx(), &topic.name, &positions, sink, cancel, &mut |record| {
            let place = (record.at.partition, record.at.offset);
            let Ok(pick) = picks.binary_search_by_key(&place, |p| (p.partition, p.offset)) else {
                return ControlFlow::Continue(());
            };
            if matcher.matches(&record) { take(record, &picks[pick]) } else { ControlFlow::Continue(()) }
        })
        .await
    }

    /// What the ledger says of those picks about which something was decided.
    async fn notes(&self, topic: &Topic, picks: &[Pick]) -> Notes {
        let id = topic.lock().id.clone();
        let follower = self.ledger().await;
        let (Some(id), Some(ledger)) = (id, follower.ledger()) else { return Notes::new() };
        let note = |pick: &Pick| {
            let row = ledger.get(&id.0, pick.partition, pick.offset)?;
            let redrive = row.target.map(|target| RedriveNote {
                run: row.run.to_string(),
                count: row.count,
                target: Target {
                    topic: Arc::clone(target.topic),
                    partition: target.partition,
                    offset: target.offset,
                },
                operator: row.operator.to_string(),
                at: Some(row.time),
                outcome: Outcome::Unknown.as_str(),
            });
            let mut history: Vec<Decision> = row.earlier.iter().map(earlier).collect();
            history.push(Decision {
                decision: row.disposition.decision(),
                run: row.run.to_string(),
                operator: Some(row.operator.to_string()),
                reason: row.reason.map(ToString::to_string),
                at: row.time,
            });
            Some(((pick.partition, pick.offset), (redrive, history)))
        };
        picks.iter().filter(|p| p.state.is_some_and(|s| s != Disposition::Pending)).filter_map(note).collect()
    }

    /// A letter's row; its outcome is not known yet.
    fn row(&self, record: Record, pick: Pick, notes: &mut Notes) -> LetterRow {
        let (redrive, history) = notes.remove(&(pick.partition, pick.offset)).unwrap_or_default();
        let letter = formats::decode(&record, &self.cx().profile.dead_letters);
        LetterRow { letter: Arc::new(letter), state: pick.state, redrive, history, duplicate: pick.twin }
    }

    /// Finds out what became of redriven letters. Where the groups cannot be asked it stays unknown.
    async fn settle(&self, letters: &mut [LetterRow], cancel: &CancellationToken) {
        let group = |row: &LetterRow| {
            let latest = row.letter.previous.as_ref().unwrap_or(&row.letter.root);
            latest.group.clone().or_else(|| row.letter.root.group.clone())
        };
        let topics = self.topics();
        let mut asked: Vec<usize> = Vec::new();
        let mut of: Vec<Redriven> = Vec::new();
        for (i, row) in letters.iter().enumerate() {
            let Some(note) = &row.redrive else { continue };
            let at = &row.letter.record.at;
            let id = topics.iter().find(|t| t.name == at.topic).and_then(|t| t.lock().id.clone());
            let letter = (id.map(|id| id.0), at.partition, at.offset);
            of.push(Redriven::new(note.target.clone(), group(row), letter).told_by(&row.letter));
            asked.push(i);
        }
        let Ok(outcomes) = self.outcomes(&of, cancel).await else { return };
        let outcomes: HashMap<usize, Outcome> = asked.into_iter().zip(outcomes).collect();
        for (i, outcome) in outcomes {
            if let Some(note) = letters.get_mut(i).and_then(|row| row.redrive.as_mut()) {
                note.outcome = outcome.as_str();
            }
        }
    }
}

/// A decision that a later one replaced.
fn earlier(of: &Earlier) -> Decision {
    Decision {
        decision: of.disposition.decision(),
        run: of.run.clone(),
        operator: of.operator.clone(),
        reason: of.reason.clone(),
        at: Timestamp(of.time_ms),
    }
}

/// The letters that are meant, as far as the index tells, and whether the whole topic was read.
fn picks(
    topic: &Topic,
    selection: &Selection,
    failure: Option<&str>,
    state: Option<Disposition>,
) -> (Vec<Pick>, bool) {
    let topic = topic.lock();
    let wanted = Wanted::new(&topic.fold, selection, failure, state);
    (wanted.picks(&topic.fold), topic.complete())
}

/// Keeps `limit` of what is sorted by time: the first, or the last.
fn cut<T>(sorted: &mut Vec<T>, limit: usize, first: bool) {
    if sorted.len() > limit {
        if first {
            sorted.truncate(limit);
        } else {
            sorted.drain(..sorted.len() - limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::broker::memory::MemoryBroker;
    use crate::broker::{NewTopic, SessionKind, Write};
    use crate::config::profile::Profile;
    use crate::context::{Cx, Operator, Silent};
    use crate::event::Headers;
    use crate::text::SystemClock;

    async fn index() -> Index {
        let clock = Arc::new(SystemClock::default());
        let memory = MemoryBroker::new(clock.clone(), 16 << 20);
        let operator = Operator { name: "t".into(), os_user: "t".into(), host: "h".into() };
        let profile = Arc::new(Profile::new("t", Vec::new()));
        let cx = Cx { broker: memory.broker(), clock, profile, operator: Arc::new(operator) };
        let writer = cx.broker.writer().unwrap();
        let new =
            NewTopic { name: "orders-dlt".into(), partitions: 1, replication: None, config: Vec::new() };
        writer.create_topics(&[new]).await.unwrap().remove(0).unwrap();
        let mut session = writer.begin(SessionKind::Idempotent).await.unwrap();
        for (class, value) in [
            ("Timeout", r#"{"total":5}"#),
            ("Timeout", r#"{"total":50}"#),
            ("Schema", r#"{"total":70}"#),
            ("Schema", "text"),
        ] {
            let mut headers = Headers::default();
            headers.push("kafka_dlt-original-topic", Some("orders".into()));
            headers.push("kafka_dlt-exception-fqcn", Some(Bytes::from_static(class.as_bytes())));
            let value = Some(Bytes::from_static(value.as_bytes()));
            let topic = "orders-dlt".into();
            let write = Write { topic, partition: Some(0), key: None, value, headers, timestamp: None };
            session.stage(write).await.unwrap();
        }
        session.settle().await.unwrap();
        session.commit().await.unwrap();
        Index::new(cx)
    }

    fn where_(filter: &str) -> Selection {
        Selection { filter: Some(filter.to_owned()), ..Selection::default() }
    }

    #[tokio::test]
    async fn a_condition_selects_letters_failures_and_what_is_handed_out() {
        let (index, cancel) = (index().await, CancellationToken::new());
        let selection = where_(r#".value.total > 10 and .dead_letter.root.topic == "orders""#);
        let request =
            FailuresRequest { topic: "orders-dlt".into(), selection: selection.clone(), state: None };
        let failures = index.failures(&request, &Silent, &cancel).await.unwrap();
        assert_eq!(failures.failures.iter().map(|f| f.count).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(failures.filter_errors, 1);
        let request = LettersRequest { topic: "orders-dlt".into(), selection, failure: None, state: None };
        let letters = index.letters(&request, &Silent, &cancel).await.unwrap();
        let offsets: Vec<i64> = letters.letters.iter().map(|row| row.letter.record.at.offset).collect();
        assert_eq!(
            (offsets, letters.total, letters.complete, letters.filter_errors),
            (vec![1, 2], 2, true, 1)
        );
        let mut given = 0;
        let mut take = |_| {
            given += 1;
            ControlFlow::Continue(())
        };
        let walk = index.each(&request, None, &Silent, &cancel, &mut take).await.unwrap();
        assert_eq!((given, walk.given, walk.filter_errors, walk.complete), (2, 2, 1, true));
    }

    #[tokio::test]
    async fn a_wrong_condition_and_an_unknown_topic_are_told() {
        let (index, cancel) = (index().await, CancellationToken::new());
        let ask = |topic: &str, selection| FailuresRequest { topic: topic.into(), selection, state: None };
        let fault = index.failures(&ask("orders-dlt", where_(".a |")), &Silent, &cancel).await.unwrap_err();
        assert_eq!((fault.code, fault.exit_code()), ("jq", 2));
        let fault = index.failures(&ask("order-dlt", where_(".")), &Silent, &cancel).await.unwrap_err();
        assert_eq!(fault.hint, "did you mean orders-dlt?");
    }
}
