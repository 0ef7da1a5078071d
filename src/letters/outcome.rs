//! What became of redriven records: processed, come back, or neither yet.
//!
//! A record counts as processed when the group that failed has committed past it; a newer letter that names
//! its place as an origin proves that it failed again, and counts for more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Index;
use super::document::Target;
use crate::broker::Name;
use crate::context::Cx;
use crate::text::Fault;

/// What became of one redriven record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written; its group has not come to it yet.
    Produced,
    /// Its group has committed past it.
    Processed,
    /// A newer letter comes from it.
    CameBack,
    /// Its group is not known, or commits nothing there.
    Unknown,
}

impl Outcome {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Produced => "produced",
            Self::Processed => "processed",
            Self::CameBack => "came_back",
            Self::Unknown => "unknown",
        }
    }
}

impl Index {
    /// What became of redriven records, given by where they went and which group had failed, as far as the
    /// letters read so far and the committed offsets of now tell. A group that cannot be asked leaves
    /// [`Outcome::Unknown`].
    pub async fn outcomes(&self, of: &[(Target, Option<Name>)]) -> Result<Vec<Outcome>, Fault> {
        let committed = commits(self.cx(), of).await?;
        let back = self.came_back(of.iter().map(|(target, _)| target));
        Ok(judge(of, &committed, |at| back.contains(&(&*at.topic, at.partition, at.offset))))
    }

    /// Of these places, those that a letter names as its origin.
    fn came_back<'t>(&self, targets: impl Iterator<Item = &'t Target>) -> HashSet<(&'t str, i32, i64)> {
        let topics = self.topics();
        let Some(first) = topics.first() else { return HashSet::new() };
        let mut by_hash: HashMap<u64, (&str, i32, i64)> = HashMap::new();
        {
            let state = first.lock();
            for t in targets {
                let place = (&*t.topic, t.partition, t.offset);
                by_hash.insert(state.fold.place_hash(place.0, place.1, place.2), place);
            }
        }
        let mut back = HashSet::new();
        for topic in topics.iter().filter(|_| !by_hash.is_empty()) {
            for (_, entry) in topic.lock().fold.entries() {
                back.extend(by_hash.get(&entry.latest));
                if entry.root != entry.latest {
                    back.extend(by_hash.get(&entry.root));
                }
            }
        }
        back
    }
}

/// Committed offsets by group, topic and partition.
type Commits = HashMap<(Name, Name, i32), i64>;

/// What the groups of these records have committed now.
pub(crate) async fn commits(cx: &Cx, of: &[(Target, Option<Name>)]) -> Result<Commits, Fault> {
    let mut groups: Vec<Name> = of.iter().filter_map(|(_, group)| group.clone()).collect();
    groups.sort();
    groups.dedup();
    let mut committed = Commits::new();
    if let Some(port) = cx.broker.groups()
        && !groups.is_empty()
    {
        let answers = port.committed(&groups).await?;
        for (group, answer) in groups.iter().zip(answers) {
            for (shard, offset) in answer.into_iter().flatten() {
                committed.insert((Arc::clone(group), shard.topic, shard.partition), offset);
            }
        }
    }
    Ok(committed)
}

/// What became of each record; `came_back` says whether a letter names its place.
pub(crate) fn judge(
    of: &[(Target, Option<Name>)],
    committed: &Commits,
    came_back: impl Fn(&Target) -> bool,
) -> Vec<Outcome> {
    let outcome = |(target, group): &(Target, Option<Name>)| {
        if came_back(target) {
            return Outcome::CameBack;
        }
        let place = |group: &Name| (Arc::clone(group), Arc::clone(&target.topic), target.partition);
        match group.as_ref().and_then(|group| committed.get(&place(group))) {
            None => Outcome::Unknown,
            Some(next) if *next > target.offset => Outcome::Processed,
            Some(_) => Outcome::Produced,
        }
    };
    of.iter().map(outcome).collect()
}
