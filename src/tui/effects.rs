//! Does what `update` wants done; nothing here waits for a broker.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::editing::Sheet;
use super::history;
use super::mailbox::Mailbox;
use super::message::{Effect, Message, RequestId};
use super::terminal::Terminal;
use crate::ask::{Answer, Desk, Extra, Request};
use crate::config::keep::Decision;
use crate::text::Fault;

/// So long the end waits for a transaction under way.
const GRACE: Duration = Duration::from_secs(15);

/// The most bytes that are copied: terminals take no more.
const CLIPBOARD: usize = 75_000;

/// What follows an effect.
pub enum Next {
    /// Going on, with a message where the effect has an answer at once.
    GoOn(Option<Message>),
    /// Giving the terminal to the operator's pager, with this text.
    Page(String),
    /// Giving the terminal to the operator's editor, with this letter.
    Edit(Sheet),
    /// The end.
    End,
}

/// Does effects.
pub struct Effects {
    desk: Option<Arc<Desk>>,
    extra: Option<Arc<dyn Extra>>,
    mailbox: Arc<Mailbox>,
    /// Requests under way.
    asked: HashMap<RequestId, CancellationToken>,
    tasks: TaskTracker,
    /// Where searches are kept.
    history: Option<PathBuf>,
}

impl Effects {
    /// Does effects on a cluster, where there is one.
    pub fn new(
        desk: Option<Arc<Desk>>,
        extra: Option<Arc<dyn Extra>>,
        mailbox: Arc<Mailbox>,
        history: Option<PathBuf>,
    ) -> Self {
        Self { desk, extra, mailbox, asked: HashMap::new(), tasks: TaskTracker::new(), history }
    }

    /// Does one. An error is the terminal's.
    pub fn perform(&mut self, effect: Effect, terminal: &mut Terminal) -> io::Result<Next> {
        let answer = match effect {
            Effect::Ask(id, request) => {
                self.ask(id, *request);
                None
            }
            Effect::Cancel(id) => {
                if let Some(cancel) = self.asked.remove(&id) {
                    cancel.cancel();
                }
                None
            }
            Effect::Refresh => {
                if let Some(desk) = &self.desk {
                    desk.refresh();
                }
                None
            }
            Effect::Extras => self.extra.as_ref().map(|extra| Message::Extras(extra.commands())),
            Effect::Extra(line) => self.extra.as_ref().map(|extra| Message::Said(extra.run(&line))),
            Effect::Copy(text) => Some(copy(&text)?),
            Effect::Save(plan, path) => {
                let mailbox = Arc::clone(&self.mailbox);
                self.tasks.spawn_blocking(move || {
                    let shown = path.display().to_string();
                    let said = plan.save(&path);
                    mailbox.say(said.map(|()| format!("saved: execute it with `redrive run {shown}`")));
                });
                None
            }
            Effect::SaveList(listing, path) => {
                let mailbox = Arc::clone(&self.mailbox);
                self.tasks.spawn_blocking(move || {
                    let rows = crate::text::units::count(listing.rows() as u64);
                    let said = listing.save(&path);
                    mailbox.say(said.map(|()| format!("saved {rows} rows in {}", path.display())));
                });
                None
            }
            Effect::Remember(search) => {
                if let Some(path) = self.history.clone() {
                    // A history that cannot be kept is no reason to disturb the search.
                    self.tasks.spawn_blocking(move || drop(history::add(&path, &search)));
                }
                None
            }
            Effect::Page(text) => return Ok(Next::Page(text)),
            Effect::Edit(sheet) => return Ok(Next::Edit(sheet)),
            Effect::Decide(topic, decision) => {
                self.decide(topic, decision);
                None
            }
            Effect::Redraw => {
                terminal.forget()?;
                None
            }
            Effect::Mouse(taken) => {
                terminal.mouse(taken)?;
                None
            }
            Effect::Suspend => {
                terminal.suspend()?;
                None
            }
            Effect::Quit => return Ok(Next::End),
        };
        Ok(Next::GoOn(answer))
    }

    fn ask(&mut self, id: RequestId, request: Request) {
        let Some(desk) = self.desk.clone() else { return };
        self.asked.retain(|_, cancel| !cancel.is_cancelled());
        let cancel = CancellationToken::new();
        self.asked.insert(id, cancel.clone());
        let mailbox = Arc::clone(&self.mailbox);
        let (told, stop) = (Arc::clone(&mailbox), cancel.clone());
        let work = tokio::spawn(async move {
            let tell = |event| told.tell(id, event);
            desk.answer(request, &tell, stop).await
        });
        self.tasks.spawn(async move {
            let answer = work.await.unwrap_or_else(|_| {
                Err(Fault::failed("internal", "the request ended unexpectedly").hint("the log says where"))
            });
            // The answer of whoever was sent away is nobody's; it also lets the token go.
            mailbox.done(id, answer);
            cancel.cancel();
        });
    }

    fn decide(&self, topic: Arc<str>, decision: Decision) {
        let Some(desk) = self.desk.clone() else { return };
        let mailbox = Arc::clone(&self.mailbox);
        self.tasks.spawn(async move {
            let request = Request::Decide(topic, decision);
            let said = match desk.answer(request, &|_| {}, CancellationToken::new()).await {
                Ok(Answer::Decided(kept)) => Ok(kept.words()),
                Ok(_) => return,
                Err(fault) => Err(fault),
            };
            mailbox.say(said);
        });
    }

    /// Takes everything back, and waits until what must not be cut in two is over.
    pub async fn end(self) {
        for cancel in self.asked.values() {
            cancel.cancel();
        }
        self.tasks.close();
        // Who does not end in time is cut off; the ledger says how far it came.
        let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
    }
}

/// Copies through the terminal, which says nothing about whether it did.
fn copy(text: &str) -> io::Result<Message> {
    if text.len() > CLIPBOARD {
        let why = format!("{} bytes are more than the {CLIPBOARD} that terminals take", text.len());
        return Ok(Message::Said(Err(Fault::failed("clipboard", "not copied").why(why))));
    }
    Terminal::copy(text)?;
    Ok(Message::Said(Ok(format!("copied {} characters through the terminal (OSC 52)", text.chars().count()))))
}
