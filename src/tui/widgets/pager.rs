//! Text in a window: payloads of any size, header lists, stack traces.
//!
//! A payload is a [`View`], of which only the visible lines are made. What is searched goes line by line, at
//! most [`SEARCH`] lines a step, so that a payload of 20 MB never makes the console wait.

use bytes::Bytes;

use super::Pen;
use super::line::{self, Line, Span};
use crate::event::view::{self, Kind, Layout, View};
use crate::text::width;
use crate::tui::theme::Role;

/// Lines that one step of a search looks at.
pub const SEARCH: usize = 50_000;
/// Lines that are read at once while searching.
const CHUNK: usize = 1024;
/// Bytes that are laid out in one step of counting.
const BUDGET: usize = 1 << 20;
/// Bytes of one line where lines are not wrapped.
const UNWRAPPED: usize = 4096;

/// Whether long lines go on in the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wrap {
    /// They do.
    #[default]
    On,
    /// They are cut at the edge; the window moves sideways.
    Off,
}

/// What is paged.
#[derive(Clone, Debug)]
enum Text {
    Payload(Box<View>),
    /// Lines as they are, and as they are wrapped where they are.
    Lines {
        whole: Vec<Line>,
        wrapped: Option<Vec<Line>>,
    },
}

/// A text and the window onto it.
#[derive(Clone, Debug)]
pub struct Pager {
    text: Text,
    payload: Bytes,
    wrap: Wrap,
    cells: usize,
    top: usize,
    left: usize,
    search: Option<String>,
}

/// What a step of a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is on this line, which is in the window now.
    At(usize),
    /// Not up to this line; searching again goes on from there.
    NotUntil(usize),
    /// Nowhere in this direction.
    Nowhere,
}

/// The direction of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the end.
    Forward,
    /// To the beginning.
    Backward,
}

impl Pager {
    /// Pages a payload, laid out as it fits, in lines of at most `cells` cells.
    pub fn payload(bytes: Bytes, cells: u16) -> Self {
        let layout = View::fitting(&bytes);
        Self::laid_out(bytes, layout, cells)
    }

    /// Pages a payload in a layout.
    pub fn laid_out(bytes: Bytes, layout: Layout, cells: u16) -> Self {
        let cells = usize::from(cells);
        let mut pager = Self {
            text: Text::Lines { whole: Vec::new(), wrapped: None },
            payload: bytes,
            wrap: Wrap::On,
            cells,
            top: 0,
            left: 0,
            search: None,
        };
        pager.lay_out(layout);
        pager
    }

    /// Pages lines that are there already; they are cut at the edge until they are to be wrapped into `cells` cells.
    pub fn lines(lines: Vec<Line>, cells: u16) -> Self {
        Self {
            text: Text::Lines { whole: lines, wrapped: None },
            payload: Bytes::new(),
            wrap: Wrap::Off,
            cells: usize::from(cells),
            top: 0,
            left: 0,
            search: None,
        }
    }

    /// The layout of a payload.
    pub fn layout(&self) -> Option<Layout> {
        match &self.text {
            Text::Payload(view) => Some(view.layout()),
            Text::Lines { .. } => None,
        }
    }

    /// Lays a payload out in another way, from its beginning.
    pub fn set_layout(&mut self, layout: Layout) {
        if self.layout().is_some() {
            self.lay_out(layout);
        }
    }

    /// Whether long lines are wrapped.
    pub fn wrap(&self) -> Wrap {
        self.wrap
    }

    /// Wraps long lines, or does not.
    pub fn set_wrap(&mut self, wrap: Wrap) {
        if self.wrap != wrap {
            self.wrap = wrap;
            self.lay_out_again();
        }
    }

    fn lay_out_again(&mut self) {
        if let Some(layout) = self.layout() {
            self.lay_out(layout);
        } else if let Text::Lines { whole, wrapped } = &mut self.text {
            let cells = self.cells.max(16);
            let fold = |line: &Line| line::fold(line, cells);
            *wrapped = (self.wrap == Wrap::On).then(|| whole.iter().flat_map(fold).collect());
            (self.top, self.left) = (0, 0);
        }
    }

