//! The Kafka adapter on a real broker: what the conformance suite cannot ask of every adapter.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may speak and panic")]

mod figures;
mod groups;
mod oauth;
mod observe;
mod proofs;
mod reading;
mod redrive;
mod security;
mod support;
mod writing;
