//! Formats that hide the letter in its key or value: nothing in the headers says so.
//!
//! Each looks at a sign that costs little before it parses anything, because every record of a topic without
//! known headers comes by here.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use super::avro::Avro;
use super::codec::{self, Codec};
use super::origin::Hop;
use super::protobuf::{self, Metadata};
use super::table::{Field, others, spring};
use super::{Reading, Source, embedded, json};
use crate::event::Record;
use crate::text::Timestamp;

/// One format.
#[derive(Clone, Copy, Debug)]
pub struct Hidden {
    /// Name in documents and on screens.
    pub name: &'static str,
    /// Who writes it.
    pub written_by: &'static str,
    /// What it tells.
    pub tells: &'static [Field],
    /// Where the original key or value is kept, for the eye; empty where they are the letter's own.
    pub keeps: &'static str,
    /// Bytes of which one stands in the value; without any, the value is not parsed as JSON.
    signs: &'static [&'static [u8]],
    read: fn(&Record, Option<&Value>, &mut Reading<'_>) -> Option<()>,
    /// Why a field is not known when it is not there.
    pub unknown: &'static [(Field, &'static str)],
}

const ORIGIN: [Field; 4] =
    [Field::OriginTopic, Field::OriginPartition, Field::OriginOffset, Field::OriginTimestamp];

/// The format whose key is not the record's own: it is looked for beside header formats, too.
pub(super) const UFORWARDER: Hidden = Hidden {
    name: "uforwarder",
    written_by: "Uber's uForwarder",
    tells: &ORIGIN,
    keeps: "key",
    signs: &[],
    read: uforwarder,
    unknown: &[
        (Field::Group, "uForwarder knows the consumer group from its job, and does not write it"),
        (Field::Message, "uForwarder writes no reason"),
        (Field::ErrorClass, "uForwarder writes no reason"),
        (Field::StackTrace, "uForwarder writes no reason"),
        (Field::Attempts, "uForwarder counts redeliveries, not attempts"),
    ],
};

/// The others, in the order in which they are tried.
pub const HIDDEN: &[Hidden] = &[
    UFORWARDER,
    Hidden {
        name: "ksqldb",
        written_by: "ksqlDB's processing log",
        tells: &[Field::OriginTopic, Field::Message, Field::FailedAt],
        keeps: "value, where rows are included",
        signs: &[
            b"deserializationError",
            b"DESERIALIZATIONERROR",
            b"recordProcessingError",
            b"RECORDPROCESSINGERROR",
        ],
        read: ksqldb,
        unknown: &[
            (Field::OriginTopic, "ksqlDB names the topic only of records that it could not read or write"),
            (Field::OriginPartition, "ksqlDB's processing log names no partition and no offset"),
            (Field::OriginOffset, "ksqlDB's processing log names no partition and no offset"),
            (Field::ErrorClass, "ksqlDB logs messages, not error classes"),
        ],
    },
    Hidden {
        name: spring::CLOUD_STREAM.name,
        written_by: spring::CLOUD_STREAM.written_by,
        tells: &[],
        keeps: "",
        signs: &[],
        read: embedded::read,
        unknown: spring::CLOUD_STREAM.unknown,
    },
    Hidden {
        name: "bakdata-value",
        written_by: "bakdata's kafka-error-handling, `DeadLetter` as JSON, Avro or Protobuf",
        tells: &[
            Field::OriginTopic,
            Field::OriginPartition,
            Field::OriginOffset,
            Field::OriginTimestamp,
            Field::ErrorClass,
            Field::Message,
            Field::StackTrace,
        ],
        keeps: "value, as text",
        signs: &[b"input_value", b"\"stack_trace\""],
        read: bakdata,
        unknown: &[],
    },
    Hidden {
        name: "knative",
        written_by: "Knative Eventing, binary and structured",
        tells: &[Field::Message],
        keeps: "",
        signs: &[b"\"knativeerror"],
        read: knative,
        unknown: others::KNATIVE_UNKNOWN,
    },
    Hidden {
        name: "dapr",
        written_by: others::DAPR_WRITES,
        tells: &[Field::OriginTopic],
        keeps: "",
        signs: &[b"\"pubsubname\""],
        read: dapr,
        unknown: others::DAPR_UNKNOWN,
    },
];

