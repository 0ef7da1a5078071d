//! Writes records that an operator made up into a topic: all of them in one transaction with an audit record, or none.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use super::encoded::ProducedSchema;
use super::encoded::{encoded, told};
use super::run::{no_transactions, read_only};
use super::transfer::{Chain, Mark, Unwritten};
use super::{audit, cluster};
use crate::broker::{ErrorKind, Guarantee, Name, Placed, Write};
use crate::context::{Cx, Progress, Sink};
use crate::dlq::names::is_internal_name;
use crate::event::decode::Side;
use crate::event::encode::SchemaChoice;
use crate::event::{Headers, codec};
use crate::ledger::audit::{Action, AuditRecord, Kind, Totals, ranges};
use crate::text::{Fault, FaultKind, Timestamp, units};

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Key; null is not empty.
    pub key: Option<Bytes>,
    /// Value; null is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

/// What `produce` is asked.
#[derive(Clone, Debug)]
pub struct ProduceRequest {
    /// The topic.
    pub topic: Name,
    /// The records, in order; those with a schema as JSON documents.
    pub records: Vec<Draft>,
    /// The schema that keys are encoded by.
    pub key_schema: Option<SchemaChoice>,
    /// The schema that values are encoded by.
    pub schema: Option<SchemaChoice>,
    /// The partition of all of them; `None` lets the key decide as the Java client does.
    pub partition: Option<i32>,
    /// The timestamp of all of them; `None` for when they are written.
    pub timestamp: Option<Timestamp>,
    /// Whether the operator agreed, and why; `None` writes nothing.
    pub agreed: Option<ProduceAgreed>,
}

/// What the operator agreed to.
#[derive(Clone, Debug, Default)]
pub struct ProduceAgreed {
    /// Why; goes into the audit.
    pub reason: Option<String>,
}

/// One record, as it would be written or was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProducedRecord {
    /// Partition; `None` where the key or the turn decides it later.
    pub partition: Option<i32>,
    /// Offset; `None` before it is written.
    pub offset: Option<i64>,
    /// Timestamp asked for; `None` for the time of writing.
    pub timestamp: Option<Timestamp>,
    /// Key.
    pub key: Value,
    /// `utf8`, `base64` or `null`; `json` where a schema encoded it.
    pub key_encoding: &'static str,
    /// Value.
    pub value: Value,
    /// `utf8`, `base64`, `null`, which is a tombstone, or `json` where a schema encoded it.
    pub value_encoding: &'static str,
    /// Headers.
    pub headers: Value,
    /// Bytes of key, value and headers.
    pub size: u64,
}

/// What would be written, or was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProduceAnswer {
    /// Always `produce`.
    pub action: &'static str,
    /// Its id in the audit; `None` where nothing was written.
    pub run: Option<String>,
    /// The topic.
    pub topic: Name,
    /// The schema of the keys.
    pub key_schema: Option<ProducedSchema>,
    /// The schema of the values.
    pub schema: Option<ProducedSchema>,
    /// The records.
    pub records: Vec<ProducedRecord>,
    /// How many were written.
    pub written: u64,
    /// The guarantee's word.
    pub guarantee: &'static str,
    /// What to think about.
    pub warnings: Vec<String>,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was looked at, or written.
    pub started: Timestamp,
    /// Whether nothing was written because nobody agreed.
    pub dry_run: bool,
}

