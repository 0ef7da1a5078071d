//! `redrive replay`: a plan whose source is a slice of any topic; `redrive run` executes it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Session;
use super::exit::{Ended, Stop};
use super::options::{HowArgs, target, wait};
use super::plan::answer;
use super::selectors::Selectors;
use crate::letters::document::LettersRequest;
use crate::redrive::document::{Into as Target, PlanRequest};
use crate::redrive::options::Options;
use crate::text::Fault;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The topic whose records are sent once more
    topic: String,
    /// Where to: topic:NAME
    #[arg(long, value_name = "TARGET", value_parser = target)]
    into: Target,
    /// Keep the gaps of time between the records, times this factor; 0.1 is ten times as fast
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pace: Option<f64>,
    /// How long newer events of the records' keys are looked for on the target
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wait)]
    check_budget: u64,
    #[command(flatten)]
    how: HowArgs,
    /// Save the plan, to be executed with `redrive run FILE`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    selectors: Selectors,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok().filter(|f| f.is_finite() && *f > 0.0);
    factor.ok_or_else(|| "a number above 0 was expected".to_owned())
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    if !matches!(args.into, Target::Topic(_)) {
        let fault = Fault::usage("usage", "a replay goes into a topic by its name");
        return Err(Stop::from(fault.hint("give --into topic:NAME")));
    }
    let request = PlanRequest {
        letters: LettersRequest {
            topic: Arc::from(args.topic),
            selection: args.selectors.selection(session.clock.now())?,
            failure: None,
            state: None,
        },
        only: None,
        into: args.into,
        replay: true,
        options: Options { pace: args.pace, ..args.how.options() },
        compare_all: false,
        check_budget_ms: args.check_budget,
        save: args.save,
    };
    answer(session, request).await
}
