//! Which members of the document an expression can look at, so that the others need not be made.
//!
//! The terms are followed with the places of the document that their input can be: `.value.a | .b` looks at
//! `.value.a.b` and at nothing else of `.value`. A place whose value is used has to be there whole; one that is only
//! passed through, or asked whether it is true, has to be there as what it is, with the members that are looked at.
//! Whatever is not surely known to look at named members counts as looking at all of its input.

use bytes::Bytes;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path;

/// What the outputs of an expression are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether they are true.
    Condition,
    /// They themselves.
    Projection,
}

/// A part of the document that can be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Node {
    whole: bool,
    members: Vec<(Bytes, Node)>,
}

/// All of it.
pub(super) static WHOLE: Node = Node { whole: true, members: Vec::new() };

impl Node {
    /// What can be looked at by an expression whose input is this node.
    pub(super) fn of(term: &Term<&str>, purpose: Purpose) -> Self {
        let mut needs = Needs(Self::default());
        let outputs = needs.follow(term, &Place::default());
        for place in &outputs {
            match purpose {
                Purpose::Condition => _ = needs.touch(place),
                Purpose::Projection => needs.whole(place),
            }
        }
        needs.0
    }

    /// Whether all of it can be looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// A member and its name, where it can be looked at.
    pub(super) fn member(&self, name: &[u8]) -> Option<(&Bytes, &Self)> {
        self.members.iter().find(|(member, _)| *member == name).map(|(name, node)| (name, node))
    }

    /// The same of the document's own members.
    pub(super) fn part(&self, name: &'static str) -> Option<&Self> {
        if self.whole { Some(&WHOLE) } else { self.member(name.as_bytes()).map(|(_, node)| node) }
    }
}

/// The way from the document to a place in it.
type Place = Vec<String>;

struct Needs(Node);

impl Needs {
    /// The place has to be there as what it is.
    fn touch(&mut self, place: &Place) -> &mut Node {
        let mut node = &mut self.0;
        for name in place {
            let known = node.members.iter().position(|(member, _)| *member == name.as_bytes());
            let at = known.unwrap_or_else(|| {
                node.members.push((Bytes::from(name.clone()), Node::default()));
                node.members.len() - 1
            });
            node = &mut node.members[at].1;
        }
        node
    }

    /// The place has to be there whole.
    fn whole(&mut self, place: &Place) {
        self.touch(place).whole = true;
    }

    /// All of the input may be looked at; the output is no place.
    fn all(&mut self, at: &Place) -> Vec<Place> {
        self.whole(at);
        Vec::new()
    }

    /// What `term` makes is used as a value.
    fn used(&mut self, term: &Term<&str>, at: &Place) {
        for place in self.follow(term, at) {
            self.whole(&place);
        }
    }

    /// What `term` makes is asked whether it is true.
    fn asked(&mut self, term: &Term<&str>, at: &Place) {
        for place in self.follow(term, at) {
            self.touch(&place);
        }
    }

    /// Follows `term`, whose input is what lies at `at`; gives the places that its outputs can be. Other outputs are
    /// made of what was looked at already.
    fn follow(&mut self, term: &Term<&str>, at: &Place) -> Vec<Place> {
        match term {
            Term::Id => vec![at.clone()],
            Term::Num(_) | Term::Break(_) | Term::Var(_) => Vec::new(),
            Term::Str(_, parts) => {
                for part in parts {
                    if let StrPart::Term(term) = part {
                        self.used(term, at);
                    }
                }
                Vec::new()
            }
            Term::Arr(inner) => {
                if let Some(inner) = inner {
                    self.used(inner, at);
                }
                Vec::new()
            }
            Term::Obj(members) => {
                for (key, value) in members {
                    match (value, text(key)) {
                        (None, Some(name)) => self.whole(&below(at, name)),
                        (value, _) => {
                            self.used(key, at);
                            if let Some(value) = value {
                                self.used(value, at);
                            }
                        }
                    }
                }
                Vec::new()
            }
            Term::Neg(inner) => {
                self.used(inner, at);
                Vec::new()
            }
            Term::BinOp(left, op, right) => self.operation(left, op, right, at),
            // What is caught is a message, or a value that was given to `error` and so looked at.
            Term::TryCatch(inner, _) => self.follow(inner, at),
            Term::IfThenElse(branches, last) => {
                let mut out = Vec::new();
                for (condition, then) in branches {
                    self.asked(condition, at);
                    out.extend(self.follow(then, at));
                }
                out.extend(last.as_ref().map_or_else(|| vec![at.clone()], |last| self.follow(last, at)));
                once(out)
            }
            Term::Path(inner, path::Path(parts)) => self.path(inner, parts, at),
            Term::Call("empty" | "true" | "false" | "null" | "now", arguments) if arguments.is_empty() => {
                Vec::new()
            }
            Term::Call(name, arguments) => match (*name, arguments.as_slice()) {
                ("not", []) => {
                    self.touch(at);
                    Vec::new()
                }
                ("select", [condition]) => {
                    self.asked(condition, at);
                    vec![at.clone()]
                }
                // The condition is about the source's outputs.
                ("any" | "all", [source, _]) => {
                    self.used(source, at);
                    Vec::new()
                }
                _ => self.all(at),
            },
            Term::Recurse | Term::Label(..) | Term::Fold(..) | Term::Def(..) => self.all(at),
        }
    }

