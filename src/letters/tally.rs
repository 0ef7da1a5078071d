//! Counts over letters: arrivals by minute, and what is known of one failure.

use super::distinct::Distinct;
use super::fold::Entry;
use crate::dlq::failure::Failure;
use crate::dlq::groups::{FailureRow, Sample};
use crate::text::Timestamp;

/// Buckets of one minute in a chart of arrivals.
pub const BUCKETS: usize = 15;

const MINUTE: i64 = 60_000;

/// Arrivals of the last minutes, by record timestamp. The last bucket is the minute under way.
#[derive(Clone, Debug)]
pub struct Chart {
    now: i64,
    buckets: [u64; BUCKETS],
    oldest: i64,
}

impl Chart {
    /// An empty chart that ends now.
    pub fn new(now: Timestamp) -> Self {
        Self { now: now.as_millis(), buckets: [0; BUCKETS], oldest: i64::MAX }
    }

    /// The minute that the last bucket stands for.
    pub(super) fn minute(&self) -> i64 {
        self.now.div_euclid(MINUTE)
    }

    /// The same at another moment of the minute under way.
    #[must_use]
    pub(super) fn at(&self, now: Timestamp) -> Self {
        Self { now: now.as_millis(), ..self.clone() }
    }

    /// Adds a letter of this time; [`i64::MIN`] for none.
    pub(super) fn add(&mut self, time: i64) {
        if time == i64::MIN {
            return;
        }
        self.oldest = self.oldest.min(time);
        let ago = self.minute().saturating_sub(time.div_euclid(MINUTE));
        // A clock that runs ahead: it arrived just now.
        let ago = usize::try_from(ago.max(0)).unwrap_or(BUCKETS);
        if ago < BUCKETS {
            self.buckets[BUCKETS - 1 - ago] += 1;
        }
    }

    /// The counts, oldest first.
    pub fn buckets(&self) -> Vec<u64> {
        self.buckets.to_vec()
    }

    /// The mean of the last five minutes, or of the time since the first letter if that is shorter.
    pub fn per_minute(&self) -> Option<f64> {
        if self.oldest == i64::MAX {
            return None;
        }
        let begun = self.now.rem_euclid(MINUTE) + 4 * MINUTE;
        let covered = begun.min(self.now.saturating_sub(self.oldest)).max(MINUTE);
        let arrived: u64 = self.buckets[BUCKETS - 5..].iter().sum();
        Some(arrived as f64 * MINUTE as f64 / covered as f64)
    }
}

/// The count of one failure.
#[derive(Debug)]
pub(super) struct Tally {
    count: u64,
    pending: u64,
    known: bool,
    first: i64,
    last: i64,
    keys: Distinct,
    sample: Option<(bool, i64, Sample)>,
    chart: Chart,
}

impl Tally {
    pub fn new(now: Timestamp) -> Self {
        Self {
            count: 0,
            pending: 0,
            known: true,
            first: i64::MAX,
            last: i64::MIN,
            keys: Distinct::default(),
            sample: None,
            chart: Chart::new(now),
        }
    }

    pub fn add(&mut self, partition: i32, entry: &Entry) {
        self.count += 1;
        match entry.state {
            None => self.known = false,
            Some(state) => self.pending += u64::from(state.is_pending()),
        }
        if let Some(time) = entry.time() {
            self.first = self.first.min(time.as_millis());
            self.last = self.last.max(time.as_millis());
        }
        self.chart.add(entry.time);
        if entry.key != 0 {
            self.keys.add(entry.key);
        }
        // The newest open letter is the best sample.
        let rank = (entry.is_open(), entry.time);
        if self.sample.is_none_or(|(open, time, _)| rank >= (open, time)) {
            self.sample = Some((rank.0, rank.1, Sample { partition, offset: entry.offset }));
        }
    }

    pub fn row(self, failure: &Failure) -> FailureRow {
        FailureRow {
            id: failure.id.clone(),
            error_class: failure.error_class.clone(),
            root_cause_class: failure.root_cause_class.clone(),
            frame: failure.frame.clone(),
            message: failure.message.clone(),
            origin_topic: failure.origin_topic.clone(),
            group: failure.group.clone(),
            count: self.count,
            pending: self.known.then_some(self.pending),
            first_timestamp: (self.first != i64::MAX).then_some(Timestamp(self.first)),
            last_timestamp: (self.last != i64::MIN).then_some(Timestamp(self.last)),
            keys: self.keys.count(),
            keys_estimated: self.keys.is_estimate(),
            sample: self.sample.map_or(Sample { partition: 0, offset: 0 }, |(_, _, sample)| sample),
            arrivals: self.chart.buckets(),
        }
    }
}
