//! Dead letters of about 300 bytes on a real Kafka, for the measurement of `plan` and `run`.
//!
//! `cargo bench --bench redrive -- load TOPIC ORIGIN LETTERS [noise]` makes the topic, and the one where its letters say
//! that they failed; with `noise` their values do not compress. `-- fresh TOPIC…` deletes ledger and audit, and makes empty
//! topics. The broker is that of `REDRIVE_TEST_BROKERS`. `benches/redrive` measures with it, beside kcat.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may end with a panic")]
#![expect(clippy::print_stdout, reason = "a benchmark prints how it is used")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{Broker, ErrorKind, Name, NewTopic, SessionKind, Write, Writer};
use redrive::config::profile::Profile;
use redrive::event::{Headers, murmur2};
use redrive::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use redrive::text::{Clock, SystemClock};

const PARTITIONS: i32 = 6;
/// Bytes of key and value.
const SIZE: usize = 300;
/// Distinct keys.
const KEYS: usize = 50_000;

/// A letter as Spring writes it: key and value of the record, which lies on the same partition, and where it failed.
fn letter(topic: &str, origin: &Bytes, n: usize, noise: bool) -> Write {
    let mut headers = Headers::default();
    let mut add = |name: &'static str, value: Bytes| headers.push(name, Some(value));
    let key = format!("ord-{}", n % KEYS);
    let partition = murmur2::partition(key.as_bytes(), PARTITIONS).unwrap_or(0);
    add("kafka_dlt-exception-fqcn", Bytes::from_static(b"java.net.SocketTimeoutException"));
    add("kafka_dlt-exception-message", format!("gateway timed out after 3000 ms (order {key})").into());
    add("kafka_dlt-original-topic", origin.clone());
    add("kafka_dlt-original-partition", Bytes::copy_from_slice(&partition.to_be_bytes()));
    add("kafka_dlt-original-offset", Bytes::copy_from_slice(&(n as i64).to_be_bytes()));
    add("kafka_dlt-original-timestamp", Bytes::copy_from_slice(&1_795_525_000_000_i64.to_be_bytes()));
    add("kafka_dlt-original-timestamp-type", Bytes::from_static(b"CreateTime"));
    add("kafka_dlt-original-consumer-group", Bytes::from_static(b"email"));
    let head = format!("{{\"order_id\":\"{key}\",\"total\":{n},\"pad\":\"");
    let length = SIZE.saturating_sub(key.len() + head.len() + 2);
    let random = || uuid::Uuid::new_v4().simple().to_string();
    let pad: String = if noise {
        std::iter::repeat_with(random).flat_map(String::into_bytes).map(char::from).take(length).collect()
    } else {
        "x".repeat(length)
    };
    Write {
        topic: topic.into(),
        partition: Some(partition),
        key: Some(Bytes::from(key)),
        value: Some(Bytes::from(format!("{head}{pad}\"}}"))),
        headers,
        timestamp: None,
    }
}

fn new(name: &str) -> NewTopic {
    NewTopic { name: name.into(), partitions: PARTITIONS, replication: None, config: Vec::new() }
}

async fn load(writer: &dyn Writer, topic: &str, origin: &str, letters: usize, noise: bool) {
    for made in writer.create_topics(&[new(topic), new(origin)]).await.expect("a broker") {
        made.expect("a new topic");
    }
    let mut session = writer.begin(SessionKind::Idempotent).await.expect("a session");
    let origin = Bytes::copy_from_slice(origin.as_bytes());
    for n in 0..letters {
        session.stage(letter(topic, &origin, n, noise)).await.expect("room");
        if n % 20_000 == 19_999 {
            session.settle().await.expect("answers");
        }
    }
    session.settle().await.expect("answers");
    session.commit().await.expect("a commit");
}

/// All letters are open again, and there are empty topics to send them to.
async fn fresh(broker: &dyn Broker, writer: &dyn Writer, topics: &[&str]) {
    let books = [LEDGER_TOPIC, AUDIT_TOPIC].map(Name::from);
    for deleted in writer.delete_topics(&books).await.expect("a broker") {
        assert!(
            deleted.as_ref().is_ok() || deleted.as_ref().is_err_and(|e| e.kind == ErrorKind::UnknownTopic),
            "{deleted:?}"
        );
    }
    let made: Vec<NewTopic> = topics.iter().map(|name| new(name)).collect();
    for made in writer.create_topics(&made).await.expect("a broker") {
        made.expect("a new topic");
    }
    let names: Vec<Name> = topics.iter().map(|name| Name::from(*name)).collect();
    loop {
        let there = broker.catalog().topics(Some(&names)).await.expect("a broker");
        let gone = broker.catalog().topics(Some(&books)).await.expect("a broker");
        if there.len() == names.len() && gone.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let brokers = std::env::var("REDRIVE_TEST_BROKERS").expect("REDRIVE_TEST_BROKERS names a Kafka");
    let profile = Profile::new("bench", brokers.split(',').map(str::to_owned).collect());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let broker = redrive::wire::connect(&profile, clock).await.expect("a broker");
    let writer = broker.writer().expect("the profile may write");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["load", topic, origin, letters, ref rest @ ..] if matches!(rest, [] | ["noise"]) => {
            let letters = letters.parse().expect("a number of letters");
            load(writer, topic, origin, letters, !rest.is_empty()).await;
        }
        ["fresh", ref topics @ ..] => fresh(&*broker, writer, topics).await,
        _ => println!("redrive load TOPIC ORIGIN LETTERS [noise] | fresh TOPIC…"),
    }
}
