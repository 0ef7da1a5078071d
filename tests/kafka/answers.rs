//! Ends of transactions that are lost, or come after the broker has given the transaction up: the ledger tells what is
//! there.

use std::time::Duration;

use redrive::broker::{Isolation, ReadPlan, Shard, Span, Until, Write};
use redrive::event::murmur2;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kills::assert_complete;
use crate::proxy::{Proxy, Then, Trouble};
use crate::redrive::{Bench, Ended};
use crate::support::{put, soon};

const LETTERS: usize = 400;

/// Letters that take twenty transactions, and the file of their plan.
async fn planned() -> (Bench, String) {
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(LETTERS, 40).await;
    let (file, plan) = bench.plan(&["--rate", "400"]).await;
    plan.with(0);
    (bench, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_commit_that_loses_its_answer_or_its_request_is_made_once() {
    for trouble in [Trouble::AnswerLost, Trouble::RequestLost] {
        let (bench, file) = planned().await;
        let proxy = Proxy::open(4, trouble, Then::Free).await;
        let run = bench.run_over(&proxy, &file).await.with(0);
        assert!(proxy.is_over(), "{trouble:?}");
        assert_eq!(
            (&run["redriven"], &run["remaining"]),
            (&Value::from(LETTERS), &Value::from(0)),
            "{trouble:?}"
        );
        bench.assert_exactly_once(LETTERS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_run_that_dies_without_its_commits_answer_is_settled_from_the_ledger() {
    for trouble in [Trouble::AnswerLost, Trouble::RequestLost] {
        let (bench, file) = planned().await;
        let proxy = Proxy::open(4, trouble, Then::Cut).await;
        let mut child = bench.start_over(&proxy, &file);
        soon("the commit", async {
            while !proxy.is_over() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        child.kill().unwrap();
        assert_eq!(Ended::from(child.wait_with_output().unwrap()).code, -1);
        // Nobody told the run, but what the broker was asked to commit it commits.
        if trouble == Trouble::AnswerLost {
            soon("the end of the transaction", async { while bench.ends().await.1 {} }).await;
        } else {
            assert!(bench.ends().await.1, "a transaction is left open");
        }
        let committed = bench.sent().await.len();
        assert!(committed > 0 && committed < LETTERS);
        let rest = bench.run(&file, &["--take-over"]).await.with(0);
        let wanted = (Value::from(committed), Value::from(LETTERS - committed));
        assert_eq!((&rest["already_handled"], &rest["redriven"]), (&wanted.0, &wanted.1), "{trouble:?}");
        bench.assert_exactly_once(LETTERS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_transaction_that_timed_out_is_aborted_and_its_letters_are_sent_again() {
    let (bench, file) = planned().await;
    // The broker gives a transaction up after ten seconds.
    let proxy = Proxy::open(4, Trouble::Late(Duration::from_secs(15)), Then::Free).await;
    let run = bench.run_over(&proxy, &file).await.with(0);
    assert!(proxy.is_over());
    assert_eq!(run["redriven"], LETTERS);
    // Uncommitted readers have seen them twice.
    let aborted = run["aborted_records"].as_u64().unwrap();
    assert!(aborted > 0, "{run}");
    let spans =
        (0..3).map(|p| Span { shard: Shard::new(bench.target.clone(), p), from: 0, until: Until::End });
    let plan = ReadPlan { isolation: Isolation::ReadUncommitted, ..ReadPlan::new(spans.collect()) };
    let all = crate::support::read(&*bench.broker, plan).await.len() as u64;
    assert_eq!(all, LETTERS as u64 + aborted);
    bench.assert_exactly_once(LETTERS).await;
}

/// How much later a live committed reader sees a record than an uncommitted one: what a transaction costs it. Printed,
/// because a machine's load is no matter of right or wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn the_stall_of_a_live_committed_reader_is_measured() {
    // Transactions grow while they are short: only a long run has the largest.
    let letters = if std::env::var("REDRIVE_FAULTS_BROKER").is_ok() { 100_000 } else { 5_000 };
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(letters, 100).await;
    let (file, plan) = bench.plan(&[]).await;
    plan.with(0);
    let arrivals = |isolation| arrivals(&bench, isolation, letters);
    let (run, first, committed) = tokio::join!(
        bench.run(&file, &[]),
        arrivals(Isolation::ReadUncommitted),
        arrivals(Isolation::ReadCommitted)
    );
    run.with(0);
    let mut stalls: Vec<Duration> =
        committed.iter().filter_map(|(offset, at)| Some(at.saturating_sub(*first.get(offset)?))).collect();
    stalls.sort_unstable();
    let at = |part: usize| stalls[(stalls.len() - 1) * part / 1000].as_millis();
    eprintln!(
        "a live read_committed reader waits for {letters} letters at full speed: median {} ms, 99.9 % {} ms, longest {} ms",
        at(500),
        at(999),
        at(1000)
    );
    assert_eq!(committed.len(), letters);
}

/// Letters that are read side by side, in small windows, join a transaction that is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn the_audit_of_a_long_run_has_every_letter_once() {
    const MANY: usize = 30_000;
    let bench = Bench::new(2, &[]).await;
    let letters = (0..MANY).map(|i| {
        let key = format!("key-{}", i % 300);
        let partition = murmur2::partition(key.as_bytes(), 2).unwrap();
        let origin = (partition, 1_000_000 + i as i64);
        let letter = bench.letter(key.into(), format!("value {i:0300}").into(), origin, "a.Broken");
        Write { partition: Some(partition), ..letter }
    });
    put(&*bench.broker, letters.collect::<Vec<_>>()).await;
    let (file, plan) = bench.plan(&[]).await;
    plan.with(0);
    assert_eq!(bench.run(&file, &[]).await.with(0)["redriven"], MANY);
    bench.assert_exactly_once(MANY).await;
    assert_complete(&bench, MANY).await;
}

/// When each of so many records is seen by a reader that follows the target.
async fn arrivals(
    bench: &Bench,
    isolation: Isolation,
    count: usize,
) -> std::collections::HashMap<i64, Duration> {
    let begin = tokio::time::Instant::now();
    let span = Span { shard: Shard::new(bench.target.clone(), 0), from: 0, until: Until::Follow };
    let plan = ReadPlan { isolation, ..ReadPlan::new(vec![span]) };
    let stop = CancellationToken::new();
    let mut live = bench.broker.reader().open(plan, stop.clone()).await.unwrap();
    let mut seen = std::collections::HashMap::new();
    while seen.len() < count {
        let batch = soon("records", live.next()).await.unwrap().unwrap();
        let now = begin.elapsed();
        seen.extend(batch.records.iter().map(|record| (record.at.offset, now)));
    }
    stop.cancel();
    seen
}
