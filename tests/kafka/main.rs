//! The Kafka adapter on a real broker: what the conformance suite cannot ask of every adapter.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may speak and panic")]

mod answers;
mod figures;
mod groups;
mod key_search;
mod keys;
mod kills;
mod lost;
mod oauth;
mod observe;
mod proofs;
mod proxy;
mod reading;
mod redrive;
mod rights;
mod security;
mod spring;
mod support;
mod transfer;
mod writing;
