//! The ledger of dispositions: row format, state machine, fold. Pure: reading and writing it is elsewhere.
//!
//! The format is that of the redrive protocol: topic `__redrive.ledger`, one partition, compacted; topic
//! `__redrive.audit`, one partition, append-only. In version 1 every letter has a row of its own. In version 3 letters of
//! a partition that a run decided alike in one transaction share one ([`letters::LettersRow`]): it costs a sixth of the bytes,
//! and of the time to write and to read it. In version 4 such a row has its letters by column (`columns.rs`). Version 2 is
//! kept for several transactional ids a dead-letter topic.

pub mod audit;
mod columns;
pub mod fold;
pub mod letters;
pub mod row;
pub mod states;

pub use fold::Ledger;
pub use states::Disposition;

/// The ledger's topic. The name is fixed: two configurations would be two truths.
pub const LEDGER_TOPIC: &str = "__redrive.ledger";
/// The audit's topic.
pub const AUDIT_TOPIC: &str = "__redrive.audit";
/// The version of the formats of header, rows and audit records that this program writes.
pub const FORMAT_VERSION: u32 = 4;
/// The versions that it reads.
pub const READABLE: [u32; 3] = [1, 3, FORMAT_VERSION];
