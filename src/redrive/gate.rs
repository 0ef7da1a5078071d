//! What a run does between transactions: it heeds the operator, proves its canary, watches for records that fail
//! again, and keeps to its rate. No transaction is open meanwhile.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::document::CanaryAnswer;
use super::engine::Engine;
use super::fence::Halt;
use super::item::Item;
use super::options::CanaryThen;
use crate::broker::Writer;
use crate::ledger::row::OwnerState;
use crate::letters::outcome::Outcome;
use crate::text::units;

/// How often is looked what became of the canary.
const LOOK: Duration = Duration::from_millis(250);
/// How often a run looks for records that failed again.
const BREAKER: Duration = Duration::from_secs(1);
/// Records that the share of failures is told from.
const LAST: usize = 50;
/// With fewer records than this the share is told as if there were so many: two of three are not 67 %.
const FEWEST: usize = 10;
/// Of so many of the latest records those whose fate is known are looked for.
const RECENT: usize = 1_000;
/// The rate on the screen is that of the last seconds.
const SPAN: Duration = Duration::from_secs(5);

/// Keeps to a rate, and tells how fast it goes.
pub(super) struct Pace {
    /// Since when, and how many records since then.
    since: (Duration, u64),
    rate: Option<u32>,
    /// Moments of the last seconds, and the records written up to then.
    marks: VecDeque<(Duration, u64)>,
}

impl Pace {
    pub fn new(rate: Option<u32>, now: Duration) -> Self {
        Self { since: (now, 0), rate, marks: VecDeque::from([(now, 0)]) }
    }

    /// The limit, records a second.
    pub fn rate(&self) -> Option<u32> {
        self.rate
    }

    /// How many records one transaction takes at most: a twentieth of a second's.
    pub fn most(&self) -> usize {
        self.rate.map_or(usize::MAX, |rate| (rate as usize / 20).max(1))
    }

    /// Begins anew: what was missed while nothing could be sent is not made up for.
    pub fn begin(&mut self, rate: Option<u32>, now: Duration) {
        self.rate = rate;
        self.since = (now, 0);
    }

    /// How long to wait before `records` more may be written.
    pub fn wait(&mut self, records: usize, now: Duration) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let due = |n: u64| Duration::from_secs_f64(n as f64 / f64::from(rate));
        if now > self.since.0 + due(self.since.1) + Duration::from_secs(1) {
            self.begin(self.rate, now);
        }
        (self.since.0 + due(self.since.1 + records as u64)).saturating_sub(now)
    }

    /// Counts a record that was written.
    pub fn count(&mut self) {
        self.since.1 += 1;
    }

    /// The rate of the last seconds, given the records written so far.
    pub fn recent(&mut self, written: u64, now: Duration) -> Option<f64> {
        self.marks.push_back((now, written));
        while self.marks.len() > 2 && self.marks.get(1).is_some_and(|m| now.saturating_sub(m.0) >= SPAN) {
            self.marks.pop_front();
        }
        let (at, before) = *self.marks.front()?;
        let seconds = now.saturating_sub(at).as_secs_f64();
        (seconds >= 0.2 && written > before).then(|| (written - before) as f64 / seconds)
    }
}

/// Whether records follow the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Follows,
    Nothing,
}

/// How a canary looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    CameBack(usize),
    /// The group has committed past all of them.
    Processed,
    /// It has passed some, and not the others.
    Part(usize),
    /// So many wait in retry topics: they have failed once at least.
    Retrying(usize),
    /// No group tells, and none came back.
    Silent,
}

fn verdict(outcomes: &[Outcome]) -> Verdict {
    let of = |wanted: Outcome| outcomes.iter().filter(|o| **o == wanted).count();
    match (of(Outcome::CameBack), of(Outcome::Processed)) {
        (0, _) if of(Outcome::Retrying) > 0 => Verdict::Retrying(of(Outcome::Retrying)),
        (0, all) if all == outcomes.len() && all > 0 => Verdict::Processed,
        (0, 0) => Verdict::Silent,
        (0, some) => Verdict::Part(some),
        (back, _) => Verdict::CameBack(back),
    }
}

/// Whether so many of the last records failed again that a run stops: how many, and of how many.
fn is_broken(outcomes: &[Outcome], above: u32) -> Option<(usize, usize)> {
    let settled = |o: &&Outcome| matches!(o, Outcome::CameBack | Outcome::Processed);
    // Where no group tells what it has passed, all that was written counts.
    let told = outcomes.contains(&Outcome::Processed);
    let last: Vec<&Outcome> = outcomes.iter().rev().filter(|o| !told || settled(o)).take(LAST).collect();
    let back = last.iter().filter(|o| ***o == Outcome::CameBack).count();
    (back * 100 > above as usize * last.len().max(FEWEST)).then_some((back, last.len()))
}

