//! Topics: offsets, times, ids, configuration, names.

use std::sync::Arc;
use std::time::Duration;

use redrive::broker::{Bounds, ErrorKind, Name, NewTopic, Shard};

use crate::bench::{Bench, can, kind, now, only, soon, stage, unique, write};

pub async fn an_empty_partition_begins_and_ends_at_zero(bench: &Bench) {
    let topic = bench.topic(2, &[]).await;
    let (first, second) = (Shard::new(Arc::clone(&topic), 0), Shard::new(topic, 1));
    assert_eq!(bench.bounds(&first).await, Bounds { start: 0, end: 0, last_stable: 0 });
    bench.put((0..3).map(|i| write(&first, None, Some(&i.to_string())))).await;
    assert_eq!(bench.bounds(&first).await, Bounds { start: 0, end: 3, last_stable: 3 });
    assert_eq!(bench.bounds(&second).await, Bounds { start: 0, end: 0, last_stable: 0 });
}

pub async fn one_wrong_name_costs_one_answer(bench: &Bench) {
    let topic = bench.topic(1, &[]).await;
    let asked = [Shard::new(unique("missing"), 0), Shard::new(Arc::clone(&topic), 0), Shard::new(topic, 7)];
    let mut answers = bench.broker.catalog().bounds(&asked).await.unwrap();
    assert_eq!(answers.len(), 3);
    assert_eq!(kind(answers.remove(0)), ErrorKind::UnknownTopic);
    assert!(answers.remove(0).is_ok());
    assert_eq!(kind(answers.remove(0)), ErrorKind::UnknownPartition);
}

pub async fn a_time_finds_the_first_record_that_is_not_older(bench: &Bench) {
    let topic = bench.topic(1, &[]).await;
    let shard = Shard::new(topic, 0);
    let first = now().plus_millis(-3_600_000);
    let at = |millis| {
        let mut write = write(&shard, None, Some("x"));
        write.timestamp = Some(first.plus_millis(millis));
        write
    };
    bench.put([at(0), at(1_000), at(2_000)]).await;
    let asked: Vec<_> = [-5, 0, 500, 2_000, 2_001].map(|ms| (shard.clone(), first.plus_millis(ms))).into();
    let found = bench.broker.catalog().offsets_at(&asked).await.unwrap();
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), None]);
}

