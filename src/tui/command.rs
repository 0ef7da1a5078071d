//! What a command is, and where it is in force; the table of all of them is in [`super::registry`].

use super::state::State;

pub use super::id::Id;
pub use super::registry::REGISTRY;

/// Where a command is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// Every screen that is a list.
    List,
    /// Every screen that is a long text.
    Pager,
    /// The five dashboards.
    Overview,
    /// Topics.
    Topics,
    /// One topic.
    Topic,
    /// Consumer groups.
    Groups,
    /// One group.
    Group,
    /// Dead-letter topics.
    Dlqs,
    /// Failures of one of them.
    Failures,
    /// Its letters.
    Letters,
    /// Records of topics.
    Records,
    /// One record.
    Inspector,
    /// Two records.
    Compare,
    /// A redrive plan.
    Plan,
    /// A run under way or over.
    Run,
    /// All runs.
    Runs,
    /// Moving a group's offsets.
    Offsets,
    /// No cluster yet.
    Welcome,
}

impl Scope {
    /// All of them, as they are listed.
    pub const ALL: &'static [Self] = &[
        Self::Global,
        Self::List,
        Self::Pager,
        Self::Overview,
        Self::Topics,
        Self::Topic,
        Self::Groups,
        Self::Group,
        Self::Dlqs,
        Self::Failures,
        Self::Letters,
        Self::Records,
        Self::Inspector,
        Self::Compare,
        Self::Plan,
        Self::Run,
        Self::Runs,
        Self::Offsets,
        Self::Welcome,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "everywhere",
            Self::List => "lists",
            Self::Pager => "long texts",
            Self::Overview => "overview",
            Self::Topics => "topics",
            Self::Topic => "one topic",
            Self::Groups => "groups",
            Self::Group => "one group",
            Self::Dlqs => "dead letters",
            Self::Failures => "failures",
            Self::Letters => "letters",
            Self::Records => "records",
            Self::Inspector => "one record",
            Self::Compare => "two records",
            Self::Plan => "redrive plan",
            Self::Run => "redrive run",
            Self::Runs => "runs",
            Self::Offsets => "offsets",
            Self::Welcome => "welcome",
        }
    }

    /// What kind of view a screen is.
    pub fn kind(self) -> Option<Self> {
        match self {
            Self::Global | Self::List | Self::Pager | Self::Welcome | Self::Run => None,
            Self::Inspector | Self::Compare => Some(Self::Pager),
            _ => Some(Self::List),
        }
    }

    /// The places in force on a screen, the nearest first.
    pub fn around(self) -> Vec<Self> {
        [Some(self), self.kind(), Some(Self::Global)].into_iter().flatten().collect()
    }

    /// Whether the two can be in force at once.
    pub fn meets(self, other: Self) -> bool {
        Self::ALL.iter().any(|screen| {
            let around = screen.around();
            around.contains(&self) && around.contains(&other)
        })
    }
}

/// What a command can do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Changes the view alone.
    Read,
    /// Writes on this machine: a file, the clipboard.
    Local,
    /// Writes to the broker, after a dialog.
    Write,
}

/// Whether a command can be done now, and why not.
pub type Enabled = fn(&State) -> Result<(), String>;

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// What the program calls it.
    pub id: Id,
    /// What an operator calls it, in the palette and in `[keys]`.
    pub name: &'static str,
    /// Short words for the palette.
    pub aliases: &'static [&'static str],
    /// A word or two for the footer, 12 cells at most.
    pub title: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Where it is in force.
    pub scopes: &'static [Scope],
    /// Its keys, unless the operator has others.
    pub keys: &'static [&'static str],
    /// How soon it comes in the footer; 0 for never.
    pub footer: u8,
    /// What it can do to the world.
    pub risk: Risk,
    /// What does the same on the command line.
    pub cli: Option<&'static str>,
    /// Whether it can be done now.
    pub enabled: Enabled,
}

impl Command {
    /// A command that is everywhere and always possible; the rest is added.
    pub(super) const fn new(id: Id, name: &'static str, title: &'static str, help: &'static str) -> Self {
        Self {
            id,
            name,
            aliases: &[],
            title,
            help,
            scopes: &[Scope::Global],
            keys: &[],
            footer: 0,
            risk: Risk::Read,
            cli: None,
            enabled: |_| Ok(()),
        }
    }

    pub(super) const fn on(mut self, scopes: &'static [Scope]) -> Self {
        self.scopes = scopes;
        self
    }

    pub(super) const fn keys(mut self, keys: &'static [&'static str]) -> Self {
        self.keys = keys;
        self
    }

    pub(super) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn footer(mut self, footer: u8) -> Self {
        self.footer = footer;
        self
    }

    pub(super) const fn risk(mut self, risk: Risk) -> Self {
        self.risk = risk;
        self
    }

    pub(super) const fn cli(mut self, cli: &'static str) -> Self {
        self.cli = Some(cli);
        self
    }

    pub(super) const fn when(mut self, enabled: Enabled) -> Self {
        self.enabled = enabled;
        self
    }

    /// Whether it is in force in one of these places.
    pub fn is_in(&self, scopes: &[Scope]) -> bool {
        self.scopes.iter().any(|scope| scopes.contains(scope))
    }

    /// The command with this id.
    pub fn of(id: Id) -> Option<&'static Self> {
        REGISTRY.iter().find(|command| command.id == id)
    }

    /// The command with this name or alias.
    pub fn named(name: &str) -> Option<&'static Self> {
        REGISTRY.iter().find(|command| command.name == name || command.aliases.contains(&name))
    }
}
