//! A run without transactions: at least once, checked.
//!
//! Before a batch a row of each letter says what is about to be done, and where its target ended; after it a row says
//! what was done. What only the first row tells of was on its way when a run died or lost the broker: it is looked for
//! on the target by its `redrive-id`, from that end on, and sent again only where it is not. Limits: a record that
//! arrives after that look is there twice; two runs at the same moment are kept apart by the owner row alone, which is
//! looked at before each batch; readers see the records of a batch before its rows; and a record behind one of its key
//! that the broker refuses may be written before that one is parked.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::engine::{Engine, culprit};
use super::fence::Halt;
use super::item::{Item, Run};
use super::outgoing::ID;
use super::plan::At;
use super::rows::End;
use super::transaction::{self, Ended, book};
use crate::broker::{
    BrokerError, Isolation, Name, Notice, Placed, ReadPlan, Shard, Span, Until, Write, Writer,
};
use crate::ledger::audit::{Action, ranges};
use crate::ledger::row::{Key, LetterRow, OwnerState};
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use crate::text::Fault;

impl Engine<'_> {
    /// What [`Self::transact`] does in one transaction, step by step.
    pub(super) async fn transact_plain(
        &mut self,
        items: &[Item],
        state: OwnerState,
        end: Option<&End>,
    ) -> Ended {
        if let Err(ended) = self.fence.look_again().await {
            return ended;
        }
        let mut renews = end.is_some() || self.fence.is_due();
        if items.iter().any(Item::is_sent) {
            let mut rows = if renews { self.rows(&[], &[], true, state, None) } else { Vec::new() };
            match self.intents(items).await {
                Ok(intents) => rows.extend(intents),
                Err(error) => return Ended::Lost(error),
            }
            match self.fence.commit(rows, Vec::new(), renews).await {
                Ended::Committed(_) => renews = false,
                ended => return ended,
            }
        }
        let (placed, refused) = match self.send_plain(items).await {
            Ok(placed) => (placed, None),
            Err(Ended::Partly { placed, named, why }) => (placed, Some((named, why))),
            Err(ended) => return ended,
        };
        let rows = if refused.is_none() {
            self.rows(items, &placed, renews, state, end)
        } else {
            let (done, places): (Vec<Item>, Vec<Option<Placed>>) =
                items.iter().cloned().zip(placed.iter().copied()).filter(is_done).unzip();
            self.rows(&done, &places, renews, state, end)
        };
        match (self.fence.commit(rows, placed, renews).await, refused) {
            (Ended::Committed(placed), Some((named, why))) => Ended::Partly { placed, named, why },
            (ended, _) => ended,
        }
    }

    async fn send_plain(&mut self, items: &[Item]) -> Result<Vec<Option<Placed>>, Ended> {
        let (mut session, mut taken) = (self.fence.session()?, 0);
        let sent = transaction::send(&mut *session, self.plan, items, &mut taken).await;
        self.fence.back(session, &sent, taken);
        sent
    }

    /// The rows that say what is about to be written.
    async fn intents(&mut self, items: &[Item]) -> Result<Vec<Write>, BrokerError> {
        let plan = self.plan;
        let to = |item: &Item| {
            let (topic, (_, partition)) = (&item.target(plan)?.topic, item.aim()?);
            Some(Shard::new(Name::clone(topic), partition))
        };
        let sent = || {
            let sent = items.iter().filter(|item| item.is_sent());
            sent.filter_map(|item| Some((item, to(item)?)))
        };
        let shards: Vec<Shard> =
            sent().map(|(_, shard)| shard).collect::<BTreeSet<Shard>>().into_iter().collect();
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let mut ends: BTreeMap<Shard, i64> = BTreeMap::new();
        for (shard, bounds) in shards.into_iter().zip(bounds) {
            ends.insert(shard, bounds?.end);
        }
        let header = &self.plan.header;
        let run = Run { id: &self.answer.run, operator: &self.answer.operator, reason: self.reason };
        let now = self.cx.clock.now().as_millis();
        let row = |(item, shard): (&Item, Shard)| {
            let (partition, offset) = item.at();
            let end = ends.get(&shard).copied().unwrap_or(0);
            let placed = Some(Placed { partition: shard.partition, offset: end });
            let row = item.row(&run, self.plan, self.fence.source(), self.fence.rows(), placed, now)?;
            let key = Key::intent(&header.cluster_id, self.fence.source(), partition, offset);
            Some(book(LEDGER_TOPIC, Some(key.encode()), row.encode()))
        };
        Ok(sent().filter_map(row).collect())
    }

    /// After a batch of which some records were refused: counts what is done and parks the culprit, where it is
    /// certain. Gives what is left.
    pub(super) fn sift(
        &mut self,
        piece: Vec<Item>,
        placed: &[Option<Placed>],
        named: Vec<(usize, String)>,
        why: String,
        later: &mut [VecDeque<Item>],
    ) -> Vec<Item> {
        let culprit = culprit(&piece, named, why);
        let (mut left, mut at) = (Vec::new(), None);
        for (i, (item, placed)) in piece.into_iter().zip(placed).enumerate() {
            if is_done(&(item.clone(), *placed)) {
                self.count(&item, *placed);
                continue;
            }
            if culprit.as_ref().is_some_and(|(number, _)| *number == i) {
                at = Some(left.len());
            }
            left.push(item);
        }
        if let (Some(at), Some((_, why))) = (at, culprit) {
            self.park(&mut left, at, why);
            self.hold(later);
        }
        left
    }

    /// Settles what runs without transactions have begun and not told to be done: what is on its target is booked, the
    /// rest is open.
    pub(super) async fn settle_intents(&mut self, writer: &dyn Writer) -> Result<(), Halt> {
        loop {
            let source = self.fence.source();
            let open: Vec<(At, LetterRow<'static>)> = self
                .fence
                .rows()
                .into_iter()
                .flat_map(|ledger| ledger.intents(source))
                .map(|(partition, offset, row)| ((partition, offset), row.clone()))
                .collect();
            let found = self.find_sent(&open).await?;
            if found.is_empty() {
                return Ok(());
            }
            let renews = self.fence.is_due();
            let mut rows =
                if renews { self.rows(&[], &[], true, OwnerState::Running, None) } else { Vec::new() };
            for (at, mut row) in open {
                let (Some(offset), Some(target)) = (found.get(&at), row.target.as_mut()) else { continue };
                target.offset = *offset;
                let key = Key::letter(&self.plan.header.cluster_id, self.fence.source(), at.0, at.1);
                rows.push(book(LEDGER_TOPIC, Some(key.encode()), row.encode()));
            }
            let mut record = self.audit(Action::Batch, self.cx.clock.now().as_millis());
            record.totals = self.totals(&[]);
            record.positions = ranges(found.keys().copied());
            rows.push(book(AUDIT_TOPIC, None, record.encode()));
            let ended = self.fence.commit(rows, Vec::new(), renews).await;
            let ended = match ended {
                Ended::Committed(_) => match self.fence.look_again().await {
                    Ok(()) => return Ok(()),
                    Err(ended) => ended,
                },
                ended => ended,
            };
            match ended {
                Ended::Lost(error) => self.fence.recover(writer, error).await?,
                Ended::Failed(fault) => return Err(fault.into()),
                Ended::Refused { why, .. } | Ended::Partly { why, .. } => {
                    return Err(Fault::failed("ledger", why).into());
                }
                Ended::Committed(_) => return Ok(()),
            }
        }
    }

    /// Looks on the targets for records that may have been written, from the ends that they had before; gives their
    /// offsets.
    async fn find_sent(&mut self, open: &[(At, LetterRow<'static>)]) -> Result<HashMap<At, i64>, Fault> {
        let mut from: BTreeMap<Shard, i64> = BTreeMap::new();
        let mut wanted: HashMap<(Shard, Vec<u8>), At> = HashMap::new();
        for (at, row) in open {
            let Some(target) = &row.target else { continue };
            let shard = Shard::new(&*target.topic, target.partition);
            let first = from.entry(shard.clone()).or_insert(i64::MAX);
            *first = (*first).min(target.offset);
            let id = format!("{}:{}:{}", self.fence.source(), at.0, at.1);
            wanted.insert((shard, id.into_bytes()), *at);
        }
        let mut found = HashMap::new();
        let shards: Vec<Shard> = from.keys().cloned().collect();
        if shards.is_empty() {
            return Ok(found);
        }
        let mut spans = Vec::new();
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        for (shard, bounds) in shards.into_iter().zip(bounds) {
            let bounds = bounds?;
            let first = from.get(&shard).copied().unwrap_or(0).max(bounds.start);
            if first < bounds.end {
                spans.push(Span { shard, from: first, until: Until::Offset(bounds.end) });
            }
        }
        if spans.is_empty() {
            return Ok(found);
        }
        // What was written without a transaction lies open, whatever others have open around it.
        let plan = ReadPlan { isolation: Isolation::ReadUncommitted, ..ReadPlan::new(spans) };
        let mut batches = self.cx.broker.reader().open(plan, self.fence.cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in &batch.records {
                let Some(id) = record.headers.last(ID) else { continue };
                let shard = Shard::new(Name::clone(&record.at.topic), record.at.partition);
                if let Some(at) = wanted.get(&(shard, id.to_vec())) {
                    found.entry(*at).or_insert(record.at.offset);
                }
            }
            for notice in batch.notices {
                if let Notice::Failed(_, error) = notice {
                    return Err(error.into());
                }
            }
        }
        Ok(found)
    }
}

/// Whether nothing is left to be done with an item of a batch.
fn is_done((item, placed): &(Item, Option<Placed>)) -> bool {
    !item.is_sent() || placed.is_some()
}
