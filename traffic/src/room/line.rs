//! The line in front of a waiting room: numbers are given out and called, first come first served.
//!
//! Two numbers are the whole line: the next one to be given out, and the last one called. Whoever was called may come in,
//! as far as the rate allows: it is spent by those who come, and not by those who have gone home. How many of those who
//! are called come is measured, and so many more are called; a stretch of the line that nobody waits in any more is
//! passed quickly. A bit for each number that was called a moment ago says whether its holder came: no place is used
//! twice, and the bits are as many as are called in that time, however many wait.

use std::collections::VecDeque;

use super::Settings;

/// Calls within this time share a batch.
const BATCH_MS: u64 = 1_000;

/// Who still waits has come after this time: somewhat more than the longest pause between two looks.
const SHOW_MS: u64 = 25_000;

/// Most come far sooner, for those who are near look often; so long places are kept free for them.
const EXPECT_MS: u64 = 8_000;

/// So long those who were called first come in first: twice the pause between two looks of those who are near.
const FIRST_MS: u64 = 4_000;

/// As many as come in in this time are called ahead of the rate, for not everybody looks at once; and as many more as
/// come in in the second one, the fewer come.
const AHEAD_S: f64 = 1.0;
const AHEAD_ABSENT_S: f64 = 10.0;

/// Smallest share of comers that is reckoned with: no more than one in so many is called for one that may come in.
const COMING_MIN: f64 = 1.0 / 64.0;

/// How often the speed of the line is measured.
const SPEED_MS: u64 = 5_000;

/// Most called numbers that are remembered.
const REMEMBERED_MAX: u64 = 1 << 22;

/// What a number is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Worth {
    /// It has not been called yet.
    Waiting,
    /// It has been called, and its holder may come in.
    Called,
    /// Its holder has come in.
    Taken,
    /// It was called, and nobody came for too long.
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The number that is given out next; the first is 1.
    next: u64,
    /// Every number up to this one has been called.
    called: u64,
    /// People that the rate allows to come in now.
    credit: f64,
    at_ms: u64,
    batches: VecDeque<Batch>,
    /// Numbers in the batches.
    remembered: u64,
    /// Share of those called who come, measured.
    coming: f64,
    /// People called per second, measured; `None`: not yet.
    speed: Option<f64>,
    measured: (u64, u64),
}

/// Numbers that were called together.
#[derive(Clone, Debug)]
struct Batch {
    first: u64,
    len: u64,
    called_ms: u64,
    taken: Vec<u64>,
    taken_count: u64,
    /// Nobody has looked yet how many of them came.
    is_open: bool,
}

