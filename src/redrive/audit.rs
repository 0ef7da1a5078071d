//! The audit of what is done outside of a run: a record before it, and one after it.

use super::books;
use super::item::PROGRAM;
use super::transaction::book;
use crate::broker::{Commit, Name, SessionKind, Writer};
use crate::config::profile::Sasl;
use crate::context::Cx;
use crate::ledger::AUDIT_TOPIC;
use crate::ledger::audit::{Action, AuditRecord};
use crate::text::Fault;

/// A record with who acts; `now` is milliseconds since the epoch.
pub fn record(cx: &Cx, action: Action, now: i64) -> AuditRecord {
    let mut record = AuditRecord::new(action, now);
    record.operator.clone_from(&cx.operator.name);
    record.os_user.clone_from(&cx.operator.os_user);
    record.host.clone_from(&cx.operator.host);
    record.sasl_user = match &cx.profile.connection.sasl {
        Some(Sasl::Plain { username, .. } | Sasl::Scram { username, .. }) => Some(username.clone()),
        Some(Sasl::OAuthBearer { client_id, .. }) => Some(client_id.clone()),
        None => None,
    };
    PROGRAM.clone_into(&mut record.program);
    record
}

/// Makes the audit's topic where it is missing; only after the operator agreed to the action.
pub async fn open(cx: &Cx, writer: &dyn Writer) -> Result<(), Fault> {
    let there = cx.broker.catalog().topics(Some(&[Name::from(AUDIT_TOPIC)])).await?;
    if there.is_empty() { books::make(cx, writer, &[AUDIT_TOPIC]).await } else { Ok(()) }
}

/// Appends records; all of them are in the audit when this returns.
pub async fn append(writer: &dyn Writer, records: &[AuditRecord]) -> Result<(), Fault> {
    let unwritten = |why: String| {
        Fault::failed("audit", format!("{AUDIT_TOPIC} took no record"))
            .why(why)
            .hint("the user needs the right to write to it; what cannot be audited is not done")
    };
    let mut session = writer.begin(SessionKind::Idempotent).await?;
    for record in records {
        session.stage(book(AUDIT_TOPIC, None, record.encode())).await?;
    }
    let answers = session.settle().await?;
    if let Some(error) = answers.into_iter().find_map(|(_, answer)| answer.err()) {
        return Err(unwritten(error.why));
    }
    match session.commit().await? {
        Commit::Done => Ok(()),
        Commit::Unknown(error) | Commit::Fenced(error) | Commit::Aborted(error) => Err(unwritten(error.why)),
    }
}
