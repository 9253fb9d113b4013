//! What people are told about their mistakes: all of them at once, each with its place and its remedy.

use std::io;
use std::path::Path;

use tidegate_config::{Diagnostics, parse};

/// What is there around every mistake.
const LISTENER: &str = "[[listener]]\naddress = \":8080\"\n";
const UPSTREAM: &str = "[upstream.app]\nendpoints = [\":3000\"]\n";
const ROUTE: &str = "[[route]]\nupstream = \"app\"\n";

fn no_file(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
}

/// Errors and warnings in the compact form.
fn told(text: &str) -> Diagnostics {
    let env = |name: &str| (name == "HOST").then(|| "example.org".to_owned());
    match parse(text, "tidegate.toml", &env, &no_file) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics,
    }
}

fn server(keys: &str) -> Diagnostics {
    told(&format!("[server]\n{keys}\n{LISTENER}{UPSTREAM}{ROUTE}"))
}

fn upstream(keys: &str) -> Diagnostics {
    told(&format!("{LISTENER}{UPSTREAM}{keys}\n{ROUTE}"))
}

fn route(keys: &str) -> Diagnostics {
    told(&format!("{LISTENER}{UPSTREAM}{ROUTE}{keys}\n"))
}

#[test]
fn an_empty_file_lacks_listener_and_route() {
    insta::assert_snapshot!(told(""));
}

#[test]
fn broken_toml_is_told_with_its_place() {
    insta::assert_snapshot!(told("[[listener]\naddress = ':80\n[server]\nadmin = \n[server]\n"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{UPSTREAM}{ROUTE}\n[upstream.app.health]\nintervall = \"5s\"\n[sever]\n[[route]]\n\
         pth = \"/x\"\nupstream = \"app\"\ncachet = true\nbanana = 1\n"
    )));
}

#[test]
fn every_mistake_is_told_at_once() {
    insta::assert_snapshot!(told(
        r#"
[server]
threads = 0
spin = 50
timeouts = { head = "15", idle = "1 fortnight" }
limits = { head = 65536, body = "many" }

[[listener]]
address = "0.0.0.0"
proxy_protocol = "yes"

[upstream.api]
balance = "least-request"
timeouts = { connect = "0s" }

[[route]]
path = "api"
upstream = "app"
"#
    ));
}

#[test]
fn upstreams_without_endpoints_are_refused() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}[upstream.app]\nendpoints = []\n[upstream.b]\n{ROUTE}"
    )));
}

#[test]
fn endpoints_are_checked() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{ROUTE}[upstream.app]\nendpoints = [\"http://127.0.0.1:3000\", \"127.0.0.1\", \"256.1.1.1:80\", {{ weight = 1 }}]\n"
    )));
}

#[test]
fn the_same_endpoint_twice_is_refused() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{ROUTE}[upstream.app]\nendpoints = [\":3000\", {{ address = \"127.0.0.1:3000\", weight = 0 }}]\n"
    )));
}

#[test]
fn a_misspelt_upstream_is_told_with_the_nearest_one() {
    insta::assert_snapshot!(told(&format!("{LISTENER}{UPSTREAM}[[route]]\nupstream = \"ap\"\n")));
}

#[test]
fn routes_that_match_the_same_are_refused_with_both_places() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{UPSTREAM}{ROUTE}[[route]]\npath = \"/u/{{id}}\"\nupstream = \"app\"\n[[route]]\n\
         path = \"/u/{{name}}\"\nupstream = \"app\"\n[[route]]\npath = \"/*\"\nupstream = \"app\"\n"
    )));
}

#[test]
fn names_given_twice_are_refused() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{UPSTREAM}[[route]]\nname = \"a\"\nupstream = \"app\"\n[[route]]\nname = \"a\"\npath = \"/x\"\nupstream = \"app\"\n"
    )));
}

