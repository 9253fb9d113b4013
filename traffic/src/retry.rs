//! Whether a failed try may be followed by another one, and the budget that keeps retries from
//! turning a small fault into a flood.

use crate::moment::Moment;
use crate::window::{WINDOW_SECS, Window};
use core::fmt;
use core::time::Duration;

/// How far retries may go.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Tries in all, the first one included. Default 3; 1 switches retries off.
    pub attempts: u8,
    /// Retries as a share of the requests of the last ten seconds. Default 0.2.
    pub budget_share: f64,
    /// Retries that are granted besides, so that little traffic can retry too. Default 10 per second,
    /// reckoned over the same ten seconds: up to 100 at once after a quiet time.
    pub min_per_second: u32,
    /// No new try begins later than this after the request began. Default 10 s.
    pub within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { attempts: 3, budget_share: 0.2, min_per_second: 10, within: Duration::from_secs(10) }
    }
}

/// What the caller knows about a request whose try has just failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RetryAsk {
    /// Provably not one byte of the request has reached the endpoint.
    pub unsent: bool,
    /// The method is idempotent (RFC 9110 section 9.2.2).
    pub idempotent: bool,
    /// The request carries an `Idempotency-Key`.
    pub has_idempotency_key: bool,
    /// The body is empty or still held whole.
    pub body_replayable: bool,
    /// Part of a response has been passed on to the client.
    pub response_started: bool,
    /// Tries made so far, the failed one included.
    pub tries: u8,
    /// Time since the request began.
    pub elapsed: Duration,
}

/// Why a request is not tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum NoRetry {
    /// The client has already seen part of a response.
    ResponseStarted,
    /// All tries are used up.
    TriesSpent,
    /// The request began too long ago.
    TimeSpent,
    /// The endpoint may have acted on the request, and acting twice could do harm.
    NotIdempotent,
    /// The body has been passed on and is no longer held.
    BodyGone,
    /// Too many retries in the last ten seconds.
    BudgetSpent,
}

impl NoRetry {
    /// One of each variant.
    pub const ALL: [Self; 6] = [
        Self::ResponseStarted,
        Self::TriesSpent,
        Self::TimeSpent,
        Self::NotIdempotent,
        Self::BodyGone,
        Self::BudgetSpent,
    ];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ResponseStarted => "response_started",
            Self::TriesSpent => "tries_spent",
            Self::TimeSpent => "time_spent",
            Self::NotIdempotent => "not_idempotent",
            Self::BodyGone => "body_gone",
            Self::BudgetSpent => "budget_spent",
        }
    }
}

impl fmt::Display for NoRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResponseStarted => "part of a response has reached the client",
            Self::TriesSpent => "all tries are used up",
            Self::TimeSpent => "the request began too long ago",
            Self::NotIdempotent => "the endpoint may have acted on the request already",
            Self::BodyGone => "the request body is no longer held",
            Self::BudgetSpent => "the retry budget is spent",
        })
    }
}

/// The retry budget of one upstream (the idea is Finagle's): requests pay in, retries draw out, over a
/// window of ten seconds. Lock-free, shared by all cores.
#[derive(Debug, Default)]
pub struct Budget {
    window: Window,
}

impl Budget {
    /// Pays in for one request; call it once per request, not per try.
    pub fn deposit(&self, now: Moment) {
        self.window.add(now, 1, 0);
    }

    /// Whether the request may be tried again; if so, the retry has been drawn from the budget.
    ///
    /// Any method may if provably nothing was sent; otherwise only idempotent ones or those with an
    /// `Idempotency-Key`, with a body that can be sent again, before any of a response was passed on.
    pub fn may_retry(&self, settings: &Settings, now: Moment, ask: &RetryAsk) -> Result<(), NoRetry> {
        if ask.response_started {
            return Err(NoRetry::ResponseStarted);
        }
        if ask.tries >= settings.attempts {
            return Err(NoRetry::TriesSpent);
        }
        if ask.elapsed > settings.within {
            return Err(NoRetry::TimeSpent);
        }
        if !ask.unsent {
            if !ask.idempotent && !ask.has_idempotency_key {
                return Err(NoRetry::NotIdempotent);
            }
            if !ask.body_replayable {
                return Err(NoRetry::BodyGone);
            }
        }
        if self.withdraw(settings, now) { Ok(()) } else { Err(NoRetry::BudgetSpent) }
    }

