//! Kept-alive connections to endpoints, per core, with the idle timeout that each app turns out to
//! have.
//!
//! An app closes idle connections when it likes (gunicorn after 2 s, uvicorn and node after 5 s).
//! A request that is sent just then fails without having been heard. So the pool watches: the
//! oldest age at which a connection was still open before its endpoint closed it becomes the
//! endpoint's learned idle timeout, and older connections are not used again. A request that must
//! not be sent twice only goes on a connection that was used a moment ago.
//!
//! An endpoint that gets nothing new, because it is drained or no longer listed, finds its idle
//! connections closed: many an app that is told to stop waits for that.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use signals::{Shard, UpstreamSlot};
use traffic::endpoint::{Endpoint, EndpointId};

use crate::stream::Stream;

/// Connections idle for longer than this carry only requests that may be repeated.
const RECENT_MS: u64 = 1_000;

/// Closes that come earlier than this after a request say nothing about an idle timeout.
const LEAST_LEARNED_MS: u64 = 200;

/// A learned timeout is forgotten after this long without a close, in case the app was restarted
/// with another one.
const FORGET_MS: u64 = 10 * 60 * 1_000;

/// Idle connections of one core.
#[derive(Debug, Default)]
pub struct Pools {
    endpoints: HashMap<EndpointId, Pool, foldhash::fast::FixedState>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Idle>,
    learned: Option<Learned>,
    /// Gone once nobody lists it any more.
    endpoint: Weak<Endpoint>,
    /// Whose endpoint it is, for signals.
    upstream: Option<UpstreamSlot>,
    /// `idle_timeout` of the upstream when a connection was last put back.
    idle_timeout_ms: u64,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since_ms: u64,
    /// When it was last seen open.
    seen_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Learned {
    timeout_ms: u64,
    at_ms: u64,
}

impl Pools {
    /// A connection that was open a moment ago. With `once`, only one that was used so recently
    /// that its endpoint has no reason to have closed it.
    pub fn take(&mut self, endpoint: EndpointId, once: bool, now_ms: u64, shard: &Shard) -> Option<Stream> {
        let pool = self.endpoints.get_mut(&endpoint)?;
        let most = pool.most_age_ms(once);
        // The one used last is taken first: the rest may grow old and close.
        let last = pool.idle.last()?;
        if now_ms.saturating_sub(last.since_ms) > most {
            return None;
        }
        let mut idle = pool.idle.pop()?;
        if idle.stream.is_silent() {
            return Some(idle.stream);
        }
        // One closed connection seldom comes alone: look at them all before the next is given.
        pool.idle.push(idle);
        pool.look_over(now_ms, shard);
        let idle = pool.idle.pop()?;
        (now_ms.saturating_sub(idle.since_ms) <= most).then_some(idle.stream)
    }

    /// Keeps a connection for the next request; false when enough are kept already.
    pub fn put(
        &mut self,
        endpoint: &Arc<Endpoint>,
        stream: Stream,
        upstream: UpstreamSlot,
        settings: &config::Pool,
        now_ms: u64,
    ) -> bool {
        let pool = self.endpoints.entry(endpoint.id()).or_default();
        if pool.upstream.is_none() {
            pool.endpoint = Arc::downgrade(endpoint);
        }
        pool.idle_timeout_ms = settings.idle_timeout.as_millis() as u64;
        pool.upstream = Some(upstream);
        let kept = pool.idle.len() < settings.idle;
        if kept {
            pool.idle.push(Idle { stream, since_ms: now_ms, seen_ms: now_ms });
        }
        kept
    }

    /// A kept-alive connection failed before a byte of the response: its endpoint had closed it.
    pub fn stale(&mut self, endpoint: EndpointId, now_ms: u64, shard: &Shard) {
        if let Some(pool) = self.endpoints.get_mut(&endpoint) {
            pool.look_over(now_ms, shard);
        }
    }

    /// Closes what is too old or was closed by its endpoint, and learns from it. Called every tick.
    pub fn look_over(&mut self, now_ms: u64, shard: &Shard) {
        self.endpoints.retain(|_, pool| {
            pool.look_over(now_ms, shard);
            if pool.learned.is_some_and(|learned| now_ms.saturating_sub(learned.at_ms) > FORGET_MS) {
                pool.learned = None;
            }
            !pool.idle.is_empty() || pool.learned.is_some()
        });
    }

    /// Closes every idle connection.
    pub fn clear(&mut self) {
        for pool in self.endpoints.values_mut() {
            pool.idle.clear();
        }
    }

    /// Idle connections held.
    pub fn len(&self) -> usize {
        self.endpoints.values().map(|pool| pool.idle.len()).sum()
    }

