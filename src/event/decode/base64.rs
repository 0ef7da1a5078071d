//! Base64 inside a document, decoded in place where the operator asks for it.
//!
//! Nothing in a document says that a string is base64, and many words are by chance: so this is never done unasked, and
//! what was decoded stands in an object that says what it became: `{"base64:json": …}`, `{"base64:gzip+text": …}`,
//! `{"base64:hex": …}`, or `{"base64:bytes": N}` for what is long and no text. Bytes that are no text are believed only
//! where the string looks as random as base64 does; a name or an id keeps what it says.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::squeeze::Squeeze;
use super::{Content, DEPTH, Decoded, is_printable, json};

/// Shorter strings are not taken for base64.
const SHORTEST: usize = 8;
/// Shorter strings are not taken for base64 of what is no text.
const SHORTEST_BYTES: usize = 16;
/// Bytes that are given in hexadecimal; of more only their number is told.
const HEX: usize = 64;
/// Base64 within base64 is followed so deep.
const LAYERS: usize = 4;
/// Bytes that all compressed strings of a document become at most.
const EXPANDED: usize = 4 << 20;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// What becomes of strings that are base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Base64 {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are decoded in place.
    Decode,
}

impl Decoded {
    /// Decodes the strings of the document that are base64, where that is wanted; the decoder is then named
    /// `…+base64`. What is no document stays as it is.
    #[must_use]
    pub fn inside(mut self, base64: Base64) -> Self {
        if let (Base64::Decode, Content::Json(value)) = (base64, &mut self.content) {
            let mut walk = Walk { found: 0, expanded: 0 };
            walk.value(value, 0, 0);
            if walk.found > 0 {
                self.decoder.push_str("+base64");
            }
        }
        self
    }
}

struct Walk {
    /// Strings that were decoded.
    found: usize,
    /// Bytes that compressed strings became.
    expanded: usize,
}

impl Walk {
    /// The document is no deeper than [`DEPTH`] levels, and neither is each that is found in it.
    fn value(&mut self, value: &mut Value, layer: usize, depth: usize) {
        match value {
            Value::Array(items) if depth < DEPTH => {
                for item in items {
                    self.value(item, layer, depth + 1);
                }
            }
            Value::Object(members) if depth < DEPTH => {
                for (_, member) in members.iter_mut() {
                    self.value(member, layer, depth + 1);
                }
            }
            Value::String(text) => {
                if let Some(decoded) = self.string(text, layer, depth) {
                    *value = decoded;
                    self.found += 1;
                }
            }
            _ => {}
        }
    }

    fn string(&mut self, text: &str, layer: usize, depth: usize) -> Option<Value> {
        if layer >= LAYERS {
            return None;
        }
        let bytes = bytes(text)?;
        let (squeezed, bytes) = self.expand(bytes);
        let (name, decoded) = if !bytes.is_empty() && is_printable(&bytes) {
            let document =
                matches!(json::first(&bytes), Some(b'{' | b'[')).then(|| json::parse(&bytes).ok()).flatten();
            match document {
                Some(mut document) => {
                    self.value(&mut document, layer + 1, depth);
                    ("json", document)
                }
                None => ("text", Value::from(String::from_utf8(bytes).ok()?)),
            }
        } else if !squeezed.is_empty() || looks_random(text) {
            match bytes.len() {
                0..=HEX => ("hex", Value::from(hex(&bytes))),
                len => ("bytes", Value::from(len)),
            }
        } else {
            return None;
        };
        Some(Value::Object(Map::from_iter([(format!("base64:{squeezed}{name}"), decoded)])))
    }

    /// Undoes compression, within what all strings together may become.
    fn expand(&mut self, bytes: Vec<u8>) -> (String, Vec<u8>) {
        let Some(how) = Squeeze::of(&bytes).filter(|_| self.expanded < EXPANDED) else {
            return (String::new(), bytes);
        };
        match how.undo(&bytes) {
            Ok(plain) if plain.len() <= EXPANDED - self.expanded => {
                self.expanded += plain.len();
                (format!("{}+", how.name()), plain)
            }
            // The effort was made, and is not made for many.
            Ok(_) | Err(_) => {
                self.expanded += EXPANDED / 4;
                (String::new(), bytes)
            }
        }
    }
}

