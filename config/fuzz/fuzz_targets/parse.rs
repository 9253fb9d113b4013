//! Any text as a configuration: nothing panics, no error is told without its place in the text, and every
//! diagnostic can be drawn.

#![no_main]

use std::path::Path;

use config::{Plan, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let env = |name: &str| (name.len() == 1).then(|| name.to_owned());
    let read = |path: &Path| Ok(path.as_os_str().as_encoded_bytes().to_vec());
    let told = match parse(text, "tidegate.toml", &env, &read) {
        Ok(loaded) => {
            sound(&loaded.plan);
            assert!(!loaded.warnings.has_errors());
            loaded.warnings
        }
        Err(told) => {
            assert!(told.has_errors());
            told
        }
    };
    for item in told.items() {
        assert!(item.span.clone().is_none_or(|span| text.get(span).is_some()), "{item:?}");
    }
    let drawn = told.render(true) + &told.render(false) + &told.to_string();
    assert_eq!(drawn.is_empty(), told.is_empty());
});

/// What whoever holds a plan need not check again.
fn sound(plan: &Plan) {
    assert!((1..=256).contains(&plan.server.threads) && !plan.listeners.is_empty() && !plan.routes.is_empty());
    assert!(plan.upstreams.iter().all(|upstream| !upstream.endpoints.is_empty()));
    let rules = plan.routes.iter().map(|route| route.rule.clone()).collect();
    traffic::route::Table::build(rules).expect("no two routes conflict");
    for route in &plan.routes {
        assert!(!matches!(route.action, config::Action::Upstream(index) if index >= plan.upstreams.len()));
    }
}
