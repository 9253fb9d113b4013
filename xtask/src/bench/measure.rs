//! One measurement, many of them, and their medians.

use super::peer::Peer;
use super::scene::Scene;

/// What one round told about one peer in one scene.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// CPU time of the server, user and system, per answered request.
    pub(crate) cpu_us: f64,
    /// While it was loaded.
    pub(crate) requests_per_second: f64,
    /// The share of one core that the server used while it was loaded, 0 to 1.
    pub(crate) busy: f64,
    /// Requests that failed.
    pub(crate) errors: u64,
}

/// CPU time per request.
pub(crate) const CPU: fn(&Sample) -> f64 = |sample| sample.cpu_us;

/// The rounds of one peer in one scene, and their medians.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) peer: Peer,
    pub(crate) cpu_us: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) busy: f64,
    /// Of all rounds together.
    pub(crate) errors: u64,
    /// Round by round.
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    /// The medians of the rounds of one peer; none when there was no round.
    pub(crate) fn new(peer: Peer, samples: Vec<Sample>) -> Option<Self> {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        Some(Self {
            peer,
            cpu_us: of(|sample| sample.cpu_us)?,
            requests_per_second: of(|sample| sample.requests_per_second)?,
            busy: of(|sample| sample.busy)?,
            errors: samples.iter().map(|sample| sample.errors).sum(),
            samples,
        })
    }

    /// A figure over that of a peer, which took turns with this one: of each round, from the least. What a round was like
    /// is in both.
    pub(crate) fn ratios(&self, peer: &Self, of: fn(&Sample) -> f64) -> Vec<f64> {
        let rounds = self.samples.iter().zip(&peer.samples);
        let mut ratios: Vec<f64> = rounds.map(|(own, other)| of(own) / of(other)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }
}

/// The medians of one peer that was asked at a given rate, whatever it answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AtRate {
    pub(crate) scene: Scene,
    pub(crate) peer: Peer,
    /// Requests per second.
    pub(crate) rate: u32,
    /// From the moment that a request was due.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Of all rounds together.
    pub(crate) errors: u64,
}

/// Everything that one run of the bench found out.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Scenes under load, in the order they were measured.
    pub(crate) scenes: Vec<(Scene, Vec<Row>)>,
    /// Latencies at the same rate for all peers.
    pub(crate) at_rate: Vec<AtRate>,
    /// Resident bytes per idle connection.
    pub(crate) idle_bytes: Vec<(Peer, f64)>,
    /// System calls per request in the scene of 64 connections; none where they could not be counted.
    pub(crate) syscalls: Vec<(Peer, Option<f64>)>,
    /// What finding a route costs.
    pub(crate) routes: Vec<super::route::Cost>,
}

impl Results {
    /// The row of a peer in a scene.
    pub(crate) fn row(&self, scene: Scene, peer: Peer) -> Option<&Row> {
        let (_, rows) = self.scenes.iter().find(|(at, _)| *at == scene)?;
        rows.iter().find(|row| row.peer == peer)
    }

    /// The latencies of a peer at the rate of a scene.
    pub(crate) fn at_rate(&self, scene: Scene, peer: Peer) -> Option<&AtRate> {
        self.at_rate.iter().find(|row| row.scene == scene && row.peer == peer)
    }

    /// Failed requests of all peers in all scenes.
    pub(crate) fn errors(&self) -> u64 {
        let at_full_speed = self.scenes.iter().flat_map(|(_, rows)| rows).map(|row| row.errors);
        at_full_speed.chain(self.at_rate.iter().map(|row| row.errors)).sum()
    }
}

/// The value in the middle; of an even number, the mean of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_us: f64, errors: u64) -> Sample {
        Sample { cpu_us, requests_per_second: 5.0, busy: 1.0, errors }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn one_bad_round_does_not_move_the_median_but_its_errors_count() {
        let rounds = vec![sample(9.0, 0), sample(90.0, 3), sample(10.0, 0)];
        let row = Row::new(Peer::Nginx, rounds).expect("rounds");
        assert_eq!((row.cpu_us, row.errors), (10.0, 3));
    }

    #[test]
    fn a_round_is_compared_with_itself() {
        // The machine became twice as slow, which is nothing that a peer costs.
        let row = |peer, rounds: [f64; 3]| {
            Row::new(peer, rounds.map(|cpu_us| sample(cpu_us, 0)).to_vec()).expect("rounds")
        };
        let (own, other) = (row(Peer::Tidegate, [8.0, 16.0, 9.0]), row(Peer::Nginx, [16.0, 32.0, 12.0]));
        assert_eq!(own.ratios(&other, |sample| sample.cpu_us), [0.5, 0.5, 0.75]);
    }
}
