//! `redrive tail`: records of topics, as they lie or as they come.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::exit::{Done, Ended, Stop};
use super::output::{Format, Output};
use super::selectors::{Selected, Selectors};
use super::{Session, json, session};
use crate::ask::{Answer, Desk, Event, Request};
use crate::config::profile::Profile;
use crate::event::Record;
use crate::event::decode::{Base64, Decoded, Patience, Side};
use crate::event::view::{Layout, View};
use crate::filter::jq::{self, Program};
use crate::filter::{Selection, decoded};
use crate::records::document::{TailAnswer, TailRequest, Wanted};
use crate::records::{RecordDocument, going_on};
use crate::text::width::{left, right};
use crate::text::{Fault, Safe, TimeFormat, TimeStyle, units};

/// Bytes of a value that a line of a terminal is made of at most.
const PREVIEW: usize = 1024;
/// Lines of a hex dump that are made at once.
const LINES: usize = 4096;

/// Why `--base64` is refused.
pub(super) const BASE64: &str = "-o raw and -o hex give the bytes as they are, and --base64 decodes";

/// The beginning of the document of `-o json`: it is written with the first record, or at the end.
const HEAD: &[u8] = b"{\"schema\":1,\"records\":[";

/// Arguments of `tail`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    #[command(flatten)]
    selectors: Selectors,
    /// Go on with new records (the default on a terminal without --from)
    #[arg(long, short = 'f')]
    follow: bool,
    /// Print only how many records match, and not the records
    #[arg(long, conflicts_with_all = ["follow", "select", "separator"])]
    count: bool,
    /// Print only how many records and bytes would be read: as many as there are offsets, and by a sample
    #[arg(long, conflicts_with_all = ["follow", "select", "separator", "count"])]
    estimate: bool,
    /// Print what this jq expression makes of each record, instead of the record
    #[arg(long, value_name = "JQ", allow_hyphen_values = true)]
    select: Option<String>,
    /// What follows each value of -o raw and --select (\n, \t, \r, \0 and \\ are understood; default \n)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    separator: Option<String>,
    /// Decode the base64 inside JSON values in place; what was decoded is marked, as {"base64:text": …}
    #[arg(long, conflicts_with_all = ["count", "estimate", "select"])]
    base64: bool,
}

/// The end of the document of `-o json`, behind the records.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    answer: &'a TailAnswer,
    selection: Selected,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let selection = args.selectors.selection(session.clock.now())?;
    let selected = Selected::of(&selection);
    let open_end = selection.from.is_none() && selection.to.is_none();
    let follow = args.follow || (open_end && !args.count && session.output.is_terminal());
    let form = form(&args, session.output, follow)?;
    let wanted = match form {
        Form::Count => Wanted::Count,
        Form::Raw(_) | Form::Hex => Wanted::Values,
        _ => Wanted::Whole,
    };
    let limit = selection.limit;
    let cx = session.connect().await?;
    if args.estimate {
        return estimate(session, &Desk::new(cx), args.topics, selection).await;
    }
    let printer = Printer {
        output: session.output,
        form,
        several: args.topics.len() > 1,
        searches: selection.key.is_some() || selection.contains.is_some() || selection.filter.is_some(),
        watched: follow && session.output.is_terminal(),
        base64: if args.base64 { Base64::Decode } else { Base64::Keep },
        profile: Arc::clone(&cx.profile),
        times: TimeFormat::new(TimeStyle::Local),
        state: Mutex::default(),
        cancel: session.cancel.child_token(),
    };
    let answer = printer.print(&Desk::new(cx), request(args.topics, selection, follow, wanted)).await?;
    printer.end(&answer, selected)?;
    if session.cancel.is_cancelled() {
        return Ok(Done::Interrupted);
    }
    let enough = limit.is_some_and(|limit| answer.matched >= limit);
    Ok(if answer.complete || enough { Done::All } else { Done::Part })
}

