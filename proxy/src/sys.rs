//! The one place of this crate with `unsafe`: what the system offers and no safe wrapper does.
#![allow(unsafe_code)]

use std::io;

use tokio::io::unix::AsyncFd;

use crate::net::Listening;

/// Joins a listening socket to the event loop of this thread.
///
/// # Errors
/// The event queue does not take it.
pub fn watch(socket: Listening) -> io::Result<AsyncFd<Listening>> {
    // SAFETY: a `Listening` owns its descriptor, gives out the same one as long as it lives, and has
    // no way to close or replace it before it is dropped; the `AsyncFd` takes the event loop's
    // registration back before it drops the socket.
    unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)
}
