//! Waiting rooms: who comes in, who waits, what they see, and what the app and the cache see of it.

use testkit::{Conn, Message, Scene, ok, scene};
use tidegate_proxy::explain::{Asked, explain};

const APP: &str = "127.0.0.1:3001";

/// One endpoint behind a room that lets five people in per second; keys written behind it are the route's.
const ROOM: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
[[route]]
upstream = "app"
waiting_room = { rate = "5/s", secret = "0123456789abcdef" }
"#;

async fn app(mut conn: Conn) {
    conn.answer_all(ok("app")).await;
}

/// Somebody with a cookie jar.
struct Visitor {
    ip: String,
    cookie: Option<String>,
    is_browser: bool,
}

impl Visitor {
    fn new(ip: &str) -> Self {
        Self { ip: ip.to_owned(), cookie: None, is_browser: true }
    }

    fn program(ip: &str) -> Self {
        Self { is_browser: false, ..Self::new(ip) }
    }

    async fn get(&mut self, scene: &Scene, path: &str) -> Message {
        self.ask(scene, path, "").await
    }

    async fn ask(&mut self, scene: &Scene, path: &str, fields: &str) -> Message {
        let accept = if self.is_browser { "text/html,*/*" } else { "application/json" };
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n{cookie}{fields}\r\n");
        let answer = scene.client_from(&self.ip).ask(&request).await;
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        answer
    }
}

/// As many people as come in at once.
async fn fill(scene: &Scene) {
    for _ in 0..5 {
        assert_eq!(Visitor::new("198.51.100.1").get(scene, "/").await.text(), "app");
    }
}

/// As many as come in, however many those are, and one who waits.
async fn crowd(scene: &Scene) {
    for _ in 0..7 {
        if Visitor::new("198.51.100.1").get(scene, "/").await.status() == 503 {
            return;
        }
    }
    panic!("everybody comes in");
}

fn member<'a>(answer: &'a Message, name: &str) -> &'a str {
    let text = answer.text();
    let start = text.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {text}"));
    let value = &text[start + name.len() + 3..];
    value[..value.find([',', '}']).unwrap()].trim_matches('"')
}

#[test]
fn a_room_without_a_crowd_is_not_noticed_by_the_app() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        let cookies = "Cookie: a=1;tidegate-room-main=junk; b=2\r\nCookie: tidegate-room-main=x\r\n";
        let answer = Visitor::new("198.51.100.1").ask(scene, "/", cookies).await;
        assert_eq!((answer.status(), answer.text()), (200, "app"));
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.starts_with("tidegate-room-main=") && cookie.contains("HttpOnly; SameSite=Lax"));
        assert_eq!(answer.header("cache-control"), Some("no-cache=\"Set-Cookie\""));
        let seen = &scene.requests()[0];
        assert_eq!(seen.header("cookie"), Some("a=1; b=2"));
        assert!(!seen.head.contains("tidegate-room"), "{}", seen.head);
    });
}

#[test]
fn past_the_rate_browsers_are_shown_their_place_on_a_page() {
    scene(format!("{ROOM}compress = true\nerror_pages = {{ 503 = \"503.html\" }}\nsecurity_headers = {{ csp = \"default-src 'self'\" }}"))
        .file("503.html", "something is wrong")
        .origin(APP, app)
        .run(async |scene| {
            fill(scene).await;
            for position in 1..=3 {
                let page = Visitor::new("198.51.100.2").get(scene, "/shop").await;
                assert_eq!(page.status(), 503);
                assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
                assert_eq!(page.header("cache-control"), Some("no-store"));
                assert_eq!(page.header("retry-after"), Some("2"));
                let wanted = format!("<dd id=\"position\">{position}</dd>");
                assert!(page.text().contains(&wanted), "{}", page.text());
                let policy = page.header("content-security-policy").unwrap();
                assert!(policy.starts_with("default-src 'none'"), "one policy, and it lets the page work: {policy}");
                assert_eq!(page.head.matches("Content-Security-Policy").count(), 1);
            }
            assert_eq!(scene.requests().len(), 5);
        });
}

#[test]
fn programs_are_told_their_place_and_when_to_come_back() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        fill(scene).await;
        for position in 1..=60 {
            let told = Visitor::program("198.51.100.2").get(scene, "/").await;
            assert_eq!((told.status(), member(&told, "code")), (503, "waiting_room"));
            assert_eq!(told.header("content-type"), Some("application/problem+json"));
            assert_eq!(member(&told, "position"), position.to_string());
            assert_eq!(member(&told, "wait_seconds"), (position / 5).to_string());
            assert_eq!(told.header("retry-after").unwrap().parse::<u64>().unwrap(), (position / 5).max(2));
        }
    });
}

