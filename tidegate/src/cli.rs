//! The command line: every command, its flags and its help in one place.

mod load;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{ask, docs, explain, load as load_command, run, warm};

pub(crate) use self::load::{Arguments, Files, Load, LoadCommand};

/// Where the admin listener is when nothing else is said.
pub const ADMIN: &str = "127.0.0.1:9900";

/// Exit code of a command line, or of a file that it names, that has a mistake (EX_USAGE of sysexits).
pub(crate) const USAGE: u8 = 64;

/// Takes a web app from a hundred users to a million: balances, retries, watches.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stand in front of an app, until told to stop
    ///
    /// With a file (tidegate.toml in this folder, or -c FILE) or, without one, with the addresses
    /// of the app: tidegate run --to 127.0.0.1:3000
    ///
    /// SIGTERM and Ctrl-C drain and leave, a second one leaves at once; SIGHUP reads the file again;
    /// SIGUSR1 opens the access log again.
    Run(Run),
    /// Check a configuration and say everything that is wrong with it
    Check(File),
    /// Say what would be done with a request, and why
    Explain(Explain),
    /// Have a running Tidegate read its configuration again
    Reload(Admin),
    /// Show what a running Tidegate is doing
    Status(Status),
    /// Take an endpoint out of the traffic: what it works on is finished, nothing new is sent
    Drain(Drain),
    /// Tighten limits, queues and waiting rooms of a running Tidegate while more comes than it should
    ///
    /// What is tightened stands in [surge.NAME] of its configuration. Connections, counters and places in line go on; a
    /// reload keeps the surge on, and with server.state a restart does too.
    #[command(subcommand)]
    Surge(Surge),
    /// Load a web app, and say whether it holds: open-loop load with honest latencies
    ///
    /// By default requests are due at moments that do not depend on how the target is doing, and
    /// their latency counts from then. TARGET is a URL or a scenario.
    Load(Box<Load>),
    /// Look into the cache of a running Tidegate, take things out, fill it
    #[command(subcommand)]
    Cache(Cache),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page (roff)
    Man,
    /// Write the generated reference pages into a folder
    #[command(hide = true)]
    Docs {
        /// Folder, made if need be
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration [default: tidegate.toml in this folder]
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["to", "listen", "admin"])]
    pub(crate) config: Option<PathBuf>,
    /// Address of the app: host:port or unix:/path; once for each instance
    #[arg(long, value_name = "ADDRESS", value_parser = endpoint)]
    pub(crate) to: Vec<config::EndpointAddress>,
    /// Where to listen [default: 127.0.0.1:8080]; ":8080" is every address of this machine
    #[arg(long, value_name = "ADDRESS", requires = "to", value_parser = listen)]
    pub(crate) listen: Option<config::ListenAddress>,
    /// Admin listener, or "off" [default: 127.0.0.1:9900]; with a file, the file says it
    #[arg(long, value_name = "ADDRESS", requires = "to", value_parser = admin)]
    pub(crate) admin: Option<AdminPlace>,
}

/// Where the admin listener of `run --to` is.
#[derive(Clone, Copy, Debug)]
pub enum AdminPlace {
    /// Nowhere.
    Off,
    /// Here.
    At(SocketAddr),
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Admin {
    /// Admin listener of the running Tidegate
    #[arg(long, value_name = "ADDRESS", default_value = ADMIN, env = "TIDEGATE_ADMIN")]
    pub(crate) admin: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Method of the request
    pub(crate) method: String,
    /// Its URL: http://host/path
    pub(crate) url: String,
    /// A field of it, once for each: "name: value"
    #[arg(short = 'H', long, value_name = "FIELD", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// Address of the client who would ask, for limits, and for networks that are allowed or denied
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client: Option<std::net::IpAddr>,
    /// Explain by this configuration instead of asking the running Tidegate
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Which: UPSTREAM/ENDPOINT, as status shows them
    #[arg(value_name = "UPSTREAM/ENDPOINT")]
    pub(crate) endpoint: String,
    /// Let it back in
    #[arg(long)]
    pub(crate) undo: bool,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Subcommand)]
enum Surge {
    /// Switch one on, in place of any other
    On(SurgeOn),
    /// Switch off what is on
    Off(Admin),
    /// Say which there are, what they tighten, and which is on for how long
    Status(Admin),
}

