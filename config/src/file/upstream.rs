//! `[upstream.NAME]`: who serves, how the load is spread, how health is judged, how long to wait.

use schemars::json_schema;
use toml::Spanned;

use crate::file::{KeySource, Queue};
use crate::plan::EndpointAddress;
use crate::read::{Key, List, OneOrMany, Read, Reader, Short, Shortened, Switch, Toggle, Value};
use crate::table::{table, words};
use crate::value::{Count, Number, Share, Statuses, Time, inline_schema};

table! {
    /// A named group of endpoints.
    pub struct Upstream {
        /// Who serves: addresses, or tables with a weight.
        endpoints: List<Shortened<Endpoint>> => needed,
        /// How the load is spread: a policy, or a table with its settings.
        balance: Shortened<Balance> => table,
        /// Probes that ask every endpoint how it is: a path (`"/health"`), `"tcp"` (a connection that opens is
        /// enough), a table, or `"off"`.
        health: Switch<Shortened<Health>> => absent("no probes; live traffic alone judges"),
        /// When live traffic ejects an endpoint, or `"off"`.
        outlier: Switch<Outlier> => default({}),
        /// When requests are no longer sent, because too many of them fail or are slow: `true`, or how.
        breaker: Toggle<Breaker> => absent("they are always sent"),
        /// What answers requests that nothing here has seen: while the breaker is open, no endpoint is up, or none
        /// takes the connection.
        fallback: Fallback => absent("an error with Retry-After"),
        /// When a request that failed is tried at another endpoint, or `"off"`.
        retry: Switch<Retry> => default({}),
        /// Deadlines towards endpoints.
        timeouts: UpstreamTimeouts => table,
        /// Idle connections that are kept.
        pool: Pool => table,
        /// Time over which an endpoint that comes back gets its full share; `"0s"` is at once.
        slow_start: Time<0> => default("0s"),
        /// How many requests the endpoints have at once, and who waits for how long, or `"off"`: everything is passed on
        /// at once.
        queue: Switch<Queue> => default({}),
        /// How long a request that was not sent yet waits while no endpoint takes connections; `"0s"` refuses at once.
        /// Requests that wait count for `queue.limit`.
        hold: Time<0> => default("0s"),
        /// Host field that endpoints get: `"client"` is what the client sent, `"endpoint"` the endpoint's
        /// own address, anything else is sent as written.
        host: String => default("client"),
    }

    /// One address, or a DNS name that stands for several.
    pub struct Endpoint {
        /// Where it listens: `"127.0.0.1:3000"`, `"[::1]:3000"`, `"app.internal:3000"` or
        /// `"unix:/run/app.sock"`. A name is looked up again as its records expire, and every address it
        /// has becomes an endpoint.
        address: EndpointAddress => required("127.0.0.1:3000"),
        /// Share of the traffic against the others; 0 is none.
        weight: Count<0, 1_000> => default(1),
        /// Takes traffic only when no other endpoint can.
        backup: bool => default(false),
    }

    /// How the load is spread over the endpoints.
    pub struct Balance {
        /// The policy.
        by: Policy => default("least-requests"),
        /// What `by = "hash"` hashes: `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"`, `"path"`,
        /// `"path:PARAMETER"`, `"tenant"`, `"client"`, `"route"` or `"global"`. Equal keys reach the same endpoint; a
        /// request without the key counts by its client.
        key: KeySource => absent("only for policies that do not hash"),
        /// Most requests in flight that `by = "hash"` puts on one endpoint, as a multiple of its fair share;
        /// beyond it the key goes to its next choice. `"off"` is no bound.
        bound: Switch<Number<1, 100>> => default(1.25),
        /// Time over which `by = "peak-ewma"` forgets a latency.
        decay: Time<1> => default("10s"),
        /// Name of the cookie of `by = "sticky"`.
        cookie: String => default("tidegate"),
        /// Max-Age of the cookie of `by = "sticky"`.
        max_age: Time<1000> => absent("until the browser closes"),
    }

    /// Probes that ask every endpoint how it is.
    pub struct Health {
        /// Path and query of a GET request.
        path: String => absent("a connection that opens is enough"),
        /// Statuses that pass.
        status: OneOrMany<Statuses> => default("200-399"),
        /// Text that the beginning of the body must contain.
        body: String => absent("any body"),
        /// Host field of the probe.
        host: String => absent("the endpoint's address"),
        /// From one probe to the next.
        interval: Time<10> => default("5s"),
        /// A probe without an answer after this time has failed.
        timeout: Time<1> => default("2s"),
        /// Passed probes in a row that bring an endpoint back.
        rise: Count<1, 1_000> => default(1),
        /// Failed probes in a row that take an endpoint out. The very first probe decides alone.
        fall: Count<1, 1_000> => default(3),
        /// Share of the interval by which each wait is lengthened or shortened at random, so that many
        /// instances do not probe in step.
        jitter: Share => default(0.1),
    }

    /// When live traffic ejects an endpoint, and for how long.
    pub struct Outlier {
        /// Failures in a row, of any kind, that eject; 0 switches this rule off.
        failures: Count<0, 1_000_000> => default(5),
        /// Connections in a row that could not be opened, that eject; 0 switches this rule off.
        connect_failures: Count<0, 1_000_000> => default(2),
        /// Share of failed requests over the last ten seconds that ejects, or `"off"`.
        failure_share: Switch<Share> => default(0.5),
        /// An answer that takes longer than this to begin is slow.
        slow: Time<1> => absent("no answer is too slow"),
        /// Share of slow answers over the last ten seconds that ejects.
        slow_share: Share => default(0.5),
        /// Requests within these ten seconds below which their shares are not judged.
        minimum_requests: Count<1, 1_000_000> => default(20),
        /// How long the first ejection lasts; the second in short succession lasts twice as long, the third
        /// three times.
        ejection: Time<1> => default("30s"),
        /// The same for ejections because connections could not be opened. Short, because an app that is
        /// being restarted should be found again soon.
        connect_ejection: Time<1> => default("1s"),
        /// No ejection lasts longer.
        ejection_max: Time<1> => default("5m"),
        /// Share of the endpoints that may be ejected at once; at least one may, and the only one never is.
        ejected_share: Share => default(0.5),
        /// With a smaller share of healthy endpoints than this, judgements are ignored and the load goes to
        /// every endpoint that can be connected to; 0 switches this off.
        panic_share: Share => default(0.5),
    }

    /// When requests are no longer sent to the upstream as a whole. Endpoints are judged one by one by `outlier`; what a
    /// retry has mended is no error here.
    pub struct Breaker {
        /// Share of failed requests over the last ten seconds that opens it, or `"off"`.
        error_share: Switch<Share> => default(0.5),
        /// Statuses that count as failed, besides requests that got no answer.
        status: OneOrMany<Statuses> => default("502-504"),
        /// An answer that takes longer than this to begin is slow.
        slow: Time<1> => absent("no answer is too slow"),
        /// Share of slow answers over the last ten seconds that opens it.
        slow_share: Share => default(0.5),
        /// Requests within these ten seconds below which their shares are not judged.
        minimum_requests: Count<1, 1_000_000> => default(20),
        /// How long it stays open for the first time; each further time in short succession twice as long. Every such
        /// time spent closed makes one earlier opening forgotten.
        open: Time<1> => default("5s"),
        /// It never stays open longer, jitter aside.
        open_max: Time<1> => default("1m"),
        /// Share by which each such time is lengthened or shortened at random, so that many instances do not come back
        /// together.
        jitter: Share => default(0.2),
        /// Requests that are let through after that time to try the upstream. All have to succeed, or it opens again.
        probes: Count<1, 1_000> => default(3),
    }

    /// What answers requests that nothing at the upstream has seen. The first that can does, in this order.
    pub struct Fallback {
        /// An answer from the route's cache, so long after its lifetime, whatever the grace. What must not be given
        /// stale is not.
        stale: Time<1> => absent("nothing that grace and stale_if_error do not allow"),
        /// The upstream of this name. Its own fallback does not count then.
        upstream: String => absent("no other one"),
        /// A file, found from this file's folder and read when it is loaded: .html, .json, .txt or .xml, at most 256
        /// KiB.
        file: String => absent("no file"),
        /// Status that the file is sent with.
        status: Count<200, 599> => default(503),
    }

    /// Deadlines towards endpoints.
    pub struct UpstreamTimeouts {
        /// Until the connection stands.
        connect: Time<1> => default("5s"),
        /// From the end of the request to the end of the response head; past it 504.
        response: Time<1> => default("60s"),
        /// Between two pieces of a response body; `"0s"` is never, for event streams.
        body: Time<0> => default("60s"),
        /// An endpoint that takes no byte of the request for this long has failed.
        write: Time<1> => default("30s"),
    }

    /// Idle connections that are kept.
    pub struct Pool {
        /// Idle connections per endpoint and thread; 0 keeps none.
        idle: Count<0, 100_000> => default(1024),
        /// Idle for this long closes it, unless the endpoint was seen to close earlier.
        idle_timeout: Time<1> => default("60s"),
    }

    /// When a request that failed is tried again.
    pub struct Retry {
        /// Tries in all, the first one included.
        attempts: Count<1, 100> => default(3),
        /// Retries as a share of the requests of the last ten seconds.
        budget: Share => default(0.2),
        /// Retries per second that are granted besides, so that little traffic can retry too.
        min_per_second: Count<0, 1_000_000> => default(10),
        /// No new try begins later than this after the request began.
        within: Time<1> => default("10s"),
    }

    /// Deadlines towards endpoints that differ from the upstream's.
    pub struct RouteTimeouts {
        /// Until the connection stands.
        connect: Time<1> => absent("the upstream's"),
        /// From the end of the request to the end of the response head; past it 504.
        response: Time<1> => absent("the upstream's"),
        /// Between two pieces of a response body; `"0s"` is never, for event streams.
        body: Time<0> => absent("the upstream's"),
        /// An endpoint that takes no byte of the request for this long has failed.
        write: Time<1> => absent("the upstream's"),
    }

    /// Retries that differ from the upstream's.
    pub struct RouteRetry {
        /// Tries in all, the first one included.
        attempts: Count<1, 100> => absent("the upstream's"),
        /// Retries as a share of the requests of the last ten seconds.
        budget: Share => absent("the upstream's"),
        /// Retries per second that are granted besides, so that little traffic can retry too.
        min_per_second: Count<0, 1_000_000> => absent("the upstream's"),
        /// No new try begins later than this after the request began.
        within: Time<1> => absent("the upstream's"),
    }
}

