//! One letter of a run on its way: what is done with it, and its row in the ledger. Pure.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use super::found::Names;
use super::outgoing::{Recipe, counted};
use super::outline::Outline;
use super::parcel::{Addressed, Parcel};
use super::plan::{Plan, PlannedLetter};
use super::shelf::{self, Alike};
use super::twins::{Body, Identity, Twin};
use crate::broker::{Name, Placed};
use crate::dlq::letter::{Letter, Origin};
use crate::event::{self, Digest};
use crate::ledger::fold::Row;
use crate::ledger::letters::Listed;
use crate::ledger::row::{Earlier, LetterRow, RootAt, TargetAt};
use crate::ledger::{Disposition, FORMAT_VERSION, Ledger};
use crate::letters::outcome::{is_retried, via};
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

/// A letter on its way. It goes from queue to queue and is large, so what moves is a pointer.
#[derive(Clone, Debug)]
pub(super) struct Item(Box<Parts>);

impl Deref for Item {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Item {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

/// What there is of a letter on its way.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub planned: PlannedLetter,
    pub act: Act,
    /// What is sent.
    pub parcel: Parcel,
    /// When the record was written first, where that is known.
    pub time: Option<Timestamp>,
    /// Whether the letter tells of retries.
    retried: bool,
    /// By what a duplicate of it is known; `None` where it does not say where its record was first, or where nobody
    /// looks for duplicates.
    pub twin: Option<Box<(Body, Twin)>>,
    root: Origin,
    /// Where it failed last, where that is another place.
    latest: Option<Box<Origin>>,
    count: u32,
    /// Digest of what is sent, where it is not the letter's own key and value.
    after: Option<Box<Digest>>,
}

/// What all rows of a run have in common.
pub(super) struct Run<'a> {
    pub id: &'a str,
    pub operator: &'a str,
    pub reason: Option<&'a str>,
}

impl Item {
    /// The item of a letter, before the ledger was asked; `twins` says whether duplicates are looked for.
    pub fn new(
        letter: &Outline<'_>,
        planned: PlannedLetter,
        plan: &Plan,
        (recipe, names): (&mut Recipe, &mut Names),
        twins: bool,
    ) -> Option<Self> {
        let target = plan.target(&planned)?;
        let count = letter.count().saturating_add(1);
        let parcel = recipe.write(letter, count);
        let own = (letter.record.key, letter.record.value);
        let changed = own != (letter.key, letter.value) || plan.header.options.edit.is_some();
        let root = names.origin(&letter.root);
        let latest = (letter.latest != letter.root).then(|| Box::new(names.origin(&letter.latest)));
        let identity = if twins { Identity::of(letter, &root) } else { None };
        Some(Self(Box::new(Parts {
            after: changed.then(|| Box::new(digest(&parcel))),
            planned,
            act: Act::Send,
            parcel,
            time: letter.time(),
            retried: is_retried(letter.format),
            twin: identity.map(|identity| Box::new((identity.body(), identity.hash(&target.topic)))),
            root,
            latest,
            count,
        })))
    }

    /// The group that failed last.
    pub fn group(&self) -> Option<&Name> {
        let last = self.latest.as_ref().and_then(|hop| hop.group.as_ref());
        last.or(self.root.group.as_ref())
    }

    /// What the letter tells of retries.
    pub fn hops(&self) -> (Option<Name>, bool) {
        (via(&self.root, self.latest.as_deref()), self.retried)
    }

    /// By what it is compared with letters that were redriven before.
    pub fn identity(&self) -> Option<Identity> {
        Identity::new(&self.root, self.twin.as_ref()?.0)
    }

    /// Bytes of what is sent, as the broker counts them.
    pub fn size(&self) -> usize {
        self.parcel.batch_size()
    }

    /// Bytes of memory, about.
    pub fn held(&self) -> usize {
        size_of::<Parts>() + self.parcel.held()
    }

    /// Gives the bytes of the record back: the broker has them, and the letter can be read again.
    pub fn release(&mut self) {
        self.parcel.release();
    }

    /// Whether the bytes of the record were given back.
    pub fn is_released(&self) -> bool {
        self.parcel.is_released()
    }

    /// Takes the bytes of the record from another item of its letter.
    pub fn refill(&mut self, other: Self) {
        let Parts { mut parcel, count, .. } = *other.0;
        if count != self.count {
            parcel.recount(self.count);
        }
        self.parcel = parcel;
    }

    /// Takes what the ledger says of redrives before.
    pub fn recount(&mut self, ledger: &Ledger, source: &str) {
        let at = &self.planned;
        let own = ledger.get(source, at.partition, at.offset).map_or(0, |row| row.count);
        let hop = self.latest.as_deref().unwrap_or(&self.root);
        let count = own.max(from(ledger, hop)).saturating_add(1);
        if count > self.count {
            self.count = count;
            self.parcel.recount(count);
        }
    }

