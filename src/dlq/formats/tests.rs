//! The table against what the frameworks really wrote, field by field, and against damaged headers.

use base64::Engine as _;
use serde_json::Value;

use super::headers::recognise;
use super::table::TABLE;
use super::table::home::HOME_GROWN;
use super::*;
use crate::config::profile::LetterFormat;
use crate::event::{Headers, Position, RecordTime, TimeKind};

fn b64(value: &Value) -> Option<Bytes> {
    value.as_str().map(|t| base64::engine::general_purpose::STANDARD.decode(t).unwrap().into())
}

fn capture(jsonl: &str) -> Vec<Record> {
    let record = |line: &str| {
        let r: Value = serde_json::from_str(line).unwrap();
        let headers = r["headers"].as_array().unwrap().iter();
        Record {
            at: Position::new(
                r["topic"].as_str().unwrap(),
                r["partition"].as_i64().unwrap() as i32,
                r["offset"].as_i64().unwrap(),
            ),
            time: Some(RecordTime {
                kind: if r["timestamp_type"] == "CreateTime" {
                    TimeKind::Create
                } else {
                    TimeKind::LogAppend
                },
                at: Timestamp(r["timestamp"].as_i64().unwrap()),
            }),
            key: b64(&r["key_b64"]),
            value: b64(&r["value_b64"]),
            headers: Headers(
                headers.map(|h| (Bytes::from(h[0].as_str().unwrap().to_owned()), b64(&h[1]))).collect(),
            ),
            lease: None,
        }
    };
    jsonl.lines().map(record).collect()
}

proptest::proptest! {
    #[test]
    fn where_a_letter_was_and_what_it_carries_is_read_without_why_it_failed(record in super::hostile::any_record()) {
        let config = DeadLetters::default();
        let (whole, places) = (digest(&record, &config), places(&record, &config));
        let of = |r: &Reading<'_>| {
            (
                (r.format.clone(), r.others.clone(), r.hops, r.pointer),
                format!("{:?} {:?}", r.root, r.previous),
                (r.original_key.clone(), r.original_value.clone()),
            )
        };
        proptest::prop_assert_eq!(of(&whole), of(&places));
    }
}

/// Decodes every dead letter of a capture; gives each with the truth about it.
fn decoded(jsonl: &str, expected: &str) -> Vec<(Letter, Value)> {
    let records = capture(jsonl);
    let expected: Value = serde_json::from_str(expected).unwrap();
    let letters: Vec<_> = expected["dead_letters"].as_array().unwrap().clone();
    assert!(!letters.is_empty());
    let find = |truth: &Value| {
        let record = records.iter().find(|r| {
            truth["dlq_topic"] == *r.at.topic
                && truth["dlq_partition"] == r.at.partition
                && truth["dlq_offset"] == r.at.offset
        });
        decode(record.unwrap(), &DeadLetters::default())
    };
    letters.into_iter().map(|truth| (find(&truth), truth)).collect()
}

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, Into::into)
}

/// Compares what every capture of this kind can know.
fn compare(letter: &Letter, truth: &Value) {
    let name = truth["event"].as_str().unwrap();
    let latest = letter.previous.as_ref().unwrap_or(&letter.root);
    assert_eq!(text(latest.topic.as_deref()), truth["origin_topic"], "{name}");
    assert_eq!(Value::from(latest.partition), truth["origin_partition"], "{name}");
    assert_eq!(Value::from(latest.offset), truth["origin_offset"], "{name}");
    assert_eq!(Value::from(latest.timestamp.map(Timestamp::as_millis)), truth["origin_timestamp"], "{name}");
    let root = &letter.root;
    assert_eq!(text(root.topic.as_deref()), truth["root_origin"][0], "{name}");
    assert_eq!(Value::from(root.partition), truth["root_origin"][1], "{name}");
    assert_eq!(Value::from(root.offset), truth["root_origin"][2], "{name}");
    assert_eq!(Value::from(letter.hops), truth["dead_letterings"], "{name}");
    assert_eq!(text(letter.error_class.as_deref()), truth["error_class"], "{name}");
    assert_eq!(text(letter.root_cause_class.as_deref()), truth["root_cause_class"], "{name}");
    assert_eq!(text(letter.message.as_deref()), truth["error_message"], "{name}");
    let first_line = letter.stack_trace.as_deref().and_then(|t| t.lines().next());
    assert_eq!(text(first_line), truth["stack_first_line"], "{name}");
    if !truth["thrown_at"].is_null() {
        assert_eq!(text(letter.failure.frame.as_deref()), truth["thrown_at"], "{name}");
    }
    // Not on the wire: never a guess.
    assert_eq!(letter.attempts, None, "{name}");
    assert_eq!(letter.failed_at, None, "{name}");
    let key = letter.record.key.as_deref().and_then(|k| std::str::from_utf8(k).ok());
    if !truth["key_utf8"].is_null() {
        assert_eq!(text(key), truth["key_utf8"], "{name}");
    }
}

