//! The record that a letter becomes: its bytes, without what the failure left in the headers. Pure.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::plan::PlanHeader;
use crate::broker::{Name, Write};
use crate::config::profile::DeadLetters;
use crate::dlq::Letter;
use crate::dlq::formats::{StripRules, strip_rules};
use crate::event::{Digest, Headers};

/// Which letter it was: topic id, partition, offset. The same for every try.
pub const ID: &str = "redrive-id";
/// The run.
pub const RUN: &str = "redrive-run";
/// How often the record was redriven, this time included.
pub const COUNT: &str = "redrive-count";
/// Who.
pub const BY: &str = "redrive-by";
/// Where the record failed first: topic, partition, offset.
pub const ORIGIN: &str = "redrive-origin";

/// Which record a replay sends once more: topic, partition, offset.
pub const REPLAY: &str = "redrive-replay";

/// The headers that a redrive adds, and so replaces.
pub const ADDED: [&str; 5] = [ID, RUN, COUNT, BY, ORIGIN];

/// What a run says of itself in headers.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Run id.
    pub run: &'a str,
    /// Who.
    pub operator: &'a str,
}

/// Makes records from letters as a plan says.
pub struct Recipe<'a> {
    header: &'a PlanHeader,
    config: &'a DeadLetters,
    strip: StripRules,
    by_format: HashMap<Option<Arc<str>>, StripRules>,
}

impl<'a> Recipe<'a> {
    /// The recipe of a plan.
    pub fn new(header: &'a PlanHeader, config: &'a DeadLetters) -> Self {
        let (prefixes, names): (Vec<&String>, Vec<&String>) =
            header.options.strip_headers.iter().partition(|s| s.ends_with('*'));
        let strip = StripRules {
            names: names.into_iter().cloned().collect(),
            prefixes: prefixes.into_iter().map(|p| p.trim_end_matches('*').to_owned()).collect(),
            ..StripRules::default()
        };
        Self { header, config, strip, by_format: HashMap::new() }
    }

    /// The record for a letter, to be written to `topic` and `partition`. `count` is what the header says.
    pub fn write(
        &mut self,
        letter: &Letter,
        topic: &Name,
        partition: i32,
        count: u32,
        stamp: Stamp<'_>,
    ) -> Write {
        let config = self.config;
        let formats: Vec<Option<Arc<str>>> = wrote(letter).collect();
        for format in &formats {
            self.by_format.entry(format.clone()).or_insert_with(|| strip_rules(format.as_deref(), config));
        }
        let rules: Vec<&StripRules> = formats.iter().filter_map(|f| self.by_format.get(f)).collect();
        let strips = |name: &[u8]| self.strip.strips(name) || rules.iter().any(|rules| rules.strips(name));
        let ours = |name: &[u8]| ADDED.iter().chain([&REPLAY]).any(|n| n.as_bytes() == name);
        let mut headers = Headers::default();
        for (name, value) in letter.record.headers.iter() {
            if !strips(name) && !ours(name) {
                headers.push(name.clone(), value.cloned());
            }
        }
        for (name, value) in &self.header.options.add_headers {
            headers.push(name.clone().into_bytes(), Some(value.clone().into_bytes().into()));
        }
        let at = &letter.record.at;
        let source = self.header.source.topic_id.as_deref().unwrap_or(&self.header.source.topic);
        let part = |n: Option<i64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let root = &letter.root;
        let origin = format!(
            "{}:{}:{}",
            root.topic.as_deref().unwrap_or("?"),
            part(root.partition.map(i64::from)),
            part(root.offset)
        );
        if self.header.replay {
            let at = format!("{}:{}:{}", at.topic, at.partition, at.offset);
            for (name, value) in [(REPLAY, at), (RUN, stamp.run.to_owned()), (BY, stamp.operator.to_owned())]
            {
                headers.push(name, Some(Bytes::from(value)));
            }
        } else {
            let values = [
                format!("{source}:{}:{}", at.partition, at.offset),
                stamp.run.to_owned(),
                count.to_string(),
                stamp.operator.to_owned(),
                origin,
            ];
            for (name, value) in ADDED.into_iter().zip(values) {
                headers.push(name, Some(Bytes::from(value)));
            }
        }
        Write {
            topic: Name::clone(topic),
            partition: Some(partition),
            key: key(letter).cloned(),
            value: value(letter).cloned(),
            headers,
            timestamp: (self.header.options.keep_timestamps)
                .then(|| root.timestamp.or(letter.record.timestamp()))
                .flatten(),
        }
    }
}

/// The formats that wrote to the letter: of each the headers are taken off.
pub fn wrote(letter: &Letter) -> impl Iterator<Item = Option<Arc<str>>> {
    std::iter::once(letter.format.clone()).chain(letter.others.iter().cloned().map(Some))
}

/// The key of the record that failed.
pub fn key(letter: &Letter) -> Option<&Bytes> {
    letter.original_key.as_ref().unwrap_or(&letter.record.key).as_ref()
}

/// The value of the record that failed.
pub fn value(letter: &Letter) -> Option<&Bytes> {
    letter.original_value.as_ref().unwrap_or(&letter.record.value).as_ref()
}

/// How often the letter's record was redriven before, as its header says.
pub fn counted(letter: &Letter) -> u32 {
    let header = letter.record.headers.last(COUNT);
    header.and_then(|v| std::str::from_utf8(v).ok()).and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

/// Bytes of a record as the broker counts them: a batch with this one record, before compression.
pub fn batch_size(write: &Write) -> usize {
    // Batch header 61 bytes; lengths, timestamp and offset of the record at most 27, five a header's length.
    let headers: usize =
        write.headers.iter().map(|(n, v)| 10 + n.len() + v.map_or(0, bytes::Bytes::len)).sum();
    88 + write.key.as_ref().map_or(0, Bytes::len) + write.value.as_ref().map_or(0, Bytes::len) + headers
}

/// The same as a redrive sends it: compressed with LZ4, where that makes it smaller.
pub fn sent_size(write: &Write) -> usize {
    let raw = batch_size(write);
    let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
    let parts = write.headers.iter().flat_map(|(name, value)| [Some(name), value]);
    let written = parts
        .chain([write.key.as_ref(), write.value.as_ref()])
        .flatten()
        .try_for_each(|part| frame.write_all(part));
    let compressed = written.ok().and_then(|()| frame.finish().ok());
    // Batch header, and the record's own lengths.
    compressed.map_or(raw, |bytes| raw.min(88 + bytes.len()))
}

/// Digest of key and value alone.
pub fn body(key: Option<&Bytes>, value: Option<&Bytes>) -> Digest {
    crate::event::Record {
        at: crate::event::Position::new("", 0, 0),
        time: None,
        key: key.cloned(),
        value: value.cloned(),
        headers: Headers::default(),
        lease: None,
    }
    .digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_as_large_as_it_is_sent() {
        let write = |value: Vec<u8>| Write {
            topic: "orders".into(),
            partition: None,
            key: None,
            value: Some(value.into()),
            headers: Headers::default(),
            timestamp: None,
        };
        let dull = write(vec![b'x'; 900_000]);
        assert!(batch_size(&dull) > 900_000 && sent_size(&dull) < 10_000);
        let noise: Vec<u8> = (0..1_000).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
        assert_eq!(sent_size(&write(noise.clone())), batch_size(&write(noise)));
    }
}
