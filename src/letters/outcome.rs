//! What became of redriven records: processed, come back, or neither yet.
//!
//! A record counts as processed when the group that failed has committed past it and nothing of it waits in that
//! group's retry topics (`letters::hops`); a newer letter that names its place as an origin proves that it failed
//! again, and counts for more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::Target;
use super::hops::{Commits, Found, Hops, Retry};
use super::index::WAIT_FOR_READER;
use crate::broker::{Name, Shard};
use crate::context::Silent;
use crate::dlq::Letter;
use crate::dlq::letter::Origin;
use crate::text::Fault;

/// A redriven record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// Where it went.
    pub target: Target,
    /// The group that had failed.
    pub group: Option<Name>,
    /// Its letter: topic id, partition and offset; `None` where the topic has no id.
    pub letter: Option<(Arc<str>, i32, i64)>,
    /// The topic where it failed last, where that is not the one where it failed first.
    pub via: Option<Name>,
    /// Whether its letter says that it went through retry topics.
    pub retried: bool,
}

impl Redriven {
    /// A redriven record of the letter at a position of the topic with this id.
    pub fn new(target: Target, group: Option<Name>, letter: (Option<Arc<str>>, i32, i64)) -> Self {
        let (topic_id, partition, offset) = letter;
        let letter = topic_id.map(|id| (id, partition, offset));
        Self { target, group, letter, via: None, retried: false }
    }

    /// Takes what the letter tells of retries.
    #[must_use]
    pub fn told_by(mut self, letter: &Letter) -> Self {
        self.via = via(&letter.root, letter.previous.as_ref());
        self.retried = is_retried(letter.format.as_ref());
        self
    }
}

/// The topic where a record failed last, if that is another than the first.
pub fn via(root: &Origin, last: Option<&Origin>) -> Option<Name> {
    last.and_then(|hop| hop.topic.clone()).filter(|topic| Some(topic) != root.topic.as_ref())
}

/// Whether letters of this format went through retry topics.
pub fn is_retried(format: Option<&Arc<str>>) -> bool {
    format.is_some_and(|format| **format == *"spring-retryable")
}

/// What became of one redriven record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written; its group has not come to it yet.
    Produced,
    /// Its group has failed with it once at least, and tries again: it waits in a retry topic.
    Retrying,
    /// Its group has committed past it, and tries nothing of it again.
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
            Self::Produced | Self::Retrying => "produced",
            Self::Processed => "processed",
            Self::CameBack => "came_back",
            Self::Unknown => "unknown",
        }
    }
}

impl Index {
    /// What became of redriven records, as far as the dead letters, the retry topics and the committed offsets of
    /// now tell. A group that cannot be asked leaves [`Outcome::Unknown`].
    pub async fn outcomes(&self, of: &[Redriven], cancel: &CancellationToken) -> Result<Vec<Outcome>, Fault> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let mut hops = Hops::new(self.cx());
        let commits = look_around(&mut hops, of).await?;
        // A group writes what failed before it commits, so its commits are asked for first.
        let ends = hops.ends().await?;
        hops.read(cancel).await?;
        let all_read = hops.has_reached(&ends);
        self.refresh_these(self.topics(), WAIT_FOR_READER, &Silent, cancel).await?;
        let back = self.came_back(of.iter().map(|r| &r.target)).await;
        Ok(judge(
            of,
            &commits,
            |at| back.contains(&(&*at.topic, at.partition, at.offset)),
            |of| match hops.retry(of, &commits) {
                // What lies behind an open transaction cannot be read yet.
                Retry::None if !all_read => Retry::Untold,
                told => told,
            },
        ))
    }

    /// Of these places, those that a letter names as its origin which a redrive of its place may have led to. A letter
    /// that was redriven or given up by the run that wrote there was a letter before that run began: the origin that it
    /// names is another record, of a topic that was made again.
    async fn came_back<'t>(&self, targets: impl Iterator<Item = &'t Target>) -> HashSet<(&'t str, i32, i64)> {
        let topics = self.topics();
        let follower = self.ledger().await;
        let ledger = follower.ledger();
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
            let state = topic.lock();
            for (partition, entry) in state.fold.entries() {
                for (topic, at, offset) in
                    [entry.latest, entry.root].iter().filter_map(|hash| by_hash.get(hash))
                {
                    let writer = ledger.and_then(|ledger| ledger.by_target(topic, *at, *offset));
                    let own = ledger
                        .zip(state.id.as_ref())
                        .and_then(|(l, id)| l.get(&id.0, partition, entry.offset));
                    if writer.zip(own).is_none_or(|(writer, own)| writer.run != own.run) {
                        back.insert((*topic, *at, *offset));
                    }
                }
            }
        }
        back
    }
}

/// Finds the retry topics of redriven records; gives what all groups that matter have committed.
pub(crate) async fn look_around(hops: &mut Hops<'_>, of: &[Redriven]) -> Result<Commits, Fault> {
    loop {
        let commits = hops.commits(of).await?;
        if hops.learn(of, &commits).await? != Found::Groups {
            return Ok(commits);
        }
    }
}

/// What became of each record; `came_back` says whether a letter names its place, `retry` what is known of its retries.
pub(crate) fn judge(
    of: &[Redriven],
    commits: &Commits,
    came_back: impl Fn(&Target) -> bool,
    retry: impl Fn(&Redriven) -> Retry,
) -> Vec<Outcome> {
    let outcome = |of: &Redriven| {
        let target = &of.target;
        if came_back(target) {
            return Outcome::CameBack;
        }
        let shard = Shard::new(Arc::clone(&target.topic), target.partition);
        let next = of.group.as_ref().and_then(|group| commits.of_target(group, &shard));
        match next {
            Some(next) if next <= target.offset => Outcome::Produced,
            next => match (retry(of), next) {
                (Retry::Waits, _) => Outcome::Retrying,
                (_, None) => Outcome::Unknown,
                (Retry::Untold, Some(_)) => Outcome::Produced,
                (Retry::None, Some(_)) => Outcome::Processed,
            },
        }
    };
    of.iter().map(outcome).collect()
}
