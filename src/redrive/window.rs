//! Reads the letters of a plan again, in its order, in windows of bounded bytes.

use std::collections::HashMap;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use super::plan::{PlannedLetter, PlannedTopic, damaged};
use crate::broker::{Name, Shard};
use crate::context::{Cx, Sink};
use crate::event::Record;
use crate::letters::read;
use crate::text::Fault;

/// Bytes of records held at once.
const BUDGET: usize = 16 << 20;
/// Letters read in one window at most.
pub(super) const MOST: usize = 10_000;
const FIRST: usize = 1_000;

/// How many letters the next window takes.
pub(super) struct Window(usize);

impl Window {
    pub fn new() -> Self {
        Self(FIRST)
    }

    /// Reads as many of the first of `letters` as fit: gives them with their records (`None` where retention took
    /// it). At least one, where there is one.
    pub async fn read(
        &mut self,
        cx: &Cx,
        topic: &Name,
        letters: &[PlannedLetter],
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Vec<(PlannedLetter, Option<Record>)>, Fault> {
        loop {
            let chosen = letters.get(..self.0).unwrap_or(letters);
            let mut positions: Vec<(i32, i64)> = chosen.iter().map(|l| (l.partition, l.offset)).collect();
            positions.sort_unstable();
            let mut records: HashMap<(i32, i64), Record> = HashMap::with_capacity(positions.len());
            let mut bytes = 0;
            let mut over = false;
            read::at(cx, topic, &positions, sink, cancel, &mut |record| {
                bytes += record.size();
                records.insert((record.at.partition, record.at.offset), record);
                over = bytes > BUDGET && records.len() < positions.len();
                if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
            if over {
                // What is missing may only not have been read yet.
                self.0 = (chosen.len() / 2).max(1);
                continue;
            }
            let each = (bytes / records.len().max(1)).max(1);
            self.0 = (BUDGET / 2 / each).clamp(1, MOST);
            return Ok(chosen.iter().map(|l| (*l, records.remove(&(l.partition, l.offset)))).collect());
        }
    }
}

/// Checks that every letter lies before the end of its partition: reading one beyond would wait for ever.
pub(super) async fn check_ends(
    cx: &Cx,
    source: &PlannedTopic,
    letters: &[PlannedLetter],
) -> Result<(), Fault> {
    let mut ends: HashMap<i32, i64> = HashMap::new();
    let shards: Vec<Shard> =
        (0..source.partitions).map(|p| Shard::new(Name::clone(&source.topic), p)).collect();
    for (shard, bounds) in shards.iter().zip(cx.broker.catalog().bounds(&shards).await?) {
        ends.insert(shard.partition, bounds?.last_stable);
    }
    match letters.iter().find(|l| ends.get(&l.partition).is_none_or(|end| l.offset >= *end)) {
        Some(l) => Err(damaged(format!(
            "letter {}/{} lies beyond the end of {}",
            l.partition, l.offset, source.topic
        ))),
        None => Ok(()),
    }
}
