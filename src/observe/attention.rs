//! What needs attention: a ranked list of what is wrong, since when, and what to do.
//!
//! The findings of one moment are pure functions of the rows; [`Since`] remembers when each began, and holds back
//! what may be over in a moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::applications::Applications;
use super::group::{Group, Logs, Stuck};
use super::snapshot::{
    Attention, GroupPartitionRow, GroupRow, Place, Role, Severity, Status, TopicRow, Totals,
};
use super::topic::Topic;
use crate::broker::Name;
use crate::config::profile::Thresholds;
use crate::dlq::groups::DlqRow;
use crate::text::{Timestamp, units};

/// A failure is new for so long.
const NEW_MS: i64 = 30 * 60_000;
/// What could be a moment's matter must last so long.
const HOLD_MS: i64 = 30_000;
/// A transaction that holds the last stable offset so long hangs.
const HANGS_MS: i64 = 60_000;
/// A topic is silent below this share of its usual rate, if that is known for so many seconds, and large enough.
const SILENT_SHARE: f64 = 0.1;
const SILENT_KNOWN: f64 = 60.0;
const SILENT_RATE: f64 = 0.5;
/// Partitions of one group that are named as stuck.
const MOST_STUCK: usize = 3;
/// Lines at most.
const MOST: usize = 100;

/// Something that was found at one moment.
#[derive(Clone, Debug)]
struct Finding {
    /// Tells it from others, and finds it again at the next look.
    key: String,
    severity: Severity,
    what: String,
    place: Place,
    hint: &'static str,
    /// Since when, where that is known.
    since: Option<Timestamp>,
    /// How long it must last before it is told, in milliseconds.
    hold: i64,
    /// How bad it is among its like, the more the worse.
    weight: u64,
}

/// The rows of one moment, and what lies behind them.
pub(super) struct Facts<'a> {
    pub now: Timestamp,
    pub topic_rows: &'a [TopicRow],
    pub group_rows: &'a [GroupRow],
    pub letters: &'a [DlqRow],
    pub topics: &'a BTreeMap<Name, Topic>,
    pub groups: &'a BTreeMap<Name, Group>,
    pub logs: Logs<'a>,
    pub totals: &'a Totals,
    pub thresholds: &'a Thresholds,
    pub applications: Option<&'a Applications>,
}

/// Remembers since when.
#[derive(Clone, Debug, Default)]
pub(super) struct Since(HashMap<String, Timestamp>);

impl Since {
    /// The list of now, the worst first.
    pub fn rank(&mut self, facts: &Facts<'_>) -> Vec<Attention> {
        let mut findings = Vec::new();
        new_failures(facts, &mut findings);
        expiring(facts, &mut findings);
        groups(facts, &mut findings);
        retention(facts, &mut findings);
        topics(facts, &mut findings);
        applications(facts, &mut findings);
        thresholds(facts, &mut findings);
        let mut kept = HashMap::new();
        let mut list = Vec::new();
        for f in findings {
            let first = self.0.get(&f.key).copied().unwrap_or(facts.now);
            kept.insert(f.key.clone(), first);
            let since = f.since.unwrap_or(first);
            if facts.now.since(since) >= f.hold {
                let Finding { key, severity, what, place, hint, weight, .. } = f;
                let key = key.into();
                list.push(Attention { severity, what, place, since, hint: hint.to_owned(), key, weight });
            }
        }
        self.0 = kept;
        // The order in which they were found is the order within one severity.
        list.sort_by_key(|a| std::cmp::Reverse(a.severity));
        list.truncate(MOST);
        list
    }
}

fn place(screen: &'static str, topic: Option<&Arc<str>>, group: Option<&Arc<str>>) -> Place {
    Place { screen, topic: topic.cloned(), partition: None, offset: None, group: group.cloned() }
}

