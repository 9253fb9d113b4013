//! Waiting rooms: when more people come than an app can take, they wait in a fair line and come in at a rate.
//!
//! ```text
//!                    nobody waits, the rate allows it
//!   (a newcomer) ───────────────────────────────────────────────▶ (inside) ◀─┐ seen again within the lifetime
//!        │                                                          ▲  │ └────┘
//!        │ else: a number         called          comes in time     │  │ not seen for a lifetime
//!        └──────────────▶ (in line) ──▶ (called) ───────────────────┘  └──────▶ (a newcomer)
//!                                          │ does not come
//!                                          └───────────────▶ others come in instead, and its number is worth nothing
//! ```
//!
//! What is known of a person stands in their cookie ([`Token`]). The room knows two numbers, a bit for each of those who
//! were called a moment ago, and counts of those inside; a million who wait cost it nothing. Those inside are let through
//! without its lock, as long as they were seen a moment ago.

mod inside;
mod line;
mod token;

pub use token::{Claim, Invalid, Key, TOKEN_LEN, Token, hash};

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inside::Inside;
use line::{Line, Worth};

/// How a room lets people in.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// People per second.
    pub rate: f64,
    /// Most people inside at once; `None` is no bound.
    pub capacity: Option<u64>,
    /// Who has not been seen for so long has left.
    pub ttl: Duration,
    /// How long those who are called have to come.
    pub hold: Duration,
    /// Whether whoever came in stays bound to the address they came in from.
    pub is_bound: bool,
}

impl Settings {
    /// People who may come in at once: those of a second.
    fn burst(&self) -> f64 {
        self.rate.max(1.0)
    }
}

/// Somebody who comes to the door.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// When, in milliseconds since 1970, by a clock that does not step.
    pub now_ms: u64,
    /// Their cookie.
    pub cookie: Option<&'a [u8]>,
    /// Who they are, by [`hash`].
    pub client: u64,
    /// The app takes people now; while it does not, nobody is called.
    pub is_open: bool,
    /// They only ask how it stands, and do not come in.
    pub looks: bool,
}

/// What becomes of a visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// They are inside. The token replaces theirs, if there is one.
    Inside(Option<Token>),
    /// It is their turn, and they have only looked.
    Ready,
    /// They wait.
    Wait(Turn),
}

/// A place in line, as its holder is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// So many come before them, themselves included.
    pub position: u64,
    /// How long that takes, estimated.
    pub wait: Duration,
    /// When to ask again.
    pub poll: Duration,
    /// Their cookie; `None`: they keep the one that they have.
    pub token: Option<Token>,
    /// Why the cookie that they came with was worth nothing.
    pub invalid: Option<Invalid>,
}

/// What a room has to know after a restart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saved {
    /// The number that is given out next.
    pub next: u64,
    /// The last one called.
    pub called: u64,
    /// The first one of those that are still expected.
    pub expected_from: u64,
    /// How many from there to the last one called came, or are not expected any more.
    pub came: u64,
    /// When the people inside were last seen, in seconds since 1970, and how many.
    pub inside: Vec<(u64, u64)>,
}

/// What a room looks like from outside.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Reading {
    /// People in line, those included who have gone home.
    pub waiting: u64,
    /// People inside.
    pub inside: u64,
    /// How long somebody waits who comes now, estimated.
    pub wait: Duration,
    /// People who came in.
    pub admitted: u64,
    /// Requests that were told to wait.
    pub told: u64,
    /// Cookies that were worth nothing, by [`Invalid`].
    pub invalid: [u64; Invalid::ALL.len()],
}

/// One room, shared by all cores and by all routes that name it. Settings and key are handed in, so that a reload
/// changes them and nobody loses their place.
#[derive(Debug)]
pub struct Room {
    state: Mutex<State>,
    admitted: AtomicU64,
    told: AtomicU64,
    invalid: [AtomicU64; Invalid::ALL.len()],
}

#[derive(Debug)]
struct State {
    line: Line,
    inside: Inside,
}

/// Bounds of the time after which somebody who waits asks again.
const POLL_MS: core::ops::RangeInclusive<u64> = 2_000..=20_000;

impl Room {
    /// An empty room, or one that goes on where another one was left.
    pub fn new(settings: &Settings, saved: Option<Saved>, now_ms: u64) -> Self {
        let mut inside = Inside::new(settings.ttl.as_secs());
        let line = match saved {
            Some(saved) => {
                inside.restore(&saved.inside);
                Line::restored(&saved, now_ms)
            }
            None => Line::new(now_ms),
        };
        Self {
            state: Mutex::new(State { line, inside }),
            admitted: AtomicU64::new(0),
            told: AtomicU64::new(0),
            invalid: Default::default(),
        }
    }

