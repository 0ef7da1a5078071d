//! JSON values that formats look into: bounded, and never deeper than a recursive parser may go.

use serde_json::Value;

use crate::event::json;

/// Values longer than this are not parsed to look for a format.
pub(super) const LIMIT: usize = 4 << 20;

/// The document, where the bytes are a JSON object. Unlike what is shown to the operator, a number that loses
/// digits is no hindrance here.
pub(super) fn object(bytes: &[u8]) -> Option<Value> {
    let is_object = bytes.len() <= LIMIT && json::first(bytes) == Some(b'{') && json::is_bounded(bytes);
    is_object.then(|| serde_json::from_slice(bytes).ok())?
}

/// The value at a path of names and indexes, `error.causes.0.class` or `error.causes[0].class`. A name that has dots itself is found whole.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if let Value::Object(map) = value
        && let Some(found) = map.get(path)
    {
        return Some(found);
    }
    path.split(['.', '[']).map(|part| part.trim_end_matches(']')).try_fold(value, |value, part| match value {
        Value::Object(map) => map.get(part),
        Value::Array(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_through_names_and_indexes() {
        let value = serde_json::json!({"a": {"b": [{"c": 1}]}, "x.y": 2});
        assert_eq!(at(&value, "a.b.0.c"), Some(&1.into()));
        assert_eq!(at(&value, "a.b[0].c"), Some(&1.into()));
        assert_eq!(at(&value, "x.y"), Some(&2.into()));
        assert_eq!((at(&value, "a.b.1"), at(&value, "a..b"), at(&value, "a.b[x]")), (None, None, None));
    }
}
