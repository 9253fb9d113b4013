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
    /// `--no-keep-alive`: a connection for each request.
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
    let sources = wrong.sources(&options.sources);
    let path = target.as_ref().map_or("/", |(_, path)| path);
    let step = format!("{} {path}", request.method);
    let thresholds = wrong.thresholds(&options.thresholds, &step);
    let Some((target, path)) = target.filter(|_| wrong.0.is_empty()) else { return Err(wrong) };
    let request = Request { path: Template::of(path.as_bytes()), ..request };
    let mut draft = Draft::new(&target.authority, !options.no_keepalive);
    draft.step(&step, &request, Pause::default(), Expect::default(), Vec::new());
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
                    let help = "leave it out; --no-keep-alive closes connections";
                    self.add("-H", format!("\"{name}\" belongs to the connection"), help);
                }
                Some((name, value)) if is_token(name) && is_value(value) => {
                    fields.push((name.to_owned(), Template::of(value.as_bytes())));
                }
                _ => {
                    self.add("-H", format!("\"{header}\" is no header field"), "write it as \"name: value\"");
                }
            }
        }
        let body = options
            .body
            .as_ref()
            .map(|text| Body { template: Template::of(text.as_bytes()), content_type: inferred_type(text) });
        Request { method, path: Template::default(), fields, body }
    }

    fn thresholds(&mut self, texts: &[String], step: &str) -> Vec<Threshold> {
        let mut thresholds = Vec::new();
        for text in texts {
            let steps = [step.to_owned()];
            let checked = Threshold::parse(text)
                .and_then(|threshold| threshold.check_steps(&steps).map(|()| threshold));
            match checked {
                Ok(threshold) => thresholds.push(threshold),
                Err(bad) => self.add("--threshold", format!("\"{text}\": {}", bad.what), bad.mend),
            }
        }
        if thresholds.is_empty() {
            thresholds.push(Threshold::usual());
        }
        thresholds
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::At;

    fn of(change: impl FnOnce(&mut Options)) -> Result<Plan, Mistakes> {
        let mut options = Options { url: "http://127.0.0.1:8080/x?y=1".to_owned(), ..Options::default() };
        change(&mut options);
        plan(&options)
    }

    fn request(plan: &Plan) -> String {
        let Work::Http(script) = &plan.work else { panic!("no requests") };
        String::from_utf8(script.fixed(At { flow: 0, step: 0 }).unwrap().to_vec()).unwrap()
    }

    /// Level and length of the only stage.
    fn shape(plan: &Plan) -> (f64, Duration) {
        assert_eq!(plan.stages.len(), 1);
        (plan.stages[0].to, plan.stages[0].duration)
    }

    #[test]
    fn a_url_alone_is_100_per_second_for_10_seconds() {
        let plan = of(|_| ()).unwrap();
        assert_eq!((plan.model, plan.users), (Model::Open(Spacing::Even), Users::UpTo(10_000)));
        assert_eq!(shape(&plan), (100.0, Duration::from_secs(10)));
        assert_eq!(plan.thresholds, [Threshold::usual()]);
        assert_eq!(
            request(&plan),
            "GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: tidegate-load\r\n\r\n"
        );
    }

    #[test]
    fn users_ask_once_a_second_unless_there_is_a_rate() {
        let plan = of(|options| options.users = Some(50)).unwrap();
        assert_eq!((plan.users, shape(&plan).0), (Users::Exactly(50), 50.0));
        let rate =
            |options: &mut Options| (options.users, options.rate) = (Some(50), Some("90/min".to_owned()));
        let plan = of(rate).unwrap();
        assert_eq!((plan.users, shape(&plan).0), (Users::Exactly(50), 1.5));
    }

    #[test]
    fn a_number_of_requests_ends_the_run() {
        let plan = of(|options| (options.closed, options.requests) = (true, Some(1000))).unwrap();
        assert_eq!((plan.model, plan.users, plan.requests), (Model::Closed, Users::Exactly(10), Some(1000)));
        assert_eq!(shape(&plan), (10.0, Duration::from_hours(1)));
        let plan = of(|options| options.requests = Some(1000)).unwrap();
        assert_eq!((shape(&plan), plan.requests), ((100.0, Duration::from_secs(10)), Some(1000)));
        let poisson = |options: &mut Options| {
            (options.requests, options.spacing) = (Some(1000), Some(Spacing::Poisson));
        };
        assert_eq!(shape(&of(poisson).unwrap()), (100.0, Duration::from_hours(1)));
    }

    #[test]
    fn requests_are_as_the_options_say() {
        let plan = of(|options| {
            options.body = Some(r#"{"a":"{{b}}"}"#.to_owned());
            options.headers = vec!["X-A:  b:c ".to_owned(), "Host: shop".to_owned()];
            options.no_keepalive = true;
            options.sources = vec!["127.0.0.2-127.0.0.3".to_owned()];
            (options.timeout, options.seed) = (Some("2s".to_owned()), Some(7));
            options.thresholds = vec!["p95 < 5ms".to_owned()];
        })
        .unwrap();
        let wanted = "POST /x?y=1 HTTP/1.1\r\nUser-Agent: tidegate-load\r\nX-A: b:c\r\nHost: shop\r\n\
                      Connection: close\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"a\":\"{{b}}\"}";
        assert_eq!(request(&plan), wanted);
        assert_eq!((plan.sources.len(), plan.timeout, plan.grace), (2, Duration::from_secs(2), plan.timeout));
        assert_eq!((plan.seed, plan.keep_alive), (7, false));
        assert_eq!(plan.thresholds, [Threshold::parse("p95 < 5ms").unwrap()]);
    }

    #[test]
    fn every_wrong_option_is_told_at_once() {
        let open = of(|options| {
            options.url = "127.0.0.1:8080".to_owned();
            (options.rate, options.duration) = (Some("fast".to_owned()), Some("5".to_owned()));
            (options.users, options.connections) = (Some(0), Some(5));
            options.requests = Some(0);
            (options.method, options.timeout) = (Some("GET IT".to_owned()), Some("soon".to_owned()));
            options.headers = vec!["nothing".to_owned(), "Content-Length: 5".to_owned()];
            options.thresholds = vec!["p95 < soon".to_owned()];
            options.sources = vec!["here".to_owned()];
        });
        let closed = of(|options| {
            options.closed = true;
            (options.rate, options.users) = (Some("5/s".to_owned()), Some(5));
            options.spacing = Some(Spacing::Poisson);
            options.duration = Some("0s".to_owned());
            options.sources = vec!["127.0.0.0-127.0.15.255".to_owned(), "127.1.0.1".to_owned()];
        });
        insta::assert_snapshot!(format!("{}\n\n{}", open.unwrap_err(), closed.unwrap_err()));
    }
}
