//! The record that a letter becomes, on its way: all its bytes in one piece of memory. Pure.
//!
//! Hundreds of thousands of records wait between the thread that makes them and the one that sends them; a piece for each
//! key, value and header would be counted, handed over and given back by itself. Layout: the length of each part as four
//! bytes, all of them ones for a null, and its bytes: key, value, then name and value of each header.

use bytes::{Buf as _, Bytes, BytesMut};

use super::outgoing::COUNT;
use crate::broker::{EachHeader, Name, Outbound};
use crate::text::Timestamp;

/// Stands for the length of a null.
const NULL: u32 = u32::MAX;
/// Bytes of one allocation.
const CHUNK: usize = 64 << 10;

/// A record's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// Empty where they were given back.
    bytes: Bytes,
    headers: u32,
    /// Bytes of a batch with this one record.
    size: u32,
    /// `None` for now.
    timestamp: Option<Timestamp>,
}

impl Parcel {
    /// Key.
    pub fn key(&self) -> Option<&[u8]> {
        self.parts().next().flatten()
    }

    /// Value.
    pub fn value(&self) -> Option<&[u8]> {
        self.parts().nth(1).flatten()
    }

    /// Name and value of each header, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut parts = self.parts().skip(2);
        std::iter::from_fn(move || Some((parts.next()?.unwrap_or_default(), parts.next()?)))
    }

    /// Key, value, and the names and values of headers.
    pub fn parts(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || {
            let length = rest.try_get_u32_le().ok()?;
            if length == NULL {
                return Some(None);
            }
            let part;
            (part, rest) = rest.split_at_checked(length as usize)?;
            Some(Some(part))
        })
    }

    /// Bytes of a batch with this one record, as the broker counts them, before compression.
    pub fn batch_size(&self) -> usize {
        self.size as usize
    }

    /// Gives its bytes back.
    pub fn release(&mut self) {
        self.bytes = Bytes::new();
    }

    /// Whether its bytes were given back.
    pub fn is_released(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of memory.
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Says another count.
    pub fn recount(&mut self, count: u32) {
        let is_count = |(name, _): &(&[u8], Option<&[u8]>)| *name == COUNT.as_bytes();
        let Some(last) = self.headers().collect::<Vec<_>>().iter().rposition(is_count) else { return };
        let count = count.to_string();
        let mut chunk = BytesMut::with_capacity(self.bytes.len() + count.len());
        let mut packer = Packer::new(&mut chunk, self.key(), self.value());
        for (number, (name, value)) in self.headers().enumerate() {
            packer.header(name, if number == last { Some(count.as_bytes()) } else { value });
        }
        *self = packer.seal(self.timestamp);
    }
}

/// Packs a record.
pub(super) struct Packer<'c> {
    chunk: &'c mut BytesMut,
    headers: u32,
}

impl<'c> Packer<'c> {
    /// Begins with key and value; what is left of `chunk` is for the next record.
    pub fn new(chunk: &'c mut BytesMut, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        // As much again for headers: where it is not enough, what was written is moved.
        let expected = 2 * (length(key) + length(value)) + 256;
        if chunk.capacity() < expected {
            *chunk = BytesMut::with_capacity(CHUNK.max(expected));
        }
        let mut packer = Self { chunk, headers: 0 };
        packer.part(key);
        packer.part(value);
        packer
    }

    fn part(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(NULL, |bytes| bytes.len() as u32);
        self.chunk.extend_from_slice(&length.to_le_bytes());
        self.chunk.extend_from_slice(bytes.unwrap_or_default());
    }

    /// Adds a header.
    pub fn header(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.headers += 1;
        self.part(Some(name));
        self.part(value);
    }

