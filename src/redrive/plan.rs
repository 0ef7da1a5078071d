//! A redrive plan: exact letters with digests, the target, the options. Pure.

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {}
