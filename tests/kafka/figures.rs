//! The figures of the screens beside those of Kafka's own tools, on the same cluster.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use redrive::broker::{Name, NewTopic, Shard};
use serde_json::Value;

use crate::support::{only, plain, put, ready, soon, transaction, unique, variable, write};

/// What one of Kafka's tools prints.
fn tool(class: &str, arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker");
    let path = Command::new(script).arg("classpath").output().unwrap();
    let output = Command::new("java")
        .args(["-cp", String::from_utf8(path.stdout).unwrap().trim()])
        .arg(format!("org.apache.kafka.tools.{class}"))
        .args(["--bootstrap-server", &variable("REDRIVE_TEST_BROKERS")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = output.stderr.escape_ascii().to_string();
    assert!(output.status.success(), "{class}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says.
fn redrive(arguments: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_redrive"))
        .env("HOME", home.path())
        .args(["--brokers", &variable("REDRIVE_TEST_BROKERS")])
        .args(arguments)
        .args(["-o", "json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", output.stderr.escape_ascii());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The words behind a `name: ` in a line of fields that are separated by tabs.
fn field<'t>(line: &'t str, name: &str) -> &'t str {
    let words = line.split('\t').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix(": "));
    words.unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// The offsets of all partitions.
fn offsets(topic: &str, time: &str) -> BTreeMap<i64, i64> {
    let text = tool("GetOffsetShell", &["--topic", topic, "--time", time]);
    let row = |line: &str| {
        let mut words = line.rsplit(':').map(|word| word.parse().unwrap());
        let (offset, partition) = (words.next().unwrap(), words.next().unwrap());
        (partition, offset)
    };
    text.lines().map(row).collect()
}

/// A column of redrive's partitions.
fn column(document: &Value, name: &str) -> BTreeMap<i64, i64> {
    let rows = document["partitions"].as_array().unwrap().iter();
    rows.map(|row| (row["partition"].as_i64().unwrap(), row[name].as_i64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_topic_is_as_kafkas_own_tools_see_it() {
    let broker = plain().await;
    let name = unique("figures");
    let config = [("retention.ms", "7200000"), ("cleanup.policy", "compact,delete")];
    let new = NewTopic {
        name: name.clone(),
        partitions: 4,
        replication: Some(1),
        config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    only(broker.writer().unwrap().create_topics(&[new]).await.unwrap()).unwrap();
    ready(&*broker, &name, 4).await;
    let shard = |partition| Shard::new(name.clone(), partition);
    let keyed = |partition, i: usize| redrive::broker::Write {
        key: Some(format!("k{i}").into()),
        ..write(&shard(partition), "v")
    };
    put(&*broker, (0..5).map(|i| keyed(0, i))).await;
    put(&*broker, (0..7).map(|i| keyed(1, i))).await;
    only(broker.writer().unwrap().delete_before(&[(shard(1), 3)]).await.unwrap()).unwrap();
    // The marker of an aborted transaction takes an offset.
    let mut session = transaction(&*broker, &unique("tx"), Duration::from_secs(60)).await;
    session.stage(keyed(2, 0)).await.unwrap();
    session.settle().await.unwrap();
    session.abort().await.unwrap();
    let own = soon("the marker", async {
        loop {
            let document = redrive(&["topics", "show", &name, "--window", "100ms"]);
            if column(&document, "last_stable_offset")[&2] == 2 {
                return document;
            }
        }
    })
    .await;

    assert_eq!(column(&own, "start_offset"), offsets(&name, "earliest"));
    assert_eq!(column(&own, "end_offset"), offsets(&name, "latest"));
    assert_eq!(column(&own, "end_offset"), BTreeMap::from([(0, 5), (1, 7), (2, 2), (3, 0)]));
    assert_eq!(own["records"], 5 + 4 + 2);

    let told = tool("TopicCommand", &["--describe", "--topic", &name]);
    let (head, rows) = told.split_once('\n').unwrap();
    assert_eq!(own["replication_factor"].to_string(), field(head, "ReplicationFactor"));
    let differs = |(_, setting): &(&String, &Value)| setting["is_default"] == false;
    let own_config: BTreeMap<_, _> = own["config"].as_object().unwrap().iter().filter(differs).collect();
    // Values hold commas, too.
    for (name, setting) in own_config {
        let pair = format!("{name}={}", setting["value"].as_str().unwrap());
        assert!(field(head, "Configs").contains(&pair), "{pair} is not in {head}");
    }
    for (name, value) in config {
        assert_eq!(
            (&own["config"][name]["value"], &own["config"][name]["is_default"]),
            (&value.into(), &false.into())
        );
    }
    let list =
        |value: &Value| value.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows.len(), 4);
    for (row, line) in own["partitions"].as_array().unwrap().iter().zip(rows) {
        assert_eq!(row["partition"].to_string(), field(line, "Partition"));
        assert_eq!(row["leader"].to_string(), field(line, "Leader"));
        assert_eq!(
            (&*list(&row["replicas"]), &*list(&row["isr"])),
            (field(line, "Replicas"), field(line, "Isr"))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_group_is_as_kafkas_own_tool_sees_it() {
    let broker = plain().await;
    let (topic, group) = (unique("figures"), unique("readers"));
    let new = NewTopic { name: topic.clone(), partitions: 3, replication: Some(1), config: Vec::new() };
    only(broker.writer().unwrap().create_topics(&[new]).await.unwrap()).unwrap();
    ready(&*broker, &topic, 3).await;
    let shard = |partition| Shard::new(topic.clone(), partition);
    for partition in 0..3 {
        put(&*broker, (0..10).map(|_| write(&shard(partition), "v"))).await;
    }
    let topics: [Name; 1] = [topic.clone()];
    let mut member = broker.writer().unwrap().join(&group, "billing", &topics).await.unwrap();
    soon("records", async { while member.poll(Duration::from_millis(100)).await.unwrap().is_empty() {} })
        .await;
    // The third partition has a member and no commit.
    member.commit(&[(shard(0), 4), (shard(1), 10)]).await.unwrap();

    let own = redrive(&["groups", "show", &group, "--window", "100ms"]);
    let told = tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", &group]);
    let mut lines = told.lines().filter(|line| !line.trim().is_empty());
    let names: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let mut theirs: Vec<BTreeMap<&str, &str>> =
        lines.map(|line| names.iter().copied().zip(line.split_whitespace()).collect()).collect();
    theirs.sort_by_key(|row| row["PARTITION"]);
    assert_eq!(theirs.len(), 3, "{told}");
    let word = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for (row, their) in own["partitions"].as_array().unwrap().iter().zip(&theirs) {
        for (name, column) in [
            ("topic", "TOPIC"),
            ("partition", "PARTITION"),
            ("committed", "CURRENT-OFFSET"),
            ("end_offset", "LOG-END-OFFSET"),
            ("lag", "LAG"),
            ("member", "CONSUMER-ID"),
            ("client_id", "CLIENT-ID"),
        ] {
            assert_eq!(word(&row[name]), their[column], "{name} of {row}, in {told}");
        }
        assert_eq!(word(&row["host"]).trim_start_matches('/'), their["HOST"].trim_start_matches('/'));
    }
    assert_eq!((&own["lag"], &own["lag_unknown_partitions"]), (&6.into(), &1.into()));

    let told = tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", &group, "--state"]);
    let last = told.lines().rfind(|line| !line.trim().is_empty()).unwrap();
    let words: Vec<&str> = last.split_whitespace().collect();
    let [.., state, members] = words[..] else { panic!("{told}") };
    assert_eq!(word(&own["state"]), state.to_lowercase(), "{told}");
    assert_eq!(word(&own["members"]), members, "{told}");
    member.leave(Duration::from_secs(10)).await.unwrap();
}
