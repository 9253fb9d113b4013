//! Who is measured, and how each is started: program, config, version.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::problem::{OrProblem, Problem};
use crate::shell;

use super::build::Built;
use super::process::{Process, SERVER_CORE, free_port, pinned};

/// A program that stands in front of an app, or in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    Tidegate,
    Nginx,
    Haproxy,
    Caddy,
    Pingora,
    Varnish,
    /// No cache, but what none can be cheaper than: the origin by itself, on the server's core. It reads a request and
    /// writes an answer that lies ready, in two calls to the kernel.
    Sockets,
    /// The same for a proxy: it reads from one socket and writes to another, both ways, in four calls.
    Relay,
}

/// What a peer is set up as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A reverse proxy that forwards every request.
    Proxy,
    /// A shared cache.
    Cache,
}

impl Role {
    /// Who is measured in this role, in the order of the report.
    pub(crate) const fn peers(self) -> &'static [Peer] {
        match self {
            Self::Proxy => {
                &[Peer::Tidegate, Peer::Nginx, Peer::Haproxy, Peer::Caddy, Peer::Pingora, Peer::Relay]
            }
            Self::Cache => &[Peer::Tidegate, Peer::Nginx, Peer::Haproxy, Peer::Varnish, Peer::Sockets],
        }
    }
}

impl Peer {
    /// The name that people know.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "Tidegate",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Pingora => "Pingora",
            Self::Varnish => "Varnish",
            Self::Sockets | Self::Relay => "bare sockets",
        }
    }

    /// The file, relative to the root, that says how it is set up.
    pub(crate) fn setup_path(self, role: Role) -> &'static str {
        match (self, role) {
            (Self::Tidegate, Role::Proxy) => "bench/peers/tidegate.toml",
            (Self::Tidegate, Role::Cache) => "bench/peers/cache-tidegate.toml",
            (Self::Nginx, Role::Proxy) => "bench/peers/nginx.conf",
            (Self::Nginx, Role::Cache) => "bench/peers/cache-nginx.conf",
            (Self::Haproxy, Role::Proxy) => "bench/peers/haproxy.cfg",
            (Self::Haproxy, Role::Cache) => "bench/peers/cache-haproxy.cfg",
            (Self::Varnish, _) => "bench/peers/cache-varnish.vcl",
            (Self::Caddy, _) => "bench/peers/Caddyfile",
            (Self::Pingora, _) => "bench/pingora/src/main.rs",
            (Self::Sockets, _) => "bench/origin/src/main.rs",
            (Self::Relay, _) => "bench/origin/src/relay.rs",
        }
    }

    /// Whether it keeps what it is told.
    pub(crate) fn is_cache(self) -> bool {
        !matches!(self, Self::Sockets | Self::Relay)
    }

    /// The version that runs here, as the program or its lock file tells it.
    pub(crate) fn version(self, built: &Built) -> Result<String, Problem> {
        let (program, flag) = match self {
            Self::Tidegate => (built.tidegate.clone(), "--version"),
            Self::Nginx => (PathBuf::from(installed("nginx")?), "-v"),
            Self::Haproxy => (PathBuf::from(installed("haproxy")?), "-v"),
            Self::Caddy => (PathBuf::from(installed("caddy")?), "version"),
            Self::Pingora => return pingora_version(),
            Self::Varnish => (PathBuf::from(installed("varnishd")?), "-V"),
            Self::Sockets | Self::Relay => return Ok("–".to_owned()),
        };
        let output = shell::capture(Command::new(program).arg(flag))?;
        let text = [output.stdout, output.stderr].concat();
        Ok(first_number(&String::from_utf8_lossy(&text)))
    }

    /// Starts it on a free port in front of the origin and waits until it accepts.
    pub(crate) fn start(
        self,
        role: Role,
        built: &Built,
        origin: u16,
        scratch: &Path,
    ) -> Result<Running, Problem> {
        self.start_as(self.name(), self.setup_path(role), built, origin, scratch)
    }

    /// Starts it as a file of the repository says, in a folder of this name.
    pub(crate) fn start_as(
        self,
        name: &str,
        setup_path: &str,
        built: &Built,
        origin: u16,
        scratch: &Path,
    ) -> Result<Running, Problem> {
        let port = free_port()?;
        let folder = scratch.join(name);
        std::fs::create_dir_all(&folder).problem("create a folder for a peer")?;
        let config = match self {
            Self::Pingora | Self::Sockets | Self::Relay => PathBuf::new(),
            _ => write_config(setup_path, port, origin, &folder)?,
        };
        let command = self.command(built, &config, port, origin, &folder)?;
        let log = folder.join("output.log");
        let mut process = Process::start(command, self.name(), &log)?;
        process.wait_for_port(port, &log)?;
        Ok(Running { peer: self, port, process })
    }

    fn command(
        self,
        built: &Built,
        config: &Path,
        port: u16,
        origin: u16,
        folder: &Path,
    ) -> Result<Command, Problem> {
        let on_core = |program: &Path| pinned(SERVER_CORE, program);
        Ok(match self {
            Self::Tidegate => {
                let mut command = on_core(&built.tidegate)?;
                command.args(["run", "-c"]).arg(config);
                command
            }
            Self::Nginx => {
                let mut command = on_core(Path::new(&installed("nginx")?))?;
                command.arg("-p").arg(folder).arg("-c").arg(config).arg("-e").arg(folder.join("nginx.log"));
                command
            }
            Self::Haproxy => {
                let mut command = on_core(Path::new(&installed("haproxy")?))?;
                command.arg("-db").arg("-f").arg(config);
                command
            }
            Self::Caddy => {
                let mut command = on_core(Path::new(&installed("caddy")?))?;
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
                command.env("GOMAXPROCS", "1").env("HOME", folder).env("XDG_DATA_HOME", folder);
                command.env("XDG_CONFIG_HOME", folder);
                command
            }
            Self::Pingora => {
                let mut command = on_core(&built.pingora)?;
                command.args([format!("127.0.0.1:{port}"), format!("127.0.0.1:{origin}")]);
                command
            }
            Self::Varnish => {
                let mut command = on_core(Path::new(&installed("varnishd")?))?;
                command.args(["-F", "-j", "none", "-T", "none", "-s", "malloc,1g", "-l", "1m"]);
                command.args(["-a", &format!("127.0.0.1:{port}"), "-n"]).arg(folder.join("work"));
                command.arg("-f").arg(config);
                for parameter in VARNISH_PARAMETERS {
                    command.args(["-p", parameter]);
                }
                command
            }
            Self::Sockets => {
                let mut command = on_core(&built.origin)?;
                command.arg(format!("127.0.0.1:{port}"));
                command
            }
            Self::Relay => {
                let mut command = on_core(&built.origin)?;
                command.args([&format!("127.0.0.1:{port}"), "--to", &format!("127.0.0.1:{origin}")]);
                command
            }
        })
    }
}

