//! Avro's binary encoding, written by a schema from a JSON document.
//!
//! A document is taken as the decoder gives it: bytes and fixed values in base64, decimals as text or number, dates and
//! times as numbers. A value of a union stands for itself, and the first variant that it fits is taken, one of its own
//! JSON type before others; where that is not meant, the variant is named as Avro's JSON encoding does:
//! `{"string": "x"}`. What does not fit is refused with its place: no digit is rounded, no member left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{AvroSchema, DEPTH, Field, Kind, NODES};
use crate::event::encode::Misfit;

impl AvroSchema {
    /// Writes a document.
    pub fn encode(&self, document: &Value) -> Result<Vec<u8>, Misfit> {
        let mut writer = Writer { out: Vec::new(), tried: 0, schema: self, text: BytesAs::Base64 };
        writer.value(&self.root, document, 0)?;
        Ok(writer.out)
    }
}

/// How a document writes bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BytesAs {
    Base64,
    /// A character for each byte, as the defaults of a schema do.
    Characters,
}

pub(super) struct Writer<'s> {
    pub(super) out: Vec<u8>,
    /// Values that were tried.
    pub(super) tried: usize,
    pub(super) schema: &'s AvroSchema,
    pub(super) text: BytesAs,
}

impl Writer<'_> {
    pub(super) fn long(&mut self, number: i64) {
        let mut rest = (number << 1 ^ number >> 63) as u64;
        while rest >= 0x80 {
            self.out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn value(&mut self, kind: &Kind, value: &Value, depth: usize) -> Result<(), Misfit> {
        self.tried += 1;
        if depth > DEPTH {
            return Err(Misfit::new(format!("it is nested deeper than {DEPTH} levels")));
        }
        if self.tried > NODES {
            return Err(Misfit::new(format!("more than {NODES} values were tried")));
        }
        match (kind, value) {
            (Kind::Null, Value::Null) => {}
            (Kind::Boolean, Value::Bool(is)) => self.out.push(u8::from(*is)),
            (Kind::Int, Value::Number(number)) => match number.as_i64().map(i32::try_from) {
                Some(Ok(number)) => self.long(number.into()),
                Some(Err(_)) => return Err(Misfit::new(format!("{number} is no integer of 32 bits"))),
                None => return Err(unlike("an integer", value)),
            },
            (Kind::Long, Value::Number(number)) => match number.as_i64() {
                Some(number) => self.long(number),
                None => return Err(unlike("an integer of 64 bits", value)),
            },
            (Kind::Float | Kind::Double, Value::Number(_) | Value::String(_)) => {
                self.floating(kind, value)?;
            }
            (Kind::String, Value::String(text)) => self.bytes(text.as_bytes()),
            (Kind::Bytes, Value::String(text)) => {
                let bytes = self.bytes_of(text)?;
                self.bytes(&bytes);
            }
            (Kind::Fixed(size), Value::String(text)) => {
                let bytes = self.bytes_of(text)?;
                if bytes.len() != *size {
                    return Err(Misfit::new(format!(
                        "{size} bytes were expected, and it has {}",
                        bytes.len()
                    )));
                }
                self.out.extend(bytes);
            }
            (Kind::Uuid, Value::String(text)) => {
                let id = uuid::Uuid::parse_str(text).map_err(|_| unlike("a UUID", value))?;
                self.out.extend_from_slice(id.as_bytes());
            }
            (Kind::Decimal(of, scale, precision), Value::String(_) | Value::Number(_)) => {
                self.decimal(of, *scale, *precision, value)?;
            }
            (Kind::Enum(symbols), Value::String(text)) => {
                let Some(index) = symbols.iter().position(|symbol| symbol == text) else {
                    let symbols = symbols.join(", ");
                    return Err(Misfit::new(format!("{value} is none of the symbols {symbols}")));
                };
                self.long(index as i64);
            }
            (Kind::Array(of), Value::Array(items)) => {
                if !items.is_empty() {
                    self.long(items.len() as i64);
                }
                for (at, item) in items.iter().enumerate() {
                    self.value(of, item, depth + 1).map_err(|misfit| misfit.at(&format!("[{at}]")))?;
                }
                self.long(0);
            }
            (Kind::Map(of), Value::Object(members)) => {
                if !members.is_empty() {
                    self.long(members.len() as i64);
                }
                for (name, member) in members {
                    self.bytes(name.as_bytes());
                    self.value(of, member, depth + 1).map_err(|misfit| misfit.at(name))?;
                }
                self.long(0);
            }
            (Kind::Record(fields), Value::Object(members)) => self.record(fields, members, depth)?,
            (Kind::Union(variants), _) => self.union(variants, value, depth)?,
            (Kind::Named(name), _) => {
                let schema = self.schema;
                let of = schema.named.get(name);
                let of = of.ok_or_else(|| Misfit::new(format!("{name} is not defined")))?;
                self.value(of, value, depth + 1)?;
            }
            (kind, value) => return Err(unlike(&wanted(kind), value)),
        }
        Ok(())
    }

    fn record(&mut self, fields: &[Field], members: &Map<String, Value>, depth: usize) -> Result<(), Misfit> {
        each_field(fields, members, |field, member| match member {
            Some(member) => self.value(&field.kind, member, depth + 1),
            None => self.absent(field, depth),
        })
    }

    /// Writes what stands for a field that the document has not.
    pub(super) fn absent(&mut self, field: &Field, depth: usize) -> Result<(), Misfit> {
        let Some(default) = &field.default else {
            return Err(Misfit::new("it is missing, and the schema has no default for it"));
        };
        let before = std::mem::replace(&mut self.text, BytesAs::Characters);
        let written = self.value(&field.kind, default, depth + 1);
        self.text = before;
        written
    }

    pub(super) fn union(&mut self, variants: &[Kind], value: &Value, depth: usize) -> Result<(), Misfit> {
        // What has the JSON type of the value, then what can be made of it.
        let own = |variant: &Kind| self.schema.is_own(variant, value);
        let (first, second): (Vec<usize>, Vec<usize>) =
            (0..variants.len()).partition(|at| variants.get(*at).is_some_and(own));
        let start = self.out.len();
        let mut why = None;
        for at in first.into_iter().chain(second) {
            let Some(variant) = variants.get(at) else { continue };
            self.long(at as i64);
            match self.value(variant, value, depth + 1) {
                Ok(()) => return Ok(()),
                Err(misfit) => {
                    self.out.truncate(start);
                    // The reason of the variant that the value came closest to.
                    if why.as_ref().is_none_or(|known: &Misfit| misfit.depth() > known.depth()) {
                        why = Some(misfit);
                    }
                }
            }
        }
        if let Value::Object(members) = value
            && let [(name, inner)] = members.iter().collect::<Vec<_>>()[..]
            && let Some(at) = variants.iter().position(|variant| named(variant, name))
            && let Some(variant) = variants.get(at)
        {
            self.long(at as i64);
            return self.value(variant, inner, depth + 1).map_err(|misfit| misfit.at(name));
        }
        match why.filter(|why| variants.len() == 1 || why.depth() > 0) {
            Some(why) => Err(why),
            None => Err(unlike(&wanted(&Kind::Union(variants.to_vec())), value)),
        }
    }

    fn floating(&mut self, kind: &Kind, value: &Value) -> Result<(), Misfit> {
        let number = match value {
            Value::Number(number) => {
                let float = number.as_f64().unwrap_or(f64::NAN);
                if number.as_i64().is_some_and(|exact| float as i128 != i128::from(exact)) {
                    return Err(Misfit::new(format!("{number} has more digits than a double holds")));
                }
                float
            }
            // As the decoder tells what JSON has no number for.
            Value::String(text) if matches!(text.as_str(), "NaN" | "inf" | "-inf") => {
                text.parse().unwrap_or(f64::NAN)
            }
            other => return Err(unlike("a number", other)),
        };
        if matches!(kind, Kind::Double) {
            self.out.extend(number.to_le_bytes());
            return Ok(());
        }
        let float = number as f32;
        if number.is_finite() && !float.is_finite() {
            return Err(Misfit::new(format!("{value} is too large for a float")));
        }
        self.out.extend(float.to_le_bytes());
        Ok(())
    }

    fn decimal(
        &mut self,
        of: &Kind,
        scale: u32,
        precision: Option<u32>,
        value: &Value,
    ) -> Result<(), Misfit> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let unscaled = unscaled(&text, scale).map_err(Misfit::new)?;
        let digits = unscaled.unsigned_abs().to_string().len();
        if let Some(most) = precision.filter(|most| digits > *most as usize) {
            return Err(Misfit::new(format!("{text} has {digits} digits, and the schema allows {most}")));
        }
        let wide = unscaled.to_be_bytes();
        if let Kind::Fixed(size) = of {
            let filler = if unscaled < 0 { 0xff } else { 0 };
            let (high, low) = wide.split_at(wide.len().saturating_sub(*size));
            let kept = low.first().is_some_and(|byte| (byte & 0x80 != 0) == (unscaled < 0));
            if high.iter().any(|byte| *byte != filler) || !kept {
                return Err(Misfit::new(format!("{text} does not fit into {size} bytes")));
            }
            self.out.extend(std::iter::repeat_n(filler, size - low.len()));
            self.out.extend_from_slice(low);
            return Ok(());
        }
        // The fewest bytes that keep the sign.
        let mut short = wide.as_slice();
        while let [first, rest @ ..] = short
            && let [next, ..] = rest
            && matches!((first, next & 0x80), (0, 0) | (0xff, 0x80))
        {
            short = rest;
        }
        self.bytes(short);
        Ok(())
    }

    fn bytes_of(&self, text: &str) -> Result<Vec<u8>, Misfit> {
        match self.text {
            BytesAs::Base64 => STANDARD
                .decode(text)
                .map_err(|e| Misfit::new(format!("bytes are written in base64, and this is none: {e}"))),
            BytesAs::Characters => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)))
                .collect::<Result<_, _>>()
                .map_err(|_| Misfit::new("the schema's default has a character above 255 in bytes")),
        }
    }
}

