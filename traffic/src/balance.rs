//! Which of the usable endpoints gets the next request: one function per policy.
//!
//! All of them read shared counters and allocate nothing. Who is usable at all is decided before, in
//! [`crate::upstream`]; here that decision is a `Field`, a question that each endpoint answers.

use crate::endpoint::{Endpoint, EndpointId};
use crate::moment::Moment;
use core::cmp::Ordering::{Greater, Less};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

/// How the load is spread over the endpoints of an upstream. Weights count in every policy.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Policy {
    /// The endpoint with the fewest requests in flight for its weight, counted over all cores; among
    /// equals chance decides, by weight. So a lone client, too, is spread by weight.
    #[default]
    LeastRequests,
    /// In turn, smoothly weighted as nginx does it: weights 5, 1, 1 give a a b a c a a.
    RoundRobin,
    /// The cheaper of two endpoints drawn at random, the cost being its moving average of latency
    /// (peak EWMA, as in Finagle) times the requests it would then have, by weight.
    PeakEwma {
        /// Time after which an old latency counts 1/e.
        decay: Duration,
    },
    /// The same client at the same endpoint, as long as it is usable: no bound on the load.
    Client,
    /// The same key at the same endpoint, but none gets more than `bound` times its fair share of the
    /// requests in flight; what is above goes to the key's next choice.
    Hash {
        /// At least 1; infinity means no bound. [`Policy::HASH_BOUND`] is a good value.
        bound: f64,
    },
    /// The endpoint that the client's cookie names; without one, or when it is not usable, the one
    /// that least-requests picks, and the cookie is set.
    Sticky,
}

impl Policy {
    /// Default bound of [`Policy::Hash`], the one its paper and most implementations settle on.
    pub const HASH_BOUND: f64 = 1.25;
    /// Default decay of [`Policy::PeakEwma`].
    pub const EWMA_DECAY: Duration = Duration::from_secs(10);

    /// The word for it in the configuration.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LeastRequests => "least-requests",
            Self::RoundRobin => "round-robin",
            Self::PeakEwma { .. } => "peak-ewma",
            Self::Client => "client",
            Self::Hash { .. } => "hash",
            Self::Sticky => "sticky",
        }
    }
}

/// A key's number for [`Policy::Hash`] and [`Policy::Client`]: FNV-1a with the finish of SplitMix64.
/// It is part of the contract that it never changes, for instances of different ages and a process
/// before and after its restart must send a key to the same endpoint.
pub fn hash_key(key: &[u8]) -> u64 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

/// The finish of SplitMix64: every bit of the input reaches every bit of the output.
pub(crate) const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The endpoints that may be picked for one request.
pub(crate) struct Field<'a> {
    pub(crate) endpoints: &'a [Arc<Endpoint>],
    pub(crate) now: Moment,
    pub(crate) slow_start: Duration,
    pub(crate) tried: &'a [EndpointId],
    /// Primaries or backups.
    pub(crate) backup: bool,
    /// Whether judgements are ignored.
    pub(crate) panic: bool,
    /// Only endpoints with a free slot beyond this share of them; `None`: any.
    pub(crate) kept_share: Option<f64>,
    /// How many endpoints are admitted; other cores may change that at any time.
    pub(crate) admitted: usize,
}

impl<'a> Field<'a> {
    fn admits(&self, endpoint: &Endpoint) -> bool {
        endpoint.backup() == self.backup
            && endpoint.weight() > 0
            && endpoint.is_open(self.now, self.panic)
            && !self.tried.contains(&endpoint.id())
            && self.kept_share.is_none_or(|share| endpoint.slots().has_room(share))
    }

    /// The same, and those without a free slot too: for who wants one endpoint and no other.
    pub(crate) fn crowded(&self) -> Self {
        Self { kept_share: None, ..*self }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &'a Arc<Endpoint>)> {
        self.endpoints.iter().enumerate().filter(|(_, endpoint)| self.admits(endpoint))
    }

    fn weight(&self, endpoint: &Endpoint) -> u64 {
        endpoint.effective_weight(self.now, self.slow_start)
    }

    /// Fewest requests in flight for the weight; equals by chance. The requests without the one to
    /// come are compared, so that idle endpoints are equal and their weights decide by chance: with
    /// it, an idle heavy endpoint would take everything that a lone client sends.
    pub(crate) fn least_requests(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        let mut best = None;
        let (mut best_load, mut best_weight, mut drawn_from) = (0, 0, 0);
        for (index, endpoint) in self.iter() {
            let weight = self.weight(endpoint);
            let load = u64::from(endpoint.in_flight());
            let (ours, theirs) = (load.saturating_mul(best_weight), best_load * weight);
            if best.is_none() || ours < theirs {
                (best, best_load, best_weight, drawn_from) = (Some(index), load, weight, weight);
            } else if ours == theirs {
                drawn_from += weight;
                if rng.u64(0..drawn_from) < weight {
                    (best, best_load, best_weight) = (Some(index), load, weight);
                }
            }
        }
        best
    }

