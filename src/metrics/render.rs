//! A picture as text.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::names;
use super::{Choice, Partitions};
use crate::exposition::{Dialect, Family, Writer};
use crate::observe::snapshot::{
    Freshness, GroupRow, LATENCY_BOUNDS, LatencyCounts, Severity, Snapshot, Status, TopicRow,
};
use crate::text::Timestamp;

/// When a document is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Figures that are older are not told any more.
    pub oldest: Duration,
}

/// Writes what is known at this moment.
pub fn render(picture: &Snapshot, choice: &Choice, dialect: Dialect, moment: Moment) -> String {
    let mut out = Writer::new(dialect);
    let age = moment.now.since(picture.taken);
    let known = picture.freshness == Freshness::Live
        && u128::from(age.max(0).unsigned_abs()) <= moment.oldest.as_millis();
    out.sample(&names::UP, &[], f64::from(u8::from(known)));
    out.sample(&names::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    // Without a broker in it the picture is the one before the first sample, and its time is no sample's.
    if picture.cluster.brokers > 0 {
        out.sample(&names::SAMPLED, &[], seconds(picture.taken));
    }
    if !known {
        return out.finish();
    }
    out.sample(&names::SAMPLE, &[], picture.sample_seconds);
    out.sample(&names::BROKERS, &[], picture.cluster.brokers as f64);
    topics(picture, choice, &mut out);
    groups(picture, choice, &mut out);
    dead_letters(picture, choice, &mut out);
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        let lines = picture.attention.iter().filter(|line| line.severity == severity).count();
        out.sample(&names::ATTENTION, &[("severity", word(severity))], lines as f64);
    }
    out.finish()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn topics(picture: &Snapshot, choice: &Choice, out: &mut Writer) {
    let rows: Vec<&TopicRow> = picture.topics.iter().filter(|row| choice.has_topic(row)).collect();
    let mut all = |family: &Family, figure: &dyn Fn(&TopicRow) -> Option<f64>| {
        for row in &rows {
            if let Some(value) = figure(row) {
                out.sample(family, &[("topic", &row.name)], value);
            }
        }
    };
    all(&names::RECORDS, &|row| row.appended.map(|n| n as f64));
    let partitions = |row: &TopicRow, bad: fn(&crate::observe::snapshot::PartitionRow) -> bool| {
        (!row.detail.is_empty()).then(|| row.detail.iter().filter(|p| bad(p)).count() as f64)
    };
    all(&names::OFFLINE, &|row| partitions(row, |p| p.leader.is_none()));
    all(&names::UNDER, &|row| partitions(row, |p| p.isr.len() < p.replicas.len()));
}

fn groups(picture: &Snapshot, choice: &Choice, out: &mut Writer) {
    // Commits for a topic that is gone, or is the broker's own, are told as the topic is.
    let hidden: HashSet<&str> =
        picture.topics.iter().filter(|row| !choice.has_topic(row)).map(|row| &*row.name).collect();
    let shown = |topic: &str| choice.has_topic_name(topic) && !hidden.contains(topic);
    let rows: Vec<&GroupRow> = picture.groups.iter().filter(|row| choice.has_group(&row.group)).collect();
    // The families come one after the other, so that the lags are looked through twice.
    for row in &rows {
        for ((topic, partition), lag) in lags(row, choice.partitions, &shown) {
            if let Some(records) = lag.records {
                labelled(out, &names::LAG, &row.group, topic, partition, records as f64);
            }
        }
    }
    for row in &rows {
        for ((topic, partition), lag) in lags(row, choice.partitions, &shown) {
            if let Some(seconds) = lag.seconds {
                labelled(out, &names::LAG_SECONDS, &row.group, topic, partition, seconds);
            }
        }
    }
    for row in &rows {
        for (status, name) in STATUSES {
            let labels = [("group", &*row.group), ("status", name)];
            out.sample(&names::STATUS, &labels, f64::from(u8::from(row.status == status)));
        }
    }
    for row in &rows {
        if let Some(members) = row.members {
            out.sample(&names::MEMBERS, &[("group", &row.group)], members as f64);
        }
    }
    let latencies =
        || rows.iter().flat_map(|row| row.latency_counts.iter().map(|(t, counts)| (*row, t, counts)));
    let latencies = || latencies().filter(|(_, topic, _)| shown(topic));
    for (row, topic, counts) in latencies() {
        latency(out, &[("group", &row.group), ("topic", topic)], counts);
    }
    for (row, topic, counts) in latencies() {
        out.sample(&names::SKEWED, &[("group", &row.group), ("topic", topic)], counts.skewed as f64);
    }
}

const STATUSES: [(Status, &str); 6] = [
    (Status::Ok, "ok"),
    (Status::Warn, "warn"),
    (Status::Rewind, "rewind"),
    (Status::Stall, "stall"),
    (Status::Stop, "stop"),
    (Status::Unknown, "unknown"),
];

/// Lag of one partition, or of all of a topic.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    records: Option<u64>,
    seconds: Option<f64>,
}

