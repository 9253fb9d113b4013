//! Limits, and the tokens whose claims they may count by.

use crate::file::KeySource;
use crate::read::Named;
use crate::table::{table, words};
use crate::value::{Count, Frequency, Rate, Time};

table! {
    /// How much a client, or whatever else `by` names, may take. Past it 429, with Retry-After. At least one of `rate`,
    /// `concurrency` and `bandwidth` says how much. A request that one limit refuses is not counted by the others.
    pub struct Limit {
        /// Name in metrics, logs and RateLimit fields; unique within its route, or within the server's.
        name: String => absent("`by`"),
        /// What is counted: `"client"` (an address, or a /64 of IPv6), `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"`,
        /// `"jwt:CLAIM"` (of a token that `server.jwt` verifies), `"path:PARAMETER"`, `"path"`, `"tenant"`, `"route"`
        /// or `"global"`. Who can choose a key freely can have as many as he likes: limit by client as well.
        by: KeySource => default("client"),
        /// Requests by time: `"100/s"`, `"100/m"`, `"1000/h"`, `"5/d"` or `"10/15m"`. Over any stretch of time no more
        /// are admitted than it says, and `burst`.
        rate: Frequency => absent("any"),
        /// Requests at once, which are then missing until the rate has made up for them.
        burst: Count<1, 1_000_000_000> => absent("as many as the number of `rate`"),
        /// Requests in flight at once, streams and tunnels among them.
        concurrency: Count<1, 10_000_000> => absent("any"),
        /// Bytes of answers by time, for all of a key's connections together: sent more slowly, never refused.
        bandwidth: Rate => absent("as fast as they are taken"),
        /// What a request counts in `rate`.
        cost: Cost => table,
        /// What becomes of requests that lack the key.
        missing: Missing => default("share"),
        /// Refuse and slow nothing, only count what would have been refused.
        dry_run: bool => default(false),
    }

    /// What a request counts. A cost above `burst` takes all of it.
    pub struct Cost {
        /// What most requests cost.
        usual: Count<0, 1_000_000> => default(1),
        /// By method: `{ POST = 5, HEAD = 0 }`.
        methods: Named<Count<0, 1_000_000>> => default({}),
        /// Request header whose number is the cost. Clients can write it too: it has to be one that a proxy in front sets.
        header: String => absent("none"),
    }

    /// How tokens (JWT) are verified that `"jwt:CLAIM"` counts by. One that is not valid counts as missing.
    pub struct Jwt {
        /// The only algorithm that is taken.
        algorithm: JwtAlgorithm => default("HS256"),
        /// Secret of HS256; `"${JWT_SECRET}"` keeps it out of the file.
        secret: String => absent("only with RS256 and ES256"),
        /// File with the public key of RS256 or ES256 in PEM, found from this file's folder.
        key: String => absent("only with HS256"),
        /// Cookie that holds the token.
        cookie: String => absent("`Authorization: Bearer`"),
        /// Issuer that has to stand in `iss`.
        issuer: String => absent("any"),
        /// Audience that has to stand in `aud`.
        audience: String => absent("any"),
        /// By how much clocks may differ.
        leeway: Time<0> => default("30s"),
    }
}

words! {
    /// What becomes of requests that lack the key.
    pub enum Missing {
        /// All of them are counted together.
        Share = "share",
        /// The limit does not count them.
        Pass = "pass",
        /// They get 400.
        Refuse = "refuse",
    }
}

words! {
    /// Algorithms of tokens.
    pub enum JwtAlgorithm {
        /// HMAC with SHA-256.
        Hs256 = "HS256",
        /// RSA (PKCS #1) with SHA-256.
        Rs256 = "RS256",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
    }
}
