//! What the tests share: where the broker is, profiles for its listeners, and names of their own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redrive::broker::{
    Broker, Commit, Each, ErrorKind, Name, NewTopic, Placed, ReadPlan, Session, SessionKind, Shard, Span,
    Write,
};
use redrive::config::profile::{Profile, Protocol};
use redrive::event::{Headers, Record};
use redrive::text::{Fault, SystemClock};
use tokio_util::sync::CancellationToken;

/// How long anything may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A variable that `tests/broker env` prints.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; use tests/run, or tests/broker env"))
}

/// A program of Kafka's, which the tests run as Java.
pub fn java(class: &str) -> Command {
    let class_path = Command::new("tests/broker").arg("classpath").output().unwrap();
    assert!(class_path.status.success());
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp"])
        .arg(String::from_utf8(class_path.stdout).unwrap().trim())
        .arg(class);
    java
}

/// A file among the test certificates.
pub fn certificate(name: &str) -> PathBuf {
    PathBuf::from(variable("REDRIVE_TEST_CERTIFICATES")).join(name)
}

/// A profile for the listener that `variable` names.
pub fn profile(listener: &str, protocol: Protocol) -> Profile {
    let brokers = variable(listener).split(',').map(str::to_owned).collect();
    let mut profile = Profile::new("test", brokers);
    profile.connection.protocol = protocol;
    profile
}

/// Connects.
pub async fn connect(profile: &Profile) -> Result<Arc<dyn Broker>, Fault> {
    redrive::wire::connect(profile, Arc::new(SystemClock::default())).await
}

/// Connects to the plaintext listener.
pub async fn plain() -> Arc<dyn Broker> {
    connect(&profile("REDRIVE_TEST_BROKERS", Protocol::Plaintext)).await.unwrap()
}

/// Connects and asks something, so that the connection is seen to work.
pub async fn works(profile: &Profile) {
    let broker = connect(profile).await.unwrap_or_else(|fault| panic!("{fault} ({})", fault.hint));
    assert!(!broker.catalog().cluster().await.unwrap().id.is_empty());
}

/// Fails to connect with this sort of error, well before a default time-out, and with a hint.
#[expect(clippy::disallowed_methods, reason = "an operator waits on a real clock")]
pub async fn fails(profile: &Profile, kind: ErrorKind) -> Fault {
    let begin = Instant::now();
    let fault = connect(profile).await.err().expect("the connection must not succeed");
    assert_eq!(fault.code, kind.code(), "{fault} ({})", fault.hint);
    assert!(!fault.hint.is_empty(), "{fault}: what can be done?");
    let limit = profile.connection.timeout + Duration::from_secs(5);
    assert!(begin.elapsed() < limit, "told after {:?} only", begin.elapsed());
    eprintln!("{:?}: {fault} ({})", begin.elapsed(), fault.hint);
    fault
}

/// A name that no other test uses.
pub fn unique(what: &str) -> Name {
    format!("kafka-{what}-{}", uuid::Uuid::new_v4().simple()).into()
}

/// The one answer.
pub fn only<T>(mut each: Each<T>) -> Result<T, redrive::broker::BrokerError> {
    assert_eq!(each.len(), 1, "one thing was asked");
    each.pop().unwrap()
}

/// Fails when nothing comes for too long.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Makes a topic with one partition.
pub async fn topic(broker: &dyn Broker, config: &[(&str, &str)]) -> Shard {
    let new = NewTopic {
        name: unique("topic"),
        partitions: 1,
        replication: Some(1),
        config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    only(broker.writer().unwrap().create_topics(std::slice::from_ref(&new)).await.unwrap()).unwrap();
    ready(broker, &new.name, 1).await;
    Shard::new(new.name, 0)
}

/// Waits until a new topic can be used: a broker hears of it a moment after the controller has made it.
pub async fn ready(broker: &dyn Broker, name: &Name, partitions: i32) {
    let shards: Vec<Shard> = (0..partitions).map(|p| Shard::new(name.clone(), p)).collect();
    soon("a new topic", async {
        while broker.catalog().bounds(&shards).await.unwrap().iter().any(Result::is_err) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// A record to be written.
pub fn write(shard: &Shard, value: impl Into<Bytes>) -> Write {
    Write {
        topic: shard.topic.clone(),
        partition: Some(shard.partition),
        key: None,
        value: Some(value.into()),
        headers: Headers::default(),
        timestamp: None,
    }
}

/// Writes without a transaction.
pub async fn put(broker: &dyn Broker, writes: impl IntoIterator<Item = Write>) -> Vec<Placed> {
    let mut session = broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
    for write in writes {
        session.stage(write).await.unwrap();
    }
    let placed = session.settle().await.unwrap().into_iter().map(|(_, placed)| placed.unwrap()).collect();
    assert_eq!(session.commit().await.unwrap(), Commit::Done);
    placed
}

/// Begins a transactional session.
pub async fn transaction(broker: &dyn Broker, id: &str, timeout: Duration) -> Box<dyn Session> {
    let kind = SessionKind::Transactional { id: id.to_owned(), timeout };
    soon("a transactional session", broker.writer().unwrap().begin(kind)).await.unwrap()
}

/// Reads a plan to its end.
pub async fn read(broker: &dyn Broker, plan: ReadPlan) -> Vec<Record> {
    let mut batches = broker.reader().open(plan, CancellationToken::new()).await.unwrap();
    let mut records = Vec::new();
    while let Some(batch) = soon("the end of a read", batches.next()).await.unwrap() {
        records.extend(batch.records);
    }
    records
}

/// A span from the beginning to the end.
pub fn whole(shard: &Shard) -> Span {
    Span { shard: shard.clone(), from: 0, until: redrive::broker::Until::End }
}
