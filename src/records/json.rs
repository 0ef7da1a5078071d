//! A record as JSON: one line of `tail`.

use serde::Serialize;
use serde_json::Value;

use crate::event::envelope::Envelope;
use crate::event::{Record, TimeKind, codec, envelope};
use crate::text::Timestamp;

/// One record, decoded.
#[derive(Clone, Debug, Serialize)]
pub struct RecordDocument<'r> {
    topic: &'r str,
    partition: i32,
    offset: i64,
    timestamp: Option<Timestamp>,
    timestamp_type: Option<&'static str>,
    key: Value,
    key_encoding: &'static str,
    value: Value,
    value_encoding: &'static str,
    decoder: &'static str,
    headers: Value,
    event: Envelope,
    size: usize,
}

impl<'r> RecordDocument<'r> {
    /// Decodes a record.
    pub fn new(record: &'r Record) -> Self {
        let (key, key_encoding) = codec::encode_key(record.key.as_deref());
        let (value, value_encoding) = codec::encode_bytes(record.value.as_deref());
        let kind = |kind| match kind {
            TimeKind::Create => "create_time",
            TimeKind::LogAppend => "log_append_time",
        };
        Self {
            topic: &record.at.topic,
            partition: record.at.partition,
            offset: record.at.offset,
            timestamp: record.timestamp(),
            timestamp_type: record.time.map(|time| kind(time.kind)),
            key,
            key_encoding,
            value,
            value_encoding,
            decoder: codec::decoder(value_encoding),
            headers: codec::encode_headers(&record.headers),
            event: envelope::extract(record),
            size: record.size(),
        }
    }
}
