//! Whether a record is meant by a selection; the cheap tests come first, and only jq builds a document.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memchr::memmem::Finder;

use super::jq::Program;
use super::{Selection, decoded};
use crate::config::profile::DeadLetters;
use crate::event::decode::{Decoding, Side};
use crate::event::{Record, RecordBytes};
use crate::text::Fault;

/// A compiled selection, without its edges: where a range begins and ends is known to who reads.
pub struct Matcher {
    partitions: Vec<i32>,
    key: Option<Bytes>,
    contains: Option<Finder<'static>>,
    condition: Option<Program>,
    formats: DeadLetters,
    decoding: Decoding,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

impl Matcher {
    /// Compiles a selection; `formats` reads home-grown dead letters. An expression that is wrong is a usage error.
    pub fn compile(selection: &Selection, formats: &DeadLetters) -> Result<Self, Fault> {
        let condition =
            selection.filter.as_deref().map(|code| Program::condition(code, "--where")).transpose()?;
        let mut partitions = selection.partitions.clone();
        partitions.sort_unstable();
        Ok(Self {
            partitions,
            key: selection.key.clone(),
            contains: selection.contains.as_ref().map(|needle| Finder::new(needle).into_owned()),
            condition,
            formats: formats.clone(),
            decoding: Decoding::default(),
            errors: AtomicU64::new(0),
            first_error: Mutex::new(None),
        })
    }

    /// The same, with the decoders of a profile.
    #[must_use]
    pub fn with(self, decoding: &Decoding) -> Self {
        Self { decoding: decoding.clone(), ..self }
    }

    /// Whether every record is meant.
    pub fn is_all(&self) -> bool {
        self.partitions.is_empty()
            && self.key.is_none()
            && self.contains.is_none()
            && self.condition.is_none()
    }

    /// Whether the record is meant. An error of the condition counts as no, and is counted.
    pub fn matches(&self, record: &Record) -> bool {
        self.glance(record).unwrap_or_else(|| self.ask(record))
    }

    /// Keeps the records that are meant, of those that a [glance](Self::glance) has not refused; where the interpreter is
    /// needed, several threads work.
    pub fn retain(&self, records: &mut Vec<Record>) {
        /// Fewer records are not worth a thread.
        const SHARE: usize = 64;
        // A glance has told all but what the condition says; and it saw headers that are perhaps not there any more.
        if self.condition.is_none() {
            return;
        }
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(records.len() / SHARE);
        if threads < 2 {
            return records.retain(|record| self.matches(record));
        }
        let work = |share: &[Record]| share.iter().map(|r| self.matches(r)).collect::<Vec<_>>();
        let meant: Vec<bool> = std::thread::scope(|scope| {
            let shares = records.chunks(records.len().div_ceil(threads));
            let threads: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|e| resume_unwind(e)));
            joined.flatten().collect()
        });
        let mut meant = meant.into_iter();
        records.retain(|_| meant.next().unwrap_or_default());
    }

    /// Whether the record is meant, as far as its bytes tell; `None` where the condition needs the whole document.
    pub fn glance<R: RecordBytes + ?Sized>(&self, record: &R) -> Option<bool> {
        if !self.partitions.is_empty() && self.partitions.binary_search(&record.place().1).is_err() {
            return Some(false);
        }
        if self.key.as_ref().is_some_and(|key| record.key() != Some(&**key)) {
            return Some(false);
        }
        if self.contains.as_ref().is_some_and(|finder| !contains(finder, record)) {
            return Some(false);
        }
        let Some(condition) = &self.condition else { return Some(true) };
        let topic = record.place().0;
        let in_order = |side| self.decoding.order(topic, side).is_some();
        // What a topic's own decoders make of a record is not seen in its bytes.
        if !self.decoding.topics.is_empty() && (in_order(Side::Key) || in_order(Side::Value)) {
            return None;
        }
        condition.glance(record)
    }

    /// Whether the interpreter holds the condition to be true.
    fn ask(&self, record: &Record) -> bool {
        let Some(condition) = &self.condition else { return true };
        condition.is_true(&decoded(record, &self.formats, &self.decoding, condition)).unwrap_or_else(|why| {
            self.errors.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut first) = self.first_error.lock() {
                first.get_or_insert_with(|| format!("{}: {why}", record.at));
            }
            false
        })
    }

    /// Records on which the condition failed with an error.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The first of these errors, with its place.
    pub fn first_error(&self) -> Option<String> {
        self.first_error.lock().ok()?.clone()
    }
}