/// One pool of threads, since there is one core; threads for 1,000 connections before they come, which costs less per
/// request than making them then; no compression, and none of the records that nobody reads.
const VARNISH_PARAMETERS: [&str; 8] = [
    "thread_pools=1",
    "thread_pool_min=1100",
    "thread_pool_max=2000",
    "thread_pool_add_delay=0",
    "thread_queue_limit=4000",
    "listen_depth=4096",
    "http_gzip_support=off",
    "vsl_mask=-Begin,-End,-Link,-SessOpen,-SessClose,-ReqStart,-ReqMethod,-ReqURL,-ReqProtocol,-ReqHeader,\
     -ReqUnset,-ReqAcct,-RespProtocol,-RespStatus,-RespReason,-RespHeader,-RespUnset,-Timestamp,-VCL_call,\
     -VCL_return,-VCL_use,-Hit,-HitMiss,-HitPass,-Length,-Storage,-Filters,-TTL,-BereqAcct,-BereqMethod,-BereqURL,\
     -BereqProtocol,-BereqHeader,-BerespProtocol,-BerespStatus,-BerespReason,-BerespHeader,-BackendOpen,\
     -BackendClose,-Fetch_Body",
];

/// Fills the ports and folders into a config that is kept in bench/peers.
fn write_config(setup_path: &str, port: u16, origin: u16, folder: &Path) -> Result<PathBuf, Problem> {
    let source = shell::root().join(setup_path);
    let template = std::fs::read_to_string(&source).problem(&format!("read {}", source.display()))?;
    let text = template
        .replace("@LISTEN@", &port.to_string())
        .replace("@ADMIN@", &free_port()?.to_string())
        .replace("@ORIGIN@", &origin.to_string())
        .replace("@DIR@", &folder.display().to_string());
    let path = folder.join(source.file_name().unwrap_or_default());
    std::fs::write(&path, text).problem(&format!("write {}", path.display()))?;
    Ok(path)
}

/// A peer that accepts connections; ends when dropped.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    pub(crate) port: u16,
    pub(crate) process: Process,
}

fn installed(program: &str) -> Result<String, Problem> {
    shell::find(program).map(|path| path.display().to_string()).ok_or_else(|| {
        Problem::new(format!("{program} is not installed")).help("run `cargo xtask setup --bench`")
    })
}

fn pingora_version() -> Result<String, Problem> {
    let path = shell::root().join("bench/pingora/Cargo.lock");
    let text = std::fs::read_to_string(&path).problem("read Pingora's lock file")?;
    let lock: toml::Table = toml::from_str(&text).problem("read Pingora's lock file")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let text_of = |package: &toml::Value, key: &str| package.get(key)?.as_str().map(str::to_owned);
    packages
        .into_iter()
        .find(|package| text_of(package, "name").as_deref() == Some("pingora-proxy"))
        .and_then(|package| text_of(package, "version"))
        .ok_or_else(|| Problem::new("bench/pingora/Cargo.lock names no pingora-proxy"))
}

/// The first thing in a text that looks like a version: `nginx version: nginx/1.22.1` has 1.22.1, and `varnishd (varnish-7.1.1 revision 7cee)` has 7.1.1.
pub(crate) fn first_number(text: &str) -> String {
    let text = text.replace("(varnish-", "");
    let words = text.split(|c: char| c.is_whitespace() || c == '/');
    let version = words
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    version.unwrap_or("unknown").split(['-', '+']).next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(first_number("nginx version: nginx/1.22.1\n"), "1.22.1");
        assert_eq!(
            first_number("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/"),
            "2.6.12"
        );
        assert_eq!(first_number("v2.6.2 h1:abc="), "2.6.2");
        assert_eq!(first_number("varnishd (varnish-7.1.1 revision 7cee1c5)\nCopyright"), "7.1.1");
        assert_eq!(first_number("none"), "unknown");
    }

    #[test]
    fn the_pingora_that_is_measured_is_known() {
        assert!(pingora_version().expect("locked").contains('.'));
    }

    #[test]
    fn every_setup_is_a_file_of_the_repository() {
        for role in [Role::Proxy, Role::Cache] {
            for path in role.peers().iter().map(|peer| peer.setup_path(role)) {
                assert!(shell::root().join(path).is_file(), "{path}");
            }
        }
    }
}
