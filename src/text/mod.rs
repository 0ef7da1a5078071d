//! Text for people: hostile bytes made safe, widths, units, times, and the three lines of an error.
//!
//! The lowest layer: it uses nothing of this crate, and every other layer may use it.

pub mod fault;
pub mod sanitise;
pub mod shell;
pub mod time;
pub mod units;
pub mod width;

pub use fault::{Fault, FaultKind};
pub use sanitise::Safe;
pub use time::{Clock, SystemClock, TimeFormat, TimeStyle, Timestamp};
