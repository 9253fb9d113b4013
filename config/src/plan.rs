//! What a configuration means: every default filled in, every name resolved to an index.
//!
//! A [`Plan`] is made from a `File` (what was written) and is what the rest of Tidegate runs on.
//! Nothing in it can be invalid: whoever holds a `Plan` checks nothing again.

mod browser;
mod content;
mod key;
mod limit;
mod queue;
mod start;
mod store;
mod surge;

pub use browser::*;
pub use content::*;
pub use key::*;
pub use limit::*;
pub use queue::*;
pub use store::*;
pub use surge::*;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use traffic::limit::Rule;
use traffic::queue::Priority;
use traffic::{breaker, client, health, retry, room, route};

/// Everything that Tidegate runs on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Process-wide settings.
    pub server: Server,
    /// The store that all routes share.
    pub cache: Cache,
    /// Where connections arrive; at least one.
    pub listeners: Vec<Listener>,
    /// Named groups of endpoints; routes refer to them by index.
    pub upstreams: Vec<Upstream>,
    /// Waiting rooms; routes refer to them by index.
    pub rooms: Vec<Room>,
    /// What requests match, in the order of the file (which decides nothing).
    pub routes: Vec<Route>,
    /// Profiles that can be switched on; see [`Plan::under`].
    pub surges: Vec<Surge>,
    /// Requests of this priority and of lower ones get no slot; `None` while no surge sheds any.
    pub shed: Option<Priority>,
}

/// Process-wide settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Data-plane threads, each with its own runtime and pools; 1 to 256.
    pub threads: usize,
    /// Address of the admin listener; `None` switches it off.
    pub admin: Option<SocketAddr>,
    /// Networks whose X-Forwarded-*, Forwarded and PROXY preambles are believed.
    pub trusted: client::Trusted,
    /// What `"tenant"` stood for in keys of requests.
    pub tenant: Option<RequestKey>,
    /// Limits on what one client connection may send and hold.
    pub limits: Limits,
    /// Limits that hold for all routes together.
    pub limit: Vec<Arc<Limit>>,
    /// Clients that no limit counts, and those that are refused.
    pub access: Access,
    /// Whether answers carry RateLimit and RateLimit-Policy.
    pub rate_limit_headers: bool,
    /// How tokens are verified whose claims are keys.
    pub jwt: Option<Arc<Jwt>>,
    /// Deadlines of the client side.
    pub timeouts: ClientTimeouts,
    /// How Tidegate leaves.
    pub shutdown: Shutdown,
    /// Access log; `None` switches it off.
    pub access_log: Option<AccessLog>,
    /// Folder for what must outlive a restart; `None`: nothing is kept.
    pub state: Option<PathBuf>,
    /// Reload by itself when the file changes.
    pub watch: bool,
    /// How long a thread polls for events before it sleeps; zero switches it off.
    pub spin: Duration,
    /// Which of Tidegate's own marks go on messages.
    pub marks: Marks,
    /// Security fields of answers that belong to no route; routes have their own, this one by default.
    pub security: Option<Arc<SecurityHeaders>>,
}

/// Limits of the client side.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Limits on heads, chunk framing and trailers.
    pub wire: wire::Limits,
    /// Longest request body in bytes, unless the route says otherwise.
    pub body_bytes: u64,
    /// Client connections held at once, all listeners together.
    pub connections: usize,
    /// Client connections held at once by one client (IPv6: by one /64); 0 is no limit.
    pub connections_per_client: usize,
    /// New client connections of one client by time (IPv6: of one /64); `None` is no limit.
    pub connection_rate: Option<Rule>,
    /// Requests that one connection may carry before it is closed; 0 is no limit.
    pub requests_per_connection: u64,
    /// Memory for what limits know of their keys. The process keeps what it began with.
    pub limit_memory_bytes: u64,
}

/// Deadlines of the client side.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTimeouts {
    /// From the first byte of a head (or the accept) to its last.
    pub head: Duration,
    /// Between two pieces of a request body.
    pub body: Duration,
    /// Least rate of a request body in bytes per second, averaged after the first `body`; 0 is none.
    pub body_rate: u64,
    /// Between two requests on a kept-alive connection.
    pub idle: Duration,
    /// A client that takes no byte of its response for this long is cut off.
    pub write: Duration,
    /// Both directions of a tunnel silent for this long close it; zero is never.
    pub tunnel: Duration,
}

/// How Tidegate leaves when it is told to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Shutdown {
    /// `/ready` fails while traffic is still accepted, so that a balancer in front can turn away.
    pub lame_duck: Duration,
    /// What is still in flight after this long is cut off.
    pub drain: Duration,
}

