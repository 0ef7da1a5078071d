//! The fold of ledger rows into the state of every letter.
//!
//! Rows come in the order of the one partition, so the fold is the same however they are batched. It is built
//! for a million letters: what runs have in common (run, operator, target, group, …) is stored once, and a
//! letter costs about 100 bytes. A row that breaks the state machine does not win over a redriven letter; it is
//! counted. Limits: digests stay in the broker; rows of other clusters (a mirrored ledger) are not folded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::letters::LettersRow;
use super::row::{Earlier, HeaderRow, Key, LetterRow, OwnerRow, OwnerState, RowError};
use super::{Disposition, FORMAT_VERSION};
use crate::event::{Record, TimeKind};
use crate::text::Timestamp;

/// Letters of one dead-letter topic by disposition. Letters without a row are in none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written to their target.
    pub redriven: u64,
    /// Given up.
    pub discarded: u64,
    /// Set aside.
    pub parked: u64,
    /// Marked as duplicates.
    pub duplicate: u64,
    /// Opened again; they count as pending.
    pub released: u64,
}

impl Counts {
    /// Letters that are not open any more.
    pub fn closed(&self) -> u64 {
        self.redriven + self.discarded + self.parked + self.duplicate
    }

    fn of(&mut self, disposition: Disposition) -> Option<&mut u64> {
        match disposition {
            Disposition::Pending => None,
            Disposition::Redriven => Some(&mut self.redriven),
            Disposition::Discarded => Some(&mut self.discarded),
            Disposition::Parked => Some(&mut self.parked),
            Disposition::Duplicate => Some(&mut self.duplicate),
            Disposition::Released => Some(&mut self.released),
        }
    }
}

/// Where a redriven letter went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement<'a> {
    /// Topic.
    pub topic: &'a Arc<str>,
    /// The topic's id, where the broker has ids.
    pub topic_id: Option<&'a Arc<str>>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// Where a record failed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root<'a> {
    /// Topic.
    pub topic: Option<&'a Arc<str>>,
    /// Partition.
    pub partition: Option<i32>,
    /// Offset.
    pub offset: Option<i64>,
    /// Its timestamp.
    pub timestamp: Option<Timestamp>,
}

/// What the ledger says of one letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Id of the dead-letter topic.
    pub topic_id: &'a Arc<str>,
    /// Partition of the letter.
    pub partition: i32,
    /// Offset of the letter.
    pub offset: i64,
    /// What was decided.
    pub disposition: Disposition,
    /// Run or action that decided.
    pub run: &'a Arc<str>,
    /// Who.
    pub operator: &'a Arc<str>,
    /// Why.
    pub reason: Option<&'a Arc<str>>,
    /// Where it went.
    pub target: Option<Placement<'a>>,
    /// Where the record failed first.
    pub root: Root<'a>,
    /// The consumer group that failed.
    pub group: Option<&'a Arc<str>>,
    /// How often it was redriven.
    pub count: u32,
    /// What was decided before, oldest first.
    pub earlier: &'a [Earlier],
    /// When, by the writer's clock.
    pub time: Timestamp,
}

/// Who redrives a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Run id.
    pub run: Arc<str>,
    /// Who.
    pub operator: Arc<str>,
    /// From which host.
    pub host: Arc<str>,
    /// What it is doing.
    pub state: OwnerState,
    /// When the broker appended the row; `None` where it keeps no such time.
    pub appended: Option<Timestamp>,
    /// Offset of the row in the ledger: a renewed row has a higher one.
    pub at: i64,
}

/// What many rows have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Common {
    run: Arc<str>,
    operator: Arc<str>,
    reason: Option<Arc<str>>,
    target: Option<(Arc<str>, Option<Arc<str>>)>,
    root: Option<Arc<str>>,
    group: Option<Arc<str>>,
}

/// The same, borrowed.
struct Shared<'a> {
    run: &'a str,
    operator: &'a str,
    reason: Option<&'a str>,
    target: Option<(&'a str, Option<&'a str>)>,
    root: Option<&'a str>,
    group: Option<&'a str>,
}

impl<'a> Shared<'a> {
    fn of(row: &'a LetterRow<'_>) -> Self {
        Self {
            run: &row.run,
            operator: &row.operator,
            reason: row.reason.as_deref(),
            target: row.target.as_ref().map(|target| (&*target.topic, target.topic_id.as_deref())),
            root: row.root.topic.as_deref(),
            group: row.group.as_deref(),
        }
    }

