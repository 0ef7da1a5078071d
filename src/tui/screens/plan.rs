//! A redrive plan: what will happen on a yes, what speaks against it, and the form that changes it.
//!
//! The screen never writes. *Run* asks for consent in a dialog whose default is Cancel; only the consent that
//! comes back opens the run, with exactly the plan that was shown.

use std::sync::Arc;

use super::View;
use super::asking::{self, Asking};
use super::look::field;
pub use super::plan_fields::Field;
use super::plan_fields::{self as fields, FIELDS};
use crate::ask::{Answer, Request};
use crate::broker::Guarantee;
use crate::filter::Selection;
use crate::letters::document::LettersRequest;
use crate::observe::snapshot::Snapshot;
use crate::redrive::document::{Into, PlanAnswer, PlanRequest, Sample};
use crate::redrive::options::{CanaryThen, Options};
pub use crate::text::shell::quoted;
use crate::text::units::count;
use crate::text::{Fault, Safe, width};
use crate::tui::command::{Id, Scope};
use crate::tui::hits::Hits;
use crate::tui::message::RequestId;
use crate::tui::state::State;
use crate::tui::theme::{Role, Sign};
use crate::tui::widgets::Pen;
use crate::tui::widgets::line::{self, Line, Span, wrap};

/// From so many records on, the count must be typed.
const MANY: u64 = 1000;
/// Records of a canary, where nothing else is said.
const CANARY: u32 = 10;
/// Cells of a field's name.
const NAME: usize = 12;

/// All letters of some topic.
pub fn all_letters() -> LettersRequest {
    LettersRequest { topic: "".into(), selection: Selection::default(), failure: None, state: None }
}

/// A plan for letters of a topic: all of them, those of one failure, or exactly these positions.
pub fn request(topic: &Arc<str>, failure: Option<Arc<str>>, only: Option<Vec<(i32, i64)>>) -> PlanRequest {
    PlanRequest {
        letters: LettersRequest { topic: Arc::clone(topic), failure, ..all_letters() },
        only,
        into: Into::Origin,
        replay: false,
        // A first look at what becomes of few, and then the operator's word.
        options: Options { canary: Some(CANARY), canary_then: CanaryThen::Ask, ..Options::default() },
        compare_all: false,
        check_budget_ms: 30_000,
        save: None,
    }
}

/// The dialog before a write, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// What will be done, a sentence a line.
    pub lines: Vec<String>,
    /// The button's words, for example `Redrive 1,204`.
    pub button: String,
    /// The count that must be typed; `None` where the button is enough.
    pub typed: Option<u64>,
}

/// The screen.
#[derive(Debug)]
pub struct PlanForm {
    request: PlanRequest,
    asking: Asking,
    answer: Option<Arc<PlanAnswer>>,
    field: Field,
    /// Lines of the findings that are scrolled away.
    top: usize,
}

impl PlanForm {
    /// A plan to be made; the cursor is on the button that runs it.
    pub fn new(request: PlanRequest) -> Self {
        Self { request, asking: Asking::new(), answer: None, field: Field::Run, top: 0 }
    }

    /// The plan, where the one shown is that of the form.
    pub fn plan(&self) -> Option<&Arc<PlanAnswer>> {
        let current =
            self.asking.waits_for().is_none() && !self.asking.due() && self.asking.fault().is_none();
        self.answer.as_ref().filter(|_| current)
    }

    /// Why it cannot be run.
    pub fn blocked(&self) -> Option<String> {
        if let Some(fault) = self.asking.fault() {
            return Some(fault.to_string());
        }
        let Some(plan) = self.plan() else { return Some("the plan is not ready".to_owned()) };
        if let Some(refusal) = plan.preflight.refusals.first() {
            return Some(format!("{} refuses: {}", refusal.rule, refusal.why));
        }
        (plan.records == 0).then(|| "no letter is left to redrive".to_owned())
    }

    /// The part under the cursor.
    pub fn field(&self) -> Field {
        self.field
    }

