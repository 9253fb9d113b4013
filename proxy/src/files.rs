//! Routes that answer with files of a folder: which file, whether the client has it already, which part of it, and how
//! it gets there.
//!
//! ```text
//!   path ─▶ path::within ─▶ Shelf, ready in memory ─────────────────┬─▶ conditions, ranges ─▶ deliver
//!                              └─▶ Search (open) ─▶ Item::load ─────┘     (crate cache)
//!                                                        └─▶ coded, where the route compresses
//! ```
//!
//! Everything is opened below the root in one call that no link and no encoding leads out of ([`open`]). Small files
//! are read into memory and stay there, looked at again once a second; large ones go from the disk's cache into the
//! socket. Files are opened and read on the core itself: on a disk that is local that is quicker than handing it over.

mod answer;
mod coded;
mod deliver;
mod find;
mod hashed;
mod item;
mod kind;
mod missing;
mod open;
mod path;
mod shelf;

use std::rc::Rc;
use std::time::SystemTime;

use cache::vary::Codings;
use config::Files;
use traffic::Refusal;
use wire::{Field, Method};

use crate::client::Client;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::live::Live;
use crate::pipeline::Stop;
use coded::How;
use find::{Move, Search, Target};
use item::Item;
use missing::Missing;
use shelf::{Asked, Wanted};

pub use shelf::Shelf;

/// The methods that files answer to.
pub const ALLOW: &str = "GET, HEAD, OPTIONS";

/// How often a file is read again that changed while it was read.
const READS: u32 = 3;

/// What answers a request.
#[derive(Debug)]
enum Answer {
    /// A file.
    File {
        item: Rc<Item>,
        /// It stands in for a path that is no file, since a browser asks for a page.
        fallback: bool,
        how: How,
    },
    /// The page that goes with 404.
    NotFound(Rc<Item>, How),
    /// Another address.
    Moved(Move),
}

/// What all parts of an answer are made with.
#[derive(Clone, Copy)]
struct At<'a> {
    core: &'a Core,
    live: &'a Live,
    route: &'a config::Route,
}

/// Answers a request with a file of the route's folder.
pub async fn serve(
    core: &Core,
    live: &Live,
    client: &mut Client,
    exchange: &mut Exchange,
    route: &config::Route,
    files: &Files,
) -> Result<(), Stop> {
    let at = At { core, live, route };
    match exchange.head.method {
        Method::Get | Method::Head => {}
        Method::Options => return answer::options(at, client, exchange).await,
        _ => return Err(Stop::Refused(Refusal::MethodNotAllowed)),
    }
    // Nobody else keeps anything in `reply` while no endpoint answers.
    let mut path = std::mem::take(&mut exchange.reply);
    let found = look(at, exchange, files, &mut path);
    exchange.reply = path;
    match found.map_err(|why| Stop::Refused(why.refusal()))? {
        Answer::File { item, fallback, how } => {
            answer::file(at, client, exchange, &item, fallback, how).await
        }
        Answer::NotFound(item, how) => answer::not_found(at, client, exchange, &item, how).await,
        Answer::Moved(to) => answer::moved(at, client, exchange, &location(exchange, to)).await,
    }
}

/// What would answer a request, in words.
pub fn explain(live: &Live, exchange: &Exchange, route: &config::Route, files: &Files) -> String {
    if !matches!(exchange.head.method, Method::Get | Method::Head) {
        return format!("files take {ALLOW}, nothing else");
    }
    let mut path = Vec::new();
    let found = path::within(&mut path, live, exchange, route)
        .and_then(|()| Search::new(files, codings(exchange)))
        .and_then(|search| search.target(&path, &exchange.path));
    let root = files.root.display();
    let shown = String::from_utf8_lossy(&path);
    match found {
        Ok(Target::Moved(to)) => {
            format!("308, redirect to {}", String::from_utf8_lossy(&location(exchange, to)))
        }
        Ok(Target::File(found)) => {
            let name = String::from_utf8_lossy(&found.path).into_owned();
            let suffix = found.coding.map_or("", config::Algorithm::suffix);
            let is_hashed = hashed::is_hashed(name.rsplit('/').next().unwrap_or(&name).as_bytes());
            let lifetime = if is_hashed { &files.hashed_cache_control } else { &files.cache_control };
            let kind = kind::of(name.as_bytes());
            let coded = coded::explain(exchange, route, kind, &found);
            format!(
                "200, file {name}{suffix} of {root}, {kind}, {} bytes{coded}, cache-control {lifetime}",
                found.stamp.len
            )
        }
        Err(why) if why.is_vacant() && is_navigation(exchange) && files.fallback.is_some() => {
            let page = files.fallback.as_deref().unwrap_or_default();
            format!("200, file {page} of {root} in place of {shown}: {}", why.what())
        }
        Err(why) => format!("{}: {shown} in {root}: {}", why.refusal().status(), why.what()),
    }
}

