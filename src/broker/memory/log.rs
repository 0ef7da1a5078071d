//! One partition's log: entries in offset order, with gaps where compaction or markers took offsets.
//!
//! A transaction's records get their offsets at once; what hides them from `read_committed` is the last stable
//! offset while it is open, and a mark on each record after an abort (Kafka keeps an index of aborted
//! transactions for that). Control markers take an offset and are never read.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::broker::{Bounds, Isolation, Name};
use crate::event::{Headers, Position, Record, RecordTime, TimeKind};
use crate::text::Timestamp;

/// What an entry costs beside its bytes; counted in the budget.
const ENTRY_COST: usize = 144;

/// What a record is before it has an offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl Data {
    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.map_or(0, Bytes::len)).sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + headers
    }
}

#[derive(Debug)]
pub(super) enum Body {
    Data { data: Data, aborted: bool, producer: Option<u64> },
    Marker,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub offset: i64,
    pub time: Timestamp,
    /// The latest time of this and all earlier entries: never goes back, so that a time can be searched.
    peak: Timestamp,
    pub body: Body,
}

impl Entry {
    pub fn cost(&self) -> usize {
        ENTRY_COST + if let Body::Data { data, .. } = &self.body { data.size() } else { 0 }
    }
}

/// Where the log rolls to a new segment: what is in the last one is never compacted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roll {
    pub after_ms: i64,
    pub after_bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    pub start: i64,
    pub next: i64,
    pub entries: VecDeque<Entry>,
    /// Cost of all entries.
    pub bytes: usize,
    /// First offset of each open transaction, by producer.
    open: BTreeMap<u64, i64>,
    /// First offset of the segment that is written to, when it began, and its size.
    pub active: i64,
    active_since: Option<Timestamp>,
    active_bytes: usize,
    /// Up to here the log is compacted.
    pub cleaned: i64,
    kind: Option<TimeKind>,
}

/// How much one read may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub bytes: usize,
    pub records: usize,
}

