//! Which letters are meant: a selection, a failure and a state against the entries. Pure.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::fold::{Entry, Fold};
use crate::filter::{Edge, Selection};
use crate::ledger::Disposition;

/// A letter that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    /// The record's timestamp, for the order.
    pub time: i64,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Its state.
    pub state: Option<Disposition>,
    /// Whether another letter has the same root and group.
    pub twin: bool,
}

/// What is meant, resolved against a fold.
pub(super) struct Wanted {
    /// By partition: first offset, and the offset before which it ends.
    ranges: HashMap<i32, (i64, i64)>,
    /// The failure's number.
    failure: Option<u32>,
    state: Option<Disposition>,
    key: Option<u64>,
}

impl Wanted {
    pub fn new(
        fold: &Fold,
        selection: &Selection,
        failure: Option<&str>,
        state: Option<Disposition>,
    ) -> Self {
        let chosen = |p: &i32| selection.partitions.is_empty() || selection.partitions.contains(p);
        let number = failure.and_then(|id| fold.failure_by_id(id));
        // A failure that this topic has not: no letter fits.
        let known = failure.is_none() || number.is_some();
        let ranges = fold.partitions().filter(|p| known && chosen(p)).map(|p| {
            let entries = fold.partition(p);
            let from = selection.from.as_ref().map_or(i64::MIN, |e| offset(e, entries));
            let to = selection.to.as_ref().map_or(i64::MAX, |e| offset(e, entries));
            (p, (from, to))
        });
        Self {
            ranges: ranges.collect(),
            failure: number,
            state,
            key: selection.key.as_ref().map(|k| fold.key_hash(k)),
        }
    }

    /// Whether the entry is meant, as far as it tells.
    pub fn fits(&self, partition: i32, entry: &Entry) -> bool {
        self.ranges.get(&partition).is_some_and(|(from, to)| (*from..*to).contains(&entry.offset))
            && self.suits(entry)
    }

    /// The same of an entry in its partition's range.
    fn suits(&self, entry: &Entry) -> bool {
        self.failure.is_none_or(|f| f == entry.failure)
            && self.state.is_none_or(|s| is_state(entry.state, s))
            && self.key.is_none_or(|k| k == entry.key)
    }

    /// All that fit, by partition and offset.
    pub fn picks(&self, fold: &Fold) -> Vec<Pick> {
        // Only the ranges are looked at: one letter of a million is found without the others.
        let within = |partition: i32| {
            let (from, to) = self.ranges.get(&partition).copied().unwrap_or_default();
            let cut = move |entries: &'_ [Entry]| {
                let first = entries.partition_point(|e| e.offset < from);
                first..entries.partition_point(|e| e.offset < to).max(first)
            };
            fold.partition(partition).map(|entries| &entries[cut(entries)])
        };
        let fitting = || {
            let ranges = fold.partitions().flat_map(|p| within(p).map(|entries| (p, entries)));
            ranges.flat_map(|(p, entries)| entries.iter().map(move |e| (p, e))).filter(|(_, e)| self.suits(e))
        };
        let roots: HashSet<u64, FixedState> =
            fitting().map(|(_, e)| e.root).filter(|root| *root != 0).collect();
        let mut twins: HashMap<u64, u32, FixedState> = HashMap::default();
        if !roots.is_empty() {
            for (_, entry) in fold.entries().filter(|(_, e)| roots.contains(&e.root)) {
                *twins.entry(fold.twin_hash(entry)).or_default() += 1;
            }
        }
        let pick = |(partition, entry): (i32, &Entry)| Pick {
            time: entry.time().map_or(i64::MIN, crate::text::Timestamp::as_millis),
            partition,
            offset: entry.offset,
            state: entry.state,
            twin: twins.get(&fold.twin_hash(entry)).is_some_and(|n| *n > 1),
        };
        fitting().map(pick).collect()
    }
}

/// A letter whose state is not known may be pending: it is listed there, with its state unknown.
pub(super) fn is_state(state: Option<Disposition>, wanted: Disposition) -> bool {
    match state {
        None => wanted.is_pending(),
        Some(state) => state == wanted || (state.is_pending() && wanted.is_pending()),
    }
}

/// The offset at which an edge lies.
fn offset(edge: &Edge, [entries, newest]: [&[Entry]; 2]) -> i64 {
    match edge {
        Edge::Beginning => i64::MIN,
        Edge::End => i64::MAX,
        Edge::Offset(offset) => *offset,
        Edge::Last(n) => {
            let all = entries.len() + newest.len();
            let skip = all.saturating_sub(usize::try_from(*n).unwrap_or(usize::MAX));
            entries.iter().chain(newest).nth(skip).map_or(i64::MAX, |e| e.offset)
        }
        Edge::Time(at) => {
            let later = |e: &&Entry| e.time().is_some_and(|t| t >= *at);
            entries.iter().chain(newest).find(later).map_or(i64::MAX, |e| e.offset)
        }
    }
}
