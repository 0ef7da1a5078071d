//! Where a letter comes from, on each broker: the origin record, its retries, other letters of the record.

use std::sync::Arc;

use bytes::Bytes;
use redrive::broker::{Name, Shard, Write};
use redrive::config::profile::Profile;
use redrive::context::{Cx, Operator, Silent};
use redrive::dlq::Letter;
use redrive::event::Position;
use redrive::letters::Index;
use redrive::letters::lineage::Lineage;
use redrive::text::SystemClock;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, unique, write};

/// A record as Spring's retry topics write it, for one that failed in `origin[0]` at an offset.
fn failed(topic: &Name, origin: &Name, offset: i64, attempts: i32) -> Write {
    let mut write = write(&Shard::new(Arc::clone(topic), 0), Some("k1"), Some("{\"total\":1}"));
    let mut add = |name: &'static str, value: &[u8]| {
        write.headers.push(name, Some(Bytes::copy_from_slice(value)));
    };
    add("traceparent", b"00-1");
    add("kafka_original-topic", origin.as_bytes());
    add("kafka_original-partition", &0_i32.to_be_bytes());
    add("kafka_original-offset", &offset.to_be_bytes());
    add("retry_topic-attempts", &attempts.to_be_bytes());
    add("kafka_exception-fqcn", b"acme.NoSku");
    write
}

async fn lineage(index: &Index, topic: &Name, offset: i64) -> (Arc<Letter>, Lineage) {
    let cancel = CancellationToken::new();
    let at = Position::new(Arc::clone(topic), 0, offset);
    let row = index.letter(&at, &Silent, &cancel).await.unwrap().unwrap();
    let lineage = index.lineage(&row.letter, &Silent, &cancel).await.unwrap();
    (row.letter, lineage)
}

pub async fn a_letter_leads_to_its_origin_its_retries_and_other_letters_of_the_record(bench: &Bench) {
    let orders = unique("orders");
    let [retry, dead, others, payments] =
        ["retry-0", "dlt", "payments-retry-0", "payments"].map(|end| Name::from(format!("{orders}-{end}")));
    for topic in [&orders, &retry, &dead, &others, &payments] {
        bench.make(topic, 1, &[]).await.unwrap();
        bench.ready(topic, 1).await;
    }
    let own = Shard::new(Arc::clone(&orders), 0);
    let mut record = write(&own, Some("k1"), Some("{\"total\": 1}"));
    record.headers.push("traceparent", Some(Bytes::from_static(b"00-1")));
    bench.put([write(&own, Some("k0"), Some("{}")), record]).await;
    // Attempts are those that would be next.
    bench.put([failed(&retry, &orders, 1, 2), failed(&retry, &orders, 0, 2)]).await;
    bench
        .put([
            failed(&retry, &orders, 1, 3),
            write(&Shard::new(Arc::clone(&others), 0), None, Some("another's")),
        ])
        .await;
    let letters = [failed(&dead, &orders, 1, 4), failed(&dead, &orders, 0, 4), failed(&dead, &orders, 1, 5)];
    bench.put(letters.into_iter().chain([failed(&dead, &orders, 70, 4)])).await;

    let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
    let cx = Cx {
        broker: Arc::clone(&bench.broker),
        clock: Arc::new(SystemClock::default()),
        profile: Profile::new("conformance", Vec::new()).into(),
        operator: operator.into(),
    };
    let index = Index::new(cx);
    let (letter, first) = lineage(&index, &dead, 0).await;
    assert_eq!((letter.format.as_deref(), letter.attempts), (Some("spring-retryable"), Some(3)));
    let origin = &first.origin;
    assert_eq!((origin.state, origin.position.as_ref().map(|p| p.offset)), ("found", Some(1)));
    // The value was written anew: same JSON, other bytes.
    let same = (origin.same_key, origin.same_value, origin.same_headers);
    assert_eq!(same, (Some(true), Some(false), Some(true)));
    let retries: Vec<_> = first.retries.found.iter().map(|r| (r.position.offset, r.attempts)).collect();
    assert_eq!(retries, [(0, Some(1)), (2, Some(2))]);
    // `orders-payments-retry-0` begins like it, and is that of `orders-payments`.
    assert!(first.retries.complete);
    assert_eq!(first.retries.topics, std::slice::from_ref(&retry));
    let same: Vec<_> = first.same_root.iter().map(|s| (s.position.offset, s.when, s.by)).collect();
    assert_eq!(same, [(2, Some("later"), "origin")]);
    let (_, last) = lineage(&index, &dead, 2).await;
    let same: Vec<_> = last.same_root.iter().map(|s| (s.position.offset, s.when, s.by)).collect();
    assert_eq!(same, [(0, Some("earlier"), "origin")]);
    // Behind the end of the log lies nothing: the topic was made again.
    let (_, lost) = lineage(&index, &dead, 3).await;
    assert_eq!((lost.origin.state, lost.retries.found.len()), ("another", 0));
    bench.broker.writer().unwrap().delete_topics(&[retry, orders]).await.unwrap();
    let (_, gone) = lineage(&index, &dead, 0).await;
    assert_eq!((gone.origin.state, gone.retries.found.len()), ("gone", 0));
}
