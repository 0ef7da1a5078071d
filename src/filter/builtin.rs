//! The functions that the evaluator of our own knows.
//!
//! Each gives what the interpreter's gives, or nothing: then the interpreter is asked. So errors, and what is rare, are
//! the interpreter's alone.

use bytes::Bytes;
use jaq_core::ValT as _;
use jaq_core::load::parse::Term;
use jaq_core::ops::Math;
use jaq_json::{Num, Val};
use memchr::memmem;
use regex_bites::bytes::{Regex, RegexBuilder};

use super::expr::{Const, constant};
use super::interpreter::{LARGEST, math};
use super::lean;

/// A function of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unary {
    pub(super) name: &'static str,
    pub(super) run: Function,
}

/// What a function does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    /// Makes a value.
    Makes(fn(&Val) -> Option<Val>),
    /// Gives the input, where it is of some kind.
    Keeps(fn(&Val) -> bool),
}

/// A function of the input and an argument.
pub(super) struct Binary {
    pub(super) name: &'static str,
    pub(super) run: Run,
}

pub(super) enum Run {
    Of(fn(&Val, &Val) -> Option<Val>),
    /// Whether a regular expression, which is known before, matches.
    Regex(Box<Regex>),
}

impl Binary {
    pub(super) fn run(&self, input: &Val, argument: &Val) -> Option<Val> {
        match &self.run {
            Run::Of(run) => run(input, argument),
            Run::Regex(regex) => text(input).map(|text| Val::Bool(regex.is_match(text))),
        }
    }
}

/// Functions that the evaluator has no table for.
const FORMS: &[(&str, usize)] = &[
    ("null", 0),
    ("true", 0),
    ("false", 0),
    ("empty", 0),
    ("not", 0),
    ("recurse", 0),
    ("select", 1),
    ("map", 1),
    ("first", 1),
    ("any", 0),
    ("any", 1),
    ("any", 2),
    ("all", 0),
    ("all", 1),
    ("all", 2),
];

/// Whether a call is known.
pub(super) fn knows(name: &str, arguments: &[Term<&str>]) -> bool {
    FORMS.contains(&(name, arguments.len()))
        || match arguments {
            [] => unary(name).is_some(),
            [argument] => binary(name, argument).is_some(),
            [regex, flags] => name == "test" && test(regex, Some(flags)).is_some(),
            _ => false,
        }
}

pub(super) fn unary(name: &str) -> Option<Unary> {
    UNARY.iter().find(|unary| unary.name == name).copied()
}

pub(super) fn binary(name: &str, argument: &Term<&str>) -> Option<Binary> {
    if name == "test" {
        return test(argument, None);
    }
    let (name, run) = BINARY.iter().find(|(known, _)| *known == name)?;
    Some(Binary { name, run: Run::Of(*run) })
}

/// `test`, where the regular expression and its flags are known before. The interpreter is asked about what is no text
/// alone, for which the flags do not matter.
pub(super) fn test(regex: &Term<&str>, flags: Option<&Term<&str>>) -> Option<Binary> {
    let text = |term: &Term<&str>| match constant(term) {
        Some(Const::Text(text)) => String::from_utf8(text.into()).ok(),
        _ => None,
    };
    let mut builder = RegexBuilder::new(&text(regex)?);
    for flag in flags.map_or(Some(String::new()), text)?.chars() {
        match flag {
            // All matches, of which one is enough.
            'g' => &mut builder,
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'p' => builder.multi_line(true).dot_matches_new_line(true),
            'l' => builder.swap_greed(true),
            'x' => builder.ignore_whitespace(true),
            _ => return None,
        };
    }
    Some(Binary { name: "test", run: Run::Regex(Box::new(builder.build().ok()?)) })
}

fn text(value: &Val) -> Option<&[u8]> {
    match value {
        Val::TStr(text) => Some(text),
        _ => None,
    }
}

fn is_text(value: &Val) -> bool {
    matches!(value, Val::TStr(_) | Val::BStr(_))
}

