//! An agent's phone: registers, and again before it expires; sometimes vanishes with all its calls.

use sip_core::{
    Phone as Account,
    digest::{Challenge, Protected},
    message::{Name, Response},
};
use std::net::SocketAddr;
use types::Monotonic;

/// One phone.
#[derive(Clone)]
pub struct Phone {
    pub account: Account,
    pub address: SocketAddr,
    /// Deaf and dumb until then.
    pub gone_until: Monotonic,
    /// The CSeq of the last REGISTER.
    number: u32,
    /// The answer to the last challenge.
    proof: Option<String>,
    /// The last challenge to a call of this phone.
    challenge: Option<Challenge>,
    pub registered: bool,
}

impl Phone {
    /// A phone that has not registered.
    pub fn new(account: Account, address: SocketAddr) -> Self {
        let gone_until = Monotonic(0);
        Self { account, address, gone_until, number: 0, proof: None, challenge: None, registered: false }
    }

    /// A call of this phone was challenged.
    pub fn challenged(&mut self, response: &Response) {
        let challenges = response.head.headers.all(&Name::WwwAuthenticate).filter_map(Challenge::parse);
        self.challenge = Challenge::strongest(challenges);
    }

    /// The answer to that, once.
    pub fn prove(&mut self, uri: &str) -> Option<String> {
        let protected = Protected { method: b"INVITE", body: b"" };
        let credentials = self.account.credentials();
        let answer = self.challenge.take()?.answer(&credentials, uri.into(), b"cnonce".to_vec(), protected);
        String::from_utf8(answer.to_bytes()).ok()
    }

    /// A REGISTER (RFC 3261 §10.2), with an answer to the last challenge where there is one.
    pub fn register(&mut self) -> Vec<u8> {
        self.number += 1;
        let (extension, address, number) = (&self.account.extension, self.address, self.number);
        let proof = self.proof.take().map(|proof| format!("Authorization: {proof}\r\n")).unwrap_or_default();
        format!(
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKr{extension}-{number};rport\r\n\
             From: <sip:{extension}@192.0.2.1>;tag=r\r\nTo: <sip:{extension}@192.0.2.1>\r\nCall-ID: reg-{extension}\r\n\
             CSeq: {number} REGISTER\r\nContact: <sip:{extension}@{address}>;expires=600\r\n{proof}Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// The answer to a REGISTER; gives the next one where a challenge is to be answered.
    pub fn answered(&mut self, response: &Response) -> Option<Vec<u8>> {
        if response.status.is_success() {
            self.registered = true;
        }
        if response.status.0 != 401 || response.head.cseq.number != self.number {
            return None;
        }
        let challenges = response.head.headers.all(&Name::WwwAuthenticate).filter_map(Challenge::parse);
        let challenge = Challenge::strongest(challenges)?;
        let protected = Protected { method: b"REGISTER", body: b"" };
        let uri = b"sip:192.0.2.1".to_vec();
        let answer = challenge.answer(&self.account.credentials(), uri, b"cnonce".to_vec(), protected);
        self.proof = Some(String::from_utf8(answer.to_bytes()).ok()?);
        Some(self.register())
    }
}
