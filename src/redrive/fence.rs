//! The place of the one writer of a dead-letter topic: taken, kept, lost, and found again.
//!
//! All rows of a topic are written under one transactional id. Whoever begins with it fences its predecessor, ends
//! what that one left open, and then reads the ledger to its end: what it says from there on stays true. Limits:
//! whether a commit that was not answered is there is never guessed; the ledger is read again instead.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::books;
use super::item::PROGRAM;
use super::run::is_cancel;
use super::transaction::{self, Ended, book};
use crate::broker::{BrokerError, ErrorKind, Guarantee, Placed, Session, SessionKind, Write, Writer};
use crate::context::{Cx, Progress, Sink};
use crate::ledger::audit::AuditRecord;
use crate::ledger::row::{HeaderRow, Key, OwnerRow, OwnerState};
use crate::ledger::{AUDIT_TOPIC, FORMAT_VERSION, LEDGER_TOPIC, Ledger};
use crate::letters::ledger::LedgerReader;
use crate::text::{Fault, units};

/// After this long without an end the broker aborts a transaction.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The owner row is renewed so often.
const RENEW: Duration = Duration::from_secs(10);
/// An owner row that is not renewed for so long is of a run that died.
pub(super) const STALE: Duration = Duration::from_secs(30);
/// How often is looked whether another run still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Failures in a row before the place is given up.
const PATIENCE: u32 = 6;

/// Why a run ends before its plan does.
pub(super) enum Halt {
    Cancelled,
    /// The canary was not good enough; the words say why.
    Canary(String),
    /// Too many of the records failed again.
    Refailures(String),
    Fenced(String),
    Fault(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        if is_cancel(&fault) { Self::Cancelled } else { Self::Fault(fault) }
    }
}

/// The place of the one writer.
pub(super) struct Fence<'a> {
    cx: &'a Cx,
    /// Id of the run.
    run: String,
    /// Id of the dead-letter topic.
    source: Arc<str>,
    pub ledger: LedgerReader,
    session: Option<Box<dyn Session>>,
    /// Those of ledger and audit that are to be made with the place.
    missing: Vec<&'static str>,
    guarantee: Guarantee,
    /// When the last owner row was committed; `None` before the first.
    owned: Option<Duration>,
    /// The run that was the owner before this one began.
    owner_before: Option<Arc<str>>,
    failures: u32,
    /// Records of the transaction under way that the broker has taken.
    in_flight: u64,
    /// How long was waited for the ledger.
    pub waited: Duration,
    sink: &'a dyn Sink,
    pub cancel: CancellationToken,
}

impl<'a> Fence<'a> {
    /// A place not yet taken. The ledger was read once; what is `missing` of it and the audit is made while the place is
    /// taken.
    pub fn new(
        cx: &'a Cx,
        run: &str,
        source: Arc<str>,
        ledger: LedgerReader,
        missing: Vec<&'static str>,
        sink: &'a dyn Sink,
        cancel: &CancellationToken,
    ) -> Self {
        Self {
            cx,
            run: run.to_owned(),
            source,
            ledger,
            session: None,
            missing,
            guarantee: Guarantee::ExactlyOnceReadCommitted,
            owned: None,
            owner_before: None,
            failures: 0,
            in_flight: 0,
            waited: Duration::ZERO,
            sink,
            cancel: cancel.clone(),
        }
    }

    /// The place of a run with this guarantee. Without transactions nobody is fenced: the owner row alone keeps others
    /// away, and is looked at before each batch.
    pub fn with(self, guarantee: Guarantee) -> Self {
        Self { guarantee, ..self }
    }

    /// Whether it writes in transactions.
    pub fn is_transactional(&self) -> bool {
        self.guarantee == Guarantee::ExactlyOnceReadCommitted
    }

    /// Id of the dead-letter topic.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The ledger as of the last time it was read.
    pub fn rows(&self) -> Option<&Ledger> {
        self.ledger.ledger()
    }

    /// Whether a transaction was committed.
    pub fn has_written(&self) -> bool {
        self.owned.is_some()
    }

    /// Whether the owner row is to be written with the next transaction.
    pub fn is_due(&self) -> bool {
        let now = self.cx.clock.monotonic();
        self.owned.is_none_or(|at| now.saturating_sub(at) >= RENEW)
    }

