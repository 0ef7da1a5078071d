//! The topics of ledger and audit: made before the first write, exactly as the protocol says, and looked at before
//! anything else is written, so that what cannot be kept is not done by half. Limits: a profile that cannot write, and a
//! broker that does not tell, leave open whether the topics can be made.

use std::time::Duration;

use super::cluster::{self, Health};
use super::rights;
use crate::broker::{BrokerError, ErrorKind, Name, NewTopic, Writer};
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

/// Whether a ledger that can lose rows is written all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weak {
    /// By `--force ledger_weak`.
    Forced,
    /// Refused, with what can be done.
    Refused(&'static str),
}

/// What `--force` says of a weak ledger.
pub(super) fn weak(force: &[String]) -> Weak {
    if force.iter().any(|rule| rule == "ledger_weak") {
        return Weak::Forced;
    }
    Weak::Refused("let an administrator strengthen it, or give --force ledger_weak")
}

/// Refuses where ledger and audit are not to be written, or cannot be; gives those of the two that are missing.
pub(super) async fn check(cx: &Cx, weak: Weak) -> Result<Vec<&'static str>, Fault> {
    let health = cluster::health(cx).await?;
    if let (Some(why), Weak::Refused(hint)) = (&health.weak, weak) {
        return Err(Fault::refused("ledger_weak", "the ledger can lose what is written to it")
            .why(why.as_str())
            .hint(hint));
    }
    may_write(cx, &health).await?;
    Ok(health.missing)
}

/// Refuses where ledger and audit cannot be written, as far as that is known before.
pub(super) async fn may_write(cx: &Cx, health: &Health) -> Result<(), Fault> {
    if let Some(why) = &health.unwritable {
        return Err(Fault::refused("replicas", "what is done cannot be kept now")
            .why(why.as_str())
            .hint(BACK));
    }
    let books = [LEDGER_TOPIC, AUDIT_TOPIC].map(Name::from);
    let missing = rights::missing(cx, &[], &books).await?;
    if !missing.is_empty() {
        return Err(Fault::refused("acl", "what is done cannot be kept").why(missing.join("; ")));
    }
    unmakeable(cx, &health.missing).await?.map_or(Ok(()), Err)
}

/// What to do about replicas that are not in sync.
pub(super) const BACK: &str = "bring the replicas back, then try again";

/// Why the missing ones of the two topics cannot be made by this user; `None` where they can, and where nobody tells.
pub(super) async fn unmakeable(cx: &Cx, missing: &[&str]) -> Result<Option<Fault>, Fault> {
    let Some(writer) = cx.broker.writer().filter(|_| !missing.is_empty()) else { return Ok(None) };
    let nodes = cx.broker.catalog().cluster().await?.nodes.len();
    let checked = writer.check_topics(&wanted(nodes, missing)).await;
    let denied = |error: BrokerError| (error.kind == ErrorKind::Authorisation).then_some(error.why);
    let why = match checked {
        Ok(each) => each.into_iter().filter_map(Result::err).find_map(denied),
        Err(error) => denied(error),
    };
    Ok(why.map(|why| forbidden(missing, why, nodes)))
}

fn forbidden(missing: &[&str], why: String, nodes: usize) -> Fault {
    let verb = if missing.len() == 1 { "is missing, and" } else { "are missing, and" };
    Fault::refused("acl", format!("{} {verb} may not be made", missing.join(" and ")))
        .why(why)
        .hint(format!("let an administrator run:\n{}", commands(&wanted(nodes, missing))))
}

fn wanted(nodes: usize, missing: &[&str]) -> Vec<NewTopic> {
    definitions(nodes).into_iter().filter(|t| missing.contains(&&*t.name)).collect()
}

/// Makes those of the two topics that are missing, and waits until they can be used.
pub(super) async fn make(cx: &Cx, writer: &dyn Writer, missing: &[&str]) -> Result<(), Fault> {
    if missing.is_empty() {
        return Ok(());
    }
    let nodes = cx.broker.catalog().cluster().await?.nodes.len();
    let wanted = wanted(nodes, missing);
    for made in writer.create_topics(&wanted).await? {
        match made {
            Ok(()) => {}
            // Another run made it at the same moment.
            Err(e) if e.kind == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind == ErrorKind::Authorisation => return Err(forbidden(missing, e.why, nodes)),
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

/// The commands that make the topics.
fn commands(topics: &[NewTopic]) -> String {
    let command = |topic: &NewTopic| {
        let config: Vec<String> = topic.config.iter().map(|(n, v)| format!(" --config {n}={v}")).collect();
        format!(
            "kafka-topics.sh --create --topic {} --partitions 1 --replication-factor {}{}",
            topic.name,
            topic.replication.unwrap_or(1),
            config.concat()
        )
    };
    topics.iter().map(command).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_is_given_both_commands_as_the_protocol_has_them() {
        let commands = |nodes| commands(&definitions(nodes));
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
