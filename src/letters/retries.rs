//! The retries of a letter's record: what lies of it in the retry topics of its origin.
//!
//! Retry topics are known by their names, as a run's canary knows them, and by the letter's own headers. They are read from the time of the origin
//! record to that of the letter, and no further than 50,000 records: what was not read is said.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::Target;
use super::lineage::place;
use crate::broker::{Name, ReadPlan, Shard, Span, Until};
use crate::context::Sink;
use crate::dlq::formats;
use crate::dlq::names::is_retry_name;
use crate::dlq::retry::{is_anothers, may_retry};
use crate::dlq::{Letter, Origin};
use crate::event::Record;
use crate::text::{Fault, Timestamp};

/// Records that are looked at.
const MOST_READ: usize = 50_000;
/// Retry topics that are looked into.
const MOST_TOPICS: usize = 16;
/// Retries that are listed.
const MOST: usize = 50;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clocks of producers differ by no more than this, in milliseconds.
const SKEW: i64 = 60_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Retries {
    /// The retries, by time.
    pub found: Vec<Retry>,
    /// Retry topics that were looked into.
    pub topics: Vec<Name>,
    /// Whether all that could hold one was read.
    pub complete: bool,
}

/// One retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Where it is.
    pub position: Target,
    /// When it was written.
    pub timestamp: Option<Timestamp>,
    /// Attempts made before it, where it says so.
    pub attempts: Option<u32>,
}

impl Index {
    /// Looks for the retries of a letter's record.
    pub(super) async fn retries(
        &self,
        letter: &Letter,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Retries, Fault> {
        let Some(root) = place(&letter.root) else { return Ok(Retries::default()) };
        let infos = self.cx().broker.catalog().topics(None).await?;
        let group = letter.root.group.as_deref();
        let others = || infos.iter().map(|t| &*t.name);
        let named = |name: &Name| {
            let headers = &letter.record.headers;
            (may_retry(name, &root.topic, group) && !is_anothers(name, &root.topic, group, others()))
                || headers.iter().any(|(_, value)| value.is_some_and(|v| v.as_ref() == name.as_bytes()))
        };
        let mut shards = Vec::new();
        let mut out = Retries { complete: true, ..Retries::default() };
        for info in infos.iter().filter(|t| is_retry_name(&t.name) && t.name != letter.record.at.topic) {
            if !named(&info.name) {
                continue;
            }
            if out.topics.len() == MOST_TOPICS {
                out.complete = false;
                break;
            }
            out.topics.push(Arc::clone(&info.name));
            shards.extend(info.shards());
        }
        let spans = self.between(&shards, letter).await?;
        if spans.is_empty() {
            return Ok(out);
        }
        let config = &self.cx().profile.dead_letters;
        let clock = &self.cx().clock;
        let until = clock.monotonic() + PATIENCE;
        let mut read = 0;
        let mut batches = self.cx().broker.reader().open(ReadPlan::new(spans), cancel.clone()).await?;
        let mut progress = crate::context::Progress {
            what: "reading retries".into(),
            ..crate::context::Progress::default()
        };
        while let Some(batch) = batches.next().await? {
            read += batch.records.len();
            let retry_of_root = |record: &Record| {
                let reading = formats::read(record, config);
                (place(&Origin::from(&reading.root))? == root).then(|| Retry {
                    position: Target {
                        topic: Arc::clone(&record.at.topic),
                        partition: record.at.partition,
                        offset: record.at.offset,
                    },
                    timestamp: record.timestamp(),
                    attempts: reading.attempts,
                })
            };
            out.found.extend(batch.records.iter().filter_map(retry_of_root));
            progress.done = read as u64;
            sink.progress(progress.clone());
            if read >= MOST_READ || out.found.len() >= MOST || clock.monotonic() >= until {
                out.complete = false;
                break;
            }
        }
        out.found.truncate(MOST);
        out.found.sort_by_key(|retry| (retry.timestamp, retry.position.offset));
        Ok(out)
    }

    /// What these partitions hold from the time of the origin record to that of the letter.
    async fn between(&self, shards: &[Shard], letter: &Letter) -> Result<Vec<Span>, Fault> {
        if shards.is_empty() {
            return Ok(Vec::new());
        }
        let catalog = self.cx().broker.catalog();
        let at = |time: i64| -> Vec<(Shard, Timestamp)> {
            shards.iter().map(|shard| (shard.clone(), Timestamp(time))).collect()
        };
        let begins = letter.root.timestamp.map(|time| at(time.as_millis().saturating_sub(SKEW).max(0)));
        let begins = match begins {
            Some(at) => Some(catalog.offsets_at(&at).await?),
            None => None,
        };
        // A letter that keeps the record's timestamp does not say when it was written.
        let written =
            letter.record.timestamp().filter(|time| letter.root.timestamp.is_none_or(|root| root != *time));
        let ends = match written.map(|time| at(time.as_millis().saturating_add(SKEW))) {
            Some(at) => Some(catalog.offsets_at(&at).await?),
            None => None,
        };
        let bounds = catalog.bounds(shards).await?;
        let mut spans = Vec::new();
        for (i, (shard, bounds)) in shards.iter().zip(bounds).enumerate() {
            let Ok(bounds) = bounds else { continue };
            // No record that is as new: what is asked for is not there.
            let from = match begins.as_ref().and_then(|begins| begins.get(i)) {
                Some(Ok(Some(from))) => (*from).max(bounds.start),
                Some(Ok(None)) => continue,
                Some(Err(_)) | None => bounds.start,
            };
            let end = match ends.as_ref().and_then(|ends| ends.get(i)) {
                Some(Ok(Some(end))) => (*end).min(bounds.last_stable),
                _ => bounds.last_stable,
            };
            if from < end {
                spans.push(Span { shard: shard.clone(), from, until: Until::Offset(end) });
            }
        }
        Ok(spans)
    }
}
