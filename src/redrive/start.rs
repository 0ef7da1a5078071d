//! The beginning of a run: what the ledger leaves to be read of a plan, and its reading. It needs nothing but the right to
//! read, so that the place of the writer is taken meanwhile; where somebody writes to the ledger in between, it begins anew.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ahead::{Ahead, Order};
use super::document::RunAnswer;
use super::plan::Plan;
use super::twins::Twins;
use crate::broker::TopicId;
use crate::context::Cx;
use crate::ledger::{Disposition, Ledger};
use crate::letters::ledger::LedgerReader;

/// A run that begins.
pub(super) struct Start {
    pub ahead: Ahead,
    /// What was redriven before, as far as duplicates are looked for.
    pub twins: Twins,
    /// Letters that are not open.
    pub closed: u64,
    /// What the ledger was.
    mark: Mark,
}

impl Start {
    /// Begins to read what the ledger has open of the letters of the dead-letter topic with this id; `first` letters are
    /// sent first.
    pub fn begin(
        cx: &Cx,
        plan: &Arc<Plan>,
        (reader, source): (&LedgerReader, &str),
        answer: &RunAnswer,
        first: usize,
        cancel: CancellationToken,
    ) -> Self {
        let ledger = reader.ledger();
        let looks = !plan.header.replay && !plan.forces("duplicate");
        let known = ledger.filter(|_| looks).map(Twins::new).unwrap_or_default();
        let may_have = plan.may_have_duplicates();
        let (mut wanted, mut closed) = (vec![true; plan.letters.len()], 0);
        if let Some(ledger) = ledger.filter(|ledger| ledger.dispositions(source).next().is_some()) {
            for (letter, wanted) in plan.letters.iter().zip(&mut wanted) {
                let state = ledger.disposition(source, letter.partition, letter.offset);
                let is_open = plan.header.is_open(state);
                closed += u64::from(!is_open);
                // Closed letters are not read again, but for parked ones: their keys hold others.
                *wanted = is_open || state == Disposition::Parked;
            }
        }
        let order = Order {
            cx: cx.clone(),
            plan: Arc::clone(plan),
            wanted,
            first,
            run: answer.run.clone(),
            operator: answer.operator.clone(),
            twins: may_have || !known.is_new(),
        };
        Self {
            ahead: Ahead::begin(order, cancel),
            twins: if may_have { known.with_room(plan.letters.len()) } else { known },
            closed,
            mark: mark(reader),
        }
    }

    /// Whether the ledger is still what it was.
    pub fn is_of(&self, reader: &LedgerReader) -> bool {
        self.mark == mark(reader)
    }
}

/// The rows of a ledger that were folded, and its topic; one without rows is like one that is not there.
type Mark = Option<(u64, Option<TopicId>)>;

fn mark(reader: &LedgerReader) -> Mark {
    let generation = reader.ledger().map(Ledger::generation).filter(|generation| *generation > 0);
    generation.map(|generation| (generation, reader.topic_id().cloned()))
}
