//! Limits, rule by rule: who is counted, by what, how much, and what is told.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use testkit::{Client, Conn, Message, Scene, ok, scene};
use tidegate_proxy::explain::{Asked, explain};
use tidegate_proxy::limits;

const ORIGIN: &str = "127.0.0.1:3001";
const SECRET: &str = "a secret of more than thirty-two bytes";

/// One upstream, and one route to it with these keys.
fn app(server: &str, route: &str) -> String {
    format!(
        "[server]\n{server}\n[upstream.app]\nendpoints = [\"{ORIGIN}\"]\n[[route]]\nupstream = \"app\"\n{route}\n"
    )
}

async fn hello(mut conn: Conn) {
    conn.answer_all(ok("hello")).await;
}

/// Plays with an origin that says hello.
fn play(config: &str, play: impl AsyncFnOnce(&Scene)) {
    scene(config).origin(ORIGIN, hello).run(play);
}

async fn statuses(client: &mut Client, requests: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(client.ask(request).await.status());
    }
    statuses
}

fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// Asks with each of these lines, one request each, from one client.
async fn with(scene: &Scene, lines: &[&str]) -> Vec<u16> {
    let requests: Vec<String> = lines.iter().map(|lines| get("/", lines)).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    statuses(&mut scene.client(), &requests).await
}

fn retry_after(response: &Message) -> u64 {
    response.header("retry-after").expect("Retry-After").parse().expect("seconds")
}

fn code(response: &Message) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    problem["code"].as_str().expect("a code").to_owned()
}

#[test]
fn a_burst_passes_and_what_comes_then_waits_for_as_long_as_it_is_told() {
    play(&app("", r#"limit = [{ rate = "10/m", burst = 3 }]"#), async |scene| {
        let mut client = scene.client();
        for _ in 0..3 {
            assert_eq!(client.get("/").await.status(), 200);
        }
        let refused = client.get("/").await;
        assert_eq!((refused.status(), code(&refused).as_str()), (429, "rate_limited"));
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        assert!((6..=8).contains(&retry_after(&refused)), "{}", refused.head);
        assert_eq!(scene.requests().len(), 3, "nothing of it reached the origin");
        scene.pass(Duration::from_millis(5_500)).await;
        assert_eq!(client.get("/").await.status(), 429);
        scene.pass(Duration::from_millis(500)).await;
        assert_eq!(client.get("/").await.status(), 200);
    });
}

#[test]
fn retry_after_is_never_too_short_and_not_the_same_for_all() {
    play(&app("", r#"limit = [{ rate = "1/h" }]"#), async |scene| {
        let mut client = scene.client();
        client.get("/").await;
        let mut told = Vec::new();
        for _ in 0..20 {
            told.push(retry_after(&client.get("/").await));
        }
        assert!(told.iter().all(|wait| (3_600..=4_500).contains(wait)), "{told:?}");
        assert!(told.iter().any(|wait| *wait != told[0]), "{told:?}");
    });
}

#[test]
fn clients_are_counted_each_on_its_own_whatever_they_say_of_themselves() {
    play(&app("", r#"limit = [{ rate = "1/m" }]"#), async |scene| {
        let spoofed =
            ["", "X-Forwarded-For: 192.0.2.1\r\n", "Forwarded: for=192.0.2.2\r\nX-Real-IP: 192.0.2.3\r\n"];
        assert_eq!(with(scene, &spoofed).await, [200, 429, 429]);
        assert_eq!(scene.client_from("203.0.113.8").get("/").await.status(), 200);
    });
}

