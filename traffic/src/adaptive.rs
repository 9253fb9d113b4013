//! How many requests an endpoint takes at once, found out by watching it: the adaptive limit.
//!
//! An app with `c` places works off at most `c / service time`, however many requests lie before it; what is above `c`
//! only waits inside the app. So `c` is the highest rate that was seen times the latency without a queue, as a path's
//! bandwidth times its delay says how many packets belong into it (the idea is BBR's). Both are measured by windows of
//! many requests, never by single ones: means over a window hold for mixes of cheap and costly requests too. How far
//! chance may have put such a mean off is known from how much latencies differ, and nothing is concluded from less.
//!
//! ```text
//!  the rate rises with it:
//!  half as much again    the rate rises no more
//!   ┌──▶ ( Rising ) ─────────────┬──────────────┐
//!   └──────┘                     ▼              ▼ the latency without a queue is not known
//!                          ( Cruising ) ──▶ ( Measuring ) ◀─┐ the rate is what it was before:
//!                                ▲     saturated    │   │   │ still more than the app has places
//!                                │     for long     │   └───┘
//!                                └──────────────────┘
//!                                  the rate fell with the limit: the latency is the one without a queue
//! ```
//!
//! While the limit is not in use nothing is learnt about the rate, so that a quiet time never lowers it; a limit that
//! nobody reaches never grows.

use crate::moment::Moment;
use core::time::Duration;

/// The limit of an endpoint that nobody has measured yet.
pub const LIMIT_FIRST: u32 = 10;
/// No limit that is found out is higher.
pub const LIMIT_MOST: u32 = 10_000;

/// Requests of a window, at least; with a higher limit it is so many times the limit.
const SAMPLES: f64 = 100.0;
const SAMPLES_PER_PLACE: f64 = 3.0;
const SAMPLES_MOST: f64 = 2_000.0;
/// The same while the limit is lowered, which costs goodput: no more than what tells a rate from the one before although
/// answers come in batches, and a mean that is off by no more than a tenth by chance, whose variance is the square of the
/// spread.
const MEASURE_SAMPLES: f64 = 50.0;
const MEASURE_SAMPLES_PER_PLACE: f64 = 6.0;
const MEASURE_SAMPLES_PER_VARIANCE: f64 = 100.0;
/// And while it rises, for which the sign of a change is enough.
const RISE_SAMPLES_PER_VARIANCE: f64 = 50.0;
/// A window lasts no longer, as long as it has a few requests.
const LONGEST: Duration = Duration::from_secs(1);
const SAMPLES_LEAST: f64 = 12.0;
/// Share of the limit that has to be in flight for the limit to be what bounds the rate.
const SATURATED: f64 = 0.85;
/// Time from one measuring to the next while the limit is in use: at least this, and so long that no more than this share of
/// what could be answered is lost to measuring.
const REMEASURE: Duration = Duration::from_secs(10);
const LOST_SHARE: f64 = 0.02;
/// The same when the app seems to have become faster.
const REMEASURE_SOON: Duration = Duration::from_secs(2);
/// From one limit to the next while nobody knows how much the app takes, and what the rate has to rise by to have risen
/// with it: half as much.
const RISE: f64 = 1.5;
const RISEN: f64 = 1.25;
/// How far below the places the latency is measured. For so long everybody waits for more than is left, those too who ask
/// for less than their share: where times are alike and the rate says with few requests whether it fell, it is not far.
const STEP: Step = Step { per_chance: 4.0, least: 0.1, most: 0.2 };
/// From one level to the next when the first was still too high to see a latency without a queue.
const DEEPER: Step = Step { per_chance: 6.0, least: 0.2, most: 0.3 };
/// The room above the places, as a share of them: this, and what chance makes of the means that the places are told from.
const ROOM: f64 = 0.05;
/// And so many times the square root of the places.
const ROOM_PER_ROOT: f64 = 0.5;
/// A deviation of so many times the mean counts at most.
const SPREAD_MOST: f64 = 4.0;
/// A latency that is lower by this share, and by so many times what chance does, is the one of a faster app.
const FASTER: f64 = 0.3;
const FASTER_PER_CHANCE: f64 = 3.0;
/// One latency counts at most so many times the typical one.
const OUTLIER: f64 = 64.0;

