//! The evaluator of our own: runs the terms that it knows, and asks the interpreter for the others.
//!
//! What a term gives is handed on, value by value, to what follows it, on the stack and without an iterator for each
//! term, which is what the interpreter spends its time on. Values, their order, arithmetic and access are the
//! interpreter's, so that there is one truth; a property test holds the outputs of both to be equal, errors too.

use std::cell::RefCell;
use std::sync::OnceLock;

use jaq_core::ValT as _;
use jaq_core::path::Opt;
use jaq_json::{Map, Val};

use super::builtin::Function;
use super::document::Document;
use super::expr::{Const, Expr, Interpreted, Step};
use super::interpreter::{Budget, Error, Failure, Filter, math};

/// Why what follows wants no more.
#[derive(Debug)]
pub(super) enum Stop {
    /// It has enough; who said so catches it.
    Enough,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

type Done = Result<(), Stop>;

/// What follows a term.
type Out<'o> = &'o mut dyn FnMut(Val) -> Done;

/// One run over one document.
pub(super) struct Run<'d> {
    document: &'d dyn Document,
    budget: Budget,
    /// Each binding has a place of its own, and none is within itself: nothing here calls itself.
    variables: RefCell<Vec<Val>>,
}

impl<'d> Run<'d> {
    /// A run of an expression with so many variables.
    pub(super) fn new(document: &'d dyn Document, variables: usize) -> Self {
        Self { document, budget: Budget::new(), variables: RefCell::new(vec![Val::Null; variables]) }
    }

    /// Gives what `expr` makes of `input` to `out`.
    pub(super) fn eval(&self, expr: &Expr, input: &Val, out: Out<'_>) -> Done {
        self.budget.nest()?;
        match expr {
            Expr::Id => out(input.clone()),
            Expr::Document => out(self.document.whole()),
            Expr::Part(part) => out(self.document.part(*part)?),
            Expr::Const(value) => out(value.value()),
            Expr::Variable(place) => out(self.variable(*place)),
            Expr::Array(inner) => {
                let mut items = Vec::new();
                self.eval(inner, input, &mut |item| {
                    items.push(item);
                    Ok(())
                })?;
                out(Val::Arr(items.into()))
            }
            Expr::Object(both) => self.product(both, input, &mut Vec::new(), &mut |values| {
                let mut members = Map::default();
                let mut values = values.iter().cloned();
                while let (Some(name), Some(value)) = (values.next(), values.next()) {
                    members.insert(name, value);
                }
                out(Val::obj(members))
            }),
            Expr::Text(parts) => self.text(parts, input, out),
            Expr::Neg(inner) => self.eval(inner, input, &mut |value| out((-value)?)),
            Expr::Pipe(both) => self.eval(&both[0], input, &mut |value| self.eval(&both[1], &value, out)),
            Expr::Bind(both, place) => self.eval(&both[0], input, &mut |value| {
                if let Some(variable) = self.variables.borrow_mut().get_mut(*place) {
                    *variable = value;
                }
                self.eval(&both[1], input, out)
            }),
            Expr::Comma(both) => {
                self.eval(&both[0], input, out)?;
                self.eval(&both[1], input, out)
            }
            Expr::Alt(both) => {
                let mut any = false;
                self.eval(&both[0], input, &mut |value| {
                    if !is_true(&value) {
                        return Ok(());
                    }
                    any = true;
                    out(value)
                })?;
                if any { Ok(()) } else { self.eval(&both[1], input, out) }
            }
            Expr::Logic(both, decides) => self.eval(&both[0], input, &mut |left| {
                if is_true(&left) == *decides {
                    return out(Val::Bool(*decides));
                }
                self.eval(&both[1], input, &mut |right| out(Val::Bool(is_true(&right))))
            }),
            Expr::Math(both, op) => {
                use jaq_core::ops::Math::{Add, Mul};
                // The interpreter's are functions with two arguments.
                if matches!(op, Add | Mul) {
                    return self.eval(&both[0], input, &mut |left| {
                        self.eval(&both[1], input, &mut |right| out(math(*op, left.clone(), right)?))
                    });
                }
                self.two(both, input, &mut |left, right| out(math(*op, left.clone(), right)?))
            }
            Expr::Cmp(both, op) => {
                self.two(both, input, &mut |left, right| out(Val::Bool(op.run(left, &right))))
            }
            Expr::If(three) => self.eval(&three[0], input, &mut |condition| {
                self.eval(if is_true(&condition) { &three[1] } else { &three[2] }, input, out)
            }),
            Expr::Try(inner, catch) => self.caught(inner, catch.as_deref(), input, out),
            Expr::Recurse => self.recurse(input, out),
            Expr::Path(inner, steps) => match &**inner {
                Expr::Id => self.path(input, steps, out),
                inner => self.eval(inner, input, &mut |value| self.path(&value, steps, out)),
            },
            Expr::Empty => Ok(()),
            Expr::Not => out(Val::Bool(!is_true(input))),
            Expr::Any(both) => {
                let found = self.finds(both, input, true)?;
                out(Val::Bool(found))
            }
            Expr::All(both) => {
                let found = self.finds(both, input, false)?;
                out(Val::Bool(!found))
            }
            Expr::First(inner) => {
                let mut first = None;
                enough(self.eval(inner, input, &mut |value| {
                    first = Some(value);
                    Err(Stop::Enough)
                }))?;
                first.map_or(Ok(()), out)
            }
            Expr::Unary(function, filter) => match function.run {
                Function::Keeps(keeps) => {
                    if keeps(input) {
                        out(input.clone())
                    } else {
                        Ok(())
                    }
                }
                Function::Makes(makes) => {
                    if let Some(value) = makes(input) {
                        return out(value);
                    }
                    let filter = called(filter, function.name, &[])?;
                    filter.run(&self.budget, std::iter::empty(), input.clone(), out)
                }
            },
            Expr::Binary(function, argument, filter) => self.eval(argument, input, &mut |argument| {
                if let Some(value) = function.run(input, &argument) {
                    return out(value);
                }
                let filter = called(filter, function.name, &[ARGUMENT])?;
                filter.run(&self.budget, std::iter::once(argument), input.clone(), &mut *out)
            }),
            Expr::Interpreted(Interpreted { filter, variables, document }) => {
                let input = if *document { self.document.whole() } else { input.clone() };
                let variables = variables.iter().map(|place| self.variable(*place));
                filter.run(&self.budget, variables.collect::<Vec<_>>().into_iter(), input, out)
            }
        }
    }

