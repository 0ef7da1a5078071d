//! Moving a group's offsets on a real Kafka: what is shown, what is refused, what is done and can be undone.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use redrive::text::{Clock as _, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::program::Home;

/// The offsets of a document, `[partition, old, new]`.
fn moves(document: &Value) -> Vec<Value> {
    let rows = document["partitions"].as_array().unwrap();
    rows.iter().map(|row| json!([row["partition"], row["old"], row["new"]])).collect()
}

/// Makes a topic.
pub fn make_topic(name: &str, partitions: i32) {
    let brokers = std::env::var("REDRIVE_TEST_BROKERS").expect("tests/run starts a Kafka");
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", &brokers).create().unwrap();
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made = runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn offsets_are_moved_deleted_and_brought_back_and_only_without_members() {
    let brokers = std::env::var("REDRIVE_TEST_BROKERS").expect("tests/run starts a Kafka");
    let id = uuid::Uuid::new_v4().simple().to_string();
    let (topic, group) = (format!("cli-{}-moves", &id[..8]), format!("cli-{}-mover", &id[..8]));
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &brokers);
    make_topic(&topic, 2);
    let producer: BaseProducer = config.create().unwrap();
    // Whole seconds of the last minutes, so that retention leaves them.
    let began = SystemClock::default().now().as_millis() / 1000 * 1000 - 100_000;
    let at = |second: i64| Timestamp(began + second * 1000).to_string();
    for i in 0..10 {
        let record = BaseRecord::<[u8], [u8]>::to(&topic)
            .partition(i % 2)
            .payload(b"v")
            .timestamp(began + i64::from(i) * 1000);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let member: BaseConsumer = config
        .clone()
        .set("group.id", &group)
        .set("client.id", "mailer-1")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    member.subscribe(&[&topic]).unwrap();
    while member.assignment().unwrap().count() < 2 {
        member.poll(Duration::from_millis(100));
    }
    let mut list = TopicPartitionList::new();
    for partition in 0..2 {
        list.add_partition_offset(&topic, partition, Offset::Offset(2)).unwrap();
    }
    member.commit(&list, CommitMode::Sync).unwrap();

    let home = Home::new().set("REDRIVE_BROKERS", &brokers);
    let reset = |to: &str, more: &[&str]| {
        let command = ["groups", "reset", &group, "--topic", &topic, "--offsets", to, "-o", "json"];
        home.run(&[&command[..], more].concat())
    };
    let active = reset("earliest", &["--yes"]).code(4).error();
    assert_eq!(active["code"], "group_active");
    let told = active["message"].as_str().unwrap();
    assert!(
        told.contains("1 member") && told.contains("client mailer-1") && told.contains("127.0.0.1"),
        "{told}"
    );
    drop(member);

    // Where nobody can be asked nothing is written, and what would be is told.
    let shown = reset("latest", &[]).code(4).json();
    assert_eq!((&shown["dry_run"], &shown["count"]), (&json!(true), &json!(2)));
    assert_eq!(moves(&shown), [json!([0, 2, 5]), json!([1, 2, 5])]);
    assert_eq!(shown["skipped"]["records"], 6);
    assert_eq!(shown["skipped"]["from"], at(4));
    assert_eq!(shown["skipped"]["to"], at(9));
    assert_eq!(reset("latest", &["--yes", "--read-only"]).code(4).error()["code"], "read_only");
    let done = reset(&format!("@{}", at(7)), &["--yes", "--reason", "a drill"]).code(0).json();
    assert_eq!((&done["dry_run"], &done["changed"]), (&json!(false), &json!(2)));
    assert_eq!(moves(&done), [json!([0, 2, 4]), json!([1, 2, 3])]);

    // The command that is told brings the old offsets back.
    let undo = done["undo"][0].as_str().unwrap().strip_prefix("redrive ").unwrap();
    let undo: Vec<&str> = undo.split(' ').chain(["--yes", "-o", "json"]).collect();
    assert_eq!(moves(&home.run(&undo).code(0).json()), [json!([0, 4, 2]), json!([1, 3, 2])]);

    let one = format!("{topic}:1");
    let gone = home.run(&["groups", "delete-offsets", &group, "--topic", &one, "--yes", "-o", "json"]);
    assert_eq!(moves(&gone.code(0).json()), [json!([1, 2, null])]);
    let protected = Home::with(&format!("[profiles.p]\nbrokers = [\"{brokers}\"]\nprotected = true\n"));
    let delete =
        |more: &[&str]| protected.run(&[&["groups", "delete", &group, "-o", "json", "--yes"], more].concat());
    assert_eq!(delete(&[]).code(4).error()["code"], "protected");
    assert_eq!(delete(&["--count", "2"]).code(4).error()["code"], "protected");
    assert_eq!(moves(&delete(&["--count", "1"]).code(0).json()), [json!([0, 2, null])]);
    assert_eq!(delete(&["--count", "1"]).code(1).error()["code"], "unknown_group");

    let audit =
        home.run(&["tail", "__redrive.audit", "--from", "beginning", "--contains", &group, "-o", "jsonl"]);
    let actions: Vec<Value> = audit.code(0).lines().iter().map(|r| r["value"]["action"].clone()).collect();
    assert_eq!(actions, ["offsets", "offsets_end"].repeat(4));
}
