//! What screens are drawn with. Data comes in as [`Safe`] text only, and only what is visible is made.

pub mod input;
pub mod meter;
pub mod pager;
pub mod spark;
pub mod table;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::{Health, Role, Theme};
use crate::text::{Safe, width};

/// A text with its role.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
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

/// A state as glyph and word.
pub fn health(of: Health, word: impl AsRef<str>) -> Line {
    vec![Span::new(of.glyph(), of.role()), Span::new(format!(" {}", word.as_ref()), of.role())]
}

/// Writes `text` into the first line of `area`, cut to fit; the cells used.
pub fn put(buf: &mut Buffer, area: Rect, text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return 0;
    }
    let text = width::cut(text, usize::from(area.width));
    let (end, _) = buf.set_stringn(area.x, area.y, &text, usize::from(area.width), style);
    end.saturating_sub(area.x)
}

/// Writes spans into the first line of `area`; what does not fit is cut and ends in `…`. The cells used.
pub fn line(buf: &mut Buffer, area: Rect, spans: &[Span], theme: Theme) -> u16 {
    let mut rest = area.intersection(buf.area);
    let begin = rest.x;
    for (i, span) in spans.iter().enumerate() {
        let wide = span.width();
        let more = spans.get(i + 1..).is_some_and(|later| later.iter().any(|s| s.width() > 0));
        if wide > usize::from(rest.width) || (wide == usize::from(rest.width) && more) {
            // The mark goes into the last cell, also where this span alone would have fitted.
            let cut = format!("{}{}", span.text, if more { " " } else { "" });
            let cut = width::cut(&cut, usize::from(rest.width)).into_owned();
            let used = put(buf, rest, &cut, theme.style(span.role));
            return rest.x + used - begin;
        }
        rest = skip(rest, put(buf, rest, span.text.as_str(), theme.style(span.role)));
    }
    rest.x - begin
}

/// Writes spans so that they end at the right edge of the first line of `area`; the cells used.
pub fn line_right(buf: &mut Buffer, area: Rect, spans: &[Span], theme: Theme) -> u16 {
    let wide: usize = spans.iter().map(Span::width).sum();
    let free = usize::from(area.width).saturating_sub(wide) as u16;
    line(buf, skip(area, free), spans, theme)
}

/// `area` without its first `cells` columns.
pub fn skip(area: Rect, cells: u16) -> Rect {
    let cells = cells.min(area.width);
    Rect { x: area.x + cells, width: area.width - cells, ..area }
}

/// Parts `area` into its first `rows` lines and the rest.
pub fn split_top(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (Rect { height: rows, ..area }, Rect { y: area.y + rows, height: area.height - rows, ..area })
}

/// Parts `area` into what lies above its last `rows` lines and these.
pub fn split_bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    split_top(area, area.height - rows.min(area.height))
}

/// Parts `area` into its first `cells` columns and the rest.
pub fn split_left(area: Rect, cells: u16) -> (Rect, Rect) {
    (Rect { width: cells.min(area.width), ..area }, skip(area, cells))
}

/// Line `index` of `area`; empty where it has none.
pub fn nth_line(area: Rect, index: u16) -> Rect {
    split_top(split_top(area, index).1, 1).0
}

/// A rectangle of at most `cells` x `rows` in the middle of `area`.
pub fn middle(area: Rect, cells: u16, rows: u16) -> Rect {
    let (cells, rows) = (cells.min(area.width), rows.min(area.height));
    Rect {
        x: area.x + (area.width - cells) / 2,
        y: area.y + (area.height - rows) / 2,
        width: cells,
        height: rows,
    }
}

/// Empties `area`, whatever was drawn there.
pub fn clear(buf: &mut Buffer, area: Rect) {
    for position in area.intersection(buf.area).positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.reset();
        }
    }
}

/// Draws a frame around `area` and gives what is inside.
pub fn frame(buf: &mut Buffer, area: Rect, title: &[Span], theme: Theme) -> Rect {
    let area = area.intersection(buf.area);
    if area.width < 2 || area.height < 2 {
        return area;
    }
    let style = theme.style(Role::Dim);
    let across = "─".repeat(usize::from(area.width) - 2);
    put(buf, area, &format!("┌{across}┐"), style);
    put(buf, nth_line(area, area.height - 1), &format!("└{across}┘"), style);
    for y in 1..area.height - 1 {
        let row = nth_line(area, y);
        put(buf, row, "│", style);
        put(buf, skip(row, area.width - 1), "│", style);
    }
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area };
    line(buf, inside, title, theme);
    Rect { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: area.height - 2 }
}

/// `text` broken at spaces into lines of at most `cells` cells, at most `most` of them.
pub fn wrap(text: &str, cells: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let used = width::width(&lines[last]);
        if used == 0 {
            lines[last].push_str(word);
        } else if used + 1 + width::width(word) <= cells {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else if lines.len() < most {
            lines.push(word.to_owned());
        } else {
            // The rest goes into the last line and is cut where it is drawn.
            lines[last].push(' ');
            lines[last].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The picture as text, one line a row, without blanks at the ends.
    pub(crate) fn picture(buf: &Buffer) -> String {
        let cells = |y| (0..buf.area.width).map(move |x| buf[(x, y)].symbol());
        let rows = (0..buf.area.height).map(|y| cells(y).collect::<String>().trim_end().to_owned());
        rows.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn paper(width: u16, height: u16) -> Buffer {
        Buffer::empty(Rect::new(0, 0, width, height))
    }

    #[test]
    fn a_line_that_does_not_fit_ends_in_a_mark() {
        let mut buf = paper(8, 1);
        let area = buf.area;
        line(&mut buf, area, &[Span::text("orders"), Span::text(" topic")], Theme::default());
        assert_eq!(picture(&buf), "orders …");
        let mut buf = paper(6, 1);
        let area = buf.area;
        line(&mut buf, area, &[Span::text("orders"), Span::text("!")], Theme::default());
        assert_eq!(picture(&buf), "order…");
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let mut buf = paper(4, 1);
        let theme = Theme::default();
        assert_eq!(line(&mut buf, Rect::new(2, 0, 90, 9), &[Span::text("abcdef")], theme), 2);
        assert_eq!(put(&mut buf, Rect::new(9, 9, 5, 5), "x", Style::new()), 0);
        frame(&mut buf, Rect::new(0, 0, 90, 9), &[], theme);
        clear(&mut buf, Rect::new(3, 0, 90, 9));
    }

    #[test]
    fn a_line_to_the_right_ends_at_the_edge() {
        let mut buf = paper(8, 1);
        let area = buf.area;
        line_right(&mut buf, area, &[Span::text("a"), Span::text("b")], Theme::default());
        assert_eq!(picture(&buf), "      ab");
    }

    #[test]
    fn words_are_broken_at_spaces() {
        assert_eq!(wrap("seen again by three groups", 11, 9), ["seen again", "by three", "groups"]);
        assert_eq!(wrap("a bc def", 3, 2), ["a", "bc def"]);
        assert_eq!(wrap("", 3, 2), [""]);
    }
}
