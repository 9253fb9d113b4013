//! Commands that ask a running Tidegate over its admin listener.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use admin::client::{self, Answer, AskError};

use crate::cli::{Admin, Drain, Explain, Status};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A reload reads files and binds addresses.
const RELOAD_PATIENCE: Duration = Duration::from_secs(30);

/// `tidegate reload`.
pub(crate) fn reload(args: &Admin) -> ExitCode {
    print(client::post(&args.admin.to_string(), "/reload", RELOAD_PATIENCE))
}

/// `tidegate status`.
pub(crate) fn status(args: &Status) -> ExitCode {
    let address = args.admin.admin.to_string();
    if args.json {
        return print(client::get(&address, "/status", PATIENCE));
    }
    match client::status(&address, PATIENCE) {
        Ok(status) => {
            let terminal = std::io::stdout().is_terminal();
            let width =
                rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
            let colour = terminal && std::env::var_os("NO_COLOR").is_none();
            print!("{}", admin::table::status(&status, if terminal { width } else { 0 }, colour));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// `tidegate drain`.
pub(crate) fn drain(args: &Drain) -> ExitCode {
    let Some((upstream, endpoint)) = args.endpoint.split_once('/') else {
        eprintln!(
            "error: {} names no endpoint\nhelp: write UPSTREAM/ENDPOINT as status shows them",
            args.endpoint
        );
        return ExitCode::from(2);
    };
    let order = if args.undo { "undrain" } else { "drain" };
    let path = client::endpoint_path(order, upstream, endpoint);
    print(client::post(&args.admin.admin.to_string(), &path, PATIENCE))
}

/// `tidegate explain`, by the running process.
pub(crate) fn explain(args: &Explain) -> ExitCode {
    let headers: Vec<String> = args.header.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let path = client::explain_path(&args.method, &args.url, &headers);
    match client::get_text(&args.admin.admin.to_string(), &path, PATIENCE) {
        Err(error @ AskError::NothingListens(_)) => {
            eprintln!("error: {error}\nhelp: -c FILE explains by a configuration that is not running");
            ExitCode::FAILURE
        }
        result => print(result),
    }
}

fn print(result: Result<Answer, AskError>) -> ExitCode {
    match result {
        Ok(answer) if answer.is_good() => {
            println!("{}", answer.body.trim_end());
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            eprintln!("{}", answer.body.trim_end());
            ExitCode::FAILURE
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &AskError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
