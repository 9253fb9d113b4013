//! `[server]`: the process, its limits, its deadlines, its marks.

use crate::address::{AdminAddress, Network};
use crate::file::{Compress, Cors, Jwt, KeySource, Limit, SecurityHeaders};
use crate::read::{List, Named, Switch, Toggle};
use crate::table::{table, words};
use crate::value::{Count, Frequency, Rate, Share, Size, Time};

table! {
    /// Process-wide settings.
    pub struct Server {
        /// Threads that serve requests, or `"auto"` for one per processor core. A change takes effect at the next start.
        threads: Threads => default("auto"),
        /// Address of the admin listener (metrics, health, control), or `"off"`. Whoever reaches it
        /// controls Tidegate, so it is on the loopback interface unless told otherwise. A change takes effect at the next
        /// start.
        admin: Switch<AdminAddress> => default("127.0.0.1:9900"),
        /// Networks whose X-Forwarded-For, Forwarded and PROXY preambles are believed. Nobody is trusted
        /// unless it is written here.
        trusted_proxies: List<Network> => default([]),
        /// Which field of a trusted proxy names the client. Set it to the one that your proxy writes: the
        /// other one may hold whatever a client made up.
        client_field: ClientField => default("any"),
        /// What `"tenant"` stands for wherever a key of requests is wanted: `"header:NAME"`, `"cookie:NAME"` and so on.
        tenant: KeySource => absent("no key can be \"tenant\""),
        /// Folder for what must outlive a restart: the lines in front of waiting rooms and what their cookies are signed
        /// with. Found from this file's folder; it is made if need be. A change takes effect at the next start.
        state: String => absent("nothing is kept"),
        /// Reload by itself when this file changes. A change of this key takes effect at the next start.
        watch: bool => default(false),
        /// How long a thread looks for events before it sleeps. About 50 µs answers a lone connection
        /// sooner, for more CPU when half idle.
        spin: Time<0> => default("0s"),
        /// Name that `Via` carries on requests and responses (RFC 9110 section 7.6.3), or `"off"`.
        via: Switch<String> => default("tidegate"),
        /// Send `X-Request-Id`: kept when a trusted proxy sent one, made otherwise, and echoed on the
        /// response.
        request_id: bool => default(true),
        /// Send `traceparent` (W3C Trace Context): the client's trace goes on, or a new one begins.
        traceparent: bool => default(true),
        /// Send `Forwarded` (RFC 7239) beside X-Forwarded-For, -Proto and -Host.
        forwarded: bool => default(false),
        /// How routes compress that do not say so themselves.
        compress: Toggle<Compress> => absent("bodies stay as they are"),
        /// Fields that tell browsers to be careful, for routes that do not say so themselves and for answers without a
        /// route.
        security_headers: Toggle<SecurityHeaders> => absent("none"),
        /// Whose pages may read the answers, for routes that do not say so themselves.
        cors: Toggle<Cors> => absent("the app's own fields"),
        /// How much a client, or whatever else counts, may take of all routes together; what no route takes counts as well.
        limit: List<Limit> => absent("no limit"),
        /// Networks of clients that no limit counts.
        allow: List<Network> => absent("nobody is exempt"),
        /// Networks of clients that get 403.
        deny: List<Network> => absent("nobody is refused"),
        /// Say in RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers) what is left of the limit that is
        /// nearest.
        rate_limit_headers: bool => default(false),
        /// How tokens are verified that `"jwt:CLAIM"` counts by.
        jwt: Jwt => absent("no key can be \"jwt:CLAIM\""),
        /// What one client connection may send and hold.
        limits: ServerLimits => table,
        /// Deadlines of the client side.
        timeouts: ServerTimeouts => table,
        /// How Tidegate leaves.
        shutdown: Shutdown => table,
        /// Where finished requests are written, or `"off"`.
        access_log: Switch<AccessLog> => absent("no access log"),
    }

    /// What one client connection may send and hold.
    pub struct ServerLimits {
        /// Bytes of a request head; past it 431.
        head: Size => default("16 KiB"),
        /// Bytes of a request target; past it 414.
        target: Size => default("8 KiB"),
        /// Header lines of a request; past it 431.
        headers: Count<1, 128> => default(100),
        /// Bytes by which chunk extensions may outrun the body; past it 400.
        chunk_extensions: Size => default("4 KiB"),
        /// Bytes of the trailers of a request; past it 431.
        trailers: Size => default("8 KiB"),
        /// Bytes of a request body, unless the route says otherwise; past it 413.
        body: Size => default("64 MiB"),
        /// Client connections held at once, all listeners together; past it 503. The process's limit of
        /// open files may allow fewer.
        connections: Count<1, 10_000_000> => default(16000),
        /// Client connections held at once by one client (IPv6: by one /64); past it 429. 0 is no limit,
        /// because behind another proxy every connection comes from one address.
        connections_per_client: Count<0, 10_000_000> => default(0),
        /// New connections of one client (IPv6: of one /64) by time: `"50/s"` or `"600/m"`; past it 429. Connections of
        /// `server.trusted_proxies` are not counted, behind a PROXY preamble it is the client that it names.
        connection_rate: Frequency => absent("any"),
        /// New connections of one client at once, which are then missing until the rate has made up for them.
        connection_burst: Count<1, 1_000_000> => absent("as many as the number of `connection_rate`"),
        /// Requests that one connection may carry before it is closed; 0 is no limit.
        requests_per_connection: Count<0, 1_000_000_000> => default(0),
        /// Memory for what limits know of their keys, overheads included, 16 bytes each; it is taken as it is used. Past
        /// it, who was seen least lately is forgotten, and judged more strictly when he is back too soon. A change takes
        /// effect at the next start.
        limit_memory: Size => default("64 MiB"),
    }

    /// Deadlines of the client side.
    pub struct ServerTimeouts {
        /// From the first byte of a request head (or the accept) to its last; past it 408.
        head: Time<1> => default("15s"),
        /// Between two pieces of a request body; past it 408.
        body: Time<1> => default("60s"),
        /// Least rate of a request body, averaged after the first `body`; `"0"` is none. Slower is 408.
        body_rate: Rate => default("240 B/s"),
        /// Between two requests on a kept-alive connection.
        idle: Time<1> => default("75s"),
        /// A client that takes no byte of its response for this long is cut off.
        write: Time<1> => default("30s"),
        /// Both directions of a tunnel (WebSocket) silent for this long close it; `"0s"` is never.
        tunnel: Time<0> => default("1h"),
    }

    /// How Tidegate leaves when it is told to stop.
    pub struct Shutdown {
        /// `/ready` fails while traffic is still taken, so that a balancer in front can turn away.
        lame_duck: Time<0> => default("5s"),
        /// What is still in flight after this long is cut off.
        drain: Time<0> => default("30s"),
    }

    /// Where finished requests are written.
    pub struct AccessLog {
        /// File to append to, found from this file's folder, or `"-"` for standard output. SIGUSR1 opens it
        /// again.
        path: String => default("-"),
        /// Form of a line.
        format: Format => default("json"),
        /// Share of the requests that is written, by class of status: `{ "2xx" = 0.1, "3xx" = "10%" }`.
        /// Classes that are not named are written whole.
        sample: Named<Share> => default({}),
    }
}

