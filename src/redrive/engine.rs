//! The engine of one run: windows of letters, transactions, and what to do when one does not end well.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ahead::{Ahead, Read};
use super::control::Wishes;
use super::document::{RunAnswer, RunRequest};
use super::fence::{Fence, Halt, Other};
use super::gate::{Pace, Rest};
use super::item::{Act, Item};
use super::plan::{At, Plan};
use super::run::{Held, list_parked};
use super::start::Start;
use super::transaction::Ended;
use super::twins::{Suspect, Twins, is_same};
use super::watch::Watch;
use crate::broker::{Placed, Writer};
use crate::context::Cx;
use crate::ledger::Disposition;
use crate::ledger::row::OwnerState;
use crate::letters::outcome::Redriven;
use crate::text::{Fault, Timestamp};

/// A transaction aims at no more than this, so that live readers of the target stall less than a second.
pub(super) const LONGEST: Duration = Duration::from_millis(400);
/// Records of a transaction: at first, and at most.
const FIRST_BATCH: usize = 250;
pub(super) const MOST_BATCH: usize = 100_000;
/// No fewer, however long a transaction takes: what is left of its time then is that of its round trips, and a slow or
/// far broker would get one record at a time.
const LEAST_BATCH: usize = 50;
/// Bytes of a transaction at most. What the broker has of them is given back, and of all but the latest letters no more is
/// held until the commit than which they are.
pub(super) const MOST_BYTES: usize = 24 << 20;
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Records whose outcome is followed: the latest.
pub(super) const MOST_FOLLOWED: usize = 10_000;

/// A run under way.
pub(super) struct Engine<'a> {
    pub(super) cx: &'a Cx,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) reason: Option<&'a str>,
    pub(super) fence: Fence<'a>,
    pub(super) watch: Watch<'a>,
    pub(super) answer: RunAnswer,
    pub(super) sent: VecDeque<Redriven>,
    twins: Twins,
    held: Held,
    pub(super) parked: u64,
    pub(super) batch: usize,
    /// Bytes of a transaction at most: no more than a batch of its targets may have, because a broker refuses by batch.
    pub(super) most_bytes: usize,
    /// The run whose place this one takes, while that one was at work.
    pub(super) took_over: Option<Other>,
    /// So many records are sent before proof is waited for; `None` when that is over, or was not asked for.
    pub(super) canary: Option<u64>,
    /// Whether somebody can be asked.
    pub(super) may_ask: bool,
    /// When the first record of a paced plan went out, and when it was written first.
    pub(super) paced: Option<(Duration, Timestamp)>,
    pub(super) wishes: watch::Receiver<Wishes>,
    pub(super) pace: Pace,
    /// When was last looked for records that failed again.
    pub(super) looked: Duration,
    told: Option<Duration>,
    /// Why the run ends after the transaction under way.
    pub(super) later: Option<Halt>,
    tell: &'a (dyn Fn(RunAnswer) + Send + Sync),
}

/// What is known of whether an item is a duplicate.
enum Twin {
    Is,
    MayBe(Suspect),
}

/// What an engine is given beside its request.
pub(super) struct Parts<'a> {
    pub fence: Fence<'a>,
    pub watch: Watch<'a>,
    pub answer: RunAnswer,
    pub most_bytes: usize,
    pub took_over: Option<Other>,
    /// Records that are sent before proof is waited for.
    pub canary: Option<u64>,
}

impl<'a> Engine<'a> {
    pub fn new(
        cx: &'a Cx,
        request: &'a RunRequest,
        parts: Parts<'a>,
        tell: &'a (dyn Fn(RunAnswer) + Send + Sync),
    ) -> Self {
        let plan = &request.plan;
        let now = cx.clock.monotonic();
        Self {
            cx,
            plan,
            reason: request.reason.as_deref(),
            fence: parts.fence,
            watch: parts.watch,
            answer: parts.answer,
            sent: VecDeque::new(),
            twins: Twins::default(),
            held: Held::new(),
            parked: 0,
            batch: FIRST_BATCH,
            most_bytes: parts.most_bytes,
            took_over: parts.took_over,
            canary: parts.canary,
            may_ask: request.may_ask,
            paced: None,
            wishes: request.control.follow(),
            pace: Pace::new(plan.header.options.rate, now),
            looked: now,
            told: None,
            later: None,
            tell,
        }
    }

