//! Deletes handled letters from a dead-letter topic: below the first open one of each partition, and nothing else.
//!
//! It is the only thing in the program that deletes letters. Parked ones were set aside to be looked at, so that they
//! hold it up as pending ones do. While it deletes it is the topic's one writer: nobody can release a letter that is
//! about to go. The audit says before it what will be deleted, and after it what was. Limits: the broker deletes from
//! the beginning of a partition only, so that handled letters behind an open one stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::dispose::checked_reason;
use super::fence::{self, Fence, Halt};
use super::run::{no_transactions, read_only};
use super::transaction::{Ended, book};
use super::{audit, books, cluster};
use crate::broker::{Name, Shard, Writer};
use crate::context::{Cx, Progress, Sink};
use crate::ledger::audit::{Action, AuditRecord, Kind, Totals};
use crate::ledger::row::OwnerState;
use crate::ledger::{AUDIT_TOPIC, Disposition, Ledger};
use crate::letters::Extent;
use crate::letters::Index;
use crate::letters::ledger::LedgerReader;
use crate::text::{Fault, Timestamp};

/// What `dlq purge` is asked.
#[derive(Clone, Debug)]
pub struct PurgeRequest {
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// What the operator agreed to; `None` only shows what would go.
    pub agreed: Option<PurgeAgreed>,
}

/// What the operator agreed to.
#[derive(Clone, Debug)]
pub struct PurgeAgreed {
    /// What was shown: nothing beyond it is deleted.
    pub shown: Arc<PurgeAnswer>,
    /// Why; goes into the audit.
    pub reason: String,
    /// Rules that were forced.
    pub force: Vec<String>,
    /// Go on although a run or another action on the topic seems to be under way.
    pub take_over: bool,
}

/// What goes from one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurgedPartition {
    /// Partition.
    pub partition: i32,
    /// Where it begins now.
    pub start_offset: i64,
    /// Where it will begin: everything before it is deleted.
    pub before: i64,
    /// Letters that are deleted.
    pub letters: u64,
    /// Of these, redriven.
    pub redriven: u64,
    /// Of these, discarded.
    pub discarded: u64,
    /// Of these, marked as duplicates.
    pub duplicate: u64,
    /// State of the letter that ends it, `pending` or `parked`; `None` where the whole partition is handled.
    pub kept: Option<&'static str>,
    /// Why the broker did not delete it.
    pub error: Option<String>,
}

/// What a purge would delete, or did.
#[derive(Clone, Debug, Serialize)]
pub struct PurgeAnswer {
    /// Always `purge`.
    pub action: &'static str,
    /// Id of the action in the audit; `None` where nothing was begun.
    pub run: Option<String>,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Id of the topic.
    pub topic_id: Arc<str>,
    /// Cluster id.
    pub cluster_id: Arc<str>,
    /// Who.
    pub operator: String,
    /// Why; `None` in a preview.
    pub reason: Option<String>,
    /// When it began, or was looked at.
    pub started: Timestamp,
    /// Partitions of which something goes.
    pub partitions: Vec<PurgedPartition>,
    /// Letters that go, in all.
    pub letters: u64,
    /// Letters that went.
    pub deleted: u64,
    /// Letters in all states that stay.
    pub kept: u64,
    /// What to think about.
    pub warnings: Vec<String>,
    /// Whether nothing was deleted because nobody agreed.
    pub dry_run: bool,
}

