//! Members of a group: they read what is assigned to them, and commit by hand.

use std::sync::Arc;
use std::time::Duration;

use super::Link;
use super::fault::Op;
use super::log::Room;
use crate::broker::{BrokerError, Fut, Isolation, Membership, Name, Shard};
use crate::event::Record;

/// Most records of one poll (Kafka's `max.poll.records`) and their bytes.
const POLL_RECORDS: usize = 500;
const POLL_BYTES: usize = 1 << 20;

struct MemoryMember {
    link: Link,
    group: Name,
    id: Name,
    generation: u64,
    positions: Vec<(Shard, i64)>,
    /// Where the next poll begins, so that no partition starves.
    turn: usize,
}

pub(super) fn membership(link: Link, group: Name, id: Name) -> Box<dyn Membership> {
    Box::new(MemoryMember { link, group, id, generation: 0, positions: Vec::new(), turn: 0 })
}

impl MemoryMember {
    fn take(&mut self) -> Result<Vec<Record>, BrokerError> {
        let shared = Arc::clone(&self.link.shared);
        let state = shared.look();
        if let Some((generation, assigned)) = state.assignment(&self.group, &self.id, self.generation)? {
            self.generation = generation;
            self.positions = assigned;
        }
        let mut records = Vec::new();
        let mut room = Room { bytes: POLL_BYTES, records: POLL_RECORDS };
        let count = self.positions.len();
        for step in 0..count {
            let (shard, position) = &mut self.positions[(self.turn + step) % count];
            let Ok(partition) = state.partition(shard, "poll") else { continue };
            // Behind the start, or beyond the end of a log that became shorter: `auto.offset.reset=earliest`.
            if *position < partition.start || *position > partition.next {
                *position = partition.start;
            }
            let limit = partition.last_stable();
            if *position < limit {
                let at = (&shard.topic, shard.partition);
                let committed = Isolation::ReadCommitted;
                *position = partition.read(at, *position, limit, committed, &mut room, &mut records);
            }
        }
        self.turn = (self.turn + 1).checked_rem(count).unwrap_or(0);
        Ok(records)
    }

    fn go(&self) {
        self.link.shared.change(|state, _| state.leave(&self.group, &self.id));
    }
}

impl Membership for MemoryMember {
    fn poll(&mut self, wait: Duration) -> Fut<'_, Vec<Record>> {
        Box::pin(async move {
            self.link.enter(Op::Poll).await?;
            let shared = Arc::clone(&self.link.shared);
            let over = tokio::time::Instant::now() + wait;
            loop {
                shared.faults.check_connection(Op::Poll)?;
                let mut changed = std::pin::pin!(shared.changed.notified());
                changed.as_mut().enable();
                let records = self.take()?;
                if !records.is_empty() {
                    return Ok(records);
                }
                if tokio::time::timeout_at(over, changed).await.is_err() {
                    return Ok(records);
                }
            }
        })
    }

    fn commit<'a>(&'a mut self, offsets: &'a [(Shard, i64)]) -> Fut<'a, ()> {
        Box::pin(async move {
            self.link.enter(Op::CommitOffsets).await?;
            // Nobody waits for a commit: nobody is woken.
            let mut state = self.link.shared.look();
            state.commit_offsets(&self.group, &self.id, self.generation, offsets)
        })
    }

    fn leave(self: Box<Self>, _deadline: Duration) -> Fut<'static, ()> {
        Box::pin(async move {
            self.link.enter(Op::Leave).await?;
            self.go();
            Ok(())
        })
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        self.go();
    }
}
