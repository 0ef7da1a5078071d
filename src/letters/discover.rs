//! Which topics hold dead letters, and why one thinks so.
//!
//! The operator's word comes first, then the topic's configuration (KIP-1191), then its records' headers,
//! then its name. Candidates are found in the metadata; only those that no name and no configuration shows
//! are sampled, a bounded number at a time and beside all other work, and what was seen is kept until the topic
//! has grown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::{Bounds, Name, ReadPlan, Shard, Span, TopicInfo, Until};
use crate::config::profile::DeadLetters;
use crate::context::{Cx, Progress, Sink};
use crate::dlq::formats;
use crate::dlq::groups::FoundBy;
use crate::dlq::names;
use crate::text::Fault;

/// Configurations asked for in one call.
const CONFIGS: usize = 250;
/// On a larger cluster only topics whose names fit are asked for their configuration: KIP-1191 wants `dlq.`
/// in front of the name anyway.
const MOST_CONFIGS: usize = 2_000;
/// What marks a topic as one of dead letters (KIP-1191).
pub(super) const MARK: &str = "errors.deadletterqueue.group.enable";
/// Topics sampled in one round.
const MOST_SAMPLES: usize = 200;
/// Offsets looked at, at the head and at the tail of a partition. Markers of transactions take some.
const SAMPLE: i64 = 8;
/// Partitions of a topic that are sampled: those with most records.
const SAMPLED_PARTITIONS: usize = 2;
/// A topic that has grown is looked at again after so long.
const AGAIN: Duration = Duration::from_secs(300);
/// Bytes that one sampling holds at most.
const BUDGET: usize = 4 << 20;

/// Words in a name that make a topic worth a sample before others.
const HINTS: &[&str] =
    &["dead", "dl", "err", "fail", "poison", "reject", "invalid", "quarantine", "park", "bad"];

/// A dead-letter topic that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its metadata.
    pub info: TopicInfo,
    /// Why.
    pub by: FoundBy,
    /// Why, in words.
    pub reason: Arc<str>,
}

/// What the operator said in this session, by topic: whether it is a dead-letter topic.
pub type Decided = HashMap<Name, bool>;

/// What was seen of a topic's records.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Sum of the end offsets then.
    end: i64,
    /// When, by the monotonic clock.
    at: Duration,
    votes: Votes,
}

/// Finds dead-letter topics, and remembers what it has looked at.
pub struct Discovery {
    cx: Cx,
    /// Whether the configuration says so, by topic.
    configured: HashMap<Name, bool>,
    seen: HashMap<Name, Seen>,
    /// Topics that nothing shows to be dead-letter topics, and that may be looked into.
    candidates: Vec<TopicInfo>,
    decided: Decided,
}

/// What the profile says of a topic: `Some(false)` ignored, `Some(true)` adopted. A name counts for more than a
/// pattern, and of two patterns the one that ignores.
fn by_hand(topic: &str, config: &DeadLetters) -> Option<bool> {
    let exact = |list: &[String]| list.iter().any(|p| p == topic);
    let fits = |list: &[String]| list.iter().any(|p| names::matches(p, topic));
    match (exact(&config.adopt), exact(&config.ignore)) {
        (true, false) => Some(true),
        (_, true) => Some(false),
        _ if fits(&config.ignore) => Some(false),
        _ if fits(&config.adopt) => Some(true),
        _ => None,
    }
}

/// Whether a topic's name is one of a dead-letter topic's, by the built-in patterns or the profile's.
pub fn is_named(topic: &str, config: &DeadLetters) -> bool {
    names::is_dead_letter_name(topic)
        || (!names::is_internal_name(topic) && config.patterns.iter().any(|p| names::matches(p, topic)))
}

impl Discovery {
    /// Has looked at nothing yet.
    pub fn new(cx: Cx) -> Self {
        Self {
            cx,
            configured: HashMap::new(),
            seen: HashMap::new(),
            candidates: Vec::new(),
            decided: Decided::new(),
        }
    }

