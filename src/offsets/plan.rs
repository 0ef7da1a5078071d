//! Makes a plan: which offsets would become which, and which records that skips or shows again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::document::{Change, OffsetRow, OffsetsPlan, OffsetsRequest, Stretch};
use super::target::{Target, TopicChoice};
use super::times;
use crate::broker::{Bounds, BrokerError, Committed, ErrorKind, Group, GroupKind, Groups, Name, Shard};
use crate::config::nearest;
use crate::context::{Cx, Progress, Sink};
use crate::text::shell::quoted;
use crate::text::{Fault, units};

/// What is known of one partition.
struct Part {
    shard: Shard,
    old: Option<i64>,
    bounds: Result<Bounds, BrokerError>,
}

/// Makes a plan. It reads alone; a group with members is refused.
pub async fn plan(
    cx: &Cx,
    request: &OffsetsRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<OffsetsPlan, Fault> {
    tokio::select! {
        plan = make(cx, request, sink, cancel) => plan,
        () = cancel.cancelled() => Err(Fault::cancelled()),
    }
}

async fn make(
    cx: &Cx,
    request: &OffsetsRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<OffsetsPlan, Fault> {
    let tell = |what: &str| sink.progress(Progress { what: what.to_owned(), ..Progress::default() });
    tell("looking at the group");
    let port = groups(cx)?;
    let described = group(cx, port, request).await?;
    let committed = committed(port, &request.group).await?;
    let cluster = cx.broker.catalog().cluster().await?;
    let shards = chosen(cx, request, &committed).await?;
    tell("reading offsets");
    let old: HashMap<Shard, i64> = committed.into_iter().collect();
    let bounds = cx.broker.catalog().bounds(&shards).await?;
    let parts: Vec<Part> = shards
        .into_iter()
        .zip(bounds)
        .map(|(shard, bounds)| Part { old: old.get(&shard).copied(), shard, bounds })
        .collect();
    let mut warnings = Vec::new();
    let mut rows = match &request.change {
        Change::Reset(target) => reset(cx, port, request, target, &parts, &mut warnings).await?,
        Change::DeleteOffsets | Change::DeleteGroup => parts.iter().map(delete).collect(),
    };
    tell("reading when the records were written");
    date(cx, &mut rows, cancel).await;
    if request.change.destroys() {
        warnings.extend(without_commit(&rows));
    }
    if described.is_none() {
        warnings.push(format!("there is no group {} yet: it is made, with these offsets", request.group));
    }
    let sum = |of: fn(&OffsetRow) -> Option<Stretch>| {
        rows.iter().filter(|r| r.changes()).filter_map(of).fold(Stretch::default(), Stretch::and)
    };
    Ok(OffsetsPlan {
        cluster_id: cluster.id,
        group: Arc::clone(&request.group),
        kind: described.as_ref().map_or(GroupKind::Unknown, |g| g.summary.kind).as_str(),
        state: described.and_then(|g| g.summary.state),
        change: request.change.as_str(),
        offsets: match &request.change {
            Change::Reset(target) => Some(target.to_string()),
            _ => None,
        },
        count: rows.iter().filter(|r| r.changes()).count() as u64,
        errors: rows.iter().filter(|r| r.error.is_some()).count() as u64,
        skipped: sum(|r| r.skipped),
        seen_again: sum(|r| r.seen_again),
        warnings,
        undo: undo(request, &rows),
        partitions: rows,
        request: request.clone(),
    })
}

pub(super) fn groups(cx: &Cx) -> Result<&dyn Groups, Fault> {
    cx.broker.groups().ok_or_else(|| Fault::refused("unsupported", "this broker has no consumer groups"))
}

/// The group, which has no members; `None` where it is to be made.
pub(super) async fn group(
    cx: &Cx,
    port: &dyn Groups,
    request: &OffsetsRequest,
) -> Result<Option<Group>, Fault> {
    let name = &request.group;
    let described = match port.describe(std::slice::from_ref(name)).await?.pop() {
        Some(Ok(group)) => group,
        Some(Err(e)) if e.kind == ErrorKind::UnknownGroup => {
            if request.create && matches!(request.change, Change::Reset(_)) {
                return Ok(None);
            }
            return Err(unknown(cx, port, name).await);
        }
        Some(Err(e)) => return Err(e.into()),
        None => return Err(unknown(cx, port, name).await),
    };
    if !described.members.is_empty() {
        return Err(active(&described));
    }
    if described.summary.state.is_none() {
        let why = described.summary.unknown_reason.unwrap_or_default();
        return Err(Fault::refused("unsupported", format!("the offsets of group {name} cannot be moved"))
            .why(why)
            .hint("kafka-share-groups.sh and kafka-streams-groups.sh know these groups"));
    }
    Ok(Some(described))
}

async fn unknown(cx: &Cx, port: &dyn Groups, name: &Name) -> Fault {
    let fault = Fault::failed(ErrorKind::UnknownGroup.code(), format!("there is no group {name}"))
        .why(format!("profile {} names none", cx.profile.name));
    let known = port.list().await.unwrap_or_default();
    match nearest(name, known.iter().map(|g| &*g.group)) {
        Some(near) => {
            fault.hint(format!("did you mean {near}? A group that does not exist yet is made with --create"))
        }
        None => fault.hint(
            "`redrive groups list` shows all groups; one that does not exist yet is made with --create",
        ),
    }
}

/// Members listed in a refusal.
const MOST_NAMED: usize = 20;

fn active(group: &Group) -> Fault {
    let count = group.members.len();
    let member = |m: &crate::broker::Member| format!("{} (client {}, host {})", m.id, m.client_id, m.host);
    let mut names: Vec<String> = group.members.iter().take(MOST_NAMED).map(member).collect();
    if count > MOST_NAMED {
        names.push(format!("and {} more", count - MOST_NAMED));
    }
    let what = format!(
        "group {} has {} {}",
        group.summary.group,
        units::count(count as u64),
        if count == 1 { "member" } else { "members" }
    );
    Fault::refused(ErrorKind::GroupActive.code(), what)
        .why(names.join("; "))
        .hint("stop its consumers first: they would go on where they are, and commit over what was set")
}

/// Its committed offsets.
pub(super) async fn committed(port: &dyn Groups, name: &Name) -> Result<Committed, Fault> {
    match port.committed(std::slice::from_ref(name)).await?.pop() {
        Some(committed) => Ok(committed?),
        None => Ok(Vec::new()),
    }
}

/// The partitions that are meant, in order.
async fn chosen(cx: &Cx, request: &OffsetsRequest, committed: &Committed) -> Result<Vec<Shard>, Fault> {
    if request.topics.is_empty() {
        let mut all: Vec<Shard> = committed.iter().map(|(shard, _)| shard.clone()).collect();
        all.sort_unstable();
        return Ok(all);
    }
    let names: BTreeSet<Name> = request.topics.iter().map(|c| Name::clone(&c.topic)).collect();
    let names: Vec<Name> = names.into_iter().collect();
    let infos = cx.broker.catalog().topics(Some(&names)).await?;
    let mut out: BTreeSet<Shard> = BTreeSet::new();
    for choice in &request.topics {
        let Some(info) = infos.iter().find(|i| i.name == choice.topic) else {
            return Err(cx.unknown_topic(&choice.topic).await);
        };
        if let Some(error) = &info.error {
            return Err(error.clone().into());
        }
        let all: BTreeSet<i32> = info.partitions.iter().map(|p| p.partition).collect();
        out.extend(meant(request, choice, &all)?.into_iter().map(|p| Shard::new(Name::clone(&info.name), p)));
    }
    if request.change == Change::DeleteOffsets {
        let with: BTreeSet<&Shard> = committed.iter().map(|(shard, _)| shard).collect();
        // Where none is named, those without an offset are of no interest.
        let named = |shard: &Shard| {
            request.topics.iter().any(|c| c.topic == shard.topic && c.partitions.contains(&shard.partition))
        };
        out.retain(|shard| with.contains(shard) || named(shard));
    }
    Ok(out.into_iter().collect())
}

fn meant(request: &OffsetsRequest, choice: &TopicChoice, all: &BTreeSet<i32>) -> Result<Vec<i32>, Fault> {
    let named: Vec<i32> = match &request.change {
        Change::Reset(Target::Each(offsets)) => {
            let fits = |p: &&i32| choice.partitions.is_empty() || choice.partitions.contains(p);
            offsets.keys().filter(fits).copied().collect()
        }
        _ => choice.partitions.clone(),
    };
    if let Some(missing) = named.iter().find(|p| !all.contains(p)) {
        let last = all.len().saturating_sub(1);
        return Err(Fault::failed(
            ErrorKind::UnknownPartition.code(),
            format!("topic {} has no partition {missing}", choice.topic),
        )
        .why(format!("its partitions are 0 to {last}")));
    }
    if named.is_empty() { Ok(all.iter().copied().collect()) } else { Ok(named) }
}

/// Where the partitions are to stand.
async fn reset(
    cx: &Cx,
    port: &dyn Groups,
    request: &OffsetsRequest,
    target: &Target,
    parts: &[Part],
    warnings: &mut Vec<String>,
) -> Result<Vec<OffsetRow>, Fault> {
    let mut found: HashMap<&Shard, Result<Option<i64>, String>> = HashMap::new();
    match target {
        Target::Time(at) => {
            let of: Vec<_> = parts.iter().map(|p| (p.shard.clone(), *at)).collect();
            let answers = cx.broker.catalog().offsets_at(&of).await?;
            for (part, answer) in parts.iter().zip(answers) {
                found.insert(&part.shard, answer.map_err(|e| e.to_string()));
            }
        }
        Target::Group(other) => {
            if *other == request.group {
                return Err(Fault::usage("usage", "a group cannot be moved to where it stands itself")
                    .hint("name another group"));
            }
            if let Some(Err(e)) = port.describe(std::slice::from_ref(other)).await?.pop() {
                if e.kind == ErrorKind::UnknownGroup {
                    return Err(unknown(cx, port, other).await);
                }
                return Err(e.into());
            }
            let there: BTreeMap<Shard, i64> = committed(port, other).await?.into_iter().collect();
            for part in parts {
                let at = there.get(&part.shard).copied();
                let none = || format!("group {other} has no committed offset here");
                found.insert(&part.shard, at.ok_or_else(none).map(Some));
            }
        }
        _ => {}
    }
    if *target == Target::Latest {
        let held =
            parts.iter().filter_map(|p| p.bounds.as_ref().ok()).filter(|b| b.last_stable < b.end).count();
        if held > 0 {
            warnings.push(format!(
                "an open transaction holds the end of {held} of these partitions: its records are passed over"
            ));
        }
    }
    Ok(parts.iter().map(|part| row(part, wanted(target, part, found.get(&part.shard)))).collect())
}

/// The offset that is asked for a partition, and what is to be said of it.
fn wanted(
    target: &Target,
    part: &Part,
    found: Option<&Result<Option<i64>, String>>,
) -> Result<(i64, Option<String>), String> {
    let bounds = part.bounds.as_ref().map_err(ToString::to_string)?;
    let plain = |offset: i64| Ok((offset, None));
    match (target, found) {
        (Target::Earliest, _) => plain(bounds.start),
        (Target::Latest, _) => plain(bounds.end),
        (Target::Each(offsets), _) => match offsets.get(&part.shard.partition) {
            Some(offset) => plain(*offset),
            None => Err("no offset is given for it".to_owned()),
        },
        (Target::Shift(by), _) => match part.old {
            Some(old) => plain(old.saturating_add(*by)),
            None => Err("it has no committed offset to be shifted".to_owned()),
        },
        (Target::Offset(offset), _) | (_, Some(Ok(Some(offset)))) => plain(*offset),
        (_, Some(Ok(None))) => Ok((bounds.end, Some("no record is so young: the end".to_owned()))),
        (_, Some(Err(why))) => Err(why.clone()),
        (_, None) => Err("the broker gave no answer for it".to_owned()),
    }
}

/// The row of a partition that is to stand at an offset; one outside of the log is moved into it, and that is said.
fn row(part: &Part, wanted: Result<(i64, Option<String>), String>) -> OffsetRow {
    let mut row = bare(part);
    let (offset, note) = match (wanted, &part.bounds) {
        (Ok(wanted), Ok(_)) => wanted,
        (Err(why), _) => {
            row.error = Some(why);
            return row;
        }
        (_, Err(error)) => {
            row.error = Some(error.to_string());
            return row;
        }
    };
    row.note = note;
    if let Ok(bounds) = &part.bounds {
        let within = offset.clamp(bounds.start, bounds.end);
        if within != offset {
            let edge = if within == bounds.start { "start" } else { "end" };
            row.note = Some(format!("{} is outside of the log: moved to its {edge}", units::signed(offset)));
        }
        row.new = Some(within);
        if let Some(old) = part.old {
            // Where the group reads next, whatever it committed.
            let stands = old.clamp(bounds.start, bounds.end);
            let stretch = |n: i64| Stretch { records: n.max(0).unsigned_abs(), ..Stretch::default() };
            row.skipped = Some(stretch(within - stands));
            row.seen_again = Some(stretch(stands - within));
        }
    }
    row
}

/// The row of a partition whose offset is deleted.
fn delete(part: &Part) -> OffsetRow {
    let mut row = bare(part);
    if part.old.is_none() {
        row.note = Some("it has no committed offset".to_owned());
    }
    row
}

fn bare(part: &Part) -> OffsetRow {
    let bounds = part.bounds.as_ref().ok();
    OffsetRow {
        topic: Arc::clone(&part.shard.topic),
        partition: part.shard.partition,
        start_offset: bounds.map(|b| b.start),
        end_offset: bounds.map(|b| b.end),
        old: part.old,
        new: None,
        skipped: None,
        seen_again: None,
        note: None,
        error: None,
    }
}

/// What a consumer without a committed offset does, in figures.
fn without_commit(rows: &[OffsetRow]) -> Option<String> {
    let (mut again, mut passed) = (0_u64, 0_u64);
    for row in rows {
        if let (Some(old), Some(start), Some(end)) = (row.old, row.start_offset, row.end_offset) {
            again += (old.min(end) - start).max(0).unsigned_abs();
            passed += (end - old.max(start)).max(0).unsigned_abs();
        }
    }
    rows.iter().any(|r| r.old.is_some()).then(|| {
        format!(
            "without a commit a consumer begins where its auto.offset.reset says: `earliest` shows {} records again, \
             `latest` passes over {}",
            units::count(again),
            units::count(passed)
        )
    })
}

/// Reads when the records were written that are passed over or seen again; the longest stretches first.
async fn date(cx: &Cx, rows: &mut [OffsetRow], cancel: &CancellationToken) {
    let range = |row: &OffsetRow| -> Option<(i64, i64)> {
        let (old, new) = (row.old?.clamp(row.start_offset?, row.end_offset?), row.new?);
        (old != new).then(|| (old.min(new), old.max(new)))
    };
    let mut ranges: Vec<(Shard, (i64, i64))> = rows
        .iter()
        .filter_map(|row| Some((Shard::new(Name::clone(&row.topic), row.partition), range(row)?)))
        .collect();
    ranges.sort_by_key(|(_, (from, to))| std::cmp::Reverse(to - from));
    ranges.truncate(times::MOST);
    let times = times::of(cx, &ranges.into_iter().collect(), cancel).await;
    for row in rows {
        let shard = Shard::new(Name::clone(&row.topic), row.partition);
        let Some((from, to)) = times.get(&shard).copied() else { continue };
        for stretch in [&mut row.skipped, &mut row.seen_again].into_iter().flatten().filter(|s| s.records > 0)
        {
            (stretch.from, stretch.to) = (from, to);
        }
    }
}

/// The command lines that bring the offsets of now back.
fn undo(request: &OffsetsRequest, rows: &[OffsetRow]) -> Vec<String> {
    let group = quoted(&request.group);
    let create = if request.change == Change::DeleteGroup { " --create" } else { "" };
    let mut before: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    let mut without: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.changes()) {
        match row.old {
            Some(old) => {
                before.entry(&row.topic).or_default().insert(row.partition, old);
            }
            None => without.entry(&row.topic).or_default().push(row.partition),
        }
    }
    let reset = before.into_iter().map(|(topic, offsets)| {
        let (topic, each) = (quoted(topic), Target::Each(offsets));
        format!("redrive groups reset {group} --topic {topic} --offsets {each}{create}")
    });
    let delete = without.into_iter().map(|(topic, partitions)| {
        let choice = TopicChoice { topic: topic.into(), partitions };
        format!("redrive groups delete-offsets {group} --topic {}", quoted(&choice.to_string()))
    });
    reset.chain(delete).collect()
}
