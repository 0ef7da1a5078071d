//! The fingerprint of a failure: what makes two dead letters fail for the same reason.

use std::sync::Arc;

/// Why a letter failed, without what differs from letter to letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Failure {
    /// Short id, stable between calls and machines: from root-cause class, first application frame, group
    /// and origin topic.
    pub id: Arc<str>,
    /// The outermost exception class.
    pub error_class: Option<Arc<str>>,
    /// The end of the chain of causes.
    pub root_cause_class: Option<Arc<str>>,
    /// The application's own first stack frame, without line number.
    pub frame: Option<Arc<str>>,
    /// The message with numbers, ids and times removed.
    pub message: Option<Arc<str>>,
    /// Origin topic.
    pub origin_topic: Option<Arc<str>>,
    /// Consumer group.
    pub group: Option<Arc<str>>,
}
