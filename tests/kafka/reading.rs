//! Reading: large records, deletion under a reader, and what stays behind.

use redrive::broker::{ErrorKind, Isolation, Notice, ReadPlan, Span, Until};
use tokio_util::sync::CancellationToken;

use crate::support::{only, plain, put, read, soon, topic, transaction, unique, whole, write};

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_record_larger_than_the_budget_is_read_alone() {
    let broker = plain().await;
    let shard = topic(&*broker, &[("max.message.bytes", "10000000")]).await;
    let large = |fill: u8| vec![fill; 3 << 20];
    put(&*broker, (0..4).map(|i| write(&shard, large(i)))).await;
    let plan = ReadPlan { budget: 64 << 10, ..ReadPlan::new(vec![whole(&shard)]) };
    let records = read(&*broker, plan).await;
    assert_eq!(records.len(), 4);
    for (fill, record) in (0..).zip(&records) {
        assert_eq!(record.value.as_deref(), Some(&large(fill)[..]));
    }
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_topic_that_is_deleted_ends_its_reader() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    put(&*broker, [write(&shard, "x")]).await;
    let span = Span { shard: shard.clone(), from: 0, until: Until::Follow };
    let cancel = CancellationToken::new();
    let mut batches = broker.reader().open(ReadPlan::new(vec![span]), cancel).await.unwrap();
    let first = soon("the record", batches.next()).await.unwrap().unwrap();
    assert_eq!(first.records.len(), 1);
    only(broker.writer().unwrap().delete_topics(std::slice::from_ref(&shard.topic)).await.unwrap()).unwrap();
    let mut notices = Vec::new();
    while let Some(batch) = soon("the end of the read", batches.next()).await.unwrap() {
        assert!(batch.records.is_empty());
        notices.extend(batch.notices);
    }
    let last = notices.pop();
    assert!(
        matches!(&last, Some(Notice::Failed(of, e)) if *of == shard && e.kind == ErrorKind::UnknownTopic),
        "{last:?}"
    );
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn records_that_go_away_before_they_are_read_are_told() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    put(&*broker, (0..10).map(|_| write(&shard, vec![7; 100_000]))).await;
    // A small budget stops the reader near the beginning; nothing is fetched ahead of it for long.
    let span = Span { shard: shard.clone(), from: 0, until: Until::Offset(20) };
    let plan = ReadPlan { budget: 1, ..ReadPlan::new(vec![span]) };
    let mut batches = broker.reader().open(plan, CancellationToken::new()).await.unwrap();
    drop(soon("a record", batches.next()).await.unwrap().unwrap());
    put(&*broker, (0..10).map(|_| write(&shard, "late"))).await;
    only(broker.writer().unwrap().delete_before(&[(shard.clone(), 15)]).await.unwrap()).unwrap();
    let (mut next, mut finished) = (0, false);
    while let Some(batch) = soon("the end of the read", batches.next()).await.unwrap() {
        for notice in &batch.notices {
            match notice {
                Notice::Trimmed { start, .. } => {
                    assert_eq!(*start, 15);
                    next = 15;
                }
                Notice::Finished(_) => finished = true,
                other => panic!("{other:?}"),
            }
        }
        for record in &batch.records {
            assert!(record.at.offset >= next, "{} after {next}", record.at);
            next = record.at.offset + 1;
        }
    }
    assert!(finished);
    assert_eq!(next, 20);
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn everything_up_to_the_high_watermark_is_read_beside_an_open_transaction() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    put(&*broker, [write(&shard, "before")]).await;
    let mut other = transaction(&*broker, &unique("tx"), std::time::Duration::from_secs(60)).await;
    other.stage(write(&shard, "open")).await.unwrap();
    other.settle().await.unwrap();
    put(&*broker, [write(&shard, "after")]).await;
    let bounds = only(broker.catalog().bounds(std::slice::from_ref(&shard)).await.unwrap()).unwrap();
    assert_eq!((bounds.last_stable, bounds.end), (1, 3));
    let span = Span { shard: shard.clone(), from: 0, until: Until::Offset(bounds.end) };
    let plan = ReadPlan { isolation: Isolation::ReadUncommitted, ..ReadPlan::new(vec![span]) };
    assert_eq!(read(&*broker, plan).await.len(), 3);
    other.abort().await.unwrap();
}
