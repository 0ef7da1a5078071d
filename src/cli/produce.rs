//! `redrive produce`: records of the operator's own into a topic, after the operator agreed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;

use super::consent::{Consent, Matter, UNWRITTEN};
use super::exit::{Done, Ended, Stop};
use super::selectors::{base64, wrong};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::event::encode::SchemaChoice;
use crate::event::{Headers, archive};
use crate::filter::Edge;
use crate::redrive::produce::{Draft, ProduceAgreed, ProduceAnswer, ProduceRequest, ProducedRecord};
use crate::text::{Fault, Timestamp, units};

/// More records than this are agreed to by typing their number.
const MANY: u64 = 1_000;
/// Records of one command at most: they are one transaction.
const MOST: usize = 10_000;
/// Bytes that are read from a file or from stdin at most: a broker takes no larger record.
const MOST_BYTES: u64 = 100 << 20;
/// Records that are shown.
const SHOWN: usize = 10;
/// Characters of a key, value or header that are shown.
const WIDTH: usize = 200;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("any_key").args(["key", "key_base64"]))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["value", "value_base64", "file", "null"]))]
pub(super) struct Args {
    /// The topic; it must exist
    topic: String,
    /// The key; without one it is null, and '' is an empty one
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "key_base64")]
    key: Option<String>,
    /// The same, for a key that is no text
    #[arg(long, value_name = "BASE64")]
    key_base64: Option<String>,
    /// The value; '' is an empty one
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    value: Option<String>,
    /// The same, for a value that is no text
    #[arg(long, value_name = "BASE64")]
    value_base64: Option<String>,
    /// The value is what is in this file, byte for byte; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// No value: a tombstone, which deletes the key from a compacted topic
    #[arg(long)]
    null: bool,
    /// Each line of the file is a record's value, without its line break
    #[arg(long, requires = "file")]
    lines: bool,
    /// Encode the value, which is JSON, by a schema of the registry: its id, SUBJECT, SUBJECT:VERSION, or latest (the
    /// newest of TOPIC-value); behind a # the message, of a Protobuf schema with several
    #[arg(long, value_name = "SCHEMA", conflicts_with = "null")]
    schema: Option<String>,
    /// The same for the key (latest: the newest of TOPIC-key)
    #[arg(long, value_name = "SCHEMA", requires = "any_key")]
    key_schema: Option<String>,
    /// A header: NAME=VALUE, or as an export writes it: {"name":…,"value":…,"encoding":"utf8|base64|null"}
    #[arg(long, value_name = "HEADER", allow_hyphen_values = true)]
    header: Vec<String>,
    /// The partition; by default the key decides as with the Java client, or chance without a key
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    partition: Option<i32>,
    /// The timestamp: RFC 3339 (local time without an offset), -15m, or today; by default now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timestamp: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let headers = headers(&args.header)?;
    let key = match (&args.key, &args.key_base64) {
        (Some(text), _) => Some(Bytes::from(text.clone())),
        (None, Some(text)) => Some(base64("--key-base64", text)?),
        (None, None) => None,
    };
    let timestamp = args.timestamp.as_deref().map(|text| timestamp(text, session.clock.now())).transpose()?;
    let choice = |option: &str, text: &Option<String>| {
        let parse = |text: &String| SchemaChoice::parse(text).map_err(|why| wrong(option, text, why));
        text.as_ref().map(parse).transpose()
    };
    let (key_schema, schema) = (choice("--key-schema", &args.key_schema)?, choice("--schema", &args.schema)?);
    let values = values(session, &args).await?;
    let records: Vec<Draft> =
        values.into_iter().map(|value| Draft { key: key.clone(), value, headers: headers.clone() }).collect();
    let cx = session.connect().await?;
    let profile = Arc::clone(&cx.profile);
    args.consent.allowed(&cx, "written")?;
    let desk = Desk::new(cx);
    let mut request = ProduceRequest {
        topic: args.topic.into(),
        records,
        key_schema,
        schema,
        partition: args.partition,
        timestamp,
        agreed: None,
    };
    let shown = ask(session, &desk, &request).await?;
    if args.consent.dry_run {
        tell(session, &shown)?;
        return Ok(Done::All);
    }
    let count = shown.records.len() as u64;
    let matter =
        Matter { lines: announce(&shown), count, counts: "records", grave: count > MANY, undone: UNWRITTEN };
    if !args.consent.given(session, &profile, &matter, || tell(session, &shown)).await? {
        return Ok(Done::Refused);
    }
    request.agreed = Some(ProduceAgreed { reason: args.consent.reason });
    let answer = ask(session, &desk, &request).await?;
    tell(session, &answer)?;
    Ok(Done::All)
}

async fn ask(
    session: &Session<'_>,
    desk: &Desk,
    request: &ProduceRequest,
) -> Result<Arc<ProduceAnswer>, Stop> {
    match session.ask(desk, Request::Produce(request.clone())).await? {
        Answer::Produce(answer) => Ok(answer),
        _ => Err(session::unexpected()),
    }
}

