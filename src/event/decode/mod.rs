//! What a key or value is: the decoders, their order, and why each that was tried did not fit.
//!
//! The first decoder that fits is taken. Without an order for the topic the order is `AUTOMATIC`, in which what can
//! be mistaken comes late and must look likely. A payload is hostile: depth, number of values and expansion are
//! bounded everywhere. Nothing is fetched here: [`Schemas`] is asked, and may say "not yet".

mod avro;
mod base64;
mod binary;
mod json_schema;
mod protobuf;
mod squeeze;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

pub use self::base64::Base64;
pub use avro::AvroSchema;
pub use json_schema::JsonSchema;
use prost_reflect::MessageDescriptor;
pub use protobuf::ProtobufSchema;

use super::codec::{encode_text, schema_id};
use super::encode::Misfit;
use super::{Headers, Record, json};
use squeeze::Squeeze;

/// The deepest nesting that any decoder follows.
pub(super) const DEPTH: usize = json::DEPTH;
/// Values that one payload may become.
pub(super) const NODES: usize = 500_000;

/// A schema of a registry.
#[derive(Clone, Debug)]
pub enum Schema {
    /// Avro.
    Avro(AvroSchema),
    /// Protocol Buffers.
    Protobuf(ProtobufSchema),
    /// JSON, described by a JSON Schema.
    Json(JsonSchema),
}

/// How a payload names its schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaId {
    /// By number.
    Number(u32),
    /// By a GUID, in a header.
    Guid(String),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Guid(id) => f.write_str(id),
        }
    }
}

/// Whether a schema may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// No: it is drawn.
    Now,
    /// Yes, within the registry's time-out.
    Wait,
}

impl Schema {
    /// The name of its format.
    pub fn format(&self) -> &'static str {
        match self {
            Self::Avro(_) => "avro",
            Self::Protobuf(_) => "protobuf",
            Self::Json(_) => "json-schema",
        }
    }
}

/// A schema that was looked for by its subject.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its id.
    pub id: u32,
    /// Its version in the subject.
    pub version: u32,
    /// The schema.
    pub schema: Arc<Schema>,
}

/// Where schemas are kept.
pub trait Schemas: Send + Sync {
    /// The schema, or why there is none (yet).
    fn schema(&self, id: &SchemaId, patience: Patience) -> Result<Arc<Schema>, String>;

    /// The schema of a subject in this version, or in the newest; it is waited for, and asked anew each time.
    fn registered(&self, subject: &str, version: Option<u32>) -> Result<Registered, String>;
}

/// One decoder.
#[derive(Clone, Debug)]
pub enum Decoder {
    /// By the schema of a registry that the payload names.
    Registry,
    /// Avro without a frame, by a schema from a file.
    Avro(Arc<AvroSchema>),
    /// Protocol Buffers without a frame, by a file and the name of a message.
    Protobuf(Arc<ProtobufSchema>, Option<String>),
    /// JSON.
    Json,
    /// UTF-8.
    Text,
    /// MessagePack.
    MessagePack,
    /// CBOR.
    Cbor,
    /// A big-endian integer.
    Integer,
    /// A big-endian floating-point number.
    Double,
    /// A UUID of 16 bytes.
    Uuid,
    /// The bytes.
    Hex,
}

impl Decoder {
    /// The decoders that need no file, by the names of the configuration.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("registry", Self::Registry),
        ("json", Self::Json),
        ("text", Self::Text),
        ("msgpack", Self::MessagePack),
        ("cbor", Self::Cbor),
        ("int", Self::Integer),
        ("double", Self::Double),
        ("uuid", Self::Uuid),
        ("hex", Self::Hex),
    ];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Avro(_) => "avro",
            Self::Protobuf(..) => "protobuf",
            Self::Json => "json",
            Self::Text => "text",
            Self::MessagePack => "msgpack",
            Self::Cbor => "cbor",
            Self::Integer => "int",
            Self::Double => "double",
            Self::Uuid => "uuid",
            Self::Hex => "bytes",
        }
    }

    /// Whether it takes a payload for what it looks like, which any bytes may by chance.
    fn guesses(&self) -> bool {
        matches!(self, Self::Uuid | Self::MessagePack | Self::Cbor | Self::Integer | Self::Double)
    }
}

