//! The incident drill on a real Kafka, by commands alone: the shop fails, an operator finds out why, repairs it,
//! redrives what died, and sees it processed.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Home;

const PATIENCE: Duration = Duration::from_secs(180);

/// Ends the shop, whatever becomes of the test.
struct Running(Child);

impl Running {
    /// Closes the shop as ctrl-c does, so that its members leave their groups.
    fn close(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(self.0.wait().unwrap().code(), Some(130));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[track_caller]
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test of a real program waits in real time")]
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
fn an_incident_from_the_first_dead_letter_to_the_last_confirmed_one() {
    let brokers =
        std::env::var("REDRIVE_TEST_BROKERS").expect("REDRIVE_TEST_BROKERS names a Kafka; use tests/run");
    let home = Home::new().set("REDRIVE_BROKERS", &brokers);
    let prefix = format!("redrive-demo.{}.", uuid::Uuid::new_v4().simple());
    let named = |name: &str| format!("{prefix}{name}");
    let demo = ["demo", "--brokers", &brokers, "--prefix", &prefix];

    // Nobody can be asked here: without --yes nothing is made.
    let shown = home.run(&[&demo[..], &["--headless"]].concat());
    assert_ne!(shown.code, 0, "{}{}", shown.out, shown.err);
    let topics = home.run(&["topics", "list", "-o", "json"]).code(0).json();
    assert!(!topics.to_string().contains(&prefix), "{topics}");

    let shop = Running(
        home.command(&[&demo[..], &["--headless", "--yes", "--seed", "7", "--rate", "100"]].concat())
            .spawn()
            .unwrap(),
    );
    let dlq = &*named("payments-dlt");
    let failure = wait("timeouts of the payment gateway", || {
        let found = home.run(&["dlq", "failures", dlq, "-o", "json"]);
        let failures = if found.code == 0 { found.json()["failures"].clone() } else { Value::Null };
        let timeout = |f: &&Value| {
            f["root_cause_class"] == "java.net.SocketTimeoutException" && f["pending"].as_u64() >= Some(2)
        };
        failures.as_array().into_iter().flatten().find(timeout).cloned()
    });
    assert_eq!(failure["group"], named("email"));
    assert_eq!(failure["origin_topic"], named("payments"));
    assert!(failure["frame"].as_str().unwrap().starts_with("shop.PaymentGateway.charge"), "{failure}");
    let id = failure["id"].as_str().unwrap();

    let rows = home.run(&["dlq", "list", "-o", "json"]).code(0).json();
    let row =
        rows["dead_letter_topics"].as_array().unwrap().iter().find(|r| r["topic"] == dlq).cloned().unwrap();
    assert_eq!(row["found_by"], "headers");
    assert!(row["pending"].as_u64().unwrap() >= 2, "{row}");
    let letters = home.run(&["dlq", "letters", dlq, "--failure", id, "-o", "jsonl"]).code(0).lines();
    assert!(letters.iter().all(|l| l["state"] == "pending" && l["failure_id"] == id), "{letters:?}");

    // The cause is repaired, and what died of it is redriven.
    home.run(&[&demo[..], &["--repair", "payment-timeout", "--yes"]].concat()).code(0);
    let pending_before = {
        // Letters on their way when the cause was repaired have arrived when the number stands still.
        let mut last = None;
        wait("the last letter of the repaired cause", || {
            let all = home.run(&["dlq", "failures", dlq, "-o", "json"]).code(0).json();
            let now = all["failures"].as_array()?.iter().find(|f| f["id"] == id)?["pending"].as_u64();
            std::thread::sleep(Duration::from_secs(2));
            let still = last == now;
            last = now;
            if still { now } else { None }
        })
    };
    home.run(&["plan", dlq, "--failure", id, "--save", "plan.jsonl"]).code(0);
    let plan = home.run(&["plan", dlq, "--failure", id, "-o", "json"]).code(0).json();
    assert_eq!(plan["guarantee"], "exactly_once");
    let seen_by = plan["preflight"]["groups_that_will_see_them"].as_array().unwrap();
    assert!(seen_by.contains(&Value::from(named("email"))), "{plan}");
    let refused = home.run(&["run", "plan.jsonl"]).code(4);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    let run = home
        .run(&["run", "plan.jsonl", "--yes", "--reason", "the gateway is back", "-o", "json"])
        .code(0)
        .json();
    assert_eq!(run["redriven"].as_u64(), Some(pending_before), "{run}");
    assert_eq!(
        run["operator"],
        home.run(&["runs", "list", "-o", "json"]).code(0).json()["runs"][0]["operator"]
    );

    // What was redriven is processed, and stays handled.
    wait("the group to process what was redriven", || {
        let letters =
            home.run(&["dlq", "letters", dlq, "--failure", id, "--state", "redriven", "-o", "jsonl"]);
        let letters = letters.code(0).lines();
        let done = |l: &Value| l["redrive"]["outcome"] == "processed";
        (letters.len() as u64 == pending_before && letters.iter().all(done)).then_some(())
    });
    let again = home.run(&["run", "plan.jsonl", "--yes", "-o", "json"]).code(0).json();
    assert_eq!(
        (again["redriven"].as_u64(), again["already_handled"].as_u64()),
        (Some(0), Some(pending_before))
    );

    shop.close();
    home.run(&[&demo[..], &["--clean", "--yes"]].concat()).code(0);
    wait("the shop's topics to be gone", || {
        let topics = home.run(&["topics", "list", "-o", "json"]).code(0).json();
        let left = |t: &Value| t["name"].as_str().is_some_and(|n| n.starts_with(&prefix));
        (!topics["topics"].as_array().unwrap().iter().any(left)).then_some(())
    });
}