#[test]
fn settings_of_other_policies_are_refused() {
    insta::assert_snapshot!(upstream("balance = { cookie = \"seat\", key = \"path\", decay = \"1s\" }"));
    insta::assert_snapshot!(upstream("balance = \"hash\""), @r#"
    error: by = "hash" has no key
     --> tidegate.toml:5:11
    help: add key = "header:NAME", "cookie:NAME", "query:NAME", "path" or "client"
    "#);
}

#[test]
fn probes_have_to_make_sense() {
    insta::assert_snapshot!(upstream("health = { status = 200, timeout = \"9s\" }"));
}

#[test]
fn a_route_does_one_thing() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{UPSTREAM}{ROUTE}redirect = \"/x\"\n[[route]]\npath = \"/y\"\n"
    )));
}

#[test]
fn templates_name_what_there_is() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{UPSTREAM}[[route]]\npath = \"/u/{{id}}\"\nupstream = \"app\"\nrewrite = \"/v/{{di}}/{{rest}}\"\n\
         [[route]]\npath = \"/old\"\nredirect = \"/new{{\"\n"
    )));
}

#[test]
fn prefixes_that_never_are_there_cannot_be_stripped() {
    insta::assert_snapshot!(route("path = \"/app/*\"\nstrip = \"/api\""), @r#"
    error: strip: paths like "/app/*" do not begin with "/api"
     --> tidegate.toml:8:9
    help: write path = "/api/*", or strip the beginning of the path
    "#);
    insta::assert_snapshot!(route("path = \"/apix/*\"\nstrip = \"/api\""), @r#"
    error: strip: paths like "/apix/*" do not begin with "/api"
     --> tidegate.toml:8:9
    help: write path = "/api/*", or strip the beginning of the path
    "#);
}

#[test]
fn fields_of_the_framing_cannot_be_changed() {
    insta::assert_snapshot!(route(
        "request_headers = { set = { Host = \"a\", \"x y\" = \"1\", \"x-z\" = \"a\\r\\nb: c\" }, remove = [\"content-length\"] }"
    ));
}

#[test]
fn methods_are_as_clients_send_them() {
    insta::assert_snapshot!(route("method = [\"get\", \"CONNECT\", \"A B\"]"));
}

#[test]
fn variables_that_are_not_set_are_told_where_they_stand() {
    insta::assert_snapshot!(server(
        "via = \"a-${EDGE}\"\nthreads = \"${HOST}\"\nadmin = \"${ADMIN\"\nwatch = \"true\"\ntrusted_proxies = [\"${1}\"]"
    ));
}

#[test]
fn a_preamble_needs_somebody_to_trust() {
    insta::assert_snapshot!(told(&format!("{LISTENER}proxy_protocol = true\n{UPSTREAM}{ROUTE}")), @r#"
    error: proxy_protocol needs server.trusted_proxies
     --> tidegate.toml:3:18
    help: add the networks of the proxies in front: trusted_proxies = ["10.0.0.0/8"]
    "#);
}

#[test]
fn listeners_do_not_share_an_address() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{LISTENER}[[listener]]\naddress = \":9900\"\n{UPSTREAM}{ROUTE}"
    )));
}

#[test]
fn error_pages_have_to_be_there() {
    insta::assert_snapshot!(route(
        "error_pages = { 502 = \"errors/502.html\", 200 = \"a.html\", 503 = \"a.exe\" }"
    ));
}

#[test]
fn what_has_no_effect_is_a_warning() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}{UPSTREAM}[upstream.idle]\nendpoints = [{{ address = \":1\", backup = true }}]\n{ROUTE}\
         [[route]]\npath = \"/api/\"\nrespond = 404\nstrip = \"/api\"\n"
    )));
}

#[test]
fn limits_have_to_fit_one_another() {
    insta::assert_snapshot!(server("limits = { head = \"4 KiB\", headers = 200, trailers = \"1 GiB\" }"));
}

#[test]
fn the_drawn_form_shows_the_lines() {
    let diagnostics = route("name = \"a\"\n[[route]]\nname = \"a\"\npath = \"/x\"\nupstream = \"app\"");
    insta::assert_snapshot!(diagnostics.render(false));
}

