//! The console.

pub mod theme;
pub mod widgets;
