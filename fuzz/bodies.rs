//! What each fuzz target does with its bytes. The program's own tests do the same with the seeds and with bytes of their
//! own making, so that these compile and hold without a nightly compiler.

use std::path::Path;

use redrive::config::letter_format::from_text;
use redrive::config::profile::DeadLetters;
use redrive::dlq::formats::decode;
use redrive::dlq::trace::Trace;
use redrive::dlq::{self, Letter};
use redrive::event::{Headers, Position, Record};
use redrive::text::Safe;

/// A record in a dead-letter topic.
fn in_dlt(key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: Headers) -> Record {
    Record {
        at: Position::new("orders-dlt", 0, 0),
        time: None,
        key: key.map(Into::into),
        value: value.map(Into::into),
        headers,
        lease: None,
    }
}

/// A part of the bytes: none is left, null, or so many bytes.
enum Part {
    End,
    Null,
    Bytes(Vec<u8>),
}

impl Part {
    /// Takes the next one: two bytes of length, 0xffff is null.
    fn take(rest: &mut &[u8]) -> Self {
        let [a, b, after @ ..] = *rest else { return Self::End };
        let length = usize::from(u16::from_be_bytes([*a, *b]));
        *rest = after;
        if length == 0xffff {
            return Self::Null;
        }
        let (taken, after) = after.split_at(length.min(after.len()));
        *rest = after;
        Self::Bytes(taken.to_vec())
    }

    fn bytes(self) -> Option<Vec<u8>> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// Reads a record: key and value, then names and values of headers.
fn record(mut rest: &[u8]) -> Record {
    let (key, value) = (Part::take(&mut rest).bytes(), Part::take(&mut rest).bytes());
    let mut headers = Headers::default();
    loop {
        let (name, value) = (Part::take(&mut rest), Part::take(&mut rest));
        if matches!(value, Part::End) {
            break;
        }
        headers.push(name.bytes().unwrap_or_default(), value.bytes().map(Into::into));
    }
    in_dlt(key, value, headers)
}

/// What is shown of a letter has no control character, and says no number that cannot be.
fn is_sound(letter: &Letter) {
    let document = dlq::document(letter);
    let lines: Vec<String> = document.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let shown = lines.join("\n");
    let safe = Safe::new(&shown);
    assert!(!safe.as_str().contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    for origin in letter.previous.iter().chain([&letter.root]) {
        assert!(origin.partition.is_none_or(|p| p >= 0) && origin.offset.is_none_or(|o| o >= 0));
    }
    assert!(letter.failure.message.as_ref().is_none_or(|m| m.len() <= dlq::message::LONGEST));
}

/// Any headers, key and value as a dead letter.
pub fn dead_letter(bytes: &[u8]) {
    is_sound(&decode(&record(bytes), &DeadLetters::default()));
}

/// Any key and value of a record without headers: protobuf in keys, JSON wrappers, events, Avro, base64.
pub fn payload(mut bytes: &[u8]) {
    let key = Part::take(&mut bytes).bytes();
    let value = bytes.to_vec();
    let base64 = [("ce_knativeerrordata", &value), ("knativeerrordest", &value)];
    let headers = Headers(base64.map(|(name, value)| (name.into(), Some(value.clone().into()))).to_vec());
    is_sound(&decode(&in_dlt(key, Some(value), Headers::default()), &DeadLetters::default()));
    is_sound(&decode(&in_dlt(None, None, headers), &DeadLetters::default()));
}

/// Any text as a stack trace: what is found is a part of it, of a bounded size.
pub fn trace(bytes: &[u8]) {
    let text = Safe::from_bytes(bytes).to_string();
    for text in [&*text, std::str::from_utf8(bytes).unwrap_or_default()] {
        let trace = Trace::parse(text, &["acme.".to_owned()]);
        for part in [trace.class, trace.root_class, trace.root_message].into_iter().flatten() {
            assert!(text.contains(part));
        }
        let mut hasher = std::hash::DefaultHasher::new();
        // Whether it has a shape does not hang on where it was cut: only that it ends.
        let _ = dlq::trace::shape(text, &mut hasher);
        let normal = dlq::message::normalise(text);
        assert!(normal.len() <= dlq::message::LONGEST);
    }
}

/// Any text as a home-grown format, tried on a record: TOML up to the first zero byte, behind it the record.
pub fn letter_format(bytes: &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(at);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(format) = from_text(text, Path::new("tried.toml")) else { return };
    let config = DeadLetters { formats: vec![format], ..DeadLetters::default() };
    is_sound(&decode(&record(rest.get(1..).unwrap_or_default()), &config));
}
