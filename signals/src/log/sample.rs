//! Which requests get a line, when not all of them do.

use crate::outcome;
use crate::request::{Finished, Who};

/// Draws by class of status from a sequence of its own: the same seed writes the same lines. A plain "every tenth"
/// would fall into step with clients that ask for ten things in turn; drawing does not.
pub(crate) struct Sampler {
    shares: [f64; 5],
    /// State of the SplitMix64 generator (Steele, Lea and Flood, 2014).
    state: u64,
}

impl Sampler {
    /// Shares outside of 0.0 to 1.0 are the nearest inside; what is no number writes everything.
    pub(crate) fn new(shares: [f64; 5], seed: u64) -> Self {
        let inside = |share: f64| if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) };
        Self { shares: shares.map(inside), state: seed }
    }

    /// Share that the request's class is written with, when the draw says that it is written; otherwise `None`.
    #[inline]
    pub(crate) fn draw(&mut self, finished: &Finished<'_>) -> Option<f64> {
        let class = match outcome::class(finished.status) {
            0 if finished.who == Who::Client => 4,
            0 => 5,
            class => class,
        };
        let share = self.shares[class - 1];
        if share >= 1.0 {
            return Some(1.0);
        }
        // 53 bits are what a float between 0 and 1 holds exactly.
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (drawn < share).then_some(share)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::finished;

    fn drawn(sampler: &mut Sampler, status: u16, who: Who) -> usize {
        let finished = Finished { who, status, ..finished() };
        (0..10_000).filter(|_| sampler.draw(&finished).is_some()).count()
    }

    #[test]
    fn each_class_has_its_own_share() {
        let mut sampler = Sampler::new([0.0, 0.1, 0.5, 1.0, 7.0], 1);
        assert_eq!(drawn(&mut sampler, 101, Who::Complete), 0);
        assert!((900..1_100).contains(&drawn(&mut sampler, 200, Who::Complete)));
        assert!((4_800..5_200).contains(&drawn(&mut sampler, 302, Who::Complete)));
        assert_eq!(drawn(&mut sampler, 404, Who::Complete), 10_000);
        assert_eq!(drawn(&mut sampler, 502, Who::Endpoint), 10_000);
    }

    #[test]
    fn a_request_without_a_status_counts_by_who_ended_it() {
        let mut sampler = Sampler::new([0.0, 0.0, 0.0, 1.0, 0.0], 1);
        assert_eq!(drawn(&mut sampler, 0, Who::Client), 10_000);
        assert_eq!(drawn(&mut sampler, 0, Who::Endpoint), 0);
    }

    #[test]
    fn the_same_seed_draws_the_same_lines() {
        let draws = |seed| {
            let mut sampler = Sampler::new([0.5; 5], seed);
            (0..100).map(|_| sampler.draw(&finished()).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}
