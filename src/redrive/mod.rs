//! Redriving: plan, preflight, engine, runs.

pub mod document;
pub mod plan;
