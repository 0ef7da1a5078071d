//! Dead letters that nobody writes on purpose: they are decoded, grouped and shown without a panic, in bounded memory,
//! and nothing of them drives the terminal. The fuzz targets are run on their seeds and on bytes made here.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use std::sync::Arc;

use foldhash::quality::RandomState;
use proptest::prelude::*;
use redrive::ask::Answer;
use redrive::config::profile::DeadLetters;
use redrive::dlq::formats::decode;
use redrive::dlq::formats::table::TABLE;
use redrive::event::{Headers, Position, Record};
use redrive::letters::document::{FailuresAnswer, LetterRow, LettersAnswer};
use redrive::letters::fold::Fold;
use redrive::text::Timestamp;

use crate::bench::console;
use crate::hostile::harmless;
use crate::made_up::{at_letters_of, incident, letter};

/// The largest value.
const LARGE: usize = 1 << 20;

/// Names of the formats' headers, and any bytes.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&str> = TABLE.iter().flat_map(|f| f.rules.iter().map(|r| r.header)).collect();
    prop_oneof![
        6 => proptest::sample::select(known).prop_map(|name| name.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"\x1b]0;title\x07".to_vec()),
    ]
}

/// Numbers, text, traces, broken UTF-8, terminal sequences.
fn small() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        any::<i64>().prop_map(|n| n.to_be_bytes().to_vec()),
        any::<i32>().prop_map(|n| n.to_be_bytes().to_vec()),
        "\\PC{0,40}".prop_map(String::into_bytes),
        Just(b"-1".to_vec()),
        Just(b"-99999999999999999999".to_vec()),
        Just("9".repeat(400).into_bytes()),
        Just(b"caf\xc3".to_vec()),
        Just(b"\xff\xfe\x1b[2J\x9b31m".to_vec()),
        Just("a.B: \u{1b}[2J\u{202e}\n\tat a.C.d(E.java:1)\nCaused by: \u{9b}x: \u{7}\n".as_bytes().to_vec()),
        Just(
            "Traceback (most recent call last):\n  File \"\u{1b}c\", line -3, in \u{7}\n".as_bytes().to_vec()
        ),
    ]
}

/// A value of up to a mebibyte, of one piece again and again.
fn large() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        &b"["[..],
        b"{\"a\":",
        b"\tat a.b(C.java:1)\n",
        b"\nCaused by: ",
        b"; nested exception is ",
        b" ---> ",
        b"goroutine 1 [running]:\n",
        b"\xf0\x9f\xa6\x80",
        b"\x1b[2J",
        b"'",
        b"9",
        b"\0",
    ]);
    (piece, 1..=LARGE).prop_map(|(piece, length)| piece.iter().copied().cycle().take(length).collect())
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::weighted(0.9, small())
}

