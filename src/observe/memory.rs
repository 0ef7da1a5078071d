//! What all looks have brought so far, and the picture that follows from it. Pure: no clock, no broker.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Interest;
use super::applications::Applications;
use super::attention::{Facts, Since};
use super::errors;
use super::group::Group;
use super::history;
use super::latency;
use super::log::Log;
use super::look::{Known, Look, Scope};
use super::sips::{MOST_PARTITIONS, Sip, Why, Wish};
use super::snapshot::{ClusterRow, Freshness, GroupRow, History, Role, Snapshot, TopicRow, Totals};
use super::topic::{Topic, role};
use crate::broker::{Bounds, Name, Shard};
use crate::config::profile::{DeadLetters, Thresholds};
use crate::dlq::groups::DlqRow;
use crate::dlq::names;
use crate::text::Timestamp;

/// How often ids and configurations are asked for, and of how many topics at once.
const IDENTIFY_EVERY: Duration = Duration::from_secs(10);
const CONFIGURE_EVERY: Duration = Duration::from_secs(60);
const MOST_IDS: usize = 500;
const MOST_CONFIGS: usize = 1_000;
/// How often the cluster itself is asked.
const CLUSTER_EVERY: Duration = Duration::from_secs(10);

/// All that is known.
#[derive(Debug)]
pub(super) struct Memory {
    config: DeadLetters,
    cluster: ClusterRow,
    cluster_at: Option<Duration>,
    topics: BTreeMap<Name, Topic>,
    groups: BTreeMap<Name, Group>,
    /// Why the groups cannot be listed.
    groups_error: Option<String>,
    letters: Option<Arc<[DlqRow]>>,
    since: Since,
    history: Arc<History>,
    /// When the last look came, and the one before.
    looks: (Option<Duration>, Option<Duration>),
    taken: (Duration, Timestamp),
    sample_seconds: f64,
    thresholds: Thresholds,
    /// The rows of the last picture.
    shown: (Arc<[TopicRow]>, Arc<[GroupRow]>),
    /// The partition after which the next round of reading begins.
    turn: Option<Shard>,
}

fn log_of<'a>(topics: &'a BTreeMap<Name, Topic>, shard: &Shard) -> Option<&'a Log> {
    topics.get(&shard.topic)?.logs.get(&shard.partition)
}

/// The row of the last picture with this name; rows are ordered by name.
fn before<'r, R>(rows: &'r [R], name: impl Fn(&R) -> &Arc<str>, wanted: &Arc<str>) -> Option<&'r R> {
    rows.binary_search_by(|row| name(row).cmp(wanted)).ok().and_then(|i| rows.get(i))
}

/// Takes the details of the last picture where they are the same: on a large cluster most are, and two pictures are
/// there at once.
fn share<R: PartialEq>(now: &mut Arc<[R]>, before: Option<&Arc<[R]>>) {
    if let Some(before) = before.filter(|before| *before == now) {
        *now = Arc::clone(before);
    }
}

impl Memory {
    /// Nothing is known yet. `config` says which topics hold dead letters by the operator's word.
    /// `thresholds` says what needs attention by it too.
    pub fn new(config: DeadLetters, thresholds: Thresholds) -> Self {
        Self {
            config,
            thresholds,
            cluster: ClusterRow::default(),
            cluster_at: None,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            groups_error: None,
            letters: None,
            since: Since::default(),
            history: Arc::default(),
            looks: (None, None),
            taken: (Duration::ZERO, Timestamp(0)),
            sample_seconds: 0.0,
            shown: (Arc::from([]), Arc::from([])),
            turn: None,
        }
    }

    /// All groups that are known.
    pub fn all_groups(&self) -> Interest {
        Interest { groups: self.groups.keys().map(Name::clone).collect(), ..Interest::default() }
    }

