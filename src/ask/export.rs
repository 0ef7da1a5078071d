//! Saving records or dead letters into a file, to be read back by `import`.
//!
//! They are written into `FILE.part`, which gets its name at the end: a file that is there is whole. What was
//! interrupted goes on: the records that the part has are not written a second time (but read again), and half a
//! record at its end is cut off. No file is ever overwritten. Limits: partitions are mixed as they come, so a part's
//! records count as written up to the last offset of each partition.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::context::{Progress, Sink};
use crate::event::Record;
use crate::event::archive::{self, Archive, Format};
use crate::event::spreadsheet::Column;
use crate::letters::Index;
use crate::letters::document::LettersRequest;
use crate::records;
use crate::records::document::TailRequest;
use crate::text::{Fault, units};

/// What is saved.
#[derive(Clone, Debug)]
pub enum Source {
    /// Records of a topic.
    Records(TailRequest),
    /// Dead letters, by state or failure.
    Letters(LettersRequest),
}

/// What `export` is asked.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// What is saved.
    pub source: Source,
    /// Where to.
    pub path: PathBuf,
    /// In which form.
    pub format: Format,
    /// Go on with what an earlier export left.
    pub resume: bool,
    /// The columns of CSV.
    pub columns: Vec<Column>,
}

/// What was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportAnswer {
    /// The file.
    pub file: String,
    /// `jsonl`, `csv` or `bin`.
    pub format: &'static str,
    /// Records in it.
    pub records: u64,
    /// Of these, written by earlier exports.
    pub before: u64,
    /// Bytes of keys, values and headers written now.
    pub bytes: u64,
    /// Whether all that was meant was read and written.
    pub complete: bool,
    /// Why not, where not.
    pub incomplete_reason: Option<String>,
    /// Records on which the condition failed with an error; they count as not meant.
    pub filter_errors: u64,
}

