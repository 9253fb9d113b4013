//! The command line and the environment: everything that can be set from outside.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;

use crate::stock::UNIVERSE_MAX;

/// A stock screener: a table page and a JSON API over a universe of stocks.
#[derive(Debug, Clone, Parser)]
#[command(name = "screener", version)]
pub struct Options {
    /// Port to listen on; 0 chooses a free one, which the log then names
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Address to listen on; 0.0.0.0 inside a container
    #[arg(long, env = "HOST", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// SQLite file, as a path or as sqlite://PATH; created and filled when missing. Several processes may share it
    #[arg(long, env = "DATABASE_URL", default_value = "screener.db")]
    pub database: String,
    /// Seed of the synthetic universe; matters only while the database is empty
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Companies in the synthetic universe; matters only while the database is empty
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(UNIVERSE_MAX)))]
    pub count: u32,
    /// CSV file of stocks that replaces the universe before serving; a file that is already in is not read in again
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
    /// Bearer token that allows POST /api/import; without one, importing over HTTP is refused
    #[arg(long, env = "SCREENER_IMPORT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub import_token: Option<String>,
    /// Threads that serve; by default one per core
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Seconds to go on serving after SIGTERM while /ready already says no
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub lame_duck_s: u64,
    /// Seconds that requests in flight may then take to end
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_s: u64,
}
