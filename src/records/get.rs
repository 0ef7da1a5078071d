//! `get`: the record at one position, or why there is none.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::document::{GetAnswer, GetRequest};
use super::range;
use crate::broker::{Isolation, Notice, ReadPlan, Shard, Span, Until};
use crate::context::Cx;
use crate::event::{Position, Record};
use crate::text::Fault;

/// Reads one record. A later record is never taken for it.
pub async fn get(cx: &Cx, request: &GetRequest, cancel: &CancellationToken) -> Result<GetAnswer, Fault> {
    let at = &request.at;
    let topics = range::topics(cx, std::slice::from_ref(&at.topic)).await?;
    let shards = range::shards(&topics, &[at.partition])?;
    let bounds = cx.broker.catalog().bounds(&shards).await?.into_iter().next();
    let Some(bounds) = bounds.transpose()? else {
        return Err(Fault::failed(
            "internal",
            format!("no bounds of {}[{}] were told", at.topic, at.partition),
        ));
    };
    if at.offset < bounds.start {
        let text =
            format!("the log begins at {}: retention or a deletion took what was before", bounds.start);
        return Ok(GetAnswer::Nothing { why: "expired", text });
    }
    if at.offset >= bounds.end {
        return Ok(GetAnswer::Nothing { why: "beyond_end", text: format!("the log ends at {}", bounds.end) });
    }
    if at.offset >= bounds.last_stable {
        let text = format!("a transaction that began at or after {} is still open", bounds.last_stable);
        return Ok(GetAnswer::Nothing { why: "uncommitted", text });
    }
    if let Some(record) = read(cx, at, Isolation::ReadCommitted, cancel).await? {
        return Ok(GetAnswer::Found(Arc::new(record)));
    }
    if read(cx, at, Isolation::ReadUncommitted, cancel).await?.is_some() {
        let text = "its transaction was aborted: readers of committed records never see it".to_owned();
        return Ok(GetAnswer::Nothing { why: "aborted", text });
    }
    Ok(gap(cx, at).await)
}

/// The record at exactly this position.
async fn read(
    cx: &Cx,
    at: &Position,
    isolation: Isolation,
    cancel: &CancellationToken,
) -> Result<Option<Record>, Fault> {
    let shard = Shard::new(at.topic.clone(), at.partition);
    let span = Span { shard, from: at.offset, until: Until::Offset(at.offset.saturating_add(1)) };
    let plan = ReadPlan { isolation, ..ReadPlan::new(vec![span]) };
    let mut batches = cx.broker.reader().open(plan, cancel.clone()).await?;
    while let Some(batch) = batches.next().await? {
        if let Some(record) = batch.records.into_iter().find(|record| record.at.offset == at.offset) {
            return Ok(Some(record));
        }
        for notice in batch.notices {
            if let Notice::Failed(_, error) = notice {
                return Err(error.into());
            }
        }
    }
    Ok(None)
}

/// An offset without a record. Brokers do not tell markers from what compaction removed; a topic that is not
/// compacted has only markers.
async fn gap(cx: &Cx, at: &Position) -> GetAnswer {
    let configs = cx.broker.catalog().configs(std::slice::from_ref(&at.topic)).await.unwrap_or_default();
    let policy =
        configs.into_iter().flatten().next().and_then(|config| config.get("cleanup.policy")?.value.clone());
    match policy {
        Some(policy) if policy.contains("compact") => GetAnswer::Nothing {
            why: "compacted",
            text: "the topic is compacted: a later record of the same key replaced it (or it was the marker of a transaction: the broker does not tell the two apart)"
                .to_owned(),
        },
        Some(_) => GetAnswer::Nothing {
            why: "transaction_marker",
            text: "the end of a transaction is marked there; it is no record".to_owned(),
        },
        None => GetAnswer::Nothing {
            why: "transaction_marker",
            text: "there is no record, most likely the marker of a transaction (the topic's configuration cannot be read, so it may have been compacted away)"
                .to_owned(),
        },
    }
}
