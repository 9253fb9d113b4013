//! What is played: the parts of a system, and what the audience is told.

use std::net::SocketAddr;
use std::path::Path;

use crate::System;

/// How many processes the app runs as.
pub(crate) const PROCESSES: usize = 4;
/// Where Tidegate listens when the port is free.
pub(crate) const LISTEN_PORT: u16 = 8080;
/// Where Tidegate's admin listener is when the port is free.
pub(crate) const ADMIN_PORT: u16 = 9900;

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) apps: Vec<SocketAddr>,
}

impl System {
    /// Tidegate's configuration for it: the file of its folder.
    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Screener => include_str!("../../systems/screener/tidegate.toml"),
        }
    }

    /// What that configuration reads from the environment.
    pub(crate) fn environment(self, addresses: &Addresses) -> Vec<(String, String)> {
        let prefix = match self {
            Self::Screener => "SCREENER",
        };
        let fixed = [("LISTEN", addresses.listen), ("ADMIN", addresses.admin)];
        let fixed = fixed.into_iter().map(|(name, address)| (name.to_owned(), address));
        let apps = addresses.apps.iter().enumerate().map(|(at, address)| ((at + 1).to_string(), *address));
        fixed.chain(apps).map(|(name, address)| (format!("{prefix}_{name}"), address.to_string())).collect()
    }

    /// The arguments with which this executable becomes one process of the app.
    pub(crate) fn app_args(self, folder: &Path, address: SocketAddr) -> Vec<String> {
        match self {
            Self::Screener => vec![
                "app-screener".to_owned(),
                format!("--host={}", address.ip()),
                format!("--port={}", address.port()),
                format!("--database={}", folder.join("screener.db").display()),
                // One thread each: four processes and Tidegate share this machine's cores.
                "--threads=1".to_owned(),
                // Tidegate has stopped before the app does, so nobody is left to see a lame duck.
                "--lame-duck-s=0".to_owned(),
            ],
        }
    }

    /// What to look at and what to try.
    pub(crate) fn invitation(
        self,
        addresses: &Addresses,
        pids: &[u32],
        program: &str,
        token: &str,
    ) -> String {
        let Addresses { listen, admin, apps } = addresses;
        let admin_flag = if admin.port() == ADMIN_PORT { String::new() } else { format!(" --admin {admin}") };
        let processes: Vec<String> = apps
            .iter()
            .zip(pids)
            .enumerate()
            .map(|(at, (address, pid))| format!("    screener {}  http://{address}  pid {pid}", at + 1))
            .collect();
        match self {
            Self::Screener => format!(
                "\nThe screener is up: 5,000 synthetic companies, {PROCESSES} processes, Tidegate in front.\n\n\
                 \x20   page        http://{listen}/\n\
                 \x20   API         http://{listen}/openapi.json\n\
                 \x20   admin       http://{admin}/  (metrics at /metrics)\n\n\
                 {processes}\n\n\
                 Try:\n\
                 \x20   curl 'http://{listen}/api/stocks?sector=Energy&pe_max=10&sort=-dividend_yield&per_page=3'\n\
                 \x20   {program} tidegate status{admin_flag}\n\
                 \x20   {program} tidegate explain GET http://{listen}/api/stocks{admin_flag}\n\
                 \x20   {program} tidegate drain screener/{drained}{admin_flag}\n\
                 \x20   ab -n 20000 -c 100 -k 'http://{listen}/api/stocks?pe_max=20'\n\
                 \x20   wrk -t2 -c1000 -d10s 'http://{listen}/api/stocks?pe_max=20'\n\
                 \x20   {program} tidegate load http://{listen}/ --rate 1000/s --for 10s --html report.html\n\
                 \x20   kill -9 {victim}     while one of those runs: no request fails\n\
                 \x20   curl -H 'authorization: Bearer {token}' -H 'content-type: text/csv' \\\n\
                 \x20        --data-binary @stocks.csv http://{listen}/api/import\n\n\
                 A process that dies is not started again: supervision of the app comes in a later version.\n\
                 Ctrl-C stops everything.\n",
                processes = processes.join("\n"),
                drained = apps[0],
                victim = pids[1],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_every_address_that_the_configuration_asks_for() {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let addresses = Addresses { listen: address, admin: address, apps: vec![address; PROCESSES] };
        let given: Vec<_> =
            System::Screener.environment(&addresses).into_iter().map(|(name, _)| name).collect();
        let config = System::Screener.config();
        let asked: Vec<_> =
            config.split("${").skip(1).map(|rest| rest.split([':', '}']).next().unwrap()).collect();
        assert_eq!(given, asked);
    }
}
