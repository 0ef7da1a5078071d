//! The event inside a record: id, type, version, time and relations, by ordered candidates.
//!
//! Each convention is one rule; the first whose marks are there wins, and [`Envelope::rule`] says which.
//! Headers come before the value, because they are written by the transport's own code. `version` is the
//! schema's version; a sequence is taken only where the convention calls it one.
//! Sources: CloudEvents Kafka binding 1.0.2 (`ce_`), Axon `KafkaHeaders`, Debezium's outbox event router and
//! change events, NServiceBus `Headers`, MassTransit `MessageEnvelope`, Wolverine `EnvelopeConstants`,
//! W3C Trace Context.

use serde::Serialize;

use super::fields::Fields;
use super::{Record, time};
use crate::text::Timestamp;

/// The longest header value or key that is taken for a field, in bytes.
const LONGEST: usize = 1024;

/// What is known of the event; unknown is `None`. In JSON the whole is `null` where no rule matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The event's id; unique only together with its source.
    pub id: Option<String>,
    /// The event's type.
    pub type_: Option<String>,
    /// The version of its schema.
    pub version: Option<String>,
    /// When it happened, as the producer says.
    pub time: Option<Timestamp>,
    /// The aggregate (entity, stream) that it belongs to.
    pub aggregate_id: Option<String>,
    /// The sort of aggregate.
    pub aggregate_type: Option<String>,
    /// Its place among the events of the aggregate.
    pub sequence: Option<i64>,
    /// What all messages of one business operation share.
    pub correlation_id: Option<String>,
    /// The message that caused this one.
    pub causation_id: Option<String>,
    /// The trace id of W3C Trace Context.
    pub trace_id: Option<String>,
    /// The rule that matched.
    pub rule: Option<&'static str>,
}

impl Serialize for Envelope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let Some(rule) = self.rule else { return serializer.serialize_none() };
        let mut s = serializer.serialize_struct("event", 11)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("type", &self.type_)?;
        s.serialize_field("version", &self.version)?;
        s.serialize_field("time", &self.time)?;
        s.serialize_field("aggregate_id", &self.aggregate_id)?;
        s.serialize_field("aggregate_type", &self.aggregate_type)?;
        s.serialize_field("sequence", &self.sequence)?;
        s.serialize_field("correlation_id", &self.correlation_id)?;
        s.serialize_field("causation_id", &self.causation_id)?;
        s.serialize_field("trace_id", &self.trace_id)?;
        s.serialize_field("rule", rule)?;
        s.end()
    }
}

/// Finds the event in a record.
pub fn extract(record: &Record) -> Envelope {
    extract_from(record, record.value.as_deref())
}

/// Finds the event in a record whose value reads as the JSON document `value`.
pub fn extract_from(record: &Record, value: Option<&[u8]>) -> Envelope {
    let from = Source { record, fields: Fields::read(value) };
    let mut event = RULES.iter().find_map(|rule| rule(&from)).unwrap_or_default();
    // What a tracing library adds to any record; a header beats what the rule found in the value.
    let trace = from.header(&["traceparent", "ce_traceparent"]).map(|t| trace_id(&t));
    event.trace_id = trace.or_else(|| event.trace_id.take());
    let correlation = from.header(&["correlation-id", "correlation_id", "correlationId", "X-Correlation-ID"]);
    event.correlation_id = correlation.or_else(|| event.correlation_id.take());
    let causation = from.header(&["causation-id", "causation_id", "causationId"]);
    event.causation_id = causation.or_else(|| event.causation_id.take());
    let known = event.trace_id.is_some() || event.correlation_id.is_some() || event.causation_id.is_some();
    if event.rule.is_none() && known {
        event.rule = Some("headers");
    }
    event
}

/// In order of trust: marks that only one convention writes come first.
const RULES: &[fn(&Source<'_>) -> Option<Envelope>] = &[
    cloudevents_binary,
    axon,
    nservicebus,
    masstransit_headers,
    wolverine,
    debezium_outbox,
    cloudevents_structured,
    debezium_change,
    masstransit_body,
    flat_json,
];

struct Source<'r> {
    record: &'r Record,
    fields: Fields,
}

impl Source<'_> {
    /// The first of these headers that is there, not empty, and text.
    fn header(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| text(self.record.headers.last(name)?))
    }

    fn value(&self, paths: &[&str]) -> Option<String> {
        self.fields.text(paths)
    }

    fn time(&self, paths: &[&str]) -> Option<Timestamp> {
        self.fields.first(paths)?.time()
    }

    fn key(&self) -> Option<String> {
        text(self.record.key.as_ref()?)
    }
}

