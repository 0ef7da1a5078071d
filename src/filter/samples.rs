//! Random payloads for the tests of what looks into them.

use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = String> {
    const WORDS: [&str; 37] = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "12",
        "-12",
        "12.0",
        "1e1",
        "0.1",
        "1e400",
        "-1e400",
        "1.5E-3",
        "12345678901234567890",
        "9007199254740993",
        "007",
        "+1",
        "1.",
        "NaN",
        "tru",
        "\"\"",
        "\"x\"",
        "\"12\"",
        "\"xy\"",
        "\"a x b\"",
        "\"\\u0078\"",
        "\"\\\"x\"",
        "\"\\n\"",
        "\"é\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\q\"",
        "\"tab\there\"",
        "b\"x\"",
        "\"0123456789abcdef\\\\\"",
    ];
    proptest::sample::select(&WORDS[..]).prop_map(str::to_owned)
}

fn json() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(&["a", "b", "c", "a-b", "\\u0061", ""][..]);
    let space = proptest::sample::select(&["", "", "", " ", "\n\t", "#c\n"][..]);
    scalar().prop_recursive(4, 24, 4, move |inner| {
        let member = (name.clone(), space.clone(), inner.clone(), space.clone())
            .prop_map(|(name, before, value, after)| format!("{before}\"{name}\":{after}{value}"));
        prop_oneof![
            3 => proptest::collection::vec(member, 0..5).prop_map(|m| format!("{{{}}}", m.join(","))),
            1 => proptest::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(" ,"))),
        ]
    })
}

/// Payloads: JSON of every shape, what is nearly JSON, text, nothing.
pub(super) fn payload() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        8 => json().prop_map(Some),
        1 => (json(), 0_usize..40).prop_map(|(text, cut)| Some(text.chars().take(cut).collect())),
        1 => json().prop_map(|text| Some(format!("{text} {text}"))),
        1 => proptest::sample::select(&["", " ", "x", "a x", "nothing"][..]).prop_map(|t| Some(t.to_owned())),
        1 => Just(None),
    ]
}
