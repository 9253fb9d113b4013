//! Real nginx: as an origin, and as the oracle for what a proxy does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Connection, Log, end, free_address, send, wait_until};

/// A running nginx: one process, so that killing it kills all of it.
pub struct Nginx {
    pub address: SocketAddr,
    folder: TempDir,
    child: Child,
    log: Log,
}

impl Nginx {
    /// Starts with the inside of an `http` block; `${ADDRESS}` in it is where it shall listen and `${FOLDER}` a folder
    /// of its own.
    pub fn start(http: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let address = free_address();
        let at = folder.path().display();
        let inside = http.replace("${ADDRESS}", &address.to_string()).replace("${FOLDER}", &at.to_string());
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let text = format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {at}/nginx.pid;\nerror_log stderr warn;\n\
             events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{paths}{inside}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), text).expect("a file can be written");
        let (child, log) = launch(folder.path());
        let mut this = Self { address, folder, child, log };
        this.wait();
        this
    }

    /// Serves the files of a folder, with whatever else a `server` block may hold.
    pub fn files(root: &Path, more: &str) -> Self {
        let root = root.display();
        Self::start(&format!("server {{ listen ${{ADDRESS}}; root {root}; {more} }}"))
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Stops it where it stands: the kernel still takes connections for it, but nothing is answered.
    pub fn freeze(&self) {
        send(self.child.id(), Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        send(self.child.id(), Signal::CONT);
    }

    /// Starts it again, where it was.
    pub fn revive(&mut self) {
        (self.child, self.log) = launch(self.folder.path());
        self.wait();
    }

    fn wait(&mut self) {
        let Self { address, child, log, .. } = self;
        wait_until("nginx listens", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("nginx ended with {status}:\n{}", log.text());
            }
            Connection::open(*address).is_ok()
        });
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn launch(folder: &Path) -> (Child, Log) {
    let mut command = Command::new(program());
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.expect("nginx can be started");
    let log = Log::of(child.stderr.take().expect("standard error is piped"));
    (child, log)
}

/// Where nginx is. Its place is not in everybody's `PATH`.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
        .expect("nginx is not installed; run `cargo xtask setup`, or as root `apt-get install nginx`")
}
