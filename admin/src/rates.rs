//! Requests per second over the last seconds, from counts that only grow.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use signals::Totals;

/// Time from one sample to the next.
pub(crate) const EVERY: Duration = Duration::from_secs(2);

/// Samples kept; with [`EVERY`] the rates reach back some ten seconds.
const KEPT: usize = 6;

/// Samples of the counts, oldest first.
#[derive(Default)]
pub(crate) struct Rates {
    samples: VecDeque<(Instant, Sample)>,
}

/// Requests by name at one moment.
#[derive(Default)]
struct Sample {
    routes: HashMap<Arc<str>, u64>,
    upstreams: HashMap<Arc<str>, u64>,
    endpoints: HashMap<(Arc<str>, Arc<str>), u64>,
}

impl Rates {
    /// Keeps the counts of this moment.
    pub(crate) fn sample(&mut self, now: Instant, totals: &Totals) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        // What had no request yet is left out; it counts as zero.
        let routes = totals.routes.iter().map(|route| (Arc::clone(&route.name), route.requests()));
        let upstreams =
            totals.upstreams.iter().map(|upstream| (Arc::clone(&upstream.name), upstream.requests()));
        let endpoints = totals.endpoints.iter().map(|endpoint| {
            ((Arc::clone(&endpoint.upstream), Arc::clone(&endpoint.address)), endpoint.requests())
        });
        let sample = Sample {
            routes: routes.filter(|(_, count)| *count > 0).collect(),
            upstreams: upstreams.filter(|(_, count)| *count > 0).collect(),
            endpoints: endpoints.filter(|(_, count)| *count > 0).collect(),
        };
        self.samples.push_back((now, sample));
    }

    /// Rates from the oldest sample to `now`.
    pub(crate) fn since_oldest(&self, now: Instant) -> Since<'_> {
        let oldest = self.samples.front();
        let seconds = oldest.map_or(0.0, |(then, _)| now.duration_since(*then).as_secs_f64());
        Since { sample: oldest.map(|(_, sample)| sample), seconds }
    }
}

/// Rates since one sample.
#[derive(Clone, Copy)]
pub(crate) struct Since<'a> {
    sample: Option<&'a Sample>,
    seconds: f64,
}

impl Since<'_> {
    pub(crate) fn route(self, name: &Arc<str>, count: u64) -> f64 {
        self.rate(count, |sample| sample.routes.get(name).copied())
    }

    pub(crate) fn upstream(self, name: &Arc<str>, count: u64) -> f64 {
        self.rate(count, |sample| sample.upstreams.get(name).copied())
    }

    pub(crate) fn endpoint(self, name: &(Arc<str>, Arc<str>), count: u64) -> f64 {
        self.rate(count, |sample| sample.endpoints.get(name).copied())
    }

    fn rate(self, count: u64, before: impl Fn(&Sample) -> Option<u64>) -> f64 {
        let Some(sample) = self.sample else { return 0.0 };
        // A name that left and came back under a new place begins at zero again.
        let more = count.saturating_sub(before(sample).unwrap_or(0));
        // Over less than a tenth of a second a rate is mostly noise.
        more as f64 / self.seconds.max(0.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_reach_back_to_the_oldest_sample_kept() {
        let signals = signals::Signals::new(1);
        let (mut rates, start) = (Rates::default(), Instant::now());
        let name: Arc<str> = "/x".into();
        assert!(rates.since_oldest(start).route(&name, 5).abs() < f64::EPSILON);
        for step in 0..10 {
            rates.sample(start + EVERY * step, &signals.totals());
        }
        assert_eq!(rates.samples.len(), KEPT);
        // The oldest of the six was taken at 8 s.
        let rate = rates.since_oldest(start + Duration::from_secs(18)).route(&name, 500);
        assert!((rate - 50.0).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn a_count_that_restarted_is_no_negative_rate() {
        let signals = signals::Signals::new(1);
        let slot = signals.route("/x");
        signals.shard(0).finished(&crate::status::tests::finished(slot));
        let (mut rates, start) = (Rates::default(), Instant::now());
        rates.sample(start, &signals.totals());
        let name: Arc<str> = "/x".into();
        assert!(rates.since_oldest(start + EVERY).route(&name, 0).abs() < f64::EPSILON);
    }
}
