//! When things are due: stages to exact moments, without any clock.

use fastrand::Rng;

use crate::Nanos;
use crate::plan::{Part, Spacing, Stage};

/// The arrivals of the open model that fall to one part: due times in order.
///
/// A stage of D seconds from r0 to r1 per second has had r0·t + (r1−r0)·t²/2D arrivals after t seconds; arrival i is
/// due when that, added up over the stages, reaches i. With [`Spacing::Poisson`] the same curve is walked in
/// exponential steps. The first even arrival is due at the beginning of the first stage that has any, and none at the
/// very end of the last: a stage of one second at 10 per second has ten.
///
/// A copy goes on from where the original was, with the same arrivals.
#[derive(Clone, Debug)]
pub struct Arrivals {
    stages: Vec<Curve>,
    /// Position in `stages`. Before it, no arrival is left.
    stage: usize,
    /// Number of the next arrival, among those of all parts.
    number: u64,
    /// Numbers from this on are not wanted any more.
    end: u64,
    part: Part,
    walk: Walk,
}

#[derive(Clone, Debug)]
enum Walk {
    /// An arrival at every whole number of the curve.
    Even,
    /// Where on the curve the last arrival was.
    Poisson { at: f64, rng: Rng },
}

impl Arrivals {
    /// The arrivals of `part`. `requests`: most of them over all parts.
    pub fn new(stages: &[Stage], spacing: Spacing, requests: Option<u64>, part: Part, seed: u64) -> Self {
        let walk = match spacing {
            Spacing::Even => Walk::Even,
            Spacing::Poisson => Walk::Poisson { at: 0.0, rng: Rng::with_seed(seed_of(seed, part)) },
        };
        let number = u64::from(part.index);
        Self { stages: curves(stages), stage: 0, number, end: requests.unwrap_or(u64::MAX), part, walk }
    }
}

impl Iterator for Arrivals {
    /// The number of the arrival among those of all parts, and its due time.
    type Item = (u64, Nanos);

    fn next(&mut self) -> Option<(u64, Nanos)> {
        if self.number >= self.end {
            return None;
        }
        let at = match &mut self.walk {
            Walk::Even => self.number as f64,
            Walk::Poisson { at, rng } => {
                // 1 - f64() is never 0, so the step is finite. Every part makes steps `of` times as long.
                *at -= (1.0 - rng.f64()).ln() * f64::from(self.part.of);
                *at
            }
        };
        while self.stages.get(self.stage)?.arrivals_after <= at {
            self.stage += 1;
        }
        let due = self.stages[self.stage].due(at);
        let number = self.number;
        self.number += u64::from(self.part.of);
        Some((number, due))
    }
}

/// The seed of a part: different ones have nothing to do with each other, even when their numbers are neighbours.
pub fn seed_of(seed: u64, part: Part) -> u64 {
    let mut mixed = seed ^ u64::from(part.index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ mixed >> 30).wrapping_mul(factor);
    }
    mixed ^ mixed >> 31
}

/// The level of the stages at a moment: users of the closed model, open sockets. Past the end: the last level.
pub fn level(stages: &[Stage], at: Nanos) -> f64 {
    let mut begin = 0;
    for stage in stages {
        let length = nanos(stage);
        if at - begin < length {
            let share = (at - begin) as f64 / length as f64;
            return stage.from + (stage.to - stage.from) * share;
        }
        begin += length;
    }
    stages.last().map_or(0.0, |stage| stage.to)
}

/// When the level may be another than at `at`: soon within a ramp, else at the end of the stage. `None` past the end.
pub fn next_change(stages: &[Stage], at: Nanos) -> Option<Nanos> {
    /// A ramp is followed in steps of this length.
    const RAMP_STEP: Nanos = 10_000_000;

    let mut end = 0;
    for stage in stages {
        end += nanos(stage);
        if at < end {
            let is_level = stage.from.total_cmp(&stage.to).is_eq();
            return Some(if is_level { end } else { end.min(at + RAMP_STEP) });
        }
    }
    None
}

/// How long all stages take.
pub fn length(stages: &[Stage]) -> Nanos {
    stages.iter().map(nanos).sum()
}

