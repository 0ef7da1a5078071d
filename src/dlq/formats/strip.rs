//! Which headers a redrive takes off: those that a format wrote when it gave the record up.

use super::table::TABLE;
use super::table::home::{self, HOME_GROWN};
use crate::config::profile::DeadLetters;

/// Header names to be taken off, exact and by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripRules {
    /// Exact names.
    pub names: Vec<String>,
    /// Beginnings of names.
    pub prefixes: Vec<String>,
    /// Names that are compared as [`home::canonical`] has them.
    pub alike: Vec<String>,
}

impl StripRules {
    /// Whether the header is taken off.
    pub fn strips(&self, name: &[u8]) -> bool {
        self.names.iter().any(|n| n.as_bytes() == name)
            || self.prefixes.iter().any(|p| name.starts_with(p.as_bytes()))
            || (!self.alike.is_empty() && home::canonical(name).is_some_and(|n| self.alike.contains(&n)))
    }

    /// The rules for the eye: prefixes end in `*`.
    pub fn shown(&self) -> Vec<String> {
        let prefixes = self.prefixes.iter().map(|p| format!("{p}*"));
        let alike = self.alike.iter().map(|n| format!("{n} and names like it"));
        self.names.iter().cloned().chain(prefixes).chain(alike).collect()
    }
}

/// The rules of a format by its name, as a letter has it; nothing for a format that is not known.
pub fn strip_rules(format: Option<&str>, config: &DeadLetters) -> StripRules {
    let Some(name) = format else { return StripRules::default() };
    if let Some(own) = config.formats.iter().find(|f| f.name == name) {
        let (prefixes, names): (Vec<&String>, Vec<&String>) =
            own.strip.iter().partition(|s| s.ends_with('*'));
        return StripRules {
            names: names.into_iter().cloned().collect(),
            prefixes: prefixes.into_iter().map(|p| p.trim_end_matches('*').to_owned()).collect(),
            alike: Vec::new(),
        };
    }
    TABLE.iter().find(|f| f.name == name).map_or_else(StripRules::default, |f| StripRules {
        names: f.strip.iter().map(|s| (*s).to_owned()).collect(),
        prefixes: f.strip_prefixes.iter().map(|s| (*s).to_owned()).collect(),
        // With a sign of their own only: `reason` alone may be the application's.
        alike: f
            .rules
            .iter()
            .filter(|_| f.name == HOME_GROWN)
            .map(|rule| rule.header.to_owned())
            .filter(|name| name.contains('-'))
            .collect(),
    })
}
