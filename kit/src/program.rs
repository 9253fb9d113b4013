//! An app as a program: the options that every app has, its runtime, its listener, its exit code.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::{Limits, bind};

/// Where and how an app serves; a part of its command line.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Serving")]
pub struct ServeOptions {
    /// Port to listen on; 0 chooses a free one, which the log then names
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Address to listen on; 0.0.0.0 inside a container
    #[arg(long, env = "HOST", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Threads that serve; by default one per core
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Seconds to go on serving after SIGTERM while /ready already says no
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub lame_duck_s: u64,
    /// Seconds that requests in flight may then take to end
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_s: u64,
}

/// Why an app cannot begin to serve.
#[derive(Debug)]
pub enum ServeError {
    /// The runtime or its signal handlers could not be had.
    Runtime(std::io::Error),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
}

impl ServeOptions {
    /// Runs `app` on a runtime with these threads, to its end.
    pub fn block_on<T, E: From<ServeError>>(&self, app: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            runtime.worker_threads(threads.into());
        }
        runtime.enable_all().build().map_err(ServeError::Runtime)?.block_on(app)
    }

    /// Listens, and logs where.
    pub fn listen(&self) -> Result<TcpListener, ServeError> {
        let address = SocketAddr::new(self.host, self.port);
        let refused = |error| ServeError::Listen(address, error);
        let listener = bind(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        tracing::info!(%address, url = format!("http://{address}/"), "listening");
        Ok(listener)
    }

    /// The usual limits, with this way to stop.
    pub fn limits(&self) -> Limits {
        Limits {
            lame_duck: Duration::from_secs(self.lame_duck_s),
            drain: Duration::from_secs(self.drain_s),
            ..Limits::default()
        }
    }
}

/// The whole of an app's `main`: logs, runs `app`, says why it failed.
pub fn exit_code<E: std::fmt::Display>(app: impl FnOnce() -> Result<(), E>) -> ExitCode {
    crate::log::init("info");
    match app() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "runtime: {error}"),
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; choose another with --port or PORT")
            }
        }
    }
}

impl std::error::Error for ServeError {}
