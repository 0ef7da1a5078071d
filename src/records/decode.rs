//! What a record's payloads are; schemas that are not known yet are fetched meanwhile.

use std::sync::Arc;

use super::document::DecodedRecord;
use crate::context::Cx;
use crate::event::Record;
use crate::event::decode::{Base64, Patience, Side};
use crate::text::Fault;

/// Decodes a record's key and value, and the base64 in them where that is wanted.
pub async fn decode(cx: &Cx, record: Arc<Record>, base64: Base64) -> Result<DecodedRecord, Fault> {
    let profile = Arc::clone(&cx.profile);
    let work = move || {
        let side = |side| profile.decoding.decode(&record, side, Patience::Wait).inside(base64);
        DecodedRecord { at: record.at.clone(), base64, key: side(Side::Key), value: side(Side::Value) }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::failed("internal", "the record cannot be decoded").why(error.to_string()))
}
