//! Expressions as the evaluator of our own takes them: the terms that it knows, and the rest as the interpreter's.

use std::sync::OnceLock;

use bytes::Bytes;
use jaq_core::ValT as _;
use jaq_core::load::Arena;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::ops::{Cmp, Math};
use jaq_core::path::{self, Opt, Path};
use jaq_json::{Num, Val};

use super::builtin::{self, Binary, Unary};
use super::document::PARTS;
use super::interpreter::{Filter, Undefined};

/// A term.
pub(super) enum Expr {
    /// The input.
    Id,
    /// The whole document, where it is the input.
    Document,
    /// A part of the document, where that is the input: its place among them.
    Part(usize),
    Const(Const),
    /// A variable that was bound outside.
    Variable(usize),
    /// `[f]`
    Array(Box<Expr>),
    /// `{k: v, …}`: names and values by turns.
    Object(Box<[Expr]>),
    /// A string of parts.
    Text(Box<[Expr]>),
    Neg(Box<Expr>),
    Pipe(Box<[Expr; 2]>),
    /// `f as $x | g`
    Bind(Box<[Expr; 2]>, usize),
    Comma(Box<[Expr; 2]>),
    /// `f // g`
    Alt(Box<[Expr; 2]>),
    /// `and` and `or`; what the left side has to be so that it decides.
    Logic(Box<[Expr; 2]>, bool),
    Math(Box<[Expr; 2]>, Math),
    Cmp(Box<[Expr; 2]>, Cmp),
    If(Box<[Expr; 3]>),
    /// `try f catch g`; without `g` nothing comes of an error.
    Try(Box<Expr>, Option<Box<Expr>>),
    /// `..`
    Recurse,
    Path(Box<Expr>, Box<[(Step, Opt)]>),
    Empty,
    Not,
    /// Whether any output of the first makes the second true.
    Any(Box<[Expr; 2]>),
    /// Whether each does.
    All(Box<[Expr; 2]>),
    /// The first output.
    First(Box<Expr>),
    /// What makes a value of the input; where it does not know, the interpreter is asked.
    Unary(Unary, OnceLock<Filter>),
    /// The same of the input and an argument.
    Binary(Binary, Box<Expr>, OnceLock<Filter>),
    /// Left to the interpreter.
    Interpreted(Interpreted),
}

/// A step of a path.
pub(super) enum Step {
    /// Into a member, or an item.
    Index(Const),
    /// To each.
    Each,
    /// To a part of an array or string.
    Range(Option<Const>, Option<Const>),
}

/// A value that is known before; values themselves stay in one thread.
#[derive(Clone, Debug)]
pub(super) enum Const {
    Null,
    Bool(bool),
    Int(isize),
    /// A number as it is written.
    Num(Box<str>),
    Text(Bytes),
}

impl Const {
    /// The value.
    pub(super) fn value(&self) -> Val {
        match self {
            Self::Null => Val::Null,
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(value) => Val::Num(Num::Int(*value)),
            Self::Num(text) => Val::from_num(text).unwrap_or_default(),
            Self::Text(text) => Val::utf8_str(text.clone()),
        }
    }
}

/// What the interpreter runs.
pub(super) struct Interpreted {
    pub(super) filter: Filter,
    /// Variables that it sees.
    pub(super) variables: Box<[usize]>,
    /// Whether its input is the document.
    pub(super) document: bool,
}

impl Expr {
    /// All of it left to the interpreter.
    #[cfg(test)]
    pub(super) fn whole(filter: Filter) -> Self {
        Self::Interpreted(Interpreted { filter, variables: Box::default(), document: true })
    }

    /// What a term is, and how many variables it binds.
    pub(super) fn of<'s>(term: Term<&'s str>, arena: &'s Arena) -> Result<(Self, usize), Undefined<'s>> {
        let mut maker = Maker { arena, scope: Vec::new(), bound: 0 };
        let expr = maker.make(term, Input::Document)?;
        Ok((expr, maker.bound))
    }
}

/// What the input of a term is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    Document,
    Other,
}

