//! Compression on the way to the client: whether, by which algorithm, and the encoders that do it.
//!
//! ```text
//!  response head ─▶ eligible ─┬─▶ Plain: it goes as it is
//!                             └─▶ varies by Accept-Encoding
//!  request head ──▶ choose ───┬─▶ Plain: it goes as it is, and says so in Vary
//!                             └─▶ Coding ─▶ Pool::take ─▶ Encoder ─▶ chunks, or one piece
//! ```
//!
//! A coded body is another representation: it has a weak ETag (RFC 9110 section 8.8.1), no length until it is coded,
//! and no ranges. What was promised about its bytes (`no-transform`, digests) would not hold, so those go as they are.
//!
//! A page that repeats what its request said, beside a secret, gives the secret away by its coded length (the attack
//! is known as BREACH). That is why this is off until a route asks for it.

pub mod again;
pub mod encoder;
mod pool;

use std::sync::Arc;

use cache::coding::Weights;
use config::{Algorithm, Coding, Compress};
use wire::{Field, Framing, Headers, Method, RequestHead, ResponseHead};

use crate::core::Core;
use crate::exchange::Exchange;
use crate::outbound::edited;
use encoder::{Encoder, Failed, Task, Then};
pub use pool::{Held, MOST, Pool};

/// Fields that vouch for the bytes of a body (RFC 9530 and its predecessors).
const DIGESTS: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// How a response goes, as far as coding is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// As it is, to everybody.
    Plain,
    /// As it is to this client; others get it coded.
    Varies,
    /// A 304 for a body that was coded when it was sent.
    Revalidates,
    /// Coded, to so many bytes if it is whole already.
    Coded {
        /// By which algorithm.
        algorithm: Algorithm,
        /// Bytes of the coded body, if known.
        length: Option<u64>,
    },
}

impl Shape {
    /// Whether the response differs by Accept-Encoding.
    pub const fn varies(self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Whether its ETag has to be weak.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Revalidates | Self::Coded { .. })
    }

    /// Whether a field of the app does not hold for it, or is written anew.
    pub const fn replaces(self, field: Field) -> bool {
        match field {
            Field::Etag => self.is_weak(),
            Field::ContentEncoding | Field::AcceptRanges => matches!(self, Self::Coded { .. }),
            _ => false,
        }
    }
}

/// Why a body goes as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plain {
    /// The status has no body, or one that is part of something (206, 226).
    Status,
    /// It has a content coding already.
    Coded,
    /// `no-transform` in the response or the request (RFC 9111 sections 5.2.1.6 and 5.2.2.6).
    NoTransform,
    /// A digest of the bytes goes with it.
    Digest,
    /// Not a type that the route lists.
    Type,
    /// Shorter than is worth it.
    Tiny,
    /// The client takes none of the codings that the route offers, or would rather have none.
    Unwanted,
    /// All encoders of this core are in use.
    Busy,
}

impl Plain {
    /// The word in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Coded => "coded",
            Self::NoTransform => "no-transform",
            Self::Digest => "digest",
            Self::Type => "type",
            Self::Tiny => "tiny",
            Self::Unwanted => "unwanted",
            Self::Busy => "busy",
        }
    }
}

/// What of a response decides whether it may be compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject<'a> {
    /// Its status.
    pub status: u16,
    /// Its Content-Type.
    pub content_type: Option<&'a [u8]>,
    /// It has a content coding other than `identity`.
    pub is_coded: bool,
    /// Its Cache-Control says `no-transform`.
    pub no_transform: bool,
    /// It has a digest of its bytes.
    pub has_digest: bool,
    /// Bytes of the body, if known.
    pub length: Option<u64>,
}

impl<'a> Subject<'a> {
    /// What a head says that was parsed from `buf`. A response to HEAD is taken for what GET would have got.
    pub fn of(head: &ResponseHead, buf: &'a [u8], method: Method) -> Self {
        let headers = &head.headers;
        let value = |field| headers.get(field).map(|header| header.value.of(buf));
        let length = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::None if method == Method::Head => value(Field::ContentLength)
                .and_then(|value| std::str::from_utf8(value).ok())
                .and_then(|value| value.parse().ok()),
            Framing::None => Some(0),
            Framing::Chunked | Framing::Close => None,
        };
        let codings = headers.all(Field::ContentEncoding).map(|header| header.value.of(buf));
        let others = headers.all(Field::Other).map(|header| header.name.of(buf));
        Self {
            status: head.status,
            content_type: value(Field::ContentType),
            is_coded: { codings }.any(|value| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")),
            no_transform: says_no_transform(headers, buf),
            has_digest: { others }.any(|name| DIGESTS.iter().any(|digest| name.eq_ignore_ascii_case(digest))),
            length,
        }
    }
}

