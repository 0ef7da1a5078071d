//! Dead-letter topics and their failures as rows: what the screens list and the commands print.

use std::sync::Arc;

use serde::Serialize;

use crate::text::Timestamp;

/// Why a topic counts as a dead-letter topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Its records carry a known format's headers.
    Headers,
    /// Its configuration says so (KIP-1191).
    Config,
    /// Its name fits a pattern.
    Name,
    /// The operator said so.
    Adopted,
}

/// One dead-letter topic: a row of `dlq list`.
#[derive(Clone, Debug, Serialize)]
pub struct DlqRow {
    /// Topic.
    pub topic: Arc<str>,
    /// Why it counts as one.
    pub found_by: FoundBy,
    /// Why, in words.
    pub reason: Arc<str>,
    /// Formats seen.
    pub formats: Vec<Arc<str>>,
    /// Origin topics seen.
    pub sources: Vec<Arc<str>>,
    /// Consumer groups seen.
    pub groups: Vec<Arc<str>>,
    /// Records in it.
    pub records: Option<u64>,
    /// Letters without a terminal disposition; `None` while counting or without the ledger.
    pub pending: Option<u64>,
    /// Letters redriven.
    pub redriven: Option<u64>,
    /// Letters discarded.
    pub discarded: Option<u64>,
    /// Letters parked.
    pub parked: Option<u64>,
    /// Letters marked as duplicates.
    pub duplicate: Option<u64>,
    /// New letters a minute, over the last minutes.
    pub arrivals_per_minute: Option<f64>,
    /// Timestamp of the oldest pending letter.
    pub oldest_timestamp: Option<Timestamp>,
    /// Its age in seconds.
    pub oldest_age_seconds: Option<f64>,
    /// The earliest time at which retention can delete an open letter; `None` where it cannot, or is not known.
    pub expires_at: Option<Timestamp>,
    /// Whether that is within the profile's `retention_warning`.
    pub expires_soon: bool,
    /// Records beyond the last stable offset.
    pub beyond_last_stable: Option<u64>,
    /// Whether every record was read.
    pub complete: bool,
    /// Letters read so far.
    pub scanned: u64,
    /// The failure with most pending letters.
    #[serde(skip)]
    pub top_failure: Option<Arc<str>>,
    /// The number of failures with pending letters.
    #[serde(skip)]
    pub failures: usize,
    /// Letters that arrived since the console looks, whatever their group.
    #[serde(skip)]
    pub arrived: u64,
    /// Letters that arrived since the console looks, by consumer group; counters, never going down.
    #[serde(skip)]
    pub arrived_by_group: Vec<(Arc<str>, u64)>,
    /// Failures first seen while the console looked on: id, name, time.
    #[serde(skip)]
    pub new_failures: Vec<(Arc<str>, Arc<str>, Timestamp)>,
    /// Arrivals in each of the last 15 minutes, oldest first; the last is the minute under way.
    #[serde(rename = "arrivals_by_minute")]
    pub arrivals: Vec<u64>,
    /// Why it could not be read, where it could not.
    #[serde(skip)]
    pub error: Option<String>,
}

/// One failure of a dead-letter topic: a row of `dlq failures`.
#[derive(Clone, Debug, Serialize)]
pub struct FailureRow {
    /// Stable id.
    pub id: Arc<str>,
    /// Outermost exception class.
    pub error_class: Option<Arc<str>>,
    /// End of the chain of causes.
    pub root_cause_class: Option<Arc<str>>,
    /// The application's first frame.
    pub frame: Option<Arc<str>>,
    /// Normalised message.
    pub message: Option<Arc<str>>,
    /// Origin topic.
    pub origin_topic: Option<Arc<str>>,
    /// Consumer group.
    pub group: Option<Arc<str>>,
    /// Letters.
    pub count: u64,
    /// Letters still pending; `None` without the ledger.
    pub pending: Option<u64>,
    /// Timestamp of the first letter.
    pub first_timestamp: Option<Timestamp>,
    /// Timestamp of the last letter.
    pub last_timestamp: Option<Timestamp>,
    /// Distinct keys.
    pub keys: u64,
    /// Whether `keys` is an estimate (there are more than 10,000).
    pub keys_estimated: bool,
    /// A letter of it.
    pub sample: Sample,
    /// Arrivals in each of the last 15 minutes, oldest first; the last is the minute under way.
    #[serde(rename = "arrivals_by_minute")]
    pub arrivals: Vec<u64>,
}

/// The position of a sample letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}
