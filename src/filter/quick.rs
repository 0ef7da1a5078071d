//! Conditions that are answered by a look into the bytes: no document is built.
//!
//! What is understood: paths into `.value`, one header, `.key`, the position; comparisons of these with a literal, and of
//! numbers that are worked out from them;
//! `test`, `contains`, `startswith`, `endswith` with plain text; truth; `and`, `or`, `not`, a `select` around all of
//! it. The answer is jq's answer or none: where an expression, or a record, holds anything else (an error in the
//! interpreter above all), nothing is said and the interpreter is asked. A part that is not understood spoils nothing
//! where the other parts decide, in the order in which jq looks at them.

use std::cell::OnceCell;
use std::cmp::Ordering;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::{Cmp, Math};
use jaq_core::path::{self, Part};
use jaq_json::Num;
use memchr::memmem::Finder;

use super::scan::{Escapes, Found, Paths, Slots, unescaped};
use crate::event::RecordBytes;
use crate::event::decode::is_printable;
use crate::event::json::first;

/// A condition over the bytes of a record.
#[derive(Debug)]
pub(super) struct Quick {
    test: Test,
    paths: Paths,
}

#[derive(Debug)]
enum Test {
    /// Left to the interpreter.
    Unknown,
    And(Box<[Test; 2]>),
    Or(Box<[Test; 2]>),
    Not(Box<Test>),
    /// Neither null nor false.
    Truth(Source),
    Compare(Source, Cmp, Literal),
    /// Numbers that are worked out; anything else there is left to the interpreter.
    Numbers(Amount, Cmp, Amount),
    Search(Source, Search),
}

/// What a test looks at.
#[derive(Clone, Debug)]
enum Source {
    /// A slot of the value's paths.
    Value(usize),
    Key,
    Header(Box<str>),
    Topic,
    Partition,
    Offset,
}

/// A number that is worked out.
#[derive(Debug)]
enum Amount {
    Of(Source),
    Int(isize),
    Float(f64),
    Math(Box<[Amount; 2]>, Math),
}

#[derive(Debug)]
enum Literal {
    Null,
    Bool(bool),
    Int(isize),
    Float(f64),
    Text(Box<[u8]>),
}

#[derive(Debug)]
enum Search {
    Contains(Box<Finder<'static>>),
    Begins(Box<[u8]>),
    Ends(Box<[u8]>),
}

/// Where `.` stands, or what a term gives.
#[derive(Clone)]
enum Place {
    Document,
    Headers,
    Value(Vec<String>),
    Leaf(Source),
}

impl Quick {
    /// What of `term` is understood; `None` where it is nothing.
    pub(super) fn of(term: &Term<&str>) -> Option<Self> {
        let condition = match term {
            Term::Call("select", arguments) => match arguments.as_slice() {
                [condition] => condition,
                _ => term,
            },
            _ => term,
        };
        let mut maker = Maker::default();
        let test = maker.test(condition, &Place::Document);
        (!matches!(test, Test::Unknown)).then_some(Self { test, paths: maker.paths })
    }

    /// Whether the condition holds; `None` where the interpreter must be asked.
    pub(super) fn holds<R: RecordBytes + ?Sized>(&self, record: &R) -> Option<bool> {
        Look { quick: self, record, slots: OnceCell::new() }.holds(&self.test)
    }
}

#[derive(Default)]
struct Maker {
    paths: Paths,
}

impl Maker {
    fn test(&mut self, term: &Term<&str>, at: &Place) -> Test {
        self.understood(term, at).unwrap_or(Test::Unknown)
    }

    fn understood(&mut self, term: &Term<&str>, at: &Place) -> Option<Test> {
        match term {
            Term::BinOp(left, BinaryOp::And, right) => {
                Some(Test::And(Box::new([self.test(left, at), self.test(right, at)])))
            }
            Term::BinOp(left, BinaryOp::Or, right) => {
                Some(Test::Or(Box::new([self.test(left, at), self.test(right, at)])))
            }
            Term::BinOp(left, BinaryOp::Cmp(op), right) => {
                let one = match (literal(left), literal(right)) {
                    (None, Some(literal)) => resolve(left, at).map(|place| (place, *op, literal)),
                    (Some(literal), None) => resolve(right, at).map(|place| (place, flipped(*op), literal)),
                    _ => None,
                };
                Some(match one {
                    Some((place, op, literal)) => Test::Compare(self.source(place)?, op, literal),
                    None => Test::Numbers(self.amount(left, at)?, *op, self.amount(right, at)?),
                })
            }
            Term::BinOp(left, BinaryOp::Pipe(None), right) => match &**right {
                Term::Call("not", arguments) if arguments.is_empty() => {
                    Some(Test::Not(Box::new(self.test(left, at))))
                }
                right => self.understood(right, &resolve(left, at)?),
            },
            Term::Call(name, arguments) => {
                let [argument] = arguments.as_slice() else { return None };
                let text = text(argument)?;
                let search = match *name {
                    "test" if is_plain(&text) => Search::Contains(Box::new(Finder::new(&text).into_owned())),
                    "contains" => Search::Contains(Box::new(Finder::new(&text).into_owned())),
                    "startswith" => Search::Begins(text.into_bytes().into()),
                    "endswith" => Search::Ends(text.into_bytes().into()),
                    _ => return None,
                };
                Some(Test::Search(self.source(at.clone())?, search))
            }
            Term::Id | Term::Path(..) => Some(Test::Truth(self.source(resolve(term, at)?)?)),
            _ => None,
        }
    }