/// Values that look like those in which formats hide, deep ones among them.
fn payload() -> impl Strategy<Value = Option<Vec<u8>>> {
    let json = prop_oneof![
        r#"\{"specversion":"1","pubsubname":"p","topic":\PC{0,20}\}"#,
        Just(
            r#"{"message":{"deserializationError":{"recordB64":"%","cause":[1],"target":null}},"time":-1}"#
                .to_owned()
        ),
        Just(r#"{"input_value":null,"description":1,"cause":{},"partition":1e300,"offset":-5}"#.to_owned()),
        Just(format!(r#"{{"pubsubname":{}"#, "[".repeat(100_000))),
        Just(format!(r#"{{"knativeerrordata":{}1{}}}"#, "{\"a\":".repeat(90), "}".repeat(90))),
    ];
    proptest::option::of(prop_oneof![json.prop_map(String::into_bytes), small()])
}

/// Any record; a few have a large header, ten thousand headers, or one header very often.
fn record() -> impl Strategy<Value = Record> {
    let few = || proptest::collection::vec((name(), value()), 0..25);
    let headers = prop_oneof![
        8 => few(),
        1 => (few(), name(), large()).prop_map(|(mut few, name, large)| {
            few.push((name, Some(large)));
            few
        }),
        1 => (few(), name(), value()).prop_map(|(mut many, name, value)| {
            many.resize(10_000, (name, value));
            many
        }),
    ];
    let value = prop_oneof![8 => payload(), 1 => large().prop_map(Some)];
    (proptest::option::of(small()), value, headers).prop_map(|(key, value, headers)| Record {
        at: Position::new("payments-dlt", 0, 0),
        time: None,
        key: key.map(Into::into),
        value: value.map(Into::into),
        headers: Headers(headers.into_iter().map(|(n, v)| (n.into(), v.map(Into::into))).collect()),
        lease: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_dead_letter_drives_the_terminal_or_grows(records in proptest::collection::vec(record(), 1..4)) {
        let config = DeadLetters::default();
        let mut fold = Fold::new(RandomState::default());
        let mut rows: Vec<LetterRow> = Vec::new();
        for (offset, mut record) in records.into_iter().enumerate() {
            record.at.offset = offset as i64;
            prop_assert!(fold.add(&record, &config));
            let read = decode(&record, &config);
            let size = record.size();
            // What a letter says is of its size, whatever it is: notes and reasons are bounded.
            let notes: usize = read.notes.iter().map(String::len).sum();
            prop_assert!(read.notes.len() <= 24 && notes <= 24 * (size + 200));
            rows.push(LetterRow { letter: Arc::new(read), ..letter(0) });
        }
        let failures = FailuresAnswer {
            topic: "payments-dlt".into(),
            scanned: fold.letters() as u64,
            complete: true,
            failures: fold.failures(Timestamp(0), |_, _| true),
            filter_errors: 0,
        };
        for row in &failures.failures {
            let of_message = row.message.as_ref().map_or(0, |m| m.len());
            prop_assert!(of_message <= 300, "{of_message}");
        }
        let mut bench = console().seeing(incident()).keys("gd").press("dlq.open");
        bench = bench.answer(Answer::Failures(Arc::new(failures)));
        harmless(&mut bench)?;
        harmless(&mut bench.sized(200, 60))?;
        let total = rows.len() as u64;
        let letters = LettersAnswer {
            topic: "payments-dlt".into(), letters: rows, total, complete: true, filter_errors: 0,
        };
        for (columns, lines) in [(80, 24), (200, 60)] {
            let mut bench = at_letters_of(console().seeing(incident()), letters.clone()).sized(columns, lines);
            harmless(&mut bench)?;
            bench = bench.press("letters.open");
            for _ in 0..7 {
                harmless(&mut bench)?;
                bench = bench.press("inspector.section");
            }
            // As text and as bytes, with the frames of libraries and without.
            for command in ["inspector.layout", "inspector.layout", "inspector.base64", "inspector.unfold", "inspector.next"] {
                bench = bench.press(command);
                harmless(&mut bench)?;
            }
        }
    }

    #[test]
    fn the_fuzz_targets_hold_on_bytes_made_here(
        bytes in prop_oneof![4 => proptest::collection::vec(any::<u8>(), 0..400), 4 => small(), 1 => large()],
        format in "name = 'x'\n(latest = '(first|last)'\n)?\\[fields\\]\n(message|error_class|original_key) = '(x-a|\\$\\.a\\[0\\]\\.b)'\n",
    ) {
        bodies::dead_letter(&bytes);
        bodies::payload(&bytes);
        bodies::trace(&bytes);
        bodies::letter_format(&bytes);
        bodies::letter_format(&[format.as_bytes(), b"\0", &bytes].concat());
    }
}

#[test]
fn the_fuzz_targets_hold_on_the_captures() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let part = |bytes: Option<Vec<u8>>| match bytes {
        None => vec![0xff, 0xff],
        Some(bytes) => {
            let bytes = &bytes[..bytes.len().min(0xfffe)];
            [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
        }
    };
    let mut seen = 0;
    for file in ["spring-dlt", "connect-dlq", "connect-dlq-bare"] {
        let capture = std::fs::read_to_string(format!("tests/fixtures/dead-letters/{file}.jsonl")).unwrap();
        for line in capture.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let raw = |value: &serde_json::Value| value.as_str().map(|text| engine.decode(text).unwrap());
            let (key, value) = (raw(&record["key_b64"]), raw(&record["value_b64"]));
            let mut bytes = [part(key.clone()), part(value.clone())].concat();
            for header in record["headers"].as_array().unwrap() {
                bytes.extend(part(header[0].as_str().map(|name| name.as_bytes().to_vec())));
                bytes.extend(part(raw(&header[1])));
                bodies::trace(&raw(&header[1]).unwrap_or_default());
            }
            bodies::dead_letter(&bytes);
            bodies::payload(&[part(key), value.unwrap_or_default()].concat());
            seen += 1;
        }
    }
    assert_eq!(seen, 46 + 34 + 34);
}
