//! How header values are written: the codecs of the format table.
//!
//! A codec is chosen by the header's name, never by the value's length: eight bytes may be a number in
//! text or a big-endian integer. Only home-grown headers, of which nothing is known, are guessed at.
//! Whatever does not fit its codec is an error in words; the letter is shown without that value.

use std::borrow::Cow;

use base64::Engine as _;
use jiff::civil::DateTime;

use crate::text::Timestamp;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// UTF-8 text.
    Utf8,
    /// A decimal integer in text.
    Dec,
    /// Four raw bytes, big-endian.
    I32be,
    /// Eight raw bytes, big-endian.
    I64be,
    /// One raw byte (old versions) or four, big-endian: Spring's `retry_topic-attempts`.
    ByteOrI32be,
    /// Java's `BigInteger.toByteArray()`: two's complement, big-endian, as few bytes as possible.
    BigInt,
    /// Text in base64; what is none is plain text (Knative).
    Base64,
    /// A topic as the last part of a `kafka://` address (Wolverine).
    KafkaUri,
    /// A time as ISO 8601 (.NET's round-trip format "O").
    IsoTime,
    /// A time as NServiceBus writes it: `yyyy-MM-dd HH:mm:ss:ffffff Z`.
    NServiceBusTime,
    /// Digits are decimal, ISO 8601 is a time, four or eight other bytes are big-endian.
    Guess,
}

/// Reads text. A value that was cut within its last character is read up to there.
pub fn text(codec: Codec, bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    if codec == Codec::Base64
        && let Some(raw) = base64(bytes)
        && let Ok(text) = utf8(&raw)
    {
        return Ok(Cow::Owned(text.to_owned()));
    }
    let text = utf8(bytes)?;
    if codec == Codec::KafkaUri {
        // The scheme is the broker's name, `kafka` where there is one: `kafka://topic/orders`.
        let (_, path) = text.split_once("://").ok_or("is not an address")?;
        let topic = path.trim_end_matches('/').rsplit('/').next().filter(|t| !t.is_empty());
        return topic.map(Cow::Borrowed).ok_or("names no topic");
    }
    Ok(Cow::Borrowed(text))
}

/// Reads base64, with or without its padding, of the usual or the URL-safe alphabet.
pub fn base64(bytes: &[u8]) -> Option<Vec<u8>> {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(bytes).ok())
}

fn utf8(bytes: &[u8]) -> Result<&str, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) if e.error_len().is_none() => {
            bytes.get(..e.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok()).ok_or("is not UTF-8")
        }
        Err(_) => Err("is not UTF-8"),
    }
}

/// Reads an integer.
pub fn number(codec: Codec, bytes: &[u8]) -> Result<i64, &'static str> {
    match codec {
        Codec::Dec => decimal(bytes),
        Codec::I32be => i32be(bytes).ok_or("is not four bytes long"),
        Codec::I64be => i64be(bytes).ok_or("is not eight bytes long"),
        Codec::ByteOrI32be => match bytes {
            [one] => Ok(i64::from(*one)),
            _ => i32be(bytes).ok_or("is neither one nor four bytes long"),
        },
        Codec::BigInt => big_integer(bytes),
        Codec::Guess => {
            decimal(bytes).or_else(|_| i32be(bytes).or_else(|| i64be(bytes)).ok_or("is not a number"))
        }
        Codec::Utf8 | Codec::Base64 | Codec::KafkaUri | Codec::IsoTime | Codec::NServiceBusTime => {
            Err("is not a number")
        }
    }
}

/// Reads a point in time; numbers are milliseconds since the epoch.
pub fn time(codec: Codec, bytes: &[u8]) -> Result<Timestamp, &'static str> {
    let millis = match codec {
        Codec::IsoTime => return iso(bytes),
        Codec::NServiceBusTime => return nservicebus(bytes),
        Codec::Guess => match number(Codec::Guess, bytes) {
            // Ten digits are seconds until the year 2286, and milliseconds only of the first months of 1970.
            Ok(n) if bytes.len() <= 10 && bytes.iter().all(u8::is_ascii_digit) => n.saturating_mul(1000),
            Ok(n) => n,
            Err(_) => return iso(bytes),
        },
        _ => number(codec, bytes)?,
    };
    if millis < 0 { Err("is not a time") } else { Ok(Timestamp(millis)) }
}

