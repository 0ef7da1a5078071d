//! Records on the broker: tail a topic, get one record.

pub mod document;
