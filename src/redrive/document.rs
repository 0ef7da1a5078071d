//! The documents of `plan`, `run` and `runs`, and what they are asked.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::control::Control;
use super::options::Options;
use crate::letters::document::LettersRequest;
use crate::text::Timestamp;

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Into {
    /// Each to the topic where it failed first.
    #[default]
    Origin,
    /// Each to the retry topic of the group that failed.
    Retry,
    /// To this topic.
    Topic(String),
}

/// What `plan` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    /// Which letters.
    pub letters: LettersRequest,
    /// Exactly these positions (partition, offset), instead of all that fit.
    pub only: Option<Vec<(i32, i64)>>,
    /// Where to.
    pub into: Into,
    /// A slice of any topic is sent once more, whatever was done with its records before.
    pub replay: bool,
    /// How it is carried out.
    pub options: Options,
    /// Compare all letters with their origin records, not a sample.
    pub compare_all: bool,
    /// How long newer events of the letters' keys are looked for, in milliseconds.
    pub check_budget_ms: u64,
    /// Where to save the plan.
    pub save: Option<PathBuf>,
}

/// One refusal, with the rule's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Rule.
    pub rule: &'static str,
    /// Why.
    pub why: String,
    /// Letters that it concerns.
    pub count: u64,
    /// What can be done about it, in lines of which some may be commands; `None` where the rule says it all.
    pub hint: Option<String>,
}

/// A count under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Name: a failure's class, or an origin topic.
    pub name: String,
    /// Letters.
    pub count: u64,
}

/// How letters differ from the records that they come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differ {
    /// Letters compared.
    pub checked: u64,
    /// Letters that name their origin.
    pub of: u64,
    /// Whether all of these were compared.
    pub complete: bool,
    /// With another key.
    pub key: u64,
    /// With another value.
    pub value: u64,
    /// With other headers, those of the failure aside.
    pub headers: u64,
}

/// What an edit makes of one letter: key, value and headers as lines, cut to a bounded length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Partition in the dead-letter topic.
    pub partition: i32,
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// Lines that only the letter has.
    pub before: Vec<String>,
    /// Lines that only the record to be sent has.
    pub after: Vec<String>,
}

/// Newer events of the letters' keys on their targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Superseded {
    /// Letters whose key has a newer event.
    pub count: u64,
    /// Events of these keys on the targets, behind the earliest of the letters' own records.
    pub events: u64,
    /// The highest version (place among the events of its aggregate) that one of them names.
    pub newest_version: Option<i64>,
    /// Records of the targets that were looked at.
    pub checked: u64,
    /// Records that may be newer.
    pub of: u64,
    /// Whether all of these were looked at.
    pub complete: bool,
}

/// What the operator is told before a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preflight {
    /// Letters that will be written.
    pub selected: u64,
    /// Skipped: they have a terminal disposition.
    pub already_handled: u64,
    /// Skipped: the same failed record as another letter of the plan.
    pub duplicates: u64,
    /// Letters that were redriven before and failed again.
    pub again: u64,
    /// Gone by retention since they were listed.
    pub expired: u64,
    /// Records beyond the last stable offset.
    pub beyond_last_stable: u64,
    /// Letters without their record's bytes.
    pub pointers: u64,
    /// How letters differ from the records that they come from.
    pub differ_from_origin: Differ,
    /// Newer events of the same keys on the targets.
    pub superseded: Superseded,
    /// Letters that the edit changes.
    pub changed_by_edit: u64,
    /// Of these, JSON documents that are written anew as a whole.
    pub rewritten: u64,
    /// Letters on which the edit fails; they are left out.
    pub edit_errors: u64,
    /// Some of the letters that the edit changes.
    pub samples: Vec<Sample>,
    /// By failure.
    pub by_failure: Vec<Tally>,
    /// By target topic.
    pub by_origin: Vec<Tally>,
    /// Distinct keys.
    pub keys: u64,
    /// Consumer groups with commits on the targets: they will see the events again ("at least").
    pub groups_that_will_see_them: Vec<Arc<str>>,
    /// Rules that refuse.
    pub refusals: Vec<Refusal>,
    /// What to think about.
    pub warnings: Vec<String>,
}

