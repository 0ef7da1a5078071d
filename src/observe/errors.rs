//! Error rate: dead letters whose origin is a group ÷ what the group consumed, over a sliding minute.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back is looked.
const SPAN: Duration = Duration::from_secs(60);

/// Two counters as they were at some times.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors(VecDeque<(Duration, u64, f64)>);

impl Errors {
    /// Takes the letters that have arrived since the program looks on, and what was consumed since the last call.
    pub fn see(&mut self, at: Duration, arrived: u64, consumed: f64) {
        let before = match self.0.back() {
            // Counters that began anew.
            Some((_, letters, _)) if *letters > arrived => {
                self.0.clear();
                0.0
            }
            Some((_, _, total)) => *total,
            None => 0.0,
        };
        self.0.push_back((at, arrived, before + consumed));
        while self.0.len() > 2 && self.0.get(1).is_some_and(|(then, ..)| at.saturating_sub(*then) >= SPAN) {
            self.0.pop_front();
        }
    }

    /// Letters and consumed records of the last minute.
    pub fn counts(&self) -> Option<(u64, f64)> {
        let ((then, old, before), (now, new, total)) = (self.0.front()?, self.0.back()?);
        (now > then).then(|| (new - old, total - before))
    }
}

/// Letters in percent of what was consumed; `None` where letters came and nothing was consumed.
pub(super) fn percent(letters: u64, consumed: f64) -> Option<f64> {
    if letters == 0 {
        return Some(0.0);
    }
    (consumed > 0.0).then(|| letters as f64 * 100.0 / consumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_the_share_of_the_last_minute() {
        let mut errors = Errors::default();
        errors.see(at(0), 10, 0.0);
        assert_eq!(errors.counts(), None);
        errors.see(at(2), 11, 50.0);
        errors.see(at(4), 12, 50.0);
        assert_eq!(errors.counts(), Some((2, 100.0)));
        for second in 5..=100 {
            errors.see(at(second), 12, 10.0);
        }
        assert_eq!(errors.counts(), Some((0, 600.0)));
    }

    #[test]
    fn letters_without_anything_consumed_have_no_share() {
        assert_eq!(percent(0, 0.0), Some(0.0));
        assert_eq!(percent(3, 0.0), None);
        assert_eq!(percent(2, 100.0), Some(2.0));
    }

    #[test]
    fn a_counter_that_began_anew_is_never_negative() {
        let mut errors = Errors::default();
        errors.see(at(0), 10, 0.0);
        errors.see(at(2), 3, 10.0);
        assert_eq!(errors.counts(), None);
        errors.see(at(4), 4, 10.0);
        assert_eq!(errors.counts(), Some((1, 10.0)));
    }
}
