//! The fold of letters into entries of a few bytes, from which every list and count is made.
//!
//! Of each letter it keeps where it is, when, why, whose and from where, as numbers (48 bytes); the letter
//! itself is read again when somebody looks at it. Bounds: [`MOST_LETTERS`] letters of a topic,
//! [`MOST_FAILURES`] failures (more are one failure called "other failures").
//!
//! Most letters of a topic failed like one before: what has the [`likeness`] of one that was seen is not parsed
//! again. Such letters are looked at where their bytes lie (`taking.rs`).

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::config::profile::DeadLetters;
use crate::dlq::failure::{Failure, Fingerprint, likeness};
use crate::dlq::formats::glance::Glance;
use crate::dlq::formats::{self, Hop, Reading};
use crate::dlq::message;
use crate::event::Record;
use crate::ledger::Disposition;
use crate::text::Timestamp;

/// A range of offsets: the first one, and the one before which it ends.
pub type Span = (i64, i64);

/// Letters of one topic that are kept: 96 MB.
pub const MOST_LETTERS: usize = 2_000_000;
/// Failures that are told apart in one topic.
pub const MOST_FAILURES: usize = 5_000;
/// Likenesses that are remembered.
const MOST_LIKE: usize = 20_000;
/// Letters of a failure whose messages are compared, to see which quoted values vary.
const COMPARED: u32 = 64;
/// Distinct topics, groups or formats listed for one topic.
pub(super) const MOST_NAMES: usize = 100;

/// One letter in a few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// The record's timestamp; [`i64::MIN`] where it has none.
    pub(super) time: i64,
    /// Hash of the root origin; 0 where it is not whole.
    pub root: u64,
    /// Hash of the latest origin; 0 where it is not whole.
    pub latest: u64,
    /// Hash of the key; 0 for a null key.
    pub key: u64,
    /// Which failure.
    pub failure: u32,
    /// Its state; `None` while the ledger is not known.
    pub state: Option<Disposition>,
}

impl Entry {
    /// The record's timestamp.
    pub fn time(&self) -> Option<Timestamp> {
        (self.time != i64::MIN).then_some(Timestamp(self.time))
    }

    /// Whether it is open: pending, or not known to be handled.
    pub fn is_open(&self) -> bool {
        self.state.is_none_or(Disposition::is_pending)
    }
}

/// One partition's letters.
#[derive(Debug, Default)]
struct Part {
    /// By offset, without a gap from the first that is there.
    entries: Vec<Entry>,
    /// The next offset to be read.
    next: i64,
    /// How many of `entries` had their state set.
    marked: usize,
    /// The newest letters, where they were read before those between.
    newest: Option<Newest>,
    /// Letters from this offset on arrived while the program looked on.
    watched_from: i64,
    /// Bytes of all letters that were read, uncompressed, and their number.
    read: (u64, u64),
}

/// Letters at the end of a partition.
#[derive(Debug)]
struct Newest {
    /// The first offset of them.
    from: i64,
    entries: Vec<Entry>,
    /// The next offset to be read behind them.
    next: i64,
}

impl Part {
    /// Joins the newest letters to the others when these have come to them.
    fn close_gap(&mut self) {
        if let Some(newest) = self.newest.take_if(|newest| newest.from <= self.next) {
            self.entries.extend(newest.entries);
            self.next = newest.next.max(self.next);
        }
    }

    /// Where a record of this offset belongs, if it was not read before.
    fn place(&mut self, offset: i64) -> Option<(&mut Vec<Entry>, &mut i64)> {
        let (entries, next) = match &mut self.newest {
            Some(newest) if offset >= newest.from => (&mut newest.entries, &mut newest.next),
            _ => (&mut self.entries, &mut self.next),
        };
        (offset >= *next).then_some((entries, next))
    }

    fn newest(&self) -> &[Entry] {
        self.newest.as_ref().map_or(&[], |newest| &newest.entries)
    }
}

/// Which letters are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those added since the last time.
    New,
}

/// What is known of one failure beside its entries.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) failure: Arc<Failure>,
    /// When it was first seen, if that was while the program looked on.
    pub(super) appeared: Option<Timestamp>,
    /// How many messages were compared.
    compared: u32,
}

/// The letters of one dead-letter topic.
#[derive(Debug)]
pub struct Fold {
    hasher: RandomState,
    pub(super) failures: Vec<Known>,
    by_hash: HashMap<u64, u32>,
    /// Failures by their [`likeness`].
    by_likeness: HashMap<u64, u32>,
    pub(super) formats: Vec<Arc<str>>,
    /// What the headers of letters mean that came last.
    pub(super) glances: Vec<Arc<Glance>>,
    parts: BTreeMap<i32, Part>,
    letters: usize,
    changes: u64,
    pub(super) arrived: u64,
    pub(super) arrived_by_group: Vec<(Arc<str>, u64)>,
}

