//! Files of a folder, and compression.

use toml::Spanned;

use crate::read::{Key, List, Short, Switch};
use crate::table::{table, words};
use crate::value::{Count, Size, Time};

table! {
    /// Files of a folder that answer requests; GET and HEAD, others get 405. One value alone is its `root`.
    ///
    /// What the `*` of the route's path matched is the path in the folder: with `path = "/static/*"`, `/static/a.css` is
    /// `a.css` there, unless `strip` or `rewrite` say otherwise. Names that begin with a dot are not found, by no spelling,
    /// and whatever is outside of the folder by no link either; a link to such a name inside of it is followed.
    pub struct Files {
        /// The folder, found from this file's folder.
        root: String => required("public/"),
        /// File that answers for a folder, or `"off"`.
        index: Switch<String> => default("index.html"),
        /// Answer `/about` with `about.html`, and redirect `/about.html` to `/about`.
        clean_urls: bool => default(false),
        /// File that answers, with 200, for paths that are no file, as single-page apps want it: `"index.html"`. Only
        /// where a browser asks for a page: with text/html in Accept.
        fallback: String => absent("they are not found"),
        /// File that is the page for what is not found, found in the folder: `"404.html"`.
        not_found: String => absent("`error_pages`, or Tidegate's own page"),
        /// Send `a.css.zst`, `a.css.br` or `a.css.gz` for `a.css` where it lies beside it and the client takes it.
        precompressed: bool => default(true),
        /// How long browsers and caches keep files with a hash of their content in their name, such as
        /// `app.3f9ac2d1.js`: they never change. `"0s"` has them ask each time.
        cache_hashed: Time<0> => default("365d"),
        /// How long they keep all others.
        cache: Time<0> => default("1h"),
    }

    /// How bodies are compressed for clients that take it. What is compressed already, partial, or marked no-transform
    /// stays as it is. Of `files`, those are compressed that have no precompressed sibling for the client: up to 64 KiB
    /// once, and kept in memory; longer ones each time.
    ///
    /// Leave it off where a page holds a secret, such as a CSRF token, beside text that came with the request: from the
    /// length of such pages others can guess the secret (BREACH).
    pub struct Compress {
        /// What is offered, the most wanted first. The client's own wishes come before, except where a route has a cache:
        /// there, who takes the same codings is given the same.
        algorithms: List<Algorithm> => default(["zstd", "br", "gzip"]),
        /// Shorter bodies stay as they are.
        min: Size => default("1 KiB"),
        /// Media types that are compressed; a star stands for anything: `"text/*"`, `"application/*+json"`. Event
        /// streams are not, unless they are named here.
        types: List<String> => default([
            "text/html", "text/css", "text/javascript", "text/plain", "text/xml", "text/csv", "text/markdown",
            "text/calendar", "text/vtt", "application/javascript", "application/json", "application/*+json",
            "application/xml", "application/*+xml", "application/wasm", "application/x-ndjson", "image/svg+xml",
            "image/bmp", "image/x-icon", "image/vnd.microsoft.icon", "font/ttf", "font/otf",
            "application/vnd.ms-fontobject"
        ]),
        /// How hard it is tried while the client waits.
        level: Levels => table,
        /// How hard it is tried for what the cache keeps, which is compressed once more when it has been stored, beside
        /// the traffic and one at a time, and then sent many times. A level no higher than that of `level` leaves it as it
        /// came, as do bodies of more than 4 MiB.
        stored_level: StoredLevels => table,
    }

    /// How hard it is tried while the client waits.
    pub struct Levels {
        /// Zstandard.
        zstd: Count<1, 19> => default(3),
        /// Brotli.
        br: Count<0, 11> => default(4),
        /// gzip.
        gzip: Count<1, 9> => default(5),
    }

    /// How hard it is tried for what the cache keeps, beside the traffic.
    pub struct StoredLevels {
        /// Zstandard.
        zstd: Count<1, 19> => default(12),
        /// Brotli.
        br: Count<0, 11> => default(9),
        /// gzip.
        gzip: Count<1, 9> => default(9),
    }
}

words! {
    /// Algorithm of a content coding.
    pub enum Algorithm {
        /// Zstandard (RFC 8878).
        Zstd = "zstd",
        /// Brotli (RFC 7932).
        Br = "br",
        /// gzip (RFC 1952).
        Gzip = "gzip",
    }
}

impl Short for Files {
    type Value = String;
    fn from_value(value: Spanned<String>) -> Self {
        Self { root: Key::Written(value), ..Self::default() }
    }
}
