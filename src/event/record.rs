//! One record as the broker gave it; bytes are not interpreted here.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::text::Timestamp;

/// Where a record is.
///
/// `offset` is the record's place in the order of its partition, whatever the broker calls it (Kafka's
/// offset, JetStream's sequence). A broker that leases records instead of keeping a log numbers them in
/// the order of delivery and keeps its receipt in [`Record::lease`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Topic (stream, queue).
    pub topic: Arc<str>,
    /// Partition (shard); 0 where the broker has none.
    pub partition: i32,
    /// Place in the partition's order.
    pub offset: i64,
}

impl Position {
    /// Makes a position.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32, offset: i64) -> Self {
        Self { topic: topic.into(), partition, offset }
    }
}

impl fmt::Display for Position {
    /// `orders[3] @ 48211`; the topic's name is as the broker gave it: sanitise before showing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}] @ {}", self.topic, self.partition, self.offset)
    }
}

/// Who set a record's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeKind {
    /// The producer (Kafka's `CreateTime`).
    Create,
    /// The broker, on append (Kafka's `LogAppendTime`).
    LogAppend,
}

/// A record's timestamp and who set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTime {
    /// Who set it.
    pub kind: TimeKind,
    /// The time.
    pub at: Timestamp,
}

/// Headers in order, duplicates kept; a name is bytes, and a null value is not an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Headers(pub Vec<(Bytes, Option<Bytes>)>);

impl Headers {
    /// All values of the headers named `name`, in order; `None` is a null value.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = Option<&'a Bytes>> {
        self.0.iter().filter(move |(n, _)| n.as_ref() == name.as_bytes()).map(|(_, v)| v.as_ref())
    }

    /// The value of the last header named `name` that is not null.
    pub fn last<'a>(&'a self, name: &'a str) -> Option<&'a Bytes> {
        self.all(name).rev().flatten().next()
    }

    /// The value of the first header named `name` that is not null.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a Bytes> {
        self.all(name).flatten().next()
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: impl Into<Bytes>, value: Option<Bytes>) {
        self.0.push((name.into(), value));
    }

    /// The number of headers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, Option<&Bytes>)> + Clone {
        self.0.iter().map(|(n, v)| (n, v.as_ref()))
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub at: Position,
    /// Its timestamp; `None` where the broker keeps none.
    pub time: Option<RecordTime>,
    /// Key; null is not empty.
    pub key: Option<Bytes>,
    /// Value; null is a tombstone, not empty.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// The receipt under which a lease-based broker handed it out; `None` on a log.
    pub lease: Option<Arc<str>>,
}

impl Record {
    /// Size in bytes of key, value and headers: what budgets count.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.map_or(0, Bytes::len)).sum();
        self.payload() + headers
    }

    /// Size in bytes of key and value.
    pub fn payload(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// The timestamp alone.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time.map(|t| t.at)
    }

    /// A copy of a record whose bytes lie elsewhere, in one piece of memory.
    pub fn copy_of(bytes: &dyn RecordBytes, topic: Arc<str>) -> Self {
        let (_, partition, offset) = bytes.place();
        let mut all: Vec<u8> = Vec::new();
        let mut add = |part: &[u8]| {
            let from = all.len();
            all.extend_from_slice(part);
            from..all.len()
        };
        let (key, value) = (bytes.key().map(&mut add), bytes.value().map(&mut add));
        let mut headers = Vec::new();
        bytes.each_header(&mut |name, value| headers.push((add(name), value.map(&mut add))));
        let all = Bytes::from(all);
        let part = |range: std::ops::Range<usize>| all.slice(range);
        Self {
            at: Position::new(topic, partition, offset),
            time: bytes.time(),
            key: key.map(part),
            value: value.map(part),
            headers: Headers(
                headers.into_iter().map(|(name, value)| (part(name), value.map(part))).collect(),
            ),
            lease: None,
        }
    }

    /// The digest by which a plan knows it.
    pub fn digest(&self) -> Digest {
        let headers = self.headers.iter().map(|(name, value)| (&**name, value.map(|value| &**value)));
        digest(self.key.as_deref(), self.value.as_deref(), self.headers.len(), headers)
    }
}

/// SHA-256 over the header count (u64 big-endian), then key, value and each header's name and value,
/// each as one byte of presence, the length as u64 big-endian, and the bytes. No timestamp, no position.
fn digest<'r>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    count: usize,
    headers: impl Iterator<Item = Header<'r>>,
) -> Digest {
    /// Shorter parts are put together: to digest each of them alone takes longer than to copy it.
    const SHORT: usize = 1 << 10;
    /// One byte of presence, and the length.
    const HEAD: usize = 9;
    let mut sha = Sha256::new();
    let mut waiting = [0; 2 * SHORT];
    waiting[..8].copy_from_slice(&(count as u64).to_be_bytes());
    let mut filled = 8;
    let mut part = |bytes: Option<&[u8]>| {
        let (present, bytes) = (u8::from(bytes.is_some()), bytes.unwrap_or_default());
        let together = if bytes.len() > SHORT { 0 } else { bytes.len() };
        if filled + HEAD + together > waiting.len() {
            sha.update(&waiting[..filled]);
            filled = 0;
        }
        let (head, rest) = waiting[filled..].split_at_mut(HEAD);
        head[0] = present;
        head[1..].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
        rest[..together].copy_from_slice(&bytes[..together]);
        filled += HEAD + together;
        if bytes.len() > together {
            sha.update(&waiting[..filled]);
            sha.update(bytes);
            filled = 0;
        }
    };
    part(key);
    part(value);
    for (name, value) in headers {
        part(Some(name));
        part(value);
    }
    sha.update(&waiting[..filled]);
    Digest(sha.finalize().into())
}

