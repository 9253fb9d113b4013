//! The app that is asked for more than it can do, and what stands in front of it.

use std::path::{Path, PathBuf};

use crate::problem::Problem;

use super::super::build::Built;
use super::super::peer::{Peer, Running};
use super::super::process::{LOAD_CORE, Process, free_port, pinned};
use super::super::{answer, correctness};

/// Workers of the app: so many requests at a time.
pub(super) const SLOTS: u32 = 8;
/// How long a worker is busy with a request, in milliseconds.
pub(super) const WORK_MS: u32 = 20;
/// What that makes per second.
pub(super) const CAPACITY: u32 = SLOTS * 1000 / WORK_MS;

/// A peer in one of its setups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    Tidegate,
    /// Tidegate without its queue.
    Off,
    Nginx,
    NginxTuned,
    Haproxy,
    HaproxyTuned,
}

impl Front {
    /// In the order of the report.
    pub(super) const ALL: [Self; 6] =
        [Self::Tidegate, Self::Haproxy, Self::HaproxyTuned, Self::Nginx, Self::NginxTuned, Self::Off];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "Tidegate",
            Self::Off => "no limiter",
            Self::Nginx => "nginx",
            Self::NginxTuned => "nginx, tuned by hand",
            Self::Haproxy => "HAProxy, maxconn 8",
            Self::HaproxyTuned => "HAProxy, tuned by hand",
        }
    }

    /// What it was told.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Tidegate => "as it comes; routes have priorities",
            Self::Off => "Tidegate with `queue = \"off\"`",
            Self::Nginx => "as it comes",
            Self::NginxTuned => "`limit_conn` at twice the app's slots, critical apart",
            Self::Haproxy => "the app's slots, `timeout queue 5s`, priorities",
            Self::HaproxyTuned => "the app's slots, `timeout queue 500ms`, priorities",
        }
    }

    pub(super) fn peer(self) -> Peer {
        match self {
            Self::Tidegate | Self::Off => Peer::Tidegate,
            Self::Nginx | Self::NginxTuned => Peer::Nginx,
            Self::Haproxy | Self::HaproxyTuned => Peer::Haproxy,
        }
    }

    /// The file, relative to the root, that says how it is set up.
    pub(super) fn setup_path(self) -> &'static str {
        match self {
            Self::Tidegate => "bench/peers/overload-tidegate.toml",
            Self::Off => "bench/peers/overload-off.toml",
            Self::Nginx => "bench/peers/overload-nginx.conf",
            Self::NginxTuned => "bench/peers/overload-nginx-tuned.conf",
            Self::Haproxy => "bench/peers/overload-haproxy.cfg",
            Self::HaproxyTuned => "bench/peers/overload-haproxy-tuned.cfg",
        }
    }
}

/// How Tidegate is set up where tenants share the app.
pub(super) const FAIR: &str = "bench/peers/overload-fair.toml";
/// How Tidegate is set up where the app goes away.
pub(super) const DOWN: &str = "bench/peers/overload-down.toml";

/// The app, on the load generator's core. It sleeps instead of working, so it leaves the core to whoever asks.
pub(super) struct App {
    pub(super) port: u16,
    process: Option<Process>,
    program: PathBuf,
    log: PathBuf,
}

impl App {
    /// Starts it on a free port.
    pub(super) fn start(built: &Built, scratch: &Path) -> Result<Self, Problem> {
        let (program, log) = (built.origin.clone(), scratch.join("app.log"));
        let mut app = Self { port: free_port()?, process: None, program, log };
        app.start_again()?;
        correctness::check(app.port)?;
        check(app.port, &["normal"], "the app")?;
        Ok(app)
    }

    /// Starts it on the port that it had.
    pub(super) fn start_again(&mut self) -> Result<(), Problem> {
        let mut command = pinned(LOAD_CORE, &self.program)?;
        command.args([format!("127.0.0.1:{}", self.port), SLOTS.to_string()]);
        let mut process = Process::start(command, "the app", &self.log)?;
        process.wait_for_port(self.port, &self.log)?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(rustix::process::Signal::KILL);
        }
    }
}

/// Starts Tidegate or a peer in front of the app, and checks that what it passes on is what was sent.
pub(super) fn start(
    peer: Peer,
    name: &str,
    setup_path: &str,
    built: &Built,
    app: &App,
    scratch: &Path,
) -> Result<Running, Problem> {
    // Some programs take no blanks in paths.
    let folder = setup_path.rsplit('/').next().unwrap_or(name);
    let running = peer.start_as(folder, setup_path, built, app.port, scratch)?;
    correctness::check(running.port).map_err(|problem| Problem::new(format!("{name}: {problem}")))?;
    check(running.port, &["critical", "normal", "low"], name)?;
    Ok(running)
}

/// Every class gets the answer that it should get, byte by byte.
fn check(port: u16, classes: &[&str], who: &str) -> Result<(), Problem> {
    let mut client = correctness::Client::connect(port)?;
    for class in classes {
        let request = format!("GET /work/{class}?ms={WORK_MS} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let answer: answer::Answer = client.ask(request.as_bytes())?;
        answer.expect(200, &correctness::pattern(1024), &format!("{who}: work of class {class}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn every_setup_is_a_file_of_the_repository() {
        for path in Front::ALL.map(Front::setup_path).into_iter().chain([FAIR, DOWN]) {
            assert!(shell::root().join(path).is_file(), "{path}");
        }
    }

    #[test]
    fn haproxy_is_told_the_slots_that_the_app_has() {
        for front in [Front::Haproxy, Front::HaproxyTuned] {
            let text = std::fs::read_to_string(shell::root().join(front.setup_path())).expect("readable");
            assert!(text.contains(&format!(" maxconn {SLOTS} ")), "{}", front.name());
        }
    }
}
