//! What a letter says of its failure, as JSON: for `dlq letters` and for the `dead_letter` of a jq document.

use serde_json::{Map, Value, json};

use super::{Letter, Origin};

/// The fields of a letter, in order.
pub fn document(letter: &Letter) -> Map<String, Value> {
    let also: Map<String, Value> = letter.also.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
    let fields = [
        ("format", json!(letter.format)),
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
