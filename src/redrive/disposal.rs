//! What discarding, parking and releasing are asked and answer. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::document::Tally;
use crate::event::Digest;
use crate::ledger::Disposition;
use crate::ledger::audit::Kind;
use crate::letters::document::LettersRequest;
use crate::text::Timestamp;

/// The longest reason, in bytes: every row has it.
pub const LONGEST_REASON: usize = 500;

/// What is done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Give them up.
    Discard,
    /// Set them aside.
    Park,
    /// Open them again.
    Release,
}

impl Act {
    /// The word of the command.
    pub fn as_str(self) -> &'static str {
        self.kind().as_str()
    }

    /// What was done, as a participle.
    pub fn done(self) -> &'static str {
        match self {
            Self::Discard => "discarded",
            Self::Park => "parked",
            Self::Release => "released",
        }
    }

    /// What is being done.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Discard => "discarding",
            Self::Park => "parking",
            Self::Release => "releasing",
        }
    }

    /// The state that it leads to.
    pub fn becomes(self) -> Disposition {
        match self {
            Self::Discard => Disposition::Discarded,
            Self::Park => Disposition::Parked,
            Self::Release => Disposition::Released,
        }
    }

    /// Whether it can be done to a letter in this state.
    pub fn takes(self, state: Disposition) -> bool {
        state.may_become(self.becomes(), false)
    }

    /// Whether a letter in this state is already as it would be afterwards.
    pub fn is_done(self, state: Disposition) -> bool {
        state.as_str() == self.becomes().as_str()
    }

    /// Why it cannot be done to a letter in this state.
    pub fn refuses(self, state: Disposition) -> &'static str {
        match state {
            _ if self.is_done(state) => "already so",
            Disposition::Redriven => "redriven letters stay so",
            Disposition::Pending | Disposition::Released => "open already",
            Disposition::Discarded | Disposition::Parked | Disposition::Duplicate => "release them first",
        }
    }

    /// The sort of action in the audit.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Discard => Kind::Discard,
            Self::Park => Kind::Park,
            Self::Release => Kind::Release,
        }
    }
}

/// What a preview of a disposal is asked. Writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisposalRequest {
    /// What is to be done.
    pub act: Act,
    /// With which letters; a state narrows them further than the action does.
    pub letters: LettersRequest,
    /// Exactly these positions (partition, offset), instead of all that fit.
    pub only: Option<Vec<(i32, i64)>>,
}

/// The letters of a disposal, exactly.
#[derive(Clone, Debug)]
pub struct Disposal {
    /// What is to be done.
    pub act: Act,
    /// Cluster id.
    pub cluster_id: Arc<str>,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Its id.
    pub topic_id: Arc<str>,
    /// Partition, offset and digest of each letter, by partition and offset.
    pub letters: Vec<(i32, i64, Digest)>,
    /// Letters that were named, but are in another state, by state.
    pub skipped: BTreeMap<&'static str, u64>,
}

/// What is asked of a disposal that was agreed to.
#[derive(Clone, Debug)]
pub struct DisposeRequest {
    /// What was shown.
    pub disposal: Arc<Disposal>,
    /// Why; goes into every row and the audit.
    pub reason: String,
    /// Rules that were forced.
    pub force: Vec<String>,
    /// Go on although a run or another action on the topic seems to be under way.
    pub take_over: bool,
}

/// What a disposal would do, or did.
#[derive(Clone, Debug, Serialize)]
pub struct DisposalAnswer {
    /// `discard`, `park`, `release`.
    pub action: &'static str,
    /// Id of the action in ledger and audit; `None` where nothing was begun.
    pub run: Option<String>,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Who.
    pub operator: String,
    /// Why; `None` in a preview.
    pub reason: Option<String>,
    /// When it began, or was looked at.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Letters that it is for.
    pub selected: u64,
    /// Letters whose state was changed.
    pub changed: u64,
    /// Letters that were left as they are, by state.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Gone by retention since they were listed.
    pub expired: u64,
    /// Not done.
    pub remaining: u64,
    /// Letters that it is for, by failure.
    pub by_failure: Vec<Tally>,
    /// Positions that it is for: partition to inclusive ranges of offsets.
    pub positions: BTreeMap<i32, Vec<(i64, i64)>>,
    /// Whether all that was meant had been read.
    pub complete: bool,
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
    /// What to think about.
    pub warnings: Vec<String>,
    /// Seconds spent waiting for the ledger behind other open transactions.
    pub ledger_wait_seconds: f64,
    /// `cancelled`, `fenced`, `error`; `None` when it went to its end.
    pub stopped: Option<&'static str>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// Whether nothing was written because nobody agreed.
    pub dry_run: bool,
    /// The letters themselves.
    #[serde(skip)]
    pub disposal: Arc<Disposal>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Disposition::{Discarded, Duplicate, Parked, Pending, Redriven, Released};

    const ACTS: [Act; 3] = [Act::Discard, Act::Park, Act::Release];
    const STATES: [Disposition; 6] = [Pending, Redriven, Discarded, Parked, Duplicate, Released];

    #[test]
    fn a_refusal_says_why_for_every_state_that_an_action_does_not_take() {
        for act in ACTS {
            for state in STATES {
                assert!(!(act.takes(state) && act.is_done(state)), "{act:?} of {state:?}");
            }
        }
        assert_eq!(Act::Discard.refuses(Parked), "release them first");
        assert_eq!(Act::Release.refuses(Pending), "already so");
        assert_eq!(Act::Park.refuses(Redriven), "redriven letters stay so");
    }

    proptest! {
        #[test]
        fn no_order_of_actions_touches_a_redriven_letter_and_every_other_can_be_opened_again(
            steps in proptest::collection::vec((0..4_usize, any::<bool>()), 0..40),
        ) {
            let mut state = Pending;
            for (step, redrives) in steps {
                let was = state;
                match ACTS.get(step).filter(|_| !redrives) {
                    Some(act) if act.takes(state) => state = act.becomes(),
                    None if state.may_become(Redriven, false) => state = Redriven,
                    Some(_) | None => {}
                }
                if was == Redriven {
                    prop_assert_eq!(state, Redriven);
                } else if !state.is_pending() && state != Redriven {
                    prop_assert!(Act::Release.takes(state));
                    prop_assert!(!Act::Discard.takes(state) && !Act::Park.takes(state));
                }
            }
        }
    }
}
