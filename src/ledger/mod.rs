//! The ledger of dispositions: row format, state machine, fold. Pure: reading and writing it is elsewhere.
//!
//! The format is that of the redrive protocol, version 1: topic `__redrive.ledger`, one partition, compacted.

pub mod fold;
pub mod row;
pub mod states;

pub use states::Disposition;

/// The ledger's topic. The name is fixed: two configurations would be two truths.
pub const LEDGER_TOPIC: &str = "__redrive.ledger";
/// The audit's topic.
pub const AUDIT_TOPIC: &str = "__redrive.audit";