fn new_failures(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.letters {
        let new = row.new_failures.iter().filter(|(_, _, at)| facts.now.since(*at) < NEW_MS);
        let pace = row.arrivals_per_minute.filter(|n| *n > 0.0);
        let pace = pace.map_or_else(String::new, |n| format!(" +{}/min", units::number(n)));
        for (id, name, at) in new {
            out.push(Finding {
                key: format!("failure {} {id}", row.topic),
                severity: Severity::Critical,
                what: format!("{}{pace}, new failure {name}", row.topic),
                place: place("dead_letters", Some(&row.topic), None),
                hint: "open its failures and read a stack trace; redrive when the cause is repaired",
                since: Some(*at),
                hold: 0,
                weight: row.arrivals_per_minute.unwrap_or_default() as u64,
            });
        }
    }
}

fn expiring(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.letters.iter().filter(|r| r.pending.is_none_or(|n| n > 0)) {
        let Some(left) = row.expires_at.filter(|_| row.expires_soon).map(|at| at.since(facts.now)) else {
            continue;
        };
        let when = if left <= 0 { "now".to_owned() } else { format!("in {}", units::age(left)) };
        out.push(Finding {
            key: format!("expires {}", row.topic),
            severity: Severity::Warning,
            what: format!("{}: retention deletes the oldest pending letter {when}", row.topic),
            place: place("dead_letters", Some(&row.topic), None),
            hint: "redrive or export its letters, or raise retention.ms of the topic",
            since: None,
            hold: 0,
            // Twice as bad with half of the time left.
            weight: (1_000_000_000_000 / left.max(1)) as u64,
        });
    }
}

fn groups(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let mut abandoned: Vec<&GroupRow> = Vec::new();
    for row in facts.group_rows {
        let Some(group) = facts.groups.get(&row.group) else { continue };
        if row.status == Status::Stop {
            if !group.alive {
                abandoned.push(row);
                continue;
            }
            let lag = units::or_dash(row.lag, units::count);
            out.push(Finding {
                key: format!("stop {}", row.group),
                severity: Severity::Critical,
                what: format!("{} has stopped: no members, lag {lag}", row.group),
                place: place("groups", row.topics.first(), Some(&row.group)),
                hint: "start its consumers",
                since: group.moved(),
                hold: 0,
                weight: row.lag.unwrap_or_default(),
            });
            continue;
        }
        stalled(row, group.stuck(facts.logs), out);
    }
    // Groups that nobody runs any more are worth one word in all.
    if let Some(first) = abandoned.first() {
        let what = match abandoned.as_slice() {
            [one] => format!("{} has lag and no members", one.group),
            many => format!("{} groups have lag and no members, for example {}", many.len(), first.group),
        };
        out.push(Finding {
            key: "abandoned".to_owned(),
            severity: Severity::Info,
            what,
            place: place("groups", None, Some(&first.group)),
            hint: "start their consumers, or delete the groups if nobody needs them",
            since: None,
            hold: 0,
            weight: abandoned.len() as u64,
        });
    }
}

fn stalled(row: &GroupRow, stuck: Vec<Stuck>, out: &mut Vec<Finding>) {
    let mut together: BTreeMap<Name, Vec<Stuck>> = BTreeMap::new();
    let mut add = |stuck: &Stuck, kind: &str, what, hint, weight| {
        let (topic, partition) = (&stuck.shard.topic, stuck.shard.partition);
        let place = place("groups", Some(topic), Some(&row.group));
        out.push(Finding {
            key: format!("{kind} {} {topic}", row.group),
            severity: Severity::Critical,
            what,
            place: Place { partition: Some(partition), offset: Some(stuck.offset), ..place },
            hint,
            since: stuck.since,
            hold: 0,
            weight,
        });
    };
    let number = |n: i64| units::count(n.max(0) as u64);
    let mut alone = 0;
    for stuck in stuck {
        if !stuck.alone {
            together.entry(Name::clone(&stuck.shard.topic)).or_default().push(stuck);
        } else if alone < MOST_STUCK {
            alone += 1;
            let (topic, partition) = (&stuck.shard.topic, stuck.shard.partition);
            let (at, behind) = (number(stuck.offset), number(stuck.lag));
            let what =
                format!("{} is stuck at record {topic}[{partition}] @ {at}, behind it {behind}", row.group);
            let hint = "look at the record: it may be one that the consumer cannot process";
            let weight = stuck.lag.max(0) as u64;
            add(&stuck, &format!("stuck {partition}"), what, hint, weight);
        }
    }
    for (topic, stuck) in together {
        let lag: i64 = stuck.iter().map(|s| s.lag.max(0)).sum();
        let behind = number(lag);
        let what = match stuck.as_slice() {
            [one] => {
                let (partition, at) = (one.shard.partition, number(one.offset));
                format!("{} is stalled on {topic}[{partition}] at {at}, behind it {behind}", row.group)
            }
            many => {
                let count = many.len();
                format!("{} is stalled on {count} partitions of {topic}, behind them {behind}", row.group)
            }
        };
        let hint = "its consumers are there and commit nothing: look at their logs";
        if let Some(worst) = stuck.first() {
            add(worst, "stalled", what, hint, lag as u64);
        }
    }
}

