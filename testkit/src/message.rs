//! HTTP/1 messages as the ends of a scene read them: a second opinion beside `wire`.

use crate::pipe::Pipe;

/// A request or a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// First line and fields, without the empty line.
    pub head: String,
    /// The body, out of its framing.
    pub body: Vec<u8>,
    /// How the end of the body was told.
    pub framing: Framing,
    /// The body came to the end that its framing told.
    pub is_whole: bool,
    /// Sizes of the chunks, where the body came in chunks.
    pub chunks: Vec<usize>,
    /// What stood between the last chunk and the end.
    pub trailers: String,
}

/// How the end of a body is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(usize),
    /// Chunks.
    Chunked,
    /// The connection ends.
    Close,
}

impl Message {
    /// The first line.
    pub fn start_line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// Method of a request.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// Target of a request.
    pub fn target(&self) -> &str {
        self.word(1)
    }

    /// Status of a response.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_else(|_| panic!("no status in {:?}", self.start_line()))
    }

    /// Values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        named.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// Value of a field that stands once; `None` if it is not there.
    ///
    /// # Panics
    /// It stands there more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} stands {} times in\n{}", values.len(), self.head);
        values.first().copied()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is not text")
    }

    fn word(&self, index: usize) -> &str {
        self.start_line().split(' ').nth(index).unwrap_or_default()
    }

    /// The framing that the fields tell; `fallback` if they tell none.
    fn told(&self, fallback: Framing) -> Framing {
        if !self.all("transfer-encoding").is_empty() {
            assert_eq!(self.all("transfer-encoding"), ["chunked"], "in\n{}", self.head);
            assert!(self.all("content-length").is_empty(), "two framings in\n{}", self.head);
            return Framing::Chunked;
        }
        self.header("content-length").map_or(fallback, |length| {
            Framing::Length(length.parse().unwrap_or_else(|_| panic!("length in\n{}", self.head)))
        })
    }
}

/// Reads a head; `None` when the stream ends first.
pub(crate) async fn head(pipe: &mut Pipe) -> Option<Message> {
    let bytes = pipe.until(b"\r\n\r\n").await?;
    let head = String::from_utf8_lossy(&bytes[..bytes.len() - 4]).into_owned();
    let (framing, chunks, trailers) = (Framing::None, Vec::new(), String::new());
    Some(Message { head, body: Vec::new(), framing, is_whole: true, chunks, trailers })
}

/// Reads a request.
pub(crate) async fn request(pipe: &mut Pipe) -> Option<Message> {
    let mut message = head(pipe).await?;
    message.framing = message.told(Framing::None);
    body(pipe, &mut message).await;
    Some(message)
}

/// Reads a response to a request with `method`.
pub(crate) async fn response(pipe: &mut Pipe, method: &str) -> Option<Message> {
    let mut message = head(pipe).await?;
    let bodiless = method == "HEAD" || matches!(message.status(), 100..=199 | 204 | 304);
    message.framing = if bodiless { Framing::None } else { message.told(Framing::Close) };
    body(pipe, &mut message).await;
    Some(message)
}

async fn body(pipe: &mut Pipe, message: &mut Message) {
    match message.framing {
        Framing::None => {}
        Framing::Length(length) => {
            message.body = pipe.exactly(length).await;
            message.is_whole = message.body.len() == length;
        }
        Framing::Close => message.body = pipe.rest().await,
        Framing::Chunked => message.is_whole = chunks(pipe, message).await.is_some(),
    }
}

/// Reads chunks; `None` when they break off.
async fn chunks(pipe: &mut Pipe, message: &mut Message) -> Option<()> {
    loop {
        let line = pipe.until(b"\r\n").await?;
        let text = std::str::from_utf8(&line).ok()?.trim_end();
        let size = usize::from_str_radix(text, 16).unwrap_or_else(|_| panic!("chunk size {text:?}"));
        if size == 0 {
            break;
        }
        let data = pipe.exactly(size).await;
        let is_short = data.len() < size;
        message.body.extend(data);
        message.chunks.push(size);
        if is_short || pipe.exactly(2).await != b"\r\n" {
            return None;
        }
    }
    loop {
        let line = pipe.until(b"\r\n").await?;
        if line == b"\r\n" {
            return Some(());
        }
        message.trailers.push_str(&String::from_utf8_lossy(&line));
    }
}
