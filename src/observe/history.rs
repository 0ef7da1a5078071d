//! The charts' history: every look for a quarter of an hour, then the highest of each minute, for a day.

use super::snapshot::{History, Totals};
use crate::text::Timestamp;

/// How long every look is kept, in milliseconds.
const WHOLE: i64 = 15 * 60_000;
/// What is kept of older ones: one for so many milliseconds.
const STEP: i64 = 60_000;
/// How long anything is kept.
const LONGEST: i64 = 24 * 3_600_000;
/// Looks at most, however often is looked.
const MOST: usize = 8_000;

/// Adds the totals of a look.
pub(super) fn push(history: &mut History, at: Timestamp, totals: &Totals) {
    let minute = |at: Timestamp| at.as_millis().div_euclid(STEP);
    let begins = history.at.last().is_some_and(|last| minute(*last) != minute(at));
    if begins || history.at.len() >= MOST {
        thin(history, at);
    }
    history.at.push(at);
    history.records_per_second.push(totals.records_per_second);
    history.latency_p99.push(totals.latency.p99);
    history.error_percent.push(totals.error_percent);
    history.lag.push(totals.lag.map(|n| n as f64));
    history.pending.push(totals.pending.map(|n| n as f64));
}

/// Once a minute: joins the looks of one minute that have grown old, and forgets the oldest.
fn thin(history: &mut History, now: Timestamp) {
    let minute = |at: &Timestamp| at.as_millis().div_euclid(STEP);
    let old = history.at.partition_point(|at| now.since(*at) > WHOLE);
    let too_old = history.at.partition_point(|at| now.since(*at) > LONGEST);
    // Where there are too many a quarter goes, so that it is not done again at once.
    let drop = if history.at.len() >= MOST { too_old.max(MOST / 4) } else { too_old };
    let joins = history.at.get(..old).is_some_and(|of| of.windows(2).any(|p| minute(&p[0]) == minute(&p[1])));
    if drop == 0 && !joins {
        return;
    }
    // The first of each group that stays, and the one after its last.
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (i, at) in history.at.iter().enumerate().skip(drop) {
        match groups.last_mut() {
            Some((first, end)) if i < old && history.at.get(*first).map(minute) == Some(minute(at)) => {
                *end = i + 1;
            }
            _ => groups.push((i, i + 1)),
        }
    }
    let highest = |values: &mut Vec<Option<f64>>| {
        let of = |(first, end): &(usize, usize)| {
            values.get(*first..*end).into_iter().flatten().copied().flatten().reduce(f64::max)
        };
        *values = groups.iter().map(of).collect();
    };
    [
        &mut history.records_per_second,
        &mut history.latency_p99,
        &mut history.error_percent,
        &mut history.lag,
        &mut history.pending,
    ]
    .into_iter()
    .for_each(highest);
    history.at = groups.iter().filter_map(|(first, _)| history.at.get(*first).copied()).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(looks: i64, every: i64) -> History {
        let mut history = History::default();
        for i in 0..looks {
            let totals = Totals { lag: Some(i as u64), ..Totals::default() };
            push(&mut history, Timestamp(i * every), &totals);
        }
        history
    }

    #[test]
    fn two_days_of_looks_stay_bounded_in_order_and_whole_in_the_last_quarter_of_an_hour() {
        let history = filled(86_400, 2_000);
        assert!(history.at.len() < 2_000, "{}", history.at.len());
        assert!(history.at.is_sorted());
        let last: Vec<_> = history.lag.iter().rev().take(450).map(|l| l.unwrap()).collect();
        assert!(last.windows(2).all(|pair| (pair[0] - pair[1] - 1.0).abs() < 0.1));
        let (now, first) = (Timestamp(86_399 * 2_000), history.at[0]);
        assert!(now.since(first) <= LONGEST + STEP && now.since(first) > LONGEST - 2 * STEP);
        assert_eq!((history.pending.len(), history.pending[0]), (history.at.len(), None));
    }

    #[test]
    fn an_old_minute_keeps_its_highest_value() {
        let history = filled(600, 2_000);
        assert_eq!(history.lag[0], Some(29.0), "the looks of the first minute were 0 to 29");
        assert_eq!(history.at[1], Timestamp(60_000));
    }

    #[test]
    fn looking_as_often_as_can_be_stays_bounded_too() {
        let history = filled(50_000, 50);
        assert!(history.at.len() <= MOST);
    }
}
