//! The threads of this process: each drives its part, and what they record comes together here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, Scope};
use std::time::{Instant, SystemTime};

use super::layout::Layout;
use super::usage::{Usage, resident_bytes, thread_cpu};
use super::{Ended, How, Lost, RunError, TELL_EVERY, Tally, beginning};
use crate::engine::{self, Clock, monotonic};
use crate::plan::{Part, Plan};
use crate::record::Record;

/// What drives a part: [`engine::drive`], or a stand-in of a test.
pub(super) type Drive<'a> =
    dyn Fn(&Plan, Part, Clock, &AtomicBool, &mut dyn FnMut(Record)) -> std::io::Result<()> + Sync + 'a;

/// What a thread says.
pub(super) enum Told {
    /// What it recorded since the last time.
    Recorded(Box<Record>),
    /// Its part is done.
    Done(Usage),
    /// It was lost; its number in this process counts from 1.
    Lost(u32, How),
}

/// Which parts this process has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// Index of the first.
    pub(super) first: u32,
    /// How many.
    pub(super) count: u32,
    /// Parts of all processes.
    pub(super) of: u32,
}

/// Who leads the threads of this process.
pub(super) trait Lead {
    /// All threads wait: says when the run begins. `None`: it does not.
    fn begin(&mut self) -> Option<Clock>;

    /// Hears what a thread says, or `None` now and then when nobody has said anything.
    fn hear(&mut self, told: Option<Told>);
}

/// Carries out the whole plan in this process.
pub(super) fn run(
    plan: &Plan,
    layout: &Layout,
    stop: &AtomicBool,
    tally: &mut Tally<'_>,
) -> Result<Ended, RunError> {
    let parts = Parts { first: 0, count: layout.threads_each, of: layout.threads_each };
    let mut alone = Alone {
        users: plan.users.most(),
        tally,
        began: SystemTime::now(),
        last_told: Instant::now(),
        usage: None,
        lost: Vec::new(),
    };
    with(plan, parts, stop, &engine::drive, &mut alone)?;
    if let Some(usage) = &mut alone.usage {
        usage.resident_bytes = resident_bytes();
    }
    Ok(Ended {
        started_at: alone.began,
        is_interrupted: stop.load(Ordering::Relaxed),
        lost: alone.lost,
        usage: alone.usage,
    })
}

/// Leads the threads of a run that has only this process.
struct Alone<'a, 'watch> {
    users: u32,
    tally: &'a mut Tally<'watch>,
    began: SystemTime,
    last_told: Instant,
    usage: Option<Usage>,
    lost: Vec<Lost>,
}

impl Lead for Alone<'_, '_> {
    fn begin(&mut self) -> Option<Clock> {
        let (clock, began) = beginning(self.users);
        self.began = began;
        self.tally.clock = Some(clock);
        Some(clock)
    }

    fn hear(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Recorded(record)) => self.tally.add(&record),
            Some(Told::Done(usage)) => self.usage.get_or_insert_default().add(&usage),
            Some(Told::Lost(number, how)) => self.lost.push(Lost::Thread(number, how)),
            None => {}
        }
        if self.last_told.elapsed() >= TELL_EVERY {
            self.last_told = Instant::now();
            self.tally.tell();
        }
    }
}

/// Runs threads to their end, led by `lead`.
pub(super) fn with(
    plan: &Plan,
    parts: Parts,
    stop: &AtomicBool,
    drive: &Drive<'_>,
    lead: &mut impl Lead,
) -> Result<(), RunError> {
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let mut starts = Vec::new();
        for number in 0..parts.count {
            let part = Part { index: parts.first + number, of: parts.of };
            starts.push(start(scope, plan, part, number + 1, stop, drive, tell.clone())?);
        }
        drop(tell);
        // Without a beginning the threads end as soon as nobody can tell them of one.
        let Some(clock) = lead.begin() else { return Ok(()) };
        for start in starts {
            // A thread that is gone already has said so.
            let _ = start.send(clock);
        }
        loop {
            match told.recv_timeout(TELL_EVERY / 2) {
                Ok(told) => lead.hear(Some(told)),
                Err(RecvTimeoutError::Timeout) => lead.hear(None),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })
}

