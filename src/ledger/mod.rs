//! The ledger of dispositions: row format, state machine, fold. Pure: reading and writing it is elsewhere.
//!
//! The format is that of the redrive protocol, version 1: topic `__redrive.ledger`, one partition, compacted;
//! topic `__redrive.audit`, one partition, append-only.

pub mod audit;
pub mod encoder;
pub mod fold;
pub mod row;
pub mod states;

pub use fold::Ledger;
pub use states::Disposition;

/// The ledger's topic. The name is fixed: two configurations would be two truths.
pub const LEDGER_TOPIC: &str = "__redrive.ledger";
/// The audit's topic.
pub const AUDIT_TOPIC: &str = "__redrive.audit";
/// The version of the formats of header, rows and audit records that this program writes, and the newest
/// that it reads.
pub const FORMAT_VERSION: u32 = 1;
