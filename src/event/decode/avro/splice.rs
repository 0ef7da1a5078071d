//! Avro's binary encoding of a document that changed in parts: what did not change keeps its bytes.
//!
//! A part that is equal to what was there is copied as it lies, with its blocks and its variants of unions, which the
//! document alone does not tell. A union keeps its variant where the new value fits it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::encode::{BytesAs, Writer, each_field};
use super::{AvroSchema, DEPTH, Field, Kind, Reader};
use crate::event::encode::Misfit;

impl AvroSchema {
    /// Writes `document` in the place of the one that `bytes` hold.
    pub fn splice(&self, bytes: &[u8], document: &Value) -> Result<Vec<u8>, Misfit> {
        let mut splice = Splice {
            reader: Reader { bytes, at: 0, nodes: 0, named: &self.named },
            writer: Writer {
                out: Vec::with_capacity(bytes.len() + 64),
                tried: 0,
                schema: self,
                text: BytesAs::Base64,
            },
        };
        splice.value(&self.root, document, 0)?;
        Ok(splice.writer.out)
    }
}

struct Splice<'b, 's> {
    reader: Reader<'b, 's>,
    writer: Writer<'s>,
}

/// A part as it was: what it says, and where it lies.
type Old = (Value, usize, usize);

impl Splice<'_, '_> {
    /// Reads what is there.
    fn old(&mut self, kind: &Kind, depth: usize) -> Result<Old, Misfit> {
        let start = self.reader.at;
        // Parts of what changed are read once for each level above them.
        self.reader.nodes = 0;
        let old = self.reader.value(kind, depth).map_err(Misfit::new)?;
        Ok((old, start, self.reader.at))
    }

    fn copy(&mut self, start: usize, end: usize) {
        self.writer.out.extend_from_slice(self.reader.bytes.get(start..end).unwrap_or_default());
    }

    /// Writes a value in the place of the one that the reader is at, and leaves the reader behind that.
    fn value(&mut self, kind: &Kind, new: &Value, depth: usize) -> Result<(), Misfit> {
        let (old, start, end) = self.old(kind, depth)?;
        if old == *new {
            self.copy(start, end);
            return Ok(());
        }
        if depth > DEPTH {
            return Err(Misfit::new(format!("it is nested deeper than {DEPTH} levels")));
        }
        self.reader.at = start;
        match (kind, new) {
            (Kind::Record(fields), Value::Object(members)) => self.record(fields, members, depth)?,
            (Kind::Union(variants), _) => self.union(variants, new, depth)?,
            (Kind::Array(of), Value::Array(items)) => self.array(of, items, depth)?,
            (Kind::Map(of), Value::Object(members)) => self.map(of, members, depth)?,
            (Kind::Named(name), _) => {
                let named = self.reader.named;
                let of = named.get(name).ok_or_else(|| Misfit::new(format!("{name} is not defined")))?;
                self.value(of, new, depth + 1)?;
            }
            _ => self.writer.value(kind, new, depth)?,
        }
        self.reader.at = end;
        Ok(())
    }

    fn record(&mut self, fields: &[Field], members: &Map<String, Value>, depth: usize) -> Result<(), Misfit> {
        each_field(fields, members, |field, member| match member {
            Some(member) => self.value(&field.kind, member, depth + 1),
            None => self.old(&field.kind, depth + 1).and_then(|_| self.writer.absent(field, depth)),
        })
    }

    fn union(&mut self, variants: &[Kind], new: &Value, depth: usize) -> Result<(), Misfit> {
        let index = self.reader.length().map_err(Misfit::new)?;
        let mark = self.writer.out.len();
        if let Some(variant) = variants.get(index) {
            self.writer.long(index as i64);
            if self.value(variant, new, depth + 1).is_ok() {
                return Ok(());
            }
            self.writer.out.truncate(mark);
        }
        self.writer.union(variants, new, depth)
    }

    fn array(&mut self, of: &Kind, items: &[Value], depth: usize) -> Result<(), Misfit> {
        let mut olds: Vec<Old> = Vec::new();
        let read = self.reader.blocks(|reader| {
            let start = reader.at;
            let old = reader.value(of, depth + 1)?;
            olds.push((old, start, reader.at));
            Ok(())
        });
        read.map_err(Misfit::new)?;
        if !items.is_empty() {
            self.writer.long(items.len() as i64);
        }
        // Where items came or went, those that stayed are found in their order.
        let paired = olds.len() == items.len();
        let mut next = 0;
        for (at, item) in items.iter().enumerate() {
            let same = || olds.iter().skip(next).position(|(old, ..)| old == item);
            let old = if paired { Some(at) } else { same().map(|behind| next + behind) };
            let written = match old.and_then(|old| olds.get(old)) {
                Some((_, start, _)) => {
                    self.reader.at = *start;
                    next = old.unwrap_or(next) + 1;
                    self.value(of, item, depth + 1)
                }
                None => self.writer.value(of, item, depth + 1),
            };
            written.map_err(|misfit| misfit.at(&format!("[{at}]")))?;
        }
        self.writer.long(0);
        Ok(())
    }

