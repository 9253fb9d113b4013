//! The endpoint's end of a connection, for an origin's script.

use std::cell::RefCell;
use std::rc::Rc;

use crate::message::{self, Message};
use crate::origins::Visit;
use crate::pipe::Pipe;

/// A connection that an origin has accepted. Dropping it closes it.
#[derive(Debug)]
pub struct Conn {
    pipe: Pipe,
    visit: Rc<RefCell<Visit>>,
    number: usize,
}

impl Conn {
    pub(crate) fn new(pipe: Pipe, visit: Rc<RefCell<Visit>>, number: usize) -> Self {
        Self { pipe, visit, number }
    }

    /// Which connection of this origin it is, from 0 on.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Waits for a whole request; `None` when the connection ends first.
    pub async fn request(&mut self) -> Option<Message> {
        let request = message::request(&mut self.pipe).await?;
        self.visit.borrow_mut().requests.push(request.clone());
        Some(request)
    }

    /// Waits for a request's head and leaves its body to be read; `None` when the connection ends first.
    pub async fn head(&mut self) -> Option<Message> {
        let head = message::head(&mut self.pipe).await?;
        self.visit.borrow_mut().requests.push(head.clone());
        Some(head)
    }

    /// Waits for bytes and takes those that came; empty at the end.
    pub async fn read(&mut self) -> Vec<u8> {
        self.pipe.take(usize::MAX).await
    }

    /// Waits for so many bytes.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        self.pipe.exactly(length).await
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

    /// Answers every request with `response` until the connection ends.
    pub async fn answer_all(&mut self, response: impl AsRef<[u8]>) {
        while self.request().await.is_some() {
            self.send(response.as_ref()).await;
        }
    }

    /// Takes whatever comes and says nothing until the other side closes.
    pub async fn stay_silent(&mut self) {
        while !self.read().await.is_empty() {}
    }
}

/// Sends bytes in pieces of random length, letting the others read between them.
pub(crate) async fn send_in_pieces(pipe: &mut Pipe, bytes: &[u8], rng: &mut fastrand::Rng) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        // Short pieces often, long ones now and then, so that every boundary is cut somewhere.
        let most = 1 << rng.u32(0..14);
        let length = rng.usize(1..=most).min(rest.len());
        if !pipe.send(&rest[..length]).await {
            return false;
        }
        rest = &rest[length..];
        tokio::task::yield_now().await;
    }
    true
}
