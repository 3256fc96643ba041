//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).

use crate::message::{MAGIC_COOKIE, Method, Request, Response};
use serde::{Deserialize, Serialize};

/// What a message shares with the others of its transaction.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// We sent the request: its branch and method (§17.1.3).
    Client(Vec<u8>, Method),
    /// A peer of RFC 3261 sent the request: branch, sent-by and method (§17.2.3).
    Server(Vec<u8>, Vec<u8>, Method),
    /// A peer of RFC 2543 sent the request: the fields that §17.2.3 compares, joined.
    Rfc2543(Vec<u8>, Method),
}

impl Key {
    /// The transaction that a response answers.
    pub fn of_response(response: &Response) -> Option<Self> {
        let branch = response.head.vias.first()?.branch()?;
        Some(Self::Client(branch.to_vec(), response.head.cseq.method.clone()))
    }

    /// The transaction that a request opens or repeats. ACK belongs to its INVITE.
    pub fn of_request(request: &Request) -> Option<Self> {
        let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
        Self::of(request, method.clone())
    }

    /// The INVITE that a CANCEL cancels (§9.2).
    pub fn cancelled_by(request: &Request) -> Option<Self> {
        Self::of(request, Method::Invite)
    }

    fn of(request: &Request, method: Method) -> Option<Self> {
        let via = request.head.vias.first()?;
        let sent_by = [&via.host, &b":"[..], via.port.unwrap_or(5060).to_string().as_bytes()].concat();
        match via.branch() {
            Some(branch) if branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE) => {
                Some(Self::Server(branch.to_vec(), sent_by.to_ascii_lowercase(), method))
            }
            branch => {
                let head = &request.head;
                let number = head.cseq.number.to_string();
                let fields = [
                    request.uri.to_bytes(),
                    head.from.tag().unwrap_or_default().to_vec(),
                    head.call_id.clone(),
                    number.into_bytes(),
                    sent_by,
                    branch.unwrap_or_default().to_vec(),
                ];
                Some(Self::Rfc2543(fields.join(&b"\n"[..]), method))
            }
        }
    }
}
