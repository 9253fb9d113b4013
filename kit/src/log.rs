//! Log lines: for people on a terminal, one JSON object per line everywhere else. Always on standard error, so
//! that standard output stays the program's own.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` decides what is logged; without it `default` does (such as `info`).
///
/// A second call changes nothing: an app that is started inside another process keeps that one's logging.
pub fn init(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging was started before, which is what the contract above allows.
    let _ = if std::io::stderr().is_terminal() {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
}