/// The signs of each, as they are looked for in every letter.
static SIGNS: LazyLock<Vec<Vec<memmem::Finder<'static>>>> = LazyLock::new(|| {
    let finders = |format: &Hidden| format.signs.iter().map(memmem::Finder::new).collect();
    HIDDEN.iter().map(finders).collect()
});

/// Reads a record by the first of the formats whose sign it has.
pub(super) fn read(record: &Record) -> Option<Reading<'_>> {
    let value = record.value.as_ref().filter(|v| v.len() <= json::LIMIT);
    let mut parsed: Option<Option<Value>> = None;
    HIDDEN.iter().zip(&*SIGNS).find_map(|(format, signs)| {
        let signed = value.is_some_and(|v| signs.iter().any(|sign| sign.find(v).is_some()));
        let document = if signed {
            parsed.get_or_insert_with(|| value.and_then(|v| json::object(v))).as_ref()
        } else {
            None
        };
        by_format(record, document, format)
    })
}

/// Reads a record by one format.
pub(super) fn by_format<'r>(
    record: &'r Record,
    document: Option<&Value>,
    format: &'static Hidden,
) -> Option<Reading<'r>> {
    let mut reading =
        Reading { written_by: format.written_by, unknown: format.unknown, ..Reading::default() };
    (format.read)(record, document, &mut reading)?;
    reading.format = Some(format.name.into());
    Some(reading)
}

/// The key is a protobuf `DLQMetadata` with the original key inside.
fn uforwarder(record: &Record, _: Option<&Value>, reading: &mut Reading<'_>) -> Option<()> {
    let key = record.key.as_ref()?;
    let metadata = Metadata::read(key).filter(|m| m.topic != &*record.at.topic)?;
    reading.root = Hop {
        topic: Some(Cow::Owned(metadata.topic.to_owned())),
        partition: Some(metadata.partition),
        offset: Some(metadata.offset),
        timestamp: Some(metadata.timestamp()),
        group: None,
    };
    for (field, number) in [
        ("root.topic", 2),
        ("root.partition", 3),
        ("root.offset", 4),
        ("root.timestamp", 5),
        ("original_key", 6),
    ] {
        reading.given(field, Source::KeyField(number));
    }
    reading.original_key = Some(metadata.data.map(|data| key.slice_ref(data)));
    if metadata.data.is_none() {
        reading.fact("the original key was null or empty: the metadata cannot tell the two apart");
    }
    for (name, count) in [("redeliveries", metadata.retries), ("timeouts", metadata.timeouts)] {
        reading.also.push((name, Cow::Owned(count.to_string())));
    }
    Some(())
}

