//! What a plan refuses, skips and says.

use bytes::Bytes;
use redrive::broker::ErrorKind;
use redrive::broker::memory::fault::Op;
use redrive::ledger::{AUDIT_TOPIC, Disposition, LEDGER_TOPIC};
use redrive::redrive::document::{Into, PlanAnswer};
use redrive::redrive::options::{Place, Which};

use crate::world::{Dead, SOURCE, TARGET, World};

fn rules(plan: &PlanAnswer) -> Vec<(&'static str, u64)> {
    plan.preflight.refusals.iter().map(|r| (r.rule, r.count)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_of_several_letters_of_a_failed_record_is_sent_and_the_others_are_marked() {
    let world = World::empty().await;
    let one = Dead::new(0, "a", (0, 1));
    let mut other = one.clone();
    other.value = Some(Bytes::from_static(b"another value"));
    world.bury(&[one.clone(), Dead { partition: 1, ..one.clone() }, other]).await;
    let plan = world.plan().await;
    assert_eq!((plan.preflight.selected, plan.preflight.duplicates), (2, 1));
    assert_eq!(plan.plan.header.counts.duplicates, Some(1));
    // Where they are sent all the same, the plan does not say that there are none.
    let mut request = World::request();
    request.options.force.push("duplicate".to_owned());
    assert_eq!(world.plan_with(request).await.unwrap().plan.header.counts.duplicates, None);
    let run = world.run(&plan.plan).await.unwrap();
    assert_eq!((run.redriven, run.duplicates, run.remaining), (2, 1, 0));
    let reader = world.ledger().await;
    let counts = reader.ledger().unwrap().counts(&world.topic_id(SOURCE).await);
    assert_eq!((counts.redriven, counts.duplicate), (2, 1));
    assert_eq!(world.read(TARGET).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_letter_redriven_before_is_marked_too() {
    let world = World::empty().await;
    let one = Dead::new(0, "a", (0, 1));
    world.bury(&[one.clone(), one]).await;
    let mut request = World::request();
    request.only = Some(vec![(0, 0)]);
    let first = world.plan_with(request).await.unwrap();
    assert_eq!(first.records, 1);
    world.run(&first.plan).await.unwrap();
    let second = world.plan().await;
    assert_eq!((second.preflight.selected, second.preflight.duplicates), (0, 1));
    let run = world.run(&second.plan).await.unwrap();
    assert_eq!((run.redriven, run.duplicates), (0, 1));
    assert_eq!(world.read(TARGET).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_again_is_counted_and_the_limit_stops_the_loop() {
    let world = World::empty().await;
    let mut origin = (0, 5);
    for round in 1..=3 {
        // Each time for another reason, and without the header that counts.
        let error = ["a.One", "a.Two", "a.Three"][round - 1];
        world.bury(&[Dead { error, ..Dead::new(0, "a", origin) }]).await;
        let plan = world.plan().await;
        assert_eq!(rules(&plan), [], "round {round}");
        assert_eq!(plan.preflight.again, u64::from(round > 1));
        world.run(&plan.plan).await.unwrap();
        let sent = world.read(TARGET).await.pop().unwrap();
        assert_eq!(sent.headers.last("redrive-count").unwrap(), round.to_string().as_bytes());
        origin = (sent.at.partition, sent.at.offset);
    }
    world.bury(&[Dead { error: "a.Four", ..Dead::new(0, "a", origin) }]).await;
    let plan = world.plan().await;
    assert_eq!((rules(&plan), plan.records), (vec![("loop_limit", 1)], 0));
    let mut forced = World::request();
    forced.options.force.push("loop_limit".to_owned());
    assert_eq!(world.plan_with(forced).await.unwrap().records, 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_for_the_same_reason_again_is_refused() {
    let world = World::empty().await;
    world.bury(&[Dead::new(0, "a", (0, 5))]).await;
    world.run(&world.plan().await.plan).await.unwrap();
    let sent = world.read(TARGET).await.pop().unwrap();
    world.bury(&[Dead::new(0, "a", (sent.at.partition, sent.at.offset))]).await;
    assert_eq!(rules(&*world.plan().await), [("same_failure", 1)]);
}

#[tokio::test(start_paused = true)]
async fn letters_that_cannot_be_sent_are_refused_by_name() {
    let world = World::empty().await;
    let mut tombstone = Dead::new(0, "a", (0, 1));
    tombstone.value = None;
    let mut large = Dead::new(0, "b", (0, 2));
    // Bytes that do not compress: what compression makes small enough is not refused.
    let noise = (0..60_000).flat_map(|_| uuid::Uuid::new_v4().into_bytes());
    large.value = Some(noise.collect::<Vec<u8>>().into());
    let mut nowhere = Dead::new(0, "c", (0, 3));
    nowhere.topic = "gone";
    let mut forged = Dead::new(0, "d", (0, 4));
    forged.topic = "__redrive.ledger";
    world.bury(&[tombstone, large, nowhere, forged, Dead::new(0, "e", (0, 5))]).await;
    world.delete(TARGET).await;
    world.create(TARGET, 3, &[("max.message.bytes", "100000")]).await;
    let plan = world.plan().await;
    let mut refused = rules(&plan);
    refused.sort_unstable();
    let wanted = [("origin_unknown", 1), ("target_missing", 1), ("tombstone", 1), ("too_large", 1)];
    assert_eq!(refused, wanted);
    assert_eq!(plan.records, 1);
    // Nothing was made by asking.
    let topics = world.broker().catalog().topics(None).await.unwrap();
    assert!(!topics.iter().any(|t| *t.name == *"gone"));
    let mut request = World::request();
    request.options.force.push("pointer".to_owned());
    assert_eq!(world.plan_with(request).await.unwrap_err().code, "usage");
}

#[tokio::test(start_paused = true)]
async fn an_older_value_does_not_replace_a_newer_one_on_a_compacted_target() {
    let world = World::empty().await;
    world.create("state", 1, &[("cleanup.policy", "compact")]).await;
    world.bury(&[Dead::new(0, "a", (0, 0)), Dead::new(0, "b", (0, 1))]).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world
        .produce(redrive::broker::Write {
            topic: "state".into(),
            partition: Some(0),
            key: Some(Bytes::from_static(b"a")),
            value: Some(Bytes::from_static(b"newer")),
            headers: redrive::event::Headers::default(),
            timestamp: None,
        })
        .await;
    let mut request = World::request();
    request.into = Into::Topic("state".to_owned());
    let plan = world.plan_with(request).await.unwrap();
    assert_eq!((rules(&plan), plan.records), (vec![("compacted_order", 1)], 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_version_has_replaced_is_refused_and_what_only_came_before_others_is_told() {
    let world = World::empty().await;
    let event = |key: &str, version: i64| {
        let text = format!(
            r#"{{"event_id":"e-{key}-{version}","event_type":"moved","aggregate_id":"{key}","sequence":{version}}}"#
        );
        Some(Bytes::from(text))
    };
    for (offset, key, version) in [(0, "a", 3), (1, "b", 9), (2, "c", 1)] {
        let value = if key == "c" { Some(Bytes::from_static(b"plain")) } else { event(key, version) };
        world.bury(&[Dead { value, ..Dead::new(0, key, (0, offset)) }]).await;
    }
    for (key, version) in [("x", 1), ("x", 2), ("x", 3), ("a", 4), ("a", 5), ("b", 8), ("c", 7)] {
        let (topic, key, value) =
            (TARGET.into(), Some(Bytes::copy_from_slice(key.as_bytes())), event(key, version));
        let headers = redrive::event::Headers::default();
        let write =
            redrive::broker::Write { topic, partition: Some(0), key, value, headers, timestamp: None };
        world.produce(write).await;
    }
    let plan = world.plan().await;
    // Of b the letter has the newest version, though another event of it lies behind it; of c nothing tells.
    assert_eq!((rules(&plan), plan.records), (vec![("superseded", 1)], 2));
    assert!(plan.preflight.refusals[0].why.contains("newest version 5"), "{:?}", plan.preflight.refusals);
    let told = &plan.preflight.superseded;
    assert_eq!((told.count, told.events, told.newest_version, told.complete), (2, 3, Some(7), true));
    let mut request = World::request();
    request.options.force.push("superseded".to_owned());
    let forced = world.plan_with(request).await.unwrap();
    assert_eq!((rules(&forced), forced.records), (vec![], 3));
    assert!(forced.preflight.warnings.iter().any(|w| w.contains("newer events of their key")));
}

#[tokio::test(start_paused = true)]
async fn letters_go_out_in_the_order_of_their_records() {
    let world = World::empty().await;
    let origins = [3, 1, 2, 0];
    let letters: Vec<Dead> = origins.iter().map(|o| Dead::new((*o % 2) as i32, "a", (0, *o))).collect();
    world.bury(&letters).await;
    let plan = world.plan().await;
    world.run(&plan.plan).await.unwrap();
    let values: Vec<Bytes> = world.read(TARGET).await.into_iter().filter_map(|r| r.value).collect();
    assert_eq!(values, ["a@0:0", "a@0:1", "a@0:2", "a@0:3"].map(Bytes::from));
    let reader = world.ledger().await;
    let id = world.topic_id(SOURCE).await;
    assert_eq!(reader.ledger().unwrap().disposition(&id, 0, 0), Disposition::Redriven);
}

#[tokio::test(start_paused = true)]
async fn groups_that_read_the_target_are_named() {
    let world = World::new().await;
    let broker = world.broker();
    let offsets = [(redrive::broker::Shard::new(TARGET, 0), 0)];
    broker.writer().unwrap().alter_offsets(&"mailer".into(), &offsets).await.unwrap();
    let plan = world.plan().await;
    assert_eq!(plan.preflight.groups_that_will_see_them, ["mailer".into()]);
    assert!(plan.preflight.warnings.iter().any(|w| w.contains("read_uncommitted")));
    assert_eq!(plan.guarantee, "exactly_once");
}

#[tokio::test(start_paused = true)]
async fn letters_go_into_the_retry_topic_of_their_group() {
    let world = World::empty().await;
    let letter = |group| Dead { group: Some(group), ..Dead::new(0, "a", (0, 1)) };
    world.bury(&[letter("email"), letter("billing"), Dead::new(0, "b", (0, 2))]).await;
    let mut request = World::request();
    request.into = Into::Retry;
    let refused = world.plan_with(request.clone()).await.unwrap();
    assert_eq!(refused.preflight.refusals[0].rule, "target_missing");
    world.create("orders-email-retry", 1, &[]).await;
    world.create("orders-retry-0", 1, &[]).await;
    let plan = world.plan_with(request).await.unwrap();
    let to: Vec<(&str, u64)> = plan.preflight.by_origin.iter().map(|t| (&*t.name, t.count)).collect();
    assert_eq!(to, [("orders-retry-0", 2), ("orders-email-retry", 1)]);
    assert_eq!(world.run(&plan.plan).await.unwrap().redriven, 3);
    assert_eq!(world.read("orders-email-retry").await.len(), 1);
}

/// Three records on the target, and letters of them: one as it was, one written anew, one that lost its key.
async fn altered() -> World {
    let world = World::empty().await;
    for value in ["{\"a\": 1}", "{\"a\": 2}", "{\"a\": 3}"] {
        world
            .produce(redrive::broker::Write {
                topic: TARGET.into(),
                partition: Some(0),
                key: Some("k".into()),
                value: Some(value.into()),
                headers: redrive::event::Headers::default(),
                timestamp: None,
            })
            .await;
    }
    let letter =
        |offset, value: &'static str| Dead { value: Some(value.into()), ..Dead::new(0, "k", (0, offset)) };
    let keyless = Dead { key: None, ..letter(2, "{\"a\": 3}") };
    world.bury(&[letter(0, "{\"a\": 1}"), letter(1, "{\"a\":2}"), keyless]).await;
    world
}

#[tokio::test(start_paused = true)]
async fn letters_are_compared_with_their_origins_and_a_dropped_key_is_taken_from_there() {
    let world = altered().await;
    let plan = world.plan().await;
    let differ = plan.preflight.differ_from_origin;
    assert_eq!((differ.checked, differ.of, differ.complete), (3, 3, true));
    // Spring's trace header is on the letters alone.
    assert_eq!((differ.key, differ.value, differ.headers), (1, 1, 3));
    assert!(plan.plan.header.options.fill_keys);
    assert_eq!(world.run(&plan.plan).await.unwrap().redriven, 3);
    let sent = world.read(TARGET).await.split_off(3);
    assert!(sent.iter().all(|r| r.key.as_deref() == Some(b"k")));
    assert_eq!(sent[1].value.as_deref(), Some(&b"{\"a\":2}"[..]));
}

#[tokio::test(start_paused = true)]
async fn the_origins_bytes_are_sent_or_refused_when_they_are_gone() {
    let world = altered().await;
    let mut request = World::request();
    request.options.bytes = Which::Origin;
    let plan = world.plan_with(request.clone()).await.unwrap();
    assert_eq!(plan.preflight.selected, 3);
    let broker = world.broker();
    let trim = async |before| {
        let before = [(redrive::broker::Shard::new(TARGET, 0), before)];
        broker.writer().unwrap().delete_before(&before).await.unwrap();
    };
    trim(1).await;
    let fewer = world.plan_with(request).await.unwrap();
    assert_eq!((fewer.preflight.selected, fewer.preflight.refusals[0].rule), (2, "pointer"));
    // The first plan, of which one origin is gone since: nothing is sent in its place.
    let run = world.run(&plan.plan).await.unwrap();
    assert_eq!((run.redriven, run.expired), (2, 1));
    let sent = world.read(TARGET).await.split_off(2);
    assert_eq!(sent[0].value.as_deref(), Some(&b"{\"a\": 2}"[..]));
    assert!(sent[0].headers.iter().all(|(name, _)| name.starts_with(b"redrive-")));
}

#[tokio::test(start_paused = true)]
async fn an_origin_topic_that_was_made_again_is_not_taken_from() {
    let world = altered().await;
    world.create("elsewhere", 1, &[]).await;
    let mut request = World::request();
    request.options.bytes = Which::Origin;
    request.into = Into::Topic("elsewhere".to_owned());
    let plan = world.plan_with(request).await.unwrap();
    world.delete(TARGET).await;
    world.create(TARGET, 3, &[]).await;
    assert_eq!(world.run(&plan.plan).await.unwrap_err().code, "target_changed");
}

#[tokio::test(start_paused = true)]
async fn timestamps_that_the_target_refuses_and_partitions_by_word() {
    let world = World::empty().await;
    world.create("strict", 3, &[("message.timestamp.before.max.ms", "1000")]).await;
    world.bury(&[Dead::new(0, "a", (1, 1)), Dead::new(0, "a", (2, 2))]).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let mut request = World::request();
    request.into = Into::Topic("strict".to_owned());
    request.options.keep_timestamps = true;
    let plan = world.plan_with(request.clone()).await.unwrap();
    assert_eq!((plan.preflight.refusals[0].rule, plan.preflight.refusals[0].count), ("timestamp", 2));
    let mut request = World::request();
    request.options.place = Some(Place::Original);
    let plan = world.plan_with(request.clone()).await.unwrap();
    let places = |plan: &redrive::redrive::plan::Plan| -> Vec<i32> {
        plan.letters.iter().map(|l| l.target_partition).collect()
    };
    assert_eq!(places(&plan.plan), [1, 2]);
    request.options.place = Some(Place::Rehash);
    let hashed = redrive::event::murmur2::partition(b"a", 3).unwrap();
    assert_eq!(places(&world.plan_with(request).await.unwrap().plan), [hashed, hashed]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_changes_what_it_says_and_places_a_new_key_anew() {
    let world = World::empty().await;
    let value = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    world
        .bury(&[
            Dead { value: value("{ \"n\" : 1.0, \"ok\": false }"), ..Dead::new(0, "a", (1, 1)) },
            Dead { value: value("{\"ok\":true}"), ..Dead::new(0, "b", (2, 2)) },
            Dead { value: value("plain"), ..Dead::new(0, "c", (2, 3)) },
        ])
        .await;
    let mut request = World::request();
    let code = "if .value.ok then . else .value.ok = true | .key = \"x\" end";
    request.options.edit = Some(code.to_owned());
    let plan = world.plan_with(request.clone()).await.unwrap();
    let p = &plan.preflight;
    assert_eq!((p.selected, p.changed_by_edit, p.rewritten, p.edit_errors), (2, 1, 0, 1));
    assert_eq!(rules(&plan), [("edit", 1)]);
    assert_eq!(p.samples.len(), 1);
    assert!(p.samples[0].after.iter().any(|line| line.contains("true")), "{:?}", p.samples);
    let run = world.run(&plan.plan).await.unwrap();
    assert_eq!(run.redriven, 2);
    let records = world.read(TARGET).await;
    let edited = records.iter().find(|r| r.key.as_deref() == Some(b"x")).unwrap();
    assert_eq!(edited.value.as_deref(), Some(&b"{ \"n\" : 1.0, \"ok\": true }"[..]));
    assert_eq!(Some(edited.at.partition), redrive::event::murmur2::partition(b"x", 3));
    assert!(records.iter().any(|r| r.value.as_deref() == Some(b"{\"ok\":true}")));
    request.options.edit = Some(".value = (".to_owned());
    assert_eq!(world.plan_with(request).await.unwrap_err().code, "jq");
}

#[tokio::test(start_paused = true)]
async fn a_replay_sends_a_slice_once_more_whatever_was_done_with_it_before() {
    let world = World::empty().await;
    world.create("copies", 2, &[]).await;
    for i in 0..6 {
        world
            .produce(redrive::broker::Write {
                topic: TARGET.into(),
                partition: Some(i % 2),
                key: Some("k".into()),
                value: Some(format!("value {i}").into()),
                headers: redrive::event::Headers::default(),
                timestamp: None,
            })
            .await;
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
    let mut request = World::request();
    request.letters.topic = TARGET.into();
    request.into = Into::Topic("copies".to_owned());
    request.replay = true;
    request.options.pace = Some(0.1);
    for round in 1..=2 {
        let plan = world.plan_with(request.clone()).await.unwrap();
        assert_eq!((plan.preflight.selected, rules(&plan).len()), (6, 0));
        let run = world.run(&plan.plan).await.unwrap();
        assert_eq!(run.redriven, 6);
        // Five gaps of ten seconds, ten times as fast.
        assert!((4.9..7.0).contains(&run.seconds), "{}", run.seconds);
        // The same plan once more sends nothing.
        assert_eq!(world.run(&plan.plan).await.unwrap().already_handled, 6);
        let copies = world.read("copies").await;
        assert_eq!(copies.len(), 6 * round);
        let at = copies.last().unwrap().headers.last("redrive-replay").unwrap().to_vec();
        assert_eq!(String::from_utf8(at).unwrap(), "orders:1:2");
    }
    // And no letter counts as handled by it.
    request.replay = false;
    let plan = world.plan_with(request).await.unwrap();
    assert_eq!(plan.preflight.already_handled, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_may_not_be_made_is_told_by_the_plan_with_the_commands_for_an_administrator() {
    let world = World::new().await;
    let denied = || world.memory.faults().fail(Op::CheckTopics, 1, ErrorKind::Authorisation);
    let good = world.plan().await;
    assert_eq!(rules(&good), []);
    denied();
    let plan = world.plan().await;
    assert_eq!(rules(&plan), [("acl", 12)]);
    let refusal = &plan.preflight.refusals[0];
    assert!(refusal.why.starts_with("__redrive.ledger and __redrive.audit are missing, and may not be made"));
    let commands: Vec<&str> = refusal.hint.as_ref().unwrap().lines().skip(1).collect();
    assert_eq!(commands.len(), 2);
    for (command, topic) in commands.iter().zip([LEDGER_TOPIC, AUDIT_TOPIC]) {
        assert!(command.starts_with(&format!("kafka-topics.sh --create --topic {topic} ")), "{command}");
    }
    // A plan from before the right was taken away is run no half of the way.
    denied();
    let fault = world.run(&good.plan).await.unwrap_err();
    assert_eq!((fault.code, fault.exit_code()), ("acl", 4));
    assert_eq!(Some(&fault.hint), refusal.hint.as_ref());
    assert_eq!(world.ends().await, [0, 0, 0, -1, -1]);
    assert_eq!(world.run(&good.plan).await.unwrap().redriven, 12);
    // What is there need not be made.
    denied();
    assert_eq!(rules(&*world.plan().await), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_told_about_making_the_ledger_is_no_refusal() {
    let world = World::new().await;
    world.memory.faults().fail(Op::CheckTopics, 1, ErrorKind::Unsupported);
    assert_eq!(rules(&*world.plan().await), []);
}

#[tokio::test(start_paused = true)]
async fn a_target_or_ledger_without_enough_replicas_in_sync_is_refused_before_anything_is_written() {
    let world = World::new().await;
    let plan = world.plan().await;
    world.create("orders-safe", 3, &[("min.insync.replicas", "2")]).await;
    let mut request = World::request();
    request.into = Into::Topic("orders-safe".into());
    let refused = world.plan_with(request).await.unwrap();
    let refusals = &refused.preflight.refusals;
    assert!(!refusals.is_empty() && refusals.iter().all(|r| r.rule == "replicas"), "{refusals:?}");
    assert_eq!(refusals.iter().map(|r| r.count).sum::<u64>(), 12);
    assert!(refusals[0].why.contains("has 1 replica in sync and needs 2"), "{refusals:?}");
    let fault = world.run(&refused.plan).await.unwrap_err();
    assert_eq!((fault.code, fault.exit_code()), ("replicas", 4), "{fault}");
    assert_eq!(world.ends().await, [0, 0, 0, -1, -1]);

    world.create(LEDGER_TOPIC, 1, &[("cleanup.policy", "compact"), ("min.insync.replicas", "2")]).await;
    assert_eq!(rules(&*world.plan().await), [("replicas", 12)]);
    let fault = world.run(&plan.plan).await.unwrap_err();
    assert_eq!((fault.code, fault.exit_code()), ("replicas", 4), "{fault}");
    assert_eq!(world.ends().await, [0, 0, 0, 0, -1]);
}
