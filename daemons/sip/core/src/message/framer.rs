//! A stream of bytes to messages (RFC 3261 §18.3, RFC 5626 §4.4.1).
//!
//! Owns the bytes of a stream that are no whole message yet, and their bound. Looks at Content-Length alone:
//! whether a message is one, the parser says.
//!
//! ```text
//!   bytes ─► push ─► next ─► Whole(message) │ Ping │ end of what there is
//!                      └───► Broken: where the next message begins can no longer be told
//! ```

use super::{MAX_MESSAGE, grammar};
use serde::{Deserialize, Serialize};

/// Most bytes of a start line and header fields.
const MAX_HEAD: usize = 32_768;

/// What stands next on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message, as long as its Content-Length says.
    Whole(Vec<u8>),
    /// A double CRLF: a keep-alive that wants a CRLF back (RFC 5626 §4.4.1).
    Ping,
}

/// Why a stream can be read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// No Content-Length, which a stream must have (RFC 3261 §20.14), or more than one.
    #[error("reading a stream: no single Content-Length")]
    NoLength,
    /// Content-Length is no number.
    #[error("reading a stream: Content-Length is no number")]
    Length,
    /// Head or message larger than the bound.
    #[error("reading a stream: a message larger than the bound")]
    TooLarge,
    /// What begins there is no SIP.
    #[error("reading a stream: no SIP")]
    Foreign,
}

/// The unread end of one stream.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Framer {
    held: Vec<u8>,
    /// Up to here there is no end of a head.
    searched: usize,
}

impl Framer {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether a message has begun and waits for its end.
    pub fn is_within(&self) -> bool {
        !b"\r\n\r\n".starts_with(&self.held)
    }

    /// The next message or keep-alive; `None` until more has come.
    ///
    /// # Errors
    /// [`Broken`]: the stream is to be closed. [`Self::rest`] has what could not be read.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Broken> {
        if self.held.starts_with(b"\r\n\r\n") {
            self.held.drain(..4);
            self.searched = 0;
            return Ok(Some(Frame::Ping));
        }
        // A CRLF alone is a pong, or stands before a message (RFC 3261 §7.5). One that may yet become a
        // ping waits for the bytes that tell.
        while self.held.starts_with(b"\r\n") && self.held.len() > 2 && !b"\r\n\r\n".starts_with(&self.held) {
            self.held.drain(..2);
            self.searched = 0;
        }
        if self.held.is_empty() || b"\r\n\r\n".starts_with(&self.held) {
            return Ok(None);
        }
        if !self.held[0].is_ascii_alphanumeric() && !b"-.!%*_+`'~".contains(&self.held[0]) {
            return Err(Broken::Foreign);
        }
        let from = self.searched.saturating_sub(3);
        let Some(end) = self.held[from..].windows(4).position(|four| four == b"\r\n\r\n") else {
            self.searched = self.held.len();
            let line = self.held.iter().take(super::MAX_LINE + 1).position(|b| *b == b'\n');
            let endless = line.is_none() && self.held.len() > super::MAX_LINE;
            return if self.held.len() > MAX_HEAD || endless { Err(Broken::TooLarge) } else { Ok(None) };
        };
        let head = from + end + 4;
        if head > MAX_HEAD {
            return Err(Broken::TooLarge);
        }
        let length = content_length(&self.held[..head - 2])?;
        let body = if mutant::mutant("sip-framer-ignores-length") { 0 } else { length };
        let whole = head.checked_add(body).filter(|whole| *whole <= MAX_MESSAGE).ok_or(Broken::TooLarge)?;
        if self.held.len() < whole {
            // The head is known to end there: found again at once.
            self.searched = head - 1;
            return Ok(None);
        }
        let rest = self.held.split_off(whole);
        self.searched = 0;
        Ok(Some(Frame::Whole(std::mem::replace(&mut self.held, rest))))
    }

    /// What is held, for the answer to a request that broke the stream.
    pub fn rest(&self) -> &[u8] {
        &self.held
    }
}