    /// What was done, and where the records went.
    pub fn into_answer(self) -> (RunAnswer, Vec<Redriven>, Watch<'a>) {
        (self.answer, self.sent.into(), self.watch)
    }

    /// Becomes the writer, and writes the plan's letters. Their reading may have begun.
    pub async fn run(&mut self, writer: &dyn Writer, start: Option<Start>) -> Result<(), Halt> {
        self.answer.waiting = Some(format!("the place of the one writer of {}", self.answer.topic));
        self.report(true);
        let mut start = start.unwrap_or_else(|| self.start());
        self.fence.begin(writer).await?;
        self.settle_intents(writer).await?;
        self.answer.waiting = None;
        if self.took_over.is_some() {
            // At once, so that the other one finds it.
            self.claim(writer, OwnerState::Running).await?;
        }
        let now = self.cx.clock.monotonic();
        self.pace.begin(self.pace.rate(), now);
        self.looked = now;
        if !start.is_of(&self.fence.ledger) {
            start = self.start();
        }
        let Start { mut ahead, twins, closed, .. } = start;
        self.twins = twins;
        self.answer.already_handled = closed;
        while let Some(read) = self.read(writer, &mut ahead).await? {
            let mut items = self.items(read).await?;
            while items.len() < self.batch
                && let Some(read) = ahead.ready()
            {
                items.extend(self.items(read?).await?);
            }
            self.write(writer, items, &mut ahead).await?;
            if let Some(halt) = self.later.take() {
                return Err(halt);
            }
            self.report(false);
        }
        self.prove_canary(writer, Rest::Nothing).await
    }

    /// Begins to read, as the ledger is now.
    fn start(&self) -> Start {
        let place = (&self.fence.ledger, &**self.fence.source());
        let first = self.canary.unwrap_or(0) as usize;
        Start::begin(self.cx, self.plan, place, &self.answer, first, self.fence.cancel.clone())
    }

    /// Waits for letters, and keeps the place of the writer meanwhile.
    async fn read(&mut self, writer: &dyn Writer, ahead: &mut Ahead) -> Result<Option<Read>, Halt> {
        loop {
            // A run that has written nothing yet holds nothing.
            let due = if self.fence.has_written() { self.fence.due_in() } else { Duration::from_secs(3600) };
            tokio::select! {
                biased;
                read = ahead.next() => return Ok(read.transpose()?),
                () = tokio::time::sleep(due) => {}
            }
            if self.fence.has_written() {
                self.claim(writer, OwnerState::Running).await?;
            }
        }
    }

    /// Writes the owner row now.
    pub(super) async fn claim(&mut self, writer: &dyn Writer, state: OwnerState) -> Result<(), Halt> {
        loop {
            match self.transact(&mut Vec::new(), state, None, None).await {
                Ended::Committed(_) => return Ok(()),
                Ended::Lost(error) => self.fence.recover(writer, error).await?,
                Ended::Failed(fault) => return Err(fault.into()),
                Ended::Refused { why, .. } | Ended::Partly { why, .. } => {
                    return Err(Fault::failed("ledger", why).into());
                }
            }
            if self.fence.has_written() && !self.fence.is_due() {
                return Ok(());
            }
        }
    }

    fn state(&self, (partition, offset): At) -> Disposition {
        let (ledger, source) = (self.fence.rows(), self.fence.source());
        ledger.map_or(Disposition::Pending, |l| l.disposition(source, partition, offset))
    }

    /// Takes those of the letters read that are to be written, as the ledger has it.
    pub(super) async fn items(&mut self, read: Read) -> Result<Vec<Item>, Halt> {
        for at in &read.gone {
            self.answer.expired += u64::from(self.state(*at) != Disposition::Parked);
        }
        let mut items = read.items;
        let mut duplicates = Vec::new();
        let (mut held, mut number) = (std::mem::take(&mut self.held), 0);
        items.retain_mut(|item| {
            if self.state(item.at()) == Disposition::Parked {
                held.extend(item.key());
                return false;
            }
            if !held.is_empty() && item.key().is_some_and(|key| held.contains(&key)) {
                self.answer.held += 1;
                return false;
            }
            if let Some(ledger) = self.fence.rows() {
                item.recount(ledger, self.fence.source());
            }
            match self.twin(item) {
                Some(Twin::Is) => item.becomes(Act::Duplicate),
                Some(Twin::MayBe(suspect)) => duplicates.push((number, suspect)),
                None => {}
            }
            number += 1;
            true
        });
        self.held = held;
        for (number, suspect) in duplicates {
            let Some(item) = items.get_mut(number) else { continue };
            if let Some(identity) = item.identity()
                && is_same(self.cx, &suspect, &identity).await?
            {
                item.becomes(Act::Duplicate);
            }
        }
        Ok(items)
    }

