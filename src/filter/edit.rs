//! Edits records with a jq expression, and keeps the bytes of all that it does not change.
//!
//! The expression sees the same document as `--where` and gives it back changed; of the result `key`, `value` and
//! `headers` count. What equals the input keeps its bytes. In a changed JSON document only the spans of changed members
//! are written anew: white space, the order of members and the digits of numbers elsewhere stay. Limits: a document in
//! which an object has a member twice is written anew as a whole, and said to be. A key or value in a schema's wire
//! format is seen as the document that it holds and written by the same schema; where that cannot be it is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jaq_json::Val;

use super::document;
use super::jq::{self, Program};
use crate::config::profile::DeadLetters;
use crate::event::decode::{Decoding, Described, Patience, Side};
use crate::event::{Headers, Record, json};
use crate::text::Fault;

/// A compiled edit.
pub struct Edit(Program);

/// What an edit did to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// Nothing: the record keeps its bytes.
    Same,
    /// It changed.
    Changed {
        /// The record now.
        record: Box<Record>,
        /// Whether its key is another one.
        key: bool,
        /// Whether a JSON document could only be written anew as a whole.
        rewritten: bool,
    },
    /// Its key or value is in a schema's wire format, and cannot be written by it: why.
    Schema(String),
    /// The expression failed, or gave nothing that a record can be made of.
    Failed(String),
}

/// One part of a record, changed.
struct Part {
    bytes: Option<Bytes>,
    rewritten: bool,
}

impl Edit {
    /// Compiles the expression of `option`.
    pub fn compile(code: &str, option: &str) -> Result<Self, Fault> {
        Program::projection(code, option).map(Self)
    }

    /// Applies it to a record; a schema that is not known yet is waited for.
    pub fn apply(&self, record: &Record, formats: &DeadLetters, decoding: &Decoding) -> Edited {
        let [key, value] =
            [Side::Key, Side::Value].map(|side| Payload::of(record, decoding, side, Patience::Wait));
        let before = document::whole(record, formats, [key.document(), value.document()]);
        let after = match self.0.one(&before) {
            Ok(after) => after,
            // It was made for the document, and has got bytes.
            Err(why) => match value {
                Payload::Closed(closed) => return Edited::Schema(closed),
                _ => return Edited::Failed(why),
            },
        };
        let Val::Obj(_) = after else {
            return Edited::Failed("it gives no document; write for example .value.amount = 5".to_owned());
        };
        let part = |name: &str| (member(&before, name), member(&after, name));
        let mut out = record.clone();
        let (mut changed, mut key_changed, mut rewritten) = (false, false, false);
        let (old, new) = part("value");
        if old != new {
            match value.write(record.value.as_ref(), &old, &new) {
                Ok(part) => (out.value, rewritten) = (part.bytes, part.rewritten),
                Err(why) => return why.of("value"),
            }
            changed = true;
        }
        let (old, new) = part("key");
        if old != new {
            match key.write(record.key.as_ref(), &old, &new) {
                Ok(part) => {
                    out.key = part.bytes;
                    rewritten |= part.rewritten;
                }
                Err(why) => return why.of("key"),
            }
            (changed, key_changed) = (true, true);
        }
        let (old, new) = part("headers");
        if old != new {
            match headers(&record.headers, &old, &new) {
                Ok(headers) => out.headers = headers,
                Err(why) => return Edited::Failed(why),
            }
            changed = true;
        }
        if changed {
            Edited::Changed { record: Box::new(out), key: key_changed, rewritten }
        } else {
            Edited::Same
        }
    }
}

/// A key or value before it is edited.
pub(super) enum Payload<'r> {
    /// It is what it looks like.
    Plain,
    /// It is in a schema's wire format, and this is what it says.
    Open(Described<'r>, Bytes),
    /// The same, and why it cannot be read.
    Closed(String),
}

