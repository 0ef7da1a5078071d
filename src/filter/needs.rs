//! Which parts of the document an expression can look at, so that the others need not be made.
//!
//! The terms are followed as long as their input is the document itself. Whatever is not surely known to look at
//! named parts only counts as looking at all of it.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path;

/// A part of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Timestamp = 1,
    Key = 2,
    Value = 4,
    Headers = 8,
    Event = 16,
    DeadLetter = 32,
    Topic = 64,
    Place = 128,
}

/// A set of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs(u8);

impl Needs {
    const ALL: Self = Self(u8::MAX);

    /// What the outputs of `term` can depend on.
    pub(super) fn of(term: &Term<&str>) -> Self {
        let mut needs = Self(0);
        if needs.follow(term) { Self::ALL } else { needs }
    }

    /// Whether `part` can be looked at.
    pub(super) fn has(self, part: Part) -> bool {
        self.0 & part as u8 != 0
    }

    /// A named part of the document is looked at.
    fn field(&mut self, name: &str) {
        self.0 |= match name {
            "timestamp" => Part::Timestamp as u8,
            "key" => Part::Key as u8,
            "value" => Part::Value as u8,
            "headers" => Part::Headers as u8,
            "event" => Part::Event as u8,
            "dead_letter" => Part::DeadLetter as u8,
            "topic" => Part::Topic as u8,
            "partition" | "offset" => Part::Place as u8,
            // Other names are not there.
            _ => 0,
        };
    }

    /// All of the document may be looked at.
    fn all(&mut self) -> bool {
        *self = Self::ALL;
        false
    }

    /// What `term` makes is used as a value: where that is the document, all of it is.
    fn whole(&mut self, term: &Term<&str>) {
        if self.follow(term) {
            self.all();
        }
    }

    /// Follows `term`, whose input is the document; whether its output can be the document.
    fn follow(&mut self, term: &Term<&str>) -> bool {
        match term {
            Term::Id => true,
            Term::Num(_) | Term::Break(_) | Term::Var(_) => false,
            Term::Str(_, parts) => {
                for part in parts {
                    if let StrPart::Term(term) = part {
                        self.whole(term);
                    }
                }
                false
            }
            Term::Arr(inner) => {
                if let Some(inner) = inner {
                    self.whole(inner);
                }
                false
            }
            Term::Obj(members) => {
                for (key, value) in members {
                    match (value, text(key)) {
                        (None, Some(name)) => self.field(name),
                        (value, _) => {
                            self.whole(key);
                            if let Some(value) = value {
                                self.whole(value);
                            }
                        }
                    }
                }
                false
            }
            Term::Neg(inner) => {
                self.whole(inner);
                false
            }
            Term::BinOp(left, op, right) => self.operation(left, op, right),
            Term::TryCatch(inner, _) => self.follow(inner),
            Term::IfThenElse(branches, last) => {
                let mut out = last.is_none();
                for (condition, then) in branches {
                    self.follow(condition);
                    out |= self.follow(then);
                }
                out | last.as_ref().is_some_and(|last| self.follow(last))
            }
            Term::Path(inner, path::Path(parts)) => self.path(inner, parts),
            Term::Call("not" | "empty" | "true" | "false" | "null" | "now", arguments)
                if arguments.is_empty() =>
            {
                false
            }
            Term::Call(name, arguments) => match (*name, arguments.as_slice()) {
                ("select", [condition]) => {
                    self.follow(condition);
                    true
                }
                ("any" | "all", [source, _]) => {
                    self.whole(source);
                    false
                }
                _ => self.all(),
            },
            Term::Recurse | Term::Label(..) | Term::Fold(..) | Term::Def(..) => self.all(),
        }
    }