struct Maker<'s> {
    arena: &'s Arena,
    /// The variables that are seen, and their places.
    scope: Vec<(&'s str, usize)>,
    /// Places of variables.
    bound: usize,
}

type Made<'s> = Result<Expr, Undefined<'s>>;

impl<'s> Maker<'s> {
    fn make(&mut self, term: Term<&'s str>, at: Input) -> Made<'s> {
        if !self.knows(&term) {
            return self.interpreted(term, at).map(Expr::Interpreted);
        }
        Ok(match term {
            Term::Id => identity(at),
            Term::Recurse => match at {
                Input::Document => Expr::Pipe(Box::new([Expr::Document, Expr::Recurse])),
                Input::Other => Expr::Recurse,
            },
            Term::Num(text) => Expr::Const(number(text)),
            Term::Str(_, parts) => {
                let parts = parts.into_iter().map(|part| match part {
                    StrPart::Str(text) => Ok(Expr::Const(Const::Text(Bytes::from(text.to_owned())))),
                    StrPart::Char(char) => Ok(Expr::Const(Const::Text(Bytes::from(char.to_string())))),
                    StrPart::Term(term) => self.make(term, at),
                });
                text(parts.collect::<Result<_, _>>()?)
            }
            Term::Arr(inner) => Expr::Array(match inner {
                Some(inner) => self.boxed(*inner, at)?,
                None => Box::new(Expr::Empty),
            }),
            Term::Obj(members) => {
                let mut both = Vec::with_capacity(members.len() * 2);
                for (key, value) in members {
                    let (key, value) = match (key, value) {
                        (Term::Var(name), None) => {
                            let own = name.get(1..).unwrap_or_default();
                            (Term::Str(None, vec![StrPart::Str(own)]), Term::Var(name))
                        }
                        // `knows` lets pass names alone.
                        (key, None) => {
                            let parts = vec![(path::Part::Index(key.clone()), Opt::Essential)];
                            (key, Term::Path(Box::new(Term::Id), Path(parts)))
                        }
                        (key, Some(value)) => (key, value),
                    };
                    both.push(self.make(key, at)?);
                    both.push(self.make(value, at)?);
                }
                Expr::Object(both.into())
            }
            Term::Neg(inner) => Expr::Neg(self.boxed(*inner, at)?),
            Term::BinOp(left, BinaryOp::Pipe(None), right) => {
                let below = if matches!(*left, Term::Id) { at } else { Input::Other };
                Expr::Pipe(Box::new([self.make(*left, at)?, self.make(*right, below)?]))
            }
            Term::BinOp(left, BinaryOp::Pipe(Some(Pattern::Var(name))), right) => {
                let left = self.make(*left, at)?;
                let place = self.bound;
                self.bound += 1;
                self.scope.push((name, place));
                let right = self.make(*right, at);
                self.scope.pop();
                Expr::Bind(Box::new([left, right?]), place)
            }
            Term::BinOp(left, op, right) => {
                let both = Box::new([self.make(*left, at)?, self.make(*right, at)?]);
                match op {
                    BinaryOp::Comma => Expr::Comma(both),
                    BinaryOp::Alt => Expr::Alt(both),
                    BinaryOp::Or => Expr::Logic(both, true),
                    BinaryOp::And => Expr::Logic(both, false),
                    BinaryOp::Math(op) => Expr::Math(both, op),
                    BinaryOp::Cmp(op) => Expr::Cmp(both, op),
                    _ => return Err(None),
                }
            }
            Term::IfThenElse(branches, last) => {
                let mut expr = match last {
                    Some(last) => self.make(*last, at)?,
                    None => identity(at),
                };
                for (condition, then) in branches.into_iter().rev() {
                    expr = Expr::If(Box::new([self.make(condition, at)?, self.make(then, at)?, expr]));
                }
                expr
            }
            Term::TryCatch(inner, catch) => {
                let catch = catch.map(|catch| self.boxed(*catch, Input::Other)).transpose()?;
                Expr::Try(self.boxed(*inner, at)?, catch)
            }
            Term::Var(name) => match self.place(name) {
                Some(place) => Expr::Variable(place),
                None => return Err(Some(("variable", name))),
            },
            Term::Path(inner, Path(parts)) => {
                let inner = self.make(*inner, at)?;
                path(inner, parts.into_iter().map(|(part, opt)| (step(part), opt)).collect())
            }
            Term::Call(name, arguments) => self.call(name, arguments, at)?,
            _ => return Err(None),
        })
    }

    /// Whether a term is one of those that `make` takes apart.
    fn knows(&self, term: &Term<&'s str>) -> bool {
        match term {
            Term::Id
            | Term::Recurse
            | Term::Num(_)
            | Term::Str(None, _)
            | Term::Arr(_)
            | Term::Neg(_)
            | Term::IfThenElse(..)
            | Term::TryCatch(..) => true,
            Term::Obj(members) => members.iter().all(|(key, value)| {
                value.is_some() || matches!(key, Term::Var(_)) || constant(key).is_some()
            }),
            Term::BinOp(_, op, _) => match op {
                BinaryOp::Pipe(pattern) => matches!(pattern, None | Some(Pattern::Var(_))),
                BinaryOp::Comma
                | BinaryOp::Alt
                | BinaryOp::Or
                | BinaryOp::And
                | BinaryOp::Math(_)
                | BinaryOp::Cmp(_) => true,
                BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => false,
            },
            Term::Var(name) => self.place(name).is_some(),
            Term::Path(_, Path(parts)) => parts.iter().all(|(part, _)| match part {
                path::Part::Index(index) => constant(index).is_some(),
                path::Part::Range(from, to) => from.iter().chain(to).all(|term| constant(term).is_some()),
            }),
            Term::Call(name, arguments) => builtin::knows(name, arguments),
            Term::Str(Some(_), _) | Term::Label(..) | Term::Break(_) | Term::Fold(..) | Term::Def(..) => {
                false
            }
        }
    }

    fn call(&mut self, name: &'s str, arguments: Vec<Term<&'s str>>, at: Input) -> Made<'s> {
        let mut given = arguments.into_iter();
        let each = |at| path(identity(at), Box::new([(Step::Each, Opt::Essential)]));
        Ok(match (name, given.next(), given.next()) {
            ("null", None, _) => Expr::Const(Const::Null),
            ("true", None, _) => Expr::Const(Const::Bool(true)),
            ("false", None, _) => Expr::Const(Const::Bool(false)),
            ("empty", None, _) => Expr::Empty,
            ("recurse", None, _) => self.make(Term::Recurse, at)?,
            ("not", None, _) => input(at, Expr::Not),
            ("select", Some(condition), None) => {
                let inner = self.make(condition, at)?;
                Expr::If(Box::new([inner, identity(at), Expr::Empty]))
            }
            ("map", Some(inner), None) => {
                let inner = self.make(inner, Input::Other)?;
                Expr::Array(Box::new(Expr::Pipe(Box::new([each(at), inner]))))
            }
            ("first", Some(inner), None) => Expr::First(self.boxed(inner, at)?),
            ("any", None, _) => Expr::Any(Box::new([each(at), Expr::Id])),
            ("all", None, _) => Expr::All(Box::new([each(at), Expr::Id])),
            ("any", Some(inner), None) => Expr::Any(Box::new([each(at), self.make(inner, Input::Other)?])),
            ("all", Some(inner), None) => Expr::All(Box::new([each(at), self.make(inner, Input::Other)?])),
            ("any", Some(source), Some(inner)) => {
                Expr::Any(Box::new([self.make(source, at)?, self.make(inner, Input::Other)?]))
            }
            ("all", Some(source), Some(inner)) => {
                Expr::All(Box::new([self.make(source, at)?, self.make(inner, Input::Other)?]))
            }
            ("test", Some(regex), Some(flags)) => match builtin::test(&regex, Some(&flags)) {
                Some(binary) => {
                    input(at, Expr::Binary(binary, self.boxed(regex, Input::Other)?, OnceLock::new()))
                }
                None => return Err(None),
            },
            (name, None, _) => match builtin::unary(name) {
                Some(unary) => input(at, Expr::Unary(unary, OnceLock::new())),
                None => return Err(None),
            },
            (name, Some(argument), None) => match builtin::binary(name, &argument) {
                Some(binary) => {
                    let argument = self.boxed(argument, at)?;
                    input(at, Expr::Binary(binary, argument, OnceLock::new()))
                }
                None => return Err(None),
            },
            _ => return Err(None),
        })
    }

