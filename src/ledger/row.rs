//! The rows of the ledger and their codec.
//!
//! Keys and values are JSON, so that an administrator can read them with any Kafka tool. A key's bytes are
//! always the same for the same letter, because compaction compares bytes. A value says its version: a newer
//! one is refused, never misread. Rule for additions: within a version a field may be added that an older
//! program can safely ignore; anything else is a new version. Limits: a reader ignores fields that it does
//! not know, and a row that it writes anew does not carry them over.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Disposition, FORMAT_VERSION, READABLE};

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowError {
    /// A newer program wrote it.
    Newer {
        /// Its version.
        version: u64,
    },
    /// It is not what the format says.
    Damaged(String),
}

impl RowError {
    /// The stable word for scripts: the name of the rule that refuses.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "ledger_newer",
            Self::Damaged(_) => "ledger_damaged",
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { version } => {
                let [first, second, current] = READABLE;
                write!(
                    f,
                    "it is of format {version}, this program reads formats {first}, {second} and {current}"
                )
            }
            Self::Damaged(why) => write!(f, "it is damaged: {why}"),
        }
    }
}

/// The key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The format of the ledger itself.
    Header,
    /// One dead letter: cluster id, id of the dead-letter topic, partition, offset.
    Letter {
        /// Cluster id.
        cluster: Cow<'a, str>,
        /// Topic id.
        topic: Cow<'a, str>,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
    },
    /// Letters of one partition of which a run or another action decided the same in one transaction. No two rows of one
    /// begin with the same letter, so that compaction never takes one for another's sake.
    Letters {
        /// Cluster id.
        cluster: Cow<'a, str>,
        /// Topic id.
        topic: Cow<'a, str>,
        /// Partition.
        partition: i32,
        /// Offset of the first one.
        first: i64,
        /// Run or action.
        run: Cow<'a, str>,
    },
    /// One dead letter that is about to be redriven without a transaction. Its row is the one that follows when the
    /// record is written; the offset of its target is the end of the partition before. Programs that do not know it
    /// skip it.
    Intent {
        /// Cluster id.
        cluster: Cow<'a, str>,
        /// Topic id.
        topic: Cow<'a, str>,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
    },
    /// Who redrives a dead-letter topic: cluster id, topic id.
    Owner {
        /// Cluster id.
        cluster: Cow<'a, str>,
        /// Topic id.
        topic: Cow<'a, str>,
    },
    /// Not a key of this format; somebody else wrote it.
    Foreign,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    cluster: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    topic: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    run: Option<Cow<'a, str>>,
}

impl<'a> Key<'a> {
    /// A letter's key.
    pub fn letter(cluster: &'a str, topic: &'a str, partition: i32, offset: i64) -> Self {
        Self::Letter { cluster: cluster.into(), topic: topic.into(), partition, offset }
    }

    /// The key of a row of several letters.
    pub fn letters(cluster: &'a str, topic: &'a str, partition: i32, first: i64, run: &'a str) -> Self {
        Self::Letters { cluster: cluster.into(), topic: topic.into(), partition, first, run: run.into() }
    }

    /// The key of what is about to be done with a letter.
    pub fn intent(cluster: &'a str, topic: &'a str, partition: i32, offset: i64) -> Self {
        Self::Intent { cluster: cluster.into(), topic: topic.into(), partition, offset }
    }

    /// An owner row's key.
    pub fn owner(cluster: &'a str, topic: &'a str) -> Self {
        Self::Owner { cluster: cluster.into(), topic: topic.into() }
    }

