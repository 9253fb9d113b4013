//! The surge switch: what it tightens, that nothing is lost by it, and how it ends.

use std::time::Duration;

use testkit::{Conn, Message, Scene, ok, scene};
use tidegate_proxy::explain::{Asked, explain};

const ORIGIN: &str = "127.0.0.1:3001";

/// Two routes to one app; what is behind it is the surge and more tables.
const SHOP: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
[[route]]
path = "/shop/*"
upstream = "app"
limit = [{ rate = "8/m" }]
[[route]]
path = "/extra/*"
upstream = "app"
priority = "low"
[surge.sale]
"#;

async fn hello(mut conn: Conn) {
    conn.answer_all(ok("hello")).await;
}

fn play(config: &str, play: impl AsyncFnOnce(&Scene)) {
    scene(config).origin(ORIGIN, hello).run(play);
}

async fn get(scene: &Scene, ip: &str, target: &str) -> u16 {
    scene.client_from(ip).get(target).await.status()
}

/// The statuses of so many requests of one client.
async fn several(scene: &Scene, ip: &str, count: usize) -> Vec<u16> {
    let mut client = scene.client_from(ip);
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(client.get("/shop/1").await.status());
    }
    statuses
}

fn code(response: &Message) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    problem["code"].as_str().expect("a code").to_owned()
}

fn explained(scene: &Scene, url: &str) -> String {
    let asked = Asked::read("GET", url, &[]).expect("a url");
    let steps = explain(&scene.shared.live(), Some(&scene.shared), &asked);
    steps.iter().map(|step| format!("{}: {}", step.stage, step.text)).collect::<Vec<_>>().join("\n")
}

#[test]
fn limits_are_tightened_while_it_is_on_and_what_is_left_of_them_goes_on() {
    play(&format!("{SHOP} limits = \"50%\""), async |scene| {
        assert_eq!(several(scene, "192.0.2.1", 4).await, [200; 4], "half of the quota");
        scene.surge(None);
        assert_eq!(several(scene, "192.0.2.1", 3).await, [200, 200, 429], "half of what is a half now");
        assert_eq!(several(scene, "192.0.2.2", 5).await, [200, 200, 200, 200, 429]);
        scene.calm();
        assert_eq!(several(scene, "192.0.2.2", 1).await, [429], "nobody has his quota again");
        assert_eq!(several(scene, "192.0.2.3", 9).await, [200, 200, 200, 200, 200, 200, 200, 200, 429]);
    });
}

