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
         pth = \"/x\"\nupstream = \"app\"\ncache = true\n"
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
