//! What frameworks put around the message of the error that was thrown, taken off again.

use std::borrow::Cow;

use memchr::memmem;

use super::{Note, Reading, Source};

/// What stands between the wrapper's message and the thrown one's.
const JOINED: &str = "; ";
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

/// Exceptions that Spring puts around the one that was thrown.
const AROUND: [&str; 8] = [
    "org.springframework.kafka.KafkaException",
    "org.springframework.kafka.listener.ListenerExecutionFailedException",
    "org.springframework.kafka.listener.TimestampedException",
    "org.springframework.messaging.MessagingException",
    "org.springframework.messaging.MessageDeliveryException",
    "org.springframework.messaging.MessageHandlingException",
    "org.springframework.core.retry.RetryException",
    "org.springframework.retry.ExhaustedRetryException",
];
/// Ends of the listener's own message, which tell it where there is no trace.
const LISTENER: [&str; 2] = ["' threw exception; ", "Listener failed; "];

/// Takes off what Spring puts before the message of the error that was thrown: `<wrapper's message>; <message>`,
/// or `…; nested exception is <class>: <message>`. An error without a message leaves nothing.
pub(super) fn spring(reading: &mut Reading<'_>) {
    let Some(message) = reading.message.take() else { return };
    // Most have nothing around them, and nothing else is needed where millions of letters are read.
    if reading.stack_trace.is_none() && !message.contains(';') {
        reading.message = Some(message);
        return has_message(reading);
    }
    if let Some((begin, end)) = nested(reading.error_class.as_deref(), &message) {
        reading.message = Some(from(until(message, end), begin));
        return has_message(reading);
    }
    let trace = reading.stack_trace.as_deref().unwrap_or_default();
    let inner = reading
        .error_class
        .as_deref()
        .and_then(|class| behind_headline(class, trace, &message))
        .or_else(|| before_cause(trace, &message))
        .or_else(|| {
            LISTENER
                .iter()
                .find_map(|end| Some(memmem::find(message.as_bytes(), end.as_bytes())? + end.len()))
        });
    let by_header = match inner {
        Some(at) => from(message, at),
        None => message,
    };
    // Below retries the header joins the messages of two wrappers: there the trace alone has the error's own.
    let own = thrown(trace).filter(|own| own.is_empty() || !by_header.starts_with(own)).map(str::to_owned);
    let by_trace = own.as_deref().is_some_and(|own| !own.is_empty());
    reading.message = Some(own.map_or(by_header, Cow::Owned));
    if by_trace {
        reading.given.retain(|(field, _)| *field != "message");
        reading.given("message", Source::Thrown);
    }
    has_message(reading);
}

/// An error without a message has none, whatever the header says of its wrappers.
fn has_message(reading: &mut Reading<'_>) {
    if reading.message.take_if(|text| text.is_empty()).is_none() {
        return;
    }
    let at = reading.given.iter().position(|(field, _)| *field == "message");
    if let Some((_, Source::Header(name) | Source::Embedded(name))) = at.map(|at| reading.given.remove(at)) {
        reading.note(Note::Header(
            name,
            "has the messages of Spring's own exceptions alone: the error has none",
        ));
    }
}

/// Where the message of the error that was thrown begins and ends among those of its wrappers and causes, where each
/// has the next one's within its own.
fn nested(class: Option<&str>, message: &str) -> Option<(usize, usize)> {
    const MARK: &str = "; nested exception is ";
    let places: Vec<usize> =
        memmem::find_iter(message.as_bytes(), MARK).take(MOST_PLACES).chain([message.len()]).collect();
    if places.len() < 2 {
        return None;
    }
    if class.is_none_or(|class| !AROUND.contains(&class)) {
        return Some((0, places[0]));
    }
    let (mut begin, mut end) = (0, places[0]);
    for pair in places.windows(2) {
        let at = pair[0] + MARK.len();
        end = pair[1];
        let segment = message.get(at..end)?;
        // Without a message there is only the class.
        let colon = segment.find(": ");
        begin = at + colon.map_or(segment.len(), |colon| colon + 2);
        if !AROUND.contains(&segment.get(..colon.unwrap_or(segment.len()))?) {
            break;
        }
    }
    Some((begin, end))
}

/// The message of the first exception of a trace that is none of Spring's wrappers, where one of them is around it; empty
/// where it has none.
fn thrown(trace: &str) -> Option<&str> {
    let causes = memmem::find_iter(trace.as_bytes(), CAUSE).map(|at| at + CAUSE.len()).take(MOST_CAUSES);
    for (nth, at) in [0].into_iter().chain(causes).enumerate() {
        let error = trace.get(at..)?;
        let head = error.lines().next()?;
        let class = head.split(": ").next().unwrap_or(head);
        if AROUND.contains(&class) {
            continue;
        }
        let said = error.get(class.len()..)?;
        let ends = ["\n\tat ", "\n\t... ", "\n\tSuppressed: ", CAUSE, FAILED];
        let end = ends.iter().filter_map(|end| memmem::find(said.as_bytes(), end.as_bytes())).min();
        let said = said.get(..end.unwrap_or(said.len()))?.trim_end_matches(['\r', '\n']);
        return (nth > 0).then(|| said.strip_prefix(": ").unwrap_or_default());
    }
    None
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

/// Takes the stack of a recovered panic out of the message. Where a handler's own error goes with it, or in older versions
/// always, the panic is one of a list of errors.
pub(super) fn panic(reading: &mut Reading<'_>) {
    let Some(message) = reading.message.take() else { return };
    let begins = |at: &usize| message[..*at].is_empty() || message[..*at].ends_with(['\n', ' ']);
    let begin = memmem::find(message.as_bytes(), PANIC.0.as_bytes()).filter(begins);
    let end = begin.and_then(|at| Some(at + memmem::find(&message.as_bytes()[at..], PANIC.1.as_bytes())?));
    let Some((begin, end)) = begin.zip(end) else {
        reading.message = Some(message);
        return;
    };
    reading.stack_trace = Some(from(message.clone(), end + PANIC.1.len()));
    reading.given("stack_trace", Source::Header("reason_poisoned"));
    let only = matches!(&message[..begin], "" | "1 error occurred:\n\t* ");
    reading.message = Some(if only { from(until(message, end), begin) } else { until(message, end) });
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
