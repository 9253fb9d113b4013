//! A target for WebSockets whose manners are a closure: what it does with each text of each peer.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use tungstenite::Message;
use wire::websocket::{FrameHead, Opcode, encode_close, encode_frame, encode_head};

/// A target, and what it saw.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// What a target saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Connections that were shaken hands with.
    pub opened: usize,
    /// Texts, in the order in which they came.
    pub texts: Vec<String>,
    pub pongs: usize,
    /// The code of each close frame.
    pub closes: Vec<u16>,
    /// Connections that broke off.
    pub broken: usize,
    peers: Vec<(usize, TcpStream)>,
}

/// One peer, at the moment at which a text of it is dealt with. No other text of any peer is dealt with meanwhile.
pub struct Peer<'a> {
    /// Counts connections from 0.
    pub id: usize,
    /// Counts its texts from 0.
    pub number: usize,
    seen: MutexGuard<'a, Seen>,
}

impl Peer<'_> {
    /// Sends raw bytes to this peer.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let id = self.id;
        self.send_where(|peer| peer == id, bytes);
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(&frame(Opcode::Text, text));
    }

    pub fn ping(&mut self, payload: &str) {
        self.send_bytes(&frame(Opcode::Ping, payload));
    }

    pub fn send_to_all(&mut self, text: &str) {
        self.send_where(|_| true, &frame(Opcode::Text, text));
    }

    pub fn send_to_others(&mut self, text: &str) {
        let id = self.id;
        self.send_where(|peer| peer != id, &frame(Opcode::Text, text));
    }

    pub fn close(&mut self, code: u16) {
        let mut bytes = Vec::new();
        encode_close(&mut bytes, None, code, "");
        self.send_bytes(&bytes);
    }

    /// Sends bytes to the peers that are chosen by their number.
    pub fn send_where(&mut self, is_chosen: impl Fn(usize) -> bool, bytes: &[u8]) {
        for (_, stream) in self.seen.peers.iter_mut().filter(|(peer, _)| is_chosen(*peer)) {
            // One that has gone is noticed by whoever reads from it.
            let _ = stream.write_all(bytes);
        }
    }
}

/// A frame as servers send them.
pub fn frame(opcode: Opcode, payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, opcode, None, payload.as_bytes());
    bytes
}

/// The welcome in two frames with a ping in between.
pub fn welcome() -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_head(&mut bytes, &FrameHead { fin: false, opcode: Opcode::Text, mask: None, payload_bytes: 3 });
    bytes.extend_from_slice(b"wel");
    encode_frame(&mut bytes, Opcode::Ping, None, b"between");
    encode_frame(&mut bytes, Opcode::Continuation, None, b"come");
    bytes
}

impl Target {
    /// A target that shakes hands, welcomes and then does `on_text` with every text.
    pub fn new(on_text: impl Fn(&mut Peer<'_>, &str) + Send + Sync + 'static) -> Self {
        let on_text = Arc::new(on_text);
        Self::raw(move |stream, id, seen| {
            let on_text = Arc::clone(&on_text);
            talk(stream, id, &seen, &*on_text);
        })
    }

    /// A target that does anything with its connections, which are numbered from 0.
    pub fn raw(serve: impl Fn(TcpStream, usize, Arc<Mutex<Seen>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let target = Self { address, seen: Arc::clone(&seen) };
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for (id, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, id, seen));
            }
        });
        target
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

fn talk(stream: TcpStream, id: usize, seen: &Mutex<Seen>, on_text: &dyn Fn(&mut Peer<'_>, &str)) {
    let writer = stream.try_clone().unwrap();
    writer.set_nodelay(true).unwrap();
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    {
        let mut seen = seen.lock().unwrap();
        seen.opened += 1;
        seen.peers.push((id, writer));
        let mut peer = Peer { id, number: 0, seen };
        peer.send_bytes(&welcome());
    }
    let mut number = 0;
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                let mut seen = seen.lock().unwrap();
                seen.texts.push(text.to_string());
                on_text(&mut Peer { id, number, seen }, &text);
                number += 1;
            }
            Ok(Message::Pong(payload)) => {
                seen.lock().unwrap().pongs += usize::from(&payload[..] != b"between");
            }
            Ok(Message::Close(close)) => {
                let mut seen = seen.lock().unwrap();
                seen.closes.push(close.map_or(1005, |close| close.code.into()));
                seen.peers.retain(|&(peer, _)| peer != id);
            }
            Ok(_) => {}
            Err(error) => {
                let mut seen = seen.lock().unwrap();
                seen.peers.retain(|&(peer, _)| peer != id);
                seen.broken += usize::from(!matches!(error, tungstenite::Error::ConnectionClosed));
                return;
            }
        }
    }
}
