//! Runs that are killed at random points and resumed, until every letter is through.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redrive::context::{Cx, Operator, Silent};
use redrive::ledger::AUDIT_TOPIC;
use redrive::ledger::audit::AuditRecord;
use redrive::letters::ledger::LedgerReader;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::redrive::{Bench, Ended, below};
use crate::support::profile;

const LETTERS: usize = 2_000;
const PARTITIONS: i32 = 3;

/// What was seen of all runs.
#[derive(Default)]
struct Seen {
    kills: usize,
    /// Kills that left a transaction open on the target.
    torn: usize,
    /// Kills before a run had written anything.
    early: usize,
    plans: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn runs_that_are_killed_at_random_points_and_resumed_send_every_letter_once() {
    let wanted: usize = std::env::var("REDRIVE_KILLS").map_or(10, |n| n.parse().unwrap());
    let mut seen = Seen::default();
    while seen.kills < wanted {
        one_plan(&mut seen, wanted).await;
        eprintln!("{} of {wanted} kills, {} letters", seen.kills, seen.plans * LETTERS);
    }
    eprintln!(
        "{} kills -9 in runs of {} plans of {LETTERS} letters ({} with a transaction open on the target, {} before the \
         first record): every letter is there once, ledger and audit are complete",
        seen.kills, seen.plans, seen.torn, seen.early
    );
}

async fn one_plan(seen: &mut Seen, wanted: usize) {
    let bench = Bench::new(PARTITIONS, &[]).await;
    bench.bury_many(LETTERS, 40).await;
    // At full speed a transaction is open nearly always; with a rate the run waits between them.
    let rate = [vec![], vec!["--rate", "1500"], vec!["--rate", "600"]][seen.plans % 3].clone();
    let (file, plan) = bench.plan(&rate).await;
    assert_eq!(plan.with(0)["preflight"]["selected"], LETTERS);
    while seen.kills < wanted && kill_a_run(&bench, &file, seen).await {}
    let last = bench.run(&file, &["--take-over"]).await.with(0);
    assert_eq!(last["remaining"], 0);
    bench.assert_exactly_once(LETTERS).await;
    assert_complete(&bench, LETTERS).await;
    let again = bench.run(&file, &[]).await.with(0);
    assert_eq!((&again["redriven"], &again["already_handled"]), (&Value::from(0), &Value::from(LETTERS)));
    bench.assert_exactly_once(LETTERS).await;
    seen.plans += 1;
}

/// Runs the plan and kills it; `false` when it came to its end before.
async fn kill_a_run(bench: &Bench, file: &str, seen: &mut Seen) -> bool {
    let before = bench.ends().await.0;
    let mut child = bench.start(file, &["--take-over"]);
    if below(4) == 0 {
        // While it starts, reads the ledger, or becomes the writer.
        tokio::time::sleep(Duration::from_millis(below(600))).await;
    } else {
        // After so many more records, and then at any point of a transaction.
        let more = below(600) as i64 + 1;
        while bench.ends().await.0 < before + more && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros(below(30_000))).await;
    }
    // SIGKILL: nothing of it is told to the broker.
    child.kill().unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    if ended.code >= 0 {
        assert_eq!(ended.with(0)["remaining"], 0);
        return false;
    }
    let (after, open) = bench.ends().await;
    seen.kills += 1;
    seen.torn += usize::from(open);
    seen.early += usize::from(after == before);
    true
}

/// The ledger has a row of every letter that names where its record is, and the audit covers every letter once.
pub async fn assert_complete(bench: &Bench, letters: usize) {
    let ids = bench.broker.catalog().topic_ids(std::slice::from_ref(&bench.source)).await.unwrap();
    let source = ids[0].as_ref().unwrap().0.clone();
    let me = || "tester".to_owned();
    let cx = Cx {
        broker: Arc::clone(&bench.broker),
        clock: Arc::new(redrive::text::SystemClock::default()),
        profile: Arc::new(profile("REDRIVE_TEST_BROKERS", redrive::config::profile::Protocol::Plaintext)),
        operator: Arc::new(Operator { name: me(), os_user: me(), host: me() }),
    };
    let mut reader = LedgerReader::new(cx);
    reader.refresh(&Silent, &CancellationToken::new()).await.unwrap();
    let ledger = reader.ledger().unwrap();
    assert_eq!(ledger.counts(&source).redriven, letters as u64);
    for record in bench.sent().await {
        let id = String::from_utf8(record.headers.last("redrive-id").unwrap().to_vec()).unwrap();
        let mut parts = id.rsplit(':');
        let offset: i64 = parts.next().unwrap().parse().unwrap();
        let partition: i32 = parts.next().unwrap().parse().unwrap();
        let target = ledger.get(&source, partition, offset).expect("a row").target.expect("a target");
        assert_eq!((target.partition, target.offset), (record.at.partition, record.at.offset), "{id}");
    }
    let mut covered: HashMap<(i32, i64), usize> = HashMap::new();
    for record in bench.committed(&AUDIT_TOPIC.into(), 1).await {
        let audit = AuditRecord::decode(record.value.as_deref()).unwrap();
        if audit.topic_id == *source {
            for (partition, ranges) in audit.positions {
                for (first, last) in ranges {
                    (first..=last).for_each(|offset| *covered.entry((partition, offset)).or_default() += 1);
                }
            }
        }
    }
    assert_eq!(covered.len(), letters);
    assert!(covered.values().all(|times| *times == 1));
}