/// The order where nothing is configured.
const AUTOMATIC: [Decoder; 9] = [
    Decoder::Registry,
    Decoder::Json,
    Decoder::Uuid,
    Decoder::MessagePack,
    Decoder::Cbor,
    Decoder::Integer,
    Decoder::Double,
    Decoder::Text,
    Decoder::Hex,
];

/// The decoders of the topics whose names fit a pattern.
#[derive(Clone, Debug)]
pub struct TopicDecoders {
    /// Name, or a pattern with `*`.
    pub pattern: String,
    /// For keys, in order; empty for the automatic order.
    pub key: Vec<Decoder>,
    /// For values, in order; empty for the automatic order.
    pub value: Vec<Decoder>,
}

/// How payloads are decoded.
#[derive(Clone, Default)]
pub struct Decoding {
    /// By topic; the first that fits.
    pub topics: Vec<TopicDecoders>,
    /// The registry, where there is one.
    pub schemas: Option<Arc<dyn Schemas>>,
}

/// Settings are the same where they name the same; what files and registries hold is not compared.
impl PartialEq for Decoding {
    fn eq(&self, other: &Self) -> bool {
        let names = |decoding: &Self| -> Vec<(String, Vec<&'static str>)> {
            let of = |entry: &TopicDecoders| {
                let names = entry.key.iter().chain(&entry.value).map(Decoder::name).collect();
                (entry.pattern.clone(), names)
            };
            decoding.topics.iter().map(of).collect()
        };
        names(self) == names(other) && self.schemas.is_some() == other.schemas.is_some()
    }
}

impl Eq for Decoding {}

impl fmt::Debug for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoding").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Key or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// What a payload is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// There is none: an absent key, a tombstone.
    Null,
    /// A document.
    Json(Value),
    /// UTF-8 text.
    Text(String),
    /// Neither.
    Bytes(Vec<u8>),
}

/// A decoded payload, with the decoders that did not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What it is.
    pub content: Content,
    /// The decoder, with the compression before it where there is one: `avro`, `gzip+json`, `none`.
    pub decoder: String,
    /// Decoders that were tried before, and why they did not fit.
    pub refused: Vec<(&'static str, String)>,
}

impl Decoded {
    /// What is shown where that is not the payload itself: the document that a binary payload holds, what was
    /// compressed.
    pub fn document(&self) -> Option<Bytes> {
        if matches!(self.decoder.as_str(), "none" | "json" | "text" | "bytes") {
            return None;
        }
        match &self.content {
            Content::Null => None,
            Content::Json(value) => serde_json::to_vec(value).ok().map(Bytes::from),
            Content::Text(text) => Some(Bytes::from(text.clone())),
            Content::Bytes(bytes) => Some(Bytes::from(bytes.clone())),
        }
    }

    /// For JSON output: the value, and the name of its encoding.
    pub fn encoded(self) -> (Value, &'static str) {
        match self.content {
            Content::Null => (Value::Null, "null"),
            Content::Json(value) => (value, "json"),
            Content::Text(text) => (Value::from(text), "utf8"),
            Content::Bytes(bytes) => encode_text(Some(&bytes)),
        }
    }
}

impl Decoding {
    /// Decodes the key or the value of a record.
    pub fn decode(&self, record: &Record, side: Side, patience: Patience) -> Decoded {
        let bytes = match side {
            Side::Key => record.key.as_ref(),
            Side::Value => record.value.as_ref(),
        };
        let Some(bytes) = bytes else {
            return Decoded { content: Content::Null, decoder: "none".into(), refused: Vec::new() };
        };
        let order = self.order(&record.at.topic, side);
        let mut trial =
            Trial { decoding: self, headers: &record.headers, side, patience, refused: Vec::new() };
        trial.run(bytes, order)
    }

