//! Redriving: plan, preflight, engine, outcome, runs.
//!
//! A dead letter that is redriven reaches its target exactly once for every `read_committed` reader, whatever
//! crashes: target records, ledger rows and audit records are one transaction, and the ledger is the only truth
//! about what was done. Limits: without transactions nothing is written.

pub mod document;
pub mod file;
pub mod plan;
