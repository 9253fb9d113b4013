//! Every key of the schema is read, and changes the plan.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::Value;
use tidegate_config::{Plan, parse, schema};

/// A key, what has to be there for it to count, and a value that is not its default.
const CASES: &[(&str, &str, &str)] = &[
    ("server.threads", "", "251"),
    ("server.admin", "", r#""off""#),
    ("server.trusted_proxies", "", r#"["10.0.0.0/8"]"#),
    ("server.client_field", r#"trusted_proxies = ["::1"]"#, r#""forwarded""#),
    ("server.tenant", "", r#""header:x-tenant-id""#),
    ("server.state", "", r#""/var/lib/tidegate""#),
    ("server.watch", "", "true"),
    ("server.spin", "", r#""50us""#),
    ("server.via", "", r#""edge-1""#),
    ("server.request_id", "", "false"),
    ("server.traceparent", "", "false"),
    ("server.forwarded", "", "true"),
    ("server.limits.head", "", r#""32 KiB""#),
    ("server.limits.target", "", r#""4 KiB""#),
    ("server.limits.headers", "", "50"),
    ("server.limits.chunk_extensions", "", r#""1 KiB""#),
    ("server.limits.trailers", "", r#""1 KiB""#),
    ("server.limits.body", "", r#""1 MiB""#),
    ("server.limits.connections", "", "100"),
    ("server.limits.connections_per_client", "", "10"),
    ("server.limits.connection_rate", "", r#""9/s""#),
    ("server.limits.connection_burst", "limits.connection_rate = \"9/s\"", "8"),
    ("server.limits.requests_per_connection", "", "1000"),
    ("server.limits.limit_memory", "", r#""1 MiB""#),
    ("server.rate_limit_headers", "", "true"),
    (
        "server.jwt.algorithm",
        ES256,
        r#"{ secret = "a secret of thirty-two bytes, no key", algorithm = "HS256" }"#,
    ),
    ("server.jwt.secret", JWT, r#"{ secret = "another secret of thirty-two bytes" }"#),
    ("server.jwt.key", ES256, r#"{ key = "other.pem", algorithm = "ES256" }"#),
    ("server.jwt.cookie", ES256, r#"{ key = "jwt.pem", algorithm = "ES256", cookie = "session" }"#),
    (
        "server.jwt.issuer",
        ES256,
        r#"{ key = "jwt.pem", algorithm = "ES256", issuer = "https://id.example.org" }"#,
    ),
    ("server.jwt.audience", ES256, r#"{ key = "jwt.pem", algorithm = "ES256", audience = "app" }"#),
    ("server.jwt.leeway", ES256, r#"{ key = "jwt.pem", algorithm = "ES256", leeway = "1s" }"#),
    ("server.timeouts.head", "", r#""1s""#),
    ("server.timeouts.body", "", r#""1s""#),
    ("server.timeouts.body_rate", "", r#""1 KiB/s""#),
    ("server.timeouts.idle", "", r#""1s""#),
    ("server.timeouts.write", "", r#""1s""#),
    ("server.timeouts.tunnel", "", r#""0s""#),
    ("server.shutdown.lame_duck", "", r#""1s""#),
    ("server.shutdown.drain", "", r#""1s""#),
    ("server.access_log.path", "access_log.format = \"json\"", r#""/var/log/tidegate.log""#),
    ("server.access_log.format", "access_log.path = \"-\"", r#""combined""#),
    ("server.access_log.sample", "access_log.path = \"-\"", r#"{ "2xx" = "10%" }"#),
    ("cache.memory", "", r#""1 GiB""#),
    ("cache.shards", "", "16"),
    ("cache.disk.path", "", r#""/var/cache/tidegate""#),
    ("cache.disk.size", "disk.path = \"/c\"", r#""1 GiB""#),
    ("cache.max_body", "", r#""1 MiB""#),
    ("cache.hit_for_miss", "", r#""0s""#),
    ("cache.waiters", "", "0"),
    ("cache.wait", "", r#""1s""#),
    ("listener.address", "", r#""127.0.0.1:1234""#),
    ("listener.proxy_protocol", "", "true"),
    ("listener.backlog", "", "10"),
    ("upstream.NAME.endpoints.address", "", r#"[{ address = "127.0.0.1:4000" }]"#),
    ("upstream.NAME.endpoints.weight", "", r#"[{ address = "127.0.0.1:3000", weight = 2 }]"#),
    (
        "upstream.NAME.endpoints.backup",
        "",
        r#"["127.0.0.1:1", { address = "127.0.0.1:3000", backup = true }]"#,
    ),
    ("upstream.NAME.balance.by", "", r#""round-robin""#),
    ("upstream.NAME.balance.key", "balance.by = \"hash\"\nbalance.key = \"client\"", r#""header:x-a""#),
    ("upstream.NAME.balance.bound", "balance.by = \"hash\"\nbalance.key = \"path\"", r#""off""#),
    ("upstream.NAME.balance.decay", "balance.by = \"peak-ewma\"", r#""1s""#),
    ("upstream.NAME.balance.cookie", "balance.by = \"sticky\"", r#""seat""#),
    ("upstream.NAME.balance.max_age", "balance.by = \"sticky\"", r#""1h""#),
    ("upstream.NAME.health.path", "health.rise = 1", r#""/health""#),
    ("upstream.NAME.health.status", "health.path = \"/\"", r#"[200, "3xx"]"#),
    ("upstream.NAME.health.body", "health.path = \"/\"", r#""ok""#),
    ("upstream.NAME.health.host", "health.path = \"/\"", r#""app.internal""#),
    ("upstream.NAME.health.interval", "health.path = \"/\"", r#""10s""#),
    ("upstream.NAME.health.timeout", "health.path = \"/\"", r#""1s""#),
    ("upstream.NAME.health.rise", "health.path = \"/\"", "2"),
    ("upstream.NAME.health.fall", "health.path = \"/\"", "2"),
    ("upstream.NAME.health.jitter", "health.path = \"/\"", "0.2"),
    ("upstream.NAME.outlier.failures", "", "6"),
    ("upstream.NAME.outlier.connect_failures", "", "3"),
    ("upstream.NAME.outlier.failure_share", "", r#""off""#),
    ("upstream.NAME.outlier.minimum_requests", "", "5"),
    ("upstream.NAME.outlier.ejection", "", r#""5s""#),
    ("upstream.NAME.outlier.connect_ejection", "", r#""5s""#),
    ("upstream.NAME.outlier.ejection_max", "", r#""1m""#),
    ("upstream.NAME.outlier.ejected_share", "", "0.1"),
    ("upstream.NAME.outlier.panic_share", "", "0"),
    ("upstream.NAME.outlier.slow", "", r#""2s""#),
    ("upstream.NAME.outlier.slow_share", "outlier.slow = \"2s\"", "0.1"),
    ("upstream.NAME.breaker.error_share", "breaker.probes = 2", r#""off""#),
    ("upstream.NAME.breaker.status", "breaker.probes = 2", r#""5xx""#),
    ("upstream.NAME.breaker.slow", "breaker.probes = 2", r#""2s""#),
    ("upstream.NAME.breaker.slow_share", "breaker.slow = \"2s\"", "0.1"),
    ("upstream.NAME.breaker.minimum_requests", "breaker.probes = 2", "5"),
    ("upstream.NAME.breaker.open", "breaker.probes = 2", r#""1s""#),
    ("upstream.NAME.breaker.open_max", "breaker.probes = 2", r#""5m""#),
    ("upstream.NAME.breaker.jitter", "breaker.probes = 2", "0"),
    ("upstream.NAME.breaker.probes", "breaker.open = \"1s\"", "1"),
    ("upstream.NAME.fallback.stale", "fallback.upstream = \"other\"", r#""1h""#),
    ("upstream.NAME.fallback.upstream", "fallback.stale = \"1h\"", r#""other""#),
    ("upstream.NAME.fallback.file", "fallback.stale = \"1h\"", r#""down.html""#),
    ("upstream.NAME.fallback.status", "fallback.file = \"down.html\"", "200"),
    ("upstream.NAME.retry.attempts", "", "2"),
    ("upstream.NAME.retry.budget", "", r#""10%""#),
    ("upstream.NAME.retry.min_per_second", "", "1"),
    ("upstream.NAME.retry.within", "", r#""1s""#),
    ("upstream.NAME.timeouts.connect", "", r#""1s""#),
    ("upstream.NAME.timeouts.response", "", r#""1s""#),
    ("upstream.NAME.timeouts.body", "", r#""0s""#),
    ("upstream.NAME.timeouts.write", "", r#""1s""#),
    ("upstream.NAME.pool.idle", "", "1"),
    ("upstream.NAME.pool.idle_timeout", "", r#""1s""#),
    ("upstream.NAME.slow_start", "", r#""10s""#),
    ("upstream.NAME.queue.concurrency", "", "8"),
    ("upstream.NAME.queue.limit", "", "10"),
    ("upstream.NAME.queue.timeout", "", r#""1s""#),
    ("upstream.NAME.queue.target", "", r#""50ms""#),
    ("upstream.NAME.queue.interval", "", r#""2s""#),
    ("upstream.NAME.queue.order", "", r#""newest""#),
    ("upstream.NAME.queue.fair_by", "", r#""header:x-a""#),
    ("upstream.NAME.queue.reserve", "", "0"),
    ("upstream.NAME.queue.server_timing", "", "true"),
    ("upstream.NAME.hold", "", r#""1s""#),
    ("upstream.NAME.host", "", r#""app.internal""#),
    ("surge.NAME.limits", "shed = \"normal\"", "0.5"),
    ("surge.NAME.connection_rate", "shed = \"normal\"", r#""9/s""#),
    ("surge.NAME.connection_burst", "connection_rate = \"9/s\"", "8"),
    ("surge.NAME.queue.limit", "shed = \"normal\"", "10"),
    ("surge.NAME.queue.timeout", "shed = \"normal\"", r#""1s""#),
    ("surge.NAME.waiting_rooms", "shed = \"normal\"", "0.5"),
    ("surge.NAME.shed", "queue.limit = 1", r#""normal""#),
    ("route.name", "", r#""all""#),
    ("route.host", "", r#"["example.org", "*.example.org"]"#),
    ("route.path", "", r#""/api/*""#),
    ("route.method", "", r#""GET""#),
    ("route.header", "", r#"{ "x-a" = true, "x-b" = "1" }"#),
    ("route.upstream", "", r#""other""#),
    ("route.redirect.to", "", r#""https://example.org{path}""#),
    ("route.redirect.status", "redirect.to = \"/x\"", "302"),
    ("route.respond.status", "respond.body = \"\"", "404"),
    ("route.respond.body", "respond.status = 200", r#""hello""#),
    ("route.respond.content_type", "respond.status = 200", r#""text/html""#),
    ("route.strip", "path = \"/api/*\"", r#""/api""#),
    ("route.rewrite", "path = \"/api/*\"", r#""/v2/{rest}""#),
    ("route.request_headers.remove", "", r#"["x-a"]"#),
    ("route.request_headers.set", "", r#"{ "x-a" = "1" }"#),
    ("route.request_headers.add", "", r#"{ "x-a" = "1" }"#),
    ("route.response_headers.remove", "", r#"["server"]"#),
    ("route.response_headers.set", "", r#"{ "x-a" = "1" }"#),
    ("route.response_headers.add", "", r#"{ "x-a" = "1" }"#),
    ("route.body_limit", "", r#""1 KiB""#),
    ("route.timeouts.connect", "", r#""1s""#),
    ("route.timeouts.response", "", r#""1s""#),
    ("route.timeouts.body", "", r#""0s""#),
    ("route.timeouts.write", "", r#""1s""#),
    ("route.retry.attempts", "", "2"),
    ("route.retry.budget", "", "0.1"),
    ("route.retry.min_per_second", "", "1"),
    ("route.retry.within", "", r#""1s""#),
    ("route.priority", "", r#""header:x-priority""#),
    ("route.waiting_room.name", "waiting_room.ttl = \"6m\"", r#""sale""#),
    ("route.waiting_room.rate", "waiting_room.ttl = \"6m\"", r#""600/m""#),
    ("route.waiting_room.capacity", "waiting_room.ttl = \"6m\"", "1000"),
    ("route.waiting_room.when", "waiting_room.rate = \"1/s\"", r#""surge""#),
    ("route.waiting_room.ttl", "waiting_room.rate = \"1/s\"", r#""10m""#),
    ("route.waiting_room.hold", "waiting_room.rate = \"1/s\"", r#""5m""#),
    ("route.waiting_room.bind", "waiting_room.rate = \"1/s\"", r#""off""#),
    ("route.waiting_room.secret", "waiting_room.rate = \"1/s\"", r#""0123456789abcdef""#),
    ("route.waiting_room.page", "waiting_room.rate = \"1/s\"", r#""room.html""#),
    ("route.fallback.stale", "cache = true\nfallback.upstream = \"other\"", r#""1h""#),
    ("route.fallback.upstream", "fallback.file = \"down.html\"", r#""other""#),
    ("route.fallback.file", "fallback.upstream = \"other\"", r#""down.html""#),
    ("route.fallback.status", "fallback.file = \"down.html\"", "200"),
    ("route.error_pages", "", r#"{ 502 = "errors/502.html" }"#),
    ("route.files.root", "", r#""public/""#),
    ("route.files.index", "files.root = \"public/\"", r#""off""#),
    ("route.files.clean_urls", "files.root = \"public/\"", "true"),
    ("route.files.fallback", "files.root = \"public/\"", r#""app.html""#),
    ("route.files.not_found", "files.root = \"public/\"", r#""404.html""#),
    ("route.files.precompressed", "files.root = \"public/\"", "false"),
    ("route.files.cache_hashed", "files.root = \"public/\"", r#""30d""#),
    ("route.files.cache", "files.root = \"public/\"", r#""0s""#),
    ("route.cache.template", "cache.status = true", r#""session-app""#),
    ("route.cache.ttl", "cache.status = true", r#""30s""#),
    ("route.cache.negative", "cache.status = true", r#""1s""#),
    ("route.cache.grace", "cache.status = true", r#""5m""#),
    ("route.cache.stale_if_error", "cache.status = true", r#""1d""#),
    ("route.cache.ignore_request_directives", "cache.status = true", "true"),
    ("route.cache.cookies", "cache.status = true", r#""bypass""#),
    ("route.cache.set_cookie", "cache.status = true", r#""strip""#),
    ("route.cache.key.headers", "cache.status = true", r#"["x-tenant-id"]"#),
    ("route.cache.key.cookies", "cache.status = true", r#"["lang"]"#),
    ("route.cache.key.device", "cache.status = true", "true"),
    ("route.cache.key.query.only", "cache.status = true", r#"["page"]"#),
    ("route.cache.key.query.except", "cache.status = true", r#"["utm_*"]"#),
    ("route.cache.key.sort_query", "cache.status = true", "true"),
    ("route.cache.max_body", "cache.status = true", r#""1 MiB""#),
    ("route.cache.max_variants", "cache.status = true", "8"),
    ("route.cache.status", "cache.ttl = \"1s\"", "false"),
    ("route.cache.purge", "cache.status = true", r#"["127.0.0.0/8"]"#),
];

/// The same for keys that server and route both have.
const SHARED: &[(&str, &str, &str)] = &[
    ("compress.algorithms", "compress.min = \"1 KiB\"", r#"["gzip"]"#),
    ("compress.min", "compress.level.br = 4", r#""4 KiB""#),
    ("compress.types", "compress.min = \"1 KiB\"", r#"["text/*"]"#),
    ("compress.level.zstd", "compress.min = \"1 KiB\"", "1"),
    ("compress.level.br", "compress.min = \"1 KiB\"", "1"),
    ("compress.level.gzip", "compress.min = \"1 KiB\"", "1"),
    ("compress.stored_level.zstd", "compress.min = \"1 KiB\"", "19"),
    ("compress.stored_level.br", "compress.min = \"1 KiB\"", "11"),
    ("compress.stored_level.gzip", "compress.min = \"1 KiB\"", "8"),
    ("security_headers.hsts.max_age", "security_headers.nosniff = true", r#""1d""#),
    ("security_headers.hsts.subdomains", "security_headers.nosniff = true", "true"),
    ("security_headers.hsts.preload", "security_headers.hsts.subdomains = true", "true"),
    ("security_headers.nosniff", "security_headers.hsts = false", "false"),
    ("security_headers.frame_ancestors", "security_headers.nosniff = true", r#""none""#),
    ("security_headers.referrer_policy", "security_headers.nosniff = true", r#""origin""#),
    ("security_headers.permissions_policy", "security_headers.nosniff = true", r#""camera=()""#),
    ("security_headers.csp", "security_headers.nosniff = true", r#""default-src 'self'""#),
    ("security_headers.opener_policy", "security_headers.nosniff = true", r#""same-origin""#),
    ("security_headers.resource_policy", "security_headers.nosniff = true", r#""same-site""#),
    ("cors.origins", "", r#""*""#),
    ("cors.methods", "cors.origins = \"https://a.test\"", r#"["PUT"]"#),
    ("cors.headers", "cors.origins = \"https://a.test\"", r#"["x-a"]"#),
    ("cors.expose", "cors.origins = \"https://a.test\"", r#"["x-a"]"#),
    ("cors.credentials", "cors.origins = \"https://a.test\"", "true"),
    ("limit.name", LIMIT, r#"[{ rate = "9/s", name = "quota" }]"#),
    ("limit.by", LIMIT, r#"[{ rate = "9/s", name = "client", by = "global" }]"#),
    ("limit.rate", LIMIT, r#"[{ rate = "8/s", burst = 9 }]"#),
    ("limit.burst", LIMIT, r#"[{ rate = "9/s", burst = 8 }]"#),
    ("limit.concurrency", LIMIT, r#"[{ rate = "9/s", concurrency = 8 }]"#),
    ("limit.bandwidth", LIMIT, r#"[{ rate = "9/s", bandwidth = "1 MiB/s" }]"#),
    ("limit.cost.usual", LIMIT, r#"[{ rate = "9/s", cost = { usual = 2 } }]"#),
    ("limit.cost.methods", LIMIT, r#"[{ rate = "9/s", cost = { methods = { POST = 5 } } }]"#),
    ("limit.cost.header", LIMIT, r#"[{ rate = "9/s", cost = { header = "x-cost" } }]"#),
    ("limit.missing", LIMIT, r#"[{ rate = "9/s", missing = "pass" }]"#),
    ("limit.dry_run", LIMIT, r#"[{ rate = "9/s", dry_run = true }]"#),
    ("allow", "", r#"["192.0.2.0/24"]"#),
    ("deny", "", r#"["192.0.2.0/24"]"#),
    ("cors.max_age", "cors.origins = \"https://a.test\"", r#""1h""#),
];

/// A limit; the cases change one thing in it.
const LIMIT: &str = "limit = [{ rate = \"9/s\" }]";

/// How tokens are verified.
const JWT: &str = "jwt = { secret = \"a secret of more than thirty-two bytes\" }";
const ES256: &str = "jwt = { key = \"jwt.pem\", algorithm = \"ES256\" }";

/// A public key.
const PEM: &[u8] = b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUj/gDcV2tZQuvo2Hp1vm8X+DOX0J\nibVkHqoZ5zItetHH0W2HkHDSYAK4eH4g36qRigdHfK+zioSn6wCHeDg7Qg==\n-----END PUBLIC KEY-----\n";

/// Every case, by the whole path of its key.
fn cases() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    let own = CASES.iter().map(|(path, context, value)| ((*path).to_owned(), *context, *value));
    let shared = ["server", "route"].into_iter().flat_map(|table| {
        SHARED.iter().map(move |(key, context, value)| (format!("{table}.{key}"), *context, *value))
    });
    own.chain(shared)
}

#[test]
fn every_key_changes_the_plan() {
    for (path, context, value) in cases() {
        let (section, key) = place(&path);
        let line = format!("{key} = {value}");
        let before = plan(section, context);
        // A key that the context gives already is given anew, not twice.
        let kept: Vec<&str> = context.lines().filter(|l| !l.starts_with(&format!("{key} = "))).collect();
        let after = plan(section, &format!("{}\n{line}", kept.join("\n")));
        assert_ne!(format!("{before:?}"), format!("{after:?}"), "{path} changes nothing");
    }
}

#[test]
fn every_key_of_the_schema_has_a_case() {
    let root: Value = serde_json::from_str(&schema()).unwrap();
    let mut known = BTreeSet::new();
    keys(&root, &root, "", &mut known);
    let cases: BTreeSet<String> = cases().map(|(path, _, _)| path).collect();
    assert_eq!(known.difference(&cases).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(cases.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The section that a key belongs to, and the key as it is written there.
fn place(path: &str) -> (&str, &str) {
    let (section, key) = path.split_once('.').unwrap();
    let key = key.strip_prefix("NAME.").unwrap_or(key);
    // The keys of an endpoint and of a limit are written inside their list, those of tokens inside their table.
    (
        section,
        ["endpoints", "limit", "jwt"]
            .into_iter()
            .find(|list| key.starts_with(&format!("{list}.")))
            .unwrap_or(key),
    )
}

fn plan(section: &str, lines: &str) -> Plan {
    let within = |name: &str, key: &str, line: &str| {
        let own = if section == name { lines } else { "" };
        let given = own.lines().any(|line| line.trim_start().starts_with(key));
        if given { own.to_owned() } else { format!("{line}\n{own}") }
    };
    let acts = ["redirect.", "respond.", "files."].iter().any(|key| lines.contains(key));
    let cached = if section == "cache" { "upstream = \"app\"\ncache = true" } else { "upstream = \"app\"" };
    let limited = if section == "surge" { "\nlimit = [{ rate = \"9/s\" }]\nwaiting_room = true" } else { "" };
    let cached = &format!("{cached}{limited}");
    let surge = match section {
        "surge" => format!("[surge.sale]\n{lines}"),
        "route" if lines.contains("waiting_room") => "[surge.sale]\nqueue.limit = 1".to_owned(),
        _ => String::new(),
    };
    let trusted = if lines.contains("proxy_protocol") { "trusted_proxies = [\"10.0.0.0/8\"]" } else { "" };
    let text = format!(
        "[server]\n{}\n[cache]\n{}\n[[listener]]\n{}\n[upstream.app]\n{}\n[upstream.other]\nendpoints = [\":1\"]\n[[route]]\n{}\n{surge}\n",
        within("server", "-", trusted),
        within("cache", "-", ""),
        within("listener", "address", "address = \":8080\""),
        within("upstream", "endpoints", "endpoints = [\"127.0.0.1:3000\"]"),
        if section == "route" && acts { lines.to_owned() } else { within("route", "upstream", cached) },
    );
    let page = |path: &Path| match path.extension() {
        Some(kind) if kind == "pem" => Ok([PEM, path.as_os_str().as_encoded_bytes()].concat()),
        Some(_) => Ok(b"<h1>sorry</h1>".to_vec()),
        None => Err(io::ErrorKind::IsADirectory.into()),
    };
    parse(&text, "t.toml", &|_| None, &page).unwrap_or_else(|wrong| panic!("{wrong}\n{text}")).plan
}

fn keys(root: &Value, schema: &Value, path: &str, out: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        keys(root, root.pointer(&target[1..]).unwrap(), path, out);
    }
    for option in schema["anyOf"].as_array().into_iter().flatten() {
        keys(root, option, path, out);
    }
    keys_of(root, &schema["items"], path, out);
    keys_of(root, &schema["additionalProperties"], &format!("{path}.NAME"), out);
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        keys(root, property, &path, out);
        if !out.iter().any(|known| known.starts_with(&format!("{path}."))) {
            out.insert(path);
        }
    }
}

fn keys_of(root: &Value, inner: &Value, path: &str, out: &mut BTreeSet<String>) {
    if inner.is_object() {
        keys(root, inner, path, out);
    }
}
