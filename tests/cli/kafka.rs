//! Against a real Kafka: the commands end to end, their JSON checked.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::program::{Ended, Home, ended};

/// Sequences that would drive a terminal: OSC, CSI in C1, bell, bidirectional override.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";

/// A topic of the test's own on the broker that `tests/run` started, and a home that knows the broker.
struct Bench {
    home: Home,
    config: ClientConfig,
    topic: String,
}

impl Bench {
    fn new(topic: &str, partitions: i32) -> Self {
        let brokers =
            std::env::var("REDRIVE_TEST_BROKERS").expect("REDRIVE_TEST_BROKERS names a Kafka; use tests/run");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &brokers);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let bench = Self {
            home: Home::new().set("REDRIVE_BROKERS", &brokers),
            config,
            topic: format!("cli-{}-{topic}", &id[..8]),
        };
        bench.create(&bench.topic, partitions);
        bench
    }

    fn create(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config.create().unwrap();
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let made = wait(admin.create_topics([&new], &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// Deletes the records of partition 0 before `offset`.
    fn delete_before(&self, offset: i64) {
        let admin: AdminClient<DefaultClientContext> = self.config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::Offset(offset)).unwrap();
        wait(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }

    fn producer(&self, transactional: bool) -> BaseProducer {
        let mut config = self.config.clone();
        config.set("enable.idempotence", "true");
        if transactional {
            config.set("transactional.id", uuid::Uuid::new_v4().to_string());
        }
        let producer: BaseProducer = config.create().unwrap();
        if transactional {
            producer.init_transactions(Duration::from_secs(30)).unwrap();
            producer.begin_transaction().unwrap();
        }
        producer
    }

    fn send(&self, records: &[Sent<'_>]) {
        let producer = self.producer(false);
        self.stage(&producer, records);
    }

    fn stage(&self, producer: &BaseProducer, records: &[Sent<'_>]) {
        for sent in records {
            let headers = sent.headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: value.map(str::as_bytes) })
            });
            let mut record =
                BaseRecord::<[u8], [u8]>::to(&self.topic).partition(sent.partition).headers(headers);
            if let Some(key) = sent.key {
                record = record.key(key);
            }
            if let Some(value) = sent.value {
                record = record.payload(value);
            }
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.home.run(arguments)
    }

    /// `tail` of the topic with `arguments`, one document a line.
    fn tail(&self, arguments: &[&str]) -> Vec<Value> {
        let all = [&["tail", &self.topic, "-o", "jsonl"], arguments].concat();
        self.run(&all).code(0).lines()
    }

    fn values(&self, arguments: &[&str]) -> Vec<String> {
        self.tail(arguments).iter().map(|l| l["value"].as_str().unwrap_or("-").to_owned()).collect()
    }

    /// The error of `get` at an offset of partition 0.
    fn nothing_at(&self, offset: i64) -> String {
        let ended = self.run(&["get", &self.topic, "0", &offset.to_string(), "-o", "json"]).code(1);
        assert_eq!(ended.out, "");
        ended.error()["code"].as_str().unwrap().to_owned()
    }
}

/// What is sent.
#[derive(Clone, Default)]
struct Sent<'a> {
    partition: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<(&'a str, Option<&'a str>)>,
}

fn value(value: &str) -> Sent<'_> {
    Sent { value: Some(value.as_bytes()), ..Sent::default() }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[track_caller]
