//! Made-up pictures and answers, as an incident looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use redrive::ask::{Answer, Event};
use redrive::broker::ConfigEntry;
use redrive::dlq::failure::Failure;
use redrive::dlq::groups::{DlqRow, FailureRow, FoundBy, Sample};
use redrive::dlq::{Letter, Origin};
use redrive::event::record::{RecordTime, TimeKind};
use redrive::event::{Headers, Position, Record};
use redrive::ledger::Disposition;
use redrive::letters::document::{FailuresAnswer, LetterRow, LettersAnswer};
use redrive::observe::snapshot::{
    Attention, ClusterRow, Freshness, GroupPartitionRow, GroupRow, History, Latency, MemberRow, PartitionRow,
    Place, Role, Severity, Snapshot, Status, TopicRow, Totals,
};
use redrive::records::document::TailAnswer;
use redrive::redrive::document::{
    Into, ParkedLetter, PlanAnswer, Preflight, RunAnswer, RunRow, RunsAnswer, Tally,
};
use redrive::redrive::options::Options;
use redrive::redrive::packed::Letters;
use redrive::redrive::plan::{Plan, PlanCounts, PlanHeader, PlannedTarget, PlannedTopic};
use redrive::text::Timestamp;
use redrive::tui::message::Message;

use crate::bench::{Bench, NOW};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// So many milliseconds ago.
pub fn ago(millis: i64) -> Timestamp {
    NOW.plus_millis(-millis)
}

/// A wave, for histories.
fn wave(top: f64) -> Vec<f64> {
    (0..40).map(|i| top * (0.55 + 0.45 * (f64::from(i) / 5.0).sin())).collect()
}

fn known(values: Vec<f64>) -> Vec<Option<f64>> {
    values.into_iter().map(Some).collect()
}

fn partition(partition: i32, start: i64, end: i64, rate: f64) -> PartitionRow {
    PartitionRow {
        partition,
        leader: Some(1),
        replicas: vec![1, 2, 3],
        isr: if partition == 1 { vec![1, 3] } else { vec![1, 2, 3] },
        start_offset: Some(start),
        end_offset: Some(end),
        last_stable_offset: Some(end - i64::from(partition == 2) * 12),
        records_per_second: Some(rate),
    }
}

/// A topic.
pub fn topic(name: &str, role: Role, rate: f64, dead: &[&str], worst: Option<(&str, u64)>) -> TopicRow {
    let detail: Vec<PartitionRow> =
        (0..4).map(|p| partition(p, 1_000, 22_000 + i64::from(p) * 131, rate / 4.0)).collect();
    let setting = |value: &str, is_default| ConfigEntry { value: Some(value.to_owned()), is_default };
    let config = BTreeMap::from([
        ("cleanup.policy".to_owned(), setting("delete", true)),
        ("retention.ms".to_owned(), setting("604800000", false)),
        ("max.message.bytes".to_owned(), setting("1048588", true)),
    ]);
    TopicRow {
        name: name.into(),
        role,
        partitions: 4,
        replication_factor: 3,
        records: Some(84_786),
        records_per_second: Some(rate),
        bytes_per_second: Some(rate * 340.0),
        bytes_per_second_estimated: true,
        retention_ms: Some(7 * 24 * HOUR),
        cleanup_policy: Some("delete".to_owned()),
        dead_letter_topics: dead.iter().map(|name| (*name).into()).collect(),
        worst_group: worst.map(|(group, _)| group.into()),
        worst_lag: worst.map(|(_, lag)| lag),
        error: None,
        config_error: None,
        detail: detail.into(),
        config: Some(Arc::new(config)),
        appended: None,
        trend: wave(rate).into(),
    }
}