    /// Goes to another part.
    pub fn step(&mut self, by: isize) {
        let at = FIELDS.iter().position(|f| *f == self.field).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(FIELDS.len() as isize) as usize;
        self.field = FIELDS.get(to).copied().unwrap_or(Field::Run);
    }

    /// Takes new timestamps, or those of the letters; the request to take back.
    pub fn toggle_timestamps(&mut self) -> Option<RequestId> {
        self.request.options.keep_timestamps = !self.request.options.keep_timestamps;
        self.asking.instead()
    }

    /// Makes the plan anew.
    pub fn again(&mut self) -> Option<RequestId> {
        self.asking.instead()
    }

    /// The dialog before a run; `careful` asks for the count in any case.
    pub fn consent(&self, profile: &str, careful: bool) -> Option<Consent> {
        let plan = self.plan()?;
        let targets: Vec<_> = plan.targets.iter().map(ToString::to_string).collect();
        let mut lines = vec![
            format!("Redrive {} of {}", letters(plan.records), plan.topic),
            format!("to {} on {profile}", targets.join(", ")),
            guarantee(plan.guarantee).to_owned(),
        ];
        let groups: Vec<_> =
            plan.preflight.groups_that_will_see_them.iter().map(ToString::to_string).collect();
        if groups.is_empty() {
            lines.push("No consumer group with commits on the target is known.".to_owned());
        } else {
            lines.push(format!("Will be seen by at least: {}", groups.join(", ")));
        }
        lines.push("What is written cannot be taken back.".to_owned());
        let typed = (careful || plan.records > MANY).then_some(plan.records);
        Some(Consent { lines, button: format!("Redrive {}", count(plan.records)), typed })
    }

    /// What to ask for a part of the form, and what stands there now.
    pub fn question(&self, field: Field) -> Option<(&'static str, String)> {
        match field {
            Field::Save => Some(("save the plan as", format!("{}.plan", self.plan()?.id))),
            field => fields::question(&self.request, field),
        }
    }

    /// Takes what was typed for a part; the request to take back, or what is wrong.
    pub fn change(&mut self, field: Field, text: &str) -> Result<Option<RequestId>, String> {
        fields::change(&mut self.request, field, text)?;
        Ok(self.asking.instead())
    }

    /// The command line that makes this plan.
    pub fn command(&self) -> String {
        fields::command(&self.request)
    }

    fn form(&self) -> Vec<(Field, Line)> {
        let request = &self.request;
        let value = |text: &str| vec![Span::new(text, Role::Value)];
        let list = |words: &[String], none: &str| {
            if words.is_empty() { vec![Span::dim(none)] } else { value(&words.join(" ")) }
        };
        let into = match (&request.into, &self.answer) {
            (Into::Topic(topic), _) => topic.clone(),
            (Into::Retry, Some(plan)) if !plan.targets.is_empty() => {
                format!("retry topic of each: {}", plan.targets.join(", "))
            }
            (Into::Retry, _) => "retry topic of each".to_owned(),
            (Into::Origin, Some(plan)) if !plan.targets.is_empty() => {
                format!("origin of each: {}", plan.targets.join(", "))
            }
            (Into::Origin, _) => "origin of each".to_owned(),
        };
        let rate = request
            .options
            .rate
            .map_or_else(|| "no limit".to_owned(), |r| format!("{} a second", count(u64::from(r))));
        let kept = if request.options.keep_timestamps { "as in the letters" } else { "new" };
        let mut strip = list(&request.options.strip_headers, "only those of the failure");
        if let Some(plan) = &self.answer {
            let (less, more) = (plan.headers.0.len(), plan.headers.1.len());
            strip.push(Span::dim(format!("   -{less} of the failure, +{more} of the redrive")));
        }
        vec![
            (Field::Into, field("into", NAME, value(&into))),
            (Field::Rate, field("rate", NAME, value(&rate))),
            (Field::Canary, field("canary", NAME, value(&fields::canary_words(&request.options)))),
            (
                Field::Stop,
                field("stop when", NAME, value(&format!("{} % come back", request.options.stop_above))),
            ),
            (Field::Timestamps, field("timestamp", NAME, value(kept))),
            (Field::Strip, field("headers off", NAME, strip)),
            (Field::Force, field("force", NAME, list(&request.options.force, "no rule"))),
        ]
    }

