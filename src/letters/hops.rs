//! Redriven records that wait in retry topics: their group failed with them, committed past them, and tries again.
//!
//! A group that hands a failed record to a retry topic commits past it, so its commit on the target proves nothing
//! before the record has left the retry topics, too. Of each retry topic only what its consumers have not passed is
//! read. A retry is known by the redrive headers that frameworks copy, or by the place that it names as where it
//! failed. Limits: retry topics are found by their names, by the letters that went through them, and by the commits of
//! the group; where one cannot be read, or holds too much, that is told, and nothing counts as processed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::outcome::Redriven;
use crate::broker::{Bounds, BrokerError, ErrorKind, Name, Notice, ReadPlan, Shard, Span, TopicInfo, Until};
use crate::context::Cx;
use crate::dlq::formats;
use crate::dlq::names::{is_dead_letter_name, is_retry_name};
use crate::dlq::retry::{is_anothers, may_retry};
use crate::event::Record;
use crate::text::Fault;

/// The header by which a redriven record names its letter.
const ID: &str = "redrive-id";
/// Records that wait in one retry topic are looked through up to this number.
const MOST_WAITING: i64 = 500_000;
/// Groups asked where none is named after the one that failed.
const MOST_GROUPS: usize = 200;
/// Retries that are kept.
const MOST_KEPT: usize = 1_000_000;

/// Committed offsets by group, topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    offsets: HashMap<(Name, Shard), i64>,
    /// The groups that have committed anything on a topic.
    groups: HashMap<Name, Vec<Name>>,
}

impl Commits {
    /// What the groups have committed now.
    async fn of(cx: &Cx, groups: &[Name]) -> Result<Self, Fault> {
        let mut commits = Self::default();
        if let Some(port) = cx.broker.groups()
            && !groups.is_empty()
        {
            for (group, answer) in groups.iter().zip(port.committed(groups).await?) {
                for (shard, offset) in answer.into_iter().flatten() {
                    let known = commits.groups.entry(Name::clone(&shard.topic)).or_default();
                    if !known.contains(group) {
                        known.push(Name::clone(group));
                    }
                    commits.offsets.insert((Name::clone(group), shard), offset);
                }
            }
        }
        Ok(commits)
    }

    /// The next offset of a partition for a group.
    pub fn get(&self, group: &Name, shard: &Shard) -> Option<i64> {
        self.offsets.get(&(Name::clone(group), shard.clone())).copied()
    }

    /// The next offset of a target for the group that failed, which may be one that consumes a retry topic.
    pub fn of_target(&self, group: &Name, shard: &Shard) -> Option<i64> {
        let main = || self.get(&main_group(group)?.into(), shard);
        self.get(group, shard).or_else(main)
    }

    /// Who consumes a retry topic for a group: itself, else groups named after it (Spring appends the retry topic's
    /// suffix), else whoever does.
    fn consumers(&self, topic: &Name, group: Option<&Name>) -> Vec<&Name> {
        let all = self.groups.get(topic).map(Vec::as_slice).unwrap_or_default();
        let Some(group) = group else { return all.iter().collect() };
        if let Some(own) = all.iter().find(|g| *g == group) {
            return vec![own];
        }
        let after: Vec<&Name> = all.iter().filter(|g| g.starts_with(stem(group))).collect();
        if after.is_empty() { all.iter().collect() } else { after }
    }

    /// Where the consumers of a retry topic stand on a partition; `None` where nobody has committed there.
    fn passed(&self, shard: &Shard, group: Option<&Name>) -> Option<i64> {
        let offsets = self.consumers(&shard.topic, group).into_iter().map(|g| self.get(g, shard));
        offsets.collect::<Option<Vec<i64>>>()?.into_iter().min()
    }
}

/// The group whose retries this group consumes, where its name says that: `email` of `email-retry-0`.
fn main_group(group: &str) -> Option<&str> {
    let (main, rest) = group.rsplit_once("-retry")?;
    let numbered = rest.strip_prefix('-').is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
    (!main.is_empty() && (rest.is_empty() || numbered)).then_some(main)
}

/// What the names of all groups begin with that consume for this one.
fn stem(group: &str) -> &str {
    main_group(group).unwrap_or(group)
}

/// What is known of the retries of one redriven record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// None waits.
    None,
    /// One waits in a retry topic.
    Waits,
    /// The retry topics could not be looked into.
    Untold,
}

/// By what a retry names the record that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Mark {
    Letter(Box<[u8]>),
    Place(Name, i32, i64),
}

/// A record of a retry topic.
#[derive(Debug)]
struct Hop {
    shard: Shard,
    offset: i64,
    /// The group that failed, where the record says so.
    group: Option<Name>,
}

/// The retry topics of a target and a group.
type Pair = (Name, Option<Name>);