impl Engine<'_> {
    /// What is done before `records` more are written.
    pub(super) async fn gate(
        &mut self,
        writer: &dyn Writer,
        records: usize,
        due: Option<Duration>,
    ) -> Result<(), Halt> {
        self.heed(writer).await?;
        self.prove_canary(writer, Rest::Follows).await?;
        self.look_for_failures().await?;
        loop {
            let now = self.cx.clock.monotonic();
            let wait = self.pace.wait(records.min(self.pace.most()), now);
            let wait = wait.max(due.map_or(Duration::ZERO, |due| due.saturating_sub(now)));
            if wait.is_zero() {
                return Ok(());
            }
            self.idle(writer, wait).await?;
            self.heed(writer).await?;
        }
    }

    /// When an item may go out, by the gaps of time that were between the records.
    pub(super) fn due(&self, item: &Item) -> Option<Duration> {
        let factor = self.plan.header.options.pace?;
        let (since, first) = self.paced?;
        let gap = item.time()?.since(first).max(0) as f64 * factor / 1000.0;
        Some(since + Duration::from_secs_f64(gap.min(1e9)))
    }

    /// Takes the operator's wishes; returns when the run may go on.
    async fn heed(&mut self, writer: &dyn Writer) -> Result<(), Halt> {
        loop {
            if self.fence.cancel.is_cancelled() {
                return Err(Halt::Cancelled);
            }
            let wishes = *self.wishes.borrow_and_update();
            let now = self.cx.clock.monotonic();
            let rate = wishes.rate.unwrap_or(self.plan.header.options.rate);
            if rate != self.pace.rate() {
                self.pace.begin(rate, now);
            }
            self.answer.rate = rate;
            let was = std::mem::replace(&mut self.answer.paused, wishes.paused);
            if was != wishes.paused {
                self.report(true);
            }
            if !wishes.paused {
                if was {
                    self.pace.begin(rate, now);
                }
                return Ok(());
            }
            self.idle(writer, Duration::from_secs(3600)).await?;
        }
    }

    /// Waits, and keeps the place of the writer meanwhile; returns early when the operator wishes something.
    async fn idle(&mut self, writer: &dyn Writer, at_most: Duration) -> Result<(), Halt> {
        let until = self.cx.clock.monotonic() + at_most;
        loop {
            let left = until.saturating_sub(self.cx.clock.monotonic());
            if left.is_zero() {
                return Ok(());
            }
            let cancel = self.fence.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => return Err(Halt::Cancelled),
                changed = self.wishes.changed() => match changed {
                    Ok(()) => return Ok(()),
                    // Nobody can wish anything any more.
                    Err(_) => tokio::time::sleep(left.min(self.fence.due_in())).await,
                },
                () = tokio::time::sleep(left.min(self.fence.due_in())) => {}
            }
            if self.fence.is_due() {
                self.claim(writer, OwnerState::Waiting).await?;
            }
        }
    }

    /// After the canary was sent: waits for what becomes of it. A plan with fewer letters is all canary.
    pub(super) async fn prove_canary(&mut self, writer: &dyn Writer, rest: Rest) -> Result<(), Halt> {
        let options = &self.plan.header.options;
        let Some(size) = self.canary else { return Ok(()) };
        let sent = self.answer.redriven;
        if sent == 0 || (sent < size && rest == Rest::Follows) {
            return Ok(());
        }
        let size = size.min(sent);
        self.canary = None;
        self.tell_canary(|canary| canary.size = size);
        let wait = Duration::from_millis(options.canary_wait_ms);
        let until = self.cx.clock.monotonic() + wait;
        let sent: Vec<_> = self.sent.iter().take(size as usize).cloned().collect();
        let group = sent.iter().find_map(|sent| sent.group.as_deref()).unwrap_or("no group").to_owned();
        let (good, state, words) = loop {
            let looked = self.watch.look(&sent, &self.fence.cancel).await;
            let outcomes = looked.unwrap_or_else(|_| vec![Outcome::Unknown; sent.len()]);
            let verdict = verdict(&outcomes);
            let left = until.saturating_sub(self.cx.clock.monotonic());
            let processed = outcomes.iter().filter(|o| **o == Outcome::Processed).count() as u64;
            let known = outcomes
                .iter()
                .any(|o| matches!(o, Outcome::Processed | Outcome::Retrying | Outcome::Produced));
            let retrying = outcomes.iter().filter(|o| **o == Outcome::Retrying).count() as u64;
            let came_back = outcomes.iter().filter(|o| **o == Outcome::CameBack).count() as u64;
            // The canary is all that was sent.
            self.answer.came_back = came_back;
            self.tell_canary(|canary| {
                canary.processed = known.then_some(processed);
                canary.came_back = came_back;
                canary.retrying = retrying;
                canary.state = "waiting";
                canary.seconds_left = Some(left.as_secs());
            });
            let told = self.wishes.borrow().go_on;
            match (verdict, told) {
                (Verdict::CameBack(n), _) => {
                    break (false, "came_back", format!("{n} of {size} came back"));
                }
                (Verdict::Processed, _) => {
                    break (true, "passed", format!("{group} has committed past all {size}"));
                }
                (_, Some(true)) => break (true, "nothing_came_back", "the operator goes on".to_owned()),
                (_, Some(false)) => break (false, "not_proved", "the operator stops".to_owned()),
                (Verdict::Part(n), None) if left.is_zero() => {
                    let words = format!(
                        "{group} has committed past {n} of {size} only within {}",
                        units::duration(wait)
                    );
                    break (false, "not_proved", words);
                }
                (Verdict::Retrying(n), None) if left.is_zero() => {
                    let words =
                        format!("{n} of {size} still wait in retry topics after {}", units::duration(wait));
                    break (false, "not_proved", words);
                }
                (Verdict::Silent, None) if left.is_zero() => {
                    let mut words = format!("nothing came back within {}", units::duration(wait));
                    if let Some(why) = self.watch.why_untold(&sent) {
                        let _ = write!(words, "; whether a retry waits is not known: {why}");
                    }
                    break (true, "nothing_came_back", words);
                }
                _ => {}
            }
            self.idle(writer, left.min(LOOK)).await?;
            self.heed(writer).await?;
        };
        self.tell_canary(|canary| {
            canary.state = state;
            canary.proof = Some(words.clone());
            canary.seconds_left = None;
        });
        if good && rest == Rest::Nothing {
            return Ok(());
        }
        match options.canary_then {
            // Whoever could be asked would be asked to go on with what has just been seen to fail.
            _ if !good => Err(Halt::Canary(words)),
            CanaryThen::Ask if self.may_ask && rest == Rest::Follows => self.ask(writer, &words).await,
            CanaryThen::Continue => {
                self.pace.begin(self.pace.rate(), self.cx.clock.monotonic());
                Ok(())
            }
            CanaryThen::Stop => Err(Halt::Canary(format!("{words}; running the plan again sends the rest"))),
            CanaryThen::Ask => Err(Halt::Canary(format!(
                "{words}; nobody can be asked, running the plan again sends the rest"
            ))),
        }
    }

    /// Waits for the operator's word.
    async fn ask(&mut self, writer: &dyn Writer, words: &str) -> Result<(), Halt> {
        loop {
            match self.wishes.borrow().go_on {
                Some(true) => break,
                Some(false) => return Err(Halt::Canary(format!("{words}; the operator stops"))),
                None => {}
            }
            self.tell_canary(|canary| canary.asks = true);
            self.idle(writer, Duration::from_secs(3600)).await?;
            self.heed(writer).await?;
        }
        self.tell_canary(|canary| canary.asks = false);
        self.pace.begin(self.pace.rate(), self.cx.clock.monotonic());
        Ok(())
    }

    fn tell_canary(&mut self, change: impl FnOnce(&mut CanaryAnswer)) {
        if let Some(canary) = &mut self.answer.canary {
            change(canary);
            self.report(true);
        }
    }

    /// Now and then: stops when too many of the last records failed again.
    async fn look_for_failures(&mut self) -> Result<(), Halt> {
        let above = self.plan.header.options.stop_above;
        let now = self.cx.clock.monotonic();
        let due = now.saturating_sub(self.looked) >= BREAKER;
        if above >= 100 || !due || self.sent.is_empty() {
            return Ok(());
        }
        self.looked = now;
        let recent: Vec<_> = self.sent.iter().skip(self.sent.len().saturating_sub(RECENT)).cloned().collect();
        // What cannot be found out now is looked for again.
        let Ok(outcomes) = self.watch.look(&recent, &self.fence.cancel).await else { return Ok(()) };
        match is_broken(&outcomes, above) {
            Some((back, of)) => Err(Halt::Refailures(format!(
                "{back} of the last {of} records came back, more than {above} %"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_stall_is_not_made_up_for() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(Some(100), second);
        assert_eq!((pace.most(), pace.wait(5, second)), (5, Duration::from_millis(50)));
        for _ in 0..5 {
            pace.count();
        }
        assert_eq!(pace.wait(5, second + Duration::from_millis(60)), Duration::from_millis(40));
        assert_eq!(pace.wait(5, 20 * second), Duration::from_millis(50));
        pace.begin(None, 20 * second);
        assert!(pace.wait(1_000, 20 * second).is_zero());
    }

    #[test]
    fn a_canary_is_proved_by_the_group_or_by_nothing_coming_back() {
        use Outcome::{CameBack, Processed, Produced, Unknown};
        assert_eq!(verdict(&[Processed, Processed]), Verdict::Processed);
        assert_eq!(verdict(&[Processed, Produced]), Verdict::Part(1));
        assert_eq!(verdict(&[Unknown, Produced]), Verdict::Silent);
        assert_eq!(verdict(&[Processed, CameBack]), Verdict::CameBack(1));
    }

    #[test]
    fn the_breaker_counts_the_last_records_whose_fate_is_known() {
        use Outcome::{CameBack, Processed, Produced};
        let mut outcomes = vec![CameBack; 10];
        outcomes.extend([Processed; 40]);
        assert_eq!(is_broken(&outcomes, 20), None);
        outcomes[30] = CameBack;
        // What was only written says nothing yet.
        outcomes.extend([Produced; 100]);
        assert_eq!(is_broken(&outcomes, 20), Some((11, 50)));
        assert_eq!(is_broken(&[CameBack, CameBack], 20), None);
        assert_eq!(is_broken(&[CameBack], 0), Some((1, 1)));
    }
}
