//! The head of an HTTP/1 request (RFC 9112 section 3).

use crate::head::{self, Persistence};
use crate::headers;
use crate::target::{self, Target};
use crate::{
    Field, Framing, Headers, Limits, MAX_METHOD_BYTES, Malformed, Method, Span, TargetForm, Version, framing,
    uri,
};

/// A request head as spans of the buffer it was parsed from. Made once and parsed into again and again: it is
/// about three kilobytes, and parsing does not allocate.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The method as it was sent.
    pub method_name: Span,
    /// The whole target as it was sent.
    pub target: Span,
    /// Which form the target has.
    pub form: TargetForm,
    /// The path as it was sent, without the query. Empty for the authority form, `*` for the asterisk form;
    /// empty in the absolute form means `/`.
    pub path: Span,
    /// The query as it was sent, without its question mark.
    pub query: Option<Span>,
    /// Who is asked: the authority of the target if it has one, else Host; with the port as it was sent. Empty
    /// only in an HTTP/1.0 request without Host.
    pub authority: Span,
    /// The name in the authority; [`uri::host_name`] gives it the spelling that names are matched by.
    pub host: Span,
    /// The port in the authority.
    pub port: Option<u16>,
    /// Whether the target has an authority and Host is missing or spelled differently. The target wins
    /// (RFC 9112 section 3.2.2), so whoever forwards the request must replace Host.
    pub host_differs: bool,
    /// The version.
    pub version: Version,
    /// The header lines.
    pub headers: Headers,
    /// Bytes of the head: skipped empty lines before it, and the empty line that ends it, included.
    pub len: u32,
    /// Where the body ends. Never [`Framing::Close`].
    pub framing: Framing,
    /// Whether the client lets the connection stay open (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether Connection names header lines that go no further, see
    /// [`Headers::named_by_connection`](crate::Headers::named_by_connection).
    pub names_fields: bool,
    /// The value of the first Upgrade, when Connection lists `upgrade` and the version is 1.1 (RFC 9110
    /// section 7.8).
    pub upgrade: Option<Span>,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    pub expect_continue: bool,
}

impl RequestHead {
    /// Whether Connection says that a field is about this connection alone, so that it goes no further (RFC 9110
    /// section 7.6.1).
    pub fn ends_here(&self, buf: &[u8], name: &[u8]) -> bool {
        self.names_fields && self.headers.named_by_connection(buf, name)
    }

    /// A head to parse into. What it says before that is of no use.
    pub const fn new() -> Self {
        Self {
            method: Method::Other,
            method_name: Span::new(0, 0),
            target: Span::new(0, 0),
            form: TargetForm::Origin,
            path: Span::new(0, 0),
            query: None,
            authority: Span::new(0, 0),
            host: Span::new(0, 0),
            port: None,
            host_differs: false,
            version: Version::Http11,
            headers: Headers::new(),
            len: 0,
            framing: Framing::None,
            keep_alive: false,
            names_fields: false,
            upgrade: None,
            expect_continue: false,
        }
    }

    /// Parses the head at the start of `buf`. `Ok(false)` means that more bytes are needed and that the fields
    /// say nothing yet; call again with the whole buffer once it has grown. Bytes after the head are not looked at.
    ///
    /// # Errors
    /// The first rule that the head breaks. The connection has to be closed after the answer.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<bool, Malformed> {
        let buf = head::within(buf, limits);
        let mut slots = head::slots();
        let mut tokens = httparse::Request::new(&mut []);
        let len = match tokens.parse_with_uninit_headers(buf, &mut slots[..headers::slots(limits)]) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => {
                self.headers.clear();
                return head::check_partial(buf, limits, true).map(|()| false);
            }
            Err(error) => return Err(head::name_request_error(buf, error)),
        };
        let head = &buf[..len];
        head::check_ends(head)?;
        self.len = len as u32;
        self.version = if tokens.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.headers.fill(head, tokens.headers)?;
        self.read_request_line(head, tokens.method, tokens.path, limits)?;
        self.framing = framing::of_request(head, &self.headers, self.version)?;
        self.read_connection(head);
        Ok(true)
    }

    #[inline]
    fn read_request_line(
        &mut self,
        head: &[u8],
        method: Option<&str>,
        target: Option<&str>,
        limits: &Limits,
    ) -> Result<(), Malformed> {
        let (method, target) = (method.unwrap_or_default().as_bytes(), target.unwrap_or_default().as_bytes());
        if method.len() > MAX_METHOD_BYTES {
            return Err(Malformed::BadMethod);
        }
        if target.len() > limits.target_bytes as usize {
            return Err(Malformed::TargetTooLong);
        }
        self.method = Method::from_bytes(method);
        self.method_name = Span::locate(head, method);
        self.target = Span::locate(head, target);
        let target = target::parse(head, self.target, self.method)?;
        self.read_authority(head, &target)?;
        self.form = target.form;
        self.path = target.path;
        self.query = target.query;
        Ok(())
    }

    /// RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0.
    #[inline]
    fn read_authority(&mut self, head: &[u8], target: &Target) -> Result<(), Malformed> {
        let host = self.headers.get(Field::Host).map(|header| header.value);
        let mut parts = (&head[..0], None);
        match host {
            Some(_) if self.headers.repeats(Field::Host) => return Err(Malformed::HostRepeated),
            Some(host) => parts = uri::split_port(host.of(head))?,
            None if self.version == Version::Http11 => return Err(Malformed::HostMissing),
            None => {}
        }
        if let Some(authority) = target.authority {
            parts = uri::split_port(authority.of(head))?;
        }
        self.host = Span::locate(head, parts.0);
        self.port = parts.1;
        self.host_differs = target.authority.is_some_and(|authority| {
            !host.is_some_and(|host| host.of(head).eq_ignore_ascii_case(authority.of(head)))
        });
        self.authority = target.authority.or(host).unwrap_or_default();
        Ok(())
    }

    #[inline]
    fn read_connection(&mut self, head: &[u8]) {
        let Persistence { keep_alive, upgrade, names_fields } =
            head::persistence(head, &self.headers, self.version);
        self.keep_alive = keep_alive;
        self.names_fields = names_fields;
        let current = self.version == Version::Http11;
        self.upgrade = self
            .headers
            .get(Field::Upgrade)
            .map(|header| header.value)
            .filter(|value| current && upgrade && !value.is_empty());
        self.expect_continue = current
            && self
                .headers
                .all(Field::Expect)
                .any(|header| header.value.of(head).eq_ignore_ascii_case(b"100-continue"));
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}