/// Follows retry topics.
pub(crate) struct Hops<'a> {
    cx: &'a Cx,
    pairs: HashMap<Pair, HashSet<Name>>,
    /// Retry topics under watch with the next offset to be read of each partition.
    next: HashMap<Shard, i64>,
    seen: HashMap<Mark, Vec<Hop>>,
    kept: usize,
    /// The last record of each partition that names neither its letter nor where it failed.
    nameless: HashMap<Shard, i64>,
    /// Retry topics that cannot be looked into, and why.
    untold: HashMap<Name, String>,
    /// Groups asked beside those that failed, because nobody seemed to consume a retry topic; and for whom.
    others: HashSet<Name>,
    asked: HashSet<Option<Name>>,
}

impl<'a> Hops<'a> {
    /// Follows nothing yet.
    pub fn new(cx: &'a Cx) -> Self {
        Self {
            cx,
            pairs: HashMap::new(),
            next: HashMap::new(),
            seen: HashMap::new(),
            kept: 0,
            nameless: HashMap::new(),
            untold: HashMap::new(),
            others: HashSet::new(),
            asked: HashSet::new(),
        }
    }

    /// What all groups that matter for these records have committed now.
    pub async fn commits(&self, of: &[Redriven]) -> Result<Commits, Fault> {
        Commits::of(self.cx, &self.groups(of)).await
    }

    fn groups(&self, of: &[Redriven]) -> Vec<Name> {
        let mut groups: BTreeSet<Name> = of.iter().filter_map(|r| r.group.clone()).collect();
        let main: Vec<Name> = groups.iter().filter_map(|g| main_group(g)).map(Name::from).collect();
        groups.extend(main);
        groups.extend(self.others.iter().cloned());
        groups.into_iter().collect()
    }

    /// Takes the retry topics of new targets and groups under watch. Gives whether other groups must be asked first.
    pub async fn learn(&mut self, of: &[Redriven], commits: &Commits) -> Result<Found, Fault> {
        let news: HashMap<Pair, HashSet<Option<&Name>>> = {
            let mut news: HashMap<Pair, HashSet<Option<&Name>>> = HashMap::new();
            for r in of {
                let pair = (Name::clone(&r.target.topic), r.group.clone());
                let known = self.pairs.get(&pair);
                if known.is_none_or(|known| r.via.as_ref().is_some_and(|via| !known.contains(via))) {
                    news.entry(pair).or_default().insert(r.via.as_ref());
                }
            }
            news
        };
        if news.is_empty() {
            return Ok(Found::Nothing);
        }
        let topics = self.cx.broker.catalog().topics(None).await?;
        let mut wanted: HashMap<Pair, HashSet<Name>> = HashMap::new();
        for ((target, group), via) in news {
            let commits_there = |topic: &Name| {
                group.as_ref().is_some_and(|group| {
                    commits.groups.get(topic).is_some_and(|groups| groups.contains(group))
                })
            };
            let is_one = |topic: &&TopicInfo| {
                let (name, group) = (&topic.name, group.as_deref());
                let others = topics.iter().map(|t| &*t.name);
                (may_retry(name, &target, group) && !is_anothers(name, &target, group, others))
                    || (is_retry_name(name) && commits_there(name))
                    || (via.contains(&Some(name)) && *name != target && !is_dead_letter_name(name))
            };
            let found = topics.iter().filter(is_one).map(|t| Name::clone(&t.name)).collect();
            wanted.insert((target, group), found);
        }
        let infos: Vec<&TopicInfo> = {
            let names: HashSet<&Name> = wanted.values().flatten().collect();
            topics.iter().filter(|t| names.contains(&t.name)).collect()
        };
        let orphans: HashSet<Option<Name>> = wanted
            .iter()
            .filter(|((_, group), topics)| {
                !self.asked.contains(group)
                    && topics.iter().any(|topic| commits.consumers(topic, group.as_ref()).is_empty())
            })
            .map(|((_, group), _)| group.clone())
            .collect();
        if !orphans.is_empty() && self.ask_others(orphans).await? {
            return Ok(Found::Groups);
        }
        for info in infos {
            let groups: Vec<Option<Name>> =
                wanted.iter().filter(|(_, t)| t.contains(&info.name)).map(|((_, g), _)| g.clone()).collect();
            self.begin(info, &groups, commits).await?;
        }
        for (pair, topics) in wanted {
            self.pairs.entry(pair).or_default().extend(topics);
        }
        Ok(Found::Topics)
    }

