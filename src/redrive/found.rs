//! A letter as the planner keeps it: about 60 bytes, most of them its digest. Pure.
//!
//! What letters have in common (origin topic, group, failure, …) is kept once; the rest is written as the difference
//! to the letter before it in the same partition. They are read in order, partition by partition; nothing reads one
//! alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::origin::Place;
use super::outline::Outline;
use super::packed::{put, put_signed, room, take, take_signed};
use super::shape::Edited;
use crate::broker::Name;
use crate::dlq::formats::Hop;
use crate::dlq::letter::Origin;
use crate::event::{Digest, murmur2};
use crate::text::Timestamp;

/// What a plan needs of one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub partition: i32,
    pub offset: i64,
    pub sha256: Digest,
    pub time: Option<Timestamp>,
    /// What it has in common with others.
    pub kind: u32,
    pub origin_partition: Option<i32>,
    pub origin_offset: Option<i64>,
    pub origin_time: Option<Timestamp>,
    /// Partition and offset of the latest hop, where it says its place whole: what a redrive that failed again names.
    pub latest: Option<(i32, i64)>,
    pub key: Option<Key>,
    pub tombstone: bool,
    pub pointer: bool,
    /// What the header says of redrives before.
    pub count: u32,
    /// Bytes of a batch with the record that will be written, at most.
    pub size: usize,
    pub edited: Edited,
}

/// A key, as far as a plan looks at it: a hash that tells keys apart, and the one by which the Java client places them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub hash: u64,
    pub murmur2: i32,
}

/// What letters have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// Topic of the root.
    pub origin: Option<Name>,
    /// Topic of the latest hop.
    pub latest: Option<Name>,
    pub format: Option<Arc<str>>,
    /// The group that failed.
    pub group: Option<Name>,
    pub failure: Arc<str>,
    pub title: Arc<str>,
}

impl Kind {
    /// Where the record of a letter was first, if the letter says so whole.
    pub fn place(&self, letter: &Found) -> Option<Place> {
        Some((Name::clone(self.origin.as_ref()?), letter.origin_partition?, letter.origin_offset?))
    }
}

/// Shares equal names.
#[derive(Default)]
pub(super) struct Names {
    all: HashSet<Arc<str>>,
    /// The topic and the group of the last hop: those of the next one are mostly the same.
    last: [Option<Arc<str>>; 2],
}

impl Names {
    pub fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.all.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.all.insert(Arc::clone(&name));
        name
    }

    fn part(&mut self, part: usize, name: &str) -> Arc<str> {
        if let Some(last) = self.last[part].as_ref().filter(|last| ***last == *name) {
            return Arc::clone(last);
        }
        let shared = self.share(name);
        Arc::clone(self.last[part].insert(shared))
    }

    /// The origin that a hop names.
    pub fn origin(&mut self, hop: &Hop<'_>) -> Origin {
        Origin {
            topic: hop.topic.as_deref().map(|topic| self.part(0, topic)),
            partition: hop.partition,
            offset: hop.offset,
            timestamp: hop.timestamp,
            group: hop.group.as_deref().map(|group| self.part(1, group)),
        }
    }
}

/// The kinds met.
#[derive(Default)]
pub(super) struct Kinds {
    all: Vec<Kind>,
    numbers: HashMap<Kind, u32>,
    /// The title of each failure: that of its first letter.
    titles: HashMap<Arc<str>, Arc<str>>,
    last: u32,
    keys: RandomState,
}

impl Kinds {
    /// What a plan needs of a letter; `size` is that of the record that will be written.
    pub fn found(&mut self, letter: &Outline<'_>, sha256: Digest, edited: Edited, size: usize) -> Found {
        let (root, hop) = (&letter.root, &letter.latest);
        let (_, partition, offset) = letter.record.place;
        Found {
            partition,
            offset,
            sha256,
            time: letter.record.timestamp(),
            kind: self.number(letter),
            origin_partition: root.partition,
            origin_offset: root.offset,
            origin_time: root.timestamp,
            latest: hop.partition.zip(hop.offset).filter(|_| hop.topic.is_some()),
            key: letter.key.map(|key| self.key(key)),
            tombstone: letter.value.is_none() && !letter.pointer,
            pointer: letter.pointer,
            count: letter.count(),
            size,
            edited,
        }
    }

    /// A place as a number, by which letters are found that may share it.
    pub fn root(&self, topic: &str, partition: i32, offset: i64) -> u64 {
        self.keys.hash_one((topic, partition, offset))
    }

