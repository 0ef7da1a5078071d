//! What needs attention: a ranked list of what is wrong, since when, and what to do.
//!
//! The findings of one moment are pure functions of the rows; [`Since`] remembers when each began, and holds back
//! what may be over in a moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::group::{Group, Logs};
use super::snapshot::{Attention, GroupRow, Place, Role, Severity, Status, TopicRow};
use super::topic::Topic;
use crate::broker::Name;
use crate::dlq::groups::DlqRow;
use crate::text::{Timestamp, units};

/// A failure is new for so long.
const NEW_MS: i64 = 30 * 60_000;
/// Letters that retention deletes within this time need attention.
const EXPIRES_MS: i64 = 24 * 3_600_000;
/// What could be a moment's matter must last so long.
const HOLD_MS: i64 = 30_000;
/// A transaction that holds the last stable offset so long hangs.
const HANGS_MS: i64 = 60_000;
/// A topic needs this many partitions for one of them to be hot, and this rate.
const HOT_PARTITIONS: usize = 4;
const HOT_RATE: f64 = 1.0;
/// A topic is silent below this share of its usual rate, if that is known for so many seconds, and large enough.
const SILENT_SHARE: f64 = 0.1;
const SILENT_KNOWN: f64 = 60.0;
const SILENT_RATE: f64 = 0.5;
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
        let mut kept = HashMap::new();
        let mut list = Vec::new();
        for f in findings {
            let first = self.0.get(&f.key).copied().unwrap_or(facts.now);
            kept.insert(f.key, first);
            let since = f.since.unwrap_or(first);
            if facts.now.since(since) >= f.hold {
                let Finding { severity, what, place, hint, .. } = f;
                list.push(Attention { severity, what, place, since, hint: hint.to_owned() });
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
        let pace = pace.map_or_else(String::new, |n| format!(" (+{}/min)", units::number(n)));
        for (id, name, at) in new {
            out.push(Finding {
                key: format!("failure {} {id}", row.topic),
                severity: Severity::Critical,
                what: format!("{}: new failure {name}{pace}", row.topic),
                place: place("dead_letters", Some(&row.topic), None),
                hint: "open its failures and read a stack trace; redrive when the cause is repaired",
                since: Some(*at),
                hold: 0,
            });
        }
    }
}

fn expiring(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.letters.iter().filter(|r| r.pending.is_none_or(|n| n > 0)) {
        let Some(left) = row.expires_at.map(|at| at.since(facts.now)).filter(|ms| *ms < EXPIRES_MS) else {
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
        });
    }
}

fn groups(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.group_rows {
        let Some(group) = facts.groups.get(&row.group) else { continue };
        if row.status == Status::Stop {
            // A group that nobody runs any more is worth a word; one that was seen alive hurts.
            let severity = if group.alive { Severity::Critical } else { Severity::Info };
            out.push(Finding {
                key: format!("stop {}", row.group),
                severity,
                what: format!(
                    "{} has stopped: no members, lag {}",
                    row.group,
                    units::or_dash(row.lag, units::count)
                ),
                place: place("groups", row.topics.first(), Some(&row.group)),
                hint: "start its consumers, or delete the group if nobody needs it",
                since: group.moved(),
                hold: 0,
            });
            continue;
        }
        for stuck in group.stuck(facts.logs).into_iter().take(3) {
            let (topic, partition) = (&stuck.shard.topic, stuck.shard.partition);
            let at = units::count(stuck.offset.max(0) as u64);
            let behind = units::count(stuck.lag.max(0) as u64);
            let (what, hint) = if stuck.alone {
                (
                    format!(
                        "{} is stuck at record {topic}[{partition}] @ {at}, behind it {behind}",
                        row.group
                    ),
                    "look at the record: it may be one that the consumer cannot process",
                )
            } else {
                (
                    format!("{} is stalled on {topic}[{partition}] at {at}, behind it {behind}", row.group),
                    "its consumers are there and commit nothing: look at their logs",
                )
            };
            out.push(Finding {
                key: format!("stall {} {topic} {partition}", row.group),
                severity: Severity::Critical,
                what,
                place: Place {
                    partition: Some(partition),
                    offset: Some(stuck.offset),
                    ..place("groups", Some(topic), Some(&row.group))
                },
                hint,
                since: stuck.since,
                hold: 0,
            });
        }
    }
}

