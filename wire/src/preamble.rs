//! The PROXY preamble, by which a load balancer in front says for whom it connects: version 1 (one text line)
//! and version 2 (binary) of the protocol as HAProxy specifies it.
//!
//! Where a listener expects the preamble it is mandatory: what does not begin with one of the two signatures is
//! refused as soon as that is certain. Whether the peer may be believed is for the caller to decide.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Malformed, encode};

/// Longest version 1 line with its CRLF, from the specification.
pub const MAX_V1_BYTES: usize = 107;

/// Longest version 2 block after its 16 fixed bytes. Addresses take at most 216 of them; the rest leaves room
/// for extensions such as a client certificate's name, which are skipped.
pub const MAX_V2_BLOCK_BYTES: usize = 4096;

/// Whom a connection is for. Both addresses are there or neither is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preamble {
    /// The client. `None` when the sender speaks for itself (`LOCAL`, as in health checks), does not know
    /// (`UNKNOWN`), or relays something other than TCP over IP. The address of the connection counts then.
    pub source: Option<SocketAddr>,
    /// The address that the client connected to.
    pub destination: Option<SocketAddr>,
}

impl Preamble {
    const UNKNOWN: Self = Self { source: None, destination: None };

    fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        Self { source: Some(source), destination: Some(destination) }
    }
}

/// Parses the preamble at the start of `buf`. Returns it with its length in bytes; `None` means that more bytes
/// are needed, at most [`MAX_V1_BYTES`] or 16 + [`MAX_V2_BLOCK_BYTES`] in all.
///
/// # Errors
/// [`Malformed::PreambleInvalid`] as soon as `buf` can no longer become a valid preamble. A CRC32c extension
/// that does not match counts as that.
pub fn parse(buf: &[u8]) -> Result<Option<(Preamble, usize)>, Malformed> {
    let could_be = |signature: &[u8]| buf.iter().zip(signature).all(|(found, wanted)| found == wanted);
    if could_be(V2_SIGNATURE) {
        parse_v2(buf)
    } else if could_be(V1_SIGNATURE) {
        parse_v1(buf)
    } else {
        Err(Malformed::PreambleInvalid)
    }
}

/// Appends a version 1 line. Addresses of different families, or none, are written as `UNKNOWN`.
pub fn encode_v1(out: &mut Vec<u8>, preamble: &Preamble) {
    let family = match (preamble.source, preamble.destination) {
        (Some(SocketAddr::V4(_)), Some(SocketAddr::V4(_))) => "TCP4",
        (Some(SocketAddr::V6(_)), Some(SocketAddr::V6(_))) => "TCP6",
        _ => return out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
    };
    if let (Some(source), Some(destination)) = (preamble.source, preamble.destination) {
        let (from, to) = (source.ip(), destination.ip());
        let ports = (source.port(), destination.port());
        encode::display(out, format_args!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1));
    }
}

/// Appends a version 2 block with a CRC32c extension. Addresses of different families, or none, are written as
/// `LOCAL`.
pub fn encode_v2(out: &mut Vec<u8>, preamble: &Preamble) {
    let start = out.len();
    out.extend_from_slice(V2_SIGNATURE);
    match (preamble.source, preamble.destination) {
        (Some(SocketAddr::V4(source)), Some(SocketAddr::V4(destination))) => {
            out.extend_from_slice(&[V2_PROXY, FAMILY_TCP4, 0, 12 + CRC_EXTENSION_BYTES]);
            out.extend_from_slice(&source.ip().octets());
            out.extend_from_slice(&destination.ip().octets());
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&destination.port().to_be_bytes());
        }
        (Some(SocketAddr::V6(source)), Some(SocketAddr::V6(destination))) => {
            out.extend_from_slice(&[V2_PROXY, FAMILY_TCP6, 0, 36 + CRC_EXTENSION_BYTES]);
            out.extend_from_slice(&source.ip().octets());
            out.extend_from_slice(&destination.ip().octets());
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&destination.port().to_be_bytes());
        }
        _ => return out.extend_from_slice(&[V2_LOCAL, 0, 0, 0]),
    }
    out.extend_from_slice(&[EXTENSION_CRC32C, 0, 4, 0, 0, 0, 0]);
    let sum = crc32c(&out[start..], usize::MAX).to_be_bytes();
    let at = out.len() - sum.len();
    out[at..].copy_from_slice(&sum);
}

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;
const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;
const FAMILY_TCP4: u8 = 0x11;
const FAMILY_TCP6: u8 = 0x21;
const EXTENSION_CRC32C: u8 = 0x03;
/// A CRC32c extension with its type and length.
const CRC_EXTENSION_BYTES: u8 = 7;

