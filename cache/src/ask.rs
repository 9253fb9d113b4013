//! What a request asks of the cache.

use wire::RequestHead;

use crate::{Bypass, Rules};

/// What of a request the cache looks at, read once. Slices of the request's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The head.
    pub head: &'a RequestHead,
    /// What it was parsed from.
    pub buf: &'a [u8],
    // Directives and conditions as read from it: private fields are for the implementer.
}

impl<'a> Ask<'a> {
    /// Reads a request, or says why the cache has no part in it. Costs one test of the head's field set when the
    /// request has none of the fields that matter.
    pub fn read(_head: &'a RequestHead, _buf: &'a [u8], _rules: &Rules) -> Result<Self, Bypass> {
        todo!()
    }
}
