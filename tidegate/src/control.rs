//! What may be done with the running process: reload, drain, look. The admin listener and the
//! signals of the system both come through here.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admin::{
    Drain, DrainRefused, Entries, EntryStatus, Explanation, NotReady, PurgeOrder, PurgeWhat, Question,
    Reloaded, Reloading, SurgeOrder,
};
use cache::UnixMs;
use cache::store::Listed;
use proxy::Server;
use proxy::control::note;
use proxy::core::Shared;
use proxy::explain::Asked;
use proxy::limits;
use proxy::purge;
use signals::{
    BreakerReading, EndpointReading, LimitedKey, Observed, QueueReading, Reload, RoomReading, Signals,
    SurgeReading,
};
use tokio::sync::mpsc;
use traffic::balance::Policy;
use traffic::breaker;
use traffic::endpoint::State;

use crate::explain::explanation;
use crate::run::{Source, fit_connections, shown};

/// The running process as its operators see it.
pub struct Control {
    /// `None` once it is being shut down.
    server: Mutex<Option<Server>>,
    shared: Arc<Shared>,
    source: Source,
    signals: Arc<Signals>,
    /// Asks for a reload from another thread.
    wake: mpsc::Sender<()>,
}

impl Control {
    /// Control over a server that runs by `source`.
    pub fn new(server: Server, source: Source, signals: Arc<Signals>, wake: mpsc::Sender<()>) -> Self {
        let shared = Arc::clone(server.shared());
        Self { server: Mutex::new(Some(server)), shared, source, signals, wake }
    }

    /// What the cores share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where the configuration comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// A sender that asks for a reload.
    pub fn wake(&self) -> mpsc::Sender<()> {
        self.wake.clone()
    }

    /// From here on `/ready` fails.
    pub fn fail_readiness(&self) {
        self.shared.leave();
    }

    /// Takes the server out, to shut it down.
    pub fn take_server(&self) -> Option<Server> {
        self.server().take()
    }

    /// Opens the access log again after it was rotated.
    pub fn reopen_log(&self) {
        if let Some(server) = self.server().as_ref() {
            server.reopen_log();
            tracing::info!("access log: opened again");
        }
    }

    /// Reads the configuration again and puts it in force; what has happened, and what has no effect or none yet, for a
    /// person. The log says it too.
    ///
    /// # Errors
    /// What is wrong with it, for a person; nothing has changed then.
    pub fn reload_now(&self) -> Result<String, String> {
        let result = self.try_reload();
        self.signals.reloaded(if result.is_ok() { Reload::Applied } else { Reload::Refused });
        match &result {
            Ok((text, warnings)) if warnings.is_empty() => tracing::info!("reload: {text}"),
            Ok((text, warnings)) => tracing::warn!("reload: {text}\n{}", warnings.trim_end()),
            Err(text) => tracing::error!("configuration refused, the old one stays in force\n{text}"),
        }
        result.map(|(text, warnings)| format!("{text}\n{warnings}"))
    }

