//! The rows of the ledger and their codec.