    /// Whether the item is the same failed record as another one.
    fn twin(&mut self, item: &Item) -> Option<Twin> {
        let twin = item.twin()?;
        if self.state(item.at()) == Disposition::Redriven {
            return None;
        }
        // The plan has looked at the same bytes.
        if self.plan.may_have_duplicates() && !self.twins.is_first(twin) {
            return Some(Twin::Is);
        }
        self.suspect(item).map(Twin::MayBe)
    }

    /// The redriven record that the item may be a duplicate of.
    pub(super) fn suspect(&self, item: &Item) -> Option<Suspect> {
        let ledger = self.fence.rows().filter(|_| !self.twins.is_new())?;
        let (identity, target) = (item.identity()?, item.target(self.plan)?);
        let (partition, offset) = item.at();
        let own = (&**self.fence.source(), partition, offset);
        self.twins.suspect(ledger, &identity, target, own)
    }

    /// Writes items in transactions, in their order, and with the last of them what is read meanwhile.
    async fn write(&mut self, writer: &dyn Writer, items: Vec<Item>, ahead: &mut Ahead) -> Result<(), Halt> {
        // The last piece is the next one. They are taken from the front: what is left of a piece stays where it is.
        let mut pieces = vec![VecDeque::from(items)];
        while let Some(mut left) = pieces.pop() {
            let Some(first) = left.front() else { continue };
            if let Some(time) = first.time() {
                self.paced.get_or_insert((self.cx.clock.monotonic(), time));
            }
            let due = self.due(first);
            self.gate(writer, self.fitting(&left), due).await?;
            // The operator may have wished another rate meanwhile.
            let mut piece: Vec<Item> = left.drain(..self.fitting(&left)).collect();
            if !left.is_empty() {
                pieces.push(left);
            }
            let more = (pieces.is_empty() && self.may_extend()).then_some(&mut *ahead);
            let began = self.cx.clock.monotonic();
            match self.transact(&mut piece, OwnerState::Running, None, more).await {
                Ended::Committed(placed) => {
                    let took = self.cx.clock.monotonic().saturating_sub(began);
                    self.batch = match took {
                        took if took > LONGEST => (self.batch / 2).max(LEAST_BATCH),
                        took if took < LONGEST / 8 => (self.batch * 4).min(MOST_BATCH),
                        took if took < LONGEST / 2 => (self.batch * 2).min(MOST_BATCH),
                        _ => self.batch,
                    };
                    self.book(&piece, &placed);
                }
                Ended::Refused { named, why, aborted } => {
                    self.answer.aborted_records += aborted;
                    // Who it is is told by all that was sent; it was not taken, and so stays among them.
                    let culprit = culprit(&piece, named, why)
                        .and_then(|(number, why)| Some((piece.get(number)?.at(), why)));
                    self.again(&mut piece).await?;
                    let place = |at| piece.iter().position(|item| item.at() == at);
                    match culprit.and_then(|(at, why)| Some((place(at)?, why))) {
                        Some((culprit, why)) => {
                            self.park(&mut piece, culprit, why);
                            self.hold(&mut pieces);
                        }
                        None => pieces.push(piece.split_off(piece.len() / 2).into()),
                    }
                    pieces.push(piece.into());
                }
                Ended::Partly { placed, named, why } => {
                    let mut left = self.sift(piece, &placed, named, why, &mut pieces);
                    if left.len() > 1 {
                        pieces.push(left.split_off(left.len() / 2).into());
                    }
                    pieces.push(left.into());
                }
                Ended::Lost(error) => {
                    self.fence.recover(writer, error).await?;
                    self.settle_intents(writer).await?;
                    let mut left = self.settle(piece);
                    self.again(&mut left).await?;
                    pieces.push(left.into());
                }
                Ended::Failed(fault) => return Err(fault.into()),
            }
            self.report(false);
        }
        Ok(())
    }