fn retention(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.group_rows {
        for part in row.detail.iter() {
            let at = || Place {
                partition: Some(part.partition),
                ..place("groups", Some(&part.topic), Some(&row.group))
            };
            let where_ = format!("{} on {}[{}]", row.group, part.topic, part.partition);
            if part.lost > 0 {
                out.push(Finding {
                    key: format!("lost {where_}"),
                    severity: Severity::Critical,
                    what: format!("{where_} has lost {} records to retention", units::count(part.lost)),
                    place: at(),
                    hint: "they were deleted before they were consumed; raise retention.ms",
                    since: None,
                    hold: 0,
                });
                continue;
            }
            let retention = facts.topics.get(&part.topic).and_then(Topic::retention_ms);
            let (Some(retention), Some(lag)) = (retention, part.lag_seconds) else { continue };
            let left = retention as f64 / 1000.0 - lag;
            if lag > left && row.drain_seconds.is_none_or(|drain| drain > left) {
                let when = units::age((left.max(0.0) * 1000.0) as i64);
                out.push(Finding {
                    key: format!("outlives {where_}"),
                    severity: Severity::Critical,
                    what: format!("{where_} loses records to retention in {when} if it goes on like this"),
                    place: at(),
                    hint: "let it catch up, or raise retention.ms of the topic",
                    since: None,
                    hold: 0,
                });
            }
        }
    }
}

fn topics(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for row in facts.topic_rows {
        let Some(topic) = facts.topics.get(&row.name) else { continue };
        let mut add = |kind: &str, severity, what: String, partition, hint, since, hold| {
            let place = Place { partition, ..place("topics", Some(&row.name), None) };
            let key = format!("{kind} {} {partition:?}", row.name);
            out.push(Finding { key, severity, what, place, hint, since, hold });
        };
        let offline: Vec<i32> =
            row.detail.iter().filter(|p| p.leader.is_none()).map(|p| p.partition).collect();
        if let Some(first) = offline.first() {
            let what = format!("{}: {} without a leader", row.name, partitions(&offline));
            let hint = "start the brokers that hold its replicas";
            add("offline", Severity::Critical, what, Some(*first), hint, None, 0);
        }
        let behind =
            |p: &&super::snapshot::PartitionRow| p.leader.is_some() && p.isr.len() < p.replicas.len();
        let under: Vec<i32> = row.detail.iter().filter(behind).map(|p| p.partition).collect();
        if let Some(first) = under.first() {
            let what = format!("{}: {} under-replicated", row.name, partitions(&under));
            let hint = "a broker is away or cannot keep up";
            add("under", Severity::Warning, what, Some(*first), hint, None, 0);
        }
        for (partition, log) in &topic.logs {
            if let Some((stable, since)) = log.held {
                let what = format!(
                    "{}[{partition}]: a transaction hangs, readers wait at {}",
                    row.name,
                    units::count(stable.max(0) as u64)
                );
                let hint = "find it with kafka-transactions.sh find-hanging, and abort it";
                add("hangs", Severity::Warning, what, Some(*partition), hint, Some(since), HANGS_MS);
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
            add("silent", Severity::Warning, what, None, "look at its producers", None, HOLD_MS);
        }
        if let Some(rate) = rate.filter(|r| *r >= HOT_RATE && row.detail.len() >= HOT_PARTITIONS) {
            let hot = row.detail.iter().find(|p| p.records_per_second.is_some_and(|r| r > rate / 2.0));
            if let Some(p) = hot {
                let share = p.records_per_second.unwrap_or_default() * 100.0 / rate;
                let what = format!(
                    "{}[{}] is hot: it takes {} of the topic",
                    row.name,
                    p.partition,
                    units::percent(share.round())
                );
                let hint = "one key may be much more frequent than others";
                add("hot", Severity::Info, what, Some(p.partition), hint, None, HOLD_MS);
            }
        }
    }
}

/// `partition 3` or `3 partitions`.
fn partitions(of: &[i32]) -> String {
    match of {
        [one] => format!("partition {one} is"),
        many => format!("{} partitions are", many.len()),
    }
}
