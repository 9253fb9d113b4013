//! `cargo xtask bench`: Tidegate measured beside what it replaces, on this machine, in one run.
//!
//! A bench is honest when its numbers could have come out otherwise. So: every answer's bytes are checked before anything
//! is timed; peers are tuned as their owners would tune them, in files that anyone can read (bench/peers); peers take
//! turns round by round, so that a machine that slows down slows all of them; medians are shown, and with them the
//! errors, which have to be none.

mod admission;
mod answer;
mod build;
mod cache;
mod correctness;
mod crowd;
mod field;
mod generator;
mod goal;
mod group;
mod idle;
mod load;
mod machine;
mod measure;
mod overload;
mod page;
mod peer;
mod picture;
mod process;
mod procfs;
mod proxy;
mod readme;
mod route;
mod scene;
mod syscalls;
mod turns;

use clap::Args;

use crate::problem::{OrProblem, Problem};
use crate::shell;

use peer::{Peer, Role};
use scene::Scene;

/// Which bench, and how much of it.
#[derive(Args)]
pub(crate) struct Options {
    /// The bench's name; --list shows all
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Show the benches and their scenes
    #[arg(long)]
    list: bool,
    /// How often each scene is measured with each peer; by default as often as it takes to be quoted
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: Option<u32>,
    /// How long each measurement lasts, in seconds; the default is the bench's own
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// As little as shows that everything works: measures nothing
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Only these peers, separated by commas
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Peer>,
    /// Only these scenes, separated by commas
    #[arg(long, value_delimiter = ',', value_enum)]
    scene: Vec<Scene>,
}

/// Runs one bench.
pub(crate) fn run(options: &Options) -> Result<(), Problem> {
    if options.list {
        for bench in &BENCHES {
            println!("{:9} {}", bench.name, bench.about);
        }
        for bench in BENCHES.iter().filter(|bench| !bench.scenes.is_empty()) {
            println!("\nscenes of {}:", bench.name);
            for scene in bench.scenes {
                println!("  {:14} {}", scene.name(), scene.about());
            }
        }
        return Ok(());
    }
    let name = options.name.as_deref().unwrap_or_default();
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        return Err(Problem::new(format!("there is no bench `{name}`"))
            .help(format!("choose one of: {}", names.join(", "))));
    };
    (bench.run)(&Plan::new(options, bench)?)
}

/// A bench.
struct Bench {
    name: &'static str,
    about: &'static str,
    scenes: &'static [Scene],
    peers: &'static [Peer],
    pace: Measured,
    run: fn(&Plan) -> Result<(), Problem>,
}

/// How much is measured unless something else was asked for.
struct Measured {
    rounds: u32,
    seconds: u32,
    /// Shorter measurements are not fit to be quoted.
    least_seconds: u32,
    /// The length of the one round of --quick.
    quick_seconds: u32,
}

/// Five rounds of five seconds.
const USUAL: Measured = Measured { rounds: 5, seconds: 5, least_seconds: 1, quick_seconds: 1 };

const BENCHES: [Bench; 6] = [
    Bench {
        name: "proxy",
        about: "a reverse proxy's work: CPU, speed, latency and memory beside nginx, HAProxy, Caddy and Pingora",
        scenes: &Scene::PROXY,
        peers: Role::Proxy.peers(),
        pace: USUAL,
        run: proxy::run,
    },
    Bench {
        name: "cache",
        about: "a shared cache's work: hits, stampedes and memory beside nginx, HAProxy and Varnish",
        scenes: &Scene::CACHE,
        peers: Role::Cache.peers(),
        pace: USUAL,
        run: cache::run,
    },
    Bench {
        name: "load",
        about: "load generators: speed, exactness and truth beside wrk, oha, hey and ab",
        scenes: &load::SCENES,
        peers: &[],
        pace: USUAL,
        run: load::run,
    },
    Bench {
        name: "admission",
        about: "what limits and the queue cost a request that they let through",
        scenes: &[],
        peers: &[],
        // What is looked for is small, so many short rounds: what disturbs the machine for a while disturbs a few.
        pace: Measured { rounds: 15, seconds: 3, least_seconds: 3, quick_seconds: 1 },
        run: admission::run,
    },
    Bench {
        name: "overload",
        about: "three times what an app can do: goodput, fairness and a restart, beside nginx and HAProxy",
        scenes: &[],
        peers: &[Peer::Tidegate, Peer::Nginx, Peer::Haproxy],
        pace: Measured { rounds: 1, seconds: 60, least_seconds: 60, quick_seconds: 5 },
        run: overload::run,
    },
    Bench {
        name: "route",
        about: "what finding a route costs with 10 and with 10,000 routes",
        scenes: &[],
        peers: &[],
        pace: USUAL,
        run: |_| route::run(),
    },
];

