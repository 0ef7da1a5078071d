//! Further proofs of the redrive protocol on a real broker, in short form; the list is in the README.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redrive::broker::{ReadPlan, Shard, Span, Until, Write};
use redrive::event::Headers;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::redrive::Bench;
use crate::support::{transaction, unique};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
#[expect(clippy::disallowed_methods, reason = "a real broker keeps real time")]
async fn a_rate_is_kept_within_five_percent_and_a_live_reader_hardly_waits() {
    const LETTERS: usize = 2_000;
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(LETTERS, 100).await;
    let (file, plan) = bench.plan(&["--rate", "400"]).await;
    plan.with(0);
    let span = Span { shard: Shard::new(bench.target.clone(), 0), from: 0, until: Until::Follow };
    let plan = ReadPlan::new(vec![span]);
    let stop = CancellationToken::new();
    let mut live = bench.broker.reader().open(plan, stop.clone()).await.unwrap();
    let child = bench.start(&file, &[]);
    let (mut read, mut longest, mut last) = (0, Duration::ZERO, None::<Instant>);
    while read < LETTERS {
        let batch = live.next().await.unwrap().unwrap();
        if !batch.records.is_empty() {
            read += batch.records.len();
            longest = last.map_or(longest, |at| longest.max(at.elapsed()));
            last = Some(Instant::now());
        }
    }
    stop.cancel();
    let run = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let run: Value = serde_json::from_slice(&run.stdout).unwrap();
    // From the first record to the last: what the run does before and afterwards is not its rate.
    let rate = run["records_per_second"].as_f64().unwrap();
    assert!(rate <= 400.0 * 1.05, "{rate}");
    eprintln!("the longest stall of a live read_committed reader: {} ms", longest.as_millis());
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    assert_eq!(read, LETTERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn letters_behind_a_hanging_transaction_are_counted_and_not_waited_for() {
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(4, 4).await;
    let mut hanging = transaction(&*bench.broker, &unique("hanging"), Duration::from_secs(60)).await;
    for i in 0..3 {
        hanging
            .stage(Write {
                topic: bench.source.clone(),
                partition: Some(0),
                key: None,
                value: Some(Bytes::from(format!("open {i}"))),
                headers: Headers::default(),
                timestamp: None,
            })
            .await
            .unwrap();
    }
    hanging.settle().await.unwrap();
    let (file, plan) = bench.plan(&[]).await;
    let plan = plan.with(0);
    assert_eq!(plan["preflight"]["beyond_last_stable"], 3);
    assert_eq!(plan["preflight"]["selected"], 4);
    assert_eq!(bench.run(&file, &[]).await.with(0)["redriven"], 4);
    hanging.abort().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn letters_that_expired_and_a_topic_made_again_are_told() {
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(20, 20).await;
    let (file, plan) = bench.plan(&[]).await;
    plan.with(0);
    let writer = bench.broker.writer().unwrap();
    for gone in writer.delete_before(&[(Shard::new(bench.source.clone(), 0), 4)]).await.unwrap() {
        gone.unwrap();
    }
    let run = bench.run(&file, &[]).await.with(5);
    assert_eq!((&run["redriven"], &run["expired"]), (&Value::from(16), &Value::from(4)));
    for gone in writer.delete_topics(std::slice::from_ref(&bench.source)).await.unwrap() {
        gone.unwrap();
    }
    // A topic that is being deleted cannot be made again at once.
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let there = bench.broker.catalog().topics(Some(std::slice::from_ref(&bench.source))).await.unwrap();
        if there.is_empty() {
            break;
        }
    }
    bench.create(&bench.source, 2, &[]).await;
    let refused = bench.run(&file, &[]).await;
    assert_eq!(refused.code, 4, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("made again"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_canary_waits_for_its_group_and_a_loop_of_failures_is_refused() {
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(30, 30).await;
    let wait = ["--canary", "5", "--canary-wait", "2s"];
    let (file, plan) = bench.plan(&wait).await;
    plan.with(0);
    let run = bench.run(&file, &[]).await.with(0);
    assert_eq!(run["canary"]["state"], "nothing_came_back");
    assert_eq!(run["redriven"], 30);
    // One of the redriven records fails again, for the same reason.
    let origin = [("kafka_dlt-original-topic", Bytes::from(bench.target.to_string()))];
    let mut headers = Headers::default();
    for (name, value) in origin {
        headers.push(name, Some(value));
    }
    headers.push("kafka_dlt-original-partition", Some(Bytes::copy_from_slice(&0_i32.to_be_bytes())));
    headers.push("kafka_dlt-original-offset", Some(Bytes::copy_from_slice(&0_i64.to_be_bytes())));
    headers.push("kafka_dlt-exception-fqcn", Some(Bytes::from_static(b"a.Broken")));
    headers.push("redrive-count", Some(Bytes::from_static(b"1")));
    let again = Write {
        topic: bench.source.clone(),
        partition: Some(0),
        key: Some("key-0".into()),
        value: Some("value 0".into()),
        headers,
        timestamp: None,
    };
    crate::support::put(&*bench.broker, [again]).await;
    let (_, plan) = bench.plan(&[]).await;
    assert_eq!(plan.with(4)["preflight"]["refusals"][0]["rule"], "same_failure");
    let runs = bench.redrive(&["runs", "list", "-o", "json"]).await.with(0);
    let own = runs["runs"].as_array().unwrap().iter().find(|r| r["run"] == run["run"]).unwrap();
    assert_eq!((&own["came_back"], &own["state"]), (&Value::from(1), &Value::from("done")));
}

/// Needs a broker of its own, which it stops: `tests/faults` gives it one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_restart_of_the_broker_in_the_middle_of_a_run_costs_nothing() {
    const LETTERS: usize = 1_500;
    let Ok(broker) = std::env::var("REDRIVE_FAULTS_BROKER") else {
        // The other tests beside this one need the broker that it would restart.
        eprintln!("left out: the restart of the broker is proved by tests/faults alone");
        return;
    };
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(LETTERS, 50).await;
    let (file, plan) = bench.plan(&["--rate", "150"]).await;
    plan.with(0);
    let child = bench.start(&file, &[]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for verb in ["stop", "start"] {
        let status = Command::new("tests/broker").args([verb, &broker]).status().unwrap();
        assert!(status.success(), "{verb}");
    }
    let run = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    // It waits out a short restart; after a long one the same plan goes on.
    if !run.status.success() {
        bench.run(&file, &["--take-over"]).await.with(0);
    }
    bench.assert_exactly_once(LETTERS).await;
}
