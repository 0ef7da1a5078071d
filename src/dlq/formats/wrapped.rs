//! What frameworks put around the message of the error that was thrown, taken off again.

use std::borrow::Cow;

use memchr::memmem;

use super::{Reading, Source};

/// What stands between the wrapper's message and the thrown one's.
const JOINED: &str = "; ";
/// What stands before each nested exception in messages of Spring 5.
const NESTED: &str = "nested exception is ";
/// What stands before a cause in a trace.
const CAUSE: &str = "\nCaused by: ";
/// What Spring Messaging adds to an exception's line in a trace, and to no message.
const FAILED: &str = ", failedMessage=";
/// Causes that are looked at.
const MOST_CAUSES: usize = 16;
/// Places at which a message can be joined that are looked at.
const MOST_PLACES: usize = 32;
/// What Watermill's recoverer writes before and behind what was said.
const PANIC: (&str, &str) = ("panic occurred: ", ", stacktrace: \n");

/// Takes off what Spring puts before the message of the error that was thrown: `<wrapper's message>; <message>`,
/// or `…; nested exception is <class>: <message>`. An error without a message leaves nothing.
pub(super) fn spring(reading: &mut Reading<'_>) {
    let Some(message) = reading.message.take() else { return };
    let inner = nested(&message).or_else(|| {
        let trace = reading.stack_trace.as_deref()?;
        behind_headline(reading.error_class.as_deref()?, trace, &message)
            .or_else(|| before_cause(trace, &message))
    });
    let Some(at) = inner else {
        reading.message = Some(message);
        return;
    };
    reading.message = Some(from(message, at)).filter(|text| !text.is_empty());
}

/// Behind the last `nested exception is`.
fn nested(message: &str) -> Option<usize> {
    let class = memmem::rfind(message.as_bytes(), NESTED.as_bytes())? + NESTED.len();
    let rest = message.get(class..)?;
    // Without a message there is only the class.
    Some(class + rest.find(": ").map_or(rest.len(), |colon| colon + 2))
}

/// Behind the message of the trace's first line.
fn behind_headline(class: &str, trace: &str, message: &str) -> Option<usize> {
    let wrapper = trace.strip_prefix(class)?.strip_prefix(": ")?;
    let same = wrapper.bytes().zip(message.bytes()).take_while(|(a, b)| a == b).count();
    (is_over(wrapper.get(same..)?) && message.get(same..)?.starts_with(JOINED)).then_some(same + JOINED.len())
}

/// Where the message of one of the causes begins: Spring Cloud Stream joins those of two that stand below its retries.
fn before_cause(trace: &str, message: &str) -> Option<usize> {
    let places: Vec<usize> =
        memmem::find_iter(message.as_bytes(), JOINED).map(|at| at + JOINED.len()).take(MOST_PLACES).collect();
    if places.is_empty() {
        return None;
    }
    memmem::find_iter(trace.as_bytes(), CAUSE).take(MOST_CAUSES).find_map(|at| {
        let cause = trace.get(at + CAUSE.len()..)?;
        let colon = memmem::find(cause.lines().next()?.as_bytes(), b": ")?;
        let said = cause.get(colon + 2..)?;
        places.iter().copied().find(|place| {
            let inner = message.get(*place..).filter(|inner| !inner.is_empty());
            inner.is_some_and(|inner| said.strip_prefix(inner).is_some_and(is_over))
        })
    })
}

/// Whether an exception's message ends before this.
fn is_over(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['\n', '\r']) || rest.starts_with(FAILED)
}

/// Takes the stack of a recovered panic out of the message.
pub(super) fn panic(reading: &mut Reading<'_>) {
    let Some(message) = reading.message.take_if(|message| message.starts_with(PANIC.0)) else { return };
    let Some(at) = memmem::find(message.as_bytes(), PANIC.1.as_bytes()) else {
        reading.message = Some(message);
        return;
    };
    reading.stack_trace = Some(from(message.clone(), at + PANIC.1.len()));
    reading.given("stack_trace", Source::Header("reason_poisoned"));
    reading.message = Some(until(message, at));
}

fn from(text: Cow<'_, str>, at: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(at..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(at..).unwrap_or_default().to_owned()),
    }
}

fn until(text: Cow<'_, str>, at: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..at).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(..at).unwrap_or_default().to_owned()),
    }
}
