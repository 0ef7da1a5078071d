//! How much a large cluster costs: the sampler, the console and the memory on the embedded broker, and the command line
//! beside Kafka's own tool on a real Kafka.
//!
//! `cargo bench --bench scale`: the embedded broker at 1,000, 10,000 and 100,000 partitions with 100 groups that have
//! 1,000 commits each; and where REDRIVE_TEST_BROKERS names a Kafka, 10,000 partitions there. No figure is asserted, but
//! that the rows of both tools are the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may end with a panic")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time, and prints it"
)]

#[path = "../tests/tui/bench.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod bench;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redrive::broker::memory::MemoryBroker;
use redrive::broker::{Broker, Name, NewTopic, Shard};
use redrive::config::profile::{Profile, Protocol};
use redrive::context::{Cx, Operator};
use redrive::observe::{Interest, Sampler};
use redrive::text::{Clock, SystemClock};
use redrive::tui::keymap::Chord;
use redrive::tui::message::Message;

const GROUPS: usize = 100;
const COMMITS: usize = 1_000;
const A_TOPIC: usize = 100;

/// Makes topics of 100 partitions each, and 100 groups with commits on 1,000 partitions.
async fn fill(broker: &dyn Broker, prefix: &str, partitions: usize) -> Vec<Name> {
    let writer = broker.writer().unwrap();
    let topics: Vec<NewTopic> = (0..partitions / A_TOPIC)
        .map(|i| NewTopic {
            name: format!("{prefix}topic-{i:04}").into(),
            partitions: A_TOPIC as i32,
            replication: Some(1),
            config: Vec::new(),
        })
        .collect();
    for some in topics.chunks(5) {
        for made in writer.create_topics(some).await.unwrap() {
            made.unwrap();
        }
    }
    // A busy broker tells of new topics a while after it has made them.
    let names: Vec<Name> = topics.iter().map(|new| Arc::clone(&new.name)).collect();
    while broker.catalog().topics(Some(&names)).await.unwrap().len() < names.len() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let shard = |i: usize| Shard::new(Arc::clone(&topics[i / A_TOPIC].name), (i % A_TOPIC) as i32);
    let groups: Vec<Name> = (0..GROUPS).map(|g| format!("{prefix}group-{g:03}").into()).collect();
    for (g, group) in groups.iter().enumerate() {
        let offsets: Vec<_> =
            (0..COMMITS.min(partitions)).map(|i| (shard((g * COMMITS + i) % partitions), 0)).collect();
        for set in writer.alter_offsets(group, &offsets).await.unwrap() {
            set.unwrap();
        }
    }
    groups
}

fn context(broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Cx {
    let operator = Operator { name: "bench".into(), os_user: "bench".into(), host: "bench".into() };
    Cx { broker, clock, profile: Arc::new(Profile::new("bench", Vec::new())), operator: Arc::new(operator) }
}

/// Resident memory of this process in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Milliseconds of each: a look, its picture, a key in a list, a new picture in it.
struct Cost {
    look: f64,
    picture: f64,
    key: BTreeMap<&'static str, f64>,
    fresh: BTreeMap<&'static str, f64>,
    memory: f64,
}

fn console(runtime: &tokio::runtime::Runtime, partitions: usize) -> Cost {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let memory = MemoryBroker::new(Arc::clone(&clock), 64 << 20);
    runtime.block_on(fill(&*memory.broker(), "", partitions));
    let before = resident();
    let mut sampler = Sampler::new(context(memory.broker(), clock), Arc::new(|| None), Arc::new(|| None));
    let mut bench = bench::console().sized(200, 60);
    let (mut look, mut picture) = (Vec::new(), Vec::new());
    // A whole window, so that all is held that ever is.
    for _ in 0..11 {
        let began = Instant::now();
        runtime.block_on(sampler.look_at(&Interest::default())).unwrap();
        look.push(began.elapsed());
        let began = Instant::now();
        let taken = sampler.picture();
        picture.push(began.elapsed());
        bench.send(Message::Snapshot(Arc::new(taken)));
    }
    let (mut key, mut fresh) = (BTreeMap::new(), BTreeMap::new());
    for (name, keys) in [("groups", "gc"), ("one group", "gc enter"), ("topics", "gt"), ("one topic", "gt d")]
    {
        bench = bench.keys(keys);
        let down = Chord::parse_all("j").unwrap();
        let mut times = Vec::new();
        for _ in 0..50 {
            let began = Instant::now();
            bench.send(Message::Key(down[0]));
            bench.draw();
            times.push(began.elapsed());
        }
        key.insert(name, median(times));
        let mut times = Vec::new();
        for _ in 0..10 {
            let taken = Arc::new(sampler.picture());
            let began = Instant::now();
            bench.send(Message::Snapshot(taken));
            bench.draw();
            times.push(began.elapsed());
        }
        fresh.insert(name, median(times));
    }
    let memory = resident() - before;
    Cost { look: median(look), picture: median(picture), key, fresh, memory }
}

fn embedded(runtime: &tokio::runtime::Runtime) {
    let mut sizes: Vec<(usize, Cost)> = Vec::new();
    for partitions in [1_000, 10_000, 100_000] {
        sizes.push((partitions, console(runtime, partitions)));
    }
    println!("embedded broker, {GROUPS} groups of {COMMITS} commits, 200x60; milliseconds");
    for (partitions, cost) in &sizes {
        println!(
            "{partitions:>7} partitions: look {:.1}, picture {:.1}, memory {:.0} MiB",
            cost.look, cost.picture, cost.memory
        );
    }
    let (first, last) = (&sizes[0].1, &sizes[sizes.len() - 1].1);
    for name in first.key.keys() {
        let figures = |of: fn(&Cost) -> &BTreeMap<&'static str, f64>| {
            let all: Vec<String> = sizes.iter().map(|(_, cost)| format!("{:.2}", of(cost)[name])).collect();
            format!(
                "{} (100 times the partitions: {:.1} times)",
                all.join(", "),
                of(last)[name] / of(first)[name]
            )
        };
        println!("{name}: key {}; new picture {}", figures(|c| &c.key), figures(|c| &c.fresh));
    }
}

