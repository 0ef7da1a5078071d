//! The fold of letters into entries of a few bytes, from which every list and count is made.
//!
//! Of each letter it keeps where it is, when, why, whose and from where, as numbers (48 bytes); the letter
//! itself is read again when somebody looks at it. Bounds: [`MOST_LETTERS`] letters of a topic,
//! [`MOST_FAILURES`] failures (more are one failure called "other failures").

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::config::profile::DeadLetters;
use crate::dlq::failure::{Failure, Fingerprint};
use crate::dlq::formats::{self, Hop};
use crate::dlq::groups::{FailureRow, Sample};
use crate::event::Record;
use crate::ledger::Disposition;
use crate::text::Timestamp;

/// Letters of one topic that are kept: 96 MB.
pub const MOST_LETTERS: usize = 2_000_000;
/// Failures that are told apart in one topic.
pub const MOST_FAILURES: usize = 5_000;
/// Distinct pairs of failure and key that are counted exactly in one answer; beyond, `keys` is a lower bound.
pub const MOST_KEYS: usize = 1_000_000;
/// Buckets of one minute in a chart of arrivals.
pub const BUCKETS: usize = 15;
/// Distinct topics, groups or formats listed for one topic.
const MOST_NAMES: usize = 100;

const MINUTE: i64 = 60_000;

/// One letter in a few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// The record's timestamp; [`i64::MIN`] where it has none.
    time: i64,
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
    /// By offset.
    entries: Vec<Entry>,
    /// The next offset to be read.
    next: i64,
    /// Letters from this offset on arrived while the program looked on.
    watched_from: i64,
}

/// What is known of one failure beside its entries.
#[derive(Debug)]
struct Known {
    failure: Arc<Failure>,
    /// When it was first seen, if that was while the program looked on.
    appeared: Option<Timestamp>,
}

/// The letters of one dead-letter topic.
#[derive(Debug)]
pub struct Fold {
    hasher: RandomState,
    failures: Vec<Known>,
    by_hash: HashMap<u64, u32>,
    formats: Vec<Arc<str>>,
    parts: BTreeMap<i32, Part>,
    letters: usize,
    changes: u64,
    arrived: u64,
    arrived_by_group: Vec<(Arc<str>, u64)>,
}

