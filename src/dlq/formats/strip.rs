//! Which headers a redrive takes off: those that a format wrote when it gave the record up.

use super::table::TABLE;
use crate::config::profile::DeadLetters;

/// Header names to be taken off, exact and by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripRules {
    /// Exact names.
    pub names: Vec<String>,
    /// Beginnings of names.
    pub prefixes: Vec<String>,
}

impl StripRules {
    /// Whether the header is taken off.
    pub fn strips(&self, name: &[u8]) -> bool {
        self.names.iter().any(|n| n.as_bytes() == name)
            || self.prefixes.iter().any(|p| name.starts_with(p.as_bytes()))
    }

    /// The rules for the eye: prefixes end in `*`.
    pub fn shown(&self) -> Vec<String> {
        self.names.iter().cloned().chain(self.prefixes.iter().map(|p| format!("{p}*"))).collect()
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
        };
    }
    TABLE.iter().find(|f| f.name == name).map_or_else(StripRules::default, |f| StripRules {
        names: f.strip.iter().map(|s| (*s).to_owned()).collect(),
        prefixes: f.strip_prefixes.iter().map(|s| (*s).to_owned()).collect(),
    })
}
