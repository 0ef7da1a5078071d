//! The parts of a plan's form: what is asked for each, what may be typed, and the command line that says the same.

use std::time::Duration;

use crate::redrive::document::{Into, PlanRequest};
use crate::redrive::options::{CanaryThen, Options};
use crate::text::shell::quoted;
use crate::text::units::{self, count};

/// A part of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Where to.
    Into,
    /// Records a second.
    Rate,
    /// How many go first.
    Canary,
    /// When it stops by itself.
    Stop,
    /// New timestamps or those of the letters.
    Timestamps,
    /// Headers to strip in addition.
    Strip,
    /// Rules to force.
    Force,
    /// The button that runs it.
    Run,
    /// The button that saves it.
    Save,
    /// The button that copies its command.
    Copy,
    /// The button that leaves it.
    Back,
}

/// All of them, in the order of the cursor.
pub const FIELDS: [Field; 11] = [
    Field::Into,
    Field::Rate,
    Field::Canary,
    Field::Stop,
    Field::Timestamps,
    Field::Strip,
    Field::Force,
    Field::Run,
    Field::Save,
    Field::Copy,
    Field::Back,
];

/// What to ask for a part of the form, and what stands there now.
pub fn question(request: &PlanRequest, field: Field) -> Option<(&'static str, String)> {
    Some(match field {
        Field::Into => {
            let now = match &request.into {
                Into::Origin => "origin",
                Into::Retry => "retry",
                Into::Topic(topic) => topic,
            };
            ("into: a topic, origin or retry", now.to_owned())
        }
        Field::Rate => {
            let now = request.options.rate.map_or_else(String::new, |rate| rate.to_string());
            ("records a second, empty for no limit", now)
        }
        Field::Canary => {
            let options = &request.options;
            let size = options.canary.map_or_else(String::new, |n| n.to_string());
            let wait = units::duration(Duration::from_millis(options.canary_wait_ms)).replace(' ', "");
            let now = if size.is_empty() {
                size
            } else {
                format!("{size} {wait} {}", options.canary_then.as_str())
            };
            ("canary: how many, how long (60s), then ask|continue|stop; empty for none", now)
        }
        Field::Stop => {
            ("stop when more than so many % of the last 50 come back", request.options.stop_above.to_string())
        }
        Field::Strip => ("headers to take off as well", request.options.strip_headers.join(" ")),
        Field::Force => ("rules to force", request.options.force.join(" ")),
        _ => return None,
    })
}

/// Takes what was typed for a part, or says what is wrong.
pub fn change(request: &mut PlanRequest, field: Field, text: &str) -> Result<(), String> {
    let text = text.trim();
    let words = || text.split([' ', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
    match field {
        Field::Into if text.is_empty() || text == "origin" => request.into = Into::Origin,
        Field::Into if text == "retry" => request.into = Into::Retry,
        Field::Into => request.into = Into::Topic(text.strip_prefix("topic:").unwrap_or(text).to_owned()),
        Field::Rate if text.is_empty() => request.options.rate = None,
        Field::Rate => match text.parse::<u32>() {
            Ok(rate) if rate > 0 => request.options.rate = Some(rate),
            _ => return Err("records a second are a whole number above 0".to_owned()),
        },
        Field::Canary => canary(&mut request.options, text)?,
        Field::Stop => match text.trim_end_matches('%').trim().parse::<u32>() {
            Ok(above) if above <= 100 => request.options.stop_above = above,
            _ => return Err("a share is a whole number from 0 to 100".to_owned()),
        },
        Field::Strip => request.options.strip_headers = words(),
        Field::Force => request.options.force = words(),
        _ => {}
    }
    Ok(())
}

/// The command line that makes this plan.
pub fn command(request: &PlanRequest) -> String {
    let mut out = format!("plan {}", quoted(&request.letters.topic));
    let mut option = |name: &str, value: &str| {
        out.extend([" ", name, " ", &quoted(value)]);
    };
    if let Some(failure) = &request.letters.failure {
        option("--failure", failure);
    }
    if let Some(only) = &request.only {
        let places: Vec<_> = only.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
        option("--only", &places.join(","));
    }
    match &request.into {
        Into::Origin => {}
        Into::Retry => option("--into", "retry"),
        Into::Topic(topic) => option("--into", &format!("topic:{topic}")),
    }
    if let Some(rate) = request.options.rate {
        option("--rate", &rate.to_string());
    }
    let options = &request.options;
    let usual = Options::default();
    if let Some(size) = options.canary {
        option("--canary", &size.to_string());
        if options.canary_wait_ms != usual.canary_wait_ms {
            option("--canary-wait", &format!("{}ms", options.canary_wait_ms));
        }
        if options.canary_then != usual.canary_then {
            option("--canary-then", options.canary_then.as_str());
        }
    }
    if options.stop_above != usual.stop_above {
        option("--stop-above", &options.stop_above.to_string());
    }
    if let Some(code) = &request.options.edit {
        option("--edit", code);
    }
    for header in &request.options.strip_headers {
        option("--strip-header", header);
    }
    for rule in &request.options.force {
        option("--force", rule);
    }
    if request.options.keep_timestamps {
        out.push_str(" --keep-timestamps");
    }
    out
}

/// Reads `10 60s ask`; what is left out stays as it is.
fn canary(options: &mut Options, text: &str) -> Result<(), String> {
    let mut words = text.split_whitespace();
    let Some(size) = words.next() else {
        options.canary = None;
        return Ok(());
    };
    let size = size.parse::<u32>().ok().filter(|n| *n > 0);
    let size = size.ok_or("the canary's size is a whole number above 0")?;
    let (mut wait, mut then) = (options.canary_wait_ms, options.canary_then);
    for word in words {
        let named = [CanaryThen::Continue, CanaryThen::Stop, CanaryThen::Ask];
        if let Some(named) = named.into_iter().find(|then| then.as_str() == word) {
            then = named;
            continue;
        }
        let ms = units::parse_duration(word).ok().and_then(|ms| u64::try_from(ms).ok());
        wait = ms.filter(|ms| *ms > 0).ok_or("a time like 60s, or ask, continue or stop is expected")?;
    }
    (options.canary, options.canary_wait_ms, options.canary_then) = (Some(size), wait, then);
    Ok(())
}

/// The canary in words.
pub fn canary_words(options: &Options) -> String {
    let Some(size) = options.canary else { return "none".to_owned() };
    let wait = units::duration(Duration::from_millis(options.canary_wait_ms));
    format!("{}, {wait} at most for proof, then {}", count(u64::from(size)), options.canary_then.as_str())
}
