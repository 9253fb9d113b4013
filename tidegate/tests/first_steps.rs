//! What a person does on the first day: run it, check a file, look at it, ask it, change it, stop it.

#[path = "support/mod.rs"]
mod stage;

use std::process::Stdio;

use serde_json::Value;
use stage::{Heard, Origin, Said, Tidegate, ask, endpoints, free_address, front, get, tidegate, wait_until};

fn hello() -> Origin {
    Origin::answering(|heard| Heard::ok(format!("hello, you sent {}", heard.line)))
}

fn start(origin: &Origin) -> Tidegate {
    Tidegate::start(&front("", &endpoints(&[origin.address])))
}

/// Writes a configuration that is only checked, never run.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn two_addresses_are_enough_to_run() {
    let origin = hello();
    let (listen, admin) = (free_address(), free_address());
    let mut command = tidegate();
    command.args(["run", "--to", &origin.address.to_string(), "--listen", &listen.to_string()]);
    command.args(["--admin", &admin.to_string()]);
    let running = Tidegate::spawn(command, listen, admin, tempfile::tempdir().unwrap());

    assert_eq!(get(listen, "/first").unwrap().text(), "hello, you sent GET /first HTTP/1.1");
    running.wait_for_log(&format!("listening on http://{listen} → {}", origin.address));
    let reloaded = running.ask(&["reload"]);
    assert_eq!((reloaded.code, reloaded.err.as_str()), (0, ""));
}

#[test]
fn the_file_of_this_folder_is_run_when_none_is_named() {
    let origin = hello();
    let running = Tidegate::start_by(&front("", &endpoints(&[origin.address])), |config| {
        let mut command = tidegate();
        command.arg("run").current_dir(config.parent().unwrap());
        command
    });
    assert_eq!(get(running.address, "/").unwrap().status, 200);
}

#[test]
fn a_missing_file_is_said_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = tidegate().arg("run").current_dir(folder.path()).output().unwrap();
    let said = Said::from(output);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("tidegate.toml"), "{}", said.err);
}

