//! From the arguments to the exit code.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use tokio_util::sync::CancellationToken;

use super::exit::{Done, Stop};
use super::output::{Format, Output, early_fault, early_text};
use super::{Cli, Session};
use crate::config::place::Environment;
use crate::text::{Clock, Fault, SystemClock};

/// Parses, runs and answers with the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let environment: Environment = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    let no_colour = environment.get("NO_COLOR").is_some_and(|v| !v.is_empty());
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(e) => return usage(&e, &arguments, no_colour),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let output = Output::new(cli.global.output, cli.global.color, no_colour, Arc::clone(&clock));
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    if cli.opens_console() {
        threads.on_thread_start(let_the_screen_first);
    }
    let runtime = match threads.enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            output.fault(&Fault::failed("runtime", "the runtime cannot start").why(e.to_string()));
            return 1;
        }
    };
    let cancel = CancellationToken::new();
    let ended = runtime.block_on(async {
        let session = Session::new(cli.global, environment, &output, clock, cancel);
        session.obey(cli.command).await
    });
    let ended = ended.and_then(|done| output.flush().map(|()| done));
    let code = match ended {
        Ok(done) => done.code(),
        Err(Stop::ClosedPipe) => Done::All.code(),
        Err(Stop::Fault(fault)) => {
            output.fault(&fault);
            fault.exit_code()
        }
    };
    // A thread that still waits for a line of input must not hold the end up.
    runtime.shutdown_background();
    code
}

/// The thread that draws is not made to wait by those that read and decode, however much streams in.
fn let_the_screen_first() {
    // On Linux a nice value is a thread's own, elsewhere the whole process's.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(5);
}

/// Help goes to stdout; a usage error becomes our three lines, or a document where JSON was asked for.
fn usage(e: &clap::Error, arguments: &[OsString], no_colour: bool) -> u8 {
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match early_text(&e.render().to_string()) {
            Ok(()) | Err(Stop::ClosedPipe) => 0,
            Err(Stop::Fault(fault)) => fault.exit_code(),
        };
    }
    let fault = usage_fault(e);
    early_fault(&fault, asked_format(arguments), no_colour);
    fault.exit_code()
}

fn usage_fault(e: &clap::Error) -> Fault {
    if e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let known = e.render().to_string();
        let usage = known.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default().to_owned();
        return Fault::usage("usage", "a command is missing")
            .why(usage)
            .hint("add --help to see the commands");
    }
    let text = e.render().to_string();
    let mut what: Vec<&str> = Vec::new();
    let mut usage = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(line) = line.strip_prefix("Usage:") {
            usage = line.trim();
        } else if line.starts_with("tip:") || line.starts_with("For more information") {
        } else if usage.is_empty() {
            what.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    let near = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| match e.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(texts) => texts.first().cloned(),
            _ => None,
        });
    let fault = Fault::usage("usage", what.join(" "));
    let fault = if usage.is_empty() { fault } else { fault.why(format!("usage: {usage}")) };
    match near {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint("add --help to see what is possible"),
    }
}

/// The format asked for, from arguments that clap could not read.
fn asked_format(arguments: &[OsString]) -> Format {
    let mut words = arguments.iter().filter_map(|a| a.to_str());
    let mut format = Format::Table;
    while let Some(word) = words.next() {
        let value = match word {
            "-o" | "--output" => words.next(),
            "--" => break,
            _ => word
                .strip_prefix("--output=")
                .or_else(|| word.strip_prefix("-o="))
                .or_else(|| word.strip_prefix("-o")),
        };
        match value {
            Some("json") => format = Format::Json,
            Some("jsonl") => format = Format::Jsonl,
            _ => {}
        }
    }
    format
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(arguments: &[&str]) -> Fault {
        usage_fault(&Cli::try_parse_from(arguments).unwrap_err())
    }

    #[test]
    fn a_usage_error_is_three_lines_with_the_nearest_right_word() {
        let fault = fault(&["redrive", "tail", "orders", "--folow"]);
        assert_eq!(fault.exit_code(), 2);
        assert_eq!(fault.what, "unexpected argument '--folow' found");
        assert!(fault.why.starts_with("usage: redrive tail"), "{fault:?}");
        assert_eq!(fault.hint, "did you mean `--follow`?");
    }

    #[test]
    fn a_missing_argument_is_named() {
        let fault = fault(&["redrive", "get", "orders"]);
        assert!(fault.what.contains("<PARTITION>"), "{fault:?}");
        assert!(!fault.what.contains('\n'));
    }

    #[test]
    fn the_format_is_found_in_arguments_that_are_wrong() {
        let format = |words: &[&str]| asked_format(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(format(&["redrive", "-o", "json", "nonsense"]), Format::Json);
        assert_eq!(format(&["redrive", "-ojsonl"]), Format::Jsonl);
        assert_eq!(format(&["redrive", "--output=json"]), Format::Json);
        assert_eq!(format(&["redrive", "nonsense"]), Format::Table);
        assert_eq!(format(&["redrive", "--", "-ojson"]), Format::Table);
    }
}
