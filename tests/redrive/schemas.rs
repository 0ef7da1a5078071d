//! Records that are encoded by a schema of a registry, which is a small server that keeps to the protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use redrive::ask::{Answer, Desk, Request};
use redrive::config::profile::{Profile, SchemaRegistry};
use redrive::context::Cx;
use redrive::event::decode::{Decoding, Patience, Side};
use redrive::event::encode::SchemaChoice;
use redrive::redrive::control::Control;
use redrive::redrive::document::PlanAnswer;
use redrive::redrive::produce::{ProduceAnswer, ProduceRequest};
use redrive::schemas::Registry;
use redrive::text::{Fault, SystemClock};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::transfer::{COPY, draft, filled, producing};
use crate::world::{Dead, TARGET, World};

/// Answers paths with documents.
fn serve(answers: Vec<(&'static str, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let path = first.split(' ').nth(1).unwrap();
            let (status, body) = match answers.iter().find(|(known, _)| *known == path) {
                Some((_, body)) => ("200 OK", body.to_string()),
                None => ("404 Not Found", json!({"message": "Subject not found"}).to_string()),
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    url
}

/// A registry with one schema of each format.
fn registry() -> String {
    let order = json!({"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "string"}, {"name": "total", "type": ["null", "double"], "default": null}]});
    let line =
        "syntax = \"proto3\"; package shop; message Order { string id = 1; } message Line { int32 n = 1; }";
    let shape = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let avro = json!({"schema": order.to_string(), "id": 7, "version": 2, "subject": "orders-copy-value"});
    let protobuf = json!({"schema": line, "schemaType": "PROTOBUF", "id": 8, "version": 1});
    let shape = json!({"schema": shape.to_string(), "schemaType": "JSON", "id": 9, "version": 1});
    serve(vec![
        ("/subjects/orders-copy-value/versions/latest", avro.clone()),
        ("/schemas/ids/7", avro),
        ("/subjects/lines/versions/1", protobuf.clone()),
        ("/schemas/ids/8", protobuf),
        ("/subjects/shapes/versions/latest", shape.clone()),
        ("/schemas/ids/9", shape),
        ("/subjects", json!(["orders-copy-value", "lines", "shapes"])),
    ])
}

fn profile(url: &str) -> Arc<Profile> {
    let registry = Registry::new(&SchemaRegistry::at(url), Arc::new(SystemClock::default())).unwrap();
    let decoding = Decoding { topics: Vec::new(), schemas: Some(Arc::new(registry)) };
    Arc::new(Profile { decoding, ..Profile::new("test", Vec::new()) })
}

async fn produce(
    world: &World,
    profile: &Arc<Profile>,
    request: ProduceRequest,
) -> Result<Arc<ProduceAnswer>, Fault> {
    let mut cx = world.cx("ada");
    cx.profile = Arc::clone(profile);
    match Desk::new(cx).answer(Request::Produce(request), &|_| {}, CancellationToken::new()).await? {
        Answer::Produce(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

fn by(schema: &str, value: &'static str) -> ProduceRequest {
    let schema = Some(SchemaChoice::parse(schema).unwrap());
    ProduceRequest { schema, ..producing(vec![draft(Some("k"), Some(value))], true) }
}

#[tokio::test]
async fn what_is_produced_by_a_schema_is_read_by_it_again() {
    let (world, profile) = (filled(0).await, profile(&registry()));
    for (schema, value, bytes, read, words) in [
        (
            "latest",
            r#"{"id":"o1"}"#,
            &b"\0\0\0\0\x07\x04o1\0"[..],
            json!({"id": "o1", "total": null}),
            "schema 7 (avro, orders-copy-value version 2)",
        ),
        (
            "7",
            r#"{"id":"o2","total":1.5}"#,
            b"\0\0\0\0\x07\x04o2\x02\0\0\0\0\0\0\xf8\x3f",
            json!({"id": "o2", "total": 1.5}),
            "schema 7 (avro)",
        ),
        (
            "lines:1",
            r#"{"id":"o3"}"#,
            b"\0\0\0\0\x08\0\x0a\x02o3",
            json!({"id": "o3"}),
            "schema 8 (protobuf, lines version 1)",
        ),
        (
            "lines:1#shop.Line",
            r#"{"n":5}"#,
            b"\0\0\0\0\x08\x02\x02\x08\x05",
            json!({"n": 5}),
            "schema 8 (protobuf, lines version 1, message shop.Line)",
        ),
        (
            "shapes",
            r#"{ "n": 5 }"#,
            b"\0\0\0\0\x09{ \"n\": 5 }",
            json!({"n": 5}),
            "schema 9 (json-schema, shapes version 1)",
        ),
    ] {
        let answer = produce(&world, &profile, by(schema, value)).await.unwrap();
        let told = &answer.records[0];
        assert_eq!((&told.value, told.value_encoding), (&read, "json"), "{schema}");
        assert_eq!(answer.schema.as_ref().unwrap().words(), words);
        let there = world.read(COPY).await;
        let record = there
            .iter()
            .find(|r| (r.at.partition, r.at.offset) == (told.partition.unwrap(), told.offset.unwrap()));
        let record = record.unwrap();
        assert_eq!(record.value.as_deref(), Some(bytes), "{schema}");
        let decoded = profile.decoding.decode(record, Side::Value, Patience::Wait);
        assert_eq!(decoded.encoded(), (read, "json"));
    }
}

#[tokio::test]
async fn a_key_has_a_schema_of_its_own_and_a_tombstone_none() {
    let (world, profile) = (filled(0).await, profile(&registry()));
    let request = ProduceRequest {
        key_schema: Some(SchemaChoice::parse("shapes").unwrap()),
        schema: Some(SchemaChoice::parse("latest").unwrap()),
        ..producing(vec![draft(Some(r#"{"n":1}"#), None)], true)
    };
    let answer = produce(&world, &profile, request).await.unwrap();
    assert_eq!(answer.key_schema.as_ref().unwrap().id, 9);
    let there = world.read(COPY).await;
    assert_eq!(there[0].key.as_deref(), Some(&b"\0\0\0\0\x09{\"n\":1}"[..]));
    assert_eq!(there[0].value, None);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_place_and_nothing_is_written() {
    let (world, profile) = (filled(0).await, profile(&registry()));
    for (schema, value, why) in [
        (
            "latest",
            r#"{"id":"o1","total":"much"}"#,
            "total: null or a number was expected, and \"much\" is there",
        ),
        ("latest", r#"{"id":"o1","totl":1}"#, "totl: the schema has no such field"),
        ("latest", "{\"id\":", "no JSON: "),
        ("latest#shop.Order", r#"{"id":"o1"}"#, "only a Protobuf schema has messages"),
        ("lines:1", r#"{"id":7}"#, "id: "),
        ("lines:1#shop.None", "{}", "there is no message shop.None"),
        ("shapes", r#"{"n":"x"}"#, "n: \"x\" is not of type \"integer\""),
    ] {
        let fault = produce(&world, &profile, by(schema, value)).await.unwrap_err();
        assert_eq!((fault.code, fault.exit_code()), ("schema", 4), "{fault}");
        assert!(fault.why.starts_with(why), "{fault}");
        assert_eq!(fault.hint, "nothing was written");
    }
    let good = draft(None, Some(r#"{"n":1}"#));
    let records = vec![good.clone(), draft(None, Some("{}")), good];
    let second =
        ProduceRequest { schema: Some(SchemaChoice::parse("shapes").unwrap()), ..producing(records, true) };
    let fault = produce(&world, &profile, second).await.unwrap_err();
    assert!(fault.what.starts_with("the value of record 2 does not fit schema 9"), "{fault}");
    assert!(world.read(COPY).await.is_empty());
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_told() {
    let (world, profile) = (filled(0).await, profile(&registry()));
    let fault = produce(&world, &profile, by("shape:4", "{}")).await.unwrap_err();
    assert_eq!((fault.code, fault.exit_code()), ("schema", 1));
    assert!(fault.why.contains("did you mean shapes?"), "{fault}");
    let none = Arc::new(Profile::new("bare", Vec::new()));
    let fault = produce(&world, &none, by("7", "{}")).await.unwrap_err();
    assert_eq!((fault.code, &*fault.why), ("config", "the profile bare names none"));
    assert!(world.read(COPY).await.is_empty());
}

fn with(world: &World, profile: &Arc<Profile>) -> Cx {
    Cx { profile: Arc::clone(profile), ..world.cx("ada") }
}

async fn plan(world: &World, profile: &Arc<Profile>, edit: &str) -> Arc<PlanAnswer> {
    let mut request = World::request();
    request.options.edit = Some(edit.to_owned());
    let desk = Desk::new(with(world, profile));
    match desk.answer(Request::Plan(request), &|_| {}, CancellationToken::new()).await {
        Ok(Answer::Plan(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

/// Buries letters with these values, of distinct roots.
async fn bury(world: &World, values: &[&'static [u8]]) {
    for (offset, value) in (0..).zip(values) {
        world
            .bury(&[Dead { value: Some(Bytes::from_static(value)), ..Dead::new(0, "k", (0, offset)) }])
            .await;
    }
}

/// One value of each format, as others may have written them: an Avro union, a field of Protobuf that the schema does not
/// describe, JSON with white space.
const VALUES: [&[u8]; 3] = [
    b"\0\0\0\0\x07\x04o1\0",
    b"\0\0\0\0\x08\0\x98\x06\x01\x0a\x02o1",
    b"\0\0\0\0\x09{ \"n\": 5,  \"id\": \"o1\" }",
];

#[tokio::test(start_paused = true)]
async fn edited_values_are_written_by_the_schema_that_they_name_and_the_others_keep_their_bytes() {
    let (world, profile) = (World::empty().await, profile(&registry()));
    bury(&world, &VALUES).await;
    bury(&world, &[b"\0\0\0\0\x07\x04o9\x02\0\0\0\0\0\0\xf8\x3f"]).await;
    let edit = "if .value.id == \"o1\" then .value.id = \"two\" else . end";
    let planned = plan(&world, &profile, edit).await;
    assert_eq!(planned.preflight.refusals, []);
    assert_eq!((planned.preflight.changed_by_edit, planned.preflight.rewritten, planned.records), (3, 0, 4));
    let sample = &planned.preflight.samples[0];
    assert!(sample.before.iter().any(|line| line.contains("o1")), "{sample:?}");
    let control = (true, false, Control::default());
    let cancel = CancellationToken::new();
    world.run_with(with(&world, &profile), &planned.plan, control, &|_| {}, &cancel).await.unwrap();
    let mut sent: Vec<Bytes> = world.read(TARGET).await.into_iter().map(|r| r.value.unwrap()).collect();
    sent.sort();
    let wanted: [&[u8]; 4] = [
        b"\0\0\0\0\x07\x04o9\x02\0\0\0\0\0\0\xf8\x3f",
        b"\0\0\0\0\x07\x06two\0",
        b"\0\0\0\0\x08\0\x98\x06\x01\x0a\x03two",
        b"\0\0\0\0\x09{ \"n\": 5,  \"id\": \"two\" }",
    ];
    assert_eq!(sent, wanted);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_a_schema_does_not_let_be_written_is_refused_with_the_reason() {
    let (world, profile) = (World::empty().await, profile(&registry()));
    bury(&world, &VALUES).await;
    // Of a schema that is not there, and one that its schema does not fit.
    bury(&world, &[b"\0\0\0\0\x63abc", b"\0\0\0\0\x07\xff\xff"]).await;
    let planned = plan(&world, &profile, ".value.n = \"x\"").await;
    assert_eq!(planned.records, 0);
    let mut whys: Vec<&str> = Vec::new();
    for refusal in &planned.preflight.refusals {
        assert_eq!((refusal.rule, refusal.count), ("schema", 1));
        whys.push(refusal.why.strip_prefix("their schema does not let them be edited: ").unwrap());
    }
    assert_eq!(whys.len(), 5, "{whys:?}");
    assert!(whys[0].starts_with("value: schema 7: n: the schema has no such field"), "{whys:?}");
    assert!(whys[1].starts_with("value: schema 8: "), "{whys:?}");
    assert_eq!(whys[2], "value: schema 9: n: \"x\" is not of type \"integer\"");
    assert!(whys[3].contains("99"), "{whys:?}");
    assert!(whys[4].starts_with("schema 7: "), "{whys:?}");
    // Headers and keys need no schema of the value.
    let planned = plan(&world, &profile, ".headers.fixed = \"yes\"").await;
    assert_eq!((planned.records, planned.preflight.changed_by_edit), (5, 5));
    let bare = Arc::new(Profile::new("bare", Vec::new()));
    let planned = plan(&world, &bare, ".value.id = \"two\"").await;
    assert_eq!(planned.records, 0);
    assert!(planned.preflight.refusals[0].why.contains("the profile has no schema registry"));
}