/// Answers [`PurgeRequest`].
pub async fn purge(
    index: &Index,
    request: &PurgeRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<PurgeAnswer, Fault> {
    let cx = index.cx();
    let topic = &request.topic;
    let cluster_id = cx.broker.catalog().cluster().await?.id;
    let there = cluster::targets(cx, std::slice::from_ref(topic)).await?.remove(topic);
    let Some(there) = there else { return Err(cx.unknown_topic(topic).await) };
    let Some(topic_id) = there.planned.topic_id else { return Err(no_transactions("has no topic ids")) };
    let extent = index.extent(topic, sink, cancel).await?;
    if !extent.complete {
        return Err(Fault::refused("incomplete", format!("not all letters of {topic} could be read"))
            .why("what is not known may be open, and nothing that is open is deleted")
            .hint("try again; `redrive dlq list` says how much was read"));
    }
    let mut ledger = LedgerReader::new(cx.clone());
    ledger.refresh(sink, cancel).await?;
    let mut answer = PurgeAnswer {
        action: "purge",
        run: None,
        topic: Arc::clone(topic),
        topic_id,
        cluster_id,
        operator: cx.operator.name.clone(),
        reason: None,
        started: cx.clock.now(),
        partitions: Vec::new(),
        letters: 0,
        deleted: 0,
        kept: 0,
        warnings: Vec::new(),
        dry_run: request.agreed.is_none(),
    };
    let Some(agreed) = &request.agreed else {
        look(&mut answer, &extent, ledger.ledger(), None);
        let health = cluster::health(cx).await?;
        books::may_write(cx, &health).await?;
        answer.warnings = health.warnings;
        if let Some(why) = health.weak {
            answer.warnings.push(format!("{why}: refused, unless ledger_weak is forced"));
        }
        if there.compacted == Some(true) {
            answer
                .warnings
                .push(format!("{topic} is compacted: brokers do not delete from the beginning of it"));
        }
        return Ok(answer);
    };
    let reason = checked_reason(&agreed.reason)?.to_owned();
    let Some(writer) = cx.broker.writer() else { return Err(read_only(cx)) };
    if agreed.shown.topic_id != answer.topic_id || agreed.shown.cluster_id != answer.cluster_id {
        return Err(Fault::refused("target_changed", format!("{topic} is not the topic that was shown"))
            .why("it was deleted and made again since, or lies on another cluster"));
    }
    if !cx.broker.capabilities().transactions.usable() {
        return Err(no_transactions("has no transactions"));
    }
    if !cx.broker.capabilities().delete_before.usable() {
        return Err(Fault::failed("unsupported", "this broker deletes nothing from a topic's beginning"));
    }
    let run = uuid::Uuid::new_v4().simple().to_string();
    let place = (&*answer.topic_id, &**topic);
    fence::await_place(cx, &mut ledger, place, agreed.take_over, &|_| {}, sink, cancel).await?;
    let missing = books::check(cx, books::weak(&agreed.force)).await?;
    answer.reason = Some(reason);
    let fence = Fence::new(cx, &run, Arc::clone(&answer.topic_id), ledger, missing, sink, cancel);
    let mut work = Work { cx, agreed, run, fence, answer };
    match work.go(writer, &extent, sink).await {
        Ok(()) => {}
        Err(Halt::Cancelled) => return Err(Fault::cancelled()),
        Err(Halt::Fenced(why) | Halt::Canary(why) | Halt::Refailures(why)) => {
            return Err(Fault::refused("fenced", "another run took over; nothing was deleted").why(why));
        }
        Err(Halt::Fault(fault)) => return Err(fault),
    }
    Ok(work.answer)
}

/// Works out what goes: below the first open letter of each partition, and not beyond what was shown.
fn look(
    answer: &mut PurgeAnswer,
    extent: &Extent,
    ledger: Option<&Ledger>,
    shown: Option<&BTreeMap<i32, i64>>,
) {
    answer.partitions.clear();
    (answer.letters, answer.kept) = (0, 0);
    for (partition, of) in &extent.partitions {
        let limit = shown.map_or(of.next, |shown| shown.get(partition).copied().unwrap_or(0).min(of.next));
        let mut row = PurgedPartition {
            partition: *partition,
            start_offset: of.start,
            before: limit,
            ..PurgedPartition::default()
        };
        let mut left = of.offsets.len() as u64;
        for offset in of.offsets.iter().take_while(|offset| **offset < limit) {
            let state =
                ledger.map_or(Disposition::Pending, |l| l.disposition(&answer.topic_id, *partition, *offset));
            match state {
                Disposition::Redriven => row.redriven += 1,
                Disposition::Discarded => row.discarded += 1,
                Disposition::Duplicate => row.duplicate += 1,
                Disposition::Pending | Disposition::Released | Disposition::Parked => {
                    row.before = *offset;
                    row.kept = Some(state.as_str());
                    break;
                }
            }
            row.letters += 1;
            left -= 1;
        }
        answer.kept += left;
        if row.letters > 0 {
            answer.letters += row.letters;
            answer.partitions.push(row);
        }
    }
}

/// A purge under way.
struct Work<'a> {
    cx: &'a Cx,
    agreed: &'a PurgeAgreed,
    run: String,
    fence: Fence<'a>,
    answer: PurgeAnswer,
}

