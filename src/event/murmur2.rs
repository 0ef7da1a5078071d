//! Where the Java client puts a key: its 32-bit murmur2, so that a partition can be told without a broker.
//!
//! Source: `org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner.partitionForKey`.
//! librdkafka's own default is another one (CRC-32), so producers of other languages may place keys elsewhere.

/// The hash of `key` as the Java client computes it.
pub fn hash(key: &[u8]) -> i32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ key.len() as u32;
    let words = key.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        let mut k = word.iter().rev().fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        k = k.wrapping_mul(MULTIPLIER);
        k ^= k >> 24;
        k = k.wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ k;
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= hash >> 15;
    hash as i32
}

/// The partition of `key` in a topic with `partitions` partitions; `None` when there are none.
pub fn partition(key: &[u8], partitions: i32) -> Option<i32> {
    partition_of(hash(key), partitions)
}

/// The same of a key whose hash is known.
pub fn partition_of(hash: i32, partitions: i32) -> Option<i32> {
    (partitions > 0).then(|| (hash & i32::MAX) % partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_agrees_with_the_vectors_of_the_java_client() {
        // UtilsTest.testMurmur2 in Apache Kafka.
        for (key, expected) in [
            (&b"21"[..], -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ] {
            assert_eq!(hash(key), expected, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn a_negative_hash_still_names_a_partition() {
        assert_eq!(partition(b"21", 6), Some((-973_932_308_i32 as u32 % (1 << 31)) as i32 % 6));
        assert_eq!(partition(b"21", 0), None);
    }
}
