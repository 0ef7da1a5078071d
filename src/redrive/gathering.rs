//! The letters of a plan as they are read, on the threads that read them.
//!
//! Most letters have the headers of one before and failed like one before: such a letter is looked at where its bytes lie,
//! and nothing of it is copied. The others are copied and decoded; both ways say the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::document::Sample;
use super::found::{Kinds, Letters, Names};
use super::outgoing::{Recipe, Stamp};
use super::outline::Outline;
use super::plan::PlanHeader;
use super::shape::{Edited, Failures, Shape};
use crate::config::profile::Profile;
use crate::dlq::failure::Failure;
use crate::dlq::formats::glance::{Glances, Seen};
use crate::event::{Digest, Parts, Record};
use crate::ledger::Disposition;

/// Letters shown before and after an edit.
const SAMPLES: usize = 5;
/// Letters of different lanes are gathered at the same time.
const LANES: usize = 2;

/// Which letters are meant, and what is made of them.
#[derive(Clone)]
pub(super) struct Meant {
    pub header: PlanHeader,
    pub profile: Arc<Profile>,
    pub shape: Arc<Shape>,
    /// Letters of one failure alone, where it is told by the letters.
    pub failure: Option<Arc<str>>,
}

impl Meant {
    fn is_open(&self, state: Option<Disposition>) -> bool {
        self.header.replay || state.is_some_and(|state| self.header.is_open(state))
    }
}

/// Gathers letters. The partitions are dealt out to lanes, each of which is one thread's at a time; what was gathered is
/// held for moments.
pub(super) struct Gathering {
    meant: Meant,
    lanes: [Mutex<Lane>; LANES],
    gathered: Mutex<Gathered>,
}

/// What was gathered.
#[derive(Default)]
pub(super) struct Gathered {
    pub found: Letters,
    pub kinds: Kinds,
    /// Formats that wrote to letters before the latest one did.
    pub others: HashSet<Arc<str>>,
    /// Letters before and after an edit.
    pub samples: Vec<Sample>,
    /// Letters that are closed.
    pub closed: u64,
    /// Letters whose state is not known.
    pub unknown: u64,
}