    /// The configured decoders of a topic; `None` where the order is the automatic one.
    pub fn order(&self, topic: &str, side: Side) -> Option<&[Decoder]> {
        let found = self.topics.iter().find(|entry| fits(&entry.pattern, topic))?;
        let order = match side {
            Side::Key => &found.key,
            Side::Value => &found.value,
        };
        (!order.is_empty()).then_some(order)
    }
}

/// Whether a name fits a pattern, in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

struct Trial<'a> {
    decoding: &'a Decoding,
    headers: &'a Headers,
    side: Side,
    patience: Patience,
    refused: Vec<(&'static str, String)>,
}

impl Trial<'_> {
    fn run(&mut self, bytes: &[u8], order: Option<&[Decoder]>) -> Decoded {
        let mut names = String::new();
        let squeezed = Squeeze::of(bytes).and_then(|how| match how.undo(bytes) {
            Ok(plain) => {
                names = format!("{}+", how.name());
                Some(plain)
            }
            Err(why) => {
                self.refused.push((how.name(), why));
                None
            }
        });
        let bytes = squeezed.as_deref().unwrap_or(bytes);
        let automatic = order.is_none();
        let mut described = false;
        for decoder in order.unwrap_or(&AUTOMATIC) {
            if described && decoder.guesses() {
                self.refused
                    .push((decoder.name(), "the payload names a schema that the registry has".into()));
                continue;
            }
            match self.one(decoder, bytes, automatic) {
                Ok((content, name)) => {
                    let refused = std::mem::take(&mut self.refused);
                    return Decoded { content, decoder: format!("{names}{name}"), refused };
                }
                // What no payload looks like is not worth a word.
                Err(why) if why.is_empty() => {}
                Err(why) => {
                    described |=
                        automatic && matches!(decoder, Decoder::Registry) && self.is_described(bytes);
                    self.refused.push((decoder.name(), why));
                }
            }
        }
        let content = Content::Bytes(bytes.to_vec());
        Decoded { content, decoder: format!("{names}bytes"), refused: std::mem::take(&mut self.refused) }
    }

    fn one(
        &self,
        decoder: &Decoder,
        bytes: &[u8],
        automatic: bool,
    ) -> Result<(Content, &'static str), String> {
        let name = decoder.name();
        let value = match decoder {
            Decoder::Registry => return self.by_registry(bytes),
            Decoder::Avro(schema) => schema.decode(bytes)?,
            Decoder::Protobuf(schema, message) => protobuf::decode(schema.named(message.as_deref())?, bytes)?,
            Decoder::Json => json::parse(bytes).map_err(|why| why.to_string())?,
            Decoder::Text if automatic => {
                let content = text(bytes)?;
                // As frames and binary numbers do.
                let begins = bytes.first() == Some(&0);
                return if begins { Err("it begins with a zero byte".into()) } else { Ok((content, name)) };
            }
            Decoder::Text => {
                let text = std::str::from_utf8(bytes);
                let text = text.map_err(|e| format!("not UTF-8 at byte {}", e.valid_up_to()))?;
                return Ok((Content::Text(text.to_owned()), name));
            }
            // What reads as text is no binary format by chance.
            _ if automatic && is_printable(bytes) && !matches!(decoder, Decoder::Hex) => {
                return Err(String::new());
            }
            Decoder::MessagePack => binary::message_pack(bytes)?,
            Decoder::Cbor => binary::cbor(bytes)?,
            Decoder::Integer if automatic => binary::likely_integer(bytes)?,
            Decoder::Integer => binary::integer(bytes)?,
            Decoder::Double if automatic => binary::likely_floating(bytes)?,
            Decoder::Double => binary::floating(bytes)?,
            Decoder::Uuid => binary::uuid(bytes, automatic)?,
            Decoder::Hex => return Ok((Content::Bytes(bytes.to_vec()), name)),
        };
        Ok((Content::Json(value), name))
    }

    /// Whether the payload names a schema that is there: then it is no number by chance, but broken.
    fn is_described(&self, bytes: &[u8]) -> bool {
        let Some((id, _)) = frame(self.headers, self.side, bytes) else { return false };
        self.decoding.schemas.as_ref().is_some_and(|schemas| schemas.schema(&id, self.patience).is_ok())
    }

    fn by_registry(&self, bytes: &[u8]) -> Result<(Content, &'static str), String> {
        let described = self.decoding.framed(self.headers, self.side, bytes, self.patience);
        let described = described.ok_or("names no schema")??;
        Ok((Content::Json(described.document()?), described.schema.format()))
    }
}

