//! The process group of everything that a bench starts. It ends with the bench, however the bench ends: a signal leaves no
//! time to drop guards, but the kernel closes a pipe whoever held it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::problem::{OrProblem, Problem};

/// Waits for the end of its input, then ends its own group: asks first, since masters end their workers when asked, and
/// kills what stays, itself at last. It has to be in the group until then, so that the group's number is nobody else's.
const WATCH: &str = "trap '' TERM; read -r line; kill -TERM 0; sleep 0.5; kill -KILL 0";

/// A group, and who watches over it: a shell whose input is a pipe that only this process holds.
struct Group {
    watch: Child,
}

impl Group {
    fn start() -> Result<Self, Problem> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH]).process_group(0);
        let watch = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self { watch: watch.problem("start what ends the servers of a bench with it")? })
    }

    /// The command's process will be of the group, and what that one starts.
    fn take(&self, command: &mut Command) {
        command.process_group(self.watch.id().cast_signed());
    }
}

/// Makes the command's process one that ends when this process does.
pub(crate) fn join(command: &mut Command) -> Result<(), Problem> {
    static GROUP: Mutex<Option<Group>> = Mutex::new(None);
    let mut group = GROUP.lock().unwrap_or_else(PoisonError::into_inner);
    let group = match &mut *group {
        Some(group) => group,
        none => none.insert(Group::start()?),
    };
    group.take(command);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    use super::*;

    #[test]
    fn whoever_does_not_want_to_leave_ends_with_the_bench_and_so_do_its_children() {
        let mut group = Group::start().expect("starts");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo up; sleep 1000 & sleep 1000"]).stdout(Stdio::piped());
        group.take(&mut command);
        let mut master = command.spawn().expect("starts");
        let mut said = master.stdout.take().expect("piped");
        let mut up = [0; 3];
        said.read_exact(&mut up).expect("is up");
        // What the kernel does when the bench is gone.
        drop(group.watch.stdin.take());
        // The end comes when nobody holds the pipe any more: master and worker.
        assert_eq!(said.read_to_end(&mut Vec::new()).expect("readable"), 0);
        let killed = Some(Signal::KILL.as_raw());
        assert_eq!(master.wait().expect("ends").signal(), killed);
        assert_eq!(group.watch.wait().expect("ends").signal(), killed);
    }
}
