//! Protocol Buffers, read by a descriptor into a JSON document, and written from one.

mod splice;

use std::collections::HashMap;
use std::path::Path;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use serde_json::Value;

use crate::event::encode::Misfit;
pub(super) use splice::splice;

/// Larger messages are not read: as values they take a multiple of their bytes.
const LARGEST: usize = 16 << 20;

/// The types of one schema.
#[derive(Clone, Debug)]
pub struct ProtobufSchema {
    pool: DescriptorPool,
    /// The file that was asked for; empty for a set of descriptors.
    file: String,
}

/// Files in memory.
struct Sources(HashMap<String, String>);

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, source)
    }
}

impl ProtobufSchema {
    /// Compiles the text of a `.proto` file; `references` are the files that it imports, by name.
    pub fn parse(text: &str, references: &[(String, String)]) -> Result<Self, String> {
        let file = "schema.proto";
        let mut sources: HashMap<_, _> = references.iter().cloned().collect();
        sources.insert(file.to_owned(), text.to_owned());
        let mut resolver = ChainFileResolver::new();
        resolver.add(Sources(sources));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).open_file(file).map_err(|e| e.to_string())?;
        Ok(Self { pool: compiler.descriptor_pool(), file: file.to_owned() })
    }

    /// Reads a `.proto` file with what it imports from the same folder, or a set of descriptors (`protoc -o`).
    pub fn open(path: &Path) -> Result<Self, String> {
        let at = |why: String| format!("{}: {why}", path.display());
        if path.extension().is_some_and(|extension| extension == "proto") {
            let folder = path.parent().unwrap_or(Path::new("."));
            let mut compiler = protox::Compiler::new([folder]).map_err(|e| at(e.to_string()))?;
            compiler.include_imports(true).open_file(path).map_err(|e| at(e.to_string()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Self { pool: compiler.descriptor_pool(), file: name });
        }
        let bytes = std::fs::read(path).map_err(|e| at(e.to_string()))?;
        let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|e| at(e.to_string()))?;
        Ok(Self { pool, file: String::new() })
    }

    /// The message at `indexes`: the place of a top-level message in its file, then of those nested in it.
    pub fn at(&self, indexes: &[usize]) -> Result<MessageDescriptor, String> {
        let file = self.pool.get_file_by_name(&self.file).ok_or("the schema's file is not in it")?;
        let (first, nested) = indexes.split_first().unwrap_or((&0, &[]));
        let missing = || format!("the schema has no message {indexes:?}");
        let mut message = file.messages().nth(*first).ok_or_else(missing)?;
        for index in nested {
            let child = message.child_messages().nth(*index);
            message = child.ok_or_else(missing)?;
        }
        Ok(message)
    }

    /// Writes a document as a message, behind the message's place in its file as a framed payload has it.
    pub fn encode(&self, message: Option<&str>, document: &Value) -> Result<Vec<u8>, Misfit> {
        let message = self.named(message).map_err(Misfit::new)?;
        let place = self.place(&message).map_err(Misfit::new)?;
        let message = message_of(message, document)?;
        let mut out = Vec::new();
        // One zero stands for the first message.
        let numbers = if place == [0] { vec![0] } else { [&[place.len()][..], &place].concat() };
        for number in numbers {
            let mut rest = (number as u64) << 1;
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
        }
        out.extend(message.encode_to_vec());
        Ok(out)
    }

    /// What [`Self::at`] finds a message by.
    fn place(&self, message: &MessageDescriptor) -> Result<Vec<usize>, String> {
        let file = self.pool.get_file_by_name(&self.file).ok_or("the schema's file is not in it")?;
        let mut place = Vec::new();
        let mut message = message.clone();
        loop {
            let parent = message.parent_message();
            let index = match &parent {
                Some(parent) => parent.child_messages().position(|child| child == message),
                None => file.messages().position(|top| top == message),
            };
            let name = message.full_name();
            place.insert(0, index.ok_or_else(|| format!("{name} is no message of the schema's own file"))?);
            match parent {
                Some(parent) => message = parent,
                None => return Ok(place),
            }
        }
    }

    /// The message of this full name; without a name the only one, or the first of the file.
    pub fn named(&self, name: Option<&str>) -> Result<MessageDescriptor, String> {
        if let Some(name) = name {
            return self.pool.get_message_by_name(name).ok_or_else(|| format!("there is no message {name}"));
        }
        let mut all = self.pool.all_messages();
        match (all.next(), all.len()) {
            (Some(only), 0) => Ok(only),
            _ if !self.file.is_empty() => self.at(&[]),
            (None, _) => Err("there is no message in it".into()),
            _ => Err("there are several messages: name one behind a #".into()),
        }
    }
}

