//! Everything that the embedded broker holds, behind one lock.
//!
//! One lock is enough: a call moves batches, never waits inside, and is short. What depends on time (retention,
//! compaction, transaction time-outs) is done when somebody looks, so that an idle broker costs nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::groups::GroupState;
use super::log::{Data, Partition};
use super::settings::Settings;
use super::transactions::Producer;
use crate::broker::{BrokerError, ErrorKind, Name, NewTopic, Placed, Shard, TopicId};
use crate::event::TimeKind;
use crate::text::Timestamp;

/// A partition count that no demonstration or test needs to pass.
const MOST_PARTITIONS: i32 = 10_000;

/// What Kafka adds around a lone record: the batch's header and the record's own lengths.
const BATCH_OVERHEAD: usize = 75;

#[derive(Debug)]
pub(super) struct Topic {
    pub id: TopicId,
    /// Tells a topic from a later one with the same name.
    pub serial: u64,
    pub settings: Settings,
    pub partitions: Vec<Partition>,
}

impl Topic {
    pub fn bytes(&self) -> usize {
        self.partitions.iter().map(|p| p.bytes).sum()
    }
}

/// Makes ids from a seed, the same ones for the same seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Ids(u64);

impl Ids {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 16 bytes as Kafka prints a `Uuid`.
    pub fn next(&mut self) -> Name {
        use base64::Engine as _;
        let mut bytes = [0; 16];
        let (head, tail) = bytes.split_at_mut(8);
        head.copy_from_slice(&self.word().to_be_bytes());
        tail.copy_from_slice(&self.word().to_be_bytes());
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes).into()
    }
}

/// The two times that a call begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub wall: Timestamp,
    pub steady: Duration,
}

#[derive(Debug)]
pub(super) struct State {
    pub cluster: Name,
    pub topics: BTreeMap<Name, Topic>,
    pub groups: BTreeMap<Name, GroupState>,
    pub producers: HashMap<String, Producer>,
    pub budget: usize,
    /// Cost of all entries of all topics.
    pub bytes: usize,
    pub ids: Ids,
    pub last_serial: u64,
    pub last_look: Option<Timestamp>,
    /// Transactions under way; while there are none nobody has to wait for a time-out.
    pub open_transactions: usize,
}

impl State {
    pub fn new(seed: u64, budget: usize) -> Self {
        let mut ids = Ids(seed);
        Self {
            cluster: ids.next(),
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            producers: HashMap::new(),
            budget,
            bytes: 0,
            ids,
            last_serial: 0,
            last_look: None,
            open_transactions: 0,
        }
    }

    pub fn serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    /// The topic, or why it cannot be had; `what` names the call.
    pub fn topic(&self, name: &Name, what: &str) -> Result<&Topic, BrokerError> {
        self.topics.get(name).ok_or_else(|| absent(name, what))
    }

    pub fn partition(&self, shard: &Shard, what: &str) -> Result<&Partition, BrokerError> {
        let topic = self.topic(&shard.topic, what)?;
        usize::try_from(shard.partition)
            .ok()
            .and_then(|p| topic.partitions.get(p))
            .ok_or_else(|| no_partition(shard, what))
    }

    /// Whether a topic can be made: its settings.
    pub fn check(&self, new: &NewTopic) -> Result<Settings, BrokerError> {
        let what = format!("create {}", new.name);
        let invalid = |why: String| Err(BrokerError::new(ErrorKind::Invalid, what.clone(), why));
        check_name(&new.name, &what)?;
        if self.topics.contains_key(&new.name) {
            let why = format!("Topic '{}' already exists.", new.name);
            return Err(BrokerError::new(ErrorKind::AlreadyExists, what, why));
        }
        if !(1..=MOST_PARTITIONS).contains(&new.partitions) {
            return invalid(format!("Number of partitions must be between 1 and {MOST_PARTITIONS}."));
        }
        if let Some(n) = new.replication.filter(|n| *n != 1) {
            return invalid(format!("Replication factor: {n} does not fit the one broker."));
        }
        Settings::new(&new.config, &what)
    }

