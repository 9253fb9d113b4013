//! Every metric: its name, type, labels, what it says and what to do about it. No other place spells a metric's name.

/// How a metric's samples are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows; restarts at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound (`_bucket`), with `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($variant:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal, $advice:literal;)+) => {
        /// Every metric that Tidegate gives out, in the order of the page.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Metric {
            $(#[doc = $help] $variant,)+
        }

        impl Metric {
            /// Every one, in the order of the enum.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name on `/metrics`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How its samples are to be read.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }

            /// Names of its labels, in the order of its samples; a histogram has `le` beside them.
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($label),*],)+ }
            }

            /// What it says.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            /// What to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

metrics! {
    BuildInfo = "tidegate_build_info" Gauge ["version"]
        "Always 1; the label says which version runs.",
        "Several versions at once mean a rollout that did not finish.";

    Requests = "tidegate_requests_total" Counter ["route", "class"]
        "Finished requests by route and class of the status sent; class none means that nothing was sent, route (none) that none was chosen.",
        "The rate is the load; the share of 5xx is the error rate to alert on. A rise of (none) is mostly scanners or a wrong host name.";
    RequestSeconds = "tidegate_request_duration_seconds" Histogram ["route"]
        "Time from the last byte of a request's head to the last byte of its response; a tunnel's ends with the tunnel.",
        "When it grows, compare it with tidegate_upstream_wait_seconds: the same growth there is the app, otherwise look for slow clients and large bodies.";
    ReceivedBytes = "tidegate_request_body_bytes_total" Counter ["route"]
        "Bytes of request bodies received, without framing.",
        "A route that grows alone is an upload; bound it with the route's body limit.";
    SentBytes = "tidegate_response_bytes_total" Counter ["route"]
        "Bytes sent to clients, heads included.",
        "Near the network's capacity, look at the routes with the largest share.";
    Ends = "tidegate_request_ends_total" Counter ["who", "stage"]
        "Finished requests by who ended them and how far they had come.",
        "client/deliver is people leaving or a slow page; endpoint/wait is an app that dies or hangs; tidegate/* is a refusal, see tidegate_refusals_total.";
    Refusals = "tidegate_refusals_total" Counter ["code"]
        "Requests that Tidegate answered with an error by itself, by reason.",
        "The reference of refusals says for each code what it means and which setting is behind it.";
    Malformed = "tidegate_malformed_total" Counter ["side", "detail"]
        "Messages that break HTTP's framing rules or a limit, by side (request or response) and rule.",
        "On the request side mostly scanners; one detail that rises alone may be a real client, or an attempt to smuggle requests. On the response side the app has a bug.";

    CodedInput = "tidegate_compress_input_bytes_total" Counter ["coding"]
        "Bytes of bodies that were compressed on their way to a client, before.",
        "Against tidegate_compress_output_bytes_total it says what compression saves; where that is little, list fewer types.";
    CodedOutput = "tidegate_compress_output_bytes_total" Counter ["coding"]
        "The same bodies' bytes after.",
        "Much processor time for many of these bytes: lower the level, or let the cache keep them compressed.";
    LeftPlain = "tidegate_compress_skipped_total" Counter ["reason"]
        "Responses of routes that compress which went as they are, by reason.",
        "busy means that more bodies are under way at once than a thread compresses: look for slow clients. coded is an app that compresses by itself.";

    LimitRequests = "tidegate_limit_requests_total" Counter ["route", "limit", "result"]
        "Requests that were checked against a limit, by result: admitted, limited (refused with 429), dry-run (would have been, but the limit only counts). Limits of the server have the route (server).",
        "limited is what the limit is for; if it is more than expected, tidegate status shows the keys. No dry-run over a busy day means that dry_run can go.";
    LimitEntries = "tidegate_limit_entries" Gauge []
        "Keys that limits hold a bucket of; it may be full again, and is forgotten when its place is needed.",
        "Near the capacity is normal after many clients; overflows are what tells that memory is short.";
    LimitMemory = "tidegate_limit_memory_bytes" Gauge []
        "Memory set aside for limits, which is taken as it is used.",
        "It is server.limits.limit_memory, and 8 KiB for each limit whose buckets had to be forgotten.";
    LimitInFlight = "tidegate_limit_keys_in_flight" Gauge []
        "Keys that have requests in flight which a limit counts.",
        "It follows the traffic.";
    LimitOverflows = "tidegate_limit_overflows_total" Counter []
        "Buckets that had to be forgotten before they were full again. Keys that begin anew are judged more strictly.",
        "A rate of it means a flood of keys, or limits over hours with many clients: raise server.limits.limit_memory.";

    ConnectionsOpen = "tidegate_connections_open" Gauge []
        "Client connections that are open now.",
        "Near the connection limit, raise it or shorten the idle timeout.";
    Connections = "tidegate_connections_total" Counter []
        "Client connections accepted.",
        "As many as requests means that clients do not keep connections alive: look at whatever stands in front.";
    ConnectionsRefused = "tidegate_connections_refused_total" Counter ["code"]
        "Client connections turned away before any request, by reason.",
        "too_many_client_connections and connection_rate_limited are single clients; too_many_connections is the whole process and needs a higher limit or another instance.";
    TunnelsOpen = "tidegate_tunnels_open" Gauge []
        "Upgraded connections (WebSockets and others) that are open now.",
        "A drop at once is an app that restarted, or a tunnel timeout that is too short.";
    Tunnels = "tidegate_tunnels_total" Counter []
        "Upgraded connections opened.",
        "A high rate against few open tunnels means that clients reconnect in a loop.";

    CacheRequests = "tidegate_cache_requests_total" Counter ["route", "outcome"]
        "Finished requests of routes with a cache, by what the cache had to do with the answer: hit, stale (served as it was), revalidated (the origin said that it is still good), miss, collapsed (another request was asking already), bypass.",
        "hit, stale and collapsed together are the hit ratio. When misses grow without more traffic, see evictions; many bypasses: tidegate_cache_bypasses_total says why; much stale is an origin that fails or a grace that covers for a short ttl.";
    CacheHitBytes = "tidegate_cache_hit_bytes_total" Counter ["route"]
        "Bytes sent to clients that the origin did not have to send: of answers with the outcome hit, stale or collapsed.",
        "Against tidegate_response_bytes_total it is the hit ratio in bytes; far below the ratio of requests, the large answers are not kept: see max_body.";
    CacheBypasses = "tidegate_cache_bypasses_total" Counter ["reason"]
        "Requests of routes with a cache that it had no part in, by reason.",
        "tidegate explain says for a URL why, and what to change.";
    CacheNotKept = "tidegate_cache_not_kept_total" Counter ["reason"]
        "Answers that were fetched and not kept, by reason.",
        "no-lifetime means that the app says nothing: set ttl on the route; set-cookie and private are often a session that the page does not need.";
    CacheHits = "tidegate_cache_hits_total" Counter []
        "Answers given out of the store, stale ones included.",
        "Divide the age by it.";
    CacheHitAge = "tidegate_cache_hit_age_seconds_total" Counter []
        "How old answers were when they were given out of the store, in seconds, all together.",
        "Its rate over that of tidegate_cache_hits_total is the mean age at a hit; far below the lifetimes, a longer one would gain little.";
    CacheFills = "tidegate_cache_fills_total" Counter []
        "Fetches from the origin on behalf of the cache, refreshes included.",
        "This is what the cache leaves of the load.";
    CacheFilling = "tidegate_cache_filling" Gauge []
        "Fetches on behalf of the cache that are in work now.",
        "A number that stays high means a slow origin.";
    CacheEvictions = "tidegate_cache_evictions_total" Counter []
        "Entries that had to leave for others.",
        "While misses grow with it, raise cache.memory.";
    CachePurged = "tidegate_cache_purged_total" Counter []
        "Entries purged, or invalidated by requests that change something.",
        "A burst of misses behind it is the purge.";
    CacheEntries = "tidegate_cache_entries" Gauge []
        "Entries in the cache.",
        "It falls to a part at once after a purge or a restart.";
    CacheMarkers = "tidegate_cache_markers" Gauge []
        "Keys that are remembered as not cacheable, so that requests for them do not wait for each other.",
        "Many mean that most of what a cached route answers cannot be kept; tidegate_cache_not_kept_total says why.";
    CacheMemory = "tidegate_cache_memory_bytes" Gauge ["part"]
        "Memory of the cache by part: heads (with keys and what surrounds them), bodies, tables, filling (what is coming in), leaving (gone from the store, still being sent).",
        "The sum stays below tidegate_cache_memory_limit_bytes; much leaving is slow clients with large answers.";
    CacheMemoryLimit = "tidegate_cache_memory_limit_bytes" Gauge []
        "What the cache may take: cache.memory.",
        "A sum that is at it is normal; only evictions together with misses ask for more.";

    CacheDiskBytes = "tidegate_cache_disk_bytes" Gauge []
        "Bytes of the cache's files on disk.",
        "At tidegate_cache_disk_limit_bytes it is full, which is normal: what is oldest goes.";
    CacheDiskLimit = "tidegate_cache_disk_limit_bytes" Gauge []
        "What the cache's files may take: cache.disk.size. 0: there are none.",
        "A size that holds what is asked for within a day or so is enough.";
    CacheDiskEntries = "tidegate_cache_disk_entries" Gauge []
        "Entries that can be found on disk, some of which are in memory as well.",
        "Few against much traffic: the lifetimes are short, or writes are dropped.";
    CacheDiskHits = "tidegate_cache_disk_hits_total" Counter []
        "Misses in memory that were answered from disk, all that waited together counted once.",
        "Against tidegate_cache_fills_total it says what the disk saves the app; near none, take cache.disk away.";
    CacheDiskWrites = "tidegate_cache_disk_writes_total" Counter []
        "Entries written to disk.",
        "A rate far above that of tidegate_cache_disk_hits_total wears the disk out for little.";
    CacheDiskDropped = "tidegate_cache_disk_dropped_total" Counter ["reason"]
        "Entries that were to be written to disk and were not, by reason: busy (the disk is slower than what comes), failing (it failed a moment ago), too-large, expired, overtaken (by something newer, or a purge), write.",
        "busy costs hits and nothing else: a faster disk, or more memory. failing and write: look at tidegate_cache_disk_faults_total.";
    CacheDiskFaults = "tidegate_cache_disk_faults_total" Counter ["kind"]
        "What went wrong on disk: write, full, read, remove, corrupt (it did not add up and was dropped), slow (the app was asked instead).",
        "full: give it a smaller cache.disk.size or more room; read and corrupt that go on are a disk that dies.";

    UpstreamRequests = "tidegate_upstream_requests_total" Counter ["upstream", "class"]
        "Finished requests by upstream and class of the status sent to the client.",
        "Compare upstreams to find the one behind an error rate.";
    UpstreamWaitSeconds = "tidegate_upstream_wait_seconds" Histogram ["upstream"]
        "Time from the request sent to the response's head, the last try: how long the app thinks.",
        "When it grows with the load, the app needs more instances or fewer queries per page.";
    UpstreamConnectSeconds = "tidegate_upstream_connect_seconds" Histogram ["upstream"]
        "Time to connect to an endpoint, where a new connection was made.",
        "More than a few milliseconds in one data centre means a full accept queue: the app accepts too slowly.";
    UpstreamHeldSeconds = "tidegate_upstream_held_seconds" Histogram ["upstream"]
        "Time that requests waited while every endpoint was down.",
        "Any count means that the upstream was gone for a while; see tidegate_endpoint_ejections_total for why.";
    QueueSeconds = "tidegate_queue_wait_seconds" Histogram ["upstream"]
        "Time that requests waited for a slot at the upstream, those that got none included.",
        "More than now and then means that the app is at its limit: give it more instances, or cheaper requests. A limit that is set by hand may be too low.";
    QueueRefused = "tidegate_queue_refused_total" Counter ["upstream", "code", "priority"]
        "Requests that got no slot, by reason (queue_full, queue_timeout, queue_shed, queue_displaced, surge_shed) and priority.",
        "queue_shed is overload that lasts; surge_shed is what a surge that is on refuses. Refused critical requests mean that critical ones alone are more than the app can answer.";
    QueueLimit = "tidegate_queue_limit" Gauge ["upstream"]
        "Slots at the upstream's usable endpoints together; none without a limit.",
        "Where it is found out, it falls when the app becomes slower under load, and rises when there is more to be had.";
    QueueTaken = "tidegate_queue_slots_taken" Gauge ["upstream"]
        "Slots that are taken.",
        "At tidegate_queue_limit for long, the app is busy.";
    QueueWaiting = "tidegate_queue_waiting" Gauge ["upstream", "priority"]
        "Requests that wait for a slot or for an endpoint to be back.",
        "A number that stays means more load than the app can answer, or that it is gone.";
    UpstreamConnections = "tidegate_upstream_connections_total" Counter ["upstream", "origin"]
        "Tries by whether they went over a new or a reused connection.",
        "A large share of new means that the app closes connections early or the pool is too small.";
    UpstreamConnectionsClosed = "tidegate_upstream_connections_closed_total" Counter ["upstream", "reason"]
        "Connections to endpoints that were closed, by reason.",
        "Look here when the share of new connections is high.";
    Retries = "tidegate_upstream_retries_total" Counter ["upstream", "reason"]
        "Tries after the first, by what had failed.",
        "A constant rate hides an endpoint that fails now and then: see tidegate_endpoint_failures_total.";
    RetriesRefused = "tidegate_upstream_retries_refused_total" Counter ["upstream", "reason"]
        "Failed tries that were not repeated, by reason.",
        "budget means that so much fails that retries would make it worse: mend the upstream.";
    Fallbacks = "tidegate_upstream_fallbacks_total" Counter ["upstream", "answer"]
        "Requests that nothing at the upstream has seen and something else answered: stale (out of the cache), upstream (another one), file.",
        "It is what people did not notice of an outage; see tidegate_breaker_state and tidegate_endpoint_available for the outage itself.";
    Resolutions = "tidegate_upstream_resolutions_total" Counter ["upstream", "result"]
        "Lookups of names among the upstream's endpoints, by result (answered or failed).",
        "After a failed lookup the addresses known before stay in use; if it goes on, check the resolver.";

    EndpointRequests = "tidegate_endpoint_requests_total" Counter ["upstream", "endpoint", "class"]
        "Finished requests by the endpoint that was tried last and class of the status sent to the client.",
        "Rates that differ against the weights show an endpoint that is slow, new or out.";
    EndpointFailures = "tidegate_endpoint_failures_total" Counter ["upstream", "endpoint", "reason"]
        "Tries that failed, by reason, whatever became of the request.",
        "One endpoint alone is a bad instance; all of them together are the app or what it depends on.";
    EndpointEjections = "tidegate_endpoint_ejections_total" Counter ["upstream", "endpoint", "reason"]
        "How often the endpoint was taken out, by reason.",
        "The reason says whether probes or live traffic found it wanting.";
    EndpointReturns = "tidegate_endpoint_returns_total" Counter ["upstream", "endpoint"]
        "How often the endpoint was let back in.",
        "Many ejections and returns are flapping: raise the probe's rise and fall, or mend the endpoint.";
    EndpointProbes = "tidegate_endpoint_probes_total" Counter ["upstream", "endpoint", "result"]
        "Active checks of the endpoint by result (passed or failed).",
        "Failures without an ejection mean a check that is near its timeout.";
    EndpointInFlight = "tidegate_endpoint_requests_in_flight" Gauge ["upstream", "endpoint"]
        "Requests that are at the endpoint now, all threads together.",
        "One endpoint well above the others is slow or stuck.";
    EndpointAvailable = "tidegate_endpoint_available" Gauge ["upstream", "endpoint"]
        "1 when the endpoint takes new requests, otherwise 0.",
        "Alert when the sum by upstream falls below what carries the load.";
    EndpointState = "tidegate_endpoint_state" Gauge ["upstream", "endpoint", "state"]
        "Always 1; the label says which state the endpoint is in.",
        "The status command of the command line says why.";
    EndpointWeight = "tidegate_endpoint_weight" Gauge ["upstream", "endpoint"]
        "Configured share of the traffic against the other endpoints.",
        "0 takes no traffic.";
    EndpointEwmaSeconds = "tidegate_endpoint_ewma_seconds" Gauge ["upstream", "endpoint"]
        "Exponentially weighted mean of the endpoint's response times, where the balance policy keeps one.",
        "It is what the policy decides by; an endpoint well above the others gets less.";

    BreakerState = "tidegate_breaker_state" Gauge ["upstream", "state"]
        "Always 1; the label says whether the upstream's circuit breaker is closed, open or half_open.",
        "Alert on open: no requests reach the upstream. The status command says why.";
    BreakerTransitions = "tidegate_breaker_transitions_total" Counter ["upstream", "to"]
        "How often the breaker became closed, half_open, or open: for errors, for slow answers, or because a probe_failed.",
        "Opening and closing in turn is an app that works until it gets traffic: give it fewer requests at once, or more instances.";
    BreakerShortCircuited = "tidegate_breaker_short_circuited_total" Counter ["upstream"]
        "Requests that were not sent because the breaker was open, answered by a fallback or refused as breaker_open.",
        "Against tidegate_upstream_requests_total it is the share of the outage that Tidegate took.";

    RoomWaiting = "tidegate_room_waiting" Gauge ["room"]
        "People in the line in front of a waiting room, those included who have gone home.",
        "It says how large the rush is; tidegate_room_wait_seconds says what it means to people.";
    RoomInside = "tidegate_room_inside" Gauge ["room"]
        "People inside: those who were seen within the room's ttl.",
        "At the room's capacity nobody comes in until somebody leaves: raise it if the app has room, or shorten ttl.";
    RoomWait = "tidegate_room_wait_seconds" Gauge ["room"]
        "How long somebody waits who comes now, estimated.",
        "When it grows for long, raise the rate as far as the app can take it.";
    RoomAdmitted = "tidegate_room_admitted_total" Counter ["room"]
        "People who came in.",
        "Below the room's rate although people wait, the capacity holds them back, or the app's breaker is open.";
    RoomTold = "tidegate_room_told_total" Counter ["room"]
        "Requests that were told to wait, or how it stands.",
        "It is the load of those who wait, which Tidegate takes.";
    RoomInvalid = "tidegate_room_cookies_refused_total" Counter ["room", "reason"]
        "Cookies of the room that were worth nothing, by reason; whoever sent one got a new place.",
        "forged and foreign_room are attempts to get in beside the line; replayed and other_client are cookies that were passed on; expired is people who come back.";

    SurgeOn = "tidegate_surge_on" Gauge ["profile"]
        "1 while the surge of this name is on, 0 otherwise.",
        "Alert when one stays on for longer than it is meant to: tidegate surge off. What is refused meanwhile is in the counters of limits, queues and rooms.";

    Reloads = "tidegate_reloads_total" Counter ["result"]
        "Attempts to load the configuration anew, by result.",
        "refused means that the file on disk is bad while the old one stays in force: run the check command.";
    ReloadGood = "tidegate_last_reload_successful" Gauge []
        "1 unless the last attempt to load the configuration was refused.",
        "Alert on 0: the next restart would fail.";
    ConfiguredSeconds = "tidegate_config_applied_timestamp_seconds" Gauge []
        "When the running configuration was put into force, in seconds since 1970.",
        "Older than the last deployment means that the reload did not happen.";
    LogLines = "tidegate_access_log_lines_total" Counter ["fate"]
        "Access log lines by fate: written, sampled out, dropped (the writer fell behind), failed (the disk or pipe did).",
        "dropped or failed above zero means that the log is not complete; traffic is not held up.";
    NamesTurnedAway = "tidegate_names_turned_away_total" Counter ["kind"]
        "Names of routes, upstreams or endpoints that found no place of their own and are counted as (other).",
        "Above zero the counters by name are not complete; see the bounds in the table of limits.";

    ProcessCpu = "process_cpu_seconds_total" Counter []
        "User and system CPU time spent, in seconds.",
        "Near the number of threads per second, add an instance.";
    ProcessMemory = "process_resident_memory_bytes" Gauge []
        "Resident memory.",
        "Divide by tidegate_connections_open before worrying.";
    ProcessFds = "process_open_fds" Gauge []
        "Open file descriptors.",
        "Each client connection and each endpoint connection is one.";
    ProcessMaxFds = "process_max_fds" Gauge []
        "Most file descriptors that the process may open, without the few that are kept back for the admin listener.",
        "Raise the limit well before process_open_fds comes near.";
    ProcessStart = "process_start_time_seconds" Gauge []
        "When the process began, in seconds since 1970.",
        "A change is a restart.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_the_format() {
        let mut names = std::collections::HashSet::new();
        for &metric in Metric::ALL {
            let name = metric.name();
            assert!(names.insert(name), "{name} is given twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(metric.kind() == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(
                !name.ends_with("_count") && !name.ends_with("_sum") && !name.ends_with("_bucket"),
                "{name}"
            );
            for text in [metric.help(), metric.advice()] {
                assert!(text.ends_with('.') && !text.contains('\n'), "{name}: {text}");
            }
            for label in metric.labels() {
                assert!(!label.is_empty() && *label != "le", "{name}");
            }
        }
    }
}
