//! The state of a list: what is shown in which order, the cursor, the marks. It holds no rows.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::Filter;
use crate::tui::screens::subject::Subject;
use crate::tui::theme::Role;

/// A cell's text and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text; hostile texts may be in it, the pen makes them safe.
    pub text: String,
    /// What it is.
    pub role: Role,
}

impl Cell {
    /// A cell.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), role }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Role::Text)
    }
}

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Texts.
    Left,
    /// Figures.
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading.
    pub title: &'static str,
    /// Where its text stands.
    pub align: Align,
    /// The fewest cells.
    pub min: u16,
    /// The most cells.
    pub max: u16,
    /// Columns of the highest number vanish first, from the right; 0 never does.
    pub priority: u8,
}

impl Column {
    /// A column of texts.
    pub const fn text(title: &'static str, min: u16, max: u16, priority: u8) -> Self {
        Self { title, align: Align::Left, min, max, priority }
    }

    /// A column of figures.
    pub const fn figure(title: &'static str, min: u16, priority: u8) -> Self {
        Self { title, align: Align::Right, min, max: 20, priority }
    }
}

/// Rows, made one by one for the lines that are seen.
pub trait Source {
    /// The columns.
    fn columns(&self) -> &'static [Column];
    /// The number of rows.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The numbers of the rows; where rows are taken away in front, those of the others stay.
    fn rows(&self) -> Range<usize> {
        0..self.len()
    }
    /// What a row is known by from one picture to the next.
    fn key(&self, row: usize) -> Arc<str>;
    /// A cell.
    fn cell(&self, row: usize, column: usize) -> Cell;
    /// The text that filters look at.
    fn text(&self, row: usize) -> String;
    /// How two rows are ordered by a column.
    fn compare(&self, a: usize, b: usize, column: usize) -> Ordering;
    /// Whether something is wrong with a row; `None` where rows of this kind are neither right nor wrong.
    fn fault(&self, _row: usize) -> Option<bool> {
        None
    }
    /// The record or letter that the row is about, where it is about one.
    fn subject(&self, _row: usize) -> Option<Subject> {
        None
    }
    /// Lines below a row's first one.
    fn details(&self) -> usize {
        0
    }
    /// One of these lines.
    fn detail(&self, _row: usize, _line: usize) -> Vec<(String, Role)> {
        Vec::new()
    }
}

/// By which column a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Column; `None` for the source's own order.
    pub column: Option<usize>,
    /// The other way round.
    pub reverse: bool,
}

/// A list's state.
#[derive(Clone, Debug)]
pub struct List {
    /// Rows of the source that are shown, in order, with their keys.
    pub order: Vec<(usize, Arc<str>)>,
    /// Place of the cursor in the order.
    pub cursor: usize,
    /// The first place that is seen.
    pub top: usize,
    /// Order.
    pub sort: Sort,
    /// Filter.
    pub filter: Filter,
    /// Keys of marked rows.
    pub marks: BTreeSet<Arc<str>>,
    /// Only rows with which something is wrong.
    pub faults: bool,
    /// So many columns behind the first one are left out, to see those on the right.
    pub left: usize,
    /// Where a range of marks began, and what was marked before.
    range: Option<(Arc<str>, BTreeSet<Arc<str>>)>,
    /// The key under the cursor.
    key: Option<Arc<str>>,
    /// Rows before filtering.
    pub total: usize,
}

impl Default for List {
    fn default() -> Self {
        Self::sorted(None, false)
    }
}

impl List {
    /// A list that begins ordered by a column.
    pub fn sorted(column: Option<usize>, reverse: bool) -> Self {
        Self {
            order: Vec::new(),
            cursor: 0,
            top: 0,
            sort: Sort { column, reverse },
            filter: Filter::default(),
            marks: BTreeSet::new(),
            faults: false,
            left: 0,
            range: None,
            key: None,
            total: 0,
        }
    }

