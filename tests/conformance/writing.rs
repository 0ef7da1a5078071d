//! Writing without transactions.

use std::sync::Arc;

use bytes::Bytes;
use redrive::broker::{ErrorKind, SessionKind, Shard};
use redrive::event::murmur2;

use crate::bench::{Bench, kind, now, stage, unique, whole, write};

pub async fn a_key_decides_the_partition_as_the_java_client_does(bench: &Bench) {
    let topic = bench.topic(6, &[]).await;
    let keys: Vec<String> =
        (0..50).map(|i| format!("ord-{i}")).chain([String::new(), "ключ".to_owned()]).collect();
    let writes = keys.iter().map(|key| {
        let mut write = write(&Shard::new(Arc::clone(&topic), 0), Some(key), Some("x"));
        write.partition = None;
        write
    });
    let places = bench.put(writes).await;
    for (key, placed) in keys.iter().zip(places) {
        assert_eq!(Some(placed.partition), murmur2::partition(key.as_bytes(), 6), "{key:?}");
    }
}

pub async fn a_time_stamp_is_kept(bench: &Bench) {
    let shard = Shard::new(bench.topic(1, &[]).await, 0);
    let at = now().plus_millis(-86_400_000);
    let mut record = write(&shard, None, Some("x"));
    record.timestamp = Some(at);
    bench.put([record, write(&shard, None, Some("now"))]).await;
    let seen = bench.read(vec![whole(&shard)]).await;
    assert_eq!(seen.records[0].timestamp(), Some(at));
    let fresh = seen.records[1].timestamp().unwrap();
    assert!(now().since(fresh) < 600_000, "{fresh}");
}

pub async fn a_record_that_is_too_large_is_refused_by_name(bench: &Bench) {
    let shard = Shard::new(bench.topic(1, &[("max.message.bytes", "1000")]).await, 0);
    let mut session = bench.broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
    // Bytes that do not compress.
    let noise: Vec<u8> = (0..200).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    let mut large = write(&shard, None, None);
    large.value = Some(Bytes::from(noise));
    let answers = stage(&mut *session, [large]).await;
    assert_eq!(kind(answers.into_iter().next().unwrap()), ErrorKind::TooLarge);
    assert_eq!(bench.bounds(&shard).await.end, 0);
}

pub async fn writing_never_makes_a_topic(bench: &Bench) {
    let missing = unique("missing");
    let mut session = bench.broker.writer().unwrap().begin(SessionKind::Idempotent).await.unwrap();
    let record = write(&Shard::new(Arc::clone(&missing), 0), None, Some("x"));
    // A client may know at once, or only from the broker's answer.
    let refused = match session.stage(record).await {
        Err(error) => error.kind,
        Ok(_) => kind(session.settle().await.unwrap().remove(0).1),
    };
    assert_eq!(refused, ErrorKind::UnknownTopic);
    let topics = bench.broker.catalog().topics(None).await.unwrap();
    assert!(topics.iter().all(|t| t.name != missing), "writing made the topic");
}

pub async fn a_read_only_connection_has_no_writer(bench: &Bench) {
    assert!(bench.read_only.writer().is_none());
    assert_eq!(bench.read_only.capabilities().guarantee, None);
    assert!(bench.broker.writer().is_some());
    assert!(bench.broker.capabilities().guarantee.is_some());
}
