//! `tidegate load` as people use it: flags, exit codes, reports, processes, and what happens when something goes wrong.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use support::{Log, Origin, Said, ask, end, send, tidegate, wait_until};
use tempfile::TempDir;

/// An app that answers everything with this status.
fn app(status: &'static str) -> Origin {
    Origin::answering(move |_| format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello").into_bytes())
}

/// An app that answers everything well, and counts.
fn counting() -> (Origin, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let origin = Origin::answering(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
    });
    (origin, count)
}

fn url(origin: &Origin) -> String {
    format!("http://{}/", origin.address)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("a path in UTF-8").to_owned()
}

fn json(path: &str) -> Value {
    let text = std::fs::read_to_string(path).expect("the report was written");
    serde_json::from_str(&text).expect("the report is JSON")
}

/// A run in the background; killed when dropped.
struct Running {
    child: Child,
    out: Log,
    log: Log,
}

impl Running {
    /// Starts `tidegate load` and waits until load is made.
    fn start(args: &[&str]) -> Self {
        let mut command = tidegate();
        command.arg("load").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("tidegate can be started");
        let out = Log::of(child.stdout.take().expect("standard output is piped"));
        let log = Log::of(child.stderr.take().expect("standard error is piped"));
        let this = Self { child, out, log };
        wait_until("the run goes on", || this.log.text().contains("1s/"));
        this
    }

