//! Reads the metrics of the applications over HTTP, now and then, all targets at once.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::applications::{Applications, Target, TargetRow, together};
use crate::context::Cx;
use crate::text::Clock;

/// How often is asked, at most.
const EVERY: Duration = Duration::from_secs(5);
/// How long an answer may take.
const LONGEST: Duration = Duration::from_secs(4);
/// The longest answer that is read, in bytes.
const LARGEST: u64 = 8 << 20;

/// Asks the targets of a profile.
pub struct Scraper {
    agent: ureq::Agent,
    clock: Arc<dyn Clock>,
    urls: Vec<String>,
    rows: Vec<TargetRow>,
    targets: Vec<Target>,
}

impl Scraper {
    /// A scraper for the targets of the profile; `None` where it has none.
    pub fn new(cx: &Cx) -> Option<Self> {
        let urls = cx.profile.metrics.clone();
        if urls.is_empty() {
            return None;
        }
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent =
            ureq::Agent::config_builder().timeout_global(Some(LONGEST)).tls_config(tls).build().into();
        let row = |url: &String| TargetRow {
            url: crate::config::value::without_password(url),
            up: None,
            error: None,
            scraped: None,
            seconds: None,
            series: 0,
        };
        let rows = urls.iter().map(row).collect();
        let targets = urls.iter().map(|_| Target::default()).collect();
        Some(Self { agent, clock: Arc::clone(&cx.clock), urls, rows, targets })
    }

    /// Asks all of them once.
    pub async fn round(&mut self) {
        let asked: Vec<_> = self
            .urls
            .iter()
            .map(|url| {
                let (agent, url, clock) = (self.agent.clone(), url.clone(), Arc::clone(&self.clock));
                tokio::task::spawn_blocking(move || {
                    let began = clock.monotonic();
                    let text = fetch(&agent, &url);
                    (text, clock.monotonic(), clock.monotonic().saturating_sub(began))
                })
            })
            .collect();
        for ((asked, row), target) in asked.into_iter().zip(&mut self.rows).zip(&mut self.targets) {
            let answer = match asked.await {
                Ok((text, at, took)) => {
                    row.seconds = Some(took.as_secs_f64());
                    text.and_then(|text| target.take(&text, at))
                }
                Err(_) => Err("the request ended unexpectedly".to_owned()),
            };
            row.scraped = Some(self.clock.now());
            row.up = Some(answer.is_ok());
            row.error = answer.err();
            if row.error.is_some() {
                target.lost();
            }
        }
    }

    /// What they told.
    pub fn applications(&self) -> Applications {
        together(self.rows.clone(), &self.targets)
    }
}

/// Asks again and again.
pub async fn run(
    mut scraper: Scraper,
    latest: watch::Sender<Option<Arc<Applications>>>,
    cancel: CancellationToken,
) {
    loop {
        let round = async {
            scraper.round().await;
            latest.send_replace(Some(Arc::new(scraper.applications())));
            tokio::time::sleep(EVERY).await;
        };
        tokio::select! {
            () = round => {}
            () = cancel.cancelled() => return,
        }
    }
}

fn fetch(agent: &ureq::Agent, url: &str) -> Result<String, String> {
    let mut answer = agent
        .get(url)
        .header("accept", "text/plain; version=0.0.4, */*; q=0.1")
        .call()
        .map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let reading = answer.body_mut().as_reader().take(LARGEST + 1).read_to_end(&mut bytes);
    reading.map_err(|error| format!("its answer broke off: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("its answer is longer than {}", crate::text::units::bytes(LARGEST)));
    }
    String::from_utf8(bytes).map_err(|_| "its answer is not UTF-8".to_owned())
}