    /// Filters and orders the rows anew; the cursor stays on its row.
    pub fn refresh(&mut self, source: &dyn Source) {
        let mut rows: Vec<usize> = if self.filter.is_empty() {
            source.rows().collect()
        } else {
            let mut passes = self.filter.test();
            source.rows().filter(|row| passes(&source.text(*row))).collect()
        };
        if self.faults {
            rows.retain(|row| source.fault(*row) != Some(false));
        }
        if let Some(column) = self.sort.column {
            rows.sort_by(|a, b| source.compare(*a, *b, column));
        }
        if self.sort.reverse {
            rows.reverse();
        }
        self.total = source.len();
        self.order = rows.into_iter().map(|row| (row, source.key(row))).collect();
        let kept = self.key.as_ref().and_then(|key| self.order.iter().position(|(_, k)| k == key));
        self.cursor = kept.unwrap_or(self.cursor).min(self.order.len().saturating_sub(1));
        self.hold();
    }

    /// Takes rows that came at the end of the source since the last time, and lets go of those that are gone in front:
    /// what a refresh comes to, without looking at the others again.
    pub fn extend(&mut self, source: &dyn Source, new: Range<usize>) {
        let first = source.rows().start;
        let order = |a: usize, b: usize| {
            let order = self.sort.column.map_or(Ordering::Equal, |column| source.compare(a, b, column));
            let order = order.then(a.cmp(&b));
            if self.sort.reverse { order.reverse() } else { order }
        };
        let gone = |(row, _): &(usize, Arc<str>)| *row < first;
        // The cursor and the window stay on their rows while what stood before these goes.
        let before = |place: usize| self.order.iter().take(place).filter(|entry| gone(entry)).count();
        let (cursor, top) = (self.cursor - before(self.cursor), self.top - before(self.top));
        let filter = self.filter.clone();
        let mut passes = (!filter.is_empty()).then(|| filter.test());
        let mut fits = |row: &usize| {
            passes.as_mut().is_none_or(|passes| passes(&source.text(*row)))
                && !(self.faults && source.fault(*row) == Some(false))
        };
        let mut rows: Vec<usize> = new.filter(&mut fits).collect();
        rows.sort_by(|a, b| order(*a, *b));
        let mut came = rows.into_iter().map(|row| (row, source.key(row))).peekable();
        let mut merged = Vec::with_capacity(self.order.len() + came.len());
        let (mut cursor, mut top) = (cursor, top);
        for entry in self.order.iter().filter(|entry| !gone(entry)) {
            while let Some(one) = came.next_if(|(row, _)| order(*row, entry.0) == Ordering::Less) {
                cursor += usize::from(merged.len() <= cursor);
                top += usize::from(merged.len() <= top);
                merged.push(one);
            }
            merged.push(entry.clone());
        }
        merged.extend(came);
        self.total = source.len();
        self.order = merged;
        self.cursor = cursor.min(self.order.len().saturating_sub(1));
        self.top = top;
        self.hold();
    }

    /// The row of the source under the cursor.
    pub fn row(&self) -> Option<usize> {
        self.order.get(self.cursor).map(|(row, _)| *row)
    }

    /// The key under the cursor.
    pub fn key(&self) -> Option<&Arc<str>> {
        self.order.get(self.cursor).map(|(_, key)| key)
    }

    /// Moves the cursor by so many rows.
    pub fn step(&mut self, by: isize) {
        self.go(self.cursor.saturating_add_signed(by));
    }

    /// Moves the cursor to a place.
    pub fn go(&mut self, to: usize) {
        self.cursor = to.min(self.order.len().saturating_sub(1));
        self.hold();
        self.spread();
    }

    /// Begins a range of marks at the cursor, or ends it; its marks stay.
    pub fn toggle_range(&mut self) {
        self.range = match self.range.take() {
            Some(_) => None,
            None => self.key().cloned().map(|key| (key, self.marks.clone())),
        };
        self.spread();
    }

    /// Whether moving marks.
    pub fn is_ranging(&self) -> bool {
        self.range.is_some()
    }

    /// Takes all marks away, and ends a range.
    pub fn unmark(&mut self) {
        self.marks.clear();
        self.range = None;
    }

    /// Marks what lies between the beginning of the range and the cursor.
    fn spread(&mut self) {
        let Some((from, before)) = &self.range else { return };
        let Some(begin) = self.order.iter().position(|(_, key)| key == from) else { return };
        let (first, last) = (begin.min(self.cursor), begin.max(self.cursor));
        let between = self.order.iter().take(last + 1).skip(first);
        self.marks = before.clone();
        self.marks.extend(between.map(|(_, key)| Arc::clone(key)));
    }

