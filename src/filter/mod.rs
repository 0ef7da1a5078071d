//! Which records are meant: partitions, range, key, bytes, jq; the same everywhere a set of records is meant.

mod builtin;
mod document;
mod edge;
pub mod edit;
mod eval;
mod expr;
mod guard;
mod interpreter;
pub mod jq;
mod lean;
mod matcher;
mod needs;
mod partitions;
mod quick;
#[cfg(test)]
mod samples;
mod scan;
pub mod sheet;

use bytes::Bytes;

pub use document::{Document, decoded};
pub use edge::Edge;
pub use matcher::Matcher;
pub use partitions::partitions;

/// A selection of records.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// Partitions; empty for all.
    pub partitions: Vec<i32>,
    /// Where it begins; `None` for the command's default.
    pub from: Option<Edge>,
    /// Where it ends (exclusive); `None` for the end as it was.
    pub to: Option<Edge>,
    /// Exact key.
    pub key: Option<Bytes>,
    /// Read all partitions although the key names one.
    pub all_partitions: bool,
    /// Bytes that key, value or a header value must contain, before decoding.
    pub contains: Option<Bytes>,
    /// jq condition over the record's document.
    pub filter: Option<String>,
    /// Stop after so many matches.
    pub limit: Option<u64>,
    /// See aborted and open transactions too.
    pub uncommitted: bool,
}
