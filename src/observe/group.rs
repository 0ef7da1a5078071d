//! What is known of one consumer group, and its row.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::errors::{self, Errors};
use super::latency::{self, Sliding};
use super::log::{Log, Trace};
use super::rates::{Steps, Trend};
use super::snapshot::{GroupPartitionRow, GroupRow, LatencyCounts, MemberRow, Status};
use super::status::{Point, Window};
use crate::broker::{BrokerError, Committed, Group as Described, GroupSummary, Member, Name, Shard};
use crate::event::TimeKind;
use crate::text::Timestamp;

/// A record that was read for its age counts so long, while its group moves on.
const AGE_HOLDS: Duration = Duration::from_secs(15);
/// Looks after which a commit that stands just before the end is looked at more closely.
const STILL: usize = 3;
/// "Just before the end": what lies between may be markers only.
const MARKERS: i64 = 16;
/// A group falls behind where it consumes so much less than is produced.
const BEHIND: f64 = 0.99;

/// What lies at a committed offset.
#[derive(Clone, Copy, Debug)]
struct Next {
    committed: i64,
    /// The end that it was read up to.
    stable: i64,
    at: Duration,
    /// The first record there; `None` where there are only markers and gaps.
    first: Option<Trace>,
    /// Without a record: nothing to be consumed before this offset.
    blank_to: i64,
}

/// One partition of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    committed: Option<i64>,
    window: Window,
    consumed: Steps,
    /// When the commit was last seen to move, or was first seen.
    moved: Option<Timestamp>,
    /// Whether it was seen to move.
    moves: bool,
    next: Option<Box<Next>>,
    /// When a read for it was asked.
    asked: Option<Duration>,
    /// Records whose latency was counted.
    judged: BTreeSet<i64>,
    /// Whether its first commit came while the program looked on: then commits move.
    new: bool,
}

impl Part {
    /// Records that the group can consume now: up to the last stable offset, and not those that are gone.
    fn reachable(&self, log: &Log) -> Option<i64> {
        let (committed, bounds) = (self.committed?, log.bounds?);
        let from = committed.max(bounds.start);
        let blank = self
            .next
            .as_ref()
            .filter(|n| n.committed == committed && n.first.is_none() && n.blank_to >= bounds.last_stable);
        Some(if blank.is_some() { 0 } else { (bounds.last_stable - from).max(0) })
    }

    fn status(&self) -> Status {
        match self.window.status() {
            Status::Unknown if self.new => Status::Ok,
            status => status,
        }
    }

    /// Takes a commit; gives what was consumed since the last one.
    fn see(
        &mut self,
        committed: i64,
        log: Option<&Log>,
        members: Option<bool>,
        now: (Duration, Timestamp),
    ) -> i64 {
        let before = self.committed.replace(committed);
        if before != Some(committed) {
            self.moved = Some(now.1);
            self.moves = before.is_some();
        }
        self.consumed.see(committed, now.0);
        if let Some(lag) = log.and_then(|log| self.reachable(log)) {
            self.window.push(Point { at: now.1, committed, lag, members });
        }
        before.map_or(0, |before| (committed - before).max(0))
    }

    /// How old the first record is that was not consumed, in seconds, and what that rests on.
    fn age(&self, log: &Log, now: (Duration, Timestamp)) -> Option<(f64, &'static str)> {
        let committed = self.committed?;
        let from = committed.max(log.bounds?.start);
        let since = |at: Timestamp| now.1.since(at).max(0) as f64 / 1000.0;
        if self.reachable(log)? == 0 {
            return Some((0.0, "observed"));
        }
        if let Some(at) = log.ends.appended(from) {
            return Some((since(at), "observed"));
        }
        let next = self.next.as_ref().filter(|n| {
            n.committed == committed || (n.committed < committed && now.0.saturating_sub(n.at) < AGE_HOLDS)
        })?;
        let (at, kind) = next.first?.time?;
        let basis = match kind {
            TimeKind::Create => "create_time",
            TimeKind::LogAppend => "log_append_time",
        };
        Some((since(at), basis))
    }

