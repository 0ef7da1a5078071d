//! `redrive man`: manual pages, generated from the tree of commands.

use std::path::PathBuf;

use super::exit::{Done, Ended};
use super::{Session, tree};
use crate::text::Fault;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Write a page for each command into this directory instead
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub(super) fn run(session: &Session<'_>, args: &Args) -> Ended {
    if let Some(dir) = &args.dir {
        let failed = |e: std::io::Error| {
            Fault::failed("output", format!("cannot write manual pages into {}", dir.display()))
                .why(e.to_string())
        };
        std::fs::create_dir_all(dir).map_err(failed)?;
        clap_mangen::generate_to(tree(), dir).map_err(failed)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(tree()).render(&mut page)?;
        session.output.bytes(&page)?;
    }
    Ok(Done::All)
}
