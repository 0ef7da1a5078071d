//! What the cases work with: a broker, names of their own, and short words for what they do often.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redrive::broker::memory::MemoryBroker;
use redrive::broker::{
    Batches, Bounds, Broker, BrokerError, Commit, ErrorKind, Isolation, Name, NewTopic, Notice, Placed,
    ReadPlan, Session, SessionKind, Shard, Span, Until, Write,
};
use redrive::config::profile::Profile;
use redrive::event::{Headers, Record};
use redrive::text::{Clock, SystemClock, Timestamp};
use tokio_util::sync::CancellationToken;

/// How long anything may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

type Compact = Box<dyn Fn(Name) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A broker under test.
pub struct Bench {
    pub broker: Arc<dyn Broker>,
    pub read_only: Arc<dyn Broker>,
    /// Random topics that a property is tried on.
    pub cases: u32,
    /// Compacts a topic, or waits until the broker has done it.
    compact: Compact,
}

/// The embedded broker.
#[expect(clippy::unused_async, reason = "every bench is awaited")]
pub async fn memory() -> Bench {
    let memory = MemoryBroker::new(Arc::new(SystemClock::default()), 64 << 20);
    let (broker, read_only) = (memory.broker(), memory.read_only());
    let compact: Compact = Box::new(move |topic| {
        memory.compact(&topic);
        Box::pin(async {})
    });
    Bench { broker, read_only, cases: 32, compact }
}

/// A real Kafka.
pub async fn kafka() -> Bench {
    let brokers =
        std::env::var("REDRIVE_TEST_BROKERS").expect("REDRIVE_TEST_BROKERS names a Kafka; use tests/run");
    let mut profile = Profile::new("conformance", brokers.split(',').map(str::to_owned).collect());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let broker = redrive::wire::connect(&profile, Arc::clone(&clock)).await.unwrap();
    profile.read_only = true;
    let read_only = redrive::wire::connect(&profile, clock).await.unwrap();
    // The cleaner works by itself every half second; the reader's case waits for the gap.
    Bench {
        broker,
        read_only,
        cases: 4,
        compact: Box::new(|_| Box::pin(tokio::time::sleep(Duration::from_millis(500)))),
    }
}

/// A record's bytes without headers.
pub fn write(shard: &Shard, key: Option<&str>, value: Option<&str>) -> Write {
    let bytes = |text: Option<&str>| text.map(|t| Bytes::copy_from_slice(t.as_bytes()));
    Write {
        topic: Arc::clone(&shard.topic),
        partition: Some(shard.partition),
        key: bytes(key),
        value: bytes(value),
        headers: Headers::default(),
        timestamp: None,
    }
}

/// A name that no other test uses.
pub fn unique(what: &str) -> Name {
    format!("conformance-{what}-{}", uuid::Uuid::new_v4().simple()).into()
}

/// Fails when nothing comes for too long.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The values of records as text.
pub fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8(r.value.clone().unwrap_or_default().to_vec()).unwrap()).collect()
}

/// The offsets of records.
pub fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|r| r.at.offset).collect()
}

/// What a read brought.
#[derive(Default)]
pub struct Seen {
    pub records: Vec<Record>,
    pub notices: Vec<Notice>,
    pub positions: Vec<(Shard, i64)>,
}

impl Seen {
    /// The last position told of a partition.
    pub fn position(&self, shard: &Shard) -> Option<i64> {
        self.positions.iter().rev().find(|(s, _)| s == shard).map(|(_, p)| *p)
    }
}

/// Whether the adapter can do a thing; a refusal is printed with its reason.
pub fn can(what: &str, support: &redrive::broker::Support) -> bool {
    let can = support.usable();
    if !can {
        assert!(
            matches!(support, redrive::broker::Support::No(reason) if !reason.is_empty()),
            "{what} is not there, and nobody says why"
        );
        eprintln!("{what}: {support:?}");
    }
    can
}

impl Bench {
    /// Makes a topic and waits until it can be used.
    pub async fn topic(&self, partitions: i32, config: &[(&str, &str)]) -> Name {
        let name = unique("topic");
        self.make(&name, partitions, config).await.unwrap();
        self.ready(&name, partitions).await;
        name
    }

