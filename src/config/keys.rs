//! The table of configuration keys: name, kind of value, default, meaning.
//!
//! A pattern is written with dots; `*` stands for any name, `[]` for an entry of an array of tables.

use std::time::Duration;

use super::profile::Encoding;
use crate::text::units;

/// What sort of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A librdkafka property: text, number or boolean; hidden where its name says that it is a secret.
    Property,
    /// A file; `~/` is the home directory, a relative one is looked for beside the configuration file.
    Path,
    /// An http or https URL.
    Url,
    /// `true` or `false`.
    Bool,
    /// A number that is not negative.
    Number,
    /// A number with a unit: `500ms`, `2s`, `1m`, `1h`.
    Duration,
    /// Texts; one alone may stand without brackets.
    List,
    /// `host:port` of brokers.
    Brokers,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Pattern.
    pub pattern: &'static str,
    /// Kind of value.
    pub kind: Kind,
    /// Default in words, as it is written in TOML; empty where there is none.
    pub default: &'static str,
}

/// The 16 ANSI colours.
pub const COLOURS: &[&str] = &[
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];

/// The fields of a home-grown dead-letter format, see [`super::profile::LetterFormat::fields`].
pub const LETTER_FIELDS: &[&str] = &[
    "origin_topic",
    "origin_partition",
    "origin_offset",
    "origin_timestamp",
    "group",
    "error_class",
    "message",
    "stack_trace",
    "attempts",
    "failed_at",
    "original_key",
    "original_value",
];

/// Before each key of a profile.
pub const PROFILE: &str = "profiles.*.";

const fn key(pattern: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { pattern, kind, default }
}

/// All keys.
pub const KEYS: &[Key] = &[
    key("default_profile", Kind::Text, ""),
    key("console.mouse", Kind::Bool, "true"),
    key("console.ascii", Kind::Bool, "false"),
    key("keys.*", Kind::List, ""),
    key("profiles.*.brokers", Kind::Brokers, ""),
    key("profiles.*.read_only", Kind::Bool, "false"),
    key("profiles.*.protected", Kind::Bool, "false"),
    key("profiles.*.colour", Kind::OneOf(COLOURS), ""),
    key("profiles.*.timeout", Kind::Duration, "10s"),
    key("profiles.*.security.protocol", Kind::OneOf(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]), ""),
    key("profiles.*.security.ca", Kind::Path, ""),
    key("profiles.*.security.certificate", Kind::Path, ""),
    key("profiles.*.security.key", Kind::Path, ""),
    key("profiles.*.security.key_password", Kind::Secret, ""),
    key("profiles.*.security.skip_hostname_check", Kind::Bool, "false"),
    key(
        "profiles.*.security.mechanism",
        Kind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
        "",
    ),
    key("profiles.*.security.username", Kind::Text, ""),
    key("profiles.*.security.password", Kind::Secret, ""),
    key("profiles.*.security.oauth.token_url", Kind::Url, ""),
    key("profiles.*.security.oauth.client_id", Kind::Text, ""),
    key("profiles.*.security.oauth.client_secret", Kind::Secret, ""),
    key("profiles.*.security.oauth.scope", Kind::Text, ""),
    key("profiles.*.security.oauth.ca", Kind::Path, ""),
    key("profiles.*.security.oauth.extensions.*", Kind::Text, ""),
    key("profiles.*.properties.*", Kind::Property, ""),
    key("profiles.*.dead_letters.patterns", Kind::List, "[]"),
    key("profiles.*.dead_letters.adopt", Kind::List, "[]"),
    key("profiles.*.dead_letters.ignore", Kind::List, "[]"),
    key("profiles.*.dead_letters.library_frames", Kind::List, "[]"),
    key("profiles.*.dead_letters.retention_warning", Kind::Duration, "1d"),
    key("profiles.*.dead_letters.formats.[].name", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].strip", Kind::List, "[]"),
    key("profiles.*.dead_letters.formats.[].latest", Kind::OneOf(&["last", "first"]), ""),
    key("profiles.*.dead_letters.formats.[].fields.origin_topic", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.origin_partition", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.origin_offset", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.origin_timestamp", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.group", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.error_class", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.message", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.stack_trace", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.attempts", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.failed_at", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.original_key", Kind::Text, ""),
    key("profiles.*.dead_letters.formats.[].fields.original_value", Kind::Text, ""),
    key("profiles.*.thresholds.lag", Kind::Number, ""),
    key("profiles.*.thresholds.latency", Kind::Duration, ""),
    key("profiles.*.thresholds.errors", Kind::Number, ""),
    key("profiles.*.thresholds.dead_letters", Kind::Number, ""),
    key("profiles.*.dead_letters.formats.[].encodings.origin_partition", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.origin_offset", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.origin_timestamp", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.message", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.attempts", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.failed_at", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.original_key", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.dead_letters.formats.[].encodings.original_value", Kind::OneOf(Encoding::WORDS), ""),
    key("profiles.*.refresh.visible", Kind::Duration, "2s"),
    key("profiles.*.refresh.background", Kind::Duration, "10s"),
    key("profiles.*.schema_registry.url", Kind::Url, ""),
    key("profiles.*.schema_registry.username", Kind::Text, ""),
    key("profiles.*.schema_registry.password", Kind::Secret, ""),
    key("profiles.*.schema_registry.token", Kind::Secret, ""),
    key("profiles.*.schema_registry.ca", Kind::Path, ""),
    key("profiles.*.schema_registry.certificate", Kind::Path, ""),
    key("profiles.*.schema_registry.key", Kind::Path, ""),
    key("profiles.*.decode.[].topic", Kind::Text, ""),
    key("profiles.*.decode.[].key", Kind::List, "[]"),
    key("profiles.*.decode.[].value", Kind::List, "[]"),
    key("profiles.*.metrics.scrape.[].url", Kind::Url, ""),
];

