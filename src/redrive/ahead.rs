//! Reads a plan's letters ahead of the transactions that send them, and makes the records to be sent, in a task of
//! its own.
//!
//! What the ledger decides is left to the engine. Limits: a few windows wait ([`AHEAD`]), and one is made.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::abreast::{Abreast, Made};
use super::found::Names;
use super::item::Item;
use super::origin::{self, Take};
use super::outgoing::{Recipe, Stamp, key};
use super::outline::Outline;
use super::plan::{At, Plan, PlannedLetter, damaged};
use super::shape::{Edited, Shape};
use super::window::Reader;
use crate::broker::{Name, Notice};
use crate::config::profile::{DeadLetters, Profile};
use crate::context::{Cx, Silent};
use crate::dlq::Letter;
use crate::event::Parts;
use crate::text::Fault;

/// Windows that wait: as much as is read until the place of the writer is taken, and between the end of a transaction and
/// the first records of the next one. Where there are fewer, reading stops in every one of these pauses.
const AHEAD: usize = 4;

/// A window of letters, in the plan's order.
#[derive(Default)]
pub(super) struct Read {
    /// To be sent, as far as the ledger lets them.
    pub items: Vec<Item>,
    /// Retention took them, or the record that they need.
    pub gone: Vec<At>,
}

/// What may join a transaction.
pub(super) enum Joining {
    Window(Read),
    /// Nothing waits.
    Nothing,
    /// What waits does not fit.
    Not,
}

/// The reading under way; it ends with this.
pub(super) struct Ahead {
    windows: mpsc::Receiver<Result<Read, Fault>>,
    /// A window that was not taken, or why there is none.
    left: Option<Result<Read, Fault>>,
    task: JoinHandle<()>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whose letters are read, and in whose name they are sent.
pub(super) struct Order {
    pub cx: Cx,
    pub plan: Arc<Plan>,
    /// Of each letter of the plan, whether it is read.
    pub wanted: Vec<bool>,
    /// So many are sent first, in the order of the plan.
    pub first: usize,
    pub run: String,
    pub operator: String,
    /// Whether duplicates are looked for.
    pub twins: bool,
}

impl Ahead {
    /// Begins to read.
    pub fn begin(order: Order, cancel: CancellationToken) -> Self {
        let (to, windows) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            let ended = read(&order, &to, &cancel).await;
            if let Err(fault) = ended {
                // Nobody listens where the run has ended.
                let _ = to.send(Err(fault)).await;
            }
        });
        Self { windows, left: None, task }
    }

    /// The next window, if it is there already.
    pub fn ready(&mut self) -> Option<Result<Read, Fault>> {
        self.left.take().or_else(|| self.windows.try_recv().ok())
    }

    /// The next window, if it is there already, has no more items and bytes than this, and all of them may join.
    pub fn joining(
        &mut self,
        (items, bytes): (usize, usize),
        may_join: impl Fn(&Item) -> bool,
    ) -> Result<Joining, Fault> {
        let Some(read) = self.ready().transpose()? else { return Ok(Joining::Nothing) };
        let size: usize = read.items.iter().map(Item::size).sum();
        if read.items.len() <= items && size <= bytes && read.items.iter().all(may_join) {
            return Ok(Joining::Window(read));
        }
        self.left = Some(Ok(read));
        Ok(Joining::Not)
    }

    /// Waits for the next window, no longer than this; whether there is one.
    pub async fn wait(&mut self, at_most: Duration) -> bool {
        if self.left.is_none() {
            self.left = tokio::time::timeout(at_most, self.windows.recv()).await.ok().flatten();
        }
        self.left.is_some()
    }

    /// The next window; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Result<Read, Fault>> {
        match self.left.take() {
            Some(read) => Some(read),
            None => self.windows.recv().await,
        }
    }
}

type Windows = mpsc::Sender<Result<Read, Fault>>;

async fn read(order: &Order, to: &Windows, cancel: &CancellationToken) -> Result<(), Fault> {
    let mut maker = Maker::new(order)?;
    let (mut first, mut rest) = (Vec::new(), order.wanted.clone());
    if order.first > 0 {
        first.resize(rest.len(), false);
        let all = first.iter_mut().zip(&mut rest).filter(|(_, wanted)| **wanted);
        for (first, rest) in all.take(order.first) {
            (*first, *rest) = (true, false);
        }
    }
    let Some(abreast) = Abreast::new(order, rest)? else {
        return read_in_order(order, &order.wanted, &mut maker, to, cancel).await;
    };
    if order.first > 0 {
        read_in_order(order, &first, &mut maker, to, cancel).await?;
    }
    let abreast = Arc::new(abreast);
    let mut batches = order.cx.broker.reader().open(abreast.plan(), cancel.clone()).await?;
    while let Some(batch) = batches.next().await? {
        for notice in batch.notices {
            if let Notice::Failed(_, error) = notice {
                return Err(error.into());
            }
        }
        if !hand_over(order, abreast.made(), &mut maker, to, cancel).await? {
            return Ok(());
        }
    }
    hand_over(order, abreast.rest(), &mut maker, to, cancel).await?;
    Ok(())
}

