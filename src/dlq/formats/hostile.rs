//! Headers, keys and values that nobody writes on purpose: nothing panics, nothing grows, nothing reaches the
//! terminal as it is.

use bytes::Bytes;
use proptest::prelude::*;

use super::payload::HIDDEN;
use super::table::{Field, TABLE};
use super::*;
use crate::dlq;
use crate::event::{Headers, Position};

fn record(key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Record {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(name, value.map(Bytes::from));
    }
    Record {
        at: Position::new("orders-dlt", 0, 0),
        time: None,
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: all,
        lease: None,
    }
}

/// Decodes and documents it, and checks what holds for every letter.
fn sound(record: &Record) -> Letter {
    let letter = decode(record, &DeadLetters::default());
    assert!(letter.notes.len() <= NOTES, "{:?}", letter.notes.len());
    assert!(letter.rules.len() <= 24 && letter.unknown.len() <= 16);
    for origin in letter.previous.iter().chain([&letter.root]) {
        assert!(origin.partition.is_none_or(|p| p >= 0) && origin.offset.is_none_or(|o| o >= 0));
        assert!(origin.timestamp.is_none_or(|t| t.as_millis() >= 0));
    }
    let document = serde_json::to_string(&dlq::document(&letter)).unwrap();
    assert!(!document.contains(|c: char| c < ' '));
    letter
}

/// Names of the formats' headers among others.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&str> = TABLE.iter().flat_map(|f| f.rules.iter().map(|r| r.header)).collect();
    prop_oneof![
        8 => proptest::sample::select(known).prop_map(|name| name.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let some = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        any::<i64>().prop_map(|n| n.to_be_bytes().to_vec()),
        any::<i32>().prop_map(|n| n.to_be_bytes().to_vec()),
        "\\PC{0,40}".prop_map(String::into_bytes),
        Just("9".repeat(400).into_bytes()),
        Just(b"x; nested exception is y\xe2\x80".to_vec()),
        Just("a.B: x\n\tat a.C.d(E.java:1)\nCaused by: \u{1b}[2J".as_bytes().to_vec()),
    ];
    proptest::option::weighted(0.9, some)
}

