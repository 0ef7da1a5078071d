//! `redrive`: the terminal operations console for event streams.
//!
//! | layer | modules | may use |
//! |---|---|---|
//! | 0 | [`text`] | std |
//! | 1 | [`event`], [`exposition`] | 0 |
//! | 2 | [`filter`], [`dlq`], [`ledger`], [`config`] | 0-1 |
//! | 3 | [`broker`] (the port), [`context`] | 0-2 |
//! | 4a | [`observe`], [`letters`], [`records`], [`redrive`], [`offsets`] | 0-3; not each other, but `redrive` uses `letters`, and `offsets` the audit of `redrive` |
//! | 4b | `broker::kafka`, `broker::memory`, [`schemas`] | 0-1, `config`, the port |
//! | 5 | [`ask`], [`metrics`] | 0-4a |
//! | 6 | [`tui`], then [`cli`], which opens it | 0-5 |
//! | 7 | [`wire`], `main` | all |
//!
//! `tests/architecture.rs` holds the table to be true.

pub mod ask;
pub mod broker;
pub mod cli;
pub mod config;
pub mod context;
pub mod dlq;
pub mod event;
pub mod exposition;
pub mod filter;
pub mod ledger;
pub mod letters;
pub mod metrics;
pub mod observe;
pub mod offsets;
pub mod records;
pub mod redrive;
pub mod schemas;
pub mod text;
pub mod tui;
pub mod wire;
