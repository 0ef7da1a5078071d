//! Why a letter does not tell something: every field that is null has its reason.

use super::headers::name_of;
use super::table::{Field, Repeats};
use super::{Note, Reading};

/// The reasons, by the name of the field in documents.
pub(super) fn reasons(reading: &Reading<'_>, root_cause: bool) -> Vec<(&'static str, String)> {
    let mut out: Vec<(&'static str, String)> = Vec::new();
    if reading.format.is_none() {
        return out;
    }
    let root = &reading.root;
    let fields = [
        ("root.topic", Field::OriginTopic, root.topic.is_some()),
        ("root.partition", Field::OriginPartition, root.partition.is_some()),
        ("root.offset", Field::OriginOffset, root.offset.is_some()),
        ("root.timestamp", Field::OriginTimestamp, root.timestamp.is_some()),
        ("root.group", Field::Group, root.group.is_some()),
        ("error_class", Field::ErrorClass, reading.error_class.is_some()),
        ("message", Field::Message, reading.message.is_some()),
        ("stack_trace", Field::StackTrace, reading.stack_trace.is_some()),
        ("attempts", Field::Attempts, reading.attempts.is_some()),
        ("failed_at", Field::FailedAt, reading.failed_at.is_some()),
    ];
    for (name, field, known) in fields {
        if !known {
            out.push((name, reason(reading, field)));
        }
    }
    if !root_cause {
        let why = if reading.stack_trace.is_some() {
            "the stack trace names no class"
        } else {
            "without a stack trace the end of the chain of causes is not known"
        };
        out.push(("root_cause_class", why.to_owned()));
    }
    if reading.hops.is_none() {
        let repeats = reading.table.map(|f| f.repeats);
        let why = match repeats {
            Some(Repeats::Retries) => "the headers count retries: an earlier dead-lettering does not show",
            Some(Repeats::Overwritten) => "the format keeps one failure only: an earlier one does not show",
            _ => "nothing in the letter counts dead-letterings",
        };
        out.push(("hops", why.to_owned()));
    }
    out
}

fn reason(reading: &Reading<'_>, field: Field) -> String {
    if let Some(table) = reading.table {
        let headers = table.rules.iter().filter(|rule| rule.field == field).map(|rule| rule.header);
        let damaged = reading.notes.iter().find_map(|note| match note {
            Note::Header(name, why) if headers.clone().any(|h| h == *name) => Some(format!("{name} {why}")),
            _ => None,
        });
        if let Some(damaged) = damaged {
            return damaged;
        }
        if let Some((_, why)) = reading.unknown.iter().find(|(f, _)| *f == field) {
            return (*why).to_owned();
        }
        let names: Vec<&str> = headers.take(2).collect();
        if !names.is_empty() {
            return format!("the letter has no header {}", names.join(" or "));
        }
    }
    if let Some((_, why)) = reading.unknown.iter().find(|(f, _)| *f == field) {
        return (*why).to_owned();
    }
    if field == Field::FailedAt {
        return "no header tells; the letter's own timestamp is when it was written, or the record's"
            .to_owned();
    }
    let what = match field {
        Field::OriginTopic => "origin topic",
        Field::OriginPartition => "origin partition",
        Field::OriginOffset => "origin offset",
        Field::OriginTimestamp => "timestamp of the record",
        Field::Group => "consumer group",
        other => name_of(other).unwrap_or("such field"),
    };
    format!("{} writes no {}", reading.written_by, what.replace('_', " "))
}