/// Where finished requests are written.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// File to append to; `None` is standard output.
    pub path: Option<PathBuf>,
    /// Form of a line.
    pub format: LogFormat,
    /// Share of requests written by class of status, 0.0 to 1.0: index 0 is 1xx, 4 is 5xx.
    pub sample: [f64; 5],
}

/// Form of an access log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// The combined log format that web servers share, with termination state, times and what the cache did behind.
    Combined,
}

/// Which of Tidegate's own marks go on messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    /// `Via` on requests and responses (RFC 9110 section 7.6.3); `None` leaves them out.
    pub via: Option<String>,
    /// `X-Request-Id`: kept when a trusted hop sent it, made otherwise, echoed on the response.
    pub request_id: bool,
    /// `traceparent` (W3C Trace Context).
    pub traceparent: bool,
    /// `Forwarded` (RFC 7239) beside the X-Forwarded-* fields.
    pub forwarded: bool,
}

/// Where connections arrive.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Address to bind.
    pub address: ListenAddress,
    /// A PROXY preamble (v1 or v2) is mandatory and only taken from trusted networks.
    pub proxy_protocol: bool,
    /// Connections that the kernel holds until they are accepted.
    pub backlog: u32,
}

/// Address to bind.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// Unix-domain socket at this path.
    Unix(PathBuf),
}

/// A named group of endpoints.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Name in the file; unique.
    pub name: String,
    /// Who serves.
    pub endpoints: Vec<Endpoint>,
    /// Balancing, outlier ejection, retries, slow start.
    pub traffic: traffic::upstream::Settings,
    /// What the policies that hash go by; `None` where the policy does not hash.
    pub balance_key: Option<RequestKey>,
    /// Cookie of the sticky policy.
    pub sticky_cookie: Option<StickyCookie>,
    /// Active probes; `None` is none.
    pub health: Option<health::Settings>,
    /// Deadlines towards endpoints.
    pub timeouts: UpstreamTimeouts,
    /// Idle connections kept.
    pub pool: Pool,
    /// When requests are no longer sent; `None` is never.
    pub breaker: Option<Breaker>,
    /// How long requests wait when every endpoint is down; zero refuses at once.
    pub hold: Duration,
    /// How requests are told apart while they wait.
    pub queue: Queue,
    /// Host field sent to endpoints.
    pub host: HostField,
}

/// When requests are no longer sent to an upstream.
#[derive(Clone, PartialEq, Debug)]
pub struct Breaker {
    /// When it opens and closes.
    pub settings: breaker::Settings,
    /// Statuses that count as failed.
    pub statuses: Vec<core::ops::RangeInclusive<u16>>,
}

/// What answers requests that nothing at an upstream has seen, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fallback {
    /// What is stored, so long after its lifetime.
    pub stale: Option<Duration>,
    /// The upstream of this index.
    pub upstream: Option<usize>,
    /// A page.
    pub page: Option<ErrorPage>,
}

/// A line in front of routes.
#[derive(Clone, PartialEq)]
pub struct Room {
    /// Its name; unique, fit for the name of a cookie.
    pub name: String,
    /// How it lets people in.
    pub settings: room::Settings,
    /// People wait there while a surge is on, and come in at once otherwise.
    pub is_for_surges: bool,
    /// What cookies are signed with; `None` is one at random.
    pub secret: Option<String>,
    /// Page for those who wait, with `{{placeholders}}`; `None` is Tidegate's own.
    pub page: Option<Arc<str>>,
}

impl core::fmt::Debug for Room {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { name, settings, is_for_surges, secret, page } = self;
        let secret = secret.as_ref().map(|secret| room::hash(secret.as_bytes()));
        f.debug_struct("Room")
            .field("name", name)
            .field("settings", settings)
            .field("is_for_surges", is_for_surges)
            .field("secret", &secret)
            .field("page", page)
            .finish()
    }
}

/// One address, or a name that stands for several.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Endpoint {
    /// Where it listens.
    pub address: EndpointAddress,
    /// Share of the traffic against the others; 0 is none.
    pub weight: u32,
    /// Takes traffic only when no other endpoint can.
    pub backup: bool,
}

/// Where an endpoint listens.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum EndpointAddress {
    /// IP address and port.
    Ip(SocketAddr),
    /// Path of a Unix-domain socket.
    Unix(PathBuf),
    /// DNS name and port; every address it resolves to becomes an endpoint.
    Name(String, u16),
}

/// Cookie that names an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StickyCookie {
    /// Name of the cookie.
    pub name: String,
    /// `Max-Age`; `None` lasts as long as the browser's session.
    pub max_age: Option<Duration>,
}

