//! A record as JSON: one line of `tail`.

use serde::Serialize;
use serde_json::Value;

use crate::event::decode::{Decoded, Decoding, Patience, Side, is_printable};
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
    decoder: String,
    headers: Value,
    event: Envelope,
    size: usize,
}

impl<'r> RecordDocument<'r> {
    /// Decodes a record; a schema that is not known yet is waited for.
    pub fn new(record: &'r Record, decoding: &Decoding) -> Self {
        let value = decoding.decode(record, Side::Value, Patience::Wait);
        Self::of(record, decoding, value)
    }

    /// A record whose value is decoded already.
    pub fn of(record: &'r Record, decoding: &Decoding, value: Decoded) -> Self {
        let by_itself = decoding.order(&record.at.topic, Side::Key).is_none();
        let (key, key_encoding) = match &record.key {
            Some(key) if by_itself && is_printable(key) => codec::encode_key(Some(key)),
            _ => decoding.decode(record, Side::Key, Patience::Wait).encoded(),
        };
        let document = value.document();
        let event =
            envelope::extract_from(record, document.as_ref().or(record.value.as_ref()).map(AsRef::as_ref));
        let decoder = value.decoder.clone();
        let (value, value_encoding) = value.encoded();
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
            decoder,
            headers: codec::encode_headers(&record.headers),
            event,
            size: record.size(),
        }
    }
}
