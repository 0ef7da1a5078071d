//! The embedded broker: the port on memory, for the demonstration and for proofs.