    /// How long until the owner row is due.
    pub fn due_in(&self) -> Duration {
        let now = self.cx.clock.monotonic();
        self.owned.map_or(Duration::ZERO, |at| (at + RENEW).saturating_sub(now))
    }

    /// Becomes the writer: ends what a predecessor left open, then reads the ledger to its end.
    pub async fn begin(&mut self, writer: &dyn Writer) -> Result<(), Halt> {
        let owner = self.rows().and_then(|l| l.owner(&self.source));
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
        let kind = match self.guarantee {
            Guarantee::ExactlyOnceReadCommitted => {
                SessionKind::Transactional { id: format!("redrive-{}", self.source), timeout: TIMEOUT }
            }
            Guarantee::AtLeastOnceChecked => SessionKind::Idempotent,
        };
        let making = books::make(self.cx, writer, &self.missing);
        let (session, made) = tokio::join!(writer.begin(kind), making);
        made?;
        self.missing.clear();
        let session = session?;
        self.read_ledger().await?;
        self.session = Some(session);
        Ok(())
    }

    /// Reads the ledger again, and whether this run is still the owner.
    pub async fn look_again(&mut self) -> Result<(), Ended> {
        match self.read_ledger().await {
            Ok(()) => {}
            Err(fault) if is_passing(&fault) => {
                return Err(Ended::Lost(BrokerError::new(
                    ErrorKind::TimedOut,
                    "read of the ledger",
                    fault.what,
                )));
            }
            Err(fault) => return Err(Ended::Failed(fault)),
        }
        match self.check_owner() {
            Err(Halt::Fenced(who)) => Err(Ended::Lost(BrokerError::new(ErrorKind::Fenced, "produce", who))),
            _ => Ok(()),
        }
    }

    async fn read_ledger(&mut self) -> Result<(), Fault> {
        let read = self.ledger.refresh(self.sink, &self.cancel).await;
        self.waited += self.ledger.waited();
        read
    }

    /// Whether another run became the owner since this one began.
    fn check_owner(&mut self) -> Result<(), Halt> {
        let Some(owner) = self.ledger.ledger().and_then(|l| l.owner(&self.source)) else { return Ok(()) };
        if *owner.run == *self.run {
            self.owned.get_or_insert(self.cx.clock.monotonic());
        } else if self.owner_before.as_ref() != Some(&owner.run) {
            return Err(Halt::Fenced(format!("run {} of {} on {}", owner.run, owner.operator, owner.host)));
        }
        Ok(())
    }

    /// After a transaction whose end is not known, or a session that is dead: reads who is the owner, and only if
    /// nobody took over becomes the writer again.
    pub async fn recover(&mut self, writer: &dyn Writer, error: BrokerError) -> Result<(), Halt> {
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
        self.tell_waiting(format!("the broker: {fault}"));
        let pause = Duration::from_millis(50 << failures.min(6));
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.cancel.cancelled() => Err(Halt::Cancelled),
        }
    }

    fn tell_waiting(&self, waiting: String) {
        let what = "waiting".to_owned();
        self.sink.progress(Progress { what, waiting: Some(waiting), ..Progress::default() });
    }

    /// The session, until it is given [`back`](Self::back).
    pub fn session(&mut self) -> Result<Box<dyn Session>, Ended> {
        self.session.take().ok_or_else(no_session)
    }

    /// Takes the session back; `taken` records of the transaction lie on the broker.
    pub fn back<T>(&mut self, session: Box<dyn Session>, sent: &Result<T, Ended>, taken: u64) {
        match sent {
            Ok(_) => self.in_flight = taken,
            Err(Ended::Lost(_)) => {
                self.in_flight = taken;
                return;
            }
            Err(_) => self.in_flight = 0,
        }
        self.session = Some(session);
    }

    /// Writes rows into the open transaction (or one of their own) and commits it. `renews` says that the owner row
    /// is among them.
    pub async fn commit(&mut self, rows: Vec<Write>, placed: Vec<Option<Placed>>, renews: bool) -> Ended {
        let Some(session) = self.session.as_mut() else { return no_session() };
        let ended = transaction::commit(&mut **session, rows, placed).await;
        match &ended {
            Ended::Committed(_) => {
                self.failures = 0;
                if renews {
                    self.owned = Some(self.cx.clock.monotonic());
                }
            }
            Ended::Refused { .. } | Ended::Partly { .. } | Ended::Failed(_) => {}
            Ended::Lost(_) => {
                self.session = None;
                return ended;
            }
        }
        self.in_flight = 0;
        ended
    }

    /// Records that the last transaction had written when it was lost.
    pub fn lost_records(&mut self) -> u64 {
        std::mem::take(&mut self.in_flight)
    }

    /// What only a ledger's first writer writes: its format, which the first one of a newer format writes anew, and
    /// which ledger the audit belongs to. `audit` is a record to be filled.
    pub fn first_rows(&self, audit: AuditRecord) -> Vec<Write> {
        let mut rows = Vec::new();
        if self.has_written() {
            return rows;
        }
        if !self.rows().is_some_and(Ledger::is_current) {
            let value = HeaderRow::current(PROGRAM).encode();
            rows.push(book(LEDGER_TOPIC, Some(Key::Header.encode()), value));
        }
        if !self.ledger.is_audited() {
            let ledger_topic_id = self.ledger.topic_id().map(|id| id.0.to_string());
            let record = AuditRecord { run: String::new(), ledger_topic_id, ..audit };
            rows.push(book(AUDIT_TOPIC, None, record.encode()));
        }
        rows
    }

    /// The row that says who writes.
    pub fn owner_row(&self, cluster: &str, state: OwnerState) -> Write {
        let operator = &self.cx.operator;
        let owner = OwnerRow {
            v: FORMAT_VERSION,
            run: self.run.clone(),
            operator: operator.name.clone(),
            host: operator.host.clone(),
            state,
            time_ms: self.cx.clock.now().as_millis(),
        };
        book(LEDGER_TOPIC, Some(Key::owner(cluster, &self.source).encode()), owner.encode())
    }
}

