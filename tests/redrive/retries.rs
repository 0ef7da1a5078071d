//! Groups that try again by retry topics: their commit on the target alone proves nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redrive::broker::memory::fault::Op;
use redrive::broker::{ErrorKind, Shard, Write};
use redrive::event::Headers;
use redrive::redrive::document::RunAnswer;
use redrive::redrive::options::Options;
use redrive::redrive::plan::Plan;
use tokio_util::sync::CancellationToken;

use crate::world::{Dead, SOURCE, TARGET, World};

const GROUP: &str = "mailer";
const RETRY: &str = "orders-retry-0";
const WAIT: Duration = Duration::from_secs(30);

/// Five letters of a group that has two retry topics and a group of its own for each, as Spring makes them.
async fn world() -> World {
    let world = World::empty().await;
    world.create(RETRY, 1, &[]).await;
    world.create("orders-retry-1", 1, &[]).await;
    for i in 0..5 {
        world.bury(&[Dead { group: Some(GROUP), ..Dead::new(0, "a", (0, 100 + i)) }]).await;
    }
    commit(&world, GROUP, TARGET, 0).await;
    commit(&world, "mailer-retry-0", RETRY, 0).await;
    world
}

async fn commit(world: &World, group: &str, topic: &str, offset: i64) {
    let offsets = [(Shard::new(topic, 0), offset)];
    world.broker().writer().unwrap().alter_offsets(&group.into(), &offsets).await.unwrap();
}

async fn planned(world: &World) -> Arc<Plan> {
    let mut request = World::request();
    let wait = WAIT.as_millis() as u64;
    request.options = Options { canary: Some(2), canary_wait_ms: wait, ..Options::default() };
    Arc::clone(&world.plan_with(request).await.unwrap().plan)
}

async fn run_while(world: &World, plan: &Arc<Plan>, meanwhile: impl Future<Output = ()>) -> RunAnswer {
    let cancel = CancellationToken::new();
    let run = world.run_as("ada", plan, false, &cancel);
    let (run, ()) = tokio::join!(Box::pin(run), Box::pin(meanwhile));
    run.unwrap()
}

/// Hands a record of the target to a retry topic: with the headers that frameworks copy, or those that they add.
async fn retry(world: &World, topic: &str, offset: i64, copies: bool) {
    let redriven = world.read(TARGET).await.into_iter().find(|r| r.at.offset == offset).unwrap();
    let mut headers = if copies { redriven.headers.clone() } else { Headers::default() };
    if !copies {
        for (name, value) in [
            ("kafka_original-topic", TARGET.as_bytes()),
            ("kafka_original-partition", &0_i32.to_be_bytes()),
            ("kafka_original-offset", &offset.to_be_bytes()),
            ("kafka_exception-fqcn", b"a.Broken"),
            ("retry_topic-attempts", &2_i32.to_be_bytes()),
        ] {
            headers.push(name, Some(Bytes::copy_from_slice(value)));
        }
    }
    let (key, value) = (redriven.key, redriven.value);
    let topic = topic.into();
    world.produce(Write { topic, partition: Some(0), key, value, headers, timestamp: None }).await;
}

fn canary(run: &RunAnswer) -> (&'static str, Option<u64>, u64, u64) {
    let canary = run.canary.as_ref().unwrap();
    (canary.state, canary.processed, canary.retrying, canary.came_back)
}

#[tokio::test(start_paused = true)]
async fn a_group_that_passes_a_canary_into_its_retry_topic_has_not_processed_it() {
    for copies in [true, false] {
        let world = world().await;
        let plan = planned(&world).await;
        let run = run_while(&world, &plan, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            retry(&world, RETRY, 1, copies).await;
            commit(&world, GROUP, TARGET, 2).await;
        })
        .await;
        assert_eq!((run.redriven, run.stopped), (2, Some("canary")), "copies: {copies}");
        assert_eq!(canary(&run), ("not_proved", Some(1), 1, 0));
        assert!(run.stopped_reason.as_ref().unwrap().contains("retry topics"), "{:?}", run.stopped_reason);
        assert_eq!((run.processed, run.unconfirmed), (Some(1), 1));
        // Nor is it told later, from the ledger alone; and while it waits another canary is sent first.
        let row = world.runs().await.runs[0].run.clone();
        assert_eq!((row.processed, row.unconfirmed), (Some(1), 1));
        let next = run_while(&world, &plan, async {}).await;
        assert_eq!((next.already_handled, next.redriven), (2, 3), "as nothing came back of the second one");
        assert_eq!(canary(&next).0, "nothing_came_back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_fails_after_its_last_retry_has_come_back() {
    let world = world().await;
    let plan = planned(&world).await;
    let run = run_while(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        retry(&world, RETRY, 0, true).await;
        commit(&world, GROUP, TARGET, 2).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        retry(&world, "orders-retry-1", 0, true).await;
        commit(&world, "mailer-retry-0", RETRY, 1).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.bury(&[Dead { group: Some(GROUP), ..Dead::new(0, "a", (0, 0)) }]).await;
        commit(&world, "mailer-retry-1", "orders-retry-1", 1).await;
    })
    .await;
    assert_eq!((run.redriven, run.stopped), (2, Some("canary")));
    assert_eq!(canary(&run), ("came_back", Some(1), 0, 1));
    assert_eq!(run.canary.unwrap().proof.unwrap(), "1 of 2 came back");
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_retry_succeeds_is_proved_and_the_rest_follows() {
    let world = world().await;
    let plan = planned(&world).await;
    let run = run_while(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        retry(&world, RETRY, 0, false).await;
        commit(&world, GROUP, TARGET, 2).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.read(TARGET).await.len(), 2);
        commit(&world, "mailer-retry-0", RETRY, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        commit(&world, GROUP, TARGET, 9).await;
    })
    .await;
    assert_eq!((run.redriven, run.stopped, run.processed), (5, None, Some(5)));
    assert_eq!(canary(&run), ("passed", Some(2), 0, 0));
    assert!(run.canary.unwrap().proof.unwrap().contains("mailer has committed past all 2"));
    world.assert_exactly_once(&plan).await;
}

