//! Rewrites an expression so that it can be bounded: every definition takes a step, `+` and `*` check sizes.
//!
//! Names with `!` cannot be written in an expression, so nothing collides with them.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

/// The filter that takes a step and gives its input.
pub(super) const STEP: &str = "step!";
/// `+`, with its operands as arguments.
pub(super) const SUM: &str = "sum!";
/// `*`, with its operands as arguments.
pub(super) const PRODUCT: &str = "product!";
/// The operand of an update.
const OPERAND: &str = "$operand!";

type T<'s> = Term<&'s str>;

/// A definition whose body first takes a step.
pub(super) fn definition(def: Def<&str>) -> Def<&str> {
    let body = pipe(Term::Call(STEP, Vec::new()), None, term(def.body));
    Def { name: def.name, args: def.args, body }
}

fn pipe<'s>(left: T<'s>, pattern: Option<Pattern<&'s str>>, right: T<'s>) -> T<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(pattern), Box::new(right))
}

/// The bounded filter of an operation that can make something large.
fn bounded(op: Math) -> Option<&'static str> {
    match op {
        Math::Add => Some(SUM),
        Math::Mul => Some(PRODUCT),
        Math::Sub | Math::Div | Math::Rem => None,
    }
}

#[expect(clippy::boxed_local, reason = "terms are boxed where they lie in terms")]
fn boxed(inner: Box<T<'_>>) -> Box<T<'_>> {
    Box::new(term(*inner))
}

/// The same of what is run as it stands.
pub(super) fn term(whole: T<'_>) -> T<'_> {
    match whole {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => whole,
        Term::Str(format, parts) => Term::Str(format, parts.into_iter().map(string_part).collect()),
        Term::Arr(inner) => Term::Arr(inner.map(boxed)),
        Term::Obj(members) => {
            Term::Obj(members.into_iter().map(|(key, value)| (term(key), value.map(term))).collect())
        }
        Term::Neg(inner) => Term::Neg(boxed(inner)),
        Term::BinOp(left, op, right) => operation(boxed(left), op, boxed(right)),
        Term::Label(name, inner) => Term::Label(name, boxed(inner)),
        Term::Fold(name, source, names, rest) => {
            Term::Fold(name, boxed(source), pattern(names), rest.into_iter().map(term).collect())
        }
        Term::TryCatch(inner, catch) => Term::TryCatch(boxed(inner), catch.map(boxed)),
        Term::IfThenElse(branches, last) => {
            let branches = branches.into_iter().map(|(condition, then)| (term(condition), term(then)));
            Term::IfThenElse(branches.collect(), last.map(boxed))
        }
        Term::Def(defs, inner) => Term::Def(defs.into_iter().map(definition).collect(), boxed(inner)),
        Term::Call(name, arguments) => Term::Call(name, arguments.into_iter().map(term).collect()),
        Term::Path(inner, Path(parts)) => {
            let parts = parts.into_iter().map(|(part, optional)| (path_part(part), optional));
            Term::Path(boxed(inner), Path(parts.collect()))
        }
    }
}

fn operation<'s>(left: Box<T<'s>>, op: BinaryOp<&'s str>, right: Box<T<'s>>) -> T<'s> {
    match op {
        BinaryOp::Math(op) => match bounded(op) {
            Some(name) => Term::Call(name, vec![*left, *right]),
            None => Term::BinOp(left, BinaryOp::Math(op), right),
        },
        // `l += r` is `r as $x | l |= . + $x`.
        BinaryOp::UpdateMath(op) => match bounded(op) {
            Some(name) => {
                let work = Term::Call(name, vec![Term::Id, Term::Var(OPERAND)]);
                let update = Term::BinOp(left, BinaryOp::Update, Box::new(work));
                pipe(*right, Some(Pattern::Var(OPERAND)), update)
            }
            None => Term::BinOp(left, BinaryOp::UpdateMath(op), right),
        },
        BinaryOp::Pipe(names) => Term::BinOp(left, BinaryOp::Pipe(names.map(pattern)), right),
        op => Term::BinOp(left, op, right),
    }
}

fn string_part<'s>(part: StrPart<&'s str, T<'s>>) -> StrPart<&'s str, T<'s>> {
    match part {
        StrPart::Term(inner) => StrPart::Term(term(inner)),
        part => part,
    }
}

fn path_part(part: Part<T<'_>>) -> Part<T<'_>> {
    match part {
        Part::Index(inner) => Part::Index(term(inner)),
        Part::Range(from, to) => Part::Range(from.map(term), to.map(term)),
    }
}

fn pattern(names: Pattern<&str>) -> Pattern<&str> {
    match names {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(pattern).collect()),
        Pattern::Obj(members) => {
            Pattern::Obj(members.into_iter().map(|(key, names)| (term(key), pattern(names))).collect())
        }
    }
}
