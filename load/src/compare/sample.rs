//! A run as stretches that can be drawn again: the moving-block bootstrap.

use crate::record::{Coarse, Stretch};
use crate::report::Report;

/// Which times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Times {
    Response,
    Service,
    Delivery,
}

/// What is read from the stretches that were drawn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Figure {
    /// A quantile, 0 to 1, in microseconds.
    Time(Times, f64),
    /// Successes per stretch.
    Rate,
    /// Share of requests that succeeded.
    Success,
}

/// The whole stretches of a run while load was being made.
pub(super) struct Sample {
    width_s: f64,
    /// Stretches that are drawn together.
    block: usize,
    /// Ended and failed, stretch by stretch.
    counts: Vec<(u64, u64)>,
    /// By [`Times`].
    times: [Distributions; 3],
}

/// The distributions of all stretches, over the slots that any of them uses.
#[derive(Default)]
struct Distributions {
    /// Where each slot begins and ends, in microseconds, in order.
    slots: Vec<(u64, u64)>,
    /// By stretch: which slots, and how many in each.
    stretches: Vec<Vec<(u32, u64)>>,
}

/// The stretches that were drawn, summed.
#[derive(Default)]
pub(super) struct Draw {
    ended: u64,
    failed: u64,
    counts: [Vec<u64>; 3],
    stretches: usize,
}

impl Sample {
    /// The stretches of a run: whole ones, from the beginning to the end of the stages.
    pub(super) fn of(report: &Report) -> Self {
        let timeline = &report.record.timeline;
        let width_s = timeline.width() as f64 / 1e9;
        let number = ((report.stages_s() + 1e-9) / width_s).floor() as usize;
        let number = number.min(crate::record::MOST_STRETCHES as usize);
        let silent = Stretch::default();
        let mut stretches = vec![&silent; number];
        for stretch in timeline.stretches() {
            if let Some(place) = stretches.get_mut(stretch.index as usize) {
                *place = stretch;
            }
        }
        Self {
            width_s,
            block: block(&stretches),
            counts: stretches
                .iter()
                .map(|stretch| (stretch.ended, stretch.failed.min(stretch.ended)))
                .collect(),
            times: [
                Distributions::of(stretches.iter().map(|stretch| &stretch.response)),
                Distributions::of(stretches.iter().map(|stretch| &stretch.service)),
                Distributions::of(stretches.iter().map(|stretch| &stretch.delivery)),
            ],
        }
    }

    /// By how much an interval has to be wider than the draws make it. Few blocks resemble each other by chance, and
    /// what they differ by is a guess: Student's distribution instead of the normal one, and n - 1 instead of n.
    pub(super) fn widening(&self) -> f64 {
        let blocks = self.len() as f64 / self.block as f64;
        let freedom = (blocks - 1.0).max(1.0);
        student(freedom) / NORMAL * (blocks / (blocks - 1.0).max(0.5)).sqrt()
    }

    /// How many stretches there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether its stretches have anything to say about a figure.
    pub(super) fn measures(&self, figure: Figure) -> bool {
        match figure {
            Figure::Time(times, _) => !self.times[times as usize].slots.is_empty(),
            Figure::Rate | Figure::Success => self.counts.iter().any(|(ended, _)| *ended > 0),
        }
    }

    /// Draws as many stretches as there are, in blocks that begin anywhere and wrap around the end.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng, draw: &mut Draw) {
        draw.clear(self);
        let number = self.len();
        let mut left = number;
        while left > 0 {
            let from = rng.usize(..number);
            let block = self.block.min(left);
            for place in from..from + block {
                draw.add(self, place % number);
            }
            left -= block;
        }
    }
}

/// How many stretches are drawn together: what errs least for a series in which each value has the measured
/// correlation with the one before (Politis and White 2004, for an autoregressive process), at least the cube root of
/// their number, at most a quarter of it.
fn block(stretches: &[&Stretch]) -> usize {
    let mean = |stretch: &&Stretch| stretch.response.mean_ms().or_else(|| stretch.delivery.mean_ms());
    let levels: Vec<f64> = stretches.iter().filter_map(mean).map(|ms| (ms + 0.001).ln()).collect();
    let root = (stretches.len() as f64).cbrt();
    let correlation = correlation(&levels).clamp(0.0, 0.95);
    let wanted = (6.0 * correlation.powi(2) / (1.0 - correlation.powi(2)).powi(2)).cbrt().max(1.0) * root;
    (wanted.round() as usize).clamp(1, (stretches.len() / 4).max(1))
}

