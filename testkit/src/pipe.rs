//! One end of an in-memory connection, with everything that it has received.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::transcript::Transcript;

/// One end of a pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    stream: DuplexStream,
    name: String,
    /// Received and not yet taken.
    waiting: Vec<u8>,
    /// Everything ever received.
    received: Rc<RefCell<Vec<u8>>>,
    transcript: Transcript,
    has_ended: bool,
}

impl Pipe {
    pub(crate) fn new(stream: DuplexStream, name: String, transcript: Transcript) -> Self {
        let received = Rc::default();
        Self { stream, name, waiting: Vec::new(), received, transcript, has_ended: false }
    }

    /// Everything that this end receives, now and later.
    pub(crate) fn received(&self) -> Rc<RefCell<Vec<u8>>> {
        Rc::clone(&self.received)
    }

    /// Sends all of `bytes`; false when the other side takes no more.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.transcript.bytes(&self.name, "sends", bytes);
        let sent = self.stream.write_all(bytes).await.is_ok();
        if !sent {
            self.transcript.note(&self.name, "finds that nobody takes it");
        }
        sent
    }

    /// Ends the sending direction.
    pub(crate) async fn finish(&mut self) {
        self.transcript.note(&self.name, "sends no more");
        // The other side may be gone already; then there is nothing to end.
        let _ = self.stream.shutdown().await;
    }

    /// Waits for more bytes; false at the end.
    pub(crate) async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let read = if self.has_ended { 0 } else { self.stream.read(&mut buffer).await.unwrap_or(0) };
        self.note(&buffer[..read]);
        read > 0
    }

    /// Bytes received and not yet taken.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// Takes what has been received, up to `most` bytes, waiting only if there is nothing.
    pub(crate) async fn take(&mut self, most: usize) -> Vec<u8> {
        if self.waiting.is_empty() {
            self.more().await;
        }
        let length = self.waiting.len().min(most);
        self.waiting.drain(..length).collect()
    }

    /// Takes exactly so many bytes; fewer only if the end comes first.
    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.waiting.len() < length && self.more().await {}
        let length = self.waiting.len().min(length);
        self.waiting.drain(..length).collect()
    }

    /// Takes everything up to and with `end`; `None` if the end of the stream comes first.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.waiting.windows(end.len()).position(|window| window == end) {
                return Some(self.waiting.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Takes everything to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.waiting)
    }

    /// Notes what has arrived without waiting; true when the other side has ended the stream.
    pub(crate) fn look(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let mut cx = Context::from_waker(Waker::noop());
        while !self.has_ended {
            let mut into = ReadBuf::new(&mut buffer);
            if Pin::new(&mut self.stream).poll_read(&mut cx, &mut into).is_pending() {
                break;
            }
            let read = into.filled().len();
            self.note(&buffer[..read]);
        }
        self.has_ended
    }

    fn note(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.transcript.bytes(&self.name, "gets", bytes);
            self.waiting.extend_from_slice(bytes);
            self.received.borrow_mut().extend_from_slice(bytes);
        } else if !self.has_ended {
            self.has_ended = true;
            self.transcript.note(&self.name, "sees the end");
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // What was sent here and never read still counts as received.
        self.look();
        self.transcript.note(&self.name, "leaves");
    }
}
