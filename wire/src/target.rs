//! The request target: which of the four forms of RFC 9112 section 3.2 it has, and where its parts lie.

use crate::{Malformed, Method, Span, uri};

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, only with CONNECT.
    Authority,
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// The parts of a target.
pub(crate) struct Target {
    pub(crate) form: TargetForm,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    /// Only the absolute and the authority form have one.
    pub(crate) authority: Option<Span>,
}

/// Takes a target apart. Fragments, backslashes in the path, bytes that are not visible ASCII and schemes other
/// than http and https are refused.
#[inline]
pub(crate) fn parse(buf: &[u8], target: Span, method: Method) -> Result<Target, Malformed> {
    let bytes = target.of(buf);
    if method == Method::Connect {
        return authority_form(bytes, target);
    }
    if bytes.first() == Some(&b'/') {
        let (path, query) = path_and_query(bytes, target)?;
        return Ok(Target { form: TargetForm::Origin, path, query, authority: None });
    }
    if bytes == b"*" && method == Method::Options {
        return Ok(Target { form: TargetForm::Asterisk, path: target, query: None, authority: None });
    }
    absolute_form(bytes, target)
}

fn authority_form(bytes: &[u8], target: Span) -> Result<Target, Malformed> {
    match uri::split_port(bytes).map_err(|_| Malformed::BadTarget)? {
        (_, Some(_)) => Ok(Target {
            form: TargetForm::Authority,
            path: target.part(bytes.len(), bytes.len()),
            query: None,
            authority: Some(target),
        }),
        (_, None) => Err(Malformed::BadTarget),
    }
}

fn absolute_form(bytes: &[u8], target: Span) -> Result<Target, Malformed> {
    let has_scheme =
        |scheme: &[u8]| bytes.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let start = if has_scheme(b"http://") {
        7
    } else if has_scheme(b"https://") {
        8
    } else {
        return Err(Malformed::BadTarget);
    };
    let end = bytes[start..]
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .map_or(bytes.len(), |at| start + at);
    uri::split_port(&bytes[start..end])?;
    let (path, query) = path_and_query(&bytes[end..], target.part(end, bytes.len()))?;
    Ok(Target { form: TargetForm::Absolute, path, query, authority: Some(target.part(start, end)) })
}

/// Splits at the first question mark. `bytes` is what `span` covers.
#[inline]
fn path_and_query(bytes: &[u8], span: Span) -> Result<(Span, Option<Span>), Malformed> {
    let path_len = bytes.iter().position(|&byte| !uri::is_path(byte)).unwrap_or(bytes.len());
    let path = span.part(0, path_len);
    if path_len == bytes.len() {
        return Ok((path, None));
    }
    if bytes[path_len] != b'?' || !bytes[path_len + 1..].iter().all(|&byte| uri::is_query(byte)) {
        return Err(Malformed::BadTarget);
    }
    Ok((path, Some(span.part(path_len + 1, bytes.len()))))
}
