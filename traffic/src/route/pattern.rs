//! The patterns that a rule is written with: hosts and paths, parsed once and refused with a reason.

use super::params::PARAMETERS_MAX;
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;
use wire::Malformed;

/// Segments that one path pattern may have.
pub const SEGMENTS_MAX: usize = 64;

/// Which hosts a rule answers for.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum HostPattern {
    /// `*`: every host, also a request without one (HTTP/1.0).
    Any,
    /// `example.org`: this name. Kept in lower case, without a trailing dot.
    Exact(Box<str>),
    /// `*.example.org`: every name below it, any number of labels, but not `example.org` itself.
    /// Kept without the `*.`.
    Below(Box<str>),
}

impl HostPattern {
    /// Parses `*`, `example.org`, `*.example.org`, `192.0.2.1` or `[2001:db8::1]`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = spell_host(&name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())?;
        Ok(if below { Self::Below(name) } else { Self::Exact(name) })
    }

    /// Whether the host, in lower case and without a port, is one of the pattern's.
    pub fn matches(&self, host: &[u8]) -> bool {
        let host = host.strip_suffix(b".").unwrap_or(host);
        match self {
            Self::Any => true,
            Self::Exact(name) => host == name.as_bytes(),
            Self::Below(name) => host
                .strip_suffix(name.as_bytes())
                .is_some_and(|front| front.len() > 1 && front.ends_with(b".")),
        }
    }
}

/// The spelling that requests' hosts are given too, see [`wire::uri::host`].
fn spell_host(name: &str) -> Result<Box<str>, PatternError> {
    if let Some(inner) = name.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(PatternError::HostPort)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| PatternError::HostCharacter)?;
        return Ok(format!("[{address}]").into());
    }
    if name.is_empty() || name.split('.').any(str::is_empty) {
        return Err(PatternError::HostEmptyLabel);
    }
    if name.contains('*') {
        return Err(PatternError::HostStar);
    }
    if name.contains(':') {
        return Err(PatternError::HostPort);
    }
    if !name.is_ascii() {
        return Err(PatternError::HostNotAscii);
    }
    if name.bytes().any(|byte| !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))) {
        return Err(PatternError::HostCharacter);
    }
    Ok(name.into())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

/// One piece of a path between slashes.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub(super) enum Segment {
    Literal(Box<str>),
    Parameter,
}

/// Which paths a rule answers for.
///
/// | written | matches |
/// | --- | --- |
/// | `/` or `/*` | every path, also the `*` of `OPTIONS *`: the smallest configuration has one route, `/` |
/// | `/x` | exactly `/x`, not `/x/` |
/// | `/x/*` | `/x`, `/x/` and everything below |
/// | `/x/{id}/y` | one segment of at least one byte in the place of `{id}` |
/// | `/x/{id}/*` | the same, and everything below |
/// | `=/` | the root and nothing else |
/// | `=/x/{y}/*` | after `=` every byte stands for itself, so `{`, `}` and `*` can be matched |
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct PathPattern {
    text: Box<str>,
    pub(super) segments: Box<[Segment]>,
    pub(super) names: Box<[Box<str>]>,
    /// Whether the pattern goes on with `*`.
    pub(super) rest: bool,
}

impl PathPattern {
    /// Parses one of the forms of the table above.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some(literal) = text.strip_prefix('=') {
            let segments = literal.strip_prefix('/').ok_or(PatternError::NoSlash)?.split('/');
            let segments = segments.map(spell).collect::<Result<_, _>>()?;
            return Self::checked(Self { text: text.into(), segments, names: Box::default(), rest: false });
        }
        let below = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        if below.contains(['?', '#']) {
            return Err(PatternError::QueryOrFragment);
        }
        let mut pattern =
            Self { text: text.into(), segments: Box::default(), names: Box::default(), rest: true };
        if below.is_empty() || below == "*" {
            return Ok(pattern);
        }
        let (pieces, rest) = match below.strip_suffix("/*") {
            Some(pieces) => (pieces, true),
            None => (below, false),
        };
        pattern.rest = rest;
        let mut names = Vec::new();
        pattern.segments =
            pieces.split('/').map(|piece| segment(piece, &mut names)).collect::<Result<_, _>>()?;
        pattern.names = names.into_boxed_slice();
        Self::checked(pattern)
    }

    fn checked(self) -> Result<Self, PatternError> {
        if self.segments.len() > SEGMENTS_MAX {
            return Err(PatternError::TooManySegments);
        }
        if self.names.len() > PARAMETERS_MAX {
            return Err(PatternError::TooManyParameters);
        }
        Ok(self)
    }

    /// The parameters' names, from left to right.
    pub fn parameters(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// The part of a pattern like `/x/*` in front of the star, here `/x`, in the normalised spelling;
    /// `None` for other forms. This is what "strip the prefix" takes off a path.
    pub fn prefix(&self) -> Option<String> {
        if self.rest { self.spelling() } else { None }
    }

    /// The whole path when nothing in the pattern varies.
    pub(super) fn literal(&self) -> Option<String> {
        if self.rest { None } else { self.spelling() }
    }

    /// The segments as a path, if none is a parameter.
    fn spelling(&self) -> Option<String> {
        let mut path = String::new();
        for segment in &self.segments {
            let Segment::Literal(piece) = segment else { return None };
            path.push('/');
            path.push_str(piece);
        }
        Some(path)
    }
}

