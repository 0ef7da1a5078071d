//! Chords and what they do: parsed, printed, merged with the operator's own, checked for conflicts.
//!
//! A key is looked for on the screen first, then in what kind of view it is, then among those of everywhere; so
//! a screen may give a key its own meaning. Within one of these, and between them where one sequence begins
//! another, two commands on one key are an error that names both.

use std::collections::BTreeMap;
use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::command::{Command, Id, REGISTRY, Scope};
use crate::text::Fault;

/// A key without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of keys")]
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// A key with its modifiers; shift is part of the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chord {
    /// The key.
    pub code: Code,
    /// Control.
    pub ctrl: bool,
    /// Alt.
    pub alt: bool,
}

/// Names of keys that are no character.
const NAMES: &[(&str, Code)] = &[
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("shift-tab", Code::BackTab),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pgup", Code::PageUp),
    ("pgdn", Code::PageDown),
    ("space", Code::Char(' ')),
];

impl Chord {
    /// A key alone.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false }
    }

    /// A key of the terminal; `None` for one that means nothing here, and for releases.
    pub fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let shift = event.modifiers.contains(KeyModifiers::SHIFT);
        let code = match event.code {
            KeyCode::Char(c) if shift && c.is_ascii_lowercase() => Code::Char(c.to_ascii_uppercase()),
            KeyCode::Char(c) => Code::Char(c),
            KeyCode::Enter => Code::Enter,
            KeyCode::Esc => Code::Esc,
            KeyCode::Tab if shift => Code::BackTab,
            KeyCode::Tab => Code::Tab,
            KeyCode::BackTab => Code::BackTab,
            KeyCode::Backspace => Code::Backspace,
            KeyCode::Delete => Code::Delete,
            KeyCode::Up => Code::Up,
            KeyCode::Down => Code::Down,
            KeyCode::Left => Code::Left,
            KeyCode::Right => Code::Right,
            KeyCode::Home => Code::Home,
            KeyCode::End => Code::End,
            KeyCode::PageUp => Code::PageUp,
            KeyCode::PageDown => Code::PageDown,
            KeyCode::F(n) => Code::F(n),
            _ => return None,
        };
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        // A terminal sends ctrl-4 for ctrl-\: they are one byte.
        let code = if ctrl && code == Code::Char('4') { Code::Char('\\') } else { code };
        Some(Self { code, ctrl, alt: event.modifiers.contains(KeyModifiers::ALT) })
    }

    /// Reads a sequence: chords separated by spaces, letters also side by side (`gg`).
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let mut out = Vec::new();
        for word in text.split_whitespace() {
            match Self::parse(word) {
                Some(chord) => out.push(chord),
                // Letters side by side; a modifier or a name mistyped is not taken for letters.
                None if word.chars().all(char::is_alphanumeric) && word.chars().count() <= 3 => {
                    out.extend(word.chars().map(|c| Self::plain(Code::Char(c))));
                }
                None => return Err(format!("`{word}` is no key")),
            }
        }
        if out.is_empty() { Err("an empty key".to_owned()) } else { Ok(out) }
    }

    fn parse(word: &str) -> Option<Self> {
        if let Some(rest) = word.strip_prefix("ctrl-") {
            return Some(Self { ctrl: true, ..Self::parse(rest)? });
        }
        if let Some(rest) = word.strip_prefix("alt-") {
            return Some(Self { alt: true, ..Self::parse(rest)? });
        }
        if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == word) {
            return Some(Self::plain(*code));
        }
        if let Some(n) = word.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=24).contains(n))
        {
            return Some(Self::plain(Code::F(n)));
        }
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(c), None) => Some(Self::plain(Code::Char(c))),
            _ => None,
        }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        match (NAMES.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Code::F(n)) => write!(f, "f{n}"),
            (None, Code::Char(c)) => write!(f, "{c}"),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}

