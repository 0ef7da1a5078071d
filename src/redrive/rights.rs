//! What a run needs of the cluster, asked before it: rights, and replicas in sync.
//!
//! Rights to topics are what the broker says that this user may do. The right to the transactional id is found by
//! initialising one of its own, `redrive-<topic id>-probe`: the real one would fence a colleague at work. Limits:
//! a broker without an authoriser, or one that does not tell, lets everything pass here.

use std::time::Duration;

use crate::broker::{ErrorKind, Name, SessionKind};
use crate::context::Cx;
use crate::text::Fault;

/// How long the probe waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why the user may not write in transactions; `None` where nothing says so.
pub(super) async fn transactions(cx: &Cx, source: Option<&str>) -> Option<String> {
    let (Some(writer), Some(source)) = (cx.broker.writer(), source) else { return None };
    if !cx.broker.capabilities().transactions.usable() {
        return Some("the broker has no transactions".to_owned());
    }
    let id = format!("redrive-{source}-probe");
    match writer.begin(SessionKind::Transactional { id: id.clone(), timeout: TIMEOUT }).await {
        Err(e) if e.kind == ErrorKind::Authorisation => {
            Some(format!("there is no right to write under transactional ids like {id}"))
        }
        Err(e) if e.kind == ErrorKind::Unsupported => {
            Some(format!("the broker refuses transactions: {}", e.why))
        }
        // What else is wrong with it, a run will meet too, and wait for.
        Ok(_) | Err(_) => None,
    }
}

/// What is missing, a sentence each.
pub(super) async fn missing(cx: &Cx, read: &[Name], write: &[Name]) -> Result<Vec<String>, Fault> {
    let mut out = Vec::new();
    let catalog = cx.broker.catalog();
    let names: Vec<Name> = read.iter().chain(write).cloned().collect();
    let there: Vec<Name> = catalog.topics(Some(&names)).await?.into_iter().map(|info| info.name).collect();
    for (topic, allowed) in there.iter().zip(catalog.allowed(&there).await?) {
        // One that cannot be asked is met again by the run, which then says so.
        let Ok(Some(allowed)) = allowed else { continue };
        if write.contains(topic) && !allowed.write {
            out.push(format!("there is no right to write to {topic}"));
        }
        if read.contains(topic) && !allowed.read {
            out.push(format!("there is no right to read {topic}"));
        }
    }
    Ok(out)
}
