//! What the letters of a topic come to: a row of the list of dead-letter topics, and its failures.

use std::sync::Arc;

use super::fold::{Entry, Fold, MOST_NAMES};
use super::tally::{Chart, Tally};
use crate::dlq::groups::FailureRow;
use crate::ledger::Disposition;
use crate::text::Timestamp;

/// What a row of the list of dead-letter topics says of its letters.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Letters pending, redriven, discarded, parked, duplicate; `None` while the ledger is not known.
    pub states: Option<[u64; 5]>,
    /// Timestamp of the oldest letter that is open (or not known to be handled).
    pub oldest_open: Option<Timestamp>,
    /// Failures with open letters.
    pub failures: usize,
    /// The failure with most of them.
    pub top_failure: Option<Arc<str>>,
    /// Arrivals by minute.
    pub arrivals: Chart,
    /// Formats seen.
    pub formats: Vec<Arc<str>>,
    /// Origin topics seen.
    pub sources: Vec<Arc<str>>,
    /// Groups seen.
    pub groups: Vec<Arc<str>>,
    /// Letters that arrived while the program looked on.
    pub arrived: u64,
    /// The same by group.
    pub arrived_by_group: Vec<(Arc<str>, u64)>,
    /// Failures first seen while the program looked on: id, name, time.
    pub new_failures: Vec<(Arc<str>, Arc<str>, Timestamp)>,
}

impl Fold {
    /// Counts the letters for a row of the list of dead-letter topics.
    pub fn summary(&self, now: Timestamp) -> Summary {
        let mut open = vec![0_u64; self.failures.len()];
        let mut present = vec![false; self.failures.len()];
        let mut states = [0_u64; 5];
        let mut known = true;
        let mut chart = Chart::new(now);
        let mut oldest = i64::MAX;
        for (_, entry) in self.entries() {
            let slot = match entry.state {
                None => {
                    known = false;
                    0
                }
                Some(Disposition::Pending | Disposition::Released) => 0,
                Some(Disposition::Redriven) => 1,
                Some(Disposition::Discarded) => 2,
                Some(Disposition::Parked) => 3,
                Some(Disposition::Duplicate) => 4,
            };
            states[slot] += 1;
            if let Some(present) = present.get_mut(entry.failure as usize) {
                *present = true;
            }
            if slot == 0 {
                if let Some(open) = open.get_mut(entry.failure as usize) {
                    *open += 1;
                }
                if entry.time != i64::MIN {
                    oldest = oldest.min(entry.time);
                }
            }
            chart.add(entry.time);
        }
        let top = open.iter().enumerate().max_by_key(|(i, n)| (**n, usize::MAX - i)).filter(|(_, n)| **n > 0);
        let (mut sources, mut groups) = (Vec::new(), Vec::new());
        for (known, _) in self.failures.iter().zip(&present).filter(|(_, present)| **present) {
            add_name(&mut sources, known.failure.origin_topic.as_ref());
            add_name(&mut groups, known.failure.group.as_ref());
        }
        let new = self.failures.iter().filter_map(|k| k.appeared.map(|at| (&k.failure, at)));
        Summary {
            states: known.then_some(states),
            oldest_open: (oldest != i64::MAX).then_some(Timestamp(oldest)),
            failures: open.iter().filter(|n| **n > 0).count(),
            top_failure: top.and_then(|(i, _)| self.failures.get(i)).map(|k| k.failure.title()),
            arrivals: chart,
            formats: self.formats.clone(),
            sources,
            groups,
            arrived: self.arrived,
            arrived_by_group: self.arrived_by_group.clone(),
            new_failures: new.map(|(f, at)| (Arc::clone(&f.id), f.title(), at)).collect(),
        }
    }

    /// Groups the letters that `keep` wants by failure, the most open first.
    pub fn failures(&self, now: Timestamp, keep: impl Fn(i32, &Entry) -> bool) -> Vec<FailureRow> {
        let mut tallies: Vec<Option<Tally>> = Vec::new();
        tallies.resize_with(self.failures.len(), || None);
        for (partition, entry) in self.entries().filter(|(p, e)| keep(*p, e)) {
            if let Some(tally) = tallies.get_mut(entry.failure as usize) {
                tally.get_or_insert_with(|| Tally::new(now)).add(partition, entry);
            }
        }
        let mut rows: Vec<FailureRow> = self
            .failures
            .iter()
            .zip(tallies)
            .filter_map(|(known, tally)| tally.map(|t| t.row(&known.failure)))
            .collect();
        rows.sort_by(|a, b| {
            (b.pending, b.count, b.last_timestamp, &a.id).cmp(&(a.pending, a.count, a.last_timestamp, &b.id))
        });
        rows
    }
}

fn add_name(names: &mut Vec<Arc<str>>, name: Option<&Arc<str>>) {
    if let Some(name) = name
        && names.len() < MOST_NAMES
        && let Err(at) = names.binary_search(name)
    {
        names.insert(at, Arc::clone(name));
    }
}