#[test]
fn spring_kafka_is_read_field_by_field() {
    let all = decoded(
        include_str!("../../../tests/fixtures/dead-letters/spring-dlt.jsonl"),
        include_str!("../../../tests/fixtures/dead-letters/spring-dlt.expected.json"),
    );
    for (letter, truth) in &all {
        compare(letter, truth);
        assert_eq!(letter.format.as_deref(), Some("spring-kafka"));
        assert_eq!(text(letter.root.group.as_deref()), truth["group"]);
        let cause = letter.also.iter().find(|(n, _)| *n == "cause_class").map(|(_, v)| v.as_str());
        assert_eq!(text(cause), truth["header_cause_class"]);
        assert_eq!(letter.notes, Vec::<String>::new(), "{}", truth["event"]);
        let why = |field: &str| letter.unknown.iter().find(|(f, _)| *f == field).map(|(_, why)| why.as_str());
        assert!(why("attempts").is_some_and(|why| why.contains("does not write the number of attempts")));
        let by = |field: &str| letter.rules.iter().find(|(f, _)| *f == field).map(|(_, by)| by.as_str());
        assert_eq!(by("root.offset"), Some("header kafka_dlt-original-offset"));
    }
    // The three letters of one gateway time-out are one failure, whatever the order's number.
    let ids: Vec<_> = all
        .iter()
        .filter(|(_, t)| t["fault"] == "gateway-timeout")
        .map(|(l, _)| l.failure.id.clone())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]));
    let failures: std::collections::BTreeSet<_> = all.iter().map(|(l, _)| l.failure.id.clone()).collect();
    assert!(failures.len() > 8, "{failures:?}");
}

#[test]
fn kafka_connect_is_read_field_by_field() {
    let all = decoded(
        include_str!("../../../tests/fixtures/dead-letters/connect-dlq.jsonl"),
        include_str!("../../../tests/fixtures/dead-letters/connect-dlq.expected.json"),
    );
    for (letter, truth) in &all {
        compare(letter, truth);
        assert_eq!(letter.format.as_deref(), Some("kafka-connect"));
        let also = |name: &str| letter.also.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(text(also("connector")), truth["connector"]);
        assert_eq!(also("task").unwrap(), truth["task"].to_string());
        assert_eq!(text(also("stage")), truth["stage"]);
        assert_eq!(text(also("stage_class")), truth["stage_class"]);
        // A convention, not a fact.
        assert_eq!(letter.root.group, None);
        assert!(
            letter.unknown.iter().any(|(f, why)| *f == "root.group" && why.contains("connect-<connector>"))
        );
    }
}

#[test]
fn kafka_connect_without_context_headers_tells_nothing() {
    let all = decoded(
        include_str!("../../../tests/fixtures/dead-letters/connect-dlq-bare.jsonl"),
        include_str!("../../../tests/fixtures/dead-letters/connect-dlq-bare.expected.json"),
    );
    for (letter, _) in &all {
        assert_eq!(letter.format, None);
        assert_eq!((&letter.root, &letter.previous, letter.hops), (&Origin::default(), &None, None));
        assert_eq!((&letter.error_class, &letter.root_cause_class, &letter.message), (&None, &None, &None));
        assert!(letter.notes[0].contains("errors.deadletterqueue.context.headers.enable"));
    }
}

#[test]
fn source_records_are_no_dead_letters() {
    for jsonl in [
        include_str!("../../../tests/fixtures/dead-letters/spring-dlt.jsonl"),
        include_str!("../../../tests/fixtures/dead-letters/connect-dlq-bare.jsonl"),
    ] {
        let sources = capture(jsonl)
            .into_iter()
            .filter(|r| r.at.topic.starts_with("shop.") && !r.at.topic.ends_with("-dlt"));
        // Careless redrives leave the headers on; all others must not be recognised.
        let fooled = sources.filter(|r| decode(r, &DeadLetters::default()).format.is_some()).count();
        assert!(fooled <= 1, "{fooled}");
    }
}

