//! Display widths: how many terminal cells a text takes, and how it is cut to fit.
//!
//! Widths are summed over grapheme clusters, as the drawing library does, so that what is measured here is
//! what is drawn there. Terminals disagree on some clusters (emoji with modifiers); no sum can mend that.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What a cut text ends in; one cell.
const ELLIPSIS: &str = "…";

/// The cells that `text` takes.
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.graphemes(true).map(UnicodeWidthStr::width).sum() }
}

/// `text` in at most `cells` cells; what is cut ends in `…`. Never cuts a grapheme cluster in two.
pub fn cut(text: &str, cells: usize) -> Cow<'_, str> {
    // More bytes than cells is the only way to be too wide: no cluster is wider than it has bytes.
    if text.len() <= cells {
        return Cow::Borrowed(text);
    }
    if cells == 0 {
        return Cow::Borrowed("");
    }
    let (mut used, mut end_with_mark) = (0, 0);
    for (at, cluster) in text.grapheme_indices(true) {
        let wide = UnicodeWidthStr::width(cluster);
        if used + wide > cells {
            return Cow::Owned(format!("{}{ELLIPSIS}", &text[..end_with_mark]));
        }
        used += wide;
        if used < cells {
            end_with_mark = at + cluster.len();
        }
    }
    Cow::Borrowed(text)
}

/// The beginning of `text` that takes at most `cells` cells, without a mark.
pub fn fitting(text: &str, cells: usize) -> &str {
    if text.len() <= cells {
        return text;
    }
    let mut used = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        used += UnicodeWidthStr::width(cluster);
        if used > cells {
            return &text[..at];
        }
    }
    text
}

/// The part of `text` that begins `skip` cells from its left, in at most `cells` cells, without a mark: the
/// window of a text that is scrolled sideways. A cluster that is cut by the left edge becomes spaces.
pub fn window(text: &str, skip: usize, cells: usize) -> String {
    let mut out = String::new();
    let (mut at, end) = (0, skip.saturating_add(cells));
    for cluster in text.graphemes(true) {
        let wide = UnicodeWidthStr::width(cluster);
        let next = at + wide;
        if next > end || at >= end {
            break;
        }
        if at >= skip {
            out.push_str(cluster);
        } else if next > skip {
            out.extend(std::iter::repeat_n(' ', next - skip));
        }
        at = next;
    }
    out
}

/// `text` in exactly `cells` cells, cut or filled with spaces on the right.
pub fn left(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    let fill = cells.saturating_sub(width(&text));
    let mut out = text.into_owned();
    out.extend(std::iter::repeat_n(' ', fill));
    out
}

/// `text` in exactly `cells` cells, cut or filled with spaces on the left.
pub fn right(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    let fill = cells.saturating_sub(width(&text));
    let mut out = String::with_capacity(text.len() + fill);
    out.extend(std::iter::repeat_n(' ', fill));
    out.push_str(&text);
    out
}

/// Whether every byte is one printable cell.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_fits_is_not_touched() {
        assert!(matches!(cut("orders", 6), Cow::Borrowed("orders")));
        assert_eq!(cut("é日本", 5), "é日本");
    }

    #[test]
    fn a_cut_text_ends_in_a_mark_within_its_cells() {
        assert_eq!(cut("PaymentTimeout", 12), "PaymentTime…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本", 1), "…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_combining_accent_stays_with_its_letter() {
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(width("e\u{301}"), 1);
    }

    #[test]
    fn padding_counts_cells_and_not_bytes() {
        assert_eq!(left("日本", 6), "日本  ");
        assert_eq!(right("é", 3), "  é");
        assert_eq!(right("48,211", 4), "48,…");
    }

    #[test]
    fn a_window_keeps_the_columns_in_place() {
        assert_eq!(window("0123456789", 3, 4), "3456");
        assert_eq!(window("日本語", 1, 4), " 本");
        assert_eq!(window("ab", 5, 3), "");
    }

    proptest! {
        #[test]
        fn a_padded_text_has_exactly_its_cells(text in "\\PC{0,20}", cells in 0_usize..30) {
            prop_assert!(width(&cut(&text, cells)) <= cells);
            prop_assert_eq!(width(&left(&text, cells)), cells);
            prop_assert_eq!(width(&right(&text, cells)), cells);
        }

        #[test]
        fn a_window_is_never_wider_than_asked(text in "\\PC{0,20}", skip in 0_usize..30, cells in 0_usize..30) {
            prop_assert!(width(&window(&text, skip, cells)) <= cells);
        }
    }
}