fn is_iterable(value: &Val) -> bool {
    matches!(value, Val::Arr(_) | Val::Obj(_))
}

pub(super) const UNARY: &[Unary] = &[
    makes("length", length),
    makes("tostring", |input| Some(input.clone().into_string())),
    makes("tonumber", number),
    makes("ascii_downcase", |input| Some(Val::utf8_str(text(input)?.to_ascii_lowercase()))),
    makes("ascii_upcase", |input| Some(Val::utf8_str(text(input)?.to_ascii_uppercase()))),
    makes("type", |input| Some(Val::utf8_str(Bytes::from_static(kind(input).as_bytes())))),
    makes("isboolean", |input| Some(Val::Bool(matches!(input, Val::Bool(_))))),
    makes("isnumber", |input| Some(Val::Bool(matches!(input, Val::Num(_))))),
    makes("isstring", |input| Some(Val::Bool(is_text(input)))),
    makes("isarray", |input| Some(Val::Bool(matches!(input, Val::Arr(_))))),
    makes("isobject", |input| Some(Val::Bool(matches!(input, Val::Obj(_))))),
    keeps("values", |input| !matches!(input, Val::Null)),
    keeps("nulls", |input| matches!(input, Val::Null)),
    keeps("booleans", |input| matches!(input, Val::Bool(_))),
    keeps("numbers", |input| matches!(input, Val::Num(_))),
    keeps("strings", is_text),
    keeps("arrays", |input| matches!(input, Val::Arr(_))),
    keeps("objects", |input| matches!(input, Val::Obj(_))),
    keeps("iterables", is_iterable),
    keeps("scalars", |input| !is_iterable(input)),
    makes("keys", keys),
    makes("keys_unsorted", keys_unsorted),
    makes("to_entries", to_entries),
    makes("add", add),
    makes("first", |input| end(input, <[Val]>::first)),
    makes("last", |input| end(input, <[Val]>::last)),
    makes("reverse", |input| changed(input, <[Val]>::reverse)),
    makes("sort", |input| changed(input, <[Val]>::sort)),
    makes("floor", whole),
    makes("round", whole),
    makes("ceil", whole),
];

const fn makes(name: &'static str, make: fn(&Val) -> Option<Val>) -> Unary {
    Unary { name, run: Function::Makes(make) }
}

const fn keeps(name: &'static str, keep: fn(&Val) -> bool) -> Unary {
    Unary { name, run: Function::Keeps(keep) }
}

type Of = fn(&Val, &Val) -> Option<Val>;

pub(super) const BINARY: &[(&str, Of)] = &[
    ("ltrimstr", |input, start| trimmed(input, start, <[u8]>::strip_prefix)),
    ("rtrimstr", |input, end| trimmed(input, end, <[u8]>::strip_suffix)),
    ("startswith", |input, start| Some(Val::Bool(text(input)?.starts_with(text(start)?)))),
    ("endswith", |input, end| Some(Val::Bool(text(input)?.ends_with(text(end)?)))),
    ("contains", |input, part| Some(Val::Bool(contains(input, part)))),
    ("split", |input, between| {
        (text(input).is_some() && text(between).is_some()).then(|| input.clone() / between.clone())?.ok()
    }),
    ("has", |input, name| match (input, name) {
        (Val::Obj(members), Val::TStr(_)) => Some(Val::Bool(members.contains_key(name))),
        _ => None,
    }),
    ("index", index),
    ("join", join),
];

fn length(input: &Val) -> Option<Val> {
    let length = match input {
        Val::Null => 0,
        Val::TStr(text) => std::str::from_utf8(text).ok()?.chars().count(),
        Val::Arr(items) => items.len(),
        Val::Obj(members) => members.len(),
        Val::Bool(_) | Val::Num(_) | Val::BStr(_) => return None,
    };
    Some(Val::from(length))
}

fn number(input: &Val) -> Option<Val> {
    match input {
        Val::Num(_) => Some(input.clone()),
        input => lean::number_alone(text(input)?).map(Val::Num),
    }
}

