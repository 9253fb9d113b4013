//! Every reason to refuse bytes, with the name that logs, metrics and answers use for it.

use core::fmt;

macro_rules! malformed {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:literal, $what:literal;)+) => {
        /// Why bytes were refused. A request gets [`status`](Self::status) and its connection closes, because
        /// where the next message would begin is no longer certain; for a response the proxy answers 502.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Malformed {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Malformed {
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

            /// The status that a client gets when its request is refused for this.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }
        }
    };
}

malformed! {
    /// The head is longer than [`Limits::head_bytes`](crate::Limits::head_bytes) (RFC 6585 section 5).
    HeadTooLarge = "head_too_large", 431, "the head is larger than the limit";
    /// The target is longer than [`Limits::target_bytes`](crate::Limits::target_bytes) (RFC 9110 section 15.5.15).
    TargetTooLong = "target_too_long", 414, "the request target is longer than the limit";
    /// More header lines than [`Limits::headers`](crate::Limits::headers) (RFC 6585 section 5).
    TooManyHeaders = "too_many_headers", 431, "the head has more header lines than the limit";
    /// The method is not a token, or longer than [`MAX_METHOD_BYTES`](crate::MAX_METHOD_BYTES).
    BadMethod = "bad_method", 400, "the method is not a valid token";
    /// The target fits none of the four forms of RFC 9112 section 3.2 for its method, or holds a byte that it may not.
    BadTarget = "bad_target", 400, "the request target is not valid";
    /// The version is neither HTTP/1.0 nor HTTP/1.1, or missing as in HTTP/0.9.
    BadVersion = "bad_version", 505, "the protocol version is not HTTP/1.0 or HTTP/1.1";
    /// A header name is empty or not a token (RFC 9110 section 5.1).
    BadHeaderName = "bad_header_name", 400, "a header name is not a valid token";
    /// A header value holds a control byte (RFC 9110 section 5.5).
    BadHeaderValue = "bad_header_value", 400, "a header value holds a control byte";
    /// Whitespace between a header name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon = "space_before_colon", 400, "a header has whitespace before its colon";
    /// A header line that begins with whitespace: a folded value, or whitespace before the first header
    /// (RFC 9112 sections 2.2 and 5.2).
    ObsFold = "obs_fold", 400, "a header line begins with whitespace";
    /// A carriage return without a line feed after it (RFC 9112 section 2.2).
    BareCr = "bare_cr", 400, "a carriage return stands without a line feed";
    /// A line feed without a carriage return before it. RFC 9112 section 2.2 lets it pass; parties that
    /// differ over it can be played against each other, so it does not pass here.
    BareLf = "bare_lf", 400, "a line feed stands without a carriage return";
    /// A NUL byte (RFC 9110 section 5.5), or `%00` in a path.
    Nul = "nul", 400, "a NUL byte is not allowed";
    /// An HTTP/1.1 request without Host (RFC 9112 section 3.2).
    HostMissing = "host_missing", 400, "the Host header is missing";
    /// More than one Host (RFC 9112 section 3.2).
    HostRepeated = "host_repeated", 400, "the Host header is given more than once";
    /// Host, or the authority of the target, is no valid host and port (RFC 3986 section 3.2.2).
    HostInvalid = "host_invalid", 400, "the host is not valid";
    /// Content-Length together with Transfer-Encoding (RFC 9112 section 6.3).
    LengthWithTransferEncoding = "length_with_transfer_encoding", 400,
        "Content-Length and Transfer-Encoding are given together";
    /// Content-Length is not a plain decimal number that fits 64 bits (RFC 9110 section 8.6).
    LengthInvalid = "length_invalid", 400, "Content-Length is not a plain decimal number";
    /// Content-Length is given more than once: at all in a request, with different values in a response.
    LengthConflict = "length_conflict", 400, "Content-Length is given more than once";
    /// A header that reads as Content-Length or Transfer-Encoding once `_` is read as `-`, the way CGI and WSGI do.
    FramingLookalike = "framing_lookalike", 400,
        "a header imitates Content-Length or Transfer-Encoding with underscores";
    /// A coding other than chunked is applied under chunked (RFC 9112 section 6.1).
    TransferEncodingUnknown = "transfer_encoding_unknown", 501, "Transfer-Encoding names a coding other than chunked";
    /// Transfer-Encoding does not end in exactly `chunked` (RFC 9112 section 6.3).
    TransferEncodingNotFinal = "transfer_encoding_not_final", 400, "Transfer-Encoding does not end in chunked";
    /// Transfer-Encoding is given on several lines, or names chunked twice (RFC 9112 section 6.1).
    TransferEncodingRepeated = "transfer_encoding_repeated", 400, "Transfer-Encoding is given more than once";
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 section 6.1).
    TransferEncodingOnHttp10 = "transfer_encoding_on_http10", 400, "Transfer-Encoding is given in an HTTP/1.0 message";
    /// A chunk size is missing or holds something other than hexadecimal digits (RFC 9112 section 7.1).
    ChunkSizeInvalid = "chunk_size_invalid", 400, "a chunk size is not a plain hexadecimal number";
    /// A chunk size has more than sixteen digits (RFC 9112 section 7.1).
    ChunkSizeOverflow = "chunk_size_overflow", 400, "a chunk size does not fit 64 bits";
    /// A chunk is not followed by CRLF, or a control byte stands in its extension.
    ChunkFraming = "chunk_framing", 400, "a chunk does not end where its size says";
    /// Chunk extensions outran the payload by [`Limits::chunk_extension_bytes`](crate::Limits::chunk_extension_bytes).
    ChunkExtensionTooLong = "chunk_extension_too_long", 400, "chunk extensions are longer than the limit";
    /// The trailer section is longer than [`Limits::trailer_bytes`](crate::Limits::trailer_bytes).
    TrailerTooLarge = "trailer_too_large", 431, "the trailer section is larger than the limit";
    /// The connection ended inside a message.
    Truncated = "truncated", 400, "the message ended before it was complete";
    /// The status line of a response is not valid, or something stands before it.
    BadStatus = "bad_status", 400, "the status line is not valid";
    /// A percent sign that two hexadecimal digits do not follow (RFC 3986 section 2.1).
    EscapeInvalid = "escape_invalid", 400, "a percent escape is not valid";
    /// Dot segments climb above the root of the path.
    PathEscapesRoot = "path_escapes_root", 400, "the path climbs above its root";
    /// A dot segment with parameters, such as `/..;x/`, which some servers read as `/../`.
    DotSegmentParameters = "dot_segment_parameters", 400, "a dot segment of the path carries parameters";
    /// The PROXY preamble is missing or wrong.
    PreambleInvalid = "preamble_invalid", 400, "the PROXY preamble is missing or not valid";
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

impl core::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::Malformed;

    #[test]
    fn codes_are_snake_case_and_unique() {
        for (index, reason) in Malformed::ALL.iter().enumerate() {
            let code = reason.code();
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{code}"
            );
            assert!(Malformed::ALL[..index].iter().all(|other| other.code() != code), "{code} twice");
        }
    }

    #[test]
    fn texts_are_fragments_and_statuses_are_refusals() {
        for reason in Malformed::ALL {
            assert!(!reason.what().ends_with('.'), "{reason:?}");
            assert!(matches!(reason.status(), 400 | 414 | 431 | 501 | 505), "{reason:?}");
            assert_eq!(reason.to_string(), reason.what());
        }
    }
}
