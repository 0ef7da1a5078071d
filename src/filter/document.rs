//! A record as the document that jq expressions see.

use std::cell::OnceCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jaq_core::ValT as _;
use jaq_json::{Num, Val};
use serde_json::Value;

use super::jq::{self, Program};
use super::lean;
use super::needs::{Node, WHOLE};
use crate::config::profile::DeadLetters;
use crate::dlq::{self, formats};
use crate::event::decode::{self, Content, Decoding, Patience, Side};
use crate::event::{Record, envelope};

/// The parts of a document, in their order.
pub(super) const PARTS: [&str; 9] =
    ["topic", "partition", "offset", "timestamp", "key", "value", "headers", "event", "dead_letter"];

/// What an expression runs over.
pub trait Document {
    /// The part that is named at this place of `PARTS`.
    fn part(&self, part: usize) -> Result<Val, jaq_core::Error<Val>>;
    /// All of it.
    fn whole(&self) -> Val;
}

impl Document for Val {
    fn part(&self, part: usize) -> Result<Val, jaq_core::Error<Val>> {
        let name = PARTS.get(part).copied().unwrap_or_default();
        self.clone().index(&Val::utf8_str(Bytes::from_static(name.as_bytes())))
    }

    fn whole(&self) -> Val {
        self.clone()
    }
}

/// The document of a record, whose parts are made when they are looked at.
pub struct Parts<'r> {
    record: &'r Record,
    formats: &'r DeadLetters,
    /// `None` where payloads are left as they are.
    decoding: Option<&'r Decoding>,
    /// What of the parts can be looked at.
    needs: &'r Node,
    made: [OnceCell<Val>; PARTS.len()],
}

/// The document: `{topic, partition, offset, timestamp, key, value, headers, event, dead_letter}`.
///
/// A value that is no JSON is its text, or base64 where it is no text. A key is parsed only where it is an object or
/// an array, so that `.key == "12"` finds the key `12`. What `program` cannot look at is left out.
#[cfg(test)]
pub(super) fn document<'r>(record: &'r Record, formats: &'r DeadLetters, program: &'r Program) -> Parts<'r> {
    static DEFAULT: std::sync::LazyLock<Decoding> = std::sync::LazyLock::new(Decoding::default);
    decoded(record, formats, &DEFAULT, program)
}

/// The same, with the decoders of a profile; a schema that is not known yet is waited for.
pub fn decoded<'r>(
    record: &'r Record,
    formats: &'r DeadLetters,
    decoding: &'r Decoding,
    program: &'r Program,
) -> Parts<'r> {
    Parts::new(record, formats, Some(decoding), program.needs())
}

/// The document with all of its parts, its payloads as they are: what is edited is written back as what it was. In the
/// place of key and value stands what a schema says that they are, where that is given.
pub(super) fn whole(record: &Record, formats: &DeadLetters, [key, value]: [Option<&Bytes>; 2]) -> Val {
    let mut said = record.clone();
    said.value = value.or(record.value.as_ref()).cloned();
    let mut document = Parts::new(&said, formats, None, &WHOLE).whole();
    if let (Val::Obj(members), Some(key)) = (&mut document, key) {
        // What a schema describes is no text by chance: a number stays one.
        let key = jq::parse(key).unwrap_or_else(|| plain(key));
        Rc::make_mut(members).insert(Val::from("key".to_owned()), key);
    }
    document
}

impl<'r> Parts<'r> {
    fn new(
        record: &'r Record,
        formats: &'r DeadLetters,
        decoding: Option<&'r Decoding>,
        needs: &'r Node,
    ) -> Self {
        Self { record, formats, decoding, needs, made: [const { OnceCell::new() }; PARTS.len()] }
    }

    /// A part; `None` where nobody can look at it.
    fn get(&self, part: usize) -> Option<&Val> {
        let name = PARTS.get(part)?;
        let node = self.needs.part(name)?;
        Some(self.made.get(part)?.get_or_init(|| self.make(name, node)))
    }

    fn make(&self, name: &str, node: &Node) -> Val {
        let record = self.record;
        match name {
            "topic" => text(&record.at.topic),
            "partition" => number(i64::from(record.at.partition)),
            "offset" => number(record.at.offset),
            "timestamp" => record.timestamp().map_or(Val::Null, |at| text(&at.to_string())),
            "key" => side(record, self.decoding, Side::Key, node),
            "value" => side(record, self.decoding, Side::Value, node),
            "headers" => headers(record),
            "event" => event(record, self.decoding),
            _ => dead_letter(record, self.formats),
        }
    }
}

impl Document for Parts<'_> {
    fn part(&self, part: usize) -> Result<Val, jaq_core::Error<Val>> {
        Ok(self.get(part).cloned().unwrap_or_default())
    }

    fn whole(&self) -> Val {
        let named = |(part, name): (usize, &&'static str)| {
            Some((Val::utf8_str(Bytes::from_static(name.as_bytes())), self.get(part)?.clone()))
        };
        Val::obj(PARTS.iter().enumerate().filter_map(named).collect())
    }
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
fn side(record: &Record, decoding: Option<&Decoding>, side: Side, node: &Node) -> Val {
    let (bytes, by_itself): (_, fn(&Bytes, &Node) -> Val) = match side {
        Side::Key => (&record.key, key),
        Side::Value => (&record.value, payload),
    };
    let Some(bytes) = bytes else { return Val::Null };
    let Some(decoding) = decoding else { return by_itself(bytes, node) };
    if is_plain(record, bytes, decoding, side) {
        return by_itself(bytes, node);
    }
    if decoding.order(&record.at.topic, side).is_none()
        && (side == Side::Value || matches!(crate::event::json::first(bytes), Some(b'{' | b'[')))
        && let Some(document) = parse(bytes, node)
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

fn key(bytes: &Bytes, node: &Node) -> Val {
    match crate::event::json::first(bytes) {
        Some(b'{' | b'[') => payload(bytes, node),
        _ => plain(bytes),
    }
}

fn payload(bytes: &Bytes, node: &Node) -> Val {
    parse(bytes, node).unwrap_or_else(|| plain(bytes))
}

/// A JSON payload, as far as it can be looked at.
fn parse(bytes: &Bytes, node: &Node) -> Option<Val> {
    if !crate::event::json::begins_document(bytes) {
        return None;
    }
    lean::parse(bytes, node).or_else(|| jq::parse(bytes))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{expression, payload};
    use super::*;
    use crate::event::{Headers, Position};

    fn record(key: Option<String>, value: Option<String>) -> Record {
        let mut headers = Headers::default();
        headers.push("h", Some("x".into()));
        headers.push("none", None);
        let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
        Record { at: Position::new("x", 3, 12), time: None, key, value, headers, lease: None }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn what_is_left_out_of_the_document_changes_no_answer(
            records in proptest::collection::vec((payload(), payload()), 8), code in expression()
        ) {
            let (Ok(condition), Ok(projection)) =
                (Program::condition(&code, "--where"), Program::projection(&code, "--select"))
            else {
                return Err(TestCaseError::fail(format!("{code} is no expression")));
            };
            let formats = DeadLetters::default();
            for (key, value) in records {
                let record = record(key, value);
                let decoding = Decoding::default();
                let whole = Parts::new(&record, &formats, Some(&decoding), &WHOLE).whole();
                prop_assert_eq!(
                    condition.is_true(&document(&record, &formats, &condition)),
                    condition.is_true(&whole),
                    "{:?}", record
                );
                prop_assert_eq!(
                    projection.outputs(&document(&record, &formats, &projection)),
                    projection.outputs(&whole),
                    "{:?}", record
                );
            }
        }
    }
}
