//! Lag, status and time on a real cluster, against consumers that are made to do each thing; and what changes under the
//! sampler: topics made again, partitions added, a broker that dies and comes back.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use redrive::ask::Desk;
use redrive::broker::{Broker, Membership, Name, NewTopic, Shard};
use redrive::config::profile::{Profile, Protocol};
use redrive::context::{Cx, Operator};
use redrive::observe::snapshot::{Freshness, GroupPartitionRow, GroupRow, Snapshot, Status};
use redrive::observe::{Interest, Sampler, WINDOW};
use redrive::text::{Clock, SystemClock, Timestamp};

use crate::support::{connect, only, plain, profile, put, ready, soon, transaction, unique, variable, write};

/// Partitions of the topic: a thousand, of which each group uses one.
const PARTITIONS: i32 = 1_000;
/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(300);

fn context(broker: Arc<dyn Broker>, profile: Profile) -> Cx {
    let operator = Operator { name: "t".into(), os_user: "t".into(), host: "t".into() };
    Cx {
        broker,
        clock: Arc::new(SystemClock::default()),
        profile: profile.into(),
        operator: Arc::new(operator),
    }
}

async fn make(broker: &dyn Broker, name: &Name, partitions: i32) {
    let new = NewTopic { name: name.clone(), partitions, replication: Some(1), config: Vec::new() };
    only(broker.writer().unwrap().create_topics(&[new]).await.unwrap()).unwrap();
    ready(broker, name, partitions).await;
}

struct World {
    broker: Arc<dyn Broker>,
    topic: Name,
    sampler: Sampler,
}

impl World {
    async fn new(partitions: i32) -> Self {
        let broker = plain().await;
        let topic = unique("observed");
        make(&*broker, &topic, partitions).await;
        let profile = profile("REDRIVE_TEST_BROKERS", Protocol::Plaintext);
        let sampler =
            Sampler::new(context(Arc::clone(&broker), profile), Arc::new(|| None), Arc::new(|| None));
        Self { broker, topic, sampler }
    }

    fn shard(&self, partition: i32) -> Shard {
        Shard::new(self.topic.clone(), partition)
    }

    async fn produce(&self, partition: i32, count: usize) {
        let shard = self.shard(partition);
        put(&*self.broker, (0..count).map(|_| write(&shard, "v"))).await;
    }

    /// Commits for a group without members, as a consumer that assigns itself does.
    async fn commit(&self, group: &Name, partition: i32, offset: i64) {
        let writer = self.broker.writer().unwrap();
        only(writer.alter_offsets(group, &[(self.shard(partition), offset)]).await.unwrap()).unwrap();
    }

    async fn look(&mut self) -> Snapshot {
        tokio::time::sleep(INTERVAL).await;
        self.sampler.look_at(&Interest::default()).await.unwrap();
        self.sampler.picture()
    }
}

fn group<'a>(picture: &'a Snapshot, name: &Name) -> &'a GroupRow {
    picture.groups.iter().find(|g| g.group == *name).expect("the group is seen")
}

