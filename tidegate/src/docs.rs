//! The reference pages, generated from the code that they describe.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use traffic::Refusal;

use crate::cli::Cli;

/// Prints the manual page.
pub(crate) fn print_man() -> ExitCode {
    match man().and_then(|page| io::stdout().write_all(&page)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes every page into `folder`.
pub(crate) fn write(folder: &Path) -> ExitCode {
    match write_all(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the reference pages into {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = |name: &str, text: &[u8]| std::fs::write(folder.join(name), text);
    file("config.md", config::reference().as_bytes())?;
    file("config.schema.json", config::schema().as_bytes())?;
    file("metrics.md", signals::reference().as_bytes())?;
    file("refusals.md", refusals().as_bytes())?;
    file("cli.md", cli().as_bytes())?;
    file("tidegate.1", &man()?)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut text);
        file(&format!("tidegate.{shell}"), &text)?;
    }
    Ok(())
}

fn man() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

/// Every command with its help.
fn cli() -> String {
    let mut text = String::from(
        "# Command line\n\nGenerated from the program by `cargo xtask docs`; `tidegate help COMMAND` says the same.\n",
    );
    let mut command = Cli::command().term_width(100);
    command.build();
    commands(&mut command, "tidegate", &mut text);
    text
}

/// The help of the commands below `command`, and of those below them.
fn commands(command: &mut clap::Command, path: &str, text: &mut String) {
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            let path = format!("{path} {}", sub.get_name());
            // Writing to a String does not fail.
            let help = sub.render_long_help();
            let _ = write!(text, "\n## {path}\n\n```text\n{help}```\n");
            commands(sub, &path, text);
        }
    }
}

/// Every refusal with its status and what it means.
fn refusals() -> String {
    let mut text = String::from(
        "# Refusals\n\nGenerated from the program by `cargo xtask docs`. A refusal is an answer that Tidegate gives \
         instead of the app. The code stands in the body of the answer, in the access log and in the metrics.\n\n\
         | code | status | what the client reads |\n| --- | --- | --- |\n",
    );
    for refusal in Refusal::ALL {
        let status = match refusal {
            Refusal::Malformed(_) => "by rule, see below".to_owned(),
            other => other.status().to_string(),
        };
        let what = match refusal {
            Refusal::Malformed(_) => "which rule was broken",
            other => other.what(),
        };
        let _ = writeln!(text, "| `{}` | {status} | {what} |", refusal.code());
    }
    text.push_str(
        "\n## Rules behind `malformed` and `response_malformed`\n\nA response that breaks a rule is always answered \
         with 502.\n\n| rule | status | what it means |\n| --- | --- | --- |\n",
    );
    for rule in wire::Malformed::ALL {
        let _ = writeln!(text, "| `{}` | {} | {} |", rule.code(), rule.status(), rule.what());
    }
    text
}
