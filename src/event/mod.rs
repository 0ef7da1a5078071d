//! What flows: records as bytes, the event inside them, and how payloads are decoded.
//!
//! This layer knows nothing of brokers or terminals.

pub mod archive;
pub mod codec;
pub mod decode;
pub mod encode;
pub mod envelope;
mod fields;
pub mod json;
pub mod murmur2;
pub mod placement;
pub mod record;
pub mod spreadsheet;
pub mod time;
pub mod view;

pub use record::{Digest, Header, Headers, Parts, Position, Record, RecordBytes, RecordTime, TimeKind};