/// The message that a document says.
fn message_of(message: MessageDescriptor, document: &Value) -> Result<DynamicMessage, Misfit> {
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(document, &mut track);
    DynamicMessage::deserialize(message, reader).map_err(|e| {
        let place = track.path().to_string();
        let misfit = Misfit::new(e.to_string());
        if place == "." { misfit } else { misfit.at(&place) }
    })
}

/// Reads a message.
pub fn decode(message: MessageDescriptor, bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > LARGEST {
        return Err(format!("larger than {} MiB", LARGEST >> 20));
    }
    let name = message.full_name().to_owned();
    let message = DynamicMessage::decode(message, bytes).map_err(|e| format!("no {name}: {e}"))?;
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|e| format!("{name}: {e}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORDER: &str = "syntax = \"proto3\"; package trade; import \"money.proto\";
        message Order { string id = 1; Money total = 2; int64 count = 3; message Line { string sku = 1; } }";
    const MONEY: &str =
        "syntax = \"proto3\"; package trade; message Money { int32 cents = 1; Money more = 2; }";

    fn schema() -> ProtobufSchema {
        ProtobufSchema::parse(ORDER, &[("money.proto".to_owned(), MONEY.to_owned())]).unwrap()
    }

    #[test]
    fn messages_are_found_by_index_and_name_and_read_with_what_is_imported() {
        let order = schema().at(&[0]).unwrap();
        let bytes = b"\x0a\x02o1\x12\x02\x08\x05\x18\x07";
        assert_eq!(decode(order, bytes).unwrap(), json!({"id": "o1", "total": {"cents": 5}, "count": 7}));
        assert_eq!(schema().at(&[0, 0]).unwrap().full_name(), "trade.Order.Line");
        assert_eq!(schema().named(Some("trade.Money")).unwrap().name(), "Money");
        assert!(schema().at(&[4]).is_err() && schema().named(Some("trade.None")).is_err());
        assert!(ProtobufSchema::parse(ORDER, &[]).is_err());
    }

    #[test]
    fn what_is_written_is_read_again_and_what_does_not_fit_is_refused_with_its_place() {
        let document = json!({"id": "o1", "total": {"cents": 5}, "count": 7});
        let bytes = schema().encode(None, &document).unwrap();
        assert_eq!(bytes, b"\0\x0a\x02o1\x12\x02\x08\x05\x18\x07");
        let line = schema().encode(Some("trade.Order.Line"), &json!({"sku": "a"})).unwrap();
        assert_eq!(line, b"\x04\0\0\x0a\x01a", "two numbers: the first message, and the first within it");
        let why = |document| schema().encode(None, &document).unwrap_err().to_string();
        let place = why(json!({"id": "o1", "total": {"cents": "many"}}));
        assert!(place.starts_with("total.cents: "), "{place}");
        let unknown = why(json!({"id": "o1", "totl": 7}));
        assert!(unknown.contains("totl"), "{unknown}");
        assert!(schema().encode(Some("trade.Money"), &json!({})).is_err(), "a message of another file");
        assert!(schema().encode(Some("trade.None"), &json!({})).is_err());
    }

    #[test]
    fn a_message_that_holds_itself_is_not_followed_without_bound() {
        let mut bytes = Vec::new();
        for _ in 0..200 {
            let length = u32::try_from(bytes.len()).unwrap();
            let mut outer = vec![0x12];
            let mut rest = length;
            while rest >= 0x80 {
                outer.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            outer.push(rest as u8);
            outer.extend(&bytes);
            bytes = outer;
        }
        assert!(
            decode(schema().named(Some("trade.Money")).unwrap(), &bytes).unwrap_err().contains("recursion")
        );
    }
}