    /// The key's bytes: fixed order of fields, no white space.
    pub fn encode(&self) -> Bytes {
        let none = KeyFields {
            format: None,
            cluster: None,
            topic: None,
            partition: None,
            offset: None,
            owner: None,
            intent: None,
            run: None,
        };
        let fields = match self {
            Self::Header => KeyFields { format: Some(true), ..none },
            Self::Letter { cluster, topic, partition, offset } => KeyFields {
                cluster: Some(cluster.as_ref().into()),
                topic: Some(topic.as_ref().into()),
                partition: Some(*partition),
                offset: Some(*offset),
                ..none
            },
            Self::Letters { cluster, topic, partition, first, run } => KeyFields {
                cluster: Some(cluster.as_ref().into()),
                topic: Some(topic.as_ref().into()),
                partition: Some(*partition),
                offset: Some(*first),
                run: Some(run.as_ref().into()),
                ..none
            },
            Self::Intent { cluster, topic, partition, offset } => KeyFields {
                cluster: Some(cluster.as_ref().into()),
                topic: Some(topic.as_ref().into()),
                partition: Some(*partition),
                offset: Some(*offset),
                intent: Some(true),
                ..none
            },
            Self::Owner { cluster, topic } => KeyFields {
                cluster: Some(cluster.as_ref().into()),
                topic: Some(topic.as_ref().into()),
                owner: Some(true),
                ..none
            },
            Self::Foreign => none,
        };
        encode(&fields)
    }

    /// Reads a key; what is not one of this format is [`Key::Foreign`].
    pub fn decode(key: Option<&'a [u8]>) -> Self {
        let fields = key.and_then(|k| serde_json::from_slice::<KeyFields<'a>>(k).ok());
        match fields {
            Some(KeyFields {
                format: Some(true),
                cluster: None,
                topic: None,
                partition: None,
                offset: None,
                owner: None,
                intent: None,
                run: None,
            }) => Self::Header,
            Some(KeyFields {
                format: None,
                cluster: Some(cluster),
                topic: Some(topic),
                partition: Some(partition),
                offset: Some(offset),
                owner: None,
                intent,
                run,
            }) => match (intent, run) {
                (None, None) => Self::Letter { cluster, topic, partition, offset },
                (None, Some(run)) => Self::Letters { cluster, topic, partition, first: offset, run },
                (Some(true), None) => Self::Intent { cluster, topic, partition, offset },
                _ => Self::Foreign,
            },
            Some(KeyFields {
                format: None,
                cluster: Some(cluster),
                topic: Some(topic),
                partition: None,
                offset: None,
                owner: Some(true),
                intent: None,
                run: None,
            }) => Self::Owner { cluster, topic },
            _ => Self::Foreign,
        }
    }
}

/// The header row: what the format means, for programs and people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRow {
    /// Version of the format.
    pub v: u32,
    /// How rows are keyed: `letter`; from version 3 on `letters`, where several may share one.
    pub rows: String,
    /// How many transactional ids write the rows of one dead-letter topic: always 1.
    pub transactional_ids_per_topic: u32,
    /// Program that wrote it.
    pub program: String,
}

impl HeaderRow {
    /// The header of the version that this program writes.
    pub fn current(program: impl Into<String>) -> Self {
        Self {
            v: FORMAT_VERSION,
            rows: rows_of(FORMAT_VERSION).into(),
            transactional_ids_per_topic: 1,
            program: program.into(),
        }
    }

    /// The value's bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a header; a newer one is refused.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, RowError> {
        let row: Self = decode(value, |row: &Self| row.v)?;
        if row.rows != rows_of(row.v) || row.transactional_ids_per_topic != 1 {
            return Err(RowError::Damaged("its header contradicts its version".into()));
        }
        Ok(row)
    }
}

/// What a header of a version says of its rows.
fn rows_of(version: u32) -> &'static str {
    if version < 3 { "letter" } else { "letters" }
}

/// A record's place at its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAt<'a> {
    /// Topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The topic's id; `None` where the broker has none.
    #[serde(borrow)]
    pub topic_id: Option<Cow<'a, str>>,
    /// Partition.
    pub partition: i32,
    /// Offset, from the delivery report.
    pub offset: i64,
}

