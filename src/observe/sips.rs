//! Sips: a few records read now and then, for latency, record sizes, and the age of what a group has not read.
//!
//! Bounded in partitions, records, bytes and time; a read that does not come to its end brings what it has.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::log::Trace;
use crate::broker::{BrokerError, Notice, ReadPlan, Shard, Span, Until};
use crate::context::Cx;

/// Partitions of one read.
pub(super) const MOST_PARTITIONS: usize = 64;
/// Offsets looked at for the first record that a group has not consumed; markers and gaps take some.
pub(super) const AHEAD: i64 = 16;
/// Bytes of one read.
const MOST_BYTES: usize = 8 << 20;
const BUDGET: usize = 1 << 20;
/// How long one read may take.
const LONGEST: Duration = Duration::from_secs(3);

/// Why a piece is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// What is new in the topic.
    Tail,
    /// What a group that committed this offset reads next.
    Next,
}

/// A piece to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub shard: Shard,
    pub from: i64,
    pub until: i64,
    pub why: Why,
}

/// What a read brought of one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sip {
    pub wish: Wish,
    pub traces: Vec<Trace>,
    /// The next offset to be read, past markers and gaps.
    pub position: i64,
}

/// Reads the pieces; a partition occurs once.
pub(super) async fn read(cx: &Cx, wishes: Vec<Wish>) -> Result<Vec<Sip>, BrokerError> {
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let cancel = CancellationToken::new();
    // Ends the read whenever this future is dropped.
    let _guard = cancel.clone().drop_guard();
    let span = |w: &Wish| Span { shard: w.shard.clone(), from: w.from, until: Until::Offset(w.until) };
    let mut plan = ReadPlan::new(wishes.iter().map(span).collect());
    plan.budget = BUDGET;
    let mut sips: HashMap<Shard, Sip> = wishes
        .into_iter()
        .map(|w| (w.shard.clone(), Sip { position: w.from, wish: w, traces: Vec::new() }))
        .collect();
    let mut failed = None;
    let reading = async {
        let mut bytes = 0;
        let mut batches = cx.broker.reader().open(plan, cancel).await?;
        while bytes < MOST_BYTES
            && let Some(batch) = batches.next().await?
        {
            for record in &batch.records {
                bytes += record.size();
                let shard = Shard::new(record.at.topic.clone(), record.at.partition);
                if let Some(sip) = sips.get_mut(&shard) {
                    sip.traces.push(Trace::of(record));
                    sip.position = sip.position.max(record.at.offset + 1);
                }
            }
            for (shard, position) in batch.positions {
                if let Some(sip) = sips.get_mut(&shard) {
                    sip.position = sip.position.max(position);
                }
            }
            for notice in batch.notices {
                // Without the right to read a topic its records stay unknown; it is not asked again soon.
                if let Notice::Failed(shard, _) | Notice::Truncated { shard, .. } = notice {
                    sips.remove(&shard);
                }
            }
        }
        Ok(())
    };
    if let Ok(Err(e)) = tokio::time::timeout(LONGEST, reading).await {
        failed = Some(e);
    }
    match failed {
        Some(e) => Err(e),
        None => Ok(sips.into_values().collect()),
    }
}