/// What is remembered of letters, to know their like.
struct Lane {
    recipe: Recipe,
    names: Names,
    failures: Failures,
    glances: Glances,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gathering {
    pub fn new(meant: Meant) -> Self {
        let stamp = Stamp::planned(&meant.header);
        let lane = |_| Lane {
            recipe: Recipe::new(&meant.header, &meant.profile, stamp),
            names: Names::default(),
            failures: Failures::default(),
            glances: Glances::default(),
        };
        let lanes = std::array::from_fn(|number| Mutex::new(lane(number)));
        Self { lanes, gathered: Mutex::default(), meant }
    }

    /// What was gathered; nothing is left.
    pub fn gathered(&self) -> Gathered {
        std::mem::take(&mut *lock(&self.gathered))
    }

    /// Takes the next letter of a partition; its state is `None` where it is not known.
    pub fn take(&self, record: &Parts<'_>, state: Option<Disposition>) {
        let (topic, partition, _) = record.place;
        let open = self.meant.is_open(state);
        if !open && self.meant.failure.is_none() {
            return self.close(state);
        }
        let lane = self.lanes.get(partition.unsigned_abs() as usize % LANES);
        let Some(mut lane) = lane.map(lock) else { return };
        if self.looked(&mut lane, record, state, open).is_none() {
            let topic = lane.names.share(topic);
            self.read(&mut lane, Record::copy_of(record, topic), state, open);
        }
    }

    fn close(&self, state: Option<Disposition>) {
        let mut gathered = lock(&self.gathered);
        gathered.unknown += u64::from(state.is_none());
        gathered.closed += u64::from(state.is_some());
    }

    /// Whether the failure is the one that is meant, where one is.
    fn is_meant(&self, failure: &Failure) -> bool {
        self.meant.failure.as_ref().is_none_or(|id| *id == failure.id)
    }

    /// Looks at a letter where its bytes lie; `None`, and nothing taken, where it must be read.
    fn looked(
        &self,
        lane: &mut Lane,
        record: &Parts<'_>,
        state: Option<Disposition>,
        open: bool,
    ) -> Option<()> {
        let shape = &self.meant.shape;
        if shape.edits() || shape.is_replay() {
            return None;
        }
        let reading = lane.glances.look(record, Seen::Failure)?;
        let failure = lane.failures.like(&reading)?;
        if !self.is_meant(failure) {
            return Some(());
        }
        if !open {
            self.close(state);
            return Some(());
        }
        let outline = Outline::read(&reading, record, failure);
        let (sha256, size) = (record.digest(), lane.recipe.size(&outline));
        lock(&self.gathered).add(&outline, sha256, Edited::Same, size);
        Some(())
    }

    /// Reads a letter.
    fn read(&self, lane: &mut Lane, record: Record, state: Option<Disposition>, open: bool) {
        let Meant { shape, profile, .. } = &self.meant;
        if !shape.is_replay() {
            lane.glances.learn(&record, &profile.dead_letters);
        }
        // What is planned with is the letter as it lies.
        let sha256 = record.digest();
        let mut letter = shape.lean(record, &mut lane.names, Some(&mut lane.failures));
        if !self.is_meant(&letter.failure) {
            return;
        }
        if !open {
            return self.close(state);
        }
        let before = shape.edits().then(|| letter.clone());
        let edited = shape.edit(&mut letter);
        let is_changed = matches!(edited, Edited::Changed { .. });
        let record = Parts::of(&letter.record);
        let outline = Outline::of(&letter, &record);
        let size = lane.recipe.size(&outline);
        let mut gathered = lock(&self.gathered);
        gathered.add(&outline, sha256, edited, size);
        if is_changed
            && gathered.samples.len() < SAMPLES
            && let Some(before) = before
        {
            gathered.samples.push(shape.sample(&before, &letter));
        }
    }
}

impl Gathered {
    fn add(&mut self, letter: &Outline<'_>, sha256: Digest, edited: Edited, size: usize) {
        self.others.extend(letter.others.iter().cloned());
        self.found.push(&self.kinds.found(letter, sha256, edited, size));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::document::Into;
    use super::super::found::{Found, Key, Kind};
    use super::super::options::Options;
    use super::super::outgoing::COUNT;
    use super::super::plan::{PlanCounts, PlannedTarget, PlannedTopic, SCHEMA};
    use super::*;
    use crate::dlq::formats::hostile::any_record;
    use crate::event::{Headers, Position, RecordTime, TimeKind};
    use crate::text::Timestamp;

    fn gathering(profile: Profile, failure: Option<Arc<str>>) -> Gathering {
        let source = PlannedTopic { topic: "orders-dlt".into(), topic_id: None, partitions: 2 };
        let header = PlanHeader {
            schema: SCHEMA,
            id: "p1".into(),
            cluster_id: "c".into(),
            source,
            target: PlannedTarget { into: Into::Origin, topics: Vec::new() },
            origins: Vec::new(),
            replay: false,
            options: Options {
                strip_headers: vec!["kafka_dlt-original-partition".into()],
                add_headers: vec![("a".into(), "b".into())],
                ..Options::default()
            },
            operator: "ada".into(),
            created_ms: 5,
            counts: PlanCounts::default(),
        };
        let profile = Arc::new(profile);
        let shape = Arc::new(Shape::new(&header, &profile).unwrap());
        Gathering::new(Meant { header, profile, shape, failure })
    }

    fn profile() -> Profile {
        Profile::new("test", Vec::new())
    }

    /// The letters with their kinds. The hash of a key is of one gathering alone.
    fn letters(gathered: &Gathered) -> Vec<(Found, Kind)> {
        let letter = |(_, found): (usize, Found)| {
            let key = found.key.map(|key| Key { hash: 0, ..key });
            let kind = gathered.kinds.of(&found).unwrap().clone();
            (Found { key, kind: 0, ..found }, kind)
        };
        gathered.found.iter().map(letter).collect()
    }

    /// Gathers the records as they come, and each by reading it; gives what both say, and how many were looked at.
    fn both(records: &[Record], profile: Profile, failure: Option<&str>) -> ([Gathered; 2], usize) {
        let (taken, read) =
            (gathering(profile.clone(), failure.map(Arc::from)), gathering(profile, failure.map(Arc::from)));
        let mut looked = 0;
        for record in records {
            let state = if record.at.offset % 7 == 3 { Disposition::Redriven } else { Disposition::Pending };
            let parts = Parts::of(record);
            let open = taken.meant.is_open(Some(state));
            let before = lock(&taken.gathered).found.len();
            let lane = record.at.partition as usize;
            if open {
                let seen = taken.looked(&mut lock(&taken.lanes[lane]), &parts, Some(state), open);
                looked += usize::from(seen.is_some());
                if seen.is_none() {
                    assert_eq!(lock(&taken.gathered).found.len(), before);
                    taken.take(&parts, Some(state));
                }
            } else {
                taken.take(&parts, Some(state));
            }
            read.read(&mut lock(&read.lanes[lane]), record.clone(), Some(state), open);
        }
        ([taken.gathered(), read.gathered()], looked)
    }

    fn in_order(mut records: Vec<Record>) -> Vec<Record> {
        for (offset, record) in records.iter_mut().enumerate() {
            record.at.offset = offset as i64;
            record.at.partition = (offset % 3 / 2) as i32;
            record.time = (offset % 4 > 0)
                .then_some(RecordTime { kind: TimeKind::Create, at: Timestamp(offset as i64 * 10) });
        }
        records
    }

    fn letter() -> Record {
        let headers = [
            ("kafka_dlt-exception-fqcn", "x.Wrapper"),
            ("kafka_dlt-exception-message", "no sku"),
            ("kafka_dlt-original-topic", "orders"),
        ];
        let mut record = Record {
            at: Position::new("orders-dlt", 0, 0),
            time: None,
            key: None,
            value: None,
            headers: Headers::default(),
            lease: None,
        };
        for (name, value) in headers {
            record.headers.push(name, Some(value.into()));
        }
        record
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_letter_that_is_looked_at_is_planned_as_when_it_is_read(
            some in proptest::collection::vec((any_record(), 0..9_u8), 1..30),
        ) {
            let some = some.into_iter().map(|(mut record, count)| {
                if count < 3 {
                    record.headers.push(COUNT, (count > 0).then(|| count.to_string().into()));
                }
                record
            });
            let records: Vec<Record> = std::iter::repeat_n(some.collect::<Vec<_>>(), 3).flatten().collect();
            let records = in_order(records);
            let ([taken, read], _) = both(&records, profile(), None);
            prop_assert_eq!(letters(&taken), letters(&read));
            prop_assert_eq!((&taken.others, taken.closed, taken.unknown), (&read.others, read.closed, read.unknown));
            let Some((_, kind)) = letters(&read).pop() else { return Ok(()) };
            let ([taken, read], _) = both(&records, profile(), Some(&kind.failure));
            prop_assert_eq!(letters(&taken), letters(&read));
            prop_assert_eq!((taken.closed, taken.unknown), (read.closed, read.unknown));
        }
    }

    #[test]
    fn a_letter_whose_like_was_seen_is_not_copied() {
        let records = in_order(vec![letter(); 70]);
        let ([taken, read], looked) = both(&records, profile(), None);
        assert_eq!((letters(&taken), looked), (letters(&read), 58));
        // With formats of the profile's own each is read.
        let mut own = profile();
        own.dead_letters.formats.push(crate::config::profile::LetterFormat::default());
        assert_eq!(both(&records, own, None).1, 0);
    }
}
