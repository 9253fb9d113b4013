//! Carrying out a part of a plan that asks over HTTP/1.1.

use std::io;

use super::Run;
use crate::script::Script;

/// Carries out one part.
pub(super) fn drive(_run: Run<'_>, _script: &Script) -> io::Result<()> {
    todo!()
}
