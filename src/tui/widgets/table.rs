//! A table that is given only the rows of its window.
//!
//! Widths come from the columns, never from the rows, so nothing jumps while data changes. Where there is too
//! little room, columns vanish: the least important first, of equals the rightmost.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Line, Span, line, nth_line, put, skip, split_top};
use crate::text::{Safe, width};
use crate::tui::theme::{Role, Theme};

/// Cells between two columns.
const GAP: u16 = 2;
/// Cells on the left for cursor and mark.
const GUTTER: u16 = 1;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Align {
    /// Text.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading; units are said here.
    pub title: &'static str,
    /// Where its text stands.
    pub align: Align,
    /// Cells that it has at least.
    pub min: u16,
    /// Its share of the cells that are left over; 0 for none.
    pub grow: u16,
    /// Its importance: the lowest vanishes first.
    pub priority: u8,
}

impl Column {
    /// A column of text.
    pub const fn left(title: &'static str, min: u16, grow: u16, priority: u8) -> Self {
        Self { title, align: Align::Left, min, grow, priority }
    }

    /// A column of numbers.
    pub const fn right(title: &'static str, min: u16, priority: u8) -> Self {
        Self { title, align: Align::Right, min, grow: 0, priority }
    }
}

/// The order of a sorted column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Up,
    /// The largest first.
    Down,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// A span a column.
    pub cells: Vec<Span>,
    /// Lines under it, over the whole width; as many as [`Table::detail`] says.
    pub detail: Vec<Line>,
    /// Whether it is marked.
    pub marked: bool,
    /// Columns that changed since the last sample: drawn bold.
    pub changed: Vec<usize>,
}

/// Where a column was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index in the columns.
    pub column: usize,
    /// First cell, from the left of the area.
    pub x: u16,
    /// Cells.
    pub width: u16,
}

/// The columns that are shown in `cells` cells, from left to right.
pub fn places(columns: &[Column], cells: u16) -> Vec<Place> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let needed = |shown: &[usize]| {
        let mins: u32 = shown.iter().filter_map(|i| columns.get(*i)).map(|c| u32::from(c.min)).sum();
        mins + u32::from(GAP) * shown.len().saturating_sub(1) as u32 + u32::from(GUTTER)
    };
    while shown.len() > 1 && needed(&shown) > u32::from(cells) {
        let least = shown.iter().filter_map(|i| columns.get(*i)).map(|c| c.priority).min();
        let Some(at) = shown.iter().rposition(|i| columns.get(*i).map(|c| c.priority) == least) else {
            break;
        };
        shown.remove(at);
    }
    let free = u32::from(cells).saturating_sub(needed(&shown));
    let shares: u32 = shown.iter().filter_map(|i| columns.get(*i)).map(|c| u32::from(c.grow)).sum();
    let mut x = GUTTER;
    let (mut out, mut given, mut seen) = (Vec::with_capacity(shown.len()), 0, 0);
    for column in shown {
        let Some(spec) = columns.get(column) else { continue };
        seen += u32::from(spec.grow);
        // The running share, so that rounding loses no cell.
        let until = (free * seen).checked_div(shares).unwrap_or(0);
        let width = (u32::from(spec.min) + until - given) as u16;
        given = until;
        let width = width.min(cells.saturating_sub(x));
        out.push(Place { column, x, width });
        x += width + GAP;
    }
    out
}

/// A table as it is to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Columns.
    pub columns: &'a [Column],
    /// The rows of the window, from its top.
    pub rows: &'a [Row],
    /// The row in the window that the cursor is on.
    pub cursor: Option<usize>,
    /// The column that the rows are ordered by.
    pub sort: Option<(usize, Order)>,
    /// Lines under each row.
    pub detail: u16,
}

impl<'a> Table<'a> {
    /// A table of rows of one line, without cursor and order.
    pub fn new(columns: &'a [Column], rows: &'a [Row]) -> Self {
        Self { columns, rows, cursor: None, sort: None, detail: 0 }
    }

    /// How many rows fit into `height` lines.
    pub fn capacity(height: u16, detail: u16) -> usize {
        usize::from(height.saturating_sub(1) / (1 + detail))
    }

