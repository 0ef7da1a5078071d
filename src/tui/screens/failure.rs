//! A dead letter's story as lines: why it failed, where it came from, which headers it has.

use bytes::Bytes;

use super::look::{Look, field, place, position, short_class};
use crate::dlq::trace::{self, LineKind, Trace};
use crate::dlq::{Letter, Origin};
use crate::event::Record;
use crate::letters::document::{LetterRow, Target};
use crate::letters::lineage;
use crate::text::units::{self, count};
use crate::text::{Fault, Safe, width};
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::line::{Line, Span, wrap};
use crate::tui::widgets::list::Cell;

/// Bytes of one header's value that are shown.
const HEADER: usize = 4096;

/// Whether frames of libraries are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Only the application's own; the others are counted.
    Folded,
    /// All, in their order.
    All,
}

/// The failure in lines of at most `cells` cells. `libraries` are the profile's frames of libraries.
pub fn failure(letter: &Letter, frames: Frames, libraries: &[String], cells: u16) -> Vec<Line> {
    let cells = usize::from(cells.max(20));
    let mut out = Vec::new();
    headline(letter, cells, &mut out);
    let Some(trace) = &letter.stack_trace else {
        out.push(vec![Span::dim("the letter carries no stack trace")]);
        return out;
    };
    match frames {
        Frames::Folded => folded(trace, libraries, &mut out),
        Frames::All => out.extend(trace::lines(trace, libraries).map(|(kind, line)| match kind {
            LineKind::Head => vec![Span::new(line, Role::Fail)],
            LineKind::Own => vec![Span::new("▸ ", Role::Mark), Span::new(line.trim(), Role::Title)],
            LineKind::Library => vec![Span::dim("  "), Span::dim(line.trim())],
        })),
    }
    if trace.len() > trace::LOOK {
        out.push(vec![Span::dim(format!("… {} of the trace in all", units::bytes(trace.len() as u64)))]);
    }
    out
}

/// The end of the chain of causes with its own message, then what was thrown, and what stands around it.
fn headline(letter: &Letter, cells: usize, out: &mut Vec<Line>) {
    let class = letter.root_cause_class.as_deref().or(letter.error_class.as_deref());
    let message = letter.message.as_deref().unwrap_or_default();
    let trace = Trace::parse(letter.stack_trace.as_deref().unwrap_or_default(), &[]);
    // The message is that of the error that was thrown: the end of its chain has one of its own.
    let ends = trace.root_class.is_some() && trace.root_class == class && trace.class != trace.root_class;
    let of_root = ends.then(|| trace.root_message.unwrap_or_default());
    let of_root = of_root.filter(|own| message.lines().next().unwrap_or_default() != *own);
    let class = class.unwrap_or("the letter does not say which error it was");
    let said = of_root.unwrap_or(message);
    let whole = if said.is_empty() { class.to_owned() } else { format!("{class}: {said}") };
    let lines = |text: &str| wrap(Safe::new(text).as_str(), cells, 4);
    for (i, text) in lines(&whole).into_iter().enumerate() {
        out.push(vec![Span::new(text, if i == 0 { Role::Fail } else { Role::Text })]);
    }
    if of_root.is_some() && !message.is_empty() {
        let thrown = letter.also.iter().find(|(name, value)| *name == "cause_class" && value != class);
        let inside = thrown.map(|(_, thrown)| format!("inside {}: {message}", short_class(thrown)));
        let inside = inside.unwrap_or_else(|| format!("thrown with: {message}"));
        out.extend(lines(&inside).into_iter().map(|text| vec![Span::text(text)]));
    }
    match (&letter.error_class, &letter.root_cause_class) {
        (Some(outer), Some(root)) if outer != root => {
            out.push(vec![Span::dim("inside "), Span::new(short_class(outer), Role::Value)]);
        }
        _ => {}
    }
}

