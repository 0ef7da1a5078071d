//! Python: blocks in the order of cause, in each the last frame is where it was raised.

use std::borrow::Cow;

use memchr::memmem;

use super::frames::{NAME, is_library};
use super::java::headline;
use super::{LOOK, Trace, head};

/// The first line of a block.
pub(super) const BLOCK: &[u8] = b"Traceback (most recent call last)";
/// The first line of a block that holds several errors (PEP 654), as far as it differs.
const GROUP: &[u8] = b"Exception Group Traceback (most recent call last)";

pub(super) fn parse<'t>(text: &'t str, at: usize, more: &[String]) -> Trace<'t> {
    let block = |at: usize| &text[at..];
    let last = memmem::rfind(text.as_bytes(), BLOCK).map_or(block(at), block);
    let (outer, root) = if let Some(group) = memmem::find(text.as_bytes(), GROUP) {
        // The first of the errors that a group holds stands for it.
        let inner = memmem::find(&text.as_bytes()[group + GROUP.len()..], BLOCK);
        let inner = inner.map_or(group, |at| group + GROUP.len() + at);
        (block(group + "Exception Group ".len()), block(inner))
    } else {
        (last, block(at))
    };
    let (class, _) = raised(outer);
    let (root_class, root_message) = raised(root);
    let (own, any) = frames(outer, more);
    let (deeper, _) = if own.is_some() { (None, None) } else { frames(block(at), more) };
    let place = own.or(deeper);
    let frame = place.or(any).map(|(module, function)| Cow::Owned(format!("{module}.{function}")));
    Trace { class, root_class, root_message, frame, own: place.is_some() }
}

/// A line without what draws the tree of a group: `  | `, `  +-+---- 1 ----`.
fn without_gutter(line: &str) -> &str {
    let trimmed = line.trim_start();
    match trimmed.strip_prefix('|').or_else(|| trimmed.strip_prefix('+')) {
        Some(rest) => rest.strip_prefix(' ').unwrap_or(rest),
        None => line,
    }
}

/// Class and message of the error that a block ends with: its first line that is not indented.
fn raised(block: &str) -> (Option<&str>, Option<&str>) {
    let ends = |line: &&str| !line.is_empty() && !line.starts_with([' ', '\t']);
    block.lines().skip(1).map(without_gutter).find(ends).map(headline).unwrap_or_default()
}

type Place<'t> = Option<(&'t str, &'t str)>;

/// The last frame of the application in a block, and the last frame of all: module and function.
fn frames<'t>(block: &'t str, more: &[String]) -> (Place<'t>, Place<'t>) {
    let (mut own, mut any) = (None, None);
    for line in head(block, LOOK).lines().skip(1) {
        let line = without_gutter(line);
        if !line.is_empty() && !line.starts_with([' ', '\t']) {
            break;
        }
        let Some(rest) = line.trim_start().strip_prefix("File \"") else { continue };
        let Some((path, rest)) = rest.split_once('"') else { continue };
        let function = rest.rsplit_once(", in ").map_or("", |(_, f)| f.trim());
        let mut parts = path.rsplit(['/', '\\']);
        let file = parts.next().unwrap_or(path);
        let module = file.strip_suffix(".py").unwrap_or(file);
        // A package is named by its folder.
        let module = if module == "__init__" { parts.next().unwrap_or(module) } else { module };
        if module.is_empty() || path.len() > NAME || function.len() > NAME {
            continue;
        }
        let place = Some((module, function));
        any = place;
        if !is_library("", path, more) {
            own = place;
        }
    }
    (own, any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Trace<'_> {
        Trace::parse(text, &[])
    }

    #[test]
    fn python_raises_at_the_last_frame_and_causes_come_first() {
        let text = "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in inner\n    x()\nKeyError: 'sku'\n\n\
                    The above exception was the direct cause of the following exception:\n\nTraceback (most recent call \
                    last):\n  File \"/app/shop/stock.py\", line 9, in reserve\n    inner()\n    ~~~~~^^\n  File \
                    \"/usr/lib/python3/site-packages/k.py\", line 1, in send\n    raise\nshop.Failed: cannot reserve\n";
        let trace = parse(text);
        assert_eq!((trace.class, trace.root_class), (Some("shop.Failed"), Some("KeyError")));
        assert_eq!(trace.root_message, Some("'sku'"));
        assert_eq!(trace.frame.as_deref(), Some("stock.reserve"));
        assert!(trace.own);
    }

    #[test]
    fn a_group_of_errors_is_told_by_its_first_one() {
        let text = "  + Exception Group Traceback (most recent call last):\n  |   File \"/app/shop/__init__.py\", line 4, in \
                    run\n  |     raise ExceptionGroup('two', [a, b])\n  | ExceptionGroup: two (2 sub-exceptions)\n  \
                    +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \
                    \"/app/b.py\", line 1, in pay\n    | ValueError: no\n    +---------------- 2 ----------------\n    | \
                    KeyError: 'x'\n    +------------------------------------\n";
        let trace = parse(text);
        assert_eq!((trace.class, trace.root_class), (Some("ExceptionGroup"), Some("ValueError")));
        assert_eq!(trace.root_message, Some("no"));
        assert_eq!(trace.frame.as_deref(), Some("shop.run"));
    }

    #[test]
    fn where_the_outer_block_has_only_libraries_the_cause_names_the_application() {
        let text = "Traceback (most recent call last):\n  File \"/app/pay.py\", line 3, in charge\nOSError: down\n\nDuring \
                    handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \
                    \"/x/site-packages/faust/agents.py\", line 1, in run\nfaust.Crash: x\n";
        let trace = parse(text);
        assert_eq!((trace.frame.as_deref(), trace.own), (Some("pay.charge"), true));
        assert_eq!((trace.class, trace.root_class), (Some("faust.Crash"), Some("OSError")));
    }
}
