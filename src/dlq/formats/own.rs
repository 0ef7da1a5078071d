//! Home-grown formats of the profile: fields in headers, or at paths of a JSON value.
//!
//! They come before the table, because the operator said so. How numbers and times are written is guessed from
//! their form, where the format does not say it.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::codec::{self, Codec};
use super::origin::Hop;
use super::{Note, Reading, Source, cut, json};
use crate::config::profile::{Encoding, LetterFormat, Occurrence};
use crate::event::Record;
use crate::text::Timestamp;

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
    let in_value = formats.iter().any(|f| f.fields.values().any(|p| p.starts_with("$.")));
    let document = record.value.as_deref().filter(|_| in_value).and_then(json::object);
    formats.iter().find_map(|format| by_format(record, document.as_ref(), format))
}

struct Places<'a, 'r> {
    record: &'r Record,
    document: Option<&'a Value>,
    format: &'a LetterFormat,
}

impl<'a, 'r: 'a> Places<'a, 'r> {
    /// What stands at the field's place; of a repeated header the one that `occurrence` says.
    fn find(&self, field: &str, occurrence: Occurrence) -> Option<Found<'a>> {
        let place = self.format.fields.get(field)?;
        match (place.strip_prefix("$."), occurrence) {
            (Some(path), _) => json::at(self.document?, path).filter(|v| !v.is_null()).map(Found::Json),
            (None, Occurrence::Last) => self.record.headers.last(place).map(Found::Header),
            (None, Occurrence::First) => self.record.headers.first(place).map(Found::Header),
        }
    }

    fn codec(&self, field: &str) -> Codec {
        match self.format.encodings.get(field) {
            None | Some(Encoding::Guess) => Codec::Guess,
            Some(Encoding::Text) => Codec::Utf8,
            Some(Encoding::Decimal) => Codec::Dec,
            Some(Encoding::BigEndian32) => Codec::I32be,
            Some(Encoding::BigEndian64) => Codec::I64be,
            Some(Encoding::Base64) => Codec::Base64,
        }
    }

    fn text(&self, field: &str, occurrence: Occurrence, notes: &mut Vec<Note<'r>>) -> Option<String> {
        let codec = if self.codec(field) == Codec::Base64 { Codec::Base64 } else { Codec::Utf8 };
        let read = match self.find(field, occurrence)? {
            Found::Header(bytes) => codec::text(codec, cut(bytes)).map(Cow::into_owned),
            Found::Json(Value::String(text)) => codec::text(codec, text.as_bytes()).map(Cow::into_owned),
            Found::Json(other) => Ok(other.to_string()),
        };
        self.told(field, read, notes).filter(|t| !t.is_empty())
    }

    fn number(&self, field: &str, occurrence: Occurrence, notes: &mut Vec<Note<'r>>) -> Option<i64> {
        let read = match self.find(field, occurrence)? {
            Found::Header(bytes) => codec::number(self.codec(field), cut(bytes)),
            Found::Json(Value::String(text)) => codec::number(Codec::Dec, text.as_bytes()),
            Found::Json(other) => other.as_i64().ok_or("is not a whole number"),
        };
        let read = read.and_then(|n| if n < 0 { Err("is negative") } else { Ok(n) });
        self.told(field, read, notes)
    }

    fn time(&self, field: &str, occurrence: Occurrence, notes: &mut Vec<Note<'r>>) -> Option<Timestamp> {
        let read = match self.find(field, occurrence)? {
            Found::Header(bytes) => match self.codec(field) {
                Codec::Utf8 => codec::time(Codec::Guess, cut(bytes)),
                codec => codec::time(codec, cut(bytes)),
            },
            Found::Json(Value::Number(n)) => codec::time(Codec::Guess, n.to_string().as_bytes()),
            Found::Json(Value::String(text)) => codec::time(Codec::Guess, text.as_bytes()),
            Found::Json(_) => Err("is not a time"),
        };
        self.told(field, read, notes)
    }

    /// The bytes of a wrapped key or value: text as it stands, other JSON as it is written.
    fn bytes(&self, field: &str, notes: &mut Vec<Note<'r>>) -> Option<Bytes> {
        let raw = match self.find(field, self.format.latest)? {
            Found::Header(bytes) => bytes.clone(),
            Found::Json(Value::String(text)) => Bytes::from(text.clone()),
            Found::Json(other) => Bytes::from(other.to_string()),
        };
        if self.codec(field) != Codec::Base64 {
            return Some(raw);
        }
        self.told(field, codec::base64(&raw).map(Bytes::from).ok_or("is not base64"), notes)
    }

    fn told<T>(&self, field: &str, read: Result<T, &'static str>, notes: &mut Vec<Note<'r>>) -> Option<T> {
        let place = self.format.fields.get(field).map_or(field, String::as_str);
        read.map_err(|why| notes.push(Note::Place(format!("{place} ({field})"), why))).ok()
    }

    fn hop(&self, occurrence: Occurrence, notes: &mut Vec<Note<'r>>) -> Hop<'r> {
        let partition = self.number("origin_partition", occurrence, notes).map(i32::try_from);
        let partition =
            partition.and_then(|n| self.told("origin_partition", n.map_err(|_| "is no partition"), notes));
        Hop {
            topic: self.text("origin_topic", occurrence, notes).map(Cow::Owned),
            partition,
            offset: self.number("origin_offset", occurrence, notes),
            timestamp: self.time("origin_timestamp", occurrence, notes),
            group: self.text("group", occurrence, notes).map(Cow::Owned),
        }
    }

    /// How often the header that names the origin's topic is there.
    fn repeated(&self) -> usize {
        let place = self.format.fields.get("origin_topic").filter(|p| !p.starts_with("$."));
        place.map_or(0, |place| self.record.headers.all(place).flatten().count())
    }
}

