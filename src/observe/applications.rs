//! What the applications tell of themselves, by the conventional series of their metrics.
//!
//! Counters are summed over all targets and all labels but the conventional ones. A counter that went down began
//! anew, as a program does that was restarted: what it counted since is what it shows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::rates::blend;
use crate::exposition::{self, Sample};
use crate::text::Timestamp;

/// Half-life of a rate in seconds: targets are asked more seldom than the broker.
const HALF_LIFE: f64 = 10.0;
/// Percentiles are of so long.
const SPAN: Duration = Duration::from_secs(60);
/// Series of one target that are kept.
const MOST_SERIES: usize = 10_000;

/// The conventional counters, and their labels.
const COUNTERS: [(&str, [&str; 2]); 3] = [
    ("events_published_total", ["event_type", "topic"]),
    ("events_consumed_total", ["event_type", "consumer_group"]),
    ("event_processing_errors_total", ["event_type", "error_type"]),
];
/// The conventional histograms.
const DURATIONS: [&str; 2] = ["event_publish_duration_seconds", "event_processing_duration_seconds"];

/// One program whose metrics are read.
#[derive(Clone, Debug, Serialize)]
pub struct TargetRow {
    /// Where it is asked, without a password.
    pub url: String,
    /// Whether its last answer could be read; `None` before the first one.
    pub up: Option<bool>,
    /// Why not.
    pub error: Option<String>,
    /// When it was asked last.
    pub scraped: Option<Timestamp>,
    /// How long that took.
    pub seconds: Option<f64>,
    /// Conventional series in its last answer.
    pub series: usize,
}

/// A counter, summed over all targets that are up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CounterRow {
    /// Labels: `event_type` and one more.
    pub labels: BTreeMap<&'static str, Arc<str>>,
    /// Its value.
    pub total: f64,
    /// Its growth; `None` before it was seen twice.
    pub per_second: Option<f64>,
}

/// How long something took, over the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DurationRow {
    /// Mean in seconds.
    pub mean_seconds: Option<f64>,
    /// Median in seconds, within the bounds of the histogram.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
    /// Values of the last minute.
    pub samples: f64,
}

/// What the applications tell.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Applications {
    /// The programs that are asked.
    pub targets: Vec<TargetRow>,
    /// `events_published_total`.
    pub published: Vec<CounterRow>,
    /// `events_consumed_total`.
    pub consumed: Vec<CounterRow>,
    /// `event_processing_errors_total`.
    pub errors: Vec<CounterRow>,
    /// `event_publish_duration_seconds`.
    pub publish_duration: DurationRow,
    /// `event_processing_duration_seconds`.
    pub processing_duration: DurationRow,
}

impl Applications {
    /// The sum of the rates that are known.
    pub fn rate(rows: &[CounterRow]) -> Option<f64> {
        rows.iter().filter_map(|row| row.per_second).reduce(|a, b| a + b)
    }

    /// Targets that are up.
    pub fn up(&self) -> usize {
        self.targets.iter().filter(|target| target.up == Some(true)).count()
    }
}

/// A counter of one target.
#[derive(Clone, Copy, Debug)]
struct Count {
    at: Duration,
    total: f64,
    smooth: Option<f64>,
}

/// Counts of a histogram by upper bound, with its sum.
#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets {
    up_to: BTreeMap<Bound, f64>,
    sum: f64,
    count: f64,
}

/// An upper bound, in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Name and labels of a counter.
type Series = (usize, [Arc<str>; 2]);

/// What is known of one target.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    counts: BTreeMap<Series, Count>,
    /// The histograms of the last minute, oldest first.
    durations: [VecDeque<(Duration, Buckets)>; 2],
    series: usize,
}

