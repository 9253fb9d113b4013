//! Style, script and pictures: built into the program, named by their content, kept by browsers for a year.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use kit::{Answer, Problem};

/// A name stands for one content for ever, so nobody has to ask again.
const KEPT: &str = "public, max-age=31536000, immutable";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct Asset {
    /// What it is called without its digest, such as `site.css`.
    name: &'static str,
    /// Its name with its digest, such as `site.0123456789abcdef.css`.
    hashed: String,
    answer: Answer,
}

macro_rules! assets {
    ($($name:literal: $content_type:expr,)*) => {
        [$(($name, $content_type, include_str!(concat!("../static/", $name)))),*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = assets! {
        "site.css": CSS,
        "site.js": JS,
        "icon.svg": SVG,
        "tides.svg": SVG,
        "slack-water.svg": SVG,
        "lantern-line.svg": SVG,
        "paper-harbour.svg": SVG,
        "salt-ledger.svg": SVG,
        "undertow.svg": SVG,
        "quiet-mast.svg": SVG,
    };
    files.into_iter().map(|(name, content_type, content)| Asset::new(name, content_type, content)).collect()
});

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: &'static str) -> Self {
        let (stem, extension) = name.rsplit_once('.').expect("every asset has an extension");
        let hashed = format!("{stem}.{:016x}.{extension}", kit::digest(content.as_bytes()));
        Self { name, hashed, answer: Answer::new(content_type, KEPT, content) }
    }
}

/// The URL of an asset.
pub(crate) fn url(name: &str) -> String {
    let asset = ASSETS.iter().find(|asset| asset.name == name).expect("pages name only assets that exist");
    format!("/assets/{}", asset.hashed)
}

/// `GET /assets/{file}`.
///
/// While one version replaces another, a page of the one may lead to a process of the other. A known name with an
/// unknown digest gets what this version has, once: nobody may keep it under that name.
pub(crate) async fn get(Path(file): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    if let Some(asset) = ASSETS.iter().find(|asset| asset.hashed == file) {
        return Ok(safe(asset.answer.respond(&asked)));
    }
    let Some(asset) = without_digest(&file).and_then(|name| ASSETS.iter().find(|asset| asset.name == name))
    else {
        return Err(Problem::no_such_path(&format!("/assets/{file}")));
    };
    let mut response = asset.answer.respond(&HeaderMap::new());
    response.headers_mut().remove(header::ETAG);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(safe(response))
}

fn safe(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `site.css` from `site.0123456789abcdef.css`.
fn without_digest(file: &str) -> Option<String> {
    let (rest, extension) = file.rsplit_once('.')?;
    let (stem, digest) = rest.rsplit_once('.')?;
    let is_digest = digest.len() == 16 && digest.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_digest.then(|| format!("{stem}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_digest_of_what_is_in_them() {
        for asset in ASSETS.iter() {
            let digest = format!("{:016x}", kit::digest(asset.answer.body()));
            assert!(asset.hashed.contains(&digest), "{}", asset.hashed);
            assert_eq!(without_digest(&asset.hashed).as_deref(), Some(asset.name));
        }
        assert_eq!(without_digest("site.css"), None);
        assert_eq!(without_digest("site.0123.css"), None);
    }

    #[test]
    fn pictures_and_style_load_nothing_from_elsewhere() {
        for asset in ASSETS.iter() {
            let text = std::str::from_utf8(asset.answer.body()).unwrap();
            let text = text.replace("http://www.w3.org/", "").replace("url(#", "");
            for reach in ["http:", "https:", "url(", "@import", "<script"] {
                assert!(!text.contains(reach), "{} holds {reach}", asset.name);
            }
        }
    }
}
