//! Which letters are the same failed record twice.
//!
//! A duplicate has the same root, original timestamp, key, value and target as another letter, and was
//! dead-lettered before that one was redriven. All else that shares a root is another failure: a topic made again
//! reuses offsets, and a record may fail again. Limits: the confirmation of a redrive is not in the ledger, so
//! the moment of the redrive stands for it; a letter without its root's whole place is never a duplicate. A row that
//! was redriven before costs 24 bytes here.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Arc, LazyLock};

use foldhash::quality::RandomState;

use super::outline::Outline;
use super::plan::PlannedTopic;
use crate::broker::{BrokerError, Isolation, Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::Cx;
use crate::dlq::letter::Origin;
use crate::event::Record;
use crate::ledger::fold::Row;
use crate::ledger::{Disposition, Ledger};
use crate::text::{Fault, Timestamp};

/// Where a record failed first, whole.
type Root = (Arc<str>, i32, i64);

/// What two duplicates have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    root: Root,
    time: Option<Timestamp>,
    body: Body,
}

/// What a letter has beside its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// Hash of key and value.
    hash: u128,
    /// When it was dead-lettered.
    lettered: Option<Timestamp>,
}

impl Identity {
    /// A letter's identity; `None` where it does not say where its record was first.
    pub(super) fn of(letter: &Outline<'_>, root: &Origin) -> Option<Self> {
        let hash = hash(&(letter.key, letter.value));
        Self::new(root, Body { hash, lettered: letter.record.timestamp() })
    }

    /// The identity of a letter with this root and body.
    pub(super) fn new(root: &Origin, body: Body) -> Option<Self> {
        let place = (root.topic.clone()?, root.partition?, root.offset?);
        Some(Self { root: place, time: root.timestamp, body })
    }

    /// What it has beside its root.
    pub(super) fn body(&self) -> Body {
        self.body
    }

    /// What letters have in common that are the same failed record for the same target.
    pub fn hash(&self, target: &str) -> Twin {
        Twin(hash(&(&self.root, target, self.time.map(Timestamp::as_millis), self.body.hash)))
    }
}

/// A hash of 128 bits that is the same in this process alone: its keys are secret, so that nobody can write a record that
/// is taken for another one.
fn hash(of: &impl Hash) -> u128 {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    let [high, low] = KEYS.each_ref().map(|key| u128::from(key.hash_one(of)));
    high << 64 | low
}

/// A hash over what two duplicates have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Twin(u128);

/// Where a redriven record lies, to be compared with.
#[derive(Clone, Debug)]
pub struct Suspect {
    topic: Name,
    partition: i32,
    offset: i64,
    /// Whether both roots have the same known timestamp.
    same_time: bool,
}

/// A row that was redriven before: a keyed hash of its root, and where the ledger has it. The ledger says whether it is
/// the root that is looked for, or another one with the same hash.
#[derive(Clone, Copy, Debug)]
struct Handled {
    root: u64,
    /// Which of the dead-letter topics.
    topic: u32,
    partition: i32,
    offset: i64,
}

/// What was met, in several tables: one of them alone may have twice the places that are needed, and needs three times
/// as many while it grows.
#[derive(Default)]
struct Seen(Vec<HashSet<Twin, RandomState>>);

/// Nearly what a table with 65,536 places takes.
const OF_A_TABLE: usize = 55_000;

impl Seen {
    fn with_room(letters: usize) -> Self {
        let tables = letters.div_ceil(OF_A_TABLE);
        let table = || HashSet::with_capacity_and_hasher(letters / tables.max(1), RandomState::default());
        Self(std::iter::repeat_with(table).take(tables).collect())
    }

    /// Whether it was not met before.
    fn insert(&mut self, twin: Twin) -> bool {
        if self.0.is_empty() {
            self.0.push(HashSet::default());
        }
        let table = (twin.0 % self.0.len() as u128) as usize;
        self.0.get_mut(table).is_some_and(|table| table.insert(twin))
    }
}

/// Finds duplicates among letters in their order, and of letters that were redriven before.
#[derive(Default)]
pub struct Twins {
    seen: Seen,
    hasher: RandomState,
    /// Ids of dead-letter topics.
    topics: Vec<Arc<str>>,
    /// By hash; rows with the same one in the order of the ledger.
    handled: Vec<Handled>,
}