/// Writes the fields of a record in their order, each with its member of the document, where there is one.
pub(super) fn each_field(
    fields: &[Field],
    members: &Map<String, Value>,
    mut write: impl FnMut(&Field, Option<&Value>) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    no_such_field(fields, members)?;
    fields
        .iter()
        .try_for_each(|field| write(field, members.get(&field.name)).map_err(|misfit| misfit.at(&field.name)))
}

/// Refuses a document with a member that its record has not.
fn no_such_field(fields: &[Field], members: &Map<String, Value>) -> Result<(), Misfit> {
    let Some(name) = members.keys().find(|name| !fields.iter().any(|field| field.name == **name)) else {
        return Ok(());
    };
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    Err(Misfit::new(format!("the schema has no such field (it has {})", names.join(", "))).at(name))
}

/// A decimal number without its point; `scale` digits stand behind it.
fn unscaled(text: &str, scale: u32) -> Result<i128, String> {
    let no_decimal = || format!("a decimal number was expected, and {text:?} is there");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) || digits.ends_with('.') {
        return Err(no_decimal());
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = (scale as usize)
        .checked_sub(fraction.len())
        .ok_or_else(|| format!("{text} has more than {scale} digits behind its point"))?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing.min(64)));
    digits.parse::<i128>().map(|number| sign * number).map_err(|_| format!("{text} has too many digits"))
}