impl Work<'_> {
    async fn go(&mut self, writer: &dyn Writer, extent: &Extent, sink: &dyn Sink) -> Result<(), Halt> {
        self.fence.begin(writer).await?;
        let shown: BTreeMap<i32, i64> =
            self.agreed.shown.partitions.iter().map(|p| (p.partition, p.before)).collect();
        look(&mut self.answer, extent, self.fence.rows(), Some(&shown));
        if self.answer.partitions.is_empty() {
            return Ok(());
        }
        self.answer.run = Some(self.run.clone());
        self.tell(writer, Action::Start).await?;
        let what = format!("purging {}", self.answer.topic);
        sink.progress(Progress { what, total: Some(self.answer.letters), ..Progress::default() });
        let topic = &self.answer.topic;
        let before: Vec<(Shard, i64)> = self
            .answer
            .partitions
            .iter()
            .map(|p| (Shard::new(Name::clone(topic), p.partition), p.before))
            .collect();
        match writer.delete_before(&before).await {
            Ok(each) => {
                for (partition, gone) in self.answer.partitions.iter_mut().zip(each) {
                    partition.error = gone.err().map(|e| e.to_string());
                }
            }
            Err(error) => {
                let why = Some(error.to_string());
                self.answer.partitions.iter_mut().for_each(|p| p.error.clone_from(&why));
            }
        }
        let gone = self.answer.partitions.iter().filter(|p| p.error.is_none());
        self.answer.deleted = gone.map(|p| p.letters).sum();
        // What was done must be told, whatever the operator cancels meanwhile.
        self.fence.cancel = CancellationToken::new();
        if let Err(halt) = self.tell(writer, Action::End).await {
            let why = match halt {
                Halt::Fault(fault) => fault.to_string(),
                Halt::Fenced(why) | Halt::Canary(why) | Halt::Refailures(why) => format!("fenced by {why}"),
                Halt::Cancelled => "cancelled".to_owned(),
            };
            self.answer
                .warnings
                .push(format!("the audit has the beginning of this purge, but not its end: {why}"));
        }
        Ok(())
    }

    /// Writes the owner row and an audit record in one transaction.
    async fn tell(&mut self, writer: &dyn Writer, action: Action) -> Result<(), Halt> {
        loop {
            let is_end = action == Action::End;
            let state = if is_end { OwnerState::Done } else { OwnerState::Running };
            let now = self.cx.clock.now().as_millis();
            let mut first = self.audit(Action::Ledger, now);
            first.kind = Kind::Redrive;
            let mut rows = self.fence.first_rows(first);
            rows.push(self.fence.owner_row(&self.answer.cluster_id, state));
            let mut record = self.audit(action, now);
            let failed = self.answer.partitions.iter().any(|p| p.error.is_some());
            record.stopped = (is_end && failed).then(|| "error".to_owned());
            record.stopped_reason =
                self.answer.partitions.iter().find_map(|p| p.error.clone()).filter(|_| is_end);
            record.positions = self
                .answer
                .partitions
                .iter()
                .filter(|p| p.error.is_none())
                .map(|p| (p.partition, vec![(p.start_offset, p.before - 1)]))
                .collect();
            record.totals =
                Totals { planned: self.answer.letters, disposed: self.answer.deleted, ..Totals::default() };
            rows.push(book(AUDIT_TOPIC, None, record.encode()));
            match self.fence.commit(rows, Vec::new(), true).await {
                Ended::Committed(_) => return Ok(()),
                Ended::Lost(error) => {
                    self.fence.recover(writer, error).await?;
                    // Of a repeated record the audit's readers take the last one.
                }
                Ended::Failed(fault) => return Err(fault.into()),
                Ended::Refused { why, .. } | Ended::Partly { why, .. } => {
                    return Err(Fault::failed("ledger", why).into());
                }
            }
        }
    }

    fn audit(&self, action: Action, now: i64) -> AuditRecord {
        let answer = &self.answer;
        let mut record = audit::record(self.cx, action, now);
        record.kind = Kind::Purge;
        record.run.clone_from(&self.run);
        record.cluster = answer.cluster_id.to_string();
        record.topic = answer.topic.to_string();
        record.topic_id = answer.topic_id.to_string();
        record.reason.clone_from(&answer.reason);
        record.forced.clone_from(&self.agreed.force);
        record.started_ms = answer.started.as_millis();
        record
    }
}