#[test]
fn everybody_comes_in_in_the_order_in_which_they_came() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        fill(scene).await;
        let mut line: Vec<Visitor> = (0..40).map(|n| Visitor::new(&format!("198.51.100.{n}"))).collect();
        for visitor in &mut line {
            assert_eq!(visitor.get(scene, "/").await.status(), 503);
        }
        let mut order = Vec::new();
        for _ in 0..40 {
            scene.seconds(1).await;
            for (at, visitor) in line.iter_mut().enumerate().rev() {
                if !order.contains(&at) && visitor.get(scene, "/").await.status() == 200 {
                    order.push(at);
                }
            }
        }
        assert_eq!(order.len(), 40);
        assert!(order.iter().enumerate().all(|(place, at)| place.abs_diff(*at) <= 10), "{order:?}");
    });
}

#[test]
fn those_inside_pass_while_others_wait_and_stay_as_long_as_they_are_seen() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        let mut inside = Visitor::new("198.51.100.1");
        inside.get(scene, "/").await;
        for _ in 0..10 {
            scene.seconds(200).await;
            crowd(scene).await;
            assert_eq!(Visitor::new("198.51.100.2").get(scene, "/").await.status(), 503);
            for path in ["/", "/cart", "/api"] {
                assert_eq!(inside.get(scene, path).await.text(), "app");
            }
        }
        let before = inside.cookie.clone();
        assert_eq!(inside.get(scene, "/").await.header("set-cookie"), None, "it is new enough");
        assert_eq!(inside.cookie, before);
        scene.seconds(301).await;
        crowd(scene).await;
        inside.is_browser = false;
        assert_eq!(member(&inside.get(scene, "/").await, "cookie"), "expired");
    });
}

#[test]
fn one_pass_lets_in_one_client_however_many_have_it() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        let mut owner = Visitor::new("203.0.113.9");
        owner.get(scene, "/").await;
        scene.seconds(1).await;
        fill(scene).await;
        let mut let_in = 0;
        for n in 0..1_000 {
            let mut thief = Visitor::program(&format!("10.0.{}.{}", n / 250, n % 250));
            thief.cookie.clone_from(&owner.cookie);
            let answer = thief.get(scene, "/").await;
            let_in += usize::from(answer.status() == 200);
            if answer.status() == 503 {
                assert_eq!(member(&answer, "cookie"), "other_client");
            }
        }
        assert_eq!(let_in, 0);
        assert_eq!(owner.get(scene, "/").await.text(), "app");
    });
}

#[test]
fn one_place_lets_in_one_however_many_have_it() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        fill(scene).await;
        let mut owner = Visitor::new("203.0.113.9");
        owner.get(scene, "/").await;
        let place = owner.cookie.clone();
        scene.seconds(1).await;
        assert_eq!(owner.get(scene, "/").await.text(), "app");
        for n in 0..100 {
            let mut copy = Visitor::program(&format!("10.0.0.{n}"));
            copy.cookie.clone_from(&place);
            let answer = copy.get(scene, "/").await;
            assert_eq!((answer.status(), member(&answer, "cookie")), (503, "replayed"));
            assert_eq!(answer.header("set-cookie"), None);
        }
        assert_eq!(owner.get(scene, "/").await.text(), "app");
    });
}

#[test]
fn cookies_that_are_none_get_a_new_place_and_a_named_reason() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        let mut real = Visitor::new("203.0.113.9");
        real.get(scene, "/").await;
        scene.seconds(1).await;
        fill(scene).await;
        let token = real.cookie.unwrap();
        // Not at the very end, where a character has bits that no spelling of bytes has.
        let (start, end) = token.split_at(token.len() - 8);
        let turned = if end.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{start}{turned}{}", &end[1..]);
        for (cookie, why) in [
            (forged.as_str(), "forged"),
            ("tidegate-room-main=", "malformed"),
            ("tidegate-room-main=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "foreign_room"),
            ("tidegate-room-main=\u{ff}\u{fe}", "malformed"),
        ] {
            let mut visitor = Visitor::program("203.0.113.9");
            visitor.cookie = Some(cookie.to_owned());
            let answer = visitor.get(scene, "/").await;
            assert_eq!((answer.status(), member(&answer, "cookie")), (503, why), "{cookie}");
            assert!(answer.header("set-cookie").is_some());
        }
    });
}