async fn estimate(session: &Session<'_>, desk: &Desk, topics: Vec<String>, selection: Selection) -> Ended {
    let Request::Tail(request) = request(topics, selection, false, Wanted::Whole) else {
        return Err(session::unexpected());
    };
    let Answer::Estimate(answer) = session.ask(desk, Request::Estimate(request)).await? else {
        return Err(session::unexpected());
    };
    session.output.answer(&*answer, || session.output.line(&answer.words()))?;
    for note in &answer.notes {
        session.output.note(note);
    }
    Ok(Done::All)
}

fn request(topics: Vec<String>, selection: Selection, follow: bool, wanted: Wanted) -> Request {
    let topics = topics.into_iter().map(Arc::from).collect();
    Request::Tail(TailRequest { topics, selection, follow, wanted, after: Vec::new() })
}

/// How records are written.
enum Form {
    /// Their number, at the end.
    Count,
    /// A line a record.
    Lines,
    /// A document.
    Json,
    /// A document a line.
    Jsonl,
    /// The values' bytes.
    Raw(Vec<u8>),
    /// The values' bytes in hexadecimal.
    Hex,
    /// What an expression makes of them: as text with a separator, or as JSON.
    Select(Box<Program>, Option<Vec<u8>>),
}

fn form(args: &Args, output: &Output, follow: bool) -> Result<Form, Fault> {
    let separator = args.separator.as_deref().map_or_else(|| b"\n".to_vec(), unescape);
    let usage = |what: &str, hint: &str| Err(Fault::usage("usage", what).hint(hint));
    let format = output.format();
    if format == Format::Json && follow {
        return usage("a document has an end, and what is followed has none", "use -o jsonl");
    }
    if args.separator.is_some() && format != Format::Raw && (args.select.is_none() || format != Format::Table)
    {
        return usage("--separator goes with -o raw and with --select", "leave it out, or add -o raw");
    }
    if args.base64 && matches!(format, Format::Raw | Format::Hex) {
        return usage(BASE64, "leave one of them out");
    }
    if args.count {
        return match format {
            Format::Hex => usage("a number is not written as a hex dump", "leave -o hex out"),
            _ => Ok(Form::Count),
        };
    }
    let Some(code) = &args.select else {
        return Ok(match format {
            Format::Table => Form::Lines,
            Format::Json => Form::Json,
            Format::Jsonl => Form::Jsonl,
            Format::Raw => Form::Raw(separator),
            Format::Hex => Form::Hex,
        });
    };
    let program = Box::new(Program::projection(code, "--select")?);
    match format {
        Format::Table | Format::Raw => Ok(Form::Select(program, Some(separator))),
        Format::Jsonl => Ok(Form::Select(program, None)),
        Format::Json | Format::Hex => usage("--select gives one line a result", "use -o table, jsonl or raw"),
    }
}

/// Reads `\n`, `\t`, `\r`, `\0` and `\\`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, byte == b'\\') {
            (_, false) => out.push(byte),
            _ => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(b'r') => out.push(b'\r'),
                Some(b'0') => out.push(0),
                Some(b'\\') => out.push(b'\\'),
                other => out.extend([Some(b'\\'), other].into_iter().flatten()),
            },
        }
    }
    out
}

struct Printer<'a> {
    output: &'a Output,
    form: Form,
    several: bool,
    /// Whether records are searched, so that what was covered is part of the answer.
    searches: bool,
    /// Whether somebody looks at what is followed.
    watched: bool,
    base64: Base64,
    profile: Arc<Profile>,
    times: TimeFormat,
    state: Mutex<State>,
    /// Cancelled where nobody reads any more.
    cancel: CancellationToken,
}

#[derive(Default)]
struct State {
    printed: u64,
    /// How many of them are out, and the first record of each partition that is not.
    out: u64,
    next: BTreeMap<(Arc<str>, i32), i64>,
    stop: Option<Stop>,
    select_errors: u64,
    first_error: Option<String>,
}

fn place(record: &Record) -> (Arc<str>, i32) {
    (Arc::clone(&record.at.topic), record.at.partition)
}

