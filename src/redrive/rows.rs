//! What a run writes beside its records: rows of the ledger, and records of the audit.

use super::audit;
use super::engine::Engine;
use super::item::{Act, Item, Run};
use super::plan::Plan;
use super::shelf::{Shelf, shared};
use super::transaction::book;
use crate::broker::{Placed, Write};
use crate::ledger::audit::{Action, AuditRecord, ParkedAt, Totals, ranges};
use crate::ledger::row::OwnerState;
use crate::ledger::{AUDIT_TOPIC, Disposition, Ledger};

/// The end of a run: why it stopped before its plan did.
pub(super) type End = (Option<&'static str>, Option<String>);

impl Engine<'_> {
    /// The rows of a transaction: what is written once, the owner, the letters, the audit.
    pub(super) fn rows(
        &self,
        items: &[Item],
        placed: &[Option<Placed>],
        renews: bool,
        state: OwnerState,
        end: Option<&End>,
    ) -> Vec<Write> {
        let mut rows = self.first_rows(renews, state);
        rows.extend(self.audit_row(items, end));
        rows.extend(self.scribe().rows(items.iter().zip(placed.iter().copied())));
        rows
    }

    /// What is written once, and the owner.
    pub(super) fn first_rows(&self, renews: bool, state: OwnerState) -> Vec<Write> {
        let now = self.cx.clock.now().as_millis();
        let mut rows = self.fence.first_rows(self.audit(Action::Ledger, now));
        if renews {
            rows.push(self.fence.owner_row(&self.plan.header.cluster_id, state));
        }
        rows
    }

    /// What makes the rows of letters.
    pub(super) fn scribe(&self) -> Scribe<'_> {
        Scribe {
            plan: self.plan,
            ledger: self.fence.rows(),
            source: self.fence.source(),
            run: Run { id: &self.answer.run, operator: &self.answer.operator, reason: self.reason },
            now: self.cx.clock.now().as_millis(),
        }
    }

    /// The audit record of a transaction.
    pub(super) fn audit_row(&self, items: &[Item], end: Option<&End>) -> Option<Write> {
        let now = self.cx.clock.now().as_millis();
        let action = match (end, self.fence.has_written()) {
            (Some(_), _) => Action::End,
            (None, false) => Action::Start,
            // The owner row alone: it tells nothing new.
            (None, true) if items.is_empty() => return None,
            (None, true) => Action::Batch,
        };
        let mut record = self.audit(action, now);
        record.totals = self.totals(items);
        record.positions = ranges(items.iter().map(Item::at));
        let other = self.took_over.as_ref().filter(|o| o.forced && action == Action::Start);
        record.took_over = other.map(|o| o.run.to_string());
        if let Some((stopped, reason)) = end {
            record.stopped = stopped.map(str::to_owned);
            record.stopped_reason.clone_from(reason);
        }
        Some(book(AUDIT_TOPIC, None, record.encode()))
    }

    pub(super) fn audit(&self, action: Action, now: i64) -> AuditRecord {
        let header = &self.plan.header;
        let mut record = audit::record(self.cx, action, now);
        record.run.clone_from(&self.answer.run);
        record.plan.clone_from(&self.answer.plan);
        record.cluster = header.cluster_id.to_string();
        record.topic = header.source.topic.to_string();
        record.topic_id = self.fence.source().to_string();
        record.reason = self.reason.map(str::to_owned);
        record.forced.clone_from(&header.options.force);
        self.answer.guarantee.clone_into(&mut record.guarantee);
        record.started_ms = self.answer.started.as_millis();
        record
    }

    /// The counts of the run, the items included.
    pub(super) fn totals(&self, items: &[Item]) -> Totals {
        let answer = &self.answer;
        let listed = answer.parked.iter().map(|p| (p.partition, p.offset, &p.why));
        let now = items.iter().filter_map(|i| match i.act() {
            Act::Park(why) => {
                let (partition, offset) = i.at();
                Some((partition, offset, why))
            }
            _ => None,
        });
        let of = |act: &Act| items.iter().filter(|i| i.act() == act).count() as u64;
        Totals {
            planned: answer.planned,
            redriven: answer.redriven + of(&Act::Send),
            already_handled: answer.already_handled,
            duplicates: answer.duplicates + of(&Act::Duplicate),
            expired: answer.expired,
            parked: self.parked + now.clone().count() as u64,
            // In every record, so few of them; the ledger has them all.
            parked_letters: listed
                .chain(now)
                .take(20)
                .map(|(partition, offset, why)| ParkedAt { partition, offset, why: why.clone() })
                .collect(),
            held: answer.held,
            aborted_records: answer.aborted_records,
            disposed: 0,
        }
    }
}

/// Makes the rows of letters.
pub(super) struct Scribe<'a> {
    plan: &'a Plan,
    ledger: Option<&'a Ledger>,
    /// Id of the dead-letter topic.
    source: &'a str,
    run: Run<'a>,
    /// Milliseconds since the epoch.
    now: i64,
}

impl Scribe<'_> {
    /// The rows of letters and their places.
    pub fn rows<'i>(&self, letters: impl Iterator<Item = (&'i Item, Option<Placed>)>) -> Vec<Write> {
        let Self { plan, ledger, source, run, now } = self;
        let mut shelf = Shelf::new(&plan.header.cluster_id, source, run.id);
        for (item, placed) in letters {
            let (partition, offset) = item.at();
            let is_new = ledger.is_none_or(|l| l.get(source, partition, offset).is_none());
            let shared = placed.filter(|_| is_new && item.is_sent());
            if let Some((alike, listed)) = shared.and_then(|placed| item.listed(placed)) {
                shelf.add(alike, listed);
            } else if let Some(row) = item.row(run, plan, source, *ledger, placed, *now) {
                shelf.alone(partition, offset, &row);
            }
        }
        let topics = &plan.header.target.topics;
        shelf.rows(|alike| shared(Disposition::Redriven, run, topics.get(alike.1 as usize), alike, *now))
    }
}