    /// Finds the dead-letter topics that metadata, configurations and the samples so far show, by name.
    pub async fn look(&mut self, decided: Decided) -> Result<Vec<Found>, Fault> {
        self.decided = decided;
        let broker = Arc::clone(&self.cx.broker);
        let mut infos = broker.catalog().topics(None).await?;
        infos.retain(|t| !t.internal && !names::is_internal_name(&t.name));
        infos.retain(|t| self.by_hand(&t.name) != Some(false));
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        let there = |name: &Name| infos.binary_search_by(|t| t.name.cmp(name)).is_ok();
        self.configured.retain(|name, _| there(name));
        self.seen.retain(|name, _| there(name));
        self.ask_configs(&infos).await?;
        let config = &self.cx.profile.dead_letters;
        let (sure, rest): (Vec<TopicInfo>, Vec<TopicInfo>) = infos.into_iter().partition(|t| {
            self.by_hand(&t.name) == Some(true)
                || self.configured.get(&t.name) == Some(&true)
                || is_named(&t.name, config)
        });
        let known = |info: TopicInfo| {
            let (by, reason) = self.why(&info.name)?;
            Some(Found { info, by, reason: reason.into() })
        };
        let sampled = rest.iter().cloned().filter_map(known);
        let mut found: Vec<Found> = sure.into_iter().filter_map(known).chain(sampled).collect();
        found.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        self.candidates = rest;
        self.candidates.retain(|t| !names::is_retry_name(&t.name));
        Ok(found)
    }

