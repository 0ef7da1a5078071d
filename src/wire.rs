//! The composition root: the only file that names the adapters.

use std::sync::Arc;

use crate::broker::Broker;
use crate::config::profile::Profile;
use crate::text::{Clock, Fault};

/// Connects to the cluster of a profile.
#[expect(clippy::unused_async, reason = "an adapter that connects will wait")]
pub async fn connect(profile: &Profile, clock: Arc<dyn Clock>) -> Result<Arc<dyn Broker>, Fault> {
    let _ = clock;
    Err(Fault::failed("unwired", format!("no adapter for profile {:?} yet", profile.name)))
}
