//! What a dead letter is: formats, failures, groups of failures. Pure: no broker, no terminal.

mod document;
pub mod failure;
pub mod formats;
pub mod groups;
pub mod letter;
pub mod message;
pub mod names;
pub mod retry;
pub mod trace;

pub use document::document;
pub use letter::{Letter, Origin};