/// Where the record failed first; what the letter does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootAt<'a> {
    /// Topic.
    #[serde(borrow)]
    pub topic: Option<Cow<'a, str>>,
    /// Partition.
    pub partition: Option<i32>,
    /// Offset.
    pub offset: Option<i64>,
    /// Timestamp of the record, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
}

/// A disposition that a later one replaced, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// What was decided.
    pub disposition: Disposition,
    /// By which run or action.
    pub run: String,
    /// Who, self-declared; `None` in rows of programs that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, milliseconds since the epoch.
    pub time_ms: i64,
}

/// The row of one letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterRow<'a> {
    /// Version of the row's format.
    pub v: u32,
    /// What was decided.
    pub disposition: Disposition,
    /// Id of the run or action that decided.
    #[serde(borrow)]
    pub run: Cow<'a, str>,
    /// Who, self-declared.
    #[serde(borrow)]
    pub operator: Cow<'a, str>,
    /// Why.
    #[serde(borrow)]
    pub reason: Option<Cow<'a, str>>,
    /// SHA-256 of the letter, in hex.
    #[serde(borrow)]
    pub sha256_before: Cow<'a, str>,
    /// SHA-256 of the letter after an edit, in hex; `None` where nothing was edited.
    pub sha256_after: Option<String>,
    /// Where it was written; `None` where it was not.
    #[serde(borrow)]
    pub target: Option<TargetAt<'a>>,
    /// Where the record failed first.
    #[serde(borrow, default)]
    pub root: RootAt<'a>,
    /// The consumer group that failed.
    #[serde(borrow)]
    pub group: Option<Cow<'a, str>>,
    /// How often the record was redriven, this time included.
    pub count: u32,
    /// What was decided before, oldest first; bounded by the writer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
    /// Program that wrote the row.
    #[serde(borrow)]
    pub program: Cow<'a, str>,
    /// When, by the writer's clock, milliseconds since the epoch.
    pub time_ms: i64,
}

impl LetterRow<'_> {
    /// The row with nothing borrowed.
    pub fn into_owned(self) -> LetterRow<'static> {
        fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        LetterRow {
            v: self.v,
            disposition: self.disposition,
            run: owned(self.run),
            operator: owned(self.operator),
            reason: self.reason.map(owned),
            sha256_before: owned(self.sha256_before),
            sha256_after: self.sha256_after,
            target: self.target.map(|target| TargetAt {
                topic: owned(target.topic),
                topic_id: target.topic_id.map(owned),
                partition: target.partition,
                offset: target.offset,
            }),
            root: RootAt { topic: self.root.topic.map(owned), ..self.root },
            group: self.group.map(owned),
            count: self.count,
            earlier: self.earlier,
            program: owned(self.program),
            time_ms: self.time_ms,
        }
    }
}

impl<'a> LetterRow<'a> {
    /// The value's bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a row; a newer one is refused, and so is one that says `redriven` but not where to.
    pub fn decode(value: Option<&'a [u8]>) -> Result<Self, RowError> {
        let row: Self = decode(value, |row: &Self| row.v)?;
        check(row.disposition, row.target.is_some())?;
        Ok(row)
    }
}

/// Whether a row can say so.
pub(super) fn check(disposition: Disposition, has_target: bool) -> Result<(), RowError> {
    match disposition {
        Disposition::Redriven if !has_target => {
            Err(RowError::Damaged("redriven, but without a target".into()))
        }
        Disposition::Pending => Err(RowError::Damaged("a row cannot say pending".into())),
        _ => Ok(()),
    }
}

/// What an owner is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerState {
    /// Writing.
    Running,
    /// Waiting or paused between transactions.
    Waiting,
    /// Ended.
    Done,
}

/// The owner row of a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// Version of the row's format.
    pub v: u32,
    /// Run id.
    pub run: String,
    /// Who, self-declared.
    pub operator: String,
    /// From which host.
    pub host: String,
    /// What it is doing.
    pub state: OwnerState,
    /// When, by the writer's clock; for the eye: its age is judged by the broker's time alone.
    pub time_ms: i64,
}

