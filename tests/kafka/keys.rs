//! Keys on the partitions that the Java client picks: Kafka's own console producer writes them first.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Stdio;

use bytes::Bytes;
use redrive::broker::Name;
use serde_json::Value;

use crate::redrive::{Bench, Origin};
use crate::support::{java, unique, variable};

const KEYS: usize = 1_000;

/// Keys of many lengths and sorts, as far as a line can hold them.
fn keys() -> Vec<String> {
    let mut keys: Vec<String> =
        ["", " ", "ä", "日本語", "𝄞 and \u{7f}\u{80}\u{ff}", "null", "{\"id\": \"ord-1\"}"]
            .map(str::to_owned)
            .to_vec();
    keys.extend(["0".repeat(9_999), "ß".repeat(5_001)]);
    // Digits of one to forty bytes: the hash takes four at a time, and the rest by itself.
    keys.extend((0..KEYS - keys.len()).map(|i| format!("{i:0>width$}-", width = i % 40)));
    keys
}

/// Writes the keys with Kafka's own producer, which is the Java client.
fn java_produces(topic: &str, keys: &[String]) {
    let mut java = java("org.apache.kafka.tools.ConsoleProducer")
        .args(["--bootstrap-server", &variable("REDRIVE_TEST_BROKERS"), "--topic", topic])
        .args(["--property", "parse.key=true"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines: Vec<String> = keys.iter().enumerate().map(|(i, key)| format!("{key}\tvalue {i}\n")).collect();
    java.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    assert!(java.wait().unwrap().success());
}

/// Where the Java client put each key.
async fn java_places(
    bench: &Bench,
    topic: &Name,
    partitions: i32,
    keys: &[String],
) -> HashMap<Bytes, Origin> {
    let (name, all) = (topic.clone(), keys.to_vec());
    tokio::task::spawn_blocking(move || java_produces(&name, &all)).await.unwrap();
    let mut places = HashMap::new();
    for record in bench.committed(topic, partitions).await {
        let before = places.insert(record.key.unwrap(), (record.at.partition, record.at.offset));
        assert!(before.is_none());
    }
    assert_eq!(places.len(), KEYS);
    places
}

/// Redrives letters of all keys; `into` is another topic with so many partitions.
async fn all_keys_go_where_java_puts_them(into: Option<i32>) {
    const PARTITIONS: i32 = 7;
    let bench = Bench::new(PARTITIONS, &[]).await;
    let keys = keys();
    let origins = java_places(&bench, &bench.target, PARTITIONS, &keys).await;
    let letters = keys.iter().enumerate().map(|(i, key)| {
        let key = Bytes::from(key.clone());
        let origin = origins[&key];
        (key, Bytes::from(format!("value {i}")), origin)
    });
    bench.bury_from(letters).await;
    let (topic, word, partitions, java) = match into {
        None => (bench.target.clone(), "origin".to_owned(), PARTITIONS, origins),
        Some(partitions) => {
            let other = unique("other");
            bench.create(&other, partitions, &[]).await;
            let java = java_places(&bench, &other, partitions, &keys).await;
            let word = format!("topic:{other}");
            (other, word, partitions, java)
        }
    };
    let (file, plan) = bench.plan(&["--into", &word]).await;
    let plan = plan.with(0);
    assert_eq!((&plan["preflight"]["selected"], &plan["preflight"]["keys"]), (&KEYS.into(), &KEYS.into()));
    let run = bench.run(&file, &[]).await.with(0);
    assert_eq!((&run["redriven"], &run["aborted_records"]), (&KEYS.into(), &Value::from(0)));
    let sent: HashMap<Bytes, i32> = bench
        .committed(&topic, partitions)
        .await
        .into_iter()
        .filter(|record| record.headers.last("redrive-id").is_some())
        .map(|record| (record.key.unwrap(), record.at.partition))
        .collect();
    assert_eq!(sent.len(), KEYS);
    let elsewhere: Vec<_> = sent.iter().filter(|(key, partition)| java[*key].0 != **partition).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    // Every partition has some, or the test would say little.
    let used: std::collections::HashSet<i32> = sent.into_values().collect();
    assert_eq!(used.len() as i32, partitions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_thousand_keys_go_back_to_the_partitions_that_the_java_client_picked() {
    all_keys_go_where_java_puts_them(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn on_a_topic_with_other_partitions_a_thousand_keys_go_where_the_java_client_puts_them() {
    all_keys_go_where_java_puts_them(Some(12)).await;
}