    fn amount(&mut self, term: &Term<&str>, at: &Place) -> Option<Amount> {
        Some(match (term, literal(term)) {
            (_, Some(Literal::Int(number))) => Amount::Int(number),
            (_, Some(Literal::Float(number))) => Amount::Float(number),
            (_, Some(_)) => return None,
            (Term::BinOp(left, BinaryOp::Math(op), right), None) => {
                Amount::Math(Box::new([self.amount(left, at)?, self.amount(right, at)?]), *op)
            }
            (term, None) => Amount::Of(self.source(resolve(term, at)?)?),
        })
    }

    fn source(&mut self, place: Place) -> Option<Source> {
        match place {
            Place::Document | Place::Headers => None,
            Place::Value(path) => self.paths.add(&path).map(Source::Value),
            Place::Leaf(source) => Some(source),
        }
    }
}

/// Where the one output of `term` lies.
fn resolve(term: &Term<&str>, at: &Place) -> Option<Place> {
    match term {
        Term::Id => Some(at.clone()),
        Term::BinOp(left, BinaryOp::Pipe(None), right) => resolve(right, &resolve(left, at)?),
        Term::Path(inner, path::Path(parts)) => {
            // Whether an access may fail does not matter: where it does, nothing is said.
            parts.iter().try_fold(resolve(inner, at)?, |place, (part, _)| match part {
                Part::Index(index) => step(place, text(index)?),
                Part::Range(..) => None,
            })
        }
        _ => None,
    }
}

fn step(place: Place, name: String) -> Option<Place> {
    match place {
        Place::Document => match name.as_str() {
            "value" => Some(Place::Value(Vec::new())),
            "headers" => Some(Place::Headers),
            "key" => Some(Place::Leaf(Source::Key)),
            "topic" => Some(Place::Leaf(Source::Topic)),
            "partition" => Some(Place::Leaf(Source::Partition)),
            "offset" => Some(Place::Leaf(Source::Offset)),
            _ => None,
        },
        Place::Headers => Some(Place::Leaf(Source::Header(name.into()))),
        Place::Value(mut path) => {
            path.push(name);
            Some(Place::Value(path))
        }
        Place::Leaf(_) => None,
    }
}

/// The text of a string without expressions in it.
fn text(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else { return None };
    parts.iter().try_fold(String::new(), |mut text, part| {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(char) => text.push(*char),
            StrPart::Term(_) => return None,
        }
        Some(text)
    })
}

fn literal(term: &Term<&str>) -> Option<Literal> {
    let number = |text: &str, sign: isize| match text.parse::<isize>() {
        Ok(number) => Some(Literal::Int(sign * number)),
        // An integer that fits into no machine word is left to the interpreter, which keeps all its digits.
        Err(_) if text.bytes().all(|b| b.is_ascii_digit()) => None,
        Err(_) => text.parse::<f64>().ok().map(|number| Literal::Float(sign as f64 * number)),
    };
    match term {
        Term::Num(text) => number(text, 1),
        Term::Neg(inner) => match &**inner {
            Term::Num(text) => number(text, -1),
            _ => None,
        },
        Term::Call("null", arguments) if arguments.is_empty() => Some(Literal::Null),
        Term::Call("true", arguments) if arguments.is_empty() => Some(Literal::Bool(true)),
        Term::Call("false", arguments) if arguments.is_empty() => Some(Literal::Bool(false)),
        term => text(term).map(|text| Literal::Text(text.into_bytes().into())),
    }
}

