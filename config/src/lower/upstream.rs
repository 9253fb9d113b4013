//! `[upstream.NAME]`.

use core::ops::Range;
use core::time::Duration;

use toml::Spanned;
use traffic::{balance, breaker, health, outlier, retry, upstream};

use super::Lowering;
use crate::diagnostic::Diagnostic;
use crate::field::{is_token, is_value};
use crate::file::{self, File, Policy};
use crate::plan::{
    Breaker, Endpoint, EndpointAddress, HostField, Pool, RequestKey, StickyCookie, Upstream, UpstreamTimeouts,
};
use crate::read::{Shortened, Switch, Toggle};

impl Lowering<'_> {
    pub(super) fn upstreams(&mut self, file: &File) -> Vec<Upstream> {
        let written = file.upstream.get().map(|named| named.0.as_slice()).unwrap_or_default();
        written.iter().map(|(name, upstream)| self.upstream(name, upstream)).collect()
    }

    fn upstream(&mut self, name: &Spanned<String>, written: &Spanned<file::Upstream>) -> Upstream {
        let (span, upstream) = (written.span(), written.get_ref());
        let named = name.get_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if named.is_empty() || named.len() > 64 || !named.bytes().all(fits) {
            let help = "name it with at most 64 letters, digits, \"-\", \"_\" and \".\"";
            self.error(name.span(), format!("\"{named}\" is no name for an upstream"), help);
        }
        let (queue_settings, queue) = self.queue(upstream);
        let balance = upstream.balance().0;
        let balance_span = upstream.balance.span().unwrap_or(span.clone());
        Upstream {
            name: named.clone(),
            endpoints: self.endpoints(named, span, upstream),
            traffic: upstream::Settings {
                policy: policy(&balance),
                outlier: self.outlier(upstream.outlier().on()),
                retry: retry_settings(upstream.retry().on()),
                slow_start: upstream.slow_start().0,
                queue: queue_settings,
            },
            balance_key: self.balance_key(&balance, balance_span),
            sticky_cookie: self.sticky_cookie(&balance),
            health: upstream.health.get().and_then(Switch::on).map(|health| self.health(&health.0)),
            timeouts: timeouts(&upstream.timeouts()),
            pool: Pool {
                idle: upstream.pool().idle().0 as usize,
                idle_timeout: upstream.pool().idle_timeout().0,
            },
            breaker: upstream.breaker.get().and_then(Toggle::on).map(|breaker| self.breaker(breaker)),
            hold: upstream.hold().0,
            queue,
            host: self.host_field(upstream),
        }
    }

    fn endpoints(&mut self, name: &str, span: Range<usize>, upstream: &file::Upstream) -> Vec<Endpoint> {
        let written = upstream.endpoints.get().map(|list| list.0.as_slice()).unwrap_or_default();
        if written.is_empty() && !upstream.endpoints.is_refused() {
            let help = "add endpoints = [\"127.0.0.1:3000\"]";
            self.error(span.clone(), format!("upstream \"{name}\" has no endpoints"), help);
        }
        let mut seen: Vec<(EndpointAddress, Range<usize>)> = Vec::new();
        let mut endpoints = Vec::new();
        for entry in written {
            let Shortened(endpoint) = entry.get_ref();
            let Some(address) = endpoint.address.get() else { continue };
            if let Some((_, first)) = seen.iter().find(|(other, _)| other == address) {
                let twice =
                    Diagnostic::error(entry.span(), format!("upstream \"{name}\" has this endpoint twice"));
                let help = "take one away; a weight gives an endpoint a larger share";
                self.report(twice.note(first.clone(), "the first one").help(help));
            }
            seen.push((address.clone(), entry.span()));
            endpoints.push(Endpoint {
                address: address.clone(),
                weight: endpoint.weight().0 as u32,
                backup: endpoint.backup(),
            });
        }
        if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.weight == 0) {
            let help = "give at least one endpoint a weight above 0";
            self.error(span, format!("every endpoint of upstream \"{name}\" has weight 0"), help);
        } else if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.backup) {
            let help = "a backup takes traffic when no other endpoint can; leave backup out on one of them";
            self.warn(span, format!("every endpoint of upstream \"{name}\" is a backup"), help);
        }
        endpoints
    }

    /// The key of the policies that hash; keys that the policy does not look at are refused.
    fn balance_key(&mut self, balance: &file::Balance, span: Range<usize>) -> Option<RequestKey> {
        let by = balance.by();
        let only = [
            ("key", balance.key.span(), Policy::Hash, "hash"),
            ("bound", balance.bound.span(), Policy::Hash, "hash"),
            ("decay", balance.decay.span(), Policy::PeakEwma, "peak-ewma"),
            ("cookie", balance.cookie.span(), Policy::Sticky, "sticky"),
            ("max_age", balance.max_age.span(), Policy::Sticky, "sticky"),
        ];
        for (key, written, policy, word) in only {
            if let Some(span) = written.filter(|_| by != policy) {
                let help = format!("write by = \"{word}\", or leave {key} out");
                self.error(span, format!("balance.{key} is only for by = \"{word}\""), help);
            }
        }
        match (by, balance.key.written()) {
            (Policy::Hash, Some(key)) => self.request_key(key),
            (Policy::Hash, None) => {
                if balance.key.is_absent() {
                    let help =
                        "add key = \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"path\" or \"client\"";
                    self.error(span, "by = \"hash\" has no key".to_owned(), help);
                }
                None
            }
            (Policy::Client, _) => Some(RequestKey::Client),
            _ => None,
        }
    }

    fn sticky_cookie(&mut self, balance: &file::Balance) -> Option<StickyCookie> {
        let name = balance.cookie();
        if !is_token(&name) {
            let help = "write letters, digits, \"-\" and \"_\"";
            self.error(balance.cookie.span(), format!("\"{name}\" is no name for a cookie"), help);
        }
        let max_age = balance.max_age.get().map(|age| age.0);
        (balance.by() == Policy::Sticky).then_some(StickyCookie { name, max_age })
    }

    fn outlier(&mut self, outlier: Option<&file::Outlier>) -> outlier::Settings {
        let table = outlier.cloned().unwrap_or_default();
        // A share above 1 is never reached, which is how the brain is told that the rule is off.
        let failure_share = table.failure_share().on().map_or(f64::INFINITY, |share| share.0);
        let settings = outlier::Settings {
            consecutive_failures: table.failures().0 as u32,
            connect_failures: table.connect_failures().0 as u32,
            failure_share,
            slow: table.slow.get().map(|slow| slow.0),
            slow_share: table.slow_share().0,
            minimum_volume: table.minimum_requests().0 as u32,
            ejection: table.ejection().0,
            connect_ejection: table.connect_ejection().0,
            ejection_max: table.ejection_max().0,
            ejected_share_max: table.ejected_share().0,
            panic_share: table.panic_share().0,
        };
        if settings.ejection.max(settings.connect_ejection) > settings.ejection_max {
            let span = table.ejection_max.span().or(table.ejection.span()).or(table.connect_ejection.span());
            let help = "raise ejection_max";
            self.error(span, "an ejection would last longer than ejection_max".to_owned(), help);
        }
        self.slow_share(table.slow.is_absent(), table.slow_share.span(), "outlier");
        match outlier {
            Some(_) => settings,
            None => outlier::Settings {
                consecutive_failures: 0,
                connect_failures: 0,
                failure_share: f64::INFINITY,
                slow: None,
                ..settings
            },
        }
    }

    fn breaker(&mut self, breaker: &file::Breaker) -> Breaker {
        let (open, open_max) = (breaker.open().0, breaker.open_max().0);
        if open > open_max {
            let span = breaker.open_max.span().or(breaker.open.span());
            let message = "the breaker would stay open longer than open_max".to_owned();
            self.error(span, message, "raise open_max, or lower open");
        }
        self.slow_share(breaker.slow.is_absent(), breaker.slow_share.span(), "breaker");
        let range = |s: &Spanned<crate::value::Statuses>| s.get_ref().first..=s.get_ref().last;
        Breaker {
            settings: breaker::Settings {
                error_share: breaker.error_share().on().map_or(f64::INFINITY, |share| share.0),
                slow: breaker.slow.get().map(|slow| slow.0),
                slow_share: breaker.slow_share().0,
                minimum_requests: breaker.minimum_requests().0 as u32,
                open,
                open_max,
                jitter_share: breaker.jitter().0,
                probes: breaker.probes().0 as u32,
            },
            statuses: breaker.status().0.iter().map(range).collect(),
        }
    }

    /// A share of slow answers means nothing where no answer is slow.
    fn slow_share(&mut self, is_any: bool, share: Option<Range<usize>>, table: &str) {
        if let Some(span) = share.filter(|_| is_any) {
            let help = "add slow = \"2s\": the time from which on an answer is slow";
            self.error(span, format!("{table}.slow_share needs {table}.slow"), help);
        }
    }

    fn health(&mut self, health: &file::Health) -> health::Settings {
        let (interval, timeout) = (health.interval().0, health.timeout().0);
        if timeout > interval {
            let span = health.timeout.span().or(health.interval.span());
            let help = "a probe has to end before the next one begins: lower timeout or raise interval";
            self.error(span, "health.timeout is longer than health.interval".to_owned(), help);
        }
        health::Settings {
            kind: self.probe(health),
            interval,
            timeout,
            rise: health.rise().0 as u32,
            fall: health.fall().0 as u32,
            jitter_share: health.jitter().0,
        }
    }

    fn probe(&mut self, health: &file::Health) -> health::Kind {
        let Some(path) = health.path.written() else {
            let needs = [
                ("status", health.status.span()),
                ("body", health.body.span()),
                ("host", health.host.span()),
            ];
            for (key, span) in needs {
                if let Some(span) = span.filter(|_| health.path.is_absent()) {
                    let help = "add path = \"/health\"; without a path the probe only opens a connection";
                    self.error(span, format!("health.{key} needs health.path"), help);
                }
            }
            return health::Kind::Tcp;
        };
        let visible = path.get_ref().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !path.get_ref().starts_with('/') || !visible {
            let help = "write a path such as \"/health\"; escape what is not plain ASCII";
            self.error(path.span(), format!("health.path: \"{}\" is no path", path.get_ref()), help);
        }
        if let Some(host) = health.host.written().filter(|host| !is_host(host.get_ref())) {
            let help = "write a name such as \"app.internal\"";
            self.error(host.span(), format!("health.host: \"{}\" is no host", host.get_ref()), help);
        }
        let range = |s: &Spanned<crate::value::Statuses>| s.get_ref().first..=s.get_ref().last;
        health::Kind::Http {
            path: path.get_ref().clone(),
            host: health.host.get().cloned(),
            statuses: health.status().0.iter().map(range).collect(),
            contains: health.body.get().cloned(),
        }
    }

    fn host_field(&mut self, upstream: &file::Upstream) -> HostField {
        match upstream.host().as_str() {
            "client" => HostField::Client,
            "endpoint" => HostField::Endpoint,
            host => {
                if !is_host(host) {
                    let help = "write \"client\", \"endpoint\" or a name such as \"app.internal\"";
                    self.error(upstream.host.span(), format!("host: \"{host}\" is no host"), help);
                }
                HostField::Fixed(host.to_owned())
            }
        }
    }
}

