//! The surge switch of a real process: the command line, what there is to see, and restarts.

#[path = "support/mod.rs"]
mod stage;

use rustix::process::Signal;
use stage::{Tidegate, get, wait_until};

fn config(state: &std::path::Path, surges: &str) -> String {
    format!(
        "[server]\nadmin = \"${{ADMIN}}\"\nthreads = 2\nstate = \"{}\"\n\
         shutdown = {{ lame_duck = \"0s\", drain = \"1s\" }}\n[[listener]]\naddress = \"${{LISTEN}}\"\n\
         [[route]]\nrespond = {{ body = \"here\" }}\nlimit = [{{ rate = \"1000/d\" }}]\n{surges}",
        state.display()
    )
}

/// Requests that are let through of three.
fn through(running: &Tidegate) -> usize {
    (0..3).filter(|_| get(running.address, "/").unwrap().status == 200).count()
}

const SALE: &str = "[surge.sale]\nlimits = 0.001\n";

#[test]
fn a_surge_is_switched_on_seen_and_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let running = Tidegate::start(&config(folder.path(), SALE));
    assert_eq!(through(&running), 3);
    assert!(running.metric("tidegate_surge_on", "sale") < 0.5);
    let on = running.ask(&["surge", "on", "--for", "30m"]);
    assert_eq!((on.code, on.out.trim()), (0, "surge sale is on for 1800s: limits times 0.001"));
    assert!(through(&running) <= 1, "one in a day, whatever is left of it");
    assert!((running.metric("tidegate_surge_on", "sale") - 1.0).abs() < 0.5);
    assert!(running.ask(&["status"]).out.contains("\nsurge sale: on for "));
    assert_eq!(running.status()["surges"][0]["profile"], "sale");
    let explained = running.ask(&["explain", "GET", "http://x/"]);
    assert!(explained.out.contains("sale is on for another"), "{}", explained.out);
    let status = running.ask(&["surge", "status"]);
    assert!(
        status.out.starts_with("surge sale: on for ") && status.out.contains(" left; limits"),
        "{status:?}"
    );

    let unknown = running.ask(&["surge", "on", "sael"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("no surge is called \"sael\"; did you mean \"sale\"?"), "{unknown:?}");

    assert_eq!(running.ask(&["surge", "off"]).out.trim(), "surge sale is off");
    assert_eq!(running.ask(&["surge", "off"]).out.trim(), "no surge was on");
    assert_eq!(running.ask(&["surge", "status"]).out.trim(), "surge sale: off; limits times 0.001");
    assert!(running.metric("tidegate_surge_on", "sale") < 0.5);
}

#[test]
fn which_one_has_to_be_said_where_there_are_several() {
    let folder = tempfile::tempdir().unwrap();
    let running = Tidegate::start(&config(folder.path(), &format!("{SALE}[surge.night]\nlimits = 0.5\n")));
    let which = running.ask(&["surge", "on"]);
    assert_eq!((which.code, which.err.trim()), (1, "which surge? there are: sale, night"));
    assert_eq!(running.ask(&["surge", "on", "night"]).code, 0);
    let other = running.ask(&["surge", "on", "sale"]).out;
    assert!(other.starts_with("surge sale is on in place of night until it is switched off"), "{other}");
    running.write_config(&config(folder.path(), ""));
    let reloaded = running.ask(&["reload"]);
    assert!(
        reloaded.out.contains("surge sale is off, for there is no [surge.sale] any more"),
        "{reloaded:?}"
    );
    let none = running.ask(&["surge", "on"]);
    assert!(none.code == 1 && none.err.contains("add [surge.NAME]"), "{none:?}");
}

#[test]
fn a_reload_and_a_restart_keep_it_on_and_its_end_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), SALE);
    let mut running = Tidegate::start(&config);
    assert_eq!(running.ask(&["surge", "on"]).code, 0);
    assert!(running.ask(&["reload"]).out.contains("surge sale is still on"));
    // Killed without a word.
    running.signal(Signal::KILL);
    running.wait_for_end();
    let mut again = Tidegate::start(&config);
    again.wait_for_log("surge sale is on, as the last process has left it");
    assert!(through(&again) <= 1);
    assert_eq!(again.ask(&["surge", "on", "--for", "1s"]).code, 0);
    wait_until("it ends by itself", || again.metric("tidegate_surge_on", "sale") < 0.5);
    assert_eq!(again.ask(&["surge", "on"]).code, 0);
    again.signal(Signal::TERM);
    again.wait_for_end();
    // Without its profile it is over for good.
    let mut third = Tidegate::start(&config.replace(SALE, ""));
    third.wait_for_log("surge sale is off, for there is no [surge.sale] any more");
    third.signal(Signal::TERM);
    third.wait_for_end();
    let fourth = Tidegate::start(&config);
    assert!(fourth.metric("tidegate_surge_on", "sale") < 0.5);
}
