//! Executes a plan: compares, tells the audit, changes, tells the audit what became of it.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use super::document::{Change, OffsetRow, OffsetsAnswer, OffsetsPlan, OffsetsRun};
use super::plan::{committed, group, groups};
use crate::broker::{BrokerError, Each, ErrorKind, Name, Shard, Writer};
use crate::context::{Cx, Progress, Sink};
use crate::ledger::audit::{Action, AuditRecord, OffsetChange};
use crate::redrive::audit;
use crate::text::{Fault, units};

/// Partitions that one record of the audit tells: it stays far below the size that a broker takes.
const A_RECORD: usize = 2_000;

/// Executes a plan that was agreed to.
pub async fn apply(
    cx: &Cx,
    run: &OffsetsRun,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<OffsetsAnswer, Fault> {
    let plan = &*run.plan;
    let Some(writer) = cx.broker.writer() else {
        return Err(Fault::refused("read_only", format!("profile {} is read-only", cx.profile.name))
            .hint("nothing can be written with this profile"));
    };
    let tell = |what: &str| sink.progress(Progress { what: what.to_owned(), ..Progress::default() });
    tell("comparing the group with what was shown");
    // Nothing is written yet: up to here it can be cancelled.
    tokio::select! {
        same = compare(cx, plan) => same?,
        () = cancel.cancelled() => return Err(Fault::cancelled()),
    }
    let mut answer = OffsetsAnswer {
        plan: plan.clone(),
        dry_run: false,
        changed: 0,
        audit: None,
        operator: cx.operator.name.clone(),
        reason: run.reason.clone(),
    };
    if !plan.does_something() {
        return Ok(answer);
    }
    tell("writing the audit");
    let id = uuid::Uuid::new_v4().simple().to_string();
    audit::open(cx, writer).await?;
    audit::append(writer, &records(cx, run, &answer.plan, &id, Action::Offsets)).await?;
    answer.audit = Some(id.clone());
    tell("changing the group");
    let changed = change(writer, plan).await;
    let mut stopped = None;
    match changed {
        Ok(each) => {
            let rows = answer.plan.partitions.iter_mut().filter(|row| row.changes());
            for (row, outcome) in rows.zip(each) {
                match outcome {
                    Ok(()) => answer.changed += 1,
                    Err(e) => row.error = Some(e.to_string()),
                }
            }
        }
        Err(fault) => stopped = Some(fault),
    }
    answer.plan.errors = answer.plan.partitions.iter().filter(|row| row.error.is_some()).count() as u64;
    let mut end = records(cx, run, &answer.plan, &id, Action::OffsetsEnd);
    if let Some(fault) = &stopped {
        for record in &mut end {
            record.stopped = Some("error".to_owned());
            record.stopped_reason = Some(fault.to_string());
        }
    }
    if let Err(fault) = audit::append(writer, &end).await {
        let told = format!("the audit has only the beginning of this ({id}), not how it ended: {fault}");
        answer.plan.warnings.push(told);
    }
    stopped.map_or(Ok(answer), Err)
}

/// Refuses where the group is not what was shown.
async fn compare(cx: &Cx, plan: &OffsetsPlan) -> Result<(), Fault> {
    let cluster = cx.broker.catalog().cluster().await?;
    if cluster.id != plan.cluster_id {
        return Err(Fault::refused("wrong_cluster", "the plan was made on another cluster")
            .why(format!("it is of cluster {}, this one is {}", plan.cluster_id, cluster.id)));
    }
    let port = groups(cx)?;
    group(cx, port, &plan.request).await?;
    let now: HashMap<Shard, i64> = committed(port, &plan.group).await?.into_iter().collect();
    let shards: Vec<Shard> = plan.partitions.iter().map(shard).collect();
    let changed = |why: String| {
        Fault::refused("target_changed", format!("group {} is not what was shown any more", plan.group))
            .why(why)
            .hint("look at the plan anew; nothing was written")
    };
    let name = |row: &OffsetRow| format!("{}[{}]", row.topic, row.partition);
    let offset = |offset: Option<i64>| offset.map_or_else(|| "no commit".to_owned(), units::signed);
    for (row, shard) in plan.partitions.iter().zip(&shards) {
        let is = now.get(shard).copied();
        if row.changes() && is != row.old {
            return Err(changed(format!("{} had {}, now {}", name(row), offset(row.old), offset(is))));
        }
    }
    if plan.request.change == Change::DeleteGroup && now.len() != plan.partitions.len() {
        return Err(changed("it has commits on other partitions".to_owned()));
    }
    let moves: Vec<(&OffsetRow, i64)> =
        plan.partitions.iter().filter(|r| r.changes()).filter_map(|r| Some((r, r.new?))).collect();
    let of: Vec<Shard> = moves.iter().map(|(row, _)| shard(row)).collect();
    let bounds = if of.is_empty() { Vec::new() } else { cx.broker.catalog().bounds(&of).await? };
    for ((row, new), bounds) in moves.into_iter().zip(bounds) {
        let bounds = bounds?;
        if !(bounds.start..=bounds.end).contains(&new) {
            let log = format!("{} to {}", units::signed(bounds.start), units::signed(bounds.end));
            return Err(changed(format!("{} is {log} now, without {}", name(row), units::signed(new))));
        }
    }
    Ok(())
}

fn shard(row: &OffsetRow) -> Shard {
    Shard::new(Name::clone(&row.topic), row.partition)
}

/// Does it; an answer for each partition that changes. The fault is of the whole: nothing was changed, or that is not
/// known.
async fn change(writer: &dyn Writer, plan: &OffsetsPlan) -> Result<Each<()>, Fault> {
    let rows = plan.partitions.iter().filter(|row| row.changes());
    let each = match &plan.request.change {
        Change::Reset(_) => {
            let offsets: Vec<(Shard, i64)> = rows.filter_map(|row| Some((shard(row), row.new?))).collect();
            writer.alter_offsets(&plan.group, &offsets).await.map_err(fault)?
        }
        Change::DeleteOffsets => {
            let of: Vec<Shard> = rows.map(shard).collect();
            writer.delete_offsets(&plan.group, &of).await.map_err(fault)?
        }
        Change::DeleteGroup => {
            let deleted = writer.delete_groups(std::slice::from_ref(&plan.group)).await.map_err(fault)?.pop();
            let deleted = deleted.unwrap_or(Ok(()));
            // A group without commits has no row that could tell it.
            deleted.clone().map_err(fault)?;
            rows.map(|_| deleted.clone()).collect()
        }
    };
    match each.iter().find_map(|one| one.as_ref().err()) {
        Some(error) if each.iter().all(Result::is_err) => Err(fault(error.clone())),
        _ => Ok(each),
    }
}

/// A member that came in between is as good a reason as one that was there before.
fn fault(error: BrokerError) -> Fault {
    if error.kind != ErrorKind::GroupActive {
        return error.into();
    }
    Fault::refused(error.kind.code(), error.what).why(error.why).hint(error.hint)
}

/// The records of the audit.
fn records(cx: &Cx, run: &OffsetsRun, plan: &OffsetsPlan, id: &str, action: Action) -> Vec<AuditRecord> {
    // What was refused by the broker belongs to it, what was left out before does not.
    let meant = run.plan.partitions.iter().zip(&plan.partitions).filter(|(before, _)| before.changes());
    let change = |(_, row): (&OffsetRow, &OffsetRow)| OffsetChange {
        topic: row.topic.to_string(),
        partition: row.partition,
        old: row.old,
        new: row.new,
        failed: row.error.clone(),
    };
    let changes: Vec<OffsetChange> = meant.map(change).collect();
    let mut record = audit::record(cx, action, cx.clock.now().as_millis());
    id.clone_into(&mut record.run);
    plan.change.clone_into(&mut record.plan);
    record.cluster = plan.cluster_id.to_string();
    record.group = Some(plan.group.to_string());
    record.reason.clone_from(&run.reason);
    if changes.is_empty() {
        return vec![record];
    }
    let with = |part: &[OffsetChange]| AuditRecord { offsets: part.to_vec(), ..record.clone() };
    changes.chunks(A_RECORD).map(with).collect()
}
