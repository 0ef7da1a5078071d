//! Records on their way to a broker.

use bytes::Bytes;

use super::Name;
use crate::event::Headers;
use crate::text::Timestamp;

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Topic; it must exist, none is ever created by writing.
    pub topic: Name,
    /// Partition; `None` lets the key decide as the Java client does (murmur2), or round robin without a key.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// Timestamp; `None` for now.
    pub timestamp: Option<Timestamp>,
}

/// Takes the name and the value of a header.
pub type EachHeader<'e> = dyn FnMut(&[u8], Option<&[u8]>) + 'e;

/// A record to be written, wherever its bytes lie.
pub trait Outbound: Sync {
    /// Topic.
    fn topic(&self) -> &Name;
    /// Partition, as [`Write::partition`] says it.
    fn partition(&self) -> Option<i32>;
    /// Key.
    fn key(&self) -> Option<&[u8]>;
    /// Value.
    fn value(&self) -> Option<&[u8]>;
    /// The number of headers.
    fn header_count(&self) -> usize;
    /// Gives each header's name and value to `each`, in order.
    fn each_header(&self, each: &mut EachHeader<'_>);
    /// Timestamp; `None` for now.
    fn timestamp(&self) -> Option<Timestamp>;

    /// A copy.
    fn to_write(&self) -> Write {
        let copy = Bytes::copy_from_slice;
        let mut headers = Headers::default();
        self.each_header(&mut |name, value| headers.push(copy(name), value.map(copy)));
        Write {
            topic: Name::clone(self.topic()),
            partition: self.partition(),
            key: self.key().map(copy),
            value: self.value().map(copy),
            headers,
            timestamp: self.timestamp(),
        }
    }
}

impl Outbound for Write {
    fn topic(&self) -> &Name {
        &self.topic
    }

    fn partition(&self) -> Option<i32> {
        self.partition
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn header_count(&self) -> usize {
        self.headers.len()
    }

    fn each_header(&self, each: &mut EachHeader<'_>) {
        self.headers.iter().for_each(|(name, value)| each(name, value.map(|value| &**value)));
    }

    fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    fn to_write(&self) -> Write {
        self.clone()
    }
}