    /// Smooth weighted round-robin: everyone gains its weight, the richest pays the sum and serves.
    pub(crate) fn round_robin(&self, rotation: &Rotation) -> Option<usize> {
        let mut credit = rotation.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = 0;
        let mut best: Option<usize> = None;
        for (index, endpoint) in self.iter() {
            let weight = self.weight(endpoint).cast_signed();
            sum += weight;
            credit[index] += weight;
            if best.is_none_or(|best| credit[index] > credit[best]) {
                best = Some(index);
            }
        }
        credit[best?] -= sum;
        best
    }

    /// The cheaper of two that are drawn at random.
    pub(crate) fn peak_ewma(&self, decay: Duration, rng: &mut fastrand::Rng) -> Option<usize> {
        if self.admitted < 2 {
            return self.iter().next().map(|(index, _)| index);
        }
        let first = rng.usize(..self.admitted);
        let second = (first + rng.usize(1..self.admitted)) % self.admitted;
        let mut drawn = self
            .iter()
            .enumerate()
            .filter(|(position, _)| *position == first || *position == second)
            .map(|(_, found)| found);
        let (one, other) = (drawn.next()?, drawn.next());
        let Some(other) = other else { return Some(one.0) };
        let costs = (one.1.cost(self.now, decay), other.1.cost(self.now, decay));
        // One that was never measured is taken to be like the other, so it gets its share of requests.
        let costs = match costs {
            (Some(one), Some(other)) => (f64::from(one), f64::from(other)),
            _ => (1.0, 1.0),
        };
        let price = |endpoint: &Endpoint, cost: f64| {
            cost * f64::from(endpoint.in_flight() + 1) / self.weight(endpoint) as f64
        };
        let (ours, theirs) = (price(one.1, costs.0), price(other.1, costs.1));
        let cheaper = ours.total_cmp(&theirs).then(if rng.bool() { Less } else { Greater });
        Some(if cheaper == Less { one.0 } else { other.0 })
    }

    /// Rendezvous hashing (Thaler and Ravishankar) with weights, and with the bound on the load of
    /// Mirrokni, Thorup and Zadimoghaddam: each endpoint draws a number from the key and itself, the
    /// best drawing below its bound wins. Who leaves takes only its own keys along.
    pub(crate) fn hash(&self, key: u64, bound: f64) -> Option<usize> {
        let (mut load, mut weights) = (1_u64, 0_u64);
        let mut first_weight = None;
        let mut even = true;
        for (_, endpoint) in self.iter() {
            load += u64::from(endpoint.in_flight());
            weights += self.weight(endpoint);
            even &= *first_weight.get_or_insert(endpoint.weight()) == endpoint.weight();
        }
        // What an endpoint of weight one may hold, on average over all of them and the one to come.
        let fair = bound.max(1.0) * load as f64 / weights as f64;
        let mut best: Option<(usize, f64)> = None;
        let mut best_of_all: Option<(usize, f64)> = None;
        for (index, endpoint) in self.iter() {
            // Keys stay where they are while an endpoint starts slowly, so the drawing knows nothing of
            // it; only the bound is lower meanwhile.
            let draw = drawing(endpoint.rank(key), endpoint.weight(), even);
            let better = |best: Option<(usize, f64)>| best.is_none_or(|(_, most)| draw > most);
            if better(best_of_all) {
                best_of_all = Some((index, draw));
            }
            let capacity = (fair * self.weight(endpoint) as f64).ceil();
            if f64::from(endpoint.in_flight()) < capacity && better(best) {
                best = Some((index, draw));
            }
        }
        // The capacities add up to more than the load; only a race can leave nobody below its own.
        best.or(best_of_all).map(|(index, _)| index)
    }

    /// The endpoint that the cookie names.
    pub(crate) fn sticky(&self, cookie: &[u8]) -> Option<usize> {
        self.iter().find(|(_, endpoint)| endpoint.tag().as_bytes() == cookie).map(|(index, _)| index)
    }
}

/// An endpoint's number for a key, larger is better: weight / -ln(u) for u uniform in (0, 1). With even
/// weights the logarithm changes nothing about the order and is left out.
fn drawing(rank: u64, weight: u32, even: bool) -> f64 {
    if even {
        return rank as f64;
    }
    let uniform = (rank as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(weight) / -uniform.ln()
}

/// What round-robin remembers: the credit of each endpoint of one set.
#[derive(Debug)]
pub(crate) struct Rotation(Mutex<Box<[i64]>>);

impl Rotation {
    pub(crate) fn new(endpoints: usize) -> Self {
        Self(Mutex::new(vec![0; endpoints].into_boxed_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(hash_key(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash_key(b"tenant-42"), 0x5d8d_50c5_85b0_dfd7);
        assert_ne!(hash_key(b"a"), hash_key(b"b"));
    }

    #[test]
    fn the_shortcut_for_even_weights_keeps_the_order() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..1_000 {
            let (one, other) = (rng.u64(..1 << 53), rng.u64(..1 << 53));
            let order = drawing(one, 7, false).total_cmp(&drawing(other, 7, false));
            assert_eq!(order, drawing(one, 7, true).total_cmp(&drawing(other, 7, true)));
        }
    }
}
