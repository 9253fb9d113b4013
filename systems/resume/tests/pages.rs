//! The pages and assets: what may be kept for how long, what they lead to, and that nothing comes from elsewhere.

mod harness;

use std::collections::BTreeSet;

use harness::{Program, running};

const PAGE: &str = "public, max-age=60, stale-while-revalidate=300";

/// Every `href` and `src` of a page.
fn links(html: &str) -> BTreeSet<String> {
    let parts = html.split(" href=\"").skip(1).chain(html.split(" src=\"").skip(1));
    parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Every page and asset that can be reached from the home page.
fn reachable(site: &Program) -> BTreeSet<String> {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(target) = waiting.pop() {
        if !seen.insert(target.clone()) {
            continue;
        }
        let answer = site.get(&target);
        assert_eq!(answer.status, 200, "{target}");
        if answer.header("content-type").unwrap().starts_with("text/html") {
            for link in links(&answer.text()).into_iter().filter(|link| !link.starts_with('#')) {
                assert!(link.starts_with('/') && !link.starts_with("//"), "{target} leads elsewhere: {link}");
                waiting.push(link);
            }
        }
    }
    seen
}

#[test]
fn every_link_leads_somewhere_on_this_site_and_every_asset_is_used() {
    let (_folder, site) = running(&[]);
    let seen = reachable(&site);
    assert_eq!(seen.iter().filter(|target| target.starts_with("/projects/")).count(), 6);
    assert_eq!(seen.iter().filter(|target| target.starts_with("/assets/")).count(), 10);
    assert!(seen.contains("/contact"));
}

#[test]
fn pages_say_who_is_synthetic_and_what_they_may_load() {
    let (_folder, site) = running(&[]);
    for target in reachable(&site).iter().filter(|target| !target.starts_with("/assets/")) {
        let page = site.get(target);
        let text = page.text();
        assert!(text.contains("A synthetic person") && text.contains("is synthetic"), "{target}");
        assert!(text.contains("<html lang=\"en\">") && text.matches("<h1").count() == 1, "{target}");
        assert_eq!(text.matches("<img ").count(), text.matches(" alt=\"").count(), "{target}");
        assert!(
            page.header("content-security-policy").unwrap().starts_with("default-src 'self'"),
            "{target}"
        );
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert!(
            !text.contains("<style") && !text.contains(" style=\"") && !text.contains("onclick"),
            "{target}"
        );
    }
}

#[test]
fn pages_are_kept_for_a_minute_and_asked_for_by_their_etag() {
    let (_folder, site) = running(&[]);
    let other = running(&[]);
    for target in ["/", "/projects", "/projects/slack-water"] {
        let page = site.get(target);
        assert_eq!((page.status, page.header("cache-control")), (200, Some(PAGE)), "{target}");
        let etag = page.header("etag").unwrap();
        assert_eq!(other.1.get(target).header("etag"), Some(etag), "every process gives the same one");
        let known = site.ask("GET", target, &[("if-none-match", etag)], b"");
        assert_eq!((known.status, known.body.len()), (304, 0));
        assert_eq!((known.header("etag"), known.header("cache-control")), (Some(etag), Some(PAGE)));
        let head = site.ask("HEAD", target, &[], b"");
        assert_eq!((head.status, head.header("etag"), head.body.len()), (200, Some(etag), 0));
        assert_eq!(head.header("content-length").unwrap(), page.body.len().to_string());
    }
}

#[test]
fn assets_are_kept_for_ever_under_the_name_of_their_content() {
    let (_folder, site) = running(&[]);
    for target in reachable(&site).iter().filter(|target| target.starts_with("/assets/")) {
        let asset = site.get(target);
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"), "{target}");
        let etag = asset.header("etag").unwrap();
        assert_eq!(site.ask("GET", target, &[("if-none-match", etag)], b"").status, 304, "{target}");
        let wanted = match target.rsplit('.').next().unwrap() {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{other}"),
        };
        assert_eq!(asset.header("content-type"), Some(wanted));
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn an_asset_of_another_version_is_served_and_kept_by_nobody() {
    let (_folder, site) = running(&[]);
    let other = site.get("/assets/site.0123456789abcdef.css");
    assert_eq!((other.status, other.header("cache-control")), (200, Some("no-store")));
    assert_eq!(other.header("etag"), None);
    assert!(other.text().contains("--paper"));
    for missing in
        ["/assets/site.css", "/assets/none.0123456789abcdef.css", "/assets/site.xyz.css", "/assets/"]
    {
        let answer = site.get(missing);
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("no-store")), "{missing}");
    }
}

#[test]
fn what_is_not_there_is_a_page_for_browsers_and_a_problem_for_programs() {
    let (_folder, site) = running(&[]);
    let shown = site.ask("GET", "/no/such", &[("accept", "text/html,*/*")], b"");
    assert_eq!((shown.status, shown.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(shown.text().contains("Nothing is at /no/such."));
    let told = site.get("/no/such");
    assert_eq!((told.status, told.header("content-type")), (404, Some("application/problem+json")));
    let hostile = site.get("/projects/%3Cscript%3E");
    assert_eq!(hostile.status, 404);
    assert!(hostile.text().contains("&lt;script&gt;") && !hostile.text().contains("<script>"));
    let refused = site.ask("DELETE", "/contact", &[], b"");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET,HEAD,POST")));
}
