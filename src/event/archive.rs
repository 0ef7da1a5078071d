//! Records in a file, byte for byte: as JSON Lines, and in a binary form that is smaller and faster. Pure.
//!
//! A JSON line is one record as `tail -o jsonl` gives it, but with key and value never parsed: `utf8`, `base64` or
//! `null`, so that white space and the order of members survive. The binary form is: 8 bytes `RDRECS1\n`; for each
//! record its length (u32) and body: partition (i32), offset (i64), who set the time (u8: 0 nobody, 1 the producer,
//! 2 the broker), the time (i64, milliseconds), key, value, number of headers (u32), name and value of each; bytes
//! are a length (i32, -1 for null) and what it says; all numbers big-endian; at the end a length of 0 and the number
//! of records (u64), so that a file that was cut short is told from a whole one.

use std::io::{self, BufRead, Read as _, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::spreadsheet::{self, Column};
use super::{Headers, Position, Record, RecordTime, TimeKind, codec};
use crate::text::{Fault, Timestamp};

/// How a file of records is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// For spreadsheets; cannot be read back.
    Csv,
    /// Binary.
    Bin,
}

impl Format {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Bin => "bin",
        }
    }
}

const MAGIC: &[u8; 8] = b"RDRECS1\n";
/// No record is larger than this, so a longer one is a damaged file.
const LONGEST: usize = 1 << 30;

/// What stands before the first record; `columns` are those of CSV.
pub fn begin(format: Format, columns: &[Column], out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Jsonl => Ok(()),
        Format::Csv => spreadsheet::begin(columns, out),
        Format::Bin => out.write_all(MAGIC),
    }
}

/// One record; `columns` are those of CSV.
pub fn write(format: Format, columns: &[Column], record: &Record, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Jsonl => {
            serde_json::to_writer(&mut *out, &line(record))?;
            out.write_all(b"\n")
        }
        Format::Csv => spreadsheet::write(columns, record, out),
        Format::Bin => {
            let body = body(record);
            let length = u32::try_from(body.len()).map_err(io::Error::other)?;
            out.write_all(&length.to_be_bytes())?;
            out.write_all(&body)
        }
    }
}

/// What stands behind the last record.
pub fn end(format: Format, records: u64, out: &mut impl Write) -> io::Result<()> {
    if format == Format::Bin {
        out.write_all(&0_u32.to_be_bytes())?;
        out.write_all(&records.to_be_bytes())?;
    }
    Ok(())
}

fn line(record: &Record) -> Value {
    let (key, key_encoding) = codec::encode_text(record.key.as_deref());
    let (value, value_encoding) = codec::encode_text(record.value.as_deref());
    json!({
        "topic": record.at.topic,
        "partition": record.at.partition,
        "offset": record.at.offset,
        "timestamp": record.timestamp(),
        "timestamp_type": record.time.map(|time| kind_word(time.kind)),
        "key": key,
        "key_encoding": key_encoding,
        "value": value,
        "value_encoding": value_encoding,
        "headers": codec::encode_headers(&record.headers),
    })
}

fn kind_word(kind: TimeKind) -> &'static str {
    match kind {
        TimeKind::Create => "create_time",
        TimeKind::LogAppend => "log_append_time",
    }
}

