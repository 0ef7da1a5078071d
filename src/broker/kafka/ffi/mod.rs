//! The calls of librdkafka that rust-rdkafka has no safe form of; the only folder with unsafe code.
//!
//! Nothing here calls back, keeps a pointer beyond its call, or starts a thread. Strings are copied with what
//! is not UTF-8 replaced. `admin` asks and answers, `records` reads and writes.

#![expect(unsafe_code, reason = "the C interface of librdkafka")]

mod admin;
mod records;

use std::ffi::{CStr, CString};
use std::io::Write as _;
use std::os::raw::{c_char, c_int};
use std::ptr::{NonNull, null, null_mut};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};

pub(super) use admin::ask;
pub(super) use records::{Destination, Inbox, Look, flush, produce};

use super::client::Context;
use super::request::Refusal;
use crate::text::Timestamp;

/// A client's native handle. It is valid as long as the client lives.
pub(super) trait Native {
    /// The handle.
    fn raw(&self) -> *mut rd::rd_kafka_t;
}

impl Native for BaseConsumer<Context> {
    fn raw(&self) -> *mut rd::rd_kafka_t {
        self.client().native_ptr()
    }
}

impl Native for BaseProducer<Context> {
    fn raw(&self) -> *mut rd::rd_kafka_t {
        self.client().native_ptr()
    }
}

/// A pointer of ours, destroyed on drop.
struct Owned<T> {
    pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        Some(Self { pointer: NonNull::new(pointer)?, destroy })
    }

    fn raw(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the constructor that `destroy` belongs to, and is given up here, once.
        unsafe { (self.destroy)(self.raw()) }
    }
}

/// Ends the process, and runs nothing that was registered for its end.
///
/// Threads that used OpenSSL may still be ending then and free what is theirs, which its exit handler frees, too: the
/// process would now and then die of it after all its work was done.
pub fn leave(code: u8) -> ! {
    // What is buffered for stdout is written by a handler otherwise. Where it cannot be, nobody is left to be told.
    drop(std::io::stdout().flush());
    // SAFETY: takes a number, and never comes back.
    unsafe { libc::_exit(code.into()) }
}

/// Copies a C string; null is empty.
///
/// # Safety
/// `text` is null, or points to a string that lives until this returns.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and alive by the caller's word.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Copies an error that somebody else owns; `None` is no error.
///
/// # Safety
/// `error` is null, or lives until this returns.
unsafe fn refusal(error: *const rd::rd_kafka_error_t) -> Option<Refusal> {
    if error.is_null() {
        return None;
    }
    // SAFETY: not null, and alive by the caller's word; the string belongs to the error.
    let (code, text) = unsafe { (rd::rd_kafka_error_code(error), text(rd::rd_kafka_error_string(error))) };
    Refusal::from_code(code.into(), text)
}

/// Copies an error and destroys it.
///
/// # Safety
/// `error` is null or an error that the caller owns.
unsafe fn take_refusal(error: *mut rd::rd_kafka_error_t) -> Option<Refusal> {
    let error = Owned::new(error, rd::rd_kafka_error_destroy)?;
    // SAFETY: owned until the end of this function.
    unsafe { refusal(error.raw()) }
}

/// Gives a client its OAUTHBEARER token.
pub(super) fn set_token(
    client: &impl Native,
    token: &CStr,
    principal: &CStr,
    until: Timestamp,
    extensions: &[CString],
) -> Result<(), String> {
    let mut words = [0; 512];
    let mut extensions: Vec<_> = extensions.iter().map(|e| e.as_ptr()).collect();
    // SAFETY: the client is borrowed, so that its handle is valid; librdkafka copies all strings.
    let code = unsafe {
        rd::rd_kafka_oauthbearer_set_token(
            client.raw(),
            token.as_ptr(),
            until.as_millis(),
            principal.as_ptr(),
            extensions.as_mut_ptr(),
            extensions.len(),
            words.as_mut_ptr(),
            words.len(),
        )
    };
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        // SAFETY: librdkafka ends its words with a zero inside of the buffer.
        _ => Err(unsafe { text(words.as_ptr()) }),
    }
}

/// Connects a client to a broker, and asks that one for the others; whether it answered in time.
pub(super) fn contact(client: &impl Native, timeout: Duration) -> bool {
    let (mut brokers, millis) = (null(), c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX));
    // SAFETY: the client is borrowed, so that its handle is valid; no topic is named.
    let code = unsafe { rd::rd_kafka_metadata(client.raw(), 0, null_mut(), &raw mut brokers, millis) };
    drop(Owned::new(brokers.cast_mut(), destroy_metadata));
    RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoError
}

/// # Safety
/// The answer is of [`contact`], and the caller's own.
unsafe extern "C" fn destroy_metadata(answer: *mut rd::rd_kafka_metadata_t) {
    // SAFETY: by the caller's word.
    unsafe { rd::rd_kafka_metadata_destroy(answer) }
}

/// Lets the log lines of `from` come out of `to`, whose main queue is polled. Without it they would reach
/// standard error while [`Inbox::take`] serves the queue.
pub(super) fn forward_log(from: &impl Native, to: &impl Native) {
    // SAFETY: both clients are borrowed; the queue is counted by librdkafka and given back at once.
    unsafe {
        if let Some(queue) = Owned::new(rd::rd_kafka_queue_get_main(to.raw()), rd::rd_kafka_queue_destroy) {
            rd::rd_kafka_set_log_queue(from.raw(), queue.raw());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_library_is_the_one_whose_behaviour_was_read() {
        // `0xMMmmrrxx`. SAFETY: takes nothing and reads a constant.
        let version = unsafe { rd::rd_kafka_version() };
        assert!(version >= 0x020c_0000, "{version:#x}");
    }

    #[test]
    fn a_string_that_is_not_utf_8_is_copied_without_a_panic() {
        // SAFETY: a constant that ends with a zero.
        assert_eq!(unsafe { text(c"a\xffb".as_ptr()) }, "a\u{fffd}b");
        // SAFETY: null is allowed.
        assert_eq!(unsafe { text(std::ptr::null()) }, "");
    }
}
