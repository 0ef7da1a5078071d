//! `redrive demo`: the shop on the embedded broker and the console on it; or the shop on a real cluster.
//!
//! A typing error on production must do no harm: on a real cluster every name has a prefix, only topics that this
//! program made are used, read-only and protected profiles are refused, and what will be done is shown before it is
//! agreed to.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Session;
use super::exit::{Done, Ended, Stop};
use crate::ask::{Desk, Extra, ExtraCommand};
use crate::broker::memory::shop::{self, Cause, Claim, Shop};
use crate::config::profile::Profile;
use crate::context::Cx;
use crate::exposition::{Dialect, Pages, Server};
use crate::text::{Fault, units};
use crate::tui::Start;

/// Stands before every name on a real cluster.
const PREFIX: &str = "redrive-demo.";

/// How long closing the shop may take.
const CLOSING: Duration = Duration::from_secs(5);

/// How often a shop without a console says what it did.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Events a second
    #[arg(long, value_name = "N", default_value_t = shop::USUAL_RATE, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Events that fail, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent)]
    failures: f64,
    /// Decides the content of all events
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Without the console, until it is interrupted
    #[arg(long)]
    headless: bool,
    /// Repair a cause from the start; with --brokers: in the shop that runs there
    #[arg(long, value_name = "CAUSE", value_parser = cause)]
    repair: Vec<Cause>,
    /// On a real cluster a word between `redrive-demo.` and the names, so that several shops can run side by side
    #[arg(long, value_name = "P", value_parser = prefix)]
    prefix: Option<String>,
    /// Remove what a shop made on a real cluster, exactly that
    #[arg(long, conflicts_with_all = ["headless", "repair"])]
    clean: bool,
    /// Do it without asking (on a real cluster)
    #[arg(long)]
    yes: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let fits = |n: &f64| (0.0..=100.0).contains(n);
    text.parse().ok().filter(fits).ok_or_else(|| "a number from 0 to 100 was expected".to_owned())
}

fn cause(text: &str) -> Result<Cause, String> {
    Cause::named(text).ok_or_else(|| {
        let names: Vec<&str> = Cause::ALL.iter().map(|c| c.name()).collect();
        format!("one of {} was expected", names.join(", "))
    })
}

fn prefix(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > 100 || !text.chars().all(legal) {
        return Err("letters, digits, dots, dashes and underscores were expected".to_owned());
    }
    Ok(text.to_owned())
}

impl Args {
    fn options(&self, prefix: String) -> shop::Options {
        shop::Options { rate: self.rate, failures_percent: self.failures, seed: self.seed, prefix }
    }

    /// Whether it ends in the console.
    pub(super) fn opens_console(&self) -> bool {
        !self.headless && !self.clean && self.repair.is_empty()
    }

    /// The prefix on a real cluster.
    fn full_prefix(&self) -> String {
        match &self.prefix {
            Some(given) if given.starts_with(PREFIX) => given.clone(),
            Some(given) => format!("{PREFIX}{given}"),
            None => PREFIX.to_owned(),
        }
    }
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    if args.opens_console() {
        session.needs_terminal()?;
    }
    // Only what is said on this command line leads to a real cluster, never a variable or a default.
    if session.global.brokers.is_some() || session.global.profile.is_some() {
        return on_a_cluster(session, &args).await;
    }
    if args.clean {
        return Err(Fault::usage("usage", "--clean is for a shop on a real cluster")
            .hint("say which one with --brokers or --profile")
            .into());
    }
    let broker = crate::wire::embedded(Arc::clone(&session.clock));
    let prefix = args.prefix.clone().unwrap_or_default();
    let Some(writer) = broker.writer() else {
        return Err(Fault::failed("internal", "the embedded broker cannot be written to").into());
    };
    for made in writer.create_topics(&shop::topics(&prefix)).await.map_err(Fault::from)? {
        made.map_err(Fault::from)?;
    }
    let cx = Cx {
        broker,
        clock: Arc::clone(&session.clock),
        profile: Arc::new(Profile::new("demo", Vec::new())),
        operator: Arc::new(session.operator()),
    };
    let shop = open(&cx, args.options(prefix))?;
    for cause in &args.repair {
        shop.repair(*cause);
    }
    serve(session, cx, Arc::new(shop), args.headless).await
}

fn open(cx: &Cx, options: shop::Options) -> Result<Shop, Fault> {
    Ok(Shop::start(Arc::clone(&cx.broker), Arc::clone(&cx.clock), options)?)
}

