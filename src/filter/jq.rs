//! jq expressions: compiled once, run over one document a record, bounded in steps and output.
//!
//! The language has no I/O here: no environment, no input, no files, no messages. An interpreter cannot be
//! interrupted from outside, so the bound is inside: every definition (jq loops only by calling one) first takes
//! a step (`super::guard`), and a run that has no steps left ends. The same place watches the stack.

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;
use jaq_core::data::HasLut;
use jaq_core::load::lex::{Expect as LexExpect, Lexer};
use jaq_core::load::parse::{Def, Parser};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::{Fun, v};
use jaq_core::{Compiler, Ctx, DataT, Error, Exn, Filter, Lut, Native, RunPtr, ValR, ValX, Vars};
use jaq_json::Val;

use super::guard::{self, PRODUCT, STEP, SUM};
use super::needs::{Node, Purpose};
use super::quick::Quick;
use crate::event::{RecordBytes, json};
use crate::text::Fault;

/// Calls of definitions that one run may make.
const STEPS: u32 = 100_000;
/// Bytes of the thread's stack that one run may take.
const STACK: usize = 512 << 10;
/// Bytes (or elements) of the largest value that `+` and `*` may make; a bit of a number counts as 64.
const LARGEST: usize = 16 << 20;
/// Outputs that one run may give.
const OUTPUTS: usize = 10_000;
/// Bytes that the outputs of one run may have.
const OUTPUT_BYTES: usize = 16 << 20;

/// The name under which the expression itself is compiled.
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

/// A compiled expression.
pub struct Program {
    filter: Filter<Bounded>,
    needs: Node,
    quick: Option<Quick>,
}

/// What values a filter works on, and what it is given beside them.
struct Bounded;

impl DataT for Bounded {
    type V<'a> = Val;
    type Data<'a> = &'a Run<'a>;
}

/// One run: the steps that are left, and where its stack began.
struct Run<'a> {
    lut: &'a Lut<Bounded>,
    steps: Cell<u32>,
    stack: usize,
}

impl<'a> HasLut<'a, Bounded> for &'a Run<'a> {
    fn lut(&self) -> &'a Lut<Bounded> {
        self.lut
    }
}

impl Run<'_> {
    /// Takes one step; the error cannot be caught by the expression.
    fn step<'e>(&self) -> Result<(), Exn<'e, Val>> {
        let deep = self.stack.abs_diff(stack_pointer()) > STACK;
        match self.steps.get().checked_sub(1) {
            Some(left) if !deep => {
                self.steps.set(left);
                Ok(())
            }
            _ => Err(Exn::halt(if deep { TOO_DEEP } else { TOO_LONG })),
        }
    }
}

const TOO_LONG: i32 = 1;
const TOO_DEEP: i32 = 2;
const TOO_LARGE: i32 = 3;

/// About where the thread's stack is.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

impl Program {
    /// Compiles `code`, a condition, which is the value of `option`; what is wrong with it is a usage error that shows
    /// where.
    pub fn condition(code: &str, option: &str) -> Result<Self, Fault> {
        Self::compile(code, option, Purpose::Condition)
    }

    /// The same of an expression whose outputs are wanted.
    pub fn projection(code: &str, option: &str) -> Result<Self, Fault> {
        Self::compile(code, option, Purpose::Projection)
    }

    fn compile(code: &str, option: &str, purpose: Purpose) -> Result<Self, Fault> {
        compile(code, purpose).map_err(|(why, at)| {
            Fault::usage("jq", format!("the expression of {option} is not valid: {why}"))
                .why(show(code, at))
                .hint("the input is {topic, partition, offset, timestamp, key, value, headers, event, dead_letter}")
        })
    }

    /// Which members of the document it can look at.
    pub(super) fn needs(&self) -> &Node {
        &self.needs
    }

    /// Whether the condition holds for a record, as far as a look into its bytes tells; `None` where the document must
    /// be made.
    pub(super) fn glance<R: RecordBytes + ?Sized>(&self, record: &R) -> Option<bool> {
        self.quick.as_ref()?.holds(record)
    }

    /// Whether the first output is neither `null` nor `false`; no output counts as false.
    pub fn is_true(&self, document: Val) -> Result<bool, String> {
        self.run(document, |outputs| match outputs.next() {
            None | Some(Ok(Val::Null | Val::Bool(false))) => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(e)) => Err(e),
        })
    }

    /// The only output.
    pub(super) fn one(&self, document: Val) -> Result<Val, String> {
        self.run(document, |outputs| {
            let first = outputs.next().ok_or("it gives nothing")??;
            match outputs.next() {
                None => Ok(first),
                Some(_) => Err("it gives more than one document".to_owned()),
            }
        })
    }

    /// All outputs, each as JSON, or as its own bytes where it is a string.
    pub fn outputs(&self, document: Val) -> Result<Vec<Output>, String> {
        self.run(document, |outputs| {
            let mut all = Vec::new();
            let mut bytes = 0;
            for output in outputs {
                let output = match output? {
                    Val::TStr(text) | Val::BStr(text) => Output::Text(*text),
                    value => Output::Json(value.to_string()),
                };
                bytes += output.bytes().len();
                all.push(output);
                if all.len() > OUTPUTS || bytes > OUTPUT_BYTES {
                    return Err("it gives more output than is allowed for one record".to_owned());
                }
            }
            Ok(all)
        })
    }

    fn run<T>(
        &self,
        document: Val,
        take: impl FnOnce(&mut dyn Iterator<Item = Result<Val, String>>) -> Result<T, String>,
    ) -> Result<T, String> {
        let run = Run { lut: &self.filter.lut, steps: Cell::new(STEPS), stack: stack_pointer() };
        let context = Ctx::<Bounded>::new(&run, Vars::new([]));
        let mut outputs = self.filter.id.run((context, document)).map(|output| output.map_err(words));
        take(&mut outputs)
    }
}

