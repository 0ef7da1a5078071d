//! What every command is given: the output, the configuration, the clock, the way to stop.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::WorkerGuard;

use super::exit::{Done, Ended, Stop};
use super::output::{Format, Output};
use super::{
    Command, Global, completions, config, copy, demo, dlq, export, get, groups, import, logs, man, metrics,
    operator, overview, plan, produce, replay, run, runs, tail, topics,
};
use crate::ask::{Answer, Desk, Event, Extra, Request};
use crate::config::place::{Environment, log_file, searches_file};
use crate::config::{Choice, Chosen, Configuration, Options, Unchosen};
use crate::context::{Cx, Operator};
use crate::text::{Clock, Fault};
use crate::tui::{self, Start};

/// One command under way.
pub struct Session<'a> {
    pub(super) global: Global,
    pub(super) output: &'a Output,
    pub(super) clock: Arc<dyn Clock>,
    /// Cancelled by the first interrupt.
    pub(super) cancel: CancellationToken,
    environment: Environment,
}

impl<'a> Session<'a> {
    /// Begins a session.
    pub(super) fn new(
        global: Global,
        environment: Environment,
        output: &'a Output,
        clock: Arc<dyn Clock>,
        cancel: CancellationToken,
    ) -> Self {
        Self { global, output, clock, cancel, environment }
    }

    /// Does what was asked.
    pub(super) async fn obey(&self, command: Option<Command>) -> Ended {
        let bytes = matches!(self.output.format(), Format::Raw | Format::Hex);
        if bytes && !matches!(command, Some(Command::Tail(_) | Command::Get(_))) {
            return Err(Fault::usage("usage", "the formats raw and hex are for tail and get only")
                .hint("use -o table, json or jsonl")
                .into());
        }
        match command {
            // These say something of the program itself, and need no configuration.
            Some(Command::Completions(args)) => completions::run(self, &args),
            Some(Command::Man(args)) => man::run(self, &args),
            Some(Command::Config(config::Command::Path)) => config::path(self),
            None => self.console().await,
            // The console of the demonstration keeps its own log.
            Some(Command::Demo(args)) => self.until_interrupted(Box::pin(demo::run(self, args))).await,
            Some(command) => {
                // Who serves until it is stopped has done its work when it is.
                let serves = matches!(&command, Command::Metrics(args) if args.serves());
                let _log = self.log(None)?;
                match self.until_interrupted(Box::pin(self.obey_on_a_cluster(command))).await {
                    Ok(Done::Interrupted) if serves => Ok(Done::All),
                    ended => ended,
                }
            }
        }
    }

    async fn obey_on_a_cluster(&self, command: Command) -> Ended {
        match command {
            Command::Demo(args) => demo::run(self, args).await,
            Command::Overview(args) => overview::run(self, args).await,
            Command::Topics(command) => topics::run(self, command).await,
            Command::Groups(command) => groups::run(self, command).await,
            Command::Tail(args) => tail::run(self, *args).await,
            Command::Get(args) => get::run(self, args).await,
            Command::Dlq(command) => dlq::run(self, command).await,
            Command::Plan(args) => plan::run(self, *args).await,
            Command::Replay(args) => replay::run(self, *args).await,
            Command::Run(args) => run::run(self, args).await,
            Command::Export(args) => export::run(self, *args).await,
            Command::Import(args) => import::run(self, args).await,
            Command::Copy(args) => copy::run(self, *args).await,
            Command::Produce(args) => produce::run(self, *args).await,
            Command::Runs(command) => runs::run(self, command).await,
            Command::Metrics(args) => metrics::run(self, args).await,
            Command::Config(command) => config::run(self, command).await,
            Command::Completions(args) => completions::run(self, &args),
            Command::Man(args) => man::run(self, &args),
        }
    }

    async fn console(&self) -> Ended {
        let configuration = self.configuration()?;
        let nothing = matches!(configuration.choose(), Err(Unchosen::None));
        // Where no terminal can show what to do, the error says it.
        self.needs_terminal()
            .map_err(|fault| if nothing { nothing_configured(&configuration) } else { fault })?;
        let start = if nothing {
            Start::Welcome { config_place: configuration.place.clone() }
        } else {
            Start::Desk(Arc::new(Desk::new(self.connect_to(self.chosen(&configuration).await?).await?)))
        };
        self.open_console(start, &configuration, None).await
    }

    /// Opens the console; `extra` adds commands to its palette.
    pub(super) async fn open_console(
        &self,
        start: Start,
        configuration: &Configuration,
        extra: Option<Arc<dyn Extra>>,
    ) -> Ended {
        let _log = self.log(log_file())?;
        let options = tui::Options {
            console: configuration.console(),
            no_colour: !self.output.colours(),
            extra,
            history: searches_file(),
        };
        tui::run(start, options).await?;
        Ok(Done::All)
    }

    /// Opens the log where one is wanted, else at `place`; it ends when the guard is dropped.
    pub(super) fn log(&self, place: Option<PathBuf>) -> Result<Option<WorkerGuard>, Fault> {
        let wanted = self.global.log_file.clone().or_else(|| self.variable("REDRIVE_LOG_FILE"));
        wanted.or(place).map(|path| logs::start(&path, self.global.verbose)).transpose()
    }

