//! End-to-end latency: how old events are when a group's commit passes them, over a sliding minute.
//!
//! Limits: its resolution is the commit interval and the interval of looks; an event time that lies ahead of
//! this machine's clock is counted as skew and takes no part in the percentiles.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::snapshot::Latency;
use crate::text::Timestamp;

/// Length of a slice, and number of slices: a minute.
const SLICE_MS: i64 = 10_000;
const SLICES: i64 = 6;
/// Significant digits of a value.
const DIGITS: u8 = 2;
/// A longer latency counts as this one: 30 days.
const LONGEST_MS: u64 = 30 * 86_400_000;

#[derive(Clone, Debug)]
struct Slice {
    number: i64,
    values: Option<Histogram<u32>>,
    skewed: u64,
}

/// Latencies of the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Sliding(VecDeque<Slice>);

impl Sliding {
    /// Adds a latency that was seen at `at`, in milliseconds.
    pub fn add(&mut self, at: Timestamp, millis: i64) {
        let number = at.as_millis().div_euclid(SLICE_MS);
        if self.0.back().is_none_or(|s| s.number < number) {
            self.0.push_back(Slice { number, values: None, skewed: 0 });
        }
        self.forget(at);
        let Some(slice) = self.0.back_mut() else { return };
        match u64::try_from(millis) {
            Ok(millis) => {
                if slice.values.is_none() {
                    slice.values = Histogram::new(DIGITS).ok();
                }
                if let Some(values) = &mut slice.values {
                    // It resizes itself up to the longest.
                    let _ = values.record(millis.min(LONGEST_MS));
                }
            }
            Err(_) => slice.skewed += 1,
        }
    }

    /// Forgets what is older than a minute.
    pub fn forget(&mut self, now: Timestamp) {
        let first = now.as_millis().div_euclid(SLICE_MS) - SLICES;
        while self.0.front().is_some_and(|s| s.number <= first) {
            self.0.pop_front();
        }
    }
}

/// The percentiles of several sliding minutes together. The resolution is the caller's to know.
pub(super) fn percentiles<'a>(of: impl IntoIterator<Item = &'a Sliding>) -> Latency {
    let mut all: Option<Histogram<u64>> = None;
    let (mut count, mut skewed) = (0, 0);
    for slice in of.into_iter().flat_map(|s| &s.0) {
        skewed += slice.skewed;
        let Some(values) = &slice.values else { continue };
        count += values.len();
        if all.is_none() {
            all = Histogram::new(DIGITS).ok();
        }
        if let Some(all) = &mut all {
            for v in values.iter_recorded() {
                let _ = all.record_n(v.value_iterated_to().min(LONGEST_MS), v.count_at_value().into());
            }
        }
    }
    let at = |quantile| all.as_ref().filter(|h| !h.is_empty()).map(|h| h.value_at_quantile(quantile) as f64);
    Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99), samples: count + skewed, resolution: None, skewed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_minute() {
        let mut sliding = Sliding::default();
        for i in 0..100 {
            sliding.add(Timestamp(0), i * 10);
        }
        let latency = percentiles([&sliding]);
        assert_eq!(latency.samples, 100);
        let near = |p: Option<f64>, wanted: f64| (p.unwrap() - wanted).abs() <= wanted * 0.02;
        assert!(
            near(latency.p50, 490.0) && near(latency.p95, 940.0) && near(latency.p99, 980.0),
            "{latency:?}"
        );
        sliding.add(Timestamp(55_000), 7);
        assert_eq!(percentiles([&sliding]).samples, 101);
        sliding.add(Timestamp(61_000), 7);
        let latency = percentiles([&sliding]);
        assert_eq!((latency.samples, latency.p99), (2, Some(7.0)));
        sliding.forget(Timestamp(500_000));
        assert_eq!(percentiles([&sliding]), Latency::default());
    }

    #[test]
    fn an_event_from_the_future_is_skew_and_not_zero() {
        let mut sliding = Sliding::default();
        sliding.add(Timestamp(0), -300);
        let latency = percentiles([&sliding]);
        assert_eq!((latency.p50, latency.samples, latency.skewed), (None, 1, 1));
        sliding.add(Timestamp(0), 200);
        let latency = percentiles([&sliding]);
        assert_eq!((latency.p50, latency.samples, latency.skewed), (Some(200.0), 2, 1));
    }

    #[test]
    fn absurd_times_do_not_break_it() {
        let mut sliding = Sliding::default();
        sliding.add(Timestamp(0), i64::MAX);
        sliding.add(Timestamp(0), i64::MIN);
        let latency = percentiles([&sliding, &Sliding::default()]);
        assert_eq!(latency.samples, 2);
        assert!(latency.p50.unwrap() >= LONGEST_MS as f64 * 0.99);
    }
}
