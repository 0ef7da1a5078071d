//! Checks of a plan that ask the broker: loops, newer events of the same keys, who reads the targets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use foldhash::fast::FixedState;
use tokio_util::sync::CancellationToken;

use super::cluster::Target;
use super::document::{Refusal, Superseded};
use super::found::{Found, Kinds, Letters, Numbers};
use super::outgoing::value;
use super::plan::PlanHeader;
use super::shape::Shape;
use crate::broker::{Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::{Cx, Progress, Sink};
use crate::dlq::{Letter, formats};
use crate::event::envelope;
use crate::letters::{Index, read};
use crate::text::{Fault, Timestamp, units};

/// A record is redriven so often at most.
const LOOP_LIMIT: u32 = 3;
/// Reasons of one rule that are told apart.
const MOST_REASONS: usize = 20;
/// Letters that rules refuse, and the rules.
#[derive(Default)]
pub(super) struct Refused {
    force: Vec<String>,
    out: Numbers,
    refusals: Vec<Refusal>,
}

impl Refused {
    pub fn new(force: Vec<String>) -> Self {
        Self { force, ..Self::default() }
    }

    /// Refuses one letter, unless the rule is forced or the letter is out already.
    pub fn add(&mut self, letter: usize, rule: &'static str, why: String) {
        if self.force.iter().any(|f| f == rule) || !self.out.insert(letter) {
            return;
        }
        self.all(rule, why, 1);
    }

    /// Refuses by a rule that is about no single letter.
    pub fn all(&mut self, rule: &'static str, why: String, count: u64) {
        // Reasons that quote each letter would be as many as the letters.
        let many = self.refusals.iter().filter(|r| r.rule == rule).count() >= MOST_REASONS;
        let known = self.refusals.iter().any(|r| r.rule == rule && r.why == why);
        let why = if many && !known { "for other reasons of the kind".to_owned() } else { why };
        match self.refusals.iter_mut().find(|r| r.rule == rule && r.why == why) {
            Some(refusal) => refusal.count += count,
            None => self.refusals.push(Refusal { rule, why, count, hint: None }),
        }
    }

    /// Refuses all letters, with what can be done about it.
    pub fn fault(&mut self, fault: Fault, count: u64) {
        let hint = Some(fault.hint).filter(|hint| !hint.is_empty());
        let why = if fault.why.is_empty() { fault.what } else { format!("{}: {}", fault.what, fault.why) };
        self.refusals.push(Refusal { rule: fault.code, why, count, hint });
    }

    pub fn is_out(&self, letter: usize) -> bool {
        self.out.contains(letter)
    }

    pub fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }
}

