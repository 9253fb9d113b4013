//! Bytes both ways after a 101: WebSocket and its like pass through untouched.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use signals::request::{Stage, Who};

use crate::client::Client;
use crate::core::Core;
use crate::exchange::{Backlog, Exchange};
use crate::pipeline::Stop;
use crate::stream::Stream;

/// Carries bytes until both sides have ended, one has failed, or both were silent for `idle`.
/// Either side may end its direction first; the other goes on.
pub async fn carry(
    core: &Core,
    client: &mut Client,
    link: Stream,
    idle: Duration,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    let mut link = link;
    let mut up = Direction::default();
    let mut down = Direction::default();
    // What the client sent before the 101 was out belongs to the tunnel.
    up.carried = client.pending.len() as u64;
    up.backlog.push(&std::mem::take(&mut client.pending));
    core.shard.tunnel_opened();
    client.timer.set(idle);
    let end = poll_fn(|cx| {
        let before = up.carried + down.carried;
        if up.drive(cx, core, &mut client.stream, &mut link).is_err() {
            return Poll::Ready(Err(Stop::Cut(Who::Client, Stage::Tunnel)));
        }
        if down.drive(cx, core, &mut link, &mut client.stream).is_err() {
            return Poll::Ready(Err(Stop::Cut(Who::Endpoint, Stage::Tunnel)));
        }
        if up.state == State::Ended && down.state == State::Ended {
            return Poll::Ready(Ok(()));
        }
        if up.carried + down.carried != before {
            client.timer.set(idle);
        }
        client.timer.poll(cx).map(|()| Err(Stop::Cut(Who::Tidegate, Stage::Tunnel)))
    })
    .await;
    core.shard.tunnel_closed();
    exchange.facts.received_bytes += up.carried;
    exchange.facts.sent_bytes += down.carried;
    end
}

/// One direction of a tunnel.
///
/// ```text
/// Open ── end of stream read ──▶ Ending ── backlog written, end passed on ──▶ Ended
/// ```
#[derive(Debug, Default)]
struct Direction {
    backlog: Backlog,
    carried: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Open,
    Ending,
    Ended,
}

impl Direction {
    /// Moves what there is from one stream to the other; reads no further than can be written.
    fn drive(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        from: &mut Stream,
        to: &mut Stream,
    ) -> io::Result<()> {
        loop {
            while !self.backlog.is_empty() {
                match to.poll_write(cx, self.backlog.rest())? {
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(written) => self.backlog.advance(written),
                    Poll::Pending => return Ok(()),
                }
            }
            match self.state {
                State::Ended => return Ok(()),
                State::Ending => {
                    if to.poll_shutdown(cx)?.is_ready() {
                        self.state = State::Ended;
                    }
                    return Ok(());
                }
                State::Open => {}
            }
            let mut scratch = core.scratch.borrow_mut();
            let read = match from.poll_read(cx, &mut scratch)? {
                Poll::Ready(read) => read,
                Poll::Pending => return Ok(()),
            };
            if read == 0 {
                self.state = State::Ending;
                continue;
            }
            self.carried += read as u64;
            let written = match to.poll_write(cx, &scratch[..read])? {
                Poll::Ready(written) => written,
                Poll::Pending => 0,
            };
            self.backlog.push(&scratch[written..read]);
        }
    }
}
