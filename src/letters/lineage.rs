//! What a letter comes from: its origin record, read again and compared byte by byte, its retries, and the other
//! letters of the same record, before and after.
//!
//! Frameworks write values anew, drop keys and lose headers, so that a letter is not always what failed. Headers that
//! a format wrote when it gave the record up are left out of the comparison. A redrive takes them off, so that a record
//! that fails again names the redriven copy as its origin: the ledger leads on from there.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Index;
use super::document::Target;
use super::fold::Entry;
use super::read;
use super::retries::Retries;
use super::topic::Topic;
use crate::broker::{ErrorKind, Shard};
use crate::context::Sink;
use crate::dlq::formats::strip_rules;
use crate::dlq::{Letter, Origin};
use crate::event::Record;
use crate::ledger::fold::Row;
use crate::ledger::{Disposition, Ledger};
use crate::text::{Fault, Timestamp};

/// Other letters that are listed.
const MOST: usize = 100;
/// Redrives of one record that are followed.
const MOST_HOPS: usize = 16;

/// Where a letter comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lineage {
    /// Its origin record.
    pub origin: OriginRecord,
    /// Its retries.
    pub retries: Retries,
    /// Other letters of the same record, by time, in all dead-letter topics that were read.
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
    /// `earlier` or `later` than the letter; `None` where their times do not tell.
    pub when: Option<&'static str>,
    /// What says that it is of the same record: `origin` (both name one), `redrive` (the ledger leads from one to the
    /// other).
    pub by: &'static str,
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
        let retries = self.retries(letter, sink, cancel).await?;
        Ok(Lineage { origin, retries, same_root: self.siblings(letter).await })
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

    /// Other letters of the same record, as far as dead-letter topics were read.
    async fn siblings(&self, letter: &Letter) -> Vec<Sibling> {
        let topics = self.topics();
        let Some(hash) = topics.first().map(|topic| {
            let topic = Arc::clone(topic);
            move |at: &Target| topic.lock().fold.place_hash(&at.topic, at.partition, at.offset)
        }) else {
            return Vec::new();
        };
        let follower = self.ledger().await;
        let ledger = follower.ledger();
        let ids: Vec<_> = topics.iter().map(|topic| topic.lock().id.clone()).collect();
        let target = |of: usize, partition: i32, offset: i64| {
            let row = ledger?.get(&ids.get(of)?.as_ref()?.0, partition, offset)?;
            let at = row.target?;
            Some(Target { topic: Arc::clone(at.topic), partition: at.partition, offset: at.offset })
        };
        let own = &letter.record.at;
        let own_topic = topics.iter().position(|topic| topic.name == own.topic);
        let named: Vec<Target> =
            [Some(&letter.root), letter.previous.as_ref()].into_iter().flatten().filter_map(place).collect();
        // Places of the record that were found, and were not followed yet.
        let mut places = named.clone();
        places.extend(own_topic.and_then(|of| target(of, own.partition, own.offset)));
        let mut hashes: Vec<u64> = Vec::new();
        let by_name: Vec<u64> = named.iter().map(&hash).collect();
        let mut found: Vec<(usize, i32, Entry)> = Vec::new();
        for _ in 0..MOST_HOPS {
            let before = (hashes.len(), found.len());
            hashes.extend(std::mem::take(&mut places).iter().map(&hash));
            // Back: letters whose redrive wrote the record to such a place.
            let wrote = |row: &Row<'_>| {
                row.target.is_some_and(|at| {
                    let at =
                        Target { topic: Arc::clone(at.topic), partition: at.partition, offset: at.offset };
                    hashes.contains(&hash(&at))
                })
            };
            let back: Vec<_> = ledger.into_iter().flat_map(Ledger::rows).filter(wrote).collect();
            for row in back {
                let of = ids.iter().position(|id| id.as_ref().is_some_and(|id| *id.0 == **row.topic_id));
                let Some(of) = of else { continue };
                if let Some(entry) = topics[of].lock().fold.entry(row.partition, row.offset) {
                    let same =
                        |e: &(usize, i32, Entry)| (e.0, e.1, e.2.offset) == (of, row.partition, row.offset);
                    if !found.iter().any(same) {
                        found.push((of, row.partition, *entry));
                    }
                    hashes.extend([entry.root, entry.latest].into_iter().filter(|hash| *hash != 0));
                }
            }
            hashes.sort_unstable();
            hashes.dedup();
            // On: what names such a place, and where that went.
            for (of, topic) in topics.iter().enumerate() {
                for (partition, entry) in of_places(topic, &hashes) {
                    let is_new =
                        |e: &(usize, i32, Entry)| (e.0, e.1, e.2.offset) != (of, partition, entry.offset);
                    if found.len() < MOST && found.iter().all(is_new) {
                        found.push((of, partition, entry));
                        places.extend(target(of, partition, entry.offset));
                    }
                }
            }
            if places.is_empty() && (hashes.len(), found.len()) == before {
                break;
            }
        }
        let time = letter.record.timestamp();
        let mut out: Vec<Sibling> = found
            .into_iter()
            .filter(|(of, partition, entry)| {
                Some(*of) != own_topic || (*partition, entry.offset) != (own.partition, own.offset)
            })
            .map(|(of, partition, entry)| {
                let same_log = Some(of) == own_topic && partition == own.partition;
                let order = if same_log {
                    Some(entry.offset.cmp(&own.offset))
                } else {
                    entry.time().zip(time).map(|(there, here)| there.cmp(&here))
                };
                Sibling {
                    position: Target { topic: Arc::clone(&topics[of].name), partition, offset: entry.offset },
                    timestamp: entry.time(),
                    state: entry.state.map(Disposition::as_str),
                    when: order.and_then(|order| match order {
                        Ordering::Less => Some("earlier"),
                        Ordering::Greater => Some("later"),
                        Ordering::Equal => None,
                    }),
                    by: if by_name.contains(&entry.root) || by_name.contains(&entry.latest) {
                        "origin"
                    } else {
                        "redrive"
                    },
                }
            })
            .collect();
        out.sort_by_key(|sibling| sibling.timestamp);
        out
    }
}

/// Letters of a topic that name one of these places (sorted) as an origin.
fn of_places(topic: &Topic, hashes: &[u64]) -> Vec<(i32, Entry)> {
    let state = topic.lock();
    let names = |entry: &Entry| {
        hashes.binary_search(&entry.root).is_ok() || hashes.binary_search(&entry.latest).is_ok()
    };
    let same = state.fold.entries().filter(|(_, entry)| names(entry));
    same.take(MOST).map(|(partition, entry)| (partition, *entry)).collect()
}

pub(super) fn place(origin: &Origin) -> Option<Target> {
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
