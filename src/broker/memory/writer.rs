//! Writing: sessions with and without transactions, and what changes topics and groups.
//!
//! A session queues records and hands them over in batches, as a Kafka client does; offsets are known after
//! [`Session::settle`]. A session that is dropped leaves its transaction open, as a process that died would.

use std::sync::Arc;

use super::Link;
use super::fault::{Lost, Op};
use super::groups::unknown_group;
use super::log::Data;
use super::members;
use super::state::{Now, State, absent, check_name};
use super::transactions::LONGEST_TIMEOUT;
use crate::broker::{
    BrokerError, Commit, Each, ErrorKind, Fut, Guarantee, Membership, Name, NewTopic, Placed, Session,
    SessionKind, Shard, Ticket, Write, Writer,
};
use crate::event::murmur2;

/// A session hands its queue over when it holds so much.
const QUEUE_RECORDS: usize = 512;
const QUEUE_BYTES: usize = 1 << 20;

type Answers = Vec<(Ticket, Result<Placed, BrokerError>)>;

struct MemorySession {
    link: Link,
    /// Transactional id and epoch.
    transaction: Option<(String, u64)>,
    queue: Vec<(Ticket, Write)>,
    queued_bytes: usize,
    answers: Answers,
    next_ticket: u64,
    /// Where the next record without a key goes.
    round_robin: i32,
    /// The first refusal since the last end of a transaction.
    refused: Option<BrokerError>,
    dead: Option<BrokerError>,
}

impl MemorySession {
    fn usable(&self) -> Result<(), BrokerError> {
        self.dead.clone().map_or(Ok(()), Err)
    }

    /// Hands the queue over.
    fn send(&mut self) -> Result<(), BrokerError> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.link.shared);
        let sent = shared.change(|state, now| self.append_all(state, now));
        if let Err(error) = &sent {
            self.dead = Some(error.clone());
        }
        sent
    }

    fn append_all(&mut self, state: &mut State, now: Now) -> Result<(), BrokerError> {
        if let Some((id, epoch)) = &self.transaction {
            state.check_epoch(id, *epoch)?;
        }
        self.queued_bytes = 0;
        for (ticket, write) in std::mem::take(&mut self.queue) {
            let placed = self.append_one(state, now, write);
            if let Err(error) = &placed {
                self.refused.get_or_insert_with(|| error.clone());
            }
            self.answers.push((ticket, placed));
        }
        Ok(())
    }

    fn append_one(&mut self, state: &mut State, now: Now, write: Write) -> Result<Placed, BrokerError> {
        check_name(&write.topic, "produce")?;
        let count = state.topic(&write.topic, "produce")?.partitions.len();
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let partition = match (write.partition, &write.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => murmur2::partition(key, count).unwrap_or(0),
            (None, None) => {
                self.round_robin = self.round_robin.wrapping_add(1) & i32::MAX;
                self.round_robin % count.max(1)
            }
        };
        let shard = Shard::new(write.topic, partition);
        let data = Data { key: write.key, value: write.value, headers: write.headers };
        state.make_room(data.size())?;
        match &self.transaction {
            Some((id, _)) => state.append_in(id, &shard, data, write.timestamp, now),
            None => state.append(&shard, data, write.timestamp, now.wall, None),
        }
    }

    /// Ends the transaction in the broker.
    fn end(&mut self, commit: bool) -> Result<(), BrokerError> {
        let Some((id, epoch)) = &self.transaction else { return Ok(()) };
        self.link.shared.change(|state, now| {
            state.check_epoch(id, *epoch)?;
            state.end_open(id, commit, now.wall);
            Ok(())
        })
    }

    fn try_commit(&mut self) -> Commit {
        if let Err(error) = self.send() {
            return Commit::Fenced(error);
        }
        if let Some(error) = self.refused.clone() {
            if self.transaction.is_none() {
                self.refused = None;
            }
            return Commit::Aborted(error);
        }
        match self.end(true) {
            Ok(()) => Commit::Done,
            Err(error) => Commit::Fenced(error),
        }
    }

    fn lost(&mut self, error: BrokerError) -> Commit {
        self.dead = Some(error.clone());
        Commit::Unknown(error)
    }
}

