//! What the console computes, as metrics for a collector.
//!
//! A figure that is not known has no series: an absent series and one of 0 are different things. While the broker
//! is away only that is said, so that no old figure passes for a new one.

mod choice;
pub mod names;
mod render;

pub use choice::{Choice, Partitions};
pub use render::{Moment, render};
