//! Several processes for one run: this one leads, the others generate load. Each is a child that is asked over its
//! standard input, and answers over its standard output; when this process dies, their input ends and so do they.
//!
//! ```text
//!   Preparing ──says ready──► Ready ──told to begin, does its share──► Done
//!       │                       │
//!       └───────────────────────┴── ends, fails, hangs, talks nonsense ──► Lost
//! ```

use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use super::layout::Layout;
use super::message::{Order, Share, Word, receive, send};
use super::usage::Usage;
use super::{Ended, How, Lost, Program, RunError, TELL_EVERY, Tally, at_most, beginning};
use crate::plan::Plan;

/// How often the order to stop is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a member stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It makes its plan and starts its threads.
    Preparing,
    /// It knows or waits for the beginning.
    Ready,
    /// It has done its share.
    Done,
    /// It is gone, or as good as gone.
    Lost,
}

/// A child process.
struct Member {
    child: Child,
    /// `None`: it takes no more orders.
    orders: Option<ChildStdin>,
    state: State,
}

impl Member {
    fn order(&mut self, order: &Order) {
        if let Some(orders) = &mut self.orders {
            // One that is gone is noticed by the end of what it says.
            let _ = send(orders, order);
        }
    }

    /// Whether something is still to come from it.
    const fn is_at_work(&self) -> bool {
        matches!(self.state, State::Preparing | State::Ready)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.orders.take());
        if self.is_at_work() {
            // It may have ended at this moment.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What was heard of a member: a word, or `None` when it has fallen silent for good.
type Heard = (usize, Option<Word>);

/// Carries out the plan in several processes. Those that say nothing for `patience` after they should have are given
/// up.
pub(super) fn run(
    plan: &Plan,
    layout: &Layout,
    program: &Program,
    stop: &AtomicBool,
    tally: &mut Tally<'_>,
    patience: Duration,
) -> Result<Ended, RunError> {
    let (say, heard) = channel();
    let mut members = Vec::new();
    for index in 0..layout.processes {
        members.push(start(program, plan, layout, index, say.clone())?);
    }
    drop(say);
    let mut fleet = Fleet {
        members,
        heard,
        stop,
        tally,
        patience,
        usage: None,
        lost: Vec::new(),
        was_told_to_stop: false,
    };
    let mut started_at = SystemTime::now();
    if fleet.wait_until_ready() {
        let (clock, began) = beginning(plan.users.most());
        started_at = began;
        fleet.tally.clock = Some(clock);
        fleet.order(&Order::Begin(clock.origin));
        fleet.wait_until_done(at_most(plan));
    }
    let Fleet { usage, lost, .. } = fleet;
    Ok(Ended { started_at, is_interrupted: stop.load(Ordering::Relaxed), lost, usage })
}

/// Starts a member and tells it its share.
fn start(
    program: &Program,
    plan: &Plan,
    layout: &Layout,
    index: u32,
    say: Sender<Heard>,
) -> Result<Member, RunError> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(&program.path);
    command
        .arg(&program.command)
        .arg(format!("--part={}/{}", index + 1, layout.processes))
        .args(&program.arguments);
    // A group of its own: Ctrl-C is for the process that leads, which then tells the others.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(RunError::Process)?;
    let out = child.stdout.take();
    let orders = child.stdin.take();
    let mut member = Member { child, orders, state: State::Preparing };
    let thread = std::thread::Builder::new().name(format!("member-{}", index + 1));
    thread.spawn(move || listen(index as usize, out, &say)).map_err(RunError::Thread)?;
    member.order(&Order::Prepare(Share {
        threads: layout.threads_each,
        first: index * layout.threads_each,
        of: layout.processes * layout.threads_each,
        stages: plan.stages.clone(),
        grace: plan.grace,
        sources: plan.sources.clone(),
    }));
    Ok(member)
}

/// Passes on what a member says until it falls silent. What makes no sense is taken as silence.
fn listen(index: usize, out: Option<ChildStdout>, say: &Sender<Heard>) {
    let mut from = out.map(BufReader::new);
    while let Some(Ok(Some(word))) = from.as_mut().map(receive::<Word>) {
        if say.send((index, Some(word))).is_err() {
            return;
        }
    }
    // Nobody listens any more when the run is over.
    let _ = say.send((index, None));
}

/// All members of a run.
struct Fleet<'a, 'watch> {
    members: Vec<Member>,
    heard: Receiver<Heard>,
    stop: &'a AtomicBool,
    tally: &'a mut Tally<'watch>,
    patience: Duration,
    usage: Option<Usage>,
    lost: Vec<Lost>,
    was_told_to_stop: bool,
}

impl Fleet<'_, '_> {
    /// Waits until all members that are left are ready; whether there are any, and the run may begin.
    fn wait_until_ready(&mut self) -> bool {
        let deadline = Instant::now() + self.patience;
        while self.members.iter().any(|member| member.state == State::Preparing) {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            self.hear(deadline);
        }
        self.members.iter().any(Member::is_at_work)
    }

