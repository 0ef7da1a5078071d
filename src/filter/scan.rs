//! A look into a JSON document that builds none: what lies at a few paths, and whether it is JSON at all.
//!
//! One pass checks the whole document, because what is broken at its end is no document for jq either. Whatever is
//! not plain JSON (the interpreter takes more: comments, `NaN`), or is too deep, is left to the interpreter.

use crate::event::decode::is_printable;
use crate::event::json::{self, DEPTH, DIGITS};

/// Paths that one look can follow.
pub(super) const MOST: usize = 8;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'v> {
    /// `null`, or nothing.
    Null,
    Bool(bool),
    /// A number as it is written.
    Number(&'v [u8]),
    /// A string as it is written, without its quotes; whether there are escapes in it.
    Text(&'v [u8], Escapes),
    Array,
    Object,
    /// The path goes through something that has no members: an error in jq.
    Wrong,
}

/// Whether a string is written with escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    None,
    Some,
}

/// Paths as a tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    root: Node,
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slot: Option<usize>,
    members: Vec<(Box<[u8]>, Node)>,
}

/// What was found, by the slots that [`Paths::add`] gave.
pub(super) type Slots<'v> = [Found<'v>; MOST];

impl Paths {
    /// Adds a path; gives its slot, or `None` where there are too many.
    pub(super) fn add(&mut self, path: &[String]) -> Option<usize> {
        let mut node = &mut self.root;
        for name in path {
            let known = node.members.iter().position(|(member, _)| **member == *name.as_bytes());
            let at = known.unwrap_or_else(|| {
                node.members.push((name.as_bytes().into(), Node::default()));
                node.members.len() - 1
            });
            node = &mut node.members.get_mut(at)?.1;
        }
        if node.slot.is_none() && self.count < MOST {
            node.slot = Some(self.count);
            self.count += 1;
        }
        node.slot
    }

    /// Looks into a payload as the document has it; `None` where this look cannot tell.
    pub(super) fn look<'v>(&self, payload: Option<&'v [u8]>) -> Option<Slots<'v>> {
        let mut slots = [Found::Null; MOST];
        let Some(bytes) = payload else { return Some(slots) };
        if !json::begins_document(bytes) {
            // No JSON: the document has its text.
            is_printable(bytes).then_some(())?;
            self.root.put(Found::Text(bytes, Escapes::None), Found::Wrong, &mut slots);
            return Some(slots);
        }
        let mut scan = Scan { tokens: Tokens::new(bytes), slots: &mut slots };
        scan.value(&self.root, 0)?;
        scan.tokens.ended().then_some(slots)
    }
}

impl Node {
    /// Puts what was found here, and what follows from it for all paths below.
    fn put<'v>(&self, here: Found<'v>, below: Found<'v>, slots: &mut Slots<'v>) {
        if let Some(slot) = self.slot.and_then(|slot| slots.get_mut(slot)) {
            *slot = here;
        }
        for (_, node) in &self.members {
            node.put(below, below, slots);
        }
    }
}

struct Scan<'v, 's> {
    tokens: Tokens<'v>,
    slots: &'s mut Slots<'v>,
}

impl Scan<'_, '_> {
    fn value(&mut self, node: &Node, depth: usize) -> Option<()> {
        let found = match self.tokens.next()? {
            b'{' => return self.object(node, depth + 1),
            b'[' => {
                self.tokens.skip_array(depth + 1)?;
                Found::Array
            }
            b'"' => {
                let (text, escapes) = self.tokens.string()?;
                Found::Text(text, escapes)
            }
            b't' => self.tokens.word(b"rue").map(|()| Found::Bool(true))?,
            b'f' => self.tokens.word(b"alse").map(|()| Found::Bool(false))?,
            b'n' => self.tokens.word(b"ull").map(|()| Found::Null)?,
            b'-' | b'0'..=b'9' => Found::Number(self.tokens.number()?),
            _ => return None,
        };
        // Whatever an earlier member of the same name left is gone: the last one counts.
        let below = if found == Found::Null { Found::Null } else { Found::Wrong };
        node.put(found, below, self.slots);
        Some(())
    }

    fn object(&mut self, node: &Node, depth: usize) -> Option<()> {
        node.put(Found::Object, Found::Null, self.slots);
        if node.members.is_empty() {
            return self.tokens.skip_object(depth);
        }
        let mut more = self.tokens.begin_object(depth)?;
        while more {
            let (name, escapes) = self.tokens.name()?;
            if escapes == Escapes::Some {
                return None;
            }
            match node.members.iter().find(|(member, _)| **member == *name) {
                Some((_, member)) => self.value(member, depth)?,
                None => self.tokens.skip(depth)?,
            }
            more = self.tokens.more_members()?;
        }
        Some(())
    }
}

/// The tokens of a document of plain JSON, one after the other; `None` is whatever is no plain JSON, or too deep.
pub(super) struct Tokens<'v> {
    bytes: &'v [u8],
    at: usize,
}

