//! Letters of real Spring listeners: redriven they get their retries anew, and go back at once with their headers on.
//!
//! `tests/faults` fetches Spring Kafka, compiles `tests/spring/Listeners.java`, and says where both are.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{Name, Shard, Write};
use serde_json::Value;

use crate::redrive::Bench;
use crate::support::{put, soon, variable};

/// How long a listener waits before each retry, in milliseconds.
const DELAY: u64 = 6_000;

/// The application with its two listeners.
struct Listeners {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    mode: PathBuf,
}

impl Listeners {
    /// Starts it; `retried` and `blocking` are the topics of the listeners.
    fn start(bench: &Bench, class_path: &str, blocking: &Name) -> Self {
        let mode = bench.file("mode");
        std::fs::write(&mode, "fail").unwrap();
        let mut child = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-Xmx192m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"])
            .arg(format!("-Dbrokers={}", variable("REDRIVE_TEST_BROKERS")))
            .arg(format!("-Dretried={}", bench.target))
            .arg(format!("-Dblocking={blocking}"))
            .arg(format!("-Dgroup={}-app", bench.target))
            .arg(format!("-Ddelay={DELAY}"))
            .arg(format!("-Dmode={}", mode.display()))
            .args(["-cp", class_path, "Listeners"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, all) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                all.lock().unwrap().push(line);
            }
        });
        Self { child, lines, mode }
    }

    fn behave(&self, how: &str) {
        // Read anew for each record, so never half of it.
        let beside = self.mode.with_extension("new");
        std::fs::write(&beside, how).unwrap();
        std::fs::rename(&beside, &self.mode).unwrap();
    }

    /// The topics of the attempts (or successes) with this value so far.
    fn topics(&self, what: &str, value: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let of = |line: &String| {
            let (topic, own) = line.strip_prefix(what)?.trim_start().split_once(' ')?;
            (own == value).then(|| topic.to_owned())
        };
        lines.iter().filter_map(of).collect()
    }

    fn attempts(&self, value: &str) -> Vec<String> {
        self.topics("attempt", value)
    }

    async fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        soon(what, async {
            while !is_there() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn records(topic: &Name, numbers: std::ops::Range<usize>) -> Vec<Write> {
    let shard = Shard::new(topic.clone(), 0);
    let record = |i| Write {
        key: Some(format!("key-{i}").into()),
        ..crate::support::write(&shard, format!("value-{i}"))
    };
    numbers.map(record).collect()
}

/// Waits until so many letters lie on a topic; gives them.
async fn letters(bench: &Bench, topic: &Name, count: usize) -> Vec<redrive::event::Record> {
    for _ in 0..1_800 {
        let letters = bench.committed(topic, 1).await;
        if letters.len() >= count {
            return letters;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there are no {count} letters on {topic}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_springs_listener_tries_a_redriven_letter_anew_and_one_with_its_headers_on_only_once() {
    const LETTERS: usize = 8;
    let Ok(class_path) = std::env::var("REDRIVE_SPRING") else {
        eprintln!("left out: Spring's listeners are brought by tests/faults alone");
        return;
    };
    let bench = Bench::bare(1).await;
    bench.create(&bench.target, 1, &[]).await;
    bench.create(&bench.source, 1, &[]).await;
    let blocking = Name::from(format!("{}-blocking", bench.target));
    let blocked: Name = format!("{blocking}-dlt").into();
    bench.create(&blocking, 1, &[]).await;
    bench.create(&blocked, 1, &[]).await;
    let retries = [0, 1].map(|n| format!("{}-retry-{n}", bench.target));
    put(&*bench.broker, records(&bench.target, 0..LETTERS)).await;
    put(&*bench.broker, records(&blocking, 100..103)).await;
    let app = Listeners::start(&bench, &class_path, &blocking);
    let main = bench.target.to_string();
    let all = [main.clone(), retries[0].clone(), retries[1].clone()];

    let dead = letters(&bench, &bench.source, LETTERS).await;
    assert_eq!(app.attempts("value-0"), all);

    // The negative control: the letter as it lies there goes straight back, without a retry.
    let control = dead.iter().find(|r| r.value.as_deref() == Some(b"value-7")).unwrap();
    put(
        &*bench.broker,
        [Write {
            headers: control.headers.clone(),
            key: control.key.clone(),
            ..crate::support::write(&Shard::new(bench.target.clone(), 0), "value-control")
        }],
    )
    .await;
    letters(&bench, &bench.source, LETTERS + 1).await;
    assert_eq!(app.attempts("value-control"), [main.as_str()]);

    // Redriven before the repair: it has all its retries anew, and comes back; the canary says so.
    let (file, planned) = bench.plan(&["--canary", "1", "--canary-wait", "60s"]).await;
    let planned = planned.with(0);
    assert_eq!(planned["preflight"]["selected"], LETTERS + 1, "{planned}");
    let run = bench.run(&file, &[]).await.with(5);
    assert_eq!(
        (&run["stopped"], &run["canary"]["state"]),
        (&"canary".into(), &Value::from("came_back")),
        "{run}"
    );
    assert_eq!((&run["redriven"], &run["canary"]["came_back"]), (&Value::from(1), &Value::from(1)));
    let twice = [all.clone(), all.clone()].concat();
    assert_eq!(app.attempts("value-0"), twice);

    // Half repaired: the first attempt fails, and the record waits in a retry topic. That its group committed past it
    // on the target proves nothing.
    app.behave("first");
    let (file, planned) =
        bench.plan(&["--canary", "2", "--canary-wait", "3s", "--force", "same_failure"]).await;
    planned.with(0);
    let run = bench.run(&file, &[]).await.with(5);
    assert_eq!(
        (&run["stopped"], &run["canary"]["state"]),
        (&"canary".into(), &Value::from("not_proved")),
        "{run}"
    );
    assert_eq!((&run["canary"]["retrying"], &run["canary"]["processed"]), (&Value::from(2), &Value::from(0)));
    // With time enough it is processed by the retry, and the rest follows.
    let (file, planned) =
        bench.plan(&["--canary", "2", "--canary-wait", "60s", "--force", "same_failure"]).await;
    planned.with(0);
    let run = bench.run(&file, &[]).await.with(0);
    assert_eq!(
        (&run["canary"]["state"], &run["canary"]["processed"]),
        (&"passed".into(), &Value::from(2)),
        "{run}"
    );
    app.wait_for("all values", || (0..LETTERS).all(|i| app.topics("done", &format!("value-{i}")).len() == 1))
        .await;
    assert_eq!(app.topics("done", "value-7"), [retries[0].clone()]);

    // The listener that tries again in place: three attempts, dead-lettered; after the repair processed at once.
    letters(&bench, &blocked, 3).await;
    assert_eq!(app.attempts("value-100").len(), 3);
    app.behave("repaired");
    let file = bench.file("blocked").display().to_string();
    let planned = bench.redrive(&["plan", &blocked, "--save", &file, "-o", "json"]).await.with(0);
    assert_eq!(planned["preflight"]["selected"], 3);
    let run = bench.run(&file, &[]).await.with(0);
    assert_eq!(run["redriven"], 3);
    app.wait_for("the redriven values", || {
        (100..103).all(|i| app.topics("done", &format!("value-{i}")).len() == 1)
    })
    .await;
    assert_eq!(app.attempts("value-100").len(), 4);
    let stripped = bench.committed(&blocking, 1).await;
    let names = |r: &redrive::event::Record| r.headers.iter().map(|(n, _)| n.clone()).collect::<Vec<Bytes>>();
    assert!(stripped.iter().flat_map(names).all(|name| name.starts_with(b"redrive-")));
}
