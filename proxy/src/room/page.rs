//! What those who wait are shown: a page for people, a few numbers for programs.

use std::fmt::Write as _;
use std::time::Duration;

use traffic::room::Turn;

use super::Room;

/// Tidegate's own page.
const PAGE: &str = include_str!("page.html");

/// What Tidegate's own page may do, whatever the route allows its pages.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                          connect-src 'self'; base-uri 'none'; form-action 'none'";

/// The page for somebody who waits. True: it is Tidegate's own.
pub fn write(room: &Room, turn: &Turn) -> (String, bool) {
    let template = room.plan.page.as_deref().unwrap_or(PAGE);
    let mut out = String::with_capacity(template.len() + 64);
    let mut left = template;
    while let Some((before, rest)) = left.split_once("{{") {
        out.push_str(before);
        let Some((name, behind)) = rest.split_once("}}") else {
            left = rest;
            break;
        };
        // Writing to a String does not fail.
        let _ = match name {
            "position" => write!(out, "{}", turn.position),
            "wait" => write!(out, "{}", wait(turn.wait)),
            "wait_seconds" => write!(out, "{}", turn.wait.as_secs()),
            "poll_seconds" => write!(out, "{}", poll_s(turn)),
            "room" => write!(out, "{}", room.plan.name),
            // The configuration has been checked for others.
            _ => Ok(()),
        };
        left = behind;
    }
    out.push_str(left);
    (out, room.plan.page.is_none())
}

/// What the page is told that asks how it stands.
pub fn told(state: &str, turn: Option<&Turn>) -> String {
    let mut out = format!("{{\"state\":\"{state}\"");
    if let Some(turn) = turn {
        members(&mut out, turn);
        let (wait, poll_s) = (wait(turn.wait), poll_s(turn));
        // Writing to a String does not fail.
        let _ = write!(out, ",\"wait\":\"{wait}\",\"poll_seconds\":{poll_s}");
    }
    out.push_str("}\n");
    out
}

/// The members of an object that tell a turn.
pub fn members(out: &mut String, turn: &Turn) {
    // Writing to a String does not fail.
    let _ = write!(out, ",\"position\":{},\"wait_seconds\":{}", turn.position, turn.wait.as_secs());
    if let Some(why) = turn.invalid {
        let _ = write!(out, ",\"cookie\":\"{}\"", why.code());
    }
}

fn poll_s(turn: &Turn) -> u64 {
    turn.poll.as_secs().max(1)
}

/// A time as people say it.
fn wait(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match minutes {
        0 | 1 => "under a minute".to_owned(),
        2..60 => format!("{minutes} minutes"),
        _ if minutes < 90 => "about an hour".to_owned(),
        _ => format!("{} hours", (minutes + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic::room::{Invalid, Settings};

    const TURN: Turn = Turn {
        position: 1_234,
        wait: Duration::from_secs(125),
        poll: Duration::from_secs(20),
        token: None,
        invalid: Some(Invalid::Forged),
    };

    fn room(page: Option<&str>) -> Room {
        let settings = Settings {
            rate: 50.0,
            capacity: None,
            ttl: Duration::from_mins(5),
            hold: Duration::from_mins(2),
            is_bound: true,
        };
        let plan = config::Room {
            name: "main".to_owned(),
            settings,
            is_for_surges: false,
            secret: None,
            page: page.map(Into::into),
        };
        Room::build(plan, None, None)
    }

    #[test]
    fn every_placeholder_of_a_page_is_filled_in() {
        let (page, is_own) = write(&room(None), &TURN);
        assert!(is_own && page.contains("1234") && page.contains("3 minutes"));
        assert!(!page.contains("{{") && !page.contains("}}"), "{page}");
        let own = "<p>{{position}} {{wait}} {{wait_seconds}} {{poll_seconds}} {{room}}";
        assert_eq!(write(&room(Some(own)), &TURN), ("<p>1234 3 minutes 125 20 main".to_owned(), false));
        assert_eq!(write(&room(Some("a {{ b")), &TURN).0, "a  b");
    }

    #[test]
    fn what_programs_are_told_is_json() {
        assert_eq!(
            told("waiting", Some(&TURN)),
            "{\"state\":\"waiting\",\"position\":1234,\"wait_seconds\":125,\"cookie\":\"forged\",\
             \"wait\":\"3 minutes\",\"poll_seconds\":20}\n"
        );
        assert_eq!(told("ready", None), "{\"state\":\"ready\"}\n");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0, 60, 61, 3_540, 3_600, 5_400, 7_300].map(|seconds| wait(Duration::from_secs(seconds)));
        assert_eq!(
            said,
            [
                "under a minute",
                "under a minute",
                "2 minutes",
                "59 minutes",
                "about an hour",
                "2 hours",
                "2 hours"
            ]
        );
    }
}
