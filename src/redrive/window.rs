//! Reads the letters of a plan again, in its order, in windows of bounded bytes.
//!
//! Letters that follow each other in one partition, as most do, come out of one read that goes on from window to
//! window. Others are looked up window by window.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use super::packed::Letters;
use super::plan::{PlannedLetter, PlannedTopic, damaged};
use crate::broker::{Batches, Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::{Cx, Silent};
use crate::event::Record;
use crate::letters::read;
use crate::text::Fault;

/// Bytes of records held at once.
pub(super) const BUDGET: usize = 4 << 20;
/// Letters read in one window at most.
const MOST: usize = 2_000;
const FIRST: usize = 1_000;
/// So many letters in the order of one partition are worth a read of their own.
pub(super) const LONG: usize = 500;
/// A read that goes on passes over so many records at most between two letters; more cost more than to begin anew.
pub(super) const GAP: i64 = 20_000;

/// The letters of a window and their records; `None` where retention took it.
type Window = Vec<(PlannedLetter, Option<Record>)>;

/// Reads letters in the order in which they are given.
pub(super) struct Reader<'a> {
    cx: &'a Cx,
    topic: &'a Name,
    /// How many letters the next window takes.
    size: usize,
    /// The offset behind the last letter of each partition.
    ends: HashMap<i32, i64>,
    stream: Option<Stream>,
    /// Letters taken from the plan, and not read yet.
    ahead: VecDeque<PlannedLetter>,
}

/// A read of one partition that goes on.
struct Stream {
    partition: i32,
    batches: Box<dyn Batches>,
    /// What was read and not taken.
    waiting: VecDeque<Record>,
    /// All before this offset was read.
    position: i64,
}

impl<'a> Reader<'a> {
    /// A reader of these letters.
    pub fn new(cx: &'a Cx, topic: &'a Name, letters: impl Iterator<Item = PlannedLetter>) -> Self {
        let mut ends: HashMap<i32, i64> = HashMap::new();
        for letter in letters {
            let end = ends.entry(letter.partition).or_insert(0);
            *end = (*end).max(letter.offset.saturating_add(1));
        }
        Self { cx, topic, size: FIRST, ends, stream: None, ahead: VecDeque::new() }
    }

    /// Takes letters of the plan for the next window; whether there are any.
    pub fn fill(&mut self, letters: &mut impl Iterator<Item = PlannedLetter>) -> bool {
        let missing = self.size.saturating_sub(self.ahead.len());
        self.ahead.extend(letters.take(missing));
        !self.ahead.is_empty()
    }

    /// Reads as many of the letters taken as fit: one at least, where there is one.
    pub async fn next(&mut self, cancel: &CancellationToken) -> Result<Window, Fault> {
        let Some(first) = self.ahead.front().copied() else { return Ok(Vec::new()) };
        let run = self.run();
        let goes_on =
            self.stream.take_if(|stream| !stream.reaches(&first)).is_none() && self.stream.is_some();
        if !goes_on && run < LONG {
            return self.look_up(cancel).await;
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.begin(&first, cancel).await?,
        };
        let window = stream.read(self.ahead.drain(..run)).await?;
        let mut left = VecDeque::from(window.1);
        left.append(&mut self.ahead);
        self.ahead = left;
        self.stream = Some(stream);
        self.measure(&window.0);
        Ok(window.0)
    }

    /// How many of the first letters follow each other in one partition without a large gap.
    fn run(&self) -> usize {
        let pairs = self.ahead.iter().zip(self.ahead.iter().skip(1));
        let follows = |(a, b): &(&PlannedLetter, &PlannedLetter)| {
            a.partition == b.partition && (1..=GAP).contains(&(b.offset - a.offset))
        };
        1 + pairs.take_while(follows).count()
    }

    /// Begins a read of the first letter's partition, up to its last letter.
    async fn begin(&mut self, first: &PlannedLetter, cancel: &CancellationToken) -> Result<Stream, Fault> {
        let partition = first.partition;
        let end = self.ends.get(&partition).copied().unwrap_or(0);
        let shard = Shard::new(Name::clone(self.topic), partition);
        let span = Span { shard, from: first.offset, until: Until::Offset(end) };
        let plan = ReadPlan { budget: BUDGET / 2, ..ReadPlan::new(vec![span]) };
        let batches = self.cx.broker.reader().open(plan, cancel.clone()).await?;
        Ok(Stream { partition, batches, waiting: VecDeque::new(), position: first.offset })
    }

