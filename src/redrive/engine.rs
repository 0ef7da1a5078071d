//! The engine of one run: windows of letters, transactions, and what to do when one does not end well.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::document::{RunAnswer, RunRequest};
use super::item::{Act, Item, hold_key};
use super::outgoing::{Recipe, Stamp, batch_size};
use super::plan::{Plan, PlannedLetter, damaged};
use super::run::{Held, is_cancel, list_parked};
use super::transaction::{Ended, commit, send};
use super::twins::{Identity, Twins, is_same};
use super::window::Window;
use crate::broker::{BrokerError, ErrorKind, Name, Placed, Session, SessionKind, Writer};
use crate::context::{Cx, Sink};
use crate::dlq::{Letter, formats};
use crate::ledger::Disposition;
use crate::ledger::row::OwnerState;
use crate::letters::document::Target;
use crate::letters::ledger::LedgerReader;
use crate::text::Fault;

/// After this long without an end the broker aborts a transaction of a run.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A transaction aims at no more than this, so that live readers of the target stall less than a second.
const LONGEST: Duration = Duration::from_millis(400);
/// Records of a transaction: at first, and at most.
const FIRST_BATCH: usize = 250;
const MOST_BATCH: usize = 2_000;
/// Bytes of a transaction at most.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// The owner row is renewed so often.
const RENEW: Duration = Duration::from_secs(10);
/// Failures in a row before a run gives up.
const PATIENCE: u32 = 6;
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Records whose outcome is followed.
const MOST_FOLLOWED: usize = 100_000;

/// Why a run ends before its plan does.
pub(super) enum Halt {
    Cancelled,
    Fenced(String),
    Fault(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        if is_cancel(&fault) { Self::Cancelled } else { Self::Fault(fault) }
    }
}

/// A run under way.
pub(super) struct Engine<'a> {
    pub(super) cx: &'a Cx,
    pub(super) plan: &'a Plan,
    pub(super) reason: Option<&'a str>,
    /// Id of the dead-letter topic.
    pub(super) source: Arc<str>,
    pub(super) ledger: LedgerReader,
    session: Option<Box<dyn Session>>,
    recipe: Recipe<'a>,
    pub(super) answer: RunAnswer,
    sent: Vec<(Target, Option<Name>)>,
    twins: Twins,
    held: Held,
    pub(super) parked: u64,
    batch: usize,
    /// Bytes of a transaction at most: no more than a batch of its targets may have, because a broker refuses by batch.
    pub(super) most_bytes: usize,
    /// When the last owner row was committed; `None` before the first.
    pub(super) owned: Option<Duration>,
    /// The run that was the owner before this one began.
    owner_before: Option<Arc<str>>,
    /// Whether the owner before seemed to be at work.
    pub(super) takes_over: bool,
    failures: u32,
    /// When sending began, and how many records went out since, for the rate.
    paced: (Duration, u64),
    told: Option<Duration>,
    tell: &'a (dyn Fn(RunAnswer) + Send + Sync),
    sink: &'a dyn Sink,
    cancel: CancellationToken,
}

impl<'a> Engine<'a> {
    #[expect(clippy::too_many_arguments, reason = "made in one place, from what a run is given")]
    pub fn new(
        cx: &'a Cx,
        request: &'a RunRequest,
        source: Arc<str>,
        ledger: LedgerReader,
        answer: RunAnswer,
        tell: &'a (dyn Fn(RunAnswer) + Send + Sync),
        sink: &'a dyn Sink,
        cancel: &CancellationToken,
    ) -> Self {
        let plan = &*request.plan;
        Self {
            cx,
            plan,
            reason: request.reason.as_deref(),
            source,
            ledger,
            session: None,
            recipe: Recipe::new(&plan.header, &cx.profile.dead_letters),
            answer,
            sent: Vec::new(),
            twins: Twins::default(),
            held: Held::new(),
            parked: 0,
            batch: FIRST_BATCH,
            most_bytes: MOST_BYTES,
            owned: None,
            owner_before: None,
            takes_over: false,
            failures: 0,
            paced: (cx.clock.monotonic(), 0),
            told: None,
            tell,
            sink,
            cancel: cancel.clone(),
        }
    }

