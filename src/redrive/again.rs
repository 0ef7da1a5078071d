//! Reads letters again whose bytes were given back when the broker had them, and whose transaction is not there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ahead::{Ahead, Order};
use super::engine::Engine;
use super::fence::Halt;
use super::item::Item;
use super::plan::{At, PlannedLetter};

impl Engine<'_> {
    /// Makes the items whole again. One whose letter is gone meanwhile is taken out.
    pub(super) async fn again(&mut self, items: &mut Vec<Item>) -> Result<(), Halt> {
        let missing: HashSet<At> = items.iter().filter(|item| item.is_released()).map(Item::at).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let is_missing = |letter: &PlannedLetter| missing.contains(&(letter.partition, letter.offset));
        let order = Order {
            cx: self.cx.clone(),
            plan: Arc::clone(self.plan),
            wanted: self.plan.letters.iter().map(|letter| is_missing(&letter)).collect(),
            first: 0,
            run: self.answer.run.clone(),
            operator: self.answer.operator.clone(),
            twins: false,
        };
        let mut ahead = Ahead::begin(order, self.fence.cancel.clone());
        let mut read = HashMap::with_capacity(missing.len());
        while let Some(window) = ahead.next().await {
            read.extend(window?.items.into_iter().map(|item| (item.at(), item)));
        }
        items.retain_mut(|item| {
            if item.is_released() {
                let Some(whole) = read.remove(&item.at()) else {
                    self.answer.expired += 1;
                    return false;
                };
                *item = whole;
                if let Some(ledger) = self.fence.rows() {
                    item.recount(ledger, self.fence.source());
                }
            }
            true
        });
        Ok(())
    }
}
