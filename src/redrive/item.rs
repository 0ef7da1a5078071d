//! One letter of a run on its way: what is done with it, and its row in the ledger. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use super::found::Names;
use super::outgoing::{Recipe, counted};
use super::outline::Outline;
use super::parcel::{Addressed, Parcel};
use super::plan::{At, Plan, PlannedLetter, PlannedTopic};
use super::shelf::{self, Alike};
use super::twins::{Body, Identity, Twin};
use crate::broker::{Name, Placed};
use crate::dlq::letter::{Letter, Origin};
use crate::event::{self, Digest};
use crate::ledger::fold::Row;
use crate::ledger::letters::Listed;
use crate::ledger::row::{Earlier, LetterRow, RootAt, TargetAt};
use crate::ledger::{Disposition, FORMAT_VERSION, Ledger};
use crate::letters::document::Target;
use crate::letters::outcome::{Redriven, is_retried, via};
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

/// A letter on its way. A transaction may have many, of most of which the broker has what is sent: what is not asked for
/// any more is given back before the commit. It goes from queue to queue, so it is small.
#[derive(Clone, Debug)]
pub(super) struct Item(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Whole(Box<Parts>),
    /// Which letter it was, that is sent.
    Sent(At),
}

/// What there is of a letter on its way.
#[derive(Clone, Debug)]
struct Parts {
    planned: PlannedLetter,
    act: Act,
    /// What is sent.
    parcel: Parcel,
    /// When the record was written first, where that is known.
    time: Option<Timestamp>,
    /// Whether the letter tells of retries.
    retried: bool,
    /// By what a duplicate of it is known; `None` where it does not say where its record was first, or where nobody
    /// looks for duplicates.
    twin: Option<Box<(Body, Twin)>>,
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
        Some(Self(Kept::Whole(Box::new(Parts {
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
        }))))
    }

    /// What there is of it; `None` where it is forgotten.
    fn parts(&self) -> Option<&Parts> {
        match &self.0 {
            Kept::Whole(parts) => Some(parts),
            Kept::Sent(_) => None,
        }
    }

    /// Which letter it is.
    pub fn at(&self) -> At {
        match &self.0 {
            Kept::Whole(parts) => parts.planned.at(),
            Kept::Sent(at) => *at,
        }
    }

    /// Number and partition of its target; `None` where it is forgotten.
    pub fn aim(&self) -> Option<(u32, i32)> {
        let planned = &self.parts()?.planned;
        Some((planned.target, planned.target_partition))
    }

    /// Its target; `None` where it is forgotten.
    pub fn target<'p>(&self, plan: &'p Plan) -> Option<&'p PlannedTopic> {
        plan.target(&self.parts()?.planned)
    }

    /// What is done with it.
    pub fn act(&self) -> &Act {
        self.parts().map_or(&Act::Send, |parts| &parts.act)
    }

    /// Whether it is sent.
    pub fn is_sent(&self) -> bool {
        *self.act() == Act::Send
    }

    /// Does something else with it.
    pub fn becomes(&mut self, act: Act) {
        if let Kept::Whole(parts) = &mut self.0 {
            parts.act = act;
        }
    }

    /// When the record was written first, where that is known.
    pub fn time(&self) -> Option<Timestamp> {
        self.parts()?.time
    }

    /// The redrive of it, to be followed; `None` where it is forgotten.
    pub fn redriven(&self, plan: &Plan, placed: Placed, source: &Arc<str>) -> Option<Redriven> {
        let (parts, topic) = (self.parts()?, Name::clone(&self.target(plan)?.topic));
        let target = Target { topic, partition: placed.partition, offset: placed.offset };
        let (partition, offset) = self.at();
        let letter = (Some(Arc::clone(source)), partition, offset);
        Some(Redriven {
            via: via(&parts.root, parts.latest.as_deref()),
            retried: parts.retried,
            ..Redriven::new(target, parts.group().cloned(), letter)
        })
    }

    /// By what a duplicate of it is known.
    pub fn twin(&self) -> Option<Twin> {
        Some(self.parts()?.twin.as_ref()?.1)
    }

    /// By what it is compared with letters that were redriven before.
    pub fn identity(&self) -> Option<Identity> {
        let parts = self.parts()?;
        Identity::new(&parts.root, parts.twin.as_ref()?.0)
    }

    /// Bytes of what is sent, as the broker counts them.
    pub fn size(&self) -> usize {
        self.parts().map_or(0, |parts| parts.parcel.batch_size())
    }

    /// Bytes of memory, about.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.parts().map_or(0, |parts| size_of::<Parts>() + parts.parcel.held())
    }

    /// Gives the bytes of the record back: the broker has them, and the letter can be read again.
    pub fn release(&mut self) {
        if let Kept::Whole(parts) = &mut self.0 {
            parts.parcel.release();
        }
    }

    /// Gives all back but which letter it was.
    pub fn forget(&mut self) {
        self.0 = Kept::Sent(self.at());
    }

    /// Whether the bytes of the record were given back.
    pub fn is_released(&self) -> bool {
        self.parts().is_none_or(|parts| parts.parcel.is_released())
    }

    /// Takes what the ledger says of redrives before.
    pub fn recount(&mut self, ledger: &Ledger, source: &str) {
        let Kept::Whole(parts) = &mut self.0 else { return };
        let at = &parts.planned;
        let own = ledger.get(source, at.partition, at.offset).map_or(0, |row| row.count);
        let hop = parts.latest.as_deref().unwrap_or(&parts.root);
        let count = own.max(from(ledger, hop)).saturating_add(1);
        if count > parts.count {
            parts.count = count;
            parts.parcel.recount(count);
        }
    }

    /// The record and where it goes; `None` where nothing is sent.
    pub fn outbound<'i>(&'i self, plan: &'i Plan) -> Option<Addressed<'i>> {
        let Parts { planned, act, parcel, .. } = self.parts()?;
        let topic = &plan.target(planned)?.topic;
        // What was given back is never sent as a null in its place.
        let is_sent = *act == Act::Send && !parcel.is_released();
        is_sent.then_some(Addressed { topic, partition: planned.target_partition, parcel })
    }

    /// What its rest is held by, when it cannot be sent.
    pub fn key(&self) -> Option<(u32, bytes::Bytes)> {
        let parts = self.parts()?;
        Some((parts.planned.target, bytes::Bytes::copy_from_slice(parts.parcel.key()?)))
    }

    /// What it says in a row that it shares, and with what letters; `None` where it is forgotten.
    pub fn listed(&self, placed: Placed) -> Option<(Alike<'_>, Listed)> {
        let parts = self.parts()?;
        let (planned, group) = (&parts.planned, parts.group().map(|group| &**group));
        let alike = (planned.partition, planned.target, parts.root.topic.as_deref(), group);
        let listed = Listed {
            target_partition: Some(placed.partition),
            target_offset: Some(placed.offset),
            sha256_after: parts.after.as_deref().copied(),
            ..shelf::listed(planned.offset, &parts.root, parts.count, planned.sha256)
        };
        Some((alike, listed))
    }

    /// Its row, and what it says; `None` where it is forgotten.
    pub fn row<'r>(
        &'r self,
        run: &Run<'r>,
        plan: &'r Plan,
        source: &str,
        ledger: Option<&Ledger>,
        placed: Option<Placed>,
        now_ms: i64,
    ) -> Option<LetterRow<'r>> {
        let parts = self.parts()?;
        let before = ledger.and_then(|l| l.get(source, parts.planned.partition, parts.planned.offset));
        let (disposition, reason) = match &parts.act {
            Act::Send => (Disposition::Redriven, run.reason),
            Act::Duplicate => (Disposition::Duplicate, run.reason),
            Act::Park(why) => (Disposition::Parked, Some(&**why)),
        };
        let target = placed.and_then(|placed| {
            let target = plan.target(&parts.planned)?;
            Some(TargetAt {
                topic: Cow::Borrowed(&target.topic),
                topic_id: target.topic_id.as_deref().map(Cow::Borrowed),
                partition: placed.partition,
                offset: placed.offset,
            })
        });
        let sent = parts.act == Act::Send;
        Some(LetterRow {
            v: FORMAT_VERSION,
            disposition,
            run: Cow::Borrowed(run.id),
            operator: Cow::Borrowed(run.operator),
            reason: reason.map(Cow::Borrowed),
            sha256_before: Cow::Owned(parts.planned.sha256.to_string()),
            sha256_after: parts.after.as_ref().filter(|_| sent).map(ToString::to_string),
            target,
            root: root_at(&parts.root),
            group: parts.group().map(|group| Cow::Borrowed(&**group)),
            count: if sent { parts.count } else { parts.count - 1 },
            earlier: earlier(before),
            program: Cow::Borrowed(PROGRAM),
            time_ms: now_ms,
        })
    }
}

impl Parts {
    /// The group that failed last.
    fn group(&self) -> Option<&Name> {
        let last = self.latest.as_ref().and_then(|hop| hop.group.as_ref());
        last.or(self.root.group.as_ref())
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