/// The bytes of a record wherever they lie: what cheap tests look at before anything is copied.
pub trait RecordBytes {
    /// Topic, partition and offset.
    fn place(&self) -> (&str, i32, i64);
    /// Timestamp.
    fn time(&self) -> Option<RecordTime>;
    /// Key; null is not empty.
    fn key(&self) -> Option<&[u8]>;
    /// Value; null is a tombstone.
    fn value(&self) -> Option<&[u8]>;
    /// Gives each header's name and value to `each`, in order.
    fn each_header<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], Option<&'s [u8]>));
}

impl RecordBytes for Record {
    fn place(&self) -> (&str, i32, i64) {
        (&self.at.topic, self.at.partition, self.at.offset)
    }

    fn time(&self) -> Option<RecordTime> {
        self.time
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn each_header<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], Option<&'s [u8]>)) {
        for (name, value) in self.headers.iter() {
            each(name, value.map(AsRef::as_ref));
        }
    }
}

/// A header where its bytes lie: name and value.
pub type Header<'r> = (&'r [u8], Option<&'r [u8]>);

/// The parts of a record where they lie, with its headers taken apart: once for all who look at them.
#[derive(Clone, Debug)]
pub struct Parts<'r> {
    /// Topic, partition and offset.
    pub place: (&'r str, i32, i64),
    /// Timestamp.
    pub time: Option<RecordTime>,
    /// Key; null is not empty.
    pub key: Option<&'r [u8]>,
    /// Value; null is a tombstone.
    pub value: Option<&'r [u8]>,
    /// Headers in order.
    pub headers: Vec<Header<'r>>,
}

impl<'r> Parts<'r> {
    /// The parts of a record.
    pub fn of(record: &'r dyn RecordBytes) -> Self {
        let mut headers = Vec::with_capacity(16);
        record.each_header(&mut |name, value| headers.push((name, value)));
        let (place, time) = (record.place(), record.time());
        Self { place, time, key: record.key(), value: record.value(), headers }
    }

    /// Size in bytes, as [`Record::size`] counts it.
    pub fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + length(*value));
        length(self.key) + length(self.value) + headers.sum::<usize>()
    }

    /// The timestamp alone.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time.map(|time| time.at)
    }

    /// The digest of the record, as [`Record::digest`] makes it.
    pub fn digest(&self) -> Digest {
        digest(self.key, self.value, self.headers.len(), self.headers.iter().copied())
    }
}

impl RecordBytes for Parts<'_> {
    fn place(&self) -> (&str, i32, i64) {
        self.place
    }

    fn time(&self) -> Option<RecordTime> {
        self.time
    }

    fn key(&self) -> Option<&[u8]> {
        self.key
    }

    fn value(&self) -> Option<&[u8]> {
        self.value
    }

    fn each_header<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], Option<&'s [u8]>)) {
        self.headers.iter().for_each(|(name, value)| each(name, *value));
    }
}

/// SHA-256 of a record's bytes, as [`Record::digest`] makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Its hex digits.
    fn hex(&self) -> [u8; 64] {
        /// The digits of each byte: rows of millions of letters are written with them.
        const DIGITS: [[u8; 2]; 256] = {
            const DIGIT: &[u8; 16] = b"0123456789abcdef";
            let mut all = [[0; 2]; 256];
            let mut byte = 0;
            while byte < 256 {
                all[byte] = [DIGIT[byte >> 4], DIGIT[byte & 15]];
                byte += 1;
            }
            all
        };
        let mut text = [0; 64];
        for (to, byte) in text.chunks_exact_mut(2).zip(self.0) {
            to.copy_from_slice(&DIGITS[usize::from(byte)]);
        }
        text
    }

    /// Reads 64 hex digits.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let digits: &[u8; 64] = digits.try_into().ok()?;
        // Without a branch or a table, so that many digits are read at once.
        let (mut values, mut wrong) = ([0; 64], 0);
        for (value, digit) in values.iter_mut().zip(digits) {
            let decimal = digit.wrapping_sub(b'0');
            let letter = (digit | 0x20).wrapping_sub(b'a');
            wrong |= u8::from(decimal >= 10) & u8::from(letter >= 6);
            *value = if decimal < 10 { decimal } else { letter.wrapping_add(10) };
        }
        let mut out = [0; 32];
        for (to, pair) in out.iter_mut().zip(values.chunks_exact(2)) {
            *to = pair[0] << 4 | pair[1];
        }
        (wrong == 0).then_some(Self(out))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::from_hex(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("not 64 hex digits"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_parts_one_after_another_whatever_their_length() {
        for length in [0, 1, 63, 1_000, 1_023, 1_024, 1_025, 3_000] {
            let mut headers = Headers::default();
            for n in 0..5_u8 {
                headers.push(vec![n; 20], (n != 3).then(|| vec![n; length / 2].into()));
            }
            let record = Record {
                at: Position::new("t", 0, 0),
                time: None,
                key: None,
                value: Some(vec![7; length].into()),
                headers,
                lease: None,
            };
            let mut sha = Sha256::new();
            sha.update(5_u64.to_be_bytes());
            let mut part = |bytes: Option<&Bytes>| {
                sha.update([u8::from(bytes.is_some())]);
                sha.update((bytes.map_or(0, Bytes::len) as u64).to_be_bytes());
                sha.update(bytes.map_or(&[][..], Bytes::as_ref));
            };
            part(None);
            part(record.value.as_ref());
            for (name, value) in record.headers.iter() {
                part(Some(name));
                part(value);
            }
            let digest = Digest(sha.finalize().into());
            assert_eq!((record.digest(), Parts::of(&record).digest()), (digest, digest), "{length}");
            assert_eq!(Parts::of(&record).size(), record.size());
        }
    }
}
