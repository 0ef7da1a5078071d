//! The layout of JSON: one member or element a line, made from tokens and never from a parsed document.

use super::{DEEPEST, Kind, Line, State, Within, break_at};
use crate::event::json::string_end;

/// A string longer than this is taken for a value without looking for the colon behind it.
const LONGEST_KEY: usize = 4096;

/// What a line is made into; without a line only the state moves.
struct Out<'l> {
    line: Option<&'l mut Line>,
    /// Whether anything is on the line yet.
    begun: bool,
}

impl Out<'_> {
    fn push(&mut self, kind: Kind, bytes: &[u8]) {
        self.begun = true;
        if let Some(line) = &mut self.line {
            line.push(kind, bytes);
        }
    }

    fn indent(&mut self, depth: usize) {
        if let Some(line) = &mut self.line {
            line.indent = 2 * depth.min(DEEPEST);
        }
    }
}

pub(super) fn step(bytes: &[u8], wrap: usize, state: &mut State, line: Option<&mut Line>) -> bool {
    let mut out = Out { line, begun: false };
    out.indent(state.depth);
    if let Some(within) = state.within {
        if let Some(line) = &mut out.line {
            line.continued = true;
        }
        if !go_on(bytes, wrap, state, within, &mut out) {
            return true;
        }
    }
    loop {
        skip_space(bytes, state);
        let Some(&byte) = bytes.get(state.at) else { return out.begun };
        match byte {
            b'{' | b'[' => {
                let open = state.at;
                state.at += 1;
                skip_space(bytes, state);
                let closer = if byte == b'{' { b'}' } else { b']' };
                if bytes.get(state.at) == Some(&closer) {
                    state.at += 1;
                    out.push(Kind::Punctuation, &[byte, closer]);
                } else {
                    out.push(Kind::Punctuation, bytes.get(open..=open).unwrap_or_default());
                    state.depth += 1;
                    return true;
                }
            }
            b'}' | b']' if out.begun => return true,
            b'}' | b']' => {
                state.at += 1;
                state.depth = state.depth.saturating_sub(1);
                out.indent(state.depth);
                out.push(Kind::Punctuation, &[byte]);
            }
            b',' => {
                state.at += 1;
                out.push(Kind::Punctuation, b",");
                return true;
            }
            b':' => {
                state.at += 1;
                out.push(Kind::Punctuation, b": ");
            }
            b'"' => {
                let within = if is_key(bytes, state.at) { Within::Key } else { Within::String };
                if !go_on(bytes, wrap, state, within, &mut out) {
                    return true;
                }
            }
            _ => {
                if !go_on(bytes, wrap, state, Within::Word, &mut out) {
                    return true;
                }
            }
        }
    }
}

/// Puts as much of a token as fits on the line; whether it ended.
fn go_on(bytes: &[u8], wrap: usize, state: &mut State, within: Within, out: &mut Out<'_>) -> bool {
    let rest = bytes.get(state.at..).unwrap_or_default();
    let is_string = matches!(within, Within::Key | Within::String);
    let begins = state.within.is_none();
    // Only as far as the line goes: the end of a string may be megabytes away.
    let near = rest.get(..wrap + 8).unwrap_or(rest);
    let whole = if is_string {
        // A continued string is searched as if a quote stood before it.
        if begins { string_end(near, 0) } else { inner_end(near) }
    } else {
        near.iter().position(|b| is_delimiter(*b)).unwrap_or(near.len())
    };
    let len = if whole <= wrap { whole } else { safe_break(rest, wrap, is_string) };
    let ended = whole <= wrap && (whole < rest.len() || near.len() == rest.len());
    let part = rest.get(..len).unwrap_or_default();
    let kind = match within {
        Within::Key => Kind::Key,
        Within::String => Kind::String,
        Within::Word | Within::Text => word_kind(part),
    };
    state.at += len;
    state.within = if ended { None } else { Some(within) };
    out.push(kind, part);
    ended
}

/// Where the rest of a string ends, behind its closing quote.
fn inner_end(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = rest.get(at..).and_then(|r| memchr::memchr2(b'"', b'\\', r)) {
        if rest.get(at + found) == Some(&b'"') {
            return at + found + 1;
        }
        at += found + 2;
    }
    rest.len()
}

/// A break that cuts neither a character nor, in a string, an escape sequence.
fn safe_break(rest: &[u8], wrap: usize, is_string: bool) -> usize {
    let at = break_at(rest, wrap);
    if !is_string {
        return at;
    }
    let slashes = rest.get(..at).unwrap_or_default().iter().rev().take_while(|b| **b == b'\\').count();
    // An odd number of backslashes before the break: the last one escapes what comes behind it.
    if slashes % 2 == 1 { if at > 1 { at - 1 } else { (at + 1).min(rest.len()) } } else { at }
}

fn skip_space(bytes: &[u8], state: &mut State) {
    while bytes.get(state.at).is_some_and(u8::is_ascii_whitespace) {
        state.at += 1;
    }
}

fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"')
}

fn is_key(bytes: &[u8], quote: usize) -> bool {
    let near = bytes.get(quote..bytes.len().min(quote + LONGEST_KEY)).unwrap_or_default();
    let end = quote + string_end(near, 0);
    let behind = bytes.get(end..).unwrap_or_default();
    super::super::json::first(behind) == Some(b':')
}

fn word_kind(word: &[u8]) -> Kind {
    match word {
        b"true" | b"false" | b"null" => Kind::Word,
        [b'-' | b'0'..=b'9', ..] => Kind::Number,
        _ => Kind::Wrong,
    }
}
