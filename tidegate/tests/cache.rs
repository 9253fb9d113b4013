//! The cache as its operators see it: what is in it, taking things out, filling it, and what is counted.

#[path = "support/mod.rs"]
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use stage::{Origin, Response, Tidegate, endpoints, front, get, request, wait_until};

/// An app whose answers are for everybody, tagged, and numbered as they are asked for; and how many it gave.
fn app() -> (Origin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = Origin::answering(move |heard| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let path = heard.line.split(' ').nth(1).unwrap_or_default();
        let body = match path {
            "/sitemap.xml" => {
                let page = |path: &str| format!("<url><loc>http://example.test{path}</loc></url>");
                format!("<urlset>{}{}{}</urlset>", page("/a"), page("/b?c=1&amp;d"), page("/private"))
            }
            _ => format!("{} {number}", heard.line.split(' ').next().unwrap_or_default()),
        };
        let control = if path == "/private" { "private" } else { "max-age=600" };
        let tag = path.trim_start_matches('/');
        let length = body.len();
        let status = if path == "/missing" { "404 Not Found" } else { "200 OK" };
        format!(
            "HTTP/1.1 {status}\r\nCache-Control: {control}\r\nCache-Tag: all, {tag}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    });
    (origin, asked)
}

/// Tidegate in front of the app, with these keys of the route's cache.
fn start(origin: &Origin, server: &str, cache: &str) -> Tidegate {
    Tidegate::start(&format!(
        "{}cache = {{ {cache} }}\n\n[[route]]\npath = \"/plain/*\"\nupstream = \"app\"\n",
        front(server, &endpoints(&[origin.address]))
    ))
}

/// What the cache says that it did.
fn status(answer: &Response) -> &str {
    answer.header("cache-status").unwrap_or("")
}

fn is_hit(running: &Tidegate, target: &str) -> bool {
    let answer = get(running.address, target).unwrap();
    assert_eq!(answer.status, 200);
    status(&answer).starts_with("Tidegate; hit")
}

/// Asks for it until it is kept: the last byte reaches the client a moment before the store.
fn keep(running: &Tidegate, target: &str) -> Response {
    let answer = get(running.address, target).unwrap();
    let url = format!("\"url\":\"http://example.test{target}\"");
    wait_until(&format!("{target} is kept"), || {
        request(running.admin, "GET", "/cache/list", &[], b"").is_ok_and(|list| list.text().contains(&url))
    });
    answer
}

fn purge(running: &Tidegate, args: &[&str]) -> String {
    let said = running.ask(&[&["cache", "purge"], args].concat());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    said.out
}

#[test]
fn what_was_purged_is_fetched_anew() {
    let (origin, _) = app();
    let running = start(&origin, "", "");
    let fill = || {
        for target in ["/a", "/a?x=1", "/b"] {
            keep(&running, target);
            assert!(is_hit(&running, target), "{target}");
        }
    };
    for (args, purged, left) in [
        (&["--url", "http://example.test/a"][..], "1 entry taken out\n", &["/a?x=1", "/b"][..]),
        (&["--url", "https://EXAMPLE.test/a?x=1#top"], "1 entry taken out\n", &["/a", "/b"]),
        (&["--prefix", "http://example.test/a"], "2 entries taken out\n", &["/b"]),
        (&["--prefix", "http://example.test"], "3 entries taken out\n", &[]),
        (&["--tag", "b"], "1 entry taken out\n", &["/a", "/a?x=1"]),
        (&["--all"], "3 entries taken out\n", &[]),
        (&["--url", "http://elsewhere.test/a"], "0 entries taken out\n", &["/a", "/a?x=1", "/b"]),
    ] {
        fill();
        assert_eq!(purge(&running, args), purged, "{args:?}");
        for target in ["/a", "/a?x=1", "/b"] {
            assert_eq!(is_hit(&running, target), left.contains(&target), "{args:?}: {target}");
        }
    }
    assert!(running.metric("tidegate_cache_purged_total", "") >= 11.0);
    let said = running.ask(&["cache", "purge", "--url", "example.test/a"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("begins with http://"), "{}", said.err);
}

#[test]
fn what_was_purged_softly_is_given_out_once_more_and_refreshed() {
    let (origin, asked) = app();
    let running = start(&origin, "", "grace = \"1h\"");
    let first = keep(&running, "/a").text();
    assert_eq!(purge(&running, &["--url", "http://example.test/a", "--soft"]), "1 entry made stale\n");
    let stale = get(running.address, "/a").unwrap();
    assert_eq!(stale.text(), first);
    assert!(status(&stale).contains("detail=stale"), "{}", status(&stale));
    wait_until("it is refreshed", || get(running.address, "/a").unwrap().text() != first);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(running.metric("tidegate_cache_requests_total", "outcome=\"stale\"") >= 1.0);
}

#[test]
fn the_method_purge_is_for_those_whom_the_route_names() {
    let (origin, _) = app();
    let running =
        start(&origin, "trusted_proxies = [\"127.0.0.1\"]", "grace = \"1h\", purge = [\"127.0.0.0/8\"]");
    let send = |headers: &[(&str, &str)], target: &str| {
        request(running.address, "PURGE", target, headers, b"").unwrap()
    };
    keep(&running, "/a");
    let forbidden = send(&[("X-Forwarded-For", "203.0.113.9")], "/a");
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.text().contains("\"code\":\"purge_forbidden\""), "{}", forbidden.text());
    assert!(is_hit(&running, "/a"), "it is still there");

    let soft = send(&[("Purge-Mode", "soft")], "/a");
    assert_eq!((soft.status, soft.text().as_str()), (200, "{\"purged\":1,\"soft\":true}\n"));
    assert_eq!(soft.header("content-type"), Some("application/json"));
    let hard = send(&[], "/a");
    assert_eq!((hard.status, hard.text().as_str()), (200, "{\"purged\":1,\"soft\":false}\n"));
    assert!(!is_hit(&running, "/a"));
    assert_eq!(send(&[], "/never").text(), "{\"purged\":0,\"soft\":false}\n");
    assert!(running.metric("tidegate_refusals_total", "purge_forbidden") > 0.5);

    // Where the route does not say who may, it is a method like any other.
    assert!(send(&[], "/plain/a").text().starts_with("PURGE "));
    let said = running.ask(&["explain", "PURGE", "http://example.test/a"]);
    assert!(said.out.contains("PURGE takes the URL out, for clients of 127.0.0.0/8"), "{}", said.out);
}

#[test]
fn explain_says_whether_a_url_is_cached_and_why() {
    let (origin, _) = app();
    let running = start(&origin, "", "key = { cookies = [\"lang\"] }, cookies = \"ignore\"");
    let explain = |args: &[&str]| {
        let said = running.ask(&[&["cache", "explain"], args].concat());
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        said.out
    };
    let has = |text: &str, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    };
    let before = explain(&["http://example.test/a"]);
    has(&before, &["key http://example.test/a, no cookie lang\n", "nothing is stored", "miss: ", "set ttl"]);
    keep(&running, "/a");
    is_hit(&running, "/a");
    let after = explain(&["http://example.test/a"]);
    has(
        &after,
        &["stored: 200, 5 bytes, ", " old, fresh for 9m ", "hit 1 times, 2 tags", "hit: answered from here"],
    );
    has(&after, &["to change it, see cache of the route in line "]);
    has(&explain(&["https://example.test/a"]), &["stored under http: ", "hit: answered from here"]);
    has(
        &explain(&["http://example.test/a", "-H", "Cookie: lang=de"]),
        &["cookie lang \"de\"", "nothing is stored"],
    );
    has(
        &explain(&["http://example.test/a", "-H", "Cache-Control: no-cache"]),
        &["still good (request-no-cache)"],
    );
    has(
        &explain(&["http://example.test/a", "-H", "Cache-Control: no-store"]),
        &["bypass (request-no-store): "],
    );
    has(&explain(&["http://example.test/plain/x"]), &["off: the route has no cache; add cache = true"]);

    let whole = running.ask(&["explain", "GET", "http://example.test/a"]).out;
    has(&whole, &["hit: answered from here", "upstream", "endpoint"]);
    let mut by_file = stage::tidegate();
    by_file.args(["explain", "GET", "http://example.test/a", "-c"]).arg(running.config());
    by_file.env("LISTEN", "127.0.0.1:1").env("ADMIN", "127.0.0.1:2");
    let by_file = String::from_utf8(by_file.output().unwrap().stdout).unwrap();
    has(&by_file, &["key http://example.test/a, no cookie lang\n", "only the running process knows"]);
    is_hit(&running, "/private");
    has(&explain(&["http://example.test/private"]), &["bypass (recently-uncacheable): "]);
}

#[test]
fn the_status_and_the_metrics_show_the_hit_ratio() {
    let (origin, _) = app();
    let log = "access_log = { path = \"${FOLDER}/access.log\" }";
    let running = start(&origin, log, "");
    keep(&running, "/a");
    for _ in 0..3 {
        get(running.address, "/a").unwrap();
    }
    request(running.address, "POST", "/a", &[], b"x").unwrap();
    get(running.address, "/plain/x").unwrap();
    // The event of a request follows its last byte.
    wait_until("all are counted", || running.status()["requests"] == 6);
    let table = running.ask(&["status"]).out;
    assert!(table.contains("HITS  HIT BYTES\n") && table.contains("  60.0 %  "), "{table}");
    assert!(table.lines().any(|line| line.starts_with("/plain/*") && line.ends_with('-')), "{table}");
    assert!(
        table.contains("\ncache: ") && table.contains(" of 256 MiB, 1 fetches, 0 evictions\n"),
        "{table}"
    );
    let status = running.status();
    let route = status["routes"].as_array().unwrap().iter().find(|route| route["name"] == "/").unwrap();
    assert_eq!((&route["cache"]["requests"], &route["cache"]["hits"]), (&5.into(), &3.into()));
    let (sent, hit) =
        (route["cache"]["sent_bytes"].as_u64().unwrap(), route["cache"]["hit_bytes"].as_u64().unwrap());
    assert!(hit > sent / 2 && hit < sent, "{hit} of {sent}");

    for (labels, wanted) in [("hit", 3.0), ("miss", 1.0), ("bypass", 1.0)] {
        let count = running.metric("tidegate_cache_requests_total", &format!("outcome=\"{labels}\""));
        assert!((count - wanted).abs() < 0.5, "{labels}: {count}");
    }
    let method = running.metric("tidegate_cache_bypasses_total", "reason=\"method\"");
    let (hits, fills) =
        (running.metric("tidegate_cache_hits_total", ""), running.metric("tidegate_cache_fills_total", ""));
    assert_eq!((method as u64, hits as u64, fills as u64), (1, 3, 1));
    let used = running.metric("tidegate_cache_memory_bytes", "");
    assert!(used > 0.0 && used < running.metric("tidegate_cache_memory_limit_bytes", ""));

    let mut said = Vec::new();
    wait_until("all lines are written", || {
        let text = std::fs::read_to_string(running.file("access.log")).unwrap_or_default();
        said = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
        said.len() == 6
    });
    let count = |cache: &str| said.iter().filter(|line| line["cache"] == cache).count();
    assert_eq!(["hit", "miss", "bypass"].map(count), [3, 1, 1]);
    assert!(said.iter().any(|line| line["bypass"] == "method"));
    assert!(said.iter().any(|line| line["target"] == "/plain/x" && line.get("cache").is_none()));
}

#[test]
fn entries_are_listed_and_ranked() {
    let (origin, _) = app();
    let running = start(&origin, "", "");
    assert_eq!(running.ask(&["cache", "list"]).out, "nothing is there\n");
    for (target, hits) in [("/a", 0), ("/b", 2), ("/c?d", 1)] {
        keep(&running, target);
        (0..hits).for_each(|_| assert!(is_hit(&running, target)));
    }
    let urls = |args: &[&str]| {
        let said = running.ask(&[&["cache"], args, &["--json"]].concat());
        let list: Value = serde_json::from_str(&said.out).unwrap();
        let entries = list["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["url"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["http://example.test/a", "http://example.test/b", "http://example.test/c?d"];
    assert_eq!(urls(&["list"]), all);
    assert_eq!(urls(&["list", "--prefix", "https://example.test/c"]), all[2..]);
    assert_eq!(urls(&["top", "--limit", "2"]), [all[1], all[2]]);
    let table = running.ask(&["cache", "top"]).out;
    assert!(table.starts_with("STATUS  HITS  BYTES"), "{table}");
    assert_eq!(table.lines().count(), 4);
    let cut = running.ask(&["cache", "list", "--limit", "1"]).out;
    assert!(cut.ends_with("and perhaps more: --limit says how many are shown\n"), "{cut}");
}

#[test]
fn warming_fills_the_cache_from_a_list_or_a_sitemap() {
    let (origin, asked) = app();
    let running = start(&origin, "", "");
    let list = running.file("urls.txt");
    std::fs::write(&list, "# pages\nhttp://example.test/a\nhttp://example.test/missing\n\nnonsense\n")
        .unwrap();
    let said = running.ask(&["cache", "warm", list.to_str().unwrap()]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.starts_with("3 URLs in ")
            && said.out.contains(": 1 fetched and kept, 0 were there, 2 failed\n"),
        "{said:?}"
    );
    assert!(said.err.contains("http://example.test/missing: answered with 404\n"), "{}", said.err);
    assert!(said.err.contains("nonsense: "), "{}", said.err);
    keep(&running, "/a");

    let said = running.ask(&["cache", "warm", "http://example.test/sitemap.xml", "--concurrency", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains(": 1 fetched and kept, 1 were there, 1 not kept\n"), "{}", said.out);
    keep(&running, "/b?c=1&d");
    let before = asked.load(Ordering::Relaxed);
    let to = running.address.to_string();
    let said = running.ask(&["cache", "warm", "http://example.test/a", "--to", &to]);
    assert!(said.out.contains(": 0 fetched and kept, 1 were there\n"), "{said:?}");
    assert_eq!(asked.load(Ordering::Relaxed), before, "what is there is not fetched");

    let gone = running.ask(&["cache", "warm", "/no/such/list"]);
    assert!(gone.code == 1 && gone.err.contains("/no/such/list cannot be read"), "{gone:?}");
}
