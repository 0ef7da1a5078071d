//! The only place that writes to stdout and stderr.
//!
//! stdout carries data and nothing else. Everything that comes from a broker is made safe before it is
//! written: cells and messages by [`Safe`], JSON by escapes. A closed pipe is told as [`Stop::ClosedPipe`].

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::exit::Stop;
use super::json;
use super::progress::Meter;
use super::table::{Form, Table};
use crate::context::Progress;
use crate::text::width::{cut, left, width};
use crate::text::{Clock, Fault, Safe};

/// `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For the eye: aligned, cut to the terminal's width
    Table,
    /// One document
    Json,
    /// One object a line, as it comes
    Jsonl,
    /// The values' bytes (tail, get)
    Raw,
    /// The values as a hex dump (tail, get)
    Hex,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The document's version: the first field of each.
const SCHEMA: u32 = 1;

/// A document: its schema, then its fields.
#[derive(Serialize)]
struct Document<'a, T: ?Sized> {
    schema: u32,
    #[serde(flatten)]
    body: &'a T,
}

/// The JSON form of an error.
#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: String,
    hint: Option<&'a str>,
}

/// Where a command writes.
pub struct Output {
    format: Format,
    clock: Arc<dyn Clock>,
    out: Mutex<BufWriter<Stdout>>,
    err: Mutex<Err>,
    form: Form,
    terminal: Terminals,
}

/// Which of the three streams are terminals.
#[derive(Clone, Copy, Debug)]
struct Terminals {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

#[derive(Default)]
struct Err {
    colour: bool,
    meter: Meter,
    /// Whether a progress line stands on the terminal.
    drawn: bool,
}

impl Output {
    /// Looks at the streams.
    pub fn new(format: Format, colour: Colour, no_colour: bool, clock: Arc<dyn Clock>) -> Self {
        let terminal = Terminals {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
        };
        let coloured = |is_terminal: bool| match colour {
            Colour::Auto => is_terminal && !no_colour,
            Colour::Always => true,
            Colour::Never => false,
        };
        let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
        Self {
            format,
            clock,
            out: Mutex::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
            err: Mutex::new(Err { colour: coloured(terminal.stderr), ..Err::default() }),
            form: Form { width: width.filter(|w| *w > 0), colour: coloured(terminal.stdout) },
            terminal,
        }
    }

    /// Whether what goes to the terminal is coloured.
    pub fn colours(&self) -> bool {
        self.form.colour
    }

    /// The format asked for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal.stdout
    }

    /// Whether somebody can be asked: the question goes to stderr, the answer comes from stdin.
    pub fn can_ask(&self) -> bool {
        self.terminal.stdin && self.terminal.stderr
    }

    /// The form of a table on stderr.
    pub(super) fn plain(&self) -> Form {
        Form { colour: false, ..self.form }
    }

    /// The width that a line of the eye may have.
    pub(super) fn width(&self) -> Option<usize> {
        self.form.width
    }

    /// Writes one JSON document, indented.
    pub fn document<T: Serialize + ?Sized>(&self, body: &T) -> Result<(), Stop> {
        let mut out = self.data();
        json::pretty(&mut *out, &Document { schema: SCHEMA, body })?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }

    /// Writes an answer: as a document in the formats for machines, else as `show` has it for the eye.
    pub fn answer<T: Serialize + ?Sized>(
        &self,
        answer: &T,
        show: impl FnOnce() -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        match self.format {
            Format::Json => self.document(answer),
            Format::Jsonl => self.document_line(answer),
            _ => show(),
        }
    }

    /// Writes a JSON document that has its schema among its own fields, indented or on one line as asked for.
    pub fn whole<T: Serialize + ?Sized>(&self, document: &T) -> Result<(), Stop> {
        if self.format == Format::Jsonl {
            return self.lines([document]);
        }
        let mut out = self.data();
        json::pretty(&mut *out, document)?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }

    /// Writes one JSON document on one line.
    pub fn document_line<T: Serialize + ?Sized>(&self, body: &T) -> Result<(), Stop> {
        self.lines([Document { schema: SCHEMA, body }])
    }

