//! Files compressed on their way out, where no precompressed sibling was sent: small ones once, and then they are kept
//! beside the file; large ones each time, piece by piece.
//!
//! The rules are those of [`crate::compress`]: a coded body has a weak ETag and no ranges. Who asks for a part of a file
//! gets it of the file as it is, for that is the only way to go on with what has broken off.

use std::io;
use std::rc::Rc;
use std::time::SystemTime;

use cache::range::{self, Choice};
use cache::storable::locate_validators;
use config::{Algorithm, Coding};
use rustix::io::Errno;
use signals::request::{Stage, Who};
use tokio::task::yield_now;
use wire::encode::{self, field};
use wire::{Field, Method};

use super::At;
use super::find::Found;
use super::item::{Body, Item, START};
use super::shelf::Wanted;
use crate::client::Client;
use crate::compress::encoder::Then;
use crate::compress::{self, Held, Subject};
use crate::core::Core;
use crate::exchange::Exchange;
use crate::pipeline::Stop;
use crate::sending::{TURN_BYTES, gone};

/// Bytes that are read and coded at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How a file goes out, as far as coding is concerned.
#[derive(Debug)]
pub enum How {
    /// As it is.
    Plain {
        /// Others get it coded.
        varies: bool,
    },
    /// Coded in whole: this is what is sent in place of the file.
    Whole(Rc<Item>),
    /// Coded while it is sent. A request for the head alone needs no encoder.
    Piecewise(Algorithm, Option<Held>),
}

/// Decides how a file goes out with this status. `wanted` is what the file was found by.
pub fn choose(at: At<'_>, exchange: &Exchange, item: &Rc<Item>, status: u16, wanted: &Wanted<'_>) -> How {
    let subject = Subject {
        status,
        content_type: Some(item.kind.as_bytes()),
        is_coded: item.coding.is_some(),
        no_transform: false,
        has_digest: false,
        length: Some(item.len),
    };
    match compress::decide(at.core, at.route, exchange, &subject) {
        Err(shape) => How::Plain { varies: shape.varies() },
        Ok(_) if status == 200 && wants_part(at.core, exchange, item) => How::Plain { varies: true },
        Ok(coding) => match &item.body {
            Body::Memory(bytes) => whole(at, item, bytes, coding, wanted),
            Body::Disk(_) if status != 200 => How::Plain { varies: true },
            Body::Disk(_) if exchange.head.method == Method::Head => How::Piecewise(coding.algorithm, None),
            Body::Disk(_) => match compress::encoder(at.core, coding, Some(item.len)) {
                Ok(encoder) => How::Piecewise(coding.algorithm, Some(encoder)),
                Err(shape) => How::Plain { varies: shape.varies() },
            },
        },
    }
}

/// Whether a request gets a part of the file, or is told that there is no such part.
fn wants_part(core: &Core, exchange: &Exchange, item: &Item) -> bool {
    if !exchange.head.headers.contains(Field::Range) {
        return false;
    }
    let mut head = core.out.borrow_mut();
    item.write_head(core, &mut head);
    let ask = cache::Ask::plain(&exchange.head, &exchange.input);
    !matches!(range::choose(&ask, &item.terms, &head, 200, item.len), Choice::Whole)
}

/// The file coded, from the shelf if it lies there.
fn whole(at: At<'_>, item: &Rc<Item>, bytes: &[u8], coding: Coding, wanted: &Wanted<'_>) -> How {
    let At { core, live, .. } = at;
    let wanted = Wanted { asked: wanted.asked.coded(coding.algorithm), ..*wanted };
    let kept = core.shelf.borrow_mut().get(live.id, &wanted, core.now_ms());
    if let Some((coded, _)) = kept
        && coded.stamps == item.stamps
    {
        return How::Whole(coded);
    }
    let mut out = core.coded.borrow_mut();
    if let Err(shape) = compress::once(core, coding, bytes, &mut out) {
        return How::Plain { varies: shape.varies() };
    }
    let coded = Rc::new(item.coded(coding.algorithm, &out));
    if coded.is_settled(SystemTime::now()) {
        core.shelf.borrow_mut().put(live.id, &wanted, Rc::clone(&coded));
    }
    How::Whole(coded)
}

