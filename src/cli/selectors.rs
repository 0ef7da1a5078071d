//! Selectors: the options that say which records are meant, the same for every command.

use bytes::Bytes;
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::filter::jq::Program;
use crate::filter::{Edge, Selection, partitions};
use crate::text::{Fault, Timestamp};

/// `--isolation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum IsolationWord {
    /// Only records of committed transactions
    ReadCommitted,
    /// All records, aborted and open transactions too
    ReadUncommitted,
}

/// The selectors.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selectors")]
pub struct Selectors {
    /// Partitions, for example 0,3-5 (default: all)
    #[arg(long, value_name = "LIST")]
    pub partition: Option<String>,
    /// Begin here: beginning, end, -N (the last N of each partition), offset:N, or @TIME, where TIME is
    /// RFC 3339 (local time without an offset), -15m, or today
    #[arg(long, value_name = "EDGE", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// End before this (as --from)
    #[arg(long, value_name = "EDGE", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Only records with exactly this key
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "key_base64")]
    pub key: Option<String>,
    /// The same, for a key that is no text
    #[arg(long, value_name = "BASE64")]
    pub key_base64: Option<String>,
    /// Read all partitions, although the key belongs to one
    #[arg(long)]
    pub all_partitions: bool,
    /// Only records whose key, value or a header contains these bytes, before decoding
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub contains: Option<String>,
    /// Only records for which this jq expression is true
    #[arg(long = "where", value_name = "JQ", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Which records of transactions are read (dead letters are always read committed)
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "read_committed")]
    pub isolation: IsolationWord,
}

impl Selectors {
    /// The selection, with times made absolute; what is wrong with it is told before anything is asked.
    pub fn selection(&self, now: Timestamp) -> Result<Selection, Fault> {
        let zone = TimeZone::system();
        let edge = |option: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| Edge::parse(text, now, &zone).map_err(|why| wrong(option, text, why)))
                .transpose()
        };
        if let Some(code) = &self.filter {
            // Before anything is connected.
            Program::condition(code, "--where")?;
        }
        Ok(Selection {
            partitions: self.partitions()?,
            from: edge("--from", &self.from)?,
            to: edge("--to", &self.to)?,
            key: self.key()?,
            all_partitions: self.all_partitions,
            contains: self.contains.clone().map(Bytes::from),
            filter: self.filter.clone(),
            limit: self.limit,
            uncommitted: self.isolation == IsolationWord::ReadUncommitted,
        })
    }

    fn partitions(&self) -> Result<Vec<i32>, Fault> {
        let Some(text) = &self.partition else { return Ok(Vec::new()) };
        partitions(text).map_err(|why| wrong("--partition", text, why))
    }

    fn key(&self) -> Result<Option<Bytes>, Fault> {
        if let Some(text) = &self.key {
            return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
        }
        let Some(text) = &self.key_base64 else { return Ok(None) };
        base64("--key-base64", text).map(Some)
    }
}

/// A selection as the answer prints it: times resolved, in UTC.
#[derive(Debug, Serialize)]
pub(super) struct Selected {
    partitions: Vec<i32>,
    from: Option<String>,
    to: Option<String>,
    isolation: &'static str,
}

impl Selected {
    /// Of records.
    pub(super) fn of(selection: &Selection) -> Self {
        let isolation = if selection.uncommitted { "read_uncommitted" } else { "read_committed" };
        Self {
            partitions: selection.partitions.clone(),
            from: selection.from.as_ref().map(Edge::to_string),
            to: selection.to.as_ref().map(Edge::to_string),
            isolation,
        }
    }

    /// Of dead letters, which are always read committed.
    pub(super) fn of_letters(selection: &Selection) -> Self {
        Self { isolation: "read_committed", ..Self::of(selection) }
    }
}

/// The bytes that the value of an option says.
pub(super) fn base64(option: &str, text: &str) -> Result<Bytes, Fault> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|e| wrong(option, text, format!("base64 was expected: {e}")))?;
    Ok(Bytes::from(bytes))
}

/// The fault of an option's value.
pub(super) fn wrong(option: &str, text: &str, why: impl Into<String>) -> Fault {
    Fault::usage("usage", format!("wrong value {text:?} for {option}")).why(why)
}
