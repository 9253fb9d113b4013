//! Waiting rooms: who comes in, who waits, and what those who wait are shown.
//!
//! The line itself is [`traffic::room`]. Here are its cookie, its page, and the file that lets it outlive a restart.

mod keep;
mod page;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::Action;
use traffic::Refusal;
use traffic::client::Proto;
use traffic::room::{self, Answer, Key, Token, Turn, Visit};
use wire::encode::field;

use crate::core::{Core, unix_ms};
use crate::exchange::{Asker, Exchange};
use crate::live::Live;
use crate::request_key;
use keep::Kept;
pub use page::{POLICY, members, write as page};

/// Requests with this field and this value only ask how it stands; the page for those who wait does.
const LOOK: (&str, &[u8]) = ("tidegate-room", b"look");

/// How long a browser keeps the cookie of a place in line.
const PLACE_AGE: Duration = Duration::from_hours(24);

/// A room, alive. A reload takes its line over.
#[derive(Debug)]
pub struct Room {
    /// What was configured.
    pub plan: config::Room,
    /// The line in front of it, and who is inside.
    pub line: Arc<room::Room>,
    key: Key,
    cookie: String,
    kept: Arc<Kept>,
}

impl Room {
    /// The room of a plan: the one of this name that there is already, or one that goes on where the last process left
    /// it, or a new one.
    pub fn build(plan: config::Room, state: Option<&Path>, before: Option<&Self>) -> Self {
        let now_ms = unix_ms(SystemTime::now());
        let (line, kept) = if let Some(before) = before {
            (Arc::clone(&before.line), Arc::clone(&before.kept))
        } else {
            let (kept, saved) = Kept::open(state, &plan.name);
            (Arc::new(room::Room::new(&plan.settings, saved, now_ms)), Arc::new(kept))
        };
        let secret = plan.secret.as_deref().map_or(&kept.secret[..], str::as_bytes);
        let key = Key::new(secret, &plan.name);
        let cookie = format!("tidegate-room-{}", plan.name);
        Self { plan, line, key, cookie, kept }
    }

    /// Writes down what a restart has to know, if it has changed. The last time, exactly.
    pub fn keep(&self, is_last: bool) {
        self.kept.save(&self.line.saved(), is_last);
    }
}

/// What a request is told that only asks.
pub type Told = String;

/// Takes the cookies of all rooms but `own` out of a request: browsers send them to every route of the host, and neither
/// the app nor the cache is to know of a room.
pub fn hide(live: &Live, own: Option<usize>, exchange: &mut Exchange) {
    let Exchange { head, input, lines, .. } = exchange;
    for (at, room) in live.rooms.iter().enumerate() {
        if own != Some(at) && head.headers.take_cookie(input, room.cookie.as_bytes(), lines) {
            lines.clear();
        }
    }
}

/// Lets a request in, or finds it a place in line. Whoever only asks how it stands is told.
pub fn enter(
    core: &Core,
    live: &Live,
    route: &config::Route,
    room: &Room,
    exchange: &mut Exchange,
) -> Result<Option<Told>, Refusal> {
    // Neither the app nor the cache knows of the room.
    let mut cookie = std::mem::take(&mut exchange.lines);
    let Exchange { head, input, .. } = exchange;
    let has_cookie = head.headers.take_cookie(input, room.cookie.as_bytes(), &mut cookie);
    let visit = Visit {
        now_ms: core.unix_ms(),
        cookie: has_cookie.then_some(&cookie[..]),
        client: client(exchange.asker),
        is_open: is_open(live, route),
        looks: exchange.header(LOOK.0) == Some(LOOK.1),
    };
    let answer = room.line.visit(&visit, &room.key, &room.plan.settings);
    let looks = visit.looks;
    cookie.clear();
    exchange.lines = cookie;
    match answer {
        Answer::Inside(token) => {
            if let Some(token) = token {
                set_cookie(exchange, room, token, room.plan.settings.ttl);
                // Whoever stores this answer must not give the cookie to others.
                exchange.lines.extend_from_slice(b"Cache-Control: no-cache=\"Set-Cookie\"\r\n");
            }
            Ok(looks.then(|| page::told("inside", None)))
        }
        Answer::Ready => Ok(Some(page::told("ready", None))),
        Answer::Wait(turn) => {
            if let Some(token) = turn.token {
                set_cookie(exchange, room, token, PLACE_AGE);
            }
            if looks {
                return Ok(Some(page::told("waiting", Some(&turn))));
            }
            exchange.retry_after = Some(retry_after_s(&turn, &room.plan.settings));
            exchange.turn = Some(turn);
            Err(Refusal::WaitingRoom)
        }
    }
}

/// When a program had best ask again: when its turn has come, and before it is over.
fn retry_after_s(turn: &Turn, settings: &room::Settings) -> u32 {
    let latest = settings.hold / 2;
    turn.wait.max(turn.poll).min(latest).as_secs().max(1) as u32
}

/// Whether the app takes people: nobody is called while its breaker is open.
fn is_open(live: &Live, route: &config::Route) -> bool {
    let Action::Upstream(index) = route.action else { return true };
    let upstream = &live.upstreams[index];
    upstream.plan.breaker.is_none() || upstream.breaker.is_closed()
}

/// The client that a cookie is bound to, as limits know it: its address, of IPv6 the network.
fn client(asker: Option<Asker>) -> u64 {
    asker.map_or_else(|| room::hash(b""), |asker| room::hash(&request_key::address(asker.ip)))
}

fn set_cookie(exchange: &mut Exchange, room: &Room, token: Token, age: Duration) {
    let is_secure = exchange.asker.and_then(|asker| asker.proto) == Some(Proto::Https);
    let value = format!(
        "{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{}",
        room.cookie,
        token.as_str(),
        age.as_secs(),
        if is_secure { "; Secure" } else { "" }
    );
    field(&mut exchange.lines, b"Set-Cookie", value.as_bytes());
}

/// The room in words, for whoever asks what would be done.
pub fn explain(room: &Room, now_ms: Option<u64>) -> String {
    let config::Room { name, settings, .. } = &room.plan;
    let mut text = format!("waiting room {name}: {} a second come in", settings.rate);
    if let Some(most) = settings.capacity {
        text = format!("{text}, at most {most} are inside");
    }
    if let Some(now_ms) = now_ms {
        let reading = room.line.reading(now_ms, settings);
        text = format!("{text}; now {} wait and {} are inside", reading.waiting, reading.inside);
    }
    text
}
