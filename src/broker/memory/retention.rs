//! What the broker deletes by itself: by age, by size, by key, and by the budget of all.
//!
//! Kafka deletes whole segments and compacts in the background; here single records go, once a second of the
//! clock at most, when somebody looks. Compaction leaves alone what Kafka leaves alone: the segment that is
//! written to, records younger than `min.compaction.lag.ms`, and what lies behind the last stable offset. A
//! tombstone goes `delete.retention.ms` after its own time (Kafka counts from the first cleaning, KIP-534).

use std::collections::HashMap;

use bytes::Bytes;

use super::log::{Body, Entry, Partition};
use super::settings::Settings;
use super::state::{Now, State};
use crate::broker::{BrokerError, ErrorKind, Name};
use crate::text::Timestamp;

/// Time between two looks at all partitions.
const INTERVAL_MS: i64 = 1_000;

/// When the budget is used up, this part of it is freed at once, so that not every record looks for room.
const FREE_PART: usize = 32;

/// Records that go from one partition before the next oldest is looked for.
const EVICTED_AT_ONCE: usize = 64;

impl State {
    /// Does what is due; whether anything visible changed.
    pub fn look_after(&mut self, now: Now) -> bool {
        let expired = self.expire_transactions(now);
        if self.last_look.is_some_and(|last| (0..INTERVAL_MS).contains(&now.wall.since(last))) {
            return expired;
        }
        self.last_look = Some(now.wall);
        let mut freed = 0;
        for topic in self.topics.values_mut() {
            for partition in &mut topic.partitions {
                freed += delete_old(partition, &topic.settings, now.wall);
                freed += compact(partition, &topic.settings, now.wall, topic.settings.dirty_ratio);
            }
        }
        self.bytes -= freed;
        expired || freed > 0
    }

    /// Compacts a topic now, whatever its dirty ratio is.
    pub fn compact_now(&mut self, name: &Name, now: Timestamp) {
        if let Some(topic) = self.topics.get_mut(name) {
            for partition in &mut topic.partitions {
                self.bytes -= compact(partition, &topic.settings, now, 0.0);
            }
        }
    }

    /// Finds room for `size` more bytes.
    ///
    /// The oldest records of the largest topic that may delete records go first. Where there is none (all that
    /// is left must be kept), the write is refused.
    pub fn make_room(&mut self, size: usize) -> Result<(), BrokerError> {
        if self.bytes.saturating_add(size) <= self.budget {
            return Ok(());
        }
        let goal = self.budget.saturating_sub(size).min(self.budget - self.budget / FREE_PART);
        while size <= self.budget && self.bytes > goal {
            let freed = self.evict();
            if freed == 0 {
                break;
            }
            self.bytes -= freed;
        }
        if self.bytes.saturating_add(size) <= self.budget {
            return Ok(());
        }
        let why = format!("the embedded broker's memory of {} bytes is used up", self.budget);
        Err(BrokerError::new(ErrorKind::Full, "produce", why).hint("delete topics or records"))
    }

    fn evict(&mut self) -> usize {
        let deletable =
            |p: &Partition| p.entries.front().filter(|e| e.offset < p.last_stable()).map(|e| e.time);
        let largest = self
            .topics
            .values_mut()
            .filter(|t| t.settings.delete && t.partitions.iter().any(|p| deletable(p).is_some()))
            .max_by_key(|t| t.bytes());
        let oldest = largest.and_then(|t| {
            t.partitions
                .iter_mut()
                .filter_map(|p| deletable(p).map(|time| (time, p)))
                .min_by_key(|(time, _)| *time)
        });
        let Some((_, partition)) = oldest else { return 0 };
        let after = partition.entries.get(EVICTED_AT_ONCE).map_or(partition.next, |e| e.offset);
        let until = after.min(partition.last_stable());
        partition.trim(until)
    }
}

fn delete_old(partition: &mut Partition, settings: &Settings, now: Timestamp) -> usize {
    if !settings.delete {
        return 0;
    }
    let stable = partition.last_stable();
    let most = usize::try_from(settings.retention_bytes).unwrap_or(usize::MAX);
    let mut until = partition.start;
    let mut left = partition.bytes;
    for entry in partition.entries.iter().take_while(|e| e.offset < stable) {
        let old = settings.retention_ms >= 0 && now.since(entry.time) > settings.retention_ms;
        if !old && left <= most {
            break;
        }
        left -= entry.cost();
        until = entry.offset + 1;
    }
    if until > partition.start { partition.trim(until) } else { 0 }
}

fn compact(partition: &mut Partition, settings: &Settings, now: Timestamp, ratio: f64) -> usize {
    if !settings.compact {
        return 0;
    }
    let mut limit = partition.active.min(partition.last_stable());
    if settings.min_compaction_lag_ms > 0 {
        let young = |e: &&Entry| now.since(e.time) < settings.min_compaction_lag_ms;
        limit = partition.entries.iter().find(young).map_or(limit, |e| limit.min(e.offset));
    }
    let clean = partition.index(partition.cleaned);
    let total = partition.index(limit);
    if total <= clean || ((total - clean) as f64) < ratio * total as f64 {
        return 0;
    }
    let mut last: HashMap<Bytes, i64> = HashMap::new();
    for entry in partition.entries.range(..total) {
        if let Body::Data { data, aborted: false, .. } = &entry.body
            && let Some(key) = &data.key
        {
            last.insert(key.clone(), entry.offset);
        }
    }
    let freed = partition.retain(|entry| {
        let lasting = now.since(entry.time) <= settings.delete_retention_ms;
        entry.offset >= limit
            || match &entry.body {
                Body::Marker => lasting,
                Body::Data { aborted: true, .. } => false,
                Body::Data { data, .. } => {
                    let latest = data.key.as_ref().is_some_and(|k| last.get(k) == Some(&entry.offset));
                    latest && (data.value.is_some() || lasting)
                }
            }
    });
    partition.cleaned = limit;
    freed
}
