//! Members of a group: they read what is assigned to them, and commit by hand.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::catalog::{c_name, exists};
use super::client::{Client, Context, named};
use super::copy::Copier;
use super::ffi::Look;
use super::{Ports, errors};
use crate::broker::{BrokerError, ErrorKind, Fut, Membership, Name, Shard};
use crate::event::Record;

/// Most records of one poll (Kafka's `max.poll.records`) and their bytes.
const POLL_RECORDS: usize = 500;
const POLL_BYTES: usize = 1 << 20;

/// How often is looked whether a poll under way has ended.
const RELEASE: Duration = Duration::from_millis(20);

struct Member {
    consumer: Client<BaseConsumer<Context>>,
    group: Name,
}

impl Ports {
    pub(super) async fn join_group(
        &self,
        group: &Name,
        client_id: &str,
        topics: &[Name],
    ) -> Result<Box<dyn Membership>, BrokerError> {
        let what = format!("join group {group}");
        if group.is_empty() || topics.is_empty() {
            let why = "a group needs a name, and its member topics";
            return Err(BrokerError::new(ErrorKind::Invalid, what, why));
        }
        c_name(group, &what)?;
        let sheets = self.sheets(&what, topics).await?;
        for topic in topics {
            exists(&sheets, &Shard::new(topic.clone(), 0)).map_err(|error| named(&what, error))?;
        }
        let mut config = self.link.properties();
        config
            .set("group.id", &**group)
            .set("client.id", client_id)
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        let consumer = self.link.consumer(&config)?;
        let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
        consumer.subscribe(&names).map_err(|error| errors::kafka(what.as_str(), &error))?;
        Ok(Box::new(Member { consumer, group: group.clone() }))
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BrokerError::new(ErrorKind::Other, what, error.to_string()))?
}

fn take(consumer: &BaseConsumer<Context>, what: &str, wait: Duration) -> Result<Vec<Record>, BrokerError> {
    let mut records: Vec<Record> = Vec::new();
    let mut copier = Copier::new(true);
    let mut bytes = 0;
    let mut topic: Name = "".into();
    let mut wait = wait;
    while records.len() < POLL_RECORDS && bytes < POLL_BYTES {
        match consumer.poll(wait) {
            None => break,
            Some(Ok(message)) => {
                let message = Look::of(&message);
                if *topic != *message.topic() {
                    topic = message.topic().into();
                }
                let record = copier.record(&topic, message);
                bytes += record.size();
                records.push(record);
                wait = Duration::ZERO;
            }
            // What is there already is not lost to an error behind it.
            Some(Err(error)) if records.is_empty() => return Err(errors::kafka(what, &error).retryable()),
            Some(Err(error)) => {
                tracing::warn!(%error, what);
                break;
            }
        }
    }
    Ok(records)
}

impl Membership for Member {
    fn poll(&mut self, wait: Duration) -> Fut<'_, Vec<Record>> {
        let (consumer, what) = (Arc::clone(&self.consumer), format!("poll for group {}", self.group));
        Box::pin(async move {
            let name = what.clone();
            blocking(&name, move || take(&consumer, &what, wait)).await
        })
    }

    fn commit<'a>(&'a mut self, offsets: &'a [(Shard, i64)]) -> Fut<'a, ()> {
        Box::pin(async move {
            if offsets.is_empty() {
                return Ok(());
            }
            let what = format!("commit of group {}", self.group);
            let mut list = TopicPartitionList::with_capacity(offsets.len());
            for (shard, offset) in offsets {
                list.add_partition_offset(&shard.topic, shard.partition, Offset::Offset(*offset))
                    .map_err(|error| errors::kafka(what.as_str(), &error))?;
            }
            let consumer = Arc::clone(&self.consumer);
            let name = what.clone();
            blocking(&name, move || commit(&consumer, &what, &list)).await
        })
    }

    fn leave(self: Box<Self>, deadline: Duration) -> Fut<'static, ()> {
        Box::pin(async move {
            let Self { consumer, group } = *self;
            let what = format!("leave group {group}");
            // Closing commits nothing, and tells the coordinator.
            let closing = async {
                let mut shared = consumer;
                // A poll whose caller did not wait for it still holds the consumer.
                let alone = loop {
                    match Arc::try_unwrap(shared) {
                        Ok(alone) => break alone,
                        Err(still) => shared = still,
                    }
                    tokio::time::sleep(RELEASE).await;
                };
                tokio::task::spawn_blocking(move || drop(alone.into_inner())).await
            };
            if tokio::time::timeout(deadline, closing).await.is_err() {
                let why = format!("it took longer than {} s", deadline.as_secs_f32());
                return Err(BrokerError::new(ErrorKind::TimedOut, what, why));
            }
            Ok(())
        })
    }
}

fn commit(
    consumer: &BaseConsumer<Context>,
    what: &str,
    list: &TopicPartitionList,
) -> Result<(), BrokerError> {
    let assigned = consumer.assignment().map_err(|error| errors::kafka(what, &error))?;
    let ours = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        assigned.find_partition(element.topic(), element.partition()).is_some()
    };
    if !list.elements().iter().all(ours) {
        let why = "the group rebalanced: partitions may belong to another member now";
        return Err(BrokerError::new(ErrorKind::Other, what, why).retryable());
    }
    consumer.commit(list, CommitMode::Sync).map_err(|error| errors::kafka(what, &error))
}