/// The adaptive limit of one endpoint.
#[derive(Clone, Debug)]
pub struct Adaptive {
    /// While cruising.
    limit: f64,
    phase: Phase,
    window: Window,
    /// Mean latency without a queue in nanoseconds, 0 while unknown, and of how many requests.
    baseline: f64,
    baseline_of: f64,
    /// Rates of the last saturated windows, per nanosecond; the latest first.
    rates: [f64; 3],
    /// About the median of all latencies in nanoseconds.
    typical: f64,
    /// Standard deviation of latencies divided by their mean, smoothed.
    spread: f64,
    measured_at: Moment,
    /// The rate and the limit at the end of the last measuring.
    measured: (f64, f64),
    remeasure_at: Moment,
    last_answered: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    /// Nobody knows yet how much the app takes; what was seen at the limit before.
    Rising(Option<Reading>),
    Cruising,
    Measuring {
        /// The limit meanwhile.
        level: f64,
        /// What was in flight before, as far as it was of use.
        before: f64,
        /// The rate before.
        known: Rate,
        since: Moment,
    },
}

/// Share by which the limit is lowered: so many times what chance does to a rate, to be told from that, within bounds.
#[derive(Clone, Copy, Debug)]
struct Step {
    per_chance: f64,
    least: f64,
    most: f64,
}

/// A rate per nanosecond, and of how many requests.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Rate {
    per_ns: f64,
    of: f64,
}

impl Rate {
    /// Of both together.
    fn and(self, other: Self) -> Self {
        let of = self.of + other.of;
        Self { per_ns: of / (self.of / self.per_ns + other.of / other.per_ns), of }
    }
}

/// Requests that finished within a stretch of time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Window {
    /// Later than now: what finishes until then was begun under another limit.
    began: Moment,
    count: u32,
    latency_ns: f64,
    /// Sum of squares.
    latency_ns2: f64,
}

/// What a window says.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Reading {
    count: f64,
    mean: f64,
    /// Mean over those that are at work at some moment, among which long ones are more often (the inspection paradox of
    /// renewal theory): how long a change of the limit takes to be felt.
    mean_at_work: f64,
    rate: f64,
    /// Requests in flight on average (Little's law).
    in_flight: f64,
}

impl Reading {
    /// Whether a limit is what bounds the rate.
    fn saturates(self, limit: f64) -> bool {
        self.in_flight >= SATURATED * limit
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            limit: f64::from(LIMIT_FIRST),
            phase: Phase::Rising(None),
            window: Window::default(),
            baseline: 0.0,
            baseline_of: 1.0,
            rates: [0.0; 3],
            typical: 0.0,
            spread: 0.0,
            measured_at: Moment::ZERO,
            measured: (0.0, 1.0),
            remeasure_at: Moment::ZERO,
            last_answered: None,
        }
    }
}

impl Adaptive {
    /// The limit in force.
    pub fn limit(&self) -> u32 {
        let limit = match self.phase {
            Phase::Rising(_) | Phase::Cruising => self.limit,
            Phase::Measuring { level, .. } => level,
        };
        (limit.round() as u32).clamp(1, LIMIT_MOST)
    }

    /// What a request takes while nobody waits inside the app; `None` before the first measurement.
    pub fn baseline(&self) -> Option<Duration> {
        (self.baseline > 0.0).then(|| Duration::from_nanos(self.baseline as u64))
    }

    /// About the median of the latencies so far, long ones included; zero before the first.
    pub fn typical(&self) -> Duration {
        Duration::from_nanos(self.typical as u64)
    }

    /// When a request was answered last.
    pub fn last_answered(&self) -> Option<Moment> {
        self.last_answered
    }

    /// Notes a latency that says nothing about the load, such as that of a long poll: only what is typical learns of it.
    pub fn note_long(&mut self, now: Moment, latency: Duration) {
        self.last_answered = Some(now);
        self.learn_typical(latency.as_nanos() as f64);
    }

    /// A request was answered after `latency`. `is_wanted`: somebody had to wait for a slot since this was true last. True:
    /// a window is over, and the limit may be another one.
    pub fn answered(&mut self, now: Moment, latency: Duration, is_wanted: bool) -> bool {
        let latency = (latency.as_nanos() as f64).max(1.0);
        self.last_answered = Some(now);
        self.learn_typical(latency);
        if now < self.window.began {
            return false;
        }
        if self.window.began == Moment::ZERO {
            // The first to finish are the short ones, which is why they do not count.
            self.settle(now, latency);
            return false;
        }
        let counted = latency.min(OUTLIER * self.typical);
        self.window.count += 1;
        self.window.latency_ns += counted;
        self.window.latency_ns2 += counted * counted;
        let Some(reading) = self.read(now.since(self.window.began)) else { return false };
        self.window = Window { began: now, ..Window::default() };
        match self.phase {
            Phase::Rising(before) => self.rise(now, reading, is_wanted, before),
            Phase::Cruising => self.cruise(now, reading, is_wanted),
            Phase::Measuring { level, before, known, since } => {
                self.measured(now, reading, level, (before, known), since);
            }
        }
        true
    }

