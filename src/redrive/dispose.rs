//! Discards, parks and releases letters: shows which first, then writes exactly these.
//!
//! Rows of a dead-letter topic are written under its one transactional id, after its ledger was read to its end, so
//! each step is judged by the state machine on a state that nobody else can change meanwhile. Letters are read
//! again at their positions: a row holds the digest of the very record that it is about.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::disposal::{Disposal, DisposalAnswer, DisposalRequest, DisposeRequest, LONGEST_REASON};
use super::document::Tally;
use super::fence::{self, Fence, Halt};
use super::item::{Run, earlier, group, redriven_before};
use super::run::{no_transactions, read_only};
use super::shelf::{Alike, Shelf, listed, shared};
use super::transaction::{Ended, book};
use super::{audit, books, cluster};
use crate::broker::{Name, Shard, Write, Writer};
use crate::context::{Cx, Progress, Silent, Sink};
use crate::dlq::formats;
use crate::dlq::letter::Origin;
use crate::event::Digest;
use crate::ledger::audit::{Action, AuditRecord, Totals, ranges};
use crate::ledger::letters::Listed;
use crate::ledger::row::{LetterRow, OwnerState};
use crate::ledger::{AUDIT_TOPIC, Disposition};
use crate::letters::ledger::LedgerReader;
use crate::letters::{Index, read};
use crate::text::{Fault, units};

/// Letters of a transaction at most.
const MOST_BATCH: usize = 2_000;
/// Letters read at once; of each only some hundred bytes are kept.
const MOST_READ: usize = 5_000;