fn by_format<'r>(record: &'r Record, document: Option<&Value>, format: &LetterFormat) -> Option<Reading<'r>> {
    let places = Places { record, document, format };
    let is_there = |field: &str| places.find(field, Occurrence::Last).is_some();
    // Its topic is its sign; without that field, any of its fields.
    let recognised = if format.fields.contains_key("origin_topic") {
        is_there("origin_topic")
    } else {
        format.fields.keys().any(|f| is_there(f))
    };
    if !recognised {
        return None;
    }
    let mut reading = Reading { format: Some(format.name.as_str().into()), ..Reading::default() };
    let mut notes = Vec::new();
    let latest = format.latest;
    let earliest = match latest {
        Occurrence::First => Occurrence::Last,
        Occurrence::Last => Occurrence::First,
    };
    let sets = places.repeated();
    reading.root = places.hop(earliest, &mut notes);
    if sets > 1 {
        reading.previous = Some(places.hop(latest, &mut notes)).filter(|hop| *hop != reading.root);
        reading.hops = u32::try_from(sets).ok();
    }
    reading.error_class = places.text("error_class", latest, &mut notes).map(Cow::Owned);
    reading.message = places.text("message", latest, &mut notes).map(Cow::Owned);
    reading.stack_trace = places.text("stack_trace", latest, &mut notes).map(Cow::Owned);
    reading.attempts = places.number("attempts", latest, &mut notes).and_then(|n| u32::try_from(n).ok());
    reading.failed_at = places.time("failed_at", latest, &mut notes);
    for (field, into) in
        [("original_key", &mut reading.original_key), ("original_value", &mut reading.original_value)]
    {
        if !format.fields.contains_key(field) {
            continue;
        }
        // A null in the wrapper is the record's null; what is not there is not known.
        let place = format.fields.get(field).and_then(|p| p.strip_prefix("$."));
        let null = place.and_then(|path| json::at(document?, path)).is_some_and(Value::is_null);
        *into = if null { Some(None) } else { places.bytes(field, &mut notes).map(Some) };
    }
    for (field, place) in &format.fields {
        let Some((name, known)) = named(field, &reading) else { continue };
        if known {
            reading.given.push((name, Source::Place(place.clone())));
        } else if !notes.iter().any(|n| matches!(n, Note::Place(p, _) if p.ends_with(&format!("({field})"))))
        {
            notes.push(Note::Place(format!("{place} ({field})"), "is not there"));
        }
    }
    if reading.hops.is_some() {
        reading.given.push(("hops", Source::Repeats));
    }
    for note in notes {
        reading.note(note);
    }
    Some(reading)
}

/// The name in documents of a field of a home-grown format, and whether it is known.
fn named(field: &str, reading: &Reading<'_>) -> Option<(&'static str, bool)> {
    let root = &reading.root;
    Some(match field {
        "origin_topic" => ("root.topic", root.topic.is_some()),
        "origin_partition" => ("root.partition", root.partition.is_some()),
        "origin_offset" => ("root.offset", root.offset.is_some()),
        "origin_timestamp" => ("root.timestamp", root.timestamp.is_some()),
        "group" => ("root.group", root.group.is_some()),
        "error_class" => ("error_class", reading.error_class.is_some()),
        "message" => ("message", reading.message.is_some()),
        "stack_trace" => ("stack_trace", reading.stack_trace.is_some()),
        "attempts" => ("attempts", reading.attempts.is_some()),
        "failed_at" => ("failed_at", reading.failed_at.is_some()),
        "original_key" => ("original_key", reading.original_key.is_some()),
        "original_value" => ("original_value", reading.original_value.is_some()),
        _ => return None,
    })
}
