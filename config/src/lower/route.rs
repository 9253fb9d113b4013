//! `[[route]]`: patterns, names, actions, and what two routes have to do with each other.

use core::ops::Range;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cache::rules::KeyPart;
use toml::Spanned;
use traffic::route::{HeaderMatch, HostPattern, PathPattern, Rule, Table};

use super::{Lowering, Shared, content, upstream};
use crate::diagnostic::{Diagnostic, Severity};
use crate::field::{is_token, is_value};
use crate::file::{self, File};
use crate::plan::{Action, Compress, Cors, Fallback, Rewrite, Room, Route, Server, Upstream};
use crate::read::{Switch, Toggle, nearest};

/// Conflicts that are told in one go. Each takes a table of its own to find.
const CONFLICTS_MAX: usize = 16;

/// Methods that people mean when they write them in small letters (RFC 9110 section 9, RFC 5789).
pub(super) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// What routes refer to.
pub(super) struct Known<'a> {
    upstreams: &'a [Upstream],
    rooms: &'a [Room],
    /// Place of an upstream by its name.
    index: HashMap<&'a str, usize>,
    /// Whether these are all the upstreams of the file.
    whole: bool,
    server: &'a Server,
    shared: &'a Shared,
}

/// A route of the plan, where it was written, and whether its name was.
struct Made {
    route: Route,
    span: Range<usize>,
    name: Option<Range<usize>>,
    /// Whether nothing was wrong with it, so that it says what was meant.
    is_sound: bool,
}

