//! The exporter: its text against readers that are not ours, and the dashboard and alerts made for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

mod applications;
mod assets;
mod readers;
mod truth;
mod world;