/// Answers [`ProduceRequest`].
pub async fn produce(
    cx: &Cx,
    request: &ProduceRequest,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<ProduceAnswer, Fault> {
    let topic = &request.topic;
    let there = target(cx, topic).await?;
    let Some(topic_id) = there.planned.topic_id.clone() else {
        return Err(no_transactions("has no topic ids"));
    };
    let partitions = there.planned.partitions;
    if let Some(partition) = request.partition.filter(|p| !(0..partitions).contains(p)) {
        return Err(Fault::usage(
            ErrorKind::UnknownPartition.code(),
            format!("{topic} has no partition {partition}"),
        )
        .why(format!("it has {} partitions, counted from 0", units::count(partitions.unsigned_abs().into())))
        .hint("without --partition the key decides, as with the Java client"));
    }
    let encoded = encoded(cx, request).await?;
    let request = &ProduceRequest { records: encoded.records, ..request.clone() };
    let now = cx.clock.now();
    if let Some(why) = request.timestamp.and_then(|at| there.refuses(at, now)) {
        return Err(Fault::refused("timestamp", format!("{topic} does not take the record")).why(why));
    }
    let no_key = request.records.iter().position(|record| record.key.is_none());
    if let Some(index) = no_key.filter(|_| there.compacted == Some(true)) {
        return Err(Fault::refused("invalid", format!("{topic} takes no record without a key"))
            .why(format!("it is compacted, and record {} has none", index + 1))
            .hint("give --key"));
    }
    let mut answer = ProduceAnswer {
        action: "produce",
        run: None,
        topic: Arc::clone(topic),
        records: Vec::new(),
        key_schema: encoded.key_schema,
        schema: encoded.schema,
        written: 0,
        guarantee: Guarantee::ExactlyOnceReadCommitted.as_str(),
        warnings: warnings(request, &there, now),
        operator: cx.operator.name.clone(),
        reason: None,
        started: now,
        dry_run: request.agreed.is_none(),
    };
    answer.records = request.records.iter().map(|draft| shown(cx, request, draft, &answer)).collect();
    let Some(agreed) = &request.agreed else { return Ok(answer) };
    let Some(writer) = cx.broker.writer() else { return Err(read_only(cx)) };
    if !cx.broker.capabilities().transactions.usable() {
        return Err(no_transactions("has no transactions"));
    }
    sink.progress(Progress { what: format!("writing into {topic}"), ..Progress::default() });
    let id = uuid::Uuid::new_v4();
    let run = id.simple().to_string();
    let mark =
        Mark { kind: Kind::Produce, plan: String::new(), topic_id: topic_id.to_string(), run: run.clone() };
    let started = cx.clock.now();
    let audit = |places: &[Placed]| {
        let mut record: AuditRecord = audit::record(cx, Action::End, cx.clock.now().as_millis());
        record.kind = mark.kind;
        record.run.clone_from(&mark.run);
        record.topic = topic.to_string();
        record.topic_id.clone_from(&mark.topic_id);
        record.reason.clone_from(&agreed.reason);
        record.started_ms = started.as_millis();
        record.positions = ranges(places.iter().map(|place| (place.partition, place.offset)));
        let count = request.records.len() as u64;
        record.totals = Totals { planned: count, disposed: count, ..Totals::default() };
        record
    };
    // Nobody else has this id: whoever else writes into the topic is not disturbed.
    let writer_id = format!("redrive-produce-{run}");
    let mut chain = Chain::begin(cx, writer, writer_id, mark.clone(), &mut |_| {}, cancel).await?;
    // Which partition the first record without a key gets is left to chance, or the first one would get them all.
    let turn = id.as_u128() as u32 % partitions.unsigned_abs().max(1);
    let writes = writes(request, partitions, turn as i32);
    let places = chain.write(&writes, &audit, cancel).await.map_err(|unwritten| match unwritten {
        Unwritten::Refused(index, error) => Fault::failed(
            error.kind.code(),
            format!("the broker does not take record {}", units::count(index as u64 + 1)),
        )
        .why(error.why)
        .hint("nothing was written"),
        Unwritten::Failed(fault) => fault,
    })?;
    for (record, place) in answer.records.iter_mut().zip(&places) {
        record.partition = Some(place.partition);
        record.offset = Some(place.offset);
    }
    answer.written = places.len() as u64;
    answer.run = Some(run);
    answer.reason.clone_from(&agreed.reason);
    Ok(answer)
}

/// The topic that is written into. None is ever made by writing.
pub(super) async fn target(cx: &Cx, topic: &Name) -> Result<cluster::Target, Fault> {
    if is_internal_name(topic) {
        return Err(Fault::usage("usage", format!("{topic} is an internal topic")));
    }
    if let Some(there) = cluster::targets(cx, std::slice::from_ref(topic)).await?.remove(topic) {
        return Ok(there);
    }
    let fault = cx.unknown_topic(topic).await;
    Err(Fault { code: "target_missing", kind: FaultKind::Refused, ..fault })
}

fn shown(cx: &Cx, request: &ProduceRequest, draft: &Draft, answer: &ProduceAnswer) -> ProducedRecord {
    let (key, key_encoding) = told(cx, draft, Side::Key, answer.key_schema.as_ref());
    let (value, value_encoding) = told(cx, draft, Side::Value, answer.schema.as_ref());
    ProducedRecord {
        partition: request.partition,
        offset: None,
        timestamp: request.timestamp,
        key,
        key_encoding,
        value,
        value_encoding,
        headers: codec::encode_headers(&draft.headers),
        size: size(draft) as u64,
    }
}

fn size(draft: &Draft) -> usize {
    let length = |bytes: Option<&Bytes>| bytes.map_or(0, Bytes::len);
    let headers: usize = draft.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
    length(draft.key.as_ref()) + length(draft.value.as_ref()) + headers
}

fn warnings(request: &ProduceRequest, there: &cluster::Target, now: Timestamp) -> Vec<String> {
    let topic = &request.topic;
    let mut out = request.timestamp.map(|at| there.doubts(Some(at), now)).unwrap_or_default();
    let tombstones = request.records.iter().filter(|record| record.value.is_none()).count();
    match there.compacted {
        Some(true) if tombstones > 0 => {
            out.push(format!("a record without a value deletes its key from {topic}, which is compacted"));
        }
        Some(false) if tombstones > 0 => {
            out.push(format!("a record without a value deletes nothing: {topic} is not compacted"));
        }
        _ => {}
    }
    let large = |limit: &usize| request.records.iter().any(|record| size(record) > *limit);
    if let Some(limit) = there.max_bytes.filter(large) {
        let limit = units::bytes(limit as u64);
        out.push(format!("{topic} takes {limit} a batch: a record is larger, unless it can be compressed"));
    }
    out
}

fn writes(request: &ProduceRequest, partitions: i32, first: i32) -> Vec<Write> {
    let mut turn = first;
    let mut next = || {
        turn = (turn + 1) % partitions.max(1);
        turn
    };
    let write = |draft: &Draft| Write {
        topic: Arc::clone(&request.topic),
        partition: request.partition.or_else(|| draft.key.is_none().then(&mut next)),
        key: draft.key.clone(),
        value: draft.value.clone(),
        headers: draft.headers.clone(),
        timestamp: request.timestamp,
    };
    request.records.iter().map(write).collect()
}