    /// The idle timeout that an endpoint was seen to have.
    pub fn learned(&self, endpoint: EndpointId) -> Option<Duration> {
        Some(Duration::from_millis(self.endpoints.get(&endpoint)?.learned?.timeout_ms))
    }
}

impl Pool {
    /// Oldest age at which a connection may still be used.
    fn most_age_ms(&self, once: bool) -> u64 {
        let most = self.learned.map_or(self.idle_timeout_ms, |learned| {
            // A tenth less than what was seen: the app's clock and ours do not start together.
            self.idle_timeout_ms.min(learned.timeout_ms - learned.timeout_ms / 10)
        });
        if once {
            most.min(RECENT_MS).min(self.learned.map_or(RECENT_MS, |l| l.timeout_ms / 2))
        } else {
            most
        }
    }

    fn look_over(&mut self, now_ms: u64, shard: &Shard) {
        let most = self.most_age_ms(false);
        let has_left = self.endpoint.upgrade().is_none_or(|endpoint| endpoint.is_draining());
        let mut learned_ms = None;
        let count = |why| {
            if let Some(upstream) = self.upstream {
                shard.upstream_closed(upstream, why);
            }
        };
        self.idle.retain_mut(|idle| {
            if !idle.stream.is_silent() {
                count("closed_by_endpoint");
                let age_ms = idle.seen_ms.saturating_sub(idle.since_ms);
                learned_ms = Some(learned_ms.map_or(age_ms, |least: u64| least.min(age_ms)));
                return false;
            }
            idle.seen_ms = now_ms;
            if has_left {
                count("endpoint_left");
                return false;
            }
            let stays = now_ms.saturating_sub(idle.since_ms) <= most;
            if !stays {
                count("idle");
            }
            stays
        });
        if let Some(age_ms) = learned_ms {
            self.learn_age(age_ms, now_ms);
        }
    }

    fn learn_age(&mut self, age_ms: u64, now_ms: u64) {
        if age_ms < LEAST_LEARNED_MS {
            return; // A restart or a crash, not an idle timeout.
        }
        let timeout_ms = self.learned.map_or(age_ms, |learned| learned.timeout_ms.min(age_ms));
        self.learned = Some(Learned { timeout_ms, at_ms: now_ms });
    }
}

#[cfg(test)]
mod tests {
    use traffic::endpoint::Address;

    use super::*;

    fn pair() -> (Stream, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64);
        (Stream::Memory(ours), theirs)
    }

    fn settings(idle: usize) -> config::Pool {
        config::Pool { idle, idle_timeout: Duration::from_mins(1) }
    }

    fn put(pools: &mut Pools, endpoint: &Arc<Endpoint>, stream: Stream, idle: usize, now_ms: u64) -> bool {
        let upstream = signals::Signals::new(1).upstream("app");
        pools.put(endpoint, stream, upstream, &settings(idle), now_ms)
    }

    fn endpoint() -> Arc<Endpoint> {
        Endpoint::new(Address::Unix("app".into()), 1, false)
    }

    #[tokio::test]
    async fn a_connection_that_its_endpoint_closed_is_not_given_out() {
        let (mut pools, app) = (Pools::default(), endpoint());
        let (ours, theirs) = pair();
        put(&mut pools, &app, ours, 8, 0);
        drop(theirs);
        assert!(pools.take(app.id(), false, 10, &Shard::default()).is_none());
    }

    #[tokio::test]
    async fn the_idle_timeout_of_an_app_is_learned_from_its_close() {
        let (mut pools, app) = (Pools::default(), endpoint());
        let (ours, theirs) = pair();
        put(&mut pools, &app, ours, 8, 0);
        for now in (100..=2_000).step_by(100) {
            pools.look_over(now, &Shard::default());
        }
        drop(theirs);
        pools.look_over(2_100, &Shard::default());
        assert_eq!(pools.learned(app.id()), Some(Duration::from_secs(2)));
        let (ours, _theirs) = pair();
        put(&mut pools, &app, ours, 8, 3_000);
        assert!(
            pools.take(app.id(), false, 4_900, &Shard::default()).is_none(),
            "older than 90 % of the learned timeout"
        );
    }

    #[tokio::test]
    async fn a_request_that_must_not_repeat_gets_only_a_recent_connection() {
        let (mut pools, app) = (Pools::default(), endpoint());
        let (ours, _theirs) = pair();
        put(&mut pools, &app, ours, 8, 0);
        assert!(pools.take(app.id(), true, 1_500, &Shard::default()).is_none());
        assert!(pools.take(app.id(), false, 1_500, &Shard::default()).is_some());
    }

    #[tokio::test]
    async fn no_more_connections_are_kept_than_allowed() {
        let (mut pools, app) = (Pools::default(), endpoint());
        let mut ends = Vec::new();
        for _ in 0..5 {
            let (ours, theirs) = pair();
            ends.push(theirs);
            put(&mut pools, &app, ours, 2, 0);
        }
        assert_eq!(pools.len(), 2);
    }
}
