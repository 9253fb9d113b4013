//! Whatever the text: no panic, spans inside the text, and drawings of every diagnostic.

use std::io;

use proptest::prelude::*;
use tidegate_config::{Action, Diagnostics, Plan, parse, parse_endpoint, parse_listen};

/// A file with most of the keys, for mutations to begin with.
const WHOLE: &str = include_str!("whole.toml");

fn survives(text: &str) {
    let env = |name: &str| (name.len() == 1).then(|| "1".to_owned());
    let read = |path: &std::path::Path| match path.extension() {
        Some(_) => Ok(b"{}".to_vec()),
        None => Err(io::ErrorKind::IsADirectory.into()),
    };
    let diagnostics: Diagnostics = match parse(text, "t.toml", &env, &read) {
        Ok(loaded) => {
            assert!(!loaded.warnings.has_errors());
            for route in loaded.plan.routes.iter().filter(|route| route.cache.is_some()) {
                assert!(loaded.plan.cache.memory_bytes > 0 && matches!(route.action, Action::Upstream(_)));
            }
            for lines in prebuilt(&loaded.plan) {
                are_lines(lines);
            }
            loaded.warnings
        }
        Err(diagnostics) => {
            assert!(diagnostics.has_errors(), "{text}");
            diagnostics
        }
    };
    for item in diagnostics.items() {
        let spans = item.span.iter().chain(item.notes.iter().map(|note| &note.span));
        for span in spans {
            assert!(text.get(span.clone()).is_some(), "{span:?} is not inside {text:?}");
        }
        let first = item.message.chars().next();
        assert!(first.is_some_and(|c| !c.is_uppercase()), "{}", item.message);
        assert!(!item.message.ends_with('.'), "{}", item.message);
    }
    assert!(diagnostics.to_string().lines().count() >= diagnostics.items().len());
    assert!(diagnostics.render(false).lines().count() >= diagnostics.items().len());
}

/// Bytes of the plan that go into heads as they are.
fn prebuilt(plan: &Plan) -> Vec<&[u8]> {
    let security = plan.routes.iter().filter_map(|route| route.security.as_ref());
    let security = security.chain(&plan.server.security).flat_map(|s| [&*s.lines, &*s.hsts_line]);
    let cors = plan.routes.iter().filter_map(|route| route.cors.as_ref());
    security.chain(cors.flat_map(|cors| [&*cors.lines, &*cors.preflight_lines])).collect()
}

/// Whole field lines that nothing broke out of.
fn are_lines(bytes: &[u8]) {
    let text = core::str::from_utf8(bytes).unwrap();
    let Some(text) = text.strip_suffix("\r\n") else { return assert_eq!(text, "") };
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'), "{line:?}");
        assert!(
            !value.is_empty() && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()),
            "{line:?}"
        );
    }
}

#[test]
fn the_whole_file_is_sound() {
    let read = |path: &std::path::Path| match path.extension() {
        Some(_) => Ok(b"{}".to_vec()),
        None => Err(io::ErrorKind::IsADirectory.into()),
    };
    let loaded = parse(WHOLE, "whole.toml", &|_| None, &read).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    survives(WHOLE);
}

/// A small TOML value of any type, often of the wrong one.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:?}")),
        "[a-z0-9:/*{}$.%= -]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("\"${A}:${B:-x}\"".to_owned()),
        Just("1979-05-27".to_owned()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(", "))),
            proptest::collection::btree_map(key(), inner, 0..3).prop_map(|table| {
                let pairs: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", pairs.join(", "))
            }),
        ]
    })
}

/// A key that some table has, or one that none has.
fn key() -> impl Strategy<Value = String> {
    let known: Vec<&str> = WHOLE
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect();
    prop_oneof![9 => proptest::sample::select(known).prop_map(str::to_owned), 1 => "[a-z]{1,5}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_tables_are_survived(
        lines in proptest::collection::vec((key(), value()), 0..6),
        head in prop_oneof![
            Just("[server]"), Just("[[listener]]"), Just("[upstream.a]"), Just("[[route]]"), Just("")
        ],
    ) {
        let mut keys = std::collections::BTreeMap::new();
        keys.extend(lines);
        let body: Vec<_> = keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        survives(&format!("{head}\n{}\n", body.join("\n")));
    }

    #[test]
    fn any_value_of_any_key_is_survived(at in any::<proptest::sample::Index>(), value in value()) {
        let lines: Vec<&str> = WHOLE.lines().filter(|line| line.contains(" = ")).collect();
        let line = lines[at.index(lines.len())];
        let (key, _) = line.split_once(" = ").unwrap();
        survives(&WHOLE.replacen(line, &format!("{key} = {value}"), 1));
    }

    #[test]
    fn any_cut_and_any_byte_is_survived(at in any::<proptest::sample::Index>(), with in any::<char>()) {
        let at = at.index(WHOLE.len());
        survives(&WHOLE[..at]);
        let mut text = WHOLE.to_owned();
        text.insert(at, with);
        survives(&text);
    }

    #[test]
    fn addresses_never_panic(text in "\\PC{0,40}") {
        let _ = (parse_listen(&text).is_ok(), parse_endpoint(&text).is_ok());
    }
}
