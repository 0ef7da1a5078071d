//! Rights and replicas that a run needs and has not: said by the plan, and nothing is written.

use std::path::PathBuf;

use redrive::broker::{ErrorKind, Name, NewTopic};
use redrive::config::profile::{Protocol, Sasl};
use redrive::config::secret::Secret;
use redrive::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use serde_json::Value;

use crate::redrive::{Bench, Ended};
use crate::support::{certificate, connect, java, only, profile, soon, unique, variable};

/// A file with a profile for alice, who has what rights she is given.
fn alice(bench: &Bench) -> PathBuf {
    let config = format!(
        "[profiles.alice]\nbrokers = [\"{}\"]\n[profiles.alice.security]\nmechanism = \"SCRAM-SHA-512\"\n\
         username = \"alice\"\npassword = \"alice-secret\"\nca = \"{}/ca.pem\"\n",
        variable("REDRIVE_TEST_SASL_SSL"),
        variable("REDRIVE_TEST_CERTIFICATES"),
    );
    let file = bench.file("alice.toml");
    std::fs::write(&file, config).unwrap();
    file
}

/// Sets or takes away rights of alice with Kafka's own tool.
async fn rights(verb: &'static str, arguments: &[&str]) {
    let mut tool = java("org.apache.kafka.tools.AclCommand");
    tool.args(["--bootstrap-server", &variable("REDRIVE_TEST_BROKERS"), verb]).args(arguments);
    if verb == "--remove" {
        tool.arg("--force");
    }
    let done = tokio::task::spawn_blocking(move || tool.output().unwrap()).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8(done.stderr).unwrap());
}

const BOOKS: [&str; 4] = ["--topic", LEDGER_TOPIC, "--topic", AUDIT_TOPIC];
const IDS: [&str; 4] = ["--transactional-id", "redrive-", "--resource-pattern-type", "prefixed"];

/// Where no right was set, all is allowed.
async fn all_rights() {
    rights("--remove", &BOOKS).await;
    rights("--remove", &IDS).await;
}

fn rules(plan: &Value) -> Vec<(&str, &str)> {
    let refusals = plan["preflight"]["refusals"].as_array().unwrap();
    refusals.iter().map(|r| (r["rule"].as_str().unwrap(), r["why"].as_str().unwrap())).collect()
}

