//! The opening handshake (RFC 6455 section 4): a GET that asks for an upgrade, and the 101 that grants it.
//!
//! The heads themselves are parsed as any others, by [`RequestHead`] and [`ResponseHead`]; what is checked here is
//! what makes them a handshake. Extensions are neither offered nor accepted.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::headers::list;
use crate::{
    Field, Framing, Headers, Method, RequestHead, ResponseHead, Version, connection_options, encode,
};

/// Bytes of a key as it is sent: sixteen in base64.
pub const KEY_BYTES: usize = 24;

/// Bytes of the proof that a server understood the key: a SHA-1 in base64.
pub const ACCEPT_BYTES: usize = 28;

/// What the key is hashed with (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:literal, $what:literal;)+) => {
        /// Why a handshake fails. A request gets [`status`](Self::status) and [`fields`](Self::fields); after such a
        /// response the client closes the connection.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum HandshakeFault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl HandshakeFault {
            /// Every reason, in the order of the enum.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// A stable `snake_case` label for logs and metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What is wrong, as a fragment of a sentence for people.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }

            /// The status that answers such a request. Faults that only a response can have say 502, which is what
            /// a gateway would answer with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }
        }
    };
}

faults! {
    /// The request is not a GET.
    MethodNotGet = "method_not_get", 405, "the method of a WebSocket handshake is not GET";
    /// The message is not HTTP/1.1, which is the first version that can be upgraded.
    HttpVersion = "http_version", 400, "the handshake is not HTTP/1.1";
    /// The request has a body, whose bytes would stand where frames are expected.
    BodyPresent = "body_present", 400, "the handshake has a body";
    /// Upgrade does not list `websocket`.
    UpgradeMissing = "upgrade_missing", 426, "Upgrade does not name websocket";
    /// Connection does not list `upgrade`.
    ConnectionMissing = "connection_missing", 400, "Connection does not name upgrade";
    /// Sec-WebSocket-Version is not exactly 13.
    VersionUnsupported = "version_unsupported", 426, "Sec-WebSocket-Version is not 13";
    /// Sec-WebSocket-Key is missing, given twice, or not sixteen bytes in base64.
    KeyInvalid = "key_invalid", 400, "Sec-WebSocket-Key is not one key of sixteen bytes in base64";
    /// The server did not switch protocols; the status of its response says why.
    NotSwitched = "not_switched", 502, "the status of the response is not 101";
    /// Sec-WebSocket-Accept is missing, given twice, or does not belong to the key.
    AcceptWrong = "accept_wrong", 502, "Sec-WebSocket-Accept does not belong to the key";
    /// The server chose an extension, and none was offered.
    ExtensionUnasked = "extension_unasked", 502, "the server uses an extension that was not offered";
    /// The server chose a subprotocol that was not offered, or more than one.
    SubprotocolUnasked = "subprotocol_unasked", 502, "the server uses a subprotocol that was not offered";
}

impl HandshakeFault {
    /// The header lines that the answer to such a request has beside the usual ones: what the client should have
    /// done (RFC 9110 sections 15.5.6 and 15.5.22, RFC 6455 section 4.4). With Upgrade among them, Connection has
    /// to name it.
    pub const fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            405 => &[("Allow", "GET")],
            426 => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        }
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

impl core::error::Error for HandshakeFault {}

/// What a client asks for. The texts are written as they are, so they must not hold control bytes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The request target in its origin form: path and query.
    pub target: &'r str,
    /// Whom to ask: the host, with the port unless it is the default one.
    pub host: &'r str,
    /// See [`key`]. Fresh for every connection.
    pub key: &'r [u8; KEY_BYTES],
    /// The subprotocols to choose from, the preferred one first. May be empty.
    pub subprotocols: &'r [&'r str],
    /// Further header lines, names and values.
    pub fields: &'r [(&'r str, &'r str)],
}

/// The key that a client sends, made of sixteen random bytes.
pub fn key(random: [u8; 16]) -> [u8; KEY_BYTES] {
    base64(&random)
}