fn text(bytes: &bytes::Bytes) -> Option<String> {
    if bytes.is_empty() || bytes.len() > LONGEST {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The trace id of a `traceparent`: `00-<trace id>-<parent id>-<flags>`.
fn trace_id(traceparent: &str) -> String {
    match traceparent.split('-').nth(1) {
        Some(id) if id.len() == 32 => id.to_owned(),
        _ => traceparent.to_owned(),
    }
}

fn cloudevents_binary(from: &Source<'_>) -> Option<Envelope> {
    let id = from.header(&["ce_id"])?;
    from.header(&["ce_specversion", "ce_type"])?;
    Some(Envelope {
        id: Some(id),
        type_: from.header(&["ce_type"]),
        version: from.header(&["ce_dataschema"]),
        time: from.header(&["ce_time"]).and_then(|t| time::from_text(&t)),
        aggregate_id: from.header(&["ce_subject", "ce_partitionkey"]),
        aggregate_type: from.header(&["ce_source"]),
        sequence: from.header(&["ce_sequence"]).and_then(|n| n.parse().ok()),
        correlation_id: from.header(&["ce_correlationid"]),
        causation_id: from.header(&["ce_causationid"]),
        trace_id: None,
        rule: Some("cloudevents-binary"),
    })
}

fn axon(from: &Source<'_>) -> Option<Envelope> {
    Some(Envelope {
        id: Some(from.header(&["axon-message-id"])?),
        type_: from.header(&["axon-message-type"]),
        version: from.header(&["axon-message-revision"]),
        // Axon writes longs as eight bytes, big-endian.
        time: from.number("axon-message-timestamp").map(time::from_number),
        aggregate_id: from.header(&["axon-message-aggregate-id"]),
        aggregate_type: from.header(&["axon-message-aggregate-type"]),
        sequence: from.number("axon-message-aggregate-seq"),
        correlation_id: from.header(&["axon-metadata-correlationId"]),
        causation_id: from.header(&["axon-metadata-traceId"]),
        trace_id: None,
        rule: Some("axon"),
    })
}

impl Source<'_> {
    /// A header that is a number: eight bytes, big-endian, or its digits.
    fn number(&self, name: &str) -> Option<i64> {
        let bytes = self.record.headers.last(name)?;
        if let Some(n) = std::str::from_utf8(bytes).ok().and_then(|t| t.parse().ok()) {
            return Some(n);
        }
        Some(i64::from_be_bytes(bytes.as_ref().try_into().ok()?))
    }
}

fn nservicebus(from: &Source<'_>) -> Option<Envelope> {
    let types = from.header(&["NServiceBus.EnclosedMessageTypes"]);
    // `Sales.OrderPlaced, Sales.Messages, Version=1.2.0.0, …; next type`
    let first = types.as_deref().and_then(|t| t.split(';').next()).unwrap_or_default();
    let version = first.split("Version=").nth(1).and_then(|v| v.split(',').next());
    Some(Envelope {
        id: Some(from.header(&["NServiceBus.MessageId"])?),
        type_: first.split(',').next().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned),
        version: version.map(str::to_owned),
        time: from.header(&["NServiceBus.TimeSent"]).and_then(|t| time::from_text(&t)),
        aggregate_id: from.header(&["NServiceBus.SagaId"]),
        correlation_id: from.header(&["NServiceBus.CorrelationId", "NServiceBus.ConversationId"]),
        causation_id: from.header(&["NServiceBus.RelatedTo"]),
        rule: Some("nservicebus"),
        ..Envelope::default()
    })
}

fn masstransit_headers(from: &Source<'_>) -> Option<Envelope> {
    let type_ = from.header(&["MT-MessageType"]);
    let id = from.header(&["MessageId"]);
    if type_.is_none() && (id.is_none() || from.header(&["ConversationId"]).is_none()) {
        return None;
    }
    Some(Envelope {
        id,
        type_,
        time: from.header(&["SentTime"]).and_then(|t| time::from_text(&t)),
        aggregate_id: from.key(),
        correlation_id: from.header(&["CorrelationId", "ConversationId"]),
        causation_id: from.header(&["MT-InitiatorId", "InitiatorId"]),
        rule: Some("masstransit-headers"),
        ..Envelope::default()
    })
}

fn wolverine(from: &Source<'_>) -> Option<Envelope> {
    Some(Envelope {
        type_: Some(from.header(&["message-type"])?),
        id: from.header(&["id"]),
        time: from.header(&["sent-at"]).and_then(|t| time::from_text(&t)),
        aggregate_id: from.header(&["group-id", "partition-key"]),
        correlation_id: from.header(&["correlation-id", "conversation-id"]),
        causation_id: from.header(&["causation-id", "parent-id"]),
        rule: Some("wolverine"),
        ..Envelope::default()
    })
}

