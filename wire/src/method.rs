//! The method and the version of a message, as the closed sets that the rest of the house branches on.

/// A request method (RFC 9110 section 9, RFC 5789 for PATCH). Methods are case-sensitive: `get` is `Other`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// CONNECT
    Connect,
    /// PATCH
    Patch,
    /// Any other token; its bytes are in [`RequestHead::method_name`](crate::RequestHead::method_name).
    Other,
}

impl Method {
    /// The method that these bytes name.
    #[inline]
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// The name, `None` for [`Method::Other`].
    pub const fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Connect => "CONNECT",
            Self::Patch => "PATCH",
            Self::Other => return None,
        })
    }

    /// Whether the client asks for no change of state (RFC 9110 section 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether asking twice means the same as asking once (RFC 9110 section 9.2.2). Unknown methods are not.
    pub const fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

/// The HTTP/1 version that a message names. Others are refused as
/// [`BadVersion`](crate::Malformed::BadVersion).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// The version as it is written on the first line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn known_methods_read_back_and_case_counts() {
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"] {
            assert_eq!(Method::from_bytes(name.as_bytes()).as_str(), Some(name));
        }
        assert_eq!(Method::from_bytes(b"get"), Method::Other);
        assert_eq!(Method::Other.as_str(), None);
    }

    #[test]
    fn post_patch_connect_and_unknown_methods_are_not_idempotent() {
        for method in [Method::Post, Method::Patch, Method::Connect, Method::Other] {
            assert!(!method.is_idempotent(), "{method:?}");
        }
        for method in [Method::Get, Method::Head, Method::Options, Method::Trace, Method::Put, Method::Delete]
        {
            assert!(method.is_idempotent(), "{method:?}");
        }
        assert!(!Method::Put.is_safe());
    }
}
