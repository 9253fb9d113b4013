//! Active checks: what a probe asks, when the next one is due, and what its answer means.
//!
//! How verdicts add up to a change of state (rise and fall) is in [`crate::endpoint`].

use crate::moment::Moment;
use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

/// How the endpoints of one upstream are probed.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// What is asked.
    pub kind: Kind,
    /// Time from one probe to the next, before jitter. Default 5 s.
    pub interval: Duration,
    /// A probe without an answer after this time has failed. Default 2 s.
    pub timeout: Duration,
    /// Passed probes in a row that bring an endpoint back up. Default 1, so it is back within one probe.
    pub rise: u32,
    /// Failed probes in a row that take an endpoint down. Default 3. The very first probe decides alone.
    pub fall: u32,
    /// Share of the interval by which each wait is lengthened or shortened at random, between 0 and 1,
    /// so that many instances do not probe in step. Default 0.1.
    pub jitter_share: f64,
}

/// What a probe asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// `GET path` and a look at the answer.
    Http {
        /// Path and query to ask for.
        path: String,
        /// Value of the Host field; `None` sends the endpoint's address.
        host: Option<String>,
        /// Statuses that pass.
        statuses: Vec<RangeInclusive<u16>>,
        /// Text that the part of the body that was read must contain.
        contains: Option<String>,
    },
    /// A connection that opens is enough.
    Tcp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: Kind::Tcp,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            rise: 1,
            fall: 3,
            jitter_share: 0.1,
        }
    }
}

impl Settings {
    /// Probes `GET path`, passing on any status from 200 to 399.
    pub fn http(path: impl Into<String>) -> Self {
        let kind = Kind::Http { path: path.into(), host: None, statuses: vec![200..=399], contains: None };
        Self { kind, ..Self::default() }
    }

    /// What an answer means. A TCP probe has no answer to judge and passes.
    pub fn verdict(&self, status: u16, body: &[u8]) -> Result<(), ProbeFailure> {
        let Kind::Http { statuses, contains, .. } = &self.kind else { return Ok(()) };
        if !statuses.iter().any(|passing| passing.contains(&status)) {
            return Err(ProbeFailure::Status);
        }
        match contains {
            Some(text) if memchr::memmem::find(body, text.as_bytes()).is_none() => Err(ProbeFailure::Body),
            _ => Ok(()),
        }
    }

    /// When to probe next: the interval from now, lengthened or shortened by jitter.
    pub fn next(&self, now: Moment, rng: &mut fastrand::Rng) -> Moment {
        let swing = self.jitter_share.clamp(0.0, 1.0) * (rng.f64() * 2.0 - 1.0);
        now.plus(self.interval.mul_f64(1.0 + swing))
    }

    /// When to probe a new endpoint for the second time: anywhere within one interval, so that
    /// endpoints that appeared together are not probed together for ever. The first probe is at once.
    pub fn spread(&self, now: Moment, rng: &mut fastrand::Rng) -> Moment {
        now.plus(self.interval.mul_f64(rng.f64()))
    }
}

/// Why a probe failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ProbeFailure {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    /// The answer is not valid HTTP.
    Malformed,
    /// The status is not one that passes.
    Status,
    /// The body lacks the text that was asked for.
    Body,
}

impl ProbeFailure {
    /// One of each variant.
    pub const ALL: [Self; 6] =
        [Self::Connect, Self::Timeout, Self::Closed, Self::Malformed, Self::Status, Self::Body];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Status => "status",
            Self::Body => "body",
        }
    }

    /// Whether the failure proves that the endpoint cannot serve. A wrong status or body is only its
    /// own opinion of itself, which can be wrong for all endpoints at once: see the panic threshold.
    pub const fn is_proof(self) -> bool {
        !matches!(self, Self::Status | Self::Body)
    }
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the probe could not connect",
            Self::Timeout => "the probe got no answer in time",
            Self::Closed => "the connection ended before the probe's answer did",
            Self::Malformed => "the probe's answer is not valid http",
            Self::Status => "the probe's status is not one that passes",
            Self::Body => "the probe's body lacks the expected text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_judged() {
        let mut settings = Settings::http("/health");
        assert_eq!(settings.verdict(204, b""), Ok(()));
        assert_eq!(settings.verdict(503, b""), Err(ProbeFailure::Status));
        let Kind::Http { contains, statuses, .. } = &mut settings.kind else { unreachable!() };
        *contains = Some("ready".to_owned());
        *statuses = vec![200..=200, 429..=429];
        assert_eq!(settings.verdict(200, b"{\"state\":\"ready\"}"), Ok(()));
        assert_eq!(settings.verdict(429, b"ready"), Ok(()));
        assert_eq!(settings.verdict(200, b"starting"), Err(ProbeFailure::Body));
        assert_eq!(settings.verdict(204, b"ready"), Err(ProbeFailure::Status));
        assert_eq!(Settings::default().verdict(0, b""), Ok(()));
    }

    #[test]
    fn waits_vary_by_the_jitter_share_and_no_more() {
        let settings = Settings { jitter_share: 0.2, ..Settings::default() };
        let mut rng = fastrand::Rng::with_seed(7);
        let waits: Vec<u64> = (0..1_000).map(|_| settings.next(Moment::ZERO, &mut rng).as_ms()).collect();
        assert!(waits.iter().all(|wait| (4_000..=6_000).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 4_200) && waits.iter().any(|wait| *wait > 5_800));
        let spread = (0..1_000).map(|_| settings.spread(Moment::ZERO, &mut rng).as_ms());
        assert!((4_500..=5_000).contains(&spread.max().unwrap()));
    }
}