/// What a server answers to a key, to prove that it speaks WebSocket (RFC 6455 section 4.2.2).
pub fn accept_key(key: &[u8]) -> [u8; ACCEPT_BYTES] {
    base64(&Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Appends the request of a client.
pub fn write_request(out: &mut Vec<u8>, request: &Request<'_>) {
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(request.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(request.host.as_bytes());
    out.extend_from_slice(
        b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
    );
    out.extend_from_slice(request.key);
    out.extend_from_slice(b"\r\n");
    if let [first, others @ ..] = request.subprotocols {
        out.extend_from_slice(b"Sec-WebSocket-Protocol: ");
        out.extend_from_slice(first.as_bytes());
        for other in others {
            out.extend_from_slice(b", ");
            out.extend_from_slice(other.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    write_fields(out, request.fields);
}

/// Checks what a server answered to `request` and gives the subprotocol that it chose, if any. `buf` is the buffer
/// that `head` was parsed from; after [`ResponseHead::len`] bytes the frames begin. Interim responses other than 101
/// are for the caller to skip, and a client that cannot do without a subprotocol has to refuse `None` itself.
///
/// # Errors
/// The first rule of RFC 6455 section 4.1 that the response breaks.
pub fn check_response<'r>(
    head: &ResponseHead,
    buf: &[u8],
    request: &Request<'r>,
) -> Result<Option<&'r str>, HandshakeFault> {
    if head.status != 101 {
        return Err(HandshakeFault::NotSwitched);
    }
    check_upgrade(head.version, &head.headers, buf)?;
    if single(&head.headers, buf, b"sec-websocket-accept") != Some(&accept_key(request.key)) {
        return Err(HandshakeFault::AcceptWrong);
    }
    if named(&head.headers, buf, b"sec-websocket-extensions").flat_map(list).next().is_some() {
        return Err(HandshakeFault::ExtensionUnasked);
    }
    let mut chosen = named(&head.headers, buf, b"sec-websocket-protocol");
    let Some(subprotocol) = chosen.next() else { return Ok(None) };
    let offered = request.subprotocols.iter().find(|offered| offered.as_bytes() == subprotocol);
    match (offered, chosen.next()) {
        (Some(&offered), None) => Ok(Some(offered)),
        _ => Err(HandshakeFault::SubprotocolUnasked),
    }
}

/// Checks a request for an upgrade and gives the key that proves it, for [`write_response`]. `buf` is the buffer that
/// `head` was parsed from. Whether the Origin is welcome is for the caller to say.
///
/// # Errors
/// The first rule of RFC 6455 section 4.2.1 that the request breaks.
pub fn check_request(head: &RequestHead, buf: &[u8]) -> Result<[u8; ACCEPT_BYTES], HandshakeFault> {
    if head.method != Method::Get {
        return Err(HandshakeFault::MethodNotGet);
    }
    check_upgrade(head.version, &head.headers, buf)?;
    if !matches!(head.framing, Framing::None | Framing::Length(0)) {
        return Err(HandshakeFault::BodyPresent);
    }
    if single(&head.headers, buf, b"sec-websocket-version") != Some(b"13") {
        return Err(HandshakeFault::VersionUnsupported);
    }
    match single(&head.headers, buf, b"sec-websocket-key") {
        Some(key) if is_key(key) => Ok(accept_key(key)),
        _ => Err(HandshakeFault::KeyInvalid),
    }
}

/// The subprotocols that a client offers, the preferred one first. `buf` is the buffer that `headers` were parsed
/// from.
pub fn subprotocols<'b>(headers: &'b Headers, buf: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    named(headers, buf, b"sec-websocket-protocol").flat_map(list)
}

/// Appends the response that makes the connection a WebSocket. A subprotocol has to be one of those that the client
/// [offered](subprotocols). `fields` are further header lines, written as they are.
pub fn write_response(
    out: &mut Vec<u8>,
    accept: &[u8; ACCEPT_BYTES],
    subprotocol: Option<&[u8]>,
    fields: &[(&str, &str)],
) {
    encode::status_line(out, 101);
    out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
    out.extend_from_slice(accept);
    out.extend_from_slice(b"\r\n");
    if let Some(subprotocol) = subprotocol {
        encode::field(out, b"Sec-WebSocket-Protocol", subprotocol);
    }
    write_fields(out, fields);
}

/// Appends header lines and the empty line after them.
fn write_fields(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        encode::field(out, name.as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// What both heads must have.
fn check_upgrade(version: Version, headers: &Headers, buf: &[u8]) -> Result<(), HandshakeFault> {
    if version != Version::Http11 {
        return Err(HandshakeFault::HttpVersion);
    }
    let mut protocols = headers.all(Field::Upgrade).flat_map(|header| list(header.value.of(buf)));
    if !protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        return Err(HandshakeFault::UpgradeMissing);
    }
    if !connection_options(buf, headers).any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
        return Err(HandshakeFault::ConnectionMissing);
    }
    Ok(())
}

/// The values of every line with this name, none of which is a [`Field`]. There is one handshake in the life of a
/// connection, so they are looked for by name.
fn named<'b>(headers: &'b Headers, buf: &'b [u8], name: &'static [u8]) -> impl Iterator<Item = &'b [u8]> {
    headers
        .all(Field::Other)
        .filter(move |header| header.name.of(buf).eq_ignore_ascii_case(name))
        .map(|header| header.value.of(buf))
}

/// The value of the only line with this name.
fn single<'b>(headers: &'b Headers, buf: &'b [u8], name: &'static [u8]) -> Option<&'b [u8]> {
    let mut values = named(headers, buf, name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Whether this is base64 of sixteen bytes. Its last digit stands for two bits only; what it says beyond them is let
/// pass, because some clients draw their digits at random.
fn is_key(key: &[u8]) -> bool {
    let digits = key.strip_suffix(b"==").unwrap_or_default();
    digits.len() == KEY_BYTES - 2
        && digits.iter().all(|digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'))
}

fn base64<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let written = STANDARD.encode_slice(bytes, &mut out);
    debug_assert_eq!(written, Ok(N), "{} bytes fill {N} digits", bytes.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const KEY: &[u8; KEY_BYTES] = b"dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn ask<'r>(subprotocols: &'r [&'r str], fields: &'r [(&'r str, &'r str)]) -> Request<'r> {
        Request { target: "/chat?room=1", host: "server.example.com", key: KEY, subprotocols, fields }
    }

    fn request_fault(head: &str) -> Option<HandshakeFault> {
        let mut parsed = RequestHead::new();
        assert_eq!(parsed.parse(head.as_bytes(), &Limits::default()), Ok(true), "{head}");
        check_request(&parsed, head.as_bytes()).err()
    }

    fn answer<'r>(request: &Request<'r>, head: &str) -> Result<Option<&'r str>, HandshakeFault> {
        let mut parsed = ResponseHead::new();
        assert_eq!(parsed.parse(head.as_bytes(), Method::Get, &Limits::default()), Ok(true), "{head}");
        check_response(&parsed, head.as_bytes(), request)
    }

    /// A request in which `from` is replaced by `to`.
    fn changed(from: &str, to: &str) -> String {
        let mut out = Vec::new();
        write_request(&mut out, &ask(&[], &[]));
        let head = String::from_utf8(out).unwrap();
        assert!(head.contains(from), "{from}");
        head.replace(from, to)
    }

    /// A response in which `from` is replaced by `to`.
    fn changed_response(from: &str, to: &str) -> String {
        let mut out = Vec::new();
        write_response(&mut out, &accept_key(KEY), None, &[]);
        let head = String::from_utf8(out).unwrap();
        assert!(head.contains(from), "{from}");
        head.replace(from, to)
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        assert_eq!(&key(*b"the sample nonce"), KEY);
        assert_eq!(accept_key(KEY), ACCEPT.as_bytes());
    }

    #[test]
    fn both_ends_agree() {
        let request = ask(&["chat.v2", "chat"], &[("Origin", "http://example.com")]);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        write_request(&mut asked, &request);
        let mut head = RequestHead::new();
        assert_eq!(head.parse(&asked, &Limits::default()), Ok(true));
        assert_eq!(head.target.of(&asked), b"/chat?room=1");
        assert_eq!(head.authority.of(&asked), b"server.example.com");
        assert_eq!(head.headers.get(Field::Origin).unwrap().value.of(&asked), b"http://example.com");
        let offered: Vec<_> = subprotocols(&head.headers, &asked).collect();
        assert_eq!(offered, [b"chat.v2".as_slice(), b"chat"]);

        let accept = check_request(&head, &asked).unwrap();
        write_response(&mut answered, &accept, Some(offered[1]), &[("Server", "tidegate")]);
        let answered = String::from_utf8(answered).unwrap();
        assert!(answered.ends_with("\r\nServer: tidegate\r\n\r\n"));
        assert_eq!(answer(&request, &answered), Ok(Some("chat")));
    }

    #[test]
    fn each_rule_for_requests_is_kept() {
        let key = format!("Sec-WebSocket-Key: {}", str::from_utf8(KEY).unwrap());
        let faults = [
            ("GET", "POST", HandshakeFault::MethodNotGet),
            ("HTTP/1.1", "HTTP/1.0", HandshakeFault::HttpVersion),
            ("Upgrade: websocket\r\n", "", HandshakeFault::UpgradeMissing),
            ("Upgrade: websocket", "Upgrade: h2c", HandshakeFault::UpgradeMissing),
            ("Connection: Upgrade\r\n", "", HandshakeFault::ConnectionMissing),
            ("Connection: Upgrade", "Connection: keep-alive", HandshakeFault::ConnectionMissing),
            ("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n", HandshakeFault::BodyPresent),
            ("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", HandshakeFault::BodyPresent),
            ("Sec-WebSocket-Version: 13\r\n", "", HandshakeFault::VersionUnsupported),
            ("Version: 13", "Version: 8", HandshakeFault::VersionUnsupported),
            ("Version: 13", "Version: 13, 8", HandshakeFault::VersionUnsupported),
            (&*key, "X-None: 1", HandshakeFault::KeyInvalid),
            (&*key, &format!("{key}\r\n{key}"), HandshakeFault::KeyInvalid),
            ("dGhl", "dGh", HandshakeFault::KeyInvalid),
            ("dGhl", "dGhldGhl", HandshakeFault::KeyInvalid),
            ("ZQ==", "ZQQQ", HandshakeFault::KeyInvalid),
            ("dGhl", "dGh-", HandshakeFault::KeyInvalid),
        ];
        for (from, to, fault) in faults {
            assert_eq!(request_fault(&changed(from, to)), Some(fault), "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn spellings_that_mean_the_same_are_accepted() {
        let spellings = [
            ("Upgrade: websocket", "UPGRADE: foo, WebSocket"),
            ("Upgrade: websocket", "Upgrade: foo\r\nUpgrade: websocket"),
            ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            ("Sec-WebSocket-Version", "sec-websocket-version"),
            ("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
            // Bits that are not part of the sixteen bytes.
            ("ZQ==", "ZR=="),
        ];
        for (from, to) in spellings {
            assert_eq!(request_fault(&changed(from, to)), None, "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn each_rule_for_responses_is_kept() {
        let accept = format!("Sec-WebSocket-Accept: {ACCEPT}");
        let unasked = "\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
        let faults = [
            ("101", "200", HandshakeFault::NotSwitched),
            ("HTTP/1.1", "HTTP/1.0", HandshakeFault::HttpVersion),
            ("Upgrade: websocket", "Upgrade: h2c", HandshakeFault::UpgradeMissing),
            ("Connection: Upgrade", "Connection: close", HandshakeFault::ConnectionMissing),
            (&*accept, "X-None: 1", HandshakeFault::AcceptWrong),
            (&*accept, &format!("{accept}\r\n{accept}"), HandshakeFault::AcceptWrong),
            ("s3pP", "s3pp", HandshakeFault::AcceptWrong),
            (
                "\r\n\r\n",
                "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                HandshakeFault::ExtensionUnasked,
            ),
            ("\r\n\r\n", unasked, HandshakeFault::SubprotocolUnasked),
        ];
        for (from, to, fault) in faults {
            let head = changed_response(from, to);
            assert_eq!(answer(&ask(&[], &[]), &head), Err(fault), "{from:?} -> {to:?}");
        }
        let answered =
            |lines: &str| answer(&ask(&["chat", "news"], &[]), &changed_response("\r\n\r\n", lines));
        assert_eq!(answered("\r\n\r\n"), Ok(None));
        assert_eq!(answered(unasked), Ok(Some("chat")));
        for several in ["chat, news", "chat\r\nSec-WebSocket-Protocol: news", "Chat", ""] {
            let lines = format!("\r\nSec-WebSocket-Protocol: {several}\r\n\r\n");
            assert_eq!(answered(&lines), Err(HandshakeFault::SubprotocolUnasked), "{several:?}");
        }
    }

    #[test]
    fn answers_to_faults_say_what_to_do_instead() {
        assert_eq!(HandshakeFault::VersionUnsupported.status(), 426);
        assert!(HandshakeFault::VersionUnsupported.fields().contains(&("Sec-WebSocket-Version", "13")));
        assert!(HandshakeFault::UpgradeMissing.fields().contains(&("Upgrade", "websocket")));
        assert_eq!(HandshakeFault::MethodNotGet.fields(), [("Allow", "GET")]);
        assert!(HandshakeFault::KeyInvalid.fields().is_empty());
    }

    #[test]
    fn labels_are_snake_case_and_unique() {
        for (index, fault) in HandshakeFault::ALL.iter().enumerate() {
            let code = fault.code();
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert!(HandshakeFault::ALL[..index].iter().all(|other| other.code() != code), "{code} twice");
            assert!(matches!(fault.status(), 400 | 405 | 426 | 502), "{fault:?}");
            assert_eq!(fault.to_string(), fault.what());
        }
    }
}
