//! Carrying out a part of a plan that opens WebSockets.

use std::io;

use super::Run;
use crate::plan::Sockets;

/// Carries out one part.
pub(super) fn drive(_run: Run<'_>, _sockets: &Sockets) -> io::Result<()> {
    todo!()
}
