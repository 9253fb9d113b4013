//! What a request says about content codings (RFC 9110 section 12.5.3): the one reader of Accept-Encoding, for the
//! variants of the cache as well as for whoever chooses a coding.

use wire::{Field, RequestHead};

/// How much a client wants each coding that Tidegate knows: thousandths, 0 to 1,000; 0 is not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weights {
    /// `zstd`.
    pub zstd: u16,
    /// `br`.
    pub br: u16,
    /// `gzip`, or `x-gzip`.
    pub gzip: u16,
    /// No coding at all. Where nothing is said of it, it is taken, after everything else.
    pub identity: u16,
}

/// The weight of what is named without one.
const MOST: u16 = 1_000;

/// The least weight that is not a refusal.
const LEAST: u16 = 1;

impl Weights {
    /// What a request says. Nothing said is taken for `identity` alone, as every origin takes it.
    pub fn of(head: &RequestHead, buf: &[u8]) -> Self {
        let (mut zstd, mut br, mut gzip, mut identity, mut any) = (None, None, None, None, None);
        let lines = head.headers.all(Field::AcceptEncoding).map(|line| line.value.of(buf));
        for member in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
            let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let coding = parts.next().unwrap_or_default();
            let weight = Some(parts.find_map(weight).unwrap_or(MOST));
            let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
            if is(b"zstd") {
                zstd = weight;
            } else if is(b"br") {
                br = weight;
            } else if is(b"gzip") || is(b"x-gzip") {
                gzip = weight;
            } else if is(b"identity") {
                identity = weight;
            } else if is(b"*") {
                any = weight;
            }
        }
        let others = any.unwrap_or(0);
        Self {
            zstd: zstd.unwrap_or(others),
            br: br.unwrap_or(others),
            gzip: gzip.unwrap_or(others),
            identity: identity.or(any).unwrap_or(LEAST),
        }
    }
}

/// The weight that a parameter gives (RFC 9110 section 12.4.2); `None`: it is another parameter. A weight that is none
/// is taken for zero: then the coding is not used, and everybody can read what comes.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', rest @ ..] = parameter else { return None };
    let text = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (whole, digits) = match text {
        [whole @ (b'0' | b'1')] => (whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return Some(0),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Some(0);
    }
    let mut thousandths = u16::from(whole - b'0');
    for place in 0..3 {
        thousandths = thousandths * 10 + u16::from(digits.get(place).map_or(0, |digit| digit - b'0'));
    }
    Some(thousandths.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Limits;

    fn weights(lines: &[&str]) -> [u16; 4] {
        let lines: Vec<String> = lines.iter().map(|line| format!("Accept-Encoding: {line}\r\n")).collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat());
        let mut head = RequestHead::new();
        assert_eq!(head.parse(text.as_bytes(), &Limits::default()), Ok(true));
        let Weights { zstd, br, gzip, identity } = Weights::of(&head, text.as_bytes());
        [zstd, br, gzip, identity]
    }

    #[test]
    fn weights_are_read_as_they_are_written() {
        for (lines, expected) in [
            (&[][..], [0, 0, 0, 1]),
            (&[""], [0, 0, 0, 1]),
            (&["gzip, br, zstd"], [1_000, 1_000, 1_000, 1]),
            (&["gzip;q=0.5, BR ; Q = 0.125 ,zstd;q=1.000"], [1_000, 125, 500, 1]),
            (&["x-gzip"], [0, 0, 1_000, 1]),
            (&["gzip", "br;q=0.2"], [0, 200, 1_000, 1]),
            (&["*"], [1_000; 4]),
            (&["gzip, *;q=0"], [0, 0, 1_000, 0]),
            (&["gzip;q=0, *;q=0.5"], [500, 500, 0, 500]),
            (&["gzip;q=0.5, identity;q=0"], [0, 0, 500, 0]),
            (&["identity, gzip;q=0.5"], [0, 0, 500, 1_000]),
            (&["deflate, compress"], [0, 0, 0, 1]),
            (&["gzip;level=9;q=0.3"], [0, 0, 300, 1]),
        ] {
            assert_eq!(weights(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_weight_that_is_none_is_a_refusal() {
        for text in
            ["gzip;q=2", "gzip;q=-1", "gzip;q=", "gzip;q=0.1234", "gzip;q=0.x", "gzip;q=1,5", "gzip;q=.5"]
        {
            let expected = if text.contains(',') { 1_000 } else { 0 };
            assert_eq!(weights(&[text])[2], expected, "{text}");
        }
        assert_eq!(weights(&["gzip;q=1.999"])[2], 1_000, "more than one is one");
    }
}