    /// Refuses where there is no terminal for the console.
    pub(super) fn needs_terminal(&self) -> Result<(), Fault> {
        let terminal = std::io::stdin().is_terminal() && self.output.is_terminal();
        if terminal && self.environment.get("TERM").is_none_or(|term| term != "dumb") {
            return Ok(());
        }
        Err(Fault::usage("no_terminal", "the console needs a terminal")
            .hint("`redrive overview` prints what it shows first; --help lists all commands"))
    }

    /// Cancels at the first interrupt and gives up waiting at the second.
    async fn until_interrupted(&self, work: impl Future<Output = Ended>) -> Ended {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            // In this order: signals are heard before the work has told anybody that it is there.
            biased;
            () = interrupt() => self.cancel.cancel(),
            ended = &mut work => return ended,
        }
        let ended = tokio::select! {
            ended = &mut work => ended,
            () = interrupt() => return Ok(Done::Interrupted),
        };
        match ended {
            Err(Stop::Fault(fault)) if fault.kind == crate::text::FaultKind::Cancelled => {
                Ok(Done::Interrupted)
            }
            Ok(Done::All | Done::Interrupted) => Ok(Done::Interrupted),
            other => other,
        }
    }

    /// The configuration with all its layers.
    pub(super) fn configuration(&self) -> Result<Configuration, Fault> {
        let options = Options {
            profile: self.global.profile.clone(),
            brokers: self.global.brokers.clone(),
            file: self.global.config.clone(),
            properties: self.global.properties.clone(),
            read_only: self.global.read_only,
        };
        let configuration = Configuration::load(self.environment.clone(), options)?;
        for (wrong, near) in configuration.mistyped_variables() {
            self.output.note(&format!("warning: {wrong} is not known, did you mean {near}?"));
        }
        Ok(configuration)
    }

    /// The profile in force; asks which one where several are possible and somebody is there.
    pub(super) async fn chosen(&self, configuration: &Configuration) -> Result<Chosen, Fault> {
        let choice = match configuration.choose() {
            Ok(choice) => choice,
            Err(Unchosen::Several(names)) => Choice::Named(self.pick(names).await?),
            Err(Unchosen::None) => return Err(nothing_configured(configuration)),
        };
        configuration.profile(&choice)
    }

    async fn pick(&self, names: Vec<String>) -> Result<String, Fault> {
        let several = || {
            Fault::usage("no_profile", "several profiles are configured, and none was chosen")
                .why(format!("profiles: {}", names.join(", ")))
                .hint("give --profile NAME, or set `default_profile`")
        };
        if !self.output.can_ask() {
            return Err(several());
        }
        for (i, name) in names.iter().enumerate() {
            self.output.note(&format!("{:>3}  {name}", i + 1));
        }
        let answer = self.output.ask("profile (number or name):", &self.cancel).await.unwrap_or_default();
        let by_number = answer.parse::<usize>().ok().and_then(|n| names.get(n.checked_sub(1)?));
        by_number.or_else(|| names.iter().find(|name| **name == answer)).cloned().ok_or_else(several)
    }

    /// Connects to the cluster of the profile in force.
    pub(super) async fn connect(&self) -> Result<Cx, Fault> {
        let configuration = self.configuration()?;
        let chosen = self.chosen(&configuration).await?;
        self.connect_to(chosen).await
    }

    /// Connects to a cluster.
    pub(super) async fn connect_to(&self, mut chosen: Chosen) -> Result<Cx, Fault> {
        chosen.profile.decoding.schemas = crate::wire::schemas(&chosen.profile, Arc::clone(&self.clock))?;
        let broker = crate::wire::connect(&chosen.profile, Arc::clone(&self.clock)).await?;
        Ok(Cx {
            broker,
            clock: Arc::clone(&self.clock),
            profile: Arc::new(chosen.profile),
            operator: Arc::new(self.operator()),
        })
    }

    /// Who acts.
    pub(super) fn operator(&self) -> Operator {
        operator::operator(self.global.operator.as_deref(), &self.environment)
    }

    /// Asks the desk, and draws its progress.
    pub(super) async fn ask(&self, desk: &Desk, request: Request) -> Result<Answer, Stop> {
        let tell = |event: Event| {
            if let Event::Progress(progress) = event {
                self.output.progress(&progress);
            }
        };
        Ok(desk.answer(request, &tell, self.cancel.clone()).await?)
    }

    /// A variable of the environment that names a file.
    pub(super) fn variable(&self, name: &str) -> Option<PathBuf> {
        self.environment.get(name).filter(|text| !text.is_empty()).map(PathBuf::from)
    }
}

/// A desk that answered another question than the one asked is a mistake of the program.
pub(super) fn unexpected() -> Stop {
    Fault::failed("internal", "the answer does not fit the question").into()
}

fn nothing_configured(configuration: &Configuration) -> Fault {
    let place = configuration.place.as_ref().map_or_else(String::new, |p| p.display().to_string());
    let why = if configuration.exists {
        format!("{place} has no profiles")
    } else {
        format!("there is no configuration at {place}, and no --brokers")
    };
    Fault::usage("nothing_configured", "no cluster is configured")
        .why(why)
        .hint("give --brokers HOST:PORT, or write a profile there (config.example.toml shows all of it)")
}

/// Returns at an interrupt (ctrl-c) or a termination signal.
async fn interrupt() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Where signals cannot be had, the system's own answer to ctrl-c remains.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
