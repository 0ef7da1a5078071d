//! Reads a plan's letters ahead of the transactions that send them, and makes the records to be sent, in a task of
//! its own.
//!
//! What the ledger decides is left to the engine. Limits: one window waits, one is made and one is sent, so that three
//! of them are in memory at most.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::found::Names;
use super::item::Item;
use super::origin;
use super::outgoing::{Recipe, Stamp, key};
use super::plan::{Plan, PlannedLetter, damaged};
use super::shape::{Edited, Shape};
use super::window::Reader;
use crate::context::{Cx, Silent};
use crate::dlq::Letter;
use crate::text::Fault;

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
        let (to, windows) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let ended = read(&order, &to, &cancel).await;
            if let Err(fault) = ended {
                // Nobody listens where the run has ended.
                let _ = to.send(Err(fault)).await;
            }
        });
        Self { windows, task }
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
    let config = &cx.profile.dead_letters;
    let shape = Shape::new(&plan.header, &cx.profile)?;
    let stamp = Stamp { run: &order.run, operator: &order.operator };
    let mut recipe = Recipe::new(&plan.header, config, stamp);
    let mut names = Names::default();
    let twins = !plan.header.replay && !plan.forces("duplicate");
    let letters = || plan.letters.iter().zip(&order.wanted).filter(|(_, wanted)| **wanted).map(|(l, _)| l);
    let mut reader = Reader::new(cx, &plan.header.source.topic, letters());
    let mut rest = letters();
    while reader.fill(&mut rest) {
        let records = reader.next(cancel).await?;
        let mut out = Read { items: Vec::with_capacity(records.len()), gone: Vec::new() };
        let mut read = Vec::with_capacity(records.len());
        for (planned, record) in records {
            let Some(record) = record else {
                out.gone.push(planned);
                continue;
            };
            if record.digest() != planned.sha256 {
                let at = format!("letter {}/{}", planned.partition, planned.offset);
                return Err(damaged(format!("{at} is not the one that was planned")));
            }
            read.push((planned, shape.lean(record, &mut names, None)));
        }
        for (planned, mut letter) in with_origins(order, read, &mut out.gone, cancel).await? {
            if let Edited::Refused(rule, why) = shape.edit(&mut letter) {
                let at = format!("letter {}/{} cannot be edited now", planned.partition, planned.offset);
                return Err(Fault::refused(rule, at).why(why).hint("running the plan again sends the rest"));
            }
            let item = Item::new(&letter, planned, plan, &mut recipe, twins);
            out.items.push(item.ok_or_else(|| damaged("a letter has no target"))?);
        }
        if to.send(Ok(out)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes the origin's bytes where the plan says so. A letter whose origin is gone is gone, too: nothing of it, and no
/// null in its place, is sent.
async fn with_origins(
    order: &Order,
    mut letters: Vec<(PlannedLetter, Letter)>,
    gone: &mut Vec<PlannedLetter>,
    cancel: &CancellationToken,
) -> Result<Vec<(PlannedLetter, Letter)>, Fault> {
    let options = &order.plan.header.options;
    let takes = |letter: &Letter| origin::takes(options, letter.pointer, key(letter).is_some());
    let wanted: Vec<_> = letters
        .iter()
        .filter(|(_, letter)| takes(letter).is_some())
        .filter_map(|(_, letter)| origin::place(letter))
        .collect();
    if !letters.iter().any(|(_, letter)| takes(letter).is_some()) {
        return Ok(letters);
    }
    let origins = origin::fetch(&order.cx, wanted, &Silent, cancel).await?;
    letters.retain_mut(|(planned, letter)| {
        let Some(take) = takes(letter) else { return true };
        let origin = origin::place(letter).and_then(|place| origins.get(&place));
        let taken = origin.is_some_and(|origin| origin::apply(letter, origin, take));
        if !taken {
            gone.push(*planned);
        }
        taken
    });
    Ok(letters)
}
