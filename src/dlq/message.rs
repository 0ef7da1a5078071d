//! Messages without what differs from letter to letter: numbers, ids, hashes, times, addresses, quoted values.
//!
//! Two letters that failed for one reason should read the same. One pass over at most [`LOOK`] bytes; no
//! regular expression.

use std::hash::{Hash as _, Hasher};
use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Bytes of a message that are looked at.
pub const LOOK: usize = 2048;
/// The longest result in bytes.
pub const LONGEST: usize = 240;
/// Bytes in which quotes must close.
const LONGEST_QUOTED: usize = 512;
/// The longest name of a program's part in quotes that is kept.
const LONGEST_NAME: usize = 80;

/// What comes behind it is another message.
const NESTED: &str = "; nested exception is ";

/// Hashes of a message what [`normalise`] goes by: which bytes are digits, and not which digits they are, but for the
/// zero of `0x`. Messages of one hash are normalised to the same, in a fraction of the time.
pub fn hash_without_digits(message: &str, hasher: &mut impl Hasher) {
    let bytes = message.as_bytes();
    // It looks no further, but for the end of a character or of words that begin there.
    let bytes = &bytes[..bytes.len().min(LOOK + NESTED.len())];
    let mut masked = [0; LOOK + NESTED.len()];
    for (i, (to, byte)) in masked.iter_mut().zip(bytes).enumerate() {
        let is_any = byte.is_ascii_digit() && !(*byte == b'0' && bytes.get(i + 1) == Some(&b'x'));
        *to = if is_any { b'1' } else { *byte };
    }
    masked[..bytes.len()].hash(hasher);
}

/// The message with every number, id, hash, time and quoted value replaced by `#`. Quoted names of a program's
/// parts stay: `"customer" is null`.
pub fn normalise(message: &str) -> String {
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NESTED));
    let message = FINDER.find(message.as_bytes()).and_then(|at| message.get(..at)).unwrap_or(message);
    let bytes = message.as_bytes();
    let bytes = &bytes[..bytes.len().min(LOOK)];
    let mut out = String::with_capacity(bytes.len().min(LONGEST) + 8);
    let mut i = 0;
    while i < bytes.len() && out.len() < LONGEST {
        let rest = &bytes[i..];
        let before = i.checked_sub(1).map(|at| bytes[at]);
        if rest[0].is_ascii_alphanumeric() {
            let run = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            let taken = uuid(rest).unwrap_or(run);
            if is_of_date(&bytes[i..i + taken], &bytes[i + taken..], &out) {
                number(&mut out);
            } else {
                word(&mut out, &message[i..i + taken], before);
            }
            i += taken;
        } else if let Some(quoted) = quoted(rest, before) {
            out.push(char::from(rest[0]));
            if is_name(&rest[1..=quoted]) {
                out.push_str(&message[i + 1..=i + quoted]);
            } else {
                out.push('#');
            }
            out.push(char::from(rest[0]));
            i += quoted + 2;
        } else if rest[0].is_ascii_whitespace() {
            if !out.ends_with(' ') && !out.is_empty() {
                out.push(' ');
            }
            i += 1;
        } else if matches!(rest[0], b'-' | b'+')
            && rest.get(1).is_some_and(u8::is_ascii_digit)
            && before.is_none_or(|b| !b.is_ascii_alphanumeric())
        {
            // A sign.
            i += 1;
        } else {
            let Some(c) = message.get(i..).and_then(|m| m.chars().next()) else { break };
            out.push(c);
            i += c.len_utf8();
        }
    }
    // A word, or quotes, may have gone beyond it.
    out.truncate((0..=LONGEST.min(out.len())).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0));
    out.truncate(out.trim_end().len());
    out
}

/// What two normalised messages have in common: their quoted parts that differ are `#`. `None` where they differ
/// in more than that.
pub fn common(a: &str, b: &str) -> Option<String> {
    let (mut x, mut y) = (a, b);
    let mut out = String::with_capacity(a.len());
    loop {
        let same = x.bytes().zip(y.bytes()).take_while(|(x, y)| x == y).count();
        let same = (0..=same).rev().find(|at| x.is_char_boundary(*at) && y.is_char_boundary(*at))?;
        out.push_str(&x[..same]);
        (x, y) = (&x[same..], &y[same..]);
        if x.is_empty() && y.is_empty() {
            return Some(out);
        }
        // Back to where the quoted part begins.
        let quote = out.rfind(['"', '\'', '`'])?;
        let mark = out[quote..].chars().next()?;
        // An odd number of these marks before: it opens one.
        if out.matches(mark).count() % 2 == 0 {
            return None;
        }
        out.truncate(quote + 1);
        out.push('#');
        x = &x[x.find(mark)?..];
        y = &y[y.find(mark)?..];
    }
}

