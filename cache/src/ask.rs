//! What a request asks of the cache.

use wire::{Field, Framing, Method, RequestHead};

use crate::control::Wishes;
use crate::rules::Cookies;
use crate::{Bypass, Rules};

/// What of a request the cache looks at, read once. Slices of the request's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The head.
    pub head: &'a RequestHead,
    /// What it was parsed from.
    pub buf: &'a [u8],
    wishes: Wishes,
    trusted: bool,
}

impl<'a> Ask<'a> {
    /// Reads a request, or says why the cache has no part in it. Costs a few tests of the head's field set when the
    /// request has none of the fields that matter.
    ///
    /// # Errors
    /// Why the request is to be forwarded as if there were no cache.
    #[inline]
    pub fn read(head: &'a RequestHead, buf: &'a [u8], rules: &Rules) -> Result<Self, Bypass> {
        if !matches!(head.method, Method::Get | Method::Head) {
            return Err(Bypass::Method);
        }
        if !matches!(head.framing, Framing::None | Framing::Length(0)) {
            return Err(Bypass::RequestBody);
        }
        if head.upgrade.is_some() {
            return Err(Bypass::Upgrade);
        }
        let has = |field| head.headers.contains(field);
        if rules.cookies == Cookies::Bypass && has(Field::Cookie) && has_cookie_of_app(head, buf, rules) {
            return Err(Bypass::RequestCookie);
        }
        let mut wishes = Wishes::default();
        if (has(Field::CacheControl) || has(Field::Pragma)) && !rules.ignore_request_directives {
            wishes = Wishes::of_request(&head.headers, buf);
            if wishes.no_store {
                return Err(Bypass::RequestNoStore);
            }
        }
        Ok(Self { head, buf, wishes, trusted: false })
    }

    /// Reads a request for something that is there whole and is nobody's stored response, such as a file: what it says
    /// about caches is not listened to.
    pub fn plain(head: &'a RequestHead, buf: &'a [u8]) -> Self {
        Self { head, buf, wishes: Wishes::default(), trusted: false }
    }

    /// The same request, from a peer that is believed or not: what it says of its client is passed on only if it is.
    #[must_use]
    pub const fn by(self, trusted: bool) -> Self {
        Self { trusted, ..self }
    }

    /// The host that the origin is told of, where an app may write it into its links and the URL does not say it: the one
    /// that a trusted peer names besides, and a name with a dot at its end.
    #[inline]
    pub(crate) fn told_host(&self) -> Option<&'a [u8]> {
        let own = self.head.authority.of(self.buf);
        let line = if self.trusted { self.head.headers.get(Field::XForwardedHost) } else { None };
        let named = line.map(|line| line.value.of(self.buf)).filter(|host| *host != own);
        named.or_else(|| self.head.host.of(self.buf).ends_with(b".").then_some(own))
    }

    /// What its Cache-Control says, nothing where the route does not listen to that.
    #[inline]
    pub const fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// Whether it wants an answer only if that is stored; else 504 (RFC 9111 section 5.2.1.7).
    #[inline]
    pub const fn only_if_cached(&self) -> bool {
        self.wishes.only_if_cached
    }

    /// Whether it is authorised (RFC 9111 section 3.5).
    #[inline]
    pub const fn authorised(&self) -> bool {
        self.head.headers.contains(Field::Authorization)
    }

    /// Whether it has a condition that [`condition::evaluate`](crate::condition::evaluate) has to look at.
    #[inline]
    pub const fn conditional(&self) -> bool {
        let headers = &self.head.headers;
        headers.contains(Field::IfNoneMatch)
            || headers.contains(Field::IfModifiedSince)
            || headers.contains(Field::IfMatch)
            || headers.contains(Field::IfUnmodifiedSince)
    }

    /// Whether it asks for a part that [`range::choose`](crate::range::choose) has to cut. Only GET has parts (RFC
    /// 9110 section 14.2).
    #[inline]
    pub const fn ranged(&self) -> bool {
        matches!(self.head.method, Method::Get) && self.head.headers.contains(Field::Range)
    }

    /// Every value of the field with this name, in order, as it was sent. What Connection names does not reach the
    /// origin, so the request is one without it: else whoever asks so chooses what others with the field are given.
    pub(crate) fn values(&self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let (Self { head, buf, .. }, field) = (*self, Field::classify(name));
        let lines = (!head.ends_here(buf, name)).then(|| head.headers.all(field)).into_iter().flatten();
        lines
            .filter(move |line| field != Field::Other || line.name.of(buf).eq_ignore_ascii_case(name))
            .map(|line| line.value.of(buf))
    }
}

/// Whether a request has a cookie besides those that the rules call our own.
fn has_cookie_of_app(head: &RequestHead, buf: &[u8], rules: &Rules) -> bool {
    let is_own = |cookie: &[u8]| {
        let name = cookie.split(|&byte| byte == b'=').next().unwrap_or_default();
        rules.own_cookies.iter().any(|own| own.as_bytes() == name)
    };
    let mut lines = head.headers.all(Field::Cookie).map(|line| line.value.of(buf));
    rules.own_cookies.is_empty()
        || lines.any(|line| line.split(|&byte| byte == b';').any(|cookie| !is_own(cookie.trim_ascii())))
}
