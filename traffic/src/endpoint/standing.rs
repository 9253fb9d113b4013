//! The state machine of one endpoint, as plain data: facts and `now` in, state out.
//!
//! Three things speak about an endpoint: the operator (drain), its probes, and live traffic. Each is
//! kept on its own, and the state is the strongest of what they say, so that none can undo another.

use crate::health::{self, ProbeFailure};
use crate::moment::Moment;
use crate::outlier::{self, Failure};
use core::fmt;
use core::time::Duration;

/// What an endpoint is at a given moment.
///
/// ```text
///                    first probe passes
///            Probing ------------------> Up <-----------------------------+
///               |                        |  |                             |
///               | first probe            |  | live traffic fails          | time served, or a
///               | fails        `fall`    |  | (outlier)                   | proof of life
///               |          probes fail   |  v                             |
///               |                        | Ejected -----------------------+
///               v                        v                                |
///              Down <--------------------+                                |
///               |            `rise` probes pass                           |
///               +---------------------------------------------------------+
///
///   From every state the operator drains to Draining, and back to what the others say.
///   Where several apply, the first of Draining, Down, Ejected, Probing, Up is the state.
/// ```
///
/// Probing and Up take traffic. An endpoint that is probed is usable before the first verdict: a
/// reload or a start must not answer 503 only because no probe is back yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Probes are on their way, none has answered yet; usable.
    Probing,
    /// Usable.
    Up,
    /// Taken out by live traffic.
    Ejected {
        /// What it did.
        why: Ejection,
        /// When it is let back in at the latest.
        until: Moment,
    },
    /// Taken out by its probes.
    Down {
        /// What the last of them found.
        why: ProbeFailure,
    },
    /// Takes no new work because the operator said so.
    Draining,
}

impl State {
    /// The words of [`State::code`].
    pub const CODES: [&str; 5] = ["probing", "up", "ejected", "down", "draining"];

    /// Dense number of the variant, an index into [`State::CODES`].
    pub const fn index(self) -> usize {
        match self {
            Self::Probing => 0,
            Self::Up => 1,
            Self::Ejected { .. } => 2,
            Self::Down { .. } => 3,
            Self::Draining => 4,
        }
    }

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        Self::CODES[self.index()]
    }

    /// Whether the endpoint takes traffic in this state.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Probing | Self::Up)
    }
}

/// Why an endpoint stopped taking traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Ejection {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too many connections in a row that could not be opened.
    ConnectFailures,
    /// Too large a share of failures over the last ten seconds.
    FailureRate,
    /// Too large a share of slow answers over the last ten seconds.
    SlowShare,
    /// It failed again before it answered anything after its last return.
    Relapsed,
    /// Its probes failed.
    ProbeFailed(ProbeFailure),
    /// The operator drained it.
    Drained,
}

impl Ejection {
    /// One of each variant; nested reasons are given once.
    pub const ALL: [Self; 7] = [
        Self::ConsecutiveFailures,
        Self::ConnectFailures,
        Self::FailureRate,
        Self::SlowShare,
        Self::Relapsed,
        Self::ProbeFailed(ProbeFailure::Connect),
        Self::Drained,
    ];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::ConnectFailures => "connect_failures",
            Self::FailureRate => "failure_rate",
            Self::SlowShare => "slow_share",
            Self::Relapsed => "relapsed",
            Self::ProbeFailed(_) => "probe_failed",
            Self::Drained => "drained",
        }
    }
}

impl fmt::Display for Ejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsecutiveFailures => f.write_str("too many failures in a row"),
            Self::ConnectFailures => f.write_str("connections cannot be opened"),
            Self::FailureRate => f.write_str("too large a share of failures"),
            Self::SlowShare => f.write_str("too large a share of slow answers"),
            Self::Relapsed => f.write_str("failed again right after its return"),
            Self::ProbeFailed(why) => why.fmt(f),
            Self::Drained => f.write_str("drained by the operator"),
        }
    }
}

/// Why an endpoint takes traffic again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Return {
    /// The ejection is over.
    TimeServed,
    /// A probe passed.
    ProbePassed,
    /// A request that was sent to it during its ejection (panic) succeeded.
    Succeeded,
    /// The operator ended the drain.
    Undrained,
}

