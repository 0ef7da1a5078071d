//! The state machine of a dead letter's disposition.
//!
//! A redriven letter stays redriven: everything else an operator decides can be taken back by releasing it.
//! Limits: the machine judges one step; that nobody else writes at the same moment is the work of the
//! dead-letter topic's transactional id.

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

    /// The word for the decision itself, which tells `released` from `pending`.
    pub fn decision(self) -> &'static str {
        if self == Self::Released { "released" } else { self.as_str() }
    }

    /// Whether the letter is still open.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::Released)
    }

    /// Whether `next` may be written after `self`. `again` is the operator's forced rule of that name: it
    /// alone lets a redriven letter be redriven once more.
    pub fn may_become(self, next: Self, again: bool) -> bool {
        match (self, next) {
            (_, Self::Pending) => false,
            (Self::Pending | Self::Released, next) => next != Self::Released,
            (Self::Discarded | Self::Parked | Self::Duplicate, next) => next == Self::Released,
            (Self::Redriven, next) => next == Self::Redriven && again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Disposition::{self, Discarded, Duplicate, Parked, Pending, Redriven, Released};

    const ALL: [Disposition; 6] = [Pending, Redriven, Discarded, Parked, Duplicate, Released];

    #[test]
    fn an_open_letter_may_be_decided_in_every_way() {
        for open in [Pending, Released] {
            let allowed: Vec<_> = ALL.into_iter().filter(|n| open.may_become(*n, false)).collect();
            assert_eq!(allowed, [Redriven, Discarded, Parked, Duplicate]);
        }
    }

    #[test]
    fn what_was_set_aside_can_only_be_released() {
        for aside in [Discarded, Parked, Duplicate] {
            let allowed: Vec<_> = ALL.into_iter().filter(|n| aside.may_become(*n, true)).collect();
            assert_eq!(allowed, [Released]);
        }
    }

    #[test]
    fn a_redriven_letter_is_redriven_again_only_by_force() {
        assert!(ALL.into_iter().all(|n| !Redriven.may_become(n, false)));
        let forced: Vec<_> = ALL.into_iter().filter(|n| Redriven.may_become(*n, true)).collect();
        assert_eq!(forced, [Redriven]);
    }
}
