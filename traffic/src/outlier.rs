//! Endpoints judged by live traffic: what counts as a failure, and when failures mean ejection.
//!
//! The judgement itself is in [`crate::endpoint`] (one endpoint's state) and [`crate::upstream`] (how
//! many may be out at once).

use core::fmt;
use core::time::Duration;

/// When live traffic takes an endpoint out, and for how long.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Failures in a row, of any kind, that eject. Default 5; 0 switches this rule off.
    pub consecutive_failures: u32,
    /// Connections in a row that could not be opened, that eject. Default 2; 0 switches this rule off.
    /// Fewer than above, since nothing but the endpoint can cause them.
    pub connect_failures: u32,
    /// Share of failures over the last ten seconds that ejects. Default 0.5; a share above 1 switches
    /// this rule off.
    pub failure_share: f64,
    /// An answer that takes longer to begin is slow; `None`: none is. Default `None`.
    pub slow: Option<Duration>,
    /// Share of slow answers over the last ten seconds that ejects. Default 0.5.
    pub slow_share: f64,
    /// Requests within these ten seconds below which their shares are not judged. Default 20.
    pub minimum_volume: u32,
    /// First ejection; the second in short succession lasts twice as long, the third three times.
    /// Default 30 s. Every such time spent without an ejection makes one earlier ejection forgotten.
    pub ejection: Duration,
    /// The same for ejections because connections could not be opened. Default 1 s: an app that is
    /// being restarted should be found again soon.
    pub connect_ejection: Duration,
    /// No ejection lasts longer. Default 5 min.
    pub ejection_max: Duration,
    /// Share of the endpoints that may be ejected at once, rounded down but at least one; an upstream
    /// with a single endpoint never ejects it. Default 0.5. Endpoints that cannot be connected to do
    /// not need the permission: keeping them helps nobody.
    pub ejected_share_max: f64,
    /// With a smaller share of healthy endpoints than this, judgements are ignored and the load goes to
    /// every endpoint that has weight and is not drained, for then the judgement is more likely wrong
    /// than the endpoints are. Proof stays: endpoints that cannot be connected to, or whose probe gets no
    /// valid answer, are left out. Default 0.5; 0 switches panic off.
    pub panic_share: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            connect_failures: 2,
            failure_share: 0.5,
            slow: None,
            slow_share: 0.5,
            minimum_volume: 20,
            ejection: Duration::from_secs(30),
            connect_ejection: Duration::from_secs(1),
            ejection_max: Duration::from_mins(5),
            ejected_share_max: 0.5,
            panic_share: 0.5,
        }
    }
}

impl Settings {
    /// How many of `endpoints` may be ejected at the same time.
    pub(crate) fn ejected_max(&self, endpoints: usize) -> usize {
        if endpoints < 2 {
            return 0;
        }
        ((endpoints as f64 * self.ejected_share_max) as usize).max(1)
    }
}

/// How a try at an endpoint failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Failure {
    /// The connection was refused or could not be opened for another reason.
    Connect,
    /// The connection was not open within the connect timeout.
    ConnectTimeout,
    /// The response did not begin, or did not go on, in time.
    Timeout,
    /// The endpoint closed or reset the connection in the middle.
    Reset,
    /// The endpoint answered with a status from 500 to 599 that counts as its own failure.
    Status5xx,
    /// The response is not valid HTTP.
    Malformed,
}

impl Failure {
    /// One of each variant.
    pub const ALL: [Self; 6] =
        [Self::Connect, Self::ConnectTimeout, Self::Timeout, Self::Reset, Self::Status5xx, Self::Malformed];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Status5xx => "status_5xx",
            Self::Malformed => "malformed",
        }
    }

    /// Whether no connection came about, which proves that the endpoint cannot serve at the moment.
    pub const fn is_proof(self) -> bool {
        matches!(self, Self::Connect | Self::ConnectTimeout)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect failed",
            Self::ConnectTimeout => "connect timed out",
            Self::Timeout => "response timed out",
            Self::Reset => "connection closed in the middle",
            Self::Status5xx => "answered with a server error",
            Self::Malformed => "response is not valid http",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_endpoint_is_never_ejected_and_of_two_one_may_be() {
        let settings = Settings::default();
        let allowed: Vec<usize> = (0..8).map(|endpoints| settings.ejected_max(endpoints)).collect();
        assert_eq!(allowed, [0, 0, 1, 1, 2, 2, 3, 3]);
        let none = Settings { ejected_share_max: 0.0, ..Settings::default() };
        assert_eq!(none.ejected_max(10), 1);
    }
}
