//! When retention can delete a letter that is still open.
//!
//! Kafka deletes whole segments, from the oldest on: by time when the largest timestamp of a segment has passed
//! `retention.ms`, by size while the partition is larger than `retention.bytes`. So a letter goes no earlier than
//! the largest timestamp up to it allows, and may stay longer, with its segment. In a compacted topic a letter
//! goes when a later one has its key.

use std::collections::HashSet;

use super::fold::{Entry, Fold};
use crate::broker::TopicConfig;
use crate::text::Timestamp;

/// What a topic's configuration says of how long its records stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// `retention.ms`, where records are deleted by age.
    pub age_ms: Option<i64>,
    /// `retention.bytes` of a partition, where records are deleted by size.
    pub bytes: Option<u64>,
    /// `min.compaction.lag.ms`, where records are compacted away.
    pub compacted_after_ms: Option<i64>,
}

impl Retention {
    /// Reads the configuration. What cannot be seen in it is not known, and claims nothing.
    pub fn of(config: &TopicConfig) -> Self {
        let value = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
        let number = |name: &str| value(name).and_then(|v| v.parse::<i64>().ok());
        let policy = value("cleanup.policy").unwrap_or("delete");
        let deletes = policy.contains("delete");
        Self {
            age_ms: number("retention.ms").filter(|ms| *ms >= 0 && deletes),
            bytes: number("retention.bytes").filter(|_| deletes).and_then(|n| u64::try_from(n).ok()),
            compacted_after_ms: policy
                .contains("compact")
                .then(|| number("min.compaction.lag.ms").unwrap_or(0).max(0)),
        }
    }

    /// The earliest time at which an open letter can be deleted; `None` where none can, or it is not known.
    pub fn first_loss(&self, fold: &Fold, now: Timestamp) -> Option<Timestamp> {
        let of_partition = |partition: i32| {
            let entries = fold.partition(partition);
            let by_age = self.age_ms.and_then(|ms| by_age(entries, ms));
            let by_size = self.bytes.filter(|most| fold.bytes(partition) >= *most);
            let by_size = by_size.and_then(|_| all(entries).any(Entry::is_open).then_some(now));
            let by_key = self.compacted_after_ms.and_then(|lag| by_key(entries, lag));
            [by_age, by_size, by_key].into_iter().flatten().min()
        };
        fold.partitions().filter_map(of_partition).min()
    }
}

fn all(entries: [&[Entry]; 2]) -> impl DoubleEndedIterator<Item = &Entry> {
    let [before, newest] = entries;
    before.iter().chain(newest)
}

/// When the first open letter has no younger one before it or at it.
fn by_age(entries: [&[Entry]; 2], age_ms: i64) -> Option<Timestamp> {
    let mut largest = None;
    for entry in all(entries) {
        largest = largest.max(entry.time());
        if entry.is_open() {
            return largest.map(|at: Timestamp| at.plus_millis(age_ms));
        }
    }
    None
}

/// When the first open letter may be compacted away, because a later one has its key.
fn by_key(entries: [&[Entry]; 2], lag_ms: i64) -> Option<Timestamp> {
    let mut later: HashSet<u64, foldhash::fast::FixedState> = HashSet::default();
    let mut first = None;
    for entry in all(entries).rev().filter(|entry| entry.key != 0) {
        if !later.insert(entry.key) && entry.is_open() {
            let at = entry.time().map(|at| at.plus_millis(lag_ms));
            first = [first, at].into_iter().flatten().min();
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::fold::Which;
    use super::*;
    use crate::broker::ConfigEntry;
    use crate::config::profile::DeadLetters;
    use crate::event::{Headers, Position, Record, RecordTime, TimeKind};
    use crate::ledger::Disposition;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn retention(entries: &[(&str, &str)]) -> Retention {
        let entry = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), ConfigEntry { value: Some((*value).to_owned()), is_default: false })
        };
        Retention::of(&entries.iter().map(entry).collect())
    }

    /// Letters by their time in ms and their key; those at `handled` are done with.
    fn fold(letters: &[(i64, &'static str)], handled: &[i64]) -> Fold {
        let mut fold = Fold::new(foldhash::quality::RandomState::default());
        for (offset, (time, key)) in (0..).zip(letters) {
            let record = Record {
                at: Position::new("dlt", 0, offset),
                time: (*time >= 0).then_some(RecordTime { kind: TimeKind::Create, at: Timestamp(*time) }),
                key: Some(Bytes::from_static(key.as_bytes())),
                value: Some(Bytes::from(vec![0; 1_000])),
                headers: Headers::default(),
                lease: None,
            };
            fold.add(&record, &DeadLetters::default());
        }
        let done = |offset: i64| {
            if handled.contains(&offset) { Disposition::Redriven } else { Disposition::Pending }
        };
        fold.mark(Which::All, |_, offset| Some(done(offset)));
        fold
    }

    #[test]
    fn a_letter_goes_with_the_youngest_record_before_it() {
        let keep = retention(&[("retention.ms", "100"), ("retention.bytes", "-1")]);
        let loss =
            |letters: &[(i64, &'static str)], handled: &[i64]| keep.first_loss(&fold(letters, handled), NOW);
        assert_eq!(loss(&[(10, "a"), (20, "b")], &[]), Some(Timestamp(110)));
        assert_eq!(loss(&[(10, "a"), (20, "b")], &[0]), Some(Timestamp(120)));
        // A letter that carries its origin's old time stays behind a younger one.
        assert_eq!(loss(&[(50, "a"), (20, "b")], &[0]), Some(Timestamp(150)));
        assert_eq!(loss(&[(10, "a")], &[0]), None);
        assert_eq!(loss(&[], &[]), None);
        assert_eq!(loss(&[(-1, "a")], &[]), None, "without a timestamp nothing is known");
    }

    #[test]
    fn unlimited_unknown_and_compacted_topics_do_not_delete_by_age() {
        let letters = fold(&[(10, "a"), (20, "b"), (30, "a")], &[]);
        assert_eq!(retention(&[("retention.ms", "-1")]).first_loss(&letters, NOW), None);
        assert_eq!(retention(&[]).first_loss(&letters, NOW), None);
        let compacted =
            [("cleanup.policy", "compact"), ("retention.ms", "5"), ("min.compaction.lag.ms", "7")];
        assert_eq!(retention(&compacted).first_loss(&letters, NOW), Some(Timestamp(17)));
        let apart = fold(&[(10, "a"), (20, "b")], &[]);
        assert_eq!(retention(&compacted).first_loss(&apart, NOW), None);
        let both = [("cleanup.policy", "compact,delete"), ("retention.ms", "500")];
        assert_eq!(retention(&both).first_loss(&apart, NOW), Some(Timestamp(510)));
    }

    #[test]
    fn a_partition_that_is_full_loses_letters_at_any_time() {
        let letters = fold(&[(10, "a"), (20, "b"), (30, "a")], &[]);
        let full = [("retention.ms", "99999999"), ("retention.bytes", "2000")];
        assert_eq!(retention(&full).first_loss(&letters, NOW), Some(NOW));
        let roomy = [("retention.ms", "500"), ("retention.bytes", "5000")];
        assert_eq!(retention(&roomy).first_loss(&letters, NOW), Some(Timestamp(510)));
    }
}
