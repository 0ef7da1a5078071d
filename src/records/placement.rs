//! Whether a topic's keys lie where a known client puts them, so that one key needs one partition only.
//!
//! A sample is no proof, so it must be able to fail: it takes the oldest, middle and newest records of each partition.
//! Partitions that were added later leave old records elsewhere, where the oldest tell it; a compacted topic keeps old
//! records among new ones, and a sample of its ends would miss them, so there only the whole log tells.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use super::range::{Piece, plan};
use crate::broker::{Bounds, Isolation, Shard, TopicInfo};
use crate::context::Cx;
use crate::event::placement::Partitioner;
use crate::text::Fault;

/// Records of the sample at each of the three places in each partition.
const EACH: i64 = 16;
/// So many records are read for a sample at most.
const MOST_READ: usize = 200_000;
/// Partitions beyond which no sample is taken: it would cost more than is known to be saved.
const MOST_PARTITIONS: usize = 256;
/// Keyed records in different places that a sample must have to say anything.
const ENOUGH: usize = 8;

/// Where a key's records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// All in this partition, as the sample shows.
    One(i32, Partitioner),
    /// Perhaps anywhere, and why.
    Anywhere(&'static str),
}

/// Where the records of `topic` with `key` are.
pub(super) async fn of(
    cx: &Cx,
    topic: &TopicInfo,
    key: &[u8],
    isolation: Isolation,
    cancel: &CancellationToken,
) -> Result<Placement, Fault> {
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if topic.partitions.len() > MOST_PARTITIONS {
        return Ok(Placement::Anywhere("there are too many partitions for a sample"));
    }
    if is_compacted(cx, topic).await {
        return Ok(Placement::Anywhere(
            "the topic is compacted, where records of before a partition was added remain",
        ));
    }
    let shards: Vec<Shard> = topic.shards().collect();
    let bounds = cx.broker.catalog().bounds(&shards).await?;
    let mut known: Vec<(Shard, Bounds)> = Vec::with_capacity(shards.len());
    for (shard, bounds) in shards.into_iter().zip(bounds) {
        match bounds {
            Ok(bounds) => known.push((shard, bounds)),
            Err(_) => return Ok(Placement::Anywhere("a partition cannot be looked at")),
        }
    }
    // The oldest records are looked for behind what aborted transactions left: they tell of partitions added later.
    let oldest = known.iter().map(|(shard, b)| (shard, b.start, b.last_stable));
    let middle = known.iter().map(|(shard, b)| (shard, b.start.midpoint(b.last_stable), b.last_stable));
    let newest = known
        .iter()
        .map(|(shard, b)| (shard, b.last_stable.saturating_sub(EACH).max(b.start), b.last_stable));
    let mut fitting: Vec<(Partitioner, usize)> = Partitioner::ALL.map(|partitioner| (partitioner, 0)).into();
    for places in [oldest.collect::<Vec<_>>(), middle.collect(), newest.collect()] {
        // For each partition: records that are still wanted, and where it ends.
        let mut wanted: HashMap<i32, (i64, i64)> = HashMap::new();
        let pieces: Vec<Piece> = places
            .into_iter()
            .filter(|(_, from, to)| from < to)
            .map(|(shard, from, to)| {
                wanted.insert(shard.partition, (EACH, to));
                Piece { shard: shard.clone(), from, to: Some(to) }
            })
            .collect();
        let mut left = MOST_READ;
        let plan = plan(pieces.iter(), isolation);
        let mut batches = cx.broker.reader().open(plan, cancel.clone()).await?;
        while wanted.values().any(|(records, _)| *records > 0)
            && let Some(batch) = batches.next().await?
        {
            for (shard, next) in &batch.positions {
                wanted.retain(|partition, (_, end)| *partition != shard.partition || next < end);
            }
            left = left.saturating_sub(batch.records.len());
            if left == 0 {
                return Ok(Placement::Anywhere(
                    "its oldest records are not near the beginning of each partition",
                ));
            }
            for record in &batch.records {
                if let Some((records, _)) = wanted.get_mut(&record.at.partition) {
                    *records -= 1;
                }
                let Some(seen) = record.key.as_ref() else { continue };
                fitting.retain_mut(|(partitioner, explained)| match partitioner.partition(seen, count) {
                    Some(partition) if partition == record.at.partition => {
                        *explained += 1;
                        true
                    }
                    Some(_) => false,
                    None => true,
                });
            }
        }
    }
    Ok(match fitting.iter().find(|(_, explained)| *explained >= ENOUGH) {
        Some((partitioner, _)) => match partitioner.partition(key, count) {
            Some(partition) => Placement::One(partition, *partitioner),
            None => Placement::Anywhere("an empty key is placed at random"),
        },
        None if fitting.is_empty() => {
            Placement::Anywhere("a sample shows keys where no known client puts them")
        }
        None => Placement::Anywhere("there are too few keys to tell how they are placed"),
    })
}

/// Whether old records may lie among new ones. A configuration that cannot be read counts as no: then the log is as
/// its ends show.
async fn is_compacted(cx: &Cx, topic: &TopicInfo) -> bool {
    let configs = cx.broker.catalog().configs(std::slice::from_ref(&topic.name)).await.unwrap_or_default();
    let policy = configs.into_iter().flatten().next().and_then(|c| c.get("cleanup.policy")?.value.clone());
    policy.is_some_and(|policy| policy.contains("compact"))
}
