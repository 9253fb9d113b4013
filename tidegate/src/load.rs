//! `tidegate load`: from the command line to a plan, a run, its reports and the exit code.

mod files;
mod plan;
mod search;
mod told;

use std::ffi::OsString;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use load::live::{Form, Live, Wish};
use load::plan::{Plan, Target};
use load::report::{Report, text};
use load::run::{Program, RunError, Staff};

use crate::cli::{self, Arguments, LoadCommand, USAGE};
use files::Outputs;

/// Exit code when a run says nothing about the target.
const INCONCLUSIVE: u8 = 2;

/// Exit code of a process that was told twice to stop, as shells have it for Ctrl-C.
const TOLD_TWICE: i32 = 130;

/// Why there is no run, or no report of it: what to say, and the exit code.
struct Trouble {
    text: String,
    code: u8,
}

impl Trouble {
    /// A mistake of who wrote the command line or a file that it names.
    fn usage(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), code: USAGE }
    }

    /// Something else that keeps the run from saying anything about the target.
    fn inconclusive(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), code: INCONCLUSIVE }
    }
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Self {
        Self::inconclusive(format!("error: {error}"))
    }
}

/// Runs `tidegate load`; `typed`: the whole command line.
pub(crate) fn load(args: &cli::Load, typed: &[OsString]) -> ExitCode {
    let result = match &args.command {
        Some(LoadCommand::Compare { before, after }) => files::compare(before, after),
        Some(LoadCommand::Merge { reports, files }) => files::merge(reports, files),
        None => run(&args.arguments, typed),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            eprintln!("{}", trouble.text.trim_end());
            ExitCode::from(trouble.code)
        }
    }
}

fn run(args: &Arguments, typed: &[OsString]) -> Result<u8, Trouble> {
    let plan = plan::plan(args)?;
    if args.part.is_some() {
        let member = load::run::member(plan);
        return member.map(|()| 0).map_err(|error| Trouble::usage(format!("error: {error}")));
    }
    permit(&plan.target, args.i_own_this_target)?;
    let outputs = Outputs::prepare(&args.files)?;
    let stop = Arc::new(AtomicBool::new(false));
    told::to_stop(Arc::clone(&stop))?;
    let session = Session { staff: staff(args, &plan, typed)?, stop, quiet: args.quiet };
    let (report, finding) = if args.find_capacity {
        let (report, finding) = search::search(&plan, &session, plan::first_rate(args, &plan))?;
        (report, Some(finding))
    } else {
        let form = if args.quiet { Form::Silent } else { Form::fitting() };
        (session.measure(&plan, form)?, None)
    };
    print(&report);
    if let Some(finding) = &finding {
        // As with every report: nobody may be there to read it.
        let _ = writeln!(std::io::stdout(), "\n{finding}");
    }
    outputs.write(&report, finding.as_ref())?;
    Ok(finding.map_or(report.verdict.exit_code(), |finding| finding.exit_code()))
}

/// Prints a report on standard output.
fn print(report: &Report) {
    let colour = std::io::stdout().is_terminal() && wants_colour();
    // That nobody reads it is no reason to lose the verdict.
    let _ = write!(std::io::stdout(), "{}", text::text(report, colour));
}

/// Whether mistakes are shown in colour.
fn colour() -> bool {
    std::io::stderr().is_terminal() && wants_colour()
}

fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none()
}

/// What all runs of one command share.
struct Session {
    staff: Staff,
    stop: Arc<AtomicBool>,
    quiet: bool,
}

impl Session {
    /// Carries out a plan and sums it up.
    fn measure(&self, plan: &Plan, form: Form) -> Result<Report, RunError> {
        let mut live = Some(Live::new(plan, form));
        let outcome = load::run::run(plan, &self.staff, &self.stop, &mut |progress| {
            let wish = live.as_mut().map(|live| live.update(progress.at, progress.total, progress.fresh));
            if wish == Some(Wish::End) && self.stop.swap(true, Ordering::Relaxed) {
                // The terminal is given back first.
                drop(live.take());
                std::process::exit(TOLD_TWICE);
            }
        });
        if let Some(live) = live {
            live.finish();
        }
        let outcome = outcome?;
        if !self.quiet && form != Form::Silent {
            for note in &outcome.notes {
                eprintln!("note: {note}");
            }
        }
        Ok(outcome.report(plan))
    }
}

fn staff(args: &Arguments, plan: &Plan, typed: &[OsString]) -> Result<Staff, Trouble> {
    let path = std::env::current_exe()
        .map_err(|error| Trouble::inconclusive(format!("error: cannot find the program itself: {error}")))?;
    let mut typed = typed.iter().skip(1).cloned();
    let command = typed.next().unwrap_or_default();
    // Every process draws the same seed because it is told which.
    let seed = args.seed.is_none().then(|| OsString::from(format!("--seed={}", plan.seed)));
    let arguments = seed.into_iter().chain(typed).collect();
    let program = Some(Program { path, command, arguments });
    Ok(Staff { threads: args.threads, processes: args.processes, program })
}

/// Whether this target may be loaded: one of this machine, or one that the person in front of it vouches for.
fn permit(target: &Target, is_vouched_for: bool) -> Result<(), Trouble> {
    if is_vouched_for || target.is_loopback() {
        return Ok(());
    }
    let host = target.origin.split_once("://").map_or(target.origin.as_str(), |(_, rest)| rest);
    let refused = || {
        Trouble::usage(format!(
            "error: {} is not this machine\nhelp: load only what is yours; if it is, add --i-own-this-target",
            target.origin
        ))
    };
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(refused());
    }
    eprint!("{} is not this machine. If it is yours, type its name to load it ({host}): ", target.origin);
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if answer.trim() == host => Ok(()),
        _ => Err(refused()),
    }
}
