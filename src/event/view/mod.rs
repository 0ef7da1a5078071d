//! A payload as numbered lines of coloured pieces: only the lines asked for are made.
//!
//! A payload of 20 MB opens at once, because nothing is parsed as a whole: the layout is made token by
//! token, and every `STRIDE` lines its state is kept, from where any later line is reached in a few
//! steps. Long texts are wrapped, so that a line is never longer than asked and everything can be reached.
//! The layout changes white space between JSON tokens only; what is no JSON is laid out as far as it goes.

mod hex;
mod json;
mod text;

use std::ops::Range;

use bytes::Bytes;

use crate::text::Safe;

/// So many lines lie between two kept states.
const STRIDE: usize = 64;

/// The deepest level that is still indented further.
const DEEPEST: usize = 32;

/// What a piece of a line is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A member's name.
    Key,
    /// A string.
    String,
    /// A number.
    Number,
    /// `true`, `false`, `null`.
    Word,
    /// Braces, brackets, commas, colons.
    Punctuation,
    /// What does not belong into JSON.
    Wrong,
    /// Plain text.
    Text,
    /// The offset of a hex line.
    Offset,
    /// The bytes of a hex line.
    Hex,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: Safe,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Cells to leave free on the left.
    pub indent: usize,
    /// Whether it goes on with what the line before began.
    pub continued: bool,
    /// Its pieces, side by side.
    pub pieces: Vec<Piece>,
}

impl Line {
    fn push(&mut self, kind: Kind, bytes: &[u8]) {
        self.pieces.push(Piece { kind, text: Safe::from_bytes(bytes) });
    }

    /// The line's text with its indentation.
    pub fn text(&self) -> String {
        let mut out = " ".repeat(self.indent);
        for piece in &self.pieces {
            out.push_str(piece.text.as_str());
        }
        out
    }
}

/// How a payload is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As JSON, one member a line.
    Json,
    /// As text, line by line.
    Text,
    /// As bytes in hexadecimal, sixteen a line.
    Hex,
}

/// A payload laid out.
#[derive(Clone, Debug)]
pub struct View {
    bytes: Bytes,
    layout: Layout,
    wrap: usize,
    /// State at the beginning of line 0, `STRIDE`, 2·`STRIDE`, …
    kept: Vec<State>,
    /// State behind the last line that was counted.
    last: State,
    /// Lines counted.
    known: usize,
    complete: bool,
}

/// Where a layout stands between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    at: usize,
    depth: usize,
    /// Inside a string that is longer than a line.
    within: Option<Within>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Key,
    String,
    Word,
    Text,
}

impl View {
    /// Lays out `bytes`; a line takes `wrap` bytes of one text at most (16 at least).
    pub fn new(bytes: Bytes, layout: Layout, wrap: usize) -> Self {
        let mut view = Self {
            bytes,
            layout,
            wrap: wrap.max(16),
            kept: vec![State::default()],
            last: State::default(),
            known: 0,
            complete: false,
        };
        if layout == Layout::Hex {
            view.known = hex::count(&view.bytes);
            view.complete = true;
        }
        view
    }

    /// The layout that fits: JSON for what begins like an object or array, text for UTF-8, else hexadecimal.
    /// Looks at the first 64 KiB only.
    pub fn fitting(bytes: &[u8]) -> Layout {
        let head = bytes.get(..1 << 16).unwrap_or(bytes);
        let is_text = match std::str::from_utf8(head) {
            Ok(_) => true,
            // A character cut by the end of the head.
            Err(e) => head.len() < bytes.len() && e.error_len().is_none(),
        };
        match super::json::first(head) {
            _ if !is_text => Layout::Hex,
            Some(b'{' | b'[') => Layout::Json,
            _ => Layout::Text,
        }
    }

