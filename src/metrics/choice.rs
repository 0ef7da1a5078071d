//! Which series are exported: their number must have a bound that the operator sets.

use regex::Regex;

use crate::observe::snapshot::{Role, TopicRow};

/// Whether lag is told for each partition or for each topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// A series a partition.
    Each,
    /// A series a topic.
    Together,
}

/// What is exported.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Topics whose whole name fits; `None` for all.
    pub topics: Option<Regex>,
    /// Groups whose whole name fits; `None` for all.
    pub groups: Option<Regex>,
    /// Whether the broker's and this program's own topics are among them.
    pub internal: bool,
    /// Partitions.
    pub partitions: Partitions,
}

impl Choice {
    /// A pattern that must fit a whole name, as those of Prometheus must.
    pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{text})$"))
    }

    pub(super) fn has_topic(&self, row: &TopicRow) -> bool {
        (self.internal || row.role != Role::Internal) && self.has_topic_name(&row.name)
    }

    pub(super) fn has_topic_name(&self, name: &str) -> bool {
        self.topics.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.groups.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}