words! {
    /// How the load is spread.
    pub enum Policy {
        /// The endpoint with the fewest requests in flight, ties at random.
        LeastRequests = "least-requests",
        /// One after the other, smoothly by weight.
        RoundRobin = "round-robin",
        /// The least product of recent latency and requests in flight.
        PeakEwma = "peak-ewma",
        /// By the client's address.
        Client = "client",
        /// By the key, on a consistent hash with bounded load.
        Hash = "hash",
        /// By a cookie that Tidegate sets.
        Sticky = "sticky",
    }
}

impl Short for Endpoint {
    type Value = EndpointAddress;
    fn from_value(value: Spanned<EndpointAddress>) -> Self {
        Self { address: Key::Written(value), ..Self::default() }
    }
}

/// `"tcp"`, or the path to ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A connection that opens is enough.
    Tcp,
    /// Path and query of a GET request.
    Path(String),
}

impl Read for Probe {
    fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Self> {
        let text = reader.string(value, "a path, \"tcp\", \"off\" or a table")?;
        match text.as_str() {
            "tcp" => Some(Self::Tcp),
            _ if text.starts_with('/') => Some(Self::Path(text)),
            _ => {
                let help = "write a path such as \"/health\", or \"tcp\", or \"off\"";
                reader.mistake(value.span(), format_args!("\"{text}\" is no probe"), help);
                None
            }
        }
    }
}

impl Short for Health {
    type Value = Probe;
    fn from_value(value: Spanned<Probe>) -> Self {
        let span = value.span();
        match value.into_inner() {
            Probe::Tcp => Self::default(),
            Probe::Path(path) => Self { path: Key::Written(Spanned::new(span, path)), ..Self::default() },
        }
    }
}

inline_schema! {
    [] Probe, "Probe" => json_schema!({
        "type": "string", "title": "path or \"tcp\"", "pattern": r"^(/.*|tcp|.*\$\{.*)$",
    });
}

impl Short for Balance {
    type Value = Policy;
    fn from_value(value: Spanned<Policy>) -> Self {
        Self { by: Key::Written(value), ..Self::default() }
    }
}