/// Why a part cannot be written.
enum Unwritten {
    Schema(String),
    Failed(String),
}

impl Unwritten {
    fn of(self, part: &str) -> Edited {
        match self {
            Self::Schema(why) => Edited::Schema(format!("{part}: {why}")),
            Self::Failed(why) => Edited::Failed(format!("{part}: {why}")),
        }
    }
}

impl<'r> Payload<'r> {
    pub(super) fn of(record: &'r Record, decoding: &Decoding, side: Side, patience: Patience) -> Self {
        let described = match decoding.described(record, side, patience) {
            None => return Self::Plain,
            Some(Err(why)) => return Self::Closed(why),
            Some(Ok(described)) => described,
        };
        // JSON is seen with its own digits.
        let document = match described.json() {
            Some(json) => described.document().map(|_| json.to_vec()),
            None => described.document().map(|document| document.to_string().into()),
        };
        match document {
            Ok(document) => Self::Open(described, document.into()),
            Err(why) => Self::Closed(why),
        }
    }

    /// What it says, where that is not the payload itself.
    pub(super) fn document(&self) -> Option<&Bytes> {
        match self {
            Self::Open(_, document) => Some(document),
            Self::Plain | Self::Closed(_) => None,
        }
    }

    /// The bytes of a changed part.
    fn write(&self, bytes: Option<&Bytes>, old: &Val, new: &Val) -> Result<Part, Unwritten> {
        let (described, document) = match self {
            Self::Closed(why) => return Err(Unwritten::Schema(why.clone())),
            Self::Open(described, document) if *new != Val::Null => (described, document),
            Self::Plain | Self::Open(..) => return write(bytes, old, new).map_err(Unwritten::Failed),
        };
        let mut part = write(Some(document), old, new).map_err(Unwritten::Failed)?;
        let bytes = part.bytes.unwrap_or_default();
        part.bytes = Some(described.with(&bytes).map_err(Unwritten::Schema)?.into());
        // Of other formats only the document was.
        part.rewritten &= described.json().is_some();
        Ok(part)
    }
}

pub(super) fn member(document: &Val, name: &str) -> Val {
    match document {
        Val::Obj(map) => map.get(&Val::from(name.to_owned())).cloned().unwrap_or(Val::Null),
        _ => Val::Null,
    }
}

/// The bytes of a changed part.
fn write(bytes: Option<&Bytes>, old: &Val, new: &Val) -> Result<Part, String> {
    let plain = |bytes: Option<Bytes>| Ok(Part { bytes, rewritten: false });
    match (bytes, new) {
        (_, Val::Null) => plain(None),
        // What was JSON stays JSON, also a string.
        (Some(bytes), new) if jq::parse(bytes).as_ref() == Some(old) => {
            let mut out = Vec::with_capacity(bytes.len() + 64);
            let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
            let end = splice(bytes, start, old, new, &mut out, bytes.get(..start).unwrap_or_default());
            Ok(match end {
                Some(end) => {
                    out.extend_from_slice(bytes.get(end..).unwrap_or_default());
                    Part { bytes: Some(out.into()), rewritten: false }
                }
                None => Part { bytes: Some(new.to_string().into()), rewritten: true },
            })
        }
        (Some(bytes), Val::TStr(text) | Val::BStr(text)) if std::str::from_utf8(bytes).is_err() => {
            let decoded = STANDARD.decode(&***text);
            plain(Some(
                decoded.map_err(|_| "it is no text, and its new bytes are not base64".to_owned())?.into(),
            ))
        }
        (_, Val::TStr(text) | Val::BStr(text)) => plain(Some(Bytes::copy_from_slice(text))),
        (_, new) => plain(Some(new.to_string().into())),
    }
}

