//! All that the console knows. Changed by `update` alone, drawn by `view`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::command::Scope;
use super::disposals::Action;
use super::hits::Hits;
use super::keymap::{Chord, Keymap};
use super::message::{Effect, RequestId};
use super::moves::Move;
use super::overlays::Overlay;
use super::overlays::search::Typed;
use super::quiet::Quiet;
use super::screens::run::Job;
use super::screens::{Overview, Screen, View, Welcome};
use super::theme::{Sign, Theme};
use crate::ask::{Interest, Request};
use crate::config::profile::Profile;
use crate::observe::snapshot::Snapshot;
use crate::text::{Fault, TimeFormat, TimeStyle, Timestamp};

/// So many notices are kept.
const NOTICES: usize = 100;
/// So long a notice stays, in milliseconds.
const NOTICE_STAYS: i64 = 8_000;

/// Something told to the operator.
#[derive(Clone, Debug)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// How it is meant.
    pub sign: Sign,
    /// What, and what to do.
    pub text: String,
}

/// Who looks, and what may be done.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The profile in force.
    pub profile: Arc<Profile>,
    /// Who acts.
    pub operator: String,
    /// Whether the broker can be written to.
    pub writable: bool,
}

/// The state.
pub struct State {
    /// Who looks; `None` on the welcome screen.
    pub seat: Option<Seat>,
    /// Colours and characters.
    pub theme: Theme,
    /// Keys.
    pub keymap: Keymap,
    /// The time.
    pub now: Timestamp,
    /// How times are shown.
    pub times: TimeFormat,
    /// The picture that is shown.
    pub picture: Arc<Snapshot>,
    /// The latest picture, while the shown one is held, and how many came since.
    pub held: Option<(Arc<Snapshot>, u64)>,
    /// What needs attention and is not to be seen.
    pub quiet: Quiet,
    /// Screens, the one that is seen last; never empty.
    pub screens: Vec<Screen>,
    /// The screens that were left last.
    pub left: Option<Vec<Screen>>,
    /// What lies over the screen, the topmost last.
    pub overlays: Vec<Overlay>,
    /// A begun sequence, and since when.
    pub begun: (Vec<Chord>, Timestamp),
    /// Keys pressed while there was nothing on the screen yet that they could be about.
    pub ahead: Vec<Chord>,
    /// Notices, the oldest first.
    pub notices: VecDeque<Notice>,
    /// Whether the latest notice was seen.
    pub notice_seen: bool,
    /// The run that was started here last.
    pub job: Option<Job>,
    /// Letters being discarded, parked or released.
    pub action: Option<Action>,
    /// The change of a group's offsets that is under way.
    pub moving: Option<Move>,
    /// Columns and lines.
    pub size: (u16, u16),
    /// Whether the terminal has the focus.
    pub focused: bool,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// Whether the list or the text has the screen for itself.
    pub full: bool,
    /// When the terminal got the focus.
    pub focused_at: Option<Timestamp>,
    /// Where is what, as it was drawn last.
    pub hits: Hits,
    /// Frames drawn.
    pub frames: u64,
    /// When ctrl-c was pressed last.
    pub interrupted: Option<Timestamp>,
    /// Searches, the latest last.
    pub searches: Vec<Typed>,
    /// Whether the end was asked for.
    pub ending: bool,
    next: u64,
}

impl State {
    /// The state at the beginning.
    pub fn new(root: Screen, seat: Option<Seat>, theme: Theme, keymap: Keymap, now: Timestamp) -> Self {
        Self {
            seat,
            theme,
            keymap,
            now,
            times: TimeFormat::new(TimeStyle::Local),
            picture: Arc::new(Snapshot::empty(now)),
            held: None,
            quiet: Quiet::default(),
            screens: vec![root],
            left: None,
            overlays: Vec::new(),
            begun: (Vec::new(), now),
            ahead: Vec::new(),
            notices: VecDeque::new(),
            notice_seen: true,
            job: None,
            action: None,
            moving: None,
            size: (80, 24),
            focused: true,
            mouse: false,
            full: false,
            focused_at: None,
            hits: Hits::default(),
            frames: 0,
            interrupted: None,
            searches: Vec::new(),
            ending: false,
            next: 0,
        }
    }

