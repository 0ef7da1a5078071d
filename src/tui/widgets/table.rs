//! A table of which only the rows that are seen are made.

use super::list::{Align, Cell, Column, List, Source};
use super::pen::Pen;
use crate::text::width::width;
use crate::tui::hits::{Hits, Spot};
use crate::tui::theme::Role;

/// Cells between two columns.
const GAP: u16 = 2;

/// Whether the cursor is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// It is.
    Shown,
    /// It is not: the table is only looked at.
    Hidden,
}

/// Draws the heading and the rows around the cursor; tells `hits` where they are.
pub fn draw(pen: &mut Pen<'_>, list: &List, source: &dyn Source, cursor: Cursor, hits: &mut Hits) {
    if pen.height() < 2 {
        return;
    }
    let lines = 1 + source.details();
    let page = (usize::from(pen.height()) - 1) / lines;
    hits.page = page.max(1);
    let top = list.top_for(page.max(1));
    let seen = list.order.iter().enumerate().skip(top).take(page);
    let rows: Vec<(usize, usize, bool, Vec<Cell>)> = seen
        .map(|(place, (row, key))| {
            let cells = (0..source.columns().len()).map(|column| source.cell(*row, column)).collect();
            (place, *row, list.marks.contains(key), cells)
        })
        .collect();
    let columns = source.columns();
    let widths = widths(columns, list.left, pen.width().saturating_sub(2), |column| {
        rows.iter()
            .filter_map(|(.., cells)| cells.get(column))
            .map(|cell| width(&cell.text))
            .max()
            .unwrap_or(0)
    });
    heading(pen, list, columns, &widths, hits);
    for (i, (place, row, marked, cells)) in rows.iter().enumerate() {
        let y = u16::try_from(1 + i * lines).unwrap_or(u16::MAX);
        let mark = if *marked { "*" } else { " " };
        pen.put(0, y, mark, Role::Mark);
        let mut x = 2;
        for ((cell, column), wide) in cells.iter().zip(columns).zip(&widths) {
            let Some(wide) = *wide else { continue };
            draw_cell(pen, x, y, wide, column.align, cell);
            x += wide + GAP;
        }
        for line in 0..source.details() {
            let y = y + 1 + u16::try_from(line).unwrap_or(0);
            source.detail(*row, line).iter().fold(4, |x, (text, role)| pen.put(x, y, text, *role));
        }
        if *place == list.cursor && cursor == Cursor::Shown {
            let wide = pen.width();
            pen.shade(0, y, wide, Role::Select);
        }
        let area = pen.area();
        hits.add(area.x, area.y + y, area.width, u16::try_from(lines).unwrap_or(1), Spot::Row(*place));
    }
}

fn heading(pen: &mut Pen<'_>, list: &List, columns: &[Column], widths: &[Option<u16>], hits: &mut Hits) {
    let mut x = 2;
    for (i, (column, wide)) in columns.iter().zip(widths).enumerate() {
        let Some(wide) = *wide else { continue };
        let sorted = list.sort.column == Some(i);
        let role = if sorted { Role::Title } else { Role::Dim };
        draw_cell(pen, x, 0, wide, column.align, &Cell::new(column.title, role));
        if sorted {
            // Beside the heading, in the gap.
            let arrow = if list.sort.reverse { "↓" } else { "↑" };
            let at = match column.align {
                Align::Left => x + wide.min(u16::try_from(width(column.title)).unwrap_or(0)),
                Align::Right => x + wide,
            };
            pen.put(at, 0, arrow, Role::Title);
        }
        let area = pen.area();
        hits.add(area.x + x, area.y, wide, 1, Spot::Heading(i));
        x += wide + GAP;
    }
}

fn draw_cell(pen: &mut Pen<'_>, x: u16, y: u16, wide: u16, align: Align, cell: &Cell) {
    match align {
        Align::Left => {
            pen.cell(x, y, wide, &cell.text, cell.role);
        }
        Align::Right => {
            let text = width(&cell.text);
            let text = u16::try_from(text).unwrap_or(u16::MAX).min(wide);
            pen.cell(x + wide - text, y, text, &cell.text, cell.role);
        }
    }
}

/// The width of each column; `None` for those that have no room, and for the `left` ones behind the first.
/// `natural` is what a column's cells take.
fn widths(columns: &[Column], left: usize, room: u16, natural: impl Fn(usize) -> usize) -> Vec<Option<u16>> {
    let mut shown: Vec<bool> = (0..columns.len()).map(|i| i == 0 || i > left).collect();
    let least = |shown: &[bool]| -> u16 {
        let each = columns.iter().zip(shown).filter(|(_, shown)| **shown);
        each.map(|(column, _)| column.min + GAP).sum::<u16>().saturating_sub(GAP)
    };
    while least(&shown) > room {
        let last = columns
            .iter()
            .enumerate()
            .filter(|(i, column)| shown.get(*i) == Some(&true) && column.priority > 0)
            .max_by_key(|(i, column)| (column.priority, *i));
        match last {
            Some((i, _)) => {
                if let Some(shown) = shown.get_mut(i) {
                    *shown = false;
                }
            }
            None => break,
        }
    }
    let mut spare = room.saturating_sub(least(&shown));
    columns
        .iter()
        .enumerate()
        .zip(&shown)
        .map(|((i, column), shown)| {
            let wanted = u16::try_from(natural(i)).unwrap_or(u16::MAX).min(column.max).max(column.min);
            let more = (wanted - column.min).min(spare);
            shown.then(|| {
                spare -= more;
                column.min + more
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::text("NAME", 6, 20, 0), Column::figure("LAG", 5, 1), Column::text("HOST", 8, 30, 2)];

    #[test]
    fn columns_vanish_from_the_right_and_never_overlap() {
        assert_eq!(widths(&COLUMNS, 0, 40, |_| 0), [Some(6), Some(5), Some(8)]);
        assert_eq!(widths(&COLUMNS, 0, 22, |_| 0), [Some(6), Some(5), None]);
        assert_eq!(widths(&COLUMNS, 0, 12, |_| 0), [Some(6), None, None]);
        assert_eq!(widths(&COLUMNS, 0, 3, |_| 0), [Some(6), None, None], "the first one stays, cut");
        assert_eq!(widths(&COLUMNS, 1, 22, |_| 0), [Some(6), None, Some(8)], "those on the right come in");
    }

    #[test]
    fn what_is_free_goes_to_those_that_need_it() {
        assert_eq!(widths(&COLUMNS, 0, 27, |i| [10, 3, 50][i]), [Some(10), Some(5), Some(8)]);
        assert_eq!(widths(&COLUMNS, 0, 200, |i| [10, 3, 50][i]), [Some(10), Some(5), Some(30)]);
    }
}