async fn as_alice(bench: &Bench, arguments: &[&str]) -> Ended {
    let mut command = bench.command(arguments);
    command.env_remove("REDRIVE_BROKERS").env("REDRIVE_CONFIG", alice(bench));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn rights_that_a_run_needs_are_asked_for_by_the_plan() {
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(10, 10).await;
    // Another letter first, so that ledger and audit are there.
    let (file, plan) = bench.plan(&["--limit", "1"]).await;
    plan.with(0);
    bench.run(&file, &[]).await.with(0);
    // A run of this test may have been cut off.
    all_rights().await;
    let file = bench.file("alices").display().to_string();
    let plan: Vec<&str> = vec!["plan", &bench.source, "--save", &file, "-o", "json"];
    let selected = as_alice(&bench, &plan).await.with(0);
    assert_eq!(selected["preflight"]["selected"], 9);

    let deny = ["--deny-principal", "User:alice", "--operation", "Write"];
    rights("--add", &[&READ[..], &BOOKS].concat()).await;
    rights("--add", &[&deny[..], &BOOKS].concat()).await;
    rights("--add", &[&deny[..], &IDS].concat()).await;
    let refused = as_alice(&bench, &plan).await.with(4);
    let rules = rules(&refused);
    for topic in [LEDGER_TOPIC, AUDIT_TOPIC] {
        let words = format!("there is no right to write to {topic}");
        assert!(rules.contains(&("acl", &*words)), "{rules:?}");
    }
    assert!(
        rules.iter().any(|(rule, why)| *rule == "no_transactions" && why.contains("transactional ids")),
        "{rules:?}"
    );

    // The plan from before is run no half of the way either.
    let run = as_alice(&bench, &["run", &file, "--yes", "-o", "json"]).await;
    assert_eq!(run.code, 4, "{}{}", run.out, run.err);
    assert!(run.err.contains(&format!("there is no right to write to {LEDGER_TOPIC}")), "{}", run.err);
    assert_eq!(bench.sent().await.len(), 1);
    assert!(!bench.ends().await.1);

    all_rights().await;
    assert_eq!(as_alice(&bench, &["run", &file, "--yes", "-o", "json"]).await.with(0)["redriven"], 9);
}

const READ: [&str; 6] =
    ["--allow-principal", "User:alice", "--operation", "Read", "--operation", "DescribeConfigs"];
const CREATE: [&str; 4] = ["--deny-principal", "User:alice", "--operation", "Create"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn whether_a_topic_may_be_made_is_told_and_none_is_made() {
    let name = unique("unmade");
    let new = |config: &[(&str, &str)]| NewTopic {
        name: name.clone(),
        partitions: 1,
        replication: Some(1),
        config: config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    let mut alice = profile("REDRIVE_TEST_SASL_SSL", Protocol::SaslSsl);
    let (username, password) = ("alice".to_owned(), Secret::new("alice-secret"));
    alice.connection.sasl = Some(Sasl::Scram { bits: 512, username, password });
    alice.connection.tls.ca = Some(certificate("ca.pem"));
    let broker = connect(&alice).await.unwrap();
    let check = async |config: &[(&str, &str)]| {
        only(broker.writer().unwrap().check_topics(&[new(config)]).await.unwrap())
    };
    check(&[]).await.unwrap();
    assert_eq!(check(&[("no.such.setting", "1")]).await.unwrap_err().kind, ErrorKind::Invalid);
    // The right to make this one topic is asked for where there is none to make any.
    let denied = [&CREATE[..], &["--topic", &name]].concat();
    rights("--add", &denied).await;
    let cluster = [&CREATE[..], &["--cluster"]].concat();
    rights("--add", &cluster).await;
    let refused = check(&[]).await;
    rights("--remove", &cluster).await;
    rights("--remove", &denied).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Authorisation);
    assert_eq!(broker.catalog().topics(Some(std::slice::from_ref(&name))).await.unwrap(), []);
}

/// Needs a broker of its own, whose ledger it takes away: `tests/faults` gives it one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_ledger_that_may_not_be_made_is_told_with_the_commands_for_an_administrator() {
    if std::env::var("REDRIVE_FAULTS_BROKER").is_err() {
        eprintln!("left out: a ledger that may not be made is proved by tests/faults alone");
        return;
    }
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(4, 4).await;
    let books = [LEDGER_TOPIC, AUDIT_TOPIC].map(Name::from);
    let gone = async || bench.broker.catalog().topics(Some(&books)).await.unwrap().is_empty();
    let there: Vec<Name> =
        bench.broker.catalog().topics(Some(&books)).await.unwrap().into_iter().map(|t| t.name).collect();
    for gone in bench.broker.writer().unwrap().delete_topics(&there).await.unwrap() {
        gone.unwrap();
    }
    soon("the end of the ledger", async { while !gone().await {} }).await;
    // Another test may have been cut off.
    all_rights().await;
    rights("--remove", &["--cluster"]).await;
    let file = bench.file("unmade").display().to_string();
    let plan: Vec<&str> = vec!["plan", &bench.source, "--save", &file, "-o", "json"];
    as_alice(&bench, &plan).await.with(0);
    let denied = [
        [&READ[..], &BOOKS].concat(),
        [&CREATE[..], &BOOKS].concat(),
        [&CREATE[..], &["--cluster"]].concat(),
    ];
    for denied in &denied {
        rights("--add", denied).await;
    }
    let refused = as_alice(&bench, &plan).await;
    let run = as_alice(&bench, &["run", &file, "--yes", "-o", "json"]).await;
    let parked = as_alice(&bench, &["dlq", "park", &bench.source, "--reason", "no", "--yes"]).await;
    let none = gone().await;
    all_rights().await;
    rights("--remove", &["--cluster"]).await;
    let refused = refused.with(4);
    let refusal = &refused["preflight"]["refusals"][0];
    assert_eq!(refusal["rule"], "acl", "{refused}");
    for topic in [LEDGER_TOPIC, AUDIT_TOPIC] {
        let command = format!("kafka-topics.sh --create --topic {topic} --partitions 1");
        for words in [refusal["hint"].as_str().unwrap(), &run.err, &parked.err] {
            assert!(words.contains(&command), "{words}");
        }
    }
    assert_eq!((run.code, parked.code, none), (4, 4, true), "{}{}", run.err, parked.err);
    assert_eq!(bench.sent().await.len(), 0);
    assert_eq!(as_alice(&bench, &["run", &file, "--yes", "-o", "json"]).await.with(0)["redriven"], 4);
}

/// Needs a broker of its own, whose ledger cannot be written meanwhile: `tests/faults` gives it one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_ledger_with_too_few_replicas_in_sync_is_told_by_the_plan() {
    if std::env::var("REDRIVE_FAULTS_BROKER").is_err() {
        eprintln!("left out: too few replicas are proved by tests/faults alone");
        return;
    }
    let bench = Bench::new(1, &[]).await;
    bench.bury_many(2, 2).await;
    let (file, plan) = bench.plan(&["--limit", "1"]).await;
    plan.with(0);
    bench.run(&file, &[]).await.with(0);
    let set = |value: &'static str| {
        let mut tool = java("kafka.admin.ConfigCommand");
        tool.args([
            "--bootstrap-server",
            &variable("REDRIVE_TEST_BROKERS"),
            "--alter",
            "--entity-type",
            "topics",
        ])
        .args(["--entity-name", LEDGER_TOPIC, "--add-config"])
        .arg(format!("min.insync.replicas={value}"));
        assert!(tool.output().unwrap().status.success());
    };
    set("2");
    let (_, refused) = bench.plan(&[]).await;
    set("1");
    let refused = refused.with(4);
    let rules = rules(&refused);
    assert!(rules.iter().any(|(rule, why)| *rule == "replicas" && why.contains("in sync")), "{rules:?}");
    assert_eq!(bench.sent().await.len(), 1);
}
