//! `cargo xtask bench`: Tidegate measured beside what it replaces, on this machine, in one run.
//!
//! A bench is honest when its numbers could have come out otherwise. So: every answer's bytes are checked before anything
//! is timed; peers are tuned as their owners would tune them, in files that anyone can read (bench/peers); peers take
//! turns round by round, so that a machine that slows down slows all of them; medians are shown, and with them the
//! errors, which have to be none.

mod build;
mod correctness;
mod generator;
mod goal;
mod idle;
mod load;
mod machine;
mod measure;
mod page;
mod peer;
mod process;
mod procfs;
mod proxy;
mod route;
mod scene;
mod syscalls;

use clap::Args;

use crate::problem::Problem;
use crate::setup;

use peer::Peer;
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
    /// How often each scene is measured with each peer; medians of five are fit to be quoted
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// How long each measurement lasts, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// One round of one second: shows that everything works, measures nothing
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
            println!("{:8} {}", bench.name, bench.about);
        }
        println!("\nscenes of proxy:");
        for scene in Scene::ALL {
            println!("  {:14} {}", scene.name(), scene.about());
        }
        return Ok(());
    }
    let name = options.name.as_deref().unwrap_or_default();
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        return Err(Problem::new(format!("there is no bench `{name}`"))
            .help(format!("choose one of: {}", names.join(", "))));
    };
    (bench.run)(&Plan::new(options))
}

/// A bench.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Plan) -> Result<(), Problem>,
}

const BENCHES: [Bench; 3] = [
    Bench {
        name: "proxy",
        about: "a reverse proxy's work: CPU, speed, latency and memory beside nginx, HAProxy, Caddy and Pingora",
        run: |plan| {
            setup::run(&setup::Options { bench: true })?;
            proxy::run(plan)
        },
    },
    Bench {
        name: "load",
        about: "load generators: speed, exactness and truth beside wrk, oha, hey and ab",
        run: load::run,
    },
    Bench {
        name: "route",
        about: "what finding a route costs with 10 and with 10,000 routes",
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
    fn new(options: &Options) -> Self {
        let all_or = |some: &Vec<Peer>| if some.is_empty() { Peer::ALL.to_vec() } else { some.clone() };
        let scenes = if options.scene.is_empty() { Scene::ALL.to_vec() } else { options.scene.clone() };
        let (rounds, seconds) = if options.quick { (1, 1) } else { (options.rounds, options.seconds) };
        Self {
            rounds,
            seconds,
            peers: all_or(&options.only),
            scenes,
            whole: options.only.is_empty() && options.scene.is_empty() && rounds >= 5,
        }
    }
}
