//! The sampler on the embedded broker.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::broker::memory::MemoryBroker;
use crate::broker::memory::fault::Op;
use crate::broker::{Broker, Membership, NewTopic, SessionKind, Shard, Write};
use crate::config::profile::Profile;
use crate::context::Operator;
use crate::event::Headers;
use crate::observe::snapshot::{Role, Status};
use crate::text::Clock;

/// Runs with tokio's paused time.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_525_331_000 + self.0.elapsed().as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Bench {
    memory: Arc<MemoryBroker>,
    broker: Arc<dyn Broker>,
    cx: Cx,
}

fn bench() -> Bench {
    let clock: Arc<dyn Clock> = Arc::new(PausedClock(tokio::time::Instant::now()));
    let memory = MemoryBroker::new(Arc::clone(&clock), 64 << 20);
    let broker = memory.broker();
    let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
    let cx = Cx {
        broker: Arc::clone(&broker),
        clock,
        profile: Arc::new(Profile::new("t", vec![])),
        operator: Arc::new(operator),
    };
    Bench { memory, broker, cx }
}

impl Bench {
    fn sampler(&self) -> Sampler {
        Sampler::new(self.cx.clone(), Arc::new(|| None), Arc::new(|| None))
    }

    async fn create(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let config = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let topic = NewTopic { name: topic.into(), partitions, replication: None, config };
        self.broker.writer().unwrap().create_topics(&[topic]).await.unwrap().remove(0).unwrap();
    }

    async fn delete(&self, topic: &str) {
        self.broker.writer().unwrap().delete_topics(&[topic.into()]).await.unwrap().remove(0).unwrap();
    }

    async fn produce(&self, topic: &str, partition: i32, count: usize) {
        let kind = SessionKind::Idempotent;
        let mut session = self.broker.writer().unwrap().begin(kind).await.unwrap();
        for _ in 0..count {
            let write = Write {
                topic: topic.into(),
                partition: Some(partition),
                key: None,
                value: Some(Bytes::from_static(b"0123456789")),
                headers: Headers::default(),
                timestamp: None,
            };
            session.stage(write).await.unwrap();
        }
        assert!(session.settle().await.unwrap().iter().all(|(_, placed)| placed.is_ok()));
        session.commit().await.unwrap();
    }