impl Target {
    /// Takes an answer.
    pub fn take(&mut self, text: &str, at: Duration) -> Result<(), String> {
        let mut counts: BTreeMap<Series, f64> = BTreeMap::new();
        let mut durations: [Buckets; 2] = Default::default();
        let mut seen = [false; 2];
        let mut series = 0_usize;
        exposition::parse(text, |sample| {
            if read(&sample, &mut counts, &mut durations, &mut seen) {
                series += 1;
            }
        })
        .map_err(|wrong| format!("its answer is no metrics text: {wrong}"))?;
        if series > MOST_SERIES {
            return Err(format!(
                "{series} conventional series are more than the {MOST_SERIES} that are read"
            ));
        }
        self.series = series;
        let mut before = std::mem::take(&mut self.counts);
        for (name, total) in counts {
            let last = before.remove(&name);
            let smooth = last.and_then(|last| {
                let seconds = at.saturating_sub(last.at).as_secs_f64();
                let grown = if total < last.total { total } else { total - last.total };
                (seconds > 0.0).then(|| blend(last.smooth, grown / seconds, seconds, HALF_LIFE))
            });
            self.counts.insert(name, Count { at, total, smooth: smooth.or(last.and_then(|l| l.smooth)) });
        }
        for ((kept, now), seen) in self.durations.iter_mut().zip(durations).zip(seen) {
            if !seen || kept.back().is_some_and(|(_, last)| now.count < last.count) {
                kept.clear();
            }
            if seen {
                kept.push_back((at, now));
            }
            while kept.len() > 2 && kept.get(1).is_some_and(|(then, _)| at.saturating_sub(*then) >= SPAN) {
                kept.pop_front();
            }
        }
        Ok(())
    }

    /// Forgets what is no longer current; a counter seen later goes on from what it was.
    pub fn lost(&mut self) {
        self.durations.iter_mut().for_each(VecDeque::clear);
        self.counts.values_mut().for_each(|count| count.smooth = None);
    }
}

/// Reads a sample, where it is a conventional one.
fn read(
    sample: &Sample<'_>,
    counts: &mut BTreeMap<Series, f64>,
    durations: &mut [Buckets; 2],
    seen: &mut [bool; 2],
) -> bool {
    if let Some(place) = COUNTERS.iter().position(|(name, _)| *name == sample.name) {
        if counts.len() <= MOST_SERIES {
            let labels = COUNTERS[place].1.map(|label| Arc::from(sample.label(label)));
            *counts.entry((place, labels)).or_default() += sample.value;
        }
        return true;
    }
    for (i, name) in DURATIONS.iter().enumerate() {
        let Some(suffix) = sample.name.strip_prefix(name) else { continue };
        let (Some(buckets), Some(seen)) = (durations.get_mut(i), seen.get_mut(i)) else { continue };
        match suffix {
            "_sum" => buckets.sum += sample.value,
            "_count" => {
                buckets.count += sample.value;
                *seen = true;
            }
            "_bucket" => {
                let Ok(bound) = sample.label("le").parse() else { return false };
                *buckets.up_to.entry(Bound(bound)).or_default() += sample.value;
            }
            _ => return false,
        }
        return true;
    }
    false
}

/// What all targets tell together; those that are down take no part.
pub(super) fn together(rows: Vec<TargetRow>, targets: &[Target]) -> Applications {
    let up: Vec<&Target> =
        rows.iter().zip(targets).filter(|(row, _)| row.up == Some(true)).map(|(_, target)| target).collect();
    let counter = |place: usize| {
        let mut sums: BTreeMap<&[Arc<str>; 2], (f64, Option<f64>)> = BTreeMap::new();
        for ((at, labels), count) in up.iter().flat_map(|target| &target.counts) {
            if *at == place {
                let (total, rate) = sums.entry(labels).or_default();
                *total += count.total;
                if let Some(smooth) = count.smooth {
                    *rate = Some(rate.unwrap_or_default() + smooth);
                }
            }
        }
        let names = COUNTERS[place].1;
        let row = |(labels, (total, per_second)): (&[Arc<str>; 2], _)| CounterRow {
            labels: names.into_iter().zip(labels.iter().cloned()).collect(),
            total,
            per_second,
        };
        sums.into_iter().map(row).collect()
    };
    let duration = |place: usize| {
        let mut all = Buckets::default();
        for kept in up.iter().filter_map(|target| target.durations.get(place)) {
            let (Some((_, old)), Some((_, new))) = (kept.front(), kept.back()) else { continue };
            all.sum += new.sum - old.sum;
            all.count += new.count - old.count;
            for (bound, count) in &new.up_to {
                *all.up_to.entry(*bound).or_default() += count - old.up_to.get(bound).unwrap_or(&0.0);
            }
        }
        let known = all.count > 0.0;
        DurationRow {
            mean_seconds: known.then(|| all.sum / all.count),
            p50_seconds: quantile(&all, 0.5),
            p99_seconds: quantile(&all, 0.99),
            samples: all.count,
        }
    };
    Applications {
        published: counter(0),
        consumed: counter(1),
        errors: counter(2),
        publish_duration: duration(0),
        processing_duration: duration(1),
        targets: rows
            .into_iter()
            .zip(targets)
            .map(|(row, t)| TargetRow { series: t.series, ..row })
            .collect(),
    }
}

