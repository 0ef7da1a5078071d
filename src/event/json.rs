//! JSON that keeps its meaning: parsed only where nothing of it would be lost.
//!
//! A number that a 64-bit integer or float cannot hold, or a member that occurs twice, is silently changed
//! by ordinary parsers. An operator who copies such a document out of a broker must get what is in it, so
//! [`parse`] refuses, and the caller shows the text instead. Nesting beyond [`DEPTH`] is refused too: the
//! parsers behind it are recursive, and a payload must not be able to exhaust the stack.

use serde_json::Value;

/// The deepest nesting that is parsed.
pub const DEPTH: usize = 100;

/// The digits in a row of the longest number that is computed with: longer ones cost more than linear time.
pub const DIGITS: usize = 400;

/// Why bytes are not taken as a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotJson {
    /// They are none; the parser's words.
    Syntax(String),
    /// They are nested deeper than [`DEPTH`].
    TooDeep,
    /// A number would lose digits.
    Number(String),
    /// A member occurs twice in one object.
    Duplicate,
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(why) => write!(f, "no JSON: {why}"),
            Self::TooDeep => write!(f, "JSON nested deeper than {DEPTH} levels"),
            Self::Number(text) => write!(f, "the number {text} has more digits than can be kept"),
            Self::Duplicate => f.write_str("an object has the same member twice"),
        }
    }
}

/// Parses a JSON document, or says why that would not be faithful.
pub fn parse(bytes: &[u8]) -> Result<Value, NotJson> {
    if !begins_document(bytes) {
        let why = if first(bytes).is_some() { "does not begin like a JSON document" } else { "empty" };
        return Err(NotJson::Syntax(why.into()));
    }
    let shape = scan(bytes)?;
    let value: Value = serde_json::from_slice(bytes).map_err(|e| NotJson::Syntax(e.to_string()))?;
    if members(&value) == shape.members { Ok(value) } else { Err(NotJson::Duplicate) }
}

/// The first byte that is not white space.
pub fn first(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|b| !b.is_ascii_whitespace())
}

/// Whether the bytes begin like a JSON document.
pub fn begins_document(bytes: &[u8]) -> bool {
    matches!(first(bytes), Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
}

/// Whether a recursive parser of exact numbers may read the bytes: they are not nested deeper than [`DEPTH`], and no
/// number has more than [`DIGITS`] digits in a row.
pub fn is_bounded(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let run = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                if run > DIGITS {
                    return false;
                }
                at += run;
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
        if depth > DEPTH {
            return false;
        }
    }
    true
}

/// Where the string that begins with the quote at `from` ends: behind its closing quote, or at the end.
pub fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if bytes.get(at + found) == Some(&b'"') {
            return at + found + 1;
        }
        // The backslash and what it escapes.
        at += found + 2;
    }
    bytes.len()
}

struct Shape {
    members: usize,
}

/// One pass over the tokens: counts members, refuses numbers that would change and nesting that is too deep.
fn scan(bytes: &[u8]) -> Result<Shape, NotJson> {
    let (mut at, mut depth, mut members) = (0, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let len = rest
                    .iter()
                    .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
                    .count();
                let number = rest.get(..len).unwrap_or_default();
                if !is_exact(number) {
                    let text = std::str::from_utf8(number).unwrap_or_default();
                    return Err(NotJson::Number(text.chars().take(40).collect()));
                }
                at += len;
            }
            _ => {
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    b':' => members += 1,
                    _ => {}
                }
                if depth > DEPTH {
                    return Err(NotJson::TooDeep);
                }
                at += 1;
            }
        }
    }
    Ok(Shape { members })
}

/// Whether the number is the same after it went through a 64-bit integer or float.
fn is_exact(number: &[u8]) -> bool {
    // Fifteen significant digits always survive a float, and integers below 19 digits fit into an i64.
    let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
    let plain = number.iter().all(|b| b.is_ascii_digit() || *b == b'-');
    if (plain && digits < 19) || (digits <= 15 && !number.iter().any(|b| matches!(b, b'e' | b'E'))) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(number) else { return false };
    if plain && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()) {
        return true;
    }
    // The very parser that would change it: it is not exact to the last digit for every float.
    match serde_json::from_str::<f64>(text) {
        Ok(float) => decimal(text) == decimal(&format!("{float:e}")),
        // Too large for a float; what is no number at all is left to the parser to complain of.
        Err(_) => text.parse::<f64>().is_err(),
    }
}

/// A decimal number as its significant digits and the power of ten of the last of them.
fn decimal(text: &str) -> (bool, String, i64) {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let exponent: i64 = exponent.trim_start_matches('+').parse().unwrap_or(i64::MAX / 2);
    let power = exponent - fraction.len() as i64 + (digits.len() - significant.len()) as i64;
    (text.starts_with('-'), significant.to_owned(), power)
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(map) => map.len() + map.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_that_would_change_is_not_parsed() {
        assert!(matches!(parse(b"{\"id\": 123456789012345678901}"), Err(NotJson::Number(_))));
        assert!(matches!(parse(b"[0.12345678901234567890]"), Err(NotJson::Number(_))));
        assert!(matches!(parse(b"[1e400]"), Err(NotJson::Number(_))));
        assert_eq!(parse(b"{\"a\":1,\"a\":2}"), Err(NotJson::Duplicate));
    }

    #[test]
    fn exact_numbers_are_parsed_however_they_are_written() {
        for text in
            ["18446744073709551615", "-9223372036854775808", "99.99", "1e3", "1.50", "0.1", "-0.0", "1E-7"]
        {
            assert!(parse(text.as_bytes()).is_ok(), "{text}");
        }
        assert!(parse(b"{\"a\":{\"b:\":\"x:y\"},\"c\":[{\"d\":null}]}").is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_before_a_recursive_parser_sees_it() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(parse(deep.as_bytes()), Err(NotJson::TooDeep));
        assert!(!is_bounded(deep.as_bytes()));
        assert!(is_bounded(b"{\"a\":\"[[[[\\\"[[[[\"}"));
        let digits = "1".repeat(1_000);
        assert!(!is_bounded(digits.as_bytes()) && is_bounded(format!("\"{digits}\"").as_bytes()));
    }

    #[test]
    fn what_is_no_json_says_so() {
        for bytes in [&b""[..], b"  ", b"hello", b"{", b"{\"a\":1}x", b"\xff", b"007", b"'a'", b"-", b"nul"] {
            assert!(matches!(parse(bytes), Err(NotJson::Syntax(_))), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_number_is_the_number_that_was_written(number in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,22})?(e-?[0-9]{1,3})?") {
            if let Ok(value) = parse(number.as_bytes()) {
                prop_assert_eq!(decimal(&value.to_string()), decimal(&number));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b':'), Just(b'1'), any::<u8>()], 0..64)) {
            let _ = parse(&bytes);
            prop_assert!(is_bounded(&bytes));
        }
    }
}
