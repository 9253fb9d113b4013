//! What the processes of a run say to each other: one JSON value on a line.

use std::io::{self, BufRead, Write};
use std::net::IpAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::usage::Usage;
use crate::plan::Stage;
use crate::record::Record;

/// From the process that leads.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Get ready for this.
    Prepare(Share),
    /// The run begins at this time of CLOCK_MONOTONIC, in nanoseconds.
    Begin(u64),
    /// The run ends now.
    Stop,
}

/// The share of a run that one process has. Everything else of the plan follows from the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Share {
    /// Threads of this process.
    pub(super) threads: u32,
    /// Index of its first thread among those of all processes.
    pub(super) first: u32,
    /// Threads of all processes.
    pub(super) of: u32,
    /// As in the plan; a trial of a search has its own.
    pub(super) stages: Vec<Stage>,
    /// As in the plan; a trial of a search has its own.
    pub(super) grace: Duration,
    /// Local addresses to connect from.
    pub(super) sources: Vec<IpAddr>,
}

/// From a process that has a share.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// All threads wait for the beginning.
    Ready,
    /// What happened since the last one.
    Recorded(Box<Record>),
    /// A thread was lost; its number in this process counts from 1.
    Lost(u32, String),
    /// The share is done.
    Done(Usage),
    /// The share cannot be done, and why.
    Failed(String),
}

/// Writes a message and sends it off.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads the next message; `None` when the other side has gone.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() -> io::Result<()> {
        let share = Share {
            threads: 2,
            first: 4,
            of: 8,
            stages: vec![Stage {
                name: "up".to_owned(),
                duration: Duration::from_millis(1_500),
                from: 0.1,
                to: 1.0 / 3.0,
            }],
            grace: Duration::from_secs(1),
            sources: vec![IpAddr::from([127, 0, 0, 2])],
        };
        let mut bytes = Vec::new();
        send(&mut bytes, &Order::Prepare(share.clone()))?;
        send(&mut bytes, &Order::Begin(u64::MAX))?;
        let mut from = bytes.as_slice();
        let Some(Order::Prepare(read)) = receive(&mut from)? else { panic!("another order") };
        assert_eq!((read.stages, read.sources, read.of), (share.stages, share.sources, share.of));
        assert!(matches!(receive(&mut from)?, Some(Order::Begin(u64::MAX))));
        assert!(receive::<Order>(&mut from)?.is_none());
        Ok(())
    }

    #[test]
    fn garbage_is_an_error_and_no_message() {
        assert!(receive::<Word>(&mut &b"Segmentation fault\n"[..]).is_err());
    }
}
