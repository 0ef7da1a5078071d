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
use crate::event::{Record, envelope};

/// The document: `{topic, partition, offset, timestamp, key, value, headers, event, dead_letter}`.
///
/// A value that is no JSON is its text, or base64 where it is no text. A key is parsed only where it is an object or
/// an array, so that `.key == "12"` finds the key `12`. What `program` cannot look at is left out.
pub fn document(record: &Record, formats: &DeadLetters, program: &Program) -> Val {
    let needs = program.needs();
    parts(record, formats, &|part| needs.has(part))
}

/// The document with all of its parts.
pub(super) fn whole(record: &Record, formats: &DeadLetters) -> Val {
    parts(record, formats, &|_| true)
}

fn parts(record: &Record, formats: &DeadLetters, has: &dyn Fn(Part) -> bool) -> Val {
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
    put("key", Part::Key, &|| record.key.as_ref().map_or(Val::Null, key));
    put("value", Part::Value, &|| record.value.as_ref().map_or(Val::Null, payload));
    put("headers", Part::Headers, &|| headers(record));
    put("event", Part::Event, &|| event(record));
    put("dead_letter", Part::DeadLetter, &|| dead_letter(record, formats));
    Val::obj(members)
}

fn event(record: &Record) -> Val {
    serde_json::to_value(envelope::extract(record)).map_or(Val::Null, from_json)
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