impl Session for MemorySession {
    fn guarantee(&self) -> Guarantee {
        match self.transaction {
            Some(_) => Guarantee::ExactlyOnceReadCommitted,
            None => Guarantee::AtLeastOnceChecked,
        }
    }

    fn stage(&mut self, write: Write) -> Fut<'_, Ticket> {
        Box::pin(async move {
            self.link.enter(Op::Stage).await?;
            self.usable()?;
            if self.transaction.is_some()
                && let Some(refused) = &self.refused
            {
                let why = format!("the transaction can only be aborted: {}", refused.why);
                return Err(BrokerError::new(ErrorKind::Other, "produce", why));
            }
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.queued_bytes += write.key.as_ref().map_or(0, bytes::Bytes::len)
                + write.value.as_ref().map_or(0, bytes::Bytes::len);
            self.queue.push((ticket, write));
            if self.queue.len() >= QUEUE_RECORDS || self.queued_bytes >= QUEUE_BYTES {
                self.send()?;
            }
            Ok(ticket)
        })
    }

    fn settle_to(&mut self, _left: usize) -> Fut<'_, Answers> {
        Box::pin(async move {
            self.link.enter(Op::Settle).await?;
            self.usable()?;
            self.send()?;
            Ok(std::mem::take(&mut self.answers))
        })
    }

    fn commit(&mut self) -> Fut<'_, Commit> {
        Box::pin(async move {
            let lost = match self.link.enter(Op::Commit).await {
                Ok(lost) => lost,
                Err(error) => {
                    return Ok(match error.kind {
                        ErrorKind::Unreachable | ErrorKind::TimedOut => self.lost(error),
                        ErrorKind::Fenced => {
                            self.dead = Some(error.clone());
                            Commit::Fenced(error)
                        }
                        _ => Commit::Aborted(error),
                    });
                }
            };
            self.usable()?;
            if let Some(lost) = lost {
                if lost == Lost::Answer
                    && let refused @ (Commit::Aborted(_) | Commit::Fenced(_)) = self.try_commit()
                {
                    return Ok(refused);
                }
                let error = BrokerError::new(ErrorKind::TimedOut, "commit", "no answer in time");
                return Ok(self.lost(error));
            }
            let done = self.try_commit();
            if let Commit::Fenced(error) = &done {
                self.dead = Some(error.clone());
            }
            Ok(done)
        })
    }

    fn abort(&mut self) -> Fut<'_, ()> {
        Box::pin(async move {
            self.link.enter(Op::Abort).await?;
            self.usable()?;
            self.queue.clear();
            self.queued_bytes = 0;
            self.answers.clear();
            self.refused = None;
            self.end(false).inspect_err(|error| self.dead = Some(error.clone()))
        })
    }
}

