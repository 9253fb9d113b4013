//! What a threshold can ask about, and the names of it.

use std::fmt;

use crate::failure::Failure;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Metric {
    /// Share of requests that succeeded.
    Success,
    /// Requests that failed, or their share.
    Failures,
    /// Requests per second that succeeded while load was being made.
    Rate,
    /// Requests that came to an end.
    Requests,
    /// A figure of a distribution of times.
    Time(Group, Stat),
    /// Requests that failed in this way.
    Failure(Failure),
    /// Answers with this status.
    Status(u16),
    /// Something else that is counted.
    Counted(Counted),
}

/// Which times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    Response,
    Service,
    Connect,
    Lag,
    Delivery,
}

/// Which figure of a distribution.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Stat {
    Mean,
    Min,
    Max,
    /// More than 0 and less than 100.
    Percentile(f64),
}

/// What is counted beside requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counted {
    Lost,
    Duplicated,
    Reordered,
    Disconnected,
    Open,
}

/// What values of a metric look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Time,
    Share,
    Rate,
    Count,
    CountOrShare,
}

/// What a metric can be asked of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// The whole run, or one step.
    Step,
    /// The whole run only.
    Run,
}

impl Group {
    /// Those that are written before a dot; response times are meant where nothing is.
    pub(super) const NAMED: [Self; 4] = [Self::Service, Self::Connect, Self::Lag, Self::Delivery];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Connect => "connect",
            Self::Lag => "lag",
            Self::Delivery => "delivery",
        }
    }
}

impl Counted {
    pub(super) const ALL: [Self; 5] =
        [Self::Lost, Self::Duplicated, Self::Reordered, Self::Disconnected, Self::Open];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Disconnected => "disconnected",
            Self::Open => "open",
        }
    }
}

impl Metric {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Success => Kind::Share,
            Self::Failures => Kind::CountOrShare,
            Self::Rate => Kind::Rate,
            Self::Time(..) => Kind::Time,
            Self::Requests | Self::Failure(_) | Self::Status(_) | Self::Counted(_) => Kind::Count,
        }
    }

    /// The metric of a name; `None` when there is none.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "success" => return Some(Self::Success),
            "failures" => return Some(Self::Failures),
            "rate" => return Some(Self::Rate),
            "requests" => return Some(Self::Requests),
            _ => {}
        }
        if let Some(counted) = Counted::ALL.into_iter().find(|counted| counted.name() == name) {
            return Some(Self::Counted(counted));
        }
        // The dot of `p99.9` is not the one behind a group, so a figure alone comes first.
        if let Some(stat) = Stat::named(name) {
            return Some(Self::Time(Group::Response, stat));
        }
        let (group, rest) = name.split_once('.')?;
        match group {
            "failure" => Failure::ALL.into_iter().find(|failure| failure.name() == rest).map(Self::Failure),
            "status" => {
                let is_status = rest.len() == 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
                rest.parse().ok().filter(|status| is_status && *status >= 100).map(Self::Status)
            }
            _ => {
                let group = Group::NAMED.into_iter().find(|known| known.name() == group)?;
                Stat::named(rest).map(|stat| Self::Time(group, stat))
            }
        }
    }

    /// Every name, one for each kind of figure, to find the nearest to a wrong one.
    pub(super) fn names() -> Vec<String> {
        let stats = ["mean", "min", "max", "p50", "p90", "p95", "p99", "p99.9"];
        let mut names: Vec<String> =
            ["success", "failures", "rate", "requests"].into_iter().chain(stats).map(str::to_owned).collect();
        names.extend(Counted::ALL.iter().map(|counted| counted.name().to_owned()));
        for group in Group::NAMED {
            names.extend(stats.iter().map(|stat| format!("{}.{stat}", group.name())));
        }
        names.extend(Failure::ALL.iter().map(|failure| format!("failure.{}", failure.name())));
        names.push("status.503".to_owned());
        names
    }
}

impl Stat {
    fn named(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => {
                let digits = name.strip_prefix('p')?;
                let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
                    && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let percent: f64 = digits.parse().ok().filter(|_| is_number && !digits.ends_with('.'))?;
                (percent > 0.0 && percent < 100.0).then_some(Self::Percentile(percent))
            }
        }
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => out.write_str("mean"),
            Self::Min => out.write_str("min"),
            Self::Max => out.write_str("max"),
            Self::Percentile(percent) => write!(out, "p{percent}"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => out.write_str("success"),
            Self::Failures => out.write_str("failures"),
            Self::Rate => out.write_str("rate"),
            Self::Requests => out.write_str("requests"),
            Self::Time(Group::Response, stat) => write!(out, "{stat}"),
            Self::Time(group, stat) => write!(out, "{}.{stat}", group.name()),
            Self::Failure(failure) => write!(out, "failure.{}", failure.name()),
            Self::Status(status) => write!(out, "status.{status}"),
            Self::Counted(counted) => out.write_str(counted.name()),
        }
    }
}
