//! How much of the house a client, or whatever else a key stands for, may take.

use core::fmt;
use core::hash::BuildHasher as _;
use core::net::IpAddr;
use core::time::Duration;
use std::hash::RandomState;
use std::sync::OnceLock;

use ipnet::IpNet;
use traffic::limit::Settings;

use super::RequestKey;

/// One limit.
#[derive(Clone, PartialEq, Debug)]
pub struct Limit {
    /// Name in metrics, logs and answers; unique within its route, or within the server's.
    pub name: String,
    /// What it counts by.
    pub by: RequestKey,
    /// What becomes of requests without that key.
    pub missing: Missing,
    /// How much.
    pub settings: Settings,
    /// What a request costs.
    pub cost: Cost,
}

/// What becomes of requests without the key that they are counted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// All of them have one key.
    Share,
    /// The limit does not count them.
    Pass,
    /// They are refused.
    Refuse,
}

/// What a request costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cost {
    /// The cost of most.
    pub usual: u64,
    /// By method.
    pub methods: Vec<(String, u64)>,
    /// Request header that says the cost (lower-case name).
    pub header: Option<String>,
}

/// Who is never limited, and who is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Networks of clients that no limit counts.
    pub allow: Vec<IpNet>,
    /// Networks of clients that are refused.
    pub deny: Vec<IpNet>,
}

impl Access {
    /// Whether no limit counts this client.
    pub fn allows(&self, client: IpAddr) -> bool {
        contains(&self.allow, client)
    }

    /// Whether this client is refused.
    pub fn denies(&self, client: IpAddr) -> bool {
        contains(&self.deny, client)
    }
}

fn contains(networks: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.iter().any(|network| network.contains(&client))
}

/// How tokens (JWT, RFC 7519) are verified whose claims are keys.
#[derive(Clone)]
pub struct Jwt {
    /// The only algorithm that is taken.
    pub algorithm: jsonwebtoken::Algorithm,
    /// Verifies signatures.
    pub key: jsonwebtoken::DecodingKey,
    /// Tells keys apart in this process and says nothing about them.
    pub fingerprint: u64,
    /// Cookie that holds the token; `None`: it is in the field Authorization.
    pub cookie: Option<String>,
    /// Issuer that it has to name.
    pub issuer: Option<String>,
    /// Audience that it has to name.
    pub audience: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
}

impl Jwt {
    /// A number that tells secrets apart in this process and says nothing about them.
    pub(crate) fn fingerprint_of(secret: &[u8]) -> u64 {
        static SEED: OnceLock<RandomState> = OnceLock::new();
        SEED.get_or_init(RandomState::new).hash_one(secret)
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { algorithm, key: _, fingerprint, cookie, issuer, audience, leeway } = self;
        write!(
            f,
            "Jwt {{ {algorithm:?}, {fingerprint:x}, {cookie:?}, {issuer:?}, {audience:?}, {leeway:?} }}"
        )
    }
}
