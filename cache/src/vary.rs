//! Which request a stored variant belongs to (RFC 9111 section 4.1).
//!
//! A spec is what an entry keeps: the names that its response varied on, sorted, and the values of the request that
//! it answered, normalised. One buffer, `name_len: u8, name, value_len: u16 (little-endian), value` for each; a length
//! of 65,535 says that the request had no such field, which is another thing than an empty one.
//!
//! Accept-Encoding is reduced to the set of codings that Tidegate knows. This is only right when the request that
//! fills the cache asks for that set as well, since an origin may know others: [`write_accept_encoding`].

use core::hash::Hasher;

use wire::{Field, ResponseHead};

use crate::coding::Weights;
use crate::key::Seed;
use crate::{Ask, Bypass};

/// Most names that a response may vary on.
pub const MAX_NAMES: usize = 16;

/// Most bytes of a spec.
pub const MAX_SPEC_BYTES: usize = 4096;

const ABSENT: u16 = u16::MAX;

/// Makes the spec of a response and the request that it answers. `None`: it does not vary.
///
/// # Errors
/// [`Bypass::VaryStar`], and [`Bypass::TooManyVariants`] past [`MAX_NAMES`] and [`MAX_SPEC_BYTES`].
pub fn spec(head: &ResponseHead, buf: &[u8], ask: &Ask<'_>) -> Result<Option<Box<[u8]>>, Bypass> {
    if !head.headers.contains(Field::Vary) {
        return Ok(None);
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    let lines = head.headers.all(Field::Vary);
    for name in lines.flat_map(|line| line.value.of(buf).split(|&byte| byte == b',')) {
        let name = name.trim_ascii();
        if name == b"*" {
            return Err(Bypass::VaryStar);
        }
        let name = name.to_ascii_lowercase();
        if name.is_empty() || names.contains(&name) {
            continue;
        }
        if names.len() == MAX_NAMES || name.len() > usize::from(u8::MAX) {
            return Err(Bypass::TooManyVariants);
        }
        names.push(name);
    }
    if names.is_empty() {
        return Ok(None);
    }
    names.sort_unstable();
    let mut out = Vec::new();
    for name in &names {
        out.push(name.len() as u8);
        out.extend_from_slice(name);
        let at = out.len();
        out.extend_from_slice(&ABSENT.to_le_bytes());
        let present = feed(name, ask, &mut out);
        if out.len() > MAX_SPEC_BYTES {
            return Err(Bypass::TooManyVariants);
        }
        if present {
            let len = (out.len() - at - 2) as u16;
            out[at..at + 2].copy_from_slice(&len.to_le_bytes());
        }
    }
    Ok(Some(out.into_boxed_slice()))
}

/// Whether a request gets the variant with this spec.
#[inline]
pub fn matches(spec: &[u8], ask: &Ask<'_>) -> bool {
    members(spec).all(|(name, value)| {
        let mut compared = Compared { rest: value.unwrap_or_default(), same: true };
        let present = feed(name, ask, &mut compared);
        present == value.is_some() && compared.same && compared.rest.is_empty()
    })
}

/// The hash of the variant that a request gets where the names are those of `spec`; the values in it say nothing. Mixed
/// with the hash of the key.
#[inline]
pub fn hash(spec: &[u8], ask: &Ask<'_>, key_hash: u64, seed: &Seed) -> u64 {
    let mut hashed = Hashed(seed.hasher());
    hashed.0.write_u64(key_hash);
    for (name, _) in members(spec) {
        // The end of each value is hashed, and whether it was there, so that values do not run into each other.
        let present = feed(name, ask, &mut hashed);
        hashed.0.write_u16(0x100 | u16::from(present));
    }
    hashed.0.finish()
}

/// The hash of the variant that `spec` is of: what [`hash`] gives for the request that it was made for.
pub fn hash_of(spec: &[u8], key_hash: u64, seed: &Seed) -> u64 {
    let mut hashed = Hashed(seed.hasher());
    hashed.0.write_u64(key_hash);
    for (_, value) in members(spec) {
        hashed.put(value.unwrap_or_default());
        hashed.0.write_u16(0x100 | u16::from(value.is_some()));
    }
    hashed.0.finish()
}

/// Whether two specs vary on the same names, so that their variants are told apart by the same hash.
pub fn same_names(one: &[u8], other: &[u8]) -> bool {
    members(one).map(|(name, _)| name).eq(members(other).map(|(name, _)| name))
}

/// The names and values of a spec, for `explain`. No value: the request had no such field.
pub fn members(spec: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut rest = spec;
    core::iter::from_fn(move || {
        let (&name_len, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(name_len))?;
        let (&len, after) = after.split_first_chunk()?;
        let len = u16::from_le_bytes(len);
        let value_len = if len == ABSENT { 0 } else { usize::from(len) };
        let (value, after) = after.split_at_checked(value_len)?;
        rest = after;
        Some((name, (len != ABSENT).then_some(value)))
    })
}

/// Whether some bytes are a spec as [`spec`] makes it, down to the last one.
pub fn is_spec(bytes: &[u8]) -> bool {
    let members = members(bytes).map(|(name, value)| 3 + name.len() + value.map_or(0, <[u8]>::len));
    !bytes.is_empty() && bytes.len() <= MAX_SPEC_BYTES + 3 && members.sum::<usize>() == bytes.len()
}

/// The codings that a client takes, of those that Tidegate knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Codings {
    /// `zstd`.
    pub zstd: bool,
    /// `br`.
    pub br: bool,
    /// `gzip`.
    pub gzip: bool,
    /// No coding at all.
    pub identity: bool,
}