/// Headers as the document has them now: one that is gone is taken off, one that changed has its last value replaced,
/// a new one is added.
fn headers(had: &Headers, old: &Val, new: &Val) -> Result<Headers, String> {
    let Val::Obj(wanted) = new else { return Err("headers: an object was expected".to_owned()) };
    let mut out: Vec<(Bytes, Option<Bytes>)> = Vec::new();
    let name = |bytes: &Bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Val::from(text.to_owned()),
        Err(_) => Val::from(STANDARD.encode(bytes)),
    };
    for (header, value) in had.iter() {
        if wanted.contains_key(&name(header)) {
            out.push((header.clone(), value.cloned()));
        }
    }
    for (header, value) in wanted.iter() {
        let (Val::TStr(text) | Val::BStr(text)) = header else {
            return Err("headers: names are strings".to_owned());
        };
        let before = match old {
            Val::Obj(old) => old.get(header),
            _ => None,
        };
        if before == Some(value) {
            continue;
        }
        let at = out.iter().rposition(|(had, _)| name(had) == *header);
        let had = at.and_then(|at| out.get(at)?.1.clone());
        let part = write(had.as_ref(), before.unwrap_or(&Val::Null), value)?;
        match at.and_then(|at| out.get_mut(at)) {
            Some(place) => place.1 = part.bytes,
            None => out.push((Bytes::copy_from_slice(text), part.bytes)),
        }
    }
    let mut headers = Headers::default();
    for (name, value) in out {
        headers.push(name, value);
    }
    Ok(headers)
}

/// One member of an object as it is written.
pub(super) struct Member<'b> {
    pub(super) name: Val,
    /// From the brace or comma to the value: white space, the name, the colon.
    lead: &'b [u8],
    /// Where the value begins and ends.
    pub(super) value: (usize, usize),
    /// White space behind the value.
    trail: &'b [u8],
}

/// Writes the value that begins at `at`: what is equal as it is, what changed anew, with `before` in front of it. Gives
/// where the value ends; `None` where the document cannot be taken apart.
fn splice(src: &[u8], at: usize, old: &Val, new: &Val, out: &mut Vec<u8>, before: &[u8]) -> Option<usize> {
    out.extend_from_slice(before);
    let end = value_end(src, at)?;
    match (old, new) {
        (old, new) if old == new => out.extend_from_slice(src.get(at..end)?),
        (Val::Obj(olds), Val::Obj(news)) => {
            let members = members(src, at, end)?;
            // A member twice: which one is meant cannot be told.
            if members.len() != olds.len() {
                return None;
            }
            out.push(b'{');
            let last = members.last().map_or(&b""[..], |m| m.trail);
            let mut written = 0;
            for (i, member) in members.iter().enumerate() {
                let Some(now) = news.get(&member.name) else { continue };
                if written > 0 {
                    out.push(b',');
                }
                written += 1;
                splice(src, member.value.0, olds.get(&member.name)?, now, out, member.lead)?;
                if i + 1 < members.len() {
                    out.extend_from_slice(member.trail);
                }
            }
            for (name, value) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
                if written > 0 {
                    out.push(b',');
                }
                written += 1;
                // Written as its neighbours are.
                let style = members.last().map_or(&b""[..], |m| m.lead);
                let space = style.iter().take_while(|b| b.is_ascii_whitespace()).count();
                out.extend_from_slice(style.get(..space)?);
                out.extend_from_slice(name.to_string().as_bytes());
                let colon = style.iter().rposition(|b| *b == b':').map_or(&b":"[..], |at| &style[at..]);
                out.extend_from_slice(colon);
                out.extend_from_slice(value.to_string().as_bytes());
            }
            out.extend_from_slice(if written > 0 { last } else { b"" });
            out.push(b'}');
        }
        (Val::Arr(olds), Val::Arr(news)) if olds.len() == news.len() => {
            let mut from = at;
            let mut next = skip(src, at + 1);
            for (old, new) in olds.iter().zip(news.iter()) {
                let element_end = value_end(src, next)?;
                splice(src, next, old, new, out, src.get(from..next)?)?;
                from = element_end;
                next = skip(src, skip(src, element_end) + 1);
            }
            out.extend_from_slice(src.get(from..end)?);
        }
        (_, new) => out.extend_from_slice(new.to_string().as_bytes()),
    }
    Some(end)
}

