//! Commands that ask a running Tidegate over its admin listener.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use admin::client::{self, Answer, AskError};
use admin::{Entries, Explanation, PurgeOrder, PurgeWhat, Purged, SurgeOrder};

use crate::cli::{Admin, Drain, Explain, ExplainCached, List, Purge, Status, SurgeOn, Top};

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A purge or a list may look at every entry.
const STORE_PATIENCE: Duration = Duration::from_mins(1);

/// A reload reads files and binds addresses.
const RELOAD_PATIENCE: Duration = Duration::from_secs(30);

/// `tidegate reload`.
pub(crate) fn reload(args: &Admin) -> ExitCode {
    print(client::post(&args.admin.to_string(), "/reload", RELOAD_PATIENCE))
}

/// `tidegate surge on`.
pub(crate) fn surge_on(args: SurgeOn) -> ExitCode {
    order(&args.admin, &SurgeOrder::On { profile: args.name, lasts: args.lasts })
}

/// `tidegate surge off`.
pub(crate) fn surge_off(args: &Admin) -> ExitCode {
    order(args, &SurgeOrder::Off)
}

fn order(admin: &Admin, order: &SurgeOrder) -> ExitCode {
    print(client::post(&admin.admin.to_string(), &client::surge_path(order), RELOAD_PATIENCE))
}

/// `tidegate surge status`.
pub(crate) fn surge_status(args: &Admin) -> ExitCode {
    print(client::get_text(&args.admin.to_string(), "/surge", PATIENCE))
}

/// `tidegate status`.
pub(crate) fn status(args: &Status) -> ExitCode {
    let address = args.admin.admin.to_string();
    if args.json {
        return print(client::get(&address, "/status", PATIENCE));
    }
    match client::status(&address, PATIENCE) {
        Ok(status) => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            print!("{}", admin::table::status(&status, width(), colour));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// `tidegate cache purge`.
pub(crate) fn purge(args: Purge) -> ExitCode {
    let Purge { url, prefix, tag, soft, admin, .. } = args;
    let what = match (url, prefix, tag) {
        (Some(url), ..) => PurgeWhat::Url(url),
        (_, Some(prefix), _) => PurgeWhat::Prefix(prefix),
        (.., Some(tag)) => PurgeWhat::Tag(tag),
        // The command line takes exactly one of the four.
        (None, None, None) => PurgeWhat::All,
    };
    let address = admin.admin.to_string();
    let path = client::purge_path(&PurgeOrder { what, soft });
    let purged = client::post(&address, &path, STORE_PATIENCE);
    match purged.and_then(|answer| client::read::<Purged>(&address, answer)) {
        Ok(purged) => {
            println!("{}", purged.what());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// `tidegate cache list`.
pub(crate) fn list(args: &List) -> ExitCode {
    let path = client::list_path(args.prefix.as_deref(), args.limit.into());
    entries(&args.admin, &path, args.json)
}

/// `tidegate cache top`.
pub(crate) fn top(args: &Top) -> ExitCode {
    entries(&args.admin, &format!("/cache/top?limit={}", args.limit), args.json)
}

fn entries(admin: &Admin, path: &str, is_json: bool) -> ExitCode {
    let address = admin.admin.to_string();
    let answer = client::get(&address, path, STORE_PATIENCE);
    if is_json {
        return print(answer);
    }
    match answer.and_then(|answer| client::read::<Entries>(&address, answer)) {
        Ok(entries) if entries.entries.is_empty() && entries.on_disk == 0 => {
            println!("nothing is there");
            ExitCode::SUCCESS
        }
        Ok(entries) => {
            print!("{}", admin::table::entries(&entries, width()));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// `tidegate cache explain`: of all decisions those of the cache, unless the request never comes that far.
pub(crate) fn explain_cached(args: &ExplainCached) -> ExitCode {
    let headers: Vec<String> = args.header.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let address = args.admin.admin.to_string();
    let answer = client::get(&address, &client::explain_path("GET", &args.url, &headers, None), PATIENCE);
    match answer.and_then(|answer| client::read::<Explanation>(&address, answer)) {
        Ok(mut explanation) => {
            if explanation.steps.iter().any(|step| step.stage == "cache") {
                explanation.steps.retain(|step| matches!(step.stage.as_str(), "request" | "cache"));
            }
            print!("{explanation}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// Width of the terminal in characters; 0 where there is none.
fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return 0;
    }
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col))
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
    let path = client::explain_path(&args.method, &args.url, &headers, args.client);
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

pub(crate) fn failed(error: &AskError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
