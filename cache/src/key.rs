//! Under what a response is kept, and the hashes that find it.

use core::hash::BuildHasher;
use core::{fmt, mem};

use foldhash::quality::FixedState;
use memchr::memmem;
use wire::{Field, encode};

use crate::rules::{KeyPart, QueryKey};
use crate::{Ask, Rules};

/// Parameters of a query that are sorted. A query with more keeps its order, which costs hits and nothing else.
pub const MAX_SORTED: usize = 64;

/// A key: the bytes that are compared, and their hashes (seeded per process).
///
/// The bytes are `scheme://host/path?query`, and for each part that the route adds a zero byte, which none of them
/// can hold, and the part: `=` and its value, or `-` where the request has none. The last part is the host that the
/// origin is told of, where the URL does not say it. The URL alone is what purges and invalidations speak of; both are
/// hashed.
#[derive(Clone, Copy, Debug)]
pub struct Key<'b> {
    /// The bytes.
    pub bytes: &'b [u8],
    /// How many of them are the URL.
    pub url_len: u32,
    /// Hash of the URL: chooses the shard, and groups what one purge removes.
    pub url_hash: u64,
    /// Hash of everything.
    pub hash: u64,
}

/// The URL that a request means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Url<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// In lower case.
    pub host: &'a [u8],
    /// The port that the request names, where it is not the scheme's own: an app may write it into what it answers.
    pub port: Option<u16>,
    /// As the request has it; the empty one is `/`. Nothing is decoded or merged: an app may answer `/a//b` and
    /// `/%61` otherwise than `/a/b` and `/a`, and then one would poison the other.
    pub path: &'a [u8],
    /// As the request has it, without the question mark.
    pub query: Option<&'a [u8]>,
}

/// What hashes are made with: random for each process, so that nobody outside can choose keys that collide.
#[derive(Clone)]
pub struct Seed(FixedState);

impl Seed {
    /// From a number that nobody outside knows.
    pub fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
    }

    /// The hash of a URL, or of a whole key.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.0.hash_one(bytes)
    }

    pub(crate) fn hasher(&self) -> impl core::hash::Hasher {
        self.0.build_hasher()
    }
}

impl fmt::Debug for Seed {
    /// Says nothing about it, since it is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl<'b> Key<'b> {
    /// Writes the key of a request into `out` (cleared first).
    #[inline]
    pub fn write(out: &'b mut Vec<u8>, url: &Url<'_>, ask: &Ask<'_>, rules: &Rules, seed: &Seed) -> Self {
        out.clear();
        write_url(out, url, rules);
        let url_len = out.len();
        let url_hash = seed.hash(out);
        let mut hash = url_hash;
        let told_host = ask.told_host();
        if !rules.key.is_empty() || told_host.is_some() {
            rules.key.iter().for_each(|part| write_part(out, part, ask));
            if let Some(host) = told_host {
                out.push(0);
                write_values(out, [host].into_iter(), b',');
            }
            hash = seed.hash(out);
        }
        Self { bytes: out, url_len: url_len as u32, url_hash, hash }
    }

    /// The URL's bytes.
    #[inline]
    pub fn url(&self) -> &'b [u8] {
        &self.bytes[..self.url_len as usize]
    }
}

/// The URL that a key's bytes begin with.
pub fn url_of(key: &[u8]) -> &[u8] {
    &key[..memchr::memchr(0, key).unwrap_or(key.len())]
}

/// Appends the bytes of a URL as keys begin with them: what a purge or an invalidation has to ask for.
#[inline]
pub fn write_url(out: &mut Vec<u8>, url: &Url<'_>, rules: &Rules) {
    out.extend_from_slice(url.scheme.as_bytes());
    out.extend_from_slice(b"://");
    out.extend_from_slice(url.host);
    if let Some(port) = url.port {
        out.push(b':');
        encode::decimal(out, u64::from(port));
    }
    out.extend_from_slice(if url.path.is_empty() { b"/" } else { url.path });
    let Some(query) = url.query else { return };
    if rules.query == QueryKey::All && !rules.sort_query {
        out.push(b'?');
        out.extend_from_slice(query);
        return;
    }
    write_query(out, query, rules);
}

