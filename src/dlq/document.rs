//! What a letter says of its failure, as JSON: for `dlq letters` and for the `dead_letter` of a jq document.

use serde_json::{Map, Value, json};

use super::{Letter, Origin};
use crate::event::codec;

/// The fields of a letter, in order.
pub fn document(letter: &Letter) -> Map<String, Value> {
    let also: Map<String, Value> = letter.also.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
    let texts = |pairs: &[(&'static str, String)]| -> Value {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect::<Map<_, _>>().into()
    };
    let original = |kept: &Option<Option<bytes::Bytes>>| match kept {
        None => (Value::Null, Value::Null),
        Some(bytes) => {
            let (value, encoding) = codec::encode_bytes(bytes.as_deref());
            (value, json!(encoding))
        }
    };
    let (key, key_encoding) = original(&letter.original_key);
    let (value, value_encoding) = original(&letter.original_value);
    let fields = [
        ("format", json!(letter.format)),
        ("other_formats", json!(letter.others)),
        ("root", origin(&letter.root)),
        ("previous", letter.previous.as_ref().map_or(Value::Null, origin)),
        ("hops", json!(letter.hops)),
        ("error_class", json!(letter.error_class)),
        ("root_cause_class", json!(letter.root_cause_class)),
        ("message", json!(letter.message)),
        ("stack_trace", json!(letter.stack_trace)),
        ("attempts", json!(letter.attempts)),
        ("failed_at", json!(letter.failed_at)),
        ("pointer", json!(letter.pointer)),
        ("also", Value::Object(also)),
        ("original_key", key),
        ("original_key_encoding", key_encoding),
        ("original_value", value),
        ("original_value_encoding", value_encoding),
        ("rules", texts(&letter.rules)),
        ("unknown", texts(&letter.unknown)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn origin(origin: &Origin) -> Value {
    json!({
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "timestamp": origin.timestamp,
        "group": origin.group,
    })
}