    /// Puts the cursor on the row with this key, now or as soon as it is there.
    pub fn find(&mut self, key: Arc<str>) {
        if let Some(at) = self.order.iter().position(|(_, k)| *k == key) {
            self.cursor = at;
        }
        self.key = Some(key);
    }

    fn hold(&mut self) {
        self.key = self.key().cloned();
    }

    /// The first place to show where `page` rows are seen.
    pub fn top_for(&self, page: usize) -> usize {
        let lowest = (self.cursor + 1).saturating_sub(page);
        let last = self.order.len().saturating_sub(page);
        self.top.clamp(lowest, self.cursor.max(lowest)).min(last.max(lowest))
    }

    /// Marks the row under the cursor, or takes its mark away, and goes on to the next.
    pub fn toggle(&mut self) {
        if let Some(key) = self.key().cloned() {
            if !self.marks.remove(&key) {
                self.marks.insert(key);
            }
            self.step(1);
        }
    }

    /// Marks all that are shown; takes their marks away where all are marked.
    pub fn toggle_all(&mut self) {
        let all = !self.order.is_empty() && self.order.iter().all(|(_, key)| self.marks.contains(key));
        if all {
            self.marks.clear();
        } else {
            self.marks.extend(self.order.iter().map(|(_, key)| Arc::clone(key)));
        }
    }

    /// Orders by the next column after the present one that can be seen.
    pub fn next_sort(&mut self, columns: usize) {
        let next = self.sort.column.map_or(0, |column| column + 1);
        self.sort.column = (next < columns).then_some(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Names(Vec<&'static str>);

    impl Source for Names {
        fn columns(&self) -> &'static [Column] {
            const { &[Column::text("NAME", 4, 20, 0)] }
        }
        fn len(&self) -> usize {
            self.0.len()
        }
        fn key(&self, row: usize) -> Arc<str> {
            self.0[row].into()
        }
        fn cell(&self, row: usize, _: usize) -> Cell {
            self.0[row].into()
        }
        fn text(&self, row: usize) -> String {
            self.0[row].into()
        }
        fn compare(&self, a: usize, b: usize, _: usize) -> Ordering {
            self.0[a].cmp(self.0[b])
        }
    }

    #[test]
    fn the_cursor_stays_on_its_row_when_others_come_and_go() {
        let mut list = List::sorted(Some(0), false);
        list.refresh(&Names(vec!["c", "a", "e"]));
        list.go(1);
        assert_eq!(list.key().map(|k| &**k), Some("c"));
        list.refresh(&Names(vec!["c", "a", "e", "b"]));
        assert_eq!((list.cursor, list.key().map(|k| &**k)), (2, Some("c")));
        list.refresh(&Names(vec!["a"]));
        assert_eq!(list.key().map(|k| &**k), Some("a"));
    }

    #[test]
    fn a_range_marks_what_the_cursor_passes_and_nothing_behind_it() {
        let mut list = List::default();
        list.refresh(&Names(vec!["a", "b", "c", "d", "e"]));
        list.toggle();
        list.go(2);
        list.toggle_range();
        list.go(4);
        list.go(3);
        let marked = |list: &List| list.marks.iter().map(ToString::to_string).collect::<String>();
        assert_eq!(marked(&list), "acd", "the one marked before stays, the one left again does not");
        list.go(1);
        assert_eq!(marked(&list), "abc", "and the same upwards");
        list.toggle_range();
        list.go(4);
        assert_eq!(marked(&list), "abc");
    }

    #[test]
    fn all_that_pass_the_filter_are_marked_and_unmarked() {
        let mut list = List { filter: Filter::new("a"), ..List::default() };
        list.refresh(&Names(vec!["ab", "c", "ca"]));
        list.toggle_all();
        assert_eq!(list.marks.len(), 2);
        list.toggle_all();
        assert!(list.marks.is_empty());
    }

    #[test]
    fn the_window_follows_the_cursor_and_never_ends_beyond_the_last_row() {
        let mut list = List::default();
        list.refresh(&Names(vec!["a"; 10]));
        list.cursor = 5;
        assert_eq!(list.top_for(3), 3);
        list.top = 9;
        list.cursor = 9;
        assert_eq!(list.top_for(4), 6);
        list.cursor = 0;
        assert_eq!(list.top_for(4), 0);
        assert_eq!(list.top_for(0), 1, "no line at all does not matter");
    }
}