    fn variable(&self, place: usize) -> Val {
        self.variables.borrow().get(place).cloned().unwrap_or_default()
    }

    /// Each pair of outputs.
    fn two(&self, both: &[Expr; 2], input: &Val, out: &mut dyn FnMut(&Val, Val) -> Done) -> Done {
        let mut below = false;
        let done = self.eval(&both[0], input, &mut |left| {
            let done = self.eval(&both[1], input, &mut |right| out(&left, right));
            below = done.is_err();
            done
        });
        if below { done } else { self.unpaired(done, &both[1..], input) }
    }

    /// Each combination of outputs.
    fn product(
        &self,
        all: &[Expr],
        input: &Val,
        values: &mut Vec<Val>,
        out: &mut dyn FnMut(&[Val]) -> Done,
    ) -> Done {
        let Some((first, rest)) = all.split_first() else { return out(values) };
        let mut below = false;
        let done = self.eval(first, input, &mut |value| {
            values.push(value);
            let done = self.product(rest, input, values, out);
            values.pop();
            below = done.is_err();
            done
        });
        if below { done } else { self.unpaired(done, rest, input) }
    }

    /// An error counts only where it is paired: of what is combined with nothing comes nothing.
    fn unpaired(&self, done: Done, rest: &[Expr], input: &Val) -> Done {
        let Err(Stop::Failed(failure)) = done else { return done };
        let mut paired = false;
        let other = self.product(rest, input, &mut Vec::new(), &mut |_| {
            paired = true;
            Err(Stop::Enough)
        });
        match other {
            Ok(()) if !paired => Ok(()),
            _ => Err(Stop::Failed(failure)),
        }
    }

    fn text(&self, parts: &[Expr], input: &Val, out: Out<'_>) -> Done {
        self.product(parts, input, &mut Vec::new(), &mut |values| {
            let mut text = Vec::new();
            for value in values {
                match value.clone().into_string() {
                    Val::TStr(part) | Val::BStr(part) => text.extend_from_slice(&part),
                    _ => {}
                }
            }
            out(Val::utf8_str(text))
        })
    }

    /// `try`: an error of what is tried is caught, and one of what follows is not.
    fn caught(&self, inner: &Expr, catch: Option<&Expr>, input: &Val, out: Out<'_>) -> Done {
        let mut below = None;
        let done = self.eval(inner, input, &mut |value| {
            out(value).map_err(|stop| {
                below = Some(stop);
                Stop::Enough
            })
        });
        match (done, below) {
            (_, Some(stop)) => Err(stop),
            (Err(Stop::Failed(Failure::Error(error))), None) => match catch {
                Some(catch) => self.eval(catch, &error.into_val(), out),
                None => Ok(()),
            },
            (done, None) => done,
        }
    }

