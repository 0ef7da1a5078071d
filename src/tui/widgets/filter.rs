//! What a list is filtered by: a plain text or regular expression, `!` in front to turn it round, `-f ` for fuzzy.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use regex::{Regex, RegexBuilder};

/// A filter; the empty one lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    All,
    Has(Regex),
    HasNot(Regex),
    Fuzzy(Pattern),
}

impl Filter {
    /// Reads a filter as it was typed. What is no regular expression is taken literally; capitals in it make
    /// it care for case.
    pub fn new(text: &str) -> Self {
        let kind = if text.is_empty() || text == "!" {
            Kind::All
        } else if let Some(fuzzy) = text.strip_prefix("-f ") {
            Kind::Fuzzy(Pattern::parse(fuzzy, CaseMatching::Smart, Normalization::Smart))
        } else if let Some(rest) = text.strip_prefix('!') {
            expression(rest).map_or(Kind::All, Kind::HasNot)
        } else {
            expression(text).map_or(Kind::All, Kind::Has)
        };
        Self { text: text.to_owned(), kind }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::All)
    }

    /// Something that tells which texts pass.
    pub fn test(&self) -> impl FnMut(&str) -> bool {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        move |text| match &self.kind {
            Kind::All => true,
            Kind::Has(expression) => expression.is_match(text),
            Kind::HasNot(expression) => !expression.is_match(text),
            Kind::Fuzzy(pattern) => pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher).is_some(),
        }
    }
}

/// How well each candidate fits what was typed, the best first; all in their order where nothing was typed.
pub fn rank<'t>(typed: &str, candidates: impl Iterator<Item = (usize, &'t str)>) -> Vec<usize> {
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, usize)> = candidates
        .filter_map(|(i, text)| {
            // What begins with the typed text is meant before what merely contains its letters.
            let begins = if text.starts_with(typed) { 1 << 16 } else { 0 };
            let score = pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher)?;
            Some((score + begins, i))
        })
        .collect();
    found.sort_by_key(|(score, i)| (std::cmp::Reverse(*score), *i));
    found.into_iter().map(|(_, i)| i).collect()
}

fn expression(text: &str) -> Option<Regex> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(!text.chars().any(char::is_uppercase))
            .size_limit(1 << 20)
            .build()
    };
    build(text).or_else(|_| build(&regex::escape(text))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &str, text: &str) -> bool {
        Filter::new(filter).test()(text)
    }

    #[test]
    fn a_text_is_found_anywhere_and_capitals_count_only_where_they_are_typed() {
        assert!(passes("pay", "Payments-dlt"));
        assert!(!passes("PAY", "payments-dlt"));
        assert!(passes("^orders.*t$", "orders-dlt"));
        assert!(passes("a[", "a[0]"), "what is no expression is literal");
    }

    #[test]
    fn an_exclamation_mark_turns_it_round() {
        assert!(passes("!pay", "orders"));
        assert!(!passes("!pay", "payments"));
        assert!(passes("!", "anything"), "half typed, it hides nothing");
    }

    #[test]
    fn fuzzy_finds_letters_in_order() {
        assert!(passes("-f pdlt", "payments-dlt"));
        assert!(!passes("-f tldp", "payments-dlt"));
    }

    #[test]
    fn what_begins_with_the_typed_text_is_first() {
        let names = ["topics.query", "q", "quit"];
        assert_eq!(rank("q", names.iter().copied().enumerate()), [1, 2, 0]);
        assert_eq!(rank("", names.iter().copied().enumerate()), [0, 1, 2]);
    }
}
