//! Takes looks, folds them into pictures, and goes on doing so while somebody watches.
//!
//! One look is under way at a time; what takes longer lengthens the interval. An error doubles it, the last picture
//! stays and is told to be stale, and the first look that succeeds makes it live again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Interest;
use super::applications::Applications;
use super::look::{self, Before, Known, Scope};
use super::memory::Memory;
use super::sips::{self, Sip};
use super::snapshot::{Freshness, Snapshot};
use crate::broker::{BrokerError, ErrorKind, Name, Shard};
use crate::config::profile::Refresh;
use crate::context::Cx;
use crate::dlq::groups::DlqRow;
use crate::text::Timestamp;

/// A look that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The shortest time between two looks, whoever asks.
const SHORTEST: Duration = Duration::from_millis(250);
/// How often records are read.
const SIP_EVERY: Duration = Duration::from_secs(4);

/// Gives the dead-letter topics as they are known now; `None` while nothing is known of them.
pub type Letters = Arc<dyn Fn() -> Option<Arc<[DlqRow]>> + Send + Sync>;

/// Gives what the applications told last; `None` where none is asked.
pub type Scraped = Arc<dyn Fn() -> Option<Arc<Applications>> + Send + Sync>;

/// A read of a few records under way.
type Sipping = Pin<Box<dyn Future<Output = Result<Vec<Sip>, BrokerError>> + Send>>;

/// What the one who watches says to the sampler.
pub struct Wants {
    /// What is on the screen.
    pub interest: watch::Receiver<Interest>,
    /// Told for a look now.
    pub refresh: Arc<Notify>,
    /// Told when more is known of dead letters: the next picture has it, without a look at the broker.
    pub letters: Arc<Notify>,
}

/// Takes looks at one broker and remembers what they brought.
pub struct Sampler {
    cx: Cx,
    letters: Letters,
    scraped: Scraped,
    memory: Memory,
    /// When everything was looked at last.
    whole: Option<Duration>,
    /// When members were asked for last.
    described: Option<Duration>,
}

impl Sampler {
    /// A sampler that has seen nothing yet.
    pub fn new(cx: Cx, letters: Letters, scraped: Scraped) -> Self {
        let memory = Memory::new(cx.profile.dead_letters.clone(), cx.profile.thresholds);
        Self { cx, letters, scraped, memory, whole: None, described: None }
    }

    /// Looks at what is on the screen; at everything where that is due.
    pub async fn look_at(&mut self, interest: &Interest) -> Result<(), BrokerError> {
        let began = self.cx.clock.monotonic();
        let refresh = self.cx.profile.refresh;
        let due = self.whole.is_none_or(|at| began.saturating_sub(at) >= refresh.background);
        let whole = due || interest.away || interest.is_everything();
        let scope = if !whole {
            Scope::Only(interest.clone())
        } else if interest.groups_alone && self.whole.is_some() {
            Scope::Only(self.memory.all_groups())
        } else {
            Scope::All
        };
        // They cost a call a group, and change seldom: two looks close together ask once.
        let members = self.described.is_none_or(|at| began.saturating_sub(at) >= refresh.visible);
        let known = Known { members, ..self.memory.known(&scope, began) };
        let memory = &self.memory;
        let ask = |names: &[Name]| {
            if interest.groups_alone {
                (Vec::new(), Vec::new())
            } else {
                memory.due(names, &interest.topics, began)
            }
        };
        let recent =
            |shard: &Shard| memory.bounds(shard).filter(|_| !due && !interest.topics.contains(&shard.topic));
        let commits = |group: &Name| {
            if due || interest.groups.contains(group) { None } else { memory.committed(group) }
        };
        let before = Before { shown: &interest.topics, due: &ask, recent: &recent, commits: &commits };
        let looking = look::look(&self.cx, &scope, &known, before);
        let look = tokio::time::timeout(LONGEST, looking).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", LONGEST.as_secs());
            Err(BrokerError::new(ErrorKind::TimedOut, "look at the cluster", why).retryable())
        })?;
        if whole {
            self.whole = Some(began);
        }
        if members {
            self.described = Some(began);
        }
        let took = self.cx.clock.monotonic().saturating_sub(began);
        self.memory.take(look, (self.letters)(), took);
        Ok(())
    }

    /// Reads a few records: for latency, sizes, and the age of lag.
    pub async fn sip(&mut self) -> Result<(), BrokerError> {
        let sips = self.sipping().await?;
        self.drink(sips);
        Ok(())
    }

    fn sipping(&mut self) -> impl Future<Output = Result<Vec<Sip>, BrokerError>> + Send + use<> {
        let wishes = self.memory.wishes(self.cx.clock.monotonic());
        let cx = self.cx.clone();
        async move { sips::read(&cx, wishes).await }
    }

    fn drink(&mut self, sips: Vec<Sip>) {
        self.memory.drink(sips, self.cx.clock.monotonic());
    }

    /// Takes the dead-letter topics as they are known now.
    pub fn renew_letters(&mut self) {
        self.memory.take_letters((self.letters)());
    }

    /// The picture of all that was seen.
    pub fn picture(&mut self) -> Snapshot {
        let applications = (self.scraped)();
        self.picture_beside(applications)
    }

    /// The same, beside what the applications told.
    pub fn picture_beside(&mut self, applications: Option<Arc<Applications>>) -> Snapshot {
        let picture = self.memory.picture(Freshness::Live, applications);
        Snapshot { requests_per_minute: self.cx.broker.requests_per_minute(), ..picture }
    }
}