/// The answer of `plan`: the plan, and what a run of it would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlanAnswer {
    /// Plan id.
    pub id: String,
    /// Cluster id.
    pub cluster_id: String,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Where to, for the eye: one topic, or `origin`.
    pub into: Into,
    /// The target topics.
    pub targets: Vec<Arc<str>>,
    /// Records a second; `None` for no limit.
    pub rate: Option<u32>,
    /// Letters selected.
    pub records: u64,
    /// `exactly_once` or `at_least_once_checked`.
    pub guarantee: &'static str,
    /// Why this guarantee.
    pub guarantee_reason: String,
    /// Headers that a run strips, and that it adds (for the eye).
    pub headers: (Vec<String>, Vec<String>),
    /// What was found.
    pub preflight: Preflight,
    /// How long the letters were read, in seconds.
    pub read_seconds: f64,
    /// How long was checked, and the plan made, in seconds.
    pub check_seconds: f64,
    /// The plan itself.
    #[serde(skip)]
    pub plan: Arc<super::plan::Plan>,
}

/// What `run` is asked.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The plan.
    pub plan: Arc<super::plan::Plan>,
    /// Why; goes into the audit.
    pub reason: Option<String>,
    /// Go on although another run of the topic seems to be under way.
    pub take_over: bool,
    /// Whether somebody can be asked after the canary.
    pub may_ask: bool,
    /// Speaks to the run while it goes on.
    pub control: Control,
}

/// What became of a run's first records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CanaryAnswer {
    /// Its records.
    pub size: u64,
    /// `sending`, `waiting`, `passed` (the failing group has committed past all), `nothing_came_back` (no group
    /// tells), `came_back`, `not_proved`.
    pub state: &'static str,
    /// Of them the failing group has committed past so many; `None` where no group tells.
    pub processed: Option<u64>,
    /// Of them so many failed again.
    pub came_back: u64,
    /// Of them so many wait in a retry topic: their group has failed with them, and tries again.
    pub retrying: u64,
    /// The proof in words.
    pub proof: Option<String>,
    /// How much longer is waited.
    #[serde(skip)]
    pub seconds_left: Option<u64>,
    /// Whether the run waits for the operator's word.
    #[serde(skip)]
    pub asks: bool,
}

/// The answer of `run`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunAnswer {
    /// Run id.
    pub run: String,
    /// Plan id.
    pub plan: String,
    /// Dead-letter topic.
    pub topic: Arc<str>,
    /// Who.
    pub operator: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// `exactly_once` or `at_least_once_checked`.
    pub guarantee: &'static str,
    /// Letters of the plan.
    pub planned: u64,
    /// Written and committed.
    pub redriven: u64,
    /// Skipped: handled before.
    pub already_handled: u64,
    /// Skipped as duplicates.
    pub duplicates: u64,
    /// Gone by retention.
    pub expired: u64,
    /// Refused by the broker and parked.
    pub parked: Vec<ParkedLetter>,
    /// Not sent, because an earlier record of their key could not be.
    pub held: u64,
    /// Not done.
    pub remaining: u64,
    /// Of the redriven: the failing group's commit has passed the target; `None` where no group is known.
    pub processed: Option<u64>,
    /// Of the redriven: failed again.
    pub came_back: u64,
    /// Of the redriven: neither processed nor come back yet.
    pub unconfirmed: u64,
    /// Records written in transactions that were aborted.
    pub aborted_records: u64,
    /// Seconds spent waiting for the ledger behind other open transactions.
    pub ledger_wait_seconds: f64,
    /// The limit of records a second.
    pub rate: Option<u32>,
    /// What became of the canary, where there was one.
    pub canary: Option<CanaryAnswer>,
    /// Whether the operator paused it.
    #[serde(skip)]
    pub paused: bool,
    /// What it waits for at the moment.
    #[serde(skip)]
    pub waiting: Option<String>,
    /// `cancelled`, `canary`, `refailures`, `fenced`, `error`; `None` when it ran to its end.
    pub stopped: Option<&'static str>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// Mean rate.
    pub records_per_second: Option<f64>,
    /// Whether nothing was written because nobody agreed.
    pub dry_run: bool,
}

/// A letter that the broker refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParkedLetter {
    /// Partition in the dead-letter topic.
    pub partition: i32,
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// The broker's words.
    pub why: String,
}

/// A run in the list: the run and its state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    /// `redrive`; or `discard`, `park`, `release`, `purge`, actions that send nothing.
    pub kind: &'static str,
    /// Letters whose disposition was set, or records deleted, by an action that is no redrive.
    pub disposed: u64,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// The run.
    #[serde(flatten)]
    pub run: RunAnswer,
    /// `running`, `waiting`, `done`, `stopped`, `abandoned`.
    pub state: &'static str,
}

/// The answer of `runs list`.
#[derive(Clone, Debug, Serialize)]
pub struct RunsAnswer {
    /// Runs, the latest first.
    pub runs: Vec<RunRow>,
}
