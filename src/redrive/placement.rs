//! To which partition of its target a record goes. Pure.
//!
//! Brokers keep no history of partition counts, so the letters themselves are the sample: where every key lies
//! where the Java client's murmur2 puts it, or would have with fewer partitions, that rule is followed; else the
//! producer had a partitioner of its own, and the original partition is kept.

use std::collections::HashMap;

use super::found::Key;
use crate::event::murmur2;

/// So many distinct keys make a sample.
const SAMPLE: usize = 20;
/// More of them are not looked at.
const MOST: usize = 100_000;

/// How a target's partitions are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// By key, as the Java client does.
    Murmur2,
    /// By key; the topic had so many partitions when the records were written first.
    Grown {
        /// Partitions then.
        from: i32,
    },
    /// The original partition, where it exists.
    Original,
}

/// Finds the rule for a topic with `partitions` partitions from keys and the partitions where they were.
pub(super) fn rule(partitions: i32, seen: impl Iterator<Item = (Key, i32)>) -> Rule {
    let mut sample: HashMap<u64, (i32, i32)> = HashMap::new();
    for (key, partition) in seen {
        if sample.len() >= MOST {
            break;
        }
        // One key on two partitions: no partitioner by key explains that.
        if sample.entry(key.hash).or_insert((key.murmur2, partition)).1 != partition {
            return Rule::Original;
        }
    }
    let fits = |n: i32| sample.values().all(|(hash, at)| murmur2::partition_of(*hash, n) == Some(*at));
    if sample.len() < SAMPLE {
        return Rule::Original;
    }
    if fits(partitions) {
        return Rule::Murmur2;
    }
    match (1..partitions).rev().find(|n| fits(*n)) {
        Some(from) => Rule::Grown { from },
        None => Rule::Original,
    }
}

/// The partition for one record. `turn` is a count that spreads records with neither key nor original partition.
pub(super) fn place(rule: Rule, partitions: i32, key: Option<Key>, original: Option<i32>, turn: u64) -> i32 {
    let original = original.filter(|p| (0..partitions).contains(p));
    let hashed = key.and_then(|key| murmur2::partition_of(key.murmur2, partitions));
    let turn = i32::try_from(turn % u64::from(partitions.max(1).unsigned_abs())).unwrap_or(0);
    match rule {
        Rule::Original => original.or(hashed),
        Rule::Murmur2 | Rule::Grown { .. } => hashed.or(original),
    }
    .unwrap_or(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("order-{i}")).collect()
    }

    fn key(key: &str) -> Key {
        let hash = murmur2::hash(key.as_bytes());
        Key { hash: hash as u64, murmur2: hash }
    }

    fn found(keys: &[String], partitions: i32, at: impl Fn(&str) -> i32) -> Rule {
        rule(partitions, keys.iter().map(|k| (key(k), at(k))))
    }

    #[test]
    fn the_java_partitioner_is_recognised_also_on_a_topic_that_grew() {
        let keys = keys(40);
        let java = |n| move |k: &str| murmur2::partition(k.as_bytes(), n).unwrap();
        assert_eq!(found(&keys, 6, java(6)), Rule::Murmur2);
        assert_eq!(found(&keys, 6, java(4)), Rule::Grown { from: 4 });
        assert_eq!(found(&keys, 6, |k| k.len() as i32 % 6), Rule::Original);
        assert_eq!(found(&keys[..19], 6, java(6)), Rule::Original);
    }

    #[test]
    fn a_partition_that_is_gone_is_replaced_by_the_keys() {
        let hashed = murmur2::partition(b"order-1", 3).unwrap();
        let key = key("order-1");
        assert_eq!(place(Rule::Original, 3, Some(key), Some(7), 0), hashed);
        assert_eq!(place(Rule::Original, 3, Some(key), Some(2), 0), 2);
        assert_eq!(place(Rule::Murmur2, 3, Some(key), Some(2), 0), hashed);
        assert_eq!(place(Rule::Murmur2, 3, None, Some(2), 0), 2);
        assert_eq!(place(Rule::Murmur2, 3, None, None, 7), 1);
    }
}