    /// A key as a plan looks at it.
    pub fn key(&self, key: &[u8]) -> Key {
        Key { hash: self.keys.hash_one(key), murmur2: murmur2::hash(key) }
    }

    fn number(&mut self, letter: &Outline<'_>) -> u32 {
        let origin = letter.root.topic.as_deref();
        let latest = letter.latest.topic.as_deref().filter(|_| letter.latest.is_whole());
        let is_last = self.all.get(self.last as usize).is_some_and(|kind| {
            kind.failure == letter.failure.id
                && kind.origin.as_deref() == origin
                && kind.latest.as_deref() == latest
                && kind.group.as_deref() == letter.group()
                && kind.format.as_ref() == letter.format
        });
        if is_last {
            return self.last;
        }
        let title = self.titles.entry(Arc::clone(&letter.failure.id));
        let title = Arc::clone(title.or_insert_with(|| letter.failure.title()));
        let kind = Kind {
            origin: origin.map(Into::into),
            latest: latest.map(Into::into),
            format: letter.format.cloned(),
            group: letter.group().map(Into::into),
            failure: Arc::clone(&letter.failure.id),
            title,
        };
        let next = self.all.len() as u32;
        self.last = *self.numbers.entry(kind).or_insert_with_key(|kind| {
            self.all.push(kind.clone());
            next
        });
        self.last
    }

    /// The kind of a letter.
    pub fn of(&self, letter: &Found) -> Option<&Kind> {
        self.all.get(letter.kind as usize)
    }

    /// All of them, by number.
    pub fn all(&self) -> &[Kind] {
        &self.all
    }
}

/// The letters found, in the order of their partitions and offsets; each has a number in that order.
#[derive(Default)]
pub(super) struct Letters {
    partitions: BTreeMap<i32, Part>,
    /// Why letters cannot be edited.
    reasons: Vec<(&'static str, String)>,
    len: usize,
}

#[derive(Default)]
struct Part {
    chunks: Vec<Vec<u8>>,
    before: Before,
}

/// The letter before, as far as the next one is told by the difference.
#[derive(Clone, Copy, Default)]
struct Before {
    offset: i64,
    time: i64,
    origin_partition: i64,
    origin_offset: i64,
    origin_time: i64,
}

mod has {
    pub const TIME: u64 = 1;
    pub const ORIGIN_PARTITION: u64 = 1 << 1;
    pub const ORIGIN_OFFSET: u64 = 1 << 2;
    pub const ORIGIN_TIME: u64 = 1 << 3;
    /// The latest hop is the root.
    pub const ONE_HOP: u64 = 1 << 4;
    pub const LATEST: u64 = 1 << 5;
    pub const KEY: u64 = 1 << 6;
    pub const TOMBSTONE: u64 = 1 << 7;
    pub const POINTER: u64 = 1 << 8;
    pub const CHANGED: u64 = 1 << 9;
    pub const NEW_KEY: u64 = 1 << 10;
    pub const REWRITTEN: u64 = 1 << 11;
    pub const REFUSED: u64 = 1 << 12;
}

impl Letters {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a letter; those of one partition come by offset.
    pub fn push(&mut self, letter: &Found) {
        let part = self.partitions.entry(letter.partition).or_default();
        let (to, anew) = room(&mut part.chunks);
        if anew {
            part.before = Before::default();
        }
        let before = &mut part.before;
        let root = letter.origin_partition.zip(letter.origin_offset);
        let set = |is: bool, bit: u64| if is { bit } else { 0 };
        let mut flags = set(letter.time.is_some(), has::TIME)
            | set(letter.origin_partition.is_some(), has::ORIGIN_PARTITION)
            | set(letter.origin_offset.is_some(), has::ORIGIN_OFFSET)
            | set(letter.origin_time.is_some(), has::ORIGIN_TIME)
            | set(letter.key.is_some(), has::KEY)
            | set(letter.tombstone, has::TOMBSTONE)
            | set(letter.pointer, has::POINTER);
        flags |= match letter.latest {
            None => 0,
            latest if latest == root => has::ONE_HOP,
            Some(_) => has::LATEST,
        };
        flags |= match &letter.edited {
            Edited::Same => 0,
            Edited::Changed { key, rewritten } => {
                has::CHANGED | set(*key, has::NEW_KEY) | set(*rewritten, has::REWRITTEN)
            }
            Edited::Refused(..) => has::REFUSED,
        };
        put(to, flags);
        put(to, letter.kind.into());
        put(to, letter.count.into());
        put(to, letter.size as u64);
        let mut difference = |value: i64, before: &mut i64| {
            put_signed(to, value.wrapping_sub(*before));
            *before = value;
        };
        difference(letter.offset, &mut before.offset);
        if let Some(time) = letter.time {
            difference(time.as_millis(), &mut before.time);
        }
        if let Some(partition) = letter.origin_partition {
            difference(partition.into(), &mut before.origin_partition);
        }
        if let Some(offset) = letter.origin_offset {
            difference(offset, &mut before.origin_offset);
        }
        if let Some(time) = letter.origin_time {
            difference(time.as_millis(), &mut before.origin_time);
        }
        if let Some((partition, offset)) = letter.latest.filter(|_| flags & has::LATEST != 0) {
            put_signed(to, partition.into());
            put_signed(to, offset);
        }
        if let Some(key) = letter.key {
            to.extend_from_slice(&key.hash.to_le_bytes());
            to.extend_from_slice(&key.murmur2.to_le_bytes());
        }
        if let Edited::Refused(rule, why) = &letter.edited {
            let known = self.reasons.iter().position(|(r, w)| r == rule && w == why);
            let number = known.unwrap_or_else(|| {
                self.reasons.push((rule, why.clone()));
                self.reasons.len() - 1
            });
            put(to, number as u64);
        }
        to.extend_from_slice(&letter.sha256.0);
        self.len += 1;
    }

