//! A broker that is lost in the middle of a long read: what was read or written is said, and how to go on; going on
//! gives exactly what is missing.

use std::collections::BTreeSet;

use redrive::broker::{Name, Write};
use redrive::event::Headers;
use serde_json::Value;

use crate::proxy::Proxy;
use crate::redrive::{Bench, Ended};
use crate::support::put;

const PARTITIONS: i32 = 3;
const RECORDS: usize = 6_000;
/// Bytes that come back before the way is cut: a few answers of all.
const ROOM: usize = 4 << 20;

/// 5,000 bytes that no codec makes smaller.
fn noise(seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()
    };
    (0..625).flat_map(|_| next()).collect()
}

/// 30 MB in the partitions of the target.
async fn filled() -> Bench {
    let bench = Bench::new(PARTITIONS, &[]).await;
    let write = |i: usize| Write {
        topic: bench.target.clone(),
        partition: Some(i as i32 % PARTITIONS),
        key: Some(format!("k{i}").into()),
        value: Some(noise(i as u64).into()),
        headers: Headers::default(),
        timestamp: None,
    };
    for from in (0..RECORDS).step_by(1_000) {
        put(&*bench.broker, (from..from + 1_000).map(write).collect::<Vec<_>>()).await;
    }
    bench
}

async fn over(bench: &Bench, proxy: &Proxy, arguments: &[&str]) -> Ended {
    let mut command = bench.command(arguments);
    command.env("REDRIVE_BROKERS", proxy.address.to_string());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

/// The positions of lines of `tail` or of a file.
fn positions(lines: &str) -> Vec<(i64, i64)> {
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        Some((line["partition"].as_i64()?, line["offset"].as_i64()?))
    };
    lines.lines().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kafka; tests/run starts one"]
async fn a_tail_says_how_far_it_was_and_goes_on_there() {
    let bench = filled().await;
    let topic: &Name = &bench.target;
    let proxy = Proxy::cut_after(ROOM).await;
    let ended = over(&bench, &proxy, &["tail", topic, "--from", "beginning", "-o", "jsonl"]).await;
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(proxy.is_over());
    let mut seen = positions(&ended.out);
    assert!(!seen.is_empty() && seen.len() < RECORDS, "{} of {RECORDS}", seen.len());
    let said = format!("until then {}", redrive::text::units::count(seen.len() as u64));
    assert!(ended.err.contains(&said), "{said:?} is not in {}", ended.err);
    let error: Value = serde_json::from_str(ended.err.lines().last().unwrap()).unwrap();
    let hint = error["error"]["hint"].as_str().unwrap();
    let places = hint.split_once("go on with ").unwrap_or_else(|| panic!("{hint}")).1.split("; ");
    for place in places {
        let arguments: Vec<&str> =
            ["tail", topic, "-o", "jsonl"].into_iter().chain(place.split(' ')).collect();
        let rest = bench.redrive(&arguments).await;
        assert_eq!(rest.code, 0, "{}", rest.err);
        seen.extend(positions(&rest.out));
    }
    let once: BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), once.len()), (RECORDS, RECORDS), "each once, over both reads");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kafka; tests/run starts one"]
async fn an_export_keeps_its_part_and_is_resumed() {
    let bench = filled().await;
    let file = bench.file("orders.jsonl").display().to_string();
    let arguments = ["export", &*bench.target, "--save", &file];
    let proxy = Proxy::cut_after(ROOM).await;
    let ended = over(&bench, &proxy, &arguments).await;
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.err.contains("--resume") && ended.err.contains(".part"), "{}", ended.err);
    assert!(!bench.file("orders.jsonl").exists());
    let part = std::fs::read_to_string(bench.file("orders.jsonl.part")).unwrap();
    assert!(part.lines().count() > 1 && part.lines().count() < RECORDS, "{}", part.lines().count());
    let resumed = bench.redrive(&[&arguments[..], &["--resume"]].concat()).await;
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    let whole = positions(&std::fs::read_to_string(bench.file("orders.jsonl")).unwrap());
    let once: BTreeSet<_> = whole.iter().collect();
    assert_eq!((whole.len(), once.len()), (RECORDS, RECORDS));
}