/// One output of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A string, without its quotes.
    Text(Bytes),
    /// Anything else, as JSON on one line.
    Json(String),
}

impl Output {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Json(text) => text.as_bytes(),
        }
    }
}

fn words(exn: Exn<'_, Val>) -> String {
    match exn.get_err() {
        Ok(error) => error.to_string().chars().take(300).collect(),
        Err(exn) => match exn.get_halt() {
            Ok(TOO_LONG) => format!("it took more than {STEPS} steps on one record"),
            Ok(TOO_DEEP) => "it is nested too deep".to_owned(),
            Ok(TOO_LARGE) => "it made a value that is too large".to_owned(),
            _ => "it ended without a result".to_owned(),
        },
    }
}

/// What is wrong, and where in the code.
type Wrong = (String, Range<usize>);

fn compile(code: &str, purpose: Purpose) -> Result<Program, Wrong> {
    let tokens =
        Lexer::new(code).lex().map_err(|errors| first(code, errors, |e: &LexExpect<_>| e.as_str()))?;
    let parsed = Parser::new(&tokens).parse(jaq_core::load::Parser::term);
    let term = parsed.map_err(|errors| {
        let errors = errors.into_iter().map(|(expected, found)| {
            (expected, found.map_or(code.get(code.len()..).unwrap_or_default(), |token| token.as_str()))
        });
        first(code, errors.collect(), |e| e.as_str())
    })?;
    let (needs, quick) = (Node::of(&term, purpose), Quick::of(&term));
    let main = Def { name: MAIN, args: Vec::new(), body: term };
    let range = jaq_core::load::parse(RANGE, |p| p.defs()).unwrap_or_default();
    let library = range.into_iter().chain(jaq_core::defs()).chain(jaq_std::defs()).chain(jaq_json::defs());
    let shorter = |def: Def<&'static str>| -> Def<&str> { guard::definition(def) };
    let library = library.filter(|def| !LEFT_OUT.contains(&def.name)).map(shorter);
    let definitions = library.chain([guard::definition(main)]);
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code: MAIN, path: () })
        .map_err(|_| ("it cannot be compiled".to_owned(), 0..code.len()))?;
    let filter = Compiler::default().with_funs(natives()).compile(modules).map_err(|errors| {
        let undefined = errors.into_iter().flat_map(|(_, errors)| errors).next();
        let Some((name, kind)) = undefined else { return ("it cannot be compiled".to_owned(), 0..0) };
        (format!("there is no {} {name}", kind.as_str()), place(code, name))
    })?;
    Ok(Program { filter, needs, quick })
}

/// The first of several errors.
fn first<E>(code: &str, errors: Vec<(E, &str)>, expected: impl Fn(&E) -> &str) -> Wrong {
    match errors.first() {
        Some((error, found)) => (format!("{} was expected", expected(error)), place(code, found)),
        None => ("it cannot be read".to_owned(), 0..0),
    }
}

/// Where a part of the code lies in it; its end for what is no part of it.
fn place(code: &str, part: &str) -> Range<usize> {
    let begin = part.as_ptr().addr().wrapping_sub(code.as_ptr().addr());
    if begin <= code.len() { begin..(begin + part.len()).min(code.len()) } else { code.len()..code.len() }
}

/// The code around a place, with the place marked.
fn show(code: &str, at: Range<usize>) -> String {
    let (before, after) = (code.get(..at.start).unwrap_or(code), code.get(at.start..).unwrap_or_default());
    if after.is_empty() {
        return format!("{before} ⟵ here, at the end");
    }
    format!("{before} ⟶ {after}   (at character {})", before.chars().count() + 1)
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
        (SUM, 2, |cv| one(math(cv, |l, r| size(l).saturating_add(size(r)), |l, r| l + r))),
        (PRODUCT, 2, |cv| one(math(cv, product_size, |l, r| l * r))),
        ("fromjson", 0, |(_, value)| one(from_json(&value).map_err(Exn::from))),
    ];
    let own = own.into_iter().map(|(name, arity, run)| (name, v(arity), Native::<Bounded>::new(run)));
    kept.chain([(STEP, v(0), step)]).chain(own)
}

