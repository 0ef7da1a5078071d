//! Reads chosen letters again, at their positions.
//!
//! Positions that lie close together are read as one range, so that ten letters cost few reads and a million
//! cost one pass. A partition occurs once in a read plan, so ranges go in rounds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use crate::broker::{Name, Notice, ReadPlan, Shard, Span, Until};
use crate::context::{Cx, Progress, Sink};
use crate::event::Record;
use crate::text::Fault;

/// Letters with fewer offsets than this between them are read in one range.
const GAP: i64 = 500;
/// Rounds at most: with more gaps, the smallest ones are read over.
const MOST_ROUNDS: usize = 24;

/// Reads the records at `positions` (partition and offset, sorted) and hands each to `take`, in the order of
/// its partition. Positions that retention has emptied meanwhile are left out.
pub(crate) async fn at(
    cx: &Cx,
    topic: &Name,
    positions: &[(i32, i64)],
    sink: &dyn Sink,
    cancel: &CancellationToken,
    take: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
) -> Result<(), Fault> {
    let mut partitions: BTreeMap<i32, &[(i32, i64)]> = BTreeMap::new();
    for run in positions.chunk_by(|a, b| a.0 == b.0) {
        partitions.insert(run[0].0, run);
    }
    let ranges: BTreeMap<i32, Vec<(i64, i64)>> =
        partitions.iter().map(|(p, run)| (*p, ranges(run))).collect();
    let rounds = ranges.values().map(Vec::len).max().unwrap_or(0);
    let mut progress = Progress {
        what: format!("reading {topic}"),
        total: Some(positions.len() as u64),
        ..Progress::default()
    };
    for round in 0..rounds {
        let span = |(partition, ranges): (&i32, &Vec<(i64, i64)>)| {
            let (from, last) = *ranges.get(round)?;
            let shard = Shard::new(Name::clone(topic), *partition);
            Some(Span { shard, from, until: Until::Offset(last.saturating_add(1)) })
        };
        let plan = ReadPlan::new(ranges.iter().filter_map(span).collect());
        let mut batches = cx.broker.reader().open(plan, cancel.clone()).await?;
        while let Some(batch) = batches.next().await? {
            for record in batch.records {
                let place = (record.at.partition, record.at.offset);
                let wanted = partitions.get(&place.0).is_some_and(|run| run.binary_search(&place).is_ok());
                if !wanted {
                    continue;
                }
                progress.done += 1;
                progress.bytes += record.size() as u64;
                if take(record).is_break() {
                    return Ok(());
                }
            }
            for notice in batch.notices {
                if let Notice::Failed(_, error) = notice {
                    return Err(error.into());
                }
            }
            sink.progress(progress.clone());
        }
    }
    Ok(())
}

/// The ranges (first and last offset) in which the positions of one partition are read.
fn ranges(positions: &[(i32, i64)]) -> Vec<(i64, i64)> {
    let mut gaps: Vec<(i64, usize)> = positions
        .windows(2)
        .enumerate()
        .map(|(i, pair)| (pair[1].1 - pair[0].1, i + 1))
        .filter(|(gap, _)| *gap > GAP)
        .collect();
    if gaps.len() >= MOST_ROUNDS {
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        gaps.truncate(MOST_ROUNDS - 1);
    }
    let mut splits: Vec<usize> = gaps.into_iter().map(|(_, at)| at).collect();
    splits.sort_unstable();
    splits.push(positions.len());
    let mut begin = 0;
    let mut out = Vec::with_capacity(splits.len());
    for end in splits {
        if let (Some(first), Some(last)) =
            (positions.get(begin), end.checked_sub(1).and_then(|e| positions.get(e)))
        {
            out.push((first.1, last.1));
        }
        begin = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_letters_are_read_in_one_range_and_far_ones_in_several() {
        let at = |offsets: &[i64]| offsets.iter().map(|o| (0, *o)).collect::<Vec<_>>();
        assert_eq!(ranges(&at(&[5, 6, 400])), [(5, 400)]);
        assert_eq!(ranges(&at(&[5, 6, 5000, 5001, 90_000])), [(5, 6), (5000, 5001), (90_000, 90_000)]);
        assert_eq!(ranges(&[]), []);
    }

    #[test]
    fn very_many_ranges_become_few() {
        let far: Vec<_> = (0..1000).map(|i| (0, i * 1000)).collect();
        let ranges = ranges(&far);
        assert_eq!(ranges.len(), MOST_ROUNDS);
        assert_eq!((ranges[0].0, ranges[MOST_ROUNDS - 1].1), (0, 999_000));
    }
}