impl AvroSchema {
    /// Whether a value has the JSON type by which this kind is written.
    fn is_own(&self, kind: &Kind, value: &Value) -> bool {
        match (kind, value) {
            (Kind::Named(name), _) => match self.named.get(name) {
                Some(Kind::Named(_)) | None => false,
                Some(kind) => self.is_own(kind, value),
            },
            (Kind::Enum(symbols), Value::String(text)) => symbols.contains(text),
            (Kind::Int | Kind::Long, Value::Number(number)) => number.is_i64(),
            (Kind::Float | Kind::Double, Value::Number(number)) => number.is_f64(),
            (Kind::Null, Value::Null)
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::String, Value::String(_))
            | (Kind::Array(_), Value::Array(_))
            | (Kind::Map(_) | Kind::Record(_), Value::Object(_)) => true,
            _ => false,
        }
    }
}

/// Whether this is the name of a variant in Avro's JSON encoding.
fn named(kind: &Kind, name: &str) -> bool {
    match kind {
        Kind::Named(full) => full == name || full.rsplit('.').next() == Some(name),
        Kind::Decimal(of, ..) => named(of, name),
        kind => plain(kind) == Some(name),
    }
}

/// Avro's word for a type without a name.
fn plain(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Null => "null",
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Long => "long",
        Kind::Float => "float",
        Kind::Double => "double",
        Kind::Bytes => "bytes",
        Kind::String => "string",
        Kind::Array(_) => "array",
        Kind::Map(_) => "map",
        _ => return None,
    })
}