impl Return {
    /// One of each variant.
    pub const ALL: [Self; 4] = [Self::TimeServed, Self::ProbePassed, Self::Succeeded, Self::Undrained];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TimeServed => "time_served",
            Self::ProbePassed => "probe_passed",
            Self::Succeeded => "succeeded",
            Self::Undrained => "undrained",
        }
    }
}

/// What caused a change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Cause {
    /// Taken out.
    Ejected(Ejection),
    /// Let back in.
    Returned(Return),
}

impl Cause {
    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ejected(why) => why.code(),
            Self::Returned(why) => why.code(),
        }
    }
}

/// An ejection that runs, or has run out without anybody having noticed yet.
#[derive(Clone, Copy, Debug)]
struct Sentence {
    why: Ejection,
    since: Moment,
    until: Moment,
    /// The endpoint seemed to be gone, so whatever shows that it is there ends the ejection.
    absent: bool,
}

/// What is known about one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    draining: bool,
    probed: bool,
    verdict: Option<Result<(), ProbeFailure>>,
    /// Probes in a row that contradict the verdict.
    contradictions: u32,
    sentence: Option<Sentence>,
    /// Ejections that are remembered; each makes the next one longer.
    ejections: u32,
    /// When the last ejection ended; a failure of a later request is a relapse while on trial.
    returned: Moment,
    on_trial: bool,
    /// When slow start began, once the endpoint has been away.
    ramp_from: Option<Moment>,
}

/// When an endpoint may be used; what a pick reads, see [`super::Endpoint`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gates {
    /// Earliest use.
    pub(super) calm: Moment,
    /// Earliest use when judgements are ignored (panic).
    pub(super) panic: Moment,
    /// When slow start began, once the endpoint has been away.
    pub(super) ramp: Option<Moment>,
}

/// Past every moment: until told otherwise.
pub(super) const UNTIL_UP: Moment = Moment(u64::MAX - 1);
/// The same, and told apart from it: until the operator says otherwise.
pub(super) const UNTIL_UNDRAINED: Moment = Moment(u64::MAX);

impl Standing {
    pub(super) fn state(&self, now: Moment) -> State {
        if self.draining {
            return State::Draining;
        }
        if let Some(Err(why)) = self.verdict {
            return State::Down { why };
        }
        match self.running(now) {
            Some(Sentence { why, until, .. }) => State::Ejected { why, until },
            None if self.probed && self.verdict.is_none() => State::Probing,
            None => State::Up,
        }
    }

    pub(super) fn gates(&self) -> Gates {
        let mut gates = Gates { calm: Moment::ZERO, panic: Moment::ZERO, ramp: self.ramp_from };
        let mut close = |until: Moment, proof: bool| {
            gates.calm = gates.calm.max(until);
            if proof {
                gates.panic = gates.panic.max(until);
            }
        };
        if let Some(sentence) = self.sentence {
            close(sentence.until, sentence.why == Ejection::ConnectFailures);
            gates.ramp = Some(sentence.until);
        }
        if let Some(Err(why)) = self.verdict {
            close(UNTIL_UP, why.is_proof());
        }
        if self.draining {
            close(UNTIL_UNDRAINED, true);
        }
        gates
    }

    /// Whether a success has anything to settle here.
    pub(super) fn is_suspect(&self) -> bool {
        self.sentence.is_some() || self.on_trial
    }

    pub(super) fn is_ejected(&self, now: Moment) -> bool {
        self.running(now).is_some()
    }

    /// Probes will come; until the first one answers the state is Probing.
    pub(super) fn expect_verdict(&mut self) {
        self.probed = true;
    }

    /// Probes will not come any more; what they said is forgotten.
    pub(super) fn forget_verdict(&mut self) {
        (self.probed, self.verdict, self.contradictions) = (false, None, 0);
    }

    pub(super) fn drain(&mut self, on: bool, now: Moment) -> Option<Cause> {
        if self.draining == on {
            return None;
        }
        self.draining = on;
        if on {
            return Some(Cause::Ejected(Ejection::Drained));
        }
        self.ramp_from = Some(now);
        Some(Cause::Returned(Return::Undrained))
    }

