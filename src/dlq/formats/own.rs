//! Home-grown formats of the profile: fields in headers, or at paths of a JSON value.
//!
//! They come before the table, because the operator said so. Nothing is known of how they write numbers
//! and times, so these are guessed from their form.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::codec::{self, Codec};
use super::origin::Hop;
use super::{Note, Reading, cut};
use crate::config::profile::LetterFormat;
use crate::event::Record;
use crate::text::Timestamp;

/// JSON values longer than this are not parsed to look for a format.
const JSON_LIMIT: usize = 4 << 20;

/// What stands at a field's place.
enum Found<'r> {
    Header(&'r Bytes),
    Json(&'r Value),
}

/// Reads the record by the first format that recognises it.
pub(super) fn read<'r>(record: &'r Record, formats: &[LetterFormat]) -> Option<Reading<'r>> {
    if formats.is_empty() {
        return None;
    }
    let json = formats.iter().any(|f| f.fields.values().any(|p| p.starts_with("$."))).then(|| {
        let value = record.value.as_ref().filter(|v| v.len() <= JSON_LIMIT && v.first() == Some(&b'{'));
        value.and_then(|v| serde_json::from_slice::<Value>(v).ok())
    });
    let json = json.flatten();
    formats.iter().find_map(|format| by_format(record, json.as_ref(), format))
}

fn by_format<'r>(record: &'r Record, json: Option<&Value>, format: &LetterFormat) -> Option<Reading<'r>> {
    let find = |field: &str| -> Option<Found<'_>> {
        let place = format.fields.get(field)?;
        match place.strip_prefix("$.") {
            Some(path) => at_path(json?, path).filter(|v| !v.is_null()).map(Found::Json),
            None => record.headers.last(place).map(Found::Header),
        }
    };
    // Its topic is its sign; without that field, any of its fields.
    let recognised = if format.fields.contains_key("origin_topic") {
        find("origin_topic").is_some()
    } else {
        format.fields.keys().any(|f| find(f).is_some())
    };
    if !recognised {
        return None;
    }
    let mut reading = Reading { format: Some(format.name.as_str().into()), ..Reading::default() };
    let text = |field: &'static str, notes: &mut Vec<Note<'r>>| -> Option<String> {
        match find(field)? {
            Found::Header(bytes) => match codec::text(Codec::Utf8, cut(bytes)) {
                Ok(text) => Some(text.into_owned()),
                Err(why) => {
                    notes.push(Note::Header(field, why));
                    None
                }
            },
            Found::Json(Value::String(text)) => Some(text.clone()),
            Found::Json(other) => Some(other.to_string()),
        }
    };
    let number = |field: &'static str, notes: &mut Vec<Note<'r>>| -> Option<i64> {
        let read = match find(field)? {
            Found::Header(bytes) => codec::number(Codec::Guess, cut(bytes)),
            Found::Json(Value::String(text)) => codec::number(Codec::Dec, text.as_bytes()),
            Found::Json(other) => other.as_i64().ok_or("is not a number"),
        };
        read.map_err(|why| notes.push(Note::Header(field, why))).ok().filter(|n| *n >= 0)
    };
    let mut notes = Vec::new();
    reading.root = Hop {
        topic: text("origin_topic", &mut notes).filter(|t| !t.is_empty()).map(Cow::Owned),
        group: text("group", &mut notes).filter(|t| !t.is_empty()).map(Cow::Owned),
        partition: number("origin_partition", &mut notes).and_then(|n| i32::try_from(n).ok()),
        offset: number("origin_offset", &mut notes),
        timestamp: number("origin_timestamp", &mut notes).map(Timestamp),
    };
    reading.error_class = text("error_class", &mut notes).map(Cow::Owned);
    reading.message = text("message", &mut notes).map(Cow::Owned);
    reading.stack_trace = text("stack_trace", &mut notes).map(Cow::Owned);
    reading.attempts = number("attempts", &mut notes).and_then(|n| u32::try_from(n).ok());
    reading.failed_at = find("failed_at").and_then(|found| match found {
        Found::Json(Value::Number(n)) => codec::time(Codec::Guess, n.to_string().as_bytes()).ok(),
        Found::Json(Value::String(text)) => codec::time(Codec::Guess, text.as_bytes()).ok(),
        Found::Json(_) => None,
        Found::Header(bytes) => codec::time(Codec::Guess, cut(bytes)).ok(),
    });
    if format.fields.contains_key("failed_at") && reading.failed_at.is_none() {
        notes.push(Note::Header("failed_at", "is not there or not a time"));
    }
    if format.fields.contains_key("original_value") {
        reading.original_value = find("original_value").map(|found| match found {
            Found::Header(bytes) => Some(bytes.clone()),
            Found::Json(Value::String(text)) => Some(Bytes::from(text.clone())),
            Found::Json(other) => Some(Bytes::from(other.to_string())),
        });
        if reading.original_value.is_none() {
            notes.push(Note::Header("original_value", "is not there"));
        }
    }
    reading.notes = notes;
    Some(reading)
}

/// The value at a path of names and indexes, `error.causes.0.class`.
fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, part| match value {
        Value::Object(map) => map.get(part),
        Value::Array(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
        _ => None,
    })
}
