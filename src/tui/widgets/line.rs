//! Lines of text whose parts have roles.

use super::Pen;
use crate::text::{Safe, width};
use crate::tui::theme::Role;

/// A text with its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: Safe,
    /// What it is.
    pub role: Role,
}

impl Span {
    /// Makes `text` safe and gives it a role.
    pub fn new(text: impl AsRef<str>, role: Role) -> Self {
        Self { text: Safe::new(text.as_ref()), role }
    }

    /// Gives a safe text a role.
    pub fn safe(text: Safe, role: Role) -> Self {
        Self { text, role }
    }

    /// Ordinary text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::new(text, Role::Text)
    }

    /// Text that matters less.
    pub fn dim(text: impl AsRef<str>) -> Self {
        Self::new(text, Role::Dim)
    }

    /// The cells that it takes.
    pub fn width(&self) -> usize {
        width::width(self.text.as_str())
    }
}

/// Spans side by side.
pub type Line = Vec<Span>;

/// Draws a line; what does not fit is cut and ends in `…`. Gives the place behind it.
pub fn draw(pen: &mut Pen<'_>, x: u16, y: u16, spans: &[Span]) -> u16 {
    let mut at = x;
    for (i, span) in spans.iter().enumerate() {
        let room = usize::from(pen.width().saturating_sub(at));
        let more = spans.get(i + 1..).is_some_and(|later| later.iter().any(|s| s.width() > 0));
        if more && span.width() == room {
            // The mark goes into the last cell, though this span alone would fit.
            return pen.put(at, y, &format!("{} ", span.text), span.role);
        }
        at = pen.put(at, y, span.text.as_str(), span.role);
    }
    at
}

/// A line broken into lines of at most `cells` cells, wherever they end.
pub fn fold(spans: &[Span], cells: usize) -> Vec<Line> {
    let (mut out, mut line, mut room) = (Vec::new(), Line::new(), cells);
    for span in spans {
        let mut rest = span.text.as_str();
        while !rest.is_empty() {
            let part = width::fitting(rest, room);
            if part.is_empty() && room < cells {
                out.push(std::mem::take(&mut line));
                room = cells;
                continue;
            }
            // What is wider than a whole line would never fit.
            let part = if part.is_empty() { rest } else { part };
            line.push(Span::new(part, span.role));
            room = room.saturating_sub(width::width(part));
            rest = rest.get(part.len()..).unwrap_or_default();
        }
    }
    out.push(line);
    out
}

/// `text` broken at spaces into lines of at most `cells` cells, at most `most` of them; the rest is on the last.
pub fn wrap(text: &str, cells: usize, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let full = width::width(&line) + 1 + width::width(word) > cells && lines.len() + 1 < most;
        if !line.is_empty() && full {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::{Buffer, Cell};
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::theme::Theme;

    fn drawn(cells: u16, spans: &[Span]) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, cells, 1));
        draw(&mut Pen::new(&mut buffer, Theme::default(), Rect::new(0, 0, cells, 1)), 0, 0, spans);
        buffer.content.iter().map(Cell::symbol).collect()
    }

    #[test]
    fn a_line_that_does_not_fit_ends_in_a_mark() {
        assert_eq!(drawn(8, &[Span::text("orders"), Span::text(" topic")]), "orders …");
        assert_eq!(drawn(6, &[Span::text("orders"), Span::text("!")]), "order…");
        assert_eq!(drawn(7, &[Span::text("orders"), Span::text("!")]), "orders!");
    }

    #[test]
    fn a_line_is_folded_at_the_edge_with_the_roles_of_its_parts() {
        let folded = fold(&[Span::dim("name: "), Span::text("abcdefgh日本")], 8);
        let text = |line: &Line| line.iter().map(|s| s.text.as_str()).collect::<String>();
        assert_eq!(folded.iter().map(text).collect::<Vec<_>>(), ["name: ab", "cdefgh日", "本"]);
        assert_eq!(folded[1][0].role, Role::Text);
        assert_eq!(fold(&[], 8).len(), 1, "an empty line stays one");
    }

    #[test]
    fn words_are_broken_at_spaces() {
        assert_eq!(wrap("seen again by three groups", 11, 9), ["seen again", "by three", "groups"]);
        assert_eq!(wrap("a bc def", 3, 2), ["a", "bc def"]);
        assert_eq!(wrap("", 3, 2), [""]);
    }
}