/// Deadlines towards endpoints.
#[derive(Clone, PartialEq, Debug)]
pub struct UpstreamTimeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the end of the request to the end of the response head.
    pub response: Duration,
    /// Between two pieces of a response body; zero is never (event streams).
    pub body: Duration,
    /// An endpoint that takes no byte of the request for this long has failed.
    pub write: Duration,
}

/// Idle connections kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Pool {
    /// Most idle connections per endpoint and thread; 0 keeps none.
    pub idle: usize,
    /// Idle for this long closes it, unless the endpoint was seen to close earlier.
    pub idle_timeout: Duration,
}

/// Host field sent to endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostField {
    /// What the client sent.
    Client,
    /// The endpoint's own address or name.
    Endpoint,
    /// This text.
    Fixed(String),
}

/// What a request matches, and what is done then.
#[derive(Clone, Debug)]
pub struct Route {
    /// Name in metrics and logs: given, or host + path as written; unique.
    pub name: String,
    /// Line in the file (1-based), for explain; 0 when there is no file.
    pub line: usize,
    /// What it matches.
    pub rule: route::Rule,
    /// What is done.
    pub action: Action,
    /// Change of the path before it is forwarded.
    pub rewrite: Rewrite,
    /// Fields changed on the way to the endpoint.
    pub request_headers: Vec<HeaderEdit>,
    /// Fields changed on the way to the client.
    pub response_headers: Vec<HeaderEdit>,
    /// Longest request body in bytes.
    pub body_bytes: u64,
    /// How much of it who may take, besides the server's limits.
    pub limit: Vec<Arc<Limit>>,
    /// Clients that no limit counts, and those that are refused.
    pub access: Access,
    /// Overrides of the upstream's deadlines, already merged with them.
    pub timeouts: UpstreamTimeouts,
    /// Retries, already merged with the upstream's.
    pub retry: retry::Settings,
    /// How much its requests matter.
    pub priority: PrioritySource,
    /// Waiting room in front, by its index; `None` is none.
    pub room: Option<usize>,
    /// The same while a surge is on, where there is none otherwise.
    pub surge_room: Option<usize>,
    /// What answers when nothing at the upstream can, already merged with the upstream's; `None` is a refusal.
    pub fallback: Option<Arc<Fallback>>,
    /// Pages that replace Tidegate's own error bodies.
    pub error_pages: Vec<ErrorPage>,
    /// How answers are cached; `None` is not at all. Only with [`Action::Upstream`], and never while the store has
    /// no memory.
    pub cache: Option<RouteCache>,
    /// How bodies are compressed on their way to the client; `None` is not at all.
    pub compress: Option<Arc<Compress>>,
    /// Fields that tell browsers to be careful; `None` is none.
    pub security: Option<Arc<SecurityHeaders>>,
    /// Who else's pages may read answers; `None` leaves it to the app.
    pub cors: Option<Arc<Cors>>,
}

/// What is done with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Forward to the upstream of this index.
    Upstream(usize),
    /// Answer with a redirect. `to` may hold `{path}`, `{query}` and the route's parameters.
    Redirect {
        /// Target, template.
        to: String,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
    /// Answer with a fixed body.
    Respond {
        /// 200 to 599.
        status: u16,
        /// Body as written.
        body: String,
        /// Content-Type.
        content_type: String,
    },
    /// Answer with files of a folder. The route's `rewrite` makes the path in the folder of the request's, and takes
    /// the route's own prefix away unless the file says otherwise.
    Files(Files),
}

/// Change of the path before it is forwarded, or looked up among files; the query stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rewrite {
    /// The client's bytes go on as they came.
    None,
    /// Take this prefix away ("/" remains when nothing is left).
    Strip(String),
    /// Replace the path; may hold the route's `{parameters}` and `{rest}` (what a prefix left over).
    Replace(String),
}

/// One change of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderEdit {
    /// Add a field, whatever is there.
    Add(String, String),
    /// Replace every field of that name.
    Set(String, String),
    /// Take every field of that name away.
    Remove(String),
}

/// A page that replaces Tidegate's own error body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorPage {
    /// Status it is for.
    pub status: u16,
    /// Content-Type.
    pub content_type: String,
    /// Body, read when the configuration was loaded.
    pub body: Vec<u8>,
}

impl Plan {
    /// The plan of `tidegate run --to …`: one listener, one upstream, one route for everything.
    pub fn simple(listen: ListenAddress, endpoints: Vec<EndpointAddress>) -> Self {
        crate::lower::simple(listen, endpoints)
    }
}
