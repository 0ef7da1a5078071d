//! Random payloads, and random expressions about them, for the tests of what looks into them.

use proptest::prelude::*;

use super::builtin::{BINARY, UNARY};

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

/// Expressions over the document.
pub(super) fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(
        &[
            ".",
            ".value",
            ".value.a",
            ".value.b",
            ".value.a.b",
            ".value.a?.c",
            ".value[\"a-b\"]",
            ".key",
            ".headers.h",
            ".offset",
            ".a",
            ".b",
            ".a?",
            "..",
            "null",
            "true",
            "1",
            "\"x\"",
            "{a, b: .c}",
            "keys?",
            "tojson",
            "length?",
            "empty",
            ".value | type?",
            ".value.a | tonumber?",
            "(.value.b | ascii_downcase)?",
            "(.value.b | startswith(\"x\"))?",
            "(.value | split(\"x\"))?",
            "(.value.a | join(\",\"))?",
            "[.value[]? | numbers]",
            "-12",
            "1.5",
            "[1, \"x\", null]",
            "{}",
        ][..],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 16, 3, |inner| {
        let forms = proptest::sample::select(
            &[
                "(A | B)",
                "(A , B)",
                "(A and B)",
                "(A or B)",
                "(A | not)",
                "select(A)",
                "(A // B)",
                "(if A then B else C end)",
                "(if A then B end)",
                "(A == B)",
                "(A + B)",
                "(-(A))",
                "[A]",
                "{a: (A)}",
                "{(A | tostring): (B)}",
                "(A as $v | B, $v)",
                "(A as {a: $v} | B, $v)",
                "(try (A) catch .)",
                "(try (A) catch (B))",
                "(A | length?)",
                "(A | tojson)",
                "(A | keys?)",
                "(A[]?)",
                "(A[B]?)",
                "(A[(B)?:])",
                "any(A; B)",
                "all(A; B)",
                "first(A)",
                "(A).a",
                "(A).b?",
                "(reduce (A) as $x (B; . , $x))",
                "(foreach (A) as $x (B; $x))",
                "(A | path(B))",
                "(A | to_entries?)",
                "(A |= (B))",
                "(A = (B))",
                "(def f: A; f | B)",
                "(def f(g): g; f(A))",
                "(label $l | A, break $l)",
                "\"t\\(A)\"",
                "(A | has(\"a\"))?",
                "(A | error)",
                "(A | getpath([\"a\"]))?",
                "(A | del(.a))",
                "(A | map(B))?",
                "(A | [.[]?])",
                "(A | with_entries(.))?",
                "(A | contains(B))?",
                "(A - B)",
                "(A * B)?",
                "(A / B)?",
                "(A % B)?",
                "(A < B)",
                "(A != B)",
                "(A >= B)",
                "(A)[1:]?",
                "(A)[-1]?",
                "(A)[0]",
                "(A)[]",
                "(A | ..)",
                r#""\(A) \(B)""#,
                "{a: A, b: B}",
                "{a: (A), (B | tostring): (C)}",
                "(A as $v | B as $w | [$v, $w, C])",
                "(A as $v | (B as $v | $v), $v)",
                "(A as $v | B | has($v))?",
                "(A as [$v] | $v)?",
                "(A as $v | [.value[]? | select(. == $v)] | map(. , $v))",
                "(A as $v | reduce (B) as $x ($v; [., $x, $v]))",
                "(A | F)",
                "(A | F?)",
                "(A | [F])?",
                "(A | G(B))",
                "(A | G(B)?)",
                "[A | G(\"x\", B)?]",
                "(A | test(\"^x\"))?",
                "(A | test(B))?",
                "(A | test(\"^X # x\"; \"ix\"))?",
                "(A | test(\"x$\"; \"gm\"))?",
                "(A | test(\"\"; \"n\"))?",
                "(A | test(\"x\"; \"q\"))?",
                "(A | test(\"x\"; B))?",
                "(A | any)?",
                "(A | all)?",
                "any(A)?",
                "all(B)?",
                "(A | recurse)",
                "isempty(A)",
                "[limit(2; A)]",
                "(A | map_values(B))?",
                "(A | tojson | fromjson)",
                "error(A)",
                "(A, error(B))?",
                "(try error(A) catch .)",
            ][..],
        );
        let unary = proptest::sample::select(UNARY).prop_map(|unary| unary.name);
        let binary = proptest::sample::select(BINARY).prop_map(|(name, _)| name);
        let inner = (inner.clone(), inner.clone(), inner);
        (forms, unary, binary, inner).prop_map(|(form, unary, binary, (a, b, c))| {
            form.chars().fold(String::new(), |mut out, letter| {
                match letter {
                    'A' => out.push_str(&a),
                    'B' => out.push_str(&b),
                    'C' => out.push_str(&c),
                    'F' => out.push_str(unary),
                    'G' => out.push_str(binary),
                    other => out.push(other),
                }
                out
            })
        })
    })
}
