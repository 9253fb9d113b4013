//! The access log on a real disk: what stands in it, how it is rotated, and that a full disk harms nobody.

#[path = "support/mod.rs"]
mod stage;

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use stage::{Connection, Heard, Origin, Tidegate, endpoints, front, get, request, wait_until};

fn start(origin: &Origin, log: &str) -> Tidegate {
    Tidegate::start(&front(&format!("access_log = {log}"), &endpoints(&[origin.address])))
}

fn well() -> Origin {
    Origin::answering(|heard| match heard.line.split(' ').nth(1) {
        Some("/missing") => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => Heard::ok("well"),
    })
}

/// The lines of a log once there are so many.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    wait_until(&format!("{count} lines in {}", path.display()), || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // A line that is still being written has no end yet.
        lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect();
        lines.len() >= count
    });
    lines
}

#[test]
fn a_json_line_tells_all_about_a_request() {
    let origin = well();
    let running = start(&origin, "{ path = \"${FOLDER}/access.log\" }");
    let mut connection = Connection::open(running.address).unwrap();
    let headers =
        [("Host", "shop.example"), ("User-Agent", "a \"quoted\" \u{fc}ser"), ("Referer", "http://from/")];
    connection.request("POST", "/buy?item=1", &headers, b"0123456789").unwrap();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").unwrap();
    assert_eq!(connection.response(false).unwrap().status, 400);

    let lines = lines(&running.file("access.log"), 2);
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    for (key, wanted) in [
        ("end", "complete"),
        ("method", "POST"),
        ("host", "shop.example"),
        ("target", "/buy?item=1"),
        ("version", "HTTP/1.1"),
        ("client", "127.0.0.1"),
        ("route", "/"),
        ("upstream", "app"),
        ("endpoint", &origin.address.to_string()),
        ("referer", "http://from/"),
        ("user_agent", "a \"quoted\" \u{fc}ser"),
    ] {
        assert_eq!(line[key], wanted, "{key} in {line}");
    }
    for (key, wanted) in [("status", 200), ("tries", 1), ("received_bytes", 10)] {
        assert_eq!(line[key], wanted, "{key} in {line}");
    }
    assert_eq!(line["reused"], false);
    assert!(line["sent_bytes"].as_u64().unwrap() > 40, "{line}");
    for key in ["total_ms", "held_ms", "connect_ms", "wait_ms"] {
        assert!(line[key].as_f64().is_some_and(|ms| (0.0..60_000.0).contains(&ms)), "{key} in {line}");
    }
    assert!(line["total_ms"].as_f64() >= line["wait_ms"].as_f64(), "{line}");
    assert_eq!(line["request_id"].as_str().unwrap().len(), 32);
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");

    let refused: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!((&refused["status"], &refused["end"]), (&400.into(), &"client/head".into()));
    assert_eq!(refused["refusal"], "malformed");
    assert_eq!(refused["detail"], "host_repeated", "{refused}");
}

#[test]
fn the_combined_format_is_what_other_tools_read() {
    let origin = well();
    let running = start(&origin, "{ path = \"${FOLDER}/access.log\", format = \"combined\" }");
    request(running.address, "GET", "/a%20b?c", &[("User-Agent", "curl/8"), ("Referer", "http://r/")], b"")
        .unwrap();
    let line = lines(&running.file("access.log"), 1).remove(0);
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("] \"GET /a%20b?c HTTP/1.1\" 200 "), "{line}");
    assert!(line.contains(" \"http://r/\" \"curl/8\" complete "), "{line}");
    assert!(line.ends_with(&format!(" \"/\" \"app\" \"{}\" \"-\"\n", origin.address)), "{line}");
}

#[test]
fn without_a_path_the_log_goes_to_standard_output() {
    let origin = well();
    let running = start(&origin, "{}");
    get(running.address, "/printed").unwrap();
    wait_until("the line is printed", || running.out().ends_with('\n'));
    let line: Value = serde_json::from_str(&running.out()).unwrap();
    assert_eq!(line["target"], "/printed");
}

