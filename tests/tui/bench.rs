//! A console at hand: keys go in, requests and pictures come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use redrive::ask::{Answer, Request};
use redrive::config::profile::Profile;
use redrive::observe::snapshot::Snapshot;
use redrive::text::{Fault, TimeFormat, TimeStyle, Timestamp};
use redrive::tui::command::Command;
use redrive::tui::hits::Hits;
use redrive::tui::keymap::{Chord, Keymap};
use redrive::tui::message::{Effect, Message, RequestId};
use redrive::tui::state::{Seat, State};
use redrive::tui::theme::{Depth, Glyphs, Theme};
use redrive::tui::update::update;
use redrive::tui::view::view;

/// The time of all pictures: 2026-11-24T13:02:11.034Z.
pub const NOW: Timestamp = Timestamp(1_795_525_331_034);

/// A console.
pub struct Bench {
    pub state: State,
    pub size: (u16, u16),
    /// What was asked and not answered yet.
    pub asked: Vec<(RequestId, Request)>,
    /// What else was to be done.
    pub effects: Vec<Effect>,
}

/// A console on the profile `demo`, at 80x24.
pub fn console() -> Bench {
    console_on(Profile::new("demo", Vec::new()))
}

/// A console on a profile.
pub fn console_on(profile: Profile) -> Bench {
    let writable = !profile.read_only;
    let seat = Seat { profile: Arc::new(profile), operator: "oncall@desk".to_owned(), writable };
    let keymap = Keymap::new(&BTreeMap::new()).unwrap();
    let mut state = State::on_a_cluster(seat, Theme::default(), keymap, NOW);
    state.times = TimeFormat::with_zone(TimeStyle::Local, TimeZone::UTC);
    Bench { state, size: (80, 24), asked: Vec::new(), effects: Vec::new() }.drawn()
}

impl Bench {
    /// The same in another size.
    pub fn sized(mut self, columns: u16, lines: u16) -> Self {
        self.size = (columns, lines);
        self.send(Message::Resized(columns, lines));
        self.drawn()
    }

    /// The same with a picture of the cluster.
    pub fn seeing(mut self, picture: Snapshot) -> Self {
        self.send(Message::Snapshot(Arc::new(picture)));
        self.drawn()
    }

    /// The same without colours.
    pub fn without_colour(mut self) -> Self {
        self.state.theme.depth = Depth::None;
        self
    }

    /// The same in ASCII.
    pub fn ascii(mut self) -> Self {
        self.state.theme.glyphs = Glyphs::Ascii;
        self
    }

    /// Sends a message; what is asked is kept.
    pub fn send(&mut self, message: Message) {
        for effect in update(&mut self.state, message) {
            match effect {
                Effect::Ask(id, request) => self.asked.push((id, *request)),
                Effect::Cancel(id) => self.asked.retain(|(asked, _)| *asked != id),
                other => self.effects.push(other),
            }
        }
    }

    /// Draws a frame, as the loop does between keys.
    pub fn drawn(mut self) -> Self {
        self.draw();
        self
    }

    /// Types keys as they are written in the registry, with a frame before each.
    pub fn keys(mut self, keys: &str) -> Self {
        for chord in Chord::parse_all(keys).unwrap() {
            self.send(Message::Key(chord));
            self.draw();
        }
        self
    }

    /// Types a text.
    pub fn typed(mut self, text: &str) -> Self {
        for c in text.chars() {
            let key = if c == ' ' { "space".to_owned() } else { c.to_string() };
            self = self.keys(&key);
        }
        self
    }

    /// Presses the first key of a command.
    pub fn press(self, name: &str) -> Self {
        let command = Command::named(name).unwrap_or_else(|| panic!("there is no command {name}"));
        let keys = self.state.keymap.keys(command.id);
        let first = keys.first().unwrap_or_else(|| panic!("{name} has no key"));
        self.keys(&first.clone())
    }

    /// Answers what was asked last.
    pub fn answer(mut self, answer: Answer) -> Self {
        let (id, _) = self.asked.pop().expect("something was asked");
        self.send(Message::Done(id, Box::new(Ok(answer))));
        self.drawn()
    }

    /// Lets what was asked last fail.
    pub fn fail(mut self, fault: Fault) -> Self {
        let (id, _) = self.asked.pop().expect("something was asked");
        self.send(Message::Done(id, Box::new(Err(fault))));
        self.drawn()
    }

    /// The picture as a buffer.
    pub fn draw(&mut self) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        let mut hits = Hits::default();
        view(&self.state, &mut buffer, &mut hits);
        self.send(Message::Drawn(hits));
        buffer
    }

    /// The picture as lines of text.
    pub fn text(&mut self) -> String {
        text(&self.draw())
    }

    /// Fails unless `text` is in the picture.
    #[track_caller]
    pub fn expect(mut self, wanted: &str) -> Self {
        let shown = self.text();
        assert!(shown.contains(wanted), "{wanted:?} is not in\n{shown}");
        self
    }

    /// Fails if `text` is in the picture.
    #[track_caller]
    pub fn expect_no(mut self, unwanted: &str) -> Self {
        let shown = self.text();
        assert!(!shown.contains(unwanted), "{unwanted:?} is in\n{shown}");
        self
    }

    /// The picture as lines of text, and below it a layer of styles.
    pub fn picture(&mut self) -> String {
        let buffer = self.draw();
        format!("{}\n{}", text(&buffer), styles(&buffer))
    }
}

/// A buffer's lines.
pub fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut out = String::new();
    for line in buffer.content.chunks(width) {
        let mut cells = line.iter();
        let mut text = String::new();
        while let Some(cell) = cells.next() {
            text.push_str(cell.symbol());
            // A wide character takes the next cell too.
            for _ in 1..redrive::text::width::width(cell.symbol()).max(1) {
                cells.next();
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// A letter for each cell's style: lower case for a colour alone, capitals where it is bold, `#` reversed,
/// `_` underlined, `-` dim, `*` bold.
pub fn styles(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let letter = |cell: &ratatui::buffer::Cell| {
        let has = |modifier| cell.modifier.contains(modifier);
        let colour = match cell.fg {
            Color::Reset => None,
            Color::Red => Some('r'),
            Color::Green => Some('g'),
            Color::Yellow => Some('y'),
            Color::Magenta => Some('m'),
            Color::Cyan => Some('c'),
            _ => Some('?'),
        };
        match colour {
            _ if has(Modifier::REVERSED) => '#',
            Some(colour) if has(Modifier::BOLD) => colour.to_ascii_uppercase(),
            Some(colour) => colour,
            None if has(Modifier::UNDERLINED) => '_',
            None if has(Modifier::BOLD) => '*',
            None if has(Modifier::DIM) => '-',
            None => ' ',
        }
    };
    buffer
        .content
        .chunks(width)
        .map(|line| line.iter().map(letter).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}
