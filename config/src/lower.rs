//! File to Plan: defaults filled in, names resolved, everything checked that takes more than one key.
//!
//! The walk never stops: where a key was refused, its default stands in, so that the rest of the file is
//! judged too. A plan made beside an error is thrown away by whoever asked for it.

mod action;
mod browser;
mod cache;
mod content;
mod fallback;
mod key;
mod limit;
mod queue;
mod room;
mod route;
mod server;
mod surge;
mod upstream;

pub(crate) use action::ERROR_PAGE_BYTES;

use core::ops::Range;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ::cache::Rules;
use toml::Spanned;

use crate::diagnostic::{Diagnostic, Severity};
use crate::file::{self, File};
use crate::plan::{Cache, Compress, Cors, EndpointAddress, ListenAddress, Plan, RequestKey, Server};
use crate::read::{Key, List, Named, Shortened};

/// How the files that a configuration names are read.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What the walk carries: the text for line numbers, how to read files, what was wrong so far.
pub(crate) struct Lowering<'a> {
    /// Where each line of the text ends.
    newlines: Vec<usize>,
    read: ReadFile<'a>,
    diagnostics: Vec<Diagnostic>,
    /// What `"tenant"` stands for.
    tenant: Option<RequestKey>,
    /// Whether tokens can be verified.
    has_jwt: bool,
}

/// What routes have in common, besides the server's own settings.
pub(crate) struct Shared {
    /// The store.
    store: Cache,
    /// What every route caches by, where it does not say otherwise.
    rules: Rules,
    compress: Option<Arc<Compress>>,
    cors: Option<Arc<Cors>>,
}

/// The plan that a file means, and everything that is wrong or of no effect in it. The plan counts only when
/// none of the diagnostics is an error.
pub(crate) fn lower(file: &File, text: &str, read: ReadFile<'_>) -> (Plan, Vec<Diagnostic>) {
    let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let mut lowering = Lowering { newlines, read, diagnostics: Vec::new(), tenant: None, has_jwt: false };
    let mut server = lowering.server(&file.server());
    let mut shared = lowering.shared(file, &mut server);
    let listeners = lowering.listeners(file, &server);
    let upstreams = lowering.upstreams(file);
    // Browsers send them to every route of the host.
    let sticky = upstreams.iter().filter_map(|upstream| upstream.sticky_cookie.as_ref());
    shared.rules.own_cookies = sticky.map(|cookie| cookie.name.clone()).collect();
    let rooms = lowering.rooms(file, server.state.is_some());
    let routes = lowering.routes(file, &upstreams, &rooms, &server, &shared);
    let (cache, surges) = (shared.store, Vec::new());
    let mut plan = Plan { server, cache, listeners, upstreams, rooms, routes, surges, shed: None };
    plan.surges = lowering.surges(file, &plan);
    (plan, lowering.diagnostics)
}

/// The plan without a file: one listener, one upstream, one route for everything, all else by default.
pub(crate) fn simple(listen: ListenAddress, endpoints: Vec<EndpointAddress>) -> Plan {
    let endpoint = |address| Shortened(file::Endpoint { address: written(address), ..Default::default() });
    let endpoints = endpoints.into_iter().map(|address| Spanned::new(0..0, endpoint(address))).collect();
    let upstream = file::Upstream { endpoints: written(List(endpoints)), ..Default::default() };
    let name = || String::from("app");
    let file = File {
        listener: one(file::Listener { address: written(listen), ..Default::default() }),
        upstream: written(Named(vec![(Spanned::new(0..0, name()), Spanned::new(0..0, upstream))])),
        route: one(file::Route { upstream: written(name()), ..Default::default() }),
        ..Default::default()
    };
    let (mut plan, _) = lower(&file, "", &|_| Err(io::ErrorKind::NotFound.into()));
    for route in &mut plan.routes {
        route.line = 0;
    }
    plan
}

fn written<T>(value: T) -> Key<T> {
    Key::Written(Spanned::new(0..0, value))
}

fn one<T>(value: T) -> Key<List<T>> {
    written(List(vec![Spanned::new(0..0, value)]))
}

impl Lowering<'_> {
    fn shared(&mut self, file: &File, server: &mut Server) -> Shared {
        let written = file.server();
        let (store, rules) = self.store(&file.cache(), server.threads);
        server.security = self.security(written.security_headers.written());
        let compress = self.compress(written.compress.get());
        Shared { store, rules, compress, cors: self.cors(written.cors.written()) }
    }

    /// Line of a byte of the text, from 1.
    fn line(&self, at: usize) -> usize {
        self.newlines.partition_point(|newline| *newline < at) + 1
    }

    /// Adds a diagnostic.
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Adds an error.
    fn error(&mut self, span: impl Into<Option<Range<usize>>>, message: String, help: impl Into<String>) {
        self.report(Diagnostic::error(span, message).help(help));
    }

    /// Adds a warning.
    fn warn(&mut self, span: impl Into<Option<Range<usize>>>, message: String, help: impl Into<String>) {
        self.report(Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(span, message).help(help)
        });
    }
}
