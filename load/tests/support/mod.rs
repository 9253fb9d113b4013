//! Scenarios read without a file system, a resolver or the environment.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use config::Diagnostics;
use tidegate_load::plan::Plan;
use tidegate_load::scenario::{Surroundings, parse};

/// The one file that scenarios of these tests find.
pub const USERS: &str = "email,password\nann@example.org,a\nbob@example.org,b\n";

/// The plan of a text; addresses resolve to themselves, names do not resolve.
pub fn read(text: &str) -> Result<Plan, Diagnostics> {
    let around = Surroundings {
        name: "tests/scenario.toml",
        env: &|name| (name == "HOST").then(|| "127.0.0.1".to_owned()),
        read: &|path: &Path, _| match path.to_str() {
            Some("users.csv") => Ok(USERS.into()),
            Some("empty.csv") => Ok(b"a,b\n".to_vec()),
            Some("ragged.csv") => Ok(b"a,b\n1\n".to_vec()),
            Some("twice.csv") => Ok(b"a,a\n1,2\n".to_vec()),
            Some("wide.csv") => Ok((0..=1000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",").into()),
            Some("large.csv") => Ok(vec![b'x'; (256 << 20) + 1]),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file")),
        },
        resolve: &|host, port| match host.parse() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => Err(io::Error::other("no such name")),
        },
    };
    parse(text, around)
}
