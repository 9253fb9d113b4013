//! Messages: what is stored, what is refused and how, and who may read them.

mod harness;

use harness::{Answer, basic, form, letter, messages, running, start, stored, submit};
use serde_json::json;

fn named(answer: &Answer) -> Vec<String> {
    answer.named().into_iter().map(|(_, field)| field).collect()
}

#[test]
fn a_letter_is_stored_and_its_writer_led_to_a_page_of_thanks() {
    let (_folder, site) = running(&[]);
    let page = site.get("/contact");
    assert_eq!(
        (page.status, page.header("cache-control"), page.header("etag")),
        (200, Some("no-store"), None)
    );

    let sent = submit(&site, &letter(), &[]);
    assert_eq!((sent.status, sent.header("location")), (303, Some("/contact/thanks")));
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    let thanks = site.get("/contact/thanks");
    assert_eq!((thanks.status, thanks.header("cache-control")), (200, Some("no-store")));

    let shown = messages(&site).text();
    assert!(shown.contains("Is the buoy yours?") && shown.contains("ada@example.org"), "{shown}");
    assert_eq!(stored(&site), 1);
}

#[test]
fn a_wrong_letter_comes_back_as_it_was_with_every_mistake_beside_its_field() {
    let (_folder, site) = running(&[]);
    let wrong = form(&[("name", ""), ("email", "ada<script>"), ("message", "\"short\"")]);
    let back = submit(&site, &wrong, &[]);
    assert_eq!((back.status, back.header("cache-control")), (400, Some("no-store")));
    assert_eq!(back.header("content-type"), Some("text/html; charset=utf-8"));
    let text = back.text();
    for field in ["name", "email", "message"] {
        assert!(text.contains(&format!("id=\"{field}-wrong\"")), "{field} is told");
        assert!(text.contains(&format!("aria-describedby=\"{field}-wrong\"")), "{field} is joined to it");
    }
    assert!(text.contains("role=\"alert\""));
    assert!(text.contains("value=\"ada&lt;script&gt;\"") && text.contains("&quot;short&quot;</textarea>"));
    assert!(!text.contains("<script>"));
    assert_eq!(stored(&site), 0);
}

#[test]
fn forms_of_other_sites_are_refused_and_ours_is_not() {
    let (_folder, site) = running(&[]);
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://elsewhere.example")],
        &[("origin", "null")],
    ] {
        let refused = submit(&site, &letter(), foreign);
        assert_eq!((refused.status, refused.header("cache-control")), (403, Some("no-store")), "{foreign:?}");
        let mut headers = vec![("content-type", "application/json")];
        headers.extend_from_slice(foreign);
        assert_eq!(site.ask("POST", "/api/contact", &headers, b"{}").status, 403, "{foreign:?}");
    }
    assert_eq!(stored(&site), 0);
    assert_eq!(submit(&site, &letter(), &[("origin", "http://app")]).status, 303);
    assert_eq!(submit(&site, &letter(), &[("sec-fetch-site", "same-origin")]).status, 303);
    assert_eq!(stored(&site), 2);
}

#[test]
fn a_program_that_fills_in_everything_is_thanked_and_stores_nothing() {
    let (_folder, site) = running(&[]);
    let mut trapped = letter();
    trapped.extend(b"&website=http%3A%2F%2Fcheap.example");
    let sent = submit(&site, &trapped, &[]);
    assert_eq!((sent.status, sent.header("location")), (303, Some("/contact/thanks")));
    assert_eq!(stored(&site), 0);
    assert!(site.get("/metrics").text().contains("resume_messages_total{outcome=\"trapped\"} 1"));
}

#[test]
fn the_api_stores_a_message_or_names_every_field() {
    let (_folder, site) = running(&[]);
    let send = |body| site.post_json("/api/contact", &body);
    let sent =
        send(json!({ "name": "Ada", "email": "ada@example.org", "message": "Ten letters\nand more." }));
    assert_eq!((sent.status, sent.header("cache-control")), (201, Some("no-store")));
    assert_eq!(sent.json()["id"], 1);
    assert!(sent.json()["received_at"].as_str().unwrap().ends_with('Z'));

    let wrong = send(json!({ "name": 5, "e-mail": "a@b", "message": "short" }));
    assert_eq!(
        (wrong.status, named(&wrong)),
        (400, ["e-mail", "name", "email", "message"].map(str::to_owned).to_vec())
    );
    assert_eq!(wrong.header("content-type"), Some("application/problem+json"));
    assert_eq!(send(json!([])).json()["code"], "not-an-object");
    let json = [("content-type", "application/json")];
    assert_eq!(site.ask("POST", "/api/contact", &json, b"{").json()["code"], "not-json");
    assert_eq!(site.ask("POST", "/api/contact", &[], b"{}").status, 415);
    assert_eq!(site.ask("POST", "/api/contact", &json, &vec![b' '; 65 << 10]).status, 413);
    assert_eq!(submit(&site, &vec![b'a'; 65 << 10], &[]).status, 413);
    assert_eq!(stored(&site), 1);
}

