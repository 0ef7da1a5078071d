//! Discarding, parking, releasing and saving letters from the console: which ones, what is asked, what becomes of it.

use std::path::Path;
use std::sync::Arc;

use super::message::{Effect, RequestId};
use super::overlays::prompt::Purpose;
use super::overlays::{Dispose, Overlay, Prompt, Stays};
use super::screens::{Screen, plan};
use super::state::State;
use super::theme::{Role, Sign};
use crate::ask::export::Source;
use crate::ask::{Answer, ExportRequest, Request};
use crate::context::Progress;
use crate::event::archive::Format;
use crate::event::spreadsheet::Column;
use crate::ledger::Disposition;
use crate::letters::document::LettersRequest;
use crate::redrive::disposal::{Act, Disposal, DisposalRequest};
use crate::text::Fault;
use crate::text::units::count;

/// An action that was begun here. It is the console's and not the screen's: leaving the screen does not stop it.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its request.
    pub id: RequestId,
    /// What is being done, for example `discarding`.
    doing: &'static str,
    topic: Arc<str>,
    progress: Option<Progress>,
}

impl Action {
    /// Takes how far it is.
    pub fn told(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    /// What the header says of it.
    pub fn badge(&self) -> (String, Role) {
        let doing = self.doing;
        match &self.progress {
            Some(Progress { waiting: Some(_), .. }) => {
                (format!("{} {doing}: waits", Sign::Stale.glyph()), Role::Warn)
            }
            Some(Progress { done, total: Some(total), .. }) => {
                (format!("{doing} {}/{}", count(*done), count(*total)), Role::Key)
            }
            _ => (doing.to_owned(), Role::Key),
        }
    }
}

/// Opens the dialog for what is marked, else for what is under the cursor.
pub fn ask(state: &mut State, act: Act, effects: &mut Vec<Effect>) {
    if let Some(why) = under_way(state) {
        state.tell(Sign::Warn, why);
        return;
    }
    match request(state, act) {
        Ok(request) => {
            let topic = Arc::clone(&request.letters.topic);
            let id = state.request(Request::Disposal(request), effects);
            let dialog = Dispose::new(act, &topic, id, state);
            state.overlays.push(Overlay::Dispose(Box::new(dialog)));
        }
        Err(why) => state.tell(Sign::Warn, why),
    }
}

fn under_way(state: &State) -> Option<String> {
    if let Some(action) = &state.action {
        return Some(format!("{} of {} is under way; it ends first", action.doing, action.topic));
    }
    let job = state.job.as_ref().filter(|job| job.ended.is_none())?;
    Some(format!("a run of {} is under way; it ends first", job.topic))
}

/// Which letters are meant.
fn request(state: &State, act: Act) -> Result<DisposalRequest, String> {
    let verb = act.as_str();
    let of = |topic: &Arc<str>, failure: Option<Arc<str>>, only: Option<Vec<(i32, i64)>>| {
        let letters =
            LettersRequest { topic: Arc::clone(topic), failure, state: None, ..plan::all_letters() };
        Ok(DisposalRequest { act, letters, only })
    };
    match state.screen() {
        Screen::Failures(failures) => match (failures.marked().as_slice(), failures.current()) {
            ([], Some(failure)) => of(failures.topic(), Some(Arc::clone(&failure.id)), None),
            ([one], _) => of(failures.topic(), Some(Arc::clone(one)), None),
            ([], None) => Err(format!("there is no failure to {verb}")),
            // All of them are marked: that is the whole topic.
            (many, _) if many.len() == failures.count() => of(failures.topic(), None, None),
            _ => Err(format!("{verb} one failure or all: mark one, or all with *")),
        },
        Screen::Letters(letters) => {
            let mut only = letters.marked();
            if only.is_empty()
                && let Some(row) = letters.current()
            {
                only.push((row.letter.record.at.partition, row.letter.record.at.offset));
            }
            if only.is_empty() {
                return Err(format!("there is no letter to {verb}"));
            }
            of(&letters.request().topic, None, Some(only))
        }
        Screen::Inspector(inspector) => match inspector.letter_at() {
            Some(at) => of(&at.topic, None, Some(vec![(at.partition, at.offset)])),
            None => Err(format!("only dead letters can be {}", act.done())),
        },
        _ => Err("no letter is chosen here".to_owned()),
    }
}

/// The operator agreed.
pub fn begin(state: &mut State, request: Request, disposal: &Disposal, effects: &mut Vec<Effect>) {
    if let Err(why) = state.read_only() {
        state.tell(Sign::Warn, why);
        return;
    }
    let id = state.request(request, effects);
    state.action =
        Some(Action { id, doing: disposal.act.doing(), topic: Arc::clone(&disposal.topic), progress: None });
}

/// Asks for the file that the open letters of a topic are saved in.
pub fn ask_file(state: &mut State) {
    if let Some(action) = &state.action {
        let why = format!("{} of {} is under way; it ends first", action.doing, action.topic);
        state.tell(Sign::Warn, why);
        return;
    }
    if let Some(topic) = dlq(state) {
        let prompt = Prompt::new("save the open letters as", &format!("{topic}-open.jsonl"), Purpose::Export);
        state.overlays.push(Overlay::Prompt(prompt));
    }
}

fn dlq(state: &State) -> Option<Arc<str>> {
    match state.screen() {
        Screen::Dlqs(screen) => screen.selected(),
        _ => None,
    }
}

/// Saves the open letters of the topic under the cursor.
pub fn export(state: &mut State, path: &str, effects: &mut Vec<Effect>) -> Stays {
    let (path, topic) = (path.trim(), dlq(state));
    let Some(topic) = topic.filter(|_| !path.is_empty()) else { return Stays::No };
    let letters = LettersRequest {
        topic: Arc::clone(&topic),
        state: Some(Disposition::Pending),
        ..plan::all_letters()
    };
    let by = |extension: &str| Path::new(path).extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    let format = match () {
        () if by("bin") => Format::Bin,
        () if by("csv") => Format::Csv,
        () => Format::Jsonl,
    };
    let source = Source::Letters(letters);
    let request =
        ExportRequest { source, path: path.into(), format, resume: false, columns: Column::usual() };
    let id = state.request(Request::Export(request), effects);
    state.action = Some(Action { id, doing: "saving", topic, progress: None });
    Stays::No
}

/// The action ended.
pub fn ended(state: &mut State, answer: Result<Answer, Fault>, effects: &mut Vec<Effect>) {
    state.action = None;
    match answer {
        Ok(Answer::Disposal(answer)) => {
            let left = answer.selected - answer.changed;
            let why = match (answer.stopped, &answer.stopped_reason) {
                (Some(stopped), Some(why)) => format!("; stopped: {stopped}, {why}"),
                (Some(stopped), None) => format!("; stopped: {stopped}"),
                (None, _) if answer.expired > 0 => "; the others are gone by retention".to_owned(),
                (None, _) if left > 0 => "; the others are in another state by now".to_owned(),
                (None, _) => String::new(),
            };
            let of = if left > 0 { format!(" of {}", count(answer.selected)) } else { String::new() };
            let done = answer.disposal.act.done();
            let text = format!("{}{of} {done}{why}", plan::letters(answer.changed));
            state.tell(if left > 0 { Sign::Warn } else { Sign::Ok }, text);
        }
        Ok(Answer::Export(answer)) => {
            let text = format!("{} saved in {}", plan::letters(answer.records), answer.file);
            return match &answer.incomplete_reason {
                Some(why) => state.tell(Sign::Warn, format!("{text}; incomplete: {why}")),
                None => state.tell(Sign::Ok, text),
            };
        }
        Ok(_) => return,
        Err(fault) => state.tell_fault(&fault),
    }
    for screen in &mut state.screens {
        if let Some(list) = screen.view_mut().list_mut() {
            list.marks.clear();
        }
        match screen {
            Screen::Failures(screen) => screen.again(),
            Screen::Letters(screen) => screen.again(),
            Screen::Inspector(screen) => screen.again(),
            Screen::Runs(screen) => screen.again(),
            _ => {}
        }
    }
    effects.push(Effect::Refresh);
}
