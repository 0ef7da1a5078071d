//! How much a read would cost: offsets by the ends of partitions, bytes by a sample of their newest records.

use tokio_util::sync::CancellationToken;

use super::document::{EstimateAnswer, TailRequest};
use super::range::{self, Piece};
use super::tail::survey;
use crate::context::Cx;
use crate::text::Fault;

/// Offsets at the end of a range that are read for the size of its records.
const SAMPLE: i64 = 50;
/// Partitions that are looked into.
const PARTITIONS: usize = 4;

/// Tells how much a read would cost.
pub async fn estimate(
    cx: &Cx,
    request: &TailRequest,
    cancel: &CancellationToken,
) -> Result<EstimateAnswer, Fault> {
    let survey = survey(cx, request, cancel).await?;
    let mut pieces: Vec<Piece> = survey
        .ranges()
        .filter_map(|(shard, from, to)| Some(Piece { shard: shard.clone(), from, to: Some(to?) }))
        .filter(|piece| piece.to > Some(piece.from))
        .collect();
    let length = |piece: &Piece| (piece.to.unwrap_or(piece.from) - piece.from).unsigned_abs();
    let offsets = pieces.iter().map(length).sum();
    let mut answer = EstimateAnswer {
        offsets,
        partitions: pieces.len() as u64,
        bytes: None,
        sampled: 0,
        isolation: range::isolation(&request.selection).as_str(),
        notes: survey.notes().map(str::to_owned).collect(),
    };
    answer.notes.extend(
        survey.failed().map(|(shard, error)| {
            format!("{}[{}] cannot be read: {}", shard.topic, shard.partition, error.why)
        }),
    );
    pieces.sort_by_key(|piece| std::cmp::Reverse(length(piece)));
    pieces.truncate(PARTITIONS);
    for piece in &mut pieces {
        piece.from = piece.from.max(piece.to.unwrap_or(piece.from) - SAMPLE);
    }
    if !pieces.is_empty() {
        let plan = range::plan(pieces.iter(), range::isolation(&request.selection));
        let mut batches = cx.broker.reader().open(plan, cancel.clone()).await?;
        let mut bytes = 0;
        while let Some(batch) = batches.next().await? {
            answer.sampled += batch.records.len() as u64;
            bytes += batch.records.iter().map(|record| record.payload() as u64).sum::<u64>();
        }
        let sampled = u128::from(answer.sampled);
        let all = (u128::from(bytes) * u128::from(offsets)).checked_div(sampled);
        answer.bytes = all.and_then(|bytes| u64::try_from(bytes).ok());
    }
    Ok(answer)
}
