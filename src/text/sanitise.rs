//! Hostile bytes become text that a terminal only shows.
//!
//! Payloads, keys, headers, topic names and error messages come from strangers. What could drive a
//! terminal (C0, DEL, C1, bidirectional and zero-width characters) is *shown* as a visible glyph and
//! never passed on.

use std::fmt;
use std::sync::Arc;

/// Text that holds no control, bidirectional or zero-width character and no line break.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Safe(Arc<str>);

impl Safe {
    /// Makes `text` safe; what was dangerous is replaced by one visible glyph a character.
    pub fn new(text: &str) -> Self {
        Self(text.chars().map(shown).collect::<String>().into())
    }

    /// Makes bytes safe; what is not UTF-8 becomes U+FFFD.
    #[expect(clippy::disallowed_methods, reason = "the one place that turns bytes into text for the eye")]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(bytes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Safe {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// The glyph that stands for `c`: itself, or a picture of what it would have done.
fn shown(c: char) -> char {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{241b}',
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{2423}',
        _ => c,
    }
}
