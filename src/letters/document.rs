//! The documents of `dlq list`, `dlq failures` and `dlq letters`.

use std::sync::Arc;

use serde::Serialize;

use crate::dlq::Letter;
use crate::dlq::groups::{DlqRow, FailureRow};
use crate::filter::Selection;
use crate::ledger::Disposition;
use crate::text::Timestamp;

/// `dlq list`.
#[derive(Clone, Debug, Serialize)]
pub struct DlqsAnswer {
    /// Dead-letter topics by name.
    pub dead_letter_topics: Arc<[DlqRow]>,
}

/// What `dlq failures` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailuresRequest {
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Which records of it.
    pub selection: Selection,
    /// Only letters in this state (`released` counts as pending); `None` for all.
    pub state: Option<Disposition>,
}

/// `dlq failures`.
#[derive(Clone, Debug, Serialize)]
pub struct FailuresAnswer {
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Letters read.
    pub scanned: u64,
    /// Whether all of the selection was read.
    pub complete: bool,
    /// Failures, the most pending first.
    pub failures: Vec<FailureRow>,
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
}

/// What `dlq letters` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LettersRequest {
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Which records of it; `limit` counts letters given.
    pub selection: Selection,
    /// Only letters of this failure.
    pub failure: Option<Arc<str>>,
    /// Only letters in this state (`released` counts as pending); `None` for all.
    pub state: Option<Disposition>,
}

/// `dlq letters`.
#[derive(Clone, Debug)]
pub struct LettersAnswer {
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Letters by time.
    pub letters: Vec<LetterRow>,
    /// Letters that fit in all, also beyond the limit.
    pub total: u64,
    /// Whether all of the selection was read and given.
    pub complete: bool,
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
}

/// One letter with its state.
#[derive(Clone, Debug)]
pub struct LetterRow {
    /// The letter.
    pub letter: Arc<Letter>,
    /// Its disposition; `None` where the ledger cannot be read.
    pub state: Option<Disposition>,
    /// What became of it.
    pub redrive: Option<RedriveNote>,
    /// What was decided about it, the oldest first; bounded by the ledger.
    pub history: Vec<Decision>,
    /// Whether another letter has the same root.
    pub duplicate: bool,
}

/// One decision about a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// `redriven`, `discarded`, `parked`, `duplicate`, `released`.
    pub decision: &'static str,
    /// Run or action that decided.
    pub run: String,
    /// Who; `None` where the row does not keep it.
    pub operator: Option<String>,
    /// Why, in the operator's or the broker's words.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What the ledger says of a redriven letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedriveNote {
    /// Run id.
    pub run: String,
    /// How often it was redriven.
    pub count: u32,
    /// Where it went.
    pub target: Target,
    /// Who.
    pub operator: String,
    /// When.
    pub at: Option<Timestamp>,
    /// `produced`, `processed`, `came_back`, `unknown`.
    pub outcome: &'static str,
}

/// A record's place at a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}