/// A payload that names its schema, taken apart.
pub struct Described<'b> {
    id: SchemaId,
    schema: Arc<Schema>,
    /// The message, of a Protobuf schema.
    message: Option<MessageDescriptor>,
    /// What stands before the document: the schema's id and a message's place.
    lead: &'b [u8],
    /// The encoded document.
    body: &'b [u8],
}

impl Described<'_> {
    /// What it says.
    pub fn document(&self) -> Result<Value, String> {
        let value = match (&*self.schema, &self.message) {
            (Schema::Avro(schema), _) => schema.decode(self.body),
            (Schema::Json(_), _) => json::parse(self.body).map_err(|why| why.to_string()),
            (Schema::Protobuf(_), Some(message)) => protobuf::decode(message.clone(), self.body),
            (Schema::Protobuf(_), None) => Err("it has no message".to_owned()),
        };
        value.map_err(|why| format!("schema {}: {why}", self.id))
    }

    /// The document as it lies, where it is JSON.
    pub fn json(&self) -> Option<&[u8]> {
        matches!(*self.schema, Schema::Json(_)).then_some(self.body)
    }

    /// The payload with another document, of the same schema: what did not change keeps its bytes. A JSON document is
    /// taken as it is.
    pub fn with(&self, document: &[u8]) -> Result<Vec<u8>, String> {
        let wrong = |misfit: Misfit| format!("schema {}: {misfit}", self.id);
        let value = json::parse(document).map_err(|why| why.to_string())?;
        let body = match (&*self.schema, &self.message) {
            (Schema::Avro(schema), _) => schema.splice(self.body, &value),
            (Schema::Json(schema), _) => schema.check(&value).map(|()| document.to_vec()),
            (Schema::Protobuf(_), Some(message)) => protobuf::splice(message.clone(), self.body, &value),
            (Schema::Protobuf(_), None) => Err(Misfit::new("it has no message")),
        };
        let body = body.map_err(wrong)?;
        // What is written must be readable again.
        let (id, schema, message) = (self.id.clone(), Arc::clone(&self.schema), self.message.clone());
        Described { id, schema, message, lead: &[], body: &body }.document()?;
        Ok([self.lead, &body].concat())
    }
}

impl Decoding {
    /// The key or value of a record, where it names a schema; an error where that is not to be had.
    pub fn described<'r>(
        &self,
        record: &'r Record,
        side: Side,
        patience: Patience,
    ) -> Option<Result<Described<'r>, String>> {
        let bytes = match side {
            Side::Key => record.key.as_ref(),
            Side::Value => record.value.as_ref(),
        };
        self.framed(&record.headers, side, bytes?, patience)
    }

    fn framed<'b>(
        &self,
        headers: &Headers,
        side: Side,
        bytes: &'b [u8],
        patience: Patience,
    ) -> Option<Result<Described<'b>, String>> {
        let (id, body) = frame(headers, side, bytes)?;
        let Some(schemas) = &self.schemas else {
            return Some(Err(format!("names schema {id}, but the profile has no schema registry")));
        };
        Some(schemas.schema(&id, patience).and_then(|schema| {
            let wrong = |why: String| format!("schema {id}: {why}");
            let (message, body) = match &*schema {
                Schema::Protobuf(schema) => {
                    let framed = body.len() < bytes.len() || matches!(id, SchemaId::Guid(_));
                    let (indexes, body) =
                        if framed { indexes(body).map_err(wrong)? } else { (Vec::new(), body) };
                    (Some(schema.at(&indexes).map_err(wrong)?), body)
                }
                _ => (None, body),
            };
            let lead = bytes.get(..bytes.len() - body.len()).unwrap_or_default();
            Ok(Described { id, schema, message, lead, body })
        }))
    }
}