fn body(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.size() + 64);
    out.extend(record.at.partition.to_be_bytes());
    out.extend(record.at.offset.to_be_bytes());
    let kind = match record.time.map(|time| time.kind) {
        None => 0_u8,
        Some(TimeKind::Create) => 1,
        Some(TimeKind::LogAppend) => 2,
    };
    out.push(kind);
    out.extend(record.timestamp().map_or(0, Timestamp::as_millis).to_be_bytes());
    let mut put = |bytes: Option<&Bytes>| match bytes {
        // A record of Kafka has no field that is longer than an i32 tells.
        Some(bytes) => {
            out.extend((bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
        None => out.extend((-1_i32).to_be_bytes()),
    };
    put(record.key.as_ref());
    put(record.value.as_ref());
    let mut headers = Vec::new();
    headers.extend((record.headers.len() as u32).to_be_bytes());
    out.extend(headers);
    for (name, value) in record.headers.iter() {
        for bytes in [Some(name), value] {
            match bytes {
                Some(bytes) => {
                    out.extend((bytes.len() as i32).to_be_bytes());
                    out.extend_from_slice(bytes);
                }
                None => out.extend((-1_i32).to_be_bytes()),
            }
        }
    }
    out
}

/// Reads a file of records; which of the two forms it is, its first bytes say.
pub struct Archive<R> {
    input: R,
    binary: bool,
    records: u64,
    /// Bytes up to the end of the last whole record.
    whole: u64,
    ended: bool,
    topic: Arc<str>,
}

impl<R: BufRead> Archive<R> {
    /// Begins to read.
    pub fn new(mut input: R) -> io::Result<Self> {
        let binary = input.fill_buf()?.starts_with(MAGIC);
        let mut whole = 0;
        if binary {
            input.consume(MAGIC.len());
            whole = MAGIC.len() as u64;
        }
        Ok(Self { input, binary, records: 0, whole, ended: false, topic: "".into() })
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes up to the end of the last whole record.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// The form that it found.
    pub fn format(&self) -> Format {
        if self.binary { Format::Bin } else { Format::Jsonl }
    }

    /// The next record; `None` at the end. An error names the record by number.
    pub fn read(&mut self) -> Result<Option<Record>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let read = if self.binary { self.next_body() } else { self.next_line() };
        let number = self.records + 1;
        match read {
            Ok(Some((record, bytes))) => {
                self.records += 1;
                self.whole += bytes;
                Ok(Some(record))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(why) => Err(Fault::failed("file", format!("record {number} of the file cannot be read"))
                .why(why)
                .hint("jsonl and bin files of `redrive export` are read; nothing was written")),
        }
    }

    fn next_line(&mut self) -> Result<Option<(Record, u64)>, String> {
        let mut text = Vec::new();
        let mut skipped = 0;
        loop {
            text.clear();
            let limit = (&mut self.input).take(LONGEST as u64).read_until(b'\n', &mut text);
            let bytes = limit.map_err(|e| e.to_string())? as u64;
            if bytes == 0 {
                return Ok(None);
            }
            if text.last() != Some(&b'\n') && bytes == LONGEST as u64 {
                return Err("the line is too long".to_owned());
            }
            skipped += bytes;
            if !text.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let value: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
        if text.last() != Some(&b'\n') {
            // Whole, but for its line break: cut here it may be one that goes on.
            return parse(&value).map(|record| Some((record, skipped)));
        }
        parse(&value).map(|record| Some((record, skipped)))
    }

    fn next_body(&mut self) -> Result<Option<(Record, u64)>, String> {
        let cut = |e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => "the file was cut short".to_owned(),
            _ => e.to_string(),
        };
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(cut)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            let mut count = [0; 8];
            self.input.read_exact(&mut count).map_err(cut)?;
            let count = u64::from_be_bytes(count);
            if count != self.records {
                return Err(format!("the file says that it has {count} records, not {}", self.records));
            }
            return match self.input.fill_buf() {
                Ok([]) => Ok(None),
                Ok(_) => Err("something follows the end".to_owned()),
                Err(e) => Err(e.to_string()),
            };
        }
        if length > LONGEST {
            return Err(format!("a record of {length} bytes cannot be"));
        }
        let mut body = Vec::new();
        let read = (&mut self.input).take(length as u64).read_to_end(&mut body).map_err(|e| e.to_string())?;
        if read < length {
            return Err("the file was cut short".to_owned());
        }
        let record = unpack(&Bytes::from(body), &self.topic).ok_or("its parts do not fit together")?;
        Ok(Some((record, 4 + length as u64)))
    }
}

fn unpack(body: &Bytes, topic: &Arc<str>) -> Option<Record> {
    let mut at = 0;
    let mut take = |n: usize| {
        let end = at + n;
        let bytes = (end <= body.len()).then(|| body.slice(at..end))?;
        at = end;
        Some(bytes)
    };
    let partition = i32::from_be_bytes(take(4)?.as_ref().try_into().ok()?);
    let offset = i64::from_be_bytes(take(8)?.as_ref().try_into().ok()?);
    let kind = take(1)?[0];
    let at_ms = Timestamp(i64::from_be_bytes(take(8)?.as_ref().try_into().ok()?));
    let mut bytes = || -> Option<Option<Bytes>> {
        let length = i32::from_be_bytes(take(4)?.as_ref().try_into().ok()?);
        match usize::try_from(length) {
            Ok(length) => Some(Some(take(length)?)),
            Err(_) => (length == -1).then_some(None),
        }
    };
    let (key, value) = (bytes()?, bytes()?);
    let count = u32::from_be_bytes(take(4)?.as_ref().try_into().ok()?);
    let mut headers = Headers::default();
    for _ in 0..count {
        let mut bytes = || -> Option<Option<Bytes>> {
            let length = i32::from_be_bytes(take(4)?.as_ref().try_into().ok()?);
            match usize::try_from(length) {
                Ok(length) => Some(Some(take(length)?)),
                Err(_) => (length == -1).then_some(None),
            }
        };
        let name = bytes()??;
        headers.push(name, bytes()?);
    }
    let kind = match kind {
        0 => None,
        1 => Some(TimeKind::Create),
        2 => Some(TimeKind::LogAppend),
        _ => return None,
    };
    let time = kind.map(|kind| RecordTime { kind, at: at_ms });
    let at = Position { topic: Arc::clone(topic), partition, offset };
    (at.partition >= 0).then_some(Record { at, time, key, value, headers, lease: None })
}

fn parse(value: &Value) -> Result<Record, String> {
    let number = |name: &str| value[name].as_i64().ok_or_else(|| format!("{name}: a number was expected"));
    let partition = i32::try_from(number("partition")?).ok().filter(|p| *p >= 0);
    let partition = partition.ok_or("partition: it cannot be negative or so large")?;
    let topic: Arc<str> = value["topic"].as_str().unwrap_or_default().into();
    let time = match value["timestamp"].as_str() {
        None => None,
        Some(text) => {
            let at: jiff::Timestamp = text.parse().map_err(|e| format!("timestamp: {e}"))?;
            let kind = match value["timestamp_type"].as_str() {
                Some("log_append_time") => TimeKind::LogAppend,
                _ => TimeKind::Create,
            };
            Some(RecordTime { kind, at: Timestamp(at.as_millisecond()) })
        }
    };
    let mut headers = Headers::default();
    for one in value["headers"].as_array().map_or(&[][..], Vec::as_slice) {
        let (name, value) = header(one)?;
        headers.push(name, value);
    }
    Ok(Record {
        at: Position { topic, partition, offset: number("offset")? },
        time,
        key: bytes(value, "key", "key_encoding")?,
        value: bytes(value, "value", "value_encoding")?,
        headers,
        lease: None,
    })
}

/// The bytes of a member, as another member says that they are written.
fn bytes(of: &Value, what: &str, encoding: &str) -> Result<Option<Bytes>, String> {
    let name = of[encoding].as_str().unwrap_or(if of[what].is_null() { "null" } else { "utf8" });
    match (name, of[what].as_str()) {
        ("null", None) => Ok(None),
        ("utf8", Some(text)) => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
        ("base64", Some(text)) => STANDARD
            .decode(text)
            .map(|bytes| Some(Bytes::from(bytes)))
            .map_err(|e| format!("{what}: base64 was expected: {e}")),
        ("json", _) => Err(format!(
            "{what}: it was parsed, so that its bytes are not known any more; use `redrive export`"
        )),
        (other, _) => Err(format!("{what}: the encoding {other:?} does not fit")),
    }
}

/// A header's name and value, from the object that a line has for it.
pub fn header(object: &Value) -> Result<(Bytes, Option<Bytes>), String> {
    const MEMBERS: [&str; 4] = ["name", "name_encoding", "value", "encoding"];
    let mut members = object.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(other) = members.find(|name| !MEMBERS.contains(name)) {
        return Err(format!("a header has no {other:?}, but {}", MEMBERS.join(", ")));
    }
    let name = bytes(object, "name", "name_encoding")?.ok_or("a header has no name")?;
    Ok((name, bytes(object, "value", "encoding")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        time: Option<i64>,
    ) -> Record {
        Record {
            at: Position::new("orders", 3, 77),
            time: time.map(|ms| RecordTime { kind: TimeKind::Create, at: Timestamp(ms) }),
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: Headers(
                headers.into_iter().map(|(n, v)| (Bytes::from(n), v.map(Bytes::from))).collect(),
            ),
            lease: None,
        }
    }

    fn file(format: Format, records: &[Record]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(format, &[], &mut out).unwrap();
        for record in records {
            write(format, &[], record, &mut out).unwrap();
        }
        end(format, records.len() as u64, &mut out).unwrap();
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, Fault> {
        let mut archive = Archive::new(bytes).unwrap();
        let mut out = Vec::new();
        while let Some(record) = archive.read()? {
            out.push(record);
        }
        Ok(out)
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60)),
            headers in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..6), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9))), 0..5),
            time in proptest::option::of(0_i64..4_000_000_000_000),
        ) {
            let mut records = vec![record(key, value, headers, time), record(None, Some(Vec::new()), Vec::new(), None)];
            prop_assert_eq!(&read(&file(Format::Jsonl, &records)).unwrap(), &records);
            // The binary form does not repeat the topic.
            for record in &mut records {
                record.at.topic = "".into();
            }
            prop_assert_eq!(&read(&file(Format::Bin, &records)).unwrap(), &records);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), binary in any::<bool>()) {
            let mut file = if binary { MAGIC.to_vec() } else { Vec::new() };
            file.extend(bytes);
            let _ = read(&file).is_ok();
        }
    }

    #[test]
    fn a_file_that_was_cut_short_is_told_with_the_record() {
        let records = [
            record(None, Some(b"{ \"a\" : 1 }".to_vec()), Vec::new(), Some(5)),
            record(Some(vec![0xff]), None, Vec::new(), None),
        ];
        let bin = file(Format::Bin, &records);
        for length in MAGIC.len()..bin.len() {
            let fault = read(&bin[..length]).unwrap_err();
            assert!(fault.why.contains("cut short"), "{length}: {fault}");
        }
        let jsonl = file(Format::Jsonl, &records);
        let fault = read(&jsonl[..jsonl.len() - 9]).unwrap_err();
        assert!(fault.what.contains("record 2"), "{fault}");
        let parsed = br#"{"partition":0,"offset":1,"key":null,"key_encoding":"null","value":{"a":1},"value_encoding":"json"}"#;
        assert!(read(parsed).unwrap_err().why.contains("not known any more"));
    }
}
