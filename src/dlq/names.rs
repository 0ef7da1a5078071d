//! What a topic's name says of its role.
//!
//! A name is the weakest sign: discovery asks records and configuration too.

/// Names that dead-letter topics have; `*` matches anything, also nothing. Letter case is ignored.
pub const DEAD_LETTER_PATTERNS: &[&str] = &[
    "*.dlq",
    "*-dlq",
    "*_dlq",
    "*.dlt",
    "*-dlt",
    "*_dlt",
    "*.dead-letter",
    "*-dead-letter",
    "*_dead_letter",
    "*.dead-letters",
    "*-dead-letters",
    "*_dead_letters",
    "*.deadletter",
    "*-deadletter",
    "*.deadletters",
    "*-deadletters",
    "*-dead-letter-queue",
    "*.dead-letter-queue",
    "dead-letter-topic-*",
    "dead-letter-*",
    "dead-letters",
    "deadletters",
    "error.*.*",
    "*_error",
    "*-poison",
    "*.poison",
    "*_poison",
    "*.poisoned",
    "*_poisoned",
    "*-poisoned",
    "dlq-*",
    "dlq.*",
    "dlq_*",
    "dlq",
    "*ksql_processing_log",
    "error_log",
];

/// Names that retry topics have.
pub const RETRY_PATTERNS: &[&str] = &[
    "*-retry",
    "*.retry",
    "*_retry",
    "*-retry-*",
    "*.retry.*",
    "*_retry_*",
    "retry-*",
    "retry.*",
    "retry_*",
];

/// Whether the name is one that dead-letter topics have, by the built-in patterns.
pub fn is_dead_letter_name(topic: &str) -> bool {
    dead_letter_pattern(topic).is_some()
}

/// The built-in pattern of dead-letter topics that the name fits.
pub fn dead_letter_pattern(topic: &str) -> Option<&'static str> {
    let fits = || DEAD_LETTER_PATTERNS.iter().copied().find(|p| matches(p, topic));
    if is_internal_name(topic) { None } else { fits() }
}

/// Whether the name is one that retry topics have and dead-letter topics have not.
pub fn is_retry_name(topic: &str) -> bool {
    !is_internal_name(topic)
        && !is_dead_letter_name(topic)
        && RETRY_PATTERNS.iter().any(|p| matches(p, topic))
}

/// The topic after which a dead-letter topic is named, by the built-in patterns: `orders` of `orders-dlt`.
pub fn named_after(topic: &str) -> Option<&str> {
    let middle = |pattern: &&str| {
        let cut = match pattern.split_once('*')? {
            ("", end) if !end.contains('*') => topic.len().checked_sub(end.len())?,
            (start, "") => start.len(),
            _ => return None,
        };
        matches(pattern, topic).then_some(())?;
        let rest = if pattern.starts_with('*') { topic.get(..cut)? } else { topic.get(cut..)? };
        (!rest.is_empty()).then_some(rest)
    };
    // The shortest rest: `orders-dead-letter-queue` is named after `orders`.
    DEAD_LETTER_PATTERNS.iter().filter_map(middle).min_by_key(|rest| rest.len())
}

/// Whether the broker, or a tool like this one, keeps its own state in it (`__…`).
pub fn is_internal_name(topic: &str) -> bool {
    topic.starts_with("__")
}

/// Whether `name` fits `pattern`, in which `*` matches anything. ASCII letter case is ignored.
///
/// Takes at most `pattern.len() * name.len()` steps.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and the first byte that it has not swallowed yet.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if c.eq_ignore_ascii_case(&name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, swallowed)) => {
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    n = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_give_to_dead_letter_topics_are_known() {
        for name in [
            "shop.orders-dlt",
            "orders.DLT",
            "orders.DLQ",
            "dlq-clicks",
            "dlq.orders",
            "error.orders.email",
            "orders_error",
            "dead-letter-topic-orders-in",
            "orders-poison",
            "wolverine-dead-letter-queue",
            "dlq-lcc-a1b2c3",
            "orders_topic_poisoned",
            "error_log",
        ] {
            assert!(is_dead_letter_name(name), "{name}");
            assert!(!is_retry_name(name), "{name}");
        }
    }

    #[test]
    fn sources_retries_and_internal_topics_are_no_dead_letter_topics() {
        for name in
            ["orders", "__consumer_offsets", "__dlq", "errors", "error.orders", "orders-retry-0", "adlq"]
        {
            assert!(!is_dead_letter_name(name), "{name}");
        }
        for name in ["orders-retry", "orders-retry-1", "orders.retry.5s", "orders-in_retry_5000"] {
            assert!(is_retry_name(name), "{name}");
        }
        assert!(!is_retry_name("orders-retry-dlt"));
        assert!(!is_retry_name("orders"));
    }

    #[test]
    fn a_dead_letter_topic_names_its_source() {
        for (name, source) in [
            ("orders-dlt", Some("orders")),
            ("orders.DLQ", Some("orders")),
            ("dlq.orders", Some("orders")),
            ("orders-dead-letter-queue", Some("orders")),
            ("dead-letter-topic-orders", Some("orders")),
            ("dlq", None),
            ("orders", None),
            ("é", None),
        ] {
            assert_eq!(named_after(name), source, "{name}");
        }
    }

    #[test]
    fn a_star_matches_anything_and_nothing() {
        assert!(matches("*", ""));
        assert!(matches("a*c", "abbbc"));
        assert!(matches("a*c", "ac"));
        assert!(matches("*ab*ab", "xabyabzab"));
        assert!(!matches("a*c", "acb"));
        assert!(!matches("", "a"));
    }

    #[test]
    fn a_hostile_pattern_takes_bounded_time() {
        let name = "a".repeat(249);
        let pattern = format!("{}b", "*a".repeat(120));
        assert!(!matches(&pattern, &name));
    }
}
