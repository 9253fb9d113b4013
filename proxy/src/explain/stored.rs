//! What the cache has to do with a request, in words: whether the route has one, the key, what is stored, what would
//! come of it, and what changes that.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use cache::freshness::{self, Use};
use cache::rules::{Cookies, KeyPart, QueryKey, SetCookie};
use cache::store::{Foreseen, Peek};
use cache::{Ask, Bypass, Entry, Key, Rules, UnixMs, vary};
use config::RouteCache;
use traffic::client::Proto;

use super::Asked;
use crate::cached;
use crate::core::Shared;
use crate::exchange::{Asker, Exchange};
use crate::live::Live;
use crate::purge;

/// What is explained.
pub struct Of<'a> {
    pub live: &'a Live,
    pub shared: Option<&'a Shared>,
    pub asked: &'a Asked,
    pub route: &'a config::Route,
}

/// What is found under one of the schemes.
struct Found {
    proto: Proto,
    key: Vec<u8>,
    url_len: usize,
    /// `None` without a running process.
    peek: Option<Peek>,
    /// What is in `peek` was found on disk and not in memory.
    is_on_disk: bool,
}

impl Of<'_> {
    /// Says it step by step. Breaks where the request ends here, whatever the cache holds.
    pub fn explain(
        &self,
        exchange: &mut Exchange,
        say: &mut impl FnMut(&'static str, String),
    ) -> ControlFlow<()> {
        let Some(cache) = &self.route.cache else {
            say("cache", self.off());
            return ControlFlow::Continue(());
        };
        if let Some(purge) = &cache.purge
            && purge::is_named(exchange)
        {
            let networks: Vec<String> = purge.networks.iter().map(ToString::to_string).collect();
            let networks = networks.join(", ");
            say("cache", format!("PURGE takes the URL out, for clients of {networks}; others get 403"));
            return ControlFlow::Break(());
        }
        say("cache", self.rules(cache));
        if let Err(why) = self.looked_up(exchange, &cache.rules, say) {
            say("cache", bypass(why));
        }
        ControlFlow::Continue(())
    }

    /// What is found, and what would come of it.
    fn looked_up(
        &self,
        exchange: &mut Exchange,
        rules: &Rules,
        say: &mut impl FnMut(&'static str, String),
    ) -> Result<(), Bypass> {
        let found = self.find(exchange, rules)?;
        say("cache", format!("key {}", key_in_words(&found, rules)));
        let (Some(peek), Some(shared)) = (&found.peek, self.shared) else {
            say("cache", "whether it is stored, only the running process knows: leave out -c".to_owned());
            return Ok(());
        };
        if (found.proto == Proto::Https) != self.asked.is_https {
            let what = "requests come as http unless a proxy in [server] trusted_proxies says https";
            say("cache", format!("stored under {}: {what}", found.proto.as_str()));
        }
        let now = shared.unix_ms();
        match &peek.entry {
            Some(entry) => stored(entry, (!found.is_on_disk).then_some(peek.hits), now, say),
            None => say("cache", "nothing is stored for it".to_owned()),
        }
        let ask = Ask::read(&exchange.head, &exchange.input, rules)?;
        say("cache", outcome(peek, &ask, rules, now));
        if found.is_on_disk {
            say("cache", "it is read into memory first, which a large body is not".to_owned());
        }
        Ok(())
    }

    fn off(&self) -> String {
        if self.live.plan.cache.memory_bytes == 0 {
            return "off: cache.memory is 0".to_owned();
        }
        format!("off: {}", Bypass::Off.what())
    }

    /// What the route says about caching, and where.
    fn rules(&self, cache: &RouteCache) -> String {
        let Rules { ttl_ms, negative_ttl_ms, grace_ms, stale_if_error_ms, .. } = cache.rules;
        let mut text = match ttl_ms {
            Some(ttl) => format!("on: answers that say nothing are kept for {}", time(ttl)),
            None => "on: answers are kept if they say for how long (ttl is not set)".to_owned(),
        };
        // Writing to a String does not fail.
        for (what, ms) in [
            ("errors for", negative_ttl_ms),
            ("grace", grace_ms),
            ("stale if the upstream fails", stale_if_error_ms),
        ] {
            if let Some(ms) = ms {
                let _ = write!(text, ", {what} {}", time(ms));
            }
        }
        if cache.rules.cookies == Cookies::Bypass {
            text.push_str(", requests with cookies kept apart");
        }
        if cache.rules.set_cookie == SetCookie::Strip {
            text.push_str(", Set-Cookie taken off");
        }
        if cache.rules.ignore_request_directives {
            text.push_str(", directives of requests not listened to");
        }
        match self.route.line {
            0 => text,
            line => text + &format!("; to change it, see cache of the route in line {line}"),
        }
    }

    /// Looks under the scheme that the URL names, and if nothing is there, under the other.
    fn find(&self, exchange: &mut Exchange, rules: &Rules) -> Result<Found, Bypass> {
        let (first, second) =
            if self.asked.is_https { (Proto::Https, Proto::Http) } else { (Proto::Http, Proto::Https) };
        let is_stored = |found: &Found| found.peek.as_ref().is_some_and(|peek| peek.entry.is_some());
        let found = self.find_under(first, exchange, rules)?;
        if is_stored(&found) {
            return Ok(found);
        }
        Ok(Some(self.find_under(second, exchange, rules)?).filter(is_stored).unwrap_or(found))
    }

    fn find_under(&self, proto: Proto, exchange: &mut Exchange, rules: &Rules) -> Result<Found, Bypass> {
        exchange.asker = Some(Asker::local(proto));
        let ask = Ask::read(&exchange.head, &exchange.input, rules)?.by(exchange.is_trusted());
        // Without a process no hash is compared with another, so that any seed does.
        let seed = self.shared.map_or_else(|| cache::key::Seed::new(0), |shared| shared.cache.seed().clone());
        let mut bytes = Vec::new();
        let key = Key::write(&mut bytes, &cached::url(exchange), &ask, rules, &seed);
        let mut peek = self.shared.map(|shared| shared.cache.peek(&key, &ask, shared.unix_ms()));
        let mut is_on_disk = false;
        if let (Some(peek), Some(shared)) = (&mut peek, self.shared)
            && peek.entry.is_none()
            && matches!(peek.outcome, Foreseen::Fill | Foreseen::NotHere)
            && let Some(entry) = shared.disk.get().and_then(|disk| disk.peek(&key, &ask, &shared.cache))
        {
            is_on_disk = true;
            peek.outcome = match freshness::decide(&entry.terms(), &ask, shared.unix_ms()) {
                Use::Fresh => Foreseen::Hit,
                Use::StaleWanted => Foreseen::Stale { refresh: false },
                Use::StaleWhileRevalidate => Foreseen::Stale { refresh: true },
                Use::Validate(_) => peek.outcome,
                Use::Pass(why) => Foreseen::Pass(why),
            };
            peek.entry = Some(entry);
        }
        let url_len = key.url().len();
        Ok(Found { proto, key: bytes, url_len, peek, is_on_disk })
    }
}

fn bypass(why: Bypass) -> String {
    format!("bypass ({}): {}", why.code(), why.what())
}

/// The key, its parts by name.
fn key_in_words(found: &Found, rules: &Rules) -> String {
    let (url, parts) = found.key.split_at(found.url_len);
    let mut text = url.escape_ascii().to_string();
    for (part, value) in rules.key.iter().zip(parts.split(|&byte| byte == 0).skip(1)) {
        let name = match part {
            KeyPart::Header(name) => format!("header {name}"),
            KeyPart::Cookie(name) => format!("cookie {name}"),
            KeyPart::Device => "device".to_owned(),
            KeyPart::Fixed(_) => "route".to_owned(),
        };
        // Writing to a String does not fail.
        let _ = match value.strip_prefix(b"=") {
            Some(value) => write!(text, ", {name} {:?}", value.escape_ascii().to_string()),
            None => write!(text, ", no {name}"),
        };
    }
    text.push_str(match rules.query {
        QueryKey::All => "",
        QueryKey::None => "; the query does not count",
        QueryKey::Only(_) | QueryKey::Except(_) => "; only a part of the query counts",
    });
    text
}

/// What is stored.
fn stored(entry: &Entry, hits: Option<u32>, now: UnixMs, say: &mut impl FnMut(&'static str, String)) {
    let terms = entry.terms();
    let (status, bytes, age) = (entry.status(), entry.body().len_bytes(), time(entry.age_ms(now)));
    let place = if hits.is_some() { "stored" } else { "stored on disk" };
    let mut text = format!("{place}: {status}, {bytes} bytes, {age} old, ");
    // Writing to a String does not fail.
    let _ = match terms.fresh_until_ms.checked_sub(now).filter(|left| *left > 0) {
        Some(left) => write!(text, "fresh for {} until {}", time(left), date(terms.fresh_until_ms)),
        None => write!(text, "stale since {}", date(terms.fresh_until_ms)),
    };
    if !terms.never_stale && terms.stale_until_ms > terms.fresh_until_ms && terms.stale_until_ms > now {
        let _ = write!(text, ", given out stale until {}", date(terms.stale_until_ms));
    }
    if let Some(hits) = hits {
        let _ = write!(text, ", hit {hits} times");
    }
    let _ = write!(text, ", {} tags", entry.tags().count());
    say("cache", text);
    if let Some(spec) = entry.vary() {
        let mut text = "variant by Vary:".to_owned();
        for (index, (name, value)) in vary::members(spec).enumerate() {
            text.push_str(if index == 0 { " " } else { ", " });
            let _ = match value {
                Some(value) => write!(text, "{} {:?}", name.escape_ascii(), value.escape_ascii().to_string()),
                None => write!(text, "no {}", name.escape_ascii()),
            };
        }
        say("cache", text);
    }
}

/// What would come of the request.
fn outcome(peek: &Peek, ask: &Ask<'_>, rules: &Rules, now: UnixMs) -> String {
    let cause = peek.entry.as_ref().map(|entry| freshness::decide(&entry.terms(), ask, now));
    match (peek.outcome, cause) {
        (Foreseen::Hit, _) => "hit: answered from here, the upstream is not asked".to_owned(),
        (Foreseen::Stale { refresh: true }, _) => {
            "stale: answered from here, and fetched anew behind; a longer lifetime is max-age of the app, or ttl".to_owned()
        }
        (Foreseen::Stale { refresh: false }, _) => {
            "stale: answered from here; another request is fetching it, or the upstream failed a moment ago".to_owned()
        }
        (Foreseen::Follow, _) => "collapsed: another request is fetching it, and this one waits for that".to_owned(),
        (Foreseen::Fill, Some(Use::Validate(cause))) => {
            format!("the upstream is asked whether what is stored is still good ({})", cause.code())
        }
        (Foreseen::Fill, _) if rules.ttl_ms.is_none() => {
            "miss: it is fetched, and kept if the answer says how long; set ttl for those that say nothing".to_owned()
        }
        (Foreseen::Fill, _) => {
            "miss: it is fetched, and kept unless the answer says no: Cache-Status would say why".to_owned()
        }
        (Foreseen::Pass(why), _) => bypass(why),
        (Foreseen::NotHere, _) => "504: the request wants only what is stored, and that is nothing".to_owned(),
    }
}

fn date(at: UnixMs) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(at))
}

/// A time in its two largest units.
fn time(ms: u64) -> String {
    let (seconds, minutes, hours, days) = (ms / 1000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{ms}ms"),
        (0, 0, 0, _) => format!("{seconds}s"),
        (0, 0, ..) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_their_two_largest_units() {
        let times = [0, 999, 1_000, 59_999, 61_000, 3_660_000, 90_000_000].map(time);
        assert_eq!(times, ["0ms", "999ms", "1s", "59s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}
