//! What is measured from outside: rates, lag, latency, errors, and what needs attention.
//!
//! No group is joined and nothing is committed: all of it comes from metadata, offsets and a few records read
//! now and then. [`Sampler`] takes looks and folds them into [`snapshot::Snapshot`]s; [`sampler::run`] does so
//! for as long as somebody watches.

pub mod applications;
mod attention;
mod errors;
mod group;
mod history;
mod lag;
mod latency;
mod log;
mod look;
mod memory;
mod rates;
pub mod sampler;
pub mod scrape;
mod sips;
pub mod snapshot;
mod status;
mod topic;

use crate::broker::Name;

pub use sampler::Sampler;
pub use status::WINDOW;

/// What is on the screen: sampled first and more often than the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Topics whose configuration and partitions are shown.
    pub topics: Vec<Name>,
    /// Groups whose members are shown.
    pub groups: Vec<Name>,
    /// Only groups are shown, and for a moment: settings and ids of topics are not asked for and dead letters not read,
    /// and after the first look nothing is looked at but the groups that it found and their partitions.
    pub groups_alone: bool,
    /// Nobody looks (the terminal lost the focus): sample at the background interval.
    pub away: bool,
}

impl Interest {
    /// Whether the lists themselves are on the screen, and with them everything.
    pub(crate) fn is_everything(&self) -> bool {
        self.topics.is_empty() && self.groups.is_empty()
    }
}
