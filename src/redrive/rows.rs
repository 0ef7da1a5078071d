//! What a run writes beside its records: rows of the ledger, and records of the audit.

use super::audit;
use super::engine::Engine;
use super::item::{Act, Item, PROGRAM, Run};
use super::transaction::book;
use crate::broker::{Placed, Write};
use crate::ledger::audit::{Action, AuditRecord, ParkedAt, Totals, ranges};
use crate::ledger::row::{HeaderRow, Key, OwnerRow, OwnerState};
use crate::ledger::{AUDIT_TOPIC, FORMAT_VERSION, LEDGER_TOPIC, Ledger};

impl Engine<'_> {
    /// The rows of a transaction: what is written once, the owner, the letters, the audit.
    pub(super) fn rows(
        &self,
        items: &[Item],
        placed: &[Option<Placed>],
        renews: bool,
        state: OwnerState,
        end: Option<&(Option<&'static str>, Option<String>)>,
    ) -> Vec<Write> {
        let header = &self.plan.header;
        let now = self.cx.clock.now().as_millis();
        let ledger = self.ledger.ledger();
        let mut rows = Vec::with_capacity(items.len() + 4);
        if self.owned.is_none() {
            if !ledger.is_some_and(Ledger::has_header) {
                let value = HeaderRow::current(PROGRAM).encode();
                rows.push(book(LEDGER_TOPIC, Some(Key::Header.encode()), value));
            }
            if !self.ledger.is_audited() {
                let mut record = self.audit(Action::Ledger, now);
                record.run.clear();
                record.ledger_topic_id = self.ledger.topic_id().map(|id| id.0.to_string());
                rows.push(book(AUDIT_TOPIC, None, record.encode()));
            }
        }
        if renews {
            let operator = &self.cx.operator;
            let owner = OwnerRow {
                v: FORMAT_VERSION,
                run: self.answer.run.clone(),
                operator: operator.name.clone(),
                host: operator.host.clone(),
                state,
                time_ms: now,
            };
            let key = Key::owner(&header.cluster_id, &self.source).encode();
            rows.push(book(LEDGER_TOPIC, Some(key), owner.encode()));
        }
        let run = Run { id: &self.answer.run, operator: &self.answer.operator, reason: self.reason };
        for (item, placed) in items.iter().zip(placed) {
            let at = item.planned;
            let key = Key::letter(&header.cluster_id, &self.source, at.partition, at.offset).encode();
            let row = item.row(&run, self.plan, ledger, *placed, now);
            rows.push(book(LEDGER_TOPIC, Some(key), row.encode()));
        }
        let action = match (end, self.owned) {
            (Some(_), _) => Action::End,
            (None, None) => Action::Start,
            (None, Some(_)) => Action::Batch,
        };
        let mut record = self.audit(action, now);
        record.totals = self.totals(items);
        record.positions = ranges(items.iter().map(|i| (i.planned.partition, i.planned.offset)));
        if let Some((stopped, reason)) = end {
            record.stopped = stopped.map(str::to_owned);
            record.stopped_reason.clone_from(reason);
        }
        rows.push(book(AUDIT_TOPIC, None, record.encode()));
        rows
    }

    fn audit(&self, action: Action, now: i64) -> AuditRecord {
        let header = &self.plan.header;
        let mut record = audit::record(self.cx, action, now);
        record.run.clone_from(&self.answer.run);
        record.plan.clone_from(&self.answer.plan);
        record.cluster = header.cluster_id.to_string();
        record.topic = header.source.topic.to_string();
        record.topic_id = self.source.to_string();
        record.reason = self.reason.map(str::to_owned);
        record.forced.clone_from(&header.force);
        self.answer.guarantee.clone_into(&mut record.guarantee);
        record.started_ms = self.answer.started.as_millis();
        record
    }

    /// The counts of the run, the items included.
    fn totals(&self, items: &[Item]) -> Totals {
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
        }
    }
}
