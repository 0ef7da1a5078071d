//! What `tail` and `get` are asked and answer.

use std::sync::Arc;

use serde::Serialize;

use crate::broker::Name;
use crate::event::decode::{Base64, Decoded};
use crate::event::{Position, Record};
use crate::filter::Selection;
use crate::text::units::{bytes, count};

/// What `tail` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailRequest {
    /// Topics.
    pub topics: Vec<Name>,
    /// Which records.
    pub selection: Selection,
    /// Go on with new records.
    pub follow: bool,
    /// What of the records that match is wanted.
    pub wanted: Wanted,
    /// Where an earlier read stopped: partitions with the offsets to go on at; empty for a read from its beginning.
    pub after: Vec<(Name, i32, i64)>,
}

/// What of the records that match is given to the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wanted {
    /// All of them.
    #[default]
    Whole,
    /// Keys and values; headers may be missing, which makes a fast read faster.
    Values,
    /// Nothing: only how many there are.
    Count,
}

/// How a tail ended; the records went to the sink.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TailAnswer {
    /// Records read.
    pub read: u64,
    /// Records that matched.
    pub matched: u64,
    /// Bytes of keys and values read.
    pub bytes: u64,
    /// Whether the whole range was read.
    pub complete: bool,
    /// Why not, where not.
    pub incomplete_reason: Option<String>,
    /// Records on which the condition failed with an error.
    pub filter_errors: u64,
    /// `read_committed` or `read_uncommitted`.
    pub isolation: &'static str,
    /// What was read: `topic`, `partition`, first offset, next offset.
    pub ranges: Vec<(Name, i32, i64, i64)>,
    /// For the eye: trimmed, failed partitions and the like.
    pub notes: Vec<String>,
}

impl TailAnswer {
    /// This read and one that went on where it stopped, as one.
    #[must_use]
    pub fn and(&self, next: &Self) -> Self {
        let mut out = next.clone();
        out.read += self.read;
        out.matched += self.matched;
        out.bytes += self.bytes;
        out.filter_errors += self.filter_errors;
        for range in &self.ranges {
            match out.ranges.iter_mut().find(|r| (&r.0, r.1) == (&range.0, range.1)) {
                Some(later) => later.2 = range.2,
                None => out.ranges.push(range.clone()),
            }
        }
        out
    }

    /// What was covered, in words: `12,000,000 records in 6 partitions, offsets 0–2,103,554, 3 matches`.
    pub fn covered(&self) -> String {
        let read = self.ranges.iter().filter(|(.., from, next)| next > from);
        let first = read.clone().map(|(.., from, _)| *from).min();
        let last = read.clone().map(|(.., next)| next - 1).max();
        let offset = |offset: i64| count(u64::try_from(offset).unwrap_or(0));
        let offsets = first.zip(last).map_or_else(String::new, |(first, last)| {
            format!(", offsets {}–{}", offset(first), offset(last))
        });
        let many =
            |n: u64, one: &str, more: &str| format!("{} {}", count(n), if n == 1 { one } else { more });
        format!(
            "{} in {}{offsets}, {}",
            many(self.read, "record", "records"),
            many(read.count() as u64, "partition", "partitions"),
            many(self.matched, "match", "matches")
        )
    }
}

/// How much a read would cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EstimateAnswer {
    /// Offsets in the ranges: records at most.
    pub offsets: u64,
    /// Partitions that are read.
    pub partitions: u64,
    /// Bytes of keys and values, by a sample; `None` where none could be taken.
    pub bytes: Option<u64>,
    /// Records in the sample.
    pub sampled: u64,
    /// `read_committed` or `read_uncommitted`.
    pub isolation: &'static str,
    /// For the eye.
    pub notes: Vec<String>,
}

impl EstimateAnswer {
    /// In words: `~12,000 records, ~3.1 MB, in 6 partitions`.
    pub fn words(&self) -> String {
        let bytes = self.bytes.map_or_else(|| "size not known".to_owned(), |n| format!("~{}", bytes(n)));
        format!("~{} records, {bytes}, in {} partitions", count(self.offsets), self.partitions)
    }
}

/// What `get` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetRequest {
    /// The record.
    pub at: Position,
}

/// What the key and the value of a record are.
#[derive(Clone, Debug)]
pub struct DecodedRecord {
    /// The record.
    pub at: Position,
    /// What became of base64 in them.
    pub base64: Base64,
    /// Its key.
    pub key: Decoded,
    /// Its value.
    pub value: Decoded,
}

/// What lies at a position.
#[derive(Clone, Debug)]
pub enum GetAnswer {
    /// The record.
    Found(Arc<Record>),
    /// An offset of the log without a record that a committed reader can see, and why.
    Nothing {
        /// `transaction_marker`, `aborted`, `compacted`, `expired`, `beyond_end`, `uncommitted`.
        why: &'static str,
        /// In words.
        text: String,
    },
}