    async fn join(&self, group: &str, topics: &[&str]) -> Box<dyn Membership> {
        let topics: Vec<Name> = topics.iter().map(|t| Name::from(*t)).collect();
        let mut member = self.broker.writer().unwrap().join(&group.into(), "c", &topics).await.unwrap();
        member.poll(Duration::ZERO).await.unwrap();
        member
    }
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn two_looks_give_rates_and_lags() {
    let b = bench();
    b.create("orders", 2, &[("retention.ms", "3600000")]).await;
    b.create("orders-dlt", 1, &[("cleanup.policy", "compact")]).await;
    b.produce("orders", 0, 10).await;
    let mut member = b.join("email", &["orders"]).await;
    member.commit(&[(Shard::new("orders", 0), 4)]).await.unwrap();
    let mut sampler = b.sampler();
    sampler.look_at(&Interest::default()).await.unwrap();
    seconds(2).await;
    b.produce("orders", 0, 20).await;
    b.produce("orders", 1, 10).await;
    member.commit(&[(Shard::new("orders", 0), 14)]).await.unwrap();
    sampler.look_at(&Interest::default()).await.unwrap();
    sampler.sip().await.unwrap();
    let picture = sampler.picture();
    assert_eq!(picture.window_seconds, Some(2.0));
    let orders = &picture.topics[0];
    assert_eq!((&*orders.name, orders.role, orders.records), ("orders", Role::Source, Some(40)));
    assert_eq!((orders.records_per_second, orders.bytes_per_second), (Some(15.0), Some(150.0)));
    assert_eq!((orders.retention_ms, orders.cleanup_policy.as_deref()), (Some(3_600_000), Some("delete")));
    assert_eq!(orders.dead_letter_topics, ["orders-dlt".into()]);
    assert_eq!((orders.worst_group.as_deref(), orders.worst_lag), (Some("email"), Some(16)));
    let dlt = &picture.topics[1];
    assert_eq!((dlt.role, dlt.retention_ms, dlt.records), (Role::DeadLetter, None, Some(0)));
    let email = &picture.groups[0];
    assert_eq!((email.lag, email.lag_unknown_partitions, email.members), (Some(16), 1, Some(1)));
    assert_eq!(
        (email.consumed_per_second, email.falls_behind),
        (Some(5.0), false),
        "one commit is no rate yet"
    );
    assert_eq!(email.status, Status::Unknown);
    assert_eq!(picture.totals.records_per_second, Some(15.0));
    assert_eq!(picture.totals.pending, None, "nothing is known of dead letters");
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_restarts_its_rates_and_things_that_vanish_leave() {
    let b = bench();
    b.create("orders", 1, &[]).await;
    b.create("other", 1, &[]).await;
    b.produce("orders", 0, 100).await;
    let mut sampler = b.sampler();
    sampler.look_at(&Interest::default()).await.unwrap();
    seconds(10).await;
    b.delete("orders").await;
    b.delete("other").await;
    b.create("orders", 3, &[]).await;
    b.produce("orders", 0, 500).await;
    sampler.look_at(&Interest::default()).await.unwrap();
    let picture = sampler.picture();
    assert_eq!(picture.topics.len(), 1);
    assert_eq!((picture.topics[0].partitions, picture.topics[0].records_per_second), (3, None));
    seconds(1).await;
    b.produce("orders", 2, 7).await;
    sampler.look_at(&Interest::default()).await.unwrap();
    assert_eq!(sampler.picture().topics[0].records_per_second, Some(7.0));
}

#[tokio::test(start_paused = true)]
async fn latency_runs_from_the_event_to_the_commit() {
    let b = bench();
    b.create("orders", 1, &[]).await;
    let mut member = b.join("email", &["orders"]).await;
    member.commit(&[(Shard::new("orders", 0), 0)]).await.unwrap();
    let mut sampler = b.sampler();
    sampler.look_at(&Interest::default()).await.unwrap();
    b.produce("orders", 0, 4).await;
    sampler.look_at(&Interest::default()).await.unwrap();
    sampler.sip().await.unwrap();
    seconds(3).await;
    member.commit(&[(Shard::new("orders", 0), 4)]).await.unwrap();
    sampler.look_at(&Interest::default()).await.unwrap();
    let picture = sampler.picture();
    let latency = picture.groups[0].latency_ms;
    assert_eq!(latency.samples, 4);
    assert!((latency.p50.unwrap() - 3000.0).abs() < 60.0, "{latency:?}");
    assert_eq!(picture.totals.latency.samples, 4);
}

#[tokio::test(start_paused = true)]
async fn old_lag_is_aged_by_one_read_of_its_first_record() {
    let b = bench();
    b.create("orders", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    b.produce("orders", 0, 50).await;
    let mut member = b.join("email", &["orders"]).await;
    member.commit(&[(Shard::new("orders", 0), 10)]).await.unwrap();
    seconds(100).await;
    let mut sampler = b.sampler();
    sampler.look_at(&Interest::default()).await.unwrap();
    assert_eq!(sampler.picture().groups[0].lag_seconds, None);
    sampler.sip().await.unwrap();
    let row = sampler.picture().groups[0].detail[0].clone();
    assert_eq!((row.lag_seconds, row.lag_seconds_basis), (Some(100.0), Some("log_append_time")));
    // The next read takes the tail, and then there is nothing left to be read.
    sampler.sip().await.unwrap();
    sampler.sip().await.unwrap();
    assert_eq!(b.memory.faults().calls_of(Op::Open), 2);
}

struct Watched {
    pictures: watch::Receiver<Arc<Snapshot>>,
    interest: watch::Sender<Interest>,
    refresh: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

fn watched(b: &Bench) -> Watched {
    let pictures = watch::Sender::new(Arc::new(Snapshot::empty(b.cx.clock.now())));
    let interest = watch::Sender::default();
    let refresh = Arc::new(Notify::new());
    let wants =
        Wants { interest: interest.subscribe(), refresh: Arc::clone(&refresh), letters: Arc::default() };
    let receiver = pictures.subscribe();
    let task = tokio::spawn(run(
        b.cx.clone(),
        Arc::new(|| None),
        Arc::new(|| None),
        wants,
        pictures,
        CancellationToken::new(),
    ));
    Watched { pictures: receiver, interest, refresh, task }
}

impl Watched {
    async fn until(&mut self, fits: impl FnMut(&Arc<Snapshot>) -> bool) -> Arc<Snapshot> {
        let wait = tokio::time::timeout(Duration::from_secs(600), self.pictures.wait_for(fits));
        Arc::clone(&*wait.await.expect("no such picture").unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_leaves_a_stale_picture_that_comes_back_by_itself() {
    let b = bench();
    b.create("orders", 1, &[]).await;
    let mut watched = watched(&b);
    let live = watched.until(|s| s.freshness == Freshness::Live).await;
    b.memory.faults().disconnect();
    let stale = watched.until(|s| matches!(s.freshness, Freshness::Stale { .. })).await;
    assert_eq!(stale.topics.len(), 1, "the last picture stays");
    let Freshness::Stale { since, why } = &stale.freshness else { unreachable!() };
    assert!(*since >= live.taken && why.contains("no broker answers"), "{since} {why}");
    seconds(60).await;
    let before = b.memory.faults().calls_of(Op::Topics);
    seconds(60).await;
    assert!(b.memory.faults().calls_of(Op::Topics) - before <= 7, "it backs off");
    b.memory.faults().reconnect();
    let back = watched.until(|s| s.freshness == Freshness::Live).await;
    assert!(back.generation > stale.generation);
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_asked_less_often_and_looks_never_pile_up() {
    let b = bench();
    b.create("orders", 1, &[]).await;
    b.memory.faults().slow(Duration::from_secs(3));
    let mut watched = watched(&b);
    watched.until(|s| s.freshness == Freshness::Live).await;
    let before = b.memory.faults().calls_of(Op::Topics);
    seconds(60).await;
    let calls = b.memory.faults().calls_of(Op::Topics) - before;
    // A look takes 6 s (two rounds of calls), and as long is paused.
    assert!((4..=6).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_the_screen_is_looked_at_more_often_than_the_rest() {
    let b = bench();
    b.create("orders", 1, &[]).await;
    b.create("other", 1, &[]).await;
    let mut watched = watched(&b);
    watched.until(|s| s.freshness == Freshness::Live).await;
    watched.interest.send_replace(Interest { topics: vec!["orders".into()], ..Interest::default() });
    seconds(1).await;
    let faults = b.memory.faults();
    let (bounds, topics) = (faults.calls_of(Op::Bounds), faults.calls_of(Op::Topics));
    seconds(60).await;
    let (bounds, topics) = (faults.calls_of(Op::Bounds) - bounds, faults.calls_of(Op::Topics) - topics);
    assert!((28..=31).contains(&bounds), "{bounds}");
    assert!((5..=7).contains(&topics), "{topics}");
    watched.interest.send_replace(Interest { away: true, ..Interest::default() });
    seconds(1).await;
    let before = faults.calls_of(Op::Bounds);
    seconds(60).await;
    let calls = faults.calls_of(Op::Bounds) - before;
    assert!((5..=7).contains(&calls), "{calls}");
    watched.refresh.notify_one();
    let shown = watched.pictures.borrow().generation;
    watched.until(|s| s.generation > shown).await;
    assert!(!watched.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn sampling_ends_when_nobody_can_ask_any_more() {
    let b = bench();
    let mut watched = watched(&b);
    watched.until(|s| s.freshness == Freshness::Live).await;
    drop(watched.interest);
    watched.task.await.unwrap();
}