fn decimal(bytes: &[u8]) -> Result<i64, &'static str> {
    std::str::from_utf8(bytes).ok().and_then(|t| t.trim().parse().ok()).ok_or("is not a decimal number")
}

fn i32be(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i32::from_be_bytes).map(i64::from)
}

fn i64be(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

fn big_integer(bytes: &[u8]) -> Result<i64, &'static str> {
    let (Some(first), true) = (bytes.first(), bytes.len() <= 8) else {
        return Err("is not one to eight bytes long");
    };
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(bytes.iter().fold(sign, |n: i64, b| (n << 8) | i64::from(*b)))
}

fn iso(bytes: &[u8]) -> Result<Timestamp, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not a time")?.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    // Without an offset it is UTC by convention: .NET's `DateTime.UtcNow` of unspecified kind.
    civil(text)
}

fn nservicebus(bytes: &[u8]) -> Result<Timestamp, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not a time")?.trim();
    let text = text.strip_suffix(" Z").ok_or("is not a time")?;
    let (seconds, micros) = text.rsplit_once(':').ok_or("is not a time")?;
    civil(&format!("{seconds}.{micros}"))
}

fn civil(text: &str) -> Result<Timestamp, &'static str> {
    let at: DateTime = text.parse().map_err(|_| "is not a time")?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(at).map_err(|_| "is not a time")?;
    Ok(Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codec_decides_and_not_the_length() {
        assert_eq!(number(Codec::Dec, b"12345678"), Ok(12_345_678));
        assert_eq!(number(Codec::I64be, b"12345678"), Ok(0x3132_3334_3536_3738));
        assert_eq!(number(Codec::Guess, b"12345678"), Ok(12_345_678));
        assert_eq!(number(Codec::Guess, &[0, 0, 0, 7]), Ok(7));
        assert!(number(Codec::I32be, b"123").is_err());
    }

    #[test]
    fn a_big_integer_is_twos_complement_of_any_length_up_to_eight() {
        assert_eq!(number(Codec::BigInt, &[0x01, 0xa1, 0xf7, 0xf9, 0x1e, 0x4f]), Ok(1_795_161_661_007));
        assert_eq!(number(Codec::BigInt, &[0xff]), Ok(-1));
        assert_eq!(number(Codec::BigInt, &[0]), Ok(0));
        assert!(number(Codec::BigInt, &[]).is_err());
        assert!(number(Codec::BigInt, &[1; 9]).is_err());
    }

    #[test]
    fn times_are_read_as_each_framework_writes_them() {
        let at = Ok(Timestamp(1_795_161_661_007));
        assert_eq!(time(Codec::IsoTime, b"2026-11-20T08:01:01.0070000Z"), at);
        assert_eq!(time(Codec::IsoTime, b"2026-11-20T08:01:01.0070000"), at);
        assert_eq!(time(Codec::NServiceBusTime, b"2026-11-20 08:01:01:007000 Z"), at);
        assert_eq!(time(Codec::Guess, b"1795161661007"), at);
        assert_eq!(time(Codec::Guess, b"1795161661"), Ok(Timestamp(1_795_161_661_000)));
        assert!(time(Codec::I64be, &(-1_i64).to_be_bytes()).is_err());
    }

    #[test]
    fn text_that_was_cut_within_a_character_is_read_up_to_there() {
        assert_eq!(text(Codec::Utf8, &"caf\u{e9}".as_bytes()[..4]).as_deref(), Ok("caf"));
        assert!(text(Codec::Utf8, b"caf\xff is").is_err());
        assert_eq!(text(Codec::Base64, b"bm90IGZvdW5k").as_deref(), Ok("not found"));
        assert_eq!(text(Codec::Base64, b"not found").as_deref(), Ok("not found"));
        assert_eq!(text(Codec::KafkaUri, b"kafka-b://topic/orders").as_deref(), Ok("orders"));
    }
}
