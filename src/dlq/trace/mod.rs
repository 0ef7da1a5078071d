//! Stack traces as text: the classes of the chain of causes, and the application's own first frame.
//!
//! Java and its languages, .NET, Node, Python and Go. It works on lines with `memchr`, looks at no more than
//! [`LOOK`] bytes for frames, and never backtracks: a hostile trace costs no more than reading it a few times.

mod frames;
mod go;
mod java;
mod python;
mod shape;

use std::borrow::Cow;

use memchr::memmem;

use frames::is_library;
use java::{behind_message, without_module};
pub use shape::shape;

/// Bytes in which frames are looked for.
pub const LOOK: usize = 256 << 10;
/// Bytes of a giant message that are shown.
const HEADLINE: usize = 4 << 10;

/// What a stack trace says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace<'t> {
    /// Class of the outermost error.
    pub class: Option<&'t str>,
    /// Class at the end of the chain of causes.
    pub root_class: Option<&'t str>,
    /// Message at the end of the chain, its first line.
    pub root_message: Option<&'t str>,
    /// The first frame that belongs to no known library; where all do, the first frame. Without line number.
    pub frame: Option<Cow<'t, str>>,
    /// Whether `frame` is the application's own.
    pub own: bool,
}

impl<'t> Trace<'t> {
    /// Parses a trace. `libraries` are the profile's `library_frames`, beside those of `assets/frames.txt`.
    pub fn parse(text: &'t str, libraries: &[String]) -> Self {
        let looked = head(text, LOOK);
        if let Some(at) = memmem::find(looked.as_bytes(), python::BLOCK) {
            python::parse(text, at, libraries)
        } else if let Some(at) = go::goroutine(looked) {
            go::panicked(text, at, libraries)
        } else if go::has_stack(looked) {
            go::printed(text, libraries)
        } else {
            java::parse(text, libraries)
        }
    }
}

/// The beginning of a text, at a character's border.
fn head(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let at = (0..=bytes).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    &text[..at]
}

/// What a line of a stack trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// An error's class and message, or what is no frame.
    Head,
    /// A frame of the application.
    Own,
    /// A frame of a known library.
    Library,
}

/// The lines of a trace with what they are, for the eye; at most [`LOOK`] bytes of it, and of a message that is as long the
/// beginning alone.
pub fn lines<'t>(text: &'t str, libraries: &[String]) -> impl Iterator<Item = (LineKind, &'t str)> {
    let mut before = LineKind::Head;
    let frames = behind_message(text);
    let cut = (frames.len() < text.len())
        .then(|| (LineKind::Head, head(text, HEADLINE).lines().next().unwrap_or_default()));
    let mut rest = head(frames.trim_start_matches('\n'), LOOK).lines().peekable();
    cut.into_iter().chain(std::iter::from_fn(move || {
        let line = rest.next()?;
        let trimmed = line.trim_start();
        let kind_of = |name: &str, place: &str| {
            if is_library(name, place, libraries) { LineKind::Library } else { LineKind::Own }
        };
        let kind = if let Some(frame) = trimmed.strip_prefix("at ") {
            let (name, place) = frame.split_once('(').unwrap_or((frame, frame));
            kind_of(without_module(name), place)
        } else if let Some(path) = trimmed.strip_prefix("File \"") {
            kind_of("", path.split('"').next().unwrap_or(path))
        } else if rest.peek().is_some_and(|next| next.starts_with('\t') && next.contains(".go:")) {
            kind_of(trimmed, rest.peek().copied().unwrap_or_default().trim())
        } else if line.starts_with([' ', '\t']) && !trimmed.starts_with("...") {
            // The source line or the place of the frame above.
            before
        } else if trimmed.starts_with("...") {
            LineKind::Library
        } else {
            LineKind::Head
        };
        before = kind;
        Some((kind, line))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_giant_or_senseless_trace_is_read_once() {
        let parse = |text: &str| {
            let trace = Trace::parse(text, &[]);
            (trace.root_class.map(str::to_owned), trace.frame.map(Cow::into_owned))
        };
        let many = "x.Y: z\n".to_owned() + &"\tat java.util.A.b(A.java:1)\n".repeat(40_000);
        assert_eq!(parse(&many).1.as_deref(), Some("java.util.A.b"));
        let long =
            format!("x.Y: {}\n\tat java.util.A.b(A.java:1)\n\tat acme.C.d(C.java:1)\n", "z".repeat(2 * LOOK));
        assert_eq!(parse(&long).1.as_deref(), Some("acme.C.d"));
        let shown: Vec<(LineKind, usize)> =
            lines(&long, &[]).map(|(kind, line)| (kind, line.len())).collect();
        assert_eq!(shown[0], (LineKind::Head, HEADLINE));
        assert_eq!(shown[2].0, LineKind::Own);
        let causes = "\nCaused by: ".repeat(90_000);
        assert_eq!(parse(&causes).0, None);
        let circles = "a.B\n".to_owned() + &"Caused by: [CIRCULAR REFERENCE: a.B]\n".repeat(30_000);
        assert_eq!(parse(&circles).0.as_deref(), Some("a.B"));
        for line in
            ["x".repeat(1 << 20), "at ".repeat(350_000), "(".repeat(1 << 20), " ---> ".repeat(170_000)]
        {
            assert_eq!(parse(&line).0, None);
            assert!(parse(&format!("\tat {line}")).1.is_none_or(|frame| frame.len() < 600));
        }
        let cut = "\u{1f980}".repeat(LOOK / 4) + "\u{1f980}";
        assert_eq!(Trace::parse(&cut, &[]), Trace::default());
        assert_eq!(Trace::parse("", &[]), Trace::default());
    }

    #[test]
    fn lines_are_told_apart_for_the_eye() {
        let text = "a.B: c\n\tat java.util.X.y(X.java:1)\n\tat shop.Z.w(Z.java:2)\n\t... 3 more\n";
        let kinds: Vec<LineKind> = lines(text, &[]).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [LineKind::Head, LineKind::Library, LineKind::Own, LineKind::Library]);
        let mine = ["shop.".to_owned()];
        assert!(lines(text, &mine).all(|(kind, _)| kind != LineKind::Own));
    }
}
