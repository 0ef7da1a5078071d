//! The fold of ledger rows into the state of every letter.
