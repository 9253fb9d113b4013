//! What single requests get: headers, refusals, kept answers, pages without a script.

mod harness;

use harness::{Program, start};
use serde_json::json;
use tempfile::TempDir;

fn running() -> (TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &["--count", "200"]);
    (folder, screener)
}

fn named(fields: &[&str]) -> Vec<(Option<u64>, String)> {
    fields.iter().map(|field| (None, (*field).to_owned())).collect()
}

#[test]
fn lists_can_be_kept_by_a_shared_cache_and_asked_about_again() {
    let (_folder, screener) = running();
    for target in ["/api/stocks?pe_max=20", "/api/sectors", "/api/stocks/"] {
        let target = match target {
            "/api/stocks/" => {
                let list = screener.json("/api/stocks?per_page=1");
                format!("{target}{}", list["stocks"][0]["symbol"].as_str().unwrap())
            }
            other => other.to_owned(),
        };
        let first = screener.get(&target);
        assert_eq!(first.header("cache-control"), Some("public, max-age=30, stale-while-revalidate=30"));
        let etag = first.header("etag").unwrap();
        let again = screener.ask("GET", &target, &[("if-none-match", etag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{target}");
        assert_eq!(again.header("etag"), Some(etag));
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        let head = screener.ask("HEAD", &target, &[], b"");
        assert_eq!(head.header("content-length"), first.header("content-length"));
    }
}

#[test]
fn equal_filters_share_one_kept_answer_and_the_metrics_count_it() {
    let (_folder, screener) = running();
    for query in ["pe_max=20&sector=Energy", "sector=Energy&pe_max=20.0", "q=&sector=Energy&pe_max=20&page=1"]
    {
        screener.json(&format!("/api/stocks?{query}"));
    }
    let metrics = screener.get("/metrics");
    let text = metrics.text();
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "screener_answer_lookups_total{result=\"miss\"} 1\n",
        "screener_answer_lookups_total{result=\"hit\"} 2\n",
        "screener_answers_kept 1\n",
        "http_request_duration_seconds_count{route=\"/api/stocks\",method=\"GET\",status=\"2xx\"} 3\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[test]
fn every_wrong_parameter_is_named_in_one_answer() {
    let (_folder, screener) = running();
    let refused = screener.get("/api/stocks?pe_min=abc&sektor=Energy&page=0&roe_min=9&roe_max=1");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.named(), named(&["pe_min", "sektor", "page", "roe_min"]));
    assert_eq!(refused.json()["errors"][1]["help"], "did you mean sector?");

    let page = screener.get("/?pe_min=abc&roe_max=10");
    assert_eq!(page.status, 400);
    assert!(page.text().contains("<code>pe_min</code> not a number: &quot;abc&quot;"));
    assert!(page.text().contains("name=\"roe_max\" value=\"10\""), "what was right stays in the form");
}

#[test]
fn text_from_a_client_is_never_markup() {
    let (_folder, screener) = running();
    let attack = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for target in [
        format!("/?q={attack}"),
        format!("/?{attack}=1"),
        format!("/?sector=%22{attack}"),
        format!("/{attack}"),
    ] {
        let page = screener.ask("GET", &target, &[("accept", "text/html")], b"");
        assert!(!page.text().contains("<script>alert"), "{target}");
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'self'"));
    }
}

#[test]
fn screens_are_saved_listed_and_deleted_and_bad_ones_refused() {
    let (_folder, screener) = running();
    let saved =
        screener.post_json("/api/screens", &json!({ "name": " Cheap ", "query": "?page=3&pe_max=10.0" }));
    let screen = saved.json();
    assert_eq!(
        (saved.status, &screen["name"], &screen["query"]),
        (201, &json!("Cheap"), &json!("pe_max=10"))
    );
    assert_eq!(screener.json("/api/screens")["screens"], json!([screen]));

    let taken = screener.post_json("/api/screens", &json!({ "name": "CHEAP", "query": "" }));
    assert_eq!((taken.status, taken.json()["code"].as_str()), (409, Some("name-taken")));
    let wrong = screener.post_json("/api/screens", &json!({ "name": "  ", "query": "pe_mix=3" }));
    assert_eq!((wrong.status, wrong.named()), (400, named(&["name", "query.pe_mix"])));
    let wrong = screener.post_json("/api/screens", &json!({ "name": 5, "filter": "" }));
    assert_eq!((wrong.status, wrong.named()), (400, named(&["filter", "name", "query"])));
    let json_headers = [("content-type", "application/json; charset=utf-8")];
    for (body, code) in [("{", "not-json"), ("[]", "not-an-object")] {
        let refused = screener.ask("POST", "/api/screens", &json_headers, body.as_bytes());
        assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some(code)));
    }
    assert_eq!(screener.ask("POST", "/api/screens", &[], b"{}").status, 415);
    assert_eq!(screener.ask("POST", "/api/screens", &json_headers, &vec![b' '; 17 << 10]).status, 413);

    let target = format!("/api/screens/{}", screen["id"]);
    assert_eq!(screener.json(&target), screen);
    assert_eq!(screener.ask("DELETE", &target, &[], b"").status, 204);
    assert_eq!(screener.ask("DELETE", &target, &[], b"").status, 404);
    assert_eq!(screener.get("/api/screens/one").status, 404);
}

#[test]
fn the_page_saves_and_deletes_screens_by_plain_forms() {
    let (_folder, screener) = running();
    let form = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    let saved = screener.ask("POST", "/screens", &form, b"name=A+%26+B&query=sector%3DEnergy%26pe_max%3D10");
    assert_eq!((saved.status, saved.header("location")), (303, Some("/?sector=Energy&pe_max=10")));
    let page = screener.get("/?sector=Energy&pe_max=10").text();
    assert!(page.contains("<a href=\"/?sector=Energy&amp;pe_max=10\" aria-current=\"true\">A &amp; B</a>"));

    let foreign = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    assert_eq!(screener.ask("POST", "/screens", &foreign, b"name=x&query=").status, 403);
    let id = screener.json("/api/screens")["screens"][0]["id"].clone();
    assert_eq!(screener.ask("POST", &format!("/screens/{id}/delete"), &foreign, b"").status, 403);
    assert_eq!(screener.ask("POST", "/screens", &form, b"name=&query=").status, 400);

    let back = [("referer", "http://screener/?pe_max=10")];
    let deleted = screener.ask("POST", &format!("/screens/{id}/delete"), &back, b"");
    assert_eq!((deleted.status, deleted.header("location")), (303, Some("/?pe_max=10")));
    assert_eq!(screener.json("/api/screens")["screens"], json!([]));
}

#[test]
fn browsers_get_pages_and_programs_get_problems() {
    let (_folder, screener) = running();
    for target in ["/nowhere", "/stocks/NOSUCH", "/stocks/%00"] {
        let page = screener.ask("GET", target, &[("accept", "text/html,*/*")], b"");
        assert_eq!(
            (page.status, page.header("content-type")),
            (404, Some("text/html; charset=utf-8")),
            "{target}"
        );
    }
    for target in ["/nowhere", "/api/stocks/NOSUCH", "/static/none.css"] {
        let problem = screener.get(target);
        assert_eq!((problem.status, problem.header("content-type")), (404, Some("application/problem+json")));
    }
    let wrong = screener.ask("PATCH", "/api/screens", &[], b"");
    assert_eq!((wrong.status, wrong.header("content-type")), (405, Some("application/problem+json")));
}

#[test]
fn files_are_kept_for_an_hour_and_pages_asked_about_each_time() {
    let (_folder, screener) = running();
    let page = screener.get("/");
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let text = page.text();
    let found: Vec<_> = text.split('"').filter(|part| part.starts_with("/static/")).collect();
    assert!(found.len() >= 3, "style, script and icon: {found:?}");
    for target in found {
        let file = screener.get(target);
        assert_eq!(
            (file.status, file.header("cache-control")),
            (200, Some("public, max-age=3600")),
            "{target}"
        );
        let again = screener.ask("GET", target, &[("if-none-match", file.header("etag").unwrap())], b"");
        assert_eq!(again.status, 304);
    }
    let again = screener.ask("GET", "/", &[("if-none-match", page.header("etag").unwrap())], b"");
    assert_eq!(again.status, 304);
}

#[test]
fn an_instance_under_load_stays_below_its_memory_limit() {
    let folder = tempfile::tempdir().unwrap();
    let screener = start(&folder.path().join("s.db"), &[]);
    for page in 1..=100 {
        screener.get(&format!("/?page={page}"));
        screener.json(&format!("/api/stocks?per_page=200&sort=name&page={page}"));
    }
    let text = screener.get("/metrics").text();
    let line = text.lines().find(|line| line.starts_with("process_resident_memory_bytes ")).unwrap();
    let resident_bytes: u64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(resident_bytes < 128 << 20, "{resident_bytes} bytes, of 512 MB at most in any load");
}
