//! Configuration: profiles in TOML, layered with environment and options, secrets by reference.
//!
//! One table of keys ([`keys::KEYS`]) feeds the parser, the environment, `config show` and the check of
//! `config.example.toml`, so that they cannot drift. Layers are defaults < file < environment < options, and
//! every value knows where it came from.

mod build;
pub mod keep;
pub mod keys;
pub mod layers;
pub mod letter_format;
mod nearest;
mod parse;
pub mod place;
pub mod profile;
mod reference;
pub mod secret;
#[cfg(test)]
mod tests;
pub mod topic_names;
pub mod value;

pub use layers::{Choice, Chosen, Configuration, Console, Options, Unchosen};
pub use letter_format::letter_format;
pub use nearest::nearest;
pub use place::Environment;
