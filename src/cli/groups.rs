//! `redrive groups`: consumer groups with lag and status, one with its partitions and members, and moving offsets.

use std::time::Duration;

use serde::Serialize;

use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::table::{Cell, Table, Tone};
use super::watch::{Sampling, Turn, Wanted};
use super::{Session, offsets, topics};
use crate::ask::Interest;
use crate::observe::WINDOW;
use crate::observe::snapshot::{ClusterRow, GroupPartitionRow, GroupRow, MemberRow, Snapshot, Status};
use crate::text::units;

/// The time between the two looks where no window was given: lag is told by one, so that nobody waits long for it.
const RATES: Duration = Duration::from_millis(500);
/// The same where it is printed again and again.
const WATCHED: Duration = Duration::from_secs(1);

/// Subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// All consumer groups
    List {
        /// Each group with its partitions (json, jsonl)
        #[arg(long)]
        partitions: bool,
        #[command(flatten)]
        options: Options,
    },
    /// One group with its partitions and its members
    Show {
        /// The group
        group: String,
        #[command(flatten)]
        options: Options,
    },
    /// Move a group's offsets: shows old and new offsets and what is passed over or seen again, and asks
    Reset(offsets::Reset),
    /// Delete a group's offsets on a topic: shows them, and asks
    DeleteOffsets(offsets::DeleteOffsets),
    /// Delete a group with all its offsets: shows them, and asks
    Delete(offsets::Delete),
}

/// Options of both.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    sampling: Sampling,
    /// End with exit code 3 where a group has it: lag>N, lag-seconds>N, or a status (warn, rewind, stall, stop) or a
    /// worse one; for a status ten samples are taken, by default within 20s
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    fail_on: Option<Condition>,
}

/// What `--fail-on` looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Lag(u64),
    LagSeconds(f64),
    Status(Status),
}

fn condition(text: &str) -> Result<Condition, String> {
    let wrong = || "lag>N, lag-seconds>N, warn, rewind, stall or stop was expected".to_owned();
    if let Some((figure, bound)) = text.split_once('>') {
        let bound = bound.trim();
        return match figure.trim() {
            "lag" => bound.parse().map(Condition::Lag).map_err(|_| wrong()),
            "lag-seconds" => match bound.parse::<f64>() {
                Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Condition::LagSeconds(seconds)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        };
    }
    match text {
        "warn" => Ok(Condition::Status(Status::Warn)),
        "rewind" => Ok(Condition::Status(Status::Rewind)),
        "stall" => Ok(Condition::Status(Status::Stall)),
        "stop" => Ok(Condition::Status(Status::Stop)),
        _ => Err(wrong()),
    }
}

impl Condition {
    /// What is not known is not found.
    fn holds(self, row: &GroupRow) -> bool {
        match self {
            Self::Lag(bound) => row.lag.is_some_and(|lag| lag > bound),
            Self::LagSeconds(bound) => row.lag_seconds.is_some_and(|lag| lag > bound),
            Self::Status(status) => row.status >= status,
        }
    }
}

#[derive(Serialize)]
struct ListDocument<'a> {
    cluster: &'a ClusterRow,
    window_seconds: Option<f64>,
    groups: Vec<ListRow<'a>>,
}

/// A group of the list, with its partitions where they were asked for.
#[derive(Serialize)]
struct ListRow<'a> {
    #[serde(flatten)]
    row: &'a GroupRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<&'a [GroupPartitionRow]>,
}

#[derive(Serialize)]
struct ShowDocument<'a> {
    cluster: &'a ClusterRow,
    window_seconds: Option<f64>,
    #[serde(flatten)]
    row: &'a GroupRow,
    partitions: &'a [GroupPartitionRow],
    group_members: &'a [MemberRow],
}

