//! What is asked and what is expected: flows of steps, compiled from a scenario.

use fastrand::Rng;
use wire::ResponseHead;

use crate::failure::Failure;
use crate::plan::Pause;

/// All flows with their variables. One user goes through one flow at a time.
#[derive(Clone, Debug)]
pub struct Script {}

/// A text with variables in it.
#[derive(Clone, Debug)]
pub struct Text {}

/// Which step of which flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// Position in the script's flows.
    pub flow: u16,
    /// Position in the flow's steps.
    pub step: u16,
}

/// What one user remembers: the values of variables, captured ones among them. Small, and empty for scripts
/// without variables.
#[derive(Clone, Debug, Default)]
pub struct Memory {}

/// What the engine has to know of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Position among all steps of all flows, as in [`Script::step_names`].
    pub index: u16,
    /// The method, for the framing of the answer.
    pub method: wire::Method,
    /// Whether [`Script::judge`] wants to see the body; else it is counted and thrown away.
    pub wants_body: bool,
    /// How long the user waits after this step.
    pub think: Pause,
    /// Whether this is the last step of its flow.
    pub is_last: bool,
}

impl Script {
    /// The names of all steps, in the order of their index.
    pub fn step_names(&self) -> Vec<String> {
        todo!()
    }

    /// What the engine has to know of a step.
    pub fn facts(&self, _at: At) -> Facts {
        todo!()
    }

    /// Begins a flow: one is drawn by weight, and the values that are new for each flow are drawn (CSV row, random
    /// numbers, counter). `arrival` is the number of the flow over all parts, which makes rows and counters unique.
    pub fn begin(&self, _arrival: u64, _rng: &mut Rng, _memory: &mut Memory) -> At {
        todo!()
    }

    /// The bytes of a request that is the same each time; `None` when it has to be rendered.
    pub fn fixed(&self, _at: At) -> Option<&[u8]> {
        todo!()
    }

    /// Appends the request to `out`: head and body, ready to be sent. `unix_s`: for the times in tokens.
    pub fn render(
        &self,
        _at: At,
        _memory: &mut Memory,
        _rng: &mut Rng,
        _unix_s: u64,
        _out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        todo!()
    }

    /// Appends a text to `out`.
    pub fn render_text(
        &self,
        _text: &Text,
        _memory: &mut Memory,
        _rng: &mut Rng,
        _unix_s: u64,
        _out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        todo!()
    }

    /// Judges an answer and captures from it what later steps need. `head` was parsed from `buf`; `body` is the
    /// payload when [`Facts::wants_body`], else empty; `body_bytes` its length in any case.
    pub fn judge(
        &self,
        _at: At,
        _head: &ResponseHead,
        _buf: &[u8],
        _body: &[u8],
        _body_bytes: u64,
        _memory: &mut Memory,
    ) -> Result<(), Failure> {
        todo!()
    }
}
