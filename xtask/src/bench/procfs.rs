//! What the kernel knows about a process and its children: CPU time used, memory resident.

use std::fs;

use crate::problem::Problem;

/// A process and all its descendants, itself first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may leave while it is looked at; then it is no part of the tree.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        if let Some(stat) = Stat::parse(&stat) {
            parents.push((id, stat.parent));
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    tree
}

/// The CPU time in microseconds, user and system together, that a process, its threads and its children have used.
pub(crate) fn cpu_us(root: u32) -> Result<f64, Problem> {
    let ticks = sum(root, "stat", |text| Stat::parse(text).map(|stat| stat.ticks))?;
    Ok(ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64)
}

/// The CPU time in microseconds of children of this process that have ended and were waited for.
pub(crate) fn ended_children_cpu_us() -> Result<f64, Problem> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let stat = Stat::parse(&stat).ok_or_else(|| Problem::new("/proc/self/stat cannot be read"))?;
    Ok(stat.children_ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64)
}

/// The resident memory in bytes of a process and its children.
pub(crate) fn resident_bytes(root: u32) -> Result<u64, Problem> {
    Ok(sum(root, "status", resident_kib)? * 1024)
}

/// The resident memory in bytes of a process and its children, where what several of them share counts once.
pub(crate) fn proportional_bytes(root: u32) -> Result<u64, Problem> {
    Ok(sum(root, "smaps_rollup", proportional_kib)? * 1024)
}

/// Adds up a figure of a process and its children. The process itself has to be there; a child may have just left.
fn sum(root: u32, file: &str, figure: fn(&str) -> Option<u64>) -> Result<u64, Problem> {
    let of = |id: u32| figure(&fs::read_to_string(format!("/proc/{id}/{file}")).ok()?);
    let own =
        of(root).ok_or_else(|| Problem::new(format!("process {root} is gone, or /proc cannot be read")))?;
    Ok(own + tree(root).into_iter().skip(1).filter_map(of).sum::<u64>())
}

fn resident_kib(status: &str) -> Option<u64> {
    kib(status, "VmRSS:")
}

fn proportional_kib(rollup: &str) -> Option<u64> {
    kib(rollup, "Pss:")
}

fn kib(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The fields of /proc/PID/stat that are used here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of all threads and of children that have ended, in clock ticks.
    ticks: u64,
    /// The part of it that is of children that have ended.
    children_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses and may hold anything, closing parentheses included.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Counted as in proc_pid_stat(5), where the state, the first field of `rest`, is number 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse::<u64>().ok();
        let children_ticks = number(16)? + number(17)?;
        let ticks = number(14)? + number(15)? + children_ticks;
        Some(Self { parent: field(4)?.parse().ok()?, ticks, children_ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_is() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 100 0 0 0 5 6 1 2 20 0 1 0 100 1000 50";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 7, ticks: 14, children_ticks: 3 }));
        assert_eq!(Stat::parse("42 (cut"), None);
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2048));
        assert_eq!(resident_kib("Name:\tkthread\n"), None);
        assert_eq!(
            proportional_kib("0-f ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss:   7 kB\nPss_Anon: 1 kB\n"),
            Some(7)
        );
    }

    #[test]
    fn this_process_has_used_memory_and_is_in_its_own_tree() {
        assert_eq!(tree(std::process::id())[0], std::process::id());
        assert!(resident_bytes(std::process::id()).expect("readable") > 0);
        assert!(proportional_bytes(std::process::id()).expect("readable") > 0);
        assert!(cpu_us(std::process::id()).expect("readable") >= 0.0);
    }
}