impl Partition {
    pub fn new(kind: TimeKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    pub fn bounds(&self) -> Bounds {
        Bounds { start: self.start, end: self.next, last_stable: self.last_stable() }
    }

    pub fn last_stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.next)
    }

    /// Where a reader must stop.
    pub fn limit(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadCommitted => self.last_stable(),
            Isolation::ReadUncommitted => self.next,
        }
    }

    fn push(&mut self, time: Timestamp, now: Timestamp, roll: Roll, body: Body) -> (i64, usize) {
        let offset = self.next;
        let peak = self.entries.back().map_or(time, |last| last.peak.max(time));
        let entry = Entry { offset, time, peak, body };
        let cost = entry.cost();
        let old = self.active_since.is_some_and(|since| now.since(since) > roll.after_ms);
        if old || self.active_bytes.saturating_add(cost) > roll.after_bytes {
            self.active = offset;
            self.active_bytes = 0;
            self.active_since = None;
        }
        self.active_since.get_or_insert(now);
        self.active_bytes += cost;
        self.entries.push_back(entry);
        self.bytes += cost;
        self.next += 1;
        (offset, cost)
    }

    /// Appends a record; gives its offset and its cost.
    pub fn append(
        &mut self,
        data: Data,
        time: Timestamp,
        now: Timestamp,
        roll: Roll,
        producer: Option<u64>,
    ) -> (i64, usize) {
        if let Some(producer) = producer {
            self.open.entry(producer).or_insert(self.next);
        }
        self.push(time, now, roll, Body::Data { data, aborted: false, producer })
    }

    /// Ends `producer`'s transaction here with a control marker; gives the marker's cost.
    pub fn mark(&mut self, by: u64, commit: bool, now: Timestamp, roll: Roll) -> usize {
        let Some(first) = self.open.remove(&by) else { return 0 };
        let from = self.index(first);
        for entry in self.entries.range_mut(from..) {
            if let Body::Data { aborted, producer, .. } = &mut entry.body
                && *producer == Some(by)
            {
                *aborted = !commit;
                // A later transaction of the same producer must not touch this record again.
                *producer = None;
            }
        }
        self.push(now, now, roll, Body::Marker).1
    }

    /// The index of the first entry at or after `offset`.
    pub fn index(&self, offset: i64) -> usize {
        self.entries.partition_point(|e| e.offset < offset)
    }

    /// Reads from `from` up to `limit`; gives the next offset to be read. One record is always taken, however
    /// large it is, while `room` is not used up.
    pub fn read(
        &self,
        at: (&Name, i32),
        from: i64,
        limit: i64,
        isolation: Isolation,
        room: &mut Room,
        out: &mut Vec<Record>,
    ) -> i64 {
        for entry in self.entries.range(self.index(from)..) {
            if entry.offset >= limit {
                break;
            }
            let Body::Data { data, aborted, .. } = &entry.body else { continue };
            if *aborted && isolation == Isolation::ReadCommitted {
                continue;
            }
            if room.records == 0 || room.bytes == 0 {
                return entry.offset;
            }
            room.records -= 1;
            room.bytes = room.bytes.saturating_sub(data.size() + ENTRY_COST);
            out.push(Record {
                at: Position { topic: at.0.clone(), partition: at.1, offset: entry.offset },
                time: Some(RecordTime { kind: self.kind.unwrap_or(TimeKind::Create), at: entry.time }),
                key: data.key.clone(),
                value: data.value.clone(),
                headers: data.headers.clone(),
                lease: None,
            });
        }
        limit.max(from)
    }

    /// The first offset whose time is not before `time`; a marker has the time when its transaction ended, and counts
    /// as it does in Kafka.
    pub fn first_at(&self, time: Timestamp) -> Option<i64> {
        let from = self.entries.partition_point(|e| e.peak < time);
        self.entries.range(from..).find(|e| e.time >= time).map(|e| e.offset)
    }

    /// Deletes the entries before `offset`; gives what they cost.
    pub fn trim(&mut self, offset: i64) -> usize {
        let gone = self.index(offset);
        let freed: usize = self.entries.drain(..gone).map(|e| e.cost()).sum();
        self.bytes -= freed;
        self.start = self.start.max(offset.min(self.next));
        freed
    }

    /// Replaces the entries by those of them that `keep` wants; gives what the others cost.
    pub fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) -> usize {
        let before = self.bytes;
        self.entries.retain(keep);
        self.bytes = self.entries.iter().map(Entry::cost).sum();
        before - self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLL: Roll = Roll { after_ms: i64::MAX, after_bytes: usize::MAX };

    fn data(text: &str) -> Data {
        Data { key: Some(Bytes::from(text.to_owned())), ..Data::default() }
    }

    fn add(log: &mut Partition, time: i64, producer: Option<u64>) -> i64 {
        log.append(data("k"), Timestamp(time), Timestamp(time), ROLL, producer).0
    }

    fn offsets(log: &Partition, from: i64, isolation: Isolation) -> (Vec<i64>, i64) {
        let mut out = Vec::new();
        let mut room = Room { bytes: usize::MAX, records: usize::MAX };
        let name: Name = "t".into();
        let next = log.read((&name, 0), from, log.limit(isolation), isolation, &mut room, &mut out);
        (out.iter().map(|r| r.at.offset).collect(), next)
    }

    #[test]
    fn an_open_transaction_holds_back_later_records_of_others() {
        let mut log = Partition::default();
        add(&mut log, 1, None);
        add(&mut log, 2, Some(7));
        add(&mut log, 3, None);
        assert_eq!(log.bounds(), Bounds { start: 0, end: 3, last_stable: 1 });
        assert_eq!(offsets(&log, 0, Isolation::ReadCommitted), (vec![0], 1));
        assert_eq!(offsets(&log, 0, Isolation::ReadUncommitted), (vec![0, 1, 2], 3));
    }

    #[test]
    fn aborted_records_are_seen_by_read_uncommitted_only_and_the_marker_by_nobody() {
        let mut log = Partition::default();
        add(&mut log, 1, Some(7));
        add(&mut log, 2, None);
        log.mark(7, false, Timestamp(3), ROLL);
        assert_eq!(offsets(&log, 0, Isolation::ReadCommitted), (vec![1], 3));
        assert_eq!(offsets(&log, 0, Isolation::ReadUncommitted), (vec![0, 1], 3));
        assert_eq!(log.bounds().end, 3);
    }

    #[test]
    fn an_abort_does_not_touch_an_earlier_committed_transaction_of_the_same_producer() {
        let mut log = Partition::default();
        add(&mut log, 1, Some(7));
        log.mark(7, true, Timestamp(2), ROLL);
        add(&mut log, 3, Some(7));
        log.mark(7, false, Timestamp(4), ROLL);
        assert_eq!(offsets(&log, 0, Isolation::ReadCommitted).0, [0]);
    }

    #[test]
    fn a_time_is_found_although_times_go_back_and_forth() {
        let mut log = Partition::default();
        for time in [50, 10, 90, 20, 100] {
            add(&mut log, time, None);
        }
        assert_eq!(log.first_at(Timestamp(0)), Some(0));
        assert_eq!(log.first_at(Timestamp(51)), Some(2));
        assert_eq!(log.first_at(Timestamp(101)), None);
        log.trim(3);
        assert_eq!(log.first_at(Timestamp(51)), Some(4));
    }

    #[test]
    fn a_full_read_stops_before_the_record_that_does_not_fit_any_more() {
        let mut log = Partition::default();
        for time in 0..5 {
            add(&mut log, time, None);
        }
        let mut out = Vec::new();
        let mut room = Room { bytes: usize::MAX, records: 2 };
        let name: Name = "t".into();
        let next = log.read((&name, 0), 0, 5, Isolation::ReadCommitted, &mut room, &mut out);
        assert_eq!((out.len(), next), (2, 2));
    }

    #[test]
    fn trimming_past_the_end_stops_at_the_end() {
        let mut log = Partition::default();
        add(&mut log, 1, None);
        assert!(log.trim(99) > 0);
        assert_eq!((log.start, log.next, log.bytes), (1, 1, 0));
    }
}
