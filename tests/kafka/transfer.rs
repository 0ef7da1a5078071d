//! Records into files and back, from topic to topic, and of the operator's own: byte for byte on a real broker.

use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{Broker, Commit, Name, ReadPlan, Shard, Write};
use redrive::event::{Headers, Record};
use redrive::text::Timestamp;
use serde_json::json;

use crate::redrive::Bench;
use crate::support::{put, read, soon, transaction, unique, whole};

const PARTITIONS: i32 = 3;
/// Records with times of years ago stay.
const KEPT: [(&str, &str); 1] = [("retention.ms", "-1")];
/// Records that committed readers see in [`fill`].
const SEEN: usize = 24;

/// All records of a topic.
async fn all(broker: &dyn Broker, topic: &Name) -> Vec<Record> {
    let spans = (0..PARTITIONS).map(|p| whole(&Shard::new(topic.clone(), p)));
    read(broker, ReadPlan::new(spans.collect())).await
}

/// All records of a topic once there are so many: a commit is answered before its markers are in the log.
async fn after_markers(broker: &dyn Broker, topic: &Name, count: usize) -> Vec<Record> {
    soon("all records", async {
        loop {
            let records = all(broker, topic).await;
            if records.len() >= count {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

/// Everything of records but their offsets, in the order of their partitions.
fn content(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| (record.at.partition, record.at.offset));
    for record in &mut records {
        record.at.topic = "".into();
        record.at.offset = 0;
    }
    records
}

/// Records of every odd kind: null and empty, headers that occur twice, have no value, or a name that is no text,
/// times of years ago; and beside them an aborted transaction and a committed one.
async fn fill(bench: &Bench, topic: &Name) {
    let mut odd = Headers::default();
    odd.push("a", Some(Bytes::from_static(b"1")));
    odd.push("a", None);
    odd.push("a", Some(Bytes::new()));
    odd.push(Bytes::from_static(b"\xffn\xfe"), Some(Bytes::from_static(b"\x00\x80")));
    let bytes = |bytes: &'static [u8]| Some(Bytes::from_static(bytes));
    let contents = [
        (None, None, odd.clone()),
        (bytes(b""), bytes(b""), Headers::default()),
        (bytes(b"\x00\xfe"), bytes(b"\n\"\\\xff\x1b[2J"), odd),
        (bytes(b"k"), bytes(b"{ \"b\" : 1.0,\"a\":12345678901234567890 }"), Headers::default()),
    ];
    let writes = |turn: i64| {
        let each = contents.clone().into_iter().enumerate();
        let write = move |(i, (key, value, headers)): (usize, _)| Write {
            topic: topic.clone(),
            partition: Some((turn as i32 + i as i32) % PARTITIONS),
            key,
            value,
            headers,
            timestamp: Some(Timestamp(1_500_000_000_000 + turn * 1_000 - i as i64)),
        };
        each.map(write).collect::<Vec<_>>()
    };
    for turn in 0..4 {
        put(&*bench.broker, writes(turn)).await;
    }
    for (turn, commits) in [(4, false), (5, true), (6, true)] {
        let mut session = transaction(&*bench.broker, &unique("tx"), Duration::from_secs(60)).await;
        for write in writes(turn) {
            session.stage(write).await.unwrap();
        }
        session.settle().await.unwrap();
        if commits {
            assert_eq!(session.commit().await.unwrap(), Commit::Done);
        } else {
            session.abort().await.unwrap();
        }
    }
}

/// A bench whose target is filled, and the name of a topic like it.
async fn filled() -> (Bench, Name) {
    let bench = Bench::new(PARTITIONS, &KEPT).await;
    fill(&bench, &bench.target).await;
    after_markers(&*bench.broker, &bench.target, SEEN).await;
    let copy = unique("copy");
    bench.create(&copy, PARTITIONS, &KEPT).await;
    (bench, copy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn records_come_back_from_files_byte_for_byte_and_once() {
    for format in ["jsonl", "bin"] {
        let (bench, copy) = filled().await;
        let file = bench.file("records").display().to_string();
        let export = ["export", &*bench.target, "--save", &file, "--format", format, "-o", "json"];
        let exported = bench.redrive(&export).await.with(0);
        assert_eq!((&exported["records"], &exported["complete"]), (&json!(SEEN), &json!(true)));
        bench.redrive(&export).await.with(2);
        let into = format!("topic:{copy}");
        let import = ["import", &file, "--into", &into, "-o", "json"];
        assert_eq!(bench.redrive(&import).await.with(4)["dry_run"], true);
        assert!(all(&*bench.broker, &copy).await.is_empty());
        let import = [&import[..], &["--yes"]].concat();
        assert_eq!(bench.redrive(&import).await.with(0)["imported"], SEEN);
        let written = content(after_markers(&*bench.broker, &copy, SEEN).await);
        assert_eq!(written, content(all(&*bench.broker, &bench.target).await));
        let again = bench.redrive(&import).await.with(0);
        assert_eq!((&again["imported"], &again["before"]), (&json!(0), &json!(SEEN)));
        assert_eq!(all(&*bench.broker, &copy).await.len(), SEEN);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_copy_is_the_same_bytes_and_a_second_one_only_what_came_since() {
    let (bench, copy) = filled().await;
    let into = format!("topic:{copy}");
    let arguments = ["copy", &*bench.target, "--into", &into, "-o", "json"];
    assert_eq!(bench.redrive(&arguments).await.with(4)["dry_run"], true);
    assert!(all(&*bench.broker, &copy).await.is_empty());
    let arguments = [&arguments[..], &["--yes"]].concat();
    let copied = bench.redrive(&arguments).await.with(0);
    assert_eq!((&copied["copied"], &copied["complete"]), (&json!(SEEN), &json!(true)), "{copied}");
    let written = content(after_markers(&*bench.broker, &copy, SEEN).await);
    assert_eq!(written, content(all(&*bench.broker, &bench.target).await));
    assert_eq!(bench.redrive(&arguments).await.with(0)["copied"], 0);
    put(&*bench.broker, [crate::support::write(&Shard::new(bench.target.clone(), 1), "since")]).await;
    assert_eq!(bench.redrive(&arguments).await.with(0)["copied"], 1);
    assert_eq!(after_markers(&*bench.broker, &copy, SEEN + 1).await.len(), SEEN + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn what_is_produced_lies_there_as_it_was_given() {
    let bench = Bench::new(PARTITIONS, &KEPT).await;
    let target = &*bench.target;
    let odd = [
        "produce",
        target,
        "--key-base64",
        "AP4=",
        "--value-base64",
        "Cv8bWzJK",
        "--partition",
        "2",
        "--timestamp",
        "2020-02-29T12:00:00.123Z",
        "--header",
        "a=1",
        "--header",
        r#"{"name":"a","value":null,"encoding":"null"}"#,
        "--header",
        "a=",
        "--header",
        r#"{"name":"/24=","name_encoding":"base64","value":"AIA=","encoding":"base64"}"#,
        "-o",
        "json",
    ];
    let shown = bench.redrive(&odd).await.with(4);
    assert_eq!((&shown["dry_run"], &shown["written"]), (&json!(true), &json!(0)));
    assert!(all(&*bench.broker, &bench.target).await.is_empty());
    let written = bench.redrive(&[&odd[..], &["--yes"]].concat()).await.with(0);
    let place = &written["records"][0];
    assert_eq!((&place["partition"], &place["offset"]), (&json!(2), &json!(0)));
    for value in [&["--value", ""][..], &["--null"], &["--value", "text"]] {
        let arguments = [&["produce", target, "--key", "ord-5512", "--yes"], value].concat();
        bench.redrive(&arguments).await.with(0);
    }
    let mut records = after_markers(&*bench.broker, &bench.target, 4).await;
    records.sort_by_key(Record::timestamp);
    assert_eq!(records.len(), 4);
    let mut headers = Headers::default();
    headers.push("a", Some(Bytes::from_static(b"1")));
    headers.push("a", None);
    headers.push("a", Some(Bytes::new()));
    headers.push(Bytes::from_static(b"\xffn"), Some(Bytes::from_static(b"\x00\x80")));
    let first = &records[0];
    assert_eq!((first.at.partition, &first.headers), (2, &headers));
    assert_eq!(first.timestamp().unwrap().to_string(), "2020-02-29T12:00:00.123Z");
    assert_eq!(
        (first.key.as_deref(), first.value.as_deref()),
        (Some(&b"\x00\xfe"[..]), Some(&b"\n\xff\x1b[2J"[..]))
    );
    let values: Vec<_> = records[1..].iter().map(|r| (r.at.partition, r.value.as_deref())).collect();
    let partition = redrive::event::murmur2::partition(b"ord-5512", PARTITIONS).unwrap();
    assert_eq!(values, [(partition, Some(&b""[..])), (partition, None), (partition, Some(b"text"))]);
}

/// Runs a command line of the shell, in which `$0` is the program and `$1` the topic.
async fn shell(bench: &Bench, script: &str) -> crate::redrive::Ended {
    let command = bench.command(&[]);
    let (program, topic) = (command.get_program().to_owned(), bench.target.to_string());
    let mut shell = std::process::Command::new("sh");
    shell
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(bench.file(""));
    shell.arg("-c").arg(script).arg(program).arg(topic).stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_full_disk_leaves_what_was_written_to_go_on_with() {
    const RECORDS: usize = 6_000;
    let bench = Bench::new(PARTITIONS, &[]).await;
    let write = |i: usize| Write {
        partition: Some(i as i32 % PARTITIONS),
        ..crate::support::write(&Shard::new(bench.target.clone(), 0), format!("{i}-{}", "x".repeat(300)))
    };
    put(&*bench.broker, (0..RECORDS).map(write)).await;
    for format in ["jsonl", "bin"] {
        // No file may become longer than that: to the program it is as if there were no room.
        let export = format!("\"$0\" export \"$1\" --save all.{format} --format {format} -o json");
        let full = shell(&bench, &format!("trap '' XFSZ; ulimit -f 800; exec {export}")).await;
        assert_eq!((full.code, &*full.out), (1, ""), "{}", full.err);
        assert!(full.err.contains("--resume") && full.err.contains(".part"), "{}", full.err);
        assert!(!bench.file(&format!("all.{format}")).exists());
        let done = shell(&bench, &format!("exec {export} --resume")).await.with(0);
        assert_eq!(done["records"], RECORDS);
        assert!(done["before"].as_u64().is_some_and(|n| n > 0 && n < RECORDS as u64), "{done}");
    }
    let raw = shell(&bench, "exec \"$0\" tail \"$1\" -o raw >/dev/full").await;
    assert!(raw.code == 1 && raw.err.contains("No space left"), "{} {}", raw.code, raw.err);
    assert!(raw.err.contains("the first 0 records were written"), "{}", raw.err);
    let tail = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" tail \"$1\" -o raw >values";
    let cut = shell(&bench, tail).await;
    let number = |text: &str, before: &str| {
        let digits = text.split(before).nth(1).map(|rest| rest.replace(',', "")).unwrap_or_default();
        digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<usize>().ok())
    };
    let written = number(&cut.err, "the first ").unwrap();
    assert!(written > 0 && written < RECORDS, "{}", cut.err);
    let places: Vec<usize> =
        cut.err.split("--from ").skip(1).filter_map(|at| number(at, "offset:")).collect();
    assert_eq!(places.iter().sum::<usize>(), written, "{}", cut.err);
    let lines = std::fs::read_to_string(bench.file("values")).unwrap().lines().count();
    assert!((written..RECORDS).contains(&lines), "{lines}: {}", cut.err);
    let piped = shell(&bench, "\"$0\" tail \"$1\" -o jsonl | head -1 | wc -l").await;
    assert_eq!((piped.code, piped.out.trim(), &*piped.err), (0, "1", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_value_of_100_mb_and_one_of_no_bytes_are_read() {
    const LARGE: usize = 100_000_000;
    let bench = Bench::new(PARTITIONS, &[("max.message.bytes", "104000000")]).await;
    let shard = Shard::new(bench.target.clone(), 0);
    let mut large = vec![b'x'; LARGE];
    large[LARGE - 6..].copy_from_slice(b"needle");
    put(&*bench.broker, [crate::support::write(&shard, large), crate::support::write(&shard, "")]).await;
    let lengths = shell(&bench, "\"$0\" tail \"$1\" -o raw | wc -c").await;
    assert_eq!(lengths.out.trim(), (LARGE + 2).to_string(), "{}", lengths.err);
    let found = bench.redrive(&["tail", &bench.target, "--contains", "needle", "--count"]).await;
    assert_eq!((found.code, found.out.trim()), (0, "1"), "{}", found.err);
    let empty = bench.redrive(&["get", &bench.target, "0", "1", "-o", "json"]).await.with(0);
    assert_eq!((&empty["value"], &empty["value_encoding"]), (&json!(""), &json!("utf8")));
    let line = bench.redrive(&["tail", &bench.target, "--limit", "1"]).await;
    assert_eq!(line.code, 0, "{}", line.err);
}
