//! Moving the committed offsets of consumer groups: what it would do, and doing exactly that.
//!
//! A plan is made by reading alone. Executing it compares the group with the plan first, writes to the audit what is
//! about to be done, does it, and writes what became of it. Limits: the broker moves offsets partition by partition,
//! so a change can be done in part; and what a consumer does without a committed offset is its own setting.

mod apply;
pub mod document;
mod plan;
mod target;
#[cfg(test)]
mod tests;
mod times;

pub use apply::apply;
pub use plan::plan;
pub use target::{Target, TopicChoice};