/// What a type wants, in words.
fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Null => "null".into(),
        Kind::Boolean => "true or false".into(),
        Kind::Int | Kind::Long => "an integer".into(),
        Kind::Float | Kind::Double => "a number".into(),
        Kind::Bytes | Kind::Fixed(_) => "bytes in base64".into(),
        Kind::String => "a string".into(),
        Kind::Decimal(..) => "a decimal number".into(),
        Kind::Uuid => "a UUID".into(),
        Kind::Enum(symbols) => format!("one of {}", symbols.join(", ")),
        Kind::Array(_) => "an array".into(),
        Kind::Map(_) | Kind::Record(_) => "an object".into(),
        Kind::Union(variants) => variants.iter().map(wanted).collect::<Vec<_>>().join(" or "),
        Kind::Named(name) => name.clone(),
    }
}

fn unlike(wanted: &str, value: &Value) -> Misfit {
    Misfit::unlike(wanted, value)
}

#[cfg(test)]
pub(super) use tests::{fitting, name_types};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema(json: &Value) -> AvroSchema {
        AvroSchema::parse(&json.to_string(), &[]).unwrap()
    }

    fn why(schema: &AvroSchema, value: Value) -> String {
        schema.encode(&value).unwrap_err().to_string()
    }

    fn order() -> AvroSchema {
        schema(&json!({"type": "record", "name": "Order", "namespace": "shop", "fields": [
            {"name": "id", "type": "string"},
            {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
                {"name": "sku", "type": "string"}, {"name": "n", "type": "int"}]}}},
            {"name": "note", "type": ["null", "string"], "default": null},
            {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 2}, "default": "\u{00ff}\u{0001}"},
            {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]},
             "default": "NEW"}]}))
    }

    #[test]
    fn a_document_is_written_as_avro_says_and_what_is_left_out_is_the_default() {
        let document = json!({"id": "o1", "total": 1.5, "lines": [{"sku": "a", "n": -3}]});
        let bytes = order().encode(&document).unwrap();
        assert_eq!(bytes, b"\x04o1\x04\x00\x96\x02\x02a\x05\x00\x00\xff\x01\x00");
        let mut whole = document;
        whole["total"] = json!("1.50");
        whole["note"] = Value::Null;
        whole["mark"] = json!("/wE=");
        whole["state"] = json!("NEW");
        assert_eq!(order().decode(&bytes).unwrap(), whole);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        let schema = order();
        let with = |name: &str, value: Value| {
            let mut document = json!({"id": "o1", "total": "1.50", "lines": []});
            document[name] = value;
            why(&schema, document)
        };
        for (name, value, said) in [
            ("id", json!(7), "id: a string was expected, and 7 is there"),
            ("total", json!("1.505"), "total: 1.505 has more than 2 digits behind its point"),
            ("total", json!("12345.67"), "total: 12345.67 has 7 digits, and the schema allows 6"),
            ("total", json!("1,50"), "total: a decimal number was expected"),
            (
                "lines",
                json!([{"sku": "a", "n": 1}, {"sku": "b", "n": 3_000_000_000_i64}]),
                "lines[1].n: 3000000000 is no integer of 32 bits",
            ),
            (
                "lines",
                json!([{"sku": "a", "n": 1.5}]),
                "lines[0].n: an integer was expected, and 1.5 is there",
            ),
            (
                "lines",
                json!([{"sku": "a"}]),
                "lines[0].n: it is missing, and the schema has no default for it",
            ),
            ("lines", json!({}), "lines: an array was expected, and an object is there"),
            ("totl", json!(1), "totl: the schema has no such field (it has id, total, lines, note"),
            ("note", json!(1), "note: null or a string was expected, and 1 is there"),
            ("mark", json!("AA=="), "mark: 2 bytes were expected, and it has 1"),
            ("mark", json!("?"), "mark: bytes are written in base64"),
            ("state", json!("GONE"), "state: \"GONE\" is none of the symbols NEW, PAID"),
        ] {
            let found = with(name, value);
            assert!(found.starts_with(said), "{found:?} does not begin with {said:?}");
        }
        assert_eq!(why(&schema, json!([])), "an object was expected, and an array is there");
    }

    #[test]
    fn a_union_takes_the_variant_of_the_values_own_type_or_the_one_that_is_named() {
        let schema = schema(&json!(["null", "bytes", "string", "double", "long",
            {"type": "record", "name": "a.R", "fields": [{"name": "long", "type": "long"}]}]));
        let index = |value: Value| schema.encode(&value).unwrap()[0] >> 1;
        assert_eq!(index(json!("YWJj")), 2, "a string");
        assert_eq!(index(json!({"bytes": "YWJj"})), 1);
        assert_eq!(index(json!(7)), 4);
        assert_eq!(index(json!({"double": 7})), 3);
        assert_eq!(index(json!(7.5)), 3);
        assert_eq!(index(json!({"long": 7})), 5, "the record, as it stands");
        assert_eq!(index(json!({"a.R": {"long": 7}})), 5);
        assert_eq!(schema.encode(&json!({"double": 7})).unwrap(), b"\x06\0\0\0\0\0\0\x1c\x40");
        assert_eq!(why(&schema, json!({"long": "x"})), "long: an integer was expected, and \"x\" is there");
    }

    #[test]
    fn a_schema_that_holds_itself_is_written_and_bounded() {
        let tree = schema(&json!({"type": "record", "name": "T", "fields": [
            {"name": "n", "type": "int"}, {"name": "next", "type": ["null", "T"]}]}));
        let document = json!({"n": 1, "next": {"n": 2, "next": null}});
        assert_eq!(tree.encode(&document).unwrap(), b"\x02\x02\x04\x00");
        let mut deep = Value::Null;
        for n in 0..DEPTH {
            deep = json!({"n": n, "next": deep});
        }
        assert!(why(&tree, deep).contains("nested deeper"));
        let itself = schema(&json!({"type": "record", "name": "R", "fields": [
            {"name": "r", "type": "R", "default": {}}]}));
        assert!(why(&itself, json!({})).contains("nested deeper"));
    }

    #[test]
    fn no_digit_is_rounded() {
        let double = schema(&json!("double"));
        assert!(why(&double, json!(9_007_199_254_740_993_i64)).contains("more digits"));
        assert!(why(&schema(&json!("float")), json!(1e300)).contains("too large for a float"));
        let fixed =
            schema(&json!({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "scale": 0}));
        assert_eq!(fixed.encode(&json!("-2")).unwrap(), b"\xff\xfe");
        assert_eq!(fixed.encode(&json!("32767")).unwrap(), b"\x7f\xff");
        assert!(why(&fixed, json!("32768")).contains("does not fit into 2 bytes"));
        assert!(why(&fixed, json!("-32769")).contains("does not fit into 2 bytes"));
    }

    /// A schema, and a document that fits it as the decoder gives it.
    pub(in super::super) fn fitting(depth: u32) -> BoxedStrategy<(Value, Value)> {
        let leaf = prop_oneof![
            Just((json!("null"), Value::Null)),
            any::<bool>().prop_map(|v| (json!("boolean"), json!(v))),
            any::<i32>().prop_map(|v| (json!("int"), json!(v))),
            any::<i64>().prop_map(|v| (json!("long"), json!(v))),
            any::<f32>().prop_map(|v| (json!("float"), super::super::number(v.into()))),
            any::<f64>().prop_map(|v| (json!("double"), super::super::number(v))),
            "\\PC{0,8}".prop_map(|v| (json!("string"), json!(v))),
            proptest::collection::vec(any::<u8>(), 0..9)
                .prop_map(|v| (json!("bytes"), json!(STANDARD.encode(v)))),
            any::<[u8; 16]>().prop_map(|v| {
                let schema = json!({"type": "fixed", "name": "_", "size": 16, "logicalType": "uuid"});
                (schema, json!(uuid::Uuid::from_bytes(v).to_string()))
            }),
            (any::<i64>(), 0_u32..6).prop_map(|(v, scale)| {
                let text = super::super::decimal(&v.to_be_bytes(), scale).unwrap();
                (json!({"type": "bytes", "logicalType": "decimal", "scale": scale}), json!(text))
            }),
            (0_usize..3).prop_map(|at| {
                let symbols = ["A", "B", "C"];
                (json!({"type": "enum", "name": "_", "symbols": symbols}), json!(symbols[at]))
            }),
        ];
        if depth == 0 {
            return leaf.boxed();
        }
        let inner = move || fitting(depth - 1);
        prop_oneof![
            2 => leaf,
            1 => (inner(), 0_usize..3).prop_map(|((of, value), n)| {
                (json!({"type": "array", "items": of}), Value::Array(vec![value; n]))
            }),
            1 => (inner(), proptest::collection::btree_set("[a-z]{1,4}", 0..3)).prop_map(|((of, value), names)| {
                let members: Map<String, Value> =
                    names.into_iter().map(|name| (name, value.clone())).collect();
                (json!({"type": "map", "values": of}), Value::Object(members))
            }),
            2 => proptest::collection::vec(inner(), 0..4).prop_map(|parts| {
                let (mut fields, mut members) = (Vec::new(), Map::new());
                for (at, (of, value)) in parts.into_iter().enumerate() {
                    fields.push(json!({"name": format!("f{at}"), "type": of}));
                    members.insert(format!("f{at}"), value);
                }
                (json!({"type": "record", "name": "_", "fields": fields}), Value::Object(members))
            }),
            1 => inner().prop_map(|(of, value)| {
                // A union holds no union, and null once.
                if of.is_array() || of == json!("null") { (of, value) } else { (json!(["null", of]), value) }
            }),
        ]
        .boxed()
    }

    /// Gives every type a name of its own.
    pub(in super::super) fn name_types(schema: &mut Value, next: &mut usize) {
        match schema {
            Value::Object(members) => {
                if members.get("name").is_some_and(|name| name == "_") {
                    *next += 1;
                    members.insert("name".into(), json!(format!("N{next}")));
                }
                members.values_mut().for_each(|member| name_types(member, next));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| name_types(item, next)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again((mut of, document) in fitting(3)) {
            name_types(&mut of, &mut 0);
            let schema = schema(&of);
            let bytes = schema.encode(&document);
            prop_assert!(bytes.is_ok(), "{of} {document}: {:?}", bytes);
            prop_assert_eq!(schema.decode(&bytes.unwrap()).unwrap(), document);
        }

        #[test]
        fn any_document_fits_or_is_refused_and_never_written_in_part(
            (mut of, _) in fitting(3), (_, document) in fitting(3),
        ) {
            name_types(&mut of, &mut 0);
            let schema = schema(&of);
            if let Ok(bytes) = schema.encode(&document) {
                prop_assert!(schema.decode(&bytes).is_ok(), "{of} {document}");
            }
        }
    }
}