    fn of_all(row: &'a LettersRow<'_>) -> Self {
        Self {
            run: &row.run,
            operator: &row.operator,
            reason: row.reason.as_deref(),
            target: row.target_topic.as_deref().map(|topic| (topic, row.target_topic_id.as_deref())),
            root: row.root_topic.as_deref(),
            group: row.group.as_deref(),
        }
    }

    fn is(&self, common: &Common) -> bool {
        let target = common.target.as_ref().map(|(topic, id)| (&**topic, id.as_deref()));
        *self.run == *common.run
            && *self.operator == *common.operator
            && self.reason == common.reason.as_deref()
            && self.group == common.group.as_deref()
            && self.root == common.root.as_deref()
            && self.target == target
    }

    fn to_common(&self) -> Common {
        let arc = |text: Option<&str>| text.map(Arc::from);
        Common {
            run: Arc::from(self.run),
            operator: Arc::from(self.operator),
            reason: arc(self.reason),
            target: self.target.map(|(topic, id)| (Arc::from(topic), arc(id))),
            root: arc(self.root),
            group: arc(self.group),
        }
    }
}

/// A letter's row, packed.
#[derive(Clone, Copy, Debug)]
struct Packed {
    common: u32,
    count: u32,
    target_partition: i32,
    root_partition: i32,
    target_offset: i64,
    root_offset: i64,
    root_time: i64,
    time: i64,
    disposition: Disposition,
    /// Which of the optional numbers are known: 1 root partition, 2 root offset, 4 root time.
    known: u8,
}

impl Packed {
    /// What shares this, and failed first at this partition, offset and time.
    fn of(common: u32, (partition, offset, time): (Option<i32>, Option<i64>, Option<i64>)) -> Self {
        Self {
            common,
            count: 0,
            target_partition: -1,
            root_partition: partition.unwrap_or_default(),
            target_offset: -1,
            root_offset: offset.unwrap_or_default(),
            root_time: time.unwrap_or_default(),
            time: 0,
            disposition: Disposition::Pending,
            known: u8::from(partition.is_some())
                | u8::from(offset.is_some()) << 1
                | u8::from(time.is_some()) << 2,
        }
    }
}

#[derive(Debug, Default)]
struct Dlq {
    partitions: BTreeMap<i32, BTreeMap<i64, Packed>>,
    counts: Counts,
    owner: Option<Owner>,
}

/// A letter's place in the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    dlq: u32,
    partition: i32,
    offset: i64,
}

/// The state of every letter of a cluster.
#[derive(Debug)]
pub struct Ledger {
    cluster: Arc<str>,
    /// The format that its header says.
    header: Option<u32>,
    names: Vec<Arc<str>>,
    dlqs: Vec<Dlq>,
    by_name: HashMap<Arc<str>, u32, RandomState>,
    commons: Vec<Common>,
    by_common: HashMap<Common, u32>,
    last_common: usize,
    targets: HashMap<Arc<str>, BTreeMap<i32, BTreeMap<i64, Slot>>, RandomState>,
    earlier: BTreeMap<Slot, Box<[Earlier]>>,
    /// What was begun without a transaction, and not told to be done.
    intents: BTreeMap<Slot, Box<LetterRow<'static>>>,
    newest: Option<Timestamp>,
    generation: u64,
    foreign: u64,
    violations: u64,
}

impl Ledger {
    /// An empty ledger of the cluster with this id.
    pub fn new(cluster: impl Into<Arc<str>>) -> Self {
        Self {
            cluster: cluster.into(),
            header: None,
            names: Vec::new(),
            dlqs: Vec::new(),
            by_name: HashMap::default(),
            commons: Vec::new(),
            by_common: HashMap::new(),
            last_common: 0,
            targets: HashMap::default(),
            earlier: BTreeMap::new(),
            intents: BTreeMap::new(),
            newest: None,
            generation: 0,
            foreign: 0,
            violations: 0,
        }
    }

