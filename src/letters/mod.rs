//! Dead letters on the broker: which topics hold them, reading and grouping them, following the ledger.

pub mod document;
pub mod ledger;