/// The spelling that requests' paths are given too, see [`wire::uri::normalise`]. What a request must
/// escape (a space, an umlaut) may be written plainly in a pattern.
fn spell(piece: &str) -> Result<Segment, PatternError> {
    let escaped = piece.bytes().map(|byte| match byte {
        b' ' | 0x80.. => format!("%{byte:02X}"),
        _ => char::from(byte).to_string(),
    });
    let path = format!("/{}", escaped.collect::<String>());
    let mut scratch = Vec::new();
    let spelt = wire::uri::normalise(path.as_bytes(), &mut scratch).map_err(|why| match why {
        Malformed::PathEscapesRoot | Malformed::DotSegmentParameters => PatternError::DotSegment,
        _ => PatternError::PathCharacter,
    })?;
    let spelt = &String::from_utf8_lossy(spelt)[1..];
    if spelt.is_empty() && !piece.is_empty() {
        return Err(PatternError::DotSegment);
    }
    Ok(Segment::Literal(spelt.into()))
}

fn segment(piece: &str, names: &mut Vec<Box<str>>) -> Result<Segment, PatternError> {
    if let Some(name) = piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}')) {
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(PatternError::ParameterName);
        }
        if names.iter().any(|known| &**known == name) {
            return Err(PatternError::ParameterTwice);
        }
        names.push(name.into());
        return Ok(Segment::Parameter);
    }
    if piece.contains(['{', '}']) {
        return Err(PatternError::ParameterPart);
    }
    if piece.contains('*') {
        return Err(PatternError::PathStar);
    }
    spell(piece)
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

/// Why a host or path pattern is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PatternError {
    /// A host has an empty label, or is empty.
    HostEmptyLabel,
    /// A star stands anywhere else than as the whole host or its first label.
    HostStar,
    /// A host is written with a port; ports belong to listeners.
    HostPort,
    /// A host is written in another alphabet than DNS carries.
    HostNotAscii,
    /// A host holds a character that no host has.
    HostCharacter,
    /// A path does not begin with a slash.
    NoSlash,
    /// A path holds `?` or `#`; only the path is matched.
    QueryOrFragment,
    /// A segment is `.` or `..`, which requests' paths no longer hold when they are matched.
    DotSegment,
    /// A path holds a character that no path has, or a `%` without two hexadecimal digits.
    PathCharacter,
    /// A star stands anywhere else than as the last segment.
    PathStar,
    /// A parameter is only a part of its segment.
    ParameterPart,
    /// A parameter has no name, or one with other characters than letters, digits and `_`.
    ParameterName,
    /// Two parameters of one path have the same name.
    ParameterTwice,
    /// More than [`PARAMETERS_MAX`] parameters.
    TooManyParameters,
    /// More than [`SEGMENTS_MAX`] segments.
    TooManySegments,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostEmptyLabel => "a label of the host is empty, write a name like example.org",
            Self::HostStar => {
                "a star can only be the whole host or its first label, write * or *.example.org"
            }
            Self::HostPort => "a host is matched without its port, leave the port out",
            Self::HostNotAscii => "the host is not ascii, write it in its xn-- form",
            Self::HostCharacter => {
                "the host holds a character that no host has, use letters, digits, - and ."
            }
            Self::NoSlash => "the path does not begin with a slash, write /x, /x/* or =/",
            Self::QueryOrFragment => "only the path is matched, leave out ? and # and what follows",
            Self::DotSegment => "dot segments are resolved before matching, write the path that results",
            Self::PathCharacter => {
                "the path holds a character that no path has, write it as % and two hexadecimal digits"
            }
            Self::PathStar => {
                "a star can only be the last segment, write /x/*, or =/x* for the character itself"
            }
            Self::ParameterPart => {
                "a parameter fills a whole segment, write /x/{id}, or =/x{id} for the braces themselves"
            }
            Self::ParameterName => {
                "a parameter is named with letters, digits and _, and does not begin with a digit, write {id}"
            }
            Self::ParameterTwice => "two parameters have the same name, give each its own",
            Self::TooManyParameters => "a path has at most 8 parameters, match the rest with /*",
            Self::TooManySegments => "a path has at most 64 segments, match the rest with /*",
        })
    }
}

