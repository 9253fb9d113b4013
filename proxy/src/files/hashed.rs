//! Names that hold a hash of their file's content, which never comes to mean another content.

/// Shortest and longest run of characters that is taken for a hash.
const HASH_LEN: std::ops::RangeInclusive<usize> = 8..=64;

/// Whether a name holds a hash of its content, as bundlers write it: `app.3f9a2c1b.js`, `app-3f9a2c1b.min.js`,
/// `chunk-5DRL2KZM.css`.
///
/// The name is cut at its dots and dashes. One of the parts, neither the first nor the ending, has to be of
/// 8 to 64 characters, either all lower-case hexadecimal or all upper-case base32 (`A-Z2-7`), and has to have a digit
/// somewhere before a letter. That leaves out dates (`20231201`), numbers (`DSC23456`) and words (`deadbeef`), and
/// once in a while a hash; whoever wrongly says "never changes" can not take it back, so what is not certain is not
/// taken for one. For the same reason UUIDs, which name a thing and not its content, are none, and neither is the
/// mixed case of some bundlers (`index-B7x9k2Qa.js`), which could be a word: a route of its own says it for their
/// folder.
pub fn is_hashed(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else { return false };
    let stem = &name[..dot];
    let is_end = |byte: u8| matches!(byte, b'.' | b'-');
    let mut rest = stem;
    while let Some(at) = rest.iter().position(|&byte| is_end(byte)) {
        rest = &rest[at + 1..];
        if let Some(behind) = rest.get(uuid_len(rest)..).filter(|behind| behind.len() < rest.len()) {
            rest = behind;
            continue;
        }
        let len = rest.iter().position(|&byte| is_end(byte)).unwrap_or(rest.len());
        if is_hash(&rest[..len]) {
            return true;
        }
    }
    false
}

fn is_hash(part: &[u8]) -> bool {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_base32 = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
    HASH_LEN.contains(&part.len())
        && (part.iter().all(is_hex) || part.iter().all(is_base32))
        && part
            .iter()
            .position(u8::is_ascii_digit)
            .is_some_and(|digit| part[digit..].iter().any(u8::is_ascii_alphabetic))
}

/// How long the UUID is that the text begins with; 0: none.
fn uuid_len(text: &[u8]) -> usize {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut at = 0;
    for (index, len) in GROUPS.into_iter().enumerate() {
        if index > 0 {
            if text.get(at) != Some(&b'-') {
                return 0;
            }
            at += 1;
        }
        match text.get(at..at + len) {
            Some(group) if group.iter().all(u8::is_ascii_hexdigit) => at += len,
            _ => return 0,
        }
    }
    if text.get(at).is_none_or(|&byte| matches!(byte, b'.' | b'-')) { at } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_bundlers_write_them_are_seen() {
        for name in [
            "app.3f9a2c1b.js",
            "app-3f9a2c1b.js",
            "main.8e0d62a03.chunk.js",
            "app.3f9a2c1b.js.map",
            "app.min.3f9a2c1b.css",
            "logo-d41d8cd98f00b204e9800998ecf8427e.png",
            "chunk-5DRL2KZM.js",
            "index-A2BCDEFG.min.css",
            "x-550e8400-e29b-41d4-a716-446655440000-3f9a2c1b.js",
        ] {
            assert!(is_hashed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_only_looks_like_a_hash_is_none() {
        for name in [
            "jquery-20231201.js",
            "backup-2023-12-01.tar.gz",
            "jquery-3.7.1.min.js",
            "report-12345678.pdf",
            "IMG-DSC23456.JPG",
            "cafe-deadbeef.js",
            "a-facade12.js",
            "index-Overview.js",
            "index-OVERVIEW.html",
            "index-B7x9k2Qa.js",
            "3f9a2c1b.js",
            "d41d8cd98f00b204e9800998ecf8427e.png",
            "photo-550e8400-e29b-41d4-a716-446655440000.jpg",
            "app-3f9a2c1.js",
            "app-3F9a2C1b.js",
            "app-3f9a2c1b",
            "app_3f9a2c1b.js",
            "index.html",
            ".js",
            "-",
            "",
        ] {
            assert!(!is_hashed(name.as_bytes()), "{name}");
        }
        let long = format!("app-{}.js", "0a".repeat(33));
        assert!(!is_hashed(long.as_bytes()));
    }
}
