//! The console: what happens goes through `update`, what is seen comes from `view`, and this loop is all that
//! waits.
//!
//! Requests run in tasks of their own and leave what they tell in a bounded mailbox. A frame is drawn only when
//! something changed, at most sixty times a second.

mod act;
pub mod command;
pub mod dead_letters;
pub mod disposals;
pub mod editing;
mod effects;
mod enabled;
mod history;
pub mod hits;
mod id;
pub mod keymap;
mod lend;
pub mod listing;
mod mailbox;
pub mod message;
pub mod moves;
pub mod overlays;
mod places;
pub mod quiet;
pub mod registry;
pub mod screens;
mod signals;
pub mod state;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyEventKind, MouseButton, MouseEventKind};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ask::{Desk, Extra};
use crate::config::layers::Console;
use crate::observe::snapshot::Snapshot;
use crate::text::{Clock, Fault, SystemClock};
use effects::{Effects, Next};
use hits::Hits;
use keymap::{Chord, Keymap};
use mailbox::Mailbox;
use message::{Effect, Message, Mouse};
use signals::{Signal, Signals};
use state::{Seat, State};
use terminal::Terminal;
use theme::{Depth, Glyphs, Theme};

/// The shortest time between two frames of what streams in. A key is answered at once: under load a timer comes late.
const FRAME: Duration = Duration::from_millis(16);

/// What was typed or turned meanwhile is taken together, so that a slow terminal is not drawn for each of it.
const AT_ONCE: usize = 64;
/// How often ages on the screen are drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// The same while a begun key waits for its help.
const FAST_TICK: Duration = Duration::from_millis(130);

/// What the console begins with.
pub enum Start {
    /// A cluster.
    Desk(Arc<Desk>),
    /// Nothing is configured yet.
    Welcome {
        /// Where the configuration would be.
        config_place: Option<PathBuf>,
    },
}

/// Settings.
pub struct Options {
    /// Those of the configuration.
    pub console: Console,
    /// Whether colours are off.
    pub no_colour: bool,
    /// Commands that others add to the palette.
    pub extra: Option<Arc<dyn Extra>>,
    /// The file that searches are kept in.
    pub history: Option<PathBuf>,
}

/// Runs the console until the operator ends it.
pub async fn run(start: Start, options: Options) -> Result<(), Fault> {
    let theme = Theme {
        depth: if options.no_colour { Depth::None } else { Depth::Ansi },
        glyphs: if options.console.ascii { Glyphs::Ascii } else { Glyphs::Unicode },
    };
    let keymap = Keymap::new(&options.console.keys)?;
    let (desk, clock): (_, Arc<dyn Clock>) = match &start {
        Start::Desk(desk) => (Some(Arc::clone(desk)), Arc::clone(&desk.cx().clock)),
        Start::Welcome { .. } => (None, Arc::new(SystemClock::default())),
    };
    let mut state = match &start {
        Start::Desk(desk) => {
            let cx = desk.cx();
            let seat = Seat {
                profile: Arc::clone(&cx.profile),
                operator: cx.operator.name.clone(),
                writable: cx.broker.writer().is_some(),
            };
            State::on_a_cluster(seat, theme, keymap, clock.now())
        }
        Start::Welcome { config_place } => {
            let place = config_place.as_ref().map(|place| place.display().to_string());
            State::welcome(place, theme, keymap, clock.now())
        }
    };
    state.mouse = options.console.mouse;
    state.searches = options.history.as_deref().map(history::read).unwrap_or_default();
    let mut terminal = Terminal::take(state.mouse).map_err(|e| broken(&e))?;
    let mailbox = Arc::new(Mailbox::default());
    let mut effects = Effects::new(desk.clone(), options.extra, Arc::clone(&mailbox), options.history);
    let ended = follow(&mut state, &mut terminal, &mut effects, &mailbox, desk.as_deref(), &*clock).await;
    drop(terminal);
    effects.end().await;
    ended
}

