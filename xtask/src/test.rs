//! `cargo xtask test`: what continuous integration runs and what the README tells a newcomer to run.
//!
//! The steps go from the cheapest to the dearest, so that a wrong format is known in a second; the first failure stops
//! the run and says how to mend it. The tests come last and run through even when some fail, so the summary counts all.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::problem::{OrProblem, Problem};
use crate::{docs, setup, shell, tidy};

/// Runs all steps; the last line printed is `N passed, N failed`.
pub(crate) fn run() -> Result<(), Problem> {
    let started = Instant::now();
    for step in &STEPS {
        println!("==> {}: {}", step.name, step.about);
        let began = Instant::now();
        (step.action)().map_err(|problem| with_mend(problem, step))?;
        println!("    {}: ok in {}", step.name, shown(began.elapsed()));
    }
    println!("==> test: every test of the workspace, doc tests included");
    let totals = cargo_test()?;
    println!("    all steps in {}\n", shown(started.elapsed()));
    let verdict = match totals.failed {
        0 if totals.broken => {
            Err(Problem::new("`cargo test` failed although no test did").help("read above"))
        }
        0 => Ok(()),
        failed => Err(Problem::new(format!("{failed} tests failed"))
            .help("run one again with `cargo test --package CRATE NAME`; its output is above")),
    };
    if let Err(problem) = verdict {
        eprintln!("{problem}");
        println!("{} passed, {} failed", totals.passed, totals.failed);
        std::process::exit(1);
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(())
}

/// One step before the tests.
struct Step {
    name: &'static str,
    about: &'static str,
    action: fn() -> Result<(), Problem>,
    /// What to do when it fails; empty where the failure itself says it.
    mend: &'static str,
}

const STEPS: [Step; 6] = [
    Step {
        name: "setup",
        about: "programs that the tests call",
        action: || setup::run(&setup::Options::default()),
        mend: "",
    },
    Step { name: "format", about: "rustfmt", action: format, mend: "run `cargo fmt --all`" },
    Step { name: "tidy", about: "rules of the house, licences and bans", action: tidy::run, mend: "" },
    Step {
        name: "lint",
        about: "clippy, warnings are errors",
        action: lint,
        mend: "mend what clippy names above; `cargo clippy --workspace --all-targets` shows it again",
    },
    Step {
        name: "build",
        about: "binaries, tests and examples",
        action: build,
        mend: "mend what the compiler names above",
    },
    Step { name: "docs", about: "docs/reference is what the code says", action: docs, mend: "" },
];

fn with_mend(problem: Problem, step: &Step) -> Problem {
    if step.mend.is_empty() { problem } else { problem.help(step.mend) }
}

fn format() -> Result<(), Problem> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    // Stands outside the workspace, so that the lock file does not carry Pingora's dependencies.
    shell::run(shell::cargo().args(["fmt", "--check", "--manifest-path", "bench/pingora/Cargo.toml"]))
}

fn lint() -> Result<(), Problem> {
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// Compiles everything once with the features that `cargo test --workspace` uses, so that the next steps only run it.
fn build() -> Result<(), Problem> {
    shell::run(shell::cargo().args(["build", "--workspace", "--bins", "--tests", "--examples"]))
}

fn docs() -> Result<(), Problem> {
    let metadata = tidy::metadata(&["--no-deps"])?;
    let mut tidegate = Command::new(metadata.target_directory.join("debug/tidegate"));
    tidegate.current_dir(shell::root());
    docs::check(tidegate)
}

/// What all test programs together reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    /// `cargo test` itself exited with a failure.
    broken: bool,
}

/// Runs the tests, passing their output on line by line.
fn cargo_test() -> Result<Totals, Problem> {
    let mut child = shell::cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .stdout(Stdio::piped())
        .spawn()
        .problem("run `cargo test`")?;
    let mut totals = Totals::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.problem("read the output of `cargo test`")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            totals.add(&line);
        }
    }
    totals.broken = !child.wait().problem("wait for `cargo test`")?.success();
    Ok(totals)
}

impl Totals {
    /// Counts a line of the form `test result: ok. 3 passed; 0 failed; …`; any other line counts nothing.
    fn add(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                _ => {}
            }
        }
    }
}

fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_summed() {
        let mut totals = Totals::default();
        totals.add(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        totals.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(totals, Totals { passed: 15, failed: 2, broken: false });
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut totals = Totals::default();
        totals.add("test tests::a_result ... ok");
        totals.add("running 7 tests");
        assert_eq!(totals, Totals::default());
    }

    #[test]
    fn durations_past_a_minute_are_shown_in_minutes() {
        assert_eq!(shown(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(shown(Duration::from_secs(125)), "2 min 5 s");
    }
}