    /// The range to be read where the age of its lag, or whether there is any, cannot be told otherwise; and when
    /// that was asked for last.
    fn wish(&self, log: &Log) -> Option<(i64, i64, Option<Duration>)> {
        let (committed, bounds) = (self.committed?, log.bounds?);
        let lag = self.reachable(log)?;
        if lag == 0 {
            return None;
        }
        let known = self.next.as_ref().is_some_and(|n| {
            n.committed == committed && (n.first.is_some() || n.stable == bounds.last_stable)
        });
        let doubtful = lag <= MARKERS && self.window.still() >= STILL;
        let from = committed.max(bounds.start);
        let stalled = self.window.status() == Status::Stall;
        let needed = !known && (doubtful || stalled || log.ends.appended(from).is_none());
        needed.then(|| (from, bounds.last_stable.min(from + super::sips::AHEAD), self.asked))
    }
}

/// One group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub summary: GroupSummary,
    members: Option<Vec<Member>>,
    error: Option<String>,
    parts: BTreeMap<Name, BTreeMap<i32, Part>>,
    latency: Sliding,
    counts: BTreeMap<Name, LatencyCounts>,
    pub errors: Errors,
    trend: Trend,
    /// Consumed since the errors were last counted.
    consumed: i64,
    /// Whether it was seen with members, or moving.
    pub alive: bool,
    /// Whether its commits were looked at before.
    looked: bool,
}

/// A partition at which a group is stuck, for "needs attention".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub shard: Shard,
    /// The record before which it stands.
    pub offset: i64,
    pub lag: i64,
    pub since: Option<Timestamp>,
    /// Whether other partitions of the topic move: then it is this record that stops it.
    pub alone: bool,
}

/// The logs of a topic's partitions, where they are known.
pub(super) type Logs<'a> = &'a dyn Fn(&Name) -> Option<&'a BTreeMap<i32, Log>>;

/// A partition of a group, with its log where that is known.
struct Seat<'a> {
    topic: &'a Name,
    partition: i32,
    part: &'a Part,
    log: Option<&'a Log>,
}

impl Seat<'_> {
    fn shard(&self) -> Shard {
        Shard::new(Name::clone(self.topic), self.partition)
    }
}

impl Group {
    pub fn new(summary: GroupSummary) -> Self {
        Self {
            summary,
            members: None,
            error: None,
            parts: BTreeMap::new(),
            latency: Sliding::default(),
            counts: BTreeMap::new(),
            errors: Errors::default(),
            trend: Trend::default(),
            consumed: 0,
            alive: false,
            looked: false,
        }
    }

    /// Takes its members; a right that is missing leaves them unknown.
    pub fn describe(&mut self, described: Result<Described, BrokerError>) {
        match described {
            Ok(group) => {
                self.alive |= !group.members.is_empty();
                self.summary = group.summary;
                self.members = Some(group.members);
            }
            Err(e) => {
                self.members = None;
                self.error = Some(e.to_string());
            }
        }
    }

    /// Takes its commits. `restarted` says which partitions are others than before.
    pub fn commit(
        &mut self,
        committed: Result<Committed, BrokerError>,
        logs: Logs<'_>,
        restarted: &BTreeSet<Shard>,
        now: (Duration, Timestamp),
    ) {
        let committed = match committed {
            Ok(committed) => committed,
            Err(e) => {
                self.error = Some(e.to_string());
                self.parts.clear();
                return;
            }
        };
        let there = self.members.as_ref().map(|m| !m.is_empty());
        let mut before = std::mem::take(&mut self.parts);
        for of_topic in committed.chunk_by(|(a, _), (b, _)| a.topic == b.topic) {
            let Some((Shard { topic, .. }, _)) = of_topic.first() else { continue };
            let logs = logs(topic);
            let known = before.entry(Name::clone(topic)).or_default();
            let parts = self.parts.entry(Name::clone(topic)).or_default();
            for (shard, offset) in of_topic {
                let known = known.remove(&shard.partition).filter(|_| !restarted.contains(shard));
                let mut part = known.unwrap_or_default();
                part.new |= self.looked && part.committed.is_none();
                let log = logs.and_then(|logs| logs.get(&shard.partition));
                let consumed = part.see(*offset, log, there, now);
                self.consumed += consumed;
                self.alive |= consumed > 0;
                parts.insert(shard.partition, part);
            }
        }
        self.looked = true;
        // Where no commit is, or not any more, nothing is known but that it belongs to the group.
        for shard in self.members.iter().flatten().flat_map(|m| m.assigned.iter()) {
            let parts = self.parts.entry(Name::clone(&shard.topic)).or_default();
            parts.entry(shard.partition).or_default();
        }
    }

