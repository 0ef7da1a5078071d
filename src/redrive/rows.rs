//! What a run writes beside its records: rows of the ledger, and records of the audit.

use super::audit;
use super::engine::Engine;
use super::item::{Act, Item, Run};
use super::transaction::book;
use crate::broker::{Name, Placed, Write};
use crate::ledger::audit::{Action, AuditRecord, ParkedAt, Totals, ranges};
use crate::ledger::row::OwnerState;
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};

/// The end of a run: why it stopped before its plan did.
pub(super) type End = (Option<&'static str>, Option<String>);

impl Engine<'_> {
    /// The rows of a transaction: what is written once, the owner, the letters, the audit.
    pub(super) fn rows(
        &mut self,
        items: &[Item],
        placed: &[Option<Placed>],
        renews: bool,
        state: OwnerState,
        end: Option<&End>,
    ) -> Vec<Write> {
        let mut rows = self.first_rows(renews, state);
        rows.extend(self.letter_rows(items, placed));
        rows.extend(self.last_row(items, end));
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

    /// The rows of letters.
    pub(super) fn letter_rows(&mut self, items: &[Item], placed: &[Option<Placed>]) -> Vec<Write> {
        let header = &self.plan.header;
        let now = self.cx.clock.now().as_millis();
        let (ledger, source, encoder) = (self.fence.rows(), self.fence.source(), &mut self.encoder);
        let run = Run { id: &self.answer.run, operator: &self.answer.operator, reason: self.reason };
        let topic = Name::from(LEDGER_TOPIC);
        let row = |(item, placed): (&Item, &Option<Placed>)| {
            let at = item.planned;
            let row = item.row(&run, self.plan, source, ledger, *placed, now);
            let key = encoder.key(&header.cluster_id, source, at.partition, at.offset);
            book(Name::clone(&topic), Some(key), encoder.row(&row))
        };
        items.iter().zip(placed).map(row).collect()
    }

    /// The audit record of a transaction.
    pub(super) fn last_row(&self, items: &[Item], end: Option<&End>) -> Option<Write> {
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
        record.positions = ranges(items.iter().map(|i| (i.planned.partition, i.planned.offset)));
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
        let now = items.iter().filter_map(|i| match &i.act {
            Act::Park(why) => Some((i.planned.partition, i.planned.offset, why)),
            _ => None,
        });
        let of = |act: &Act| items.iter().filter(|i| i.act == *act).count() as u64;
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