    /// Finds groups named after the ones that failed, or else all.
    async fn ask_others(&mut self, failed: HashSet<Option<Name>>) -> Result<bool, Fault> {
        let Some(port) = self.cx.broker.groups() else { return Ok(false) };
        let all: Vec<Name> = port.list().await?.into_iter().map(|g| g.group).collect();
        let before = self.others.len();
        for group in failed {
            let after =
                |name: &&Name| group.as_ref().is_some_and(|g| name.starts_with(stem(g)) && *name != g);
            let named: Vec<Name> = all.iter().filter(after).cloned().collect();
            let found =
                if named.is_empty() { all.iter().take(MOST_GROUPS).cloned().collect() } else { named };
            self.others.extend(found);
            self.asked.insert(group);
        }
        Ok(self.others.len() > before)
    }

    /// Begins to follow a retry topic behind what its consumers have passed.
    async fn begin(
        &mut self,
        info: &TopicInfo,
        groups: &[Option<Name>],
        commits: &Commits,
    ) -> Result<(), BrokerError> {
        if let Some(error) = &info.error {
            return self.lose(&info.name, error);
        }
        let shards: Vec<Shard> = info.shards().collect();
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let bounds: Vec<Bounds> = match bounds.into_iter().collect() {
            Ok(bounds) => bounds,
            Err(error) => return self.lose(&info.name, &error),
        };
        let from = |shard: &Shard, bounds: &Bounds| {
            let passed = groups.iter().map(|g| commits.passed(shard, g.as_ref()));
            let passed = passed.collect::<Option<Vec<i64>>>().and_then(|p| p.into_iter().min());
            passed.unwrap_or(bounds.start).clamp(bounds.start, bounds.end)
        };
        let from: Vec<i64> = shards.iter().zip(&bounds).map(|(s, b)| from(s, b)).collect();
        let waiting: i64 = bounds.iter().zip(&from).map(|(b, from)| b.end - from).sum();
        if waiting > MOST_WAITING {
            let why = format!("{waiting} records wait in it, too many to look through");
            self.untold.insert(Name::clone(&info.name), why);
            return Ok(());
        }
        for (shard, from) in shards.into_iter().zip(from) {
            self.next.entry(shard).or_insert(from);
        }
        Ok(())
    }

    /// The ends of the retry topics under watch, whatever transactions are open there.
    pub async fn ends(&mut self) -> Result<HashMap<Shard, i64>, Fault> {
        let shards: Vec<Shard> = self.next.keys().cloned().collect();
        let mut ends = HashMap::new();
        for (shard, bounds) in shards.iter().zip(self.cx.broker.catalog().bounds(&shards).await?) {
            match bounds {
                Ok(bounds) => {
                    ends.insert(shard.clone(), bounds.end);
                }
                Err(error) => self.lose(&shard.topic, &error)?,
            }
        }
        Ok(ends)
    }

    /// Whether everything before these ends was read.
    pub fn has_reached(&self, ends: &HashMap<Shard, i64>) -> bool {
        ends.iter().all(|(shard, end)| self.next.get(shard).is_none_or(|next| next >= end))
    }

    /// What may pass is met by another look; else the topic is given up.
    fn lose(&mut self, topic: &Name, error: &BrokerError) -> Result<(), BrokerError> {
        if error.retryable || error.kind == ErrorKind::Cancelled {
            return Err(error.clone());
        }
        self.untold.insert(Name::clone(topic), error.to_string());
        self.next.retain(|shard, _| shard.topic != *topic);
        Ok(())
    }

