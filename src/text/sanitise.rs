//! Hostile bytes become text that a terminal only shows.
//!
//! Payloads, keys, headers, topic names and error messages come from strangers. What could drive a
//! terminal (C0, DEL, C1), reorder or hide text (bidirectional, zero-width and other invisible characters)
//! is *shown* as a visible glyph and never passed on. Combining marks pass, but only a few on one
//! character and none without one, so that they neither pile up nor climb onto a neighbour's cell.

use std::fmt;
use std::sync::Arc;

use unicode_width::UnicodeWidthChar;

/// How many zero-width marks may sit on one character; real scripts need fewer.
const MARKS: u8 = 8;

/// Stands for a character that would not be seen.
const INVISIBLE: char = '\u{2423}';

/// Text that holds no control, bidirectional or invisible character and no line break.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Safe(Arc<str>);

impl Safe {
    /// Makes `text` safe; what was dangerous is replaced by one visible glyph a character.
    pub fn new(text: &str) -> Self {
        if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Self(text.into());
        }
        let mut out = String::with_capacity(text.len() + 16);
        // A mark at the very beginning has no character to sit on.
        let mut marks = MARKS;
        for c in text.chars() {
            let c = shown(c);
            if c.is_ascii() || c.width() != Some(0) {
                marks = 0;
                out.push(c);
            } else if marks < MARKS {
                marks += 1;
                out.push(c);
            } else {
                marks = 0;
                out.push(INVISIBLE);
            }
        }
        Self(out.into())
    }

    /// Makes bytes safe; what is not UTF-8 becomes U+FFFD.
    #[expect(clippy::disallowed_methods, reason = "the one place that turns bytes into text for the eye")]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(bytes))
    }

    /// Makes the beginning of `bytes` safe, at most `limit` bytes of it, ending in `…` where there is more:
    /// for a table's cell, which must not cost as much as its payload.
    pub fn preview(bytes: &[u8], limit: usize) -> Self {
        if bytes.len() <= limit {
            return Self::from_bytes(bytes);
        }
        let mut end = limit;
        // Back to the beginning of a character, three bytes at most.
        while end > limit.saturating_sub(3) && bytes.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
            end -= 1;
        }
        let head = Self::from_bytes(bytes.get(..end).unwrap_or_default());
        Self(format!("{head}…").into())
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

/// Whether `c` may reach a terminal as it is.
pub fn is_shown_as_itself(c: char) -> bool {
    shown(c) == c
}

/// The glyph that stands for `c`: itself, or a picture of what it would have done.
fn shown(c: char) -> char {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{241b}',
        // Unicode's Default_Ignorable_Code_Point and Bidi_Control, the line separators and the interlinear
        // annotations; without U+FE0E and U+FE0F, which choose how the emoji before them is drawn.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{e0000}'..='\u{e0fff}' => INVISIBLE,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::width::width;

    #[test]
    fn an_escape_sequence_is_shown_and_not_sent() {
        assert_eq!(Safe::new("\x1b]0;owned\x07").as_str(), "␛]0;owned␇");
        assert_eq!(Safe::new("a\r\nb\tc").as_str(), "a␍␊b␉c");
        assert_eq!(Safe::new("\u{9b}31m").as_str(), "\u{241b}31m");
    }

    #[test]
    fn text_that_hides_or_reorders_is_shown() {
        assert_eq!(Safe::new("pay\u{202e}dne\u{200b}").as_str(), "pay␣dne␣");
        assert_eq!(Safe::new("a\u{e0041}\u{e0100}").as_str(), "a␣␣");
    }

    #[test]
    fn marks_neither_pile_up_nor_climb_onto_a_neighbour() {
        assert_eq!(Safe::new("\u{301}a").as_str(), "␣a");
        assert_eq!(Safe::new("e\u{301}").as_str(), "e\u{301}");
        let heap = format!("a{}", "\u{301}".repeat(100));
        let longest = Safe::new(&heap).as_str().split('␣').map(|s| s.chars().count()).max();
        assert!(longest <= Some(usize::from(MARKS) + 1));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_marked() {
        assert_eq!(Safe::from_bytes(b"a\xffb").as_str(), "a\u{fffd}b");
    }

    #[test]
    fn a_preview_never_cuts_a_character() {
        assert_eq!(Safe::preview("aé日".as_bytes(), 6).as_str(), "aé日");
        assert_eq!(Safe::preview("aé日b".as_bytes(), 5).as_str(), "aé…");
        assert_eq!(Safe::preview("aé日b".as_bytes(), 2).as_str(), "a…");
        assert_eq!(Safe::preview(b"\x80\x80\x80\x80\x80\x80", 5).as_str().chars().last(), Some('…'));
        assert_eq!(Safe::preview(b"abc", 0).as_str(), "…");
    }

    fn hostile() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            any::<char>(),
            (0_u32..0xa0).prop_filter_map("a character", char::from_u32),
            (0x2000_u32..0x2070).prop_filter_map("a character", char::from_u32),
            (0x300_u32..0x310).prop_filter_map("a character", char::from_u32),
            (0xfe00_u32..0xfe10).prop_filter_map("a character", char::from_u32),
        ];
        proptest::collection::vec(character, 0..40).prop_map(|v| v.into_iter().collect())
    }

    proptest! {
        #[test]
        fn making_safe_twice_changes_nothing(text in hostile()) {
            let once = Safe::new(&text);
            prop_assert_eq!(Safe::new(once.as_str()), once);
        }

        #[test]
        fn nothing_that_drives_a_terminal_leaves(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            for c in Safe::from_bytes(&bytes).as_str().chars() {
                prop_assert!(!c.is_control());
                prop_assert_eq!(shown(c), c);
            }
        }

        #[test]
        fn every_character_keeps_its_place(text in hostile()) {
            let safe = Safe::new(&text);
            prop_assert_eq!(safe.as_str().chars().count(), text.chars().count());
        }

        #[test]
        fn a_text_is_never_wider_than_its_characters_can_be(text in hostile()) {
            let safe = Safe::new(&text);
            // The widest there are: U+2E3A and U+2E3B, dashes of two and three cells.
            prop_assert!(width(safe.as_str()) <= 3 * text.chars().count());
        }
    }
}
