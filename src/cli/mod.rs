//! The command line: the tree of commands, and one file a subcommand.
//!
//! To add a command: a file with its `Args` and its `run`, a variant of `Command`, a line in
//! `Session::obey`. What is not there is absent from the help.

mod completions;
mod config;
mod consent;
mod copy;
mod demo;
mod dispose;
mod dlq;
pub mod exit;
mod export;
mod get;
mod groups;
mod import;
mod json;
mod logs;
mod man;
mod metrics;
mod offsets;
mod operator;
pub mod options;
mod output;
mod overview;
mod plan;
mod produce;
mod progress;
mod purge;
mod replay;
mod run;
mod runs;
pub mod selectors;
mod session;
mod start;
mod table;
mod tail;
mod topics;
mod watch;

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

pub use output::{Colour, Format};
pub use session::Session;
pub use start::main;

/// The terminal operations console for event streams
#[derive(Debug, Parser)]
#[command(
    name = "redrive",
    version,
    about,
    long_about = "The terminal operations console for event streams: throughput, lag, dead letters, and redriving \
                  them exactly once. Without a command it opens the console.",
    max_term_width = 100,
    propagate_version = false,
    infer_subcommands = false,
    after_help = EXIT_CODES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 failed · 2 wrong usage or configuration · 3 found what --fail-on asked for ·
4 refused by a safety rule, nothing was written · 5 done in part · 130 interrupted, state is safe";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The profile of the configuration to use
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Brokers to connect to; alone it needs no profile, with --profile it replaces its brokers
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,
    /// The configuration file (default: see `redrive config path`)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A property for librdkafka; may be given several times
    #[arg(short = 'X', global = true, value_name = "NAME=VALUE", value_parser = property, action = ArgAction::Append)]
    pub properties: Vec<(String, String)>,
    /// Never write, whatever the profile allows
    #[arg(long, global = true)]
    pub read_only: bool,
    /// How data is written
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    /// When to use colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
    /// Who acts, for the audit (default: $USER@host)
    #[arg(long, global = true, value_name = "NAME")]
    pub operator: Option<String>,
    /// Log more (-v debug, -vv trace); only to a file
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Where to log
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("name=value was expected".to_owned()),
    }
}

impl Cli {
    /// Whether it is the console, and not a command that answers and ends.
    fn opens_console(&self) -> bool {
        match &self.command {
            None => true,
            Some(Command::Demo(args)) => args.opens_console(),
            Some(_) => false,
        }
    }
}

/// All commands.
#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// A shop that fails now and then, on an embedded broker, and the console on it
    Demo(demo::Args),
    /// The five dashboards and what needs attention
    Overview(overview::Args),
    /// Topics: rates, sizes, who lags on them, where their dead letters go
    #[command(subcommand)]
    Topics(topics::Command),
    /// Consumer groups: lag, status, latency; moving and deleting their offsets
    #[command(subcommand)]
    Groups(groups::Command),
    /// Read records of topics, as they lie or as they come
    Tail(Box<tail::Args>),
    /// One record whole, and how it was decoded; or why there is none
    Get(get::Args),
    /// Dead-letter topics, their failures, their letters
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Make a redrive plan and say what a run of it would do; writes nothing to the broker
    Plan(Box<plan::Args>),
    /// A plan whose source is a slice of any topic; `run` executes it
    Replay(Box<replay::Args>),
    /// Execute a plan exactly
    Run(run::Args),
    /// Records or dead letters into a file, byte for byte
    Export(Box<export::Args>),
    /// The records of such a file into a topic, each once
    Import(import::Args),
    /// A record of your own into a topic: from options, a file or stdin
    Produce(Box<produce::Args>),
    /// Records of a topic into a topic of any cluster, byte for byte, each once
    Copy(Box<copy::Args>),
    /// What was redriven, by whom, and what became of it
    #[command(subcommand)]
    Runs(runs::Command),
    /// Publish what the console computes as metrics, for Prometheus
    Metrics(metrics::Args),
    /// Where the configuration is, what is in force, and whether it connects
    #[command(subcommand)]
    Config(config::Command),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

/// The tree of commands, for help, completions, the manual, and the tests that parse with it.
pub fn tree() -> clap::Command {
    Cli::command()
}