fn flipped(op: Cmp) -> Cmp {
    match op {
        Cmp::Lt => Cmp::Gt,
        Cmp::Le => Cmp::Ge,
        Cmp::Gt => Cmp::Lt,
        Cmp::Ge => Cmp::Le,
        op => op,
    }
}

/// Whether a regular expression means just its own text.
fn is_plain(regex: &str) -> bool {
    !regex.is_empty() && !regex.contains(|c: char| r"\.+*?()|[]{}^$".contains(c))
}

/// One record under test.
struct Look<'q, 'r, R: ?Sized> {
    quick: &'q Quick,
    record: &'r R,
    /// What lies at the paths of the value, once it was looked for.
    slots: OnceCell<Option<Slots<'r>>>,
}

impl<'r, R: RecordBytes + ?Sized> Look<'_, 'r, R> {
    fn holds(&self, test: &Test) -> Option<bool> {
        match test {
            Test::Unknown => None,
            Test::And(both) => Some(self.holds(&both[0])? && self.holds(&both[1])?),
            Test::Or(both) => Some(self.holds(&both[0])? || self.holds(&both[1])?),
            Test::Not(test) => Some(!self.holds(test)?),
            Test::Truth(source) => match self.found(source)? {
                Operand::Found(Found::Wrong) => None,
                Operand::Found(Found::Null | Found::Bool(false)) => Some(false),
                Operand::Found(_) | Operand::Int(_) => Some(true),
            },
            Test::Compare(source, op, literal) => compare(&self.found(source)?, *op, literal),
            Test::Numbers(left, op, right) => Some(compared(&self.amount(left)?, *op, &self.amount(right)?)),
            Test::Search(source, search) => {
                let Operand::Found(Found::Text(text, escapes)) = self.found(source)? else { return None };
                // Regular expressions are about characters.
                std::str::from_utf8(text).ok()?;
                match escapes {
                    Escapes::None => Some(search.finds(text)),
                    Escapes::Some => Some(search.finds(&unescaped(text)?)),
                }
            }
        }
    }

    /// A number, worked out as the interpreter does; nothing is said of what is none, of a division by zero, and of
    /// numbers that no machine word holds.
    fn amount(&self, amount: &Amount) -> Option<Num> {
        let number = match amount {
            Amount::Of(source) => number(&self.found(source)?)?,
            Amount::Int(number) => Num::Int(*number),
            Amount::Float(number) => Num::Float(*number),
            Amount::Math(both, op) => {
                let (left, right) = (self.amount(&both[0])?, self.amount(&both[1])?);
                match op {
                    Math::Add => left + right,
                    Math::Sub => left - right,
                    Math::Mul => left * right,
                    Math::Div | Math::Rem if right == Num::Int(0) => return None,
                    Math::Div => left / right,
                    Math::Rem => left % right,
                }
            }
        };
        (!matches!(number, Num::BigInt(_))).then_some(number)
    }

    fn found(&self, source: &Source) -> Option<Operand<'r>> {
        let (topic, partition, offset) = self.record.place();
        match source {
            Source::Value(slot) => {
                let slots = self.slots.get_or_init(|| self.quick.paths.look(self.record.value()));
                slots.as_ref()?.get(*slot).copied().map(Operand::Found)
            }
            Source::Key => match self.record.key() {
                // Objects and arrays are parsed.
                Some(key) if matches!(first(key), Some(b'{' | b'[')) => None,
                key => plain(key),
            },
            Source::Header(name) => {
                let mut last = None;
                self.record.each_header(&mut |header, value| {
                    if header == name.as_bytes() {
                        last = value;
                    }
                });
                plain(last)
            }
            Source::Topic => plain(Some(topic.as_bytes())),
            Source::Partition => Some(Operand::Int(partition as isize)),
            Source::Offset => Some(Operand::Int(isize::try_from(offset).ok()?)),
        }
    }
}

/// Bytes as the document has them; what is no text is there in base64.
fn plain(bytes: Option<&[u8]>) -> Option<Operand<'_>> {
    let Some(bytes) = bytes else { return Some(Operand::Found(Found::Null)) };
    is_printable(bytes).then_some(Operand::Found(Found::Text(bytes, Escapes::None)))
}

enum Operand<'r> {
    Found(Found<'r>),
    Int(isize),
}

impl Search {
    fn finds(&self, text: &[u8]) -> bool {
        match self {
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::Begins(with) => text.starts_with(with),
            Self::Ends(with) => text.ends_with(with),
        }
    }
}

