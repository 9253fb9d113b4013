//! The circuit breaker of an upstream: whether requests are sent there at all.
//!
//! Endpoints are judged one by one in [`crate::outlier`], slow answers included: what one of them does wrong, another
//! one mends. The breaker is for what no endpoint mends: the app is down or drowning, and every request that is sent
//! makes it worse and waits in vain. So it judges requests, not tries: what a retry has mended counts as a success.
//!
//! While it is closed a request costs one load before and one exchange behind, in memory that all cores share. The lock
//! is taken when something is wrong.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::moment::Moment;
use crate::window::Window;

/// When a breaker opens, and how it closes again.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Share of requests over the last ten seconds that fail, at which it opens; above 1 this rule is off. Default 0.5.
    pub error_share: f64,
    /// An answer that takes longer to begin is slow; `None`: none is.
    pub slow: Option<Duration>,
    /// Share of slow answers over the last ten seconds at which it opens. Default 0.5.
    pub slow_share: f64,
    /// Requests within these ten seconds below which shares are not judged. Default 20.
    pub minimum_requests: u32,
    /// How long it stays open for the first time; each further time in short succession twice as long. Every such time
    /// spent closed makes one earlier opening forgotten. Default 5 s.
    pub open: Duration,
    /// It never stays open longer, jitter aside. Default 1 min.
    pub open_max: Duration,
    /// Share by which each such time is lengthened or shortened at random, so that many instances do not come back
    /// together. Default 0.2.
    pub jitter_share: f64,
    /// Requests that are let through when it is half open, and that have to succeed for it to close. Default 3.
    pub probes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            error_share: 0.5,
            slow: None,
            slow_share: 0.5,
            minimum_requests: 20,
            open: Duration::from_secs(5),
            open_max: Duration::from_mins(1),
            jitter_share: 0.2,
            probes: 3,
        }
    }
}

/// What a breaker does with requests.
///
/// ```text
///             too many requests fail, or are slow
///   Closed ────────────────────────────────────────▶ Open ◀─────────┐
///     ▲                                               │             │
///     │                                  its time is  │             │ one of them fails, or is slow:
///     │                                  over         ▼             │ open for twice as long
///     └─────────────────────────────────────────── HalfOpen ────────┘
///        all of its probes have succeeded
/// ```
///
/// Half open, no more requests are under way or have succeeded than there are probes; all others are told to come back
/// later. Probes that nobody hears of for as long as it was open are given up, and others take their places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Requests are sent.
    Closed,
    /// None is.
    Open {
        /// What it opened for.
        why: Reason,
        /// When it lets probes through.
        until: Moment,
    },
    /// A few are.
    HalfOpen {
        /// Probes under way.
        running: u32,
        /// Probes that succeeded.
        passed: u32,
    },
}

impl State {
    /// The words of [`State::code`].
    pub const CODES: [&str; 3] = ["closed", "open", "half_open"];

    /// Dense number of the variant, an index into [`State::CODES`].
    pub const fn index(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::Open { .. } => 1,
            Self::HalfOpen { .. } => 2,
        }
    }

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        Self::CODES[self.index()]
    }
}

/// What a breaker opens for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Reason {
    /// Too large a share of requests failed.
    Errors,
    /// Too large a share of answers was slow.
    Slow,
    /// A probe failed, or was slow.
    ProbeFailed,
}

impl Reason {
    /// One of each variant.
    pub const ALL: [Self; 3] = [Self::Errors, Self::Slow, Self::ProbeFailed];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Slow => "slow",
            Self::ProbeFailed => "probe_failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Errors => "too large a share of requests failed",
            Self::Slow => "too large a share of answers was slow",
            Self::ProbeFailed => "a request that was let through to try it failed or was slow",
        })
    }
}

/// How a request that was let through went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was answered; the answer took this long to begin.
    Answered(Duration),
    /// The upstream failed it.
    Failed,
}

/// A change of state, to be logged and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// What the breaker is now.
    pub to: State,
}

/// Not sent: the breaker is open, or half open with all probes under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShortCircuit {
    /// When it is worth another try.
    pub wait: Duration,
}

/// Half open with every probe under way, nobody knows how long they take.
const PROBING_WAIT: Duration = Duration::from_secs(1);

/// The breaker of one upstream, shared by all cores. Its settings are handed in, so that a reload changes them and
/// nothing else.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Rises with every change of state, and is even while closed. A request that began before a change says nothing after it.
    generation: AtomicU64,
    /// All requests left, failed ones right.
    requests: Window,
    /// Slow answers left.
    slow: Window,
    standing: Mutex<Standing>,
    opened: [AtomicU64; Reason::ALL.len()],
    half_opened: AtomicU64,
    closed: AtomicU64,
    short_circuited: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    state: State,
    /// Openings that are remembered; each makes the next one longer.
    openings: u32,
    /// How long the last opening lasted.
    length: Duration,
    /// When the state became what it is.
    since: Moment,
}

