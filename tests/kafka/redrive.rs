//! Redriving on a real broker, with the real program: what the protocol says must be proved.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{Bounds, Broker, Commit, Name, NewTopic, ReadPlan, Shard, Span, Until, Write};
use redrive::event::{Headers, Record, murmur2};
use serde_json::Value;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::support::{plain, put, read, soon, transaction, unique, variable};

/// A topic, its dead letters, and an operator's home.
pub struct Bench {
    pub broker: Arc<dyn Broker>,
    home: TempDir,
    pub source: Name,
    pub target: Name,
    partitions: i32,
}

/// Where a letter's record was: partition and offset on the target.
pub type Origin = (i32, i64);

/// How the program ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    #[track_caller]
    pub fn with(self, code: i32) -> Value {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or(Value::Null)
    }
}

impl Bench {
    pub async fn new(partitions: i32, config: &[(&str, &str)]) -> Self {
        let bench = Self::bare(partitions).await;
        bench.create(&bench.source, 2, &[]).await;
        if partitions > 0 {
            bench.create(&bench.target, partitions, config).await;
        }
        bench
    }

    /// Without topics.
    pub async fn bare(partitions: i32) -> Self {
        let (broker, target) = (plain().await, unique("orders"));
        let source = format!("{target}-dlt").into();
        Self { broker, home: tempfile::tempdir().unwrap(), source, target, partitions }
    }

    pub async fn create(&self, name: &Name, partitions: i32, config: &[(&str, &str)]) {
        let new = NewTopic {
            name: name.clone(),
            partitions,
            replication: Some(1),
            config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        };
        for made in self.broker.writer().unwrap().create_topics(&[new]).await.unwrap() {
            made.unwrap();
        }
    }

    /// Writes dead letters as Spring Kafka does: keys and values, with origins on the partitions that Java picks.
    pub async fn bury(&self, letters: impl IntoIterator<Item = (String, Bytes)>) {
        let mut next: HashMap<i32, i64> = HashMap::new();
        let letters = letters.into_iter().map(|(key, value)| {
            let partition = murmur2::partition(key.as_bytes(), self.partitions.max(1)).unwrap();
            // Far behind what the test itself writes, so that no letter seems to come from a redrive.
            let offset = next.entry(partition).or_insert(1_000_000);
            *offset += 1;
            (Bytes::from(key), value, (partition, *offset))
        });
        self.bury_from(letters.collect::<Vec<_>>()).await;
    }

    /// Writes dead letters of these origins.
    pub async fn bury_from(&self, letters: impl IntoIterator<Item = (Bytes, Bytes, Origin)>) {
        let writes = (0..).zip(letters).map(|(i, (key, value, origin))| Write {
            partition: Some(i % 2),
            ..self.letter(key, value, origin, "a.Broken")
        });
        put(&*self.broker, writes.collect::<Vec<_>>()).await;
    }

    /// A dead letter as Spring Kafka writes it.
    pub fn letter(&self, key: Bytes, value: Bytes, (partition, offset): Origin, error: &str) -> Write {
        let mut headers = Headers::default();
        for (name, value) in [
            ("kafka_dlt-original-topic", self.target.as_bytes()),
            ("kafka_dlt-original-partition", &partition.to_be_bytes()),
            ("kafka_dlt-original-offset", &offset.to_be_bytes()),
            ("kafka_dlt-exception-fqcn", error.as_bytes()),
        ] {
            headers.push(name, Some(Bytes::copy_from_slice(value)));
        }
        let (topic, partition) = (self.source.clone(), Some(0));
        Write { topic, partition, key: Some(key), value: Some(value), headers, timestamp: None }
    }