    /// Folds the next record of the ledger's partition. A row of a newer format, or one that is damaged, is an
    /// error: the state of its letter is not known, so nothing may be decided on this ledger.
    pub fn apply(&mut self, record: &Record) -> Result<(), RowError> {
        let appended = record.time.filter(|t| t.kind == TimeKind::LogAppend).map(|t| t.at);
        self.newest = self.newest.max(appended);
        let value = record.value.as_deref();
        match Key::decode(record.key.as_deref()) {
            Key::Header => {
                self.header = Some(HeaderRow::decode(value)?.v);
            }
            Key::Letter { cluster, topic, partition, offset } if *cluster == *self.cluster => {
                if value.is_none() {
                    // Version 1 writes no tombstones; a letter once handled is not opened by one.
                    self.foreign += 1;
                    return Ok(());
                }
                let row = LetterRow::decode(value)?;
                let dlq = self.dlq(&topic);
                self.put(Slot { dlq, partition, offset }, &row);
            }
            Key::Letters { cluster, topic, partition, first: _, run: _ } if *cluster == *self.cluster => {
                let row = LettersRow::decode(value)?;
                let dlq = self.dlq(&topic);
                self.put_all(dlq, partition, &row);
            }
            Key::Intent { cluster, topic, partition, offset }
                if *cluster == *self.cluster && value.is_some() =>
            {
                let row = LetterRow::decode(value)?;
                let dlq = self.dlq(&topic);
                self.intents.insert(Slot { dlq, partition, offset }, Box::new(row.into_owned()));
            }
            Key::Owner { cluster, topic } if *cluster == *self.cluster => {
                let row = OwnerRow::decode(value)?;
                let dlq = self.dlq(&topic);
                self.dlqs[dlq as usize].owner = Some(Owner {
                    run: row.run.into(),
                    operator: row.operator.into(),
                    host: row.host.into(),
                    state: row.state,
                    appended,
                    at: record.at.offset,
                });
            }
            Key::Letter { .. }
            | Key::Letters { .. }
            | Key::Intent { .. }
            | Key::Owner { .. }
            | Key::Foreign => {
                self.foreign += 1;
                return Ok(());
            }
        }
        self.generation += 1;
        Ok(())
    }

