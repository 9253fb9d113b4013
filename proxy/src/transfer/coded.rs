//! Bodies that are coded on their way down: a whole one in one go, all others piece by piece.
//!
//! What an encoder holds back goes out when the endpoint pauses, so that a page that comes bit by bit is seen bit by
//! bit. A body that breaks off is never ended: neither the coding nor the framing gets its last bytes.

use std::task::Context;

use wire::{Field, Framing, Method, encode};

use super::{Broken, End, Transfer};
use crate::compress::encoder::Then;
use crate::compress::{self, Held, Shape, Subject};
use crate::inbound::Delivery;

/// A body is coded so far before the others on this core have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// What codes a body on its way.
#[derive(Debug)]
pub struct Coder {
    encoder: Held,
    /// It may hold bytes back.
    holds: bool,
    /// Bytes that it was given since the others had their turn.
    turn_bytes: usize,
}

impl Transfer<'_> {
    /// Decides how the response goes whose head, of `len` bytes, stands at the beginning of `bytes`. A body that is
    /// there in whole is coded at once, into the core's buffer; for others a coder is made ready.
    pub(super) fn shape(&mut self, bytes: &[u8], len: usize) -> Shape {
        let exchange = &*self.exchange;
        let response = &exchange.response;
        if self.route.compress.is_none() {
            return Shape::Plain;
        }
        if response.status == 304 {
            let etag = response.headers.get(Field::Etag).map_or(&b""[..], |header| header.value.of(bytes));
            let is_asked = compress::asked_weakly(&exchange.head, &exchange.input, etag);
            return if is_asked { Shape::Revalidates } else { Shape::Plain };
        }
        let subject = Subject::of(response, bytes, exchange.head.method);
        let coding = match compress::decide(self.core, self.route, exchange, &subject) {
            Ok(coding) => coding,
            Err(shape) => return shape,
        };
        let streamed = Shape::Coded { algorithm: coding.algorithm, length: None };
        if exchange.head.method == Method::Head {
            return streamed;
        }
        if let Framing::Length(length) = response.framing
            && let Some(body) = usize::try_from(length).ok().and_then(|length| bytes[len..].get(..length))
        {
            let mut coded = self.core.coded.borrow_mut();
            let shape = compress::once(self.core, coding, body, &mut coded).unwrap_or_else(|shape| shape);
            self.exchange.coded = matches!(shape, Shape::Coded { .. }).then_some(coding);
            return shape;
        }
        match compress::encoder(self.core, coding, subject.length) {
            Ok(encoder) => {
                self.coder = Some(Coder { encoder, holds: false, turn_bytes: 0 });
                self.exchange.coded = Some(coding);
                streamed
            }
            Err(shape) => shape,
        }
    }

    /// Writes a body that was coded in one go; `bytes` is what it was coded from, and perhaps more.
    pub(super) fn deliver_whole(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<Option<End>, Broken> {
        let piece = self.body.read(bytes).map_err(|_| Broken::Midway)?;
        self.surplus = piece.consumed < bytes.len();
        let coded = self.core.coded.borrow();
        self.write_body(cx, out, &coded)?;
        Ok(Some(self.complete()))
    }

    /// Codes body bytes and passes them on, behind what `out` holds already.
    pub(super) fn deliver_coded(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<Option<End>, Broken> {
        let mut rest = bytes;
        while !self.body.is_done() && !rest.is_empty() {
            let Ok(piece) = self.body.read(rest) else {
                // What was good until here still goes out.
                self.code(&[], Then::Flush, out)?;
                self.write_down(cx, out, &[])?;
                return Err(Broken::Midway);
            };
            let then = if self.body.is_done() { Then::End } else { Then::More };
            self.code(&rest[piece.data], then, out)?;
            rest = &rest[piece.consumed..];
            if piece.consumed == 0 {
                break;
            }
        }
        let done = self.body.is_done();
        if done {
            self.coder = None;
            self.surplus = !rest.is_empty();
            if self.delivery == Delivery::Chunked {
                out.extend_from_slice(encode::LAST_CHUNK);
            }
        }
        self.write_down(cx, out, &[])?;
        Ok(done.then(|| self.complete()))
    }

    /// The endpoint pauses: what the coder holds back goes out. True: there was something.
    pub(super) fn flush_coder(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        if !self.coder.as_ref().is_some_and(|coder| coder.holds) {
            return Ok(false);
        }
        let core = self.core;
        let mut out = core.out.borrow_mut();
        out.clear();
        self.code(&[], Then::Flush, &mut out)?;
        self.write_down(cx, &out, &[])?;
        self.client.timer.set(self.download_timeout());
        Ok(true)
    }

    /// The body has come to its end by its connection's.
    pub(super) fn end_coder(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.code(&[], Then::End, out)?;
        self.coder = None;
        Ok(())
    }

    /// Codes bytes, and frames what comes of it behind `out`.
    fn code(&mut self, bytes: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), Broken> {
        let Some(coder) = &mut self.coder else { return Ok(()) };
        if bytes.is_empty() && then == Then::More {
            return Ok(());
        }
        let mut coded = self.core.coded.borrow_mut();
        coded.clear();
        coder.encoder.encode(bytes, then, &mut coded).map_err(|_| Broken::Uncoded)?;
        coder.holds = then == Then::More;
        coder.turn_bytes += bytes.len();
        compress::count(self.core, coder.encoder.algorithm(), bytes.len(), coded.len());
        match self.delivery {
            Delivery::Chunked => encode::chunk(out, &coded),
            Delivery::Close | Delivery::Length | Delivery::Empty => out.extend_from_slice(&coded),
        }
        Ok(())
    }

    /// The others had their turn.
    pub(super) fn begin_turn(&mut self) {
        if let Some(coder) = &mut self.coder {
            coder.turn_bytes = 0;
        }
    }

    /// Whether the others have to have their turn; then this one is woken behind them. What is read and coded takes
    /// time, and little of it need come out, so that nothing else would hold it up.
    pub(super) fn is_turn_over(&self, cx: &mut Context<'_>) -> bool {
        let is_over = self.coder.as_ref().is_some_and(|coder| coder.turn_bytes >= TURN_BYTES);
        if is_over {
            cx.waker().wake_by_ref();
        }
        is_over
    }
}
