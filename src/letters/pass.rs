//! One pass over a dead-letter topic, for work that looks once at each letter and comes back to few of them.
//!
//! The index reads a topic first and its letters again when they are wanted; a plan of all letters would so read them
//! twice, and hold what the index keeps of each. Limits: where the index has read the topic already, or where a
//! selection is told by what it keeps (the last letters, a time, a key, a limit), [`Index::each`] is what serves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::LettersRequest;
use super::retention::Retention;
use crate::broker::{Name, Notice, ReadPlan, Shard, Sieve, Sifted, Span, Until};
use crate::context::{Progress, Sink};
use crate::event::{Parts, Record, RecordBytes};
use crate::filter::{Edge, Matcher, Selection};
use crate::ledger::Disposition;
use crate::text::{Fault, Timestamp};

/// How a pass went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
    /// When retention can delete the first open letter of the range; `None` where it never does, or it is not known.
    pub expires_at: Option<Timestamp>,
}

/// Takes a letter of a pass, with its state. Called on the threads that read, with the letters of one partition in their
/// order.
pub type Take = dyn Fn(&Parts<'_>, Disposition) + Send + Sync;

/// What retention goes by in one partition.
#[derive(Default)]
struct Age {
    /// The largest timestamp so far.
    largest: Option<Timestamp>,
    /// Whether an open letter was met.
    open: bool,
    /// The largest timestamp when the first one was.
    first_open: Option<Timestamp>,
    bytes: u64,
}

impl Age {
    fn add(&mut self, letter: &Parts<'_>, state: Disposition) {
        self.bytes += letter.size() as u64;
        self.largest = self.largest.max(letter.timestamp());
        if state.is_pending() && !self.open {
            self.first_open = self.largest;
            self.open = true;
        }
    }
}

/// One partition of a pass.
#[derive(Default)]
struct Part {
    /// The letters that the ledger has, by offset.
    states: Vec<(i64, Disposition)>,
    age: Mutex<Age>,
}

impl Part {
    fn state(&self, offset: i64) -> Disposition {
        let at = self.states.binary_search_by_key(&offset, |(offset, _)| *offset);
        at.ok().and_then(|at| self.states.get(at)).map_or(Disposition::Pending, |(_, state)| *state)
    }

    fn age(&self) -> MutexGuard<'_, Age> {
        self.age.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out what is meant.
struct Passing {
    parts: HashMap<i32, Part, FixedState>,
    matcher: Matcher,
    topic: Name,
    take: Arc<Take>,
}

impl Sieve for Passing {
    fn sift(&self, record: &dyn RecordBytes) -> Sifted {
        let letter = Parts::of(record);
        let (_, partition, offset) = letter.place;
        let Some(part) = self.parts.get(&partition) else { return Sifted::Leave };
        let state = part.state(offset);
        part.age().add(&letter, state);
        let whole = || self.matcher.matches(&Record::copy_of(record, Name::clone(&self.topic)));
        if self.matcher.glance(&letter).unwrap_or_else(whole) {
            (self.take)(&letter, state);
        }
        Sifted::Count
    }

    fn is_work(&self) -> bool {
        true
    }
}

/// Whether a selection is told by the records themselves.
fn is_simple(selection: &Selection) -> bool {
    let edge =
        |edge: &Option<Edge>| matches!(edge, None | Some(Edge::Beginning | Edge::End | Edge::Offset(_)));
    selection.key.is_none()
        && selection.limit.is_none()
        && !selection.uncommitted
        && edge(&selection.from)
        && edge(&selection.to)
}

impl Index {
    /// Hands out every record of the request's range that its conditions on content let through, with its state, in
    /// the order of each partition; `None`, and nothing handed out, where [`Self::each`] is to be asked. The request's
    /// failure and state are left to the caller. Refuses where the states are not known.
    pub async fn pass(
        &self,
        request: &LettersRequest,
        sink: &dyn Sink,
        cancel: &CancellationToken,
        take: Arc<Take>,
    ) -> Result<Option<Pass>, Fault> {
        let selection = &request.selection;
        if !is_simple(selection) {
            return Ok(None);
        }
        let matcher =
            Matcher::compile(selection, &self.cx().profile.dead_letters)?.with(&self.cx().profile.decoding);
        let Some(topic) = self.named(std::slice::from_ref(&request.topic)).await?.pop() else {
            return Err(self.cx().unknown_topic(&request.topic).await);
        };
        if topic.lock().fold.letters() > 0 {
            return Ok(None);
        }
        let catalog = self.cx().broker.catalog();
        let config = catalog.configs(std::slice::from_ref(&request.topic)).await?.pop();
        let retention = Retention::of(&config.and_then(Result::ok).unwrap_or_default());
        if retention.compacted_after_ms.is_some() {
            return Ok(None);
        }
        self.identify(&[Arc::clone(&topic)]).await?;
        self.follow_ledger(sink, cancel).await?;
        let id = topic.lock().id.clone();
        let Some(id) = id else { return Err(self.unknown_state()) };
        let mut parts: HashMap<i32, Part, FixedState> = HashMap::default();
        {
            let follower = self.ledger().await;
            let Some(ledger) = follower.ledger() else { return Err(self.unknown_state()) };
            for (partition, offset, state) in ledger.dispositions(&id.0) {
                parts.entry(partition).or_default().states.push((offset, state));
            }
        }
        let spans = self.spans(&request.topic, &topic.shards(), selection).await?;
        for span in &spans {
            parts.entry(span.shard.partition).or_default();
        }
        let mut progress = Progress {
            what: format!("reading {}", request.topic),
            total: Some(spans.iter().filter_map(Span::length).sum()),
            ..Progress::default()
        };
        let passing = Arc::new(Passing { parts, matcher, topic: Name::clone(&request.topic), take });
        if !spans.is_empty() {
            let sieve: Arc<dyn Sieve> = passing.clone();
            let plan = ReadPlan { sieve: Some(sieve), ..ReadPlan::new(spans) };
            let mut batches = self.cx().broker.reader().open(plan, cancel.clone()).await?;
            while let Some(batch) = batches.next().await? {
                if let Some(error) = batch.notices.into_iter().find_map(failure) {
                    return Err(error);
                }
                progress.done += batch.left.records;
                progress.bytes = passing.parts.values().map(|part| part.age().bytes).sum();
                sink.progress(progress.clone());
            }
        }
        let ages = passing.parts.values().map(Part::age);
        let now = self.cx().clock.now();
        let open = ages.filter(|age| age.open).map(|age| (age.first_open, age.bytes));
        let expires_at = open
            .flat_map(|(largest, bytes)| {
                let by_age = retention.age_ms.zip(largest).map(|(ms, at)| at.plus_millis(ms));
                [by_age, retention.bytes.filter(|most| bytes >= *most).map(|_| now)]
            })
            .flatten()
            .min();
        Ok(Some(Pass { filter_errors: passing.matcher.errors(), expires_at }))
    }

    /// The pieces of the topic that a selection means, up to what can be read now.
    async fn spans(&self, topic: &Name, shards: &[Shard], selection: &Selection) -> Result<Vec<Span>, Fault> {
        let chosen = |p: i32| selection.partitions.is_empty() || selection.partitions.contains(&p);
        let mut spans = Vec::with_capacity(shards.len());
        for (shard, bounds) in shards.iter().zip(self.cx().broker.catalog().bounds(shards).await?) {
            let bounds = bounds?;
            let offset = |edge: &Option<Edge>, otherwise: i64| match edge {
                Some(Edge::Beginning) => bounds.start,
                Some(Edge::End) => bounds.last_stable,
                Some(Edge::Offset(offset)) => *offset,
                _ => otherwise,
            };
            let from = offset(&selection.from, bounds.start).max(bounds.start);
            let end = offset(&selection.to, bounds.last_stable).min(bounds.last_stable);
            if chosen(shard.partition) && from < end {
                let shard = Shard::new(Name::clone(topic), shard.partition);
                spans.push(Span { shard, from, until: Until::Offset(end) });
            }
        }
        Ok(spans)
    }
}

/// Why not all of it could be read.
fn failure(notice: Notice) -> Option<Fault> {
    match notice {
        Notice::Failed(_, error) => Some(error.into()),
        Notice::Truncated { shard, position, end } => Some(
            Fault::failed("truncated", format!("{} became shorter while it was read", shard.topic))
                .why(format!("partition {} ends at {end}, and was read up to {position}", shard.partition))
                .hint("try again"),
        ),
        Notice::Finished(_) | Notice::CaughtUp(_) | Notice::Trimmed { .. } => None,
    }
}