/// The length of what is in the quotes that open here.
fn quoted(bytes: &[u8], before: Option<u8>) -> Option<usize> {
    let mark = *bytes.first()?;
    if !matches!(mark, b'"' | b'\'' | b'`') || before.is_some_and(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let inside = bytes.get(1..)?;
    let inside = &inside[..inside.len().min(LONGEST_QUOTED)];
    // An apostrophe within a word closes nothing.
    let closes = |at: &usize| {
        inside[*at] == mark && inside.get(at + 1).is_none_or(|next| !next.is_ascii_alphanumeric())
    };
    memchr::memchr_iter(mark, inside).find(closes).filter(|length| *length > 0)
}

/// Whether a quoted text names a class, method, field or type rather than a value.
fn is_name(text: &[u8]) -> bool {
    let known = |b: &u8| {
        b.is_ascii_alphabetic()
            || matches!(b, b'_' | b'$' | b'.' | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b',')
    };
    text.len() <= LONGEST_NAME && text.iter().all(known) && text.iter().any(u8::is_ascii_alphabetic)
}

/// Days and months as dates in words have them.
const OF_DATES: [&str; 19] = [
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
    "Sep", "Oct", "Nov", "Dec",
];

/// Whether a word is a day or month of a date: a number, or the rest of the date, follows.
fn is_of_date(word: &[u8], behind: &[u8], out: &str) -> bool {
    let known = |word: &[u8]| word.len() == 3 && OF_DATES.iter().any(|name| name.as_bytes() == word);
    if !known(word) {
        return false;
    }
    let behind = behind.strip_prefix(b",").unwrap_or(behind);
    let [b' ' | b'-' | b'/', next @ ..] = behind else { return false };
    let in_date = next.first().is_some_and(u8::is_ascii_digit) || next.get(..3).is_some_and(known);
    in_date || (out.ends_with("# ") && next.first().is_some_and(u8::is_ascii_digit))
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
        || is_mixed(bytes)
        // The end of an id: `evt_9f31`.
        || (matches!(before, Some(b'_' | b'-' | b'#')) && digits > 0 && hex && bytes.len() >= 4)
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

/// Whether letters and digits change too often for a word: `9f31`, `a1b2`; not `log4j`, `10ms`, `utf8`.
fn is_mixed(bytes: &[u8]) -> bool {
    let changes =
        bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    changes >= if bytes.first().is_some_and(u8::is_ascii_digit) { 2 } else { 3 }
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
    use std::hash::BuildHasher as _;

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
            ("log4j, utf8 and 10ms stay", "log#j, utf# and #ms stay"),
            ("event evt_9f31 of a1b2c3", "event evt_# of #"),
            ("event 01HV6Z3K9QJ5T8XW2M4N7PRB0C", "event #"),
            ("since Tue Nov 24 04:45:03 UTC 2026", "since # # # # UTC #"),
            ("May I? on Tue, 24 Nov 2026", "May I? on #, # # #"),
            ("unknown sku 'RED-SHIRT' of \"a b\"", "unknown sku '#' of \"#\""),
            (
                "Cannot invoke \"shop.Customer.name()\" because \"customer\" is null",
                "Cannot invoke \"shop.Customer.name()\" because \"customer\" is null",
            ),
            ("can't read {'a': 1}, isn't JSON", "can't read {'a': #}, isn't JSON"),
            ("mail to `bob@example.com` failed", "mail to `#` failed"),
            ("größe 12 mm", "größe # mm"),
            ("", ""),
        ] {
            assert_eq!(normalise(message), expected, "{message}");
        }
    }

    #[test]
    fn quoted_values_that_vary_are_no_part_of_what_letters_have_in_common() {
        assert_eq!(common("no 'red' here", "no 'blue' here").as_deref(), Some("no '#' here"));
        assert_eq!(common("no 'red' in 'a'", "no 'reds' in 'ab'").as_deref(), Some("no '#' in '#'"));
        assert_eq!(common("no '#' here", "no 'blue' here").as_deref(), Some("no '#' here"));
        assert_eq!(common("same", "same").as_deref(), Some("same"));
        assert_eq!(common("no 'red' here", "no 'red' there"), None);
        assert_eq!(common("a", "b"), None);
        assert_eq!(common("'a", "'b"), None);
    }

    fn hashed(message: &str) -> u64 {
        let mut hasher = foldhash::fast::FixedState::default().build_hasher();
        hash_without_digits(message, &mut hasher);
        hasher.finish()
    }

    proptest::proptest! {
        #[test]
        fn messages_that_differ_in_digits_alone_are_normalised_to_the_same(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "7", "0", "x", "0x", "42", "a", "f", "-", "_", ":", " ", "T", "'", "\"", "(", ".", "@", "#", "é", "Z",
                    "Nov ", "24 ", "sku ", "550e8400-e29b-41d4-a716-446655440000", "; nested exception is ",
                ]),
                0..40,
            ),
            digits in proptest::collection::vec(b'0'..=b'9', 200),
        ) {
            let message = parts.concat();
            let other = message.bytes().zip(digits.into_iter().cycle());
            let other = other.map(|(byte, digit)| if byte.is_ascii_digit() { digit } else { byte }).collect();
            let other = String::from_utf8(other).unwrap();
            if hashed(&message) == hashed(&other) {
                proptest::prop_assert_eq!(normalise(&message), normalise(&other));
            } else {
                // Digits that differ are no reason, but for those of an address.
                proptest::prop_assert!(message.contains("0x") || other.contains("0x"));
            }
        }
    }

    #[test]
    fn what_a_message_says_beyond_its_digits_is_hashed() {
        assert_eq!(hashed("sku 12 of 3"), hashed("sku 99 of 0"));
        for other in ["sku 12 of a", "sku 123 of 3", "sku 12 of 3 "] {
            assert_ne!(hashed("sku 12 of 3"), hashed(other), "{other}");
        }
        let long = |end: &str| format!("{}{end}", "a".repeat(LOOK - 3));
        assert_ne!(hashed(&long("; nested exception is b")), hashed(&long("; nested exception of b")));
        assert_eq!(hashed(&long(&"b".repeat(100))), hashed(&long(&"b".repeat(200))));
    }

    #[test]
    fn a_giant_message_is_cut_at_a_character() {
        let out = normalise(&"\u{1f980}".repeat(100_000));
        assert!(out.len() <= LONGEST);
        assert_eq!(normalise(&"a".repeat(2_000)).len(), LONGEST);
        assert!(out.chars().all(|c| c == '\u{1f980}'));
    }
}