/// A command's output, and its wall clock and processor time in seconds.
fn timed(command: &mut Command) -> (String, f64, f64) {
    let children = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<f64> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map(|f| f.parse().unwrap_or(0.0))
            .collect();
        // cutime and cstime, in ticks of 1/100 s.
        (fields[12] + fields[13]) / 100.0
    };
    let before = children();
    let began = Instant::now();
    let output = command.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    (String::from_utf8(output.stdout).unwrap(), began.elapsed().as_secs_f64(), children() - before)
}

/// Group, topic and partition: committed, end, lag.
type Rows = BTreeMap<(String, String, i64), (i64, i64, i64)>;

fn theirs(text: &str, prefix: &str) -> Rows {
    let mut rows = Rows::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [group, topic, partition, committed, end, lag, ..] = words[..]
            && group.starts_with(prefix)
        {
            let figure = |word: &str| word.parse::<i64>().unwrap();
            rows.insert(
                (group.to_owned(), topic.to_owned(), figure(partition)),
                (figure(committed), figure(end), figure(lag)),
            );
        }
    }
    rows
}

fn ours(text: &str, prefix: &str) -> Rows {
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut rows = Rows::new();
    for group in document["groups"].as_array().unwrap() {
        let name = group["group"].as_str().unwrap();
        for row in group["partitions"].as_array().unwrap().iter().filter(|_| name.starts_with(prefix)) {
            let figure = |field: &str| row[field].as_i64().unwrap();
            rows.insert(
                (name.to_owned(), row["topic"].as_str().unwrap().to_owned(), figure("partition")),
                (figure("committed"), figure("end_offset"), figure("lag")),
            );
        }
    }
    rows
}

fn kafka(runtime: &tokio::runtime::Runtime, brokers: &str) {
    let prefix = format!("scale-{}-", &uuid::Uuid::new_v4().simple().to_string()[..6]);
    let mut profile = Profile::new("bench", brokers.split(',').map(str::to_owned).collect());
    profile.connection.protocol = Protocol::Plaintext;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let broker = runtime.block_on(redrive::wire::connect(&profile, Arc::clone(&clock))).unwrap();
    println!("making 10,000 partitions and 100 groups …");
    let _ = runtime.block_on(fill(&*broker, &prefix, 10_000));

    let mut sampler = Sampler::new(context(broker, clock), Arc::new(|| None), Arc::new(|| None));
    let mut looks = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        runtime.block_on(sampler.look_at(&Interest::default())).unwrap();
        let look = began.elapsed();
        let taken = sampler.picture();
        looks.push(look);
        drop(taken);
    }
    println!("one refresh of the running console: {:.0} ms", median(looks));

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker");
    let path = String::from_utf8(Command::new(script).arg("classpath").output().unwrap().stdout).unwrap();
    // REDRIVE names another binary, as in `benches/redrive`.
    let binary = std::env::var("REDRIVE").unwrap_or_else(|_| env!("CARGO_BIN_EXE_redrive").to_owned());
    let redrive = |more: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(["--brokers", brokers, "groups", "list", "-o", "json"]).args(more).stdin(Stdio::null());
        timed(&mut command)
    };
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let (_, wall, cpu) = redrive(&[]);
        let (text, all_wall, _) = redrive(&["--partitions"]);
        let (table, their_wall, their_cpu) = timed(
            Command::new("java")
                .args(["-cp", path.trim(), "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"])
                .args(["--bootstrap-server", brokers, "--all-groups", "--describe"])
                .args(["--timeout", "60000"])
                .stdin(Stdio::null()),
        );
        let (own, other) = (ours(&text, &prefix), theirs(&table, &prefix));
        assert_eq!(own.len(), GROUPS * COMMITS);
        assert_eq!(own, other, "both tools say the same of every row");
        println!(
            "groups list {wall:.2} s ({cpu:.2} s CPU), with all rows {all_wall:.2} s; kafka-consumer-groups {their_wall:.2} s \
             ({their_cpu:.2} s CPU); {} rows are the same",
            own.len()
        );
        pairs.push((their_wall / wall, their_cpu / cpu));
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("median: {:.1} times as fast, {:.1} times less CPU", pairs[1].0, pairs[1].1);
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    embedded(&runtime);
    match std::env::var("REDRIVE_TEST_BROKERS") {
        Ok(brokers) => kafka(&runtime, &brokers),
        Err(_) => {
            println!("REDRIVE_TEST_BROKERS names no Kafka: the comparison with its own tool is left out");
        }
    }
}
