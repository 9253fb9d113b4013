//! What bodies are made of: files of a folder, and how bodies are compressed.

use std::path::PathBuf;

/// A folder whose files answer requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The folder. Nothing outside of it is ever served. It was there when the configuration was loaded.
    pub root: PathBuf,
    /// Name of the file that answers for a folder; `None`: folders are not found.
    pub index: Option<String>,
    /// Whether `/about` is answered with `about.html`, and `/about.html` redirected to `/about`.
    pub clean_urls: bool,
    /// File that answers, with 200, for paths that are no file: the page of a single-page app. A path relative to the
    /// root without `.` and `..`. `None`: they are not found.
    pub fallback: Option<String>,
    /// File whose content goes with 404; relative to the root as `fallback` is. `None`: the route's error page, or
    /// Tidegate's own.
    pub not_found: Option<String>,
    /// Whether `style.css.zst`, `.br` and `.gz` beside `style.css` are sent to clients that take that coding.
    pub precompressed: bool,
    /// Value of `Cache-Control` for files with a hash of their content in their name.
    pub hashed_cache_control: String,
    /// The same for all others.
    pub cache_control: String,
}

/// How bodies are compressed on their way to the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compress {
    /// What is offered, the most wanted first, each once; at least one.
    pub codings: Vec<Coding>,
    /// Shorter bodies stay as they are, where their length is known.
    pub min_bytes: u64,
    /// Media types that are worth it.
    pub types: MediaTypes,
}

/// A content coding, and how hard it tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coding {
    /// Which one.
    pub algorithm: Algorithm,
    /// Level while the client waits, on the algorithm's own scale.
    pub level: u8,
    /// Level for what is stored and sent many times, on the same scale.
    pub stored_level: u8,
}

/// Algorithm of a content coding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// Zstandard (RFC 8878), levels 1 to 19.
    Zstd,
    /// Brotli (RFC 7932), levels 0 to 11.
    Brotli,
    /// gzip (RFC 1952), levels 1 to 9.
    Gzip,
}

impl Algorithm {
    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// How file names end that hold it: `.zst`, `.br`, `.gz`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }
}

/// A set of media types: `text/html`, `text/*`, `application/*+json`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaTypes(Vec<MediaType>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct MediaType {
    /// All of it, or what stands before the star.
    start: Box<str>,
    /// What stands behind the star; `None`: there is none.
    end: Option<Box<str>>,
}

impl MediaTypes {
    /// A set of patterns; a star in one stands for any text.
    pub fn new<'t>(patterns: impl IntoIterator<Item = &'t str>) -> Self {
        let read = |pattern: &str| {
            let (start, end) =
                pattern.split_once('*').map_or((pattern, None), |(start, end)| (start, Some(end.into())));
            MediaType { start: start.into(), end }
        };
        Self(patterns.into_iter().map(read).collect())
    }

    /// Whether the value of a `Content-Type` is among them. Parameters and case do not count.
    pub fn contains(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
        let essence = content_type[..end].trim_ascii();
        self.0.iter().any(|known| known.matches(essence))
    }
}

impl MediaType {
    fn matches(&self, essence: &[u8]) -> bool {
        let start = self.start.as_bytes();
        match &self.end {
            None => essence.eq_ignore_ascii_case(start),
            Some(end) => {
                essence.len() >= start.len() + end.len()
                    && essence[..start.len()].eq_ignore_ascii_case(start)
                    && essence[essence.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_match_whole_by_prefix_and_by_suffix() {
        let types = MediaTypes::new(["text/*", "application/json", "application/*+json"]);
        for (text, is_in) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("application/json ; x=1", true),
            ("application/problem+json", true),
            ("application/jsonp", false),
            ("application/+json", true),
            ("application/json+xml", false),
            ("image/png", false),
            ("", false),
            (";", false),
        ] {
            assert_eq!(types.contains(text.as_bytes()), is_in, "{text}");
        }
    }

    #[test]
    fn what_stands_before_and_behind_a_star_does_not_overlap() {
        assert!(!MediaTypes::new(["ab*ba"]).contains(b"aba"));
        assert!(MediaTypes::new(["ab*ba"]).contains(b"abba"));
    }
}
