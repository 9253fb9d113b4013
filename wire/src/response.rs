//! The head of an HTTP/1 response (RFC 9112 section 4).

use crate::head::{self, Persistence};
use crate::headers;
use crate::{Framing, Headers, Limits, Malformed, Method, Span, Version, framing};

/// A response head as spans of the buffer it was parsed from. Made once and parsed into again and again: it is
/// about three kilobytes, and parsing does not allocate.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The version.
    pub version: Version,
    /// The status, 100 to 999. RFC 9110 section 15 ends at 599; apps do send higher ones, and they are passed on.
    pub status: u16,
    /// The reason phrase as it was sent. Empty when there is none, or when it is not ASCII.
    pub reason: Span,
    /// The header lines.
    pub headers: Headers,
    /// Bytes of the head, the empty line that ends it included.
    pub len: u32,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection can carry another request after this response (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether Connection names header lines that go no further, see
    /// [`Headers::named_by_connection`](crate::Headers::named_by_connection).
    pub names_fields: bool,
    /// Whether the connection stops being HTTP after this head: 101, or 2xx to CONNECT. Whether that was asked
    /// for is for the caller to check.
    pub upgrade: bool,
}

impl ResponseHead {
    /// Whether Connection says that a field is about this connection alone, so that it goes no further (RFC 9110
    /// section 7.6.1).
    pub fn ends_here(&self, buf: &[u8], name: &[u8]) -> bool {
        self.names_fields && self.headers.named_by_connection(buf, name)
    }

    /// A head to parse into. What it says before that is of no use.
    pub const fn new() -> Self {
        Self {
            version: Version::Http11,
            status: 0,
            reason: Span::new(0, 0),
            headers: Headers::new(),
            len: 0,
            framing: Framing::None,
            keep_alive: false,
            names_fields: false,
            upgrade: false,
        }
    }

    /// Parses the head at the start of `buf`, the response to a request with `request_method`. `Ok(false)`
    /// means that more bytes are needed and that the fields say nothing yet; call again with the whole buffer
    /// once it has grown. Bytes after the head are not looked at.
    ///
    /// # Errors
    /// The first rule that the head breaks. The connection is of no further use.
    pub fn parse(&mut self, buf: &[u8], request_method: Method, limits: &Limits) -> Result<bool, Malformed> {
        let buf = head::within(buf, limits);
        // Only requests may have empty lines before them (RFC 9112 section 2.2). Here they are left-overs.
        if matches!(buf.first(), Some(b'\r' | b'\n')) {
            return Err(Malformed::BadStatus);
        }
        let mut slots = head::slots();
        let mut tokens = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let len = match config.parse_response_with_uninit_headers(
            &mut tokens,
            buf,
            &mut slots[..headers::slots(limits)],
        ) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => {
                self.headers.clear();
                return head::check_partial(buf, limits, false).map(|()| false);
            }
            Err(error) => return Err(head::name_response_error(buf, error)),
        };
        let head = &buf[..len];
        head::check_ends(head)?;
        self.len = len as u32;
        self.version = if tokens.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.status = tokens.code.unwrap_or_default();
        if self.status < 100 {
            return Err(Malformed::BadStatus);
        }
        self.reason = Span::locate(head, tokens.reason.unwrap_or_default().as_bytes());
        self.headers.fill(head, tokens.headers)?;
        self.framing = framing::of_response(head, &self.headers, self.version, self.status, request_method)?;
        let Persistence { keep_alive, names_fields, .. } =
            head::persistence(head, &self.headers, self.version);
        self.names_fields = names_fields;
        self.upgrade =
            self.status == 101 || (request_method == Method::Connect && matches!(self.status, 200..=299));
        self.keep_alive = keep_alive && self.framing != Framing::Close && !self.upgrade;
        Ok(true)
    }

    /// Whether another head follows for the same request: 1xx other than 101 (RFC 9110 section 15.2).
    pub const fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self::new()
    }
}
