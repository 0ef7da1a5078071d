//! What a letter comes from: its origin record, read again and compared byte by byte, and the other letters of the
//! same record.
//!
//! Frameworks write values anew, drop keys and lose headers, so that a letter is not always what failed. Headers that
//! a format wrote when it gave the record up are left out of the comparison.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::Target;
use super::read;
use crate::broker::{ErrorKind, Shard};
use crate::context::Sink;
use crate::dlq::formats::strip_rules;
use crate::dlq::{Letter, Origin};
use crate::event::Record;
use crate::text::{Fault, Timestamp};

/// Other letters that are listed.
const MOST: usize = 100;

/// Where a letter comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lineage {
    /// Its origin record.
    pub origin: OriginRecord,
    /// Other letters of the same origin, by time, in all dead-letter topics that were read.
    pub same_root: Vec<Sibling>,
}

/// A letter's origin record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OriginRecord {
    /// `found`, `gone` (retention, compaction or a deletion took it), `another` (what lies there now is another
    /// record), `unknown` (the letter does not say where it was), `unreadable`.
    pub state: &'static str,
    /// Why it was not found.
    pub why: Option<String>,
    /// Where it was first.
    pub position: Option<Target>,
    /// Its timestamp.
    pub timestamp: Option<Timestamp>,
    /// Whether the letter has its key; `None` where it was not found.
    pub same_key: Option<bool>,
    /// Whether the letter has its value.
    pub same_value: Option<bool>,
    /// Whether the letter has its headers, beside those of the failure.
    pub same_headers: Option<bool>,
    /// Names of headers that the letter has lost or changed.
    pub headers_lost: Vec<String>,
    /// Names of headers that the origin does not have, or not so.
    pub headers_added: Vec<String>,
}

/// Another letter of the same record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sibling {
    /// Where it is.
    pub position: Target,
    /// Its timestamp.
    pub timestamp: Option<Timestamp>,
    /// Its state, as the ledger has it.
    pub state: Option<&'static str>,
}