/// The id of the schema and what it describes: from Confluent's frame (a zero byte and four bytes), or from a header
/// (Confluent's since 8.0, Apicurio's).
fn frame<'b>(headers: &Headers, side: Side, bytes: &'b [u8]) -> Option<(SchemaId, &'b [u8])> {
    let (confluent, apicurio) = match side {
        Side::Key => ("__key_schema_id", "apicurio.key.globalId"),
        Side::Value => ("__value_schema_id", "apicurio.value.globalId"),
    };
    let header = |name: &'static str| headers.last(name).map(Bytes::as_ref);
    match header(confluent) {
        Some([0, id @ ..]) => {
            let id = u32::from_be_bytes(id.try_into().ok()?);
            return Some((SchemaId::Number(id), bytes));
        }
        Some([1, id @ ..]) => {
            let id = uuid::Uuid::from_slice(id).ok()?;
            return Some((SchemaId::Guid(id.to_string()), bytes));
        }
        _ => {}
    }
    if let Some(id) = header(apicurio).and_then(|id| <[u8; 8]>::try_from(id).ok()) {
        return Some((SchemaId::Number(u32::try_from(i64::from_be_bytes(id)).ok()?), bytes));
    }
    Some((SchemaId::Number(schema_id(bytes)?), bytes.get(5..)?))
}

/// The place of a message in its file, in front of a framed Protobuf payload: zig-zag numbers behind their count; a
/// single zero stands for the first message.
fn indexes(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), String> {
    let mut rest = bytes;
    let mut next = || {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let (byte, behind) = rest.split_first().ok_or("it ends within the message's place")?;
            rest = behind;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as usize);
            }
        }
        Err("the message's place is no number")
    };
    let count = next()?;
    if count > DEPTH {
        return Err(format!("the message's place has {count} parts"));
    }
    let indexes = (0..count).map(|_| next()).collect::<Result<_, _>>()?;
    Ok((indexes, rest))
}

/// Text, where it is UTF-8.
fn text(bytes: &[u8]) -> Result<Content, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Content::Text(text.to_owned())),
        Err(e) => Err(format!("not UTF-8 at byte {}", e.valid_up_to())),
    }
}

/// Whether the bytes are UTF-8 without control characters that no text has.
pub fn is_printable(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        !text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
    })
}

