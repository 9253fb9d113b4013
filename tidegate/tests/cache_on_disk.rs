//! The cache's tier on disk as a real process has it: killed while it writes, started again, stopped in order, and on a
//! disk that is full.

#[path = "support/mod.rs"]
mod stage;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use stage::{Origin, Tidegate, endpoints, front, get, pause, tidegate, wait_until};
use tempfile::TempDir;

/// What the app answers to a path: its number says how long, and every line names it. Some are large enough to be sent
/// from the disk's own cache.
fn body(path: &str) -> Vec<u8> {
    let number: usize = path.trim_start_matches('/').parse().unwrap_or(0);
    let len = if number.is_multiple_of(20) { 200_000 + number } else { 3_000 + number * 100 };
    let line = format!("{path} is what this is about\n");
    line.bytes().cycle().take(len).collect()
}

/// An app, and how many it answered.
fn app() -> (Origin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = Origin::answering(move |heard| {
        count.fetch_add(1, Ordering::Relaxed);
        let body = body(heard.line.split(' ').nth(1).unwrap_or_default());
        let head = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    });
    (origin, asked)
}

fn config(origin: SocketAddr, folder: &Path) -> String {
    format!(
        "{}cache = true\n[cache]\nmemory = \"1 MiB\"\ndisk = {{ path = \"{}\", size = \"64 MiB\" }}\n",
        front("[server.shutdown]\nlame_duck = \"0s\"", &endpoints(&[origin])),
        folder.display()
    )
}

/// Asks for paths, and counts those that were answered from the cache. Everything has to be right, to the byte.
fn ask(running: &Tidegate, numbers: impl Iterator<Item = usize>) -> usize {
    let mut hits = 0;
    for number in numbers {
        let path = format!("/{number}");
        let answer = get(running.address, &path).expect("an answer");
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body == body(&path), "{path} is wrong");
        hits += usize::from(answer.header("cache-status").is_some_and(|said| said.contains("; hit")));
    }
    hits
}

#[test]
fn a_process_that_is_killed_while_it_writes_leaves_nothing_wrong_behind() {
    let folder = TempDir::new().expect("a folder");
    let (origin, asked) = app();
    let config = config(origin.address, folder.path());
    let mut found = 0;
    for round in 0..5 {
        let mut running = Tidegate::start(&config);
        found += ask(&running, (0..120).map(|number| number + round * 3));
        // In the middle of whatever it does: it has not been waited for.
        let address = running.address;
        let filling = std::thread::spawn(move || {
            // Whoever asks a process that is killed is cut off.
            (1000..2000).take_while(|number| get(address, &format!("/{number}")).is_ok()).count()
        });
        pause(std::time::Duration::from_millis(40 * round as u64));
        running.signal(Signal::KILL);
        running.wait_for_end();
        filling.join().expect("it has ended");
    }
    assert!(found > 200, "{found} of {} were found again", 5 * 120);
    assert!(asked.load(Ordering::Relaxed) > 120);
    let running = Tidegate::start(&config);
    ask(&running, (0..140).chain(1000..1100));
    assert!(running.metric("tidegate_cache_disk_hits_total", "") > 10.0);
    assert!(running.metric("tidegate_cache_disk_faults_total", "") < 1.0);
    let files = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|file| file.unwrap().metadata().unwrap().len());
    assert!(files.sum::<u64>() <= (64 << 20) + 64, "the bound is kept");
}

