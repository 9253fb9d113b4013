//! Every way in which a request can fail, each under its own name.

use serde::{Deserialize, Serialize};

/// Why a request did not succeed. Counted by name; a run reports each that occurred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The connection was refused.
    Refused,
    /// The target could not be reached: no route, network down, no address or port left on this side.
    Unreachable,
    /// The connection was not established in time.
    ConnectTimeout,
    /// The connection was reset before or within the answer.
    Reset,
    /// The connection ended before the first byte of an answer.
    ClosedEarly,
    /// The connection ended within the answer: a short body, or a head without an end.
    ShortBody,
    /// The answer is not HTTP, or breaks its framing (or, on a WebSocket, its frames).
    Garbage,
    /// No whole answer in time.
    Timeout,
    /// Answered as expected, but later than was expected.
    Late,
    /// The status is not what was expected.
    Status,
    /// A header field is not what was expected.
    Header,
    /// The body is not what was expected: text, JSON value or length.
    Body,
    /// What a later request needs could not be captured from the answer, or a variable has no value.
    Capture,
    /// The WebSocket handshake was answered with something else than 101, or wrongly.
    Handshake,
    /// The WebSocket was closed by the target although the plan still needed it.
    Disconnected,
    /// A message that should have arrived on a WebSocket did not.
    Lost,
    /// It was due, and the run ended before it was sent or answered.
    Unfinished,
}

impl Failure {
    /// Every failure, in the order that reports show them.
    pub const ALL: [Self; 17] = [
        Self::Refused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::Reset,
        Self::ClosedEarly,
        Self::ShortBody,
        Self::Garbage,
        Self::Timeout,
        Self::Late,
        Self::Status,
        Self::Header,
        Self::Body,
        Self::Capture,
        Self::Handshake,
        Self::Disconnected,
        Self::Lost,
        Self::Unfinished,
    ];

    /// Position in [`Failure::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect-timeout",
            Self::Reset => "reset",
            Self::ClosedEarly => "closed-early",
            Self::ShortBody => "short-body",
            Self::Garbage => "garbage",
            Self::Timeout => "timeout",
            Self::Late => "late",
            Self::Status => "status",
            Self::Header => "header",
            Self::Body => "body",
            Self::Capture => "capture",
            Self::Handshake => "handshake",
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
            Self::Unfinished => "unfinished",
        }
    }

    /// What it means and where to look, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Refused => "connection refused: nothing listens there, or its backlog is full",
            Self::Unreachable => "the target could not be reached: no route, or no port left on this side",
            Self::ConnectTimeout => "the connection was not established in time",
            Self::Reset => "the target reset the connection",
            Self::ClosedEarly => "the target closed the connection before it answered",
            Self::ShortBody => "the target closed the connection within an answer",
            Self::Garbage => "the answer was not valid HTTP",
            Self::Timeout => "no whole answer in time",
            Self::Late => "the right answer, but later than expected",
            Self::Status => "another status than expected",
            Self::Header => "another header field than expected",
            Self::Body => "another body than expected",
            Self::Capture => "a value that later requests need was not in the answer",
            Self::Handshake => "the WebSocket handshake failed",
            Self::Disconnected => "the target closed a WebSocket that was still needed",
            Self::Lost => "a message did not arrive",
            Self::Unfinished => "due, but not answered when the run ended",
        }
    }
}
