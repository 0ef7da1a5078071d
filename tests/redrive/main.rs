//! Redriving on the embedded broker: what the protocol promises, under every fault that the broker can be given.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod control;
mod copies;
mod disposals;
mod faults;
mod plans;
mod retries;
mod runs;
mod schemas;
mod transfer;
mod world;
