//! `redrive copy`: records of a topic into a topic of any cluster, after the operator agreed.

use std::sync::Arc;

use super::consent::{Consent, Matter, UNWRITTEN};
use super::exit::{Done, Ended, Stop};
use super::import::PlaceWord;
use super::selectors::Selectors;
use super::{Session, session};
use crate::ask::{Answer, CopyAnswer, CopyRequest, Desk, Request};
use crate::config::Choice;
use crate::context::Cx;
use crate::filter::Edge;
use crate::redrive::copy::Again;
use crate::text::units;

/// More records than this are agreed to by typing their number.
const MANY: u64 = 1_000;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The topic that is read, on the profile in force
    topic: String,
    /// Where to: PROFILE/topic:NAME, or topic:NAME on the same cluster; the topic must exist
    #[arg(long, value_name = "TARGET", value_parser = into)]
    into: Into,
    /// On which partitions
    #[arg(long, value_enum, value_name = "WHERE", default_value = "original")]
    place: PlaceWord,
    /// Copy once more what was copied before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    selectors: Selectors,
    #[command(flatten)]
    consent: Consent,
}

/// `--into`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Into {
    profile: Option<String>,
    topic: String,
}

fn into(text: &str) -> Result<Into, String> {
    let (profile, topic) = match text.rsplit_once("/topic:") {
        Some((profile, topic)) => (Some(profile.to_owned()), Some(topic)),
        None => (None, text.strip_prefix("topic:")),
    };
    match (profile, topic) {
        (Some(profile), _) if profile.is_empty() => {
            Err("the name of a profile was expected before /".to_owned())
        }
        (profile, Some(topic)) if !topic.is_empty() => Ok(Into { profile, topic: topic.to_owned() }),
        _ => Err("PROFILE/topic:NAME or topic:NAME was expected".to_owned()),
    }
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    let mut selection = args.selectors.selection(session.clock.now())?;
    selection.from = selection.from.or(Some(Edge::Beginning));
    let source = session.connect().await?;
    let cx = match &args.into.profile {
        Some(name) => other(session, name).await?,
        None => source.clone(),
    };
    let profile = Arc::clone(&cx.profile);
    args.consent.allowed(&cx, "written")?;
    let desk = Desk::new(cx);
    let request = CopyRequest {
        source,
        topic: args.topic.into(),
        selection,
        into: args.into.topic.into(),
        place: args.place.place(),
        again: if args.again { Again::Yes } else { Again::No },
        agreed: None,
    };
    let shown = ask(session, &desk, request.clone()).await?;
    if args.consent.dry_run || shown.offsets == 0 {
        tell(session, &shown)?;
        if shown.offsets == 0 {
            let why = if shown.before > 0 { "all of it was copied before" } else { "there is nothing there" };
            session.output.note(&format!("nothing was written: {why}"));
        }
        return Ok(Done::All);
    }
    let conditions = request.selection.key.is_some()
        || request.selection.contains.is_some()
        || request.selection.filter.is_some();
    let matter = Matter {
        lines: announce(&shown, conditions),
        count: shown.offsets,
        counts: "offsets",
        grave: shown.offsets > MANY,
        undone: UNWRITTEN,
    };
    if !args.consent.given(session, &profile, &matter, || tell(session, &shown)).await? {
        return Ok(Done::Refused);
    }
    let answer = ask(session, &desk, request.agreed(&shown, args.consent.reason)).await?;
    tell(session, &answer)?;
    if answer.filter_errors > 0 {
        let errors = units::count(answer.filter_errors);
        session.output.note(&format!("the condition failed on {errors} records; they are left out"));
    }
    Ok(match answer.stopped {
        Some("cancelled") => Done::Interrupted,
        None if answer.complete || args.selectors.limit.is_some() => Done::All,
        Some(_) | None => Done::Part,
    })
}