fn parse_v1(buf: &[u8]) -> Result<Option<(Preamble, usize)>, Malformed> {
    let window = &buf[..buf.len().min(MAX_V1_BYTES)];
    let Some(lf) = memchr::memchr(b'\n', window) else {
        return if window.len() < MAX_V1_BYTES { Ok(None) } else { Err(Malformed::PreambleInvalid) };
    };
    let line = window[V1_SIGNATURE.len()..lf].strip_suffix(b"\r").ok_or(Malformed::PreambleInvalid)?;
    let preamble = v1_line(line).ok_or(Malformed::PreambleInvalid)?;
    Ok(Some((preamble, lf + 1)))
}

/// The line after `PROXY `, without its CRLF.
fn v1_line(line: &[u8]) -> Option<Preamble> {
    let line = str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        // Whatever follows has to be ignored.
        return Some(Preamble::UNKNOWN);
    }
    let (from, to) = (words.next()?, words.next()?);
    let (from_port, to_port) = (v1_port(words.next()?)?, v1_port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    let (from, to): (IpAddr, IpAddr) = match family {
        "TCP4" => (from.parse::<Ipv4Addr>().ok()?.into(), to.parse::<Ipv4Addr>().ok()?.into()),
        "TCP6" => (from.parse::<Ipv6Addr>().ok()?.into(), to.parse::<Ipv6Addr>().ok()?.into()),
        _ => return None,
    };
    Some(Preamble::of(SocketAddr::new(from, from_port), SocketAddr::new(to, to_port)))
}

/// A port without sign and without leading zeros.
fn v1_port(digits: &str) -> Option<u16> {
    let plain =
        digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

fn parse_v2(buf: &[u8]) -> Result<Option<(Preamble, usize)>, Malformed> {
    let Some(&[command, family, high, low]) = buf.get(V2_SIGNATURE.len()..V2_FIXED_BYTES) else {
        return match buf.get(V2_SIGNATURE.len()) {
            None | Some(&(V2_LOCAL | V2_PROXY)) => Ok(None),
            Some(_) => Err(Malformed::PreambleInvalid),
        };
    };
    let block_len = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, V2_LOCAL | V2_PROXY) || block_len > MAX_V2_BLOCK_BYTES {
        return Err(Malformed::PreambleInvalid);
    }
    let len = V2_FIXED_BYTES + block_len;
    let Some(whole) = buf.get(..len) else { return Ok(None) };
    if command == V2_LOCAL {
        // The receiver must ignore the block of a local connection, family included.
        return Ok(Some((Preamble::UNKNOWN, len)));
    }
    let (preamble, extensions_at) = v2_addresses(family, whole).ok_or(Malformed::PreambleInvalid)?;
    check_extensions(whole, extensions_at).ok_or(Malformed::PreambleInvalid)?;
    Ok(Some((preamble, len)))
}

/// The addresses, and where the extensions begin. `None` when the family is undefined or the block too short.
fn v2_addresses(family: u8, whole: &[u8]) -> Option<(Preamble, usize)> {
    let block = &whole[V2_FIXED_BYTES..];
    let (preamble, address_bytes) = match family {
        FAMILY_TCP4 => {
            let block: &[u8; 12] = block.first_chunk()?;
            let ip = |at: usize| Ipv4Addr::new(block[at], block[at + 1], block[at + 2], block[at + 3]).into();
            (v2_pair(ip(0), ip(4), &block[8..]), 12)
        }
        FAMILY_TCP6 => {
            let block: &[u8; 36] = block.first_chunk()?;
            let ip = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&block[at..at + 16]);
                Ipv6Addr::from(octets).into()
            };
            (v2_pair(ip(0), ip(16), &block[32..]), 36)
        }
        // Not told, datagrams, and Unix sockets: valid, and nothing that stands for a TCP client.
        0x00 => (Preamble::UNKNOWN, block.len()),
        0x12 => (Preamble::UNKNOWN, 12),
        0x22 => (Preamble::UNKNOWN, 36),
        0x31 | 0x32 => (Preamble::UNKNOWN, 216),
        _ => return None,
    };
    (address_bytes <= block.len()).then_some((preamble, V2_FIXED_BYTES + address_bytes))
}

