//! What every screen is drawn with, and the few lines that several of them draw.

use crate::event::{Position, Record};
use crate::text::units::count;
use crate::text::{Safe, TimeFormat, Timestamp};
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::line::{Line, Span};
use crate::tui::widgets::list::Cell;

/// What a screen is drawn with.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The time of the picture.
    pub now: Timestamp,
    /// How times are shown.
    pub times: &'a TimeFormat,
}

impl<'a> Look<'a> {
    /// As the state says.
    pub fn of(state: &'a State) -> Self {
        Self { now: state.now, times: &state.times }
    }

    /// A time in few cells, or a dash.
    pub fn time(&self, at: Option<Timestamp>) -> String {
        crate::text::units::or_dash(at, |at| self.times.short(at, self.now))
    }
}

/// A position for the eye: `payments[2] @ 90,412`; what is not known is `?`.
pub fn place(topic: Option<&str>, partition: Option<i32>, offset: Option<i64>) -> String {
    let known = |n: Option<i64>| n.map_or_else(|| "?".to_owned(), |n| count(n.unsigned_abs()));
    format!(
        "{}[{}] @ {}",
        Safe::new(topic.unwrap_or("?")),
        partition.map_or_else(|| "?".to_owned(), |p| p.to_string()),
        known(offset)
    )
}

/// [`place`] of a position.
pub fn position(at: &Position) -> String {
    place(Some(&at.topic), Some(at.partition), Some(at.offset))
}

/// A key for the eye: null and empty are told apart.
pub fn key_text(record: &Record) -> Cell {
    match record.key.as_deref() {
        None => Cell::new("null", Role::Dim),
        Some([]) => Cell::new("empty", Role::Dim),
        Some(key) => Safe::preview(key, 256).as_str().into(),
    }
}

/// A class without its package: `java.net.SocketTimeoutException` is `SocketTimeoutException`.
pub fn short_class(class: &str) -> &str {
    let end = class.rsplit(['.', '$']).next().unwrap_or(class);
    if end.is_empty() { class } else { end }
}

/// A field: its name in a column, then its value.
pub fn field(name: &str, cells: usize, value: Vec<Span>) -> Line {
    let mut line = vec![Span::new(crate::text::width::left(name, cells), Role::Key)];
    line.extend(value);
    line
}
