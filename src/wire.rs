//! The composition root: the only file that names the adapters.

use std::sync::Arc;

use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, kafka};
use crate::config::profile::Profile;
use crate::event::decode::Schemas;
use crate::schemas::Registry;
use crate::text::{Clock, Fault};

/// Connects to the cluster of a profile.
pub async fn connect(profile: &Profile, clock: Arc<dyn Clock>) -> Result<Arc<dyn Broker>, Fault> {
    Ok(kafka::connect(profile, clock).await?)
}

/// The schema registry of a profile, where it has one.
pub fn schemas(profile: &Profile, clock: Arc<dyn Clock>) -> Result<Option<Arc<dyn Schemas>>, Fault> {
    let Some(settings) = &profile.schema_registry else { return Ok(None) };
    Ok(Some(Arc::new(Registry::new(settings, clock)?)))
}

/// Bytes of records that the embedded broker keeps at most.
const EMBEDDED_BUDGET: usize = 256 << 20;

/// Starts an embedded broker.
pub fn embedded(clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
    MemoryBroker::new(clock, EMBEDDED_BUDGET).broker()
}
