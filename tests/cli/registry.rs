//! Against a real Kafka and a real schema registry (Apicurio, by Confluent's protocol): what is encoded there is decoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::offsets::make_topic;
use crate::program::Home;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; use tests/run"))
}

/// A registry with subjects of the test's own.
struct Registry {
    url: String,
    prefix: String,
}

impl Registry {
    fn subject(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Registers a schema with references by name and subject; gives its id.
    fn register(&self, name: &str, kind: &str, schema: &str, references: &[(&str, &str)]) -> u64 {
        let reference = |(name, subject): &(&str, &str)| json!({"name": name, "subject": self.subject(subject), "version": 1});
        let references: Vec<Value> = references.iter().map(reference).collect();
        let body = json!({"schema": schema, "schemaType": kind, "references": references});
        let answer: Value = ureq::post(format!("{}/subjects/{}/versions", self.url, self.subject(name)))
            .send_json(body)
            .unwrap_or_else(|e| panic!("{name}: {e}"))
            .body_mut()
            .read_json()
            .unwrap();
        answer["id"].as_u64().unwrap_or_else(|| panic!("{name}: {answer}"))
    }
}

fn framed(id: u32, body: &[u8]) -> String {
    STANDARD.encode([&[0], &id.to_be_bytes()[..], body].concat())
}

#[test]
#[ignore = "needs a Kafka and a schema registry; tests/run starts both"]
fn what_a_real_registry_describes_is_encoded_and_decoded_and_what_it_does_not_is_not_made_up() {
    let (brokers, url) = (variable("REDRIVE_TEST_BROKERS"), variable("REDRIVE_TEST_REGISTRY"));
    let prefix = format!("cli-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let topic = format!("{prefix}-orders");
    make_topic(&topic, 1);
    let home = Home::with(&format!(
        "[profiles.test]\nbrokers = [\"{brokers}\"]\n[profiles.test.schema_registry]\nurl = \"{url}\"\n"
    ));
    let registry = Registry { url, prefix };

    let who =
        r#"{"type":"record","name":"Who","namespace":"shop","fields":[{"name":"name","type":"string"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
        {"name":"id","type":"string"},{"name":"by","type":"shop.Who"}]}"#;
    let tree = r#"{"type":"record","name":"Tree","namespace":"shop","fields":[
        {"name":"n","type":"int"},{"name":"next","type":["null","shop.Tree"]}]}"#;
    let who_proto = "syntax = \"proto3\"; message Who { string name = 1; }";
    let order_proto = "syntax = \"proto3\"; import \"who.proto\"; message A {} message Order { string id = 1; Who by = 2; }";
    let shape = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object",
        "properties":{"n":{"type":"integer"}},"required":["n"]}"#;
    registry.register("who", "AVRO", who, &[]);
    let avro = registry.register("orders-value", "AVRO", order, &[("shop.Who", "who")]);
    let recursive = registry.register("tree", "AVRO", tree, &[]);
    registry.register("who-proto", "PROTOBUF", who_proto, &[]);
    registry.register("order-proto", "PROTOBUF", order_proto, &[("who.proto", "who-proto")]);
    registry.register("shape", "JSON", shape, &[]);

    let produce = |rest: &[&str]| home.run(&[&["produce", &topic, "--yes", "-o", "json"], rest].concat());
    let whole = json!({"id": "o1", "by": {"name": "ann"}});
    let text = whole.to_string();
    let (proto, shape) = (registry.subject("order-proto"), registry.subject("shape"));
    let written = produce(&["--value", &text, "--schema", "latest"]).code(0).json();
    assert_eq!((&written["schema"]["id"], &written["schema"]["format"]), (&json!(avro), &json!("avro")));
    produce(&["--value", r#"{"n":1,"next":{"n":2,"next":null}}"#, "--schema", &recursive.to_string()])
        .code(0);
    produce(&["--value", &text, "--schema", &format!("{proto}:1#Order")]).code(0);
    produce(&["--value", r#"{"n":7}"#, "--schema", &shape]).code(0);
    produce(&["--value-base64", &framed(avro as u32, b"\xff\xff\xff\xff\xff")]).code(0);
    produce(&["--value-base64", &framed(987_654, b"\x04o1\x06ann")]).code(0);

    for (schema, value, place) in [
        (
            "latest".to_owned(),
            r#"{"id":"o1","by":{"name":7}}"#,
            "by.name: a string was expected, and 7 is there",
        ),
        (format!("{proto}#Order"), r#"{"id":7}"#, "id: "),
        (shape, r#"{"n":"x"}"#, "n: \\\"x\\\" is not of type"),
    ] {
        let refused = produce(&["--value", value, "--schema", &schema]).code(4);
        assert!(refused.err.contains(place), "{}", refused.err);
    }
    let near = registry.subject("tre");
    let missing = produce(&["--value", "{}", "--schema", &near]).code(1);
    assert!(missing.err.contains(&format!("did you mean {}?", registry.subject("tree"))), "{}", missing.err);

    let lines = home.run(&["tail", &topic, "--from", "beginning", "-o", "jsonl"]).code(0).lines();
    let found: Vec<_> =
        lines.iter().map(|line| (line["decoder"].as_str().unwrap(), &line["value"])).collect();
    assert_eq!(found.len(), 6, "what was refused is not there: {lines:?}");
    assert_eq!(found[0], ("avro", &whole));
    assert_eq!(found[1], ("avro", &json!({"n": 1, "next": {"n": 2, "next": null}})));
    assert_eq!(found[2], ("protobuf", &whole));
    assert_eq!(found[3], ("json-schema", &json!({"n": 7})));
    for broken in &lines[4..] {
        assert_ne!(broken["value_encoding"], "json", "{broken}");
    }
    let unknown =
        home.run(&["get", &topic, "0", &lines[5]["offset"].to_string(), "-o", "json"]).code(0).json();
    let refused = unknown["refused_decoders"].to_string();
    assert!(refused.contains("987654"), "{refused}");
    let counted = home.run(&[
        "tail",
        &topic,
        "--from",
        "beginning",
        "--where",
        r#".value.by.name == "ann""#,
        "--count",
    ]);
    assert_eq!(counted.code(0).out.trim(), "2");

    // A replay of these into another topic, edited: each by the schema that it names.
    let copy = format!("{}-copy", registry.prefix);
    make_topic(&copy, 1);
    let file = home.path().join("edited.jsonl").display().to_string();
    let edit = r#"if .value.by then .value.by.name = "bea" elif .value.n then .value.n += 1 else . end"#;
    let planned = home.run(&[
        "replay",
        &topic,
        "--to",
        &format!("offset:{}", lines[4]["offset"]),
        "--into",
        &format!("topic:{copy}"),
        "--edit",
        edit,
        "--save",
        &file,
        "-o",
        "json",
    ]);
    let planned = planned.code(0).json();
    assert_eq!(planned["preflight"]["changed_by_edit"], 4, "{planned}");
    home.run(&["run", &file, "--yes"]).code(0);
    let read = |topic: &str| home.run(&["tail", topic, "--from", "beginning", "-o", "jsonl"]).code(0).lines();
    let edited = read(&copy);
    let found: Vec<_> =
        edited.iter().map(|line| (line["decoder"].as_str().unwrap(), &line["value"])).collect();
    let other = json!({"id": "o1", "by": {"name": "bea"}});
    assert_eq!(found[0], ("avro", &other));
    assert_eq!(found[1], ("avro", &json!({"n": 2, "next": {"n": 2, "next": null}})));
    assert_eq!(found[2], ("protobuf", &other));
    assert_eq!(found[3], ("json-schema", &json!({"n": 8})));
    assert_eq!(found.len(), 4);
}
