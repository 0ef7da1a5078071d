//! The runs and other actions on letters of a cluster, from the audit: who did what, and what became of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::document::{ParkedLetter, RunAnswer, RunRow, RunsAnswer};
use super::fence::STALE;
use super::follow;
use crate::broker::{Bounds, ErrorKind, Guarantee, Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::{Cx, Progress, Sink};
use crate::ledger::audit::{Action, AuditRecord};
use crate::ledger::fold::Owner;
use crate::ledger::row::OwnerState;
use crate::ledger::{AUDIT_TOPIC, Disposition, Ledger};
use crate::letters::Index;
use crate::letters::document::Target;
use crate::letters::ledger::LedgerReader;
use crate::letters::outcome::Redriven;
use crate::text::{Fault, Timestamp};

/// Runs listed, the latest.
const MOST_RUNS: usize = 500;
/// Redriven records whose outcome is looked up.
const MOST_RECORDS: usize = 200_000;

/// Lists the runs, the latest first.
pub async fn runs(index: &Index, sink: &dyn Sink, cancel: &CancellationToken) -> Result<RunsAnswer, Fault> {
    let cx = index.cx();
    let mut latest: HashMap<String, AuditRecord> = HashMap::new();
    let mut fenced: HashMap<String, String> = HashMap::new();
    read_audit(cx, |bounds| bounds.last_stable, sink, cancel, &mut |record| {
        if let Some(other) = &record.took_over {
            fenced.insert(other.clone(), format!("run {} of {} took over", record.run, record.operator));
        }
        if record.action.is_of_a_run() {
            latest.insert(record.run.clone(), record);
        }
    })
    .await?;
    let mut records: Vec<AuditRecord> = latest.into_values().collect();
    records.sort_by(|a, b| (b.started_ms, &b.run).cmp(&(a.started_ms, &a.run)));
    records.truncate(MOST_RUNS);
    let mut reader = LedgerReader::new(cx.clone());
    let read = reader.refresh(sink, cancel).await;
    // The audit tells what was done even where the ledger cannot be read; states and outcomes need it.
    let ledger = reader.ledger().filter(|_| read.is_ok());
    let mut runs: Vec<RunRow> = records.iter().map(|record| row(cx, record, ledger, &fenced)).collect();
    if let Some(ledger) = ledger {
        settle(index, &records, &mut runs, ledger, sink, cancel).await;
    }
    Ok(RunsAnswer { runs })
}

/// Reads the audit, up to an offset that its bounds tell: behind the last stable one it waits.
pub(super) async fn read_audit(
    cx: &Cx,
    until: fn(&Bounds) -> i64,
    sink: &dyn Sink,
    cancel: &CancellationToken,
    take: &mut (dyn FnMut(AuditRecord) + Send),
) -> Result<(), Fault> {
    let shard = Shard::new(AUDIT_TOPIC, 0);
    let topic = [Name::clone(&shard.topic)];
    let infos = cx.broker.catalog().topics(Some(&topic)).await?;
    match infos.first().map(|i| &i.error) {
        None => return Ok(()),
        Some(Some(e)) if e.kind == ErrorKind::UnknownTopic => return Ok(()),
        Some(Some(e)) => return Err(e.clone().into()),
        Some(None) => {}
    }
    let Some(bounds) = cx.broker.catalog().bounds(std::slice::from_ref(&shard)).await?.pop() else {
        return Ok(());
    };
    let bounds = bounds?;
    let end = until(&bounds);
    if end <= bounds.start {
        return Ok(());
    }
    let mut progress = Progress {
        what: "reading the audit".to_owned(),
        total: Some((end - bounds.start).unsigned_abs()),
        ..Progress::default()
    };
    let span = Span { shard, from: bounds.start, until: Until::Offset(end) };
    let mut batches = cx.broker.reader().open(ReadPlan::new(vec![span]), cancel.clone()).await?;
    while let Some(batch) = batches.next().await? {
        for record in &batch.records {
            let record = AuditRecord::decode(record.value.as_deref()).map_err(|e| {
                Fault::refused(e.code(), format!("{AUDIT_TOPIC} cannot be read")).why(e.to_string())
            })?;
            take(record);
        }
        for notice in batch.notices {
            if let Notice::Failed(_, error) = notice {
                return Err(error.into());
            }
        }
        progress.done += batch.records.len() as u64;
        sink.progress(progress.clone());
    }
    Ok(())
}

/// The run as its latest audit record has it.
fn row(cx: &Cx, record: &AuditRecord, ledger: Option<&Ledger>, fenced: &HashMap<String, String>) -> RunRow {
    let t = &record.totals;
    let seconds = (record.time_ms - record.started_ms).max(0) as f64 / 1000.0;
    let handled = t.redriven + t.already_handled + t.duplicates + t.expired + t.parked + t.held + t.disposed;
    let run = RunAnswer {
        run: record.run.clone(),
        plan: record.plan.clone(),
        topic: Arc::from(&*record.topic),
        operator: record.operator.clone(),
        started: Timestamp(record.started_ms),
        seconds,
        guarantee: if record.guarantee == Guarantee::AtLeastOnceChecked.as_str() {
            Guarantee::AtLeastOnceChecked.as_str()
        } else {
            Guarantee::ExactlyOnceReadCommitted.as_str()
        },
        planned: t.planned,
        redriven: t.redriven,
        already_handled: t.already_handled,
        duplicates: t.duplicates,
        expired: t.expired,
        parked: t
            .parked_letters
            .iter()
            .map(|p| ParkedLetter { partition: p.partition, offset: p.offset, why: p.why.clone() })
            .collect(),
        held: t.held,
        remaining: t.planned.saturating_sub(handled),
        unconfirmed: t.redriven,
        aborted_records: t.aborted_records,
        stopped: record.stopped.as_deref().map(|s| match s {
            "cancelled" => "cancelled",
            "fenced" => "fenced",
            "canary" => "canary",
            "refailures" => "refailures",
            _ => "error",
        }),
        stopped_reason: record.stopped_reason.clone(),
        records_per_second: (seconds > 0.0 && t.redriven > 0).then(|| t.redriven as f64 / seconds),
        ..RunAnswer::default()
    };
    let mut run = run;
    let owner = ledger.and_then(|l| l.owner(&record.topic_id));
    let state = match (record.action, &record.stopped) {
        (Action::End, None) => "done",
        (Action::End, Some(_)) => "stopped",
        _ => match (owner.filter(|o| *o.run == *record.run), fenced.get(&record.run)) {
            (Some(owner), _) if !seems_alive(cx, ledger, owner) => "abandoned",
            (Some(owner), _) if owner.state == OwnerState::Waiting => "waiting",
            (Some(_), _) => "running",
            // One that was fenced writes nothing more: the other one tells of it.
            (None, Some(why)) => {
                run.stopped = Some("fenced");
                run.stopped_reason = Some(why.clone());
                "stopped"
            }
            (None, None) => "abandoned",
        },
    };
    let kind = record.kind.as_str();
    RunRow { kind, disposed: t.disposed, reason: record.reason.clone(), run, state }
}

/// Whether a run that has not ended seems to be at work. Only told, and nothing is decided by it: so this machine's
/// clock may stand in for the broker's.
fn seems_alive(cx: &Cx, ledger: Option<&Ledger>, owner: &Owner) -> bool {
    let now = ledger.and_then(Ledger::newest).max(Some(cx.clock.now()));
    let age = now.zip(owner.appended).map_or(0, |(now, at)| now.since(at));
    owner.state != OwnerState::Done && age <= STALE.as_millis() as i64
}

/// Looks up what became of the records of the runs. What cannot be found out stays unconfirmed.
async fn settle(
    index: &Index,
    records: &[AuditRecord],
    runs: &mut [RunRow],
    ledger: &Ledger,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) {
    let numbers: HashMap<&str, usize> = records.iter().enumerate().map(|(i, r)| (&*r.run, i)).collect();
    let mut of: Vec<Redriven> = Vec::new();
    let mut whose: Vec<usize> = Vec::new();
    for row in ledger.rows().filter(|r| r.disposition == Disposition::Redriven).take(MOST_RECORDS) {
        let (Some(&i), Some(target)) = (numbers.get(&**row.run), row.target) else { continue };
        let topic = Arc::clone(target.topic);
        let target = Target { topic, partition: target.partition, offset: target.offset };
        let letter = (Some(Arc::clone(row.topic_id)), row.partition, row.offset);
        of.push(Redriven::new(target, row.group.cloned(), letter));
        whose.push(i);
    }
    let mut topics: Vec<Name> = records.iter().map(|r| Name::from(&*r.topic)).collect();
    topics.sort();
    topics.dedup();
    for topic in topics {
        // A topic that is gone says nothing of what came back to it.
        let _ = index.refresh(Some(&[topic]), sink, cancel).await;
    }
    let Ok(outcomes) = index.outcomes(&of, cancel).await else { return };
    let mut by_run: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for (i, outcome) in whose.into_iter().zip(outcomes) {
        by_run.entry(i).or_default().push(outcome);
    }
    for (i, outcomes) in by_run {
        if let Some(row) = runs.get_mut(i) {
            follow::count(&outcomes, &mut row.run);
        }
    }
}
