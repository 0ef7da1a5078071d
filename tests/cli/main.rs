//! The real program at its command line: exit codes, streams, documents, configuration.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

mod configuration;
mod drill;
mod help;
mod kafka;
mod metrics;
mod offsets;
mod program;
mod registry;
mod rights;
mod usage;
