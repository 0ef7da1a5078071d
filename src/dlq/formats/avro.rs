//! bakdata's `DeadLetter` as Avro, in Confluent's wire format.
//!
//! Its schema is known, so no registry is needed. It is read strictly, to its last byte: a value of another
//! schema that begins alike must not be taken for one. Older versions of the schema end before the timestamp.

/// The letter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Avro {
    /// The value, as text.
    pub value: Option<String>,
    /// Origin.
    pub topic: Option<String>,
    /// Its partition.
    pub partition: Option<i32>,
    /// Its offset.
    pub offset: Option<i64>,
    /// In which step it failed.
    pub description: String,
    /// Class.
    pub error_class: Option<String>,
    /// Message.
    pub message: Option<String>,
    /// Stack trace.
    pub stack_trace: Option<String>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

impl Avro {
    /// Reads a value: a zero byte, four bytes of the schema's id, the record.
    pub fn dead_letter(bytes: &[u8]) -> Option<Self> {
        let [0, _, _, _, _, rest @ ..] = bytes else { return None };
        let mut rest = Rest(rest);
        let mut out = Self {
            value: rest.optional(Rest::text).ok()?,
            topic: rest.optional(Rest::text).ok()?,
            partition: rest.optional(|r| i32::try_from(r.long()?).ok()).ok()?,
            offset: rest.optional(Rest::long).ok()?,
            description: rest.text()?,
            error_class: rest.optional(Rest::text).ok()?,
            message: rest.optional(Rest::text).ok()?,
            stack_trace: rest.optional(Rest::text).ok()?,
            timestamp: None,
        };
        if !rest.0.is_empty() {
            out.timestamp = rest.optional(Rest::long).ok()?;
        }
        // Something of a failure must be in it.
        let tells = out.topic.is_some() || out.error_class.is_some() || out.stack_trace.is_some();
        (rest.0.is_empty() && tells).then_some(out)
    }
}

/// The bytes are no such record.
struct Foreign;

struct Rest<'b>(&'b [u8]);

impl Rest<'_> {
    /// A union of null and another type.
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<Option<T>, Foreign> {
        match self.long() {
            Some(0) => Ok(None),
            Some(1) => read(self).map(Some).ok_or(Foreign),
            _ => Err(Foreign),
        }
    }

    /// A zig-zag number of at most ten bytes.
    fn long(&mut self) -> Option<i64> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, after) = self.0.split_first()?;
            self.0 = after;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.long()?).ok()?;
        let (text, after) = self.0.split_at_checked(length)?;
        self.0 = after;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Avro's own encoder writes it, schema 7: value "{}", topic "orders", partition 1, offset 300, "step",
    /// class "a.B", no message, trace "t", timestamp.
    const VALUE: &[u8] = b"\0\0\0\0\x07\x02\x04{}\x02\x0corders\x02\x02\x02\xd8\x04\x08step\x02\x06a.B\x00\x02\x02t\x02\x9e\xf9\xc8\xff\xbe\x68";

    #[test]
    fn a_dead_letter_is_read_to_its_last_byte() {
        let read = Avro::dead_letter(VALUE).unwrap();
        assert_eq!(
            (read.topic.as_deref(), read.partition, read.offset),
            (Some("orders"), Some(1), Some(300))
        );
        assert_eq!((read.error_class.as_deref(), read.message), (Some("a.B"), None));
        assert_eq!((read.value.as_deref(), read.timestamp), (Some("{}"), Some(1_795_161_661_007)));
        let old = Avro::dead_letter(&VALUE[..VALUE.len() - 7]).unwrap();
        assert_eq!((old.stack_trace.as_deref(), old.timestamp), (Some("t"), None));
    }

    #[test]
    fn another_schemas_value_is_none() {
        assert_eq!(Avro::dead_letter(&VALUE[..VALUE.len() - 2]), None);
        assert_eq!(Avro::dead_letter(&[VALUE, b"x"].concat()), None);
        assert_eq!(Avro::dead_letter(b"\0\0\0\0\x07"), None);
        assert_eq!(Avro::dead_letter(b"\0\0\0\0\x07\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(Avro::dead_letter(b"\0\0\0\0\x07\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(Avro::dead_letter(b"{}"), None);
    }
}
