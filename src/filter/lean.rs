//! A JSON payload as the interpreter's value, made of those members alone that an expression can reach.
//!
//! One pass checks the whole document, makes what is wanted, and steps over the rest. Texts are slices of the payload.
//! Whatever is no plain JSON, which the interpreter's own parser may take (comments, `NaN`), is left to that.

use bytes::Bytes;
use jaq_json::{Map, Num, Val};

use super::needs::{Node, WHOLE};
use super::scan::{Escapes, Tokens, unescaped};

/// Digits that surely fit into a machine word.
const SHORT: usize = 18;

/// The value as far as it can be looked at; `None` where the interpreter's parser must be asked.
pub(super) fn parse(payload: &Bytes, node: &Node) -> Option<Val> {
    let mut making = Making { payload, tokens: Tokens::new(payload) };
    let value = making.value(node, 0)?;
    making.tokens.ended().then_some(value)
}

struct Making<'p> {
    payload: &'p Bytes,
    tokens: Tokens<'p>,
}

impl Making<'_> {
    fn value(&mut self, node: &Node, depth: usize) -> Option<Val> {
        Some(match self.tokens.next()? {
            b'{' => return self.object(node, depth + 1),
            // An access to a member of what has none is an error that shows all of it.
            b'[' => return self.array(depth + 1),
            b'"' => {
                let (text, escapes) = self.tokens.string()?;
                self.text(text, escapes)?
            }
            b't' => self.tokens.word(b"rue").map(|()| Val::Bool(true))?,
            b'f' => self.tokens.word(b"alse").map(|()| Val::Bool(false))?,
            b'n' => self.tokens.word(b"ull").map(|()| Val::Null)?,
            b'-' | b'0'..=b'9' => Val::Num(number(self.tokens.number()?)?),
            _ => return None,
        })
    }

    fn object(&mut self, node: &Node, depth: usize) -> Option<Val> {
        let mut members = Map::default();
        let mut more = self.tokens.begin_object(depth)?;
        while more {
            let (name, escapes) = self.tokens.name()?;
            if node.is_whole() {
                let name = self.text(name, escapes)?;
                let value = self.value(&WHOLE, depth)?;
                members.insert(name, value);
            } else if escapes == Escapes::Some {
                return None;
            } else if let Some((name, member)) = node.member(name) {
                let value = self.value(member, depth)?;
                members.insert(Val::utf8_str(name.clone()), value);
            } else {
                self.tokens.skip(depth)?;
            }
            more = self.tokens.more_members()?;
        }
        Some(Val::obj(members))
    }

    fn array(&mut self, depth: usize) -> Option<Val> {
        let mut items = Vec::new();
        let mut more = self.tokens.begin_array(depth)?;
        while more {
            items.push(self.value(&WHOLE, depth)?);
            more = self.tokens.more_items()?;
        }
        Some(Val::Arr(items.into()))
    }

    fn text(&self, text: &[u8], escapes: Escapes) -> Option<Val> {
        Some(Val::utf8_str(match escapes {
            Escapes::None => self.payload.slice_ref(text),
            Escapes::Some => Bytes::from(unescaped(text)?),
        }))
    }
}

/// The number that a text is, and nothing else; `None` where the interpreter's parser must be asked.
pub(super) fn number_alone(text: &[u8]) -> Option<Num> {
    let mut tokens = Tokens::new(text);
    matches!(tokens.next()?, b'-' | b'0'..=b'9').then_some(())?;
    let number = tokens.number()?;
    (number.len() == text.len()).then(|| self::number(number))?
}

/// A number as the interpreter's parser reads it.
fn number(text: &[u8]) -> Option<Num> {
    let (digits, sign) = match text.split_first() {
        Some((b'-', digits)) => (digits, -1),
        _ => (text, 1),
    };
    if digits.len() <= SHORT && digits.iter().all(u8::is_ascii_digit) {
        let number = digits.iter().fold(0_isize, |number, digit| number * 10 + isize::from(digit - b'0'));
        return Some(Num::Int(sign * number));
    }
    jaq_json::read::parse_single_num(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::jq;
    use super::super::samples::payload;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn a_value_is_the_one_that_the_interpreters_parser_makes(payload in payload()) {
            let payload = Bytes::from(payload.unwrap_or_default());
            if let Some(value) = parse(&payload, &WHOLE) {
                // Equal numbers can be of different kinds, which their debugging form tells.
                prop_assert_eq!(format!("{value:?}"), format!("{:?}", jq::parse(&payload).unwrap()));
            }
        }
    }

    #[test]
    fn members_that_nobody_looks_at_are_checked_and_left_out() {
        let term = jaq_core::load::parse(".a.b == 1 and .c", |p| p.term()).unwrap();
        let node = Node::of(&term, super::super::needs::Purpose::Condition);
        let lean = |text: &'static str| parse(&Bytes::from_static(text.as_bytes()), &node);
        let value = lean(r#"{"x":[1,{"a":2}],"a":{"b":1,"y":0},"c":{"z":1},"a":{"b":"last\n"}}"#);
        assert_eq!(value.unwrap().to_string(), r#"{"a":{"b":"last\n"},"c":{}}"#);
        assert_eq!(lean(r#"{"a":[{"b":1}]}"#).unwrap().to_string(), r#"{"a":[{"b":1}]}"#);
        for broken in [r#"{"x":[1,}"#, r#"{"a":{"b":1}} x"#, r#"{"x":tru}"#, r#"{"\u0061":1}"#, "{\"a\":1"] {
            assert!(lean(broken).is_none(), "{broken}");
        }
    }
}