/// A quantile, interpolated within its bucket; beyond the last bound it is that bound.
fn quantile(of: &Buckets, share: f64) -> Option<f64> {
    let total = of.up_to.values().copied().fold(0.0, f64::max);
    if total <= 0.0 {
        return None;
    }
    let rank = total * share;
    let (mut low, mut below) = (0.0, 0.0);
    for (Bound(bound), count) in &of.up_to {
        if *count >= rank {
            if !bound.is_finite() {
                return (low > 0.0).then_some(low);
            }
            let inside = count - below;
            let part = if inside > 0.0 { (rank - below) / inside } else { 1.0 };
            return Some(low + (bound - low) * part);
        }
        (low, below) = (*bound, *count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(up: bool) -> TargetRow {
        TargetRow { url: String::new(), up: Some(up), error: None, scraped: None, seconds: None, series: 0 }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn counters_are_summed_over_targets_and_other_labels_and_grow_through_a_restart() {
        let text = |n: u32| {
            format!(
                "events_published_total{{event_type=\"A\",topic=\"t\",pod=\"1\"}} {n}\n\
                 events_published_total{{event_type=\"A\",topic=\"t\",pod=\"2\"}} 5\nother 7\n"
            )
        };
        let (mut one, mut two) = (Target::default(), Target::default());
        one.take(&text(100), at(0)).unwrap();
        two.take("events_published_total{topic=\"t\",event_type=\"A\"} 1\n", at(0)).unwrap();
        let all = together(vec![row(true), row(true)], &[one.clone(), two.clone()]);
        assert_eq!(
            (all.published.len(), all.published[0].total, all.published[0].per_second),
            (1, 106.0, None)
        );
        assert_eq!(&*all.published[0].labels["topic"], "t");
        one.take(&text(200), at(10)).unwrap();
        let all = together(vec![row(true), row(false)], &[one.clone(), two]);
        assert_eq!((all.published[0].total, all.published[0].per_second), (205.0, Some(10.0)));
        // It began anew: 15 since then, not -190.
        one.take("events_published_total{event_type=\"A\",topic=\"t\"} 15\n", at(20)).unwrap();
        let rate = together(vec![row(true)], &[one]).published[0].per_second.unwrap();
        assert!(rate > 0.0 && rate < 10.0, "{rate}");
    }

    #[test]
    fn durations_are_those_of_the_last_minute() {
        let text = |fast: u32, slow: u32| {
            let all = fast + slow;
            format!(
                "event_processing_duration_seconds_bucket{{le=\"0.1\"}} {fast}\n\
                 event_processing_duration_seconds_bucket{{le=\"1.0\"}} {all}\n\
                 event_processing_duration_seconds_bucket{{le=\"+Inf\"}} {all}\n\
                 event_processing_duration_seconds_sum {}\nevent_processing_duration_seconds_count {all}\n",
                f64::from(slow)
            )
        };
        let mut target = Target::default();
        target.take(&text(1_000, 0), at(0)).unwrap();
        let of =
            |target: &Target| together(vec![row(true)], std::slice::from_ref(target)).processing_duration;
        assert_eq!(of(&target), DurationRow::default(), "one answer says nothing of the last minute");
        target.take(&text(1_050, 50), at(10)).unwrap();
        let now = of(&target);
        assert_eq!((now.samples, now.mean_seconds, now.p50_seconds), (100.0, Some(0.5), Some(0.1)));
        assert!(now.p99_seconds.unwrap() > 0.9);
        target.take(&text(3, 0), at(20)).unwrap();
        assert!(of(&target).samples < 0.5, "it began anew");
    }

    #[test]
    fn an_answer_that_is_no_metrics_text_is_refused_whole() {
        let mut target = Target::default();
        let why = target.take("events_published_total 1\n<html>\n", at(0)).unwrap_err();
        assert!(why.contains("line 2"), "{why}");
        assert!(target.counts.is_empty());
        let line = |i| format!("events_published_total{{event_type=\"{i}\"}} 1");
        let many = (0..=MOST_SERIES).map(line).collect::<Vec<_>>().join("\n");
        assert!(target.take(&many, at(0)).unwrap_err().contains("more than"));
    }
}
