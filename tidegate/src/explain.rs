//! `tidegate explain`: what would be done with a request, and why.

use std::path::Path;
use std::process::ExitCode;

use admin::{Explanation, Step};
use proxy::core::Shared;
use proxy::explain::{Asked, explain as decide};
use proxy::live::Live;
use signals::Signals;

use crate::cli;
use crate::run::Source;

/// Explains by a file when one is named, else asks the running process.
pub(crate) fn explain(args: &cli::Explain) -> ExitCode {
    let asked = match Asked::read(&args.method, &args.url, &args.header) {
        Ok(asked) => Asked { client: args.client, ..asked },
        Err(text) => {
            eprintln!("error: {text}");
            return ExitCode::from(2);
        }
    };
    let Some(path) = &args.config else { return crate::ask::explain(args) };
    match by_file(path, &asked) {
        Ok(explanation) => {
            print!("{explanation}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Decides by a configuration that nothing runs on: every endpoint counts as never heard of.
fn by_file(path: &Path, asked: &Asked) -> Result<Explanation, String> {
    let (plan, warnings) = Source::File(path.to_owned()).read(false)?;
    eprint!("{warnings}");
    let live = Live::build(plan, &Signals::new(1), None).map_err(|error| format!("error: {error}\n"))?;
    Ok(explanation(&live, None, asked))
}

/// The decisions as the admin listener gives them.
pub(crate) fn explanation(live: &Live, shared: Option<&Shared>, asked: &Asked) -> Explanation {
    let steps = decide(live, shared, asked);
    Explanation {
        steps: steps.into_iter().map(|step| Step { stage: step.stage.to_owned(), text: step.text }).collect(),
    }
}
