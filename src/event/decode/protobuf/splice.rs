//! A message whose document changed in parts: fields that did not change keep their bytes and their order.
//!
//! So do fields that the schema does not describe, which no document shows. Only inside a repeated field that changed
//! there is no place for those: it is refused where it has some, because they would be lost.

use std::collections::HashSet;

use prost_reflect::prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage as _, Value as Content,
};
use serde_json::Value;

use super::{LARGEST, message_of};
use crate::event::encode::Misfit;

/// Writes `document` in the place of the message that `bytes` hold.
pub(in super::super) fn splice(
    message: MessageDescriptor,
    bytes: &[u8],
    document: &Value,
) -> Result<Vec<u8>, Misfit> {
    if bytes.len() > LARGEST {
        return Err(Misfit::new(format!("larger than {} MiB", LARGEST >> 20)));
    }
    let old = DynamicMessage::decode(message.clone(), bytes)
        .map_err(|e| Misfit::new(format!("no {}: {e}", message.full_name())))?;
    let new = message_of(message, document)?;
    let mut out = Vec::with_capacity(bytes.len() + 64);
    merge(&old, &new, bytes, &mut out)?;
    Ok(out)
}

/// Writes `new` over the bytes of `old`.
fn merge(old: &DynamicMessage, new: &DynamicMessage, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Misfit> {
    let message = old.descriptor();
    if !old.extensions().eq(new.extensions()) {
        return Err(Misfit::new("extensions of a message cannot be edited"));
    }
    let is_same = |field: &FieldDescriptor| {
        old.has_field(field) == new.has_field(field) && old.get_field(field) == new.get_field(field)
    };
    let parts = parts(bytes)?;
    let mut written = HashSet::new();
    for part in &parts {
        match message.get_field(part.number) {
            Some(field) if !is_same(&field) => {
                if written.insert(part.number) {
                    let alone = parts.iter().filter(|other| other.number == part.number).count() == 1;
                    write(old, new, &field, part.inside.filter(|_| alone), out)
                        .map_err(|misfit| misfit.at(field.name()))?;
                }
            }
            _ => out.extend_from_slice(part.whole),
        }
    }
    for field in message.fields().filter(|field| !written.contains(&field.number()) && !is_same(field)) {
        write(old, new, &field, None, out).map_err(|misfit| misfit.at(field.name()))?;
    }
    Ok(())
}

/// Writes a field that changed; `inside` is the one message that it was.
fn write(
    old: &DynamicMessage,
    new: &DynamicMessage,
    field: &FieldDescriptor,
    inside: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    if !new.has_field(field) {
        return Ok(());
    }
    let (before, after) = (old.get_field(field), new.get_field(field));
    if let (Content::Message(before), Content::Message(after), Some(inside)) = (&*before, &*after, inside) {
        let mut merged = Vec::with_capacity(inside.len() + 16);
        merge(before, after, inside, &mut merged)?;
        varint(u64::from(field.number()) << 3 | 2, out);
        varint(merged.len() as u64, out);
        out.extend(merged);
        return Ok(());
    }
    if hides(&before) {
        return Err(Misfit::new("it has fields that the schema does not describe; they would be lost"));
    }
    let mut alone = DynamicMessage::new(new.descriptor());
    alone.set_field(field, after.into_owned());
    out.extend(alone.encode_to_vec());
    Ok(())
}

/// Whether there are fields in it that its schema does not describe.
fn hides(content: &Content) -> bool {
    match content {
        Content::Message(message) => {
            message.unknown_fields().next().is_some() || message.fields().any(|(_, content)| hides(content))
        }
        Content::List(items) => items.iter().any(hides),
        Content::Map(members) => members.values().any(hides),
        _ => false,
    }
}

/// One field as it lies.
struct Part<'b> {
    number: u32,
    whole: &'b [u8],
    /// What is in it, where its length is told.
    inside: Option<&'b [u8]>,
}

