//! The status of a group on a partition, after Burrow's rules over a sliding window of looks.

use super::snapshot::Status;
use crate::text::Timestamp;

/// Looks after which the status of a group is known.
pub const WINDOW: usize = 10;

/// One look at a group's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// When.
    pub at: Timestamp,
    /// Committed offset.
    pub committed: i64,
    /// Records that the group could have consumed and has not.
    pub lag: i64,
    /// Whether the group had members; `None` where that is not known.
    pub members: Option<bool>,
}

/// Looks one after the other that found the same; `at` of the point is that of the first one.
#[derive(Clone, Copy, Debug)]
struct Run {
    point: Point,
    looks: u8,
}

/// The last looks. A partition at which nothing happens takes one run: most of a large cluster is so.
#[derive(Clone, Debug, Default)]
pub(super) struct Window(Vec<Run>);

impl Window {
    /// Adds a look.
    pub fn push(&mut self, point: Point) {
        match self.0.last_mut() {
            Some(Run { point: last, looks }) if (Point { at: last.at, ..point }) == *last => *looks += 1,
            _ => {
                self.0.reserve_exact(1);
                self.0.push(Run { point, looks: 1 });
            }
        }
        if self.len() > WINDOW
            && let Some(first) = self.0.first_mut()
        {
            first.looks -= 1;
            if first.looks == 0 {
                self.0.remove(0);
            }
        }
    }

    /// Looks.
    fn len(&self) -> usize {
        self.0.iter().map(|run| usize::from(run.looks)).sum()
    }

    /// Whether the commit moved forward in the window.
    pub fn moved(&self) -> bool {
        self.pairs().any(|(a, b)| b.committed > a.committed)
    }

    /// How many looks the commit has stood where it is.
    pub fn still(&self) -> usize {
        let Some(last) = self.0.last() else { return 0 };
        let same = |run: &&Run| run.point.committed == last.point.committed;
        self.0.iter().rev().take_while(same).map(|run| usize::from(run.looks)).sum()
    }

    /// When the commit was first seen past `offset`; `None` where it was so all the time, or never.
    pub fn passed(&self, offset: i64) -> Option<Timestamp> {
        self.pairs().find(|(a, b)| a.committed <= offset && b.committed > offset).map(|(_, b)| b.at)
    }

    /// Mean time between two commits that were seen, in milliseconds.
    pub fn commit_interval(&self) -> Option<f64> {
        let mut moves = self.pairs().filter(|(a, b)| b.committed > a.committed).map(|(_, b)| b.at);
        let first = moves.next()?;
        let (count, last) = moves.fold((0, first), |(n, _), at| (n + 1, at));
        (count > 0).then(|| last.since(first) as f64 / f64::from(count))
    }

    /// Whether a rate of commits can be told: two were seen, or the window is full.
    pub fn is_settled(&self) -> bool {
        self.len() == WINDOW || self.commit_interval().is_some()
    }

    /// Neighbours that differ.
    fn pairs(&self) -> impl Iterator<Item = (&Point, &Point)> {
        self.0.iter().zip(self.0.iter().skip(1)).map(|(a, b)| (&a.point, &b.point))
    }

    /// The verdict. Before the window is full only what no further look can change is told.
    pub fn status(&self) -> Status {
        let Some(Run { point: last, .. }) = self.0.last() else { return Status::Unknown };
        if self.pairs().any(|(a, b)| b.committed < a.committed) {
            return Status::Rewind;
        }
        if self.0.iter().any(|run| run.point.lag <= 0) {
            return Status::Ok;
        }
        if self.len() < WINDOW {
            return Status::Unknown;
        }
        if !self.moved() {
            return if last.members == Some(false) { Status::Stop } else { Status::Stall };
        }
        let first = self.0.first().map_or(last.lag, |run| run.point.lag);
        let grows = last.lag > first && self.pairs().all(|(a, b)| b.lag >= a.lag);
        if grows { Status::Warn } else { Status::Ok }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(points: impl IntoIterator<Item = (i64, i64)>, members: Option<bool>) -> Window {
        let mut window = Window::default();
        for (i, (committed, lag)) in points.into_iter().enumerate() {
            window.push(Point { at: Timestamp(i as i64 * 2000), committed, lag, members });
        }
        window
    }

    fn status(points: impl IntoIterator<Item = (i64, i64)>) -> Status {
        window(points, Some(true)).status()
    }

    #[test]
    fn a_commit_that_went_back_is_a_rewind_at_once() {
        assert_eq!(status([(10, 0), (5, 5)]), Status::Rewind);
    }

    #[test]
    fn commits_that_stand_before_records_are_a_stall_with_members_and_a_stop_without() {
        let still = || (0..10).map(|i| (50, 5 + i));
        assert_eq!(window(still(), Some(true)).status(), Status::Stall);
        assert_eq!(window(still(), Some(false)).status(), Status::Stop);
        assert_eq!(window(still(), None).status(), Status::Stall);
    }

    #[test]
    fn nothing_is_decided_before_the_window_is_full() {
        assert_eq!(status((0..9).map(|_| (50, 5))), Status::Unknown);
        assert_eq!(status([]), Status::Unknown);
    }

    #[test]
    fn lag_that_was_zero_once_in_the_window_is_fine() {
        assert_eq!(status((0..10).map(|i| (50, i))), Status::Ok);
        assert_eq!(status([(50, 0)]), Status::Ok);
    }

    #[test]
    fn lag_that_grows_over_the_whole_window_is_a_warning_although_commits_move() {
        assert_eq!(status((0..10).map(|i| (i, 5 + i))), Status::Warn);
        assert_eq!(status((0..10).map(|i| (i, if i == 5 { 3 } else { 5 + i }))), Status::Ok);
        assert_eq!(status((0..10).map(|i| (i, 5))), Status::Ok);
    }

    #[test]
    fn old_looks_leave_the_window() {
        let points = std::iter::once((90, 1)).chain((0..10).map(|i| (50 + i, 9)));
        assert_eq!(status(points), Status::Ok);
    }

    #[test]
    fn the_time_at_which_a_commit_passed_an_offset_is_known_only_if_it_was_seen() {
        let window = window([(10, 5), (10, 5), (14, 1), (20, 0)], None);
        assert_eq!(window.passed(12), Some(Timestamp(4000)));
        assert_eq!(window.passed(14), Some(Timestamp(6000)));
        assert_eq!(window.passed(9), None, "before the first look");
        assert_eq!(window.passed(20), None, "not yet");
        assert_eq!(window.commit_interval(), Some(2000.0));
        assert_eq!(window.still(), 1);
    }
}
