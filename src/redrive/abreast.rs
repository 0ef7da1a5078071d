//! Reads letters of several partitions of a dead-letter topic at the same time, and makes items of them where their bytes
//! lie: most have the headers of one before.
//!
//! Nobody can tell the order of records on different partitions. Where those of each target partition come from one
//! partition of the dead-letter topic, its letters need only keep their own order; a transaction then has records for
//! several partitions, which go to the broker at once. Limits: elsewhere, and where letters lie far from each other,
//! they are read one after another ([`super::window`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use super::ahead::{Maker, Order};
use super::item::Item;
use super::outline::Outline;
use super::packed::{Cursor, Letters};
use super::plan::{At, Plan, PlannedLetter};
use super::window::{BUDGET, GAP, LONG};
use crate::broker::{Name, ReadPlan, Shard, Sieve, Sifted, Span, Until};
use crate::dlq::formats::glance::{Glances, Seen};
use crate::event::{Parts, Record, RecordBytes};
use crate::text::Fault;

/// What became of a letter.
pub(super) enum Made {
    Item(Item),
    /// It needs more than a look.
    Record(Box<(PlannedLetter, Record)>),
    /// Retention took it.
    Gone(At),
    /// It is not the one that was planned.
    Other(At),
}

impl Made {
    /// Bytes of memory.
    fn held(&self) -> usize {
        match self {
            Self::Item(item) => item.held(),
            Self::Record(made) => made.1.size() + size_of::<(PlannedLetter, Record)>(),
            Self::Gone(_) | Self::Other(_) => 0,
        }
    }
}

/// The letters of one partition.
struct Lane {
    first: i64,
    last: i64,
    cursor: Cursor,
    /// The number of the letter behind the cursor.
    number: usize,
    /// Letters that were not reached yet.
    left: usize,
    next: Option<PlannedLetter>,
}

impl Lane {
    /// Goes on to the next letter.
    fn step(&mut self, partition: i32, letters: &Letters, wanted: &[bool]) {
        self.next = None;
        while self.left > 0 {
            let Some(letter) = letters.next(&mut self.cursor) else { return };
            let is_wanted = wanted.get(self.number) == Some(&true);
            self.number += 1;
            if is_wanted && letter.partition == partition {
                self.left -= 1;
                self.next = Some(letter);
                return;
            }
        }
    }
}

/// Letters that are read partition beside partition.
pub(super) struct Abreast {
    plan: Arc<Plan>,
    wanted: Vec<bool>,
    making: Mutex<Making>,
}

struct Making {
    lanes: HashMap<i32, Lane, FixedState>,
    maker: Maker,
    glances: Glances,
    made: Vec<Made>,
}

impl Abreast {
    /// The letters that are wanted of the plan; `None` where they are to be read one after another.
    pub fn new(order: &Order, wanted: Vec<bool>) -> Result<Option<Self>, Fault> {
        if order.plan.header.options.pace.is_some() {
            return Ok(None);
        }
        let Some(mut lanes) = lanes(&order.plan.letters, &wanted) else { return Ok(None) };
        for (partition, lane) in &mut lanes {
            lane.step(*partition, &order.plan.letters, &wanted);
        }
        let making = Mutex::new(Making {
            lanes,
            maker: Maker::new(order)?,
            glances: Glances::default(),
            made: Vec::new(),
        });
        Ok(Some(Self { plan: Arc::clone(&order.plan), wanted, making }))
    }

    /// How they are read.
    pub fn plan(self: &Arc<Self>) -> ReadPlan {
        let topic = &self.plan.header.source.topic;
        let making = self.making();
        let mut spans: Vec<Span> = making
            .lanes
            .iter()
            .map(|(partition, lane)| {
                let shard = Shard::new(Name::clone(topic), *partition);
                Span { shard, from: lane.first, until: Until::Offset(lane.last + 1) }
            })
            .collect();
        spans.sort_unstable_by_key(|span| span.shard.partition);
        let sieve: Arc<dyn Sieve> = Arc::<Self>::clone(self);
        ReadPlan { budget: BUDGET / 2, sieve: Some(sieve), ..ReadPlan::new(spans) }
    }

    /// What was made; nothing of it is left.
    pub fn made(&self) -> Vec<Made> {
        std::mem::take(&mut self.making().made)
    }

    /// The letters that were not met in all that was read.
    pub fn rest(&self) -> Vec<Made> {
        let mut making = self.making();
        let Making { lanes, made, .. } = &mut *making;
        for (partition, lane) in lanes {
            while let Some(letter) = lane.next {
                made.push(Made::Gone(letter.at()));
                lane.step(*partition, &self.plan.letters, &self.wanted);
            }
        }
        std::mem::take(made)
    }

