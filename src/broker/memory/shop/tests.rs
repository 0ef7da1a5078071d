//! The shop on the embedded broker: it lives, it fails, it can be repaired.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::MemoryBroker;
use super::*;
use crate::broker::{Bounds, ReadPlan, SessionKind, Shard, Span, Until, Write};
use crate::config::profile::DeadLetters;
use crate::dlq::{Letter, formats};
use crate::text::SystemClock;

const PATIENCE: Duration = Duration::from_secs(60);

async fn open(options: Options) -> (Arc<dyn Broker>, Shop) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let broker = MemoryBroker::new(Arc::clone(&clock), 128 << 20).broker();
    for made in broker.writer().unwrap().create_topics(&topics(&options.prefix)).await.unwrap() {
        made.unwrap();
    }
    let shop = Shop::start(Arc::clone(&broker), clock, options).unwrap();
    (broker, shop)
}

async fn soon<T, W: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> W) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn letters(broker: &Arc<dyn Broker>, topic: &str) -> Vec<Letter> {
    let spans = (0..PARTITIONS).map(|p| Span { shard: Shard::new(topic, p), from: 0, until: Until::End });
    let plan = ReadPlan::new(spans.collect());
    let mut batches = broker.reader().open(plan, CancellationToken::new()).await.unwrap();
    let mut found = Vec::new();
    while let Some(batch) = batches.next().await.unwrap() {
        found.extend(batch.records.iter().map(|r| formats::decode(r, &DeadLetters::default())));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_five_failures_appear_and_every_group_commits() {
    let options =
        Options { rate: 2_000, failures_percent: 5.0, prefix: "x.".to_owned(), ..Options::default() };
    let (broker, shop) = open(options).await;
    let classes = soon("all failures", || async {
        let mut classes = HashSet::new();
        for topic in ["x.orders-dlt", "x.payments-dlt", "x.inventory-dlt"] {
            for letter in letters(&broker, topic).await {
                assert_eq!(letter.root.topic.as_deref(), Some(topic.trim_end_matches("-dlt")));
                assert!(letter.root.group.as_deref().is_some_and(|g| g.starts_with("x.")));
                classes.extend(letter.root_cause_class);
            }
        }
        (classes.len() == 5).then_some(classes)
    })
    .await;
    assert!(classes.contains("java.net.SocketTimeoutException"), "{classes:?}");
    for group in groups("x.") {
        soon("commits", || async {
            let committed = broker.groups().unwrap().committed(std::slice::from_ref(&group)).await.unwrap();
            committed.into_iter().flatten().flatten().next()
        })
        .await;
    }
    let status = shop.status();
    assert!(status.produced > 0 && status.processed > 0 && status.retried > 0 && status.dead_lettered > 0);
    assert_eq!(status.trouble, None);
    shop.stop(Duration::from_secs(5)).await;
    for group in broker.groups().unwrap().list().await.unwrap() {
        assert_eq!(group.state.as_deref(), Some("empty"), "{group:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_redriven_after_the_repair_is_processed_and_one_before_comes_back() {
    let (broker, shop) = open(Options { rate: 500, failures_percent: 5.0, ..Options::default() }).await;
    let timed_out = async || {
        let all = letters(&broker, "payments-dlt").await;
        let fits = |l: &Letter| l.root_cause_class.as_deref() == Some("java.net.SocketTimeoutException");
        all.into_iter().filter(fits).collect::<Vec<_>>()
    };
    let letter = soon("a letter", || async { timed_out().await.into_iter().next() }).await;
    shop.pause(true);
    let redrive = async || {
        let mut session = broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
        let write = Write {
            topic: "payments".into(),
            partition: letter.root.partition,
            key: letter.record.key.clone(),
            value: letter.record.value.clone(),
            headers: crate::event::Headers::default(),
            timestamp: None,
        };
        session.stage(write).await.unwrap();
        session.settle().await.unwrap().remove(0).1.unwrap()
    };
    let placed = redrive().await;
    shop.pause(false);
    soon("the letter to come back", || async {
        timed_out().await.into_iter().find(|l| l.root.offset == Some(placed.offset))
    })
    .await;
    assert!(shop.repair(Cause::PaymentTimeout) && !shop.repair(Cause::PaymentTimeout));
    let placed = redrive().await;
    let shard = Shard::new("payments", placed.partition);
    let email: Name = "email".into();
    soon("the group to pass it", || async {
        let committed = broker.groups().unwrap().committed(std::slice::from_ref(&email)).await.unwrap();
        let all = committed.into_iter().flatten().flatten();
        all.into_iter().find(|(s, next)| *s == shard && *next > placed.offset)
    })
    .await;
    // What failed before the repair and is still on its way through the retries succeeds too.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(timed_out().await.iter().all(|l| l.root.offset != Some(placed.offset)));
    shop.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_shop_writes_nothing() {
    let (broker, shop) = open(Options::default()).await;
    soon("the first events", || async { (shop.status().produced > 0).then_some(()) }).await;
    shop.pause(true);
    // One tick may be under way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ends = async || {
        let shards: Vec<Shard> = (0..PARTITIONS).map(|p| Shard::new("orders", p)).collect();
        let bounds = broker.catalog().bounds(&shards).await.unwrap();
        bounds.into_iter().map(|b: Result<Bounds, _>| b.unwrap().end).sum::<i64>()
    };
    let before = ends().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ends().await, before);
    shop.pause(false);
    soon("new events", || async { (ends().await > before).then_some(()) }).await;
}
