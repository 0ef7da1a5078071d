//! `redrive config`: where the configuration is, what is in force and from where, whether it connects.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Session;
use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::table::{Cell, Table, Tone};
use crate::config::value::Layer;
use crate::config::{Chosen, Configuration, place};
use crate::text::Fault;

/// Subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print where the configuration file is, or would be
    Path,
    /// Print what is in force; secrets are hidden
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Connect with each profile (or the one chosen) and say how it went
    Check,
}

#[derive(Serialize)]
struct PathDocument<'a> {
    path: Option<&'a Path>,
    exists: bool,
}

#[derive(Serialize)]
struct ShowDocument {
    path: Option<String>,
    exists: bool,
    values: Vec<ValueRow>,
    profiles: Vec<ProfileRow>,
}

#[derive(Serialize)]
struct ProfileRow {
    name: String,
    values: Vec<ValueRow>,
}

#[derive(Serialize)]
struct ValueRow {
    key: String,
    value: String,
    layer: &'static str,
    origin: String,
}

#[derive(Serialize)]
struct CheckDocument {
    profiles: Vec<CheckRow>,
}

#[derive(Serialize)]
struct CheckRow {
    profile: String,
    ok: bool,
    cluster_id: Option<String>,
    brokers: Option<usize>,
    milliseconds: u64,
    error: Option<CheckError>,
}