impl Twins {
    /// Takes what was redriven before from the ledger.
    pub fn new(ledger: &Ledger) -> Self {
        Self::of(ledger, |_, _, _| true)
    }

    /// The same, as far as the roots are `wanted` (topic, partition, offset).
    pub fn of(ledger: &Ledger, mut wanted: impl FnMut(&str, i32, i64) -> bool) -> Self {
        let mut twins = Self::default();
        for row in ledger.rows().filter(|r| r.disposition == Disposition::Redriven) {
            if let (Some(topic), Some(partition), Some(offset)) =
                (row.root.topic, row.root.partition, row.root.offset)
                && wanted(topic, partition, offset)
            {
                // The rows of a topic follow each other.
                if twins.topics.last() != Some(row.topic_id) {
                    twins.topics.push(Arc::clone(row.topic_id));
                }
                twins.handled.push(Handled {
                    root: twins.hash(topic, partition, offset),
                    topic: (twins.topics.len() - 1) as u32,
                    partition: row.partition,
                    offset: row.offset,
                });
            }
        }
        twins.handled.shrink_to_fit();
        twins.handled.sort_unstable_by_key(|h| (h.root, h.topic, h.partition, h.offset));
        twins
    }

    /// With room for so many letters: to grow, it would need the room of both sizes.
    #[must_use]
    pub fn with_room(mut self, letters: usize) -> Self {
        self.seen = Seen::with_room(letters);
        self
    }

    fn hash(&self, topic: &str, partition: i32, offset: i64) -> u64 {
        self.hasher.hash_one((topic, partition, offset))
    }

    /// Whether the letter is the first of its identity that goes to this target.
    pub fn is_first(&mut self, twin: Twin) -> bool {
        self.seen.insert(twin)
    }

    /// Whether nothing was redriven before.
    pub fn is_new(&self) -> bool {
        self.handled.is_empty()
    }

    /// The first row of a record with the letter's root that was redriven before.
    pub fn row<'l>(&self, ledger: &'l Ledger, identity: &Identity) -> Option<Row<'l>> {
        let (topic, partition, offset) = &identity.root;
        let hash = self.hash(topic, *partition, *offset);
        let first = self.handled.partition_point(|h| h.root < hash);
        let same = self.handled.get(first..).unwrap_or_default().iter().take_while(|h| h.root == hash);
        let mut rows =
            same.filter_map(|h| ledger.get(self.topics.get(h.topic as usize)?, h.partition, h.offset));
        rows.find(|row| {
            let root = &row.root;
            root.topic == Some(topic) && root.partition == Some(*partition) && root.offset == Some(*offset)
        })
    }

    /// The redriven record that the letter may be a duplicate of.
    pub fn suspect(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        target: &PlannedTopic,
        own: (&str, i32, i64),
    ) -> Option<Suspect> {
        let row = self.row(ledger, identity)?;
        if (&**row.topic_id, row.partition, row.offset) == own {
            return None;
        }
        let at = row.target?;
        let same_topic = at.topic == &target.topic && at.topic_id == target.topic_id.as_ref();
        let before = identity.body.lettered.is_some_and(|t| t <= row.time);
        let same_time = match (row.root.timestamp, identity.time) {
            (Some(a), Some(b)) if a == b => true,
            (Some(_), Some(_)) => return None,
            _ => false,
        };
        (same_topic && before).then(|| Suspect {
            topic: Name::clone(at.topic),
            partition: at.partition,
            offset: at.offset,
            same_time,
        })
    }
}

/// Whether the redriven record has the letter's bytes. Where it is gone, an equal timestamp of the root decides.
pub async fn is_same(cx: &Cx, suspect: &Suspect, identity: &Identity) -> Result<bool, Fault> {
    let found = one(cx, &Shard::new(Name::clone(&suspect.topic), suspect.partition), suspect.offset).await?;
    Ok(match found {
        Some(record) => hash(&(record.key.as_deref(), record.value.as_deref())) == identity.body.hash,
        None => suspect.same_time,
    })
}

