//! Messages without what differs from letter to letter: numbers, ids, hashes, times, addresses.
//!
//! Two letters that failed for one reason should read the same. One pass over at most [`LOOK`] bytes; no
//! regular expression.

/// Bytes of a message that are looked at.
pub const LOOK: usize = 2048;
/// The longest result in bytes.
pub const LONGEST: usize = 240;

/// The message with every number, id, hash and time replaced by `#`.
pub fn normalise(message: &str) -> String {
    let message = message.split("; nested exception is ").next().unwrap_or(message);
    let bytes = message.as_bytes();
    let bytes = &bytes[..bytes.len().min(LOOK)];
    let mut out = String::with_capacity(bytes.len().min(LONGEST) + 8);
    let mut i = 0;
    while i < bytes.len() && out.len() < LONGEST {
        let rest = &bytes[i..];
        if rest[0].is_ascii_alphanumeric() {
            let run = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            let taken = uuid(rest).unwrap_or(run);
            let before = i.checked_sub(1).map(|at| bytes[at]);
            word(&mut out, &message[i..i + taken], before);
            i += taken;
        } else if rest[0].is_ascii_whitespace() {
            if !out.ends_with(' ') && !out.is_empty() {
                out.push(' ');
            }
            i += 1;
        } else if matches!(rest[0], b'-' | b'+')
            && rest.get(1).is_some_and(u8::is_ascii_digit)
            && i.checked_sub(1).is_none_or(|at| !bytes[at].is_ascii_alphanumeric())
        {
            // A sign.
            i += 1;
        } else {
            let Some(c) = message.get(i..).and_then(|m| m.chars().next()) else { break };
            out.push(c);
            i += c.len_utf8();
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The length of a UUID at the beginning.
fn uuid(bytes: &[u8]) -> Option<usize> {
    let text = bytes.get(..36)?;
    let fits = text.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (fits && !bytes.get(36).is_some_and(u8::is_ascii_alphanumeric)).then_some(36)
}

/// Adds one run of letters and digits.
fn word(out: &mut String, word: &str, before: Option<u8>) {
    let bytes = word.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let hex = bytes.iter().all(u8::is_ascii_hexdigit);
    let hash = (digits > 0 && hex && bytes.len() >= 7)
        // An identity hash: `Order@1720df09`.
        || (before == Some(b'@') && hex && (5..=8).contains(&bytes.len()))
        // An address: `0x00007f`.
        || (bytes.len() > 2 && word.starts_with("0x") && bytes[2..].iter().all(u8::is_ascii_hexdigit))
        // An id of any alphabet.
        || (digits >= 3 && bytes.len() >= 16)
        || bytes.len() == 36 && bytes.contains(&b'-');
    if hash || digits == bytes.len() {
        number(out);
    } else if digits == 0 {
        out.push_str(word);
    } else {
        for (i, b) in bytes.iter().enumerate() {
            if !b.is_ascii_digit() {
                out.push(char::from(*b));
            } else if i == 0 || !bytes[i - 1].is_ascii_digit() {
                number(out);
            }
        }
        // `2026-11-24T04:45:03.123Z` is one thing: the `Z` belongs to it.
        if out.ends_with("#Z") {
            out.pop();
        }
    }
}

/// Adds `#`; times, addresses and versions are one number, not several.
fn number(out: &mut String) {
    let joined = out.trim_end_matches(['-', ':', '.', ',', '/', 'T', '+', '_']);
    if joined.ends_with('#') {
        out.truncate(joined.len());
    } else {
        out.push('#');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_failed_for_one_reason_read_the_same() {
        for (message, expected) in [
            ("total must not be negative: -1251", "total must not be negative: #"),
            ("payment of order-1001 failed", "payment of order-# failed"),
            ("order 550e8400-e29b-41d4-a716-446655440000 not found", "order # not found"),
            ("Exception thrown at 2026-11-24T04:45:03.123456Z", "Exception thrown at #"),
            ("Exception thrown at 2026-11-24 04:45:03.123", "Exception thrown at # #"),
            ("no route to 10.0.17.2:9092", "no route to #"),
            ("shop.Order$1@1720df09 is bad", "shop.Order$#@# is bad"),
            ("Lambda$1352/0x00007f3b1c", "Lambda$#"),
            ("digest 9f86d081884c7d659a2feaa0c55ad015", "digest #"),
            ("unknown schema v9\n\tsee docs", "unknown schema v# see docs"),
            ("a; nested exception is b.C: 12", "a"),
            ("sku ZX-81", "sku ZX-#"),
            ("deadbeef stays a word", "deadbeef stays a word"),
            ("größe 12 mm", "größe # mm"),
            ("", ""),
        ] {
            assert_eq!(normalise(message), expected, "{message}");
        }
    }

    #[test]
    fn a_giant_message_is_cut_at_a_character() {
        let out = normalise(&"\u{1f980}".repeat(100_000));
        assert!(out.len() <= LONGEST + 4);
        assert!(out.chars().all(|c| c == '\u{1f980}'));
    }
}
