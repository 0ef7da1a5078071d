//! Where the letters of a topic lie: offsets alone, for work that needs no bytes.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::Index;
use crate::broker::Name;
use crate::context::Sink;
use crate::text::Fault;

/// The letters of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionExtent {
    /// First offset that is still there.
    pub start: i64,
    /// The offset that is read next: nothing is known of what lies there and beyond.
    pub next: i64,
    /// Offsets of the letters, ascending.
    pub offsets: Vec<i64>,
}

/// The letters of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// By partition.
    pub partitions: BTreeMap<i32, PartitionExtent>,
    /// Whether all partitions were read to their last stable offsets.
    pub complete: bool,
}

impl Index {
    /// Where the letters of a topic lie, with what is new read.
    pub async fn extent(
        &self,
        name: &Name,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Extent, Fault> {
        let topic = self.fresh(name, sink, cancel).await?;
        let state = topic.lock();
        let extent = |p: i32| PartitionExtent {
            start: state.bounds.get(&p).map_or(0, |b| b.start),
            next: state.fold.next(p).unwrap_or_default(),
            offsets: state.fold.partition(p).into_iter().flatten().map(|e| e.offset).collect(),
        };
        let partitions = state.partitions.iter().map(|p| (*p, extent(*p))).collect();
        Ok(Extent { partitions, complete: state.complete() })
    }
}
