//! Reading: spans, ends, gaps, bytes, and that nobody notices.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{ErrorKind, Isolation, Name, Notice, Shard, Span, Until};
use redrive::event::Headers;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, PATIENCE, can, kind, offsets, only, soon, unique, values, whole, write};

/// A topic with one partition and `count` records.
async fn filled(bench: &Bench, count: usize) -> Shard {
    let shard = Shard::new(bench.topic(1, &[]).await, 0);
    bench.put((0..count).map(|i| write(&shard, Some("k"), Some(&i.to_string())))).await;
    shard
}

pub async fn a_span_ends_before_its_offset(bench: &Bench) {
    let shard = filled(bench, 5).await;
    let seen = bench.read(vec![Span { shard: shard.clone(), from: 1, until: Until::Offset(3) }]).await;
    assert_eq!(offsets(&seen.records), [1, 2]);
    assert_eq!(values(&seen.records), ["1", "2"]);
    assert_eq!(seen.notices, [Notice::Finished(shard.clone())]);
    assert_eq!(seen.position(&shard), Some(3));
    // Nothing is left of a span that begins where it ends.
    let seen = bench.read(vec![Span { shard: shard.clone(), from: 3, until: Until::Offset(3) }]).await;
    assert!(seen.records.is_empty());
    assert_eq!(seen.notices, [Notice::Finished(shard)]);
}

pub async fn all_partitions_are_read_to_their_ends(bench: &Bench) {
    let topic = bench.topic(4, &[]).await;
    let shards: Vec<Shard> = (0..4).map(|p| Shard::new(Arc::clone(&topic), p)).collect();
    // The last partition stays empty.
    let writes = (0..3000).map(|i| write(&shards[i % 3], None, Some(&i.to_string())));
    bench.put(writes).await;
    let seen = bench.read(shards.iter().map(whole).collect()).await;
    assert_eq!(seen.records.len(), 3000);
    for shard in &shards {
        let own: Vec<i64> =
            seen.records.iter().filter(|r| r.at.partition == shard.partition).map(|r| r.at.offset).collect();
        let expected: Vec<i64> = if shard.partition == 3 { vec![] } else { (0..1000).collect() };
        assert_eq!(own, expected, "partition {}", shard.partition);
        assert_eq!(seen.notices.iter().filter(|n| **n == Notice::Finished(shard.clone())).count(), 1);
    }
}

pub async fn a_followed_partition_tells_its_end_and_goes_on(bench: &Bench) {
    let shard = filled(bench, 2).await;
    let cancel = CancellationToken::new();
    let span = Span { shard: shard.clone(), from: 0, until: Until::Follow };
    let mut batches = bench.open(vec![span], Isolation::ReadCommitted, &cancel).await;
    let (mut records, mut caught_up) = (Vec::new(), false);
    while !caught_up || records.len() < 2 {
        let batch = soon("the end of the log", batches.next()).await.unwrap().unwrap();
        records.extend(batch.records);
        caught_up |= batch.notices.contains(&Notice::CaughtUp(shard.clone()));
    }
    assert_eq!(offsets(&records), [0, 1]);
    bench.put([write(&shard, None, Some("new"))]).await;
    while records.len() < 3 {
        records.extend(soon("a new record", batches.next()).await.unwrap().unwrap().records);
    }
    assert_eq!(values(&records[2..]), ["new"]);
}