    fn operation(&mut self, left: &Term<&str>, op: &BinaryOp<&str>, right: &Term<&str>) -> bool {
        match op {
            BinaryOp::Pipe(None) => self.follow(left) && self.follow(right),
            BinaryOp::Pipe(Some(Pattern::Var(_))) => {
                self.whole(left);
                self.follow(right)
            }
            BinaryOp::Comma | BinaryOp::Alt => {
                let left = self.follow(left);
                self.follow(right) | left
            }
            BinaryOp::Or | BinaryOp::And => {
                self.follow(left);
                self.follow(right);
                false
            }
            BinaryOp::Math(_) | BinaryOp::Cmp(_) => {
                self.whole(left);
                self.whole(right);
                false
            }
            // The keys of a pattern are expressions, too.
            BinaryOp::Pipe(Some(Pattern::Arr(_) | Pattern::Obj(_)))
            | BinaryOp::Assign
            | BinaryOp::Update
            | BinaryOp::UpdateMath(_)
            | BinaryOp::UpdateAlt => self.all(),
        }
    }

    fn path(&mut self, inner: &Term<&str>, parts: &[(path::Part<Term<&str>>, path::Opt)]) -> bool {
        let mut parts = parts.iter().map(|(part, _)| part);
        if self.follow(inner) {
            match parts.next() {
                None => return true,
                Some(path::Part::Index(index)) if text(index).is_some() => {
                    self.field(text(index).unwrap_or_default());
                }
                Some(_) => _ = self.all(),
            }
        }
        for part in parts {
            match part {
                path::Part::Index(index) => self.whole(index),
                path::Part::Range(from, to) => from.iter().chain(to).for_each(|bound| self.whole(bound)),
            }
        }
        false
    }
}

/// The text of a plain string.
fn text<'s>(term: &Term<&'s str>) -> Option<&'s str> {
    match term {
        Term::Str(None, parts) => match parts.as_slice() {
            [StrPart::Str(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(code: &str) -> Needs {
        Needs::of(&jaq_core::load::parse(code, |p| p.term()).unwrap())
    }

    fn parts(of: &[Part]) -> Needs {
        Needs(of.iter().fold(0, |all, part| all | *part as u8))
    }

    #[test]
    fn what_names_its_parts_needs_only_these() {
        for (code, of) in [
            (".value.total > 10", &[Part::Value][..]),
            (".key == \"a\" and (.headers.x | test(\"y\"))", &[Part::Key, Part::Headers]),
            (".offset > 5 or .partition == 1", &[Part::Place]),
            ("select(.value.a == 1) | .event.id", &[Part::Value, Part::Event]),
            (".value as $v | .headers[$v.name]", &[Part::Value, Part::Headers]),
            ("any(.value.items[]; .sku == \"x\") | not", &[Part::Value]),
            ("{key, n: .value.n}", &[Part::Key, Part::Value]),
            ("\"\\(.timestamp) \\(.value.id)\"", &[Part::Timestamp, Part::Value]),
            (
                "(.value.a // .dead_letter.message) | ascii_downcase | . == \"x\"",
                &[Part::Value, Part::DeadLetter],
            ),
            ("if .value.a then .key else .headers end", &[Part::Value, Part::Key, Part::Headers]),
            (".value[.event.type]?", &[Part::Value, Part::Event]),
            (". | .value", &[Part::Value]),
            (".[\"event\"].id", &[Part::Event]),
        ] {
            assert_eq!(needs(code), parts(of), "{code}");
        }
    }

    #[test]
    fn what_can_look_anywhere_needs_all() {
        for code in [
            ".",
            "..",
            "tojson",
            "keys",
            ".[]",
            ".[.key]",
            ". as $d | $d.event",
            "def f: .event; f",
            "[.]",
            "{a: .}",
            "to_entries",
            "select(.key) | tojson",
            ".value = 1",
            "map(.)",
            "reduce . as $x (0; 1)",
            "[.value, .]",
            ".value, .",
            "if .key then . else 1 end",
            "\"\\(.)\"",
            ". == 1",
            "first(.event)",
            ".[\"ev\" + \"ent\"]",
            "any(.; .event)",
            "select(.key)",
            "if .key then 1 end",
            "path(.event)",
            "getpath([\"event\"])",
        ] {
            assert_eq!(needs(code), Needs::ALL, "{code}");
        }
    }
}
