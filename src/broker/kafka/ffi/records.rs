//! Records: taken from a consumer's queue in librdkafka's own memory, and handed to a producer.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::os::raw::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::BaseProducer;

use super::super::client::{Client, Context};
use super::super::request::Refusal;
use super::{Native as _, Owned, take_refusal, text};
use crate::broker::Outbound;
use crate::event::{RecordBytes, RecordTime, TimeKind};
use crate::text::Timestamp;

/// The queue in which a consumer's records wait.
pub(in super::super) struct Inbox<'c> {
    queue: Owned<rd::rd_kafka_queue_t>,
    consumer: PhantomData<&'c BaseConsumer<Context>>,
}

impl<'c> Inbox<'c> {
    /// The consumer's queue.
    pub(in super::super) fn of(consumer: &'c BaseConsumer<Context>) -> Option<Self> {
        // SAFETY: the consumer outlives this value.
        let queue = unsafe { rd::rd_kafka_queue_get_consumer(consumer.raw()) };
        Some(Self { queue: Owned::new(queue, rd::rd_kafka_queue_destroy)?, consumer: PhantomData })
    }

    /// At most `most` records and errors; what is there at once, else what came first within `wait`.
    pub(in super::super) fn take(&self, most: usize, wait: Duration) -> Vec<Incoming<'c>> {
        let mut slots: Vec<*mut rd::rd_kafka_message_t> = vec![null_mut(); most.max(1)];
        let mut fill = |room: usize, wait: c_int| {
            // SAFETY: the queue is valid, and there is room for `room` pointers.
            let got =
                unsafe { rd::rd_kafka_consume_batch_queue(self.queue.raw(), wait, slots.as_mut_ptr(), room) };
            usize::try_from(got).unwrap_or(0)
        };
        let mut got = fill(most.max(1), 0);
        if got == 0 && !wait.is_zero() {
            // A batch call waits until its batch is full: asking for one record waits for the first alone.
            got = fill(1, c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX));
        }
        slots.truncate(got);
        let owned = slots.into_iter().filter_map(|m| Owned::new(m, rd::rd_kafka_message_destroy));
        owned.map(|message| Incoming { message, consumer: PhantomData }).collect()
    }
}

/// A record, or an error of a partition, in librdkafka's own memory.
pub(in super::super) struct Incoming<'c> {
    message: Owned<rd::rd_kafka_message_t>,
    consumer: PhantomData<&'c BaseConsumer<Context>>,
}

impl Incoming<'_> {
    /// Looks into it.
    pub(in super::super) fn look(&self) -> Look<'_> {
        // SAFETY: owned, and alive as long as `self`.
        Look(unsafe { self.message.pointer.as_ref() })
    }
}

/// A look into a message that somebody else owns.
#[derive(Clone, Copy)]
pub(in super::super) struct Look<'m>(&'m rd::rd_kafka_message_t);

