//! The client's end of a connection to Tidegate.

use tokio::task::AbortHandle;

use crate::conn::send_in_pieces;
use crate::message::{self, Message};
use crate::pipe::Pipe;

/// A client connection. Dropping it closes it.
#[derive(Debug)]
pub struct Client {
    pipe: Pipe,
    serving: AbortHandle,
}

impl Client {
    pub(crate) fn new(pipe: Pipe, serving: AbortHandle) -> Self {
        Self { pipe, serving }
    }

    /// Sends bytes; false when nobody takes them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.pipe.send(bytes.as_ref()).await
    }

    /// Sends bytes in pieces of random length, each on its own.
    pub async fn send_in_pieces(&mut self, bytes: &[u8], rng: &mut fastrand::Rng) -> bool {
        send_in_pieces(&mut self.pipe, bytes, rng).await
    }

    /// Ends the sending direction only.
    pub async fn finish(&mut self) {
        self.pipe.finish().await;
    }

    /// Waits for a response, or an interim one.
    ///
    /// # Panics
    /// The connection ends before a response has begun.
    pub async fn response(&mut self) -> Message {
        self.try_response("GET").await.expect("the connection ended without a response")
    }

    /// Waits for a response to a request with this method; `None` when the connection ends first.
    pub async fn try_response(&mut self, method: &str) -> Option<Message> {
        message::response(&mut self.pipe, method).await
    }

    /// Waits for the head of a response and leaves its body to be read.
    ///
    /// # Panics
    /// The connection ends first.
    pub async fn head(&mut self) -> Message {
        message::head(&mut self.pipe).await.expect("the connection ended without a response")
    }

    /// Asks and waits for the answer: `GET target`, Host `a`.
    pub async fn get(&mut self, target: &str) -> Message {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await
    }

    /// Sends a request and waits for its response.
    pub async fn ask(&mut self, request: &str) -> Message {
        self.send(request).await;
        let method = request.split(' ').next().unwrap_or_default();
        self.try_response(method).await.expect("the connection ended without a response")
    }

    /// Waits for bytes and takes those that came; empty at the end.
    pub async fn read(&mut self) -> Vec<u8> {
        self.pipe.take(usize::MAX).await
    }

    /// Waits for so many bytes; fewer only if the end comes first.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        self.pipe.exactly(length).await
    }

    /// Waits for the end and gives what still came.
    pub async fn rest(&mut self) -> Vec<u8> {
        self.pipe.rest().await
    }

    /// Whether Tidegate has closed the connection. Bytes that came before are kept for reading.
    pub fn has_ended(&mut self) -> bool {
        self.pipe.look()
    }

    /// Bytes that came and were not taken yet.
    pub fn waiting(&mut self) -> &[u8] {
        self.pipe.look();
        self.pipe.waiting()
    }

    /// Whether Tidegate has let go of the connection altogether.
    pub fn is_released(&self) -> bool {
        self.serving.is_finished()
    }
}
