//! Schemas of a registry: fetched once, kept, and asked for without waiting where something is drawn.
//!
//! The protocol is Confluent's (`/schemas/ids/ID`, `/schemas/guids/GUID`, `/subjects/S/versions/V`), which Karapace and
//! Apicurio speak too. One thread fetches, so that nobody who draws waits for the network; a registry that does not
//! answer costs the decoding, never the record.

mod client;

use std::collections::HashMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::profile::SchemaRegistry;
use crate::event::decode::{Patience, Registered, Schema, SchemaId, Schemas};
use crate::text::{Clock, Fault};
use client::Client;

/// Schemas that wait to be fetched.
const WAITING: usize = 64;
/// Schemas that are kept; more than this many are forgotten at once.
const KEPT: usize = 4_096;
/// How long a failure is believed.
const AGAIN: Duration = Duration::from_secs(15);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
enum Known {
    Asked,
    Fetched(Arc<Schema>),
    /// Why not, and when that was seen.
    Failed(String, Duration),
}

struct Shared {
    known: Mutex<HashMap<SchemaId, Known>>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<SchemaId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: SchemaId, known: Known) {
        self.lock().insert(id, known);
        self.changed.notify_all();
    }
}

/// A schema registry.
pub struct Registry {
    shared: Arc<Shared>,
    wanted: SyncSender<SchemaId>,
    client: Arc<Client>,
}

impl Registry {
    /// The registry of a profile. Nothing is asked before a schema is wanted.
    pub fn new(settings: &SchemaRegistry, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let client = Arc::new(Client::new(settings, TIMEOUT)?);
        let shared = Arc::new(Shared { known: Mutex::default(), changed: Condvar::new(), clock });
        let (wanted, asked) = sync_channel::<SchemaId>(WAITING);
        let fetching = Arc::clone(&shared);
        let fetcher = Arc::clone(&client);
        std::thread::Builder::new()
            .name("schemas".to_owned())
            .spawn(move || {
                for id in asked {
                    let known = match fetcher.fetch(&id) {
                        Ok(schema) => Known::Fetched(Arc::new(schema)),
                        Err(why) => Known::Failed(why, fetching.clock.monotonic()),
                    };
                    fetching.put(id, known);
                }
            })
            .map_err(|e| {
                Fault::failed("internal", "the thread that fetches schemas cannot begin").why(e.to_string())
            })?;
        Ok(Self { shared, wanted, client })
    }

    /// Asks for a schema that is not known, or whose failure is old.
    fn ask(&self, id: &SchemaId, known: &mut HashMap<SchemaId, Known>) {
        if known.len() >= KEPT {
            known.retain(|_, known| matches!(known, Known::Asked));
        }
        match self.wanted.try_send(id.clone()) {
            Ok(()) => {
                known.insert(id.clone(), Known::Asked);
            }
            // It is asked for when it is wanted again.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => {
                let why = "the thread that fetches schemas has ended".to_owned();
                known.insert(id.clone(), Known::Failed(why, self.shared.clock.monotonic()));
            }
        }
    }
}

impl Schemas for Registry {
    fn schema(&self, id: &SchemaId, patience: Patience) -> Result<Arc<Schema>, String> {
        let mut known = self.shared.lock();
        let now = self.shared.clock.monotonic();
        match known.get(id) {
            None => self.ask(id, &mut known),
            Some(Known::Failed(_, seen)) if now.saturating_sub(*seen) > AGAIN => self.ask(id, &mut known),
            Some(_) => {}
        }
        if patience == Patience::Wait {
            let waiting = |known: &mut HashMap<SchemaId, Known>| matches!(known.get(id), Some(Known::Asked));
            // A request and those of the references, each within its time-out.
            let waited = self.shared.changed.wait_timeout_while(known, TIMEOUT * 4, waiting);
            known = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match known.get(id) {
            Some(Known::Fetched(schema)) => Ok(Arc::clone(schema)),
            Some(Known::Failed(why, _)) => Err(why.clone()),
            Some(Known::Asked) | None => Err(format!("schema {id} is not fetched yet")),
        }
    }

    fn registered(&self, subject: &str, version: Option<u32>) -> Result<Registered, String> {
        self.client.registered(subject, version)
    }
}

#[cfg(test)]
mod tests;