impl Lowering<'_> {
    pub(super) fn routes(
        &mut self,
        file: &File,
        upstreams: &[Upstream],
        rooms: &[Room],
        server: &Server,
        shared: &Shared,
    ) -> Vec<Route> {
        let written = file.route.get().map(|list| list.0.as_slice()).unwrap_or_default();
        if written.is_empty() && !file.route.is_refused() {
            let help = "add [[route]] with upstream = \"…\"";
            self.error(file.route.span(), "the file has no route".to_owned(), help);
        }
        let index = upstreams.iter().enumerate().map(|(index, upstream)| (upstream.name.as_str(), index));
        let known = Known {
            upstreams,
            rooms,
            index: index.collect(),
            // When the upstreams themselves were refused, nobody knows which there would have been.
            whole: !file.upstream.is_refused(),
            server,
            shared,
        };
        let fallbacks = self.fallbacks(&known, file);
        let mut made = Vec::new();
        for route in written {
            self.route(&known, &fallbacks, route, &mut made);
        }
        self.distinct_names(&mut made);
        self.distinct_rules(&made);
        let are_sound = made.iter().all(|made| made.is_sound);
        let routes: Vec<Route> = made.into_iter().map(|made| made.route).collect();
        if are_sound {
            self.unused_upstreams(file, written);
            self.stale_of_nothing(file, &fallbacks, &routes);
        }
        self.not_too_many_limits(&routes);
        routes
    }

    /// One route of the file is one of the plan for every host it names.
    fn route(
        &mut self,
        known: &Known<'_>,
        fallbacks: &[Option<Arc<Fallback>>],
        spanned: &Spanned<file::Route>,
        made: &mut Vec<Made>,
    ) {
        let (span, route) = (spanned.span(), spanned.get_ref());
        let told = self.diagnostics.len();
        let path = self.path(route);
        let (methods, headers) = (self.methods(route), self.headers(route));
        let tells_more_than_url = !methods.is_empty() || !headers.is_empty();
        let action = self.action(known, span.clone(), route, &path);
        let rewrite = match self.rewrite(route, &path) {
            Rewrite::None if matches!(action, Action::Files(_)) => content::below(&path),
            written => written,
        };
        self.no_effect(route, &action);
        let forwards_to = match action {
            Action::Upstream(index) => Some(index),
            Action::Redirect { .. } | Action::Respond { .. } | Action::Files(_) => None,
        };
        let base = forwards_to.and_then(|index| known.upstreams.get(index));
        let deadlines = base
            .map_or_else(|| upstream::timeouts(&file::UpstreamTimeouts::default()), |u| u.timeouts.clone());
        let retry = base.map_or_else(upstream::no_retry, |u| u.traffic.retry.clone());
        let (hosts, limit) = (self.hosts(route), self.limits_of("route", &route.limit, Some(&path)));
        let (room, surge_room) = route_rooms(known, route);
        let mut plan = Route {
            name: self.route_name(route),
            line: self.line(span.start),
            rule: Rule { host: HostPattern::Any, path, methods, headers },
            action,
            rewrite,
            request_headers: self.edits("request_headers", &route.request_headers()),
            response_headers: self.edits("response_headers", &route.response_headers()),
            body_bytes: route.body_limit.get().map_or(known.server.limits.body_bytes, |size| size.0),
            limit,
            access: self.access(&route.allow, &route.deny),
            timeouts: upstream::merged_timeouts(&deadlines, route.timeouts.get()),
            retry: upstream::merged_retry(&retry, route.retry.get()),
            priority: super::queue::priority(route),
            room,
            surge_room,
            fallback: self.route_fallback(known, fallbacks, route, forwards_to),
            error_pages: self.error_pages(route),
            cache: base.and_then(|_| self.route_cache(route, &known.shared.store, &known.shared.rules)),
            compress: self.route_compress(known, route, base.is_some()),
            security: match route.security_headers.written() {
                None => known.server.security.clone(),
                written => self.security(written),
            },
            cors: self.route_cors(known, route),
        };
        if let Some(cache) = plan.cache.as_mut().filter(|_| tells_more_than_url) {
            // Another route may send the same URL elsewhere, and what comes from there is another answer.
            cache.rules.key.push(KeyPart::Fixed(plan.name.clone()));
        }
        let errors = self.diagnostics[told..].iter().any(|told| told.severity == Severity::Error);
        let is_sound = !errors && !route.has_mistakes;
        let several = hosts.len() > 1;
        for host in hosts {
            let mut plan = plan.clone();
            plan.rule.host = host;
            if several && route.name.get().is_some() {
                plan.name = format!("{} {}", plan.name, plan.rule.host);
            }
            made.push(Made { route: plan, span: span.clone(), name: route.name.span(), is_sound });
        }
    }

    /// Redirects and fixed answers are too short to be compressed.
    fn route_compress(
        &mut self,
        known: &Known<'_>,
        route: &file::Route,
        forwards: bool,
    ) -> Option<Arc<Compress>> {
        let has_bodies = forwards || !route.files.is_absent();
        match route.compress.get() {
            None => known.shared.compress.clone().filter(|_| has_bodies),
            written => {
                let compress = self.compress(written)?;
                has_bodies.then_some(compress)
            }
        }
    }

    fn route_cors(&mut self, known: &Known<'_>, route: &file::Route) -> Option<Arc<Cors>> {
        let Some(written) = route.cors.written() else { return known.shared.cors.clone() };
        self.cors(Some(written))
    }

    fn hosts(&mut self, route: &file::Route) -> Vec<HostPattern> {
        let mut hosts: Vec<HostPattern> = Vec::new();
        let written = route.host().0;
        if written.is_empty() {
            let help = "name at least one host, or leave host out";
            self.error(route.host.span(), "route.host names no host".to_owned(), help);
        }
        for text in written {
            match HostPattern::parse(text.get_ref()) {
                Ok(host) if hosts.contains(&host) => {
                    self.error(
                        text.span(),
                        format!("\"{host}\" stands twice in route.host"),
                        "take one away",
                    );
                }
                Ok(host) => hosts.push(host),
                Err(why) => self.pattern("host", &text, &why.to_string()),
            }
        }
        hosts
    }

    fn path(&mut self, route: &file::Route) -> PathPattern {
        let any = || PathPattern::parse("/").expect("the root is a path");
        let Some(text) = route.path.written() else { return any() };
        match PathPattern::parse(text.get_ref()) {
            Ok(path) => {
                let plain = text.get_ref().strip_suffix('/').filter(|p| !p.is_empty() && !p.starts_with('='));
                if let Some(plain) = plain {
                    let help = format!("write \"{plain}/*\" for everything below");
                    self.warn(text.span(), format!("\"{path}\" matches that one path only"), help);
                }
                path
            }
            Err(why) => {
                self.pattern("path", text, &why.to_string());
                any()
            }
        }
    }

    /// Reports why a pattern is refused. The brain gives what is wrong and how to mend it in one sentence.
    fn pattern(&mut self, key: &str, text: &Spanned<String>, why: &str) {
        let (what, help) = why.split_once(", ").unwrap_or((why, "see the reference page"));
        self.error(text.span(), format!("route.{key}: \"{}\": {what}", text.get_ref()), help);
    }

    fn methods(&mut self, route: &file::Route) -> Vec<String> {
        let Some(written) = route.method.written() else { return Vec::new() };
        if written.get_ref().0.is_empty() {
            let help = "name at least one method, or leave method out for all of them";
            self.error(written.span(), "route.method names no method".to_owned(), help);
        }
        for method in &written.get_ref().0 {
            let (span, text) = (method.span(), method.get_ref());
            let upper = text.to_ascii_uppercase();
            if !is_token(text) || text.len() > wire::MAX_METHOD_BYTES {
                let help = "write a method such as \"GET\"";
                self.error(span, format!("route.method: \"{text}\" is no method"), help);
            } else if *text != upper && METHODS.contains(&upper.as_str()) {
                let help = format!("methods are case-sensitive: write \"{upper}\"");
                self.error(span, format!("route.method: no client sends \"{text}\""), help);
            } else if text == "CONNECT" {
                let help = "Tidegate opens no tunnels to places that clients name; leave it out";
                self.error(span, "route.method: CONNECT is always refused".to_owned(), help);
            }
        }
        written.get_ref().0.iter().map(|method| method.get_ref().clone()).collect()
    }

    fn headers(&mut self, route: &file::Route) -> Vec<HeaderMatch> {
        let written = route.header.get().map(|named| named.0.as_slice()).unwrap_or_default();
        let mut headers: Vec<HeaderMatch> = Vec::new();
        for (name, value) in written {
            let lower = name.get_ref().to_ascii_lowercase();
            if lower == "host" {
                self.error(name.span(), "route.header cannot match host".to_owned(), "write host = \"…\"");
            }
            if headers.iter().any(|header| header.name == lower) {
                let help = "take one away";
                self.error(name.span(), format!("\"{lower}\" stands twice in route.header"), help);
            }
            let value_text = match value.get_ref() {
                file::HeaderMatch::Present => None,
                file::HeaderMatch::Value(text) => Some(text.clone()),
            };
            self.field("route.header", name, &value_text.clone().unwrap_or_default(), value.span());
            headers.push(HeaderMatch { name: lower, value: value_text });
        }
        headers
    }

    /// Checks the name and the value of a header field.
    pub(super) fn field(&mut self, key: &str, name: &Spanned<String>, value: &str, at: Range<usize>) {
        if !is_token(name.get_ref()) {
            let help = "write letters, digits and \"-\"";
            self.error(name.span(), format!("{key}: \"{}\" is no name for a header", name.get_ref()), help);
        }
        if !is_value(value) {
            let help = "leave out line breaks, controls, and blanks at the ends";
            self.error(at, format!("{key}: the value of \"{}\" cannot be sent", name.get_ref()), help);
        }
    }

    /// The name that was given, or host and path as written; `distinct_names` adds what tells it from others.
    fn route_name(&mut self, route: &file::Route) -> String {
        let Some(name) = route.name.written() else { return String::new() };
        let text = name.get_ref();
        if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
            let help = "write 1 to 128 visible characters";
            self.error(name.span(), "route.name cannot be shown".to_owned(), help);
        }
        text.clone()
    }

    /// Gives routes without a name one that tells them apart, and refuses names that were given twice.
    fn distinct_names(&mut self, made: &mut [Made]) {
        let short: Vec<String> = made.iter().map(|made| host_and_path(&made.route.rule)).collect();
        let mut times = HashMap::<&str, usize>::new();
        for (made, short) in made.iter().zip(&short) {
            if made.name.is_none() {
                *times.entry(short).or_default() += 1;
            }
        }
        for (made, short) in made.iter_mut().zip(&short) {
            if made.name.is_none() {
                let alone = times[short.as_str()] == 1;
                made.route.name = if alone { short.clone() } else { in_full(short, &made.route.rule) };
            }
        }
        let mut seen = HashMap::<&str, &Range<usize>>::new();
        for made in made.iter() {
            let Some(span) = &made.name else { continue };
            match seen.get(made.route.name.as_str()) {
                Some(first) => {
                    let message = format!("two routes are named \"{}\"", made.route.name);
                    let twice =
                        Diagnostic::error(span.clone(), message).note((*first).clone(), "the first one");
                    self.diagnostics.push(twice.help("give one of them another name"));
                }
                None => {
                    seen.insert(&made.route.name, span);
                }
            }
        }
    }

    /// Two routes that match the same requests are refused: the order of the file decides nothing. Routes with
    /// mistakes are left out, for mended they may match something else.
    fn distinct_rules(&mut self, made: &[Made]) {
        let mut left: Vec<&Made> = made.iter().filter(|made| made.is_sound).collect();
        for _ in 0..CONFLICTS_MAX {
            let rules = left.iter().map(|made| made.route.rule.clone()).collect();
            let Err(conflict) = Table::build(rules) else { return };
            let (first, second) = (left[conflict.first.index()], left.remove(conflict.second.index()));
            let message = format!("another route matches the same requests as \"{}\"", second.route.name);
            let same = Diagnostic::error(second.span.clone(), message);
            let same = same.note(first.span.clone(), "the other one");
            self.report(same.help("give one of them another host, path, method or header"));
        }
    }

    fn unused_upstreams(&mut self, file: &File, routes: &[Spanned<file::Route>]) {
        let Some(upstreams) = file.upstream.get() else { return };
        let routes = || routes.iter().map(Spanned::get_ref);
        let stand_ins = routes()
            .filter_map(|route| route.fallback.get().and_then(Switch::on))
            .chain(upstreams.0.iter().filter_map(|(_, upstream)| upstream.get_ref().fallback.get()))
            .filter_map(|fallback| fallback.upstream.get());
        let named = routes().filter_map(|route| route.upstream.get()).chain(stand_ins);
        let used: HashSet<&str> = named.map(String::as_str).collect();
        for (name, upstream) in &upstreams.0 {
            if !used.contains(name.get_ref().as_str()) {
                let help = "add a route to it, or take it away";
                let message = format!("no route uses upstream \"{}\"", name.get_ref());
                self.warn(upstream.span(), message, help);
            }
        }
    }

    fn action(
        &mut self,
        known: &Known<'_>,
        span: Range<usize>,
        route: &file::Route,
        path: &PathPattern,
    ) -> Action {
        let written = [
            ("upstream", &route.upstream.span(), route.upstream.is_absent()),
            ("files", &route.files.span(), route.files.is_absent()),
            ("redirect", &route.redirect.span(), route.redirect.is_absent()),
            ("respond", &route.respond.span(), route.respond.is_absent()),
        ];
        let mut written = written.iter().filter(|(_, _, absent)| !absent);
        match (written.next(), written.next()) {
            (None, _) => {
                let help = "add upstream = \"…\", files = \"…\", redirect = \"…\" or respond = …";
                self.error(span, "route does nothing".to_owned(), help);
            }
            (Some((one, _, _)), Some((other, at, _))) => {
                let help = "one route does one thing: keep one of them";
                self.error((*at).clone().or(Some(span)), format!("route has both {one} and {other}"), help);
            }
            _ => {}
        }
        if let Some(redirect) = route.redirect.get() {
            return self.redirect(&redirect.0, path);
        }
        if let Some(respond) = route.respond.get() {
            return self.respond(&respond.0);
        }
        if let Some(files) = route.files.get() {
            return Action::Files(self.files(route, &files.0));
        }
        Action::Upstream(self.named_upstream(known, route))
    }

    fn named_upstream(&mut self, known: &Known<'_>, route: &file::Route) -> usize {
        route.upstream.written().map_or(0, |name| self.upstream_named(known, name))
    }

    pub(super) fn upstream_named(&mut self, known: &Known<'_>, name: &Spanned<String>) -> usize {
        if let Some(index) = known.index.get(name.get_ref().as_str()) {
            return *index;
        }
        if known.whole {
            let names: Vec<&str> = known.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
            let help = match nearest(name.get_ref(), &names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("add [upstream.{}] with endpoints = […]", name.get_ref()),
            };
            self.error(name.span(), format!("there is no upstream \"{}\"", name.get_ref()), help);
        }
        0
    }
}

/// The waiting room that a route always has, or the one that it has while a surge is on.
fn route_rooms(known: &Known<'_>, route: &file::Route) -> (Option<usize>, Option<usize>) {
    let name = route.waiting_room.get().and_then(Toggle::on).map(file::WaitingRoom::name);
    let index = name.and_then(|name| known.rooms.iter().position(|room| room.name == name));
    match index.filter(|&index| known.rooms[index].is_for_surges) {
        None => (index, None),
        surge => (None, surge),
    }
}

/// `example.org/api/*`, or the path alone for any host.
fn host_and_path(rule: &Rule) -> String {
    match &rule.host {
        HostPattern::Any => rule.path.to_string(),
        host => format!("{host}{}", rule.path),
    }
}

/// Host and path with methods and headers behind: no two rules that may stand side by side share it.
fn in_full(short: &str, rule: &Rule) -> String {
    let mut name = short.to_owned();
    if !rule.methods.is_empty() {
        name = format!("{name} {}", rule.methods.join(","));
    }
    for header in &rule.headers {
        name = match &header.value {
            Some(value) => format!("{name} {}={value}", header.name),
            None => format!("{name} {}", header.name),
        };
    }
    name
}