/// The lags of a group by topic and partition; together they are the sum of the records and the worst age.
fn lags<'p>(
    row: &'p GroupRow,
    partitions: Partitions,
    shown: &dyn Fn(&str) -> bool,
) -> BTreeMap<(&'p str, Option<i32>), Lag> {
    let mut lags: BTreeMap<(&str, Option<i32>), Lag> = BTreeMap::new();
    for part in row.detail.iter().filter(|part| shown(&part.topic)) {
        let partition = (partitions == Partitions::Each).then_some(part.partition);
        let lag = lags.entry((&part.topic, partition)).or_default();
        if let Some(records) = part.lag {
            *lag.records.get_or_insert(0) += records;
        }
        if let Some(seconds) = part.lag_seconds {
            lag.seconds = Some(lag.seconds.map_or(seconds, |worst| worst.max(seconds)));
        }
    }
    lags
}

fn labelled(out: &mut Writer, family: &Family, group: &str, topic: &str, partition: Option<i32>, value: f64) {
    let partition = partition.map(|p| p.to_string());
    let mut labels = vec![("group", group), ("topic", topic)];
    labels.extend(partition.as_deref().map(|p| ("partition", p)));
    out.sample(family, &labels, value);
}

fn latency(out: &mut Writer, labels: &[(&str, &str)], counts: &LatencyCounts) {
    let bounds = LATENCY_BOUNDS.iter().map(|ms| *ms as f64 / 1000.0);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts.up_to).collect();
    out.histogram(&names::LATENCY, labels, &buckets, counts.beyond, counts.sum as f64 / 1000.0);
}

fn dead_letters(picture: &Snapshot, choice: &Choice, out: &mut Writer) {
    // What cannot be read has figures of another time at best.
    let rows = || {
        let readable = picture.dead_letters.iter().filter(|row| row.error.is_none());
        readable.filter(|row| choice.has_topic_name(&row.topic))
    };
    for row in rows() {
        for (state, count) in [
            ("pending", row.pending),
            ("redriven", row.redriven),
            ("discarded", row.discarded),
            ("parked", row.parked),
            ("duplicate", row.duplicate),
        ] {
            if let Some(count) = count {
                out.sample(&names::LETTERS, &[("topic", &row.topic), ("state", state)], count as f64);
            }
        }
    }
    for row in rows() {
        let known: u64 = row.arrived_by_group.iter().map(|(_, count)| count).sum();
        for (group, count) in row.arrived_by_group.iter().filter(|(group, _)| choice.has_group(group)) {
            out.sample(&names::ARRIVALS, &[("topic", &row.topic), ("group", group)], *count as f64);
        }
        // Those whose group no letter tells; without any letter, that none arrived.
        let rest = row.arrived.saturating_sub(known);
        out.sample(&names::ARRIVALS, &[("topic", &row.topic), ("group", "")], rest as f64);
    }
    for row in rows() {
        if let Some(at) = row.oldest_timestamp {
            out.sample(&names::OLDEST, &[("topic", &row.topic)], seconds(at));
        }
    }
    for row in rows() {
        if let Some(at) = row.expires_at {
            out.sample(&names::EXPIRES, &[("topic", &row.topic)], seconds(at));
        }
    }
}
