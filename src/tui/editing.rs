//! A copy of one letter is edited by hand, in the operator's editor: what comes of it is a plan of that letter alone,
//! which shows the difference and refuses as any edit does.

use super::message::Effect;
use super::screens::Screen;
use super::screens::plan::{self, PlanForm};
use super::screens::subject::Subject;
use super::state::State;
use super::theme::Sign;
use crate::config::profile::DeadLetters;
use crate::event::Position;
use crate::filter::sheet::{of_sheet, sheet};
use crate::redrive::outgoing::{key, value};
use crate::text::Fault;

/// What is being edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// The letter.
    pub at: Position,
    /// The text before.
    pub text: String,
}

/// The letter under the cursor, or on the screen, as a text.
pub fn begin(state: &State) -> Result<Effect, String> {
    let Some(Subject::Letter(row)) = super::act::subject(state) else {
        return Err("only dead letters are edited".to_owned());
    };
    if row.letter.pointer {
        return Err("it only points to its record: `redrive plan --edit` edits that".to_owned());
    }
    let letter = &row.letter;
    let mut record = letter.record.clone();
    (record.key, record.value) = (key(letter).cloned(), value(letter).cloned());
    let decoding = state.seat.as_ref().map(|seat| seat.profile.decoding.clone()).unwrap_or_default();
    let text = sheet(&record, &DeadLetters::default(), &decoding)?;
    Ok(Effect::Edit(Sheet { at: letter.record.at.clone(), text }))
}

/// Takes what the editor has left.
pub fn end(state: &mut State, sheet: &Sheet, edited: Result<String, Fault>) {
    let edited = match edited {
        Ok(text) => of_sheet(&sheet.text, &text),
        Err(fault) => return state.tell_fault(&fault),
    };
    match edited {
        Ok(None) => state.tell(Sign::Ok, "nothing was changed"),
        Ok(Some(code)) => {
            let at = &sheet.at;
            let mut request = plan::request(&at.topic, None, Some(vec![(at.partition, at.offset)]));
            request.options.edit = Some(code);
            super::act::push(state, Screen::Plan(PlanForm::new(request)));
        }
        Err(why) => state.tell(Sign::Warn, format!("not edited: {why}")),
    }
}