    /// The layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Counts lines until `lines` are known or `budget` bytes were gone through; whether all are known now.
    pub fn count(&mut self, lines: usize, budget: usize) -> bool {
        let from = self.last.at;
        while !self.complete && self.known < lines && self.last.at - from < budget {
            if self.step_last() {
                self.known += 1;
                if self.known.is_multiple_of(STRIDE) {
                    self.kept.push(self.last);
                }
            } else {
                self.complete = true;
            }
        }
        self.complete
    }

    /// Lines counted so far.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Whether [`View::known`] is the number of all lines.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// The share of the payload that is counted, in percent.
    pub fn counted_percent(&self) -> u8 {
        if self.complete || self.bytes.is_empty() {
            return 100;
        }
        (self.last.at as u128 * 100 / self.bytes.len() as u128).min(99) as u8
    }

    /// The lines of `range` as far as they are there. Lines that are not counted yet are made too, but
    /// reaching them takes longer the farther they are.
    pub fn lines(&self, range: Range<usize>) -> Vec<Line> {
        if self.layout == Layout::Hex {
            return (range.start..range.end.min(self.known)).map(|i| hex::line(&self.bytes, i)).collect();
        }
        let mark = (range.start / STRIDE).min(self.kept.len() - 1);
        let mut state = self.kept.get(mark).copied().unwrap_or_default();
        for _ in mark * STRIDE..range.start {
            if !self.step(&mut state, None) {
                return Vec::new();
            }
        }
        let mut lines = Vec::with_capacity(range.len().min(1024));
        for _ in range {
            let mut line = Line::default();
            if !self.step(&mut state, Some(&mut line)) {
                break;
            }
            lines.push(line);
        }
        lines
    }

    fn step_last(&mut self) -> bool {
        let mut state = self.last;
        let more = self.step(&mut state, None);
        self.last = state;
        more
    }

    /// Goes over one line, making it where it is wanted; false at the end.
    fn step(&self, state: &mut State, line: Option<&mut Line>) -> bool {
        match self.layout {
            Layout::Json => json::step(&self.bytes, self.wrap, state, line),
            Layout::Text => text::step(&self.bytes, self.wrap, state, line),
            Layout::Hex => false,
        }
    }
}

