//! Origins and clients that mean harm, or are broken, all at once; and clocks that are set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testkit::{Client, Conn, Message, scene};

use crate::support::*;

/// What a client must have got of a path whole, or broken off.
fn body_of(path: &str) -> String {
    let bytes = path.trim_start_matches('/').parse().unwrap_or(100);
    format!("{path} ").chars().cycle().take(bytes).collect()
}

/// Answers by the request's number: whole, too short, too long, without a length, too large, varying on everything, with
/// more tags or names than are kept, cut off in its head.
async fn answered(conn: &mut Conn, number: usize, request: &Message) -> bool {
    let body = body_of(request.target());
    let fresh = "Cache-Control: max-age=60\r\n";
    let length = |bytes: usize| format!("Content-Length: {bytes}\r\n\r\n");
    let many = |word: &str| (0..40).map(|at| format!("{word}-{at}")).collect::<Vec<_>>().join(", ");
    let (head, goes_on) = match number % 8 {
        0 => (format!("{fresh}Vary: X-Any\r\n{}", length(body.len())), true),
        1 => (format!("{fresh}{}", length(body.len() + 10)), false),
        2 => (format!("{fresh}{}", length(body.len() / 2)), false),
        3 => (format!("{fresh}\r\n"), false),
        4 => (format!("{fresh}Vary: {}\r\n{}", many("X-Name"), length(body.len())), true),
        5 => (format!("{fresh}Cache-Tag: {}, {}\r\n{}", many("a"), many("b"), length(body.len())), true),
        6 => ("Cache-Con".to_owned(), false),
        _ => (format!("{fresh}Vary: Accept-Language, X-Any\r\n{}", length(body.len())), true),
    };
    let body = if head == "Cache-Con" { "" } else { &body };
    conn.send(format!("HTTP/1.1 200 OK\r\n{head}{body}")).await && goes_on
}

#[test]
fn memory_stays_under_its_bound_and_nobody_gets_what_is_not_his_whatever_comes() {
    const MEMORY: u64 = 2 << 20;
    let config =
        format!("{}\n[cache]\nmemory = \"2 MiB\"\nmax_body = \"300 KB\"\n", cached("{ max_variants = 8 }"));
    let count = std::cell::Cell::new(0);
    let origin = async move |mut conn: Conn| {
        while let Some(request) = conn.request().await {
            count.set(count.get() + 1);
            if !answered(&mut conn, count.get(), &request).await {
                return;
            }
        }
    };
    scene(config).origin(ORIGIN, origin).run(async |scene| {
        let mut rng = scene.rng();
        let mut slow: Vec<Client> = Vec::new();
        let (mut whole, mut most) = (0, 0);
        for _ in 0..1_500 {
            let path = match rng.u8(..8) {
                0 => format!("/{}", rng.u32(100_000..500_000)),
                1..4 => format!("/{}", 1_000 + rng.u32(..20)),
                _ => format!("/{}", rng.u32(..40_000)),
            };
            let any = format!("X-Any: {}", rng.u16(..));
            let request = request(&format!("GET {path} HTTP/1.1"), &[&any, "Accept-Language: de"]);
            let mut client = scene.client();
            if rng.u8(..10) == 0 {
                // It reads nothing for now.
                client.send(&request).await;
                slow.push(client);
                if slow.len() > 20 {
                    slow.swap_remove(rng.usize(..20));
                }
            } else {
                client.send(&request).await;
                if let Some(response) =
                    client.try_response("GET").await.filter(|response| response.status() == 200)
                {
                    let expected = body_of(&path);
                    assert!(expected.starts_with(response.text()), "{path} and not another one's");
                    whole += u32::from(response.text().len() == expected.len());
                }
            }
            let usage = scene.shared.cache.usage();
            most = most.max(usage.used_bytes);
            assert!(usage.used_bytes <= MEMORY, "{usage:?}");
        }
        assert!(whole > 500 && most > MEMORY * 3 / 4, "{whole} whole, {most} bytes at most");
        let usage = scene.shared.cache.usage();
        assert!(usage.evictions_total > 0 && usage.hits_total > 0, "{usage:?}");
        drop(slow);
        scene.seconds(120).await;
        let usage = scene.shared.cache.usage();
        assert_eq!((usage.filling_bytes, usage.leaving_bytes, usage.fillings), (0, 0, 0));
    });
}

/// RFC 9111 section 4.2.3: age is time that has passed. A clock that is set forward makes things old, one that is set
/// back does not make them young.
#[test]
fn a_clock_that_is_set_keeps_nothing_fresh_for_longer() {
    const HOUR: Duration = Duration::from_hours(1);
    let wall = |scene: &testkit::Scene| UNIX_EPOCH + Duration::from_millis(scene.shared.unix_ms());
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        scene.client().get("/").await;
        scene.seconds(30).await;
        scene.shared.follow(wall(scene) - HOUR);
        let hit = scene.client().get("/").await;
        assert_eq!((hit.text(), hit.header("age")), ("1", Some("30")));
        scene.seconds(31).await;
        assert_eq!(scene.client().get("/").await.text(), "2", "it was kept for no longer");
        let now = wall(scene);
        scene.shared.follow(now + HOUR);
        assert_eq!(scene.client().get("/").await.text(), "3", "the machine has slept for an hour");
    });
}

#[test]
fn dates_are_compared_with_the_clock_on_the_wall() {
    let date = |time: SystemTime| format!("Date: {}", httpdate::fmt_http_date(time));
    let start = SystemTime::now() - Duration::from_hours(1);
    let app = app(move |number, _| answer(&["Cache-Control: max-age=60", &date(start)], &number.to_string()));
    scene(cached("true")).origin(ORIGIN, app).run(async |scene| {
        // The machine's clock was an hour fast, and is set right: what is new is new.
        scene.shared.follow(start + scene.elapsed());
        assert_eq!(scene.client().get("/").await.header("age"), Some("0"));
        scene.seconds(10).await;
        let hit = scene.client().get("/").await;
        assert_eq!((hit.text(), hit.header("age")), ("1", Some("10")));
    });
}
