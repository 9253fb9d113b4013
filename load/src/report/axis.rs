//! Axes: where a value lies between the two ends of a chart, and which values are written beside it.

use crate::report::figures;

/// An axis: values from `low` to `high`, placed from 0 to 1.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Values that are labelled, in order.
    pub ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scale {
    Linear,
    Log,
}

/// Past this many times the lowest value, a linear axis would draw the low values as one flat line.
const WIDE: f64 = 60.0;

impl Axis {
    /// Seconds of a run, from 0.
    pub fn run(end_s: f64) -> Self {
        const STEPS: [f64; 15] =
            [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
        let high = if end_s > 0.0 { end_s } else { 1.0 };
        let step = STEPS.into_iter().find(|step| high / step <= 8.0).unwrap_or_else(|| nice(high / 6.0));
        let ticks = steps(high, step).map(|at| (at, if at == 0.0 { "0".into() } else { figures::span(at) }));
        Self { scale: Scale::Linear, low: 0.0, high, ticks: ticks.collect() }
    }

    /// From 0 to a round number not below `most`, labelled by `label`.
    pub fn linear(most: f64, label: impl Fn(f64) -> String) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        Self::by_steps(most, nice(most / 4.0), label)
    }

    /// Numbers of things: as [`Axis::linear`], with labels for whole numbers alone.
    pub fn counts(most: f64) -> Self {
        Self::by_steps(most.max(1.0), nice(most / 4.0).max(1.0), |value| figures::count(value.round() as u64))
    }

    fn by_steps(most: f64, step: f64, label: impl Fn(f64) -> String) -> Self {
        let high = (most / step - 1e-9).ceil() * step;
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high,
            ticks: steps(high, step).map(|at| (at, label(at))).collect(),
        }
    }

    /// Times in milliseconds. Linear from 0, unless the values lie so far apart that only powers of ten show them all.
    pub fn times(values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        let least = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        if least.is_infinite() || most <= least * WIDE {
            return Self::linear(most, short);
        }
        let (low, high) = (nice_below(least), nice(most));
        let powers = low.log10().floor() as i32..=(high.log10() + 1e-9).floor() as i32;
        // Powers of ten alone would leave a short axis with next to no labels.
        let times: &[f64] = if high / low < 1_000.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = powers.flat_map(|power| times.iter().map(move |times| times * 10_f64.powi(power)));
        let ticks = ticks.filter(|at| (low * 0.999..=high * 1.001).contains(at));
        Self { scale: Scale::Log, low, high, ticks: ticks.map(|at| (at, short(at))).collect() }
    }

    /// Percentiles up to that of `samples` values: as far from 0 to 90 as from 90 to 99 and from 99 to 99.9.
    pub fn percentiles(samples: u64) -> Self {
        let nines = (samples.max(10) as f64).log10().clamp(1.0, 7.0);
        let labels = [(50.0, "50%"), (90.0, "90%"), (99.0, "99%"), (99.9, "99.9%"), (99.99, "99.99%")];
        let deep = [(99.999, "99.999%"), (99.9999, "99.9999%")];
        let ticks = labels.into_iter().chain(deep).filter(|(at, _)| Self::nines(*at) <= nines + 1e-6);
        let ticks = ticks.map(|(at, label)| (Self::nines(at), label.to_owned())).collect();
        Self { scale: Scale::Linear, low: 0.0, high: nines, ticks }
    }

    /// How many nines a percentile has: 1 for 90, 2 for 99. That of 100 lies past the end of any axis.
    pub fn nines(percentile: f64) -> f64 {
        -(1.0 - percentile.clamp(0.0, 100.0) / 100.0).max(1e-9).log10()
    }

    /// Whether it goes by powers of ten.
    pub fn is_log(&self) -> bool {
        self.scale == Scale::Log
    }

    /// What is written at the low and the high end.
    pub fn ends(&self) -> [String; 2] {
        let label = |end: f64| {
            let tick = self.ticks.iter().find(|(at, _)| (at - end).abs() <= end.abs() * 1e-6);
            tick.map_or_else(|| short(end), |(_, label)| label.clone())
        };
        [self.low, self.high].map(label)
    }

    /// Where `value` lies, 0 at the low end to 1 at the high one; values past an end lie at it.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// A round step near `rough`: 1, 2 or 5 times a power of ten, and not below it.
fn nice(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power)
}

/// The largest 1, 2 or 5 times a power of ten that is not above `rough`.
fn nice_below(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [5.0, 2.0].into_iter().map(|times| times * power).find(|step| *step <= rough).unwrap_or(power)
}

fn steps(high: f64, step: f64) -> impl Iterator<Item = f64> {
    (0..=(high / step + 1e-9) as u32).map(move |index| f64::from(index) * step)
}

/// A round time without idle decimals: `10 ms`, `2.5 s`.
fn short(ms: f64) -> String {
    let text = figures::time(ms);
    match text.split_once(' ') {
        _ if ms == 0.0 => "0".into(),
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn labels_are_round() {
        assert_eq!(labels(&Axis::run(60.0)), ["0", "10 s", "20 s", "30 s", "40 s", "50 s", "1 min"]);
        assert_eq!(labels(&Axis::linear(1_017.0, figures::rate)), ["0/s", "500/s", "1,000/s", "1,500/s"]);
        assert_eq!(labels(&Axis::times([1.0, 7.5].into_iter())), ["0", "2 ms", "4 ms", "6 ms", "8 ms"]);
        assert_eq!(labels(&Axis::counts(2.0)), ["0", "1", "2"]);
        assert_eq!(labels(&Axis::percentiles(20_000)), ["50%", "90%", "99%", "99.9%", "99.99%"]);
    }

    #[test]
    fn times_far_apart_go_by_powers_of_ten() {
        let axis = Axis::times([0.4, 10_000.0].into_iter());
        assert!(axis.is_log());
        assert_eq!(labels(&axis), ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        let steps = [0.2, 2.0, 20.0, 200.0, 2_000.0].map(|ms| axis.place(ms * 5.0) - axis.place(ms));
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 1e-9), "{steps:?}");
    }

    #[test]
    fn nothing_at_all_still_has_an_axis() {
        for axis in [Axis::run(0.0), Axis::times(std::iter::empty()), Axis::percentiles(0)] {
            assert!(!axis.ticks.is_empty(), "{axis:?}");
            assert!(axis.place(0.0).is_finite());
        }
    }

    proptest! {
        #[test]
        fn every_value_has_its_place_in_order(mut values in prop::collection::vec(0.0..1e7_f64, 1..20)) {
            values.sort_by(f64::total_cmp);
            for axis in [Axis::times(values.iter().copied()), Axis::linear(values[values.len() - 1], figures::rate)] {
                let places: Vec<f64> = values.iter().map(|value| axis.place(*value)).collect();
                prop_assert!(places.is_sorted() && places.iter().all(|place| (0.0..=1.0).contains(place)));
                prop_assert!(axis.ticks.len() <= 12, "{:?}", axis.ticks);
            }
        }
    }
}