/// Finds letters that were redriven before and failed again: too often, or for the same reason as before. Gives all
/// that failed again.
pub(super) async fn loops(
    index: &Index,
    header: &PlanHeader,
    (found, kinds, not): (&Letters, &Kinds, &Numbers),
    refused: &mut Refused,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Vec<usize>, Fault> {
    let mut again = Vec::new();
    // Letters of this topic whose redrive failed again as the letter at the index.
    let mut before: BTreeMap<(i32, i64), Vec<(usize, u32)>> = BTreeMap::new();
    {
        let follower = index.ledger().await;
        let ledger = follower.ledger();
        for (i, letter) in found.iter() {
            if refused.is_out(i) || not.contains(i) {
                continue;
            }
            let topic = kinds.of(&letter).and_then(|kind| kind.latest.as_ref());
            let row = letter.latest.zip(topic).and_then(|((p, o), topic)| ledger?.by_target(topic, p, o));
            let count = letter.count.max(row.map_or(0, |r| r.count));
            if count > 0 {
                again.push(i);
            }
            if count >= LOOP_LIMIT {
                let why = format!("they were redriven {LOOP_LIMIT} times or more, and failed again");
                refused.add(i, "loop_limit", why);
            } else if let Some(row) = row
                && Some(row.topic_id) == header.source.topic_id.as_ref()
            {
                before.entry((row.partition, row.offset)).or_default().push((i, letter.kind));
            }
        }
    }
    if !before.is_empty() {
        let config = &index.cx().profile.dead_letters;
        let positions: Vec<(i32, i64)> = before.keys().copied().collect();
        read::at(index.cx(), &header.source.topic, &positions, sink, cancel, &mut |record| {
            let failure = formats::decode(&record, config).failure.id;
            for &(i, kind) in before.get(&(record.at.partition, record.at.offset)).into_iter().flatten() {
                if kinds.all().get(kind as usize).is_some_and(|kind| kind.failure == failure) {
                    let why = "they were redriven before and failed for the same reason";
                    refused.add(i, "same_failure", why.to_owned());
                }
            }
            ControlFlow::Continue(())
        })
        .await?;
    }
    Ok(again)
}

/// Where one key's newest event on a target may lie.
#[derive(Default)]
struct Wanted {
    newest: Option<(i64, Option<Timestamp>)>,
    /// Events found.
    events: u64,
    /// The highest place among the events of the aggregate that one of them names.
    version: Option<i64>,
}

/// A letter with a newer event of its key on the target.
struct Later {
    number: usize,
    key: u64,
    /// The highest version that one of the events names.
    version: Option<i64>,
}

/// The letters that are sent to one target.
pub(super) struct Sent<'a> {
    pub found: &'a Letters,
    pub kinds: &'a Kinds,
    /// Of each kind, whether it goes there.
    pub goes: Vec<bool>,
    /// Letters that are not sent, whatever their kind.
    pub not: &'a Numbers,
}

impl Sent<'_> {
    /// Those that no rule refuses, with their numbers.
    fn letters(&self, refused: &Refused) -> impl Iterator<Item = (usize, Found)> {
        let goes = |letter: &Found| self.goes.get(letter.kind as usize) == Some(&true);
        let all = self.found.iter();
        all.filter(move |(n, letter)| goes(letter) && !refused.is_out(*n) && !self.not.contains(*n))
    }

    /// Whether the letter's record was first on this topic.
    fn is_from(&self, letter: &Found, topic: &Name) -> bool {
        self.kinds.of(letter).is_some_and(|kind| kind.origin.as_ref() == Some(topic))
    }
}

/// What a letter's record itself says of its place among the events of its aggregate.
fn version(letter: &Letter) -> Option<i64> {
    envelope::extract_from(&letter.record, value(letter).map(AsRef::as_ref)).sequence
}

/// The search for newer events of the letters' keys on their targets, within one budget of time.
pub(super) struct Search<'a> {
    cx: &'a Cx,
    /// The topic of the letters, and what is made of its records.
    source: &'a Name,
    shape: &'a Shape,
    until: Duration,
    pub superseded: Superseded,
    /// What to think about.
    pub told: Vec<String>,
}

impl<'a> Search<'a> {
    pub fn new(cx: &'a Cx, source: &'a Name, shape: &'a Shape, budget_ms: u64) -> Self {
        let until = cx.clock.monotonic() + Duration::from_millis(budget_ms);
        let superseded = Superseded { complete: true, ..Superseded::default() };
        Self { cx, source, shape, until, superseded, told: Vec::new() }
    }

