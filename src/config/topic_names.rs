//! Names of topics by their ids, as the cluster told them: KIP-1191 writes an id where a broker finds no name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The names; clones share them.
#[derive(Clone, Debug, Default)]
pub struct TopicNames(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    by_id: RwLock<HashMap<String, Arc<str>>>,
    missed: AtomicBool,
}

impl TopicNames {
    /// The topic with this id.
    pub fn of(&self, id: &str) -> Option<Arc<str>> {
        let name = self.0.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if name.is_none() {
            self.0.missed.store(true, Ordering::Relaxed);
        }
        name
    }

    /// Whether a name was asked for that is not known.
    pub fn missed(&self) -> bool {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// Takes what the cluster told, instead of what was known.
    pub fn learn(&self, names: HashMap<String, Arc<str>>) {
        *self.0.by_id.write().unwrap_or_else(PoisonError::into_inner) = names;
        self.0.missed.store(false, Ordering::Relaxed);
    }
}

impl PartialEq for TopicNames {
    fn eq(&self, other: &Self) -> bool {
        let names = |of: &Self| of.0.by_id.read().unwrap_or_else(PoisonError::into_inner).clone();
        Arc::ptr_eq(&self.0, &other.0) || names(self) == names(other)
    }
}

impl Eq for TopicNames {}