/// Says what a disposal would do. Writes nothing.
pub async fn preview(
    index: &Index,
    request: &DisposalRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<DisposalAnswer, Fault> {
    let cx = index.cx();
    let act = request.act;
    let topic = &request.letters.topic;
    let cluster = cx.broker.catalog().cluster().await?;
    let there = cluster::targets(cx, std::slice::from_ref(topic)).await?.remove(topic);
    let Some(there) = there else { return Err(cx.unknown_topic(topic).await) };
    let Some(topic_id) = there.planned.topic_id else { return Err(no_transactions("has no topic ids")) };
    let only: Option<HashSet<(i32, i64)>> = request.only.as_ref().map(|only| only.iter().copied().collect());
    let mut letters: Vec<(i32, i64, Digest)> = Vec::new();
    let mut failures: HashMap<Arc<str>, (Arc<str>, u64)> = HashMap::new();
    let takes = |state| act.takes(state);
    let survey = index
        .survey(&request.letters, only.as_ref(), &takes, sink, cancel, &mut |row| {
            let record = &row.letter.record;
            letters.push((record.at.partition, record.at.offset, record.digest()));
            let failure = &row.letter.failure;
            failures.entry(Arc::clone(&failure.id)).or_insert_with(|| (failure.title(), 0)).1 += 1;
            ControlFlow::Continue(())
        })
        .await?;
    let health = cluster::health(cx).await?;
    books::may_write(cx, &health).await?;
    let mut warnings = health.warnings;
    if !survey.complete && request.letters.selection.limit.is_none() {
        warnings.push("not all letters of the topic could be read: it is for those that were".to_owned());
    }
    let named = survey.given + survey.others.values().sum::<u64>() + survey.gone;
    if let Some(lost) = only.as_ref().map(|only| (only.len() as u64).saturating_sub(named)).filter(|n| *n > 0)
    {
        warnings.push(format!("{lost} of the positions given hold no letter"));
    }
    if let Some(why) = health.weak {
        warnings.push(format!("{why}: refused, unless ledger_weak is forced"));
    }
    letters.sort_unstable_by_key(|(partition, offset, _)| (*partition, *offset));
    let mut by_failure: Vec<Tally> =
        failures.into_values().map(|(name, count)| Tally { name: name.to_string(), count }).collect();
    by_failure.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    let disposal = Disposal {
        act,
        cluster_id: cluster.id,
        topic: Arc::clone(topic),
        topic_id,
        letters,
        skipped: survey.others,
    };
    let mut answer = begun(cx, &Arc::new(disposal));
    answer.by_failure = by_failure;
    answer.complete = survey.complete;
    answer.filter_errors = survey.filter_errors;
    answer.expired = survey.gone;
    answer.warnings = warnings;
    answer.dry_run = true;
    Ok(answer)
}

/// The answer of a disposal of which nothing is done yet.
fn begun(cx: &Cx, disposal: &Arc<Disposal>) -> DisposalAnswer {
    let selected = disposal.letters.len() as u64;
    DisposalAnswer {
        action: disposal.act.as_str(),
        run: None,
        topic: Arc::clone(&disposal.topic),
        operator: cx.operator.name.clone(),
        reason: None,
        started: cx.clock.now(),
        seconds: 0.0,
        selected,
        changed: 0,
        skipped: disposal.skipped.clone(),
        expired: 0,
        remaining: selected,
        by_failure: Vec::new(),
        positions: ranges(disposal.letters.iter().map(|(p, o, _)| (*p, *o))),
        complete: true,
        filter_errors: 0,
        warnings: Vec::new(),
        ledger_wait_seconds: 0.0,
        stopped: None,
        stopped_reason: None,
        dry_run: false,
        disposal: Arc::clone(disposal),
    }
}

/// Sets the disposition of exactly these letters.
pub async fn dispose(
    index: &Index,
    request: &DisposeRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<DisposalAnswer, Fault> {
    let cx = index.cx();
    let disposal = &request.disposal;
    let reason = checked_reason(&request.reason)?;
    let Some(writer) = cx.broker.writer() else { return Err(read_only(cx)) };
    check_cluster(cx, disposal).await?;
    let began = cx.clock.monotonic();
    let mut answer = begun(cx, disposal);
    answer.reason = Some(reason.to_owned());
    if disposal.letters.is_empty() {
        return Ok(answer);
    }
    let run = uuid::Uuid::new_v4().simple().to_string();
    let mut ledger = LedgerReader::new(cx.clone());
    ledger.refresh(sink, cancel).await?;
    let place = (&*disposal.topic_id, &*disposal.topic);
    let took_over =
        fence::await_place(cx, &mut ledger, place, request.take_over, &|_| {}, sink, cancel).await?;
    let missing = books::check(cx, books::weak(&request.force)).await?;
    let fence = Fence::new(cx, &run, Arc::clone(&disposal.topic_id), ledger, missing, sink, cancel);
    let mut work = Work { cx, request, reason, run, fence, answer, ready: VecDeque::new(), sink };
    let ended = work.go(writer, took_over.is_some()).await;
    let (stopped, fault) = match ended {
        Ok(()) => (None, None),
        Err(Halt::Cancelled) => (Some("cancelled"), None),
        // An action has no canary, and nothing of it can fail again.
        Err(Halt::Fenced(why) | Halt::Canary(why) | Halt::Refailures(why)) => {
            (Some("fenced"), Some(Fault::refused("fenced", "another run took over").why(why)))
        }
        Err(Halt::Fault(fault)) => (Some("error"), Some(fault)),
    };
    if !work.fence.has_written()
        && let Some(stopped) = stopped
    {
        return Err(fault.filter(|_| stopped != "cancelled").unwrap_or_else(Fault::cancelled));
    }
    let stopped_reason = fault.as_ref().map(ToString::to_string);
    work.close(writer, stopped, stopped_reason.clone()).await;
    let mut answer = work.answer;
    answer.run = work.fence.has_written().then_some(work.run);
    answer.ledger_wait_seconds = work.fence.waited.as_secs_f64();
    answer.stopped = stopped;
    answer.stopped_reason = stopped_reason;
    answer.seconds = cx.clock.monotonic().saturating_sub(began).as_secs_f64();
    Ok(answer)
}

/// A reason that can be kept: some words, not too many.
pub fn checked_reason(reason: &str) -> Result<&str, Fault> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Fault::usage("usage", "a reason is needed").hint("say in a few words why: --reason TEXT"));
    }
    if reason.len() > LONGEST_REASON {
        return Err(Fault::usage("usage", "the reason is too long").why(format!(
            "it has {} bytes, and every row of the ledger gets it; {LONGEST_REASON} are the most",
            units::count(reason.len() as u64)
        )));
    }
    Ok(reason)
}

