//! `[upstream.NAME.queue]`: how many requests an upstream has at once, and who waits for how long.

use schemars::json_schema;
use toml::de::DeValue;

use crate::field::is_token;
use crate::file::KeySource;
use crate::read::{Read, Reader, Value};
use crate::table::{table, words};
use crate::value::{Count, Share, Time, inline_schema};

table! {
    /// How many requests an upstream has at once, and who waits for how long. What is asked beyond that would only wait
    /// inside the app, where nobody looks after it.
    pub struct Queue {
        /// Requests that one endpoint has at once: a number, which streams and tunnels count for too, or `"auto"`, which
        /// finds out how many do good. There, a response whose head has come takes no slot any more.
        concurrency: Slots => default("auto"),
        /// Most requests that wait, those included that are held while every endpoint is down; past it 503.
        limit: Count<0, 1_000_000> => default(1000),
        /// Longest wait for a slot; past it 503.
        timeout: Time<1> => default("5s"),
        /// The longest wait once the queue has not been empty for `interval`, for then more is asked than the app can
        /// answer, and waiting longer helps nobody. Never less than an answer takes.
        target: Time<1> => default("100ms"),
        /// How long the queue may be in use before `target` holds instead of `timeout`: bursts are over by then.
        interval: Time<1> => default("1s"),
        /// Who goes first while that is so.
        order: QueueOrder => default("first"),
        /// Requests that differ in this take turns, so that one who asks for more than the others does not slow them
        /// down: `"header:x-tenant-id"`, `"client"`, `"tenant"` and so on. Without the key a request counts by its client.
        fair_by: KeySource => absent("nobody takes turns"),
        /// Share of the slots, rounded down, that only critical requests take, for as long as there are some.
        reserve: Share => default(0.1),
        /// Tell clients how long their request waited: `Server-Timing: queue;dur=12.3`, in milliseconds.
        server_timing: bool => default(false),
    }
}

words! {
    /// Who goes first while more is asked than the app can answer.
    pub enum QueueOrder {
        /// Who came first.
        First = "first",
        /// Who came last, for the client of who came first may be gone.
        Newest = "newest",
    }
}

/// Slots per endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slots {
    /// As many as do good.
    Auto,
    /// This many.
    Fixed(u32),
}

impl Read for Slots {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::String(text) if text == "auto") {
            return Some(Self::Auto);
        }
        Count::<1, 100_000>::read(reader, value).map(|count| Self::Fixed(count.0 as u32))
    }
}

/// How much the requests of a route matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrioritySource {
    /// All of them so much.
    Fixed(traffic::queue::Priority),
    /// As much as this header says (lower-case name).
    Header(String),
}

impl Read for PrioritySource {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "\"critical\", \"normal\", \"low\" or \"header:NAME\"")?;
        let named = traffic::queue::Priority::ALL.into_iter().find(|priority| priority.code() == text);
        let source = match (named, text.strip_prefix("header:")) {
            (Some(priority), _) => Some(Self::Fixed(priority)),
            (None, Some(name)) if is_token(name) => Some(Self::Header(name.to_ascii_lowercase())),
            _ => None,
        };
        if source.is_none() {
            let help = "write \"critical\", \"normal\", \"low\" or \"header:NAME\"";
            reader.mistake(value.span(), format_args!("\"{text}\" is no priority"), help);
        }
        source
    }
}

inline_schema! {
    [] Slots, "Slots" => json_schema!({
        "title": "1 to 100000 or \"auto\"",
        "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 100_000 }, { "type": "string", "pattern": r"^auto$|\$\{" }],
    });
    [] PrioritySource, "PrioritySource" => json_schema!({
        "type": "string", "title": "priority", "examples": ["critical", "normal", "low", "header:x-priority"],
    });
}
