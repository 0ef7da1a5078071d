//! One picture of the cluster: immutable, shared by `Arc`; what the lists show and the commands print.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::applications::Applications;
use crate::broker::ConfigEntry;
use crate::dlq::groups::DlqRow;
use crate::text::Timestamp;

/// How current a picture is; an old number is never shown as new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing was sampled yet.
    Starting,
    /// The last sample succeeded.
    Live,
    /// The broker is away; the picture is of this time.
    Stale {
        /// Since when.
        since: Timestamp,
        /// Why, in one line.
        why: String,
    },
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Events.
    Source,
    /// Dead letters.
    DeadLetter,
    /// Retries on the way to dead letters.
    Retry,
    /// The broker's or this program's own.
    Internal,
}

/// One partition of a topic: a row of `topics show`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionRow {
    /// Partition.
    pub partition: i32,
    /// Leader's node id.
    pub leader: Option<i32>,
    /// Replicas' node ids.
    pub replicas: Vec<i32>,
    /// In-sync replicas' node ids.
    pub isr: Vec<i32>,
    /// First offset.
    pub start_offset: Option<i64>,
    /// High watermark.
    pub end_offset: Option<i64>,
    /// Last stable offset.
    pub last_stable_offset: Option<i64>,
    /// Growth of the end offset.
    pub records_per_second: Option<f64>,
}

/// A topic needs this many partitions for one of them to be hot, and this many records a second.
const HOT_PARTITIONS: usize = 4;
const HOT_RATE: f64 = 1.0;

/// One topic: a row of `topics list`.
#[derive(Clone, Debug, Serialize)]
pub struct TopicRow {
    /// Name.
    pub name: Arc<str>,
    /// What it is for.
    pub role: Role,
    /// Number of partitions.
    pub partitions: usize,
    /// Replication factor.
    pub replication_factor: usize,
    /// Sum of end − start offsets: an upper bound on a compacted or transactional topic.
    pub records: Option<u64>,
    /// Growth of the end offsets.
    pub records_per_second: Option<f64>,
    /// records/s × mean size of records lately read.
    pub bytes_per_second: Option<f64>,
    /// Whether it is an estimate (always, where present).
    pub bytes_per_second_estimated: bool,
    /// `retention.ms`; -1 in the broker's words is `None` here, as is unknown.
    pub retention_ms: Option<i64>,
    /// `cleanup.policy`.
    pub cleanup_policy: Option<String>,
    /// Its dead-letter topics.
    pub dead_letter_topics: Vec<Arc<str>>,
    /// The group with the largest lag on it.
    pub worst_group: Option<Arc<str>>,
    /// That lag, in records.
    pub worst_lag: Option<u64>,
    /// Why its figures are not known, where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Offsets given out so far: it only grows. `None` while a partition's end is not known.
    #[serde(skip)]
    pub appended: Option<u64>,
    /// Why its configuration is not known, where it was asked for and is not.
    #[serde(skip)]
    pub config_error: Option<String>,
    /// Partitions.
    #[serde(skip)]
    pub detail: Arc<[PartitionRow]>,
    /// Configuration, once asked.
    #[serde(skip)]
    pub config: Option<Arc<BTreeMap<String, ConfigEntry>>>,
    /// records/s of the last samples, oldest first.
    #[serde(skip)]
    pub trend: Arc<[f64]>,
}

impl TopicRow {
    /// The partition that takes more than half of what arrives, and its share (0 to 1).
    pub fn hot(&self) -> Option<(i32, f64)> {
        let rate = self.records_per_second.filter(|rate| *rate >= HOT_RATE)?;
        let shares = self.detail.iter().filter_map(|p| Some((p.partition, p.records_per_second? / rate)));
        shares.filter(|_| self.detail.len() >= HOT_PARTITIONS).find(|(_, share)| *share > 0.5)
    }
}

/// Burrow's status of a group or of one of its partitions; ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The window is not full yet.
    Unknown,
    /// All well.
    Ok,
    /// Commits move and lag grows over the whole window.
    Warn,
    /// A commit went backwards.
    Rewind,
    /// Commits do not move, lag > 0, members present.
    Stall,
    /// No commit in the window, lag > 0, no member.
    Stop,
}

/// Latency percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Default)]
pub struct Latency {
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Records measured in the window.
    pub samples: u64,
    /// Resolution in milliseconds: commit interval + sample interval; printed beside the figures.
    #[serde(skip)]
    pub resolution: Option<f64>,
    /// Of `samples`, those with an event time later than the time seen: clock skew, counted and not clamped.
    #[serde(skip)]
    pub skewed: u64,
}

