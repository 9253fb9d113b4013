//! What the generator itself takes: time on a core, memory.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Nanoseconds that this thread has spent on a core.
pub(super) fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Most memory that this process ever had resident, in bytes; 0 where /proc does not say.
pub(super) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Shortest time of which a share is taken, in nanoseconds.
const LEAST_WALL: u64 = 500_000_000;

/// What threads took.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Usage {
    /// Nanoseconds on a core, of all threads.
    pub(super) cpu: u64,
    /// Nanoseconds that went by, for each thread.
    pub(super) wall: u64,
    /// Share of its time that the busiest thread spent on a core.
    pub(super) busiest: f64,
    /// Resident memory, summed over processes.
    pub(super) resident_bytes: u64,
}

impl Usage {
    /// What one thread took. A shorter time counts as [`LEAST_WALL`]: how busy a thread is while it begins and ends
    /// says nothing.
    pub(super) fn of_thread(cpu: u64, wall: u64) -> Self {
        let mut usage = Self { cpu, wall: wall.max(LEAST_WALL), busiest: 0.0, resident_bytes: 0 };
        usage.busiest = usage.share();
        usage
    }

    /// Adds what other threads or processes took.
    pub(super) fn add(&mut self, other: &Self) {
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.busiest = self.busiest.max(other.busiest);
        self.resident_bytes += other.resident_bytes;
    }

    /// Share of the time that was spent on a core, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        if self.wall == 0 { 0.0 } else { (self.cpu as f64 / self.wall as f64).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_threads_and_the_busiest_is_kept() {
        let mut usage = Usage::of_thread(900_000_000, 1_000_000_000);
        usage.add(&Usage::of_thread(100_000_000, 1_000_000_000));
        assert!((usage.share() - 0.5).abs() < 1e-9);
        assert!((usage.busiest - 0.9).abs() < 1e-9);
    }

    #[test]
    fn a_run_of_a_moment_keeps_no_thread_busy() {
        assert!(Usage::of_thread(1_000_000, 1_000_000).share() < 0.01);
    }

    #[test]
    fn a_thread_at_work_uses_its_core() {
        let before = thread_cpu();
        let sum: u64 = (0..200_000_u64).map(std::hint::black_box).sum();
        assert!(std::hint::black_box(sum) > 0 && thread_cpu() > before);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes() > 100_000);
    }
}