impl Line {
    /// An empty line. It has its first second's worth of people at once.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            next: 1,
            called: 0,
            credit: f64::MAX,
            at_ms: now_ms,
            batches: VecDeque::new(),
            remembered: 0,
            coming: 1.0,
            speed: None,
            measured: (now_ms, 0),
        }
    }

    /// A line that goes on where another one was left.
    pub(super) fn restored(saved: &super::Saved, now_ms: u64) -> Self {
        let called = saved.called;
        let next = saved.next.max(called.saturating_add(1));
        let mut line = Self { next, called, credit: 0.0, measured: (now_ms, called), ..Self::new(now_ms) };
        line.expect_again(saved.expected_from, now_ms);
        if let Some(batch) = line.batches.back_mut() {
            (batch.taken_count, batch.is_open) = (saved.came.min(batch.len), true);
        }
        line
    }

    /// What has to be kept to go on later.
    pub(super) fn saved(&self) -> super::Saved {
        let expected_from = self.batches.front().map_or(self.called + 1, |batch| batch.first);
        let came = (self.called + 1 - expected_from).saturating_sub(self.expected(self.at_ms) as u64);
        super::Saved { next: self.next, called: self.called, expected_from, came, inside: Vec::new() }
    }

    /// The last number called.
    pub(super) const fn called(&self) -> u64 {
        self.called
    }

    /// Lets time pass, and calls as many as will come in. `free` is how many more may be inside.
    pub(super) fn advance(&mut self, now_ms: u64, settings: &Settings, free: u64) {
        let passed_s = now_ms.saturating_sub(self.at_ms) as f64 / 1e3;
        self.at_ms = self.at_ms.max(now_ms);
        self.credit = (self.credit + passed_s * settings.rate).min(settings.burst());
        self.look_back(now_ms, settings);
        if self.waiting() == 0 {
            (self.speed, self.measured) = (None, (now_ms, self.called));
            return;
        }
        let ahead_s = AHEAD_S + AHEAD_ABSENT_S * (1.0 - self.coming);
        let wanted = (self.credit + settings.rate * ahead_s).min(free as f64) - self.expected(now_ms);
        let room = REMEMBERED_MAX.saturating_sub(self.remembered);
        let count = ((wanted / self.coming).max(0.0) as u64).min(self.waiting()).min(room);
        if count > 0 {
            self.call(count, now_ms);
        }
        self.measure(now_ms);
    }

    /// Somebody comes while nobody waits, and comes in at once.
    pub(super) fn pass(&mut self, now_ms: u64, free: u64) -> Option<u64> {
        let expected = self.expected(now_ms);
        if self.waiting() > 0 || self.credit < expected + 1.0 || (free as f64) < expected + 1.0 {
            return None;
        }
        self.credit -= 1.0;
        let number = self.give();
        self.called = number;
        Some(number)
    }

    /// The number of somebody who comes.
    pub(super) fn give(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// What a number is worth.
    pub(super) fn worth(&self, number: u64) -> Worth {
        if number > self.called {
            return Worth::Waiting;
        }
        match self.batch(number) {
            None => Worth::Gone,
            Some(at) if self.batches[at].is_taken(number) => Worth::Taken,
            Some(_) => Worth::Called,
        }
    }

    /// The holder of a called number comes in, if they [may](Self::may_take).
    pub(super) fn take(&mut self, number: u64, free: u64, now_ms: u64) -> bool {
        if !self.may_take(number, free, now_ms) {
            return false;
        }
        if let Some(at) = self.batch(number) {
            self.batches[at].take(number);
        }
        self.credit -= 1.0;
        true
    }

    /// Whether the holder of a called number may come in: as far as the rate allows, less what is left to those before
    /// them who were called a moment ago and have hardly had time to come.
    pub(super) fn may_take(&self, number: u64, free: u64, now_ms: u64) -> bool {
        let fresh = self.batches.iter().rev().take_while(|batch| batch.called_ms + FIRST_MS > now_ms);
        let before = fresh.filter(|batch| batch.is_open).map(|batch| batch.left_before(number));
        let reserved = before.sum::<u64>() as f64 * self.coming;
        self.credit.min(free as f64) >= reserved + 1.0
    }

    /// A number that was signed here, with what had been called then. After a restart without a memory of its own the
    /// line learns from it.
    pub(super) fn learn(&mut self, number: u64, called: u64, now_ms: u64) {
        if called > self.called {
            let before = self.called;
            self.called = called;
            self.measured = (now_ms, called);
            self.expect_again(before + 1, now_ms);
        }
        self.next = self.next.max(number.saturating_add(1)).max(self.called.saturating_add(1));
    }

    /// People who have not been called.
    const fn waiting(&self) -> u64 {
        self.next - 1 - self.called
    }

    /// People in line, those included who have been called and are still expected.
    pub(super) fn in_line(&self, now_ms: u64) -> u64 {
        self.next - 1 - self.front(now_ms)
    }

    /// How many come in before the holder of a number, themselves included.
    pub(super) fn position(&self, number: u64, now_ms: u64) -> u64 {
        number.saturating_sub(self.front(now_ms)).max(1)
    }

    /// As many as have come in, or have gone home.
    fn front(&self, now_ms: u64) -> u64 {
        self.called - (self.expected(now_ms).round() as u64).min(self.called)
    }

    /// How long somebody waits who has so many before them, in milliseconds.
    pub(super) fn wait_ms(&self, position: u64, settings: &Settings) -> u64 {
        let speed = self.speed.filter(|speed| *speed > 0.0).unwrap_or(settings.rate);
        (position as f64 / speed * 1e3) as u64
    }

    /// Forgets those who have not come for too long, and learns how many do.
    fn look_back(&mut self, now_ms: u64, settings: &Settings) {
        for batch in &mut self.batches {
            if batch.called_ms + SHOW_MS > now_ms {
                break;
            }
            if core::mem::take(&mut batch.is_open) {
                let share = batch.taken_count as f64 / batch.len as f64;
                self.coming = (self.coming / 2.0 + share / 2.0).clamp(COMING_MIN, 1.0);
            }
        }
        let held_ms = settings.hold.as_millis() as u64;
        while let Some(batch) = self.batches.front()
            && batch.called_ms + held_ms < now_ms
        {
            self.remembered -= batch.len;
            self.batches.pop_front();
        }
    }

    /// How many of those called are still to come: the less likely, the longer ago it was.
    fn expected(&self, now_ms: u64) -> f64 {
        let young = self.batches.iter().rev().take_while(|batch| batch.called_ms + EXPECT_MS > now_ms);
        let each = young.filter(|batch| batch.is_open).map(|batch| {
            let left = 1.0 - now_ms.saturating_sub(batch.called_ms) as f64 / EXPECT_MS as f64;
            (batch.len as f64 * self.coming - batch.taken_count as f64).max(0.0) * left
        });
        each.sum()
    }

    fn call(&mut self, count: u64, now_ms: u64) {
        let first = self.called + 1;
        self.called += count;
        self.remembered += count;
        match self.batches.back_mut() {
            Some(last) if last.is_open && last.end() == first && now_ms < last.called_ms + BATCH_MS => {
                last.len += count;
                last.taken.resize(last.len.div_ceil(64) as usize, 0);
            }
            _ => self.batches.push_back(Batch::new(first, count, now_ms, true)),
        }
    }

    /// Numbers from `first` to the last one called may still come, and nobody knows which of them have.
    fn expect_again(&mut self, first: u64, now_ms: u64) {
        let room = REMEMBERED_MAX.saturating_sub(self.remembered);
        let first = first.max(1).max(self.called.saturating_sub(room) + 1);
        if first <= self.called {
            self.remembered += self.called + 1 - first;
            self.batches.push_back(Batch::new(first, self.called + 1 - first, now_ms, false));
        }
    }

    fn batch(&self, number: u64) -> Option<usize> {
        let at = self.batches.partition_point(|batch| batch.first <= number).checked_sub(1)?;
        (number < self.batches[at].end()).then_some(at)
    }

    fn measure(&mut self, now_ms: u64) {
        let (since_ms, called) = self.measured;
        let passed_ms = now_ms.saturating_sub(since_ms);
        if passed_ms < SPEED_MS {
            return;
        }
        let seen = (self.called - called) as f64 / passed_ms as f64 * 1e3;
        self.speed = Some(self.speed.map_or(seen, |before| before * 0.7 + seen * 0.3));
        self.measured = (now_ms, self.called);
    }
}

impl Batch {
    fn new(first: u64, len: u64, called_ms: u64, is_open: bool) -> Self {
        Self { first, len, called_ms, taken: vec![0; len.div_ceil(64) as usize], taken_count: 0, is_open }
    }

    /// The first number behind it.
    const fn end(&self) -> u64 {
        self.first + self.len
    }

    fn is_taken(&self, number: u64) -> bool {
        let at = number - self.first;
        self.taken[(at / 64) as usize] >> (at % 64) & 1 == 1
    }

    /// How many numbers before this one have not come.
    fn left_before(&self, number: u64) -> u64 {
        let end = number.saturating_sub(self.first).min(self.len);
        let whole = (end / 64) as usize;
        let taken: u32 = self.taken[..whole].iter().map(|word| word.count_ones()).sum();
        let rest = self.taken.get(whole).map_or(0, |word| (word & ((1 << (end % 64)) - 1)).count_ones());
        end - u64::from(taken + rest)
    }

    fn take(&mut self, number: u64) {
        let at = number - self.first;
        self.taken[(at / 64) as usize] |= 1 << (at % 64);
        self.taken_count += 1;
    }
}
