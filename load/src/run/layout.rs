//! How many processes and threads carry out a plan, and from which addresses they connect.

use std::net::{IpAddr, Ipv4Addr};

use super::{RunError, Staff};
use crate::plan::Plan;
use crate::scenario::value::MAX_SOURCES;

/// Descriptors of a process that are not for connections: logs, epoll, pipes, files of the scenario.
const SPARE_DESCRIPTORS: u64 = 64;

/// Most processes of a run.
pub const MOST_PROCESSES: u32 = 64;

/// Share of the local ports that is counted on. The rest may be in use or not yet free again.
const USABLE_PORTS: f64 = 0.9;

/// Connections that a loopback address gets where it costs nothing to take more of them: the kernel looks for a free
/// port from a random one on, and the more are taken the longer it looks, for every connection that is opened.
const QUICK_PORTS: u32 = 4_000;

/// What this machine allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Machine {
    /// Cores.
    pub(super) cores: u32,
    /// Descriptors of one process.
    pub(super) descriptors: u64,
    /// Local ports for outgoing connections of one address.
    pub(super) ports: u32,
}

impl Machine {
    /// This machine, after taking as many descriptors as it gives.
    pub(super) fn this() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        Self { cores, descriptors: raise_descriptors(), ports: ports(&range) }
    }

    /// Connections that one process can hold.
    fn connections_each(&self) -> u32 {
        u32::try_from(self.descriptors.saturating_sub(SPARE_DESCRIPTORS)).unwrap_or(u32::MAX)
    }

    /// Connections that one local address can have to one address of the target.
    fn connections_per_source(&self) -> u32 {
        ((f64::from(self.ports) * USABLE_PORTS) as u32).max(1)
    }
}

/// Raises the soft limit of descriptors to the hard one; what it is then.
pub(super) fn raise_descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Not being allowed to leaves the limit where it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many ports a range such as `32768 60999` has; the kernel's default when there is none.
fn ports(range: &str) -> u32 {
    let mut bounds = range.split_whitespace().filter_map(|bound| bound.parse::<u32>().ok());
    match (bounds.next(), bounds.next()) {
        (Some(low), Some(high)) if high >= low => high - low + 1,
        _ => 28_232,
    }
}

/// Who does what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Processes that generate load.
    pub(super) processes: u32,
    /// Threads of each.
    pub(super) threads_each: u32,
    /// Local addresses to connect from; empty: the system chooses.
    pub(super) sources: Vec<IpAddr>,
    /// What was decided and is worth knowing.
    pub(super) notes: Vec<String>,
}

impl Layout {
    /// Fits a plan to a machine.
    pub(super) fn new(plan: &Plan, staff: &Staff, machine: &Machine) -> Result<Self, RunError> {
        let users = plan.users.most().max(1);
        let mut notes = Vec::new();
        let processes = processes(users, staff, machine, &mut notes)?;
        let threads = staff.threads.unwrap_or(machine.cores).clamp(1, users);
        let sources = sources(plan, users, machine, &mut notes);
        Ok(Self { processes, threads_each: (threads / processes).max(1), sources, notes })
    }
}

fn processes(users: u32, staff: &Staff, machine: &Machine, notes: &mut Vec<String>) -> Result<u32, RunError> {
    let each = machine.connections_each();
    let most = if staff.program.is_some() { MOST_PROCESSES } else { 1 };
    let wanted = staff.processes.unwrap_or(1).clamp(1, most).min(users);
    let needed = users.div_ceil(each.max(1));
    if each == 0 || needed > most {
        return Err(RunError::TooManyConnections { connections: users, most: each.saturating_mul(most) });
    }
    if needed > wanted {
        notes.push(format!(
            "{needed} processes for {users} connections, because one may open {} descriptors (ulimit -Hn)",
            machine.descriptors
        ));
    }
    Ok(needed.max(wanted))
}

fn sources(plan: &Plan, users: u32, machine: &Machine, notes: &mut Vec<String>) -> Vec<IpAddr> {
    let addresses = plan.target.addresses.len() as u32;
    let needed = |each: u32| users.div_ceil(each.saturating_mul(addresses).max(1));
    let most = machine.connections_per_source();
    let is_local =
        plan.target.addresses.iter().all(|address| address.is_ipv4() && address.ip().is_loopback());
    let given = plan.sources.len() as u32;
    if given == 0 && is_local {
        let each = most.min(QUICK_PORTS);
        let count = needed(each).min(MAX_SOURCES as u32);
        if count > 1 {
            notes.push(format!(
                "connections come from {count} source addresses, 127.0.0.1 to {}, since a free port is found quickly \
                 while one has no more than about {each}",
                loopback(count),
            ));
            return (1..=count).map(loopback).collect();
        }
    }
    let count = needed(most);
    if count > given.max(1) {
        notes.push(format!(
            "{users} connections need {count} source addresses, because one has ports for about {}; give more by \
             --source, or some will fail as unreachable",
            most.saturating_mul(addresses)
        ));
    }
    plan.sources.clone()
}