    /// Adds a header whose value `write` appends.
    pub fn header_with(&mut self, name: &[u8], write: impl FnOnce(&mut BytesMut)) {
        self.headers += 1;
        self.part(Some(name));
        let at = self.chunk.len();
        self.chunk.extend_from_slice(&[0; 4]);
        write(self.chunk);
        let length = (self.chunk.len() - at - 4) as u32;
        if let Some(place) = self.chunk.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// The record.
    pub fn seal(self, timestamp: Option<Timestamp>) -> Parcel {
        let bytes = self.chunk.split().freeze();
        // Batch header 61 bytes; lengths, timestamp and offset of the record at most 27, five a header's length. Here each
        // part has four.
        let size = 88 + bytes.len() as u32 - 8 + 2 * self.headers;
        Parcel { bytes, headers: self.headers, size, timestamp }
    }
}

/// A record and where it goes.
pub(super) struct Addressed<'p> {
    pub topic: &'p Name,
    pub partition: i32,
    pub parcel: &'p Parcel,
}

impl Outbound for Addressed<'_> {
    fn topic(&self) -> &Name {
        self.topic
    }

    fn partition(&self) -> Option<i32> {
        Some(self.partition)
    }

    fn key(&self) -> Option<&[u8]> {
        self.parcel.key()
    }

    fn value(&self) -> Option<&[u8]> {
        self.parcel.value()
    }

    fn header_count(&self) -> usize {
        self.parcel.headers as usize
    }

    fn each_header(&self, each: &mut EachHeader<'_>) {
        self.parcel.headers().for_each(|(name, value)| each(name, value));
    }

    fn timestamp(&self) -> Option<Timestamp> {
        self.parcel.timestamp
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::outgoing::batch_size;
    use super::*;
    use crate::broker::Write;
    use crate::event::Headers;

    type Part = Option<Vec<u8>>;

    fn part() -> impl Strategy<Value = Part> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))
    }

    fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Part)>> {
        let name =
            prop_oneof![Just(COUNT.as_bytes().to_vec()), proptest::collection::vec(any::<u8>(), 0..20)];
        proptest::collection::vec((name, part()), 0..6)
    }

    fn pack(chunk: &mut BytesMut, key: &Part, value: &Part, headers: &[(Vec<u8>, Part)]) -> Parcel {
        let mut packer = Packer::new(chunk, key.as_deref(), value.as_deref());
        for (number, (name, value)) in headers.iter().enumerate() {
            match value {
                Some(value) if number % 2 == 1 => packer.header_with(name, |to| to.extend_from_slice(value)),
                value => packer.header(name, value.as_deref()),
            }
        }
        packer.seal(Some(Timestamp(7)))
    }

    fn unpack(parcel: &Parcel) -> Write {
        let topic: Name = "orders".into();
        Addressed { topic: &topic, partition: 3, parcel }.to_write()
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_packed(
            records in proptest::collection::vec((part(), part(), headers()), 1..4),
            count in any::<u32>(),
        ) {
            // They share a chunk.
            let mut chunk = BytesMut::new();
            let packed: Vec<Parcel> =
                records.iter().map(|(key, value, headers)| pack(&mut chunk, key, value, headers)).collect();
            for ((key, value, headers), mut parcel) in records.into_iter().zip(packed) {
                let bytes = |part: Part| part.map(Bytes::from);
                let mut write = Write {
                    topic: "orders".into(),
                    partition: Some(3),
                    key: bytes(key),
                    value: bytes(value),
                    headers: Headers(headers.into_iter().map(|(n, v)| (n.into(), bytes(v))).collect()),
                    timestamp: Some(Timestamp(7)),
                };
                prop_assert_eq!(&unpack(&parcel), &write);
                prop_assert_eq!(parcel.batch_size(), batch_size(&write));
                parcel.recount(count);
                if let Some((_, last)) = write.headers.0.iter_mut().rfind(|(n, _)| **n == *COUNT.as_bytes()) {
                    *last = Some(count.to_string().into());
                }
                prop_assert_eq!(&unpack(&parcel), &write);
            }
        }
    }
}
