//! Whatever the scenario: no panic, spans inside the text, drawings of every diagnostic.

mod support;

use fastrand::Rng;
use proptest::prelude::*;
use tidegate_load::plan::{Plan, Work};
use tidegate_load::script::Memory;

const WHOLE: &str = include_str!("whole.toml");
const SOCKETS: &str = include_str!("sockets.toml");

fn survives(text: &str) {
    match support::read(text) {
        Ok(plan) => sound(&plan),
        Err(told) => {
            assert!(told.has_errors(), "{text}");
            for item in told.items() {
                let spans = item.span.iter().chain(item.notes.iter().map(|note| &note.span));
                for span in spans {
                    assert!(text.get(span.clone()).is_some(), "{span:?} is not inside {text:?}");
                }
                assert!(!item.message.ends_with('.'), "{}", item.message);
            }
            assert!(told.render(false).lines().count() >= told.items().len());
        }
    }
}

/// What whoever holds a plan need not check again.
fn sound(plan: &Plan) {
    assert!(!plan.stages.is_empty() && !plan.thresholds.is_empty() && !plan.target.addresses.is_empty());
    assert!(plan.users.most() > 0);
    assert!(plan.stages.iter().all(|stage| stage.from >= 0.0 && stage.to >= 0.0));
    let script = match &plan.work {
        Work::Http(script) => script,
        Work::Sockets(sockets) => &sockets.script,
    };
    let (mut memory, mut rng) = (Memory::default(), Rng::with_seed(1));
    for arrival in 0..4 {
        let at = script.begin(arrival, &mut rng, &mut memory);
        let mut out = Vec::new();
        if script.render(at, &mut memory, &mut rng, 0, &mut out).is_ok() {
            assert!(script.fixed(at).is_none_or(|fixed| fixed == out));
        }
    }
}

/// A small TOML value of any type, often of the wrong one.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:?}")),
        "[a-z0-9:/*{}$.%= -]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("\"${A}:${B:-x}{{page}}\"".to_owned()),
        Just("1979-05-27".to_owned()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(", "))),
            proptest::collection::btree_map("[a-z]{1,5}", inner, 0..3).prop_map(|table| {
                let pairs: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", pairs.join(", "))
            }),
        ]
    })
}

#[test]
fn the_examples_are_sound() {
    sound(&support::read(WHOLE).unwrap_or_else(|told| panic!("{told}")));
    sound(&support::read(SOCKETS).unwrap_or_else(|told| panic!("{told}")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_value_of_any_key_is_survived(
        at in any::<proptest::sample::Index>(), value in value(), sockets in any::<bool>(),
    ) {
        let whole = if sockets { SOCKETS } else { WHOLE };
        let lines: Vec<&str> = whole.lines().filter(|line| line.contains(" = ")).collect();
        let line = lines[at.index(lines.len())];
        let (key, _) = line.split_once(" = ").unwrap();
        survives(&whole.replacen(line, &format!("{key} = {value}"), 1));
    }

    #[test]
    fn any_cut_and_any_byte_is_survived(at in any::<proptest::sample::Index>(), with in any::<char>()) {
        let at = at.index(WHOLE.len());
        survives(&WHOLE[..at]);
        let mut text = WHOLE.to_owned();
        text.insert(at, with);
        survives(&text);
    }
}