#[tokio::test(start_paused = true)]
async fn retries_of_another_group_or_record_do_not_hinder() {
    let world = world().await;
    world.create("orders-billing-retry", 1, &[]).await;
    let plan = planned(&world).await;
    let run = run_while(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut headers = Headers::default();
        for (name, value) in [
            ("kafka_original-topic", TARGET.as_bytes()),
            ("kafka_original-partition", &0_i32.to_be_bytes()),
            ("kafka_original-offset", &0_i64.to_be_bytes()),
            ("kafka_exception-fqcn", b"a.Broken"),
            ("kafka_dlt-original-consumer-group", b"billing"),
        ] {
            headers.push(name, Some(Bytes::copy_from_slice(value)));
        }
        let topic = "orders-billing-retry".into();
        let write = Write { topic, partition: Some(0), key: None, value: None, headers, timestamp: None };
        world.produce(write).await;
        commit(&world, GROUP, TARGET, 5).await;
    })
    .await;
    assert_eq!((run.redriven, canary(&run)), (5, ("passed", Some(2), 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn where_a_retry_topic_tells_nothing_no_record_counts_as_processed() {
    let world = world().await;
    let plan = planned(&world).await;
    let run = run_while(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Nothing says what it comes from.
        let topic = RETRY.into();
        let headers = Headers::default();
        let write = Write { topic, partition: Some(0), key: None, value: None, headers, timestamp: None };
        world.produce(write).await;
        commit(&world, GROUP, TARGET, 5).await;
    })
    .await;
    assert_eq!(canary(&run), ("nothing_came_back", Some(0), 0, 0));
    let proof = run.canary.unwrap().proof.unwrap();
    assert!(proof.contains("whether a retry waits is not known: orders-retry-0"), "{proof}");
    assert_eq!((run.processed, run.unconfirmed), (Some(0), 5));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_for_a_moment_claims_nothing_and_is_made_again() {
    let world = world().await;
    let plan = planned(&world).await;
    let run = run_while(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for nth in 1..4 {
            world.memory.faults().fail(Op::Bounds, nth, ErrorKind::Unreachable);
        }
        retry(&world, RETRY, 0, true).await;
        commit(&world, GROUP, TARGET, 2).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.read(TARGET).await.len(), 2);
        commit(&world, "mailer-retry-0", RETRY, 1).await;
    })
    .await;
    assert_eq!((run.redriven, canary(&run)), (5, ("passed", Some(2), 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_names_its_retry_topic_as_the_last_hop_makes_it_known() {
    let world = World::empty().await;
    world.create("retry-5m", 1, &[]).await;
    let mut headers = Headers::default();
    for (prefix, topic, offset) in [("kafka_original", TARGET, 7_i64), ("kafka_dlt-original", "retry-5m", 3)]
    {
        for (name, value) in [
            ("topic", topic.as_bytes()),
            ("partition", &0_i32.to_be_bytes()[..]),
            ("offset", &offset.to_be_bytes()),
        ] {
            headers.push(format!("{prefix}-{name}"), Some(Bytes::copy_from_slice(value)));
        }
    }
    headers.push("kafka_dlt-exception-fqcn", Some(Bytes::from_static(b"a.Broken")));
    headers.push("kafka_dlt-original-consumer-group", Some(Bytes::from_static(GROUP.as_bytes())));
    headers.push("kafka_exception-fqcn", Some(Bytes::from_static(b"a.Broken")));
    headers.push("retry_topic-attempts", Some(Bytes::copy_from_slice(&2_i32.to_be_bytes())));
    let (key, value) = (Some("a".into()), Some("v".into()));
    let topic = SOURCE.into();
    world.produce(Write { topic, partition: Some(0), key, value, headers, timestamp: None }).await;
    commit(&world, GROUP, TARGET, 0).await;
    commit(&world, "delays", "retry-5m", 0).await;
    let mut request = World::request();
    request.options = Options { canary: Some(1), canary_wait_ms: 30_000, ..Options::default() };
    let plan = Arc::clone(&world.plan_with(request).await.unwrap().plan);
    let run = run_while(&world, &plan, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        retry(&world, "retry-5m", 0, true).await;
        commit(&world, GROUP, TARGET, 1).await;
    })
    .await;
    assert_eq!(canary(&run), ("not_proved", Some(0), 1, 0));
}
