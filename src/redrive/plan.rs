//! A redrive plan: exact letters with digests, the targets, the options. Pure, but for its file.
//!
//! Running a plan does exactly what it says, or stops; so its lines name positions, digests and target
//! partitions, and its header the ids of all topics. The lines are in the order in which they are sent. Limits:
//! a plan is held in memory, at about 36 bytes a letter ([`super::packed`]).

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::document::Into;
use super::options::Options;
use super::packed::Letters;
use crate::event::Digest;
use crate::ledger::Disposition;
use crate::text::{Fault, Timestamp};

/// The version of the file format.
pub const SCHEMA: u32 = 1;

/// A topic and which one of that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTopic {
    /// Name.
    pub topic: Arc<str>,
    /// Its id; `None` where the broker has no ids.
    pub topic_id: Option<Arc<str>>,
    /// Its number of partitions.
    pub partitions: i32,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// As it was asked for.
    pub into: Into,
    /// The topics that this means.
    pub topics: Vec<PlannedTopic>,
}

/// What a plan is made of beside its letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanHeader {
    /// Version of the file format.
    pub schema: u32,
    /// Plan id.
    pub id: String,
    /// Cluster id.
    pub cluster_id: Arc<str>,
    /// The dead-letter topic.
    pub source: PlannedTopic,
    /// Where to.
    pub target: PlannedTarget,
    /// A slice of any topic is sent once more: rows in the ledger are the plan's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// The topics whose records are taken in the place of letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<PlannedTopic>,
    /// How it is carried out.
    #[serde(flatten)]
    pub options: Options,
    /// Who made it, self-declared.
    pub operator: String,
    /// When, milliseconds since the epoch.
    pub created_ms: i64,
    /// Counts, for the eye.
    pub counts: PlanCounts,
}

impl PlanHeader {
    /// Whether a letter in this state is to be redriven.
    pub fn is_open(&self, state: Disposition) -> bool {
        state.may_become(Disposition::Redriven, self.options.forces("again"))
    }

    /// Under which id the ledger keeps the letters: that of the dead-letter topic. A replay has rows of its own, so that
    /// it neither closes a letter nor is stopped by what was done with one.
    pub fn ledger_id(&self) -> Option<Arc<str>> {
        let id = self.source.topic_id.as_ref()?;
        Some(if self.replay { format!("{id}.replay.{}", self.id).into() } else { Arc::clone(id) })
    }
}

/// Counts of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCounts {
    /// Letters in it.
    pub records: u64,
    /// Distinct keys.
    pub keys: u64,
    /// Duplicates that were found; `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<u64>,
}

/// One letter of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedLetter {
    /// Partition in the dead-letter topic.
    pub partition: i32,
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// Digest of the letter.
    pub sha256: Digest,
    /// Index of the target in [`PlannedTarget::topics`].
    pub target: u32,
    /// Partition of the target.
    pub target_partition: i32,
}

/// A letter of the dead-letter topic: partition and offset.
pub(super) type At = (i32, i64);

impl PlannedLetter {
    /// Which letter it is.
    pub(super) fn at(&self) -> At {
        (self.partition, self.offset)
    }
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Everything but the letters.
    pub header: PlanHeader,
    /// The letters, in the order in which they are sent.
    pub letters: Letters,
}

impl Plan {
    /// The target of one of its letters.
    pub fn target(&self, letter: &PlannedLetter) -> Option<&PlannedTopic> {
        self.header.target.topics.get(letter.target as usize)
    }

    /// Whether some of its letters may be the same failed record, of which one is sent.
    pub fn may_have_duplicates(&self) -> bool {
        !self.header.replay && !self.forces("duplicate") && self.header.counts.duplicates != Some(0)
    }

    /// Whether the rule was forced.
    pub fn forces(&self, rule: &str) -> bool {
        self.header.options.forces(rule)
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        Timestamp(self.header.created_ms)
    }

    /// Whether its parts fit together: every letter once, every target known, partitions in range.
    pub fn check(&self) -> Result<(), Fault> {
        // Letters mostly lie as they are sent; where they do not, their offsets are sorted.
        let mut lasts: HashMap<i32, i64> = HashMap::new();
        let (mut ascends, mut before) = (true, None);
        for letter in &self.letters {
            let at = || format!("letter {}/{}", letter.partition, letter.offset);
            let Some(target) = self.target(&letter) else {
                return Err(damaged(format!("{} has no target", at())));
            };
            if letter.target_partition < 0 || letter.target_partition >= target.partitions {
                return Err(damaged(format!(
                    "{} goes to partition {} of {} partitions",
                    at(),
                    letter.target_partition,
                    target.partitions
                )));
            }
            if letter.offset < 0 || letter.partition < 0 || letter.partition >= self.header.source.partitions
            {
                return Err(damaged(format!("{} cannot be", at())));
            }
            // Most are of the partition of the one before.
            let last = match before.replace((letter.partition, letter.offset)) {
                Some((partition, offset)) if partition == letter.partition => Some(offset),
                Some((partition, offset)) => {
                    lasts.insert(partition, offset);
                    lasts.get(&letter.partition).copied()
                }
                None => None,
            };
            ascends &= last.is_none_or(|last| last < letter.offset);
        }
        if ascends {
            return Ok(());
        }
        let mut seen: HashMap<i32, Vec<i64>> = HashMap::new();
        for letter in &self.letters {
            seen.entry(letter.partition).or_default().push(letter.offset);
        }
        for (partition, mut offsets) in seen {
            offsets.sort_unstable();
            if let Some([twice, ..]) = offsets.windows(2).find(|w| w[0] == w[1]) {
                return Err(damaged(format!("letter {partition}/{twice} is in it twice")));
            }
        }
        Ok(())
    }
}

/// The refusal of a plan that is not as it was made.
pub fn damaged(why: impl std::convert::Into<String>) -> Fault {
    Fault::refused("plan_damaged", "the plan is not as it was made").why(why).hint("make a new plan")
}