/// A letter to be added: what it is, and what its headers say, in numbers.
pub(super) struct New<'r> {
    pub at: (i32, i64),
    pub time: Option<Timestamp>,
    pub key: Option<&'r [u8]>,
    /// Bytes of key, value and headers.
    pub size: u64,
    pub failure: u32,
    pub root: u64,
    pub latest: u64,
}

/// Whether there is room for a letter.
pub(super) enum Room {
    /// There is; `watched` where it arrived while the program looked on.
    Free {
        /// Whether it did.
        watched: bool,
    },
    /// It was added before.
    Taken,
    /// Nothing more is kept.
    Full,
}

impl Fold {
    /// An empty fold. Folds with clones of one hasher have comparable hashes.
    pub fn new(hasher: RandomState) -> Self {
        Self {
            hasher,
            failures: Vec::new(),
            by_hash: HashMap::new(),
            by_likeness: HashMap::new(),
            formats: Vec::new(),
            glances: Vec::new(),
            parts: BTreeMap::new(),
            letters: 0,
            changes: 0,
            arrived: 0,
            arrived_by_group: Vec::new(),
        }
    }

    /// Letters kept.
    pub fn letters(&self) -> usize {
        self.letters
    }

    /// Grows with every letter added.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether it takes no more letters.
    pub fn is_full(&self) -> bool {
        self.letters >= MOST_LETTERS
    }

    /// The next offset to be read of a partition; `None` before the first look at it.
    pub fn next(&self, partition: i32) -> Option<i64> {
        self.parts.get(&partition).map(|p| p.next)
    }

    /// The offset behind the last letter that was read of a partition.
    pub fn reached(&self, partition: i32) -> Option<i64> {
        let part = self.parts.get(&partition)?;
        Some(part.newest.as_ref().map_or(part.next, |newest| newest.next.max(part.next)))
    }

    /// Begins with a partition: it is read from `from`, and what lies at `watched_from` or later counts as
    /// arriving while the program looks on.
    pub fn begin(&mut self, partition: i32, from: i64, watched_from: i64) {
        let part = || Part { next: from, watched_from, ..Part::default() };
        self.parts.entry(partition).or_insert_with(part);
    }

    /// The newest letters, from `from` on, are read before those between.
    pub fn begin_newest(&mut self, partition: i32, from: i64) {
        if let Some(part) = self.parts.get_mut(&partition)
            && part.newest.is_none()
            && part.next < from
        {
            part.newest = Some(Newest { from, entries: Vec::new(), next: from });
        }
    }

    /// The ranges (first offset, and the one before which it ends) of a partition that were not read yet, up to
    /// `end`: the newest letters, where they are read first, and the others.
    pub fn unread(&self, partition: i32, end: i64) -> (Option<Span>, Option<Span>) {
        let Some(part) = self.parts.get(&partition) else { return (None, None) };
        let range = |from: i64, end: i64| (from < end).then_some((from, end));
        match &part.newest {
            Some(newest) => (range(newest.next, end), range(part.next, newest.from.min(end))),
            None => (None, range(part.next, end)),
        }
    }

    /// Sets how far a partition was read, past markers and gaps.
    pub fn advance(&mut self, partition: i32, next: i64) {
        // What was left out because it is full was not read.
        if !self.is_full()
            && let Some(part) = self.parts.get_mut(&partition)
        {
            match &mut part.newest {
                Some(newest) if next > newest.from => newest.next = newest.next.max(next),
                _ => part.next = part.next.max(next),
            }
            part.close_gap();
        }
    }

    /// Adds the next letter of a partition; one that was added before is left out. `false` when it is full.
    pub fn add(&mut self, record: &Record, config: &DeadLetters) -> bool {
        let at = (record.at.partition, record.at.offset);
        let watched = match self.room(at) {
            Room::Free { watched } => watched,
            Room::Taken => return true,
            Room::Full => return false,
        };
        let reading = formats::digest(record, config);
        let appeared = record.timestamp().filter(|_| watched);
        let failure = self.failure_of(&reading, config, appeared);
        let latest = self.place(reading.latest());
        let root = if reading.previous.is_some() { self.place(&reading.root) } else { latest };
        if let Some(format) = &reading.format {
            self.wrote(format);
        }
        let (time, size) = (record.timestamp(), record.size() as u64);
        self.enter(&New { at, time, key: record.key.as_deref(), size, failure, root, latest }, watched);
        true
    }

