//! A JSON document as a payload of a schema: in Confluent's wire format, and refused where it does not fit.

use std::fmt;

use serde_json::Value;

use super::decode::Schema;
use super::json;

/// Characters of a value that a refusal quotes.
const QUOTED: usize = 60;
/// Characters of a reason.
const REASON: usize = 300;

/// Why a document does not fit its schema, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Names and indexes, the innermost first.
    place: Vec<String>,
    why: String,
}

impl Misfit {
    /// A reason at this very place.
    pub fn new(why: impl Into<String>) -> Self {
        let mut why = why.into();
        if let Some((end, _)) = why.char_indices().nth(REASON) {
            why.truncate(end);
            why.push('…');
        }
        Self { place: Vec::new(), why }
    }

    /// Something else was wanted.
    pub fn unlike(wanted: &str, found: &Value) -> Self {
        let found = match found {
            Value::Array(_) => "an array".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            other => crate::text::width::cut(&other.to_string(), QUOTED).into_owned(),
        };
        Self::new(format!("{wanted} was expected, and {found} is there"))
    }

    /// The same, seen from the member or the `[index]` that it is in.
    #[must_use]
    pub fn at(mut self, name: &str) -> Self {
        self.place.push(name.to_owned());
        self
    }

    /// How deep within the document it is.
    pub fn depth(&self) -> usize {
        self.place.len()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.place.iter().rev().enumerate() {
            let dot = if i == 0 || part.starts_with('[') { "" } else { "." };
            write!(f, "{dot}{part}")?;
        }
        write!(f, "{}{}", if self.place.is_empty() { "" } else { ": " }, self.why)
    }
}

/// Which schema a payload is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChoice {
    /// Where it is found.
    pub named: SchemaName,
    /// The full name of the message, of a Protobuf schema with several.
    pub message: Option<String>,
}

/// Where a schema is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaName {
    /// By its id in the registry.
    Id(u32),
    /// By its subject and the version there; `None` for the newest.
    Subject(String, Option<u32>),
    /// The newest of the topic's own subject: `TOPIC-key` or `TOPIC-value`.
    OfTopic,
}

impl SchemaChoice {
    /// Reads `7`, `SUBJECT`, `SUBJECT:VERSION`, `SUBJECT:latest` or `latest`; behind a `#` the name of a message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, message) =
            text.split_once('#').map_or((text, None), |(name, message)| (name, Some(message)));
        if message.is_some_and(str::is_empty) {
            return Err("behind # the full name of a message was expected".to_owned());
        }
        let named = match name.rsplit_once(':') {
            _ if name.is_empty() => {
                return Err("a schema's id, SUBJECT, SUBJECT:VERSION or latest was expected".to_owned());
            }
            _ if name == "latest" => SchemaName::OfTopic,
            Some((subject, "latest")) => SchemaName::Subject(subject.to_owned(), None),
            Some((subject, version)) if version.bytes().all(|b| b.is_ascii_digit()) => {
                let version = version.parse().ok().filter(|version| *version > 0);
                let version = version.ok_or("a version is a number from 1 on, or latest")?;
                SchemaName::Subject(subject.to_owned(), Some(version))
            }
            _ if name.bytes().all(|b| b.is_ascii_digit()) => {
                SchemaName::Id(name.parse().map_err(|_| "an id has 32 bits")?)
            }
            _ => SchemaName::Subject(name.to_owned(), None),
        };
        Ok(Self { named, message: message.map(str::to_owned) })
    }
}

/// Writes a JSON document by a schema of the registry: a zero byte, the schema's id, and the payload.
pub fn encode(id: u32, schema: &Schema, message: Option<&str>, document: &[u8]) -> Result<Vec<u8>, Misfit> {
    let value = json::parse(document).map_err(|why| Misfit::new(why.to_string()))?;
    let mut out = vec![0];
    out.extend(id.to_be_bytes());
    match schema {
        Schema::Protobuf(schema) => out.extend(schema.encode(message, &value)?),
        _ if message.is_some() => return Err(Misfit::new("only a Protobuf schema has messages to be named")),
        Schema::Avro(schema) => out.extend(schema.encode(&value)?),
        // Its bytes stay those that were given.
        Schema::Json(schema) => {
            schema.check(&value)?;
            out.extend_from_slice(document);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_by_id_subject_version_or_topic() {
        let subject = |name: &str, version| SchemaName::Subject(name.to_owned(), version);
        for (text, named, message) in [
            ("7", SchemaName::Id(7), None),
            ("latest", SchemaName::OfTopic, None),
            ("latest#shop.Order", SchemaName::OfTopic, Some("shop.Order")),
            ("orders-value", subject("orders-value", None), None),
            ("orders-value:3", subject("orders-value", Some(3)), None),
            ("orders-value:latest", subject("orders-value", None), None),
            (":.shop:Order", subject(":.shop:Order", None), None),
            ("7:latest", subject("7", None), None),
        ] {
            let choice = SchemaChoice { named, message: message.map(str::to_owned) };
            assert_eq!(SchemaChoice::parse(text), Ok(choice), "{text}");
        }
        for text in ["", "#a", "a#", "orders:0", "99999999999"] {
            assert!(SchemaChoice::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_reads_like_a_path() {
        let misfit = Misfit::unlike("a string", &Value::from(7)).at("sku").at("[2]").at("lines").at("order");
        assert_eq!(misfit.to_string(), "order.lines[2].sku: a string was expected, and 7 is there");
        assert_eq!(Misfit::new("no").at("[0]").to_string(), "[0]: no");
        assert!(Misfit::new("x".repeat(5_000)).to_string().len() < 400);
    }
}
