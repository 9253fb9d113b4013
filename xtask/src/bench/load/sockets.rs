//! 100,000 WebSockets at once, held by several processes on both sides, and the memory that they take.

use std::path::Path;
use std::process::Command;

use crate::problem::{OrProblem, Problem};
use crate::shell;

use super::super::generator::OWN_REPORT;
use super::super::process::{Process, free_port, pinned};
use super::{Built, GENERATOR_CORE, ORIGIN_CORE};

/// Connections that are to be open at the same time.
pub(super) const CONNECTIONS: u64 = 100_000;
/// Processes of the origin. They share one port, and the kernel spreads connections over them nearly evenly; each may
/// open 20,000 files.
const ORIGINS: u32 = 8;

/// What was held.
pub(super) struct Held {
    /// Most sockets that were open at a time.
    pub(super) open: u64,
    pub(super) not_opened: u64,
    pub(super) disconnected: u64,
    /// Messages that came back, of those that were sent.
    pub(super) delivered: u64,
    pub(super) published: u64,
    pub(super) processes: u64,
    /// Resident memory of all processes of the generator, per open socket.
    pub(super) bytes_per_connection: f64,
}

/// Opens them all, holds them, and closes them.
pub(super) fn hold(built: &Built, scratch: &Path) -> Result<Held, Problem> {
    println!("\n{CONNECTIONS} WebSockets");
    let port = free_port()?;
    let mut origins = Vec::new();
    for at in 0..ORIGINS {
        let log = scratch.join(format!("origin-{at}.log"));
        let mut command = pinned(ORIGIN_CORE, &built.origin)?;
        command.arg(format!("127.0.0.1:{port}"));
        let mut origin = Process::start(command, "the origin", &log)?;
        origin.wait_for_port(port, &log)?;
        origins.push(origin);
    }
    let scenario = scratch.join("sockets.toml");
    std::fs::write(&scenario, text(port)).problem("write a scenario")?;
    let report = scratch.join(OWN_REPORT);
    let mut command: Command = pinned(GENERATOR_CORE, &built.tidegate)?;
    command.args(["load", "--quiet", "--json"]).arg(&report).arg(&scenario);
    shell::capture(&mut command)?;
    drop(origins);

    let json = std::fs::read_to_string(&report).problem("read the report of tidegate load")?;
    let json: serde_json::Value = serde_json::from_str(&json).problem("read the report of tidegate load")?;
    let number = |path: &str| {
        let value = json.pointer(path).and_then(serde_json::Value::as_u64);
        value.ok_or_else(|| Problem::new(format!("the report of tidegate load has no {path}")))
    };
    let open = number("/sockets/most_open")?;
    let held = Held {
        open,
        not_opened: number("/sockets/not_opened")?,
        disconnected: number("/sockets/disconnected")?,
        delivered: number("/sockets/delivered")?,
        published: number("/sockets/published")?,
        processes: number("/generator/processes")?,
        bytes_per_connection: number("/generator/resident_bytes")? as f64 / open.max(1) as f64,
    };
    println!(
        "  {} open at a time by {} processes, {:.2} KiB each, {} not opened, {} lost, {} of {} messages came back",
        held.open,
        held.processes,
        held.bytes_per_connection / 1024.0,
        held.not_opened,
        held.disconnected,
        held.delivered,
        held.published
    );
    Ok(held)
}

/// Opens all of them within 40 s and holds them for 20 s; 1,000 of them send a message now and then, which the origin
/// sends back.
fn text(port: u16) -> String {
    format!(
        r#"name = "{CONNECTIONS} WebSockets"
target = "http://127.0.0.1:{port}"
thresholds = ["failures == 0"]
# So many that looking for a free port stays cheap.
sources = ["127.0.0.2-127.0.0.21"]

[[stage]]
name = "open"
for = "40s"
connections = {{ from = 0, to = {CONNECTIONS} }}

[[stage]]
name = "hold"
for = "20s"
connections = {CONNECTIONS}

[websocket]
path = "/ws/echo"
send = {{ text = "{{{{mark}}}}", every = "5s-10s", senders = 1000, receivers = "sender" }}
"#
    )
}