    /// What is known of a scope, for the next look at it.
    pub fn known(&self, scope: &Scope, at: Duration) -> Known {
        let cluster = self.cluster_at.is_none_or(|then| at.saturating_sub(then) >= CLUSTER_EVERY);
        let mut wanted: BTreeMap<&Name, BTreeSet<i32>> = BTreeMap::new();
        if let Scope::Only(interest) = scope {
            for topic in interest.topics.iter().filter_map(|t| self.topics.get(t)) {
                let partitions = topic.info.partitions.iter().map(|p| p.partition);
                wanted.entry(&topic.info.name).or_default().extend(partitions);
            }
            let groups = interest.groups.iter().filter_map(|g| self.groups.get(g));
            for (topic, partitions) in groups.flat_map(Group::partitions) {
                let Some(Topic { logs, .. }) = self.topics.get(topic) else { continue };
                wanted.entry(topic).or_default().extend(partitions.filter(|p| logs.contains_key(p)));
            }
        }
        let shards = wanted.into_iter().flat_map(|(topic, partitions)| {
            partitions.into_iter().map(|p| Shard::new(Name::clone(topic), p))
        });
        Known { shards: shards.collect(), cluster, members: true }
    }

    /// The offsets of a partition at the last look.
    pub fn bounds(&self, shard: &Shard) -> Option<Bounds> {
        log_of(&self.topics, shard)?.bounds
    }

    /// The partitions on which a group had commits at the last look; `None` where it had none.
    pub fn committed(&self, group: &Name) -> Option<Vec<Shard>> {
        let shards: Vec<Shard> = self.groups.get(group)?.committed().collect();
        (!shards.is_empty()).then_some(shards)
    }

    /// Of these topics, those whose id, and those whose configuration is due: those shown first, then the oldest.
    pub fn due(&self, names: &[Name], shown: &[Name], at: Duration) -> (Vec<Name>, Vec<Name>) {
        let pick = |of: fn(&Topic) -> Option<Duration>, every: &dyn Fn(&Name) -> Duration, most: usize| {
            let mut due: Vec<(bool, Option<Duration>, &Name)> = names
                .iter()
                .map(|name| (!shown.contains(name), self.topics.get(name).and_then(of), name))
                .filter(|(_, asked, name)| asked.is_none_or(|then| at.saturating_sub(then) >= every(name)))
                .collect();
            due.sort_unstable();
            due.truncate(most);
            due.into_iter().map(|(.., name)| Name::clone(name)).collect()
        };
        let often = |name: &Name| if shown.contains(name) { IDENTIFY_EVERY } else { CONFIGURE_EVERY };
        (pick(|t| t.identified, &|_| IDENTIFY_EVERY, MOST_IDS), pick(|t| t.configured, &often, MOST_CONFIGS))
    }

    /// Takes what is known of dead letters.
    pub fn take_letters(&mut self, letters: Option<Arc<[DlqRow]>>) {
        self.letters = letters;
    }

