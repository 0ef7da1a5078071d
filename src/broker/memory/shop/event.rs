//! The shop's events: what services write, and what consumers read out of them.
//!
//! Event `n` of a seed always has the same content but for its time stamp. A few payloads are hostile on purpose:
//! escape sequences, a megabyte, bytes that are no text.

use bytes::Bytes;
use serde_json::{Value, json};

use super::cause::Cause;
use super::random::Random;
use crate::text::Timestamp;

/// The topics that services write.
pub(super) const SOURCES: [&str; 3] = ["orders", "payments", "inventory"];

/// Larger payloads fail in the push service.
const PUSH_LIMIT: usize = 65_536;

const CUSTOMERS: [&str; 8] = [
    "Zoë 注文",
    "María José",
    "Иван Петров",
    "Nguyễn Văn A",
    "Olga Ødegård",
    "Ann Smith",
    "محمد",
    "Jürgen Groß",
];
const ARTICLES: [&str; 6] = ["lamp", "chair", "tea 🍵", "notebook", "blanket", "mug"];
/// So many events back, the order is looked for that an event follows from.
const STORY: u64 = 20;

/// How likely each cause is among failing events, of 100.
const WEIGHTS: [(Cause, u64); 5] = [
    (Cause::PaymentTimeout, 45),
    (Cause::UnknownVersion, 20),
    (Cause::MissingSku, 15),
    (Cause::NullCustomer, 12),
    (Cause::OversizedPayload, 8),
];

/// One event to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Topic, without prefix.
    pub topic: &'static str,
    /// Key.
    pub key: String,
    /// Value.
    pub value: Bytes,
    /// `correlation_id`, which is a header too.
    pub correlation: String,
}

/// What an event is about before its content is made up.
struct Draft {
    topic: &'static str,
    cause: Option<Cause>,
    /// In its id; the first half of an order's is in the correlation id of all that follows from it.
    hex: String,
    /// Makes up the rest.
    random: Random,
}

fn draft(seed: u64, n: u64, failing: u64) -> Draft {
    let mut random = Random::new(seed, n);
    let cause = random.happens(failing).then(|| {
        let mut point = random.below(100);
        let hit = WEIGHTS.iter().find(|(_, weight)| {
            let hit = point < *weight;
            point = point.saturating_sub(*weight);
            hit
        });
        hit.map_or(Cause::PaymentTimeout, |(cause, _)| *cause)
    });
    let topic = match cause {
        Some(Cause::PaymentTimeout | Cause::NullCustomer) => "payments",
        Some(Cause::UnknownVersion | Cause::OversizedPayload) => "orders",
        Some(Cause::MissingSku) => "inventory",
        None => match random.below(100) {
            0..58 => "orders",
            58..71 => "payments",
            _ => "inventory",
        },
    };
    let hex = random.hex();
    Draft { topic, cause, hex, random }
}

/// The type of the events that services write to a topic, without prefix.
pub(super) fn kind_of(topic: &str) -> &'static str {
    match topic {
        "orders" => "OrderPlaced",
        "payments" => "PaymentProcessed",
        _ => "InventoryUpdated",
    }
}

/// Event number `n` of a seed; `failing` of ten thousand carry a cause.
pub(super) fn event(seed: u64, n: u64, failing: u64, now: Timestamp) -> Event {
    let Draft { topic, cause, hex, mut random } = draft(seed, n, failing);
    let event_id = format!("evt_{hex}");
    // Payments and movements of stock follow from the order before them, and tell which one that was.
    let before = || (n.saturating_sub(STORY)..n).rev().map(|m| (m, draft(seed, m, failing)));
    let order = (topic != "orders").then(|| before().find(|(_, draft)| draft.topic == "orders")).flatten();
    let (story, first) = order.map_or((n, hex), |(m, draft)| (m, draft.hex));
    let correlation = format!("req_{}", &first[..8]);
    let order = format!("ord-{}", 5000 + story % 100_000);
    let (kind, version, key, data) = match topic {
        "orders" => {
            let version = if cause == Some(Cause::UnknownVersion) { 9 } else { 1 + random.below(2) };
            ("OrderPlaced", version, order.clone(), order_data(&mut random, n, cause))
        }
        "payments" => {
            let customer = match cause {
                Some(Cause::NullCustomer) => Value::Null,
                _ => json!({ "name": random.one_of(&CUSTOMERS), "locale": "en" }),
            };
            let provider = if cause == Some(Cause::PaymentTimeout) { "slowpay" } else { "cardworks" };
            let cents = 500 + random.below(30_000);
            let data = json!({
                "order_id": order, "amount": cents as f64 / 100.0, "currency": "EUR",
                "provider": provider, "customer": customer,
            });
            ("PaymentProcessed", 1, order.clone(), data)
        }
        _ => {
            // One article is in everybody's basket: its partition is hot.
            let sku = match cause {
                Some(Cause::MissingSku) => format!("sku-x{}", random.below(50)),
                _ if random.below(100) < 60 => "sku-7".to_owned(),
                _ => format!("sku-{}", random.below(200)),
            };
            let data = json!({
                "sku": sku, "delta": 10 - random.below(20) as i64, "warehouse": "ROT-2",
                "known": cause != Some(Cause::MissingSku),
            });
            ("InventoryUpdated", 1, sku, data)
        }
    };
    let value = if topic == "inventory" && cause.is_none() && random.happens(20) {
        // An old scanner writes no text at all.
        Bytes::from(vec![0xff, 0xfe, 0x00, 0x9b, 0x1b, b'[', b'2', b'J', random.next() as u8, 0xc3, 0x28])
    } else {
        let envelope = json!({
            "event_id": event_id, "event_type": kind, "version": version, "timestamp": now.to_string(),
            "aggregate_id": key, "correlation_id": correlation, "data": data,
        });
        Bytes::from(envelope.to_string())
    };
    Event { topic, key, value, correlation }
}