    /// Reads what is new in the retry topics.
    pub async fn read(&mut self, cancel: &CancellationToken) -> Result<(), Fault> {
        let shards: Vec<Shard> = self.next.keys().cloned().collect();
        if shards.is_empty() {
            return Ok(());
        }
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let mut spans = Vec::new();
        for (shard, bounds) in shards.into_iter().zip(bounds) {
            let from = self.next.get(&shard).copied().unwrap_or(0);
            match bounds {
                Ok(bounds) if bounds.last_stable > from => {
                    spans.push(Span { shard, from, until: Until::Offset(bounds.last_stable) });
                }
                Ok(_) => {}
                Err(error) => self.lose(&shard.topic, &error)?,
            }
        }
        spans.retain(|span| self.next.contains_key(&span.shard));
        if spans.is_empty() {
            return Ok(());
        }
        let mut batches = self.cx.broker.reader().open(ReadPlan::new(spans), cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in &batch.records {
                self.take(record);
            }
            for (shard, position) in batch.positions {
                if let Some(next) = self.next.get_mut(&shard) {
                    *next = position;
                }
            }
            for notice in batch.notices {
                match notice {
                    Notice::Failed(shard, error) => self.lose(&shard.topic, &error)?,
                    Notice::Truncated { shard, .. } => {
                        let why = "it became shorter while it was read".to_owned();
                        self.untold.insert(shard.topic, why);
                    }
                    Notice::Finished(_) | Notice::CaughtUp(_) | Notice::Trimmed { .. } => {}
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) {
        let letter = formats::decode(record, &self.cx.profile.dead_letters);
        let at = &record.at;
        let shard = Shard::new(Name::clone(&at.topic), at.partition);
        let mut marks: HashSet<Mark> = HashSet::new();
        if let Some(id) = record.headers.last(ID) {
            marks.insert(Mark::Letter(id.as_ref().into()));
        }
        for hop in [Some(&letter.root), letter.previous.as_ref()].into_iter().flatten() {
            if let Some(place) = hop.position() {
                marks.insert(Mark::Place(place.topic, place.partition, place.offset));
            }
        }
        if marks.is_empty() {
            self.nameless.insert(shard, at.offset);
            return;
        }
        if self.kept >= MOST_KEPT {
            let why = format!("more than {MOST_KEPT} records wait in it and others");
            self.untold.insert(Name::clone(&at.topic), why);
            return;
        }
        let latest = letter.previous.as_ref().unwrap_or(&letter.root);
        let group: Option<Name> = latest.group.clone().or_else(|| letter.root.group.clone());
        for mark in marks {
            let hop = Hop { shard: shard.clone(), offset: at.offset, group: group.clone() };
            self.seen.entry(mark).or_default().push(hop);
            self.kept += 1;
        }
    }

    /// Forgets retries that were consumed, as these commits tell; what became of them has been read.
    pub fn forget(&mut self, commits: &Commits) {
        self.seen.retain(|_, hops| {
            hops.retain(|hop| {
                // Whose retry it is is not always told, so all who may consume it must have passed.
                commits.passed(&hop.shard, hop.group.as_ref()).is_none_or(|next| next <= hop.offset)
            });
            !hops.is_empty()
        });
        self.kept = self.seen.values().map(Vec::len).sum();
    }

    /// What is known of the retries of a redriven record.
    pub fn retry(&self, of: &Redriven, commits: &Commits) -> Retry {
        let pair = (Name::clone(&of.target.topic), of.group.clone());
        let waits = |hop: &&Hop| {
            let own = hop.shard.topic == of.target.topic
                && (hop.shard.partition, hop.offset) == (of.target.partition, of.target.offset);
            let others = match (&hop.group, &of.group) {
                (Some(hop), Some(group)) => !hop.starts_with(stem(group)),
                _ => false,
            };
            let passed = commits.passed(&hop.shard, of.group.as_ref());
            !own && !others && passed.is_none_or(|next| next <= hop.offset)
        };
        let at = &of.target;
        let place = Mark::Place(Name::clone(&at.topic), at.partition, at.offset);
        // As the header `redrive-id` has it.
        let id = |(topic, partition, offset): &(Name, i32, i64)| format!("{topic}:{partition}:{offset}");
        let letter = of.letter.as_ref().map(|at| Mark::Letter(id(at).as_bytes().into()));
        let mut hops = std::iter::once(place).chain(letter).filter_map(|mark| self.seen.get(&mark)).flatten();
        if hops.any(|hop| waits(&hop)) {
            return Retry::Waits;
        }
        let Some(topics) = self.pairs.get(&pair) else { return Retry::Untold };
        let hidden = of.retried && topics.is_empty();
        let nameless = self.nameless.iter().any(|(shard, offset)| {
            topics.contains(&shard.topic)
                && shard.topic != of.target.topic
                && commits.passed(shard, of.group.as_ref()).is_none_or(|next| next <= *offset)
        });
        if hidden || nameless || topics.iter().any(|topic| self.untold.contains_key(topic)) {
            return Retry::Untold;
        }
        Retry::None
    }

    /// Why the retries of a record are not known, in words; `None` where nothing hinders.
    pub fn why_untold(&self, of: &Redriven) -> Option<String> {
        let pair = (Arc::clone(&of.target.topic), of.group.clone());
        let topics = self.pairs.get(&pair)?;
        let lost = topics.iter().find_map(|topic| Some(format!("{topic}: {}", self.untold.get(topic)?)));
        let nameless = || {
            let shard = self.nameless.keys().find(|shard| topics.contains(&shard.topic))?;
            Some(format!("{} holds records that do not say what they come from", shard.topic))
        };
        let hidden = || {
            let why = "its letter went through retry topics, and none of them is found".to_owned();
            (of.retried && topics.is_empty()).then_some(why)
        };
        lost.or_else(hidden).or_else(nameless)
    }
}

/// What a look for retry topics has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing new.
    Nothing,
    /// Topics, which are followed from now on.
    Topics,
    /// Groups that must be asked for their commits first.
    Groups,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_consumes_retries_is_known_by_its_name() {
        for (group, main) in [
            ("email-retry-0", Some("email")),
            ("email-retry", Some("email")),
            ("email-retry-1000", Some("email")),
            ("email", None),
            ("-retry", None),
            ("retry-mailer", None),
            ("email-retry-soon", None),
        ] {
            assert_eq!(main_group(group), main, "{group}");
        }
    }
}