fn nanos(stage: &Stage) -> Nanos {
    Nanos::try_from(stage.duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A stage with its place in the schedule.
#[derive(Clone, Copy, Debug)]
struct Curve {
    begin: Nanos,
    end: Nanos,
    /// Arrivals per second at its beginning, and by how much that grows per second.
    rate: f64,
    growth: f64,
    /// Arrivals of all stages before it.
    arrivals_before: f64,
    /// And with it.
    arrivals_after: f64,
}

impl Curve {
    /// When the count of arrivals of all stages reaches `at`, which lies within this one.
    fn due(&self, at: f64) -> Nanos {
        let count = at - self.arrivals_before;
        // The usual formula for the root of rate·t + growth·t²/2 = count subtracts two numbers that are nearly equal
        // when the growth is small; this form of it divides by their sum instead. It also holds without growth.
        let square = self.rate * self.rate + 2.0 * self.growth * count;
        let sum = self.rate + square.max(0.0).sqrt();
        // Only the first arrival of a ramp that begins with 0 has no sum.
        let seconds = if sum > 0.0 { 2.0 * count / sum } else { 0.0 };
        self.end.min(self.begin + (seconds * 1e9).round() as Nanos)
    }
}

fn curves(stages: &[Stage]) -> Vec<Curve> {
    let (mut begin, mut arrivals) = (0, 0.0);
    let mut curves = Vec::with_capacity(stages.len());
    for stage in stages {
        let (end, seconds) = (begin + nanos(stage), stage.duration.as_secs_f64());
        let (from, to) = (stage.from.max(0.0), stage.to.max(0.0));
        let arrivals_after = snap(arrivals + f64::midpoint(from, to) * seconds);
        let growth = if seconds > 0.0 { (to - from) / seconds } else { 0.0 };
        curves.push(Curve { begin, end, rate: from, growth, arrivals_before: arrivals, arrivals_after });
        (begin, arrivals) = (end, arrivals_after);
    }
    curves
}

/// Takes away what rounding added to a count that should be whole: 0.1 per second for 30 seconds is 3, not a little
/// more, which would be a fourth arrival.
fn snap(count: f64) -> f64 {
    let whole = count.round();
    if (count - whole).abs() <= 1e-12 * whole.max(1.0) { whole } else { count }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const ALONE: Part = Part { index: 0, of: 1 };
    const SECOND: Nanos = 1_000_000_000;

    fn stage(ms: u64, from: f64, to: f64) -> Stage {
        Stage { name: String::new(), duration: Duration::from_millis(ms), from, to }
    }

    fn even(stages: &[Stage]) -> Vec<Nanos> {
        Arrivals::new(stages, Spacing::Even, None, ALONE, 0).map(|(_, due)| due).collect()
    }

    #[test]
    fn a_level_rate_is_spaced_evenly_from_the_beginning() {
        let due = even(&[stage(1_000, 4.0, 4.0)]);
        assert_eq!(due, [0, SECOND / 4, SECOND / 2, SECOND / 4 * 3]);
    }

    #[test]
    fn a_ramp_from_nothing_follows_the_square_root() {
        // 0 to 8 per second in 4 seconds: t² arrivals after t seconds.
        let due = even(&[stage(4_000, 0.0, 8.0)]);
        assert_eq!(due.len(), 16);
        for (i, due) in due.into_iter().enumerate() {
            assert_eq!(due, ((i as f64).sqrt() * 1e9).round() as Nanos, "arrival {i}");
        }
    }

    #[test]
    fn a_ramp_to_nothing_is_a_ramp_from_nothing_backwards() {
        // 16 - (4-t)² arrivals after t seconds.
        let due = even(&[stage(4_000, 8.0, 0.0)]);
        assert_eq!(due.len(), 16);
        for (i, due) in due.into_iter().enumerate() {
            let expected = ((4.0 - (16.0 - i as f64).sqrt()) * 1e9).round() as Nanos;
            assert!(due.abs_diff(expected) <= 1, "arrival {i}: {due} instead of {expected}");
        }
    }

    #[test]
    fn a_ramp_that_hardly_rises_is_as_exact_as_a_level_rate() {
        let level = even(&[stage(10_000, 1_000.0, 1_000.0)]);
        let ramp = even(&[stage(10_000, 1_000.0, 1_000.0 + 1e-9)]);
        assert_eq!(level, ramp);
    }

    #[test]
    fn a_stage_without_rate_is_a_pause() {
        let due = even(&[
            stage(1_000, 0.0, 0.0),
            stage(1_000, 2.0, 2.0),
            stage(1_000, 0.0, 0.0),
            stage(500, 2.0, 2.0),
        ]);
        assert_eq!(due, [SECOND, SECOND / 2 * 3, 3 * SECOND]);
        assert!(even(&[stage(1_000, 0.0, 0.0)]).is_empty());
        assert!(even(&[stage(0, 5.0, 5.0)]).is_empty());
    }

    #[test]
    fn counts_that_should_be_whole_are() {
        // 0.1 · 30 is a little more than 3 in binary.
        assert_eq!(even(&[stage(30_000, 0.1, 0.1)]).len(), 3);
        assert_eq!(even(&vec![stage(100, 0.7, 0.7); 100]).len(), 7);
        assert_eq!(even(&[stage(30_000, 1_000.0, 1_000.0)]).len(), 30_000);
    }

    #[test]
    fn long_runs_stay_exact_to_the_nanosecond() {
        // A day at 10,000 per second: arrival i is due at i · 100 µs.
        let mut arrivals = Arrivals::new(
            &[stage(86_400_000, 1e4, 1e4)],
            Spacing::Even,
            None,
            Part { index: 863_999_999, of: u32::MAX },
            0,
        );
        assert_eq!(arrivals.next(), Some((863_999_999, 86_399_999_900_000)));
        assert_eq!(arrivals.next(), None);
    }

    #[test]
    fn requests_bound_all_parts_together() {
        for spacing in [Spacing::Even, Spacing::Poisson] {
            let stages = [stage(10_000, 100.0, 100.0)];
            let mut numbers: Vec<u64> = (0..3)
                .flat_map(|index| Arrivals::new(&stages, spacing, Some(10), Part { index, of: 3 }, 1))
                .map(|(number, _)| number)
                .collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..10), "{spacing:?}");
        }
    }

    #[test]
    fn a_copy_goes_on_with_the_same_arrivals() {
        let mut arrivals = Arrivals::new(&[stage(1_000, 50.0, 90.0)], Spacing::Poisson, None, ALONE, 9);
        arrivals.by_ref().take(7).for_each(drop);
        assert!(arrivals.clone().eq(arrivals));
    }

    #[test]
    fn levels_follow_the_stages() {
        let stages =
            [stage(1_000, 0.0, 10.0), stage(1_000, 10.0, 10.0), stage(0, 3.0, 3.0), stage(1_000, 20.0, 0.0)];
        let at = |ms: u64| level(&stages, ms * 1_000_000);
        for (ms, expected) in
            [(0, 0.0), (500, 5.0), (1_000, 10.0), (1_999, 10.0), (2_000, 20.0), (2_500, 10.0), (9_000, 0.0)]
        {
            assert!((at(ms) - expected).abs() < 1e-9, "{} instead of {expected} at {ms} ms", at(ms));
        }
        assert_eq!(length(&stages), 3 * SECOND);
        assert_eq!(next_change(&stages, 0), Some(10_000_000));
        assert_eq!(next_change(&stages, 995_000_000), Some(SECOND));
        assert_eq!(next_change(&stages, SECOND), Some(2 * SECOND));
        assert_eq!(next_change(&stages, 3 * SECOND), None);
    }

    /// Arrivals of all parts of a Poisson schedule within each of `bins` equal stretches.
    fn poisson_counts(stages: &[Stage], parts: u32, seed: u64, bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        let total = length(stages);
        for index in 0..parts {
            for (_, due) in Arrivals::new(stages, Spacing::Poisson, None, Part { index, of: parts }, seed) {
                counts[(due as usize * bins / total as usize).min(bins - 1)] += 1;
            }
        }
        counts
    }

    #[test]
    fn poisson_counts_vary_as_much_as_they_are_large() {
        for (parts, seed) in [(1, 7), (4, 8)] {
            let counts = poisson_counts(&[stage(100_000, 1_000.0, 1_000.0)], parts, seed, 1_000);
            let mean = counts.iter().sum::<u64>() as f64 / 1_000.0;
            let variance = counts.iter().map(|&count| (count as f64 - mean).powi(2)).sum::<f64>() / 999.0;
            // Five standard errors: √(mean/n) of the mean, variance·√(2/n) of the variance.
            assert!((mean - 100.0).abs() < 1.6, "mean {mean}");
            assert!((variance - 100.0).abs() < 23.0, "variance {variance}");
        }
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let due: Vec<Nanos> =
            Arrivals::new(&[stage(100_000, 1_000.0, 1_000.0)], Spacing::Poisson, None, ALONE, 3)
                .map(|(_, due)| due)
                .collect();
        // Ten classes that are equally likely for gaps of a mean of 1 ms: -ln(1 - k/10) ms.
        let mut classes = [0_u32; 10];
        for pair in due.windows(2) {
            let gap = (pair[1] - pair[0]) as f64 / 1e6;
            classes[((1.0 - (-gap).exp()) * 10.0).min(9.0) as usize] += 1;
        }
        let expected = (due.len() - 1) as f64 / 10.0;
        let chi: f64 = classes.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // 9 degrees of freedom: beyond 27.9 in one of a thousand seeds.
        assert!(chi < 27.9, "chi-square {chi} of {classes:?}");
    }

    #[test]
    fn poisson_follows_a_ramp() {
        // 0 to 2000 per second: 1/16 of the arrivals in the first quarter, 7/16 in the last.
        let counts = poisson_counts(&[stage(100_000, 0.0, 2_000.0)], 3, 5, 4);
        for (count, expected) in counts.iter().zip([6_250.0, 18_750.0, 31_250.0, 43_750.0_f64]) {
            assert!((*count as f64 - expected).abs() < 5.0 * expected.sqrt(), "{counts:?}");
        }
    }

    fn any_stages() -> impl Strategy<Value = Vec<Stage>> {
        let rate = prop_oneof![Just(0.0), 0.0..50.0, 0.0..3_000.0];
        let one = (0..2_000_u64, rate.clone(), rate, any::<bool>())
            .prop_map(|(ms, from, to, is_level)| stage(ms, from, if is_level { from } else { to }));
        prop::collection::vec(one, 1..5)
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_whole_schedule(stages in any_stages(), of in 1..7_u32) {
            let whole: Vec<(u64, Nanos)> = Arrivals::new(&stages, Spacing::Even, None, ALONE, 0).collect();
            let mut parts = Vec::new();
            for index in 0..of {
                let part: Vec<(u64, Nanos)> = Arrivals::new(&stages, Spacing::Even, None, Part { index, of }, 0).collect();
                prop_assert!(part.iter().all(|(number, _)| number % u64::from(of) == u64::from(index)));
                parts.extend(part);
            }
            parts.sort_unstable();
            prop_assert_eq!(&whole, &parts);
            prop_assert!(whole.is_sorted_by_key(|(_, due)| *due), "monotone");
            prop_assert!(whole.iter().enumerate().all(|(i, (number, _))| i as u64 == *number), "no gap");
        }

        #[test]
        fn every_stage_has_as_many_arrivals_as_its_integral_says(stages in any_stages()) {
            let due = even(&stages);
            let (mut begin, mut before) = (0, 0.0);
            for stage in &stages {
                let end = begin + nanos(stage);
                let after = before + f64::midpoint(stage.from, stage.to) * stage.duration.as_secs_f64();
                // Those on a boundary, to within rounding, may be counted on either side of it.
                let least = due.iter().filter(|&&due| due > begin + 1 && due + 1 < end).count() as f64;
                let most = due.iter().filter(|&&due| due + 1 >= begin && due <= end + 1).count() as f64;
                prop_assert!(least <= after - before + 1.0 && most >= after - before - 1.0, "{least}..{most}, {before}..{after}");
                (begin, before) = (end, after);
            }
            prop_assert!((due.len() as f64 - before.ceil()).abs() <= 1.0 && due.len() as f64 >= before - 1e-6);
        }

        #[test]
        fn each_arrival_lies_where_the_curve_reaches_it(stages in any_stages()) {
            let curves = curves(&stages);
            for (i, due) in even(&stages).into_iter().enumerate() {
                let curve = curves.iter().find(|curve| (curve.arrivals_before..curve.arrivals_after).contains(&(i as f64))).unwrap();
                let seconds = (due - curve.begin) as f64 / 1e9;
                let reached = curve.arrivals_before + curve.rate * seconds + curve.growth * seconds * seconds / 2.0;
                // What half a nanosecond of rounding is worth at the fastest rate, and some of the arithmetic.
                prop_assert!((reached - i as f64).abs() < 1e-5, "arrival {i} at {due}: the curve is at {reached}");
            }
        }

        #[test]
        fn poisson_arrivals_are_in_order_and_within_the_stages(stages in any_stages(), seed: u64) {
            let due: Vec<Nanos> = Arrivals::new(&stages, Spacing::Poisson, None, ALONE, seed).map(|(_, due)| due).collect();
            prop_assert!(due.is_sorted());
            prop_assert!(due.last().is_none_or(|&last| last <= length(&stages)));
        }
    }
}
