//! The text in which metrics travel: written, read, and served over HTTP.
//!
//! Prometheus' text format 0.0.4 is what every collector understands; OpenMetrics 1.0 is written for those that
//! ask for it. It knows nothing of what is measured.

mod parse;
mod serve;
mod write;

pub use parse::{Sample, Wrong, parse};
pub use serve::{Pages, Server};
pub use write::{Dialect, Family, Kind, Writer};