    fn boxed(&mut self, term: Term<&'s str>, at: Input) -> Result<Box<Expr>, Undefined<'s>> {
        self.make(term, at).map(Box::new)
    }

    fn interpreted(&self, term: Term<&'s str>, at: Input) -> Result<Interpreted, Undefined<'s>> {
        let (names, variables): (Vec<_>, Vec<_>) = self.scope.iter().copied().unzip();
        let filter = Filter::compile(term, &names, self.arena)?;
        Ok(Interpreted { filter, variables: variables.into(), document: at == Input::Document })
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.scope.iter().rev().find(|(known, _)| *known == name).map(|(_, place)| *place)
    }
}

fn identity(at: Input) -> Expr {
    match at {
        Input::Document => Expr::Document,
        Input::Other => Expr::Id,
    }
}

/// An expression about its input, which is made where it is the document.
fn input(at: Input, expr: Expr) -> Expr {
    match at {
        Input::Document => Expr::Pipe(Box::new([Expr::Document, expr])),
        Input::Other => expr,
    }
}

fn text(mut parts: Vec<Expr>) -> Expr {
    let plain = |part: &Expr| match part {
        Expr::Const(Const::Text(text)) => Some(text.clone()),
        _ => None,
    };
    if let Some(texts) = parts.iter().map(plain).collect::<Option<Vec<_>>>() {
        return Expr::Const(Const::Text(Bytes::from(texts.concat())));
    }
    // Neighbours are one.
    parts.dedup_by(|next, part| match (&mut *part, &*next) {
        (Expr::Const(Const::Text(text)), Expr::Const(Const::Text(more))) => {
            *text = Bytes::from([&**text, &**more].concat());
            true
        }
        _ => false,
    });
    Expr::Text(parts.into())
}

/// A path; the parts of the document have a way of their own.
fn path(inner: Expr, steps: Box<[(Step, Opt)]>) -> Expr {
    let mut steps = steps.into_vec();
    let part = match (&inner, steps.first()) {
        (Expr::Document, Some((Step::Index(Const::Text(name)), _))) => {
            PARTS.iter().position(|part| part.as_bytes() == &**name)
        }
        _ => None,
    };
    let Some(part) = part else { return Expr::Path(Box::new(inner), steps.into()) };
    steps.remove(0);
    let part = Expr::Part(part);
    if steps.is_empty() { part } else { Expr::Path(Box::new(part), steps.into()) }
}

fn step(part: path::Part<Term<&str>>) -> Step {
    match part {
        path::Part::Index(index) => Step::Index(constant(&index).unwrap_or(Const::Null)),
        path::Part::Range(None, None) => Step::Each,
        path::Part::Range(from, to) => {
            Step::Range(from.as_ref().and_then(constant), to.as_ref().and_then(constant))
        }
    }
}

/// The value of a term that has one.
pub(super) fn constant(term: &Term<&str>) -> Option<Const> {
    match term {
        Term::Num(text) => Some(number(text)),
        Term::Neg(inner) => match &**inner {
            Term::Num(text) => text.parse::<isize>().ok().map(|number| Const::Int(-number)),
            _ => None,
        },
        Term::Call("null", arguments) if arguments.is_empty() => Some(Const::Null),
        Term::Str(None, parts) => parts
            .iter()
            .try_fold(String::new(), |mut text, part| {
                match part {
                    StrPart::Str(part) => text.push_str(part),
                    StrPart::Char(char) => text.push(*char),
                    StrPart::Term(_) => return None,
                }
                Some(text)
            })
            .map(|text| Const::Text(Bytes::from(text))),
        _ => None,
    }
}

fn number(text: &str) -> Const {
    text.parse().map_or_else(|_| Const::Num(text.into()), Const::Int)
}