/// The console on the shop, or its numbers; then the shop is closed.
async fn serve(session: &Session<'_>, mut cx: Cx, shop: Arc<Shop>, headless: bool) -> Ended {
    let broker = Arc::clone(&cx.broker);
    let told = session.cancel.child_token();
    match tell_metrics(&shop, told.clone()).await {
        Ok(url) => {
            if headless {
                session.output.note(&format!("the metrics of its services: {url}"));
            }
            let mut profile = (*cx.profile).clone();
            profile.metrics.push(url);
            cx.profile = Arc::new(profile);
        }
        Err(e) => session.output.note(&format!("warning: the services cannot tell their metrics: {e}")),
    }
    let ended = if headless {
        let _log = session.log(None)?;
        watch(session, &shop).await
    } else {
        let extra: Arc<dyn Extra> = Arc::new(Palette(Arc::clone(&shop)));
        let start = Start::Desk(Arc::new(Desk::new(cx)));
        session.open_console(start, &session.configuration()?, Some(extra)).await
    };
    told.cancel();
    // The palette's hold on it ended with the console.
    if let Some(shop) = Arc::into_inner(shop) {
        shop.stop(CLOSING).await;
    }
    // What cannot be closed in time ends with the process.
    let _ = broker.close(CLOSING).await;
    ended
}

/// The services tell their metrics over HTTP, on any free port of this machine; gives where.
async fn tell_metrics(shop: &Arc<Shop>, stop: CancellationToken) -> std::io::Result<String> {
    struct Services(Weak<Shop>);
    impl Pages for Services {
        fn metrics(&self, dialect: Dialect) -> String {
            self.0.upgrade().map(|shop| shop.metrics(dialect)).unwrap_or_default()
        }
    }
    let server = Server::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/metrics", server.address()?);
    tokio::spawn(server.serve(Arc::new(Services(Arc::downgrade(shop))), stop));
    Ok(url)
}

async fn watch(session: &Session<'_>, shop: &Shop) -> Ended {
    session.output.note("the shop is open; ctrl-c closes it");
    loop {
        tokio::select! {
            () = session.cancel.cancelled() => return Ok(Done::Interrupted),
            () = tokio::time::sleep(TELL_EVERY) => {}
        }
        let status = shop.status();
        session.output.note(&format!(
            "{} events, {} processed, {} retried, {} dead letters{}",
            units::count(status.produced),
            units::count(status.processed),
            units::count(status.retried),
            units::count(status.dead_lettered),
            status.trouble.map_or_else(String::new, |trouble| format!(" (last trouble: {trouble})")),
        ));
    }
}

async fn on_a_cluster(session: &Session<'_>, args: &Args) -> Ended {
    let configuration = session.configuration()?;
    let chosen = session.chosen(&configuration).await?;
    let refused = |rule, why: &str| {
        Fault::refused(rule, format!("no shop on profile {}", chosen.profile.name))
            .why(why)
            .hint("choose a cluster for trying things out")
    };
    if chosen.profile.read_only {
        return Err(refused("read_only", "the profile is read-only").into());
    }
    if chosen.profile.protected {
        return Err(refused("protected", "the profile is protected").into());
    }
    let cx = session.connect_to(chosen).await?;
    let prefix = args.full_prefix();
    let mut claim = Claim::look(Arc::clone(&cx.broker), &prefix).await.map_err(Fault::from)?;
    if args.clean {
        return clean(session, args, &cx, claim).await;
    }
    if !args.repair.is_empty() && !args.headless {
        return repair(session, args, &cx, &claim).await;
    }
    let missing = claim.missing();
    if !missing.is_empty() {
        let mut lines = vec![format!("on {} this will be created:", cx.profile.name)];
        lines.extend(missing.iter().map(|topic| {
            let config: Vec<String> = topic.config.iter().map(|(n, v)| format!(", {n}={v}")).collect();
            format!("  topic {}, {} partitions{}", topic.name, topic.partitions, config.concat())
        }));
        lines.push(format!("and used by the groups {}", shop::groups(&prefix).join(", ")));
        lines.push("`redrive demo --clean` removes exactly that".to_owned());
        if !agreed(session, args.yes, &lines).await? {
            return Ok(Done::Refused);
        }
        claim.make().await.map_err(Fault::from)?;
    } else if !agreed(session, args.yes, &[format!("the shop will write to its own topics, {prefix}*")])
        .await?
    {
        return Ok(Done::Refused);
    }
    let shop = Arc::new(open(&cx, args.options(prefix))?);
    for cause in &args.repair {
        shop.repair(*cause);
    }
    let listening = session.cancel.child_token();
    let told = Arc::downgrade(&shop);
    let stop = listening.clone();
    let ears = tokio::spawn(async move {
        let repair = |cause| {
            if let Some(shop) = told.upgrade() {
                shop.repair(cause);
            }
        };
        claim.repairs(repair, stop).await
    });
    let ended = serve(session, cx, shop, args.headless).await;
    listening.cancel();
    if let Ok(Err(error)) = ears.await {
        session.output.note(&format!("warning: repairs from elsewhere were not heard: {error}"));
    }
    ended
}

