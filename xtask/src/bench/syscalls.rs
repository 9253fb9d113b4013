//! How many system calls a server makes per request, counted in a run of its own, since counting is not free.

use std::path::Path;
use std::process::Command;

use crate::problem::{OrProblem, Problem};
use crate::shell;

use super::build::Built;
use super::generator::{Generator, Load};
use super::peer::Running;
use super::{group, procfs};

/// Counts while a load runs; none where the kernel does not let us count.
pub(crate) fn per_request(running: &Running, load: &Load<'_>, built: &Built) -> Result<Option<f64>, Problem> {
    let Some(perf) = shell::find("perf").filter(|perf| may_count(perf)) else { return Ok(None) };
    let counts = load.scratch.join("syscalls.csv");
    let generator = Generator::usual(load.shape);
    let loading = generator.command(load, built)?;
    let ids: Vec<String> = procfs::tree(running.process.id()).iter().map(ToString::to_string).collect();
    let mut command = Command::new(perf);
    command.args(["stat", "--field-separator", ",", "--event", EVENT, "--output"]).arg(&counts);
    command.args(["--pid", &ids.join(","), "--"]).arg(loading.get_program()).args(loading.get_args());
    group::join(&mut command)?;
    let output = shell::capture(&mut command)?;
    let report = generator.read(load, &String::from_utf8_lossy(&output.stdout))?;
    let text = std::fs::read_to_string(&counts).problem("read the counted system calls")?;
    let calls = read(&text).ok_or_else(|| Problem::new(format!("perf counted nothing:\n{text}")))?;
    Ok(Some(calls as f64 / report.requests.max(1) as f64))
}

/// The kernel's trace point at the entry of every system call.
const EVENT: &str = "raw_syscalls:sys_enter";

/// Whether the kernel lets this user count; in many containers it does not.
fn may_count(perf: &Path) -> bool {
    let tried = Command::new(perf).args(["stat", "--event", EVENT, "--", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn read(csv: &str) -> Option<u64> {
    let line = csv.lines().find(|line| line.contains(EVENT))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_and_a_count_that_failed_is_none() {
        assert_eq!(read("# started on Fri\n\n412345,,raw_syscalls:sys_enter,2000,100.00,,\n"), Some(412_345));
        assert_eq!(read("<not counted>,,raw_syscalls:sys_enter,0,0.00,,\n"), None);
    }
}
