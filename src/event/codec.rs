//! Payload decoding: what a key or value is, for JSON output and for the eye.
//!
//! The first decoder that fits is taken, and each that did not says why: an operator who sees bytes wants
//! to know what was tried. Limits: JSON, text and raw bytes; a payload with a schema id in front is named
//! as such and shown as bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Headers, json as documents};

/// How a payload was decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// There is none: an absent key, a tombstone.
    Null,
    /// A JSON document.
    Json(Value),
    /// UTF-8 text.
    Text(String),
    /// Neither.
    Bytes(Vec<u8>),
}

impl Content {
    /// The decoder's name: `none`, `json`, `text` or `bytes`.
    pub fn decoder(&self) -> &'static str {
        match self {
            Self::Null => "none",
            Self::Json(_) => "json",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// A decoded payload, with the decoders that did not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What it is.
    pub content: Content,
    /// Decoders that were tried before, and why they did not fit.
    pub refused: Vec<(&'static str, String)>,
}

/// Decodes a value.
pub fn decode(bytes: Option<&[u8]>) -> Decoded {
    let Some(bytes) = bytes else { return Decoded { content: Content::Null, refused: Vec::new() } };
    let mut refused = Vec::new();
    if let Some(id) = schema_id(bytes) {
        refused.push(("avro", format!("has the frame of schema id {id}, but no schema registry is asked")));
    }
    match documents::parse(bytes) {
        Ok(value) => return Decoded { content: Content::Json(value), refused },
        Err(why) => refused.push(("json", why.to_string())),
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => return Decoded { content: Content::Text(text.to_owned()), refused },
        Err(e) => refused.push(("text", format!("not UTF-8 at byte {}", e.valid_up_to()))),
    }
    Decoded { content: Content::Bytes(bytes.to_vec()), refused }
}

/// The decoder that stands behind an encoding's name: `none`, `json`, `text` or `bytes`.
pub fn decoder(encoding: &str) -> &'static str {
    match encoding {
        "json" => "json",
        "utf8" => "text",
        "base64" => "bytes",
        _ => "none",
    }
}

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
        assert_eq!(decode(None).content, Content::Null);
        assert_eq!(decode(Some(b"")).content, Content::Text(String::new()));
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
    fn a_refused_decoder_says_why() {
        let framed = decode(Some(b"\x00\x00\x00\x00\x07\xff\xfe"));
        assert_eq!(framed.content.decoder(), "bytes");
        let names: Vec<_> = framed.refused.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["avro", "json", "text"]);
        assert!(framed.refused[0].1.contains("schema id 7"));
        assert!(framed.refused[2].1.contains("byte 5"));
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
