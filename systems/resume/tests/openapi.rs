//! The description of the JSON parts is complete and true.

mod harness;

use std::collections::BTreeSet;

use harness::running;
use serde_json::{Value, json};

#[test]
fn every_described_path_is_served_and_bounds_are_those_that_are_kept() {
    let (_folder, site) = running(&[]);
    let document = site.json("/openapi.json");
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let paths = members(&document["paths"]);
    assert!(
        paths.iter().eq(&["/api/contact", "/health", "/metrics", "/openapi.json", "/ready"]),
        "{paths:?}"
    );
    for (path, operations) in document["paths"].as_object().unwrap() {
        let methods: Vec<String> = operations.as_object().unwrap().keys().cloned().collect();
        let refused = site.ask("BREW", path, &[], b"");
        let allowed = refused.header("allow").unwrap().to_lowercase();
        assert_eq!(refused.status, 405);
        assert!(methods.iter().all(|method| allowed.contains(method)), "{path}: {allowed}");
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }

    let bounds = &document["components"]["schemas"]["NewMessage"]["properties"];
    let longest = |field: &str| bounds[field]["maxLength"].as_u64().unwrap() as usize;
    let send = |extra: usize| {
        let body = json!({
            "name": "n".repeat(longest("name") + extra),
            "email": "e".repeat(longest("email") - 2 + extra) + "@b",
            "message": "m".repeat(longest("message") + extra)
        });
        site.post_json("/api/contact", &body)
    };
    let stored = send(0);
    assert_eq!(stored.status, 201);
    assert_eq!(members(&stored.json()), members(&document["components"]["schemas"]["Receipt"]["properties"]));
    assert_eq!(send(1).named().len(), 3);
}