fn retention(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let alive = |row: &&GroupRow| facts.groups.get(&row.group).is_some_and(|g| g.alive);
    for row in facts.group_rows.iter().filter(alive) {
        let mut by_topic: BTreeMap<&Arc<str>, Vec<&GroupPartitionRow>> = BTreeMap::new();
        for part in row.detail.iter() {
            by_topic.entry(&part.topic).or_default().push(part);
        }
        for (topic, parts) in by_topic {
            let mut add = |kind, what, partition, weight| {
                out.push(Finding {
                    key: format!("{kind} {} {topic}", row.group),
                    severity: Severity::Critical,
                    what,
                    place: Place {
                        partition: Some(partition),
                        ..place("groups", Some(topic), Some(&row.group))
                    },
                    hint: "let it catch up, or raise retention.ms of the topic",
                    since: None,
                    hold: 0,
                    weight,
                });
            };
            let lost: u64 = parts.iter().map(|p| p.lost).sum();
            if let Some(worst) = parts.iter().max_by_key(|p| p.lost).filter(|_| lost > 0) {
                let count = units::count(lost);
                let what = format!("{} has lost {count} records of {topic} to retention", row.group);
                add("lost", what, worst.partition, lost);
            }
            let Some(retention) = facts.topics.get(topic).and_then(Topic::retention_ms) else { continue };
            let old = parts.iter().filter_map(|p| Some((p.lag_seconds?, p.partition)));
            let Some((lag, partition)) = old.max_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            let left = retention as f64 / 1000.0 - lag;
            if lag > left && row.drain_seconds.is_none_or(|drain| drain > left) {
                let when = units::age((left.max(0.0) * 1000.0) as i64);
                let what = format!("{} on {topic}[{partition}]: retention overtakes it in {when}", row.group);
                add("overtaken", what, partition, lag as u64);
            }
        }
    }
}