#[test]
fn a_process_stores_so_many_messages_an_hour_and_says_when_to_come_back() {
    let (_folder, site) = running(&["--messages-per-hour", "2"]);
    for _ in 0..2 {
        assert_eq!(submit(&site, &letter(), &[]).status, 303);
    }
    let refused = submit(&site, &letter(), &[]);
    assert_eq!((refused.status, refused.header("cache-control")), (429, Some("no-store")));
    let wait_s: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1_800).contains(&wait_s), "{wait_s}");
    assert!(refused.text().contains("Is the buoy yours?"), "what was written is not lost");
    let body = json!({ "name": "A", "email": "a@b", "message": "ten letters" });
    assert_eq!(site.post_json("/api/contact", &body).json()["code"], "too-many-messages");
    assert_eq!(stored(&site), 2);
}

#[test]
fn a_full_database_takes_messages_again_once_the_owner_has_deleted_one() {
    let (_folder, site) = running(&["--messages-max", "1"]);
    assert_eq!(submit(&site, &letter(), &[]).status, 303);
    let full = submit(&site, &letter(), &[]);
    assert_eq!((full.status, full.header("retry-after")), (503, Some("3600")));

    let owner = basic(harness::TOKEN);
    let delete = |headers: &[(&str, &str)]| site.ask("POST", "/messages/1/delete", headers, b"");
    assert_eq!(delete(&[]).status, 401);
    assert_eq!(delete(&[("authorization", &owner), ("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(stored(&site), 1);
    let deleted = delete(&[("authorization", &owner)]);
    assert_eq!((deleted.status, deleted.header("location")), (303, Some("/messages")));
    assert_eq!(stored(&site), 0);
    assert_eq!(submit(&site, &letter(), &[]).status, 303);
}

#[test]
fn messages_are_for_whoever_has_the_token() {
    let (folder, site) = running(&[]);
    let ask = |authorization: &str| site.ask("GET", "/messages", &[("authorization", authorization)], b"");
    for wrong in ["", "Basic", &basic("wrong"), &basic(""), "Bearer wrong"] {
        let refused = ask(wrong);
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm="));
        assert_eq!(refused.header("cache-control"), Some("no-store"));
    }
    assert_eq!(site.get("/messages").status, 401);
    assert_eq!(ask(&format!("Bearer {}", harness::TOKEN)).status, 200);

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_resume"));
    command.env_remove("RESUME_OWNER_TOKEN").env("DATABASE_URL", folder.path().join("r.db"));
    let closed = testkit::program::spawn(&mut command).listening();
    let refused = closed.ask("GET", "/messages", &[("authorization", &basic(""))], b"");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("RESUME_OWNER_TOKEN"));
}

#[test]
fn what_people_write_stays_text_on_the_owners_page() {
    let (_folder, site) = running(&[]);
    let hostile = form(&[
        ("name", "<b>Ada</b>"),
        ("email", "a&bcc=x?y@b"),
        ("message", "<script>alert(1)</script>\r\nsecond line"),
    ]);
    assert_eq!(submit(&site, &hostile, &[]).status, 303);
    let shown = messages(&site).text();
    assert!(shown.contains("&lt;b&gt;Ada&lt;/b&gt;") && shown.contains("&lt;script&gt;alert(1)"));
    assert!(!shown.contains("<script>alert") && !shown.contains("<b>Ada"));
    assert!(shown.contains("href=\"mailto:a%26bcc%3Dx%3Fy%40b\""), "an address adds nothing to the mail");
}

#[test]
fn messages_are_shown_fifty_at_a_time_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let site = start(&folder.path().join("r.db"), &[]);
    for number in 1..=51 {
        let text = format!("message number {number} of them");
        let body = json!({ "name": "Ada", "email": "a@b", "message": text });
        assert_eq!(site.post_json("/api/contact", &body).status, 201);
    }
    let first = messages(&site).text();
    assert_eq!(first.matches("class=\"stored\"").count(), 50);
    assert!(first.find("number 51 of").unwrap() < first.find("number 2 of").unwrap());
    assert!(first.contains("href=\"/messages?before=2\""));
    let owner = basic(harness::TOKEN);
    let at = |target: &str| site.ask("GET", target, &[("authorization", &owner)], b"");
    let last = at("/messages?before=2").text();
    assert!(last.contains("number 1 of") && !last.contains("number 2 of") && !last.contains("Older"));
    assert_eq!(at("/messages?before=x").status, 400);
}