    fn run_words(&self, n: &str) -> String {
        let records = self.answer.as_ref().map_or(0, |plan| plan.records);
        match self.request.options.canary {
            // With no more letters than that there is nothing to wait with.
            Some(size) if u64::from(size) < records => {
                format!("[ Run canary of {}… ]", count(u64::from(size)))
            }
            _ => format!("[ Run{n}… ]"),
        }
    }

    fn buttons(&self, pen: &mut Pen<'_>, y: u16) {
        let n = self.answer.as_ref().map_or_else(String::new, |plan| format!(" {}", count(plan.records)));
        let blocked = self.blocked().is_some();
        let names = [
            (Field::Run, self.run_words(&n)),
            (Field::Save, "save plan".to_owned()),
            (Field::Copy, "copy command".to_owned()),
            (Field::Back, "back".to_owned()),
        ];
        let mut x = 3;
        for (field, name) in names {
            let role = match field {
                Field::Run if blocked => Role::Dim,
                Field::Run => Role::Write,
                _ => Role::Text,
            };
            let end = pen.put(x, y, &name, role);
            if self.field == field {
                pen.shade(x, y, end - x, Role::Select);
            }
            x = end + 3;
        }
    }

    fn told(&self, pen: &mut Pen<'_>, plan: &PlanAnswer) {
        line::draw(pen, 1, 0, &headline(plan, self.plan().is_some()));
        let lines = findings(plan, usize::from(pen.width().saturating_sub(4)));
        let room = usize::from(pen.height().saturating_sub(1));
        let top = self.top.min(lines.len().saturating_sub(room));
        for (y, spans) in (1..).zip(lines.iter().skip(top).take(room)) {
            line::draw(pen, 1, y, spans);
        }
        let hidden = lines.len() - (top + room).min(lines.len());
        if hidden > 0 && room > 0 {
            let last = pen.height() - 1;
            pen.part(0, last, u16::MAX, 1).clear();
            pen.put(1, last, &format!("… {} more lines, ctrl-d", count(hidden as u64 + 1)), Role::Dim);
        }
    }
}

impl View for PlanForm {
    fn scope(&self) -> Scope {
        Scope::Plan
    }

    fn crumb(&self) -> String {
        "redrive plan".to_owned()
    }

    fn status(&self, _: &State) -> String {
        match self.plan() {
            Some(plan) => format!("{} · not started", plan.id),
            None => self.asking.words(),
        }
    }

    fn scroll(&mut self, by: isize, _: usize) {
        match by {
            isize::MIN => self.field = Field::Into,
            isize::MAX => self.field = Field::Back,
            1 | -1 => self.step(by),
            by => self.top = self.top.saturating_add_signed(by).min(1000),
        }
    }

    fn wants(&mut self, _: &Arc<Snapshot>) -> Option<Request> {
        self.asking.due().then(|| Request::Plan(self.request.clone()))
    }

    fn asking(&self) -> Option<&Asking> {
        Some(&self.asking)
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        Some(&mut self.asking)
    }

    fn answered(&mut self, answer: Result<Answer, Fault>) {
        if let Some(Answer::Plan(plan)) = self.asking.answered(answer) {
            self.answer = Some(plan);
        }
    }

    fn is_empty(&self) -> bool {
        self.plan().is_none()
    }

    fn command_line(&self) -> Option<String> {
        Some(self.command())
    }

