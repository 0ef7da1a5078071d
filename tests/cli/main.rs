//! The real program at its command line: exit codes, streams, documents, configuration.

mod configuration;
mod help;
mod kafka;
mod program;
mod usage;