    fn operation(
        &mut self,
        left: &Term<&str>,
        op: &BinaryOp<&str>,
        right: &Term<&str>,
        at: &Place,
    ) -> Vec<Place> {
        match op {
            BinaryOp::Pipe(None) => {
                let inputs = self.follow(left, at);
                once(inputs.iter().flat_map(|input| self.follow(right, input)).collect())
            }
            BinaryOp::Pipe(Some(Pattern::Var(_))) => {
                self.used(left, at);
                self.follow(right, at)
            }
            BinaryOp::Comma => once([self.follow(left, at), self.follow(right, at)].concat()),
            BinaryOp::Alt => {
                let left = self.follow(left, at);
                for place in &left {
                    self.touch(place);
                }
                once([left, self.follow(right, at)].concat())
            }
            BinaryOp::Or | BinaryOp::And => {
                self.asked(left, at);
                self.asked(right, at);
                Vec::new()
            }
            BinaryOp::Math(_) | BinaryOp::Cmp(_) => {
                self.used(left, at);
                self.used(right, at);
                Vec::new()
            }
            // The keys of a pattern are expressions, too.
            BinaryOp::Pipe(Some(Pattern::Arr(_) | Pattern::Obj(_)))
            | BinaryOp::Assign
            | BinaryOp::Update
            | BinaryOp::UpdateMath(_)
            | BinaryOp::UpdateAlt => self.all(at),
        }
    }

    fn path(
        &mut self,
        inner: &Term<&str>,
        parts: &[(path::Part<Term<&str>>, path::Opt)],
        at: &Place,
    ) -> Vec<Place> {
        let mut places = self.follow(inner, at);
        for (part, _) in parts {
            match part {
                path::Part::Index(index) if text(index).is_some() => {
                    let name = text(index).unwrap_or_default();
                    places = places.iter().map(|place| below(place, name)).collect();
                }
                part => {
                    for place in std::mem::take(&mut places) {
                        self.whole(&place);
                    }
                    match part {
                        path::Part::Index(index) => self.used(index, at),
                        path::Part::Range(from, to) => {
                            from.iter().chain(to).for_each(|bound| self.used(bound, at));
                        }
                    }
                }
            }
        }
        // An access can fail, and so tell what a place is.
        for place in &places {
            self.touch(place);
        }
        places
    }
}

/// Each place once, so that no expression makes more of them than there are.
fn once(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_unstable();
    places.dedup();
    places
}

fn below(place: &Place, name: &str) -> Place {
    place.iter().cloned().chain([name.to_owned()]).collect()
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

    fn needs(code: &str, purpose: Purpose) -> Node {
        Node::of(&jaq_core::load::parse(code, |p| p.term()).unwrap(), purpose)
    }

    /// The node's whole places, and those that are only passed through or asked, with a `?`.
    fn places(node: &Node) -> Vec<String> {
        fn add(node: &Node, at: &str, out: &mut Vec<String>) {
            if node.whole || node.members.is_empty() {
                out.push(format!("{at}{}", if node.whole { "" } else { "?" }));
            }
            for (name, node) in &node.members {
                add(node, &format!("{at}.{}", name.escape_ascii()), out);
            }
        }
        let mut out = Vec::new();
        add(node, "", &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn what_names_its_members_needs_only_these() {
        for (code, of) in [
            (".value.total > 10", &[".value.total"][..]),
            (".key == \"a\" and (.headers.x | test(\"y\"))", &[".headers.x", ".key"]),
            (".offset > 5 or .partition == 1", &[".offset", ".partition"]),
            ("select(.value.a == 1) | .event.id", &[".event.id?", ".value.a"]),
            (".value as $v | .headers[$v.name]", &[".headers", ".value"]),
            ("any(.value.items[]; .sku == \"x\") | not", &[".value.items"]),
            ("{key, n: .value.n}", &[".key", ".value.n"]),
            ("\"\\(.timestamp) \\(.value.id)\"", &[".timestamp", ".value.id"]),
            (
                "(.value.a // .dead_letter.message) | ascii_downcase | . == \"x\"",
                &[".dead_letter.message", ".value.a"],
            ),
            ("if .value.a then .key else .headers end", &[".headers?", ".key?", ".value.a?"]),
            (".value[.event.type]?", &[".event.type", ".value"]),
            (". | .value", &[".value?"]),
            (".value | .a | .b % 7 == 1", &[".value.a.b"]),
            (".value | (.a | not) and .b.c", &[".value.a?", ".value.b.c?"]),
            (".[\"event\"].id", &[".event.id?"]),
            ("select(.value.a % 2 == 0)", &[".value.a"]),
            (".value | keys", &[".value"]),
            (".value.list[0].a", &[".value.list"]),
            (".value | def f: .a; f", &[".value"]),
            (".value | reduce .a[] as $x (0; . + $x)", &[".value"]),
        ] {
            assert_eq!(places(&needs(code, Purpose::Condition)), of, "{code}");
        }
        assert_eq!(places(&needs("select(.value.a) | .key", Purpose::Projection)), [".key", ".value.a?"]);
    }

    #[test]
    fn what_can_look_anywhere_needs_all() {
        for code in [
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
            "\"\\(.)\"",
            ". == 1",
            "first(.event)",
            ".[\"ev\" + \"ent\"]",
            "any(.; .event)",
            "path(.event)",
            "getpath([\"event\"])",
        ] {
            assert!(needs(code, Purpose::Condition).whole, "{code}");
        }
        for code in [".", ".value, .", "if .key then . else 1 end", "select(.key)", "if .key then 1 end"] {
            assert!(needs(code, Purpose::Projection).whole, "{code}");
            assert!(!needs(code, Purpose::Condition).whole, "{code}");
        }
    }
}
