//! Being told to stop by Ctrl-C or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::{TOLD_TWICE, Trouble};

/// From now on the first signal to stop sets `stop`, and the second one ends the process.
pub(super) fn to_stop(stop: Arc<AtomicBool>) -> Result<(), Trouble> {
    let failed = |error| Trouble::inconclusive(format!("error: cannot listen to signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?)
    };
    let listen = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(TOLD_TWICE);
            }
        }
    };
    // Not joined: it listens as long as the process lives.
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(listen))
        .map_err(failed)?;
    Ok(())
}
