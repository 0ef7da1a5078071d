//! Records that went through several frameworks: the headers of each are there, and one wrote last.
//!
//! What tells the order, the surest first: a record that failed in a dead-letter or retry topic failed there
//! later than in another; of two frameworks that write their headers on the same side, the outer one was later;
//! the origin's timestamps. SmallRye writes before a record's headers and most others behind them, so the places
//! of these two tell nothing.

use std::cmp::Ordering;

use super::Reading;
use super::headers::Part;
use super::table::Latest;
use crate::dlq::names;

/// Joins what several formats say to one reading.
pub(super) fn join<'r>(mut parts: Vec<Part<'r>>, lies_in: &str) -> Option<Reading<'r>> {
    if parts.len() < 2 {
        return parts.pop().map(|part| part.reading);
    }
    let mut sure = true;
    let mut latest = 0;
    for i in 1..parts.len() {
        match order(&parts[latest], &parts[i], lies_in) {
            Some(Ordering::Less) => latest = i,
            Some(_) => {}
            None => sure = false,
        }
    }
    let last = parts.swap_remove(latest);
    let earliest = parts.iter().enumerate().reduce(|a, b| match order(a.1, b.1, lies_in) {
        Some(Ordering::Greater) => b,
        _ => a,
    });
    let earliest = earliest.map_or(0, |(at, _)| at);
    let (begins, latest) = ((last.first, last.last), last.latest);
    let mut reading = last.reading;
    for part in &parts {
        let name = part.reading.format.as_deref().unwrap_or_default();
        reading.fact(format!("headers of {name} are there, too: it gave the record up before"));
        reading.others.extend(part.reading.format.clone());
    }
    if !sure {
        reading.fact(
            "which of the formats wrote last does not show from the headers: another order is possible",
        );
    }
    let hops = reading.hops;
    reading.hops = hops
        .and_then(|own| parts.iter().try_fold(own, |sum, part| Some(sum.saturating_add(part.reading.hops?))));
    let earlier = parts.swap_remove(earliest);
    // Where the latest format wrote several times, the other may have written between.
    let between = reading.previous.is_some()
        && !reading.retried
        && match latest {
            Latest::Last => earlier.first > begins.0,
            Latest::First => earlier.last < begins.1,
        };
    if !between {
        begin_with(&mut reading, earlier.reading);
    }
    Some(reading)
}

/// Takes the root of an earlier reading; what was the root is the previous hop, where there is none yet.
fn begin_with<'r>(reading: &mut Reading<'r>, earlier: Reading<'r>) {
    if earlier.root.topic.is_none() {
        return;
    }
    let later = std::mem::replace(&mut reading.root, earlier.root);
    reading.previous.get_or_insert(later);
    reading.retried = false;
    reading.given.retain(|(field, _)| !field.starts_with("root."));
    reading.given.extend(earlier.given.into_iter().filter(|(field, _)| field.starts_with("root.")));
}

