//! Which URLs a text names: a list with one in each line, or a sitemap (the protocol of sitemaps.org, version 0.9).

/// Deepest nesting that is followed; sitemaps have three levels, four with extensions.
const DEPTH: usize = 16;

/// Longest entity, from `&` to `;`.
const ENTITY_BYTES: usize = 12;

/// What a text names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// Pages.
    Pages(Vec<String>),
    /// Further sitemaps.
    Sitemaps(Vec<String>),
}

/// Reads a list or a sitemap.
///
/// # Errors
/// It is neither; for people.
pub fn read(bytes: &[u8]) -> Result<Named, String> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err("it is compressed; unpack it first".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('<') {
        return sitemap(text).ok_or_else(|| "it is XML and no sitemap, or is cut short".to_owned());
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(Named::Pages(lines.map(str::to_owned).collect()))
}

/// Takes the text of every `loc` in a `url` or a `sitemap`. Names count without their namespace; a `loc` of an extension
/// stands in an element of that.
fn sitemap(text: &str) -> Option<Named> {
    let (mut open, mut loc, mut found) = (Vec::<&str>::new(), String::new(), Vec::new());
    let (mut rest, mut root) = (text, None);
    while let Some(at) = rest.find('<') {
        let is_loc = matches!(open[..], [.., "url" | "sitemap", "loc"]);
        if is_loc {
            unescape(&rest[..at], &mut loc);
        }
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("<![CDATA[") {
            let (data, behind) = behind.split_once("]]>")?;
            if is_loc {
                loc.push_str(data);
            }
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("<!--") {
            rest = behind.split_once("-->")?.1;
        } else {
            let (tag, behind) = rest[1..].split_once('>')?;
            rest = behind;
            if tag.starts_with(['?', '!']) {
                continue;
            }
            if tag.starts_with('/') {
                if is_loc {
                    found.push(loc.trim().to_owned());
                    loc.clear();
                }
                open.pop()?;
                continue;
            }
            let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or(tag);
            let name = name.rsplit(':').next().unwrap_or(name);
            root = root.or(Some(name));
            if !tag.ends_with('/') {
                open.push(name);
            }
            if open.len() > DEPTH {
                return None;
            }
        }
    }
    match root {
        Some("urlset") if open.is_empty() => Some(Named::Pages(found)),
        Some("sitemapindex") if open.is_empty() => Some(Named::Sitemaps(found)),
        _ => None,
    }
}

/// Appends text with its entities resolved; what is none stays as it is.
fn unescape(mut text: &str, out: &mut String) {
    while let Some(at) = text.find('&') {
        out.push_str(&text[..at]);
        text = &text[at..];
        let end = text.bytes().take(ENTITY_BYTES).position(|byte| byte == b';');
        let resolved = end.and_then(|end| Some((entity(&text[1..end])?, end)));
        let (character, end) = resolved.unwrap_or(('&', 0));
        out.push(character);
        text = &text[end + 1..];
    }
    out.push_str(text);
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pages(text: &str) -> Vec<String> {
        match read(text.as_bytes()) {
            Ok(Named::Pages(pages)) => pages,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_has_a_url_in_each_line() {
        assert_eq!(pages("\u{feff}# all\nhttp://a/\r\n\n  http://a/b \n"), ["http://a/", "http://a/b"]);
        assert!(pages("").is_empty());
    }

    #[test]
    fn a_sitemap_names_its_pages_and_not_their_pictures() {
        let text = "<?xml version=\"1.0\"?>\n<!-- <url><loc>http://no/</loc></url> -->\n\
            <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n\
            <url><loc>\n http://a/?b=1&amp;c=%C3%A9&#38;d </loc><priority>1</priority><x/></url>\n\
            <url><image:image><image:loc>http://a/p.png</image:loc></image:image><loc><![CDATA[http://a/x&y]]></loc></url>\n\
            </urlset>\n";
        assert_eq!(pages(text), ["http://a/?b=1&c=%C3%A9&d", "http://a/x&y"]);
    }

    #[test]
    fn an_index_names_sitemaps() {
        let text = "<sitemapindex><sitemap><loc>http://a/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(read(text.as_bytes()), Ok(Named::Sitemaps(vec!["http://a/1.xml".to_owned()])));
    }

    #[test]
    fn what_is_neither_is_told() {
        let deep = "<a>".repeat(DEPTH + 1);
        for text in
            ["<html><url><loc>http://a/</loc></url></html>", "<urlset><url><loc>http://a/", "<urlset", &deep]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\x1f\x8b\x08").unwrap_err().contains("unpack"));
        assert!(read(b"http://a/\xff").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_tangle_of_markup_is_read_or_refused(parts in prop::collection::vec(
            prop::sample::select(vec!["<", ">", "/", "url", "loc", "<url>", "<loc>", "</", "&", ";", "&#", "<!--", "]]>", "<![CDATA[", "é"]),
            0..40,
        )) {
            let _ = read(format!("<{}", parts.concat()).as_bytes());
        }

        #[test]
        fn what_is_written_into_a_sitemap_is_read_from_it(urls in prop::collection::vec("[!-~é]{1,30}", 0..10)) {
            let escaped = urls.iter().map(|url| {
                let url = url.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                format!("<url><loc>{url}</loc></url>")
            });
            let text = format!("<urlset>{}</urlset>", escaped.collect::<String>());
            prop_assert_eq!(pages(&text), urls);
        }
    }
}