fn record(topic: &str, headers: &[(&str, &[u8])]) -> Record {
    Record {
        at: Position::new(topic, 0, 0),
        time: None,
        key: None,
        value: None,
        headers: Headers(
            headers
                .iter()
                .map(|(n, v)| (Bytes::from((*n).to_owned()), Some(Bytes::from(v.to_vec()))))
                .collect(),
        ),
        lease: None,
    }
}

fn plain(topic: &str, headers: &[(&str, &[u8])]) -> Letter {
    decode(&record(topic, headers), &DeadLetters::default())
}

#[test]
fn retryable_topics_count_the_attempt_that_would_be_next() {
    let letter = plain(
        "orders-dlt",
        &[
            ("kafka_original-topic", b"orders"),
            ("kafka_original-partition", &[0, 0, 0, 2]),
            ("kafka_original-offset", &[0, 0, 0, 0, 0, 0, 0, 9]),
            ("kafka_dlt-original-consumer-group", b"email"),
            ("retry_topic-attempts", &[0, 0, 0, 2]),
            ("kafka_dlt-original-consumer-group", b"email"),
            ("retry_topic-attempts", &[0, 0, 0, 4]),
            ("kafka_exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
            (
                "kafka_exception-message",
                b"Listener failed; nested exception is org.springframework.kafka.listener.TimestampedException: stamp; nested \
                  exception is c.D: no sku",
            ),
        ],
    );
    assert_eq!(letter.format.as_deref(), Some("spring-retryable"));
    // A redrive with these headers kept would look the same.
    assert_eq!((letter.attempts, letter.hops), (Some(3), None));
    assert_eq!(letter.root.group.as_deref(), Some("email"));
    assert_eq!(letter.root.offset, Some(9));
    assert_eq!(letter.message.as_deref(), Some("no sku"));
}

#[test]
fn smallrye_writes_the_newest_headers_first() {
    let letter = plain(
        "dead-letter-topic-orders",
        &[
            ("dead-letter-reason", b"again"),
            ("dead-letter-topic", b"orders"),
            ("dead-letter-partition", b"1"),
            ("dead-letter-offset", b"20"),
            ("dead-letter-reason", b"before"),
            ("dead-letter-topic", b"orders"),
            ("dead-letter-partition", b"1"),
            ("dead-letter-offset", b"5"),
        ],
    );
    assert_eq!(letter.root.offset, Some(5));
    assert_eq!(letter.previous.as_ref().and_then(|p| p.offset), Some(20));
    assert_eq!((letter.message.as_deref(), letter.hops), (Some("again"), Some(2)));
}

#[test]
fn a_share_group_pointer_is_told_from_a_copy() {
    let headers: &[(&str, &[u8])] = &[
        ("__dlq.errors.topic", b"orders"),
        ("__dlq.errors.partition", b"3"),
        ("__dlq.errors.offset", b"77"),
        ("__dlq.errors.group", b"couriers"),
        ("__dlq.errors.delivery.count", b"5"),
    ];
    let letter = plain("dlq.orders", headers);
    assert!(letter.pointer);
    assert_eq!((letter.attempts, letter.root.group.as_deref()), (Some(5), Some("couriers")));
    let mut copied = record("dlq.orders", headers);
    copied.value = Some(Bytes::new());
    assert!(!decode(&copied, &DeadLetters::default()).pointer);
}

#[test]
fn spring_cloud_stream_names_its_group_in_the_topic() {
    let headers: &[(&str, &[u8])] = &[("x-original-topic", b"shop.orders"), ("x-exception-fqcn", b"a.B")];
    assert_eq!(plain("error.shop.orders.email", headers).root.group.as_deref(), Some("email"));
    assert_eq!(plain("my-dlq", headers).root.group, None);
}

#[test]
fn the_net_frameworks_are_read() {
    let letter = plain(
        "orders_error",
        &[
            ("MT-Reason", b"fault"),
            ("MT-Fault-ExceptionType", b"System.TimeoutException"),
            ("MT-Fault-Message", b"too late"),
            ("MT-Fault-Timestamp", b"2026-11-20T08:01:01.0070000Z"),
            ("MT-Fault-RetryCount", b"2"),
            ("MT-Fault-StackTrace", b"   at Shop.Stock.Pay(Order order) in /src/Stock.cs:line 12"),
        ],
    );
    assert_eq!(letter.format.as_deref(), Some("masstransit"));
    assert_eq!((letter.attempts, letter.failed_at), (Some(3), Some(Timestamp(1_795_161_661_007))));
    assert_eq!(letter.failure.frame.as_deref(), Some("Shop.Stock.Pay"));
    let letter = plain(
        "wolverine-dead-letter-queue",
        &[
            ("original-destination", b"kafka://topic/orders"),
            ("exception-type", b"X"),
            ("failed-at", b"1795161661007"),
        ],
    );
    assert_eq!((letter.format.as_deref(), letter.root.topic.as_deref()), (Some("wolverine"), Some("orders")));
    let letter = plain("t", &[("ce_knativeerrordata", b"bm90IGZvdW5k"), ("ce_knativeerrorcode", b"404")]);
    assert_eq!((letter.format.as_deref(), letter.message.as_deref()), (Some("knative"), Some("not found")));
}

#[test]
fn wrong_headers_cost_their_value_and_leave_a_note() {
    let letter = plain(
        "orders-dlt",
        &[
            ("kafka_dlt-original-topic", b"orders"),
            ("kafka_dlt-original-partition", b"3"),
            ("kafka_dlt-original-offset", &[0xff; 8]),
            ("kafka_dlt-exception-message", b"\xff\xfe"),
        ],
    );
    assert_eq!(letter.root.topic.as_deref(), Some("orders"));
    assert_eq!((letter.root.partition, letter.root.offset, &letter.message), (None, None, &None));
    for header in ["-partition is not four bytes long", "-offset is not an offset", "-message is not UTF-8"] {
        assert!(letter.notes.iter().any(|n| n.ends_with(header)), "{header}: {:?}", letter.notes);
    }
}

#[test]
fn hops_that_do_not_fit_together_are_told() {
    let letter = plain(
        "dlq-clicks",
        &[
            ("__connect.errors.topic", b"clicks"),
            ("__connect.errors.offset", b"1"),
            ("__connect.errors.topic", b"clicks"),
            ("__connect.errors.partition", b"0"),
            ("__connect.errors.offset", b"7"),
        ],
    );
    assert_eq!((letter.root.partition, letter.root.offset), (None, Some(1)));
    assert_eq!(letter.previous.as_ref().and_then(|p| p.offset), Some(7));
    assert!(letter.notes.iter().any(|n| n.contains("do not fit together")));
}

#[test]
fn the_latest_failure_of_a_format_that_repeats_all_headers_is_not_mixed_with_older_ones() {
    let block = |offset: &'static str, message: Option<&'static str>| {
        let mut headers = vec![
            ("__connect.errors.topic", Some("clicks")),
            ("__connect.errors.partition", Some("0")),
            ("__connect.errors.offset", Some(offset)),
            ("__connect.errors.exception.class.name", Some("a.B")),
        ];
        headers.push(("__connect.errors.exception.message", message));
        headers
    };
    let mut twice = record("dlq-clicks", &[]);
    for (name, value) in block("1", Some("older")).into_iter().chain(block("7", None)) {
        twice.headers.push(name, value.map(Bytes::from));
    }
    let letter = decode(&twice, &DeadLetters::default());
    assert_eq!((letter.hops, letter.message.as_deref()), (Some(2), None));
    assert!(letter.unknown.iter().any(|(f, why)| *f == "message" && why.ends_with("is null")));
    // SmallRye writes the newest first, and a cause only where there is one.
    let letter = plain(
        "dead-letter-topic-orders",
        &[
            ("dead-letter-reason", b"again"),
            ("dead-letter-topic", b"orders"),
            ("dead-letter-reason", b"before"),
            ("dead-letter-cause", b"of the first"),
            ("dead-letter-topic", b"orders"),
        ],
    );
    assert_eq!((letter.message.as_deref(), letter.also.len()), (Some("again"), 0));
}

#[test]
fn each_framework_counts_attempts_and_keeps_keys_in_its_own_way() {
    let letter = plain(
        "dlq",
        &[
            ("original_topic", b"orders"),
            ("original_partition", b"1"),
            ("original_offset", b"3"),
            ("original_consumer_group", b"email"),
            ("original_key", b"order-1"),
            ("original_attempts", b"2"),
        ],
    );
    assert_eq!((letter.format.as_deref(), letter.attempts), (Some("karafka-old"), Some(2)));
    assert_eq!(letter.original_key, Some(Some(Bytes::from_static(b"order-1"))));
    let letter = plain(
        "wolverine-dead-letter-queue",
        &[
            ("original-destination", b"kafka://topic/orders.retry.5s"),
            ("original-partition", b"0"),
            ("original-offset", b"8"),
            ("exception-type", b"X"),
            ("wolverine-kafka-retry-source", b"orders"),
            ("wolverine-kafka-retry-attempt", b"3"),
        ],
    );
    assert_eq!((letter.root.topic.as_deref(), letter.root.offset), (Some("orders"), None));
    assert_eq!(letter.previous.as_ref().and_then(|p| p.offset), Some(8));
    assert_eq!(letter.attempts, Some(3));
    let letter =
        plain("d", &[("dlq-orig-topic", b"orders"), ("helidon_messaging_dead_letter_attempts", b"4")]);
    assert_eq!((letter.format.as_deref(), letter.attempts), (Some("helidon"), Some(4)));
    let letter =
        plain("d", &[("micronaut-kafka-original-topic", b"orders"), ("micronaut-kafka-retry-attempt", b"2")]);
    assert_eq!(letter.attempts, Some(3));
    let bakdata: &[(&str, &[u8])] =
        &[("__streams.errors.topic", b"orders"), ("__streams.errors.exception.class.name", b"a.B")];
    let letter = plain("d", bakdata);
    assert_eq!((letter.format.as_deref(), letter.error_class.as_deref()), (Some("bakdata"), Some("a.B")));
}

#[test]
fn names_of_home_grown_code_are_known_in_many_spellings() {
    let letter = plain(
        "orders.dlq",
        &[("X-Original-Topic", b"orders"), ("X_ORIGINAL_OFFSET", b"12"), ("x-error-message", b"no sku")],
    );
    assert_eq!((letter.format.as_deref(), letter.root.offset), (Some("home-grown"), Some(12)));
    assert_eq!(letter.message.as_deref(), Some("no sku"));
    let rules = strip_rules(Some("home-grown"), &DeadLetters::default());
    assert!(rules.strips(b"X-Original-Topic") && rules.strips(b"dlq.original.offset"));
    assert!(!rules.strips(b"reason") && !rules.strips(b"traceparent"));
    // An application's own source is none.
    assert_eq!(plain("orders", &[("source-topic", b"billing")]).format, None);
}

#[test]
fn a_home_grown_format_says_how_it_writes_and_which_header_is_the_latest() {
    use crate::config::profile::{Encoding, Occurrence};
    let mut format =
        LetterFormat { name: "ours".to_owned(), latest: Occurrence::First, ..LetterFormat::default() };
    for (field, place) in [("origin_topic", "t"), ("origin_offset", "o"), ("original_value", "$.body")] {
        format.fields.insert(field.to_owned(), place.to_owned());
    }
    format.encodings.insert("origin_offset".to_owned(), Encoding::BigEndian64);
    format.encodings.insert("original_value".to_owned(), Encoding::Base64);
    let config = DeadLetters { formats: vec![format], ..DeadLetters::default() };
    let mut twice = record(
        "d",
        &[("t", b"retry"), ("o", b"12345678"), ("t", b"orders"), ("o", &[0, 0, 0, 0, 0, 0, 0, 5])],
    );
    twice.value = Some(Bytes::from_static(br#"{"body":"e30="}"#));
    let letter = decode(&twice, &config);
    assert_eq!(
        (letter.root.topic.as_deref(), letter.root.offset, letter.hops),
        (Some("orders"), Some(5), Some(2))
    );
    assert_eq!(letter.previous.as_ref().and_then(|p| p.offset), Some(0x3132_3334_3536_3738));
    assert_eq!(letter.original_value, Some(Some(Bytes::from_static(b"{}"))));
    assert!(letter.rules.contains(&("original_value", "value $.body".to_owned())));
    twice.value = Some(Bytes::from_static(br#"{"body":"no base64!"}"#));
    let letter = decode(&twice, &config);
    assert_eq!(letter.original_value, None);
    assert_eq!(letter.notes, ["$.body (original_value) is not base64"]);
}

#[test]
fn a_home_grown_format_comes_before_the_table() {
    let mut format = LetterFormat { name: "ours".to_owned(), ..LetterFormat::default() };
    for (field, place) in [
        ("origin_topic", "$.meta.topic"),
        ("origin_offset", "$.meta.offset"),
        ("group", "x-group"),
        ("message", "$.errors.0.text"),
        ("original_value", "$.payload"),
        ("failed_at", "$.at"),
    ] {
        format.fields.insert(field.to_owned(), place.to_owned());
    }
    format.strip = vec!["x-group".to_owned(), "x-ours-*".to_owned()];
    let config = DeadLetters { formats: vec![format], ..DeadLetters::default() };
    let mut wrapped = record("orders-dlt", &[("x-group", b"email"), ("kafka_dlt-original-topic", b"other")]);
    wrapped.value = Some(Bytes::from_static(
        br#"{"meta":{"topic":"orders","offset":12},"errors":[{"text":"no sku"}],"payload":"{\"a\":1}","at":1795161661007}"#,
    ));
    let letter = decode(&wrapped, &config);
    assert_eq!((letter.format.as_deref(), letter.root.topic.as_deref()), (Some("ours"), Some("orders")));
    assert_eq!((letter.root.offset, letter.root.group.as_deref()), (Some(12), Some("email")));
    assert_eq!(letter.message.as_deref(), Some("no sku"));
    assert_eq!(letter.failed_at, Some(Timestamp(1_795_161_661_007)));
    assert_eq!(letter.original_value, Some(Some(Bytes::from_static(b"{\"a\":1}"))));
    let rules = strip_rules(letter.format.as_deref(), &config);
    assert!(rules.strips(b"x-group") && rules.strips(b"x-ours-any") && !rules.strips(b"x-order"));
    // A record without its sign is read by the table.
    wrapped.value = None;
    assert_eq!(decode(&wrapped, &config).format.as_deref(), Some("spring-kafka"));
}

#[test]
fn a_redrive_takes_off_failure_headers_and_keeps_business_headers() {
    let config = DeadLetters::default();
    for (jsonl, format, dead) in [
        (include_str!("../../../tests/fixtures/dead-letters/spring-dlt.jsonl"), "spring-kafka", "-dlt"),
        (
            include_str!("../../../tests/fixtures/dead-letters/connect-dlq.jsonl"),
            "kafka-connect",
            "dlq-clicks",
        ),
    ] {
        let rules = strip_rules(Some(format), &config);
        let mut kept = std::collections::BTreeSet::new();
        for letter in capture(jsonl).iter().filter(|r| r.at.topic.ends_with(dead)) {
            let names = letter.headers.iter().map(|(n, _)| n).filter(|n| !rules.strips(n));
            kept.extend(names.map(|n| std::str::from_utf8(n).unwrap().to_owned()));
        }
        assert!(kept.contains("traceparent") && kept.contains("x-tag") && kept.contains("x-empty"));
        assert!(kept.iter().all(|n| !n.starts_with("kafka_") && !n.starts_with("__connect")), "{kept:?}");
    }
    assert_eq!(strip_rules(None, &config), StripRules::default());
}

#[test]
fn every_format_of_the_table_can_be_recognised_and_has_something_to_strip() {
    for (index, format) in TABLE.iter().enumerate() {
        let rules = strip_rules(Some(format.name), &DeadLetters::default());
        assert!(!rules.shown().is_empty(), "{}", format.name);
        for rule in
            format.rules.iter().filter(|r| r.header.contains(['-', '_', '.']) && r.header != "consumer-group")
        {
            let stays = rule.header.starts_with("kafka_");
            assert!(rules.strips(rule.header.as_bytes()) || stays, "{}", rule.header);
        }
        for sign in format.signs {
            let headers: Vec<_> = sign.iter().map(|name| (*name, &b"1"[..])).collect();
            let record = record("t", &headers);
            if format.name != HOME_GROWN {
                assert_eq!(recognise(&record.headers), [index], "{sign:?}");
            }
            assert_eq!(decode(&record, &DeadLetters::default()).format.as_deref(), Some(format.name));
        }
    }
}