    /// The state of a console on a cluster.
    pub fn on_a_cluster(seat: Seat, theme: Theme, keymap: Keymap, now: Timestamp) -> Self {
        Self::new(Screen::Overview(Overview::default()), Some(seat), theme, keymap, now)
    }

    /// The state of a console without one.
    pub fn welcome(place: Option<String>, theme: Theme, keymap: Keymap, now: Timestamp) -> Self {
        Self::new(Screen::Welcome(Welcome { place }), None, theme, keymap, now)
    }

    /// The screen that is seen.
    #[expect(clippy::expect_used, reason = "the root is never taken away")]
    pub fn screen(&self) -> &Screen {
        self.screens.last().expect("there is always a screen")
    }

    /// The same, to change it.
    #[expect(clippy::expect_used, reason = "the root is never taken away")]
    pub fn screen_mut(&mut self) -> &mut Screen {
        self.screens.last_mut().expect("there is always a screen")
    }

    /// The seen screen as what all screens are.
    pub fn view(&self) -> &dyn View {
        self.screen().view()
    }

    /// The same, to change it.
    pub fn view_mut(&mut self) -> &mut dyn View {
        self.screen_mut().view_mut()
    }

    /// Where commands are looked for, the nearest first.
    pub fn scopes(&self) -> Vec<Scope> {
        self.view().scope().around()
    }

    /// Whether only reading is possible, and why.
    pub fn read_only(&self) -> Result<(), String> {
        match &self.seat {
            None => Err("no cluster".to_owned()),
            Some(seat) if seat.profile.read_only => {
                Err(format!("profile {} is read-only", seat.profile.name))
            }
            Some(seat) if !seat.writable => Err("this broker cannot be written to".to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// A command line that can be given elsewhere: it chooses the same cluster.
    pub fn command_line(&self, line: &str) -> String {
        let chosen = self.seat.as_ref().map(|seat| seat.profile.chosen_by.as_slice()).unwrap_or_default();
        let words = ["redrive"].into_iter().chain(chosen.iter().map(String::as_str)).chain([line]);
        words.collect::<Vec<_>>().join(" ")
    }

    /// Tells something.
    pub fn tell(&mut self, sign: Sign, text: impl Into<String>) {
        if self.notices.len() == NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(Notice { at: self.now, sign, text: text.into() });
        self.notice_seen = false;
    }

    /// Tells a fault.
    pub fn tell_fault(&mut self, fault: &Fault) {
        let hint = if fault.hint.is_empty() { String::new() } else { format!(" · {}", fault.hint) };
        self.tell(Sign::Fail, format!("{fault}{hint}"));
    }

    /// The notice to show: the latest one, until it was seen or grew old.
    pub fn notice(&self) -> Option<&Notice> {
        let last = self.notices.back()?;
        let stays = last.sign == Sign::Fail || self.now.since(last.at) < NOTICE_STAYS;
        (!self.notice_seen && stays).then_some(last)
    }

    /// A fresh name for a request.
    pub fn next_request(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    /// Whether the seen screen has nothing to act on yet, and soon will.
    pub fn is_waiting(&self) -> bool {
        let view = self.view();
        view.is_empty() && (view.waits_for().is_some() || self.picture.generation == 0)
    }

    /// Lets the seen screen ask what it wants to know, where it wants to.
    pub fn ask(&mut self, effects: &mut Vec<Effect>) {
        let picture = Arc::clone(&self.picture);
        if let Some(request) = self.view_mut().wants(&picture) {
            let id = self.request(request, effects);
            self.view_mut().asked(id);
        }
    }

    /// Asks something.
    pub fn request(&mut self, request: Request, effects: &mut Vec<Effect>) -> RequestId {
        let id = self.next_request();
        effects.push(Effect::Ask(id, Box::new(request)));
        id
    }

    /// What is on the screen, for the sampler.
    pub fn interest(&self) -> Interest {
        Interest { away: !self.focused, ..self.view().interest() }
    }

    /// Whether time alone changes the picture soon.
    pub fn ticks(&self) -> bool {
        !self.begun.0.is_empty()
    }
}
