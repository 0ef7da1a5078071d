//! The record that a letter becomes: its bytes, without what the failure left in the headers. Pure.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::outline::Outline;
use super::parcel::{Packer, Parcel};
use super::plan::PlanHeader;
use crate::broker::Write;
use crate::config::profile::Profile;
use crate::dlq::Letter;
use crate::dlq::formats::{StripRules, strip_rules};

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

impl<'a> Stamp<'a> {
    /// That of a run that is only planned: as long as a run's own.
    pub fn planned(header: &'a PlanHeader) -> Self {
        Self { run: "00000000000000000000000000000000", operator: &header.operator }
    }
}

/// Makes records from letters as a plan says.
pub struct Recipe {
    header: PlanHeader,
    profile: Arc<Profile>,
    strip: StripRules,
    by_format: HashMap<Option<Arc<str>>, StripRules>,
    /// What became of the headers of the last letter: those of the next one are mostly the same.
    layout: Layout,
    /// Run and operator as they stand in headers.
    stamps: [Box<[u8]>; 2],
    /// Room for the bytes of records.
    chunk: BytesMut,
}

/// Names of headers in their order, and which of them stay.
#[derive(Default)]
struct Layout {
    formats: Vec<Option<Arc<str>>>,
    names: Vec<(Box<[u8]>, bool)>,
}

impl Recipe {
    /// The recipe of a plan.
    pub fn new(header: &PlanHeader, profile: &Arc<Profile>, stamp: Stamp<'_>) -> Self {
        let (prefixes, names): (Vec<&String>, Vec<&String>) =
            header.options.strip_headers.iter().partition(|s| s.ends_with('*'));
        let strip = StripRules {
            names: names.into_iter().cloned().collect(),
            prefixes: prefixes.into_iter().map(|p| p.trim_end_matches('*').to_owned()).collect(),
            ..StripRules::default()
        };
        let stamps = [stamp.run, stamp.operator].map(|text| text.as_bytes().into());
        Self {
            header: header.clone(),
            profile: Arc::clone(profile),
            strip,
            by_format: HashMap::new(),
            layout: Layout::default(),
            stamps,
            chunk: BytesMut::new(),
        }
    }

    /// Looks which headers of a letter stay that these formats wrote.
    fn lay_out<'l>(
        &mut self,
        formats: impl Iterator<Item = Option<&'l Arc<str>>> + Clone,
        names: impl Iterator<Item = &'l [u8]> + Clone,
    ) {
        let Layout { formats: known, names: laid } = &self.layout;
        let format = |format: Option<&'l Arc<str>>| format.map(|format| &**format);
        let is_known = formats.clone().map(format).eq(known.iter().map(Option::as_deref));
        if is_known && names.clone().eq(laid.iter().map(|(name, _)| &**name)) {
            return;
        }
        let config = &self.profile.dead_letters;
        let formats: Vec<Option<Arc<str>>> = formats.map(Option::<&Arc<str>>::cloned).collect();
        for format in &formats {
            self.by_format.entry(format.clone()).or_insert_with(|| strip_rules(format.as_deref(), config));
        }
        let rules: Vec<&StripRules> = formats.iter().filter_map(|f| self.by_format.get(f)).collect();
        let strips = |name: &[u8]| self.strip.strips(name) || rules.iter().any(|rules| rules.strips(name));
        let ours = |name: &[u8]| ADDED.iter().chain([&REPLAY]).any(|n| n.as_bytes() == name);
        let names = names.map(|name| (name.into(), !strips(name) && !ours(name))).collect();
        self.layout = Layout { formats, names };
    }

    /// Bytes of a batch with the record for a letter, at most, whatever its count.
    pub(super) fn size(&mut self, letter: &Outline<'_>) -> usize {
        const NUMBER: usize = 20;
        let headers = &letter.record.headers;
        self.lay_out(letter.wrote(), headers.iter().map(|(name, _)| *name));
        let length = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
        let kept = headers.iter().zip(&self.layout.names).filter(|(_, (_, stays))| *stays);
        let kept: usize = kept.map(|((name, value), _)| 10 + name.len() + length(*value)).sum();
        let added = self.header.options.add_headers.iter().map(|(n, v)| 10 + n.len() + v.len());
        let source = self.header.source.topic_id.as_deref().unwrap_or(&self.header.source.topic).len();
        let topics =
            source.max(letter.record.place.0.len()) + letter.root.topic.as_deref().map_or(1, str::len);
        let ours = ADDED.iter().map(|name| 10 + name.len() + NUMBER).sum::<usize>();
        let stamps: usize = self.stamps.iter().map(|stamp| stamp.len()).sum();
        88 + length(letter.key)
            + length(letter.value)
            + kept
            + added.sum::<usize>()
            + ours
            + topics
            + stamps
            + 4 * NUMBER
    }

    /// The record for a letter. `count` is what the header says.
    pub(super) fn write(&mut self, letter: &Outline<'_>, count: u32) -> Parcel {
        let own = &letter.record.headers;
        self.lay_out(letter.wrote(), own.iter().map(|(name, _)| *name));
        let Self { header, layout, stamps: [run, operator], chunk, .. } = self;
        let mut record = Packer::new(chunk, letter.key, letter.value);
        for ((name, value), _) in own.iter().zip(&layout.names).filter(|(_, (_, stays))| *stays) {
            record.header(name, *value);
        }
        for (name, value) in &header.options.add_headers {
            record.header(name.as_bytes(), Some(value.as_bytes()));
        }
        let (source, partition, offset) = letter.record.place;
        let own = [Some(i64::from(partition)), Some(offset)];
        if header.replay {
            record.header_with(REPLAY.as_bytes(), |to| place(to, source, own));
            record.header(RUN.as_bytes(), Some(run));
            record.header(BY.as_bytes(), Some(operator));
        } else {
            let source = header.source.topic_id.as_deref().unwrap_or(&header.source.topic);
            let root = &letter.root;
            record.header_with(ID.as_bytes(), |to| place(to, source, own));
            record.header(RUN.as_bytes(), Some(run));
            record.header(COUNT.as_bytes(), Some(itoa::Buffer::new().format(count).as_bytes()));
            record.header(BY.as_bytes(), Some(operator));
            let first = [root.partition.map(i64::from), root.offset];
            let topic = root.topic.as_deref().unwrap_or("?");
            record.header_with(ORIGIN.as_bytes(), |to| place(to, topic, first));
        }
        record.seal(header.options.keep_timestamps.then(|| letter.time()).flatten())
    }
}