#[test]
fn check_says_that_a_good_file_is_good() {
    let (_folder, path) = file(
        "[[listener]]\naddress = \":8080\"\n[upstream.app]\nendpoints = [\"127.0.0.1:3000\"]\n[[route]]\nupstream = \"app\"\n",
    );
    let said = ask(&["check", "-c", &path]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(said.out, format!("{path}: good, 1 listener(s), 1 route(s), 1 upstream(s)\n"));
}

#[test]
fn check_says_all_that_is_wrong_at_once_and_where() {
    let (_folder, path) = file(
        "[server]\nthread = 4\n\n[[listener]]\naddress = \"nowhere\"\n\n[upstream.app]\nendpoints = []\n\n[[route]]\nupstream = \"ap\"\n",
    );
    let said = ask(&["check", "-c", &path]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    for (line, what) in [(2, "threads"), (5, "nowhere"), (7, "no endpoints"), (11, "\"app\"")] {
        assert!(said.err.contains(&format!("site.toml:{line}:")), "line {line} is named in:\n{}", said.err);
        assert!(said.err.contains(what), "{what:?} is named in:\n{}", said.err);
    }
}

#[test]
fn an_unknown_flag_is_refused_with_the_usage() {
    let said = ask(&["run", "--too", "127.0.0.1:3000"]);
    assert_eq!(said.code, 64);
    assert!(said.err.contains("'--too'") && said.err.contains("Usage:"), "{}", said.err);
}

#[test]
fn a_second_tidegate_with_the_same_admin_address_ends_and_says_what_to_do() {
    let origin = hello();
    let first = start(&origin);
    let (listen, to) = (free_address().to_string(), origin.address.to_string());
    let second = ask(&["run", "--to", &to, "--listen", &listen, "--admin", &first.admin.to_string()]);
    assert_eq!(second.code, 1);
    let wanted = format!("cannot listen on {} for admin", first.admin);
    assert!(second.err.contains(&wanted), "{}", second.err);
    assert!(second.err.contains("help: is Tidegate running already?"), "{}", second.err);
    assert_eq!(get(first.address, "/").unwrap().status, 200);
}

#[test]
fn a_second_tidegate_on_the_same_port_takes_no_traffic_from_the_first() {
    let origin = hello();
    let first = start(&origin);
    let second =
        ask(&["run", "--to", "127.0.0.1:9", "--listen", &first.address.to_string(), "--admin", "off"]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains(&format!("cannot listen on {}", first.address)), "{}", second.err);
    assert!(second.err.contains("help: another process listens there"), "{}", second.err);
    for _ in 0..20 {
        assert_eq!(get(first.address, "/").unwrap().status, 200);
    }
}

#[test]
fn status_is_a_table_for_people_and_json_for_programs() {
    let origin = hello();
    let running = start(&origin);
    for _ in 0..3 {
        get(running.address, "/").unwrap();
    }
    let table = running.ask(&["status"]);
    assert_eq!((table.code, table.err.as_str()), (0, ""));
    for wanted in ["app", &origin.address.to_string(), " up "] {
        assert!(table.out.contains(wanted), "{wanted:?} stands in:\n{}", table.out);
    }
    let json = running.ask(&["status", "--json"]);
    let status: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(status["requests"], 3);
    assert_eq!(status["upstreams"][0]["endpoints"][0]["address"], origin.address.to_string());
    assert_eq!(status["upstreams"][0]["endpoints"][0]["requests"], 3);
    assert_eq!(status["listeners"][0], format!("http://{}", running.address));
}

#[test]
fn commands_say_that_nothing_runs_there() {
    let admin = free_address().to_string();
    for command in
        [&["status"][..], &["reload"], &["drain", "app/127.0.0.1:1"], &["explain", "GET", "http://x/"]]
    {
        let said = ask(&[command, &["--admin", &admin]].concat());
        assert_eq!(said.code, 1, "{command:?}");
        assert!(said.err.contains(&format!("nothing listens on {admin}")), "{command:?}: {}", said.err);
    }
}

#[test]
fn explain_says_the_same_by_a_file_and_by_the_running_process() {
    let origin = hello();
    let text = front("", &endpoints(&[origin.address]))
        + "[[route]]\npath = \"/old/*\"\nredirect = \"https://example.org/new\"\n";
    let running = Tidegate::start(&text);
    for (url, wanted) in [("http://example.org/x", "app"), ("http://example.org/old/x", "redirect")] {
        let live = running.ask(&["explain", "GET", url, "-H", "accept: text/html"]);
        assert_eq!((live.code, live.err.as_str()), (0, ""));
        assert!(live.out.contains(wanted), "{url}:\n{}", live.out);
        let mut command = tidegate();
        command.args(["explain", "GET", url, "-H", "accept: text/html", "-c"]).arg(running.config());
        command.env("LISTEN", running.address.to_string()).env("ADMIN", running.admin.to_string());
        let filed = Said::from(command.output().unwrap());
        assert_eq!((filed.code, filed.out), (0, live.out));
    }
    let said = ask(&["explain", "GET", "not a url", "-c", "/dev/null"]);
    assert_ne!(said.code, 0);
}

#[test]
fn a_drained_endpoint_gets_nothing_new_until_it_is_let_back_in() {
    let (one, two) = (hello(), hello());
    let running = Tidegate::start(&front("", &endpoints(&[one.address, two.address])));
    let name = format!("app/{}", one.address);
    let said = running.ask(&["drain", &name]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(running.state_of(&one.address.to_string()), "draining");
    for _ in 0..10 {
        assert_eq!(get(running.address, "/").unwrap().status, 200);
    }
    assert_eq!(one.accepted(), 0);
    assert!(two.accepted() > 0);

    assert_eq!(running.ask(&["drain", "--undo", &name]).code, 0);
    wait_until("it gets requests again", || {
        get(running.address, "/").unwrap();
        one.accepted() > 0
    });
    let unknown = running.ask(&["drain", "app/127.0.0.1:1"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains(&one.address.to_string()), "those known are named: {}", unknown.err);
}

#[test]
fn a_bad_file_is_refused_at_reload_and_the_old_one_stays_in_force() {
    let (one, two) = (hello(), Origin::answering(|_| Heard::ok("the other")));
    let running = start(&one);
    running.write_config("[server]\nadmin = \"${ADMIN}\"\nnonsense = true\n");
    let refused = running.ask(&["reload"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("nonsense") && refused.err.contains("tidegate.toml:3:"), "{}", refused.err);
    assert!(get(running.address, "/").unwrap().text().starts_with("hello"));
    assert!(running.metric("tidegate_last_reload_successful", "") < 0.5);

    running.write_config(&front("", &endpoints(&[two.address])));
    let applied = running.ask(&["reload"]);
    assert_eq!((applied.code, applied.err.as_str()), (0, ""));
    assert_eq!(get(running.address, "/").unwrap().text(), "the other");
    assert!(running.metric("tidegate_last_reload_successful", "") > 0.5);
}

#[test]
fn completions_manual_and_version_are_printed() {
    let said = ask(&["completions", "bash"]);
    assert_eq!(said.code, 0);
    let mut bash = std::process::Command::new("bash");
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), &said.out).unwrap();
    let parsed = bash.arg("-n").arg(script.path()).stdin(Stdio::null()).status();
    assert!(parsed.is_ok_and(|status| status.success()), "bash reads its completions");
    assert!(said.out.contains("explain"));

    let said = ask(&["man"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains(".TH") && said.out.contains("tidegate"), "{}", said.out);

    assert_eq!(ask(&["--version"]).out, format!("tidegate {}\n", env!("CARGO_PKG_VERSION")));
    let nothing = ask(&[]);
    assert_eq!(nothing.code, 64);
    assert!(nothing.err.contains("Usage:"), "{}", nothing.err);
}