/// Reads letters one after the other, in the order of the plan.
async fn read_in_order(
    order: &Order,
    wanted: &[bool],
    maker: &mut Maker,
    to: &Windows,
    cancel: &CancellationToken,
) -> Result<(), Fault> {
    let plan = &*order.plan;
    let letters = || plan.letters.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(l, _)| l);
    let mut reader = Reader::new(&order.cx, &plan.header.source.topic, letters());
    let mut rest = letters();
    while reader.fill(&mut rest) {
        let read = reader.next(cancel).await?.into_iter();
        let made = read.map(|(planned, record)| match record {
            None => Made::Gone(planned.at()),
            Some(record) if record.digest() != planned.sha256 => Made::Other(planned.at()),
            Some(record) => Made::Record(Box::new((planned, record))),
        });
        if !hand_over(order, made.collect(), maker, to, cancel).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Gives a window of what was made; `false` where nobody takes it.
async fn hand_over(
    order: &Order,
    made: Vec<Made>,
    maker: &mut Maker,
    to: &Windows,
    cancel: &CancellationToken,
) -> Result<bool, Fault> {
    let mut out = Read { items: Vec::with_capacity(made.len()), gone: Vec::new() };
    let mut waiting = Vec::new();
    for made in made {
        match made {
            Made::Item(item) => out.items.push(item),
            Made::Gone(at) => out.gone.push(at),
            Made::Other((partition, offset)) => {
                let at = format!("letter {partition}/{offset}");
                return Err(damaged(format!("{at} is not the one that was planned")));
            }
            Made::Record(made) => {
                let (planned, record) = *made;
                let letter = maker.shape.lean(record, &mut maker.names, None);
                match maker.takes(letter.pointer, key(&letter).is_some()) {
                    Some(take) => waiting.push(Waiting { place: out.items.len(), planned, letter, take }),
                    None => out.items.push(maker.item(planned, letter)?),
                }
            }
        }
    }
    if !waiting.is_empty() {
        with_origins(order, maker, waiting, &mut out, cancel).await?;
    }
    Ok(out.items.is_empty() && out.gone.is_empty() || to.send(Ok(out)).await.is_ok())
}

/// Makes items of letters.
pub(super) struct Maker {
    plan: Arc<Plan>,
    profile: Arc<Profile>,
    shape: Shape,
    recipe: Recipe,
    names: Names,
    /// Whether duplicates are looked for.
    twins: bool,
}

impl Maker {
    pub fn new(order: &Order) -> Result<Self, Fault> {
        let (plan, profile) = (&order.plan, &order.cx.profile);
        let stamp = Stamp { run: &order.run, operator: &order.operator };
        Ok(Self {
            shape: Shape::new(&plan.header, profile)?,
            recipe: Recipe::new(&plan.header, profile, stamp),
            names: Names::default(),
            twins: order.twins,
            plan: Arc::clone(plan),
            profile: Arc::clone(profile),
        })
    }

    /// How letters are read.
    pub fn config(&self) -> &DeadLetters {
        &self.profile.dead_letters
    }

    /// The dead-letter topic.
    pub fn topic(&self) -> Name {
        Name::clone(&self.plan.header.source.topic)
    }

    /// Whether the letters need only be looked at, as far as the plan says.
    pub fn may_look(&self) -> bool {
        !self.shape.edits() && !self.shape.is_replay()
    }

    /// The item of a letter that was looked at; `None` where it needs more.
    pub fn look(&mut self, planned: PlannedLetter, letter: &Outline<'_>) -> Option<Item> {
        match self.takes(letter.pointer, letter.key.is_some()) {
            Some(_) => None,
            None => self.make(planned, letter),
        }
    }

    /// What of a letter the origin's record is to give.
    fn takes(&self, pointer: bool, has_key: bool) -> Option<Take> {
        origin::takes(&self.plan.header.options, pointer, has_key)
    }

    fn make(&mut self, planned: PlannedLetter, letter: &Outline<'_>) -> Option<Item> {
        Item::new(letter, planned, &self.plan, (&mut self.recipe, &mut self.names), self.twins)
    }

    fn item(&mut self, planned: PlannedLetter, mut letter: Letter) -> Result<Item, Fault> {
        if let Edited::Refused(rule, why) = self.shape.edit(&mut letter) {
            let at = format!("letter {}/{} cannot be edited now", planned.partition, planned.offset);
            return Err(Fault::refused(rule, at).why(why).hint("running the plan again sends the rest"));
        }
        let record = Parts::of(&letter.record);
        let item = self.make(planned, &Outline::of(&letter, &record));
        item.ok_or_else(|| damaged("a letter has no target"))
    }
}

/// A letter that needs its origin's record.
struct Waiting {
    /// Before which of the items it belongs.
    place: usize,
    planned: PlannedLetter,
    letter: Letter,
    take: Take,
}

/// Takes the origin's bytes where the plan says so, and puts the letters among the items. A letter whose origin is gone
/// is gone, too: nothing of it, and no null in its place, is sent.
async fn with_origins(
    order: &Order,
    maker: &mut Maker,
    waiting: Vec<Waiting>,
    out: &mut Read,
    cancel: &CancellationToken,
) -> Result<(), Fault> {
    let wanted: Vec<_> = waiting.iter().filter_map(|waiting| origin::place(&waiting.letter)).collect();
    let origins = origin::fetch(&order.cx, wanted, &Silent, cancel).await?;
    let mut items = Vec::with_capacity(out.items.len() + waiting.len());
    let mut others = std::mem::take(&mut out.items).into_iter();
    let mut passed = 0;
    for Waiting { place, planned, mut letter, take } in waiting {
        items.extend(others.by_ref().take(place - passed));
        passed = place;
        let origin = origin::place(&letter).and_then(|place| origins.get(&place));
        if origin.is_some_and(|origin| origin::apply(&mut letter, origin, take)) {
            items.push(maker.item(planned, letter)?);
        } else {
            out.gone.push(planned.at());
        }
    }
    items.extend(others);
    out.items = items;
    Ok(())
}
