//! A history in few cells: the newest value on the right, a value that is not known left out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{nth_line, put};

/// The eighths of a cell's height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The dots of a braille cell from the bottom, left and right.
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// The last values in one line of exactly `cells` cells. The highest is as high as the cell; zero is the lowest
/// block, and what is not known is blank.
pub fn spark(values: &[Option<f64>], cells: usize) -> String {
    let values = last(values, cells);
    let top = highest(values);
    let mut out = " ".repeat(cells - values.len());
    out.extend(values.iter().map(|value| value.map_or(' ', |v| BLOCKS[filled(v, top, 8) - 1])));
    out
}

/// [`spark`] of counts.
pub fn spark_counts(values: &[u64], cells: usize) -> String {
    let from = values.len().saturating_sub(cells);
    let values: Vec<_> = values.get(from..).unwrap_or_default().iter().map(|v| Some(*v as f64)).collect();
    spark(&values, cells)
}

/// Draws a history over all of `area`, in blocks of an eighth of a cell.
pub fn chart(buf: &mut Buffer, area: Rect, values: &[Option<f64>], style: Style) {
    let values = last(values, usize::from(area.width));
    let top = highest(values);
    let steps = usize::from(area.height) * 8;
    let free = usize::from(area.width) - values.len();
    for y in 0..area.height {
        let below = usize::from(area.height - 1 - y) * 8;
        let mut row = " ".repeat(free);
        row.extend(values.iter().map(|value| {
            let filled = value.map_or(0, |v| filled(v, top, steps));
            filled.saturating_sub(below).min(8).checked_sub(1).map_or(' ', |i| BLOCKS[i])
        }));
        put(buf, nth_line(area, y), &row, style);
    }
}

/// Draws a history over all of `area` in braille, two values a cell: a longer past in the same place.
pub fn fine_chart(buf: &mut Buffer, area: Rect, values: &[Option<f64>], style: Style) {
    let wide = usize::from(area.width) * 2;
    let values = last(values, wide);
    let top = highest(values);
    let steps = usize::from(area.height) * 4;
    let free = wide - values.len();
    let column = |column: usize| {
        let value = column.checked_sub(free).and_then(|i| values.get(i).copied().flatten());
        value.map_or(0, |v| filled(v, top, steps))
    };
    for y in 0..area.height {
        let below = usize::from(area.height - 1 - y) * 4;
        let cell = |x: usize| {
            let dots = DOTS.iter().enumerate().map(|(side, dots)| {
                let here = column(x * 2 + side).saturating_sub(below).min(4);
                dots.iter().take(here).sum::<u32>()
            });
            char::from_u32(0x2800 + dots.sum::<u32>()).filter(|c| *c != '\u{2800}').unwrap_or(' ')
        };
        let row: String = (0..usize::from(area.width)).map(cell).collect();
        put(buf, nth_line(area, y), &row, style);
    }
}

fn last(values: &[Option<f64>], count: usize) -> &[Option<f64>] {
    values.get(values.len().saturating_sub(count)..).unwrap_or_default()
}

fn highest(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().copied().filter(|v| v.is_finite()).fold(0.0, f64::max)
}

/// How many of `steps` are filled: zero fills one, and everything else more than zero does.
fn filled(value: f64, top: f64, steps: usize) -> usize {
    if top <= 0.0 || !value.is_finite() || value <= 0.0 {
        return 1;
    }
    ((value / top * steps as f64).round() as usize).clamp(steps.min(2), steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::widgets::tests::{paper, picture};

    #[test]
    fn zero_is_low_and_unknown_is_blank() {
        assert_eq!(spark(&[Some(0.0), None, Some(4.0), Some(8.0)], 4), "▁ ▄█");
        assert_eq!(spark(&[Some(0.0), Some(0.0)], 2), "▁▁");
        assert_eq!(spark(&[Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)], 3), "▁▁▁");
    }

    #[test]
    fn the_newest_values_stand_on_the_right() {
        assert_eq!(spark_counts(&[9, 1, 2], 2), "▄█");
        assert_eq!(spark_counts(&[1], 4), "   █");
        assert_eq!(spark_counts(&[], 3), "   ");
    }

    #[test]
    fn something_small_never_looks_like_nothing() {
        assert_eq!(spark_counts(&[0, 1, 100_000], 3), "▁▂█");
    }

    #[test]
    fn a_chart_uses_the_height_of_its_area() {
        let mut buf = paper(3, 2);
        let area = buf.area;
        chart(&mut buf, area, &[Some(1.0), Some(8.0), Some(16.0)], Style::new());
        assert_eq!(picture(&buf), "  █\n▂██");
    }

    #[test]
    fn a_fine_chart_holds_two_values_a_cell() {
        let mut buf = paper(2, 1);
        let area = buf.area;
        fine_chart(&mut buf, area, &[Some(1.0), Some(4.0), None, Some(2.0)], Style::new());
        assert_eq!(picture(&buf), "⣼⢠");
    }
}
