//! One letter of a run on its way: what is done with it, and its row in the ledger. Pure.

use std::borrow::Cow;

use super::outgoing::{Recipe, Stamp, counted, key};
use super::plan::{Plan, PlannedLetter};
use crate::broker::{Name, Placed, Write};
use crate::dlq::Letter;
use crate::ledger::row::{Earlier, LetterRow, RootAt, TargetAt};
use crate::ledger::{Disposition, FORMAT_VERSION, Ledger};
use crate::text::Timestamp;

/// The program as rows name it.
pub(super) const PROGRAM: &str = concat!("redrive ", env!("CARGO_PKG_VERSION"));
/// Dispositions before the last one that a row keeps.
const MOST_EARLIER: usize = 8;

/// What is done with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send,
    Duplicate,
    /// The broker's words.
    Park(String),
}

/// A letter on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub planned: PlannedLetter,
    pub act: Act,
    pub write: Write,
    pub group: Option<Name>,
    root: RootAt,
    count: u32,
}

/// What all rows of a run have in common.
pub(super) struct Run<'a> {
    pub id: &'a str,
    pub operator: &'a str,
    pub reason: Option<&'a str>,
}

impl Item {
    /// The item of a letter. Its redrives before are counted by header and by the ledger.
    pub fn new(
        letter: &Letter,
        planned: PlannedLetter,
        plan: &Plan,
        recipe: &mut Recipe<'_>,
        ledger: Option<&Ledger>,
        stamp: Stamp<'_>,
    ) -> Option<Self> {
        let target = plan.target(&planned)?;
        let hop = letter.previous.as_ref().unwrap_or(&letter.root);
        let row = match (ledger, &hop.topic, hop.partition, hop.offset) {
            (Some(ledger), Some(topic), Some(partition), Some(offset)) => {
                ledger.by_target(topic, partition, offset)
            }
            _ => None,
        };
        let source = plan.header.source.topic_id.as_deref().unwrap_or_default();
        let own =
            ledger.and_then(|l| l.get(source, planned.partition, planned.offset)).map_or(0, |r| r.count);
        let count = counted(letter).max(row.map_or(0, |r| r.count)).max(own).saturating_add(1);
        let write = recipe.write(letter, &target.topic, planned.target_partition, count, stamp);
        let root = &letter.root;
        Some(Self {
            planned,
            act: Act::Send,
            write,
            group: hop.group.clone().or_else(|| root.group.clone()),
            root: RootAt {
                topic: root.topic.as_deref().map(str::to_owned),
                partition: root.partition,
                offset: root.offset,
                timestamp_ms: root.timestamp.map(Timestamp::as_millis),
            },
            count,
        })
    }

    /// What its rest is held by, when it cannot be sent.
    pub fn key(&self) -> Option<(u32, bytes::Bytes)> {
        self.write.key.clone().map(|k| (self.planned.target, k))
    }

    /// Its row, and what it says.
    pub fn row(
        &self,
        run: &Run<'_>,
        plan: &Plan,
        ledger: Option<&Ledger>,
        placed: Option<Placed>,
        now_ms: i64,
    ) -> LetterRow<'static> {
        let source = plan.header.source.topic_id.as_deref().unwrap_or_default();
        let before = ledger.and_then(|l| l.get(source, self.planned.partition, self.planned.offset));
        let mut earlier: Vec<Earlier> = before.map_or_else(Vec::new, |b| b.earlier.to_vec());
        earlier.extend(before.map(|b| Earlier {
            disposition: b.disposition,
            run: b.run.to_string(),
            time_ms: b.time.as_millis(),
        }));
        earlier.drain(..earlier.len().saturating_sub(MOST_EARLIER));
        let (disposition, reason) = match &self.act {
            Act::Send => (Disposition::Redriven, run.reason.map(str::to_owned)),
            Act::Duplicate => (Disposition::Duplicate, run.reason.map(str::to_owned)),
            Act::Park(why) => (Disposition::Parked, Some(why.clone())),
        };
        let target = placed.and_then(|placed| {
            let target = plan.target(&self.planned)?;
            Some(TargetAt {
                topic: Cow::Owned(target.topic.to_string()),
                topic_id: target.topic_id.as_deref().map(str::to_owned),
                partition: placed.partition,
                offset: placed.offset,
            })
        });
        let sent = self.act == Act::Send;
        LetterRow {
            v: FORMAT_VERSION,
            disposition,
            run: Cow::Owned(run.id.to_owned()),
            operator: Cow::Owned(run.operator.to_owned()),
            reason,
            sha256_before: Cow::Owned(self.planned.sha256.to_string()),
            sha256_after: None,
            target,
            root: self.root.clone(),
            group: self.group.as_deref().map(str::to_owned),
            count: if sent { self.count } else { self.count - 1 },
            earlier,
            program: Cow::Borrowed(PROGRAM),
            time_ms: now_ms,
        }
    }
}

/// The key by which the rest of a parked letter's key is held.
pub(super) fn hold_key(letter: &Letter, planned: &PlannedLetter) -> Option<(u32, bytes::Bytes)> {
    key(letter).cloned().map(|k| (planned.target, k))
}