    /// Whether the second term makes any output of the first `wanted`.
    fn finds(&self, both: &[Expr; 2], input: &Val, wanted: bool) -> Result<bool, Stop> {
        let mut found = false;
        enough(self.eval(&both[0], input, &mut |value| {
            self.eval(&both[1], &value, &mut |output| {
                found = is_true(&output) == wanted;
                if found { Err(Stop::Enough) } else { Ok(()) }
            })
        }))?;
        Ok(found)
    }

    fn recurse(&self, value: &Val, out: Out<'_>) -> Done {
        self.budget.nest()?;
        self.budget.turn()?;
        out(value.clone())?;
        match value {
            Val::Arr(items) => items.iter().try_for_each(|item| self.recurse(item, out)),
            Val::Obj(members) => members.values().try_for_each(|member| self.recurse(member, out)),
            _ => Ok(()),
        }
    }

    fn path(&self, value: &Val, steps: &[(Step, Opt)], out: Out<'_>) -> Done {
        let Some(((step, opt), rest)) = steps.split_first() else { return out(value.clone()) };
        let next = |value: Val, out: Out<'_>| {
            if rest.is_empty() { out(value) } else { self.path(&value, rest, out) }
        };
        let fail = |error: Error| match opt {
            Opt::Optional => Ok(()),
            Opt::Essential => Err(error.into()),
        };
        match step {
            Step::Index(index) => match access(value, index) {
                Ok(value) => next(value, out),
                Err(error) => fail(error),
            },
            Step::Each => match value {
                Val::Arr(items) => items.iter().try_for_each(|item| {
                    self.budget.turn()?;
                    next(item.clone(), out)
                }),
                Val::Obj(members) => members.values().try_for_each(|member| {
                    self.budget.turn()?;
                    next(member.clone(), out)
                }),
                value => value.clone().values().try_for_each(|item| match item {
                    Ok(item) => next(item, out),
                    Err(error) => fail(error),
                }),
            },
            Step::Range(from, to) => {
                let (from, to) = (from.as_ref().map(Const::value), to.as_ref().map(Const::value));
                match value.clone().range(from.as_ref()..to.as_ref()) {
                    Ok(value) => next(value, out),
                    Err(error) => fail(error),
                }
            }
        }
    }
}

/// The variable that an argument is for the interpreter; no expression can name it.
const ARGUMENT: &str = "$argument!";

/// The interpreter's own function of a name, with a value as its argument.
fn called<'f>(
    filter: &'f OnceLock<Filter>,
    name: &'static str,
    arguments: &[&'static str],
) -> Result<&'f Filter, Failure> {
    if let Some(filter) = filter.get() {
        return Ok(filter);
    }
    let made = Filter::call(name, arguments)?;
    Ok(filter.get_or_init(|| made))
}

fn access(value: &Val, index: &Const) -> Result<Val, Error> {
    /// An object with more members is looked up by its hash.
    const FEW: usize = 16;
    match (value, index) {
        (Val::Obj(members), Const::Text(name)) if members.len() <= FEW => {
            let named = |(member, _): &(&Val, &Val)| match member {
                Val::TStr(member) | Val::BStr(member) => **member == *name,
                _ => false,
            };
            Ok(members.iter().find(named).map(|(_, value)| value.clone()).unwrap_or_default())
        }
        (Val::Arr(items), Const::Int(at)) if *at >= 0 => {
            Ok(items.get(at.unsigned_abs()).cloned().unwrap_or_default())
        }
        (value, index) => value.clone().index(&index.value()),
    }
}

fn is_true(value: &Val) -> bool {
    !matches!(value, Val::Null | Val::Bool(false))
}