/// One event of the processing log; names are lower-case in the topic and upper-case as ksqlDB prints it.
fn ksqldb(_: &Record, document: Option<&Value>, reading: &mut Reading<'_>) -> Option<()> {
    const KINDS: [&str; 5] = [
        "deserializationError",
        "recordProcessingError",
        "productionError",
        "serializationError",
        "kafkaStreamsThreadError",
    ];
    let document = document?;
    let message = alike(document, "message")?;
    let (kind, error) =
        KINDS.iter().find_map(|kind| Some((*kind, alike(message, kind).filter(|e| e.is_object())?)))?;
    let text = |name: &str| alike(error, name).and_then(Value::as_str).map(str::to_owned);
    if let Some(topic) = text("topic").filter(|t| !t.is_empty()) {
        reading.root.topic = Some(Cow::Owned(topic));
        reading.given("root.topic", Source::Member("message.*.topic"));
    }
    if let Some(text) = text("errorMessage") {
        reading.message = Some(Cow::Owned(text));
        reading.given("message", Source::Member("message.*.errorMessage"));
    }
    if let Some(Value::Array(causes)) = alike(error, "cause") {
        let causes: Vec<&str> = causes.iter().filter_map(Value::as_str).collect();
        if !causes.is_empty() {
            reading.also.push(("causes", Cow::Owned(causes.join("\n"))));
        }
    }
    reading.failed_at = alike(document, "time").and_then(time);
    if reading.failed_at.is_some() {
        reading.given("failed_at", Source::Member("time"));
    }
    let target = text("target");
    let record = text("recordB64").and_then(|t| codec::base64(t.as_bytes()));
    match (record, target.as_deref()) {
        (Some(bytes), Some("key")) => {
            reading.original_key = Some(Some(bytes.into()));
            reading.given("original_key", Source::Member("message.*.recordB64"));
            reading.pointer = true;
            reading.fact("the log has the key that could not be read, and not the value");
        }
        (Some(bytes), _) => {
            reading.original_value = Some(Some(bytes.into()));
            reading.given("original_value", Source::Member("message.*.recordB64"));
            reading.original_key = Some(None);
            reading.fact("the log does not have the record's key");
        }
        (None, _) => {
            reading.pointer = true;
            reading.fact(
                "this is a line of a log: the record is not in it (ksql.logging.processing.rows.include is off, or \
                 it never is for this kind)",
            );
        }
    }
    reading.also.push(("kind", Cow::Borrowed(kind)));
    reading.also.extend(target.map(|t| ("target", Cow::Owned(t))));
    for (name, value) in [("row", alike(error, "record")), ("logger", alike(document, "logger"))] {
        if let Some(text) = value.and_then(Value::as_str) {
            reading.also.push((name, Cow::Owned(text.to_owned())));
        }
    }
    Some(())
}

/// bakdata's `DeadLetter`, as JSON, or as Avro or Protobuf in Confluent's wire format.
fn bakdata(record: &Record, document: Option<&Value>, reading: &mut Reading<'_>) -> Option<()> {
    let letter = if let Some(document) = document {
        bakdata_json(document)?
    } else {
        let value = record.value.as_ref()?;
        protobuf::dead_letter(value).or_else(|| Avro::dead_letter(value))?
    };
    reading.root = Hop {
        topic: letter.topic.filter(|t| !t.is_empty()).map(Cow::Owned),
        partition: letter.partition.filter(|n| *n >= 0),
        offset: letter.offset.filter(|n| *n >= 0),
        timestamp: letter.timestamp.filter(|n| *n >= 0).map(Timestamp),
        group: None,
    };
    reading.error_class = letter.error_class.map(Cow::Owned);
    reading.message = letter.message.map(Cow::Owned);
    reading.stack_trace = letter.stack_trace.map(Cow::Owned);
    reading.also.push(("description", Cow::Owned(letter.description)));
    reading.original_value = Some(letter.value.map(Bytes::from));
    reading.fact("the value is kept as text: where it was no text, its true bytes are the origin record's");
    let set = [
        ("root.topic", "topic", reading.root.topic.is_some()),
        ("root.partition", "partition", reading.root.partition.is_some()),
        ("root.offset", "offset", reading.root.offset.is_some()),
        ("root.timestamp", "input_timestamp", reading.root.timestamp.is_some()),
        ("error_class", "cause.error_class", reading.error_class.is_some()),
        ("message", "cause.message", reading.message.is_some()),
        ("stack_trace", "cause.stack_trace", reading.stack_trace.is_some()),
        ("original_value", "input_value", true),
    ];
    for (field, member, _) in set.into_iter().filter(|(_, _, is_there)| *is_there) {
        reading.given(field, Source::Member(member));
    }
    Some(())
}