/// Upper bounds of [`LatencyCounts`], in milliseconds.
pub const LATENCY_BOUNDS: [u64; 16] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
    86_400_000,
];

/// Latencies counted since the program looks on.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LatencyCounts {
    /// Values up to each of [`LATENCY_BOUNDS`] and above the one before.
    pub up_to: [u64; LATENCY_BOUNDS.len()],
    /// Values above the last bound.
    pub beyond: u64,
    /// Their sum in milliseconds.
    pub sum: u64,
    /// Event times later than the time seen: clock skew, in none of the counts above.
    pub skewed: u64,
}

impl LatencyCounts {
    /// Counts a value in milliseconds.
    pub fn add(&mut self, millis: i64) {
        let Ok(millis) = u64::try_from(millis) else {
            self.skewed += 1;
            return;
        };
        match self.up_to.get_mut(LATENCY_BOUNDS.partition_point(|bound| *bound < millis)) {
            Some(count) => *count += 1,
            None => self.beyond += 1,
        }
        self.sum = self.sum.saturating_add(millis);
    }
}

/// One partition of a group: a row of `groups show`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupPartitionRow {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Committed offset; `None` without a commit.
    pub committed: Option<i64>,
    /// Start of the log.
    pub start_offset: Option<i64>,
    /// End of the log.
    pub end_offset: Option<i64>,
    /// Last stable offset, where it differs from the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stable_offset: Option<i64>,
    /// end − committed.
    pub lag: Option<u64>,
    /// now − timestamp of the first record not consumed.
    pub lag_seconds: Option<f64>,
    /// What `lag_seconds` rests on: `observed` (samples saw the log grow past it), `create_time` or
    /// `log_append_time` (the record's own timestamp was read).
    pub lag_seconds_basis: Option<&'static str>,
    /// Seconds since its commit was seen to move; `None` until it was (the broker does not tell when it was made).
    pub commit_age_seconds: Option<f64>,
    /// Seconds since its commit was seen first, where it was never seen to move: it is at least so old.
    #[serde(skip)]
    pub commit_still_seconds: Option<f64>,
    /// Status.
    pub status: Status,
    /// Member id.
    pub member: Option<Arc<str>>,
    /// Its client id.
    pub client_id: Option<Arc<str>>,
    /// Its host.
    pub host: Option<Arc<str>>,
    /// Records lost to retention before they were consumed (committed below the start offset).
    #[serde(skip)]
    pub lost: u64,
}

/// One group: a row of `groups list`.
#[derive(Clone, Debug, Serialize)]
pub struct GroupRow {
    /// Group id.
    pub group: Arc<str>,
    /// `classic`, `consumer`, `share`, `streams`, `unknown`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Why something of it is not known.
    pub unknown_reason: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Number of members.
    pub members: Option<usize>,
    /// Topics with commits or assignments.
    pub topics: Vec<Arc<str>>,
    /// Sum of the known lags.
    pub lag: Option<u64>,
    /// Partitions whose lag is not known (assigned without a commit).
    pub lag_unknown_partitions: usize,
    /// The worst lag in time.
    pub lag_seconds: Option<f64>,
    /// Growth of the committed offsets.
    pub consumed_per_second: Option<f64>,
    /// lag ÷ (consumed/s − produced/s); `None` when it falls behind, or is unknown.
    pub drain_seconds: Option<f64>,
    /// Whether it consumes more slowly than is produced: the time to drain is "never".
    #[serde(skip)]
    pub falls_behind: bool,
    /// Worst status of its partitions.
    pub status: Status,
    /// End-to-end latency.
    pub latency_ms: Latency,
    /// Partitions, the worst lag first.
    #[serde(skip)]
    pub detail: Arc<[GroupPartitionRow]>,
    /// Latencies counted since the program looks on, by topic.
    #[serde(skip)]
    pub latency_counts: Arc<[(Arc<str>, LatencyCounts)]>,
    /// Members: id, client id, host, number of partitions.
    #[serde(skip)]
    pub member_rows: Arc<[MemberRow]>,
    /// Lag of the last samples, oldest first.
    #[serde(skip)]
    pub trend: Arc<[f64]>,
    /// Dead letters a second whose origin is this group ÷ consumed/s, in percent.
    #[serde(skip)]
    pub error_percent: Option<f64>,
}

/// One member of a group.
#[derive(Clone, Debug, Serialize)]
pub struct MemberRow {
    /// Member id.
    pub member: Arc<str>,
    /// Client id.
    pub client_id: String,
    /// Host.
    pub host: String,
    /// Partitions assigned, as `topic[0,3]`.
    pub assigned: Vec<String>,
}