/// A sequence as it is written: letters side by side, everything else apart.
pub fn print(sequence: &[Chord]) -> String {
    let words: Vec<String> = sequence.iter().map(Chord::to_string).collect();
    let letters = sequence.iter().all(|c| matches!(c.code, Code::Char(c) if c != ' ') && !c.ctrl && !c.alt);
    words.join(if letters { "" } else { " " })
}

/// What a sequence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This command.
    Command(Id),
    /// The beginning of longer ones.
    Prefix,
    /// Nothing.
    Nothing,
}

/// All sequences in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    bindings: Vec<(Vec<Chord>, &'static Command)>,
}

impl Keymap {
    /// The defaults, with the operator's own instead where there are some. Errors name the command or commands.
    pub fn new(own: &BTreeMap<String, Vec<String>>) -> Result<Self, Fault> {
        if let Some(wrong) = own.keys().find(|name| !REGISTRY.iter().any(|c| c.name == name.as_str())) {
            let fault = Fault::usage("keys", format!("there is no command {wrong} to bind keys to"));
            let near = crate::config::nearest(wrong, REGISTRY.iter().map(|c| c.name));
            return Err(match near {
                Some(near) => fault.hint(format!("did you mean {near}?")),
                None => fault.hint("`?` in the console lists all commands"),
            });
        }
        let mut bindings: Vec<(Vec<Chord>, &'static Command)> = Vec::new();
        for command in REGISTRY {
            let own = own.get(command.name).map(|keys| keys.iter().map(String::as_str).collect());
            for key in own.unwrap_or_else(|| command.keys.to_vec()) {
                let sequence = Chord::parse_all(key).map_err(|why| {
                    Fault::usage("keys", format!("a key of {} cannot be read", command.name)).why(why)
                })?;
                bindings.push((sequence, command));
            }
        }
        let this = Self { bindings };
        this.check()?;
        Ok(this)
    }

    /// Whether no sequence stands for two commands of one place, nor begins another one that is in force with it.
    fn check(&self) -> Result<(), Fault> {
        for (i, (one, first)) in self.bindings.iter().enumerate() {
            for (other, second) in self.bindings.iter().skip(i + 1) {
                if first.id == second.id || !meet(first, second) {
                    continue;
                }
                let same = one == other && share(first, second);
                let begins = one != other && (one.starts_with(other) || other.starts_with(one));
                if same || begins {
                    return Err(Fault::usage(
                        "keys",
                        format!(
                            "{} ({}) and {} ({}) are on the same key",
                            first.name,
                            print(one),
                            second.name,
                            print(other)
                        ),
                    )
                    .hint("bind one of them to another key under [keys]"));
                }
            }
        }
        Ok(())
    }

    /// What a sequence means in these places, the nearest first.
    pub fn meaning(&self, scopes: &[Scope], sequence: &[Chord]) -> Meaning {
        for scope in scopes {
            let here = self.bindings.iter().filter(|(_, command)| command.scopes.contains(scope));
            if let Some((_, command)) = here.clone().find(|(keys, _)| keys == sequence) {
                return Meaning::Command(command.id);
            }
        }
        let longer = |(keys, command): &(Vec<Chord>, &Command)| {
            keys.len() > sequence.len() && keys.starts_with(sequence) && command.is_in(scopes)
        };
        if self.bindings.iter().any(longer) { Meaning::Prefix } else { Meaning::Nothing }
    }

    /// What may follow a beginning: the rest of the sequence and the command.
    pub fn following<'k>(
        &'k self,
        scopes: &'k [Scope],
        begun: &'k [Chord],
    ) -> impl Iterator<Item = (String, &'static Command)> + 'k {
        self.bindings
            .iter()
            .filter(|(keys, command)| {
                keys.len() > begun.len() && keys.starts_with(begun) && command.is_in(scopes)
            })
            .map(|(keys, command)| (print(keys.get(begun.len()..).unwrap_or_default()), *command))
    }

    /// The sequences of a command, as they are written.
    pub fn keys(&self, id: Id) -> Vec<String> {
        self.bindings.iter().filter(|(_, c)| c.id == id).map(|(keys, _)| print(keys)).collect()
    }

    /// The first sequence of a command, as it is pressed.
    pub fn sequence(&self, id: Id) -> Option<&[Chord]> {
        self.bindings.iter().find(|(_, c)| c.id == id).map(|(keys, _)| keys.as_slice())
    }
}

/// Whether two commands stand in one place.
fn share(one: &Command, other: &Command) -> bool {
    one.scopes.iter().any(|scope| other.scopes.contains(scope))
}

/// Whether two commands can be in force at once.
fn meet(one: &Command, other: &Command) -> bool {
    one.scopes.iter().any(|a| other.scopes.iter().any(|b| a == b || a.meets(*b)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(name: &str, keys: &[&str]) -> BTreeMap<String, Vec<String>> {
        [(name.to_owned(), keys.iter().map(|k| (*k).to_owned()).collect())].into()
    }

    #[test]
    fn the_defaults_have_no_conflict() {
        assert!(Keymap::new(&BTreeMap::new()).is_ok());
    }

    #[test]
    fn every_default_is_printed_as_it_is_written() {
        for command in REGISTRY {
            for key in command.keys {
                assert_eq!(print(&Chord::parse_all(key).unwrap()), *key, "{}", command.name);
            }
        }
    }

    #[test]
    fn an_own_key_replaces_the_defaults_and_an_empty_list_unbinds() {
        let map = Keymap::new(&own("dlq.plan", &["f5", "ctrl-x"])).unwrap();
        assert_eq!(map.keys(Id::Plan), ["f5", "ctrl-x"]);
        let map = Keymap::new(&own("dlq.plan", &[])).unwrap();
        assert!(map.keys(Id::Plan).is_empty());
    }

    #[test]
    fn a_conflict_names_both_commands() {
        let fault = Keymap::new(&own("dlq.plan", &["d"])).unwrap_err();
        assert!(fault.what.contains("dlq.plan") && fault.what.contains("dlq.describe"), "{fault:?}");
        let fault = Keymap::new(&own("view.pause", &["g"])).unwrap_err();
        assert!(fault.what.contains("view.pause"), "a key that begins others: {fault:?}");
    }

    #[test]
    fn an_unknown_command_is_told_with_the_nearest_one() {
        let fault = Keymap::new(&own("dlq.plann", &["R"])).unwrap_err();
        assert_eq!(fault.hint, "did you mean dlq.plan?");
        assert!(Keymap::new(&own("dlq.plan", &["ctrl-"])).unwrap_err().what.contains("dlq.plan"));
    }

    #[test]
    fn a_sequence_is_a_beginning_until_it_is_whole() {
        let map = Keymap::new(&BTreeMap::new()).unwrap();
        let keys = Chord::parse_all("gd").unwrap();
        let scopes = [Scope::Topics, Scope::List, Scope::Global];
        assert_eq!(map.meaning(&scopes, &keys[..1]), Meaning::Prefix);
        assert_eq!(map.meaning(&scopes, &keys), Meaning::Command(Id::GoDlqs));
        assert_eq!(map.meaning(&scopes, &Chord::parse_all("gz").unwrap()), Meaning::Nothing);
    }

    fn chord() -> impl Strategy<Value = Chord> {
        let code = prop_oneof![
            proptest::sample::select(NAMES).prop_map(|(_, code)| code),
            (1_u8..=24).prop_map(Code::F),
            proptest::char::range('!', '~').prop_map(Code::Char),
        ];
        (code, any::<bool>(), any::<bool>()).prop_map(|(code, ctrl, alt)| Chord { code, ctrl, alt })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same_chord(chord in chord()) {
            prop_assert_eq!(Chord::parse_all(&chord.to_string()), Ok(vec![chord]));
        }
    }
}
