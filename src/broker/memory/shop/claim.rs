//! What the shop has made on a real cluster, and the proof of it: nothing else is ever touched.
//!
//! The proof is a topic, `<prefix>control`: its record `made-by` says that this program made it, and it holds the id of
//! every topic that was made after it. A topic with one of the shop's names and another id, or none there, belongs to
//! somebody else. The same topic carries words to a shop that runs elsewhere (`repair:<cause>`). Limit: a process
//! that dies between making a topic and noting its id leaves a topic that nobody claims; it is refused, not deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Cause, groups, topics};
use crate::broker::{
    Broker, BrokerError, ErrorKind, Name, NewTopic, Notice, ReadPlan, SessionKind, Shard, Span, TopicId,
    Until, Write, Writer,
};
use crate::event::{Headers, Record};

const MADE_BY: &str = "made-by";
const PROGRAM: &str = "redrive demo";
const TOPIC: &str = "topic:";
const REPAIR: &str = "repair:";

/// How long a new topic may take to be usable.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is there of a shop with one prefix.
pub struct Claim {
    broker: Arc<dyn Broker>,
    prefix: String,
    control: Name,
    /// Whether the control topic is there (and is this program's).
    exists: bool,
    /// Topics that are there and were made by this program.
    made: BTreeMap<Name, TopicId>,
}

impl Claim {
    /// Looks at the cluster; writes nothing. Refused where a topic of the shop's names is somebody else's.
    pub async fn look(broker: Arc<dyn Broker>, prefix: &str) -> Result<Self, BrokerError> {
        let control: Name = format!("{prefix}control").into();
        let names: Vec<Name> =
            topics(prefix).into_iter().map(|t| t.name).chain([Arc::clone(&control)]).collect();
        let found = broker.catalog().topics(Some(&names)).await?;
        let mut claim =
            Self { broker, prefix: prefix.to_owned(), control, exists: false, made: BTreeMap::new() };
        let mut noted: BTreeMap<Name, String> = BTreeMap::new();
        if found.iter().any(|t| t.name == claim.control) {
            let records = claim.control_records().await?;
            let own = |r: &Record| r.key.as_deref() == Some(MADE_BY.as_bytes());
            if !records.iter().any(|r| own(r) && r.value.as_deref() == Some(PROGRAM.as_bytes())) {
                return Err(foreign(&claim.control));
            }
            claim.exists = true;
            for record in records {
                let (Some(key), Some(value)) = (text(record.key.as_ref()), text(record.value.as_ref()))
                else {
                    continue;
                };
                if let Some(topic) = key.strip_prefix(TOPIC) {
                    noted.insert(topic.into(), value);
                }
            }
        }
        let there: Vec<Name> =
            found.into_iter().map(|t| t.name).filter(|name| *name != claim.control).collect();
        let ids = claim.broker.catalog().topic_ids(&there).await?;
        for (name, id) in there.into_iter().zip(ids) {
            let id = id?;
            if noted.get(&name).is_none_or(|noted| **noted != *id.0) {
                return Err(foreign(&name));
            }
            claim.made.insert(name, id);
        }
        Ok(claim)
    }

    /// Topics that [`Self::make`] would make, the control topic first.
    pub fn missing(&self) -> Vec<NewTopic> {
        let control = (!self.exists).then(|| NewTopic {
            name: Arc::clone(&self.control),
            partitions: 1,
            replication: None,
            config: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
        });
        let rest = topics(&self.prefix).into_iter().filter(|t| !self.made.contains_key(&t.name));
        control.into_iter().chain(rest).collect()
    }

    /// Whether a shop was ever made here.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Topics that were made, without the control topic.
    pub fn made(&self) -> impl Iterator<Item = &Name> {
        self.made.keys()
    }

    /// Makes what is missing, and notes that it did.
    pub async fn make(&mut self) -> Result<(), BrokerError> {
        for topic in self.missing() {
            let mut made = self.writer()?.create_topics(std::slice::from_ref(&topic)).await?;
            made.pop().unwrap_or(Ok(()))?;
            let id = self.usable(&topic).await?;
            if topic.name == self.control {
                self.exists = true;
                self.note(MADE_BY, PROGRAM).await?;
            } else {
                self.note(&format!("{TOPIC}{}", topic.name), &id.0).await?;
                self.made.insert(topic.name, id);
            }
        }
        Ok(())
    }

