//! Where clients put a key: the partitions of a key by the two hashes that are in use.

use super::murmur2;

/// How a producer chooses the partition of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// Murmur2, as the Java client and most others do (librdkafka's `murmur2` and `murmur2_random`).
    Murmur2,
    /// CRC-32, as librdkafka does by default (`consistent` and `consistent_random`).
    Crc32,
}

impl Partitioner {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Murmur2, Self::Crc32];

    /// Whose choice it is, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2, the Java client's",
            Self::Crc32 => "CRC-32, librdkafka's",
        }
    }

    /// The partition of `key` among `partitions`; `None` where the client chooses freely: without partitions, and for
    /// an empty key where it counts as none.
    pub fn partition(self, key: &[u8], partitions: i32) -> Option<i32> {
        match self {
            Self::Murmur2 => murmur2::partition(key, partitions),
            // `consistent_random` places an empty key at random.
            Self::Crc32 if key.is_empty() => None,
            Self::Crc32 => {
                let count = u32::try_from(partitions).ok().filter(|count| *count > 0)?;
                i32::try_from(crc32fast::hash(key) % count).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lies_where_each_client_puts_it() {
        // The check value of CRC-32 (ISO-HDLC) is cbf43926.
        assert_eq!(
            Partitioner::Crc32.partition(b"123456789", i32::MAX),
            Some((0xcbf4_3926_u32 % (i32::MAX as u32)) as i32)
        );
        assert_eq!(Partitioner::Crc32.partition(b"", 6), None);
        assert_eq!(Partitioner::Murmur2.partition(b"foobar", 6), murmur2::partition(b"foobar", 6));
        assert_eq!(Partitioner::Crc32.partition(b"a", 0), None);
    }
}