impl Fold {
    /// An empty fold. Folds with clones of one hasher have comparable hashes.
    pub fn new(hasher: RandomState) -> Self {
        Self {
            hasher,
            failures: Vec::new(),
            by_hash: HashMap::new(),
            formats: Vec::new(),
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

    /// Begins with a partition: it is read from `from`, and what lies at `watched_from` or later counts as
    /// arriving while the program looks on.
    pub fn begin(&mut self, partition: i32, from: i64, watched_from: i64) {
        self.parts.entry(partition).or_insert(Part { entries: Vec::new(), next: from, watched_from });
    }

    /// Sets how far a partition was read, past markers and gaps.
    pub fn advance(&mut self, partition: i32, next: i64) {
        // What was left out because it is full was not read.
        if !self.is_full()
            && let Some(part) = self.parts.get_mut(&partition)
        {
            part.next = part.next.max(next);
        }
    }

    /// Adds the next letter of a partition; one that was added before is left out. `false` when it is full.
    pub fn add(&mut self, record: &Record, config: &DeadLetters) -> bool {
        let (partition, offset) = (record.at.partition, record.at.offset);
        if self.next(partition).is_some_and(|next| offset < next) {
            return true;
        }
        if self.is_full() {
            return false;
        }
        let reading = formats::read(record, config);
        let trace = reading.trace(config);
        let fingerprint = Fingerprint::of(&reading, &trace);
        let watched = self.parts.get(&partition).is_some_and(|p| offset >= p.watched_from);
        let appeared = record.timestamp().filter(|_| watched);
        let failure = self.failure_of(&fingerprint, appeared);
        let latest = self.place(reading.latest());
        let entry = Entry {
            offset,
            time: record.timestamp().map_or(i64::MIN, Timestamp::as_millis),
            root: if reading.previous.is_some() { self.place(&reading.root) } else { latest },
            latest,
            key: record.key.as_deref().map_or(0, |k| self.key_hash(k)),
            failure,
            state: None,
        };
        if let Some(format) = &reading.format
            && self.formats.len() < MOST_NAMES
            && !self.formats.contains(format)
        {
            self.formats.push(Arc::clone(format));
        }
        let part = self.parts.entry(partition).or_default();
        part.entries.push(entry);
        part.next = offset + 1;
        self.letters += 1;
        self.changes += 1;
        if watched {
            self.arrive(failure);
        }
        true
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

    fn failure_of(&mut self, fingerprint: &Fingerprint<'_>, appeared: Option<Timestamp>) -> u32 {
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
            self.failures.push(Known { failure: Arc::new(failure), appeared });
        }
        index
    }

    fn place(&self, hop: &Hop<'_>) -> u64 {
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
        let gone = part.entries.partition_point(|e| e.offset < start);
        part.entries.drain(..gone);
        part.next = part.next.max(start);
        self.letters -= gone;
        gone as u64
    }

    /// Forgets a partition; gives the number of its letters.
    pub fn forget(&mut self, partition: i32) -> u64 {
        let gone = self.parts.remove(&partition).map_or(0, |p| p.entries.len());
        self.letters -= gone;
        gone as u64
    }

    /// Sets the state of every letter.
    pub fn mark(&mut self, state: impl Fn(i32, i64) -> Option<Disposition>) {
        for (partition, part) in &mut self.parts {
            for entry in &mut part.entries {
                entry.state = state(*partition, entry.offset);
            }
        }
    }

    /// All letters: by partition, then by offset.
    pub fn entries(&self) -> impl Iterator<Item = (i32, &Entry)> {
        self.parts.iter().flat_map(|(p, part)| part.entries.iter().map(|e| (*p, e)))
    }

    /// The letters of one partition by offset.
    pub fn partition(&self, partition: i32) -> &[Entry] {
        self.parts.get(&partition).map_or(&[], |p| &p.entries)
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

    /// Counts the letters for a row of the list of dead-letter topics.
    pub fn summary(&self, now: Timestamp) -> Summary {
        let mut sum = Summary { formats: self.formats.clone(), ..Summary::default() };
        let mut open = vec![0_u64; self.failures.len()];
        let mut present = vec![false; self.failures.len()];
        let mut states = [0_u64; 5];
        let mut known = true;
        let mut chart = Chart::new(now);
        let mut oldest = i64::MAX;
        for (_, entry) in self.entries() {
            let slot = match entry.state {
                None => {
                    known = false;
                    0
                }
                Some(Disposition::Pending | Disposition::Released) => 0,
                Some(Disposition::Redriven) => 1,
                Some(Disposition::Discarded) => 2,
                Some(Disposition::Parked) => 3,
                Some(Disposition::Duplicate) => 4,
            };
            states[slot] += 1;
            if let Some(present) = present.get_mut(entry.failure as usize) {
                *present = true;
            }
            if slot == 0 {
                if let Some(open) = open.get_mut(entry.failure as usize) {
                    *open += 1;
                }
                if entry.time != i64::MIN {
                    oldest = oldest.min(entry.time);
                }
            }
            chart.add(entry.time);
        }
        if known {
            sum.states = Some(states);
        }
        sum.oldest_open = (oldest != i64::MAX).then_some(Timestamp(oldest));
        sum.failures = open.iter().filter(|n| **n > 0).count();
        let top = open.iter().enumerate().max_by_key(|(i, n)| (**n, usize::MAX - i)).filter(|(_, n)| **n > 0);
        sum.top_failure = top.and_then(|(i, _)| self.failures.get(i)).map(|k| k.failure.title());
        sum.arrivals_per_minute = chart.per_minute();
        sum.arrivals = chart.buckets();
        for (known, _) in self.failures.iter().zip(&present).filter(|(_, present)| **present) {
            add_name(&mut sum.sources, known.failure.origin_topic.as_ref());
            add_name(&mut sum.groups, known.failure.group.as_ref());
        }
        sum.arrived = self.arrived;
        sum.arrived_by_group.clone_from(&self.arrived_by_group);
        let new = self.failures.iter().filter_map(|k| k.appeared.map(|at| (&k.failure, at)));
        sum.new_failures = new.map(|(f, at)| (Arc::clone(&f.id), f.title(), at)).collect();
        sum
    }

    /// Groups the letters that `keep` wants by failure, the most open first.
    pub fn failures(&self, now: Timestamp, keep: impl Fn(i32, &Entry) -> bool) -> Vec<FailureRow> {
        let mut tallies: Vec<Option<Tally>> = Vec::new();
        tallies.resize_with(self.failures.len(), || None);
        let mut keys: HashSet<(u32, u64)> = HashSet::new();
        for (partition, entry) in self.entries().filter(|(p, e)| keep(*p, e)) {
            let Some(tally) = tallies.get_mut(entry.failure as usize) else { continue };
            let tally = tally.get_or_insert_with(|| Tally::new(now));
            tally.add(partition, entry);
            if entry.key != 0 && keys.len() < MOST_KEYS && keys.insert((entry.failure, entry.key)) {
                tally.keys += 1;
            }
        }
        let mut rows: Vec<FailureRow> = self
            .failures
            .iter()
            .zip(tallies)
            .filter_map(|(known, tally)| tally.map(|t| t.row(&known.failure)))
            .collect();
        rows.sort_by(|a, b| {
            (b.pending, b.count, b.last_timestamp, &a.id).cmp(&(a.pending, a.count, a.last_timestamp, &b.id))
        });
        rows
    }
}

fn add_name(names: &mut Vec<Arc<str>>, name: Option<&Arc<str>>) {
    if let Some(name) = name
        && names.len() < MOST_NAMES
        && let Err(at) = names.binary_search(name)
    {
        names.insert(at, Arc::clone(name));
    }
}

/// What a row of the list of dead-letter topics says of its letters.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Letters pending, redriven, discarded, parked, duplicate; `None` while the ledger is not known.
    pub states: Option<[u64; 5]>,
    /// Timestamp of the oldest letter that is open (or not known to be handled).
    pub oldest_open: Option<Timestamp>,
    /// Failures with open letters.
    pub failures: usize,
    /// The failure with most of them.
    pub top_failure: Option<Arc<str>>,
    /// New letters a minute.
    pub arrivals_per_minute: Option<f64>,
    /// Arrivals by minute, oldest first.
    pub arrivals: Vec<u64>,
    /// Formats seen.
    pub formats: Vec<Arc<str>>,
    /// Origin topics seen.
    pub sources: Vec<Arc<str>>,
    /// Groups seen.
    pub groups: Vec<Arc<str>>,
    /// Letters that arrived while the program looked on.
    pub arrived: u64,
    /// The same by group.
    pub arrived_by_group: Vec<(Arc<str>, u64)>,
    /// Failures first seen while the program looked on: id, name, time.
    pub new_failures: Vec<(Arc<str>, Arc<str>, Timestamp)>,
}

/// Arrivals of the last minutes, by record timestamp. The last bucket is the minute under way.
#[derive(Debug)]
struct Chart {
    now: i64,
    buckets: [u64; BUCKETS],
    oldest: i64,
}

impl Chart {
    fn new(now: Timestamp) -> Self {
        Self { now: now.as_millis(), buckets: [0; BUCKETS], oldest: i64::MAX }
    }

    fn add(&mut self, time: i64) {
        if time == i64::MIN {
            return;
        }
        self.oldest = self.oldest.min(time);
        let ago = (self.now.div_euclid(MINUTE)).saturating_sub(time.div_euclid(MINUTE));
        // A clock that runs ahead: it arrived just now.
        let ago = usize::try_from(ago.max(0)).unwrap_or(BUCKETS);
        if ago < BUCKETS {
            self.buckets[BUCKETS - 1 - ago] += 1;
        }
    }

    fn buckets(&self) -> Vec<u64> {
        self.buckets.to_vec()
    }

    /// The mean of the last five minutes, or of the time since the first letter if that is shorter.
    fn per_minute(&self) -> Option<f64> {
        if self.oldest == i64::MAX {
            return None;
        }
        let begun = self.now.rem_euclid(MINUTE) + 4 * MINUTE;
        let covered = begun.min(self.now.saturating_sub(self.oldest)).max(MINUTE);
        let arrived: u64 = self.buckets[BUCKETS - 5..].iter().sum();
        Some(arrived as f64 * MINUTE as f64 / covered as f64)
    }
}

/// The count of one failure.
#[derive(Debug)]
struct Tally {
    count: u64,
    pending: u64,
    known: bool,
    first: i64,
    last: i64,
    keys: u64,
    sample: Option<(bool, i64, Sample)>,
    chart: Chart,
}

impl Tally {
    fn new(now: Timestamp) -> Self {
        Self {
            count: 0,
            pending: 0,
            known: true,
            first: i64::MAX,
            last: i64::MIN,
            keys: 0,
            sample: None,
            chart: Chart::new(now),
        }
    }

    fn add(&mut self, partition: i32, entry: &Entry) {
        self.count += 1;
        match entry.state {
            None => self.known = false,
            Some(state) => self.pending += u64::from(state.is_pending()),
        }
        if entry.time != i64::MIN {
            self.first = self.first.min(entry.time);
            self.last = self.last.max(entry.time);
        }
        self.chart.add(entry.time);
        // The newest open letter is the best sample.
        let rank = (entry.is_open(), entry.time);
        if self.sample.is_none_or(|(open, time, _)| rank >= (open, time)) {
            self.sample = Some((rank.0, rank.1, Sample { partition, offset: entry.offset }));
        }
    }

    fn row(self, failure: &Failure) -> FailureRow {
        FailureRow {
            id: Arc::clone(&failure.id),
            error_class: failure.error_class.clone(),
            root_cause_class: failure.root_cause_class.clone(),
            frame: failure.frame.clone(),
            message: failure.message.clone(),
            origin_topic: failure.origin_topic.clone(),
            group: failure.group.clone(),
            count: self.count,
            pending: self.known.then_some(self.pending),
            first_timestamp: (self.first != i64::MAX).then_some(Timestamp(self.first)),
            last_timestamp: (self.last != i64::MIN).then_some(Timestamp(self.last)),
            keys: self.keys,
            sample: self.sample.map_or(Sample { partition: 0, offset: 0 }, |(_, _, sample)| sample),
            arrivals: self.chart.buckets(),
        }
    }
}