/// What was asked for, defaults filled in.
struct Plan {
    rounds: u32,
    seconds: u32,
    peers: Vec<Peer>,
    scenes: Vec<Scene>,
    /// Nothing was left out and there were enough rounds, so the result may be written into the docs.
    whole: bool,
}

impl Plan {
    fn new(options: &Options, bench: &Bench) -> Result<Self, Problem> {
        let pace = &bench.pace;
        let (rounds, seconds) = if options.quick {
            (1, pace.quick_seconds)
        } else {
            (options.rounds.unwrap_or(pace.rounds), options.seconds.unwrap_or(pace.seconds))
        };
        let enough = rounds >= pace.rounds && seconds >= pace.least_seconds && !options.quick;
        let foreign = |what: String| {
            Problem::new(format!("the bench {} has no {what}", bench.name))
                .help("`cargo xtask bench --list` shows what each bench has")
        };
        if let Some(peer) = options.only.iter().find(|peer| !bench.peers.contains(peer)) {
            return Err(foreign(format!("peer {}", peer.name())));
        }
        if let Some(scene) = options.scene.iter().find(|scene| !bench.scenes.contains(scene)) {
            return Err(foreign(format!("scene {}", scene.name())));
        }
        Ok(Self {
            rounds,
            seconds,
            peers: if options.only.is_empty() { bench.peers.to_vec() } else { options.only.clone() },
            scenes: if options.scene.is_empty() { bench.scenes.to_vec() } else { options.scene.clone() },
            whole: options.only.is_empty() && options.scene.is_empty() && enough,
        })
    }
}

/// Writes files of the docs: the path of each, relative to the root, and its text.
fn keep(files: &[(&str, String)]) -> Result<(), Problem> {
    for (name, text) in files {
        let path = shell::root().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).problem("create a folder of the docs")?;
        std::fs::write(&path, text).problem(&format!("write {name}"))?;
        println!("{name} is written");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &[Peer], scene: &[Scene]) -> Options {
        let (only, scene) = (only.to_vec(), scene.to_vec());
        Options { name: None, list: false, rounds: None, seconds: None, quick: false, only, scene }
    }

    fn plan(bench: &str, options: &Options) -> Result<Plan, Problem> {
        Plan::new(options, BENCHES.iter().find(|at| at.name == bench).expect("a bench"))
    }

    #[test]
    fn a_plan_has_all_of_its_bench_or_what_was_chosen() {
        let all = plan("cache", &options(&[], &[])).expect("a plan");
        assert_eq!((all.peers.as_slice(), all.scenes.as_slice()), (Role::Cache.peers(), &Scene::CACHE[..]));
        assert!(all.whole);
        let some = plan("cache", &options(&[Peer::Varnish], &[Scene::Cold])).expect("a plan");
        assert_eq!((some.peers, some.scenes, some.whole), (vec![Peer::Varnish], vec![Scene::Cold], false));
    }

    #[test]
    fn too_short_a_run_is_not_fit_to_be_quoted() {
        let run = |bench, rounds, seconds, quick| {
            let plan = plan(bench, &Options { rounds, seconds, quick, ..options(&[], &[]) }).expect("a plan");
            (plan.rounds, plan.seconds, plan.whole)
        };
        assert_eq!(run("proxy", None, None, false), (5, 5, true));
        assert_eq!(run("proxy", Some(4), Some(9), false), (4, 9, false));
        assert_eq!(run("overload", None, None, false), (1, 60, true));
        assert_eq!(run("overload", None, Some(20), false), (1, 20, false));
        assert_eq!(run("overload", None, None, true), (1, 5, false));
    }

    #[test]
    fn a_peer_or_a_scene_of_another_bench_is_told() {
        let what = |options| plan("cache", &options).err().map(|problem| problem.what().to_owned());
        assert_eq!(what(options(&[Peer::Caddy], &[])).as_deref(), Some("the bench cache has no peer Caddy"));
        let told = what(options(&[], &[Scene::Small64]));
        assert_eq!(told.as_deref(), Some("the bench cache has no scene small64"));
    }
}
