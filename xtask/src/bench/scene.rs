//! What is asked of every peer: one scene is one kind of load.

use clap::ValueEnum;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scene {
    /// 1 KiB answers over one connection
    Small1,
    /// 1 KiB answers over 64 connections
    Small64,
    /// 1 KiB answers over 1,000 connections
    Small1000,
    /// 64 KiB answers over 64 connections
    Large64,
    /// 16 KiB POST bodies over 64 connections
    Post64,
    /// One request per connection, 64 at a time
    Short64,
    /// 10,000 idle connections
    Idle10000,
    /// Hits of 1 KiB over 64 connections
    Hit64,
    /// Hits of 1 KiB over 1,000 connections
    Hit1000,
    /// Hits of 64 KiB over 64 connections
    HitLarge64,
    /// Hits of 1 MiB over 16 connections
    HitHuge16,
    /// 1,000 requests at once for what is not there
    Cold,
    /// 1,000 requests at once for what has just expired
    Expired,
    /// 200,000 entries
    Entries,
}

/// How a scene's load is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Over this many kept-alive connections, `GET` of this many bytes.
    Get { connections: u32, body_bytes: u32 },
    /// The same of a body that caches may keep.
    Cached { connections: u32, body_bytes: u32 },
    /// Over this many kept-alive connections, `POST` of this many bytes.
    Post { connections: u32, body_bytes: u32 },
    /// Without keep-alive, this many at a time, `GET` of this many bytes.
    Short { connections: u32, body_bytes: u32 },
    /// This many connections, each idle after one request.
    Idle { connections: u32 },
    /// So many requests over so many connections by the bench's own client, which looks at every answer.
    Crowd { connections: u32, requests: u32 },
}

impl Shape {
    /// How many connections there are at a time.
    pub(crate) fn connections(self) -> u32 {
        match self {
            Self::Get { connections, .. }
            | Self::Cached { connections, .. }
            | Self::Crowd { connections, .. }
            | Self::Post { connections, .. }
            | Self::Short { connections, .. }
            | Self::Idle { connections } => connections,
        }
    }
}

impl Scene {
    /// The scenes of reverse proxies in the order they are measured.
    pub(crate) const PROXY: [Self; 7] = [
        Self::Small1,
        Self::Small64,
        Self::Small1000,
        Self::Large64,
        Self::Post64,
        Self::Short64,
        Self::Idle10000,
    ];

    /// The scenes of caches in the order they are measured.
    pub(crate) const CACHE: [Self; 7] = [
        Self::Hit64,
        Self::Hit1000,
        Self::HitLarge64,
        Self::HitHuge16,
        Self::Cold,
        Self::Expired,
        Self::Entries,
    ];

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The title in the report.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Small1 => "1 KiB bodies, 1 connection",
            Self::Small64 => "1 KiB bodies, 64 connections",
            Self::Small1000 => "1 KiB bodies, 1,000 connections",
            Self::Large64 => "64 KiB bodies, 64 connections",
            Self::Post64 => "POST bodies of 16 KiB, 64 connections",
            Self::Short64 => "1 KiB bodies, one request per connection, 64 at a time",
            Self::Idle10000 => "10,000 idle kept-alive connections",
            Self::Hit64 => "hits of 1 KiB, 64 connections",
            Self::Hit1000 => "hits of 1 KiB, 1,000 connections",
            Self::HitLarge64 => "hits of 64 KiB, 64 connections",
            Self::HitHuge16 => "hits of 1 MiB, 16 connections",
            Self::Cold => "1,000 requests at once for what is not there",
            Self::Expired => "1,000 requests at once for what has just expired",
            Self::Entries => "200,000 entries of 100 bytes",
        }
    }

    /// How the load is made.
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::Small1 => Shape::Get { connections: 1, body_bytes: 1024 },
            Self::Small64 => Shape::Get { connections: 64, body_bytes: 1024 },
            Self::Small1000 => Shape::Get { connections: 1000, body_bytes: 1024 },
            Self::Large64 => Shape::Get { connections: 64, body_bytes: 64 * 1024 },
            Self::Post64 => Shape::Post { connections: 64, body_bytes: 16 * 1024 },
            Self::Short64 => Shape::Short { connections: 64, body_bytes: 1024 },
            Self::Idle10000 => Shape::Idle { connections: 10_000 },
            Self::Hit64 => Shape::Cached { connections: 64, body_bytes: 1024 },
            Self::Hit1000 => Shape::Cached { connections: 1000, body_bytes: 1024 },
            Self::HitLarge64 => Shape::Cached { connections: 64, body_bytes: 64 * 1024 },
            Self::HitHuge16 => Shape::Cached { connections: 16, body_bytes: 1024 * 1024 },
            Self::Cold | Self::Expired => Shape::Crowd { connections: 1000, requests: 1000 },
            Self::Entries => Shape::Crowd { connections: 64, requests: 200_000 },
        }
    }
}