    /// The record and where it goes; `None` where nothing is sent.
    pub fn outbound<'i>(&'i self, plan: &'i Plan) -> Option<Addressed<'i>> {
        let topic = &plan.target(&self.planned)?.topic;
        // What was given back is never sent as a null in its place.
        (self.act == Act::Send && !self.is_released()).then_some(Addressed {
            topic,
            partition: self.planned.target_partition,
            parcel: &self.parcel,
        })
    }

    /// What its rest is held by, when it cannot be sent.
    pub fn key(&self) -> Option<(u32, bytes::Bytes)> {
        self.parcel.key().map(|key| (self.planned.target, bytes::Bytes::copy_from_slice(key)))
    }

    /// What it says in a row that it shares.
    pub fn listed(&self, placed: Placed) -> Listed {
        Listed {
            target_partition: Some(placed.partition),
            target_offset: Some(placed.offset),
            sha256_after: self.after.as_deref().copied(),
            ..shelf::listed(self.planned.offset, &self.root, self.count, self.planned.sha256)
        }
    }

    /// What letters have in common that can share a row.
    pub fn alike(&self) -> Alike<'_> {
        let planned = &self.planned;
        (planned.partition, planned.target, self.root.topic.as_deref(), self.group().map(|group| &**group))
    }

    /// Its row, and what it says.
    pub fn row<'r>(
        &'r self,
        run: &Run<'r>,
        plan: &'r Plan,
        source: &str,
        ledger: Option<&Ledger>,
        placed: Option<Placed>,
        now_ms: i64,
    ) -> LetterRow<'r> {
        let before = ledger.and_then(|l| l.get(source, self.planned.partition, self.planned.offset));
        let (disposition, reason) = match &self.act {
            Act::Send => (Disposition::Redriven, run.reason),
            Act::Duplicate => (Disposition::Duplicate, run.reason),
            Act::Park(why) => (Disposition::Parked, Some(&**why)),
        };
        let target = placed.and_then(|placed| {
            let target = plan.target(&self.planned)?;
            Some(TargetAt {
                topic: Cow::Borrowed(&target.topic),
                topic_id: target.topic_id.as_deref().map(Cow::Borrowed),
                partition: placed.partition,
                offset: placed.offset,
            })
        });
        let sent = self.act == Act::Send;
        LetterRow {
            v: FORMAT_VERSION,
            disposition,
            run: Cow::Borrowed(run.id),
            operator: Cow::Borrowed(run.operator),
            reason: reason.map(Cow::Borrowed),
            sha256_before: Cow::Owned(self.planned.sha256.to_string()),
            sha256_after: self.after.as_ref().filter(|_| sent).map(ToString::to_string),
            target,
            root: root_at(&self.root),
            group: self.group().map(|group| Cow::Borrowed(&**group)),
            count: if sent { self.count } else { self.count - 1 },
            earlier: earlier(before),
            program: Cow::Borrowed(PROGRAM),
            time_ms: now_ms,
        }
    }
}

/// How often the letter's record was redriven, as its header, its own row and the row of the redrive that it came back
/// from tell.
pub(super) fn redriven_before(letter: &Letter, ledger: Option<&Ledger>, source: &str) -> u32 {
    let Some(ledger) = ledger else { return counted(letter) };
    let hop = letter.previous.as_ref().unwrap_or(&letter.root);
    let at = &letter.record.at;
    let own = ledger.get(source, at.partition, at.offset).map_or(0, |row| row.count);
    counted(letter).max(own).max(from(ledger, hop))
}

/// How often a record was redriven that failed at this place.
fn from(ledger: &Ledger, hop: &Origin) -> u32 {
    let (Some(topic), Some(partition), Some(offset)) = (&hop.topic, hop.partition, hop.offset) else {
        return 0;
    };
    ledger.by_target(topic, partition, offset).map_or(0, |row| row.count)
}

/// The group that failed last.
pub(super) fn group(letter: &Letter) -> Option<Name> {
    let hop = letter.previous.as_ref().unwrap_or(&letter.root);
    hop.group.clone().or_else(|| letter.root.group.clone())
}

/// Where the letter's record failed first, as a row says it.
pub(super) fn root_at(root: &Origin) -> RootAt<'_> {
    RootAt {
        topic: root.topic.as_deref().map(Cow::Borrowed),
        partition: root.partition,
        offset: root.offset,
        timestamp_ms: root.timestamp.map(Timestamp::as_millis),
    }
}

/// What was decided up to this row, for the next one.
pub(super) fn earlier(before: Option<Row<'_>>) -> Vec<Earlier> {
    let Some(before) = before else { return Vec::new() };
    let mut earlier = before.earlier.to_vec();
    earlier.push(Earlier {
        disposition: before.disposition,
        run: before.run.to_string(),
        operator: Some(before.operator.to_string()),
        reason: before.reason.map(ToString::to_string),
        time_ms: before.time.as_millis(),
    });
    earlier.drain(..earlier.len().saturating_sub(MOST_EARLIER));
    earlier
}

/// The digest of a record to be sent, counted as that of a letter is.
fn digest(parcel: &Parcel) -> Digest {
    let (key, value, headers) = (parcel.key(), parcel.value(), parcel.headers().collect());
    event::Parts { place: ("", 0, 0), time: None, key, value, headers }.digest()
}