fn is_tame(ended: &Ended) {
    let wild = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ended.out.contains(wild) && !ended.err.contains(wild), "{:?} {:?}", ended.out, ended.err);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn tail_prints_each_record_as_the_contract_says() {
    let bench = Bench::new("orders", 1);
    bench.send(&[
        Sent {
            key: Some(b"ord-1"),
            value: Some(br#"{"event_id":"e-1","event_type":"OrderPlaced","total":99.5}"#),
            headers: vec![("a", Some("1")), ("a", None), ("a", Some("2"))],
            ..Sent::default()
        },
        Sent { value: Some(b"\xff\x00"), ..Sent::default() },
        Sent { key: Some(b""), ..Sent::default() },
    ]);
    let lines = bench.tail(&[]);
    let mut first = lines[0].clone();
    let timestamp = first["timestamp"].take();
    assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
    assert_eq!(
        first,
        json!({
            "topic": bench.topic, "partition": 0, "offset": 0, "timestamp": null, "timestamp_type": "create_time",
            "key": "ord-1", "key_encoding": "utf8",
            "value": {"event_id": "e-1", "event_type": "OrderPlaced", "total": 99.5}, "value_encoding": "json",
            "decoder": "json",
            "headers": [
                {"name": "a", "value": "1", "encoding": "utf8"},
                {"name": "a", "value": null, "encoding": "null"},
                {"name": "a", "value": "2", "encoding": "utf8"},
            ],
            "event": {
                "id": "e-1", "type": "OrderPlaced", "version": null, "time": null, "aggregate_id": "ord-1",
                "aggregate_type": null, "sequence": null, "correlation_id": null, "causation_id": null,
                "trace_id": null, "rule": "flat-json",
            },
            "size": 68,
        })
    );
    assert_eq!((&lines[1]["value"], &lines[1]["decoder"]), (&json!("/wA="), &json!("bytes")));
    assert_eq!((&lines[2]["value"], &lines[2]["key"]), (&Value::Null, &json!("")));
    let document = bench.run(&["tail", &bench.topic, "-o", "json"]).code(0).json();
    assert_eq!((&document["schema"], &document["complete"]), (&json!(1), &json!(true)));
    assert_eq!(document["records"], json!(lines));
    assert_eq!(document["ranges"], json!([[bench.topic, 0, 0, 3]]));
    assert_eq!(document["selection"]["isolation"], "read_committed");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn tail_selects_by_place_time_key_bytes_and_condition() {
    let bench = Bench::new("selected", 3);
    let keys: Vec<String> = (0..30).map(|i| format!("key-{i}")).collect();
    let values: Vec<String> = (0..30).map(|i| format!("{{\"n\":{i}}}")).collect();
    let sent = keys.iter().zip(&values).map(|(key, value)| Sent {
        partition: redrive::event::murmur2::partition(key.as_bytes(), 3).unwrap(),
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: Vec::new(),
    });
    bench.send(&sent.collect::<Vec<_>>());
    assert_eq!(bench.tail(&[]).len(), 30);
    assert_eq!(bench.tail(&["--from", "-2"]).len(), 6);
    assert_eq!(bench.tail(&["--partition", "1", "--from", "offset:3", "--to", "offset:5"]).len(), 2);
    assert_eq!(bench.tail(&["--from", "@-1h"]).len(), 30);
    assert_eq!(bench.tail(&["--to", "@-1h"]).len(), 0);
    assert_eq!(bench.tail(&["--contains", "\"n\":7}"]).len(), 1);
    let found = bench.tail(&["--where", ".value.n >= 28 and .key == \"key-29\""]);
    assert_eq!(found.iter().map(|l| &l["value"]["n"]).collect::<Vec<_>>(), [29]);
    let by_key = bench.run(&["tail", &bench.topic, "--key", "key-7", "-o", "jsonl"]).code(0);
    assert_eq!(by_key.lines().len(), 1);
    assert!(by_key.err.contains("--all-partitions"), "{}", by_key.err);
    let limited = bench.run(&["tail", &bench.topic, "--limit", "4", "-o", "json"]).code(0).json();
    assert_eq!((&limited["complete"], limited["records"].as_array().map(Vec::len)), (&json!(false), Some(4)));
    let selected =
        bench.run(&["tail", &bench.topic, "--partition", "0", "--limit", "1", "--select", ".key, .value"]);
    let lines: Vec<String> = selected.code(0).out.lines().map(str::to_owned).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("key-") && lines[1].starts_with("{\"n\":"), "{lines:?}");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn raw_values_are_the_bytes_and_hex_shows_them() {
    let bench = Bench::new("raw", 1);
    bench.send(&[value("one"), value("two\nlines"), Sent { value: Some(b"\x1b\xff"), ..Sent::default() }]);
    let raw = bench.home.command(&["tail", &bench.topic, "-o", "raw"]).output().unwrap();
    assert_eq!(raw.stdout, b"one\ntwo\nlines\n\x1b\xff\n");
    let zeros = bench.run(&["tail", &bench.topic, "-o", "raw", "--separator", r"\0", "--limit", "2"]).code(0);
    assert_eq!(zeros.out, "one\0two\nlines\0");
    let hex = bench.run(&["tail", &bench.topic, "-o", "hex", "--from", "-1"]).code(0);
    assert!(hex.out.contains("00000000  1b ff"), "{}", hex.out);
    let got = bench.home.command(&["get", &bench.topic, "0", "2", "-o", "raw"]).output().unwrap();
    assert_eq!(got.stdout, b"\x1b\xff");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn a_followed_topic_prints_what_comes_and_an_interrupt_ends_it_with_130() {
    let bench = Bench::new("followed", 1);
    bench.send(&[value("old")]);
    let mut command = bench.home.command(&["tail", &bench.topic, "--follow", "--from", "-1", "-o", "jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["value"], "old");
    bench.send(&[value("new")]);
    assert_eq!(next()["value"], "new");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    ended(child.wait_with_output().unwrap()).code(130);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn a_reader_that_goes_away_ends_a_tail_with_0() {
    let bench = Bench::new("piped", 1);
    let long = "x".repeat(10_000);
    bench.send(&vec![value(&long); 500]);
    let mut command = bench.home.command(&["tail", &bench.topic, "-o", "raw"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.len(), 10_001);
    assert_eq!(ended(child.wait_with_output().unwrap()).code(0).err, "");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn get_gives_the_record_or_says_why_there_is_none() {
    let bench = Bench::new("got", 1);
    bench.send(&[value("gone"), value("{\"a\":")]);
    let producer = bench.producer(true);
    bench.stage(&producer, &[value("committed")]);
    producer.commit_transaction(Duration::from_secs(30)).unwrap();
    let producer = bench.producer(true);
    bench.stage(&producer, &[value("aborted")]);
    producer.abort_transaction(Duration::from_secs(30)).unwrap();
    bench.delete_before(1);
    let found = bench.run(&["get", &bench.topic, "0", "1", "-o", "json"]).code(0).json();
    assert_eq!((&found["value"], &found["decoder"]), (&json!("{\"a\":"), &json!("text")));
    let refused = found["refused_decoders"].as_array().unwrap();
    assert!(refused.iter().any(|refusal| refusal["decoder"] == "json"), "{refused:?}");
    let shown = bench.run(&["get", &bench.topic, "0", "2"]).code(0);
    assert!(shown.out.contains("committed"), "{}", shown.out);
    assert_eq!(bench.nothing_at(0), "expired");
    assert_eq!(bench.nothing_at(3), "transaction_marker");
    assert_eq!(bench.nothing_at(4), "aborted");
    assert_eq!(bench.nothing_at(5), "transaction_marker");
    assert_eq!(bench.nothing_at(6), "beyond_end");
    assert_eq!(
        bench.run(&["get", &bench.topic, "7", "0", "-o", "json"]).code(2).error()["code"],
        "unknown_partition"
    );
    assert_eq!(bench.values(&["--from", "-1"]), ["committed"]);
    assert_eq!(bench.values(&["--from", "-1", "--isolation", "read_uncommitted"]), ["aborted"]);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn an_unknown_topic_names_the_nearest() {
    let bench = Bench::new("payments", 1);
    let mistyped = bench.topic.replace("payments", "paymnets");
    for arguments in
        [&["tail", &mistyped][..], &["get", &mistyped, "0", "0"], &["dlq", "failures", &mistyped]]
    {
        let ended = bench.run(&[arguments, &["-o", "json"]].concat()).code(1);
        let error = ended.error();
        assert_eq!(error["code"], "unknown_topic");
        assert_eq!(error["hint"], format!("did you mean {}?", bench.topic));
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn topics_and_groups_tell_what_the_cluster_has() {
    let bench = Bench::new("measured", 2);
    bench.send(&[value("a"), value("b"), value("c")]);
    let mut config = bench.config.clone();
    let group = format!("{}-group", bench.topic);
    let consumer: BaseConsumer = config.set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&bench.topic, 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();

    let window = ["--window", "200ms", "-o", "json"];
    let topics = bench.run(&[&["topics", "list"], &window[..]].concat()).code(0).json();
    assert_eq!(topics["schema"], 1);
    assert_eq!(topics["cluster"]["brokers"], 1);
    let topic = topics["topics"].as_array().unwrap().iter().find(|t| t["name"] == bench.topic).unwrap();
    assert_eq!((&topic["partitions"], &topic["records"]), (&json!(2), &json!(3)));
    assert_eq!((&topic["role"], &topic["replication_factor"]), (&json!("source"), &json!(1)));
    let shown = bench.run(&[&["topics", "show", &bench.topic], &window[..]].concat()).code(0).json();
    assert_eq!(shown["partitions"][0]["end_offset"], 3);
    assert_eq!(shown["partitions"][0]["last_stable_offset"], 3);
    assert_eq!(shown["config"]["cleanup.policy"]["value"], "delete");

    let groups = bench.run(&[&["groups", "list"], &window[..]].concat()).code(0).json();
    let row = groups["groups"].as_array().unwrap().iter().find(|g| g["group"] == group).unwrap();
    assert_eq!((&row["state"], &row["members"]), (&json!("empty"), &json!(0)), "{row}");
    let shown = bench.run(&[&["groups", "show", &group], &window[..]].concat()).code(0).json();
    let part = shown["partitions"].as_array().unwrap().iter().find(|p| p["partition"] == 0).unwrap();
    assert_eq!((&part["committed"], &part["end_offset"], &part["lag"]), (&json!(1), &json!(3), &json!(2)));
    bench.run(&["groups", "show", &group, "--window", "200ms", "--fail-on", "lag>1"]).code(3);
    bench.run(&["groups", "show", &group, "--window", "200ms", "--fail-on", "lag>5"]).code(0);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn metrics_once_tells_of_a_broker_that_is_up() {
    let bench = Bench::new("metrics", 1);
    bench.send(&[value("a"), value("b")]);
    let ended = bench.run(&["metrics", "--once", "--topics", &bench.topic]).code(0);
    assert!(ended.out.lines().any(|line| line == "redrive_up 1"), "{}{}", ended.out, ended.err);
    let records = format!("redrive_topic_records_total{{topic=\"{}\"", bench.topic);
    assert!(ended.out.contains(&records), "{}", ended.out);
}

fn letter<'a>(class: &'a str, message: &'a str, offset: &'a str) -> Sent<'a> {
    Sent {
        value: Some(br#"{"total":5}"#),
        headers: vec![
            ("kafka_dlt-original-topic", Some("orders")),
            ("kafka_dlt-original-partition", Some("\0\0\0\u{1}")),
            ("kafka_dlt-original-offset", Some(offset)),
            ("kafka_dlt-original-consumer-group", Some("email")),
            ("kafka_dlt-exception-fqcn", Some(class)),
            ("kafka_dlt-exception-message", Some(message)),
        ],
        ..Sent::default()
    }
}

/// The topic holds two letters of one failure and one of another; the second of the two is parked here, and released
/// again.
fn letters_are_selected_and_counted_by_state(bench: &Bench, failure: &str) {
    let topic = bench.topic.as_str();
    let offsets = |options: &[&str]| -> Vec<i64> {
        let letters =
            bench.run(&[&["dlq", "letters", topic, "-o", "jsonl"], options].concat()).code(0).lines();
        letters.iter().map(|l| l["position"]["offset"].as_i64().unwrap()).collect()
    };
    assert_eq!(offsets(&["--from", "offset:1"]), [1, 2]);
    assert_eq!(offsets(&["--from", "offset:1", "--to", "offset:2"]), [1]);
    assert!(offsets(&["--key", "nobody"]).is_empty());
    assert_eq!(offsets(&["--failure", failure, "--where", ".dead_letter.root.offset == 2"]), [1]);

    let counts = |options: &[&str]| {
        let asked = [&["dlq", "failures", topic, "-o", "json"], options].concat();
        let rows = bench.run(&asked).code(0).json()["failures"].as_array().unwrap().clone();
        rows.iter().map(|row| (row["count"].as_u64(), row["pending"].as_u64())).collect::<Vec<_>>()
    };
    let park = ["dlq", "park", topic, "--from", "offset:1", "--to", "offset:2", "--reason", "later", "--yes"];
    bench.run(&park).code(0);
    let (one, two) = (Some(1), Some(2));
    assert_eq!(counts(&[]), [(two, one), (one, one)]);
    assert_eq!(counts(&["--state", "all"]), [(two, one), (one, one)]);
    assert_eq!(counts(&["--state", "parked"]), [(one, Some(0))]);
    assert_eq!(counts(&["--state", "pending"]), [(one, one), (one, one)]);
    assert!(counts(&["--state", "redriven"]).is_empty());
    assert_eq!((offsets(&["--state", "parked"]), offsets(&["--state", "all"])), (vec![1], vec![0, 1, 2]));
    bench.run(&["dlq", "release", topic, "--reason", "looked at", "--yes"]).code(0);
    assert!(counts(&["--state", "parked"]).is_empty());
    assert_eq!(offsets(&[]), [0, 1, 2]);
    bench.run(&["dlq", "failures", topic, "--state", "gone"]).code(2);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn dead_letters_are_found_grouped_and_listed() {
    let bench = Bench::new("orders-dlt", 1);
    let offsets = ["\0\0\0\0\0\0\0\u{1}", "\0\0\0\0\0\0\0\u{2}", "\0\0\0\0\0\0\0\u{3}"];
    bench.send(&[
        letter("java.net.SocketTimeoutException", "no answer after 3000 ms", offsets[0]),
        letter("java.net.SocketTimeoutException", "no answer after 3001 ms", offsets[1]),
        letter("java.lang.IllegalStateException", "no sku", offsets[2]),
    ]);
    let list = bench.run(&["dlq", "list", "-o", "json"]).code(0).json();
    let row =
        list["dead_letter_topics"].as_array().unwrap().iter().find(|r| r["topic"] == bench.topic).unwrap();
    assert_eq!(
        (&row["records"], &row["pending"], &row["sources"]),
        (&json!(3), &json!(3), &json!(["orders"])),
        "{row}"
    );
    assert_eq!(row["formats"], json!(["spring-kafka"]));
    let failures = bench.run(&["dlq", "failures", &bench.topic, "-o", "json"]).code(0).json();
    let counts: Vec<_> = failures["failures"].as_array().unwrap().iter().map(|f| &f["count"]).collect();
    assert_eq!(counts, [2, 1], "{failures}");
    let id = failures["failures"][0]["id"].as_str().unwrap();
    letters_are_selected_and_counted_by_state(&bench, id);
    let letters =
        bench.run(&["dlq", "letters", &bench.topic, "--failure", id, "-o", "jsonl"]).code(0).lines();
    let offsets: Vec<_> = letters.iter().map(|l| &l["position"]["offset"]).collect();
    assert_eq!(offsets, [0, 1]);
    assert_eq!(letters[0]["root"]["offset"], 1);
    assert_eq!((&letters[0]["state"], &letters[0]["format"]), (&json!("pending"), &json!("spring-kafka")));
    let condition = r#".dead_letter.error_class == "java.lang.IllegalStateException""#;
    let chosen =
        bench.run(&["dlq", "letters", &bench.topic, "--where", condition, "-o", "jsonl"]).code(0).lines();
    assert_eq!(chosen.iter().map(|l| &l["position"]["offset"]).collect::<Vec<_>>(), [2]);
    let format =
        "name = 'ours'\n[fields]\nerror_class = 'kafka_dlt-exception-message'\noriginal_value = '$.total'\n";
    std::fs::write(bench.home.path().join("ours.toml"), format).unwrap();
    let tried = ["dlq", "letters", &bench.topic, "--letter-format", "ours.toml", "-o", "jsonl"];
    let tried = bench.run(&tried).code(0).lines();
    assert_eq!((&tried[2]["format"], &tried[2]["error_class"]), (&json!("ours"), &json!("no sku")));
    assert_eq!((&tried[2]["original_value"], &tried[2]["root"]["topic"]), (&json!(5), &json!(null)));
    assert_eq!(tried[2]["rules"]["error_class"], "header kafka_dlt-exception-message");
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn a_plan_says_what_a_run_would_do_and_is_kept_in_a_file_of_ones_own() {
    let bench = Bench::new("planned-dlt", 1);
    let target = format!("{}-target", bench.topic);
    let into = format!("topic:{target}");
    bench.send(&[
        letter("java.net.SocketTimeoutException", "slow", "\0\0\0\0\0\0\0\u{1}"),
        letter("java.lang.IllegalStateException", "no sku", "\0\0\0\0\0\0\0\u{2}"),
    ]);
    let plan = ["plan", &bench.topic, "--into", &into, "--save", "letters.plan", "-o", "json"];
    let refused = bench.run(&plan).code(4).json();
    assert_eq!(refused["preflight"]["refusals"][0]["rule"], "target_missing");
    bench.create(&target, 2);
    let planned = bench.run(&plan).code(0).json();
    assert_eq!((&planned["schema"], &planned["guarantee"]), (&json!(1), &json!("exactly_once")));
    assert_eq!(planned["source"]["topic"], bench.topic);
    assert_eq!((&planned["preflight"]["selected"], &planned["counts"]["records"]), (&json!(2), &json!(2)));
    let file = bench.home.path().join("letters.plan");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let saved = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = saved.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[1][1], &lines[2][1], &lines[3]["records"]), (&json!(0), &json!(1), &json!(2)));
    let chosen = bench.run(&[
        "plan",
        &bench.topic,
        "--into",
        &into,
        "--where",
        ".dead_letter.message == \"slow\"",
        "-o",
        "json",
    ]);
    assert_eq!(chosen.code(0).json()["preflight"]["selected"], 1);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn a_run_redrives_each_letter_once_and_tells_what_it_did() {
    let bench = Bench::new("run-dlt", 1);
    let target = format!("{}-target", bench.topic);
    bench.create(&target, 1);
    let mut letters = [
        letter("java.net.SocketTimeoutException", "slow", "\0\0\0\0\0\0\0\u{1}"),
        letter("java.lang.IllegalStateException", "no sku", "\0\0\0\0\0\0\0\u{2}"),
    ];
    for letter in &mut letters {
        letter.key = Some(b"ord-1");
        letter.headers.push(("trace", Some("t-1")));
    }
    bench.send(&letters);
    let into = format!("topic:{target}");
    bench.run(&["plan", &bench.topic, "--into", &into, "--save", "all.plan"]).code(0);

    let asked = bench.run(&["run", "all.plan", "-o", "json"]).code(4).json();
    assert_eq!((&asked["dry_run"], &asked["redriven"]), (&json!(true), &json!(0)));
    assert!(bench.run(&["tail", &target, "-o", "jsonl"]).code(0).lines().is_empty());

    let run =
        bench.run(&["run", "all.plan", "--yes", "--reason", "fixed", "--operator", "anna", "-o", "json"]);
    let run = run.code(0).json();
    assert_eq!(
        (&run["schema"], &run["redriven"], &run["stopped"]),
        (&json!(1), &json!(2), &Value::Null),
        "{run}"
    );
    assert_eq!((&run["operator"], &run["guarantee"]), (&json!("anna"), &json!("exactly_once")));
    let written = bench.run(&["tail", &target, "-o", "jsonl"]).code(0).lines();
    assert_eq!(written.len(), 2);
    for record in &written {
        assert_eq!((&record["key"], &record["value"]), (&json!("ord-1"), &json!({"total": 5})));
        let names: Vec<_> =
            record["headers"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"trace") && names.contains(&"redrive-id"), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("kafka_dlt-")), "{names:?}");
    }

    let again = bench.run(&["run", "all.plan", "--yes", "-o", "json"]).code(0).json();
    assert_eq!((&again["redriven"], &again["already_handled"]), (&json!(0), &json!(2)), "{again}");
    assert_eq!(bench.run(&["tail", &target, "-o", "jsonl"]).code(0).lines().len(), 2);
    let letters =
        bench.run(&["dlq", "letters", &bench.topic, "--state", "redriven", "-o", "jsonl"]).code(0).lines();
    assert_eq!(letters.iter().map(|l| &l["redrive"]["run"]).collect::<Vec<_>>(), [&run["run"], &run["run"]]);
    assert!(bench.run(&["dlq", "letters", &bench.topic, "-o", "jsonl"]).code(0).lines().is_empty());
    let runs = bench.run(&["runs", "list", "-o", "json"]).code(0).json();
    let row = runs["runs"].as_array().unwrap().iter().find(|r| r["run"] == run["run"]).unwrap();
    assert_eq!(
        (&row["state"], &row["operator"], &row["redriven"]),
        (&json!("done"), &json!("anna"), &json!(2))
    );
    let shown = bench.run(&["runs", "show", run["run"].as_str().unwrap(), "-o", "json"]).code(0).json();
    assert_eq!(shown["plan"], run["plan"]);
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn hostile_bytes_never_drive_the_terminal() {
    let bench = Bench::new("hostile-dlt", 1);
    let mut sent = letter(HOSTILE, HOSTILE, "\0\0\0\0\0\0\0\u{1}");
    sent.key = Some(HOSTILE.as_bytes());
    sent.value = Some(HOSTILE.as_bytes());
    sent.headers.push((HOSTILE, Some(HOSTILE)));
    bench.send(&[sent]);
    let topic = bench.topic.as_str();
    for arguments in [
        &["tail", topic][..],
        &["tail", topic, "-o", "json"],
        &["tail", topic, "-o", "jsonl"],
        &["tail", topic, "-o", "hex"],
        &["tail", topic, "-o", "jsonl", "--select", ".value, {(.key): .headers}"],
        &["tail", topic, "--where", ".key | error"],
        &["get", topic, "0", "0"],
        &["get", topic, "0", "0", "-o", "json"],
        &["dlq", "list"],
        &["dlq", "failures", topic],
        &["dlq", "failures", topic, "-o", "json"],
        &["dlq", "letters", topic],
        &["dlq", "letters", topic, "-o", "jsonl"],
    ] {
        is_tame(&bench.run(arguments).code(0));
    }
    is_tame(&bench.run(&["tail", HOSTILE]).code(1));
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn config_check_says_which_profile_connects() {
    let brokers = std::env::var("REDRIVE_TEST_BROKERS").unwrap();
    let home = Home::with(&format!(
        "[profiles.good]\nbrokers = [\"{brokers}\"]\n[profiles.away]\nbrokers = [\"127.0.0.1:1\"]\n"
    ));
    let checked = home.run(&["config", "check", "-o", "json"]).code(1).json();
    let row =
        |name: &str| checked["profiles"].as_array().unwrap().iter().find(|p| p["profile"] == name).unwrap();
    assert_eq!((&row("good")["ok"], &row("good")["brokers"]), (&json!(true), &json!(1)));
    assert_eq!(row("away")["error"]["code"], "unreachable");
    home.run(&["config", "check", "--profile", "good"]).code(0);
}

#[test]
fn a_broker_that_is_away_is_told() {
    let home = Home::new().set("REDRIVE_BROKERS", "127.0.0.1:1");
    for arguments in
        [&["tail", "orders"][..], &["get", "orders", "0", "0"], &["topics", "list"], &["dlq", "list"]]
    {
        let ended = home.run(&[arguments, &["-o", "json"]].concat()).code(1);
        assert_eq!((ended.error()["code"].as_str(), ended.out.as_str()), (Some("unreachable"), ""));
    }
}