impl Default for Standing {
    fn default() -> Self {
        Self { state: State::Closed, openings: 0, length: Duration::ZERO, since: Moment::ZERO }
    }
}

/// What a breaker has done since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// How often it opened, by [`Reason`].
    pub opened: [u64; Reason::ALL.len()],
    /// How often it became half open.
    pub half_opened: u64,
    /// How often it closed.
    pub closed: u64,
    /// Requests that were not sent.
    pub short_circuited: u64,
}

/// A request that was let through. Dropped without a verdict, as when its client has left, it counts as nothing, and
/// its place among the probes is free again.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    generation: u64,
}

impl Breaker {
    /// Lets a request through, or says when it may come back. The change that is told is that to half open.
    ///
    /// # Errors
    /// [`ShortCircuit`].
    pub fn enter(
        &self,
        now: Moment,
        settings: &Settings,
    ) -> Result<(Pass<'_>, Option<Transition>), ShortCircuit> {
        let generation = self.generation.load(Relaxed);
        if generation.is_multiple_of(2) {
            return Ok((Pass { breaker: self, generation }, None));
        }
        let mut standing = self.standing();
        let wait = match standing.state {
            // Another core has just closed it.
            State::Closed => return Ok((self.pass(), None)),
            State::Open { until, .. } if now < until => until.since(now),
            State::HalfOpen { running, passed } if running + passed >= settings.probes.max(1) => {
                // Whoever has not been heard of for so long may be a stream without an end.
                if now.since(standing.since) < standing.length.max(PROBING_WAIT) {
                    PROBING_WAIT
                } else {
                    standing.state = State::HalfOpen { running: 1, passed };
                    standing.since = now;
                    self.advance(false);
                    return Ok((self.pass(), None));
                }
            }
            State::HalfOpen { running, passed } => {
                standing.state = State::HalfOpen { running: running + 1, passed };
                return Ok((self.pass(), None));
            }
            State::Open { .. } => {
                standing.state = State::HalfOpen { running: 1, passed: 0 };
                standing.since = now;
                self.advance(false);
                self.half_opened.fetch_add(1, Relaxed);
                return Ok((self.pass(), Some(Transition { to: standing.state })));
            }
        };
        self.short_circuited.fetch_add(1, Relaxed);
        Err(ShortCircuit { wait })
    }

    /// What it is at this moment.
    pub fn state(&self) -> State {
        self.standing().state
    }

    /// Whether requests are sent without restriction: a load.
    pub fn is_closed(&self) -> bool {
        self.generation.load(Relaxed).is_multiple_of(2)
    }

    /// What it has done.
    pub fn counts(&self) -> Counts {
        Counts {
            opened: self.opened.each_ref().map(|count| count.load(Relaxed)),
            half_opened: self.half_opened.load(Relaxed),
            closed: self.closed.load(Relaxed),
            short_circuited: self.short_circuited.load(Relaxed),
        }
    }

    fn pass(&self) -> Pass<'_> {
        Pass { breaker: self, generation: self.generation.load(Relaxed) }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Nothing that holds the lock can panic half-way through a change.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next generation: even when closed, odd otherwise. Only under the lock.
    fn advance(&self, is_closed: bool) {
        let now = self.generation.load(Relaxed);
        let next = now + 1;
        self.generation.store(next + u64::from(next.is_multiple_of(2) != is_closed), Relaxed);
    }

    /// Judges the shares of the last ten seconds.
    fn verdict(&self, now: Moment, settings: &Settings) -> Option<Reason> {
        let counts = self.requests.counts(now);
        if counts.left < u64::from(settings.minimum_requests.max(1)) {
            return None;
        }
        let reaches = |count: u64, share: f64| count > 0 && count as f64 >= counts.left as f64 * share;
        if reaches(counts.right, settings.error_share) {
            return Some(Reason::Errors);
        }
        let is_judged = settings.slow.is_some();
        (is_judged && reaches(self.slow.counts(now).left, settings.slow_share)).then_some(Reason::Slow)
    }

    fn open(
        &self,
        standing: &mut Standing,
        why: Reason,
        now: Moment,
        settings: &Settings,
        jitter: f64,
    ) -> Transition {
        if standing.state == State::Closed && !settings.open.is_zero() {
            let forgotten = now.since(standing.since).as_nanos() / settings.open.as_nanos();
            standing.openings =
                standing.openings.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        }
        let length = settings.open.saturating_mul(1 << standing.openings.min(20)).min(settings.open_max);
        standing.openings = standing.openings.saturating_add(1);
        let swing = settings.jitter_share.clamp(0.0, 1.0) * (jitter * 2.0 - 1.0);
        standing.length = length.mul_f64(1.0 + swing);
        standing.state = State::Open { why, until: now.plus(standing.length) };
        standing.since = now;
        self.advance(false);
        self.requests.clear();
        self.slow.clear();
        self.opened[why as usize].fetch_add(1, Relaxed);
        Transition { to: standing.state }
    }
}