/// A group.
pub fn group(name: &str, topic: &str, status: Status, lag: u64, p99: Option<f64>, errors: f64) -> GroupRow {
    let part = |partition: i32, lag: u64| GroupPartitionRow {
        topic: topic.into(),
        partition,
        committed: Some(48_211 - i64::from(partition)),
        start_offset: Some(1_000),
        end_offset: Some(48_211 - i64::from(partition) + lag as i64),
        last_stable_offset: None,
        lag: Some(lag),
        lag_seconds: Some(lag as f64 / 40.0),
        lag_seconds_basis: Some("observed"),
        commit_age_seconds: (partition != 3).then_some(0.8),
        commit_still_seconds: (partition == 3).then_some(41.0),
        status: if partition == 3 { status } else { Status::Ok },
        member: Some("email-1-8f2c".into()),
        client_id: Some("email-1".into()),
        host: Some("/10.0.3.17".into()),
        lost: 0,
    };
    GroupRow {
        group: name.into(),
        kind: "consumer",
        unknown_reason: None,
        state: Some("Stable".to_owned()),
        members: Some(2),
        topics: vec![topic.into()],
        lag: Some(lag),
        lag_unknown_partitions: 0,
        lag_seconds: Some(lag as f64 / 40.0),
        consumed_per_second: Some(151.2),
        drain_seconds: if status == Status::Ok { Some(8.0) } else { None },
        falls_behind: status != Status::Ok,
        status,
        latency_ms: Latency {
            p50: p99.map(|n| n / 8.0),
            p95: p99.map(|n| n / 2.0),
            p99,
            samples: 3_000,
            ..Latency::default()
        },
        detail: [part(3, lag - lag / 4), part(0, lag / 8), part(1, lag / 8), part(2, 0)].into(),
        member_rows: [MemberRow {
            member: "email-1-8f2c".into(),
            client_id: "email-1".to_owned(),
            host: "/10.0.3.17".to_owned(),
            assigned: vec![format!("{topic}[0,1]")],
        }]
        .into(),
        latency_counts: [].into(),
        trend: wave(lag as f64).into(),
        error_percent: Some(errors),
    }
}

/// A dead-letter topic.
pub fn dlq(topic: &str, source: &str, group: &str, pending: u64, oldest: Option<i64>, left: i64) -> DlqRow {
    DlqRow {
        topic: topic.into(),
        found_by: FoundBy::Headers,
        reason: "its records carry headers of spring-kafka, and its name fits *-dlt".into(),
        formats: vec!["spring-kafka".into()],
        sources: vec![source.into()],
        groups: vec![group.into()],
        records: Some(pending + 120),
        pending: Some(pending),
        redriven: Some(110),
        discarded: Some(2),
        parked: Some(8),
        duplicate: Some(0),
        arrivals_per_minute: Some(if pending > 100 { 12.0 } else { 0.0 }),
        oldest_timestamp: oldest.map(ago),
        oldest_age_seconds: oldest.map(|ms| ms as f64 / 1000.0),
        expires_at: oldest.map(|_| NOW.plus_millis(left)),
        expires_soon: left < 48 * 3_600_000,
        beyond_last_stable: Some(0),
        complete: true,
        scanned: pending + 120,
        top_failure: (pending > 0).then(|| "java.net.SocketTimeoutException".into()),
        failures: usize::from(pending > 0) * 2,
        arrived: 0,
        arrived_by_group: Vec::new(),
        new_failures: Vec::new(),
        arrivals: vec![0, 0, 1, 0, 2, 1, 0, 3, 5, 8, 12, 9, 14, 12, 13],
        error: None,
    }
}

fn attention(severity: Severity, what: &str, screen: &'static str, name: &str, since: i64) -> Attention {
    let (topic, group) =
        if screen == "groups" { (None, Some(name.into())) } else { (Some(name.into()), None) };
    Attention {
        severity,
        what: what.to_owned(),
        place: Place { screen, topic, partition: None, offset: None, group },
        since: ago(since),
        hint: String::new(),
        key: format!("{screen} {name}").into(),
        weight: 1,
    }
}

