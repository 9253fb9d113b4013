//! Header names that something in the house asks for, recognised once while a head is parsed, so that nobody
//! compares names afterwards.
//!
//! Recognition is one multiplication, one table look-up and one comparison. The table is a perfect hash that
//! is built, and proven free of collisions, when the crate is compiled.

macro_rules! fields {
    ($($(#[doc = $doc:literal])* $field:ident = $name:literal,)+) => {
        /// A header name. Everything that is not listed is [`Field::Other`].
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
        #[repr(u8)]
        pub enum Field {
            /// A name that is not in this list.
            #[default]
            Other,
            $(#[doc = concat!("`", $name, "`")] $(#[doc = $doc])* $field,)+
        }

        impl Field {
            /// Every field, [`Field::Other`] first.
            pub const ALL: &[Self] = &[Self::Other, $(Self::$field,)+];

            const NAMES: &[&str] = &["", $($name,)+];
        }
    };
}

fields! {
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    AcceptLanguage = "accept-language",
    AcceptRanges = "accept-ranges",
    Age = "age",
    Allow = "allow",
    Authorization = "authorization",
    CacheControl = "cache-control",
    CacheStatus = "cache-status",
    CacheTag = "cache-tag",
    CdnCacheControl = "cdn-cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentLocation = "content-location",
    ContentRange = "content-range",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Etag = "etag",
    Expect = "expect",
    Expires = "expires",
    Forwarded = "forwarded",
    Host = "host",
    Http2Settings = "http2-settings",
    IdempotencyKey = "idempotency-key",
    IfMatch = "if-match",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    IfRange = "if-range",
    IfUnmodifiedSince = "if-unmodified-since",
    KeepAlive = "keep-alive",
    LastModified = "last-modified",
    Location = "location",
    Origin = "origin",
    Pragma = "pragma",
    /// Not a header of HTTP: CGI would turn it into `HTTP_PROXY` (CVE-2016-5385).
    Proxy = "proxy",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Range = "range",
    Referer = "referer",
    RetryAfter = "retry-after",
    Server = "server",
    SetCookie = "set-cookie",
    SurrogateKey = "surrogate-key",
    Te = "te",
    TidegateCacheControl = "tidegate-cache-control",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

impl Field {
    /// The field that this name means, whatever its case.
    #[inline]
    pub fn classify(name: &[u8]) -> Self {
        if name.is_empty() {
            return Self::Other;
        }
        let field = TABLE[slot(name)];
        if is_spelling_of(name, field.name().as_bytes()) { field } else { Self::Other }
    }

    /// The name in lower case; empty for [`Field::Other`].
    #[inline]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether the header is about one connection and therefore never forwarded (RFC 9110 section 7.6.1, and
    /// section 11.7 for the two about authentication at a proxy; HTTP2-Settings by RFC 7540 section 3.2.1).
    /// Trailer is among them because trailers are dropped. Names listed by Connection come on top:
    /// [`Headers::named_by_connection`](crate::Headers::named_by_connection).
    #[inline]
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::Trailer
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }

    /// This field's bit in a set of fields.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// Whether `sent` is `name` in some case. `name` is in lower case and holds nothing but letters, digits and `-`,
/// of which only letters have bit 6; so a word of eight bytes is compared at once, forgiving bit 5 just there.
#[inline]
fn is_spelling_of(sent: &[u8], name: &[u8]) -> bool {
    const BIT_6: u64 = 0x4040_4040_4040_4040;
    let same_word = |sent: &[u8; 8], name: &[u8; 8]| {
        let (sent, name) = (u64::from_ne_bytes(*sent), u64::from_ne_bytes(*name));
        (sent ^ name) & !((name & BIT_6) >> 1) == 0
    };
    if sent.len() != name.len() {
        return false;
    }
    // The last word may overlap the one before it, which is cheaper than looking at single bytes.
    let (Some(sent_last), Some(name_last)) = (sent.last_chunk(), name.last_chunk()) else {
        return sent.eq_ignore_ascii_case(name);
    };
    let (sent_words, name_words) = (sent.as_chunks().0, name.as_chunks().0);
    same_word(sent_last, name_last)
        && sent_words.iter().zip(name_words).all(|(sent, name)| same_word(sent, name))
}

const SLOTS_LOG2: u32 = 9;
const SEED: u32 = 0x8712_B8BD;

/// The table position of a name that is not empty: its length, first, last and three-quarter byte, mixed by
/// one multiplication. Setting bit 5 folds the case of letters; what else it folds, the comparison sorts out.
#[inline]
const fn slot(name: &[u8]) -> usize {
    let len = name.len();
    let (first, late, last) = (name[0] | 0x20, name[len * 3 / 4] | 0x20, name[len - 1] | 0x20);
    let key = u32::from_le_bytes([len as u8, first, late, last]);
    (key.wrapping_mul(SEED) >> (32 - SLOTS_LOG2)) as usize
}

static TABLE: [Field; 1 << SLOTS_LOG2] = {
    assert!(Field::ALL.len() <= u64::BITS as usize, "a set of fields must fit one word");
    let mut table = [Field::Other; 1 << SLOTS_LOG2];
    let mut index = 1;
    while index < Field::ALL.len() {
        let at = slot(Field::NAMES[index].as_bytes());
        assert!(matches!(table[at], Field::Other), "two names share a slot: choose another SEED");
        table[at] = Field::ALL[index];
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn every_name_is_recognised_in_any_case() {
        for &field in &Field::ALL[1..] {
            assert_eq!(Field::classify(field.name().as_bytes()), field);
            assert_eq!(Field::classify(field.name().to_ascii_uppercase().as_bytes()), field);
        }
    }

    #[test]
    fn only_a_change_of_case_is_forgiven() {
        for &field in &Field::ALL[1..] {
            let name = field.name().as_bytes();
            for at in 0..name.len() {
                for byte in 0..=u8::MAX {
                    let mut sent = name.to_vec();
                    sent[at] = byte;
                    let same = byte.to_ascii_lowercase() == name[at];
                    assert_eq!(Field::classify(&sent) == field, same, "{}", sent.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn neighbours_of_known_names_are_other() {
        for &field in &Field::ALL[1..] {
            let name = field.name();
            for near in [&name[1..], &name[..name.len() - 1], &format!("{name}s"), &name.replace('-', "_")] {
                let found = Field::classify(near.as_bytes());
                assert!(found == Field::Other || found.name() == near, "{near} was taken for {found:?}");
            }
        }
        assert_eq!(Field::classify(b""), Field::Other);
    }
}
