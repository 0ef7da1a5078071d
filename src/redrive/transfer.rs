//! Records and the audit record that tells of them, as one transaction: what `produce` and `copy` write with.
//!
//! A chain of such transactions has one transactional id. After a lost answer nothing is guessed: the chain becomes the
//! writer anew, which ends what was left open, and the audit says whether the last transaction is there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::audit;
use super::runs::read_audit;
use super::transaction::book;
use crate::broker::{BrokerError, Commit, ErrorKind, Placed, Session, SessionKind, Write, Writer};
use crate::context::{Cx, Silent};
use crate::ledger::AUDIT_TOPIC;
use crate::ledger::audit::{AuditRecord, Kind};
use crate::text::Fault;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the audit may stand still behind another open transaction.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lost transactions in a row before it is given up.
const MOST_LOST: u32 = 6;

/// Whose transactions a chain's are: the audit is searched for these.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub kind: Kind,
    /// What is done, told from everything else that is done.
    pub plan: String,
    /// The target topic's id.
    pub topic_id: String,
    /// Who does it this time.
    pub run: String,
}

/// Why a transaction is not there.
pub(super) enum Unwritten {
    /// The broker does not take the record with this index.
    Refused(usize, BrokerError),
    /// Something else.
    Failed(Fault),
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<BrokerError> for Unwritten {
    fn from(error: BrokerError) -> Self {
        Self::Failed(error.into())
    }
}

/// One after the other.
pub(super) struct Chain<'a> {
    cx: &'a Cx,
    writer: &'a dyn Writer,
    id: String,
    mark: Mark,
    session: Box<dyn Session>,
    /// Audit records of others that do the same, when it began.
    others: u64,
    lost: u32,
}

impl<'a> Chain<'a> {
    /// Becomes the writer of `id`; `earlier` is given what the audit has of the same work.
    pub async fn begin(
        cx: &'a Cx,
        writer: &'a dyn Writer,
        id: String,
        mark: Mark,
        earlier: &mut (dyn FnMut(&AuditRecord) + Send),
        cancel: &CancellationToken,
    ) -> Result<Self, Fault> {
        audit::open(cx, writer).await?;
        let session = writer.begin(SessionKind::Transactional { id: id.clone(), timeout: TIMEOUT }).await?;
        let mut others = 0;
        search(cx, mark.work(), cancel, &mut |record| {
            others += 1;
            earlier(&record);
        })
        .await?;
        Ok(Self { cx, writer, id, mark, session, others, lost: 0 })
    }

    /// Writes records, and the audit record that is made when their places are known; all of it, or nothing.
    pub async fn write(
        &mut self,
        writes: &[Write],
        audit: &(dyn Fn(&[Placed]) -> AuditRecord + Sync),
        cancel: &CancellationToken,
    ) -> Result<Vec<Placed>, Unwritten> {
        loop {
            let (error, sent) = match link(&mut *self.session, writes, audit).await {
                Link::Whole(places) => {
                    self.lost = 0;
                    return Ok(places);
                }
                Link::Refused(index, error) => return Err(Unwritten::Refused(index, error)),
                Link::Failed(fault) => return Err(fault.into()),
                Link::Lost(error, sent) => (error, sent),
            };
            self.lost += 1;
            if self.lost > MOST_LOST && sent.is_none() {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_millis(50 << self.lost.min(6))).await;
            if let Some(sent) = sent {
                let mut found = false;
                self.renew(&mut |record| found |= *record == sent.record).await.map_err(|fault| {
                    let hint =
                        "whether the last transaction is there is not known: `redrive runs list` shows it";
                    if fault.hint.is_empty() { fault.hint(hint) } else { fault }
                })?;
                if found {
                    self.lost = 0;
                    return Ok(sent.places);
                }
                if self.lost > MOST_LOST {
                    return Err(error.into());
                }
            } else {
                self.renew(&mut |_| {}).await?;
            }
            if cancel.is_cancelled() {
                return Err(Fault::cancelled().into());
            }
        }
    }

