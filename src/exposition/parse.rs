//! Reads metrics in the text formats. As a collector does, it takes a document whole or not at all.

use std::borrow::Cow;

/// One sample. Its time, where it has one, is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name, with a histogram's suffix.
    pub name: &'a str,
    /// Labels in their order.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// Value.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label; an absent one is empty, as it is to a collector.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Wrong {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: &'static str,
}

/// Gives every sample to `take`, in order.
pub fn parse<'a>(text: &'a str, mut take: impl FnMut(Sample<'a>)) -> Result<(), Wrong> {
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        take(sample(line).map_err(|why| Wrong { line: number, why })?);
    }
    Ok(())
}

fn sample(line: &str) -> Result<Sample<'_>, &'static str> {
    let (name, mut rest) = word(line, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        .filter(|(name, _)| !name.starts_with(|c: char| c.is_ascii_digit()))
        .ok_or("a name was expected")?;
    let mut labels = Vec::new();
    if let Some(inner) = blank(rest).strip_prefix('{') {
        rest = inner;
        loop {
            rest = blank(rest);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = word(rest, |c| c.is_ascii_alphanumeric() || c == '_')
                .ok_or("the name of a label was expected")?;
            let after = blank(after).strip_prefix('=').ok_or("`=` was expected after a label")?;
            let after = blank(after).strip_prefix('"').ok_or("a label's value has no quotes")?;
            let (value, after) = quoted(after)?;
            labels.push((label, value));
            rest = blank(after);
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.starts_with('}') => {}
                None => return Err("`,` or `}` was expected after a label"),
            }
        }
    }
    // What follows the value is a time, and an example after `#`.
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().and_then(number).ok_or("a number was expected")?;
    match words.next() {
        None | Some("#") => {}
        Some(time) if number(time).is_some() => {}
        Some(_) => return Err("something that is no time follows the value"),
    }
    Ok(Sample { name, labels, value })
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// A word of these characters, one at least, and what follows it.
fn word(text: &str, fits: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A text up to its closing quotes, without escapes, and what follows it.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut plain = String::new();
    let mut chars = text.char_indices();
    let mut escaped = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let (inner, rest) = text.split_at(at);
                let value = if escaped { Cow::Owned(plain) } else { Cow::Borrowed(inner) };
                return Ok((value, rest.get(1..).unwrap_or_default()));
            }
            '\\' => {
                if !escaped {
                    text.get(..at).unwrap_or_default().clone_into(&mut plain);
                    escaped = true;
                }
                match chars.next() {
                    Some((_, 'n')) => plain.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => plain.push(c),
                    _ => return Err("an escape in a label is not known"),
                }
            }
            c if escaped => plain.push(c),
            _ => {}
        }
    }
    Err("a label's value does not end")
}

/// A number as it is written there; Rust's own reading takes `inf`, `+Inf`, `nan` in any case.
fn number(word: &str) -> Option<f64> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, Family, Kind, Writer};
    use super::*;

    fn read(text: &str) -> Result<Vec<Sample<'_>>, Wrong> {
        let mut samples = Vec::new();
        parse(text, |s| samples.push(s)).map(|()| samples)
    }

    #[test]
    fn what_collectors_take_is_taken() {
        let text = "# HELP a b\n# TYPE a counter\na 1\r\n\n  a_total{x=\"1\",} 2 1395066363000\n\
                    b { x = \"a\\\"b\\\\c\\nd\" , y=\"\" }\t+Inf\nc{le=\"0.5\"} 3 # {id=\"7\"} 0.2 1.5\nd NaN\n# EOF\n";
        let samples = read(text).unwrap();
        assert_eq!(samples.len(), 5);
        assert_eq!((samples[1].label("x"), samples[1].value), ("1", 2.0));
        assert_eq!((samples[2].label("x"), samples[2].label("z")), ("a\"b\\c\nd", ""));
        assert!(samples[2].value.is_infinite() && samples[4].value.is_nan());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            ("a 1\n<html>", 2),
            ("a", 1),
            ("a one", 1),
            ("a{x} 1", 1),
            ("a{x=1} 1", 1),
            ("a{x=\"1} 1", 1),
            ("a{x=\"\\t\"} 1", 1),
            ("a{x=\"1\" y=\"2\"} 1", 1),
            ("9a 1", 1),
            ("a 1 two", 1),
            ("a{", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_a_panic(text in "\\PC{0,80}") {
            let _ = read(&text);
            let _ = read(&format!("a{{x=\"{text}\"}} 1"));
        }

        #[test]
        fn what_is_written_is_read_again(value in "(?s).{0,40}", figure in proptest::num::f64::ANY) {
            const F: Family = Family { name: "f", kind: Kind::Gauge, help: "F." };
            let mut writer = Writer::new(Dialect::Text);
            writer.sample(&F, &[("x", &value)], figure);
            let text = writer.finish();
            let samples = read(&text).unwrap();
            prop_assert_eq!(samples.len(), 1);
            prop_assert_eq!(samples[0].label("x"), value);
            prop_assert!(samples[0].value.total_cmp(&figure).is_eq() || figure.is_nan() && samples[0].value.is_nan());
        }
    }
}
