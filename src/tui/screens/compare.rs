//! Two records side by side: what is the same, and what is not.

use similar::{DiffTag, TextDiff};

use super::View;
use super::look::position;
use super::subject::Subject;
use crate::text::{Safe, width};
use crate::tui::command::Scope;
use crate::tui::hits::Hits;
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widgets::Pen;
use crate::tui::widgets::line::{Line, Span};
use crate::tui::widgets::pager::Pager;

/// From so many cells on, the two are beside each other.
const WIDE: u16 = 100;
/// So many lines of each are compared: two payloads of 20 MB must not make the console wait.
const MOST: usize = 2_000;

/// The screen.
#[derive(Debug)]
pub struct Compare {
    titles: [String; 2],
    texts: [Vec<String>; 2],
    cells: u16,
    /// The first line of each difference.
    differences: Vec<usize>,
    pager: Pager,
}

impl Compare {
    /// Compares two records in a window of so many cells.
    pub fn new(left: &Subject, right: &Subject, cells: u16) -> Self {
        let titles = [left, right].map(|subject| position(&subject.record().at));
        let texts = [left, right].map(Subject::lines);
        let pager = Pager::lines(Vec::new(), cells);
        let mut screen = Self { titles, texts, cells, differences: Vec::new(), pager };
        screen.lay_out();
        screen
    }

    /// Goes to another difference; whether there is one.
    pub fn turn(&mut self, by: isize) -> bool {
        let top = self.pager.top();
        let to = match by {
            1.. => self.differences.iter().find(|line| **line > top),
            _ => self.differences.iter().rev().find(|line| **line < top),
        };
        if let Some(to) = to.copied() {
            self.pager.scroll_to(to);
        }
        to.is_some()
    }

    fn lay_out(&mut self) {
        let [left, right] = self
            .texts
            .each_ref()
            .map(|lines| lines.iter().take(MOST).map(String::as_str).collect::<Vec<&str>>());
        let diff = TextDiff::from_slices(&left, &right);
        let mut out = Vec::new();
        self.differences.clear();
        for op in diff.ops() {
            let old = left.get(op.old_range()).unwrap_or_default();
            let new = right.get(op.new_range()).unwrap_or_default();
            let same = op.tag() == DiffTag::Equal;
            if !same {
                self.differences.push(out.len());
            }
            if self.cells >= WIDE {
                out.extend(self.beside(old, new, same));
            } else {
                out.extend(below(old, new, same));
            }
        }
        if self.texts.iter().any(|lines| lines.len() > MOST) {
            out.push(vec![Span::new(format!("only the first {MOST} lines are compared"), Role::Warn)]);
        }
        let (top, wrap) = (self.pager.top(), self.pager.wrap());
        self.pager = Pager::lines(out, self.cells.saturating_sub(1));
        self.pager.set_wrap(wrap);
        self.pager.scroll_to(top);
    }

    fn beside(&self, old: &[&str], new: &[&str], same: bool) -> Vec<Line> {
        let half = usize::from(self.cells.saturating_sub(4)) / 2;
        let rows = 0..old.len().max(new.len());
        let cell = |text: Option<&&str>| text.map_or_else(String::new, |text| Safe::new(text).to_string());
        rows.map(|row| {
            let (old, new) = (cell(old.get(row)), cell(new.get(row)));
            let old = width::left(&width::cut(&old, half), half);
            let (sign, left, right) =
                if same { ("  ", Role::Text, Role::Text) } else { ("≠ ", Role::Fail, Role::Ok) };
            vec![Span::new(old, left), Span::new(format!(" {sign}"), Role::Mark), Span::new(new, right)]
        })
        .collect()
    }
}

fn below(old: &[&str], new: &[&str], same: bool) -> Vec<Line> {
    let line = |sign: &str, text: &&str, role| vec![Span::new(sign, Role::Mark), Span::new(text, role)];
    if same {
        return old.iter().map(|text| line("  ", text, Role::Text)).collect();
    }
    let gone = old.iter().map(|text| line("- ", text, Role::Fail));
    gone.chain(new.iter().map(|text| line("+ ", text, Role::Ok))).collect()
}

impl View for Compare {
    fn scope(&self) -> Scope {
        Scope::Compare
    }

    fn crumb(&self) -> String {
        "compare".to_owned()
    }

    fn status(&self, _: &State) -> String {
        match self.differences.len() {
            0 => "no difference".to_owned(),
            1 => "1 difference".to_owned(),
            n => format!("{n} differences"),
        }
    }

    fn pager_mut(&mut self) -> Option<&mut Pager> {
        Some(&mut self.pager)
    }

    fn resized(&mut self, columns: u16) {
        self.cells = columns;
        self.lay_out();
    }

    fn draw(&self, _: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let [left, right] = &self.titles;
        if self.cells >= WIDE {
            let half = (self.cells.saturating_sub(4)) / 2;
            pen.cell(1, 0, half, left, Role::Title);
            pen.put(half + 4, 0, right, Role::Title);
        } else {
            let x = pen.put(1, 0, &format!("- {left}"), Role::Fail);
            pen.put(x + 2, 0, &format!("+ {right}"), Role::Ok);
        }
        let (wide, height) = (pen.width().saturating_sub(1), pen.height().saturating_sub(1));
        self.pager.draw(&mut pen.part(1, 1, wide, height));
        hits.page = usize::from(height).max(1);
    }
}