/// Correlation of neighbours, corrected for being estimated too small from few.
fn correlation(levels: &[f64]) -> f64 {
    let number = levels.len() as f64;
    let mean = levels.iter().sum::<f64>() / number;
    let all: f64 = levels.iter().map(|level| (level - mean).powi(2)).sum();
    let neighbours: f64 = levels.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    if number < 4.0 || all <= f64::EPSILON {
        return 0.0;
    }
    let plain = neighbours / all;
    plain + (1.0 + 3.0 * plain) / number
}

/// What [`super::TAIL`] of the standard normal distribution lies beyond.
const NORMAL: f64 = 2.5758;

/// What the same share of Student's distribution lies beyond: Fisher's expansion around the normal one.
fn student(freedom: f64) -> f64 {
    let z = NORMAL;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

impl Distributions {
    fn of<'s>(stretches: impl Iterator<Item = &'s Coarse> + Clone) -> Self {
        let mut slots: Vec<(u64, u64)> =
            stretches.clone().flat_map(|times| times.slots().map(|(from, to, _)| (from, to))).collect();
        slots.sort_unstable();
        slots.dedup();
        let place = |from: u64| slots.partition_point(|slot| slot.0 < from) as u32;
        let stretches = stretches
            .map(|times| times.slots().map(|(from, _, count)| (place(from), count)).collect())
            .collect();
        Self { slots, stretches }
    }
}

impl Draw {
    /// A figure of what was drawn. Not a number where nothing was measured.
    pub(super) fn figure(&self, sample: &Sample, figure: Figure) -> f64 {
        let succeeded = (self.ended - self.failed) as f64;
        match figure {
            Figure::Time(times, quantile) => {
                self::quantile(&sample.times[times as usize].slots, &self.counts[times as usize], quantile)
            }
            Figure::Rate => succeeded / (self.stretches as f64 * sample.width_s),
            Figure::Success => succeeded / self.ended as f64,
        }
    }

    fn clear(&mut self, sample: &Sample) {
        (self.ended, self.failed, self.stretches) = (0, 0, 0);
        for (counts, times) in self.counts.iter_mut().zip(&sample.times) {
            counts.clear();
            counts.resize(times.slots.len(), 0);
        }
    }

    fn add(&mut self, sample: &Sample, stretch: usize) {
        let (ended, failed) = sample.counts[stretch];
        self.ended = self.ended.saturating_add(ended);
        self.failed = self.failed.saturating_add(failed).min(self.ended);
        self.stretches += 1;
        for (counts, times) in self.counts.iter_mut().zip(&sample.times) {
            for (slot, count) in &times.stretches[stretch] {
                counts[*slot as usize] += count;
            }
        }
    }
}

/// A quantile, spread evenly within its slot: else two runs that lie on both sides of a boundary seem to differ by a
/// whole slot.
fn quantile(slots: &[(u64, u64)], counts: &[u64], quantile: f64) -> f64 {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return f64::NAN;
    }
    let wanted = quantile * total as f64;
    let mut below = 0.0;
    for ((from, to), count) in slots.iter().zip(counts) {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let within = (wanted - below) / count;
            return *from as f64 + within * (*to - *from) as f64;
        }
        below += count;
    }
    slots.last().map_or(f64::NAN, |(_, to)| *to as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_is_as_in_the_tables() {
        for (freedom, table) in [(3.0, 5.841), (4.0, 4.604), (9.0, 3.250), (29.0, 2.756), (1e9, 2.576)] {
            let found = student(freedom);
            assert!((found / table - 1.0).abs() < 0.04, "{freedom}: {found}");
        }
    }

    #[test]
    fn neighbours_that_alternate_do_not_correlate_and_those_that_drift_do() {
        let alternating: Vec<f64> = (0..40).map(|place| f64::from(place % 2)).collect();
        let drifting: Vec<f64> = (0..40).map(f64::from).collect();
        assert!(correlation(&alternating) < -0.9);
        assert!(correlation(&drifting) > 0.9);
        assert!(correlation(&[1.0; 40]).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_lies_within_its_slot() {
        let slots = [(10, 20), (20, 40)];
        for (share, wanted) in [(0.25, 15.0), (0.5, 20.0), (1.0, 40.0)] {
            assert!((quantile(&slots, &[2, 2], share) - wanted).abs() < 1e-9);
        }
        assert!(quantile(&slots, &[0, 0], 0.5).is_nan());
    }
}