fn headers(given: &[String]) -> Result<Headers, Fault> {
    let mut headers = Headers::default();
    for text in given {
        let (name, value) = header(text).map_err(|why| wrong("--header", text, why))?;
        headers.push(name, value);
    }
    Ok(headers)
}

/// A name and a value. librdkafka cuts a name at its first NUL, so that one is refused.
fn header(text: &str) -> Result<(Bytes, Option<Bytes>), String> {
    let (name, value) = if text.starts_with('{') {
        let object = serde_json::from_str(text).map_err(|e| format!("a JSON object was expected: {e}"))?;
        archive::header(&object)?
    } else {
        let (name, value) = text.split_once('=').ok_or("NAME=VALUE was expected")?;
        (Bytes::from(name.to_owned()), Some(Bytes::from(value.to_owned())))
    };
    match name.as_ref() {
        [] => Err("the name of a header cannot be empty".to_owned()),
        name if name.contains(&0) => Err("the name of a header cannot contain a NUL byte".to_owned()),
        _ => Ok((name, value)),
    }
}

fn timestamp(text: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    let edge = Edge::parse(&format!("@{}", text.trim_start_matches('@')), now, &TimeZone::system());
    match edge.map_err(|why| wrong("--timestamp", text, why))? {
        Edge::Time(at) if at.as_millis() >= 0 => Ok(at),
        _ => Err(wrong("--timestamp", text, "a time after 1970 was expected")),
    }
}

async fn values(session: &Session<'_>, args: &Args) -> Result<Vec<Option<Bytes>>, Stop> {
    if let Some(text) = &args.value {
        return Ok(vec![Some(Bytes::from(text.clone()))]);
    }
    if let Some(text) = &args.value_base64 {
        return Ok(vec![Some(base64("--value-base64", text)?)]);
    }
    let Some(path) = args.file.clone() else { return Ok(vec![None]) };
    let read = tokio::task::spawn_blocking(move || read(&path));
    let bytes = tokio::select! {
        read = read => read.map_err(|e| Fault::failed("internal", e.to_string()))??,
        () = session.cancel.cancelled() => return Err(Fault::cancelled().into()),
    };
    if !args.lines {
        return Ok(vec![Some(bytes)]);
    }
    let values = lines(&bytes);
    match values.len() {
        0 => Err(Fault::usage("usage", "there are no lines, and so no records").into()),
        n if n > MOST => Err(Fault::usage(
            "usage",
            format!("{} records are too many for one transaction", units::count(n as u64)),
        )
        .why(format!("at most {} are written at once", units::count(MOST as u64)))
        .hint("`redrive import` writes files of any length")
        .into()),
        _ => Ok(values.into_iter().map(Some).collect()),
    }
}

/// The lines, without their breaks; what follows the last break is a line where it is not empty.
fn lines(bytes: &Bytes) -> Vec<Bytes> {
    let mut rest = bytes.as_ref();
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (line, after) = match memchr::memchr(b'\n', rest) {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        out.push(bytes.slice_ref(line.strip_suffix(b"\r").unwrap_or(line)));
        rest = after;
    }
    out
}

fn read(path: &Path) -> Result<Bytes, Fault> {
    let (name, read) = if path == Path::new("-") {
        ("stdin".to_owned(), whole(io::stdin().lock()))
    } else {
        (path.display().to_string(), File::open(path).and_then(whole))
    };
    let bytes =
        read.map_err(|e| Fault::usage("file", format!("{name} cannot be read")).why(e.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Fault::usage("too_large", format!("{name} is too large for a record"))
            .why(format!("it has more than {}", units::bytes(MOST_BYTES))));
    }
    Ok(bytes)
}

fn whole(input: impl Read) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    input.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Bytes::from(bytes))
}