impl Pass<'_> {
    /// Whether it is one of the few that are let through half open.
    pub const fn is_probe(&self) -> bool {
        !self.generation.is_multiple_of(2)
    }

    /// How it went.
    pub fn end(
        self,
        verdict: Verdict,
        now: Moment,
        settings: &Settings,
        rng: &mut fastrand::Rng,
    ) -> Option<Transition> {
        let breaker = self.breaker;
        let generation = self.generation;
        core::mem::forget(self);
        let is_slow = match verdict {
            Verdict::Answered(wait) => settings.slow.is_some_and(|slow| wait > slow),
            Verdict::Failed => false,
        };
        let is_bad = is_slow || verdict == Verdict::Failed;
        if generation.is_multiple_of(2) {
            if generation != breaker.generation.load(Relaxed) {
                return None;
            }
            breaker.requests.add(now, 1, u64::from(verdict == Verdict::Failed));
            if is_slow {
                breaker.slow.add(now, 1, 0);
            }
            // Shares rise with what is bad, and with nothing else.
            if !is_bad {
                return None;
            }
            let why = breaker.verdict(now, settings)?;
            let mut standing = breaker.standing();
            let is_first = generation == breaker.generation.load(Relaxed);
            return is_first.then(|| breaker.open(&mut standing, why, now, settings, rng.f64()));
        }
        let mut standing = breaker.standing();
        let State::HalfOpen { running, passed } = standing.state else { return None };
        if generation != breaker.generation.load(Relaxed) {
            return None;
        }
        if is_bad {
            return Some(breaker.open(&mut standing, Reason::ProbeFailed, now, settings, rng.f64()));
        }
        let (running, passed) = (running.saturating_sub(1), passed + 1);
        if passed < settings.probes.max(1) {
            standing.state = State::HalfOpen { running, passed };
            return None;
        }
        standing.state = State::Closed;
        standing.since = now;
        breaker.advance(true);
        breaker.closed.fetch_add(1, Relaxed);
        Some(Transition { to: State::Closed })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_probe() {
            return;
        }
        let mut standing = self.breaker.standing();
        if self.generation == self.breaker.generation.load(Relaxed)
            && let State::HalfOpen { running, passed } = standing.state
        {
            standing.state = State::HalfOpen { running: running.saturating_sub(1), passed };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(1)
    }

    fn settings() -> Settings {
        Settings { jitter_share: 0.0, minimum_requests: 4, ..Settings::default() }
    }

    fn send(breaker: &Breaker, verdict: Verdict, at: Moment) -> Option<Transition> {
        let (pass, _) = breaker.enter(at, &settings()).expect("let through");
        pass.end(verdict, at, &settings(), &mut rng())
    }

    const FINE: Verdict = Verdict::Answered(Duration::from_millis(5));

    fn opened(at: Moment) -> Breaker {
        let breaker = Breaker::default();
        let told: Vec<_> = (0..4).filter_map(|_| send(&breaker, Verdict::Failed, at)).collect();
        assert_eq!(told.len(), 1);
        breaker
    }

    #[test]
    fn the_share_counts_only_from_the_least_number_of_requests_on() {
        let breaker = Breaker::default();
        let at = Moment::from_secs(100);
        for _ in 0..3 {
            assert_eq!(send(&breaker, Verdict::Failed, at), None);
        }
        let Some(Transition { to: State::Open { why, until } }) = send(&breaker, Verdict::Failed, at) else {
            panic!("open")
        };
        assert_eq!((why, until), (Reason::Errors, Moment::from_secs(105)));
        assert_eq!(breaker.enter(at, &settings()).unwrap_err().wait, Duration::from_secs(5));
        assert_eq!(breaker.counts().short_circuited, 1);
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let breaker = Breaker::default();
        for second in 0..60 {
            let verdict = if second % 10 == 0 { Verdict::Failed } else { FINE };
            assert_eq!(send(&breaker, verdict, Moment::from_secs(second)), None);
        }
    }

    #[test]
    fn slow_answers_open_it_although_none_failed() {
        let slow = Settings { slow: Some(Duration::from_secs(1)), ..settings() };
        let breaker = Breaker::default();
        let at = Moment::from_secs(100);
        let mut told = Vec::new();
        for _ in 0..4 {
            let (pass, _) = breaker.enter(at, &slow).unwrap();
            told.extend(pass.end(Verdict::Answered(Duration::from_secs(2)), at, &slow, &mut rng()));
        }
        assert!(matches!(told[..], [Transition { to: State::Open { why: Reason::Slow, .. } }]));
    }

    #[test]
    fn half_open_lets_no_more_through_than_there_are_probes() {
        let breaker = opened(Moment::from_secs(100));
        let at = Moment::from_secs(105);
        let passes: Vec<_> = (0..10).filter_map(|_| breaker.enter(at, &settings()).ok()).collect();
        assert_eq!(passes.len(), 3);
        assert!(passes[0].1.is_some() && passes[1].1.is_none());
        let told: Vec<_> =
            passes.into_iter().filter_map(|(pass, _)| pass.end(FINE, at, &settings(), &mut rng())).collect();
        assert_eq!(told, [Transition { to: State::Closed }]);
        assert!(breaker.is_closed());
    }

    #[test]
    fn each_opening_in_short_succession_is_twice_as_long_up_to_a_bound() {
        let breaker = opened(Moment::from_secs(100));
        let mut at = Moment::from_secs(105);
        for wanted in [10, 20, 40, 60, 60] {
            let Some(Transition { to: State::Open { until, why } }) = send(&breaker, Verdict::Failed, at)
            else {
                panic!("open")
            };
            assert_eq!((until.since(at).as_secs(), why), (wanted, Reason::ProbeFailed));
            at = until;
        }
        for _ in 0..3 {
            send(&breaker, FINE, at);
        }
        assert!(breaker.is_closed());
        // Closed for long enough, it has forgotten all of them.
        let later = at.plus(Duration::from_mins(10));
        let told: Vec<_> = (0..4).filter_map(|_| send(&breaker, Verdict::Failed, later)).collect();
        let [Transition { to: State::Open { until, .. } }] = told[..] else { panic!("open") };
        assert_eq!(until.since(later), Duration::from_secs(5));
    }

    #[test]
    fn a_request_that_began_before_says_nothing_after() {
        let breaker = Breaker::default();
        let at = Moment::from_secs(100);
        let (early, _) = breaker.enter(at, &settings()).unwrap();
        for _ in 0..4 {
            send(&breaker, Verdict::Failed, at);
        }
        assert!(!breaker.is_closed());
        let state = breaker.state();
        assert_eq!(early.end(FINE, at, &settings(), &mut rng()), None);
        assert_eq!(breaker.state(), state);
    }

    #[test]
    fn a_probe_whose_client_left_gives_its_place_back() {
        let breaker = opened(Moment::from_secs(100));
        let at = Moment::from_secs(105);
        for _ in 0..10 {
            drop(breaker.enter(at, &settings()).unwrap());
        }
        assert_eq!(breaker.state(), State::HalfOpen { running: 0, passed: 0 });
    }

    #[test]
    fn probes_that_are_never_heard_of_are_given_up() {
        let breaker = opened(Moment::from_secs(100));
        let at = Moment::from_secs(105);
        let lost: Vec<_> = (0..3).map(|_| breaker.enter(at, &settings()).unwrap().0).collect();
        assert!(breaker.enter(at, &settings()).is_err());
        let later = Moment::from_secs(110);
        for _ in 0..3 {
            send(&breaker, FINE, later);
        }
        assert!(breaker.is_closed());
        for pass in lost {
            assert_eq!(pass.end(Verdict::Failed, later, &settings(), &mut rng()), None);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn times_differ_by_the_jitter_share_and_no_more() {
        let settings = Settings { jitter_share: 0.2, minimum_requests: 1, ..Settings::default() };
        let mut rng = rng();
        let lengths: Vec<u64> = (0..500)
            .map(|_| {
                let breaker = Breaker::default();
                let (pass, _) = breaker.enter(Moment::ZERO, &settings).unwrap();
                let Some(Transition { to: State::Open { until, .. } }) =
                    pass.end(Verdict::Failed, Moment::ZERO, &settings, &mut rng)
                else {
                    panic!("open")
                };
                until.as_ms()
            })
            .collect();
        assert!(lengths.iter().all(|length| (4_000..=6_000).contains(length)));
        assert!(lengths.iter().any(|length| *length < 4_300) && lengths.iter().any(|length| *length > 5_700));
    }

    #[test]
    fn threads_never_have_more_probes_under_way_than_allowed() {
        let breaker = opened(Moment::from_secs(100));
        let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let at = Moment::from_secs(105);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        if let Ok((pass, _)) = breaker.enter(at, &settings()) {
                            most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                            running.fetch_sub(1, Relaxed);
                            drop(pass);
                        }
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.load(Relaxed)));
        assert_eq!(breaker.state(), State::HalfOpen { running: 0, passed: 0 });
    }
}