#[derive(Debug, Args)]
pub(crate) struct SurgeOn {
    /// Which: NAME of [surge.NAME]; may be left out where there is only one
    pub(crate) name: Option<String>,
    /// It ends by itself after so long: 30m, 1h30m
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    pub(crate) lasts: Option<Duration>,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Subcommand)]
enum Cache {
    /// Take answers out, or make them stale
    ///
    /// A URL is written as clients ask for it. Its scheme does not count: what was asked for over http
    /// goes, and what was asked for over https.
    Purge(Purge),
    /// List what is in it
    List(List),
    /// List what was given out most
    Top(Top),
    /// Say whether a URL is cached, why, until when, and how to change it
    Explain(ExplainCached),
    /// Fill it: ask for every URL of a list or a sitemap, as a browser would
    ///
    /// SOURCE is the URL of one page, the URL of a sitemap (it ends in .xml), or a file: a sitemap, or a
    /// list with one URL in each line. Everything is asked of the running Tidegate itself, whatever host
    /// the URLs name.
    Warm(Warm),
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["url", "prefix", "tag", "all"])]
pub(crate) struct Purge {
    /// One URL, with all its variants
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Every URL that begins so: http://host/path
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Every answer that has this tag in Cache-Tag or Surrogate-Key
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Make it stale instead: it is given out once more where stale answers may be, and fetched anew
    #[arg(long)]
    pub(crate) soft: bool,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only URLs that begin so: http://host/path
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: u16,
    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainCached {
    /// The URL: http://host/path
    pub(crate) url: String,
    /// A field of the request, once for each: "name: value"
    #[arg(short = 'H', long, value_name = "FIELD", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// A URL, a sitemap, or a file with one URL in each line
    pub(crate) source: String,
    /// Requests at once
    #[arg(long, value_name = "COUNT", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: u16,
    /// Where to ask: host:port or unix:/path [default: the first listener of the running Tidegate]
    #[arg(long, value_name = "ADDRESS", value_parser = endpoint)]
    pub(crate) to: Option<config::EndpointAddress>,
    /// A field of every request, once for each: "name: value"
    #[arg(short = 'H', long, value_name = "FIELD", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

/// Runs the command line `args` (the program's name first) to its end.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to do when the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => run::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Reload(args) => ask::reload(&args),
        Command::Status(args) => ask::status(&args),
        Command::Drain(args) => ask::drain(&args),
        Command::Surge(Surge::On(args)) => ask::surge_on(args),
        Command::Surge(Surge::Off(args)) => ask::surge_off(&args),
        Command::Surge(Surge::Status(args)) => ask::surge_status(&args),
        Command::Load(load) => load_command::load(&load, &args),
        Command::Cache(Cache::Purge(args)) => ask::purge(args),
        Command::Cache(Cache::List(args)) => ask::list(&args),
        Command::Cache(Cache::Top(args)) => ask::top(&args),
        Command::Cache(Cache::Explain(args)) => ask::explain_cached(&args),
        Command::Cache(Cache::Warm(args)) => warm::warm(args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Man => docs::print_man(),
        Command::Docs { folder } => docs::write(&folder),
    }
}

fn endpoint(text: &str) -> Result<config::EndpointAddress, String> {
    config::parse_endpoint(text).map_err(|error| error.to_string())
}

fn listen(text: &str) -> Result<config::ListenAddress, String> {
    config::parse_listen(text).map_err(|error| error.to_string())
}

fn admin(text: &str) -> Result<AdminPlace, String> {
    match text {
        "off" => Ok(AdminPlace::Off),
        _ => text
            .parse()
            .map(AdminPlace::At)
            .map_err(|_| "write an address and a port, such as 127.0.0.1:9900, or off".to_owned()),
    }
}

fn lasting(text: &str) -> Result<Duration, String> {
    let lasts = config::value::parse_time(text).filter(|lasts| *lasts >= Duration::from_secs(1));
    lasts.ok_or_else(|| "write a time of a second or more, such as 30m or 1h30m".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a field is written \"name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_purge_says_what_and_says_it_once() {
        let parse = |args: &[&str]| {
            let args = ["tidegate", "cache", "purge"].iter().chain(args);
            Cli::try_parse_from(args).is_ok()
        };
        assert!(parse(&["--all"]) && parse(&["--tag", "a", "--soft"]));
        assert!(!parse(&[]) && !parse(&["--soft"]) && !parse(&["--all", "--url", "http://a/"]));
    }

    #[test]
    fn a_surge_lasts_for_a_time_with_a_unit() {
        let parse =
            |args: &[&str]| Cli::try_parse_from(["tidegate", "surge", "on"].iter().chain(args)).is_ok();
        assert!(parse(&[]) && parse(&["sale", "--for", "1h30m"]) && parse(&["--for", "1s"]));
        assert!(!parse(&["--for", "30"]) && !parse(&["--for", "5ms"]) && !parse(&["a", "b"]));
    }

    #[test]
    fn a_file_and_addresses_exclude_each_other() {
        let error = Cli::try_parse_from(["tidegate", "run", "-c", "x.toml", "--to", "127.0.0.1:1"]);
        assert!(error.is_err());
    }
}
