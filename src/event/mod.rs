//! What flows: records as bytes, the event inside them, and how payloads are decoded.
//!
//! This layer knows nothing of brokers or terminals.

pub mod codec;
pub mod envelope;
pub mod record;

pub use record::{Digest, Headers, Position, Record, RecordTime, TimeKind};
