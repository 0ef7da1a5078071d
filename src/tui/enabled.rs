//! Whether commands can be done now, and the reason where they cannot.

use super::screens::Screen;
use super::state::State;

/// There is a cluster to look at.
pub fn cluster(state: &State) -> Result<(), String> {
    state.seat.as_ref().map(drop).ok_or_else(|| "no cluster is configured".to_owned())
}

/// There is a row under the cursor.
pub fn row(state: &State) -> Result<(), String> {
    match state.view().list() {
        Some(list) if list.row().is_none() => Err("the list is empty".to_owned()),
        _ => Ok(()),
    }
}

/// The screen is a list.
pub fn listed(state: &State) -> Result<(), String> {
    state.view().list().map(drop).ok_or_else(|| "this is no list".to_owned())
}

/// The cursor is on a line of what needs attention.
pub fn attention(state: &State) -> Result<(), String> {
    let here = match state.screen() {
        Screen::Overview(screen) => screen.attention_here(&state.picture),
        _ => None,
    };
    here.map(drop).ok_or_else(|| "choose a line of what needs attention first".to_owned())
}

/// There is a dead letter to plan for; a plan writes nothing, so that a read-only profile allows it.
pub fn plan(state: &State) -> Result<(), String> {
    match state.screen() {
        Screen::Inspector(inspector) if inspector.letter_at().is_none() => {
            Err("this record is no dead letter".to_owned())
        }
        _ => row(state),
    }
}

/// There is a record under the cursor, or on the screen.
pub fn subject(state: &State) -> Result<(), String> {
    super::act::subject(state).map(drop).ok_or_else(|| "there is no record here".to_owned())
}

/// A copy of a letter can be edited: there is one, and what comes of it can be run.
pub fn edit(state: &State) -> Result<(), String> {
    state.read_only()?;
    match super::act::subject(state) {
        Some(super::screens::subject::Subject::Letter(_)) => Ok(()),
        _ => Err("there is no dead letter here".to_owned()),
    }
}

/// Two records are marked.
pub fn two(state: &State) -> Result<(), String> {
    match state.view().list() {
        Some(list) if list.marks.len() == 2 => Ok(()),
        _ => Err("mark the two records that are to be compared".to_owned()),
    }
}

/// Letters can be discarded, parked or released: the broker can be written to, and there is one.
pub fn dispose(state: &State) -> Result<(), String> {
    state.read_only()?;
    plan(state)
}

/// The plan that is shown can be run.
pub fn run(state: &State) -> Result<(), String> {
    state.read_only()?;
    match state.screen() {
        Screen::Plan(form) => form.blocked().map_or(Ok(()), Err),
        _ => Ok(()),
    }
}

/// The change of offsets that is shown can be done.
pub fn offsets(state: &State) -> Result<(), String> {
    state.read_only()?;
    match state.screen() {
        Screen::Offsets(screen) => screen.blocked().map_or(Ok(()), Err),
        _ => Ok(()),
    }
}

/// The run that is seen goes on.
pub fn stoppable(state: &State) -> Result<(), String> {
    let runs = state.job.as_ref().is_some_and(|job| job.ended.is_none());
    let shown = matches!(state.screen(), Screen::Run(run) if run.is_job());
    if runs && shown { Ok(()) } else { Err("this run is over; ctrl-c again quits".to_owned()) }
}

/// The run that is seen goes on, and was not told to stop.
pub fn going(state: &State) -> Result<(), String> {
    let shown = matches!(state.screen(), Screen::Run(run) if run.is_job());
    match &state.job {
        Some(job) if shown && job.ended.is_none() && !job.stopping => Ok(()),
        Some(job) if shown && job.ended.is_none() => Err("the run stops".to_owned()),
        _ => Err("this run is over".to_owned()),
    }
}

/// The run that is seen has sent its canary, and waits.
pub fn canary(state: &State) -> Result<(), String> {
    state.read_only()?;
    going(state)?;
    let canary = state.job.as_ref().and_then(|job| job.latest.as_ref()?.canary.as_ref());
    match canary {
        Some(canary) if canary.asks || canary.state == "waiting" => Ok(()),
        Some(canary) if canary.state == "sending" => Err("the canary is not whole yet".to_owned()),
        Some(_) => Err("the run is past its canary".to_owned()),
        None => Err("the run has no canary".to_owned()),
    }
}

/// A search stopped before its end.
pub fn stopped(state: &State) -> Result<(), String> {
    match state.screen() {
        Screen::Records(records) if records.is_stopped() => Ok(()),
        _ => Err("nothing stopped that could go on".to_owned()),
    }
}

/// There is a plan.
pub fn planned(state: &State) -> Result<(), String> {
    match state.screen() {
        Screen::Plan(form) if form.plan().is_none() => Err("the plan is not ready".to_owned()),
        _ => Ok(()),
    }
}

/// The record that is shown is a letter whose origin is known.
pub fn origin(state: &State) -> Result<(), String> {
    match state.screen() {
        Screen::Inspector(inspector) => inspector.origin().map(drop),
        _ => Ok(()),
    }
}