fn no_session() -> Ended {
    Ended::Lost(BrokerError::new(ErrorKind::Other, "produce", "there is no session"))
}

/// Another run of the topic that was at work when this one came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub run: Arc<str>,
    /// Whether the operator's word, and not its death, lets this run go on.
    pub forced: bool,
}

/// Waits until no other run is at work on the topic: it ended, or was not renewed for 30 s. Gives the run whose place
/// is taken, where one did not end; refuses when the other one lives, unless `take_over`.
///
/// The age of the row is told by the broker's own times and by how long it was watched, never by this machine's clock.
pub(super) async fn await_place(
    cx: &Cx,
    ledger: &mut LedgerReader,
    (source, topic): (&str, &str),
    take_over: bool,
    tell: &(dyn Fn(String) + Send + Sync),
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Option<Other>, Fault> {
    let mut first_seen = None;
    loop {
        let rows = ledger.ledger();
        let owner = rows.and_then(|l| l.owner(source)).filter(|o| o.state != OwnerState::Done);
        let Some(owner) = owner else { return Ok(None) };
        let other = |forced| Other { run: Arc::clone(&owner.run), forced };
        if take_over {
            return Ok(Some(other(true)));
        }
        let now = cx.clock.monotonic();
        let (row, since) = *first_seen.get_or_insert((owner.at, now));
        if owner.at != row {
            let since = owner.appended.map_or_else(String::new, |at| format!(", seen at {at}"));
            return Err(Fault::refused("fenced", format!("another run of {topic} is under way"))
                .why(format!("run {} of {} on {}{since}", owner.run, owner.operator, owner.host))
                .hint(format!(
                    "wait for its end (a run that shows no life for {} is given up), or take over: that run is \
                     then stopped",
                    units::duration(STALE)
                )));
        }
        let newer = rows.and_then(Ledger::newest).zip(owner.appended).map_or(0, |(now, at)| now.since(at));
        let watched = now.saturating_sub(since);
        if watched >= STALE || newer > STALE.as_millis() as i64 {
            return Ok(Some(other(false)));
        }
        let waiting = format!(
            "run {} of {}, to end or to show that it died ({} s)",
            owner.run,
            owner.operator,
            STALE.saturating_sub(watched).as_secs()
        );
        sink.progress(Progress {
            what: "waiting".to_owned(),
            waiting: Some(waiting.clone()),
            ..Progress::default()
        });
        tell(waiting);
        tokio::select! {
            () = cancel.cancelled() => return Err(Fault::cancelled()),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        ledger.refresh(sink, cancel).await?;
    }
}

/// Whether trying again may help.
fn is_passing(fault: &Fault) -> bool {
    matches!(fault.code, "unreachable" | "timed_out" | "broker_error" | "fenced")
}
