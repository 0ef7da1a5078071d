//! What is measured from outside: rates, lag, latency, errors, and what needs attention.

pub mod snapshot;
