//! Origins whose answers tell which request they were for, and what clients see of the cache.

use std::cell::Cell;
use std::sync::mpsc;

use testkit::{APP, Conn, Message, READERS};
use tokio::task::spawn_blocking;

pub const ORIGIN: &str = "127.0.0.1:3001";

/// One route for everything, which caches like this: `true`, `{ ttl = "30s" }`.
pub fn cached(how: &str) -> String {
    format!("{APP}cache = {how}\n")
}

/// A 200 with these fields and this body.
pub fn answer(fields: &[&str], body: &str) -> String {
    answer_with(200, fields, body)
}

pub fn answer_with(status: u16, fields: &[&str], body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\n{}Content-Length: {}\r\n\r\n{body}", lines(fields), body.len())
}

/// A 304 with these fields.
pub fn not_modified(fields: &[&str]) -> String {
    format!("HTTP/1.1 304 Not Modified\r\n{}\r\n", lines(fields))
}

/// Keeps every thread waiting that would read from a disk or compress, for as long as what is given lives.
pub fn stall() -> Vec<mpsc::Sender<()>> {
    let keep_one = |_| {
        let (open, gate) = mpsc::channel();
        drop(spawn_blocking(move || gate.recv()));
        open
    };
    (0..READERS).map(keep_one).collect()
}

/// An origin that gives to its requests, counted from 1 on over all connections, what `answer` says.
pub fn app(answer: impl Fn(usize, &Message) -> String + 'static) -> impl AsyncFn(Conn) + 'static {
    let count = Cell::new(0);
    async move |mut conn: Conn| {
        while let Some(request) = conn.request().await {
            count.set(count.get() + 1);
            conn.send(answer(count.get(), &request)).await;
        }
    }
}

/// An origin whose bodies are the number of the request, with these fields.
pub fn counting(fields: &'static [&'static str]) -> impl AsyncFn(Conn) + 'static {
    app(move |number, _| answer(fields, &number.to_string()))
}

/// What Cache-Status says behind the name.
pub fn status(response: &Message) -> &str {
    let line = response.header("cache-status").unwrap_or_else(|| panic!("no status in\n{}", response.head));
    line.strip_prefix("Tidegate; ").unwrap_or_else(|| panic!("{line}"))
}

/// A request for `/` with these fields.
pub fn get(fields: &[&str]) -> String {
    request("GET / HTTP/1.1", fields)
}

pub fn request(line: &str, fields: &[&str]) -> String {
    format!("{line}\r\nHost: a\r\n{}\r\n", lines(fields))
}

fn lines(fields: &[&str]) -> String {
    fields.iter().flat_map(|field| [field, "\r\n"]).collect()
}