/// The record at a position, whether other transactions are open or not; `None` where it is gone.
async fn one(cx: &Cx, shard: &Shard, offset: i64) -> Result<Option<Record>, BrokerError> {
    let bounds = cx.broker.catalog().bounds(std::slice::from_ref(shard)).await?;
    let Some(Ok(bounds)) = bounds.into_iter().next() else { return Ok(None) };
    if !(bounds.start..bounds.end).contains(&offset) {
        return Ok(None);
    }
    let span = Span { shard: shard.clone(), from: offset, until: Until::Offset(offset + 1) };
    let plan =
        ReadPlan { isolation: Isolation::ReadUncommitted, budget: 4 << 20, ..ReadPlan::new(vec![span]) };
    let mut batches = cx.broker.reader().open(plan, tokio_util::sync::CancellationToken::new()).await?;
    while let Some(batch) = batches.next().await? {
        if let Some(record) = batch.records.into_iter().find(|r| r.at.offset == offset) {
            return Ok(Some(record));
        }
        for notice in batch.notices {
            if let Notice::Failed(_, error) = notice {
                return Err(error);
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;

    use super::*;
    use crate::event::{Headers, Position};
    use crate::ledger::FORMAT_VERSION;
    use crate::ledger::row::{HeaderRow, Key, LetterRow, RootAt, TargetAt};

    fn record(at: i64, key: Bytes, value: Bytes) -> Record {
        let (key, value) = (Some(key), Some(value));
        let at = Position::new("__redrive.ledger", 0, at);
        Record { at, time: None, key, value, headers: Headers::default(), lease: None }
    }

    /// Two dead-letter topics with some rows of each of these roots, of which some are redriven.
    fn ledger(roots: i64) -> Ledger {
        let mut ledger = Ledger::new("c");
        ledger.apply(&record(0, Key::Header.encode(), HeaderRow::current("test").encode())).unwrap();
        for at in 0..roots * 3 {
            let topic = ["first", "second"][at as usize % 2];
            let redriven = at % 5 != 0;
            let row = LetterRow {
                v: FORMAT_VERSION,
                disposition: if redriven { Disposition::Redriven } else { Disposition::Parked },
                run: Cow::Borrowed("run"),
                operator: Cow::Borrowed("ada"),
                reason: None,
                sha256_before: Cow::Borrowed(""),
                sha256_after: None,
                target: redriven.then(|| TargetAt {
                    topic: "orders".into(),
                    topic_id: None,
                    partition: 0,
                    offset: at,
                }),
                root: RootAt {
                    topic: Some("orders".into()),
                    partition: Some(0),
                    offset: Some(at % roots),
                    timestamp_ms: None,
                },
                group: None,
                count: 1,
                earlier: Vec::new(),
                program: Cow::Borrowed("test"),
                time_ms: 0,
            };
            let key = Key::letter("c", topic, (at % 4) as i32, 1_000 - at).encode();
            ledger.apply(&record(at + 1, key, row.encode())).unwrap();
        }
        ledger
    }

    fn identity(offset: i64) -> Identity {
        let body = Body { hash: 0, lettered: None };
        Identity { root: ("orders".into(), 0, offset), time: None, body }
    }

    #[test]
    fn of_each_root_the_first_redriven_row_is_found_also_among_others_with_the_same_hash() {
        let ledger = ledger(200);
        let first = |root: i64| {
            let redriven =
                |r: &Row<'_>| r.disposition == Disposition::Redriven && r.root.offset == Some(root);
            ledger.rows().find(redriven)
        };
        let all = Twins::new(&ledger);
        let same_hash = |root: i64| {
            let mut twins = Twins::new(&ledger);
            let hash = twins.hash("orders", 0, root);
            twins.handled.iter_mut().for_each(|handled| handled.root = hash);
            twins.handled.sort_unstable_by_key(|h| (h.topic, h.partition, h.offset));
            twins
        };
        let mut found = 0;
        for root in 0..210 {
            let wanted = first(root);
            found += usize::from(wanted.is_some());
            assert_eq!(all.row(&ledger, &identity(root)), wanted, "{root}");
            assert_eq!(same_hash(root).row(&ledger, &identity(root)), wanted, "{root}");
        }
        // Of each fifth root all rows are parked.
        assert_eq!(found, 160);
        let some = Twins::of(&ledger, |_, _, offset| offset == 7);
        assert_eq!(some.row(&ledger, &identity(7)), first(7));
        assert_eq!(some.row(&ledger, &identity(8)), None);
    }

    #[test]
    fn a_row_that_was_redriven_costs_24_bytes() {
        assert_eq!(size_of::<Handled>(), 24);
        let twins = Twins::new(&ledger(100));
        assert_eq!(twins.handled.capacity(), twins.handled.len());
    }
}