    /// Retries that could be drawn at this moment.
    pub fn left(&self, settings: &Settings, now: Moment) -> u64 {
        let counts = self.window.counts(now);
        granted(settings, counts.left).saturating_sub(counts.right)
    }

    fn withdraw(&self, settings: &Settings, now: Moment) -> bool {
        self.window.add_if(now, 0, 1, |counts| counts.right < granted(settings, counts.left))
    }
}

fn granted(settings: &Settings, requests: u64) -> u64 {
    (requests as f64 * settings.budget_share) as u64 + u64::from(settings.min_per_second) * WINDOW_SECS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayable() -> RetryAsk {
        RetryAsk { idempotent: true, body_replayable: true, tries: 1, ..RetryAsk::default() }
    }

    fn ask(change: impl Fn(&mut RetryAsk)) -> Result<(), NoRetry> {
        let mut ask = replayable();
        change(&mut ask);
        Budget::default().may_retry(&Settings::default(), Moment::ZERO, &ask)
    }

    #[test]
    fn idempotent_requests_with_a_held_body_are_retried() {
        assert_eq!(ask(|_| ()), Ok(()));
    }

    #[test]
    fn an_idempotency_key_stands_in_for_an_idempotent_method() {
        assert_eq!(ask(|ask| ask.idempotent = false), Err(NoRetry::NotIdempotent));
        assert_eq!(ask(|ask| (ask.idempotent, ask.has_idempotency_key) = (false, true)), Ok(()));
    }

    #[test]
    fn anything_that_was_never_sent_is_retried() {
        assert_eq!(
            ask(|ask| (ask.unsent, ask.idempotent, ask.body_replayable) = (true, false, false)),
            Ok(())
        );
    }

    #[test]
    fn every_other_no_has_its_reason() {
        assert_eq!(ask(|ask| ask.body_replayable = false), Err(NoRetry::BodyGone));
        assert_eq!(ask(|ask| ask.tries = 3), Err(NoRetry::TriesSpent));
        assert_eq!(ask(|ask| ask.elapsed = Duration::from_secs(11)), Err(NoRetry::TimeSpent));
        assert_eq!(
            ask(|ask| (ask.unsent, ask.response_started) = (true, true)),
            Err(NoRetry::ResponseStarted)
        );
    }

    #[test]
    fn retries_stay_within_a_share_of_the_requests() {
        let settings = Settings { min_per_second: 0, ..Settings::default() };
        let budget = Budget::default();
        (0..50).for_each(|n| budget.deposit(Moment::from_ms(n * 100)));
        let now = Moment::from_secs(5);
        for _ in 0..10 {
            assert_eq!(budget.may_retry(&settings, now, &replayable()), Ok(()));
        }
        assert_eq!(budget.left(&settings, now), 0);
        assert_eq!(budget.may_retry(&settings, now, &replayable()), Err(NoRetry::BudgetSpent));
        let later = Moment::from_secs(16);
        budget.deposit(later);
        assert_eq!(budget.may_retry(&settings, later, &replayable()), Err(NoRetry::BudgetSpent));
        (0..4).for_each(|_| budget.deposit(later));
        assert_eq!(budget.may_retry(&settings, later, &replayable()), Ok(()));
    }

    #[test]
    fn little_traffic_can_retry_too() {
        let budget = Budget::default();
        assert_eq!(budget.left(&Settings::default(), Moment::ZERO), 100);
    }
}