    /// Wraps long lines, or cuts them.
    pub fn toggle_wrap(&mut self) {
        self.set_wrap(if self.wrap == Wrap::On { Wrap::Off } else { Wrap::On });
    }

    /// Fits it into another width.
    pub fn resize(&mut self, cells: u16) {
        if self.cells != usize::from(cells) {
            let top = self.top;
            self.cells = usize::from(cells);
            self.lay_out_again();
            self.scroll_to(top);
        }
    }

    fn lay_out(&mut self, layout: Layout) {
        // A text has at least as many bytes as cells; what is indented needs room for that too.
        let wrap = match (self.wrap, layout) {
            (Wrap::On, Layout::Json) => self.cells - self.cells / 4,
            (Wrap::On, _) => self.cells,
            (Wrap::Off, _) => UNWRAPPED,
        };
        let mut view = View::new(self.payload.clone(), layout, wrap);
        view.count(CHUNK, BUDGET);
        self.text = Text::Payload(Box::new(view));
        (self.top, self.left) = (0, 0);
    }

    /// Goes on counting the lines of a payload, within a budget; whether all are counted.
    pub fn count(&mut self) -> bool {
        match &mut self.text {
            Text::Payload(view) => view.count(usize::MAX, BUDGET),
            Text::Lines { .. } => true,
        }
    }

    /// Lines known so far.
    pub fn known(&self) -> usize {
        match &self.text {
            Text::Payload(view) => view.known(),
            Text::Lines { whole, wrapped } => wrapped.as_ref().unwrap_or(whole).len(),
        }
    }

    /// The line at the top of the window.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Where the window is: `12-40 of 96`, or `12-40 of 9,000+ (31 % counted)`.
    pub fn position(&self, height: u16) -> String {
        use crate::text::units::count;
        let known = self.known();
        let last = (self.top + usize::from(height)).min(known);
        let range = format!("{}-{}", count((self.top + 1).min(known) as u64), count(last as u64));
        match &self.text {
            Text::Payload(view) if !view.complete() => {
                format!("{range} of {}+ ({} % counted)", count(known as u64), view.counted_percent())
            }
            _ => format!("{range} of {}", count(known as u64)),
        }
    }

    /// Moves the window by lines.
    pub fn scroll(&mut self, by: isize) {
        self.scroll_to(self.top.saturating_add_signed(by));
    }

    /// Moves the window to a line; never behind the last one.
    pub fn scroll_to(&mut self, line: usize) {
        if let Text::Payload(view) = &mut self.text {
            view.count(line.saturating_add(CHUNK), BUDGET);
        }
        self.top = line.min(self.known().saturating_sub(1));
    }

    /// Moves the window so that the last line known is at its bottom.
    pub fn scroll_to_end(&mut self, height: u16) {
        self.count();
        self.top = self.known().saturating_sub(usize::from(height));
    }

    /// Moves the window sideways.
    pub fn sideways(&mut self, by: isize) {
        self.left = self.left.saturating_add_signed(by).min(UNWRAPPED);
    }

    /// What is searched and highlighted.
    pub fn searched(&self) -> Option<&str> {
        self.search.as_deref()
    }

    /// Sets what is searched; upper and lower case are the same unless it has upper case.
    pub fn search(&mut self, text: Option<String>) {
        self.search = text.filter(|t| !t.is_empty());
    }

    /// Searches one step from the window on.
    pub fn find(&mut self, direction: Direction) -> Found {
        let Some(wanted) = self.search.clone() else { return Found::Nowhere };
        match direction {
            Direction::Forward => self.find_forward(&wanted),
            Direction::Backward => self.find_backward(&wanted),
        }
    }

