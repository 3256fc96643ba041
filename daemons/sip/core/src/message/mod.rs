//! SIP messages (RFC 3261 §7): parsed from bytes, written to bytes.
//!
//! Owns the grammar and its bounds. A message that parses has what every message must have, typed: a way
//! (Via), parties (From, To), a Call-ID and a CSeq; the other header fields are kept as bytes, so that a byte
//! which is no UTF-8 harms nothing. Never looks at who sent a message, nor at what it means.

mod address;
mod blank;
mod framer;
mod grammar;
mod header;
mod method;
mod parse;
mod reliability;
mod text;
mod uri;
mod via;
mod write;

pub use address::NameAddr;
pub use blank::blanked;
pub use framer::{Broken, Frame, Framer};
pub use grammar::Params;
pub(crate) use grammar::{number, quote, split, unquote};
pub(crate) use header::seconds;
pub use header::{Contacts, Headers, Name};
pub use method::Method;
pub(crate) use parse::MAX_LINE;
pub use parse::{Fault, MAX_MESSAGE, Malformed, parse};
pub use reliability::{RAck, RSeq};
use serde::{Deserialize, Serialize};
use std::fmt;
pub use text::decode;
pub use uri::{Scheme, SipUri, TelUri, Uri};
pub use via::{MAGIC_COOKIE, Via};

/// A request or a response.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// RFC 3261 §7.1.
    Request(Request),
    /// RFC 3261 §7.2.
    Response(Response),
}

/// What requests and responses have in common: the fields that every message must have, and the rest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The way, topmost first; never empty.
    pub vias: Vec<Via>,
    /// The party that sent the request.
    pub from: NameAddr,
    /// The party it was sent to.
    pub to: NameAddr,
    /// Call-ID, byte for byte.
    pub call_id: Vec<u8>,
    /// CSeq.
    pub cseq: CSeq,
    /// Every other field.
    pub headers: Headers,
}

/// CSeq (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CSeq {
    /// Below 2³¹.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

/// A request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub uri: Uri,
    /// Its header fields.
    pub head: Head,
    /// Its body, empty where there is none.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Its status code.
    pub status: Status,
    /// The reason phrase, as bytes.
    pub reason: Vec<u8>,
    /// Its header fields.
    pub head: Head,
    /// Its body, empty where there is none.
    pub body: Vec<u8>,
}

/// A status code, 100 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Status(pub u16);

impl Status {
    /// 1xx.
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }

    /// The phrase of RFC 3261 §21 and its extensions.
    pub const fn phrase(self) -> &'static str {
        match self.0 {
            100 => "Trying",
            180 => "Ringing",
            181 => "Call Is Being Forwarded",
            182 => "Queued",
            183 => "Session Progress",
            200 => "OK",
            202 => "Accepted",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            410 => "Gone",
            415 => "Unsupported Media Type",
            416 => "Unsupported URI Scheme",
            420 => "Bad Extension",
            422 => "Session Interval Too Small",
            423 => "Interval Too Brief",
            480 => "Temporarily Unavailable",
            481 => "Call/Transaction Does Not Exist",
            482 => "Loop Detected",
            484 => "Address Incomplete",
            486 => "Busy Here",
            487 => "Request Terminated",
            488 => "Not Acceptable Here",
            491 => "Request Pending",
            500 => "Server Internal Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Server Time-out",
            505 => "Version Not Supported",
            513 => "Message Too Large",
            600 => "Busy Everywhere",
            603 => "Decline",
            604 => "Does Not Exist Anywhere",
            _ => "Unknown",
        }
    }
}

impl Request {
    /// A response to this request, per RFC 3261 §8.2.6.2: same way, parties, Call-ID and CSeq; no tag added.
    pub fn respond(&self, status: Status) -> Response {
        let head = Head { headers: Headers::default(), ..self.head.clone() };
        Response { status, reason: status.phrase().as_bytes().to_vec(), head, body: Vec::new() }
    }
}

impl Response {
    /// The same with that tag on To, where it has none yet.
    #[must_use]
    pub fn tagged(mut self, tag: &[u8]) -> Self {
        if self.head.to.tag().is_none() {
            self.head.to.params.set("tag", Some(tag));
        }
        self
    }

    /// The same with one header field more.
    #[must_use]
    pub fn with(mut self, name: Name, value: impl Into<Vec<u8>>) -> Self {
        self.head.headers.push(name, value);
        self
    }

    /// The same with these header fields more.
    #[must_use]
    pub fn with_all(self, fields: &Headers) -> Self {
        fields.iter().fold(self, |response, (name, value)| response.with(name.clone(), value))
    }
}

// Parties and bodies are personal: Debug names the message, not the people.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", String::from_utf8_lossy(self.method.as_bytes()), self.head.cseq.number)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cseq = &self.head.cseq;
        write!(f, "{} to {} #{}", self.status.0, String::from_utf8_lossy(cseq.method.as_bytes()), cseq.number)
    }
}