    fn making(&self) -> MutexGuard<'_, Making> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sieve for Abreast {
    fn sift(&self, record: &dyn RecordBytes) -> Sifted {
        let (_, partition, offset) = record.place();
        let mut making = self.making();
        let Making { lanes, maker, glances, made } = &mut *making;
        let Some(lane) = lanes.get_mut(&partition) else { return Sifted::Leave };
        while let Some(letter) = lane.next.filter(|letter| letter.offset <= offset) {
            lane.step(partition, &self.plan.letters, &self.wanted);
            if letter.offset == offset {
                let one = make(maker, glances, letter, record);
                let held = one.held();
                made.push(one);
                return Sifted::Take(held);
            }
            made.push(Made::Gone(letter.at()));
        }
        Sifted::Leave
    }
}

fn make(maker: &mut Maker, glances: &mut Glances, planned: PlannedLetter, record: &dyn RecordBytes) -> Made {
    let parts = Parts::of(record);
    if parts.digest() != planned.sha256 {
        return Made::Other(planned.at());
    }
    if let Some(item) = looked(maker, glances, planned, &parts) {
        return Made::Item(item);
    }
    let record = Record::copy_of(record, maker.topic());
    if maker.may_look() {
        glances.learn(&record, maker.config());
    }
    Made::Record(Box::new((planned, record)))
}

/// The item of a letter that need only be looked at.
fn looked(maker: &mut Maker, glances: &Glances, planned: PlannedLetter, record: &Parts<'_>) -> Option<Item> {
    let reading = glances.look(record, Seen::Origin)?;
    let outline = Outline::read(&reading, record, Outline::no_failure());
    maker.look(planned, &outline)
}

/// The lanes of the letters, if they may be read side by side.
fn lanes(letters: &Letters, wanted: &[bool]) -> Option<HashMap<i32, Lane, FixedState>> {
    let mut lanes: HashMap<i32, Lane, FixedState> = HashMap::default();
    let mut from: HashMap<(u32, i32), i32, FixedState> = HashMap::default();
    let (mut count, mut last) = (0, None);
    let mut before = Cursor::default();
    for (number, wanted) in wanted.iter().enumerate() {
        let cursor = before;
        let letter = letters.next(&mut before)?;
        if !wanted {
            continue;
        }
        let (partition, offset) = (letter.partition, letter.offset);
        let aim = (letter.target, letter.target_partition);
        // Most go the way of the one before.
        if last.replace((aim, partition)) != Some((aim, partition))
            && *from.entry(aim).or_insert(partition) != partition
        {
            return None;
        }
        match lanes.entry(partition) {
            Entry::Occupied(mut lane) => {
                let lane = lane.get_mut();
                if !(1..=GAP).contains(&(offset - lane.last)) {
                    return None;
                }
                (lane.last, lane.left) = (offset, lane.left + 1);
            }
            Entry::Vacant(place) => {
                place.insert(Lane { first: offset, last: offset, cursor, number, left: 1, next: None });
            }
        }
        count += 1;
    }
    (count >= LONG).then_some(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Digest;

    fn letter(partition: i32, offset: i64, target_partition: i32) -> PlannedLetter {
        PlannedLetter { partition, offset, sha256: Digest([0; 32]), target: 0, target_partition }
    }

    fn lanes_of(letters: impl IntoIterator<Item = PlannedLetter>) -> Option<Vec<(i32, i64, i64, usize)>> {
        let letters: Letters = letters.into_iter().collect();
        let lanes = lanes(&letters, &vec![true; letters.len()])?;
        let mut lanes: Vec<_> =
            lanes.iter().map(|(p, lane)| (*p, lane.first, lane.last, lane.left)).collect();
        lanes.sort_unstable();
        Some(lanes)
    }

    #[test]
    fn partitions_are_read_side_by_side_only_where_nobody_can_tell() {
        let two = |last: PlannedLetter| {
            (0..600).map(|i| letter((i % 2) as i32, 5 + i, 1 - (i % 2) as i32)).chain([last])
        };
        let fine = letter(0, 700, 1);
        assert_eq!(lanes_of(two(fine)), Some(vec![(0, 5, 700, 301), (1, 6, 604, 300)]));
        // Another lane's target partition, back to before, too far, and too few.
        assert_eq!(lanes_of(two(letter(0, 700, 0))), None);
        assert_eq!(lanes_of(two(letter(0, 7, 1))), None);
        assert_eq!(lanes_of(two(letter(0, 700 + GAP, 1))), None);
        assert_eq!(lanes_of((0..499).map(|i| letter(0, i, 0))), None);
    }

    #[test]
    fn a_lane_goes_over_what_is_not_wanted_and_what_others_read() {
        let letters: Letters = (0..12).map(|i| letter((i % 2) as i32, i, 0)).collect();
        let wanted: Vec<bool> = (0..12).map(|i| i != 4).collect();
        let (cursor, left) = (Cursor::default(), 5);
        let mut lane = Lane { first: 0, last: 10, cursor, number: 0, left, next: None };
        let mut met = Vec::new();
        loop {
            lane.step(0, &letters, &wanted);
            let Some(letter) = lane.next else { break };
            met.push(letter.offset);
        }
        assert_eq!(met, [0, 2, 6, 8, 10]);
    }
}
