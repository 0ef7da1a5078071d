//! The writing side of a copy: records of another topic, each once, with what was copied told by the audit.
//!
//! A transaction holds records and an audit record with the offsets of the source that it covers. So a copy that was
//! stopped or killed goes on where it was, and one that is repeated copies only what came since. Limits: what counts as
//! the same copy is the source, the target and the conditions; a partition's records keep their order, records of
//! different partitions do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::produce::target;
use super::run::{no_transactions, read_only};
use super::transfer::{Chain, Mark, Unwritten, search};
use super::{audit, cluster};
use crate::broker::{Name, Placed, Write};
use crate::context::Cx;
use crate::event::Record;
use crate::ledger::audit::{Action, AuditRecord, Kind, Totals};
use crate::text::{Fault, Timestamp, units};

pub use super::import::Place;

/// Inclusive ranges of offsets by partition, in order and without overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered(BTreeMap<i32, Vec<(i64, i64)>>);

impl Covered {
    /// Adds a range.
    pub fn add(&mut self, partition: i32, first: i64, last: i64) {
        if last < first {
            return;
        }
        let ranges = self.0.entry(partition).or_default();
        ranges.push((first, last));
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges.drain(..) {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        *ranges = merged;
    }

    /// The first offset from `from` on that is not covered.
    pub fn next(&self, partition: i32, from: i64) -> i64 {
        let range = self.range(partition, from);
        range.map_or(from, |(_, last)| last.saturating_add(1))
    }

    /// Whether an offset is covered.
    pub fn has(&self, partition: i32, offset: i64) -> bool {
        self.range(partition, offset).is_some()
    }

    fn range(&self, partition: i32, offset: i64) -> Option<(i64, i64)> {
        let ranges = self.0.get(&partition)?;
        let at = ranges.partition_point(|(first, _)| *first <= offset).checked_sub(1)?;
        ranges.get(at).copied().filter(|(_, last)| *last >= offset)
    }

    /// Offsets covered between two edges, the second one exclusive.
    pub fn within(&self, partition: i32, from: i64, to: i64) -> u64 {
        let ranges = self.0.get(&partition).into_iter().flatten();
        let parts = ranges.map(|(first, last)| (last.saturating_add(1).min(to) - *first.max(&from)).max(0));
        parts.map(i64::unsigned_abs).sum()
    }
}

/// A target of copies.
pub struct Receiver<'a> {
    cx: &'a Cx,
    there: cluster::Target,
    topic_id: Arc<str>,
    /// What is copied, told from every other copy.
    identity: String,
    place: Place,
}

impl<'a> Receiver<'a> {
    /// Looks at the target; none is ever made by copying.
    pub async fn new(cx: &'a Cx, into: &Name, identity: String, place: Place) -> Result<Self, Fault> {
        let there = target(cx, into).await?;
        let Some(topic_id) = there.planned.topic_id.clone() else {
            return Err(no_transactions("has no topic ids"));
        };
        Ok(Self { cx, there, topic_id, identity, place })
    }

    /// Refuses partitions of the source that the target does not have.
    pub fn check(&self, highest: Option<i32>) -> Result<(), Fault> {
        let partitions = self.there.planned.partitions;
        match highest.filter(|highest| self.place == Place::Original && *highest >= partitions) {
            None => Ok(()),
            Some(highest) => Err(Fault::refused(
                "target_changed",
                format!("{} has too few partitions", self.there.planned.topic),
            )
            .why(format!("partition {highest} is copied, the target has {partitions} partitions"))
            .hint("give --place rehash: each key goes where the Java client puts it")),
        }
    }

    /// What to think about before it begins; `oldest` tells whether there are records from before a time.
    pub async fn warnings(
        &self,
        oldest: impl AsyncFnOnce(Timestamp) -> Result<bool, Fault>,
    ) -> Result<Vec<String>, Fault> {
        let now = self.cx.clock.now();
        let mut out = self.there.doubts(None, now);
        let ages = self.there.retention_ms.filter(|_| !self.there.stamps);
        if let Some(ms) = ages
            && oldest(now.plus_millis(ms.saturating_neg())).await?
        {
            let topic = &self.there.planned.topic;
            out.push(format!(
                "{topic} deletes what is older than {}: some of the records are",
                units::age(ms)
            ));
        }
        Ok(out)
    }

    /// Why the target would not take a record with this timestamp.
    pub fn refuses(&self, at: Option<Timestamp>) -> Option<String> {
        at.and_then(|at| self.there.refuses(at, self.cx.clock.now()))
    }

    /// What earlier copies of the same covered.
    pub async fn covered(&self, cancel: &CancellationToken) -> Result<Covered, Fault> {
        let mut covered = Covered::default();
        search(self.cx, self.mark(String::new()).work(), cancel, &mut |record| fold(&mut covered, &record))
            .await?;
        Ok(covered)
    }

    fn mark(&self, run: String) -> Mark {
        Mark { kind: Kind::Copy, plan: self.identity.clone(), topic_id: self.topic_id.to_string(), run }
    }