/// Compares what was shown with the cluster, before anything is written.
async fn check_cluster(cx: &Cx, disposal: &Disposal) -> Result<(), Fault> {
    if !cx.broker.capabilities().transactions.usable() {
        return Err(no_transactions("has no transactions"));
    }
    let cluster = cx.broker.catalog().cluster().await?;
    if cluster.id != disposal.cluster_id {
        return Err(Fault::refused("wrong_cluster", "the letters were listed on another cluster"));
    }
    let topic = &disposal.topic;
    let there = cluster::targets(cx, std::slice::from_ref(topic)).await?.remove(topic);
    match there {
        Some(now) if now.planned.topic_id.as_ref() == Some(&disposal.topic_id) => Ok(()),
        Some(_) => Err(Fault::refused("target_changed", format!("{topic} is not the topic that was shown"))
            .why("it was deleted and made again since, so its offsets mean other letters")
            .hint("look at its letters again")),
        None => Err(cx.unknown_topic(topic).await),
    }
}

/// The ends of the topic's partitions: reading beyond would wait for ever.
async fn ends(cx: &Cx, disposal: &Disposal) -> Result<HashMap<i32, i64>, Fault> {
    let partitions: BTreeSet<i32> = disposal.letters.iter().map(|(p, ..)| *p).collect();
    let shards: Vec<Shard> =
        partitions.iter().map(|p| Shard::new(Name::clone(&disposal.topic), *p)).collect();
    let bounds = cx.broker.catalog().bounds(&shards).await?;
    shards.iter().zip(bounds).map(|(shard, b)| Ok((shard.partition, b?.last_stable))).collect()
}

/// A letter that was read again.
struct Ready {
    partition: i32,
    offset: i64,
    sha256: Digest,
    root: Origin,
    group: Option<Name>,
    count: u32,
}

impl Ready {
    fn alike(&self) -> Alike<'_> {
        (self.partition, 0, self.root.topic.as_deref(), self.group.as_deref())
    }

    /// What it says in a row.
    fn listed(&self) -> Listed {
        listed(self.offset, &self.root, self.count, self.sha256)
    }
}

/// A disposal under way.
struct Work<'a> {
    cx: &'a Cx,
    request: &'a DisposeRequest,
    reason: &'a str,
    /// Id of the action.
    run: String,
    fence: Fence<'a>,
    answer: DisposalAnswer,
    /// Read, not written yet.
    ready: VecDeque<Ready>,
    sink: &'a dyn Sink,
}

