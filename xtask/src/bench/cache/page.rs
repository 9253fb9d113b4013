//! The result as Markdown: goals, tables, and how it was measured.

use std::fmt::Write;

use super::super::goal::{self, Goal};
use super::super::machine::Machine;
use super::super::measure::CPU;
use super::super::page::{compare, rate_table, ratio, scene_table};
use super::super::peer::{Peer, Role};
use super::super::process::{LOAD_CORE, SERVER_CORE};
use super::super::scene::Scene;
use super::super::turns;
use super::entries::{BODY_BYTES, FEW, Kept};
use super::stampede::{DELAY_MS, Seen};
use super::{Plan, Results};

/// The whole page.
pub(super) fn page(results: &Results, plan: &Plan, versions: &[(Peer, String)], machine: &Machine) -> String {
    let mut text = String::from("# Tidegate as a cache, beside its peers\n\n");
    text += "Written by `cargo xtask bench cache`. Do not edit: run it again.\n\n";
    text += &goals(results);
    text += &tables(results);
    text += &method(plan.rounds, plan.seconds);
    text += &machine.section();
    text +=
        "## The peers\n\n| peer | version | hits tell their age | set up by |\n| --- | --- | --- | --- |\n";
    for (peer, version) in versions {
        let path = peer.setup_path(Role::Cache);
        let tells = results.aged.iter().find(|(at, _)| at == peer);
        let tells = tells.map_or("no cache", |(_, tells)| if *tells { "yes" } else { "no" });
        let _ = writeln!(text, "| {} | {version} | {tells} | [{path}](../../{path}) |", peer.name());
    }
    text
}

/// All promises of the cache that this bench can see.
pub(super) fn goals(results: &Results) -> String {
    let mut goals = Vec::new();
    let cpu = |scene, peer, limit| compare(&results.speed, scene, peer, "CPU per request", limit, CPU);
    for scene in [Scene::Hit64, Scene::Hit1000] {
        goals.push(cpu(scene, Peer::Nginx, 0.55));
        goals.push(cpu(scene, Peer::Haproxy, 0.55));
        goals.push(cpu(scene, Peer::Varnish, 0.35));
    }
    goals.push(cpu(Scene::HitLarge64, Peer::Nginx, 0.9));
    goals.push(cpu(Scene::HitHuge16, Peer::Nginx, 0.9));
    let seen = |of| {
        let (_, seen) = results.stampedes.iter().find(|(scene, _)| *scene == of)?;
        seen.iter().find(|seen| seen.peer.is_own())
    };
    let (cold, expired) = (seen(Scene::Cold), seen(Scene::Expired));
    let of = |seen: Option<&Seen>, value: fn(&Seen) -> f64| seen.map(value);
    for (scene, seen) in [(Scene::Cold, cold), (Scene::Expired, expired)] {
        let what = format!("{}: requests to the origin", scene.about());
        goals.push(Goal::at_most(&what, 1.0, of(seen, |seen| seen.origin_requests as f64)));
    }
    let streamed = of(cold, |seen| f64::from(seen.before_end));
    goals.push(Goal::at_least(
        &format!("{}: clients with a byte before the origin has finished", Scene::Cold.about()),
        1000.0,
        streamed,
    ));
    let stale = of(expired, |seen| f64::from(seen.stale.min(seen.before_end)));
    goals.push(Goal::at_least(
        &format!("{}: clients with the old answer, at once", Scene::Expired.about()),
        1000.0,
        stale,
    ));
    let own = results.entries.iter().find(|kept| kept.peer.is_own());
    goals.push(Goal::at_most(
        "bytes per entry beyond key, head and body",
        200.0,
        own.map(|kept| kept.overhead_bytes),
    ));
    goals.push(Goal::at_least("entries kept of 200,000", 200_000.0, own.map(|kept| kept.still_there as f64)));
    goal::table(&goals)
}