/// Where to break `bytes` so that the first part has at most `wrap` bytes and no character is cut; the whole
/// where it fits.
fn break_at(bytes: &[u8], wrap: usize) -> usize {
    if bytes.len() <= wrap {
        return bytes.len();
    }
    let is_inside = |at: usize| bytes.get(at).is_some_and(|b| b & 0xc0 == 0x80);
    (wrap.saturating_sub(3)..=wrap).rev().find(|at| !is_inside(*at)).unwrap_or(wrap).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lay_out(bytes: &[u8], layout: Layout, wrap: usize) -> (View, Vec<Line>) {
        let mut view = View::new(Bytes::copy_from_slice(bytes), layout, wrap);
        assert!(view.count(usize::MAX, usize::MAX));
        let lines = view.lines(0..view.known());
        (view, lines)
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::text).collect()
    }

    #[test]
    fn json_is_one_member_a_line() {
        let (_, lines) = lay_out(br#" {"a":1,"b":{"c":[true,"x,:{"],"d":{},"e":[ ]}} "#, Layout::Json, 80);
        assert_eq!(
            texts(&lines),
            [
                "{",
                "  \"a\": 1,",
                "  \"b\": {",
                "    \"c\": [",
                "      true,",
                "      \"x,:{\"",
                "    ],",
                "    \"d\": {},",
                "    \"e\": []",
                "  }",
                "}"
            ]
        );
        let kinds: Vec<_> = lines[1].pieces.iter().map(|p| p.kind).collect();
        assert_eq!(kinds, [Kind::Key, Kind::Punctuation, Kind::Number, Kind::Punctuation]);
    }

    #[test]
    fn what_is_no_json_is_still_shown() {
        let (_, lines) = lay_out(br#"{"a":oops,]"unfinished"#, Layout::Json, 80);
        let text = texts(&lines).join("\n");
        assert!(text.contains("oops") && text.contains("\"unfinished"), "{text}");
        assert!(lines.iter().flat_map(|l| &l.pieces).any(|p| p.kind == Kind::Wrong));
    }

    #[test]
    fn a_long_string_goes_on_in_the_next_line() {
        let (_, lines) = lay_out("[\"0123456789012345678901234é\", 1]".as_bytes(), Layout::Json, 16);
        assert_eq!(texts(&lines), ["[", "  \"012345678901234", "  5678901234é\",", "  1", "]"]);
        assert!(lines[2].continued && !lines[3].continued);
    }

    #[test]
    fn text_is_kept_line_by_line() {
        let (_, lines) = lay_out(b"one\r\n\ntwo\x1b[2J\n", Layout::Text, 80);
        assert_eq!(texts(&lines), ["one", "", "two␛[2J"]);
        let (_, lines) = lay_out(b"0123456789abcdefgh\nx", Layout::Text, 16);
        assert_eq!(texts(&lines), ["0123456789abcdef", "gh", "x"]);
        assert!(lines[1].continued && !lines[2].continued);
    }

    #[test]
    fn hex_shows_place_bytes_and_characters() {
        let (_, lines) = lay_out(b"AB\x00\x1b\xff0123456789abcdef", Layout::Hex, 80);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0].text(),
            "00000000  41 42 00 1b ff 30 31 32  33 34 35 36 37 38 39 61  AB...0123456789a"
        );
        assert_eq!(lines[1].text(), format!("00000010  {:<50}bcdef", "62 63 64 65 66"));
    }

    #[test]
    fn an_empty_payload_has_no_lines() {
        for layout in [Layout::Json, Layout::Text, Layout::Hex] {
            assert!(lay_out(b"", layout, 80).1.is_empty());
        }
    }

    #[test]
    fn the_layout_follows_the_bytes() {
        assert_eq!(View::fitting(b"  {\"a\":1}"), Layout::Json);
        assert_eq!(View::fitting("é".as_bytes()), Layout::Text);
        assert_eq!(View::fitting(b"\x00\xff"), Layout::Hex);
        let mut long = vec![b'x'; (1 << 16) - 1];
        long.extend("éé".as_bytes());
        assert_eq!(View::fitting(&long), Layout::Text);
    }

    #[test]
    fn counting_stops_at_its_budget_and_goes_on_later() {
        let bytes: Vec<u8> = b"[".iter().copied().chain(b"1,".repeat(10_000)).collect();
        let mut view = View::new(bytes.into(), Layout::Json, 80);
        assert!(!view.count(usize::MAX, 1000));
        assert!(view.known() < 1000 && view.counted_percent() < 100);
        assert!(view.count(usize::MAX, usize::MAX));
        assert_eq!((view.known(), view.counted_percent()), (10_001, 100));
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            proptest::sample::select(&b"{}[]\",:\\ \n1a"[..]),
            proptest::sample::select("é日".as_bytes()),
            any::<u8>(),
        ];
        proptest::collection::vec(byte, 0..400)
    }

    proptest! {
        #[test]
        fn any_window_is_a_part_of_the_whole(bytes in payload(), json in any::<bool>(), from in 0_usize..300, len in 0_usize..100) {
            let layout = if json { Layout::Json } else { Layout::Text };
            let (view, all) = lay_out(&bytes, layout, 16);
            prop_assert_eq!(all.len(), view.known());
            let to = (from + len).min(all.len());
            let expected = all.get(from.min(to)..to).unwrap_or_default();
            prop_assert_eq!(&view.lines(from..from + len)[..], expected);
            // Not counted before, the window is the same.
            let fresh = View::new(bytes.clone().into(), layout, 16);
            prop_assert_eq!(&fresh.lines(from..from + len)[..], expected);
        }

        #[test]
        fn json_loses_nothing_but_white_space(bytes in "[ -~]{0,200}") {
            let (_, lines) = lay_out(bytes.as_bytes(), Layout::Json, 16);
            let without_space = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            let shown: String = lines.iter().map(|l| without_space(&l.text())).collect();
            prop_assert_eq!(shown, without_space(&bytes));
        }
    }
}