#[test]
fn the_page_asks_how_it_stands_without_going_to_the_app() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        const LOOK: &str = "Tidegate-Room: look\r\n";
        fill(scene).await;
        let mut visitor = Visitor::program("203.0.113.9");
        visitor.get(scene, "/").await;
        let told = visitor.ask(scene, "/", LOOK).await;
        assert_eq!((told.status(), told.header("cache-control")), (200, Some("no-store")));
        assert_eq!((member(&told, "state"), member(&told, "position")), ("waiting", "1"));
        assert_eq!((member(&told, "wait"), member(&told, "poll_seconds")), ("under a minute", "2"));
        scene.seconds(1).await;
        for _ in 0..3 {
            assert_eq!(member(&visitor.ask(scene, "/", LOOK).await, "state"), "ready");
        }
        assert_eq!(scene.requests().len(), 5);
        assert_eq!(visitor.get(scene, "/").await.text(), "app");
        assert_eq!(member(&visitor.ask(scene, "/", LOOK).await, "state"), "inside");
        assert_eq!(scene.requests().len(), 6);
    });
}

#[test]
fn a_reload_keeps_every_place_and_changes_the_rate() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        fill(scene).await;
        let mut line: Vec<Visitor> = (0..30).map(|_| Visitor::program("203.0.113.9")).collect();
        for visitor in &mut line {
            visitor.get(scene, "/").await;
        }
        scene.reload(&ROOM.replace("5/s", "1/s"));
        let told = line[29].get(scene, "/").await;
        assert_eq!(member(&told, "position"), "30");
        assert!(member(&told, "wait_seconds").parse::<u64>().unwrap() > 20);
        scene.reload(&ROOM.replace("waiting_room", "#"));
        assert_eq!(line[29].get(scene, "/").await.text(), "app", "without a room nobody waits");
    });
}

#[test]
fn a_restart_keeps_the_line_and_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nstate = {:?}\n{}",
        folder.path().join("state"),
        ROOM.replace(", secret = \"0123456789abcdef\"", "")
    );
    let cookies = std::cell::RefCell::new(Vec::new());
    let cookies = std::rc::Rc::new(cookies);
    let given = std::rc::Rc::clone(&cookies);
    scene(&*config).origin(APP, app).run(async move |scene| {
        let mut inside = Visitor::program("203.0.113.9");
        inside.get(scene, "/").await;
        scene.seconds(1).await;
        fill(scene).await;
        given.borrow_mut().push(inside.cookie.unwrap());
        for _ in 0..20 {
            let mut visitor = Visitor::program("203.0.113.9");
            assert_eq!(visitor.get(scene, "/").await.status(), 503);
            given.borrow_mut().push(visitor.cookie.unwrap());
        }
        scene.shared.live().rooms[0].keep(true);
    });
    scene(&*config).origin(APP, app).run(async move |scene| {
        let mut line: Vec<Visitor> = cookies
            .borrow()
            .iter()
            .map(|cookie| {
                let mut visitor = Visitor::program("203.0.113.9");
                visitor.cookie = Some(cookie.clone());
                visitor
            })
            .collect();
        let told = Visitor::program("203.0.113.10").get(scene, "/").await;
        assert_eq!(
            (told.status(), member(&told, "position")),
            (503, "21"),
            "who comes now is behind the others"
        );
        assert_eq!(line[0].get(scene, "/").await.text(), "app", "who was inside is inside");
        assert_eq!(member(&line[20].get(scene, "/").await, "position"), "20");
        scene.seconds(1).await;
        assert_eq!(line[1].get(scene, "/").await.text(), "app");
    });
}

#[test]
fn nothing_of_the_room_gets_into_the_cache() {
    let answer = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nkept";
    let config = format!("{ROOM}cache = {{ cookies = \"bypass\" }}");
    scene(config).origin(APP, async move |mut conn: Conn| conn.answer_all(answer).await).run(async |scene| {
        let mut first = Visitor::new("203.0.113.1");
        let mut second = Visitor::new("203.0.113.2");
        assert_eq!(first.get(scene, "/").await.text(), "kept");
        assert_eq!(second.get(scene, "/").await.text(), "kept");
        assert_ne!(first.cookie, second.cookie);
        assert_eq!(scene.requests().len(), 1);
        let hit = first.get(scene, "/").await;
        assert_eq!((hit.text(), hit.header("set-cookie")), ("kept", None));
        assert!(
            hit.header("cache-status").unwrap().contains("hit"),
            "the room's cookie is no cookie of the app's"
        );
        for n in 0..3 {
            Visitor::new(&format!("203.0.113.{n}")).get(scene, "/").await;
        }
        for _ in 0..2 {
            let page = Visitor::new("203.0.113.7").get(scene, "/").await;
            assert_eq!(
                (page.status(), page.header("age")),
                (503, None),
                "what is stored is behind the line too"
            );
        }
        assert_eq!(first.get(scene, "/").await.text(), "kept");
    });
}

