//! `redrive import`: the records of a file into a topic, each once, after the operator agreed.

use std::path::PathBuf;
use std::sync::Arc;

use super::consent::{Consent, Matter, UNWRITTEN};
use super::exit::{Done, Ended, Stop};
use super::{Session, session};
use crate::ask::{Answer, Desk, Request};
use crate::redrive::import::{ImportAgreed, ImportAnswer, ImportRequest, Place};
use crate::text::units;

/// More records than this are agreed to by typing their number.
const MANY: u64 = 1_000;

/// `--place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PlaceWord {
    /// On the partitions that they had
    Original,
    /// Where the Java client puts each key
    Rehash,
}

impl PlaceWord {
    /// What it means.
    pub(super) fn place(self) -> Place {
        match self {
            Self::Original => Place::Original,
            Self::Rehash => Place::Rehash,
        }
    }
}

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A file of `redrive export`: jsonl or bin
    file: PathBuf,
    /// Where to: topic:NAME
    #[arg(long, value_name = "TARGET", value_parser = target)]
    into: String,
    /// On which partitions
    #[arg(long, value_enum, value_name = "WHERE", default_value = "original")]
    place: PlaceWord,
    /// Import it once more although it was imported before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    consent: Consent,
}

fn target(text: &str) -> Result<String, String> {
    match text.strip_prefix("topic:") {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("topic:NAME was expected".to_owned()),
    }
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let cx = session.connect().await?;
    let profile = Arc::clone(&cx.profile);
    args.consent.allowed(&cx, "written")?;
    let desk = Desk::new(cx);
    let mut request = ImportRequest {
        path: args.file,
        into: args.into.into(),
        place: args.place.place(),
        again: args.again,
        agreed: None,
    };
    let Answer::Import(shown) = session.ask(&desk, Request::Import(request.clone())).await? else {
        return Err(session::unexpected());
    };
    if args.consent.dry_run || shown.remaining == 0 {
        tell(session, &shown)?;
        if shown.before > 0 && shown.remaining == 0 {
            session
                .output
                .note("nothing was written: the file was imported before; --again does it once more");
        }
        return Ok(Done::All);
    }
    let mut lines = vec![
        format!("import {} records of {} into {}", units::count(shown.remaining), shown.file, shown.into),
        "every group that reads the topic sees them; this cannot be undone".to_owned(),
    ];
    if shown.before > 0 {
        lines.push(format!("{} of them were imported before, and are left out", units::count(shown.before)));
    }
    let matter = Matter {
        lines,
        count: shown.remaining,
        counts: "records",
        grave: shown.remaining > MANY,
        undone: UNWRITTEN,
    };
    if !args.consent.given(session, &profile, &matter, || tell(session, &shown)).await? {
        return Ok(Done::Refused);
    }
    request.agreed = Some(ImportAgreed { sha256: shown.sha256.clone(), reason: args.consent.reason });
    let Answer::Import(answer) = session.ask(&desk, Request::Import(request)).await? else {
        return Err(session::unexpected());
    };
    tell(session, &answer)?;
    Ok(match answer.stopped {
        Some("cancelled") => Done::Interrupted,
        Some(_) => Done::Part,
        None => Done::All,
    })
}

fn tell(session: &Session<'_>, answer: &ImportAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

fn show(session: &Session<'_>, answer: &ImportAnswer) -> Result<(), Stop> {
    let out = session.output;
    let count = |n: u64| if n == 0 { String::new() } else { units::count(n) };
    out.facts(&[
        ("dry run", if answer.dry_run { "nothing was written".to_owned() } else { String::new() }),
        ("file", format!("{} ({})", answer.file, answer.format)),
        ("into", answer.into.to_string()),
        ("id", answer.run.clone().unwrap_or_default()),
        ("records", units::count(answer.records)),
        ("before", count(answer.before)),
        ("imported", if answer.dry_run { String::new() } else { units::count(answer.imported) }),
        ("remaining", count(answer.remaining)),
        (
            "stopped",
            match (answer.stopped, &answer.stopped_reason) {
                (Some(stopped), Some(reason)) => format!("{stopped}: {reason}; repeat the command to go on"),
                (Some(stopped), None) => stopped.to_owned(),
                (None, _) => String::new(),
            },
        ),
    ])
}