async fn repair(session: &Session<'_>, args: &Args, cx: &Cx, claim: &Claim) -> Ended {
    if !claim.exists() {
        return Err(Fault::failed("unknown_topic", format!("there is no shop on {}", cx.profile.name))
            .hint("open one first: redrive demo --brokers …")
            .into());
    }
    let names: Vec<&str> = args.repair.iter().map(|c| c.name()).collect();
    let line = format!("the shop on {} will be told to repair {}", cx.profile.name, names.join(", "));
    if !agreed(session, args.yes, &[line]).await? {
        return Ok(Done::Refused);
    }
    for cause in &args.repair {
        claim.tell_repair(*cause).await.map_err(Fault::from)?;
    }
    session.output.note("told: a shop that runs repairs it now");
    Ok(Done::All)
}

async fn clean(session: &Session<'_>, args: &Args, cx: &Cx, claim: Claim) -> Ended {
    if !claim.exists() {
        session.output.note(&format!("there is no shop on {}: nothing to remove", cx.profile.name));
        return Ok(Done::All);
    }
    let groups = claim.groups().await.map_err(Fault::from)?;
    let mut lines = vec![format!("on {} this will be removed, with all records:", cx.profile.name)];
    lines.extend(claim.made().map(|topic| format!("  topic {topic}")));
    lines.extend(groups.iter().map(|group| format!("  group {group}")));
    if !agreed(session, args.yes, &lines).await? {
        return Ok(Done::Refused);
    }
    claim.remove(&groups).await.map_err(Fault::from)?;
    session.output.note("removed");
    Ok(Done::All)
}

/// Shows what will be done, and asks; where nobody can be asked only `--yes` agrees.
async fn agreed(session: &Session<'_>, yes: bool, lines: &[String]) -> Result<bool, Stop> {
    let out = session.output;
    for line in lines {
        out.note(line);
    }
    if yes {
        return Ok(true);
    }
    if !out.can_ask() {
        out.note("nothing was written: nobody can be asked here; add --yes to do it");
        return Ok(false);
    }
    let answer = out.ask("do it? [y/N]", &session.cancel).await.unwrap_or_default();
    let agreed = matches!(answer.to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        out.note("nothing was written");
    }
    Ok(agreed)
}

/// What the console's palette can tell the shop.
struct Palette(Arc<Shop>);

impl Extra for Palette {
    fn commands(&self) -> Vec<ExtraCommand> {
        let broken = Cause::ALL.into_iter().filter(|cause| !self.0.is_repaired(*cause));
        let repairs = broken.map(|cause| ExtraCommand {
            line: format!("shop repair {}", cause.name()),
            help: format!("Repair the cause {}: from now on its consumer succeeds", cause.name()),
        });
        let (word, help) = if self.0.is_paused() {
            ("shop resume", "Let the shop's services go on")
        } else {
            ("shop pause", "Stop the shop's services for now")
        };
        repairs.chain([ExtraCommand { line: word.to_owned(), help: help.to_owned() }]).collect()
    }

    fn run(&self, line: &str) -> Result<String, Fault> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["shop", "repair", name] => {
                let cause = cause(name)
                    .map_err(|why| Fault::usage("usage", format!("no cause {name:?}")).why(why))?;
                let text = if self.0.repair(cause) {
                    "is repaired: its consumer succeeds now"
                } else {
                    "was repaired before"
                };
                Ok(format!("{name} {text}"))
            }
            ["shop", "pause"] => {
                self.0.pause(true);
                Ok("the shop is paused".to_owned())
            }
            ["shop", "resume"] => {
                self.0.pause(false);
                Ok("the shop goes on".to_owned())
            }
            _ => Err(Fault::usage("usage", format!("unknown command {line:?}"))
                .hint("shop repair CAUSE, shop pause, shop resume")),
        }
    }
}
