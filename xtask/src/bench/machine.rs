//! What the figures were measured on.

use std::process::Command;

use crate::shell;

/// A machine, in words.
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    pub(crate) compiler: String,
    /// Year, month and day.
    pub(crate) date: String,
}

impl Machine {
    /// The section of a page that says where its figures come from.
    pub(crate) fn section(&self) -> String {
        format!(
            "## The machine\n\n{}, {} cores, {:.0} GiB of memory, {}, {}, {}. Measured on {}.\n\n",
            self.cpu, self.cores, self.memory_gib, self.system, self.kernel, self.compiler, self.date
        )
    }
}

/// Looks around. What cannot be found out is called unknown; it is no reason not to measure.
pub(crate) fn look() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory_kib = number_after(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0.0);
    Machine {
        cpu: value_after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib: memory_kib / 1024.0 / 1024.0,
        kernel: said("uname", &["-sr"]),
        system: value_after(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_else(unknown),
        compiler: said("rustc", &["--version"]),
        date: said("date", &["-u", "+%Y-%m-%d"]),
    }
}

/// Says so when other work would disturb what is measured.
pub(crate) fn warn_when_busy() {
    if let Some(load) = load_average().filter(|load| *load > 0.5) {
        println!("warning: the machine is busy (load {load:.1}); figures will be too high and uneven");
    }
}

/// How busy the machine was in the last minute, in runnable processes; none where the kernel does not say.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    shell::capture(Command::new(program).args(arguments))
        .map_or_else(|_| unknown(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The value of `key : value` or `key="value"`.
fn value_after(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let (_, value) = line.split_once([':', '='])?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn number_after(text: &str, key: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_both_notations() {
        assert_eq!(
            value_after("vendor_id\t: x\nmodel name\t: A CPU\n", "model name").as_deref(),
            Some("A CPU")
        );
        assert_eq!(
            value_after("NAME=\"D\"\nPRETTY_NAME=\"Debian 12\"", "PRETTY_NAME").as_deref(),
            Some("Debian 12")
        );
        assert_eq!(number_after("MemTotal:       25165824 kB", "MemTotal:"), Some(25_165_824.0));
    }

    #[test]
    fn this_machine_has_a_core_and_a_date() {
        let machine = look();
        assert!(machine.cores > 0);
        assert_eq!(machine.date.len(), 10);
    }
}
