//! Rates: differences of counters over measured times, smoothed for the eye.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// After so long a smoothed rate has forgotten half of what it was, in seconds.
const HALF_LIFE: f64 = 5.0;
/// A counter that moves in steps (commits) may stand still so long before its rate falls.
const PATIENCE: Duration = Duration::from_secs(10);
/// Values of a trend.
const TREND: usize = 60;

/// Adds a raw rate, measured over `seconds`, to a smoothed one.
pub(super) fn blend(smooth: Option<f64>, raw: f64, seconds: f64, half_life: f64) -> f64 {
    let Some(smooth) = smooth else { return raw };
    let keep = 0.5_f64.powf(seconds / half_life);
    let next = smooth * keep + raw * (1.0 - keep);
    // What only fades is over at some time.
    if raw == 0.0 && next < 0.001 { 0.0 } else { next }
}

/// The rate of a counter that grows all the time, as an end offset does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    last: Option<(Duration, i64)>,
    smooth: Option<f64>,
}

impl Rate {
    /// Takes the counter as it was at `at` of the monotonic clock. One that went down begins anew.
    pub fn see(&mut self, total: i64, at: Duration) {
        if let Some((then, before)) = self.last {
            let seconds = at.saturating_sub(then).as_secs_f64();
            if total < before {
                *self = Self::default();
            } else if seconds > 0.0 {
                self.smooth = Some(blend(self.smooth, (total - before) as f64 / seconds, seconds, HALF_LIFE));
            } else {
                return;
            }
        }
        self.last = Some((at, total));
    }

    /// Things a second; `None` before there were two looks.
    pub fn per_second(&self) -> Option<f64> {
        self.smooth
    }
}

/// The rate of a counter that grows in steps, as commits do: each step counts for the time since the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steps {
    /// When it moved last, and to where.
    moved: Option<(Duration, i64)>,
    /// When it was looked at last.
    seen: Duration,
    smooth: Option<f64>,
}

impl Steps {
    /// Takes the counter as it was at `at` of the monotonic clock. One that went down begins anew.
    pub fn see(&mut self, total: i64, at: Duration) {
        if let Some((moved, before)) = self.moved {
            if total < before {
                *self = Self { moved: Some((at, total)), seen: at, smooth: None };
                return;
            }
            let idle = at.saturating_sub(moved) > PATIENCE;
            let since = if idle { self.seen } else { moved };
            let seconds = at.saturating_sub(since).as_secs_f64();
            if seconds <= 0.0 {
                return;
            }
            if total > before || idle || self.smooth.is_none() {
                self.smooth = Some(blend(self.smooth, (total - before) as f64 / seconds, seconds, HALF_LIFE));
            }
            if total == before {
                self.seen = at;
                return;
            }
        }
        self.moved = Some((at, total));
        self.seen = at;
    }

    /// Things a second; `None` before there were two looks.
    pub fn per_second(&self) -> Option<f64> {
        self.smooth
    }
}

/// The last values of a figure, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Trend(VecDeque<f64>);

impl Trend {
    /// Adds a value; what is not known leaves no trace.
    pub fn push(&mut self, value: Option<f64>) {
        let Some(value) = value else { return };
        if self.0.len() == TREND {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// All values.
    pub fn values(&self) -> Arc<[f64]> {
        self.0.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn about(value: Option<f64>, wanted: f64) {
        let value = value.unwrap();
        assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
    }

    #[test]
    fn a_rate_needs_two_looks_and_is_the_growth_over_the_measured_time() {
        let mut rate = Rate::default();
        rate.see(100, at(10));
        assert_eq!(rate.per_second(), None);
        rate.see(150, at(12));
        about(rate.per_second(), 25.0);
    }

    #[test]
    fn after_the_half_life_half_is_forgotten() {
        let mut rate = Rate::default();
        for (total, seconds) in [(0, 0), (1000, 10), (1000, 15)] {
            rate.see(total, at(seconds));
        }
        about(rate.per_second(), 50.0);
    }

    #[test]
    fn a_log_that_became_shorter_begins_anew_and_is_never_negative() {
        let mut rate = Rate::default();
        rate.see(1000, at(0));
        rate.see(2000, at(2));
        rate.see(5, at(4));
        assert_eq!(rate.per_second(), None);
        rate.see(25, at(6));
        about(rate.per_second(), 10.0);
    }

    #[test]
    fn commits_in_steps_count_for_the_time_between_them() {
        let mut steps = Steps::default();
        // 100 records every 5 s, looked at every second: 20 a second, at every look after the first step.
        for second in 0..=5 {
            steps.see(second / 5 * 100, at(second as u64));
        }
        about(steps.per_second(), 10.0);
        for second in 6..=60_i64 {
            steps.see(second / 5 * 100, at(second as u64));
        }
        let rate = steps.per_second().unwrap();
        assert!((19.9..20.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_group_that_stands_still_fades_to_zero_and_a_burst_counts_at_once() {
        let mut steps = Steps::default();
        steps.see(0, at(0));
        steps.see(100, at(2));
        about(steps.per_second(), 50.0);
        for second in 3..200 {
            steps.see(100, at(second));
        }
        about(steps.per_second(), 0.0);
        steps.see(2100, at(201));
        assert!(steps.per_second().unwrap() > 200.0);
    }
}
