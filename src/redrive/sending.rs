//! One transaction of a run. Letters that are read while it is under way join it: the reading need not stop, and no more
//! of them wait than a few.

use std::collections::VecDeque;
use std::time::Duration;

use super::ahead::{Ahead, Joining};
use super::engine::{Engine, LONGEST, MOST_BATCH, MOST_BYTES, MOST_FOLLOWED};
use super::item::Item;
use super::rows::End;
use super::transaction::{Answered, Ended, Flight};
use crate::broker::{Placed, Session, Write};
use crate::ledger::row::OwnerState;

/// Letters join a transaction for so long; what is left of its time is for its end.
const JOINING: Duration = Duration::from_millis(LONGEST.as_millis() as u64 / 2);
/// Rows that are written together: they are few, and a request for each of them takes the broker longer.
const ROWS: usize = 4;

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
        let (mut is_whole, began) = (false, self.cx.clock.monotonic());
        let mut followed = VecDeque::new();
        loop {
            if let Some(ahead) = &mut more
                && !self.join(items, &mut flight, began, ahead).await
            {
                more = None;
            }
            if more.is_none() && !is_whole {
                is_whole = true;
                // Before the end: a partition's first record in a transaction takes the broker longer.
                rows.extend(self.audit_row(items, end));
            }
            let due = if is_whole || rows.len() >= ROWS { rows.len() } else { 0 };
            let answered = if flight.step(session, self.plan, items, &rows[..due]).await? {
                rows.drain(..due);
                flight.answered(items)
            } else if more.is_some() {
                flight.land(session, items).await?
            } else {
                break;
            };
            rows.extend(self.told(items, answered, &mut followed));
        }
        let answered = flight.land(session, items).await?;
        rows.extend(self.told(items, answered, &mut followed));
        Ok((flight.into_placed(), rows))
    }

    /// The rows of the items that the broker has. It has their bytes, too: they are not held until the commit, so that a
    /// transaction may be large. Those that are followed when it is committed are the latest of all.
    fn told(
        &self,
        items: &mut [Item],
        answered: Vec<Answered>,
        followed: &mut VecDeque<usize>,
    ) -> Vec<Write> {
        let letters = answered.iter().filter_map(|(number, placed)| Some((items.get(*number)?, *placed)));
        let rows = self.scribe().rows(letters);
        for (number, _) in answered.into_iter().filter(|(_, placed)| placed.is_some()) {
            items.get_mut(number).map(Item::release);
            followed.push_back(number);
            if followed.len() > MOST_FOLLOWED {
                followed.pop_front().and_then(|number| items.get_mut(number)).map(Item::forget);
            }
        }
        rows
    }

    /// Whether letters may join a transaction that is under way: nothing has to be waited for before they are sent.
    pub(super) fn may_extend(&self) -> bool {
        let is_free = self.canary.is_none() && self.pace.rate().is_none();
        is_free && self.plan.header.options.pace.is_none() && self.most_bytes == MOST_BYTES
    }

    /// Takes the letters that are read while the transaction is under way, as far as they fit into it; whether more may
    /// follow.
    async fn join(
        &mut self,
        items: &mut Vec<Item>,
        flight: &mut Flight<'_>,
        began: Duration,
        ahead: &mut Ahead,
    ) -> bool {
        loop {
            let is_wished = self.wishes.has_changed().unwrap_or(false) || self.fence.cancel.is_cancelled();
            let age = self.cx.clock.monotonic().saturating_sub(began);
            let left = JOINING.saturating_sub(age);
            if is_wished || left.is_zero() {
                return false;
            }
            // A piece that is full costs less than two that are not; what goes beyond it would only be held.
            if flight.is_full() {
                return true;
            }
            let most = self.batch.max(flight.expected(age, JOINING)).min(MOST_BATCH);
            let room = (most.saturating_sub(items.len()), self.most_bytes.saturating_sub(flight.bytes()));
            // What has to be compared with a record on the target is read while no transaction is open.
            let joining = match ahead.joining(room, |item| self.suspect(item).is_none()) {
                Ok(Joining::Window(read)) => self.items(read).await,
                Ok(Joining::Nothing) if ahead.wait(left).await => continue,
                Ok(Joining::Nothing | Joining::Not) => return !flight.is_idle(),
                Err(fault) => Err(fault.into()),
            };
            match joining {
                Ok(joining) => {
                    flight.add(&joining);
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