    fn copy(&self, _: Id, _: &State) -> Option<String> {
        self.plan().map(|plan| plan.id.clone())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>, hits: &mut Hits) {
        let form = self.form();
        let below = u16::try_from(form.len()).unwrap_or(0) + 3;
        let room = pen.height().saturating_sub(below);
        hits.page = usize::from(room).max(2);
        let wide = pen.width();
        let mut top = pen.part(0, 0, wide, room);
        match (self.asking.fault(), &self.answer) {
            (Some(fault), _) => asking::fault(&mut top, fault),
            (None, Some(plan)) => self.told(&mut top, plan),
            (None, None) => {
                top.put(2, 1, &self.asking.words(), Role::Dim);
            }
        }
        for (y, (field, spans)) in (room + 1..).zip(&form) {
            line::draw(pen, 3, y, spans);
            if *field == self.field {
                pen.shade(3, y, wide.saturating_sub(4), Role::Select);
            }
        }
        let last = pen.height().saturating_sub(1);
        self.buttons(pen, last);
        if let Err(why) = state.read_only() {
            pen.right(wide.saturating_sub(1), last, &why, Role::Warn);
        }
    }
}

/// So many letters, in words.
pub fn letters(n: u64) -> String {
    format!("{} {}", count(n), if n == 1 { "letter" } else { "letters" })
}

/// The sentence of a guarantee's word.
pub fn guarantee(word: &str) -> &'static str {
    match word {
        _ if word == Guarantee::ExactlyOnceReadCommitted.as_str() => {
            "exactly once for read_committed readers"
        }
        _ if word == Guarantee::AtLeastOnceChecked.as_str() => "at least once, checked",
        _ => "no guarantee is known",
    }
}

fn headline(plan: &PlanAnswer, current: bool) -> Line {
    let to = match plan.targets.as_slice() {
        [one] => Safe::new(one).to_string(),
        [] => "?".to_owned(),
        many => format!("{} topics", many.len()),
    };
    let origin = if plan.into == Into::Origin { " (origin of each)" } else { "" };
    let safe = if plan.guarantee == "exactly_once" { Role::Ok } else { Role::Warn };
    let mut out = vec![
        Span::new(letters(plan.records), Role::Title),
        Span::text("  →  "),
        Span::new(to, Role::Value),
        Span::dim(origin),
        Span::text("   "),
        Span::new(guarantee(plan.guarantee), safe),
    ];
    if !current {
        out.push(Span::dim("   being made anew …"));
    }
    out
}

/// Adds what was found, in as many lines as it needs.
fn say(out: &mut Vec<Line>, sign: Option<Sign>, text: &str, cells: usize) {
    // What has no sign is to be copied: it is not cut.
    let most = if sign.is_some() { 4 } else { 12 };
    let role = sign.map_or(Role::Text, Sign::role);
    for (i, part) in wrap(Safe::new(text).as_str(), cells, most).into_iter().enumerate() {
        let glyph = sign.filter(|_| i == 0).map_or(" ", Sign::glyph);
        let words = if sign == Some(Sign::Ok) { Role::Text } else { role };
        out.push(vec![Span::new(glyph, role), Span::text(" "), Span::new(part, words)]);
    }
}

/// The lines of a letter that an edit changes: before on the left, after on the right.
fn beside(sample: &Sample, cells: usize) -> Vec<Line> {
    let half = cells.saturating_sub(3) / 2;
    let side = |lines: &[String], at: usize| {
        let text = lines.get(at).map(|line| Safe::new(line).to_string()).unwrap_or_default();
        width::left(&text, half)
    };
    let mut out = vec![vec![Span::dim(format!("  {}/{}", sample.partition, sample.offset))]];
    for at in 0..sample.before.len().max(sample.after.len()) {
        out.push(vec![
            Span::text("  "),
            Span::new(side(&sample.before, at), Role::Fail),
            Span::dim(" │ "),
            Span::new(side(&sample.after, at), Role::Ok),
        ]);
    }
    out
}

