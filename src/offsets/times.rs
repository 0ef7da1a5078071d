//! When the records at offsets were written: a few reads of single records, bounded in number, bytes and time.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::{Isolation, Notice, ReadPlan, Shard, Span, Until};
use crate::context::Cx;
use crate::text::Timestamp;

/// Partitions that are read.
pub(super) const MOST: usize = 256;
/// Offsets looked at for a record; markers and gaps take some.
const AROUND: i64 = 8;
/// How long one round of reading may take.
const LONGEST: Duration = Duration::from_secs(5);

/// The times of the first and the last record of ranges of offsets, `[from, to)`; a partition occurs once. What cannot be
/// read is left out.
pub(super) async fn of(
    cx: &Cx,
    ranges: &HashMap<Shard, (i64, i64)>,
    cancel: &CancellationToken,
) -> HashMap<Shard, (Option<Timestamp>, Option<Timestamp>)> {
    let first = ranges.iter().map(|(shard, (from, to))| (shard.clone(), *from, (*to).min(from + AROUND)));
    let last = ranges.iter().map(|(shard, (from, to))| (shard.clone(), (*from).max(to - AROUND), *to));
    let mut firsts = read(cx, first.collect(), cancel).await;
    let mut lasts = read(cx, last.collect(), cancel).await;
    let both = |shard: &Shard| {
        let first = firsts.remove(shard).and_then(|times| times.first().copied());
        let last = lasts.remove(shard).and_then(|times| times.last().copied());
        (shard.clone(), (first, last))
    };
    ranges.keys().map(both).collect()
}

/// Reads pieces; gives the timestamps of their records in order.
async fn read(
    cx: &Cx,
    pieces: Vec<(Shard, i64, i64)>,
    cancel: &CancellationToken,
) -> HashMap<Shard, Vec<Timestamp>> {
    let mut times: HashMap<Shard, Vec<Timestamp>> = HashMap::new();
    let span = |(shard, from, until)| Span { shard, from, until: Until::Offset(until) };
    let spans: Vec<Span> = pieces.into_iter().map(span).collect();
    if spans.is_empty() {
        return times;
    }
    // What an open transaction holds back counts as well.
    let plan = ReadPlan { isolation: Isolation::ReadUncommitted, budget: 1 << 20, ..ReadPlan::new(spans) };
    let cancel = cancel.child_token();
    let _guard = cancel.clone().drop_guard();
    let reading = async {
        let Ok(mut batches) = cx.broker.reader().open(plan, cancel).await else { return };
        while let Ok(Some(batch)) = batches.next().await {
            for record in &batch.records {
                if let Some(at) = record.timestamp() {
                    let shard = Shard::new(record.at.topic.clone(), record.at.partition);
                    times.entry(shard).or_default().push(at);
                }
            }
            for notice in batch.notices {
                // The read goes on behind the start: what comes from there is another record.
                if let Notice::Trimmed { shard, .. } | Notice::Truncated { shard, .. } = notice {
                    times.remove(&shard);
                }
            }
        }
    };
    // What was not read in time stays unknown.
    let _ = tokio::time::timeout(LONGEST, reading).await;
    times
}