    fn find_forward(&mut self, wanted: &str) -> Found {
        let mut from = self.top + 1;
        let end = from + SEARCH;
        while from < end {
            let lines = self.window(from, CHUNK);
            if lines.is_empty() {
                return Found::Nowhere;
            }
            if let Some(at) = lines.iter().position(|l| matches(l, wanted)) {
                self.top = from + at;
                return Found::At(self.top);
            }
            from += lines.len();
        }
        self.top = from;
        Found::NotUntil(from)
    }

    fn find_backward(&mut self, wanted: &str) -> Found {
        let mut end = self.top;
        let stop = end.saturating_sub(SEARCH);
        while end > stop {
            let from = end.saturating_sub(CHUNK);
            let lines = self.window(from, end - from);
            if let Some(at) = lines.iter().rposition(|l| matches(l, wanted)) {
                self.top = from + at;
                return Found::At(self.top);
            }
            end = from;
        }
        if end == 0 {
            return Found::Nowhere;
        }
        self.top = end;
        Found::NotUntil(end)
    }

    /// The lines of a window.
    pub fn window(&self, from: usize, count: usize) -> Vec<Line> {
        match &self.text {
            Text::Payload(view) => view.lines(from..from.saturating_add(count)).iter().map(spans).collect(),
            Text::Lines { whole, wrapped } => {
                let lines = wrapped.as_ref().unwrap_or(whole);
                let to = from.saturating_add(count).min(lines.len());
                lines.get(from..to).unwrap_or_default().to_vec()
            }
        }
    }

    /// Draws the window.
    pub fn draw(&self, pen: &mut Pen<'_>) {
        for (y, spans) in (0..).zip(self.window(self.top, usize::from(pen.height()))) {
            self.draw_line(pen, y, &spans);
        }
    }

    fn draw_line(&self, pen: &mut Pen<'_>, y: u16, spans: &[Span]) {
        let (mut at, mut x) = (0, 0);
        for span in spans {
            let wide = span.width();
            let skipped = self.left.saturating_sub(at).min(wide);
            at += wide;
            // What is scrolled out on the left is cut without a mark.
            x = match skipped {
                0 => pen.put(x, y, span.text.as_str(), span.role),
                _ => pen.put(x, y, &width::window(span.text.as_str(), skipped, wide), span.role),
            };
        }
        let Some(wanted) = self.search.as_deref() else { return };
        let text: String = spans.iter().map(|s| s.text.as_str()).collect();
        for (from, to) in occurrences(&text, wanted) {
            let cell = |bytes: usize| {
                let cells = width::width(text.get(..bytes).unwrap_or_default());
                u16::try_from(cells.saturating_sub(self.left)).unwrap_or(u16::MAX)
            };
            let (from, to) = (cell(from), cell(to));
            if from < pen.width() {
                pen.shade(from, y, to - from, Role::Select);
                pen.shade(from, y, to - from, Role::Mark);
            }
        }
    }
}

/// A laid-out line as spans.
pub fn spans(line: &view::Line) -> Line {
    let mut out = Line::with_capacity(line.pieces.len() + 1);
    if line.indent > 0 {
        out.push(Span::text(" ".repeat(line.indent)));
    }
    out.extend(line.pieces.iter().map(|piece| Span::safe(piece.text.clone(), role(piece.kind))));
    out
}

fn role(kind: Kind) -> Role {
    match kind {
        Kind::Key => Role::Key,
        Kind::String | Kind::Number | Kind::Word => Role::Value,
        Kind::Punctuation | Kind::Offset => Role::Dim,
        Kind::Wrong => Role::Fail,
        Kind::Text | Kind::Hex => Role::Text,
    }
}

fn matches(line: &[Span], wanted: &str) -> bool {
    let text: String = line.iter().map(|s| s.text.as_str()).collect();
    !occurrences(&text, wanted).is_empty()
}

