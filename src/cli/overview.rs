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
use crate::observe::applications::{Applications, CounterRow};
use crate::observe::snapshot::{Attention, ClusterRow, GroupRow, Latency, Severity, Snapshot, Status};
use crate::text::units;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sampling: Sampling,
    /// End with exit code 3 where it holds: info, warning or critical (something of this severity or worse needs
    /// attention), lag>N, latency>DURATION (p99), errors>PERCENT, pending>N, arrivals>N (a minute), behind>DURATION
    /// (the worst lag in time); may be given several times
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    fail_on: Vec<Condition>,
}

/// What `--fail-on` looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Attention(Severity),
    Above(Figure, f64),
}

/// A figure that has a bound; durations are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Lag,
    Latency,
    Errors,
    Pending,
    Arrivals,
    Behind,
}

fn condition(text: &str) -> Result<Condition, String> {
    let wrong = || {
        "info, warning, critical, lag>N, latency>DURATION, errors>PERCENT, pending>N, arrivals>N or behind>DURATION \
         was expected"
            .to_owned()
    };
    let Some((figure, bound)) = text.split_once('>') else {
        return match text {
            "info" => Ok(Condition::Attention(Severity::Info)),
            "warning" => Ok(Condition::Attention(Severity::Warning)),
            "critical" => Ok(Condition::Attention(Severity::Critical)),
            _ => Err(wrong()),
        };
    };
    let bound = bound.trim();
    let number = || bound.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    let duration = || units::parse_duration(bound).ok().filter(|ms| *ms >= 0).map(|ms| ms as f64);
    let (figure, bound) = match figure.trim() {
        "lag" => (Figure::Lag, number()),
        "latency" => (Figure::Latency, duration()),
        "errors" => (Figure::Errors, number()),
        "pending" => (Figure::Pending, number()),
        "arrivals" => (Figure::Arrivals, number()),
        "behind" => (Figure::Behind, duration()),
        _ => return Err(wrong()),
    };
    bound.map(|bound| Condition::Above(figure, bound)).ok_or_else(wrong)
}

impl Condition {
    /// What holds, in words; what is not known does not.
    fn found(self, picture: &Snapshot) -> Option<String> {
        let totals = &picture.totals;
        let (figure, bound) = match self {
            Self::Attention(severity) => {
                let first = picture.attention.iter().find(|line| line.severity >= severity)?;
                return Some(first.what.clone());
            }
            Self::Above(figure, bound) => (figure, bound),
        };
        let count = |n: f64| units::count(n as u64);
        let millis = |ms: f64| seconds(ms / 1000.0);
        let behind = || picture.groups.iter().filter_map(|g| g.lag_seconds).reduce(f64::max);
        let (name, value, show): (_, Option<f64>, &dyn Fn(f64) -> String) = match figure {
            Figure::Lag => ("lag", totals.lag.map(|n| n as f64), &count),
            Figure::Latency => ("latency p99", totals.latency.p99, &millis),
            Figure::Errors => ("errors", totals.error_percent, &units::percent),
            Figure::Pending => ("pending dead letters", totals.pending.map(|n| n as f64), &count),
            Figure::Arrivals => ("arrivals a minute", totals.arrivals_per_minute, &units::number),
            Figure::Behind => ("behind", behind().map(|s| s * 1000.0), &millis),
        };
        let value = value.filter(|value| *value > bound)?;
        Some(format!("{name} {} > {}", show(value), show(bound)))
    }
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
    applications: Option<&'a Applications>,
    sample: Sample,
}

/// What the picture cost.
#[derive(Serialize)]
struct Sample {
    seconds: f64,
    requests_per_minute: Option<f64>,
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
            let found: Vec<String> = args.fail_on.iter().filter_map(|c| c.found(picture)).collect();
            if found.is_empty() {
                return Ok(Done::All);
            }
            session.output.note(&format!("found: {}", found.join("; ")));
            Ok(Done::Found)
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
        applications: picture.applications.as_deref(),
        sample: Sample { seconds: picture.sample_seconds, requests_per_minute: picture.requests_per_minute },
    }
}

/// What the applications tell of themselves.
fn tell(session: &Session<'_>, applications: &Applications) -> Result<(), Stop> {
    let out = session.output;
    let rate = |rows: &[CounterRow]| units::or_dash(Applications::rate(rows), units::rate);
    let time = |time: Option<f64>| units::or_dash(time, seconds);
    let (publish, process) = (applications.publish_duration, applications.processing_duration);
    out.facts(&[
        ("applications", format!("{} of {} answer", applications.up(), applications.targets.len())),
        (
            "published",
            format!(
                "{}  p50 {}  p99 {}",
                rate(&applications.published),
                time(publish.p50_seconds),
                time(publish.p99_seconds)
            ),
        ),
        (
            "consumed",
            format!(
                "{}  p50 {}  p99 {}",
                rate(&applications.consumed),
                time(process.p50_seconds),
                time(process.p99_seconds)
            ),
        ),
        ("their errors", rate(&applications.errors)),
    ])?;
    for target in &applications.targets {
        if let Some(error) = &target.error {
            out.note(&format!("warning: {}: {error}", target.url));
        }
    }
    Ok(())
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
        (
            "latency",
            format!(
                "p50 {}  p95 {}  p99 {}  ±{}{}",
                ms(latency.p50),
                ms(latency.p95),
                ms(latency.p99),
                ms(latency.resolution),
                if latency.skewed > 0 {
                    format!("  clock skew: {} records", units::count(latency.skewed))
                } else {
                    String::new()
                }
            ),
        ),
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
    if let Some(applications) = &picture.applications {
        tell(session, applications)?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Timestamp;

    #[test]
    fn conditions_are_read_and_wrong_ones_refused_with_what_is_possible() {
        assert_eq!(condition("warning"), Ok(Condition::Attention(Severity::Warning)));
        assert_eq!(condition("lag > 1000"), Ok(Condition::Above(Figure::Lag, 1000.0)));
        assert_eq!(condition("latency>2s"), Ok(Condition::Above(Figure::Latency, 2000.0)));
        for wrong in ["", "lag", "lag>", "lag>-1", "errors>NaN", "lag<3", "latency>3", "worse", "x>1"] {
            assert!(condition(wrong).unwrap_err().contains("pending>N"), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_or_not_above_is_not_found() {
        let mut picture = Snapshot::empty(Timestamp(0));
        let found = |picture: &Snapshot, text: &str| condition(text).unwrap().found(picture);
        assert_eq!(found(&picture, "lag>0"), None);
        picture.totals.lag = Some(5);
        picture.totals.latency.p99 = Some(1500.0);
        assert_eq!(found(&picture, "lag>5"), None);
        assert_eq!(found(&picture, "lag>4").as_deref(), Some("lag 5 > 4"));
        assert!(found(&picture, "latency>1s").is_some() && found(&picture, "info").is_none());
    }
}