/// Browsers send a room's cookie everywhere, and most of all in a surge.
#[test]
fn routes_without_the_room_do_not_see_its_cookie_either() {
    let config = format!(
        "{ROOM}[[route]]\npath = \"/free/*\"\nupstream = \"app\"\ncache = {{ ttl = \"60s\", cookies = \"bypass\" }}\n\
         [[route]]\npath = \"/sale\"\nupstream = \"app\"\nwaiting_room = {{ name = \"sale\" }}\n"
    );
    scene(config).origin(APP, app).run(async |scene| {
        let mut visitor = Visitor::new("203.0.113.1");
        visitor.get(scene, "/").await;
        visitor.get(scene, "/free/a").await;
        let hit = visitor.get(scene, "/free/a").await;
        assert!(hit.header("cache-status").unwrap().contains("hit"));
        visitor.ask(scene, "/sale", "Cookie: b=2\r\n").await;
        let seen: Vec<_> = scene.requests();
        assert_eq!(seen[1].header("cookie"), None);
        assert_eq!(seen[2].header("cookie"), Some("b=2"));
    });
}

#[test]
fn a_page_of_ones_own_is_filled_in() {
    let config = ROOM.replace("rate =", "page = \"line.html\", rate =");
    scene(config).file("line.html", "<h1>{{position}} in {{room}}</h1>").origin(APP, app).run(
        async |scene| {
            fill(scene).await;
            let page = Visitor::new("203.0.113.1").get(scene, "/").await;
            assert_eq!(page.text(), "<h1>1 in main</h1>");
            assert_eq!(page.header("content-security-policy"), None);
        },
    );
}

#[test]
fn nobody_is_called_while_the_breaker_of_the_app_is_open() {
    let config = ROOM
        .replace("[[route]]", "retry = \"off\"\nbreaker = { minimum_requests = 5, jitter = 0 }\n[[route]]");
    scene(config).run(async |scene| {
        for _ in 0..5 {
            assert_eq!(Visitor::new("198.51.100.1").get(scene, "/").await.status(), 502);
        }
        scene.serve(APP, app);
        let mut visitor = Visitor::program("203.0.113.1");
        for _ in 0..3 {
            scene.seconds(1).await;
            assert_eq!(member(&visitor.get(scene, "/").await, "code"), "waiting_room");
        }
        assert_eq!(scene.requests().len(), 0);
    });
}

#[test]
fn routes_that_name_a_room_share_its_line() {
    let config = format!(
        "{ROOM}[[route]]\npath = \"/cart\"\nupstream = \"app\"\nwaiting_room = true\n\
         [[route]]\npath = \"/sale\"\nupstream = \"app\"\nwaiting_room = {{ name = \"sale\", rate = \"1/s\", secret = \"0123456789abcdef\" }}\n\
         [[route]]\npath = \"/free\"\nupstream = \"app\"\n"
    );
    scene(config).origin(APP, app).run(async |scene| {
        let mut visitor = Visitor::program("203.0.113.1");
        visitor.get(scene, "/").await;
        for _ in 0..4 {
            Visitor::new("198.51.100.1").get(scene, "/").await;
        }
        assert_eq!(visitor.get(scene, "/cart").await.text(), "app");
        let told = Visitor::program("203.0.113.2").get(scene, "/cart").await;
        assert_eq!(member(&told, "position"), "1");
        assert_eq!(Visitor::new("203.0.113.2").get(scene, "/free").await.text(), "app");
        assert_eq!(Visitor::new("203.0.113.2").get(scene, "/sale").await.text(), "app");
        assert_eq!(Visitor::new("203.0.113.2").get(scene, "/sale").await.status(), 503);
    });
}

#[test]
fn whatever_is_asked_waits_and_the_connection_stays_usable() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        fill(scene).await;
        let mut client = scene.client();
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(client.ask(post).await.status(), 503);
        let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(client.ask(upgrade).await.status(), 503);
        assert_eq!(client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 503);
        scene.seconds(4).await;
        assert_eq!(scene.requests().len(), 5);
    });
}

#[test]
fn explain_tells_the_room() {
    scene(ROOM).origin(APP, app).run(async |scene| {
        fill(scene).await;
        Visitor::new("203.0.113.1").get(scene, "/").await;
        let asked = Asked::read("GET", "http://a/", &[]).unwrap();
        let steps = explain(&scene.shared.live(), Some(&scene.shared), &asked);
        let room = steps.iter().find(|step| step.stage == "room").unwrap();
        assert_eq!(room.text, "waiting room main: 5 a second come in; now 1 wait and 5 are inside");
    });
}