    /// Waits until all members are done or lost.
    fn wait_until_done(&mut self, at_most: Duration) {
        let mut deadline = Instant::now() + at_most + self.patience;
        let mut last_told = Instant::now();
        while self.members.iter().any(Member::is_at_work) {
            if self.stop.load(Ordering::Relaxed) && !self.was_told_to_stop {
                self.was_told_to_stop = true;
                self.order(&Order::Stop);
                deadline = deadline.min(Instant::now() + self.patience);
            }
            self.hear(deadline);
            if last_told.elapsed() >= TELL_EVERY {
                last_told = Instant::now();
                self.tally.tell();
            }
        }
    }

    /// Hears one word, if one is said soon. Past the deadline, whoever is still at work is given up.
    fn hear(&mut self, deadline: Instant) {
        match self.heard.recv_timeout(LOOK_EVERY) {
            Ok((index, word)) => self.take(index, word),
            Err(RecvTimeoutError::Timeout) => {}
            // Cannot be while one is at work: its listener says when it falls silent.
            Err(RecvTimeoutError::Disconnected) => self.give_up(),
        }
        if Instant::now() >= deadline {
            self.give_up();
        }
    }

    fn take(&mut self, index: usize, word: Option<Word>) {
        let number = index as u32 + 1;
        let member = &mut self.members[index];
        match word {
            Some(Word::Ready) => member.state = State::Ready,
            Some(Word::Recorded(record)) => self.tally.add(&record),
            Some(Word::Lost(thread, why)) => {
                let why = How::Failed(format!("its thread {thread} was lost: {why}"));
                self.lost.push(Lost::Process(number, why));
            }
            Some(Word::Done(usage)) => {
                member.state = State::Done;
                self.usage.get_or_insert_default().add(&usage);
            }
            Some(Word::Failed(why)) => {
                member.state = State::Lost;
                self.lost.push(Lost::Process(number, How::Failed(why)));
            }
            None if member.is_at_work() => {
                // It may be alive and only have closed its output, or talk nonsense.
                drop(member.orders.take());
                let how = end(&mut member.child);
                member.state = State::Lost;
                self.lost.push(Lost::Process(number, how));
            }
            None => {}
        }
    }

    fn give_up(&mut self) {
        for (number, member) in (1..).zip(&mut self.members) {
            if member.is_at_work() {
                // It may have ended at this moment.
                let _ = member.child.kill();
                member.state = State::Lost;
                self.lost.push(Lost::Process(number, How::Hung));
            }
        }
    }

    fn order(&mut self, order: &Order) {
        for member in &mut self.members {
            member.order(order);
        }
    }
}

/// How a child that says nothing any more has ended; it is ended if it has not.
fn end(child: &mut Child) -> How {
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return How::Ended(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                // It may have ended at this moment; whoever drops the member waits for it.
                let _ = child.kill();
                return How::Hung;
            }
            Err(error) => return How::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::super::tests::plan;
    use super::*;

    /// Two members that are shells and run this script.
    fn play(script: &str) -> (Vec<Lost>, Option<Usage>) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("member.sh");
        std::fs::write(&file, script).expect("a file can be written");
        let program = Program { path: "/bin/sh".into(), command: file.into(), arguments: Vec::new() };
        let layout = Layout { processes: 2, threads_each: 1, sources: Vec::new(), notes: Vec::new() };
        let (plan, stop) = (plan("http://127.0.0.1:1/"), AtomicBool::new(false));
        let mut watch = |_: super::super::Progress<'_>| {};
        let mut tally = Tally::new(&plan, &mut watch);
        let patience = Duration::from_millis(500);
        let ended =
            run(&plan, &layout, &program, &stop, &mut tally, patience).expect("a shell can be started");
        (ended.lost, ended.usage)
    }

    #[test]
    fn members_that_end_before_the_run_does_are_told_with_their_status() {
        let (mut lost, usage) = play("exit 3");
        lost.sort_by_key(|lost| matches!(lost, Lost::Process(2, _)));
        let how = How::Ended(std::process::ExitStatus::from_raw(3 << 8));
        assert_eq!(lost, [Lost::Process(1, how.clone()), Lost::Process(2, how)]);
        assert_eq!(usage, None);
    }

    #[test]
    fn members_that_hang_are_killed() {
        let (lost, _) = play("exec sleep 600");
        assert_eq!(lost, [Lost::Process(1, How::Hung), Lost::Process(2, How::Hung)]);
    }

    #[test]
    fn a_member_that_talks_nonsense_is_lost() {
        let (lost, usage) = play("echo Hello; exec sleep 600");
        assert_eq!((lost.len(), usage), (2, None));
        assert!(lost.iter().all(|lost| matches!(lost, Lost::Process(_, How::Hung))), "{lost:?}");
    }
}
