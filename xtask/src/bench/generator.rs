//! The load generators: how each is called, and what its report says.

mod read;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::problem::{OrProblem, Problem};
use crate::shell;

use super::build::Built;
use super::process::{LOAD_CORE, pinned};
use super::scene::Shape;

/// A load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generator {
    Tidegate,
    Wrk,
    Oha,
    Hey,
    Ab,
}

/// What a load generator saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests that failed in any way: no connection, no answer in time, a status other than 2xx or 3xx, a wrong length.
    pub(crate) errors: u64,
    pub(crate) requests_per_second: f64,
    /// Half of the requests took no longer than this.
    pub(crate) p50_us: f64,
    /// 9 of 10 requests took no longer than this.
    pub(crate) p90_us: f64,
    /// 99 of 100 requests took no longer than this.
    pub(crate) p99_us: f64,
}

/// A load on a port of the loopback address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) shape: Shape,
    pub(crate) pace: Pace,
    pub(crate) port: u16,
    pub(crate) seconds: u32,
    /// The core that the generator runs on.
    pub(crate) core: u32,
    /// Holds the file `body` that a POST sends, and takes reports.
    pub(crate) scratch: &'a Path,
}

/// How fast requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as answers come: the closed model at full speed.
    Full,
    /// So many per second, whatever comes back, if the generator can do that.
    PerSecond(u32),
}

impl<'a> Load<'a> {
    /// A load at full speed from the core that is the load generator's in most benches.
    pub(crate) fn full(shape: Shape, port: u16, seconds: u32, scratch: &'a Path) -> Self {
        Self { shape, pace: Pace::Full, port, seconds, core: LOAD_CORE, scratch }
    }

    fn url(&self) -> String {
        let (path, bytes) = match self.shape {
            Shape::Post { body_bytes, .. } => ("check", body_bytes),
            Shape::Get { body_bytes, .. } | Shape::Short { body_bytes, .. } => ("bytes", body_bytes),
            Shape::Cached { body_bytes, .. } => ("cached", body_bytes),
            Shape::Idle { .. } | Shape::Crowd { .. } => ("bytes", 0),
        };
        format!("http://127.0.0.1:{}/{path}/{bytes}", self.port)
    }

    fn body(&self) -> Option<PathBuf> {
        matches!(self.shape, Shape::Post { .. }).then(|| self.scratch.join("body"))
    }

    fn keeps_alive(&self) -> bool {
        !matches!(self.shape, Shape::Short { .. })
    }
}

