//! Whole messages out of what arrives. A message that is there in one piece is used where it lies; only one that
//! arrives in parts is put together, and only while it does, so that an idle socket holds nothing.

use wire::websocket::{Event, Limits, MessageReader, Side, Violation};

/// What a target may send in one message.
pub(super) const LIMITS: Limits = Limits { message_bytes: 1024 * 1024 };

/// A message or frame that has arrived in part.
#[derive(Debug)]
pub(super) struct Inbox {
    reader: MessageReader,
    /// The beginning of a frame's head, or of a control frame.
    rest: Vec<u8>,
    /// The beginning of a message.
    message: Vec<u8>,
    is_within_message: bool,
}

/// Something whole.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Incoming<'a> {
    /// A text or binary message.
    Message(&'a [u8]),
    /// A ping to be answered with the same payload.
    Ping(&'a [u8]),
    /// The target closes, with its code if it has one. Nothing comes after it.
    Close(Option<u16>),
}

impl Inbox {
    fn new() -> Self {
        let reader = MessageReader::new(Side::Client, &LIMITS);
        Self { reader, rest: Vec::new(), message: Vec::new(), is_within_message: false }
    }

    /// Gives everything that is whole now to `take`, in order, until that says false. What is left is in the inbox that
    /// is returned, if anything is.
    ///
    /// # Errors
    /// The first rule, or limit, that the frames break.
    pub(super) fn read(
        inbox: Option<Box<Self>>,
        arrived: &mut [u8],
        mut take: impl FnMut(Incoming<'_>) -> bool,
    ) -> Result<Option<Box<Self>>, Violation> {
        let mut kept = inbox;
        let mut fresh = Self::new();
        let this: &mut Self = kept.as_deref_mut().unwrap_or(&mut fresh);
        let mut joined = std::mem::take(&mut this.rest);
        let input = if joined.is_empty() {
            arrived
        } else {
            joined.extend_from_slice(arrived);
            &mut joined
        };
        let mut at = 0;
        loop {
            let piece = this.reader.read(&mut input[at..])?;
            if piece.consumed == 0 {
                break;
            }
            let data = &input[at + piece.data.start..at + piece.data.end];
            at += piece.consumed;
            let goes_on = match piece.event {
                Event::Data { last: true, .. } if !this.is_within_message => take(Incoming::Message(data)),
                Event::Data { last, .. } => {
                    this.message.extend_from_slice(data);
                    this.is_within_message = !last;
                    let goes_on = !last || take(Incoming::Message(&this.message));
                    if last {
                        this.message = Vec::new();
                    }
                    goes_on
                }
                Event::Ping => take(Incoming::Ping(data)),
                Event::Close(code) => take(Incoming::Close(code)),
                Event::Pong | Event::More => true,
            };
            if !goes_on {
                return Ok(None);
            }
        }
        this.rest = input[at..].to_vec();
        if this.rest.is_empty() && !this.is_within_message {
            return Ok(None);
        }
        Ok(Some(kept.unwrap_or_else(|| Box::new(fresh))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::websocket::{FrameHead, Opcode, encode_frame, encode_head};

    /// What arrives in these pieces, and whether nothing is left.
    fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let (mut inbox, mut messages) = (None, Vec::new());
        for piece in pieces {
            inbox = Inbox::read(inbox, &mut piece.to_vec(), |incoming| {
                messages.push(match incoming {
                    Incoming::Message(text) => text.to_vec(),
                    Incoming::Ping(payload) => [b"ping ", payload].concat(),
                    Incoming::Close(_) => b"close".to_vec(),
                });
                true
            })
            .unwrap();
        }
        (messages, inbox.is_none())
    }

    fn fragment(out: &mut Vec<u8>, fin: bool, opcode: Opcode, payload: &[u8]) {
        encode_head(out, &FrameHead { fin, opcode, mask: None, payload_bytes: payload.len() as u64 });
        out.extend_from_slice(payload);
    }

    #[test]
    fn nothing_is_kept_between_messages() {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, Opcode::Text, None, b"one");
        encode_frame(&mut bytes, Opcode::Ping, None, b"?");
        assert_eq!(read(&[&bytes]), (vec![b"one".to_vec(), b"ping ?".to_vec()], true));
        assert!(!read(&[&bytes[..2]]).1);
    }

    #[test]
    fn a_message_past_the_limit_is_refused_by_its_head() {
        let mut head = Vec::new();
        let payload_bytes = LIMITS.message_bytes + 1;
        encode_head(&mut head, &FrameHead { fin: true, opcode: Opcode::Binary, mask: None, payload_bytes });
        let refused = Inbox::read(None, &mut head, |_| true).unwrap_err();
        assert_eq!(refused, Violation::MessageTooBig);
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_cut(
            messages in prop::collection::vec((prop::collection::vec("[a-z]{0,200}", 1..4), any::<bool>()), 0..8),
            cuts in prop::collection::vec(1usize..50, 1..20),
        ) {
            let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
            for (fragments, is_pinged) in &messages {
                for (at, text) in fragments.iter().enumerate() {
                    let opcode = if at == 0 { Opcode::Text } else { Opcode::Continuation };
                    fragment(&mut bytes, at + 1 == fragments.len(), opcode, text.as_bytes());
                    if *is_pinged && at == 0 {
                        encode_frame(&mut bytes, Opcode::Ping, None, b"?");
                    }
                }
                let whole = fragments.concat().into_bytes();
                let ping = is_pinged.then(|| b"ping ?".to_vec());
                if fragments.len() == 1 {
                    wanted.push(whole);
                    wanted.extend(ping);
                } else {
                    wanted.extend(ping);
                    wanted.push(whole);
                }
            }
            let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
            for &cut in cuts.iter().cycle().take(bytes.len()) {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(read(&pieces), (wanted, true));
        }
    }
}
