//! Carrying out a plan: threads, processes, the clock, and the way back of what they recorded.
//!
//! ```text
//!   run ─► Layout: how many processes and threads, which source addresses
//!    ├─ one process ─► crew: threads of this process ─► engine::drive
//!    └─ several ─► fleet: one child process each, asked over its standard input ─► member ─► crew ─► engine::drive
//! ```
//!
//! Everybody is ready before the beginning is set, a moment ahead, on the clock that all processes of a machine
//! share. What they record comes back while they work and is merged, so that the outcome of eight processes reads as
//! if it were one.

pub mod capacity;
mod crew;
mod fleet;
mod layout;
mod member;
mod message;
mod usage;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use crate::Nanos;
use crate::engine::{self, Clock};
use crate::plan::Plan;
use crate::record::Record;
use crate::report::{Generator, Report, Verdict, figures};

pub use layout::MOST_PROCESSES;
use layout::{Layout, Machine};
pub use member::member;
use usage::Usage;

/// How often the watcher is told what has happened.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// How far ahead the beginning is set, so that everybody knows of it when it comes.
const LEAD: Duration = Duration::from_millis(150);

/// By how much more for each user, so that all can connect before it comes.
const LEAD_EACH: Duration = Duration::from_micros(20);

/// Users beyond these have no influence on the beginning.
const MOST_LEADING: u32 = 100_000;

/// How long parts may take beyond the end of the plan before they count as hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// A thread that spends more of its time on a core is the limit of its run.
const MOST_CPU: f64 = 0.8;

/// Who carries out a plan.
#[derive(Clone, Debug, Default)]
pub struct Staff {
    /// Threads of all processes together. `None`: one for each core.
    pub threads: Option<u32>,
    /// Processes. `None`: one, or as many as the connections need.
    pub processes: Option<u32>,
    /// How another process of this run is started. `None`: there can be only this one.
    pub program: Option<Program>,
}

/// How another process of a run is started: it has to make the same plan and then call [`member`].
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its first argument. `--part=I/N` follows it, so that lists of processes tell which one it is.
    pub command: OsString,
    /// All further arguments.
    pub arguments: Vec<OsString>,
}

/// A run while it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Since the beginning.
    pub at: Nanos,
    /// What came in since the last time.
    pub fresh: &'a Record,
    /// What came in since the beginning.
    pub total: &'a Record,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Everything that was recorded.
    pub record: Record,
    /// When it began.
    pub started_at: SystemTime,
    /// From the beginning to the end of the last part.
    pub took: Duration,
    /// Whether it was told to stop before its end.
    pub is_interrupted: bool,
    /// Parts that did not come to their end. What they recorded before is in the record.
    pub lost: Vec<Lost>,
    /// Processes that generated load.
    pub processes: u32,
    /// Threads of all of them.
    pub threads: u32,
    /// Share of the time of all threads that was spent on a core, 0 to 1.
    pub cpu: f64,
    /// The same of the busiest thread.
    pub busiest_cpu: f64,
    /// Most resident memory, summed over all processes, in bytes.
    pub resident_bytes: u64,
    /// What was decided on the way and is worth knowing: sentences for people.
    pub notes: Vec<String>,
}

impl Outcome {
    /// The report of a run of `plan` that came to this. A run that was cut short, or that lost a part of its
    /// generator, proves nothing, whatever its figures are.
    pub fn report(self, plan: &Plan) -> Report {
        let limit = (self.busiest_cpu > MOST_CPU).then(|| {
            let share = figures::percent(self.busiest_cpu);
            format!("its busiest thread used {share} of a core, more than {}", figures::percent(MOST_CPU))
        });
        let generator = Generator {
            processes: self.processes,
            threads: self.threads,
            cpu: self.cpu,
            resident_bytes: self.resident_bytes,
            limit,
        };
        let mut report = Report::new(plan, self.record, self.started_at, self.took, generator);
        let cut_short = self.is_interrupted.then(|| {
            let took = figures::span(self.took.as_secs_f64());
            format!("the run was interrupted after {took}")
        });
        let lost = self.lost.iter().map(Lost::to_string);
        let why: Vec<String> = lost.chain(cut_short).collect();
        if !why.is_empty() {
            report.verdict = Verdict::Inconclusive;
            report.reason = format!("{}; until then, {}", why.join("; "), report.reason);
        }
        report
    }
}

/// A part of a run that did not come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// A thread of this process, counted from 1.
    Thread(u32, How),
    /// A process, counted from 1.
    Process(u32, How),
}

/// How a part was lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum How {
    /// It could not work, and said why.
    Failed(String),
    /// The process ended by this exit status.
    Ended(std::process::ExitStatus),
    /// The thread panicked.
    Panicked,
    /// It was not done long after the end of the plan, and was killed.
    Hung,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, number, how) = match self {
            Self::Thread(number, how) => ("thread", number, how),
            Self::Process(number, how) => ("process", number, how),
        };
        write!(f, "{what} {number} of the generator was lost: {how}")
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Ended(status) => write!(f, "it ended before the run did, {status}"),
            Self::Panicked => f.write_str("it panicked, which is a mistake in Tidegate; please report it"),
            Self::Hung => f.write_str("it did not answer in time and was killed"),
        }
    }
}