    /// What has happened, and the warnings.
    fn try_reload(&self) -> Result<(String, String), String> {
        let (mut plan, mut warnings) = self.source.read(false)?;
        let server = self.server();
        let Some(server) = server.as_ref() else { return Err("error: Tidegate is leaving\n".to_owned()) };
        let unfit = fit_connections(&mut plan);
        let before = self.shared.live();
        // Where nothing has changed, it was said before.
        let is_news = plan.server.limits.connections != before.plan.server.limits.connections;
        warnings.extend(unfit.filter(|_| is_news).map(|unfit| format!("warning: {unfit}\n")));
        let waiting = plan.keep(&before.plan);
        let waits = |key: &&str| format!("warning: {key} stays as it is until the next start\n");
        warnings.extend(waiting.iter().map(waits));
        let ended = server.reload(plan).map_err(|error| format!("error: {error}\n"))?;
        let surge = match (self.shared.live().surge_on(), ended) {
            (Some(on), _) => format!(", surge {} is still on", on.profile),
            (None, Some(on)) => {
                format!(", surge {0} is off, for there is no [surge.{0}] any more", on.profile)
            }
            (None, None) => String::new(),
        };
        Ok((format!("the configuration is in force{surge}"), warnings))
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed for Control {
    fn cache(&self) -> cache::Usage {
        self.shared.cache_usage()
    }

    fn queues(&self, each: &mut dyn FnMut(QueueReading<'_>)) {
        for upstream in &self.shared.live().upstreams {
            let slots = upstream.traffic.slots(self.shared.now());
            each(QueueReading {
                upstream: &upstream.plan.name,
                limit: slots.limit.map(u64::from),
                is_adaptive: slots.is_adaptive,
                taken: slots.taken.into(),
                in_flight: slots.in_flight.into(),
                waiting: slots.standing.waiting,
                most_waiting: slots.standing.limit,
            });
        }
    }

    fn limits(&self) -> traffic::limit::Usage {
        self.shared.live().limits.usage()
    }

    fn limited(&self, most: usize) -> Vec<LimitedKey> {
        limits::limited(&self.shared.live(), most)
    }

    fn rooms(&self, each: &mut dyn FnMut(RoomReading<'_>)) {
        let now_ms = self.shared.unix_ms();
        for room in &self.shared.live().rooms {
            let reading = room.line.reading(now_ms, &room.plan.settings);
            each(RoomReading { name: &room.plan.name, reading });
        }
    }

    fn surges(&self, each: &mut dyn FnMut(SurgeReading<'_>)) {
        let (live, now_ms) = (self.shared.live(), self.shared.unix_ms());
        for profile in &live.plan.surges {
            let on = live.surge_on().filter(|on| on.profile == profile.name);
            each(SurgeReading {
                profile: &profile.name,
                tightens: &live.plan.tightens(profile),
                on: on.map(|on| Duration::from_millis(now_ms.saturating_sub(on.since_ms))),
                left: on.and_then(|on| on.left(now_ms)),
            });
        }
    }

    fn breakers(&self, each: &mut dyn FnMut(BreakerReading<'_>)) {
        let now = self.shared.now();
        let live = self.shared.live();
        for upstream in live.upstreams.iter().filter(|upstream| upstream.plan.breaker.is_some()) {
            let state = upstream.breaker.state();
            let (left, why) = match state {
                breaker::State::Open { until, why } => (Some(until.since(now)), why.to_string()),
                _ => (None, String::new()),
            };
            each(BreakerReading {
                upstream: &upstream.plan.name,
                state: state.code(),
                why: &why,
                counts: upstream.breaker.counts(),
                left,
            });
        }
    }

    fn endpoints(&self, each: &mut dyn FnMut(EndpointReading<'_>)) {
        let now = self.shared.now();
        for upstream in &self.shared.live().upstreams {
            let ewma_decay = match upstream.plan.traffic.policy {
                Policy::PeakEwma { decay } => Some(decay),
                _ => None,
            };
            for endpoint in upstream.traffic.endpoints().iter() {
                let state = endpoint.state(now);
                let why = match state {
                    State::Ejected { why, .. } => why.to_string(),
                    State::Down { why } => why.to_string(),
                    _ => String::new(),
                };
                each(EndpointReading {
                    upstream: &upstream.plan.name,
                    address: &endpoint.address().to_string(),
                    state: state.code(),
                    available: state.is_usable(),
                    why: &why,
                    in_flight: u64::from(endpoint.in_flight()),
                    weight: endpoint.weight(),
                    backup: endpoint.backup(),
                    ewma: ewma_decay.and_then(|decay| endpoint.latency(now, decay)),
                });
            }
        }
    }
}

impl admin::Control for Control {
    fn not_ready(&self) -> Vec<NotReady> {
        if self.shared.is_leaving() { vec![NotReady::Draining] } else { Vec::new() }
    }

    fn listeners(&self) -> Vec<String> {
        self.server().as_ref().map_or_else(Vec::new, |server| server.addresses().iter().map(shown).collect())
    }

    fn reload(&self) -> Reloading<'_> {
        Box::pin(async move {
            match self.reload_now() {
                Ok(text) => Reloaded { result: Reload::Applied, text },
                Err(text) => Reloaded { result: Reload::Refused, text },
            }
        })
    }

    fn drain(&self, upstream: &str, endpoint: &str, is_on: bool) -> Result<Drain, DrainRefused> {
        let live = self.shared.live();
        let Some(found) = live.upstream(upstream) else {
            let known = live.upstreams.iter().map(|upstream| upstream.plan.name.clone()).collect();
            return Err(DrainRefused::NoUpstream { known });
        };
        let endpoints = found.traffic.endpoints();
        let Some(endpoint) = endpoints.iter().find(|known| known.address().to_string() == endpoint) else {
            let known = endpoints.iter().map(|endpoint| endpoint.address().to_string()).collect();
            return Err(DrainRefused::NoEndpoint { known });
        };
        let transition = endpoint.drain(is_on, self.shared.now());
        let is_changed = transition.is_some();
        note(&self.signals.shard(self.shared.threads + 1), found, transition);
        Ok(Drain { is_changed, in_flight: u64::from(endpoint.in_flight()) })
    }

    fn explain(&self, question: &Question) -> Result<Explanation, String> {
        let asked = Asked::read(&question.method, &question.url, &question.headers)?;
        let asked = Asked { client: question.client, ..asked };
        Ok(explanation(&self.shared.live(), Some(&self.shared), &asked))
    }

    fn surge(&self, order: &SurgeOrder) -> Result<String, String> {
        let server = self.server();
        let server = server.as_ref().ok_or("Tidegate is leaving")?;
        let SurgeOrder::On { profile, lasts } = order else {
            return Ok(match server.surge_off() {
                Some(on) => format!("surge {} is off", on.profile),
                None => "no surge was on".to_owned(),
            });
        };
        let switched = server.surge_on(profile.as_deref(), *lasts);
        let (on, before) = switched.map_err(|no| no.to_string())?;
        let tightens = self.shared.live().tightens(&on);
        let until = match lasts {
            Some(lasts) => format!("for {lasts:?}"),
            None => "until it is switched off".to_owned(),
        };
        let place = before.filter(|before| before.profile != on.profile);
        let place = place.map_or_else(String::new, |before| format!(" in place of {}", before.profile));
        Ok(format!("surge {} is on{place} {until}: {}", on.profile, tightens))
    }

    fn purge(&self, order: &PurgeOrder) -> Result<u64, String> {
        let what = match &order.what {
            PurgeWhat::Url(url) => purge::What::Url(url),
            PurgeWhat::Prefix(prefix) => purge::What::Prefix(prefix),
            PurgeWhat::Tag(tag) => purge::What::Tag(tag),
            PurgeWhat::All => purge::What::All,
        };
        purge::purge(&self.shared, what, order.soft)
    }

    fn stored(&self, prefix: Option<&str>, most: usize) -> Result<Entries, String> {
        let prefixes = match prefix {
            Some(prefix) => purge::prefixes(&self.shared, prefix)?,
            None => vec![Vec::new()],
        };
        let listed = prefixes.iter().flat_map(|prefix| self.shared.cache.list(prefix, most)).take(most);
        let mut found = self.with_those_on_disk(&listed.collect::<Vec<_>>(), &prefixes, most);
        found.entries.sort_by(|one, other| (&one.url, &one.variant).cmp(&(&other.url, &other.variant)));
        Ok(found)
    }

    fn top(&self, most: usize) -> Entries {
        self.with_those_on_disk(&self.shared.cache.top(most), &[Vec::new()], most)
    }
}

impl Control {
    /// Entries in memory, and as far as there is room for them in the list those that are only on disk.
    fn with_those_on_disk(&self, listed: &[Listed], prefixes: &[Vec<u8>], most: usize) -> Entries {
        let now = self.shared.unix_ms();
        let mut entries: Vec<EntryStatus> = listed.iter().map(|listed| entry(listed, now)).collect();
        let mut is_cut = entries.len() == most;
        let Some(disk) = self.shared.disk.get() else { return Entries { entries, is_cut, on_disk: 0 } };
        if !is_cut {
            // All that is in memory is listed, so that what is there as well is left out here.
            let known: HashSet<_> = listed.iter().map(|one| (one.entry.key(), one.entry.vary())).collect();
            let (below, may_be_more) = disk.list(prefixes, most);
            let below = below.into_iter().filter(|entry| !known.contains(&(entry.key(), entry.vary())));
            let below = below.map(|below| Listed { entry: below, hits: 0 });
            entries.extend(below.map(|listed| EntryStatus {
                on_disk: true,
                cost_bytes: 0,
                ..entry(&listed, now)
            }));
            is_cut = may_be_more || entries.len() > most;
            entries.truncate(most);
        }
        Entries { entries, is_cut, on_disk: disk.usage().entries }
    }
}

/// An entry as people are shown it.
fn entry(listed: &Listed, now: UnixMs) -> EntryStatus {
    let entry = &listed.entry;
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Without the route's rules, which may have changed since, only the values of the key's parts are known.
    let parts = entry.key()[entry.url().len()..].split(|&byte| byte == 0).skip(1);
    let parts = parts.map(|part| shown(part.strip_prefix(b"=").unwrap_or(part)));
    let varied = entry.vary().into_iter().flat_map(cache::vary::members).map(|(name, value)| match value {
        Some(value) => format!("{}={}", shown(name), shown(value)),
        None => format!("{}-", shown(name)),
    });
    EntryStatus {
        url: shown(entry.url()),
        variant: parts.chain(varied).collect(),
        status: entry.status(),
        body_bytes: entry.body().len_bytes(),
        cost_bytes: entry.cost_bytes(),
        hits: listed.hits,
        age_ms: entry.age_ms(now),
        fresh_ms: fresh_ms(entry.terms().fresh_until_ms, now),
        tags: entry.tags().count() as u64,
        on_disk: false,
    }
}

/// How long something is fresh; negative since when it is not.
fn fresh_ms(until: UnixMs, now: UnixMs) -> i64 {
    i64::try_from(i128::from(until) - i128::from(now)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stale_has_less_than_no_time_left() {
        assert_eq!(
            [(7, 5), (5, 7), (u64::MAX, 0)].map(|(until, now)| fresh_ms(until, now)),
            [2, -2, i64::MAX]
        );
    }
}
