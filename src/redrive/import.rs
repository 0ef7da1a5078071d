//! Writes the records of a file into a topic, each once.
//!
//! Records and an audit record that counts them are one transaction, under a transactional id made from the file's
//! digest and the target's id: whoever runs the same import again fences a predecessor, reads from the audit how far
//! that one came, and goes on there. Limits: a partition's records keep their order, records of different partitions
//! do not; what a broker refuses stops the import.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::run::{no_transactions, read_only};
use super::transaction::book;
use super::transfer::search;
use super::{audit, cluster};
use crate::broker::{Commit, Name, Session, SessionKind, Write, Writer};
use crate::context::{Cx, Progress, Sink};
use crate::dlq::names::is_internal_name;
use crate::event::Record;
use crate::event::archive::Archive;
use crate::ledger::AUDIT_TOPIC;
use crate::ledger::audit::{Action, AuditRecord, Kind, Totals};
use crate::text::{Fault, Timestamp, units};

/// Records of a transaction at most.
const MOST_RECORDS: usize = 1_000;
/// Bytes of a transaction at most.
const MOST_BYTES: usize = 2 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Lost transactions in a row before it is given up.
const MOST_LOST: u32 = 6;

/// On which partition a record is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Place {
    /// On the one that the file says.
    #[default]
    Original,
    /// Where the Java client puts its key; round robin without one.
    Rehash,
}

/// What `import` is asked.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The file.
    pub path: PathBuf,
    /// The target topic.
    pub into: Name,
    /// On which partitions.
    pub place: Place,
    /// Import it once more although it was imported before.
    pub again: bool,
    /// What the operator agreed to; `None` only looks at the file.
    pub agreed: Option<ImportAgreed>,
}

/// What the operator agreed to.
#[derive(Clone, Debug)]
pub struct ImportAgreed {
    /// The file's digest as it was shown.
    pub sha256: String,
    /// Why; goes into the audit.
    pub reason: Option<String>,
}

/// What an import would do, or did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportAnswer {
    /// Always `import`.
    pub action: &'static str,
    /// Id of the import in the audit; `None` where nothing was begun.
    pub run: Option<String>,
    /// The file.
    pub file: String,
    /// `jsonl` or `bin`.
    pub format: &'static str,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The target topic.
    pub into: Name,
    /// Records of the file.
    pub records: u64,
    /// Of these, written by earlier imports of the same file.
    pub before: u64,
    /// Written now.
    pub imported: u64,
    /// Not written.
    pub remaining: u64,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: Option<String>,
    /// When it began, or was looked at.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// `cancelled`, `fenced`, `error`; `None` when it went to its end.
    pub stopped: Option<&'static str>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// Whether nothing was written because nobody agreed.
    pub dry_run: bool,
}

/// What a look at the whole file tells.
struct Looked {
    sha256: String,
    format: &'static str,
    records: u64,
    highest: i32,
}

