//! Dead letters on the broker: which topics hold them, reading and grouping them, following the ledger.

mod answer;
pub mod discover;
mod distinct;
pub mod document;
mod extent;
pub mod fold;
pub(crate) mod hops;
pub mod index;
pub mod json;
pub mod ledger;
pub mod lineage;
pub mod outcome;
mod pass;
pub(crate) mod read;
pub mod retention;
pub mod retries;
mod select;
mod summary;
mod taking;
mod tally;
#[cfg(test)]
mod tests;
mod topic;

pub use answer::{Survey, Walk};
pub use extent::{Extent, PartitionExtent};
pub use index::Index;
pub use json::letter_json;
pub use pass::{Pass, Take};