/// Values that begin like those of a format that hides in them.
fn payload() -> impl Strategy<Value = Option<Vec<u8>>> {
    let json = prop_oneof![
        Just(r#"{"specversion":"1","pubsubname":"p","topic":7}"#.to_owned()),
        Just(
            r#"{"message":{"deserializationError":{"recordB64":"%","cause":[1],"target":null}},"time":-1}"#
                .to_owned()
        ),
        Just(r#"{"input_value":null,"description":1,"cause":{},"partition":1e300,"offset":-5}"#.to_owned()),
        Just(format!(r#"{{"pubsubname":{}"#, "[".repeat(200_000))),
        "\\{\"pubsubname\":\\PC{0,60}",
    ];
    let some = prop_oneof![
        json.prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(|tail| [&[0, 0, 0, 0, 1][..], &tail].concat()),
    ];
    proptest::option::of(some)
}

fn key() -> impl Strategy<Value = Option<Vec<u8>>> {
    let metadata =
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|tail| [&b"\x12\x01a"[..], &tail].concat());
    proptest::option::of(metadata)
}

/// Records of any headers, keys and values, among them letters that are in order.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let any = (key(), payload(), proptest::collection::vec((name(), value()), 0..40))
        .prop_map(|(key, value, headers)| record(key, value, headers));
    prop_oneof![1 => any, 2 => letter()]
}

/// Letters of one format each, of few failures, some with a header that is out of order.
fn letter() -> impl Strategy<Value = Record> {
    let formats: Vec<usize> = (0..TABLE.len()).collect();
    let odd = proptest::option::weighted(0.2, (any::<proptest::sample::Index>(), value(), any::<bool>()));
    (proptest::sample::select(formats), 0..4_u8, any::<u16>(), odd).prop_map(|(format, failure, order, odd)| {
        let mut headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        for rule in TABLE[format].rules {
            let value = match rule.field {
                Field::OriginTopic if rule.codec == table::Codec::KafkaUri => b"kafka://topic/orders".to_vec(),
                Field::OriginTopic | Field::RootTopic => b"orders".to_vec(),
                Field::OriginPartition | Field::Attempts => number(rule.codec, 3),
                Field::OriginOffset | Field::OriginTimestamp | Field::FailedAt => number(rule.codec, i64::from(order)),
                Field::Group => format!("group-{}", failure % 2).into_bytes(),
                Field::ErrorClass | Field::CauseClass => format!("acme.Error{failure}").into_bytes(),
                Field::StackTrace => format!(
                    "acme.Error{failure}: order {order}\n\tat acme.Store.step{failure}(Store.java:{order})\n"
                )
                .into_bytes(),
                _ => format!("order {order}").into_bytes(),
            };
            headers.push((rule.header.as_bytes().to_vec(), Some(value)));
        }
        if let Some((at, value, twice)) = odd {
            let at = at.index(headers.len());
            let name = headers[at].0.clone();
            if twice {
                headers.push((name, value));
            } else {
                headers[at].1 = value;
            }
        }
        record(Some(b"k1".to_vec()), Some(b"{}".to_vec()), headers)
    })
}

fn number(codec: table::Codec, number: i64) -> Vec<u8> {
    use table::Codec;
    match codec {
        Codec::I32be | Codec::ByteOrI32be => (number as i32).to_be_bytes().to_vec(),
        Codec::I64be | Codec::BigInt => number.to_be_bytes().to_vec(),
        _ => number.to_string().into_bytes(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_headers_are_read_or_left_out(
        headers in proptest::collection::vec((name(), value()), 0..40),
        key in key(),
        value in payload(),
    ) {
        sound(&record(key, value, headers));
    }
}

#[test]
fn ten_thousand_headers_of_one_name_are_ten_thousand_hops() {
    let set = |i: i64| {
        [
            (b"kafka_dlt-original-topic".to_vec(), Some(b"orders".to_vec())),
            (b"kafka_dlt-original-offset".to_vec(), Some(i.to_be_bytes().to_vec())),
            (b"kafka_dlt-original-partition".to_vec(), None),
        ]
    };
    let letter = sound(&record(None, None, (0..10_000).flat_map(set).collect()));
    assert_eq!((letter.hops, letter.root.offset), (Some(10_000), Some(0)));
    assert_eq!(letter.previous.as_ref().and_then(|p| p.offset), Some(9_999));
    assert!(letter.notes.iter().any(|n| n == "kafka_dlt-original-partition is null"));
}

#[test]
fn a_value_of_more_than_a_mebibyte_is_cut_for_reading_only() {
    let trace = vec![b'a'; (1 << 20) + 10];
    let headers = vec![(b"kafka_dlt-exception-stacktrace".to_vec(), Some(trace.clone()))];
    let letter = sound(&record(None, None, headers));
    assert_eq!(letter.stack_trace.map(|t| t.len()), Some(1 << 20));
    assert_eq!(
        letter.record.headers.last("kafka_dlt-exception-stacktrace").map(Bytes::len),
        Some(trace.len())
    );
    assert!(letter.notes.iter().any(|n| n.ends_with("is longer than is looked at")));
    let letter = sound(&record(None, None, vec![(vec![b'x'; 1 << 20], Some(Vec::new()))]));
    assert_eq!(letter.format, None);
}

#[test]
fn every_format_has_a_name_of_its_own_or_is_the_same_framework() {
    for hidden in HIDDEN {
        let same = TABLE.iter().find(|format| format.name == hidden.name);
        assert!(same.is_none_or(|format| format.written_by == hidden.written_by), "{}", hidden.name);
    }
}
