//! A record as a text to be edited by hand, and the edit that the hand has made.
//!
//! The text is one JSON document with a member a line; it is laid out from what lies there, never from a parsed document,
//! so that the digits of numbers stay. Only members whose text changed are edited; what they do not change keeps its bytes,
//! as in any edit ([`super::edit`]).

use jaq_json::Val;

use super::document;
use super::edit::{Payload, member, members, skip, value_end};
use crate::config::profile::DeadLetters;
use crate::event::decode::{Decoding, Patience, Side};
use crate::event::{Record, json};

/// The members of a sheet.
const PARTS: [&str; 3] = ["key", "value", "headers"];

/// Key, value and headers of a record as a text. What a schema describes is what it says; bytes that are no text are
/// base64.
///
/// # Errors
/// The schema of the value is not fetched yet, or does not fit, in words.
pub fn sheet(record: &Record, formats: &DeadLetters, decoding: &Decoding) -> Result<String, String> {
    let [key, value] =
        [Side::Key, Side::Value].map(|side| Payload::of(record, decoding, side, Patience::Now));
    if let Payload::Closed(why) = &value
        && decoding.schemas.is_some()
    {
        return Err(format!("its value cannot be read: {why}"));
    }
    let document = document::whole(record, formats, [key.document(), value.document()]);
    let json = |name: &str| member(&document, name).to_string();
    let own = value.document().or(record.value.as_ref()).and_then(|v| std::str::from_utf8(v).ok());
    let own = own.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let value = own.map_or_else(|| json("value"), str::to_owned);
    let whole = format!("{{\"key\":{},\"value\":{value},\"headers\":{}}}", json("key"), json("headers"));
    Ok(laid_out(&whole))
}

/// The expression that makes of a record what was made of its [`sheet`]; `None` where nothing was changed.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn of_sheet(before: &str, after: &str) -> Result<Option<String>, String> {
    let parsed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(after).map_err(|e| format!("it is no JSON object any more: {e}"))?;
    if let Some(other) = parsed.keys().find(|name| !PARTS.contains(&name.as_str())) {
        return Err(format!("it has a member {other}; only key, value and headers are edited"));
    }
    if let Some(gone) = PARTS.iter().find(|name| !parsed.contains_key(**name)) {
        return Err(format!("the member {gone} is missing; null takes it away"));
    }
    let same = |name: &str| text_of(before, name) == text_of(after, name);
    let changed: Vec<String> =
        PARTS.iter().filter(|name| !same(name)).map(|name| format!(".{name} = $edited.{name}")).collect();
    // As text, so that the digits of numbers stay as they were written.
    let text = serde_json::Value::from(after.trim());
    let code = format!("({text} | fromjson) as $edited | {}", changed.join(" | "));
    Ok((!changed.is_empty()).then_some(code))
}

/// A member of a sheet as it is written.
fn text_of<'t>(sheet: &'t str, name: &str) -> Option<&'t [u8]> {
    let src = sheet.as_bytes();
    let start = skip(src, 0);
    let members = members(src, start, value_end(src, start)?)?;
    // Of one that is there twice the last one counts.
    let member = members.iter().rfind(|member| member.name == Val::from(name.to_owned()))?;
    src.get(member.value.0..member.value.1)
}

/// A JSON text with a member or an element a line.
fn laid_out(text: &str) -> String {
    let src = text.as_bytes();
    let mut out = String::with_capacity(src.len() * 2);
    let (mut at, mut depth) = (0, 0_usize);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', 2 * depth));
    };
    while let Some(byte) = src.get(at) {
        let end = if *byte == b'"' { json::string_end(src, at) } else { at + 1 };
        match byte {
            b'{' | b'[' => {
                depth += 1;
                out.push(char::from(*byte));
                let next = skip(src, end);
                if !matches!(src.get(next), Some(b'}' | b']')) {
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !out.ends_with(['{', '[']) {
                    line(&mut out, depth);
                }
                out.push(char::from(*byte));
            }
            b',' => {
                out.push(',');
                line(&mut out, depth);
            }
            b':' => out.push_str(": "),
            byte if byte.is_ascii_whitespace() => {}
            _ => out.push_str(text.get(at..end).unwrap_or_default()),
        }
        at = end;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::edit::{Edit, Edited};
    use super::*;
    use crate::event::{Headers, Position};

    const VALUE: &str = "{\"amount\": 1.10, \"id\":  12345678901234567890123, \"note\": \"a \\\\(b) \\u00e9\", \"tags\": [ ]}";

    fn record() -> Record {
        let mut headers = Headers::default();
        headers.push("tenant", Some("a".into()));
        headers.push("tenant", Some("b".into()));
        headers.push("odd", Some(Bytes::from_static(&[0xff])));
        let (key, value) = (Some("k".into()), Some(VALUE.into()));
        Record { at: Position::new("orders-dlt", 0, 7), time: None, key, value, headers, lease: None }
    }

    #[test]
    fn a_sheet_has_a_member_a_line_and_every_digit() {
        let text = sheet(&record(), &DeadLetters::default(), &Decoding::default()).unwrap();
        let lines = [
            "{",
            "  \"key\": \"k\",",
            "  \"value\": {",
            "    \"amount\": 1.10,",
            "    \"id\": 12345678901234567890123,",
            "    \"note\": \"a \\\\(b) \\u00e9\",",
            "    \"tags\": []",
            "  },",
            "  \"headers\": {",
            "    \"tenant\": \"b\",",
            "    \"odd\": \"/w==\"",
            "  }",
            "}",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn what_is_edited_by_hand_changes_only_what_the_hand_has_changed() {
        let (record, formats, decoding) = (record(), DeadLetters::default(), Decoding::default());
        let before = sheet(&record, &formats, &decoding).unwrap();
        assert_eq!(of_sheet(&before, &before), Ok(None));
        let by_hand = |from: &str, to: &str| {
            let after = before.replacen(from, to, 1);
            assert_ne!(after, before);
            let code = of_sheet(&before, &after).unwrap().unwrap();
            assert_eq!(code.matches("= $edited.").count(), 1, "{code}");
            Edit::compile(&code, "E").unwrap().apply(&record, &formats, &decoding)
        };
        for (from, to) in [("1.10", "2.50"), ("67890123", "67890124")] {
            let Edited::Changed { record: now, key: false, rewritten: false } = by_hand(from, to) else {
                panic!()
            };
            assert_eq!(now.value.as_deref(), Some(VALUE.replacen(from, to, 1).as_bytes()));
            assert_eq!((&now.key, &now.headers), (&record.key, &record.headers));
        }
        // White space alone is no change.
        assert_eq!(by_hand("\"note\"", "\n  \"note\""), Edited::Same);
        let Edited::Changed { record: now, key: true, .. } = by_hand("\"k\"", "\"other\"") else { panic!() };
        assert_eq!((now.key.as_deref(), &now.value), (Some(&b"other"[..]), &record.value));
        assert!(of_sheet(&before, "{").unwrap_err().contains("no JSON object"));
        assert!(of_sheet(&before, "{\"key\": 1, \"headers\": {}}").unwrap_err().contains("value is missing"));
    }
}
