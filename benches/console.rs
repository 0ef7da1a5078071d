//! How fast the console answers, measured on the real program in a real terminal.
//!
//! `cargo bench --bench console`: start to first picture, key press to picture while 100,000 records a
//! second arrive, on the overview and while all topics are followed, with what was dropped and what memory it took;
//! what the program costs while nothing happens; where REDRIVE_TEST_BROKERS names a Kafka, key press to picture while
//! its answers come 200 ms late, and while none comes. No figure is asserted: machines differ.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time, and prints it"
)]

#[path = "../tests/pty/terminal.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod terminal;

#[path = "console/slow_broker.rs"]
mod slow_broker;

use std::time::{Duration, Instant};

use slow_broker::SlowBroker;
use terminal::Terminal;

/// Waits without sleeping, so that the measured time is the program's and not the wait's.
fn until(what: &str, terminal: &Terminal, wanted: impl Fn(&str) -> bool) -> Duration {
    let began = Instant::now();
    while !wanted(&terminal.text()) {
        assert!(began.elapsed() < Duration::from_secs(30), "no {what}:\n{}", terminal.text());
        std::thread::sleep(Duration::from_micros(200));
    }
    began.elapsed()
}

fn quantile(sorted: &[Duration], q: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * q).round() as usize;
    sorted[index].as_secs_f64() * 1e3
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms ({} times)",
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        quantile(&times, 1.0),
        times.len()
    );
}

/// User + system time of a process in seconds, and its resident memory in MiB.
fn cost(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    // The kernel's clock tick is 1/100 s on every Linux that people run.
    (ticks / 100.0, kib / 1024.0)
}

fn quit(mut terminal: Terminal) {
    terminal.press(":q\r");
    assert_eq!(terminal.end(), 0);
}

/// Key press to picture: between the overview and the lists, which need answers, and their help.
fn keys(terminal: &mut Terminal, times: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..times {
        for (keys, shown) in
            [("gc", "GROUP"), ("?", "esc"), ("\u{1b}", "GROUP"), ("gt", "TOPIC"), ("go", "THROUGHPUT")]
        {
            let before = terminal.text();
            terminal.press(keys);
            took.push(until(shown, terminal, |text| text != before && text.contains(shown)));
        }
    }
    took
}

/// How the console answers while the broker does not, or late.
fn slow(brokers: &str) {
    let way = SlowBroker::open(brokers.split(',').next().unwrap());
    let address = way.address.to_string();
    let mut terminal = Terminal::start(&["--brokers", &address], 120, 40);
    until("first picture", &terminal, |text| text.contains("this sample"));
    report("key to picture, a Kafka that answers at once", keys(&mut terminal, 60));
    way.late(Duration::from_millis(200));
    std::thread::sleep(Duration::from_secs(3));
    report("key to picture, its answers 200 ms late", keys(&mut terminal, 60));
    way.never();
    std::thread::sleep(Duration::from_secs(3));
    report("key to picture, no answer at all", keys(&mut terminal, 60));
    println!("its last line then is: {}", terminal.text().lines().last().unwrap_or_default());
    quit(terminal);
}

/// All topics followed in one list, at more records a second than anybody reads.
fn followed() {
    let mut terminal = Terminal::start(&["demo", "--rate", "100000"], 120, 40);
    until("first picture", &terminal, |text| text.contains("THROUGHPUT"));
    terminal.press("gt");
    until("topics", &terminal, |text| text.contains("payments-retry"));
    terminal.press("*f");
    until("records", &terminal, |text| text.contains("following") && text.contains("TOPIC"));
    std::thread::sleep(Duration::from_secs(5));
    let (_, early) = cost(terminal.pid());
    let mut times = Vec::new();
    for _ in 0..300 {
        terminal.press("p");
        times.push(until("a held list", &terminal, |text| text.contains("PAUSED")));
        terminal.press("p");
        times.push(until("a moving list", &terminal, |text| !text.contains("PAUSED")));
    }
    report("key to picture while all topics are followed at 100,000 records/s", times);
    std::thread::sleep(Duration::from_secs(20));
    let (_, late) = cost(terminal.pid());
    println!(
        "resident after 5 s {early:.0} MiB, at the end {late:.0} MiB (with the embedded broker's own records)"
    );
    let text = terminal.text();
    let counters = text.lines().find(|line| line.contains("dropped")).unwrap_or_default();
    println!("the list then says: {}", counters.trim());
    quit(terminal);
}

fn main() {
    match std::env::var("REDRIVE_TEST_BROKERS") {
        Ok(brokers) => slow(&brokers),
        Err(_) => println!("REDRIVE_TEST_BROKERS names no Kafka: the slow broker is left out"),
    }
    let first: Vec<_> = (0..11)
        .map(|_| {
            let began = Instant::now();
            let terminal = Terminal::start(&["demo"], 120, 40);
            until("first picture", &terminal, |text| text.contains("THROUGHPUT"));
            let took = began.elapsed();
            quit(terminal);
            took
        })
        .collect();
    report("start to first picture (memory broker)", first);

    let mut terminal = Terminal::start(&["demo", "--rate", "100000"], 120, 40);
    until("first picture", &terminal, |text| text.contains("THROUGHPUT"));
    std::thread::sleep(Duration::from_secs(5));
    let (_, early) = cost(terminal.pid());
    let mut times = Vec::new();
    for _ in 0..300 {
        // Help covers the screen; esc uncovers it: both are whole pictures.
        terminal.press("?");
        times.push(until("help", &terminal, |text| !text.contains("THROUGHPUT")));
        terminal.press("\u{1b}");
        times.push(until("overview", &terminal, |text| text.contains("THROUGHPUT")));
    }
    report("key to picture at 100,000 records/s", times);
    let (_, late) = cost(terminal.pid());
    println!(
        "resident after 5 s {early:.0} MiB, at the end {late:.0} MiB (with the embedded broker's own records)"
    );
    println!("the overview then shows:\n{}", terminal.text().lines().take(12).collect::<Vec<_>>().join("\n"));
    quit(terminal);

    followed();

    let mut terminal = Terminal::start(&["demo"], 120, 40);
    until("first picture", &terminal, |text| text.contains("THROUGHPUT"));
    terminal.press(":shop pause\r");
    std::thread::sleep(Duration::from_secs(10));
    let (before, _) = cost(terminal.pid());
    std::thread::sleep(Duration::from_secs(20));
    let (after, resident) = cost(terminal.pid());
    println!(
        "idle, the shop paused: {:.2} % of a core, {resident:.0} MiB resident",
        (after - before) / 20.0 * 100.0
    );
    quit(terminal);
}
