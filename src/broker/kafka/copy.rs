//! Records out of librdkafka's memory.
//!
//! A message of librdkafka keeps its whole fetch response alive; so what is given to the program is copied, into
//! chunks that many records share. A record that is kept for long keeps one chunk.

use bytes::{Bytes, BytesMut};

use super::ffi::Look;
use crate::broker::Name;
use crate::event::{Headers, Position, Record};

/// What one allocation holds; larger records have one of their own.
const CHUNK: usize = 64 << 10;

/// Names of headers that are kept.
const MOST_NAMES: usize = 64;

/// Copies records.
pub(super) struct Copier {
    chunk: BytesMut,
    /// Whether headers are copied.
    headers: bool,
    /// The names of the last record's headers: the next one mostly has the same, and shares them.
    names: Vec<Bytes>,
}

impl Copier {
    pub(super) fn new(headers: bool) -> Self {
        Self { chunk: BytesMut::new(), headers, names: Vec::new() }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if bytes.len() > CHUNK / 4 {
            return Bytes::copy_from_slice(bytes);
        }
        if self.chunk.capacity() < bytes.len() {
            self.chunk = BytesMut::with_capacity(CHUNK);
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }

    /// The name of the header at this place.
    fn name(&mut self, at: usize, name: &[u8]) -> Bytes {
        match self.names.get_mut(at) {
            Some(known) if **known == *name => known.clone(),
            // Of their own, so that they keep no chunk.
            Some(known) => {
                *known = Bytes::copy_from_slice(name);
                known.clone()
            }
            None if at < MOST_NAMES => {
                let name = Bytes::copy_from_slice(name);
                self.names.push(name.clone());
                name
            }
            None => self.bytes(name),
        }
    }

    /// The record that `message` holds.
    pub(super) fn record(&mut self, topic: &Name, message: Look<'_>) -> Record {
        let mut headers = Headers::default();
        if self.headers {
            message.headers(|name, value| {
                let name = self.name(headers.0.len(), name);
                headers.0.push((name, value.map(|value| self.bytes(value))));
            });
        }
        Record {
            at: Position::new(topic.clone(), message.partition(), message.offset()),
            time: message.time(),
            key: message.key().map(|key| self.bytes(key)),
            value: message.value().map(|value| self.bytes(value)),
            headers,
            lease: None,
        }
    }
}
