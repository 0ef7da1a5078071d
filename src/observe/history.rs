//! The charts' history: every look for a quarter of an hour, older ones ever thinner.

use super::snapshot::{History, Totals};
use crate::text::Timestamp;

/// Looks kept; at one every two seconds the newer half is a quarter of an hour.
const MOST: usize = 900;

/// Adds the totals of a look.
pub(super) fn push(history: &mut History, at: Timestamp, totals: &Totals) {
    if history.at.len() >= MOST {
        thin(history);
    }
    history.at.push(at);
    history.records_per_second.push(totals.records_per_second);
    history.latency_p99.push(totals.latency.p99);
    history.error_percent.push(totals.error_percent);
    history.lag.push(totals.lag.map(|n| n as f64));
    history.pending.push(totals.pending.map(|n| n as f64));
}

/// Drops every second look of the older half.
fn thin(history: &mut History) {
    fn halve<T>(values: &mut Vec<T>) {
        let mut i = 0;
        values.retain(|_| {
            i += 1;
            i > MOST / 2 || i % 2 == 1
        });
    }
    halve(&mut history.at);
    for series in [
        &mut history.records_per_second,
        &mut history.latency_p99,
        &mut history.error_percent,
        &mut history.lag,
        &mut history.pending,
    ] {
        halve(series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_looks_stays_bounded_in_order_and_whole_in_the_last_quarter_of_an_hour() {
        let mut history = History::default();
        for i in 0..43_200_i64 {
            let totals = Totals { lag: Some(i as u64), ..Totals::default() };
            push(&mut history, Timestamp(i * 2000), &totals);
        }
        assert!(history.at.len() <= MOST);
        assert!(history.at.is_sorted());
        let last: Vec<_> = history.lag.iter().rev().take(400).map(|l| l.unwrap()).collect();
        assert!(last.windows(2).all(|pair| (pair[0] - pair[1] - 1.0).abs() < 0.1));
        assert_eq!(history.at[0], Timestamp(0));
        assert_eq!((history.pending.len(), history.pending[0]), (history.at.len(), None));
    }
}