fn topics(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.topic_rows {
        let Some(topic) = facts.topics.get(&row.name) else { continue };
        let mut add = |kind: &str, severity, what: String, partition, hint, since, hold, weight: usize| {
            let place = Place { partition, ..place("topics", Some(&row.name), None) };
            let key = format!("{kind} {} {partition:?}", row.name);
            let weight = weight as u64;
            out.push(Finding { key, severity, what, place, hint, since, hold, weight });
        };
        let offline: Vec<i32> =
            row.detail.iter().filter(|p| p.leader.is_none()).map(|p| p.partition).collect();
        if let Some(first) = offline.first() {
            let what = format!("{}: {} without a leader", row.name, partitions(&offline));
            let hint = "start the brokers that hold its replicas";
            add("offline", Severity::Critical, what, Some(*first), hint, None, 0, offline.len());
        }
        let behind =
            |p: &&super::snapshot::PartitionRow| p.leader.is_some() && p.isr.len() < p.replicas.len();
        let under: Vec<i32> = row.detail.iter().filter(behind).map(|p| p.partition).collect();
        if let Some(first) = under.first() {
            let what = format!("{}: {} under-replicated", row.name, partitions(&under));
            let hint = "a broker is away or cannot keep up";
            add("under", Severity::Warning, what, Some(*first), hint, None, 0, under.len());
        }
        for (partition, log) in &topic.logs {
            if let Some((stable, since)) = log.held {
                let what = format!(
                    "{}[{partition}]: a transaction hangs, readers wait at {}",
                    row.name,
                    units::count(stable.max(0) as u64)
                );
                let hint = "find it with kafka-transactions.sh find-hanging, and abort it";
                add("hangs", Severity::Warning, what, Some(*partition), hint, Some(since), HANGS_MS, 0);
            }
        }
        if row.role != Role::Source {
            continue;
        }
        let rate = row.records_per_second;
        if let (Some(rate), Some(usual)) = (rate, topic.usual.per_second())
            && topic.usual.watched >= SILENT_KNOWN
            && usual >= SILENT_RATE
            && rate < usual * SILENT_SHARE
        {
            let what =
                format!("{} fell silent: {}, usually {}", row.name, units::rate(rate), units::rate(usual));
            add("silent", Severity::Warning, what, None, "look at its producers", None, HOLD_MS, 0);
        }
        if let Some((partition, share)) = row.hot() {
            let share = units::percent((share * 100.0).round());
            let what = format!("{}[{partition}] is hot: it takes {share} of the topic", row.name);
            let hint = "one key may be much more frequent than others";
            add("hot", Severity::Info, what, Some(partition), hint, None, HOLD_MS, 0);
        }
    }
}

/// Applications that do not tell their metrics: they may be down.
fn applications(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for target in facts.applications.iter().flat_map(|apps| &apps.targets) {
        let (Some(false), Some(why)) = (target.up, &target.error) else { continue };
        out.push(Finding {
            key: format!("application {}", target.url),
            severity: Severity::Warning,
            what: format!("application at {}: {why}", target.url),
            place: place("overview", None, None),
            hint: "see whether it runs; `[[metrics.scrape]]` of the profile has its address",
            since: None,
            hold: 0,
            weight: 0,
        });
    }
}

/// Totals that are above what the profile says they should be.
fn thresholds(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let (totals, limits) = (facts.totals, facts.thresholds);
    let mut add =
        |name: &str, screen, figure: Option<f64>, limit: Option<f64>, show: &dyn Fn(f64) -> String| {
            let (Some(figure), Some(limit)) = (figure, limit) else { return };
            if figure > limit {
                out.push(Finding {
                    key: format!("threshold {name}"),
                    severity: Severity::Warning,
                    what: format!("{name} is {}, above the profile's {}", show(figure), show(limit)),
                    place: place(screen, None, None),
                    hint: "open the list behind it; `[thresholds]` of the profile has the limit",
                    since: None,
                    hold: 0,
                    weight: figure as u64,
                });
            }
        };
    let millis = |ms: f64| units::duration(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX));
    let count = |n: f64| units::count(n as u64);
    add("lag", "groups", totals.lag.map(|n| n as f64), limits.lag, &count);
    let latency = limits.latency.map(|limit| limit.as_secs_f64() * 1000.0);
    add("latency (p99)", "groups", totals.latency.p99, latency, &millis);
    add("the share of errors", "dead_letters", totals.error_percent, limits.errors, &units::percent);
    add(
        "pending dead letters",
        "dead_letters",
        totals.pending.map(|n| n as f64),
        limits.dead_letters,
        &count,
    );
}