/// Writes the fields of a file that is sent coded, from those of the file itself: `head` is what follows [`START`].
pub fn write_fields(head: &[u8], algorithm: Algorithm, len: Option<u64>, out: &mut Vec<u8>) {
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        match Field::classify(&line[..colon].to_ascii_lowercase()) {
            Field::ContentLength | Field::AcceptRanges | Field::ContentEncoding | Field::Vary => {}
            Field::Etag => compress::weak_etag(out, line[colon + 1..].trim_ascii()),
            _ => out.extend_from_slice(line),
        }
    }
    field(out, b"Content-Encoding", algorithm.token().as_bytes());
    if let Some(len) = len {
        encode::content_length(out, len);
    }
    field(out, b"Vary", b"Accept-Encoding");
}

/// Writes the head of a 200 with a body of no known length, without the empty line, and finds its validators.
pub fn write_head(core: &Core, item: &Item, algorithm: Algorithm, out: &mut Vec<u8>) -> cache::Terms {
    out.clear();
    encode::status_line(out, 200);
    core.date(out);
    debug_assert_eq!(out.len(), START.len());
    item.write_coded_fields(algorithm, out);
    let mut terms = item.terms;
    locate_validators(&mut terms, out);
    terms
}

/// How a file that was found would go out, in words that follow its length.
pub fn explain(exchange: &Exchange, route: &config::Route, kind: &str, found: &Found) -> String {
    let Some(rules) = route.compress.as_deref().filter(|_| found.coding.is_none()) else {
        return String::new();
    };
    let subject = Subject {
        status: 200,
        content_type: Some(kind.as_bytes()),
        is_coded: false,
        no_transform: false,
        has_digest: false,
        length: Some(found.stamp.len),
    };
    let chosen = compress::eligible(rules, &subject)
        .and_then(|()| compress::choose(rules, &exchange.head, &exchange.input));
    match chosen {
        Ok(coding) => format!(" before it is compressed by {}", coding.algorithm.token()),
        Err(why) => format!(", not compressed ({})", why.code()),
    }
}

/// Sends the head that lies in the core's buffer, and behind it a file that is coded meanwhile.
pub async fn deliver(
    at: At<'_>,
    client: &mut Client,
    exchange: &mut Exchange,
    item: &Item,
    mut encoder: Held,
) -> Result<(), Stop> {
    {
        let head = at.core.out.borrow();
        exchange.facts.sent_bytes += head.len() as u64;
        exchange.download.push(&head);
    }
    let (mut start, mut turn) = (0, 0);
    while start < item.len {
        let read = code(at.core, exchange, item, start, &mut encoder)
            // The file is shorter than it was, or cannot be read.
            .map_err(|_| Stop::Cut(Who::Tidegate, Stage::Deliver))?;
        start += read;
        turn += read;
        if !client.flush(at.live, exchange).await {
            return Err(gone());
        }
        if turn >= TURN_BYTES {
            turn = 0;
            yield_now().await;
        }
    }
    Ok(())
}

/// Reads and codes a piece, and puts it behind what waits for the client. Bytes that were read.
fn code(
    core: &Core,
    exchange: &mut Exchange,
    item: &Item,
    start: u64,
    encoder: &mut Held,
) -> io::Result<u64> {
    let Body::Disk(file) = &item.body else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut scratch = core.scratch.borrow_mut();
    let most = (item.len - start).min(PIECE_BYTES as u64) as usize;
    let read = loop {
        match rustix::io::pread(file, &mut scratch[..most], start) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => break read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let is_last = start + read as u64 == item.len;
    let then = if is_last { Then::End } else { Then::More };
    let mut coded = core.coded.borrow_mut();
    coded.clear();
    encoder.encode(&scratch[..read], then, &mut coded).map_err(|_| io::ErrorKind::OutOfMemory)?;
    compress::count(core, encoder.algorithm(), read, coded.len());
    let mut out = core.out.borrow_mut();
    out.clear();
    if exchange.takes_chunks() {
        encode::chunk(&mut out, &coded);
        out.extend_from_slice(if is_last { encode::LAST_CHUNK } else { b"" });
    } else {
        out.extend_from_slice(&coded);
    }
    exchange.facts.sent_bytes += out.len() as u64;
    exchange.download.push(&out);
    Ok(read as u64)
}
