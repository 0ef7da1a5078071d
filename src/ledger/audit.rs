//! The records of the audit and their codec.
//!
//! The ledger is compacted and so keeps no history; the audit is append-only and keeps it: one record a
//! transaction, written in that transaction; and two an action that is none, before it and after it. The counts are
//! those of the run so far, so that the last record of a run alone tells it whole. Limits: the operator's name is self-declared; the user and host beside it are
//! what the operating system says.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use super::row::{RowError, decode, encode};

/// What sort of action an audit record belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run of a plan.
    #[default]
    Redrive,
    /// Letters were given up.
    Discard,
    /// Letters were set aside.
    Park,
    /// Letters were opened again.
    Release,
    /// Handled letters were deleted from the dead-letter topic.
    Purge,
    /// Records of a file were written into a topic.
    Import,
    /// Records that an operator made were written into a topic.
    Produce,
    /// Records of another topic were written into a topic.
    Copy,
}

impl Kind {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Park => "park",
            Self::Release => "release",
            Self::Purge => "purge",
            Self::Import => "import",
            Self::Produce => "produce",
            Self::Copy => "copy",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn is_redrive(&self) -> bool {
        *self == Self::Redrive
    }
}

/// What an audit record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The ledger was made; the record holds its topic id.
    Ledger,
    /// The first transaction of a run or another action.
    Start,
    /// A transaction of it.
    Batch,
    /// Its end.
    End,
    /// Committed offsets of a group are about to be moved or deleted, or the group.
    Offsets,
    /// What became of that.
    OffsetsEnd,
}

impl Action {
    /// Whether it is about a run.
    pub fn is_of_a_run(self) -> bool {
        matches!(self, Self::Start | Self::Batch | Self::End)
    }
}

/// The committed offset of a group on a partition, before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetChange {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Before; `None` without a commit.
    pub old: Option<i64>,
    /// After; `None` where it is deleted.
    pub new: Option<i64>,
    /// Why it was not changed; only in the record at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Where and why a letter was parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedAt {
    /// Partition in the dead-letter topic.
    pub partition: i32,
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// The broker's words.
    pub why: String,
}

/// The counts of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Letters of the plan.
    pub planned: u64,
    /// Written and committed.
    pub redriven: u64,
    /// Handled before.
    pub already_handled: u64,
    /// Skipped as duplicates.
    pub duplicates: u64,
    /// Gone by retention.
    pub expired: u64,
    /// Parked, bounded by the writer; [`Totals::parked`] counts all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parked_letters: Vec<ParkedAt>,
    /// Number of letters parked.
    pub parked: u64,
    /// Held behind an earlier record of their key.
    pub held: u64,
    /// Written in transactions that were aborted.
    pub aborted_records: u64,
    /// Letters whose disposition was set, or records that were deleted, by an action that is no redrive.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disposed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One audit record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Version of the format.
    pub v: u32,
    /// What it tells.
    pub action: Action,
    /// Of what sort of action.
    #[serde(default, skip_serializing_if = "Kind::is_redrive")]
    pub kind: Kind,
    /// Run id; empty for [`Action::Ledger`]. The records of one change of offsets share one as well.
    pub run: String,
    /// Plan id.
    pub plan: String,
    /// Cluster id.
    pub cluster: String,
    /// Dead-letter topic; empty where there is none.
    pub topic: String,
    /// Its id.
    pub topic_id: String,
    /// Id of the ledger's topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_topic_id: Option<String>,
    /// Who, self-declared.
    pub operator: String,
    /// The operating system's user.
    pub os_user: String,
    /// The host.
    pub host: String,
    /// SASL user, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl_user: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rules that were forced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forced: Vec<String>,
    /// The guarantee's word.
    pub guarantee: String,
    /// When the run began, milliseconds since the epoch, by the writer's clock.
    pub started_ms: i64,
    /// The run so far.
    #[serde(default)]
    pub totals: Totals,
    /// Positions that this record covers: partition to inclusive ranges of offsets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<i32, Vec<(i64, i64)>>,
    /// The consumer group that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its offsets; many are told by several records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offsets: Vec<OffsetChange>,
    /// Why the run stopped early, as in the document of `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// The run that was at work on the topic, and was stopped by this one at its operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_over: Option<String>,
    /// Program that wrote it.
    pub program: String,
    /// When, milliseconds since the epoch, by the writer's clock.
    pub time_ms: i64,
}

impl AuditRecord {
    /// The value's bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a record; a newer one is refused.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, RowError> {
        decode(value, |r: &Self| r.v)
    }

    /// An empty record of the current version, to be filled.
    pub fn new(action: Action, time_ms: i64) -> Self {
        Self {
            v: FORMAT_VERSION,
            action,
            kind: Kind::Redrive,
            run: String::new(),
            plan: String::new(),
            cluster: String::new(),
            topic: String::new(),
            topic_id: String::new(),
            ledger_topic_id: None,
            operator: String::new(),
            os_user: String::new(),
            host: String::new(),
            sasl_user: None,
            reason: None,
            forced: Vec::new(),
            guarantee: String::new(),
            started_ms: time_ms,
            totals: Totals::default(),
            positions: BTreeMap::new(),
            group: None,
            offsets: Vec::new(),
            stopped: None,
            stopped_reason: None,
            took_over: None,
            program: String::new(),
            time_ms,
        }
    }
}

/// Positions as inclusive ranges of offsets by partition. The input may be in any order.
pub fn ranges(positions: impl IntoIterator<Item = (i32, i64)>) -> BTreeMap<i32, Vec<(i64, i64)>> {
    let mut sorted: Vec<(i32, i64)> = positions.into_iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut out: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for (partition, offset) in sorted {
        let of = out.entry(partition).or_default();
        match of.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(offset) => *last = offset,
            _ => of.push((offset, offset)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_kept_as_ranges() {
        let ranges = ranges([(1, 5), (0, 3), (1, 4), (1, 9), (0, 4), (0, 4)]);
        assert_eq!(ranges, BTreeMap::from([(0, vec![(3, 4)]), (1, vec![(4, 5), (9, 9)])]));
    }

    #[test]
    fn an_audit_record_survives_its_codec_and_a_newer_one_is_refused() {
        let mut record = AuditRecord::new(Action::Batch, 7);
        record.positions = ranges([(0, 1), (2, 9)]);
        record.totals.parked_letters.push(ParkedAt { partition: 0, offset: 1, why: "too large".into() });
        assert_eq!(AuditRecord::decode(Some(&record.encode())).unwrap(), record);
        record.v = 2;
        assert_eq!(AuditRecord::decode(Some(&record.encode())), Err(RowError::Newer { version: 2 }));
    }
}