/// Everything that was measured.
pub(super) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for (scene, rows) in &results.speed.scenes {
        text += &scene_table(*scene, rows);
        text += &rate_table(*scene, &results.speed);
    }
    for (scene, seen) in &results.stampedes {
        text += &stampede_table(*scene, seen);
    }
    text += &entries_tables(&results.entries);
    text
}

fn stampede_table(scene: Scene, seen: &[Seen]) -> String {
    let mut text = format!("## {}\n\n", scene.about());
    text +=
        "| peer | requests to the origin | clients with a byte before it had finished | with the old answer ";
    text += "| first byte: first ms | last ms | all bytes: last ms | failed |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for seen in seen {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {} |",
            seen.peer.name(),
            seen.origin_requests,
            seen.before_end,
            seen.stale,
            seen.first_ms,
            seen.last_ms,
            seen.whole_ms,
            seen.failed
        );
    }
    text.push('\n');
    text
}

fn entries_tables(entries: &[Kept]) -> String {
    let Some(first) = entries.first() else { return String::new() };
    let mut text = format!("## {}\n\n", Scene::Entries.about());
    text += "| peer | still there | MiB with all | bytes per entry | beyond key, head and body | on disk |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
    for kept in entries {
        // Who has grown by less than the entries' own bytes keeps them elsewhere.
        let elsewhere = kept.overhead_bytes < 0.0;
        let overhead = if elsewhere { "–".to_owned() } else { format!("{:.0}", kept.overhead_bytes) };
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {:.0} | {overhead} | {:.0} |",
            kept.peer.name(),
            kept.still_there,
            kept.memory_bytes as f64 / 1024.0 / 1024.0,
            kept.growth_bytes,
            kept.disk_bytes
        );
    }
    let _ = writeln!(text, "\n### Hits among {FEW} entries, and among {}\n", first.entries);
    text += "| peer | CPU µs per hit, few | many | many / few | p50 µs, few | many |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
    for Kept { peer, few, many, .. } in entries {
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.2} | {} | {:.0} | {:.0} |",
            peer.name(),
            few.cpu_us,
            many.cpu_us,
            ratio(Some(many.cpu_us), few.cpu_us),
            few.p50_us,
            many.p50_us
        );
    }
    text.push('\n');
    text
}

