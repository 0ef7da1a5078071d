//! Configuration: profiles in TOML, layered with environment and options, secrets by reference.

pub mod profile;
pub mod secret;