    /// Lets somebody in, or tells them to wait.
    pub fn visit(&self, visit: &Visit<'_>, key: &Key, settings: &Settings) -> Answer {
        let claim = visit.cookie.map(|cookie| key.read(cookie));
        let place = match claim {
            Some(Ok(Claim::Pass { number, client, seen_s })) => {
                match self.stay(visit, (number, client, seen_s), key, settings) {
                    Ok(answer) => return answer,
                    Err(why) => Err(Some(why)),
                }
            }
            Some(Ok(Claim::Place { number, called, .. })) => Ok((number, called)),
            Some(Err(why)) => Err(Some(why)),
            None => Err(None),
        };
        let mut state = self.state();
        let state = &mut *state;
        if let Ok((number, called)) = place {
            state.line.learn(number, called, visit.now_ms);
        }
        state.advance(visit, settings);
        let (number, invalid) = match place {
            Ok((number, _)) => match state.line.worth(number) {
                Worth::Waiting => (Some(number), None),
                Worth::Called => {
                    let free = state.free(visit, settings);
                    if visit.looks && state.line.may_take(number, free, visit.now_ms) {
                        return Answer::Ready;
                    }
                    if !visit.looks && state.line.take(number, free, visit.now_ms) {
                        return self.admit(state, visit, number, key, settings);
                    }
                    // Others who were called are faster this time.
                    (Some(number), None)
                }
                Worth::Taken => {
                    // Their other tab may have just come in, and its cookie must not be overwritten.
                    return self.wait(state, None, visit, key, settings, Some(Invalid::Replayed));
                }
                Worth::Gone => (None, Some(Invalid::Expired)),
            },
            Err(why) => (None, why),
        };
        if number.is_none() {
            let free = if visit.looks { 0 } else { state.free(visit, settings) };
            if let Some(number) = state.line.pass(visit.now_ms, free) {
                self.count_invalid(invalid);
                return self.admit(state, visit, number, key, settings);
            }
            if visit.looks && visit.is_open && state.line.in_line(visit.now_ms) == 0 {
                return Answer::Ready;
            }
        }
        let number = number.unwrap_or_else(|| state.line.give());
        self.wait(state, Some(number), visit, key, settings, invalid)
    }

    /// What there is to see.
    pub fn reading(&self, now_ms: u64, settings: &Settings) -> Reading {
        let state = self.state();
        let waiting = state.line.in_line(now_ms);
        let wait_ms = if waiting == 0 { 0 } else { state.line.wait_ms(waiting + 1, settings) };
        Reading {
            waiting,
            inside: state.inside.count(now_ms / 1_000),
            wait: Duration::from_millis(wait_ms),
            admitted: self.admitted.load(Relaxed),
            told: self.told.load(Relaxed),
            invalid: self.invalid.each_ref().map(|count| count.load(Relaxed)),
        }
    }

    /// What has to be kept to go on after a restart.
    pub fn saved(&self) -> Saved {
        let state = self.state();
        Saved { inside: state.inside.saved(), ..state.line.saved() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever is inside stays there, if they come from where they came in and have not been away.
    fn stay(
        &self,
        visit: &Visit<'_>,
        (number, client, seen_s): (u64, u64, u32),
        key: &Key,
        settings: &Settings,
    ) -> Result<Answer, Invalid> {
        let (now_s, ttl_s) = (visit.now_ms / 1_000, settings.ttl.as_secs());
        if now_s > u64::from(seen_s) + ttl_s {
            return Err(Invalid::Expired);
        }
        if settings.is_bound && client != 0 && client != visit.client {
            return Err(Invalid::OtherClient);
        }
        let step_s = inside::step_s(ttl_s);
        if visit.looks || now_s / step_s <= u64::from(seen_s) / step_s {
            return Ok(Answer::Inside(None));
        }
        self.state().inside.stay(seen_s.into(), now_s);
        Ok(Answer::Inside(Some(key.sign(Claim::Pass { number, client, seen_s: now_s as u32 }))))
    }

    fn admit(
        &self,
        state: &mut State,
        visit: &Visit<'_>,
        number: u64,
        key: &Key,
        settings: &Settings,
    ) -> Answer {
        let now_s = visit.now_ms / 1_000;
        state.inside.enter(now_s);
        self.admitted.fetch_add(1, Relaxed);
        let client = if settings.is_bound { visit.client } else { 0 };
        Answer::Inside(Some(key.sign(Claim::Pass { number, client, seen_s: now_s as u32 })))
    }

    fn wait(
        &self,
        state: &State,
        number: Option<u64>,
        visit: &Visit<'_>,
        key: &Key,
        settings: &Settings,
        invalid: Option<Invalid>,
    ) -> Answer {
        self.told.fetch_add(1, Relaxed);
        self.count_invalid(invalid);
        let position = number.map_or(1, |number| state.line.position(number, visit.now_ms));
        let wait_ms = state.line.wait_ms(position, settings);
        let token = number.map(|number| {
            let called = state.line.called();
            key.sign(Claim::Place { number, called, stamp_s: (visit.now_ms / 1_000) as u32 })
        });
        // The further away a turn is, the less often it pays to ask.
        let poll_ms = (wait_ms / 4).clamp(*POLL_MS.start(), *POLL_MS.end());
        Answer::Wait(Turn {
            position,
            wait: Duration::from_millis(wait_ms),
            poll: Duration::from_millis(poll_ms),
            token,
            invalid,
        })
    }

    fn count_invalid(&self, invalid: Option<Invalid>) {
        if let Some(why) = invalid {
            self.invalid[why as usize].fetch_add(1, Relaxed);
        }
    }
}

impl State {
    fn advance(&mut self, visit: &Visit<'_>, settings: &Settings) {
        let now_s = visit.now_ms / 1_000;
        self.inside.set_ttl(settings.ttl.as_secs(), now_s);
        let free = self.free(visit, settings);
        self.line.advance(visit.now_ms, settings, free);
    }

    /// How many more may be inside.
    fn free(&self, visit: &Visit<'_>, settings: &Settings) -> u64 {
        if !visit.is_open {
            return 0;
        }
        let inside = || self.inside.count(visit.now_ms / 1_000);
        settings.capacity.map_or(u64::MAX, |most| most.saturating_sub(inside()))
    }
}

#[cfg(test)]
mod tests;