    /// Looks at one target. Letters whose own versions say that a newer one is there are refused (`superseded`); where
    /// nothing but the order in the log says so, it is told. On a compacted target both refuse (`compacted_order`), and
    /// so does a look that could not be finished.
    pub async fn newer(
        &mut self,
        target: &Target,
        sent: &Sent<'_>,
        refused: &mut Refused,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let name = &target.planned.topic;
        let compacted = target.compacted == Some(true);
        let mut keys: HashSet<u64, FixedState> = HashSet::default();
        keys.extend(sent.letters(refused).filter_map(|(_, letter)| letter.key).map(|key| key.hash));
        if keys.is_empty() {
            return Ok(());
        }
        let mut events: HashMap<u64, Wanted> = HashMap::new();
        let complete = self.look(target, (sent, refused), (&keys, &mut events), sink, cancel).await?;
        drop(keys);
        self.superseded.complete &= complete;
        let mut later: BTreeMap<(i32, i64), Later> = BTreeMap::new();
        for (number, letter) in sent.letters(refused).filter(|_| !events.is_empty()) {
            let Some(key) = letter.key.map(|key| key.hash) else { continue };
            let Some(wanted) = events.get(&key) else { continue };
            let Some((offset, time)) = wanted.newest else { continue };
            let is_newer = match (sent.is_from(&letter, name), letter.origin_offset) {
                // Keys keep their partition, so offsets tell the order.
                (true, Some(origin)) => offset > origin,
                _ => time.zip(letter.origin_time.or(letter.time)).is_none_or(|(t, own)| t > own),
            };
            if is_newer {
                let is = Later { number, key, version: wanted.version };
                later.insert((letter.partition, letter.offset), is);
            }
        }
        let (own, all_compared) = self.versions(&later, sink, cancel).await?;
        self.superseded.complete &= all_compared;
        let complete = complete && all_compared;
        // What both name as their version counts more than the order in the log.
        let is_old = |is: &Later| own.get(&is.number).copied().zip(is.version).map(|(o, v)| o < v);
        later.retain(|_, is| is_old(is) != Some(false));
        let count = later.len() as u64;
        let held: HashSet<u64> = later.values().map(|is| is.key).collect();
        let events: u64 = held.iter().filter_map(|key| events.get(key)).map(|wanted| wanted.events).sum();
        let newest = later.values().filter_map(|is| is.version).max();
        self.superseded.count += count;
        self.superseded.events += events;
        self.superseded.newest_version = self.superseded.newest_version.max(newest);
        let by = |version: Option<i64>| version.map_or_else(String::new, |v| format!(", newest version {v}"));
        if compacted {
            for is in later.values() {
                let why = format!(
                    "{name} is compacted and has newer values of their keys, which they would replace"
                );
                refused.add(is.number, "compacted_order", why);
            }
            if !complete {
                let numbers: Vec<usize> = sent.letters(refused).map(|(number, _)| number).collect();
                for number in numbers {
                    let why =
                        format!("{name} is compacted, and could not be searched for newer values in time");
                    refused.add(number, "compacted_order", why);
                }
            }
            return Ok(());
        }
        let proved = |is: &&Later| is_old(is) == Some(true);
        let highest = later.values().filter(proved).filter_map(|is| is.version).max();
        for is in later.values().filter(proved) {
            let why = format!("{name} has newer versions of their keys{}", by(highest));
            refused.add(is.number, "superseded", why);
        }
        if count > 0 {
            let (letters, events) = (units::count(count), units::count(events));
            let by = by(newest);
            self.told.push(format!(
                "{letters} letters have newer events of their key on {name} ({events} events{by})"
            ));
        }
        if !complete {
            self.told.push(format!("{name} could not be searched for newer events in time"));
        }
        Ok(())
    }