/// A `DeadLetter` as plain JSON, or as Avro writes it as JSON (`{"string": …}`).
fn bakdata_json(document: &Value) -> Option<Avro> {
    fn plain(value: &Value) -> &Value {
        match value {
            Value::Object(map) if map.len() == 1 => map
                .iter()
                .next()
                .filter(|(k, _)| matches!(k.as_str(), "string" | "int" | "long"))
                .map_or(value, |(_, v)| v),
            other => other,
        }
    }
    let member =
        |of: &Value, name: &str, other: &str| of.get(name).or_else(|| of.get(other)).map(plain).cloned();
    let cause = document.get("cause").filter(|c| c.is_object())?;
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let number = |value: Option<Value>| value.and_then(|v| v.as_i64());
    let has = |name: &str, other: &str| document.get(name).or_else(|| document.get(other)).is_some();
    if !has("input_value", "inputValue") || !has("description", "description") {
        return None;
    }
    Some(Avro {
        value: text(member(document, "input_value", "inputValue")),
        topic: text(member(document, "topic", "topic")),
        partition: number(member(document, "partition", "partition")).and_then(|n| i32::try_from(n).ok()),
        offset: number(member(document, "offset", "offset")),
        description: text(member(document, "description", "description")).unwrap_or_default(),
        error_class: text(member(cause, "error_class", "errorClass")),
        message: text(member(cause, "message", "message")),
        stack_trace: text(member(cause, "stack_trace", "stackTrace")),
        timestamp: number(member(document, "input_timestamp", "inputTimestamp")),
    })
}

/// A structured CloudEvent with Knative's extensions.
fn knative(_: &Record, document: Option<&Value>, reading: &mut Reading<'_>) -> Option<()> {
    let document = document.filter(|d| d.get("specversion").is_some())?;
    let text = |name: &str| match document.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let (code, destination) = (text("knativeerrorcode"), text("knativeerrordest"));
    if code.is_none() && destination.is_none() {
        return None;
    }
    if let Some(data) = text("knativeerrordata") {
        let plain = codec::text(Codec::Base64, data.as_bytes()).map(Cow::into_owned);
        reading.message = Some(Cow::Owned(plain.unwrap_or(data)));
        reading.given("message", Source::Member("knativeerrordata"));
    }
    reading.also.extend(code.map(|c| ("status", Cow::Owned(c))));
    reading.also.extend(destination.map(|d| ("destination", Cow::Owned(d))));
    reading.fact("the failure stands inside the event: a redrive of the letter's value takes it along");
    Some(())
}

/// Dapr republishes its CloudEvent unchanged; only the topic's name in it tells.
fn dapr(record: &Record, document: Option<&Value>, reading: &mut Reading<'_>) -> Option<()> {
    let document = document.filter(|d| d.get("specversion").is_some())?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let (topic, component) = (text("topic")?, text("pubsubname")?);
    // In its own topic it is an event like any other.
    if topic == &*record.at.topic {
        return None;
    }
    reading.root.topic = Some(Cow::Owned(topic.to_owned()));
    reading.given("root.topic", Source::Member("topic"));
    reading.also.push(("pubsub", Cow::Owned(component.to_owned())));
    Some(())
}

