//! With rights for some things only, on a real Kafka with an authorizer: what is missing costs its own row.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::Home;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; use tests/run"))
}

/// Sets rights with Kafka's own tool.
fn rights(arguments: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker");
    let path = Command::new(script).arg("classpath").output().unwrap();
    let path = String::from_utf8(path.stdout).unwrap();
    let done = Command::new("java")
        .args([
            "-XX:TieredStopAtLevel=1",
            "-Xmx128m",
            "-cp",
            path.trim(),
            "org.apache.kafka.tools.AclCommand",
        ])
        .args(["--bootstrap-server", &variable("REDRIVE_TEST_BROKERS"), "--add"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(done.unwrap().success(), "{arguments:?}");
}

fn named<'a>(rows: &'a Value, field: &str, name: &str) -> Option<&'a Value> {
    rows.as_array().unwrap().iter().find(|row| row[field] == name)
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn a_right_that_is_missing_costs_its_own_row_and_the_row_says_why() {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let name = |what: &str| format!("rights-{}-{what}", &id[..8]);
    let (open, unseen, unset) = (name("open"), name("unseen"), name("unset"));
    let (free, secret) = (name("free"), name("secret"));
    let all = Home::new().set("REDRIVE_BROKERS", &variable("REDRIVE_TEST_BROKERS"));
    for topic in [&open, &unseen, &unset] {
        crate::offsets::make_topic(topic, 1);
        for group in [&free, &secret] {
            let reset =
                ["groups", "reset", group, "--create", "--topic", topic, "--offsets", "earliest", "--yes"];
            all.run(&reset).code(0);
        }
    }
    rights(&["--deny-principal", "User:alice", "--operation", "Describe", "--topic", &unseen]);
    // Whoever has some rights on it has no others: the settings are not among them.
    rights(&[
        "--allow-principal",
        "User:alice",
        "--operation",
        "Read",
        "--operation",
        "Describe",
        "--topic",
        &unset,
    ]);
    rights(&["--deny-principal", "User:alice", "--operation", "Describe", "--group", &secret]);

    let config = format!(
        "[profiles.alice]\nbrokers = [\"{}\"]\n[profiles.alice.security]\nmechanism = \"SCRAM-SHA-512\"\n\
         username = \"alice\"\npassword = \"alice-secret\"\nca = \"{}/ca.pem\"\n",
        variable("REDRIVE_TEST_SASL_SSL"),
        variable("REDRIVE_TEST_CERTIFICATES"),
    );
    let alice = Home::with(&config);
    let groups = alice.run(&["groups", "list", "--window", "200ms", "-o", "json"]).code(0).json();
    let row = named(&groups["groups"], "group", &secret).expect("it is listed");
    assert!(row["unknown_reason"].as_str().unwrap().contains("Group authorization failed"), "{row}");
    assert_eq!(
        (&row["lag"], &row["members"], &row["status"]),
        (&Value::Null, &Value::Null, &json!("unknown"))
    );
    let row = named(&groups["groups"], "group", &free).expect("it is listed");
    assert_eq!((&row["unknown_reason"], &row["lag"]), (&Value::Null, &json!(0)));

    let topics = alice.run(&["topics", "list", "--window", "200ms", "-o", "json"]).code(0).json();
    assert_eq!(named(&topics["topics"], "name", &open).unwrap()["cleanup_policy"], "delete");
    let row = named(&topics["topics"], "name", &unset).unwrap();
    assert_eq!((&row["records"], &row["cleanup_policy"]), (&json!(0), &Value::Null));
    let show = |topic: &str| alice.run(&["topics", "show", topic, "--window", "200ms", "-o", "json"]);
    let unset = show(&unset).code(0).json();
    assert!(unset["config_error"].as_str().unwrap().contains("Topic authorization failed"), "{unset}");
    // The broker leaves it out of its list, and tells why where it is asked by name.
    assert!(named(&topics["topics"], "name", &unseen).is_none());
    let unseen = show(&unseen).code(0).json();
    assert!(unseen["error"].as_str().unwrap().contains("Topic authorization failed"), "{unseen}");
    let refused =
        alice.run(&["groups", "reset", &secret, "--topic", &open, "--offsets", "latest", "-o", "json"]);
    assert_eq!(refused.code(1).error()["code"], "acl");
}