impl<'m> Look<'m> {
    /// Looks into a message of rust-rdkafka.
    pub(in super::super) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        // SAFETY: the pointer is never null, and valid while the message is borrowed.
        Self(unsafe { &*message.ptr() })
    }

    fn bytes(first: *const c_void, length: usize) -> Option<&'m [u8]> {
        // SAFETY: `first` is null, or points to `length` bytes that live as long as the message.
        (!first.is_null()).then(|| unsafe { std::slice::from_raw_parts(first.cast(), length) })
    }

    /// The topic's name; empty for an error that concerns none.
    pub(in super::super) fn topic(self) -> &'m str {
        let topic = self.0.rkt;
        if topic.is_null() {
            return "";
        }
        // SAFETY: the message holds a reference on its topic, whose name lives as long.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(topic)) }.to_str().unwrap_or_default()
    }

    /// The partition.
    pub(in super::super) fn partition(self) -> i32 {
        self.0.partition
    }

    /// The record's offset; of an end of partition, the offset of the end.
    pub(in super::super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// The error, if it is one.
    pub(in super::super) fn refusal(self) -> Option<Refusal> {
        let code: RDKafkaErrorCode = self.0.err.into();
        // SAFETY: the words belong to the message, or are constants.
        let words = || unsafe { text(rd::rd_kafka_message_errstr(self.0)) };
        if code == RDKafkaErrorCode::NoError { None } else { Refusal::from_code(code, words()) }
    }

    /// What is said of a record that was not delivered; empty where nothing is.
    pub(in super::super) fn words(self) -> String {
        // SAFETY: the words belong to the message.
        unsafe { text(rd::rd_kafka_message_produce_errstr(self.0)) }
    }

    /// The key.
    pub(in super::super) fn key(self) -> Option<&'m [u8]> {
        Self::bytes(self.0.key, self.0.key_len)
    }

    /// The value.
    pub(in super::super) fn value(self) -> Option<&'m [u8]> {
        Self::bytes(self.0.payload, self.0.len)
    }

    /// The timestamp.
    pub(in super::super) fn time(self) -> Option<RecordTime> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, `kind` is ours.
        let at = unsafe { rd::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        let kind = match kind {
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimeKind::Create,
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimeKind::LogAppend,
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => return None,
        };
        Some(RecordTime { kind, at: Timestamp(at) })
    }

    /// Bytes of key and value.
    pub(in super::super) fn payload(self) -> usize {
        self.0.key_len + self.0.len
    }

    /// Gives each header's name and value to `each`, in order. A name ends at its first zero byte.
    pub(in super::super) fn headers(self, mut each: impl FnMut(&'m [u8], Option<&'m [u8]>)) {
        let mut headers = null_mut();
        // SAFETY: the message is valid; the headers belong to it.
        if unsafe { rd::rd_kafka_message_headers(self.0, &raw mut headers) }
            != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut length) = (null(), null(), 0);
            // SAFETY: the headers are valid; an index beyond the last is answered with an error.
            let code = unsafe {
                rd::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut length)
            };
            if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return;
            }
            // SAFETY: the name is a string that lives as long as the message.
            each(unsafe { CStr::from_ptr(name) }.to_bytes(), Self::bytes(value, length));
        }
    }
}

impl RecordBytes for Look<'_> {
    fn place(&self) -> (&str, i32, i64) {
        (self.topic(), self.partition(), self.offset())
    }

    fn time(&self) -> Option<RecordTime> {
        Look::time(*self)
    }

    fn key(&self) -> Option<&[u8]> {
        Look::key(*self)
    }

    fn value(&self) -> Option<&[u8]> {
        Look::value(*self)
    }

    fn each_header<'s>(&'s self, each: &mut dyn FnMut(&'s [u8], Option<&'s [u8]>)) {
        self.headers(each);
    }
}

/// A topic that a producer writes to.
pub(in super::super) struct Destination {
    topic: Owned<rd::rd_kafka_topic_t>,
    producer: Client<BaseProducer<Context>>,
}

// SAFETY: librdkafka's topics may be used by every thread, and their producer lives as long as they do.
unsafe impl Send for Destination {}
// SAFETY: as above.
unsafe impl Sync for Destination {}

impl Destination {
    /// A topic of a producer; its records are compressed with `compression` where that is given, else as the producer's
    /// are. `None` where librdkafka does not take the name.
    pub(in super::super) fn new(
        producer: &Client<BaseProducer<Context>>,
        name: &CStr,
        compression: Option<&CStr>,
    ) -> Option<Self> {
        // SAFETY: the producer is borrowed, so that its handle is valid; the copy is owned by the guard.
        let config = Owned::new(
            unsafe { rd::rd_kafka_default_topic_conf_dup(producer.raw()) },
            rd::rd_kafka_topic_conf_destroy,
        )?;
        // The fastest level: what a codec wins beyond it, it pays with its time.
        let settings = compression.map(|codec| [(c"compression.type", codec), (c"compression.level", c"1")]);
        for (name, value) in settings.into_iter().flatten() {
            let mut words = [0; 256];
            // SAFETY: all pointers are valid; the strings are copied. What is not taken stays as it was.
            unsafe {
                rd::rd_kafka_topic_conf_set(
                    config.raw(),
                    name.as_ptr(),
                    value.as_ptr(),
                    words.as_mut_ptr(),
                    words.len(),
                );
            }
        }
        // SAFETY: the producer is borrowed; the name is copied, and the configuration belongs to the topic if there is one.
        let topic = unsafe { rd::rd_kafka_topic_new(producer.raw(), name.as_ptr(), config.raw()) };
        let topic = Owned::new(topic, rd::rd_kafka_topic_destroy)?;
        std::mem::forget(config);
        Some(Self { topic, producer: Client::clone(producer) })
    }
}