impl Codings {
    /// What Accept-Encoding says ([`Weights`]), whatever is wanted most.
    pub fn of(ask: &Ask<'_>) -> Self {
        let Weights { zstd, br, gzip, identity } = Weights::of(ask.head, ask.buf);
        Self { zstd: zstd > 0, br: br > 0, gzip: gzip > 0, identity: identity > 0 }
    }

    const fn bits(self) -> u8 {
        self.zstd as u8 | (self.br as u8) << 1 | (self.gzip as u8) << 2 | (self.identity as u8) << 3
    }
}

/// Appends the value of Accept-Encoding that a fill has to ask with, so that what comes fits everybody who gets it.
pub fn write_accept_encoding(out: &mut Vec<u8>, codings: Codings) {
    let start = out.len();
    let known = [(codings.zstd, "zstd"), (codings.br, "br"), (codings.gzip, "gzip")];
    for (_, name) in known.into_iter().filter(|(wanted, _)| *wanted) {
        out.extend_from_slice(if out.len() == start { b"" } else { b", " });
        out.extend_from_slice(name.as_bytes());
    }
    match (codings.identity, out.len() == start) {
        (true, true) => out.extend_from_slice(b"identity"),
        (true, false) => {}
        (false, true) => out.extend_from_slice(b"identity;q=0"),
        (false, false) => out.extend_from_slice(b", identity;q=0"),
    }
}

/// Where the bytes of a normalised value go, in pieces of any size.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Compares with what is expected.
struct Compared<'a> {
    rest: &'a [u8],
    same: bool,
}

impl Sink for Compared<'_> {
    fn put(&mut self, bytes: &[u8]) {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => self.rest = rest,
            None => self.same = false,
        }
    }
}

/// Hashes byte by byte, since the same value may come in other pieces.
struct Hashed<H>(H);

impl<H: Hasher> Sink for Hashed<H> {
    fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0.write_u8(byte);
        }
    }
}

/// Puts the normalised value of a request's field, and says whether the request has it. `name` is in lower case.
fn feed(name: &[u8], ask: &Ask<'_>, sink: &mut impl Sink) -> bool {
    match Field::classify(name) {
        Field::AcceptEncoding => {
            sink.put(&[b'0' + Codings::of(ask).bits()]);
            true
        }
        Field::AcceptLanguage => feed_lines(name, ask, &mut Lowered(sink)),
        _ => feed_lines(name, ask, sink),
    }
}

/// The lines of a list are one list; space around its commas, and around the whole, means nothing (RFC 9111 section
/// 4.1).
fn feed_lines(name: &[u8], ask: &Ask<'_>, sink: &mut impl Sink) -> bool {
    let mut present = false;
    for line in ask.values(name) {
        if present {
            sink.put(b",");
        }
        present = true;
        feed_line(line, sink);
    }
    present
}

/// One line without the space around its commas. Strings are left as they are.
fn feed_line(line: &[u8], sink: &mut impl Sink) {
    let (mut start, mut at, mut quoted) = (0, 0, false);
    while at < line.len() {
        match line[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                sink.put(line[start..at].trim_ascii());
                sink.put(b",");
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    sink.put(line[start..].trim_ascii());
}

/// Lower case, and no space at all.
struct Lowered<'s, S>(&'s mut S);

impl<S: Sink> Sink for Lowered<'_, S> {
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            self.0.put(&[byte.to_ascii_lowercase()]);
        }
    }
}