    /// Takes what a look brought.
    pub fn take(&mut self, look: Look, letters: Option<Arc<[DlqRow]>>, took: Duration) {
        let at = look.bounds_at;
        self.taken = look.committed_at.max(at);
        self.sample_seconds = took.as_secs_f64();
        self.looks = (Some(at.0), self.looks.0);
        self.letters = letters;
        if let Some(cluster) = look.cluster {
            self.cluster_at = Some(at.0);
            self.cluster =
                ClusterRow { id: cluster.id, brokers: cluster.nodes.len(), controller: cluster.controller };
        }
        let whole = look.topics.is_some();
        if let Some(infos) = look.topics {
            let mut before = std::mem::take(&mut self.topics);
            for info in infos {
                let name = Name::clone(&info.name);
                let topic = match before.remove(&name) {
                    Some(mut topic) => {
                        topic.renew(info);
                        topic
                    }
                    None => Topic::new(info),
                };
                self.topics.insert(name, topic);
            }
        }
        let mut restarted: BTreeSet<Shard> = BTreeSet::new();
        for (name, id) in look.ids {
            let Some(topic) = self.topics.get_mut(&name) else { continue };
            let shards: Vec<i32> = topic.logs.keys().copied().collect();
            if topic.identify(id.ok(), at.0) {
                restarted.extend(shards.into_iter().map(|p| Shard::new(Name::clone(&name), p)));
            }
        }
        for (name, config) in look.configs {
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.configure(config, at.0);
            }
        }
        let mut seen: BTreeSet<Name> = BTreeSet::new();
        // Mostly they come by topic, and it is looked up once.
        for of_topic in look.bounds.chunk_by(|(a, _), (b, _)| a.topic == b.topic) {
            let Some((Shard { topic: name, .. }, _)) = of_topic.first() else { continue };
            let Some(topic) = self.topics.get_mut(name) else { continue };
            for (shard, bounds) in of_topic {
                let log = topic.logs.entry(shard.partition).or_default();
                if log.see(bounds.clone(), at.0, at.1) {
                    restarted.insert(shard.clone());
                }
            }
            seen.insert(Name::clone(name));
        }
        for name in seen {
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.note(at.0);
            }
        }
        if whole {
            self.groups_error = look.groups_error;
        }
        if let Some(summaries) = look.groups {
            let mut before = std::mem::take(&mut self.groups);
            for summary in summaries {
                let name = Name::clone(&summary.group);
                let group = match before.remove(&name) {
                    Some(mut group) => {
                        group.summary = summary;
                        group
                    }
                    None => Group::new(summary),
                };
                self.groups.insert(name, group);
            }
        }
        self.take_groups(look.described, look.committed, &restarted, look.committed_at);
        let totals = self.totals();
        history::push(Arc::make_mut(&mut self.history), at.1, &totals);
    }

    fn take_groups(
        &mut self,
        described: super::look::Answers<Name, crate::broker::Group>,
        committed: super::look::Answers<Name, crate::broker::Committed>,
        restarted: &BTreeSet<Shard>,
        at: (Duration, Timestamp),
    ) {
        let topics = &self.topics;
        let logs = |topic: &Name| topics.get(topic).map(|t| &t.logs);
        for (name, answer) in described {
            if let Some(group) = self.groups.get_mut(&name) {
                group.clear_error();
                group.describe(answer);
            }
        }
        let arrived = self.letters.as_deref().map(arrived);
        for (name, answer) in committed {
            let Some(group) = self.groups.get_mut(&name) else { continue };
            group.commit(answer, &logs, restarted, at);
            group.judge(&logs);
            group.note(&logs, at.1);
            if let Some(arrived) = &arrived {
                group.count_errors(at.0, arrived.get(&name).copied().unwrap_or(0));
            }
        }
    }

    /// What is to be read now: what groups come to next, then the tails that have grown, in turns.
    pub fn wishes(&mut self, at: Duration) -> Vec<Wish> {
        let mut wishes: Vec<Wish> = Vec::new();
        let mut taken: HashSet<Shard> = HashSet::new();
        {
            let topics = &self.topics;
            let logs = |topic: &Name| topics.get(topic).map(|t| &t.logs);
            let mut next: Vec<(Option<Duration>, Shard, i64, i64)> = Vec::new();
            for group in self.groups.values() {
                next.extend(group.wishes(&logs));
            }
            next.sort();
            for (_, shard, from, until) in next {
                if wishes.len() < MOST_PARTITIONS / 2 && taken.insert(shard.clone()) {
                    wishes.push(Wish { shard, from, until, why: Why::Next });
                }
            }
        }
        for wish in &wishes {
            for group in self.groups.values_mut() {
                group.asked(&wish.shard, wish.from, at);
            }
        }
        let grown: Vec<(Shard, (i64, i64))> = self
            .topics
            .values()
            .filter(|t| !t.info.internal && !names::is_internal_name(&t.info.name))
            .flat_map(|t| t.logs.iter().map(|(p, log)| (&t.info.name, *p, log)))
            .filter_map(|(name, p, log)| Some((Shard::new(Name::clone(name), p), log.tail()?)))
            .filter(|(shard, _)| !taken.contains(shard))
            .collect();
        let first = self.turn.as_ref().map_or(0, |turn| grown.partition_point(|(shard, _)| shard <= turn));
        let room = MOST_PARTITIONS - wishes.len();
        let turns = grown.iter().cycle().skip(first).take(grown.len().min(room));
        for (shard, (from, until)) in turns {
            self.turn = Some(shard.clone());
            wishes.push(Wish { shard: shard.clone(), from: *from, until: *until, why: Why::Tail });
        }
        for wish in &wishes {
            let log =
                self.topics.get_mut(&wish.shard.topic).and_then(|t| t.logs.get_mut(&wish.shard.partition));
            if let (Some(log), Why::Tail) = (log, wish.why) {
                // Also where it cannot be read: it is asked again when it has grown.
                log.read_to = wish.until;
            }
        }
        wishes
    }

    /// Takes what was read.
    pub fn drink(&mut self, sips: Vec<Sip>, at: Duration) {
        for sip in &sips {
            let shard = &sip.wish.shard;
            let Some(topic) = self.topics.get_mut(&shard.topic) else { continue };
            let Some(log) = topic.logs.get_mut(&shard.partition) else { continue };
            for trace in &sip.traces {
                log.remember(*trace);
                // What a group comes to next is no fair sample of the topic.
                if sip.wish.why == Why::Tail {
                    topic.sizes.add(trace.size);
                }
            }
        }
        let topics = &self.topics;
        let logs = |topic: &Name| topics.get(topic).map(|t| &t.logs);
        for sip in sips.iter().filter(|s| s.wish.why == Why::Next) {
            let Some(log) = log_of(topics, &sip.wish.shard) else { continue };
            let first = sip.traces.first().copied();
            // A read that was cut short tells nothing of what it did not come to.
            if first.is_none() && sip.position < sip.wish.until {
                continue;
            }
            for group in self.groups.values_mut() {
                group.take_next(&sip.wish.shard, sip.wish.from, first, sip.position, log, at);
            }
        }
        let read: HashSet<&Name> = sips.iter().map(|sip| &sip.wish.shard.topic).collect();
        for group in self.groups.values_mut() {
            group.judge(&|topic: &Name| read.contains(topic).then(|| logs(topic)).flatten());
        }
    }

    /// The picture of now.
    pub fn picture(&mut self, freshness: Freshness, applications: Option<Arc<Applications>>) -> Snapshot {
        let topics = &self.topics;
        let logs = |topic: &Name| topics.get(topic).map(|t| &t.logs);
        let interval = self.looks.0.zip(self.looks.1).map(|(b, a)| b.saturating_sub(a).as_secs_f64());
        let (topics_before, groups_before) = std::mem::take(&mut self.shown);
        let row = |group: &Group| {
            let mut row = group.row(&logs, self.taken, interval);
            share(&mut row.detail, before(&groups_before, |r| &r.group, &row.group).map(|r| &r.detail));
            row
        };
        let groups: Arc<[GroupRow]> = self.groups.values().map(row).collect();
        let letters = self.letters.clone().unwrap_or_default();
        let mut totals = self.totals();
        // Of all groups together no more is known than of the one that commits most seldom.
        totals.latency.resolution = groups.iter().filter_map(|g| g.latency_ms.resolution).reduce(f64::max);
        let rows: Arc<[TopicRow]> = self.topic_rows(&groups, &letters, &topics_before).into();
        drop((topics_before, groups_before));
        self.shown = (Arc::clone(&rows), Arc::clone(&groups));
        let facts = Facts {
            now: self.taken.1,
            topic_rows: &rows,
            group_rows: &groups,
            letters: &letters,
            topics: &self.topics,
            groups: &self.groups,
            logs: &logs,
            totals: &totals,
            thresholds: &self.thresholds,
            applications: applications.as_deref(),
        };
        let attention = self.since.rank(&facts);
        Snapshot {
            generation: 1,
            taken: self.taken.1,
            freshness,
            cluster: self.cluster.clone(),
            window_seconds: interval,
            topics: rows,
            groups,
            groups_error: self.groups_error.clone(),
            dead_letters: letters,
            attention: attention.into(),
            totals,
            history: Arc::clone(&self.history),
            applications,
            sample_seconds: self.sample_seconds,
            requests_per_minute: None,
        }
    }

    fn role(&self, topic: &Topic, found: &HashSet<&str>) -> Role {
        role(&topic.info, found.contains(&*topic.info.name), &self.config)
    }

    /// The rows of all topics, by name.
    fn topic_rows(&self, groups: &[GroupRow], letters: &[DlqRow], shown: &[TopicRow]) -> Vec<TopicRow> {
        let found: HashSet<&str> = letters.iter().map(|r| &*r.topic).collect();
        let mut sources: HashMap<&str, Vec<Arc<str>>> = HashMap::new();
        for row in letters {
            for source in &row.sources {
                sources.entry(source).or_default().push(Arc::clone(&row.topic));
            }
        }
        let roles: Vec<Role> = self.topics.values().map(|t| self.role(t, &found)).collect();
        // Where no letter names its source yet, the name does.
        let with_source: HashSet<&str> =
            letters.iter().filter(|r| !r.sources.is_empty()).map(|r| &*r.topic).collect();
        for (name, role) in self.topics.keys().zip(&roles) {
            if *role == Role::DeadLetter
                && !with_source.contains(&**name)
                && let Some(source) = names::named_after(name)
            {
                sources.entry(source).or_default().push(Name::clone(name));
            }
        }
        let mut worst: HashMap<&str, (u64, &Arc<str>)> = HashMap::new();
        for group in groups {
            let mut lags: HashMap<&str, u64> = HashMap::new();
            for part in group.detail.iter() {
                if let Some(lag) = part.lag {
                    *lags.entry(&part.topic).or_default() += lag;
                }
            }
            for (topic, lag) in lags {
                let worst = worst.entry(topic).or_insert((lag, &group.group));
                if lag > worst.0 {
                    *worst = (lag, &group.group);
                }
            }
        }
        let row = |(topic, role): (&Topic, Role)| {
            let name = &*topic.info.name;
            let mut row = topic.row(role);
            share(&mut row.detail, before(shown, |r| &r.name, &row.name).map(|r| &r.detail));
            row.dead_letter_topics = sources.get(name).cloned().unwrap_or_default();
            row.worst_group = worst.get(name).map(|(_, group)| Arc::clone(group));
            row.worst_lag = worst.get(name).map(|(lag, _)| *lag);
            row
        };
        self.topics.values().zip(roles).map(row).collect()
    }

    /// The totals of now.
    fn totals(&self) -> Totals {
        let letters = self.letters.as_deref();
        let rows = letters.unwrap_or_default();
        let found: HashSet<&str> = rows.iter().map(|r| &*r.topic).collect();
        let sources = || self.topics.values().filter(|t| self.role(t, &found) == Role::Source);
        let bytes = |t: &Topic| Some(t.rate()? * t.mean_size()?);
        let topics = &self.topics;
        let logs = |topic: &Name| topics.get(topic).map(|t| &t.logs);
        let errors = self.groups.values().filter_map(|g| g.errors.counts());
        let errors = errors.reduce(|(letters, of), (l, o)| (letters + l, of + o));
        // A topic that cannot be read has its reason in its row, and takes no part in the sums.
        let readable = || rows.iter().filter(|r| r.error.is_none());
        let pending = || readable().map(|r| r.pending).try_fold(0_u64, |sum, n| Some(sum + n?));
        let arrivals = || readable().filter_map(|r| r.arrivals_per_minute).reduce(|a, b| a + b);
        let per_minute = letters.map(|_| arrivals().unwrap_or(0.0));
        Totals {
            records_per_second: sources().filter_map(Topic::rate).reduce(|a, b| a + b),
            bytes_per_second: sources().filter_map(bytes).reduce(|a, b| a + b),
            latency: latency::percentiles(self.groups.values().map(Group::latencies)),
            errors_per_second: per_minute.map(|n| n / 60.0),
            error_percent: errors.and_then(|(letters, of)| errors::percent(letters, of)),
            lag: self.groups.values().filter_map(|g| g.lag(&logs).0).reduce(|a, b| a + b),
            pending: letters.and_then(|_| pending()),
            arrivals_per_minute: per_minute,
            oldest_age_seconds: readable().filter_map(|r| r.oldest_age_seconds).reduce(f64::max),
        }
    }
}

/// Letters that have arrived since the program looks on, by group.
fn arrived(rows: &[DlqRow]) -> HashMap<Name, u64> {
    let mut arrived: HashMap<Name, u64> = HashMap::new();
    for (group, count) in rows.iter().flat_map(|r| &r.arrived_by_group) {
        *arrived.entry(Arc::clone(group)).or_default() += count;
    }
    arrived
}
