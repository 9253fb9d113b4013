//! What tells answers apart: the key, and Vary; and what makes them stale: purges and requests that change something.

use cache::store::Purge;
use testkit::{Message, scene};

use crate::support::{ORIGIN, answer, answer_with, app, cached, counting, get, request, status};

const FRESH: &str = "Cache-Control: max-age=600";

/// Asks for these one after the other and gives the bodies: origins answer with the number of the request.
fn bodies(how: &str, asked: &[String]) -> Vec<String> {
    bodies_of(&cached(how), &[FRESH], asked)
}

fn bodies_of(config: &str, fields: &'static [&'static str], asked: &[String]) -> Vec<String> {
    let bodies = std::cell::RefCell::new(Vec::new());
    scene(config).origin(ORIGIN, counting(fields)).run(async |scene| {
        for request in asked {
            let response = scene.client().ask(request).await;
            bodies.borrow_mut().push(response.text().to_owned());
        }
    });
    bodies.into_inner()
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| request(&format!("GET {path} HTTP/1.1"), &[])).collect()
}

/// RFC 9111 section 2: the key is the URL as it was sent, for an app may answer what looks the same otherwise.
#[test]
fn urls_are_kept_apart_as_they_were_sent() {
    let asked = ["/a", "/a/", "/A", "/%61", "/a?x=1", "/a?x=2", "/a?", "/a//b", "/a"];
    assert_eq!(bodies("true", &paths(&asked)), ["1", "2", "3", "4", "5", "6", "7", "8", "1"]);
}

