//! What is asked and what is expected: flows of steps, compiled from a scenario.
//!
//! Requests that are the same each time are bytes from the beginning; the others are templates that are rendered
//! into the caller's buffer without allocating. A [`Script`] is shared by all threads; what differs from user to user
//! is in the user's [`Memory`].

mod check;
mod draft;
mod json;
mod template;
mod token;
mod value;

use std::sync::Arc;

use fastrand::Rng;
use wire::{Method, ResponseHead, encode};

use crate::Nanos;
use crate::failure::Failure;
use crate::plan::Pause;

pub use check::{BodyRule, Capture, Expect, From, HeaderRule, MAX_CAPTURED_BYTES, Wanted};
pub(crate) use draft::inferred_type;
pub use draft::{Body, Draft, Request, TooMany};
pub use json::Pointer;
pub use template::{BadTemplate, Encoding, Template};
pub use token::{Algorithm, Secret};
pub use value::{Memory, Order, Source, Table};

/// All flows with their variables. One user goes through one flow at a time.
#[derive(Clone, Debug)]
pub struct Script(Arc<Compiled>);

/// A text with variables in it.
#[derive(Clone, Debug)]
pub struct Text(Template);

impl Text {
    /// What stands in a rendered text where a mark belongs; whoever sends the text puts the mark there.
    pub const MARK: &'static str = "{{mark}}";

    /// Whether a mark belongs into it.
    pub fn has_mark(&self) -> bool {
        self.0.fixed_parts().any(|part| memchr::memmem::find(part, Self::MARK.as_bytes()).is_some())
    }
}

/// Which step of which flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// Position in the script's flows.
    pub flow: u16,
    /// Position in the flow's steps.
    pub step: u16,
}

/// What the engine has to know of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Position among all steps of all flows, as in [`Script::step_names`].
    pub index: u16,
    /// The method, for the framing of the answer.
    pub method: Method,
    /// Whether [`Script::judge`] wants to see the body; else it is counted and thrown away.
    pub wants_body: bool,
    /// Later than this, an answer is [`Failure::Late`].
    pub within: Nanos,
    /// How long the user waits after this step.
    pub think: Pause,
    /// Whether this is the last step of its flow.
    pub is_last: bool,
}

/// A script as it is kept.
#[derive(Debug)]
struct Compiled {
    flows: Box<[Flow]>,
    /// All steps of all flows, one flow after the other.
    steps: Box<[Step]>,
    values: value::Values,
}

#[derive(Debug)]
struct Flow {
    /// Sum of the weights of the flows up to and with this one.
    weight_up_to: u64,
    /// Position of its first step.
    first: u16,
}

#[derive(Debug)]
struct Step {
    name: String,
    facts: Facts,
    request: Prepared,
    expect: Expect,
    captures: Box<[Capture]>,
}

/// A request in the form in which it costs least to send.
#[derive(Debug)]
enum Prepared {
    /// The same bytes each time.
    Fixed(Box<[u8]>),
    /// A head with variables, the body (if any) within it, its length known.
    Whole(Template),
    /// A head without its end, and a body whose length is known only once it is rendered.
    Measured { head: Template, body: Template },
}

impl Script {
    /// The names of all steps, in the order of their index.
    pub fn step_names(&self) -> Vec<String> {
        self.0.steps.iter().map(|step| step.name.clone()).collect()
    }

    /// What the engine has to know of a step.
    pub fn facts(&self, at: At) -> Facts {
        self.step(at).facts
    }

    /// Begins a flow: one is drawn by weight, and the values that are new for each flow are taken (CSV row, counter)
    /// or will be drawn where they are first put in (random numbers, choices, UUIDs). `arrival` is the number of the flow over all parts, which makes rows and counters unique.
    pub fn begin(&self, arrival: u64, rng: &mut Rng, memory: &mut Memory) -> At {
        self.0.values.renew(arrival, rng, memory);
        let flow = match &*self.0.flows {
            [] | [_] => 0,
            flows => {
                let drawn = rng.u64(..flows.last().map_or(1, |flow| flow.weight_up_to));
                flows.partition_point(|flow| flow.weight_up_to <= drawn)
            }
        };
        At { flow: flow as u16, step: 0 }
    }

    /// The bytes of a request that is the same each time; `None` when it has to be rendered.
    pub fn fixed(&self, at: At) -> Option<&[u8]> {
        match &self.step(at).request {
            Prepared::Fixed(bytes) => Some(bytes),
            Prepared::Whole(_) | Prepared::Measured { .. } => None,
        }
    }

    /// Appends the request to `out`: head and body, ready to be sent. `unix_s`: for the times in tokens.
    ///
    /// # Errors
    /// [`Failure::Capture`] when a variable has no value yet. What `out` holds then is of no use.
    pub fn render(
        &self,
        at: At,
        memory: &mut Memory,
        rng: &mut Rng,
        unix_s: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let values = &self.0.values;
        match &self.step(at).request {
            Prepared::Fixed(bytes) => out.extend_from_slice(bytes),
            Prepared::Whole(template) => values.render(template, memory, rng, unix_s, out)?,
            Prepared::Measured { head, body } => {
                values.render(head, memory, rng, unix_s, out)?;
                let length_at = out.len();
                out.extend_from_slice(b"\r\n\r\n");
                let body_at = out.len();
                values.render(body, memory, rng, unix_s, out)?;
                insert_decimal(out, length_at, out.len() - body_at);
            }
        }
        Ok(())
    }

    /// Appends a text to `out`, with random values drawn for it alone; where a mark belongs, [`Text::MARK`] stands.
    ///
    /// # Errors
    /// [`Failure::Capture`] when a variable has no value yet.
    pub fn render_text(
        &self,
        text: &Text,
        memory: &mut Memory,
        rng: &mut Rng,
        unix_s: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.0.values.forget(memory);
        self.0.values.render(&text.0, memory, rng, unix_s, out)
    }

    /// Judges an answer and captures from it what later steps need. `head` was parsed from `buf`; `body` is the
    /// payload when [`Facts::wants_body`], else empty; `body_bytes` its length in any case.
    ///
    /// # Errors
    /// What is not as expected: [`Failure::Status`], [`Failure::Header`], [`Failure::Body`], in this order, and
    /// [`Failure::Capture`] when there was nothing to capture.
    pub fn judge(
        &self,
        at: At,
        head: &ResponseHead,
        buf: &[u8],
        body: &[u8],
        body_bytes: u64,
        memory: &mut Memory,
    ) -> Result<(), Failure> {
        let step = self.step(at);
        step.expect.judge(head, buf, body, body_bytes)?;
        for capture in &step.captures {
            let place = self.0.values.place(capture.variable);
            memory.capture(place, self.0.values.places(), |out| capture.take(head, buf, body, out))?;
        }
        Ok(())
    }

    fn step(&self, at: At) -> &Step {
        &self.0.steps[usize::from(self.0.flows[usize::from(at.flow)].first + at.step)]
    }
}

/// Puts a number between the bytes before and after `at`, without allocating.
fn insert_decimal(out: &mut Vec<u8>, at: usize, number: usize) {
    let end = out.len();
    encode::decimal(out, number as u64);
    let digits = out.len() - end;
    out[at..].rotate_right(digits);
}