    /// Looks into the candidates: a bounded number at a time, those never seen first. Gives what it found by it.
    pub async fn sample(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<Vec<Found>, Fault> {
        let before: Vec<bool> = self.candidates.iter().map(|t| self.has_letters(&t.name)).collect();
        self.sample_some(sink, cancel).await?;
        let new =
            self.candidates.iter().zip(before).filter(|(t, before)| !before && self.has_letters(&t.name));
        let found = new.filter_map(|(info, _)| {
            let (by, reason) = self.why(&info.name)?;
            Some(Found { info: info.clone(), by, reason: reason.into() })
        });
        Ok(found.collect())
    }

    /// Topics that could be dead-letter topics, and were not looked into yet.
    pub fn unseen(&self) -> usize {
        self.candidates.iter().filter(|t| !self.seen.contains_key(&t.name)).count()
    }

    fn by_hand(&self, topic: &Name) -> Option<bool> {
        self.decided.get(topic).copied().or_else(|| by_hand(topic, &self.cx.profile.dead_letters))
    }

    fn has_letters(&self, topic: &Name) -> bool {
        self.seen.get(topic).is_some_and(|seen| seen.votes.are_letters())
    }

    /// Why a topic counts as a dead-letter topic, by what is known of it; also in words.
    fn why(&self, topic: &Name) -> Option<(FoundBy, String)> {
        let config = &self.cx.profile.dead_letters;
        if self.by_hand(topic) == Some(true) {
            return Some((FoundBy::Adopted, "the profile adopts it".to_owned()));
        }
        if self.configured.get(topic) == Some(&true) {
            return Some((FoundBy::Config, format!("{MARK}=true")));
        }
        if let Some(seen) = self.seen.get(topic).filter(|seen| seen.votes.are_letters()) {
            let Votes { records, letters } = seen.votes;
            let reason =
                format!("{letters} of {records} records looked at carry a dead-letter format's headers");
            return Some((FoundBy::Headers, reason));
        }
        let own =
            config.patterns.iter().find(|p| names::matches(p, topic)).map(|p| format!("the profile's {p}"));
        let pattern = names::dead_letter_pattern(topic).map(str::to_owned).or(own)?;
        Some((FoundBy::Name, format!("its name fits {pattern}")))
    }

    /// Asks for the configurations that were not asked for yet. One that may not be read shows nothing.
    async fn ask_configs(&mut self, infos: &[TopicInfo]) -> Result<(), Fault> {
        let config = &self.cx.profile.dead_letters;
        let few = infos.len() <= MOST_CONFIGS;
        let asked: Vec<Name> = infos
            .iter()
            .filter(|t| !self.configured.contains_key(&t.name) && (few || is_named(&t.name, config)))
            .map(|t| Arc::clone(&t.name))
            .collect();
        for names in asked.chunks(CONFIGS) {
            let configs = self.cx.broker.catalog().configs(names).await?;
            for (name, config) in names.iter().zip(configs) {
                let entry = config.ok().and_then(|mut c| c.remove(MARK));
                let enabled = entry.and_then(|e| e.value).is_some_and(|v| v == "true");
                self.configured.insert(Arc::clone(name), enabled);
            }
        }
        Ok(())
    }

    /// Looks at the records of topics that nothing else shows to be dead-letter topics.
    async fn sample_some(&mut self, sink: &dyn Sink, cancel: &CancellationToken) -> Result<(), Fault> {
        let now = self.cx.clock.monotonic();
        let due = |t: &&TopicInfo| self.seen.get(&t.name).is_none_or(|s| now.saturating_sub(s.at) >= AGAIN);
        let mut topics: Vec<&TopicInfo> = self.candidates.iter().filter(due).collect();
        // Those never seen first, and of these the names that hint at failures.
        topics.sort_by_key(|t| {
            let name = t.name.to_ascii_lowercase();
            (self.seen.contains_key(&t.name), !HINTS.iter().any(|h| name.contains(h)))
        });
        topics.truncate(MOST_SAMPLES);
        if topics.is_empty() {
            return Ok(());
        }
        let shards: Vec<Shard> = topics.iter().flat_map(|t| t.shards()).collect();
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let mut by_topic: HashMap<Name, Vec<(Shard, Bounds)>> = HashMap::new();
        for (shard, bounds) in shards.into_iter().zip(bounds) {
            if let Ok(bounds) = bounds {
                by_topic.entry(Arc::clone(&shard.topic)).or_default().push((shard, bounds));
            }
        }
        let (mut heads, mut tails, mut votes) = (Vec::new(), Vec::new(), HashMap::new());
        for topic in &topics {
            let mut partitions = by_topic.remove(&topic.name).unwrap_or_default();
            let end = partitions.iter().map(|(_, b)| b.end).sum();
            let before = self.seen.get(&topic.name).copied();
            let grown = before.is_none_or(|s| s.end != end);
            let kept = before.map(|s| s.votes).unwrap_or_default();
            self.seen.insert(Arc::clone(&topic.name), Seen { end, at: now, votes: kept });
            if !grown {
                continue;
            }
            votes.insert(Arc::clone(&topic.name), Votes::default());
            partitions.sort_by_key(|(_, b)| std::cmp::Reverse(b.last_stable - b.start));
            for (shard, b) in partitions.into_iter().take(SAMPLED_PARTITIONS) {
                let middle = (b.start + SAMPLE).min(b.last_stable);
                let tail = (b.last_stable - SAMPLE).max(middle);
                if middle > b.start {
                    heads.push(Span { shard: shard.clone(), from: b.start, until: Until::Offset(middle) });
                }
                if b.last_stable > tail {
                    tails.push(Span { shard, from: tail, until: Until::Offset(b.last_stable) });
                }
            }
        }
        sink.progress(Progress {
            what: "looking for dead letters".into(),
            total: Some(votes.len() as u64),
            ..Progress::default()
        });
        let counted = async {
            self.count(heads, &mut votes, cancel).await?;
            self.count(tails, &mut votes, cancel).await
        }
        .await;
        for (name, votes) in votes {
            match &counted {
                Ok(()) => {
                    if let Some(seen) = self.seen.get_mut(&name) {
                        seen.votes = votes;
                    }
                }
                // What was not looked into is looked into the next time.
                Err(_) => {
                    self.seen.remove(&name);
                }
            }
        }
        counted
    }

    /// Reads the spans and counts records that are dead letters.
    async fn count(
        &self,
        spans: Vec<Span>,
        votes: &mut HashMap<Name, Votes>,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        if spans.is_empty() {
            return Ok(());
        }
        let config = &self.cx.profile.dead_letters;
        let mut plan = ReadPlan::new(spans);
        plan.budget = BUDGET;
        let mut batches = self.cx.broker.reader().open(plan, cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in &batch.records {
                let Some(votes) = votes.get_mut(&record.at.topic) else { continue };
                votes.records += 1;
                let reading = formats::read(record, config);
                // A record that was copied back with all its headers names the topic in which it lies.
                let own = reading.latest().topic.as_deref() == Some(&*record.at.topic)
                    || reading.root.topic.as_deref() == Some(&*record.at.topic);
                votes.letters += u64::from(reading.says_letter() && !own);
            }
        }
        Ok(())
    }
}

/// What a sample says.
#[derive(Clone, Copy, Debug, Default)]
struct Votes {
    records: u64,
    letters: u64,
}

impl Votes {
    /// At least half of the records.
    fn are_letters(self) -> bool {
        self.letters > 0 && self.letters * 2 >= self.records
    }
}