fn debezium_outbox(from: &Source<'_>) -> Option<Envelope> {
    let aggregate = from.record.at.topic.strip_prefix("outbox.event.");
    let type_ = from.header(&["eventType"]);
    if aggregate.is_none() && type_.is_none() {
        return None;
    }
    Some(Envelope {
        id: Some(from.header(&["id"])?),
        type_,
        time: from.record.timestamp(),
        aggregate_id: from.key(),
        aggregate_type: aggregate.map(str::to_owned),
        rule: Some("debezium-outbox"),
        ..Envelope::default()
    })
}

fn cloudevents_structured(from: &Source<'_>) -> Option<Envelope> {
    if !from.fields.has("specversion") {
        return None;
    }
    Some(Envelope {
        id: Some(from.value(&["id"])?),
        type_: from.value(&["type"]),
        version: from.value(&["dataschema"]),
        time: from.time(&["time"]),
        aggregate_id: from.value(&["subject", "partitionkey"]),
        aggregate_type: from.value(&["source"]),
        sequence: from.fields.get("sequence").and_then(super::fields::Scalar::int),
        correlation_id: from.value(&["correlationid"]),
        causation_id: from.value(&["causationid"]),
        trace_id: from.value(&["traceparent"]).map(|t| trace_id(&t)),
        rule: Some("cloudevents-structured"),
    })
}

