//! What may stand in header fields that a file writes: names, values, and the names that are Tidegate's own.

/// Fields that belong to one connection or to the framing of a message (RFC 9110 section 7.6.1,
/// RFC 9112 section 6): a file that changed them could make two readers of one message disagree.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Whether a text is a token (RFC 9110 section 5.6.2), as field names, methods and cookie names are.
pub fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// Whether a text can be a field's value (RFC 9110 section 5.5): no controls but tabs, no blank at the ends.
pub fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7F)) && text.trim() == text
}

/// Whether a file may not change this field.
pub fn is_framing(name: &str) -> bool {
    FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_values_follow_the_grammar() {
        assert!(
            is_token("X-Tenant_1") && !is_token("") && !is_token("a b") && !is_token("a:") && !is_token("ä")
        );
        assert!(
            is_value("") && is_value("a\tb ä") && !is_value("a\r\nb") && !is_value(" a") && !is_value("a\0")
        );
    }

    #[test]
    fn framing_fields_are_known_in_any_case() {
        assert!(is_framing("Content-Length") && is_framing("HOST") && !is_framing("x-host"));
    }
}