pub(super) async fn run(session: &Session<'_>, command: Command) -> Ended {
    let (options, group, partitions) = match command {
        Command::List { partitions, options } => (options, None, partitions),
        Command::Show { group, options } => (options, Some(group), true),
        Command::Reset(args) => return offsets::reset(session, args).await,
        Command::DeleteOffsets(args) => return offsets::delete_offsets(session, args).await,
        Command::Delete(args) => return offsets::delete(session, args).await,
    };
    let Options { sampling, fail_on } = options;
    let (window, looks) = match fail_on {
        Some(Condition::Status(_)) => (Duration::from_secs(20), WINDOW),
        _ if sampling.watch => (WATCHED, 2),
        _ => (RATES, 2),
    };
    let interest = Interest {
        groups: group.iter().map(|g| g.as_str().into()).collect(),
        groups_alone: !sampling.watch,
        ..Interest::default()
    };
    let wanted = Wanted { window, looks, interest, count_letters: false };
    session
        .pictures(&sampling, wanted, |picture, turn| {
            let rows: Vec<&GroupRow> = match &group {
                None => {
                    list(session, picture, partitions, turn)?;
                    picture.groups.iter().collect()
                }
                Some(name) => vec![show(session, picture, name)?],
            };
            let Some(condition) = fail_on else { return Ok(Done::All) };
            let found: Vec<&str> =
                rows.into_iter().filter(|row| condition.holds(row)).map(|row| &*row.group).collect();
            if found.is_empty() {
                return Ok(Done::All);
            }
            session.output.note(&format!("found: {}", found.join(", ")));
            Ok(Done::Found)
        })
        .await
}

fn list(session: &Session<'_>, picture: &Snapshot, partitions: bool, turn: Turn) -> Result<(), Stop> {
    let rows = picture.groups.iter();
    let groups: Vec<ListRow<'_>> =
        rows.map(|row| ListRow { row, partitions: partitions.then_some(&*row.detail) }).collect();
    match (session.output.format(), turn) {
        (Format::Jsonl, Turn::Once) => session.output.lines(&groups),
        (Format::Json | Format::Jsonl, _) => session.print_document(&ListDocument {
            cluster: &picture.cluster,
            window_seconds: picture.window_seconds,
            groups,
        }),
        _ => list_table(session, &picture.groups),
    }?;
    if picture.groups.is_empty() && picture.groups_error.is_none() {
        session.output.note("there are no consumer groups");
    }
    if let Some(error) = &picture.groups_error {
        session.output.note(&format!("the groups cannot be listed: {error}"));
    }
    Ok(())
}

/// A status as a cell.
pub(super) fn status(status: Status) -> Cell {
    match status {
        Status::Unknown => Cell::from("unknown"),
        Status::Ok => Cell::toned("ok", Tone::Ok),
        Status::Warn => Cell::toned("warn", Tone::Warn),
        Status::Rewind => Cell::toned("rewind", Tone::Warn),
        Status::Stall => Cell::toned("stall", Tone::Fail),
        Status::Stop => Cell::toned("stop", Tone::Fail),
    }
}

/// Seconds for the eye.
pub(super) fn seconds(of: f64) -> String {
    units::duration(Duration::try_from_secs_f64(of.max(0.0)).unwrap_or(Duration::MAX))
}

fn drain(row: &GroupRow) -> String {
    match row.drain_seconds {
        Some(left) => seconds(left),
        None if row.falls_behind => "never".to_owned(),
        None => units::DASH.to_owned(),
    }
}

fn lag(row: &GroupRow) -> String {
    match (row.lag, row.lag_unknown_partitions) {
        (None, 0) => units::DASH.to_owned(),
        (None, _) => "no commit".to_owned(),
        (Some(lag), 0) => units::count(lag),
        (Some(lag), _) => format!("≥{}", units::count(lag)),
    }
}

fn list_table(session: &Session<'_>, rows: &[GroupRow]) -> Result<(), Stop> {
    let mut table = Table::new()
        .text("GROUP")
        .word("STATE")
        .figure("MEMBERS")
        .word("STATUS")
        .figure("LAG")
        .figure("BEHIND")
        .figure("CONSUMED/S")
        .figure("DRAINED IN")
        .figure("LATENCY P99")
        .text("TOPICS");
    for row in rows {
        table.row([
            Cell::from(&row.group),
            Cell::from(row.state.as_deref().unwrap_or(units::DASH)),
            Cell::from(units::or_dash(row.members, |n| n.to_string())),
            status(row.status),
            Cell::from(lag(row)),
            Cell::from(units::or_dash(row.lag_seconds, seconds)),
            Cell::from(units::or_dash(row.consumed_per_second, units::number)),
            Cell::from(drain(row)),
            Cell::from(units::or_dash(row.latency_ms.p99, |ms| seconds(ms / 1000.0))),
            Cell::from(row.topics.join(", ")),
        ]);
    }
    session.output.table(&table)?;
    for row in rows {
        if let Some(reason) = &row.unknown_reason {
            session.output.note(&format!("{}: {reason}", row.group));
        }
    }
    Ok(())
}

