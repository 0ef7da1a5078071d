//! A record as the document that jq expressions see.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jaq_json::{Map, Num, Val};
use serde_json::Value;

use super::jq::{self, Program};
use super::needs::Part;
use crate::config::profile::DeadLetters;
use crate::dlq::{self, formats};
use crate::event::decode::{self, Content, Decoding, Patience, Side};
use crate::event::{Record, envelope};

/// The document: `{topic, partition, offset, timestamp, key, value, headers, event, dead_letter}`.
///
/// A value that is no JSON is its text, or base64 where it is no text. A key is parsed only where it is an object or
/// an array, so that `.key == "12"` finds the key `12`. What `program` cannot look at is left out.
pub fn document(record: &Record, formats: &DeadLetters, program: &Program) -> Val {
    decoded(record, formats, &Decoding::default(), program)
}

/// The same, with the decoders of a profile; a schema that is not known yet is waited for.
pub fn decoded(record: &Record, formats: &DeadLetters, decoding: &Decoding, program: &Program) -> Val {
    let needs = program.needs();
    parts(record, formats, Some(decoding), &|part| needs.has(part))
}

/// The document with all of its parts, its payloads as they are: what is edited is written back as what it was.
pub(super) fn whole(record: &Record, formats: &DeadLetters) -> Val {
    parts(record, formats, None, &|_| true)
}

fn parts(
    record: &Record,
    formats: &DeadLetters,
    decoding: Option<&Decoding>,
    has: &dyn Fn(Part) -> bool,
) -> Val {
    let mut members = Map::default();
    let mut put = |name: &'static str, part, make: &dyn Fn() -> Val| {
        if has(part) {
            members.insert(Val::utf8_str(Bytes::from_static(name.as_bytes())), make());
        }
    };
    put("topic", Part::Topic, &|| text(&record.at.topic));
    put("partition", Part::Place, &|| number(i64::from(record.at.partition)));
    put("offset", Part::Place, &|| number(record.at.offset));
    put("timestamp", Part::Timestamp, &|| record.timestamp().map_or(Val::Null, |at| text(&at.to_string())));
    put("key", Part::Key, &|| side(record, decoding, Side::Key));
    put("value", Part::Value, &|| side(record, decoding, Side::Value));
    put("headers", Part::Headers, &|| headers(record));
    put("event", Part::Event, &|| event(record, decoding));
    put("dead_letter", Part::DeadLetter, &|| dead_letter(record, formats));
    Val::obj(members)
}

fn event(record: &Record, decoding: Option<&Decoding>) -> Val {
    let plain = |decoding: &&Decoding| {
        record.value.as_ref().is_none_or(|value| is_plain(record, value, decoding, Side::Value))
    };
    let decoding = decoding.filter(|decoding| !plain(decoding));
    let document = decoding.and_then(|d| d.decode(record, Side::Value, Patience::Wait).document());
    let value = document.as_ref().or(record.value.as_ref());
    serde_json::to_value(envelope::extract_from(record, value.map(AsRef::as_ref)))
        .map_or(Val::Null, from_json)
}

fn dead_letter(record: &Record, config: &DeadLetters) -> Val {
    let letter = formats::decode(record, config);
    if letter.format.is_none() {
        return Val::Null;
    }
    from_json(Value::Object(dlq::document(&letter)))
}

/// Headers by name, the last one of a name; a null header is null.
fn headers(record: &Record) -> Val {
    let member = |(name, value): (&Bytes, Option<&Bytes>)| (plain(name), value.map_or(Val::Null, plain));
    Val::obj(record.headers.iter().map(member).collect())
}

/// A key or a value. What is JSON or text by itself needs no decoder, unless the topic has an order of its own.
fn side(record: &Record, decoding: Option<&Decoding>, side: Side) -> Val {
    let (bytes, by_itself): (_, fn(&Bytes) -> Val) = match side {
        Side::Key => (&record.key, key),
        Side::Value => (&record.value, payload),
    };
    let Some(bytes) = bytes else { return Val::Null };
    let Some(decoding) = decoding else { return by_itself(bytes) };
    if is_plain(record, bytes, decoding, side) {
        return by_itself(bytes);
    }
    if decoding.order(&record.at.topic, side).is_none()
        && (side == Side::Value || matches!(crate::event::json::first(bytes), Some(b'{' | b'[')))
        && let Some(document) = jq::parse(bytes)
    {
        // Strings of a document need not be UTF-8 here.
        return document;
    }
    match decoding.decode(record, side, Patience::Wait).content {
        Content::Null => Val::Null,
        Content::Json(value) => from_json(value),
        Content::Text(text) => Val::from(text),
        Content::Bytes(bytes) => plain(&Bytes::from(bytes)),
    }
}

/// Whether the payload is what it looks like.
fn is_plain(record: &Record, bytes: &Bytes, decoding: &Decoding, side: Side) -> bool {
    decoding.order(&record.at.topic, side).is_none() && decode::is_printable(bytes)
}

fn key(bytes: &Bytes) -> Val {
    match crate::event::json::first(bytes) {
        Some(b'{' | b'[') => payload(bytes),
        _ => plain(bytes),
    }
}

fn payload(bytes: &Bytes) -> Val {
    jq::parse(bytes).unwrap_or_else(|| plain(bytes))
}

/// Bytes as text, or base64 where they are none.
fn plain(bytes: &Bytes) -> Val {
    if std::str::from_utf8(bytes).is_ok() {
        return Val::utf8_str(bytes.clone());
    }
    Val::from(STANDARD.encode(bytes))
}

fn text(text: &str) -> Val {
    Val::from(text.to_owned())
}

fn number(number: i64) -> Val {
    Val::Num(Num::from_integral(number as isize))
}

/// A value of ours; bounded, because we made it.
fn from_json(value: Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(value),
        Value::Number(value) => match value.as_i64() {
            Some(value) => number(value),
            None => Val::from(value.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(value) => Val::from(value),
        Value::Array(items) => items.into_iter().map(from_json).collect(),
        Value::Object(members) => {
            Val::obj(members.into_iter().map(|(name, value)| (Val::from(name), from_json(value))).collect())
        }
    }
}