impl core::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_parse_into_their_three_forms() {
        assert_eq!(HostPattern::parse("*"), Ok(HostPattern::Any));
        assert_eq!(HostPattern::parse("Example.ORG."), Ok(HostPattern::Exact("example.org".into())));
        assert_eq!(HostPattern::parse("*.example.org"), Ok(HostPattern::Below("example.org".into())));
        assert_eq!(HostPattern::parse("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
    }

    #[test]
    fn hosts_are_refused_with_the_reason() {
        for (text, why) in [
            ("", PatternError::HostEmptyLabel),
            ("a..b", PatternError::HostEmptyLabel),
            ("*.", PatternError::HostEmptyLabel),
            ("a.*.b", PatternError::HostStar),
            ("**", PatternError::HostStar),
            ("example.org:80", PatternError::HostPort),
            ("[::1]:80", PatternError::HostPort),
            ("[zz]", PatternError::HostCharacter),
            ("bücher.de", PatternError::HostNotAscii),
            ("a b", PatternError::HostCharacter),
        ] {
            assert_eq!(HostPattern::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_wildcard_takes_every_depth_below_but_not_the_name_itself() {
        let below = HostPattern::parse("*.example.org").unwrap();
        assert!(below.matches(b"a.example.org"));
        assert!(below.matches(b"a.b.example.org."));
        assert!(!below.matches(b"example.org"));
        assert!(!below.matches(b".example.org"));
        assert!(!below.matches(b"badexample.org"));
    }

    #[test]
    fn paths_are_refused_with_the_reason() {
        let many = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}";
        for (text, why) in [
            ("x", PatternError::NoSlash),
            ("", PatternError::NoSlash),
            ("=x", PatternError::NoSlash),
            ("/x?y", PatternError::QueryOrFragment),
            ("=/x?y", PatternError::PathCharacter),
            ("/a/../b", PatternError::DotSegment),
            ("/%2e", PatternError::DotSegment),
            ("/a\\b", PatternError::PathCharacter),
            ("/100%", PatternError::PathCharacter),
            ("/x*", PatternError::PathStar),
            ("/*/x", PatternError::PathStar),
            ("/{id}.json", PatternError::ParameterPart),
            ("/{}", PatternError::ParameterName),
            ("/{1a}", PatternError::ParameterName),
            ("/{a-b}", PatternError::ParameterName),
            ("/{a}/{a}", PatternError::ParameterTwice),
            (many, PatternError::TooManyParameters),
            (&"/x".repeat(65), PatternError::TooManySegments),
        ] {
            assert_eq!(PathPattern::parse(text), Err(why), "{text}");
            assert!(!why.to_string().ends_with('.'));
        }
    }

    #[test]
    fn patterns_are_spelt_like_the_paths_they_match() {
        let literal = |text: &str| PathPattern::parse(text).unwrap().literal();
        assert_eq!(literal("/caf\u{e9} au lait").as_deref(), Some("/caf%C3%A9%20au%20lait"));
        assert_eq!(literal("/%7ejo/a%2fb").as_deref(), Some("/~jo/a%2Fb"));
        assert_eq!(literal("=/").as_deref(), Some("/"));
        assert_eq!(literal("/x/").as_deref(), Some("/x/"));
        assert_eq!(literal("=/{a}/*").as_deref(), Some("/{a}/*"));
        assert_eq!(HostPattern::parse("[2001:DB8:0::1]"), HostPattern::parse("[2001:db8::1]"));
    }

    #[test]
    fn the_prefix_is_what_stands_before_the_star() {
        let prefix = |text: &str| PathPattern::parse(text).unwrap().prefix();
        assert_eq!(prefix("/api/v1/*").as_deref(), Some("/api/v1"));
        assert_eq!(prefix("/").as_deref(), Some(""));
        assert_eq!(prefix("/*").as_deref(), Some(""));
        assert_eq!(prefix("/api"), None);
        assert_eq!(prefix("/{id}/*"), None);
        assert_eq!(prefix("=/x/*"), None);
    }
}
