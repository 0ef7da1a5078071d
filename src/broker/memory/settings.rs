//! A topic's configuration: Kafka's names and defaults, checked when a topic is made.
//!
//! Names that steer nothing here (compression, flushing, …) are accepted and shown, so that a definition made
//! for Kafka works unchanged; a name that Kafka does not have is refused as Kafka does.

use std::collections::BTreeMap;

use super::log::Roll;
use crate::broker::{BrokerError, ConfigEntry, ErrorKind, TopicConfig};
use crate::event::TimeKind;

#[derive(Clone, Copy)]
enum Shape {
    Whole { least: i64 },
    Ratio,
    Flag,
    Word(&'static [&'static str]),
    Policy,
    Text,
}

const CODECS: &[&str] = &["producer", "none", "uncompressed", "gzip", "snappy", "lz4", "zstd"];
const TIMES: &[&str] = &["CreateTime", "LogAppendTime"];
const FOREVER: &str = "9223372036854775807";

/// Name, default and shape, from `TopicConfig` and `LogConfig` of Apache Kafka 4.
const TABLE: &[(&str, &str, Shape)] = &[
    ("cleanup.policy", "delete", Shape::Policy),
    ("compression.type", "producer", Shape::Word(CODECS)),
    ("delete.retention.ms", "86400000", Shape::Whole { least: 0 }),
    ("errors.deadletterqueue.group.enable", "false", Shape::Flag),
    ("file.delete.delay.ms", "60000", Shape::Whole { least: 0 }),
    ("flush.messages", FOREVER, Shape::Whole { least: 1 }),
    ("flush.ms", FOREVER, Shape::Whole { least: 0 }),
    ("follower.replication.throttled.replicas", "", Shape::Text),
    ("index.interval.bytes", "4096", Shape::Whole { least: 0 }),
    ("leader.replication.throttled.replicas", "", Shape::Text),
    ("local.retention.bytes", "-2", Shape::Whole { least: -2 }),
    ("local.retention.ms", "-2", Shape::Whole { least: -2 }),
    ("max.compaction.lag.ms", FOREVER, Shape::Whole { least: 1 }),
    ("max.message.bytes", "1048588", Shape::Whole { least: 0 }),
    ("message.timestamp.after.max.ms", "3600000", Shape::Whole { least: 0 }),
    ("message.timestamp.before.max.ms", FOREVER, Shape::Whole { least: 0 }),
    ("message.timestamp.type", "CreateTime", Shape::Word(TIMES)),
    ("min.cleanable.dirty.ratio", "0.5", Shape::Ratio),
    ("min.compaction.lag.ms", "0", Shape::Whole { least: 0 }),
    ("min.insync.replicas", "1", Shape::Whole { least: 1 }),
    ("preallocate", "false", Shape::Flag),
    ("remote.storage.enable", "false", Shape::Flag),
    ("retention.bytes", "-1", Shape::Whole { least: -1 }),
    ("retention.ms", "604800000", Shape::Whole { least: -1 }),
    ("segment.bytes", "1073741824", Shape::Whole { least: 14 }),
    ("segment.index.bytes", "10485760", Shape::Whole { least: 4 }),
    ("segment.jitter.ms", "0", Shape::Whole { least: 0 }),
    ("segment.ms", "604800000", Shape::Whole { least: 1 }),
    ("unclean.leader.election.enable", "false", Shape::Flag),
];

impl Shape {
    fn fits(self, value: &str) -> bool {
        match self {
            Self::Whole { least } => value.parse::<i64>().is_ok_and(|n| n >= least),
            Self::Ratio => value.parse::<f64>().is_ok_and(|n| (0.0..=1.0).contains(&n)),
            Self::Flag => matches!(value, "true" | "false"),
            Self::Word(words) => words.contains(&value),
            Self::Policy => value.split(',').all(|p| matches!(p.trim(), "delete" | "compact")),
            Self::Text => true,
        }
    }
}

/// What steers a log.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    given: BTreeMap<String, String>,
    pub delete: bool,
    pub compact: bool,
    /// Negative: for ever.
    pub retention_ms: i64,
    /// Negative: without bound.
    pub retention_bytes: i64,
    pub max_message_bytes: usize,
    pub time: TimeKind,
    pub before_max_ms: i64,
    pub after_max_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub delete_retention_ms: i64,
    pub dirty_ratio: f64,
    pub roll: Roll,
}

impl Settings {
    /// Checks `given` and fills in the defaults; `what` names the call in errors.
    pub fn new(given: &[(String, String)], what: &str) -> Result<Self, BrokerError> {
        let given: BTreeMap<String, String> = given.iter().cloned().collect();
        for (name, value) in &given {
            let why = match TABLE.iter().find(|(known, ..)| known == name) {
                None => format!("Unknown topic config name: {name}"),
                Some((.., shape)) if !shape.fits(value) => {
                    format!("Invalid value {value} for configuration {name}")
                }
                Some(_) => continue,
            };
            return Err(BrokerError::new(ErrorKind::Invalid, what, why));
        }
        let text = |name: &str| {
            let default = TABLE.iter().find(|(known, ..)| *known == name).map_or("", |row| row.1);
            given.get(name).map_or(default, String::as_str)
        };
        let whole = |name: &str| text(name).parse::<i64>().unwrap_or(i64::MAX);
        let bytes = |name: &str| usize::try_from(whole(name)).unwrap_or(usize::MAX);
        let policy = text("cleanup.policy");
        Ok(Self {
            delete: policy.contains("delete"),
            compact: policy.contains("compact"),
            retention_ms: whole("retention.ms"),
            retention_bytes: whole("retention.bytes"),
            max_message_bytes: bytes("max.message.bytes"),
            time: match text("message.timestamp.type") {
                "LogAppendTime" => TimeKind::LogAppend,
                _ => TimeKind::Create,
            },
            before_max_ms: whole("message.timestamp.before.max.ms"),
            after_max_ms: whole("message.timestamp.after.max.ms"),
            min_compaction_lag_ms: whole("min.compaction.lag.ms"),
            delete_retention_ms: whole("delete.retention.ms"),
            dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            roll: Roll { after_ms: whole("segment.ms"), after_bytes: bytes("segment.bytes") },
            given,
        })
    }

    /// All names with their values.
    pub fn shown(&self) -> TopicConfig {
        TABLE
            .iter()
            .map(|(name, default, _)| {
                let given = self.given.get(*name);
                let value = given.cloned().unwrap_or_else(|| (*default).to_owned());
                ((*name).to_owned(), ConfigEntry { value: Some(value), is_default: given.is_none() })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: &[(&str, &str)]) -> Result<Settings, BrokerError> {
        let given: Vec<_> = given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Settings::new(&given, "create t")
    }

    #[test]
    fn every_default_fits_its_own_shape() {
        for (name, default, shape) in TABLE {
            assert!(shape.fits(default), "{name}");
        }
    }

    #[test]
    fn unknown_names_and_wrong_values_are_refused_with_the_name() {
        for given in [("retention.msec", "1"), ("retention.ms", "soon"), ("cleanup.policy", "shrink")] {
            let error = settings(&[given]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.why.contains(given.0), "{}", error.why);
        }
    }

    #[test]
    fn both_policies_may_hold_at_once() {
        let both = settings(&[("cleanup.policy", "compact,delete")]).unwrap();
        assert!(both.compact && both.delete);
        let one = settings(&[("cleanup.policy", "compact")]).unwrap();
        assert!(one.compact && !one.delete);
        assert!(!one.shown()["cleanup.policy"].is_default);
        assert!(one.shown()["retention.ms"].is_default);
    }
}