/// Answers [`ImportRequest`].
pub async fn import(
    cx: &Cx,
    request: &ImportRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<ImportAnswer, Fault> {
    let into = &request.into;
    if is_internal_name(into) {
        return Err(Fault::usage("usage", format!("{into} is an internal topic")));
    }
    let there = cluster::targets(cx, std::slice::from_ref(into)).await?.remove(into);
    let Some(there) = there else {
        let fault = cx.unknown_topic(into).await;
        return Err(Fault { code: "target_missing", kind: crate::text::FaultKind::Refused, ..fault });
    };
    let Some(topic_id) = there.planned.topic_id else { return Err(no_transactions("has no topic ids")) };
    let looked = look(&request.path, sink, cancel).await?;
    if request.place == Place::Original && looked.highest >= there.planned.partitions {
        return Err(Fault::refused("target_changed", format!("{into} has too few partitions"))
            .why(format!(
                "the file has records of partition {}, the topic has {} partitions",
                looked.highest, there.planned.partitions
            ))
            .hint("give --place rehash: each key goes where the Java client puts it"));
    }
    let began = cx.clock.monotonic();
    let mut answer = ImportAnswer {
        action: "import",
        run: None,
        file: request.path.display().to_string(),
        format: looked.format,
        sha256: looked.sha256,
        into: Arc::clone(into),
        records: looked.records,
        before: 0,
        imported: 0,
        remaining: looked.records,
        operator: cx.operator.name.clone(),
        reason: None,
        started: cx.clock.now(),
        seconds: 0.0,
        stopped: None,
        stopped_reason: None,
        dry_run: request.agreed.is_none(),
    };
    let transactions = cx.broker.capabilities().transactions.usable();
    let Some(agreed) = &request.agreed else {
        if let Some(before) = earlier(cx, &answer, &topic_id, cancel).await?.filter(|_| !request.again) {
            answer.before = before.totals.disposed;
            answer.remaining = answer.records.saturating_sub(answer.before);
        }
        return Ok(answer);
    };
    let Some(writer) = cx.broker.writer() else { return Err(read_only(cx)) };
    if !transactions {
        return Err(no_transactions("has no transactions"));
    }
    if agreed.sha256 != answer.sha256 {
        return Err(Fault::refused("plan_damaged", format!("{} is not as it was shown", answer.file))
            .hint("look at it again; nothing was written"));
    }
    answer.reason.clone_from(&agreed.reason);
    audit::open(cx, writer).await?;
    let mut work = Work { cx, request, topic_id, answer, lost: 0 };
    let fault = work.go(writer, sink, cancel).await.err();
    let mut answer = work.answer;
    if let Some(fault) = fault {
        if answer.imported == 0 {
            return Err(fault);
        }
        answer.stopped = Some(match fault.code {
            "cancelled" => "cancelled",
            "fenced" => "fenced",
            _ => "error",
        });
        answer.stopped_reason = Some(fault.to_string());
    }
    answer.seconds = cx.clock.monotonic().saturating_sub(began).as_secs_f64();
    Ok(answer)
}

/// Reads the whole file once: what is wrong in it is told before anything is written.
async fn look(path: &Path, sink: &dyn Sink, cancel: &CancellationToken) -> Result<Looked, Fault> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(|e| unreadable(path, &e.to_string()))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut piece).map_err(|e| unreadable(path, &e.to_string()))?;
        if n == 0 {
            break;
        }
        hash.update(piece.get(..n).unwrap_or_default());
        tokio::task::yield_now().await;
        if cancel.is_cancelled() {
            return Err(Fault::cancelled());
        }
    }
    let mut archive = open(path)?;
    let mut highest = -1;
    let mut progress = Progress { what: format!("checking {}", path.display()), ..Progress::default() };
    while let Some(record) = archive.read()? {
        highest = highest.max(record.at.partition);
        if archive.records().is_multiple_of(1_000) {
            progress.done = archive.records();
            progress.bytes = archive.whole();
            sink.progress(progress.clone());
            tokio::task::yield_now().await;
            if cancel.is_cancelled() {
                return Err(Fault::cancelled());
            }
        }
    }
    let sha256 = crate::event::Digest(hash.finalize().into()).to_string();
    Ok(Looked { sha256, format: archive.format().as_str(), records: archive.records(), highest })
}

fn open(path: &Path) -> Result<Archive<BufReader<File>>, Fault> {
    let file = File::open(path).and_then(|file| Archive::new(BufReader::with_capacity(1 << 18, file)));
    file.map_err(|e| unreadable(path, &e.to_string()))
}

fn unreadable(path: &Path, why: &str) -> Fault {
    Fault::usage("file", format!("{} cannot be read", path.display())).why(why.to_owned())
}

/// The latest audit record of an import of this file into this topic.
async fn earlier(
    cx: &Cx,
    answer: &ImportAnswer,
    topic_id: &str,
    cancel: &CancellationToken,
) -> Result<Option<AuditRecord>, Fault> {
    let mut latest = None;
    let of = (Kind::Import, answer.sha256.as_str(), topic_id);
    search(cx, of, cancel, &mut |record| latest = Some(record)).await?;
    Ok(latest)
}

/// An import under way.
struct Work<'a> {
    cx: &'a Cx,
    request: &'a ImportRequest,
    topic_id: Arc<str>,
    answer: ImportAnswer,
    lost: u32,
}