    /// Becomes the writer anew, unless somebody else has become it to do the same.
    async fn renew(&mut self, take: &mut (dyn FnMut(&AuditRecord) + Send)) -> Result<(), Fault> {
        // What became of the last transaction is found out even where the work is cancelled.
        let cancel = CancellationToken::new();
        let kind = SessionKind::Transactional { id: self.id.clone(), timeout: TIMEOUT };
        self.session = self.writer.begin(kind).await?;
        let (mut others, mut who) = (0, String::new());
        let run = self.mark.run.clone();
        search(self.cx, self.mark.work(), &cancel, &mut |record| {
            if record.run != run {
                others += 1;
                who = format!("{} of {}", record.run, record.operator);
            }
            take(&record);
        })
        .await?;
        if others > self.others {
            return Err(Fault::refused("fenced", "another one does the same")
                .why(format!("{} {who} took over", self.mark.kind.as_str()))
                .hint("what was committed stays; `redrive runs list` shows it"));
        }
        Ok(())
    }
}

impl Mark {
    /// By what the audit records of the same work are known.
    pub fn work(&self) -> (Kind, &str, &str) {
        (self.kind, &self.plan, &self.topic_id)
    }
}

/// Gives the audit records of a work, each of its runs: of what kind it is, what is done, and to which topic id.
pub(super) async fn search(
    cx: &Cx,
    work: (Kind, &str, &str),
    cancel: &CancellationToken,
    take: &mut (dyn FnMut(AuditRecord) + Send),
) -> Result<(), Fault> {
    let mut take = |record: AuditRecord| {
        if (record.kind, record.plan.as_str(), &*record.topic_id) == work {
            take(record);
        }
    };
    let read = read_audit(cx, |bounds| bounds.end, &Silent, cancel, &mut take);
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(read) => read,
        Err(_) => Err(Fault::failed("timed_out", "reading the audit")
            .why(format!("waited {} s for an open transaction on {AUDIT_TOPIC}", PATIENCE.as_secs()))),
    }
}

/// How one transaction went.
enum Link {
    Whole(Vec<Placed>),
    Refused(usize, BrokerError),
    Failed(Fault),
    /// It may be there where an audit record was sent with it.
    Lost(BrokerError, Option<Box<Sent>>),
}

/// A transaction whose end was asked for.
struct Sent {
    places: Vec<Placed>,
    record: AuditRecord,
}

async fn link(
    session: &mut dyn Session,
    writes: &[Write],
    audit: &(dyn Fn(&[Placed]) -> AuditRecord + Sync),
) -> Link {
    let mut tickets = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        match session.stage(write.clone()).await {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => return undone(session, Some(index), error).await,
        }
    }
    let answers = match session.settle().await {
        Ok(answers) => answers,
        Err(error) => return Link::Lost(error, None),
    };
    let mut places = Vec::with_capacity(tickets.len());
    for (ticket, answer) in answers {
        match answer {
            Ok(place) => places.push((ticket, place)),
            Err(error) => {
                let index = tickets.iter().position(|t| *t == ticket);
                return undone(session, index, error).await;
            }
        }
    }
    if places.len() < tickets.len() {
        let why = format!("{} of {} records were not answered", tickets.len() - places.len(), tickets.len());
        return Link::Lost(BrokerError::new(ErrorKind::Other, "produce", why).retryable(), None);
    }
    places.sort_unstable_by_key(|(ticket, _)| *ticket);
    let places: Vec<Placed> = places.into_iter().map(|(_, place)| place).collect();
    let record = audit(&places);
    if let Err(error) = session.stage(book(AUDIT_TOPIC, None, record.encode())).await {
        return undone(session, None, error).await;
    }
    match session.settle().await {
        Ok(answers) => {
            if let Some(error) = answers.into_iter().find_map(|(_, answer)| answer.err()) {
                return undone(session, None, error).await;
            }
        }
        Err(error) => return Link::Lost(error, None),
    }
    match session.commit().await {
        Ok(Commit::Done) => Link::Whole(places),
        Ok(Commit::Unknown(error) | Commit::Fenced(error) | Commit::Aborted(error)) | Err(error) => {
            Link::Lost(error, Some(Box::new(Sent { places, record })))
        }
    }
}

/// Ends a transaction that cannot be committed; `index` names the record that is to blame, `None` the audit's.
async fn undone(session: &mut dyn Session, index: Option<usize>, error: BrokerError) -> Link {
    if error.retryable || error.kind == ErrorKind::Fenced {
        return Link::Lost(error, None);
    }
    let _ = session.abort().await;
    match index {
        Some(index) => Link::Refused(index, error),
        None => Link::Failed(
            Fault::failed("audit", format!("{AUDIT_TOPIC} took no record"))
                .why(error.why)
                .hint("the user needs the right to write to it; what cannot be audited is not done"),
        ),
    }
}
