//! Dead letters on a real Kafka: writes a topic of them, and measures what the console waits for.
//!
//! `cargo bench --bench dead_letters -- load TOPIC LETTERS` makes the topic; `… -- open TOPIC` reads it as the console
//! does. The broker is that of `REDRIVE_TEST_BROKERS`. `benches/run` does both, and compares with kcat.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may end with a panic")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time, and prints it"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redrive::ask::{Answer, Desk, Request};
use redrive::broker::{NewTopic, SessionKind, Write};
use redrive::config::profile::Profile;
use redrive::context::{Cx, Operator};
use redrive::event::{Headers, Position};
use redrive::filter::Selection;
use redrive::letters::document::{FailuresRequest, LettersRequest};
use redrive::text::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

const PARTITIONS: i32 = 6;
/// Bytes of a stack trace.
const TRACE: usize = 2_000;
/// What failed: class, message, the application's frame.
const FAILURES: [(&str, &str, &str); 5] = [
    (
        "java.net.SocketTimeoutException",
        "gateway timed out after 3000 ms (order #)",
        "shop.PaymentGateway.charge",
    ),
    (
        "java.lang.NullPointerException",
        "Cannot invoke \"shop.Customer.name()\" because \"customer\" is null",
        "shop.Receipt.render",
    ),
    ("java.util.NoSuchElementException", "unknown sku '#'", "shop.Stock.find"),
    ("shop.UnknownVersionException", "version 9 of #", "shop.OrderSchema.check"),
    ("java.lang.IllegalArgumentException", "total must not be negative: -#", "shop.Order.check"),
];

fn letter(topic: &str, n: usize) -> Write {
    // Most letters of a topic failed for the same reason.
    let (class, message, frame) = FAILURES[[0, 0, 0, 0, 0, 0, 1, 2, 3, 4][n % 10]];
    let message = message.replace('#', &format!("ord-{n}"));
    let mut trace = String::with_capacity(TRACE + 200);
    let _ = writeln!(
        trace,
        "org.springframework.kafka.listener.ListenerExecutionFailedException: Listener method threw exception"
    );
    let library = |trace: &mut String, i: usize| {
        let _ = writeln!(
            trace,
            "\tat org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.step{i}(KafkaMessageListenerContainer.java:{i})"
        );
    };
    (0..4).for_each(|i| library(&mut trace, i));
    let _ = writeln!(trace, "Caused by: {class}: {message}\n\tat {frame}(Shop.java:88)");
    let mut i = 4;
    while trace.len() < TRACE {
        library(&mut trace, i);
        i += 1;
    }
    let mut headers = Headers::default();
    let mut add = |name: &'static str, value: &[u8]| headers.push(name, Some(Bytes::copy_from_slice(value)));
    add("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException");
    add("kafka_dlt-exception-cause-fqcn", class.as_bytes());
    add("kafka_dlt-exception-message", format!("Listener method threw exception; {message}").as_bytes());
    add("kafka_dlt-exception-stacktrace", trace.as_bytes());
    add("kafka_dlt-original-topic", b"orders");
    add("kafka_dlt-original-partition", &(n as i32 % PARTITIONS).to_be_bytes());
    add("kafka_dlt-original-offset", &(n as i64).to_be_bytes());
    add("kafka_dlt-original-timestamp", &1_795_525_000_000_i64.to_be_bytes());
    add("kafka_dlt-original-timestamp-type", b"CreateTime");
    add("kafka_dlt-original-consumer-group", b"email");
    Write {
        topic: topic.into(),
        partition: Some(n as i32 % PARTITIONS),
        key: Some(Bytes::from(format!("ord-{}", n % 200_000))),
        value: Some(Bytes::from(format!("{{\"order_id\":\"ord-{n}\",\"total\":{n}}}"))),
        headers,
        timestamp: None,
    }
}

async fn load(cx: &Cx, topic: &str, letters: usize) {
    let writer = cx.broker.writer().expect("the profile may write");
    let new = NewTopic { name: topic.into(), partitions: PARTITIONS, replication: None, config: Vec::new() };
    writer.create_topics(&[new]).await.expect("a broker").remove(0).expect("a new topic");
    let mut session = writer.begin(SessionKind::Idempotent).await.expect("a session");
    for n in 0..letters {
        session.stage(letter(topic, n)).await.expect("room");
        if n % 20_000 == 19_999 {
            session.settle().await.expect("answers");
        }
    }
    session.settle().await.expect("answers");
    session.commit().await.expect("a commit");
}

async fn open(cx: Cx, topic: &str) {
    let quiet = |_| {};
    let began = Instant::now();
    let since = || began.elapsed().as_secs_f64();
    let desk = Desk::new(cx);
    let mut pictures = desk.snapshots();
    let named = |row: &redrive::dlq::groups::DlqRow| *row.topic == *topic && row.scanned > 0;
    pictures.wait_for(|p| p.dead_letters.iter().any(named)).await.expect("a picture");
    println!("its row on the start screen after {:.2} s", since());
    let request = FailuresRequest { topic: topic.into(), selection: Selection::default(), state: None };
    let ask = async || {
        let request = Request::Failures(request.clone());
        match desk.answer(request, &quiet, CancellationToken::new()).await {
            Ok(Answer::Failures(answer)) => answer,
            other => panic!("{other:?}"),
        }
    };
    let first = ask().await;
    println!("first {} groups after {:.2} s, of {} letters", first.failures.len(), since(), first.scanned);
    let all = loop {
        let answer = ask().await;
        if answer.complete {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("all {} letters in {} groups after {:.2} s", all.scanned, all.failures.len(), since());
    let each = i64::try_from(all.scanned).unwrap_or(0) / i64::from(PARTITIONS);
    let mut times: Vec<Duration> = Vec::new();
    for i in 0..20_i64 {
        let at = Position::new(topic, (i % i64::from(PARTITIONS)) as i32, (each - 1) * i / 19);
        let before = Instant::now();
        let edge = redrive::filter::Edge::Offset;
        let selection = Selection {
            partitions: vec![at.partition],
            from: Some(edge(at.offset)),
            to: Some(edge(at.offset + 1)),
            ..Selection::default()
        };
        let request = LettersRequest { topic: topic.into(), selection, failure: None, state: None };
        match desk.answer(Request::Letters(request), &quiet, CancellationToken::new()).await {
            Ok(Answer::Letters(answer)) => assert_eq!(answer.letters.len(), 1, "{at}"),
            other => panic!("{other:?}"),
        }
        times.push(before.elapsed());
    }
    times.sort_unstable();
    println!(
        "opening any letter: median {:.0?}, slowest {:.0?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let brokers = std::env::var("REDRIVE_TEST_BROKERS").expect("REDRIVE_TEST_BROKERS names a Kafka");
    let profile = Profile::new("bench", brokers.split(',').map(str::to_owned).collect());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let broker = redrive::wire::connect(&profile, Arc::clone(&clock)).await.expect("a broker");
    let operator = Operator { name: "bench".into(), os_user: "bench".into(), host: "here".into() };
    let cx = Cx { broker, clock, profile: profile.into(), operator: operator.into() };
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["load", topic, letters] => load(&cx, topic, letters.parse().expect("a number of letters")).await,
        ["open", topic] => open(cx, topic).await,
        _ => println!("dead_letters load TOPIC LETTERS | open TOPIC"),
    }
}
