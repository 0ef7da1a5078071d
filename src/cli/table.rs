//! A table laid out for the eye: columns aligned, cut to a width where there is one. Pure.
//!
//! Every cell is [`Safe`]. Where the table is too wide, its widest flexible column gives first, because names
//! and messages still tell something when they are cut, and figures do not.

use std::fmt::Write as _;

use crate::text::Safe;
use crate::text::width::{left, right, width};

/// Which side a column's cells stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// What a cell means beside its text; the words say it too, so that nothing is lost without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    Ok,
    Warn,
    Fail,
}

impl Tone {
    /// The SGR parameter.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Ok => Some("32"),
            Self::Warn => Some("33"),
            Self::Fail => Some("31"),
        }
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: Safe,
    tone: Tone,
}

impl Cell {
    /// A cell with a tone.
    pub(super) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: Safe::new(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

struct Column {
    title: &'static str,
    side: Side,
    flexible: bool,
}

/// How the table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Cells of the terminal; `None` where nothing is cut.
    pub(super) width: Option<usize>,
    /// Whether colours are written.
    pub(super) colour: bool,
}

/// A table.
#[derive(Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// No column is made narrower than this.
const NARROWEST: usize = 8;
const GAP: usize = 2;

impl Table {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a column of names.
    #[must_use]
    pub(super) fn text(self, title: &'static str) -> Self {
        self.column(title, Side::Left, true)
    }

    /// Adds a column of short words.
    #[must_use]
    pub(super) fn word(self, title: &'static str) -> Self {
        self.column(title, Side::Left, false)
    }

    /// Adds a column of figures.
    #[must_use]
    pub(super) fn figure(self, title: &'static str) -> Self {
        self.column(title, Side::Right, false)
    }

    fn column(mut self, title: &'static str, side: Side, flexible: bool) -> Self {
        self.columns.push(Column { title, side, flexible });
        self
    }

    /// Adds a row; it has a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each ended by a line break.
    pub(super) fn lay_out(&self, form: Form) -> String {
        let widths = self.widths(form.width);
        let mut out = String::new();
        let titles = self.columns.iter().map(|c| Cell::from(c.title));
        self.line(&mut out, &widths, titles.collect::<Vec<_>>().as_slice(), form, true);
        for row in &self.rows {
            self.line(&mut out, &widths, row, form, false);
        }
        out
    }

    fn line(&self, out: &mut String, widths: &[usize], cells: &[Cell], form: Form, title: bool) {
        let mut line = String::new();
        // What is cut off the terminal's right edge, where even the narrowest columns do not fit.
        let mut room = form.width.unwrap_or(usize::MAX);
        for (i, ((column, cells_wide), cell)) in self.columns.iter().zip(widths).zip(cells).enumerate() {
            let gap = if i == 0 { 0 } else { GAP };
            if room <= gap {
                break;
            }
            line.extend(std::iter::repeat_n(' ', gap));
            room -= gap;
            let wide = (*cells_wide).min(room);
            room -= wide;
            let text = match column.side {
                Side::Left => left(cell.text.as_str(), wide),
                Side::Right => right(cell.text.as_str(), wide),
            };
            let sgr = if title { Some("1") } else { cell.tone.sgr() };
            match sgr.filter(|_| form.colour) {
                Some(sgr) => {
                    // Writing to a string cannot fail.
                    let _ = write!(line, "\x1b[{sgr}m{text}\x1b[0m");
                }
                None => line.push_str(&text),
            }
        }
        out.push_str(line.trim_end_matches(' '));
        out.push('\n');
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| width(c.title)).collect();
        for row in &self.rows {
            for (wide, cell) in widths.iter_mut().zip(row) {
                *wide = (*wide).max(width(cell.text.as_str()));
            }
        }
        let Some(limit) = limit else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
        while over > 0 {
            let widest = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(wide, column)| column.flexible && **wide > NARROWEST)
                .max_by_key(|(wide, _)| **wide);
            let Some((wide, _)) = widest else { break };
            *wide -= 1;
            over -= 1;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new().text("TOPIC").figure("LAG").word("STATUS");
        table.row([Cell::from("orders"), Cell::from("48,211"), Cell::toned("stall", Tone::Fail)]);
        table.row([Cell::from("a-topic-with-a-long-name"), Cell::from("0"), Cell::toned("ok", Tone::Ok)]);
        table
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_blanks_at_their_end() {
        let text = table().lay_out(Form { width: None, colour: false });
        assert_eq!(
            text,
            "TOPIC                        LAG  STATUS\n\
             orders                    48,211  stall\n\
             a-topic-with-a-long-name       0  ok\n"
        );
    }

    #[test]
    fn names_are_cut_first_and_figures_stay_whole() {
        let text = table().lay_out(Form { width: Some(30), colour: false });
        assert_eq!(
            text,
            "TOPIC              LAG  STATUS\n\
             orders          48,211  stall\n\
             a-topic-with-…       0  ok\n"
        );
    }

    #[test]
    fn an_escape_sequence_in_a_cell_is_shown_and_not_sent() {
        let mut table = Table::new().text("KEY");
        table.row([Cell::from("a\x1b[2J\nb")]);
        assert_eq!(table.lay_out(Form { width: None, colour: false }), "KEY\na␛[2J␊b\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            cells in proptest::collection::vec("\\PC{0,30}", 4),
            columns in 1_usize..120,
        ) {
            let mut table = Table::new().text("ONE").text("TWO").figure("THREE").word("FOUR");
            table.row(cells.iter().map(Cell::from));
            for line in table.lay_out(Form { width: Some(columns), colour: false }).lines() {
                prop_assert!(width(line) <= columns, "{:?} is wider than {}", line, columns);
            }
        }
    }
}