/// Whether a response may be compressed for those who want it. If so, it differs by Accept-Encoding, whether this one
/// is compressed or not.
///
/// # Errors
/// Why it goes as it is, to everybody.
pub fn eligible(rules: &Compress, subject: &Subject<'_>) -> Result<(), Plain> {
    match subject {
        Subject { status: 100..=199 | 204..=206 | 226 | 304, .. } => Err(Plain::Status),
        Subject { is_coded: true, .. } => Err(Plain::Coded),
        Subject { no_transform: true, .. } => Err(Plain::NoTransform),
        Subject { has_digest: true, .. } => Err(Plain::Digest),
        // Even the beginning of a coded body is longer than one of no length.
        Subject { length: Some(length), .. } if *length < rules.min_bytes.max(1) => Err(Plain::Tiny),
        Subject { content_type: Some(text), .. } if rules.types.contains(text) => Ok(()),
        Subject { .. } => Err(Plain::Type),
    }
}

/// The coding that a client gets: the one that it wants most, and of those that it wants alike the one that the route
/// names first.
///
/// # Errors
/// [`Plain::Unwanted`], [`Plain::NoTransform`].
pub fn choose(rules: &Compress, head: &RequestHead, buf: &[u8]) -> Result<Coding, Plain> {
    let weights = Weights::of(head, buf);
    let weight = |algorithm| match algorithm {
        Algorithm::Zstd => weights.zstd,
        Algorithm::Brotli => weights.br,
        Algorithm::Gzip => weights.gzip,
    };
    let mut best = None;
    for &coding in &rules.codings {
        let weight = weight(coding.algorithm);
        let least = best.map_or(weights.identity.max(1), |(best, _)| best + 1);
        if weight >= least {
            best = Some((weight, coding));
        }
    }
    let (_, coding) = best.ok_or(Plain::Unwanted)?;
    if says_no_transform(&head.headers, buf) { Err(Plain::NoTransform) } else { Ok(coding) }
}

/// Decides how the response to a request goes, and counts why not coded.
///
/// # Errors
/// [`Shape::Plain`] or [`Shape::Varies`], when it is not coded.
pub fn decide(
    core: &Core,
    route: &config::Route,
    exchange: &Exchange,
    subject: &Subject<'_>,
) -> Result<Coding, Shape> {
    let Some(rules) = route.compress.as_deref() else { return Err(Shape::Plain) };
    // Who edits Content-Encoding codes by other means.
    let is_edited = edited(&route.response_headers, b"content-encoding");
    let judged = if is_edited { Err(Plain::Coded) } else { eligible(rules, subject) };
    let chosen = judged
        .map_err(|why| (why, Shape::Plain))
        .and_then(|()| choose(rules, &exchange.head, &exchange.input).map_err(|why| (why, Shape::Varies)));
    chosen.map_err(|(why, shape)| {
        core.shard.left_plain(why.code());
        shape
    })
}

/// An encoder of this core for a body; without one, the body goes as it is.
///
/// # Errors
/// [`Shape::Varies`].
pub fn encoder(core: &Core, coding: Coding, length: Option<u64>) -> Result<Held, Shape> {
    core.encoders.take(coding.algorithm, Task::stream(coding.level, length)).ok_or_else(|| {
        core.shard.left_plain(Plain::Busy.code());
        Shape::Varies
    })
}

/// Codes a body that is whole, into `out` (cleared first), while its client waits.
///
/// # Errors
/// [`Shape::Varies`], when there is no encoder for it now.
pub fn once(core: &Core, coding: Coding, body: &[u8], out: &mut Vec<u8>) -> Result<Shape, Shape> {
    out.clear();
    let mut encoder = encoder(core, coding, Some(body.len() as u64))?;
    encoder.encode(body, Then::End, out).map_err(|Failed| Shape::Varies)?;
    count(core, coding.algorithm, body.len(), out.len());
    Ok(Shape::Coded { algorithm: coding.algorithm, length: Some(out.len() as u64) })
}