/// The cluster of a small firm on a bad day.
pub fn incident() -> Snapshot {
    let dead_letters = [
        dlq("inventory-dlt", "inventory", "warehouse", 0, None, 0),
        dlq("orders-dlt", "orders", "analytics", 44, Some(9 * HOUR), 21 * HOUR),
        dlq("payments-dlt", "payments", "email", 140, Some(4 * MINUTE), 6 * 24 * HOUR),
    ];
    Snapshot {
        generation: 40,
        taken: ago(400),
        freshness: Freshness::Live,
        cluster: ClusterRow { id: "demo".into(), brokers: 3, controller: Some(1) },
        window_seconds: Some(2.0),
        topics: [
            topic("inventory", Role::Source, 351.0, &["inventory-dlt"], Some(("warehouse", 1_902))),
            topic("inventory-dlt", Role::DeadLetter, 0.0, &[], None),
            topic("orders", Role::Source, 702.4, &["orders-dlt"], Some(("analytics", 0))),
            topic("orders-dlt", Role::DeadLetter, 0.0, &[], None),
            topic("payments", Role::Source, 151.0, &["payments-dlt"], Some(("email", 1_218))),
            topic("payments-dlt", Role::DeadLetter, 0.2, &[], None),
        ]
        .into(),
        groups: [
            group("analytics", "orders", Status::Ok, 0, Some(300.0), 0.0),
            group("email", "payments", Status::Warn, 1_218, Some(1_800.0), 2.1),
            group("notification", "orders", Status::Ok, 4, Some(180.0), 0.0),
            group("warehouse", "inventory", Status::Stall, 1_902, None, 0.4),
        ]
        .into(),
        groups_error: None,
        dead_letters: dead_letters.into(),
        attention: [
            attention(
                Severity::Critical,
                "payments-dlt: new failure SocketTimeoutException (+12/min)",
                "dead_letters",
                "payments-dlt",
                2 * MINUTE,
            ),
            attention(
                Severity::Warning,
                "warehouse is stalled on inventory[3] at 48,211, behind it 1,902",
                "groups",
                "warehouse",
                6 * MINUTE,
            ),
            attention(
                Severity::Warning,
                "orders-dlt: retention deletes the oldest pending letter in 21 h",
                "dead_letters",
                "orders-dlt",
                9 * HOUR,
            ),
        ]
        .into(),
        totals: Totals {
            records_per_second: Some(1_204.4),
            bytes_per_second: Some(410_000.0),
            latency: Latency {
                p50: Some(220.0),
                p95: Some(900.0),
                p99: Some(1_800.0),
                samples: 9_000,
                ..Latency::default()
            },
            errors_per_second: Some(3.2),
            error_percent: Some(0.9),
            lag: Some(3_124),
            pending: Some(184),
            arrivals_per_minute: Some(12.0),
            oldest_age_seconds: Some(9.0 * 3_600.0),
        },
        history: Arc::new(History {
            at: (0..40).map(|i| ago((40 - i) * 2_000)).collect(),
            records_per_second: known(wave(1_300.0)),
            latency_p99: known(wave(1_900.0)),
            error_percent: known(wave(1.0)),
            lag: known(wave(3_200.0)),
            pending: known((0..40).map(|i| 100.0 + f64::from(i) * 2.1).collect()),
        }),
        applications: None,
        sample_seconds: 0.02,
        requests_per_minute: Some(1_380.0),
    }
}

/// The failures of `payments-dlt`.
pub fn failures() -> FailuresAnswer {
    let row = |id: &str, class: &str, frame: &str, message: &str, pending: u64, keys: u64| FailureRow {
        id: id.into(),
        error_class: Some("org.springframework.kafka.listener.ListenerExecutionFailedException".into()),
        root_cause_class: Some(class.into()),
        frame: Some(frame.into()),
        message: Some(message.into()),
        origin_topic: Some("payments".into()),
        group: Some("email".into()),
        count: pending + 3,
        pending: Some(pending),
        first_timestamp: Some(ago(4 * MINUTE)),
        last_timestamp: Some(ago(2_000)),
        keys,
        sample: Sample { partition: 2, offset: 118 },
        keys_estimated: false,
        arrivals: vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 8, 12, 14, 12],
    };
    FailuresAnswer {
        topic: "payments-dlt".into(),
        scanned: 152,
        complete: true,
        failures: vec![
            row(
                "5f3a9c10",
                "java.net.SocketTimeoutException",
                "shop.PaymentGateway.charge",
                "gateway timed out after # ms (order #)",
                131,
                88,
            ),
            row(
                "0c77d2b4",
                "java.lang.NullPointerException",
                "shop.Receipt.render",
                "Cannot invoke \"total\"",
                9,
                3,
            ),
        ],
        filter_errors: 0,
    }
}

