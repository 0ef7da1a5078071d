//! What needs attention and shall not be seen for now: acknowledged until it gets worse, or muted for a while.
//!
//! It is kept for the session, and only here: the commands and the exporter tell everything.

use std::collections::HashMap;
use std::sync::Arc;

use crate::observe::snapshot::{Attention, Severity, Snapshot};
use crate::text::{Timestamp, units};

/// A line that was not seen for so many milliseconds is forgotten: when it comes back, it is news.
const FORGET: i64 = 5 * 60_000;
/// An acknowledged line comes back when it is so many times as bad.
const WORSE: u64 = 2;

/// How a line is kept quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Until it is worse than it was.
    Acknowledged { severity: Severity, weight: u64 },
    /// Until then, whatever it does.
    Muted { until: Timestamp },
}

impl How {
    fn holds(self, line: &Attention, now: Timestamp) -> bool {
        match self {
            Self::Acknowledged { severity, weight } => {
                line.severity <= severity && line.weight < weight.max(1).saturating_mul(WORSE)
            }
            Self::Muted { until } => now < until,
        }
    }
}

/// The lines that are kept quiet.
#[derive(Clone, Debug, Default)]
pub struct Quiet {
    /// By key, with the time at which the line was there last.
    lines: HashMap<Arc<str>, (How, Timestamp)>,
    /// The picture with all lines.
    whole: Option<Arc<Snapshot>>,
    /// How many lines of it are quiet.
    count: usize,
    /// Whether they are shown all the same.
    pub shown: bool,
}

impl Quiet {
    /// Lines that are quiet now.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The picture with all lines, where there was one.
    pub fn whole(&self) -> Option<Arc<Snapshot>> {
        self.whole.clone()
    }

    /// Keeps a line quiet until it gets worse.
    pub fn acknowledge(&mut self, line: &Attention, now: Timestamp) {
        let how = How::Acknowledged { severity: line.severity, weight: line.weight };
        self.lines.insert(Arc::clone(&line.key), (how, now));
    }

    /// Keeps a line quiet for some time.
    pub fn mute(&mut self, line: &Attention, until: Timestamp, now: Timestamp) {
        self.lines.insert(Arc::clone(&line.key), (How::Muted { until }, now));
    }

    /// Takes that back; whether the line was quiet.
    pub fn take_back(&mut self, line: &Attention) -> bool {
        self.lines.remove(&line.key).is_some()
    }

    /// Why a line is quiet, in a word or two.
    pub fn word(&self, line: &Attention, now: Timestamp) -> Option<String> {
        let (how, _) = self.lines.get(&line.key)?;
        Some(match how {
            How::Acknowledged { .. } => "acknowledged".to_owned(),
            How::Muted { until } => format!("muted {}", units::age(until.since(now))),
        })
    }

    /// The picture without the lines that are quiet.
    pub fn sift(&mut self, picture: &Arc<Snapshot>, now: Timestamp) -> Arc<Snapshot> {
        self.whole = Some(Arc::clone(picture));
        for line in picture.attention.iter() {
            let Some((how, seen)) = self.lines.get_mut(&line.key) else { continue };
            *seen = now;
            if !how.holds(line, now) {
                self.lines.remove(&line.key);
            }
        }
        self.lines.retain(|_, (how, seen)| {
            now.since(*seen) < FORGET || matches!(how, How::Muted { until } if now < *until)
        });
        let is_quiet = |line: &&Attention| self.lines.contains_key(&line.key);
        self.count = picture.attention.iter().filter(is_quiet).count();
        if self.count == 0 || self.shown {
            return Arc::clone(picture);
        }
        let loud = picture.attention.iter().filter(|line| !is_quiet(line)).cloned().collect();
        Arc::new(Snapshot { attention: loud, ..(**picture).clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::snapshot::Place;

    fn line(key: &str, severity: Severity, weight: u64) -> Attention {
        let place = Place { screen: "groups", topic: None, partition: None, offset: None, group: None };
        Attention {
            severity,
            what: key.to_owned(),
            place,
            since: Timestamp(0),
            hint: String::new(),
            key: key.into(),
            weight,
        }
    }

    fn picture(lines: &[Attention]) -> Arc<Snapshot> {
        Arc::new(Snapshot { attention: lines.into(), ..Snapshot::empty(Timestamp(0)) })
    }

    fn seen(quiet: &mut Quiet, lines: &[Attention], now: i64) -> usize {
        quiet.sift(&picture(lines), Timestamp(now)).attention.len()
    }

    #[test]
    fn what_is_acknowledged_comes_back_when_it_gets_worse() {
        let mut quiet = Quiet::default();
        let stalled = line("stalled", Severity::Warning, 100);
        quiet.acknowledge(&stalled, Timestamp(0));
        assert_eq!(seen(&mut quiet, &[stalled, line("other", Severity::Info, 0)], 0), 1);
        assert_eq!(quiet.count(), 1);
        assert_eq!(seen(&mut quiet, &[line("stalled", Severity::Warning, 199)], 1_000), 0);
        assert_eq!(seen(&mut quiet, &[line("stalled", Severity::Warning, 200)], 2_000), 1);
        assert_eq!(seen(&mut quiet, &[line("stalled", Severity::Warning, 50)], 3_000), 1, "it is told again");
        quiet.acknowledge(&line("stalled", Severity::Warning, 0), Timestamp(3_000));
        assert_eq!(seen(&mut quiet, &[line("stalled", Severity::Critical, 0)], 4_000), 1, "more urgent");
    }

    #[test]
    fn what_is_muted_is_quiet_for_its_time_however_bad_it_gets() {
        let mut quiet = Quiet::default();
        let stalled = line("stalled", Severity::Warning, 100);
        quiet.mute(&stalled, Timestamp(60_000), Timestamp(0));
        assert_eq!(seen(&mut quiet, &[line("stalled", Severity::Critical, 10_000)], 59_999), 0);
        assert_eq!(seen(&mut quiet, &[stalled], 60_000), 1);
        assert_eq!(quiet.count(), 0);
    }

    #[test]
    fn what_was_over_for_a_while_is_news_when_it_comes_back() {
        let mut quiet = Quiet::default();
        let stalled = line("stalled", Severity::Warning, 100);
        quiet.acknowledge(&stalled, Timestamp(0));
        assert_eq!(seen(&mut quiet, &[], FORGET - 1), 0);
        assert_eq!(
            seen(&mut quiet, std::slice::from_ref(&stalled), FORGET - 1),
            0,
            "it was gone for a moment"
        );
        assert_eq!(seen(&mut quiet, &[], 3 * FORGET), 0);
        assert_eq!(seen(&mut quiet, &[stalled], 3 * FORGET), 1);
    }

    #[test]
    fn quiet_lines_can_be_looked_at_and_taken_back() {
        let mut quiet = Quiet::default();
        let stalled = line("stalled", Severity::Warning, 100);
        quiet.acknowledge(&stalled, Timestamp(0));
        quiet.shown = true;
        assert_eq!(seen(&mut quiet, std::slice::from_ref(&stalled), 0), 1);
        assert_eq!(quiet.word(&stalled, Timestamp(0)).as_deref(), Some("acknowledged"));
        assert!(quiet.take_back(&stalled) && !quiet.take_back(&stalled));
    }
}
