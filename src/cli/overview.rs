//! `redrive overview`: the five dashboards and what needs attention.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Session;
use super::exit::{Done, Ended, Stop};
use super::groups::{seconds, status};
use super::output::Format;
use super::table::{Cell, Table, Tone};
use super::watch::{Sampling, Wanted};
use crate::ask::Interest;
use crate::observe::snapshot::{Attention, ClusterRow, GroupRow, Latency, Severity, Snapshot, Status};
use crate::text::units;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sampling: Sampling,
}

/// Groups listed by their lag.
const WORST: usize = 5;

#[derive(Serialize)]
struct Document<'a> {
    cluster: &'a ClusterRow,
    window_seconds: Option<f64>,
    throughput: Throughput,
    latency_ms: Latency,
    errors: Errors,
    lag: Lag,
    dead_letters: DeadLetters,
    attention: &'a [Attention],
}

#[derive(Serialize)]
struct Throughput {
    records_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
}

#[derive(Serialize)]
struct Errors {
    per_second: Option<f64>,
    percent: Option<f64>,
}

#[derive(Serialize)]
struct Lag {
    total: Option<u64>,
    worst: Vec<WorstGroup>,
}

#[derive(Serialize)]
struct WorstGroup {
    group: Arc<str>,
    lag: u64,
    lag_seconds: Option<f64>,
    status: Status,
}

#[derive(Serialize)]
struct DeadLetters {
    pending: Option<u64>,
    arrivals_per_minute: Option<f64>,
    oldest_age_seconds: Option<f64>,
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let wanted = Wanted {
        window: Duration::from_secs(5),
        looks: 2,
        interest: Interest::default(),
        count_letters: true,
    };
    session
        .pictures(&args.sampling, wanted, |picture, _| {
            match session.output.format() {
                Format::Json | Format::Jsonl => session.print_document(&document(picture))?,
                _ => table(session, picture)?,
            }
            Ok(Done::All)
        })
        .await
}

/// Groups by lag, the largest first.
fn worst(picture: &Snapshot) -> Vec<(&GroupRow, u64)> {
    let mut worst: Vec<(&GroupRow, u64)> =
        picture.groups.iter().filter_map(|g| Some((g, g.lag.filter(|lag| *lag > 0)?))).collect();
    worst.sort_by(|(a, x), (b, y)| (y, &a.group).cmp(&(x, &b.group)));
    worst.truncate(WORST);
    worst
}

fn document(picture: &Snapshot) -> Document<'_> {
    let totals = &picture.totals;
    let row = |(g, lag): (&GroupRow, u64)| WorstGroup {
        group: Arc::clone(&g.group),
        lag,
        lag_seconds: g.lag_seconds,
        status: g.status,
    };
    Document {
        cluster: &picture.cluster,
        window_seconds: picture.window_seconds,
        throughput: Throughput {
            records_per_second: totals.records_per_second,
            bytes_per_second: totals.bytes_per_second,
        },
        latency_ms: totals.latency,
        errors: Errors { per_second: totals.errors_per_second, percent: totals.error_percent },
        lag: Lag { total: totals.lag, worst: worst(picture).into_iter().map(row).collect() },
        dead_letters: DeadLetters {
            pending: totals.pending,
            arrivals_per_minute: totals.arrivals_per_minute,
            oldest_age_seconds: totals.oldest_age_seconds,
        },
        attention: &picture.attention,
    }
}

fn table(session: &Session<'_>, picture: &Snapshot) -> Result<(), Stop> {
    let out = session.output;
    let totals = &picture.totals;
    let ms = |value: Option<f64>| units::or_dash(value, |ms| seconds(ms / 1000.0));
    let latency = totals.latency;
    out.facts(&[
        (
            "throughput",
            format!(
                "{}  {}",
                units::or_dash(totals.records_per_second, units::rate),
                units::or_dash(totals.bytes_per_second, units::about_bytes_rate)
            ),
        ),
        ("latency", format!("p50 {}  p95 {}  p99 {}", ms(latency.p50), ms(latency.p95), ms(latency.p99))),
        ("errors", format!("{} of consumed", units::or_dash(totals.error_percent, units::percent))),
        ("lag", units::or_dash(totals.lag, units::count)),
        (
            "dead letters",
            format!(
                "{} pending  {}/min  oldest {}",
                units::or_dash(totals.pending, units::count),
                units::or_dash(totals.arrivals_per_minute, units::number),
                units::or_dash(totals.oldest_age_seconds, seconds)
            ),
        ),
    ])?;
    let worst = worst(picture);
    if !worst.is_empty() {
        let mut table = Table::new().text("LAG OF").figure("RECORDS").figure("BEHIND").word("STATUS");
        for (group, lag) in worst {
            table.row([
                Cell::from(&group.group),
                Cell::from(units::count(lag)),
                Cell::from(units::or_dash(group.lag_seconds, seconds)),
                status(group.status),
            ]);
        }
        out.text("\n")?;
        out.table(&table)?;
    }
    out.text("\n")?;
    if picture.attention.is_empty() {
        return out.line("nothing needs attention").and_then(|()| out.flush());
    }
    let mut table = Table::new().word("SEVERITY").figure("SINCE").text("NEEDS ATTENTION").text("WHAT TO DO");
    for line in picture.attention.iter() {
        let severity = match line.severity {
            Severity::Info => Cell::from("info"),
            Severity::Warning => Cell::toned("warning", Tone::Warn),
            Severity::Critical => Cell::toned("critical", Tone::Fail),
        };
        table.row([
            severity,
            Cell::from(units::age(picture.taken.since(line.since))),
            Cell::from(&line.what),
            Cell::from(&line.hint),
        ]);
    }
    out.table(&table)
}