fn one(value: ValX<'_, Val>) -> jaq_core::ValXs<'_, Val> {
    Box::new(std::iter::once(value))
}

/// A binary operation, refused where its result would be too large.
fn math(
    (mut context, _): (Ctx<'_, Bounded>, Val),
    size: fn(&Val, &Val) -> usize,
    work: fn(Val, Val) -> ValR<Val>,
) -> ValX<'_, Val> {
    let right = context.pop_var();
    let left = context.pop_var();
    if size(&left, &right) > LARGEST {
        return Err(Exn::halt(TOO_LARGE));
    }
    work(left, right).map_err(Exn::from)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(code: &str, document: &str) -> Result<bool, String> {
        Program::condition(code, "--where").unwrap().is_true(parse(document.as_bytes()).unwrap())
    }

    fn outputs(code: &str, document: &str) -> Vec<String> {
        let outputs =
            Program::projection(code, "--select").unwrap().outputs(parse(document.as_bytes()).unwrap());
        outputs.unwrap().iter().map(|o| std::str::from_utf8(o.bytes()).unwrap().to_owned()).collect()
    }

    #[test]
    fn the_first_output_decides_and_no_output_is_false() {
        assert_eq!(truth(".a == 1", r#"{"a":1}"#), Ok(true));
        assert_eq!(truth(".a", r#"{"a":null}"#), Ok(false));
        assert_eq!(truth("empty", "{}"), Ok(false));
        assert_eq!(truth(r#".a | test("^x+$")"#, r#"{"a":"xx"}"#), Ok(true));
        assert!(truth(".a.b", r#"{"a":1}"#).is_err());
    }

    #[test]
    fn the_library_works_under_the_guard() {
        assert_eq!(
            outputs("[range(3)], (map(.+1) | add), ([.[] | select(. > 1)] | length)", "[1,2]"),
            ["[0,1,2]", "5", "1"]
        );
        assert_eq!(outputs("[limit(3; repeat(1))] | add", "0"), ["3"]);
        assert_eq!(
            outputs(".a |= . * 2 | .a += 1 | .b *= 3 | del(.c) | tojson", r#"{"a":2,"b":1,"c":0}"#),
            [r#"{"a":5,"b":3}"#]
        );
        assert_eq!(
            outputs("[paths], (to_entries[0].key), ([..] | length)", r#"{"a":{"b":1}}"#),
            [r#"[["a"],["a","b"]]"#, "a", "3"]
        );
        assert_eq!(
            outputs(r#"def f($n): if $n == 0 then "done" else f($n - 1) end; f(1000)"#, "0"),
            ["done"]
        );
        assert_eq!(
            outputs(
                r#""\(.a)-x", (.a | ascii_upcase), (.t | fromdate | todate)"#,
                r#"{"a":"ü","t":"2026-11-24T00:00:00Z"}"#
            ),
            ["ü-x", "ü", "2026-11-24T00:00:00Z"]
        );
    }

    #[test]
    fn a_run_without_end_ends() {
        for code in [
            "def f: f; f",
            "def f: 1 + f; f",
            "[repeat(1)]",
            "[range(1e18)]",
            "last(range(1e18))",
            "until(false; .)",
            "try (def f: f; f) catch 1",
            "reduce repeat(1) as $x (0; .)",
        ] {
            assert!(truth(code, "0").is_err(), "{code}");
        }
    }

    #[test]
    fn a_value_without_bound_is_refused() {
        for code in [
            r#""x" * 1e15"#,
            "\"x\" * 1000000000000",
            r#"reduce range(60) as $i ("xx"; . + .)"#,
            r".s *= 100000000000",
            r#"reduce range(60) as $i ("xx"; . += .)"#,
            "reduce range(60) as $i (10; . * .)",
        ] {
            assert!(truth(code, r#"{"s":"x"}"#).is_err(), "{code}");
        }
    }

    #[test]
    fn hostile_documents_are_not_parsed_without_bound() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(parse(deep.as_bytes()), None);
        assert_eq!(parse("9".repeat(1_000_000).as_bytes()), None);
        let quoted = serde_json::to_string(&deep).unwrap();
        assert!(truth("fromjson", &quoted).is_err());
    }

    #[test]
    fn nothing_outside_can_be_reached() {
        for code in [
            "env",
            "$ENV",
            "input",
            "inputs",
            "debug",
            "stderr",
            "halt",
            "input_filename",
            "import \"a\" as a; 1",
            "include \"a\"; 1",
        ] {
            assert!(Program::condition(code, "--where").is_err(), "{code}");
        }
    }

    #[test]
    fn a_wrong_expression_shows_where() {
        let fault = |code: &str| Program::condition(code, "--where").err().unwrap();
        assert_eq!(fault(".a == fooo(1)").why, ".a ==  ⟶ fooo(1)   (at character 7)");
        assert!(fault(".a == fooo(1)").what.contains("no filter fooo"));
        assert_eq!(fault(".a ==").why, ".a == ⟵ here, at the end");
        assert!(fault(".a | \"x").what.ends_with("closing quote was expected"));
        assert_eq!(fault("").exit_code(), 2);
    }
}