    /// How many of the first items make a transaction.
    fn fitting(&self, items: &VecDeque<Item>) -> usize {
        let mut bytes = 0;
        let fits = |item: &&Item| {
            bytes += item.size();
            bytes <= self.most_bytes
        };
        let canary =
            self.canary.map_or(usize::MAX, |size| size.saturating_sub(self.answer.redriven) as usize);
        let most = self.batch.min(self.pace.most()).min(canary);
        let now = self.cx.clock.monotonic();
        let is_due = |item: &&Item| self.due(item).is_none_or(|due| due <= now);
        items.iter().take(most).take_while(is_due).take_while(fits).count().max(1)
    }

    /// Turns the culprit into a parked letter and takes out the rest of its key.
    pub(super) fn park(&mut self, piece: &mut Vec<Item>, culprit: usize, why: String) {
        let Some(item) = piece.get_mut(culprit) else { return };
        item.becomes(Act::Park(why));
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
    pub(super) fn hold(&mut self, later: &mut [VecDeque<Item>]) {
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

    pub(super) fn count(&mut self, item: &Item, placed: Option<Placed>) {
        match item.act() {
            Act::Send => {
                self.answer.redriven += 1;
                self.pace.count();
                let sent = placed.and_then(|at| item.redriven(self.plan, at, self.fence.source()));
                if let Some(sent) = sent {
                    if self.sent.len() >= MOST_FOLLOWED {
                        self.sent.pop_front();
                    }
                    self.sent.push_back(sent);
                }
            }
            Act::Duplicate => self.answer.duplicates += 1,
            Act::Park(why) => {
                self.parked += 1;
                let (partition, offset) = item.at();
                list_parked(&mut self.answer.parked, partition, offset, why);
            }
        }
    }

    /// After the ledger was read again: counts the items that it has, gives those that it has not.
    fn settle(&mut self, piece: Vec<Item>) -> Vec<Item> {
        let mut left = Vec::new();
        let written = self.fence.lost_records();
        let mut committed = false;
        for item in piece {
            let (partition, offset) = item.at();
            let row = self.fence.rows().and_then(|l| l.get(self.fence.source(), partition, offset));
            match row.map(|r| (**r.run == *self.answer.run, r.disposition, r.target)) {
                Some((true, _, target)) => {
                    let placed = target.map(|t| Placed { partition: t.partition, offset: t.offset });
                    self.count(&item, placed);
                    committed = true;
                }
                Some((false, state, _)) if !self.plan.header.is_open(state) => {
                    self.answer.already_handled += 1;
                }
                _ => left.push(item),
            }
        }
        if !committed && self.fence.is_transactional() {
            self.answer.aborted_records += written;
        }
        left
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
        self.answer.ledger_wait_seconds = self.fence.waited.as_secs_f64();
        if !self.fence.has_written() || stopped == Some("fenced") {
            return;
        }
        let end = (stopped, reason);
        // The operator's cancel was for what goes before.
        self.fence.cancel = CancellationToken::new();
        for _ in 0..2 {
            match self.transact(&mut Vec::new(), OwnerState::Done, Some(&end), None).await {
                Ended::Lost(error) => {
                    if self.fence.recover(writer, error).await.is_err() {
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
    pub(super) fn report(&mut self, now: bool) {
        self.remain();
        let at = self.cx.clock.monotonic();
        if now || self.told.is_none_or(|told| at.saturating_sub(told) >= TELL_EVERY) {
            self.told = Some(at);
            self.answer.records_per_second = self.pace.recent(self.answer.redriven, at);
            self.answer.ledger_wait_seconds = self.fence.waited.as_secs_f64();
            (self.tell)(self.answer.clone());
        }
    }
}

/// The record that was refused, where it is certain: the broker refuses whole batches, so the only one that it names,
/// or the only one that was sent.
pub(super) fn culprit(
    piece: &[Item],
    mut named: Vec<(usize, String)>,
    why: String,
) -> Option<(usize, String)> {
    let mut sent = piece.iter().enumerate().filter(|(_, item)| item.is_sent());
    match (named.len(), sent.next(), sent.next()) {
        (1, ..) => named.pop(),
        (0, Some((only, _)), None) => Some((only, why)),
        _ => None,
    }
}
