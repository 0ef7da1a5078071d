//! The state machine of a dead letter's disposition.

use serde::{Deserialize, Serialize};

/// What was decided about a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Nothing yet: no row.
    #[default]
    Pending,
    /// Written to its target exactly once; terminal.
    Redriven,
    /// Given up by an operator.
    Discarded,
    /// Set aside, with the reason.
    Parked,
    /// The same failed record as another letter.
    Duplicate,
    /// Opened again after it was discarded or parked: counts as pending.
    Released,
}

impl Disposition {
    /// The word in JSON and on screens; `released` counts as `pending`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending | Self::Released => "pending",
            Self::Redriven => "redriven",
            Self::Discarded => "discarded",
            Self::Parked => "parked",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether the letter is still open.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::Released)
    }
}