    /// Looks letters up, wherever they lie.
    async fn look_up(&mut self, cancel: &CancellationToken) -> Result<Window, Fault> {
        loop {
            let chosen = self.size.min(self.ahead.len());
            let mut positions: Vec<(i32, i64)> =
                self.ahead.iter().take(chosen).map(|l| (l.partition, l.offset)).collect();
            positions.sort_unstable();
            let mut records: HashMap<(i32, i64), Record> = HashMap::with_capacity(positions.len());
            let mut bytes = 0;
            let mut over = false;
            read::at(self.cx, self.topic, &positions, &Silent, cancel, &mut |record| {
                bytes += record.size();
                records.insert((record.at.partition, record.at.offset), record);
                over = bytes > BUDGET && records.len() < positions.len();
                if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
            if over {
                // What is missing may only not have been read yet.
                self.size = (chosen / 2).max(1);
                continue;
            }
            let letters = self.ahead.drain(..chosen);
            let window: Window = letters.map(|l| (l, records.remove(&(l.partition, l.offset)))).collect();
            self.measure(&window);
            return Ok(window);
        }
    }

    /// Takes as many letters next as the size of these lets fit.
    fn measure(&mut self, window: &Window) {
        let records = window.iter().filter_map(|(_, record)| record.as_ref());
        let (count, bytes) = records.fold((0, 0), |(n, bytes), record| (n + 1, bytes + record.size()));
        if let Some(mean) = bytes.checked_div(count) {
            self.size = (BUDGET / 2 / mean.max(1)).clamp(1, MOST);
        }
    }
}

impl Stream {
    /// Whether the letter can be read by going on.
    fn reaches(&self, letter: &PlannedLetter) -> bool {
        let at = self.waiting.front().map_or(self.position, |record| record.at.offset.min(self.position));
        letter.partition == self.partition && (at..at.saturating_add(GAP)).contains(&letter.offset)
    }

    /// Reads letters of its partition by offset, as many as the budget takes; gives those that it does not, too.
    async fn read(
        &mut self,
        letters: impl Iterator<Item = PlannedLetter>,
    ) -> Result<(Window, Vec<PlannedLetter>), Fault> {
        let mut letters = letters.peekable();
        let mut window = Window::new();
        let mut bytes = 0;
        while let Some(letter) = letters.next_if(|_| bytes < BUDGET) {
            let record = self.find(letter.offset).await?;
            bytes += record.as_ref().map_or(0, Record::size);
            window.push((letter, record));
        }
        Ok((window, letters.collect()))
    }

    /// The record at an offset; `None` where it is gone.
    async fn find(&mut self, offset: i64) -> Result<Option<Record>, Fault> {
        loop {
            while self.waiting.front().is_some_and(|record| record.at.offset <= offset) {
                let record = self.waiting.pop_front();
                if record.as_ref().is_some_and(|record| record.at.offset == offset) {
                    return Ok(record);
                }
            }
            if !self.waiting.is_empty() || self.position > offset {
                return Ok(None);
            }
            let Some(batch) = self.batches.next().await? else {
                self.position = i64::MAX;
                return Ok(None);
            };
            for notice in batch.notices {
                if let Notice::Failed(_, error) = notice {
                    return Err(error.into());
                }
            }
            for (_, position) in batch.positions {
                self.position = self.position.max(position);
            }
            self.waiting.extend(batch.records);
        }
    }
}

/// Checks that every letter lies before the end of its partition: reading one beyond would wait for ever.
pub(super) async fn check_ends(cx: &Cx, source: &PlannedTopic, letters: &Letters) -> Result<(), Fault> {
    let shards: Vec<Shard> =
        (0..source.partitions).map(|p| Shard::new(Name::clone(&source.topic), p)).collect();
    let mut ends = Vec::with_capacity(shards.len());
    for bounds in cx.broker.catalog().bounds(&shards).await? {
        ends.push(bounds?.last_stable);
    }
    let end = |partition: i32| ends.get(usize::try_from(partition).ok()?);
    match letters.iter().find(|l| end(l.partition).is_none_or(|end| l.offset >= *end)) {
        Some(l) => Err(damaged(format!(
            "letter {}/{} lies beyond the end of {}",
            l.partition, l.offset, source.topic
        ))),
        None => Ok(()),
    }
}