    pub async fn bury_many(&self, count: usize, keys: usize) {
        self.bury((0..count).map(|i| (format!("key-{}", i % keys), format!("value {i}").into()))).await;
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("USER", "tester")
            .env("REDRIVE_BROKERS", variable("REDRIVE_TEST_BROKERS"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub async fn redrive(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Plans all letters; gives the file and the document.
    pub async fn plan(&self, also: &[&str]) -> (String, Ended) {
        let file = self.file("plan").display().to_string();
        let mut arguments = vec!["plan", &*self.source, "--save", &*file, "-o", "json"];
        arguments.extend(also);
        let ended = self.redrive(&arguments).await;
        (file, ended)
    }

    pub fn start(&self, file: &str, also: &[&str]) -> Child {
        let mut arguments = vec!["run", file, "--yes", "-o", "json"];
        arguments.extend(also);
        self.command(&arguments).spawn().unwrap()
    }

    /// The same on the way through a proxy.
    pub fn start_over(&self, proxy: &Proxy, file: &str) -> Child {
        let mut command = self.command(&["run", file, "--yes", "-o", "json"]);
        command.env("REDRIVE_BROKERS", proxy.address.to_string()).spawn().unwrap()
    }

    pub async fn run_over(&self, proxy: &Proxy, file: &str) -> Ended {
        let child = self.start_over(proxy, file);
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap().into()
    }

    pub async fn run(&self, file: &str, also: &[&str]) -> Ended {
        let child = self.start(file, also);
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap().into()
    }

    /// What a committed reader sees on the target.
    pub async fn sent(&self) -> Vec<Record> {
        self.committed(&self.target, self.partitions).await
    }

    /// What a committed reader sees on a topic.
    pub async fn committed(&self, topic: &Name, partitions: i32) -> Vec<Record> {
        let spans =
            (0..partitions).map(|p| Span { shard: Shard::new(topic.clone(), p), from: 0, until: Until::End });
        read(&*self.broker, ReadPlan::new(spans.collect())).await
    }

    /// The sum of the target's ends, and whether a transaction is open there.
    pub async fn ends(&self) -> (i64, bool) {
        let shards: Vec<Shard> = (0..self.partitions).map(|p| Shard::new(self.target.clone(), p)).collect();
        let bounds: Vec<Bounds> = soon("the target's ends", async {
            loop {
                // A broker that was starved of time has no leaders for a moment.
                let asked = self.broker.catalog().bounds(&shards).await;
                if let Ok(Ok(bounds)) = asked.map(|each| each.into_iter().collect::<Result<Vec<_>, _>>()) {
                    return bounds;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        (bounds.iter().map(|b| b.end).sum(), bounds.iter().any(|b| b.last_stable < b.end))
    }

    /// Every one of `count` letters is on the target once, on its key's partition, in its key's order.
    pub async fn assert_exactly_once(&self, count: usize) {
        let records = self.sent().await;
        let mut seen = vec![0; count];
        let mut last: HashMap<Bytes, usize> = HashMap::new();
        for record in &records {
            let value = std::str::from_utf8(record.value.as_ref().unwrap()).unwrap();
            let number: usize = value.strip_prefix("value ").unwrap().parse().unwrap();
            seen[number] += 1;
            let key = record.key.clone().unwrap();
            assert_eq!(Some(record.at.partition), murmur2::partition(&key, self.partitions));
            let before = last.insert(key, number);
            assert!(before.is_none_or(|b| b < number), "{number} came after {before:?}");
        }
        assert!(seen.iter().all(|n| *n == 1), "{seen:?}");
    }
}

/// A random number below this one.
pub fn below(limit: u64) -> u64 {
    uuid::Uuid::new_v4().as_u128() as u64 % limit
}

fn millis(up_to: u64) -> Duration {
    Duration::from_millis(below(up_to))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn without_transactions_no_letter_is_lost_and_what_was_on_its_way_is_looked_for() {
    const LETTERS: usize = 300;
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(LETTERS, 40).await;
    let (file, plan) = bench.plan(&["--rate", "300", "--force", "no_transactions"]).await;
    let plan = plan.with(0);
    assert_eq!(plan["guarantee"], "at_least_once_checked");
    let warned = plan["preflight"]["warnings"].to_string();
    assert!(warned.contains("there twice"), "{warned}");
    for _ in 0..4 {
        let mut child = bench.start(&file, &["--take-over"]);
        tokio::time::sleep(Duration::from_millis(250) + millis(900)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = bench.run(&file, &["--take-over"]).await.with(0);
    assert_eq!((&last["remaining"], &last["guarantee"]), (&Value::from(0), &plan["guarantee"]));
    let again = bench.run(&file, &[]).await.with(0);
    assert_eq!((&again["redriven"], &again["already_handled"]), (&Value::from(0), &Value::from(LETTERS)));
    let sent = bench.sent().await;
    let ids: std::collections::HashSet<_> =
        sent.iter().map(|r| r.headers.last("redrive-id").cloned()).collect();
    assert_eq!(ids.len(), LETTERS);
    // Twice at most what a killed run had handed to the network, and the broker took after the look.
    eprintln!("without transactions: {} of {LETTERS} letters are there twice", sent.len() - LETTERS);
    let runs = bench.redrive(&["runs", "list", "-o", "json"]).await.with(0);
    // The last one has no row where those that were killed had left it nothing to do.
    let own = runs["runs"].as_array().unwrap().iter().find(|r| r["topic"] == last["topic"]).unwrap();
    assert_eq!(own["guarantee"], plan["guarantee"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_second_operator_is_refused_and_one_that_takes_over_stops_the_first() {
    const LETTERS: usize = 300;
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(LETTERS, 30).await;
    // Slow enough to renew its ownership while the second one looks on.
    let (file, plan) = bench.plan(&["--rate", "15"]).await;
    plan.with(0);
    let first = bench.start(&file, &["--operator", "ada"]);
    // Until the first one owns the topic.
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if !bench.sent().await.is_empty() {
            break;
        }
    }
    let refused = bench.run(&file, &["--operator", "bob"]).await;
    assert_eq!(refused.code, 4, "{} {}", refused.out, refused.err);
    assert!(refused.err.contains("ada"), "{}", refused.err);
    let second = bench.run(&file, &["--operator", "bob", "--take-over"]).await.with(0);
    let first: Ended =
        tokio::task::spawn_blocking(move || first.wait_with_output().unwrap()).await.unwrap().into();
    let first = first.with(5);
    assert_eq!(first["stopped"], "fenced");
    assert_eq!(second["stopped"], Value::Null);
    let sum = first["redriven"].as_u64().unwrap() + second["redriven"].as_u64().unwrap();
    assert_eq!(sum, LETTERS as u64);
    bench.assert_exactly_once(LETTERS).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_run_that_slept_while_another_took_over_writes_no_more() {
    const LETTERS: usize = 200;
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(LETTERS, 30).await;
    let (file, plan) = bench.plan(&["--rate", "100"]).await;
    plan.with(0);
    let first = bench.start(&file, &["--operator", "ada"]);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &first.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    while bench.sent().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    signal("-STOP");
    bench.run(&file, &["--operator", "bob", "--take-over"]).await.with(0);
    signal("-CONT");
    let first: Ended =
        tokio::task::spawn_blocking(move || first.wait_with_output().unwrap()).await.unwrap().into();
    assert_eq!(first.with(5)["stopped"], "fenced");
    bench.assert_exactly_once(LETTERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn an_open_transaction_of_somebody_else_on_the_ledger_is_waited_for() {
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(20, 20).await;
    let (file, plan) = bench.plan(&[]).await;
    plan.with(0);
    bench.run(&file, &[]).await.with(0);
    bench.bury([("late".to_owned(), Bytes::from_static(b"value 20"))]).await;
    let (file, plan) = bench.plan(&[]).await;
    assert_eq!(plan.with(0)["preflight"]["selected"], 1);
    let mut foreign = transaction(&*bench.broker, &unique("foreign"), Duration::from_secs(60)).await;
    foreign
        .stage(Write {
            topic: redrive::ledger::LEDGER_TOPIC.into(),
            partition: Some(0),
            key: Some(Bytes::from_static(b"foreign")),
            value: Some(Bytes::from_static(b"{}")),
            headers: Headers::default(),
            timestamp: None,
        })
        .await
        .unwrap();
    let answers = foreign.settle().await.unwrap();
    assert!(answers.len() == 1 && answers[0].1.is_ok(), "it must hold the ledger: {answers:?}");
    let ledger = [Shard::new(redrive::ledger::LEDGER_TOPIC, 0)];
    let bounds = || bench.broker.catalog().bounds(&ledger);
    let before = bounds().await.unwrap();
    let child = bench.start(&file, &[]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent = bench.sent().await.len();
    assert_eq!(sent, 20, "it must wait; the ledger before: {before:?}, and now: {:?}", bounds().await);
    foreign.abort().await.unwrap();
    let run: Ended =
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap().into();
    assert_eq!(run.with(0)["redriven"], 1);
    assert_eq!(bench.sent().await.len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_missing_target_is_refused_and_not_made_by_the_broker() {
    let bench = Bench::new(0, &[]).await;
    bench.bury_many(3, 3).await;
    let (_, plan) = bench.plan(&[]).await;
    let plan = plan.with(4);
    assert_eq!(plan["preflight"]["refusals"][0]["rule"], "target_missing");
    let topics = bench.broker.catalog().topics(Some(std::slice::from_ref(&bench.target))).await.unwrap();
    assert!(topics.is_empty(), "{topics:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_second_redrive_finds_nothing() {
    const LETTERS: usize = 100;
    let bench = Bench::new(7, &[]).await;
    bench.bury_many(LETTERS, LETTERS).await;
    let (file, plan) = bench.plan(&[]).await;
    plan.with(0);
    assert_eq!(bench.run(&file, &[]).await.with(0)["redriven"], LETTERS);
    bench.assert_exactly_once(LETTERS).await;
    let (_, plan) = bench.plan(&[]).await;
    let plan = plan.with(0);
    assert_eq!(plan["preflight"]["selected"], 0);
    assert_eq!(plan["preflight"]["already_handled"], LETTERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn only_the_record_that_is_too_large_is_parked() {
    let bench = Bench::new(1, &[("max.message.bytes", "20000")]).await;
    let noise: Vec<u8> = (0..1_200).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect();
    let mut letters: Vec<(String, Bytes)> =
        (0..50).map(|i| (format!("key-{i}"), format!("value {i}").into())).collect();
    letters.insert(25, ("large".to_owned(), Bytes::from(noise)));
    letters.push(("large".to_owned(), Bytes::from_static(b"held")));
    bench.bury(letters).await;
    let (file, plan) = bench.plan(&[]).await;
    assert_eq!(plan.with(0)["preflight"]["selected"], 52);
    // Less is allowed than when it was planned.
    shrink(&bench.target);
    let run = bench.run(&file, &[]).await.with(5);
    assert_eq!((&run["redriven"], &run["held"]), (&Value::from(50), &Value::from(1)));
    assert_eq!(run["parked"].as_array().unwrap().len(), 1);
    bench.assert_exactly_once(50).await;
}

/// Lets the topic take small records only.
fn shrink(topic: &str) {
    use rdkafka::ClientConfig;
    use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
    use rdkafka::client::DefaultClientContext;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", variable("REDRIVE_TEST_BROKERS")).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", "10000");
    let changed = futures_block(admin.alter_configs([&change], &AdminOptions::new()));
    assert!(changed.unwrap().iter().all(Result::is_ok));
}

fn futures_block<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_transaction_left_open_under_the_same_id_is_ended_first() {
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(10, 10).await;
    let (file, plan) = bench.plan(&[]).await;
    plan.with(0);
    // Somebody with the run's own transactional id, who leaves a transaction open: the run ends it.
    let ids = bench.broker.catalog().topic_ids(std::slice::from_ref(&bench.source)).await.unwrap();
    let id = format!("redrive-{}", ids[0].as_ref().unwrap().0);
    let mut dead = transaction(&*bench.broker, &id, Duration::from_secs(60)).await;
    dead.stage(Write {
        topic: bench.target.clone(),
        partition: Some(0),
        key: None,
        value: Some(Bytes::from_static(b"value 0")),
        headers: Headers::default(),
        timestamp: None,
    })
    .await
    .unwrap();
    dead.settle().await.unwrap();
    bench.run(&file, &[]).await.with(0);
    assert!(!matches!(dead.commit().await, Ok(Commit::Done)));
    bench.assert_exactly_once(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn letters_are_discarded_although_killed_left_alone_by_a_run_released_and_purged() {
    const LETTERS: usize = 2_500;
    let bench = Bench::new(3, &[]).await;
    bench.bury_many(LETTERS, 40).await;
    let source = bench.source.to_string();
    let act = |action: &str, also: &[&str]| {
        let mut arguments = vec!["dlq", action, &*source, "--reason", "known bug", "-o", "json"];
        arguments.extend(also);
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let words = |all: &[String]| bench.command(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let ask = async |all: Vec<String>| {
        let mut command = words(&all);
        Ended::from(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    };
    let shown = ask(act("discard", &["--partition", "0"])).await.with(4);
    assert_eq!((&shown["dry_run"], &shown["selected"]), (&true.into(), &(LETTERS / 2).into()));
    for _ in 0..3 {
        let mut child =
            words(&act("discard", &["--partition", "0", "--yes", "--take-over"])).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(300) + millis(700)).await;
        // SIGKILL: nothing of it is told to the broker.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ask(act("discard", &["--partition", "0", "--yes", "--take-over"])).await.with(0);
    let left = ask(act("discard", &["--partition", "0"])).await.with(0);
    assert_eq!((&left["selected"], &left["skipped"]["discarded"]), (&0.into(), &(LETTERS / 2).into()));
    // Named one by one, a letter that cannot be changed is told by the exit code.
    ask(act("park", &["--only", "0:0", "--yes"])).await.with(4);
    let released = ask(act("release", &["--only", "0:1000", "--yes"])).await.with(0);
    assert_eq!(released["changed"], 1);
    let (file, plan) = bench.plan(&[]).await;
    assert_eq!(plan.with(0)["preflight"]["selected"], LETTERS / 2 + 1);
    let run = bench.run(&file, &[]).await.with(0);
    assert_eq!(run["redriven"], LETTERS / 2 + 1);
    ask(act("release", &["--only", "1:0", "--yes"])).await.with(4);
    ask(act("park", &["--only", "1:0", "--yes"])).await.with(4);
    ask(act("release", &["--only", "0:700", "--yes"])).await.with(0);
    ask(act("purge", &["--yes"])).await.with(4);
    let count = (700 + LETTERS / 2).to_string();
    let purged = ask(act("purge", &["--yes", "--count", &count])).await.with(0);
    assert_eq!(purged["deleted"].to_string(), count);
    let shards = [Shard::new(bench.source.clone(), 0), Shard::new(bench.source.clone(), 1)];
    let bounds = bench.broker.catalog().bounds(&shards).await.unwrap();
    let starts: Vec<i64> = bounds.into_iter().map(|b| b.unwrap().start).collect();
    assert_eq!(starts, [700, LETTERS as i64 / 2]);
    let runs = bench.redrive(&["runs", "list", "-o", "json"]).await.with(0);
    let of_topic = |row: &&Value| row["topic"] == source.as_str();
    let purge = runs["runs"].as_array().unwrap().iter().filter(of_topic).find(|row| row["kind"] == "purge");
    assert_eq!((&purge.unwrap()["disposed"], &purge.unwrap()["state"]), (&purged["deleted"], &"done".into()));
}