fn method(rounds: u32, seconds: u32) -> String {
    let turns = turns::TOLD;
    format!(
        "## How it was measured\n
The server runs on core {SERVER_CORE}, with one thread (Varnish with one pool of them); the load generator (`wrk`, one
thread) and the origin ([bench/origin](../../bench/origin/src/main.rs)) share core {LOAD_CORE}. Every figure of a hit is
the median of {rounds} rounds, in each of which every peer is loaded for {seconds} seconds.

{turns}
- Before anything is timed, every peer has to pass on what it may not keep byte by byte, both ways, and to answer the
  second request for bodies of 0 bytes to 1 MiB byte by byte without a request to the origin.
- Every timed request was a hit: the origin counts, and a request that reached it is an error.
- CPU per request is the user and system time that the kernel accounts to the server's processes, divided by the requests
  answered. It includes opening the connections of the round.
- `core used` says how much of its core a server used. Where it is well below 100 %, the load generator was the limit,
  and requests/s says little about the server.
- Peers add nothing to an answer but what they add by themselves; nginx's files are in the page cache, and open.
- Bare sockets are no cache: the origin itself, in the place of one. It reads a request and writes an answer that lies
  ready, with a call to the kernel for each. So its row says what part of a hit is the kernel's, and what nobody who
  makes these two calls can go below.
- Latencies of hits are those at a rate that is the same for all, half of what the slowest reached, measured by `tidegate
  load` from the moment that each request was due.
- In a stampede, 1,000 connections are open before the first request is sent, by a client of the bench's own. The origin
  begins its answer at once and ends it {DELAY_MS} ms later. What has expired was fresh for a second and may be given out
  for a minute while it is fetched anew. Counts are the worst of {rounds} rounds, times the medians. HAProxy has neither
  a way to let requests wait for one another nor to give out what has expired.
- Entries have bodies of {BODY_BYTES} bytes. Memory is what the kernel accounts to the server's processes (Pss: what they
  share counts once), and its growth from {FEW} entries to all is divided by their number. From that, body and head as
  the origin sends them and the URL are taken off; what remains is called overhead, the allocator's waste and freed
  memory that was not given back included. It is measured from outside for all peers; no peer's own accounts are used.
  HAProxy takes all of its memory at its start, so its growth says nothing. nginx keeps keys in memory and the rest in
  files, which take the page cache: see the column for the disk.
- Hits among few and among many entries are asked for in the same number and by the same client, in a scattered order;
  each of the many once, which tells how many of them are still there.

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cache::entries::Hits;
    use crate::bench::measure::{Results as Speed, Row, Sample};

    fn row(peer: Peer, cpu_us: f64) -> Row {
        let sample = Sample { cpu_us, requests_per_second: 1e6 / cpu_us, busy: 0.995, errors: 0 };
        Row::new(peer, vec![sample]).expect("a round")
    }

    fn seen(origin_requests: u64, before_end: u32, stale: u32) -> Seen {
        let (peer, failed) = (Peer::Tidegate, 0);
        let (first_ms, last_ms, whole_ms) = (1.0, 20.0, 2001.0);
        Seen { peer, origin_requests, before_end, stale, failed, first_ms, last_ms, whole_ms }
    }

    fn results() -> Results {
        let rows = vec![row(Peer::Tidegate, 4.0), row(Peer::Nginx, 8.0), row(Peer::Varnish, 10.0)];
        let hits = |cpu_us| Hits { cpu_us, p50_us: 90.0 };
        Results {
            speed: Speed { scenes: vec![(Scene::Hit64, rows)], ..Speed::default() },
            aged: vec![(Peer::Tidegate, true), (Peer::Nginx, false)],
            stampedes: vec![
                (Scene::Cold, vec![seen(2, 1000, 0)]),
                (Scene::Expired, vec![seen(1, 1000, 999)]),
            ],
            entries: vec![Kept {
                peer: Peer::Tidegate,
                entries: 200_000,
                still_there: 200_000,
                memory_bytes: 96 << 20,
                growth_bytes: 460.0,
                overhead_bytes: 180.0,
                disk_bytes: 0.0,
                few: hits(5.0),
                many: hits(5.5),
            }],
        }
    }

    #[test]
    fn goals_are_reached_missed_or_not_measured() {
        let text = goals(&results());
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
        assert!(
            line("1 KiB, 64 connections: CPU per request, Tidegate / nginx").ends_with("| 0.50 | reached |")
        );
        assert!(line("64 connections: CPU per request, Tidegate / Varnish").ends_with("| 0.40 | missed |"));
        assert!(
            line("64 connections: CPU per request, Tidegate / HAProxy").ends_with("| – | not measured |")
        );
        assert!(line("not there: requests to the origin").ends_with("| ≤ 1.00 | 2.00 | missed |"));
        assert!(line("before the origin has finished").ends_with("| 1000.00 | reached |"));
        assert!(line("expired: requests to the origin").ends_with("| 1.00 | reached |"));
        assert!(line("with the old answer, at once").ends_with("| 999.00 | missed |"));
        assert!(line("beyond key, head and body").ends_with("| ≤ 200.00 | 180.00 | reached |"));
    }

    #[test]
    fn tables_show_stampedes_and_entries() {
        let text = tables(&results());
        assert!(text.contains("| Tidegate | 2 | 1000 | 0 | 1 | 20 | 2001 | 0 |"), "{text}");
        assert!(text.contains("| Tidegate | 200000 | 96.0 | 460 | 180 | 0 |"), "{text}");
        assert!(text.contains("| Tidegate | 5.00 | 5.50 | 1.10 | 90 | 90 |"), "{text}");
    }
}
