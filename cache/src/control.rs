//! What Cache-Control and its targeted kin say (RFC 9111 section 5.2, RFC 9213).
//!
//! Where a field can be read in two ways, the reading that keeps less is taken: of two lifetimes the shorter, of a
//! lifetime that is no number none at all. So a mistake of an app costs speed and never shows a page that it did
//! not want to be shown.

mod structured;

use wire::{Field, Headers};

pub use structured::{Item, dictionary};

/// The largest number of seconds that is told apart (RFC 9111 section 1.2.2). Larger ones are taken for this.
pub const MAX_SECONDS: u64 = 1 << 31;

/// What a response says about caching. Times in seconds, at most [`MAX_SECONDS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Directives {
    /// `no-store` (RFC 9111 section 5.2.2.5).
    pub no_store: bool,
    /// `private`, with or without field names (section 5.2.2.7).
    pub private: bool,
    /// `public` (section 5.2.2.9).
    pub public: bool,
    /// `no-cache`, with or without field names (section 5.2.2.4): what holds for some fields is taken to hold for
    /// all, which that section allows.
    pub no_cache: bool,
    /// `must-revalidate` (section 5.2.2.2).
    pub must_revalidate: bool,
    /// `proxy-revalidate` (section 5.2.2.8).
    pub proxy_revalidate: bool,
    /// `must-understand` (section 5.2.2.3).
    pub must_understand: bool,
    /// `max-age` (section 5.2.2.1).
    pub max_age: Option<u64>,
    /// `s-maxage` (section 5.2.2.10).
    pub s_maxage: Option<u64>,
    /// `stale-while-revalidate` (RFC 5861 section 3).
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error` (RFC 5861 section 4).
    pub stale_if_error: Option<u64>,
    /// They come from a targeted field, so that Expires says nothing (RFC 9213 section 2.1).
    pub targeted: bool,
}

impl Directives {
    /// Reads the fields of a response: the first targeted field that is there, in order, and not empty, else
    /// Cache-Control.
    pub fn of_response(headers: &Headers, buf: &[u8]) -> Self {
        for field in [Field::TidegateCacheControl, Field::CdnCacheControl] {
            if let Some(directives) = targeted(headers, buf, field) {
                return directives;
            }
        }
        let mut said = Self::default();
        for line in headers.all(Field::CacheControl) {
            members(line.value.of(buf), |name, argument| said.add(name, argument));
        }
        said
    }

    fn add(&mut self, name: &[u8], argument: Argument<'_>) {
        if let Some(flag) = self.flag(name) {
            *flag = true;
        } else if let Some(seconds) = self.duration(name) {
            // What is no number is a lifetime that nobody knows, so it has passed (RFC 9111 section 4.2.1).
            let new = argument.seconds().unwrap_or(0);
            *seconds = Some(seconds.map_or(new, |old| old.min(new)));
        }
    }

    fn flag(&mut self, name: &[u8]) -> Option<&mut bool> {
        match_name(
            name,
            [
                (b"no-store".as_slice(), &mut self.no_store),
                (b"private", &mut self.private),
                (b"public", &mut self.public),
                (b"no-cache", &mut self.no_cache),
                (b"must-revalidate", &mut self.must_revalidate),
                (b"proxy-revalidate", &mut self.proxy_revalidate),
                (b"must-understand", &mut self.must_understand),
            ],
        )
    }

    fn duration(&mut self, name: &[u8]) -> Option<&mut Option<u64>> {
        match_name(
            name,
            [
                (b"max-age".as_slice(), &mut self.max_age),
                (b"s-maxage", &mut self.s_maxage),
                (b"stale-while-revalidate", &mut self.stale_while_revalidate),
                (b"stale-if-error", &mut self.stale_if_error),
            ],
        )
    }
}

/// What a request says about caching. Times in seconds, at most [`MAX_SECONDS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// `no-store` (RFC 9111 section 5.2.1.5).
    pub no_store: bool,
    /// `no-cache` (section 5.2.1.4), or Pragma in a request without Cache-Control (section 5.4).
    pub no_cache: bool,
    /// `only-if-cached` (section 5.2.1.7).
    pub only_if_cached: bool,
    /// `max-age` (section 5.2.1.1): not older than this.
    pub max_age: Option<u64>,
    /// `max-stale` (section 5.2.1.2): may have been stale for so long; without a number, for however long.
    pub max_stale: Option<u64>,
    /// `min-fresh` (section 5.2.1.3): fresh for at least this much longer.
    pub min_fresh: Option<u64>,
}

impl Wishes {
    /// Reads the fields of a request.
    pub fn of_request(headers: &Headers, buf: &[u8]) -> Self {
        let mut wishes = Self::default();
        if headers.contains(Field::CacheControl) {
            for line in headers.all(Field::CacheControl) {
                members(line.value.of(buf), |name, argument| wishes.add(name, argument));
            }
        } else {
            for line in headers.all(Field::Pragma) {
                members(line.value.of(buf), |name, _| {
                    wishes.no_cache |= name.eq_ignore_ascii_case(b"no-cache");
                });
            }
        }
        wishes
    }

