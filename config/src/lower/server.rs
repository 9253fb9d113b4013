//! `[server]` and `[[listener]]`.

use std::num::NonZeroUsize;

use traffic::client::{Fields, Trusted};
use traffic::limit::Rule;

use super::Lowering;
use crate::diagnostic::Diagnostic;
use crate::file::{self, ClientField, File, Format, Threads};
use crate::plan::{
    AccessLog, ClientTimeouts, Limits, ListenAddress, Listener, LogFormat, Marks, Server, Shutdown,
};
use crate::read::{Key, nearest};
use crate::value::{Count, Frequency, Size};

/// Most threads that make sense: the same bound as on `server.threads`.
const THREADS_MAX: usize = 256;

/// Classes of status, as `sample` names them.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Lowering<'_> {
    pub(super) fn server(&mut self, server: &file::Server) -> Server {
        let mut trusted = Trusted::new(server.trusted_proxies().0.iter().map(|n| n.get_ref().0).collect());
        trusted.fields = match server.client_field() {
            ClientField::Any => Fields::XForwardedForFirst,
            ClientField::XForwardedFor => Fields::XForwardedFor,
            ClientField::Forwarded => Fields::Forwarded,
        };
        if let Some(span) = server.client_field.span().filter(|_| trusts_nobody(server)) {
            let help = "set trusted_proxies, without them nobody is believed";
            self.warn(span, "client_field has no effect without trusted_proxies".to_owned(), help);
        }
        self.has_jwt = !server.jwt.is_absent();
        let jwt = self.jwt(&server.jwt);
        self.tenant = self.tenant(&server.tenant);
        Server {
            threads: threads(server.threads()),
            admin: server.admin().on().map(|admin| admin.0),
            trusted,
            tenant: self.tenant.clone(),
            limits: self.limits(&server.limits()),
            limit: self.limits_of("server", &server.limit, None),
            access: self.access(&server.allow, &server.deny),
            rate_limit_headers: server.rate_limit_headers(),
            jwt,
            timeouts: timeouts(&server.timeouts()),
            shutdown: Shutdown {
                lame_duck: server.shutdown().lame_duck().0,
                drain: server.shutdown().drain().0,
            },
            access_log: self.access_log(server),
            state: server.state.get().map(Into::into),
            watch: server.watch(),
            spin: server.spin().0,
            marks: self.marks(server),
            // What is said about all routes is lowered with them.
            security: None,
        }
    }

    fn limits(&mut self, limits: &file::ServerLimits) -> Limits {
        let (head, target) = (limits.head().0, limits.target().0);
        if target > head {
            let help = "raise server.limits.head or lower server.limits.target";
            let span = limits.target.span().or(limits.head.span());
            self.error(span, "server.limits.target is larger than server.limits.head".to_owned(), help);
        }
        let wire = wire::Limits {
            head_bytes: self.size("head", &limits.head, head),
            target_bytes: self.size("target", &limits.target, target),
            headers: limits.headers().0 as u16,
            chunk_extension_bytes: self.size(
                "chunk_extensions",
                &limits.chunk_extensions,
                limits.chunk_extensions().0,
            ),
            trailer_bytes: self.size("trailers", &limits.trailers, limits.trailers().0),
        };
        Limits {
            wire,
            body_bytes: limits.body().0,
            connections: limits.connections().0 as usize,
            connections_per_client: limits.connections_per_client().0 as usize,
            connection_rate: self.connection_rate(
                "server.limits",
                &limits.connection_rate,
                &limits.connection_burst,
            ),
            requests_per_connection: limits.requests_per_connection().0,
            limit_memory_bytes: limits.limit_memory().0,
        }
    }

    /// How often a client may connect, as the table `whose` says.
    pub(super) fn connection_rate(
        &mut self,
        whose: &str,
        rate: &Key<Frequency>,
        burst: &Key<Count<1, 1_000_000>>,
    ) -> Option<Rule> {
        if let Some(span) = burst.span().filter(|_| rate.is_absent()) {
            let message = format!("{whose}.connection_burst needs {whose}.connection_rate");
            self.error(span, message, "add connection_rate = \"50/s\"");
        }
        let (span, rate) = (rate.span()?, rate.get()?);
        let rule = Rule::new(rate.count, rate.per, burst.get().map_or(rate.count, |burst| burst.0));
        if rule.is_none() {
            let help = "a bucket has to be full again within a year: lower connection_burst or raise connection_rate";
            self.error(span, format!("{whose}.connection_rate is too slow for its burst"), help);
        }
        rule
    }

    /// A bound on something that is held in memory whole: 256 bytes to 16 MiB.
    fn size(&mut self, name: &str, key: &Key<Size>, bytes: u64) -> u32 {
        if !(256..=16 << 20).contains(&bytes) {
            let help = "write a size from \"256 B\" to \"16 MiB\"";
            self.error(key.span(), format!("server.limits.{name}: {bytes} bytes are out of range"), help);
        }
        bytes.try_into().unwrap_or(u32::MAX)
    }

    fn access_log(&mut self, server: &file::Server) -> Option<AccessLog> {
        let log = server.access_log.get()?.on()?;
        let mut sample = [1.0; 5];
        for (class, share) in log.sample().0 {
            if let Some(index) = CLASSES.iter().position(|known| known == class.get_ref()) {
                sample[index] = share.get_ref().0;
                continue;
            }
            let help = match nearest(class.get_ref(), &CLASSES) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "the classes are \"1xx\", \"2xx\", \"3xx\", \"4xx\", \"5xx\"".to_owned(),
            };
            self.error(class.span(), format!("\"{}\" is no class of status", class.get_ref()), help);
        }
        let path = log.path();
        if path.is_empty() {
            let help = "write a path, or \"-\" for standard output";
            self.error(log.path.span(), "server.access_log.path is empty".to_owned(), help);
        }
        let format = match log.format() {
            Format::Json => LogFormat::Json,
            Format::Combined => LogFormat::Combined,
        };
        Some(AccessLog { path: (path != "-").then(|| path.into()), format, sample })
    }

    fn marks(&mut self, server: &file::Server) -> Marks {
        let via = server.via().on().cloned();
        // RFC 9110 section 7.6.3: a pseudonym is a token; a host with a port may stand there too.
        let fits = |name: &String| name.split(':').all(crate::field::is_token);
        if let Some(name) = via.as_ref().filter(|name| !fits(name)) {
            let help = "write one word, such as \"edge-1\", or \"off\"";
            self.error(server.via.span(), format!("server.via: \"{name}\" cannot stand in Via"), help);
        }
        Marks {
            via,
            request_id: server.request_id(),
            traceparent: server.traceparent(),
            forwarded: server.forwarded(),
        }
    }

    pub(super) fn listeners(&mut self, file: &File, server: &Server) -> Vec<Listener> {
        let written = file.listener.get().map(|list| list.0.as_slice()).unwrap_or_default();
        if written.is_empty() && !file.listener.is_refused() {
            let help = "add [[listener]] with address = \":8080\"";
            self.error(file.listener.span(), "the file has no listener".to_owned(), help);
        }
        let mut listeners: Vec<Listener> = Vec::new();
        let mut spans = Vec::new();
        for listener in written {
            let listener = listener.get_ref();
            let Some(address) = listener.address.written() else { continue };
            let span = address.span();
            let address = address.get_ref().clone();
            self.no_clash(&address, &span, &listeners, &spans, server);
            if listener.proxy_protocol() && trusts_nobody(&file.server()) {
                let message = "proxy_protocol needs server.trusted_proxies".to_owned();
                let help = "add the networks of the proxies in front: trusted_proxies = [\"10.0.0.0/8\"]";
                self.error(listener.proxy_protocol.span(), message, help);
            }
            listeners.push(Listener {
                address,
                proxy_protocol: listener.proxy_protocol(),
                backlog: listener.backlog().0 as u32,
            });
            spans.push(span);
        }
        listeners
    }

    /// Two sockets cannot be bound to one address. Port 0 is another port each time.
    fn no_clash(
        &mut self,
        address: &ListenAddress,
        span: &core::ops::Range<usize>,
        before: &[Listener],
        spans: &[core::ops::Range<usize>],
        server: &Server,
    ) {
        if matches!(address, ListenAddress::Tcp(tcp) if tcp.port() == 0) {
            return;
        }
        if let Some(first) = before.iter().position(|listener| listener.address == *address) {
            let twice = Diagnostic::error(span.clone(), "two listeners have the same address");
            let twice = twice.note(spans[first].clone(), "the first one");
            self.report(twice.help("take one of them away, or give it another port"));
        }
        if let (ListenAddress::Tcp(tcp), Some(admin)) = (address, server.admin)
            && tcp.port() == admin.port()
            && (tcp.ip() == admin.ip() || tcp.ip().is_unspecified() || admin.ip().is_unspecified())
        {
            let help = "give one of them another port, or write server.admin = \"off\"";
            self.error(span.clone(), format!("the admin listener is at {admin} already"), help);
        }
    }
}

/// Whether no network is trusted; a list that was refused counts as one that names somebody.
fn trusts_nobody(server: &file::Server) -> bool {
    server.trusted_proxies.is_absent() || server.trusted_proxies.get().is_some_and(|list| list.0.is_empty())
}

fn threads(threads: Threads) -> usize {
    match threads {
        Threads::Exactly(count) => count as usize,
        // Where the system will not say how many cores there are, one thread is right for some of them.
        Threads::Auto => std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX),
    }
}

fn timeouts(timeouts: &file::ServerTimeouts) -> ClientTimeouts {
    ClientTimeouts {
        head: timeouts.head().0,
        body: timeouts.body().0,
        body_rate: timeouts.body_rate().0,
        idle: timeouts.idle().0,
        write: timeouts.write().0,
        tunnel: timeouts.tunnel().0,
    }
}
