//! The command line and the environment: everything that can be set from outside.

use clap::Parser;

/// The shortest token that guards the messages.
const TOKEN_MIN_BYTES: usize = 16;

/// A personal site: a few pages, their pictures, and a contact form that stores messages.
#[derive(Debug, Clone, Parser)]
#[command(name = "resume", version)]
pub struct Options {
    /// SQLite file of the messages, as a path or as sqlite://PATH; created when missing. Several processes may share it
    #[arg(long, env = "DATABASE_URL", default_value = "resume.db")]
    pub database: String,
    /// Token with which the owner reads /messages, as the password that the browser asks for; at least 16 bytes.
    /// Without one nobody can read them there
    #[arg(long, env = "RESUME_OWNER_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = token)]
    pub owner_token: Option<String>,
    /// Messages that this process stores per hour at most; past it writers are told when to come back
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub messages_per_hour: u32,
    /// Messages that the database holds at most; past it the owner has to delete some
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub messages_max: u32,
    /// Requests in flight at most; past it clients get a 503 and may come back
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight_max: u32,
    /// Where and how it serves
    #[command(flatten)]
    pub serve: kit::ServeOptions,
}

fn token(given: &str) -> Result<String, String> {
    if given.len() < TOKEN_MIN_BYTES {
        return Err(format!("{} bytes, of at least {TOKEN_MIN_BYTES}; choose a longer one", given.len()));
    }
    Ok(given.to_owned())
}
