//! What a request that changes something makes stale (RFC 9111 section 4.4).

use wire::{Field, Method, ResponseHead, uri};

use crate::Rules;
use crate::key::{Url, write_url};

/// Whether a request with this method and this answer may have changed what is stored. Of methods that nobody knows
/// the worst is assumed; an error changed nothing, as far as anybody can say.
pub const fn applies(method: Method, status: u16) -> bool {
    let safe =
        matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace | Method::Connect);
    !safe && matches!(status, 200..=399)
}

/// Hands the bytes of every URL that an answered request makes stale to `each`, as keys begin with them: the target,
/// and what Location and Content-Location name, if that is of the same origin: another origin's entries are not for
/// this one to remove. `scratch` is cleared; `buf` is what `head` was parsed from.
pub fn targets(
    method: Method,
    target: &Url<'_>,
    head: &ResponseHead,
    buf: &[u8],
    rules: &Rules,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) {
    if !applies(method, head.status) {
        return;
    }
    scratch.clear();
    write_url(scratch, target, rules);
    each(scratch);
    for field in [Field::Location, Field::ContentLocation] {
        for line in head.headers.all(field) {
            let mut path = Vec::new();
            if let Some(url) = resolve(line.value.of(buf), target, &mut path)
                && (url.path, url.query) != (target.path, target.query)
            {
                scratch.clear();
                write_url(scratch, &url, rules);
                each(scratch);
            }
        }
    }
}

/// What a reference means beside `base` (RFC 3986 section 5.2). `None`: another origin, or no reference.
fn resolve<'a>(reference: &'a [u8], base: &Url<'a>, path: &'a mut Vec<u8>) -> Option<Url<'a>> {
    let reference = &reference[..memchr::memchr(b'#', reference).unwrap_or(reference.len())];
    let end = reference.iter().position(|byte| b":/?".contains(byte));
    let (rest, absolute) = match end.map(|at| (at, reference[at])) {
        Some((at, b':')) if reference[..at].eq_ignore_ascii_case(base.scheme.as_bytes()) => {
            (reference[at + 1..].strip_prefix(b"//")?, true)
        }
        Some((_, b':')) => return None,
        _ => reference.strip_prefix(b"//").map_or((reference, false), |rest| (rest, true)),
    };
    let authority_len = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(if absolute { authority_len } else { 0 });
    if absolute && !same_host(authority, base) {
        return None;
    }
    let (named, query) = match memchr::memchr(b'?', rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    match named {
        [] if absolute => path.push(b'/'),
        [] => {
            path.extend_from_slice(base.path);
            let query = if query.is_some() { query } else { base.query };
            return Some(Url { path, query, ..*base });
        }
        [b'/', ..] => path.extend_from_slice(named),
        _ => {
            let dir = base.path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
            path.extend_from_slice(&base.path[..dir]);
            if dir == 0 {
                path.push(b'/');
            }
            path.extend_from_slice(named);
        }
    }
    remove_dots(path);
    Some(Url { path, query, ..*base })
}

/// Whether an authority is the base's host and port.
fn same_host(authority: &[u8], base: &Url<'_>) -> bool {
    let own_port = if base.scheme == "https" { 443 } else { 80 };
    uri::host(authority, &mut Vec::new())
        .is_ok_and(|host| host.name == base.host && host.port.filter(|&port| port != own_port) == base.port)
}

/// Removes `.` and `..` (RFC 3986 section 5.2.4) from a path that begins with a slash.
fn remove_dots(path: &mut Vec<u8>) {
    let (mut read, mut written) = (0, 0);
    while read < path.len() {
        // At a slash, always.
        let end =
            path[read + 1..].iter().position(|&byte| byte == b'/').map_or(path.len(), |at| read + 1 + at);
        let last = end == path.len();
        match &path[read + 1..end] {
            b"." | b".." => {
                if end - read == 3 {
                    written = path[..written].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                }
                if last {
                    path[written] = b'/';
                    written += 1;
                }
            }
            _ => {
                path.copy_within(read..end, written);
                written += end - read;
            }
        }
        read = end;
    }
    path.truncate(written);
}
