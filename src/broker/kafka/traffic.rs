//! How many requests the asking client sends, by its own count.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::text::Clock;

/// How long ago a count may be to tell the pace.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts of the last minute: when, and how many requests there were since the client was made.
pub(super) struct Traffic {
    clock: Arc<dyn Clock>,
    counts: Mutex<VecDeque<(Duration, u64)>>,
}

impl Traffic {
    /// Begins now, with no request.
    pub(super) fn begin(clock: Arc<dyn Clock>) -> Self {
        let counts = Mutex::new(VecDeque::from([(clock.monotonic(), 0)]));
        Self { clock, counts }
    }

    /// Takes a count: the `tx` of all brokers in librdkafka's statistics (`STATISTICS.md`).
    pub(super) fn count(&self, requests: u64) {
        let now = self.clock.monotonic();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.push_back((now, requests));
        // One that is older stays: the window is covered whole.
        while counts.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            counts.pop_front();
        }
    }

    /// Requests a minute, over the last minute or since the beginning; `None` before the first count.
    pub(super) fn per_minute(&self) -> Option<f64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let ((from, before), (to, now)) = (counts.front()?, counts.back()?);
        let seconds = to.saturating_sub(*from).as_secs_f64();
        (seconds > 0.0).then(|| now.saturating_sub(*before) as f64 * 60.0 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Timestamp;

    /// A clock that is set by hand, in seconds.
    #[derive(Default)]
    struct ByHand(Mutex<u64>);

    impl Clock for ByHand {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(*self.0.lock().unwrap())
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_minute() {
        let clock = Arc::new(ByHand::default());
        let traffic = Traffic::begin(Arc::<ByHand>::clone(&clock));
        assert_eq!(traffic.per_minute(), None);
        *clock.0.lock().unwrap() = 2;
        traffic.count(10);
        assert_eq!(traffic.per_minute(), Some(300.0));
        // A minute later the beginning counts no more.
        for second in 1..=62 {
            *clock.0.lock().unwrap() = 2 + second;
            traffic.count(10 + second * 2);
        }
        assert_eq!(traffic.per_minute(), Some(120.0));
    }
}