fn announce(shown: &ProduceAnswer) -> Vec<String> {
    let mut lines = match &*shown.records {
        [record] => {
            let mut lines = vec![format!("write one record of {} into {}", size(record), shown.topic)];
            lines.extend(facts(record).into_iter().map(|(name, text)| format!("  {name}: {text}")));
            lines
        }
        records => {
            let count = units::count(records.len() as u64);
            let mut lines = vec![format!("write {count} records into {}, all of them or none", shown.topic)];
            lines.extend(records.iter().take(SHOWN).map(|r| format!("  {}", brief(r))));
            if records.len() > SHOWN {
                lines.push(format!("  … and {} more", units::count((records.len() - SHOWN) as u64)));
            }
            lines
        }
    };
    lines.extend(schemas(shown).into_iter().map(|(what, schema)| format!("  {what}: {schema}")));
    lines.extend(shown.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.push("every group that reads the topic sees it; this cannot be undone".to_owned());
    lines
}

/// What keys and values were encoded by.
fn schemas(answer: &ProduceAnswer) -> Vec<(&'static str, String)> {
    [("key schema", &answer.key_schema), ("schema", &answer.schema)]
        .into_iter()
        .filter_map(|(what, schema)| Some((what, schema.as_ref()?.words())))
        .collect()
}

fn size(record: &ProducedRecord) -> String {
    units::bytes(record.size)
}

fn brief(record: &ProducedRecord) -> String {
    format!(
        "key {}, value {}",
        text(&record.key, record.key_encoding),
        text(&record.value, record.value_encoding)
    )
}

/// What one record is, a fact a line.
fn facts(record: &ProducedRecord) -> Vec<(&'static str, String)> {
    let placed = record.partition.map_or_else(
        || {
            let by = if record.key_encoding == "null" { "chance" } else { "the key (murmur2)" };
            format!("by {by}")
        },
        |partition| partition.to_string(),
    );
    let mut out = vec![("partition", placed)];
    out.extend(record.offset.map(|offset| ("offset", units::signed(offset))));
    let at = record.timestamp.map_or_else(|| "when it is written".to_owned(), |at| at.to_string());
    out.push(("timestamp", at));
    out.push(("key", text(&record.key, record.key_encoding)));
    out.push(("value", text(&record.value, record.value_encoding)));
    for header in record.headers.as_array().into_iter().flatten() {
        let encoding = header["encoding"].as_str().unwrap_or_default();
        let name = header["name"].as_str().unwrap_or_default();
        let name = header["name_encoding"]
            .as_str()
            .map_or_else(|| name.to_owned(), |encoding| format!("{name} ({encoding})"));
        out.push(("header", format!("{name} = {}", text(&header["value"], encoding))));
    }
    out
}

/// Bytes for the eye: null, empty and text are told apart.
fn text(value: &serde_json::Value, encoding: &str) -> String {
    match (encoding, value.as_str().unwrap_or_default()) {
        ("null", _) => "null".to_owned(),
        ("json", _) => crate::text::width::cut(&value.to_string(), WIDTH).into_owned(),
        (_, "") => "empty".to_owned(),
        ("utf8", text) => crate::text::width::cut(text, WIDTH).into_owned(),
        (encoding, text) => format!("{} ({encoding})", crate::text::width::cut(text, WIDTH)),
    }
}

fn tell(session: &Session<'_>, answer: &ProduceAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

fn show(session: &Session<'_>, answer: &ProduceAnswer) -> Result<(), Stop> {
    let out = session.output;
    let mut lines =
        vec![("dry run", if answer.dry_run { "nothing was written".to_owned() } else { String::new() })];
    lines.push(("topic", answer.topic.to_string()));
    match &*answer.records {
        [record] => lines.extend(facts(record)),
        records => {
            lines.push(("records", units::count(records.len() as u64)));
            lines.extend(records.iter().take(SHOWN).map(|record| {
                let place = match (record.partition, record.offset) {
                    (Some(partition), Some(offset)) => format!("[{partition}] @ {}: ", units::signed(offset)),
                    _ => String::new(),
                };
                ("", format!("{place}{}", brief(record)))
            }));
            if records.len() > SHOWN {
                lines.push(("", format!("… and {} more", units::count((records.len() - SHOWN) as u64))));
            }
        }
    }
    lines.extend(schemas(answer));
    lines.push(("id", answer.run.clone().unwrap_or_default()));
    lines.extend(answer.warnings.iter().map(|warning| ("warning", warning.clone())));
    out.facts(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_text_or_written_as_an_export_writes_it() {
        let pair = |name: &[u8], value: Option<&[u8]>| {
            Ok((Bytes::copy_from_slice(name), value.map(Bytes::copy_from_slice)))
        };
        assert_eq!(header("a=b=c"), pair(b"a", Some(b"b=c")));
        assert_eq!(header("a="), pair(b"a", Some(b"")));
        assert_eq!(header(r#"{"name":"a","value":null,"encoding":"null"}"#), pair(b"a", None));
        assert_eq!(
            header(r#"{"name":"/w==","name_encoding":"base64","value":"/g==","encoding":"base64"}"#),
            pair(b"\xff", Some(b"\xfe"))
        );
        for bad in ["a", "=b", "", "{", r#"{"value":"x"}"#, r#"{"name":"a","value":"*","encoding":"base64"}"#]
        {
            assert!(header(bad).is_err(), "{bad}");
        }
        let typed = header(r#"{"name":"a","valeu":"x"}"#).unwrap_err();
        assert!(typed.contains("valeu"), "{typed}");
    }

    #[test]
    fn lines_are_values_whatever_their_breaks_and_an_empty_line_is_an_empty_value() {
        let of = |text: &'static str| lines(&Bytes::from_static(text.as_bytes()));
        assert_eq!(of("a\r\n\nb"), ["a", "", "b"]);
        assert_eq!(of("a\n"), ["a"]);
        assert!(of("").is_empty());
    }
}