fn contains<R: RecordBytes + ?Sized>(finder: &Finder<'_>, record: &R) -> bool {
    let within = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| finder.find(bytes).is_some());
    if within(record.value()) || within(record.key()) {
        return true;
    }
    let mut found = false;
    record.each_header(&mut |_, value| found = found || within(value));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Headers, Position, RecordTime, TimeKind};
    use crate::text::Timestamp;

    fn record(key: &str, value: &'static [u8]) -> Record {
        let mut headers = Headers::default();
        headers.push("h", Some("one".into()));
        headers.push("h", Some("two".into()));
        headers.push("none", None);
        Record {
            at: Position::new("orders", 3, 7),
            time: Some(RecordTime { kind: TimeKind::Create, at: Timestamp(1_795_525_331_034) }),
            key: Some(Bytes::from(key.to_owned())),
            value: Some(Bytes::from_static(value)),
            headers,
            lease: None,
        }
    }

    fn matcher(selection: Selection) -> Matcher {
        Matcher::compile(&selection, &DeadLetters::default()).unwrap()
    }

    fn holds(filter: &str, record: &Record) -> bool {
        let matcher = matcher(Selection { filter: Some(filter.to_owned()), ..Selection::default() });
        let holds = matcher.matches(record);
        assert_eq!(matcher.errors(), 0, "{filter}: {:?}", matcher.first_error());
        holds
    }

    #[test]
    fn the_document_has_every_part_of_the_record() {
        let record = record("12", br#"{"event_id":"e-1","event_type":"OrderPlaced","timestamp":"2026-11-24T00:00:00Z","aggregate_id":"a","total":99.5}"#);
        for filter in [
            r#".topic == "orders" and .partition == 3 and .offset == 7"#,
            r#".timestamp == "2026-11-24T13:02:11.034Z""#,
            r#".key == "12" and .value.total == 99.5"#,
            r#".headers.h == "two" and .headers.none == null and (.headers | has("none"))"#,
            r#".event.id == "e-1" and .event.type == "OrderPlaced""#,
            ".dead_letter == null",
            r#"keys_unsorted == ["topic","partition","offset","timestamp","key","value","headers","event","dead_letter"]"#,
        ] {
            assert!(holds(filter, &record), "{filter}");
        }
    }

    #[test]
    fn a_value_that_is_no_json_is_its_text_or_base64() {
        assert!(holds(r#".value == "hello""#, &record("k", b"hello")));
        assert!(holds(r#".value == "/w==""#, &record("k", b"\xff")));
        assert!(holds(".value.id == 123456789012345678901", &record("k", b"{\"id\":123456789012345678901}")));
    }

    #[test]
    fn a_dead_letter_is_decoded() {
        let mut letter = record("k", b"{}");
        letter.headers.push("kafka_dlt-original-topic", Some("orders".into()));
        letter.headers.push("kafka_dlt-exception-fqcn", Some("java.lang.IllegalStateException".into()));
        assert!(holds(
            r#".dead_letter.root.topic == "orders" and .dead_letter.format == "spring-kafka""#,
            &letter
        ));
    }

    #[test]
    fn bytes_are_looked_for_in_key_value_and_headers() {
        let contains = |text: &'static str, record: &Record| {
            matcher(Selection { contains: Some(text.into()), ..Selection::default() }).matches(record)
        };
        let record = record("key-1", b"some \xff value");
        assert!(contains("y-1", &record) && contains("value", &record) && contains("two", &record));
        assert!(!contains("three", &record));
    }

    #[test]
    fn partition_and_key_are_exact() {
        let record = record("key-1", b"v");
        let by = |partitions: Vec<i32>, key: &'static str| {
            matcher(Selection { partitions, key: Some(key.into()), ..Selection::default() }).matches(&record)
        };
        assert!(by(vec![5, 3], "key-1"));
        assert!(!by(vec![5, 4], "key-1") && !by(vec![], "key"));
    }

    #[test]
    fn an_error_of_the_condition_counts_as_no_and_is_counted() {
        let matcher = matcher(Selection { filter: Some(".value.a.b > 1".into()), ..Selection::default() });
        assert!(!matcher.matches(&record("k", b"{\"a\":5}")));
        assert!(matcher.matches(&record("k", b"{\"a\":{\"b\":5}}")));
        assert_eq!(matcher.errors(), 1);
        assert!(matcher.first_error().unwrap().starts_with("orders[3] @ 7: "));
    }
}