/// Whether a text can be sent as Host: what the wire takes from others.
fn is_host(text: &str) -> bool {
    is_value(text) && !text.is_empty() && wire::uri::host(text.as_bytes(), &mut Vec::new()).is_ok()
}

fn policy(balance: &file::Balance) -> balance::Policy {
    match balance.by() {
        Policy::LeastRequests => balance::Policy::LeastRequests,
        Policy::RoundRobin => balance::Policy::RoundRobin,
        Policy::PeakEwma => balance::Policy::PeakEwma { decay: balance.decay().0 },
        Policy::Client => balance::Policy::Client,
        Policy::Hash => {
            balance::Policy::Hash { bound: balance.bound().on().map_or(f64::INFINITY, |bound| bound.0) }
        }
        Policy::Sticky => balance::Policy::Sticky,
    }
}

/// Settings of a `retry` key; `None` is `"off"`: one try.
fn retry_settings(retry: Option<&file::Retry>) -> retry::Settings {
    let table = retry.cloned().unwrap_or_default();
    retry::Settings {
        attempts: if retry.is_some() { table.attempts().0 as u8 } else { 1 },
        budget_share: table.budget().0,
        min_per_second: table.min_per_second().0 as u32,
        within: table.within().0,
    }
}

/// The upstream's retries with what a route changes in them.
pub(super) fn merged_retry(
    upstream: &retry::Settings,
    route: Option<&Switch<file::RouteRetry>>,
) -> retry::Settings {
    match route {
        None => upstream.clone(),
        Some(Switch::Off) => retry::Settings { attempts: 1, ..upstream.clone() },
        Some(Switch::On(table)) => retry::Settings {
            attempts: table.attempts.get().map_or(upstream.attempts, |attempts| attempts.0 as u8),
            budget_share: table.budget.get().map_or(upstream.budget_share, |share| share.0),
            min_per_second: table.min_per_second.get().map_or(upstream.min_per_second, |n| n.0 as u32),
            within: table.within.get().map_or(upstream.within, |time| time.0),
        },
    }
}

/// Retries of a route that forwards nothing.
pub(super) fn no_retry() -> retry::Settings {
    retry_settings(None)
}

/// Deadlines as written, or by default.
pub(super) fn timeouts(table: &file::UpstreamTimeouts) -> UpstreamTimeouts {
    UpstreamTimeouts {
        connect: table.connect().0,
        response: table.response().0,
        body: table.body().0,
        write: table.write().0,
    }
}

/// The upstream's deadlines with what a route changes in them.
pub(super) fn merged_timeouts(
    upstream: &UpstreamTimeouts,
    route: Option<&file::RouteTimeouts>,
) -> UpstreamTimeouts {
    let Some(route) = route else { return upstream.clone() };
    let or = |written: Option<Duration>, upstream: Duration| written.unwrap_or(upstream);
    UpstreamTimeouts {
        connect: or(route.connect.get().map(|time| time.0), upstream.connect),
        response: or(route.response.get().map(|time| time.0), upstream.response),
        body: or(route.body.get().map(|time| time.0), upstream.body),
        write: or(route.write.get().map(|time| time.0), upstream.write),
    }
}
