//! Roles become styles: screens name what a text is, never how it looks.
//!
//! Only the terminal's own foreground and background and the sixteen ANSI colours are used, so that light and
//! dark terminals both work; a selection is reversed. Without colour, attributes tell the roles apart. Every
//! state is a glyph and a word. With plain ASCII, [`Theme::finish`] replaces the drawn glyphs in one place.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Text,
    /// What matters less: units, punctuation, explanations.
    Dim,
    /// Headings.
    Title,
    /// Names of fields, keys of the keyboard.
    Key,
    /// Values of fields.
    Value,
    /// A good state.
    Ok,
    /// A state to think about.
    Warn,
    /// A bad state.
    Fail,
    /// What is marked or found.
    Mark,
    /// What the cursor is on.
    Select,
    /// What leads to a write.
    Write,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Text,
        Self::Dim,
        Self::Title,
        Self::Key,
        Self::Value,
        Self::Ok,
        Self::Warn,
        Self::Fail,
        Self::Mark,
        Self::Select,
        Self::Write,
    ];
}

/// A state that is drawn as glyph and word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Fine.
    Ok,
    /// To think about.
    Warn,
    /// Broken.
    Fail,
    /// Not known any more.
    Stale,
}

impl Health {
    /// Its glyph; one cell.
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Ok => "●",
            Self::Warn => "▲",
            Self::Fail => "✖",
            Self::Stale => "◌",
        }
    }

    /// Its word, where the screen has no better one.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Stale => "stale",
        }
    }

    /// Its role.
    pub fn role(self) -> Role {
        match self {
            Self::Ok => Role::Ok,
            Self::Warn => Role::Warn,
            Self::Fail => Role::Fail,
            Self::Stale => Role::Dim,
        }
    }
}

/// Which colours may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Colours {
    /// The sixteen ANSI colours.
    #[default]
    Ansi,
    /// None: bold, dim, underline and reverse only.
    None,
}

/// Which characters may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Charset {
    /// Unicode.
    #[default]
    Unicode,
    /// ASCII only.
    Ascii,
}

/// How everything looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Theme {
    /// Which colours may be sent.
    pub colours: Colours,
    /// Which characters may be sent.
    pub charset: Charset,
}

impl Theme {
    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        match self.colours {
            Colours::Ansi => coloured(role),
            Colours::None => plain(role),
        }
    }

    /// Ends the drawing of a frame: where only ASCII may be sent, every other character is replaced.
    pub fn finish(self, buf: &mut Buffer) {
        if self.charset == Charset::Unicode {
            return;
        }
        for cell in &mut buf.content {
            if !cell.symbol().is_ascii() {
                let ascii = cell.symbol().chars().next().map_or(' ', ascii);
                cell.set_char(ascii);
            }
        }
    }
}

fn coloured(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Text => style,
        Role::Dim => style.add_modifier(Modifier::DIM),
        Role::Title => style.add_modifier(Modifier::BOLD),
        Role::Key => style.fg(Color::Cyan),
        Role::Value => style.fg(Color::Blue),
        Role::Ok => style.fg(Color::Green),
        Role::Warn => style.fg(Color::Yellow).add_modifier(Modifier::BOLD),
        Role::Fail => style.fg(Color::Red).add_modifier(Modifier::BOLD),
        Role::Mark => style.fg(Color::Magenta).add_modifier(Modifier::BOLD),
        Role::Select => style.add_modifier(Modifier::REVERSED),
        Role::Write => style.fg(Color::Red).add_modifier(Modifier::REVERSED | Modifier::BOLD),
    }
}

fn plain(role: Role) -> Style {
    let (b, d, u, r) = (Modifier::BOLD, Modifier::DIM, Modifier::UNDERLINED, Modifier::REVERSED);
    Style::new().add_modifier(match role {
        // A value stands beside its key and needs no mark of its own.
        Role::Text | Role::Value => Modifier::empty(),
        Role::Dim => d,
        Role::Title => b | u,
        Role::Key => b,
        Role::Ok => d | u,
        Role::Warn => u,
        Role::Fail => b | r,
        Role::Mark => d | r,
        Role::Select => r,
        Role::Write => b | u | r,
    })
}

/// What stands for a character in ASCII; `?` for a character of somebody's data.
fn ascii(c: char) -> char {
    match c {
        '●' | '▶' | '✔' => 'o',
        '▲' => '!',
        '✖' | '×' => 'x',
        '◌' | '…' => '~',
        '▁' | '_' => '_',
        '▂' | '·' => '.',
        '▃' | '↓' => ':',
        '▄' | '—' | '─' | '░' | '–' => '-',
        '▅' | '⇄' => '=',
        '▆' | '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => '+',
        '▇' | '◆' => '*',
        '█' | '▋' | '▊' | '▉' => '#',
        '▌' | '▸' | '→' | '›' => '>',
        '▾' => 'v',
        '↑' => '^',
        '←' | '‹' => '<',
        '│' => '|',
        '↵' => 'E',
        '▏' | '▎' | '▍' => ' ',
        '\u{2800}'..='\u{28ff}' => match (c as u32 & 0xff).count_ones() {
            0 => ' ',
            1 | 2 => '.',
            3 | 4 => ':',
            5 | 6 => '+',
            _ => '#',
        },
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn without_colour_every_role_but_the_value_looks_different() {
        let theme = Theme { colours: Colours::None, charset: Charset::Unicode };
        let roles: Vec<_> = Role::ALL.into_iter().filter(|r| *r != Role::Value).collect();
        for (i, a) in roles.iter().enumerate() {
            assert!(theme.style(*a).fg.is_none() && theme.style(*a).bg.is_none());
            for b in &roles[i + 1..] {
                assert_ne!(theme.style(*a), theme.style(*b), "{a:?} looks like {b:?}");
            }
        }
    }

    #[test]
    fn only_the_terminals_own_palette_is_used() {
        for role in Role::ALL {
            let style = Theme::default().style(role);
            assert!(style.bg.is_none());
            assert!(!matches!(
                style.fg,
                Some(Color::Rgb(..) | Color::Indexed(_) | Color::White | Color::Black)
            ));
        }
    }

    #[test]
    fn plain_ascii_leaves_nothing_else_in_the_picture() {
        let theme = Theme { colours: Colours::Ansi, charset: Charset::Ascii };
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 1));
        buf.set_string(0, 0, "● ▲ ✖ ◌ ▁█ 日é", Style::new());
        theme.finish(&mut buf);
        let text: String = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(text.trim_end(), "o ! x ~ _# ? ?");
    }
}