/// Host in any spelling is one host; a port that is not the scheme's own is another place, for apps write it into
/// their links, and so is a dot at the end.
#[test]
fn hosts_are_kept_apart_with_their_ports() {
    let hosts = ["a", "A", "b", "a:80", "a:8080", "A:8080", "a:443", "a", "a.", "a.", "a.:80", "a"];
    let asked = hosts.map(|host| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(bodies("true", &asked), ["1", "1", "2", "1", "3", "3", "4", "1", "5", "5", "6", "1"]);
    let absolute = ["GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"];
    assert_eq!(bodies("true", &absolute.map(str::to_owned)), ["1", "1"]);
}

/// What a trusted hop says of the scheme counts, for an app redirects by it.
#[test]
fn schemes_are_kept_apart() {
    let config = format!("server.trusted_proxies = [\"203.0.113.7\"]\n{}", cached("true"));
    let asked = ["http", "https", "https"].map(|proto| get(&[&format!("X-Forwarded-Proto: {proto}")]));
    assert_eq!(bodies_of(&config, &[FRESH], &asked), ["1", "2", "2"]);
    assert_eq!(
        bodies("true", &asked),
        ["1", "1", "1"],
        "what a stranger says is not passed on, and does not count"
    );
}

/// What a trusted hop says of the host counts as well: an app that lives on several hosts goes by it, while Host is what
/// the hop in front calls it.
#[test]
fn hosts_that_a_trusted_hop_names_are_kept_apart() {
    let config = format!("server.trusted_proxies = [\"203.0.113.7\"]\n{}", cached("true"));
    let hosts = ["one", "two", "one", "a"].map(|host| get(&[&format!("X-Forwarded-Host: {host}")]));
    let asked = [&hosts[..], &[get(&[])]].concat();
    assert_eq!(bodies_of(&config, &[FRESH], &asked), ["1", "2", "1", "3", "3"]);
    assert_eq!(bodies("true", &asked), ["1"; 5], "what a stranger says is not passed on, and does not count");
    scene(config).origin(ORIGIN, counting(&[FRESH])).run(async |scene| {
        scene.client().ask(&hosts[0]).await;
        scene.client().ask(&hosts[1]).await;
        let purged = scene.shared.cache.purge(Purge::Url(b"http://a/"), false, scene.core.unix_ms());
        assert_eq!(purged, 2, "they are one URL");
    });
}

#[test]
fn the_route_says_which_parameters_count() {
    let asked = ["/?page=1&utm_source=a", "/?page=1&utm_source=b", "/?page=2", "/?page=1", "/?utm_id=1", "/"];
    let except = bodies("{ key = { query = { except = [\"utm_*\"] } } }", &paths(&asked));
    assert_eq!(except, ["1", "1", "2", "1", "3", "3"]);
    let only = bodies("{ key = { query = { only = [\"page\"] } } }", &paths(&asked));
    assert_eq!(only, ["1", "1", "2", "1", "3", "3"]);
    assert_eq!(bodies("{ key = { query = \"none\" } }", &paths(&asked)), ["1"; 6]);
    let asked = ["/?a=1&b=2", "/?b=2&a=1", "/?b=2&a=2"];
    assert_eq!(bodies("{ key = { sort_query = true } }", &paths(&asked)), ["1", "1", "2"]);
    assert_eq!(bodies("true", &paths(&asked)), ["1", "2", "3"]);
}

#[test]
fn the_upstream_gets_every_parameter() {
    scene(cached("{ key = { query = \"none\", sort_query = true } }"))
        .origin(ORIGIN, counting(&[FRESH]))
        .run(async |scene| {
            scene.client().get("/?b=2&a=1").await;
            assert_eq!(scene.requests()[0].target(), "/?b=2&a=1");
        });
}

#[test]
fn the_route_adds_parts_to_the_key() {
    let headers = ["X-Tenant: a", "X-Tenant: b", "X-Other: a", "X-Tenant: a"].map(|field| get(&[field]));
    assert_eq!(bodies("{ key = { headers = [\"X-Tenant\"] } }", &headers), ["1", "2", "3", "1"]);
    let cookies = ["Cookie: x=1; lang=de", "Cookie: lang=en", "Cookie: lang=de; y=2", "Cookie: z=1"];
    let cookies = cookies.map(|field| get(&[field]));
    assert_eq!(bodies("{ key = { cookies = [\"lang\"] } }", &cookies), ["1", "2", "1", "3"]);
    let devices = [
        "Sec-CH-UA-Mobile: ?1",
        "Sec-CH-UA-Mobile: ?0",
        "User-Agent: iPhone",
        "User-Agent: iPad",
        "Accept: */*",
    ];
    let devices = devices.map(|field| get(&[field]));
    assert_eq!(bodies("{ key = { device = true } }", &devices), ["1", "2", "1", "3", "2"]);
}

/// Routes that a URL alone does not tell apart go to different places, so what they keep is kept apart.
#[test]
fn routes_by_header_or_method_do_not_share_what_they_keep() {
    let config = "
[upstream.app]
endpoints = [\"127.0.0.1:3001\"]
[upstream.beta]
endpoints = [\"127.0.0.1:3002\"]
[[route]]
name = \"beta\"
header = { x-beta = \"1\" }
upstream = \"beta\"
cache = true
[[route]]
upstream = \"app\"
cache = true
";
    scene(config)
        .origin(ORIGIN, app(|_, _| answer(&[FRESH], "app")))
        .origin("127.0.0.1:3002", app(|_, _| answer(&[FRESH], "beta")))
        .run(async |scene| {
            for _ in 0..2 {
                assert_eq!(scene.client().get("/").await.text(), "app");
                assert_eq!(scene.client().ask(&get(&["X-Beta: 1"])).await.text(), "beta");
            }
            assert_eq!(scene.requests().len(), 2);
        });
}

/// RFC 9111 section 4.1.
#[test]
fn variants_are_told_apart_by_what_the_answer_varies_on() {
    let language = |_: usize, request: &Message| {
        let language = request.header("accept-language").unwrap_or("none").to_owned();
        answer(&[FRESH, "Vary: Accept-Language"], &language)
    };
    scene(cached("true")).origin(ORIGIN, app(language)).run(async |scene| {
        let ask =
            async |language: &str| scene.client().ask(&get(&[&format!("Accept-Language: {language}")])).await;
        let first = ask("de").await;
        assert_eq!((first.text(), status(&first)), ("de", "fwd=uri-miss; stored; ttl=600"));
        let second = ask("en").await;
        assert_eq!((second.text(), status(&second)), ("en", "fwd=vary-miss; stored; ttl=600"));
        for (asked, got) in [("de", "de"), ("en", "en"), ("DE", "de")] {
            let response = ask(asked).await;
            assert_eq!((response.text(), status(&response)), (got, "hit; ttl=600"));
            assert_eq!(response.header("vary"), Some("Accept-Language"));
        }
        assert_eq!(scene.client().get("/").await.text(), "none");
        assert_eq!(scene.requests().len(), 3);
    });
}

/// Browsers spell Accept-Encoding in a hundred ways, and the fill asks in the one that all of them mean.
#[test]
fn encodings_are_normalised_and_the_origin_is_asked_for_the_normal_form() {
    let coded = |_: usize, request: &Message| {
        let coding = request.header("accept-encoding").expect("what is taken is always said").to_owned();
        answer(&[FRESH, "Vary: Accept-Encoding"], &coding)
    };
    scene(cached("true")).origin(ORIGIN, app(coded)).run(async |scene| {
        for (asked, wanted) in [
            ("gzip, deflate, br, zstd", "zstd, br, gzip"),
            ("zstd;q=1.0,  br , GZIP;q=0.5", "zstd, br, gzip"),
            ("gzip", "gzip"),
            ("deflate, gzip;q=1.0, br;q=0", "gzip"),
            ("identity", "identity"),
            ("deflate", "identity"),
        ] {
            let response = scene.client().ask(&get(&[&format!("Accept-Encoding: {asked}")])).await;
            assert_eq!(response.text(), wanted, "{asked}");
        }
        assert_eq!(scene.client().get("/").await.text(), "identity");
        assert_eq!(scene.requests().len(), 3);
    });
}

/// A Vary that tells everybody apart does not fill the store.
#[test]
fn variants_of_one_url_are_bounded() {
    scene(cached("{ max_variants = 3 }")).origin(ORIGIN, counting(&[FRESH, "Vary: X-Any"])).run(
        async |scene| {
            for number in 0..20 {
                let response = scene.client().ask(&get(&[&format!("X-Any: {number}")])).await;
                assert_eq!(response.text(), (number + 1).to_string(), "everybody gets his own");
            }
            assert_eq!(scene.shared.cache.usage().entries, 3);
            let late = scene.client().ask(&get(&["X-Any: 99"])).await;
            assert!(status(&late).ends_with("detail=too-many-variants"), "{}", status(&late));
            assert_eq!(
                scene.client().ask(&get(&["X-Any: 1"])).await.text(),
                "2",
                "those that are kept are good"
            );
        },
    );
}

/// RFC 9111 section 4.4: the target, and what Location and Content-Location name on the same host.
#[test]
fn unsafe_requests_that_succeed_make_stale_what_they_change() {
    let items = |number: usize, request: &Message| match (request.method(), request.target()) {
        ("POST", "/fails") => answer_with(500, &[], ""),
        ("POST", _) => {
            answer_with(201, &["Location: /items/7", "Content-Location: http://a/list?page=1"], "")
        }
        ("PUT", _) => answer_with(200, &["Location: http://other/else"], ""),
        _ => answer(&[FRESH], &number.to_string()),
    };
    scene(cached("true")).origin(ORIGIN, app(items)).run(async |scene| {
        let all = ["/items", "/items/7", "/list?page=1", "/fails", "/else"];
        let read = async || {
            let mut bodies = Vec::new();
            for path in all {
                bodies.push(scene.client().get(path).await.text().to_owned());
            }
            bodies
        };
        let change = async |line: &str| {
            scene.client().ask(&request(line, &["Content-Length: 0"])).await;
        };
        assert_eq!(read().await, ["1", "2", "3", "4", "5"]);
        change("POST /items HTTP/1.1").await;
        assert_eq!(read().await, ["7", "8", "9", "4", "5"]);
        change("POST /fails HTTP/1.1").await;
        change("PUT /items HTTP/1.1").await;
        assert_eq!(
            read().await,
            ["12", "8", "9", "4", "5"],
            "errors change nothing, nor do other hosts' URLs"
        );
        change("DELETE /items HTTP/1.1").await;
        assert_eq!(read().await[0], "14");
    });
}

/// The route that takes the change need not be the one that keeps.
#[test]
fn a_change_through_another_route_makes_stale_what_one_keeps() {
    let config = "
[upstream.app]
endpoints = [\"127.0.0.1:3001\"]
[[route]]
name = \"write\"
method = [\"POST\"]
upstream = \"app\"
[[route]]
name = \"read\"
method = [\"GET\"]
upstream = \"app\"
cache = { key = { query = \"none\" } }
";
    scene(config).origin(ORIGIN, counting(&[FRESH])).run(async |scene| {
        assert_eq!(scene.client().get("/?x=1").await.text(), "1");
        assert_eq!(scene.client().get("/?x=2").await.text(), "1");
        scene.client().ask(&request("POST /?y=1 HTTP/1.1", &["Content-Length: 0"])).await;
        assert_eq!(scene.client().get("/?x=1").await.text(), "3");
    });
}

/// A change while an answer is on its way in: that answer is from before it, and not kept.
#[test]
fn what_is_on_its_way_in_during_a_change_is_not_kept() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            let request = conn.request().await.expect("a request");
            if request.method() == "GET" && conn.number() == 0 {
                conn.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 6\r\n\r\nbef")
                    .await;
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                conn.send("ore").await;
            } else {
                conn.send(answer(&[FRESH], "after")).await;
            }
        })
        .run(async |scene| {
            let mut early = scene.client();
            early.send(get(&[])).await;
            scene.seconds(1).await;
            scene.client().ask(&request("POST / HTTP/1.1", &["Content-Length: 0"])).await;
            assert_eq!(early.response().await.text(), "before");
            assert_eq!(scene.client().get("/").await.text(), "after");
        });
}

/// Purges by URL, prefix and tag, hard and soft; and what is not meant stays.
#[test]
fn purges_take_out_what_they_name() {
    let tagged = |number: usize, request: &Message| {
        let tag =
            if request.target().starts_with("/a") { "Cache-Tag: a, all" } else { "Surrogate-Key: b all" };
        answer(&[FRESH, "ETag: \"1\"", tag, &format!("X-Number: {number}")], &number.to_string())
    };
    scene(cached("true")).origin(ORIGIN, app(tagged)).run(async |scene| {
        let store = &scene.shared.cache;
        let read = async |path: &str| scene.client().get(path).await.text().to_owned();
        let purge = |what, soft| store.purge(what, soft, scene.core.unix_ms());
        assert_eq!(
            (read("/a/1").await, read("/a/2").await, read("/b").await),
            ("1".into(), "2".into(), "3".into())
        );
        assert_eq!(purge(Purge::Url(b"http://a/a/1"), false), 1);
        assert_eq!((read("/a/1").await, read("/a/2").await), ("4".into(), "2".into()));
        assert_eq!(purge(Purge::Prefix(b"http://a/a/"), false), 2);
        assert_eq!(
            (read("/a/1").await, read("/a/2").await, read("/b").await),
            ("5".into(), "6".into(), "3".into())
        );
        assert_eq!(purge(Purge::Tag(b"b"), false), 1);
        assert_eq!((read("/a/1").await, read("/b").await), ("5".into(), "7".into()));
        assert_eq!(purge(Purge::All, true), 3);
        assert_eq!(read("/b").await, "8");
        let last = scene.requests().pop().expect("a request");
        assert_eq!(
            last.header("if-none-match"),
            Some("\"1\""),
            "a soft purge lets the origin say that it is still good"
        );
    });
}

/// Poisoning: what a request says beside the key, and an app writes into its page, is given to everybody. What comes
/// from strangers does not reach the app as X-Forwarded-Host; what does reach it has to be in the key or in Vary.
#[test]
fn unkeyed_fields_that_an_app_echoes_are_given_to_everybody() {
    let echo = |_: usize, request: &Message| {
        let host = request.header("x-forwarded-host").unwrap_or("none");
        let original = request.header("x-original-url").unwrap_or("none");
        answer(&[FRESH], &format!("{host} {original}"))
    };
    let poison = get(&["X-Forwarded-Host: evil", "Forwarded: host=evil", "X-Original-URL: /evil"]);
    scene(cached("true")).origin(ORIGIN, app(echo)).run(async |scene| {
        scene.client().ask(&poison).await;
        assert_eq!(
            scene.client().get("/").await.text(),
            "a /evil",
            "the host is ours, the app's own field is not"
        );
    });
    scene(cached("{ key = { headers = [\"X-Original-URL\"] } }")).origin(ORIGIN, app(echo)).run(
        async |scene| {
            scene.client().ask(&poison).await;
            assert_eq!(scene.client().get("/").await.text(), "a none");
        },
    );
    let removed = format!("{}request_headers = {{ remove = [\"x-original-url\"] }}\n", cached("true"));
    scene(removed).origin(ORIGIN, app(echo)).run(async |scene| {
        scene.client().ask(&poison).await;
        assert_eq!(scene.client().get("/").await.text(), "a none");
    });
}

/// Poisoning: what Connection names goes no further (RFC 9110 section 7.6.1), so the answer is to a request without it,
/// and for those who have the field it is none. Nor does it take away what the fill itself asks with.
#[test]
fn a_field_that_connection_names_is_not_there() {
    let echo = |number: usize, request: &Message| {
        let said = |name| request.header(name).unwrap_or("none").to_owned();
        let body = format!("{number} {} {}", said("x-key"), said("accept-encoding"));
        answer(&[FRESH, "Vary: X-Key"], &body)
    };
    for config in ["true", "{ key = { headers = [\"x-key\"] } }"] {
        scene(cached(config)).origin(ORIGIN, app(echo)).run(async |scene| {
            let named = get(&["X-Key: a", "Accept-Encoding: gzip", "Connection: x-key, accept-encoding"]);
            assert_eq!(scene.client().ask(&named).await.text(), "1 none gzip");
            let fields = ["X-Key: a", "Accept-Encoding: gzip"];
            assert_eq!(scene.client().ask(&get(&fields)).await.text(), "2 a gzip");
            assert_eq!(scene.client().ask(&get(&fields[1..])).await.text(), "1 none gzip");
        });
    }
    let agent = |_: usize, request: &Message| {
        answer(&[FRESH], if request.header("user-agent").is_some() { "phone" } else { "desk" })
    };
    scene(cached("{ key = { device = true } }")).origin(ORIGIN, app(agent)).run(async |scene| {
        let named = get(&["User-Agent: iPhone", "Connection: user-agent"]);
        assert_eq!(scene.client().ask(&named).await.text(), "desk");
        assert_eq!(scene.client().ask(&get(&["User-Agent: iPhone"])).await.text(), "phone");
    });
}
