//! Files of a folder: which one answers, what it says of itself, what never gets out.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use testkit::{Client, Message, Scene, scene};

/// Written long ago, so that it is not taken for a file that is being written.
fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    write_at(root, name, content, SystemTime::now() - Duration::from_hours(1));
}

fn write_at(root: &Path, name: &str, content: impl AsRef<[u8]>, modified: SystemTime) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, content).expect("a file");
    File::options().write(true).open(path).expect("the file").set_modified(modified).expect("a time");
}

/// A file of this length in which every position is told from its neighbours.
fn counted(len: usize) -> Vec<u8> {
    (0..).flat_map(|number: u32| format!("{number:07}\n").into_bytes()).take(len).collect()
}

/// Plays a scene with a folder for `/*`; `more` are further keys of `files`.
fn play(more: &str, prepare: impl FnOnce(&Path), play: impl AsyncFnOnce(&Scene, &Path)) {
    play_route("/", more, "", prepare, play);
}

fn play_route(
    path: &str,
    more: &str,
    route: &str,
    prepare: impl FnOnce(&Path),
    play: impl AsyncFnOnce(&Scene, &Path),
) {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a folder");
    prepare(&root);
    let files = format!("files = {{ root = \"{}\"{more} }}", root.display());
    scene(format!("[[route]]\npath = \"{path}\"\n{files}\n{route}"))
        .run(async |scene| play(scene, &root).await);
}

fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

async fn get(client: &mut Client, target: &str, fields: &str) -> Message {
    client.ask(&request("GET", target, fields)).await
}