    /// The groups of the shop that are there. Refused where one has members or commits elsewhere.
    pub async fn groups(&self) -> Result<Vec<Name>, BrokerError> {
        let Some(port) = self.broker.groups() else { return Ok(Vec::new()) };
        let there = port.list().await?;
        let own: Vec<Name> =
            groups(&self.prefix).into_iter().filter(|g| there.iter().any(|t| t.group == *g)).collect();
        let described = port.describe(&own).await?;
        let committed = port.committed(&own).await?;
        for ((group, described), committed) in own.iter().zip(described).zip(committed) {
            let what = format!("remove group {group}");
            if !described?.members.is_empty() {
                let error = BrokerError::new(ErrorKind::GroupActive, what, "the group has members");
                return Err(error.hint("stop the demonstration that runs, then try again"));
            }
            let ours = |shard: &Shard| self.made.contains_key(&shard.topic);
            if let Some((shard, _)) = committed?.iter().find(|(shard, _)| !ours(shard)) {
                let why = format!("it has commits on {}, which the demonstration did not make", shard.topic);
                return Err(BrokerError::new(ErrorKind::Invalid, what, why));
            }
        }
        Ok(own)
    }

    /// Removes the given groups and all topics that were made; the control topic last, so that it can be repeated.
    pub async fn remove(self, groups: &[Name]) -> Result<(), BrokerError> {
        let writer = self.writer()?;
        let gone = |answer: Result<(), BrokerError>| match answer {
            Err(e) if !matches!(e.kind, ErrorKind::UnknownGroup | ErrorKind::UnknownTopic) => Err(e),
            _ => Ok(()),
        };
        for answer in writer.delete_groups(groups).await? {
            gone(answer)?;
        }
        let names: Vec<Name> = self.made.keys().cloned().collect();
        for answer in writer.delete_topics(&names).await? {
            gone(answer)?;
        }
        for answer in writer.delete_topics(std::slice::from_ref(&self.control)).await? {
            gone(answer)?;
        }
        Ok(())
    }

    /// Tells a shop that runs elsewhere that a cause is repaired.
    pub async fn tell_repair(&self, cause: Cause) -> Result<(), BrokerError> {
        self.note(&format!("{REPAIR}{}", cause.name()), "now").await
    }

