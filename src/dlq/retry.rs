//! Which topics are the retry topics of a topic and a group, by the names that frameworks give.

use std::sync::Arc;

use super::names::{is_dead_letter_name, is_retry_name};

/// The retry topic among `topics` of the group that failed on `origin`: one that names topic and group, else one that
/// names the topic. Of several in a row (`orders-retry-0`, `orders-retry-1`) the first, so that a record has all its
/// retries before it.
pub fn retry_topic<'t>(
    topics: impl Iterator<Item = &'t Arc<str>>,
    origin: &str,
    group: Option<&str>,
) -> Option<Arc<str>> {
    let mut best: Option<(bool, u64, usize, &Arc<str>)> = None;
    for topic in topics.filter(|topic| is_retry_name(topic) && ***topic != *origin) {
        let words = words(topic);
        let Some(rest) = without(words, origin) else { continue };
        let (own, rest) = match group.and_then(|group| without(rest.clone(), group)) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        // What is left must be `retry`, a number, or what a framework says of the wait.
        let known =
            |word: &String| word == "retry" || word == "topic" || word.chars().all(|c| c.is_ascii_digit());
        if !rest.iter().all(known) {
            continue;
        }
        let number = rest.iter().find_map(|w| w.parse::<u64>().ok()).unwrap_or(0);
        let rank = (!own, number, topic.len(), topic);
        if best.is_none_or(|best| rank < best) {
            best = Some(rank);
        }
    }
    best.map(|(.., topic)| Arc::clone(topic))
}

/// Whether `topic` may hold what a group that failed on `target` tries again: it has the name of a retry topic, and
/// names the target, another retry topic of the same source, or the group. It may be another group's: what lies in it
/// tells.
pub fn may_retry(topic: &str, target: &str, group: Option<&str>) -> bool {
    if !is_retry_name(topic) {
        return false;
    }
    let names = |name: &str| without(words(topic), name).is_some();
    let alike = || is_retry_name(target) && source(topic) == source(target);
    topic == target || names(target) || alike() || group.is_some_and(names)
}

/// Whether a retry topic that [`may_retry`] the target is named after another of the cluster's topics:
/// `orders-eu-retry` is that of `orders-eu`, where there is such a topic, and not that of `orders`. One that names the
/// group is nobody else's.
pub fn is_anothers<'t>(
    topic: &str,
    target: &str,
    group: Option<&str>,
    mut topics: impl Iterator<Item = &'t str>,
) -> bool {
    if group.is_some_and(|group| without(words(topic), group).is_some()) {
        return false;
    }
    topics.any(|other| {
        other.len() > target.len()
            && !is_retry_name(other)
            && !is_dead_letter_name(other)
            && without(words(other), target).is_some()
            && without(words(topic), other).is_some()
    })
}

/// The words of a retry topic's name that name its source.
fn source(topic: &str) -> Vec<String> {
    let mut words = words(topic);
    words.retain(|word| word != "retry" && word != "topic" && !word.chars().all(|c| c.is_ascii_digit()));
    words
}

fn words(name: &str) -> Vec<String> {
    name.split(['-', '.', '_']).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// The words without those of `name`, which must stand in a row.
fn without(mut words_in: Vec<String>, name: &str) -> Option<Vec<String>> {
    let name = words(name);
    if name.is_empty() {
        return None;
    }
    let at = words_in.windows(name.len()).position(|w| *w == *name)?;
    words_in.drain(at..at + name.len());
    Some(words_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(topics: &[&str], origin: &str, group: &str) -> Option<String> {
        let topics: Vec<Arc<str>> = topics.iter().map(|t| Arc::from(*t)).collect();
        retry_topic(topics.iter(), origin, Some(group)).map(|t| t.to_string())
    }

    #[test]
    fn the_groups_own_retry_topic_comes_before_the_topics() {
        let topics = ["orders", "orders-retry", "orders-email-retry", "payments-retry", "orders-dlt"];
        assert_eq!(found(&topics, "orders", "email").as_deref(), Some("orders-email-retry"));
        assert_eq!(found(&topics, "orders", "billing").as_deref(), Some("orders-retry"));
        assert_eq!(found(&topics, "inventory", "email"), None);
    }

    #[test]
    fn of_several_retry_topics_the_first_is_taken() {
        let topics = ["orders-retry-2000", "orders-retry-1000", "orders-retry-10000"];
        assert_eq!(found(&topics, "orders", "email").as_deref(), Some("orders-retry-1000"));
        // One of another topic whose name only begins alike is none of it.
        assert_eq!(found(&["orders-eu-retry"], "orders", "email"), None);
    }

    #[test]
    fn all_that_may_hold_a_retry_is_looked_into() {
        for (topic, target, may) in [
            ("orders-retry-0", "orders", true),
            ("orders-retry-1", "orders-retry-0", true),
            ("orders-retry-0", "orders-retry-0", true),
            ("email.retry", "orders", true),
            ("payments-retry", "orders", false),
            ("orders2-retry", "orders", false),
            ("orders-dlt", "orders", false),
            ("orders", "orders", false),
        ] {
            assert_eq!(may_retry(topic, target, Some("email")), may, "{topic} of {target}");
        }
    }

    #[test]
    fn a_retry_topic_named_after_a_topic_with_a_longer_name_is_that_ones() {
        let topics = ["orders", "orders-eu", "orders-eu-retry", "orders-eu-retry-dlt", "orders-retry-0"];
        let others = |topic: &str, target: &str, group: &str| {
            assert!(may_retry(topic, target, Some(group)), "{topic} of {target}");
            is_anothers(topic, target, Some(group), topics.into_iter())
        };
        assert!(others("orders-eu-retry", "orders", "email"));
        assert!(!others("orders-eu-retry", "orders-eu", "email"));
        assert!(!others("orders-retry-0", "orders", "email"));
        // It may be that of the group `eu`, which has one of its own.
        assert!(!others("orders-eu-retry", "orders", "eu"));
        assert!(!is_anothers("orders-eu-retry", "orders", None, ["orders", "orders-eu-retry"].into_iter()));
    }
}