/// Why a plan could not be carried out at all.
#[derive(Debug)]
pub enum RunError {
    /// This machine does not allow so many connections.
    TooManyConnections {
        /// How many the plan has.
        connections: u32,
        /// How many are possible here.
        most: u32,
    },
    /// A thread could not be started.
    Thread(io::Error),
    /// Another process could not be started.
    Process(io::Error),
    /// Not one part could work; this is why.
    Nobody(Vec<Lost>),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections { connections, most } => write!(
                f,
                "{connections} connections are more than the {most} that descriptors allow here; raise the hard \
                 limit (ulimit -Hn) or ask for fewer"
            ),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Process(error) => write!(f, "cannot start another process of this run: {error}"),
            Self::Nobody(lost) => match lost.first() {
                Some(first) => write!(f, "no part of the run could work: {first}"),
                None => f.write_str("no part of the run could work"),
            },
        }
    }
}

impl std::error::Error for RunError {}

/// Carries out `plan` to its end, or until `stop` is set. About twice a second, and at the end, `watch` is told what
/// came in.
///
/// # Errors
/// What keeps the generator from working at all. A part of it that is lost on the way is in the [`Outcome`]; what the
/// target does is in its record.
pub fn run(
    plan: &Plan,
    staff: &Staff,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, RunError> {
    let layout = Layout::new(plan, staff, &Machine::this())?;
    let mut plan = plan.clone();
    plan.sources.clone_from(&layout.sources);
    let mut tally = Tally::new(&plan, watch);
    let done = match &staff.program {
        Some(program) if layout.processes > 1 => {
            fleet::run(&plan, &layout, program, stop, &mut tally, PATIENCE)?
        }
        _ => crew::run(&plan, &layout, stop, &mut tally)?,
    };
    tally.tell();
    let took = tally.clock.map_or(Duration::ZERO, |clock| Duration::from_nanos(clock.now()));
    if done.usage.is_none() {
        return Err(RunError::Nobody(done.lost));
    }
    let usage = done.usage.unwrap_or_default();
    Ok(Outcome {
        record: tally.total,
        started_at: done.started_at,
        took,
        is_interrupted: done.is_interrupted,
        lost: done.lost,
        processes: layout.processes,
        threads: layout.processes * layout.threads_each,
        cpu: usage.share(),
        busiest_cpu: usage.busiest,
        resident_bytes: usage.resident_bytes,
        notes: layout.notes,
    })
}

/// What carrying out a plan came to, beside the record.
#[derive(Debug)]
struct Ended {
    started_at: SystemTime,
    is_interrupted: bool,
    lost: Vec<Lost>,
    /// `None`: no part came to its end.
    usage: Option<Usage>,
}

/// Everything that came in so far, and who wants to see it.
struct Tally<'a> {
    total: Record,
    fresh: Record,
    empty: Record,
    clock: Option<Clock>,
    watch: &'a mut dyn FnMut(Progress<'_>),
}

impl<'a> Tally<'a> {
    fn new(plan: &Plan, watch: &'a mut dyn FnMut(Progress<'_>)) -> Self {
        let empty = Record::new(&plan.step_names());
        Self { total: empty.clone(), fresh: empty.clone(), empty, clock: None, watch }
    }

    fn add(&mut self, record: &Record) {
        self.total.merge(record);
        self.fresh.merge(record);
    }

    /// Tells the watcher what came in since the last time.
    fn tell(&mut self) {
        let at = self.clock.map_or(0, |clock| clock.now());
        (self.watch)(Progress { at, fresh: &self.fresh, total: &self.total });
        self.fresh = self.empty.clone();
    }
}

/// When everybody is to begin: a moment from now, on CLOCK_MONOTONIC and on the calendar. Users connect until then.
fn beginning(users: u32) -> (Clock, SystemTime) {
    let lead = LEAD + LEAD_EACH * users.min(MOST_LEADING);
    let origin = engine::monotonic().saturating_add(lead.as_nanos() as u64);
    (Clock { origin }, SystemTime::now() + lead)
}

/// How long a plan takes at most.
fn at_most(plan: &Plan) -> Duration {
    let stages: Duration = plan.stages.iter().map(|stage| stage.duration).sum();
    LEAD + LEAD_EACH * MOST_LEADING + stages + plan.grace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;
    use crate::scenario::quick::Options;

    /// A plan that asks for this URL.
    pub(super) fn plan(url: &str) -> Plan {
        let options = Options { url: url.to_owned(), ..Options::default() };
        scenario::quick::plan(&options).expect("the options are good")
    }

    #[test]
    fn a_run_of_which_no_part_can_work_is_an_error() {
        let program = Program { path: "/bin/false".into(), command: "load".into(), arguments: Vec::new() };
        let staff = Staff { threads: None, processes: Some(2), program: Some(program) };
        let stop = AtomicBool::new(false);
        let error = run(&plan("http://127.0.0.1:1/"), &staff, &stop, &mut |_| {}).expect_err("nobody works");
        assert!(matches!(&error, RunError::Nobody(lost) if lost.len() == 2), "{error}");
        assert!(error.to_string().contains("exit status: 1"), "{error}");
    }
}
