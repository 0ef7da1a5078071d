//! The event inside a record: id, type, version, time and relations, by ordered candidates.
