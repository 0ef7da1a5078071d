//! Bars: how much of a whole.

use crate::text::width;

/// The eighths of a cell, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A meter of exactly `cells` cells: what is done is solid, the rest is shaded. `share` is from 0 to 1.
pub fn meter(share: f64, cells: usize) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    // Full only when all is done, and begun as soon as anything is.
    let mut full = (share * cells as f64).floor() as usize;
    if share > 0.0 && full == 0 && cells > 1 {
        full = 1;
    }
    let full = full.min(cells);
    format!("{}{}", "█".repeat(full), "░".repeat(cells - full))
}

/// A bar of at most `cells` cells, in eighths of a cell, filled with spaces. `share` is from 0 to 1; a share
/// that is not zero is never invisible.
pub fn bar(share: f64, cells: usize) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let mut eighths = (share * cells as f64 * 8.0).round() as usize;
    if share > 0.0 && eighths == 0 && cells > 0 {
        eighths = 1;
    }
    let mut out = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1).and_then(|i| EIGHTHS.get(i)) {
        out.push(*part);
    }
    width::left(&out, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_full_only_when_all_is_done() {
        assert_eq!(meter(0.0, 4), "░░░░");
        assert_eq!(meter(0.001, 4), "█░░░");
        assert_eq!(meter(0.5, 4), "██░░");
        assert_eq!(meter(0.999, 4), "███░");
        assert_eq!(meter(1.0, 4), "████");
        assert_eq!(meter(f64::NAN, 2), "░░");
        assert_eq!(meter(7.0, 0), "");
    }

    #[test]
    fn a_bar_shows_eighths_and_never_nothing() {
        assert_eq!(bar(0.0, 3), "   ");
        assert_eq!(bar(0.0001, 3), "▏  ");
        assert_eq!(bar(0.5, 3), "█▌ ");
        assert_eq!(bar(1.0, 3), "███");
    }
}
