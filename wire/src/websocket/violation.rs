//! Every reason to end a WebSocket connection for what the peer sent, and the codes that a close may carry.

use core::fmt;

macro_rules! violations {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $close:literal, $what:literal;)+) => {
        /// Why frames were refused. The peer is told with a close that carries [`close_code`](Self::close_code), and
        /// the connection ends: where the next frame would begin is no longer certain (RFC 6455 section 7.1.7).
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Violation {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Violation {
            /// Every reason, in the order of the enum.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// A stable `snake_case` label for logs and metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What is wrong, as a fragment of a sentence for people. It fits the reason of a close.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }

            /// The code of the close that answers it (RFC 6455 section 7.4.1).
            pub const fn close_code(self) -> u16 {
                match self { $(Self::$name => $close,)+ }
            }
        }
    };
}

violations! {
    /// A reserved bit is set, and no extension that would give it a meaning was agreed on (RFC 6455 section 5.2).
    ReservedBits = "reserved_bits", 1002, "a reserved bit is set without an extension";
    /// An opcode that RFC 6455 section 5.2 leaves reserved.
    UnknownOpcode = "unknown_opcode", 1002, "the opcode of a frame is not known";
    /// A client's frame is not masked (RFC 6455 section 5.1).
    MaskMissing = "mask_missing", 1002, "a frame of the client is not masked";
    /// A server's frame is masked (RFC 6455 section 5.1).
    MaskUnexpected = "mask_unexpected", 1002, "a frame of the server is masked";
    /// A length is written in more bytes than it needs (RFC 6455 section 5.2).
    LengthNotMinimal = "length_not_minimal", 1002, "the length of a frame is written in more bytes than it needs";
    /// The highest bit of a 64-bit length is set (RFC 6455 section 5.2).
    LengthOverflow = "length_overflow", 1002, "the length of a frame does not fit 63 bits";
    /// A ping, pong or close in fragments (RFC 6455 section 5.5).
    ControlFragmented = "control_fragmented", 1002, "a control frame is fragmented";
    /// A ping, pong or close with more than [`MAX_CONTROL_BYTES`](super::MAX_CONTROL_BYTES) of payload (RFC 6455
    /// section 5.5).
    ControlTooLong = "control_too_long", 1002, "a control frame is longer than 125 bytes";
    /// A continuation where no message has begun (RFC 6455 section 5.4).
    ContinuationUnexpected = "continuation_unexpected", 1002, "a continuation comes without a message to continue";
    /// A new message before the last one ended (RFC 6455 section 5.4).
    ContinuationMissing = "continuation_missing", 1002, "a message begins before the last one has ended";
    /// A message longer than [`Limits::message_bytes`](super::Limits::message_bytes) (RFC 6455 section 10.4).
    MessageTooBig = "message_too_big", 1009, "a message is larger than the limit";
    /// A text message, or the reason of a close, is not UTF-8 (RFC 6455 section 8.1).
    NotUtf8 = "not_utf8", 1007, "a text is not valid UTF-8";
    /// A close with one byte of payload, which is no code (RFC 6455 section 5.5.1).
    CloseTruncated = "close_truncated", 1002, "the code of a close is cut short";
    /// A close with a code that may not be sent (RFC 6455 section 7.4).
    CloseCodeInvalid = "close_code_invalid", 1002, "the code of a close is not one that may be sent";
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

impl core::error::Error for Violation {}

/// Whether a close may carry this code: those of RFC 6455 section 7.4.1 that are not only for local use, those
/// registered since (1012 to 1014), and the ranges for libraries and apps (3000 to 4999).
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::MAX_CLOSE_REASON_BYTES;

    #[test]
    fn labels_are_snake_case_and_unique() {
        for (index, violation) in Violation::ALL.iter().enumerate() {
            let code = violation.code();
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{code}"
            );
            assert!(Violation::ALL[..index].iter().all(|other| other.code() != code), "{code} twice");
        }
    }

    #[test]
    fn every_violation_can_be_told_to_the_peer() {
        for violation in Violation::ALL {
            assert!(is_close_code(violation.close_code()), "{violation:?}");
            assert!(violation.what().len() <= MAX_CLOSE_REASON_BYTES, "{violation:?}");
            assert!(!violation.what().ends_with('.'), "{violation:?}");
            assert_eq!(violation.to_string(), violation.what());
        }
    }

    #[test]
    fn codes_for_local_use_and_unassigned_ones_may_not_be_sent() {
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert!(is_close_code(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
            assert!(!is_close_code(code), "{code}");
        }
    }
}
