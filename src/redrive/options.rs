//! How a plan is carried out: the options of `plan` and `replay`, kept in the plan's header. Pure.

use serde::{Deserialize, Serialize};

/// The options of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Records a second; `None` for no limit.
    pub rate: Option<u32>,
    /// So many records are sent first, and then proof is waited for; `None` for no canary.
    pub canary: Option<u32>,
    /// How long the proof is waited for, in milliseconds.
    pub canary_wait_ms: u64,
    /// What follows the canary.
    pub canary_then: CanaryThen,
    /// A run stops when more than this share of its last records failed again, in percent; 100 never stops.
    pub stop_above: u32,
    /// To which partitions; `None` for what the records themselves tell.
    pub place: Option<Place>,
    /// Whose bytes are sent.
    pub bytes: Which,
    /// Letters without a key take that of their origin: the comparison showed that their framework drops keys.
    pub fill_keys: bool,
    /// A jq expression over the document of each record, which gives it back changed.
    pub edit: Option<String>,
    /// Records keep the gaps of time that were between them, times this factor.
    pub pace: Option<f64>,
    /// Headers to strip in addition to those of the format.
    pub strip_headers: Vec<String>,
    /// Headers to add.
    pub add_headers: Vec<(String, String)>,
    /// Keep the timestamps of the original records.
    pub keep_timestamps: bool,
    /// Rules that were forced.
    pub force: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate: None,
            canary: None,
            canary_wait_ms: 60_000,
            canary_then: CanaryThen::default(),
            stop_above: 20,
            place: None,
            bytes: Which::default(),
            fill_keys: false,
            edit: None,
            pace: None,
            strip_headers: Vec::new(),
            add_headers: Vec::new(),
            keep_timestamps: false,
            force: Vec::new(),
        }
    }
}

impl Options {
    /// Whether the rule was forced.
    pub fn forces(&self, rule: &str) -> bool {
        self.force.iter().any(|f| f == rule)
    }
}

/// What follows a canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryThen {
    /// The rest, where nothing came back; else the run stops.
    #[default]
    Continue,
    /// Nothing: running the plan again sends the rest.
    Stop,
    /// The operator is asked; where nobody can be asked the run stops.
    Ask,
}

impl CanaryThen {
    /// The word of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Stop => "stop",
            Self::Ask => "ask",
        }
    }
}

/// To which partitions records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The partition where each was, where it still exists.
    Original,
    /// Where the Java client puts the key now.
    Rehash,
}

impl Place {
    /// The word of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Rehash => "rehash",
        }
    }
}

/// Whose bytes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The letter's; the origin's where the letter has none.
    #[default]
    Letter,
    /// The origin record's.
    Origin,
}

impl Which {
    /// The word of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Letter => "letter",
            Self::Origin => "origin",
        }
    }
}