/// The loop.
async fn follow(
    state: &mut State,
    terminal: &mut Terminal,
    effects: &mut Effects,
    mailbox: &Mailbox,
    desk: Option<&Desk>,
    clock: &dyn Clock,
) -> Result<(), Fault> {
    let mut input = EventStream::new();
    let mut signals = Signals::new().map_err(|e| broken(&e))?;
    let mut pictures = desk.map(Desk::snapshots);
    let (mut dirty, mut pressed, mut drawn) = (true, false, None::<Instant>);
    // What an update asks for is done, whatever the update was for: what is lost here is waited for in vain.
    let mut todo: VecDeque<Effect> = VecDeque::new();
    state.size = terminal.size().map_err(|e| broken(&e))?;
    loop {
        let due = drawn.map_or_else(Instant::now, |at| at + FRAME);
        if dirty && (pressed || due <= Instant::now()) {
            let mut hits = Hits::default();
            terminal.draw(|buffer| view::view(state, buffer, &mut hits)).map_err(|e| broken(&e))?;
            todo.extend(update::update(state, Message::Drawn(hits)));
            (dirty, pressed, drawn) = (false, false, Some(Instant::now()));
            panic_if_a_test_wants_it();
        }
        let tick = if state.ticks() { FAST_TICK } else { TICK };
        let mut messages = Vec::new();
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::End => return Ok(()),
                Signal::Suspend => terminal.suspend().map_err(|e| broken(&e))?,
                Signal::Continue => terminal.resume().map_err(|e| broken(&e))?,
            },
            event = input.next() => {
                let mut event = Some(event);
                while let Some(next) = event {
                    // Without an event the terminal is gone.
                    let Some(Ok(next)) = next else { return Ok(()) };
                    messages.extend(message(next));
                    event = if messages.len() < AT_ONCE { ready(&mut input).await } else { None };
                }
                pressed = true;
            },
            () = mailbox.filled() => messages = mailbox.take(),
            picture = next(pictures.as_mut()) => messages.push(Message::Snapshot(picture)),
            () = tokio::time::sleep_until(due), if dirty => continue,
            () = tokio::time::sleep(tick) => {}
        }
        dirty = true;
        messages.insert(0, Message::Clock(clock.now()));
        for message in messages {
            todo.extend(update::update(state, message));
            while let Some(effect) = todo.pop_front() {
                let message = match effects.perform(effect, terminal).map_err(|e| broken(&e))? {
                    Next::GoOn(None) => continue,
                    Next::GoOn(Some(message)) => message,
                    Next::Page(text) => {
                        // Meanwhile the pager alone reads keys, and ctrl-c is meant for it.
                        drop(input);
                        let said = terminal.lend(|| lend::page(&text)).map_err(|e| broken(&e))?;
                        signals.forget();
                        input = EventStream::new();
                        Message::Said(said)
                    }
                    Next::Edit(sheet) => {
                        drop(input);
                        let edited = terminal.lend(|| lend::edit(&sheet.text)).map_err(|e| broken(&e))?;
                        signals.forget();
                        input = EventStream::new();
                        Message::Edited(sheet, edited)
                    }
                    Next::End => return Ok(()),
                };
                todo.extend(update::update(state, message));
            }
        }
        if let Some(desk) = desk {
            desk.look(state.interest());
        }
    }
}

/// What was typed already. It is asked for in the name of this task: the stream wakes the first who found it empty.
async fn ready(input: &mut EventStream) -> Option<Option<std::io::Result<Input>>> {
    std::future::poll_fn(|cx| match input.poll_next_unpin(cx) {
        Poll::Ready(event) => Poll::Ready(Some(event)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// The next picture; never where there is no cluster.
async fn next(pictures: Option<&mut watch::Receiver<Arc<Snapshot>>>) -> Arc<Snapshot> {
    if let Some(pictures) = pictures
        && pictures.changed().await.is_ok()
    {
        return Arc::clone(&pictures.borrow_and_update());
    }
    std::future::pending().await
}

/// What an event of the terminal means.
fn message(event: Input) -> Option<Message> {
    match event {
        Input::Key(key) if key.kind != KeyEventKind::Release => Chord::of(key).map(Message::Key),
        Input::Paste(text) => Some(Message::Paste(text)),
        Input::Resize(columns, lines) => Some(Message::Resized(columns, lines)),
        Input::FocusGained => Some(Message::Focus(true)),
        Input::FocusLost => Some(Message::Focus(false)),
        Input::Mouse(mouse) => {
            let what = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Mouse::Click,
                MouseEventKind::ScrollDown => Mouse::Wheel(1),
                MouseEventKind::ScrollUp => Mouse::Wheel(-1),
                _ => return None,
            };
            Some(Message::Mouse(what, mouse.column, mouse.row))
        }
        Input::Key(_) => None,
    }
}

fn broken(e: &std::io::Error) -> Fault {
    Fault::failed("terminal", "the terminal cannot be used").why(e.to_string())
}

/// The terminal must come back from a panic too; a test asks for one.
fn panic_if_a_test_wants_it() {
    assert!(std::env::var_os("REDRIVE_TEST_PANIC").is_none(), "panicked because REDRIVE_TEST_PANIC is set");
}