/// Whether `pattern` begins with, or is, the place made of `names` (`None` is an entry of an array).
pub(super) fn fits(pattern: &'static str, names: &[Option<&str>]) -> Option<Fit> {
    let mut segments = pattern.split('.');
    for name in names {
        match (segments.next()?, name) {
            ("[]", None) | ("*", Some(_)) => {}
            ("[]", Some(_)) | (_, None) => return None,
            (known, Some(name)) if known == *name => {}
            _ => return None,
        }
    }
    Some(segments.next().map_or(Fit::Whole, Fit::Before))
}

/// How a place fits a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is the key.
    Whole,
    /// It leads to the key; this is the pattern's next segment.
    Before(&'static str),
}

/// Finds the key at a place, or what may come next there.
pub(super) fn look_up(names: &[Option<&str>]) -> (Option<&'static Key>, Vec<&'static str>) {
    let mut next = Vec::new();
    for key in KEYS {
        match fits(key.pattern, names) {
            Some(Fit::Whole) => return (Some(key), Vec::new()),
            Some(Fit::Before(segment)) if !next.contains(&segment) => next.push(segment),
            _ => {}
        }
    }
    (None, next)
}

/// The keys of a profile that one environment variable can hold, with its name:
/// `security.protocol` is `REDRIVE_SECURITY_PROTOCOL`.
pub fn variables() -> impl Iterator<Item = (&'static Key, &'static str, String)> {
    KEYS.iter().filter_map(|key| {
        let name = key.pattern.strip_prefix(PROFILE)?;
        (!name.contains(['*', '[']))
            .then(|| (key, name, format!("REDRIVE_{}", name.replace('.', "_").to_uppercase())))
    })
}

/// Whether a librdkafka property of this name holds a secret.
pub fn is_secret_property(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token", "credential", "jaas", ".pem", "oauthbearer.config"]
        .iter()
        .any(|word| name.contains(word))
}

/// Reads a duration that is longer than nothing.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let millis = units::parse_duration(text).ok()?;
    u64::try_from(millis).ok().filter(|millis| *millis > 0).map(Duration::from_millis)
}

/// Reads a number that is not negative.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)
}

/// Checks a text against the kind of its key; the error says what was expected.
pub(super) fn check(kind: Kind, text: &str) -> Result<(), String> {
    let fine = |fine: bool, wanted: &str| if fine { Ok(()) } else { Err(wanted.to_owned()) };
    match kind {
        Kind::Text | Kind::Secret | Kind::Property | Kind::List => Ok(()),
        Kind::Path => fine(!text.is_empty(), "a file name was expected"),
        Kind::Url => fine(is_url(text), "a URL that begins with http:// or https:// was expected"),
        Kind::Bool => fine(matches!(text, "true" | "false"), "true or false was expected"),
        Kind::Duration => fine(
            duration(text).is_some(),
            "a duration with a unit was expected, for example \"500ms\", \"2s\" or \"1m\"",
        ),
        Kind::Number => fine(number(text).is_some(), "a number that is not negative was expected"),
        Kind::Brokers => fine(is_broker(text), "host:port was expected"),
        Kind::OneOf(words) => {
            if words.contains(&text) {
                return Ok(());
            }
            let near = super::nearest(text, words.iter().copied());
            Err(near.map_or_else(
                || format!("one of {} was expected", words.join(", ")),
                |near| format!("one of {} was expected; did you mean \"{near}\"?", words.join(", ")),
            ))
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    })
}

fn is_broker(text: &str) -> bool {
    let port_fits = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let clean =
        |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once("]:").is_some_and(|(host, port)| clean(host) && port_fits(port));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => clean(host) && !host.contains([':', '/']) && port_fits(port),
        None => clean(text) && !text.contains('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_finds_its_own_key() {
        for key in KEYS {
            let names: Vec<Option<&str>> =
                key.pattern.split('.').map(|s| if s == "[]" { None } else { Some(s) }).collect();
            assert_eq!(look_up(&names).0.map(|k| k.pattern), Some(key.pattern));
        }
    }

    #[test]
    fn every_default_fits_the_kind_of_its_key() {
        for key in KEYS.iter().filter(|k| !k.default.is_empty() && k.kind != Kind::List) {
            assert_eq!(check(key.kind, key.default), Ok(()), "{}", key.pattern);
        }
    }

    #[test]
    fn the_fields_of_a_letter_format_are_the_keys_of_the_table() {
        let prefix = "profiles.*.dead_letters.formats.[].fields.";
        let keys: Vec<&str> = KEYS.iter().filter_map(|k| k.pattern.strip_prefix(prefix)).collect();
        assert_eq!(keys, LETTER_FIELDS);
    }

    #[test]
    fn a_broker_is_a_host_with_a_port_that_exists() {
        for good in ["localhost:9092", "10.0.0.1:1", "kafka-1.example.com:65535", "[::1]:9092", "broker"] {
            assert!(is_broker(good), "{good}");
        }
        for bad in ["", ":9092", "host:", "host:0", "host:65536", "http://host:9092", "a b:9092", "::1:9092"]
        {
            assert!(!is_broker(bad), "{bad}");
        }
    }

    #[test]
    fn a_duration_is_longer_than_nothing() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for wrong in ["2", "0s", "-2s", ""] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn properties_that_hold_secrets_are_known_by_their_name() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert!(is_secret_property(name), "{name}");
        }
        assert!(!is_secret_property("client.id"));
    }
}
