//! The command line and the environment: everything that can be set from outside.

use std::path::PathBuf;

use clap::Parser;

use crate::stock::UNIVERSE_MAX;

/// A stock screener: a table page and a JSON API over a universe of stocks.
#[derive(Debug, Clone, Parser)]
#[command(name = "screener", version)]
pub struct Options {
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
    /// Where and how it serves
    #[command(flatten)]
    pub serve: kit::ServeOptions,
}