#[test]
fn rules_of_the_cache_have_to_make_sense() {
    insta::assert_snapshot!(route(
        "cache = { template = \"session-app\", ttl = \"0s\", max_body = \"1 GiB\", purge = [], \
         key = { headers = [\"Cookie\", \"x y\", \"x-a\", \"X-A\"], cookies = [\"lang\"], query = { only = [], except = [\"a*b\"] } } }"
    ));
    insta::assert_snapshot!(route("cache = { key = { query = { only = [] } } }"), @r#"
    error: route.cache.key.query names no parameter
     --> tidegate.toml:7:36
    help: write query = "none"
    "#);
    insta::assert_snapshot!(route("cache = { key = { query = { except = [\"a*b\"] } } }"), @r#"
    error: "a*b" is no name for a parameter
     --> tidegate.toml:7:39
    help: write a name, or its beginning with a star behind: "page", "utm_*"
    "#);
    insta::assert_snapshot!(route("cache = \"on\""), @r#"
    error: route.cache: expected true, false or a table, found a string
     --> tidegate.toml:7:9
    help: leave the quotes out
    "#);
}

#[test]
fn a_cache_that_can_do_nothing_is_told() {
    insta::assert_snapshot!(route("method = \"POST\"\ncache = { purge = [\"::1\"] }"));
    insta::assert_snapshot!(told(&format!(
        "[cache]\nmemory = \"0\"\n{LISTENER}{UPSTREAM}{ROUTE}cache = true\n"
    )), @r#"
    warning: cache has no effect while cache.memory is 0
     --> tidegate.toml:9:9
    help: raise cache.memory, or leave cache out
    "#);
}

#[test]
fn the_store_has_to_fit() {
    insta::assert_snapshot!(told(&format!(
        "[cache]\nmemory = \"16 MiB\"\nshards = 12\nmax_body = \"32 MiB\"\n\
         disk = {{ path = \"\", size = \"1 MiB\" }}\n{LISTENER}{UPSTREAM}{ROUTE}"
    )));
    insta::assert_snapshot!(told(&format!(
        "[cache]\nmemory = \"0\"\ndisk = {{ path = \"/c\" }}\n{LISTENER}{UPSTREAM}{ROUTE}"
    )), @r#"
    error: cache.disk needs cache.memory
     --> tidegate.toml:3:8
    help: what is on disk is found and sent through memory: raise cache.memory, or take disk away
    "#);
}

#[test]
fn folders_have_to_be_there() {
    insta::assert_snapshot!(told(&format!("{LISTENER}[[route]]\nfiles = \"public/\"\n")), @r#"
    error: cannot read "public/": there is no such file
     --> tidegate.toml:4:9
    help: the path is taken from the folder of this file
    "#);
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}[[route]]\nfiles = {{ root = \"\", index = \"a/b\", fallback = \"../x\" }}\nmethod = \"PUT\"\n"
    )));
}

#[test]
fn compression_has_to_have_something_to_do() {
    insta::assert_snapshot!(route(
        "compress = { algorithms = [\"gzip\", \"gzip\", \"deflate\"], types = [\"html\", \"*/*\"], level = { gzip = 10 } }"
    ));
    insta::assert_snapshot!(route(
        "compress = { algorithms = [\"gzip\"], types = [\"html\", \"*/*\"], level = { br = 1 } }"
    ));
    insta::assert_snapshot!(route("compress = { algorithms = [] }"), @r#"
    error: compress.algorithms names none
     --> tidegate.toml:7:27
    help: name at least one, or write compress = false
    "#);
}

#[test]
fn security_fields_have_to_make_sense() {
    insta::assert_snapshot!(route(
        "security_headers = { hsts = { preload = true, max_age = \"1d\" }, frame_ancestors = [\"none\", \"example.org\", \"self\"], \
         permissions_policy = \"a\\r\\nb: c\" }"
    ));
    insta::assert_snapshot!(
        route("security_headers = { csp = \"default-src 'self'; frame-ancestors *\", frame_ancestors = \"none\" }"), @r#"
    error: security_headers: csp and frame_ancestors both say who may show frames
     --> tidegate.toml:7:87
    help: leave one of them out
    "#);
    insta::assert_snapshot!(route(
        "security_headers = { hsts = false, nosniff = false, frame_ancestors = \"off\", referrer_policy = \"off\", permissions_policy = \"off\" }"
    ), @r#"
    error: security_headers sends nothing
     --> tidegate.toml:7:20
    help: write security_headers = false
    "#);
}

#[test]
fn cors_is_not_for_everybody_with_credentials() {
    insta::assert_snapshot!(route(
        "cors = { origins = \"*\", credentials = true, methods = [\"put\"], headers = [\"*\"], expose = [\"x y\"] }"
    ));
    insta::assert_snapshot!(route("cors = true"), @r#"
    error: cors names no origin
     --> tidegate.toml:7:8
    help: write cors = { origins = ["https://example.org"] }
    "#);
}

#[test]
fn origins_are_a_scheme_and_a_host() {
    insta::assert_snapshot!(route(
        "cors = { origins = [\"example.org\", \"https://example.org/\", \"null\", \"https://a*.example.org\", \"://x\", \"https://\"] }"
    ));
    insta::assert_snapshot!(route("method = \"GET\"\ncors = { origins = [\"https://a.test\", \"*\"] }"));
}

#[test]
fn routes_that_forward_nothing_neither_cache_nor_compress() {
    insta::assert_snapshot!(told(&format!(
        "{LISTENER}[[route]]\nrespond = 404\ncache = true\ncompress = true\n"
    )));
}

#[test]
fn a_breaker_and_a_fallback_have_to_make_sense() {
    insta::assert_snapshot!(upstream(
        "breaker = { open = \"2m\", slow_share = 0.1 }\noutlier = { slow_share = 0.1 }\nfallback = { upstream = \"app\", status = 200 }"
    ));
    insta::assert_snapshot!(upstream("fallback = {}"));
    insta::assert_snapshot!(route("fallback = { stale = \"1h\", upstream = \"ap\", file = \"down.html\" }"));
}

#[test]
fn what_an_upstream_gives_stale_has_to_be_in_a_cache() {
    let stale = |route: &str| told(&format!("{LISTENER}{UPSTREAM}fallback.stale = \"1h\"\n{ROUTE}{route}\n"));
    insta::assert_snapshot!(stale(""));
    assert!(stale("cache = true").is_empty());
    assert!(stale("cache = true\n[[route]]\npath = \"/live/*\"\nupstream = \"app\"").is_empty());
    assert_eq!(stale("cache = true\nfallback = \"off\"").items().len(), 1, "the route does without");
}

#[test]
fn waiting_rooms_have_to_make_sense() {
    insta::assert_snapshot!(route(
        "waiting_room = { name = \"a b\", rate = \"50\", capacity = 0, hold = \"1s\", secret = \"short\", page = \"x.txt\" }"
    ));
    insta::assert_snapshot!(route("waiting_room = true"));
    insta::assert_snapshot!(route(
        "waiting_room = { rate = \"1/s\", secret = \"0123456789abcdef\" }\n[[route]]\npath = \"/x\"\nupstream = \"app\"\nwaiting_room = { rate = \"2/s\" }\n\
         [[route]]\npath = \"/y\"\nupstream = \"app\"\nwaiting_room = true"
    ));
}

#[test]
fn a_surge_has_to_tighten_something() {
    let surge = |route: &str, surge: &str| told(&format!("{LISTENER}{UPSTREAM}{ROUTE}{route}\n{surge}\n"));
    insta::assert_snapshot!(surge("", "[surge.sale]"));
    insta::assert_snapshot!(surge(
        "",
        "[surge.sale]\nlimit = 0.5\nqueue = { limits = 5 }\nshed = \"lo\"\nlimits = \"150%\""
    ));
    insta::assert_snapshot!(surge("", "[surge.\"a b\"]\nlimits = 0.5\nwaiting_rooms = 0.5\nshed = \"low\""));
    insta::assert_snapshot!(surge(
        "limit = [{ rate = \"1/s\" }]\nwaiting_room = { secret = \"0123456789abcdef\" }",
        "[surge.sale]\nlimits = 1.0\nwaiting_rooms = 0\nqueue = { limit = 1000, timeout = \"10s\" }\nconnection_burst = 5"
    ));
    insta::assert_snapshot!(told(&format!(
        "[server.limits]\nconnection_rate = \"50/s\"\n{LISTENER}{UPSTREAM}{ROUTE}[surge.sale]\nconnection_rate = \"50/s\"\n\
         [surge.night]\nconnection_rate = \"10/s\"\nconnection_burst = 100\n[surge.good]\nconnection_rate = \"10/s\"\n"
    )));
    let room = "waiting_room = { when = \"surge\", secret = \"0123456789abcdef\" }";
    insta::assert_snapshot!(surge(room, ""));
    assert!(surge(room, "[surge.sale]").is_empty(), "it closes the room");
}

#[test]
fn how_often_clients_connect_has_to_make_sense() {
    insta::assert_snapshot!(server("limits = { connection_burst = 5 }"));
    insta::assert_snapshot!(server("limits = { connection_rate = \"1/d\", connection_burst = 1000 }"));
}

/// What is told about a limit of the route.
fn limit(text: &str) -> Diagnostics {
    told(&format!("{LISTENER}{UPSTREAM}{ROUTE}path = \"/items/{{id}}\"\nlimit = [{text}]\n"))
}

#[test]
fn limits_have_to_say_how_much_of_what() {
    insta::assert_snapshot!(limit("{ by = \"client\" }"));
    insta::assert_snapshot!(limit("{ rate = \"100\" }, { by = \"clients\", rate = \"1/s\" }"));
    insta::assert_snapshot!(limit(
        "{ by = \"path:user\", rate = \"1/s\" }, { by = \"jwt:sub\", concurrency = 1 }"
    ));
    insta::assert_snapshot!(limit(
        "{ by = \"tenant\", rate = \"1/s\" }, { burst = 5, bandwidth = \"1 B/s\" }"
    ));
    insta::assert_snapshot!(limit(
        "{ rate = \"1/s\" }, { rate = \"5/d\", burst = 10_000 }, { rate = \"2/s\" }"
    ));
    insta::assert_snapshot!(limit(&["{ by = \"path\", rate = \"1/s\" }"; 9].join(", ")));
}

#[test]
fn all_limits_together_are_bounded() {
    let limits: Vec<_> = (0..8).map(|n| format!("{{ name = \"{n}\", rate = \"1/s\" }}")).collect();
    let routes = |count: usize| {
        let route = |n: usize| format!("{ROUTE}path = \"/{n}\"\nlimit = [{}]\n", limits.join(", "));
        told(&format!("{LISTENER}{UPSTREAM}{}", (0..count).map(route).collect::<String>())).to_string()
    };
    assert_eq!(routes(1_250), "");
    assert!(routes(1_251).contains("all routes together have 10008 limits, 10000 at most"));
}

#[test]
fn tokens_have_to_be_verified_with_something() {
    let jwt = |text: &str| told(&format!("[server]\njwt = {text}\n{LISTENER}{UPSTREAM}{ROUTE}"));
    insta::assert_snapshot!(jwt("{ algorithm = \"HS256\" }"));
    insta::assert_snapshot!(jwt("{ secret = \"short\", key = \"jwt.pem\" }"));
    insta::assert_snapshot!(jwt("{ algorithm = \"ES256\", key = \"nowhere.pem\" }"));
    insta::assert_snapshot!(jwt("{ algorithm = \"none\", secret = \"\" }"));
}