/// What was stopped because it was enough is done.
fn enough(done: Done) -> Done {
    match done {
        Err(Stop::Enough) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::document::document;
    use super::super::jq::{Program, parse};
    use super::super::needs::Purpose;
    use super::super::samples::{expression, payload};
    use crate::config::profile::DeadLetters;
    use crate::event::{Headers, Position, Record};

    /// What the evaluator gives, and what the interpreter gives.
    fn both(code: &str, document: &str) -> [Result<Vec<String>, String>; 2] {
        let document = parse(document.as_bytes()).unwrap();
        let own = Program::projection(code, "--select").unwrap();
        [own, Program::interpreted(code, Purpose::Projection)].map(|program| {
            let outputs = program.outputs(&document)?;
            Ok(outputs.iter().map(|o| o.bytes().escape_ascii().to_string()).collect())
        })
    }

    #[test]
    fn outputs_come_in_the_order_of_the_interpreter() {
        for (code, document) in [
            ("[.[] | . + (10, 20)]", "[1,2]"),
            ("[(1, 2) - (10, 20)], [(1, 2) < (1, 2)]", "0"),
            ("{a: (1, 2), b: (3, 4), a: 5}", "0"),
            (r#""\(1, 2)-\("a", "b")""#, "0"),
            (".. | numbers", r#"{"a":[1,{"b":2}],"c":3}"#),
            ("(1 as $x | 2, $x) as $y | 3 as $x | [$x, $y]", "0"),
            ("(1, null, 2) // 3, (null, false) // 4", "0"),
            ("[.[] | if . > (1, 2) then . else empty end]", "[1,2,3]"),
            (r#"[.[] | test("^b.c$"; "is"), test("B")], ["ab", [1], {}] - ["ab"]"#, r#"["B\nc","b"]"#),
            (r#"contains({a: ["x"]}), contains({a: ["z"]}), contains({b: null})"#, r#"{"a":["axe","y"]}"#),
            ("first(.[] | select(. > 1)), [.[] | . and true, . or false]", "[1,2,null]"),
            (". as [$a, {b: $c}] | $c, $a", r#"[1,{"b":2}]"#),
            (". as $d | .[] as $x | [$x, ($d | length)] | join(\"-\")", r#"["a","b"]"#),
        ] {
            let [own, interpreted] = both(code, document);
            assert!(interpreted.as_ref().is_ok_and(|outputs| !outputs.is_empty()), "{code}: {interpreted:?}");
            assert_eq!(own, interpreted, "{code}");
        }
    }

    #[test]
    fn errors_are_the_interpreters_and_are_caught_where_it_catches_them() {
        for (code, document) in [
            (".a.b", r#"{"a":1}"#),
            (".[] | tonumber", r#"["1","x"]"#),
            ("1, error(\"x\"), 2", "0"),
            ("test(\"x\"; \"i\")", "0"),
            ("test(\"(\")", "\"x\""),
            ("[.[] | try tonumber catch \"none\"]", r#"["1","x","2"]"#),
            ("(.[] | tonumber?) , (try (1, error(\"x\"), 2) catch .)", r#"["1","x"]"#),
            // An error behind a `try` is not caught by it.
            ("(try .[] catch \"caught\") | error", "[1]"),
            ("[(try error(\"a\") catch error(\"b\"))?]", "0"),
            // Of an error that is combined with nothing comes nothing.
            ("[error(\"x\") - empty], [error(\"x\") < empty], {a: error(\"x\"), b: empty}", "0"),
            ("[error(\"x\") + empty]", "0"),
            ("any(.[]; . > 1, error(\"x\")), all(.[]; . < 2, error(\"y\"))", "[1,2]"),
            ("first(1, error(\"x\"))", "0"),
        ] {
            let [own, interpreted] = both(code, document);
            assert_eq!(own, interpreted, "{code}");
        }
    }

    #[test]
    fn loops_over_what_is_there_are_bounded() {
        let document = format!("[{}]", ["1"; 500].join(","));
        let code = "[.[] as $a | .[] as $b | .[] as $c | select($a + $b + $c == 0)]";
        let document = parse(document.as_bytes()).unwrap();
        let outputs = Program::projection(code, "--select").unwrap().outputs(&document);
        assert_eq!(outputs, Err("it took more than 100000 steps on one record".to_owned()));
        let own = Program::projection("[.[] | . + 1] | add", "--select").unwrap().outputs(&document).unwrap();
        assert_eq!(own[0].bytes(), b"1000");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

        #[test]
        fn what_it_gives_is_what_the_interpreter_gives(
            records in proptest::collection::vec((payload(), payload()), 8), code in expression()
        ) {
            let interpreted = Program::interpreted(&code, Purpose::Projection);
            let Ok(own) = Program::projection(&code, "--select") else {
                return Err(TestCaseError::fail(format!("{code} is no expression")));
            };
            let formats = DeadLetters::default();
            for (key, value) in records {
                let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
                let at = Position::new("x", 3, 12);
                let record = Record { at, time: None, key, value, headers: Headers::default(), lease: None };
                prop_assert_eq!(
                    own.outputs(&document(&record, &formats, &own)),
                    interpreted.outputs(&document(&record, &formats, &interpreted)),
                    "{:?}", record
                );
            }
        }
    }
}
