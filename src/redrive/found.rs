//! A letter as the planner keeps it: few bytes of each, names shared.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::origin::Place;
use super::outgoing::{Recipe, Stamp, counted, key, sent_size, value};
use super::shape::Edited;
use super::twins::Identity;
use crate::broker::Name;
use crate::dlq::Letter;
use crate::event::Digest;
use crate::text::Timestamp;

/// What a plan needs of one letter.
pub(super) struct Found {
    pub partition: i32,
    pub offset: i64,
    pub sha256: Digest,
    pub time: Option<Timestamp>,
    /// Topic of the root.
    pub origin: Option<Name>,
    pub origin_partition: Option<i32>,
    pub origin_offset: Option<i64>,
    pub origin_time: Option<Timestamp>,
    /// The latest hop: what a redrive that failed again names.
    pub latest: Option<(Name, i32, i64)>,
    pub format: Option<Arc<str>>,
    /// The group that failed.
    pub group: Option<Name>,
    pub failure: Arc<str>,
    pub title: Arc<str>,
    pub key: Option<Bytes>,
    pub tombstone: bool,
    pub pointer: bool,
    /// What the header says of redrives before.
    pub count: u32,
    /// Bytes of a batch with the record that will be written, compressed.
    pub size: usize,
    pub edited: Edited,
    /// Where other letters share its root.
    pub identity: Option<Identity>,
}

/// Shares equal names.
#[derive(Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    pub fn share(&mut self, name: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        self.0.insert(Arc::clone(name));
        Arc::clone(name)
    }
}

impl Found {
    pub fn of(letter: &Letter, names: &mut Names, recipe: &mut Recipe<'_>, stamp: Stamp<'_>) -> Self {
        let root = &letter.root;
        let hop = letter.previous.as_ref().unwrap_or(root);
        let latest = match (&hop.topic, hop.partition, hop.offset) {
            (Some(topic), Some(partition), Some(offset)) => Some((names.share(topic), partition, offset)),
            _ => None,
        };
        let write = recipe.write(letter, &letter.record.at.topic, 0, u32::MAX, stamp);
        Self {
            partition: letter.record.at.partition,
            offset: letter.record.at.offset,
            sha256: letter.record.digest(),
            time: letter.record.timestamp(),
            origin: root.topic.as_ref().map(|t| names.share(t)),
            origin_partition: root.partition,
            origin_offset: root.offset,
            origin_time: root.timestamp,
            latest,
            format: letter.format.clone(),
            group: hop.group.as_ref().or(root.group.as_ref()).map(|g| names.share(g)),
            failure: names.share(&letter.failure.id),
            title: names.share(&letter.failure.title()),
            // A slice would keep its whole batch in memory.
            key: key(letter).map(|k| Bytes::copy_from_slice(k)),
            tombstone: value(letter).is_none() && !letter.pointer,
            pointer: letter.pointer,
            count: counted(letter),
            size: sent_size(&write),
            edited: Edited::Same,
            identity: Identity::of(letter),
        }
    }

    /// Where its record was first, if the letter says so whole.
    pub fn place(&self) -> Option<Place> {
        Some((Name::clone(self.origin.as_ref()?), self.origin_partition?, self.origin_offset?))
    }
}
