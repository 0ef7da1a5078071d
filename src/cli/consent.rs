//! The consent to a change of the cluster, the same for every command that writes.
//!
//! Who agrees: `--yes`, or an answer at a terminal whose default is No. A protected profile wants the number typed as
//! well, and so does a grave change at a terminal: it is short, and proves that it was read. Where nobody can be asked
//! nothing is written.

use super::Session;
use super::exit::Stop;
use crate::config::profile::Profile;
use crate::context::Cx;
use crate::text::Fault;

/// The options.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Consent {
    /// Do it without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// The number that a protected profile wants typed, beside --yes
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u64>,
    /// Why; goes into the audit
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// What is to be agreed to.
pub(super) struct Matter {
    /// What will be done, a sentence a line.
    pub(super) lines: Vec<String>,
    /// The number that is typed.
    pub(super) count: u64,
    /// What it counts, for example `partitions`.
    pub(super) counts: &'static str,
    /// Whether it must be typed at a terminal, whatever the profile.
    pub(super) grave: bool,
    /// What is said where it is not agreed to.
    pub(super) undone: Undone,
}

/// What is said of a change that was not agreed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undone {
    /// That it was not made.
    pub(super) what: &'static str,
    /// The options that agree to it where nobody can be asked.
    pub(super) add: &'static str,
}

/// Of a change that writes.
pub(super) const UNWRITTEN: Undone = Undone { what: "nothing was written", add: "--yes" };

/// What the operator said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    /// Nobody could be asked.
    Nothing,
}

impl Consent {
    /// Refuses where the profile lets nothing be written, unless it is only to be said what would be done; `done` is
    /// what cannot be, for example `written`.
    pub(super) fn allowed(&self, cx: &Cx, done: &str) -> Result<(), Fault> {
        if self.dry_run || cx.broker.writer().is_some() {
            return Ok(());
        }
        Err(Fault::refused("read_only", format!("profile {} is read-only", cx.profile.name))
            .hint(format!("nothing can be {done} with this profile; --dry-run shows what it would do")))
    }

    /// Asks, and tells what an answer other than yes comes to; `show` prints what would be done where nobody can be
    /// asked. Whether it was agreed to.
    pub(super) async fn given(
        &self,
        session: &Session<'_>,
        profile: &Profile,
        matter: &Matter,
        show: impl FnOnce() -> Result<(), Stop>,
    ) -> Result<bool, Stop> {
        let Undone { what, add } = matter.undone;
        match self.ask(session, profile, matter).await? {
            Said::Yes => return Ok(true),
            Said::No => session.output.note(what),
            Said::Nothing => {
                session.output.note(&format!("{what}: nobody can be asked here; add {add} to do it"));
                show()?;
            }
        }
        Ok(false)
    }

    /// Says what will be done, on stderr, and asks.
    async fn ask(&self, session: &Session<'_>, profile: &Profile, matter: &Matter) -> Result<Said, Stop> {
        if self.yes {
            match self.count {
                Some(count) => return Ok(matter.typed(count)?),
                None if !profile.protected => return Ok(Said::Yes),
                None if session.output.can_ask() => {}
                None => {
                    return Err(Fault::refused(
                        "protected",
                        format!("profile {} is protected", profile.name),
                    )
                    .why(format!("the number of {} was not typed", matter.counts))
                    .hint(format!("add --count {}", matter.count))
                    .into());
                }
            }
        }
        if !session.output.can_ask() {
            return Ok(Said::Nothing);
        }
        for line in &matter.lines {
            session.output.note(line);
        }
        let protected = if profile.protected { ", which is PROTECTED" } else { "" };
        session.output.note(&format!("on {}{protected}", profile.name));
        if profile.protected || matter.grave {
            let question = format!("type the number of {} ({}) to do it:", matter.counts, matter.count);
            let answer = session.output.ask(&question, &session.cancel).await.unwrap_or_default();
            return match answer.replace(',', "").parse::<u64>() {
                Ok(count) => Ok(matter.typed(count)?),
                Err(_) => Ok(Said::No),
            };
        }
        let answer = session.output.ask("do it? [y/N]", &session.cancel).await;
        Ok(if is_yes(answer.as_deref()) { Said::Yes } else { Said::No })
    }
}

/// Whether an answer means yes; none, and all else, means no.
pub(super) fn is_yes(answer: Option<&str>) -> bool {
    answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

impl Matter {
    fn typed(&self, given: u64) -> Result<Said, Fault> {
        if given == self.count {
            return Ok(Said::Yes);
        }
        let Self { count, counts, .. } = self;
        Err(Fault::refused("protected", format!("the number typed is not the number of {counts}"))
            .why(format!("{given} was typed, it is {count}"))
            .hint("look at it again; nothing was written"))
    }
}
