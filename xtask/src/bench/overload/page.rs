//! The result as Markdown: goals, tables, how it was measured; and the few lines for the README.

use std::fmt::Write;

use crate::problem::Problem;

use super::super::build::Built;
use super::super::goal::{self, Goal};
use super::super::machine;
use super::super::process::{LOAD_CORE, SERVER_CORE};
use super::ask::{CLASSES, PATIENCE_MS, Report, TIMEOUT_S, Times};
use super::fairness::{self, GREED, MODEST, SHARE, Shared, TENANTS};
use super::front::{CAPACITY, DOWN, FAIR, Front, SLOTS, WORK_MS};
use super::{Alone, LIGHT, Plan, Results, TIMES, down};

/// How long a request may wait in the queue unless the config says otherwise, in milliseconds.
const QUEUE_BOUND_MS: f64 = 5000.0;

/// The whole page.
pub(super) fn page(results: &Results, plan: &Plan, built: &Built) -> Result<String, Problem> {
    let mut text = String::from("# Three times what an app can do\n\n");
    text += "Written by `cargo xtask bench overload`. Do not edit: run it again.\n\n";
    text += "![Goodput over time of an app that is asked for three times what it can do](../pictures/overload.svg)\n\n";
    text += &goal::table(&goals(results));
    text += &tables(results);
    text += &method(results);
    text += &machine::look().section();
    text +=
        "## The setups\n\n| in front of the app | version | told | set up by |\n| --- | --- | --- | --- |\n";
    for (front, _) in &results.fronts {
        let (name, told, path) = (front.name(), front.about(), front.setup_path());
        let version = front.peer().version(built)?;
        let _ = writeln!(text, "| {name} | {version} | {told} | [{path}](../../{path}) |");
    }
    let own = super::super::peer::Peer::Tidegate;
    if plan.peers.contains(&own) {
        let version = own.version(built)?;
        for (what, path) in [("Tidegate and tenants", FAIR), ("Tidegate and a restart", DOWN)] {
            let _ = writeln!(text, "| {what} | {version} | see there | [{path}](../../{path}) |");
        }
    }
    Ok(text)
}

/// All promises for overload.
pub(super) fn goals(results: &Results) -> Vec<Goal> {
    let own = results.fronts.iter().find(|(front, _)| *front == Front::Tidegate).map(|(_, report)| report);
    let Alone { peak, p99_ms, .. } = results.alone;
    let mut goals = vec![
        Goal::at_least("goodput / the app's peak", 0.95, own.map(|report| report.achieved_rate / peak)),
        Goal::at_most(
            "p99 of what was admitted, ms (3 × the unloaded p99 + the queue's bound)",
            3.0 * p99_ms + QUEUE_BOUND_MS,
            own.and_then(Report::of_admitted).map(|times| times.p99_ms),
        ),
        Goal::at_least(
            "success of critical requests, %",
            99.0,
            own.and_then(|report| report.success("critical")).map(|share| share * 100.0),
        ),
    ];
    goals.push(Goal::at_most(
        &format!("the others' p99 with a tenant at {GREED} × its share / without"),
        1.5,
        fairness::middle(&results.fairness).map(Shared::ratio),
    ));
    goals.push(Goal::at_most(
        "the app away: errors of requests that were never sent",
        0.0,
        results.down.as_ref().map(|held| (held.failed() - held.failed_after_sending()) as f64),
    ));
    goals
}