    /// Becomes the one that copies this; gives what was covered before.
    pub async fn begin(
        &'a self,
        again: Again,
        reason: Option<String>,
        cancel: &CancellationToken,
    ) -> Result<(Copying<'a>, Covered), Fault> {
        let Some(writer) = self.cx.broker.writer() else { return Err(read_only(self.cx)) };
        if !self.cx.broker.capabilities().transactions.usable() {
            return Err(no_transactions("has no transactions"));
        }
        let mark = self.mark(uuid::Uuid::new_v4().simple().to_string());
        let short = self.identity.get(..16).unwrap_or_default();
        let id = format!("redrive-copy-{short}-{}", self.topic_id);
        let mut covered = Covered::default();
        let mut earlier = |record: &AuditRecord| fold(&mut covered, record);
        let chain = Chain::begin(self.cx, writer, id, mark.clone(), &mut earlier, cancel).await?;
        let first = again == Again::Yes || covered == Covered::default();
        if again == Again::Yes {
            covered = Covered::default();
        }
        let started = self.cx.clock.now();
        Ok((Copying { receiver: self, chain, mark, reason, started, copied: 0, first }, covered))
    }
}

/// Whether what was copied before is copied once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Only what was not.
    #[default]
    No,
    /// All of it.
    Yes,
}

/// The first record of a copy that was begun anew says so: what was covered before does not count.
fn fold(covered: &mut Covered, record: &AuditRecord) {
    if record.action == Action::Start {
        *covered = Covered::default();
    }
    for (partition, ranges) in &record.positions {
        for (first, last) in ranges {
            covered.add(*partition, *first, *last);
        }
    }
}

/// A copy under way.
pub struct Copying<'a> {
    receiver: &'a Receiver<'a>,
    chain: Chain<'a>,
    mark: Mark,
    reason: Option<String>,
    started: Timestamp,
    copied: u64,
    first: bool,
}

impl Copying<'_> {
    /// Its id in the audit.
    pub fn run(&self) -> &str {
        &self.mark.run
    }

    /// Records written so far.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// Writes records, and that `covered` of the source is done; all of it, or nothing.
    pub async fn write(
        &mut self,
        records: &[Record],
        covered: BTreeMap<i32, Vec<(i64, i64)>>,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let action = if self.first { Action::Start } else { Action::Batch };
        self.step(action, records, covered, None, cancel).await
    }

    /// Writes down that it ended, and why early where it did.
    pub async fn end(&mut self, stopped: Option<&Fault>) -> Result<(), Fault> {
        // What was stopped is written down, too.
        let cancel = CancellationToken::new();
        if self.first {
            self.write(&[], BTreeMap::new(), &cancel).await?;
        }
        self.step(Action::End, &[], BTreeMap::new(), stopped, &cancel).await
    }

    async fn step(
        &mut self,
        action: Action,
        records: &[Record],
        covered: BTreeMap<i32, Vec<(i64, i64)>>,
        stopped: Option<&Fault>,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let topic = &self.receiver.there.planned.topic;
        let write = |record: &Record| Write {
            topic: Name::clone(topic),
            partition: (self.receiver.place == Place::Original).then_some(record.at.partition),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
            timestamp: record.timestamp(),
        };
        let writes: Vec<Write> = records.iter().map(write).collect();
        let copied = self.copied + records.len() as u64;
        let mark = self.mark.clone();
        let (reason, started, cx) = (self.reason.clone(), self.started, self.receiver.cx);
        let audit = |_: &[Placed]| {
            let mut record = audit::record(cx, action, cx.clock.now().as_millis());
            record.kind = mark.kind;
            record.run.clone_from(&mark.run);
            record.plan.clone_from(&mark.plan);
            record.topic = topic.to_string();
            record.topic_id.clone_from(&mark.topic_id);
            record.reason.clone_from(&reason);
            record.started_ms = started.as_millis();
            record.positions.clone_from(&covered);
            record.stopped = stopped.map(|fault| fault.code.to_owned());
            record.stopped_reason = stopped.map(Fault::to_string);
            // How many of the source's records match is known when all are read.
            record.totals = Totals { planned: copied, disposed: copied, ..Totals::default() };
            record
        };
        self.chain.write(&writes, &audit, cancel).await.map_err(|unwritten| match unwritten {
            Unwritten::Refused(index, error) => {
                let at = records.get(index).map_or_else(String::new, |record| record.at.to_string());
                Fault::failed(error.kind.code(), format!("{topic} does not take {at}")).why(error.why)
            }
            Unwritten::Failed(fault) => fault,
        })?;
        self.copied = copied;
        self.first = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_covered_is_what_was_added(ranges in proptest::collection::vec((0_i64..40, 0_i64..8), 0..12), from in 0_i64..50) {
            let mut covered = Covered::default();
            for (first, length) in &ranges {
                covered.add(1, *first, first + length - 1);
            }
            let has = |offset: i64| ranges.iter().any(|(first, n)| (*first..first + n).contains(&offset));
            for offset in 0..60 {
                prop_assert_eq!(covered.has(1, offset), has(offset));
            }
            prop_assert_eq!(covered.next(1, from), (from..60).find(|offset| !has(*offset)).unwrap());
            let within = (from..50).filter(|offset| has(*offset)).count() as u64;
            prop_assert_eq!(covered.within(1, from, 50), within);
            prop_assert!(!covered.has(0, from));
        }
    }
}
