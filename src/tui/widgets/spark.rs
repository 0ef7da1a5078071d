//! A history in one line of cells.

/// From low to high; zero is the lowest that can be seen.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `cells` values as bars between zero and their largest; a value that is not known is a blank.
/// On the left what is missing is blank.
pub fn bars(values: impl DoubleEndedIterator<Item = Option<f64>>, cells: usize) -> String {
    let mut last: Vec<Option<f64>> = values.rev().take(cells).collect();
    last.resize(cells, None);
    last.reverse();
    let known = |value: &Option<f64>| value.filter(|v| v.is_finite());
    let largest = last.iter().filter_map(known).fold(0.0_f64, f64::max);
    last.iter()
        .map(|value| match known(value) {
            None => ' ',
            Some(value) if largest <= 0.0 || value <= 0.0 => BARS[0],
            Some(value) => {
                let step = (value / largest * (BARS.len() - 1) as f64).round() as usize;
                BARS.get(step).copied().unwrap_or(BARS[BARS.len() - 1])
            }
        })
        .collect()
}

/// Values as bars between zero and `top` in several lines, the highest first; a cell a value.
pub fn chart(values: &[Option<f64>], top: f64, lines: usize) -> Vec<String> {
    let lines = lines.max(1);
    let known = |value: &Option<f64>| value.filter(|v| v.is_finite());
    let steps = lines * BARS.len();
    // Of all steps of all lines; the lowest is seen, as zero is in one line.
    let heights: Vec<Option<usize>> = values
        .iter()
        .map(|value| {
            let share = if top > 0.0 { (known(value)? / top).clamp(0.0, 1.0) } else { 0.0 };
            known(value).map(|_| ((share * steps as f64).round() as usize).max(1))
        })
        .collect();
    (0..lines)
        .rev()
        .map(|line| {
            let cell =
                |height: &Option<usize>| match height.map_or(0, |h| h.saturating_sub(line * BARS.len())) {
                    0 => ' ',
                    n => BARS[n.min(BARS.len()) - 1],
                };
            heights.iter().map(cell).collect()
        })
        .collect()
}

/// A bar of `cells` cells, filled by `done` of `total`.
pub fn meter(done: u64, total: u64, cells: usize) -> String {
    let share = if total == 0 { 1.0 } else { (done as f64 / total as f64).clamp(0.0, 1.0) };
    let filled = (share * cells as f64).floor() as usize;
    let mut out = "█".repeat(filled);
    out.push_str(&"░".repeat(cells - filled));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_the_highest_bar_and_what_is_unknown_a_blank() {
        let values = [Some(0.0), None, Some(7.0), Some(3.5)];
        assert_eq!(bars(values.into_iter(), 4), "▁ █▅");
    }

    #[test]
    fn only_the_last_values_are_shown_at_the_right() {
        let values = [Some(9.0), Some(1.0), Some(1.0)];
        assert_eq!(bars(values.into_iter(), 2), "██");
        assert_eq!(bars(values.into_iter(), 5), "  █▂▂");
        assert_eq!(bars([Some(0.0)].into_iter(), 1), "▁");
    }

    #[test]
    fn a_chart_of_several_lines_has_as_many_steps_more() {
        let values = [Some(0.0), None, Some(12.0), Some(16.0)];
        assert_eq!(chart(&values, 16.0, 2), ["  ▄█", "▁ ██"]);
        assert_eq!(chart(&values, 32.0, 1), ["▁ ▃▄"]);
    }

    #[test]
    fn a_meter_is_full_only_at_the_end() {
        assert_eq!(meter(0, 3, 3), "░░░");
        assert_eq!(meter(299, 300, 3), "██░");
        assert_eq!(meter(3, 3, 3), "███");
        assert_eq!(meter(0, 0, 2), "██");
    }
}