/// The bytes of a string in either alphabet, padded or not, its lines joined.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() < SHORTEST {
        return None;
    }
    let joined: String;
    let text = if text.contains('\n') {
        joined = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        &joined
    } else {
        text
    };
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Whether a string is long, whole and mixed enough to be base64 of bytes and no name.
fn looks_random(text: &str) -> bool {
    let any = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    text.len() >= SHORTEST_BYTES
        && text.len().is_multiple_of(4)
        && any(u8::is_ascii_uppercase)
        && any(u8::is_ascii_lowercase)
        && any(u8::is_ascii_digit)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a string cannot fail.
        write!(out, "{byte:02x}").unwrap_or_default();
        out
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn inside(value: Value) -> (Value, String) {
        let decoded = Decoded { content: Content::Json(value), decoder: "json".into(), refused: Vec::new() };
        let decoded = decoded.inside(Base64::Decode);
        let Content::Json(value) = decoded.content else { panic!("{:?}", decoded.content) };
        (value, decoded.decoder)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn what_is_base64_is_decoded_in_place_and_says_what_it_was() {
        let inner = STANDARD.encode("deep inside");
        let document = json!({
            "text": STANDARD.encode("hello world"),
            "json": [URL_SAFE_NO_PAD.encode(json!({"n": 1, "in": inner}).to_string())],
            "hex": STANDARD.encode(b"\x00\x9f\xfe\xff\x10\x83\x27\x5c\xd1\xe9\x01\x44"),
            "long": STANDARD.encode((0..=255).collect::<Vec<u8>>()),
            "packed": STANDARD.encode(gzip(b"{\"a\":[1]}")),
            "lines": "aGVsbG8g\r\nd29ybGQ=\r\n",
            "escape": STANDARD.encode("\x1b]0;title\x07 is a trap"),
        });
        let (decoded, decoder) = inside(document);
        assert_eq!(decoder, "json+base64");
        assert_eq!(decoded["text"], json!({"base64:text": "hello world"}));
        let deep = json!({"base64:json": {"n": 1, "in": {"base64:text": "deep inside"}}});
        assert_eq!(decoded["json"], json!([deep]));
        assert_eq!(decoded["hex"], json!({"base64:hex": "009ffeff1083275cd1e90144"}));
        assert_eq!(decoded["long"], json!({"base64:bytes": 256}));
        assert_eq!(decoded["packed"], json!({"base64:gzip+json": {"a": [1]}}));
        assert_eq!(decoded["lines"], json!({"base64:text": "hello world"}));
        let hex = decoded["escape"]["base64:hex"].as_str().unwrap();
        assert!(hex.starts_with("1b5d303b"), "a bell is in no text: {hex}");
    }

    #[test]
    fn names_ids_and_digests_stay_what_they_say() {
        let document = json!({
            "word": "password", "class": "java.net.SocketTimeoutException", "id": "ord-5512",
            "uuid": "67e55044-10b1-426f-9247-bb680e5fe0c8", "time": "2026-11-24T14:02:11Z",
            "sha": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "digits": "1234567890123456", "short": "aGk=", "empty": "", "name": "PaymentProcessed",
        });
        assert_eq!(inside(document.clone()), (document, "json".to_owned()));
    }

    #[test]
    fn layers_and_expansion_are_bounded() {
        let mut text = "the innermost text".to_owned();
        for _ in 0..8 {
            text = STANDARD.encode(json!([text]).to_string());
        }
        let mut inner = &inside(json!([text])).0[0];
        for _ in 0..LAYERS {
            inner = &inner["base64:json"][0];
        }
        assert!(inner.is_string(), "{inner}");

        let bomb = STANDARD.encode(gzip(&vec![b' '; EXPANDED + 1]));
        let (decoded, _) = inside(json!(vec![bomb; 8]));
        assert!(decoded.to_string().len() < 1_000, "told by their number of bytes");
        let fits = STANDARD.encode(gzip(&vec![b'x'; EXPANDED / 2]));
        let (decoded, _) = inside(json!(vec![fits; 4]));
        let texts = decoded.as_array().unwrap().iter().filter(|v| v.get("base64:gzip+text").is_some());
        assert_eq!(texts.count(), 2);
    }

    proptest! {
        #[test]
        fn every_text_that_was_encoded_is_found_again(text in "[ -~äöü]{12,60}") {
            let (decoded, _) = inside(json!({"v": STANDARD.encode(&text), "u": URL_SAFE_NO_PAD.encode(&text)}));
            for name in ["v", "u"] {
                let found = decoded[name].as_object().unwrap().values().next().unwrap().clone();
                let document = serde_json::from_str(&text).ok().filter(|v: &Value| v.is_object() || v.is_array());
                prop_assert_eq!(&found, &document.unwrap_or_else(|| Value::from(text.clone())));
            }
        }
    }
}