/// Samples until `cancel`, or until nobody can say any more what is wanted.
pub async fn run(
    cx: Cx,
    letters: Letters,
    scraped: Scraped,
    mut wants: Wants,
    pictures: watch::Sender<Arc<Snapshot>>,
    cancel: CancellationToken,
) {
    let clock = Arc::clone(&cx.clock);
    let refresh = cx.profile.refresh;
    let mut sampler = Sampler::new(cx, letters, scraped);
    let mut failures = 0;
    let mut sipping: Option<Sipping> = None;
    let mut sipped: Option<Duration> = None;
    loop {
        let began = clock.monotonic();
        let interest = wants.interest.borrow_and_update().clone();
        let looked = tokio::select! {
            looked = sampler.look_at(&interest) => looked,
            () = cancel.cancelled() => return,
        };
        let now = clock.monotonic();
        match looked {
            Ok(()) => {
                failures = 0;
                show(&pictures, sampler.picture());
                if sipping.is_none() && sipped.is_none_or(|at| now.saturating_sub(at) >= SIP_EVERY) {
                    sipped = Some(now);
                    sipping = Some(Box::pin(sampler.sipping()));
                }
            }
            Err(error) => {
                failures += 1;
                stale(&pictures, &error, clock.now());
            }
        }
        let took = now.saturating_sub(began);
        let over = tokio::time::sleep(pause(refresh, interest.away, took, failures));
        let early = tokio::time::sleep(SHORTEST);
        tokio::pin!(over, early);
        let mut wanted = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = &mut over => break,
                () = &mut early, if wanted => break,
                () = wants.refresh.notified() => wanted = true,
                () = wants.letters.notified(), if failures == 0 => {
                    sampler.renew_letters();
                    show(&pictures, sampler.picture());
                }
                changed = wants.interest.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // A broker that is away does not come back by changing screens.
                    wanted |= failures == 0;
                }
                sips = async { sipping.as_mut().expect("guarded").await }, if sipping.is_some() => {
                    sipping = None;
                    // Where nothing can be read, the next look tells why.
                    if let Ok(sips) = sips {
                        sampler.drink(sips);
                        if failures == 0 {
                            show(&pictures, sampler.picture());
                        }
                    }
                }
            }
        }
    }
}

/// How long to wait after a look that took so long.
fn pause(refresh: Refresh, away: bool, took: Duration, failures: u32) -> Duration {
    let interval = if away { refresh.background } else { refresh.visible };
    if failures > 0 {
        return interval.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE.max(interval));
    }
    // The broker answers us half of the time at most.
    interval.saturating_sub(took).max(took).max(SHORTEST)
}

/// Shows a picture; its generation goes on from the one shown before.
fn show(pictures: &watch::Sender<Arc<Snapshot>>, mut picture: Snapshot) {
    pictures.send_modify(|shown| {
        picture.generation = shown.generation + 1;
        *shown = Arc::new(picture);
    });
}

/// Says of the picture shown that it is old.
fn stale(pictures: &watch::Sender<Arc<Snapshot>>, error: &BrokerError, now: Timestamp) {
    pictures.send_modify(|shown| {
        let since = match &shown.freshness {
            Freshness::Stale { since, .. } => *since,
            Freshness::Live => shown.taken,
            Freshness::Starting => now,
        };
        let mut picture = (**shown).clone();
        picture.generation += 1;
        picture.freshness = Freshness::Stale { since, why: error.to_string() };
        *shown = Arc::new(picture);
    });
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
