//! How much memory an idle client connection holds.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::problem::{OrProblem, Problem};

use super::correctness::Client;
use super::peer::Running;
use super::procfs;

/// Opens the connections one after the other, lets each make one request, and returns by how many bytes per connection
/// the server has grown.
///
/// The requests come one at a time, so the upstream needs one connection and what is counted belongs to the clients.
pub(crate) fn bytes_per_connection(running: &Running, connections: u32) -> Result<f64, Problem> {
    raise_descriptor_limit(u64::from(connections) + 100)?;
    // What the server sets up once, with its first requests, belongs to no connection.
    for _ in 0..100 {
        Client::connect(running.port)?.touch()?;
    }
    let before = procfs::resident_bytes(running.process.id())?;
    let mut clients = Vec::with_capacity(connections as usize);
    for count in 0..connections {
        let mut client = Client::connect(running.port)?;
        client.touch().map_err(|problem| {
            Problem::new(format!("{}: connection {count} of {connections}: {problem}", running.peer.name()))
        })?;
        clients.push(client);
    }
    // Collectors and timers of the server get their turn.
    std::thread::sleep(Duration::from_secs(1));
    let after = procfs::resident_bytes(running.process.id())?;
    // A server that closed some of them to save memory would look good for the wrong reason.
    for client in clients.iter_mut().step_by(97) {
        client.touch().map_err(|problem| {
            Problem::new(format!("{}: an idle connection did not live: {problem}", running.peer.name()))
        })?;
    }
    Ok((after as f64 - before as f64) / f64::from(connections))
}

/// Lets this process open so many files.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> Result<(), Problem> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < wanted) {
        return Err(Problem::new(format!("{wanted} open files are needed and {maximum:?} allowed"))
            .help("raise the limit with `ulimit -Hn`"));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).problem("allow more open files")
}