    /// The letters with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Found)> {
        let letters = self.partitions.iter().flat_map(move |(partition, part)| {
            part.chunks.iter().flat_map(move |chunk| Reader::new(*partition, chunk, &self.reasons))
        });
        letters.enumerate()
    }

    /// The letters with their numbers; what was read is given back.
    pub fn drain(self) -> impl Iterator<Item = (usize, Found)> {
        let reasons = self.reasons;
        let chunks = self
            .partitions
            .into_iter()
            .flat_map(|(partition, part)| part.chunks.into_iter().map(move |chunk| (partition, chunk)));
        let letters = chunks.flat_map(move |(partition, chunk)| {
            // The letters of one chunk at a time.
            Reader::new(partition, &chunk, &reasons).collect::<Vec<_>>()
        });
        letters.enumerate()
    }
}

/// Reads the letters of one chunk.
struct Reader<'c> {
    partition: i32,
    rest: &'c [u8],
    before: Before,
    reasons: &'c [(&'static str, String)],
}

impl<'c> Reader<'c> {
    fn new(partition: i32, chunk: &'c [u8], reasons: &'c [(&'static str, String)]) -> Self {
        Self { partition, rest: chunk, before: Before::default(), reasons }
    }
}

impl Iterator for Reader<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let rest = &mut self.rest;
        let before = &mut self.before;
        let flags = take(rest)?;
        let is = |bit: u64| flags & bit != 0;
        let (kind, count, size) = (take(rest)? as u32, take(rest)? as u32, take(rest)? as usize);
        let mut add = |to: &mut i64, is: bool| {
            if is {
                *to = to.wrapping_add(take_signed(rest)?);
            }
            Some(is.then_some(*to))
        };
        add(&mut before.offset, true)?;
        let time = add(&mut before.time, is(has::TIME))?.map(Timestamp);
        let origin_partition =
            add(&mut before.origin_partition, is(has::ORIGIN_PARTITION))?.map(|p| p as i32);
        let origin_offset = add(&mut before.origin_offset, is(has::ORIGIN_OFFSET))?;
        let origin_time = add(&mut before.origin_time, is(has::ORIGIN_TIME))?.map(Timestamp);
        let latest = if is(has::LATEST) {
            Some((take_signed(rest)? as i32, take_signed(rest)?))
        } else {
            origin_partition.zip(origin_offset).filter(|_| is(has::ONE_HOP))
        };
        let mut key = None;
        if is(has::KEY) {
            let (hash, after) = rest.split_first_chunk::<8>()?;
            let (murmur2, after) = after.split_first_chunk::<4>()?;
            *rest = after;
            key = Some(Key { hash: u64::from_le_bytes(*hash), murmur2: i32::from_le_bytes(*murmur2) });
        }
        let edited = if is(has::REFUSED) {
            let (rule, why) = self.reasons.get(take(rest)? as usize)?;
            Edited::Refused(rule, why.clone())
        } else if is(has::CHANGED) {
            Edited::Changed { key: is(has::NEW_KEY), rewritten: is(has::REWRITTEN) }
        } else {
            Edited::Same
        };
        let (sha256, after) = rest.split_first_chunk::<32>()?;
        *rest = after;
        Some(Found {
            partition: self.partition,
            offset: before.offset,
            sha256: Digest(*sha256),
            time,
            kind,
            origin_partition,
            origin_offset,
            origin_time,
            latest,
            key,
            tombstone: is(has::TOMBSTONE),
            pointer: is(has::POINTER),
            count,
            size,
            edited,
        })
    }
}

