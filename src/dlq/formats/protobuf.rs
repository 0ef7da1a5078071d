//! Protobuf without a schema: uForwarder's `DLQMetadata` and bakdata's `ProtoDeadLetter`. Both are read strictly:
//! any key and value may come by here, and few are one.

use super::avro::Avro;
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

/// bakdata's `ProtoDeadLetter` in Confluent's wire format; optional fields are wrapped in messages of one field.
pub(super) fn dead_letter(value: &[u8]) -> Option<Avro> {
    // Magic byte, schema id, and the first message of the schema.
    let [0, _, _, _, _, 0, rest @ ..] = value else { return None };
    let mut out = Avro::default();
    let mut has_cause = false;
    each_field(rest, |field, bytes| {
        match field {
            1 => text(bytes)?.clone_into(&mut out.description),
            2 => {
                has_cause = true;
                each_field(bytes, |field, bytes| {
                    let said = Some(text(wrapped(bytes, 2)?.1)?.to_owned());
                    match field {
                        1 => out.message = said,
                        2 => out.stack_trace = said,
                        3 => out.error_class = said,
                        _ => return None,
                    }
                    Some(())
                })?;
            }
            3 => out.value = Some(text(wrapped(bytes, 2)?.1)?.to_owned()),
            4 => out.topic = Some(text(wrapped(bytes, 2)?.1)?.to_owned()),
            5 => out.partition = Some(i32::try_from(wrapped(bytes, 0)?.0).ok()?),
            6 => out.offset = Some(wrapped(bytes, 0)?.0.cast_signed()),
            7 => out.timestamp = Some(millis(bytes)?),
            _ => return None,
        }
        Some(())
    })?;
    has_cause.then_some(out)
}

/// Hands out the fields of a message, all of which have a length.
fn each_field<'b>(mut rest: &'b [u8], mut take_one: impl FnMut(u64, &'b [u8]) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let length = (tag & 7 == 2).then(|| varint(&mut rest)).flatten()?;
        take_one(tag >> 3, take(&mut rest, length)?)?;
    }
    Some(())
}

/// The only field of a wrapper: a number, or bytes. What is left out is zero or empty.
fn wrapped(mut bytes: &[u8], wire: u64) -> Option<(u64, &[u8])> {
    if bytes.is_empty() {
        return Some((0, bytes));
    }
    if varint(&mut bytes)? != 8 | wire {
        return None;
    }
    let number = varint(&mut bytes)?;
    let content = if wire == 2 { take(&mut bytes, number)? } else { &[] };
    bytes.is_empty().then_some((number, content))
}

/// A `Timestamp` in milliseconds: seconds and nanoseconds.
fn millis(mut bytes: &[u8]) -> Option<i64> {
    let (mut seconds, mut nanos) = (0, 0);
    while !bytes.is_empty() {
        match varint(&mut bytes)? {
            0x08 => seconds = varint(&mut bytes)?.cast_signed(),
            0x10 => nanos = varint(&mut bytes)?.cast_signed(),
            _ => return None,
        }
    }
    seconds.checked_mul(1_000)?.checked_add(nanos / 1_000_000)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
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
    fn bakdatas_letter_is_read_with_what_is_left_out() {
        let letter = b"\0\0\0\0\x07\0\x0a\x04step\x12\x13\x0a\x04\x0a\x02no\x12\x04\x0a\x02tr\x1a\x05\x0a\x03a.B\x1a\x04\x0a\x02{}\
                       \x22\x08\x0a\x06orders\x2a\x00\x32\x02\x08\x07\x3a\x0b\x08\xbd\xfa\xff\xd7\x06\x10\xc0\x9f\xab\x03";
        let read = dead_letter(letter).unwrap();
        assert_eq!((read.description.as_str(), read.message.as_deref()), ("step", Some("no")));
        assert_eq!((read.error_class.as_deref(), read.stack_trace.as_deref()), (Some("a.B"), Some("tr")));
        assert_eq!((read.topic.as_deref(), read.partition, read.offset), (Some("orders"), Some(0), Some(7)));
        assert_eq!((read.value.as_deref(), read.timestamp), (Some("{}"), Some(1_795_161_405_007)));
        // Without a cause, cut, or of another schema's first message.
        assert_eq!(dead_letter(b"\0\0\0\0\x07\0\x0a\x04step"), None);
        assert_eq!(dead_letter(&letter[..30]), None);
        assert_eq!(dead_letter(b"\0\0\0\0\x07\0\x08\x01\x12\x00"), None);
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