/// A change event of Debezium, with the schema in the value (`payload.…`) or without.
fn debezium_change(from: &Source<'_>) -> Option<Envelope> {
    let f = &from.fields;
    let wrapped = f.has("payload.op") && f.has("payload.source.connector");
    let bare = f.has("op") && f.has("source.connector");
    if !wrapped && !bare {
        return None;
    }
    let get = |paths: [&'static str; 2]| f.text(if wrapped { &paths[..1] } else { &paths[1..] });
    let table = get(["payload.source.table", "source.table"]);
    let operation = get(["payload.op", "op"])?;
    let place = get(["payload.source.lsn", "source.lsn"]).or_else(|| {
        let file = get(["payload.source.file", "source.file"])?;
        Some(format!("{file}:{}", get(["payload.source.pos", "source.pos"])?))
    });
    Some(Envelope {
        id: place,
        type_: Some(table.as_ref().map_or_else(|| operation.clone(), |t| format!("{t}:{operation}"))),
        time: from.time(if wrapped { &["payload.source.ts_ms"] } else { &["source.ts_ms"] }),
        aggregate_id: from.key(),
        aggregate_type: table,
        causation_id: get(["payload.transaction.id", "transaction.id"]),
        rule: Some("debezium-change"),
        ..Envelope::default()
    })
}

fn masstransit_body(from: &Source<'_>) -> Option<Envelope> {
    if !from.fields.has("messageId") || !from.fields.has("messageType") {
        return None;
    }
    Some(Envelope {
        id: from.value(&["messageId"]),
        type_: from.value(&["messageType"]),
        time: from.time(&["sentTime"]),
        aggregate_id: from.key(),
        correlation_id: from.value(&["correlationId", "conversationId"]),
        causation_id: from.value(&["initiatorId"]),
        rule: Some("masstransit"),
        ..Envelope::default()
    })
}

/// The reference style: members of the value itself, in snake or camel case.
fn flat_json(from: &Source<'_>) -> Option<Envelope> {
    let f = &from.fields;
    let marked = ["event_id", "eventId", "event_type", "eventType"].iter().any(|name| f.has(name));
    // `id` alone is any document; with a type beside it, it is an event.
    let named = f.has("id") && f.has("type");
    if !marked && !named {
        return None;
    }
    Some(Envelope {
        id: from.value(&["event_id", "eventId", "id"]),
        type_: from.value(&["event_type", "eventType", "type"]),
        version: from.value(&["version", "schema_version", "schemaVersion"]),
        time: from.time(&["timestamp", "occurred_at", "occurredAt", "time"]),
        aggregate_id: from.value(&["aggregate_id", "aggregateId"]).or_else(|| from.key()),
        aggregate_type: from.value(&["aggregate_type", "aggregateType"]),
        sequence: f
            .first(&["sequence", "aggregate_version", "aggregateVersion"])
            .and_then(super::fields::Scalar::int),
        correlation_id: from.value(&["correlation_id", "correlationId", "metadata.$correlationId"]),
        causation_id: from.value(&["causation_id", "causationId", "parent_id", "metadata.$causationId"]),
        trace_id: from.value(&["trace_id", "traceId"]),
        rule: Some("flat-json"),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::event::{Headers, Position, RecordTime, TimeKind};

    fn record(headers: &[(&'static str, &'static str)], key: Option<&'static str>, value: &str) -> Record {
        Record {
            at: Position::new("orders", 0, 1),
            time: Some(RecordTime { kind: TimeKind::Create, at: Timestamp(5) }),
            key: key.map(Bytes::from),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Headers(headers.iter().map(|(n, v)| ((*n).into(), Some((*v).into()))).collect()),
            lease: None,
        }
    }

    #[test]
    fn the_reference_style_gives_all_its_fields() {
        let value = r#"{"event_id":"evt_1","event_type":"OrderPlaced","version":1,"timestamp":"2026-11-24T13:02:11.034Z",
            "aggregate_id":"ord-1","correlation_id":"req_1","data":{"event_id":"no"}}"#;
        assert_eq!(
            serde_json::to_value(extract(&record(&[], Some("k"), value))).unwrap(),
            json!({
                "id": "evt_1", "type": "OrderPlaced", "version": "1", "time": "2026-11-24T13:02:11.034Z",
                "aggregate_id": "ord-1", "aggregate_type": null, "sequence": null, "correlation_id": "req_1",
                "causation_id": null, "trace_id": null, "rule": "flat-json"
            })
        );
    }

    #[test]
    fn a_record_without_an_event_is_null() {
        for value in ["hello", "{}", "{\"id\":1}", "[1]", ""] {
            let event = extract(&record(&[("x", "y")], Some("k"), value));
            assert_eq!(serde_json::to_value(&event).unwrap(), json!(null), "{value}");
        }
    }

    #[test]
    fn a_header_beats_the_value() {
        let value = r#"{"event_id":"evt_1","correlation_id":"from value","trace_id":"t"}"#;
        let headers = [
            ("correlation-id", "from header"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ];
        let event = extract(&record(&headers, None, value));
        assert_eq!(event.correlation_id.as_deref(), Some("from header"));
        assert_eq!(event.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(event.rule, Some("flat-json"));
    }

    #[test]
    fn each_convention_is_known_by_its_own_marks() {
        let known = |headers: &[(&'static str, &'static str)], value: &str, rule| {
            let event = extract(&record(headers, None, value));
            assert_eq!(event.rule, Some(rule));
            assert_eq!((event.id.as_deref(), event.type_.as_deref()), (Some("1"), Some("t")), "{rule}");
        };
        known(&[("ce_id", "1"), ("ce_type", "t")], "", "cloudevents-binary");
        known(&[("axon-message-id", "1"), ("axon-message-type", "t")], "", "axon");
        let types = "t, Shop, Version=1.0.0.0; u, Shop";
        known(
            &[("NServiceBus.MessageId", "1"), ("NServiceBus.EnclosedMessageTypes", types)],
            "",
            "nservicebus",
        );
        known(&[("MessageId", "1"), ("MT-MessageType", "t")], "", "masstransit-headers");
        known(&[("id", "1"), ("message-type", "t")], "", "wolverine");
        known(&[("id", "1"), ("eventType", "t")], "{}", "debezium-outbox");
        known(&[], r#"{"specversion":"1.0","id":"1","type":"t","source":"s"}"#, "cloudevents-structured");
        known(&[], r#"{"messageId":"1","messageType":["t"],"message":{}}"#, "masstransit");
    }

    #[test]
    fn a_change_event_is_named_by_its_place_in_the_source() {
        let wrapped = r#"{"payload":{"op":"u","source":{"connector":"mysql","table":"orders","file":"b.1","pos":42,"ts_ms":1795525331034}}}"#;
        let event = extract(&record(&[], Some("k"), wrapped));
        assert_eq!((event.id.as_deref(), event.type_.as_deref()), (Some("b.1:42"), Some("orders:u")));
        assert_eq!(event.time, Some(Timestamp(1_795_525_331_034)));
        let bare = r#"{"op":"c","source":{"connector":"postgresql","lsn":77}}"#;
        assert_eq!(extract(&record(&[], None, bare)).id.as_deref(), Some("77"));
    }

    #[test]
    fn axon_writes_its_numbers_as_eight_bytes() {
        let mut axon = record(&[("axon-message-id", "1")], None, "");
        axon.headers.push("axon-message-aggregate-seq", Some(Bytes::copy_from_slice(&7_i64.to_be_bytes())));
        axon.headers.push("axon-message-timestamp", Some("1795525331034".into()));
        let event = extract(&axon);
        assert_eq!((event.sequence, event.time), (Some(7), Some(Timestamp(1_795_525_331_034))));
    }
}
