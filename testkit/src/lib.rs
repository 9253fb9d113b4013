//! Scenes: scripted origin, config, clients and transcript on one screen, in paused time over
//! in-memory pipes.
//!
//! ```text
//!   Client ══ pipe ══▶ proxy::connection::serve ══ pipe ══▶ Conn in an origin's script
//!      │                        │                              │
//!      └──────────── Transcript, printed with the seed when a scene fails ─────────────┘
//! ```
//!
//! A scene runs one core of the data plane, ticking, with its probes. Time stands still while anybody
//! has something to do and jumps to the next deadline otherwise, so an hour of waiting costs nothing
//! and no scene depends on how fast the machine is. What is random comes from one seed, which a
//! failing scene prints; `TIDEGATE_SEED=… cargo test` plays it again.
//!
//! The readers of messages in here are written apart from `wire` on purpose: two readers that agree by
//! construction could not show that bytes were understood differently.
//!
//! Apps are tested as what they are, programs: [`program`] starts one and shows every byte of its answers.
//!
//! ```
//! use tidegate_testkit::{APP, ok, scene};
//!
//! scene(APP).origin("127.0.0.1:3001", async |mut conn| conn.answer_all(ok("hello")).await).run(
//!     async |scene| {
//!         let mut client = scene.client();
//!         let response = client.get("/").await;
//!         assert_eq!((response.status(), response.text()), (200, "hello"));
//!         assert_eq!(scene.requests()[0].target(), "/");
//!     },
//! );
//! ```

mod client;
mod conn;
mod message;
mod origins;
mod pipe;
pub mod program;
mod scene;
mod transcript;

pub use client::Client;
pub use conn::Conn;
pub use message::{Framing, Message};
pub use scene::{READERS, Scene, Script, scene};

/// One endpoint, one route for everything. Keys written behind it belong to the route; further tables
/// can follow.
pub const APP: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
[[route]]
upstream = "app"
"#;

/// The same with three endpoints, 127.0.0.1:3001 to 3003.
pub const APPS: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003"]
[[route]]
upstream = "app"
"#;

/// A response with this body and its length.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
