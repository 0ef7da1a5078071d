//! The consent to a change of the cluster, the same for every command that writes.
//!
//! Who agrees: `--yes`, or an answer at a terminal whose default is No. A protected profile wants the number typed as
//! well, and so does a grave change at a terminal: it is short, and proves that it was read. Where nobody can be asked
//! nothing is written.

use super::Session;
use super::exit::Stop;
use crate::config::profile::Profile;
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
}

/// What the operator said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Yes,
    No,
    /// Nobody could be asked.
    Nothing,
}

impl Consent {
    /// Says what will be done, on stderr, and asks.
    pub(super) async fn ask(
        &self,
        session: &Session<'_>,
        profile: &Profile,
        matter: &Matter,
    ) -> Result<Said, Stop> {
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
        let answer = session.output.ask("do it? [y/N]", &session.cancel).await.unwrap_or_default();
        Ok(if matches!(answer.to_lowercase().as_str(), "y" | "yes") { Said::Yes } else { Said::No })
    }
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