impl Generator {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 5] = [Self::Tidegate, Self::Wrk, Self::Oha, Self::Hey, Self::Ab];

    /// The name that people know.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate load",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::Hey => "hey",
            Self::Ab => "ab",
        }
    }

    /// Whoever makes a shape with the least work for the core that it shares with the origin.
    pub(crate) fn usual(shape: Shape) -> Self {
        if matches!(shape, Shape::Short { .. }) { Self::Ab } else { Self::Wrk }
    }

    /// Makes the load and reads the report.
    pub(crate) fn run(self, load: &Load<'_>, built: &Built) -> Result<Report, Problem> {
        let output = self.command(load, built)?.output().problem(&format!("run {}", self.name()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // What a generator thinks of the result is not what is asked here, so its exit status says nothing.
        self.read(load, &text).map_err(|problem| {
            Problem::new(format!("{}\n{}", problem, String::from_utf8_lossy(&output.stderr).trim_end()))
        })
    }

    /// The command that makes the load.
    pub(crate) fn command(self, load: &Load<'_>, built: &Built) -> Result<Command, Problem> {
        let program = match self {
            Self::Tidegate => built.tidegate.as_path(),
            Self::Oha => built.oha.as_path(),
            Self::Wrk => Path::new("wrk"),
            Self::Hey => Path::new("hey"),
            Self::Ab => Path::new("ab"),
        };
        let mut command = pinned(load.core, program)?;
        match self {
            Self::Tidegate => tidegate(&mut command, load),
            Self::Wrk => wrk(&mut command, load),
            Self::Oha => oha(&mut command, load),
            Self::Hey => hey(&mut command, load),
            Self::Ab => ab(&mut command, load),
        }
        command.arg(load.url());
        Ok(command)
    }

    /// Reads the report of a load that was made: what was printed, or the file that was written.
    pub(crate) fn read(self, load: &Load<'_>, printed: &str) -> Result<Report, Problem> {
        let text = match self {
            Self::Tidegate => std::fs::read_to_string(load.scratch.join(OWN_REPORT))
                .problem("read the report of tidegate load")?,
            _ => printed.to_owned(),
        };
        let report = match self {
            Self::Tidegate => read::tidegate(&text),
            Self::Wrk => read::wrk(&text),
            Self::Oha => read::oha(&text),
            Self::Hey => read::hey(&text),
            Self::Ab => read::ab(&text),
        };
        report.ok_or_else(|| {
            Problem::new(format!("{} reported something else than expected:\n{text}", self.name()))
        })
    }

    /// The version that runs here.
    pub(crate) fn version(self, built: &Built) -> String {
        let (program, arguments): (&Path, &[&str]) = match self {
            Self::Tidegate => (&built.tidegate, &["--version"]),
            Self::Wrk => (Path::new("wrk"), &["-v"]),
            Self::Oha => (&built.oha, &["--version"]),
            Self::Hey => (Path::new("dpkg-query"), &["--show", "--showformat", "${Version}", "hey"]),
            Self::Ab => (Path::new("ab"), &["-V"]),
        };
        let output = Command::new(program).args(arguments).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        super::peer::first_number(&String::from_utf8_lossy(&text))
    }
}

/// The file in the scratch folder that `tidegate load` writes its report to.
pub(crate) const OWN_REPORT: &str = "load.json";

fn tidegate(command: &mut Command, load: &Load<'_>) {
    command.args(["load", "--quiet", "--threads", "1", "--timeout", "20s"]);
    command.args(["--users", &load.shape.connections().to_string(), "--for", &format!("{}s", load.seconds)]);
    match load.pace {
        Pace::Full => command.arg("--closed"),
        Pace::PerSecond(rate) => command.args(["--rate", &format!("{rate}/s")]),
    };
    if !load.keeps_alive() {
        command.arg("--no-keep-alive");
    }
    if let Some(body) = load.body() {
        command.args(["--method", "POST", "--body", &format!("@{}", body.display())]);
    }
    command.arg("--json").arg(load.scratch.join(OWN_REPORT));
}

/// Has no rate.
fn wrk(command: &mut Command, load: &Load<'_>) {
    command.args(["--threads", "1", "--latency", "--timeout", "20s"]);
    command.args(["--connections", &load.shape.connections().to_string()]);
    command.args(["--duration", &format!("{}s", load.seconds)]);
    if !load.keeps_alive() {
        command.args(["--header", "Connection: close"]);
    }
    if let Some(body) = load.body() {
        command.env("BENCH_BODY", body).arg("--script").arg(shell::root().join("bench/peers/post.lua"));
    }
}

fn oha(command: &mut Command, load: &Load<'_>) {
    command.args(["--no-tui", "--output-format", "json", "-t", "20s"]);
    command.args(["-c", &load.shape.connections().to_string(), "-z", &format!("{}s", load.seconds)]);
    if let Pace::PerSecond(rate) = load.pace {
        command.args(["-q", &rate.to_string(), "--latency-correction"]);
    }
    if !load.keeps_alive() {
        command.arg("--disable-keepalive");
    }
    if let Some(body) = load.body() {
        command.args(["-m", "POST", "-D"]).arg(body);
    }
}

fn hey(command: &mut Command, load: &Load<'_>) {
    let connections = load.shape.connections();
    command.args(["-cpus", "1", "-t", "20"]);
    command.args(["-c", &connections.to_string(), "-z", &format!("{}s", load.seconds)]);
    if let Pace::PerSecond(rate) = load.pace {
        // Its rate is that of each connection.
        command.args(["-q", &(f64::from(rate) / f64::from(connections)).to_string()]);
    }
    if !load.keeps_alive() {
        command.arg("-disable-keepalive");
    }
    if let Some(body) = load.body() {
        command.args(["-m", "POST", "-D"]).arg(body);
    }
}

/// Has no rate.
fn ab(command: &mut Command, load: &Load<'_>) {
    // A limit in seconds brings a limit of 50,000 requests with it; the later -n lifts that. `ab` keeps room for that
    // many results, so it is no larger than anyone could reach.
    let most = 200_000 * u64::from(load.seconds);
    command.args(["-q", "-s", "20", "-t", &load.seconds.to_string(), "-n", &most.to_string()]);
    command.args(["-c", &load.shape.connections().to_string()]);
    if load.keeps_alive() {
        command.arg("-k");
    }
    if let Some(body) = load.body() {
        command.args(["-T", "application/octet-stream", "-p"]).arg(body);
    }
}
