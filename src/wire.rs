//! The composition root: the only file that names the adapters.

use std::sync::Arc;

use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, kafka};
use crate::config::profile::Profile;
use crate::text::{Clock, Fault};

/// Connects to the cluster of a profile.
pub async fn connect(profile: &Profile, clock: Arc<dyn Clock>) -> Result<Arc<dyn Broker>, Fault> {
    Ok(kafka::connect(profile, clock).await?)
}

/// Bytes of records that the embedded broker keeps at most.
const EMBEDDED_BUDGET: usize = 256 << 20;

/// Starts an embedded broker.
pub fn embedded(clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
    MemoryBroker::new(clock, EMBEDDED_BUDGET).broker()
}
