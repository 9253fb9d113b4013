//! The result as Markdown: tables for the terminal and the docs, the goals beside the figures.

use std::fmt::Write;

use super::goal::{self, Bound, Goal};
use super::machine::Machine;
use super::measure::{CPU, Results, Row, Sample, median};
use super::peer::{Peer, Role};
use super::process::{LOAD_CORE, SERVER_CORE};
use super::route;
use super::scene::Scene;
use super::turns;

/// The whole page.
pub(crate) fn page(
    results: &Results,
    rounds: u32,
    seconds: u32,
    versions: &[(Peer, String)],
    machine: &Machine,
) -> String {
    let mut text = String::from("# Tidegate as a reverse proxy, beside its peers\n\n");
    text += "Written by `cargo xtask bench proxy`. Do not edit: run it again.\n\n";
    text += &goal::table(&goals(results));
    text += &tables(results);
    text += &method(rounds, seconds);
    text += &machine.section();
    text += "## The peers\n\n| peer | version | set up by |\n| --- | --- | --- |\n";
    for (peer, version) in versions {
        let path = peer.setup_path(Role::Proxy);
        let _ = writeln!(text, "| {} | {version} | [{path}](../../{path}) |", peer.name());
    }
    text
}

/// What the README shows: CPU time per request of everything that one may put there, in the scenes that load a server
/// fully.
pub(crate) fn short(results: &Results) -> String {
    let rows = || results.scenes.iter().filter(|(scene, _)| scene.shape().connections() > 1);
    let is_shown = |row: &&Row| row.peer != Peer::Relay;
    let mut text = String::from("| CPU µs per request |");
    let mut line = String::from("| --- |");
    for row in rows().next().map(|(_, rows)| rows).into_iter().flatten().filter(is_shown) {
        let _ = write!(text, " {} |", row.peer.name());
        line += " ---: |";
    }
    let _ = writeln!(text, " Tidegate / nginx |\n{line} ---: |");
    for (scene, rows) in rows() {
        let _ = write!(text, "| {} |", scene.about());
        for row in rows.iter().filter(is_shown) {
            let _ = write!(text, " {:.2} |", row.cpu_us);
        }
        let of = |peer| results.row(*scene, peer);
        let (own, nginx) = (of(Peer::Tidegate), of(Peer::Nginx));
        let _ =
            writeln!(text, " {} |", nginx.map_or_else(String::new, |nginx| shown(middle(own, nginx, CPU))));
    }
    text
}

/// One table per scene.
pub(crate) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for (scene, rows) in &results.scenes {
        text += &scene_table(*scene, rows);
        text += &rate_table(*scene, results);
    }
    if !results.idle_bytes.is_empty() {
        let _ = writeln!(text, "## {}\n", Scene::Idle10000.about());
        text += "| peer | KiB per connection | Tidegate / peer |\n| --- | ---: | ---: |\n";
        let own = results.idle_bytes.iter().find(|(peer, _)| peer.is_own()).map(|(_, bytes)| *bytes);
        for (peer, bytes) in &results.idle_bytes {
            let ratio = ratio(own, *bytes);
            let _ = writeln!(text, "| {} | {:.2} | {ratio} |", peer.name(), bytes / 1024.0);
        }
        text.push('\n');
    }
    if !results.syscalls.is_empty() {
        let _ = writeln!(text, "## System calls per request, {}\n", Scene::Small64.about());
        text += "| peer | calls |\n| --- | ---: |\n";
        for (peer, calls) in &results.syscalls {
            let calls = calls.map_or_else(|| "not countable here".to_owned(), |calls| format!("{calls:.2}"));
            let _ = writeln!(text, "| {} | {calls} |", peer.name());
        }
        text.push('\n');
    }
    if !results.routes.is_empty() {
        text += "## Finding a route\n\n| routes | asked for | ns per lookup |\n| ---: | --- | ---: |\n";
        for cost in &results.routes {
            let _ = writeln!(text, "| {} | {} | {:.1} |", cost.routes, cost.requests, cost.ns);
        }
        text.push('\n');
    }
    text
}

