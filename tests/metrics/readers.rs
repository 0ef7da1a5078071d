//! The text is read by Prometheus' own tool.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use redrive::exposition::Dialect;

use crate::world::{World, everything, of_the_demonstration};

/// Checks metrics with `promtool`, which may complain of style alone where that is agreed.
fn checked(text: &str) {
    let tool = std::env::var("REDRIVE_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let mut child = Command::new(&tool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{tool}: {e}"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8(said).unwrap());
}

#[tokio::test(start_paused = true)]
#[ignore = "needs promtool: tests/run brings it"]
async fn promtool_reads_the_whole_of_it() {
    checked(&of_the_demonstration(Dialect::Text).await);
}

#[tokio::test(start_paused = true)]
#[ignore = "needs promtool: tests/run brings it"]
async fn promtool_reads_names_that_are_made_to_break_it() {
    let world = World::new();
    crate::truth::topic(&world, "orders", 1, 3).await;
    for group in ["a\"b", "back\\slash", "line\nbreak", "{x=\"1\"} 2", "\u{1b}[2J\u{202e}", "ü–名"] {
        let offsets = [(redrive::broker::Shard::new("orders", 0), 1)];
        world.broker.writer().unwrap().alter_offsets(&group.into(), &offsets).await.unwrap();
    }
    let picture = world.after(Duration::from_secs(5)).await;
    let text = world.text(&picture, &everything(), Dialect::Text);
    assert!(text.contains(r#"group="a\"b""#) && text.contains(r#"group="line\nbreak""#), "{text}");
    checked(&text);
}

#[test]
#[ignore = "needs promtool: tests/run brings it"]
fn promtool_reads_the_alerts() {
    let tool = std::env::var("REDRIVE_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/alerts.yml");
    let output = Command::new(tool).args(["check", "rules", rules]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8(output.stderr).unwrap());
}
