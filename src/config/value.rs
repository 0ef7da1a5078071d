//! One configuration value with its place in the tree and where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::keys::{Key, Kind, is_secret_property};

/// One step of a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a table.
    Name(String),
    /// Into an array of tables.
    Index(usize),
}

/// A place in the tree of keys, for example `security.protocol` or `metrics.scrape[0].url`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place(pub Vec<Step>);

impl Place {
    /// Reads a place of plain names.
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(|name| Step::Name(name.to_owned())).collect())
    }

    /// This place and one step more.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// As the table of keys wants it.
    pub(super) fn names(&self) -> Vec<Option<&str>> {
        self.0
            .iter()
            .map(|step| match step {
                Step::Name(name) => Some(name.as_str()),
                Step::Index(_) => None,
            })
            .collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if !name.is_empty() && name.chars().all(bare) {
                        f.write_str(name)?;
                    } else {
                        write!(f, "{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A command-line option.
    Option(&'static str),
    /// Another profile of the file, whose care applies here too.
    Profile(String),
}

impl Origin {
    /// The layer in one word.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } | Self::Profile(_) => "file",
            Self::Environment(_) => "environment",
            Self::Option(_) => "option",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Option(name) => write!(f, "option {name}"),
            Self::Profile(name) => write!(f, "profile {name}, which has the same broker"),
        }
    }
}

/// What was written, before `${…}` is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Text; booleans and numbers too, as they are written.
    Text(String),
    /// Texts.
    List(Vec<String>),
}

/// One value. `Debug` leaves out what was written: it may be a secret.
#[derive(Clone)]
pub struct Value {
    /// Its key.
    pub key: &'static Key,
    /// What was written.
    pub raw: Raw,
    /// Where.
    pub origin: Origin,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("key", &self.key.pattern)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Value {
    /// The value as it may be shown: a secret that is written out is hidden, one by reference shows the
    /// reference, and a URL loses its password.
    pub fn shown(&self, place: &Place) -> String {
        let secret = match (self.key.kind, place.0.last()) {
            (Kind::Secret, _) => true,
            (Kind::Property, Some(Step::Name(name))) => is_secret_property(name),
            _ => false,
        };
        match &self.raw {
            Raw::Text(text) if secret && !is_reference(text) => "•••".to_owned(),
            Raw::Text(text) if self.key.kind == Kind::Url => without_password(text),
            Raw::Text(text) => text.clone(),
            Raw::List(list) => list.join(","),
        }
    }
}

/// Whether the whole text is one `${…}`, so that it holds nothing of the secret.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains('}'))
}

/// Hides user and password of a URL.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://•••{}", rest.get(user.len()..).unwrap_or_default()),
        None => url.to_owned(),
    }
}

/// Values by place.
pub type Layer = BTreeMap<Place, Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_prints_with_quotes_only_where_a_name_needs_them() {
        let place = Place::of("properties").then(Step::Name("client.id".to_owned()));
        assert_eq!(place.to_string(), "properties.\"client.id\"");
        let place = Place::of("metrics.scrape").then(Step::Index(1)).then(Step::Name("url".to_owned()));
        assert_eq!(place.to_string(), "metrics.scrape[1].url");
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(without_password("https://me:pw@host:8081/a@b"), "https://•••@host:8081/a@b");
        assert_eq!(without_password("https://host/a@b"), "https://host/a@b");
    }

    #[test]
    fn only_a_value_that_is_wholly_a_reference_counts_as_one() {
        assert!(is_reference("${env:PW}"));
        assert!(!is_reference("${env:A}secret${env:B}"));
        assert!(!is_reference("secret"));
    }
}
