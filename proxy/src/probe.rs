//! One probe: ask an endpoint how it is, and take in what it answers.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use traffic::endpoint::{Address, Endpoint};
use traffic::health::{Kind, ProbeFailure, Settings};
use wire::{BodyReader, Method, ResponseHead};

use crate::core::Connect;
use crate::stream::Stream;

/// Most bytes of an answer that are looked at.
const ANSWER_BYTES: usize = 64 * 1024;

/// Probes once, within the settings' timeout.
///
/// # Errors
/// Why the probe failed.
pub async fn once(
    connect: &dyn Connect,
    endpoint: &Endpoint,
    settings: &Settings,
) -> Result<(), ProbeFailure> {
    match tokio::time::timeout(settings.timeout, ask(connect, endpoint.address(), settings)).await {
        Ok(result) => result,
        Err(_) => Err(ProbeFailure::Timeout),
    }
}

async fn ask(connect: &dyn Connect, address: &Address, settings: &Settings) -> Result<(), ProbeFailure> {
    let mut stream = connect.connect(address).await.map_err(|_| ProbeFailure::Connect)?;
    let Kind::Http { path, host, .. } = &settings.kind else { return Ok(()) };
    let host = match (host, address) {
        (Some(host), _) => host.clone(),
        (None, Address::Ip(address)) => address.to_string(),
        (None, Address::Unix(_)) => "localhost".to_owned(),
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tidegate-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    write_all(&mut stream, request.as_bytes()).await.map_err(|_| ProbeFailure::Closed)?;
    let (status, body) = read_answer(&mut stream).await?;
    settings.verdict(status, &body)
}

async fn write_all(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match poll_fn(|cx| stream.poll_write(cx, &bytes[written..])).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            more => written += more,
        }
    }
    Ok(())
}

/// Status and as much of the body as is looked at.
async fn read_answer(stream: &mut Stream) -> Result<(u16, Vec<u8>), ProbeFailure> {
    let limits = wire::Limits::default();
    let mut head = ResponseHead::new();
    let mut bytes = Vec::new();
    let mut status = None;
    let mut reader = BodyReader::new(wire::Framing::None, &limits);
    let mut body = Vec::new();
    loop {
        if status.is_none()
            && head.parse(&bytes, Method::Get, &limits).map_err(|_| ProbeFailure::Malformed)?
        {
            bytes.drain(..head.len as usize);
            if head.is_interim() {
                continue;
            }
            status = Some(head.status);
            reader = BodyReader::new(head.framing, &limits);
        }
        if let Some(status) = status {
            let mut rest = &bytes[..];
            while !reader.is_done() && !rest.is_empty() {
                let piece = reader.read(rest).map_err(|_| ProbeFailure::Malformed)?;
                body.extend_from_slice(&rest[piece.data]);
                rest = &rest[piece.consumed..];
                if piece.consumed == 0 {
                    break;
                }
            }
            bytes.clear();
            if reader.is_done() || body.len() >= ANSWER_BYTES {
                return Ok((status, body));
            }
        }
        let mut buffer = [0_u8; 4096];
        let read = poll_fn(|cx| match stream.poll_read(cx, &mut buffer) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => Poll::Pending,
        })
        .await
        .map_err(|_| ProbeFailure::Closed)?;
        if read == 0 {
            let status = status.ok_or(ProbeFailure::Closed)?;
            return reader.finish().map(|()| (status, body)).map_err(|_| ProbeFailure::Closed);
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}