    /// Its partitions.
    fn seats<'a, 'l: 'a>(&'a self, logs: Logs<'l>) -> impl Iterator<Item = Seat<'a>> {
        self.parts.iter().flat_map(move |(topic, parts)| {
            let logs = logs(topic);
            let log = move |partition| logs.and_then(|logs| logs.get(partition));
            parts.iter().map(move |(p, part)| Seat { topic, partition: *p, part, log: log(p) })
        })
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.values().flat_map(BTreeMap::values)
    }

    fn part_mut(&mut self, shard: &Shard) -> Option<&mut Part> {
        self.parts.get_mut(&shard.topic)?.get_mut(&shard.partition)
    }

    /// Forgets why something could not be had; called before a look's answers are taken.
    pub fn clear_error(&mut self) {
        self.error = None;
    }

    /// Partitions with commits.
    pub fn committed(&self) -> impl Iterator<Item = Shard> {
        let of_topic = |(topic, parts): (_, &BTreeMap<i32, Part>)| {
            let committed = parts.iter().filter(|(_, part)| part.committed.is_some());
            committed.map(|(p, _)| Shard::new(Name::clone(topic), *p)).collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(of_topic)
    }

    /// Partitions with commits or assignments, by topic.
    pub fn partitions(&self) -> impl Iterator<Item = (&Name, impl Iterator<Item = i32>)> {
        self.parts.iter().map(|(topic, parts)| (topic, parts.keys().copied()))
    }

    /// Counts its errors: `arrived` letters since the program looks on.
    pub fn count_errors(&mut self, at: Duration, arrived: u64) {
        self.errors.see(at, arrived, std::mem::take(&mut self.consumed) as f64);
    }

    /// Ranges to be read for it, and when each was asked for last.
    pub fn wishes(&self, logs: Logs<'_>) -> Vec<(Option<Duration>, Shard, i64, i64)> {
        let wish = |seat: Seat<'_>| {
            let (from, until, asked) = seat.part.wish(seat.log?)?;
            Some((asked, seat.shard(), from, until))
        };
        self.seats(logs).filter_map(wish).collect()
    }

    /// Notes that a range was asked for.
    pub fn asked(&mut self, shard: &Shard, from: i64, at: Duration) {
        if let Some(part) = self.part_mut(shard)
            && part.committed.is_some_and(|c| c <= from)
        {
            part.asked = Some(at);
        }
    }

    /// Takes what lies at an offset of a partition.
    pub fn take_next(
        &mut self,
        shard: &Shard,
        from: i64,
        first: Option<Trace>,
        blank_to: i64,
        log: &Log,
        at: Duration,
    ) {
        let Some(part) = self.part_mut(shard) else { return };
        let (Some(committed), Some(bounds)) = (part.committed, log.bounds) else { return };
        if committed.max(bounds.start) == from {
            part.next = Some(Box::new(Next { committed, stable: bounds.last_stable, at, first, blank_to }));
        }
    }

    /// Counts the latency of records that its commits have passed.
    pub fn judge(&mut self, logs: Logs<'_>) {
        for (topic, parts) in &mut self.parts {
            let Some(logs) = logs(topic) else { continue };
            for (partition, part) in parts {
                let (Some(committed), Some(log)) = (part.committed, logs.get(partition)) else { continue };
                for (offset, trace) in log.traces.range(..committed) {
                    let Some(event_time) = trace.event_time else { continue };
                    let Some(seen) = part.window.passed(*offset) else { continue };
                    if part.judged.insert(*offset) {
                        let millis = seen.since(event_time);
                        self.latency.add(seen, millis);
                        self.counts.entry(Name::clone(topic)).or_default().add(millis);
                    }
                }
                if let Some((first, _)) = log.traces.first_key_value() {
                    part.judged = part.judged.split_off(first);
                }
            }
        }
    }

    /// Its latencies of the last minute.
    pub fn latencies(&self) -> &Sliding {
        &self.latency
    }

    /// Notes its figures of now.
    pub fn note(&mut self, logs: Logs<'_>, now: Timestamp) {
        self.latency.forget(now);
        let lag = self.lag(logs).0;
        self.trend.push(lag.map(|n| n as f64));
    }