pub(crate) fn scene_table(scene: Scene, rows: &[Row]) -> String {
    let own = rows.iter().find(|row| row.peer.is_own());
    let mut text = format!("## {}\n\n", scene.about());
    text += "| peer | CPU µs per request | requests/s | core used | errors | CPU: Tidegate / peer | of each round |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for row in rows {
        let ratios = own.map(|own| own.ratios(row, CPU)).unwrap_or_default();
        let range = match (ratios.first(), ratios.last()) {
            (Some(least), Some(most)) => format!("{least:.2} to {most:.2}"),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.0} | {:.0} % | {} | {} | {range} |",
            row.peer.name(),
            row.cpu_us,
            row.requests_per_second,
            row.busy * 100.0,
            row.errors,
            shown(median(ratios.into_iter())),
        );
    }
    text.push('\n');
    text
}

/// Latencies at one rate; empty for a scene that was only measured at full speed.
pub(crate) fn rate_table(scene: Scene, results: &Results) -> String {
    let rows: Vec<_> = results.at_rate.iter().filter(|row| row.scene == scene).collect();
    let Some(first) = rows.first() else { return String::new() };
    let own = results.at_rate(scene, Peer::Tidegate);
    let mut text = format!("### The same, {} requests per second whatever is answered\n\n", first.rate);
    text +=
        "| peer | p50 µs | p99 µs | errors | p99: Tidegate / peer |\n| --- | ---: | ---: | ---: | ---: |\n";
    for row in rows {
        let ratio = ratio(own.map(|own| own.p99_us), row.p99_us);
        let (name, errors) = (row.peer.name(), row.errors);
        let _ = writeln!(text, "| {name} | {:.0} | {:.0} | {errors} | {ratio} |", row.p50_us, row.p99_us);
    }
    text.push('\n');
    text
}

pub(crate) fn ratio(own: Option<f64>, peer: f64) -> String {
    shown(own.filter(|_| peer > 0.0).map(|own| own / peer))
}

fn shown(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// The median of the rounds' ratios.
fn middle(own: Option<&Row>, peer: &Row, of: fn(&Sample) -> f64) -> Option<f64> {
    median(own?.ratios(peer, of).into_iter())
}

/// All promises of the reverse proxy.
fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for scene in [Scene::Small64, Scene::Small1000] {
        for (peer, limit) in [(Peer::Nginx, 0.70), (Peer::Haproxy, 0.70), (Peer::Pingora, 0.35)] {
            goals.push(compare(results, scene, peer, "CPU per request", limit, CPU));
        }
        for peer in [Peer::Nginx, Peer::Haproxy, Peer::Pingora] {
            let p99 = |peer| Some(results.at_rate(scene, peer)?.p99_us);
            let measured = p99(Peer::Tidegate).zip(p99(peer)).map(|(own, other)| own / other);
            let what = format!("{}: p99 at the same rate, Tidegate / {}", scene.about(), peer.name());
            goals.push(Goal::at_most(&what, 1.0, measured));
        }
    }
    goals.push(compare(results, Scene::Large64, Peer::Nginx, "CPU per request", 1.0, CPU));
    goals.push(compare(results, Scene::Short64, Peer::Nginx, "CPU per request", 1.0, CPU));
    let speed = |sample: &Sample| sample.requests_per_second;
    let speed = compare(results, Scene::Short64, Peer::Nginx, "requests/s", 1.0, speed);
    goals.push(Goal { bound: Bound::AtLeast, ..speed });
    let calls = results.syscalls.iter().find(|(peer, _)| peer.is_own()).and_then(|(_, calls)| *calls);
    goals.push(Goal::at_most("system calls per proxied request", 4.1, calls));
    let idle = results.idle_bytes.iter().find(|(peer, _)| peer.is_own()).map(|(_, bytes)| bytes / 1024.0);
    goals.push(Goal::at_most("KiB of memory per idle connection", 4.0, idle));
    goals.push(Goal::at_most(
        "finding one of 10,000 routes / one of 10",
        route::LARGEST_RATIO,
        route::ratio(&results.routes),
    ));
    goals
}

/// Tidegate's figure over that of a peer, as something that may not exceed `limit`.
pub(crate) fn compare(
    results: &Results,
    scene: Scene,
    peer: Peer,
    figure: &str,
    limit: f64,
    of: fn(&Sample) -> f64,
) -> Goal {
    let other = results.row(scene, peer);
    let measured = other.and_then(|other| middle(results.row(scene, Peer::Tidegate), other, of));
    Goal::at_most(&format!("{}: {figure}, Tidegate / {}", scene.about(), peer.name()), limit, measured)
}