    /// What the window says, once it is over.
    fn read(&mut self, elapsed: Duration) -> Option<Reading> {
        let Window { latency_ns, latency_ns2, .. } = self.window;
        let (count, elapsed_ns) = (f64::from(self.window.count), (elapsed.as_nanos() as f64).max(1.0));
        let (mean, mean_at_work) = (latency_ns / count, latency_ns2 / latency_ns);
        let rate = count / elapsed_ns;
        let (samples, least_ns) = match self.phase {
            Phase::Measuring { level, .. } => (self.measure_samples(level), 2.0 * mean_at_work),
            Phase::Rising(_) => {
                let samples = RISE_SAMPLES_PER_VARIANCE * self.spread * self.spread;
                (samples.max(SAMPLES_PER_PLACE * self.limit).max(MEASURE_SAMPLES), 2.0 * mean)
            }
            Phase::Cruising => ((SAMPLES_PER_PLACE * self.limit).max(SAMPLES), 2.0 * mean),
        };
        let is_whole = count >= samples.min(SAMPLES_MOST) && elapsed_ns >= least_ns
            || elapsed >= LONGEST && count >= SAMPLES_LEAST;
        if !is_whole {
            return None;
        }
        self.learn_spread(latency_ns2 / count / (mean * mean) - 1.0);
        Some(Reading { count, mean, mean_at_work, rate, in_flight: rate * mean })
    }

    /// A step up or down by a tenth per latency: after some dozens it stands at the median.
    fn learn_typical(&mut self, latency: f64) {
        self.typical = match self.typical {
            0.0 => latency,
            typical if latency > typical => (typical * 1.1).min(latency),
            typical => (typical / 1.1).max(latency),
        };
    }

    /// Of the first window at once, of later ones by a quarter.
    fn learn_spread(&mut self, variance: f64) {
        let spread = variance.max(0.0).sqrt().min(SPREAD_MOST);
        self.spread += (spread - self.spread) / if self.spread == 0.0 { 1.0 } else { 4.0 };
    }

    /// Raises the limit as long as the rate rises with it, as slow start does (RFC 5681 section 3.1).
    fn rise(&mut self, now: Moment, reading: Reading, is_wanted: bool, before: Option<Reading>) {
        if !reading.saturates(self.limit) {
            return self.cruise(now, reading, is_wanted);
        }
        if before.is_none_or(|before| reading.rate > RISEN * before.rate) {
            self.phase = Phase::Rising(Some(reading));
            return self.set(now, RISE * self.limit, reading.mean);
        }
        self.phase = Phase::Cruising;
        if self.baseline == 0.0
            && let Some(before) = before
        {
            let first = f64::from(LIMIT_FIRST);
            if self.limit <= RISE * first {
                // The first limit may have been too high already.
                self.limit = first;
                return self.measure(now, self.lower(first, STEP), first, reading);
            }
            self.learn_baseline(before);
        }
        self.cruise(now, reading, is_wanted);
    }

    fn learn_baseline(&mut self, reading: Reading) {
        (self.baseline, self.baseline_of) = (reading.mean, reading.count);
    }

    /// The standard error of a window's mean over the baseline, as a share of it.
    fn chance(&self, reading: Reading) -> f64 {
        self.spread * (1.0 / reading.count + 1.0 / self.baseline_of).sqrt()
    }

    fn cruise(&mut self, now: Moment, reading: Reading, is_wanted: bool) {
        let Reading { mean, rate, .. } = reading;
        if self.baseline == 0.0 {
            self.learn_baseline(reading);
        }
        // So much below it is a faster app and no chance.
        if mean < (1.0 - (FASTER_PER_CHANCE * self.chance(reading)).max(FASTER)) * self.baseline {
            self.learn_baseline(reading);
            self.remeasure_soon();
        }
        if !reading.saturates(self.limit) {
            self.rates = [0.0; 3];
            // It is reached at times, though not for long: bursts, which the app takes without slowing down.
            if is_wanted && mean < 1.3 * self.baseline {
                self.set(now, self.limit + (self.limit / 8.0).max(1.0), mean);
            }
            return;
        }
        self.rates = [rate, self.rates[0], self.rates[1]];
        // More than are in flight cannot be at work, whatever a baseline from slower times says.
        let places = (self.rates.into_iter().fold(0.0, f64::max) * self.baseline).min(self.limit);
        let fitting = self.with_room(places, reading);
        let (measured_rate, measured_limit) = self.measured;
        if measured_rate > 0.0 && rate > 1.5 * measured_rate * (self.limit / measured_limit).max(1.0) {
            self.remeasure_soon();
        }
        if fitting < 0.6 * self.limit && self.limit > 1.5 {
            // Fewer places, or a slower app? Half-way down the rate will tell.
            return self.measure(now, (fitting * self.limit).sqrt(), self.limit, reading);
        }
        if now >= self.remeasure_at {
            return self.measure(now, self.lower(places, STEP), places, reading);
        }
        self.set(now, fitting.min(2.0 * self.limit), mean);
    }

