//! The table of dead-letter formats: data, not branches; one place to add one.
