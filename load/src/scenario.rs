//! scenario.toml to [`Plan`](crate::plan::Plan), and the same from the command line.

pub mod file;
pub mod quick;
mod target;
pub mod value;

use std::time::Duration;

pub use target::BadTarget;

/// Most users, connections or sockets of one run.
pub const MAX_USERS: u32 = 10_000_000;
/// Connections that the open model may open when the scenario does not say.
const USERS_UP_TO: u32 = 10_000;
/// Longest time for an answer when the scenario does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A seed that can be written back into a scenario, and read by what knows only doubles.
fn random_seed() -> u64 {
    fastrand::u64(..1 << 48)
}
