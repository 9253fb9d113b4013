//! Taking things out of the cache: by the method PURGE, and by what people name.
//!
//! Keys begin with a URL as requests mean it, so a URL that a person writes is read by the pipeline's own functions.
//! Its scheme does not count: whether `http` or `https` stands in a key depends on what a trusted proxy in front says,
//! which whoever purges does not know. Both go.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use cache::{Purge, Rules, UnixMs, key};
use tokio::task::spawn_blocking;
use traffic::Refusal;
use traffic::client::Proto;

use crate::cached;
use crate::client::Client;
use crate::core::{Core, Shared};
use crate::exchange::{Asker, Exchange, Held, Store};
use crate::explain::Asked;
use crate::live::Live;
use crate::pipeline::{Stop, select};
use crate::respond;

/// The method.
const METHOD: &[u8] = b"PURGE";

/// The request field that says how a PURGE is meant: `soft`; anything else is hard.
const MODE: &str = "purge-mode";

/// How long somebody who purges waits for the disk to take note, so that no crash brings back what was purged.
const NOTED: Duration = Duration::from_secs(2);

/// What a person wants to be purged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What<'a> {
    /// One URL, with all its variants.
    Url(&'a str),
    /// Every URL of a host whose path begins so.
    Prefix(&'a str),
    /// Everything with a tag (Cache-Tag, Surrogate-Key).
    Tag(&'a str),
    /// Everything.
    All,
}

/// Purges: removes entries, or, if `soft`, makes them stale, so that they are still served where stale ones may be, and
/// refreshed. How many entries it were.
///
/// # Errors
/// What is no URL, for people.
pub fn purge(shared: &Shared, what: What<'_>, soft: bool) -> Result<u64, String> {
    let (store, now) = (&shared.cache, shared.unix_ms());
    let purged = purge_all(shared, store, what, soft, now)?;
    wait_for_notes(shared);
    Ok(purged)
}

fn purge_all(
    shared: &Shared,
    store: &cache::Store,
    what: What<'_>,
    soft: bool,
    now: UnixMs,
) -> Result<u64, String> {
    let each = |keys: Vec<Vec<u8>>, what: fn(&[u8]) -> Purge<'_>| {
        keys.iter().map(|key| store.purge(what(key), soft, now)).sum()
    };
    Ok(match what {
        What::All => store.purge(Purge::All, soft, now),
        What::Tag(tag) => store.purge(Purge::Tag(tag.as_bytes()), soft, now),
        What::Url(url) => {
            let live = shared.live();
            each(urls(&live, &mut *request_for(&live, url)?), |url| Purge::Url(url))
        }
        What::Prefix(url) => {
            each(beginnings(&mut *request_for(&shared.live(), url)?), |url| Purge::Prefix(url))
        }
    })
}

/// How keys begin under which entries with this prefix may be kept: for both schemes.
///
/// # Errors
/// What is no URL, for people.
pub fn prefixes(shared: &Shared, prefix: &str) -> Result<Vec<Vec<u8>>, String> {
    Ok(beginnings(&mut *request_for(&shared.live(), prefix)?))
}

/// Whether the request asks for its URL to be purged, by the route's rules.
///
/// # Errors
/// It does, and may not.
pub fn is_asked(route: &config::Route, exchange: &Exchange) -> Result<bool, Refusal> {
    let Some(purge) = route.cache.as_ref().and_then(|cache| cache.purge.as_ref()) else { return Ok(false) };
    if !is_named(exchange) {
        return Ok(false);
    }
    match exchange.asker {
        Some(asker) if purge.allows(asker.ip) => Ok(true),
        _ => Err(Refusal::PurgeForbidden),
    }
}

/// Whether the request's method is PURGE.
pub fn is_named(exchange: &Exchange) -> bool {
    exchange.head.method_name.of(&exchange.input) == METHOD
}

/// Purges the URL of a request that may, and says how many entries it were.
pub async fn serve(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
) -> Result<(), Stop> {
    let soft = exchange.header(MODE).is_some_and(|mode| mode.eq_ignore_ascii_case(b"soft"));
    let now = core.unix_ms();
    let purged: u64 =
        urls(live, exchange).iter().map(|url| core.shared.cache.purge(Purge::Url(url), soft, now)).sum();
    wait_for_disk(core).await;
    let mut body = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(body, "{{\"purged\":{purged},\"soft\":{soft}}}");
    respond::fixed(core, live, client, exchange, route, 200, &body, "application/json").await
}

/// Waits until the disk has taken note of what was purged: whoever is told that it is gone may rely on it.
async fn wait_for_disk(core: &Core) {
    if core.shared.disk.get().is_none_or(|disk| disk.wait_for_notes(Duration::ZERO)) {
        return;
    }
    let shared = Arc::clone(&core.shared);
    // A thread that panicked has said so already.
    let _ = spawn_blocking(move || wait_for_notes(&shared)).await;
}

fn wait_for_notes(shared: &Shared) {
    if let Some(disk) = shared.disk.get()
        && !disk.wait_for_notes(NOTED)
    {
        tracing::warn!("what was purged is not given out any more, but the disk is slow to take note of it");
    }
}

/// The request that somebody who asks for `url` would send, as far as host and path.
fn request_for(live: &Live, url: &str) -> Result<Held, String> {
    let asked = Asked::read("GET", url, &[])?;
    let mut exchange = Store::default().take();
    exchange.input.extend_from_slice(&asked.head);
    let wrong = |why: wire::Malformed| format!("{url} is no url: {}", why.what());
    match exchange.head.parse(&asked.head, &live.plan.server.limits.wire) {
        Ok(true) => {}
        Ok(false) => return Err(wrong(wire::Malformed::Truncated)),
        Err(why) => return Err(wrong(why)),
    }
    match select(live, &mut exchange) {
        Err(Refusal::Malformed(why)) => Err(wrong(why)),
        // Without a route there may still be what an earlier configuration has let in.
        _ => Ok(exchange),
    }
}

/// Everything that keys of a request's URL may begin with: routes that differ in what of the query counts write it
/// differently, and a request with other fields may go another route.
fn urls(live: &Live, exchange: &mut Exchange) -> Vec<Vec<u8>> {
    let routes = live.table.explain(&exchange.query(&|name: &str| exchange.header(name)));
    let rules = routes.iter().filter_map(|route| live.plan.routes[route.route.index()].cache.as_ref());
    let mut urls = Vec::new();
    for rules in rules.map(|cache| &cache.rules).chain([&Rules::default()]) {
        write(exchange, rules, &mut urls);
    }
    urls
}

/// How keys begin whose URL begins with a request's: nothing of its query is left out.
fn beginnings(exchange: &mut Exchange) -> Vec<Vec<u8>> {
    let mut urls = Vec::new();
    write(exchange, &Rules::default(), &mut urls);
    urls
}

/// Adds the URL of a request over either scheme, as these rules write it.
fn write(exchange: &mut Exchange, rules: &Rules, urls: &mut Vec<Vec<u8>>) {
    let asker = exchange.asker;
    for proto in [Proto::Http, Proto::Https] {
        exchange.asker = Some(Asker::local(proto));
        let mut written = Vec::new();
        key::write_url(&mut written, &cached::url(exchange), rules);
        if !urls.contains(&written) {
            urls.push(written);
        }
    }
    exchange.asker = asker;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(routes: &str) -> Live {
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n{routes}"
        );
        let loaded =
            config::parse(&text, "tidegate.toml", &|_| None, &|_| Err(std::io::ErrorKind::NotFound.into()));
        Live::build(loaded.expect("a good configuration").plan, &signals::Signals::new(1), None)
            .expect("no two routes match the same requests")
    }

    fn shown(urls: Vec<Vec<u8>>) -> Vec<String> {
        urls.into_iter().map(|url| String::from_utf8(url).expect("text")).collect()
    }

    #[test]
    fn a_url_means_both_schemes_and_what_the_rules_of_each_route_make_of_it() {
        let live = live(
            "[[route]]\npath = \"/*\"\nupstream = \"app\"\n\
             cache = { key = { query = { except = [\"utm_*\"] }, sort_query = true } }\n\
             [[route]]\npath = \"/*\"\nheader = { x-app = \"a\" }\nupstream = \"app\"\ncache = { key = { query = \"none\" } }\n",
        );
        let mut request = request_for(&live, "https://Shop.Example/a?z=1&utm_x=2&b=3").unwrap();
        assert_eq!(
            shown(urls(&live, &mut request)),
            [
                "http://shop.example/a",
                "https://shop.example/a",
                "http://shop.example/a?b=3&z=1",
                "https://shop.example/a?b=3&z=1",
                "http://shop.example/a?z=1&utm_x=2&b=3",
                "https://shop.example/a?z=1&utm_x=2&b=3",
            ]
        );
    }

    #[test]
    fn a_prefix_without_a_path_is_the_whole_host_and_no_other() {
        let live = live("[[route]]\nupstream = \"app\"\n");
        let prefix = |text: &str| request_for(&live, text).map(|mut request| shown(beginnings(&mut request)));
        assert_eq!(prefix("http://shop.example").unwrap(), ["http://shop.example/", "https://shop.example/"]);
        assert_eq!(prefix("https://a/b/c").unwrap(), ["http://a/b/c", "https://a/b/c"]);
        assert_eq!(prefix("http://a:443/").unwrap(), ["http://a:443/", "https://a/"]);
    }

    #[test]
    fn what_is_no_url_is_told() {
        let live = live("[[route]]\nupstream = \"app\"\n");
        for url in [
            "shop.example/a",
            "/a",
            "ftp://a/",
            "http://",
            "http:///a",
            "http://a/ b",
            "http://a b/",
            "http://a/\u{e9}",
            "http://a/%zz",
        ] {
            assert!(request_for(&live, url).is_err(), "{url}");
        }
    }
}