impl Work<'_> {
    async fn go(
        &mut self,
        writer: &dyn Writer,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut first = true;
        loop {
            // Becoming the writer ends what a predecessor left open; what the audit says from here on stays true.
            let kind = SessionKind::Transactional { id: self.writer_id(), timeout: TIMEOUT };
            let mut session = writer.begin(kind).await?;
            let before = earlier(self.cx, &self.answer, &self.topic_id, cancel).await?;
            self.stand(before, std::mem::take(&mut first));
            if self.answer.remaining == 0 {
                return Ok(());
            }
            match self.pass(&mut *session, sink, cancel).await? {
                Pass::Whole => return Ok(()),
                Pass::Lost(error) => {
                    self.lost += 1;
                    if self.lost > MOST_LOST {
                        return Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(50 << self.lost.min(6))).await;
                }
            }
        }
    }

    fn writer_id(&self) -> String {
        format!("redrive-import-{}-{}", self.answer.sha256.get(..16).unwrap_or_default(), self.topic_id)
    }

    /// Takes over how far an import of the file came, from the audit.
    fn stand(&mut self, before: Option<AuditRecord>, first: bool) {
        let answer = &mut self.answer;
        let fresh = || uuid::Uuid::new_v4().simple().to_string();
        let own = |record: &AuditRecord| answer.run.as_ref() == Some(&record.run);
        let done = match before {
            Some(record) if first && !self.request.again => {
                let done = record.totals.disposed;
                // One that did not come to its end goes on under its own id.
                answer.run = Some(if done < answer.records { record.run } else { fresh() });
                answer.before = done.min(answer.records);
                done
            }
            Some(record) if !first && own(&record) => record.totals.disposed,
            _ if first => {
                answer.run = Some(fresh());
                0
            }
            _ => answer.before,
        };
        answer.imported = done.saturating_sub(answer.before);
        answer.remaining = answer.records.saturating_sub(done);
    }

    /// Writes from where it stands to the end of the file, unless a transaction is lost.
    async fn pass(
        &mut self,
        session: &mut dyn Session,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Pass, Fault> {
        let mut archive = open(&self.request.path)?;
        let mut done = self.answer.before + self.answer.imported;
        while archive.records() < done {
            if archive.read()?.is_none() {
                break;
            }
        }
        let mut next = archive.read()?;
        while next.is_some() {
            if cancel.is_cancelled() {
                return Err(Fault::cancelled());
            }
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(record) = next.take() {
                bytes += record.size();
                batch.push(record);
                next = archive.read()?;
                if batch.len() >= MOST_RECORDS || bytes >= MOST_BYTES {
                    break;
                }
            }
            let count = batch.len() as u64;
            let is_last = next.is_none();
            match self.write(session, batch, done, is_last).await? {
                Pass::Whole => {}
                lost @ Pass::Lost(_) => return Ok(lost),
            }
            self.lost = 0;
            done += count;
            self.answer.imported += count;
            self.answer.remaining = self.answer.records.saturating_sub(done);
            sink.progress(Progress {
                what: format!("importing into {}", self.request.into),
                done,
                total: Some(self.answer.records),
                ..Progress::default()
            });
        }
        Ok(Pass::Whole)
    }

    async fn write(
        &self,
        session: &mut dyn Session,
        batch: Vec<Record>,
        done: u64,
        is_last: bool,
    ) -> Result<Pass, Fault> {
        let count = batch.len() as u64;
        let mut tickets = Vec::with_capacity(batch.len());
        for (i, record) in batch.into_iter().enumerate() {
            let write = Write {
                topic: Arc::clone(&self.request.into),
                partition: (self.request.place == Place::Original).then_some(record.at.partition),
                timestamp: record.timestamp(),
                key: record.key,
                value: record.value,
                headers: record.headers,
            };
            match session.stage(write).await {
                Ok(ticket) => tickets.push((ticket, done + i as u64 + 1)),
                Err(error) if error.retryable => return Ok(Pass::Lost(error.into())),
                Err(error) => {
                    let _ = session.abort().await;
                    return Err(Self::refused(done + i as u64 + 1, &error.to_string()));
                }
            }
        }
        let record = self.audit(done + count, is_last);
        if let Err(error) = session.stage(book(AUDIT_TOPIC, None, record.encode())).await {
            return Ok(Pass::Lost(error.into()));
        }
        let answers = match session.settle().await {
            Ok(answers) => answers,
            Err(error) => return Ok(Pass::Lost(error.into())),
        };
        if let Some((ticket, error)) = answers.into_iter().find_map(|(t, a)| a.err().map(|e| (t, e))) {
            if error.retryable || error.kind == crate::broker::ErrorKind::Fenced {
                return Ok(Pass::Lost(error.into()));
            }
            let _ = session.abort().await;
            let number = tickets.iter().find(|(t, _)| *t == ticket).map_or(done + 1, |(_, n)| *n);
            return Err(Self::refused(number, &error.to_string()));
        }
        match session.commit().await {
            Ok(Commit::Done) => Ok(Pass::Whole),
            Ok(Commit::Unknown(error) | Commit::Fenced(error) | Commit::Aborted(error)) | Err(error) => {
                Ok(Pass::Lost(error.into()))
            }
        }
    }

    fn refused(number: u64, why: &str) -> Fault {
        Fault::failed(
            "refused",
            format!("the broker does not take record {} of the file", units::count(number)),
        )
        .why(why.to_owned())
        .hint("what was committed before stays; when the cause is gone, repeat the command: it goes on there")
    }

    fn audit(&self, done: u64, is_last: bool) -> AuditRecord {
        let answer = &self.answer;
        let action = match (is_last, done == 0) {
            (true, _) => Action::End,
            (false, true) => Action::Start,
            (false, false) => Action::Batch,
        };
        let mut record = audit::record(self.cx, action, self.cx.clock.now().as_millis());
        record.kind = Kind::Import;
        record.run = answer.run.clone().unwrap_or_default();
        record.plan.clone_from(&answer.sha256);
        record.topic = answer.into.to_string();
        record.topic_id = self.topic_id.to_string();
        record.reason.clone_from(&answer.reason);
        record.started_ms = answer.started.as_millis();
        record.totals = Totals { planned: answer.records, disposed: done, ..Totals::default() };
        record
    }
}

/// How a pass over the file, or a transaction of it, went.
enum Pass {
    Whole,
    /// It may or may not be there: the audit knows.
    Lost(Fault),
}