#[test]
fn what_was_purged_stays_so_when_the_process_is_killed_at_once() {
    let folder = TempDir::new().expect("a folder");
    let (origin, asked) = app();
    let config = config(origin.address, folder.path());
    let mut running = Tidegate::start(&config);
    ask(&running, 1..20);
    running.signal(Signal::TERM);
    assert!(running.wait_for_end().success());
    drop(running);
    let mut running = Tidegate::start(&config);
    assert_eq!(ask(&running, 1..20), 19, "what was in memory was kept at the end");
    assert_eq!(asked.load(Ordering::Relaxed), 19);
    for args in [["--url", "http://example.test/3"], ["--prefix", "http://example.test/1"]] {
        let said = running.ask(&[&["cache", "purge"][..], &args].concat());
        assert_eq!(said.code, 0, "{}", said.err);
    }
    running.signal(Signal::KILL);
    running.wait_for_end();
    drop(running);
    let running = Tidegate::start(&config);
    let explained = running.ask(&["cache", "explain", "http://example.test/2"]).out;
    assert!(explained.contains("stored on disk: 200, 3200 bytes"), "{explained}");
    assert!(explained.contains("hit: answered from here"), "{explained}");
    let explained = running.ask(&["cache", "explain", "http://example.test/3"]).out;
    assert!(explained.contains("nothing is stored for it"), "{explained}");
    let listed = running.ask(&["cache", "list"]).out;
    // What a prefix purges is counted until it is looked for, and is not listed.
    assert!(listed.contains("on disk are 18"), "{listed}");
    let is_listed = |number: usize| {
        let url = format!("http://example.test/{number}");
        listed.lines().any(|line| line.contains("disk") && line.ends_with(&url))
    };
    // 3, and what begins with 1, was purged.
    let wanted = |number: &usize| *number != 3 && !number.to_string().starts_with('1');
    assert_eq!(
        (1..20).filter(|number| is_listed(*number)).collect::<Vec<_>>(),
        (1..20).filter(wanted).collect::<Vec<_>>()
    );
    let status = running.status();
    assert!(status["cache"]["disk"]["entries"].as_u64() > Some(7), "{status}");
    ask(&running, 1..20);
    // 3, and what begins with 1.
    assert_eq!(asked.load(Ordering::Relaxed), 19 + 1 + 11);
}

#[test]
fn a_second_process_is_refused_the_folder_and_told_why() {
    let folder = TempDir::new().expect("a folder");
    let (origin, _) = app();
    let config = config(origin.address, folder.path());
    let first = Tidegate::start(&config);
    let other = TempDir::new().expect("a folder");
    let file = other.path().join("tidegate.toml");
    std::fs::write(&file, &config).expect("a file");
    let check = tidegate()
        .args(["check", "-c"])
        .arg(&file)
        .env("LISTEN", "127.0.0.1:0")
        .env("ADMIN", "127.0.0.1:0")
        .output();
    let check = check.expect("it can be started");
    assert!(check.status.success() && check.stderr.is_empty(), "the setting has an effect");
    let start = |listen: &str| {
        let mut command = tidegate();
        command.args(["run", "-c"]).arg(&file).env("LISTEN", listen).env("ADMIN", "127.0.0.1:0");
        command.output().expect("it can be started")
    };
    let said = start("127.0.0.1:0");
    let text = String::from_utf8_lossy(&said.stderr);
    let wanted = format!("is used by another process, {}\nhelp: stop that one", first.pid());
    assert!(!said.status.success() && text.contains(&wanted), "{text}");
}

/// A small file system of its own, while it lives. `None`: this process may not mount one.
struct Small(TempDir);

impl Small {
    fn new(bytes: u64) -> Option<Self> {
        let folder = TempDir::new().ok()?;
        let size = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        mounted.ok()?.status.success().then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open in it is about to end.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_disk_that_is_full_costs_hits_and_nothing_else() {
    let Some(small) = Small::new(2 << 20) else {
        println!("left out: mounting is for root alone");
        return;
    };
    let (origin, _) = app();
    let config = config(origin.address, small.0.path());
    let running = Tidegate::start(&config);
    for _ in 0..2 {
        ask(&running, 0..200);
    }
    wait_until("the disk is found to be full", || {
        running.metric("tidegate_cache_disk_faults_total", "kind=\"full\"") > 0.0
    });
    assert!(running.log().contains("there is no room"));
    // What is there is given out all the same, and what is purged is purged.
    let said = running.ask(&["cache", "purge", "--all"]);
    assert_eq!(said.code, 0, "{}", said.err);
    ask(&running, 0..60);
}
