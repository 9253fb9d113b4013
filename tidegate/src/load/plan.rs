//! From the command line to a plan.

use std::path::Path;
use std::time::Duration;

use load::plan::{Model, Plan, Spacing};
use load::run::capacity::LEAST_TRIAL;
use load::scenario;
use load::scenario::quick::{self, Options};
use load::threshold::Threshold;

use super::Trouble;
use crate::cli::Arguments;

/// Length of a trial of a search for the capacity, when nothing else is said.
const TRIAL: &str = "5s";

/// Rate at which a search for the capacity begins, per second, when nothing else is said.
const FIRST_RATE: f64 = 100.0;

/// How long a trial waits for late answers: those that are late count as piled up anyway.
const TRIAL_GRACE: Duration = Duration::from_secs(2);

/// The plan that the command line means.
pub(super) fn plan(args: &Arguments) -> Result<Plan, Trouble> {
    let target = args.target.as_deref().unwrap_or_default();
    let mut plan = if is_scenario(target) { from_scenario(args, target)? } else { from_url(args, target)? };
    if args.find_capacity {
        if plan.model == Model::Closed {
            return Err(Trouble::usage(
                "error: --find-capacity: in the closed model the target decides the rate\nhelp: let the scenario \
                 have stages with a rate",
            ));
        }
        if plan.stages.iter().map(|stage| stage.duration).sum::<Duration>() < LEAST_TRIAL {
            return Err(Trouble::usage(format!(
                "error: --for: too short for a trial of --find-capacity\nhelp: write at least {}s",
                LEAST_TRIAL.as_secs()
            )));
        }
        plan.requests = None;
        plan.grace = plan.grace.min(TRIAL_GRACE);
    }
    Ok(plan)
}

/// The rate that a search begins with.
pub(super) fn first_rate(args: &Arguments, plan: &Plan) -> f64 {
    match (&args.rate, plan.stages.first()) {
        (Some(_), Some(stage)) => stage.to,
        _ => FIRST_RATE,
    }
}

fn is_scenario(target: &str) -> bool {
    !target.contains("://")
        && (Path::new(target).extension().is_some_and(|extension| extension == "toml")
            || Path::new(target).is_file())
}

fn from_url(args: &Arguments, url: &str) -> Result<Plan, Trouble> {
    let is_closed = args.closed || (args.requests.is_some() && args.rate.is_none() && !args.poisson);
    let trial = args.find_capacity.then(|| TRIAL.to_owned());
    let options = Options {
        url: url.to_owned(),
        rate: args.rate.clone(),
        duration: args.duration.clone().or(trial),
        users: args.users.filter(|_| !is_closed),
        closed: is_closed,
        connections: args.users.filter(|_| is_closed),
        requests: args.requests,
        method: args.method.clone(),
        headers: args.header.clone(),
        body: args.body.as_deref().map(body).transpose()?,
        no_keepalive: args.no_keep_alive,
        timeout: args.timeout.clone(),
        thresholds: args.threshold.clone(),
        sources: args.source.clone(),
        spacing: args.poisson.then_some(Spacing::Poisson),
        seed: args.seed,
    };
    quick::plan(&options).map_err(Trouble::usage)
}

/// A body as it was written, or the file that it names.
fn body(text: &str) -> Result<String, Trouble> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    std::fs::read_to_string(path)
        .map_err(|error| Trouble::usage(format!("error: --body: cannot read {path}: {error}")))
}

fn from_scenario(args: &Arguments, path: &str) -> Result<Plan, Trouble> {
    if let Some(flag) = said_by_scenario(args) {
        return Err(Trouble::usage(format!(
            "error: {flag}: a scenario says this itself\nhelp: write it into {path}, or load a URL instead"
        )));
    }
    let colour = super::colour();
    let mut plan =
        scenario::load(Path::new(path)).map_err(|unusable| Trouble::usage(unusable.render(colour)))?;
    for text in &args.threshold {
        plan.thresholds.push(threshold(text, &plan.step_names())?);
    }
    if let Some(seed) = args.seed {
        plan.seed = seed;
    }
    if args.find_capacity {
        constant(args, &mut plan)?;
    }
    Ok(plan)
}

fn threshold(text: &str, steps: &[String]) -> Result<Threshold, Trouble> {
    let checked =
        Threshold::parse(text).and_then(|threshold| threshold.check_steps(steps).map(|()| threshold));
    checked.map_err(|bad| {
        Trouble::usage(format!("error: --threshold: \"{text}\": {}\nhelp: {}", bad.what, bad.mend))
    })
}

/// Gives the plan one stage as long as a trial, at the first rate.
fn constant(args: &Arguments, plan: &mut Plan) -> Result<(), Trouble> {
    // The same reading of both flags as for a URL.
    let options = Options {
        url: plan.target.origin.clone(),
        rate: Some(args.rate.clone().unwrap_or_else(|| format!("{FIRST_RATE}/s"))),
        duration: Some(args.duration.clone().unwrap_or_else(|| TRIAL.to_owned())),
        ..Options::default()
    };
    plan.stages = quick::plan(&options).map_err(Trouble::usage)?.stages;
    Ok(())
}

/// The first flag that a scenario says itself.
fn said_by_scenario(args: &Arguments) -> Option<&'static str> {
    let is_search = args.find_capacity;
    let flags = [
        ("--rate", args.rate.is_some() && !is_search),
        ("--for", args.duration.is_some() && !is_search),
        ("--users", args.users.is_some()),
        ("--requests", args.requests.is_some()),
        ("--closed", args.closed),
        ("--poisson", args.poisson),
        ("--method", args.method.is_some()),
        ("--header", !args.header.is_empty()),
        ("--body", args.body.is_some()),
        ("--no-keep-alive", args.no_keep_alive),
        ("--timeout", args.timeout.is_some()),
        ("--source", !args.source.is_empty()),
    ];
    flags.iter().find(|(_, is_given)| *is_given).map(|(flag, _)| *flag)
}
