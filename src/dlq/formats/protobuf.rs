//! uForwarder's `DLQMetadata`, read strictly: any key may come by here, and few are one.

use crate::text::Timestamp;

/// Keys longer than this are none.
const LONGEST: usize = 1 << 20;

/// The metadata; what protobuf leaves out is zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata<'k> {
    /// Times that it was delivered again.
    pub retries: i64,
    /// Origin.
    pub topic: &'k str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Called `timestamp_ns`; what is written is milliseconds.
    pub time: i64,
    /// The original key; absent for null and for empty.
    pub data: Option<&'k [u8]>,
    /// Times that it was delivered again because of a time-out.
    pub timeouts: i64,
}

impl<'k> Metadata<'k> {
    /// Reads a key that is such metadata and nothing else: known fields only, each once, and an origin in it.
    pub fn read(key: &'k [u8]) -> Option<Self> {
        // Text does not begin like this, so that almost all keys end here.
        if key.len() > LONGEST || !matches!(key.first(), Some(0x08 | 0x12)) {
            return None;
        }
        let (mut out, mut rest, mut seen) = (Self::default(), key, 0_u8);
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let (field, wire) = (tag >> 3, tag & 7);
            if !(1..=7).contains(&field) || wire != if matches!(field, 2 | 6) { 2 } else { 0 } {
                return None;
            }
            let bit = 1 << field;
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            let number = varint(&mut rest)?;
            match field {
                2 => out.topic = std::str::from_utf8(take(&mut rest, number)?).ok()?,
                6 => out.data = Some(take(&mut rest, number)?),
                1 => out.retries = number.cast_signed(),
                3 => out.partition = i32::try_from(number).ok()?,
                4 => out.offset = number.cast_signed(),
                5 => out.time = number.cast_signed(),
                _ => out.timeouts = number.cast_signed(),
            }
        }
        let name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let is_topic = (1..=249).contains(&out.topic.len()) && out.topic.bytes().all(name);
        let sound = out.retries >= 0 && out.timeouts >= 0 && out.offset >= 0 && out.time > 0;
        (is_topic && sound).then_some(out)
    }

    /// The origin's timestamp, by its magnitude in milliseconds or nanoseconds.
    pub fn timestamp(&self) -> Timestamp {
        const NANOS: i64 = 100_000_000_000_000_000;
        Timestamp(if self.time >= NANOS { self.time / 1_000_000 } else { self.time })
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut out = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        out |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(out);
        }
    }
    None
}

fn take<'k>(rest: &mut &'k [u8], length: u64) -> Option<&'k [u8]> {
    let (taken, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As protobuf's own library writes it: retry_count 3, topic "orders", partition 2, offset 300, time, data "k1".
    const KEY: &[u8] = b"\x08\x03\x12\x06orders\x18\x02\x20\xac\x02\x28\xcf\xbc\xe4\xbf\x9f\x34\x32\x02k1";

    #[test]
    fn metadata_is_read_with_the_key_inside() {
        let read = Metadata::read(KEY).unwrap();
        assert_eq!((read.retries, read.topic, read.partition, read.offset), (3, "orders", 2, 300));
        assert_eq!((read.timestamp(), read.data), (Timestamp(1_795_161_661_007), Some(&b"k1"[..])));
    }

    #[test]
    fn whatever_is_left_out_is_zero() {
        let read = Metadata::read(b"\x12\x01a\x28\x01").unwrap();
        assert_eq!((read.partition, read.offset, read.data, read.retries), (0, 0, None, 0));
    }

    #[test]
    fn other_keys_are_none() {
        for key in [&b""[..], b"order-1", b"\x12\x01a", b"\x12\x01a\x28", b"\x08\x01\x28\x01", b"\x12\x02a"] {
            assert_eq!(Metadata::read(key), None, "{key:?}");
        }
        // Truncated, with more behind it, with a field twice, or with a name that is no topic's.
        assert_eq!(Metadata::read(&KEY[..KEY.len() - 1]), None);
        assert_eq!(Metadata::read(&[KEY, b"\x40\x01"].concat()), None);
        assert_eq!(Metadata::read(&[KEY, KEY].concat()), None);
        assert_eq!(Metadata::read(b"\x12\x02a \x28\x01"), None);
        assert_eq!(Metadata::read(b"\x12\x01a\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
