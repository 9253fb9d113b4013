//! The flags of `tidegate load`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use load::run::MOST_PROCESSES;

const EXAMPLES: &str = "\
Examples:
  tidegate load http://127.0.0.1:8080/ --rate 1000/s --for 30s
  tidegate load http://127.0.0.1:8080/ --users 100 --threshold \"p95 < 100ms\" --html report.html
  tidegate load http://127.0.0.1:8080/ -n 10000 -c 100
  tidegate load http://127.0.0.1:8080/ --find-capacity --threshold \"p99 < 50ms\"
  tidegate load scenario.toml --json after.json && tidegate load compare before.json after.json

Exit codes: 0 all thresholds hold, 1 one does not, 2 inconclusive (the generator was the limit, or \
the run was cut short), 64 the command line or the scenario has a mistake, or the target may not be loaded.";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Load {
    #[command(subcommand)]
    pub(crate) command: Option<LoadCommand>,
    #[command(flatten)]
    pub(crate) arguments: Arguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LoadCommand {
    /// Say whether one run was better than another, or whether it was only noise
    ///
    /// Both are files that --json wrote. Exit codes: 0 no worse, 1 worse, 2 too little to tell.
    Compare {
        /// The run before
        before: PathBuf,
        /// The run after
        after: PathBuf,
    },
    /// Make one report of several runs that went on at the same time, such as from several machines
    Merge {
        /// Files that --json wrote
        #[arg(required = true, num_args = 2.., value_name = "FILE")]
        reports: Vec<PathBuf>,
        #[command(flatten)]
        files: Files,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// What to load: a URL, or a scenario (a .toml file)
    #[arg(required = true)]
    pub(crate) target: Option<String>,

    /// Requests per second, whatever the target does, such as 1000/s [default: 100/s]
    #[arg(long, value_name = "RATE", help_heading = "How much")]
    pub(crate) rate: Option<String>,
    /// How long, such as 30s; with --find-capacity, each trial [default: 10s; trials: 5s]
    #[arg(long = "for", value_name = "TIME", help_heading = "How much")]
    pub(crate) duration: Option<String>,
    /// So many users, each with a connection, that take turns; without --rate, each asks once a second
    #[arg(short = 'c', long, visible_alias = "connections", value_name = "COUNT", help_heading = "How much")]
    pub(crate) users: Option<u32>,
    /// So many requests in all; without --rate, as with --closed
    #[arg(short = 'n', long, value_name = "COUNT", help_heading = "How much")]
    pub(crate) requests: Option<u64>,
    /// Closed model: every user asks again as soon as it has its answer, so a slow target is asked less
    #[arg(long, conflicts_with_all = ["rate", "poisson", "find_capacity"], help_heading = "How much")]
    pub(crate) closed: bool,
    /// Requests come at random, as independent people do, instead of evenly
    #[arg(long, help_heading = "How much")]
    pub(crate) poisson: bool,
    /// Find the largest rate that meets the thresholds, beginning at --rate
    #[arg(long, conflicts_with = "requests", help_heading = "How much")]
    pub(crate) find_capacity: bool,

    /// Method [default: GET, or POST with a body]
    #[arg(short = 'X', long, help_heading = "What is asked")]
    pub(crate) method: Option<String>,
    /// A field, once for each: "name: value"
    #[arg(short = 'H', long, value_name = "FIELD", help_heading = "What is asked")]
    pub(crate) header: Vec<String>,
    /// Body, or @FILE that holds it
    #[arg(short = 'd', long, help_heading = "What is asked")]
    pub(crate) body: Option<String>,
    /// A connection for each request
    #[arg(long, help_heading = "What is asked")]
    pub(crate) no_keep_alive: bool,
    /// Longest time for an answer [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "What is asked")]
    pub(crate) timeout: Option<String>,

    /// What has to hold, once for each, such as "p95 < 100ms" or "rate >= 900/s" [default: "success >= 99.9%"]
    #[arg(long, value_name = "CONDITION", help_heading = "Verdict and reports")]
    pub(crate) threshold: Vec<String>,
    #[command(flatten)]
    pub(crate) files: Files,
    /// No live view while it runs
    #[arg(short, long, help_heading = "Verdict and reports")]
    pub(crate) quiet: bool,

    /// Local address to connect from, once for each, or a range such as 127.0.0.1-127.0.0.9
    #[arg(long, value_name = "ADDRESS", help_heading = "The generator")]
    pub(crate) source: Vec<String>,
    /// Seed of everything random, to play a run again
    #[arg(long, help_heading = "The generator")]
    pub(crate) seed: Option<u64>,
    /// Threads of all processes [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "The generator")]
    pub(crate) threads: Option<u32>,
    /// Processes [default: as many as the connections need]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PROCESSES)), help_heading = "The generator")]
    pub(crate) processes: Option<u32>,
    /// Load a target that is not this machine, without being asked; it has to be yours
    #[arg(long, help_heading = "The generator")]
    pub(crate) i_own_this_target: bool,
    /// Which of the processes this one is
    #[arg(long, hide = true)]
    pub(crate) part: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Files {
    /// Write the report as JSON, for programs, compare and merge
    #[arg(long, value_name = "FILE", help_heading = "Verdict and reports")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as a page to look at
    #[arg(long, value_name = "FILE", help_heading = "Verdict and reports")]
    pub(crate) html: Option<PathBuf>,
    /// Write the verdict as JUnit XML, for CI
    #[arg(long, value_name = "FILE", help_heading = "Verdict and reports")]
    pub(crate) junit: Option<PathBuf>,
}