    /// The app has become faster.
    fn remeasure_soon(&mut self) {
        self.remeasure_at = self.remeasure_at.min(self.measured_at.plus(REMEASURE_SOON));
    }

    /// Lowers the limit for a while, to see the app without a queue. What was of use until now is `before`.
    fn measure(&mut self, now: Moment, level: f64, before: f64, reading: Reading) {
        let level = below(level, before);
        let known = Rate { per_ns: reading.rate, of: reading.count };
        self.phase = Phase::Measuring { level, before, known, since: now };
        self.settle(now, reading.mean_at_work);
    }

    /// What is in flight was begun under the limit before; it is over after about two latencies.
    fn settle(&mut self, now: Moment, mean: f64) {
        let rest = Duration::from_nanos((2.0 * mean) as u64).min(LONGEST);
        self.window = Window { began: now.plus(rest), ..Window::default() };
    }

    fn measured(
        &mut self,
        now: Moment,
        reading: Reading,
        level: f64,
        (before, known): (f64, Rate),
        since: Moment,
    ) {
        self.learn_baseline(reading);
        // Less in flight than was allowed: it is a quiet time, and this is the latency of one.
        let is_saturated = reading.saturates(level);
        let kept_share = reading.rate / known.per_ns;
        // Had all that was in flight been of use, the rate would have fallen as the limit did.
        if is_saturated && kept_share > f64::midpoint(1.0, level / before) && level > 1.0 {
            // As the app is no less busy than before, both are the same rate: the more requests, the less of it is chance.
            let known = known.and(Rate { per_ns: reading.rate, of: reading.count });
            let deeper = below(self.lower(level, DEEPER), level);
            self.phase = Phase::Measuring { level: deeper, before: level, known, since };
            return self.settle(now, reading.mean);
        }
        self.phase = Phase::Cruising;
        self.rates = [0.0; 3];
        let lost = now.since(since).mul_f64((1.0 - kept_share).clamp(0.0, 1.0));
        self.measured_at = now;
        self.remeasure_at = now.plus(lost.mul_f64(1.0 / LOST_SHARE).max(REMEASURE));
        let rate = known.per_ns.max(reading.rate);
        if is_saturated {
            self.limit = self.with_room(rate * reading.mean, reading).min(f64::from(LIMIT_MOST));
        }
        self.measured = (rate, self.limit);
        self.settle(now, reading.mean);
    }

    /// A level a step below this one.
    fn lower(&self, level: f64, step: Step) -> f64 {
        let chance = self.spread / self.measure_samples(level).sqrt();
        level * (1.0 - (step.per_chance * chance).clamp(step.least, step.most))
    }

    /// Requests of a window while the limit is lowered to this level.
    fn measure_samples(&self, level: f64) -> f64 {
        let samples = MEASURE_SAMPLES_PER_VARIANCE * self.spread * self.spread;
        samples.max(MEASURE_SAMPLES_PER_PLACE * level).clamp(MEASURE_SAMPLES, SAMPLES_MOST)
    }

    fn set(&mut self, now: Moment, limit: f64, mean: f64) {
        let limit = limit.clamp(1.0, f64::from(LIMIT_MOST));
        if limit.round() as u32 != self.limit.round() as u32 {
            // The window after a change begins with what was begun after it.
            self.settle(now, mean / 2.0);
        }
        self.limit = limit;
    }

    /// The limit for an app with so many places: with some room, so that no place stays empty while a request is on its
    /// way and a window that shows too little does no harm.
    fn with_room(&self, places: f64, reading: Reading) -> f64 {
        let share = ROOM + self.chance(reading);
        ((1.0 + share) * places + ROOM_PER_ROOT * places.sqrt()).max(1.0)
    }
}

/// A level to measure at, below what was of use before.
fn below(level: f64, before: f64) -> f64 {
    level.round().min(before.ceil() - 1.0).max(1.0)
}
