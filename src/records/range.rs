//! From a selection's edges to offsets, partition by partition.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use crate::broker::{
    Bounds, BrokerError, ErrorKind, Isolation, Name, ReadPlan, Shard, Span, TopicInfo, Until,
};
use crate::context::Cx;
use crate::filter::{Edge, Selection};
use crate::text::Fault;

/// Up to so many records a partition, `-N` counts records; beyond, it counts offsets.
const COUNTED: u64 = 10_000;

/// A piece of a partition that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub shard: Shard,
    /// First offset.
    pub from: i64,
    /// The offset before which it ends; `None` for never.
    pub to: Option<i64>,
}

/// All that is meant, and what could not be found out.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub ranges: Vec<Piece>,
    /// Partitions that cannot be read.
    pub failed: Vec<(Shard, BrokerError)>,
    /// For the eye.
    pub notes: Vec<String>,
}

/// The topics by name, in the order asked for; one that is not there is a fault that names the nearest.
pub(super) async fn topics(cx: &Cx, names: &[Name]) -> Result<Vec<TopicInfo>, Fault> {
    let found = cx.broker.catalog().topics(Some(names)).await?;
    let mut topics = Vec::with_capacity(names.len());
    for name in names {
        let Some(topic) = found.iter().find(|t| t.name == *name) else {
            return Err(cx.unknown_topic(name).await);
        };
        if let Some(error) = &topic.error {
            return Err(error.clone().into());
        }
        topics.push(topic.clone());
    }
    Ok(topics)
}

/// The partitions that are meant.
pub(super) fn shards(topics: &[TopicInfo], wanted: &[i32]) -> Result<Vec<Shard>, Fault> {
    let all = || topics.iter().flat_map(TopicInfo::shards);
    if wanted.is_empty() {
        return Ok(all().collect());
    }
    let there: BTreeSet<i32> = all().map(|shard| shard.partition).collect();
    if let Some(missing) = wanted.iter().find(|p| !there.contains(p)) {
        let names: Vec<&str> = topics.iter().map(|t| &*t.name).collect();
        return Err(Fault::usage(
            ErrorKind::UnknownPartition.code(),
            format!("there is no partition {missing}"),
        )
        .why(format!("{} has {} partitions", names.join(", "), there.len()))
        .hint(match there.last() {
            Some(last) => format!("partitions are counted from 0: the last one is {last}"),
            None => "partitions are counted from 0".to_owned(),
        }));
    }
    Ok(all().filter(|shard| wanted.contains(&shard.partition)).collect())
}

/// Resolves the edges. Without a beginning it is the beginning of the log, or its end where new records are
/// followed; without an end it is the end as it is now, or never.
pub(super) async fn resolve(
    cx: &Cx,
    shards: Vec<Shard>,
    selection: &Selection,
    follow: bool,
    cancel: &CancellationToken,
) -> Result<Pieces, Fault> {
    let isolation = isolation(selection);
    let mut out = Pieces::default();
    let mut known: Vec<(Shard, Bounds)> = Vec::with_capacity(shards.len());
    let mut hidden = 0;
    let answers = cx.broker.catalog().bounds(&shards).await?;
    for (shard, answer) in shards.into_iter().zip(answers) {
        match answer {
            Ok(bounds) => {
                if isolation == Isolation::ReadCommitted {
                    hidden += (bounds.end - bounds.last_stable).max(0);
                }
                known.push((shard, bounds));
            }
            Err(error) => out.failed.push((shard, error)),
        }
    }
    if known.is_empty()
        && let Some((_, error)) = out.failed.first()
    {
        return Err(error.clone().into());
    }
    let edges = Edges { cx, known: &known, isolation, cancel };
    let default = if follow { Edge::End } else { Edge::Beginning };
    let from = edges.offsets(selection.from.as_ref().unwrap_or(&default), &mut out.notes).await?;
    let to: Vec<Option<i64>> = match &selection.to {
        Some(edge) => edges.offsets(edge, &mut out.notes).await?.into_iter().map(Some).collect(),
        None if follow => vec![None; known.len()],
        None => known.iter().map(|(_, bounds)| Some(readable(bounds, isolation))).collect(),
    };
    if hidden > 0 && to.iter().zip(&known).any(|(to, (_, b))| to.is_some_and(|to| to >= b.last_stable)) {
        out.notes.push(format!(
            "the last {hidden} offsets are behind the start of an open transaction (--isolation read_uncommitted shows them)"
        ));
    }
    if [&selection.from, &selection.to].into_iter().flatten().any(|edge| matches!(edge, Edge::Time(_))) {
        out.notes.push(
            "a time is the first record of each partition that is not older: from there and up to there all is read, \
             also what was written late"
                .to_owned(),
        );
    }
    for (((shard, bounds), from), to) in known.into_iter().zip(from).zip(to) {
        // What is not yet readable would be waited for.
        let to = to.map(|to| to.min(readable(&bounds, isolation)));
        if from < bounds.start {
            let gone = bounds.start - from;
            out.notes.push(format!(
                "{}[{}] begins at {}: {gone} offsets before are gone",
                shard.topic, shard.partition, bounds.start
            ));
        }
        if from > bounds.end {
            out.notes
                .push(format!("{}[{}] ends at {}, before {from}", shard.topic, shard.partition, bounds.end));
        }
        let from = from.clamp(bounds.start, bounds.end.max(bounds.start));
        out.ranges.push(Piece { shard, from, to });
    }
    Ok(out)
}