words! {
    /// Which field of a trusted proxy names the client.
    pub enum ClientField {
        /// X-Forwarded-For if the request has it, else Forwarded.
        Any = "any",
        /// Only X-Forwarded-For, with X-Forwarded-Proto and X-Forwarded-Host.
        XForwardedFor = "x-forwarded-for",
        /// Only Forwarded (RFC 7239).
        Forwarded = "forwarded",
    }
}

words! {
    /// Form of an access log line.
    pub enum Format {
        /// One JSON object per line.
        Json = "json",
        /// The combined log format that web servers share, with termination state, times and what the cache did behind.
        Combined = "combined",
    }
}

/// Threads that serve requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threads {
    /// One per processor core.
    Auto,
    /// This many.
    Exactly(u64),
}

impl crate::read::Read for Threads {
    fn read(reader: &mut crate::read::Reader<'_>, value: &crate::read::Value<'_>) -> Option<Self> {
        if value.get_ref().as_str() == Some("auto") {
            return Some(Self::Auto);
        }
        Count::<1, 256>::read(reader, value).map(|count| Self::Exactly(count.0))
    }
}

crate::value::inline_schema! {
    [] Threads, "Threads" => schemars::json_schema!({
        "title": "\"auto\" or 1 to 256",
        "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 256 }, {
            "type": "string", "pattern": r"\$\{",
        }],
    });
}