/// Starts a thread, which waits for the clock before it begins.
fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    plan: &'scope Plan,
    part: Part,
    number: u32,
    stop: &'scope AtomicBool,
    drive: &'scope Drive<'scope>,
    tell: Sender<Told>,
) -> Result<Sender<Clock>, RunError> {
    let (send_clock, clock) = channel();
    let work = move || {
        let attempt = std::panic::AssertUnwindSafe(|| one(plan, part, stop, drive, &clock, &tell));
        let told = match std::panic::catch_unwind(attempt) {
            Ok(Some(Ok(usage))) => Told::Done(usage),
            Ok(Some(Err(error))) => Told::Lost(number, How::Failed(error.to_string())),
            Ok(None) => return,
            Err(_) => Told::Lost(number, How::Panicked),
        };
        // Nobody listens any more only when the whole run has failed.
        let _ = tell.send(told);
    };
    Builder::new().name(format!("load-{number}")).spawn_scoped(scope, work).map_err(RunError::Thread)?;
    Ok(send_clock)
}

/// One thread from its beginning to its end. `None`: the run never began.
fn one(
    plan: &Plan,
    part: Part,
    stop: &AtomicBool,
    drive: &Drive<'_>,
    clock: &Receiver<Clock>,
    tell: &Sender<Told>,
) -> Option<std::io::Result<Usage>> {
    let clock = clock.recv().ok()?;
    let (cpu, wall) = (thread_cpu(), monotonic().max(clock.origin));
    let mut report = |record| {
        // As above.
        let _ = tell.send(Told::Recorded(Box::new(record)));
    };
    let result = drive(plan, part, clock, stop, &mut report);
    Some(result.map(|()| Usage::of_thread(thread_cpu() - cpu, monotonic().saturating_sub(wall))))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::super::tests::plan;
    use super::*;

    const PARTS: Parts = Parts { first: 2, count: 2, of: 6 };

    /// Keeps what it hears.
    #[derive(Default)]
    struct Listener {
        does_not_begin: bool,
        done: usize,
        records: usize,
        lost: Vec<(u32, How)>,
    }

    impl Lead for Listener {
        fn begin(&mut self) -> Option<Clock> {
            (!self.does_not_begin).then(|| beginning(1).0)
        }

        fn hear(&mut self, told: Option<Told>) {
            match told {
                Some(Told::Done(_)) => self.done += 1,
                Some(Told::Lost(number, how)) => self.lost.push((number, how)),
                Some(Told::Recorded(_)) => self.records += 1,
                None => {}
            }
        }
    }

    fn play(mut listener: Listener, drive: &Drive<'_>) -> Listener {
        let stop = AtomicBool::new(false);
        let result = with(&plan("http://127.0.0.1:1/"), PARTS, &stop, drive, &mut listener);
        result.expect("threads can be started");
        listener
    }

    #[test]
    fn every_thread_has_a_part_of_its_own() {
        let seen = Mutex::new(Vec::new());
        let heard = play(Listener::default(), &|_, part, _, _, _| {
            seen.lock().map_err(|_| io::Error::other("poisoned"))?.push((part.index, part.of));
            Ok(())
        });
        let mut seen = seen.into_inner().expect("nobody panicked");
        seen.sort_unstable();
        assert_eq!((heard.done, seen), (2, vec![(2, 6), (3, 6)]));
    }

    #[test]
    fn a_thread_that_cannot_work_is_named_and_the_others_go_on() {
        let heard = play(Listener::default(), &|plan, part, _, _, report| {
            report(Record::new(&plan.step_names()));
            if part.index == 3 { Err(io::Error::other("no epoll")) } else { Ok(()) }
        });
        assert_eq!((heard.done, heard.records), (1, 2));
        assert_eq!(heard.lost, [(2, How::Failed("no epoll".to_owned()))]);
    }

    #[test]
    fn a_thread_that_panics_is_named_and_the_others_go_on() {
        let heard = play(Listener::default(), &|_, part, _, _, _| {
            assert_ne!(part.index, 2, "a mistake");
            Ok(())
        });
        assert_eq!((heard.done, heard.lost), (1, vec![(1, How::Panicked)]));
    }

    #[test]
    fn a_run_that_does_not_begin_drives_nothing() {
        let listener = Listener { does_not_begin: true, ..Listener::default() };
        let heard = play(listener, &|_, _, _, _, _| panic!("nothing is to be driven"));
        assert_eq!((heard.done, heard.lost.len()), (0, 0));
    }
}