#[test]
fn sampling_leaves_out_what_is_many_and_keeps_what_is_rare() {
    let origin = well();
    let running =
        start(&origin, "{ path = \"${FOLDER}/access.log\", sample = { \"2xx\" = 0.25, \"4xx\" = 1 } }");
    let mut connection = Connection::open(running.address).unwrap();
    for _ in 0..400 {
        assert_eq!(connection.get("/").unwrap().status, 200);
    }
    for _ in 0..20 {
        assert_eq!(connection.get("/missing").unwrap().status, 404);
    }
    let fate = |fate: &str| running.metric("tidegate_access_log_lines_total", &format!("fate=\"{fate}\""));
    wait_until("every line has met its fate", || fate("written") + fate("sampled_out") > 419.5);
    let lines = lines(&running.file("access.log"), fate("written") as usize);
    let all: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let good: Vec<&Value> = all.iter().filter(|line| line["status"] == 200).collect();
    assert_eq!(all.len() - good.len(), 20, "every 404 is there");
    assert!((40..=160).contains(&good.len()), "{} of 400 at a share of a quarter", good.len());
    assert!(good.iter().all(|line| line["sample"] == 0.25));
}

#[test]
fn a_rotated_log_goes_on_in_a_new_file() {
    let origin = well();
    let running = start(&origin, "{ path = \"${FOLDER}/access.log\" }");
    let (log, old) = (running.file("access.log"), running.file("access.log.1"));
    get(running.address, "/before").unwrap();
    lines(&log, 1);
    std::fs::rename(&log, &old).unwrap();
    get(running.address, "/between").unwrap();
    lines(&old, 2);
    running.signal(Signal::USR1);
    wait_until("the new file is there", || log.exists());
    get(running.address, "/after").unwrap();
    let (old, new) = (lines(&old, 2), lines(&log, 1));
    assert!(old.len() == 2 && old[0].contains("/before") && old[1].contains("/between"), "{old:?}");
    assert!(new.len() == 1 && new[0].contains("/after"), "{new:?}");
}

#[test]
fn what_is_left_of_the_log_is_written_before_the_end() {
    let origin = well();
    let text = front(
        "access_log = { path = \"${FOLDER}/access.log\" }\nshutdown.lame_duck = \"0s\"",
        &endpoints(&[origin.address]),
    );
    let mut running = Tidegate::start(&text);
    for index in 0..50 {
        get(running.address, &format!("/{index}")).unwrap();
    }
    running.signal(Signal::TERM);
    assert_eq!(running.wait_for_end().code(), Some(0));
    let text = std::fs::read_to_string(running.file("access.log")).unwrap();
    assert_eq!(text.lines().count(), 50);
}

#[test]
fn a_full_disk_stops_no_traffic_and_is_told_once() {
    let origin = well();
    let running = start(&origin, "{ path = \"/dev/full\" }");
    let failed = || running.metric("tidegate_access_log_lines_total", "fate=\"failed\"");
    for batch in 1..=3 {
        for _ in 0..20 {
            assert_eq!(get(running.address, "/").unwrap().status, 200);
        }
        wait_until("all of them are counted", || failed() > f64::from(batch * 20) - 0.5);
    }
    let warnings = running.log().lines().filter(|line| line.contains("/dev/full")).count();
    assert_eq!(warnings, 1, "{}", running.log());
}

#[test]
fn a_log_that_cannot_be_opened_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.toml");
    let text =
        front("access_log = { path = \"/no/such/folder/access.log\" }", "endpoints = [\"127.0.0.1:9\"]");
    let text = text.replace("${ADMIN}", "off").replace("${LISTEN}", &stage::free_address().to_string());
    std::fs::write(&file, text).unwrap();
    let said = stage::ask(&["run", "-c", &file.display().to_string()]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("cannot open the access log /no/such/folder/access.log"), "{}", said.err);
}