    pub(super) fn probe(
        &mut self,
        now: Moment,
        settings: &health::Settings,
        result: Result<(), ProbeFailure>,
    ) -> Option<Cause> {
        let lifted = result.is_ok() && self.probe_lifts(now);
        let needed = match (self.verdict, result) {
            (None, _) => 1,
            (Some(Ok(())), Ok(())) => {
                self.contradictions = 0;
                return lifted.then_some(Cause::Returned(Return::ProbePassed));
            }
            (Some(Err(_)), Err(why)) => {
                self.verdict = Some(Err(why));
                self.contradictions = 0;
                return None;
            }
            (Some(Ok(())), Err(_)) => settings.fall,
            (Some(Err(_)), Ok(())) => settings.rise,
        };
        self.contradictions += 1;
        if self.contradictions < needed {
            return lifted.then_some(Cause::Returned(Return::ProbePassed));
        }
        self.contradictions = 0;
        let before = self.verdict.replace(result);
        if let Err(why) = result {
            return Some(Cause::Ejected(Ejection::ProbeFailed(why)));
        }
        if matches!(before, Some(Err(_))) {
            // Whoever comes up after having been down is most likely a new process, to which the old
            // one's failures mean nothing.
            self.end_sentence(now);
            self.ramp_from = Some(now);
        }
        Some(Cause::Returned(Return::ProbePassed))
    }

    /// A passed probe proves that an endpoint is there; not that it answers well.
    fn probe_lifts(&mut self, now: Moment) -> bool {
        let lifts = self.running(now).is_some_and(|sentence| sentence.absent);
        if lifts {
            self.end_sentence(now);
        }
        lifts
    }

    /// A request that `began` then has succeeded.
    pub(super) fn succeed(&mut self, began: Moment, now: Moment) -> Option<Cause> {
        if let Some(sentence) = self.running(now) {
            // One success says nothing against a rate, and an older request nothing about today.
            if sentence.why == Ejection::FailureRate || began <= sentence.since {
                return None;
            }
            self.end_sentence(now);
            self.on_trial = false;
            return Some(Cause::Returned(Return::Succeeded));
        }
        if began >= self.returned {
            self.on_trial = false;
        }
        None
    }

    /// Whether a failure of a request that `began` then is a relapse.
    pub(super) fn relapses(&self, began: Moment) -> bool {
        self.on_trial && began >= self.returned
    }

    /// Takes the endpoint out; how long depends on why and on how often before.
    pub(super) fn eject(
        &mut self,
        why: Ejection,
        failure: Failure,
        now: Moment,
        settings: &outlier::Settings,
    ) -> Cause {
        self.settle(now);
        let base = match why {
            Ejection::ConnectFailures => settings.connect_ejection,
            _ => settings.ejection,
        };
        self.forget_old_ejections(base, now);
        self.ejections += 1;
        let length = base.saturating_mul(self.ejections).min(settings.ejection_max);
        let absent = failure.is_proof() || failure == Failure::Reset;
        self.sentence = Some(Sentence { why, since: now, until: now.plus(length), absent });
        Cause::Ejected(why)
    }

    /// Notes that an ejection has run out, once.
    pub(super) fn settle(&mut self, now: Moment) -> Option<Cause> {
        let sentence = self.sentence.filter(|sentence| sentence.until <= now)?;
        self.end_sentence(sentence.until);
        Some(Cause::Returned(Return::TimeServed))
    }

    /// When the running ejection ends.
    pub(super) fn ends(&self) -> Option<Moment> {
        self.sentence.map(|sentence| sentence.until)
    }

    fn end_sentence(&mut self, at: Moment) {
        if self.sentence.take().is_some() {
            self.returned = at;
            self.on_trial = true;
            self.ramp_from = Some(at);
        }
    }

    fn running(&self, now: Moment) -> Option<Sentence> {
        self.sentence.filter(|sentence| now < sentence.until)
    }

    fn forget_old_ejections(&mut self, base: Duration, now: Moment) {
        let quiet = now.since(self.returned);
        let forgotten = quiet.as_nanos().checked_div(base.as_nanos()).unwrap_or(u128::MAX);
        self.ejections = self.ejections.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
    }
}