/// The hash of a tag. The same in every process and version, since entries on disk and instances that share them
/// have to agree (FNV-1a).
pub fn tag_hash(tag: &[u8]) -> u64 {
    tag.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn write_query(out: &mut Vec<u8>, query: &[u8], rules: &Rules) {
    let pairs = || {
        query
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty() && is_keyed(name_of(pair), &rules.query))
    };
    let mut mark = b'?';
    let mut add = |pair: &[u8]| {
        out.push(mem::replace(&mut mark, b'&'));
        out.extend_from_slice(pair);
    };
    let mut sorted: [(&[u8], usize); MAX_SORTED] = [(b"", 0); MAX_SORTED];
    let count = if rules.sort_query { pairs().take(MAX_SORTED + 1).count() } else { 0 };
    if count == 0 || count > MAX_SORTED {
        pairs().for_each(add);
        return;
    }
    let sorted = &mut sorted[..count];
    sorted.iter_mut().zip(pairs()).enumerate().for_each(|(at, (slot, pair))| *slot = (pair, at));
    // Parameters of one name keep their order, which means something to many apps.
    sorted.sort_unstable_by_key(|&(pair, at)| (name_of(pair), at));
    for &mut (pair, _) in sorted {
        add(pair);
    }
}

fn name_of(pair: &[u8]) -> &[u8] {
    &pair[..memchr::memchr(b'=', pair).unwrap_or(pair.len())]
}

/// Whether a parameter is part of the key. Names are compared as the app will read them, decoded: else `p%61ge=2`
/// would be answered with what is kept for no page at all.
fn is_keyed(name: &[u8], keyed: &QueryKey) -> bool {
    match keyed {
        QueryKey::All => true,
        QueryKey::None => false,
        QueryKey::Only(names) => names.iter().any(|pattern| names_match(pattern, name)),
        QueryKey::Except(names) => !names.iter().any(|pattern| names_match(pattern, name)),
    }
}

fn names_match(pattern: &str, name: &[u8]) -> bool {
    let mut name = Decoded(name);
    match pattern.strip_suffix('*') {
        Some(start) => start.bytes().all(|byte| name.next() == Some(byte)),
        None => pattern.bytes().all(|byte| name.next() == Some(byte)) && name.next().is_none(),
    }
}

/// The bytes that a parameter's name stands for. An escape that is none stands for itself.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.0 = rest;
            return Some((high << 4 | low) as u8);
        }
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(if first == b'+' { b' ' } else { first })
    }
}

fn write_part(out: &mut Vec<u8>, part: &KeyPart, ask: &Ask<'_>) {
    out.push(0);
    match part {
        KeyPart::Header(name) => write_values(out, ask.values(name.as_bytes()), b','),
        // An app may take the first of two cookies with one name or the last, so both count.
        KeyPart::Cookie(name) => write_values(out, cookies(ask, name.as_bytes()), b';'),
        KeyPart::Device => {
            out.push(b'=');
            out.extend_from_slice(device(ask).as_bytes());
        }
        KeyPart::Fixed(text) => {
            out.push(b'=');
            // A zero byte would begin another part.
            out.extend(text.bytes().filter(|&byte| byte != 0));
        }
    }
}

fn write_values<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = &'a [u8]>, between: u8) {
    let mut mark = b'=';
    for value in values {
        out.push(mem::replace(&mut mark, between));
        out.extend_from_slice(value);
    }
    if mark == b'=' {
        out.push(b'-');
    }
}

/// The values of the cookies with this name (RFC 6265 section 5.4).
fn cookies<'a>(ask: &Ask<'a>, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    ask.values(Field::Cookie.name().as_bytes())
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .filter_map(move |cookie| cookie.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

/// The class of device that a request comes from, as far as it says.
fn device(ask: &Ask<'_>) -> &'static str {
    let mut hints = ask.values(b"sec-ch-ua-mobile");
    let agent = ask.values(b"user-agent").next().unwrap_or_default();
    let says = |word: &str| memmem::find(agent, word.as_bytes()).is_some();
    let tablet = ["iPad", "Tablet", "PlayBook", "Kindle", "Silk/"].into_iter().any(says)
        || (says("Android") && !says("Mobile"));
    let mobile = ["Mobi", "iPhone", "iPod", "Opera Mini", "IEMobile"].into_iter().any(says);
    match (tablet, hints.next()) {
        (true, _) => "tablet",
        (_, Some(b"?1")) => "mobile",
        (_, Some(b"?0")) => "desktop",
        _ if mobile => "mobile",
        _ => "desktop",
    }
}