    /// Draws heading and rows; where the columns are.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: Theme) -> Vec<Place> {
        let places = places(self.columns, area.width);
        let (head, body) = split_top(area, 1);
        for place in &places {
            let Some(column) = self.columns.get(place.column) else { continue };
            let mark = match self.sort {
                Some((by, order)) if by == place.column => match order {
                    Order::Up => "↑",
                    Order::Down => "↓",
                },
                _ => "",
            };
            let title = match column.align {
                Align::Left => format!("{}{mark}", column.title),
                Align::Right => format!("{mark}{}", column.title),
            };
            put(buf, at(head, place), &aligned(&title, place, column.align), theme.style(Role::Title));
        }
        let height = 1 + self.detail;
        for (index, row) in self.rows.iter().enumerate() {
            let top = index as u16 * height;
            if top >= body.height {
                break;
            }
            let on = self.cursor == Some(index);
            let first = nth_line(body, top);
            self.row(buf, first, &places, row, on, theme);
            for (i, detail) in row.detail.iter().take(usize::from(self.detail)).enumerate() {
                line(buf, skip(nth_line(body, top + 1 + i as u16), GUTTER + 2), detail, theme);
            }
        }
        places
    }

    fn row(&self, buf: &mut Buffer, area: Rect, places: &[Place], row: &Row, on: bool, theme: Theme) {
        for place in places {
            let (Some(column), Some(cell)) = (self.columns.get(place.column), row.cells.get(place.column))
            else {
                continue;
            };
            let mut style = theme.style(cell.role);
            if row.changed.contains(&place.column) {
                style = style.add_modifier(ratatui::style::Modifier::BOLD);
            }
            put(buf, at(area, place), &aligned(cell.text.as_str(), place, column.align), style);
        }
        if row.marked {
            put(buf, area, "◆", theme.style(Role::Mark));
        } else if on {
            put(buf, area, "▌", theme.style(Role::Title));
        }
        if on {
            buf.set_style(area, theme.style(Role::Select));
        }
    }
}

/// An empty table's words: why it is empty, and what to do.
pub fn empty(buf: &mut Buffer, area: Rect, why: &Safe, what: &str, theme: Theme) {
    put(buf, skip(nth_line(area, 1), 2), why.as_str(), theme.style(Role::Text));
    put(buf, skip(nth_line(area, 2), 2), what, theme.style(Role::Dim));
}

fn at(area: Rect, place: &Place) -> Rect {
    let rest = skip(area, place.x);
    Rect { width: place.width.min(rest.width), ..rest }
}

fn aligned(text: &str, place: &Place, align: Align) -> String {
    match align {
        Align::Left => width::left(text, usize::from(place.width)),
        Align::Right => width::right(text, usize::from(place.width)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::widgets::tests::{paper, picture};

    const COLUMNS: &[Column] = &[
        Column::left("TOPIC", 8, 1, 9),
        Column::right("PENDING", 7, 8),
        Column::right("OLDEST", 6, 2),
        Column::left("TOP FAILURE", 11, 3, 2),
    ];

    fn row(cells: [&str; 4]) -> Row {
        Row { cells: cells.into_iter().map(Span::text).collect(), ..Row::default() }
    }

    fn drawn(width: u16, table: &Table<'_>) -> String {
        let mut buf = paper(width, 4);
        let area = buf.area;
        table.draw(&mut buf, area, Theme::default());
        picture(&buf)
    }

    #[test]
    fn columns_vanish_the_least_important_first_and_from_the_right() {
        let shown = |cells| places(COLUMNS, cells).iter().map(|p| p.column).collect::<Vec<_>>();
        assert_eq!(shown(80), [0, 1, 2, 3]);
        assert_eq!(shown(39), [0, 1, 2, 3]);
        assert_eq!(shown(38), [0, 1, 2]);
        assert_eq!(shown(20), [0, 1]);
        assert_eq!(shown(10), [0]);
        assert_eq!(places(COLUMNS, 4), [Place { column: 0, x: 1, width: 3 }]);
    }

    #[test]
    fn what_is_left_over_goes_to_the_columns_that_grow() {
        let widths: Vec<_> = places(COLUMNS, 49).iter().map(|p| p.width).collect();
        assert_eq!(widths, [10, 7, 6, 19]);
        let last = places(COLUMNS, 50).last().copied();
        assert_eq!(last.map(|p| p.x + p.width), Some(50));
    }

    #[test]
    fn numbers_stand_right_and_long_texts_are_cut() {
        let rows = [row(["payments-dlt", "140", "4 m", "SocketTimeoutException"])];
        let table = Table { sort: Some((1, Order::Down)), ..Table::new(COLUMNS, &rows) };
        assert_eq!(
            drawn(39, &table).trim_end(),
            " TOPIC     ↓PENDI…  OLDEST  TOP FAILURE\n payment…      140     4 m  SocketTime…"
        );
    }

    #[test]
    fn cursor_and_mark_are_seen_without_colour() {
        let mut rows = [row(["a", "1", "", ""]), row(["b", "2", "", ""])];
        rows[1].marked = true;
        let table = Table { cursor: Some(0), ..Table::new(COLUMNS, &rows) };
        let text = drawn(39, &table);
        assert!(text.contains("▌a") && text.contains("◆b"), "{text}");
    }

    #[test]
    fn rows_of_several_lines_stop_at_the_bottom() {
        let mut rows = [row(["a", "1", "", ""]), row(["b", "2", "", ""])];
        rows[0].detail = vec![vec![Span::text("at x")], vec![Span::text("\"why\"")]];
        let table = Table { detail: 2, ..Table::new(COLUMNS, &rows) };
        assert_eq!(drawn(20, &table), " TOPIC       PENDING\n a                 1\n   at x\n   \"why\"");
        assert_eq!(Table::capacity(4, 2), 1);
        assert_eq!(Table::capacity(0, 2), 0);
    }
}
