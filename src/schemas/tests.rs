//! The registry client against a small server that keeps to the protocol.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::Registry;
use crate::config::profile::SchemaRegistry;
use crate::config::secret::Secret;
use crate::event::decode::{Content, Decoding, Patience, SchemaId, Schemas as _, Side};
use crate::event::encode::encode;
use crate::event::{Headers, Position, Record};
use crate::text::SystemClock;

/// A server that answers paths with documents; what it is not asked for properly, it refuses.
struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
    authorization: Arc<Mutex<Option<String>>>,
}

fn serve(answers: HashMap<&'static str, Value>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (requests, authorization) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let server = Server { url, requests: Arc::clone(&requests), authorization: Arc::clone(&authorization) };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            for line in lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()) {
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("authorization")
                {
                    *authorization.lock().unwrap() = Some(value.to_owned());
                }
            }
            requests.fetch_add(1, Ordering::Relaxed);
            let path = first.split(' ').nth(1).unwrap();
            let (status, body) = match answers.get(path) {
                Some(body) => ("200 OK", body.to_string()),
                None => {
                    ("404 Not Found", json!({"error_code": 40403, "message": "Schema not found"}).to_string())
                }
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    server
}

fn decoding(settings: &SchemaRegistry) -> Decoding {
    let registry = Registry::new(settings, Arc::new(SystemClock::default())).unwrap();
    Decoding { topics: Vec::new(), schemas: Some(Arc::new(registry)) }
}

fn record(value: &'static [u8]) -> Record {
    Record {
        at: Position::new("t", 0, 0),
        time: None,
        key: None,
        value: Some(value.into()),
        headers: Headers::default(),
        lease: None,
    }
}

fn schemas() -> HashMap<&'static str, Value> {
    let order = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"by","type":"Who"}]}"#;
    let who = r#"{"type":"record","name":"Who","fields":[{"name":"name","type":"string"}]}"#;
    let proto = "syntax = \"proto3\"; import \"who.proto\"; message A {} message Order { string id = 1; Who by = 2; }";
    HashMap::from([
        (
            "/schemas/ids/7",
            json!({"schema": order, "references": [{"name": "Who", "subject": "who/v", "version": 2}]}),
        ),
        ("/subjects/who%2Fv/versions/2", json!({"schema": who, "subject": "who/v", "version": 2, "id": 6})),
        (
            "/schemas/ids/8",
            json!({"schemaType": "PROTOBUF", "schema": proto, "references": [{"name": "who.proto", "subject": "who-p", "version": 1}]}),
        ),
        (
            "/subjects/who-p/versions/1",
            json!({"schema": "syntax = \"proto3\"; message Who { string name = 1; }"}),
        ),
        (
            "/subjects/orders-value/versions/latest",
            json!({"schema": order, "subject": "orders-value", "version": 3, "id": 7,
                   "references": [{"name": "Who", "subject": "who/v", "version": 2}]}),
        ),
        ("/subjects", json!(["who/v", "orders-value"])),
        ("/schemas/ids/9", json!({"schemaType": "JSON", "schema": "{}"})),
        ("/schemas/guids/67e55044-10b1-426f-9247-bb680e5fe0c8", json!({"schema": "\"long\""})),
    ])
}

#[test]
fn framed_payloads_are_read_by_their_schemas_and_each_is_fetched_once() {
    let server = serve(schemas());
    let decoding = decoding(&SchemaRegistry::at(&server.url));
    let order = json!({"id": "o1", "by": {"name": "ann"}});
    for _ in 0..2 {
        for (value, decoder, expected) in [
            (&b"\0\0\0\0\x07\x04o1\x06ann"[..], "avro", &order),
            (b"\0\0\0\0\x08\x02\x02\x0a\x02o1\x12\x05\x0a\x03ann", "protobuf", &order),
            (b"\0\0\0\0\x09{\"a\":1}", "json-schema", &json!({"a": 1})),
        ] {
            let decoded = decoding.decode(&record(value), Side::Value, Patience::Wait);
            assert_eq!(decoded.content, Content::Json(expected.clone()), "{:?}", decoded.refused);
            assert_eq!(decoded.decoder, decoder);
        }
    }
    assert_eq!(server.requests.load(Ordering::Relaxed), 5);
}

#[test]
fn a_schema_may_be_named_by_a_header() {
    let server = serve(schemas());
    let decoding = decoding(&SchemaRegistry::at(&server.url));
    let mut record = record(b"\x0e");
    let guid = uuid::Uuid::parse_str("67e55044-10b1-426f-9247-bb680e5fe0c8").unwrap();
    record.headers.push("__value_schema_id", Some([&[1], guid.as_bytes().as_slice()].concat().into()));
    let decoded = decoding.decode(&record, Side::Value, Patience::Wait);
    assert_eq!((decoded.content, decoded.decoder.as_str()), (Content::Json(json!(7)), "avro"));
}

#[test]
fn what_cannot_be_had_costs_the_decoding_and_says_why() {
    let server = serve(schemas());
    let decoding = decoding(&SchemaRegistry::at(&server.url));
    let why = |value: &'static [u8], patience| {
        let decoded = decoding.decode(&record(value), Side::Value, patience);
        assert_eq!(decoded.content, Content::Bytes(value.to_vec()));
        decoded.refused[0].1.clone()
    };
    assert_eq!(why(b"\0\0\0\0\x63\xff", Patience::Now), "schema 99 is not fetched yet");
    let unknown = why(b"\0\0\0\0\x63\xff", Patience::Wait);
    assert_eq!(unknown, "schema 99: the schema registry answered 404 Not Found Schema not found");
    assert!(why(b"\0\0\0\0\x07\xff", Patience::Wait).starts_with("schema 7: id: "), "broken Avro says where");

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let registry =
        Registry::new(&SchemaRegistry::at(&format!("http://{gone}")), Arc::new(SystemClock::default()))
            .unwrap();
    let down = registry.schema(&SchemaId::Number(7), Patience::Wait).unwrap_err();
    assert!(down.contains("cannot be reached"), "{down}");
}

#[test]
fn a_schema_is_found_by_its_subject_and_a_mistyped_one_names_the_nearest() {
    let server = serve(schemas());
    let registry = Registry::new(&SchemaRegistry::at(&server.url), Arc::new(SystemClock::default())).unwrap();
    let found = registry.registered("orders-value", None).unwrap();
    assert_eq!((found.id, found.version, found.schema.format()), (7, 3, "avro"));
    let written = encode(found.id, &found.schema, None, br#"{"id": "o1", "by": {"name": "ann"}}"#).unwrap();
    assert_eq!(written, b"\0\0\0\0\x07\x04o1\x06ann");
    let missing = registry.registered("order-value", Some(2)).unwrap_err();
    assert!(
        missing.starts_with("subject order-value, version 2: the schema registry answered 404"),
        "{missing}"
    );
    assert!(missing.ends_with("(did you mean orders-value?)"), "{missing}");
}

#[test]
fn credentials_are_sent() {
    let server = serve(schemas());
    let basic = SchemaRegistry {
        username: Some("me".into()),
        password: Some(Secret::new("pw")),
        ..SchemaRegistry::at(&server.url)
    };
    let bearer = SchemaRegistry { token: Some(Secret::new("t0")), ..SchemaRegistry::at(&server.url) };
    for (settings, expected) in [(basic, "Basic bWU6cHc="), (bearer, "Bearer t0")] {
        decoding(&settings).decode(&record(b"\0\0\0\0\x09{}"), Side::Value, Patience::Wait);
        assert_eq!(server.authorization.lock().unwrap().take().as_deref(), Some(expected));
    }
}
