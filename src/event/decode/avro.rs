//! Avro's binary encoding, read by a schema into a JSON document.
//!
//! Source: the Avro 1.12 specification ("Binary encoding", "Logical types"). The decoder is our own because a payload
//! is hostile: a recursive schema must not exhaust the stack, nor an array of nothing the memory. Bytes and fixed
//! values are given in base64, decimals as text with all their digits, dates and times as the numbers that they are.
//! [`encode`] writes what this reads.

mod encode;
mod splice;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{DEPTH, NODES, number};

/// A parsed schema, with all types that it names.
#[derive(Clone, Debug)]
pub struct AvroSchema {
    root: Kind,
    named: HashMap<String, Kind>,
}

#[derive(Clone, Debug)]
enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// On bytes or a fixed type, with its scale and its digits at most.
    Decimal(Box<Kind>, u32, Option<u32>),
    Fixed(usize),
    Uuid,
    Enum(Vec<String>),
    Array(Box<Kind>),
    Map(Box<Kind>),
    Union(Vec<Kind>),
    Record(Vec<Field>),
    Named(String),
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    kind: Kind,
    /// What is written where a document lacks the field.
    default: Option<Value>,
}

impl AvroSchema {
    /// Parses a schema; `references` are schemas of types that it uses, those that others need first.
    pub fn parse(text: &str, references: &[String]) -> Result<Self, String> {
        let mut named = HashMap::new();
        let mut parse = |text: &str| {
            let json: Value =
                serde_json::from_str(text).map_err(|e| format!("the Avro schema is no JSON: {e}"))?;
            Parser { named: &mut named }.kind(&json, "", 0)
        };
        for reference in references {
            parse(reference)?;
        }
        let root = parse(text)?;
        Ok(Self { root, named })
    }

    /// Reads a value that takes all of `bytes`.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, String> {
        let mut reader = Reader { bytes, at: 0, nodes: 0, named: &self.named };
        let value = reader.value(&self.root, 0)?;
        match bytes.len() - reader.at {
            0 => Ok(value),
            rest => Err(format!("{rest} bytes are left behind the value")),
        }
    }
}

struct Parser<'n> {
    named: &'n mut HashMap<String, Kind>,
}

impl Parser<'_> {
    fn kind(&mut self, schema: &Value, space: &str, depth: usize) -> Result<Kind, String> {
        if depth > DEPTH {
            return Err("the Avro schema is nested too deep".into());
        }
        match schema {
            Value::String(name) => self.name(name, space),
            Value::Array(variants) => {
                let variants = variants.iter().map(|variant| self.kind(variant, space, depth + 1));
                Ok(Kind::Union(variants.collect::<Result<_, _>>()?))
            }
            Value::Object(schema) => self.object(schema, space, depth),
            _ => Err("an Avro schema is a name, an array or an object".into()),
        }
    }

    fn name(&self, name: &str, space: &str) -> Result<Kind, String> {
        Ok(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            _ => {
                let full = full(name, space);
                let known = [full.as_str(), name].into_iter().find(|name| self.named.contains_key(*name));
                Kind::Named(
                    known.ok_or_else(|| format!("the Avro schema uses {full}, which is not defined"))?.into(),
                )
            }
        })
    }

    fn object(&mut self, schema: &Map<String, Value>, space: &str, depth: usize) -> Result<Kind, String> {
        let part = |name: &str| schema.get(name).ok_or_else(|| format!("an Avro schema lacks `{name}`"));
        let of = part("type")?;
        let Value::String(word) = of else { return self.kind(of, space, depth + 1) };
        let kind = match word.as_str() {
            "array" => Kind::Array(Box::new(self.kind(part("items")?, space, depth + 1)?)),
            "map" => Kind::Map(Box::new(self.kind(part("values")?, space, depth + 1)?)),
            "record" | "error" | "enum" | "fixed" => return self.named_type(word, schema, space, depth),
            word => self.name(word, space)?,
        };
        Ok(logical(schema, kind))
    }

    fn named_type(
        &mut self,
        word: &str,
        schema: &Map<String, Value>,
        space: &str,
        depth: usize,
    ) -> Result<Kind, String> {
        let text = |name: &str| schema.get(name).and_then(Value::as_str);
        let name = text("name").ok_or("a named Avro type has no name")?;
        let name = full(name, text("namespace").unwrap_or(space));
        let space = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        let kind = match word {
            "enum" => {
                let symbols = schema.get("symbols").and_then(Value::as_array);
                let symbols = symbols.ok_or_else(|| format!("the Avro enum {name} has no symbols"))?;
                Kind::Enum(symbols.iter().map(|s| s.as_str().unwrap_or_default().to_owned()).collect())
            }
            "fixed" => {
                let size =
                    schema.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                logical(schema, Kind::Fixed(size.ok_or_else(|| format!("the Avro type {name} has no size"))?))
            }
            _ => {
                // Its fields may use it.
                self.named.insert(name.clone(), Kind::Null);
                let fields = schema.get("fields").and_then(Value::as_array);
                let fields = fields.ok_or_else(|| format!("the Avro record {name} has no fields"))?;
                let fields = fields.iter().map(|field| {
                    let of = field.get("name").and_then(Value::as_str).zip(field.get("type"));
                    let (named, of) =
                        of.ok_or_else(|| format!("a field of {name} lacks its name or type"))?;
                    let kind = self.kind(of, &space, depth + 1)?;
                    Ok::<_, String>(Field {
                        name: named.to_owned(),
                        kind,
                        default: field.get("default").cloned(),
                    })
                });
                Kind::Record(fields.collect::<Result<_, _>>()?)
            }
        };
        self.named.insert(name.clone(), kind);
        Ok(Kind::Named(name))
    }
}

