//! Units for the eye: counts, bytes, rates and durations in few cells.