impl OwnerRow {
    /// The value's bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a row; a newer one is refused.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, RowError> {
        decode(value, |row: &Self| row.v)
    }
}

/// JSON without white space. The types of this module have no map with keys other than strings and no failing
/// serialiser, so that nothing can fail here.
pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    // As long as the row of a letter mostly is.
    encode_to(Vec::with_capacity(768), value)
}

pub(super) fn encode_to<T: Serialize>(mut out: Vec<u8>, value: &T) -> Bytes {
    match serde_json::to_writer(&mut out, value) {
        Ok(()) => Bytes::from(out),
        Err(_) => Bytes::new(),
    }
}

/// Reads a versioned value. The version is looked at first where the rest does not fit, so that a newer
/// format is told as such.
pub(super) fn decode<'a, T: Deserialize<'a>>(
    value: Option<&'a [u8]>,
    version: impl Fn(&T) -> u32,
) -> Result<T, RowError> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    let Some(value) = value else { return Err(RowError::Damaged("its value is null".into())) };
    let newer = |v: u64| Err(RowError::Newer { version: v });
    let is_readable = |v: u64| READABLE.iter().any(|readable| u64::from(*readable) == v);
    match serde_json::from_slice::<T>(value).map(|row| (u64::from(version(&row)), row)) {
        Ok((0, _)) => Err(RowError::Damaged("version 0 was never written".into())),
        Ok((v, row)) => {
            if is_readable(v) {
                Ok(row)
            } else {
                newer(v)
            }
        }
        Err(why) => match serde_json::from_slice::<Version>(value) {
            Ok(Version { v }) if v > 0 && !is_readable(v) => newer(v),
            _ => Err(RowError::Damaged(why.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_of_keys_are_fixed() {
        let text = |k: Key<'_>| String::from_utf8(k.encode().to_vec()).unwrap();
        assert_eq!(text(Key::Header), r#"{"format":true}"#);
        assert_eq!(
            text(Key::letter("c", "t", 3, 9)),
            r#"{"cluster":"c","topic":"t","partition":3,"offset":9}"#
        );
        assert_eq!(
            text(Key::letters("c", "t", 3, 9, "r")),
            r#"{"cluster":"c","topic":"t","partition":3,"offset":9,"run":"r"}"#
        );
        assert_eq!(text(Key::owner("c", "t")), r#"{"cluster":"c","topic":"t","owner":true}"#);
    }

    #[test]
    fn a_key_with_a_field_too_many_is_foreign() {
        for key in [
            &br#"{"cluster":"c","topic":"t","partition":3,"offset":9,"lane":1}"#[..],
            br#"{"format":true,"owner":true}"#,
            br#"{"format":false}"#,
            b"orders",
            b"",
        ] {
            assert_eq!(Key::decode(Some(key)), Key::Foreign);
        }
        assert_eq!(Key::decode(None), Key::Foreign);
    }

    #[test]
    fn a_newer_row_is_refused_even_where_its_fields_still_fit() {
        for version in [2, 5] {
            let mut row = sample();
            row.v = version;
            let newer = RowError::Newer { version: version.into() };
            assert_eq!(LetterRow::decode(Some(&row.encode())), Err(newer));
        }
        let other = br#"{"v":7,"disposition":["redriven"]}"#;
        assert_eq!(LetterRow::decode(Some(other)), Err(RowError::Newer { version: 7 }));
        assert_eq!(HeaderRow::decode(Some(br#"{"v":2}"#)), Err(RowError::Newer { version: 2 }));
        assert_eq!(OwnerRow::decode(Some(br#"{"v":5}"#)), Err(RowError::Newer { version: 5 }));
        let header =
            |v: u32, rows: &str| HeaderRow { v, rows: rows.into(), ..HeaderRow::current("t") }.encode();
        assert!(HeaderRow::decode(Some(&header(1, "letter"))).is_ok());
        for v in [3, 4] {
            assert!(HeaderRow::decode(Some(&header(v, "letters"))).is_ok());
        }
        for (v, rows) in [(1, "letters"), (3, "letter"), (4, "letter")] {
            assert!(matches!(HeaderRow::decode(Some(&header(v, rows))), Err(RowError::Damaged(_))));
        }
    }

    #[test]
    fn a_row_of_the_first_version_is_read() {
        let row = LetterRow { v: 1, ..sample() };
        assert_eq!(LetterRow::decode(Some(&row.encode())), Ok(row));
    }

    #[test]
    fn a_field_that_is_not_known_is_ignored() {
        let mut json: serde_json::Value = serde_json::from_slice(&sample().encode()).unwrap();
        json["mood"] = "good".into();
        let bytes = serde_json::to_vec(&json).unwrap();
        assert_eq!(LetterRow::decode(Some(&bytes)).unwrap(), sample());
    }

    #[test]
    fn a_row_that_says_redriven_must_say_where_to() {
        let mut row = sample();
        row.target = None;
        assert!(matches!(LetterRow::decode(Some(&row.encode())), Err(RowError::Damaged(_))));
        assert!(matches!(LetterRow::decode(Some(b"{}")), Err(RowError::Damaged(_))));
        assert!(matches!(LetterRow::decode(None), Err(RowError::Damaged(_))));
    }

    fn sample() -> LetterRow<'static> {
        LetterRow {
            v: FORMAT_VERSION,
            disposition: Disposition::Redriven,
            run: "r1".into(),
            operator: "ada@desk".into(),
            reason: Some("gateway is back".into()),
            sha256_before: "00ff".into(),
            sha256_after: None,
            target: Some(TargetAt {
                topic: "orders".into(),
                topic_id: Some("T".into()),
                partition: 2,
                offset: 77,
            }),
            root: RootAt {
                topic: Some("orders".into()),
                partition: Some(2),
                offset: Some(5),
                timestamp_ms: Some(1),
            },
            group: Some("email".into()),
            count: 1,
            earlier: Vec::new(),
            program: "redrive 0.1.0".into(),
            time_ms: 3,
        }
    }

    proptest! {
        #[test]
        fn a_letter_row_survives_its_codec(
            run in ".*", operator in ".*", reason in proptest::option::of(".*"), topic in ".*",
            partition in any::<i32>(), offset in any::<i64>(), count in any::<u32>(), time in any::<i64>(),
            root in proptest::option::of((".*", any::<i32>(), any::<i64>())),
        ) {
            let row = LetterRow {
                run: run.into(), operator: operator.into(), reason: reason.map(Into::into), count, time_ms: time,
                target: Some(TargetAt { topic: topic.into(), topic_id: None, partition, offset }),
                root: root.map(|(t, p, o)| RootAt { topic: Some(t.into()), partition: Some(p), offset: Some(o), timestamp_ms: None })
                    .unwrap_or_default(),
                earlier: vec![Earlier {
                    disposition: Disposition::Parked, run: "e".into(), operator: None, reason: Some("r".into()), time_ms: 1,
                }],
                ..sample()
            };
            let bytes = row.encode();
            prop_assert_eq!(LetterRow::decode(Some(&bytes)).unwrap(), row);
        }

        #[test]
        fn a_key_survives_its_codec(cluster in ".*", topic in ".*", partition in any::<i32>(), offset in any::<i64>()) {
            let key = Key::letter(&cluster, &topic, partition, offset);
            let bytes = key.encode();
            prop_assert_eq!(Key::decode(Some(&bytes)), key);
            let key = Key::owner(&cluster, &topic);
            let bytes = key.encode();
            prop_assert_eq!(Key::decode(Some(&bytes)), key);
        }

        #[test]
        fn no_bytes_make_the_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Key::decode(Some(&bytes));
            prop_assert!(LetterRow::decode(Some(&bytes)).is_err());
            prop_assert!(OwnerRow::decode(Some(&bytes)).is_err());
        }
    }
}
