//! The tier on disk: what leaves the memory is found there, by the same rules, also after a restart; and nothing that
//! does not add up is given out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cache::disk::Fault;
use cache::store::Purge;
use tempfile::TempDir;
use testkit::{Scene, scene};
use tidegate_proxy::disk::Disk;

use crate::support::{ORIGIN, answer, app, cached, get, not_modified, request, stall, status};

const FRESH: &str = "Cache-Control: max-age=600";

/// Nothing in here takes this long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cache with so much memory, and this folder below it.
fn config(memory: &str, folder: &Path, how: &str) -> String {
    let path = folder.display();
    format!(
        "[cache]\nmemory = \"{memory}\"\nshards = 1\ndisk = {{ path = \"{path}\", size = \"64 MiB\" }}\n{}",
        cached(how)
    )
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// Everything that is in memory goes to disk, and is forgotten here.
fn sink(scene: &Scene) {
    let disk = scene.shared.disk.get().expect("there is a disk");
    disk.leave(&scene.shared.cache, PATIENCE);
    scene.shared.cache.forget_where(|_| true);
}

/// Lets the writer come to an end.
fn settle(scene: &Scene) {
    let disk = scene.shared.disk.get().expect("there is a disk");
    assert!(disk.settle(PATIENCE), "the writer is stuck");
}

/// A body that is told from others at every place.
fn body(name: &str, len: usize) -> String {
    let lines = (0..=len / (name.len() + 8)).map(|number| format!("{name} {number:06}\n"));
    let mut text = lines.collect::<Vec<_>>().concat();
    text.truncate(len);
    text
}

/// The path that a request is for.
fn path(request: &testkit::Message) -> String {
    request.head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn what_left_the_memory_is_answered_from_disk() {
    let folder = folder();
    scene(config("1 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(|_, request| answer(&[FRESH], &body(&path(request), 30_000))))
        .run(async |scene| {
            let mut client = scene.client();
            for number in 0..80 {
                client.get(&format!("/{number}")).await;
                settle(scene);
            }
            let mut found = 0;
            for number in 0..80 {
                let target = format!("/{number}");
                let response = client.get(&target).await;
                assert!(response.text() == body(&target, 30_000), "{target}");
                assert!(status(&response).starts_with("hit"), "{}", status(&response));
                found += usize::from(status(&response).ends_with("; detail=disk"));
                settle(scene);
            }
            assert_eq!(scene.requests().len(), 80, "nothing was fetched twice");
            let usage = scene.shared.cache_usage();
            assert!(found >= 40 && usage.disk.hits_total == found as u64, "{found}");
            assert_eq!(usage.fills_total, 80);
            assert!(usage.used_bytes <= 1 << 20);
            // What was found is in memory now.
            assert_eq!(status(&client.get("/79").await), "hit; ttl=600");
        });
}

#[test]
fn a_restart_finds_what_was_there_by_the_same_rules() {
    let folder = folder();
    let config = config("8 MiB", folder.path(), "true");
    let fields = |path: &str| match path {
        "/fresh" => "max-age=600",
        "/grace" => "max-age=1, stale-while-revalidate=86400",
        "/validated" => "max-age=1",
        _ => "max-age=1, must-revalidate",
    };
    scene(config.clone())
        .origin(
            ORIGIN,
            app(move |number, request| {
                let path = path(request);
                let control = format!("Cache-Control: {}", fields(&path));
                let tag = if path == "/expired" { "X-None: 1" } else { "ETag: \"v1\"" };
                answer(&[&control, tag], &format!("{path} {number}"))
            }),
        )
        .run(async |scene| {
            for target in ["/fresh", "/grace", "/validated", "/expired"] {
                scene.client().get(target).await;
            }
            scene.shared.disk.get().unwrap().leave(&scene.shared.cache, PATIENCE);
        });
    scene(config)
        .origin(
            ORIGIN,
            app(move |_, request| match request.header("if-none-match") {
                Some("\"v1\"") => not_modified(&["Cache-Control: max-age=60", "ETag: \"v1\""]),
                _ => answer(&[FRESH], "anew"),
            }),
        )
        .run(async |scene| {
            assert_eq!(scene.shared.cache_usage().disk.entries, 4);
            scene.seconds(5).await;
            let fresh = scene.client().get("/fresh").await;
            assert_eq!((fresh.text(), scene.requests().len()), ("/fresh 1", 0));
            assert!(status(&fresh).ends_with("detail=disk"), "{}", status(&fresh));
            let stale = scene.client().get("/grace").await;
            assert_eq!(stale.text(), "/grace 2");
            assert!(status(&stale).contains("detail=stale"), "{}", status(&stale));
            scene.settle().await;
            assert_eq!(scene.requests().len(), 1, "it is refreshed behind");
            let validated = scene.client().get("/validated").await;
            assert_eq!(validated.text(), "/validated 3");
            assert!(status(&validated).contains("fwd-status=304"), "{}", status(&validated));
            assert_eq!(scene.client().get("/expired").await.text(), "anew");
        });
}

#[test]
fn a_body_on_disk_that_its_pace_keeps_back_is_not_cut_off() {
    let folder = folder();
    let paced = "[server]\ntimeouts.write = \"1s\"\nlimit = [{ bandwidth = \"200 KiB/s\" }]\nallow = [\"192.0.2.0/24\"]";
    let config = format!("{paced}\n{}", config("8 MiB", folder.path(), "true"));
    let text = body("paced", 200_000);
    let answered = answer(&[FRESH], &text);
    scene(config).origin(ORIGIN, app(move |_, _| answered.clone())).run(async |scene| {
        scene.client_from("192.0.2.1").get("/").await;
        sink(scene);
        // Asked for by somebody who need not wait, so that it lies ready.
        assert!(status(&scene.client_from("192.0.2.1").get("/").await).ends_with("; detail=disk"));
        let begun = scene.elapsed();
        let mut clients: Vec<_> = (0..10).map(|_| scene.client()).collect();
        for client in &mut clients {
            client.send(get(&[])).await;
        }
        for client in &mut clients {
            let response = client.response().await;
            assert!(response.is_whole && response.text() == text, "{} bytes", response.body.len());
        }
        assert!(scene.elapsed().saturating_sub(begun) > Duration::from_secs(8));
        assert_eq!(scene.requests().len(), 1);
    });
}

#[test]
fn a_large_body_is_sent_from_its_file_whole_and_in_parts() {
    let folder = folder();
    let text = body("large", 700_000);
    let whole = text.clone();
    scene(config("16 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(move |_, _| answer(&[FRESH, "ETag: \"v1\"", "Content-Type: text/plain"], &whole)))
        .run(async |scene| {
            let mut client = scene.client();
            assert!(client.get("/").await.text() == text);
            settle(scene);
            let listed = scene.shared.cache.list(b"", 10);
            assert!(listed[0].entry.body().place().is_some(), "it lies on disk");
            assert!(scene.shared.cache_usage().used_bytes < 1_600_000, "and not in memory");
            for round in 0..2 {
                let response = client.get("/").await;
                assert!(response.text() == text, "round {round}");
                let part = client.ask(&get(&["Range: bytes=300000-599999"])).await;
                assert_eq!((part.status(), part.text() == &text[300_000..600_000]), (206, true));
                let parts = client.ask(&get(&["Range: bytes=0-9,500000-500009"])).await;
                assert_eq!(parts.status(), 206);
                assert!(parts.text().contains(&text[..10]) && parts.text().contains(&text[500_000..500_010]));
                let none = client.ask(&get(&["If-None-Match: \"v1\""])).await;
                assert_eq!((none.status(), none.text()), (304, ""));
                let head = client.ask(&request("HEAD / HTTP/1.1", &[])).await;
                assert_eq!(head.header("content-length"), Some("700000"));
                // The second time it is found by way of the index.
                sink(scene);
            }
            assert_eq!(scene.requests().len(), 1);
        });
}

#[test]
fn variants_are_found_on_disk_each_by_who_gets_it() {
    let folder = folder();
    let fields = &[FRESH, "Vary: X-A"];
    scene(config("8 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(|_, request| answer(fields, request.header("x-a").unwrap_or("none"))))
        .run(async |scene| {
            for value in ["X-A: 1", "X-A: 2"] {
                scene.client().ask(&get(&[value])).await;
            }
            sink(scene);
            for (value, text) in [("X-A: 1", "1"), ("X-A: 2", "2"), ("X-B: 3", "none")] {
                assert_eq!(scene.client().ask(&get(&[value])).await.text(), text);
            }
            assert_eq!(scene.requests().len(), 3);
        });
}

#[test]
fn what_was_purged_or_changed_is_not_found_on_disk() {
    let folder = folder();
    let config = config("8 MiB", folder.path(), "true");
    let targets = ["/a", "/b", "/c", "/d"];
    scene(config.clone()).origin(ORIGIN, app(|number, _| answer(&[FRESH], &number.to_string()))).run(
        async |scene| {
            for target in targets {
                scene.client().get(target).await;
            }
            sink(scene);
            scene.shared.cache.purge(Purge::Url(b"http://a/a"), false, 0);
            scene.shared.cache.purge(Purge::Prefix(b"http://a/b"), false, 0);
            scene.client().ask(&request("POST /c HTTP/1.1", &["Content-Length: 0"])).await;
            settle(scene);
            for (target, text) in [("/a", "6"), ("/b", "7"), ("/c", "8"), ("/d", "4")] {
                assert_eq!(scene.client().get(target).await.text(), text, "{target}");
            }
        },
    );
    // The process was killed: what was only in memory is lost, what was purged stays so.
    scene(config).origin(ORIGIN, app(|_, _| answer(&[FRESH], "anew"))).run(async |scene| {
        for (target, text) in [("/a", "anew"), ("/b", "anew"), ("/c", "anew"), ("/d", "4")] {
            assert_eq!(scene.client().get(target).await.text(), text, "{target}");
        }
    });
}

#[test]
fn only_if_cached_is_answered_from_disk_and_without_a_word_to_the_origin() {
    let folder = folder();
    let only = &["Cache-Control: only-if-cached"];
    let fields = |path: &str| if path == "/stale" { "Cache-Control: max-age=1" } else { FRESH };
    scene(config("8 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(move |_, request| answer(&[fields(&path(request)), "ETag: \"v1\""], "kept")))
        .run(async |scene| {
            for target in ["/", "/stale"] {
                scene.client().get(target).await;
            }
            sink(scene);
            scene.seconds(2).await;
            for _ in 0..2 {
                let found = scene.client().ask(&get(only)).await;
                assert_eq!((found.status(), found.text()), (200, "kept"));
                assert!(status(&found).ends_with("detail=disk"), "{}", status(&found));
            }
            let head = scene.client().ask(&request("HEAD / HTTP/1.1", only)).await;
            assert_eq!((head.status(), head.header("content-length")), (200, Some("4")));
            let changed = scene.client().ask(&get(&[only[0], "If-None-Match: \"v1\""])).await;
            assert_eq!(changed.status(), 304);
            for target in ["/stale", "/none"] {
                let none = scene.client().ask(&request(&format!("GET {target} HTTP/1.1"), only)).await;
                assert_eq!(none.status(), 504, "{target}");
            }
            assert_eq!(scene.requests().len(), 2, "the origin is not asked");
        });
}

#[test]
fn purge_is_answered_when_the_disk_has_taken_note() {
    let folder = folder();
    let how = "{ purge = [\"203.0.113.0/24\"] }";
    let killed = self::folder();
    scene(config("8 MiB", folder.path(), how)).origin(ORIGIN, app(|_, _| answer(&[FRESH], "old"))).run(
        async |scene| {
            for target in ["/", "/other"] {
                scene.client().get(target).await;
            }
            sink(scene);
            let purged = scene.client().ask(&request("PURGE / HTTP/1.1", &[])).await;
            assert_eq!(purged.status(), 200, "{}", purged.text());
            // The process is killed at this moment: what it has written is what the next one finds.
            for file in fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
            }
        },
    );
    scene(config("8 MiB", killed.path(), how)).origin(ORIGIN, app(|_, _| answer(&[FRESH], "new"))).run(
        async |scene| {
            assert_eq!(scene.client().get("/").await.text(), "new");
            assert_eq!(scene.client().get("/other").await.text(), "old");
        },
    );
}

/// Waits until so many reads are under way.
async fn reading(disk: &Disk, loads: usize) {
    while disk.loads() < loads {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_disk_that_does_not_answer_is_waited_for_two_seconds_and_then_the_origin_is_asked() {
    let folder = folder();
    scene(config("8 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(|number, _| answer(&[FRESH], &number.to_string())))
        .run(async |scene| {
            scene.client().get("/").await;
            sink(scene);
            let disk = scene.shared.disk.get().unwrap();
            let mut client = scene.client();
            let stall = stall();
            client.send(get(&[])).await;
            reading(disk, 1).await;
            tokio::time::advance(Duration::from_millis(1_900)).await;
            reading(disk, 1).await;
            assert_eq!(scene.requests().len(), 1, "the disk has time left");
            tokio::time::advance(Duration::from_millis(200)).await;
            assert_eq!(client.response().await.text(), "2");
            let faults = scene.shared.cache_usage().disk.faults_total;
            assert_eq!(faults[Fault::Slow.index()], 1);
            // What comes too late changes nothing.
            drop(stall);
            while disk.loads() > 0 {
                tokio::task::yield_now().await;
            }
            let now = client.get("/").await;
            assert_eq!((now.text(), scene.requests().len()), ("2", 2));
        });
}

#[test]
fn a_slow_disk_is_asked_for_64_at_once_and_the_origin_for_the_rest() {
    let folder = folder();
    scene(config("8 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(|_, request| answer(&[FRESH], &path(request))))
        .run(async |scene| {
            for number in 0..=64 {
                scene.client().get(&format!("/{number}")).await;
            }
            sink(scene);
            let disk = scene.shared.disk.get().unwrap();
            let stall = stall();
            let mut clients: Vec<_> = (0..64).map(|_| scene.client()).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                client.send(request(&format!("GET /{number} HTTP/1.1"), &[])).await;
            }
            reading(disk, 64).await;
            let one_too_many = scene.client().get("/64").await;
            assert_eq!(one_too_many.text(), "/64");
            assert!(status(&one_too_many).contains("fwd=uri-miss"), "{}", status(&one_too_many));
            assert_eq!((scene.requests().len(), disk.loads()), (66, 64));
            drop(stall);
            for (number, client) in clients.iter_mut().enumerate() {
                let found = client.response().await;
                assert_eq!(found.text(), format!("/{number}"));
                assert!(status(&found).ends_with("detail=disk"), "{}", status(&found));
            }
            assert_eq!(scene.requests().len(), 66);
            assert_eq!(scene.shared.cache_usage().disk.faults_total[Fault::Slow.index()], 1);
        });
}

#[test]
fn what_does_not_add_up_is_fetched_anew() {
    let folder = folder();
    scene(config("16 MiB", folder.path(), "true"))
        .origin(
            ORIGIN,
            app(|_, request| {
                let len = if path(request) == "/large" { 400_000 } else { 5_000 };
                answer(&[FRESH], &body("right", len))
            }),
        )
        .run(async |scene| {
            for target in ["/large", "/small"] {
                scene.client().get(target).await;
            }
            sink(scene);
            let file = folder.path().join("0000000001.segment");
            let mut bytes = fs::read(&file).unwrap();
            let is_right = |at: &usize| bytes[*at..].starts_with(b"right");
            let places: Vec<usize> = (0..bytes.len()).filter(is_right).collect();
            for at in places {
                bytes[at..at + 5].copy_from_slice(b"wrong");
            }
            fs::write(&file, bytes).unwrap();
            for (target, len) in [("/large", 400_000), ("/small", 5_000)] {
                assert!(scene.client().get(target).await.text() == body("right", len), "{target}");
            }
            assert_eq!(scene.requests().len(), 4);
            assert_eq!(scene.shared.cache_usage().disk.faults_total[Fault::Corrupt.index()], 2);
        });
}

#[test]
fn a_file_that_is_cut_off_while_it_is_sent_from_cuts_the_client_off_and_is_not_used_again() {
    let folder = folder();
    scene(config("16 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(|_, _| answer(&[FRESH], &body("large", 400_000))))
        .run(async |scene| {
            scene.client().get("/").await;
            settle(scene);
            // The store is told where a body lies a moment after that was written.
            let mut is_told = false;
            while !is_told {
                scene.shared.cache.each_entry(|entry| {
                    is_told = entry.body().place().is_some();
                    true
                });
            }
            let file =
                fs::File::options().write(true).open(folder.path().join("0000000001.segment")).unwrap();
            file.set_len(100_000).unwrap();
            let cut = scene.client().get("/").await;
            assert!(!cut.is_whole && body("large", 400_000).starts_with(cut.text()));
            assert!(scene.client().get("/").await.text() == body("large", 400_000));
            assert_eq!(scene.requests().len(), 2);
        });
}

#[test]
fn a_segment_that_goes_takes_what_is_sent_from_it_along() {
    let folder = folder();
    scene(config("64 MiB", folder.path(), "true"))
        .origin(ORIGIN, app(|_, request| answer(&[FRESH], &body(&path(request), 3_000_000))))
        .run(async |scene| {
            for number in 0..30 {
                scene.client().get(&format!("/{number}")).await;
                settle(scene);
            }
            let usage = scene.shared.cache_usage();
            let files: u64 = fs::read_dir(folder.path())
                .unwrap()
                .map(|file| file.unwrap().metadata().unwrap().len())
                .sum();
            assert!(usage.disk.used_bytes <= 64 << 20 && files <= (64 << 20) + 100, "{files}");
            let listed = scene.shared.cache.list(b"", 100);
            assert!(listed.iter().all(|listed| listed.entry.body().place().is_some()));
            assert_eq!(listed.len() as u64, usage.disk.entries, "what is gone from disk is gone from memory");
            let last = scene.client().get("/29").await;
            assert!(last.text() == body("/29", 3_000_000) && status(&last).starts_with("hit"));
        });
}

#[test]
fn a_folder_that_is_in_use_or_cannot_be_made_is_named() {
    let folder = folder();
    scene(config("1 MiB", folder.path(), "true")).run(async |scene| {
        let open = |path: &Path| {
            let settings = config::Disk { path: path.to_owned(), bytes: 64 << 20 };
            let store = cache_store();
            tidegate_proxy::disk::Disk::open(&settings, 1 << 20, &store).map(drop)
        };
        let taken = open(folder.path()).expect_err("it is taken").to_string();
        let own = std::process::id();
        assert!(
            taken.contains(&format!("is used by another process, {own}\nhelp: stop that one")),
            "{taken}"
        );
        let no = open(Path::new("/proc/version/cache")).expect_err("that is no folder").to_string();
        assert!(no.starts_with("cannot use cache.disk.path /proc/version/cache: "), "{no}");
        assert!(no.contains("\nhelp: it has to be a folder"), "{no}");
        assert!(scene.shared.disk.get().is_some());
    });
}

fn cache_store() -> cache::Store {
    cache::Store::new(1 << 20, 1, 1)
}