pub async fn a_topic_made_again_has_another_id(bench: &Bench) {
    if !can("topic ids", &bench.broker.capabilities().topic_ids) {
        return;
    }
    let topic = bench.topic(1, &[]).await;
    let id = async || only(bench.broker.catalog().topic_ids(std::slice::from_ref(&topic)).await.unwrap());
    let first = id().await.unwrap();
    only(bench.broker.writer().unwrap().delete_topics(std::slice::from_ref(&topic)).await.unwrap()).unwrap();
    soon("the deletion", async {
        while id().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(kind(id().await), ErrorKind::UnknownTopic);
    soon("the topic's name to be free", async {
        while bench.make(&topic, 1, &[]).await.is_err_and(|e| e.kind == ErrorKind::AlreadyExists) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    bench.ready(&topic, 1).await;
    let second = id().await.unwrap();
    assert_ne!(first, second);
    assert_eq!(bench.bounds(&Shard::new(topic, 0)).await.end, 0);
}

pub async fn a_topic_shows_its_configuration_and_what_is_not_the_default(bench: &Bench) {
    let topic = bench.topic(3, &[("retention.ms", "123456"), ("cleanup.policy", "compact")]).await;
    let asked = [topic, unique("missing")];
    let mut answers = bench.broker.catalog().configs(&asked).await.unwrap();
    assert_eq!(kind(answers.pop().unwrap()), ErrorKind::UnknownTopic);
    let config = answers.pop().unwrap().unwrap();
    let entry = |name: &str| (config[name].value.clone().unwrap(), config[name].is_default);
    assert_eq!(entry("retention.ms"), ("123456".to_owned(), false));
    assert_eq!(entry("cleanup.policy"), ("compact".to_owned(), false));
    assert!(entry("max.message.bytes").1);

    let infos = bench.broker.catalog().topics(Some(&asked)).await.unwrap();
    assert_eq!(infos.len(), 1, "a topic that does not exist is left out: {infos:?}");
    let partitions: Vec<i32> = infos[0].partitions.iter().map(|p| p.partition).collect();
    assert_eq!(partitions, [0, 1, 2]);
    assert!(infos[0].partitions.iter().all(|p| p.leader.is_some() && p.isr.len() == 1));
}

pub async fn a_topic_that_exists_is_not_made_again(bench: &Bench) {
    let topic = bench.topic(1, &[]).await;
    assert_eq!(kind(bench.make(&topic, 1, &[]).await), ErrorKind::AlreadyExists);
}

pub async fn whether_a_topic_can_be_made_is_told_and_none_is_made(bench: &Bench) {
    let there = bench.topic(1, &[]).await;
    let new = |name: &Name, config: &[(&str, &str)]| NewTopic {
        name: Arc::clone(name),
        partitions: 1,
        replication: Some(1),
        config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    let free = unique("free");
    let wanted =
        [new(&free, &[("cleanup.policy", "compact")]), new(&there, &[]), new(&free, &[("no.such", "1")])];
    let checked = async |topic| only(bench.broker.writer().unwrap().check_topics(&[topic]).await.unwrap());
    let [good, same, wrong] = wanted;
    assert_eq!(checked(good).await, Ok(()));
    assert_eq!(kind(checked(same).await), ErrorKind::AlreadyExists);
    assert_eq!(kind(checked(wrong).await), ErrorKind::Invalid);
    assert_eq!(bench.broker.catalog().topics(Some(&[free])).await.unwrap(), []);
}

pub async fn a_name_that_is_not_allowed_is_refused(bench: &Bench) {
    for name in ["", "a topic", "a/b", ".."] {
        let name: Name = name.into();
        assert_eq!(kind(bench.make(&name, 1, &[]).await), ErrorKind::Invalid, "{name:?}");
        let shard = Shard::new(Arc::clone(&name), 0);
        let answer = only(bench.broker.catalog().bounds(&[shard]).await.unwrap());
        let kind = kind(answer);
        assert!(matches!(kind, ErrorKind::Invalid | ErrorKind::UnknownTopic), "{name:?}: {kind:?}");
    }
}

pub async fn bounds_that_are_known_are_renewed(bench: &Bench) {
    let name = bench.topic(3, &[]).await;
    let shards: Vec<Shard> = (0..3).map(|p| Shard::new(Arc::clone(&name), p)).collect();
    for shard in &shards {
        bench.put([write(shard, None, Some("a")), write(shard, None, Some("b"))]).await;
    }
    let catalog = bench.broker.catalog();
    let renew = async |known: &[(Shard, Bounds)]| -> Vec<Bounds> {
        catalog.renew(known).await.unwrap().into_iter().map(Result::unwrap).collect()
    };
    let known = async || -> Vec<(Shard, Bounds)> {
        let bounds = catalog.bounds(&shards).await.unwrap().into_iter().map(Result::unwrap);
        shards.iter().cloned().zip(bounds).collect()
    };
    // One stands still, one grows, one waits for a transaction.
    let before = known().await;
    bench.put([write(&shards[1], None, Some("c"))]).await;
    let session = if can("transactions", &bench.broker.capabilities().transactions) {
        let mut session = bench.transaction(&unique("tx")).await;
        stage(&mut *session, [write(&shards[2], None, Some("open"))]).await;
        Some(session)
    } else {
        None
    };
    let now = renew(&before).await;
    let after = known().await;
    assert_eq!(now, after.iter().map(|(_, bounds)| *bounds).collect::<Vec<_>>());
    assert_eq!((now[0].end, now[1].end), (2, 3));
    if let Some(mut session) = session {
        assert_eq!((now[2].last_stable, now[2].end), (2, 3));
        // The last stable offset moves although the end may not be seen to.
        session.abort().await.unwrap();
        bench.stable(&shards[2], 4).await;
        assert_eq!(renew(&after).await[2], Bounds { start: 0, last_stable: 4, end: 4 });
    }
    // A log that begins anew is known by its end.
    only(bench.broker.writer().unwrap().delete_topics(std::slice::from_ref(&name)).await.unwrap()).unwrap();
    soon("a topic of the same name", async {
        while bench.make(&name, 2, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    bench.ready(&name, 2).await;
    let mut again = catalog.renew(&after).await.unwrap();
    assert_eq!(kind(again.pop().unwrap()), ErrorKind::UnknownPartition);
    for bounds in again {
        assert_eq!(bounds.unwrap(), Bounds { start: 0, last_stable: 0, end: 0 });
    }
}

pub async fn what_was_deleted_a_moment_ago_is_refused(bench: &Bench) {
    let name = bench.topic(2, &[]).await;
    let kept = bench.topic(1, &[]).await;
    let shards = [Shard::new(Arc::clone(&name), 0), Shard::new(Arc::clone(&name), 1), Shard::new(kept, 0)];
    let catalog = bench.broker.catalog();
    let mut known = catalog.bounds(&shards).await.unwrap();
    let known: Vec<_> = shards.iter().cloned().zip(known.drain(..).map(Result::unwrap)).collect();
    assert!(catalog.topics(None).await.unwrap().iter().any(|topic| topic.name == name));
    only(bench.broker.writer().unwrap().delete_topics(std::slice::from_ref(&name)).await.unwrap()).unwrap();
    for answer in [soon("bounds", catalog.bounds(&shards)).await, soon("bounds", catalog.renew(&known)).await]
    {
        let kinds: Vec<_> = answer.unwrap().into_iter().map(|bounds| bounds.map_err(|e| e.kind)).collect();
        let (gone, empty) = (Err(ErrorKind::UnknownTopic), Ok(Bounds { start: 0, last_stable: 0, end: 0 }));
        assert_eq!(kinds, [gone, gone, empty]);
    }
}
