//! What a broker can do, asked per resource: questions a screen asks, not flags of a vendor.

use std::fmt;

/// How far something is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// Fully.
    Yes,
    /// With a limit that the operator is told.
    Degraded(&'static str),
    /// Not, and why.
    No(&'static str),
    /// Not yet known.
    Unknown,
}

impl Support {
    /// Whether it can be used at all.
    pub fn usable(&self) -> bool {
        matches!(self, Self::Yes | Self::Degraded(_))
    }
}

/// What reading does to others; told before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeekEffect {
    /// Nothing.
    None,
    /// It counts as a delivery attempt.
    CountsAsDelivery,
    /// It hides the record from others for some seconds.
    Hides {
        /// For how long.
        seconds: u32,
    },
}

/// The strongest promise that a writing session can give. `Display` is the sentence that the operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Transactions: readers with `read_committed` see each record exactly once.
    ExactlyOnceReadCommitted,
    /// Without transactions: nothing is lost, duplicates are looked for afterwards.
    AtLeastOnceChecked,
}

impl Guarantee {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactlyOnceReadCommitted => "exactly_once",
            Self::AtLeastOnceChecked => "at_least_once_checked",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExactlyOnceReadCommitted => "exactly once for read_committed readers",
            Self::AtLeastOnceChecked => "at least once, checked",
        })
    }
}

/// The answers of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The broker's kind, for the eye only (`kafka`, `memory`); no decision hangs on it.
    pub kind: &'static str,
    /// Starting a read at a position.
    pub seek_offset: Support,
    /// Starting a read at a time.
    pub seek_time: Support,
    /// Reading without being seen.
    pub peek: Support,
    /// What a read does to others.
    pub peek_effect: PeekEffect,
    /// Consumer groups.
    pub groups: Support,
    /// Lag as a number of records.
    pub group_lag: Support,
    /// Transactions.
    pub transactions: Support,
    /// Ids that tell a topic from a later one with the same name.
    pub topic_ids: Support,
    /// Compaction by key.
    pub compaction: Support,
    /// Deleting the records before an offset.
    pub delete_before: Support,
    /// The strongest guarantee of a write; `None` on a read-only profile.
    pub guarantee: Option<Guarantee>,
}
