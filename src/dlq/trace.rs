//! Stack traces as text: the classes of the chain of causes, and the application's own first frame.
//!
//! Java first (its form is also that of .NET and Node, roughly), then Python and Go. It works on lines with
//! `memchr`, looks at no more than [`LOOK`] bytes for frames, and never backtracks: a hostile trace costs no
//! more than reading it once.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem;

/// Bytes in which frames are looked for.
pub const LOOK: usize = 256 << 10;
/// The longest class or frame name taken for one.
const NAME: usize = 512;

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
    /// Parses a trace.
    pub fn parse(text: &'t str) -> Self {
        let head = head(text, LOOK);
        if let Some(at) = memmem::find(head.as_bytes(), b"Traceback (most recent call last)") {
            return python(text, at);
        }
        if let Some(at) = memmem::find(head.as_bytes(), b"goroutine ")
            && head[at..].lines().next().is_some_and(|l| l.trim_end().ends_with("]:"))
        {
            return go(text, at);
        }
        java(text)
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

/// The lines of a trace with what they are, for the eye; at most [`LOOK`] bytes of it.
pub fn lines(text: &str) -> impl Iterator<Item = (LineKind, &str)> {
    let mut before = LineKind::Head;
    let mut rest = head(text, LOOK).lines().peekable();
    std::iter::from_fn(move || {
        let line = rest.next()?;
        let trimmed = line.trim_start();
        let kind_of = |name: &str, place: &str| {
            if is_library(name, place) { LineKind::Library } else { LineKind::Own }
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
    })
}

/// Java, and what looks like it: .NET (` ---> ` for causes) and Node (`[cause]: `).
fn java(text: &str) -> Trace<'_> {
    let first = text.lines().next().unwrap_or_default();
    let (class, message) = headline(first);
    let cause = ["\nCaused by: ", " ---> ", "[cause]: "]
        .iter()
        .find_map(|mark| memmem::rfind(text.as_bytes(), mark.as_bytes()).map(|at| &text[at + mark.len()..]));
    let (root_class, root_message) = match cause.map(|c| headline(c.lines().next().unwrap_or_default())) {
        Some((Some(class), message)) => (Some(class), message),
        // A cause that cannot be read: the end of the chain is not known.
        Some((None, _)) => (None, None),
        None => (class, message),
    };
    let (frame, own) = first_frame(java_frames(head(text, LOOK)));
    Trace { class, root_class, root_message, frame, own }
}

/// `class: message`, or a class alone.
fn headline(line: &str) -> (Option<&str>, Option<&str>) {
    let line = line.trim();
    let line = line.split(" ---> ").next().unwrap_or(line).trim_end_matches(['{', ' ']);
    let (class, message) = match line.split_once(": ") {
        Some((class, message)) => (class, Some(message)),
        None => (line.trim_end_matches(':'), None),
    };
    // Node writes a code behind the class: `TypeError [ERR_X]: …`.
    let class = class.split(" [").next().unwrap_or(class);
    if is_class(class) { (Some(class), message) } else { (None, None) }
}

fn is_class(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '$' | '/' | '`' | '+' | '-' | '<' | '>'))
}

/// The frames of a Java-like trace without those of suppressed exceptions: name, and the place behind it.
fn java_frames(text: &str) -> impl Iterator<Item = (&str, &str)> {
    // The indentation of a `Suppressed:` block under way.
    let mut suppressed: Option<usize> = None;
    text.lines().filter_map(move |line| {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(outer) = suppressed {
            let inside = indent > outer || (indent == outer && trimmed.starts_with("Caused by: "));
            if inside {
                return None;
            }
            suppressed = None;
        }
        if trimmed.starts_with("Suppressed: ") {
            suppressed = Some(indent);
            return None;
        }
        let rest = trimmed.strip_prefix("at ").filter(|_| indent > 0)?;
        let rest = rest.strip_prefix("async ").or_else(|| rest.strip_prefix("new ")).unwrap_or(rest);
        let (name, place) = match rest.find('(') {
            Some(paren) => (without_module(rest[..paren].trim_end()), &rest[paren..]),
            // Node's anonymous function: the place is all there is.
            None => (rest.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || c == ':'), rest),
        };
        // A line of a message can begin with `at `, too; Node's `x [as y]` is the only name with a space.
        (!name.contains(' ') || name.contains(" [as ")).then_some((name, place))
    })
}

/// The first frame of the application; else the first one.
fn first_frame<'t>(frames: impl Iterator<Item = (&'t str, &'t str)>) -> (Option<Cow<'t, str>>, bool) {
    let mut fallback = None;
    for (name, place) in frames {
        if name.is_empty() || name.len() > NAME {
            continue;
        }
        if !is_library(name, place) {
            return (Some(stable(name)), true);
        }
        fallback.get_or_insert(name);
    }
    (fallback.map(stable), false)
}