    /// The sum of the lags that are known, and how many are not.
    pub fn lag(&self, logs: Logs<'_>) -> (Option<u64>, usize) {
        let lags = self.seats(logs).map(|seat| lag(seat.part, seat.log));
        let (mut sum, mut unknown) = (None, 0);
        for lag in lags {
            match lag {
                Some(lag) => *sum.get_or_insert(0) += lag,
                None => unknown += 1,
            }
        }
        (sum, unknown)
    }

    /// Partitions at which it is stuck, the longest queue first.
    pub fn stuck(&self, logs: Logs<'_>) -> Vec<Stuck> {
        let lately = |part: &Part| part.window.moved() && part.window.still() <= STILL;
        let moving: BTreeSet<&Name> = self
            .parts
            .iter()
            .filter(|(_, parts)| parts.values().any(lately))
            .map(|(topic, _)| topic)
            .collect();
        let mut stuck: Vec<Stuck> = self
            .seats(logs)
            .filter(|seat| seat.part.window.status() == Status::Stall)
            .filter_map(|seat| {
                let part = seat.part;
                let first =
                    part.next.as_ref().filter(|n| Some(n.committed) == part.committed).and_then(|n| n.first);
                Some(Stuck {
                    shard: seat.shard(),
                    offset: first.map(|t| t.offset).or(part.committed)?,
                    lag: part.reachable(seat.log?)?,
                    since: part.moved,
                    alone: moving.contains(seat.topic),
                })
            })
            .collect();
        stuck.sort_by_key(|s| std::cmp::Reverse(s.lag));
        stuck
    }

    /// When its last commit was seen to move, over all partitions.
    pub fn moved(&self) -> Option<Timestamp> {
        self.parts().filter_map(|p| p.moved).max()
    }

    /// Its row. `interval` is the time between two looks.
    pub fn row(&self, logs: Logs<'_>, now: (Duration, Timestamp), interval: Option<f64>) -> GroupRow {
        let members = self.members.iter().flatten();
        let owned = members.flat_map(|m| m.assigned.iter().map(move |s| ((&s.topic, s.partition), m)));
        let owners: HashMap<(&Name, i32), &Member> = owned.collect();
        let owner = |seat: &Seat<'_>| owners.get(&(seat.topic, seat.partition)).copied();
        let mut detail: Vec<GroupPartitionRow> =
            self.seats(logs).map(|seat| partition_row(&seat, owner(&seat), now)).collect();
        let (lag, lag_unknown_partitions) = self.lag(logs);
        let consumed = self.parts().filter_map(|p| p.consumed.per_second()).reduce(|a, b| a + b);
        let produced = self
            .seats(logs)
            .filter(|seat| seat.part.committed.is_some())
            .filter_map(|seat| seat.log?.rate.per_second())
            .reduce(|a, b| a + b);
        // Commits in steps need two of them, or a whole window, before their rate can be held against another.
        let settled = self.parts().any(|p| p.window.is_settled());
        let (drain_seconds, falls_behind) =
            drain(lag, consumed.filter(|_| settled || lag == Some(0)), produced);
        let mut latency_ms = latency::percentiles([&self.latency]);
        let steps: Vec<f64> = self.parts().filter_map(|p| p.window.commit_interval()).collect();
        let commit_interval = (!steps.is_empty()).then(|| steps.iter().sum::<f64>() / steps.len() as f64);
        latency_ms.resolution =
            commit_interval.zip(interval).map(|(commits, looks)| commits + looks * 1000.0);
        let lag_seconds = detail.iter().filter_map(|p| p.lag_seconds).reduce(f64::max);
        let status = worst(detail.iter().filter(|p| p.committed.is_some()).map(|p| p.status));
        detail.sort_by(|a, b| (b.lag, &a.topic, a.partition).cmp(&(a.lag, &b.topic, b.partition)));
        GroupRow {
            group: Name::clone(&self.summary.group),
            kind: self.summary.kind.as_str(),
            unknown_reason: self.summary.unknown_reason.clone().or_else(|| self.error.clone()),
            state: self.summary.state.clone(),
            members: self.members.as_ref().map(Vec::len),
            topics: self.parts.keys().map(Name::clone).collect(),
            lag,
            lag_unknown_partitions,
            lag_seconds,
            consumed_per_second: consumed,
            drain_seconds,
            falls_behind,
            status,
            latency_ms,
            detail: detail.into(),
            latency_counts: self.counts.iter().map(|(t, c)| (Name::clone(t), c.clone())).collect(),
            member_rows: self.members.iter().flatten().map(member_row).collect(),
            trend: self.trend.values(),
            error_percent: self.errors.counts().and_then(|(letters, of)| errors::percent(letters, of)),
        }
    }
}

