//! What becomes of a run's records while it goes on: who has committed past them, which came back.
//!
//! Only dead letters that arrive after the run began are read, so a look costs little on a large topic. Limits: a
//! record that fails again later than the last look is found by `runs`, not by the run.

use std::collections::{HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use crate::broker::{Name, Notice, ReadPlan, Shard, Span, TopicInfo, Until};
use crate::context::Cx;
use crate::dlq::formats;
use crate::letters::document::Target;
use crate::letters::hops::{Commits, Hops};
use crate::letters::outcome::{Outcome, Redriven, judge, look_around};
use crate::text::Fault;

/// Places that letters name are kept up to this number.
const MOST_PLACES: usize = 1_000_000;

/// Looks for what became of records.
pub(super) struct Watch<'a> {
    cx: &'a Cx,
    /// The next offset to be read of each partition of the dead-letter topics.
    next: HashMap<Shard, i64>,
    /// Places that letters since then name as where they failed.
    back: HashSet<(Name, i32, i64)>,
    /// What waits in retry topics.
    hops: Hops<'a>,
    /// What was committed when all that had been written up to then was read.
    proved: Commits,
    /// What was committed at a moment, and the ends of the topics right after it, while they are not read yet.
    asked: Option<(Commits, HashMap<Shard, i64>)>,
}

impl<'a> Watch<'a> {
    /// Begins at the ends of the dead-letter topics as they are now.
    pub async fn begin(cx: &'a Cx, topics: &[Name]) -> Result<Self, Fault> {
        let infos = cx.broker.catalog().topics(Some(topics)).await?;
        let shards: Vec<Shard> =
            infos.iter().filter(|info| info.error.is_none()).flat_map(TopicInfo::shards).collect();
        let bounds = cx.broker.catalog().bounds(&shards).await?;
        let next = shards
            .into_iter()
            .zip(bounds)
            .filter_map(|(shard, bounds)| Some((shard, bounds.ok()?.last_stable)))
            .collect();
        Ok(Self {
            cx,
            next,
            back: HashSet::new(),
            hops: Hops::new(cx),
            proved: Commits::default(),
            asked: None,
        })
    }

    /// What became of these records so far.
    pub async fn look(
        &mut self,
        sent: &[Redriven],
        cancel: &CancellationToken,
    ) -> Result<Vec<Outcome>, Fault> {
        // A group writes the dead letter, or the retry, before it commits: so its commits are asked for first, and
        // prove something only when all that lay there then was read, also what open transactions hold back.
        if self.asked.is_none() {
            let commits = look_around(&mut self.hops, sent).await?;
            let mut ends = self.hops.ends().await?;
            ends.extend(self.ends().await?);
            self.asked = Some((commits, ends));
        }
        self.read(cancel).await?;
        self.hops.read(cancel).await?;
        let is_read = |(_, ends): &mut (Commits, HashMap<Shard, i64>)| {
            self.hops.has_reached(ends)
                && ends.iter().all(|(shard, end)| self.next.get(shard).is_none_or(|next| next >= end))
        };
        if let Some((commits, _)) = self.asked.take_if(is_read) {
            self.hops.forget(&commits);
            self.proved = commits;
        }
        let came_back = |at: &Target| self.back.contains(&(Name::clone(&at.topic), at.partition, at.offset));
        Ok(judge(sent, &self.proved, came_back, |of| self.hops.retry(of, &self.proved)))
    }

    /// Why it is not known of a record whether it is tried again; `None` where nothing hinders.
    pub fn why_untold(&self, sent: &[Redriven]) -> Option<String> {
        sent.iter().find_map(|of| self.hops.why_untold(of))
    }

    /// The ends of the dead-letter topics, whatever transactions are open there.
    async fn ends(&self) -> Result<HashMap<Shard, i64>, Fault> {
        let shards: Vec<Shard> = self.next.keys().cloned().collect();
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let ends = shards.into_iter().zip(bounds);
        Ok(ends.filter_map(|(shard, bounds)| Some((shard, bounds.ok()?.end))).collect())
    }

    /// Reads the letters that are new.
    async fn read(&mut self, cancel: &CancellationToken) -> Result<(), Fault> {
        let shards: Vec<Shard> = self.next.keys().cloned().collect();
        let bounds = self.cx.broker.catalog().bounds(&shards).await?;
        let mut spans = Vec::new();
        for (shard, bounds) in shards.into_iter().zip(bounds) {
            let (from, end) = (self.next.get(&shard).copied().unwrap_or(0), bounds?.last_stable);
            if end > from {
                spans.push(Span { shard, from, until: Until::Offset(end) });
            }
        }
        if spans.is_empty() {
            return Ok(());
        }
        let config = &self.cx.profile.dead_letters;
        let mut batches = self.cx.broker.reader().open(ReadPlan::new(spans), cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in &batch.records {
                let letter = formats::decode(record, config);
                for hop in [Some(&letter.root), letter.previous.as_ref()].into_iter().flatten() {
                    if let (Some(topic), Some(partition), Some(offset)) =
                        (&hop.topic, hop.partition, hop.offset)
                        && self.back.len() < MOST_PLACES
                    {
                        self.back.insert((Name::clone(topic), partition, offset));
                    }
                }
            }
            for (shard, position) in batch.positions {
                self.next.insert(shard, position);
            }
            for notice in batch.notices {
                if let Notice::Failed(_, error) = notice {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}