pub async fn a_cancelled_read_says_so(bench: &Bench) {
    let shard = filled(bench, 1).await;
    let cancel = CancellationToken::new();
    let span = Span { shard, from: 1, until: Until::Follow };
    let mut batches = bench.open(vec![span], Isolation::ReadCommitted, &cancel).await;
    let stop = cancel.clone();
    let waiting = tokio::spawn(async move {
        loop {
            match batches.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a followed partition has no end"),
                Err(error) => return error,
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.cancel();
    assert_eq!(soon("the end of a cancelled read", waiting).await.unwrap().kind, ErrorKind::Cancelled);
}

pub async fn a_partition_is_asked_for_once(bench: &Bench) {
    let shard = filled(bench, 1).await;
    let plan = redrive::broker::ReadPlan::new(vec![whole(&shard), whole(&shard)]);
    let opened = bench.broker.reader().open(plan, CancellationToken::new()).await;
    assert_eq!(opened.err().map(|e| e.kind), Some(ErrorKind::Invalid));
}

pub async fn headers_come_back_byte_by_byte(bench: &Bench) {
    let shard = Shard::new(bench.topic(1, &[]).await, 0);
    let mut headers = Headers::default();
    headers.push("twice", Some(Bytes::from_static(b"first")));
    headers.push("null", None);
    headers.push("empty", Some(Bytes::new()));
    headers.push("twice", Some(Bytes::from_static(b"second")));
    headers.push(Bytes::from_static(b"not utf-8 \xff\xfe"), Some(Bytes::from_static(&[0, 1, 2, 255])));
    headers.push("", Some(Bytes::from_static(b"no name")));
    let mut record = write(&shard, None, Some("x"));
    record.headers = headers.clone();
    bench.put([record]).await;
    let seen = bench.read(vec![whole(&shard)]).await;
    assert_eq!(seen.records.len(), 1);
    assert_eq!(seen.records[0].headers, headers);
}

pub async fn null_and_empty_are_told_apart(bench: &Bench) {
    let shard = Shard::new(bench.topic(1, &[]).await, 0);
    let pairs =
        [(None, None), (Some(""), None), (None, Some("")), (Some(""), Some("")), (Some("k"), Some("v"))];
    bench.put(pairs.map(|(key, value)| write(&shard, key, value))).await;
    let seen = bench.read(vec![whole(&shard)]).await;
    let text = |bytes: &Option<Bytes>| bytes.as_ref().map(|b| String::from_utf8(b.to_vec()).unwrap());
    let read: Vec<_> = seen.records.iter().map(|r| (text(&r.key), text(&r.value))).collect();
    let written: Vec<_> = pairs.map(|(k, v)| (k.map(str::to_owned), v.map(str::to_owned))).into();
    assert_eq!(read, written);
}

pub async fn a_span_over_compacted_offsets_ends(bench: &Bench) {
    if !can("compaction", &bench.broker.capabilities().compaction) {
        return;
    }
    let config = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "200"),
        ("min.compaction.lag.ms", "0"),
    ];
    let shard = Shard::new(bench.topic(1, &config).await, 0);
    bench.put((0..10).map(|i| write(&shard, Some("same"), Some(&i.to_string())))).await;
    let mut written = 10;
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            // A later record closes the segment, which alone is compacted.
            tokio::time::sleep(Duration::from_millis(300)).await;
            bench.put([write(&shard, Some(&written.to_string()), Some("later"))]).await;
            written += 1;
            bench.compact(&shard.topic).await;
            let end = bench.bounds(&shard).await.end;
            let span = Span { shard: shard.clone(), from: 0, until: Until::Offset(end) };
            let seen = bench.read(vec![span]).await;
            assert_eq!(seen.notices.last(), Some(&Notice::Finished(shard.clone())));
            assert_eq!(seen.position(&shard), Some(end));
            let offsets = offsets(&seen.records);
            assert!(offsets.is_sorted());
            if !offsets.contains(&0) {
                return offsets;
            }
        }
    })
    .await
    .expect("the log was never compacted");
    assert!(found.contains(&9), "the newest of a key stays: {found:?}");
    // A span that ends in the middle of a gap ends there too.
    let seen = bench.read(vec![Span { shard: shard.clone(), from: 2, until: Until::Offset(7) }]).await;
    assert!(seen.records.is_empty());
    assert_eq!(seen.notices.last(), Some(&Notice::Finished(shard)));
}

pub async fn a_trimmed_log_says_where_it_begins_now(bench: &Bench) {
    if !can("deleting records", &bench.broker.capabilities().delete_before) {
        return;
    }
    let shard = filled(bench, 6).await;
    only(bench.broker.writer().unwrap().delete_before(&[(shard.clone(), 4)]).await.unwrap()).unwrap();
    assert_eq!(bench.bounds(&shard).await.start, 4);
    let seen = bench.read(vec![Span { shard: shard.clone(), from: 1, until: Until::Offset(6) }]).await;
    let trimmed = Notice::Trimmed { shard: shard.clone(), wanted: 1, start: 4 };
    assert_eq!(seen.notices, [trimmed, Notice::Finished(shard)]);
    assert_eq!(offsets(&seen.records), [4, 5]);
}

pub async fn a_position_behind_the_end_is_told(bench: &Bench) {
    let shard = filled(bench, 2).await;
    let seen = bench.read(vec![Span { shard: shard.clone(), from: 9, until: Until::End }]).await;
    assert!(seen.records.is_empty());
    assert_eq!(seen.notices, [Notice::Truncated { shard, position: 9, end: 2 }]);
}

pub async fn a_topic_that_is_not_there_fails_alone(bench: &Bench) {
    let shard = filled(bench, 1).await;
    let missing = Shard::new(unique("missing"), 0);
    let beyond = Shard::new(Arc::clone(&shard.topic), 5);
    let seen = bench.read(vec![whole(&missing), whole(&shard), whole(&beyond)]).await;
    assert_eq!(values(&seen.records), ["0"]);
    let failed = |of: &Shard| {
        seen.notices.iter().find_map(|n| match n {
            Notice::Failed(shard, error) if shard == of => Some(error.kind),
            _ => None,
        })
    };
    assert_eq!(failed(&missing), Some(ErrorKind::UnknownTopic), "{:?}", seen.notices);
    assert_eq!(failed(&beyond), Some(ErrorKind::UnknownPartition), "{:?}", seen.notices);
    assert!(seen.notices.contains(&Notice::Finished(shard)));
}

pub async fn reading_leaves_no_group_and_no_topic_behind(bench: &Bench) {
    let (shard, missing) = (filled(bench, 3).await, unique("missing"));
    bench.read(vec![whole(&shard), whole(&Shard::new(Arc::clone(&missing), 0))]).await;
    let topics = bench.broker.catalog().topics(None).await.unwrap();
    assert!(topics.iter().any(|t| t.name == shard.topic));
    assert!(topics.iter().all(|t| t.name != missing), "reading made the topic");
    let groups = bench.broker.groups().unwrap().list().await.unwrap();
    let own: Vec<&Name> = groups.iter().map(|g| &g.group).filter(|g| g.starts_with("redrive-ro-")).collect();
    assert!(own.is_empty(), "readers left groups: {own:?}");
    assert_eq!(
        kind(only(bench.broker.catalog().topic_ids(&[missing]).await.unwrap())),
        ErrorKind::UnknownTopic
    );
}