/// `partition 3` or `3 partitions`.
fn partitions(of: &[i32]) -> String {
    match of {
        [one] => format!("partition {one} is"),
        many => format!("{} partitions are", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::applications::TargetRow;
    use super::super::log::Log;
    use super::super::topic::role;
    use super::*;
    use crate::broker::{
        Bounds, ConfigEntry, Group as Described, GroupKind, GroupSummary, Member, PartitionInfo, Shard,
        TopicInfo,
    };
    use crate::config::profile::DeadLetters;
    use crate::dlq::groups::FoundBy;

    const START: i64 = 1_795_525_331_000;

    /// A cluster of one topic, `orders`, and one group, `email`, as looks go on.
    struct World {
        topics: BTreeMap<Name, Topic>,
        groups: BTreeMap<Name, Group>,
        letters: Vec<DlqRow>,
        totals: Totals,
        thresholds: Thresholds,
        applications: Option<Applications>,
        since: Since,
        second: i64,
    }

    impl World {
        fn new(partitions: i32, members: usize) -> Self {
            let partition = |partition| PartitionInfo {
                partition,
                leader: Some(1),
                replicas: vec![1, 2],
                isr: vec![1, 2],
            };
            let info = TopicInfo {
                name: "orders".into(),
                internal: false,
                partitions: (0..partitions).map(partition).collect(),
                error: None,
            };
            let summary = GroupSummary {
                group: "email".into(),
                kind: GroupKind::Classic,
                state: None,
                unknown_reason: None,
            };
            let member = |i| Member {
                id: format!("m{i}").into(),
                client_id: "c".into(),
                host: "h".into(),
                assigned: Vec::new(),
            };
            let mut group = Group::new(summary.clone());
            let members = (0..members).map(member).collect();
            group.describe(Ok(Described { summary, coordinator: None, members }));
            Self {
                topics: BTreeMap::from([("orders".into(), Topic::new(info))]),
                groups: BTreeMap::from([("email".into(), group)]),
                letters: Vec::new(),
                totals: Totals::default(),
                thresholds: Thresholds::default(),
                applications: None,
                since: Since::default(),
                second: 0,
            }
        }

        fn topic(&mut self) -> &mut Topic {
            self.topics.get_mut("orders").unwrap()
        }

        fn now(&self) -> (Duration, Timestamp) {
            (Duration::from_secs(self.second as u64), Timestamp(START + self.second * 1000))
        }

        /// The next look, two seconds later: bounds and commits by partition.
        fn look(&mut self, bounds: &[Bounds], commits: &[i64]) {
            self.second += 2;
            let now = self.now();
            for (partition, bounds) in (0..).zip(bounds) {
                self.topic().logs.entry(partition).or_default().see(Ok(*bounds), now.0, now.1);
            }
            self.topic().note(now.0);
            let topics = &self.topics;
            let logs = |topic: &Name| topics.get(topic).map(|t| &t.logs);
            let committed = (0..).zip(commits).map(|(p, c)| (Shard::new("orders", p), *c)).collect();
            self.groups.get_mut("email").unwrap().commit(Ok(committed), &logs, &BTreeSet::new(), now);
        }

        fn list(&mut self) -> Vec<Attention> {
            let topics = &self.topics;
            let logs = |topic: &Name| -> Option<&BTreeMap<i32, Log>> { Some(&topics.get(topic)?.logs) };
            let now = self.now();
            let config = DeadLetters::default();
            let topic_rows: Vec<_> = topics.values().map(|t| t.row(role(&t.info, false, &config))).collect();
            let group_rows: Vec<_> = self.groups.values().map(|g| g.row(&logs, now, None)).collect();
            self.since.rank(&Facts {
                now: now.1,
                topic_rows: &topic_rows,
                group_rows: &group_rows,
                letters: &self.letters,
                topics,
                groups: &self.groups,
                logs: &logs,
                totals: &self.totals,
                thresholds: &self.thresholds,
                applications: self.applications.as_ref(),
            })
        }

        fn words(&mut self) -> Vec<String> {
            self.list().into_iter().map(|a| a.what).collect()
        }
    }

    fn to(end: i64) -> Bounds {
        Bounds { start: 0, end, last_stable: end }
    }

    fn letters(topic: &str) -> DlqRow {
        DlqRow {
            topic: topic.into(),
            found_by: FoundBy::Name,
            reason: "its name".into(),
            formats: Vec::new(),
            sources: Vec::new(),
            groups: Vec::new(),
            records: Some(3),
            pending: Some(3),
            redriven: Some(0),
            discarded: Some(0),
            parked: Some(0),
            duplicate: Some(0),
            arrivals_per_minute: Some(12.0),
            oldest_timestamp: None,
            oldest_age_seconds: None,
            expires_at: None,
            expires_soon: false,
            beyond_last_stable: Some(0),
            complete: true,
            scanned: 3,
            top_failure: None,
            failures: 1,
            arrived: 0,
            arrived_by_group: Vec::new(),
            new_failures: Vec::new(),
            arrivals: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn a_healthy_cluster_needs_no_attention() {
        let mut world = World::new(4, 1);
        for i in 1..40 {
            world.look(&[to(i * 10), to(i * 10), to(i * 10), to(i * 10)], &[i * 10 - 1; 4]);
        }
        assert_eq!(world.words(), [""; 0]);
    }

    #[test]
    fn a_total_above_the_limit_of_the_profile_needs_attention() {
        let mut world = World::new(1, 1);
        world.look(&[to(10)], &[10]);
        world.thresholds =
            Thresholds { lag: Some(1_000.0), dead_letters: Some(5.0), ..Thresholds::default() };
        world.totals = Totals { lag: Some(1_000), ..Totals::default() };
        assert_eq!(world.words(), [""; 0], "what is not known, or not above it, is not told");
        world.totals = Totals { lag: Some(1_204), pending: Some(6), ..Totals::default() };
        assert_eq!(
            world.words(),
            ["lag is 1,204, above the profile's 1,000", "pending dead letters is 6, above the profile's 5"]
        );
        assert_eq!(world.list()[0].weight, 1_204);
    }

    #[test]
    fn an_application_that_does_not_answer_needs_attention() {
        let mut world = World::new(1, 1);
        let target = |url: &str, up, error: Option<&str>| TargetRow {
            url: url.to_owned(),
            up,
            error: error.map(str::to_owned),
            scraped: None,
            seconds: None,
            series: 0,
        };
        let targets = vec![
            target("http://a/metrics", Some(true), None),
            target("http://b/metrics", Some(false), Some("connection refused")),
            target("http://c/metrics", None, None),
        ];
        world.applications = Some(Applications { targets, ..Applications::default() });
        let list = world.list();
        assert_eq!(list.len(), 1, "{list:?}");
        assert_eq!(list[0].what, "application at http://b/metrics: connection refused");
        assert_eq!((list[0].severity, list[0].place.screen), (Severity::Warning, "overview"));
    }

    #[test]
    fn a_new_failure_comes_first_and_is_new_for_half_an_hour() {
        let mut world = World::new(1, 0);
        world.look(&[to(10)], &[10]);
        let mut row = letters("orders-dlt");
        row.new_failures = vec![("f1".into(), "PaymentTimeout".into(), world.now().1)];
        row.expires_at = Some(world.now().1.plus_millis(3 * 3_600_000));
        row.expires_soon = true;
        world.letters = vec![row];
        let list = world.list();
        assert_eq!(list[0].what, "orders-dlt +12/min, new failure PaymentTimeout");
        assert_eq!((list[0].severity, list[0].place.screen), (Severity::Critical, "dead_letters"));
        assert_eq!(list[1].what, "orders-dlt: retention deletes the oldest pending letter in 3 h");
        world.second += 31 * 60;
        assert_eq!(world.list().len(), 1);
        world.letters[0].pending = Some(0);
        assert_eq!(world.words(), [""; 0], "nothing is lost where nothing is pending");
    }

    #[test]
    fn a_record_that_stops_one_partition_is_named_with_its_place_and_time() {
        let mut world = World::new(2, 1);
        for i in 1..15 {
            world.look(&[to(100 + i), to(i * 10)], &[48, i * 10 - 1]);
        }
        let list = world.list();
        assert_eq!(list[0].what, "email is stuck at record orders[0] @ 48, behind it 66");
        assert_eq!((list[0].place.partition, list[0].place.offset), (Some(0), Some(48)));
        assert_eq!(list[0].since, Timestamp(START + 2000));
    }

    #[test]
    fn a_group_that_stalls_as_a_whole_is_one_line() {
        let mut world = World::new(3, 1);
        for i in 1..5 {
            world.look(&[to(100), to(100), to(100)], &[i * 10, i * 10, i * 10]);
        }
        for _ in 0..10 {
            world.look(&[to(100), to(100), to(150)], &[40, 40, 40]);
        }
        assert_eq!(world.words(), ["email is stalled on 3 partitions of orders, behind them 230"]);
        assert_eq!(world.list()[0].place.partition, Some(2), "the longest queue");
    }

    #[test]
    fn a_group_that_stopped_hurts_only_if_it_was_seen_alive() {
        let mut world = World::new(1, 0);
        for i in 1..12 {
            world.look(&[to(100 + i)], &[48]);
        }
        let list = world.list();
        assert_eq!(
            (list[0].what.as_str(), list[0].severity),
            ("email has lag and no members", Severity::Info)
        );
        let mut world = World::new(1, 0);
        for i in 1..20 {
            world.look(&[to(100 + i)], &[48 + i.min(5)]);
        }
        let list = world.list();
        assert_eq!(list[0].what, "email has stopped: no members, lag 66");
        assert_eq!((list[0].severity, list[0].since), (Severity::Critical, Timestamp(START + 10_000)));
    }

    #[test]
    fn lag_that_retention_will_overtake_is_told_before_it_happens() {
        let mut world = World::new(1, 1);
        let entry = ConfigEntry { value: Some("20000".into()), is_default: false };
        world.topic().configure(Ok([("retention.ms".into(), entry)].into()), Duration::ZERO);
        world.look(&[to(100)], &[100]);
        for i in 1..=5 {
            world.look(&[to(100 + i * 10)], &[100]);
        }
        assert_eq!(world.words(), [""; 0]);
        world.look(&[to(160)], &[100]);
        assert_eq!(world.words(), ["email on orders[0]: retention overtakes it in 8 s"]);
        world.look(&[Bounds { start: 130, ..to(170) }], &[100]);
        assert_eq!(world.words()[0], "email has lost 30 records of orders to retention");
    }

    #[test]
    fn a_hot_partition_is_told_when_it_stays_hot() {
        let mut world = World::new(4, 0);
        for i in 1..10 {
            world.look(&[to(i), to(i * 100), to(i), to(i)], &[]);
            assert_eq!(world.words(), [""; 0]);
        }
        for i in 10..20 {
            world.look(&[to(i), to(i * 100), to(i), to(i)], &[]);
            world.list();
        }
        assert_eq!(world.words(), ["orders[1] is hot: it takes 97 % of the topic"]);
    }

    #[test]
    fn a_topic_that_fell_silent_is_told() {
        let mut world = World::new(1, 0);
        for i in 1..50 {
            world.look(&[to(i * 20)], &[]);
        }
        assert_eq!(world.words(), [""; 0]);
        for _ in 0..40 {
            world.look(&[to(49 * 20)], &[]);
            world.list();
        }
        let words = world.words();
        assert!(words[0].starts_with("orders fell silent: 0/s, usually "), "{words:?}");
    }

    #[test]
    fn a_transaction_that_hangs_is_told_after_a_minute() {
        let mut world = World::new(1, 0);
        let held = |end| Bounds { start: 0, end, last_stable: 50 };
        for i in 1..31 {
            world.look(&[held(100 + i)], &[]);
        }
        assert_eq!(world.words(), [""; 0]);
        world.look(&[held(200)], &[]);
        assert_eq!(world.words(), ["orders[0]: a transaction hangs, readers wait at 50"]);
    }

    #[test]
    fn partitions_without_leader_or_replicas_are_told() {
        let mut world = World::new(3, 0);
        world.topic().info.partitions[0].leader = None;
        world.topic().info.partitions[1].isr = vec![1];
        let list = world.list();
        assert_eq!(list[0].what, "orders: partition 0 is without a leader");
        assert_eq!(list[1].what, "orders: partition 1 is under-replicated");
        assert_eq!((list[0].severity, list[1].severity), (Severity::Critical, Severity::Warning));
    }
}
