//! Transactions as Kafka has them: ids with epochs that fence, control markers, and time-outs (KIP-98).
//!
//! The epoch is kept by transactional id; a session carries the one that it was given. A time-out bumps it, so
//! that the session which slept finds itself fenced, exactly as on Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::Data;
use super::state::{Now, State};
use crate::broker::{BrokerError, ErrorKind, Name, Placed, Shard};
use crate::text::Timestamp;

/// Kafka's default of `transaction.max.timeout.ms`.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(900);

#[derive(Debug)]
pub(super) struct Producer {
    number: u64,
    epoch: u64,
    timeout: Duration,
    open: Option<Open>,
}

#[derive(Debug, Default)]
struct Open {
    deadline: Duration,
    /// Partitions with records of this transaction, and the serial of their topic.
    touched: BTreeMap<(Name, i32), u64>,
}

fn fenced(id: &str) -> BrokerError {
    let why = "another session with this id took over, or the transaction timed out";
    BrokerError::new(ErrorKind::Fenced, format!("transaction {id}"), why)
}

impl State {
    /// Begins a session: fences the predecessor, ends its open transaction, gives the new epoch.
    pub fn begin_producer(&mut self, id: &str, timeout: Duration, now: Now) -> u64 {
        self.end_open(id, false, now.wall);
        let number = self.serial();
        let producer =
            self.producers.entry(id.to_owned()).or_insert(Producer { number, epoch: 0, timeout, open: None });
        producer.epoch += 1;
        producer.timeout = timeout;
        producer.epoch
    }

    /// Whether the session with this epoch still holds the id.
    pub fn check_epoch(&self, id: &str, epoch: u64) -> Result<(), BrokerError> {
        let holds = self.producers.get(id).is_some_and(|p| p.epoch == epoch);
        if holds { Ok(()) } else { Err(fenced(id)) }
    }

    /// Appends a record to `id`'s transaction, opening one where none is open.
    pub fn append_in(
        &mut self,
        id: &str,
        shard: &Shard,
        data: Data,
        time: Option<Timestamp>,
        now: Now,
    ) -> Result<Placed, BrokerError> {
        let number = self.producers.get(id).map(|p| p.number).ok_or_else(|| fenced(id))?;
        let placed = self.append(shard, data, time, now.wall, Some(number))?;
        let serial = self.topics.get(&shard.topic).map_or(0, |t| t.serial);
        if let Some(producer) = self.producers.get_mut(id) {
            if producer.open.is_none() {
                self.open_transactions += 1;
            }
            let deadline = now.steady.saturating_add(producer.timeout);
            let open = producer.open.get_or_insert(Open { deadline, touched: BTreeMap::new() });
            open.touched.insert((shard.topic.clone(), placed.partition), serial);
        }
        Ok(placed)
    }

    /// Ends the open transaction of `id`, if there is one.
    pub fn end_open(&mut self, id: &str, commit: bool, now: Timestamp) {
        let Some(producer) = self.producers.get_mut(id) else { return };
        let Some(open) = producer.open.take() else { return };
        let number = producer.number;
        self.open_transactions -= 1;
        for ((name, partition), serial) in open.touched {
            let Some(topic) = self.topics.get_mut(&name).filter(|t| t.serial == serial) else { continue };
            let roll = topic.settings.roll;
            let partition = usize::try_from(partition).ok().and_then(|p| topic.partitions.get_mut(p));
            if let Some(partition) = partition {
                self.bytes += partition.mark(number, commit, now, roll);
            }
        }
    }

    /// Aborts the transactions whose time is over; whether there was one.
    pub fn expire_transactions(&mut self, now: Now) -> bool {
        if self.open_transactions == 0 {
            return false;
        }
        let over = |p: &Producer| p.open.as_ref().is_some_and(|open| open.deadline <= now.steady);
        let mut ids: Vec<String> =
            self.producers.iter().filter(|(_, p)| over(p)).map(|(id, _)| id.clone()).collect();
        ids.sort_unstable();
        for id in &ids {
            self.end_open(id, false, now.wall);
            if let Some(producer) = self.producers.get_mut(id) {
                producer.epoch += 1;
            }
        }
        !ids.is_empty()
    }
}