/// The place of a type in jq's order of all values.
fn rank(found: &Operand<'_>) -> Option<u8> {
    match found {
        Operand::Int(_) | Operand::Found(Found::Number(_)) => Some(2),
        Operand::Found(Found::Null) => Some(0),
        Operand::Found(Found::Bool(_)) => Some(1),
        Operand::Found(Found::Text(..)) => Some(3),
        Operand::Found(Found::Array) => Some(4),
        Operand::Found(Found::Object) => Some(5),
        Operand::Found(Found::Wrong) => None,
    }
}

fn compare(found: &Operand<'_>, op: Cmp, literal: &Literal) -> Option<bool> {
    let types = rank(found)?.cmp(&match literal {
        Literal::Null => 0,
        Literal::Bool(_) => 1,
        Literal::Int(_) | Literal::Float(_) => 2,
        Literal::Text(_) => 3,
    });
    let order = match (found, literal) {
        _ if types != Ordering::Equal => types,
        (Operand::Found(Found::Bool(found)), Literal::Bool(literal)) => found.cmp(literal),
        (Operand::Found(Found::Text(text, Escapes::None)), Literal::Text(literal)) => (**text).cmp(literal),
        (Operand::Found(Found::Text(text, Escapes::Some)), Literal::Text(literal)) => {
            unescaped(text)?.as_slice().cmp(literal)
        }
        (found, Literal::Int(_) | Literal::Float(_)) => {
            let literal = match literal {
                Literal::Float(number) => Num::Float(*number),
                Literal::Int(number) => Num::Int(*number),
                _ => return None,
            };
            return Some(compared(&number(found)?, op, &literal));
        }
        _ => Ordering::Equal,
    };
    Some(holds(op, order))
}

fn number(found: &Operand<'_>) -> Option<Num> {
    match found {
        Operand::Int(number) => Some(Num::Int(*number)),
        Operand::Found(Found::Number(text)) => jaq_json::read::parse_single_num(text),
        Operand::Found(_) => None,
    }
}

fn compared(left: &Num, op: Cmp, right: &Num) -> bool {
    match op {
        // Equality has a rule of its own: a number that only rounds to infinity is equal to nothing.
        Cmp::Eq => left == right,
        Cmp::Ne => left != right,
        op => holds(op, left.cmp(right)),
    }
}

