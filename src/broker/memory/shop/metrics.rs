//! What the services tell of themselves: the conventional series, as programs of a firm would export them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::exposition::{Dialect, Family, Kind, Writer};

const PUBLISHED: Family =
    Family { name: "events_published_total", kind: Kind::Counter, help: "Events written." };
const PUBLISHING: Family = Family {
    name: "event_publish_duration_seconds",
    kind: Kind::Histogram,
    help: "From the moment an event is sent until the broker has it.",
};
const CONSUMED: Family =
    Family { name: "events_consumed_total", kind: Kind::Counter, help: "Events processed." };
const PROCESSING: Family = Family {
    name: "event_processing_duration_seconds",
    kind: Kind::Histogram,
    help: "How long an event took to be processed.",
};
const ERRORS: Family =
    Family { name: "event_processing_errors_total", kind: Kind::Counter, help: "Attempts that failed." };

/// Upper bounds of durations in microseconds.
const BOUNDS: [u64; 10] = [100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000];

/// Durations by upper bound.
#[derive(Debug, Default)]
struct Durations {
    up_to: [u64; BOUNDS.len()],
    beyond: u64,
    sum: f64,
}

impl Durations {
    fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match self.up_to.get_mut(BOUNDS.partition_point(|bound| *bound < micros)) {
            Some(count) => *count += 1,
            None => self.beyond += 1,
        }
        self.sum += took.as_secs_f64();
    }

    fn write(&self, out: &mut Writer, family: &Family, labels: &[(&str, &str)]) {
        let bounds = BOUNDS.map(|micros| micros as f64 / 1e6);
        let buckets: Vec<(f64, u64)> = bounds.into_iter().zip(self.up_to).collect();
        out.histogram(family, labels, &buckets, self.beyond, self.sum);
    }
}

/// Counters by type and one more label.
type Counters = BTreeMap<(&'static str, String), u64>;

#[derive(Debug, Default)]
struct All {
    published: Counters,
    publishing: BTreeMap<&'static str, Durations>,
    consumed: Counters,
    processing: BTreeMap<&'static str, Durations>,
    errors: Counters,
}

/// The metrics of all services.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<All>);

fn count(counters: &mut Counters, kind: &'static str, label: &str) {
    match counters.get_mut(&(kind, label.to_owned())) {
        Some(count) => *count += 1,
        None => {
            counters.insert((kind, label.to_owned()), 1);
        }
    }
}

impl Metrics {
    fn change(&self, change: impl FnOnce(&mut All)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An event was written.
    pub(super) fn published(&self, kind: &'static str, topic: &str, took: Duration) {
        self.change(|all| {
            count(&mut all.published, kind, topic);
            all.publishing.entry(kind).or_default().add(took);
        });
    }

    /// An event was processed, well or not.
    pub(super) fn consumed(&self, kind: &'static str, group: &str, took: Duration) {
        self.change(|all| {
            count(&mut all.consumed, kind, group);
            all.processing.entry(kind).or_default().add(took);
        });
    }

    /// An attempt failed.
    pub(super) fn failed(&self, kind: &'static str, error: &str) {
        self.change(|all| count(&mut all.errors, kind, error));
    }

    /// The text for a collector.
    pub(super) fn render(&self, dialect: Dialect) -> String {
        let mut out = Writer::new(dialect);
        self.change(|all| {
            let mut counters = |family: &Family, of: &Counters, label: &str| {
                for ((kind, value), count) in of {
                    out.sample(family, &[("event_type", kind), (label, value)], *count as f64);
                }
            };
            counters(&PUBLISHED, &all.published, "topic");
            counters(&CONSUMED, &all.consumed, "consumer_group");
            counters(&ERRORS, &all.errors, "error_type");
            for (family, of) in [(&PUBLISHING, &all.publishing), (&PROCESSING, &all.processing)] {
                for (kind, durations) in of {
                    durations.write(&mut out, family, &[("event_type", kind)]);
                }
            }
        });
        out.finish()
    }
}
