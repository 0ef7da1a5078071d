//! Pictures of clusters on the embedded broker, in tokio's paused time.

use std::sync::Arc;
use std::time::Duration;

use redrive::ask::Desk;
use redrive::broker::Broker;
use redrive::broker::memory::MemoryBroker;
use redrive::broker::memory::shop::{self, Shop};
use redrive::config::profile::Profile;
use redrive::context::{Cx, Operator};
use redrive::exposition::{self, Dialect};
use redrive::metrics::{Choice, Moment, Partitions, render};
use redrive::observe::snapshot::Snapshot;
use redrive::text::{Clock, Timestamp};

struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_525_331_000 + self.0.elapsed().as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A broker, and a desk on it.
pub struct World {
    pub memory: Arc<MemoryBroker>,
    pub broker: Arc<dyn Broker>,
    pub desk: Desk,
    pub clock: Arc<dyn Clock>,
}

impl World {
    pub fn new() -> Self {
        Self::scraping(Vec::new())
    }

    /// With applications that tell their metrics there.
    pub fn scraping(urls: Vec<String>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(tokio::time::Instant::now()));
        let memory = MemoryBroker::new(Arc::clone(&clock), 64 << 20);
        let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
        let cx = Cx {
            broker: memory.broker(),
            clock: Arc::clone(&clock),
            profile: Arc::new(Profile { metrics: urls, ..Profile::new("t", Vec::new()) }),
            operator: Arc::new(operator),
        };
        Self { broker: memory.broker(), memory, desk: Desk::new(cx), clock }
    }

    /// A picture after so long.
    pub async fn after(&self, time: Duration) -> Arc<Snapshot> {
        let pictures = self.desk.snapshots();
        tokio::time::sleep(time).await;
        Arc::clone(&pictures.borrow())
    }

    pub fn text(&self, picture: &Snapshot, choice: &Choice, dialect: Dialect) -> String {
        let moment = Moment { now: self.clock.now(), oldest: Duration::from_secs(10) };
        render(picture, choice, dialect, moment)
    }
}

pub fn everything() -> Choice {
    Choice { topics: None, groups: None, internal: false, partitions: Partitions::Each }
}

/// What the exporter tells of a demonstration after a while.
pub async fn of_the_demonstration(dialect: Dialect) -> String {
    let world = World::new();
    world.broker.writer().unwrap().create_topics(&shop::topics("")).await.unwrap();
    let options = shop::Options { failures_percent: 10.0, ..shop::Options::default() };
    let shop = Shop::start(Arc::clone(&world.broker), Arc::clone(&world.clock), options).unwrap();
    let picture = world.after(Duration::from_secs(30)).await;
    let text = world.text(&picture, &everything(), dialect);
    shop.stop(Duration::from_secs(5)).await;
    text
}

/// Names and labels of all series, with their values.
pub fn series(text: &str) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    exposition::parse(text, |sample| {
        let labels: Vec<String> =
            sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.push((format!("{}{{{}}}", sample.name, labels.join(",")), sample.value));
    })
    .unwrap();
    all
}