fn holds(op: Cmp, order: Ordering) -> bool {
    match op {
        Cmp::Lt => order.is_lt(),
        Cmp::Le => order.is_le(),
        Cmp::Gt => order.is_gt(),
        Cmp::Ge => order.is_ge(),
        Cmp::Eq => order.is_eq(),
        Cmp::Ne => order.is_ne(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::document::document;
    use super::super::jq::Program;
    use super::super::samples::payload;
    use crate::config::profile::DeadLetters;
    use crate::event::{Headers, Position, Record};

    fn record(key: Option<&str>, value: Option<&str>) -> Record {
        let mut headers = Headers::default();
        headers.push("h", Some("one".into()));
        headers.push("h", Some("x".into()));
        headers.push("odd", Some(Bytes::from_static(b"\xff")));
        headers.push("none", None);
        Record {
            at: Position::new("x", 3, 12),
            time: None,
            key: key.map(|key| Bytes::from(key.to_owned())),
            value: value.map(|value| Bytes::from(value.to_owned())),
            headers,
            lease: None,
        }
    }

    fn asked(program: &Program, record: &Record) -> Result<bool, String> {
        program.is_true(&document(record, &DeadLetters::default(), program))
    }

    #[test]
    fn common_conditions_are_answered_from_the_bytes() {
        let value = r#" {"a" : {"b":"x","n":99.5,"n":12}, "msg":"say \"x\"\n", "list":[{"a":1}], "t":true, "z":null}"#;
        for (code, holds) in [
            (r#".value.a.b == "x""#, true),
            (r#""y" == .value.a.b"#, false),
            (r#".value.a.b == "x" and .value.a.n > 10"#, true),
            (".value.a.n == 12 and .value.a.n <= 12.0 and 11 < .value.a.n", true),
            (".value.a.n == -12 or .value.t", true),
            (".value.missing.deeper == null", true),
            (".value.z | not", true),
            (r#"(.value.msg | test("x")) and (.value.msg | endswith("\n"))"#, true),
            (r#".value.msg == "say \"x\"\n""#, true),
            (r#".value.msg | contains("y \"") | not"#, false),
            (r#".value | .a.b == "x""#, true),
            (r#".value["a"]["b"] | startswith("x")"#, true),
            ("select(.value.list)", true),
            (r#".value.list > .value.a.b or .value.list > "z""#, true),
            (r#".key == "k" and .headers.h == "x" and .headers.none == null"#, true),
            (r#".partition == 3 and .offset >= 12 and .topic == "x""#, true),
            (r#".key == "other" and .event.id == "e""#, false),
            (".value.a.b < 5", false),
            (".value.a.n % 5 == 2", true),
            ("3 * (.value.a.n - 2) / 4 > .offset - 5", true),
            (".value.a.n == .offset", true),
        ] {
            let program = Program::condition(code, "--where").unwrap();
            let record = record(Some("k"), Some(value));
            let expected = if code.contains("list > .value") { None } else { Some(holds) };
            assert_eq!(program.glance(&record), expected, "{code}");
            assert_eq!(asked(&program, &record), Ok(holds), "{code}");
        }
    }

    #[test]
    fn what_is_an_error_in_the_interpreter_is_left_to_it() {
        for (code, value) in [
            (".value.a.b == 1", r#"{"a":5}"#),
            (".value.a.b == 1", r#"{"a":[]}"#),
            (".value.a == 1", "plain text"),
            (r#".value.a | test("x")"#, r#"{"a":5}"#),
            (".value.a % 0 == 1", r#"{"a":5}"#),
            (".value.a - 1 == 1", r#"{"a":"5"}"#),
            (".value.a == 1", r#"{"a":1"#),
            (".value.a == 1", r#"{"a":1} x"#),
        ] {
            let program = Program::condition(code, "--where").unwrap();
            let record = record(None, Some(value));
            assert_eq!(program.glance(&record), None, "{code} on {value}");
            assert!(asked(&program, &record).is_err(), "{code} on {value}");
        }
    }

    fn condition() -> impl Strategy<Value = String> {
        let path = proptest::collection::vec(
            proptest::sample::select(&[".a", ".b", ".c", ".[\"a-b\"]", ".a?", ".\"\""][..]),
            0..4,
        )
        .prop_map(|parts| format!(".value{}", parts.concat().replace(".value.[", ".value[")));
        let place = prop_oneof![
            6 => path,
            2 => proptest::sample::select(
                &[".key", ".headers.h", ".headers.odd", ".headers.none", ".topic", ".partition", ".offset", ".event.id"][..]
            )
            .prop_map(str::to_owned),
        ];
        let literal = proptest::sample::select(
            &[
                "null",
                "true",
                "false",
                "0",
                "-0",
                "12",
                "-12",
                "12.0",
                "0.1",
                "1e1",
                "1e400",
                "9007199254740992",
                "12345678901234567890",
                "\"\"",
                "\"x\"",
                "\"12\"",
                "\"é\"",
                "\"\\n\"",
                "\"xy\"",
            ][..],
        );
        let op = proptest::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
        let search = proptest::sample::select(
            &[
                "test(\"x\")",
                "test(\"x.\")",
                "contains(\"x\")",
                "startswith(\"x\")",
                "endswith(\"x\")",
                "contains(\"\")",
            ][..],
        );
        let amount = prop_oneof![
            3 => place.clone(),
            2 => literal.clone().prop_map(str::to_owned),
        ];
        let sum = (amount.clone(), proptest::sample::select(&["+", "-", "*", "/", "%"][..]), amount.clone());
        let sum = sum.prop_map(|(l, op, r)| format!("({l} {op} {r})"));
        let leaf = prop_oneof![
            2 => (sum, op.clone(), amount).prop_map(|(sum, op, a)| format!("({sum} {op} {a})")),
            5 => (place.clone(), op.clone(), literal.clone()).prop_map(|(p, op, l)| format!("({p} {op} {l})")),
            1 => (place.clone(), op, literal).prop_map(|(p, op, l)| format!("({l} {op} {p})")),
            2 => (place.clone(), search).prop_map(|(p, s)| format!("({p} | {s})")),
            1 => place.clone(),
            1 => (place, Just(". == \"x\"")).prop_map(|(p, t)| format!("({p} | {t})")),
        ];
        leaf.prop_recursive(3, 8, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} and {r})")),
                (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} or {r})")),
                inner.clone().prop_map(|t| format!("({t} | not)")),
                inner.prop_map(|t| format!("select({t})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn the_answer_from_the_bytes_is_the_interpreters(
            records in proptest::collection::vec((payload(), payload()), 24), code in condition()
        ) {
            let program = Program::condition(&code, "--where").unwrap();
            for (key, value) in &records {
                let record = record(key.as_deref(), value.as_deref());
                if let Some(holds) = program.glance(&record) {
                    prop_assert_eq!(asked(&program, &record), Ok(holds), "{:?}", record);
                }
            }
        }
    }
}