/// Connects to the cluster of another profile, as the file has it: what the environment and options say of brokers
/// is meant for the one that is read. That nothing may be written is meant for both.
async fn other(session: &Session<'_>, name: &str) -> Result<Cx, Stop> {
    let configuration = session.configuration()?;
    let mut chosen = configuration.profile_of_file(name)?;
    let in_force = configuration.profile(&Choice::Named(name.to_owned()))?.profile;
    chosen.profile.read_only |= in_force.read_only;
    chosen.profile.protected |= in_force.protected;
    Ok(session.connect_to(chosen).await?)
}

async fn ask(session: &Session<'_>, desk: &Desk, request: CopyRequest) -> Result<Arc<CopyAnswer>, Stop> {
    match session.ask(desk, Request::Copy(request)).await? {
        Answer::Copy(answer) => Ok(answer),
        _ => Err(session::unexpected()),
    }
}

fn announce(shown: &CopyAnswer, conditions: bool) -> Vec<String> {
    let CopyAnswer { source, into, ranges, offsets, .. } = shown;
    let (offsets, partitions) = (units::count(*offsets), units::count(ranges.len() as u64));
    let which = if conditions { "the records that match among" } else { "the records at" };
    let mut lines = vec![
        format!("copy {which} {offsets} offsets in {partitions} partitions of {}", side(source)),
        format!("into {}, each once for read_committed readers, with headers and timestamps", side(into)),
    ];
    if shown.before > 0 {
        lines.push(format!("{} offsets were copied before, and are left out", units::count(shown.before)));
    }
    lines.extend(shown.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.push("every group that reads the target sees them; this cannot be undone".to_owned());
    lines
}

fn side(side: &crate::ask::copy::CopySide) -> String {
    format!("{} on {}", side.topic, side.profile)
}

fn tell(session: &Session<'_>, answer: &CopyAnswer) -> Result<(), Stop> {
    session.output.answer(answer, || show(session, answer))
}

fn show(session: &Session<'_>, answer: &CopyAnswer) -> Result<(), Stop> {
    let done = |text: String| if answer.dry_run { String::new() } else { text };
    let some = |n: u64| if n == 0 { String::new() } else { units::count(n) };
    let offsets = answer.ranges.iter().filter(|range| range.to > range.from).map(|range| {
        format!("[{}] {}–{}", range.partition, units::signed(range.from), units::signed(range.to - 1))
    });
    let mut facts = vec![
        ("dry run", if answer.dry_run { "nothing was written".to_owned() } else { String::new() }),
        ("from", side(&answer.source)),
        ("into", side(&answer.into)),
        ("id", answer.run.clone().unwrap_or_default()),
        ("ranges", offsets.collect::<Vec<_>>().join(", ")),
        ("offsets", units::count(answer.offsets)),
        ("before", some(answer.before)),
        ("isolation", answer.isolation.to_owned()),
        ("guarantee", crate::broker::Guarantee::ExactlyOnceReadCommitted.to_string()),
        ("read", done(units::count(answer.read))),
        ("copied", done(format!("{} ({})", units::count(answer.copied), units::bytes(answer.bytes)))),
        ("incomplete", answer.incomplete_reason.clone().unwrap_or_default()),
        (
            "stopped",
            match (answer.stopped, &answer.stopped_reason) {
                (Some(stopped), Some(reason)) => format!("{stopped}: {reason}; repeat the command to go on"),
                _ => String::new(),
            },
        ),
    ];
    facts.extend(answer.warnings.iter().map(|warning| ("warning", warning.clone())));
    session.output.facts(&facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_topic_here_or_on_another_profile() {
        let of = |profile: Option<&str>, topic: &str| {
            Ok(Into { profile: profile.map(str::to_owned), topic: topic.to_owned() })
        };
        assert_eq!(into("topic:a"), of(None, "a"));
        assert_eq!(into("staging/topic:a.b"), of(Some("staging"), "a.b"));
        assert_eq!(into("eu/one/topic:a"), of(Some("eu/one"), "a"));
        for bad in ["a", "topic:", "staging/topic:", "/topic:a", "staging/a"] {
            assert!(into(bad).is_err(), "{bad}");
        }
    }
}