    /// Reads the letters again whose keys have events with versions, for their own versions. Gives whether all of them
    /// could be read in time.
    async fn versions(
        &self,
        later: &BTreeMap<(i32, i64), Later>,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(HashMap<usize, i64>, bool), Fault> {
        let at: Vec<(i32, i64)> =
            later.iter().filter(|(_, is)| is.version.is_some()).map(|(at, _)| *at).collect();
        let (mut own, mut complete) = (HashMap::new(), true);
        if at.is_empty() {
            return Ok((own, complete));
        }
        read::at(self.cx, self.source, &at, sink, cancel, &mut |record| {
            if let Some(is) = later.get(&(record.at.partition, record.at.offset))
                && let Some(version) = version(&self.shape.letter(&record))
            {
                own.insert(is.number, version);
            }
            complete = self.cx.clock.monotonic() <= self.until;
            if complete { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await?;
        Ok((own, complete))
    }

    /// Finds the newest event of each key; gives whether all was looked at.
    async fn look(
        &mut self,
        target: &Target,
        (sent, refused): (&Sent<'_>, &Refused),
        (keys, events): (&HashSet<u64, FixedState>, &mut HashMap<u64, Wanted>),
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<bool, Fault> {
        let name = &target.planned.topic;
        // Only what lies behind the earliest of the letters' own records can be newer.
        let mut from: HashMap<i32, i64> = HashMap::new();
        let mut anywhere = false;
        for (_, letter) in sent.letters(refused) {
            match (sent.is_from(&letter, name), letter.origin_partition, letter.origin_offset) {
                (true, Some(partition), Some(offset)) => {
                    let first = from.entry(partition).or_insert(i64::MAX);
                    *first = (*first).min(offset.saturating_add(1));
                }
                _ => anywhere = true,
            }
        }
        let shards: Vec<Shard> =
            (0..target.planned.partitions).map(|p| Shard::new(Name::clone(name), p)).collect();
        let mut spans = Vec::new();
        let mut total = 0;
        for (shard, bounds) in shards.iter().zip(self.cx.broker.catalog().bounds(&shards).await?) {
            let bounds = bounds?;
            let first = if anywhere { Some(bounds.start) } else { from.get(&shard.partition).copied() };
            let Some(first) = first else { continue };
            let first = first.max(bounds.start);
            if first < bounds.last_stable {
                total += (bounds.last_stable - first).unsigned_abs();
                let until = Until::Offset(bounds.last_stable);
                spans.push(Span { shard: shard.clone(), from: first, until });
            }
        }
        self.superseded.of += total;
        if spans.is_empty() {
            return Ok(true);
        }
        let mut progress = Progress {
            what: format!("looking for newer events on {name}"),
            total: Some(total),
            ..Progress::default()
        };
        let mut at: HashMap<i32, i64> = spans.iter().map(|s| (s.shard.partition, s.from)).collect();
        let mut batches = self.cx.broker.reader().open(ReadPlan::new(spans), cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for (shard, position) in &batch.positions {
                // Offsets, not records: gaps and markers are looked at, too.
                if let Some(before) = at.insert(shard.partition, *position) {
                    let on = position.saturating_sub(before).max(0).unsigned_abs();
                    progress.done += on;
                    self.superseded.checked += on;
                }
            }
            sink.progress(progress.clone());
            for record in &batch.records {
                let key = record.key.as_ref().map(|key| sent.kinds.key(key).hash);
                if let Some(key) = key.filter(|key| keys.contains(key)) {
                    let wanted = events.entry(key).or_default();
                    wanted.newest = Some((record.at.offset, record.timestamp())).max(wanted.newest);
                    wanted.events += 1;
                    wanted.version = wanted.version.max(envelope::extract(record).sequence);
                }
            }
            let failed =
                batch.notices.iter().any(|n| matches!(n, Notice::Failed(..) | Notice::Truncated { .. }));
            if failed || self.cx.clock.monotonic() > self.until {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Groups with commits on the targets.
pub(super) async fn groups_of(cx: &Cx, targets: &HashSet<&Name>) -> Result<Vec<Name>, Fault> {
    let Some(port) = cx.broker.groups() else { return Ok(Vec::new()) };
    let names: Vec<Name> = port.list().await?.into_iter().map(|g| g.group).collect();
    let mut out: Vec<Name> = names
        .iter()
        .zip(port.committed(&names).await?)
        .filter(|(_, answer)| {
            answer
                .as_ref()
                .is_ok_and(|commits| commits.iter().any(|(shard, _)| targets.contains(&shard.topic)))
        })
        .map(|(name, _)| Name::clone(name))
        .collect();
    out.sort();
    Ok(out)
}