fn kind(input: &Val) -> &'static str {
    match input {
        Val::Null => "null",
        Val::Bool(_) => "boolean",
        Val::Num(_) => "number",
        Val::TStr(_) | Val::BStr(_) => "string",
        Val::Arr(_) => "array",
        Val::Obj(_) => "object",
    }
}

fn keys(input: &Val) -> Option<Val> {
    let Val::Obj(members) = input else { return None };
    let mut keys: Vec<Val> = members.keys().cloned().collect();
    keys.sort();
    Some(keys.into_iter().collect())
}

fn keys_unsorted(input: &Val) -> Option<Val> {
    let Val::Obj(members) = input else { return None };
    Some(members.keys().cloned().collect())
}

fn to_entries(input: &Val) -> Option<Val> {
    let Val::Obj(members) = input else { return None };
    let [key, value] = [b"key".as_slice(), b"value"].map(|name| Val::utf8_str(Bytes::from_static(name)));
    let entry = |(name, member): (&Val, &Val)| {
        Val::obj([(key.clone(), name.clone()), (value.clone(), member.clone())].into_iter().collect())
    };
    Some(members.iter().map(entry).collect())
}

fn add(input: &Val) -> Option<Val> {
    let sum = |sum: Val, next: &Val| math(Math::Add, sum, next.clone()).ok();
    match input {
        Val::Arr(items) => items.iter().try_fold(Val::Null, sum),
        Val::Obj(members) => members.values().try_fold(Val::Null, sum),
        _ => None,
    }
}

fn end(input: &Val, end: fn(&[Val]) -> Option<&Val>) -> Option<Val> {
    let Val::Arr(items) = input else { return None };
    Some(end(items).cloned().unwrap_or_default())
}

fn changed(input: &Val, change: fn(&mut [Val])) -> Option<Val> {
    let Val::Arr(items) = input else { return None };
    let mut items = items.to_vec();
    change(&mut items);
    Some(items.into_iter().collect())
}

fn whole(input: &Val) -> Option<Val> {
    matches!(input, Val::Num(Num::Int(_))).then(|| input.clone())
}

fn trimmed(input: &Val, fix: &Val, trim: for<'a> fn(&'a [u8], &[u8]) -> Option<&'a [u8]>) -> Option<Val> {
    let Val::TStr(whole) = input else { return None };
    Some(match trim(whole, text(fix)?) {
        Some(rest) => Val::utf8_str(whole.slice_ref(rest)),
        None => input.clone(),
    })
}

/// Values are as deep as documents are.
fn contains(whole: &Val, part: &Val) -> bool {
    match (whole, part) {
        (Val::TStr(whole), Val::TStr(part)) | (Val::BStr(whole), Val::BStr(part)) => {
            memmem::find(whole, part).is_some()
        }
        (Val::Arr(whole), Val::Arr(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        (Val::Obj(whole), Val::Obj(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part)))
        }
        (whole, part) => whole == part,
    }
}

/// Where something is for the first time.
fn index(input: &Val, part: &Val) -> Option<Val> {
    let at = match (input, part) {
        (Val::Arr(_), Val::Arr(_)) => return None,
        (Val::Arr(items), part) => items.iter().position(|item| item == part),
        (Val::TStr(text), Val::TStr(part)) if text.is_ascii() && !part.is_empty() => memmem::find(text, part),
        _ => return None,
    };
    Some(at.map_or(Val::Null, Val::from))
}

fn join(input: &Val, between: &Val) -> Option<Val> {
    let Val::Arr(items) = input else { return None };
    let texts = items.iter().map(text).collect::<Option<Vec<_>>>()?;
    let length = texts.iter().map(|text| text.len()).sum::<usize>();
    let whole = length.saturating_add(text(between)?.len().saturating_mul(texts.len()));
    (whole <= LARGEST).then(|| Val::utf8_str(texts.join(text(between).unwrap_or_default())))
}