/// One record of `payments-dlt`.
pub fn record(topic: &str, offset: i64) -> Record {
    let order = 5_500 + offset;
    let value = format!(
        r#"{{"event_id":"evt_{offset:04}","event_type":"PaymentProcessed","version":1,"data":{{"order_id":"ord-{order}","amount":99.99,"currency":"EUR"}}}}"#
    );
    let mut headers = Headers::default();
    headers.push("correlation_id", Some(format!("req_{offset:04}").into()));
    Record {
        at: Position::new(topic, (offset % 4) as i32, offset),
        time: Some(RecordTime { kind: TimeKind::Create, at: ago(240_000 - offset % 200 * 1_000) }),
        key: Some(format!("ord-{order}").into()),
        value: Some(value.into()),
        headers,
        lease: None,
    }
}

/// Records of `orders`.
pub fn records(count: i64) -> Vec<Record> {
    (0..count).map(|offset| record("orders", 88_000 + offset)).collect()
}

/// How a tail ended.
pub fn tail() -> TailAnswer {
    TailAnswer {
        read: 30,
        matched: 30,
        bytes: 4_200,
        complete: true,
        isolation: "read_committed",
        ranges: (0..3).map(|partition| ("orders".into(), partition, 88_100, 88_110)).collect(),
        ..TailAnswer::default()
    }
}

const TRACE: &str = "java.net.SocketTimeoutException: gateway timed out after 3000 ms (order 5618)
\tat shop.PaymentGateway.charge(PaymentGateway.java:88)
\tat shop.PaymentListener.on(PaymentListener.java:41)
\tat org.springframework.kafka.listener.KafkaMessageListenerContainer.run(KafkaMessageListenerContainer.java:1203)
\tat java.lang.Thread.run(Thread.java:840)";

/// One letter of `payments-dlt`.
pub fn letter(offset: i64) -> LetterRow {
    let mut record = record("payments-dlt", offset);
    record.headers.push("kafka_dlt-exception-fqcn", Some("java.net.SocketTimeoutException".into()));
    let origin = Origin {
        topic: Some("payments".into()),
        partition: Some(record.at.partition),
        offset: Some(90_000 + offset),
        timestamp: Some(ago(250_000)),
        group: Some("email".into()),
    };
    let [failure, ..] = &failures().failures[..] else { panic!("there are failures") };
    let letter = Letter {
        record,
        format: Some("spring-kafka".into()),
        root: origin,
        previous: None,
        hops: Some(1),
        error_class: Some("org.springframework.kafka.listener.ListenerExecutionFailedException".to_owned()),
        root_cause_class: Some("java.net.SocketTimeoutException".to_owned()),
        message: Some("gateway timed out after 3000 ms (order 5618)".to_owned()),
        stack_trace: Some(TRACE.to_owned()),
        attempts: Some(3),
        failed_at: Some(ago(241_000)),
        original_key: None,
        original_value: None,
        pointer: false,
        others: Vec::new(),
        rules: Vec::new(),
        unknown: Vec::new(),
        also: Vec::new(),
        notes: Vec::new(),
        failure: Failure {
            id: Arc::clone(&failure.id),
            error_class: failure.error_class.clone(),
            root_cause_class: failure.root_cause_class.clone(),
            frame: failure.frame.clone(),
            message: failure.message.clone(),
            origin_topic: failure.origin_topic.clone(),
            group: failure.group.clone(),
        },
    };
    LetterRow {
        letter: Arc::new(letter),
        state: Some(Disposition::Pending),
        redrive: None,
        history: Vec::new(),
        duplicate: false,
    }
}

/// The letters of a failure.
pub fn letters(count: i64) -> LettersAnswer {
    LettersAnswer {
        topic: "payments-dlt".into(),
        letters: (100..100 + count).map(letter).collect(),
        total: count as u64,
        complete: true,
        filter_errors: 0,
    }
}

