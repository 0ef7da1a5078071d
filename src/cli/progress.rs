//! How far a long work is, as one line with rate and time left. Pure.

use std::time::Duration;

use crate::context::Progress;
use crate::text::units;

/// The meter of one work: it remembers when the work began, so that it can tell a rate.
#[derive(Debug, Default)]
pub(super) struct Meter {
    what: String,
    began: Duration,
    done_at_begin: u64,
    drawn: Option<Duration>,
}

/// The least time between two pictures.
const PACE: Duration = Duration::from_millis(100);

impl Meter {
    /// The line to draw at `now`, or `None` while the last one is too fresh.
    pub(super) fn line(&mut self, now: Duration, progress: &Progress) -> Option<String> {
        if progress.what != self.what || progress.done < self.done_at_begin {
            *self =
                Self { what: progress.what.clone(), began: now, done_at_begin: progress.done, drawn: None };
        }
        if self.drawn.is_some_and(|drawn| now.saturating_sub(drawn) < PACE) {
            return None;
        }
        self.drawn = Some(now);
        Some(self.text(now, progress))
    }

    fn text(&self, now: Duration, progress: &Progress) -> String {
        let mut parts = vec![progress.what.clone()];
        match progress.total {
            Some(total) => parts.push(format!(
                "{} of {} ({} %)",
                units::count(progress.done),
                units::count(total),
                // A whole is a whole; all but a whole is not yet 100 %.
                (u128::from(progress.done) * 100).checked_div(u128::from(total)).unwrap_or(100)
            )),
            None if progress.done > 0 => parts.push(units::count(progress.done)),
            None => {}
        }
        if progress.bytes > 0 {
            parts.push(units::bytes(progress.bytes));
        }
        let seconds = now.saturating_sub(self.began).as_secs_f64();
        let done = progress.done.saturating_sub(self.done_at_begin);
        if seconds >= 0.5 && done > 0 {
            let rate = done as f64 / seconds;
            parts.push(units::rate(rate));
            if let Some(left) = progress.total.and_then(|total| total.checked_sub(progress.done)) {
                let left = Duration::try_from_secs_f64(left as f64 / rate).unwrap_or_default();
                parts.push(format!("{} left", units::duration(left)));
            }
        }
        if let Some(waiting) = &progress.waiting {
            parts.push(format!("waiting for {waiting}"));
        }
        parts.join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64, total: Option<u64>) -> Progress {
        Progress { what: "reading orders".to_owned(), done, total, ..Progress::default() }
    }

    #[test]
    fn rate_and_time_left_come_from_what_was_done_since_the_beginning() {
        let mut meter = Meter::default();
        let second = Duration::from_secs(1);
        assert_eq!(
            meter.line(second, &progress(0, Some(4000))).as_deref(),
            Some("reading orders  0 of 4,000 (0 %)")
        );
        assert_eq!(
            meter.line(2 * second, &progress(1000, Some(4000))).as_deref(),
            Some("reading orders  1,000 of 4,000 (25 %)  1,000/s  3 s left")
        );
    }

    #[test]
    fn it_is_drawn_ten_times_a_second_at_most() {
        let mut meter = Meter::default();
        let at = Duration::from_millis;
        assert!(meter.line(at(0), &progress(1, None)).is_some());
        assert!(meter.line(at(99), &progress(2, None)).is_none());
        assert!(meter.line(at(100), &progress(3, None)).is_some());
    }

    #[test]
    fn a_second_work_has_its_own_rate() {
        let mut meter = Meter::default();
        meter.line(Duration::ZERO, &progress(50_000, None));
        let other = Progress { what: "folding".to_owned(), done: 10, ..Progress::default() };
        assert_eq!(meter.line(Duration::from_secs(100), &other).as_deref(), Some("folding  10"));
    }
}