    /// Makes a topic of this name.
    pub async fn make(
        &self,
        name: &Name,
        partitions: i32,
        config: &[(&str, &str)],
    ) -> Result<(), BrokerError> {
        let new = NewTopic {
            name: Arc::clone(name),
            partitions,
            replication: Some(1),
            config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        };
        only(self.broker.writer().unwrap().create_topics(&[new]).await.unwrap())
    }

    /// Waits until all leaders of a topic answer.
    pub async fn ready(&self, name: &Name, partitions: i32) {
        let shards: Vec<Shard> = (0..partitions).map(|p| Shard::new(Arc::clone(name), p)).collect();
        soon("leaders of a new topic", async {
            while self.broker.catalog().bounds(&shards).await.is_ok_and(|all| all.iter().any(Result::is_err))
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// The offsets of a partition.
    pub async fn bounds(&self, shard: &Shard) -> Bounds {
        only(self.broker.catalog().bounds(std::slice::from_ref(shard)).await.unwrap()).unwrap()
    }

    /// Waits until the ends of transactions are in the log up to `end`: Kafka answers a commit before it has
    /// written the markers.
    pub async fn stable(&self, shard: &Shard, end: i64) {
        soon("the markers of a transaction", async {
            while self.bounds(shard).await.last_stable != end {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Writes without a transaction and gives the places.
    pub async fn put(&self, writes: impl IntoIterator<Item = Write>) -> Vec<Placed> {
        let mut session = self.broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
        let places = stage(&mut *session, writes).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(session.commit().await.unwrap(), Commit::Done);
        places
    }

    /// Begins a transactional session.
    pub async fn transaction(&self, id: &str) -> Box<dyn Session> {
        let kind = SessionKind::Transactional { id: id.to_owned(), timeout: Duration::from_secs(60) };
        soon("a transactional session", self.broker.writer().unwrap().begin(kind)).await.unwrap()
    }

    /// Opens a read.
    pub async fn open(
        &self,
        spans: Vec<Span>,
        isolation: Isolation,
        cancel: &CancellationToken,
    ) -> Box<dyn Batches> {
        let plan = ReadPlan { isolation, ..ReadPlan::new(spans) };
        self.broker.reader().open(plan, cancel.clone()).await.unwrap()
    }

    /// Reads spans to their ends.
    pub async fn read_as(&self, spans: Vec<Span>, isolation: Isolation) -> Seen {
        let mut batches = self.open(spans, isolation, &CancellationToken::new()).await;
        let mut seen = Seen::default();
        while let Some(batch) = soon("the end of a read", batches.next()).await.unwrap() {
            seen.records.extend(batch.records);
            seen.notices.extend(batch.notices);
            seen.positions.extend(batch.positions);
        }
        seen
    }

    /// Reads spans to their ends, committed records only.
    pub async fn read(&self, spans: Vec<Span>) -> Seen {
        self.read_as(spans, Isolation::ReadCommitted).await
    }

    /// Compacts.
    pub async fn compact(&self, topic: &Name) {
        (self.compact)(Arc::clone(topic)).await;
    }
}

/// A span to the end.
pub fn whole(shard: &Shard) -> Span {
    Span { shard: shard.clone(), from: 0, until: Until::End }
}

/// The one answer.
pub fn only<T>(mut each: Vec<Result<T, BrokerError>>) -> Result<T, BrokerError> {
    assert_eq!(each.len(), 1, "one thing was asked");
    each.pop().unwrap()
}

/// Stages records and waits for their answers, in the order in which they were staged.
pub async fn stage(
    session: &mut dyn Session,
    writes: impl IntoIterator<Item = Write>,
) -> Vec<Result<Placed, BrokerError>> {
    let mut tickets = Vec::new();
    for write in writes {
        tickets.push(soon("room to stage", session.stage(write)).await.unwrap());
    }
    let mut answers = soon("delivery reports", session.settle()).await.unwrap();
    answers.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(answers.iter().map(|(t, _)| *t).collect::<Vec<_>>(), tickets, "each record is answered once");
    answers.into_iter().map(|(_, placed)| placed).collect()
}

/// The sort of a refusal.
pub fn kind<T: std::fmt::Debug>(answer: Result<T, BrokerError>) -> ErrorKind {
    answer.expect_err("a refusal was expected").kind
}

/// The time now, in milliseconds.
pub fn now() -> Timestamp {
    SystemClock::default().now()
}
