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
        // The cube root of the number is the length that errs least where little is known of what depends on what.
        let block = ((number as f64).cbrt().round() as usize).max(1);
        let mut left = number;
        while left > 0 {
            let from = rng.usize(..number);
            for place in from..from + block.min(left) {
                draw.add(self, place % number);
            }
            left -= block.min(left);
        }
    }
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
