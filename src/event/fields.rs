//! Picks the few known members out of a JSON value in one pass, without building the document.
//!
//! Envelopes are read for every record that passes, so everything that is not asked for is skipped without
//! an allocation. Limits: a value above [`LARGEST`] is not read, a text above [`LONGEST`] is not taken.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::time;
use crate::text::Timestamp;

/// The largest value that is looked into, in bytes.
const LARGEST: usize = 1 << 20;

/// The longest text that is taken for a field, in bytes; nothing longer is an id, a type or a time.
const LONGEST: usize = 1024;

/// The members that are looked for; a dot goes one object deeper.
const PATHS: &[&str] = &[
    "aggregateId",
    "aggregateType",
    "aggregateVersion",
    "aggregate_id",
    "aggregate_type",
    "aggregate_version",
    "causationId",
    "causation_id",
    "causationid",
    "conversationId",
    "correlationId",
    "correlation_id",
    "correlationid",
    "dataschema",
    "eventId",
    "eventType",
    "event_id",
    "event_type",
    "id",
    "initiatorId",
    "messageId",
    "messageType",
    "metadata.$causationId",
    "metadata.$correlationId",
    "occurredAt",
    "occurred_at",
    "op",
    "parent_id",
    "partitionkey",
    "payload.op",
    "payload.source.connector",
    "payload.source.file",
    "payload.source.lsn",
    "payload.source.pos",
    "payload.source.table",
    "payload.source.ts_ms",
    "payload.transaction.id",
    "schemaVersion",
    "schema_version",
    "sentTime",
    "sequence",
    "source",
    "source.connector",
    "source.file",
    "source.lsn",
    "source.pos",
    "source.table",
    "source.ts_ms",
    "specversion",
    "subject",
    "time",
    "timestamp",
    "traceId",
    "trace_id",
    "traceparent",
    "transaction.id",
    "type",
    "version",
];

/// A member's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Int(i64),
    Float(f64),
}

impl Scalar {
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
        }
    }

    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => time::from_text(text),
            Self::Int(n) => Some(time::from_number(*n)),
            Self::Float(n) => time::from_float(*n),
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Int(n) => Some(*n),
            Self::Float(_) => None,
        }
    }
}

/// The members found.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Scalar)>);

impl Fields {
    /// Reads a value; what is no JSON object has no fields.
    pub fn read(value: Option<&[u8]>) -> Self {
        let mut found = Self::default();
        if let Some(bytes) = value
            && bytes.len() <= LARGEST
            && super::json::first(bytes) == Some(b'{')
        {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            // A document that breaks off halfway is not trusted for the half that was read.
            let whole =
                Object { prefix: "", found: &mut found.0 }.deserialize(&mut json).and_then(|()| json.end());
            if whole.is_err() {
                found.0.clear();
            }
        }
        found
    }

    pub fn get(&self, path: &str) -> Option<&Scalar> {
        // The last of two members with one name wins, as in most parsers.
        self.0.iter().rev().find(|(name, _)| *name == path).map(|(_, value)| value)
    }

    /// The first of `paths` that is there, as text.
    pub fn text(&self, paths: &[&str]) -> Option<String> {
        self.first(paths).map(Scalar::text)
    }

    /// The first of `paths` that is there.
    pub fn first(&self, paths: &[&str]) -> Option<&Scalar> {
        paths.iter().find_map(|path| self.get(path))
    }

    pub fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }
}

/// The known path made of `prefix` and `key`, and whether deeper ones begin with it.
fn lookup(prefix: &str, key: &str) -> (Option<&'static str>, Option<&'static str>) {
    let rest = |path: &'static str| {
        let rest = if prefix.is_empty() { Some(path) } else { path.strip_prefix(prefix)?.strip_prefix('.') };
        rest?.strip_prefix(key)
    };
    let mut exact = None;
    let mut deeper = None;
    for path in PATHS {
        match rest(path) {
            Some("") => exact = Some(*path),
            Some(more) if more.starts_with('.') => deeper = path.get(..path.len() - more.len()),
            _ => {}
        }
    }
    (exact, deeper)
}

struct Object<'f> {
    prefix: &'static str,
    found: &'f mut Vec<(&'static str, Scalar)>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let (exact, deeper) = lookup(self.prefix, &key.0);
            if exact.is_none() && deeper.is_none() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Member { exact, deeper, found: self.found })?;
            }
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// One member: a scalar is taken, an object is looked into where known paths go deeper.
struct Member<'f> {
    exact: Option<&'static str>,
    deeper: Option<&'static str>,
    found: &'f mut Vec<(&'static str, Scalar)>,
}

impl Member<'_> {
    fn take(self, value: Scalar) {
        if let Some(path) = self.exact {
            self.found.push((path, value));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.len() <= LONGEST {
            self.take(Scalar::Text(text.to_owned()));
        }
        Ok(())
    }

    fn visit_i64<E>(self, n: i64) -> Result<(), E> {
        self.take(Scalar::Int(n));
        Ok(())
    }

    fn visit_u64<E>(self, n: u64) -> Result<(), E> {
        self.take(i64::try_from(n).map_or_else(|_| Scalar::Text(n.to_string()), Scalar::Int));
        Ok(())
    }

    fn visit_f64<E>(self, n: f64) -> Result<(), E> {
        self.take(Scalar::Float(n));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// The first element of an array: MassTransit lists the message's type before its base types.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        items.next_element_seed(Self { deeper: None, ..self })?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Some(prefix) = self.deeper {
            return Object { prefix, found: self.found }.visit_map(map);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_are_found_and_others_skipped() {
        let found = Fields::read(Some(
            br#" {"id":7,"x":{"id":1},"payload":{"op":"c","id":9,"source":{"ts_ms":5,"id":1}},"messageType":["urn:a","urn:b"],"type":null}"#,
        ));
        assert_eq!(found.get("id"), Some(&Scalar::Int(7)));
        assert_eq!(found.get("payload.op"), Some(&Scalar::Text("c".into())));
        assert_eq!(found.get("payload.source.ts_ms"), Some(&Scalar::Int(5)));
        assert_eq!(found.get("messageType"), Some(&Scalar::Text("urn:a".into())));
        assert!(!found.has("type"));
    }

    #[test]
    fn a_value_that_is_no_whole_object_has_no_fields() {
        for bytes in [&b"[]"[..], b"{\"id\":1", b"{\"id\":1}x", b"\xff", b"", b"{\"id\":\"\xff\"}"] {
            assert!(Fields::read(Some(bytes)).0.is_empty(), "{bytes:?}");
        }
        assert!(Fields::read(None).0.is_empty());
    }

    #[test]
    fn hostile_sizes_are_left_alone() {
        let deep = format!("{{\"id\":1,\"metadata\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!Fields::read(Some(deep.as_bytes())).has("metadata"));
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(LONGEST + 1));
        assert!(!Fields::read(Some(long.as_bytes())).has("id"));
        let large = format!("{{\"id\":1,\"x\":\"{}\"}}", "x".repeat(LARGEST));
        assert!(!Fields::read(Some(large.as_bytes())).has("id"));
    }
}
