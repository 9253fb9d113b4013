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
    /// What its processes, its upstream and its database are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Screener => "screener",
            Self::Resume => "resume",
        }
    }

    /// Tidegate's configuration for it: the file of its folder.
    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Screener => include_str!("../../systems/screener/tidegate.toml"),
            Self::Resume => include_str!("../../systems/resume/tidegate.toml"),
        }
    }

    /// Where its processes look for the token that guards them.
    pub(crate) fn token_variable(self) -> &'static str {
        match self {
            Self::Screener => "SCREENER_IMPORT_TOKEN",
            Self::Resume => "RESUME_OWNER_TOKEN",
        }
    }

    /// What that configuration reads from the environment.
    pub(crate) fn environment(self, addresses: &Addresses) -> Vec<(String, String)> {
        let prefix = self.name().to_uppercase();
        let fixed = [("LISTEN", addresses.listen), ("ADMIN", addresses.admin)];
        let fixed = fixed.into_iter().map(|(name, address)| (name.to_owned(), address));
        let apps = addresses.apps.iter().enumerate().map(|(at, address)| ((at + 1).to_string(), *address));
        fixed.chain(apps).map(|(name, address)| (format!("{prefix}_{name}"), address.to_string())).collect()
    }

    /// The arguments with which this executable becomes one process of the app.
    pub(crate) fn app_args(self, folder: &Path, address: SocketAddr) -> Vec<String> {
        let name = self.name();
        vec![
            format!("app-{name}"),
            format!("--host={}", address.ip()),
            format!("--port={}", address.port()),
            format!("--database={}", folder.join(format!("{name}.db")).display()),
            // One thread each: four processes and Tidegate share this machine's cores.
            "--threads=1".to_owned(),
            // Tidegate has stopped before the app does, so nobody is left to see a lame duck.
            "--lame-duck-s=0".to_owned(),
        ]
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
        let name = self.name();
        let Scene { what, places, commands, path, query } = self.scene(*listen, token);
        let processes: Vec<String> = apps
            .iter()
            .zip(pids)
            .enumerate()
            .map(|(at, (address, pid))| format!("    {name} {}  http://{address}  pid {pid}", at + 1))
            .collect();
        format!(
            "\n{what}, {PROCESSES} processes, Tidegate in front.\n\n\
             \x20   page        http://{listen}/\n\
             {places}\
             \x20   API         http://{listen}/openapi.json\n\
             \x20   admin       http://{admin}/  (metrics at /metrics)\n\n\
             {processes}\n\n\
             Try:\n\
             {commands}\
             \x20   {program} tidegate status{admin_flag}\n\
             \x20   {program} tidegate explain GET http://{listen}{path}{admin_flag}\n\
             \x20   {program} tidegate drain {name}/{drained}{admin_flag}\n\
             \x20   ab -n 20000 -c 100 -k 'http://{listen}{path}{query}'\n\
             \x20   wrk -t2 -c1000 -d10s 'http://{listen}{path}{query}'\n\
             \x20   {program} tidegate load http://{listen}/ --rate 1000/s --for 10s --html report.html\n\
             \x20   kill -9 {victim}     while one of those runs: no request fails\n\n\
             A process that dies is not started again: supervision of the app comes in a later version.\n\
             Ctrl-C stops everything.\n",
            processes = processes.join("\n"),
            drained = apps[0],
            victim = pids[1],
        )
    }

    fn scene(self, listen: SocketAddr, token: &str) -> Scene {
        match self {
            Self::Screener => Scene {
                what: "The screener is up: 5,000 synthetic companies",
                places: String::new(),
                commands: format!(
                    "    curl 'http://{listen}/api/stocks?sector=Energy&pe_max=10&sort=-dividend_yield&per_page=3'\n\
                     \x20   curl -H 'authorization: Bearer {token}' -H 'content-type: text/csv' \\\n\
                     \x20        --data-binary @stocks.csv http://{listen}/api/import\n"
                ),
                path: "/api/stocks",
                query: "?pe_max=20",
            },
            Self::Resume => Scene {
                what: "The personal site is up: a synthetic person",
                places: format!(
                    "    messages    http://{listen}/messages  (any user name, password {token})\n"
                ),
                commands: format!(
                    "    curl -i http://{listen}/\n\
                     \x20   curl -d name=You -d email=you@example.org -d 'message=Is the buoy yours?' \\\n\
                     \x20        http://{listen}/contact\n"
                ),
                path: "/",
                query: "",
            },
        }
    }
}

/// What is told of one system only.
struct Scene {
    what: &'static str,
    /// Lines with further addresses.
    places: String,
    /// Lines with commands to begin with.
    commands: String,
    /// What is asked under load.
    path: &'static str,
    query: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_every_address_that_the_configuration_asks_for() {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let addresses = Addresses { listen: address, admin: address, apps: vec![address; PROCESSES] };
        for system in [System::Screener, System::Resume] {
            let given: Vec<_> = system.environment(&addresses).into_iter().map(|(name, _)| name).collect();
            let config = system.config();
            let asked: Vec<_> =
                config.split("${").skip(1).map(|rest| rest.split([':', '}']).next().unwrap()).collect();
            assert_eq!(given, asked, "{}", system.name());
        }
    }
}