/// Counts bytes before and after.
pub fn count(core: &Core, algorithm: Algorithm, input_bytes: usize, output_bytes: usize) {
    let coding = match algorithm {
        Algorithm::Zstd => signals::Coding::Zstd,
        Algorithm::Brotli => signals::Coding::Brotli,
        Algorithm::Gzip => signals::Coding::Gzip,
    };
    core.shard.coded(coding, input_bytes as u64, output_bytes as u64);
}

/// Codes a body that is whole, for a store: off the hot path, since it takes as long as `level` says. `None`: there is
/// no memory for it.
pub fn whole(algorithm: Algorithm, level: u8, pieces: &[Arc<[u8]>]) -> Option<Vec<u8>> {
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut encoder = Encoder::new(algorithm)?;
    let mut out = Vec::new();
    let code = |encoder: &mut Encoder, out: &mut Vec<u8>| -> Result<(), Failed> {
        encoder.begin(Task::stored(level, length))?;
        let (last, before) = pieces.split_last().map_or((&[][..], &[][..]), |(last, before)| (last, before));
        for piece in before {
            encoder.encode(piece, Then::More, out)?;
        }
        encoder.encode(last, Then::End, out)
    };
    code(&mut encoder, &mut out).ok()?;
    Some(out)
}

/// Writes the weak form of an ETag: a coded body means the same, and is another sequence of bytes.
pub fn weak_etag(out: &mut Vec<u8>, etag: &[u8]) {
    out.extend_from_slice(b"ETag: ");
    if !etag.starts_with(b"W/") {
        out.extend_from_slice(b"W/");
    }
    out.extend_from_slice(etag);
    out.extend_from_slice(b"\r\n");
}

/// Whether a 304 answers for a body that was coded here: then the client asked with the weak form of its ETag, and has
/// to be told that form again (RFC 9110 section 15.4.5).
pub fn asked_weakly(head: &RequestHead, buf: &[u8], etag: &[u8]) -> bool {
    let lines = head.headers.all(Field::IfNoneMatch).map(|line| line.value.of(buf));
    !etag.is_empty() && { lines }
        .any(|line| line.windows(etag.len() + 2).any(|part| part.starts_with(b"W/") && part.ends_with(etag)))
}

