//! The interpreter (jaq), bounded in steps, stack and sizes.
//!
//! The language has no I/O here: no environment, no input, no files, no messages. An interpreter cannot be
//! interrupted from outside, so the bound is inside: every definition (jq loops only by calling one) first takes
//! a step (`super::guard`), and a run that has no steps left ends. The same place watches the stack.

use std::cell::Cell;

use jaq_core::data::HasLut;
use jaq_core::load::parse::{Def, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::{Fun, v};
use jaq_core::ops::Math;
use jaq_core::{Compiler, Ctx, DataT, Exn, Lut, Native, RunPtr, ValR, ValX, Vars};
use jaq_json::Val;

use super::guard::{self, PRODUCT, STEP, SUM};
use crate::event::json;

/// Calls of definitions that one run may make.
const STEPS: u64 = 100_000;
/// Turns of a loop over what is there, which cost as much as one call.
const TURNS: u64 = 100;
/// Bytes of the thread's stack that one run may take.
const STACK: usize = 512 << 10;
/// Bytes (or elements) of the largest value that `+` and `*` may make; a bit of a number counts as 64.
pub(super) const LARGEST: usize = 16 << 20;

/// The name under which an expression is compiled.
const MAIN: &str = "main_expression";

/// Definitions of the libraries that need what is not there: messages, the end of the process.
const LEFT_OUT: &[&str] = &["stderr", "debug", "halt", "halt_error"];
/// Native filters that read the environment, write messages, end the program, or are replaced here.
const NOT_NATIVE: &[&str] = &["env", "debug_empty", "stderr_empty", "halt", "range", "fromjson"];

/// `range` as a definition, so that its loop takes steps. It comes before the libraries, which use it.
const RANGE: &str = "def range($from; $to; $by):
    def up: if . < $to then ., (. + $by | up) else {}[] end;
    def down: if . > $to then ., (. + $by | down) else {}[] end;
    def same: if . != $to then ., (. + $by | same) else {}[] end;
    $from | if $by > 0 then up elif $by < 0 then down else same end;";

/// A compiled filter.
pub(super) struct Filter(jaq_core::Filter<Bounded>);

/// An error of the language.
pub(super) type Error = jaq_core::Error<Val>;

/// Why a run ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error that the expression can catch.
    Error(Box<Error>),
    /// A bound, which it cannot.
    Bound(Bound),
}

/// What a run may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Steps = 1,
    Depth = 2,
    Size = 3,
    /// It is not known: nothing of the kind should come out of the interpreter.
    Other = 4,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<Exn<'_, Val>> for Failure {
    fn from(exn: Exn<'_, Val>) -> Self {
        match exn.get_err() {
            Ok(error) => error.into(),
            Err(exn) => Self::Bound(match exn.get_halt() {
                Ok(code) if code == Bound::Size as i32 => Bound::Size,
                Ok(code) if code == Bound::Depth as i32 => Bound::Depth,
                Ok(code) if code == Bound::Steps as i32 => Bound::Steps,
                _ => Bound::Other,
            }),
        }
    }
}

impl Failure {
    /// As the operator reads it.
    pub(super) fn words(self) -> String {
        match self {
            Self::Error(error) => error.to_string().chars().take(300).collect(),
            Self::Bound(Bound::Steps) => format!("it took more than {STEPS} steps on one record"),
            Self::Bound(Bound::Depth) => "it is nested too deep".to_owned(),
            Self::Bound(Bound::Size) => "it made a value that is too large".to_owned(),
            Self::Bound(Bound::Other) => "it ended without a result".to_owned(),
        }
    }
}

/// What is left to one run, and where its stack began.
pub(super) struct Budget {
    turns: Cell<u64>,
    stack: usize,
}

impl Budget {
    /// All of it; the stack begins here.
    pub(super) fn new() -> Self {
        Self { turns: Cell::new(STEPS * TURNS), stack: stack_pointer() }
    }

    fn spend(&self, turns: u64) -> Result<(), Bound> {
        let left = self.turns.get().checked_sub(turns).ok_or(Bound::Steps)?;
        self.turns.set(left);
        Ok(())
    }

    /// Takes a call's step.
    fn step(&self) -> Result<(), Bound> {
        self.depth()?;
        self.spend(TURNS)
    }

    /// Takes a turn of a loop over what is there.
    pub(super) fn turn(&self) -> Result<(), Failure> {
        self.spend(1).map_err(Failure::Bound)
    }

    /// Watches the stack.
    fn depth(&self) -> Result<(), Bound> {
        if self.stack.abs_diff(stack_pointer()) > STACK { Err(Bound::Depth) } else { Ok(()) }
    }

    /// The same, for what can be nested.
    pub(super) fn nest(&self) -> Result<(), Failure> {
        self.depth().map_err(Failure::Bound)
    }
}

/// About where the thread's stack is.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// What values a filter works on, and what it is given beside them.
struct Bounded;

impl DataT for Bounded {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

/// One run.
#[derive(Clone)]
struct Run<'a> {
    lut: &'a Lut<Bounded>,
    budget: &'a Budget,
}

impl<'a> HasLut<'a, Bounded> for Run<'a> {
    fn lut(&self) -> &'a Lut<Bounded> {
        self.lut
    }
}

impl Run<'_> {
    /// Takes one step; the error cannot be caught by the expression.
    fn step<'e>(&self) -> Result<(), Exn<'e, Val>> {
        self.budget.step().map_err(|bound| Exn::halt(bound as i32))
    }
}

/// A name that is not defined: what it should be, and the name.
pub(super) type Undefined<'s> = Option<(&'static str, &'s str)>;