/// The one Content-Length of a head that ends in a CRLF, folding undone.
fn content_length(head: &[u8]) -> Result<usize, Broken> {
    let mut found: Option<Vec<u8>> = None;
    let mut within = false;
    for line in head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).skip(1) {
        if let [b' ' | b'\t', ..] = line {
            if let Some(value) = found.as_mut().filter(|_| within) {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            continue;
        }
        let colon = line.iter().position(|b| *b == b':');
        let name = colon.map_or(line, |at| &line[..at]).trim_ascii_end();
        within = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
        if let (true, Some(at)) = (within, colon) {
            if found.is_some() {
                return Err(Broken::NoLength);
            }
            found = Some(line[at + 1..].trim_ascii().to_vec());
        }
    }
    let value = found.ok_or(Broken::NoLength)?;
    let length = grammar::number(value.trim_ascii(), u64::from(u32::MAX)).ok_or(Broken::Length)?;
    usize::try_from(length).map_err(|_| Broken::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INVITE: &str = "INVITE sip:a@h SIP/2.0\r\nVia: x\r\nContent-Length: 4\r\n\r\nbody";
    const BYE: &str = "BYE sip:a@h SIP/2.0\r\nl:\r\n 0\r\n\r\n";

    fn frames(framer: &mut Framer) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(frame) = framer.next_frame().unwrap() {
            all.push(match frame {
                Frame::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                Frame::Ping => "ping".to_owned(),
            });
        }
        all
    }

    /// Guarded by the mutant `sip-framer-ignores-length`.
    #[test]
    fn messages_come_whole_wherever_the_stream_is_cut() {
        let stream = format!("\r\n\r\n{INVITE}\r\n{BYE}\r\n\r\n{INVITE}");
        for cut in 0..=stream.len() {
            let mut framer = Framer::default();
            framer.push(&stream.as_bytes()[..cut]);
            let mut all = frames(&mut framer);
            framer.push(&stream.as_bytes()[cut..]);
            all.extend(frames(&mut framer));
            assert_eq!(all, ["ping", INVITE, BYE, "ping", INVITE], "cut at {cut}");
            assert!(!framer.is_within());
        }
    }

    #[test]
    fn a_stream_without_a_length_is_broken() {
        for (head, broken) in [
            ("INVITE sip:a@h SIP/2.0\r\nVia: x\r\n\r\n", Broken::NoLength),
            ("INVITE sip:a@h SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\n", Broken::NoLength),
            ("INVITE sip:a@h SIP/2.0\r\nl: -1\r\n\r\n", Broken::Length),
            ("INVITE sip:a@h SIP/2.0\r\nl: 99999999999999999999\r\n\r\n", Broken::Length),
            ("INVITE sip:a@h SIP/2.0\r\nl: 70000\r\n\r\n", Broken::TooLarge),
            ("\u{16}\u{3}\u{1}", Broken::Foreign),
            ("{}", Broken::Foreign),
        ] {
            let mut framer = Framer::default();
            framer.push(head.as_bytes());
            assert_eq!(framer.next_frame(), Err(broken), "{head}");
        }
        let mut framer = Framer::default();
        framer.push(&[b'A'; super::super::MAX_LINE + 1]);
        assert_eq!(framer.next_frame(), Err(Broken::TooLarge), "a line without end");
    }

    #[test]
    fn a_pong_is_no_news() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert_eq!(framer.next_frame(), Ok(None));
        framer.push(INVITE.as_bytes());
        assert_eq!(frames(&mut framer), [INVITE]);
    }

    proptest! {
        #[test]
        fn the_cut_makes_no_difference(
            parts in prop::collection::vec(0usize..6, 0..12),
            size in 1usize..90,
        ) {
            let parts = parts.into_iter().map(|n| [INVITE, BYE, "\r\n", "\r\n\r\n", "\r", "\n"][n].as_bytes());
            let stream = parts.collect::<Vec<_>>().concat();
            let read = |size: usize| {
                let mut framer = Framer::default();
                let mut all = Vec::new();
                for piece in stream.chunks(size) {
                    framer.push(piece);
                    loop {
                        match framer.next_frame() {
                            Ok(Some(frame)) => all.push(frame),
                            Ok(None) => break,
                            Err(broken) => return (all, Some(broken)),
                        }
                    }
                }
                (all, None)
            };
            prop_assert_eq!(read(size), read(1));
        }

        #[test]
        fn whatever_comes_is_bounded(chunks in prop::collection::vec(any::<Vec<u8>>(), 0..40)) {
            let mut framer = Framer::default();
            for chunk in chunks {
                framer.push(&chunk);
                loop {
                    match framer.next_frame() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                prop_assert!(framer.rest().len() <= MAX_MESSAGE);
            }
        }
    }
}