/// Answers [`ExportRequest`].
pub async fn export(
    index: &Index,
    request: &ExportRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<ExportAnswer, Fault> {
    let part = Part::open(request)?;
    let stop = cancel.child_token();
    let saving = Saving { part: Mutex::new(part), sink, stop: stop.clone() };
    let read = match &request.source {
        Source::Records(tail) => records::tail(index.cx(), tail, &saving, &stop)
            .await
            .map(|answer| (answer.complete, answer.incomplete_reason, answer.filter_errors)),
        Source::Letters(letters) => {
            let mut take = |row: crate::letters::document::LetterRow| {
                saving.take(&row.letter.record);
                if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            index.each(letters, None, &saving, &stop, &mut take).await.map(|walk| {
                let why = (!walk.complete).then(|| "not all letters of the topic could be read".to_owned());
                (walk.complete || letters.selection.limit.is_some(), why, walk.filter_errors)
            })
        }
    };
    let part = saving.part.into_inner().unwrap_or_else(PoisonError::into_inner);
    let shown = request.path.display().to_string();
    let going_on = format!("what is written is kept in {shown}.part: repeat the command with --resume");
    // A full disk ends the reading with a cancel of its own: it is the reason.
    let ended = match (&part.failed, read) {
        (Some(why), _) => Err(unwritable(&request.path, why)),
        (None, read) => read,
    };
    let ended =
        ended.and_then(|answer| if cancel.is_cancelled() { Err(Fault::cancelled()) } else { Ok(answer) });
    let (complete, why, filter_errors) = match ended {
        Ok(answer) => answer,
        Err(fault) => {
            let records = part.leave();
            let hint = if request.format == Format::Csv {
                format!(
                    "{records} records are in {shown}.part; delete it and begin again (CSV cannot be gone on with)"
                )
            } else {
                format!("{} records: {going_on}", units::count(records))
            };
            return Err(if fault.hint.is_empty() {
                fault.hint(hint)
            } else {
                Fault { hint: format!("{}; {hint}", fault.hint), ..fault }
            });
        }
    };
    let (records, before, bytes) = part.end(&request.path)?;
    Ok(ExportAnswer {
        file: shown,
        format: request.format.as_str(),
        records,
        before,
        bytes,
        complete,
        incomplete_reason: why,
        filter_errors,
    })
}

/// The part of a file that is written so far.
struct Part {
    out: BufWriter<File>,
    path: PathBuf,
    format: Format,
    records: u64,
    before: u64,
    bytes: u64,
    /// The last offset of each partition that an earlier export wrote.
    last: HashMap<i32, i64>,
    failed: Option<String>,
    columns: Vec<Column>,
}

impl Part {
    fn open(request: &ExportRequest) -> Result<Self, Fault> {
        let path = &request.path;
        let wrong = |e: io::Error| unwritable(path, &e.to_string());
        if path.exists() {
            return Err(Fault::usage("usage", format!("{} exists", path.display()))
                .hint("no file is overwritten: give another name"));
        }
        let part = with_part(path);
        let mut begun = Self::begun(&part, request).map_err(|fault| match fault {
            Begun::Io(e) => wrong(e),
            Begun::Fault(f) => f,
        })?;
        begun.columns.clone_from(&request.columns);
        if begun.before == 0 {
            archive::begin(begun.format, &begun.columns, &mut begun.out).map_err(wrong)?;
        }
        Ok(begun)
    }

    fn begun(part: &Path, request: &ExportRequest) -> Result<Self, Begun> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Payloads are nobody else's.
            options.mode(0o600);
        }
        let (format, mut last, mut before) = (request.format, HashMap::new(), 0);
        let there = part.exists();
        if there && !request.resume {
            return Err(Begun::Fault(
                Fault::usage("usage", format!("{} exists", part.display()))
                    .why("an earlier export was interrupted")
                    .hint("go on with --resume, or delete it"),
            ));
        }
        if !there {
            let out = options.create_new(true).open(part)?;
            return Ok(Self::new(out, part, format, last, before));
        }
        if format == Format::Csv {
            return Err(Begun::Fault(
                Fault::usage("usage", "a CSV file cannot be gone on with")
                    .hint("delete the part and begin again"),
            ));
        }
        let out = options.open(part)?;
        let mut archive = Archive::new(BufReader::new(&out))?;
        while let Ok(Some(record)) = archive.read() {
            let of = last.entry(record.at.partition).or_insert(record.at.offset);
            *of = record.at.offset.max(*of);
            before += 1;
        }
        if before > 0 && archive.format() != format {
            return Err(Begun::Fault(
                Fault::usage("usage", format!("{} is not of the form {}", part.display(), format.as_str()))
                    .hint(format!("give --format {}", archive.format().as_str())),
            ));
        }
        let whole = if before > 0 { archive.whole() } else { 0 };
        drop(archive);
        out.set_len(whole)?;
        let mut out = out;
        io::Seek::seek(&mut out, io::SeekFrom::End(0))?;
        Ok(Self::new(out, part, format, last, before))
    }

    fn new(out: File, path: &Path, format: Format, last: HashMap<i32, i64>, before: u64) -> Self {
        let out = BufWriter::with_capacity(1 << 18, out);
        Self {
            out,
            path: path.to_owned(),
            format,
            records: before,
            before,
            bytes: 0,
            last,
            failed: None,
            columns: Vec::new(),
        }
    }

    fn take(&mut self, record: &Record) {
        if self.failed.is_some()
            || self.last.get(&record.at.partition).is_some_and(|last| record.at.offset <= *last)
        {
            return;
        }
        match archive::write(self.format, &self.columns, record, &mut self.out) {
            Ok(()) => {
                self.records += 1;
                self.bytes += record.size() as u64;
            }
            Err(e) => self.failed = Some(e.to_string()),
        }
    }

    /// Leaves the part behind, to go on with later; gives the number of records in it.
    fn leave(mut self) -> u64 {
        let _ = self.out.flush();
        // What did not fit is not told as written: only the file itself knows.
        let Ok(file) = File::open(&self.path) else { return 0 };
        let Ok(mut archive) = Archive::new(BufReader::new(file)) else { return 0 };
        if self.format == Format::Csv {
            return self.records;
        }
        while let Ok(Some(_)) = archive.read() {}
        archive.records()
    }

    fn end(mut self, path: &Path) -> Result<(u64, u64, u64), Fault> {
        let ended = archive::end(self.format, self.records, &mut self.out)
            .and_then(|()| self.out.flush())
            .and_then(|()| self.out.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.path, path));
        ended.map_err(|e| {
            unwritable(path, &e.to_string()).hint("make room, and repeat the command with --resume")
        })?;
        Ok((self.records, self.before, self.bytes))
    }
}

enum Begun {
    Io(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Begun {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// Writes what is read into the part.
struct Saving<'a> {
    part: Mutex<Part>,
    sink: &'a dyn Sink,
    stop: CancellationToken,
}

impl Saving<'_> {
    fn take(&self, record: &Record) {
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        part.take(record);
        if part.failed.is_some() {
            self.stop.cancel();
        }
    }
}

impl Sink for Saving<'_> {
    fn progress(&self, progress: Progress) {
        self.sink.progress(progress);
    }

    fn records(&self, records: Vec<Record>) {
        for record in &records {
            self.take(record);
        }
    }
}

fn with_part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn unwritable(path: &Path, why: &str) -> Fault {
    Fault::failed("output", format!("{} cannot be written", path.display())).why(why.to_owned())
}

/// Names the topic of a source.
impl Source {
    /// The topic, where it is one.
    pub fn topic(&self) -> Option<&Arc<str>> {
        match self {
            Self::Records(tail) => tail.topics.first(),
            Self::Letters(letters) => Some(&letters.topic),
        }
    }
}
