//! Letters taken where their bytes lie: on the reading thread, before anything is copied.
//!
//! A letter that failed like one before it costs a look at its headers and a hash of its trace or message. The others
//! are copied and read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fold::{Fold, New, Room};
use super::topic::Topic;
use crate::broker::{Name, Sieve, Sifted};
use crate::config::profile::{DeadLetters, Profile};
use crate::dlq::failure::likeness;
use crate::dlq::formats::glance::{Glance, Seen};
use crate::event::{Parts, Record, RecordBytes};

/// Sets of headers whose meaning is remembered for a topic.
const MOST_GLANCES: usize = 8;

/// Who has a fold, and lends it.
trait Holder {
    fn with<T>(&self, work: impl FnOnce(&mut Fold) -> T) -> T;
}

impl Holder for Topic {
    fn with<T>(&self, work: impl FnOnce(&mut Fold) -> T) -> T {
        work(&mut self.lock().fold)
    }
}

/// Adds the next letter of a partition, as [`Fold::add`] does; gives its size in bytes. The fold is held for moments: the
/// partitions of a topic are read by several threads.
fn take(holder: &impl Holder, record: &dyn RecordBytes, topic: &Name, config: &DeadLetters) -> u64 {
    let letter = Parts::of(record);
    let (_, partition, offset) = letter.place;
    let (at, size) = ((partition, offset), letter.size() as u64);
    let (room, glance, hasher) = holder.with(|fold| (fold.room(at), fold.glance(&letter), fold.hasher()));
    let Room::Free { watched } = room else { return size };
    if let Some(glance) = &glance
        && let Some(reading) = glance.look(&letter, Seen::Failure)
        && let Some(likeness) = likeness(&reading, &hasher)
    {
        let entered = holder.with(|fold| {
            let failure = fold.like(likeness)?;
            let root = fold.place(&reading.root);
            if let Some(format) = &reading.format {
                fold.wrote(format);
            }
            let (time, key) = (letter.timestamp(), letter.key);
            fold.enter(&New { at, time, key, size, failure, root, latest: root }, watched);
            Some(())
        });
        if entered.is_some() {
            return size;
        }
    }
    let record = Record::copy_of(record, Arc::clone(topic));
    let glance = glance.is_none().then(|| Arc::new(Glance::of(&record.headers, config)));
    holder.with(|fold| {
        if let Some(glance) = glance {
            fold.glances.truncate(MOST_GLANCES - 1);
            fold.glances.insert(0, glance);
        }
        fold.add(&record, config);
    });
    size
}

impl Fold {
    /// What these headers mean, where that is remembered.
    fn glance(&self, letter: &Parts<'_>) -> Option<Arc<Glance>> {
        self.glances.iter().find(|glance| glance.fits(letter)).cloned()
    }
}

/// Takes all records of a read into the folds of their topics.
pub(super) struct Taking {
    topics: HashMap<Name, Arc<Topic>>,
    profile: Arc<Profile>,
    bytes: AtomicU64,
}

impl Taking {
    pub fn new(topics: HashMap<Name, Arc<Topic>>, profile: Arc<Profile>) -> Self {
        Self { topics, profile, bytes: AtomicU64::new(0) }
    }

    /// Bytes of what was taken.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Sieve for Taking {
    fn sift(&self, record: &dyn RecordBytes) -> Sifted {
        let Some(topic) = self.topics.get(record.place().0) else { return Sifted::Leave };
        let size = take(&**topic, record, &topic.name, &self.profile.dead_letters);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        Sifted::Count
    }

    fn is_work(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use foldhash::quality::RandomState;
    use proptest::prelude::*;

    use super::*;
    use crate::dlq::formats::hostile::any_record;
    use crate::event::RecordTime;
    use crate::text::Timestamp;

    /// A record that counts how often its headers were looked at: a copy looks a second time.
    struct Counting<'r>(&'r Record, Cell<u32>);

    impl RecordBytes for Counting<'_> {
        fn place(&self) -> (&str, i32, i64) {
            self.0.place()
        }

        fn time(&self) -> Option<RecordTime> {
            self.0.time
        }

        fn key(&self) -> Option<&[u8]> {
            RecordBytes::key(self.0)
        }

        fn value(&self) -> Option<&[u8]> {
            RecordBytes::value(self.0)
        }

        fn each_header<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], Option<&'s [u8]>)) {
            self.1.set(self.1.get() + 1);
            self.0.each_header(each);
        }
    }

    impl Holder for RefCell<Fold> {
        fn with<T>(&self, work: impl FnOnce(&mut Fold) -> T) -> T {
            work(&mut self.borrow_mut())
        }
    }

    /// Takes the records into one fold and adds them to another; gives what both say, and how many were copied.
    fn both(records: &[Record], config: &DeadLetters) -> ([String; 2], usize) {
        let hasher = RandomState::default();
        let (taken, mut added) = (RefCell::new(Fold::new(hasher.clone())), Fold::new(hasher));
        let mut copied = 0;
        for record in records {
            let counting = Counting(record, Cell::new(0));
            assert_eq!(take(&taken, &counting, &record.at.topic, config), record.size() as u64);
            copied += usize::from(counting.1.get() > 1);
            assert!(added.add(record, config));
        }
        let said = |fold: &Fold| {
            let failures = serde_json::to_string(&fold.failures(Timestamp(0), |_, _| true)).unwrap();
            let entries: Vec<_> = fold.entries().collect();
            let summary = fold.summary(Timestamp(0));
            format!("{failures}\n{entries:?}\n{:?} {:?} {}", summary.formats, summary.sources, fold.bytes(0))
        };
        ([said(&taken.borrow()), said(&added)], copied)
    }

    fn in_order(mut records: Vec<Record>) -> Vec<Record> {
        for (offset, record) in records.iter_mut().enumerate() {
            record.at.offset = offset as i64;
        }
        records
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_letter_that_is_looked_at_says_what_it_says_when_it_is_read(
            some in proptest::collection::vec(any_record(), 1..40),
        ) {
            // Often enough that messages are compared no more.
            let records: Vec<Record> = std::iter::repeat_n(some, 6).flatten().collect();
            let ([taken, added], _) = both(&in_order(records), &DeadLetters::default());
            prop_assert_eq!(taken, added);
        }
    }

    #[test]
    fn a_letter_whose_like_was_seen_is_not_copied() {
        let headers = [
            ("kafka_dlt-exception-fqcn", "x.Wrapper"),
            ("kafka_dlt-exception-message", "no sku"),
            ("kafka_dlt-exception-stacktrace", "x.Wrapper: no sku\n\tat shop.Stock.find(Stock.java:7)\n"),
            ("kafka_dlt-original-topic", "orders"),
        ];
        let mut record = Record {
            at: crate::event::Position::new("orders-dlt", 0, 0),
            time: None,
            key: None,
            value: None,
            headers: crate::event::Headers::default(),
            lease: None,
        };
        for (name, value) in headers {
            record.headers.push(name, Some(value.into()));
        }
        let many = in_order(vec![record; 500]);
        let ([taken, added], copied) = both(&many, &DeadLetters::default());
        assert_eq!((taken, copied < 100), (added, true), "{copied} were copied");
        // With formats of the profile's own each is read.
        let own = crate::config::profile::LetterFormat::default();
        let config = DeadLetters { formats: vec![own], ..DeadLetters::default() };
        let ([taken, added], copied) = both(&many, &config);
        assert_eq!((taken, copied), (added, 500));
    }
}