    /// The processes that it started.
    fn members(&self) -> Vec<u32> {
        let id = self.child.id();
        let mut members = Vec::new();
        for thread in std::fs::read_dir(format!("/proc/{id}/task")).expect("it runs") {
            let children = thread.expect("a thread").path().join("children");
            let text = std::fs::read_to_string(children).unwrap_or_default();
            members.extend(text.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        members
    }

    /// Waits for its end: exit code and what it printed.
    fn finish(mut self) -> (Option<i32>, String) {
        let mut ended = None;
        wait_until("the run ends", || {
            ended = self.child.try_wait().expect("a child can be waited for");
            ended.is_some()
        });
        let out = self.out.clone();
        wait_until("the verdict is printed", || out.text().contains("inconclusive"));
        (ended.and_then(|status| status.code()), out.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

#[test]
fn a_run_that_holds_ends_with_0_and_writes_every_report() {
    let (origin, folder) = (app("200 OK"), folder());
    let [to_json, to_html, to_junit] = ["a.json", "a.html", "a.xml"].map(|name| path(&folder, name));
    let files = ["--json", &to_json, "--html", &to_html, "--junit", &to_junit];
    let said = ask(&[&["load", &url(&origin), "--rate", "100/s", "--for", "1s"], &files[..]].concat());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("pass: the threshold holds"), "{}", said.out);
    let report = json(&to_json);
    assert_eq!((report["requests"].as_u64(), report["model"].as_str()), (Some(100), Some("open")));
    assert!(report["achieved_rate"].as_f64().is_some_and(|rate| (90.0..=100.0).contains(&rate)), "{report}");
    assert!(std::fs::read_to_string(to_html).is_ok_and(|page| page.starts_with("<!doctype html>")));
    assert!(std::fs::read_to_string(to_junit).is_ok_and(|page| page.contains("<testsuite")));
}

#[test]
fn a_run_that_does_not_hold_ends_with_1_and_says_why() {
    let origin = app("500 Internal Server Error");
    let said = ask(&["load", &url(&origin), "-n", "20", "-c", "2", "--quiet"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    assert!(said.out.contains("success >= 99.9% does not hold"), "{}", said.out);
}

#[test]
fn ab_flags_ask_so_often_over_so_many_connections() {
    let ((origin, count), folder) = (counting(), folder());
    let report = path(&folder, "a.json");
    let said = ask(&["load", "-n", "200", "-c", "5", &url(&origin), "--json", &report]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!((count.load(Ordering::Relaxed), origin.accepted()), (200, 5));
    assert_eq!(json(&report)["model"], "closed");
}

#[test]
fn processes_together_ask_exactly_as_often_as_they_are_told() {
    let ((origin, count), folder) = (counting(), folder());
    let report = path(&folder, "a.json");
    let flags =
        ["-n", "301", "-c", "6", "--processes", "3", "--threads", "6", "--seed", "7", "--json", &report];
    let said = ask(&[&["load", &url(&origin)], &flags[..]].concat());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!((count.load(Ordering::Relaxed), origin.accepted()), (301, 6));
    let report = json(&report);
    assert_eq!((&report["requests"], &report["success"]), (&301.into(), &1.0.into()));
    assert_eq!((&report["generator"]["processes"], &report["generator"]["threads"]), (&3.into(), &6.into()));
    assert!(
        report["generator"]["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 3_000_000),
        "{report}"
    );
}

#[test]
fn more_connections_than_descriptors_get_more_processes_and_a_note() {
    let ((origin, count), folder) = (counting(), folder());
    let report = path(&folder, "a.json");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 200 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tidegate"), "load"]);
    command.args([&url(&origin), "-n", "600", "-c", "300", "--json", &report]);
    let said = Said::from(command.stdin(Stdio::null()).output().expect("a shell can be started"));
    assert_eq!((said.code, count.load(Ordering::Relaxed)), (0, 600), "{}{}", said.out, said.err);
    assert!(said.err.contains("3 processes for 300 connections"), "{}", said.err);
    assert_eq!(json(&report)["generator"]["processes"], 3);
}

#[test]
fn processes_keep_to_one_schedule() {
    let (origin, count) = counting();
    let said = ask(&["load", &url(&origin), "--rate", "100/s", "--for", "1s", "--processes", "2"]);
    assert_eq!((said.code, count.load(Ordering::Relaxed)), (0, 100), "{}{}", said.out, said.err);
}

#[test]
fn ctrl_c_ends_the_run_and_the_reports_are_written() {
    let (origin, folder) = (app("200 OK"), folder());
    let report = path(&folder, "a.json");
    for processes in ["1", "2"] {
        let flags = ["--rate", "50/s", "--for", "10m", "--processes", processes, "--json", &report];
        let running = Running::start(&[&[url(&origin).as_str()], &flags[..]].concat());
        send(running.child.id(), Signal::INT);
        let (code, out) = running.finish();
        assert_eq!(code, Some(2), "{out}");
        let report = json(&report);
        assert_eq!(report["verdict"], "inconclusive");
        assert!(report["reason"].as_str().is_some_and(|why| why.contains("interrupted after")), "{report}");
        assert!(report["requests"].as_u64().is_some_and(|requests| requests > 10), "{report}");
    }
}

#[test]
fn a_process_that_is_killed_is_named_and_the_run_goes_on_to_its_end() {
    let (origin, folder) = (app("200 OK"), folder());
    let report = path(&folder, "a.json");
    let flags = ["--rate", "50/s", "--for", "4s", "--processes", "2", "--json", &report];
    let running = Running::start(&[&[url(&origin).as_str()], &flags[..]].concat());
    let members = running.members();
    assert_eq!(members.len(), 2);
    send(members[0], Signal::KILL);
    let (code, out) = running.finish();
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("of the generator was lost: it ended before the run did, signal: 9"), "{out}");
    let timeline = json(&report)["timeline"].as_array().map_or(0, Vec::len);
    assert!(timeline >= 4, "the other process went on: {timeline} s");
}

#[test]
fn processes_end_with_the_one_that_leads_them() {
    let origin = app("200 OK");
    let running = Running::start(&[&url(&origin), "--rate", "50/s", "--for", "10m", "--processes", "2"]);
    let members = running.members();
    assert_eq!(members.len(), 2);
    send(running.child.id(), Signal::KILL);
    wait_until("no member is left", || !members.iter().any(|id| is_alive(*id)));
}

/// Whether a process runs. One that has ended and that nobody has waited for does not.
fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_target_that_is_not_this_machine_is_refused() {
    // An address for documentation; nothing is sent there.
    let said = ask(&["load", "http://192.0.2.1/", "-n", "1"]);
    assert_eq!((said.code, said.out.as_str()), (64, ""));
    assert!(said.err.contains("--i-own-this-target"), "{}", said.err);
}

#[test]
fn mistakes_on_the_command_line_end_with_64_and_a_remedy() {
    let refused = |args: &[&str], remedy: &str| {
        let said = ask(&[&["load"], args].concat());
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{args:?}: {}", said.err);
        assert!(said.err.contains(remedy), "{args:?}: {}", said.err);
    };
    refused(&["127.0.0.1:1"], "http://127.0.0.1:1");
    refused(&["http://127.0.0.1:1/", "--rate", "fast"], "1000/s");
    refused(&["http://127.0.0.1:1/", "--threshold", "p95 < soon"], "--threshold");
    refused(&["http://127.0.0.1:1/", "--closed", "--rate", "1/s"], "--closed");
    refused(&["http://127.0.0.1:1/", "--body", "@/nowhere/at/all"], "cannot read /nowhere/at/all");
    refused(&["http://127.0.0.1:1/", "--find-capacity", "--for", "1s"], "at least 2s");
    refused(&["/nowhere/scenario.toml"], "cannot read /nowhere/scenario.toml");
    refused(&["http://127.0.0.1:1/", "--part", "1/2"], "--processes");
    refused(&[], "Usage:");
}

#[test]
fn a_mistake_in_a_scenario_is_shown_where_it_is() {
    let folder = folder();
    let scenario = path(&folder, "scenario.toml");
    std::fs::write(&scenario, "target = \"http://127.0.0.1:1\"\n[[stage]]\nrat = \"5/s\"\n").expect("a file");
    let said = ask(&["load", &scenario]);
    assert_eq!((said.code, said.out.as_str()), (64, ""));
    assert!(said.err.contains("scenario.toml:3:1") && said.err.contains("did you mean"), "{}", said.err);

    let said = ask(&["load", &scenario, "--rate", "5/s"]);
    assert_eq!(said.code, 64);
    assert!(said.err.contains("--rate: a scenario says this itself"), "{}", said.err);
}

#[test]
fn a_scenario_is_carried_out_by_processes_with_further_thresholds() {
    let ((origin, count), folder) = (counting(), folder());
    let scenario = path(&folder, "scenario.toml");
    let text = format!(
        "target = \"http://{}\"\n[[stage]]\nrate = \"60/s\"\nfor = \"1s\"\n[[step]]\nname = \"home\"\npath = \"/\"\n",
        origin.address
    );
    std::fs::write(&scenario, text).expect("a file");
    let said = ask(&["load", &scenario, "--processes", "2", "--threshold", "requests == 60"]);
    assert_eq!((said.code, count.load(Ordering::Relaxed)), (0, 60), "{}{}", said.out, said.err);
    for threshold in ["success >= 99.9%", "requests == 60"] {
        assert!(said.out.contains(threshold), "{}", said.out);
    }
    let said = ask(&["load", &scenario, "--threshold", "p95(hom) < 1s"]);
    assert_eq!(said.code, 64);
    assert!(said.err.contains("did you mean \"home\"?"), "{}", said.err);
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_run() {
    let (origin, folder) = (app("200 OK"), folder());
    let good = path(&folder, "a.json");
    let said = ask(&["load", &url(&origin), "-n", "1", "--json", &good, "--html", "/nowhere/at/all.html"]);
    assert_eq!((said.code, origin.accepted()), (64, 0));
    assert!(said.err.contains("cannot write /nowhere/at/all.html"), "{}", said.err);
    assert!(!Path::new(&good).exists(), "no empty report is left behind");
}

#[test]
fn reports_are_merged_and_compared() {
    let (origin, folder) = (app("200 OK"), folder());
    let [a, b, both] = ["a.json", "b.json", "both.json"].map(|name| path(&folder, name));
    for report in [&a, &b] {
        let said = ask(&["load", &url(&origin), "-n", "50", "-c", "2", "--json", report]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    }
    let merged = ask(&["load", "merge", &a, &b, "--json", &both]);
    assert_eq!(merged.code, 0, "{}{}", merged.out, merged.err);
    assert_eq!(json(&both)["requests"], 100);
    let compared = ask(&["load", "compare", &a, &b]);
    assert_eq!(compared.code, 2, "{}{}", compared.out, compared.err);
    assert!(compared.out.contains("too short"), "{}", compared.out);
    let Said { code, err, .. } = ask(&["load", "compare", &a, "/nowhere/b.json"]);
    assert_eq!(code, 64);
    assert!(err.contains("cannot read /nowhere/b.json"), "{err}");
}

#[test]
fn an_app_that_fails_at_every_rate_has_no_capacity() {
    let (origin, folder) = (app("503 Service Unavailable"), folder());
    let report = path(&folder, "a.json");
    let flags = ["--find-capacity", "--rate", "1/s", "--for", "2s", "--json", &report];
    let said = ask(&[&["load", &url(&origin)], &flags[..]].concat());
    let capacity = &json(&report)["capacity"];
    let trials = capacity["trials"].as_array().expect("trials are listed");
    assert_eq!(trials.len(), 2, "the lowest rate is tried twice: {capacity}");
    // Where the machine is so busy that the generator was late both times, nobody knows.
    let is_known = trials.iter().any(|trial| trial["trial"] == "failed");
    let (code, found) = if is_known { (1, "none") } else { (2, "unknown") };
    assert_eq!((said.code, capacity["found"].as_str()), (code, Some(found)), "{}{}", said.out, said.err);
    assert!(said.out.contains(&format!("capacity: {found}")), "{}", said.out);
}
