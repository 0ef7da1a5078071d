//! `redrive completions`: completion scripts, generated from the tree of commands.

use super::exit::{Done, Ended};
use super::{Session, tree};

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(session: &Session<'_>, args: &Args) -> Ended {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree(), "redrive", &mut script);
    session.output.bytes(&script)?;
    Ok(Done::All)
}
