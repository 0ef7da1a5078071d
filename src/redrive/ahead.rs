//! Reads a plan's letters ahead of the transactions that send them, and makes the records to be sent, in a task of
//! its own.
//!
//! What the ledger decides is left to the engine. Limits: a few windows wait ([`AHEAD`]), and one is made.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::found::Names;
use super::item::Item;
use super::origin::{self, Take};
use super::outgoing::{Recipe, Stamp, key};
use super::plan::{Plan, PlannedLetter, damaged};
use super::shape::{Edited, Shape};
use super::window::Reader;
use crate::context::{Cx, Silent};
use crate::dlq::Letter;
use crate::text::Fault;

/// Windows that wait: about as many letters as a transaction has.
const AHEAD: usize = 3;

/// A window of letters, in the plan's order.
#[derive(Default)]
pub(super) struct Read {
    /// To be sent, as far as the ledger lets them.
    pub items: Vec<Item>,
    /// Retention took them, or the record that they need.
    pub gone: Vec<PlannedLetter>,
}

/// The reading under way; it ends with this.
pub(super) struct Ahead {
    windows: mpsc::Receiver<Result<Read, Fault>>,
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
    pub run: String,
    pub operator: String,
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
        Self { windows, task }
    }

    /// The next window, if it is there already.
    pub fn ready(&mut self) -> Option<Result<Read, Fault>> {
        self.windows.try_recv().ok()
    }

    /// The next window; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Result<Read, Fault>> {
        self.windows.recv().await
    }
}

async fn read(
    order: &Order,
    to: &mpsc::Sender<Result<Read, Fault>>,
    cancel: &CancellationToken,
) -> Result<(), Fault> {
    let (cx, plan) = (&order.cx, &*order.plan);
    let shape = Shape::new(&plan.header, &cx.profile)?;
    let stamp = Stamp { run: &order.run, operator: &order.operator };
    let recipe = Recipe::new(&plan.header, &cx.profile, stamp);
    let twins = !plan.header.replay && !plan.forces("duplicate");
    let mut maker = Maker { plan, shape, recipe, twins };
    let mut names = Names::default();
    let letters = || plan.letters.iter().zip(&order.wanted).filter(|(_, wanted)| **wanted).map(|(l, _)| l);
    let mut reader = Reader::new(cx, &plan.header.source.topic, letters());
    let mut rest = letters();
    while reader.fill(&mut rest) {
        let records = reader.next(cancel).await?;
        let mut out = Read { items: Vec::with_capacity(records.len()), gone: Vec::new() };
        let mut waiting = Vec::new();
        for (planned, record) in records {
            let Some(record) = record else {
                out.gone.push(planned);
                continue;
            };
            if record.digest() != planned.sha256 {
                let at = format!("letter {}/{}", planned.partition, planned.offset);
                return Err(damaged(format!("{at} is not the one that was planned")));
            }
            let letter = maker.shape.lean(record, &mut names, None);
            match maker.takes(&letter) {
                Some(take) => waiting.push(Waiting { place: out.items.len(), planned, letter, take }),
                None => out.items.push(maker.item(planned, letter)?),
            }
        }
        if !waiting.is_empty() {
            with_origins(order, &mut maker, waiting, &mut out, cancel).await?;
        }
        if to.send(Ok(out)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Makes items of letters.
struct Maker<'a> {
    plan: &'a Plan,
    shape: Shape,
    recipe: Recipe,
    /// Whether duplicates are looked for.
    twins: bool,
}

impl Maker<'_> {
    /// What of the letter the origin's record is to give.
    fn takes(&self, letter: &Letter) -> Option<Take> {
        origin::takes(&self.plan.header.options, letter.pointer, key(letter).is_some())
    }

    fn item(&mut self, planned: PlannedLetter, mut letter: Letter) -> Result<Item, Fault> {
        if let Edited::Refused(rule, why) = self.shape.edit(&mut letter) {
            let at = format!("letter {}/{} cannot be edited now", planned.partition, planned.offset);
            return Err(Fault::refused(rule, at).why(why).hint("running the plan again sends the rest"));
        }
        let item = Item::new(&letter, planned, self.plan, &mut self.recipe, self.twins);
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
    maker: &mut Maker<'_>,
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
            out.gone.push(planned);
        }
    }
    items.extend(others);
    out.items = items;
    Ok(())
}
