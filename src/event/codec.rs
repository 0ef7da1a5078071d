//! Payload decoding: bytes to a value for the eye and for filters.
