//! The composition root: the only file that names the adapters.
