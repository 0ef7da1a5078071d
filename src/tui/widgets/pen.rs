//! The one door to the screen's cells: everything that is drawn goes through here and is made safe.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use super::super::theme::{Glyphs, Role, Theme};
use crate::text::Safe;
use crate::text::width::{self, width};

/// Draws into a rectangle of the screen; what would lie outside is cut.
pub struct Pen<'b> {
    buffer: &'b mut Buffer,
    theme: Theme,
    area: Rect,
}

impl<'b> Pen<'b> {
    /// A pen for `area`, as far as it lies in the buffer.
    pub fn new(buffer: &'b mut Buffer, theme: Theme, area: Rect) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, theme, area }
    }

    /// Its rectangle.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// Cells in a line.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Lines.
    pub fn height(&self) -> u16 {
        self.area.height
    }

    /// The theme.
    pub fn theme(&self) -> Theme {
        self.theme
    }

    /// A pen for a part of this one's rectangle, in its coordinates.
    pub fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Pen<'_> {
        let at = Rect { x: self.area.x.saturating_add(x), y: self.area.y.saturating_add(y), width, height };
        let area = at.intersection(self.area);
        Pen { buffer: self.buffer, theme: self.theme, area }
    }

    /// The part from line `y` on.
    pub fn below(&mut self, y: u16) -> Pen<'_> {
        let (width, height) = (self.area.width, self.area.height.saturating_sub(y));
        self.part(0, y, width, height)
    }

    /// Draws `text`, cut with `…` at the right edge; gives the place behind it.
    pub fn put(&mut self, x: u16, y: u16, text: &str, role: Role) -> u16 {
        let style = self.theme.style(role);
        self.styled(x, y, self.area.width, text, style)
    }

    /// The same within `cells` cells.
    pub fn cell(&mut self, x: u16, y: u16, cells: u16, text: &str, role: Role) -> u16 {
        let style = self.theme.style(role);
        self.styled(x, y, x.saturating_add(cells), text, style)
    }

    /// Draws `text` so that it ends before `end`; gives the place where it begins.
    pub fn right(&mut self, end: u16, y: u16, text: &str, role: Role) -> u16 {
        let safe = Safe::new(text);
        let wide = u16::try_from(width(safe.as_str())).unwrap_or(u16::MAX);
        let x = end.saturating_sub(wide);
        self.cell(x, y, end - x, safe.as_str(), role);
        x
    }

    /// Draws pieces side by side; gives the place behind them.
    pub fn pieces(&mut self, x: u16, y: u16, pieces: &[(&str, Role)]) -> u16 {
        pieces.iter().fold(x, |x, (text, role)| self.put(x, y, text, *role))
    }

    /// Draws `text` up to column `end` in a style; gives the place behind it.
    pub fn styled(&mut self, x: u16, y: u16, end: u16, text: &str, style: Style) -> u16 {
        let end = end.min(self.area.width);
        if y >= self.area.height || x >= end {
            return x;
        }
        let safe = Safe::new(text);
        let cut = width::cut(safe.as_str(), usize::from(end - x));
        let drawn = if self.theme.glyphs == Glyphs::Ascii { self.plain(&cut) } else { cut.into_owned() };
        let (left, top) = (self.area.x + x, self.area.y + y);
        let (after, _) = self.buffer.set_stringn(left, top, drawn, usize::from(end - x), style);
        after - self.area.x
    }

    /// Lays a role's style over a line's cells without changing their text.
    pub fn shade(&mut self, x: u16, y: u16, cells: u16, role: Role) {
        let row = Rect { x: self.area.x + x, y: self.area.y + y, width: cells, height: 1 };
        let style = self.theme.style(role);
        self.buffer.set_style(row.intersection(self.area), style);
    }

    /// Draws `text` into those of a line's cells that are blank.
    pub fn fill(&mut self, x: u16, y: u16, cells: u16, text: &str, role: Role) {
        for x in x..x.saturating_add(cells).min(self.area.width) {
            let at = (self.area.x + x, self.area.y + y);
            if y < self.area.height && self.buffer.cell(at).is_some_and(|cell| cell.symbol() == " ") {
                self.cell(x, y, 1, text, role);
            }
        }
    }

    /// Empties the rectangle.
    pub fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws a frame at the edge.
    pub fn frame(&mut self, role: Role) {
        let (w, h) = (self.width(), self.height());
        if w < 2 || h < 2 {
            return;
        }
        let line = "─".repeat(usize::from(w - 2));
        self.put(0, 0, &format!("┌{line}┐"), role);
        self.put(0, h - 1, &format!("└{line}┘"), role);
        for y in 1..h - 1 {
            self.put(0, y, "│", role);
            self.put(w - 1, y, "│", role);
        }
    }

    /// `text` in ASCII, in as many cells.
    fn plain(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for cluster in text.graphemes(true) {
            let first = cluster.chars().next().unwrap_or(' ');
            out.push(self.theme.character(first));
            out.extend(std::iter::repeat_n(' ', width(cluster).saturating_sub(1)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(theme: Theme, draw: impl FnOnce(&mut Pen<'_>)) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
        draw(&mut Pen::new(&mut buffer, theme, Rect::new(0, 0, 10, 1)));
        buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn an_escape_sequence_is_shown_and_not_drawn() {
        let line = drawn(Theme::default(), |pen| {
            pen.put(0, 0, "a\u{1b}[2J", Role::Text);
        });
        assert_eq!(line, "a␛[2J     ");
    }

    #[test]
    fn what_does_not_fit_is_cut_with_a_mark() {
        let line = drawn(Theme::default(), |pen| {
            pen.put(7, 0, "abcdef", Role::Text);
            pen.right(5, 0, "12", Role::Text);
        });
        assert_eq!(line, "   12  ab…");
    }

    #[test]
    fn ascii_takes_as_many_cells() {
        let theme = Theme { glyphs: Glyphs::Ascii, ..Theme::default() };
        let line = drawn(theme, |pen| {
            pen.put(0, 0, "▲ 日本é", Role::Text);
        });
        assert_eq!(line, "! ? ? ?   ");
    }
}