    /// Whether a transaction was committed.
    pub fn has_written(&self) -> bool {
        self.owned.is_some()
    }

    /// What was done, and where the records went.
    pub fn into_answer(self) -> (RunAnswer, Vec<(Target, Option<Name>)>) {
        (self.answer, self.sent)
    }

    /// Becomes the writer, and writes the plan's letters.
    pub async fn run(&mut self, writer: &dyn Writer) -> Result<(), Halt> {
        self.answer.waiting = Some(format!("the place of the one writer of {}", self.answer.topic));
        self.report(true);
        self.begin(writer).await?;
        self.answer.waiting = None;
        if self.takes_over {
            self.claim(writer).await?;
        }
        if let Some(ledger) = self.ledger.ledger().filter(|_| !self.plan.forces("duplicate")) {
            self.twins = Twins::new(ledger);
        }
        self.paced.0 = self.cx.clock.monotonic();
        let mut window = Window::new();
        let letters = &self.plan.letters;
        let mut at = 0;
        while at < letters.len() {
            let mut chosen: Vec<PlannedLetter> = Vec::new();
            // Closed letters are not read again, but for parked ones: their keys hold others.
            let mut end = at;
            while end < letters.len() && chosen.len() < super::window::MOST {
                let letter = letters[end];
                let state = self.state(&letter);
                if !self.is_open(state) {
                    self.answer.already_handled += 1;
                }
                if self.is_open(state) || state == Disposition::Parked {
                    chosen.push(letter);
                }
                end += 1;
            }
            at = end;
            let mut rest = &chosen[..];
            while !rest.is_empty() {
                let topic = &self.plan.header.source.topic;
                let read = window.read(self.cx, topic, rest, self.sink, &self.cancel).await?;
                rest = &rest[read.len()..];
                let items = self.items(read).await?;
                self.write(writer, items).await?;
            }
            self.report(false);
        }
        Ok(())
    }

    /// Writes the owner row at once, so that the run whose place this one takes finds it.
    async fn claim(&mut self, writer: &dyn Writer) -> Result<(), Halt> {
        loop {
            match self.transact(&[], OwnerState::Running, None).await {
                Ended::Committed(_) => return Ok(()),
                Ended::Lost(error) => self.recover(writer, error).await?,
                Ended::Failed(fault) => return Err(fault.into()),
                Ended::Refused { why, .. } => return Err(Fault::failed("ledger", why).into()),
            }
            if self.has_written() {
                return Ok(());
            }
        }
    }

    fn state(&self, letter: &PlannedLetter) -> Disposition {
        let ledger = self.ledger.ledger();
        ledger.map_or(Disposition::Pending, |l| l.disposition(&self.source, letter.partition, letter.offset))
    }

    fn is_open(&self, state: Disposition) -> bool {
        state.may_become(Disposition::Redriven, self.plan.forces("again"))
    }

    /// Makes what is to be done of the letters read.
    async fn items(
        &mut self,
        read: Vec<(PlannedLetter, Option<crate::event::Record>)>,
    ) -> Result<Vec<Item>, Halt> {
        let mut items = Vec::with_capacity(read.len());
        for (planned, record) in read {
            let parked = self.state(&planned) == Disposition::Parked;
            let Some(record) = record else {
                self.answer.expired += u64::from(!parked);
                continue;
            };
            if record.digest() != planned.sha256 {
                let why = format!(
                    "letter {}/{} is not the one that was planned",
                    planned.partition, planned.offset
                );
                return Err(damaged(why).into());
            }
            let letter = formats::decode(&record, &self.cx.profile.dead_letters);
            if parked {
                self.held.extend(hold_key(&letter, &planned));
                continue;
            }
            let stamp = Stamp { run: &self.answer.run, operator: &self.answer.operator };
            let ledger = self.ledger.ledger();
            let item = Item::new(&letter, planned, self.plan, &mut self.recipe, ledger, stamp);
            let Some(mut item) = item else { return Err(damaged("a letter has no target").into()) };
            if item.key().is_some_and(|key| self.held.contains(&key)) {
                self.answer.held += 1;
                continue;
            }
            if self.is_duplicate(&letter, &planned).await? {
                item.act = Act::Duplicate;
            }
            items.push(item);
        }
        Ok(items)
    }

