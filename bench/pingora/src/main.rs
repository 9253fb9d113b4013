//! A minimal reverse proxy on Pingora: one service, one upstream address, nothing else.
//!
//! It exists to be measured beside Tidegate by `cargo xtask bench proxy`. It does what a person who writes their first
//! Pingora proxy would do, with the settings that help it here: one thread, a large pool of kept-alive upstream
//! connections, no access log.
//!
//! Usage: `bench-pingora LISTEN UPSTREAM`, both as `address:port`.

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// Sends every request to one plain-text HTTP/1.1 address.
struct OneUpstream {
    address: String,
}

#[async_trait]
impl ProxyHttp for OneUpstream {
    /// The request's id.
    type CTX = String;

    fn new_ctx(&self) -> Self::CTX {
        format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.address.as_str(), false, String::new())))
    }

    // The marks that every peer makes here: who asked, by what name, under which id.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        id: &mut Self::CTX,
    ) -> pingora_core::Result<()> {
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("X-Forwarded-For", address.ip().to_string())?;
        }
        request.insert_header("X-Forwarded-Proto", "http")?;
        if let Some(host) = session.req_header().headers.get("host") {
            request.insert_header("X-Forwarded-Host", host.clone())?;
        }
        request.insert_header("X-Request-Id", id.as_str())?;
        request.insert_header("Via", "1.1 pingora")
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        id: &mut Self::CTX,
    ) -> pingora_core::Result<()> {
        response.insert_header("X-Request-Id", id.as_str())?;
        response.insert_header("Via", "1.1 pingora")
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else {
        eprintln!("usage: bench-pingora LISTEN UPSTREAM");
        std::process::exit(2);
    };
    // One thread, as every other peer of the bench; the pool never has to close a connection under 1,000 clients.
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 2048, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, OneUpstream { address: upstream.clone() });
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever();
}
