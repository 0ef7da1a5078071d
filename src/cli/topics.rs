//! `redrive topics`: topics with their rates, and one with its partitions and configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Session;
use super::exit::{Done, Ended, Stop};
use super::output::Format;
use super::table::{Cell, Table, Tone};
use super::watch::{Sampling, Turn, Wanted};
use crate::ask::Interest;
use crate::config::nearest;
use crate::observe::snapshot::{ClusterRow, PartitionRow, Role, Snapshot, TopicRow};
use crate::text::{Fault, units};

/// Subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// All topics
    List {
        #[command(flatten)]
        sampling: Sampling,
    },
    /// One topic with its partitions and its configuration
    Show {
        /// The topic
        topic: String,
        #[command(flatten)]
        sampling: Sampling,
    },
}

#[derive(Serialize)]
struct ListDocument<'a> {
    cluster: &'a ClusterRow,
    window_seconds: Option<f64>,
    topics: &'a [TopicRow],
}

#[derive(Serialize)]
struct ShowDocument<'a> {
    cluster: &'a ClusterRow,
    window_seconds: Option<f64>,
    /// The fields of the row; `partitions` are the partitions themselves instead of their number.
    #[serde(flatten)]
    row: BTreeMap<String, Value>,
    partitions: &'a [PartitionRow],
    config: Option<BTreeMap<&'a str, Setting<'a>>>,
    /// Why there is none.
    config_error: Option<&'a str>,
}

#[derive(Serialize)]
struct Setting<'a> {
    value: Option<&'a str>,
    is_default: bool,
}

/// How long rates are measured where no window was given.
pub(super) const WINDOW: Duration = Duration::from_secs(2);

pub(super) async fn run(session: &Session<'_>, command: Command) -> Ended {
    match command {
        Command::List { sampling } => {
            let wanted =
                Wanted { window: WINDOW, looks: 2, interest: Interest::default(), count_letters: false };
            session.pictures(&sampling, wanted, |picture, turn| list(session, picture, turn)).await
        }
        Command::Show { topic, sampling } => {
            let interest = Interest { topics: vec![topic.as_str().into()], ..Interest::default() };
            let wanted = Wanted { window: WINDOW, looks: 2, interest, count_letters: false };
            session.pictures(&sampling, wanted, |picture, _| show(session, picture, &topic)).await
        }
    }
}

fn list(session: &Session<'_>, picture: &Snapshot, turn: Turn) -> Ended {
    let document = ListDocument {
        cluster: &picture.cluster,
        window_seconds: picture.window_seconds,
        topics: &picture.topics,
    };
    match (session.output.format(), turn) {
        (Format::Jsonl, Turn::Once) => session.output.lines(picture.topics.iter())?,
        (Format::Json | Format::Jsonl, _) => session.print_document(&document)?,
        _ => list_table(session, &picture.topics)?,
    }
    Ok(Done::All)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Source => "source",
        Role::DeadLetter => "dead letter",
        Role::Retry => "retry",
        Role::Internal => "internal",
    }
}

fn list_table(session: &Session<'_>, rows: &[TopicRow]) -> Result<(), Stop> {
    let mut table = Table::new()
        .text("TOPIC")
        .word("ROLE")
        .figure("PARTITIONS")
        .figure("RECORDS")
        .figure("RECORDS/S")
        .figure("BYTES/S")
        .figure("RETENTION")
        .text("DEAD LETTERS IN")
        .text("WORST GROUP")
        .figure("LAG");
    for row in rows {
        let dead: Vec<&str> = row.dead_letter_topics.iter().map(|t| &**t).collect();
        table.row([
            Cell::from(&row.name),
            Cell::from(role(row.role)),
            Cell::from(row.partitions.to_string()),
            Cell::from(units::or_dash(row.records, units::count)),
            Cell::from(units::or_dash(row.records_per_second, units::number)),
            Cell::from(units::or_dash(row.bytes_per_second, |n| units::about_bytes(n.max(0.0) as u64))),
            Cell::from(units::or_dash(row.retention_ms, units::age)),
            Cell::from(if dead.is_empty() { units::DASH.to_owned() } else { dead.join(", ") }),
            Cell::from(row.worst_group.as_deref().unwrap_or(units::DASH)),
            Cell::from(units::or_dash(row.worst_lag, units::count)),
        ]);
    }
    session.output.table(&table)?;
    for row in rows {
        if let Some(error) = &row.error {
            session.output.note(&format!("{}: {error}", row.name));
        }
    }
    if rows.is_empty() {
        session.output.note("there are no topics");
    }
    Ok(())
}

/// What to say of a name that is not there.
pub(super) fn unknown<'a>(
    code: &'static str,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    list: &str,
) -> Fault {
    let fault = Fault::failed(code, format!("there is no {what} {name}"));
    match nearest(name, known) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault.hint(format!("`{list}` shows all of them")),
    }
}

fn show(session: &Session<'_>, picture: &Snapshot, name: &str) -> Ended {
    let row = picture.topics.iter().find(|t| &*t.name == name).ok_or_else(|| {
        let known = picture.topics.iter().map(|t| &*t.name);
        unknown("unknown_topic", "topic", name, known, "redrive topics list")
    })?;
    match session.output.format() {
        Format::Json | Format::Jsonl => session.print_document(&show_document(picture, row)?)?,
        _ => show_table(session, row)?,
    }
    Ok(Done::All)
}