fn full(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

/// What a logical type makes of its type, where that reads better.
fn logical(schema: &Map<String, Value>, kind: Kind) -> Kind {
    let number = |name| schema.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    match (schema.get("logicalType").and_then(Value::as_str), &kind) {
        (Some("decimal"), Kind::Bytes | Kind::Fixed(_)) => {
            Kind::Decimal(Box::new(kind), number("scale").unwrap_or(0), number("precision"))
        }
        (Some("uuid"), Kind::Fixed(16)) => Kind::Uuid,
        _ => kind,
    }
}

struct Reader<'b, 'n> {
    bytes: &'b [u8],
    at: usize,
    /// Values made so far.
    nodes: usize,
    named: &'n HashMap<String, Kind>,
}

impl<'b> Reader<'b, '_> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], String> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let part = end.and_then(|end| self.bytes.get(self.at..end));
        let part = part.ok_or_else(|| format!("{len} bytes are missing at byte {}", self.at))?;
        self.at += len;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "bytes are missing".to_owned())
    }

    /// A zig-zag number.
    fn long(&mut self) -> Result<i64, String> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(format!("a number is too long at byte {}", self.at))
    }

    fn length(&mut self) -> Result<usize, String> {
        let at = self.at;
        usize::try_from(self.long()?).map_err(|_| format!("a length is negative at byte {at}"))
    }

    fn bytes(&mut self) -> Result<&'b [u8], String> {
        let len = self.length()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String, String> {
        let at = self.at;
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| format!("a string is no UTF-8 at byte {at}"))?;
        Ok(text.to_owned())
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Result<Value, String> {
        self.nodes += 1;
        if depth > DEPTH {
            return Err(format!("it is nested deeper than {DEPTH} levels"));
        }
        if self.nodes > NODES {
            return Err(format!("it has more than {NODES} values"));
        }
        Ok(match kind {
            Kind::Null => Value::Null,
            Kind::Boolean => match self.array()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [byte] => return Err(format!("{byte} is no boolean, at byte {}", self.at - 1)),
            },
            Kind::Int | Kind::Long => Value::from(self.long()?),
            Kind::Float => number(f32::from_le_bytes(self.array()?).into()),
            Kind::Double => number(f64::from_le_bytes(self.array()?)),
            Kind::Bytes => Value::from(STANDARD.encode(self.bytes()?)),
            Kind::String => Value::from(self.text()?),
            Kind::Fixed(size) => Value::from(STANDARD.encode(self.take(*size)?)),
            Kind::Uuid => Value::from(uuid::Uuid::from_bytes(self.array()?).to_string()),
            Kind::Decimal(of, scale, _) => {
                let bytes = if let Kind::Fixed(size) = **of { self.take(size)? } else { self.bytes()? };
                decimal(bytes, *scale).map_or_else(|| Value::from(STANDARD.encode(bytes)), Value::from)
            }
            Kind::Enum(symbols) => {
                let index = self.length()?;
                let symbol = symbols.get(index).ok_or_else(|| format!("there is no symbol {index}"))?;
                Value::from(symbol.as_str())
            }
            Kind::Union(variants) => {
                let index = self.length()?;
                let variant = variants.get(index).ok_or_else(|| format!("there is no variant {index}"))?;
                self.value(variant, depth + 1)?
            }
            Kind::Array(of) => {
                let mut items = Vec::new();
                self.blocks(|reader| {
                    items.push(reader.value(of, depth + 1)?);
                    Ok(())
                })?;
                Value::Array(items)
            }
            Kind::Map(of) => {
                let mut members = Map::new();
                self.blocks(|reader| {
                    let name = reader.text()?;
                    members.insert(name, reader.value(of, depth + 1)?);
                    Ok(())
                })?;
                Value::Object(members)
            }
            Kind::Record(fields) => {
                let mut members = Map::new();
                for Field { name, kind, .. } in fields {
                    let value = self.value(kind, depth + 1).map_err(|why| format!("{name}: {why}"));
                    members.insert(
                        name.clone(),
                        value.map_err(|why| why.chars().take(300).collect::<String>())?,
                    );
                }
                Value::Object(members)
            }
            Kind::Named(name) => {
                let named = self.named;
                let of = named.get(name).ok_or_else(|| format!("{name} is not defined"))?;
                self.value(of, depth + 1)?
            }
        })
    }

    /// The blocks of an array or a map; a negative count is followed by the size of its block.
    fn blocks(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                each(self)?;
            }
        }
    }
}

