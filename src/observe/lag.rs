//! Lag in time: when a record was appended, from when its log was seen to grow past it.

use std::collections::VecDeque;

use crate::text::Timestamp;

/// Marks of one partition. What is older is kept in ever larger steps.
const MOST: usize = 64;

/// An end offset, and the first and the last time at which it was the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    offset: i64,
    first: Timestamp,
    last: Timestamp,
}

/// The ends that one partition's log was seen to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(VecDeque<Mark>);

impl Ends {
    /// Takes the end offset of now. A log that became shorter is another one.
    pub fn see(&mut self, end: i64, now: Timestamp) {
        if let Some(last) = self.0.back_mut() {
            if last.offset == end {
                last.last = now.max(last.last);
                return;
            }
            if last.offset > end {
                self.0.clear();
            }
        }
        self.0.push_back(Mark { offset: end, first: now, last: now });
        if self.0.len() > MOST {
            // Every second one of the older half goes.
            let mut i = 0;
            self.0.retain(|_| {
                i += 1;
                i > MOST / 2 || i % 2 == 1
            });
        }
    }

    /// When the record at `offset` was appended, interpolated; `None` where it was there before the first look,
    /// or is not there yet.
    pub fn appended(&self, offset: i64) -> Option<Timestamp> {
        let after = self.0.partition_point(|m| m.offset <= offset);
        let before = self.0.get(after.checked_sub(1)?)?;
        let after = self.0.get(after)?;
        let share = (offset - before.offset) as f64 / (after.offset - before.offset) as f64;
        let millis = after.first.since(before.last).max(0) as f64 * share;
        Some(before.last.plus_millis(millis as i64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn a_record_is_as_old_as_the_growth_that_brought_it() {
        let mut ends = Ends::default();
        ends.see(100, at(0));
        ends.see(100, at(8));
        ends.see(110, at(10));
        // It came between the looks at 8 s and at 10 s, not between 0 s and 10 s.
        assert_eq!(ends.appended(100), Some(at(8)));
        assert_eq!(ends.appended(105), Some(at(9)));
    }

    #[test]
    fn what_was_there_before_the_first_look_has_no_observed_age() {
        let mut ends = Ends::default();
        ends.see(100, at(0));
        ends.see(110, at(2));
        assert_eq!(ends.appended(99), None);
        assert_eq!(ends.appended(110), None, "it is not there yet");
        assert_eq!(Ends::default().appended(0), None);
    }

    #[test]
    fn a_log_made_again_forgets_the_one_before() {
        let mut ends = Ends::default();
        ends.see(100, at(0));
        ends.see(200, at(2));
        ends.see(5, at(4));
        ends.see(10, at(6));
        assert_eq!(ends.appended(150), None);
        assert_eq!(ends.appended(5), Some(at(4)));
    }

    #[test]
    fn hours_of_growth_stay_bounded_and_old_records_keep_an_age() {
        let mut ends = Ends::default();
        for second in 0..10_000 {
            ends.see(second * 7, at(second));
        }
        assert!(ends.0.len() <= MOST);
        for second in [1, 100, 5000, 9998] {
            let age = ends.appended(second * 7).unwrap();
            assert_eq!(age.since(at(second)).abs() / 1000, 0, "{second}");
        }
    }

    proptest! {
        #[test]
        fn a_later_record_never_seems_older(steps in proptest::collection::vec((0_i64..50, 1_i64..5), 1..200)) {
            let mut ends = Ends::default();
            let (mut end, mut now) = (0, 0);
            for (grown, passed) in steps {
                end += grown;
                now += passed;
                ends.see(end, at(now));
            }
            let ages: Vec<_> = (0..end).filter_map(|o| ends.appended(o)).collect();
            prop_assert!(ages.is_sorted());
        }
    }
}
