//! Reading: spans of partitions, followed without polling.
//!
//! A reader that has nothing to do waits for the broker's word that something changed. Only while a transaction
//! is open does it also look once in a while by itself, because nobody else might notice its time-out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Link;
use super::fault::Op;
use super::log::Room;
use super::state::{State, check_name};
use crate::broker::{
    Batch, Batches, BrokerError, ErrorKind, Fut, Isolation, Notice, ReadPlan, Reader, Shard, Sieve, Sifted,
    Span, Until,
};
use crate::event::Headers;

/// Most bytes and records of one batch: enough to be efficient, little enough to hold the lock shortly.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_RECORDS: usize = 4_096;

/// How long a reader waits at most while a transaction is open.
const WAIT_FOR_TIMEOUT: Duration = Duration::from_millis(200);

struct Reading {
    shard: Shard,
    position: i64,
    until: Until,
    /// The topic's serial at the first read.
    serial: Option<u64>,
    caught_up: bool,
    done: bool,
}

struct MemoryBatches {
    link: Link,
    cancel: CancellationToken,
    isolation: Isolation,
    budget: usize,
    sieve: Option<Arc<dyn Sieve>>,
    headers: bool,
    readings: Vec<Reading>,
    /// Where the next batch begins, so that no partition starves.
    turn: usize,
}

impl Reader for Link {
    fn open(&self, plan: ReadPlan, cancel: CancellationToken) -> Fut<'_, Box<dyn Batches>> {
        Box::pin(async move {
            self.enter(Op::Open).await?;
            let mut seen = HashSet::new();
            if let Some(twice) = plan.spans.iter().find(|span| !seen.insert(&span.shard)) {
                let what = format!("read {}[{}]", twice.shard.topic, twice.shard.partition);
                return Err(BrokerError::new(ErrorKind::Invalid, what, "the partition occurs twice"));
            }
            let reading = |span: Span| Reading {
                shard: span.shard,
                position: span.from,
                until: span.until,
                serial: None,
                caught_up: false,
                done: false,
            };
            Ok(Box::new(MemoryBatches {
                link: self.clone(),
                cancel,
                isolation: plan.isolation,
                budget: plan.budget,
                sieve: plan.sieve,
                headers: plan.headers,
                readings: plan.spans.into_iter().map(reading).collect(),
                turn: 0,
            }) as Box<dyn Batches>)
        })
    }
}

impl Batches for MemoryBatches {
    fn next(&mut self) -> Fut<'_, Option<Batch>> {
        Box::pin(async move {
            self.link.enter(Op::Next).await?;
            let shared = Arc::clone(&self.link.shared);
            loop {
                if self.cancel.is_cancelled() {
                    return Err(BrokerError::cancelled("read"));
                }
                shared.faults.check_connection(Op::Next)?;
                let mut changed = std::pin::pin!(shared.changed.notified());
                changed.as_mut().enable();
                let (batch, may_time_out) = {
                    let state = shared.look();
                    (self.gather(&state), state.open_transactions > 0)
                };
                if let Some(mut batch) = batch {
                    if let Some(sieve) = &self.sieve {
                        sift(&mut batch, &**sieve);
                    }
                    if !self.headers {
                        // Left out, as by readers that save work with it: what needs them must say so.
                        batch.records.iter_mut().for_each(|record| record.headers = Headers::default());
                    }
                    return Ok(Some(batch));
                }
                if self.readings.iter().all(|r| r.done) {
                    return Ok(None);
                }
                tokio::select! {
                    () = self.cancel.cancelled() => {}
                    () = self.link.closed.cancelled() => {
                        return Err(BrokerError::new(ErrorKind::Unreachable, "read", "the connection was closed"));
                    }
                    () = changed => {}
                    () = tokio::time::sleep(WAIT_FOR_TIMEOUT), if may_time_out => {}
                }
            }
        })
    }
}

fn sift(batch: &mut Batch, sieve: &dyn Sieve) {
    let left = &mut batch.left;
    batch.records.retain(|record| match sieve.sift(record) {
        Sifted::Keep => true,
        how => {
            left.add(record.payload(), how);
            false
        }
    });
}

impl MemoryBatches {
    /// What there is now; `None` when nothing is to be told.
    fn gather(&mut self, state: &State) -> Option<Batch> {
        let mut batch = Batch::default();
        let mut room = Room { bytes: self.budget.clamp(1, BATCH_BYTES), records: BATCH_RECORDS };
        let count = self.readings.len();
        for step in 0..count {
            if room.bytes == 0 || room.records == 0 {
                break;
            }
            let reading = &mut self.readings[(self.turn + step) % count];
            if !reading.done {
                reading.advance(state, self.isolation, &mut room, &mut batch);
            }
        }
        self.turn = (self.turn + 1).checked_rem(count).unwrap_or(0);
        let empty = batch.records.is_empty() && batch.positions.is_empty() && batch.notices.is_empty();
        (!empty).then_some(batch)
    }
}

impl Reading {
    fn finish(&mut self, notice: Notice, batch: &mut Batch) {
        self.done = true;
        batch.notices.push(notice);
    }

    fn advance(&mut self, state: &State, isolation: Isolation, room: &mut Room, batch: &mut Batch) {
        let what = format_args!("read {}[{}]", self.shard.topic, self.shard.partition).to_string();
        let found = check_name(&self.shard.topic, &what)
            .and_then(|()| state.topic(&self.shard.topic, &what))
            .and_then(|topic| Ok((topic.serial, state.partition(&self.shard, &what)?)));
        let (serial, partition) = match found {
            Ok(found) => found,
            Err(error) => return self.finish(Notice::Failed(self.shard.clone(), error), batch),
        };
        let bounds = partition.bounds();
        let truncated = |position| Notice::Truncated { shard: self.shard.clone(), position, end: bounds.end };
        if *self.serial.get_or_insert(serial) != serial {
            return self.finish(truncated(self.position), batch);
        }
        if self.position < 0 {
            let why = format!("offset {} is negative", self.position);
            let error = BrokerError::new(ErrorKind::Invalid, what, why);
            return self.finish(Notice::Failed(self.shard.clone(), error), batch);
        }
        if matches!(self.until, Until::Offset(end) if self.position >= end) {
            return self.finish(Notice::Finished(self.shard.clone()), batch);
        }
        if self.position > bounds.end {
            return self.finish(truncated(self.position), batch);
        }
        let before = self.position;
        if self.position < bounds.start {
            batch.notices.push(Notice::Trimmed {
                shard: self.shard.clone(),
                wanted: self.position,
                start: bounds.start,
            });
            self.position = bounds.start;
        }
        let readable = partition.limit(isolation);
        let limit = if let Until::Offset(end) = self.until { end.min(readable) } else { readable };
        if self.position < limit {
            let at = (&self.shard.topic, self.shard.partition);
            self.position = partition.read(at, self.position, limit, isolation, room, &mut batch.records);
        }
        if self.position != before {
            batch.positions.push((self.shard.clone(), self.position));
            self.caught_up = false;
        }
        match self.until {
            Until::Offset(end) if self.position >= end => {
                self.finish(Notice::Finished(self.shard.clone()), batch);
            }
            Until::End if self.position >= readable => {
                self.finish(Notice::Finished(self.shard.clone()), batch);
            }
            Until::Follow if self.position >= readable && !self.caught_up => {
                self.caught_up = true;
                batch.notices.push(Notice::CaughtUp(self.shard.clone()));
            }
            Until::Offset(_) | Until::End | Until::Follow => {}
        }
    }
}