/// `ports` holds the source port and the destination port, two bytes each.
fn v2_pair(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Preamble {
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Preamble::of(SocketAddr::new(source, port(0)), SocketAddr::new(destination, port(2)))
}

/// Walks the type-length-value extensions. `None` when one overruns the block or a checksum does not match.
fn check_extensions(whole: &[u8], mut at: usize) -> Option<()> {
    while at < whole.len() {
        let &[kind, high, low] = whole[at..].first_chunk()?;
        let value_at = at + 3;
        let end = value_at + usize::from(u16::from_be_bytes([high, low]));
        let value = whole.get(value_at..end)?;
        if kind == EXTENSION_CRC32C && value != crc32c(whole, value_at).to_be_bytes() {
            return None;
        }
        at = end;
    }
    Some(())
}

/// CRC32c (Castagnoli, RFC 9260 appendix A) of `bytes`, with the four bytes from `zeroed_at` taken as zero, which
/// is how a checksum covers the block that it stands in.
fn crc32c(bytes: &[u8], zeroed_at: usize) -> u32 {
    let zeroed = zeroed_at..zeroed_at.saturating_add(4);
    !bytes.iter().enumerate().fold(u32::MAX, |sum, (at, &byte)| {
        let byte = if zeroed.contains(&at) { 0 } else { byte };
        CRC32C[usize::from(sum as u8 ^ byte)] ^ (sum >> 8)
    })
}

static CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut sum = index as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, destination: &str) -> Preamble {
        Preamble::of(source.parse().unwrap(), destination.parse().unwrap())
    }

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend_from_slice(&[command, family]);
        bytes.extend_from_slice(&(block.len() as u16).to_be_bytes());
        bytes.extend_from_slice(block);
        bytes
    }

    #[test]
    fn version_1_lines_give_addresses_and_their_length() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET /";
        assert_eq!(parse(line), Ok(Some((pair("192.0.2.1:56324", "198.51.100.7:443"), line.len() - 5))));
        let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n";
        assert_eq!(parse(line), Ok(Some((pair("[2001:db8::1]:0", "[2001:db8::2]:65535"), line.len()))));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Ok(Some((Preamble::UNKNOWN, 15))));
        assert_eq!(parse(b"PROXY UNKNOWN a b c\r\n"), Ok(Some((Preamble::UNKNOWN, 21))));
    }

    #[test]
    fn version_1_lines_that_are_not_exact_are_refused() {
        for line in [
            "PROXY TCP4 1.1.1.1 2.2.2.2 80\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 80 80 80\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 +80 80\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 080 80\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 65536 80\r\n",
            "PROXY TCP4 1.1.1.1  2.2.2.2 80 80\r\n",
            "PROXY TCP4 ::1 ::2 80 80\r\n",
            "PROXY TCP6 1.1.1.1 2.2.2.2 80 80\r\n",
            "PROXY UDP4 1.1.1.1 2.2.2.2 80 80\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 80 80\n",
            "PROXY \r\n",
            "PROXX",
            "GET / HTTP/1.1\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(Malformed::PreambleInvalid), "{line:?}");
        }
    }

    #[test]
    fn a_version_1_line_without_an_end_is_refused_at_its_bound() {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(MAX_V1_BYTES - 1, b'x');
        assert_eq!(parse(&line), Ok(None));
        line.push(b'x');
        assert_eq!(parse(&line), Err(Malformed::PreambleInvalid));
    }

    #[test]
    fn version_2_extensions_are_skipped_and_may_not_overrun() {
        let addresses = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb];
        let wanted = pair("192.0.2.1:56324", "198.51.100.7:443");
        let mut block = addresses.to_vec();
        block.extend_from_slice(&[0x02, 0, 3, b'a', b'.', b'b', 0x04, 0, 0]);
        let bytes = v2(V2_PROXY, FAMILY_TCP4, &block);
        assert_eq!(parse(&bytes), Ok(Some((wanted, bytes.len()))));
        block[14] = 200;
        assert_eq!(parse(&v2(V2_PROXY, FAMILY_TCP4, &block)), Err(Malformed::PreambleInvalid));
        assert_eq!(parse(&v2(V2_PROXY, FAMILY_TCP4, &addresses[..11])), Err(Malformed::PreambleInvalid));
    }

    #[test]
    fn local_and_other_families_give_no_addresses() {
        for (command, family, block) in
            [(V2_LOCAL, 0xff, 40), (V2_PROXY, 0x00, 9), (V2_PROXY, 0x12, 12), (V2_PROXY, 0x31, 216)]
        {
            let bytes = v2(command, family, &vec![0; block]);
            assert_eq!(parse(&bytes), Ok(Some((Preamble::UNKNOWN, bytes.len()))), "{command:x} {family:x}");
        }
        assert_eq!(parse(&v2(V2_PROXY, 0x41, &[0; 12])), Err(Malformed::PreambleInvalid));
        assert_eq!(parse(&v2(0x22, FAMILY_TCP4, &[0; 12])), Err(Malformed::PreambleInvalid));
        assert_eq!(parse(&v2(0x11, FAMILY_TCP4, &[0; 12])), Err(Malformed::PreambleInvalid));
    }

    #[test]
    fn a_version_2_block_past_the_bound_is_refused_before_it_arrives() {
        let mut bytes = v2(V2_PROXY, FAMILY_TCP4, &[]);
        bytes[14..16].copy_from_slice(&(MAX_V2_BLOCK_BYTES as u16 + 1).to_be_bytes());
        assert_eq!(parse(&bytes), Err(Malformed::PreambleInvalid));
    }

    #[test]
    fn the_checksum_is_the_published_one_and_guards_every_byte() {
        assert_eq!(crc32c(b"123456789", usize::MAX), 0xe306_9283);
        let mut bytes = Vec::new();
        encode_v2(&mut bytes, &pair("192.0.2.1:1", "192.0.2.2:2"));
        for at in V2_FIXED_BYTES..V2_FIXED_BYTES + 12 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(parse(&damaged), Err(Malformed::PreambleInvalid), "byte {at}");
        }
    }
}
