//! Transactions: what is seen, what is not, and who may go on.

use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{Commit, ErrorKind, Guarantee, Isolation, Notice, Placed, Shard, Span, Until};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, can, kind, soon, stage, unique, values, whole, write};

/// A topic with two partitions, where the adapter has transactions.
async fn shards(bench: &Bench) -> Option<(Shard, Shard)> {
    if !can("transactions", &bench.broker.capabilities().transactions) {
        return None;
    }
    let topic = bench.topic(2, &[]).await;
    Some((Shard::new(topic.clone(), 0), Shard::new(topic, 1)))
}

pub async fn a_committed_transaction_is_seen_whole(bench: &Bench) {
    let Some((a, b)) = shards(bench).await else { return };
    let mut session = bench.transaction(&unique("tx")).await;
    assert_eq!(session.guarantee(), Guarantee::ExactlyOnceReadCommitted);
    for round in ["1", "2"] {
        stage(&mut *session, [write(&a, None, Some(round)), write(&b, None, Some(round))]).await;
        assert_eq!(session.commit().await.unwrap(), Commit::Done);
    }
    for shard in [&a, &b] {
        // The markers of two transactions are offsets without records.
        bench.stable(shard, 4).await;
        assert_eq!(bench.bounds(shard).await.end, 4);
        let seen = bench.read(vec![whole(shard)]).await;
        assert_eq!(values(&seen.records), ["1", "2"]);
        assert_eq!(seen.position(shard), Some(4));
    }
}

pub async fn an_aborted_transaction_is_not_seen_by_committed_readers(bench: &Bench) {
    let Some((a, _)) = shards(bench).await else { return };
    let mut session = bench.transaction(&unique("tx")).await;
    stage(&mut *session, [write(&a, None, Some("aborted"))]).await;
    session.abort().await.unwrap();
    stage(&mut *session, [write(&a, None, Some("committed"))]).await;
    assert_eq!(session.commit().await.unwrap(), Commit::Done);
    bench.stable(&a, 4).await;
    let committed = bench.read_as(vec![whole(&a)], Isolation::ReadCommitted).await;
    assert_eq!(values(&committed.records), ["committed"]);
    let all = bench.read_as(vec![whole(&a)], Isolation::ReadUncommitted).await;
    assert_eq!(values(&all.records), ["aborted", "committed"]);
}

pub async fn an_open_transaction_holds_the_last_stable_offset(bench: &Bench) {
    let Some((a, _)) = shards(bench).await else { return };
    bench.put([write(&a, None, Some("before"))]).await;
    let mut session = bench.transaction(&unique("tx")).await;
    stage(&mut *session, [write(&a, None, Some("open"))]).await;
    bench.put([write(&a, None, Some("after"))]).await;
    let bounds = bench.bounds(&a).await;
    assert_eq!((bounds.start, bounds.last_stable, bounds.end), (0, 1, 3));
    let seen = bench.read(vec![whole(&a)]).await;
    assert_eq!(values(&seen.records), ["before"]);
    session.abort().await.unwrap();
    bench.stable(&a, 4).await;
}

pub async fn a_reader_waits_behind_an_open_transaction(bench: &Bench) {
    let Some((a, _)) = shards(bench).await else { return };
    let mut session = bench.transaction(&unique("tx")).await;
    stage(&mut *session, [write(&a, None, Some("open"))]).await;
    bench.put([write(&a, None, Some("after"))]).await;
    let end = bench.bounds(&a).await.end;
    let span = Span { shard: a.clone(), from: 0, until: Until::Offset(end) };
    let mut batches = bench.open(vec![span], Isolation::ReadCommitted, &CancellationToken::new()).await;
    let reading = tokio::spawn(async move {
        let (mut records, mut notices) = (Vec::new(), Vec::new());
        while let Some(batch) = batches.next().await.unwrap() {
            records.extend(batch.records);
            notices.extend(batch.notices);
        }
        (records, notices)
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!reading.is_finished(), "the reader did not wait for the transaction");
    assert_eq!(session.commit().await.unwrap(), Commit::Done);
    let (records, notices) = soon("the reader to go on", reading).await.unwrap();
    assert_eq!(values(&records), ["open", "after"]);
    assert_eq!(notices.last(), Some(&Notice::Finished(a)));
}

pub async fn a_successor_fences_and_ends_the_open_transaction(bench: &Bench) {
    let Some((a, _)) = shards(bench).await else { return };
    let id = unique("tx");
    let mut first = bench.transaction(&id).await;
    stage(&mut *first, [write(&a, None, Some("first"))]).await;
    let mut second = bench.transaction(&id).await;
    // What the predecessor had open is aborted when the successor begins.
    let bounds = bench.bounds(&a).await;
    assert_eq!(bounds.last_stable, bounds.end);
    let ended = soon("the answer of a fenced commit", first.commit()).await;
    assert!(
        matches!(&ended, Ok(Commit::Fenced(_))) || ended.as_ref().is_err_and(|e| e.kind == ErrorKind::Fenced),
        "{ended:?}"
    );
    stage(&mut *second, [write(&a, None, Some("second"))]).await;
    assert_eq!(second.commit().await.unwrap(), Commit::Done);
    bench.stable(&a, 4).await;
    assert_eq!(values(&bench.read(vec![whole(&a)]).await.records), ["second"]);
}

pub async fn offsets_are_known_before_the_commit(bench: &Bench) {
    let Some((a, b)) = shards(bench).await else { return };
    bench.put([write(&b, None, Some("before"))]).await;
    let mut session = bench.transaction(&unique("tx")).await;
    let places = stage(&mut *session, [write(&a, None, Some("x")), write(&b, None, Some("y"))]).await;
    let places: Vec<Placed> = places.into_iter().map(Result::unwrap).collect();
    assert_eq!(places, [Placed { partition: 0, offset: 0 }, Placed { partition: 1, offset: 1 }]);
    assert_eq!(session.commit().await.unwrap(), Commit::Done);
}

pub async fn a_refused_record_leaves_only_the_abort(bench: &Bench) {
    let Some((a, _)) = shards(bench).await else { return };
    let small = Shard::new(bench.topic(1, &[("max.message.bytes", "1000")]).await, 0);
    let mut session = bench.transaction(&unique("tx")).await;
    let noise: Vec<u8> = (0..200).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    let mut large = write(&small, None, None);
    large.value = Some(Bytes::from(noise));
    let mut answers = stage(&mut *session, [write(&a, None, Some("fine")), large]).await;
    assert_eq!(kind(answers.pop().unwrap()), ErrorKind::TooLarge);
    let ended = session.commit().await.unwrap();
    assert!(matches!(ended, Commit::Aborted(_)), "{ended:?}");
    session.abort().await.unwrap();
    stage(&mut *session, [write(&a, None, Some("again"))]).await;
    assert_eq!(session.commit().await.unwrap(), Commit::Done);
    bench.stable(&a, 4).await;
    assert_eq!(values(&bench.read(vec![whole(&a)]).await.records), ["again"]);
}
