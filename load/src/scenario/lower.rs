//! File to Plan: defaults filled in, names resolved, everything checked that takes more than one key.
//!
//! The walk never stops: where a key was refused its default stands in, so that the rest of the file is judged too.
//! A plan made beside a mistake is thrown away by whoever asked for it.

mod load;
mod sockets;
mod steps;
mod variables;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::Path;

use config::Diagnostic;
use config::read::Key;

use super::file::File;
use super::target::{self, Resolve};
use super::value::MAX_SOURCES;
use super::{TIMEOUT, random_seed};
use crate::plan::{Plan, Target, Transport, Work};
use crate::script::{BadTemplate, Draft};
use crate::threshold::Threshold;

/// What a scenario is read with: how it is called, and what is around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// How the scenario is called in diagnostics, and in reports when it has no name.
    pub name: &'a str,
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The bytes of a file that the scenario names, by the path as written, at most so many.
    pub read: &'a dyn Fn(&Path, usize) -> io::Result<Vec<u8>>,
    /// The addresses of a host.
    pub resolve: Resolve<'a>,
}

/// What the walk carries.
pub(super) struct Lowering<'a> {
    around: Surroundings<'a>,
    draft: Draft,
    /// What the columns of unreadable files are called, up to the dot.
    unread: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

/// The plan that a file means, and everything that is wrong in it. The plan counts only when nothing is.
pub(super) fn lower(file: &File, around: Surroundings<'_>) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut lowering =
        Lowering { around, draft: Draft::new("", true), unread: Vec::new(), diagnostics: Vec::new() };
    let target = lowering.target(&file.target);
    lowering.draft = Draft::new(&target.authority, file.keep_alive());
    let kind = lowering.kind(file);
    lowering.variables(file);
    let stages = lowering.stages(file, kind);
    let sockets = file.websocket.written().map(|websocket| lowering.sockets(websocket, &stages));
    if file.websocket.is_absent() {
        lowering.flows(file);
    }
    let users = lowering.users(file, kind, &stages);
    let model = lowering.model(file, kind);
    let sources = lowering.sources(file, &target);
    let thresholds = lowering.thresholds(file);
    let Lowering { draft, mut diagnostics, .. } = lowering;
    let script = match draft.finish() {
        Ok(script) => script,
        Err(many) => {
            diagnostics.push(Diagnostic::error(None, many.to_string()).help("split the scenario in two"));
            return (None, diagnostics);
        }
    };
    let timeout = file.timeout.get().map_or(TIMEOUT, |time| time.0);
    let plan = Plan {
        name: file.name.get().cloned().unwrap_or_else(|| named_after(around.name)),
        target,
        model,
        stages,
        requests: file.requests.get().map(|requests| requests.0),
        work: match sockets {
            Some(parts) => Work::Sockets(parts.with(script)),
            None => Work::Http(script),
        },
        users,
        keep_alive: file.keep_alive(),
        sources,
        timeout,
        grace: file.grace.get().map_or(timeout, |time| time.0),
        thresholds,
        seed: file.seed.get().map_or_else(random_seed, |seed| seed.0),
    };
    (Some(plan), diagnostics)
}

/// `load/checkout.toml` is `checkout`.
fn named_after(path: &str) -> String {
    let stem = Path::new(path).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

impl Lowering<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn error(
        &mut self,
        span: impl Into<Option<Range<usize>>>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Diagnostic::error(span, what).help(help));
    }

    /// What was made of a text with variables, or nothing after its mistake was told.
    fn made<T>(&mut self, span: Range<usize>, made: Result<T, BadTemplate>) -> Option<T> {
        match made {
            Ok(made) => return Some(made),
            Err(BadTemplate::Unknown { name, .. })
                if self.unread.iter().any(|data| name.starts_with(data)) => {}
            Err(bad) => self.error(span, bad.to_string(), bad.help()),
        }
        None
    }

    /// The target; one that is never asked when there is a mistake.
    fn target(&mut self, written: &Key<String>) -> Target {
        let read =
            written.written().map(|text| (text.span(), target::parse(text.get_ref(), self.around.resolve)));
        match read {
            Some((_, Ok((target, path)))) if path == "/" => return target,
            Some((span, Ok((target, path)))) => {
                let help = format!("write target = \"{}\" and path = \"{path}\" in a step", target.origin);
                self.error(span, format!("the target has a path, {path}"), help);
                return target;
            }
            Some((span, Err(bad))) => self.error(span, bad.what, bad.help),
            None => {}
        }
        Target {
            origin: String::new(),
            authority: String::new(),
            addresses: vec![(Ipv4Addr::LOCALHOST, 80).into()],
            transport: Transport::Plain,
        }
    }

    fn sources(&mut self, file: &File, target: &Target) -> Vec<IpAddr> {
        let written = file.sources.get().map(|list| list.0.as_slice()).unwrap_or_default();
        let mut sources = Vec::new();
        for range in written {
            let first = range.get_ref().0[0];
            if !target.addresses.iter().any(|address| address.is_ipv4() == first.is_ipv4()) {
                let family = if first.is_ipv4() { "IPv4" } else { "IPv6" };
                let help = "write addresses of the target's family";
                self.error(range.span(), format!("the target has no {family} address to connect to"), help);
            }
            sources.extend_from_slice(&range.get_ref().0);
        }
        if sources.len() > MAX_SOURCES {
            let what = format!("{} local addresses are too many", sources.len());
            self.error(file.sources.span(), what, format!("write at most {MAX_SOURCES}"));
        }
        sources
    }

    fn thresholds(&mut self, file: &File) -> Vec<Threshold> {
        let mut thresholds = Vec::new();
        let written = file.thresholds();
        let steps = self.draft.step_names();
        for text in &written.0 {
            let checked = Threshold::parse(text.get_ref())
                .and_then(|threshold| threshold.check_steps(&steps).map(|()| threshold));
            match checked {
                Ok(threshold) => thresholds.push(threshold),
                Err(bad) => self.error(text.span(), format!("\"{}\": {}", bad.text, bad.what), bad.mend),
            }
        }
        if written.0.is_empty() {
            let help = "leave thresholds out for the usual one, or write what has to hold";
            self.error(file.thresholds.span(), "nothing has to hold", help);
        }
        thresholds
    }
}