#[test]
fn behind_a_trusted_proxy_the_client_is_whom_it_names() {
    let config = app(r#"trusted_proxies = ["203.0.113.0/24"]"#, r#"limit = [{ rate = "1/m" }]"#);
    play(&config, async |scene| {
        let named = [
            "X-Forwarded-For: 192.0.2.1\r\n",
            "X-Forwarded-For: 192.0.2.2\r\n",
            "X-Forwarded-For: 9.9.9.9, 192.0.2.1\r\n",
        ];
        assert_eq!(with(scene, &named).await, [200, 200, 429]);
    });
}

#[test]
fn an_ipv6_client_is_its_64() {
    play(&app("", r#"limit = [{ rate = "2/m" }]"#), async |scene| {
        let mut told = Vec::new();
        for ip in [
            "2001:db8:1:2::1",
            "2001:db8:1:2:ffff::9",
            "2001:db8:1:2:3::3",
            "2001:db8:1:3::1",
            "::ffff:192.0.2.1",
        ] {
            told.push(scene.client_from(ip).get("/").await.status());
        }
        assert_eq!(told, [200, 200, 429, 200, 200]);
    });
}

#[test]
fn keys_are_headers_cookies_and_parameters() {
    let limit = |by: &str| app("", &format!("path = \"/\"\nlimit = [{{ rate = \"1/m\", by = \"{by}\" }}]"));
    play(&limit("header:X-Api-Key"), async |scene| {
        let keys = ["X-Api-Key: a\r\n", "x-api-key: b\r\n", "X-API-KEY: a\r\n"];
        assert_eq!(with(scene, &keys).await, [200, 200, 429]);
    });
    play(&limit("cookie:seat"), async |scene| {
        let keys = ["Cookie: x=1; seat=a\r\n", "Cookie: seat=b\r\n", "Cookie: seat=a; y=2\r\n"];
        assert_eq!(with(scene, &keys).await, [200, 200, 429]);
    });
    play(&limit("query:user"), async |scene| {
        let requests = ["/?user=a&x=1", "/?user=b", "/?y=2&user=a"].map(|target| get(target, ""));
        let requests = requests.each_ref().map(String::as_str);
        assert_eq!(statuses(&mut scene.client(), &requests).await, [200, 200, 429]);
        let spelt = ["/?user=%61", "/?%75ser=a", "/?user=c+d", "/?user=c%20d", "/?user=1%", "/?user=2%"];
        let spelt = spelt.map(|target| get(target, ""));
        let requests = spelt.each_ref().map(String::as_str);
        let told = statuses(&mut scene.client(), &requests).await;
        assert_eq!(told, [429, 429, 200, 429, 200, 200], "as the app reads them");
    });
}

#[test]
fn keys_are_parts_of_the_path_the_route_and_everything() {
    let limit = |by: &str| {
        app(
            "",
            &format!(
                "path = \"/items/{{id}}\"\nlimit = [{{ rate = \"1/m\", by = \"{by}\" }}]\n[[route]]\nupstream = \"app\"\nlimit = [{{ rate = \"1/m\", by = \"{}\" }}]",
                by.replace("path:id", "path")
            ),
        )
    };
    let ask = async |scene: &Scene| {
        let mut told = Vec::new();
        for (ip, target) in [
            ("192.0.2.1", "/items/a"),
            ("192.0.2.2", "/items/b"),
            ("192.0.2.3", "/items/a"),
            ("192.0.2.4", "/x"),
        ] {
            told.push(scene.client_from(ip).get(target).await.status());
        }
        told
    };
    play(&limit("path:id"), async |scene| assert_eq!(ask(scene).await, [200, 200, 429, 200]));
    play(&limit("route"), async |scene| assert_eq!(ask(scene).await, [200, 429, 429, 200]));
    let everything = app(
        r#"limit = [{ rate = "1/m", by = "global" }]"#,
        "path = \"/items/{id}\"\n[[route]]\nupstream = \"app\"",
    );
    play(&everything, async |scene| assert_eq!(ask(scene).await, [200, 429, 429, 429]));
}

#[test]
fn the_tenant_is_what_the_server_says() {
    let config = app(r#"tenant = "header:x-tenant-id""#, r#"limit = [{ rate = "1/m", by = "tenant" }]"#);
    play(&config, async |scene| {
        let tenants = ["X-Tenant-Id: a\r\n", "X-Tenant-Id: b\r\n", "X-Tenant-Id: a\r\n"];
        assert_eq!(with(scene, &tenants).await, [200, 200, 429]);
    });
}

#[test]
fn requests_without_the_key_share_pass_or_are_refused() {
    let limit = |missing: &str| {
        app("", &format!("limit = [{{ rate = \"1/m\", by = \"header:x-key\", missing = \"{missing}\" }}]"))
    };
    let lines = ["", "X-Key: a\r\n", "X-Key: \r\n", "X-Key: a\r\n"];
    play(&limit("share"), async |scene| assert_eq!(with(scene, &lines).await, [200, 200, 429, 429]));
    play(&limit("pass"), async |scene| assert_eq!(with(scene, &lines).await, [200, 200, 200, 429]));
    play(&limit("refuse"), async |scene| {
        assert_eq!(with(scene, &lines).await, [400, 200, 400, 429]);
        let refused = scene.client().get("/").await;
        assert_eq!((code(&refused).as_str(), refused.header("retry-after")), ("limit_key_missing", None));
    });
}

fn token(claims: &serde_json::Value, secret: &str, algorithm: Algorithm) -> String {
    token_by(&Header::new(algorithm), claims, secret)
}

fn token_by(header: &Header, claims: &serde_json::Value, secret: &str) -> String {
    let token = encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token");
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_claim_counts_only_if_the_token_is_valid() {
    let config = app(
        &format!("jwt = {{ secret = \"{SECRET}\", issuer = \"us\", leeway = \"0s\" }}"),
        r#"limit = [{ rate = "2/m", by = "jwt:sub", missing = "refuse" }]"#,
    );
    play(&config, async |scene| {
        let (past, future) = (1_000_000_000_u64, 4_000_000_000_u64);
        let valid =
            |sub: &str| token(&json!({ "sub": sub, "iss": "us", "exp": future }), SECRET, Algorithm::HS256);
        let (ann, bob) = (valid("ann"), valid("bob"));
        assert_eq!(with(scene, &[&ann, &ann, &bob, &ann, &bob]).await, [200, 200, 200, 429, 200]);
        let refused = [
            token(&json!({ "sub": "eve", "iss": "us", "exp": past }), SECRET, Algorithm::HS256),
            token(
                &json!({ "sub": "eve", "iss": "us", "exp": future }),
                "another secret of thirty-two bytes",
                Algorithm::HS256,
            ),
            token(&json!({ "sub": "eve", "iss": "us", "exp": future }), SECRET, Algorithm::HS384),
            token(&json!({ "sub": "eve", "iss": "them", "exp": future }), SECRET, Algorithm::HS256),
            token(&json!({ "iss": "us", "exp": future }), SECRET, Algorithm::HS256),
            token_by(
                &Header { crit: Some(vec!["x".to_owned()]), ..Header::new(Algorithm::HS256) },
                &json!({ "sub": "eve", "iss": "us", "exp": future }),
                SECRET,
            ),
            "Authorization: Basic YTpi\r\n".to_owned(),
            "Authorization: Bearer nonsense\r\n".to_owned(),
            String::new(),
            // The same signature under other claims.
            format!("{}x\r\n", ann.trim_end().replace('.', ".e")),
        ];
        for lines in refused {
            // Asked twice, for what is not valid is remembered too.
            assert_eq!(with(scene, &[&lines, &lines]).await, [400, 400], "{lines}");
        }
    });
}

/// Tokens signed with the private keys beside this file, which nothing else uses.
#[test]
fn tokens_of_key_pairs_are_verified_with_the_public_key() {
    let rsa = EncodingKey::from_rsa_pem(include_bytes!("tokens/rs256.key")).expect("a key");
    let ec = EncodingKey::from_ec_pem(include_bytes!("tokens/es256.key")).expect("a key");
    let sign = |algorithm, key: &EncodingKey, sub: &str| {
        let claims = json!({ "sub": sub, "exp": 4_000_000_000_u64 });
        format!(
            "Authorization: Bearer {}\r\n",
            encode(&Header::new(algorithm), &claims, key).expect("a token")
        )
    };
    let [by_rsa, by_ec] = [(Algorithm::RS256, &rsa), (Algorithm::ES256, &ec)]
        .map(|(algorithm, key)| [sign(algorithm, key, "ann"), sign(algorithm, key, "bob")]);
    for (name, own, others) in [("rs256", &by_rsa, &by_ec), ("es256", &by_ec, &by_rsa)] {
        let pem = format!("{}/tests/tokens/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        let config = app(
            &format!("jwt = {{ algorithm = \"{}\", key = \"{pem}\" }}", name.to_uppercase()),
            r#"limit = [{ rate = "1/m", by = "jwt:sub", missing = "refuse" }]"#,
        );
        play(&config, async |scene| {
            let [ann, bob] = own;
            assert_eq!(with(scene, &[ann, ann, bob, &others[0]]).await, [200, 429, 200, 400], "{name}");
        });
    }
}

#[test]
fn a_limit_that_only_counts_refuses_nothing() {
    play(
        &app(
            "",
            r#"limit = [{ rate = "1/m", dry_run = true }, { name = "places", concurrency = 1, dry_run = true }]"#,
        ),
        async |scene| {
            assert_eq!(with(scene, &["", "", ""]).await, [200, 200, 200]);
            let limits = scene.totals().limits;
            let counted: Vec<_> = limits[1..]
                .iter()
                .map(|limit| (&*limit.name, limit.admitted, limit.refused, limit.dry))
                .collect();
            assert_eq!(counted, [("client", 1, 0, 2), ("places", 3, 0, 0)]);
        },
    );
}

#[test]
fn a_refusal_by_the_second_limit_does_not_charge_the_first() {
    let config = app(
        "",
        r#"limit = [{ name = "wide", rate = "4/m" }, { name = "narrow", by = "header:x-key", rate = "1/m", missing = "pass" }]"#,
    );
    play(&config, async |scene| {
        let key = "X-Key: a\r\n";
        assert_eq!(
            with(scene, &[key, key, key, key, key, "", "", "", ""]).await,
            [200, 429, 429, 429, 429, 200, 200, 200, 429]
        );
    });
}

#[test]
fn the_servers_limits_hold_for_all_routes_together() {
    let config = app(
        r#"limit = [{ name = "all", rate = "3/m" }]"#,
        "path = \"/a\"\nlimit = [{ name = \"own\", rate = \"1/m\" }]\n[[route]]\nupstream = \"app\"",
    );
    play(&config, async |scene| {
        let requests = ["/a", "/a", "/b", "/b", "/b"].map(|target| get(target, ""));
        let requests = requests.each_ref().map(String::as_str);
        assert_eq!(statuses(&mut scene.client(), &requests).await, [200, 429, 200, 200, 429]);
        let totals = scene.totals().limits;
        let all = totals.iter().find(|limit| &*limit.name == "all").expect("counted");
        assert_eq!((&*all.route, all.admitted, all.refused), ("(server)", 3, 1));
    });
}

#[test]
fn what_no_route_takes_is_counted_and_denied_as_well() {
    let config = app(
        "deny = [\"198.51.100.0/24\"]\nlimit = [{ name = \"all\", rate = \"3/m\" }]\nrate_limit_headers = true",
        "path = \"/a\"\nmethod = \"GET\"",
    );
    play(&config, async |scene| {
        let post = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let requests = [&get("/wp-login.php", ""), post, &get("/a", ""), &get("/.env", ""), &get("/a", "")];
        assert_eq!(statuses(&mut scene.client(), &requests).await, [404, 405, 200, 429, 429]);
        assert_eq!(scene.requests().len(), 1);
        let refused = scene.client().get("/.git/config").await;
        assert_eq!((refused.status(), code(&refused).as_str()), (429, "rate_limited"));
        assert_eq!(refused.header("ratelimit").map(|line| line.starts_with("\"all\";r=0")), Some(true));
        let keys = limits::limited(&scene.shared.live(), 10);
        assert_eq!(keys.iter().map(|key| (&*key.limit, key.refused)).collect::<Vec<_>>(), [("all", 3)]);
        assert_eq!(scene.client_from("198.51.100.7").get("/.env").await.status(), 403);
    });
}

#[test]
fn networks_that_are_allowed_are_never_limited_and_denied_ones_get_403() {
    let config = app(
        "allow = [\"192.0.2.0/25\"]\ndeny = [\"198.51.100.0/24\"]",
        "limit = [{ rate = \"1/m\", concurrency = 1 }]\nallow = [\"2001:db8::/32\"]\ndeny = [\"203.0.113.9\"]",
    );
    play(&config, async |scene| {
        for ip in ["192.0.2.1", "2001:db8::7"] {
            let mut client = scene.client_from(ip);
            assert_eq!(
                statuses(&mut client, &[&get("/", ""), &get("/", ""), &get("/", "")]).await,
                [200, 200, 200]
            );
        }
        for ip in ["198.51.100.1", "203.0.113.9", "::ffff:198.51.100.2"] {
            let refused = scene.client_from(ip).get("/").await;
            assert_eq!((refused.status(), code(&refused).as_str()), (403, "address_denied"), "{ip}");
        }
        assert_eq!(with(scene, &["", "X-Forwarded-For: 192.0.2.1\r\n"]).await, [200, 429]);
    });
}

#[test]
fn requests_in_flight_are_counted_until_their_last_byte() {
    let config = app("", "limit = [{ concurrency = 2 }]");
    let slow = async |mut conn: Conn| {
        while let Some(request) = conn.request().await {
            if request.target() == "/stream" {
                conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
                let end = conn.read().await;
                assert!(end.is_empty());
                return;
            }
            conn.send(ok("hello")).await;
        }
    };
    scene(config).origin(ORIGIN, slow).run(async |scene| {
        let (mut first, mut second, mut third) = (scene.client(), scene.client(), scene.client());
        for client in [&mut first, &mut second] {
            client.send(get("/stream", "")).await;
            client.head().await;
        }
        let refused = third.get("/").await;
        assert_eq!((refused.status(), code(&refused).as_str()), (429, "too_many_in_flight"));
        assert!((1..=5).contains(&retry_after(&refused)));
        assert_eq!(scene.client_from("192.0.2.1").get("/").await.status(), 200);
        assert_eq!(scene.shared.live().limits.usage().in_flight, 1);
        // A client that leaves gives its place back.
        drop(first);
        scene.seconds(1).await;
        assert_eq!(third.get("/").await.status(), 200);
        drop(second);
        scene.seconds(1).await;
        assert_eq!(scene.shared.live().limits.usage().in_flight, 0);
    });
}

#[test]
fn a_tunnel_is_in_flight_as_long_as_it_is_open() {
    let config = app("", "limit = [{ concurrency = 1 }]");
    let socket = async |mut conn: Conn| {
        while let Some(request) = conn.request().await {
            if request.header("upgrade").is_none() {
                conn.send(ok("hello")).await;
                continue;
            }
            conn.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            )
            .await;
            conn.read().await;
            return;
        }
    };
    scene(config).origin(ORIGIN, socket).run(async |scene| {
        let mut tunnel = scene.client();
        tunnel.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n")).await;
        tunnel.head().await;
        assert_eq!(scene.client().get("/").await.status(), 429);
        tunnel.send("over").await;
        drop(tunnel);
        scene.seconds(1).await;
        assert_eq!(scene.client().get("/").await.status(), 200);
    });
}

#[test]
fn a_refusal_by_a_rate_gives_the_place_back() {
    play(&app("", r#"limit = [{ rate = "1/m", concurrency = 1 }]"#), async |scene| {
        assert_eq!(with(scene, &["", "", ""]).await, [200, 429, 429]);
        assert_eq!(scene.shared.live().limits.usage().in_flight, 0);
        scene.seconds(60).await;
        assert_eq!(scene.client().get("/").await.status(), 200);
    });
}

#[test]
fn methods_and_headers_have_their_costs() {
    let config = app(
        "",
        r#"limit = [{ rate = "10/h", cost = { methods = { POST = 4, HEAD = 0 }, header = "x-cost" } }]"#,
    );
    play(&config, async |scene| {
        let mut client = scene.client();
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(statuses(&mut client, &[post, post, post]).await, [200, 200, 429]);
        assert_eq!(client.get("/").await.status(), 200);
        let dear = get("/", "X-Cost: 5\r\n");
        let nonsense = get("/", "X-Cost: -5\r\n");
        assert_eq!(statuses(&mut client, &[&dear, &nonsense, &nonsense]).await, [429, 200, 429]);
        let free = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(free).await;
        assert_eq!(client.try_response("HEAD").await.expect("an answer").status(), 200);
    });
}

/// How long these requests take, one after the other, in a scene whose answers are 1 MiB.
async fn takes(scene: &Scene, client: &mut Client, target: &str) -> Duration {
    let begun = scene.elapsed();
    let response = client.get(target).await;
    assert_eq!((response.status(), response.body.len()), (200, 1 << 20));
    scene.elapsed().saturating_sub(begun)
}

#[test]
fn bytes_keep_to_their_bandwidth_forwarded_cached_and_out_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("large.bin"), vec![b'x'; 1 << 20]).expect("a file");
    let config = format!(
        "[server]\nlimit = [{{ bandwidth = \"256 KiB/s\" }}]\nallow = [\"192.0.2.0/24\"]\n[upstream.app]\nendpoints = [\"{ORIGIN}\"]\n\
         [[route]]\nupstream = \"app\"\n[[route]]\npath = \"/kept\"\nupstream = \"app\"\ncache = {{ ttl = \"1h\" }}\n\
         [[route]]\npath = \"/files/*\"\nfiles = \"{}\"\n",
        folder.path().display()
    );
    let large = async |mut conn: Conn| conn.answer_all(ok(&"x".repeat(1 << 20))).await;
    scene(config).origin(ORIGIN, large).run(async |scene| {
        let mut client = scene.client();
        for target in ["/", "/kept", "/kept", "/files/large.bin"] {
            let time = takes(scene, &mut client, target).await;
            let expected = Duration::from_millis(3_500)..Duration::from_millis(4_600);
            assert!(expected.contains(&time), "{target} took {time:?}");
            // What a bucket has saved up is gone at the end of each.
        }
        let mut exempt = scene.client_from("192.0.2.1");
        assert!(takes(scene, &mut exempt, "/").await < Duration::from_millis(500));
    });
}