/// The members of the object that begins at `at`, in order.
pub(super) fn members(src: &[u8], at: usize, end: usize) -> Option<Vec<Member<'_>>> {
    let mut out = Vec::new();
    let mut from = at + 1;
    loop {
        let name = skip(src, from);
        if src.get(name) != Some(&b'"') {
            // Only an empty object has no name here.
            return (name + 1 == end && out.is_empty()).then_some(out);
        }
        let name_end = json::string_end(src, name);
        let colon = skip(src, name_end);
        let value = skip(src, colon + 1);
        let value_end = value_end(src, value)?;
        let next = skip(src, value_end);
        out.push(Member {
            name: jq::parse(src.get(name..name_end)?)?,
            lead: src.get(from..value)?,
            value: (value, value_end),
            trail: src.get(value_end..next)?,
        });
        match src.get(next)? {
            b',' => from = next + 1,
            _ => return Some(out),
        }
    }
}

/// The first byte from `at` on that is not white space.
pub(super) fn skip(src: &[u8], at: usize) -> usize {
    let space = src.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace()).count();
    at + space
}

/// Where the value that begins at `at` ends.
pub(super) fn value_end(src: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut now = at;
    loop {
        match src.get(now)? {
            b'"' => now = json::string_end(src, now),
            b'{' | b'[' => {
                depth += 1;
                now += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                now += 1;
            }
            _ if depth > 0 => now += 1,
            _ => {
                let scalar = |b: &&u8| !matches!(b, b',' | b'}' | b']' | b':') && !b.is_ascii_whitespace();
                let len = src.get(now..)?.iter().take_while(scalar).count();
                return (len > 0).then_some(now + len);
            }
        }
        if depth == 0 {
            return Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: Option<&'static str>, value: &'static str) -> Record {
        let mut headers = Headers::default();
        headers.push("tenant", Some("a".into()));
        headers.push("tenant", Some("b".into()));
        headers.push("odd", Some(Bytes::from_static(&[0xff])));
        Record {
            at: crate::event::Position::new("orders-dlt", 0, 7),
            time: None,
            key: key.map(Bytes::from),
            value: Some(value.into()),
            headers,
            lease: None,
        }
    }

    fn edited(code: &str, value: &'static str) -> Edited {
        Edit::compile(code, "--edit").unwrap().apply(
            &record(Some("k"), value),
            &DeadLetters::default(),
            &Decoding::default(),
        )
    }

    fn text(code: &str, value: &'static str) -> (String, bool) {
        match edited(code, value) {
            Edited::Changed { record, rewritten, .. } => {
                (String::from_utf8(record.value.unwrap().to_vec()).unwrap(), rewritten)
            }
            other => panic!("{other:?}"),
        }
    }

    const ODD: &str =
        "{ \"b\" : 1.50,\n \"a\":[1, 2 ,{\"x\":12345678901234567890.10}], \"s\": \"\\u0041}\" }\n";

    #[test]
    fn what_the_expression_does_not_change_keeps_every_byte() {
        assert_eq!(edited(".", ODD), Edited::Same);
        assert_eq!(edited(".value.b = 1.5 | .value.s = \"A}\"", ODD), Edited::Same);
        let (one, rewritten) = text(".value.a[1] = 5", ODD);
        assert_eq!(one, ODD.replace("2 ,", "5 ,"));
        assert!(!rewritten);
        assert_eq!(text(".value.s = \"x\"", ODD).0, ODD.replace("\"\\u0041}\"", "\"x\""));
    }

    #[test]
    fn members_come_and_go_in_the_style_of_their_neighbours() {
        assert_eq!(text("del(.value.b)", "{\"a\": 1, \"b\": 2}").0, "{\"a\": 1}");
        assert_eq!(text("del(.value.a)", "{\"a\": 1, \"b\": 2}").0, "{ \"b\": 2}");
        assert_eq!(text(".value.c = [1]", "{\n  \"a\": 1\n}").0, "{\n  \"a\": 1,\n  \"c\": [1]\n}");
        assert_eq!(text("del(.value.a)", "{ \"a\": 1 }").0, "{}");
        assert_eq!(text(".value.a = 1", "{ }").0, "{\"a\":1}");
    }

    #[test]
    fn a_document_with_a_member_twice_is_said_to_be_written_anew() {
        let (value, rewritten) = text(".value.b = 3", "{\"a\":1,\"a\":2,\"b\":1}");
        assert!(rewritten, "{value}");
        assert!(serde_json::from_str::<serde_json::Value>(&value).is_ok());
    }

    #[test]
    fn texts_keys_and_headers_are_edited_and_nulls_are_nulls() {
        assert_eq!(text(".value |= ascii_upcase", "plain text").0, "PLAIN TEXT");
        let Edited::Changed { record, key: true, .. } = edited(
            ".key = \"other\" | .headers.tenant = \"c\" | .headers.new = \"n\" | del(.headers.odd)",
            "{}",
        ) else {
            panic!()
        };
        assert_eq!(record.key.as_deref(), Some(&b"other"[..]));
        let headers: Vec<(&[u8], &[u8])> =
            record.headers.iter().map(|(n, v)| (n.as_ref(), v.unwrap().as_ref())).collect();
        let wanted: [(&[u8], &[u8]); 3] = [(b"tenant", b"a"), (b"tenant", b"c"), (b"new", b"n")];
        assert_eq!(headers, wanted);
        let Edited::Changed { record, key: false, .. } = edited(".value = null", "{}") else { panic!() };
        assert_eq!(record.value, None);
    }

    #[test]
    fn what_cannot_be_edited_is_told() {
        let closed = "names schema 1, but the profile has no schema registry";
        let framed = |code: &str| edited(code, "\0\0\0\0\u{1}abc");
        assert_eq!(framed(".value = \"x\""), Edited::Schema(format!("value: {closed}")));
        assert_eq!(framed(".value.amount = 5"), Edited::Schema(closed.to_owned()));
        assert!(matches!(framed(".headers.tenant = \"c\""), Edited::Changed { .. }));
        assert!(matches!(edited(".value.a.b = 1", "{\"a\": \"text\"}"), Edited::Failed(_)));
        assert!(matches!(edited("5", "{}"), Edited::Failed(_)));
        assert!(matches!(edited("empty", "{}"), Edited::Failed(_)));
        assert!(Edit::compile(".value = (", "--edit").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_change_to_any_document_gives_what_jq_gives(a in json(3), b in json(3), space in 0usize..3) {
            let pretty = |v: &serde_json::Value| match space {
                0 => v.to_string(),
                1 => serde_json::to_string_pretty(v).unwrap(),
                _ => format!(" {v}\n"),
            };
            let (from, to) = (jq::parse(pretty(&a).as_bytes()).unwrap(), jq::parse(b.to_string().as_bytes()).unwrap());
            let bytes = Bytes::from(pretty(&a));
            if b != serde_json::Value::Null {
                let part = write(Some(&bytes), &from, &to).unwrap();
                let now: serde_json::Value = serde_json::from_slice(&part.bytes.unwrap()).unwrap();
                proptest::prop_assert_eq!(now, b);
                proptest::prop_assert!(!part.rewritten);
            }
        }
    }

    fn json(depth: u32) -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (-1000i64..1000).prop_map(Into::into),
            "[a-z\"\\\\{}\u{e9}]{0,4}".prop_map(Into::into),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }
}
