//! The topics of ledger and audit: made before the first write, exactly as the protocol says.

use std::time::Duration;

use super::cluster;
use crate::broker::{ErrorKind, Name, NewTopic, Writer};
use crate::context::Cx;
use crate::ledger::{AUDIT_TOPIC, LEDGER_TOPIC};
use crate::text::Fault;

/// How often a new topic is looked for before it counts as not made.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// The two topics on a cluster with `nodes` nodes.
fn definitions(nodes: usize) -> [NewTopic; 2] {
    let factor = nodes.clamp(1, 3) as i32;
    let define = |name: &str, own: &[(&str, &str)]| {
        let mut config = vec![
            ("unclean.leader.election.enable", "false"),
            ("message.timestamp.type", "LogAppendTime"),
            ("compression.type", "zstd"),
        ];
        config.extend_from_slice(own);
        if factor >= 3 {
            config.push(("min.insync.replicas", "2"));
        }
        NewTopic {
            name: Name::from(name),
            partitions: 1,
            replication: Some(factor),
            config: config.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        }
    };
    [
        define(LEDGER_TOPIC, &[("cleanup.policy", "compact")]),
        define(
            AUDIT_TOPIC,
            &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")],
        ),
    ]
}

/// Makes those of the two topics that are missing, and waits until they can be used.
pub(super) async fn make(cx: &Cx, writer: &dyn Writer, missing: &[&str]) -> Result<(), Fault> {
    if missing.is_empty() {
        return Ok(());
    }
    let nodes = cx.broker.catalog().cluster().await?.nodes.len();
    let wanted: Vec<NewTopic> =
        definitions(nodes).into_iter().filter(|t| missing.contains(&&*t.name)).collect();
    for (topic, made) in wanted.iter().zip(writer.create_topics(&wanted).await?) {
        match made {
            Ok(()) => {}
            // Another run made it at the same moment.
            Err(e) if e.kind == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind == ErrorKind::Authorisation => {
                return Err(Fault::refused("acl", format!("{} could not be made", topic.name))
                    .why(e.why)
                    .hint(format!("let an administrator run:\n{}", commands(nodes))));
            }
            Err(e) => return Err(e.into()),
        }
    }
    let names: Vec<Name> = wanted.iter().map(|t| Name::clone(&t.name)).collect();
    for _ in 0..LOOKS {
        if cluster::targets(cx, &names).await?.len() == names.len() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Fault::failed("timed_out", format!("{} was made, but cannot be seen", names.join(" and "))))
}

/// The commands that make both topics.
fn commands(nodes: usize) -> String {
    let command = |topic: &NewTopic| {
        let config: Vec<String> = topic.config.iter().map(|(n, v)| format!(" --config {n}={v}")).collect();
        format!(
            "kafka-topics.sh --create --topic {} --partitions 1 --replication-factor {}{}",
            topic.name,
            topic.replication.unwrap_or(1),
            config.concat()
        )
    };
    definitions(nodes).iter().map(command).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_is_given_both_commands_as_the_protocol_has_them() {
        let text = commands(5);
        let ledger = text.lines().next().unwrap();
        assert!(ledger.contains("--topic __redrive.ledger --partitions 1 --replication-factor 3"));
        for setting in
            ["cleanup.policy=compact", "min.insync.replicas=2", "message.timestamp.type=LogAppendTime"]
        {
            assert!(ledger.contains(setting), "{ledger}");
        }
        assert!(text.lines().nth(1).unwrap().contains("retention.ms=-1"));
        assert!(commands(1).contains("--replication-factor 1"));
        assert!(!commands(1).contains("min.insync.replicas"));
    }
}
