//! Groups that the client library does not describe.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redrive::broker::GroupKind;

use crate::support::{plain, soon, topic, unique, variable};

/// Kafka's own tool; it ends with the test.
struct Tool(Child);

impl Tool {
    fn start(class: &str, arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker");
        let path = Command::new(script).arg("classpath").output().unwrap();
        assert!(path.status.success(), "tests/broker classpath failed");
        let path = String::from_utf8(path.stdout).unwrap();
        let child = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", path.trim(), class])
            .args(["--bootstrap-server", &variable("REDRIVE_TEST_BROKERS")])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("java is there, for the broker runs on it");
        Self(child)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
#[ignore = "needs a Kafka broker: tests/run starts one"]
async fn a_share_group_is_named_and_never_called_dead() {
    let broker = plain().await;
    let shard = topic(&*broker, &[]).await;
    let group = unique("share");
    let class = "org.apache.kafka.tools.consumer.ConsoleShareConsumer";
    let _consumer = Tool::start(class, &["--topic", &shard.topic, "--group", &group]);
    let summary = soon("the share group", async {
        loop {
            // What is hidden is asked for rarely; a new connection asks at once.
            let groups = plain().await.groups().unwrap().list().await.unwrap();
            if let Some(found) = groups.into_iter().find(|g| g.group == group) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    assert_eq!((summary.kind, &summary.state), (GroupKind::Unknown, &None));
    assert!(summary.unknown_reason.is_some());
    let described = broker.groups().unwrap().describe(std::slice::from_ref(&group)).await.unwrap().remove(0);
    assert_eq!(described.unwrap().summary, summary);
}
