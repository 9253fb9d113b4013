//! The PROXY preamble of connections that come through a balancer which speaks it.

use std::future::poll_fn;
use std::task::Poll;

use traffic::Refusal;

use crate::client::Client;
use crate::connection::is_trusted;
use crate::core::{Core, Peer};

/// What a connection without a good preamble is counted under.
const NOT_TAKEN: Refusal = Refusal::Malformed(wire::Malformed::PreambleInvalid);

/// Reads the preamble and takes the client's address from it. False: it is missing, broken, late,
/// or from a network that is not trusted; the connection has no further use.
pub async fn take(core: &Core, client: &mut Client) -> bool {
    let live = core.live();
    if !is_trusted(&live, client.peer) {
        core.shard.connection_refused(NOT_TAKEN);
        return false;
    }
    client.timer.set(live.plan.server.timeouts.head);
    let taken = poll_fn(|cx| {
        loop {
            match wire::preamble::parse(&client.pending) {
                Ok(Some((preamble, length))) => {
                    if let Some(source) = preamble.source {
                        client.peer = Peer::new(source.ip().to_canonical());
                    }
                    client.pending.drain(..length);
                    return Poll::Ready(true);
                }
                Ok(None) => {}
                Err(_) => return Poll::Ready(false),
            }
            let mut scratch = core.scratch.borrow_mut();
            match client.stream.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(read)) if read > 0 => client.pending.extend_from_slice(&scratch[..read]),
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return client.timer.poll(cx).map(|()| false),
            }
        }
    })
    .await;
    if !taken {
        core.shard.connection_refused(NOT_TAKEN);
    }
    taken
}