/// Whether a Cache-Control line says `no-transform`. Words inside of quoted strings are taken for directives too, which
/// at worst leaves a body as it is.
fn says_no_transform(headers: &Headers, buf: &[u8]) -> bool {
    let lines = headers.all(Field::CacheControl).map(|line| line.value.of(buf));
    { lines }
        .flat_map(|line| line.split(|&byte| byte == b','))
        .any(|member| member.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

#[cfg(test)]
mod tests {
    use config::MediaTypes;
    use wire::Limits;

    use super::encoder::tests::{ALL, decoded};
    use super::*;

    fn rules() -> Compress {
        let coding = |algorithm| Coding { algorithm, level: 1, stored_level: 2 };
        let types = MediaTypes::new(["text/html", "application/json"]);
        Compress { codings: ALL.map(coding).to_vec(), min_bytes: 256, types }
    }

    fn chosen(rules: &Compress, fields: &str) -> Result<&'static str, Plain> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = RequestHead::new();
        assert_eq!(head.parse(text.as_bytes(), &Limits::default()), Ok(true));
        choose(rules, &head, text.as_bytes()).map(|coding| coding.algorithm.token())
    }

    #[test]
    fn the_client_gets_the_coding_that_it_wants_most() {
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, deflate, br", Some("br")),
            ("gzip", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("GZip;Q=0.1", Some("gzip")),
            ("zstd;q=0.8, br;q=0.9, gzip;q=1.0", Some("gzip")),
            ("gzip;q=0.5, br;q=0.5", Some("br")),
            ("*", Some("zstd")),
            ("zstd;q=0, *", Some("br")),
            ("*;q=0", None),
            ("gzip, *;q=0", Some("gzip")),
            ("identity;q=0", None),
            ("identity;q=0, gzip;q=0.001", Some("gzip")),
            ("gzip;q=0.001", Some("gzip")),
            ("identity, gzip;q=0.5", None),
            ("identity, gzip", Some("gzip")),
            ("gzip;q=0", None),
            ("deflate", None),
            ("", None),
        ] {
            let chosen = chosen(&rules(), &format!("Accept-Encoding: {accept}\r\n"));
            assert_eq!(chosen, expected.ok_or(Plain::Unwanted), "{accept:?}");
        }
        assert_eq!(chosen(&rules(), ""), Err(Plain::Unwanted));
        let fields = "Accept-Encoding: gzip\r\nCache-Control: max-age=0, No-Transform\r\n";
        assert_eq!(chosen(&rules(), fields), Err(Plain::NoTransform));
    }

    #[test]
    fn the_route_decides_which_codings_there_are_and_which_comes_first() {
        let mut rules = rules();
        rules.codings.reverse();
        rules.codings.pop();
        assert_eq!(chosen(&rules, "Accept-Encoding: zstd, br, gzip\r\n"), Ok("gzip"));
        assert_eq!(chosen(&rules, "Accept-Encoding: zstd, br;q=0.9, gzip;q=0.8\r\n"), Ok("br"));
        assert_eq!(chosen(&rules, "Accept-Encoding: zstd\r\n"), Err(Plain::Unwanted));
    }

    fn judged(method: Method, head: &str) -> Result<(), Plain> {
        let text = format!("HTTP/1.1 {head}\r\n\r\n");
        let mut response = ResponseHead::new();
        assert_eq!(response.parse(text.as_bytes(), method, &Limits::default()), Ok(true));
        eligible(&rules(), &Subject::of(&response, text.as_bytes(), method))
    }

    #[test]
    fn what_may_be_compressed_and_what_not() {
        const HTML: &str = "Content-Type: text/html; charset=utf-8";
        for (head, expected) in [
            (format!("200 OK\r\n{HTML}\r\nContent-Length: 256"), Ok(())),
            (format!("200 OK\r\n{HTML}\r\nTransfer-Encoding: chunked"), Ok(())),
            (format!("404 Not Found\r\n{HTML}"), Ok(())),
            (format!("200 OK\r\n{HTML}\r\nContent-Encoding: identity"), Ok(())),
            (format!("200 OK\r\n{HTML}\r\nCache-Control: no-transformer, x=no-transform"), Ok(())),
            (format!("200 OK\r\n{HTML}\r\nContent-Length: 255"), Err(Plain::Tiny)),
            (format!("200 OK\r\n{HTML}\r\nContent-Length: 0"), Err(Plain::Tiny)),
            (format!("204 No Content\r\n{HTML}"), Err(Plain::Status)),
            (format!("205 Reset Content\r\n{HTML}"), Err(Plain::Status)),
            (format!("206 Partial Content\r\n{HTML}"), Err(Plain::Status)),
            (format!("304 Not Modified\r\n{HTML}"), Err(Plain::Status)),
            (format!("200 OK\r\n{HTML}\r\nContent-Encoding: br"), Err(Plain::Coded)),
            (
                format!("200 OK\r\n{HTML}\r\nContent-Encoding: identity\r\nContent-Encoding: gzip"),
                Err(Plain::Coded),
            ),
            (format!("200 OK\r\n{HTML}\r\nCache-Control: public,NO-TRANSFORM"), Err(Plain::NoTransform)),
            (format!("200 OK\r\n{HTML}\r\nRepr-Digest: sha-256=:AA==:"), Err(Plain::Digest)),
            ("200 OK\r\nContent-Type: image/png".to_owned(), Err(Plain::Type)),
            ("200 OK\r\nContent-Type: text/event-stream".to_owned(), Err(Plain::Type)),
            ("200 OK".to_owned(), Err(Plain::Type)),
        ] {
            assert_eq!(judged(Method::Get, &head), expected, "{head}");
        }
    }

    #[test]
    fn a_head_is_judged_as_its_get_would_be() {
        for (length, expected) in
            [("\r\nContent-Length: 256", Ok(())), ("", Ok(())), ("\r\nContent-Length: 9", Err(Plain::Tiny))]
        {
            assert_eq!(judged(Method::Head, &format!("200 OK\r\nContent-Type: text/html{length}")), expected);
        }
    }

    #[test]
    fn a_whole_body_is_coded_whatever_its_pieces() {
        let piece = |text: &str| -> Arc<[u8]> { text.as_bytes().into() };
        for algorithm in ALL {
            for pieces in [vec![], vec![piece("one")], vec![piece("one "), piece("and "), piece("two")]] {
                let coded = whole(algorithm, 5, &pieces).unwrap();
                assert_eq!(decoded(algorithm, &coded).unwrap(), pieces.concat(), "{algorithm:?}");
            }
        }
    }

    #[test]
    fn an_etag_is_weakened_once() {
        for etag in ["\"a\"", "W/\"a\""] {
            let mut out = Vec::new();
            weak_etag(&mut out, etag.as_bytes());
            assert_eq!(out, b"ETag: W/\"a\"\r\n");
        }
    }
}