/// The loopback address with this number; 1 is 127.0.0.1.
fn loopback(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 0, 0)) + number))
}

#[cfg(test)]
mod tests {
    use super::super::Program;
    use super::super::tests::plan;
    use super::*;
    use crate::plan::Users;

    const MACHINE: Machine = Machine { cores: 4, descriptors: 20_064, ports: 28_232 };

    fn layout(users: u32, staff: &Staff) -> Result<Layout, RunError> {
        let mut plan = plan("http://127.0.0.1:1/");
        plan.users = Users::Exactly(users);
        Layout::new(&plan, staff, &MACHINE)
    }

    fn staff(threads: Option<u32>, processes: Option<u32>) -> Staff {
        let program = Program { path: "/bin/false".into(), command: "load".into(), arguments: Vec::new() };
        Staff { threads, processes, program: Some(program) }
    }

    #[test]
    fn a_small_plan_has_one_process_and_a_thread_for_each_core() -> Result<(), RunError> {
        let layout = layout(100, &staff(None, None))?;
        assert_eq!((layout.processes, layout.threads_each), (1, 4));
        assert_eq!((layout.sources.len(), layout.notes.len()), (0, 0));
        Ok(())
    }

    #[test]
    fn there_are_never_more_threads_than_users() -> Result<(), RunError> {
        assert_eq!(layout(3, &staff(Some(8), None))?.threads_each, 3);
        let layout = layout(2, &staff(None, Some(5)))?;
        assert_eq!((layout.processes, layout.threads_each), (2, 1));
        Ok(())
    }

    #[test]
    fn more_connections_than_descriptors_get_more_processes_and_a_note() -> Result<(), RunError> {
        let layout = layout(100_000, &staff(None, None))?;
        assert_eq!((layout.processes, layout.threads_each), (5, 1));
        assert!(layout.notes[0].contains("5 processes"), "{:?}", layout.notes);
        Ok(())
    }

    #[test]
    fn loopback_addresses_are_taken_before_free_ports_are_hard_to_find() -> Result<(), RunError> {
        let of = |users| layout(users, &staff(None, None));
        assert!(of(4_000)?.sources.is_empty());
        assert_eq!(of(4_001)?.sources, [1, 2].map(loopback));
        assert_eq!(of(25_000)?.sources, [1, 2, 3, 4, 5, 6, 7].map(loopback));
        let layout = of(100_000)?;
        assert_eq!(layout.sources.len(), 25);
        assert!(
            layout.notes[1].contains("25 source addresses, 127.0.0.1 to 127.0.0.25"),
            "{:?}",
            layout.notes
        );
        Ok(())
    }

    #[test]
    fn other_targets_are_connected_to_from_where_the_system_says() -> Result<(), RunError> {
        let mut plan = plan("http://192.0.2.1:1/");
        plan.users = Users::Exactly(10_000);
        let layout = Layout::new(&plan, &staff(None, None), &MACHINE)?;
        assert_eq!((layout.sources.len(), layout.notes.len()), (0, 0), "{:?}", layout.notes);
        plan.users = Users::Exactly(30_000);
        let layout = Layout::new(&plan, &staff(None, None), &MACHINE)?;
        assert!(layout.sources.is_empty());
        assert!(layout.notes[1].contains("need 2 source addresses"), "{:?}", layout.notes);
        Ok(())
    }

    #[test]
    fn sources_that_were_given_stay_and_too_few_are_told() -> Result<(), RunError> {
        let mut plan = plan("http://127.0.0.1:1/");
        plan.users = Users::UpTo(100_000);
        plan.sources = vec![loopback(9)];
        let layout = Layout::new(&plan, &staff(None, None), &MACHINE)?;
        assert_eq!(layout.sources, plan.sources);
        assert!(layout.notes[1].contains("need 4 source addresses"), "{:?}", layout.notes);
        Ok(())
    }

    #[test]
    fn connections_that_no_number_of_processes_can_hold_are_refused() {
        let alone = Staff { program: None, ..staff(None, None) };
        let error = layout(20_001, &alone).expect_err("one process holds 20,000");
        assert!(error.to_string().contains("20001 connections are more than the 20000"), "{error}");
        assert!(layout(20_000 * MOST_PROCESSES + 1, &staff(None, None)).is_err());
    }

    #[test]
    fn ports_are_counted_from_the_kernels_range() {
        assert_eq!(ports("1024\t65535\n"), 64_512);
        assert_eq!(ports(""), 28_232);
    }
}