/// Takes off Java's class loader and module: `app//`, `java.base/`, `my.module@1.2/`.
fn without_module(name: &str) -> &str {
    // Behind `$$Lambda` a slash belongs to an address.
    let class = name.split("$$Lambda").next().unwrap_or(name);
    class.rfind('/').map_or(name, |at| &name[at + 1..])
}

/// The name without what changes from build to build: addresses and numbers of lambdas and proxies.
fn stable(name: &str) -> Cow<'_, str> {
    let cut = name.find("$$").map_or(name, |at| &name[..at]);
    let Some(at) = cut.find("lambda$") else { return Cow::Borrowed(cut) };
    // `lambda$reserve$3`: the number counts the lambdas of the class.
    let trimmed = cut.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('$');
    if trimmed.len() > at { Cow::Borrowed(trimmed) } else { Cow::Borrowed(cut) }
}

/// Prefixes and parts of paths, from `assets/frames.txt`.
struct Libraries {
    /// Sorted; none is the beginning of another.
    prefixes: Vec<&'static str>,
    parts: Vec<&'static str>,
}

static LIBRARIES: LazyLock<Libraries> = LazyLock::new(|| {
    let lines =
        include_str!("../../assets/frames.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (parts, mut prefixes): (Vec<&str>, Vec<&str>) = lines.partition(|l| l.starts_with('~'));
    prefixes.sort_unstable();
    prefixes.dedup_by(|longer, shorter| longer.starts_with(*shorter));
    Libraries { prefixes, parts: parts.into_iter().map(|p| &p[1..]).collect() }
});

fn is_library(name: &str, place: &str) -> bool {
    let known = &*LIBRARIES;
    let after = known.prefixes.partition_point(|p| *p <= name);
    if after > 0 && name.starts_with(known.prefixes[after - 1]) {
        return true;
    }
    // Java's places are `(File.java:12)`: only paths can hold a part of one.
    place.contains(['/', '\\', ':', '<']) && known.parts.iter().any(|part| place.contains(part))
}

/// Python: the last frame of a block is where it was raised; blocks are in order of cause.
fn python(text: &str, at: usize) -> Trace<'_> {
    let first = &text[at..];
    let last =
        memmem::rfind(text.as_bytes(), b"Traceback (most recent call last)").map_or(first, |i| &text[i..]);
    let raised = |block: &str| -> Option<(usize, usize)> {
        let mut offset = 0;
        for (i, line) in block.split('\n').enumerate() {
            if i > 0 && !line.is_empty() && !line.starts_with([' ', '\t']) {
                return Some((offset, offset + line.len()));
            }
            offset += line.len() + 1;
        }
        None
    };
    let root = raised(first).map(|(a, b)| headline(&first[a..b])).unwrap_or_default();
    let outer = raised(last).map(|(a, b)| headline(&last[a..b])).unwrap_or_default();
    let mut own = None;
    let mut any = None;
    for line in head(last, LOOK).lines() {
        let Some(rest) = line.trim_start().strip_prefix("File \"") else { continue };
        let Some((path, rest)) = rest.split_once('"') else { continue };
        let function = rest.rsplit_once(", in ").map_or("", |(_, f)| f.trim());
        let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let module = file.strip_suffix(".py").unwrap_or(file);
        if module.is_empty() || path.len() > NAME || function.len() > NAME {
            continue;
        }
        let place = Some((module, function));
        any = place;
        if !is_library("", path) {
            own = place;
        }
    }
    let frame = own.or(any).map(|(module, function)| Cow::Owned(format!("{module}.{function}")));
    Trace { class: outer.0, root_class: root.0, root_message: root.1, frame, own: own.is_some() }
}

