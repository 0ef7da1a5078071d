//! Records that an operator wrote as JSON, encoded by a schema of the registry.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::produce::{Draft, ProduceRequest};
use crate::broker::Name;
use crate::config::profile::Profile;
use crate::context::Cx;
use crate::event::decode::{Decoding, Patience, Schema, SchemaId, Schemas, Side};
use crate::event::encode::{SchemaChoice, SchemaName, encode};
use crate::event::{Position, Record, codec};
use crate::text::{Fault, units};

/// The schema that keys or values were encoded by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProducedSchema {
    /// Its id.
    pub id: u32,
    /// Its subject, where it was named by it.
    pub subject: Option<String>,
    /// Its version in the subject.
    pub version: Option<u32>,
    /// `avro`, `protobuf` or `json-schema`.
    pub format: &'static str,
    /// The message, where one of several was named.
    pub message: Option<String>,
}

/// The records as they are written, with the schemas of keys and of values.
pub(super) struct Encoded {
    pub(super) records: Vec<Draft>,
    pub(super) key_schema: Option<ProducedSchema>,
    pub(super) schema: Option<ProducedSchema>,
}

/// Encodes the records of a request; what asks for no schema stays as it is.
pub(super) async fn encoded(cx: &Cx, request: &ProduceRequest) -> Result<Encoded, Fault> {
    let mut out = Encoded { records: request.records.clone(), key_schema: None, schema: None };
    if request.key_schema.is_none() && request.schema.is_none() {
        return Ok(out);
    }
    let (profile, topic) = (Arc::clone(&cx.profile), Arc::clone(&request.topic));
    let (key_schema, schema) = (request.key_schema.clone(), request.schema.clone());
    let work = move || {
        if let Some(choice) = &key_schema {
            out.key_schema = Some(side(&profile, &topic, choice, Side::Key, &mut out.records)?);
        }
        if let Some(choice) = &schema {
            out.schema = Some(side(&profile, &topic, choice, Side::Value, &mut out.records)?);
        }
        Ok(out)
    };
    // The registry is waited for.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Fault::failed("internal", "the records cannot be encoded").why(e.to_string()))?
}

fn side(
    profile: &Profile,
    topic: &Name,
    choice: &SchemaChoice,
    side: Side,
    records: &mut [Draft],
) -> Result<ProducedSchema, Fault> {
    let Some(schemas) = &profile.decoding.schemas else {
        return Err(Fault::usage("config", "a schema is asked for, and there is no schema registry")
            .why(format!("the profile {} names none", profile.name))
            .hint(format!("set `url` in [profiles.{}.schema_registry]", profile.name)));
    };
    let (produced, schema) = found(&**schemas, topic, choice, side).map_err(|why| {
        Fault::failed("schema", "the schema cannot be had").why(why).hint("nothing was written")
    })?;
    let several = records.len() > 1;
    for (i, draft) in records.iter_mut().enumerate() {
        let bytes = match side {
            Side::Key => &mut draft.key,
            Side::Value => &mut draft.value,
        };
        let Some(document) = bytes else { continue };
        let encoded = encode(produced.id, &schema, choice.message.as_deref(), document);
        let encoded = encoded.map_err(|misfit| {
            let of =
                if several { format!(" of record {}", units::count(i as u64 + 1)) } else { String::new() };
            let side = if side == Side::Key { "key" } else { "value" };
            Fault::refused("schema", format!("the {side}{of} does not fit {}", produced.words()))
                .why(misfit.to_string())
                .hint("nothing was written")
        })?;
        *bytes = Some(encoded.into());
    }
    Ok(produced)
}

fn found(
    schemas: &dyn Schemas,
    topic: &Name,
    choice: &SchemaChoice,
    side: Side,
) -> Result<(ProducedSchema, Arc<Schema>), String> {
    let (subject, version) = match &choice.named {
        SchemaName::Id(id) => {
            let schema = schemas.schema(&SchemaId::Number(*id), Patience::Wait)?;
            return Ok((produced(*id, None, None, &schema, choice), schema));
        }
        SchemaName::Subject(subject, version) => (subject.clone(), *version),
        SchemaName::OfTopic => (format!("{topic}-{}", if side == Side::Key { "key" } else { "value" }), None),
    };
    let found = schemas.registered(&subject, version)?;
    Ok((produced(found.id, Some(subject), Some(found.version), &found.schema, choice), found.schema))
}

fn produced(
    id: u32,
    subject: Option<String>,
    version: Option<u32>,
    schema: &Schema,
    choice: &SchemaChoice,
) -> ProducedSchema {
    ProducedSchema { id, subject, version, format: schema.format(), message: choice.message.clone() }
}

impl ProducedSchema {
    /// In words: `schema 7 (avro, orders-value version 2)`.
    pub fn words(&self) -> String {
        let subject = self.subject.as_ref().zip(self.version);
        let of = subject.map_or_else(String::new, |(name, version)| format!(", {name} version {version}"));
        let message = self.message.as_ref().map_or_else(String::new, |name| format!(", message {name}"));
        format!("schema {} ({}{of}{message})", self.id, self.format)
    }
}

/// A key or value as it is told before it is written: what was encoded as whoever reads it will decode it.
pub(super) fn told(
    cx: &Cx,
    draft: &Draft,
    side: Side,
    schema: Option<&ProducedSchema>,
) -> (Value, &'static str) {
    let bytes = match side {
        Side::Key => &draft.key,
        Side::Value => &draft.value,
    };
    if schema.is_none() || bytes.is_none() {
        return codec::encode_text(bytes.as_deref());
    }
    let decoding = Decoding { topics: Vec::new(), schemas: cx.profile.decoding.schemas.clone() };
    let record = Record {
        at: Position::new("", 0, 0),
        time: None,
        key: draft.key.clone(),
        value: draft.value.clone(),
        headers: draft.headers.clone(),
        lease: None,
    };
    // The schema is known by now, as a rule; a few milliseconds are not worth another thread.
    decoding.decode(&record, side, Patience::Wait).encoded()
}