/// Whether `a` was before `b` (less) or after it; `None` where nothing tells.
fn order(a: &Part<'_>, b: &Part<'_>, lies_in: &str) -> Option<Ordering> {
    let late = |part: &Part<'_>| {
        part.reading.root.topic.as_deref().is_some_and(|topic| {
            topic != lies_in && (names::is_dead_letter_name(topic) || names::is_retry_name(topic))
        })
    };
    match (late(a), late(b)) {
        (true, false) => return Some(Ordering::Greater),
        (false, true) => return Some(Ordering::Less),
        _ => {}
    }
    match (a.latest, b.latest) {
        (Latest::Last, Latest::Last) => return Some(a.last.cmp(&b.last)),
        (Latest::First, Latest::First) => return Some(b.first.cmp(&a.first)),
        _ => {}
    }
    let time = |part: &Part<'_>| part.reading.latest().timestamp;
    match (time(a)?, time(b)?) {
        (a, b) if a != b => Some(a.cmp(&b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::config::profile::DeadLetters;
    use crate::dlq::Letter;
    use crate::dlq::formats::decode;
    use crate::event::{Headers, Position, Record};

    fn letter(topic: &str, headers: &[&[(&str, &str)]]) -> Letter {
        let mut out = Headers::default();
        for (name, value) in headers.iter().flat_map(|h| h.iter()) {
            let value = match *name {
                "kafka_dlt-original-partition" => Bytes::from_static(&[0, 0, 0, 3]),
                "kafka_dlt-original-offset" => {
                    Bytes::copy_from_slice(&value.parse::<i64>().unwrap().to_be_bytes())
                }
                _ => Bytes::copy_from_slice(value.as_bytes()),
            };
            out.push((*name).to_owned(), Some(value));
        }
        let at = Position::new(topic, 0, 0);
        let record = Record { at, time: None, key: None, value: None, headers: out, lease: None };
        decode(&record, &DeadLetters::default())
    }

    const fn spring<'a>(topic: &'a str, offset: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("kafka_dlt-original-topic", topic),
            ("kafka_dlt-original-partition", "3"),
            ("kafka_dlt-original-offset", offset),
            ("kafka_dlt-exception-fqcn", "a.Spring"),
        ]
    }

    const fn connect(topic: &str) -> [(&str, &str); 4] {
        [
            ("__connect.errors.topic", topic),
            ("__connect.errors.partition", "0"),
            ("__connect.errors.offset", "9"),
            ("__connect.errors.exception.class.name", "a.Connect"),
        ]
    }

    const fn smallrye(topic: &str) -> [(&str, &str); 4] {
        [
            ("dead-letter-reason", "no"),
            ("dead-letter-topic", topic),
            ("dead-letter-partition", "1"),
            ("dead-letter-offset", "4"),
        ]
    }

    fn path(letter: &Letter) -> (&str, Option<&str>, Option<&str>, Option<u32>) {
        let topic = |o: &crate::dlq::Origin| o.topic.as_deref().map(str::to_owned);
        let root = topic(&letter.root).unwrap();
        let known = ["orders", "orders-dlt", "clicks", "dlq-clicks"];
        let name = |text: String| known.into_iter().find(|n| *n == text).unwrap();
        let previous = letter.previous.as_ref().and_then(topic).map(name);
        (name(root), previous, letter.error_class.as_deref(), letter.hops)
    }

    #[test]
    fn what_failed_in_a_dead_letter_topic_failed_there_later() {
        let both = letter("dlq-clicks", &[&spring("orders", "5"), &connect("orders-dlt")]);
        assert_eq!(both.format.as_deref(), Some("kafka-connect"));
        assert_eq!(path(&both), ("orders", Some("orders-dlt"), Some("a.Connect"), Some(2)));
        assert_eq!(both.others, ["spring-kafka".into()]);
        assert!(both.notes.iter().any(|n| n.contains("headers of spring-kafka are there, too")));
        assert!(!both.notes.iter().any(|n| n.contains("another order")));
        // The other way round, and with a framework that writes on the other side.
        let both = letter("t", &[&connect("clicks"), &spring("dlq-clicks", "5")]);
        assert_eq!(path(&both), ("clicks", Some("dlq-clicks"), Some("a.Spring"), Some(2)));
        let both = letter("t", &[&smallrye("orders-dlt"), &spring("orders", "5")]);
        assert_eq!(path(&both), ("orders", Some("orders-dlt"), None, Some(2)));
    }

    #[test]
    fn of_two_that_append_the_last_one_was_later() {
        let both = letter("t", &[&connect("clicks"), &spring("orders", "5")]);
        assert_eq!(path(&both), ("clicks", Some("orders"), Some("a.Spring"), Some(2)));
        let both = letter("t", &[&spring("orders", "5"), &connect("clicks")]);
        assert_eq!(path(&both), ("orders", Some("clicks"), Some("a.Connect"), Some(2)));
    }

    #[test]
    fn one_framework_before_and_behind_another_keeps_its_first() {
        let all = letter("t", &[&spring("orders", "5"), &connect("clicks"), &spring("orders", "8")]);
        assert_eq!(path(&all), ("orders", Some("orders"), Some("a.Spring"), Some(3)));
        assert_eq!(all.root.offset, Some(5));
        assert_eq!(all.previous.as_ref().and_then(|p| p.offset), Some(8));
        let all = letter("t", &[&connect("clicks"), &spring("orders", "5"), &spring("orders", "8")]);
        assert_eq!((path(&all).0, all.previous.as_ref().and_then(|p| p.offset)), ("clicks", Some(8)));
    }

    #[test]
    fn an_order_that_does_not_show_is_told() {
        let both = letter("t", &[&smallrye("clicks"), &spring("orders", "5")]);
        assert!(both.notes.iter().any(|n| n.contains("another order is possible")));
        assert_eq!((both.hops, both.others.len()), (Some(2), 1));
    }
}