impl Filter {
    /// Compiles a term in which these variables have values.
    pub(super) fn compile<'s>(
        term: Term<&'s str>,
        variables: &[&'s str],
        arena: &'s Arena,
    ) -> Result<Self, Undefined<'s>> {
        let main = Def { name: MAIN, args: Vec::new(), body: guard::term(term) };
        let range = jaq_core::load::parse(RANGE, |p| p.defs()).unwrap_or_default();
        let library =
            range.into_iter().chain(jaq_core::defs()).chain(jaq_std::defs()).chain(jaq_json::defs());
        let shorter = |def: Def<&'static str>| -> Def<&'s str> { guard::definition(def) };
        let library = library.filter(|def| !LEFT_OUT.contains(&def.name)).map(shorter);
        let modules = Loader::new(library.chain([main]))
            .load(arena, File { code: MAIN, path: () })
            .map_err(|_| None)?;
        let compiler = Compiler::default().with_funs(natives()).with_global_vars(variables.iter().copied());
        compiler.compile(modules).map(Self).map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, errors)| errors).next();
            undefined.map(|(name, kind)| (kind.as_str(), name))
        })
    }

    /// The function of a name, whose arguments are variables.
    pub(super) fn call(name: &'static str, arguments: &[&'static str]) -> Result<Self, Failure> {
        let given = arguments.iter().map(|name| Term::Var(*name)).collect();
        Self::compile(Term::Call(name, given), arguments, &Arena::default())
            .map_err(|_| Failure::Bound(Bound::Other))
    }

    /// Runs it; `take` is given its outputs, one after the other, and ends the run with an error.
    pub(super) fn run<E: From<Failure>>(
        &self,
        budget: &Budget,
        variables: impl Iterator<Item = Val>,
        input: Val,
        mut take: impl FnMut(Val) -> Result<(), E>,
    ) -> Result<(), E> {
        let run = Run { lut: &self.0.lut, budget };
        let context = Ctx::<Bounded>::new(run, Vars::new(variables));
        for output in self.0.id.run((context, input)) {
            take(output.map_err(Failure::from)?)?;
        }
        Ok(())
    }
}

fn natives() -> impl Iterator<Item = Fun<Bounded>> {
    let libraries = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let kept = libraries.filter(|(name, ..)| !NOT_NATIVE.contains(name));
    let step = Native::<Bounded>::new(|(context, value)| {
        Box::new(std::iter::once(context.data().step().map(|()| value)))
    })
    .with_paths(|(context, value)| Box::new(std::iter::once(context.data().step().map(|()| value))))
    .with_update(|(context, value), update| match context.data().step() {
        Ok(()) => update(value),
        Err(e) => Box::new(std::iter::once(Err(e))),
    });
    let own: [(&str, usize, RunPtr<Bounded>); 3] = [
        (SUM, 2, |cv| one(operation(cv, Math::Add))),
        (PRODUCT, 2, |cv| one(operation(cv, Math::Mul))),
        ("fromjson", 0, |(_, value)| one(from_json(&value).map_err(Exn::from))),
    ];
    let own = own.into_iter().map(|(name, arity, run)| (name, v(arity), Native::<Bounded>::new(run)));
    kept.chain([(STEP, v(0), step)]).chain(own)
}

fn one(value: ValX<'_, Val>) -> jaq_core::ValXs<'_, Val> {
    Box::new(std::iter::once(value))
}

fn operation((mut context, _): (Ctx<'_, Bounded>, Val), op: Math) -> ValX<'_, Val> {
    let right = context.pop_var();
    let left = context.pop_var();
    math(op, left, right).map_err(|failure| match failure {
        Failure::Error(error) => Exn::from(*error),
        Failure::Bound(bound) => Exn::halt(bound as i32),
    })
}

/// A binary operation, refused where its result would be too large.
pub(super) fn math(op: Math, left: Val, right: Val) -> Result<Val, Failure> {
    let size = match op {
        Math::Add => size(&left).saturating_add(size(&right)),
        Math::Mul => product_size(&left, &right),
        // These make nothing that is larger than what they are given.
        Math::Sub | Math::Div | Math::Rem => 0,
    };
    if size > LARGEST {
        return Err(Failure::Bound(Bound::Size));
    }
    Ok(op.run(left, right)?)
}

/// The size of a value that can grow: bytes of a string, elements of an array or object.
fn size(value: &Val) -> usize {
    match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(items) => items.len(),
        Val::Obj(members) => members.len(),
        // Multiplying these takes more than linear time.
        Val::Num(jaq_json::Num::BigInt(n)) => {
            usize::try_from(n.bits()).unwrap_or(usize::MAX).saturating_mul(64)
        }
        _ => 0,
    }
}

fn product_size(left: &Val, right: &Val) -> usize {
    match (left, right) {
        (text @ (Val::TStr(_) | Val::BStr(_)), Val::Num(times))
        | (Val::Num(times), text @ (Val::TStr(_) | Val::BStr(_))) => {
            // What does not fit into an integer saturates, and what is negative makes nothing.
            let times = times.as_isize().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0));
            size(text).saturating_mul(times)
        }
        _ => size(left).saturating_add(size(right)),
    }
}

/// `fromjson`, refused where a recursive parser could be driven too deep.
fn from_json(value: &Val) -> ValR<Val> {
    let (Val::TStr(text) | Val::BStr(text)) = value else {
        return Err(Error::typ(value.clone(), "string"));
    };
    parse(text).ok_or_else(|| Error::str("cannot parse as JSON"))
}

/// Parses a JSON document whose nesting and numbers are bounded; `None` where it is none.
pub(super) fn parse(bytes: &[u8]) -> Option<Val> {
    if !json::begins_document(bytes) || !json::is_bounded(bytes) {
        return None;
    }
    jaq_json::read::parse_single(bytes).ok()
}