fn show_document<'a>(picture: &'a Snapshot, row: &'a TopicRow) -> Result<ShowDocument<'a>, Stop> {
    let fields = match serde_json::to_value(row)? {
        Value::Object(fields) => fields.into_iter().filter(|(name, _)| name != "partitions").collect(),
        _ => BTreeMap::new(),
    };
    let config = row.config.as_ref().map(|config| {
        let setting = |(name, entry): (&'a String, &'a crate::broker::ConfigEntry)| {
            (name.as_str(), Setting { value: entry.value.as_deref(), is_default: entry.is_default })
        };
        config.iter().map(setting).collect()
    });
    Ok(ShowDocument {
        cluster: &picture.cluster,
        window_seconds: picture.window_seconds,
        row: fields,
        partitions: &row.detail,
        config,
        config_error: row.config_error.as_deref(),
    })
}

fn show_table(session: &Session<'_>, row: &TopicRow) -> Result<(), Stop> {
    let out = session.output;
    let dead: Vec<&str> = row.dead_letter_topics.iter().map(|t| &**t).collect();
    let worst = row.worst_group.as_ref().map_or_else(String::new, |group| {
        format!("{group}, lag {}", units::or_dash(row.worst_lag, units::count))
    });
    out.facts(&[
        ("topic", row.name.to_string()),
        ("role", role(row.role).to_owned()),
        ("records", units::or_dash(row.records, units::count)),
        ("rate", units::or_dash(row.records_per_second, units::rate)),
        ("bytes", units::or_dash(row.bytes_per_second, units::about_bytes_rate)),
        ("replication", row.replication_factor.to_string()),
        ("retention", row.retention_ms.map_or_else(String::new, units::age)),
        ("cleanup", row.cleanup_policy.clone().unwrap_or_default()),
        ("dead letters in", dead.join(", ")),
        ("worst group", worst),
        ("not known", row.error.clone().unwrap_or_default()),
        ("no settings", row.config_error.clone().unwrap_or_default()),
    ])?;
    let mut table = Table::new()
        .figure("PARTITION")
        .figure("LEADER")
        .word("REPLICAS")
        .word("IN SYNC")
        .figure("START")
        .figure("END")
        .figure("LAST STABLE")
        .figure("RECORDS/S");
    for p in row.detail.iter() {
        let list = |nodes: &[i32]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let tone = if p.isr.len() < p.replicas.len() { Tone::Warn } else { Tone::Plain };
        let leader = p.leader.map_or(Cell::toned("none", Tone::Fail), |l| Cell::from(l.to_string()));
        table.row([
            Cell::from(p.partition.to_string()),
            leader,
            Cell::from(list(&p.replicas)),
            Cell::toned(list(&p.isr), tone),
            Cell::from(units::or_dash(p.start_offset, units::signed)),
            Cell::from(units::or_dash(p.end_offset, units::signed)),
            Cell::from(units::or_dash(p.last_stable_offset, units::signed)),
            Cell::from(units::or_dash(p.records_per_second, units::number)),
        ]);
    }
    out.text("\n")?;
    out.table(&table)?;
    let Some(config) = &row.config else { return Ok(()) };
    let mut table = Table::new().text("SETTING THAT DIFFERS FROM THE DEFAULT").text("VALUE");
    for (name, entry) in config.iter().filter(|(_, entry)| !entry.is_default) {
        table.row([Cell::from(name), Cell::from(entry.value.as_deref().unwrap_or("(hidden)"))]);
    }
    if !table.is_empty() {
        out.text("\n")?;
        out.table(&table)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_topic_has_the_fields_of_its_row_and_its_partitions() {
        let partition = PartitionRow {
            partition: 0,
            leader: Some(1),
            replicas: vec![1],
            isr: vec![1],
            start_offset: Some(0),
            end_offset: None,
            last_stable_offset: None,
            records_per_second: None,
        };
        let row = TopicRow {
            name: "orders".into(),
            role: Role::Source,
            partitions: 1,
            replication_factor: 1,
            records: None,
            records_per_second: None,
            bytes_per_second: None,
            bytes_per_second_estimated: false,
            retention_ms: None,
            cleanup_policy: None,
            dead_letter_topics: Vec::new(),
            worst_group: None,
            worst_lag: None,
            error: None,
            config_error: None,
            detail: [partition].into(),
            config: None,
            appended: None,
            trend: [].into(),
        };
        let picture = Snapshot::empty(crate::text::Timestamp(0));
        let document = serde_json::to_value(show_document(&picture, &row).unwrap()).unwrap();
        assert_eq!(document["name"], "orders");
        assert_eq!(document["partitions"][0]["partition"], 0);
        assert_eq!((&document["records"], &document["config"]), (&Value::Null, &Value::Null));
        assert_eq!(document["replication_factor"], 1);
    }

    #[test]
    fn a_name_that_is_not_there_brings_the_nearest() {
        let fault = unknown("unknown_topic", "topic", "ordrs", ["orders", "payments"], "redrive topics list");
        assert_eq!((fault.exit_code(), fault.hint.as_str()), (1, "did you mean orders?"));
        let fault = unknown("unknown_topic", "topic", "zzz", ["orders"], "redrive topics list");
        assert_eq!(fault.hint, "`redrive topics list` shows all of them");
    }
}
