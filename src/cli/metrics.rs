//! `redrive metrics`: the exporter for Prometheus, or one scrape to stdout.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::sync::watch;

use super::Session;
use super::exit::{Done, Ended};
use super::output::Format;
use crate::ask::{Desk, Event, Exposure, Interest};
use crate::config::profile::Refresh;
use crate::context::Cx;
use crate::exposition::{Dialect, Pages, Server};
use crate::metrics::{Choice, Moment, Partitions, render};
use crate::observe::snapshot::{Freshness, Snapshot};
use crate::text::{Clock, Fault, FaultKind};

/// Where it listens unless it is told: on this machine alone.
const USUAL: &str = "127.0.0.1:9464";

/// How long it waits after it could not connect.
const AGAIN: Duration = Duration::from_secs(5);

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Serve them here over HTTP, under /metrics; `:PORT` is every address of this machine, port 0 any free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = USUAL, value_parser = address, conflicts_with = "once")]
    listen: String,
    /// Print one scrape to stdout instead
    #[arg(long)]
    once: bool,
    /// Only topics whose whole name matches
    #[arg(long, value_name = "REGEX", value_parser = Choice::pattern)]
    topics: Option<Regex>,
    /// Only groups whose whole name matches
    #[arg(long, value_name = "REGEX", value_parser = Choice::pattern)]
    groups: Option<Regex>,
    /// Lag by topic, not by partition: far fewer series
    #[arg(long)]
    no_partitions: bool,
    /// The broker's own topics too
    #[arg(long)]
    internal: bool,
    /// With --once: the time over which is looked
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = super::watch::window, requires = "once")]
    window: Duration,
}

/// Reads where to listen; a name is looked up later.
fn address(text: &str) -> Result<String, String> {
    let wrong = || "HOST:PORT, [IPV6]:PORT or :PORT was expected, for example 127.0.0.1:9464".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    match host {
        "" => Ok(format!("0.0.0.0:{port}")),
        _ if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) => Err(wrong()),
        _ => Ok(text.to_owned()),
    }
}

impl Args {
    /// Whether it serves until it is stopped.
    pub(super) fn serves(&self) -> bool {
        !self.once
    }

    fn choice(&self) -> Choice {
        Choice {
            topics: self.topics.clone(),
            groups: self.groups.clone(),
            internal: self.internal,
            partitions: if self.no_partitions { Partitions::Together } else { Partitions::Each },
        }
    }
}

pub(super) async fn run(session: &Session<'_>, args: Args) -> Ended {
    if session.output.format() != Format::Table {
        return Err(Fault::usage("usage", "metrics are written in the text format of Prometheus alone")
            .hint("leave -o out; `redrive overview -o json` has the figures as JSON")
            .into());
    }
    if args.once { once(session, &args).await } else { serve(session, &args).await }
}

async fn once(session: &Session<'_>, args: &Args) -> Ended {
    let cx = session.connect().await?;
    let clock = Arc::clone(&cx.clock);
    let exposure =
        Exposure { looks: 2, window: args.window, interest: Interest::default(), count_letters: true };
    let tell = |event: Event| {
        if let Event::Progress(progress) = event {
            session.output.progress(&progress);
        }
    };
    let picture = Desk::new(cx).picture(&exposure, &tell, &session.cancel).await?;
    // It was just taken, however long the dead letters took to read.
    let moment = Moment { now: clock.now(), oldest: Duration::MAX };
    session.output.text(&render(&picture, &args.choice(), Dialect::Text, moment))?;
    Ok(Done::All)
}

async fn serve(session: &Session<'_>, args: &Args) -> Ended {
    let configuration = session.configuration()?;
    let chosen = session.chosen(&configuration).await?;
    let refresh = chosen.profile.refresh;
    let server = Server::bind(&args.listen).await.map_err(|e| cannot_listen(&args.listen, &e))?;
    let address = server.address().map_err(|e| cannot_listen(&args.listen, &e))?;
    let clock = Arc::clone(&session.clock);
    let pictures = watch::Sender::new(Arc::new(Snapshot::empty(clock.now())));
    let exporter = Exporter { pictures: pictures.subscribe(), clock, choice: args.choice(), refresh };
    session.output.note(&format!("listening on http://{address}/metrics"));
    let serving = server.serve(Arc::new(exporter), session.cancel.clone());
    let sampling = async {
        let cx = connect(session, chosen).await?;
        let desk = Desk::new(cx);
        let mut latest = desk.snapshots();
        let mut away = false;
        while latest.changed().await.is_ok() {
            let picture = latest.borrow_and_update().clone();
            tell(session, &picture, &mut away);
            pictures.send_replace(picture);
        }
        Ok::<_, Fault>(())
    };
    tokio::select! {
        () = serving => Ok(Done::All),
        // A wrong configuration; the desk lives as long as it is asked.
        Err(fault) = sampling => Err(fault.into()),
    }
}

/// Says once that the broker went away, and once that it is back.
fn tell(session: &Session<'_>, picture: &Snapshot, away: &mut bool) {
    match &picture.freshness {
        Freshness::Stale { why, .. } if !*away => {
            session.output.note(&format!("warning: {why}; trying again"));
            *away = true;
        }
        Freshness::Live if *away => {
            session.output.note("the broker answers again");
            *away = false;
        }
        _ => {}
    }
}

/// Connects; a broker that is away may come back, a wrong configuration does not mend itself.
async fn connect(session: &Session<'_>, chosen: crate::config::Chosen) -> Result<Cx, Fault> {
    let mut told = false;
    loop {
        match session.connect_to(chosen.clone()).await {
            Ok(cx) => return Ok(cx),
            Err(fault) if fault.kind == FaultKind::Usage => return Err(fault),
            Err(fault) => {
                if !told {
                    session.output.note(&format!("warning: {fault}; trying again"));
                }
                told = true;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn cannot_listen(address: &str, error: &std::io::Error) -> Fault {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has the port: stop it, or choose another (0 is any free one)"
        }
        std::io::ErrorKind::PermissionDenied => "choose a port above 1023",
        _ => "give an address of this machine, for example --listen 127.0.0.1:9464",
    };
    Fault::failed("listen", format!("cannot listen on {address}")).why(error.to_string()).hint(hint)
}

/// The latest picture as text.
struct Exporter {
    pictures: watch::Receiver<Arc<Snapshot>>,
    clock: Arc<dyn Clock>,
    choice: Choice,
    refresh: Refresh,
}

impl Pages for Exporter {
    fn metrics(&self, dialect: Dialect) -> String {
        let picture = Arc::clone(&self.pictures.borrow());
        // A broker that hangs gives no error for a while; a cluster that takes long is still sampled.
        let took = Duration::try_from_secs_f64(picture.sample_seconds).unwrap_or_default();
        let oldest = self.refresh.visible.saturating_mul(3).saturating_add(took.saturating_mul(3));
        let moment = Moment { now: self.clock.now(), oldest: oldest.max(Duration::from_secs(10)) };
        render(&picture, &self.choice, dialect, moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_may_leave_the_host_out() {
        assert_eq!(address(":9464"), Ok("0.0.0.0:9464".to_owned()));
        for right in ["127.0.0.1:0", "[::1]:9464", "localhost:80"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        for wrong in ["", "9464", "localhost", "::1", "::1:80", "host:", "host:http", "host:70000", "host:-1"]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
