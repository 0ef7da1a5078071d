//! What is known of one partition: its offsets, its rate, and a few of its records.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lag::Ends;
use super::rates::Rate;
use crate::broker::{Bounds, BrokerError};
use crate::event::{Record, TimeKind, envelope};
use crate::text::Timestamp;

/// Records of one partition that are remembered.
const MOST_TRACES: usize = 64;
/// Offsets that a partition must grow by before it is read again.
pub(super) const TAIL: i64 = 4;

/// What is kept of a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    /// Offset.
    pub offset: i64,
    /// The record's own timestamp.
    pub time: Option<(Timestamp, TimeKind)>,
    /// When its event happened: the envelope's time, else the record's; `None` for a record that was written
    /// again (redriven, replayed), whose age says nothing of the way through.
    pub event_time: Option<Timestamp>,
    /// Bytes of key, value and headers.
    pub size: usize,
}

impl Trace {
    /// What is worth keeping of a record.
    pub fn of(record: &Record) -> Self {
        let again = record.headers.all("redrive-id").next().is_some();
        let event_time = if again { None } else { envelope::extract(record).time.or(record.timestamp()) };
        Self {
            offset: record.at.offset,
            time: record.time.map(|t| (t.at, t.kind)),
            event_time,
            size: record.size(),
        }
    }
}

/// One partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// Offsets at the last look.
    pub bounds: Option<Bounds>,
    /// Why they are not known.
    pub error: Option<String>,
    /// Growth.
    pub rate: Rate,
    /// Ends that were seen.
    pub ends: Ends,
    /// Records that were read, by offset.
    pub traces: BTreeMap<i64, Trace>,
    /// Up to here its tail was read.
    pub read_to: i64,
    /// Since when the last stable offset stands behind the end, and where.
    pub held: Option<(i64, Timestamp)>,
    /// Offsets of logs that were here before and are gone: a count of what was appended goes on from them.
    gone: i64,
    /// Whether the end went down since the topic's id was last known: if the topic is another, this was it.
    pub shrunk: bool,
}

impl Log {
    /// Takes its offsets of now; whether the log began anew (truncated, or made again).
    pub fn see(&mut self, bounds: Result<Bounds, BrokerError>, at: Duration, now: Timestamp) -> bool {
        let bounds = match bounds {
            Ok(bounds) => bounds,
            Err(e) => {
                self.error = Some(e.to_string());
                self.bounds = None;
                return false;
            }
        };
        let anew = self.bounds.is_some_and(|b| bounds.end < b.end);
        if anew {
            let gone = self.gone + self.bounds.map_or(0, |b| b.end);
            *self = Self { gone, shrunk: true, ..Self::default() };
        }
        self.error = None;
        self.bounds = Some(bounds);
        self.rate.see(bounds.end, at);
        self.ends.see(bounds.end, now);
        self.held = (bounds.last_stable < bounds.end).then(|| {
            self.held.filter(|(stable, _)| *stable == bounds.last_stable).unwrap_or((bounds.last_stable, now))
        });
        anew
    }

    /// The log of another topic in its place.
    pub fn again(&self) -> Self {
        // Where the end went down, this was seen before, and what was there is counted.
        let end = self.bounds.filter(|_| !self.shrunk).map_or(0, |b| b.end);
        Self { gone: self.gone + end, ..Self::default() }
    }

    /// Offsets given out so far, those of earlier logs included: it never goes down.
    pub fn appended(&self) -> Option<u64> {
        u64::try_from(self.bounds?.end + self.gone).ok()
    }

    /// Keeps what was read of a record.
    pub fn remember(&mut self, trace: Trace) {
        self.traces.insert(trace.offset, trace);
        if self.traces.len() > MOST_TRACES {
            // Every second one of the older half goes: a group that lags far behind still meets some.
            let mut i = 0;
            self.traces.retain(|_, _| {
                i += 1;
                i > MOST_TRACES / 2 || i % 2 == 1
            });
        }
    }

    /// The part of the tail to read next, of a log that has grown.
    pub fn tail(&self) -> Option<(i64, i64)> {
        let bounds = self.bounds?;
        let from = self.read_to.max(bounds.last_stable - TAIL).max(bounds.start);
        (from < bounds.last_stable).then_some((from, bounds.last_stable))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Headers, Position, RecordTime};

    fn record(offset: i64, value: &str, headers: &[&str]) -> Record {
        let headers =
            headers.iter().map(|h| (Bytes::from((*h).to_owned()), Some(Bytes::from("x")))).collect();
        Record {
            at: Position::new("orders", 0, offset),
            time: Some(RecordTime { kind: TimeKind::Create, at: Timestamp(5000) }),
            key: None,
            value: Some(Bytes::from(value.to_owned())),
            headers: Headers(headers),
            lease: None,
        }
    }

    #[test]
    fn the_event_time_is_the_envelopes_else_the_records() {
        let event = r#"{"event_id":"e","event_type":"OrderPlaced","timestamp":"1970-01-01T00:00:02Z"}"#;
        assert_eq!(Trace::of(&record(0, event, &[])).event_time, Some(Timestamp(2000)));
        assert_eq!(Trace::of(&record(0, "plain", &[])).event_time, Some(Timestamp(5000)));
    }

    #[test]
    fn a_record_that_was_written_again_says_nothing_of_latency() {
        let trace = Trace::of(&record(0, "plain", &["redrive-id"]));
        assert_eq!(trace.event_time, None);
        assert_eq!(trace.time, Some((Timestamp(5000), TimeKind::Create)));
    }

    #[test]
    fn only_new_records_of_the_tail_are_read() {
        let mut log = Log::default();
        assert_eq!(log.tail(), None);
        let bounds = |start, end| Ok(Bounds { start, end, last_stable: end });
        log.see(bounds(0, 100), Duration::ZERO, Timestamp(0));
        assert_eq!(log.tail(), Some((96, 100)));
        log.read_to = 100;
        assert_eq!(log.tail(), None);
        log.see(bounds(0, 102), Duration::from_secs(1), Timestamp(0));
        assert_eq!(log.tail(), Some((100, 102)));
        assert!(log.see(bounds(0, 2), Duration::from_secs(2), Timestamp(0)), "made again");
        assert_eq!(log.tail(), Some((0, 2)));
    }

    #[test]
    fn a_standing_last_stable_offset_keeps_its_time() {
        let mut log = Log::default();
        let mut see = |end, last_stable, seconds: i64| {
            let bounds = Bounds { start: 0, end, last_stable };
            log.see(Ok(bounds), Duration::from_secs(seconds as u64), Timestamp(seconds));
            log.held
        };
        assert_eq!(see(10, 10, 0), None);
        assert_eq!(see(12, 10, 1), Some((10, Timestamp(1))));
        assert_eq!(see(14, 10, 2), Some((10, Timestamp(1))));
        assert_eq!(see(16, 14, 3), Some((14, Timestamp(3))));
        assert_eq!(see(16, 16, 4), None);
    }

    #[test]
    fn few_records_are_remembered_and_the_oldest_is_among_them() {
        let mut log = Log::default();
        for offset in 0..10_000 {
            log.remember(Trace::of(&record(offset, "v", &[])));
        }
        assert!(log.traces.len() <= MOST_TRACES);
        assert!(log.traces.contains_key(&0) && log.traces.contains_key(&9_999));
    }
}