fn part<'a>(picture: &'a Snapshot, name: &Name, shard: &Shard) -> &'a GroupPartitionRow {
    let row = group(picture, name);
    row.detail
        .iter()
        .find(|p| p.topic == shard.topic && p.partition == shard.partition)
        .expect("it is among them")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn every_way_to_consume_has_its_status_and_its_lag() {
    let mut world = World::new(PARTITIONS).await;
    let name = |what: &str| unique(what);
    let (keeps, falls, stops, rewinds) = (name("keeps"), name("falls"), name("stops"), name("rewinds"));
    let (below, held, stalls, silent) = (name("below"), name("held"), name("stalls"), name("silent"));
    for partition in 0..5 {
        world.produce(partition, 5).await;
    }
    world.commit(&stops, 2, 2).await;
    world.commit(&rewinds, 3, 5).await;
    world.commit(&below, 4, 1).await;
    let writer = world.broker.writer().unwrap();
    only(writer.delete_before(&[(world.shard(4), 3)]).await.unwrap()).unwrap();
    // Reads what is committed, and stands at the last stable offset.
    let mut open = transaction(&*world.broker, &unique("open"), Duration::from_secs(60)).await;
    world.produce(5, 3).await;
    open.stage(write(&world.shard(5), "v")).await.unwrap();
    open.settle().await.unwrap();
    world.commit(&held, 5, 3).await;
    // Members are of a topic of their own with few partitions.
    let own = unique("own");
    make(&*world.broker, &own, 1).await;
    let first = Shard::new(own.clone(), 0);
    put(&*world.broker, (0..5).map(|_| write(&first, "v"))).await;
    let topics = [own.clone()];
    let join = async |group: &Name, client: &'static str| {
        let mut member = writer.join(group, client, &topics).await.unwrap();
        soon("records", async { while member.poll(Duration::from_millis(100)).await.unwrap().is_empty() {} })
            .await;
        member
    };
    let mut staller: Box<dyn Membership> = join(&stalls, "staller").await;
    staller.commit(&[(first.clone(), 1)]).await.unwrap();
    let sleeper = join(&silent, "sleeper").await;

    let (mut kept, mut fallen) = (0, 0);
    let mut last = None;
    for look in 0..=WINDOW as i64 {
        world.produce(0, 5).await;
        kept += 5;
        world.commit(&keeps, 0, kept + 5).await;
        world.produce(1, 10).await;
        fallen += 2;
        world.commit(&falls, 1, fallen).await;
        if look == 5 {
            world.commit(&rewinds, 3, 1).await;
        }
        last = Some(world.look().await);
    }
    let picture = last.unwrap();
    let status = |name: &Name| group(&picture, name).status;
    let lag = |name: &Name| group(&picture, name).lag;
    assert_eq!((status(&keeps), lag(&keeps)), (Status::Ok, Some(0)));
    assert_eq!((status(&falls), lag(&falls)), (Status::Warn, Some(5 + 110 - 22)));
    assert!(group(&picture, &falls).falls_behind);
    assert_eq!((status(&stops), lag(&stops)), (Status::Stop, Some(3)));
    assert_eq!((status(&rewinds), lag(&rewinds)), (Status::Rewind, Some(4)));
    assert_eq!((status(&stalls), lag(&stalls)), (Status::Stall, Some(4)));
    let stuck = part(&picture, &stalls, &first);
    assert_eq!((stuck.client_id.as_deref(), stuck.host.is_some()), (Some("staller"), true));
    // Assigned and never committed: not a lag of zero.
    assert_eq!((lag(&silent), group(&picture, &silent).lag_unknown_partitions), (None, 1));
    assert_eq!(part(&picture, &silent, &first).committed, None);
    let gone = part(&picture, &below, &world.shard(4));
    assert_eq!((gone.committed, gone.start_offset, gone.lag, gone.lost), (Some(1), Some(3), Some(4), 2));
    let behind = part(&picture, &held, &world.shard(5));
    assert_eq!((behind.lag, behind.last_stable_offset, behind.status), (Some(1), Some(3), Status::Ok));
    let topic = picture.topics.iter().find(|t| t.name == world.topic).unwrap();
    assert_eq!((topic.partitions, topic.detail.len()), (1_000, 1_000));
    assert!(topic.detail[1].records_per_second > topic.detail[0].records_per_second);
    open.abort().await.unwrap();
    for member in [staller, sleeper] {
        member.leave(Duration::from_secs(10)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn lag_in_time_is_that_of_the_first_record_not_consumed() {
    let mut world = World::new(2).await;
    let clock = SystemClock::default();
    let (old, new) = (unique("old"), unique("new"));
    let written = Timestamp(clock.now().as_millis() - 60_000);
    let record = redrive::broker::Write { timestamp: Some(written), ..write(&world.shard(0), "v") };
    put(&*world.broker, [record]).await;
    world.commit(&old, 0, 0).await;
    world.commit(&new, 1, 0).await;
    world.look().await;
    let began = clock.now();
    world.produce(1, 1).await;
    let picture = world.look().await;
    world.sampler.sip().await.unwrap();
    let read = world.sampler.picture();
    let row = part(&read, &old, &world.shard(0));
    assert_eq!(row.lag_seconds_basis, Some("create_time"));
    let error = (row.lag_seconds.unwrap() - read.taken.since(written) as f64 / 1000.0).abs();
    assert!(error < 0.01, "{error} s");
    let row = part(&picture, &new, &world.shard(1));
    assert_eq!(row.lag_seconds_basis, Some("observed"));
    let error = (row.lag_seconds.unwrap() - picture.taken.since(began) as f64 / 1000.0).abs();
    let between = picture.window_seconds.unwrap();
    assert!(error < between, "{error} s, with looks every {between} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn latency_is_the_time_that_a_consumer_takes_before_it_commits() {
    const SLEEPS: Duration = Duration::from_millis(1_500);
    let mut world = World::new(1).await;
    let slow = unique("slow");
    world.commit(&slow, 0, 0).await;
    let mut picture = world.look().await;
    for round in 1..=2 {
        world.produce(0, 20).await;
        world.look().await;
        world.sampler.sip().await.unwrap();
        tokio::time::sleep(SLEEPS).await;
        world.commit(&slow, 0, round * 20).await;
        picture = world.look().await;
    }
    let latency = group(&picture, &slow).latency_ms;
    // What was known of it: the time between the two looks around the commit, which itself took a while.
    let (p50, resolution) = (latency.p50.unwrap(), latency.resolution.unwrap());
    let longest = SLEEPS.as_secs_f64() * 1000.0 + 2.0 * resolution;
    assert!(
        latency.samples > 0 && p50 >= SLEEPS.as_secs_f64() * 1000.0 * 0.99 && p50 <= longest,
        "{latency:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_topic_made_again_and_a_partition_added_are_noticed() {
    let mut world = World::new(2).await;
    world.produce(0, 50).await;
    let reader = unique("reader");
    world.commit(&reader, 0, 20).await;
    world.look().await;
    let find = |picture: &Snapshot, name: &Name| picture.topics.iter().find(|t| t.name == *name).cloned();
    assert_eq!(find(&world.look().await, &world.topic).unwrap().records, Some(50));
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", variable("REDRIVE_TEST_BROKERS"));
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let added = NewPartitions::new(&world.topic, 3);
    admin.create_partitions(&[added], &AdminOptions::new()).await.unwrap();
    let topic = world.topic.clone();
    soon("the added partition", async {
        while find(&world.look().await, &topic).unwrap().detail.len() != 3 {}
    })
    .await;

    let writer = world.broker.writer().unwrap();
    only(writer.delete_topics(std::slice::from_ref(&world.topic)).await.unwrap()).unwrap();
    soon("the topic to vanish", async { while find(&world.look().await, &topic).is_some() {} }).await;
    make(&*world.broker, &world.topic, 2).await;
    world.produce(0, 5).await;
    let again = soon("the new topic", async {
        loop {
            let row = find(&world.look().await, &topic);
            if let Some(row) = row.filter(|row| row.records == Some(5)) {
                return row;
            }
        }
    })
    .await;
    // Another log: no rate below zero, and nothing of the old one.
    assert!(again.records_per_second.is_none_or(|rate| rate >= 0.0), "{again:?}");
    let picture = world.look().await;
    let row = picture.groups.iter().find(|g| g.group == reader);
    assert!(row.is_none_or(|row| row.lag.is_none_or(|lag| lag <= 5)), "{row:?}");
}

/// A broker of the test's own; it is stopped with the test.
struct Own(tempfile::TempDir);

impl Own {
    fn tell(&self, what: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker");
        let output = Command::new(script)
            .arg(what)
            .arg(self.0.path())
            .env_remove("REDRIVE_TEST_PORT")
            .output()
            .unwrap();
        assert!(output.status.success(), "{:?}", output.stderr.escape_ascii().to_string());
        String::from_utf8(output.stdout).unwrap()
    }

    fn kill(&self) {
        let pid = std::fs::read_to_string(self.0.path().join("pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
        std::fs::remove_file(self.0.path().join("pid")).unwrap();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.tell("stop");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_broker_that_dies_leaves_stale_figures_and_comes_back_live() {
    let own = Own(tempfile::tempdir().unwrap());
    own.tell("start");
    let environment = own.tell("env");
    let place = environment.lines().find_map(|l| l.strip_prefix("export REDRIVE_TEST_BROKERS=")).unwrap();
    let mut profile = Profile::new("own", vec![place.to_owned()]);
    profile.connection.protocol = Protocol::Plaintext;
    profile.refresh.visible = INTERVAL;
    let broker = connect(&profile).await.unwrap();
    let topic: Name = "kept".into();
    make(&*broker, &topic, 1).await;
    put(&*broker, (0..7).map(|_| write(&Shard::new(topic.clone(), 0), "v"))).await;
    let desk = Desk::new(context(Arc::clone(&broker), profile));
    let mut pictures = desk.snapshots();
    let records =
        |picture: &Snapshot| picture.topics.iter().find(|t| t.name == topic).and_then(|row| row.records);
    let mut until = async |what: &str, fits: &dyn Fn(&Snapshot) -> bool| {
        soon(what, async { pictures.wait_for(|p| fits(p)).await.unwrap().clone() }).await
    };
    until("the first picture", &|p| p.freshness == Freshness::Live && records(p) == Some(7)).await;
    own.kill();
    let stale = until("the broker to be missed", &|p| matches!(p.freshness, Freshness::Stale { .. })).await;
    // The last figures stay, and say that they are old.
    assert_eq!(records(&stale), Some(7));
    own.tell("start");
    let live = until("it to come back", &|p| p.freshness == Freshness::Live).await;
    assert_eq!(records(&live), Some(7));
}