/// A member by its name, whatever its case.
fn alike<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    map.get(name).or_else(|| map.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => codec::time(Codec::Guess, number.to_string().as_bytes()).ok(),
        Value::String(text) => codec::time(Codec::Guess, text.as_bytes()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile::DeadLetters;
    use crate::dlq::Letter;
    use crate::dlq::formats::{decode, strip_rules};
    use crate::event::{Headers, Position};

    fn letter(topic: &str, key: Option<&'static [u8]>, value: &'static str) -> Letter {
        let record = Record {
            at: Position::new(topic, 0, 0),
            time: None,
            key: key.map(Bytes::from_static),
            value: Some(Bytes::from_static(value.as_bytes())),
            headers: Headers::default(),
            lease: None,
        };
        decode(&record, &DeadLetters::default())
    }

    fn key(letter: &Letter) -> Option<&str> {
        letter.original_key.as_ref()?.as_deref().and_then(|b| std::str::from_utf8(b).ok())
    }

    fn value(letter: &Letter) -> Option<&str> {
        letter.original_value.as_ref()?.as_deref().and_then(|b| std::str::from_utf8(b).ok())
    }

    #[test]
    fn uforwarder_keeps_the_origin_and_the_key_in_the_key() {
        let metadata = b"\x08\x03\x12\x06orders\x18\x02\x20\xac\x02\x28\xcf\xbc\xe4\xbf\x9f\x34\x32\x02k1";
        let read = letter("orders__dlq", Some(metadata), "{}");
        assert_eq!(read.format.as_deref(), Some("uforwarder"));
        assert_eq!(
            (read.root.topic.as_deref(), read.root.partition, read.root.offset),
            (Some("orders"), Some(2), Some(300))
        );
        assert_eq!(read.root.timestamp, Some(Timestamp(1_795_161_661_007)));
        assert_eq!(key(&read), Some("k1"));
        assert_eq!((read.attempts, read.also[0].1.as_str()), (None, "3"));
        // In the topic that it names it is an ordinary key.
        assert_eq!(letter("orders", Some(metadata), "{}").format, None);
    }

    #[test]
    fn ksqldb_logs_the_record_in_base64() {
        let read = letter(
            "ksql_processing_log",
            None,
            r#"{"level":"ERROR","logger":"processing.CSAS_A_0.KsqlTopic.Source.deserializer","time":1795161661007,
               "message":{"type":0,"deserializationError":{"target":"value","errorMessage":"cannot read","recordB64":
               "eyJhIjoxfQ==","cause":["a","b"],"topic":"orders"},"recordProcessingError":null}}"#,
        );
        assert_eq!((read.format.as_deref(), read.root.topic.as_deref()), (Some("ksqldb"), Some("orders")));
        assert_eq!((value(&read), read.message.as_deref()), (Some("{\"a\":1}"), Some("cannot read")));
        assert_eq!((read.failed_at, read.pointer), (Some(Timestamp(1_795_161_661_007)), false));
        let why = read.unknown.iter().find(|(f, _)| *f == "root.offset");
        assert!(why.is_some_and(|(_, why)| why.contains("no partition and no offset")));
        // As ksqlDB itself prints it, and without the record.
        let read = letter(
            "l",
            None,
            r#"{"MESSAGE":{"DESERIALIZATIONERROR":{"TOPIC":"orders","ERRORMESSAGE":"x"}}}"#,
        );
        assert_eq!(
            (read.root.topic.as_deref(), read.pointer, read.original_value),
            (Some("orders"), true, None)
        );
    }

    #[test]
    fn bakdatas_dead_letter_is_read_as_json_and_as_avro() {
        let read = letter(
            "orders-dead-letters",
            None,
            r#"{"input_value":{"string":"{}"},"topic":{"string":"orders"},"partition":{"int":1},"offset":{"long":7},
               "description":"step","cause":{"error_class":{"string":"a.B"},"message":null,"stack_trace":"a.B\n\tat a.C.d(C.java:1)"},
               "input_timestamp":1795161661007}"#,
        );
        assert_eq!((read.format.as_deref(), read.root.offset), (Some("bakdata-value"), Some(7)));
        assert_eq!((read.error_class.as_deref(), read.message.as_deref()), (Some("a.B"), None));
        assert_eq!((value(&read), read.failure.frame.as_deref()), (Some("{}"), Some("a.C.d")));
        let avro = "\0\0\0\0\x07\x02\x04{}\x02\x0corders\x02\x02\x02\x08\x08step\x02\x06a.B\0\x02\x02t\0";
        let read = letter("orders-dead-letters", None, avro);
        assert_eq!((read.root.topic.as_deref(), read.root.offset), (Some("orders"), Some(4)));
    }

    #[test]
    fn cloud_events_of_dapr_and_knative_tell_what_they_can() {
        let event = r#"{"specversion":"1.0","id":"1","topic":"orders","pubsubname":"kafka","data":{}}"#;
        let read = letter("poison", None, event);
        assert_eq!((read.format.as_deref(), read.root.topic.as_deref()), (Some("dapr"), Some("orders")));
        assert_eq!(letter("orders", None, event).format, None);
        assert!(!strip_rules(Some("dapr"), &DeadLetters::default()).strips(b"traceparent"));
        let read = letter(
            "dls",
            None,
            r#"{"specversion":"1.0","knativeerrorcode":404,"knativeerrordata":"bm90IGZvdW5k"}"#,
        );
        assert_eq!((read.format.as_deref(), read.message.as_deref()), (Some("knative"), Some("not found")));
    }
}