    /// Whether there is room for the letter at a place.
    pub(super) fn room(&mut self, (partition, offset): (i32, i64)) -> Room {
        let part = self.parts.entry(partition).or_default();
        if part.place(offset).is_none() {
            return Room::Taken;
        }
        let watched = offset >= part.watched_from;
        if self.is_full() { Room::Full } else { Room::Free { watched } }
    }

    /// Takes the name of a format that was seen.
    pub(super) fn wrote(&mut self, format: &Arc<str>) {
        if self.formats.len() < MOST_NAMES && !self.formats.contains(format) {
            self.formats.push(Arc::clone(format));
        }
    }

    /// Adds a letter for which there is room.
    pub(super) fn enter(&mut self, new: &New<'_>, watched: bool) {
        let (partition, offset) = new.at;
        let entry = Entry {
            offset,
            time: new.time.map_or(i64::MIN, Timestamp::as_millis),
            root: new.root,
            latest: new.latest,
            key: new.key.map_or(0, |k| self.key_hash(k)),
            failure: new.failure,
            state: None,
        };
        if let Some(part) = self.parts.get_mut(&partition) {
            if let Some((entries, next)) = part.place(offset) {
                entries.push(entry);
                *next = offset + 1;
            }
            part.read = (part.read.0 + new.size, part.read.1 + 1);
            part.close_gap();
        }
        self.letters += 1;
        self.changes += 1;
        if watched {
            self.arrive(new.failure);
        }
    }

    fn arrive(&mut self, failure: u32) {
        self.arrived += 1;
        let Some(group) = self.failure(failure).and_then(|f| f.group.clone()) else { return };
        let room = self.arrived_by_group.len() < MOST_NAMES;
        match self.arrived_by_group.iter_mut().find(|(g, _)| *g == group) {
            Some((_, count)) => *count += 1,
            None if room => self.arrived_by_group.push((group, 1)),
            None => {}
        }
    }

    /// The number of the failure that a letter tells of.
    fn failure_of(
        &mut self,
        reading: &Reading<'_>,
        config: &DeadLetters,
        appeared: Option<Timestamp>,
    ) -> u32 {
        let likeness = likeness(reading, &self.hasher);
        if let Some(index) = likeness.and_then(|likeness| self.by_likeness.get(&likeness)).copied() {
            if self.compares(index)
                && let Some(message) = reading.message.as_deref()
            {
                self.compare(index, message);
            }
            return index;
        }
        let trace = reading.trace(config);
        let fingerprint = Fingerprint::of(reading, &trace);
        let index = self.known(&fingerprint, appeared);
        let decides = reading.stack_trace.is_none() || trace.frame.is_some();
        if let Some(likeness) = likeness.filter(|_| decides && self.by_likeness.len() < MOST_LIKE) {
            self.by_likeness.insert(likeness, index);
        }
        index
    }

    /// With what it hashes.
    pub(super) fn hasher(&self) -> RandomState {
        self.hasher.clone()
    }

    /// The failure of letters of this likeness, where such were seen; `None` where the letter must be read.
    pub(super) fn like(&self, likeness: u64) -> Option<u32> {
        self.by_likeness.get(&likeness).copied().filter(|index| !self.compares(*index))
    }

    /// Whether messages of the failure are compared still.
    fn compares(&self, index: u32) -> bool {
        self.failures.get(index as usize).is_some_and(|known| known.compared < COMPARED)
    }

    fn known(&mut self, fingerprint: &Fingerprint<'_>, appeared: Option<Timestamp>) -> u32 {
        let hash = fingerprint.hash(&self.hasher);
        if let Some(index) = self.by_hash.get(&hash) {
            return *index;
        }
        let index = self.failures.len().min(MOST_FAILURES) as u32;
        if self.failures.len() <= MOST_FAILURES {
            let failure = if self.failures.len() < MOST_FAILURES {
                self.by_hash.insert(hash, index);
                fingerprint.failure()
            } else {
                Failure { id: "other".into(), message: Some("other failures".into()), ..Failure::default() }
            };
            self.failures.push(Known { failure: Arc::new(failure), appeared, compared: 0 });
        }
        index
    }

    /// Compares one more message with the failure's: quoted values that differ are no part of it.
    fn compare(&mut self, index: u32, message: &str) {
        let Some(known) = self.failures.get_mut(index as usize) else { return };
        known.compared += 1;
        let Some(kept) = known.failure.message.as_deref() else { return };
        let new = message::normalise(message);
        if let Some(common) = message::common(kept, &new).filter(|common| *common != *kept) {
            Arc::make_mut(&mut known.failure).message = Some(common.into());
        }
    }

