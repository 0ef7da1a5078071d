//! Go: what a panic prints, and what `%+v` makes of an error with a stack.

use memchr::memmem;

use super::frames::first_frame;
use super::{LOOK, Trace, head};

/// Where the trace of a panicking goroutine begins, if the text has one.
pub(super) fn goroutine(text: &str) -> Option<usize> {
    let at = memmem::find(text.as_bytes(), b"goroutine ")?;
    let line = text[at..].lines().next()?;
    line.trim_end().ends_with("]:").then_some(at)
}

/// Whether there are frames of an error with a stack: a function, and its place in the next line.
pub(super) fn has_stack(text: &str) -> bool {
    let places = memmem::find(text.as_bytes(), b".go:");
    places.is_some_and(|at| {
        let line = text[..at].rfind('\n').map_or(0, |line| line + 1);
        line > 0 && text[line..].starts_with('\t') && !text[line..].starts_with("\tat ")
    })
}

/// A trace whose first goroutine begins at `at`.
pub(super) fn panicked<'t>(text: &'t str, at: usize, more: &[String]) -> Trace<'t> {
    let (root_class, root_message) = reason(&text[..at]);
    // The first goroutine is the one that panics.
    let block = head(&text[at..], LOOK);
    let end = block.find("\n\n").unwrap_or(block.len());
    let all: Vec<(&str, &str)> = frames(&block[..end]).collect();
    // What lies above the call of `panic` handles it.
    let raised = all.iter().rposition(|(name, _)| *name == "panic").map_or(0, |call| call + 1);
    let (frame, own) = first_frame(all.into_iter().skip(raised), more);
    Trace { class: root_class, root_class, root_message, frame, own }
}

/// An error that was printed with its stack; the message stands before the first function.
pub(super) fn printed<'t>(text: &'t str, more: &[String]) -> Trace<'t> {
    let (frame, own) = first_frame(frames(head(text, LOOK)), more);
    let message = text.lines().next().filter(|line| !line.is_empty());
    Trace { frame, own, root_message: message, ..Trace::default() }
}

/// Class and message of a panic: the runtime's own have a class, others only what was said.
fn reason(before: &str) -> (Option<&str>, Option<&str>) {
    let Some(at) = memmem::rfind(before.as_bytes(), b"panic: ") else {
        let fatal = before.lines().find_map(|line| line.strip_prefix("fatal error: "));
        return (fatal.map(|_| "fatal error"), fatal);
    };
    // A word that ends with it is none.
    if before[..at].ends_with(|c: char| c.is_alphanumeric()) {
        return (None, None);
    }
    let line = before[at + "panic: ".len()..].lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" [recovered]").trim_end();
    match line.split_once(": ") {
        Some(("runtime error", message)) => (Some("runtime error"), Some(message)),
        _ => (Some("panic"), Some(line)),
    }
}

/// Functions and their places.
fn frames(block: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut lines = block.lines().peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let Some(place) = lines.peek().copied().filter(|p| p.starts_with('\t')) else { continue };
            if !line.starts_with('\t') && place.contains(".go:") {
                // Arguments stand behind the last open bracket; `(*Handler)` has a dot behind it.
                let name = line
                    .rfind('(')
                    .filter(|paren| *paren > 0)
                    .map_or(line, |paren| if line[paren..].contains(").") { line } else { &line[..paren] });
                return Some((name.trim_end(), place));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Trace<'_> {
        Trace::parse(text, &[])
    }

    #[test]
    fn a_recovered_panic_names_the_function_that_panicked_not_the_one_that_caught_it() {
        let text = "panic occurred: boom, stacktrace: \ngoroutine 12 [running]:\nruntime/debug.Stack()\n\t/go/debug.go:24 \
                    +0x5e\nshop/web.Recover.func1()\n\t/app/web.go:3 +0x1\npanic({0x1, 0x2})\n\t/go/panic.go:770 \
                    +0x132\nshop/stock.(*Handler).Reserve(0xc0001)\n\t/app/stock.go:31 +0x1d\n\ngoroutine 1 [chan \
                    receive]:\nmain.main()\n\t/app/main.go:1\n";
        let trace = parse(text);
        assert_eq!(trace.frame.as_deref(), Some("shop/stock.(*Handler).Reserve"));
        assert_eq!((trace.root_class, trace.root_message), (None, None));
    }

    #[test]
    fn a_panic_says_what_it_was() {
        let text = "panic: runtime error: index out of range [5] with length 3 [recovered]\n\ngoroutine 1 \
                    [running]:\nmain.pay.func2.1({0x1, 0x2}, 0x3)\n\t/app/main.go:8 +0x1d\ncreated by main.main in goroutine \
                    1\n\t/app/main.go:3 +0x1\n";
        let trace = parse(text);
        assert_eq!(trace.root_class, Some("runtime error"));
        assert_eq!(trace.root_message, Some("index out of range [5] with length 3"));
        assert_eq!(trace.frame.as_deref(), Some("main.pay.func"));
        let trace = parse("panic: no stock\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:8\n");
        assert_eq!((trace.root_class, trace.root_message), (Some("panic"), Some("no stock")));
    }

    #[test]
    fn an_error_printed_with_its_stack_is_read() {
        let text = "cannot reserve: no stock\nshop/stock.(*Handler).Reserve\n\t/app/stock.go:31\nruntime.goexit\n\t/go/a.s:1\n";
        let trace = parse(text);
        assert_eq!(trace.frame.as_deref(), Some("shop/stock.(*Handler).Reserve"));
        assert_eq!(trace.root_message, Some("cannot reserve: no stock"));
    }
}
