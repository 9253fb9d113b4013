//! A waiting room in front of a real process: people wait on two threads, restarts keep their places, and what there is
//! to see is seen.

#[path = "support/mod.rs"]
mod stage;

use rustix::process::Signal;
use stage::{Response, Tidegate, request};

fn config(state: &std::path::Path) -> String {
    format!(
        "[server]\nadmin = \"${{ADMIN}}\"\nthreads = 2\nstate = \"{}\"\n\
         shutdown = {{ lame_duck = \"0s\", drain = \"1s\" }}\n[[listener]]\naddress = \"${{LISTEN}}\"\n\
         [[route]]\nrespond = {{ body = \"inside\" }}\nwaiting_room = {{ rate = \"10/h\" }}\n",
        state.display()
    )
}

fn ask(running: &Tidegate, cookie: &str) -> Response {
    let fields = [("Cookie", cookie), ("Accept", "application/json")];
    request(running.address, "GET", "/", &fields[usize::from(cookie.is_empty())..], b"").unwrap()
}

fn cookie(answer: &Response) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn position(answer: &Response) -> u64 {
    let text = answer.text();
    let value = &text[text.find("\"position\":").unwrap_or_else(|| panic!("{text}")) + 11..];
    value[..value.find([',', '}']).unwrap()].parse().unwrap()
}

#[test]
fn a_restart_keeps_every_place_and_whoever_is_inside() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut running = Tidegate::start(&config);
    let inside = cookie(&ask(&running, ""));
    let line: Vec<String> = (1..=20)
        .map(|place| {
            let told = ask(&running, "");
            assert_eq!((told.status, position(&told)), (503, place));
            cookie(&told)
        })
        .collect();
    assert_eq!(ask(&running, &inside).text(), "inside");
    assert!((running.metric("tidegate_room_waiting", "main") - 20.0).abs() < 0.5);
    assert_eq!(running.status()["rooms"][0]["waiting"], 20);
    assert!(running.ask(&["status"]).out.contains("waiting room main: 20 in line"));
    running.signal(Signal::TERM);
    running.wait_for_end();

    let mut again = Tidegate::start(&config);
    assert_eq!(ask(&again, &inside).text(), "inside");
    assert_eq!(position(&ask(&again, &line[19])), 20);
    assert_eq!(position(&ask(&again, &line[4])), 5);
    assert_eq!(position(&ask(&again, "")), 21);
    // Killed without a word, it may forget that somebody came, and nobody's place.
    again.signal(Signal::KILL);
    again.wait_for_end();
    let third = Tidegate::start(&config);
    assert_eq!(ask(&third, &inside).text(), "inside");
    assert_eq!(position(&ask(&third, &line[4])), 5);
    assert!(position(&ask(&third, "")) > 20);
}
