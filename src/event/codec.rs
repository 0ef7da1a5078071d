//! Keys, values and headers for JSON output, as they are: what they decode to is told by [`super::decode`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Headers, json as documents};

/// A value for JSON output, with the name of its encoding: `json`, `utf8`, `base64` or `null`.
///
/// A JSON document that would not survive parsing unchanged is given as `utf8`.
pub fn encode_bytes(bytes: Option<&[u8]>) -> (Value, &'static str) {
    let Some(bytes) = bytes else { return (Value::Null, "null") };
    match documents::parse(bytes) {
        Ok(value) => (value, "json"),
        Err(_) => encode_text(Some(bytes)),
    }
}

/// A key for JSON output: like [`encode_bytes`], but only objects and arrays are parsed. A key `12` stays
/// the text that `--key 12` finds.
pub fn encode_key(bytes: Option<&[u8]>) -> (Value, &'static str) {
    match bytes.and_then(documents::first) {
        Some(b'{' | b'[') => encode_bytes(bytes),
        _ => encode_text(bytes),
    }
}

/// Bytes for JSON output, never parsed: `utf8`, `base64` or `null`.
pub fn encode_text(bytes: Option<&[u8]>) -> (Value, &'static str) {
    match bytes {
        None => (Value::Null, "null"),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => (Value::from(text), "utf8"),
            Err(_) => (Value::from(STANDARD.encode(bytes)), "base64"),
        },
    }
}

/// The headers for JSON output: an array in order, duplicates kept.
pub fn encode_headers(headers: &Headers) -> Value {
    headers
        .iter()
        .map(|(name, value)| {
            let (name, name_encoding) = encode_text(Some(name));
            let (value, encoding) = encode_text(value.map(AsRef::as_ref));
            if name_encoding == "utf8" {
                json!({ "name": name, "value": value, "encoding": encoding })
            } else {
                json!({ "name": name, "name_encoding": name_encoding, "value": value, "encoding": encoding })
            }
        })
        .collect()
}

/// The schema id of Confluent's wire format: a zero byte, then the id as four bytes, big-endian.
pub fn schema_id(bytes: &[u8]) -> Option<u32> {
    match *bytes {
        [0, a, b, c, d, _, ..] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_are_not_the_same() {
        assert_eq!(encode_bytes(None), (Value::Null, "null"));
        assert_eq!(encode_bytes(Some(b"")), (json!(""), "utf8"));
        assert_eq!(encode_bytes(Some(b"null")), (Value::Null, "json"));
    }

    #[test]
    fn a_document_that_would_change_is_given_as_its_text() {
        let bytes = b"{\"id\":123456789012345678901}";
        assert_eq!(encode_bytes(Some(bytes)), (json!("{\"id\":123456789012345678901}"), "utf8"));
    }

    #[test]
    fn a_key_that_looks_like_a_number_stays_text() {
        assert_eq!(encode_key(Some(b"12")), (json!("12"), "utf8"));
        assert_eq!(encode_key(Some(b"{\"a\":1}")), (json!({"a":1}), "json"));
        assert_eq!(encode_key(Some(b"\xff")), (json!("/w=="), "base64"));
    }

    #[test]
    fn headers_keep_order_duplicates_nulls_and_odd_names() {
        let mut headers = Headers::default();
        headers.push("a", Some("1".into()));
        headers.push("a", None);
        headers.push(&b"\xff"[..], Some(bytes::Bytes::from_static(b"\xfe")));
        assert_eq!(
            encode_headers(&headers),
            json!([
                { "name": "a", "value": "1", "encoding": "utf8" },
                { "name": "a", "value": null, "encoding": "null" },
                { "name": "/w==", "name_encoding": "base64", "value": "/g==", "encoding": "base64" },
            ])
        );
    }
}