/// Everything that was measured.
pub(super) fn tables(results: &Results) -> String {
    let Alone { peak, p50_ms, p99_ms } = results.alone;
    let mut text = format!(
        "## The app alone\n\n{SLOTS} slots, {WORK_MS} ms of work. With a request in each slot all the time it answers {peak:.0}/s, \
         which is its peak. At {:.0} % of that, answers take {p50_ms:.1} ms (p50) and {p99_ms:.1} ms (p99).\n\n",
        LIGHT * 100.0
    );
    text += &overloaded(results);
    if let Some(shared) = fairness::middle(&results.fairness) {
        let _ = writeln!(
            text,
            "## One greedy tenant of {TENANTS}\n\nEveryone's share is {SHARE}/s. Nine tenants ask for {MODEST}/s each, for {} s; \
             then the same again beside a tenant that asks for {}/s. Tidegate's queue takes turns by `fair_by`. Of {} rounds, \
             each with an app and a Tidegate that have just been started, this is the one in the middle; the nine's p99 with the \
             greedy one, over that without, was {} in them.\n",
            shared.seconds,
            GREED * SHARE,
            results.fairness.len(),
            results
                .fairness
                .iter()
                .map(|round| format!("{:.2}", round.ratio()))
                .collect::<Vec<_>>()
                .join(", ")
        );
        text += "| who | requests | in time | p50 ms | p99 ms |\n| --- | ---: | ---: | ---: | ---: |\n";
        let rows = [
            ("the nine, alone", &shared.without),
            ("the nine, beside it", &shared.with),
            ("the greedy one", &shared.greedy),
        ];
        for (who, step) in rows {
            let share = step.succeeded as f64 / step.requests.max(1) as f64 * 100.0;
            let Times { p50_ms, p99_ms } = step.response;
            let _ =
                writeln!(text, "| {who} | {} | {share:.2} % | {p50_ms:.1} | {p99_ms:.1} |", step.requests);
        }
        text.push('\n');
    }
    if let Some(held) = &results.down {
        let _ = writeln!(
            text,
            "## The app away for {:.1} s\n\n{}/s for {} s; the app is killed in the middle of it and started again. With `hold`, \
             what was never sent waits for it.\n",
            held.away_s,
            down::RATE,
            held.seconds
        );
        text += "| requests | answered | failed, never sent | failed, sent | p50 ms | p99 ms |\n";
        text += "| ---: | ---: | ---: | ---: | ---: | ---: |\n";
        let (failed, sent) = (held.failed(), held.failed_after_sending());
        let Times { p50_ms, p99_ms } = held.report.response;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {sent} | {p50_ms:.1} | {p99_ms:.0} |\n",
            held.report.requests,
            held.report.succeeded,
            failed - sent
        );
    }
    text
}

fn overloaded(results: &Results) -> String {
    let peak = results.alone.peak;
    let mut text = format!(
        "## {} requests per second for {} s\n\nA tenth of them is critical, three tenths are low. Who has no answer after {} s has \
         lost patience, so a later one is no goodput; after {TIMEOUT_S} s clients leave.\n\n",
        TIMES * CAPACITY,
        results.seconds,
        PATIENCE_MS / 1000
    );
    text += "| in front of the app | goodput/s | of the peak | any 200, of all asked ";
    for (class, _) in CLASSES {
        let _ = write!(text, "| {class} ");
    }
    text += "| admitted p50 ms | admitted p99 ms | refused | refusal p50 ms | no answer |\n| --- ";
    text += &"| ---: ".repeat(11);
    text += "|\n";
    for (front, report) in &results.fronts {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let of_all = |count: u64| percent(count as f64 / report.requests.max(1) as f64);
        let _ = write!(
            text,
            "| {} | {:.0} | {} | {} ",
            front.name(),
            report.achieved_rate,
            percent(report.achieved_rate / peak),
            of_all(report.admitted())
        );
        for (class, _) in CLASSES {
            let _ = write!(text, "| {} ", report.success(class).map_or("–".to_owned(), percent));
        }
        let ms = |ms: Option<f64>| ms.map_or("–".to_owned(), |ms| format!("{ms:.0}"));
        let admitted = report.of_admitted();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            ms(admitted.map(|times| times.p50_ms)),
            ms(admitted.map(|times| times.p99_ms)),
            of_all(report.refused()),
            report.of_refused().map_or("–".to_owned(), |times| format!("{:.1}", times.p50_ms)),
            of_all(report.requests.saturating_sub(report.admitted() + report.refused())),
        );
    }
    text.push('\n');
    text
}