    fn map(&mut self, of: &Kind, members: &Map<String, Value>, depth: usize) -> Result<(), Misfit> {
        let mut olds: HashMap<String, usize> = HashMap::new();
        let read = self.reader.blocks(|reader| {
            let name = reader.text()?;
            // Of a name twice the last one is in the document.
            olds.insert(name, reader.at);
            reader.value(of, depth + 1).map(drop)
        });
        read.map_err(Misfit::new)?;
        if !members.is_empty() {
            self.writer.long(members.len() as i64);
        }
        for (name, member) in members {
            self.writer.bytes(name.as_bytes());
            let written = match olds.get(name) {
                Some(start) => {
                    self.reader.at = *start;
                    self.value(of, member, depth + 1)
                }
                None => self.writer.value(of, member, depth + 1),
            };
            written.map_err(|misfit| misfit.at(name))?;
        }
        self.writer.long(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::encode::{fitting, name_types};
    use super::*;

    fn schema(json: &Value) -> AvroSchema {
        AvroSchema::parse(&json.to_string(), &[]).unwrap()
    }

    #[test]
    fn blocks_and_variants_of_what_did_not_change_stay() {
        let of = json!({"type": "record", "name": "R", "fields": [
            {"name": "n", "type": "int"},
            {"name": "odd", "type": ["null", "string", "bytes"]},
            {"name": "tags", "type": {"type": "array", "items": ["string", "bytes"]}},
            {"name": "far", "type": {"type": "map", "values": "long"}}]});
        let schema = schema(&of);
        // Bytes where text would do; an array in two blocks, one with its size; a map in two blocks.
        let bytes = b"\x02\x04\x06abc\x01\x08\x02\x06abc\x02\x00\x02x\x00\x02\x02b\x04\x02\x02a\x02\x00";
        let document = schema.decode(bytes).unwrap();
        assert_eq!(document, json!({"n": 1, "odd": "YWJj", "tags": ["YWJj", "x"], "far": {"b": 2, "a": 1}}));
        assert_ne!(schema.encode(&document).unwrap(), bytes, "the document alone does not tell");
        assert_eq!(schema.splice(bytes, &document).unwrap(), bytes);
        let spliced = |change: &dyn Fn(&mut Value)| {
            let mut document = document.clone();
            change(&mut document);
            schema.splice(bytes, &document).unwrap()
        };
        assert_eq!(spliced(&|d| d["n"] = json!(2)), [b"\x04", &bytes[1..]].concat());
        let tags = b"\x02\x04\x06abc\x04\x02\x06abc\x00\x02y\x00\x02\x02b\x04\x02\x02a\x02\x00";
        assert_eq!(spliced(&|d| d["tags"][1] = json!("y")), tags);
        let more = b"\x02\x04\x06abc\x06\x00\x02z\x02\x06abc\x00\x02x\x00\x02\x02b\x04\x02\x02a\x02\x00";
        assert_eq!(spliced(&|d| d["tags"] = json!(["z", "YWJj", "x"])), more);
        let odd = b"\x02\x04\x02d\x01\x08\x02\x06abc\x02\x00\x02x\x00\x02\x02b\x04\x02\x02a\x02\x00";
        assert_eq!(spliced(&|d| d["odd"] = json!("ZA==")), odd, "it stays bytes");
        let text = b"\x02\x02\x06d! \x01\x08\x02\x06abc\x02\x00\x02x\x00\x02\x02b\x04\x02\x02a\x02\x00";
        assert_eq!(spliced(&|d| d["odd"] = json!("d! ")), text, "what is no base64 is text");
        let none = b"\x02\x00\x01\x08\x02\x06abc\x02\x00\x02x\x00\x02\x02b\x04\x02\x02a\x02\x00";
        assert_eq!(spliced(&|d| d["odd"] = Value::Null), none);
        let far = b"\x02\x04\x06abc\x01\x08\x02\x06abc\x02\x00\x02x\x00\x02\x02a\x02\x00";
        assert_eq!(
            spliced(&|d| {
                d["far"].as_object_mut().unwrap().remove("b");
            }),
            far
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        let of = json!({"type": "record", "name": "R", "fields": [
            {"name": "n", "type": "int"}, {"name": "l", "type": {"type": "array", "items": "int"}}]});
        let schema = schema(&of);
        let bytes = schema.encode(&json!({"n": 1, "l": [1, 2]})).unwrap();
        for (document, why) in [
            (json!({"n": 1, "l": [1, "x"]}), "l[1]: an integer was expected"),
            (json!({"n": 1, "l": [1, 2], "m": 1}), "m: the schema has no such field"),
            (json!({"l": [1, 2]}), "n: it is missing"),
        ] {
            let misfit = schema.splice(&bytes, &document).unwrap_err().to_string();
            assert!(misfit.starts_with(why), "{misfit}");
        }
    }

    /// Puts a value into the place of the one with this number.
    fn replace(document: &mut Value, number: &mut usize, by: &Value) {
        if *number == 0 {
            document.clone_from(by);
        }
        *number = number.wrapping_sub(1);
        match document {
            Value::Object(members) => members.values_mut().for_each(|member| replace(member, number, by)),
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, number, by)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn a_changed_document_fits_where_it_fits_anew_and_reads_the_same(
            (mut of, before) in fitting(3), (_, other) in fitting(1), place in 0_usize..12,
        ) {
            name_types(&mut of, &mut 0);
            let schema = schema(&of);
            let bytes = schema.encode(&before).unwrap();
            prop_assert_eq!(&schema.splice(&bytes, &before).unwrap(), &bytes);
            let mut after = before.clone();
            replace(&mut after, &mut place.clone(), &other);
            match (schema.splice(&bytes, &after), schema.encode(&after)) {
                (Ok(spliced), Ok(encoded)) => {
                    prop_assert_eq!(schema.decode(&spliced).unwrap(), schema.decode(&encoded).unwrap());
                }
                (spliced, encoded) => prop_assert_eq!(spliced.is_err(), encoded.is_err()),
            }
        }
    }
}