fn order_data(random: &mut Random, n: u64, cause: Option<Cause>) -> Value {
    let items: Vec<Value> = (0..=random.below(3))
        .map(|_| {
            let article = random.one_of(&ARTICLES);
            json!({ "article": article, "sku": format!("sku-{}", random.below(200)), "quantity": 1 + random.below(4) })
        })
        .collect();
    let note = if cause == Some(Cause::OversizedPayload) {
        // One in four is of a megabyte, nearly all that a topic takes.
        let size = if random.below(4) == 0 { 1_000_000 } else { PUSH_LIMIT + 5_000 };
        "please ring twice · ".repeat(size / 21)
    } else if random.happens(30) {
        // What a payload must never do to a terminal: clear it, set its title, write its clipboard, turn text around.
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\u{202e}gnitirw".to_owned()
    } else {
        String::new()
    };
    json!({
        "user_id": format!("u-{}", random.below(5000)), "customer": random.one_of(&CUSTOMERS),
        "items": items, "total": (500 + random.below(30_000)) as f64 / 100.0,
        "address": { "city": "Rotterdam", "geo": { "lat": 51.92, "lon": 4.47 } }, "note": note, "number": n,
    })
}

/// What a consumer reads out of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `event_id`; `None` where the payload is no envelope.
    pub event_id: Option<String>,
    /// The cause on which `group` fails with this event.
    pub cause: Option<Cause>,
    /// What messages name: the order or the article.
    pub subject: String,
}

/// Reads an event as a consumer of `group` does; `topic` is without prefix.
pub(super) fn read(group: &str, topic: &str, value: Option<&[u8]>) -> Seen {
    let value = value.unwrap_or_default();
    let envelope: Value = serde_json::from_slice(value).unwrap_or_default();
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let data = &envelope["data"];
    let cause = match (group, topic) {
        ("email", "payments") if data["provider"] == "slowpay" => Some(Cause::PaymentTimeout),
        ("email", "payments") if data.is_object() && data["customer"].is_null() => Some(Cause::NullCustomer),
        ("analytics", "orders") if envelope["version"].as_u64() > Some(2) => Some(Cause::UnknownVersion),
        ("warehouse", "inventory") if data["known"] == false => Some(Cause::MissingSku),
        ("notification", "orders") if value.len() > PUSH_LIMIT => Some(Cause::OversizedPayload),
        _ => None,
    };
    Seen {
        event_id: text(&envelope["event_id"]),
        cause,
        subject: text(&envelope["aggregate_id"]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_525_331_034);

    #[test]
    fn the_same_seed_gives_the_same_events() {
        for n in 0..500 {
            assert_eq!(event(7, n, 200, NOW), event(7, n, 200, NOW));
        }
        assert_ne!(event(7, 1, 200, NOW), event(8, 1, 200, NOW));
    }

    #[test]
    fn every_cause_occurs_and_only_its_own_group_fails_on_it() {
        let mut found = std::collections::HashSet::new();
        for n in 0..6000 {
            let event = event(7, n, 200, NOW);
            for group in ["email", "analytics", "warehouse", "notification"] {
                if let Some(cause) = read(group, event.topic, Some(&event.value)).cause {
                    assert_eq!(cause.group(), group);
                    found.insert(cause);
                }
            }
        }
        assert_eq!(found.len(), Cause::ALL.len(), "{found:?}");
    }

    #[test]
    fn a_payment_names_the_order_that_it_is_for() {
        let events: Vec<Event> = (0..200).map(|n| event(7, n, 200, NOW)).collect();
        let payments: Vec<_> = events.iter().filter(|event| event.topic == "payments").collect();
        assert!(payments.len() > 10);
        for payment in payments {
            let order = events.iter().find(|event| event.topic == "orders" && event.key == payment.key);
            assert_eq!(order.map(|order| &order.correlation), Some(&payment.correlation), "{}", payment.key);
        }
    }

    #[test]
    fn without_failures_nothing_fails() {
        for n in 0..3000 {
            let event = event(7, n, 0, NOW);
            for cause in Cause::ALL {
                assert_eq!(read(cause.group(), event.topic, Some(&event.value)).cause, None);
            }
        }
    }

    #[test]
    fn no_event_is_larger_than_a_topic_takes() {
        let all = || (0..20_000).map(|n| event(3, n, 2_000, NOW).value.len());
        assert!(all().max() < Some(1_040_000));
        assert!(all().max() > Some(900_000));
    }
}