/// Queues a record on a partition of its topic; all bytes are copied. It does not wait. `tag` comes back with the
/// delivery report.
pub(in super::super) fn produce(
    topic: &Destination,
    partition: i32,
    record: &dyn Outbound,
    tag: usize,
) -> Result<(), Refusal> {
    use rd::rd_kafka_vtype_t as kind;
    let part = |bytes: Option<&[u8]>| bytes.map_or((null(), 0), |b| (b.as_ptr().cast::<c_void>(), b.len()));
    // An empty list would be made and destroyed for nothing.
    let headers = match record.header_count() {
        0 => None,
        // SAFETY: makes an empty list, owned by the guard.
        length => Some(
            unsafe { Owned::new(rd::rd_kafka_headers_new(length), rd::rd_kafka_headers_destroy) }
                .ok_or_else(|| Refusal::invalid("no memory for headers"))?,
        ),
    };
    if let Some(list) = &headers {
        record.each_header(&mut |name, value| {
            let (value, length) = part(value);
            // SAFETY: name and value are copied; a null value has no length.
            unsafe {
                rd::rd_kafka_header_add(
                    list.raw(),
                    name.as_ptr().cast(),
                    name.len() as isize,
                    value,
                    length as isize,
                );
            }
        });
    }
    let field = |vtype, u| rd::rd_kafka_vu_t { vtype, u };
    let memory = |bytes| {
        let (ptr, size) = part(bytes);
        rd::rd_kafka_vu_s__bindgen_ty_1 {
            mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: ptr.cast_mut(), size },
        }
    };
    let fields = [
        field(kind::RD_KAFKA_VTYPE_RKT, rd::rd_kafka_vu_s__bindgen_ty_1 { rkt: topic.topic.raw() }),
        field(kind::RD_KAFKA_VTYPE_PARTITION, rd::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition }),
        field(kind::RD_KAFKA_VTYPE_MSGFLAGS, rd::rd_kafka_vu_s__bindgen_ty_1 { i: rd::RD_KAFKA_MSG_F_COPY }),
        field(kind::RD_KAFKA_VTYPE_KEY, memory(record.key())),
        field(kind::RD_KAFKA_VTYPE_VALUE, memory(record.value())),
        field(
            kind::RD_KAFKA_VTYPE_TIMESTAMP,
            rd::rd_kafka_vu_s__bindgen_ty_1 { i64_: record.timestamp().map_or(0, Timestamp::as_millis) },
        ),
        field(kind::RD_KAFKA_VTYPE_OPAQUE, rd::rd_kafka_vu_s__bindgen_ty_1 { ptr: tag as *mut c_void }),
        // Without headers the last field is left out.
        field(
            kind::RD_KAFKA_VTYPE_HEADERS,
            rd::rd_kafka_vu_s__bindgen_ty_1 { headers: headers.as_ref().map_or(null_mut(), Owned::raw) },
        ),
    ];
    let count = if headers.is_some() { fields.len() } else { fields.len() - 1 };
    // SAFETY: the topic is borrowed and keeps its producer; bytes are copied before this returns.
    let refused =
        unsafe { take_refusal(rd::rd_kafka_produceva(topic.producer.raw(), fields.as_ptr(), count)) };
    if let Some(refused) = refused {
        return Err(refused);
    }
    // The record owns the headers now.
    std::mem::forget(headers);
    Ok(())
}

/// Sends at once what waits for more records to go with it (`linger.ms`), for as long as the call takes: until nothing is
/// under way, or `timeout` is over. It takes no delivery reports, without which a record stays under way.
pub(in super::super) fn flush(producer: &BaseProducer<Context>, timeout: Duration) {
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the producer is borrowed, so that its handle is valid.
    unsafe { rd::rd_kafka_flush(producer.raw(), millis) };
}