/// Go: a function's line is followed by an indented line with its place.
fn go(text: &str, at: usize) -> Trace<'_> {
    let block = head(&text[at..], LOOK);
    let mut lines = block.lines().skip(1).peekable();
    let frames = std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let Some(place) = lines.peek().copied().filter(|p| p.starts_with('\t')) else { continue };
            if !line.starts_with('\t') {
                let name = line.rfind('(').map_or(line, |paren| &line[..paren]);
                return Some((name.trim_end(), place));
            }
        }
    });
    let (frame, own) = first_frame(frames);
    Trace { frame, own, ..Trace::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_chain_ends_at_its_last_cause_and_begins_in_the_application() {
        let text = "org.springframework.X: wrapper\n\tat org.springframework.A.b(A.java:1)\n\tSuppressed: org.y.Z: \
                    Restored Stack Trace\n\t\tat shop.Never.here(N.java:1)\n\tCaused by: shop.Never: no\n\t\tat \
                    shop.Never.there(N.java:2)\nCaused by: shop.PaymentFailed: payment failed\n\tat \
                    shop.Stock.lambda$pay$3(Stock.java:54)\n\t... 10 more\nCaused by: \
                    java.net.SocketTimeoutException: Read timed out\n\tat shop.Stock.authorize(Stock.java:60)\n";
        let trace = Trace::parse(text);
        assert_eq!(trace.class, Some("org.springframework.X"));
        assert_eq!(trace.root_class, Some("java.net.SocketTimeoutException"));
        assert_eq!(trace.root_message, Some("Read timed out"));
        assert_eq!(trace.frame.as_deref(), Some("shop.Stock.lambda$pay"));
        assert!(trace.own);
    }

    #[test]
    fn modules_and_proxies_are_not_part_of_a_frame() {
        let text = "x.Y: z\n\tat java.base/java.lang.Thread.run(Thread.java:840)\n\tat \
                    app//shop.Web$$EnhancerBySpringCGLIB$$1a2b.handle(<generated>)\n";
        assert_eq!(Trace::parse(text).frame.as_deref(), Some("shop.Web"));
    }

    #[test]
    fn without_a_frame_of_its_own_the_first_one_stands() {
        let trace = Trace::parse("java.lang.E\n\tat java.util.A.b(A.java:1)\n\tat java.util.C.d(C.java:1)\n");
        assert_eq!(
            (trace.class, trace.frame.as_deref(), trace.own),
            (Some("java.lang.E"), Some("java.util.A.b"), false)
        );
    }

    #[test]
    fn dot_net_is_read_to_its_inner_exception() {
        let text = "MassTransit.ConsumerException: failed\n ---> System.TimeoutException: too late\n   at \
                    System.Net.Http.Send(Uri uri)\n   at Shop.Stock.Pay(Order order) in /src/Stock.cs:line 12\n   --- End \
                    of inner exception stack trace ---\n   at MassTransit.Pipe.Send()\n";
        let trace = Trace::parse(text);
        assert_eq!(trace.class, Some("MassTransit.ConsumerException"));
        assert_eq!(trace.root_class, Some("System.TimeoutException"));
        assert_eq!(trace.frame.as_deref(), Some("Shop.Stock.Pay"));
    }

    #[test]
    fn node_skips_its_modules() {
        let text = "TypeError [ERR_X]: no sku\n    at Object.parse (node:internal/x:1:2)\n    at run \
                    (/app/node_modules/kafkajs/a.js:1:2)\n    at async Stock.reserve (/app/src/stock.js:20:11) {\n  [cause]: \
                    Error: deep\n      at x (/app/y.js:1:1)\n}\n";
        let trace = Trace::parse(text);
        assert_eq!((trace.class, trace.root_class), (Some("TypeError"), Some("Error")));
        assert_eq!(trace.frame.as_deref(), Some("Stock.reserve"));
    }

    #[test]
    fn python_raises_at_the_last_frame_and_causes_come_first() {
        let text = "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in inner\n    x()\nKeyError: 'sku'\n\n\
                    The above exception was the direct cause of the following exception:\n\nTraceback (most recent call \
                    last):\n  File \"/app/shop/stock.py\", line 9, in reserve\n    inner()\n  File \
                    \"/usr/lib/python3/site-packages/k.py\", line 1, in send\n    raise\nshop.Failed: cannot reserve\n";
        let trace = Trace::parse(text);
        assert_eq!((trace.class, trace.root_class), (Some("shop.Failed"), Some("KeyError")));
        assert_eq!(trace.root_message, Some("'sku'"));
        assert_eq!(trace.frame.as_deref(), Some("stock.reserve"));
    }

    #[test]
    fn go_panics_name_the_function() {
        let text = "panic occurred: boom, stacktrace: \ngoroutine 12 [running]:\nruntime/debug.Stack()\n\t/go/debug.go:24 \
                    +0x5e\npanic({0x1, 0x2})\n\t/go/panic.go:770 +0x132\nshop/stock.(*Handler).Reserve(0xc0001)\n\t\
                    /app/stock.go:31 +0x1d\n";
        assert_eq!(Trace::parse(text).frame.as_deref(), Some("shop/stock.(*Handler).Reserve"));
    }

    #[test]
    fn a_giant_or_senseless_trace_is_read_once() {
        let many = "x.Y: z\n".to_owned() + &"\tat java.util.A.b(A.java:1)\n".repeat(40_000);
        assert_eq!(Trace::parse(&many).frame.as_deref(), Some("java.util.A.b"));
        let causes = "\nCaused by: ".repeat(90_000);
        assert_eq!(Trace::parse(&causes).root_class, None);
        let cut = "\u{1f980}".repeat(LOOK / 4) + "\u{1f980}";
        assert_eq!(Trace::parse(&cut), Trace::default());
        assert_eq!(Trace::parse(""), Trace::default());
    }
}