impl Writer for Link {
    fn begin(&self, kind: SessionKind) -> Fut<'_, Box<dyn Session>> {
        Box::pin(async move {
            self.enter(Op::Begin).await?;
            let transaction = match kind {
                SessionKind::Idempotent => None,
                SessionKind::Transactional { id, timeout } => {
                    let what = format!("begin transactions {id}");
                    if id.is_empty() {
                        return Err(BrokerError::new(ErrorKind::Invalid, what, "the id is empty"));
                    }
                    if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
                        let why = "the time-out is not between 1 ms and transaction.max.timeout.ms (15 min)";
                        return Err(BrokerError::new(ErrorKind::Invalid, what, why));
                    }
                    let epoch = self.shared.change(|state, now| state.begin_producer(&id, timeout, now));
                    Some((id, epoch))
                }
            };
            Ok(Box::new(MemorySession {
                link: self.clone(),
                transaction,
                queue: Vec::new(),
                queued_bytes: 0,
                answers: Vec::new(),
                next_ticket: 0,
                round_robin: -1,
                refused: None,
                dead: None,
            }) as Box<dyn Session>)
        })
    }

    fn create_topics<'a>(&'a self, topics: &'a [NewTopic]) -> Fut<'a, Each<()>> {
        self.alter(Op::CreateTopics, move |state, _| topics.iter().map(|t| state.create(t)).collect())
    }

    fn check_topics<'a>(&'a self, topics: &'a [NewTopic]) -> Fut<'a, Each<()>> {
        self.alter(Op::CheckTopics, move |state, _| {
            topics.iter().map(|topic| state.check(topic).map(drop)).collect()
        })
    }

    fn delete_topics<'a>(&'a self, topics: &'a [Name]) -> Fut<'a, Each<()>> {
        self.alter(Op::DeleteTopics, move |state, _| topics.iter().map(|t| state.delete(t)).collect())
    }

    fn delete_groups<'a>(&'a self, groups: &'a [Name]) -> Fut<'a, Each<()>> {
        self.alter(Op::DeleteGroups, move |state, _| {
            let mut delete = |name: &Name| {
                let what = format!("delete group {name}");
                let group = state.groups.get(name).ok_or_else(|| unknown_group(name, &what))?;
                if group.is_active() {
                    return Err(active(what));
                }
                state.groups.remove(name);
                Ok(())
            };
            groups.iter().map(&mut delete).collect()
        })
    }

    fn delete_before<'a>(&'a self, before: &'a [(Shard, i64)]) -> Fut<'a, Each<()>> {
        self.alter(Op::DeleteBefore, move |state, _| {
            let mut delete = |(shard, offset): &(Shard, i64)| {
                let what = format!("delete records of {}[{}]", shard.topic, shard.partition);
                let bounds = state.partition(shard, &what)?.bounds();
                if *offset < 0 || *offset > bounds.end {
                    let why = format!("offset {offset} is not between 0 and {}", bounds.end);
                    return Err(BrokerError::new(ErrorKind::OffsetOutOfRange, what, why));
                }
                let topic = state.topics.get_mut(&shard.topic);
                let partition = usize::try_from(shard.partition).unwrap_or(usize::MAX);
                if let Some(partition) = topic.and_then(|t| t.partitions.get_mut(partition)) {
                    state.bytes -= partition.trim(*offset);
                }
                Ok(())
            };
            before.iter().map(&mut delete).collect()
        })
    }

    fn alter_offsets<'a>(&'a self, group: &'a Name, offsets: &'a [(Shard, i64)]) -> Fut<'a, Each<()>> {
        self.alter(Op::AlterOffsets, move |state, _| {
            let what = format!("set offsets of group {group}");
            let mut set = |(shard, offset): &(Shard, i64)| {
                state.partition(shard, &what)?;
                if *offset < 0 {
                    let why = format!("offset {offset} is negative");
                    return Err(BrokerError::new(ErrorKind::Invalid, what.clone(), why));
                }
                let group = state.groups.entry(group.clone()).or_default();
                if group.is_active() {
                    return Err(active(what.clone()));
                }
                group.commit(shard.clone(), *offset);
                Ok(())
            };
            offsets.iter().map(&mut set).collect()
        })
    }

    fn delete_offsets<'a>(&'a self, group: &'a Name, of: &'a [Shard]) -> Fut<'a, Each<()>> {
        self.alter(Op::DeleteOffsets, move |state, _| {
            let what = format!("delete offsets of group {group}");
            let mut delete = |shard: &Shard| {
                state.partition(shard, &what)?;
                let known = state.groups.get_mut(group).ok_or_else(|| unknown_group(group, &what))?;
                if known.is_active() {
                    return Err(active(what.clone()));
                }
                known.forget(shard);
                Ok(())
            };
            of.iter().map(&mut delete).collect()
        })
    }

    fn join<'a>(
        &'a self,
        group: &'a Name,
        client_id: &'a str,
        topics: &'a [Name],
    ) -> Fut<'a, Box<dyn Membership>> {
        Box::pin(async move {
            self.enter(Op::Join).await?;
            let what = format!("join group {group}");
            if group.is_empty() || topics.is_empty() {
                let why = "a group needs a name, and its member topics";
                return Err(BrokerError::new(ErrorKind::Invalid, what, why));
            }
            let joined = self.shared.change(|state, _| {
                if let Some(missing) = topics.iter().find(|t| !state.topics.contains_key(*t)) {
                    return Err(absent(missing, &what));
                }
                Ok(state.join(group, client_id, topics))
            });
            Ok(members::membership(self.clone(), group.clone(), joined?))
        })
    }
}

fn active(what: String) -> BrokerError {
    BrokerError::new(ErrorKind::GroupActive, what, "the group has members").hint("stop its consumers first")
}