    /// Gives the causes that are repaired from elsewhere, from now on, one after another until `cancel`.
    pub async fn repairs(
        &self,
        mut take: impl FnMut(Cause) + Send,
        cancel: CancellationToken,
    ) -> Result<(), BrokerError> {
        let shard = Shard::new(Arc::clone(&self.control), 0);
        let bounds = self.broker.catalog().bounds(std::slice::from_ref(&shard)).await?;
        let from = bounds.into_iter().next().transpose()?.map_or(0, |b| b.end);
        let plan = ReadPlan::new(vec![Span { shard, from, until: Until::Follow }]);
        let mut batches = self.broker.reader().open(plan, cancel).await?;
        loop {
            match batches.next().await {
                Ok(Some(batch)) => {
                    for record in batch.records {
                        let key = text(record.key.as_ref()).unwrap_or_default();
                        if let Some(cause) = key.strip_prefix(REPAIR).and_then(Cause::named) {
                            take(cause);
                        }
                    }
                }
                Ok(None) => return Ok(()),
                Err(e) if e.kind == ErrorKind::Cancelled => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    fn writer(&self) -> Result<&dyn Writer, BrokerError> {
        let read_only = || BrokerError::new(ErrorKind::Authorisation, "write", "the connection is read-only");
        self.broker.writer().ok_or_else(read_only)
    }

    /// Waits until a new topic can be used, and gives its id.
    async fn usable(&self, topic: &NewTopic) -> Result<TopicId, BrokerError> {
        let catalog = self.broker.catalog();
        let shards: Vec<Shard> =
            (0..topic.partitions).map(|p| Shard::new(Arc::clone(&topic.name), p)).collect();
        let wait = async {
            loop {
                let bounds = catalog.bounds(&shards).await?;
                let id = catalog.topic_ids(std::slice::from_ref(&topic.name)).await?.pop();
                if let (true, Some(Ok(id))) = (bounds.iter().all(Result::is_ok), id) {
                    return Ok(id);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let late = |_| {
            let why = "its partitions have no leaders yet";
            BrokerError::new(ErrorKind::TimedOut, format!("create topic {}", topic.name), why).retryable()
        };
        tokio::time::timeout(PATIENCE, wait).await.map_err(late)?
    }

    async fn note(&self, key: &str, value: &str) -> Result<(), BrokerError> {
        let mut session = self.writer()?.begin(SessionKind::Idempotent).await?;
        let write = Write {
            topic: Arc::clone(&self.control),
            partition: Some(0),
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Headers::default(),
            timestamp: None,
        };
        session.stage(write).await?;
        session.settle().await?.into_iter().try_for_each(|(_, placed)| placed.map(drop))
    }

    async fn control_records(&self) -> Result<Vec<Record>, BrokerError> {
        let span = Span { shard: Shard::new(Arc::clone(&self.control), 0), from: 0, until: Until::End };
        let mut batches =
            self.broker.reader().open(ReadPlan::new(vec![span]), CancellationToken::new()).await?;
        let mut records = Vec::new();
        while let Some(batch) = batches.next().await? {
            records.extend(batch.records);
            if let Some(error) = batch.notices.into_iter().find_map(|n| match n {
                Notice::Failed(_, error) => Some(error),
                _ => None,
            }) {
                return Err(error);
            }
        }
        Ok(records)
    }
}

fn text(bytes: Option<&Bytes>) -> Option<String> {
    String::from_utf8(bytes?.to_vec()).ok()
}

fn foreign(topic: &Name) -> BrokerError {
    let why = "it exists, and nothing proves that this program made it";
    BrokerError::new(ErrorKind::AlreadyExists, format!("use topic {topic}"), why)
        .hint("choose another --prefix; nothing was touched")
}

#[cfg(test)]
mod tests {
    use super::super::super::MemoryBroker;
    use super::*;
    use crate::text::SystemClock;

    const PREFIX: &str = "redrive-demo.";

    fn broker() -> Arc<dyn Broker> {
        MemoryBroker::new(Arc::new(SystemClock::default()), 16 << 20).broker()
    }

    async fn look(broker: &Arc<dyn Broker>) -> Result<Claim, BrokerError> {
        Claim::look(Arc::clone(broker), PREFIX).await
    }

    async fn names(broker: &Arc<dyn Broker>) -> Vec<Name> {
        broker.catalog().topics(None).await.unwrap().into_iter().map(|t| t.name).collect()
    }

    #[tokio::test]
    async fn what_was_made_is_known_again_and_removed_and_nothing_else() {
        let broker = broker();
        let other = NewTopic { name: "orders".into(), partitions: 1, replication: None, config: Vec::new() };
        broker.writer().unwrap().create_topics(&[other]).await.unwrap();
        let mut claim = look(&broker).await.unwrap();
        assert!(!claim.exists());
        assert_eq!(claim.missing().len(), topics(PREFIX).len() + 1);
        claim.make().await.unwrap();
        let again = look(&broker).await.unwrap();
        assert!(again.exists());
        assert_eq!(again.missing(), []);
        let groups = again.groups().await.unwrap();
        again.remove(&groups).await.unwrap();
        assert_eq!(names(&broker).await, [Name::from("orders")]);
    }

    #[tokio::test]
    async fn a_topic_that_somebody_else_made_is_never_used() {
        let broker = broker();
        let foreign = |name: &str| NewTopic {
            name: format!("{PREFIX}{name}").into(),
            partitions: 1,
            replication: None,
            config: Vec::new(),
        };
        let writer = broker.writer().unwrap();
        writer.create_topics(&[foreign("orders")]).await.unwrap();
        assert_eq!(look(&broker).await.err().map(|e| e.kind), Some(ErrorKind::AlreadyExists));
        writer.delete_topics(&[foreign("orders").name]).await.unwrap();
        writer.create_topics(&[foreign("control")]).await.unwrap();
        assert_eq!(look(&broker).await.err().map(|e| e.kind), Some(ErrorKind::AlreadyExists));
        writer.delete_topics(&[foreign("control").name]).await.unwrap();

        // One that was made, deleted, and made again by somebody else has another id.
        look(&broker).await.unwrap().make().await.unwrap();
        writer.delete_topics(&[foreign("orders").name]).await.unwrap();
        writer.create_topics(&[foreign("orders")]).await.unwrap();
        assert_eq!(look(&broker).await.err().map(|e| e.kind), Some(ErrorKind::AlreadyExists));
        assert_eq!(names(&broker).await.len(), topics(PREFIX).len() + 1);
    }

    #[tokio::test]
    async fn a_repair_reaches_a_shop_that_runs_elsewhere() {
        let broker = broker();
        let mut claim = look(&broker).await.unwrap();
        claim.make().await.unwrap();
        let (heard, mut hears) = tokio::sync::mpsc::channel(1);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let listening = look(&broker).await.unwrap();
        let task =
            tokio::spawn(
                async move { listening.repairs(|cause| heard.try_send(cause).unwrap(), stop).await },
            );
        tokio::time::sleep(Duration::from_millis(50)).await;
        claim.tell_repair(Cause::MissingSku).await.unwrap();
        assert_eq!(hears.recv().await, Some(Cause::MissingSku));
        cancel.cancel();
        task.await.unwrap().unwrap();
    }
}
