//! What each format can tell, made from the tables: for the README and for whoever asks.

use super::payload::HIDDEN;
use super::table::{Field, Format, Payload, Repeats, TABLE};

/// What one format can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tells {
    /// The format's name.
    pub name: &'static str,
    /// Who writes it.
    pub written_by: &'static str,
    /// Where the record came from: `whole`, `topic`, or nothing.
    pub origin: Option<&'static str>,
    /// The failed record's timestamp.
    pub timestamp: bool,
    /// The consumer group.
    pub group: bool,
    /// How often it was dead-lettered.
    pub hops: bool,
    /// The class of the error.
    pub class: bool,
    /// Its message.
    pub message: bool,
    /// Its stack trace.
    pub trace: bool,
    /// Attempts.
    pub attempts: bool,
    /// When it was given up.
    pub failed_at: bool,
    /// Where the record's own key and value are.
    pub bytes: &'static str,
}

/// All formats, the table's first.
pub fn all() -> Vec<Tells> {
    let mut out: Vec<Tells> = TABLE.iter().map(of_table).collect();
    for hidden in HIDDEN.iter().filter(|h| TABLE.iter().all(|f| f.name != h.name)) {
        let has = |field: Field| hidden.tells.contains(&field);
        let bytes = if hidden.keeps.is_empty() { "copied" } else { hidden.keeps };
        out.push(tells(hidden.name, hidden.written_by, has, false, bytes));
    }
    out
}

fn of_table(format: &Format) -> Tells {
    let has = |field: Field| {
        format.rules.iter().any(|rule| rule.field == field)
            || (field == Field::OriginTimestamp && format.keeps_timestamp)
            || (field == Field::Group && format.group_in_name)
    };
    let bytes = match format.payload {
        Payload::PointerIfNull => "pointer, or copied",
        Payload::WithoutKey => "copied, without key",
        Payload::Rewritten(_) => "written anew",
        Payload::Copied if has(Field::OriginalKey) => "copied, key in a header",
        Payload::Copied => "copied",
    };
    tells(
        format.name,
        format.written_by,
        has,
        matches!(format.repeats, Repeats::DeadLetterings | Repeats::Failures),
        bytes,
    )
}

fn tells(
    name: &'static str,
    written_by: &'static str,
    has: impl Fn(Field) -> bool,
    hops: bool,
    bytes: &'static str,
) -> Tells {
    let topic = has(Field::OriginTopic).then_some("topic");
    Tells {
        name,
        written_by,
        origin: if has(Field::OriginOffset) { Some("whole") } else { topic },
        timestamp: has(Field::OriginTimestamp),
        group: has(Field::Group),
        hops,
        class: has(Field::ErrorClass),
        message: has(Field::Message),
        trace: has(Field::StackTrace),
        attempts: has(Field::Attempts),
        failed_at: has(Field::FailedAt),
        bytes,
    }
}