    /// What is known of the letter at this position of the dead-letter topic with this id.
    pub fn get(&self, topic_id: &str, partition: i32, offset: i64) -> Option<Row<'_>> {
        let dlq = *self.by_name.get(topic_id)?;
        self.row(Slot { dlq, partition, offset })
    }

    /// The letter's disposition; pending without a row.
    pub fn disposition(&self, topic_id: &str, partition: i32, offset: i64) -> Disposition {
        let packed = || {
            let dlq = *self.by_name.get(topic_id)?;
            self.dlqs.get(dlq as usize)?.partitions.get(&partition)?.get(&offset)
        };
        packed().map_or(Disposition::Pending, |p| p.disposition)
    }

    /// The redriven letter whose record lies at this place of a target topic: a dead letter with this origin
    /// came back from that redrive. Of several (a target topic made again), the latest.
    pub fn by_target(&self, topic: &str, partition: i32, offset: i64) -> Option<Row<'_>> {
        self.row(*self.targets.get(topic)?.get(&partition)?.get(&offset)?)
    }

    /// Letters of a dead-letter topic (partition and offset) that were to be redriven without a transaction, and of
    /// which no later row tells what became: the rows that follow if they were written.
    pub fn intents(&self, topic_id: &str) -> impl Iterator<Item = (i32, i64, &LetterRow<'static>)> {
        let dlq = self.by_name.get(topic_id).copied();
        let own = dlq.map(|dlq| {
            let first = Slot { dlq, partition: i32::MIN, offset: i64::MIN };
            self.intents.range(first..).take_while(move |(slot, _)| slot.dlq == dlq)
        });
        own.into_iter().flatten().map(|(slot, row)| (slot.partition, slot.offset, &**row))
    }

    /// The letters of a dead-letter topic that have a row: partition, offset and disposition, in order.
    pub fn dispositions(&self, topic_id: &str) -> impl Iterator<Item = (i32, i64, Disposition)> {
        let dlq = self.by_name.get(topic_id).and_then(|dlq| self.dlqs.get(*dlq as usize));
        let partitions = dlq.into_iter().flat_map(|dlq| &dlq.partitions);
        partitions.flat_map(|(partition, letters)| {
            letters.iter().map(|(offset, packed)| (*partition, *offset, packed.disposition))
        })
    }

    /// Letters of a dead-letter topic by disposition.
    pub fn counts(&self, topic_id: &str) -> Counts {
        self.by_name.get(topic_id).map_or_else(Counts::default, |dlq| self.dlqs[*dlq as usize].counts)
    }

    /// Who redrives a dead-letter topic, or did last.
    pub fn owner(&self, topic_id: &str) -> Option<&Owner> {
        self.dlqs[*self.by_name.get(topic_id)? as usize].owner.as_ref()
    }

    /// All owner rows with the ids of their topics.
    pub fn owners(&self) -> impl Iterator<Item = (&Arc<str>, &Owner)> {
        self.names.iter().zip(&self.dlqs).filter_map(|(name, dlq)| Some((name, dlq.owner.as_ref()?)))
    }

    /// All rows: by dead-letter topic as first met, then by partition and offset.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.dlqs.len()).flat_map(move |dlq| {
            let dlq = dlq as u32;
            let partitions = self.dlqs[dlq as usize].partitions.iter();
            partitions.flat_map(move |(&partition, letters)| {
                letters.keys().filter_map(move |&offset| self.row(Slot { dlq, partition, offset }))
            })
        })
    }

    /// The broker's latest append time among the rows read.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Whether a header row says the format that is written today. A ledger with rows has a header: see
    /// [`Ledger::check`].
    pub fn is_current(&self) -> bool {
        self.header == Some(FORMAT_VERSION)
    }

    /// Grows with every row that was folded: the state is unchanged while it stays the same.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Records that are not rows of this cluster's ledger.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Rows that break the state machine.
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// To be called when the whole ledger was read: rows without a header row are not of a known format.
    pub fn check(&self) -> Result<(), RowError> {
        if self.generation > 0 && self.header.is_none() {
            return Err(RowError::Damaged(format!(
                "it has rows, but no header row that says format {FORMAT_VERSION}"
            )));
        }
        Ok(())
    }

    fn dlq(&mut self, topic_id: &str) -> u32 {
        if let Some(dlq) = self.by_name.get(topic_id) {
            return *dlq;
        }
        let (name, dlq) = (Arc::<str>::from(topic_id), self.dlqs.len() as u32);
        self.names.push(Arc::clone(&name));
        self.dlqs.push(Dlq::default());
        self.by_name.insert(name, dlq);
        dlq
    }

    /// Takes the row of one letter.
    fn put(&mut self, slot: Slot, row: &LetterRow<'_>) {
        let shared = Shared::of(row);
        let root = &row.root;
        let packed = Packed {
            count: row.count,
            target_partition: row.target.as_ref().map_or(-1, |t| t.partition),
            target_offset: row.target.as_ref().map_or(-1, |t| t.offset),
            time: row.time_ms,
            disposition: row.disposition,
            ..Packed::of(self.common(&shared), (root.partition, root.offset, root.timestamp_ms))
        };
        self.put_packed(slot, packed, shared.target.map(|(topic, _)| topic), &row.earlier);
    }

    /// Takes a row of several letters.
    fn put_all(&mut self, dlq: u32, partition: i32, row: &LettersRow<'_>) {
        let common = self.common(&Shared::of_all(row));
        for letter in &row.letters {
            let root = (letter.root_partition, letter.root_offset, letter.root_timestamp_ms);
            let packed = Packed {
                count: letter.count,
                target_partition: letter.target_partition.unwrap_or(-1),
                target_offset: letter.target_offset.unwrap_or(-1),
                time: row.time_ms,
                disposition: row.disposition,
                ..Packed::of(common, root)
            };
            let slot = Slot { dlq, partition, offset: letter.offset };
            self.put_packed(slot, packed, row.target_topic.as_deref(), &[]);
        }
    }

    fn put_packed(&mut self, slot: Slot, packed: Packed, target: Option<&str>, earlier: &[Earlier]) {
        self.intents.remove(&slot);
        let dlq = &mut self.dlqs[slot.dlq as usize];
        let letters = dlq.partitions.entry(slot.partition).or_default();
        let before = letters.get(&slot.offset).map_or(Disposition::Pending, |p| p.disposition);
        if !before.may_become(packed.disposition, true) {
            self.violations += 1;
            if before == Disposition::Redriven {
                return;
            }
        }
        letters.insert(slot.offset, packed);
        if let Some(count) = dlq.counts.of(before) {
            *count -= 1;
        }
        if let Some(count) = dlq.counts.of(packed.disposition) {
            *count += 1;
        }
        if earlier.is_empty() {
            self.earlier.remove(&slot);
        } else {
            self.earlier.insert(slot, earlier.into());
        }
        if let (Disposition::Redriven, Some(target)) = (packed.disposition, target) {
            let by_partition = match self.targets.get_mut(target) {
                Some(by_partition) => by_partition,
                None => self.targets.entry(Arc::from(target)).or_default(),
            };
            by_partition.entry(packed.target_partition).or_default().insert(packed.target_offset, slot);
        }
    }

    fn common(&mut self, shared: &Shared<'_>) -> u32 {
        if self.commons.get(self.last_common).is_some_and(|common| shared.is(common)) {
            return self.last_common as u32;
        }
        let common = shared.to_common();
        let next = self.commons.len() as u32;
        let index = *self.by_common.entry(common.clone()).or_insert(next);
        if index == next {
            self.commons.push(common);
        }
        self.last_common = index as usize;
        index
    }

    fn row(&self, slot: Slot) -> Option<Row<'_>> {
        let dlq = self.dlqs.get(slot.dlq as usize)?;
        let packed = dlq.partitions.get(&slot.partition)?.get(&slot.offset)?;
        let common = self.commons.get(packed.common as usize)?;
        let known = |bit: u8| packed.known & bit != 0;
        Some(Row {
            topic_id: &self.names[slot.dlq as usize],
            partition: slot.partition,
            offset: slot.offset,
            disposition: packed.disposition,
            run: &common.run,
            operator: &common.operator,
            reason: common.reason.as_ref(),
            target: common.target.as_ref().map(|(topic, topic_id)| Placement {
                topic,
                topic_id: topic_id.as_ref(),
                partition: packed.target_partition,
                offset: packed.target_offset,
            }),
            root: Root {
                topic: common.root.as_ref(),
                partition: known(1).then_some(packed.root_partition),
                offset: known(2).then_some(packed.root_offset),
                timestamp: known(4).then_some(Timestamp(packed.root_time)),
            },
            group: common.group.as_ref(),
            count: packed.count,
            earlier: self.earlier.get(&slot).map_or(&[], |e| e),
            time: Timestamp(packed.time),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::letters::Listed;
    use super::super::row::{RootAt, TargetAt};
    use super::*;
    use crate::event::{Digest, Headers, Position, RecordTime};

    fn record(offset: i64, key: Bytes, value: Option<Bytes>) -> Record {
        Record {
            at: Position::new("__redrive.ledger", 0, offset),
            time: Some(RecordTime { kind: TimeKind::LogAppend, at: Timestamp(1000 + offset) }),
            key: Some(key),
            value,
            headers: Headers::default(),
            lease: None,
        }
    }

    fn row(disposition: Disposition, run: &str, target: Option<(&str, i32, i64)>) -> Bytes {
        LetterRow {
            v: FORMAT_VERSION,
            disposition,
            run: run.to_owned().into(),
            operator: "ada".into(),
            reason: None,
            sha256_before: "".into(),
            sha256_after: None,
            target: target.map(|(topic, partition, offset)| TargetAt {
                topic: topic.to_owned().into(),
                topic_id: Some("TID".into()),
                partition,
                offset,
            }),
            root: RootAt {
                topic: Some("orders".into()),
                partition: Some(1),
                offset: None,
                timestamp_ms: Some(9),
            },
            group: Some("email".into()),
            count: 1,
            earlier: Vec::new(),
            program: "t".into(),
            time_ms: 5,
        }
        .encode()
    }

    fn letter(offset: i64, of: (i32, i64), disposition: Disposition) -> Record {
        let target = (disposition == Disposition::Redriven).then_some(("orders", of.0, of.1 + 100));
        record(offset, Key::letter("c", "dlq", of.0, of.1).encode(), Some(row(disposition, "r", target)))
    }

    #[test]
    fn a_redriven_letter_is_found_by_position_and_by_target() {
        let mut ledger = Ledger::new("c");
        ledger.apply(&record(0, Key::Header.encode(), Some(HeaderRow::current("t").encode()))).unwrap();
        ledger.apply(&letter(1, (2, 7), Disposition::Redriven)).unwrap();
        let row = ledger.get("dlq", 2, 7).unwrap();
        assert_eq!(row.disposition, Disposition::Redriven);
        assert_eq!((row.root.partition, row.root.offset), (Some(1), None));
        assert_eq!(row.root.timestamp, Some(Timestamp(9)));
        assert_eq!(ledger.by_target("orders", 2, 107), Some(row));
        assert_eq!(ledger.by_target("orders", 2, 7), None);
        assert_eq!(ledger.get("other", 2, 7), None);
        assert_eq!(ledger.counts("dlq"), Counts { redriven: 1, ..Counts::default() });
        assert_eq!(ledger.newest(), Some(Timestamp(1001)));
        assert!(ledger.check().is_ok());
    }

    #[test]
    fn a_redriven_letter_stays_redriven_whatever_is_written_later() {
        let mut ledger = Ledger::new("c");
        ledger.apply(&letter(0, (0, 1), Disposition::Redriven)).unwrap();
        ledger.apply(&letter(1, (0, 1), Disposition::Discarded)).unwrap();
        ledger.apply(&record(2, Key::letter("c", "dlq", 0, 1).encode(), None)).unwrap();
        assert_eq!(ledger.disposition("dlq", 0, 1), Disposition::Redriven);
        assert_eq!((ledger.violations(), ledger.foreign()), (1, 1));
    }

    #[test]
    fn a_released_letter_is_open_again_and_counts_move() {
        let mut ledger = Ledger::new("c");
        for (at, disposition) in [Disposition::Parked, Disposition::Released].into_iter().enumerate() {
            ledger.apply(&letter(at as i64, (0, 1), disposition)).unwrap();
        }
        assert!(ledger.disposition("dlq", 0, 1).is_pending());
        assert_eq!(ledger.counts("dlq"), Counts { released: 1, ..Counts::default() });
    }

    #[test]
    fn a_newer_header_is_refused_and_rows_without_a_header_too() {
        let mut ledger = Ledger::new("c");
        let mut header = HeaderRow::current("t");
        header.v = 2;
        let newer = ledger.apply(&record(0, Key::Header.encode(), Some(header.encode())));
        assert_eq!(newer, Err(RowError::Newer { version: 2 }));
        ledger.apply(&letter(1, (0, 1), Disposition::Parked)).unwrap();
        assert!(ledger.check().is_err());
    }

    #[test]
    fn rows_of_another_cluster_and_strange_records_change_nothing() {
        let mut ledger = Ledger::new("other");
        ledger.apply(&letter(0, (0, 1), Disposition::Redriven)).unwrap();
        ledger.apply(&record(1, Bytes::from_static(b"hello"), None)).unwrap();
        assert_eq!((ledger.foreign(), ledger.generation()), (2, 0));
        assert!(ledger.check().is_ok());
    }

    #[test]
    fn a_packed_letter_is_small() {
        assert!(size_of::<Packed>() <= 56, "{}", size_of::<Packed>());
    }

    #[test]
    fn letters_that_share_a_row_are_folded_as_if_each_had_its_own() {
        let listed = |offset: i64| Listed {
            offset,
            target_partition: Some(2),
            target_offset: Some(offset + 100),
            root_partition: Some(1),
            root_offset: (offset % 2 == 0).then_some(offset),
            root_timestamp_ms: (offset % 3 == 0).then_some(9),
            count: 1 + (offset % 2) as u32,
            sha256_before: Digest([offset as u8; 32]),
            sha256_after: None,
        };
        let shared = LettersRow {
            v: FORMAT_VERSION,
            disposition: Disposition::Redriven,
            run: "r".into(),
            operator: "ada".into(),
            reason: Some("fixed".into()),
            target_topic: Some("orders".into()),
            target_topic_id: Some("TID".into()),
            root_topic: Some("orders".into()),
            group: Some("email".into()),
            program: "t".into(),
            time_ms: 5,
            letters: [7, 8, 9, 12].map(listed).to_vec(),
        };
        let mut together = Ledger::new("c");
        let mut apart = Ledger::new("c");
        // What was decided before, and after.
        for ledger in [&mut together, &mut apart] {
            ledger.apply(&letter(0, (3, 8), Disposition::Released)).unwrap();
        }
        together
            .apply(&record(1, Key::letters("c", "dlq", 3, 7, "r").encode(), Some(shared.encode())))
            .unwrap();
        for (at, letter) in (1..).zip(&shared.letters) {
            let key = Key::letter("c", "dlq", 3, letter.offset).encode();
            apart.apply(&record(at, key, Some(shared.own(letter).encode()))).unwrap();
        }
        for ledger in [&mut together, &mut apart] {
            ledger.apply(&letter(9, (3, 9), Disposition::Redriven)).unwrap();
            ledger.apply(&letter(10, (3, 12), Disposition::Discarded)).unwrap();
        }
        assert_eq!(together.rows().collect::<Vec<_>>(), apart.rows().collect::<Vec<_>>());
        assert_eq!(together.counts("dlq"), Counts { redriven: 4, ..Counts::default() });
        assert_eq!(together.violations(), apart.violations());
        assert_eq!(together.by_target("orders", 2, 112), apart.by_target("orders", 2, 112));
        assert_eq!(together.by_target("orders", 2, 112).unwrap().offset, 12);
        // Another cluster's.
        let mut other = Ledger::new("other");
        other.apply(&record(1, Key::letters("c", "dlq", 3, 7, "r").encode(), Some(shared.encode()))).unwrap();
        assert_eq!((other.foreign(), other.rows().count()), (1, 0));
    }

    /// A plain model: the last row that the state machine lets through.
    fn model(rows: &[(i32, i64, Disposition)]) -> BTreeMap<(i32, i64), Disposition> {
        let mut state = BTreeMap::new();
        for &(partition, offset, disposition) in rows {
            let slot = state.entry((partition, offset)).or_insert(disposition);
            if *slot != Disposition::Redriven {
                *slot = disposition;
            }
        }
        state
    }

    fn rows() -> impl Strategy<Value = Vec<(i32, i64, Disposition)>> {
        use Disposition::{Discarded, Duplicate, Parked, Redriven, Released};
        let disposition = proptest::sample::select(vec![Discarded, Duplicate, Parked, Redriven, Released]);
        proptest::collection::vec((0..3, 0i64..6, disposition), 0..60)
    }

    proptest! {
        #[test]
        fn the_fold_is_the_state_machine_over_the_rows_in_order(rows in rows()) {
            let mut ledger = Ledger::new("c");
            for (at, (partition, offset, disposition)) in rows.iter().enumerate() {
                ledger.apply(&letter(at as i64, (*partition, *offset), *disposition)).unwrap();
            }
            let folded: BTreeMap<_, _> =
                ledger.rows().map(|r| ((r.partition, r.offset), r.disposition)).collect();
            prop_assert_eq!(&folded, &model(&rows));
            let mut counts = Counts::default();
            for disposition in folded.values() {
                *counts.of(*disposition).unwrap() += 1;
            }
            prop_assert_eq!(ledger.counts("dlq"), counts);
        }

        #[test]
        fn compaction_of_open_rows_does_not_change_the_fold(rows in rows()) {
            // A log cleaner keeps the last row of each key; where the rows obey the state machine this is
            // what the fold keeps too.
            let mut obeying: Vec<(i32, i64, Disposition)> = Vec::new();
            for row in rows {
                let before = obeying.iter().rev().find(|r| (r.0, r.1) == (row.0, row.1));
                let before = before.map_or(Disposition::Pending, |r| r.2);
                if before.may_become(row.2, true) {
                    obeying.push(row);
                }
            }
            let fold = |keep: &dyn Fn(usize) -> bool| {
                let mut ledger = Ledger::new("c");
                for (at, r) in obeying.iter().enumerate().filter(|(at, _)| keep(*at)) {
                    ledger.apply(&letter(at as i64, (r.0, r.1), r.2)).unwrap();
                }
                ledger.rows().map(|r| (r.partition, r.offset, r.disposition)).collect::<Vec<_>>()
            };
            let last = |at: usize| obeying[at + 1..].iter().all(|r| (r.0, r.1) != (obeying[at].0, obeying[at].1));
            prop_assert_eq!(fold(&|_| true), fold(&last));
        }
    }
}