    async fn is_duplicate(&mut self, letter: &Letter, planned: &PlannedLetter) -> Result<bool, Fault> {
        if self.plan.forces("duplicate") || self.state(planned) == Disposition::Redriven {
            return Ok(false);
        }
        let (Some(identity), Some(target)) = (Identity::of(letter), self.plan.target(planned)) else {
            return Ok(false);
        };
        if !self.twins.is_first(&identity, &target.topic) {
            return Ok(true);
        }
        let own = (&*self.source, planned.partition, planned.offset);
        let suspect = self.ledger.ledger().and_then(|l| self.twins.suspect(l, &identity, target, own));
        match suspect {
            Some(suspect) => is_same(self.cx, &suspect, &identity).await,
            None => Ok(false),
        }
    }

    /// Writes items in transactions, in their order.
    async fn write(&mut self, writer: &dyn Writer, items: Vec<Item>) -> Result<(), Halt> {
        // The last piece is the next one.
        let mut pieces = vec![items];
        while let Some(mut piece) = pieces.pop() {
            if piece.is_empty() {
                continue;
            }
            self.pause().await?;
            let rest = piece.split_off(self.fitting(&piece));
            if !rest.is_empty() {
                pieces.push(rest);
            }
            let began = self.cx.clock.monotonic();
            match self.transact(&piece, OwnerState::Running, None).await {
                Ended::Committed(placed) => {
                    self.failures = 0;
                    let took = self.cx.clock.monotonic().saturating_sub(began);
                    self.batch = match took {
                        took if took > LONGEST => (self.batch / 2).max(1),
                        took if took < LONGEST / 4 => (self.batch * 2).min(MOST_BATCH),
                        _ => self.batch,
                    };
                    self.book(&piece, &placed);
                }
                Ended::Refused { named, why, aborted } => {
                    self.answer.aborted_records += aborted;
                    match culprit(&piece, named, why) {
                        Some((culprit, why)) => {
                            self.park(&mut piece, culprit, why);
                            self.hold(&mut pieces);
                        }
                        None => pieces.push(piece.split_off(piece.len() / 2)),
                    }
                    pieces.push(piece);
                }
                Ended::Lost(error) => {
                    self.recover(writer, error).await?;
                    let left = self.settle(piece);
                    pieces.push(left);
                }
                Ended::Failed(fault) => return Err(fault.into()),
            }
            self.report(false);
        }
        Ok(())
    }

    /// How many of the first items make a transaction.
    fn fitting(&self, items: &[Item]) -> usize {
        let rate = self.plan.header.rate.map_or(usize::MAX, |r| (r as usize / 4).max(1));
        let mut bytes = 0;
        let fits = |item: &&Item| {
            bytes += batch_size(&item.write);
            bytes <= self.most_bytes
        };
        items.iter().take(self.batch.min(rate)).take_while(fits).count().max(1)
    }