/// How urgent a line of "needs attention" is; ordered from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Will hurt if left.
    Warning,
    /// Hurts now.
    Critical,
}

/// Where a line of "needs attention" leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Screen: `topics`, `groups`, `dead_letters`, `overview`.
    pub screen: &'static str,
    /// Topic.
    pub topic: Option<Arc<str>>,
    /// Partition.
    pub partition: Option<i32>,
    /// Offset of the record to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Group.
    pub group: Option<Arc<str>>,
}

/// One line of "needs attention".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// Urgency.
    pub severity: Severity,
    /// What, in one sentence.
    pub what: String,
    /// Where.
    #[serde(rename = "where")]
    pub place: Place,
    /// Since when.
    pub since: Timestamp,
    /// What to do.
    pub hint: String,
    /// Finds it again in the next picture.
    #[serde(skip)]
    pub key: Arc<str>,
    /// How bad it is among its like, the more the worse.
    #[serde(skip)]
    pub weight: u64,
}

/// The charts' history: one value a sample, oldest first; `None` where nothing was known.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Time of each sample.
    pub at: Vec<Timestamp>,
    /// records/s over all source topics.
    pub records_per_second: Vec<Option<f64>>,
    /// p99 of the slowest group, in milliseconds.
    pub latency_p99: Vec<Option<f64>>,
    /// Errors in percent of consumed.
    pub error_percent: Vec<Option<f64>>,
    /// Total lag.
    pub lag: Vec<Option<f64>>,
    /// Pending dead letters.
    pub pending: Vec<Option<f64>>,
}

/// Totals of the five dashboards.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// records/s over all source topics.
    pub records_per_second: Option<f64>,
    /// bytes/s, estimated.
    pub bytes_per_second: Option<f64>,
    /// Latency over all groups.
    pub latency: Latency,
    /// Dead letters a second.
    pub errors_per_second: Option<f64>,
    /// The same in percent of consumed/s.
    pub error_percent: Option<f64>,
    /// Sum of all known lags.
    pub lag: Option<u64>,
    /// Pending dead letters.
    pub pending: Option<u64>,
    /// Arrivals a minute.
    pub arrivals_per_minute: Option<f64>,
    /// Age of the oldest pending letter in seconds.
    pub oldest_age_seconds: Option<f64>,
}

/// The cluster in the header of documents.
#[derive(Clone, Debug, Serialize, Default)]
pub struct ClusterRow {
    /// Cluster id.
    pub id: Arc<str>,
    /// Number of brokers.
    pub brokers: usize,
    /// Controller's node id.
    pub controller: Option<i32>,
}

/// One picture.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Grows by one a sample.
    pub generation: u64,
    /// When it was taken.
    pub taken: Timestamp,
    /// How current it is.
    pub freshness: Freshness,
    /// Cluster.
    pub cluster: ClusterRow,
    /// Time between the two samples behind the rates.
    pub window_seconds: Option<f64>,
    /// Topics by name.
    pub topics: Arc<[TopicRow]>,
    /// Groups by name.
    pub groups: Arc<[GroupRow]>,
    /// Why the groups cannot be listed, where they cannot: those above are as they were seen last.
    pub groups_error: Option<String>,
    /// Dead-letter topics by name.
    pub dead_letters: Arc<[DlqRow]>,
    /// What needs attention, the worst first.
    pub attention: Arc<[Attention]>,
    /// Totals.
    pub totals: Totals,
    /// Charts.
    pub history: Arc<History>,
    /// What the applications tell of themselves; `None` where the profile names none to be asked.
    pub applications: Option<Arc<Applications>>,
    /// How long this sample took, in seconds.
    pub sample_seconds: f64,
    /// Requests to the brokers in the last minute, as [`crate::broker::Broker::requests_per_minute`] counts them.
    pub requests_per_minute: Option<f64>,
}

impl Snapshot {
    /// The picture before the first sample.
    pub fn empty(now: Timestamp) -> Self {
        Self {
            generation: 0,
            taken: now,
            freshness: Freshness::Starting,
            cluster: ClusterRow::default(),
            window_seconds: None,
            topics: Arc::from([]),
            groups: Arc::from([]),
            groups_error: None,
            dead_letters: Arc::from([]),
            attention: Arc::from([]),
            totals: Totals::default(),
            history: Arc::default(),
            applications: None,
            sample_seconds: 0.0,
            requests_per_minute: None,
        }
    }
}