#[test]
fn connections_counters_and_requests_in_flight_go_on() {
    let slow = async |mut conn: Conn| {
        while conn.request().await.is_some() {
            tokio::time::sleep(Duration::from_secs(2)).await;
            conn.send(ok("hello")).await;
        }
    };
    scene(format!("{SHOP} shed = \"low\"")).origin(ORIGIN, slow).run(async |scene| {
        let mut kept = scene.client();
        assert_eq!(kept.get("/extra/1").await.status(), 200);
        kept.send("GET /extra/2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.seconds(1).await;
        let endpoint = scene.endpoint(ORIGIN);
        scene.surge(None);
        assert!(std::sync::Arc::ptr_eq(&endpoint, &scene.endpoint(ORIGIN)));
        assert_eq!(endpoint.in_flight(), 1);
        assert_eq!(kept.response().await.status(), 200, "it finishes as it began");
        let refused = kept.get("/extra/3").await;
        assert_eq!((refused.status(), &code(&refused)[..]), (503, "surge_shed"));
        assert!(refused.header("retry-after").is_some());
        scene.calm();
        assert_eq!(kept.get("/extra/4").await.status(), 200, "over the same connection");
        assert_eq!(scene.connections(ORIGIN), 1, "kept towards the app as well");
        let totals = scene.totals();
        let app = totals.upstreams.iter().find(|upstream| &*upstream.name == "app").expect("its counters");
        assert_eq!((totals.connections, app.requests()), (1, 4), "all of them are counted");
    });
}

#[test]
fn what_matters_less_is_refused_before_it_takes_a_slot_and_the_rest_is_not() {
    let cached = "[[route]]\npath = \"/news/*\"\nupstream = \"app\"\npriority = \"header:x-priority\"\ncache = { ttl = \"1h\" }\n";
    play(&format!("{cached}{SHOP} shed = \"low\""), async |scene| {
        let ask = async |target: &str, priority: &str| {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Priority: {priority}\r\n\r\n");
            scene.client().ask(&request).await.status()
        };
        assert_eq!(ask("/news/old", "low").await, 200);
        scene.surge(None);
        assert_eq!(get(scene, "192.0.2.1", "/shop/1").await, 200);
        assert_eq!(get(scene, "192.0.2.1", "/extra/1").await, 503);
        assert_eq!(ask("/news/new", "low").await, 503);
        assert_eq!(ask("/news/old", "low").await, 200, "the cache costs the app nothing");
        assert_eq!(ask("/news/new", "normal").await, 200);
        assert_eq!(scene.requests().len(), 3, "none of those refused has reached the app");
        let why = explained(scene, "http://a/extra/1");
        assert!(why.contains("surge: sale is on: low priority is refused"), "{why}");
        assert!(why.contains("queue: priority low: refused with 503"), "{why}");
    });
}

#[test]
fn queues_are_bound_more_tightly() {
    let hang = async |mut conn: Conn| {
        let _ = conn.request().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        conn.send(ok("hello")).await;
    };
    let config = "[upstream.app]\nendpoints = [\"127.0.0.1:3001\"]\nqueue = { concurrency = 1, target = \"5s\" }\n\
                  [[route]]\nupstream = \"app\"\n[surge.sale.queue]\nlimit = 1\ntimeout = \"1s\"\n";
    scene(config).origin(ORIGIN, hang).run(async |scene| {
        scene.surge(None);
        let ask = async || {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.settle().await;
            client
        };
        let (mut served, mut waits, mut third) = (ask().await, ask().await, ask().await);
        assert_eq!(code(&third.response().await), "queue_full");
        let latest = scene.elapsed() + Duration::from_millis(1_100);
        assert_eq!(code(&waits.response().await), "queue_timeout");
        assert!(scene.elapsed() <= latest);
        scene.calm();
        let mut patient = ask().await;
        let _also = ask().await;
        scene.seconds(3).await;
        assert_eq!(patient.waiting(), b"", "it waits as long as it may without a surge");
        assert_eq!(served.response().await.status(), 200);
    });
}

#[test]
fn a_client_connects_less_often() {
    play(&format!("{SHOP} connection_rate = \"2/m\""), async |scene| {
        let connect = async || get(scene, "192.0.2.1", "/extra/1").await;
        for _ in 0..5 {
            assert_eq!(connect().await, 200);
        }
        scene.surge(None);
        assert_eq!([connect().await, connect().await, connect().await], [200, 200, 429]);
        assert_eq!(get(scene, "192.0.2.2", "/extra/1").await, 200, "another client");
        scene.calm();
        assert_eq!(connect().await, 200);
    });
}

#[test]
fn rooms_for_surges_are_open_otherwise_and_others_let_fewer_in() {
    let rooms = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
[[route]]
path = "/shop/*"
upstream = "app"
waiting_room = { name = "shop", rate = "2/s", when = "surge" }
[[route]]
path = "/club/*"
upstream = "app"
waiting_room = { name = "club", rate = "4/s" }
[surge.sale]
waiting_rooms = 0.5
"#;
    play(rooms, async |scene| {
        let count = async |path: &str| {
            let mut inside = 0;
            for number in 0..20 {
                inside += usize::from(get(scene, &format!("192.0.2.{number}"), path).await == 200);
            }
            inside
        };
        assert_eq!((count("/shop/").await, count("/club/").await), (20, 4));
        assert!(explained(scene, "http://a/shop/").contains("room: waiting room shop is open"));
        let line = || {
            let live = scene.shared.live();
            let reading = live.rooms[1].line.reading(scene.shared.unix_ms(), &live.plan.rooms[1].settings);
            (reading.waiting, reading.admitted)
        };
        let before = line();
        scene.surge(None);
        assert_eq!((line(), before), ((16, 4), (16, 4)), "the line in front of the other one stays");
        assert_eq!(count("/shop/").await, 2);
        assert!((scene.shared.live().plan.rooms[1].settings.rate - 2.0).abs() < 1e-9);
        scene.calm();
        assert_eq!(count("/shop/").await, 20);
    });
}

#[test]
fn it_ends_by_itself_and_may_be_given_more_time() {
    play(&format!("{SHOP} shed = \"low\""), async |scene| {
        let extra = async || get(scene, "192.0.2.1", "/extra/1").await;
        scene.surge(Some(Duration::from_mins(30)));
        scene.seconds(29 * 60).await;
        assert_eq!(extra().await, 503);
        assert!(explained(scene, "http://a/extra/1").contains("sale is on for another 60s"));
        scene.surge(Some(Duration::from_mins(10)));
        scene.seconds(9 * 60).await;
        assert_eq!(extra().await, 503);
        scene.seconds(61).await;
        assert_eq!(extra().await, 200);
        assert!(scene.shared.live().surge.is_none());
        // One without an end does not inherit that of the last one.
        scene.surge(Some(Duration::from_secs(5)));
        scene.surge(None);
        scene.seconds(3600).await;
        assert_eq!(extra().await, 503);
    });
}

#[test]
fn a_reload_keeps_it_on_with_what_its_profile_says_now_until_that_is_gone() {
    let config = |profile: &str| format!("{SHOP}{profile}\n");
    play(&config("limits = 0.5"), async |scene| {
        scene.surge(Some(Duration::from_mins(5)));
        assert_eq!(several(scene, "192.0.2.1", 5).await, [200, 200, 200, 200, 429]);
        scene.reload(&config("limits = 0.25\nshed = \"low\""));
        assert_eq!(several(scene, "192.0.2.2", 3).await, [200, 200, 429]);
        assert_eq!(get(scene, "192.0.2.1", "/extra/1").await, 503);
        scene.seconds(301).await;
        assert_eq!(get(scene, "192.0.2.1", "/extra/1").await, 200, "its end has stayed as well");
        scene.surge(None);
        scene.reload(&config("shed = \"low\"").replace("[surge.sale]", "[surge.night]"));
        assert!(scene.shared.live().surge.is_none(), "its profile is gone");
        assert_eq!(get(scene, "192.0.2.1", "/extra/1").await, 200);
    });
}