    fn add(&mut self, name: &[u8], argument: Argument<'_>) {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        let least = |old: Option<u64>, new: u64| Some(old.map_or(new, |old| old.min(new)));
        if is(b"no-store") {
            self.no_store = true;
        } else if is(b"no-cache") {
            self.no_cache = true;
        } else if is(b"only-if-cached") {
            self.only_if_cached = true;
        } else if is(b"max-age") {
            self.max_age = least(self.max_age, argument.seconds().unwrap_or(0));
        } else if is(b"max-stale") {
            let any = matches!(argument, Argument::None);
            let new = if any { u64::MAX } else { argument.seconds().unwrap_or(0) };
            self.max_stale = least(self.max_stale, new);
        } else if is(b"min-fresh")
            && let Some(new) = argument.seconds()
        {
            self.min_fresh = self.min_fresh.max(Some(new));
        }
    }
}

/// `1*DIGIT` as seconds (RFC 9111 section 1.2.2); what is too large is [`MAX_SECONDS`]. `None`: it is no number.
pub fn delta_seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |seconds, &digit| {
        digit.is_ascii_digit().then(|| (seconds * 10 + u64::from(digit - b'0')).min(MAX_SECONDS))
    })
}

/// What follows the name of a directive.
#[derive(Clone, Copy)]
enum Argument<'a> {
    None,
    /// Without the quotes around it, if it had any.
    Text(&'a [u8]),
    /// There is an equals sign, and something wrong about it.
    Wrong,
}

impl Argument<'_> {
    fn seconds(self) -> Option<u64> {
        match self {
            Self::Text(text) => delta_seconds(text),
            Self::None | Self::Wrong => None,
        }
    }
}

/// Hands every member of a list of directives to `each`. A quotation mark opens a string only behind an equals sign
/// and if it is closed again, so that a stray one does not hide what comes after it.
fn members<'a>(value: &'a [u8], mut each: impl FnMut(&'a [u8], Argument<'a>)) {
    let mut rest = value;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| matches!(byte, b',' | b'=')).unwrap_or(rest.len());
        let name = &rest[..end];
        if rest.get(end) != Some(&b'=') {
            if !name.trim_ascii().is_empty() {
                each(name.trim_ascii(), Argument::None);
            }
            rest = rest.get(end + 1..).unwrap_or_default();
            continue;
        }
        let (argument, after) = argument(&rest[end + 1..]);
        // No space may stand before the equals sign, but a name that is clear enough is not overlooked.
        let tight = !name.ends_with(b" ") && !name.ends_with(b"\t");
        each(name.trim_ascii(), if tight { argument } else { Argument::Wrong });
        rest = after;
    }
}

/// The argument at the start of `text`, and what follows the comma behind it.
fn argument(text: &[u8]) -> (Argument<'_>, &[u8]) {
    let closing = |text: &[u8]| {
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'"' => return Some(at),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        None
    };
    let quoted = text.strip_prefix(b"\"").and_then(|inner| Some((inner, closing(inner)?)));
    let (argument, after) = if let Some((inner, end)) = quoted {
        (Argument::Text(&inner[..end]), &inner[end + 1..])
    } else {
        let (token, after) = text.split_at(memchr::memchr(b',', text).unwrap_or(text.len()));
        let token = token.trim_ascii_end();
        let wrong = matches!(token.first(), None | Some(b' ' | b'\t'));
        (if wrong { Argument::Wrong } else { Argument::Text(token) }, after)
    };
    let comma = memchr::memchr(b',', after).unwrap_or(after.len());
    let clean = after[..comma].trim_ascii().is_empty();
    (if clean { argument } else { Argument::Wrong }, after.get(comma + 1..).unwrap_or_default())
}

/// A targeted field, `None` when it is missing, empty or no dictionary (RFC 9213 section 2.1). A directive of
/// another type than it should have is not used; of two of the same name the last counts, as in any dictionary.
fn targeted(headers: &Headers, buf: &[u8], field: Field) -> Option<Directives> {
    let mut said = Directives { targeted: true, ..Directives::default() };
    let mut empty = true;
    for line in headers.all(field) {
        let parsed = dictionary(line.value.of(buf), |name, item| {
            empty = false;
            if let Some(flag) = said.flag(name) {
                *flag = item != Item::Boolean(false);
            } else if let Some(seconds) = said.duration(name) {
                *seconds = match item {
                    Item::Integer(value) => Some(u64::try_from(value).unwrap_or(0).min(MAX_SECONDS)),
                    _ => None,
                };
            }
        });
        parsed.ok()?;
    }
    (!empty).then_some(said)
}

fn match_name<T, const N: usize>(name: &[u8], table: [(&[u8], T); N]) -> Option<T> {
    table.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, found)| found)
}