/// A console on the letters of a failure.
pub fn at_letters(bench: Bench) -> Bench {
    at_letters_of(bench, letters(131))
}

/// A console on these letters.
pub fn at_letters_of(bench: Bench, letters: LettersAnswer) -> Bench {
    bench
        .keys("gd")
        .press("dlq.open")
        .answer(Answer::Failures(Arc::new(failures())))
        .press("failures.open")
        .answer(Answer::Letters(Arc::new(letters)))
}

/// A plan for the letters of the first failure.
pub fn plan(records: u64) -> PlanAnswer {
    let topic = |name: &str| PlannedTopic { topic: name.into(), topic_id: Some("id".into()), partitions: 4 };
    let header = PlanHeader {
        schema: 1,
        id: "p-20261124-1302".to_owned(),
        cluster_id: "demo".into(),
        source: topic("payments-dlt"),
        target: PlannedTarget { into: Into::Origin, topics: vec![topic("payments")] },
        origins: Vec::new(),
        replay: false,
        options: Options { rate: Some(200), ..Options::default() },
        operator: "oncall@desk".to_owned(),
        created_ms: NOW.0,
        counts: PlanCounts { records, keys: 88, duplicates: None },
    };
    PlanAnswer {
        id: header.id.clone(),
        cluster_id: "demo".to_owned(),
        topic: "payments-dlt".into(),
        into: Into::Origin,
        targets: vec!["payments".into()],
        rate: Some(200),
        records,
        guarantee: "exactly_once",
        guarantee_reason: "letter, ledger and event are one transaction".to_owned(),
        headers: (vec!["kafka_dlt-*".to_owned()], vec!["redrive-run".to_owned()]),
        preflight: Preflight {
            selected: records,
            keys: 88,
            by_failure: vec![Tally { name: "java.net.SocketTimeoutException".to_owned(), count: records }],
            by_origin: vec![Tally { name: "payments".to_owned(), count: records }],
            groups_that_will_see_them: ["analytics", "email", "notification"].map(Arc::from).into(),
            warnings: vec!["4 keys have newer events on payments".to_owned()],
            ..Preflight::default()
        },
        read_seconds: 0.5,
        check_seconds: 0.2,
        plan: Arc::new(Plan { header, letters: Letters::default() }),
    }
}

/// A console on a plan.
pub fn at_plan(bench: Bench) -> Bench {
    at_plan_of(bench, plan(131))
}

/// A console on this plan.
pub fn at_plan_of(bench: Bench, plan: PlanAnswer) -> Bench {
    bench
        .keys("gd")
        .press("dlq.open")
        .answer(Answer::Failures(Arc::new(failures())))
        .press("dlq.plan")
        .answer(Answer::Plan(Arc::new(plan)))
}

/// A run, so far.
pub fn run(redriven: u64) -> RunAnswer {
    RunAnswer {
        run: "r-20261124-1302".to_owned(),
        plan: "p-20261124-1302".to_owned(),
        topic: "payments-dlt".into(),
        operator: "oncall@desk".to_owned(),
        started: ago(12_000),
        seconds: 12.0,
        guarantee: "exactly_once",
        planned: 131,
        redriven,
        processed: Some(redriven.saturating_sub(5)),
        unconfirmed: 5,
        parked: vec![ParkedLetter {
            partition: 3,
            offset: 977,
            why: "larger than max.message.bytes of payments".to_owned(),
        }],
        remaining: 130 - redriven,
        records_per_second: Some(199.2),
        ..RunAnswer::default()
    }
}

/// A console on a run under way.
pub fn at_run(bench: Bench) -> Bench {
    let mut bench = at_plan(bench).press("plan.run").keys("tab enter");
    let (id, _) = bench.asked.last().cloned().unwrap();
    bench.send(Message::Told(id, Event::Run(Box::new(run(52)))));
    bench.drawn()
}

/// What was redriven before.
pub fn runs() -> RunsAnswer {
    let row =
        |state, redriven| RunRow { kind: "redrive", disposed: 0, reason: None, run: run(redriven), state };
    RunsAnswer { runs: vec![row("running", 52), row("done", 130), row("stopped", 7)] }
}