#[derive(Serialize)]
struct CheckError {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

/// `config path`: works although the file is wrong.
pub(super) fn path(session: &Session<'_>) -> Ended {
    let named = session.global.config.clone().or_else(|| session.variable("REDRIVE_CONFIG"));
    let path = named.or_else(place::usual_file);
    let exists = path.as_deref().is_some_and(Path::exists);
    match (session.output.format(), &path) {
        (Format::Json, _) => session.output.document(&PathDocument { path: path.as_deref(), exists })?,
        (Format::Jsonl, _) => {
            session.output.document_line(&PathDocument { path: path.as_deref(), exists })?;
        }
        (_, Some(path)) => session.output.line(&path.display().to_string())?,
        (_, None) => {
            return Err(Fault::usage("config", "this system has no home directory")
                .hint("give --config FILE")
                .into());
        }
    }
    Ok(Done::All)
}

pub(super) async fn run(session: &Session<'_>, command: Command) -> Ended {
    match command {
        Command::Path => path(session),
        Command::Show { origin } => show(session, origin),
        Command::Check => check(session).await,
    }
}

fn rows(values: &Layer) -> Vec<ValueRow> {
    values
        .iter()
        .map(|(place, value)| ValueRow {
            key: place.to_string(),
            value: value.shown(place),
            layer: value.origin.layer(),
            origin: value.origin.to_string(),
        })
        .collect()
}

/// The profile chosen, or all of them where none is.
fn chosen_or_all(configuration: &Configuration) -> Result<Vec<Chosen>, Fault> {
    match configuration.choose() {
        Ok(choice) => Ok(vec![configuration.profile(&choice)?]),
        Err(_) => configuration.names().iter().map(|name| configuration.profile_of_file(name)).collect(),
    }
}

fn show(session: &Session<'_>, origin: bool) -> Ended {
    let configuration = session.configuration()?;
    let document = ShowDocument {
        path: configuration.place.as_ref().map(|p| p.display().to_string()),
        exists: configuration.exists,
        values: rows(&configuration.globals()),
        profiles: chosen_or_all(&configuration)?
            .into_iter()
            .map(|chosen| ProfileRow { name: chosen.profile.name, values: rows(&chosen.values) })
            .collect(),
    };
    match session.output.format() {
        Format::Json => session.output.document(&document)?,
        Format::Jsonl => session.output.document_line(&document)?,
        _ => show_table(session, &document, origin)?,
    }
    Ok(Done::All)
}

fn show_table(session: &Session<'_>, document: &ShowDocument, origin: bool) -> Result<(), Stop> {
    let mut table = Table::new().text("KEY").text("VALUE");
    if origin {
        table = table.text("ORIGIN");
    }
    let mut add = |prefix: &str, rows: &[ValueRow]| {
        for row in rows {
            let mut cells = vec![Cell::from(format!("{prefix}{}", row.key)), Cell::from(&row.value)];
            if origin {
                cells.push(Cell::from(&row.origin));
            }
            table.row(cells);
        }
    };
    add("", &document.values);
    for profile in &document.profiles {
        add(&format!("profiles.{}.", profile.name), &profile.values);
    }
    session.output.table(&table)
}

async fn check(session: &Session<'_>) -> Ended {
    let configuration = session.configuration()?;
    let asked = session.global.profile.is_some() || session.global.brokers.is_some();
    let profiles: Vec<(String, Result<Chosen, Fault>)> = if asked || configuration.names().is_empty() {
        let chosen = session.chosen(&configuration).await?;
        vec![(chosen.profile.name.clone(), Ok(chosen))]
    } else {
        configuration
            .names()
            .into_iter()
            .map(|name| (name.clone(), configuration.profile_of_file(&name)))
            .collect()
    };
    let mut rows = Vec::new();
    for (name, chosen) in profiles {
        if session.cancel.is_cancelled() {
            return Ok(Done::Interrupted);
        }
        rows.push(check_one(session, name, chosen).await);
    }
    let failed = rows.iter().any(|row| !row.ok);
    let document = CheckDocument { profiles: rows };
    match session.output.format() {
        Format::Json => session.output.document(&document)?,
        Format::Jsonl => session.output.lines(&document.profiles)?,
        _ => check_table(session, &document)?,
    }
    Ok(if failed { Done::Failed } else { Done::All })
}

async fn check_one(session: &Session<'_>, profile: String, chosen: Result<Chosen, Fault>) -> CheckRow {
    let began = session.clock.monotonic();
    let tried = async {
        let cx = session.connect_to(chosen?).await?;
        let cluster = cx.broker.catalog().cluster().await;
        // The answer is known; an orderly goodbye may fail without changing it.
        let _ = cx.broker.close(Duration::from_secs(2)).await;
        Ok::<_, Fault>(cluster?)
    };
    let result = tried.await;
    let milliseconds =
        u64::try_from(session.clock.monotonic().saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(cluster) => CheckRow {
            profile,
            ok: true,
            cluster_id: Some(cluster.id.to_string()),
            brokers: Some(cluster.nodes.len()),
            milliseconds,
            error: None,
        },
        Err(fault) => CheckRow {
            profile,
            ok: false,
            cluster_id: None,
            brokers: None,
            milliseconds,
            error: Some(CheckError {
                code: fault.code,
                message: fault.to_string(),
                hint: Some(fault.hint).filter(|hint| !hint.is_empty()),
            }),
        },
    }
}

fn check_table(session: &Session<'_>, document: &CheckDocument) -> Result<(), Stop> {
    let mut table = Table::new().word("PROFILE").word("RESULT").figure("MS").text("WHAT");
    for row in &document.profiles {
        let what = match (&row.error, &row.cluster_id) {
            (Some(error), _) => error.message.clone(),
            (None, Some(id)) => format!("cluster {id}, {} brokers", row.brokers.unwrap_or_default()),
            (None, None) => String::new(),
        };
        let result = if row.ok { Cell::toned("ok", Tone::Ok) } else { Cell::toned("failed", Tone::Fail) };
        table.row([
            Cell::from(&row.profile),
            result,
            Cell::from(row.milliseconds.to_string()),
            Cell::from(what),
        ]);
    }
    session.output.table(&table)?;
    for error in document.profiles.iter().filter_map(|row| row.error.as_ref()) {
        if let Some(hint) = &error.hint {
            session.output.note(&format!("hint: {hint}"));
        }
    }
    Ok(())
}
