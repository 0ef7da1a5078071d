//! The documents of `groups reset`, `groups delete-offsets` and `groups delete`, and what they are asked.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::target::{Target, TopicChoice};
use crate::text::{Timestamp, units};

/// What is to be done with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set committed offsets.
    Reset(Target),
    /// Delete committed offsets.
    DeleteOffsets,
    /// Delete the group with all its offsets.
    DeleteGroup,
}

impl Change {
    /// The word of the document.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reset(_) => "reset",
            Self::DeleteOffsets => "delete_offsets",
            Self::DeleteGroup => "delete_group",
        }
    }

    /// Whether it takes something away that only its undoing brings back.
    pub fn destroys(&self) -> bool {
        !matches!(self, Self::Reset(_))
    }
}

/// What is asked for a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetsRequest {
    /// The group.
    pub group: Arc<str>,
    /// What is to be done.
    pub change: Change,
    /// The topics; empty for all with a committed offset of the group.
    pub topics: Vec<TopicChoice>,
    /// Make the group where there is none.
    pub create: bool,
}

/// Records that a consumer passes over, or that it meets again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// Offsets: an upper bound on records of compacted or transactional topics.
    pub records: u64,
    /// Timestamp of the first record; `None` where it could not be read.
    pub from: Option<Timestamp>,
    /// Timestamp of the last one.
    pub to: Option<Timestamp>,
}

impl Stretch {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
        let most = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).max();
        Self {
            records: self.records + other.records,
            from: least(self.from, other.from),
            to: most(self.to, other.to),
        }
    }

    /// The time between its ends, for the eye.
    pub fn time(self) -> Option<String> {
        let millis = self.to?.since(self.from?).max(0).unsigned_abs();
        Some(units::duration(Duration::from_millis(millis)))
    }
}

/// One partition of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OffsetRow {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Start of the log.
    pub start_offset: Option<i64>,
    /// End of the log.
    pub end_offset: Option<i64>,
    /// Committed now; `None` without a commit.
    pub old: Option<i64>,
    /// Committed afterwards; `None` where it is deleted, or cannot be told (`error`).
    pub new: Option<i64>,
    /// Records passed over; `None` where that depends on the consumer (no commit before or afterwards).
    pub skipped: Option<Stretch>,
    /// Records seen again; the same.
    pub seen_again: Option<Stretch>,
    /// What is odd about it, for example that the offset was moved into the log.
    pub note: Option<String>,
    /// Why it is left as it is, where it should not be.
    pub error: Option<String>,
}

impl OffsetRow {
    /// Whether its offset is another one afterwards.
    pub fn changes(&self) -> bool {
        self.error.is_none() && self.old != self.new
    }
}

/// A plan: what would be done, and what that means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OffsetsPlan {
    /// Cluster id.
    pub cluster_id: Arc<str>,
    /// The group.
    pub group: Arc<str>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its state; `None` where there is no group yet.
    pub state: Option<String>,
    /// `reset`, `delete_offsets` or `delete_group`.
    pub change: &'static str,
    /// Where to, as it may be given again.
    pub offsets: Option<String>,
    /// Partitions whose offset changes: the number that is typed where one must be.
    pub count: u64,
    /// Partitions that should change and cannot.
    pub errors: u64,
    /// All records passed over.
    pub skipped: Stretch,
    /// All records seen again.
    pub seen_again: Stretch,
    /// What to think about.
    pub warnings: Vec<String>,
    /// The command lines that bring the offsets of now back.
    pub undo: Vec<String>,
    /// The partitions, by topic and number.
    pub partitions: Vec<OffsetRow>,
    /// What was asked.
    #[serde(skip)]
    pub request: OffsetsRequest,
}

impl OffsetsPlan {
    /// Whether the broker would change anything.
    pub fn does_something(&self) -> bool {
        self.count > 0 || (self.request.change == Change::DeleteGroup && self.state.is_some())
    }

    /// Whether the number must be typed: much is concerned, or something is taken away.
    pub fn is_grave(&self) -> bool {
        /// More records than this are agreed to by typing.
        const MANY: u64 = 1_000;
        self.request.change.destroys() || self.skipped.records + self.seen_again.records > MANY
    }
}

/// What is asked to execute a plan.
#[derive(Clone, Debug)]
pub struct OffsetsRun {
    /// The plan that was agreed to.
    pub plan: Arc<OffsetsPlan>,
    /// Why; goes into the audit.
    pub reason: Option<String>,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OffsetsAnswer {
    /// The plan; a partition that was refused has its `error`.
    #[serde(flatten)]
    pub plan: OffsetsPlan,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Partitions that were changed.
    pub changed: u64,
    /// The id that its audit records share; `None` where nothing was written.
    pub audit: Option<String>,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: Option<String>,
}
