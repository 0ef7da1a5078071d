//! Which topic is the retry topic of a topic and a group, by the names that frameworks give. Pure.

use crate::broker::Name;
use crate::dlq::names::is_retry_name;

/// The retry topic among `topics` of the group that failed on `origin`: one that names topic and group, else one that
/// names the topic. Of several in a row (`orders-retry-0`, `orders-retry-1`) the first, so that a record has all its
/// retries before it.
pub(super) fn retry_topic<'t>(
    topics: impl Iterator<Item = &'t Name>,
    origin: &str,
    group: Option<&str>,
) -> Option<Name> {
    let mut best: Option<(bool, u64, usize, &Name)> = None;
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
    best.map(|(.., topic)| Name::clone(topic))
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
        let topics: Vec<Name> = topics.iter().map(|t| Name::from(*t)).collect();
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
}
