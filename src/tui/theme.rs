//! Roles become styles: the 16 ANSI colours and the terminal's own foreground and background, or none at all.
//!
//! Code names a role and never a colour. Whatever is selected is reversed, so that it is seen on light and
//! dark grounds alike; every state is a glyph and a word too.

use ratatui::style::{Color, Modifier, Style};

use crate::text::units::DASH;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Plain text.
    Text,
    /// Less important.
    Dim,
    /// Headings, and what changed lately.
    Title,
    /// A key to press, a member's name.
    Key,
    /// A value.
    Value,
    /// A history.
    Chart,
    /// All well.
    Ok,
    /// Will hurt.
    Warn,
    /// Hurts.
    Fail,
    /// Marked by the operator, or found by a search.
    Mark,
    /// Under the cursor.
    Select,
    /// Leads to a write.
    Write,
    /// One of several things of a kind, told from the others by a colour that means nothing.
    Hue(u8),
}

/// Colours of [`Role::Hue`]: neither that of failures nor that of marks, and readable on light and dark grounds.
const HUES: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Blue, Color::LightMagenta, Color::LightBlue, Color::LightCyan];

impl Role {
    /// The hue of a text: always the same for the same text.
    pub fn hue(text: &[u8]) -> Self {
        Self::Hue((crc32fast::hash(text) % HUES.len() as u32) as u8)
    }
}

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// The 16 ANSI colours.
    #[default]
    Ansi,
    /// Bold, dim, underline and reverse alone.
    None,
}

/// Which characters are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Glyphs {
    /// Unicode.
    #[default]
    Unicode,
    /// ASCII alone.
    Ascii,
}

/// How a state looks: a glyph and a role; the word stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// All well.
    Ok,
    /// Will hurt.
    Warn,
    /// Hurts.
    Fail,
    /// Not current, or not known.
    Stale,
}

impl Sign {
    /// The glyph, one cell.
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Ok => "●",
            Self::Warn => "▲",
            Self::Fail => "✖",
            Self::Stale => "◌",
        }
    }

    /// The role.
    pub fn role(self) -> Role {
        match self {
            Self::Ok => Role::Ok,
            Self::Warn => Role::Warn,
            Self::Fail => Role::Fail,
            Self::Stale => Role::Dim,
        }
    }
}

/// A theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Theme {
    /// Colours.
    pub depth: Depth,
    /// Characters.
    pub glyphs: Glyphs,
}

impl Theme {
    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        let modifier = match role {
            Role::Text | Role::Ok | Role::Value | Role::Chart | Role::Hue(_) => Modifier::empty(),
            Role::Dim => Modifier::DIM,
            Role::Title | Role::Key | Role::Write => Modifier::BOLD,
            Role::Warn => Modifier::UNDERLINED,
            Role::Fail => Modifier::BOLD.union(Modifier::UNDERLINED),
            Role::Mark => Modifier::BOLD.union(Modifier::REVERSED),
            Role::Select => Modifier::REVERSED,
        };
        if self.depth == Depth::None {
            return Style::new().add_modifier(modifier);
        }
        let style = Style::new();
        match role {
            Role::Text => style,
            Role::Dim | Role::Title | Role::Select => style.add_modifier(modifier),
            Role::Key | Role::Chart => style.fg(Color::Cyan),
            Role::Value | Role::Ok => style.fg(Color::Green),
            Role::Warn => style.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            Role::Fail => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            Role::Mark => style.fg(Color::Magenta).add_modifier(Modifier::BOLD),
            Role::Write => style.fg(Color::Red),
            Role::Hue(hue) => style.fg(HUES[usize::from(hue) % HUES.len()]),
        }
    }

    /// The style of a profile's name in its colour, where colours are used and the name is known.
    pub fn profile(&self, colour: Option<&str>) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        match colour.and_then(colour_of) {
            Some(colour) if self.depth == Depth::Ansi => style.fg(colour),
            _ => style,
        }
    }

    /// What is drawn for a character of one cell.
    pub fn character(&self, c: char) -> char {
        if self.glyphs == Glyphs::Unicode || c.is_ascii() { c } else { ascii(c) }
    }
}

/// The colours' names in a configuration, in the order of the ANSI numbers.
fn colour_of(name: &str) -> Option<Color> {
    let number = crate::config::keys::COLOURS.iter().position(|known| *known == name)?;
    Some(Color::Indexed(u8::try_from(number).ok()?))
}

/// The stand-in for a character outside ASCII.
fn ascii(c: char) -> char {
    match c {
        '●' => 'o',
        '▲' => '!',
        '✖' => 'x',
        '◌' => '~',
        '▸' | '→' | '…' => '>',
        '←' => '<',
        '·' | '─' | '▄' => '-',
        '│' | '▌' => '|',
        '┌' | '┐' | '└' | '┘' | '▆' => '+',
        '▁' => '_',
        '▂' | '░' => '.',
        '▃' => ':',
        '▅' => '=',
        '▇' => '*',
        '█' => '#',
        '↑' => '^',
        '↓' | '✔' => 'v',
        _ if DASH.starts_with(c) => '-',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_told_apart_without_colour() {
        let theme = Theme { depth: Depth::None, ..Theme::default() };
        let roles = [Role::Text, Role::Dim, Role::Title, Role::Warn, Role::Fail, Role::Mark, Role::Select];
        for (i, one) in roles.iter().enumerate() {
            assert_eq!(theme.style(*one).fg, None);
            for other in &roles[i + 1..] {
                assert_ne!(theme.style(*one), theme.style(*other), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn every_glyph_of_a_state_has_its_own_stand_in() {
        let theme = Theme { glyphs: Glyphs::Ascii, ..Theme::default() };
        let stand_ins: Vec<char> = [Sign::Ok, Sign::Warn, Sign::Fail, Sign::Stale]
            .iter()
            .flat_map(|sign| sign.glyph().chars())
            .map(|c| theme.character(c))
            .collect();
        assert_eq!(stand_ins, ['o', '!', 'x', '~']);
    }

    #[test]
    fn every_colour_of_the_configuration_is_one_of_the_sixteen() {
        for (number, name) in crate::config::keys::COLOURS.iter().enumerate() {
            assert_eq!(colour_of(name), Some(Color::Indexed(number as u8)));
        }
    }
}
