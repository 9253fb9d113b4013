//! What a run does: everything that was written or left out in a scenario or on the command line, resolved.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::script::Script;
use crate::threshold::Threshold;

/// A run, ready to be carried out. Every process and thread of a run holds the same plan and does its part of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Shown in reports.
    pub name: String,
    /// Who is asked.
    pub target: Target,
    /// What makes a request due.
    pub model: Model,
    /// How much is asked, one stage after another. Never empty.
    pub stages: Vec<Stage>,
    /// Most requests in all, whatever the stages say (`-n`). `None`: the stages alone decide.
    pub requests: Option<u64>,
    /// What is asked.
    pub work: Work,
    /// Users, each with one connection and a memory of its own.
    pub users: Users,
    /// Whether a connection carries more than one request.
    pub keep_alive: bool,
    /// Local addresses to connect from, in turn. Empty: the system chooses.
    pub sources: Vec<IpAddr>,
    /// Longest time from sending a request (or beginning to connect) to the end of its answer.
    pub timeout: Duration,
    /// How long after the last stage answers are still waited for. What is open then is [`Failure::Unfinished`].
    ///
    /// [`Failure::Unfinished`]: crate::failure::Failure::Unfinished
    pub grace: Duration,
    /// What has to hold for the run to pass. Never empty.
    pub thresholds: Vec<Threshold>,
    /// Seed of everything random, the same in all processes; each thread derives its own from it.
    pub seed: u64,
}

impl Plan {
    /// The names of all steps, in the order of their index.
    pub fn step_names(&self) -> Vec<String> {
        match &self.work {
            Work::Http(script) => script.step_names(),
            Work::Sockets(sockets) => sockets.script.step_names(),
        }
    }
}

/// Who is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// As it was written, without path: `http://127.0.0.1:8080`.
    pub origin: String,
    /// The Host field: host, and port where it is not the scheme's own.
    pub authority: String,
    /// Resolved addresses, used in turn. Never empty.
    pub addresses: Vec<SocketAddr>,
    /// How bytes travel.
    pub transport: Transport,
}

impl Target {
    /// Whether every address is one of this machine (127.0.0.0/8, ::1).
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }
}

/// How bytes travel. TLS joins here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Plain TCP.
    Plain,
}

/// What makes a request due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// The schedule, whatever the target does. Latency counts from the due time.
    Open(Spacing),
    /// The answer before, and the user's think time. Latency counts from the moment of sending.
    Closed,
}

/// How the due times of the open model lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spacing {
    /// As evenly as the rate allows.
    Even,
    /// At random, as independent people arrive (Poisson process).
    Poisson,
}

/// A part of a run. The level goes in a straight line from `from` to `to`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// Shown in the live view and the reports.
    pub name: String,
    /// How long.
    pub duration: Duration,
    /// At its beginning: requests (or flows) per second in the open model, users in the closed one, open
    /// connections with sockets.
    pub from: f64,
    /// At its end.
    pub to: f64,
}

/// How many users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Users {
    /// As many as it takes, up to this: a connection is opened when all others are busy.
    UpTo(u32),
    /// Exactly so many, all connected from the beginning, taking turns. Closed model: the stages decide, and this is
    /// their maximum.
    Exactly(u32),
}

impl Users {
    /// The largest number of users at any time.
    pub const fn most(self) -> u32 {
        match self {
            Self::UpTo(users) | Self::Exactly(users) => users,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Work {
    /// Requests over HTTP/1.1.
    Http(Script),
    /// WebSockets that are opened and held.
    Sockets(Sockets),
}

/// A load of WebSockets. The stages of the plan say how many are open at a time.
#[derive(Clone, Debug)]
pub struct Sockets {
    /// One flow of one step: the handshake's path and fields; and the variables of the texts below.
    pub script: Script,
    /// Texts that every socket sends as soon as it is open, in this order.
    pub hello: Vec<crate::script::Text>,
    /// A text that has to be contained in some message before the socket counts as open (a welcome). Empty: the 101
    /// is enough.
    pub welcome: Option<String>,
    /// What is sent from time to time.
    pub send: Option<Send>,
    /// Sudden loss of connections in the middle of the run, which then all come back at once.
    pub storm: Option<Storm>,
}

/// Messages that sockets send.
#[derive(Clone, Debug)]
pub struct Send {
    /// The text; `{{mark}}` in it is replaced by a mark by which receivers know sender, number and time.
    pub text: crate::script::Text,
    /// Time between two messages of one socket, drawn evenly from this range.
    pub every: Pause,
    /// How many of the sockets send. The first ones, spread over threads and processes. `None`: all.
    pub senders: Option<u32>,
    /// Who should receive each message.
    pub receivers: Receivers,
}

/// Who should receive a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receivers {
    /// Nobody in particular; what arrives is counted.
    Anyone,
    /// The sender alone (echo, or a pong of the application).
    Sender,
    /// Every open socket, its sender included.
    All,
    /// Every open socket but its sender.
    Others,
}

/// A reconnect storm.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Storm {
    /// When, from the beginning of the run.
    pub at: Duration,
    /// Which share of the open sockets is cut, 0 to 1.
    pub share: f64,
    /// Within which time they all come back.
    pub within: Duration,
}

/// A time that is drawn anew each time, evenly between two bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pause {
    /// At least.
    pub least: Duration,
    /// At most.
    pub most: Duration,
}

/// The part of a plan that one thread carries out: arrivals, users and sockets with `index` modulo `of`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// 0 to `of` - 1.
    pub index: u32,
    /// Threads of all processes.
    pub of: u32,
}

impl Part {
    /// How many of `total` things fall to this part.
    pub const fn share(self, total: u32) -> u32 {
        total / self.of + (self.index < total % self.of) as u32
    }
}