/// Which records of transactions are meant.
pub(super) fn isolation(selection: &Selection) -> Isolation {
    if selection.uncommitted { Isolation::ReadUncommitted } else { Isolation::ReadCommitted }
}

/// Where a reader stops.
fn readable(bounds: &Bounds, isolation: Isolation) -> i64 {
    match isolation {
        Isolation::ReadCommitted => bounds.last_stable,
        Isolation::ReadUncommitted => bounds.end,
    }
}

struct Edges<'a> {
    cx: &'a Cx,
    known: &'a [(Shard, Bounds)],
    isolation: Isolation,
    cancel: &'a CancellationToken,
}

impl Edges<'_> {
    async fn offsets(&self, edge: &Edge, notes: &mut Vec<String>) -> Result<Vec<i64>, Fault> {
        let all = |of: fn(&Bounds) -> i64| self.known.iter().map(|(_, bounds)| of(bounds)).collect();
        match edge {
            Edge::Beginning => Ok(all(|b| b.start)),
            Edge::End => Ok(self.known.iter().map(|(_, b)| readable(b, self.isolation)).collect()),
            Edge::Offset(offset) => Ok(vec![*offset; self.known.len()]),
            Edge::Time(at) => {
                let asked: Vec<_> = self.known.iter().map(|(shard, _)| (shard.clone(), *at)).collect();
                let answers = self.cx.broker.catalog().offsets_at(&asked).await?;
                let offsets = answers.into_iter().zip(self.known);
                offsets.map(|(answer, (_, bounds))| Ok(answer?.unwrap_or(bounds.end))).collect()
            }
            Edge::Last(count) => self.last(*count, notes).await,
        }
    }

    /// The offsets from which `count` records of each partition follow. Markers of transactions, aborted records
    /// and compaction take offsets, too, so where they are the search goes further back.
    async fn last(&self, count: u64, notes: &mut Vec<String>) -> Result<Vec<i64>, Fault> {
        let back = |bounds: &Bounds, by: u64| {
            let by = i64::try_from(by).unwrap_or(i64::MAX);
            readable(bounds, self.isolation).saturating_sub(by).max(bounds.start)
        };
        let mut from: Vec<i64> = self.known.iter().map(|(_, bounds)| back(bounds, count)).collect();
        if count == 0 || count > COUNTED {
            if count > COUNTED {
                notes.push(format!(
                    "-{count} is counted in offsets; a partition may have fewer records there"
                ));
            }
            return Ok(from);
        }
        let mut open: Vec<usize> = (0..self.known.len()).collect();
        let mut window = count;
        while !open.is_empty() {
            let starts: Vec<(usize, i64)> =
                open.iter().filter_map(|i| Some((*i, back(&self.known.get(*i)?.1, window)))).collect();
            let offsets = self.offsets_of_records(&starts).await?;
            open.clear();
            for ((i, start), offsets) in starts.into_iter().zip(offsets) {
                let begins = self.known.get(i).is_some_and(|(_, bounds)| start <= bounds.start);
                let enough = offsets.len() as u64 >= count;
                if let Some(from) = from.get_mut(i) {
                    let nth = offsets.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
                    *from = offsets.get(nth).copied().unwrap_or(start);
                }
                if !enough && !begins {
                    open.push(i);
                }
            }
            window = window.saturating_mul(4).max(64);
        }
        Ok(from)
    }

    /// The offsets of the records from each start to the end.
    async fn offsets_of_records(&self, starts: &[(usize, i64)]) -> Result<Vec<Vec<i64>>, Fault> {
        let mut out = vec![Vec::new(); starts.len()];
        let pieces = starts.iter().filter_map(|(i, from)| {
            let (shard, bounds) = self.known.get(*i)?;
            Some(Piece { shard: shard.clone(), from: *from, to: Some(readable(bounds, self.isolation)) })
        });
        let plan = plan(pieces.collect::<Vec<_>>().iter(), self.isolation);
        let mut batches = self.cx.broker.reader().open(plan, self.cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in batch.records {
                let place = starts.iter().position(|(i, _)| {
                    self.known.get(*i).is_some_and(|(shard, _)| {
                        shard.partition == record.at.partition && shard.topic == record.at.topic
                    })
                });
                if let Some(offsets) = place.and_then(|place| out.get_mut(place)) {
                    offsets.push(record.at.offset);
                }
            }
        }
        Ok(out)
    }
}

/// The plan that reads pieces; empty ones are left out.
pub(super) fn plan<'a>(pieces: impl Iterator<Item = &'a Piece>, isolation: Isolation) -> ReadPlan {
    let spans = pieces.filter(|piece| piece.to.is_none_or(|to| to > piece.from)).map(|piece| Span {
        shard: piece.shard.clone(),
        from: piece.from,
        until: piece.to.map_or(Until::Follow, Until::Offset),
    });
    ReadPlan { isolation, ..ReadPlan::new(spans.collect()) }
}