/// A number with a fraction; what JSON has no number for is text.
pub(super) fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::Position;

    fn record(value: &[u8]) -> Record {
        Record {
            at: Position::new("orders.eu", 0, 0),
            time: None,
            key: None,
            value: Some(Bytes::copy_from_slice(value)),
            headers: Headers::default(),
            lease: None,
        }
    }

    fn decode(decoding: &Decoding, value: &[u8]) -> Decoded {
        decoding.decode(&record(value), Side::Value, Patience::Now)
    }

    #[test]
    fn payloads_are_taken_for_what_they_are() {
        let id = uuid::Uuid::parse_str("67e55044-10b1-426f-9247-bb680e5fe0c8").unwrap();
        let cbor = [&b"\xd9\xd9\xf7\xa2aa\x01ab\xf9\x7e\x00"[..]].concat();
        for (bytes, decoder, content) in [
            (&b"{\"a\":1}"[..], "json", Content::Json(json!({"a": 1}))),
            (b"plain text", "text", Content::Text("plain text".into())),
            (b"", "text", Content::Text(String::new())),
            (b"\x82\xa1a\x01\xa1b\xc4\x01\xff", "msgpack", Content::Json(json!({"a": 1, "b": "/w=="}))),
            (&cbor, "cbor", Content::Json(json!({"a": 1, "b": "NaN"}))),
            (b"\0\0\0\0\0\0\x01\0", "int", Content::Json(json!(256))),
            (b"\0\0\0\x05", "int", Content::Json(json!(5))),
            (&99.5_f64.to_be_bytes(), "double", Content::Json(json!(99.5))),
            (id.as_bytes(), "uuid", Content::Json(json!("67e55044-10b1-426f-9247-bb680e5fe0c8"))),
            (b"\xff\xfe\x00\x01\x02", "bytes", Content::Bytes(b"\xff\xfe\x00\x01\x02".to_vec())),
        ] {
            let decoded = decode(&Decoding::default(), bytes);
            assert_eq!(
                (decoded.decoder.as_str(), &decoded.content),
                (decoder, &content),
                "{:?}",
                decoded.refused
            );
        }
        let squeezed = zstd::encode_all(&b"{\"a\":1}"[..], 1).unwrap();
        let decoded = decode(&Decoding::default(), &squeezed);
        assert_eq!(
            (decoded.decoder.as_str(), decoded.content),
            ("zstd+json", Content::Json(json!({"a": 1})))
        );
    }

    #[test]
    fn each_decoder_that_did_not_fit_says_why() {
        let decoded = decode(&Decoding::default(), b"\0\0\0\0\x07\xff\xfe");
        assert_eq!(decoded.decoder, "bytes");
        let names: Vec<_> = decoded.refused.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["registry", "json", "uuid", "msgpack", "cbor", "int", "double", "text"]);
        assert!(decoded.refused[0].1.contains("names schema 7, but the profile has no schema registry"));
        assert!(decoded.refused[7].1.contains("byte 5"));
        let broken = decode(&Decoding::default(), b"\x1f\x8b\x08broken");
        assert_eq!((broken.decoder.as_str(), broken.refused[0].0), ("bytes", "gzip"));
    }

    /// A registry that has one schema.
    struct One(SchemaId, Arc<Schema>);

    impl Schemas for One {
        fn schema(&self, id: &SchemaId, _: Patience) -> Result<Arc<Schema>, String> {
            if *id == self.0 { Ok(Arc::clone(&self.1)) } else { Err(format!("there is no schema {id}")) }
        }

        fn registered(&self, subject: &str, _: Option<u32>) -> Result<Registered, String> {
            Err(format!("there is no subject {subject}"))
        }
    }

    #[test]
    fn what_its_schema_does_not_fit_is_no_number_by_chance() {
        let schema = Schema::Avro(AvroSchema::parse("\"string\"", &[]).unwrap());
        let schemas: Arc<dyn Schemas> = Arc::new(One(SchemaId::Number(7), Arc::new(schema)));
        let decoding = Decoding { topics: Vec::new(), schemas: Some(schemas) };
        assert_eq!(decode(&decoding, b"\0\0\0\0\x07\x04ab").decoder, "avro");
        let broken = decode(&decoding, b"\0\0\0\0\x07\x7eab");
        assert_eq!(broken.decoder, "bytes", "{:?}", broken.refused);
        let why = |name: &str| &broken.refused.iter().find(|(decoder, _)| *decoder == name).unwrap().1;
        assert!(why("registry").contains("schema 7:") && why("int").contains("names a schema"));
        // Where there is no such schema it may well be a number.
        assert_eq!(decode(&decoding, b"\0\0\0\0\x09\x04ab").decoder, "int");
        assert_eq!(decode(&decoding, b"\0\0\0\0\x09\x06abc").decoder, "bytes");
    }

    #[test]
    fn a_topic_may_have_an_order_of_its_own() {
        let entry = |pattern: &str, value| TopicDecoders { pattern: pattern.into(), key: Vec::new(), value };
        let topics = vec![
            entry("payments", vec![Decoder::Hex]),
            entry("orders*", vec![Decoder::Double, Decoder::Text]),
        ];
        let decoding = Decoding { topics, schemas: None };
        assert_eq!(decode(&decoding, b"{\"a\":1}").decoder, "text");
        assert_eq!(decode(&decoding, b"12345678").decoder, "double");
        assert!(fits("a*b*c", "a-b-c") && fits("*", "x") && !fits("a*b", "ab-") && !fits("a", "ab"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_are_lost(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let decoded = decode(&Decoding::default(), &bytes);
            if decoded.decoder == "bytes" {
                prop_assert_eq!(decoded.content, Content::Bytes(bytes));
            }
        }
    }
}