    pub fn create(&mut self, new: &NewTopic) -> Result<(), BrokerError> {
        let settings = self.check(new)?;
        let partitions = (0..new.partitions).map(|_| Partition::new(settings.time)).collect();
        let topic = Topic { id: TopicId(self.ids.next()), serial: self.serial(), settings, partitions };
        self.topics.insert(new.name.clone(), topic);
        self.rebalance_readers_of(&new.name);
        Ok(())
    }

    pub fn delete(&mut self, name: &Name) -> Result<(), BrokerError> {
        let what = format!("delete {name}");
        let topic = self.topics.remove(name).ok_or_else(|| absent(name, &what))?;
        self.bytes -= topic.bytes();
        for group in self.groups.values_mut() {
            group.forget_topic(name);
        }
        self.rebalance_readers_of(name);
        Ok(())
    }

    /// Appends one record.
    pub fn append(
        &mut self,
        shard: &Shard,
        data: Data,
        time: Option<Timestamp>,
        now: Timestamp,
        producer: Option<u64>,
    ) -> Result<Placed, BrokerError> {
        let refused = |kind, why: String| {
            Err(BrokerError::new(kind, format!("produce to {}[{}]", shard.topic, shard.partition), why))
        };
        let Some(topic) = self.topics.get_mut(&shard.topic) else {
            return Err(absent(&shard.topic, "produce"));
        };
        let size = data.size() + BATCH_OVERHEAD + 4 * data.headers.len();
        let settings = &topic.settings;
        if size > settings.max_message_bytes {
            let most = settings.max_message_bytes;
            return refused(
                ErrorKind::TooLarge,
                format!("{size} bytes are more than max.message.bytes of the topic ({most})"),
            );
        }
        if settings.compact && data.key.is_none() {
            return refused(ErrorKind::Invalid, "a compacted topic cannot hold a record without key".into());
        }
        let time = match settings.time {
            TimeKind::LogAppend => now,
            TimeKind::Create => {
                let time = time.unwrap_or(now);
                if now.since(time) > settings.before_max_ms || time.since(now) > settings.after_max_ms {
                    return refused(
                        ErrorKind::Invalid,
                        format!("timestamp {time} is outside of the range that the topic allows"),
                    );
                }
                time
            }
        };
        let roll = settings.roll;
        let Some(partition) = usize::try_from(shard.partition).ok().and_then(|p| topic.partitions.get_mut(p))
        else {
            return Err(no_partition(shard, "produce"));
        };
        let (offset, cost) = partition.append(data, time, now, roll, producer);
        self.bytes += cost;
        Ok(Placed { partition: shard.partition, offset })
    }
}

pub(super) fn absent(topic: &Name, what: &str) -> BrokerError {
    let why = format!("topic {topic} does not exist");
    BrokerError::new(ErrorKind::UnknownTopic, what, why).hint("topics are never created by using them")
}

fn no_partition(shard: &Shard, what: &str) -> BrokerError {
    let why = format!("topic {} has no partition {}", shard.topic, shard.partition);
    BrokerError::new(ErrorKind::UnknownPartition, what, why)
}

/// Kafka's rule for names of topics (`org.apache.kafka.common.internals.Topic.validate`).
pub(super) fn check_name(name: &str, what: &str) -> Result<(), BrokerError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=249).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(fits) {
        return Ok(());
    }
    let why = "a topic's name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', and is not '.' or '..'";
    Err(BrokerError::new(ErrorKind::Invalid, what, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule_of_kafka() {
        for good in ["a", "orders-retry-0", "__redrive.ledger", &"x".repeat(249)] {
            assert_eq!(check_name(good, "t"), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ö", "a/b", "a\u{1b}", &"x".repeat(250)] {
            assert_eq!(check_name(bad, "t").unwrap_err().kind, ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn ids_are_the_same_for_the_same_seed_and_look_as_kafka_prints_them() {
        let (mut a, mut b) = (Ids(7), Ids(7));
        let first = a.next();
        assert_eq!(first, b.next());
        assert_ne!(first, a.next());
        assert_eq!(first.len(), 22);
    }
}
