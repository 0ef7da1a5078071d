//! Payloads without a schema: MessagePack, CBOR, and what Kafka's own serialisers make.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::value::Value as Cbor;
use rmpv::ValueRef;
use serde_json::{Map, Value};

use super::{DEPTH, NODES, number};

/// Larger payloads are not tried: their values would take a multiple of their bytes.
const LARGEST: usize = 8 << 20;

/// Reads a MessagePack map or array that takes all of the bytes.
pub(super) fn message_pack(bytes: &[u8]) -> Result<Value, String> {
    if !matches!(bytes.first(), Some(0x80..=0x9f | 0xdc..=0xdf)) {
        return Err("does not begin with a map or an array".into());
    }
    bounded(bytes)?;
    let mut rest = bytes;
    let value = rmpv::decode::read_value_ref_with_max_depth(&mut rest, DEPTH).map_err(|e| e.to_string())?;
    whole(rest.len())?;
    let mut nodes = 0;
    packed(&value, &mut nodes)
}

fn packed(value: &ValueRef<'_>, nodes: &mut usize) -> Result<Value, String> {
    count(nodes)?;
    Ok(match value {
        ValueRef::Nil => Value::Null,
        ValueRef::Boolean(value) => Value::Bool(*value),
        ValueRef::Integer(value) => match (value.as_i64(), value.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, value) => Value::from(value),
        },
        ValueRef::F32(value) => number(f64::from(*value)),
        ValueRef::F64(value) => number(*value),
        ValueRef::String(text) => match text.as_str() {
            Some(text) => Value::from(text),
            None => Value::from(STANDARD.encode(text.as_bytes())),
        },
        ValueRef::Binary(bytes) => Value::from(STANDARD.encode(bytes)),
        ValueRef::Ext(kind, bytes) => {
            let mut members = Map::new();
            members.insert("ext".into(), Value::from(*kind));
            members.insert("data".into(), Value::from(STANDARD.encode(bytes)));
            Value::Object(members)
        }
        ValueRef::Array(items) => {
            Value::Array(items.iter().map(|item| packed(item, nodes)).collect::<Result<_, _>>()?)
        }
        ValueRef::Map(members) => {
            let members = members.iter().map(|(name, value)| {
                let name = match name {
                    ValueRef::String(text) if text.is_str() => text.as_str().unwrap_or_default().to_owned(),
                    ValueRef::Integer(number) => number.to_string(),
                    _ => return Err("a key of a map is neither text nor a number".to_owned()),
                };
                Ok((name, packed(value, nodes)?))
            });
            Value::Object(members.collect::<Result<_, _>>()?)
        }
    })
}

/// Reads a CBOR map, array or tagged value that takes all of the bytes.
pub(super) fn cbor(bytes: &[u8]) -> Result<Value, String> {
    if !matches!(bytes.first(), Some(0x80..=0x9b | 0x9f | 0xa0..=0xbb | 0xbf..=0xdb)) {
        return Err("does not begin with a map, an array or a tag".into());
    }
    bounded(bytes)?;
    let mut rest = bytes;
    let value: Cbor =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH).map_err(|e| e.to_string())?;
    whole(rest.len())?;
    let mut nodes = 0;
    concise(value, &mut nodes)
}

fn concise(value: Cbor, nodes: &mut usize) -> Result<Value, String> {
    count(nodes)?;
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Integer(value) => {
            let value = i128::from(value);
            match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => Value::from(value),
                (Err(_), Ok(value)) => Value::from(value),
                (Err(_), Err(_)) => Value::from(value.to_string()),
            }
        }
        Cbor::Float(value) => number(value),
        Cbor::Text(text) => Value::from(text),
        Cbor::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        Cbor::Tag(_, inner) => concise(*inner, nodes)?,
        Cbor::Array(items) => {
            Value::Array(items.into_iter().map(|item| concise(item, nodes)).collect::<Result<_, _>>()?)
        }
        Cbor::Map(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let name = match name {
                    Cbor::Text(text) => text,
                    Cbor::Integer(number) => i128::from(number).to_string(),
                    _ => return Err("a key of a map is neither text nor a number".to_owned()),
                };
                Ok((name, concise(value, nodes)?))
            });
            Value::Object(members.collect::<Result<_, _>>()?)
        }
        _ => return Err("it holds something unknown".into()),
    })
}

fn bounded(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > LARGEST { Err(format!("larger than {} MiB", LARGEST >> 20)) } else { Ok(()) }
}

fn whole(rest: usize) -> Result<(), String> {
    if rest == 0 { Ok(()) } else { Err(format!("{rest} bytes are left behind the value")) }
}

fn count(nodes: &mut usize) -> Result<(), String> {
    *nodes += 1;
    if *nodes > NODES { Err(format!("it has more than {NODES} values")) } else { Ok(()) }
}

/// An integer of 2, 4 or 8 bytes, big-endian, as Kafka's serialisers write it.
pub(super) fn integer(bytes: &[u8]) -> Result<Value, String> {
    if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
        return Ok(Value::from(i64::from_be_bytes(bytes)));
    }
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(Value::from(i32::from_be_bytes(bytes)));
    }
    match <[u8; 2]>::try_from(bytes) {
        Ok(bytes) => Ok(Value::from(i16::from_be_bytes(bytes))),
        Err(_) => Err(format!("{} bytes are no integer (2, 4 or 8)", bytes.len())),
    }
}

/// A number of 4 or 8 bytes with a fraction, big-endian.
pub(super) fn floating(bytes: &[u8]) -> Result<Value, String> {
    if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
        return Ok(number(f64::from_be_bytes(bytes)));
    }
    match <[u8; 4]>::try_from(bytes) {
        Ok(bytes) => Ok(number(f32::from_be_bytes(bytes).into())),
        Err(_) => Err(format!("{} bytes are no floating-point number (4 or 8)", bytes.len())),
    }
}

/// An integer, where it looks like one: small for its length.
pub(super) fn likely_integer(bytes: &[u8]) -> Result<Value, String> {
    let value = integer(bytes)?;
    let (most, of) = if bytes.len() == 8 { (1 << 53, "eight") } else { (1 << 30, "four") };
    match value.as_i64() {
        Some(n) if bytes.len() > 2 && n.unsigned_abs() < most => Ok(value),
        _ if bytes.len() == 2 => Err("two bytes are not taken for a number unasked".into()),
        _ => Err(format!("too large a number to be likely in {of} bytes")),
    }
}

/// A number with a fraction, where it looks like one.
pub(super) fn likely_floating(bytes: &[u8]) -> Result<Value, String> {
    let value = floating(bytes)?;
    match value.as_f64().map(f64::abs) {
        Some(n) if bytes.len() == 8 && (1e-9..1e15).contains(&n) => Ok(value),
        _ => Err("not a likely number".into()),
    }
}

/// A UUID of 16 bytes; `strict` looks at its version and variant.
pub(super) fn uuid(bytes: &[u8], strict: bool) -> Result<Value, String> {
    let id = uuid::Uuid::from_slice(bytes).map_err(|_| format!("{} bytes are no UUID (16)", bytes.len()))?;
    let known = (1..=8).contains(&id.get_version_num()) && id.get_variant() == uuid::Variant::RFC4122;
    if strict && !known {
        return Err("16 bytes without the version of a UUID".into());
    }
    Ok(Value::from(id.to_string()))
}