fn method(rounds: u32, seconds: u32) -> String {
    let turns = turns::TOLD;
    format!(
        "## How it was measured\n
The server runs on core {SERVER_CORE}, with one thread; the load generator (`wrk`, one thread; `ab` for connections with
one request) and the origin ([bench/origin](../../bench/origin/src/main.rs)) share core {LOAD_CORE}. Every figure is the
median of {rounds} rounds, in each of which every peer is loaded for {seconds} seconds.

{turns}
- Before anything is timed, every peer has to pass on bodies of 0 to 64 KiB and a POST of 16 KiB byte by byte. The
  origin also checks every byte of every POST while the clock runs and answers 422 when one is wrong, which counts as an
  error.
- CPU per request is the user and system time that the kernel accounts to the server's processes, divided by the
  requests answered. It includes opening the connections of the round.
- `core used` says how much of its core a server used. Where it is well below 100 %, the load generator and the origin
  were the limit, and requests/s says little about the server.
- Bare sockets are no proxy: what comes from a client goes to the origin and back as it is, with one read and one write
  each way. So their row says what part of a request is the kernel's, and what nobody who makes these four calls can go
  below.
- Latencies are those at a rate that is the same for all, half of what the slowest reached, measured by `tidegate load`
  from the moment that each request was due. Those of a closed loop at full speed are not shown: a faster server is
  asked for more there, and a pause of the server keeps the loop from asking.
- Memory is the growth of the resident memory of the server's processes, without the sockets, which are the kernel's.
- System calls are counted by the kernel (`perf stat`, `raw_syscalls:sys_enter`) in a run of its own.

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::AtRate;
    use crate::bench::route::Cost;

    fn row(peer: Peer, cpu_us: f64) -> Row {
        let sample = |cpu_us| Sample { cpu_us, requests_per_second: 1e6 / cpu_us, busy: 0.995, errors: 0 };
        Row::new(peer, vec![sample(cpu_us), sample(cpu_us + 6.0), sample(cpu_us)]).expect("rounds")
    }

    fn results() -> Results {
        Results {
            scenes: vec![(Scene::Small64, vec![row(Peer::Tidegate, 9.0), row(Peer::Nginx, 15.0)])],
            at_rate: [(Peer::Tidegate, 90.0), (Peer::Nginx, 120.0)]
                .map(|(peer, p99_us)| AtRate {
                    scene: Scene::Small64,
                    peer,
                    rate: 30_000,
                    p50_us: 50.0,
                    p99_us,
                    errors: 0,
                })
                .to_vec(),
            idle_bytes: vec![(Peer::Tidegate, 5.0 * 1024.0)],
            syscalls: vec![(Peer::Tidegate, Some(4.0)), (Peer::Nginx, None)],
            routes: [(10, 40.0), (10_000, 42.0)]
                .map(|(routes, ns)| Cost { routes, requests: "the same".to_owned(), ns })
                .to_vec(),
        }
    }

    #[test]
    fn the_readme_shows_what_a_request_costs() {
        let wanted = "| CPU µs per request | Tidegate | nginx | Tidegate / nginx |\n| --- | ---: | ---: | ---: |\n\
                      | 1 KiB bodies, 64 connections | 9.00 | 15.00 | 0.60 |\n";
        assert_eq!(short(&results()), wanted);
    }

    #[test]
    fn a_table_shows_medians_and_ratios() {
        let text = tables(&results());
        assert!(text.contains("| nginx | 15.00 | 66667 | 100 % | 0 | 0.60 | 0.60 to 0.71 |"), "{text}");
        assert!(text.contains("| nginx | not countable here |"), "{text}");
        assert!(text.contains("### The same, 30000 requests per second"), "{text}");
        assert!(text.contains("| Tidegate | 50 | 90 | 0 | 1.00 |"), "{text}");
    }

    #[test]
    fn goals_are_reached_missed_or_not_measured() {
        let text = goal::table(&goals(&results()));
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
        assert!(
            line("64 connections: CPU per request, Tidegate / nginx")
                .ends_with("| ≤ 0.70 | 0.60 | reached |")
        );
        assert!(line("p99 at the same rate, Tidegate / nginx").ends_with("| ≤ 1.00 | 0.75 | reached |"));
        assert!(line("KiB of memory").ends_with("| ≤ 4.00 | 5.00 | missed |"));
        assert!(
            line("64 connections: CPU per request, Tidegate / Pingora").ends_with("| – | not measured |")
        );
        assert!(line("10,000 routes").ends_with("| ≤ 1.10 | 1.05 | reached |"));
    }
}