/// How an action ended: why early, in a word and in words.
type End = (Option<&'static str>, Option<String>);

impl Work<'_> {
    async fn go(&mut self, writer: &dyn Writer, takes_over: bool) -> Result<(), Halt> {
        self.fence.begin(writer).await?;
        if takes_over {
            // So that the run whose place this one takes finds its successor at once.
            self.commit(writer, Vec::new(), None).await?;
        }
        let disposal = Arc::clone(&self.request.disposal);
        let ends = ends(self.cx, &disposal).await?;
        let mut rest = disposal.letters.chunks(MOST_READ);
        loop {
            while self.ready.len() <= MOST_BATCH
                && let Some(chunk) = rest.next()
            {
                self.read(chunk, &ends).await?;
            }
            let piece: Vec<Ready> = self.ready.drain(..self.ready.len().min(MOST_BATCH)).collect();
            if piece.is_empty() {
                return Ok(());
            }
            if self.fence.cancel.is_cancelled() {
                return Err(Halt::Cancelled);
            }
            let end = self.ready.is_empty().then_some((None, None));
            self.commit(writer, piece, end).await?;
            self.sink.progress(Progress {
                what: format!("{} letters of {}", self.request.disposal.act.doing(), disposal.topic),
                done: self.answer.selected - self.answer.remaining,
                total: Some(self.answer.selected),
                ..Progress::default()
            });
        }
    }

    /// Reads letters that the action may be done to.
    async fn read(&mut self, chunk: &[(i32, i64, Digest)], ends: &HashMap<i32, i64>) -> Result<(), Fault> {
        let act = self.request.disposal.act;
        let mut wanted: Vec<(i32, i64)> = Vec::with_capacity(chunk.len());
        for (partition, offset, _) in chunk {
            let state = self.state(*partition, *offset);
            if !act.takes(state) {
                self.skip(state);
            } else if ends.get(partition).is_some_and(|end| offset < end) {
                wanted.push((*partition, *offset));
            } else {
                self.answer.expired += 1;
                self.answer.remaining -= 1;
            }
        }
        let config = &self.cx.profile.dead_letters;
        let (ledger, source) = (self.fence.rows(), &*self.request.disposal.topic_id);
        let mut changed = None;
        let mut ready = Vec::with_capacity(wanted.len());
        let topic = &self.request.disposal.topic;
        read::at(self.cx, topic, &wanted, &Silent, &self.fence.cancel, &mut |record| {
            let at = (record.at.partition, record.at.offset);
            let sha256 = record.digest();
            if chunk.binary_search_by_key(&at, |(p, o, _)| (*p, *o)).ok().map(|i| chunk[i].2) != Some(sha256)
            {
                changed = Some(at);
                return ControlFlow::Break(());
            }
            let letter = formats::decode(&record, config);
            ready.push(Ready {
                partition: at.0,
                offset: at.1,
                sha256,
                root: letter.root.clone(),
                group: group(&letter),
                count: redriven_before(&letter, ledger, source),
            });
            ControlFlow::Continue(())
        })
        .await?;
        if let Some((partition, offset)) = changed {
            return Err(Fault::refused(
                "plan_damaged",
                format!("letter {partition}/{offset} is another one"),
            )
            .why("its bytes are not those that were shown")
            .hint("look at the letters again"));
        }
        let gone = (wanted.len() - ready.len()) as u64;
        self.answer.expired += gone;
        self.answer.remaining -= gone;
        self.ready.extend(ready);
        Ok(())
    }

    fn state(&self, partition: i32, offset: i64) -> Disposition {
        let source = &self.request.disposal.topic_id;
        let ledger = self.fence.rows();
        ledger.map_or(Disposition::Pending, |l| l.disposition(source, partition, offset))
    }

    /// Counts a letter that is in another state by now.
    fn skip(&mut self, state: Disposition) {
        *self.answer.skipped.entry(state.as_str()).or_default() += 1;
        self.answer.remaining -= 1;
    }

    /// Writes letters in one transaction, and settles from the ledger what became of it. With `end` it is the last.
    async fn commit(
        &mut self,
        writer: &dyn Writer,
        mut piece: Vec<Ready>,
        end: Option<End>,
    ) -> Result<(), Halt> {
        let claims = piece.is_empty();
        loop {
            let renews = end.is_some() || self.fence.is_due();
            let rows = self.rows(&piece, renews, end.as_ref());
            match self.fence.commit(rows, Vec::new(), renews).await {
                Ended::Committed(_) => {
                    self.count(piece.len());
                    return Ok(());
                }
                Ended::Lost(error) => {
                    self.fence.recover(writer, error).await?;
                    piece = self.settle(piece);
                    if piece.is_empty() && (!claims || self.fence.has_written()) {
                        return Ok(());
                    }
                }
                Ended::Failed(fault) => return Err(fault.into()),
                Ended::Refused { why, .. } | Ended::Partly { why, .. } => {
                    return Err(Fault::failed("ledger", why).into());
                }
            }
        }
    }

    fn count(&mut self, letters: usize) {
        self.answer.changed += letters as u64;
        self.answer.remaining -= letters as u64;
    }

    /// After the ledger was read again: counts the letters that it has, gives those that are still to be written.
    fn settle(&mut self, piece: Vec<Ready>) -> Vec<Ready> {
        let source = Arc::clone(&self.request.disposal.topic_id);
        let mut left = Vec::new();
        for letter in piece {
            let ledger = self.fence.rows();
            let row = ledger.and_then(|l| l.get(&source, letter.partition, letter.offset));
            match row.map(|r| (**r.run == *self.run, r.disposition)) {
                Some((true, _)) => self.count(1),
                Some((false, state)) if !self.request.disposal.act.takes(state) => self.skip(state),
                _ => left.push(letter),
            }
        }
        left
    }

    /// The rows of one transaction.
    fn rows(&self, piece: &[Ready], renews: bool, end: Option<&End>) -> Vec<Write> {
        let disposal = &self.request.disposal;
        let now = self.cx.clock.now().as_millis();
        let is_first = !self.fence.has_written();
        let mut rows = self.fence.first_rows(self.audit(Action::Ledger, now));
        if renews {
            let state = if end.is_some() { OwnerState::Done } else { OwnerState::Running };
            rows.push(self.fence.owner_row(&disposal.cluster_id, state));
        }
        let ledger = self.fence.rows();
        let run = Run { id: &self.run, operator: &self.cx.operator.name, reason: Some(self.reason) };
        let mut shelf = Shelf::new(&disposal.cluster_id, &disposal.topic_id, &self.run);
        for letter in piece {
            let before = ledger.and_then(|l| l.get(&disposal.topic_id, letter.partition, letter.offset));
            match earlier(before) {
                none if none.is_empty() => shelf.add(letter.alike(), letter.listed()),
                earlier => {
                    let shared = shared(disposal.act.becomes(), &run, None, letter.alike(), now);
                    let row = LetterRow { earlier, ..shared.own(&letter.listed()) };
                    shelf.alone(letter.partition, letter.offset, &row);
                }
            }
        }
        rows.extend(shelf.rows(|alike| shared(disposal.act.becomes(), &run, None, alike, now)));
        let action = match (end, is_first) {
            (Some(_), _) => Action::End,
            (None, true) => Action::Start,
            (None, false) => Action::Batch,
        };
        let mut record = self.audit(action, now);
        record.positions = ranges(piece.iter().map(|l| (l.partition, l.offset)));
        record.totals = Totals {
            planned: self.answer.selected,
            disposed: self.answer.changed + piece.len() as u64,
            expired: self.answer.expired,
            already_handled: self.answer.selected
                - self.answer.changed
                - self.answer.expired
                - self.answer.remaining,
            ..Totals::default()
        };
        if let Some((stopped, reason)) = end {
            record.stopped = stopped.map(str::to_owned);
            record.stopped_reason.clone_from(reason);
        }
        rows.push(book(AUDIT_TOPIC, None, record.encode()));
        rows
    }

    fn audit(&self, action: Action, now: i64) -> AuditRecord {
        let disposal = &self.request.disposal;
        let mut record = audit::record(self.cx, action, now);
        if action != Action::Ledger {
            record.kind = disposal.act.kind();
        }
        record.run.clone_from(&self.run);
        record.cluster = disposal.cluster_id.to_string();
        record.topic = disposal.topic.to_string();
        record.topic_id = disposal.topic_id.to_string();
        record.reason = Some(self.reason.to_owned());
        record.forced.clone_from(&self.request.force);
        record.started_ms = self.answer.started.as_millis();
        record
    }

    /// Closes an action that has written something, and is not closed by its last transaction. What cannot be closed
    /// is found as abandoned later.
    async fn close(&mut self, writer: &dyn Writer, stopped: Option<&'static str>, reason: Option<String>) {
        let closed = stopped.is_none() && self.answer.remaining == 0 && self.answer.changed > 0;
        if !self.fence.has_written() || stopped == Some("fenced") || closed {
            return;
        }
        // The operator's cancel was for what goes before.
        self.fence.cancel = CancellationToken::new();
        let end: End = (stopped, reason);
        for _ in 0..2 {
            let rows = self.rows(&[], true, Some(&end));
            match self.fence.commit(rows, Vec::new(), true).await {
                Ended::Lost(error) => {
                    if self.fence.recover(writer, error).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}
