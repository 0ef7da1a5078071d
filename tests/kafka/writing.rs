//! Writing: what happens to transactions that lose their owner or their time.

use std::time::Duration;

use redrive::broker::{Commit, ErrorKind, Isolation, ReadPlan};

use crate::support::{only, plain, put, read, soon, topic, transaction, unique, whole, write};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_transaction_that_timed_out_cannot_be_committed() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    let mut session = transaction(&*broker, &unique("tx"), Duration::from_secs(1)).await;
    session.stage(write(&shard, "late")).await.unwrap();
    session.settle().await.unwrap();
    soon("the broker to abort it", async {
        let shards = std::slice::from_ref(&shard);
        loop {
            let bounds = only(broker.catalog().bounds(shards).await.unwrap()).unwrap();
            // The marker of the abort is the second offset.
            if (bounds.end, bounds.last_stable) == (2, 2) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let ended = soon("the answer", session.commit()).await.unwrap();
    assert!(matches!(ended, Commit::Fenced(_)), "{ended:?}");
    // It is dead, and says so.
    assert!(session.stage(write(&shard, "x")).await.is_err());
    assert_eq!(read(&*broker, ReadPlan::new(vec![whole(&shard)])).await.len(), 0);
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_fenced_writer_is_told_when_it_writes() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    let id = unique("tx");
    let mut first = transaction(&*broker, &id, MINUTE).await;
    first.stage(write(&shard, "1")).await.unwrap();
    assert_eq!(first.commit().await.unwrap(), Commit::Done);
    let mut second = transaction(&*broker, &id, MINUTE).await;
    let refused = async {
        first.stage(write(&shard, "2")).await?;
        first.settle().await.map(drop)
    };
    let error = soon("the refusal", refused).await.expect_err("the successor took over");
    assert_eq!(error.kind, ErrorKind::Fenced, "{error:?}");
    second.stage(write(&shard, "3")).await.unwrap();
    assert_eq!(second.commit().await.unwrap(), Commit::Done);
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_session_that_is_dropped_leaves_its_transaction_to_the_next() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    let id = unique("tx");
    let mut first = transaction(&*broker, &id, MINUTE).await;
    first.stage(write(&shard, "lost")).await.unwrap();
    first.settle().await.unwrap();
    drop(first);
    let second = transaction(&*broker, &id, MINUTE).await;
    let bounds = only(broker.catalog().bounds(std::slice::from_ref(&shard)).await.unwrap()).unwrap();
    assert_eq!((bounds.end, bounds.last_stable), (2, 2));
    drop(second);
    let plan = ReadPlan { isolation: Isolation::ReadUncommitted, ..ReadPlan::new(vec![whole(&shard)]) };
    assert_eq!(read(&*broker, plan).await.len(), 1);
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn more_than_the_queue_holds_can_be_staged_and_aborted() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    let mut session = transaction(&*broker, &unique("tx"), MINUTE).await;
    for _ in 0..100 {
        session.stage(write(&shard, vec![1; 500_000])).await.unwrap();
    }
    soon("the abort", session.abort()).await.unwrap();
    session.stage(write(&shard, "small")).await.unwrap();
    let answers = session.settle().await.unwrap();
    assert_eq!(answers.len(), 1, "reports of what was aborted are not told");
    assert_eq!(session.commit().await.unwrap(), Commit::Done);
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn joining_never_makes_a_topic() {
    let broker = plain().await;
    let missing = unique("missing");
    let joined =
        broker.writer().unwrap().join(&unique("group"), "test", std::slice::from_ref(&missing)).await;
    assert_eq!(joined.err().map(|e| e.kind), Some(ErrorKind::UnknownTopic));
    let shard = topic(&*broker, &[]).await;
    put(&*broker, [write(&shard, "x")]).await;
    let topics = broker.catalog().topics(None).await.unwrap();
    assert!(topics.iter().any(|t| t.name == shard.topic) && topics.iter().all(|t| t.name != missing));
}