/// What was found: what is fine, what refuses, what to think about, and of what the plan consists.
fn findings(plan: &PlanAnswer, cells: usize) -> Vec<Line> {
    let found = &plan.preflight;
    let mut out = Vec::new();
    let mut add = |sign: Option<Sign>, text: &str| say(&mut out, sign, text, cells);
    for refusal in &found.refusals {
        let letters = if refusal.count == 1 { "letter" } else { "letters" };
        add(
            Some(Sign::Fail),
            &format!("{} refuses {} {letters}: {}", refusal.rule, count(refusal.count), refusal.why),
        );
        for line in refusal.hint.iter().flat_map(|hint| hint.lines()) {
            add(None, line);
        }
    }
    if plan.plan.header.options.edit.is_some() {
        let failed = match found.edit_errors {
            0 => "none".to_owned(),
            n => letters(n),
        };
        let anew = match found.rewritten {
            0 => String::new(),
            n => format!(" ({} written anew as a whole)", count(n)),
        };
        let words = format!("the edit changes {}{anew}, fails on {failed}", letters(found.changed_by_edit));
        add(Some(if found.edit_errors + found.rewritten > 0 { Sign::Warn } else { Sign::Ok }), &words);
        out.extend(found.samples.iter().flat_map(|sample| beside(sample, cells)));
    }
    let mut add = |sign: Sign, text: &str| say(&mut out, Some(sign), text, cells);
    let counts = [
        (found.already_handled, "handled before, left out", "none handled before"),
        (found.duplicates, "duplicates, left out", "no duplicates"),
        (found.expired, "expired", "none expired"),
        (found.pointers, "without their record's bytes", "none is a mere pointer"),
        (found.again, "redriven before and failed again", "none failed again"),
        (found.beyond_last_stable, "behind an open transaction", ""),
    ];
    let fine: Vec<_> = counts.iter().filter(|c| c.0 == 0 && !c.2.is_empty()).map(|c| c.2).collect();
    if !fine.is_empty() {
        add(Sign::Ok, &fine.join(" · "));
    }
    let odd: Vec<_> = counts.iter().filter(|c| c.0 > 0).map(|c| format!("{} {}", count(c.0), c.1)).collect();
    if !odd.is_empty() {
        add(Sign::Warn, &odd.join(" · "));
    }
    let groups = &found.groups_that_will_see_them;
    if groups.is_empty() {
        add(Sign::Ok, "no consumer group with commits on the target is known");
    } else {
        let names: Vec<_> = groups.iter().map(|g| Safe::new(g).to_string()).collect();
        let word = if groups.len() == 1 { "group" } else { "groups" };
        add(Sign::Warn, &format!("seen by at least {} {word}: {}", groups.len(), names.join(", ")));
    }
    for warning in &found.warnings {
        add(Sign::Warn, warning);
    }
    if plan.guarantee != "exactly_once" {
        add(Sign::Warn, &plan.guarantee_reason);
    }
    let tallies = [("failure", &found.by_failure), ("to", &found.by_origin)];
    for (name, tallies) in tallies {
        for tally in tallies.iter().take(8) {
            out.push(field(
                name,
                9,
                vec![
                    Span::text(width::right(&count(tally.count), 8)),
                    Span::text("  "),
                    Span::new(&tally.name, Role::Value),
                ],
            ));
        }
    }
    let keys = if found.keys == 1 { "key" } else { "keys" };
    out.push(field(
        "keys",
        9,
        vec![
            Span::text(format!("{:>8}", count(found.keys))),
            Span::dim(format!("  distinct {keys}; the order of each is kept")),
        ],
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copied_command_names_the_same_letters_and_options() {
        let mut form = PlanForm::new(request(&"it's-dlt".into(), None, Some(vec![(2, 118), (0, 7)])));
        form.change(Field::Rate, "200").unwrap();
        form.change(Field::Into, "replay").unwrap();
        form.request.options.edit = Some(".value.name = \"O'Hara\"".to_owned());
        assert!(form.change(Field::Canary, "5 soon").is_err());
        let command = "plan 'it'\\''s-dlt' --only 2:118,0:7 --into topic:replay --rate 200 \
            --canary 10 --canary-then ask --edit '.value.name = \"O'\\''Hara\"'";
        assert_eq!(form.command(), command);
        assert!(form.change(Field::Rate, "0").is_err());
    }
}