/// The fields of a message that was decoded before, in their order.
fn parts(bytes: &[u8]) -> Result<Vec<Part<'_>>, Misfit> {
    let broken = || Misfit::new("its fields cannot be told apart");
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        let tag = number(bytes, &mut at).ok_or_else(broken)?;
        let len = match tag & 7 {
            0 => {
                number(bytes, &mut at).ok_or_else(broken)?;
                0
            }
            1 => 8,
            2 => number(bytes, &mut at).and_then(|len| usize::try_from(len).ok()).ok_or_else(broken)?,
            5 => 4,
            // Groups, from before there were messages in messages.
            _ => return Err(Misfit::new("it has groups, which are not edited")),
        };
        let end = at.checked_add(len).ok_or_else(broken)?;
        let inside = bytes.get(at..end).ok_or_else(broken)?;
        out.push(Part {
            number: u32::try_from(tag >> 3).map_err(|_| broken())?,
            whole: bytes.get(start..end).ok_or_else(broken)?,
            inside: (tag & 7 == 2).then_some(inside),
        });
        at = end;
    }
    Ok(out)
}

fn number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{ProtobufSchema, decode};
    use super::*;

    const ORDER: &str = "syntax = \"proto3\"; message Order {
        string id = 1; Money total = 2; repeated Money parts = 3; oneof pay { string card = 4; int32 cash = 5; }
        map<string, int32> counts = 6; repeated int32 marks = 7; optional int32 rank = 8; }
        message Money { int32 cents = 1; Money more = 2; }";

    fn order() -> MessageDescriptor {
        ProtobufSchema::parse(ORDER, &[]).unwrap().at(&[0]).unwrap()
    }

    /// Fields in another order than they are written anew, one that nobody knows, one of the inner message's, too.
    const ODD: &[u8] =
        b"\x12\x05\x08\x05\x98\x06\x01\x98\x06\x02\x0a\x02o1\x22\x01c\x38\x01\x38\x02\x1a\x02\x08\x01";

    fn spliced(bytes: &[u8], change: impl Fn(&mut Value)) -> Result<Vec<u8>, String> {
        let mut document = decode(order(), bytes).unwrap();
        change(&mut document);
        splice(order(), bytes, &document).map_err(|misfit| misfit.to_string())
    }

    #[test]
    fn fields_that_did_not_change_keep_bytes_and_order_and_those_that_nobody_knows_stay() {
        assert_eq!(spliced(ODD, |_| {}).unwrap(), ODD);
        let with = |from: &[u8], to: &[u8]| {
            let at = ODD.windows(from.len()).position(|window| window == from).unwrap();
            [&ODD[..at], to, &ODD[at + from.len()..]].concat()
        };
        assert_eq!(spliced(ODD, |d| d["id"] = json!("two")).unwrap(), with(b"\x0a\x02o1", b"\x0a\x03two"));
        let inner = spliced(ODD, |d| d["total"]["cents"] = json!(300)).unwrap();
        assert_eq!(inner, with(b"\x12\x05\x08\x05", b"\x12\x06\x08\xac\x02"));
        let paid = spliced(ODD, |d| {
            d.as_object_mut().unwrap().remove("card");
            d["cash"] = json!(7);
        });
        assert_eq!(paid.unwrap(), [&with(b"\x22\x01c", b"")[..], b"\x28\x07"].concat());
        let marks = spliced(ODD, |d| d["marks"] = json!([3])).unwrap();
        assert_eq!(marks, with(b"\x38\x01\x38\x02", b"\x3a\x01\x03"));
        let rank = spliced(ODD, |d| d["rank"] = json!(0)).unwrap();
        assert_eq!(rank, [ODD, b"\x40\x00"].concat());
    }

    #[test]
    fn what_would_be_lost_or_does_not_fit_is_refused_with_its_place() {
        let hidden = b"\x1a\x05\x08\x01\x98\x06\x01";
        let why = spliced(hidden, |d| d["parts"][0]["cents"] = json!(2)).unwrap_err();
        assert_eq!(why, "parts: it has fields that the schema does not describe; they would be lost");
        assert_eq!(spliced(hidden, |d| d["parts"] = json!([])).unwrap(), b"");
        assert!(spliced(ODD, |d| d["total"]["cents"] = json!("x")).unwrap_err().starts_with("total.cents: "));
        assert!(spliced(ODD, |d| d["no"] = json!(1)).unwrap_err().contains("no"));
    }
}
