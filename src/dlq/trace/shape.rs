//! What of a stack trace decides how it is read: all of it but its messages.
//!
//! Letters of one failure differ in the ids that messages carry. Two traces of one shape have the same classes
//! and frames, so that one of them tells of both.

use std::hash::Hasher;

use memchr::{memchr, memchr_iter};

/// A longer trace has no shape: it is parsed.
const LONGEST: usize = 64 << 10;

/// What could change how a trace is read if it stands in a message.
const MARKS: [&[u8]; 6] = [b"-->", b"--- ", b"[cause", b"Traceback", b"goroutine ", b".go:"];

/// Hashes the shape of a trace; `false` where it has none, and must be parsed.
pub fn shape(text: &str, hasher: &mut impl Hasher) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() > LONGEST || bytes.first().is_none_or(|b| !b.is_ascii_alphabetic()) {
        return false;
    }
    // What was not hashed yet begins here.
    let mut kept = 0;
    let mut begin = 0;
    for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = &bytes[begin..end];
        if line.first().is_some_and(|b| !b.is_ascii_whitespace())
            && let Some(message) = message_at(line)
        {
            let message_begins = begin + message;
            if has_mark(&line[message..]) {
                return false;
            }
            hasher.write(&bytes[kept..message_begins]);
            kept = end;
        }
        begin = end + 1;
    }
    hasher.write(&bytes[kept..]);
    true
}

/// Whether one of [`MARKS`] stands in a message. One pass: most messages are short, and most letters have some.
fn has_mark(message: &[u8]) -> bool {
    let begins = |b: u8| matches!(b, b'-' | b'[' | b'T' | b'g' | b'.');
    let mut rest = message;
    while let Some(at) = rest.iter().position(|b| begins(*b)) {
        rest = &rest[at..];
        if MARKS.iter().any(|mark| rest.starts_with(mark)) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Where the message of an error's first line begins: behind `Caused by: class: `.
fn message_at(line: &[u8]) -> Option<usize> {
    let before = if line.starts_with(b"Caused by: ") { b"Caused by: ".len() } else { 0 };
    let colon = before + memchr(b':', &line[before..])?;
    (line.get(colon + 1) == Some(&b' ')).then_some(colon + 2)
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::super::Trace;
    use super::*;

    fn hash(text: &str) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        shape(text, &mut hasher).then(|| hasher.finish())
    }

    #[test]
    fn traces_that_differ_in_their_messages_alone_have_one_shape_and_are_read_alike() {
        let trace = |a: &str, b: &str| {
            format!(
                "x.A: order {a}\n\tat shop.Pay.run(Pay.java:1)\nCaused by: x.B: {b} is: gone\n\tat java.util.C.d(C.java:2)\n\t... 3 more\n"
            )
        };
        let (one, two) = (trace("1", "red"), trace("22", "blue; not 'red': at all"));
        assert!(hash(&one).is_some());
        assert_eq!(hash(&one), hash(&two));
        let parsed = Trace::parse(&one, &[]);
        assert_eq!(parsed.root_class, Trace::parse(&two, &[]).root_class);
        assert_eq!(parsed.frame, Trace::parse(&two, &[]).frame);
        // Another class, frame or number of frames is another shape.
        for (from, to) in [("x.B", "x.C"), ("Pay.run", "Pay.stop"), ("... 3", "... 4"), ("x.A: ", "x.A:")] {
            assert_ne!(hash(&one), hash(&one.replace(from, to)), "{from}");
        }
    }

    #[test]
    fn every_mark_is_found_wherever_it_stands() {
        for mark in MARKS {
            for before in ["", "x", "--", "goroutin", "."] {
                assert!(has_mark(&[before.as_bytes(), mark, b"y"].concat()), "{mark:?} behind {before}");
            }
            assert!(!has_mark(&mark[..mark.len() - 1]));
        }
    }

    #[test]
    fn what_a_message_could_change_has_no_shape() {
        for text in [
            "x.A: a --> b\n\tat c.D.e(D.java:1)",
            "x.A: Traceback (most recent call last)\n",
            "x.A: goroutine 1 [running]:\n",
            "Error: [cause]: x.B: c",
            "",
            "\tat a.b",
            &"x".repeat(LONGEST + 1),
        ] {
            assert_eq!(hash(text), None, "{text}");
        }
    }
}
