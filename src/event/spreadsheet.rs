//! Records as rows of a table for spreadsheets (CSV, RFC 4180), with columns of choice. Pure.
//!
//! Limits: a table cannot be read back; it tells null from empty only where a column of the encoding is chosen.

use std::io::{self, Write};

use bytes::Bytes;
use serde_json::Value;

use super::{Record, codec, json};

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// A field of the record by its name.
    Field(&'static str),
    /// The last value of a header.
    Header(String),
    /// What lies at a path in a JSON document.
    Path(Side, Vec<String>),
}

/// Which payload a path leads into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// The fields that a column can have; all but the size are there where none are chosen.
const FIELDS: [&str; 10] = [
    "topic",
    "partition",
    "offset",
    "timestamp",
    "key",
    "key_encoding",
    "value",
    "value_encoding",
    "headers",
    "size",
];

impl Column {
    /// The columns that a table has where none are chosen.
    pub fn usual() -> Vec<Self> {
        FIELDS.into_iter().filter(|name| *name != "size").map(Self::Field).collect()
    }

    /// Reads `offset,key,header:trace-id,value.order.id`; the error names the column that is wrong.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').map(|name| Self::parse(name.trim())).collect()
    }

    fn parse(name: &str) -> Result<Self, String> {
        if let Some(header) = name.strip_prefix("header:").filter(|header| !header.is_empty()) {
            return Ok(Self::Header(header.to_owned()));
        }
        for (side, prefix) in [(Side::Key, "key."), (Side::Value, "value.")] {
            if let Some(path) = name.strip_prefix(prefix) {
                let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                if path.iter().any(String::is_empty) {
                    return Err(format!("{name:?}: a path is written as value.order.id"));
                }
                return Ok(Self::Path(side, path));
            }
        }
        FIELDS.into_iter().find(|field| *field == name).map(Self::Field).ok_or_else(|| {
            format!(
                "there is no column {name:?}, but {}, header:NAME, key.PATH, value.PATH",
                FIELDS.join(", ")
            )
        })
    }

    fn heading(&self) -> String {
        match self {
            Self::Field(name) => (*name).to_owned(),
            Self::Header(name) => format!("header:{name}"),
            Self::Path(Side::Key, path) => format!("key.{}", path.join(".")),
            Self::Path(Side::Value, path) => format!("value.{}", path.join(".")),
        }
    }

    fn cell(&self, record: &Record) -> String {
        let bytes = |bytes: Option<&Bytes>| codec::encode_text(bytes.map(AsRef::as_ref));
        match self {
            Self::Field("topic") => record.at.topic.to_string(),
            Self::Field("partition") => record.at.partition.to_string(),
            Self::Field("offset") => record.at.offset.to_string(),
            Self::Field("timestamp") => record.timestamp().map(|at| at.to_string()).unwrap_or_default(),
            Self::Field("key") => text(bytes(record.key.as_ref()).0),
            Self::Field("key_encoding") => bytes(record.key.as_ref()).1.to_owned(),
            Self::Field("value") => text(bytes(record.value.as_ref()).0),
            Self::Field("value_encoding") => bytes(record.value.as_ref()).1.to_owned(),
            Self::Field("headers") => codec::encode_headers(&record.headers).to_string(),
            Self::Field(_) => record.size().to_string(),
            Self::Header(name) => text(bytes(record.headers.last(name)).0),
            Self::Path(side, path) => {
                let bytes = match side {
                    Side::Key => record.key.as_ref(),
                    Side::Value => record.value.as_ref(),
                };
                let Some(document) = bytes.and_then(|bytes| json::parse(bytes).ok()) else {
                    return String::new();
                };
                let step = |at: Value, name: &String| match at {
                    Value::Object(mut members) => members.remove(name),
                    Value::Array(mut items) => {
                        let index = name.parse::<usize>().ok().filter(|index| *index < items.len())?;
                        Some(items.swap_remove(index))
                    }
                    _ => None,
                };
                path.iter().try_fold(document, step).map(text).unwrap_or_default()
            }
        }
    }
}

/// A text as it is, nothing for null, and everything else as JSON.
fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The row of headings.
pub fn begin(columns: &[Column], out: &mut impl Write) -> io::Result<()> {
    row(columns.iter().map(Column::heading), out)
}

/// The row of a record.
pub fn write(columns: &[Column], record: &Record, out: &mut impl Write) -> io::Result<()> {
    row(columns.iter().map(|column| column.cell(record)), out)
}

fn row(cells: impl Iterator<Item = String>, out: &mut impl Write) -> io::Result<()> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    csv.write_record(cells)?;
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Headers, Position, RecordTime, TimeKind};
    use crate::text::Timestamp;

    fn rows(columns: &[Column], record: &Record) -> String {
        let mut out = Vec::new();
        begin(columns, &mut out).unwrap();
        write(columns, record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn record() -> Record {
        let mut headers = Headers::default();
        headers.push("trace", Some("a".into()));
        headers.push("trace", Some("b".into()));
        Record {
            at: Position::new("orders", 3, 77),
            time: Some(RecordTime { kind: TimeKind::Create, at: Timestamp(0) }),
            key: Some("a,\"b".into()),
            value: Some("{\"order\":{\"id\":\"x\\ny\",\"n\":[1,{\"a\":2.50}]},\"none\":null}".into()),
            headers,
            lease: None,
        }
    }

    #[test]
    fn a_spreadsheet_gets_one_row_a_record_whatever_is_in_it() {
        let plain = Record { value: Some("x\ny".into()), headers: Headers::default(), ..record() };
        let text = rows(&Column::usual(), &plain);
        assert!(
            text.ends_with("orders,3,77,1970-01-01T00:00:00.000Z,\"a,\"\"b\",utf8,\"x\ny\",utf8,[]\r\n"),
            "{text}"
        );
        let nothing = Record { key: None, value: Some(Bytes::new()), ..plain };
        assert_eq!(
            rows(&Column::parse_all("key,key_encoding,value,value_encoding").unwrap(), &nothing),
            "key,key_encoding,value,value_encoding\r\n,null,,utf8\r\n"
        );
    }

    #[test]
    fn columns_are_chosen_and_look_into_headers_and_documents() {
        let columns =
            Column::parse_all("offset, header:trace,value.order.id,value.order.n.1,value.none,key.a,size");
        let text = rows(&columns.unwrap(), &record());
        let cells = text.lines().last().unwrap();
        assert!(
            text.starts_with("offset,header:trace,value.order.id,value.order.n.1,value.none,key.a,size\r\n")
        );
        assert!(cells.starts_with("y\",\"{\"\"a\"\":2.5"), "{text}");
        for wrong in ["", "offset,", "vale", "header:", "value.", "value.a..b"] {
            assert!(Column::parse_all(wrong).is_err(), "{wrong}");
        }
    }
}
