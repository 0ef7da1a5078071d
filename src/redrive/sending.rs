//! One transaction of a run. Letters that are read while it is under way join it: the reading need not stop, and no more
//! of them wait than a few.

use super::ahead::{Ahead, Joining};
use super::engine::{Engine, MOST_BYTES};
use super::item::Item;
use super::rows::End;
use super::transaction::{Ended, Flight};
use crate::broker::{Placed, Session, Write};
use crate::ledger::row::OwnerState;

impl Engine<'_> {
    /// One transaction. With `end` it is the run's last one; with `more` letters join the items while it is under way.
    pub(super) async fn transact(
        &mut self,
        items: &mut Vec<Item>,
        state: OwnerState,
        end: Option<&End>,
        more: Option<&mut Ahead>,
    ) -> Ended {
        if !self.fence.is_transactional() {
            return self.transact_plain(items, state, end).await;
        }
        let renews = end.is_some() || self.fence.is_due();
        let rows = self.first_rows(renews, state);
        match self.send(items, rows, end, more).await {
            Ok((placed, rows)) => self.fence.commit(rows, placed, renews).await,
            Err(ended) => ended,
        }
    }

    /// Writes items and rows in a transaction that is then open. Gives the places of the items, and the rows that are
    /// left.
    async fn send(
        &mut self,
        items: &mut Vec<Item>,
        rows: Vec<Write>,
        end: Option<&End>,
        more: Option<&mut Ahead>,
    ) -> Result<(Vec<Option<Placed>>, Vec<Write>), Ended> {
        let (mut session, mut taken) = (self.fence.session()?, 0);
        let sent = self.fly((&mut *session, &mut taken), items, rows, end, more).await;
        self.fence.back(session, &sent, taken);
        sent
    }

    async fn fly(
        &mut self,
        (session, taken): (&mut dyn Session, &mut u64),
        items: &mut Vec<Item>,
        mut rows: Vec<Write>,
        end: Option<&End>,
        mut more: Option<&mut Ahead>,
    ) -> Result<(Vec<Option<Placed>>, Vec<Write>), Ended> {
        let mut flight = Flight::new(taken);
        flight.add(items);
        let mut is_whole = false;
        loop {
            if let Some(ahead) = &mut more {
                let known = items.len();
                if !self.extend(items, flight.bytes(), ahead).await {
                    more = None;
                }
                flight.add(items.get(known..).unwrap_or_default());
            }
            if !is_whole && (more.is_none() || flight.is_last()) {
                (more, is_whole) = (None, true);
                // Before the end: a partition's first record in a transaction takes the broker longer.
                rows.extend(self.audit_row(items, end));
            }
            if !flight.step(session, self.plan, items, &rows).await? {
                break;
            }
            rows = self.scribe().rows(flight.answered(items).into_iter());
        }
        rows.extend(self.scribe().rows(flight.land(session, items).await?.into_iter()));
        Ok((flight.into_placed(), rows))
    }

    /// Whether letters may join a transaction that is under way: nothing has to be waited for before they are sent.
    pub(super) fn may_extend(&self) -> bool {
        let is_free = self.canary.is_none() && self.pace.rate().is_none();
        is_free && self.plan.header.options.pace.is_none() && self.most_bytes == MOST_BYTES
    }

    /// Takes the letters that were read meanwhile, as far as they fit into the transaction, whose items have so many
    /// `bytes`; whether more may follow.
    async fn extend(&mut self, items: &mut Vec<Item>, mut bytes: usize, ahead: &mut Ahead) -> bool {
        loop {
            let is_wished = self.wishes.has_changed().unwrap_or(false) || self.fence.cancel.is_cancelled();
            let room = self.batch.saturating_sub(items.len());
            if is_wished || room == 0 {
                return false;
            }
            let room = (room, self.most_bytes.saturating_sub(bytes));
            // What has to be compared with a record on the target is read while no transaction is open.
            let joining = match ahead.joining(room, |item| self.suspect(item).is_none()) {
                Ok(Joining::Nothing) => return true,
                Ok(Joining::Not) => return false,
                Ok(Joining::Window(read)) => self.items(read).await,
                Err(fault) => Err(fault.into()),
            };
            match joining {
                Ok(joining) => {
                    bytes += joining.iter().map(Item::size).sum::<usize>();
                    items.extend(joining);
                }
                Err(halt) => {
                    self.later = Some(halt);
                    return false;
                }
            }
        }
    }
}