#[test]
fn all_connections_of_a_key_share_its_bandwidth_and_none_is_cut_off_for_waiting() {
    let config = app("timeouts.write = \"1s\"", r#"limit = [{ bandwidth = "64 KiB/s" }]"#);
    let large = async |mut conn: Conn| conn.answer_all(ok(&"x".repeat(64 << 10))).await;
    scene(config).origin(ORIGIN, large).run(async |scene| {
        let begun = scene.elapsed();
        let mut clients: Vec<Client> = (0..8).map(|_| scene.client()).collect();
        for client in &mut clients {
            client.send(get("/", "")).await;
        }
        for client in &mut clients {
            let response = client.response().await;
            assert_eq!((response.status(), response.body.len(), response.is_whole), (200, 64 << 10, true));
        }
        let time = scene.elapsed().saturating_sub(begun);
        assert!((Duration::from_secs(7)..Duration::from_secs(10)).contains(&time), "{time:?}");
    });
}

#[test]
fn what_is_left_of_the_nearest_limit_is_told_where_it_is_switched_on() {
    let limits =
        r#"limit = [{ name = "day", rate = "100/d" }, { name = "burst", rate = "60/m", burst = 2 }]"#;
    let fields = |response: &Message| {
        ["ratelimit-policy", "ratelimit"].map(|name| response.header(name).map(str::to_owned))
    };
    play(&app("rate_limit_headers = true", limits), async |scene| {
        let mut client = scene.client();
        let told = |policy: &str, left: &str| [Some(policy.to_owned()), Some(left.to_owned())];
        let policy = "\"burst\";q=2;w=2";
        assert_eq!(fields(&client.get("/").await), told(policy, "\"burst\";r=1;t=1"));
        assert_eq!(fields(&client.get("/").await), told(policy, "\"burst\";r=0;t=2"));
        assert_eq!(fields(&client.get("/").await), told(policy, "\"burst\";r=0;t=2"));
    });
    play(&app("", limits), async |scene| {
        assert_eq!(fields(&scene.client().get("/").await), [None, None]);
    });
}

#[test]
fn a_hit_counts_like_any_other_request_and_keeps_no_ones_quota() {
    let config = app("rate_limit_headers = true", "cache = { ttl = \"1h\" }\nlimit = [{ rate = \"2/m\" }]");
    play(&config, async |scene| {
        let mut client = scene.client();
        assert_eq!(client.get("/").await.header("ratelimit"), Some("\"client\";r=1;t=30"));
        let hit = client.get("/").await;
        assert_eq!(hit.all("ratelimit"), ["\"client\";r=0;t=60"]);
        assert!(hit.header("cache-status").expect("Cache-Status").contains("hit"));
        assert_eq!(client.get("/").await.status(), 429);
        assert_eq!(scene.client_from("192.0.2.1").get("/").await.all("ratelimit"), ["\"client\";r=1;t=30"]);
    });
}

#[test]
fn a_reload_keeps_the_buckets_of_limits_that_stay() {
    let config = |other: &str| {
        app(
            "",
            &format!(
                "limit = [{{ name = \"same\", rate = \"2/m\" }}, {{ name = \"other\", rate = \"{other}\" }}]"
            ),
        )
    };
    play(&config("100/m"), async |scene| {
        assert_eq!(with(scene, &["", ""]).await, [200, 200]);
        scene.reload(&config("1/m"));
        assert_eq!(with(scene, &[""]).await, [429], "as the one that stayed says");
        scene.seconds(30).await;
        assert_eq!(with(scene, &["", ""]).await, [200, 429], "as the one that changed says now");
        scene.reload(&app("", ""));
        assert_eq!(with(scene, &["", ""]).await, [200, 200]);
        scene.reload(&config("1/m"));
        assert_eq!(with(scene, &["", ""]).await, [200, 429]);
    });
}

#[test]
fn a_limit_that_is_changed_gives_nobody_his_quota_again() {
    let config = |rate: &str| app("", &format!("limit = [{{ rate = \"{rate}\" }}]"));
    play(&config("4/m"), async |scene| {
        assert_eq!(with(scene, &[""; 5]).await, [200, 200, 200, 200, 429]);
        scene.reload(&config("2/m"));
        assert_eq!(with(scene, &[""]).await, [429], "nothing is left of either");
        scene.seconds(30).await;
        assert_eq!(with(scene, &["", ""]).await, [200, 429], "one in half a minute now");
        scene.reload(&config("4/m"));
        assert_eq!(with(scene, &[""]).await, [429]);
    });
}

#[test]
fn a_flood_of_keys_does_not_free_whoever_is_limited() {
    let config =
        app("limits.limit_memory = \"64 KiB\"", r#"limit = [{ rate = "3/d", by = "header:x-key" }]"#);
    play(&config, async |scene| {
        let abuser = "X-Key: abuser\r\n";
        assert_eq!(with(scene, &[abuser, abuser, abuser, abuser]).await, [200, 200, 200, 429]);
        let mut client = scene.client();
        for flood in 0..12_000 {
            client.ask(&get("/", &format!("X-Key: {flood}\r\n"))).await;
            if flood % 1_000 == 0 {
                assert_eq!(with(scene, &[abuser]).await, [429], "after {flood} keys");
            }
        }
        let usage = scene.shared.live().limits.usage();
        assert!(usage.overflowed > 5_000 && usage.entries <= usage.capacity, "{usage:?}");
    });
}

#[test]
fn the_log_names_the_limit_and_the_list_of_the_limited_names_the_key() {
    let config = app("", r#"limit = [{ name = "quota", rate = "1/m", by = "header:x-tenant-id" }]"#);
    play(&config, async |scene| {
        scene.start_log();
        let lines = ["X-Tenant-Id: acme\r\n"; 4];
        assert_eq!(with(scene, &lines).await, [200, 429, 429, 429]);
        let log = scene.log();
        assert_eq!((&log[1]["limit"], &log[1]["refusal"]), (&json!("quota"), &json!("rate_limited")));
        assert_eq!(log[0].get("limit"), None);
        let limited = limits::limited(&scene.shared.live(), 10);
        assert_eq!(
            (limited[0].key.as_str(), limited[0].limit.as_str(), limited[0].refused),
            ("acme", "quota", 3)
        );
    });
}

#[test]
fn explain_names_the_limit_that_would_refuse_and_changes_nothing() {
    let config = app("deny = [\"198.51.100.1\"]", r#"limit = [{ name = "quota", rate = "2/m" }]"#);
    play(&config, async |scene| {
        let explained = |ip: &str| {
            let asked = Asked::read("GET", "http://a/", &[]).expect("a URL");
            let asked = Asked { client: Some(ip.parse().expect("an address")), ..asked };
            let steps = explain(&scene.shared.live(), Some(&scene.shared), &asked);
            let limits = steps.iter().filter(|step| step.stage == "limit");
            limits.map(|step| step.text.clone()).collect::<Vec<_>>().join("\n")
        };
        with(scene, &["", ""]).await;
        let said = explained("203.0.113.7");
        assert!(said.contains("quota of / by client 203.0.113.7: 0 of 2 left, full in 60"), "{said}");
        assert!(said.contains("would refuse for 30") && said.contains("refused with 429"), "{said}");
        assert_eq!(explained("192.0.2.1"), explained("192.0.2.1"));
        assert!(explained("192.0.2.1").contains("2 of 2 left"), "{}", explained("192.0.2.1"));
        assert!(explained("198.51.100.1").contains("refused with 403"));
    });
}
