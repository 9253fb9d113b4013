//! The result as Markdown: goals, tables, and how it was measured.

use std::fmt::Write;

use super::super::generator::Generator;
use super::super::goal::{self, Goal};
use super::super::machine;
use super::super::scene::Scene;
use super::oracle::{TRUE_P90_S, TRUE_P99_S};
use super::{Built, GENERATOR_CORE, ORIGIN_CORE, Plan, Results, Row, sockets};

/// The whole page.
pub(super) fn page(results: &Results, plan: &Plan, built: &Built) -> String {
    let mut text = String::from("# `tidegate load` beside other load generators\n\n");
    text += "Written by `cargo xtask bench load`. Do not edit: run it again.\n\n";
    text += &goals(results);
    text += &tables(results);
    text += &method(plan.rounds, plan.seconds);
    text += &machine::look().section();
    text += "## The generators\n\n| generator | version |\n| --- | --- |\n";
    for generator in Generator::ALL {
        let _ = writeln!(text, "| {} | {} |", generator.name(), generator.version(built));
    }
    text
}

/// All promises of the load generator.
pub(super) fn goals(results: &Results) -> String {
    let speed = |generator| Some(results.row(Scene::Small64, generator)?.requests_per_second);
    let faster = speed(Generator::Tidegate).zip(speed(Generator::Wrk)).map(|(own, wrk)| own / wrk);
    let own = results.oracle.iter().find(|told| told.generator == Generator::Tidegate);
    let off = |told: f64, truth: f64| (told - truth).abs() / truth * 100.0;
    let sockets = results.sockets.as_ref();
    goal::table(&[
        Goal::at_least(
            "1 KiB bodies, 64 connections: requests/s of one core, tidegate load / wrk",
            1.2,
            faster,
        ),
        Goal::at_most(
            "open model at half of a core's capacity: p99 of the generator's own lateness, ms",
            1.0,
            results.schedule.as_ref().map(|kept| kept.lag_p99_ms),
        ),
        Goal::at_most("frozen server: p90 is off by, %", 2.0, own.map(|told| off(told.p90_s, TRUE_P90_S))),
        Goal::at_most("frozen server: p99 is off by, %", 2.0, own.map(|told| off(told.p99_s, TRUE_P99_S))),
        Goal::at_least(
            "WebSockets open at a time",
            sockets::CONNECTIONS as f64,
            sockets.map(|held| held.open as f64),
        ),
        Goal::at_most(
            "KiB of memory per idle WebSocket",
            4.0,
            sockets.map(|held| held.bytes_per_connection / 1024.0),
        ),
    ])
}

/// Everything that was measured.
pub(super) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for (scene, rows) in &results.scenes {
        text += &scene_table(*scene, rows);
    }
    if let Some(kept) = &results.schedule {
        let _ = writeln!(
            text,
            "## Keeping a schedule: {} requests per second, half of a core's capacity\n",
            kept.rate
        );
        text += "| achieved/s | late by p50 ms | late by p99 ms | late by at most ms | core used |\n";
        text += "| ---: | ---: | ---: | ---: | ---: |\n";
        let _ = writeln!(
            text,
            "| {:.0} | {:.3} | {:.3} | {:.3} | {:.0} % |\n",
            kept.achieved,
            kept.lag_p50_ms,
            kept.lag_p99_ms,
            kept.lag_max_ms,
            kept.cpu * 100.0
        );
    }
    if !results.oracle.is_empty() {
        text += "## A server that freezes for 10 of 60 seconds, 1,000 requests per second\n\n";
        text += "| | p90 s | p99 s | requests | errors |\n| --- | ---: | ---: | ---: | ---: |\n";
        let _ = writeln!(text, "| the truth | {TRUE_P90_S:.2} | {TRUE_P99_S:.2} | 60000 | 0 |");
        for told in &results.oracle {
            let (name, report) = (told.generator.name(), &told.report);
            let (requests, errors) = (report.requests, report.errors);
            let _ =
                writeln!(text, "| {name} | {:.2} | {:.2} | {requests} | {errors} |", told.p90_s, told.p99_s);
        }
        text += "\nwrk and ab have no rate: they ask at full speed. hey counts from sending.\n\n";
    }
    if let Some(held) = &results.sockets {
        text +=
            "## WebSockets\n\n| open at a time | processes | KiB each | not opened | lost | messages sent ";
        text += "| came back |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {} | {} | {} | {} |\n",
            held.open,
            held.processes,
            held.bytes_per_connection / 1024.0,
            held.not_opened,
            held.disconnected,
            held.published,
            held.delivered
        );
    }
    text
}

fn scene_table(scene: Scene, rows: &[Row]) -> String {
    let own = rows.iter().find(|row| row.generator == Generator::Tidegate).map(|row| row.requests_per_second);
    let mut text = format!("## {}\n\n", scene.about());
    text += "| generator | requests/s | CPU µs per request | core used | p50 µs | p99 µs | errors ";
    text += "| requests/s: tidegate load / it |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for row in rows {
        let ratio = own.map_or_else(|| "–".to_owned(), |own| format!("{:.2}", own / row.requests_per_second));
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} | {:.0} % | {:.0} | {:.0} | {} | {ratio} |",
            row.generator.name(),
            row.requests_per_second,
            row.cpu_us,
            row.busy * 100.0,
            row.p50_us,
            row.p99_us,
            row.errors
        );
    }
    text.push('\n');
    text
}

fn method(rounds: u32, seconds: u32) -> String {
    format!(
        "## How it was measured\n
The generator runs on core {GENERATOR_CORE}, with one thread; the origin
([bench/origin](../../bench/origin/src/main.rs)) on core {ORIGIN_CORE}. Every figure is the median of {rounds} rounds of
{seconds} seconds; within a round the generators take turns.

- `tidegate load` checks status, framing and length of every answer in all of these runs. The origin's answers were
  compared byte by byte before anything was timed.
- CPU per request is the user and system time that the kernel accounts to the generator, divided by the requests
  answered. Where `core used` is well below 100 %, the origin was the limit, and requests/s says little about the
  generator.
- Latencies in the tables at full speed are those of a closed loop. `ab` tells them in whole milliseconds.
- The frozen server is stopped by SIGSTOP 20 s after the start and continued 10 s later. The truth is arithmetic: of the
  requests that fall into the pause each waits for the rest of it.
- The WebSockets are opened within 40 s and held for 20 s; 1,000 of them send a message every 5 to 10 s and get it back.
  Memory is the resident memory of all processes of the generator at their end, everything included, without the
  sockets, which are the kernel's.

"
    )
}
