//! Which letters are the same failed record twice.
//!
//! A duplicate has the same root, original timestamp, key, value and target as another letter, and was
//! dead-lettered before that one was redriven. All else that shares a root is another failure: a topic made again
//! reuses offsets, and a record may fail again. Limits: the confirmation of a redrive is not in the ledger, so
//! the moment of the redrive stands for it; a letter without its root's whole place is never a duplicate.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::outgoing::{body, key, value};
use super::plan::PlannedTopic;
use crate::broker::{BrokerError, Isolation, Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::Cx;
use crate::dlq::Letter;
use crate::event::{Digest, Record};
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
    body: Digest,
    /// When it was dead-lettered.
    lettered: Option<Timestamp>,
}

impl Identity {
    /// A letter's identity; `None` where it does not say where its record was first.
    pub fn of(letter: &Letter) -> Option<Self> {
        let root = &letter.root;
        Some(Self {
            root: (root.topic.clone()?, root.partition?, root.offset?),
            time: root.timestamp,
            body: body(key(letter), value(letter)),
            lettered: letter.record.timestamp(),
        })
    }

    /// What letters have in common that are the same failed record for the same target.
    pub fn hash(&self, target: &str) -> Twin {
        let mut sha = Sha256::new();
        for part in [&*self.root.0, target] {
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
        sha.update(self.root.1.to_be_bytes());
        sha.update(self.root.2.to_be_bytes());
        sha.update(self.time.map_or(i64::MIN, Timestamp::as_millis).to_be_bytes());
        sha.update(self.body.0);
        let mut out = [0; 16];
        out.copy_from_slice(&sha.finalize()[..16]);
        Twin(out)
    }
}

/// A hash over what two duplicates have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Twin([u8; 16]);

/// Where a redriven record lies, to be compared with.
#[derive(Clone, Debug)]
pub struct Suspect {
    topic: Name,
    partition: i32,
    offset: i64,
    /// Whether both roots have the same known timestamp.
    same_time: bool,
}

/// Finds duplicates among letters in their order, and of letters that were redriven before.
#[derive(Default)]
pub struct Twins {
    seen: HashSet<Twin>,
    handled: HashMap<Root, (Arc<str>, i32, i64)>,
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
                twins
                    .handled
                    .entry((Arc::clone(topic), partition, offset))
                    .or_insert_with(|| (Arc::clone(row.topic_id), row.partition, row.offset));
            }
        }
        twins
    }

    /// Whether the letter is the first of its identity that goes to this target.
    pub fn is_first(&mut self, twin: Twin) -> bool {
        self.seen.insert(twin)
    }

    /// Whether the letter shares its root with one that was redriven before.
    pub fn row<'l>(&self, ledger: &'l Ledger, identity: &Identity) -> Option<Row<'l>> {
        let (topic_id, partition, offset) = self.handled.get(&identity.root)?;
        ledger.get(topic_id, *partition, *offset)
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
        let before = identity.lettered.is_some_and(|t| t <= row.time);
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
        Some(record) => body(record.key.as_ref(), record.value.as_ref()) == identity.body,
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