fn show<'a>(session: &Session<'_>, picture: &'a Snapshot, name: &str) -> Result<&'a GroupRow, Stop> {
    let row = picture.groups.iter().find(|g| &*g.group == name).ok_or_else(|| {
        let known = picture.groups.iter().map(|g| &*g.group);
        topics::unknown("unknown_group", "group", name, known, "redrive groups list")
    })?;
    match session.output.format() {
        Format::Json | Format::Jsonl => session.print_document(&ShowDocument {
            cluster: &picture.cluster,
            window_seconds: picture.window_seconds,
            row,
            partitions: &row.detail,
            group_members: &row.member_rows,
        })?,
        _ => show_table(session, row)?,
    }
    Ok(row)
}

fn show_table(session: &Session<'_>, row: &GroupRow) -> Result<(), Stop> {
    let out = session.output;
    let latency = row.latency_ms;
    let ms = |value: Option<f64>| units::or_dash(value, |ms| seconds(ms / 1000.0));
    let percentiles = format!(
        "p50 {}, p95 {}, p99 {} ({} records, ±{})",
        ms(latency.p50),
        ms(latency.p95),
        ms(latency.p99),
        units::count(latency.samples),
        ms(latency.resolution)
    );
    let skew = format!("{} records came from the future: clocks differ", units::count(latency.skewed));
    out.facts(&[
        ("group", row.group.to_string()),
        ("type", row.kind.to_owned()),
        ("state", row.state.clone().unwrap_or_default()),
        ("not known", row.unknown_reason.clone().unwrap_or_default()),
        ("lag", lag(row)),
        ("behind", units::or_dash(row.lag_seconds, seconds)),
        ("consumed", units::or_dash(row.consumed_per_second, units::rate)),
        ("drained in", drain(row)),
        ("latency", if latency.samples > 0 { percentiles } else { String::new() }),
        ("clock skew", if latency.skewed > 0 { skew } else { String::new() }),
    ])?;
    let mut table = Table::new()
        .text("TOPIC")
        .figure("PARTITION")
        .figure("COMMITTED")
        .figure("END")
        .figure("LAG")
        .figure("BEHIND")
        .word("BASIS")
        .word("STATUS")
        .text("CLIENT")
        .text("HOST");
    for p in row.detail.iter() {
        table.row([
            Cell::from(&p.topic),
            Cell::from(p.partition.to_string()),
            Cell::from(p.committed.map_or_else(|| "no commit".to_owned(), units::signed)),
            Cell::from(units::or_dash(p.end_offset, units::signed)),
            Cell::from(units::or_dash(p.lag, units::count)),
            Cell::from(units::or_dash(p.lag_seconds, seconds)),
            Cell::from(p.lag_seconds_basis.unwrap_or(units::DASH).replace('_', " ")),
            status(p.status),
            Cell::from(p.client_id.as_deref().unwrap_or(units::DASH)),
            Cell::from(p.host.as_deref().unwrap_or(units::DASH)),
        ]);
    }
    out.text("\n")?;
    out.table(&table)?;
    for p in row.detail.iter().filter(|p| p.lost > 0) {
        let lost = units::count(p.lost);
        out.note(&format!("{}[{}]: {lost} records were lost to retention", p.topic, p.partition));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_wrong_ones_refused_with_what_is_possible() {
        assert_eq!(condition("lag>1000"), Ok(Condition::Lag(1000)));
        assert_eq!(condition("lag-seconds > 2.5"), Ok(Condition::LagSeconds(2.5)));
        assert_eq!(condition("stall"), Ok(Condition::Status(Status::Stall)));
        for wrong in ["", "lag", "lag>", "lag>-1", "lag-seconds>NaN", "lag<3", "ok", "unknown"] {
            assert!(condition(wrong).unwrap_err().contains("lag>N"), "{wrong}");
        }
    }
}