    /// Waits between transactions for the rate; ends the run when the operator cancelled it.
    async fn pause(&mut self) -> Result<(), Halt> {
        if self.cancel.is_cancelled() {
            return Err(Halt::Cancelled);
        }
        let Some(rate) = self.plan.header.rate else { return Ok(()) };
        let due = self.paced.0 + Duration::from_secs_f64(self.paced.1 as f64 / f64::from(rate));
        let wait = due.saturating_sub(self.cx.clock.monotonic());
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return Err(Halt::Cancelled),
            }
        }
        Ok(())
    }

    /// Turns the culprit into a parked letter and takes out the rest of its key.
    fn park(&mut self, piece: &mut Vec<Item>, culprit: usize, why: String) {
        let Some(item) = piece.get_mut(culprit) else { return };
        item.act = Act::Park(why);
        let Some(key) = item.key() else { return };
        let before = piece.len();
        let mut at = 0;
        piece.retain(|item| {
            at += 1;
            at <= culprit + 1 || item.key().as_ref() != Some(&key)
        });
        self.answer.held += (before - piece.len()) as u64;
        self.held.insert(key);
    }

    /// Takes letters of held keys out of what comes later.
    fn hold(&mut self, later: &mut [Vec<Item>]) {
        for piece in later {
            let before = piece.len();
            piece.retain(|item| item.key().is_none_or(|key| !self.held.contains(&key)));
            self.answer.held += (before - piece.len()) as u64;
        }
    }

    /// Counts what was committed.
    fn book(&mut self, items: &[Item], placed: &[Option<Placed>]) {
        for (item, placed) in items.iter().zip(placed) {
            self.count(item, *placed);
        }
    }

    fn count(&mut self, item: &Item, placed: Option<Placed>) {
        match &item.act {
            Act::Send => {
                self.answer.redriven += 1;
                self.paced.1 += 1;
                if let Some(placed) = placed.filter(|_| self.sent.len() < MOST_FOLLOWED) {
                    let topic = Name::clone(&item.write.topic);
                    let target = Target { topic, partition: placed.partition, offset: placed.offset };
                    self.sent.push((target, item.group.clone()));
                }
            }
            Act::Duplicate => self.answer.duplicates += 1,
            Act::Park(why) => {
                self.parked += 1;
                let at = &item.planned;
                list_parked(&mut self.answer.parked, at.partition, at.offset, why);
            }
        }
    }

    /// After the ledger was read again: counts the items that it has, gives those that it has not.
    fn settle(&mut self, piece: Vec<Item>) -> Vec<Item> {
        let mut left = Vec::new();
        for item in piece {
            let at = item.planned;
            let ledger = self.ledger.ledger();
            let row = ledger.and_then(|l| l.get(&self.source, at.partition, at.offset));
            match row.map(|r| (**r.run == *self.answer.run, r.disposition, r.target)) {
                Some((true, _, target)) => {
                    let placed = target.map(|t| Placed { partition: t.partition, offset: t.offset });
                    self.count(&item, placed);
                }
                Some((false, state, _)) if !self.is_open(state) => self.answer.already_handled += 1,
                _ => left.push(item),
            }
        }
        left
    }

    /// Becomes the writer: ends what a predecessor left open, then reads the ledger to its end.
    async fn begin(&mut self, writer: &dyn Writer) -> Result<(), Halt> {
        let owner = self.ledger.ledger().and_then(|l| l.owner(&self.source));
        self.owner_before = owner.map(|o| Arc::clone(&o.run));
        let mut failures = 0;
        while let Err(fault) = self.open(writer).await {
            failures += 1;
            if !is_passing(&fault) || failures >= PATIENCE {
                return Err(fault.into());
            }
            self.back_off(failures, &fault).await?;
        }
        self.check_owner()
    }

    async fn open(&mut self, writer: &dyn Writer) -> Result<(), Fault> {
        self.session = None;
        let kind = SessionKind::Transactional { id: format!("redrive-{}", self.source), timeout: TIMEOUT };
        let session = writer.begin(kind).await?;
        self.read_ledger().await?;
        self.session = Some(session);
        Ok(())
    }

    async fn read_ledger(&mut self) -> Result<(), Fault> {
        let read = self.ledger.refresh(self.sink, &self.cancel).await;
        self.answer.ledger_wait_seconds += self.ledger.waited().as_secs_f64();
        read
    }

    /// Whether another run became the owner since this one began.
    fn check_owner(&mut self) -> Result<(), Halt> {
        let Some(owner) = self.ledger.ledger().and_then(|l| l.owner(&self.source)) else { return Ok(()) };
        if *owner.run == *self.answer.run {
            self.owned.get_or_insert(self.cx.clock.monotonic());
        } else if self.owner_before.as_ref() != Some(&owner.run) {
            return Err(Halt::Fenced(format!("run {} of {} on {}", owner.run, owner.operator, owner.host)));
        }
        Ok(())
    }

    /// After a transaction whose end is not known, or a session that is dead: reads who is the owner, and only if
    /// nobody took over becomes the writer again.
    async fn recover(&mut self, writer: &dyn Writer, error: BrokerError) -> Result<(), Halt> {
        self.session = None;
        let mut fault = Fault::from(error);
        loop {
            self.failures += 1;
            if self.failures > PATIENCE {
                return Err(fault.into());
            }
            self.back_off(self.failures, &fault).await?;
            match self.read_ledger().await {
                Ok(()) => self.check_owner()?,
                Err(e) if is_passing(&e) => {
                    fault = e;
                    continue;
                }
                Err(e) => return Err(e.into()),
            }
            match self.open(writer).await {
                // Between reading and becoming the writer a commit may still have arrived, or another run.
                Ok(()) => return self.check_owner(),
                Err(e) if is_passing(&e) => fault = e,
                Err(e) => return Err(e.into()),
            }
        }
    }

    async fn back_off(&mut self, failures: u32, fault: &Fault) -> Result<(), Halt> {
        self.answer.waiting = Some(format!("the broker: {fault}"));
        self.report(true);
        self.answer.waiting = None;
        let pause = Duration::from_millis(50 << failures.min(6));
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.cancel.cancelled() => Err(Halt::Cancelled),
        }
    }

    /// One transaction. With `end` it is the run's last one.
    async fn transact(
        &mut self,
        items: &[Item],
        state: OwnerState,
        end: Option<&(Option<&'static str>, Option<String>)>,
    ) -> Ended {
        let Some(mut session) = self.session.take() else {
            return Ended::Lost(BrokerError::new(ErrorKind::Other, "produce", "there is no session"));
        };
        let now = self.cx.clock.monotonic();
        let renews = end.is_some() || self.owned.is_none_or(|at| now.saturating_sub(at) >= RENEW);
        let ended = match send(&mut *session, items).await {
            Ok(placed) => {
                let rows = self.rows(items, &placed, renews, state, end);
                commit(&mut *session, rows, placed).await
            }
            Err(ended) => ended,
        };
        match &ended {
            Ended::Committed(_) => {
                self.session = Some(session);
                if renews {
                    self.owned = Some(now);
                }
            }
            Ended::Refused { .. } | Ended::Failed(_) => self.session = Some(session),
            Ended::Lost(_) => {}
        }
        ended
    }

    /// Closes the owner row and the audit of a run that has written something. What cannot be closed is found as
    /// abandoned later.
    pub async fn close(
        &mut self,
        writer: &dyn Writer,
        stopped: Option<&'static str>,
        reason: Option<String>,
    ) {
        self.remain();
        if !self.has_written() || stopped == Some("fenced") {
            return;
        }
        let end = (stopped, reason);
        // The operator's cancel was for what goes before.
        self.cancel = CancellationToken::new();
        for _ in 0..2 {
            match self.transact(&[], OwnerState::Done, Some(&end)).await {
                Ended::Lost(error) => {
                    if self.recover(writer, error).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    fn remain(&mut self) {
        let a = &mut self.answer;
        let done = a.redriven + a.already_handled + a.duplicates + a.expired + a.held + self.parked;
        a.remaining = a.planned.saturating_sub(done);
    }

    /// Tells how far it is, now and then.
    fn report(&mut self, now: bool) {
        self.remain();
        let at = self.cx.clock.monotonic();
        if now || self.told.is_none_or(|told| at.saturating_sub(told) >= TELL_EVERY) {
            self.told = Some(at);
            (self.tell)(self.answer.clone());
        }
    }
}

/// The record that was refused, where it is certain: the broker refuses whole batches, so the only one that it names,
/// or the only one that was sent.
fn culprit(piece: &[Item], mut named: Vec<(usize, String)>, why: String) -> Option<(usize, String)> {
    let mut sent = piece.iter().enumerate().filter(|(_, item)| item.act == Act::Send);
    match (named.len(), sent.next(), sent.next()) {
        (1, ..) => named.pop(),
        (0, Some((only, _)), None) => Some((only, why)),
        _ => None,
    }
}

/// Whether trying again may help.
fn is_passing(fault: &Fault) -> bool {
    matches!(fault.code, "unreachable" | "timed_out" | "broker_error" | "fenced")
}
