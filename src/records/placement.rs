//! Whether a topic's keys lie where a known client puts them, so that one key needs one partition only.
//!
//! A sample is no proof, so it must be able to fail: it takes the oldest, middle and newest records of each partition.
//! Partitions that were added later leave old records elsewhere, where the oldest tell it; a compacted topic keeps old
//! records among new ones, and a sample of its ends would miss them, so there only the whole log tells.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::range::{Piece, plan};
use crate::broker::{Bounds, Isolation, Shard, TopicInfo};
use crate::context::Cx;
use crate::event::placement::Partitioner;
use crate::text::Fault;

/// Records of the sample at each of the three places in each partition.
const EACH: i64 = 16;
/// Offsets of a partition that are read at once for them, at first.
const REACH: i64 = 64;
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

/// Records that are wanted from one place of a partition.
struct Place<'a> {
    shard: &'a Shard,
    from: i64,
    /// Where the partition ends.
    end: i64,
    /// How many more.
    wanted: i64,
}

impl Place<'_> {
    fn is_wanted(&self) -> bool {
        self.wanted > 0 && self.from < self.end
    }

    /// Where a read ends that goes so far at most.
    fn to(&self, reach: i64) -> i64 {
        self.from.saturating_add(reach).min(self.end)
    }

    fn piece(&self, reach: i64) -> Piece {
        Piece { shard: self.shard.clone(), from: self.from, to: Some(self.to(reach)) }
    }
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
    let samples = tokio::try_join!(
        sample(cx, oldest.collect(), isolation, cancel),
        sample(cx, middle.collect(), isolation, cancel),
        sample(cx, newest.collect(), isolation, cancel),
    )?;
    let (Some(oldest), Some(middle), Some(newest)) = samples else {
        return Ok(Placement::Anywhere("its records lie too far apart for a sample"));
    };
    let keys = [oldest, middle, newest].concat();
    let explains = |partitioner: &Partitioner| {
        let placed = keys.iter().filter_map(|(at, key)| Some((*at, partitioner.partition(key, count)?)));
        placed.clone().all(|(at, place)| at == place).then(|| placed.count())
    };
    let fitting: Vec<(Partitioner, usize)> =
        Partitioner::ALL.into_iter().filter_map(|p| Some((p, explains(&p)?))).collect();
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

/// Keys of records at these places of partitions (from there to the end), with their partitions; `None` where too much
/// would have to be read for them.
async fn sample(
    cx: &Cx,
    places: Vec<(&Shard, i64, i64)>,
    isolation: Isolation,
    cancel: &CancellationToken,
) -> Result<Option<Vec<(i32, Bytes)>>, Fault> {
    let mut places: Vec<Place<'_>> = places
        .into_iter()
        .map(|(shard, from, end)| Place { shard, from, end, wanted: EACH })
        .filter(Place::is_wanted)
        .collect();
    let (mut keys, mut left) = (Vec::new(), MOST_READ);
    // Mostly the records lie together, and a partition that is read far gives more than all others: a little of each,
    // then more of those that have gaps there.
    let mut reach = REACH;
    while !places.is_empty() {
        let pieces: Vec<Piece> = places.iter().map(|place| place.piece(reach)).collect();
        let mut batches = cx.broker.reader().open(plan(pieces.iter(), isolation), cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            if batch.records.len() > left {
                return Ok(None);
            }
            left -= batch.records.len();
            for record in batch.records {
                if let Some(place) = places.iter_mut().find(|p| p.shard.partition == record.at.partition) {
                    place.wanted -= 1;
                }
                keys.extend(record.key.map(|key| (record.at.partition, key)));
            }
        }
        for place in &mut places {
            place.from = place.to(reach);
        }
        places.retain(Place::is_wanted);
        reach = reach.saturating_mul(16);
    }
    Ok(Some(keys))
}

/// Whether old records may lie among new ones. A configuration that cannot be read counts as no: then the log is as
/// its ends show.
async fn is_compacted(cx: &Cx, topic: &TopicInfo) -> bool {
    let configs = cx.broker.catalog().configs(std::slice::from_ref(&topic.name)).await.unwrap_or_default();
    let policy = configs.into_iter().flatten().next().and_then(|c| c.get("cleanup.policy")?.value.clone());
    policy.is_some_and(|policy| policy.contains("compact"))
}
