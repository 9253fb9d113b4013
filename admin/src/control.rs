//! What the admin listener asks of the process: implemented by the binary, which knows the parts.

use core::fmt::{self, Write as _};
use core::net::IpAddr;
use core::pin::Pin;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use signals::{Observed, Reload};

use crate::stored::{Entries, PurgeOrder};

/// What the process can be asked and told. Calls come from the admin listener's tasks and must not block for long,
/// but where it is said that they may.
pub trait Control: Observed + Send + Sync + 'static {
    /// Why the process takes no traffic; empty when it does.
    fn not_ready(&self) -> Vec<NotReady>;

    /// Addresses that are listened on, as bound.
    fn listeners(&self) -> Vec<String>;

    /// Loads the configuration anew. The implementation counts the result with
    /// [`Signals::reloaded`](signals::Signals::reloaded), because reloads come from elsewhere too.
    fn reload(&self) -> Reloading<'_>;

    /// Takes the endpoint out of service, or lets it back in when `is_on` is false. What is in flight goes on.
    ///
    /// # Errors
    /// There is no such upstream or endpoint.
    fn drain(&self, upstream: &str, endpoint: &str, is_on: bool) -> Result<Drain, DrainRefused>;

    /// Says what would be done with a request.
    ///
    /// # Errors
    /// What is wrong with the question, for people.
    fn explain(&self, question: &Question) -> Result<Explanation, String>;

    /// Switches a surge on or off; what has happened, for people. May take its time, as may the next three: they are
    /// called where that holds nothing up.
    ///
    /// # Errors
    /// What is wrong with the order, for people.
    fn surge(&self, order: &SurgeOrder) -> Result<String, String>;

    /// Takes entries out of the cache, or makes them stale; how many they were.
    ///
    /// # Errors
    /// What is wrong with the order, for people.
    fn purge(&self, order: &PurgeOrder) -> Result<u64, String>;

    /// Entries of the cache, those whose URL begins with `prefix`, at most so many: those in memory first. Blocks.
    ///
    /// # Errors
    /// What is wrong with the prefix, for people.
    fn stored(&self, prefix: Option<&str>, most: usize) -> Result<Entries, String>;

    /// The entries that were hit most, the first one first; behind them those on disk, whose hits nobody knows. Blocks.
    fn top(&self, most: usize) -> Entries;
}

/// Why the process takes no traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotReady {
    /// Not every listener is open yet.
    Starting,
    /// The process has been told to stop and finishes what is in flight.
    Draining,
}

impl NotReady {
    /// The word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Draining => "draining",
        }
    }

    /// The sentence for people.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Starting => "not every listener is open yet",
            Self::Draining => "told to stop, finishing what is in flight",
        }
    }
}

/// A reload on its way.
pub type Reloading<'a> = Pin<Box<dyn Future<Output = Reloaded> + Send + 'a>>;

/// What became of a reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reloaded {
    /// Whether it was put into force.
    pub result: Reload,
    /// What changed, or the diagnostics that say what is wrong.
    pub text: String,
}

/// An endpoint was taken out of service, or let back in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drain {
    /// False when it was in that state before.
    pub is_changed: bool,
    /// Requests that are still at the endpoint.
    pub in_flight: u64,
}

/// Why an endpoint cannot be drained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DrainRefused {
    /// No upstream has this name.
    NoUpstream {
        /// Names of those that there are.
        known: Vec<String>,
    },
    /// The upstream has no endpoint of this address.
    NoEndpoint {
        /// Addresses of those that it has.
        known: Vec<String>,
    },
}

impl DrainRefused {
    /// The word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoUpstream { .. } => "no_upstream",
            Self::NoEndpoint { .. } => "no_endpoint",
        }
    }

    /// What is wrong, for people, given the names that were asked for.
    pub fn what(&self, upstream: &str, endpoint: &str) -> String {
        let list = |known: &[String]| match known {
            [] => "there are none".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        match self {
            Self::NoUpstream { known } => format!("no upstream is called {upstream:?}; {}", list(known)),
            Self::NoEndpoint { known } => {
                format!("upstream {upstream:?} has no endpoint {endpoint:?}; {}", list(known))
            }
        }
    }
}

/// What is to become of surges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SurgeOrder {
    /// One is on.
    On {
        /// Which; the only one that there is, if it is not said.
        profile: Option<String>,
        /// It ends by itself after so long.
        lasts: Option<Duration>,
    },
    /// None is on.
    Off,
}

/// A request that nobody sent, to be explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Its method.
    pub method: String,
    /// Its URL, with scheme and host.
    pub url: String,
    /// Its other header fields, in order.
    pub headers: Vec<(String, String)>,
    /// Address of the client who would ask; this machine's own if none is given.
    pub client: Option<IpAddr>,
}

/// What would be done with a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The decisions, in their order.
    pub steps: Vec<Step>,
}

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What is decided: `request`, `route`, `guard`, `cache`, `upstream`, `endpoint`, `answer`.
    pub stage: String,
    /// How, and why.
    pub text: String,
}

impl fmt::Display for Explanation {
    /// One line per decision; the stage is said when it changes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.stage.chars().count()).max().unwrap_or(0);
        let mut said = "";
        for step in &self.steps {
            let stage = if step.stage == said { "" } else { &step.stage };
            writeln!(f, "{stage:width$}  {}", step.text)?;
            said = &step.stage;
        }
        Ok(())
    }
}

impl Drain {
    /// What happened, for people.
    pub fn what(self, upstream: &str, endpoint: &str, is_on: bool) -> String {
        let mut text = format!("{upstream}/{endpoint} ");
        text.push_str(match (is_on, self.is_changed) {
            (true, true) => "takes no new requests",
            (true, false) => "was draining already",
            (false, true) => "takes requests again",
            (false, false) => "was not draining",
        });
        if is_on {
            let plural = if self.in_flight == 1 { "" } else { "s" };
            let _ = write!(text, "; {} request{plural} in flight", self.in_flight);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_says_each_stage_once() {
        let step = |stage: &str, text: &str| Step { stage: stage.to_owned(), text: text.to_owned() };
        let steps = vec![step("request", "GET /"), step("route", "a: no"), step("route", "b: yes")];
        assert_eq!(
            Explanation { steps }.to_string(),
            "request  GET /\n\
             route    a: no\n         b: yes\n"
        );
    }

    #[test]
    fn a_drain_says_what_is_still_in_flight() {
        let what = |is_changed, in_flight, is_on| Drain { is_changed, in_flight }.what("app", "a:1", is_on);
        assert_eq!(what(true, 1, true), "app/a:1 takes no new requests; 1 request in flight");
        assert_eq!(what(false, 2, true), "app/a:1 was draining already; 2 requests in flight");
        assert_eq!(what(true, 2, false), "app/a:1 takes requests again");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let refused = DrainRefused::NoUpstream { known: vec!["api".to_owned(), "app".to_owned()] };
        assert_eq!(refused.what("ap", "x"), "no upstream is called \"ap\"; there are: api, app");
        let refused = DrainRefused::NoEndpoint { known: Vec::new() };
        assert_eq!(refused.what("app", "x"), "upstream \"app\" has no endpoint \"x\"; there are none");
    }
}