impl<'v> Tokens<'v> {
    /// At the beginning.
    pub(super) fn new(bytes: &'v [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether nothing but white space is left.
    pub(super) fn ended(&mut self) -> bool {
        self.space();
        self.at == self.bytes.len()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, taken.
    pub(super) fn next(&mut self) -> Option<u8> {
        self.space();
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes a value and all that is in it, which lies `depth` deep.
    pub(super) fn skip(&mut self, depth: usize) -> Option<()> {
        match self.next()? {
            b'{' => self.skip_object(depth + 1),
            b'[' => self.skip_array(depth + 1),
            b'"' => self.string().map(drop),
            b't' => self.word(b"rue"),
            b'f' => self.word(b"alse"),
            b'n' => self.word(b"ull"),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => None,
        }
    }

    /// Takes the rest of an object, whose brace was taken.
    fn skip_object(&mut self, depth: usize) -> Option<()> {
        let mut more = self.begin_object(depth)?;
        while more {
            self.name()?;
            self.skip(depth)?;
            more = self.more_members()?;
        }
        Some(())
    }

    /// Takes the rest of an array, whose bracket was taken.
    fn skip_array(&mut self, depth: usize) -> Option<()> {
        let mut more = self.begin_array(depth)?;
        while more {
            self.skip(depth)?;
            more = self.more_items()?;
        }
        Some(())
    }

    /// Whether an object whose brace was taken has members; the first one's quote is taken.
    pub(super) fn begin_object(&mut self, depth: usize) -> Option<bool> {
        if depth > DEPTH {
            return None;
        }
        match self.next()? {
            b'}' => Some(false),
            b'"' => Some(true),
            _ => None,
        }
    }

    /// A member's name, whose quote was taken, and the colon.
    pub(super) fn name(&mut self) -> Option<(&'v [u8], Escapes)> {
        let name = self.string()?;
        (self.next()? == b':').then_some(name)
    }

    /// Whether another member follows; its quote is taken.
    pub(super) fn more_members(&mut self) -> Option<bool> {
        match self.next()? {
            b'}' => Some(false),
            b',' => (self.next()? == b'"').then_some(true),
            _ => None,
        }
    }

    /// Whether an array whose bracket was taken has items.
    pub(super) fn begin_array(&mut self, depth: usize) -> Option<bool> {
        if depth > DEPTH {
            return None;
        }
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(false);
        }
        Some(true)
    }

    /// Whether another item follows.
    pub(super) fn more_items(&mut self) -> Option<bool> {
        match self.next()? {
            b']' => Some(false),
            b',' => Some(true),
            _ => None,
        }
    }

    /// The string whose opening quote was taken.
    pub(super) fn string(&mut self) -> Option<(&'v [u8], Escapes)> {
        let begin = self.at;
        let mut escapes = Escapes::None;
        loop {
            self.at += plain(self.bytes.get(self.at..)?);
            match self.peek()? {
                b'"' => {
                    let text = self.bytes.get(begin..self.at)?;
                    self.at += 1;
                    return Some((text, escapes));
                }
                b'\\' => {
                    escapes = Escapes::Some;
                    self.at += escape(self.bytes.get(self.at..)?)?.1;
                }
                _ => return None,
            }
        }
    }

    /// Takes the rest of a word.
    pub(super) fn word(&mut self, rest: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(rest).then(|| self.at += rest.len())
    }

    /// The number whose first byte was taken, written as JSON wants it.
    pub(super) fn number(&mut self) -> Option<&'v [u8]> {
        let begin = self.at - 1;
        self.at = begin;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek()?;
        let whole = self.digits();
        if whole == 0 || (first == b'0' && whole > 1) {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            (self.digits() > 0).then_some(())?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            (self.digits() > 0).then_some(())?;
        }
        let number = self.bytes.get(begin..self.at)?;
        (number.len() <= DIGITS).then_some(number)
    }

    /// Takes digits; how many.
    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }
}

/// Bytes before the first one that a string cannot simply contain.
fn plain(bytes: &[u8]) -> usize {
    const WIDE: usize = 16;
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    let mut len = 0;
    for chunk in bytes.chunks_exact(WIDE) {
        // Without a branch a byte, so that the whole chunk is compared at once.
        if chunk.iter().fold(false, |any, b| any | special(b)) {
            break;
        }
        len += WIDE;
    }
    let rest = bytes.get(len..).unwrap_or_default();
    len + rest.iter().position(special).unwrap_or(rest.len())
}

/// The escape sequence at the beginning of `bytes`: what it means, and its length. Half a character is none.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let digits = bytes.get(2..6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            return Some((char::from_u32(code)?, 6));
        }
        _ => return None,
    };
    Some((simple, 2))
}

/// A string with its escape sequences replaced.
pub(super) fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at)?);
        let (char, len) = escape(rest.get(at..)?)?;
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + len..)?;
    }
    out.extend_from_slice(rest);
    Some(out)
}
