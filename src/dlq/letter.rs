//! One dead letter, decoded: where it came from, why it failed, and what is not known.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Position, Record};
use crate::text::Timestamp;

/// Where a record failed. What the letter does not say is `None`, never a guess.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize)]
pub struct Origin {
    /// Topic.
    pub topic: Option<Arc<str>>,
    /// Partition.
    pub partition: Option<i32>,
    /// Offset.
    pub offset: Option<i64>,
    /// The origin record's timestamp.
    pub timestamp: Option<Timestamp>,
    /// The consumer group that failed.
    pub group: Option<Arc<str>>,
}

impl Origin {
    /// Where the record lies, if the letter says so whole.
    pub fn position(&self) -> Option<Position> {
        Some(Position::new(Arc::clone(self.topic.as_ref()?), self.partition?, self.offset?))
    }

    /// Whether a record at that position is the one that failed, as far as its timestamp tells: a topic that was made
    /// again has others at the same offsets.
    pub fn may_be(&self, record: &Record) -> bool {
        self.timestamp.zip(record.timestamp()).is_none_or(|(named, there)| named == there)
    }
}

/// A dead letter, decoded by the format that wrote it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The record as it lies in the dead-letter topic.
    pub record: Record,
    /// The format's name, for example `spring-kafka`, or a home-grown one of the profile; `None` where none
    /// was recognised.
    pub format: Option<Arc<str>>,
    /// Other formats whose headers are there, too, from earlier dead-letterings.
    pub others: Vec<Arc<str>>,
    /// The first place where the record failed.
    pub root: Origin,
    /// The latest hop before this letter, where it differs from `root`.
    pub previous: Option<Origin>,
    /// How often it was dead-lettered, where the letter says so (1 for the first time).
    pub hops: Option<u32>,
    /// The outermost exception class as the framework names it.
    pub error_class: Option<String>,
    /// The end of the chain of causes.
    pub root_cause_class: Option<String>,
    /// The message of the error that was thrown; what the framework put around it is taken off.
    pub message: Option<String>,
    /// The stack trace.
    pub stack_trace: Option<String>,
    /// Delivery attempts before it was given up.
    pub attempts: Option<u32>,
    /// When it was given up, where the letter says so.
    pub failed_at: Option<Timestamp>,
    /// The original key, where the framework kept it elsewhere than in the record's key.
    pub original_key: Option<Option<Bytes>>,
    /// The original value, where the framework wrapped it.
    pub original_value: Option<Option<Bytes>>,
    /// Whether the letter only points to its record and carries none of it (KIP-1191 without a copy).
    pub pointer: bool,
    /// What else the format says, by name (`connector`, `task`, `stage`, `cause_class`, …).
    pub also: Vec<(&'static str, String)>,
    /// What could not be read, and why; for the eye.
    pub notes: Vec<String>,
    /// Which header, member or rule gave a field, by the field's name in documents.
    pub rules: Vec<(&'static str, String)>,
    /// Why a field is not known, by its name in documents.
    pub unknown: Vec<(&'static str, String)>,
    /// The failure that it belongs to.
    pub failure: super::failure::Failure,
}
