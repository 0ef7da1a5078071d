//! The records that letters come from: read again where retention still has them, compared with, or taken instead.
//!
//! Frameworks write values anew, damage or drop keys, and some letters only point to their record; the true bytes
//! are the origin's. Limits: an origin whose timestamp is not the one that the letter names is another record (its
//! topic was made again), and counts as gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use super::options::{Options, Which};
use crate::broker::{ErrorKind, Name, Shard};
use crate::context::{Cx, Sink};
use crate::dlq::Letter;
use crate::event::Record;
use crate::letters::read;
use crate::text::Fault;

/// A place of a record.
pub(super) type Place = (Name, i32, i64);

/// What is taken of an origin record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Key, value and headers.
    All,
    /// The key that the letter has lost.
    Key,
}

/// What a letter needs of its origin.
pub(super) fn takes(options: &Options, pointer: bool, has_key: bool) -> Option<Take> {
    match () {
        () if pointer || options.bytes == Which::Origin => Some(Take::All),
        () if options.fill_keys && !has_key => Some(Take::Key),
        () => None,
    }
}

/// Where the letter's record was first, if the letter says so whole.
pub(super) fn place(letter: &Letter) -> Option<Place> {
    letter.root.position().map(|at| (at.topic, at.partition, at.offset))
}

/// Puts the origin's bytes in the place of the letter's. `false` if it is not the record that the letter names.
pub(super) fn apply(letter: &mut Letter, origin: &Record, take: Take) -> bool {
    if !letter.root.may_be(origin) {
        return false;
    }
    letter.original_key = Some(origin.key.clone());
    if take == Take::All {
        letter.original_value = Some(origin.value.clone());
        letter.record.headers = origin.headers.clone();
        letter.pointer = false;
        letter.root.timestamp = letter.root.timestamp.or(origin.timestamp());
    }
    true
}

/// Reads records by their places; those that are gone, or never were, are left out.
pub(super) async fn fetch(
    cx: &Cx,
    wanted: impl IntoIterator<Item = Place>,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<HashMap<Place, Record>, Fault> {
    let mut by_topic: BTreeMap<Name, BTreeSet<(i32, i64)>> = BTreeMap::new();
    for (topic, partition, offset) in wanted {
        by_topic.entry(topic).or_default().insert((partition, offset));
    }
    let mut out = HashMap::new();
    if by_topic.is_empty() {
        return Ok(out);
    }
    let names: Vec<Name> = by_topic.keys().cloned().collect();
    for info in cx.broker.catalog().topics(Some(&names)).await? {
        match &info.error {
            Some(error) if error.kind == ErrorKind::UnknownTopic => continue,
            Some(error) => return Err(error.clone().into()),
            None => {}
        }
        let shards: Vec<Shard> = info.shards().collect();
        let mut there: HashMap<i32, (i64, i64)> = HashMap::new();
        for (shard, bounds) in shards.iter().zip(cx.broker.catalog().bounds(&shards).await?) {
            let bounds = bounds?;
            there.insert(shard.partition, (bounds.start, bounds.last_stable));
        }
        // A read behind the end would wait for ever, and one before the start is of no use.
        let is_there = |at: &&(i32, i64)| there.get(&at.0).is_some_and(|b| (b.0..b.1).contains(&at.1));
        let positions: Vec<(i32, i64)> =
            by_topic.get(&info.name).into_iter().flatten().filter(is_there).copied().collect();
        read::at(cx, &info.name, &positions, sink, cancel, &mut |record| {
            let at = &record.at;
            out.insert((Name::clone(&at.topic), at.partition, at.offset), record);
            ControlFlow::Continue(())
        })
        .await?;
    }
    Ok(out)
}
