//! A run without a file: what the command line gives, with the defaults that a person wants.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use config::field::{is_framing, is_token, is_value};
use config::value::parse_time;

use super::target::{self, Resolve};
use super::value::{MAX_SOURCES, WRITE_RATE, WRITE_SOURCES, parse_rate, parse_sources, seconds};
use super::{MAX_USERS, TIMEOUT, USERS_UP_TO, random_seed};
use crate::plan::{Model, Pause, Plan, Spacing, Stage, Users, Work};
use crate::script::{Body, Draft, Expect, Request, Template, inferred_type};
use crate::threshold::Threshold;

/// Rate without `--rate` and `--users`, per second.
const RATE: f64 = 100.0;
/// Length without `--for` and `-n`.
const DURATION: Duration = Duration::from_secs(10);
/// Connections of the closed model without `--connections`.
const CONNECTIONS: u32 = 10;
/// Length of a run that a number of requests ends.
const LONG_ENOUGH: Duration = Duration::from_hours(1);

/// What the command line gives, as it was written. `None` and empty: not given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Who is asked for what: `http://127.0.0.1:8080/path?query`.
    pub url: String,
    /// `--rate`: requests per second in the open model, such as `1000/s`. 100/s by default.
    pub rate: Option<String>,
    /// `--for`: how long, such as `30s`. 10 s by default.
    pub duration: Option<String>,
    /// `--users`: so many connections that take turns in the open model; one request per second for each of them
    /// unless there is a rate.
    pub users: Option<u32>,
    /// `--closed`: every connection sends when it has its answer.
    pub closed: bool,
    /// `--connections`: connections of the closed model. 10 by default.
    pub connections: Option<u32>,
    /// `-n`: most requests in all.
    pub requests: Option<u64>,
    /// `--method`: GET by default, POST with a body.
    pub method: Option<String>,
    /// `-H`: header fields, `name: value`.
    pub headers: Vec<String>,
    /// `--body`: what is sent with each request.
    pub body: Option<String>,
    /// `--no-keepalive`: a connection for each request.
    pub no_keepalive: bool,
    /// `--timeout`: longest time for an answer. 30 s by default.
    pub timeout: Option<String>,
    /// `--threshold`: what has to hold.
    pub thresholds: Vec<String>,
    /// `--source`: local addresses to connect from, single or as ranges.
    pub sources: Vec<String>,
    /// `--poisson`: how the due times of the open model lie. Even by default.
    pub spacing: Option<Spacing>,
    /// `--seed`: of everything random. Drawn by default.
    pub seed: Option<u64>,
}

/// One option that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The option as it is called on the command line.
    pub option: &'static str,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub help: String,
}