/// end − committed; `None` without a commit or an end.
fn lag(part: &Part, log: Option<&Log>) -> Option<u64> {
    Some((log?.bounds?.end - part.committed?).max(0) as u64)
}

fn partition_row(seat: &Seat<'_>, owner: Option<&Member>, now: (Duration, Timestamp)) -> GroupPartitionRow {
    let (part, log) = (seat.part, seat.log);
    let bounds = log.and_then(|l| l.bounds);
    let age = log.and_then(|log| part.age(log, now));
    let still = part.moved.map(|at| now.1.since(at).max(0) as f64 / 1000.0);
    let lost = part.committed.zip(bounds).map_or(0, |(committed, b)| (b.start - committed).max(0));
    GroupPartitionRow {
        topic: Name::clone(seat.topic),
        partition: seat.partition,
        committed: part.committed,
        start_offset: bounds.map(|b| b.start),
        end_offset: bounds.map(|b| b.end),
        last_stable_offset: bounds.filter(|b| b.last_stable != b.end).map(|b| b.last_stable),
        lag: lag(part, log),
        lag_seconds: age.map(|(seconds, _)| seconds),
        lag_seconds_basis: age.map(|(_, basis)| basis),
        commit_age_seconds: still.filter(|_| part.moves),
        commit_still_seconds: still.filter(|_| !part.moves),
        status: part.status(),
        member: owner.map(|m| Name::clone(&m.id)),
        client_id: owner.map(|m| Arc::from(m.client_id.as_str())),
        host: owner.map(|m| Arc::from(m.host.as_str())),
        lost: lost as u64,
    }
}

/// The worst status; one that is fine says nothing while others are not known.
fn worst(of: impl Iterator<Item = Status> + Clone) -> Status {
    let worst = of.clone().max().unwrap_or(Status::Unknown);
    let unknown = of.clone().any(|s| s == Status::Unknown);
    if worst == Status::Ok && unknown { Status::Unknown } else { worst }
}

/// Seconds until nothing is left, and whether that never comes.
fn drain(lag: Option<u64>, consumed: Option<f64>, produced: Option<f64>) -> (Option<f64>, bool) {
    let (Some(lag), Some(consumed), Some(produced)) = (lag, consumed, produced) else { return (None, false) };
    if lag == 0 {
        return (Some(0.0), false);
    }
    let gain = consumed - produced;
    ((gain > 0.0).then(|| lag as f64 / gain), consumed < produced * BEHIND)
}

