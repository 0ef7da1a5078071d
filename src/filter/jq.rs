//! jq expressions: compiled once, run over one document a record, bounded in steps and output.
//!
//! Most of a run is done by an evaluator of our own (`super::eval`), which costs a fraction of what the interpreter
//! does; what it does not know, the interpreter (`super::interpreter`) answers in its place.

use std::ops::Range;

use bytes::Bytes;
use jaq_core::load::Arena;
use jaq_core::load::lex::{Expect as LexExpect, Lexer};
use jaq_core::load::parse::{Parser, Term};
use jaq_json::Val;

use super::document::Document;
use super::eval::{Run, Stop};
use super::expr::Expr;
use super::interpreter::Filter;
use super::needs::{Node, Purpose};
use super::quick::Quick;
use crate::event::RecordBytes;
use crate::text::Fault;

pub(super) use super::interpreter::parse;

/// Outputs that one run may give.
const OUTPUTS: usize = 10_000;
/// Bytes that the outputs of one run may have.
const OUTPUT_BYTES: usize = 16 << 20;

/// A compiled expression.
pub struct Program {
    expr: Expr,
    /// Variables that it binds.
    variables: usize,
    needs: Node,
    quick: Option<Quick>,
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

    /// The same expression, all of it left to the interpreter.
    #[cfg(test)]
    pub(super) fn interpreted(code: &str, purpose: Purpose) -> Self {
        let term = jaq_core::load::parse(code, |p| p.term()).unwrap();
        let filter = Filter::compile(term.clone(), &[], &Arena::default()).ok().unwrap();
        Self { expr: Expr::whole(filter), variables: 0, needs: Node::of(&term, purpose), quick: None }
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
    pub fn is_true(&self, document: &dyn Document) -> Result<bool, String> {
        let mut first = false;
        self.run(document, |output| {
            first = !matches!(output, Val::Null | Val::Bool(false));
            Err(Stop::Enough)
        })?;
        Ok(first)
    }

    /// The only output.
    pub(super) fn one(&self, document: &dyn Document) -> Result<Val, String> {
        let (mut only, mut more) = (None, false);
        self.run(document, |output| {
            more = only.is_some();
            only.get_or_insert(output);
            if more { Err(Stop::Enough) } else { Ok(()) }
        })?;
        match only {
            Some(_) if more => Err("it gives more than one document".to_owned()),
            only => only.ok_or_else(|| "it gives nothing".to_owned()),
        }
    }

    /// All outputs, each as JSON, or as its own bytes where it is a string.
    pub fn outputs(&self, document: &dyn Document) -> Result<Vec<Output>, String> {
        let (mut all, mut bytes, mut full) = (Vec::new(), 0, false);
        self.run(document, |output| {
            let output = match output {
                Val::TStr(text) | Val::BStr(text) => Output::Text(*text),
                value => Output::Json(value.to_string()),
            };
            bytes += output.bytes().len();
            all.push(output);
            full = all.len() > OUTPUTS || bytes > OUTPUT_BYTES;
            if full { Err(Stop::Enough) } else { Ok(()) }
        })?;
        if full { Err("it gives more output than is allowed for one record".to_owned()) } else { Ok(all) }
    }

    fn run(
        &self,
        document: &dyn Document,
        mut take: impl FnMut(Val) -> Result<(), Stop>,
    ) -> Result<(), String> {
        match Run::new(document, self.variables).eval(&self.expr, &Val::Null, &mut take) {
            Ok(()) | Err(Stop::Enough) => Ok(()),
            Err(Stop::Failed(failure)) => Err(failure.words()),
        }
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

/// What is wrong, and where in the code.
type Wrong = (String, Range<usize>);

fn compile(code: &str, purpose: Purpose) -> Result<Program, Wrong> {
    let tokens =
        Lexer::new(code).lex().map_err(|errors| first(code, errors, |e: &LexExpect<_>| e.as_str()))?;
    let parsed = Parser::new(&tokens).parse(jaq_core::load::Parser::term);
    let term: Term<&str> = parsed.map_err(|errors| {
        let errors = errors.into_iter().map(|(expected, found)| {
            (expected, found.map_or(code.get(code.len()..).unwrap_or_default(), |token| token.as_str()))
        });
        first(code, errors.collect(), |e| e.as_str())
    })?;
    let (needs, quick) = (Node::of(&term, purpose), Quick::of(&term));
    let undefined = |undefined: Option<(&'static str, &str)>| match undefined {
        Some((kind, name)) => (format!("there is no {kind} {name}"), place(code, name)),
        None => ("it cannot be compiled".to_owned(), 0..code.len()),
    };
    // What is wrong anywhere is found in the whole.
    let arena = Arena::default();
    Filter::compile(term.clone(), &[], &arena).map_err(undefined)?;
    let (expr, variables) = Expr::of(term, &arena).map_err(undefined)?;
    Ok(Program { expr, variables, needs, quick })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(code: &str, document: &str) -> Result<bool, String> {
        Program::condition(code, "--where").unwrap().is_true(&parse(document.as_bytes()).unwrap())
    }

    fn outputs(code: &str, document: &str) -> Vec<String> {
        let outputs =
            Program::projection(code, "--select").unwrap().outputs(&parse(document.as_bytes()).unwrap());
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
