//! `cargo xtask setup`: the Debian packages that tests and benches call, installed only when missing.
//!
//! Debian starts a server as soon as its package is installed. Nothing here wants that: the tests start their own nginx
//! on their own ports. So the packages are installed under a `policy-rc.d` that forbids starting services, which is
//! removed again afterwards, and a service unit that came along is disabled so that the next boot does not start it.

use std::io::IsTerminal;
use std::process::Command;

use clap::Args;

use crate::problem::Problem;
use crate::shell;

/// What to install.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Also what the benches need: the peers, the load generators and what the peers are built with
    #[arg(long)]
    pub(crate) bench: bool,
}

/// Installs what is missing; returns at once when nothing is.
pub(crate) fn run(options: &Options) -> Result<(), Problem> {
    let wanted = TOOLS.iter().filter(|tool| options.bench || tool.need == Need::Tests);
    let missing: Vec<&Tool> = wanted.filter(|tool| shell::find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    println!("setup: installing {}", packages.join(" "));
    install(&packages)?;
    match missing.iter().find(|tool| shell::find(tool.program).is_none()) {
        None => Ok(()),
        Some(tool) => Err(Problem::new(format!(
            "package {} was installed but the program {} is not there",
            tool.package, tool.program
        ))
        .help(format!("install {} by hand and see that it is in PATH", tool.program))),
    }
}

/// Who calls a tool.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Tests,
    Benches,
}

/// A program and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
    need: Need,
}

const fn tool(program: &'static str, package: &'static str, need: Need) -> Tool {
    Tool { program, package, need }
}

/// Every program that is called and that does not come with the Rust toolchain.
const TOOLS: [Tool; 10] = [
    tool("nginx", "nginx", Need::Tests),
    tool("haproxy", "haproxy", Need::Benches),
    tool("caddy", "caddy", Need::Benches),
    tool("varnishd", "varnish", Need::Benches),
    tool("wrk", "wrk", Need::Benches),
    tool("ab", "apache2-utils", Need::Benches),
    tool("hey", "hey", Need::Benches),
    tool("taskset", "util-linux", Need::Benches),
    // Pingora's compression library is built with it.
    tool("cmake", "cmake", Need::Benches),
    // Counts system calls without slowing the counted; where the kernel forbids perf, the count is left out.
    tool("perf", "linux-perf", Need::Benches),
];

fn install(packages: &[&str]) -> Result<(), Problem> {
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if shell::find("apt-get").is_none() {
        return Err(Problem::new(format!("missing: {}, and there is no apt-get here", packages.join(", ")))
            .help("install them with this system's package manager, then run again"));
    }
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("sh")
    } else if shell::find("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        // Without a terminal nobody can type a password, so sudo should fail rather than wait.
        if !std::io::stdin().is_terminal() {
            sudo.arg("-n");
        }
        sudo.arg("sh");
        sudo
    } else {
        return Err(Problem::new(format!(
            "missing: {}, and installing them needs root",
            packages.join(", ")
        ))
        .help(format!("run as root: {by_hand}")));
    };
    command.args(["-c", INSTALL, "setup"]).args(packages);
    shell::run(&mut command).map_err(|_| {
        Problem::new(format!("could not install {}", packages.join(", ")))
            .help(format!("run as root and read what it says: {by_hand}"))
    })
}

/// Installs the packages given as arguments and leaves no service running or enabled because of it.
const INSTALL: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" > /dev/null
if [ -d /run/systemd/system ]; then
    for unit in "$@"; do
        if systemctl -q is-enabled "$unit.service" 2> /dev/null; then
            systemctl -q disable "$unit.service"
        fi
    done
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_need_less_than_benches() {
        let tests: Vec<_> = TOOLS.iter().filter(|tool| tool.need == Need::Tests).map(|t| t.program).collect();
        assert_eq!(tests, ["nginx"]);
    }

    #[test]
    fn the_install_script_is_valid_shell() {
        shell::capture(Command::new("sh").args(["-n", "-c", INSTALL])).expect("parses");
    }
}