fn member_row(member: &Member) -> MemberRow {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for shard in &member.assigned {
        by_topic.entry(&shard.topic).or_default().push(shard.partition);
    }
    let text = |(topic, mut partitions): (&str, Vec<i32>)| {
        partitions.sort_unstable();
        let list: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}[{}]", list.join(","))
    };
    MemberRow {
        member: Name::clone(&member.id),
        client_id: member.client_id.clone(),
        host: member.host.clone(),
        assigned: by_topic.into_iter().map(text).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Bounds, ErrorKind, GroupKind};

    fn group(members: &[(&str, &[i32])]) -> Group {
        let summary = GroupSummary {
            group: "email".into(),
            kind: GroupKind::Classic,
            state: Some("stable".into()),
            unknown_reason: None,
        };
        let member = |(id, partitions): &(&str, &[i32])| Member {
            id: (*id).into(),
            client_id: "mailer".into(),
            host: "/10.0.0.1".into(),
            assigned: partitions.iter().map(|p| Shard::new("orders", *p)).collect(),
        };
        let mut group = Group::new(summary.clone());
        group.describe(Ok(Described {
            summary,
            coordinator: None,
            members: members.iter().map(member).collect(),
        }));
        group
    }

    fn when(seconds: u64) -> (Duration, Timestamp) {
        (Duration::from_secs(seconds), Timestamp(1_000_000 + seconds as i64 * 1000))
    }

    /// Two partitions as they were after looks at their ends, `(second, end)`.
    fn log(looks: &[(u64, i64)]) -> BTreeMap<i32, Log> {
        let mut log = Log::default();
        for (second, end) in looks {
            let bounds = Bounds { start: 0, end: *end, last_stable: *end };
            log.see(Ok(bounds), when(*second).0, when(*second).1);
        }
        (0..2).map(|p| (p, log.clone())).collect()
    }

    fn commit(group: &mut Group, log: &BTreeMap<i32, Log>, offsets: &[(i32, i64)], second: u64) {
        let committed = offsets.iter().map(|(p, o)| (Shard::new("orders", *p), *o)).collect();
        group.commit(Ok(committed), &|_| Some(log), &BTreeSet::new(), when(second));
    }

    fn trace(offset: i64, event_time: Option<i64>) -> Trace {
        let event_time = event_time.map(Timestamp);
        Trace { offset, time: event_time.map(|t| (t, TimeKind::Create)), event_time, size: 10 }
    }

    #[test]
    fn a_partition_without_a_commit_has_no_lag_and_is_counted_as_unknown() {
        let log = log(&[(0, 100)]);
        let mut group = group(&[("m1", &[0, 1])]);
        commit(&mut group, &log, &[(0, 40)], 0);
        let row = group.row(&|_| Some(&log), when(0), None);
        assert_eq!((row.lag, row.lag_unknown_partitions), (Some(60), 1));
        assert_eq!((row.detail[1].committed, row.detail[1].lag, row.detail[1].partition), (None, None, 1));
        let nothing = self::group(&[]).row(&|_| Some(&log), when(0), None);
        assert_eq!((nothing.lag, nothing.lag_seconds, nothing.consumed_per_second), (None, None, None));
    }

    #[test]
    fn lag_in_time_is_observed_where_the_log_was_seen_to_grow_and_else_comes_from_the_record() {
        let log = log(&[(0, 100), (2, 120)]);
        let mut group = group(&[]);
        commit(&mut group, &log, &[(0, 110)], 4);
        let row = group.row(&|_| Some(&log), when(11), None);
        assert_eq!(
            (row.detail[0].lag_seconds, row.detail[0].lag_seconds_basis),
            (Some(10.0), Some("observed"))
        );
        commit(&mut group, &log, &[(0, 50)], 12);
        let row = group.row(&|_| Some(&log), when(12), None);
        assert_eq!((row.detail[0].lag_seconds, row.detail[0].lag_seconds_basis), (None, None));
        let logs: Logs<'_> = &|_| Some(&log);
        assert_eq!(group.wishes(logs), [(None, Shard::new("orders", 0), 50, 66)]);
        let first = trace(50, Some(when(0).1.as_millis() - 30_000));
        group.take_next(&Shard::new("orders", 0), 50, Some(first), 51, &log[&0], when(12).0);
        let row = group.row(&|_| Some(&log), when(12), None);
        assert_eq!((row.lag_seconds, row.detail[0].lag_seconds_basis), (Some(42.0), Some("create_time")));
        assert_eq!(group.wishes(logs), []);
    }

    #[test]
    fn only_markers_before_the_end_are_no_lag_in_time_and_no_stall() {
        let log = log(&[(0, 100)]);
        let mut group = group(&[("m1", &[0])]);
        for second in 0..12 {
            commit(&mut group, &log, &[(0, 99)], second);
        }
        let logs: Logs<'_> = &|_| Some(&log);
        assert_eq!(group.row(logs, when(12), None).status, Status::Stall);
        assert_eq!(group.wishes(logs).len(), 1);
        group.take_next(&Shard::new("orders", 0), 99, None, 100, &log[&0], when(12).0);
        commit(&mut group, &log, &[(0, 99)], 13);
        let row = group.row(logs, when(13), None);
        assert_eq!((row.lag, row.lag_seconds, row.status), (Some(1), Some(0.0), Status::Ok));
    }

    #[test]
    fn latency_is_counted_once_for_each_record_that_a_commit_was_seen_to_pass() {
        let mut log = log(&[(0, 100)]);
        let event = when(3).1.as_millis() - 1500;
        for (offset, time) in [(40, Some(event)), (45, Some(event)), (46, None), (60, Some(event))] {
            log.get_mut(&0).unwrap().remember(trace(offset, time));
        }
        let mut group = group(&[]);
        commit(&mut group, &log, &[(0, 42)], 1);
        group.judge(&|_| Some(&log));
        assert_eq!(group.row(&|_| Some(&log), when(1), None).latency_ms.samples, 0);
        commit(&mut group, &log, &[(0, 50)], 3);
        group.judge(&|_| Some(&log));
        group.judge(&|_| Some(&log));
        let latency = group.row(&|_| Some(&log), when(3), None).latency_ms;
        // Offset 40 was passed before the first look, 46 was written again, 60 is not passed.
        assert_eq!((latency.samples, latency.skewed), (1, 0));
        assert!((latency.p50.unwrap() - 1500.0).abs() < 20.0);
    }

    #[test]
    fn a_record_that_stops_its_partition_while_others_move_is_named() {
        let log = log(&[(0, 100)]);
        let mut group = group(&[("m1", &[0, 1])]);
        for second in 0..12_i64 {
            commit(&mut group, &log, &[(0, 48), (1, second)], second as u64);
        }
        let logs: Logs<'_> = &|_| Some(&log);
        let stuck = group.stuck(logs);
        assert_eq!(stuck.len(), 1);
        assert_eq!((stuck[0].shard.partition, stuck[0].offset, stuck[0].alone), (0, 48, true));
        assert_eq!(stuck[0].since, Some(when(0).1));
    }

    #[test]
    fn a_group_is_fine_only_if_all_its_partitions_are_known_to_be() {
        use Status::{Ok, Stall, Unknown, Warn};
        let worst = |of: &[Status]| worst(of.iter().copied());
        assert_eq!(worst(&[Ok, Warn, Stall, Unknown]), Stall);
        assert_eq!((worst(&[Ok, Unknown]), worst(&[Ok, Ok]), worst(&[])), (Unknown, Ok, Unknown));
    }

    #[test]
    fn time_to_drain_is_never_where_the_group_falls_behind() {
        assert_eq!(drain(Some(100), Some(30.0), Some(10.0)), (Some(5.0), false));
        assert_eq!(drain(Some(100), Some(10.0), Some(30.0)), (None, true));
        assert_eq!(drain(Some(100), Some(10.0), Some(10.0)), (None, false));
        assert_eq!(drain(Some(0), Some(0.0), Some(0.0)), (Some(0.0), false));
        assert_eq!(drain(None, Some(1.0), Some(0.0)), (None, false));
        assert_eq!(drain(Some(5), None, Some(0.0)), (None, false));
    }

    #[test]
    fn a_group_that_may_not_be_described_keeps_its_row_with_the_reason() {
        let log = log(&[(0, 100)]);
        let mut group = group(&[("m1", &[0])]);
        group.describe(Err(BrokerError::new(ErrorKind::Authorisation, "describe email", "not allowed")));
        commit(&mut group, &log, &[(0, 40)], 0);
        let row = group.row(&|_| Some(&log), when(0), None);
        assert_eq!((row.members, row.lag), (None, Some(60)));
        assert_eq!(row.unknown_reason.as_deref(), Some("describe email: not allowed"));
    }

    #[test]
    fn records_that_retention_took_before_they_were_consumed_are_counted() {
        let mut log = log(&[]);
        let bounds = Bounds { start: 70, end: 100, last_stable: 90 };
        log.get_mut(&0).unwrap().see(Ok(bounds), when(0).0, when(0).1);
        let mut group = group(&[]);
        commit(&mut group, &log, &[(0, 40)], 0);
        let row = group.row(&|_| Some(&log), when(0), None);
        assert_eq!((row.detail[0].lost, row.detail[0].last_stable_offset), (30, Some(90)));
    }

    #[test]
    fn the_partitions_of_a_member_are_written_by_topic() {
        let mut member = Member {
            id: "m".into(),
            client_id: "c".into(),
            host: "h".into(),
            assigned: vec![Shard::new("b", 3), Shard::new("a", 0), Shard::new("b", 0)],
        };
        assert_eq!(member_row(&member).assigned, ["a[0]", "b[0,3]"]);
        member.assigned.clear();
        assert!(member_row(&member).assigned.is_empty());
    }
}