/// Every option that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Mistake { option, what, help }) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "\n\n" };
            write!(f, "{between}error: {option}: {what}\nhelp: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The plan that the options mean.
///
/// # Errors
/// Every option that cannot be used.
pub fn plan(options: &Options) -> Result<Plan, Mistakes> {
    plan_with(options, &target::system)
}

fn plan_with(options: &Options, resolve: Resolve<'_>) -> Result<Plan, Mistakes> {
    let mut wrong = Mistakes::default();
    let target = match target::parse(&options.url, resolve) {
        Ok(target) => Some(target),
        Err(bad) => {
            wrong.add("URL", bad.what, bad.help);
            None
        }
    };
    let shape = wrong.shape(options);
    let timeout = wrong.time("--timeout", options.timeout.as_deref()).unwrap_or(TIMEOUT);
    let request = wrong.request(options);
    let thresholds = wrong.thresholds(&options.thresholds);
    let sources = wrong.sources(&options.sources);
    let Some((target, path)) = target.filter(|_| wrong.0.is_empty()) else { return Err(wrong) };
    let request = Request { path: Template::of(path.as_bytes()), ..request };
    let mut draft = Draft::new(&target.authority, !options.no_keepalive);
    let name = format!("{} {path}", request.method);
    draft.step(&name, &request, Pause::default(), Expect::default(), Vec::new());
    draft.flow(1);
    let script = draft.finish().expect("one step without variables is few enough");
    Ok(Plan {
        name: format!("{}{path}", target.origin),
        target,
        model: shape.model,
        stages: vec![shape.stage],
        requests: options.requests,
        work: Work::Http(script),
        users: shape.users,
        keep_alive: !options.no_keepalive,
        sources,
        timeout,
        grace: timeout,
        thresholds,
        seed: options.seed.unwrap_or_else(random_seed),
    })
}

/// How much is asked, and how.
struct Shape {
    model: Model,
    users: Users,
    stage: Stage,
}

impl Mistakes {
    fn add(&mut self, option: &'static str, what: impl Into<String>, help: impl Into<String>) {
        self.0.push(Mistake { option, what: what.into(), help: help.into() });
    }

    fn shape(&mut self, options: &Options) -> Shape {
        let duration = self.time("--for", options.duration.as_deref());
        if duration.is_some_and(|duration| duration.is_zero()) {
            self.add("--for", "a run of no time asks nothing", "write how long, such as 30s");
        }
        if options.requests == Some(0) {
            self.add("-n", "no request at all", "write how many, or leave it out");
        }
        let (users, connections) = (options.users, options.connections);
        for (option, count) in [("--users", users), ("--connections", connections)] {
            if count.is_some_and(|count| !(1..=MAX_USERS).contains(&count)) {
                self.add(option, "out of range", format!("write a number from 1 to {MAX_USERS}"));
            }
        }
        if options.closed { self.closed(options, duration) } else { self.open(options, duration) }
    }

    fn closed(&mut self, options: &Options, duration: Option<Duration>) -> Shape {
        if options.rate.is_some() {
            let help = "leave --rate out, or leave --closed out to keep to a rate";
            self.add("--rate", "in the closed model the target decides the rate", help);
        }
        if options.spacing.is_some() {
            self.add(
                "--poisson",
                "in the closed model nothing is due",
                "leave --closed out to keep to a rate",
            );
        }
        if options.users.is_some() {
            self.add("--users", "the closed model has connections", "write --connections instead");
        }
        let users = options.connections.unwrap_or(CONNECTIONS);
        let default = if options.requests.is_some() { LONG_ENOUGH } else { DURATION };
        let stage = stage(duration.unwrap_or(default), f64::from(users));
        Shape { model: Model::Closed, users: Users::Exactly(users), stage }
    }

    fn open(&mut self, options: &Options, duration: Option<Duration>) -> Shape {
        if options.connections.is_some() {
            let help = "write --users for so many connections at a rate, or add --closed";
            self.add("--connections", "the open model opens as many as it takes", help);
        }
        let given = options.rate.as_deref().map(|text| (text, parse_rate(text)));
        let rate = match given {
            Some((_, Some(rate))) if rate > 0.0 => rate,
            Some((text, _)) => {
                self.add("--rate", format!("\"{text}\" is not a rate"), WRITE_RATE);
                RATE
            }
            None => options.users.map_or(RATE, f64::from),
        };
        let spacing = options.spacing.unwrap_or(Spacing::Even);
        // So many requests are over when their time is; at random, they may take longer.
        let default = options.requests.map_or(DURATION, |requests| match spacing {
            Spacing::Even => seconds(requests as f64 / rate),
            Spacing::Poisson => LONG_ENOUGH.max(seconds(2.0 * requests as f64 / rate)),
        });
        let users = options.users.map_or(Users::UpTo(USERS_UP_TO), Users::Exactly);
        Shape { model: Model::Open(spacing), users, stage: stage(duration.unwrap_or(default), rate) }
    }

    fn time(&mut self, option: &'static str, text: Option<&str>) -> Option<Duration> {
        let text = text?;
        let time = parse_time(text);
        if time.is_none() {
            let help = "write numbers with units, such as 30s, 250ms or 1h30m";
            self.add(option, format!("\"{text}\" is not a duration"), help);
        }
        time
    }

    fn request(&mut self, options: &Options) -> Request {
        let default = if options.body.is_some() { "POST" } else { "GET" };
        let method = options.method.as_deref().unwrap_or(default).to_owned();
        if !is_token(&method) || method == "CONNECT" {
            self.add("--method", format!("\"{method}\" is no method"), "write one such as GET or POST");
        }
        let mut fields = Vec::new();
        for header in &options.headers {
            match header.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
                Some((name, _)) if is_framing(name) && !name.eq_ignore_ascii_case("host") => {
                    let help = "leave it out; --no-keepalive closes connections";
                    self.add("-H", format!("\"{name}\" belongs to the connection"), help);
                }
                Some((name, value)) if is_token(name) && is_value(value) => {
                    fields.push((name.to_owned(), Template::of(value.as_bytes())));
                }
                _ => {
                    self.add("-H", format!("\"{header}\" is no header field"), "write it as \"name: value\"")
                }
            }
        }
        let body = options
            .body
            .as_ref()
            .map(|text| Body { template: Template::of(text.as_bytes()), content_type: inferred_type(text) });
        Request { method, path: Template::default(), fields, body }
    }

    fn thresholds(&mut self, texts: &[String]) -> Vec<Threshold> {
        // Read once load-record is merged.
        let _ = texts;
        Vec::new()
    }

    fn sources(&mut self, texts: &[String]) -> Vec<IpAddr> {
        let mut sources = Vec::new();
        for text in texts {
            match parse_sources(text) {
                Some(more) => sources.extend(more),
                None => self.add("--source", format!("\"{text}\" is no address"), WRITE_SOURCES),
            }
        }
        if sources.len() > MAX_SOURCES {
            self.add("--source", "too many addresses", format!("write at most {MAX_SOURCES}"));
        }
        sources
    }
}

fn stage(duration: Duration, level: f64) -> Stage {
    Stage { name: "steady".to_owned(), duration, from: level, to: level }
}