impl Index {
    /// Finds out where a letter comes from.
    pub async fn lineage(
        &self,
        letter: &Letter,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Lineage, Fault> {
        let origin = self.origin(letter, sink, cancel).await?;
        Ok(Lineage { origin, same_root: self.siblings(letter) })
    }

    async fn origin(
        &self,
        letter: &Letter,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<OriginRecord, Fault> {
        let Some(at) = place(&letter.root) else {
            let why = letter
                .unknown
                .iter()
                .find(|(field, _)| field.starts_with("root."))
                .map(|(_, why)| why.clone());
            let why = why.or_else(|| letter.notes.first().cloned());
            return Ok(OriginRecord { state: "unknown", why, ..OriginRecord::default() });
        };
        let missing = |state, why: String| OriginRecord {
            state,
            why: Some(why),
            position: Some(at.clone()),
            ..OriginRecord::default()
        };
        let catalog = self.cx().broker.catalog();
        let topics = catalog.topics(Some(std::slice::from_ref(&at.topic))).await?;
        let Some(topic) = topics.into_iter().next() else {
            return Ok(missing("gone", "the topic is not there any more".to_owned()));
        };
        match &topic.error {
            Some(error) if error.kind == ErrorKind::UnknownTopic => {
                return Ok(missing("gone", "the topic is not there any more".to_owned()));
            }
            Some(error) => return Ok(missing("unreadable", error.to_string())),
            None => {}
        }
        if !topic.partitions.iter().any(|p| p.partition == at.partition) {
            return Ok(missing("gone", format!("the topic has no partition {}", at.partition)));
        }
        let shard = Shard::new(Arc::clone(&at.topic), at.partition);
        let bounds = match catalog.bounds(std::slice::from_ref(&shard)).await?.pop() {
            Some(Ok(bounds)) => bounds,
            Some(Err(error)) => return Ok(missing("unreadable", error.to_string())),
            None => return Ok(missing("unreadable", "the broker told no bounds".to_owned())),
        };
        if at.offset < bounds.start {
            let why =
                format!("the log begins at {}: retention or a deletion took what was before", bounds.start);
            return Ok(missing("gone", why));
        }
        // A read behind the end would wait for ever.
        if at.offset >= bounds.last_stable {
            let why = format!("the log ends at {}: the topic was made again", bounds.last_stable);
            return Ok(missing("another", why));
        }
        let mut found = None;
        read::at(self.cx(), &at.topic, &[(at.partition, at.offset)], sink, cancel, &mut |record| {
            found = Some(record);
            ControlFlow::Break(())
        })
        .await?;
        let Some(record) = found else {
            return Ok(missing("gone", "compaction took it, or its transaction was aborted".to_owned()));
        };
        if !letter.root.may_be(&record) {
            let why =
                "its timestamp is not the one that the letter names: the topic was made again".to_owned();
            return Ok(OriginRecord { timestamp: record.timestamp(), ..missing("another", why) });
        }
        let strips = |name: &[u8]| {
            let config = &self.cx().profile.dead_letters;
            let formats = letter.format.iter().chain(&letter.others);
            formats.map(|f| strip_rules(Some(f), config)).any(|rules| rules.strips(name))
        };
        Ok(OriginRecord { position: Some(at), ..compare(letter, &record, &strips) })
    }

    /// Other letters of the same root, as far as dead-letter topics were read.
    fn siblings(&self, letter: &Letter) -> Vec<Sibling> {
        let Some(root) = place(&letter.root) else { return Vec::new() };
        let own = &letter.record.at;
        let mut out = Vec::new();
        for topic in self.topics() {
            let state = topic.lock();
            let hash = state.fold.place_hash(&root.topic, root.partition, root.offset);
            let same = state.fold.entries().filter(|(_, entry)| entry.root == hash);
            out.extend(same.take(MOST).map(|(partition, entry)| Sibling {
                position: Target { topic: Arc::clone(&topic.name), partition, offset: entry.offset },
                timestamp: entry.time(),
                state: entry.state.map(crate::ledger::Disposition::as_str),
            }));
        }
        let is_own = |s: &Sibling| {
            (&*s.position.topic, s.position.partition, s.position.offset)
                == (&*own.topic, own.partition, own.offset)
        };
        out.retain(|sibling| !is_own(sibling));
        out.sort_by_key(|sibling| sibling.timestamp);
        out.truncate(MOST);
        out
    }
}

fn place(origin: &Origin) -> Option<Target> {
    origin.position().map(|at| Target { topic: at.topic, partition: at.partition, offset: at.offset })
}

/// Compares a letter with its origin record; headers that `strips` takes off are the failure's.
fn compare(letter: &Letter, origin: &Record, strips: &dyn Fn(&[u8]) -> bool) -> OriginRecord {
    let key = letter.original_key.as_ref().unwrap_or(&letter.record.key);
    let value = letter.original_value.as_ref().unwrap_or(&letter.record.value);
    let own = |record: &Record| -> Vec<(Bytes, Option<Bytes>)> {
        record.headers.iter().filter(|(n, _)| !strips(n)).map(|(n, v)| (n.clone(), v.cloned())).collect()
    };
    let (here, there) = (own(&letter.record), own(origin));
    let without = |these: &[(Bytes, Option<Bytes>)], those: &[(Bytes, Option<Bytes>)]| -> Vec<String> {
        let names = these.iter().filter(|header| !those.contains(header));
        names.map(|(name, _)| crate::text::Safe::preview(name, 128).as_str().to_owned()).take(MOST).collect()
    };
    OriginRecord {
        state: "found",
        timestamp: origin.timestamp(),
        same_key: Some(!letter.pointer && *key == origin.key),
        same_value: Some(!letter.pointer && *value == origin.value),
        same_headers: Some(here == there),
        headers_lost: without(&there, &here),
        headers_added: without(&here, &there),
        ..OriginRecord::default()
    }
}
