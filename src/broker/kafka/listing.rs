//! Which partitions there are, so that none is asked for that does not exist: librdkafka would wait for its leader.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::catalog::exists;
use super::request::TopicSheet;
use crate::broker::{BrokerError, Name, Shard, TopicInfo};

/// How long a list of all topics tells which partitions there are.
const LISTED_FOR: Duration = Duration::from_secs(1);

/// The partitions of each topic in the last list of all that have a leader, and when it came.
#[derive(Default)]
pub(super) struct Listing(Mutex<Option<(Duration, Arc<Led>)>>);

/// Partitions that have a leader, by topic.
pub(super) type Led = HashMap<Name, BTreeSet<i32>>;

impl Listing {
    pub(super) fn recent(&self, now: Duration) -> Option<Arc<Led>> {
        let listing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, led) = listing.as_ref().filter(|(at, _)| now.saturating_sub(*at) < LISTED_FOR)?;
        Some(Arc::clone(led))
    }

    /// Keeps a list of all topics.
    pub(super) fn keep(&self, topics: &[TopicInfo], now: Duration) {
        let led = |topic: &TopicInfo| {
            topic.partitions.iter().filter(|p| p.leader.is_some()).map(|p| p.partition).collect()
        };
        let well = topics.iter().filter(|topic| topic.error.is_none());
        let led = well.map(|topic| (Name::clone(&topic.name), led(topic))).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::new(led)));
    }
}

/// What is known of the partitions that are asked for.
pub(super) struct Seen {
    pub(super) listed: Option<Arc<Led>>,
    /// The topics that are not listed, or were not looked up in the list.
    pub(super) sheets: HashMap<String, TopicSheet>,
}

impl Seen {
    pub(super) fn is_listed(&self, shard: &Shard) -> bool {
        let topic = self.listed.as_ref().and_then(|led| led.get(&shard.topic));
        topic.is_some_and(|led| led.contains(&shard.partition))
    }

    pub(super) fn exists(&self, shard: &Shard) -> Result<(), BrokerError> {
        if self.is_listed(shard) { Ok(()) } else { exists(&self.sheets, shard) }
    }
}