/// A topic with partition and offset, as headers name a place: what is not known is a question mark.
fn place(to: &mut BytesMut, topic: &str, numbers: [Option<i64>; 2]) {
    to.extend_from_slice(topic.as_bytes());
    for number in numbers {
        to.extend_from_slice(b":");
        match number {
            Some(number) => to.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
            None => to.extend_from_slice(b"?"),
        }
    }
}

/// The formats that wrote to the letter: of each the headers are taken off.
pub fn wrote(letter: &Letter) -> impl Iterator<Item = Option<&Arc<str>>> + Clone {
    std::iter::once(letter.format.as_ref()).chain(letter.others.iter().map(Some))
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
    letter.record.headers.last(COUNT).map_or(0, |value| count_of(value))
}

/// The number that the header says.
pub(super) fn count_of(value: &[u8]) -> u32 {
    std::str::from_utf8(value).ok().and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

/// Bytes of a record as the broker counts them: a batch with this one record, before compression.
pub fn batch_size(write: &Write) -> usize {
    // Batch header 61 bytes; lengths, timestamp and offset of the record at most 27, five a header's length.
    let headers: usize =
        write.headers.iter().map(|(n, v)| 10 + n.len() + v.map_or(0, bytes::Bytes::len)).sum();
    88 + write.key.as_ref().map_or(0, Bytes::len) + write.value.as_ref().map_or(0, Bytes::len) + headers
}

/// Bytes of a batch with this one record as a redrive sends it: compressed with LZ4, where that makes it smaller.
pub(super) fn sent_size(record: &Parcel) -> usize {
    let raw = record.batch_size();
    let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
    let written = record.parts().flatten().try_for_each(|part| frame.write_all(part));
    let compressed = written.ok().and_then(|()| frame.finish().ok());
    // Batch header, and the record's own lengths.
    compressed.map_or(raw, |bytes| raw.min(88 + bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_as_large_as_it_is_sent() {
        let write = |value: Vec<u8>| Packer::new(&mut BytesMut::new(), None, Some(&value)).seal(None);
        let dull = write(vec![b'x'; 900_000]);
        assert!(dull.batch_size() > 900_000 && sent_size(&dull) < 10_000);
        let noise: Vec<u8> = (0..1_000).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
        assert_eq!(sent_size(&write(noise.clone())), write(noise).batch_size());
    }
}