/// A set of letters by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    words: Vec<u64>,
    len: usize,
}

impl Numbers {
    /// Adds a number; whether it is new.
    pub fn insert(&mut self, number: usize) -> bool {
        if self.words.len() <= number / 64 {
            self.words.resize(number / 64 + 1, 0);
        }
        let (word, bit) = (&mut self.words[number / 64], 1 << (number % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        self.len += usize::from(is_new);
        is_new
    }

    /// Whether it is there.
    pub fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found() -> impl Strategy<Value = Found> {
        let hop = (proptest::option::of(0..9_i32), proptest::option::of(any::<i64>()));
        let times = (proptest::option::of(any::<i64>()), proptest::option::of(any::<i64>()));
        let flags = (any::<bool>(), any::<bool>(), any::<u32>(), 0..10_000_usize, 0..5_u32);
        let latest = proptest::option::of((any::<i32>(), any::<i64>()));
        let key = proptest::option::of((any::<u64>(), any::<i32>()));
        let edited = prop_oneof![
            Just(Edited::Same),
            any::<(bool, bool)>().prop_map(|(key, rewritten)| Edited::Changed { key, rewritten }),
            Just(Edited::Refused("edit", "no".to_owned())),
        ];
        let place = (0..3_i32, any::<i64>(), any::<[u8; 32]>());
        (place, hop, times, flags, latest, key, edited, any::<bool>()).prop_map(
            |(place, hop, times, flags, latest, key, edited, one)| Found {
                partition: place.0,
                offset: place.1,
                sha256: Digest(place.2),
                time: times.0.map(Timestamp),
                kind: flags.4,
                origin_partition: hop.0,
                origin_offset: hop.1,
                origin_time: times.1.map(Timestamp),
                latest: if one { hop.0.zip(hop.1) } else { latest },
                key: key.map(|(hash, murmur2)| Key { hash, murmur2 }),
                tombstone: flags.0,
                pointer: flags.1,
                count: flags.2,
                size: flags.3,
                edited,
            },
        )
    }

    proptest! {
        #[test]
        fn letters_are_read_as_they_were_found(found in proptest::collection::vec(found(), 0..40)) {
            let mut letters = Letters::default();
            for letter in &found {
                letters.push(letter);
            }
            let mut sorted = found;
            sorted.sort_by_key(|letter| letter.partition);
            let read: Vec<Found> = letters.iter().map(|(_, letter)| letter).collect();
            prop_assert_eq!(&read, &sorted);
            prop_assert!(letters.drain().map(|(_, letter)| letter).eq(sorted));
        }
    }

    #[test]
    fn a_letter_of_spring_takes_60_bytes_or_less() {
        let mut letters = Letters::default();
        for n in 0..100_000_i64 {
            letters.push(&Found {
                partition: 0,
                offset: n,
                sha256: Digest([n as u8; 32]),
                time: Some(Timestamp(1_795_525_000_000 + n)),
                kind: 3,
                origin_partition: Some(2),
                origin_offset: Some(48_000_000 + 6 * n),
                origin_time: Some(Timestamp(1_795_524_000_000 + 90 * (n % 7))),
                latest: Some((2, 48_000_000 + 6 * n)),
                key: Some(Key { hash: n as u64 * 77, murmur2: n as i32 }),
                tombstone: false,
                pointer: false,
                count: 0,
                size: 620,
                edited: Edited::Same,
            });
        }
        let bytes: usize = letters.partitions[&0].chunks.iter().map(Vec::capacity).sum();
        assert!(bytes < 60 * 100_000, "{bytes}");
    }

    #[test]
    fn numbers_are_a_set() {
        let mut numbers = Numbers::default();
        assert!(numbers.insert(700) && !numbers.insert(700) && numbers.insert(0));
        assert!(numbers.contains(0) && numbers.contains(700) && !numbers.contains(701) && numbers.len() == 2);
    }
}