/// The application's own frames, then what was left out.
fn folded(trace: &str, libraries: &[String], out: &mut Vec<Line>) {
    let (mut own, mut hidden, mut names) = (0, 0, Vec::<&str>::new());
    for (kind, line) in trace::lines(trace, libraries) {
        match kind {
            LineKind::Head => {}
            LineKind::Own => {
                own += 1;
                let frame = line.trim().trim_start_matches("at ");
                let mut spans = vec![Span::new("▸ ", Role::Mark), Span::new(frame, Role::Title)];
                if own == 1 {
                    spans.push(Span::dim("   your code first"));
                }
                out.push(spans);
            }
            LineKind::Library => {
                hidden += 1;
                let name = library(line);
                if !name.is_empty() && names.len() < 3 && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    if hidden > 0 {
        let of = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
        out.push(vec![Span::dim(format!("… {} frames{of}  (enter unfolds)", count(hidden)))]);
    }
}

/// The library of a Java frame in one or two words.
fn library(line: &str) -> &str {
    let Some(name) = line.trim().strip_prefix("at ") else { return "" };
    let name = name.split('(').next().unwrap_or(name);
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    let first = dots.next();
    let end = match first.map(|at| &name[..at]) {
        Some("org" | "com" | "io" | "net" | "dev") => dots.next().or(first),
        _ => first,
    };
    end.map_or(name, |at| &name[..at])
}

/// Where the letter came from, in three lines: root, failure, this letter.
pub fn summary(row: &LetterRow, look: &Look<'_>) -> Vec<Line> {
    let letter = &row.letter;
    let mut out = vec![field("root", 10, origin(&letter.root, look))];
    let mut failed = Vec::new();
    if let Some(attempts) = letter.attempts {
        failed.push(Span::text(format!("{} attempts", count(u64::from(attempts)))));
    }
    if let Some(group) = &letter.root.group {
        failed.push(Span::text(if failed.is_empty() { "in group " } else { " in group " }));
        failed.push(Span::new(group, Role::Value));
    }
    let dead = letter.failed_at.or_else(|| letter.record.timestamp());
    if let Some(at) = dead {
        let comma = if failed.is_empty() { "" } else { ", " };
        failed.push(Span::text(format!("{comma}dead-lettered {}", look.time(Some(at)))));
        if let Some(later) = letter.root.timestamp.map(|root| at.since(root)).filter(|ms| *ms >= 0) {
            let later = units::duration(std::time::Duration::from_millis(later.unsigned_abs()));
            failed.push(Span::dim(format!(" ({later} later)")));
        }
    }
    if failed.is_empty() {
        failed.push(Span::dim("the letter says neither when nor in which group"));
    }
    out.push(field("failed", 10, failed));
    out.push(field("state", 10, state(row, look)));
    out
}

fn origin(of: &Origin, look: &Look<'_>) -> Line {
    let Some(topic) = &of.topic else { return vec![Span::dim("the letter does not name its origin")] };
    let mut out = vec![Span::new(place(Some(topic), of.partition, of.offset), Role::Value)];
    if let Some(at) = of.timestamp {
        out.push(Span::dim(format!("   {}", look.time(Some(at)))));
    }
    out
}

/// A letter's state as a word, and what became of it.
pub fn state(row: &LetterRow, look: &Look<'_>) -> Line {
    let word = disposition(row);
    let mut out = vec![Span::new(word.text, word.role)];
    if let Some(note) = &row.redrive {
        let target = &note.target;
        let to = place(Some(&target.topic), Some(target.partition), Some(target.offset));
        out.push(Span::dim(" to "));
        out.push(Span::new(to, Role::Value));
        out.push(Span::dim(format!("  {} by ", look.time(note.at))));
        out.push(Span::text(&note.operator));
        let role = match note.outcome {
            "processed" => Role::Ok,
            "came_back" => Role::Fail,
            _ => Role::Dim,
        };
        out.push(Span::new(format!("  {}", note.outcome.replace('_', " ")), role));
    }
    if row.duplicate {
        out.push(Span::new("  another letter has the same root", Role::Warn));
    }
    out
}

/// The word of a letter's state.
pub fn disposition(row: &LetterRow) -> Cell {
    use crate::ledger::Disposition;
    match row.state {
        None => Cell::new("unknown", Role::Dim),
        Some(state) => {
            let (sign, role) = match state {
                Disposition::Pending | Disposition::Released => (Sign::Warn, Role::Warn),
                Disposition::Redriven => (Sign::Ok, Role::Ok),
                Disposition::Discarded => (Sign::Fail, Role::Dim),
                Disposition::Parked | Disposition::Duplicate => (Sign::Stale, Role::Dim),
            };
            Cell::new(format!("{} {}", sign.glyph(), state.as_str()), role)
        }
    }
}

/// All that is known about where the letter came from.
pub fn origins(row: &LetterRow, lineage: &Lineage<'_>, look: &Look<'_>) -> Vec<Line> {
    let letter = &row.letter;
    let text = |text: &str| vec![Span::new(text, Role::Value)];
    let mut out = vec![field("root", 14, origin(&letter.root, look))];
    if let Some(previous) = &letter.previous {
        out.push(field("previous", 14, origin(previous, look)));
    }
    out.push(field("this", 14, text(&position(&letter.record.at))));
    out.extend(came_from(lineage, look));
    if let Some(group) = &letter.root.group {
        out.push(field("group", 14, text(group)));
    }
    let others = letter.others.iter().fold(String::new(), |all, name| format!("{all}, before it {name}"));
    let format = letter.format.as_deref().unwrap_or("none recognised");
    out.push(field("format", 14, text(&format!("{format}{others}"))));
    let numbers = [("hops", letter.hops), ("attempts", letter.attempts)];
    for (name, number) in numbers.into_iter().filter_map(|(name, n)| n.map(|n| (name, n))) {
        out.push(field(name, 14, text(&count(u64::from(number)))));
    }
    if let Some(at) = letter.failed_at {
        out.push(field("failed at", 14, text(&look.times.full(at))));
    }
    out.push(field("failure", 14, text(&letter.failure.id)));
    out.push(field("state", 14, state(row, look)));
    for (i, decision) in row.history.iter().rev().enumerate() {
        let mut line = vec![
            Span::dim(format!("{}  ", look.time(Some(decision.at)))),
            Span::new(decision.decision, Role::Value),
        ];
        if let Some(operator) = &decision.operator {
            line.extend([Span::dim(" by "), Span::text(operator)]);
        }
        if let Some(reason) = &decision.reason {
            line.extend([Span::dim(": "), Span::text(reason)]);
        }
        line.push(Span::dim(format!("   {}", decision.run)));
        out.push(field(if i == 0 { "decided" } else { "" }, 14, line));
    }
    out.extend(letter.also.iter().map(|(name, value)| field(name, (name.len() + 2).max(14), text(value))));
    out.extend(letter.notes.iter().map(|note| vec![Span::new("▲ ", Role::Warn), Span::text(note)]));
    let told = |heading: &str, lines: &[(&'static str, String)]| -> Vec<Line> {
        let heading = (!lines.is_empty()).then(|| vec![Span::dim(heading)]);
        let lines = lines.iter().map(|(name, text)| field(name, 18, vec![Span::dim(text)]));
        heading.into_iter().chain(lines).collect()
    };
    out.extend(told("not known, and why", &letter.unknown));
    out.extend(told("what gave each field", &letter.rules));
    out
}

/// What is known of the letter's origin record.
pub enum Lineage<'a> {
    /// It was read, or is not there.
    Known(&'a lineage::Lineage),
    /// It is being asked for, or could not be: in words.
    Not(String),
}

impl<'a> Lineage<'a> {
    /// What was answered, why it could not be, or that it is on its way.
    pub fn of(known: Option<&'a lineage::Lineage>, fault: Option<&Fault>) -> Self {
        match (known, fault) {
            (Some(known), _) => Self::Known(known),
            (None, Some(fault)) => Self::Not(format!("could not be read: {fault}")),
            (None, None) => Self::Not("is being read \u{2026}".to_owned()),
        }
    }
}

/// The origin record, compared, and the other letters of it.
fn came_from(known: &Lineage<'_>, look: &Look<'_>) -> Vec<Line> {
    let known = match known {
        Lineage::Known(known) => known,
        Lineage::Not(why) => return vec![field("origin record", 14, vec![Span::dim(why)])],
    };
    let origin = &known.origin;
    let mut spans = Vec::new();
    match (origin.same_key, origin.same_value, origin.same_headers) {
        (Some(true), Some(true), Some(true)) => {
            spans.push(Span::new("the same key, value and headers, byte by byte", Role::Ok));
        }
        (Some(key), Some(value), Some(headers)) => {
            for (name, same) in [("key", key), ("value", value), ("headers", headers)] {
                let (text, role) = if same { ("the same", Role::Ok) } else { ("another", Role::Warn) };
                spans.push(Span::new(format!("{text} {name}  "), role));
            }
        }
        _ => {
            spans.push(Span::new(origin.state, Role::Warn));
            spans.extend(origin.why.as_ref().map(|why| Span::dim(format!("  {why}"))));
        }
    }
    let mut out = vec![field("origin record", 14, spans)];
    for (name, headers) in [("headers lost", &origin.headers_lost), ("headers added", &origin.headers_added)]
    {
        if !headers.is_empty() {
            out.push(field(name, 14, vec![Span::text(headers.join(", "))]));
        }
    }
    let at =
        |at: &Target| Span::new(place(Some(&at.topic), Some(at.partition), Some(at.offset)), Role::Value);
    for retry in &known.retries.found {
        let attempts = retry.attempts.map_or_else(String::new, |n| format!("  after {n} attempts"));
        let when = Span::dim(format!("   {}{attempts}", look.time(retry.timestamp)));
        out.push(field("retry", 14, vec![at(&retry.position), when]));
    }
    if !known.retries.complete && !known.retries.topics.is_empty() {
        let why = "not all that lies in its retry topics was looked at";
        out.push(field("retries", 14, vec![Span::dim(why)]));
    }
    for sibling in &known.same_root {
        let by = if sibling.by == "redrive" { "  by a redrive" } else { "" };
        let state = sibling.state.unwrap_or("unknown");
        let when = Span::dim(format!("   {}  {state}{by}", look.time(sibling.timestamp)));
        let name = sibling
            .when
            .map_or("same record", |when| if when == "later" { "letter after" } else { "letter before" });
        out.push(field(name, 14, vec![at(&sibling.position), when]));
    }
    out
}

/// The headers, one a line.
pub fn headers(record: &Record) -> Vec<Line> {
    if record.headers.is_empty() {
        return vec![vec![Span::dim("the record has no headers")]];
    }
    let names: Vec<Safe> = record.headers.iter().map(|(name, _)| Safe::preview(name, 256)).collect();
    let cells = names.iter().map(|n| width::width(n.as_str())).max().unwrap_or(0).min(36);
    let values = record.headers.iter().map(|(_, value)| header_value(value));
    names.iter().zip(values).map(|(name, value)| field(name.as_str(), cells + 2, vec![value])).collect()
}

fn header_value(value: Option<&Bytes>) -> Span {
    let Some(value) = value else { return Span::dim("null") };
    let is_text =
        std::str::from_utf8(value).is_ok_and(|t| !t.contains(|c: char| c.is_control() && c != '\n'));
    if is_text || value.len() > 8 {
        return Span::safe(Safe::preview(value, HEADER), Role::Value);
    }
    // What Java clients write for numbers: big-endian bytes.
    let number = match value.len() {
        4 => <[u8; 4]>::try_from(value.as_ref()).ok().map(|b| i64::from(i32::from_be_bytes(b))),
        8 => <[u8; 8]>::try_from(value.as_ref()).ok().map(i64::from_be_bytes),
        _ => None,
    };
    let hex: Vec<String> = value.iter().map(|b| format!("{b:02x}")).collect();
    let number = number.map(|n| format!("  ({})", units::signed(n))).unwrap_or_default();
    Span::new(format!("{}{number}", hex.join(" ")), Role::Value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile::DeadLetters;
    use crate::dlq::formats::decode;
    use crate::event::{Headers, Position};

    fn told(headers: &[(&str, &str)]) -> Vec<String> {
        let mut all = Headers::default();
        for (name, value) in headers {
            all.push((*name).to_owned(), Some(Bytes::copy_from_slice(value.as_bytes())));
        }
        let at = Position::new("orders-dlt", 0, 0);
        let record = Record { at, time: None, key: None, value: None, headers: all, lease: None };
        let lines = failure(&decode(&record, &DeadLetters::default()), Frames::Folded, &[], 78);
        lines.iter().map(|line| line.iter().map(|span| span.text.as_str()).collect()).collect()
    }

    #[test]
    fn a_message_stands_behind_the_class_that_said_it() {
        let trace = "a.Wrapper: failed\n\tat a.B.c(B.java:1)\nCaused by: acme.Failed: cannot reserve 7\n\tat \
                     acme.Stock.reserve(Stock.java:5)\nCaused by: java.util.NoSuchElementException: unknown sku\n\t... 3 more\n";
        let spring = [
            ("kafka_dlt-original-topic", "orders"),
            ("kafka_dlt-exception-fqcn", "a.Wrapper"),
            ("kafka_dlt-exception-cause-fqcn", "acme.Failed"),
            ("kafka_dlt-exception-message", "failed; cannot reserve 7"),
            ("kafka_dlt-exception-stacktrace", trace),
        ];
        let lines = told(&spring);
        assert_eq!(lines[0], "java.util.NoSuchElementException: unknown sku");
        assert_eq!(lines[1..3], ["inside Failed: cannot reserve 7", "inside Wrapper"]);
        let connect = [
            ("__connect.errors.topic", "orders"),
            ("__connect.errors.exception.class.name", "a.Wrapper"),
            ("__connect.errors.exception.message", "failed"),
            ("__connect.errors.exception.stacktrace", trace),
        ];
        assert_eq!(told(&connect)[1..3], ["thrown with: failed", "inside Wrapper"]);
        // One error alone is told once.
        let alone = [
            ("__connect.errors.exception.class.name", "acme.Failed"),
            ("__connect.errors.exception.message", "no"),
            ("__connect.errors.exception.stacktrace", "acme.Failed: no\n\tat acme.A.b(A.java:1)\n"),
        ];
        let lines = told(&alone);
        assert_eq!((lines[0].as_str(), lines[1].starts_with('▸')), ("acme.Failed: no", true));
    }
}
