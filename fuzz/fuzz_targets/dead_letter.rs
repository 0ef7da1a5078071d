//! Any bytes as a dead letter: decoding, grouping and showing it must neither panic nor hang nor let a control
//! character through.
//!
//! `fuzz/seeds` makes a corpus out of the captures; then `cargo +nightly fuzz run dead_letter`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redrive::config::profile::DeadLetters;
use redrive::dlq;
use redrive::event::{Headers, Position, Record};
use redrive::text::Safe;

/// Reads a record: each part begins with two bytes of length, 0xffff is null; first key and value, then names and
/// values of headers.
fn record(mut rest: &[u8]) -> Record {
    let mut part = || -> Option<Option<Vec<u8>>> {
        let [a, b, after @ ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([*a, *b]));
        rest = after;
        if length == 0xffff {
            return Some(None);
        }
        let (taken, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(Some(taken.to_vec()))
    };
    let (key, value) = (part().flatten(), part().flatten());
    let mut headers = Headers::default();
    while let (Some(name), Some(value)) = (part(), part()) {
        headers.push(name.unwrap_or_default(), value.map(Into::into));
    }
    Record {
        at: Position::new("orders-dlt", 0, 0),
        time: None,
        key: key.map(Into::into),
        value: value.map(Into::into),
        headers,
        lease: None,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let record = record(bytes);
    let letter = dlq::formats::decode(&record, &DeadLetters::default());
    let shown = serde_json_text(&letter);
    let safe = Safe::new(&shown);
    assert!(!safe.as_str().contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
});

fn serde_json_text(letter: &dlq::Letter) -> String {
    dlq::document(letter).into_iter().map(|(name, value)| format!("{name} {value}\n")).collect()
}
