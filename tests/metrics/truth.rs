//! What is told is what is there; what is not known is not told.

use std::time::Duration;

use bytes::Bytes;
use redrive::broker::{Name, NewTopic, SessionKind, Shard, Write};
use redrive::event::Headers;
use redrive::exposition::Dialect;
use redrive::metrics::{Choice, Partitions};

use crate::world::{World, everything, series};

/// Makes a topic where there is none, and writes records to its first partition.
pub async fn topic(world: &World, name: &str, partitions: i32, records: usize) {
    let writer = world.broker.writer().unwrap();
    let topic = NewTopic { name: name.into(), partitions, replication: None, config: Vec::new() };
    let _ = writer.create_topics(&[topic]).await.unwrap();
    let mut session = writer.begin(SessionKind::Idempotent).await.unwrap();
    for _ in 0..records {
        let write = Write {
            topic: name.into(),
            partition: Some(0),
            key: None,
            value: Some(Bytes::from_static(b"v")),
            headers: Headers::default(),
            timestamp: None,
        };
        session.stage(write).await.unwrap();
    }
    session.commit().await.unwrap();
}

async fn commit(world: &World, group: &str, topic: &str, offset: i64) {
    let group: Name = group.into();
    let offsets = [(Shard::new(topic, 0), offset)];
    world.broker.writer().unwrap().alter_offsets(&group, &offsets).await.unwrap().remove(0).unwrap();
}

async fn told(world: &World, choice: &Choice) -> Vec<(String, f64)> {
    let picture = world.after(Duration::from_secs(6)).await;
    series(&world.text(&picture, choice, Dialect::Text))
}

fn value(all: &[(String, f64)], name: &str) -> Option<f64> {
    all.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
}

#[tokio::test(start_paused = true)]
async fn records_lag_and_letters_are_those_that_are_there() {
    let world = World::new();
    topic(&world, "orders", 2, 10).await;
    topic(&world, "orders-dlt", 1, 3).await;
    commit(&world, "email", "orders", 4).await;
    let all = told(&world, &everything()).await;
    let is = |name: &str, wanted: Option<f64>| assert_eq!(value(&all, name), wanted, "{name} in {all:#?}");
    is("redrive_up{}", Some(1.0));
    is("redrive_topic_records_total{topic=orders}", Some(10.0));
    is("redrive_group_lag{group=email,topic=orders,partition=0}", Some(6.0));
    is("redrive_group_lag{group=email,topic=orders,partition=1}", None);
    is("redrive_group_members{group=email}", Some(0.0));
    is("redrive_group_status{group=email,status=unknown}", Some(1.0));
    is("redrive_dead_letters{topic=orders-dlt,state=pending}", Some(3.0));
    is("redrive_dead_letter_arrivals_total{topic=orders-dlt,group=}", Some(0.0));
    is("redrive_topic_offline_partitions{topic=orders}", Some(0.0));
    topic(&world, "orders-dlt", 1, 2).await;
    let all = told(&world, &everything()).await;
    assert_eq!(value(&all, "redrive_dead_letter_arrivals_total{topic=orders-dlt,group=}"), Some(2.0));
    assert_eq!(value(&all, "redrive_dead_letters{topic=orders-dlt,state=pending}"), Some(5.0));
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_goes_on_counting() {
    let world = World::new();
    topic(&world, "orders", 1, 10).await;
    assert_eq!(
        value(&told(&world, &everything()).await, "redrive_topic_records_total{topic=orders}"),
        Some(10.0)
    );
    world.broker.writer().unwrap().delete_topics(&["orders".into()]).await.unwrap();
    topic(&world, "orders", 1, 4).await;
    let all = told(&world, &everything()).await;
    assert_eq!(value(&all, "redrive_topic_records_total{topic=orders}"), Some(14.0));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_series_is_the_operators_to_choose() {
    let world = World::new();
    topic(&world, "orders", 3, 10).await;
    topic(&world, "payments", 1, 5).await;
    topic(&world, "__consumer_things", 1, 1).await;
    for (group, topic) in
        [("email", "orders"), ("email", "payments"), ("other", "orders"), ("email", "__consumer_things")]
    {
        commit(&world, group, topic, 0).await;
    }
    let choice = Choice {
        topics: Some(Choice::pattern("ord.*").unwrap()),
        groups: Some(Choice::pattern("mail|email").unwrap()),
        internal: false,
        partitions: Partitions::Together,
    };
    let all = told(&world, &choice).await;
    let lags: Vec<_> = all.iter().filter(|(name, _)| name.starts_with("redrive_group_lag{")).collect();
    assert_eq!(lags, [&("redrive_group_lag{group=email,topic=orders}".to_owned(), 10.0)]);
    let others = ["payments", "other", "__consumer"];
    assert!(!all.iter().any(|(name, _)| others.iter().any(|other| name.contains(other))), "{all:#?}");
    let with = |internal| {
        let choice = Choice { internal, ..everything() };
        let picture = world.desk.snapshots().borrow().clone();
        series(&world.text(&picture, &choice, Dialect::Text))
    };
    let internal =
        |all: Vec<(String, f64)>| all.iter().filter(|(name, _)| name.contains("__consumer")).count();
    assert_eq!(internal(with(false)), 0);
    assert!(internal(with(true)) > 1);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_leaves_no_old_figure_behind() {
    let world = World::new();
    topic(&world, "orders", 1, 10).await;
    let before = told(&world, &everything()).await;
    let sampled = value(&before, "redrive_last_sample_timestamp_seconds{}").unwrap();
    world.memory.faults().disconnect();
    let away = told(&world, &everything()).await;
    let names: Vec<&str> = away.iter().map(|(name, _)| name.split('{').next().unwrap()).collect();
    assert_eq!(names, ["redrive_up", "redrive_build_info", "redrive_last_sample_timestamp_seconds"]);
    assert_eq!(value(&away, "redrive_up{}"), Some(0.0));
    assert!(value(&away, "redrive_last_sample_timestamp_seconds{}").unwrap() - sampled < 3.0);
    world.memory.faults().reconnect();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let back = told(&world, &everything()).await;
    assert_eq!(value(&back, "redrive_up{}"), Some(1.0));
    assert_eq!(value(&back, "redrive_topic_records_total{topic=orders}"), Some(10.0));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_is_away_before_it_gives_an_error() {
    let world = World::new();
    topic(&world, "orders", 1, 10).await;
    assert_eq!(value(&told(&world, &everything()).await, "redrive_up{}"), Some(1.0));
    world.memory.faults().slow(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(value(&told(&world, &everything()).await, "redrive_up{}"), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn before_the_first_sample_nothing_but_that_is_told() {
    let world = World::new();
    world.memory.faults().disconnect();
    let all = told(&world, &everything()).await;
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.len() == 2 && names[0] == "redrive_up{}" && names[1].starts_with("redrive_build_info{"),
        "{all:?}"
    );
}