    /// Writes one JSON object a line.
    pub fn lines<T: Serialize>(&self, items: impl IntoIterator<Item = T>) -> Result<(), Stop> {
        let mut out = self.data();
        for item in items {
            json::compact(&mut *out, &item)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }

    /// Writes a table.
    pub(super) fn table(&self, table: &Table) -> Result<(), Stop> {
        self.text(&table.lay_out(self.form))
    }

    /// Writes one line for the eye, made safe and cut to the terminal's width.
    pub fn line(&self, line: &str) -> Result<(), Stop> {
        let line = Safe::new(line);
        let mut out = self.data();
        out.write_all(self.fit(line.as_str()).as_bytes())?;
        out.write_all(b"\n")?;
        Ok(())
    }

    /// As much of a safe line as the terminal's width holds.
    pub(super) fn fit<'l>(&self, line: &'l str) -> Cow<'l, str> {
        match self.form.width {
            Some(width) => cut(line, width),
            None => line.into(),
        }
    }

    /// Writes names and values under each other; what has no value is left out.
    pub(super) fn facts(&self, facts: &[(&str, String)]) -> Result<(), Stop> {
        let wide = facts.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            self.line(&format!("{}  {value}", left(name, wide)))?;
        }
        self.flush()
    }

    /// Writes text of our own as it is: help, completions, a table laid out.
    pub fn text(&self, text: &str) -> Result<(), Stop> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are; the caller sees to it that a terminal never gets a stranger's.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut out = self.data();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// Writes with `work`, and does not flush: for many records at once. As with [`Self::bytes`], the caller sees
    /// to it that a terminal never gets a stranger's bytes.
    pub(super) fn write(
        &self,
        work: impl FnOnce(&mut BufWriter<Stdout>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        work(&mut self.data())
    }

    /// Writes out what waits.
    pub fn flush(&self) -> Result<(), Stop> {
        Ok(self.data().flush()?)
    }

    /// Says something beside the data, on stderr.
    pub fn note(&self, text: &str) {
        let mut err = self.beside();
        err.clear();
        // Nobody is left to be told where stderr is closed.
        let _ = writeln!(io::stderr(), "{}", Safe::new(text));
    }

    /// Draws how far the work is, if stderr is a terminal.
    pub fn progress(&self, progress: &Progress) {
        if !self.terminal.stderr {
            return;
        }
        let mut err = self.beside();
        let Some(line) = err.meter.line(self.clock.monotonic(), progress) else { return };
        let line = Safe::new(&line);
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(w, _)| usize::from(w.0));
        err.drawn = true;
        let _ = write!(io::stderr(), "\r{}\x1b[K", cut(line.as_str(), width.saturating_sub(1)));
    }

    /// Says why a command failed: three lines, or one JSON document where JSON was asked for.
    pub fn fault(&self, fault: &Fault) {
        let mut err = self.beside();
        err.clear();
        let _ = write_fault(fault, self.format, err.colour);
    }

    /// Asks a question on stderr and reads a line; `None` where nobody can be asked, the input
    /// ended, or the command was interrupted.
    pub async fn ask(&self, question: &str, cancel: &CancellationToken) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        self.beside().clear();
        let _ = write!(io::stderr(), "{} ", Safe::new(question));
        let _ = io::stderr().flush();
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            (io::stdin().read_line(&mut line).is_ok_and(|n| n > 0)).then_some(line)
        });
        tokio::select! {
            line = read => line.ok().flatten().map(|line| line.trim().to_owned()),
            () = cancel.cancelled() => None,
        }
    }

    fn data(&self) -> MutexGuard<'_, BufWriter<Stdout>> {
        if self.terminal.stdout {
            self.beside().clear();
        }
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beside(&self) -> MutexGuard<'_, Err> {
        self.err.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Output {
    /// The last progress line does not stay behind, and nothing that was written gets lost.
    fn drop(&mut self) {
        self.beside().clear();
        let _ = self.data().flush();
    }
}

impl Err {
    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Writes a failure that came before the output was made: a usage error, a configuration error.
pub fn early_fault(fault: &Fault, format: Format, no_colour: bool) {
    let colour = !no_colour && io::stderr().is_terminal();
    let _ = write_fault(fault, format, colour);
}

fn write_fault(fault: &Fault, format: Format, colour: bool) -> io::Result<()> {
    let mut err = io::stderr().lock();
    if matches!(format, Format::Json | Format::Jsonl) {
        let hint = (!fault.hint.is_empty()).then_some(fault.hint.as_str());
        let body = ErrorDocument { error: ErrorBody { code: fault.code, message: fault.to_string(), hint } };
        json::compact(&mut err, &Document { schema: SCHEMA, body: &body })?;
        return writeln!(err);
    }
    let (red, off) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    writeln!(err, "{red}error:{off} {}", Safe::new(&fault.what))?;
    if !fault.why.is_empty() {
        writeln!(err, "  why: {}", Safe::new(&fault.why))?;
    }
    if !fault.hint.is_empty() {
        writeln!(err, " hint: {}", Safe::new(&fault.hint))?;
    }
    Ok(())
}

/// Writes what clap wants to be shown (help, version) to stdout.
pub fn early_text(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
