//! `[cache]`, and what routes say about caching.

use core::time::Duration;

use cache::Rules;
use cache::rules::{Cookies, KeyPart, QueryKey, SetCookie};
use toml::Spanned;

use super::Lowering;
use crate::field::is_token;
use crate::file::{self, Query, Shards, Template, WholeQuery};
use crate::plan::{Cache, Disk, Purge, RouteCache};
use crate::read::List;

/// Most parts that `"auto"` makes of a store.
const AUTO_SHARDS_MAX: u64 = 256;

/// Headers that are no part of a key, and what to do instead.
const NO_KEYS: [(&str, &str); 3] = [
    ("host", "it is part of every key already: take it away"),
    ("cookie", "name the cookies that count: cookies = [\"lang\"]"),
    ("user-agent", "nearly every client has one of its own: write device = true"),
];

impl Lowering<'_> {
    /// The store, and the rules of a route that says `cache = true`.
    pub(super) fn store(&mut self, written: &file::Cache, threads: usize) -> (Cache, Rules) {
        let memory_bytes = written.memory().0;
        let body_bytes = written.max_body().0;
        if memory_bytes > 0 && body_bytes > memory_bytes && !written.max_body.is_absent() {
            let help = "raise cache.memory, or lower cache.max_body";
            self.error(
                written.max_body.span(),
                "cache.max_body is larger than cache.memory".to_owned(),
                help,
            );
        }
        let rules = Rules {
            body_bytes: body_bytes.min(memory_bytes),
            hit_for_miss_ms: ms(written.hit_for_miss().0),
            waiters: written.waiters().0 as u32,
            wait_ms: ms(written.wait().0),
            ..Rules::default()
        };
        let shards = match written.shards() {
            Shards::Exactly(count) => count as usize,
            Shards::Auto => auto_shards(threads, memory_bytes, rules.body_bytes),
        };
        let shards_are_auto = matches!(written.shards(), Shards::Auto);
        (Cache { memory_bytes, shards, shards_are_auto, disk: self.disk(written) }, rules)
    }

    fn disk(&mut self, written: &file::Cache) -> Option<Disk> {
        let disk = written.disk.written()?;
        if written.memory().0 == 0 {
            let help =
                "what is on disk is found and sent through memory: raise cache.memory, or take disk away";
            self.error(disk.span(), "cache.disk needs cache.memory".to_owned(), help);
        }
        let path = disk.get_ref().path.written()?;
        if path.get_ref().is_empty() {
            let help = "write a folder, such as \"/var/cache/tidegate\"";
            self.error(path.span(), "cache.disk.path is empty".to_owned(), help);
        }
        let bytes = disk.get_ref().size().0;
        if bytes < 64 << 20 {
            let help = "write at least \"64 MiB\", or take disk away";
            self.error(
                disk.get_ref().size.span(),
                format!("cache.disk.size: {bytes} bytes are too few"),
                help,
            );
        }
        Some(Disk { path: path.get_ref().into(), bytes })
    }

    /// How a route caches; `base` is what the store says for all of them.
    pub(super) fn route_cache(
        &mut self,
        route: &file::Route,
        store: &Cache,
        base: &Rules,
    ) -> Option<RouteCache> {
        let cache = route.cache.get()?.on()?;
        self.takes_get(route, "cache", route.cache.span());
        let cookies = match (cache.cookies.get(), cache.template()) {
            (Some(file::Cookies::Ignore), _) | (None, Template::Standard) => Cookies::Ignore,
            (Some(file::Cookies::Bypass), _) | (None, Template::SessionApp) => Cookies::Bypass,
        };
        let time = |key: &crate::read::Key<crate::value::Time<1>>| key.get().map(|time| ms(time.0));
        let late = |key: &crate::read::Key<crate::value::Time<0>>| key.get().map(|time| ms(time.0));
        let rules = Rules {
            ttl_ms: time(&cache.ttl),
            negative_ttl_ms: time(&cache.negative),
            grace_ms: late(&cache.grace),
            stale_if_error_ms: late(&cache.stale_if_error),
            ignore_request_directives: cache.ignore_request_directives(),
            cookies,
            set_cookie: match cache.set_cookie() {
                file::SetCookie::Bypass => SetCookie::Bypass,
                file::SetCookie::Strip => SetCookie::Strip,
            },
            key: self.key_parts(&cache.key(), cookies),
            query: self.query(&cache.key()),
            sort_query: cache.key().sort_query(),
            body_bytes: self.largest_body(cache, store, base),
            variants: cache.max_variants().0 as u32,
            ..base.clone()
        };
        let made = RouteCache { rules, status: cache.status(), purge: self.purge(route, cache) };
        if store.memory_bytes == 0 {
            let help = "raise cache.memory, or leave cache out";
            self.warn(route.cache.span(), "cache has no effect while cache.memory is 0".to_owned(), help);
            return None;
        }
        Some(made)
    }

    fn largest_body(&mut self, cache: &file::RouteCache, store: &Cache, base: &Rules) -> u64 {
        let Some(size) = cache.max_body.written() else { return base.body_bytes };
        if store.memory_bytes > 0 && size.get_ref().0 > store.memory_bytes {
            let help = "raise cache.memory, or lower max_body";
            self.error(size.span(), "route.cache.max_body is larger than cache.memory".to_owned(), help);
        }
        size.get_ref().0
    }

    fn key_parts(&mut self, key: &file::CacheKey, cookies: Cookies) -> Vec<KeyPart> {
        let mut parts: Vec<KeyPart> = Vec::new();
        for name in key.headers().0 {
            let lower = name.get_ref().to_ascii_lowercase();
            self.field("route.cache.key.headers", &name, "", name.span());
            if let Some((_, help)) = NO_KEYS.iter().find(|(known, _)| *known == lower) {
                let message = format!("route.cache.key.headers: \"{lower}\" is no good part of a key");
                self.error(name.span(), message, *help);
            }
            self.part(&mut parts, KeyPart::Header(lower), &name);
        }
        let names = key.cookies().0;
        if let Some(first) = names.first().filter(|_| cookies == Cookies::Bypass) {
            let help = "write cookies = \"ignore\" in cache, or take them out of the key";
            let message = "route.cache.key.cookies: requests with cookies are not answered from the cache";
            self.error(first.span(), message.to_owned(), help);
        }
        for name in names {
            if !is_token(name.get_ref()) {
                let help = "write letters, digits, \"-\" and \"_\"";
                self.error(name.span(), format!("\"{}\" is no name for a cookie", name.get_ref()), help);
            }
            self.part(&mut parts, KeyPart::Cookie(name.get_ref().clone()), &name);
        }
        if key.device() {
            parts.push(KeyPart::Device);
        }
        parts
    }

    fn part(&mut self, parts: &mut Vec<KeyPart>, part: KeyPart, name: &Spanned<String>) {
        if parts.contains(&part) {
            let message = format!("\"{}\" stands twice in route.cache.key", name.get_ref());
            self.error(name.span(), message, "take one away");
        }
        parts.push(part);
    }

    fn query(&mut self, key: &file::CacheKey) -> QueryKey {
        let names = match key.query() {
            Query::Whole(WholeQuery::All) => return QueryKey::All,
            Query::Whole(WholeQuery::None) => return QueryKey::None,
            Query::Named(names) => names,
        };
        match (names.only.written(), names.except.written()) {
            (Some(only), None) => QueryKey::Only(self.parameters(only, "none")),
            (None, Some(except)) => QueryKey::Except(self.parameters(except, "all")),
            (only, _) => {
                if !names.has_mistakes {
                    let help = "write { only = [\"page\"] } or { except = [\"utm_*\"] }";
                    let what =
                        if only.is_some() { "both only and except" } else { "neither only nor except" };
                    self.error(key.query.span(), format!("route.cache.key.query has {what}"), help);
                }
                QueryKey::All
            }
        }
    }

    /// Names of parameters; `instead` is the word that says the same as no name at all.
    fn parameters(&mut self, written: &Spanned<List<String>>, instead: &str) -> Vec<String> {
        let names = written.get_ref();
        if names.0.is_empty() {
            let help = format!("write query = \"{instead}\"");
            self.error(written.span(), "route.cache.key.query names no parameter".to_owned(), help);
        }
        for name in &names.0 {
            let text = name.get_ref();
            let plain = text.strip_suffix('*').unwrap_or(text);
            let sound = |c: char| !c.is_control() && !matches!(c, '*' | '&' | '=' | '#');
            if text.is_empty() || !plain.chars().all(sound) {
                let help = "write a name, or its beginning with a star behind: \"page\", \"utm_*\"";
                self.error(name.span(), format!("\"{text}\" is no name for a parameter"), help);
            }
        }
        names.0.iter().map(|name| name.get_ref().clone()).collect()
    }

    fn purge(&mut self, route: &file::Route, cache: &file::RouteCache) -> Option<Purge> {
        let allowed = cache.purge.written()?;
        if allowed.get_ref().0.is_empty() {
            let help = "write purge = [\"127.0.0.0/8\"], or leave it out";
            self.error(allowed.span(), "route.cache.purge names no network".to_owned(), help);
        }
        let methods = route.method.get().map(|methods| methods.0.as_slice()).unwrap_or_default();
        if !methods.is_empty() && methods.iter().all(|method| method.get_ref() != "PURGE") {
            let help = "add \"PURGE\" to method, or leave purge out";
            self.error(allowed.span(), "route.cache.purge: the route does not take PURGE".to_owned(), help);
        }
        Some(Purge { networks: allowed.get_ref().0.iter().map(|network| network.get_ref().0).collect() })
    }
}

/// Four per thread, as long as two of the largest bodies fit into each, or one cannot keep anything else beside it.
fn auto_shards(threads: usize, memory_bytes: u64, body_bytes: u64) -> usize {
    let useful = (threads as u64 * 4).next_power_of_two().min(AUTO_SHARDS_MAX);
    let roomy = (memory_bytes / (2 * body_bytes).max(1)).max(1);
    useful.min(1 << roomy.ilog2()) as usize
}

fn ms(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_four_parts_per_thread_unless_they_were_too_small() {
        assert_eq!(auto_shards(2, 4 << 30, 32 << 20), 8);
        assert_eq!(auto_shards(3, 4 << 30, 32 << 20), 16);
        assert_eq!(auto_shards(2, 256 << 20, 32 << 20), 4);
        assert_eq!(auto_shards(64, 1 << 50, 1 << 20), 256);
        assert_eq!(auto_shards(8, 16 << 20, 16 << 20), 1);
        assert_eq!(auto_shards(8, 0, 0), 1);
    }
}
