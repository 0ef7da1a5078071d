//! A letter as JSON: one line of `dlq letters`.

use serde_json::{Map, Value, json};

use super::document::LetterRow;
use crate::dlq;
use crate::event::{codec, envelope};

/// One line of `dlq letters`.
pub fn letter_json(row: &LetterRow) -> Value {
    let letter = &*row.letter;
    let record = &letter.record;
    let (key, key_encoding) = codec::encode_key(record.key.as_deref());
    let (value, value_encoding) = codec::encode_bytes(record.value.as_deref());
    let mut out = Map::new();
    out.insert(
        "position".into(),
        json!({
            "topic": record.at.topic,
            "partition": record.at.partition,
            "offset": record.at.offset,
        }),
    );
    out.insert("timestamp".into(), json!(record.timestamp()));
    out.insert("state".into(), json!(row.state.map(crate::ledger::Disposition::as_str)));
    out.extend(dlq::document(letter));
    out.insert("failure_id".into(), json!(letter.failure.id));
    out.insert("duplicate".into(), json!(row.duplicate));
    out.insert("key".into(), key);
    out.insert("key_encoding".into(), json!(key_encoding));
    out.insert("value".into(), value);
    out.insert("value_encoding".into(), json!(value_encoding));
    out.insert("headers".into(), codec::encode_headers(&record.headers));
    out.insert("event".into(), json!(envelope::extract(record)));
    out.insert("redrive".into(), json!(row.redrive));
    out.insert("history".into(), json!(row.history));
    out.insert("notes".into(), json!(letter.notes));
    Value::Object(out)
}