/// Finds what answers a request. `path` is scratch.
fn look(at: At<'_>, exchange: &Exchange, files: &Files, path: &mut Vec<u8>) -> Result<Answer, Missing> {
    let At { core, live, route } = at;
    let route_index = exchange.facts.route_index.unwrap_or(usize::MAX);
    let shelves = Shelves { core, live, files, route_index };
    let codings = codings(exchange);
    let asked = Asked::of(codings, Some(&exchange.path));
    let found = path::within(path, live, exchange, route)
        .and_then(|()| shelves.item(path, codings, asked, |search| search.target(path, &exchange.path)));
    let why = match found {
        Ok(Found::Item(item)) => {
            let how = coded::choose(at, exchange, &item, 200, &Wanted { route: route_index, asked, path });
            return Ok(Answer::File { item, fallback: false, how });
        }
        Ok(Found::Moved(to)) => return Ok(Answer::Moved(to)),
        Err(why) => why,
    };
    let page = |name: &str, status: u16| {
        let target = |search: &Search<'_>| search.named(name).map(Target::File);
        let wanted = Wanted { route: route_index, asked: Asked::of(codings, None), path: name.as_bytes() };
        match shelves.item(wanted.path, codings, wanted.asked, target) {
            Ok(Found::Item(item)) => {
                let how = coded::choose(at, exchange, &item, status, &wanted);
                Some((item, how))
            }
            _ => None,
        }
    };
    if why.is_vacant()
        && is_navigation(exchange)
        && let Some((item, how)) = files.fallback.as_deref().and_then(|name| page(name, 200))
    {
        return Ok(Answer::File { item, fallback: true, how });
    }
    if why.refusal() == Refusal::FileNotFound
        && let Some((item, how)) = files.not_found.as_deref().and_then(|name| page(name, 404))
    {
        return Ok(Answer::NotFound(item, how));
    }
    Err(why)
}

/// What came of a search.
enum Found {
    Item(Rc<Item>),
    Moved(Move),
}

/// The files of one route, on the shelf or on disk.
struct Shelves<'a> {
    core: &'a Core,
    live: &'a Live,
    files: &'a Files,
    route_index: usize,
}

impl Shelves<'_> {
    /// The file that a search finds, read only if it is not the one on the shelf.
    fn item(
        &self,
        path: &[u8],
        codings: Codings,
        asked: Asked,
        target: impl Fn(&Search<'_>) -> Result<Target, Missing>,
    ) -> Result<Found, Missing> {
        let Self { core, live, files, route_index } = *self;
        let wanted = Wanted { route: route_index, asked, path };
        let now_ms = core.now_ms();
        let known = match core.shelf.borrow_mut().get(live.id, &wanted, now_ms) {
            Some((item, true)) => return Ok(Found::Item(item)),
            known => known.map(|(item, _)| item),
        };
        let mut result = Err(Missing::Restless);
        for _ in 0..READS {
            let found = match Search::new(files, codings).and_then(|search| target(&search)) {
                Ok(Target::File(found)) => found,
                Ok(Target::Moved(to)) => return Ok(Found::Moved(to)),
                Err(why) => {
                    result = Err(why);
                    break;
                }
            };
            if let Some(item) = known.as_ref().filter(|item| item.is_same(&found)) {
                item.checked_ms.set(now_ms);
                return Ok(Found::Item(Rc::clone(item)));
            }
            result = Item::load(found, files, now_ms);
            if !matches!(result, Err(Missing::Restless)) {
                break;
            }
        }
        let mut shelf = core.shelf.borrow_mut();
        let item = match result {
            Ok(item) => Rc::new(item),
            Err(why) => {
                // What is in memory needs no descriptor.
                if let Some(item) = known.filter(|_| why == Missing::Short) {
                    return Ok(Found::Item(item));
                }
                shelf.remove(&wanted);
                return Err(why);
            }
        };
        if item.is_settled(SystemTime::now()) {
            shelf.put(live.id, &wanted, Rc::clone(&item));
        } else if known.is_some() {
            shelf.remove(&wanted);
        }
        Ok(Found::Item(item))
    }
}

/// The codings that a request takes.
fn codings(exchange: &Exchange) -> Codings {
    Codings::of(&cache::Ask::plain(&exchange.head, &exchange.input))
}

/// Whether a browser asks for a page to show.
fn is_navigation(exchange: &Exchange) -> bool {
    let accepted = exchange.head.headers.all(Field::Accept).map(|line| line.value.of(&exchange.input));
    accepted.flat_map(|line| line.split(|&byte| byte == b',')).any(|member| {
        let media = member.split(|&byte| byte == b';').next().unwrap_or_default();
        media.trim_ascii().eq_ignore_ascii_case(b"text/html")
    })
}

/// The address that a file has instead, with the query that was asked with. Paths in it are normalised: one that began
/// with two slashes would name another host.
fn location(exchange: &Exchange, to: Move) -> Vec<u8> {
    let mut location = exchange.path.clone();
    match to {
        Move::AddSlash => location.push(b'/'),
        Move::CutEnd(bytes) => location.truncate(location.len().saturating_sub(bytes)),
    }
    if let Some(query) = exchange.head.query {
        location.push(b'?');
        location.extend_from_slice(query.of(&exchange.input));
    }
    location
}
