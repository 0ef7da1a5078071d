//! Where on the screen what is: made by drawing, used by the next click and the next page.

use ratatui::layout::{Position, Rect};

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A place in the list of the screen.
    Row(usize),
    /// The heading of a column.
    Heading(usize),
    /// A dashboard of the overview, from 0.
    Panel(usize),
    /// A screen in the crumbs, from 0 at the left.
    Crumb(usize),
    /// An entry of the overlay's list.
    Entry(usize),
}

/// What can be clicked, and how much is seen at once.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    spots: Vec<(Rect, Spot)>,
    /// Rows or lines in a page.
    pub page: usize,
}

impl Hits {
    /// Adds a place.
    pub fn add(&mut self, x: u16, y: u16, width: u16, height: u16, spot: Spot) {
        self.spots.push((Rect { x, y, width, height }, spot));
    }

    /// The columns whose headings are seen.
    pub fn headings(&self) -> Vec<usize> {
        let column = |(_, spot): &(Rect, Spot)| match spot {
            Spot::Heading(column) => Some(*column),
            _ => None,
        };
        self.spots.iter().filter_map(column).collect()
    }

    /// What lies at a cell; what was drawn last is on top.
    pub fn at(&self, x: u16, y: u16) -> Option<Spot> {
        let at = Position { x, y };
        self.spots.iter().rev().find(|(area, _)| area.contains(at)).map(|(_, spot)| *spot)
    }
}
