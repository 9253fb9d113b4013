//! A stored response, shared by reference between cores.

use std::sync::Arc;

use crate::{Key, Terms, UnixMs};

/// A stored response. Never changes but for what is counted in atomics: a refresh makes a new entry that shares the
/// body.
#[derive(Debug)]
pub struct Entry {
    /// Its key's bytes, for listing and comparing.
    pub key: Box<[u8]>,
    /// How many of them are the URL.
    pub url_len: u32,
    /// The status.
    pub status: u16,
    /// The prebuilt head: status line and stored fields, each ending in CR LF, without the empty line that ends it;
    /// without Age, Connection, Transfer-Encoding, and whatever differs by client. Content-Length is in it when the
    /// length is known.
    pub head: Box<[u8]>,
    /// The body.
    pub body: Body,
    /// When and for whom it may be served.
    pub terms: Terms,
    /// When it was stored.
    pub stored_ms: UnixMs,
}

/// A body in pieces, as they came. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The pieces, none of them empty.
    pub pieces: Arc<[Arc<[u8]>]>,
    /// Bytes of all of them.
    pub len: u64,
}

impl Entry {
    /// Bytes that it is accounted with: key, head, body and everything around them.
    pub fn cost_bytes(&self) -> u64 {
        todo!()
    }

    /// Whether it answers this key (two keys may share a hash).
    pub fn is_for(&self, _key: &Key<'_>) -> bool {
        todo!()
    }
}
