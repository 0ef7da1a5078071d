//! Redriving: plan, preflight, engine, outcome, runs.
//!
//! A dead letter that is redriven reaches its target exactly once for every `read_committed` reader, whatever
//! crashes: target records, ledger rows and audit records are one transaction, and the ledger is the only truth
//! about what was done. Where a plan forces it, a run does without transactions, and is named for what it then is: at
//! least once, checked.

mod abreast;
mod again;
mod ahead;
mod aims;
mod arrange;
pub mod audit;
mod books;
mod checks;
mod cluster;
mod compare;
pub mod control;
pub mod copy;
pub mod disposal;
mod dispose;
pub mod document;
mod encoded;
mod engine;
mod fence;
pub mod file;
mod follow;
mod found;
mod gate;
mod gathering;
pub mod import;
mod item;
pub mod options;
mod origin;
pub mod outgoing;
mod outline;
pub mod packed;
mod parcel;
pub mod placement;
mod plain;
pub mod plan;
mod planner;
pub mod produce;
pub mod purge;
mod reread;
mod rights;
mod rows;
pub mod rules;
mod run;
mod runs;
mod sending;
mod shape;
mod shelf;
mod start;
mod transaction;
mod transfer;
pub mod twins;
mod watch;
mod window;

pub use dispose::{checked_reason, dispose, preview as preview_disposal};
pub use planner::plan as make_plan;
pub use purge::purge;
pub use run::run;
pub use runs::runs;
