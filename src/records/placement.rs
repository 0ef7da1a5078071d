//! Whether a topic's keys lie where the Java client puts them, so that one key needs one partition only.

use tokio_util::sync::CancellationToken;

use super::range::{Piece, plan};
use crate::broker::{Bounds, Isolation, Shard, TopicInfo};
use crate::context::Cx;
use crate::event::{Record, murmur2};
use crate::text::Fault;

/// Records of the sample from each end of each partition.
const EACH: i64 = 16;
/// Partitions that are sampled at most.
const MOST_PARTITIONS: usize = 32;
/// Keyed records that a sample must have to say anything.
const ENOUGH: usize = 8;

/// The partition of `topic` in which all records with `key` lie, as a sample of its oldest and newest records
/// shows; `None` where other placements, or too few keys, were seen.
pub(super) async fn partition_of(
    cx: &Cx,
    topic: &TopicInfo,
    key: &[u8],
    isolation: Isolation,
    cancel: &CancellationToken,
) -> Result<Option<i32>, Fault> {
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let step = topic.partitions.len().div_ceil(MOST_PARTITIONS).max(1);
    let shards: Vec<Shard> =
        topic.partitions.iter().step_by(step).map(|p| Shard::new(topic.name.clone(), p.partition)).collect();
    let bounds = cx.broker.catalog().bounds(&shards).await?;
    let known: Vec<(Shard, Bounds)> =
        shards.into_iter().zip(bounds).filter_map(|(shard, bounds)| Some((shard, bounds.ok()?))).collect();
    let oldest =
        known.iter().map(|(shard, b)| piece(shard, b.start, b.start.saturating_add(EACH).min(b.last_stable)));
    let newest = known
        .iter()
        .map(|(shard, b)| piece(shard, b.last_stable.saturating_sub(EACH).max(b.start), b.last_stable));
    let mut seen = 0;
    for sample in [oldest.collect::<Vec<_>>(), newest.collect()] {
        let plan = plan(sample.iter(), isolation);
        let mut batches = cx.broker.reader().open(plan, cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in &batch.records {
                match explained(record, count) {
                    Some(true) => seen += 1,
                    Some(false) => return Ok(None),
                    None => {}
                }
            }
        }
    }
    Ok(murmur2::partition(key, count).filter(|_| seen >= ENOUGH))
}

fn piece(shard: &Shard, from: i64, to: i64) -> Piece {
    Piece { shard: shard.clone(), from, to: Some(to) }
}

/// Whether the record's key explains its partition; `None` without a key.
fn explained(record: &Record, partitions: i32) -> Option<bool> {
    Some(murmur2::partition(record.key.as_ref()?, partitions) == Some(record.at.partition))
}