/// The few figures for the README.
pub(super) fn short(results: &Results) -> String {
    let mut text = String::from(
        "| in front of the app | goodput, of its peak | critical requests in time | p99 of what was admitted |\n",
    );
    text += "| --- | ---: | ---: | ---: |\n";
    for (front, report) in &results.fronts {
        let critical = report.success("critical").unwrap_or(0.0) * 100.0;
        let p99 = report.of_admitted().map_or("–".to_owned(), |times| format!("{:.0} ms", times.p99_ms));
        let _ = writeln!(
            text,
            "| {} | {:.0} % | {critical:.1} % | {p99} |",
            front.name(),
            report.achieved_rate / results.alone.peak * 100.0
        );
    }
    text
}

fn method(results: &Results) -> String {
    format!(
        "## How it was measured\n
What stands in front of the app runs on core {SERVER_CORE}, with one thread; `tidegate load` and the app
([bench/origin](../../bench/origin/src/main.rs)) share core {LOAD_CORE}. Every setup gets an app of its own and is measured once, for
{} s.

- The app has {SLOTS} workers. A worker sleeps for {WORK_MS} ms, so no core limits it. Whatever finds none idle waits inside the
  app, in order and without a bound, and is worked off even when its client has gone, which is what pools of workers do.
- Requests arrive at random (Poisson), whatever comes back, and their times count from the moment that they were due.
- Goodput is answers with status 200 within {PATIENCE_MS} ms. `any 200` also counts later ones; of all that is asked, the
  app can do a third.
- `admitted` are answers with status 200, `refused` those with another; `no answer` are clients that left after {TIMEOUT_S} s, or
  whose requests were open when the run ended.
- What was tuned by hand was tuned for this app, by somebody who knew its slots. Tidegate and nginx as they come were told
  nothing about it, HAProxy how many slots it has.
- Before anything is timed, every setup has to pass on bodies of both directions byte by byte, and a request of each class.

",
        results.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::overload::ask::{OfStep, Times};

    fn report(rate: f64, critical: u64) -> Report {
        let step = |name: &str, succeeded| OfStep {
            name: name.to_owned(),
            requests: 100,
            succeeded,
            response: Times { p50_ms: 20.0, p99_ms: 90.0 },
        };
        Report {
            requests: 300,
            succeeded: critical + 20,
            achieved_rate: rate,
            statuses: [(200, 120), (503, 150)].into(),
            by_status: [
                (200, Times { p50_ms: 40.0, p99_ms: 5000.0 }),
                (503, Times { p50_ms: 1.5, p99_ms: 3.0 }),
            ]
            .into(),
            steps: vec![step("critical", critical), step("normal", 20), step("low", 0)],
            ..Report::default()
        }
    }

    fn results() -> Results {
        Results {
            seconds: 60,
            alone: Alone { peak: 400.0, p50_ms: 20.0, p99_ms: 21.0 },
            fronts: vec![(Front::Tidegate, report(392.0, 100)), (Front::Off, report(4.0, 1))],
            fairness: Vec::new(),
            down: None,
        }
    }

    #[test]
    fn the_table_shows_what_reached_people_and_what_did_not() {
        let text = tables(&results());
        let row = "| Tidegate | 392 | 98.0 % | 40.0 % | 100.0 % | 20.0 % | 0.0 % | 40 | 5000 | 50.0 % | 1.5 | 10.0 % |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| no limiter | 4 | 1.0 % |"), "{text}");
        assert!(short(&results()).contains("| no limiter | 1 % | 1.0 % | 5000 ms |"));
    }

    #[test]
    fn goals_look_at_tidegate_alone_and_say_what_was_not_measured() {
        let text = goal::table(&goals(&results()));
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
        assert!(line("goodput").ends_with("| ≥ 0.95 | 0.98 | reached |"), "{text}");
        assert!(line("admitted").ends_with("| ≤ 5063.00 | 5000.00 | reached |"), "{text}");
        assert!(line("critical").ends_with("| ≥ 99.00 | 100.00 | reached |"), "{text}");
        assert!(line("greedy").is_empty() && line("20 ×").ends_with("not measured |"), "{text}");
    }
}