/// A big-endian two's complement number with a scale, as text; `None` where it is too long.
fn decimal(bytes: &[u8], scale: u32) -> Option<String> {
    let filled = if bytes.first().is_some_and(|b| b & 0x80 != 0) { [0xff; 16] } else { [0; 16] };
    let mut wide = filled;
    let (_, low) = wide.split_at_mut_checked(16_usize.checked_sub(bytes.len())?)?;
    low.copy_from_slice(bytes);
    let unscaled = i128::from_be_bytes(wide);
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::try_from(scale).ok().filter(|scale| *scale <= 64)?;
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"trade","fields":[
        {"name":"id","type":"string"},{"name":"count","type":"int"},{"name":"total","type":{"type":"bytes","logicalType":"decimal","scale":2}},
        {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}},
        {"name":"tags","type":{"type":"array","items":"string"}},{"name":"next","type":["null","Order"]}]}"#;

    #[test]
    fn every_type_is_read_by_its_schema() {
        let schema = AvroSchema::parse(ORDER, &[]).unwrap();
        let bytes = b"\x04o1\x05\x04\xff\x38\x02\x02\x02a\x00\x02\x04o2\x02\x02\x05\x00\x00\x00";
        assert_eq!(
            schema.decode(bytes).unwrap(),
            json!({"id":"o1","count":-3,"total":"-2.00","state":"PAID","tags":["a"],
                   "next":{"id":"o2","count":1,"total":"0.05","state":"NEW","tags":[],"next":null}})
        );
    }

    #[test]
    fn what_is_broken_says_where() {
        let schema = AvroSchema::parse(ORDER, &[]).unwrap();
        assert_eq!(schema.decode(b"\x04o").unwrap_err(), "id: 2 bytes are missing at byte 1");
        assert!(
            AvroSchema::parse(r#"{"type":"record","name":"A","fields":[{"name":"b","type":"B"}]}"#, &[])
                .is_err()
        );
        let other = r#"{"type":"fixed","name":"B","size":1}"#.to_owned();
        let schema =
            AvroSchema::parse(r#"{"type":"record","name":"A","fields":[{"name":"b","type":"B"}]}"#, &[other]);
        assert_eq!(schema.unwrap().decode(b"a").unwrap(), json!({"b": "YQ=="}));
    }

    #[test]
    fn bombs_are_refused() {
        let list = AvroSchema::parse(
            r#"{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]}"#,
            &[],
        );
        assert!(list.unwrap().decode(&vec![2; 1 << 20]).unwrap_err().contains("nested deeper"));
        let nothing = AvroSchema::parse(r#"{"type":"array","items":"null"}"#, &[]).unwrap();
        let many = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x00";
        assert!(nothing.decode(many).unwrap_err().contains("more than"));
        let itself =
            AvroSchema::parse(r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#, &[])
                .unwrap();
        assert!(itself.decode(b"").unwrap_err().contains("nested deeper"));
    }
}