impl State {
    /// A failure to write also says how much is out, and how to go on.
    fn stopped(&self, stop: Stop) -> Stop {
        let Stop::Fault(fault) = stop else { return stop };
        let places = self.next.iter().map(|((topic, partition), next)| (topic, *partition, *next));
        let hint = format!("{}; with other partitions from where this read began", going_on(places));
        let why = format!("{}; the first {} records were written", fault.why, units::count(self.out));
        Stop::Fault(Fault { why, ..fault }.hint(hint))
    }
}

impl Printer<'_> {
    async fn print(&self, desk: &Desk, request: Request) -> Result<Arc<TailAnswer>, Stop> {
        let tell = |event: Event| match event {
            // Where records are watched as they come, they tell how far it is.
            Event::Progress(_) if self.watched => {}
            Event::Progress(progress) => self.output.progress(&progress),
            Event::Records(records) => self.records(&records),
            Event::Run(_) => {}
        };
        let answer = desk.answer(request, &tell, self.cancel.clone()).await;
        if let Some(stop) = self.state().stop.take() {
            return Err(stop);
        }
        match answer? {
            Answer::Tail(answer) => Ok(answer),
            _ => Err(session::unexpected()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self, records: &[Record]) {
        let mut state = self.state();
        if state.stop.is_some() {
            return;
        }
        let written = self.output.write(|out| {
            for record in records {
                self.record(record, out, &mut state)?;
                state.printed += 1;
            }
            Ok(out.flush()?)
        });
        if let Err(stop) = written {
            // What lies behind these in their partitions was not written either.
            for record in records {
                state.next.entry(place(record)).or_insert(record.at.offset);
            }
            state.stop = Some(state.stopped(stop));
            self.cancel.cancel();
            return;
        }
        state.out = state.printed;
        for record in records {
            state.next.insert(place(record), record.at.offset + 1);
        }
    }

    fn record(&self, record: &Record, out: &mut impl Write, state: &mut State) -> Result<(), Stop> {
        match &self.form {
            Form::Count => {}
            Form::Lines => {
                let line = self.line(record);
                out.write_all(self.output.fit(&line).as_bytes())?;
                out.write_all(b"\n")?;
            }
            Form::Json => {
                out.write_all(if state.printed == 0 { HEAD } else { b"," })?;
                out.write_all(b"\n")?;
                json::compact(out, &self.document(record))?;
            }
            Form::Jsonl => {
                json::compact(&mut *out, &self.document(record))?;
                out.write_all(b"\n")?;
            }
            Form::Raw(separator) => self.text(record.value.as_deref().unwrap_or_default(), separator, out)?,
            Form::Hex => self.hex(record, out)?,
            Form::Select(program, separator) => {
                match program.outputs(&decoded(
                    record,
                    &self.profile.dead_letters,
                    &self.profile.decoding,
                    program,
                )) {
                    Ok(outputs) => {
                        for output in outputs {
                            self.output_of(&output, separator.as_deref(), out)?;
                        }
                    }
                    Err(why) => {
                        state.select_errors += 1;
                        state.first_error.get_or_insert_with(|| format!("{}: {why}", record.at));
                    }
                }
            }
        }
        Ok(())
    }

    fn document<'r>(&self, record: &'r Record) -> RecordDocument<'r> {
        let decoding = &self.profile.decoding;
        RecordDocument::of(record, decoding, self.value(record))
    }

    fn value(&self, record: &Record) -> Decoded {
        self.profile.decoding.decode(record, Side::Value, Patience::Wait).inside(self.base64)
    }

    /// One output of `--select`.
    fn output_of(
        &self,
        output: &jq::Output,
        separator: Option<&[u8]>,
        out: &mut impl Write,
    ) -> Result<(), Stop> {
        match (output, separator) {
            (output, Some(separator)) => self.text(output.bytes(), separator, out),
            (jq::Output::Text(text), None) => {
                json::compact(&mut *out, &crate::event::codec::encode_text(Some(text)).0)?;
                Ok(out.write_all(b"\n")?)
            }
            (jq::Output::Json(text), None) => {
                json::escaped(out, text)?;
                Ok(out.write_all(b"\n")?)
            }
        }
    }

    /// Bytes as they are; on a terminal made safe, line by line.
    fn text(&self, bytes: &[u8], separator: &[u8], out: &mut impl Write) -> Result<(), Stop> {
        if !self.output.is_terminal() {
            out.write_all(bytes)?;
            return Ok(out.write_all(separator)?);
        }
        for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
            if i > 0 {
                out.write_all(b"\n")?;
            }
            out.write_all(Safe::from_bytes(line).as_str().as_bytes())?;
        }
        match separator {
            b"\n" => out.write_all(b"\n")?,
            other => out.write_all(Safe::from_bytes(other).as_str().as_bytes())?,
        }
        Ok(())
    }

    /// A record on one line: time, place, key, value.
    fn line(&self, record: &Record) -> String {
        let limit = if self.output.width().is_some() { PREVIEW } else { usize::MAX };
        let cell = |bytes: Option<&Bytes>| {
            bytes.map_or_else(
                || units::DASH.to_owned(),
                |bytes| Safe::preview(bytes, limit).as_str().to_owned(),
            )
        };
        let time = units::or_dash(record.timestamp(), |at| self.times.full(at));
        let place = record.at.partition.to_string();
        let offset = record.at.offset.to_string();
        let value = match self.base64 {
            Base64::Keep => record.value.clone(),
            Base64::Decode => self.value(record).document().or_else(|| record.value.clone()),
        };
        let topic = if self.several { format!("{}  ", Safe::new(&record.at.topic)) } else { String::new() };
        format!(
            "{}  {topic}{}  {}  {}  {}",
            left(&time, 30),
            right(&place, 3),
            right(&offset, 10),
            left(&cell(record.key.as_ref()), 20),
            cell(value.as_ref())
        )
    }

    fn hex(&self, record: &Record, out: &mut impl Write) -> Result<(), Stop> {
        let time = units::or_dash(record.timestamp(), |at| self.times.full(at));
        writeln!(out, "{}  {time}", Safe::new(&record.at.to_string()))?;
        let Some(value) = &record.value else { return Ok(writeln!(out, "(no value)")?) };
        let view = View::new(value.clone(), Layout::Hex, 16);
        let mut from = 0;
        while from < view.known() {
            for line in view.lines(from..from + LINES) {
                writeln!(out, "{}", line.text())?;
            }
            from += LINES;
        }
        Ok(())
    }

    /// The end of the document, and what is to be said beside the data.
    fn end(&self, answer: &TailAnswer, selection: Selected) -> Result<(), Stop> {
        if matches!(self.form, Form::Count) {
            let summary = Summary { answer, selection };
            match self.output.format() {
                Format::Json => self.output.document(&summary)?,
                Format::Jsonl => self.output.document_line(&summary)?,
                _ => self.output.line(&answer.matched.to_string())?,
            }
        } else if matches!(self.form, Form::Json) {
            let empty = self.state().printed == 0;
            self.output.write(|out| {
                out.write_all(if empty { HEAD } else { b"" })?;
                out.write_all(b"\n],")?;
                let mut rest = Vec::new();
                json::compact(&mut rest, &Summary { answer, selection })?;
                // The object goes on with the members of the summary.
                out.write_all(rest.get(1..).unwrap_or_default())?;
                Ok(out.write_all(b"\n")?)
            })?;
        }
        self.output.flush()?;
        for note in &answer.notes {
            self.output.note(note);
        }
        if self.searches && answer.complete && !matches!(self.form, Form::Json) {
            self.output.note(&format!("complete: {}", answer.covered()));
        }
        let state = self.state();
        if let Some(first) = &state.first_error {
            let errors = units::count(state.select_errors);
            self.output.note(&format!("--select failed on {errors} records, first on {first}"));
        }
        if let Some(why) = &answer.incomplete_reason {
            self.output.note(&format!("incomplete: {why} ({})", answer.covered()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_may_be_written_with_escapes() {
        assert_eq!(unescape(r"\n\0-\\\t\x"), b"\n\0-\\\t\\x");
        assert_eq!(unescape(r"a\"), b"a\\");
    }
}
