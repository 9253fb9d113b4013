//! `[websocket]`.

use toml::Spanned;

use super::super::file::{self, ReceiversWord};
use super::Lowering;
use crate::plan::{Pause, Receivers, Send, Sockets, Stage, Storm};
use crate::script::{Expect, Request, Script, Template, Text};

/// A load of sockets but for its script, which is finished last.
pub(super) struct Parts {
    hello: Vec<Text>,
    welcome: Option<String>,
    send: Option<Send>,
    storm: Option<Storm>,
}

impl Parts {
    pub(super) fn with(self, script: Script) -> Sockets {
        let Self { hello, welcome, send, storm } = self;
        Sockets { script, hello, welcome, send, storm }
    }
}

impl Lowering<'_> {
    pub(super) fn sockets(&mut self, written: &Spanned<file::WebSocket>, stages: &[Stage]) -> Parts {
        let websocket = written.get_ref();
        self.handshake(websocket);
        let mut hello = Vec::new();
        for text in &websocket.hello().0 {
            let made = self.draft.text(text.get_ref());
            let made = self.made(text.span(), made);
            if made.as_ref().is_some_and(Text::has_mark) {
                let help = "leave {{mark}} out of hello; send has marks";
                self.error(text.span(), "what sockets say first carries no mark", help);
            }
            hello.extend(made);
        }
        if let Some(welcome) = websocket.welcome.written().filter(|text| text.get_ref().is_empty()) {
            self.error(welcome.span(), "every message contains the empty text", "leave welcome out");
        }
        let send = websocket.send.written().and_then(|send| self.send(send));
        let storm = websocket.storm.written().map(|storm| self.storm(storm, stages));
        Parts { hello, welcome: websocket.welcome.get().cloned(), send, storm }
    }

    fn handshake(&mut self, websocket: &file::WebSocket) {
        let (span, path) = match websocket.path.written() {
            Some(path) => (path.span(), path.get_ref().clone()),
            None => (0..0, websocket.path()),
        };
        let path = self.path(span, &path);
        let mut fields = Vec::new();
        for (name, value) in &websocket.headers().0 {
            if name.get_ref().to_ascii_lowercase().starts_with("sec-websocket-") {
                let what = format!("\"{}\" belongs to the handshake", name.get_ref());
                self.error(name.span(), what, "leave it out; subprotocol asks for a subprotocol");
                continue;
            }
            fields.extend(self.field(name, value));
        }
        if let Some(protocol) = websocket.subprotocol.written() {
            if !config::field::is_token(protocol.get_ref()) {
                let what = format!("\"{}\" is no name of a subprotocol", protocol.get_ref());
                self.error(protocol.span(), what, "write one name without blanks");
            }
            fields.push(("Sec-WebSocket-Protocol".to_owned(), Template::of(protocol.get_ref().as_bytes())));
        }
        let request = Request { method: "GET".to_owned(), path, fields, body: None };
        self.draft.step("connect", &request, Pause::default(), Expect::default(), Vec::new());
        self.draft.flow(1);
    }

    fn send(&mut self, written: &Spanned<file::Send>) -> Option<Send> {
        let send = written.get_ref();
        let (text, every) = (send.text.written()?, send.every.written()?);
        let made = self.draft.text(text.get_ref());
        let template = self.made(text.span(), made);
        if every.get_ref().0.most.is_zero() {
            self.error(
                every.span(),
                "sockets that never wait send without end",
                "write a time such as \"1s\"",
            );
        }
        let receivers = match send.receivers() {
            ReceiversWord::Anyone => Receivers::Anyone,
            ReceiversWord::Sender => Receivers::Sender,
            ReceiversWord::All => Receivers::All,
            ReceiversWord::Others => Receivers::Others,
        };
        if receivers != Receivers::Anyone && template.as_ref().is_some_and(|text| !text.has_mark()) {
            let what = "the text has no {{mark}}, so nobody can know what arrived";
            self.error(text.span(), what, "put {{mark}} into the text, or leave receivers out");
        }
        let senders = send.senders.get().map(|senders| senders.0 as u32);
        Some(Send { text: template?, every: every.get_ref().0, senders, receivers })
    }

    fn storm(&mut self, written: &Spanned<file::Storm>, stages: &[Stage]) -> Storm {
        let storm = written.get_ref();
        let at = storm.at.get().map(|at| at.0).unwrap_or_default();
        let (share, within) = (storm.share().0, storm.within().0);
        if share <= 0.0 {
            self.error(storm.share.span(), "a storm of nobody", "write a share above 0, such as \"50%\"");
        }
        let length: core::time::Duration = stages.iter().map(|stage| stage.duration).sum();
        if at + within > length && !storm.has_mistakes && self.diagnostics.is_empty() {
            let what =
                format!("the storm ends {:?} after the beginning, the stages after {length:?}", at + within);
            self.error(written.span(), what, "let it begin earlier, or make the stages longer");
        }
        Storm { at, share, within }
    }
}
