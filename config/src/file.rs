//! What a tidegate.toml may hold, key by key. The comments here are the manual: they become the JSON
//! schema and docs/reference/config.md.

mod browser;
mod cache;
mod content;
mod key;
mod limit;
mod queue;
mod room;
mod route;
mod server;
mod surge;
mod upstream;

pub use browser::*;
pub use cache::*;
pub use content::*;
pub use key::*;
pub use limit::*;
pub use queue::*;
pub use room::*;
pub use route::*;
pub use server::*;
pub use surge::*;
pub use upstream::*;

use crate::plan::ListenAddress;
use crate::read::{List, Named};
use crate::table::table;
use crate::value::Count;

table! {
    /// The whole file.
    ///
    /// In every string, `${NAME}` stands for an environment variable, `${NAME:-default}` gives it a
    /// default, and `$${` is a plain `${`. Where a number or a flag is wanted, `"${NAME}"` may stand for it.
    pub struct File {
        /// Process-wide settings.
        server: Server => table,
        /// The store that all routes share.
        cache: Cache => table,
        /// Where connections arrive; at least one.
        listener: List<Listener> => needed,
        /// Named groups of endpoints.
        upstream: Named<Upstream> => absent("no route can forward"),
        /// What requests match, and what is done then. The most specific route wins; the order of the file
        /// decides nothing.
        route: List<Route> => needed,
        /// Profiles that tighten what is in force while one of them is switched on with `tidegate surge on`.
        surge: Named<Surge> => absent("there is nothing to switch on"),
    }

    /// Where connections arrive.
    pub struct Listener {
        /// Address to bind: `"0.0.0.0:8080"`, `"[::]:8080"`, `":8080"` (every IPv4 interface) or
        /// `"unix:/run/tidegate.sock"`.
        address: ListenAddress => required(":8080"),
        /// Whether every connection begins with a PROXY preamble (v1 or v2) that names the client. It is
        /// mandatory then, and only taken from `server.trusted_proxies`.
        proxy_protocol: bool => default(false),
        /// Connections that the kernel holds until they are accepted.
        backlog: Count<1, 65_535> => default(4096),
    }
}
