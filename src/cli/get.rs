//! `redrive get`: one record whole, and how it was decoded; or why there is none.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Session;
use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::session;
use super::tail::BASE64;
use crate::ask::{Answer, Desk, Request};
use crate::config::profile::Profile;
use crate::dlq::{self, formats};
use crate::event::decode::{Base64, Decoded, Patience, Side};
use crate::event::view::{Layout, View};
use crate::event::{Position, Record, envelope};
use crate::records::RecordDocument;
use crate::records::document::{GetAnswer, GetRequest};
use crate::text::{Fault, Safe, TimeFormat, TimeStyle, units};

/// Bytes of one text that a line holds where the terminal's width is not known.
const WRAP: usize = 4096;
/// Lines that are laid out at once.
const LINES: usize = 4096;

/// Arguments of `get`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The topic
    topic: String,
    /// The partition
    partition: i32,
    /// The offset
    offset: i64,
    /// Decode the base64 inside a JSON value in place; what was decoded is marked, as {"base64:text": …}
    #[arg(long)]
    base64: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    record: RecordDocument<'a>,
    refused_decoders: Vec<Refused>,
    dead_letter: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct Refused {
    decoder: &'static str,
    why: String,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let at = Position::new(args.topic, args.partition, args.offset);
    if args.base64 && matches!(session.output.format(), Format::Raw | Format::Hex) {
        return Err(Fault::usage("usage", BASE64).hint("leave one of them out").into());
    }
    let cx = session.connect().await?;
    let profile = Arc::clone(&cx.profile);
    let inside = if args.base64 { Base64::Decode } else { Base64::Keep };
    let decode =
        |record: &Record| profile.decoding.decode(record, Side::Value, Patience::Wait).inside(inside);
    let desk = Desk::new(cx);
    let Answer::Get(answer) = session.ask(&desk, Request::Get(GetRequest { at: at.clone() })).await? else {
        return Err(session::unexpected());
    };
    let record = match &*answer {
        GetAnswer::Found(record) => record,
        GetAnswer::Nothing { why, text } => {
            return Err(Fault::failed(why, format!("there is no record at {at}")).why(text).into());
        }
    };
    match session.output.format() {
        Format::Json => session.output.document(&whole(record, &profile, decode(record)))?,
        Format::Jsonl => session.output.document_line(&whole(record, &profile, decode(record)))?,
        Format::Raw if !session.output.is_terminal() => {
            session.output.bytes(record.value.as_deref().unwrap_or_default())?;
        }
        Format::Raw => payload(session, record.value.as_ref(), Layout::Text)?,
        Format::Hex => payload(session, record.value.as_ref(), Layout::Hex)?,
        Format::Table => {
            let decoded = decode(record);
            facts(session, record, &profile, &decoded)?;
            let value = decoded.document().or_else(|| record.value.clone());
            let layout = View::fitting(value.as_deref().unwrap_or_default());
            payload(session, value.as_ref(), layout)?;
        }
    }
    Ok(Done::All)
}

fn whole<'a>(record: &'a Record, profile: &Profile, decoded: Decoded) -> Document<'a> {
    let letter = formats::decode(record, &profile.dead_letters);
    let refused = decoded.refused.clone();
    Document {
        record: RecordDocument::of(record, &profile.decoding, decoded),
        refused_decoders: refused.into_iter().map(|(decoder, why)| Refused { decoder, why }).collect(),
        dead_letter: letter.format.is_some().then(|| dlq::document(&letter)),
    }
}

fn facts(session: &Session<'_>, record: &Record, profile: &Profile, decoded: &Decoded) -> Result<(), Stop> {
    let times = TimeFormat::new(TimeStyle::Local);
    let text = |bytes: &[u8]| Safe::from_bytes(bytes).as_str().to_owned();
    let document = decoded.document().or_else(|| record.value.clone());
    let event = envelope::extract_from(record, document.as_deref());
    let letter = formats::decode(record, &profile.dead_letters);
    let key = profile.decoding.decode(record, Side::Key, Patience::Wait);
    let key = key.document().or_else(|| record.key.clone());
    let refused = |(decoder, why): &(&str, String)| format!("{decoder}: {why}");
    let headers: Vec<String> = record
        .headers
        .iter()
        .map(|(name, value)| format!("{} = {}", text(name), value.map_or_else(|| "null".into(), |v| text(v))))
        .collect();
    let mut facts = vec![
        ("position", record.at.to_string()),
        ("time", units::or_dash(record.timestamp(), |at| times.full(at))),
        ("size", units::bytes(record.size() as u64)),
        ("key", key.map_or_else(|| units::DASH.to_owned(), |key| text(&key))),
        ("decoder", decoded.decoder.clone()),
        ("not", decoded.refused.iter().map(refused).collect::<Vec<_>>().join("; ")),
        ("event", event.type_.unwrap_or_default()),
        ("event id", event.id.unwrap_or_default()),
        ("aggregate", event.aggregate_id.unwrap_or_default()),
        ("format", letter.format.as_deref().unwrap_or_default().to_owned()),
        ("failed at", origin(&letter.root)),
        ("error", letter.error_class.unwrap_or_default()),
        ("message", letter.message.unwrap_or_default()),
    ];
    facts.extend(headers.into_iter().map(|header| ("header", header)));
    session.output.facts(&facts)?;
    session.output.line("")
}

fn origin(origin: &dlq::Origin) -> String {
    match (&origin.topic, origin.partition, origin.offset) {
        (Some(topic), Some(partition), Some(offset)) => format!("{topic}[{partition}] @ {offset}"),
        (Some(topic), ..) => topic.to_string(),
        _ => String::new(),
    }
}

fn payload(session: &Session<'_>, value: Option<&Bytes>, layout: Layout) -> Result<(), Stop> {
    let Some(value) = value else { return session.output.line("(no value: a tombstone)") };
    let mut view = View::new(value.clone(), layout, session.output.width().unwrap_or(WRAP));
    session.output.write(|out| {
        let mut from = 0;
        loop {
            view.count(from + LINES, usize::MAX);
            let lines = view.lines(from..from + LINES);
            if lines.is_empty() {
                return Ok(());
            }
            from += lines.len();
            for line in lines {
                writeln!(out, "{}", line.text())?;
            }
        }
    })?;
    session.output.flush()
}