    /// The hash of where a hop was; 0 where it is not whole.
    pub(super) fn place(&self, hop: &Hop<'_>) -> u64 {
        match (hop.topic.as_deref(), hop.partition, hop.offset) {
            (Some(topic), Some(partition), Some(offset)) => self.place_hash(topic, partition, offset),
            _ => 0,
        }
    }

    /// The hash of a record's place, as [`Entry::root`] and [`Entry::latest`] have it.
    pub fn place_hash(&self, topic: &str, partition: i32, offset: i64) -> u64 {
        self.hasher.hash_one((topic, partition, offset)).max(1)
    }

    /// The hash of a key, as [`Entry::key`] has it.
    pub fn key_hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key).max(1)
    }

    /// What two letters of one failed record have in common: root origin and group; 0 where the root is not known.
    pub fn twin_hash(&self, entry: &Entry) -> u64 {
        let group = self.failure(entry.failure).and_then(|f| f.group.as_deref());
        if entry.root == 0 { 0 } else { self.hasher.hash_one((entry.root, group)).max(1) }
    }

    /// Forgets letters before `start`; gives their number.
    pub fn trim(&mut self, partition: i32, start: i64) -> u64 {
        let Some(part) = self.parts.get_mut(&partition) else { return 0 };
        let mut gone = part.entries.partition_point(|e| e.offset < start);
        part.entries.drain(..gone);
        part.marked = part.marked.saturating_sub(gone);
        part.next = part.next.max(start);
        part.close_gap();
        // What is closed now may begin before `start`, too.
        let more = part.entries.partition_point(|e| e.offset < start);
        part.entries.drain(..more);
        part.marked = part.marked.saturating_sub(more);
        gone += more;
        self.letters -= gone;
        gone as u64
    }

    /// Forgets a partition; gives the number of its letters.
    pub fn forget(&mut self, partition: i32) -> u64 {
        let gone = self.parts.remove(&partition).map_or(0, |p| p.entries.len() + p.newest().len());
        self.letters -= gone;
        gone as u64
    }

    /// Sets the state of every letter, or only of those that have none yet.
    pub fn mark(&mut self, which: Which, state: impl Fn(i32, i64) -> Option<Disposition>) {
        for (partition, part) in &mut self.parts {
            let from = if which == Which::New { part.marked.min(part.entries.len()) } else { 0 };
            let newest = part.newest.iter_mut().flat_map(|newest| &mut newest.entries);
            for entry in part.entries.iter_mut().skip(from).chain(newest) {
                entry.state = state(*partition, entry.offset);
            }
            part.marked = part.entries.len();
        }
    }

    /// All letters: by partition, then by offset.
    pub fn entries(&self) -> impl Iterator<Item = (i32, &Entry)> {
        self.parts.iter().flat_map(|(p, part)| part.entries.iter().chain(part.newest()).map(|e| (*p, e)))
    }

    /// The letters of one partition by offset: those before a gap that was not read yet, and those behind it.
    pub fn partition(&self, partition: i32) -> [&[Entry]; 2] {
        self.parts.get(&partition).map_or([&[], &[]], |p| [&p.entries, p.newest()])
    }

    /// Bytes of a partition's letters, as if they were not compressed; estimated from those that were read.
    pub fn bytes(&self, partition: i32) -> u64 {
        let Some(part) = self.parts.get(&partition) else { return 0 };
        let letters = (part.entries.len() + part.newest().len()) as u64;
        (part.read.0 / part.read.1.max(1)).saturating_mul(letters)
    }

    /// The letter at a position.
    pub fn entry(&self, partition: i32, offset: i64) -> Option<&Entry> {
        self.partition(partition)
            .into_iter()
            .find_map(|entries| entries.get(entries.binary_search_by_key(&offset, |e| e.offset).ok()?))
    }

    /// Whether another letter has the same root and group.
    pub fn has_twin(&self, entry: &Entry) -> bool {
        let group = |e: &Entry| self.failure(e.failure).and_then(|f| f.group.as_deref());
        entry.root != 0
            && self.entries().filter(|(_, e)| e.root == entry.root && group(e) == group(entry)).count() > 1
    }

    /// Partitions that were begun.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.parts.keys().copied()
    }

    /// A failure by its number in the entries.
    pub fn failure(&self, index: u32) -> Option<&Arc<Failure>> {
        self.failures.get(index as usize).map(|k| &k.failure)
    }

    /// The number of the failure with this id.
    pub fn failure_by_id(&self, id: &str) -> Option<u32> {
        self.failures.iter().position(|k| *k.failure.id == *id).map(|i| i as u32)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Headers, Position};

    /// A letter whose trace and message name an order.
    fn record(offset: i64, order: &str) -> Record {
        let mut headers = Headers::default();
        let trace = format!(
            "x.Wrapper: failed\n\tat org.apache.kafka.A.b(A.java:1)\nCaused by: x.Gone: no '{order}' in 12\n\tat \
             shop.Stock.find(Stock.java:7)\n"
        );
        let message = format!("no '{order}' in 12");
        for (name, value) in [
            ("kafka_dlt-original-topic", "orders"),
            ("kafka_dlt-exception-fqcn", "x.Wrapper"),
            ("kafka_dlt-exception-message", &message),
            ("kafka_dlt-exception-stacktrace", &trace),
        ] {
            headers.push(name, Some(Bytes::copy_from_slice(value.as_bytes())));
        }
        let at = Position::new("orders-dlt", 0, offset);
        Record { at, time: None, key: None, value: None, headers, lease: None }
    }

    fn add(fold: &mut Fold, offsets: std::ops::Range<i64>) {
        for offset in offsets {
            assert!(fold.add(&record(offset, "red"), &DeadLetters::default()));
        }
    }

    #[test]
    fn letters_of_one_failure_are_told_by_their_likeness_and_vary_in_quotes() {
        let mut fold = Fold::new(RandomState::default());
        for (offset, order) in ["red", "red", "blue", "green"].iter().enumerate() {
            fold.add(&record(offset as i64, order), &DeadLetters::default());
        }
        let rows = fold.failures(Timestamp(0), |_, _| true);
        assert_eq!((rows.len(), rows[0].count, fold.by_likeness.len()), (1, 4, 1));
        assert_eq!(rows[0].root_cause_class.as_deref(), Some("x.Gone"));
        assert_eq!(rows[0].frame.as_deref(), Some("shop.Stock.find"));
        assert_eq!(rows[0].message.as_deref(), Some("no '#' in #"));
        // Alone it is the same failure by name.
        let mut alone = Fold::new(RandomState::default());
        alone.add(&record(0, "blue"), &DeadLetters::default());
        assert_eq!(alone.failures(Timestamp(0), |_, _| true)[0].id, rows[0].id);
    }

    #[test]
    fn the_newest_letters_are_there_before_those_between_and_join_them() {
        let mut fold = Fold::new(RandomState::default());
        fold.begin(0, 0, 100);
        fold.begin_newest(0, 90);
        assert_eq!(fold.unread(0, 100), (Some((90, 100)), Some((0, 90))));
        add(&mut fold, 90..100);
        fold.advance(0, 100);
        assert_eq!(fold.unread(0, 105), (Some((100, 105)), Some((0, 90))));
        assert_eq!((fold.next(0), fold.reached(0), fold.letters()), (Some(0), Some(100), 10));
        add(&mut fold, 0..40);
        fold.mark(Which::All, |_, _| Some(Disposition::Pending));
        assert_eq!(fold.partition(0).map(<[Entry]>::len), [40, 10]);
        // What was added is left out the second time.
        add(&mut fold, 30..60);
        add(&mut fold, 90..100);
        // Up to the gap's end without a record, as behind a marker.
        fold.advance(0, 90);
        assert_eq!((fold.next(0), fold.unread(0, 100)), (Some(100), (None, None)));
        fold.mark(Which::New, |_, offset| (offset >= 40).then_some(Disposition::Parked));
        let offsets: Vec<i64> = fold.entries().map(|(_, e)| e.offset).collect();
        assert_eq!(offsets, (0..60).chain(90..100).collect::<Vec<_>>());
        assert!(
            fold.entries().all(|(_, e)| e.state
                == Some(if e.offset < 40 { Disposition::Pending } else { Disposition::Parked }))
        );
        assert_eq!(fold.entry(0, 95).map(|e| e.offset), Some(95));
        assert_eq!(fold.entry(0, 70), None);
    }

    #[test]
    fn what_retention_deletes_around_the_gap_is_forgotten() {
        let mut fold = Fold::new(RandomState::default());
        fold.begin(0, 0, 100);
        fold.begin_newest(0, 90);
        add(&mut fold, 90..100);
        add(&mut fold, 0..10);
        assert_eq!(fold.trim(0, 95), 15);
        assert_eq!((fold.letters(), fold.next(0), fold.unread(0, 100)), (5, Some(100), (None, None)));
        assert_eq!(fold.forget(0), 5);
        assert_eq!(fold.letters(), 0);
    }
}