/// Where `wanted` is in `text`, as byte ranges; at most a hundred.
fn occurrences(text: &str, wanted: &str) -> Vec<(usize, usize)> {
    let exact = wanted.chars().any(char::is_uppercase);
    // Only ASCII is folded, so that places stay the same.
    let folded = if exact { text.to_owned() } else { text.to_ascii_lowercase() };
    folded.match_indices(wanted).take(100).map(|(at, found)| (at, at + found.len())).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::theme::Theme;

    fn paper(pager: &Pager, width: u16, height: u16) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        pager.draw(&mut Pen::new(&mut buffer, Theme::default(), area));
        buffer
    }

    fn drawn(pager: &Pager, width: u16, height: u16) -> String {
        let buffer = paper(pager, width, height);
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn json_is_laid_out_and_scrolled_by_lines() {
        let mut pager = Pager::payload(Bytes::from_static(br#"{"a":1,"b":[2,3]}"#), 40);
        assert_eq!(drawn(&pager, 20, 2), "{\n  \"a\": 1,");
        pager.scroll(2);
        assert_eq!(drawn(&pager, 20, 2), "  \"b\": [\n    2,");
        pager.scroll(1000);
        assert_eq!(drawn(&pager, 20, 2), "}\n");
        assert_eq!(pager.position(2), "7-7 of 7");
        pager.scroll_to_end(3);
        assert_eq!(pager.top(), 4);
        pager.scroll(-1000);
        assert_eq!(pager.top(), 0);
    }

    #[test]
    fn a_payload_of_twenty_megabytes_opens_with_its_first_lines() {
        let bytes: Vec<u8> = b"[".iter().copied().chain(b"12345678,".repeat(20 << 20 >> 3)).collect();
        let mut pager = Pager::payload(bytes.into(), 80);
        assert!(pager.known() < 100_000);
        assert_eq!(drawn(&pager, 20, 2), "[\n  12345678,");
        assert!(pager.position(2).contains("counted"), "{}", pager.position(2));
        pager.search(Some("nowhere".into()));
        assert_eq!(pager.find(Direction::Forward), Found::NotUntil(SEARCH + CHUNK - SEARCH % CHUNK + 1));
    }

    #[test]
    fn a_search_goes_both_ways_and_is_shown() {
        let mut pager = Pager::payload(Bytes::from_static(b"one\ntwo\nThree\ntwo"), 40);
        pager.search(Some("two".into()));
        assert_eq!(pager.find(Direction::Forward), Found::At(1));
        assert_eq!(pager.find(Direction::Forward), Found::At(3));
        assert_eq!(pager.find(Direction::Forward), Found::Nowhere);
        assert_eq!(pager.find(Direction::Backward), Found::At(1));
        assert_eq!(pager.find(Direction::Backward), Found::Nowhere);
        pager.search(Some("three".into()));
        assert_eq!(pager.find(Direction::Forward), Found::At(2));
        pager.search(Some("THREE".into()));
        pager.scroll_to(0);
        assert_eq!(pager.find(Direction::Forward), Found::Nowhere);
        pager.search(Some("two".into()));
        assert!(paper(&pager, 10, 2)[(0, 1)].modifier.contains(ratatui::style::Modifier::REVERSED));
    }

    #[test]
    fn lines_that_are_not_wrapped_move_sideways() {
        let mut pager = Pager::payload(Bytes::from_static(b"0123456789012345678901234567890"), 16);
        assert_eq!(drawn(&pager, 16, 2), "0123456789012345\n678901234567890");
        pager.set_wrap(Wrap::Off);
        pager.sideways(20);
        assert_eq!(drawn(&pager, 16, 2), "01234567890\n");
    }

    #[test]
    fn bytes_are_shown_in_hexadecimal() {
        let mut pager = Pager::payload(Bytes::from_static(b"\x00\xff"), 80);
        assert_eq!(pager.layout(), Some(Layout::Hex));
        assert!(drawn(&pager, 80, 1).starts_with("00000000  00 ff"));
        pager.set_layout(Layout::Text);
        assert_eq!(pager.layout(), Some(Layout::Text));
    }
}
