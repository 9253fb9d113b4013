//! What a queue needs besides the settings that traffic decides by.

use traffic::queue::Priority;

use crate::plan::RequestKey;

/// How requests are told apart in an upstream's queue, and what is told of their wait.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queue {
    /// Requests that differ in this take turns.
    pub fair_by: Option<RequestKey>,
    /// Clients are told how long their request waited.
    pub server_timing: bool,
}

/// How much the requests of a route matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrioritySource {
    /// All of them so much.
    Fixed(Priority),
    /// As much as this header says (lower-case name); normal where it says nothing known.
    Header(String),
}