fn code(response: &Message) -> &str {
    let text = response.text();
    text.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

#[test]
fn a_file_says_what_it_is_and_how_long_it_keeps() {
    let prepare = |root: &Path| {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        write_at(root, "style.css", "body{}", modified);
        write(root, "app.3f9ac2d1.js", "1");
        write(root, "empty.txt", "");
    };
    play("", prepare, async |scene, _| {
        let mut client = scene.client();
        let response = client.get("/style.css").await;
        assert_eq!((response.status(), response.text()), (200, "body{}"));
        assert_eq!(response.header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(response.header("content-length"), Some("6"));
        assert_eq!(response.header("last-modified"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
        assert_eq!(response.header("cache-control"), Some("public, max-age=3600"));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
        assert_eq!(response.header("vary"), None);
        assert!(response.header("date").is_some() && response.header("x-request-id").is_some());
        let etag = response.header("etag").expect("a tag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
        let head = client.ask(&request("HEAD", "/style.css", "")).await;
        assert_eq!((head.status(), head.text()), (200, ""));
        for name in ["content-length", "etag", "content-type", "cache-control"] {
            assert_eq!(head.header(name), response.header(name), "{name}");
        }
        let hashed = client.get("/app.3f9ac2d1.js").await;
        assert_eq!(hashed.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let empty = client.get("/empty.txt").await;
        assert_eq!((empty.status(), empty.header("content-length"), empty.text()), (200, Some("0"), ""));
    });
}

/// Targets that nothing may come of: ways out of the folder, and what is kept back in it.
const HOSTILE: [&str; 46] = [
    "/../secret",
    "/../../../../../../etc/passwd",
    "/%2e%2e/secret",
    "/%2E%2E%2Fsecret",
    "/..%2fsecret",
    "/..%2Fsecret",
    "/%2e%2e%2fsecret",
    "/%252e%252e/secret",
    "/%252e%252e%252fsecret",
    "/..%5csecret",
    "/..%5Csecret",
    "/..\\secret",
    "/%c0%ae%c0%ae/secret",
    "/%c0%ae%c0%ae%c0%afsecret",
    "/%uff0e%uff0e/secret",
    "/..;/secret",
    "/.;/../secret",
    "/....//secret",
    "/page.html/../../secret",
    "/folder/../../secret",
    "/./../secret",
    "//../secret",
    "//secret",
    "/%2f%2fetc/passwd",
    "//etc/passwd",
    "/out",
    "/out/",
    "/out-folder/secret",
    "/folder/far-out",
    "/absolute",
    "/absolute-inside",
    "/magic/etc/passwd",
    "/loop",
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/folder/.hidden",
    "/.well-known/.hidden",
    "/page.html%00.txt",
    "/page.html%00",
    "/page.html/",
    "/page.html/x",
    "/page.html%0a",
    "/pipe",
    "/folder",
    "/folder/",
];

/// Fills a folder with what is hidden, and with links of every kind; beside it lies a secret.
fn trap(root: &Path) {
    fs::write(root.join("../secret"), "secret").expect("a file");
    for name in [".env", ".git/config", "folder/.hidden", ".well-known/.hidden", "folder/note.txt"] {
        write(root, name, "secret");
    }
    write(root, "page.html", "page");
    write(root, ".well-known/security.txt", "contact");
    for (link, to) in [
        ("out", "../secret"),
        ("out-folder", ".."),
        ("folder/far-out", "../../secret"),
        ("absolute", "/etc/passwd"),
        ("magic", "/proc/self/root"),
        ("loop", "loop"),
        ("inside", "folder/../page.html"),
    ] {
        symlink(to, root.join(link)).expect("a link");
    }
    symlink(root.join("page.html"), root.join("absolute-inside")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RWXU).expect("a pipe");
}

#[test]
fn nothing_hidden_and_nothing_outside_gets_out() {
    play("", trap, async |scene, _| {
        for target in HOSTILE {
            let response = scene.client().get(target).await;
            assert!(matches!(response.status(), 400 | 404), "{target}: {}", response.head);
            let text = response.text();
            assert!(!text.contains("secret") && !text.contains("root:"), "{target}: {text}");
        }
        let long = format!("/{}", "a".repeat(300));
        assert_eq!(code(&scene.client().get(&long).await), "file_not_found");
        let deep = "/a".repeat(3000);
        assert_eq!(code(&scene.client().get(&deep).await), "file_not_found");
        for (target, body) in
            [("/inside", "page"), ("/.well-known/security.txt", "contact"), ("/%70age.html", "page")]
        {
            let response = scene.client().get(target).await;
            assert_eq!((response.status(), response.text()), (200, body), "{target}");
        }
        assert!(scene.requests().is_empty());
    });
}

#[test]
fn the_part_of_the_path_below_the_route_is_the_path_in_the_folder() {
    play_route(
        "/static/*",
        "",
        "",
        |root| {
            write(root, "a.txt", "a");
            write(root, "index.html", "home");
            write(root, "sp ace.txt", "spaced");
        },
        async |scene, _| {
            let mut client = scene.client();
            assert_eq!(client.get("/static/a.txt").await.text(), "a");
            assert_eq!(client.get("/static/sp%20ace.txt").await.text(), "spaced");
            assert_eq!(client.get("/static/").await.text(), "home");
            let moved = client.get("/static?x=1").await;
            assert_eq!((moved.status(), moved.header("location")), (308, Some("/static/?x=1")));
            assert_eq!(client.get("/static/static/a.txt").await.status(), 404);
        },
    );
}

#[test]
fn a_file_in_memory_is_not_given_to_those_who_are_sent_elsewhere() {
    let prepare = |root: &Path| write(root, "docs/index.html", "docs");
    play_route("/x/{name}/*", "", "rewrite = \"/docs\"", prepare, async |scene, _| {
        let mut client = scene.client();
        for _ in 0..2 {
            assert_eq!(client.get("/x/y/").await.text(), "docs");
            let moved = client.get("/x/y").await;
            assert_eq!((moved.status(), moved.header("location")), (308, Some("/x/y/")));
        }
    });
}

#[test]
fn a_client_that_has_the_file_is_told_so() {
    let prepare = |root: &Path| write(root, "a.txt", "content");
    play("", prepare, async |scene, _| {
        let mut client = scene.client();
        let first = client.get("/a.txt").await;
        let (etag, modified) =
            (first.header("etag").expect("a tag"), first.header("last-modified").expect("a date"));
        let future = "Thu, 31 Dec 2099 23:59:59 GMT";
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (fields, status) in [
            (format!("If-None-Match: {etag}\r\n"), 304),
            (format!("If-None-Match: W/{etag}\r\n"), 304),
            (format!("If-None-Match: \"x\", {etag}\r\n"), 304),
            ("If-None-Match: *\r\n".to_owned(), 304),
            ("If-None-Match: \"x\"\r\n".to_owned(), 200),
            (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}\r\n"), 200),
            (format!("If-Modified-Since: {modified}\r\n"), 304),
            (format!("If-Modified-Since: {future}\r\n"), 304),
            (format!("If-Modified-Since: {past}\r\n"), 200),
            ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
            (format!("If-Match: {etag}\r\n"), 200),
            ("If-Match: *\r\n".to_owned(), 200),
            ("If-Match: \"x\"\r\n".to_owned(), 412),
            (format!("If-Unmodified-Since: {modified}\r\n"), 200),
            (format!("If-Unmodified-Since: {past}\r\n"), 412),
            (format!("Cache-Control: no-store, no-cache\r\nIf-None-Match: {etag}\r\n"), 304),
        ] {
            let response = get(&mut client, "/a.txt", &fields).await;
            assert_eq!(response.status(), status, "{fields}");
            let head = client.ask(&request("HEAD", "/a.txt", &fields)).await;
            assert_eq!(head.status(), status, "HEAD {fields}");
            match status {
                200 => assert_eq!(response.text(), "content"),
                304 => {
                    assert_eq!(response.header("etag"), Some(etag));
                    assert_eq!(response.header("cache-control"), Some("public, max-age=3600"));
                    assert!(response.header("date").is_some() && response.text().is_empty());
                    assert_eq!(response.header("content-length"), None);
                }
                _ => assert_eq!((response.header("content-length"), response.text()), (Some("0"), "")),
            }
        }
    });
}

#[test]
fn ranges_are_cut_out_of_small_and_of_large_files() {
    let (small, large) = (counted(1000), counted(300_000));
    let prepare = |root: &Path| {
        write(root, "small.bin", counted(1000));
        write(root, "large.bin", counted(300_000));
    };
    play("", prepare, async |scene, _| {
        let mut client = scene.client();
        for (name, bytes) in [("/small.bin", &small), ("/large.bin", &large)] {
            let len = bytes.len();
            for (range, start, end) in [
                ("0-0".to_owned(), 0, 1),
                ("10-19".to_owned(), 10, 20),
                ("900-".to_owned(), 900, len),
                ("-100".to_owned(), len - 100, len),
                (format!("-{}", len * 2), 0, len),
                (format!("5-{}", len * 2), 5, len),
            ] {
                let part = get(&mut client, name, &format!("Range: bytes={range}\r\n")).await;
                assert_eq!(part.status(), 206, "{range}");
                let told = format!("bytes {start}-{}/{len}", end - 1);
                assert_eq!(part.header("content-range"), Some(&told[..]), "{range}");
                assert_eq!(part.body, &bytes[start..end], "{range}");
                assert!(part.header("etag").is_some());
            }
            let beyond = get(&mut client, name, &format!("Range: bytes={len}-\r\n")).await;
            let told = format!("bytes */{len}");
            assert_eq!((beyond.status(), beyond.header("content-range")), (416, Some(&told[..])));
            for range in ["bytes=5-3", "chapters=1-2", "bytes=", "bytes=a-b"] {
                let whole = get(&mut client, name, &format!("Range: {range}\r\n")).await;
                assert_eq!((whole.status(), &whole.body), (200, bytes), "{range}");
            }
            let head = client.ask(&request("HEAD", name, "Range: bytes=0-9\r\n")).await;
            let told = len.to_string();
            assert_eq!((head.status(), head.header("content-length")), (200, Some(&told[..])));
        }
    });
}

#[test]
fn several_ranges_come_in_parts() {
    let large = counted(300_000);
    play(
        "",
        |root| write(root, "large.bin", counted(300_000)),
        async |scene, _| {
            let mut client = scene.client();
            let response = get(&mut client, "/large.bin", "Range: bytes=0-9,1000-100999,-7\r\n").await;
            assert_eq!((response.status(), response.is_whole), (206, true));
            let kind = response.header("content-type").expect("a type");
            let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("parts");
            let mut wanted = Vec::new();
            for (start, end) in [(0, 10), (1000, 101_000), (299_993, 300_000)] {
                let first = if wanted.is_empty() { "" } else { "\r\n" };
                wanted.extend_from_slice(
                    format!(
                        "{first}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                     Content-Range: bytes {start}-{}/300000\r\n\r\n",
                        end - 1
                    )
                    .as_bytes(),
                );
                wanted.extend_from_slice(&large[start..end]);
            }
            wanted.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert!(response.body == wanted, "{}", String::from_utf8_lossy(&response.body[..300]));
            let next = get(&mut client, "/large.bin", "Range: bytes=0-1\r\n").await;
            assert_eq!(next.body, &large[..2], "the connection goes on");
        },
    );
}

#[test]
fn a_part_of_what_has_changed_is_not_given() {
    play(
        "",
        |root| write(root, "a.bin", counted(1000)),
        async |scene, _| {
            let mut client = scene.client();
            let first = client.get("/a.bin").await;
            let (etag, modified) =
                (first.header("etag").expect("a tag"), first.header("last-modified").expect("a date"));
            for (value, status) in [
                (etag, 206),
                ("\"other\"", 200),
                (&format!("W/{etag}"), 200),
                (modified, 206),
                ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
            ] {
                let fields = format!("Range: bytes=0-9\r\nIf-Range: {value}\r\n");
                assert_eq!(get(&mut client, "/a.bin", &fields).await.status(), status, "{value}");
            }
        },
    );
}

#[test]
fn the_smallest_sibling_that_the_client_takes_is_sent() {
    let prepare = |root: &Path| {
        let now = SystemTime::now();
        write(root, "app.js", "x".repeat(100));
        for (name, len) in [("app.js.gz", 30), ("app.js.br", 10), ("app.js.zst", 20)] {
            write_at(
                root,
                name,
                name.repeat(10).get(..len).expect("long enough"),
                now - Duration::from_mins(1),
            );
        }
        write(root, "old.js", "new");
        write_at(root, "old.js.gz", "o", now - Duration::from_hours(2));
        write(root, "plain.js", "plain");
        write(root, "larger.js", "1");
        write_at(root, "larger.js.gz", "larger", now - Duration::from_mins(1));
    };
    play("", prepare, async |scene, _| {
        let mut client = scene.client();
        let mut tags = Vec::new();
        for (accept, coding, len) in [
            ("gzip, br, zstd", Some("br"), 10),
            ("gzip, zstd", Some("zstd"), 20),
            ("gzip", Some("gzip"), 30),
            ("gzip;q=0.5, br;q=0", Some("gzip"), 30),
            ("*", Some("br"), 10),
            ("*, br;q=0", Some("zstd"), 20),
            ("identity", None, 100),
            ("gzip;q=0", None, 100),
            ("deflate", None, 100),
            ("", None, 100),
        ] {
            let response = get(&mut client, "/app.js", &format!("Accept-Encoding: {accept}\r\n")).await;
            assert_eq!(response.status(), 200);
            assert_eq!((response.header("content-encoding"), response.body.len()), (coding, len), "{accept}");
            assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{accept}");
            assert_eq!(response.header("content-type"), Some("text/javascript; charset=utf-8"));
            let etag = response.header("etag").expect("a tag").to_owned();
            let fields = format!("Accept-Encoding: {accept}\r\nIf-None-Match: {etag}\r\n");
            let known = get(&mut client, "/app.js", &fields).await;
            assert_eq!((known.status(), known.header("vary")), (304, Some("Accept-Encoding")), "{accept}");
            tags.push((coding, etag));
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 4, "a tag for each: {tags:?}");
        let part = get(&mut client, "/app.js", "Accept-Encoding: br\r\nRange: bytes=0-3\r\n").await;
        assert_eq!((part.status(), part.text()), (206, "app."));
        assert_eq!(part.header("content-encoding"), Some("br"));
        for (target, body, vary) in [
            ("/old.js", "new", None),
            ("/plain.js", "plain", None),
            ("/larger.js", "1", Some("Accept-Encoding")),
        ] {
            let response = get(&mut client, target, "Accept-Encoding: gzip\r\n").await;
            assert_eq!((response.text(), response.header("content-encoding")), (body, None), "{target}");
            assert_eq!(response.header("vary"), vary, "{target}");
        }
    });
    play(", precompressed = false", prepare, async |scene, _| {
        let response = get(&mut scene.client(), "/app.js", "Accept-Encoding: br\r\n").await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None));
    });
}

#[test]
fn folders_are_answered_by_their_index_under_an_address_with_a_slash() {
    let prepare = |root: &Path| {
        write(root, "index.html", "home");
        write(root, "docs/index.html", "docs");
        write(root, "bare/a.txt", "a");
    };
    play("", prepare, async |scene, _| {
        let mut client = scene.client();
        for (target, body) in
            [("/", "home"), ("/docs/", "docs"), ("/index.html", "home"), ("//docs//", "docs")]
        {
            let response = client.get(target).await;
            assert_eq!((response.status(), response.text()), (200, body), "{target}");
            assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        }
        for (target, location) in [
            ("/docs", "/docs/"),
            ("/docs?a=1&b", "/docs/?a=1&b"),
            ("//docs", "/docs/"),
            ("/bare/../docs", "/docs/"),
        ] {
            let response = client.get(target).await;
            assert_eq!((response.status(), response.header("location")), (308, Some(location)), "{target}");
            assert_eq!(response.text(), "");
        }
        for target in ["/bare", "/bare/", "/none/", "/docs/index.html/"] {
            assert_eq!(code(&client.get(target).await), "file_not_found", "{target}");
        }
    });
    play(", index = \"off\"", prepare, async |scene, _| {
        for target in ["/", "/docs/", "/docs"] {
            assert_eq!(code(&scene.client().get(target).await), "file_not_found", "{target}");
        }
    });
}

#[test]
fn pages_have_clean_addresses_if_wanted() {
    let prepare = |root: &Path| {
        write(root, "index.html", "home");
        write(root, "about.html", "about");
        write(root, "both", "file");
        write(root, "both.html", "page");
        write(root, "team.html", "page beside a folder");
        write(root, "team/index.html", "index");
        write(root, "docs/index.html", "docs");
    };
    play(", clean_urls = true", prepare, async |scene, _| {
        let mut client = scene.client();
        for (target, body) in [
            ("/about", "about"),
            ("/both", "file"),
            ("/both.html", "page"),
            ("/team", "page beside a folder"),
            ("/team/", "index"),
            ("/docs/", "docs"),
        ] {
            let response = client.get(target).await;
            assert_eq!((response.status(), response.text()), (200, body), "{target}");
        }
        assert_eq!(client.get("/about").await.header("content-type"), Some("text/html; charset=utf-8"));
        for (target, location) in [
            ("/about.html?x", "/about?x"),
            ("/%61bout.htm%6C", "/about"),
            ("/index.html", "/"),
            ("/docs/index.html", "/docs/"),
            ("/docs", "/docs/"),
        ] {
            let response = client.get(target).await;
            assert_eq!((response.status(), response.header("location")), (308, Some(location)), "{target}");
        }
        assert_eq!(client.get("/about/").await.status(), 404);
    });
    play("", prepare, async |scene, _| {
        let mut client = scene.client();
        assert_eq!(client.get("/about").await.status(), 404);
        assert_eq!(client.get("/about.html").await.text(), "about");
    });
}

#[test]
fn the_page_of_an_app_answers_browsers_that_look_for_a_page() {
    let prepare = |root: &Path| {
        write(root, "index.html", "app");
        write(root, ".env", "secret");
    };
    play(", fallback = \"index.html\"", prepare, async |scene, _| {
        let mut client = scene.client();
        const PAGE: &str = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";
        for target in ["/inbox/17", "/users/", "/deep/er/still"] {
            let response = get(&mut client, target, PAGE).await;
            assert_eq!((response.status(), response.text()), (200, "app"), "{target}");
            assert_eq!(response.header("vary"), Some("Accept"));
        }
        for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n", "Accept: image/*\r\n"] {
            assert_eq!(code(&get(&mut client, "/missing.js", accept).await), "file_not_found", "{accept}");
        }
        assert_eq!(get(&mut client, "/.env", PAGE).await.status(), 404, "kept back is not vacant");
        assert_eq!(get(&mut client, "/", PAGE).await.header("vary"), None);
    });
}

#[test]
fn what_is_not_found_has_a_page_of_the_folder() {
    let prepare = |root: &Path| write(root, "404.html", "nothing here");
    play(", not_found = \"404.html\"", prepare, async |scene, _| {
        let mut client = scene.client();
        let response = get(&mut client, "/none", "Range: bytes=0-1\r\nIf-None-Match: *\r\n").await;
        assert_eq!((response.status(), response.text()), (404, "nothing here"));
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("etag"), None);
        let head = client.ask(&request("HEAD", "/none", "")).await;
        assert_eq!((head.status(), head.header("content-length")), (404, Some("12")));
        assert_eq!(client.get("/404.html").await.status(), 200);
    });
    assert_refused_by_name();
}

fn assert_refused_by_name() {
    play(
        "",
        |_| {},
        async |scene, _| {
            let response = scene.client().get("/none").await;
            assert_eq!((response.status(), code(&response)), (404, "file_not_found"));
        },
    );
}

#[test]
fn only_get_and_head_have_answers() {
    play(
        "",
        |root| write(root, "a.txt", "a"),
        async |scene, _| {
            let mut client = scene.client();
            for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
                let response = client.ask(&request(method, "/a.txt", "Content-Length: 0\r\n")).await;
                assert_eq!((response.status(), code(&response)), (405, "method_not_allowed"), "{method}");
                assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"), "{method}");
            }
            let response = client.ask(&request("OPTIONS", "/a.txt", "")).await;
            assert_eq!((response.status(), response.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
            // A body that nobody wants is not taken for the next request.
            client.send("GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.response().await.text(), "a");
            assert_eq!(client.response().await.text(), "a");
        },
    );
}

#[test]
fn fields_of_the_route_stand_in_for_ours() {
    let edits = "response_headers = { set = { cache-control = \"no-cache\" }, remove = [\"etag\", \"last-modified\"], \
                 add = { x-more = \"1\" } }";
    play_route(
        "/",
        "",
        edits,
        |root| write(root, "a.txt", "abc"),
        async |scene, _| {
            let response = scene.client().get("/a.txt").await;
            assert_eq!((response.status(), response.text()), (200, "abc"));
            assert_eq!(response.header("cache-control"), Some("no-cache"));
            assert_eq!((response.header("etag"), response.header("last-modified")), (None, None));
            assert_eq!(response.header("x-more"), Some("1"));
            assert_eq!(response.header("content-length"), Some("3"));
        },
    );
}

#[test]
fn a_change_is_seen_within_a_second_or_so() {
    play(
        "",
        |root| write(root, "a.txt", "old"),
        async |scene, root| {
            let mut client = scene.client();
            for _ in 0..3 {
                assert_eq!(client.get("/a.txt").await.text(), "old");
            }
            let old = client.get("/a.txt").await.header("etag").map(str::to_owned);
            write(root, "new", "new");
            fs::rename(root.join("new"), root.join("a.txt")).expect("replaced");
            scene.pass(Duration::from_millis(1200)).await;
            let response = client.get("/a.txt").await;
            assert_eq!(response.text(), "new");
            assert_ne!(response.header("etag").map(str::to_owned), old);
            fs::remove_file(root.join("a.txt")).expect("removed");
            scene.pass(Duration::from_millis(1200)).await;
            assert_eq!(client.get("/a.txt").await.status(), 404);
            write(root, "a.txt", "again");
            assert_eq!(client.get("/a.txt").await.text(), "again");
        },
    );
}

#[test]
fn a_file_that_was_just_written_is_not_kept() {
    play(
        "",
        |root| write_at(root, "a.txt", "1", SystemTime::now()),
        async |scene, root| {
            let mut client = scene.client();
            assert_eq!(client.get("/a.txt").await.text(), "1");
            write_at(root, "a.txt", "2", SystemTime::now());
            assert_eq!(client.get("/a.txt").await.text(), "2");
        },
    );
}

#[test]
fn a_folder_that_vanishes_is_named_and_may_come_back() {
    play(
        "",
        |root| write(root, "a.txt", "a"),
        async |scene, root| {
            let mut client = scene.client();
            assert_eq!(client.get("/a.txt").await.text(), "a");
            let aside = root.with_extension("aside");
            fs::rename(root, &aside).expect("moved");
            scene.seconds(2).await;
            let response = client.get("/a.txt").await;
            assert_eq!((response.status(), code(&response)), (503, "files_unavailable"));
            assert!(response.header("retry-after").is_some());
            fs::rename(&aside, root).expect("moved back");
            assert_eq!(client.get("/a.txt").await.text(), "a");
        },
    );
}

/// Plays a client that takes the first bytes of a large file, then `change` happens to it, then the rest is read.
fn interrupted(change: impl FnOnce(&Path) + 'static, is_whole: bool) {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().to_owned();
    write(&root, "large.bin", counted(1_000_000));
    scene(format!("[[route]]\nfiles = \"{}\"", root.display())).pipe_bytes(16 * 1024).run(async |scene| {
        let mut client = scene.client();
        client.send(request("GET", "/large.bin", "")).await;
        let head = client.head().await;
        assert_eq!(head.header("content-length"), Some("1000000"));
        let mut body = client.exactly(20_000).await;
        change(&root.join("large.bin"));
        body.extend(client.exactly(980_000).await);
        assert_eq!(body == counted(1_000_000), is_whole);
        assert_eq!(client.has_ended(), !is_whole);
    });
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_is_sent_whole() {
    interrupted(
        |path| {
            fs::write(path.with_extension("new"), "new").expect("a file");
            fs::rename(path.with_extension("new"), path).expect("replaced");
        },
        true,
    );
    interrupted(|path| fs::remove_file(path).expect("removed"), true);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_cuts_the_connection() {
    interrupted(
        |path| File::options().write(true).open(path).expect("the file").set_len(500_000).expect("shorter"),
        false,
    );
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), "large.bin", counted(1_000_000));
    write(folder.path(), "small.bin", counted(60_000));
    for name in ["large.bin", "small.bin"] {
        scene(format!("[[route]]\nfiles = \"{}\"", folder.path().display())).pipe_bytes(4096).run(
            async |scene| {
                let mut client = scene.client();
                client.send(request("GET", &format!("/{name}"), "")).await;
                for _ in 0..3 {
                    scene.seconds(25).await;
                    client.read().await;
                }
                assert!(!client.is_released(), "it takes some");
                scene.seconds(60).await;
                assert!(client.is_released());
            },
        );
    }
}

#[test]
fn explain_says_which_file_it_is_and_why_none() {
    let prepare = |root: &Path| {
        write(root, "a.txt", "a");
        write(root, ".env", "secret");
        symlink("/etc/passwd", root.join("out")).expect("a link");
    };
    play("", prepare, async |scene, _| {
        let live = scene.shared.live();
        for (method, path, expected) in [
            ("GET", "/a.txt", "200, file a.txt of"),
            ("GET", "/none", "nothing is there"),
            ("GET", "/.env", "kept back"),
            ("GET", "/out", "a link leads out"),
            ("POST", "/a.txt", "GET, HEAD, OPTIONS"),
        ] {
            let url = format!("http://a{path}");
            let asked = tidegate_proxy::explain::Asked::read(method, &url, &[]).expect("a url");
            let steps = tidegate_proxy::explain::explain(&live, Some(&scene.shared), &asked);
            let last = steps.last().expect("a step");
            assert!(last.stage == "answer" && last.text.contains(expected), "{path}: {}", last.text);
        }
    });
}
