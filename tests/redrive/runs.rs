//! Runs without and with trouble that an operator can meet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use redrive::ask::Event;
use redrive::broker::memory::fault::{Lost, Op};
use redrive::broker::{SessionKind, Shard, Write};
use redrive::event::Headers;
use redrive::ledger::audit::AuditRecord;
use redrive::ledger::row::{HeaderRow, Key};
use redrive::ledger::{AUDIT_TOPIC, Disposition, LEDGER_TOPIC};
use redrive::redrive::plan::{Plan, PlannedLetter};
use tokio_util::sync::CancellationToken;

use crate::world::{Dead, SOURCE, TARGET, World};

#[tokio::test(start_paused = true)]
async fn every_letter_arrives_once_and_a_second_run_writes_nothing() {
    let world = World::new().await;
    let plan = world.plan().await;
    assert_eq!((plan.preflight.selected, plan.preflight.refusals.len()), (12, 0));
    let run = world.run(&plan.plan).await.unwrap();
    assert_eq!((run.redriven, run.remaining, run.stopped), (12, 0, None));
    world.assert_exactly_once(&plan.plan).await;
    let ends = world.ends().await;
    let begun = world.memory.faults().calls_of(Op::Begin);
    let again = world.run(&plan.plan).await.unwrap();
    assert_eq!((again.redriven, again.already_handled), (0, 12));
    assert_eq!(world.ends().await, ends);
    assert_eq!(world.memory.faults().calls_of(Op::Begin), begun);
    let next = world.plan().await;
    assert_eq!((next.preflight.selected, next.preflight.already_handled), (0, 12));
    let runs = world.runs().await;
    assert_eq!(runs.runs.len(), 1);
    assert_eq!((runs.runs[0].state, runs.runs[0].run.redriven), ("done", 12));
    assert_eq!(runs.runs[0].run.run, run.run);
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_failure_are_taken_off_and_those_of_the_run_added() {
    let world = World::empty().await;
    world.bury(&[Dead::new(0, "a", (1, 7))]).await;
    let mut request = World::request();
    request.options.add_headers.push(("why".to_owned(), "fixed".to_owned()));
    let plan = world.plan_with(request).await.unwrap();
    let run = world.run(&plan.plan).await.unwrap();
    let records = world.read(TARGET).await;
    let names: Vec<&[u8]> = records[0].headers.iter().map(|(n, _)| n.as_ref()).collect();
    let wanted =
        ["trace", "why", "redrive-id", "redrive-run", "redrive-count", "redrive-by", "redrive-origin"];
    assert_eq!(names, wanted.map(str::as_bytes));
    let text = |name: &str| String::from_utf8(records[0].headers.last(name).unwrap().to_vec()).unwrap();
    assert_eq!(text("redrive-run"), run.run);
    assert_eq!((text("redrive-count"), text("redrive-by")), ("1".to_owned(), "ada".to_owned()));
    assert_eq!(text("redrive-origin"), "orders:1:7");
    assert_eq!(records[0].at.partition, 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_parked_and_the_rest_of_its_key_is_held() {
    let world = World::empty().await;
    let letters: Vec<Dead> = (0..9_u8)
        .map(|i| {
            let mut letter = Dead::new(0, ["a", "b", "c"][usize::from(i) % 3], (0, i64::from(i)));
            if i == 4 {
                letter.value = Some(Bytes::from(vec![b'x'; 5_000]));
            }
            letter
        })
        .collect();
    world.bury(&letters).await;
    let plan = world.plan().await;
    assert_eq!(plan.preflight.selected, 9);
    // The target takes less than when it was planned.
    let partitions = plan.plan.header.target.topics[0].partitions;
    world.delete(TARGET).await;
    world.create(TARGET, partitions, &[("max.message.bytes", "2000")]).await;
    let plan = replanned(&world, &plan.plan).await;
    let run = world.run(&plan).await.unwrap();
    assert_eq!((run.redriven, run.held, run.remaining, run.stopped), (7, 1, 0, None));
    assert_eq!(run.parked.len(), 1);
    assert_eq!((run.parked[0].partition, run.parked[0].offset), (0, 4));
    // The large one was sent alone, so nothing else was aborted with it.
    assert_eq!(run.aborted_records, 0);
    let values: Vec<Bytes> = world.read(TARGET).await.into_iter().filter_map(|r| r.value).collect();
    let of_b: Vec<&Bytes> = values.iter().filter(|v| v.starts_with(b"b@")).collect();
    assert_eq!(of_b, [&Bytes::from_static(b"b@0:1")]);
    let reader = world.ledger().await;
    let ledger = reader.ledger().unwrap();
    let source = world.topic_id(SOURCE).await;
    assert_eq!(ledger.disposition(&source, 0, 4), Disposition::Parked);
    assert_eq!(ledger.disposition(&source, 0, 7), Disposition::Pending);
    // The same plan once more: what is held stays so.
    let ends = world.ends().await;
    let again = world.run(&plan).await.unwrap();
    assert_eq!((again.redriven, again.held, again.already_handled), (0, 1, 8));
    assert_eq!(world.ends().await, ends);
}

/// The plan, with the targets' ids of now.
async fn replanned(world: &World, plan: &Plan) -> Arc<Plan> {
    let mut plan = plan.clone();
    for target in &mut plan.header.target.topics {
        target.topic_id = Some(world.topic_id(&target.topic).await);
    }
    Arc::new(plan)
}

#[tokio::test(start_paused = true)]
async fn a_second_operator_is_refused_and_takes_over_only_when_told_so() {
    let world = World::new().await;
    let mut request = World::request();
    // Slow enough to renew its ownership while the second one looks on.
    request.options.rate = Some(1);
    let plan = Arc::clone(&world.plan_with(request).await.unwrap().plan);
    let first = {
        let (cx, plan) = (world.cx("ada"), Arc::clone(&plan));
        tokio::spawn(async move {
            let desk = redrive::ask::Desk::new(cx);
            let request = redrive::redrive::document::RunRequest {
                plan,
                reason: None,
                take_over: false,
                may_ask: false,
                control: redrive::redrive::control::Control::default(),
            };
            desk.answer(redrive::ask::Request::Run(request), &|_| {}, CancellationToken::new()).await
        })
    };
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let refused = world.run_as("bob", &plan, false, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(refused.code, "fenced");
    assert!(refused.why.contains("ada"), "{}", refused.why);
    let second = world.run_as("bob", &plan, true, &CancellationToken::new()).await.unwrap();
    let redrive::ask::Answer::Run(first) = first.await.unwrap().unwrap() else { panic!() };
    assert_eq!(first.stopped, Some("fenced"));
    assert!(first.stopped_reason.as_ref().unwrap().contains("bob"));
    assert!(first.redriven > 0);
    assert_eq!(second.stopped, None);
    assert_eq!(first.redriven + second.redriven, 12);
    world.assert_exactly_once(&plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_commit_is_settled_from_the_ledger() {
    for lost in [Lost::Answer, Lost::Request] {
        for nth in 1..=4 {
            let world = World::new().await;
            let mut request = World::request();
            request.options.rate = Some(20);
            let plan = Arc::clone(&world.plan_with(request).await.unwrap().plan);
            world.memory.faults().lose_commit(nth, lost);
            let run = world.run(&plan).await.unwrap();
            assert_eq!((run.redriven, run.stopped, run.remaining), (12, None, 0), "{lost:?} {nth}");
            world.assert_exactly_once(&plan).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_ends_between_transactions_and_goes_on_later() {
    let world = World::new().await;
    let mut request = World::request();
    request.options.rate = Some(8);
    let plan = Arc::clone(&world.plan_with(request).await.unwrap().plan);
    let cancel = CancellationToken::new();
    let seen = Mutex::new(Vec::new());
    let tell = |event: Event| {
        if let Event::Run(run) = event {
            seen.lock().unwrap().push(run.redriven);
            if run.redriven >= 4 {
                cancel.cancel();
            }
        }
    };
    let run = world.run_on(world.cx("ada"), &plan, false, &tell, &cancel).await.unwrap();
    assert_eq!(run.stopped, Some("cancelled"));
    assert!((4..12).contains(&run.redriven), "{}", run.redriven);
    assert_eq!(run.remaining, 12 - run.redriven);
    assert_eq!(world.read(TARGET).await.len() as u64, run.redriven);
    assert_eq!(world.runs().await.runs[0].state, "stopped");
    // Its owner row is closed: nobody has to take over.
    let rest = world.run_as("bob", &plan, false, &CancellationToken::new()).await.unwrap();
    assert_eq!(rest.redriven + run.redriven, 12);
    world.assert_exactly_once(&plan).await;
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept() {
    let world = World::new().await;
    let mut request = World::request();
    request.options.rate = Some(2);
    let plan = Arc::clone(&world.plan_with(request).await.unwrap().plan);
    let run = world.run(&plan).await.unwrap();
    assert_eq!(run.redriven, 12);
    assert!((5.5..6.3).contains(&run.seconds), "{}", run.seconds);
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_not_given_ever_fewer_records() {
    const LETTERS: u64 = 1_500;
    let world = World::empty().await;
    world.bury(&(0..LETTERS as i64).map(|i| Dead::new(0, "a", (0, i))).collect::<Vec<_>>()).await;
    let plan = world.plan().await;
    // Fifty records take longer than a transaction should.
    world.memory.faults().slow(Duration::from_millis(10));
    let before = world.memory.faults().calls_of(Op::Commit);
    let run = world.run(&plan.plan).await.unwrap();
    assert_eq!((run.redriven, run.stopped), (LETTERS, None));
    let transactions = world.memory.faults().calls_of(Op::Commit) - before;
    assert!(transactions < 40, "{transactions}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_is_refused_and_never_made_anew() {
    let world = World::new().await;
    let plan = Arc::clone(&world.plan().await.plan);
    world.run(&plan).await.unwrap();
    world.delete(LEDGER_TOPIC).await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "ledger_lost");
    assert_eq!(world.plan_with(World::request()).await.unwrap_err().code, "ledger_lost");
    world.create(LEDGER_TOPIC, 1, &[("cleanup.policy", "compact")]).await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "ledger_lost");
    assert_eq!(world.read(TARGET).await.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_of_a_newer_format_is_refused() {
    let world = World::new().await;
    let plan = Arc::clone(&world.plan().await.plan);
    world.create(LEDGER_TOPIC, 1, &[("cleanup.policy", "compact")]).await;
    let mut header = HeaderRow::current("later");
    header.v += 1;
    world
        .produce(Write {
            topic: LEDGER_TOPIC.into(),
            partition: Some(0),
            key: Some(Key::Header.encode()),
            value: Some(header.encode()),
            headers: Headers::default(),
            timestamp: None,
        })
        .await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "ledger_newer");
    assert!(world.read(TARGET).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_newer_format_in_the_ledger_is_refused_and_nothing_is_written() {
    let world = World::new().await;
    let plan = Arc::clone(&world.plan().await.plan);
    world.run(&plan).await.unwrap();
    world.bury(&[Dead::new(0, "d", (0, 99))]).await;
    let plan = Arc::clone(&world.plan().await.plan);
    assert_eq!(plan.letters.len(), 1);
    let (cluster, source) = (&plan.header.cluster_id, world.topic_id(SOURCE).await);
    world
        .produce(Write {
            topic: LEDGER_TOPIC.into(),
            partition: Some(0),
            key: Some(Key::letter(cluster, &source, 0, 0).encode()),
            value: Some(Bytes::from_static(br#"{"v":2,"disposition":"pending"}"#)),
            headers: Headers::default(),
            timestamp: None,
        })
        .await;
    let ends = world.ends().await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "ledger_newer");
    assert_eq!(world.plan_with(World::request()).await.unwrap_err().code, "ledger_newer");
    assert_eq!(world.ends().await, ends);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_open_transaction_on_the_ledger_is_waited_for() {
    let world = World::new().await;
    let plan = Arc::clone(&world.plan().await.plan);
    world.run(&plan).await.unwrap();
    world.bury(&[Dead::new(0, "d", (0, 99))]).await;
    let plan = Arc::clone(&world.plan().await.plan);
    let broker = world.broker();
    let kind = SessionKind::Transactional { id: "foreign".to_owned(), timeout: Duration::from_secs(20) };
    let mut foreign = broker.writer().unwrap().begin(kind).await.unwrap();
    foreign
        .stage(Write {
            topic: LEDGER_TOPIC.into(),
            partition: Some(0),
            key: Some(Bytes::from_static(b"foreign")),
            value: None,
            headers: Headers::default(),
            timestamp: None,
        })
        .await
        .unwrap();
    foreign.settle().await.unwrap();
    let run = world.run(&plan).await.unwrap();
    assert_eq!((run.redriven, run.stopped), (1, None));
    assert_eq!(world.read(TARGET).await.len(), 13);
}

#[tokio::test(start_paused = true)]
async fn topics_made_again_and_forged_plans_are_refused() {
    let world = World::new().await;
    let plan = Arc::clone(&world.plan().await.plan);

    let with = |change: &dyn Fn(&mut Vec<PlannedLetter>)| {
        let mut letters: Vec<PlannedLetter> = plan.letters.iter().collect();
        change(&mut letters);
        Plan { letters: letters.into_iter().collect(), ..(*plan).clone() }
    };
    let forged = with(&|letters| letters[3].sha256 = letters[4].sha256);
    assert_eq!(world.run(&Arc::new(forged)).await.unwrap_err().code, "plan_damaged");
    let beyond = with(&|letters| letters[3].offset = 1_000);
    assert_eq!(world.run(&Arc::new(beyond)).await.unwrap_err().code, "plan_damaged");
    let mut elsewhere = (*plan).clone();
    elsewhere.header.cluster_id = "another".into();
    assert_eq!(world.run(&Arc::new(elsewhere)).await.unwrap_err().code, "wrong_cluster");

    world.delete(TARGET).await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "target_missing");
    world.create(TARGET, 3, &[]).await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "target_changed");
    world.delete(SOURCE).await;
    world.create(SOURCE, 2, &[]).await;
    let plan = replanned(&world, &plan).await;
    assert_eq!(world.run(&plan).await.unwrap_err().code, "target_changed");
    assert!(world.read(TARGET).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_only_profile_plans_and_does_not_run() {
    let world = World::new().await;
    let cx = world.cx_on(world.memory.read_only(), "ada");
    let desk = redrive::ask::Desk::new(cx.clone());
    let request = redrive::ask::Request::Plan(World::request());
    let answer = desk.answer(request, &|_| {}, CancellationToken::new()).await.unwrap();
    let redrive::ask::Answer::Plan(plan) = answer else { panic!() };
    assert_eq!(plan.records, 12);
    let run = world.run_on(cx, &plan.plan, false, &|_| {}, &CancellationToken::new()).await;
    assert_eq!(run.unwrap_err().code, "read_only");
}

#[tokio::test(start_paused = true)]
async fn letters_that_expired_since_the_plan_are_told() {
    let world = World::new().await;
    let plan = Arc::clone(&world.plan().await.plan);
    let broker = world.broker();
    let before = [(Shard::new(SOURCE, 0), 2)];
    broker.writer().unwrap().delete_before(&before).await.unwrap();
    let run = world.run(&plan).await.unwrap();
    assert_eq!((run.redriven, run.expired, run.remaining), (10, 2, 0));
    assert_eq!(world.read(AUDIT_TOPIC).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_the_records_is_told_as_far_as_it_shows() {
    let world = World::empty().await;
    let letter = |offset| Dead { group: Some("mailer"), ..Dead::new(0, "a", (0, offset)) };
    world.bury(&[letter(100), letter(101)]).await;
    let plan = Arc::clone(&world.plan().await.plan);
    let commit = async |offset| {
        let broker = world.broker();
        let offsets = [(Shard::new(TARGET, 0), offset)];
        broker.writer().unwrap().alter_offsets(&"mailer".into(), &offsets).await.unwrap();
    };
    commit(0).await;
    // The group has taken one of them when the run gives up waiting.
    let (run, ()) = tokio::join!(world.run(&plan), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        commit(1).await;
    });
    let run = run.unwrap();
    assert_eq!((run.redriven, run.processed, run.unconfirmed, run.came_back), (2, Some(1), 1, 0));
    // Later the other one fails again.
    commit(2).await;
    world.bury(&[letter(1)]).await;
    let row = &world.runs().await.runs[0];
    assert_eq!((row.run.processed, row.run.came_back, row.run.unconfirmed), (Some(1), 1, 0));
}

/// Letters of which those of each target partition come from one partition, so that they may be read side by side.
async fn many() -> World {
    let world = World::empty().await;
    let letter = |i: i64| {
        let key = ["a", "b", "c", "d"][i as usize % 4];
        let partition = (i % 2) as i32;
        let group = (i % 5 > 0).then_some("email");
        let value = (i % 7 > 0).then(|| Bytes::from(format!("value {i}")));
        Dead { value, group, ..Dead::new(partition, key, (partition, i)) }
    };
    let letters: Vec<Dead> = (0..700).map(letter).collect();
    world.bury(&letters).await;
    world
}

async fn plan_of_many(world: &World, canary: Option<u32>) -> Arc<Plan> {
    let mut request = World::request();
    request.options.force.push("tombstone".to_owned());
    request.options.canary = canary;
    Arc::clone(&world.plan_with(request).await.unwrap().plan)
}

#[tokio::test(start_paused = true)]
async fn letters_that_are_read_side_by_side_are_sent_as_when_they_are_read_one_after_another() {
    let mut both = Vec::new();
    // All of a canary go out in the order of the plan.
    for canary in [None, Some(100), Some(700)] {
        let world = many().await;
        let plan = plan_of_many(&world, canary).await;
        assert_eq!(plan.letters.len(), 700);
        assert_eq!(world.run(&plan).await.unwrap().redriven, 700);
        world.assert_exactly_once(&plan).await;
        // The letters of a transaction share a row, where they are alike.
        assert!(world.ends().await[3] < 60, "{:?}", world.ends().await);
        let mut sent = world.read(TARGET).await;
        sent.sort_by_key(|record| (record.at.partition, record.at.offset));
        let own: [&[u8]; 2] = [b"redrive-id", b"redrive-run"];
        let known = |mut record: redrive::event::Record| {
            record.headers.0.retain(|(name, _)| !own.contains(&&**name));
            (record.at.partition, record.key, record.value, record.headers)
        };
        both.push(sent.into_iter().map(known).collect::<Vec<_>>());
    }
    assert!(both[0] == both[2] && both[1] == both[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_letter_is_in_the_audit_of_its_transaction_once() {
    let world = World::empty().await;
    // They take several reads, and several transactions.
    let value = Bytes::from(vec![b'x'; 2_000]);
    let letter = |i: i64| Dead {
        value: Some(value.clone()),
        ..Dead::new((i % 2) as i32, ["a", "b"][i as usize % 2], ((i % 2) as i32, i))
    };
    world.bury(&(0..2_500).map(letter).collect::<Vec<_>>()).await;
    let plan = Arc::clone(&world.plan().await.plan);
    assert_eq!(world.run(&plan).await.unwrap().redriven, 2_500);
    world.assert_exactly_once(&plan).await;
    let mut told: Vec<(i32, i64)> = Vec::new();
    let mut redriven = 0;
    for record in world.read(AUDIT_TOPIC).await {
        let record = AuditRecord::decode(record.value.as_deref()).unwrap();
        for (partition, offsets) in record.positions {
            told.extend(offsets.into_iter().flat_map(|(from, to)| from..=to).map(|at| (partition, at)));
        }
        assert!(record.run.is_empty() || record.totals.redriven >= redriven);
        redriven = redriven.max(record.totals.redriven);
        assert!(record.run.is_empty() || told.len() as u64 == redriven, "{} and {redriven}", told.len());
    }
    told.sort_unstable();
    let mut planned: Vec<(i32, i64)> = plan.letters.iter().map(|l| (l.partition, l.offset)).collect();
    planned.sort_unstable();
    assert!(told == planned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_whose_transaction_was_aborted_are_read_again_and_sent_as_they_are() {
    let world = World::empty().await;
    for (topic, partitions) in [(SOURCE, 2), (TARGET, 3)] {
        world.delete(topic).await;
        world.create(topic, partitions, &[("max.message.bytes", "4000000")]).await;
    }
    let keys = ["a", "b", "large"];
    let value = |i: i64| format!("{i} {}", "x".repeat(if i == 1_400 { 2_000_000 } else { 2_000 }));
    let letter = |i: i64| Dead {
        value: Some(value(i).into()),
        ..Dead::new((i % 2) as i32, keys[if i == 1_400 { 2 } else { i as usize % 2 }], ((i % 2) as i32, i))
    };
    world.bury(&(0..1_401).map(letter).collect::<Vec<_>>()).await;
    let plan = Arc::clone(&world.plan().await.plan);
    // The target takes less than when it was planned, but more than a batch of the others.
    world.delete(TARGET).await;
    world.create(TARGET, 3, &[("max.message.bytes", "1100000")]).await;
    let plan = replanned(&world, &plan).await;
    let run = world.run(&plan).await.unwrap();
    assert_eq!((run.redriven, run.parked.len(), run.held, run.stopped), (1_400, 1, 0, None));
    // Some were written, and given back, before the large one was refused.
    assert!(run.aborted_records > 0);
    let mut sent: Vec<(i64, Bytes)> = Vec::new();
    for record in world.read(TARGET).await {
        assert_eq!(record.headers.last("trace").unwrap(), "t-1");
        let value = record.value.unwrap();
        let number = std::str::from_utf8(&value).unwrap().split(' ').next().unwrap().parse().unwrap();
        sent.push((number, value));
    }
    sent.sort_unstable();
    assert_eq!(sent, (0..1_400).map(|i| (i, Bytes::from(value(i)))).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn letters_of_which_nothing_was_held_until_the_commit_are_read_again_too() {
    const MANY: i64 = 12_000;
    let world = World::empty().await;
    for (topic, partitions) in [(SOURCE, 2), (TARGET, 3)] {
        world.delete(topic).await;
        world.create(topic, partitions, &[("max.message.bytes", "4000000")]).await;
    }
    let value = |i: i64| if i == MANY { "x".repeat(2_000_000) } else { i.to_string() };
    let letter = |i: i64| Dead {
        value: Some(value(i).into()),
        group: Some("email"),
        ..Dead::new((i % 2) as i32, if i == MANY { "large" } else { "a" }, ((i % 2) as i32, i))
    };
    world.bury(&(0..=MANY).map(letter).collect::<Vec<_>>()).await;
    let plan = Arc::clone(&world.plan().await.plan);
    world.delete(TARGET).await;
    world.create(TARGET, 3, &[("max.message.bytes", "1100000")]).await;
    let plan = replanned(&world, &plan).await;
    let run = world.run(&plan).await.unwrap();
    assert_eq!((run.redriven, run.parked.len(), run.stopped), (MANY as u64, 1, None));
    // More were written, in one transaction, than are followed.
    assert!(run.aborted_records > 10_000, "{}", run.aborted_records);
    let mut sent: Vec<i64> = Vec::new();
    for record in world.read(TARGET).await {
        assert_eq!(record.headers.last("redrive-count").unwrap(), "1");
        sent.push(std::str::from_utf8(&record.value.unwrap()).unwrap().parse().unwrap());
    }
    sent.sort_unstable();
    assert_eq!(sent, (0..MANY).collect::<Vec<_>>());
    // Where nothing was sent is told by the ledger; so is the group, of all that were.
    let (reader, source) = (world.ledger().await, world.topic_id(SOURCE).await);
    let ledger = reader.ledger().unwrap();
    let is_told = |i: i64| {
        let row = ledger.get(&source, (i % 2) as i32, i / 2).unwrap();
        row.group.is_some_and(|group| &**group == "email") && row.target.is_some() && row.count == 1
    };
    assert!((0..MANY).all(is_told));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_gone_or_another_is_told_where_several_partitions_are_read() {
    let world = many().await;
    let plan = plan_of_many(&world, None).await;
    let broker = world.broker();
    broker.writer().unwrap().delete_before(&[(Shard::new(SOURCE, 0), 5)]).await.unwrap();
    let mut other = (*plan).clone();
    let change = |letter: PlannedLetter| {
        let mut letter = letter;
        letter.sha256.0[0] ^= u8::from((letter.partition, letter.offset) == (1, 300));
        letter
    };
    other.letters = other.letters.iter().map(change).collect();
    let refusal = world.run(&Arc::new(other)).await.unwrap_err();
    assert_eq!(refusal.code, "plan_damaged");
    assert!(refusal.why.contains("letter 1/300 is not the one that was planned"), "{}", refusal.why);
    let run = world.run(&plan).await.unwrap();
    assert_eq!((run.redriven + run.already_handled, run.expired), (695, 5));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_of_an_older_format_is_read_and_goes_on_in_the_current_one() {
    for version in [1, 3] {
        let world = World::new().await;
        world.create(LEDGER_TOPIC, 1, &[("cleanup.policy", "compact")]).await;
        let plan = Arc::clone(&world.plan().await.plan);
        let (cluster, source) = (&plan.header.cluster_id, world.topic_id(SOURCE).await);
        let mut header = HeaderRow::current("before");
        (header.v, header.rows) = (version, if version == 1 { "letter" } else { "letters" }.to_owned());
        let (key, parked) = if version == 1 {
            let parked = br#"{"v":1,"disposition":"parked","run":"r","operator":"ada","reason":null,
                "sha256_before":"","sha256_after":null,"target":null,
                "root":{"topic":"orders","partition":0,"offset":0,"timestamp_ms":null},
                "group":null,"count":0,"program":"before","time_ms":1}"#;
            (Key::letter(cluster, &source, 0, 0), Bytes::from_static(parked))
        } else {
            let parked = format!(
                r#"{{"v":3,"disposition":"parked","run":"r","operator":"ada","reason":null,"target_topic":null,
                "target_topic_id":null,"root_topic":"orders","group":null,"program":"before","time_ms":1,
                "letters":[[0,null,null,0,0,null,0,"{}"]]}}"#,
                "ab".repeat(32)
            );
            (Key::letters(cluster, &source, 0, 0, "r"), parked.into())
        };
        for (key, value) in [(Key::Header, header.encode()), (key, parked)] {
            let (topic, partition, headers) = (LEDGER_TOPIC.into(), Some(0), Headers::default());
            let (key, value) = (Some(key.encode()), Some(value));
            world.produce(Write { topic, partition, key, value, headers, timestamp: None }).await;
        }
        assert!(!world.ledger().await.ledger().unwrap().is_current());
        let run = world.run(&plan).await.unwrap();
        let reader = world.ledger().await;
        let ledger = reader.ledger().unwrap();
        assert!(ledger.is_current());
        assert_eq!(ledger.disposition(&source, 0, 0), Disposition::Parked);
        // The rest of its key is held.
        assert_eq!((run.redriven, ledger.counts(&source).redriven), (8, 8));
    }
}
