//! The options of a plan, the same for `plan` and `replay`.

use crate::redrive::document::Into as Target;
use crate::redrive::options::{CanaryThen, Options, Place, Which};
use crate::text::units::parse_duration;

/// How a plan is carried out.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct HowArgs {
    /// Records a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Send so many records first, and wait for proof that they are processed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// How long the proof is waited for
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = wait)]
    canary_wait: u64,
    /// What follows the canary: continue (where nothing came back), stop, or ask (at a terminal, else stop)
    #[arg(long, value_name = "WHAT", default_value = "continue", value_parser = then)]
    canary_then: CanaryThen,
    /// Stop when more than this share of the last 50 records fails again; 100 never stops
    #[arg(long, value_name = "PERCENT", default_value = "20", value_parser = clap::value_parser!(u32).range(0..=100))]
    stop_above: u32,
    /// To which partitions: original, or rehash (where Java's client puts the key now); by default what the
    /// records themselves tell
    #[arg(long, value_name = "HOW", value_parser = place)]
    place: Option<Place>,
    /// Whose bytes are sent: letter, or origin (the record that failed, while retention has it)
    #[arg(long, value_name = "WHOSE", default_value = "letter", value_parser = bytes)]
    bytes: Which,
    /// Keep the timestamps of the original records; by default they get new ones
    #[arg(long)]
    keep_timestamps: bool,
    /// Change the records: a jq expression over {key, value, headers, …} that gives the document back; what it does
    /// not change keeps its bytes
    #[arg(long, value_name = "JQ")]
    edit: Option<String>,
    /// Strip this header too; a * at its end stands for anything
    #[arg(long, value_name = "NAME")]
    strip_header: Vec<String>,
    /// Add this header
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    add_header: Vec<(String, String)>,
    /// Go on although this rule refuses; it is kept in the audit
    #[arg(long, value_name = "RULE")]
    force: Vec<String>,
}

impl HowArgs {
    /// The options of the plan.
    pub fn options(self) -> Options {
        Options {
            rate: self.rate,
            canary: self.canary,
            canary_wait_ms: self.canary_wait,
            canary_then: self.canary_then,
            stop_above: self.stop_above,
            place: self.place,
            bytes: self.bytes,
            fill_keys: false,
            edit: self.edit,
            pace: None,
            strip_headers: self.strip_header,
            add_headers: self.add_header,
            keep_timestamps: self.keep_timestamps,
            force: self.force,
        }
    }
}

/// A positive duration in milliseconds.
pub(super) fn wait(text: &str) -> Result<u64, String> {
    let ms = parse_duration(text)?;
    u64::try_from(ms).ok().filter(|ms| *ms > 0).ok_or_else(|| "a time above 0 was expected".to_owned())
}

fn then(text: &str) -> Result<CanaryThen, String> {
    [CanaryThen::Continue, CanaryThen::Stop, CanaryThen::Ask]
        .into_iter()
        .find(|then| then.as_str() == text)
        .ok_or_else(|| "continue, stop or ask was expected".to_owned())
}

fn place(text: &str) -> Result<Place, String> {
    let known = [Place::Original, Place::Rehash].into_iter().find(|place| place.as_str() == text);
    known.ok_or_else(|| "original or rehash was expected".to_owned())
}

fn bytes(text: &str) -> Result<Which, String> {
    let known = [Which::Letter, Which::Origin].into_iter().find(|which| which.as_str() == text);
    known.ok_or_else(|| "letter or origin was expected".to_owned())
}

/// Where to: `origin`, `retry`, or `topic:NAME`.
pub(super) fn target(text: &str) -> Result<Target, String> {
    match text.strip_prefix("topic:") {
        Some("") => Err("a name was expected after topic:".to_owned()),
        Some(name) => Ok(Target::Topic(name.to_owned())),
        None if text == "origin" => Ok(Target::Origin),
        None if text == "retry" => Ok(Target::Retry),
        None => Err("origin, retry or topic:NAME was expected".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("name=value was expected".to_owned()),
    }
}
