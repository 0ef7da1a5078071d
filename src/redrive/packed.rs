//! The letters of a plan, packed: most of the 36 bytes that one usually takes are its digest. Pure.
//!
//! Numbers are written as the difference to the letter before, in as few bytes as they need. Limits: letters are
//! added at the end and read in order.

use super::plan::PlannedLetter;
use crate::event::Digest;

/// Bytes of one allocation; each begins anew, without a letter before.
const CHUNK: usize = 64 << 10;

/// Letters in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letters {
    chunks: Vec<Vec<u8>>,
    len: usize,
    /// Partition and offset of the last letter in the last chunk.
    before: (i32, i64),
}

impl Letters {
    /// The number of letters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a letter at the end.
    pub fn push(&mut self, letter: &PlannedLetter) {
        let (chunk, anew) = room(&mut self.chunks);
        if anew {
            self.before = (0, 0);
        }
        let (partition, offset) = self.before;
        put_signed(chunk, i64::from(letter.partition) - i64::from(partition));
        put_signed(chunk, letter.offset.wrapping_sub(offset));
        put(chunk, letter.target.into());
        put_signed(chunk, letter.target_partition.into());
        chunk.extend_from_slice(&letter.sha256.0);
        self.before = (letter.partition, letter.offset);
        self.len += 1;
    }

    /// The letters in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { letters: self, cursor: Cursor::default() }
    }

    /// The letter behind the place, which moves on.
    pub fn next(&self, cursor: &mut Cursor) -> Option<PlannedLetter> {
        let chunk = self.chunks.get(cursor.chunk)?;
        let mut rest = chunk.get(cursor.at..)?;
        let partition = (i64::from(cursor.before.0) + take_signed(&mut rest)?) as i32;
        let offset = cursor.before.1.wrapping_add(take_signed(&mut rest)?);
        let (target, target_partition) = (take(&mut rest)? as u32, take_signed(&mut rest)? as i32);
        let (sha, rest) = rest.split_first_chunk::<32>()?;
        *cursor = if rest.is_empty() {
            Cursor { chunk: cursor.chunk + 1, ..Cursor::default() }
        } else {
            Cursor { at: chunk.len() - rest.len(), before: (partition, offset), ..*cursor }
        };
        Some(PlannedLetter { partition, offset, sha256: Digest(*sha), target, target_partition })
    }
}

impl FromIterator<PlannedLetter> for Letters {
    fn from_iter<I: IntoIterator<Item = PlannedLetter>>(letters: I) -> Self {
        let mut packed = Self::default();
        letters.into_iter().for_each(|letter| packed.push(&letter));
        packed
    }
}

impl<'l> IntoIterator for &'l Letters {
    type Item = PlannedLetter;
    type IntoIter = Iter<'l>;

    fn into_iter(self) -> Iter<'l> {
        self.iter()
    }
}

/// A place between two letters, from which they are read on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    chunk: usize,
    /// Bytes of the chunk before it.
    at: usize,
    /// Partition and offset of the letter before it.
    before: (i32, i64),
}

/// Reads letters in order.
#[derive(Clone, Debug)]
pub struct Iter<'l> {
    letters: &'l Letters,
    cursor: Cursor,
}

impl Iterator for Iter<'_> {
    type Item = PlannedLetter;

    fn next(&mut self) -> Option<PlannedLetter> {
        self.letters.next(&mut self.cursor)
    }
}

/// The chunk for what comes next, and whether it is a new one.
pub(super) fn room(chunks: &mut Vec<Vec<u8>>) -> (&mut Vec<u8>, bool) {
    // No entry is longer than this.
    let full = chunks.last().is_none_or(|chunk| chunk.len() + 256 > CHUNK);
    if full {
        chunks.push(Vec::with_capacity(CHUNK));
    }
    let last = chunks.len() - 1;
    (&mut chunks[last], full)
}

/// Writes a number in groups of seven bits, the lowest first.
pub(super) fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Writes a number so that small ones of either sign are short.
pub(super) fn put_signed(to: &mut Vec<u8>, number: i64) {
    put(to, (number.wrapping_shl(1) ^ (number >> 63)) as u64);
}

/// Reads what [`put`] wrote.
pub(super) fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads what [`put_signed`] wrote.
pub(super) fn take_signed(from: &mut &[u8]) -> Option<i64> {
    let number = take(from)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letter() -> impl Strategy<Value = PlannedLetter> {
        (any::<i32>(), any::<i64>(), any::<[u8; 32]>(), any::<u32>(), any::<i32>()).prop_map(
            |(partition, offset, sha, target, target_partition)| PlannedLetter {
                partition,
                offset,
                sha256: Digest(sha),
                target,
                target_partition,
            },
        )
    }

    proptest! {
        #[test]
        fn letters_are_read_as_they_were_added(letters in proptest::collection::vec(letter(), 0..50)) {
            let packed: Letters = letters.iter().copied().collect();
            prop_assert_eq!(packed.len(), letters.len());
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), letters);
        }
    }

    #[test]
    fn a_million_letters_in_order_take_36_bytes_each() {
        let letter = |i: i64| PlannedLetter {
            partition: (i / 200_000) as i32,
            offset: i % 200_000,
            sha256: Digest([i as u8; 32]),
            target: 0,
            target_partition: 5,
        };
        let packed: Letters = (0..1_000_000).map(letter).collect();
        assert!(packed.iter().eq((0..1_000_000).map(letter)));
        let bytes: usize = packed.chunks.iter().map(Vec::capacity).sum();
        assert!(bytes < 36_500_000, "{bytes}");
    }
}
