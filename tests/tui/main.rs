//! The console without a terminal: what it draws, what it asks, what it does with keys.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

mod bench;
mod disposals;
mod drill;
mod fuzz;
mod hostile;
mod inspector;
mod keys;
mod made_up;
mod offsets;
mod registry;
mod screens;
mod search;
mod toggles;
