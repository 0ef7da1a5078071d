//! Records on the broker: tail a topic, get one record.

mod decode;
pub mod document;
mod estimate;
mod get;
mod json;
mod placement;
mod range;
mod tail;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use estimate::estimate;
pub use get::get;
pub use json::RecordDocument;
pub use tail::{Survey, Walk, going_on, survey, tail};
