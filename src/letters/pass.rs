//! One pass over a dead-letter topic, for work that looks once at each letter and comes back to few of them.
//!
//! The index reads a topic first and its letters again when they are wanted; a plan of all letters would so read them
//! twice, and hold what the index keeps of each. Limits: where the index has read the topic already, or where a
//! selection is told by what it keeps (the last letters, a time, a key, a limit), [`Index::each`] is what serves.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::LettersRequest;
use super::retention::Retention;
use crate::broker::{Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::{Progress, Sink};
use crate::event::Record;
use crate::filter::{Edge, Matcher, Selection};
use crate::ledger::Disposition;
use crate::text::{Fault, Timestamp};

/// Bytes of records that wait to be looked at.
const BUDGET: usize = 16 << 20;

/// How a pass went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Letters on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
    /// When retention can delete the first open letter of the range; `None` where it never does, or it is not known.
    pub expires_at: Option<Timestamp>,
}

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
        take: &mut (dyn FnMut(Record, Disposition) -> ControlFlow<()> + Send),
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
        if self.ledger().await.ledger().is_none() {
            return Err(self.unknown_state());
        }
        let spans = self.spans(&request.topic, &topic.shards(), selection).await?;
        let total = spans.iter().filter_map(Span::length).sum();
        let mut progress = Progress {
            what: format!("reading {}", request.topic),
            total: Some(total),
            ..Progress::default()
        };
        let mut ages: HashMap<i32, Age> = HashMap::new();
        if !spans.is_empty() {
            let plan = ReadPlan { budget: BUDGET, ..ReadPlan::new(spans) };
            let mut batches = self.cx().broker.reader().open(plan, cancel.clone()).await?;
            while let Some(batch) = batches.next().await? {
                if let Some(error) = batch.notices.into_iter().find_map(failure) {
                    return Err(error);
                }
                let follower = self.ledger().await;
                let Some(ledger) = follower.ledger() else { return Err(self.unknown_state()) };
                for record in batch.records {
                    let at = &record.at;
                    let state = ledger.disposition(&id.0, at.partition, at.offset);
                    let size = record.size() as u64;
                    let age = ages.entry(at.partition).or_default();
                    age.bytes += size;
                    age.largest = age.largest.max(record.timestamp());
                    if state.is_pending() {
                        if !age.open {
                            age.first_open = age.largest;
                        }
                        age.open = true;
                    }
                    progress.done += 1;
                    progress.bytes += size;
                    if matcher.matches(&record) && take(record, state).is_break() {
                        return Err(Fault::cancelled());
                    }
                }
                drop(follower);
                sink.progress(progress.clone());
            }
        }
        let now = self.cx().clock.now();
        let open = ages.values().filter(|age| age.open).map(|age| (age.first_open, age.bytes));
        let expires_at = open
            .flat_map(|(largest, bytes)| {
                let by_age = retention.age_ms.zip(largest).map(|(ms, at)| at.plus_millis(ms));
                [by_age, retention.bytes.filter(|most| bytes >= *most).map(|_| now)]
            })
            .flatten()
            .min();
        Ok(Some(Pass { filter_errors: matcher.errors(), expires_at }))
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
