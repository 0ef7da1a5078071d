//! Redriving: plan, preflight, engine, outcome, runs.
//!
//! A dead letter that is redriven reaches its target exactly once for every `read_committed` reader, whatever
//! crashes: target records, ledger rows and audit records are one transaction, and the ledger is the only truth
//! about what was done. Limits: without transactions nothing is written.

mod checks;
mod cluster;
pub mod document;
pub mod file;
mod found;
pub mod outgoing;
pub mod placement;
pub mod plan;
mod planner;
pub mod rules;
pub mod twins;

pub use planner::plan as make_plan;
